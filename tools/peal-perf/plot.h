/*
 * SPDX-License-Identifier: MIT
 *
 * Plots: pictures of a run's outcomes, drawn by gnuplot. What is drawn depends on what was
 * measured: of round trips their percentiles, of streams the throughput over the size, of rates the
 * receiver's CPU over the rate, of clients the requests a second over their number.
 */
#ifndef PEAL_PERF_PLOT_H
#define PEAL_PERF_PLOT_H

#include "outcome.h"

/* Whether a picture can be drawn into such a file: 0, or a negative errno with a complaint:
 * -EINVAL: neither SVG nor PNG, by its name; -ENOENT: gnuplot is not there. */
int plot_check(const char *path);

/* Draws it. 0, or a negative errno with a complaint. */
int plot_write(const struct outcomes *outcomes, const char *path);

#endif
