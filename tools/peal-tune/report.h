/*
 * SPDX-License-Identifier: MIT
 *
 * How findings are shown: as text in columns, and as JSON. It judges nothing.
 */
#ifndef PEAL_TUNE_REPORT_H
#define PEAL_TUNE_REPORT_H

#include "tools/json.h"
#include "tools/peal-tune/command.h"

#define REPORT_SCHEMA 1

/* "ok", "warn", "fail", "skip(absent)", "skip(denied)", "reboot". */
const char *status_name(enum status status);

/* The members that every object of peal-tune begins with: schema, tool, command, version, profile
 * and host. json_end_object is left to the caller. */
void report_begin_json(struct json *json, const char *command, const struct machine *machine);

/* Columns of the terminal on standard output, from 40 on; 80 where it is none. */
unsigned report_width(void);

/* Prints text in lines of up to width columns, each behind indent spaces; what stands in the first
 * line already is column. A word that is longer than a line is not taken apart. Bytes that are not
 * plain ASCII become "?". Returns the column behind it. */
unsigned report_words(const char *text, unsigned indent, unsigned column, unsigned width);

#endif
