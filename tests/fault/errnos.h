/*
 * SPDX-License-Identifier: MIT
 *
 * How system calls can fail: what their manual pages say of calls that are made rightly.
 */
#ifndef TESTS_FAULT_ERRNOS_H
#define TESTS_FAULT_ERRNOS_H

#include <stdbool.h>
#include <stdint.h>

/* Not an errno: a message arrives, and what came with it does not (MSG_CTRUNC). */
#define CUT 1000

struct failure {
	int err;
	const char *name;
};

struct failing {
	long call;
	const char *name;
	/* Which of its uses this row is about: the argument of this index, under a mask, has this
	 * value. The first row that fits counts. */
	unsigned argument;
	uint32_t mask, value;
	struct failure how[12]; /* ended by err 0; none: it cannot fail */
};

/* Whether a verb may end so because a call failed with that: by that errno itself, or by one that
 * says the same to the caller. */
bool failing_explains(const char *call, int err, int result);

/* The row of a call; NULL: there is none. */
const struct failing *failing_find(long call, const uint64_t arguments[6]);

#endif
