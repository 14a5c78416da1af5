/*
 * SPDX-License-Identifier: MIT
 *
 * Pairs of CPUs, and what a round trip between each takes, again and again over some time. It knows
 * nothing of how that is shown.
 */
#ifndef PEAL_TUNE_PAIRS_H
#define PEAL_TUNE_PAIRS_H

#include <stdbool.h>

#include "tools/peal-tune/parse.h"

#define PAIRS_ROUNDS_MAX 100u

struct pair {
	unsigned a, b;              /* a < b */
	unsigned rounds;            /* that have a figure; 0: then there are no others */
	double median, least, most; /* ns, of the rounds' medians */
};

struct pairs {
	struct pair *all;
	unsigned count;
	unsigned rounds; /* that were whole */
	double seconds;  /* that all took */
};

/* How long it takes to look at so many pairs a few times. */
double pairs_seconds(unsigned cpus);

/* Measures all pairs of these CPUs in rounds that are spread over so many seconds, and ends when
 * they are over, in the middle of a round if need be. 0, or a negative errno: -EINVAL also if one
 * of the CPUs cannot be had. pairs_free in any case. */
int pairs_measure(struct pairs *pairs, const struct cpus *cpus, unsigned rounds, double seconds);
void pairs_free(struct pairs *pairs);

/* Whether its figures are so far apart that the two cannot have been the same cores, left alone. */
bool pair_moved(const struct pair *pair);

/* The nearest; NULL: none was measured. */
const struct pair *pairs_best(const struct pairs *pairs);

#endif
