/*
 * SPDX-License-Identifier: MIT
 *
 * Checks of the chosen CPUs: whether they may be used, what they share with each other, and who
 * else runs on them. What clocks them is in check_frequency.c.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/peal-tune/look.h"
#include "tools/peal-tune/shell.h"

#define CPU "/sys/devices/system/cpu"

struct finding *look_add_cpus(const struct check *check, struct findings *findings,
			      const struct cpus *cpus, enum status status, const char *source)
{
	char list[CPUS_TEXT], scope[CPUS_TEXT + 8];

	print_cpus(cpus, list, sizeof(list));
	snprintf(scope, sizeof(scope), "cpu %s", list);
	return finding_add(findings, check, status, scope, source);
}

/* The name of a group is what its owner likes. */
static void mend_cgroup(struct finding *finding, const char *value, const char *path)
{
	char *quoted = shell_quote(path);

	fix_command(finding, "CAP_DAC_OVERRIDE", "echo %s > %s", value, quoted);
	free(quoted);
}

static void mend_by_run(struct finding *finding, const struct cpus *cpus)
{
	char list[CPUS_TEXT];

	print_cpus(cpus, list, sizeof(list));
	fix_command(finding, NULL, "peal-tune run --cpus %s -- COMMAND", list);
}

/* --- which may be used ------------------------------------------------------------------------ */

/* The file that a list of effective ones is made of. */
static void print_cpuset_source(char *path)
{
	char *name = strrchr(path, '/') + 1;

	snprintf(name, sizeof("cpuset.cpus"), "cpuset.cpus");
}

static void refuse_chosen(const struct machine *machine, struct finding *finding,
			  const struct cpus *cpuset, char *cpuset_path)
{
	struct cpus missing = machine->chosen;
	char list[CPUS_TEXT];

	cpus_less(&missing, &machine->online);
	if (cpus_count(&missing)) {
		print_cpus(&missing, list, sizeof(list));
		finding_why(finding, "cpu %s of --cpus is not there, or not online", list);
		return;
	}
	print_cpus(&machine->chosen, list, sizeof(list));
	if (cpuset) {
		finding_why(finding,
			    "the cpuset of %s does not have all of --cpus: to run there "
			    "fails with EINVAL",
			    cpuset_path);
		print_cpuset_source(cpuset_path);
		/* The topmost group has no such file, and keeps what no other group has. */
		if (tree_has(&machine->tree, cpuset_path))
			return;
		/* Others of the group keep theirs. */
		for (unsigned i = 0; i < CPUS_MAX / 64; i++)
			missing.bits[i] = machine->chosen.bits[i] | cpuset->bits[i];
		print_cpus(&missing, list, sizeof(list));
		mend_cgroup(finding, list, cpuset_path);
	} else {
		finding_why(finding, "not all of --cpus are allowed, and no cpuset tells whether "
				     "more may be had");
		fix_command(finding, NULL, "taskset -c %s COMMAND", list);
	}
}

void look_cpus_allowed(const struct check *check, const struct machine *machine,
		       struct findings *findings)
{
	char path[64], cpuset_path[CGROUP_PATH], *text, list[CPUS_TEXT], wider[CPUS_TEXT];
	struct cpus allowed, cpuset, most;
	struct finding *finding;
	bool has_cpuset;
	int err;

	snprintf(path, sizeof(path), "%s/status", machine->process);
	err = (int)tree_read(&machine->tree, path, &text);
	if (err >= 0) {
		err = parse_field(text, "Cpus_allowed_list", list, sizeof(list));
		free(text);
	}
	if (!err)
		err = parse_cpus(list, &allowed);
	if (err) {
		finding_add(findings, check, status_of_error(err), "", path);
		return;
	}
	has_cpuset = !cgroup_file(machine, "cpuset", "cpuset.cpus.effective",
				  "cpuset.effective_cpus", cpuset_path) &&
		     !tree_cpus(&machine->tree, cpuset_path, &cpuset) && cpus_count(&cpuset);
	most = has_cpuset ? cpuset : allowed;

