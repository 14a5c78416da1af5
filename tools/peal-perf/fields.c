/*
 * SPDX-License-Identifier: MIT
 *
 * Fields. Every row of a CSV has all columns, whatever row came first.
 */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "fields.h"

#define NAME 64

void fields_begin(struct fields *fields)
{
	fields->absent = fields->begun = false;
	if (fields->json)
		json_object(fields->json, NULL);
}

void fields_end(struct fields *fields)
{
	if (fields->json)
		json_end_object(fields->json);
	else
		printf("\n");
}

void fields_if(struct fields *fields, bool told)
{
	fields->absent = !told;
}

/* Whether a value is to be written into its column. */
static bool column(struct fields *fields, const char *name)
{
	if (fields->begun)
		printf(",");
	fields->begun = true;
	if (fields->names)
		printf("%s", name);
	return !fields->names && !fields->absent;
}

void fields_string(struct fields *fields, const char *name, const char *value)
{
	if (fields->json) {
		if (!fields->absent)
			json_string(fields->json, name, value);
	} else if (column(fields, name)) {
		printf("%s", value);
	}
}

void fields_integer(struct fields *fields, const char *name, uint64_t value)
{
	if (fields->json) {
		if (!fields->absent)
			json_integer(fields->json, name, value);
	} else if (column(fields, name)) {
		printf("%" PRIu64, value);
	}
}

void fields_bool(struct fields *fields, const char *name, bool value)
{
	if (fields->json) {
		if (!fields->absent)
			json_bool(fields->json, name, value);
	} else if (column(fields, name)) {
		printf("%s", value ? "true" : "false");
	}
}

void fields_number(struct fields *fields, const char *name, double value, int decimals)
{
	if (fields->json) {
		if (!fields->absent)
			json_number(fields->json, name, value, decimals);
	} else if (column(fields, name) && isfinite(value)) {
		printf("%.*f", decimals, value);
	}
}

void fields_spread(struct fields *fields, const char *name, const struct figure *figure,
		   int decimals)
{
	static const char *const suffixes[] = { "spread", "low", "high" };
	const double ends[] = { figure->low, figure->high };
	char full[3][NAME];

	for (int i = 0; i < 3; i++)
		snprintf(full[i], NAME, "%s_%s", name, suffixes[i]);
	if (!fields->json) {
		fields_number(fields, full[1], ends[0], decimals);
		fields_number(fields, full[2], ends[1], decimals);
	} else if (!fields->absent) {
		json_array(fields->json, full[0]);
		json_number(fields->json, NULL, ends[0], decimals);
		json_number(fields->json, NULL, ends[1], decimals);
		json_end_array(fields->json);
	}
}
