/*
 * SPDX-License-Identifier: MIT
 *
 * The columns of the table of clients: what stands in each, how wide it is, and how to sort by it;
 * and which of them fit. It knows nothing of where they are drawn.
 */
#ifndef PEAL_TOP_COLUMN_H
#define PEAL_TOP_COLUMN_H

#include <stdbool.h>
#include <stddef.h>

#include "sample.h"

#define COLUMN_SIZE 72 /* room for the text of any cell */
#define COLUMNS_MAX 40 /* in one view */

enum column_form {
	COLUMN_TEXT,
	COLUMN_NUMBER, /* whole; 0: not known */
	COLUMN_COUNT,
	COLUMN_BYTES,
	COLUMN_PERCENT,
	COLUMN_DURATION,
	COLUMN_BOUND
};

struct column {
	const char *key; /* for --sort */
	const char *title;
	const char *about; /* one line */
	int width;         /* at least */
	enum column_form form;
	double (*value)(const struct client *client);     /* of all but COLUMN_TEXT */
	const char *(*text)(const struct client *client); /* of COLUMN_TEXT; may be anything */
};

/* Groups of columns, in the order in which one wants to see them. */
enum view { VIEW_RATES, VIEW_RINGS, VIEW_BELLS, VIEW_OFFCPU, VIEWS };

const char *view_name(enum view view);

/* The n-th column of a view, and of all that there are; NULL behind the last. */
const struct column *view_column(enum view view, unsigned n);
const struct column *column_at(unsigned n);

/* The one of that key; NULL: there is none. */
const struct column *column_find(const char *key);

/* What fits in a line. */
struct layout {
	const struct column *columns[COLUMNS_MAX];
	int widths[COLUMNS_MAX];
	unsigned count;
};

/* Those columns of a view that fit into width columns of a terminal, with one between; the names
 * get what is left. width 0: all columns, and whole names. */
void layout_view(struct layout *layout, enum view view, int width, const struct sample *sample);

/* The cell of a client in a column, not padded. */
void column_text(const struct column *column, const struct client *client, char text[COLUMN_SIZE]);

/* Pads or cuts a text to the width of its column. Returns the length. */
int layout_cell(const struct layout *layout, unsigned n, const char *text, char *cell, size_t size);

/* 0, 1: worth a look, 2: something is wrong. */
int column_alarm(const struct column *column, const struct client *client);

/* Puts the sample's clients into an order of count pointers: what is largest first, but texts from
 * A to Z; reverse: the other way round. Equal ones stand by their ids. */
void column_sort(const struct column *column, bool reverse, const struct sample *sample,
		 const struct client **order);

#endif