	finding = finding_add(findings, check, STATUS_OK, "", path);
	finding_current(finding, "%s", list);
	print_cpus(&most, wider, sizeof(wider));
	if (strcmp(wider, list) != 0)
		finding_current(finding, "%s, and the cpuset has %s", list, wider);
	if (!cpus_within(&machine->chosen, &machine->online) ||
	    !cpus_within(&machine->chosen, &most)) {
		print_cpus(&machine->chosen, list, sizeof(list));
		finding_wanted(finding, "%s", list);
		finding->status = STATUS_FAIL;
		refuse_chosen(machine, finding, has_cpuset ? &cpuset : NULL, cpuset_path);
	} else if (cpus_count(&machine->chosen) < 2) {
		finding_wanted(finding, "2 CPUs or more");
		finding->status = STATUS_WARN;
		finding_why(finding, "both sides of a ring share one CPU: they cannot run at a "
				     "time, and each message costs a change of context");
	} else if (machine->wish.pid && !cpus_within(&machine->chosen, &allowed)) {
		print_cpus(&machine->chosen, list, sizeof(list));
		finding_wanted(finding, "%s", list);
		finding->status = STATUS_WARN;
		finding_why(finding, "the process does not run on all of --cpus");
		fix_command(finding, "CAP_SYS_NICE", "taskset -acp %s %" PRId64, list,
			    machine->wish.pid);
	}
}

/* "50000 100000" of cpu.max, or cpu.cfs_quota_us and the period beside it. UINT64_MAX: no limit. */
static int read_quota(const struct machine *machine, const char *path, uint64_t *quota,
		      uint64_t *period)
{
	char *text, *space, beside[CGROUP_PATH];
	int err = (int)tree_read(&machine->tree, path, &text);
	int64_t number;

	if (err < 0)
		return err;
	*period = 100000;
	if (strstr(strrchr(path, '/'), "cfs_quota_us")) {
		err = parse_number(text, &number);
		*quota = number < 0 ? UINT64_MAX : (uint64_t)number;
		snprintf(beside, sizeof(beside), "%.*s/cpu.cfs_period_us",
			 (int)(strrchr(path, '/') - path), path);
		if (!err && !tree_number(&machine->tree, beside, &number) && number > 0)
			*period = (uint64_t)number;
	} else {
		space = strchr(text, ' ');
		err = space ? parse_limit(space, period) : -EINVAL;
		if (space)
			*space = '\0';
		if (!err)
			err = *period ? parse_limit(text, quota) : -EINVAL;
	}
	free(text);
	return err;
}

static void tell_throttled(const struct machine *machine, struct finding *finding, const char *path)
{
	char beside[CGROUP_PATH], *text, periods[32], throttled[32];

	snprintf(beside, sizeof(beside), "%.*s/cpu.stat", (int)(strrchr(path, '/') - path), path);
	if (tree_read(&machine->tree, beside, &text) < 0)
		return;
	/* "nr_periods 8123": no colons. */
	for (char *c = text; (c = strchr(c, ' ')); c++)
		*c = ':';
	if (!parse_field(text, "nr_periods", periods, sizeof(periods)) &&
	    !parse_field(text, "nr_throttled", throttled, sizeof(throttled)))
		finding_current(finding, "%s, throttled in %s of %s periods", finding->current,
				throttled, periods);
	free(text);
}

void look_cpu_quota(const struct check *check, const struct machine *machine,
		    struct findings *findings)
{
	char path[CGROUP_PATH], tightest[CGROUP_PATH];
	uint64_t quota, period, least = UINT64_MAX, its_period = 1;
	struct finding *finding;
	int err = cgroup_file(machine, "cpu", "cpu.max", "cpu.cfs_quota_us", path);

	if (err) {
		finding = finding_add(findings, check, STATUS_ABSENT, "", "/sys/fs/cgroup");
		finding_why(finding, "no cgroup of this process has a file of CPU time");
		return;
	}
	snprintf(tightest, sizeof(tightest), "%s", path);
	do {
		err = read_quota(machine, path, &quota, &period);
		if (err == -ENOENT)
			continue;
		if (err) {
			finding_add(findings, check, status_of_error(err), "", path);
			return;
		}
		/* Which has less time of a CPU; UINT64_MAX of any has most. */
		if (quota != UINT64_MAX &&
		    (least == UINT64_MAX ||
		     (double)quota / (double)period < (double)least / (double)its_period)) {
			least = quota;
			its_period = period;
			snprintf(tightest, sizeof(tightest), "%s", path);
		}
	} while (cgroup_climb(path));

