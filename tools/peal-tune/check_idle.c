/*
 * SPDX-License-Identifier: MIT
 *
 * Checks of what a CPU does that has nothing to do: how deep it sleeps, and so how long it takes to
 * wake.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/peal-tune/look.h"

#define CPU "/sys/devices/system/cpu"
#define DRIVER CPU "/cpuidle/current_driver"
#define STATES 16 /* a CPU has at most 10 */

/* A word of a file; "" where there is none. */
static int read_word(const struct machine *machine, const char *path, char *word, size_t size)
{
	char *text;
	int err = (int)tree_read(&machine->tree, path, &text);

	*word = '\0';
	if (err < 0)
		return err;
	snprintf(word, size, "%s", text);
	free(text);
	return 0;
}

/* Whether a list has this word, with spaces between. */
static bool has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (; (list = strstr(list, word)); list += length)
		if (!list[length] || list[length] == ' ')
			return true;
	return false;
}

/* A guest of KVM that has no driver halts at once, and the host takes the CPU away. */
static void judge_driver_of_guest(const struct machine *machine, struct finding *finding)
{
	static const char words[] = "cpuidle_haltpoll.force=1";

	finding_wanted(finding, "haltpoll");
	finding_why(finding,
		    "a CPU of this guest that has nothing to do is given back to the host at "
		    "once, and guest_halt_poll_ns has no effect");
	if (tree_has(&machine->tree, "/sys/module/cpuidle_haltpoll")) {
		finding->status = STATUS_WARN;
		fix_command(finding, "CAP_SYS_MODULE", "modprobe cpuidle_haltpoll force=1");
		fix_persist(finding, PERSIST_OTHER,
			    "options cpuidle_haltpoll force=1 (in /etc/modprobe.d), and "
			    "cpuidle_haltpoll in /etc/modules-load.d");
	} else {
		/* It is there, and has decided at boot. */
		finding->status = STATUS_REBOOT;
		fix_persist(finding, PERSIST_BOOT, "%s", words);
	}
}

void look_idle_driver(const struct check *check, const struct machine *machine,
		      struct findings *findings)
{
	char driver[32], governor[32], others[128];
	struct finding *finding;
	bool kvm = !strcmp(machine->hypervisor, "kvm") || !strcmp(machine->hypervisor, "unnamed");
	int err = read_word(machine, DRIVER, driver, sizeof(driver));
	static const char current[] = CPU "/cpuidle/current_governor";

	if (err) {
		finding_add(findings, check, status_of_error(err), "", DRIVER);
		return;
	}
	if (read_word(machine, current, governor, sizeof(governor)))
		read_word(machine, CPU "/cpuidle/current_governor_ro", governor, sizeof(governor));
	read_word(machine, CPU "/cpuidle/available_governors", others, sizeof(others));
	finding = finding_add(findings, check, STATUS_OK, "", DRIVER);
	finding_current(finding, "%s, governor %s", driver, *governor ? governor : "not known");
	if (!strcmp(driver, "none")) {
		if (kvm && !strcmp(machine->arch, "x86"))
			judge_driver_of_guest(machine, finding);
		return;
	}
	if (!strcmp(driver, "haltpoll") && strcmp(governor, "haltpoll") != 0 &&
	    has_word(others, "haltpoll")) {
		finding->status = STATUS_WARN;
		finding_wanted(finding, "governor haltpoll");
		finding_why(finding, "only the governor haltpoll polls before it halts");
		fix_write(finding, current, "haltpoll", check->capability);
	} else if (!strcmp(governor, "ladder") &&
		   (has_word(others, "teo") || has_word(others, "menu"))) {
		finding->status = STATUS_WARN;
		finding_wanted(finding, "governor %s", has_word(others, "teo") ? "teo" : "menu");
		finding_why(finding,
			    "ladder is made for CPUs with a periodic tick: it goes one state "
			    "deeper after each sleep, whatever wakes the CPU");
		fix_write(finding, current, has_word(others, "teo") ? "teo" : "menu",
			  check->capability);
	}
	if (finding->fix.count)
		fix_persist(finding, check->persist, NULL);
}

