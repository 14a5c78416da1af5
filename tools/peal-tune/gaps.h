/*
 * SPDX-License-Identifier: MIT
 *
 * Gaps: times that a CPU was taken away from a thread that did nothing but look at the clock. It
 * knows nothing of who took it.
 */
#ifndef PEAL_TUNE_GAPS_H
#define PEAL_TUNE_GAPS_H

#include <stdint.h>

#include "tools/peal-tune/parse.h"

/* Class c has the gaps from 2^c ns on, and below 2^(c+1). */
#define GAPS_CLASSES 64u

struct gaps {
	unsigned cpu;
	int err;          /* it could not be had; then there is nothing else */
	uint64_t count;   /* of at least the threshold */
	uint64_t longest; /* ns */
	uint64_t sum;     /* ns */
	uint64_t watched; /* ns, from the first look to the last */
	uint64_t classes[GAPS_CLASSES];
};

/*
 * Watches these CPUs all at once, each by a thread of its own, for so many seconds, or until
 * SIGINT, SIGTERM or SIGHUP comes. gaps has an element for each, in their order. 0 or a negative
 * errno; *interrupted tells whether it was a signal that ended it.
 */
int gaps_watch(struct gaps *gaps, const struct cpus *cpus, uint64_t threshold, double seconds,
	       bool *interrupted);

#endif
