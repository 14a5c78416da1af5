/*
 * SPDX-License-Identifier: MIT
 *
 * Figures that were measured many times: the middle one counts, since what disturbs a measurement
 * makes single ones very long, and what the middle half spans is the noise.
 */
#ifndef PEAL_INFO_FIGURE_H
#define PEAL_INFO_FIGURE_H

struct figure {
	double middle, low, high; /* low to high: the middle half */
};

/* Of at least one measurement; they get sorted. */
struct figure figure_of(double *all, unsigned count);

static inline double figure_span(const struct figure *figure)
{
	return figure->high - figure->low;
}

#endif
