/*
 * SPDX-License-Identifier: MIT
 *
 * What can be told about what holds this process in: a container, the limits of its cgroups,
 * namespaces, filters and security modules. Nothing here decides anything. Paths of cgroups and
 * names of users are not told.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/linux/facts.h"

static void proc(struct platform_fact *fact)
{
	if (access("/proc/self/status", R_OK))
		fact_cannot(fact, "/proc/self/status", -errno);
	else
		fact_say(fact, "mounted");
}

/* By what its makers leave in it. */
static void container(struct platform_fact *fact)
{
	static const char systemd[] = "/run/systemd/container";
	static const struct {
		const char *path, *name;
	} marks[] = {
		{ "/.dockerenv", "docker" },
		{ "/run/.containerenv", "podman" },
		{ "/var/run/secrets/kubernetes.io", "kubernetes" },
		{ "/proc/vz/veinfo", "openvz" },
		{ "/run/WSL", "wsl" },
	};
	char name[64];

	if (!fact_read(systemd, name, sizeof(name)) && name[0])
		fact_add(fact, "%s", name);
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (!access(marks[i].path, F_OK))
			fact_add(fact, "%s", marks[i].name);
	if (!fact->value[0]) {
		fact_say(fact, "none seen");
		fact_note(fact, "not every container leaves a mark: see namespaces");
	}
}

/*
 * Control groups. A limit of any group above ours holds us, too, so the tightest one is told. Where
 * the groups above are hidden by a namespace, so are their limits.
 */

/* Whether a list of names with commas between has this one. */
static bool has_name(const char *list, size_t length, const char *name)
{
	size_t wanted = strlen(name);

	while (length) {
		const char *comma = memchr(list, ',', length);
		size_t one = comma ? (size_t)(comma - list) : length;

		if (one == wanted && !memcmp(list, name, one))
			return true;
		one += comma != NULL;
		list += one;
		length -= one;
	}
	return false;
}

/* Our group in the hierarchy of a controller of version 1, or, without a name, in that of version
 * 2. A line is NUMBER:CONTROLLERS:PATH. */
static int find_group(const char *controller, char *path, size_t size)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	int err = file ? -ENOENT : -errno;
	char line[PATH_MAX];

	while (err && file && fgets(line, sizeof(line), file)) {
		const char *names = strchr(line, ':');
		const char *end = names ? strchr(names + 1, ':') : NULL;

		if (!end)
			continue;
		line[strcspn(line, "\n")] = 0;
		names++;
		if (*controller ? !has_name(names, (size_t)(end - names), controller) :
				  end != names)
			continue;
		snprintf(path, size, "%s", end + 1);
		err = 0;
	}
	if (file)
		fclose(file);
	return err;
}

/* "max" and version 1's largest number are none. */
static bool read_number(const char *path, unsigned long long *number)
{
	char text[64], *end;

	if (fact_read(path, text, sizeof(text)))
		return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	/* The largest is a multiple of the page size, whatever that is. */
	return end != text && !errno && text[0] != '-' && *number < (1ull << 63) - (1ull << 20);
}

/* Reads the limit of one group. False: it has none. */
typedef bool (*limit_reader)(const char *folder, const char *file, double *limit);

static bool plain_limit(const char *folder, const char *file, double *limit)
{
	char path[PATH_MAX];
	unsigned long long number;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	if (!read_number(path, &number))
		return false;
	*limit = (double)number;
	return true;
}

/* CPUs' worth of time. */
static bool quota_v2(const char *folder, const char *file, double *limit)
{
	char path[PATH_MAX], text[64];
	unsigned long long quota, period;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	if (fact_read(path, text, sizeof(text)) ||
	    sscanf(text, "%llu %llu", &quota, &period) != 2 || !period)
		return false;
	*limit = (double)quota / (double)period;
	return true;
}

