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
#include "transport.h"
#include "watch.h"
#include "width.h"

/* Looks between two questions whether to give up. */
#define LOOKS 65536

/* Marks the last round trip of one way of polling. Sequence numbers never get there. */
#define STOP ((uint64_t)1 << 63)

/* Instead of a value: given up. Nor there. */
#define GONE UINT64_MAX

struct lines {
	struct memory memory;
	uint64_t *own;
	const uint64_t *peer;
	uint64_t sequence; /* of the last round trip, with its STOP */
};

/* Waits until the peer's line differs from a value, and returns it; or GONE. */
ALWAYS_INLINE uint64_t await(const uint64_t *line, uint64_t old, bool pause)
{
	do {
		for (int i = 0; i < LOOKS; i++) {
			/* Pairs with the releases in trip() and pong(). */
			uint64_t value = __atomic_load_n(line, __ATOMIC_ACQUIRE);

			if (value != old)
				return value;
			if (pause)
				peal_relax();
		}
	} while (!watch_abandoned());
	return GONE;
}

ALWAYS_INLINE int trip(struct lines *lines, uint64_t value, bool pause)
{
	uint64_t answer;

	/* Pairs with the acquire in the peer's await(). */
	__atomic_store_n(lines->own, value, __ATOMIC_RELEASE);
	answer = await(lines->peer, lines->sequence, pause);
	if (__builtin_expect(answer != value, 0))
		return answer == GONE ? complain(-ECANCELED, "given up") :
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
		value = await(lines->peer, value, pause);
		if (__builtin_expect(value == GONE, 0))
			return complain(-ECANCELED, "given up");
		/* Pairs with the acquire in the peer's await(). */
		__atomic_store_n(lines->own, value, __ATOMIC_RELEASE);
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
