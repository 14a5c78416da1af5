/*
 * SPDX-License-Identifier: MIT
 *
 * Reports: results as a JSON object for programs, or as a table for people. It measures nothing.
 */
#ifndef PEAL_PERF_REPORT_H
#define PEAL_PERF_REPORT_H

#include "tools/json.h"
#include "options.h"
#include "results.h"

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

/* What every report in JSON begins with, up to the first of its results; and its end. error: a
 * sentence why there is no more; NULL: there was none. */
void report_json_begin(struct json *json, const struct options *options);
void report_json_end(struct json *json, bool interrupted, const char *error);

/* Of a figure, the lowest and highest of what it is the median of. */
void report_json_spread(struct json *json, const char *name, const struct figure *figure,
			int decimals);

void report_json(const struct results *results, const struct options *options, const char *error);
void report_table(const struct results *results, const struct options *options);

#endif
