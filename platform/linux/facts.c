/*
 * SPDX-License-Identifier: MIT
 *
 * What the library uses of a Linux machine: kernel features, each of them tried, huge pages, NUMA,
 * placement, limits and capabilities; and how all facts are told. Nothing here decides anything.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#ifdef HAVE_LIBCAP
#include <sys/capability.h>
#endif

#include "platform/linux/facts.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

void fact_say(struct platform_fact *fact, const char *value)
{
	snprintf(fact->value, sizeof(fact->value), "%s", value);
}

void fact_note(struct platform_fact *fact, const char *note)
{
	snprintf(fact->note, sizeof(fact->note), "%s", note);
}

void fact_add(struct platform_fact *fact, const char *format, ...)
{
	size_t used = strlen(fact->value);
	va_list arguments;

	if (used && used + 1 < sizeof(fact->value))
		fact->value[used++] = ' ';
	va_start(arguments, format);
	vsnprintf(fact->value + used, sizeof(fact->value) - used, format, arguments);
	va_end(arguments);
}

int fact_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = fd < 0 ? -errno : 0;
	ssize_t length = 0;
	size_t used = 0;

	while (!err && used + 1 < size) {
		length = read(fd, text + used, size - 1 - used);
		if (length < 0)
			err = -errno;
		if (length <= 0)
			break;
		used += (size_t)length;
	}
	while (used && strchr(" \t\n", text[used - 1]))
		used--;
	text[used] = 0;
	if (fd >= 0)
		close(fd);
	return err;
}

void fact_read_line(const char *path, char *line, size_t size)
{
	fact_read(path, line, size);
	line[strcspn(line, "\n")] = 0;
}

void fact_cannot(struct platform_fact *fact, const char *path, int err)
{
	if (err == -ENOENT || err == -ENOTDIR) {
		fact_say(fact, "absent");
		snprintf(fact->note, sizeof(fact->note), "no %s", path);
	} else {
		fact_say(fact, "unreadable");
		snprintf(fact->note, sizeof(fact->note), "%s: %s", path, strerror(-err));
	}
}

void fact_tell_file(struct platform_fact *fact, const char *path)
{
	int err = fact_read(path, fact->value, sizeof(fact->value));

	fact->value[strcspn(fact->value, "\n")] = 0;
	if (err)
		fact_cannot(fact, path, err);
	else if (!fact->value[0])
		fact_say(fact, "empty");
}

int fact_status(const char *name, char *value, size_t size)
{
	FILE *file = fopen("/proc/self/status", "re");
	size_t length = strlen(name);
	char line[256];
	int err = file ? -ENOENT : -errno;

	while (err && file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, length) != 0 || line[length] != ':')
			continue;
		line[strcspn(line, "\n")] = 0;
		snprintf(value, size, "%s", line + length + 1 + strspn(line + length + 1, " \t"));
		err = 0;
	}
	if (file)
		fclose(file);
	return err;
}

/* What a trial came to: yes, or no and the errno; EPERM and ENOSYS are both "not here". */
static void tell_trial(struct platform_fact *fact, long result)
{
	if (result >= 0) {
		fact_say(fact, "yes");
	} else {
		fact_say(fact, "no");
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

	fact_say(fact, platform_memory_ops[0]->usable(&why) ? "yes" : "no");
	fact_note(fact, why);
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
	fact_note(fact, "bytes");
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
		fact_read_line(path, total, sizeof(total));
		snprintf(path, sizeof(path), "%s/%s/free_hugepages", folder, pool->d_name);
		fact_read_line(path, unused, sizeof(unused));
		if (used < sizeof(fact->value))
			used += (size_t)snprintf(fact->value + used, sizeof(fact->value) - used,
						 "%s%lu KiB: %s free of %s", used ? ", " : "", kib,
						 unused, total);
	}
	if (pools)
		closedir(pools);
	if (!used)
		fact_say(fact, "none");
}

/* The word in brackets, of the line in a file. */
static const char *chosen(const char *path, char *line, size_t size)
{
	char *word;

	fact_read_line(path, line, size);
	word = strchr(line, '[');
	if (!word)
		return "not told";
	word[strcspn(word, "]")] = 0;
	return word + 1;
}

/* Since Linux 6.11 each size has its own word, which may be to inherit the common one. */
static void thp_shmem(struct platform_fact *fact)
{
	static const char folder[] = "/sys/kernel/mm/transparent_hugepage";
	unsigned long long kib = platform_huge_size() >> 10;
	char path[128], all[128], own[128];
	const char *why;

	fact_say(fact, platform_transparent(&why) ? "yes" : "no");
	snprintf(path, sizeof(path), "%s/shmem_enabled", folder);
	if (why && access(path, R_OK)) {
		fact_note(fact, why);
		return;
	}
	why = chosen(path, all, sizeof(all));
	snprintf(path, sizeof(path), "%s/hugepages-%llukB/shmem_enabled", folder, kib);
	snprintf(fact->note, sizeof(fact->note), "shmem_enabled is %s, that of %llu KiB %s", why,
		 kib, chosen(path, own, sizeof(own)));
}

