/*
 * SPDX-License-Identifier: MIT
 *
 * The wire as the other side speaks it, true or not: one message of a handshake with what comes
 * along, taken from an input. What is not said otherwise there is right, so that an input says
 * where it lies.
 */
#ifndef TESTS_FUZZ_WIRE_H
#define TESTS_FUZZ_WIRE_H

#include "lib/handshake.h"
#include "tests/fuzz/bytes.h"

#define WIRE_COPIES 8 /* descriptors that come along, at most; more than are right */

struct said {
	struct wire_message message;
	size_t length;
	int fds[WIRE_COPIES];
	int count;
	bool vouched;  /* with credentials, */
	bool as_other; /* of somebody else, as far as the system lets us */
};

/* Before all others, and before steady_begin: makes what may come along, which stays. */
void wire_prepare(void);

/* A message of this type and kind. */
void wire_take(struct bytes *bytes, enum wire_type type, enum wire_kind kind, struct said *said);

/* Says it, without waiting. False: it could not be sent. */
bool wire_say(int fd, const struct said *said);

/* The memory of the segment that comes along if nothing else is said, a page and a ring of a page,
 * as new; it stays writable to us. */
uint8_t *wire_segment(void);

/* Writes into the sealed object of counters that comes along as the first of WIRE_MONITOR. */
void wire_count(struct bytes *bytes);

#endif
