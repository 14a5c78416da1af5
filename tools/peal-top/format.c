/*
 * SPDX-License-Identifier: MIT
 *
 * Figures of at most five columns, with three digits that count where there is room for them.
 */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

#define USERS 1024 /* lists that they are kept in */
#define USERS_ASKED 4096

/* With its unit, in at most width columns. */
static void scaled(double value, double step, const char *units, int width, char *text)
{
	int decimals = 2;

	while (value >= 9999.5 / (width > 4 ? 1 : 10) && units[1]) {
		value /= step;
		units++;
	}
	while (decimals && snprintf(text, FORMAT_SIZE, "%.*f%c", decimals, value, *units) > width)
		decimals--;
	snprintf(text, FORMAT_SIZE, "%.*f%c", decimals, value, *units);
}

static void figure(double value, double step, const char *units, double plain, char *text)
{
	if (isnan(value))
		snprintf(text, FORMAT_SIZE, "-");
	else if (value > 0 && value < 9.95 && fabs(value - round(value)) > 1e-9)
		snprintf(text, FORMAT_SIZE, "%.1f", value);
	else if (value < plain)
		snprintf(text, FORMAT_SIZE, "%.0f", value);
	else
		scaled(value / step, step, units, 5, text);
}

void format_count(double value, char text[FORMAT_SIZE])
{
	figure(value, 1000, "kMGTPE", 99999.5, text);
}

void format_bytes(double value, char text[FORMAT_SIZE])
{
	figure(value, 1024, "KMGTPE", 9999.5, text);
}

void format_percent(double percent, char text[FORMAT_SIZE])
{
	if (isnan(percent))
		snprintf(text, FORMAT_SIZE, "-");
	else
		/* A ring that has something in it is not shown as an empty one, nor as a full one
		 * before it is. */
		snprintf(text, FORMAT_SIZE, "%.0f",
			 percent > 0 && percent < 1 ? 1 : fmin(floor(percent), 999));
}

void format_duration(double ns, char text[FORMAT_SIZE])
{
	static const struct {
		double below, unit;
		const char *name;
	} units[] = {
		{ 1e3, 1, "ns" },           { 999.5e3, 1e3, "us" },
		{ 999.5e6, 1e6, "ms" },     { 99.95e9, 1e9, "s" },
		{ 60 * 100e9, 60e9, "m" },  { 3600 * 100e9, 3600e9, "h" },
		{ INFINITY, 86400e9, "d" },
	};
	unsigned i = 0;
	double value;

	if (isnan(ns) || ns <= 0) {
		snprintf(text, FORMAT_SIZE, "-");
		return;
	}
	while (ns >= units[i].below && i + 1 < sizeof(units) / sizeof(units[0]))
		i++;
	value = fmin(ns / units[i].unit, 9999);
	/* Whole minutes, hours and days are those that have passed. */
	if (i > 3)
		snprintf(text, FORMAT_SIZE, "%.0f%s", floor(value), units[i].name);
	else
		snprintf(text, FORMAT_SIZE, "%.*f%s", value < 9.95 || i == 3, value, units[i].name);
}

void format_bound(double ns, char text[FORMAT_SIZE])
{
	if (isinf(ns))
		snprintf(text, FORMAT_SIZE, ">67ms");
	else
		format_duration(ns, text);
}

void format_clock(uint64_t ns, char text[FORMAT_SIZE])
{
	uint64_t seconds = ns / 1000000000, days = seconds / 86400;
	unsigned rest = (unsigned)(seconds % 86400);
	int at = 0;

	if (days)
		at = snprintf(text, FORMAT_SIZE, "%" PRIu64 "d ", days);
	snprintf(text + at, (size_t)(FORMAT_SIZE - at), "%02u:%02u:%02u", rest / 3600,
		 rest / 60 % 60, rest % 60);
}

void format_name(const char *name, char *text, size_t size)
{
	size_t at = 0;

	for (; name[at] && at + 1 < size; at++)
		text[at] = '?';
	text[at] = '\0';
	for (at = 0; text[at]; at++)
		if (name[at] >= ' ' && name[at] <= '~')
			text[at] = name[at];
}

/* What no shell takes for anything else. */
static bool plain(const char *text)
{
	for (const char *c = text; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
		      (*c >= '0' && *c <= '9') || strchr("@%_-+=:,./", *c)))
			return false;
	return *text;
}

void format_address(const char *address, char *text, size_t size)
{
	size_t at;

	if (plain(address)) {
		snprintf(text, size, "%s", address);
		return;
	}
	at = (size_t)snprintf(text, size, "$'");
	for (const char *c = address; *c && at + sizeof("\\ooo'") <= size; c++) {
		if (*c == '\'' || *c == '\\')
			at += (size_t)snprintf(text + at, size - at, "\\%c", *c);
		else if (*c >= ' ' && *c <= '~')
			text[at++] = *c;
		else if (*c == '\n')
			at += (size_t)snprintf(text + at, size - at, "\\n");
		else
			at += (size_t)snprintf(text + at, size - at, "\\%03o", (unsigned char)*c);
	}
	snprintf(text + at, size - at, "'");
}

const char *format_user(uint32_t uid)
{
	struct user {
		struct user *next;
		uint32_t uid;
		char name[33];
	};
	static struct user *users[USERS];
	static unsigned known;
	struct user *user = users[uid % USERS];
	const struct passwd *entry;

	while (user && user->uid != uid)
		user = user->next;
	if (user)
		return user->name;
	user = malloc(sizeof(*user));
	if (!user)
		return "?";
	*user = (struct user){ .uid = uid, .next = users[uid % USERS] };
	users[uid % USERS] = user;
	/* More than these only a server that lies has, and each may be a question to a network. */
	entry = known++ < USERS_ASKED ? getpwuid(uid) : NULL;
	if (entry)
		format_name(entry->pw_name, user->name, sizeof(user->name));
	else
		snprintf(user->name, sizeof(user->name), "%" PRIu32, uid);
	return user->name;
}
