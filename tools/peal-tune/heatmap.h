/*
 * SPDX-License-Identifier: MIT
 *
 * A heat map: what it takes from each CPU to each other, in colours and figures. It knows nothing
 * of how that was measured.
 */
#ifndef PEAL_TUNE_HEATMAP_H
#define PEAL_TUNE_HEATMAP_H

#include <stdbool.h>
#include <stdio.h>

struct heatmap {
	unsigned count;
	unsigned *cpus; /* count of them, their numbers */
	double *ns;     /* count rows of count: symmetric; NAN: not measured */
};

/* As text of so many columns, on standard output: the figures are shortened, and then the columns
 * shown in turns, where they do not fit. */
void heatmap_print(const struct heatmap *map, unsigned width, bool colour);

/* As SVG that needs nothing else, on light and dark ground. title: of a-z, digits, blanks and
 * commas. What cannot be written, the file remembers. */
void heatmap_plot(const struct heatmap *map, FILE *file, const char *title);

#endif
