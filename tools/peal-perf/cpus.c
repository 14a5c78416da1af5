/*
 * SPDX-License-Identifier: MIT
 *
 * CPUs: the affinity mask, of machines up to 8192 of them.
 */
#include "config.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "complaint.h"
#include "cpus.h"

#define LARGEST 8192

/* The calling thread's mask, to be freed with CPU_FREE; NULL: it cannot be had. */
static cpu_set_t *mask_get(void)
{
	size_t size = CPU_ALLOC_SIZE(LARGEST);
	cpu_set_t *mask = CPU_ALLOC(LARGEST);

	if (mask && sched_getaffinity(0, size, mask)) {
		CPU_FREE(mask);
		return NULL;
	}
	return mask;
}

static bool has(const cpu_set_t *mask, int cpu)
{
	return cpu >= 0 && cpu < LARGEST && CPU_ISSET_S((size_t)cpu, CPU_ALLOC_SIZE(LARGEST), mask);
}

bool cpus_allowed(int cpu)
{
	cpu_set_t *mask = mask_get();
	bool allowed = mask && has(mask, cpu);

	CPU_FREE(mask);
	return allowed;
}

int cpus_default(int cpus[2])
{
	cpu_set_t *mask = mask_get();
	int found = 0;

	if (!mask)
		return complain_errno("reading the affinity mask");
	for (int cpu = 0; cpu < LARGEST && found < 2; cpu++)
		if (has(mask, cpu))
			cpus[found++] = cpu;
	CPU_FREE(mask);
	if (found == 2)
		return 0;
	cpus[1] = cpus[0];
	return 1;
}

void cpus_list(char *text, size_t size)
{
	cpu_set_t *mask = mask_get();
	size_t used = 0;

	text[0] = 0;
	for (int cpu = 0; mask && cpu < LARGEST; cpu++) {
		int first = cpu;
		int written;

		if (!has(mask, cpu))
			continue;
		while (has(mask, cpu + 1))
			cpu++;
		written = snprintf(text + used, size - used, first == cpu ? "%s%d" : "%s%d-%d",
				   used ? "," : "", first, cpu);
		if (written < 0 || (size_t)written >= size - used) {
			text[used] = 0;
			break;
		}
		used += (size_t)written;
	}
	CPU_FREE(mask);
}

int cpus_pin(int cpu)
{
	size_t size = CPU_ALLOC_SIZE(LARGEST);
	cpu_set_t *mask = CPU_ALLOC(LARGEST);
	int err = 0;

	if (!mask)
		return complain_errno("pinning to CPU %d", cpu);
	CPU_ZERO_S(size, mask);
	CPU_SET_S((size_t)cpu, size, mask);
	if (sched_setaffinity(0, size, mask))
		err = complain_errno("pinning to CPU %d", cpu);
	CPU_FREE(mask);
	return err;
}
