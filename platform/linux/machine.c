/*
 * SPDX-License-Identifier: MIT
 *
 * What can be told about the machine around the library: the system's versions, memory, the clock,
 * how its CPUs are clocked and put to sleep, and what makes branches and system calls dear there.
 * Nothing here decides anything, and no name of the host or of a user is told.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

#include "platform/linux/facts.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

static void libc_version(struct platform_fact *fact)
{
#ifdef __GLIBC__
	snprintf(fact->value, sizeof(fact->value), "glibc %s", gnu_get_libc_version());
	if (strcmp(gnu_get_libc_version(), TEXT(__GLIBC__) "." TEXT(__GLIBC_MINOR__)))
		fact_note(fact, "built with " TEXT(__GLIBC__) "." TEXT(__GLIBC_MINOR__));
#else
	fact_say(fact, "unknown");
	fact_note(fact, "not glibc");
#endif
}

/* The version without the machine's name, and without who built it where. */
static void kernel_build(struct platform_fact *fact)
{
	struct utsname name;

	if (uname(&name))
		fact_cannot(fact, "uname", -errno);
	else
		snprintf(fact->value, sizeof(fact->value), "%.64s %.128s", name.machine,
			 name.version);
}

static void distribution(struct platform_fact *fact)
{
	static const char *const paths[] = { "/etc/os-release", "/usr/lib/os-release" };
	static const char key[] = "PRETTY_NAME=";
	char text[4096], *line, *save = NULL;
	int err = fact_read(paths[0], text, sizeof(text));

	if (err)
		err = fact_read(paths[1], text, sizeof(text));
	if (err) {
		fact_cannot(fact, paths[0], err);
		return;
	}
	fact_say(fact, "unknown");
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, key, sizeof(key) - 1) != 0)
			continue;
		line += sizeof(key) - 1;
		line += strspn(line, "\"'");
		line[strcspn(line, "\"'")] = 0;
		fact_say(fact, line);
	}
}

/* What the firmware calls the machine: of a virtual one, who made it up. */
static void firmware(struct platform_fact *fact)
{
	static const char path[] = "/sys/class/dmi/id/sys_vendor";
	char product[128];

	fact_tell_file(fact, path);
	if (fact->note[0])
		return;
	fact_read_line("/sys/class/dmi/id/product_name", product, sizeof(product));
	if (product[0])
		fact_add(fact, "%s", product);
}

static void clocksource(struct platform_fact *fact)
{
	static const char folder[] = "/sys/devices/system/clocksource/clocksource0";
	char path[128], available[128];

	snprintf(path, sizeof(path), "%s/current_clocksource", folder);
	fact_tell_file(fact, path);
	if (fact->note[0])
		return;
	snprintf(path, sizeof(path), "%s/available_clocksource", folder);
	fact_read_line(path, available, sizeof(available));
	snprintf(fact->note, sizeof(fact->note), "available: %s", available);
}

/*
 * Memory.
 */

static void mounted(struct platform_fact *fact, const char *path)
{
	struct statvfs at;

	if (statvfs(path, &at)) {
		fact_cannot(fact, path, -errno);
		return;
	}
	fact_add(fact, "%llu MiB free of %llu%s%s",
		 (unsigned long long)at.f_bavail * at.f_frsize >> 20,
		 (unsigned long long)at.f_blocks * at.f_frsize >> 20,
		 at.f_flag & ST_RDONLY ? ", read-only" : "",
		 at.f_flag & ST_NOEXEC ? ", noexec" : "");
}

static void dev_shm(struct platform_fact *fact)
{
	mounted(fact, "/dev/shm");
	if (!fact->note[0])
		fact_note(fact, "sealed memory needs none of it");
}

static void total_memory(struct platform_fact *fact)
{
	static const char path[] = "/proc/meminfo";
	static const char *const keys[] = { "MemTotal:", "MemAvailable:", "Shmem:", "SwapFree:" };
	char text[4096];
	int err = fact_read(path, text, sizeof(text));

	if (err) {
		fact_cannot(fact, path, err);
		return;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *at = strstr(text, keys[i]);

		if (at)
			fact_add(fact, "%s %llu MiB", keys[i],
				 strtoull(at + strlen(keys[i]), NULL, 10) >> 10);
	}
}

