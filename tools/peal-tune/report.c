/*
 * SPDX-License-Identifier: MIT
 *
 * "check" and "explain": findings as text in columns and as JSON. It judges nothing.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <peal.h>

#include "tools/peal-tune/finding.h"
#include "tools/peal-tune/proof.h"
#include "tools/peal-tune/report.h"
#include "tools/peal-tune/tell.h"

/* Columns. */
#define STATUS_WIDTH 14
#define NAME_LEAST 20
#define NAME_MOST 34
#define CURRENT_WIDTH 18 /* of what may stand before a file in one line */
#define LABEL_WIDTH 9

const char *status_name(enum status status)
{
	static const char *const names[] = {
		[STATUS_OK] = "ok",
		[STATUS_WARN] = "warn",
		[STATUS_FAIL] = "fail",
		[STATUS_ABSENT] = "skip(absent)",
		[STATUS_DENIED] = "skip(denied)",
		[STATUS_REBOOT] = "reboot",
	};

	return names[status];
}

/* --- text ------------------------------------------------------------------------------------- */

unsigned report_width(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return 80;
	return size.ws_col < 40 ? 40 : size.ws_col;
}

/* What is in a file may come from outside and must not reach a terminal as it is. */
static void put_harmless(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		putchar(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
}

unsigned report_words(const char *text, unsigned indent, unsigned column, unsigned width)
{
	text += strspn(text, " \n");
	while (*text) {
		size_t length = strcspn(text, " \n");

		if (column > indent && column + 1 + length > width) {
			printf("\n%*s", (int)indent, "");
			column = indent;
		}
		if (column > indent) {
			putchar(' ');
			column++;
		}
		put_harmless(text, length);
		column += (unsigned)length;
		text += length;
		text += strspn(text, " \n");
	}
	return column;
}

static void begin_colour(const struct common *common, const char *colour)
{
	if (common->colour)
		printf("\033[%sm", colour);
}

static void end_colour(const struct common *common)
{
	if (common->colour)
		fputs("\033[0m", stdout);
}

#define DIM "2"

static void print_status(const struct common *common, enum status status)
{
	static const char *const colours[] = {
		[STATUS_OK] = "32",    [STATUS_WARN] = "33",  [STATUS_FAIL] = "1;31",
		[STATUS_ABSENT] = DIM, [STATUS_DENIED] = "2", [STATUS_REBOOT] = "35",
	};

	begin_colour(common, colours[status]);
	fputs(status_name(status), stdout);
	end_colour(common);
	printf("%*s", (int)(STATUS_WIDTH - strlen(status_name(status))), "");
}

static size_t name_length(const struct finding *finding)
{
	size_t scope = strlen(finding->scope);

	return strlen(finding->check->id) + (scope ? scope + 1 : 0);
}

static unsigned name_width(const struct findings *findings)
{
	size_t width = NAME_LEAST;

	for (unsigned i = 0; i < findings->count; i++) {
		size_t length = name_length(&findings->all[i]) + 2;

		if (length > width && length <= NAME_MOST)
			width = length;
	}
	return (unsigned)width;
}

/* A labelled line below a finding. */
static void print_detail(const struct common *common, unsigned width, const char *label,
			 const char *text, bool wrapped)
{
	unsigned indent = STATUS_WIDTH + LABEL_WIDTH;

	printf("%*s", STATUS_WIDTH, "");
	begin_colour(common, DIM);
	printf("%-*s", LABEL_WIDTH, label);
	end_colour(common);
	/* What is to be copied stays in one piece. */
	if (wrapped)
		report_words(text, indent, indent, width);
	else
		put_harmless(text, strlen(text));
	putchar('\n');
}

static void print_lines(const struct common *common, unsigned width, const char *label,
			const char *text)
{
	while (*text) {
		size_t length = strcspn(text, "\n");
		char *line = NULL;

		text_set(&line, "%.*s", (int)length, text);
		print_detail(common, width, label, line, false);
		free(line);
		label = "";
		text += length + (text[length] == '\n');
	}
}

static bool is_skipped(enum status status)
{
	return status == STATUS_ABSENT || status == STATUS_DENIED;
}

static void print_finding(const struct common *common, unsigned width, unsigned names,
			  const struct finding *finding)
{
	unsigned indent = STATUS_WIDTH + names, column = indent;
	bool good = finding->status == STATUS_OK || finding->status == STATUS_ABSENT;
	size_t length = name_length(finding), source = strlen(finding->source);

	print_status(common, finding->status);
	put_harmless(finding->check->id, strlen(finding->check->id));
	if (*finding->scope) {
		putchar(' ');
		put_harmless(finding->scope, strlen(finding->scope));
	}
	if (!*finding->current)
		column = STATUS_WIDTH + (unsigned)length;
	else if (length + 1 >= names)
		printf("\n%*s", (int)indent, "");
	else
		printf("%*s", (int)(names - length), "");
	column = report_words(finding->current, indent, column, width);
	if (*finding->wanted && !good) {
		putchar(',');
		column = report_words("wanted:", indent, column + 1, width);
		column = report_words(finding->wanted, indent, column, width);
	}
	if (good && column < indent + CURRENT_WIDTH && source &&
	    indent + CURRENT_WIDTH + source <= width) {
		printf("%*s", (int)(indent + CURRENT_WIDTH - column), "");
		begin_colour(common, DIM);
		put_harmless(finding->source, source);
		end_colour(common);
		source = 0;
	}
	putchar('\n');
	if (source)
		print_detail(common, width, "file", finding->source, false);
	if (*finding->why && finding->status != STATUS_ABSENT)
		print_detail(common, width, "why", finding->why, true);
	if (finding->fix.command)
		print_detail(common, width,
			     is_skipped(finding->status) ? "look" :
			     finding->fix.capability     ? "as root" :
							   "mend",
			     finding->fix.command, false);
	if (finding->fix.persist_line && finding->fix.persist == PERSIST_BOOT)
		print_lines(common, width, "boot", finding->fix.persist_line);
}

static void count_statuses(const struct findings *findings, unsigned counts[])
{
	for (unsigned i = 0; i < findings->count; i++)
		counts[findings->all[i].status]++;
}

static void print_summary(const struct common *common, const struct findings *findings,
			  unsigned width)
{
	static const char *const words[] = {
		[STATUS_OK] = "ok",         [STATUS_WARN] = "to warn of",
		[STATUS_FAIL] = "failed",   [STATUS_ABSENT] = "absent",
		[STATUS_DENIED] = "denied", [STATUS_REBOOT] = "for the next boot",
	};
	unsigned counts[STATUS_REBOOT + 1] = { 0 }, column = 0;
	char text[64], gap = ':';

	count_statuses(findings, counts);
	snprintf(text, sizeof(text), "%u findings for %s", findings->count,
		 profile_name(common->wish.profile));
	column = report_words(text, 0, column, width);
	for (unsigned i = 0; i <= STATUS_REBOOT; i++) {
		if (!counts[i])
			continue;
		putchar(gap);
		gap = ',';
		snprintf(text, sizeof(text), "%u %s", counts[i], words[i]);
		column = report_words(text, 0, column + 1, width);
	}
	putchar('\n');
}

static int exit_code(const struct findings *findings)
{
	unsigned counts[STATUS_REBOOT + 1] = { 0 };

	count_statuses(findings, counts);
	if (counts[STATUS_FAIL])
		return EXIT_FAILURES;
	if (counts[STATUS_WARN] || counts[STATUS_REBOOT])
		return EXIT_WARNINGS;
	return counts[STATUS_DENIED] == findings->count ? EXIT_PRIVILEGE : EXIT_FINE;
}

static void print_findings(const struct common *common, const struct findings *findings)
{
	unsigned width = report_width(), names = name_width(findings);
	/* Where that is all that there is to say, it is said. */
	bool all_denied = exit_code(findings) == EXIT_PRIVILEGE;

	for (unsigned i = 0; i < findings->count; i++) {
		enum status status = findings->all[i].status;

		if (common->quiet && !all_denied && (status == STATUS_OK || is_skipped(status)))
			continue;
		print_finding(common, width, names, &findings->all[i]);
	}
	if (!common->quiet)
		print_summary(common, findings, width);
}

/* --- JSON ------------------------------------------------------------------------------------- */

void report_begin_json(struct json *json, const char *command, const struct machine *machine)
{
	char list[1024];

	*json = (struct json){ .file = stdout };
	json_object(json, NULL);
	json_integer(json, "schema", REPORT_SCHEMA);
	json_string(json, "tool", "peal-tune");
	json_string(json, "command", command);
	json_string(json, "version", peal_runtime_version());
	json_string(json, "profile", profile_name(machine->wish.profile));
	json_object(json, "host");
	json_string(json, "arch", machine->arch);
	json_string(json, "kernel", machine->kernel);
	json_string(json, "hypervisor", machine->hypervisor);
	json_string(json, "container", machine->container);
	print_cpus(&machine->online, list, sizeof(list));
	json_string(json, "cpus_online", list);
	print_cpus(&machine->allowed, list, sizeof(list));
	json_string(json, "cpus_allowed", list);
	json_end_object(json);
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static void put_fix(struct json *json, const struct fix *fix)
{
	static const char *const names[] = {
		[PERSIST_NONE] = "none",         [PERSIST_SYSCTL] = "sysctl",
		[PERSIST_TMPFILES] = "tmpfiles", [PERSIST_BOOT] = "boot",
		[PERSIST_LIMITS] = "limits",     [PERSIST_OTHER] = "other",
	};

	json_object(json, "fix");
	json_string(json, "command", or_empty(fix->command));
	json_string(json, "path", or_empty(fix->path));
	json_string(json, "value", or_empty(fix->value));
	json_string(json, "persist", names[fix->persist]);
	json_string(json, "persist_line", or_empty(fix->persist_line));
	json_string(json, "capability", or_empty(fix->capability));
	json_end_object(json);
}

static void put_findings(const struct machine *machine, const struct findings *findings)
{
	struct json json;

	report_begin_json(&json, "check", machine);
	json_array(&json, "checks");
	for (unsigned i = 0; i < findings->count; i++) {
		const struct finding *finding = &findings->all[i];

		json_object(&json, NULL);
		json_string(&json, "id", finding->check->id);
		json_string(&json, "scope", finding->scope);
		json_string(&json, "status", status_name(finding->status));
		json_string(&json, "current", finding->current);
		json_string(&json, "wanted", finding->wanted);
		json_string(&json, "source", finding->source);
		json_string(&json, "why", finding->why);
		put_fix(&json, &finding->fix);
		json_bool(&json, "reboot", finding->status == STATUS_REBOOT);
		json_end_object(&json);
	}
	json_end_array(&json);
	json_end_object(&json);
}

/* --- the commands ----------------------------------------------------------------------------- */

int command_check(const struct common *common, int argc, char **argv)
{
	struct machine machine;
	struct findings findings = { .all = NULL };
	int code = take_nothing(argc, argv);

	if (code)
		return code;
	code = take_machine(common, &machine);
	if (code)
		return code;
	checks_run(&machine, common->only, &findings);
	if (common->measure)
		proof_tell(&machine, &findings);
	if (common->json)
		put_findings(&machine, &findings);
	else
		print_findings(common, &findings);
	code = exit_code(&findings);
	findings_free(&findings);
	return code;
}

static void explain(const struct check *check)
{
	unsigned width = report_width();

	if (width > 100)
		width = 100;
	printf("%s: %s\n\n", check->id, check->title);
	report_words(check->why, 0, 0, width);
	printf("\n\n");
	if (check->path)
		printf("It is read from %s.\n", check->path);
	printf("It is judged for the profile %s.\n", profile_name(check->profiles));
}

int command_explain(const struct common *common, int argc, char **argv)
{
	const struct check *check;

	(void)common;
	for (int i = 1; i < argc; i++)
		if (argv[i][0] == '-')
			return tell_option('?', argv[i]);
	if (argc > 2) {
		fprintf(stderr, "peal-tune: explain takes one id, and \"%s\" is a second\n",
			argv[2]);
		return EXIT_USAGE;
	}
	if (argc < 2) {
		for (unsigned i = 0; i < checks_count; i++)
			printf("%-*s  %s\n", NAME_LEAST, checks[i].id, checks[i].title);
		return EXIT_FINE;
	}
	check = check_find(argv[1]);
	if (!check) {
		fprintf(stderr, "peal-tune: there is no check \"%s\": did you mean %s?\n", argv[1],
			check_nearest(argv[1]));
		return EXIT_USAGE;
	}
	explain(check);
	return EXIT_FINE;
}
