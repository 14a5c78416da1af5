/*
 * SPDX-License-Identifier: MIT
 *
 * Findings, and the mends in them: memory and text. It knows nothing of what was found.
 */
#define _GNU_SOURCE /* vasprintf */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/peal-tune/command.h"
#include "tools/peal-tune/finding.h"
#include "tools/peal-tune/shell.h"

static void *need(void *memory)
{
	if (memory)
		return memory;
	fputs("peal-tune: there is no memory left\n", stderr);
	exit(EXIT_INTERNAL);
}

static __attribute__((format(printf, 2, 0))) void set_list(char **text, const char *format,
							   va_list list)
{
	char *made = NULL;

	if (vasprintf(&made, format, list) < 0)
		made = NULL;
	free(*text);
	*text = need(made);
}

void text_set(char **text, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	set_list(text, format, list);
	va_end(list);
}

struct finding *finding_add(struct findings *findings, const struct check *check,
			    enum status status, const char *scope, const char *source)
{
	struct finding *finding;

	findings->all = need(
		realloc(findings->all, (findings->count + 1) * sizeof(*findings->all)));
	finding = &findings->all[findings->count++];
	*finding = (struct finding){
		.check = check,
		.scope = need(strdup(scope)),
		.status = status,
		.current = need(strdup("")),
		.wanted = need(strdup("")),
		.source = need(strdup(source)),
		.why = need(strdup("")),
	};
	return finding;
}

void finding_current(struct finding *finding, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	set_list(&finding->current, format, list);
	va_end(list);
}

void finding_wanted(struct finding *finding, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	set_list(&finding->wanted, format, list);
	va_end(list);
}

void finding_why(struct finding *finding, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	set_list(&finding->why, format, list);
	va_end(list);
}

enum status status_of_error(int err)
{
	switch (err) {
	case -ENOENT:
		return STATUS_ABSENT;
	case -EACCES:
	case -EPERM:
		return STATUS_DENIED;
	default:
		return STATUS_WARN;
	}
}

void fix_write(struct finding *finding, const char *path, const char *value, const char *capability)
{
	struct fix *fix = &finding->fix;

	fix->paths = need(realloc(fix->paths, (fix->count + 1) * sizeof(*fix->paths)));
	fix->paths[fix->count++] = need(strdup(path));
	text_set(&fix->value, "%s", value);
	fix->capability = capability;
}

void fix_persist(struct finding *finding, enum persist persist, const char *format, ...)
{
	va_list list;

	finding->fix.persist = persist;
	if (!format)
		return;
	va_start(list, format);
	set_list(&finding->fix.persist_line, format, list);
	va_end(list);
}

void fix_command(struct finding *finding, const char *capability, const char *format, ...)
{
	va_list list;

	finding->fix.capability = capability;
	va_start(list, format);
	set_list(&finding->fix.command, format, list);
	va_end(list);
}

void fix_drop(struct finding *finding)
{
	struct fix *fix = &finding->fix;

	for (unsigned i = 0; i < fix->count; i++)
		free(fix->paths[i]);
	free(fix->paths);
	free(fix->command);
	free(fix->path);
	free(fix->value);
	free(fix->persist_line);
	*fix = (struct fix){ .paths = NULL };
}

