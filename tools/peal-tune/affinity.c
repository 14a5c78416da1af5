/*
 * SPDX-License-Identifier: MIT
 *
 * Affinity of threads, for more CPUs than a cpu_set_t has bits.
 */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "tools/peal-tune/affinity.h"

int affinity_get(struct cpus *cpus)
{
	memset(cpus, 0, sizeof(*cpus));
	return sched_getaffinity(0, sizeof(*cpus), (cpu_set_t *)(void *)cpus) ? -errno : 0;
}

/* The kernel leaves out what is not allowed, without a word, as long as something is left. */
int affinity_set(const struct cpus *cpus)
{
	struct cpus now;
	int err;

	if (sched_setaffinity(0, sizeof(*cpus), (const cpu_set_t *)(const void *)cpus))
		return -errno;
	err = affinity_get(&now);
	if (err)
		return err;
	return memcmp(&now, cpus, sizeof(now)) ? -EINVAL : 0;
}

int affinity_set_one(int cpu)
{
	struct cpus one = { { 0 } };

	if (cpu < 0 || (unsigned)cpu >= CPUS_MAX)
		return -EINVAL;
	one.bits[cpu / 64] = UINT64_C(1) << cpu % 64;
	return affinity_set(&one);
}

void affinity_join(pthread_t thread, const struct timespec *until)
{
	struct cpus own;

	if (!pthread_timedjoin_np(thread, NULL, until))
		return;
	if (!affinity_get(&own))
		pthread_setaffinity_np(thread, sizeof(own), (const cpu_set_t *)(const void *)&own);
	pthread_join(thread, NULL);
}