/* States of the chosen CPUs that are enabled and take too long to wake from. */
void look_idle_states(const struct check *check, const struct machine *machine,
		      struct findings *findings)
{
	static const char pattern[] = CPU "/cpu*/cpuidle/state*/disable";
	struct finding *finding = finding_add(findings, check, STATUS_OK, "", pattern);
	char path[TREE_PATH], state[TREE_PATH], name[32], deepest[32] = "";
	int64_t most, latency, disabled, worst = -1;
	bool any = false;

	if (parse_number(check->want, &most))
		return;
	for (unsigned cpu = cpus_next(&machine->chosen, 0); cpu < CPUS_MAX;
	     cpu = cpus_next(&machine->chosen, cpu + 1)) {
		for (unsigned i = 0; i < STATES; i++) {
			int err;

			snprintf(state, sizeof(state), CPU "/cpu%u/cpuidle/state*/latency", cpu);
			tree_path(path, state, i);
			err = tree_number(&machine->tree, path, &latency);
			if (err == -ENOENT)
				break;
			snprintf(state, sizeof(state), CPU "/cpu%u/cpuidle/state*/name", cpu);
			tree_path(path, state, i);
			if (!err)
				err = read_word(machine, path, name, sizeof(name));
			snprintf(state, sizeof(state), CPU "/cpu%u/cpuidle/state*/disable", cpu);
			tree_path(path, state, i);
			if (!err)
				err = tree_number(&machine->tree, path, &disabled);
			if (err) {
				finding->status = status_of_error(err);
				return;
			}
			any = true;
			if (disabled)
				continue;
			if (latency > worst) {
				worst = latency;
				snprintf(deepest, sizeof(deepest), "%s", name);
			}
			if (latency > most)
				fix_write(finding, path, "1", check->capability);
		}
	}
	if (!any) {
		finding->status = STATUS_ABSENT;
		return;
	}
	finding_wanted(finding, "at most %" PRId64 " us to wake", most);
	if (worst < 0)
		finding_current(finding, "none is enabled");
	else
		finding_current(finding, "%s, %" PRId64 " us to wake", deepest, worst);
	if (!finding->fix.count)
		return;
	finding->status = check->bad;
	finding_why(finding, "%s", check->harm);
	fix_persist(finding, check->persist, NULL);
}

/* The kernel's own row would do, but for the driver that it takes. */
void look_halt_poll(const struct check *check, const struct machine *machine,
		    struct findings *findings)
{
	struct finding *finding;
	char driver[32];
	int64_t is, want;
	int err = tree_number(&machine->tree, check->path, &is);

	finding = finding_add(findings, check, err ? status_of_error(err) : STATUS_OK, "",
			      check->path);
	if (err || parse_number(check->want, &want))
		return;
	read_word(machine, DRIVER, driver, sizeof(driver));
	finding_current(finding, "%" PRId64 " ns", is);
	finding_wanted(finding, "%s ns", check->want);
	if (strcmp(driver, "haltpoll") != 0)
		finding_why(finding, "it has no effect while the idle driver is not haltpoll: see "
				     "idle-driver");
	if (is > 0)
		return;
	finding->status = check->bad;
	finding_why(finding, "%s%s%s", check->harm, *finding->why ? "; but " : "", finding->why);
	fix_write(finding, check->path, check->want, check->capability);
	fix_persist(finding, check->persist, NULL);
}

void look_umwait(const struct check *check, const struct machine *machine,
		 struct findings *findings)
{
	struct finding *finding;
	int64_t most, is, deep = 0;
	int err = tree_number(&machine->tree, check->path, &is);

	finding = finding_add(findings, check, err ? status_of_error(err) : STATUS_OK, "",
			      check->path);
	if (err || parse_number(check->want, &most))
		return;
	tree_number(&machine->tree, CPU "/umwait_control/enable_c02", &deep);
	finding_current(finding, is ? "%" PRId64 " ticks%s" : "no limit%.0" PRId64 "%s", is,
			deep ? ", C0.2 allowed" : ", C0.2 not allowed");
	finding_wanted(finding, "at least %s ticks, or 0", check->want);
	if (!is || is >= most)
		return;
	finding->status = check->bad;
	finding_why(finding, "%s", check->harm);
	fix_write(finding, check->path, check->want, check->capability);
	fix_persist(finding, check->persist, NULL);
}
