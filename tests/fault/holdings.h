/*
 * SPDX-License-Identifier: MIT
 *
 * What this process holds, counted thousands of times: without a call that allocates.
 */
#ifndef TESTS_FAULT_HOLDINGS_H
#define TESTS_FAULT_HOLDINGS_H

#include <stdint.h>

struct held {
	int descriptors;
	int mappings;   /* of Peal's memory */
	uint64_t bytes; /* of these */
	uint64_t space; /* bytes of address space in all */
	long blocks;    /* of memory, trap_blocks */
};

struct held held_now(void);

/* Once no more is held than at first, but for blocks of memory, of which some stay with what was
 * done first; or after a long time. */
struct held held_settled(const struct held *first);

/* Waits until no more is held than before. NULL, or what is left. */
const char *held_too_much(const struct held *before);

#endif