static void overcommit(struct platform_fact *fact)
{
	fact_tell_file(fact, "/proc/sys/vm/overcommit_memory");
	if (!fact->note[0])
		fact_note(fact, "0: by heuristic, 1: always, 2: never");
}

/* Who else wants the CPUs. */
static void load(struct platform_fact *fact)
{
	char *end = fact->value;

	fact_tell_file(fact, "/proc/loadavg");
	if (fact->note[0])
		return;
	/* Three averages; then come tasks. */
	for (int i = 0; i < 3; i++)
		end += strspn(end, " ") + strcspn(end + strspn(end, " "), " ");
	*end = 0;
	fact_note(fact, "of the whole machine, in 1, 5 and 15 minutes");
}

/*
 * The folders of servers that have a bare name. Where one's own is may have a name in it, and is
 * not told.
 */

static void tell_folder(struct platform_fact *fact, const char *path)
{
	struct stat at;

	if (lstat(path, &at))
		fact_say(fact, errno == ENOENT ? "absent" : strerror(errno));
	else if (!S_ISDIR(at.st_mode))
		fact_say(fact, "no folder");
	else
		fact_add(fact, "a folder of %s, mode %04o",
			 at.st_uid == geteuid() ? "this user's" :
			 at.st_uid              ? "another user's" :
						  "root's",
			 (unsigned)at.st_mode & 07777);
}

static void system_names(struct platform_fact *fact)
{
	tell_folder(fact, "/run/peal");
	fact_note(fact, "/run/peal, where names of root's servers are");
}

static void own_names(struct platform_fact *fact)
{
	const char *folder = platform_variable("XDG_RUNTIME_DIR");

	if (!folder || !*folder)
		fact_say(fact, "not set");
	else
		tell_folder(fact, folder);
	fact_note(fact, "XDG_RUNTIME_DIR, where names of other users' servers are");
}

/*
 * How CPUs are clocked and sleep: of the first one that this thread may use.
 */

static unsigned first_cpu(void)
{
	int32_t *allowed;
	unsigned first = 0;
	int count = platform_allowed(&allowed);

	if (count > 0)
		first = (unsigned)allowed[0];
	if (count >= 0)
		free(allowed);
	return first;
}

static void of_first_cpu(struct platform_fact *fact, const char *file)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/%s", first_cpu(), file);
	fact_tell_file(fact, path);
}

static void governor(struct platform_fact *fact)
{
	of_first_cpu(fact, "cpufreq/scaling_governor");
}

static void frequency_driver(struct platform_fact *fact)
{
	of_first_cpu(fact, "cpufreq/scaling_driver");
}

static void frequency_range(struct platform_fact *fact)
{
	char path[128], most[32];

	of_first_cpu(fact, "cpufreq/scaling_min_freq");
	if (fact->note[0])
		return;
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/cpufreq/scaling_max_freq",
		 first_cpu());
	fact_read_line(path, most, sizeof(most));
	fact_add(fact, "to %s", most);
	fact_note(fact, "kHz");
}

static void boost(struct platform_fact *fact)
{
	fact_tell_file(fact, "/sys/devices/system/cpu/cpufreq/boost");
	if (!fact->note[0])
		return;
	memset(fact->note, 0, sizeof(fact->note));
	fact_tell_file(fact, "/sys/devices/system/cpu/intel_pstate/no_turbo");
	if (!fact->note[0])
		fact_note(fact, "of intel_pstate/no_turbo: 1 is without");
}

static void idle_driver(struct platform_fact *fact)
{
	fact_tell_file(fact, "/sys/devices/system/cpu/cpuidle/current_driver");
}

static void idle_governor(struct platform_fact *fact)
{
	fact_tell_file(fact, "/sys/devices/system/cpu/cpuidle/current_governor");
}

