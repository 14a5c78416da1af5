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
#define KINDS 8 /* different values that are told apart */

static struct finding *add(const struct check *check, const struct machine *machine,
			   struct findings *findings, const char *source)
{
	char list[512], scope[520];

	print_cpus(&machine->chosen, list, sizeof(list));
	snprintf(scope, sizeof(scope), "cpu %s", list);
	return finding_add(findings, check, STATUS_OK, scope, source);
}

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

/* "powersave" if that is so of all the chosen; or "performance (cpu 0-2), powersave (cpu 3)". */
static void spread_tell(const struct spread *spread, const struct machine *machine,
			struct finding *finding)
{
	bool alike = cpus_within(&machine->chosen, &spread->of[0].cpus);

	if (alike)
		finding_current(finding, "%s", spread->of[0].value);
	for (unsigned i = 0; i < spread->count && !alike; i++) {
		char list[512];

		print_cpus(&spread->of[i].cpus, list, sizeof(list));
		finding_current(finding, "%s%s%s (cpu %s)", finding->current, i ? ", " : "",
				spread->of[i].value, list);
	}
}

/* The word in check->path of each, with the CPU's number for the star, is to be check->want. */
void look_each_cpu(const struct check *check, const struct machine *machine,
		   struct findings *findings)
{
	struct finding *finding = add(check, machine, findings, check->path);
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
	spread_tell(&spread, machine, finding);
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

void look_frequency_limit(const struct check *check, const struct machine *machine,
			  struct findings *findings)
{
	static const char limit[] = CPU "/cpu*/cpufreq/scaling_max_freq";
	static const char most[] = CPU "/cpu*/cpufreq/cpuinfo_max_freq";
	struct finding *finding = add(check, machine, findings, limit);
	struct spread spread = { 0 };
	int64_t top = 0;
	int err = 0;

	for (unsigned cpu = cpus_next(&machine->chosen, 0); cpu < CPUS_MAX;
	     cpu = cpus_next(&machine->chosen, cpu + 1)) {
		char path[TREE_PATH], is[48];
		int64_t now, can;

		tree_path(path, most, cpu);
		err = tree_number(&machine->tree, path, &can);
		tree_path(path, limit, cpu);
		if (!err)
			err = tree_number(&machine->tree, path, &now);
		if (err)
			break;
		if (now >= can)
			continue;
		snprintf(is, sizeof(is), "%" PRId64 " of %" PRId64 " MHz", now / 1000, can / 1000);
		spread_add(&spread, is, cpu);
		/* A mend writes one value: cores of another kind have their turn after these. */
		if (!top)
			top = can;
		snprintf(is, sizeof(is), "%" PRId64, top);
		if (can == top)
			fix_write(finding, path, is, check->capability);
	}
	if (err) {
		finding->status = status_of_error(err);
		return;
	}
	finding_wanted(finding, "none");
	if (!spread.count) {
		finding_current(finding, "none");
		return;
	}
	finding->status = check->bad;
	spread_tell(&spread, machine, finding);
	finding_why(finding, "%s", check->harm);
	fix_persist(finding, check->persist, NULL);
}
