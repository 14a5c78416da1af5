/*
 * SPDX-License-Identifier: MIT
 *
 * The report: what the library found on this machine, which table it picked for each job, and why
 * not a better one. It asks the public headers only, and decides nothing.
 */
#include "config.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <peal.h>

#include "report.h"
#include "text.h"
#include "tools/json.h"

extern char **environ;

void report_versions(void)
{
	const char *library = peal_runtime_version();

	printf("Peal %s (peal-info is built with the headers of %s, ABI %d%s)\n", library,
	       PEAL_VERSION, PEAL_ABI,
	       strcmp(library, PEAL_VERSION) ? "; the versions differ" : "");
}

static bool has_pick(const char *job)
{
	struct peal_choice choice;

	for (unsigned i = 0; !peal_runtime_choice(i, &choice); i++)
		if (choice.picked && !strcmp(choice.job, job))
			return true;
	return false;
}

/* How a candidate stands to the one that does its job. They come in order of preference: what is
 * before the picked one would have been better. */
static const char *standing(const struct peal_choice *choice, bool job_picks, bool after_pick)
{
	if (choice->picked)
		return "picked";
	if (choice->usable && !strcmp(choice->job, "barrier"))
		return "usable";
	if (!job_picks)
		return choice->usable ? "usable, but not wanted" : "not usable here";
	if (after_pick)
		return choice->usable ? "less preferred" : "less preferred, and not usable here";
	return choice->usable ? "better, but overruled" : "better, but not usable here";
}

static void print_choices(void)
{
	struct peal_choice choice;
	const char *job = "";
	bool job_picks = false, after_pick = false;

	puts("\nPicked for each job (*), and the other candidates, best first");
	for (unsigned i = 0; !peal_runtime_choice(i, &choice); i++) {
		bool first = strcmp(choice.job, job) != 0;
		struct line line = { .name = choice.name, .remark = choice.why };

		if (first) {
			job = choice.job;
			job_picks = has_pick(job);
			after_pick = false;
		}
		if (first && !job_picks)
			text_line(&(struct line){ job, "!", "none", "no link can be made", NULL });
		line.group = first && job_picks ? job : "";
		line.mark = choice.picked ? "*" : "";
		line.text = standing(&choice, job_picks, after_pick);
		text_line(&line);
		after_pick |= choice.picked;
	}
}

static void print_waiting(void)
{
	uint64_t spin_ns = peal_runtime_spin_ns();
	char budget[64], ticks[64];

	puts("\nWaiting");
	snprintf(budget, sizeof(budget), "%" PRIu64 " ns", spin_ns);
	text_line(&(struct line){ "adaptive", "", "spin-budget", budget,
				  spin_ns ? "" : "it sleeps at once" });
	snprintf(ticks, sizeof(ticks), "%.4f", peal_ticks_per_ns());
	text_line(&(struct line){ "counter", "", "ticks-per-ns", ticks, "" });
}

static void print_facts(void)
{
	struct peal_fact fact;
	const char *group = "";

	puts("\nFound on this machine");
	for (unsigned i = 0; !peal_runtime_fact(i, &fact); i++) {
		struct line line = { .name = fact.name, .text = fact.value, .remark = fact.note };

		if (strcmp(fact.group, group) != 0)
			line.group = group = fact.group;
		if (!*fact.value)
			line.text = "unknown";
		text_line(&line);
	}
}

/* What overrides the library's own picks is part of the story. */
static void print_environment(void)
{
	bool any = false;

	puts("\nPEAL_* variables");
	for (char **entry = environ; *entry; entry++) {
		if (strncmp(*entry, "PEAL_", 5) != 0)
			continue;
		any = true;
		text_word(*entry);
	}
	if (!any)
		text_word("none is set");
}

void report_print(void)
{
	report_versions();
	print_choices();
	print_waiting();
	print_facts();
	print_environment();
}

/*
 * JSON for scripts
 */

void report_begin_json(struct json *json, const char *report)
{
	*json = (struct json){ .file = stdout };
	json_object(json, NULL);
	json_integer(json, "schema", REPORT_SCHEMA);
	json_string(json, "tool", "peal-info");
	json_string(json, "report", report);
	json_string(json, "version", peal_runtime_version());
}

static void put_facts(struct json *json)
{
	struct peal_fact fact;

	json_array(json, "facts");
	for (unsigned i = 0; !peal_runtime_fact(i, &fact); i++) {
		json_object(json, NULL);
		json_string(json, "group", fact.group);
		json_string(json, "name", fact.name);
		json_string(json, "value", fact.value);
		json_string(json, "note", fact.note);
		json_end_object(json);
	}
	json_end_array(json);
}

static void put_choices(struct json *json)
{
	struct peal_choice choice;

	json_array(json, "choices");
	for (unsigned i = 0; !peal_runtime_choice(i, &choice); i++) {
		json_object(json, NULL);
		json_string(json, "job", choice.job);
		json_string(json, "name", choice.name);
		json_bool(json, "usable", choice.usable);
		json_bool(json, "picked", choice.picked);
		json_string(json, "why", choice.why);
		json_end_object(json);
	}
	json_end_array(json);
}

static void put_environment(struct json *json)
{
	json_array(json, "environment");
	for (char **entry = environ; *entry; entry++)
		if (!strncmp(*entry, "PEAL_", 5))
			json_string(json, NULL, *entry);
	json_end_array(json);
}

void report_json(void)
{
	struct json json;

	report_begin_json(&json, "machine");
	json_string(&json, "headers", PEAL_VERSION);
	json_integer(&json, "abi", PEAL_ABI);
	put_facts(&json);
	put_choices(&json);
	json_integer(&json, "spin_ns", peal_runtime_spin_ns());
	json_number(&json, "ticks_per_ns", peal_ticks_per_ns(), 6);
	put_environment(&json);
	json_end_object(&json);
}
