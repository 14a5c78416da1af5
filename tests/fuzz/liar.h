/*
 * SPDX-License-Identifier: MIT
 *
 * A peer that writes anything into what it owns, its data area and its page, as an input says:
 * records as a producer writes them, true or not, and noise.
 */
#ifndef TESTS_FUZZ_LIAR_H
#define TESTS_FUZZ_LIAR_H

#include <peal/ring.h>

#include "tests/fuzz/bytes.h"

struct liar {
	uint8_t *data; /* mapped once, at least */
	struct peal_page *page;
	uint64_t capacity;
	uint64_t at; /* where it writes next */

	/* What it may know of the one that it lies to, to be near the truth: */
	uint64_t most; /* the longest message that is accepted */
	uint32_t tag;  /* of the last request */
	uint64_t read; /* where that one reads, and up to where it has sent */
	uint64_t sent;
	uint64_t total, rest; /* of the message under way */
};

/* One thing. */
void liar_does(struct liar *liar, struct bytes *bytes);

#endif
