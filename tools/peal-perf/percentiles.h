/*
 * SPDX-License-Identifier: MIT
 *
 * Percentiles: files of the distribution of times, as HdrHistogram's own tools write and plot them.
 */
#ifndef PEAL_PERF_PERCENTILES_H
#define PEAL_PERF_PERCENTILES_H

#include "outcome.h"

/*
 * Writes a file for each outcome that has a histogram, but for the floor's: path itself if there is
 * one, or if it is no regular file, else names made of it and of what each is of ("out.hgrm"
 * becomes "out-latency-peal-spin-64.hgrm"). Times are in microseconds. 0, or a negative errno with
 * a complaint.
 */
int percentiles_write(const struct outcomes *outcomes, const char *path);

#endif
