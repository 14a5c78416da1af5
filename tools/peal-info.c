/*
 * SPDX-License-Identifier: MIT
 *
 * peal-info: what a bug report needs in one paste. It prints what the library found on this
 * machine, which table it picked for each job, and why not a better one; as text for people or as
 * one JSON object for scripts. It asks the public headers only, tries out nothing by itself and
 * decides nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <peal.h>

#define EXIT_OUTPUT 1
#define EXIT_USAGE 64 /* EX_USAGE of sysexits.h */

#define WIDTH 100 /* of the text for people, where no single word is longer */

/* The columns of that text. */
#define INDENT 2
#define GROUP_WIDTH 11
#define NAME_WIDTH 16

extern char **environ;

/*
 * Text for people
 */

/* What is not plain printable text comes from outside (a variable, a CPU's name under a hypervisor)
 * and must not reach a terminal as it is. */
static char harmless(char c)
{
	return c >= ' ' && c <= '~' ? c : '?';
}

/* Where text of several words goes: the column that all its lines begin at, and the next one. */
struct place {
	size_t indent, column;
};

/* Prints a word between two marks, in the next line where this one has no room left. */
static void print_word(struct place *place, const char *before, const char *word, size_t length,
		       const char *after)
{
	size_t whole = strlen(before) + length + strlen(after);

	if (place->column > place->indent && place->column + 1 + whole > WIDTH) {
		printf("\n%*s", (int)place->indent, "");
		place->column = place->indent;
	}
	if (place->column > place->indent) {
		putchar(' ');
		place->column++;
	}
	fputs(before, stdout);
	for (size_t i = 0; i < length; i++)
		putchar(harmless(word[i]));
	fputs(after, stdout);
	place->column += whole;
}

/* Prints the words of a text, the first behind one mark and the last before the other. */
static void print_words(struct place *place, const char *before, const char *text,
			const char *after)
{
	text += strspn(text, " ");
	while (*text) {
		size_t length = strcspn(text, " ");
		const char *next = text + length + strspn(text + length, " ");

		print_word(place, before, text, length, *next ? "" : after);
		before = "";
		text = next;
	}
}

/* A line of the report: up to two headings, a mark between them, a text and a remark on it. */
struct line {
	const char *group, *mark, *name, *text, *remark; /* NULL is "" */
};

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static void print_line(const struct line *line)
{
	struct place place;

	place.indent = (size_t)printf("%*s%-*s%-2s%-*s ", INDENT, "", GROUP_WIDTH,
				      or_empty(line->group), or_empty(line->mark), NAME_WIDTH,
				      or_empty(line->name));
	place.column = place.indent;
	print_words(&place, "", or_empty(line->text), "");
	print_words(&place, "(", or_empty(line->remark), ")");
	putchar('\n');
}

static void print_versions(void)
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
			print_line(&(struct line){ job, "!", "none", "no link can be made", NULL });
		line.group = first && job_picks ? job : "";
		line.mark = choice.picked ? "*" : "";
		line.text = standing(&choice, job_picks, after_pick);
		print_line(&line);
		after_pick |= choice.picked;
	}
}

static void print_waiting(void)
{
	uint64_t spin_ns = peal_runtime_spin_ns();
	char budget[64], ticks[64];

	puts("\nWaiting");
	snprintf(budget, sizeof(budget), "%" PRIu64 " ns", spin_ns);
	print_line(&(struct line){ "adaptive", "", "spin-budget", budget,
				   spin_ns ? "" : "it sleeps at once" });
	snprintf(ticks, sizeof(ticks), "%.4f", peal_ticks_per_ns());
	print_line(&(struct line){ "counter", "", "ticks-per-ns", ticks, "" });
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
		print_line(&line);
	}
}

/* What overrides the library's own picks is part of the story. */
static void print_environment(void)
{
	bool any = false;

	puts("\nPEAL_* variables");
	for (char **entry = environ; *entry; entry++) {
		struct place place = { INDENT, INDENT };

		if (strncmp(*entry, "PEAL_", 5) != 0)
			continue;
		any = true;
		printf("%*s", INDENT, "");
		print_word(&place, "", *entry, strlen(*entry), "");
		putchar('\n');
	}
	if (!any)
		printf("%*snone is set\n", INDENT, "");
}