static void thp_anonymous(struct platform_fact *fact)
{
	fact_tell_file(fact, "/sys/kernel/mm/transparent_hugepage/enabled");
}

static void cpus_allowed(struct platform_fact *fact)
{
	char online[128];
	int32_t *numbers;
	int count = platform_allowed(&numbers);

	if (count < 0) {
		fact_say(fact, "unknown");
		fact_note(fact, strerror(-count));
		return;
	}
	platform_cpu_list(fact->value, sizeof(fact->value), numbers, (unsigned)count);
	/* What sysconf says comes from the affinity mask, here and there. */
	fact_read_line("/sys/devices/system/cpu/online", online, sizeof(online));
	snprintf(fact->note, sizeof(fact->note), "%d; online are %s", count,
		 online[0] ? online : "not told");
	free(numbers);
}

/* Something that CPUs may have in common: the word that tells which, and what its number, of
 * another word, is written behind; NULL: it has none. */
struct grouping {
	size_t which;
	const char *label;
	size_t number;
};

static int32_t word_of(const struct platform_cpu *cpu, size_t offset)
{
	int32_t word;

	memcpy(&word, (const char *)cpu + offset, sizeof(word));
	return word;
}

/* Adds the group of the first CPU to the text, with those behind it that are of the same. members
 * has room for all. */
static void add_group(char *text, size_t size, const struct grouping *grouping,
		      const struct platform_cpu *cpus, unsigned count, int32_t *members)
{
	int32_t which = word_of(cpus, grouping->which);
	size_t used = strlen(text);
	char name[32] = "", list[160];
	unsigned found = 0;

	for (unsigned i = 0; i < count; i++)
		if (word_of(&cpus[i], grouping->which) == which)
			members[found++] = cpus[i].number;
	platform_cpu_list(list, sizeof(list), members, found);
	if (which < 0)
		snprintf(name, sizeof(name), "unknown:");
	else if (grouping->label)
		snprintf(name, sizeof(name), "%s%d:", grouping->label,
			 word_of(cpus, grouping->number));
	if (used + strlen(name) + strlen(list) + sizeof("  ...") <= size)
		snprintf(text + used, size - used, "%s%s%s", used ? " " : "", name, list);
	else if (strcmp(text + used - 4, " ...") != 0)
		snprintf(text + used, size - used, " ...");
}

/* The allowed CPUs by what they have in common; what none has is unknown. */
static void tell_groups(struct platform_fact *fact, const struct grouping *grouping)
{
	int32_t *numbers = NULL;
	int count = platform_allowed(&numbers);
	struct platform_cpu *cpus = count > 0 ? calloc((size_t)count, sizeof(*cpus)) : NULL;
	bool known = false;

	for (int i = 0; cpus && i < count; i++) {
		platform_cpu(NULL, numbers[i], &cpus[i]);
		known |= word_of(&cpus[i], grouping->which) >= 0;
	}
	for (int i = 0; known && i < count; i++) {
		int first = 0;

		while (word_of(&cpus[first], grouping->which) != word_of(&cpus[i], grouping->which))
			first++;
		if (first == i)
			add_group(fact->value, sizeof(fact->value), grouping, &cpus[i],
				  (unsigned)(count - i), numbers);
	}
	if (!known)
		fact_say(fact, "unknown");
	else if (cpus[0].cache_size && grouping->which == offsetof(struct platform_cpu, cache))
		snprintf(fact->note, sizeof(fact->note), "the first has %llu KiB",
			 (unsigned long long)(cpus[0].cache_size >> 10));
	free(cpus);
	if (count >= 0)
		free(numbers);
}

#define GROUPING(which, label, number)                                                             \
	{                                                                                          \
		offsetof(struct platform_cpu, which), label, offsetof(struct platform_cpu, number) \
	}

static void cores(struct platform_fact *fact)
{
	static const struct grouping core = GROUPING(core, NULL, core);

	tell_groups(fact, &core);
}

static void caches(struct platform_fact *fact)
{
	static const struct grouping cache = GROUPING(cache, "L", cache_level);

	tell_groups(fact, &cache);
}

static void nodes(struct platform_fact *fact)
{
	static const struct grouping node = GROUPING(node, "node", node);

	tell_groups(fact, &node);
}

static void packages(struct platform_fact *fact)
{
	static const struct grouping package = GROUPING(package, "package", package);

	tell_groups(fact, &package);
}

