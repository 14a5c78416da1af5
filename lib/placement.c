/*
 * SPDX-License-Identifier: MIT
 *
 * Placement: enumerates CPUs, and chooses among them by what they share. The platform says what
 * there is; nothing is kept here.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/placement.h"
#include "platform/platform.h"

/* What programs pass is binary interface. */
#define CPU(field, offset) \
	_Static_assert(offsetof(struct peal_cpu, field) == (offset), "binary interface, version 1")
CPU(number, 0);
CPU(allowed, 4);
CPU(core, 8);
CPU(cache, 12);
CPU(node, 16);
CPU(package, 20);
CPU(capacity, 24);
CPU(cache_level, 28);
CPU(cache_size, 32);
_Static_assert(sizeof(struct peal_cpu) == 40, "binary interface, version 1");
_Static_assert(PEAL_SAME_CPU == 0, "binary interface, version 1");
_Static_assert(PEAL_SAME_CORE == 1, "binary interface, version 1");
_Static_assert(PEAL_SAME_LLC == 2, "binary interface, version 1");
_Static_assert(PEAL_SAME_NODE == 3, "binary interface, version 1");
_Static_assert(PEAL_OTHER_NODE == 4, "binary interface, version 1");

#define SHARINGS 5u

struct peal_affinity {
	int32_t *cpus;
	unsigned count;
};

/*
 * What there is.
 */

/* The sentence for what a system call on the affinity mask, or the reading of files, answers. */
static void explain(int err, const char *what)
{
	switch (err) {
	case -EPERM:
	case -EACCES:
	case -ENOSYS:
		error_set(
			err,
			"%s is forbidden here (errno %d): allow it in the filter (seccomp) of the container or service, or do without placement",
			what, -err);
		break;
	case -EMFILE:
	case -ENFILE:
		error_literal(err,
			      "no descriptor to read what CPUs share: raise the limit (ulimit -n)");
		break;
	case -ENOMEM:
		error_literal(err, "no memory to tell CPUs apart: free some");
		break;
	default:
		error_set(err, "%s failed (errno %d): see errno(3)", what, -err);
	}
}

/* The numbers of the CPUs that may be used, at least one, to be freed. */
static int allowed_numbers(int32_t **numbers, unsigned *count)
{
	int found = platform_allowed(numbers);

	if (found < 0) {
		explain(found, "sched_getaffinity");
		return found;
	}
	*count = (unsigned)found;
	if (found)
		return 0;
	free(*numbers);
	error_literal(
		-ENOENT,
		"this thread may use no CPU: see its affinity mask and its cpuset (taskset -p)");
	return -ENOENT;
}

static bool is_among(const int32_t *numbers, unsigned count, int32_t number)
{
	for (unsigned i = 0; i < count; i++)
		if (numbers[i] == number)
			return true;
	return false;
}

static void take(struct peal_cpu *cpu, const struct platform_cpu *told, bool allowed)
{
	*cpu = (struct peal_cpu){
		.number = told->number,
		.allowed = allowed,
		.core = told->core,
		.cache = told->cache,
		.node = told->node,
		.package = told->package,
		.capacity = told->capacity,
		.cache_level = told->cache_level,
		.cache_size = told->cache_size,
	};
}

int placement_read(const char *system, const int32_t *numbers, unsigned count,
		   struct peal_cpu *cpus)
{
	for (unsigned i = 0; i < count; i++) {
		struct platform_cpu told;
		int err = platform_cpu(system, numbers[i], &told);

		/* One that has just gone, or no /sys: what is told is nothing. */
		if (err && err != -ENOENT) {
			explain(err, "reading /sys/devices/system/cpu");
			return err;
		}
		take(&cpus[i], &told, true);
	}
	return 0;
}

/* All CPUs that may be used, at least one, to be freed. */
static int allowed_cpus(struct peal_cpu **cpus, unsigned *count)
{
	int32_t *numbers;
	int err = allowed_numbers(&numbers, count);

	if (err)
		return err;
	*cpus = calloc(*count, sizeof(**cpus));
	if (*cpus) {
		err = placement_read(NULL, numbers, *count, *cpus);
		if (err)
			free(*cpus);
	} else {
		err = -ENOMEM;
		explain(err, "calloc");
	}
	free(numbers);
	return err;
}

int peal_cpu_list(struct peal_cpu *cpus, unsigned most)
{
	int32_t *numbers;
	unsigned count;
	int err = allowed_numbers(&numbers, &count);

	if (err)
		return err;
	err = placement_read(NULL, numbers, count < most ? count : most, cpus);
	free(numbers);
	return err ? err : (int)count;
}

