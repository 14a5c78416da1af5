/*
 * SPDX-License-Identifier: MIT
 *
 * Results: the arithmetic of rounds. Medians, because a round that something else disturbed must
 * not weigh more than one that nothing did.
 */
#include "config.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include <peal/runtime.h>

#include "complaint.h"
#include "results.h"

struct row *results_add(struct results *results, unsigned rounds)
{
	struct row **rows = realloc(results->rows, (results->count + 1) * sizeof(*rows));
	struct row *row;

	if (!rows)
		goto no_memory;
	results->rows = rows;
	row = calloc(1, sizeof(*row));
	if (!row)
		goto no_memory;
	row->rounds = calloc(rounds, sizeof(*row->rounds));
	if (!row->rounds) {
		free(row);
		goto no_memory;
	}
	rows[results->count++] = row;
	return row;

no_memory:
	complain(-ENOMEM, "no memory for results");
	return NULL;
}

static int compare(const void *one, const void *two)
{
	double a = *(const double *)one, b = *(const double *)two;

	return (a > b) - (a < b);
}

struct figure figure_of(double *values, unsigned count)
{
	if (!count)
		return (struct figure){ NAN, NAN, NAN };
	qsort(values, count, sizeof(*values), compare);
	return (struct figure){ (values[(count - 1) / 2] + values[count / 2]) / 2, values[0],
				values[count - 1] };
}

/* The figure of one member of all rounds, which offset tells, times a factor. */
static struct figure member_of(const struct row *row, size_t offset, double factor)
{
	struct figure figure;
	double *values = calloc(row->kept + 1, sizeof(*values));
	unsigned count = 0;

	for (unsigned i = 0; values && i < row->kept; i++) {
		const char *round = (const char *)&row->rounds[i];
		double value = *(const double *)(const void *)(round + offset);

		if (!isnan(value))
			values[count++] = value * factor;
	}
	figure = figure_of(values, count);
	free(values);
	return figure;
}

void row_finish(struct row *row)
{
	const double ns = 1 / peal_ticks_per_ns();
	const struct histogram *histogram = &row->histogram;

	row->p50 = histogram_percentile(histogram, 0.5) * ns;
	row->p99 = histogram_percentile(histogram, 0.99) * ns;
	row->p999 = histogram_percentile(histogram, 0.999) * ns;
	row->p9999 = histogram_percentile(histogram, 0.9999) * ns;
	row->max = histogram->count ? (double)histogram->max * ns : NAN;
	row->mean = histogram_mean(histogram) * ns;
	row->round_p50 = member_of(row, offsetof(struct round, p50), ns);
	row->rate = member_of(row, offsetof(struct round, rate), 1);
	row->floor = member_of(row, offsetof(struct round, floor), ns);
	row->to_floor = member_of(row, offsetof(struct round, to_floor), 1);
	row->to_bare = member_of(row, offsetof(struct round, to_bare), 1);
	row->empty_poll = member_of(row, offsetof(struct round, empty_poll), ns);
	row->width[0] = member_of(row, offsetof(struct round, width[0]), 1);
	row->width[1] = member_of(row, offsetof(struct round, width[1]), 1);
}

const struct usage *row_sender(const struct row *row)
{
	return &row->usage[row->test == TEST_RATE ? ANSWERER : INITIATOR];
}

const struct usage *row_receiver(const struct row *row)
{
	return &row->usage[row->test == TEST_RATE ? INITIATOR : ANSWERER];
}

double row_cpu_ns(const struct row *row, const struct usage *usage)
{
	return row->messages ? usage->cpu_s * 1e9 / (double)row->messages : NAN;
}

double row_late(const struct row *row)
{
	return row->messages ? (double)row->late / (double)row->messages : NAN;
}

bool results_whole(const struct results *results)
{
	for (unsigned i = 0; i < results->count; i++)
		if (!results->rows[i]->kept)
			return false;
	return results->count > 0;
}

const struct row *results_find(const struct results *results, enum test_id test,
			       const struct transport *transport, enum wait_mode wait,
			       uint64_t size)
{
	for (unsigned i = 0; i < results->count; i++) {
		const struct row *row = results->rows[i];

		if (row->test == test && row->transport == transport && row->wait == wait &&
		    row->size == size)
			return row;
	}
	return NULL;
}

void results_free(struct results *results)
{
	for (unsigned i = 0; i < results->count; i++) {
		free(results->rows[i]->rounds);
		free(results->rows[i]);
	}
	free(results->rows);
	results->rows = NULL;
	results->count = 0;
}
