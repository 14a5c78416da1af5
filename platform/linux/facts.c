/*
 * SPDX-License-Identifier: MIT
 *
 * What can be told about a Linux machine: kernel features, each of them tried, huge pages, NUMA,
 * placement, limits and capabilities. Nothing here decides anything.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#ifdef HAVE_LIBNUMA
#include <numa.h>
#endif
#ifdef HAVE_LIBCAP
#include <sys/capability.h>
#endif

#include "platform/platform.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

static void say(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text);
}

/* The first line of a file, or "" if it cannot be read. */
static void read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");

	line[0] = 0;
	if (!file)
		return;
	if (!fgets(line, (int)size, file))
		line[0] = 0;
	line[strcspn(line, "\n")] = 0;
	fclose(file);
}

/* What a trial came to: yes, or no and the errno; EPERM and ENOSYS are both "not here". */
static void tell_trial(struct platform_fact *fact, long result)
{
	if (result >= 0) {
		say(fact->value, sizeof(fact->value), "yes");
	} else {
		say(fact->value, sizeof(fact->value), "no");
		snprintf(fact->note, sizeof(fact->note), "%s", strerror(errno));
	}
}

static void kernel_release(struct platform_fact *fact)
{
	struct utsname name;

	if (!uname(&name))
		snprintf(fact->value, sizeof(fact->value), "%s %s", name.sysname, name.release);
}

static void try_memory(struct platform_fact *fact)
{
	const char *why;

	say(fact->value, sizeof(fact->value), platform_memory_ops[0]->usable(&why) ? "yes" : "no");
	say(fact->note, sizeof(fact->note), why);
}

static void try_futex(struct platform_fact *fact)
{
	static const uint32_t word;

	tell_trial(fact, syscall(SYS_futex, &word, FUTEX_WAKE, 0, NULL, NULL, 0));
}

static void try_futex_waitv(struct platform_fact *fact)
{
	long result = syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0);

	/* An empty list is refused by a kernel that knows the call. */
	tell_trial(fact, result < 0 && errno == EINVAL ? 0 : result);
}

static void try_membarrier(struct platform_fact *fact)
{
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	if (commands >= 0 && !(commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED)) {
		commands = -1;
		errno = ENOSYS;
	}
	tell_trial(fact, commands);
}

static void try_eventfd(struct platform_fact *fact)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	tell_trial(fact, fd);
	if (fd >= 0)
		close(fd);
}

static void try_pidfd(struct platform_fact *fact)
{
	long fd = syscall(SYS_pidfd_open, getpid(), 0);

	tell_trial(fact, fd);
	if (fd >= 0)
		close((int)fd);
}

static void page_size(struct platform_fact *fact)
{
	snprintf(fact->value, sizeof(fact->value), "%ld", sysconf(_SC_PAGESIZE));
	say(fact->note, sizeof(fact->note), "bytes");
}

static void huge_pools(struct platform_fact *fact)
{
	static const char folder[] = "/sys/kernel/mm/hugepages";
	DIR *pools = opendir(folder);
	struct dirent *pool;
	size_t used = 0;

	while (pools && (pool = readdir(pools))) {
		char path[PATH_MAX], total[32], unused[32];
		unsigned long kib;

		if (sscanf(pool->d_name, "hugepages-%lukB", &kib) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/%s/nr_hugepages", folder, pool->d_name);
		read_line(path, total, sizeof(total));
		snprintf(path, sizeof(path), "%s/%s/free_hugepages", folder, pool->d_name);
		read_line(path, unused, sizeof(unused));
		if (used < sizeof(fact->value))
			used += (size_t)snprintf(fact->value + used, sizeof(fact->value) - used,
						 "%s%lu KiB: %s free of %s", used ? ", " : "", kib,
						 unused, total);
	}
	if (pools)
		closedir(pools);
	if (!used)
		say(fact->value, sizeof(fact->value), "none");
}

static void thp_shmem(struct platform_fact *fact)
{
	read_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled", fact->value,
		  sizeof(fact->value));
	if (!fact->value[0])
		say(fact->value, sizeof(fact->value), "unknown");
}

static void cpus_allowed(struct platform_fact *fact)
{
	cpu_set_t allowed;
	size_t used = 0;

	if (sched_getaffinity(0, sizeof(allowed), &allowed)) {
		say(fact->value, sizeof(fact->value), "unknown");
		say(fact->note, sizeof(fact->note), strerror(errno));
		return;
	}
	for (unsigned first = 0; first < CPU_SETSIZE && used < sizeof(fact->value); first++) {
		unsigned last = first;

		if (!CPU_ISSET(first, &allowed))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &allowed))
			last++;
		used += (size_t)snprintf(fact->value + used, sizeof(fact->value) - used,
					 first == last ? "%s%u" : "%s%u-%u", used ? "," : "", first,
					 last);
		first = last;
	}
	snprintf(fact->note, sizeof(fact->note), "%d of %ld online", CPU_COUNT(&allowed),
		 sysconf(_SC_NPROCESSORS_ONLN));
}

