/*
 * SPDX-License-Identifier: MIT
 *
 * Histograms of times in ticks: log-linear, so that every value is kept to 3 significant digits
 * whatever its size, in fixed memory. Values below 2048 have a bucket each; above, each power of
 * two is cut into 1024 (the layout of HdrHistogram). It knows nothing of clocks.
 */
#ifndef PEAL_PERF_HISTOGRAM_H
#define PEAL_PERF_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS 10
#define HISTOGRAM_LARGEST ((uint64_t)1 << 42) /* half an hour at 2.5 GHz; more counts as this */
#define HISTOGRAM_BUCKETS ((42 - HISTOGRAM_BITS + 2) << HISTOGRAM_BITS)

struct histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Inline, because it stands between two round trips. */
static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
	unsigned shift = 0;

	if (value > histogram->max)
		histogram->max = value;
	histogram->count++;
	histogram->sum += value;
	if (value > HISTOGRAM_LARGEST)
		value = HISTOGRAM_LARGEST;
	if (value >> (HISTOGRAM_BITS + 1))
		shift = 63u - HISTOGRAM_BITS - (unsigned)__builtin_clzll(value);
	histogram->buckets[((uint64_t)shift << HISTOGRAM_BITS) + (value >> shift)]++;
}

void histogram_clear(struct histogram *histogram);
void histogram_merge(struct histogram *into, const struct histogram *from);

/*
 * The value below which a share (0 to 1) of all lies; NAN of an empty histogram. Within a bucket
 * it is interpolated: where the counter is slow and a round trip takes a few ticks, a median in
 * whole ticks would be too coarse for ratios.
 */
double histogram_percentile(const struct histogram *histogram, double share);

double histogram_mean(const struct histogram *histogram);

/* The standard deviation, to a bucket's width. */
double histogram_deviation(const struct histogram *histogram);

/* How many of the values lie below a limit, to a bucket's width. */
uint64_t histogram_below(const struct histogram *histogram, double limit);

#endif
