/*
 * SPDX-License-Identifier: MIT
 *
 * Combinations of a ring variant, a waiter and a way of waiting, by number, for tests that run over
 * all of those that can be used here. White-box: a link's tables are chosen from outside.
 */
#ifndef TESTS_UNIT_COMBINATION_H
#define TESTS_UNIT_COMBINATION_H

#include <peal.h>

int combination_count(void);

/* Opens a pair with these options but their way of waiting, which is the combination's. */
void combination_open(int number, struct peal_link *links[2], const struct peal_options *options);

#endif
