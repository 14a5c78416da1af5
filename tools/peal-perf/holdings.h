/*
 * SPDX-License-Identifier: MIT
 *
 * Holdings: what a process has of the system: descriptors, mappings, memory. It knows nothing of
 * what it is for.
 *
 * Memory is what the kernel charges to a control group that the process is alone in: its private
 * memory, the shared memory that it was the first to touch (so its own segments, and not those of
 * its peers), and the kernel's memory for it, sockets included. Where no such group can be made
 * (that takes root, as a rule) the process's private memory is told by its smaps_rollup, its
 * segments are counted by whoever knows of them, and the kernel's memory is that of the whole
 * machine, so what peers cost is in it.
 */
#ifndef PEAL_PERF_HOLDINGS_H
#define PEAL_PERF_HOLDINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A control group for memory; "" if there is none. */
struct holdings_group {
	char path[256];
};

/* NAN: cannot be told. */
struct holdings {
	double descriptors;
	double mappings;
	double resident; /* bytes: pages of peers' segments that it has touched, too */
	double memory;   /* bytes, of a group; else without segments */
};

/* Makes a group; false: none can be had here. */
bool holdings_group_make(struct holdings_group *group);

/* Moves a process into it: what it takes from now on is charged to the group. false: it cannot
 * be. */
bool holdings_group_take(const struct holdings_group *group, pid_t pid);

/* Removes it, once the process is gone. */
void holdings_group_remove(struct holdings_group *group);

/* Looks. group: the one that the process is in, or one without a path. */
void holdings_look(struct holdings *holdings, pid_t pid, const struct holdings_group *group);

#endif