static bool quota_v1(const char *folder, const char *file, double *limit)
{
	double quota, period;

	(void)file;
	if (!plain_limit(folder, "cpu.cfs_quota_us", &quota) ||
	    !plain_limit(folder, "cpu.cfs_period_us", &period) || period <= 0)
		return false;
	*limit = quota / period;
	return true;
}

/* The tightest limit from our group up to where groups begin. False: there is none. levels: how far
 * up it is. Where our group's path is that of elsewhere, what a container sees of it begins with
 * itself. */
static bool tightest(const char *mount, const char *group, const char *file, limit_reader reader,
		     double *limit, unsigned *levels)
{
	char folder[PATH_MAX];
	size_t root = strlen(mount);
	bool found = false, there = false;
	unsigned level = 0;

	if ((size_t)snprintf(folder, sizeof(folder), "%s%s", mount, group) >= sizeof(folder))
		return false;
	for (;; level += there) {
		double here;
		char *slash;

		there |= !access(folder, F_OK);
		if (reader(folder, file, &here) && (!found || here < *limit)) {
			found = true;
			*limit = here;
			*levels = level;
		}
		slash = strrchr(folder, '/');
		if (!slash || (size_t)(slash - folder) < root || !folder[root])
			return found;
		*slash = 0;
	}
}

/* A limit in version 2 or, where there is none, in that of version 1. */
struct knob {
	const char *controller;
	const char *v2, *v1;
	limit_reader v2_reader, v1_reader;
};

static const char *const v2_mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

static bool find_limit(const struct knob *knob, double *limit, unsigned *levels)
{
	char group[PATH_MAX / 2], mount[64];
	bool found = false;

	if (!find_group("", group, sizeof(group)))
		for (size_t i = 0; i < 2 && !found; i++)
			found = tightest(v2_mounts[i], group, knob->v2, knob->v2_reader, limit,
					 levels);
	if (!found && !find_group(knob->controller, group, sizeof(group))) {
		snprintf(mount, sizeof(mount), "/sys/fs/cgroup/%s", knob->controller);
		found = tightest(mount, group, knob->v1, knob->v1_reader, limit, levels);
	}
	return found;
}

static void where(struct platform_fact *fact, unsigned levels)
{
	if (levels)
		snprintf(fact->note, sizeof(fact->note), "of a group %u above its own", levels);
	else
		fact_note(fact, "of its own group");
}

/* Whether there are groups to ask at all; if not, says so. */
static bool groups_are_there(struct platform_fact *fact)
{
	char group[PATH_MAX / 2];
	int err = fact_read("/proc/self/cgroup", group, sizeof(group));

	if (!err && access("/sys/fs/cgroup", R_OK | X_OK))
		fact_cannot(fact, "/sys/fs/cgroup", -errno);
	else if (err)
		fact_cannot(fact, "/proc/self/cgroup", err);
	return !fact->value[0];
}

static void cgroup_version(struct platform_fact *fact)
{
	if (!groups_are_there(fact))
		return;
	if (!access("/sys/fs/cgroup/cgroup.controllers", F_OK))
		fact_say(fact, "2");
	else if (!access("/sys/fs/cgroup/unified/cgroup.controllers", F_OK))
		fact_say(fact, "1 and 2");
	else
		fact_say(fact, "1");
}

/* The tightest limit of our groups, in these words, or what is said where there is none. */
static void tell_limit(struct platform_fact *fact, const struct knob *knob, int decimals,
		       const char *unit, const char *none)
{
	unsigned levels;
	double limit;

	if (!groups_are_there(fact))
		return;
	if (!find_limit(knob, &limit, &levels)) {
		fact_say(fact, none);
		return;
	}
	fact_add(fact, "%.*f %s", decimals, __builtin_fabs(limit), unit);
	where(fact, levels);
}

static void cgroup_memory(struct platform_fact *fact)
{
	static const struct knob knob = { "memory", "memory.max", "memory.limit_in_bytes",
					  plain_limit, plain_limit };

	tell_limit(fact, &knob, 0, "bytes", "no limit seen");
}

