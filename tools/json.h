/*
 * SPDX-License-Identifier: MIT
 *
 * JSON: writes one value piece by piece, with commas and escapes where they belong. It knows
 * nothing of what is written.
 */
#ifndef TOOLS_JSON_H
#define TOOLS_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *file;
	unsigned depth;
	bool filled; /* something stands before, at this depth */
	bool line;   /* all of it in one line */
};

/* name: that of a member, or NULL inside an array and at the top. */
void json_object(struct json *json, const char *name);
void json_array(struct json *json, const char *name);
void json_end_object(struct json *json);
void json_end_array(struct json *json);

/* Text is taken to be ASCII; other bytes become U+FFFD. */
void json_string(struct json *json, const char *name, const char *value);

void json_integer(struct json *json, const char *name, uint64_t value);
void json_bool(struct json *json, const char *name, bool value);

/* With so many decimals; null if it is no number. */
void json_number(struct json *json, const char *name, double value, int decimals);

#endif
