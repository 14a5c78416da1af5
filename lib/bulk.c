/*
 * SPDX-License-Identifier: MIT
 *
 * Bulk: which way long payloads are written, by what it takes to read them. See bulk.h.
 *
 * Payloads are timed in bursts, whose median counts. After a burst some laps of the ring go by
 * untimed; after a change of way one lap, which is what may still have been written the old way.
 * A try that is in vain doubles the number of bursts until the next one. What takes suddenly longer
 * or shorter than the last time is a reason for a try after an eighth of that: the cores may have
 * moved.
 */
#include "config.h"

#include "lib/bulk.h"
#include "lib/runtime.h"

#define LAPS 8            /* between two bursts */
#define TRY_LAPS 16       /* that a try takes at most, as soon as the ring is empty */
#define PATIENCE_LEAST 8u /* bursts between two tries that are in vain, */
#define PATIENCE_MAX 32u  /* and in the end: they cost 1 in 250 payloads then */

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

static void try_other(struct bulk *bulk)
{
	bulk->way ^= PEAL_BULK_AROUND;
	bulk->trying = true;
}

static void take_back(struct bulk *bulk)
{
	bulk->trying = false;
	bulk->way ^= PEAL_BULK_AROUND;
	bulk->patience = bulk->patience ? 2 * bulk->patience : PATIENCE_LEAST;
	if (bulk->patience > PATIENCE_MAX)
		bulk->patience = PATIENCE_MAX;
	bulk->bursts = bulk->patience;
}

/*
 * A burst of the way that is tried. Past the caches has to win by a quarter: near cores that go so
 * by mistake lose half as much again, far ones win twice and more. What it took the writer, 0, if
 * that is not known, tells nothing.
 */
static void judge(struct bulk *bulk, uint32_t written)
{
	uint32_t better = bulk->known[PEAL_BULK_AROUND] < bulk->known[0] / 4 * 3;

	if (!written || better != bulk->way) {
		take_back(bulk);
		return;
	}
	bulk->trying = false;
	bulk->bursts = bulk->patience = PATIENCE_LEAST;
}

uint32_t bulk_learn(struct bulk *bulk, uint64_t ticks, uint64_t length, uint64_t capacity,
		    const uint32_t written[2])
{
	uint32_t way = bulk->way;
	uint64_t before, now;
	bool changed;

	bulk->found[bulk->count++] = ticks * 1024 / length;
	if (bulk->count < BULK_BURST)
		return way;
	bulk->count = 0;
	before = bulk->known[way];
	now = bulk->known[way] = cost(middle_of(bulk->found), written[way]);
	changed = now > before + before / 2 || now < before - before / 3;
	if (bulk->trying) {
		judge(bulk, written[way]);
	} else if (!bulk->bursts ||
		   (changed && bulk->bursts <= bulk->patience - bulk->patience / 8)) {
		try_other(bulk);
	} else {
		bulk->bursts--;
	}
	bulk->rest = bulk->way == way ? LAPS * capacity : capacity;
	return bulk->way;
}

/* One that was interrupted counts for little; none is quicker than it can be. */
static void weigh(uint32_t *cost, uint64_t ticks, uint64_t length)
{
	uint64_t before = *cost, now = ticks * 1024 / length,
		 most = before ? 2 * before : UINT32_MAX;

	now = now < 1 ? 1 : now > most ? most : now;
	if (!before || before > 2 * now)
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

/* Of those that take long enough each is timed, and one of some of the others. */
#define EACH 32768u
#define SOME 4u

void peal_put_bulk(struct peal_tx *tx, void *to, const void *from, size_t length)
{
	struct peal_link *link = tx->link;
	uint32_t how = link->bulk_how;
	bool timed = arch_copy_around && how == RUNTIME_BULK_AUTO &&
		     (length >= EACH || ++link->bulk_count % SOME == 0);
	uint64_t begun = timed ? arch_ticks() : 0;
	/* The peer's, and any value is harmless. */
	uint32_t asked = __atomic_load_n(&tx->peer->rx_bulk, __ATOMIC_RELAXED);
	uint32_t way = how == RUNTIME_BULK_AUTO ? asked == PEAL_BULK_AROUND :
						  how == RUNTIME_BULK_AROUND;

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

	if (!bulk->trying || link->rx.pos - bulk->tried_at < TRY_LAPS * (link->rx.mask + 1))
		return;
	take_back(bulk);
	bulk->count = 0;
	bulk->rest = LAPS * (link->rx.mask + 1);
	ask(link);
}
