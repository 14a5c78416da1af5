/*
 * SPDX-License-Identifier: MIT
 *
 * The checks that are functions, by the file that they are in; their rows are in checks.c.
 */
#ifndef PEAL_TUNE_LOOK_H
#define PEAL_TUNE_LOOK_H

#include "tools/peal-tune/check.h"

typedef void look(const struct check *check, const struct machine *machine,
		  struct findings *findings);

/* What a client costs with rings of the default size, as docs/performance.md has it: each side's
 * ring and page, and what the kernel keeps; descriptors and mappings are those of the server. */
#define RING_BYTES UINT64_C(65536)
#define RING_PAGES_BYTES (RING_BYTES + 4096)
#define CLIENT_BYTES (2 * RING_PAGES_BYTES + 16384)
#define CLIENT_DESCRIPTORS 2
#define CLIENT_MAPPINGS 4

/* A file with a number or a word for none. */
int read_limit(const struct machine *machine, const char *path, uint64_t *limit);
/* KiB of the pages that hugetlb gives where no size is said, and Peal by default. */
uint64_t default_kib(const struct machine *machine);
/* What the control groups leave, of the limit that leaves least: this group's and those above it,
 * by whatever file. UINT64_MAX: none limits. err: of reading it. */
struct room {
	char path[CGROUP_PATH]; /* of the limit; "": no group has such a file */
	uint64_t limit, bytes;
	int err;
};

/* For pages of this size. */
void find_huge_room(const struct machine *machine, uint64_t kib, struct room *least);
/* A row of the process's limits; path becomes where it was read. */
int read_rlimit(const struct machine *machine, const char *name, char path[64], uint64_t *soft,
		uint64_t *hard);
/* Has the process this one (a CAP_* of linux/capability.h), and not in a user namespace only? */
bool has_capability(const struct machine *machine, unsigned capability);
/* The mend of a limit: the shell's own (option is ulimit's, in units of so many bytes), where the
 * hard one leaves room, else prlimit's and a line of limits.d (name). */
void fix_rlimit(struct finding *finding, const struct machine *machine, const char *option,
		const char *name, unsigned unit, uint64_t want, uint64_t hard);

/* checks.c: by the row's file and rule */
look look_row;

/* check_memory.c */
look look_huge_pools;
look look_hugetlb_cgroup;
look look_thp_shmem;
look look_memlock;
look look_memory_cgroup;
look look_swappiness;

/* check_limits.c */
look look_nofile;
look look_file_max;
look look_max_map_count;
look look_pipe_pages;
look look_hypervisor;
look look_container;
look look_seccomp;
look look_capabilities;

/* check_cpu.c */
look look_cpus_allowed, look_cpu_quota, look_smt, look_shared_cache, look_core_kinds;
look look_cpu_nodes, look_isolated, look_nohz_full;

/* A finding about such CPUs, which are its scope. */
struct finding *look_add_cpus(const struct check *check, struct findings *findings,
			      const struct cpus *cpus, enum status status, const char *source);
/* The CPUs that are to be kept free of what disturbs: --cpus, or else those that are isolated.
 * false: there are none, or nothing is left beside them. */
bool look_quiet(const struct machine *machine, struct cpus *quiet);
/* Those that are isolated, at boot or by a cpuset partition since. 0 or a negative errno. */
int look_isolated_cpus(const struct machine *machine, struct cpus *isolated);

/* check_frequency.c */
look look_each_cpu, look_boost, look_frequency_limit;

/* check_idle.c */
look look_idle_driver, look_idle_states, look_halt_poll, look_umwait;

/* check_kernel.c */
look look_clocksource, look_irq_affinity, look_mask, look_irqbalance, look_rt_throttling;
look look_steal;

/* check_process.c */
look look_rtprio, look_ring_nodes, look_ring_pages;

#endif
