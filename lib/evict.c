/*
 * SPDX-License-Identifier: MIT
 *
 * Eviction: whether what was read leaves the caches, by how long laps of the ring take. See
 * evict.h.
 *
 * A trial is four laps of the other way. What is done to a line shows a lap later, and the writer
 * needs some more to get away from the reader at its heels; so the first two tell nothing. The
 * others are held against the quickest of the three before the trial: who was interrupted in one
 * of those tells nothing either. One that takes more than twice as long as that ends it. Laps that
 * are not alike, of a writer that comes and goes or of a reader that sleeps, tell nothing. Parts
 * of one lap cannot be held against each other: a writer that is slow in some of them has its
 * reader at its heels in all, and then every line goes back and forth. A trial in vain doubles the
 * number of laps until the next one. Where lines stay, laps that suddenly take twice as long are a
 * reason for a trial soon; where they leave, also those that take much less: the cores may have
 * moved.
 */
#include "config.h"

#include "lib/evict.h"
#include "lib/runtime.h"

#define LINE 64u   /* of the CPUs that can evict */
#define STEP 1024u /* bytes that leave at a time */
#define TRIAL_LAPS 4u
#define SOON 32u           /* the part of the patience that also changes wait for */
#define PATIENCE_LEAST 4u  /* laps between two trials that are in vain, */
#define PATIENCE_MAX 1024u /* and in the end */

void evict_begin(struct peal_link *link)
{
	enum runtime_evict how = runtime_get()->evict;
	uint64_t start = link->rx.pos, capacity = link->rx.mask + 1;

	link->evict = (struct evict){
		.done = start,
		.end = how == RUNTIME_EVICT_AUTO ? (start / capacity + 1) * capacity : UINT64_MAX,
		.rest = PATIENCE_LEAST,
		.patience = PATIENCE_LEAST,
		.on = how == RUNTIME_EVICT_ALWAYS,
	};
	link->rx.mark = link->evict.on ? start : link->evict.end;
}

/* Of the last so many laps. */
static uint64_t quickest(const struct evict *evict, unsigned laps)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < laps; i++)
		if (evict->laps[i] < least)
			least = evict->laps[i];
	return least;
}

/* Whether two of the last laps are alike: those of a writer that comes and goes are not. */
static bool steady(const struct evict *evict)
{
	uint64_t least = quickest(evict, EVICT_LAPS);
	unsigned alike = 0;

	for (unsigned i = 0; i < EVICT_LAPS; i++)
		alike += evict->laps[i] - least <= least / 4;
	return alike >= 2;
}

static void rest(struct evict *evict, uint32_t patience)
{
	evict->trial = evict->unusual = 0;
	evict->rest = evict->patience = patience < PATIENCE_MAX ? patience : PATIENCE_MAX;
}

/* The trial of the way that it is now is over, or a lap of it was far worse. For leaving both laps
 * have to win by a quarter, and it goes on while it gains a tenth: it takes memory's time, which
 * others want as well. In doubt lines stay. */
static void judge(struct evict *evict, bool worse)
{
	uint64_t before = evict->usual, least = quickest(evict, 2), most = evict->laps[0];
	bool was = !evict->on;

	if (evict->laps[1] > most)
		most = evict->laps[1];
	evict->on = evict->steady && (worse ? was :
				      was   ? least >= before + before / 10 :
					      most < before - before / 4);
	rest(evict, evict->on == was ? 2 * evict->patience : PATIENCE_LEAST);
}

static void rest_or_try(struct evict *evict)
{
	uint32_t rested = evict->patience - evict->rest;
	uint64_t took = evict->laps[0], usual = evict->usual;

	if (took > 2 * usual || (evict->on && took < usual - usual / 3))
		evict->unusual++;
	else
		evict->unusual = 0;
	if (evict->rest && (evict->unusual < EVICT_LAPS || rested < evict->patience / SOON)) {
		evict->rest--;
		return;
	}
	evict->usual = quickest(evict, EVICT_LAPS);
	evict->steady = steady(evict);
	evict->on = !evict->on;
	evict->trial = TRIAL_LAPS;
}

void evict_learn(struct evict *evict, uint64_t took)
{
	for (unsigned i = EVICT_LAPS - 1; i; i--)
		evict->laps[i] = evict->laps[i - 1];
	evict->laps[0] = took;
	if (!evict->trial)
		rest_or_try(evict);
	else if (!--evict->trial || took / 2 > evict->usual)
		judge(evict, took / 2 > evict->usual);
}

/* A lap is over. How long payloads are written is found out by lib/bulk.c, one thing at a time. */
static void end_lap(struct evict *evict, uint64_t pos, uint64_t capacity)
{
	uint64_t now = arch_ticks();

	if (evict->copied > capacity / 2) {
		bool was = evict->on != !!evict->trial;

		evict->on = false;
		rest(evict, was ? PATIENCE_LEAST : evict->patience);
	} else {
		evict_learn(evict, now - evict->since);
	}
	evict->copied = 0;
	evict->since = now;
	evict->end = (pos / capacity + 1) * capacity;
}

/* What is before pos, except the line that goes on there: the next record is in it. */
static void leave(const struct peal_rx *rx, uint64_t from, uint64_t pos)
{
	uint64_t most = rx->mask + 1 - LINE, end = pos & ~(uint64_t)(LINE - 1);

	from &= ~(uint64_t)(LINE - 1);
	if (end - from > most)
		from = end - most;
	if (end != from)
		arch_evict(rx->data + (from & rx->mask), end - from);
}

void peal_mark_reached(struct peal_rx *rx)
{
	struct evict *evict = &rx->link->evict;
	uint64_t pos = rx->pos;

	if (evict->on)
		leave(rx, evict->done, pos);
	evict->done = pos;
	if (pos >= evict->end)
		end_lap(evict, pos, rx->mask + 1);
	rx->mark = evict->on && evict->end - pos > STEP ? pos + STEP : evict->end;
}