	finding = finding_add(findings, check, STATUS_OK, "", tightest);
	if (least == UINT64_MAX) {
		finding_current(finding, "no limit");
		return;
	}
	finding->status = STATUS_WARN;
	finding_current(finding, "%.2f CPUs: %" PRIu64 " of each %" PRIu64 " us",
			(double)least / (double)its_period, least, its_period);
	tell_throttled(machine, finding, tightest);
	finding_wanted(finding, "no limit");
	finding_why(finding, "who waits by spinning uses the time up, and then all threads of the "
			     "cgroup stand still for the rest of the period");
	mend_cgroup(finding, strstr(strrchr(tightest, '/'), "cfs_quota_us") ? "-1" : "max",
		    tightest);
}

/* --- what they share -------------------------------------------------------------------------- */

void look_smt(const struct check *check, const struct machine *machine, struct findings *findings)
{
	static const char pattern[] = CPU "/cpu*/topology/thread_siblings_list";
	struct cpus siblings, first = { { 0 } };
	struct finding *finding;
	char path[TREE_PATH];
	unsigned count = cpus_count(&machine->chosen), cores;

	for (unsigned cpu = cpus_next(&machine->chosen, 0); cpu < CPUS_MAX;
	     cpu = cpus_next(&machine->chosen, cpu + 1)) {
		int err;

		tree_path(path, pattern, cpu);
		err = tree_cpus(&machine->tree, path, &siblings);
		if (err) {
			finding_add(findings, check, status_of_error(err), "", path);
			return;
		}
		if (!cpus_meet(&siblings, &first))
			cpus_add(&first, cpu);
	}
	cores = cpus_count(&first);
	finding = look_add_cpus(check, findings, &machine->chosen, STATUS_OK, pattern);
	finding_current(finding, "%u CPU%s on %u core%s", count, count == 1 ? "" : "s", cores,
			cores == 1 ? "" : "s");
	if (cores == count)
		return;
	finding->status = STATUS_WARN;
	finding_wanted(finding, "one CPU of each core");
	finding_why(finding, "some of them are two threads of one core: who spins on one takes "
			     "half of the core from the other");
	if (cores > 1)
		mend_by_run(finding, &first);
}

/* Of the highest level that a CPU has. */
static int find_cache(const struct machine *machine, unsigned cpu, int64_t *level,
		      struct cpus *shared)
{
	char pattern[TREE_PATH], path[TREE_PATH];
	int err = -ENOENT;

	*level = 0;
	for (unsigned index = 0; index < 8; index++) {
		int64_t its_level;

		snprintf(pattern, sizeof(pattern), CPU "/cpu%u/cache/index*/level", cpu);
		tree_path(path, pattern, index);
		if (tree_number(&machine->tree, path, &its_level) || its_level <= *level)
			continue;
		snprintf(pattern, sizeof(pattern), CPU "/cpu%u/cache/index*/shared_cpu_list", cpu);
		tree_path(path, pattern, index);
		err = tree_cpus(&machine->tree, path, shared);
		if (err)
			return err;
		*level = its_level;
	}
	return err;
}

void look_shared_cache(const struct check *check, const struct machine *machine,
		       struct findings *findings)
{
	static const char pattern[] = CPU "/cpu*/cache/index*/shared_cpu_list";
	struct cpus left = machine->chosen, best = { { 0 } };
	struct finding *finding;
	unsigned caches = 0;
	int64_t level = 0;

	for (unsigned cpu; (cpu = cpus_next(&left, 0)) < CPUS_MAX; caches++) {
		struct cpus shared, here = left;
		int err = find_cache(machine, cpu, &level, &shared);

		if (err) {
			finding_add(findings, check, status_of_error(err), "", pattern);
			return;
		}
		cpus_add(&shared, cpu);
		cpus_less(&left, &shared);
		cpus_less(&here, &left);
		if (cpus_count(&here) > cpus_count(&best))
			best = here;
	}
	finding = look_add_cpus(check, findings, &machine->chosen, STATUS_OK, pattern);
	finding_current(finding, "%u cache%s of level %" PRId64, caches, caches == 1 ? "" : "s",
			level);
	if (caches < 2)
		return;
	finding->status = STATUS_WARN;
	finding_wanted(finding, "one");
	if (cpus_count(&best) > 1) {
		finding_why(finding, "a message between CPUs that share no cache goes by way of "
				     "memory or of the link between caches");
		mend_by_run(finding, &best);
	} else if (*machine->hypervisor) {
		finding_why(finding, "no two of them share a cache, says the hypervisor, which may "
				     "not say the truth: measure which pair is nearest");
		fix_command(finding, NULL, "peal-tune topology --measure");
	} else {
		finding_why(finding, "no two of them share a cache: measure which pair is nearest");
		fix_command(finding, NULL, "peal-tune topology --measure");
	}
}

