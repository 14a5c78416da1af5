/*
 * SPDX-License-Identifier: MIT
 *
 * Reports: results as a JSON object or as CSV, for programs; and the words that tables have in
 * common. It measures nothing.
 */
#ifndef PEAL_PERF_REPORT_H
#define PEAL_PERF_REPORT_H

#include "fields.h"
#include "options.h"
#include "results.h"
#include "tools/json.h"

/* "104 ns", "39.2 us", "-": a time in text, which is returned. */
#define REPORT_TEXT 16
char *report_time(char *text, double ns);

/* "3.21 M", "450 k": a count with its unit, which is returned. */
char *report_count(char *text, double count);

/* "stream of 64 bytes", "rate of 10k a second, 64 bytes": what was measured, in text, which
 * is returned. */
#define REPORT_TITLE 96
char *report_title(char *text, enum test_id test, uint64_t size, uint64_t rate);

/* "CPUs 0 and 1 (same-llc)", "any CPUs": where it was measured, in text (REPORT_TITLE), which is
 * returned. */
const char *report_cpus(const struct options *options, char *text);

/* The name of the table that the runtime picked for a job; "none". */
const char *report_picked(const char *job);

/* One fact of the runtime, or "unknown". */
const char *report_fact(const char *group, const char *name);

/* One line of what the runtime picked. */
void report_runtime(void);

/* What every report in JSON begins with, up to the first of its results; and the end of the object,
 * once the array of results is closed. error: a sentence why there is no more; NULL: there was
 * none. */
void report_json_begin(struct json *json, const struct options *options);
void report_json_end(struct json *json, bool interrupted, const char *error);

/* Of a row: the CPUs of its two sides, and what they are to each other. */
void report_place(struct fields *fields, const struct options *options);

/* All rows: as far as the end of the array of results; or as lines of CSV. */
void report_json(struct json *json, const struct results *results, const struct options *options);
void report_csv(const struct results *results, const struct options *options);

#endif
