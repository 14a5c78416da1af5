/*
 * SPDX-License-Identifier: MIT
 *
 * Choosing CPUs, apart from where they are read, so that tests can choose on machines that they
 * make up.
 */
#ifndef LIB_PLACEMENT_H
#define LIB_PLACEMENT_H

#include <peal/placement.h>

/* Fills in what these CPUs share, read from below a folder; NULL: the system's own. */
int placement_read(const char *system, const int32_t *numbers, unsigned count,
		   struct peal_cpu *cpus);

/* As peal_cpu_pair and peal_cpu_choose, among count CPUs, one at least, by ascending number. near
 * may be NULL. */
int placement_pair(const struct peal_cpu *cpus, unsigned count, enum peal_sharing sharing,
		   int pair[2]);
int placement_choose(const struct peal_cpu *cpus, unsigned count, const struct peal_cpu *near,
		     int *chosen, unsigned wanted);

#endif
