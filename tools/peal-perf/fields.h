/*
 * SPDX-License-Identifier: MIT
 *
 * Fields: what a row of results says of itself, told once, and written as members of a JSON object
 * or as columns of a line of CSV. It knows nothing of what they mean.
 */
#ifndef PEAL_PERF_FIELDS_H
#define PEAL_PERF_FIELDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "results.h"
#include "tools/json.h"

struct fields {
	struct json *json; /* NULL: CSV, to standard output */
	bool names;        /* CSV: the line of names, and no values */
	bool absent;       /* those that follow mean nothing in this row */
	bool begun;        /* CSV: something stands in the line */
};

/* Around a row. */
void fields_begin(struct fields *fields);
void fields_end(struct fields *fields);

/* Those that follow are told of rows of which this is true only: others have an empty column, and
 * no member. */
void fields_if(struct fields *fields, bool told);

void fields_string(struct fields *fields, const char *name, const char *value);
void fields_integer(struct fields *fields, const char *name, uint64_t value);
void fields_bool(struct fields *fields, const char *name, bool value);

/* With so many decimals; null, or an empty column, if it is no number. */
void fields_number(struct fields *fields, const char *name, double value, int decimals);

/* Of a figure, the lowest and highest of what it is the median of: an array NAME_spread, or columns
 * NAME_low and NAME_high. */
void fields_spread(struct fields *fields, const char *name, const struct figure *figure,
		   int decimals);

#endif
