/*
 * SPDX-License-Identifier: MIT
 *
 * The demonstration: one table and one picture of what Peal does on this machine.
 */
#ifndef PEAL_PERF_DEMO_H
#define PEAL_PERF_DEMO_H

#include "options.h"
#include "results.h"

#define DEMO_DURATION_S 2.2 /* per size and test: 8 of them */

/* Sets what the demonstration shows if nothing is said. */
void demo_defaults(struct options *options);

void demo_print(const struct results *results, const struct options *options);

#endif
