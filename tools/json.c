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

/* The character that begins here in UTF-8, and how many bytes it has; 0: none does. */
static unsigned decode(const char *text, uint32_t *character)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *byte = (const unsigned char *)text;
	unsigned length = byte[0] >= 0xf0 ? 4 : byte[0] >= 0xe0 ? 3 : 2;

	if (byte[0] < 0xc2 || byte[0] > 0xf4)
		return 0;
	*character = byte[0] & (0x7fu >> length);
	for (unsigned i = 1; i < length; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
		*character = *character << 6 | (byte[i] & 0x3f);
	}
	return *character < least[length] || *character > 0x10ffff ||
			       (*character >= 0xd800 && *character < 0xe000) ?
		       0 :
		       length;
}

/* All of it is ASCII: characters of UTF-8 are escaped. What is none becomes U+FFFD, as decoders
 * print it, so that the object stays valid whatever a CPU says that it is called. */
static void quoted(FILE *file, const char *text)
{
	fputc('"', file);
	for (const char *c = text; *c; c++) {
		unsigned char byte = (unsigned char)*c;
		uint32_t character;
		unsigned length = 0;

		if (byte == '"' || byte == '\\')
			fprintf(file, "\\%c", byte);
		else if (byte < 0x20 || byte == 0x7f)
			fprintf(file, "\\u%04x", byte);
		else if (byte < 0x7f)
			fputc(byte, file);
		else if ((length = decode(c, &character)) == 0)
			fputs("\\ufffd", file);
		else if (character < 0x10000)
			fprintf(file, "\\u%04" PRIx32, character);
		else
			fprintf(file, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xd7c0 + (character >> 10),
				0xdc00 + (character & 0x3ff));
		c += byte < 0x80 || !length ? 0 : length - 1;
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
