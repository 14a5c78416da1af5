/*
 * SPDX-License-Identifier: MIT
 *
 * What must be the same before and after each input: descriptors and mappings, and a link that
 * nobody lies to, which goes on to work.
 */
#ifndef TESTS_FUZZ_STEADY_H
#define TESTS_FUZZ_STEADY_H

/* The first one opens what stays. */
void steady_begin(void);
/* Waits for the helper threads that close descriptors. */
void steady_end(void);

#endif
