/*
 * SPDX-License-Identifier: MIT
 *
 * Checks of what the kernel does beside: its clock, interrupts, and work that may come to a CPU
 * between two messages.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/peal-tune/finding.h"
#include "tools/peal-tune/look.h"

/* --- the clock -------------------------------------------------------------------------------- */

/* Those that are read without entering the kernel. */
static bool is_quick(const char *clock)
{
	static const char *const quick[] = { "tsc", "kvm-clock", "hyperv_clocksource_tsc_page",
					     "arch_sys_counter", "riscv_clocksource" };

	for (size_t i = 0; i < sizeof(quick) / sizeof(quick[0]); i++)
		if (!strcmp(clock, quick[i]))
			return true;
	return false;
}

void look_clocksource(const struct check *check, const struct machine *machine,
		      struct findings *findings)
{
	static const char others[] =
		"/sys/devices/system/clocksource/clocksource0/available_clocksource";
	struct finding *finding;
	char *current, *available, *rest, *word;
	int err = (int)tree_read(&machine->tree, check->path, &current);

	finding = finding_add(findings, check, err < 0 ? status_of_error(err) : STATUS_OK, "",
			      check->path);
	if (err < 0)
		return;
	finding_current(finding, "%s", current);
	if (is_quick(current)) {
		free(current);
		return;
	}
	free(current);
	finding_why(finding, "%s", check->harm);
	if (tree_read(&machine->tree, others, &available) >= 0) {
		for (rest = available; (word = strtok_r(rest, " ", &rest));) {
			if (!is_quick(word))
				continue;
			finding->status = check->bad;
			finding_wanted(finding, "%s", word);
			fix_write(finding, check->path, word, check->capability);
			fix_persist(finding, PERSIST_BOOT, "clocksource=%s", word);
			break;
		}
		free(available);
	}
	if (finding->fix.count)
		return;
	/* The kernel has found the quick one wrong, or does not know it. */
	if (!strcmp(machine->arch, "x86")) {
		finding->status = STATUS_REBOOT;
		finding_wanted(finding, "tsc");
		finding_why(finding,
			    "%s; the kernel has given up the CPU's counter (see dmesg): only "
			    "if that was a mistake",
			    check->harm);
		fix_persist(finding, PERSIST_BOOT, "tsc=reliable");
	} else {
		finding->status = check->bad;
		finding_wanted(finding, "one that is read without a system call");
	}
}

/* --- interrupts ------------------------------------------------------------------------------- */

/* Nothing is to be kept free, unless the user said what, or the machine was booted so. */
static void add_no_choice(const struct check *check, struct findings *findings, const char *source,
			  const char *current)
{
	struct finding *finding = finding_add(findings, check, STATUS_OK, "", source);

	finding_current(finding, "%s", current);
	finding_why(finding, "with --cpus it is judged whether they are kept off those");
}

/* Where to instead: not to other CPUs that are set apart either, unless there is nothing else. */
static void find_rest(const struct machine *machine, const struct cpus *quiet, struct cpus *rest)
{
	struct cpus isolated, wider;

	*rest = machine->online;
	cpus_less(rest, quiet);
	wider = *rest;
	if (!look_isolated_cpus(machine, &isolated))
		cpus_less(rest, &isolated);
	if (!cpus_count(rest))
		*rest = wider;
}

/* effective_affinity_list is where an interrupt does go, of those that it may. */
static int read_irq(const struct machine *machine, const char *irq, struct cpus *allowed,
		    struct cpus *effective)
{
	char path[TREE_PATH];
	int err;

	snprintf(path, sizeof(path), "/proc/irq/%s/smp_affinity_list", irq);
	err = tree_cpus(&machine->tree, path, allowed);
	if (err)
		return err;
	snprintf(path, sizeof(path), "/proc/irq/%s/effective_affinity_list", irq);
	if (tree_cpus(&machine->tree, path, effective) || !cpus_count(effective))
		*effective = *allowed;
	return 0;
}

void look_irq_affinity(const struct check *check, const struct machine *machine,
		       struct findings *findings)
{
	static const char source[] = "/proc/irq/*/smp_affinity_list";
	char **names, list[CPUS_TEXT], numbers[256] = "", path[TREE_PATH];
	struct cpus quiet, rest;
	struct finding *finding;
	unsigned count = 0, bad = 0;
	bool choice = look_quiet(machine, &quiet);
	int err = tree_list(&machine->tree, "/proc/irq", &names);

