/*
 * SPDX-License-Identifier: MIT
 *
 * CPUs: which ones this process may use, and keeping a thread on one.
 */
#ifndef PEAL_PERF_CPUS_H
#define PEAL_PERF_CPUS_H

#include <stdbool.h>
#include <stddef.h>

/* The first and the second allowed CPU; the same one twice, and returns 1, where there is but one.
 * Negative errno with a complaint. */
int cpus_default(int cpus[2]);

bool cpus_allowed(int cpu);

/* The allowed ones as "0-3,8", as far as it fits. */
void cpus_list(char *text, size_t size);

/* Instead of a CPU: wherever the thread is put. */
#define CPUS_ANY (-1)

/* Keeps the calling thread on a CPU. */
int cpus_pin(int cpu);

#endif
