/*
 * SPDX-License-Identifier: MIT
 *
 * Tables: results for people, on standard output. It measures nothing.
 */
#ifndef PEAL_PERF_TABLE_H
#define PEAL_PERF_TABLE_H

#include "options.h"
#include "results.h"

void table_print(const struct results *results, const struct options *options);

#endif
