/*
 * SPDX-License-Identifier: MIT
 *
 * Results: a row for each thing that was measured at each size. Rows are filled in round by round;
 * what is said of them (medians over the rounds that were kept) is worked out when they are
 * finished. It knows nothing of how they were measured or will be shown.
 */
#ifndef PEAL_PERF_RESULTS_H
#define PEAL_PERF_RESULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "control.h"
#include "histogram.h"
#include "transport.h"

/* A median and what it was taken from; NAN where there is nothing to tell. */
struct figure {
	double median, low, high;
};

/* What one round found. NAN: nothing. */
struct round {
	double p50;   /* ticks */
	double rate;  /* messages a second */
	double floor; /* ticks */
	double to_floor, to_bare;
	double width[2];   /* TEST_FLOOR: of the two cores, additions a cycle */
	double empty_poll; /* of a set: ticks, for each of its links */
};

struct row {
	enum test_id test;
	const struct transport *transport;
	enum wait_mode wait;
	bool zero_copy;
	bool word;      /* of payloads the first word alone is written and checked */
	unsigned batch; /* messages at a time */
	unsigned links; /* of a set; else 1 */
	uint64_t size;
	uint64_t pace; /* TEST_RATE: messages a second that were asked for */

	unsigned kept, dropped; /* rounds */
	struct round *rounds;   /* those that were kept */
	uint64_t count;         /* round trips, or messages received */
	uint64_t messages;      /* in all, with those that warmed it up */
	uint64_t late;          /* TEST_RATE: of these, sent late */
	struct usage usage[SIDES];
	struct histogram histogram; /* of round trips, or of ways from sender to receiver; ticks */

	/* Set by row_finish; times in nanoseconds. */
	double p50, p99, p999, p9999, max, mean;
	struct figure round_p50, rate, floor, to_floor, to_bare, width[2], empty_poll;
};

/* Of so many values, which it sorts. */
struct figure figure_of(double *values, unsigned count);

struct results {
	struct row **rows;
	unsigned count;
	bool interrupted;
};

/* Adds a row with room for so many rounds; NULL with a complaint. It belongs to the results. */
struct row *results_add(struct results *results, unsigned rounds);

/* Works out a row's figures. */
void row_finish(struct row *row);

/* What the side that sends, or receives, has used; of TEST_STREAM and TEST_RATE. */
const struct usage *row_sender(const struct row *row);
const struct usage *row_receiver(const struct row *row);

/* What a side has used for each message, in ns; which part of them was late. NAN of no messages. */
double row_cpu_ns(const struct row *row, const struct usage *usage);
double row_late(const struct row *row);

/* Whether every row has a round that was kept. */
bool results_whole(const struct results *results);

/* The row of a test with transport, wait and size; NULL: there is none. */
const struct row *results_find(const struct results *results, enum test_id test,
			       const struct transport *transport, enum wait_mode wait,
			       uint64_t size);

void results_free(struct results *results);

#endif