static void numa_nodes(struct platform_fact *fact)
{
#ifdef HAVE_LIBNUMA
	if (numa_available() >= 0) {
		snprintf(fact->value, sizeof(fact->value), "%d", numa_num_configured_nodes());
		return;
	}
	say(fact->value, sizeof(fact->value), "1");
	say(fact->note, sizeof(fact->note), "the kernel has no NUMA calls");
#else
	say(fact->value, sizeof(fact->value), "unknown");
	say(fact->note, sizeof(fact->note), "built without libnuma");
#endif
}

static void limit(struct platform_fact *fact, int which)
{
	struct rlimit now;

	if (getrlimit(which, &now))
		return;
	if (now.rlim_cur == RLIM_INFINITY)
		say(fact->value, sizeof(fact->value), "unlimited");
	else
		snprintf(fact->value, sizeof(fact->value), "%llu",
			 (unsigned long long)now.rlim_cur);
	if (now.rlim_max != RLIM_INFINITY && now.rlim_max != now.rlim_cur)
		snprintf(fact->note, sizeof(fact->note), "hard limit %llu",
			 (unsigned long long)now.rlim_max);
}

static void limit_memlock(struct platform_fact *fact)
{
	limit(fact, RLIMIT_MEMLOCK);
	if (!fact->note[0])
		say(fact->note, sizeof(fact->note), "bytes");
}

static void limit_nofile(struct platform_fact *fact)
{
	limit(fact, RLIMIT_NOFILE);
}

static void limit_maps(struct platform_fact *fact)
{
	read_line("/proc/sys/vm/max_map_count", fact->value, sizeof(fact->value));
	say(fact->note, sizeof(fact->note), "4 a link");
}

static void limit_backlog(struct platform_fact *fact)
{
	read_line("/proc/sys/net/core/somaxconn", fact->value, sizeof(fact->value));
}

static void capabilities(struct platform_fact *fact)
{
#ifdef HAVE_LIBCAP
	static const struct {
		cap_value_t number;
		const char *name, *use;
	} useful[] = {
		{ CAP_IPC_LOCK, "CAP_IPC_LOCK", "lock more than memlock allows" },
		{ CAP_SYS_NICE, "CAP_SYS_NICE", "real-time priority and moving pages" },
		{ CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE", "raise hard limits" },
	};
	cap_t mine = cap_get_proc();
	size_t has = 0, lacks = 0;

	for (size_t i = 0; mine && i < sizeof(useful) / sizeof(useful[0]); i++) {
		cap_flag_value_t set = CAP_CLEAR;

		cap_get_flag(mine, useful[i].number, CAP_EFFECTIVE, &set);
		if (set == CAP_SET)
			has += (size_t)snprintf(fact->value + has, sizeof(fact->value) - has,
						"%s%s", has ? " " : "", useful[i].name);
		else
			lacks += (size_t)snprintf(fact->note + lacks, sizeof(fact->note) - lacks,
						  "%s%s would: %s", lacks ? ", " : "",
						  useful[i].name, useful[i].use);
	}
	if (mine)
		cap_free(mine);
	if (!has)
		say(fact->value, sizeof(fact->value), "none that would help");
#else
	say(fact->value, sizeof(fact->value), "unknown");
	say(fact->note, sizeof(fact->note), "built without libcap");
#endif
}

bool platform_fact(unsigned index, struct platform_fact *fact)
{
	static const struct {
		const char *group, *name;
		void (*tell)(struct platform_fact *fact);
	} facts[] = {
		{ "kernel", "release", kernel_release },
		{ "kernel", "sealed-memfd", try_memory },
		{ "kernel", "futex", try_futex },
		{ "kernel", "futex_waitv", try_futex_waitv },
		{ "kernel", "membarrier", try_membarrier },
		{ "kernel", "eventfd", try_eventfd },
		{ "kernel", "pidfd", try_pidfd },
		{ "memory", "page-size", page_size },
		{ "memory", "huge-page-pools", huge_pools },
		{ "memory", "thp-shmem", thp_shmem },
		{ "placement", "cpus-allowed", cpus_allowed },
		{ "placement", "numa-nodes", numa_nodes },
		{ "limits", "memlock", limit_memlock },
		{ "limits", "nofile", limit_nofile },
		{ "limits", "max-map-count", limit_maps },
		{ "limits", "somaxconn", limit_backlog },
		{ "limits", "capabilities", capabilities },
	};

	if (index >= sizeof(facts) / sizeof(facts[0]))
		return false;
	memset(fact, 0, sizeof(*fact));
	fact->group = facts[index].group;
	fact->name = facts[index].name;
	facts[index].tell(fact);
	return true;
}