/* A number for each of the chosen: least, most, and who has the most. -ENOENT: not for all. */
static int span(const struct machine *machine, const char *pattern, int64_t *least, int64_t *most,
		struct cpus *who)
{
	char path[TREE_PATH];

	*least = INT64_MAX;
	*most = 0;
	for (unsigned cpu = cpus_next(&machine->chosen, 0); cpu < CPUS_MAX;
	     cpu = cpus_next(&machine->chosen, cpu + 1)) {
		int64_t value;
		int err;

		tree_path(path, pattern, cpu);
		err = tree_number(&machine->tree, path, &value);
		if (err)
			return err;
		if (value < *least)
			*least = value;
		if (value > *most) {
			*most = value;
			memset(who, 0, sizeof(*who));
		}
		if (value == *most)
			cpus_add(who, cpu);
	}
	return *least < 0 ? -EINVAL : 0;
}

/* The kernel gives capacities where it knows of kinds; elsewhere the highest frequencies tell.
 * Cores of one kind differ by some percent in those. */
void look_core_kinds(const struct check *check, const struct machine *machine,
		     struct findings *findings)
{
	static const char capacity[] = CPU "/cpu*/cpu_capacity";
	static const char frequency[] = CPU "/cpu*/cpufreq/cpuinfo_max_freq";
	const char *source = capacity;
	struct finding *finding;
	int64_t least, most;
	struct cpus who;
	int err = span(machine, capacity, &least, &most, &who);

	if (err == -ENOENT) {
		source = frequency;
		err = span(machine, frequency, &least, &most, &who);
	}
	if (err) {
		finding_add(findings, check, status_of_error(err), "", source);
		return;
	}
	finding = look_add_cpus(check, findings, &machine->chosen, STATUS_OK, source);
	if (least * 100 >= most * 90) {
		finding_current(finding, "one kind");
		return;
	}
	finding->status = STATUS_WARN;
	if (source == capacity)
		finding_current(finding, "capacities of %" PRId64 " to %" PRId64, least, most);
	else
		finding_current(finding, "at most %" PRId64 " to %" PRId64 " MHz", least / 1000,
				most / 1000);
	finding_wanted(finding, "one kind");
	finding_why(finding, "some of the cores are slower than others: how long a message takes "
			     "depends on where it is handled");
	mend_by_run(finding, &who);
}

void look_cpu_nodes(const struct check *check, const struct machine *machine,
		    struct findings *findings)
{
	static const char online[] = "/sys/devices/system/node/online";
	static const char pattern[] = "/sys/devices/system/node/node*/cpulist";
	int64_t wish = machine->wish.node;
	struct cpus nodes, used = { { 0 } }, cpus, best = { { 0 } };
	char path[TREE_PATH], list[CPUS_TEXT];
	struct finding *finding;
	int err = tree_cpus(&machine->tree, online, &nodes);

