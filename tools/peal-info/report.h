/*
 * SPDX-License-Identifier: MIT
 *
 * The report on this machine, and how every JSON report begins.
 */
#ifndef PEAL_INFO_REPORT_H
#define PEAL_INFO_REPORT_H

#include "tools/json.h"

/* The number of docs/peal-info.schema.json. */
#define REPORT_SCHEMA 1

void report_print(void);
void report_json(void);

/* The first line of every report for people. */
void report_versions(void);

/* The first members of every JSON report; the caller ends the object. */
void report_begin_json(struct json *json, const char *report);

#endif