static void cgroup_cpu(struct platform_fact *fact)
{
	static const struct knob knob = { "cpu", "cpu.max", "cpu.cfs_quota_us", quota_v2,
					  quota_v1 };

	tell_limit(fact, &knob, 2, "CPUs", "no limit seen");
}

/* How often its time was used up; the more, the tighter: so it is told negative. */
static bool throttled(const char *folder, const char *file, double *limit)
{
	static const char name[] = "nr_throttled ";
	char path[PATH_MAX], text[1024], *at;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	if (fact_read(path, text, sizeof(text)))
		return false;
	at = strstr(text, name);
	if (at)
		*limit = -strtod(at + strlen(name), NULL);
	return at != NULL;
}

static void cgroup_throttled(struct platform_fact *fact)
{
	static const struct knob knob = { "cpu", "cpu.stat", "cpu.stat", throttled, throttled };

	tell_limit(fact, &knob, 0, "times", "not told");
}

/* The CPUs of our cpuset, whatever the affinity mask leaves of them. */
static void cgroup_cpus(struct platform_fact *fact)
{
	static const char *const files[] = { "cpuset.cpus.effective", "cpuset.effective_cpus" };
	char group[PATH_MAX / 2], path[PATH_MAX];

	if (!groups_are_there(fact))
		return;
	for (int i = 0; i < 3; i++) {
		const char *mount = i < 2 ? v2_mounts[i] : "/sys/fs/cgroup/cpuset";
		char *end = path;

		if (find_group(i < 2 ? "" : "cpuset", group, sizeof(group)))
			continue;
		snprintf(path, sizeof(path), "%s%s", mount, group);
		/* In a container the path may be that of elsewhere. */
		if (access(path, F_OK))
			snprintf(path, sizeof(path), "%s", mount);
		end += strlen(path);
		snprintf(end, sizeof(path) - (size_t)(end - path), "/%s", files[i / 2]);
		fact_read_line(path, fact->value, sizeof(fact->value));
		if (fact->value[0])
			return;
	}
	fact_say(fact, "no cpuset seen");
}

static void cgroup_hugetlb(struct platform_fact *fact)
{
	static const char *const sizes[] = { "64KB", "2MB", "32MB", "512MB", "1GB", "16GB" };

	if (!groups_are_there(fact))
		return;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char v2[64], v1[64];
		struct knob knob = { "hugetlb", v2, v1, plain_limit, plain_limit };
		unsigned levels;
		double limit;

		snprintf(v2, sizeof(v2), "hugetlb.%s.max", sizes[i]);
		snprintf(v1, sizeof(v1), "hugetlb.%s.limit_in_bytes", sizes[i]);
		if (find_limit(&knob, &limit, &levels))
			fact_add(fact, "%s pages: %.0f bytes", sizes[i], limit);
	}
	if (!fact->value[0])
		fact_say(fact, "no limit seen");
}

/*
 * Namespaces: their numbers tell whether two processes share one. The machine's first ones have
 * known numbers, those of the kernel's include/linux/proc_ns.h.
 */

static void namespaces(struct platform_fact *fact)
{
	static const struct {
		const char *name;
		unsigned long first; /* 0: not known */
	} kinds[] = {
		{ "user", 4026531837 },
		{ "pid", 4026531836 },
		{ "ipc", 4026531839 },
		{ "net", 0 },
		{ "mnt", 0 },
		{ "uts", 4026531838 },
		{ "cgroup", 4026531835 },
		{ "time", 4026531834 },
	};
	size_t own = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		char path[64], target[64];
		unsigned long number = 0;
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i].name);
		length = readlink(path, target, sizeof(target) - 1);
		if (length < 0)
			continue;
		target[length] = 0;
		if (sscanf(target, "%*[a-z]:[%lu]", &number) == 1)
			fact_add(fact, "%s:%lu", kinds[i].name, number);
		if (number && kinds[i].first && number != kinds[i].first)
			own += (size_t)snprintf(
				fact->note + own, sizeof(fact->note) - own, "%s%s",
				own ? " " : "not the machine's first: ", kinds[i].name);
	}
	if (!fact->value[0])
		fact_cannot(fact, "/proc/self/ns", -ENOENT);
	else if (!own)
		fact_note(fact, "the machine's first, but for net and mnt, which do not tell");
}

