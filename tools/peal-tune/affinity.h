/*
 * SPDX-License-Identifier: MIT
 *
 * Where a thread may run. It knows nothing of which CPUs are good for what.
 */
#ifndef PEAL_TUNE_AFFINITY_H
#define PEAL_TUNE_AFFINITY_H

#include <pthread.h>
#include <time.h>

#include "tools/peal-tune/parse.h"

/* Of the calling thread, and of what it starts from then on. 0 or a negative errno; -EINVAL: some
 * of them are offline, or kept from this process by its cpuset. */
int affinity_get(struct cpus *cpus);
int affinity_set(const struct cpus *cpus);

/* Joins a thread that may run on few CPUs. One that gets none of them until then, because something
 * of a higher class keeps them, may run where the caller may from then on. until: of
 * CLOCK_REALTIME. */
void affinity_join(pthread_t thread, const struct timespec *until);

/* To one CPU; -EINVAL also: there is no such number. */
int affinity_set_one(int cpu);

#endif
