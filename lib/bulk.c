/*
 * SPDX-License-Identifier: MIT
 *
 * Bulk: which way long payloads are written, by what it takes to read them. See bulk.h.
 *
 * Payloads are timed in bursts, one each lap of the ring (or 512 KiB, if it is smaller), whose
 * median counts. What the other way took when it was last tried is remembered. Past the caches
 * takes about the same wherever the cores are; through them it is several times as much once they
 * are far apart: so a reader that goes that way sees a move within a few laps. One that goes past
 * them sees nothing of it, and asks for a short piece through them now and then, a probe: what it
 * took the writer, which tells soon, shows whether a whole try is worth it. (A writer that slept
 * all the while has nothing new to tell; the next probe will do.) A try is a lap, which is what may
 * still have been written the old way, and a burst. Probes and tries in vain become rarer.
 */
#include "config.h"

#include "lib/bulk.h"
#include "lib/runtime.h"

#define LAP_LEAST 524288u   /* bytes between two bursts, in a smaller ring */
#define TIMED_EVERY 65536u  /* bytes that a writer writes for one payload that it times */
#define PROBE_PART 8u       /* of the ring is a probe, but no less than that */
#define TRY_LAPS 16u        /* that a probe and a try take at most, as soon as the ring is empty */
#define SETTLED 4u          /* bursts after a change, until what is unusual counts, */
#define IN_A_ROW 2u         /* if so many have it */
#define PATIENCE_LEAST 8u   /* bursts between two tries or probes that are in vain, */
#define PATIENCE_PROBES 32u /* and in the end, where they are begun past the caches */
#define PATIENCE_TRIES 256u /* and where not */

static void ask(struct peal_link *link)
{
	/* Pairs with peal_put_bulk of the peer. Nothing is ordered by it. */
	__atomic_store_n(&link->page->rx_bulk, link->bulk.way, __ATOMIC_RELAXED);
}

void bulk_begin(struct peal_link *link)
{
	enum runtime_bulk how = runtime_get()->bulk;

	link->bulk_how = how;
	link->bulk = (struct bulk){ .rest = link->theirs.capacity };
	if (how != RUNTIME_BULK_AUTO || !arch_copy_around)
		link->bulk.rest = UINT64_MAX;
	if (how == RUNTIME_BULK_AROUND)
		link->bulk.way = PEAL_BULK_AROUND;
	ask(link);
}

/* The median of a burst: who was interrupted in one of them tells nothing. */
static uint64_t middle_of(uint64_t *found)
{
	for (int i = 1; i < BULK_BURST; i++)
		for (int k = i; k && found[k - 1] > found[k]; k--) {
			uint64_t other = found[k];

			found[k] = found[k - 1];
			found[k - 1] = other;
		}
	return found[BULK_BURST / 2];
}

/* A message there and back takes the sum of both; a stream goes at the speed of the slower one. */
static uint64_t cost(uint64_t read, uint64_t written)
{
	return read + written + (read > written ? read : written);
}

/* Past the caches has to take less than half as much: it does where cores are far apart. Near ones
 * whose reader is at the heels of the writer, so that lines go from one to the other and back, are
 * at a half to three quarters; but once it is some way behind they go by their caches twice as
 * fast, and would not get there in the other way. */
static bool around_wins(const struct bulk *bulk, uint64_t cached)
{
	return bulk->known[PEAL_BULK_AROUND] < cached / 2;
}

static uint64_t lap_of(uint64_t capacity)
{
	return capacity > LAP_LEAST ? capacity : LAP_LEAST;
}

static uint64_t probe_of(uint64_t capacity)
{
	return capacity / PROBE_PART > TIMED_EVERY ? capacity / PROBE_PART : TIMED_EVERY;
}

static void try_other(struct bulk *bulk, uint64_t capacity)
{
	bulk->phase = bulk->way ? BULK_PROBES : BULK_TRIES;
	bulk->way ^= PEAL_BULK_AROUND;
	bulk->unusual = 0;
	bulk->rest = bulk->way ? capacity : probe_of(capacity);
}

static void take_back(struct bulk *bulk, uint64_t capacity)
{
	uint32_t most;

	bulk->way ^= PEAL_BULK_AROUND;
	most = bulk->way ? PATIENCE_PROBES : PATIENCE_TRIES;
	bulk->patience = bulk->patience ? 2 * bulk->patience : PATIENCE_LEAST;
	if (bulk->patience > most)
		bulk->patience = most;
	bulk->bursts = bulk->patience;
	bulk->phase = BULK_RESTS;
	bulk->rest = lap_of(capacity);
}

/* A probe has been written through the caches. In the best case reading it is free. */
static void judge_probe(struct bulk *bulk, uint64_t capacity, uint32_t written)
{
	if (around_wins(bulk, cost(0, written))) {
		take_back(bulk, capacity);
		return;
	}
	bulk->phase = BULK_TRIES;
	bulk->rest = capacity;
}

/* A burst of the way that is tried. It tells nothing if the writer has not said what it takes. */
static void judge_try(struct bulk *bulk, uint64_t capacity)
{
	if (!bulk->known[bulk->way] || around_wins(bulk, bulk->known[0]) != bulk->way) {
		take_back(bulk, capacity);
		return;
	}
	bulk->bursts = bulk->patience = PATIENCE_LEAST;
	bulk->phase = BULK_RESTS;
	bulk->rest = lap_of(capacity);
}

