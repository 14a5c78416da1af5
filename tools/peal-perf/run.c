/*
 * SPDX-License-Identifier: MIT
 *
 * Runs. A round is the floor, a slice of every entry, and the floor again; cores and clocks move
 * from minute to minute, so only what ran in the same round is compared, and a round in which the
 * floor itself moved is dropped.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peal/runtime.h>

#include "complaint.h"
#include "progress.h"
#include "run.h"
#include "watch.h"

#define SLICE_LONGEST_S 0.050
#define PACED_LONGEST_S 0.200 /* of TEST_RATE: 1000 a second are but 50 in 50 ms */
#define SLICE_SHORTEST_S 0.001
#define ROUNDS_LEAST 10
#define FLOOR_DRIFT 0.15 /* between a round's two floors */
#define FLOORS 2         /* slices of the floor in a round */

/* Adds an entry for each size of batches; or one, of one message at a time, where there are
 * none. */
static void choose_batches(struct plan *plan, const struct options *options, enum test_id test,
			   struct entry *entry)
{
	const struct loops *batched = transport_loops(entry->transport, entry->in_place, 2);
	bool possible = batched && batched->run[test][INITIATOR];

	entry->batch = 1;
	if (!possible && plan->count < RUN_ENTRIES)
		plan->entries[plan->count++] = *entry;
	for (unsigned i = 0; i < options->batch_count && possible; i++) {
		entry->batch = options->batches[i];
		if (plan->count < RUN_ENTRIES)
			plan->entries[plan->count++] = *entry;
	}
}

static void choose_waits(struct plan *plan, const struct options *options, enum test_id test,
			 const struct transport *transport)
{
	bool zero_copy = options->zero_copy && transport->in_place;
	unsigned waits = transport->waits & options->waits;

	if (!transport->loops->run[test][INITIATOR]) {
		if (options->transports_named)
			fprintf(stderr, "peal-perf: %s takes no part in %s: left out\n",
				transport->name, test_name(test));
		return;
	}
	if (transport->threads_only && !options->threads) {
		if (options->transports_named)
			fprintf(stderr,
				"peal-perf: %s is between threads of one process: left out, give "
				"--threads\n",
				transport->name);
		return;
	}
	if (transport->processes_only && options->threads) {
		if (options->transports_named)
			fprintf(stderr,
				"peal-perf: %s is between two processes: left out with --threads\n",
				transport->name);
		return;
	}
	if (!waits) {
		fprintf(stderr,
			"peal-perf: %s cannot wait in any of the ways asked for: left out\n",
			transport->name);
		return;
	}
	for (unsigned wait = 0; wait < WAIT_MODES; wait++)
		if (waits & 1u << wait)
			choose_batches(plan, options, test,
				       &(struct entry){
					       .transport = transport,
					       .wait = (enum wait_mode)wait,
					       .in_place = zero_copy,
				       });
}

/* The slices of a round that takes so long: all as long as each other, but the floor's at most
 * 50 ms. */
static void round_set(struct plan *plan, double round_s)
{
	plan->slice_s = plan->floor_s = round_s / (plan->count + FLOORS);
	if (plan->floor_s <= SLICE_LONGEST_S || !plan->count)
		return;
	plan->floor_s = SLICE_LONGEST_S;
	plan->slice_s = (round_s - FLOORS * plan->floor_s) / plan->count;
}

/* A round's slices: as long as they may be at most, and as many rounds as that takes. */
static void share_out(struct plan *plan, const struct options *options, enum test_id test,
		      double duration_s)
{
	unsigned slices = plan->count + FLOORS;
	double slice_s = test == TEST_RATE ? PACED_LONGEST_S : SLICE_LONGEST_S;
	double longest = slice_s * plan->count + SLICE_LONGEST_S * FLOORS;
	unsigned needed = (unsigned)ceil(duration_s / longest - 1e-9);
	unsigned possible;

	plan->rounds = options->rounds ? options->rounds : ROUNDS_LEAST;
	if (needed > plan->rounds) {
		if (options->rounds)
			fprintf(stderr,
				"peal-perf: slices are at most %.0f ms, so %g s take %u rounds, not %u\n",
				slice_s * 1e3, duration_s, needed, plan->rounds);
		plan->rounds = needed;
	}
	round_set(plan, duration_s / plan->rounds);
	if (plan->slice_s >= SLICE_SHORTEST_S)
		return;
	possible = (unsigned)(duration_s / (SLICE_SHORTEST_S * slices));
	plan->rounds = possible ? possible : 1;
	round_set(plan, fmax(duration_s / plan->rounds, SLICE_SHORTEST_S * slices));
	fprintf(stderr,
		"peal-perf: %g s are too short for that many slices of at least 1 ms: measuring %u "
		"round%s of %.1f ms slices\n",
		duration_s, plan->rounds, plan->rounds == 1 ? "" : "s", plan->slice_s * 1e3);
}

