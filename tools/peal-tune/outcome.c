/*
 * SPDX-License-Identifier: MIT
 *
 * What became of each file that was to be changed, told. It changes nothing.
 */
#include "config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/peal-tune/finding.h"
#include "tools/peal-tune/outcome.h"
#include "tools/peal-tune/report.h"

#define RESULT_WIDTH 9

static const struct {
	const char *name, *colour;
} results[] = {
	[RESULT_DONE] = { "done", "32" },       [RESULT_ALREADY] = { "already", "2" },
	[RESULT_PLANNED] = { "planned", "2" },  [RESULT_PARTLY] = { "partly", "33" },
	[RESULT_FAILED] = { "failed", "1;31" }, [RESULT_DENIED] = { "denied", "33" },
	[RESULT_GONE] = { "gone", "33" },       [RESULT_FOREIGN] = { "foreign", "33" },
};

void outcome_free(struct outcome *outcome)
{
	free(outcome->was);
	free(outcome->wanted);
	free(outcome->now);
	free(outcome->why);
	free(outcome->command);
	*outcome = (struct outcome){ .was = NULL };
}

void outcomes_begin(struct outcomes *outcomes, const char *command, const struct common *common,
		    const struct machine *machine)
{
	*outcomes = (struct outcomes){ .common = common, .command = command };
	if (!common->json)
		return;
	report_begin_json(&outcomes->json, command, machine);
	json_bool(&outcomes->json, "dry_run", common->dry_run);
	json_array(&outcomes->json, "writes");
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static void put_json(struct outcomes *outcomes, const char *id, const char *scope, const char *path,
		     const struct outcome *outcome)
{
	struct json *json = &outcomes->json;

	json_object(json, NULL);
	json_string(json, "id", id);
	json_string(json, "scope", scope);
	json_string(json, "result", results[outcome->result].name);
	json_string(json, "path", path);
	json_string(json, "was", or_empty(outcome->was));
	json_string(json, "wanted", or_empty(outcome->wanted));
	json_string(json, "now", or_empty(outcome->now));
	json_string(json, "why", or_empty(outcome->why));
	json_string(json, "command", or_empty(outcome->command));
	json_end_object(json);
}

/* A line behind a mark, which is not folded: scripts read it too. */
static void put_line(const struct common *common, const char *mark, const char *colour,
		     const char *text)
{
	if (common->colour)
		printf("\033[%sm%s\033[0m%*s", colour, mark, (int)(RESULT_WIDTH - strlen(mark)),
		       "");
	else
		printf("%-*s", RESULT_WIDTH, mark);
	report_words(text, RESULT_WIDTH, RESULT_WIDTH, INT_MAX);
	putchar('\n');
}

/* For a shell: a file may say anything, and is not to end the comment and begin a command. */
static void put_planned(const char *id, const char *scope, const char *path,
			const struct outcome *outcome)
{
	char *line = NULL;

	if (!outcome->command && !outcome->why)
		return;
	text_set(&line, "%s%s%s: %s%s%s", id, *scope ? " " : "", scope, path,
		 outcome->command ? "" : ": ", outcome->command ? "" : outcome->why);
	fputs("# ", stdout);
	report_words(line, 0, 0, INT_MAX);
	putchar('\n');
	if (outcome->command)
		puts(outcome->command);
	free(line);
}

static void put_text(const struct outcomes *outcomes, const char *id, const char *scope,
		     const char *path, const struct outcome *outcome)
{
	const struct common *common = outcomes->common;
	char *line = NULL;

	if (common->dry_run) {
		put_planned(id, scope, path, outcome);
		return;
	}
	if (common->quiet && (outcome->result == RESULT_DONE || outcome->result == RESULT_ALREADY))
		return;
	text_set(&line, "%s%s%s: %s", id, *scope ? " " : "", scope, path);
	if (outcome->was && outcome->now && outcome->result != RESULT_ALREADY)
		text_set(&line, "%s: %s -> %s", line, outcome->was, outcome->now);
	else if (outcome->now)
		text_set(&line, "%s: %s", line, outcome->now);
	put_line(common, results[outcome->result].name, results[outcome->result].colour, line);
	if (outcome->why)
		put_line(common, "", "2", outcome->why);
	if (outcome->command)
		put_line(common, "", "2", outcome->command);
	free(line);
}

void outcomes_add(struct outcomes *outcomes, const char *id, const char *scope, const char *path,
		  struct outcome *outcome)
{
	outcomes->counts[outcome->result]++;
	if (outcomes->common->json)
		put_json(outcomes, id, scope, path, outcome);
	else
		put_text(outcomes, id, scope, path, outcome);
	fflush(stdout);
	outcome_free(outcome);
}

void outcomes_close(struct outcomes *outcomes)
{
	if (outcomes->common->json)
		json_end_array(&outcomes->json);
}

void outcomes_begin_by_hand(struct outcomes *outcomes)
{
	if (outcomes->common->json)
		json_array(&outcomes->json, "by_hand");
}

void outcomes_by_hand(struct outcomes *outcomes, const char *id, const char *scope,
		      const char *kind, const char *text)
{
	struct json *json = &outcomes->json;
	char *line = NULL, *rest, *part;

	if (outcomes->common->json) {
		json_object(json, NULL);
		json_string(json, "id", id);
		json_string(json, "scope", scope);
		json_string(json, "kind", kind);
		json_string(json, "text", text);
		json_end_object(json);
		return;
	}
	if (outcomes->common->quiet)
		return;
	text_set(&line, "%s", text);
	rest = line;
	while ((part = strsep(&rest, "\n"))) {
		char *whole = NULL;

		text_set(&whole, "%s%s%s: %s: %s", id, *scope ? " " : "", scope, kind, part);
		if (outcomes->common->dry_run)
			fputs("# ", stdout);
		put_line(outcomes->common, "by hand", "35", whole);
		free(whole);
	}
	free(line);
}

static void put_proof(struct outcomes *outcomes, const char *when, const struct proof *proof)
{
	struct json *json = &outcomes->json;
	char text[PROOF_TEXT];

	if (outcomes->common->json) {
		json_object(json, when);
		json_integer(json, "cpu_a", proof->cpu[0]);
		json_integer(json, "cpu_b", proof->cpu[1]);
		json_integer(json, "blocking_ns", (uint64_t)proof->blocking);
		json_integer(json, "spinning_ns", (uint64_t)proof->spinning);
		json_end_object(json);
		return;
	}
	proof_print(proof, text);
	put_line(outcomes->common, when, "36", text);
}

void outcomes_measured(struct outcomes *outcomes, const struct proof *before,
		       const struct proof *after)
{
	put_proof(outcomes, "before", before);
	put_proof(outcomes, "after", after);
}

static int exit_code(const struct outcomes *outcomes)
{
	const unsigned *counts = outcomes->counts;
	unsigned bad = counts[RESULT_PARTLY] + counts[RESULT_FAILED] + counts[RESULT_DENIED] +
		       counts[RESULT_GONE] + counts[RESULT_FOREIGN];

	if (outcomes->broken && !counts[RESULT_DONE] && !counts[RESULT_PARTLY])
		return EXIT_INTERNAL;
	if (!bad && !outcomes->broken)
		return EXIT_FINE;
	return bad == counts[RESULT_DENIED] && !counts[RESULT_DONE] ? EXIT_PRIVILEGE : EXIT_IN_PART;
}

int outcomes_end(struct outcomes *outcomes, const char *nothing)
{
	const struct common *common = outcomes->common;
	unsigned all = 0;
	int code = exit_code(outcomes);

	if (common->json) {
		json_integer(&outcomes->json, "exit", (uint64_t)code);
		json_end_object(&outcomes->json);
		return code;
	}
	for (unsigned i = 0; i < RESULT_COUNT; i++)
		all += outcomes->counts[i];
	if (!all && !outcomes->broken && !common->quiet)
		printf("%s%s\n", common->dry_run ? "# " : "", nothing);
	return code;
}