	for (unsigned node = cpus_next(&nodes, 0); !err && node < CPUS_MAX;
	     node = cpus_next(&nodes, node + 1)) {
		struct cpus here = machine->chosen, others = machine->chosen;

		tree_path(path, pattern, node);
		err = tree_cpus(&machine->tree, path, &cpus);
		if (err || !cpus_meet(&cpus, &machine->chosen))
			continue;
		cpus_add(&used, node);
		cpus_less(&others, &cpus);
		cpus_less(&here, &others);
		if (node == wish || (cpus_count(&here) > cpus_count(&best) && wish < 0))
			best = here;
	}
	if (err) {
		finding_add(findings, check, status_of_error(err), "", online);
		return;
	}
	finding = look_add_cpus(check, findings, &machine->chosen, STATUS_OK, pattern);
	print_cpus(&used, list, sizeof(list));
	finding_current(finding, "node %s", list);
	if (wish >= 0) {
		finding_wanted(finding, "node %" PRId64, wish);
		if (!cpus_has(&nodes, (unsigned)wish)) {
			finding->status = STATUS_FAIL;
			finding_why(finding, "there is no node %" PRId64 " (--node)", wish);
			return;
		}
		if (cpus_count(&used) == 1 && cpus_has(&used, (unsigned)wish))
			return;
		finding_why(finding, "some of them are not of the node that --node asks memory of");
	} else {
		finding_wanted(finding, "one node");
		if (cpus_count(&used) < 2)
			return;
		finding_why(finding, "wherever a ring is, it is far from some of them");
	}
	finding->status = STATUS_WARN;
	if (cpus_count(&best))
		mend_by_run(finding, &best);
}

/* --- who else runs there ---------------------------------------------------------------------- */

#define ISOLATED CPU "/isolated"

int look_isolated_cpus(const struct machine *machine, struct cpus *isolated)
{
	struct cpus more;
	int err = tree_cpus(&machine->tree, ISOLATED, isolated);

	if (err)
		return err;
	if (!tree_cpus(&machine->tree, "/sys/fs/cgroup/cpuset.cpus.isolated", &more))
		for (unsigned i = 0; i < CPUS_MAX / 64; i++)
			isolated->bits[i] |= more.bits[i];
	return 0;
}

bool look_quiet(const struct machine *machine, struct cpus *quiet)
{
	if (machine->wish.has_cpus)
		*quiet = machine->wish.cpus;
	else if (look_isolated_cpus(machine, quiet))
		return false;
	return cpus_count(quiet) && !cpus_within(&machine->online, quiet);
}

/* Both are lists that only the boot loader's line makes; words is what stands there before it. */
static void judge_boot_list(const struct check *check, const struct machine *machine,
			    struct findings *findings, const struct cpus *cpus, const char *words)
{
	struct finding *finding = finding_add(findings, check, STATUS_OK, "", check->path);
	struct cpus wanted = *cpus;
	char list[CPUS_TEXT];

	print_cpus(cpus, list, sizeof(list));
	finding_current(finding, "%s", *list ? list : "none");
	/* It takes those CPUs from all other programs: never without being told which. */
	if (!machine->wish.has_cpus) {
		finding_why(finding, *list ? "for the CPUs that are given by --cpus, choose among "
					     "these" :
					     "with --cpus it is judged for those");
		return;
	}
	if (cpus_within(&machine->chosen, cpus))
		return;
	for (unsigned i = 0; i < CPUS_MAX / 64; i++)
		wanted.bits[i] |= machine->chosen.bits[i];
	if (cpus_within(&machine->online, &wanted)) {
		finding_why(finding, "with all of --cpus set apart, no CPU would be left for the "
				     "rest of the system");
		return;
	}
	print_cpus(&wanted, list, sizeof(list));
	finding->status = STATUS_REBOOT;
	finding_wanted(finding, "%s", list);
	finding_why(finding, "%s", check->harm);
	fix_persist(finding, PERSIST_BOOT, "%s%s", words, list);
}

void look_isolated(const struct check *check, const struct machine *machine,
		   struct findings *findings)
{
	struct cpus cpus;
	int err = look_isolated_cpus(machine, &cpus);

	if (err)
		finding_add(findings, check, status_of_error(err), "", check->path);
	else
		judge_boot_list(check, machine, findings, &cpus, "isolcpus=managed_irq,domain,");
}

void look_nohz_full(const struct check *check, const struct machine *machine,
		    struct findings *findings)
{
	struct cpus cpus = { { 0 } };
	char *text;
	int err = (int)tree_read(&machine->tree, check->path, &text);

	if (err >= 0) {
		/* Of a mask that was never made some kernels print "(null)". */
		err = strcmp(text, "(null)") ? parse_cpus(text, &cpus) : 0;
		free(text);
	}
	if (err)
		finding_add(findings, check, status_of_error(err), "", check->path);
	else
		judge_boot_list(check, machine, findings, &cpus, "nohz_full=");
}