static void idle_states(struct platform_fact *fact)
{
	char path[128], name[32], latency[32], disabled[8];
	unsigned cpu = first_cpu();

	for (unsigned i = 0;; i++) {
		int length = snprintf(path, sizeof(path),
				      "/sys/devices/system/cpu/cpu%u/cpuidle/state%u/", cpu, i);
		char *file = path + length;
		size_t room = sizeof(path) - (size_t)length;

		snprintf(file, room, "name");
		fact_read_line(path, name, sizeof(name));
		if (!name[0])
			break;
		snprintf(file, room, "latency");
		fact_read_line(path, latency, sizeof(latency));
		snprintf(file, room, "disable");
		fact_read_line(path, disabled, sizeof(disabled));
		fact_add(fact, "%s (%s us%s)", name, latency,
			 strcmp(disabled, "0") != 0 && disabled[0] ? ", disabled" : "");
	}
	if (!fact->value[0])
		fact_cannot(fact, "cpuidle states of a CPU in /sys", -ENOENT);
}

static void smt(struct platform_fact *fact)
{
	fact_tell_file(fact, "/sys/devices/system/cpu/smt/control");
}

static void isolated(struct platform_fact *fact)
{
	fact_tell_file(fact, "/sys/devices/system/cpu/isolated");
	if (!strcmp(fact->value, "empty"))
		fact_say(fact, "none");
}

/*
 * What makes indirect branches dear, and entering the kernel.
 */

static void vulnerability(struct platform_fact *fact)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/vulnerabilities/%s", fact->name);
	fact_tell_file(fact, path);
}

/* What this process has asked for, or a filter for it. */
static void speculation(struct platform_fact *fact, unsigned long which, const char *dear)
{
	int now = prctl(PR_GET_SPECULATION_CTRL, which, 0, 0, 0);

	if (now < 0) {
		fact_say(fact, "unknown");
		fact_note(fact, strerror(errno));
	} else if (now == PR_SPEC_NOT_AFFECTED) {
		fact_say(fact, "not affected");
	} else if ((unsigned long)now & (PR_SPEC_DISABLE | PR_SPEC_FORCE_DISABLE)) {
		fact_say(fact, "not speculated");
		fact_note(fact, dear);
	} else {
		fact_say(fact, "speculated");
	}
}

static void indirect_branches(struct platform_fact *fact)
{
	speculation(fact, PR_SPEC_INDIRECT_BRANCH, "each indirect call of this process is dear");
}

static void store_bypass(struct platform_fact *fact)
{
	speculation(fact, PR_SPEC_STORE_BYPASS,
		    "each load of this process waits for the stores before it");
}

const struct fact_source machine_facts[] = {
	{ "system", "libc", libc_version },
	{ "system", "distribution", distribution },
	{ "system", "kernel-build", kernel_build },
	{ "system", "clocksource", clocksource },
	{ "system", "firmware", firmware },
	{ "system", "memory", total_memory },
	{ "system", "overcommit", overcommit },
	{ "system", "dev-shm", dev_shm },
	{ "system", "load", load },
	{ "system", "names-of-root", system_names },
	{ "system", "names-of-users", own_names },
	{ "power", "governor", governor },
	{ "power", "driver", frequency_driver },
	{ "power", "frequencies", frequency_range },
	{ "power", "boost", boost },
	{ "power", "idle-driver", idle_driver },
	{ "power", "idle-governor", idle_governor },
	{ "power", "idle-states", idle_states },
	{ "power", "smt", smt },
	{ "power", "isolated-cpus", isolated },
	{ "mitigations", "indirect-branches", indirect_branches },
	{ "mitigations", "store-bypass", store_bypass },
	{ "mitigations", "spectre_v2", vulnerability },
	{ "mitigations", "indirect_target_selection", vulnerability },
	{ "mitigations", "retbleed", vulnerability },
	{ "mitigations", "spec_rstack_overflow", vulnerability },
	{ "mitigations", "meltdown", vulnerability },
	{ "mitigations", "mds", vulnerability },
	{ "mitigations", "vmscape", vulnerability },
	{ NULL, NULL, NULL },
};