/* Through the caches takes what it did not when the other way was tried: the cores have moved. */
static bool is_far(struct bulk *bulk)
{
	if (!bulk->way && bulk->patience - bulk->bursts >= SETTLED &&
	    bulk->known[PEAL_BULK_AROUND] && around_wins(bulk, bulk->known[0]))
		bulk->unusual++;
	else
		bulk->unusual = 0;
	return bulk->unusual >= IN_A_ROW;
}

uint32_t bulk_learn(struct bulk *bulk, uint64_t ticks, uint64_t length, uint64_t capacity,
		    const uint32_t written[2])
{
	uint32_t way = bulk->way;

	if (bulk->phase == BULK_PROBES) {
		judge_probe(bulk, capacity, written[way]);
		return bulk->way;
	}
	bulk->found[bulk->count++] = ticks * 1024 / length;
	if (bulk->count < BULK_BURST)
		return way;
	bulk->count = 0;
	bulk->known[way] = written[way] ? cost(middle_of(bulk->found), written[way]) : 0;
	if (bulk->phase == BULK_TRIES) {
		judge_try(bulk, capacity);
	} else if (is_far(bulk) || !bulk->bursts) {
		try_other(bulk, capacity);
	} else {
		bulk->bursts--;
		bulk->rest = lap_of(capacity);
	}
	return bulk->way;
}

/* One that was interrupted counts for little; none is quicker than it can be. */
static void weigh(uint32_t *cost, uint64_t ticks, uint64_t length)
{
	uint64_t before = *cost, now = ticks * 1024 / length,
		 most = before ? 2 * before : UINT32_MAX;

	now = now < 1 ? 1 : now > most ? most : now;
	if (!before)
		before = now;
	if (before > 2 * now)
		before = 2 * now;
	now = (3 * before + now) / 4;
	*cost = now > INT32_MAX ? INT32_MAX : (uint32_t)now;
}

/* The reader looks at this line after each message: it is only written if something is new. */
static void tell(uint32_t *word, uint32_t cost)
{
	uint32_t told = __atomic_load_n(word, __ATOMIC_RELAXED);

	/* Pairs with peal_take_bulk of the peer. Nothing is ordered by it. */
	if (cost > told + told / 8 || cost < told - told / 8)
		__atomic_store_n(word, cost, __ATOMIC_RELAXED);
}

/* The first one of another way, and one of so many bytes: the CPU begins to copy the next one while
 * it ends this one, but not while it looks at its clock. */
static bool is_timed(struct peal_link *link, uint32_t way, size_t length)
{
	if (!arch_copy_around || link->bulk_how != RUNTIME_BULK_AUTO)
		return false;
	link->bulk_untimed += length;
	if (link->bulk_way == way && link->bulk_untimed < TIMED_EVERY)
		return false;
	link->bulk_way = way;
	link->bulk_untimed = 0;
	return true;
}

void peal_put_bulk(struct peal_tx *tx, void *to, const void *from, size_t length)
{
	struct peal_link *link = tx->link;
	uint32_t how = link->bulk_how;
	/* The peer's, and any value is harmless. */
	uint32_t asked = __atomic_load_n(&tx->peer->rx_bulk, __ATOMIC_RELAXED);
	uint32_t way = how == RUNTIME_BULK_AUTO ? asked == PEAL_BULK_AROUND :
						  how == RUNTIME_BULK_AROUND;
	bool timed = is_timed(link, way, length);
	uint64_t begun = timed ? arch_ticks() : 0;

	if (way && arch_copy_around)
		arch_copy_around(to, from, length);
	else
		memcpy(to, from, length);
	if (timed) {
		weigh(&link->bulk_cost[way], arch_ticks_behind() - begun, length);
		tell(&link->page->tx_bulk[way], link->bulk_cost[way]);
	}
}

void peal_take_bulk(struct peal_rx *rx, void *to, const void *from, size_t length)
{
	struct peal_link *link = rx->link;
	struct bulk *bulk = &link->bulk;
	uint32_t written[2], way = bulk->way;
	uint64_t begun;

	link->evict.copied += length;
	if (bulk->rest) {
		if (bulk->rest != UINT64_MAX)
			bulk->rest -= length < bulk->rest ? length : bulk->rest;
		memcpy(to, from, length);
		return;
	}
	begun = arch_ticks();
	memcpy(to, from, length);
	begun = arch_ticks_behind() - begun;
	/* The peer's, and any value is harmless. */
	for (int i = 0; i < 2; i++)
		written[i] = __atomic_load_n(&rx->peer->tx_bulk[i], __ATOMIC_RELAXED);
	if (bulk_learn(bulk, begun, length, rx->mask + 1, written) == way)
		return;
	bulk->tried_at = rx->pos;
	ask(link);
}

void bulk_look(struct peal_link *link)
{
	struct bulk *bulk = &link->bulk;
	uint64_t capacity = link->rx.mask + 1;

	if (bulk->phase == BULK_RESTS ||
	    link->rx.pos - bulk->tried_at < TRY_LAPS * lap_of(capacity))
		return;
	take_back(bulk, capacity);
	bulk->count = 0;
	ask(link);
}