unsigned run_plan(struct plan *plan, const struct options *options, enum test_id test,
		  double duration_s)
{
	memset(plan, 0, sizeof(*plan));
	if (test != TEST_FLOOR)
		for (unsigned i = 0; i < options->transport_count; i++)
			choose_waits(plan, options, test, options->transports[i]);
	share_out(plan, options, test, duration_s);
	return plan->count;
}

unsigned run_steps(const struct plan *plan)
{
	return plan->rounds * (plan->count + FLOORS);
}

/* One thing that is measured at one size: an entry, or the floor. */
struct track {
	struct row *row;
	unsigned slot;
	bool in_place;
	struct round round;          /* the present one */
	struct histogram *histogram; /* of the present round's slice */
	uint64_t count, messages, late;
	struct usage usage[SIDES];
};

struct run {
	struct driver *driver;
	enum test_id test;
	uint64_t size;
	uint64_t payload; /* of that, what is written and checked */
	uint64_t rate;    /* TEST_RATE */
	uint64_t ticks, floor_ticks;
	struct track tracks[RUN_ENTRIES + 1]; /* the floor first */
	unsigned count;
	struct histogram *spare; /* a slice's, to be swapped with a track's */
	struct histogram *other;
	struct track *bare; /* NULL: not in the run */
};

static struct histogram *histogram_new(void)
{
	struct histogram *histogram = malloc(sizeof(*histogram));

	if (histogram)
		histogram_clear(histogram);
	return histogram;
}

/* Opens an entry and adds its track and row. 1: it cannot be measured at this size. */
static int track_open(struct run *run, const struct entry *entry, const struct plan *plan,
		      const struct options *options, struct results *results)
{
	const struct transport *transport = entry->transport;
	struct track *track = &run->tracks[run->count];
	struct setup setup = {
		.size = run->size,
		.ring = options->ring,
		.wait = entry->wait,
		.barrier = options->barrier,
		.huge = options->huge,
		.no_prefault = options->no_prefault,
		.links = transport == &transport_set ? options->links : 1,
		.batch = entry->batch,
	};
	const char *sentence = transport->refuse ? transport->refuse(&setup) : NULL;
	int slot;

	if (sentence) {
		progress_clear();
		fprintf(stderr, "peal-perf: %s is left out: %s\n", transport->name, sentence);
		return 1;
	}
	slot = driver_open(run->driver, transport, &setup);
	if (slot < 0)
		return slot;
	track->slot = (unsigned)slot;
	track->in_place = entry->in_place;
	track->histogram = histogram_new();
	if (!track->histogram)
		return complain(-ENOMEM, "no memory for a histogram");
	track->row = results_add(results, plan->rounds);
	if (!track->row) {
		free(track->histogram);
		return -ENOMEM;
	}
	track->row->test = transport == &transport_floor ? TEST_FLOOR : run->test;
	track->row->transport = transport;
	track->row->wait = entry->wait;
	track->row->zero_copy = entry->in_place;
	track->row->word = options->word && track->row->test != TEST_FLOOR;
	track->row->batch = entry->batch;
	track->row->links = setup.links;
	track->row->size = run->size;
	track->row->pace = run->rate;
	if (transport == &transport_bare)
		run->bare = track;
	run->count++;
	return 0;
}

static int tracks_open(struct run *run, const struct plan *plan, const struct options *options,
		       struct results *results)
{
	static const struct entry floor_entry = { &transport_floor, WAIT_SPIN, false, 1 };
	int err;

	run->spare = histogram_new();
	run->other = histogram_new();
	if (!run->spare || !run->other) {
		complain(-ENOMEM, "no memory for a histogram");
		return -ENOMEM;
	}
	err = driver_folder_make(run->driver);
	if (!err)
		err = track_open(run, &floor_entry, plan, options, results);
	for (unsigned i = 0; i < plan->count && err >= 0; i++)
		err = track_open(run, &plan->entries[i], plan, options, results);
	driver_folder_remove(run->driver);
	return err < 0 ? err : 0;
}

/* Runs one slice of a track and notes in it what the round found. */
static int track_run(struct run *run, struct track *track)
{
	const struct row *row = track->row;
	struct slice slice = {
		.size = (size_t)run->size,
		.payload = (size_t)run->payload,
		.batch = row->batch,
		.ticks = row->test == TEST_FLOOR ? run->floor_ticks : run->ticks,
		.step = run->rate ? pace_step(run->rate) : 0,
		.histogram = run->spare,
		.other = run->other,
	};
	int err;

	histogram_clear(run->spare);
	histogram_clear(run->other);
	err = driver_run(run->driver, track->slot, row->test, track->in_place, &slice,
			 track->usage);
	if (err) {
		char why[COMPLAINT_SIZE];

		snprintf(why, sizeof(why), "%s", complaint());
		return complain(err, "%s of %" PRIu64 " bytes through %s (%s): %s",
				test_name(row->test), run->size, row->transport->name,
				wait_name(row->wait), why);
	}
	/* The floor may have answered with the other one. */
	run->spare = track->histogram;
	track->histogram = slice.histogram;
	if (slice.histogram == run->other)
		run->other = slice.other;
	track->count = slice.count;
	track->messages = slice.messages;
	track->late = slice.late;
	track->round.p50 = histogram_percentile(track->histogram, 0.5);
	track->round.width[0] = row->test == TEST_FLOOR ? slice.width : NAN;
	track->round.width[1] = row->test == TEST_FLOOR ? slice.partner_width : NAN;
	track->round.empty_poll = slice.empty_poll > 0 ? slice.empty_poll : NAN;
	track->round.rate = NAN;
	if (slice.count && slice.elapsed)
		track->round.rate = (double)slice.count / (double)slice.elapsed *
				    peal_ticks_per_ns() * 1e9;
	return 0;
}