	if (err) {
		finding_add(findings, check, status_of_error(err), "", source);
		return;
	}
	finding = finding_add(findings, check, STATUS_OK, "", source);
	if (choice) {
		find_rest(machine, &quiet, &rest);
		print_cpus(&rest, list, sizeof(list));
	}
	for (unsigned i = 0; names[i]; i++) {
		struct cpus allowed, effective;
		size_t used = strlen(numbers);

		err = strspn(names[i], "0123456789") == strlen(names[i]) ?
			      read_irq(machine, names[i], &allowed, &effective) :
			      -ENOENT;
		if (err == -EACCES || err == -EPERM || err == -EINVAL) {
			finding->status = status_of_error(err);
			text_set(&finding->source, "/proc/irq/%s", names[i]);
			free(names);
			return;
		}
		if (err)
			continue;
		count++;
		if (!choice || !cpus_meet(&effective, &quiet))
			continue;
		bad++;
		if (used < sizeof(numbers) - 16)
			snprintf(numbers + used, sizeof(numbers) - used, "%s%.8s", used ? "," : "",
				 names[i]);
		else if (numbers[used - 1] != '.')
			snprintf(numbers + used, sizeof(numbers) - used, "...");
		snprintf(path, sizeof(path), "/proc/irq/%s/smp_affinity_list", names[i]);
		fix_write(finding, path, list, check->capability);
	}
	free(names);
	if (!count) {
		finding->status = STATUS_ABSENT;
		return;
	}
	finding_current(finding, "%u interrupts", count);
	if (!choice) {
		finding_why(finding, "with --cpus it is judged whether they are kept off those");
		return;
	}
	finding_wanted(finding, "cpu %s", list);
	if (!bad)
		return;
	finding->status = check->bad;
	finding_current(finding, "%u of %u interrupts go to CPUs that are to be kept free: %s", bad,
			count, numbers);
	finding_why(finding, "%s", check->harm);
	/* Numbers of interrupts change from boot to boot. */
	fix_persist(finding, PERSIST_BOOT, "irqaffinity=%s", list);
}

/* Writes cpus as a mask of the same width as text, as the kernel will print it again. */
static void print_mask_like(const struct cpus *cpus, const char *text, char *mask, size_t size)
{
	size_t length = strlen(text) < size ? strlen(text) : size - 1;
	unsigned bit = 0;

	mask[length] = '\0';
	while (length--) {
		unsigned digit = 0;

		if (text[length] == ',') {
			mask[length] = ',';
			continue;
		}
		for (unsigned i = 0; i < 4; i++)
			digit |= (unsigned)cpus_has(cpus, bit + i) << i;
		mask[length] = "0123456789abcdef"[digit];
		bit += 4;
	}
}

/* One mask that is to have none of the CPUs that are kept free. */
void look_mask(const struct check *check, const struct machine *machine, struct findings *findings)
{
	struct cpus cpus, quiet, rest, kept;
	struct finding *finding;
	char *text, list[CPUS_TEXT], mask[CPUS_MAX / 4 + CPUS_MAX / 32];
	int err = (int)tree_read(&machine->tree, check->path, &text);

	if (err >= 0) {
		err = parse_mask(text, &cpus);
		if (err)
			free(text);
	}
	if (err) {
		finding_add(findings, check, status_of_error(err), "", check->path);
		return;
	}
	print_cpus(&cpus, list, sizeof(list));
	if (!look_quiet(machine, &quiet)) {
		add_no_choice(check, findings, check->path, list);
		free(text);
		return;
	}
	finding = finding_add(findings, check, STATUS_OK, "", check->path);
	finding_current(finding, "%s", list);
	find_rest(machine, &quiet, &rest);
	/* What is kept off others already stays so. */
	kept = cpus;
	cpus_less(&kept, &quiet);
	if (cpus_meet(&kept, &rest))
		for (unsigned i = 0; i < CPUS_MAX / 64; i++)
			rest.bits[i] &= kept.bits[i];
	print_cpus(&rest, list, sizeof(list));
	finding_wanted(finding, "%s", list);
	if (cpus_meet(&cpus, &quiet)) {
		print_mask_like(&rest, text, mask, sizeof(mask));
		finding->status = check->bad;
		finding_why(finding, "%s", check->harm);
		fix_write(finding, check->path, mask, check->capability);
		if (check->persist == PERSIST_BOOT)
			fix_persist(finding, PERSIST_BOOT, "irqaffinity=%s", list);
		else
			fix_persist(finding, check->persist, NULL);
	}
	free(text);
}

