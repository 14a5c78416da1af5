/*
 * SPDX-License-Identifier: MIT
 *
 * The forms in which the kernel writes things, taken apart. It knows no files.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/peal-tune/parse.h"

#define SPACE " \t\r\n"

void cpus_add(struct cpus *cpus, unsigned cpu)
{
	if (cpu < CPUS_MAX)
		cpus->bits[cpu / 64] |= UINT64_C(1) << cpu % 64;
}

bool cpus_has(const struct cpus *cpus, unsigned cpu)
{
	return cpu < CPUS_MAX && (cpus->bits[cpu / 64] >> cpu % 64 & 1);
}

unsigned cpus_count(const struct cpus *cpus)
{
	unsigned count = 0;

	for (unsigned i = 0; i < CPUS_MAX / 64; i++)
		count += (unsigned)__builtin_popcountll(cpus->bits[i]);
	return count;
}

unsigned cpus_next(const struct cpus *cpus, unsigned from)
{
	while (from < CPUS_MAX && !cpus_has(cpus, from))
		from++;
	return from < CPUS_MAX ? from : CPUS_MAX;
}

bool cpus_within(const struct cpus *some, const struct cpus *all)
{
	for (unsigned i = 0; i < CPUS_MAX / 64; i++)
		if (some->bits[i] & ~all->bits[i])
			return false;
	return true;
}

bool cpus_meet(const struct cpus *a, const struct cpus *b)
{
	for (unsigned i = 0; i < CPUS_MAX / 64; i++)
		if (a->bits[i] & b->bits[i])
			return true;
	return false;
}

void cpus_less(struct cpus *cpus, const struct cpus *these)
{
	for (unsigned i = 0; i < CPUS_MAX / 64; i++)
		cpus->bits[i] &= ~these->bits[i];
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The number at *text, up to most, and moves *text behind it. */
static bool take_number(const char **text, uint64_t most, uint64_t *value)
{
	const char *c = *text;

	if (!is_digit(*c))
		return false;
	for (*value = 0; is_digit(*c); c++) {
		uint64_t digit = (uint64_t)(*c - '0');

		if (*value > (most - digit) / 10)
			return false;
		*value = *value * 10 + digit;
	}
	*text = c;
	return true;
}

static const char *skip_space(const char *text)
{
	return text + strspn(text, SPACE);
}

int parse_cpus(const char *text, struct cpus *cpus)
{
	memset(cpus, 0, sizeof(*cpus));
	text = skip_space(text);
	while (*text) {
		uint64_t first, last;

		if (!take_number(&text, CPUS_MAX - 1, &first))
			return -EINVAL;
		last = first;
		if (*text == '-') {
			text++;
			if (!take_number(&text, CPUS_MAX - 1, &last) || last < first)
				return -EINVAL;
		}
		for (uint64_t cpu = first; cpu <= last; cpu++)
			cpus_add(cpus, (unsigned)cpu);
		if (*text == ',' && is_digit(text[1]))
			text++;
		else if (*skip_space(text))
			return -EINVAL;
		else
			break;
	}
	return 0;
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* From its end on: each part but the first has eight digits, and the first at least one. */
int parse_mask(const char *text, struct cpus *cpus)
{
	const char *end;
	unsigned bit = 0, digits = 0;

	memset(cpus, 0, sizeof(*cpus));
	text = skip_space(text);
	end = text + strcspn(text, SPACE);
	if (end == text || *skip_space(end))
		return -EINVAL;
	while (end > text) {
		int digit = hex_digit(*--end);

		if (digit < 0) {
			if (*end != ',' || digits != 8 || end == text)
				return -EINVAL;
			digits = 0;
			continue;
		}
		if (digits++ == 8 || (bit >= CPUS_MAX && digit))
			return -EINVAL;
		for (unsigned i = 0; i < 4; i++)
			if (digit >> i & 1)
				cpus_add(cpus, bit + i);
		bit += 4;
	}
	return digits ? 0 : -EINVAL;
}

void print_cpus(const struct cpus *cpus, char *text, size_t size)
{
	char piece[24];
	size_t used = 0;
	unsigned first = cpus_next(cpus, 0);

	if (!size)
		return;
	*text = '\0';
	while (first < CPUS_MAX) {
		unsigned last = first;
		size_t length;

		while (cpus_has(cpus, last + 1))
			last++;
		snprintf(piece, sizeof(piece), last > first ? "%s%u-%u" : "%s%u", used ? "," : "",
			 first, last);
		length = strlen(piece);
		if (used + length >= size) {
			/* Back to where the dots fit. */
			while (used && used + 3 >= size)
				used--;
			snprintf(text + used, size - used, "...");
			return;
		}
		memcpy(text + used, piece, length + 1);
		used += length;
		first = cpus_next(cpus, last + 1);
	}
}

int parse_number(const char *text, int64_t *value)
{
	bool negative;
	uint64_t most, size = 0;

	text = skip_space(text);
	negative = *text == '-';
	most = (uint64_t)INT64_MAX + negative;
	if (*text == '-' || *text == '+')
		text++;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		text += 2;
		if (hex_digit(*text) < 0)
			return -EINVAL;
		for (int digit; (digit = hex_digit(*text)) >= 0; text++) {
			if (size > (most - (uint64_t)digit) / 16)
				return -EINVAL;
			size = size * 16 + (uint64_t)digit;
		}
	} else if (!take_number(&text, most, &size)) {
		return -EINVAL;
	}
	if (*skip_space(text))
		return -EINVAL;
	*value = negative ? (int64_t)(0 - size) : (int64_t)size;
	return 0;
}