int peal_cpu_find(int number, struct peal_cpu *cpu)
{
	char list[128];
	struct platform_cpu told;
	int32_t *numbers;
	unsigned count;
	int err = allowed_numbers(&numbers, &count);
	bool allowed;

	if (err)
		return err;
	allowed = is_among(numbers, count, number);
	err = number < 0 ? -ENOENT : platform_cpu(NULL, number, &told);
	if (!err || (err == -ENOENT && allowed)) {
		take(cpu, &told, allowed);
		err = 0;
	} else if (err == -ENOENT) {
		platform_cpu_list(list, sizeof(list), numbers, count);
		error_set(err, "no CPU %d is online, as far as /sys tells: this thread may use %s",
			  number, list);
	} else {
		explain(err, "reading /sys/devices/system/cpu");
	}
	free(numbers);
	return err;
}

/*
 * Choosing.
 */

/* The node comes before the cache: where nodes divide a package, some systems say that its cache
 * is one, though each node has its own part of it. */
enum peal_sharing peal_cpu_sharing(const struct peal_cpu *a, const struct peal_cpu *b)
{
	if (a->number == b->number)
		return PEAL_SAME_CPU;
	if (a->core >= 0 && a->core == b->core)
		return PEAL_SAME_CORE;
	if (a->node >= 0 && b->node >= 0 && a->node != b->node)
		return PEAL_OTHER_NODE;
	if (a->cache >= 0 && a->cache == b->cache && a->cache_level == b->cache_level)
		return PEAL_SAME_LLC;
	return PEAL_SAME_NODE;
}

int placement_pair(const struct peal_cpu *cpus, unsigned count, enum peal_sharing sharing,
		   int pair[2])
{
	static const uint8_t orders[SHARINGS][SHARINGS] = {
		[PEAL_SAME_CPU] = { PEAL_SAME_CPU },
		[PEAL_SAME_CORE] = { PEAL_SAME_CORE, PEAL_SAME_LLC, PEAL_SAME_NODE, PEAL_OTHER_NODE,
				     PEAL_SAME_CPU },
		[PEAL_SAME_LLC] = { PEAL_SAME_LLC, PEAL_SAME_NODE, PEAL_SAME_CORE, PEAL_OTHER_NODE,
				    PEAL_SAME_CPU },
		[PEAL_SAME_NODE] = { PEAL_SAME_NODE, PEAL_SAME_LLC, PEAL_SAME_CORE, PEAL_OTHER_NODE,
				     PEAL_SAME_CPU },
		[PEAL_OTHER_NODE] = { PEAL_OTHER_NODE, PEAL_SAME_NODE, PEAL_SAME_LLC,
				      PEAL_SAME_CORE, PEAL_SAME_CPU },
	};
	/* The best pair of each kind; a capacity of -2: there is none. */
	struct {
		int32_t capacity;
		int pair[2];
	} best[SHARINGS];
	unsigned i = 0;

	for (unsigned kind = 0; kind < SHARINGS; kind++)
		best[kind].capacity = -2;
	for (const struct peal_cpu *a = cpus; a < cpus + count; a++) {
		for (const struct peal_cpu *b = a; b < cpus + count; b++) {
			enum peal_sharing kind = peal_cpu_sharing(a, b);
			int32_t capacity = a->capacity < b->capacity ? a->capacity : b->capacity;

			if (capacity <= best[kind].capacity)
				continue;
			best[kind].capacity = capacity;
			best[kind].pair[0] = a->number;
			best[kind].pair[1] = b->number;
		}
	}
	while (best[orders[sharing][i]].capacity < -1)
		i++;
	memcpy(pair, best[orders[sharing][i]].pair, sizeof(best[0].pair));
	return orders[sharing][i];
}

int peal_cpu_pair(enum peal_sharing sharing, int pair[2])
{
	struct peal_cpu *cpus;
	unsigned count;
	int got;

	if ((unsigned)sharing >= SHARINGS)
		return error_set(-EINVAL, "sharing is %d: pass one of enum peal_sharing, 0 to %u",
				 (int)sharing, SHARINGS - 1);
	got = allowed_cpus(&cpus, &count);
	if (got)
		return got;
	got = placement_pair(cpus, count, sharing, pair);
	free(cpus);
	return got;
}

/* A CPU, and how soon it is chosen: the lower, the sooner. */
struct candidate {
	const struct peal_cpu *cpu;
	unsigned turn;     /* how many of its core come before it */
	unsigned distance; /* from what it is to be near */
};

static int compare(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;

	if (a->turn != b->turn)
		return a->turn < b->turn ? -1 : 1;
	if (a->distance != b->distance)
		return a->distance < b->distance ? -1 : 1;
	if (a->cpu->capacity != b->cpu->capacity)
		return a->cpu->capacity > b->cpu->capacity ? -1 : 1;
	return a->cpu->number < b->cpu->number ? -1 : 1;
}

