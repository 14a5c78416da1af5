/*
 * SPDX-License-Identifier: MIT
 *
 * Runs: one test at one size after another, in rounds of slices.
 */
#ifndef PEAL_PERF_RUN_H
#define PEAL_PERF_RUN_H

#include "driver.h"
#include "options.h"
#include "results.h"

#define RUN_ENTRIES 128 /* transports times ways of waiting, at a time */

/* What is measured in turn: a transport, waiting in one way, with batches of one size. */
struct entry {
	const struct transport *transport;
	enum wait_mode wait;
	bool in_place;
	unsigned batch; /* messages at a time; 1 where a transport does no batches */
};

/* How a size's time is shared out. */
struct plan {
	struct entry entries[RUN_ENTRIES];
	unsigned count;
	unsigned rounds;
	double slice_s, floor_s; /* an entry's slice, and one of the floor */
};

/*
 * Chooses what a test measures of what the options ask for, and shares the time out, with a note
 * on stderr for what has to be left out or changed. duration_s: the measured time per size (and
 * rate).
 * Returns the number of entries, which is 0 also for the floor's own test.
 */
unsigned run_plan(struct plan *plan, const struct options *options, enum test_id test,
		  double duration_s);

/* How many steps of progress a size (at a rate) takes. */
unsigned run_steps(const struct plan *plan);

/*
 * Runs a test at one size, and at one rate if that is not 0, and adds its rows, the floor's first.
 * 0; -EINTR: interrupted, the rows hold the rounds that there were; other errors have a complaint.
 * Rows are finished in all cases.
 */
int run_size(struct driver *driver, const struct plan *plan, const struct options *options,
	     enum test_id test, uint64_t size, uint64_t rate, struct results *results);

#endif
