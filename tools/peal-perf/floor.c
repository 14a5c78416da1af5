/*
 * SPDX-License-Identifier: MIT
 *
 * The floor: how long it takes two cores to hand each other a cache line and get one back. Nothing
 * that is built of cache lines can be quicker, so it stands beside every figure, measured between
 * the same two CPUs in the same minute. Each side writes one line, on a page that it owns as the
 * owners of rings do; the better of two ways of polling counts, tightly and with a pause.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>

#include <peal/runtime.h>

#include "complaint.h"
#include "memory.h"
#include "slice.h"
#include "tools/line.h"
#include "transport.h"
#include "watch.h"
#include "width.h"

/* Marks the last round trip of one way of polling. Sequence numbers never get there. */
#define STOP ((uint64_t)1 << 63)

struct lines {
	struct memory memory;
	uint64_t *own;
	const uint64_t *peer;
	uint64_t sequence; /* of the last round trip, with its STOP */
};

static bool given_up(void *unused)
{
	(void)unused;
	return watch_abandoned();
}

ALWAYS_INLINE int trip(struct lines *lines, uint64_t value, bool pause)
{
	uint64_t answer;

	line_hand(lines->own, value);
	answer = line_await(lines->peer, lines->sequence, pause, given_up, NULL);
	if (__builtin_expect(answer != value, 0))
		return answer == LINE_GONE ?
			       complain(-ECANCELED, "given up") :
			       complain(-EBADMSG, "the floor's line holds another value");
	lines->sequence = value;
	return 0;
}

/* Round trips are timed as in slice_ping(). */
ALWAYS_INLINE int ping(struct lines *lines, uint64_t ticks, struct histogram *histogram, bool pause)
{
	const uint64_t begun = peal_ticks();
	uint64_t sequence = lines->sequence & ~STOP, trips = 0, now, last, until;
	int err;

	do {
		err = trip(lines, ++sequence, pause);
		if (err)
			return err;
		trips++;
		now = peal_ticks();
	} while (trips < SLICE_WARM_MESSAGES && now - begun < ticks / SLICE_WARM_PART);

	last = now;
	until = now + ticks;
	do {
		err = trip(lines, ++sequence, pause);
		if (err)
			return err;
		now = peal_ticks();
		histogram_add(histogram, now - last);
		last = now;
	} while (now < until);

	return trip(lines, ++sequence | STOP, pause);
}

ALWAYS_INLINE int pong(struct lines *lines, bool pause)
{
	uint64_t value = lines->sequence;

	do {
		value = line_await(lines->peer, value, pause, given_up, NULL);
		if (__builtin_expect(value == LINE_GONE, 0))
			return complain(-ECANCELED, "given up");
		line_hand(lines->own, value);
	} while (!(value & STOP));
	lines->sequence = value;
	return 0;
}

/* Half of the slice for each way of polling; the better one's round trips are the slice's. */
static int ping_both(void *end, struct slice *slice)
{
	struct histogram *tight = slice->histogram, *paused = slice->other;
	int err;

	slice->width = width_now();
	err = ping(end, slice->ticks / 2, tight, false);
	if (!err)
		err = ping(end, slice->ticks / 2, paused, true);
	if (err)
		return err;
	if (histogram_percentile(paused, 0.5) < histogram_percentile(tight, 0.5)) {
		slice->histogram = paused;
		slice->other = tight;
	}
	slice->count = slice->histogram->count;
	slice->elapsed = slice->histogram->sum;
	return 0;
}

static int pong_both(void *end, struct slice *slice)
{
	int err;

	slice->width = width_now();
	err = pong(end, false);
	return err ? err : pong(end, true);
}

static const struct loops loops = { .run = { [TEST_FLOOR] = { ping_both, pong_both } } };

static void begin(void *end)
{
	struct lines *lines = end;

	lines->own = (uint64_t *)(void *)lines->memory.page;
	lines->peer = (const uint64_t *)(const void *)lines->memory.peer_page;
}

static uint64_t data_size(const struct setup *setup)
{
	(void)setup;
	return 0;
}

static const struct memory_kind kind = {
	.end_size = sizeof(struct lines),
	.data_size = data_size,
	.begin = begin,
};

static int floor_listen(const struct setup *setup, void **end)
{
	return memory_listen(&kind, setup, end);
}

static int floor_accept(void *end)
{
	return memory_accept(&kind, end);
}

static int floor_connect(const struct setup *setup, void **end)
{
	return memory_connect(&kind, setup, end);
}

static int floor_pair(const struct setup *setup, void *ends[2])
{
	return memory_pair(&kind, setup, ends);
}

const struct transport transport_floor = {
	.name = "floor",
	.about = "two cache lines",
	.waits = 1 << WAIT_SPIN,
	.listen = floor_listen,
	.accept = floor_accept,
	.connect = floor_connect,
	.pair = floor_pair,
	.close = memory_close,
	.loops = &loops,
};