static void capacities(struct platform_fact *fact)
{
	static const struct grouping capacity = GROUPING(capacity, "", capacity);

	tell_groups(fact, &capacity);
}

static void nodes_allowed(struct platform_fact *fact)
{
	int err = fact_status("Mems_allowed_list", fact->value, sizeof(fact->value));

	if (err)
		fact_cannot(fact, "Mems_allowed_list in /proc/self/status", err);
}

static void scheduling(struct platform_fact *fact)
{
	static const char *const policies[] = { "other", "fifo", "round robin", "batch",
						NULL,    "idle", "deadline",    "extensible" };
	/* Not every C library has a function for it. */
	long policy = syscall(SYS_sched_getscheduler, 0);
	int niceness;

	errno = policy < 0 ? errno : 0;
	niceness = errno ? 0 : getpriority(PRIO_PROCESS, 0);
	if (errno) {
		fact_say(fact, "unknown");
		fact_note(fact, strerror(errno));
		return;
	}
	policy &= ~(long)SCHED_RESET_ON_FORK;
	if (policy < (long)(sizeof(policies) / sizeof(policies[0])) && policies[policy])
		fact_add(fact, "%s, nice %d", policies[policy], niceness);
	else
		fact_add(fact, "policy %ld, nice %d", policy, niceness);
	fact_note(fact, "of this process");
}

/* The type of what getrlimit is asked for is another one in each C library. */
#define LIMIT(fact, which)                      \
	do {                                    \
		struct rlimit now;              \
		if (!getrlimit(which, &now))    \
			tell_limit(fact, &now); \
	} while (0)

static void tell_limit(struct platform_fact *fact, const struct rlimit *now)
{
	if (now->rlim_cur == RLIM_INFINITY)
		fact_say(fact, "unlimited");
	else
		snprintf(fact->value, sizeof(fact->value), "%llu",
			 (unsigned long long)now->rlim_cur);
	if (now->rlim_max != RLIM_INFINITY && now->rlim_max != now->rlim_cur)
		snprintf(fact->note, sizeof(fact->note), "hard limit %llu",
			 (unsigned long long)now->rlim_max);
}

static void limit_memlock(struct platform_fact *fact)
{
	LIMIT(fact, RLIMIT_MEMLOCK);
	if (!fact->note[0])
		fact_note(fact, "bytes");
}

static void limit_nofile(struct platform_fact *fact)
{
	LIMIT(fact, RLIMIT_NOFILE);
}

static void limit_file(struct platform_fact *fact)
{
	LIMIT(fact, RLIMIT_FSIZE);
	if (!fact->note[0])
		fact_note(fact, "bytes, of a ring too");
}

static void limit_space(struct platform_fact *fact)
{
	LIMIT(fact, RLIMIT_AS);
	if (!fact->note[0])
		fact_note(fact, "bytes of address space");
}

static void limit_maps(struct platform_fact *fact)
{
	fact_tell_file(fact, "/proc/sys/vm/max_map_count");
	if (!fact->note[0])
		fact_note(fact, "4 a link");
}

static void limit_backlog(struct platform_fact *fact)
{
	fact_tell_file(fact, "/proc/sys/net/core/somaxconn");
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
		fact_say(fact, "none that would help");
#else
	fact_say(fact, "unknown");
	fact_note(fact, "built without libcap");
#endif
}

static const struct fact_source own_facts[] = {
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
	{ "memory", "thp-anonymous", thp_anonymous },
	{ "placement", "cpus-allowed", cpus_allowed },
	{ "placement", "cores", cores },
	{ "placement", "caches", caches },
	{ "placement", "numa-nodes", nodes },
	{ "placement", "packages", packages },
	{ "placement", "capacities", capacities },
	{ "placement", "nodes-allowed", nodes_allowed },
	{ "placement", "scheduling", scheduling },
	{ "limits", "memlock", limit_memlock },
	{ "limits", "nofile", limit_nofile },
	{ "limits", "file-size", limit_file },
	{ "limits", "address-space", limit_space },
	{ "limits", "max-map-count", limit_maps },
	{ "limits", "somaxconn", limit_backlog },
	{ "limits", "capabilities", capabilities },
	{ NULL, NULL, NULL },
};

bool platform_fact(unsigned index, struct platform_fact *fact)
{
	static const struct fact_source *const sources[] = { own_facts, machine_facts,
							     confinement_facts };

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		for (const struct fact_source *source = sources[i]; source->name; source++) {
			if (index--)
				continue;
			memset(fact, 0, sizeof(*fact));
			fact->group = source->group;
			fact->name = source->name;
			source->tell(fact);
			return true;
		}
	}
	return false;
}