/* A limit at *text, and moves *text behind it. */
static bool take_limit(const char **text, uint64_t *value)
{
	static const char *const none[] = { "max", "unlimited" };

	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		size_t length = strlen(none[i]);

		if (!strncmp(*text, none[i], length) &&
		    (!(*text)[length] || strchr(SPACE, (*text)[length]))) {
			*text += length;
			*value = UINT64_MAX;
			return true;
		}
	}
	return take_number(text, UINT64_MAX, value);
}

int parse_limit(const char *text, uint64_t *value)
{
	uint64_t limit;

	text = skip_space(text);
	if (!take_limit(&text, &limit) || *skip_space(text))
		return -EINVAL;
	*value = limit;
	return 0;
}

const char *print_size(uint64_t bytes, char text[SIZE_TEXT])
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned unit = 0;
	uint64_t rest = 0;

	if (bytes == UINT64_MAX) {
		snprintf(text, SIZE_TEXT, "unlimited");
		return text;
	}
	while (bytes >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		rest = bytes % 1024;
		bytes /= 1024;
		unit++;
	}
	if (rest * 10 / 1024)
		snprintf(text, SIZE_TEXT, "%" PRIu64 ".%" PRIu64 " %s", bytes, rest * 10 / 1024,
			 units[unit]);
	else
		snprintf(text, SIZE_TEXT, "%" PRIu64 " %s", bytes, units[unit]);
	return text;
}

/* Copies length bytes of text. */
static int copy(char *to, size_t size, const char *text, size_t length)
{
	if (length >= size)
		return -EINVAL;
	memcpy(to, text, length);
	to[length] = '\0';
	return 0;
}

int parse_choice(const char *text, char *choice, size_t size)
{
	const char *open = strchr(text, '['), *close;

	if (!open)
		return -EINVAL;
	close = open + 1 + strcspn(open + 1, "[]" SPACE);
	if (*close != ']' || close == open + 1 || strpbrk(close + 1, "[]"))
		return -EINVAL;
	return copy(choice, size, open + 1, (size_t)(close - open - 1));
}

/* What stands behind word at the beginning of a line, or NULL. */
static const char *find_line(const char *text, const char *word)
{
	size_t length = strlen(word);

	while (text && strncmp(text, word, length) != 0) {
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return text ? text + length : NULL;
}

int parse_field(const char *text, const char *key, char *value, size_t size)
{
	size_t length;

	/* /proc/cpuinfo has white space before the colon. */
	for (;;) {
		const char *colon;

		text = find_line(text, key);
		if (!text)
			return -ENOENT;
		colon = text + strspn(text, " \t");
		if (*colon == ':') {
			text = colon + 1;
			break;
		}
		text = strchr(text, '\n');
		if (!text)
			return -ENOENT;
		text++;
	}
	text += strspn(text, " \t");
	length = strcspn(text, "\n");
	while (length && strchr(SPACE, text[length - 1]))
		length--;
	return copy(value, size, text, length);
}

int parse_rlimit(const char *text, const char *name, uint64_t *soft, uint64_t *hard)
{
	uint64_t low, high;

	text = find_line(text, name);
	if (!text)
		return -ENOENT;
	if (*text != ' ')
		return -EINVAL;
	text += strspn(text, " ");
	if (!take_limit(&text, &low) || *text != ' ')
		return -EINVAL;
	text += strspn(text, " ");
	if (!take_limit(&text, &high) || (*text && !strchr(SPACE, *text)) || low > high)
		return -EINVAL;
	*soft = low;
	*hard = high;
	return 0;
}

/* Whether name is one of those in a list of length bytes, with commas between. */
static bool is_listed(const char *list, size_t length, const char *name)
{
	const char *end = list + length;

	for (;;) {
		size_t word = strcspn(list, ",:\n");

		if (word == strlen(name) && !memcmp(list, name, word))
			return true;
		if (list + word >= end)
			return false;
		list += word + 1;
	}
}

/* Lines of "ID:CONTROLLERS:PATH"; a path may have colons. */
int parse_cgroup(const char *text, const char *controller, char *path, size_t size)
{
	bool any = false;

	while (*text) {
		const char *end = text + strcspn(text, "\n");
		const char *names = memchr(text, ':', (size_t)(end - text)), *where;

		where = names ? memchr(names + 1, ':', (size_t)(end - names - 1)) : NULL;
		if (!where || where[1] != '/')
			return -EINVAL;
		any = true;
		/* Version 2 has the number 0 and no names; version 1 never has no names. */
		if (*controller ? is_listed(names + 1, (size_t)(where - names - 1), controller) :
				  where == names + 1 && names == text + 1 && *text == '0')
			return copy(path, size, where + 1, (size_t)(end - where - 1));
		text = *end ? end + 1 : end;
	}
	return any ? -ENOENT : -EINVAL;
}
