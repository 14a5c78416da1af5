/*
 * SPDX-License-Identifier: MIT
 *
 * Holdings, by what /proc and the memory controller say; both of its versions.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "holdings.h"

#define GROUP_STAT "memory.stat"

/* Where the memory controller may be: version 1, and version 2. */
static const char *const mounts[] = { "/sys/fs/cgroup/memory", "/sys/fs/cgroup" };

/* This process's own group, below a mount; "" if it is not told. version 2's has no name. */
static void own_group(bool named, char *path, size_t size)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	char line[512];

	path[0] = 0;
	while (file && fgets(line, sizeof(line), file)) {
		const char *controllers = strchr(line, ':');
		const char *group = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!group)
			continue;
		if (named ? !strncmp(controllers, ":memory:", 8) : group == controllers + 1)
			snprintf(path, size, "%.*s", (int)strcspn(group + 1, "\n"), group + 1);
	}
	if (file)
		fclose(file);
}

/* A group below another; it must have the memory controller. */
static bool make_below(struct holdings_group *group, const char *mount, const char *above)
{
	char file[sizeof(group->path) + sizeof(GROUP_STAT) + 1];

	if (snprintf(group->path, sizeof(group->path), "%s%s/peal-perf.%ld", mount, above,
		     (long)getpid()) >= (int)sizeof(group->path) ||
	    mkdir(group->path, 0755)) {
		group->path[0] = 0;
		return false;
	}
	snprintf(file, sizeof(file), "%s/" GROUP_STAT, group->path);
	if (!access(file, R_OK))
		return true;
	holdings_group_remove(group);
	return false;
}

bool holdings_group_make(struct holdings_group *group)
{
	for (unsigned i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		char own[160];

		own_group(i == 0, own, sizeof(own));
		if (make_below(group, mounts[i], own) || make_below(group, mounts[i], ""))
			return true;
	}
	return false;
}

bool holdings_group_take(const struct holdings_group *group, pid_t pid)
{
	char path[sizeof(group->path) + 16];
	bool taken;
	FILE *file;

	snprintf(path, sizeof(path), "%s/cgroup.procs", group->path);
	file = fopen(path, "we");
	if (!file)
		return false;
	taken = fprintf(file, "%ld\n", (long)pid) > 0;
	return !fclose(file) && taken;
}

void holdings_group_remove(struct holdings_group *group)
{
	/* A process that has just ended may be in it for a moment. */
	for (int i = 0; i < 100 && group->path[0] && rmdir(group->path) && errno == EBUSY; i++)
		usleep(10000);
	group->path[0] = 0;
}

/* The sum of the numbers behind some of the words that lines begin with; NAN if there is none. */
static double sum_of(const char *path, const char *const *words, double unit)
{
	FILE *file = fopen(path, "re");
	double sum = NAN;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		for (unsigned i = 0; words[i]; i++) {
			size_t length = strlen(words[i]);
			uint64_t number;

			if (!strncmp(line, words[i], length) &&
			    sscanf(line + length, "%" SCNu64, &number) == 1)
				sum = (isnan(sum) ? 0 : sum) + (double)number * unit;
		}
	}
	if (file)
		fclose(file);
	return sum;
}

static double count_entries(const char *path)
{
	DIR *folder = opendir(path);
	double count = 0;

	if (!folder)
		return NAN;
	for (const struct dirent *entry; (entry = readdir(folder));)
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count;
}

static double count_lines(const char *path)
{
	FILE *file = fopen(path, "re");
	double count = 0;

	if (!file)
		return NAN;
	for (int c; (c = getc(file)) != EOF;)
		count += c == '\n';
	fclose(file);
	return count;
}

/* What a group is charged with, but for cached files. */
static double charged(const struct holdings_group *group)
{
	/* Version 1 calls private memory rss, and counts the kernel's apart. In version 2 "kernel "
	 * is a sum (Linux 5.18), or has to be made one. */
	static const char *const stat[] = { "rss ", "anon ", "shmem ", "sock ", "kernel ", NULL };
	static const char *const kernel[] = { "kernel ", NULL };
	static const char *const pieces[] = { "kernel_stack ", "pagetables ", "percpu ", "slab ",
					      NULL };
	static const char *const any[] = { "", NULL };
	char path[sizeof(group->path) + 32];
	double sum, apart;

	snprintf(path, sizeof(path), "%s/" GROUP_STAT, group->path);
	sum = sum_of(path, stat, 1);
	if (isnan(sum_of(path, kernel, 1)) && !isnan(sum_of(path, pieces, 1)))
		sum += sum_of(path, pieces, 1);
	snprintf(path, sizeof(path), "%s/memory.kmem.usage_in_bytes", group->path);
	apart = sum_of(path, any, 1);
	return isnan(apart) ? sum : sum + apart;
}

/* Without a group: private memory, and all that the kernel has for itself. */
static double estimated(pid_t pid)
{
	static const char *const private[] = { "Anonymous:", NULL };
	static const char *const kernel[] = { "Slab:", "PageTables:", "KernelStack:", NULL };
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", (long)pid);
	return sum_of(path, private, 1024) + sum_of("/proc/meminfo", kernel, 1024);
}

void holdings_look(struct holdings *holdings, pid_t pid, const struct holdings_group *group)
{
	static const char *const resident[] = { "VmRSS:", NULL };
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/fd", (long)pid);
	holdings->descriptors = count_entries(path);
	snprintf(path, sizeof(path), "/proc/%ld/maps", (long)pid);
	holdings->mappings = count_lines(path);
	snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	holdings->resident = sum_of(path, resident, 1024);
	holdings->memory = group->path[0] ? charged(group) : estimated(pid);
}
