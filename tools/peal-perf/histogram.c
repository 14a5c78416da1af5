/*
 * SPDX-License-Identifier: MIT
 *
 * Histograms: merging, and the questions that are asked of one afterwards.
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "histogram.h"

/* The lowest value of a bucket; that of the next one is where it ends. */
static double bucket_low(uint64_t bucket)
{
	uint64_t shift;

	if (bucket < (uint64_t)2 << HISTOGRAM_BITS)
		return (double)bucket;
	shift = (bucket >> HISTOGRAM_BITS) - 1;
	return (double)((bucket - (shift << HISTOGRAM_BITS)) << shift);
}

void histogram_clear(struct histogram *histogram)
{
	memset(histogram, 0, sizeof(*histogram));
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	into->count += from->count;
	into->sum += from->sum;
	if (from->max > into->max)
		into->max = from->max;
	for (uint64_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

double histogram_percentile(const struct histogram *histogram, double share)
{
	double rank = share * (double)histogram->count;
	double seen = 0;

	if (!histogram->count)
		return NAN;
	for (uint64_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		double here = (double)histogram->buckets[i];

		if (here > 0 && seen + here >= rank) {
			/* A time of n whole ticks was really n - 1/2 to n + 1/2. */
			double low = bucket_low(i) - 0.5;
			double width = bucket_low(i + 1) - bucket_low(i);

			return fmax(0, fmin((double)histogram->max,
					    low + width * (rank - seen) / here));
		}
		seen += here;
	}
	return (double)histogram->max;
}

double histogram_mean(const struct histogram *histogram)
{
	return histogram->count ? (double)histogram->sum / (double)histogram->count : NAN;
}

uint64_t histogram_below(const struct histogram *histogram, double limit)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i < HISTOGRAM_BUCKETS && bucket_low(i) < limit; i++)
		count += histogram->buckets[i];
	return count;
}

double histogram_deviation(const struct histogram *histogram)
{
	double mean = histogram_mean(histogram), sum = 0;

	for (uint64_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		double away = (bucket_low(i) + bucket_low(i + 1) - 1) / 2 - mean;

		sum += (double)histogram->buckets[i] * away * away;
	}
	return histogram->count ? sqrt(sum / (double)histogram->count) : NAN;
}
