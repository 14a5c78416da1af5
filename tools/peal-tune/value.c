/*
 * SPDX-License-Identifier: MIT
 *
 * Whether a file of the kernel says what was written into it. It knows no files.
 */
#include "config.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tools/peal-tune/parse.h"
#include "tools/peal-tune/value.h"

#define CHOICE_SIZE 64

/* The next word of *text, and *text behind it. */
static size_t next_word(const char **text, const char **word)
{
	size_t length = 0;

	while (isspace((unsigned char)**text))
		(*text)++;
	*word = *text;
	while (**text && !isspace((unsigned char)**text)) {
		(*text)++;
		length++;
	}
	return length;
}

/* 1 and 0 of a module's parameter are shown as Y and N. */
static bool is_yes_or_no(const char *word, size_t length, int64_t *value)
{
	if (length != 1 || (*word != 'Y' && *word != 'N'))
		return false;
	*value = *word == 'Y';
	return true;
}

static bool word_number(const char *word, size_t length, int64_t *value)
{
	char copy[32];

	if (!length || length >= sizeof(copy))
		return false;
	memcpy(copy, word, length);
	copy[length] = '\0';
	return is_yes_or_no(word, length, value) || !parse_number(copy, value);
}

static bool words_same(const char *a, const char *b)
{
	for (;;) {
		const char *word_a, *word_b;
		size_t length_a = next_word(&a, &word_a), length_b = next_word(&b, &word_b);
		int64_t number_a, number_b;

		if (!length_a || !length_b)
			return length_a == length_b;
		if (length_a == length_b && !memcmp(word_a, word_b, length_a))
			continue;
		if (!word_number(word_a, length_a, &number_a) ||
		    !word_number(word_b, length_b, &number_b) || number_a != number_b)
			return false;
	}
}

static bool sets_same(const char *a, const char *b, int (*parse)(const char *, struct cpus *))
{
	struct cpus set_a, set_b;

	return *a && *b && !parse(a, &set_a) && !parse(b, &set_b) &&
	       !memcmp(&set_a, &set_b, sizeof(set_a));
}

bool value_same(const char *a, const char *b)
{
	char choice_a[CHOICE_SIZE], choice_b[CHOICE_SIZE];

	if (!parse_choice(a, choice_a, sizeof(choice_a)))
		a = choice_a;
	if (!parse_choice(b, choice_b, sizeof(choice_b)))
		b = choice_b;
	return words_same(a, b) || sets_same(a, b, parse_cpus) || sets_same(a, b, parse_mask);
}

char *value_of(const char *text)
{
	char choice[CHOICE_SIZE];

	return strdup(parse_choice(text, choice, sizeof(choice)) ? text : choice);
}

bool value_is_pool(const char *path)
{
	const char *name = strrchr(path, '/');

	return name && (!strcmp(name, "/nr_hugepages") || !strcmp(name, "/nr_hugepages_mempolicy"));
}

enum value_verdict value_judge(const char *path, const char *old, const char *wanted,
			       const char *now)
{
	int64_t from, to, is;

	if (value_same(wanted, now))
		return VALUE_TAKEN;
	if (!value_is_pool(path) || parse_number(old, &from) || parse_number(wanted, &to) ||
	    parse_number(now, &is))
		return VALUE_REFUSED;
	return (from < is && is < to) || (to < is && is < from) ? VALUE_PARTLY : VALUE_REFUSED;
}
