/*
 * SPDX-License-Identifier: MIT
 *
 * Checks of what clocks the chosen CPUs.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/peal-tune/look.h"

#define CPU "/sys/devices/system/cpu"
#define LIMIT CPU "/cpu*/cpufreq/scaling_max_freq"
#define KINDS 8 /* different values that are told apart */

/* Values, and the CPUs that have each. */
struct spread {
	unsigned count;
	struct {
		char value[48];
		struct cpus cpus;
	} of[KINDS];
};

static void spread_add(struct spread *spread, const char *value, unsigned cpu)
{
	unsigned i = 0;

	while (i < spread->count && strcmp(spread->of[i].value, value) != 0)
		i++;
	if (i == KINDS)
		return;
	if (i == spread->count) {
		snprintf(spread->of[i].value, sizeof(spread->of[i].value), "%s", value);
		spread->count++;
	}
	cpus_add(&spread->of[i].cpus, cpu);
}

/* "powersave" if that is so of all; or "performance (cpu 0-2), powersave (cpu 3)". */
static void spread_tell(const struct spread *spread, const struct cpus *all,
			struct finding *finding)
{
	bool alike = cpus_within(all, &spread->of[0].cpus);

	if (alike)
		finding_current(finding, "%s", spread->of[0].value);
	for (unsigned i = 0; i < spread->count && !alike; i++) {
		char list[CPUS_TEXT];

		print_cpus(&spread->of[i].cpus, list, sizeof(list));
		finding_current(finding, "%s%s%s (cpu %s)", finding->current, i ? ", " : "",
				spread->of[i].value, list);
	}
}

/* The word in check->path of each, with the CPU's number for the star, is to be check->want. */
void look_each_cpu(const struct check *check, const struct machine *machine,
		   struct findings *findings)
{
	struct finding *finding = look_add_cpus(check, findings, &machine->chosen, STATUS_OK,
						check->path);
	struct spread spread = { 0 };
	char path[TREE_PATH];
	int err = 0;

	for (unsigned cpu = cpus_next(&machine->chosen, 0); cpu < CPUS_MAX;
	     cpu = cpus_next(&machine->chosen, cpu + 1)) {
		char *text;
		int64_t length;

		tree_path(path, check->path, cpu);
		length = tree_read(&machine->tree, path, &text);
		if (length < 0) {
			err = (int)length;
			continue;
		}
		spread_add(&spread, text, cpu);
		if (strcmp(text, check->want) != 0)
			fix_write(finding, path, check->want, check->capability);
		free(text);
	}
	if (!spread.count) {
		finding->status = err ? status_of_error(err) : STATUS_ABSENT;
		return;
	}
	spread_tell(&spread, &machine->chosen, finding);
	finding_wanted(finding, "%s", check->want);
	if (!finding->fix.count)
		return;
	finding->status = check->bad;
	finding_why(finding, "%s", check->harm);
	fix_persist(finding, check->persist, NULL);
}

/* intel_pstate has its own switch, and turned round. */
void look_boost(const struct check *check, const struct machine *machine, struct findings *findings)
{
	static const struct {
		const char *path, *value;
	} switches[] = { { CPU "/intel_pstate/no_turbo", "0" }, { CPU "/cpufreq/boost", "1" } };
	struct finding *finding;
	int64_t value = 0;
	unsigned which = 0;
	int err = tree_number(&machine->tree, switches[0].path, &value);

	if (err == -ENOENT)
		err = tree_number(&machine->tree, switches[++which].path, &value);
	finding = finding_add(findings, check, err ? status_of_error(err) : STATUS_OK, "",
			      switches[which].path);
	if (err)
		return;
	finding_wanted(finding, "on");
	if (value == switches[which].value[0] - '0') {
		finding_current(finding, "on");
		return;
	}
	finding_current(finding, "off");
	finding->status = check->bad;
	finding_why(finding, "%s", check->harm);
	fix_write(finding, switches[which].path, switches[which].value, check->capability);
	fix_persist(finding, check->persist, NULL);
}

/* What a CPU is limited to, and what it can do; kHz. */
static int read_frequencies(const struct machine *machine, unsigned cpu, int64_t *limit,
			    int64_t *most)
{
	char path[TREE_PATH];
	int err;

	tree_path(path, CPU "/cpu*/cpufreq/cpuinfo_max_freq", cpu);
	err = tree_number(&machine->tree, path, most);
	tree_path(path, LIMIT, cpu);
	return err ? err : tree_number(&machine->tree, path, limit);
}

/* Those that can do the same get the same value. */
static void judge_limits(const struct check *check, const struct machine *machine,
			 struct findings *findings, const struct cpus *cpus)
{
	struct finding *finding = look_add_cpus(check, findings, cpus, STATUS_OK, LIMIT);
	struct spread spread = { 0 };

	for (unsigned cpu = cpus_next(cpus, 0); cpu < CPUS_MAX; cpu = cpus_next(cpus, cpu + 1)) {
		char path[TREE_PATH], text[48];
		int64_t limit, most;

		if (read_frequencies(machine, cpu, &limit, &most) || limit >= most)
			continue;
		snprintf(text, sizeof(text), "%" PRId64 " of %" PRId64 " MHz", limit / 1000,
			 most / 1000);
		spread_add(&spread, text, cpu);
		snprintf(text, sizeof(text), "%" PRId64, most);
		tree_path(path, LIMIT, cpu);
		fix_write(finding, path, text, check->capability);
	}
	finding_wanted(finding, "none");
	if (!spread.count) {
		finding_current(finding, "none");
		return;
	}
	finding->status = check->bad;
	spread_tell(&spread, cpus, finding);
	finding_why(finding, "%s", check->harm);
	fix_persist(finding, check->persist, NULL);
}

void look_frequency_limit(const struct check *check, const struct machine *machine,
			  struct findings *findings)
{
	struct cpus left = machine->chosen;
	unsigned before = findings->count;
	int64_t limit, most, its_most;
	int err = 0;

	for (unsigned cpu; (cpu = cpus_next(&left, 0)) < CPUS_MAX;) {
		struct cpus kind = { { 0 } };

		cpus_add(&kind, cpu);
		err = read_frequencies(machine, cpu, &limit, &most);
		/* One may be offline; what is nonsense is told. */
		if (err && err != -ENOENT)
			break;
		for (unsigned other = cpus_next(&left, cpu + 1); !err && other < CPUS_MAX;
		     other = cpus_next(&left, other + 1))
			if (!read_frequencies(machine, other, &limit, &its_most) &&
			    its_most == most)
				cpus_add(&kind, other);
		if (!err)
			judge_limits(check, machine, findings, &kind);
		cpus_less(&left, &kind);
	}
	if (findings->count == before || (err && err != -ENOENT))
		look_add_cpus(check, findings, &machine->chosen,
			      status_of_error(err ? err : -ENOENT), LIMIT);
}
