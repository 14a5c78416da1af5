/*
 * SPDX-License-Identifier: MIT
 *
 * Text for people: lines of a report in columns, free of what a terminal must not see. It knows
 * nothing of what is told.
 */
#ifndef PEAL_INFO_TEXT_H
#define PEAL_INFO_TEXT_H

/* A line of the report: up to two headings, a mark between them, a text and a remark on it. */
struct line {
	const char *group, *mark, *name, *text, *remark; /* NULL is "" */
};

void text_line(const struct line *line);

/* A line of one word, however long it is. */
void text_word(const char *word);

#endif