/* The ratios of a round, once all of it is there. */
static void track_compare(const struct run *run, struct track *track, double floor)
{
	struct round *round = &track->round;

	round->floor = floor;
	round->to_floor = round->to_bare = NAN;
	if (track->row->test == TEST_LATENCY) {
		round->to_floor = round->p50 / floor;
		if (run->bare)
			round->to_bare = round->p50 / run->bare->round.p50;
	} else if (track->row->test == TEST_RATE && run->bare) {
		round->to_bare = round->p50 / run->bare->round.p50;
	} else if (track->row->test == TEST_STREAM && run->bare) {
		round->to_bare = round->rate / run->bare->round.rate;
	}
}

static void usages_add(struct usage into[SIDES], const struct usage from[SIDES])
{
	for (int side = 0; side < SIDES; side++) {
		into[side].cpu_s += from[side].cpu_s;
		into[side].switches += from[side].switches;
	}
}

static void track_keep(struct track *track)
{
	struct row *row = track->row;

	row->rounds[row->kept++] = track->round;
	row->count += track->count;
	row->messages += track->messages;
	row->late += track->late;
	usages_add(row->usage, track->usage);
	histogram_merge(&row->histogram, track->histogram);
}

/* A second floor, behind all others, to be held against the first; then both are one. */
static int floor_again(struct run *run, double *floor, bool *steady)
{
	struct track *track = &run->tracks[0];
	struct track first = *track;
	double before = first.round.p50, after;
	int err;

	track->histogram = histogram_new();
	if (!track->histogram) {
		track->histogram = first.histogram;
		return complain(-ENOMEM, "no memory for a histogram");
	}
	slice_knows(track->row != NULL);
	err = track_run(run, track);
	if (!err) {
		after = track->round.p50;
		*floor = (before + after) / 2;
		*steady = fabs(before - after) <= FLOOR_DRIFT * fmin(before, after);
		histogram_merge(track->histogram, first.histogram);
		track->round.p50 = *floor;
		track->round.rate = (track->round.rate + first.round.rate) / 2;
		for (int i = 0; i < 2; i++)
			track->round.width[i] = fmin(track->round.width[i], first.round.width[i]);
		track->count += first.count;
		usages_add(track->usage, first.usage);
	}
	free(first.histogram);
	return err;
}

static int round_run(struct run *run)
{
	double floor = NAN;
	bool steady = false;
	int err;

	for (unsigned i = 0; i < run->count; i++) {
		if (watch_interrupted())
			return -EINTR;
		err = track_run(run, &run->tracks[i]);
		if (err)
			return err;
		progress_step(1);
	}
	if (watch_interrupted())
		return -EINTR;
	err = floor_again(run, &floor, &steady);
	if (err)
		return err;
	progress_step(1);
	for (unsigned i = 0; i < run->count; i++) {
		if (steady) {
			track_compare(run, &run->tracks[i], floor);
			track_keep(&run->tracks[i]);
		} else {
			run->tracks[i].row->dropped++;
		}
	}
	return 0;
}

/* How much of a message is written and checked. */
static uint64_t payload_of(const struct options *options, enum test_id test, uint64_t size)
{
	uint64_t payload = test == TEST_RATE ? size - SLICE_STAMP : size;

	return options->word && payload > sizeof(uint64_t) ? sizeof(uint64_t) : payload;
}

int run_size(struct driver *driver, const struct plan *plan, const struct options *options,
	     enum test_id test, uint64_t size, uint64_t rate, struct results *results)
{
	struct run run = {
		.driver = driver,
		.test = test,
		.size = size,
		.payload = payload_of(options, test, size),
		.rate = rate,
		.ticks = (uint64_t)(plan->slice_s * 1e9 * peal_ticks_per_ns()),
		.floor_ticks = (uint64_t)(plan->floor_s * 1e9 * peal_ticks_per_ns()),
	};
	int err = tracks_open(&run, plan, options, results);

	for (unsigned i = 0; i < plan->rounds && !err; i++)
		err = round_run(&run);
	if (!err || err == -EINTR) {
		int closed = driver_close(driver);

		if (closed)
			err = closed;
	}
	for (unsigned i = 0; i < run.count; i++) {
		row_finish(run.tracks[i].row);
		free(run.tracks[i].histogram);
	}
	free(run.spare);
	free(run.other);
	return err;
}