static void uid_map(struct platform_fact *fact)
{
	static const char path[] = "/proc/self/uid_map";
	unsigned long inside, outside, count;
	char text[4096], *line, *save = NULL;
	int err = fact_read(path, text, sizeof(text));

	if (err) {
		fact_cannot(fact, path, err);
		return;
	}
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "%lu %lu %lu", &inside, &outside, &count) != 3)
			continue;
		if (!inside && !outside && count == 4294967295)
			fact_say(fact, "whole");
		else
			fact_add(fact, "%s%lu from %lu on", fact->value[0] ? "and " : "", count,
				 inside);
	}
	if (!fact->value[0])
		fact_say(fact, "none");
}

/* By number. */
static void user(struct platform_fact *fact)
{
	fact_add(fact, "%u, group %u", geteuid(), getegid());
	if (getuid() != geteuid())
		snprintf(fact->note, sizeof(fact->note), "started by %u", getuid());
}

/*
 * Filters and modules.
 */

static void seccomp(struct platform_fact *fact)
{
	static const char *const modes[] = { "off", "strict", "filter" };
	char mode[16], filters[16];
	int err = fact_status("Seccomp", mode, sizeof(mode));

	if (err) {
		fact_cannot(fact, "Seccomp in /proc/self/status", err);
		return;
	}
	fact_say(fact, mode[0] >= '0' && mode[0] <= '2' && !mode[1] ? modes[mode[0] - '0'] : mode);
	if (!fact_status("Seccomp_filters", filters, sizeof(filters)))
		snprintf(fact->note, sizeof(fact->note), "%s filters", filters);
}

static void no_new_privileges(struct platform_fact *fact)
{
	char value[16];
	int err = fact_status("NoNewPrivs", value, sizeof(value));

	if (err)
		fact_cannot(fact, "NoNewPrivs in /proc/self/status", err);
	else
		fact_say(fact, strcmp(value, "0") != 0 ? "yes" : "no");
}

static void security_modules(struct platform_fact *fact)
{
	fact_tell_file(fact, "/sys/kernel/security/lsm");
}

/* Of a label like SELinux's, USER:ROLE:TYPE:LEVEL, only what follows the first two. */
static void security_label(struct platform_fact *fact)
{
	char label[200];
	const char *type = label;
	int err = fact_read("/proc/self/attr/current", label, sizeof(label));

	if (err == -EINVAL || (!err && !label[0])) {
		fact_say(fact, "none");
		return;
	}
	if (err) {
		fact_cannot(fact, "/proc/self/attr/current", err);
		return;
	}
	for (int i = 0; i < 2 && type; i++) {
		type = strchr(type, ':');
		type += type != NULL;
	}
	fact_say(fact, type ? type : label);
}

const struct fact_source confinement_facts[] = {
	{ "confinement", "proc", proc },
	{ "confinement", "container", container },
	{ "confinement", "cgroup-version", cgroup_version },
	{ "confinement", "cgroup-memory", cgroup_memory },
	{ "confinement", "cgroup-hugetlb", cgroup_hugetlb },
	{ "confinement", "cgroup-cpu", cgroup_cpu },
	{ "confinement", "cgroup-throttled", cgroup_throttled },
	{ "confinement", "cgroup-cpus", cgroup_cpus },
	{ "confinement", "namespaces", namespaces },
	{ "confinement", "user", user },
	{ "confinement", "users-mapped", uid_map },
	{ "confinement", "seccomp", seccomp },
	{ "confinement", "no-new-privileges", no_new_privileges },
	{ "confinement", "lsm", security_modules },
	{ "confinement", "lsm-label", security_label },
	{ NULL, NULL, NULL },
};