/* The process that is called so: its id, 0 if there is none, or a negative errno. */
static int64_t find_process(const struct machine *machine, const char *name)
{
	char **names, path[TREE_PATH], *text;
	int64_t found = 0;
	int err = tree_list(&machine->tree, "/proc", &names);

	if (err)
		return err;
	for (unsigned i = 0; names[i] && !found; i++) {
		if (strspn(names[i], "0123456789") != strlen(names[i]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", names[i]);
		if (tree_read(&machine->tree, path, &text) < 0)
			continue;
		if (!strcmp(text, name) && parse_number(names[i], &found))
			found = 0;
		free(text);
	}
	free(names);
	return found;
}

void look_irqbalance(const struct check *check, const struct machine *machine,
		     struct findings *findings)
{
	int64_t pid = find_process(machine, "irqbalance");
	struct cpus quiet, isolated;
	struct finding *finding;
	char path[32];

	if (pid < 0 || (!pid && *machine->container)) {
		finding = finding_add(findings, check,
				      pid < 0 ? status_of_error((int)pid) : STATUS_ABSENT, "",
				      "/proc/*/comm");
		if (!pid)
			finding_why(finding, "processes outside of the container are not seen");
		return;
	}
	if (!pid) {
		finding = finding_add(findings, check, STATUS_OK, "", "/proc/*/comm");
		finding_current(finding, "not running");
		return;
	}
	snprintf(path, sizeof(path), "/proc/%" PRId64 "/comm", pid);
	if (!look_quiet(machine, &quiet)) {
		add_no_choice(check, findings, path, "running");
		return;
	}
	finding = finding_add(findings, check, STATUS_OK, "", path);
	finding_current(finding, "running");
	if (!look_isolated_cpus(machine, &isolated) && cpus_within(&quiet, &isolated)) {
		finding_why(finding, "it leaves CPUs alone that are isolated");
		return;
	}
	finding->status = check->bad;
	finding_wanted(finding, "not running, or kept off the chosen CPUs");
	finding_why(finding, "%s", check->harm);
	fix_command(finding, "CAP_SYS_ADMIN", "systemctl disable --now irqbalance");
	fix_persist(finding, PERSIST_OTHER, "systemctl disable irqbalance");
}

/* --- time taken away -------------------------------------------------------------------------- */

/* "6.12.30": whether it is this release or a later one. Not known: false. */
static bool is_since(const struct machine *machine, unsigned major, unsigned minor)
{
	char *end;
	unsigned long its_major = strtoul(machine->kernel, &end, 10), its_minor = 0;

	if (*end == '.')
		its_minor = strtoul(end + 1, NULL, 10);
	return its_major > major || (its_major == major && its_minor >= minor);
}

void look_rt_throttling(const struct check *check, const struct machine *machine,
			struct findings *findings)
{
	struct finding *finding;
	int64_t runtime, period = 1000000;
	int err = tree_number(&machine->tree, check->path, &runtime);

	finding = finding_add(findings, check, err ? status_of_error(err) : STATUS_OK, "",
			      check->path);
	if (err)
		return;
	tree_number(&machine->tree, "/proc/sys/kernel/sched_rt_period_us", &period);
	if (runtime < 0 || runtime >= period) {
		finding_current(finding, "off");
		return;
	}
	finding_current(finding, "%" PRId64 " of %" PRId64 " us", runtime, period);
	if (is_since(machine, 6, 12)) {
		finding_why(finding,
			    "since Linux 6.12 it stops no thread: others that starve get a "
			    "share instead");
		return;
	}
	finding->status = check->bad;
	finding_wanted(finding, "-1");
	finding_why(finding, "%s", check->harm);
	fix_write(finding, check->path, "-1", check->capability);
	fix_persist(finding, check->persist, NULL);
}

void look_steal(const struct check *check, const struct machine *machine, struct findings *findings)
{
	uint64_t ticks[8] = { 0 }, total = 0;
	struct finding *finding;
	char *text, *c;
	int err = (int)tree_read(&machine->tree, check->path, &text);

	if (err < 0) {
		finding_add(findings, check, status_of_error(err), "", check->path);
		return;
	}
	if (!*machine->hypervisor) {
		finding = finding_add(findings, check, STATUS_ABSENT, "", check->path);
		finding_why(finding, "there is no hypervisor to take CPUs away");
		free(text);
		return;
	}
	/* "cpu  user nice system idle iowait irq softirq steal ...", since boot. */
	err = strncmp(text, "cpu ", 4) ? -EINVAL : 0;
	c = text + 4;
	for (unsigned i = 0; i < 8 && !err; i++) {
		char *end;

		ticks[i] = strtoull(c, &end, 10);
		err = end == c ? -EINVAL : 0;
		c = end;
		total += ticks[i];
	}
	free(text);
	if (!total)
		err = -EINVAL;
	finding = finding_add(findings, check, err ? status_of_error(err) : STATUS_OK, "",
			      check->path);
	if (err)
		return;
	finding_current(finding, "%.2f %% of the time since boot",
			(double)ticks[7] * 100 / (double)total);
	finding_wanted(finding, "less than 1 %%");
	if (ticks[7] * 100 < total)
		return;
	finding->status = check->bad;
	finding_why(finding, "%s", check->harm);
}