/* Twice what they share: of other nodes, those of the same package are nearer. */
static unsigned distance(const struct peal_cpu *a, const struct peal_cpu *b)
{
	unsigned sharing = (unsigned)peal_cpu_sharing(a, b);

	return 2 * sharing + (a->package != b->package);
}

int placement_choose(const struct peal_cpu *cpus, unsigned count, const struct peal_cpu *near,
		     int *chosen, unsigned wanted)
{
	struct candidate *candidates = calloc(count, sizeof(*candidates));
	const struct peal_cpu *centre = near;

	if (!candidates) {
		explain(-ENOMEM, "calloc");
		return -ENOMEM;
	}
	/* Near each other is near the one with most capacity. */
	for (unsigned i = 0; !near && i < count; i++)
		if (!centre || cpus[i].capacity > centre->capacity)
			centre = &cpus[i];
	for (unsigned i = 0; i < count; i++) {
		struct candidate *candidate = &candidates[i];
		const struct peal_cpu *cpu = candidate->cpu = &cpus[i];

		candidate->distance = distance(cpu, centre);
		if (near && near->number == cpu->number) {
			candidate->turn = UINT_MAX;
			continue;
		}
		if (cpu->core < 0)
			continue;
		candidate->turn = near && near->core == cpu->core;
		for (unsigned j = 0; j < i; j++)
			candidate->turn += cpus[j].core == cpu->core &&
					   (!near || near->number != cpus[j].number);
	}
	qsort(candidates, count, sizeof(*candidates), compare);
	for (unsigned i = 0; i < wanted; i++)
		chosen[i] = candidates[i % count].cpu->number;
	free(candidates);
	return (int)(wanted < count ? wanted : count);
}

/* What is known of a node: its number, and the package of one of its CPUs. */
static struct peal_cpu node_as_cpu(const struct peal_cpu *cpus, unsigned count, int node)
{
	struct peal_cpu near = { -1, 0, -1, -1, node, -1, -1, 0, 0 };

	for (unsigned i = 0; i < count; i++)
		if (cpus[i].node == node)
			near.package = cpus[i].package;
	return near;
}

int peal_cpu_choose(int *chosen, unsigned wanted, int near_cpu, int near_node)
{
	struct peal_cpu near, *cpus;
	unsigned count;
	int err;

	if (near_cpu < -1 || near_node < -1)
		return error_set(-EINVAL,
				 "near_cpu is %d and near_node %d: pass numbers from 0 on, or -1",
				 near_cpu, near_node);
	if (wanted > INT_MAX)
		return error_set(-EINVAL, "%u CPUs are wanted: ask for %d at most", wanted,
				 INT_MAX);
	err = allowed_cpus(&cpus, &count);
	if (err)
		return err;
	if (near_cpu >= 0)
		err = peal_cpu_find(near_cpu, &near);
	else if (near_node >= 0)
		near = node_as_cpu(cpus, count, near_node);
	if (!err)
		err = placement_choose(cpus, count, near_cpu >= 0 || near_node >= 0 ? &near : NULL,
				       chosen, wanted);
	free(cpus);
	return err;
}

/*
 * Pinning.
 */

static void affinity_free(struct peal_affinity *affinity)
{
	if (affinity)
		free(affinity->cpus);
	free(affinity);
}

static int affinity_now(struct peal_affinity **affinity)
{
	struct peal_affinity *now = calloc(1, sizeof(*now));
	int err;

	if (!now) {
		explain(-ENOMEM, "calloc");
		return -ENOMEM;
	}
	err = allowed_numbers(&now->cpus, &now->count);
	if (err)
		free(now);
	else
		*affinity = now;
	return err;
}

int peal_cpu_pin(int number, struct peal_affinity **before)
{
	const int32_t only = number;
	struct peal_affinity *now = NULL;
	int err = before ? affinity_now(&now) : 0;

	if (err)
		return err;
	err = platform_pin(&only, 1);
	if (err) {
		affinity_free(now);
		if (err == -EINVAL)
			return error_set(
				err,
				"CPU %d is not online, or not in this thread's cpuset: choose another (peal_cpu_list), or change the cpuset",
				number);
		explain(err, "sched_setaffinity");
		return err;
	}
	if (before)
		*before = now;
	return 0;
}

int peal_cpu_unpin(struct peal_affinity *before)
{
	int err = before ? platform_pin(before->cpus, before->count) : 0;
	char list[128];

	if (err == -EINVAL) {
		platform_cpu_list(list, sizeof(list), before->cpus, before->count);
		error_set(
			err,
			"none of the CPUs %s is online and in this thread's cpuset any more: change the cpuset",
			list);
	} else if (err) {
		explain(err, "sched_setaffinity");
	}
	affinity_free(before);
	return err;
}