static void print_report(void)
{
	print_versions();
	print_choices();
	print_waiting();
	print_facts();
	print_environment();
}

/*
 * JSON for scripts
 */

/* The library's strings are ASCII. A byte that is not has no known encoding: it becomes U+FFFD, as
 * decoders print it, so that the object stays valid whatever a CPU says that it is called. */
static void json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if (*text > 0 && *text < ' ')
			printf("\\u%04x", (unsigned)*text);
		else if (*text > 0 && *text <= '~')
			putchar(*text);
		else
			fputs("\\ufffd", stdout);
	}
	putchar('"');
}

/* Prints a member of an object, and what comes before it: "{" or ",". */
static void json_member(const char *before, const char *name, const char *value)
{
	fputs(before, stdout);
	json_string(name);
	putchar(':');
	json_string(value);
}

static void json_flag(const char *name, int value)
{
	printf(",\"%s\":%s", name, value ? "true" : "false");
}

/* An object a line, so that the output can be read and compared as it is. */
static void print_json(void)
{
	struct peal_fact fact;
	struct peal_choice choice;

	printf("{\"schema\":1,\"tool\":\"peal-info\"");
	json_member(",", "version", peal_runtime_version());
	printf(",\n\"facts\":[");
	for (unsigned i = 0; !peal_runtime_fact(i, &fact); i++) {
		json_member(i ? ",\n{" : "\n{", "group", fact.group);
		json_member(",", "name", fact.name);
		json_member(",", "value", fact.value);
		json_member(",", "note", fact.note);
		putchar('}');
	}
	printf("],\n\"choices\":[");
	for (unsigned i = 0; !peal_runtime_choice(i, &choice); i++) {
		json_member(i ? ",\n{" : "\n{", "job", choice.job);
		json_member(",", "name", choice.name);
		json_flag("usable", choice.usable);
		json_flag("picked", choice.picked);
		json_member(",", "why", choice.why);
		putchar('}');
	}
	printf("],\n\"spin_ns\":%" PRIu64 ",\"ticks_per_ns\":%.6f}\n", peal_runtime_spin_ns(),
	       peal_ticks_per_ns());
}

/*
 * The command
 */

static void print_help(void)
{
	puts("Usage: peal-info [OPTION]...\n"
	     "Print what Peal found on this machine, what it picked for each job, and why.\n"
	     "\n"
	     "  --json     print one JSON object\n"
	     "  --help     print this\n"
	     "  --version  print the version\n"
	     "\n"
	     "PEAL_RING_VARIANT, PEAL_WAITER, PEAL_HUGEPAGES, PEAL_SPIN_NS and PEAL_LOG override\n"
	     "what Peal picks by itself; peal-info shows what comes of it.\n"
	     "\n"
	     "Exit code: 0; 1 if the output cannot be written; 64 for a bad command line.");
}

static void print_version(void)
{
	printf("peal-info (Peal) %s\n"
	       "Copyright (c) 2026 The Peal authors\n"
	       "License MIT: <https://spdx.org/licenses/MIT.html>\n"
	       "There is no warranty, as far as the law permits.\n",
	       peal_runtime_version());
}

/* A report that was cut short must not pass for a whole one. */
static int finish(void)
{
	bool failed = ferror(stdout) != 0;

	errno = 0;
	if (fclose(stdout))
		failed = true;
	if (!failed)
		return 0;
	fprintf(stderr, "peal-info: the output could not be written%s%s\n", errno ? ": " : "",
		errno ? strerror(errno) : "");
	return EXIT_OUTPUT;
}

int main(int argc, char **argv)
{
	void (*print)(void) = print_report;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json")) {
			print = print_json;
		} else if (!strcmp(argv[i], "--help")) {
			print = print_help;
			break;
		} else if (!strcmp(argv[i], "--version")) {
			print = print_version;
			break;
		} else {
			fprintf(stderr, "peal-info: unknown %s \"%s\": try --help\n",
				argv[i][0] == '-' ? "option" : "argument", argv[i]);
			return EXIT_USAGE;
		}
	}
	print();
	return finish();
}
