/*
 * SPDX-License-Identifier: MIT
 *
 * The two ends of a pair, as peal_pair makes them, but in memory that stays from input to input:
 * making that takes longer than most inputs.
 */
#ifndef TESTS_FUZZ_ENDS_H
#define TESTS_FUZZ_ENDS_H

#include "lib/link.h"

/* options->ring is a page, or two. */
void ends_open(struct peal_link *ends[2], const struct peal_options *options);
void ends_close(struct peal_link *ends[2]);

#endif
