/*
 * SPDX-License-Identifier: MIT
 *
 * JSON, for all commands. A member of the outermost two levels has a line of its own, what is
 * inside stays on it, so that people can read it too.
 */
#include "config.h"

#include <inttypes.h>
#include <math.h>

#include "tools/json.h"

#define LINES_DEPTH 2

/* The library's strings are ASCII. A byte that is not has no known encoding: it becomes U+FFFD, as
 * decoders print it, so that the object stays valid whatever a CPU says that it is called. */
static void quoted(FILE *file, const char *text)
{
	fputc('"', file);
	for (const char *c = text; *c; c++) {
		unsigned char byte = (unsigned char)*c;

		if (byte == '"' || byte == '\\')
			fprintf(file, "\\%c", byte);
		else if (byte < 0x20 || byte == 0x7f)
			fprintf(file, "\\u%04x", byte);
		else if (byte < 0x7f)
			fputc(byte, file);
		else
			fputs("\\ufffd", file);
	}
	fputc('"', file);
}

/* What stands before a value. */
static void lead(struct json *json, const char *name)
{
	if (json->filled)
		fputc(',', json->file);
	if (!json->line && json->depth && json->depth <= LINES_DEPTH)
		fprintf(json->file, "\n%*s", (int)json->depth * 2, "");
	else if (json->filled)
		fputc(' ', json->file);
	if (name) {
		quoted(json->file, name);
		fputs(": ", json->file);
	}
	json->filled = true;
}

static void begin(struct json *json, const char *name, char bracket)
{
	lead(json, name);
	fputc(bracket, json->file);
	json->depth++;
	json->filled = false;
}

static void end(struct json *json, char bracket)
{
	json->depth--;
	if (!json->line && json->filled && json->depth < LINES_DEPTH)
		fprintf(json->file, "\n%*s", (int)json->depth * 2, "");
	fputc(bracket, json->file);
	json->filled = true;
	if (!json->depth)
		fputc('\n', json->file);
}

void json_object(struct json *json, const char *name)
{
	begin(json, name, '{');
}

void json_array(struct json *json, const char *name)
{
	begin(json, name, '[');
}

void json_end_object(struct json *json)
{
	end(json, '}');
}

void json_end_array(struct json *json)
{
	end(json, ']');
}

void json_string(struct json *json, const char *name, const char *value)
{
	lead(json, name);
	quoted(json->file, value);
}

void json_integer(struct json *json, const char *name, uint64_t value)
{
	lead(json, name);
	fprintf(json->file, "%" PRIu64, value);
}

void json_bool(struct json *json, const char *name, bool value)
{
	lead(json, name);
	fputs(value ? "true" : "false", json->file);
}

void json_number(struct json *json, const char *name, double value, int decimals)
{
	lead(json, name);
	if (isfinite(value))
		fprintf(json->file, "%.*f", decimals, value);
	else
		fputs("null", json->file);
}
