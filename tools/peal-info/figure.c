/*
 * SPDX-License-Identifier: MIT
 *
 * Figures that were measured many times: median and quartiles.
 */
#include "config.h"

#include <stdlib.h>

#include "figure.h"

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct figure figure_of(double *all, unsigned count)
{
	qsort(all, count, sizeof(double), by_size);
	return (struct figure){ .middle = all[count / 2],
				.low = all[count / 4],
				.high = all[count - 1 - count / 4] };
}
