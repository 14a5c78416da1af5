/*
 * SPDX-License-Identifier: MIT
 *
 * Text for people, in columns: no line is longer than a terminal is wide, where no single word is.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "text.h"

#define WIDTH 100 /* where no single word is longer */

/* The columns. */
#define INDENT 2
#define GROUP_WIDTH 11
#define NAME_WIDTH 17

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

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

void text_line(const struct line *line)
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

void text_word(const char *word)
{
	struct place place = { INDENT, INDENT };

	printf("%*s", INDENT, "");
	print_word(&place, "", word, strlen(word), "");
	putchar('\n');
}