void findings_free(struct findings *findings)
{
	for (unsigned i = 0; i < findings->count; i++) {
		struct finding *finding = &findings->all[i];

		fix_drop(finding);
		free(finding->scope);
		free(finding->current);
		free(finding->wanted);
		free(finding->source);
		free(finding->why);
	}
	free(findings->all);
	*findings = (struct findings){ .all = NULL };
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* What all paths begin with, and end with behind that. */
static void find_common(const struct fix *fix, size_t *before, size_t *after)
{
	const char *first = fix->paths[0], *end = first + strlen(first);

	*before = strlen(first);
	for (unsigned i = 1; i < fix->count; i++) {
		size_t same = 0;

		while (same < *before && fix->paths[i][same] == first[same])
			same++;
		*before = same;
	}
	/* cpu10 and cpu12 differ in the whole number. */
	while (*before && is_digit(first[*before - 1]))
		(*before)--;
	*after = strlen(first) - *before;
	for (unsigned i = 1; i < fix->count; i++) {
		const char *other = fix->paths[i] + strlen(fix->paths[i]);
		size_t most = (size_t)(other - fix->paths[i]) - *before, same = 0;

		while (same < *after && same < most && *(other - same - 1) == *(end - same - 1))
			same++;
		*after = same;
	}
	while (*after && is_digit(*(end - *after)))
		(*after)--;
}

/* What stands between the two in each, with a space between. */
static char *list_middles(const struct fix *fix, size_t before, size_t after)
{
	char *list = need(strdup(""));

	for (unsigned i = 0; i < fix->count; i++) {
		const char *path = fix->paths[i];
		char *longer = NULL;

		text_set(&longer, "%s%s%.*s", list, i ? " " : "",
			 (int)(strlen(path) - before - after), path + before);
		free(list);
		list = longer;
	}
	return list;
}

/* Whether numbers that count up stand there. */
static bool are_in_a_row(const struct fix *fix, size_t before, size_t after, unsigned long *first)
{
	for (unsigned i = 0; i < fix->count; i++) {
		const char *middle = fix->paths[i] + before;
		char *end;
		unsigned long number = strtoul(middle, &end, 10);

		if (!is_digit(*middle) || strlen(end) != after || (i && number != *first + i))
			return false;
		if (!i)
			*first = number;
	}
	return true;
}

static void finish_several(struct fix *fix)
{
	size_t before, after;
	unsigned long first;
	const char *path = fix->paths[0], *tail;

	find_common(fix, &before, &after);
	tail = path + strlen(path) - after;
	if (are_in_a_row(fix, before, after, &first)) {
		unsigned long last = first + fix->count - 1;

		text_set(&fix->command, "for n in $(seq %lu %lu); do echo %s > %.*s$n%s; done",
			 first, last, fix->value, (int)before, path, tail);
		text_set(&fix->path, "%.*s{%lu..%lu}%s", (int)before, path, first, last, tail);
	} else {
		char *list = list_middles(fix, before, after);

		text_set(&fix->command, "for n in %s; do echo %s > %.*s$n%s; done", list,
			 fix->value, (int)before, path, tail);
		for (char *space = list; (space = strchr(space, ' '));)
			*space = ',';
		text_set(&fix->path, "%.*s{%s}%s", (int)before, path, list, tail);
		free(list);
	}
}

#define SYSCTL "/proc/sys/"

/* "kernel.numa_balancing" of its path. */
static char *sysctl_name(const char *path)
{
	char *name = need(strdup(path + strlen(SYSCTL)));

	for (char *slash = name; (slash = strchr(slash, '/'));)
		*slash = '.';
	return name;
}

static void finish_lines(struct fix *fix)
{
	for (unsigned i = 0; i < fix->count; i++) {
		const char *before = fix->persist_line ? fix->persist_line : "";
		const char *gap = fix->persist_line ? "\n" : "", *path = fix->paths[i];
		char *longer = NULL, *name;

		if (fix->persist == PERSIST_SYSCTL) {
			name = sysctl_name(path);
			text_set(&longer, "%s%s%s = %s", before, gap, name, fix->value);
			free(name);
		} else {
			text_set(&longer, "%s%sw %s - - - - %s", before, gap, path, fix->value);
		}
		free(fix->persist_line);
		fix->persist_line = longer;
	}
}

void fix_finish(struct finding *finding)
{
	struct fix *fix = &finding->fix;

	if (!fix->count || fix->path)
		return;
	if (fix->count > 1) {
		finish_several(fix);
	} else {
		text_set(&fix->path, "%s", fix->paths[0]);
		if (!fix->command && !strncmp(fix->path, SYSCTL, strlen(SYSCTL))) {
			char *name = sysctl_name(fix->path);

			text_set(&fix->command, "sysctl -w %s=%s", name, fix->value);
			free(name);
		} else if (!fix->command) {
			char *path = shell_quote(fix->path);

			text_set(&fix->command, "echo %s > %s", fix->value, path);
			free(path);
		}
	}
	if (!fix->persist_line &&
	    (fix->persist == PERSIST_SYSCTL || fix->persist == PERSIST_TMPFILES))
		finish_lines(fix);
}
