/*
 * SPDX-License-Identifier: MIT
 *
 * What the bare ring (transport_bare.c) and those that leave out a technique of it have in common
 * (bench/peer_bare_other.c): their ends, records, and the order of stores.
 */
#ifndef PEAL_PERF_BARE_H
#define PEAL_PERF_BARE_H

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <peal/runtime.h>

#include "complaint.h"
#include "memory.h"
#include "slice.h"
#include "watch.h"

#define BARE_HEADER 8
#define BARE_TAIL 128 /* where bareindex has its index on a page; the head is at 0 */

/* Looks between two questions whether to give up, which a program without peers that die would not
 * ask at all. */
#define BARE_LOOKS 65536

struct bare {
	struct memory memory;

	/* The producing end. */
	uint8_t *data;
	uint64_t mask, pos, limit;
	const uint64_t *peer_head; /* on the peer's page: consumed up to here */

	/* The consuming end. */
	const uint8_t *peer_data;
	uint64_t peer_mask, peer_pos;
	uint64_t *head; /* on the own page */

	/* For bareindex. */
	uint64_t *tail;            /* on the own page: written up to here */
	const uint64_t *peer_tail; /* on the peer's */
	uint64_t seen;
};

/* The functions of struct transport. */
int bare_listen(const struct setup *setup, void **end);
int bare_accept(void *end);
int bare_connect(const struct setup *setup, void **end);
int bare_pair(const struct setup *setup, void *ends[2]);

static inline uint64_t bare_record(uint64_t length)
{
	return (length + BARE_HEADER + 7) & ~(uint64_t)7;
}

static inline int bare_give_up(void)
{
	return watch_abandoned() ? complain(-ECANCELED, "given up") : 0;
}

static inline int bare_wait_for_room(struct bare *bare, uint64_t end)
{
	int err = 0;

	while (!err) {
		for (int i = 0; i < BARE_LOOKS; i++) {
			/* Pairs with the release in bare_take(). */
			bare->limit = __atomic_load_n(bare->peer_head, __ATOMIC_ACQUIRE) +
				      bare->mask + 1;
			if (end <= bare->limit)
				return 0;
			peal_relax();
		}
		err = bare_give_up();
	}
	return err;
}

/* Room up to there. */
ALWAYS_INLINE int bare_reserve(struct bare *bare, uint64_t end)
{
	return __builtin_expect(end > bare->limit, 0) ? bare_wait_for_room(bare, end) : 0;
}

/* A header, or an index. */
ALWAYS_INLINE void bare_publish(void *at, uint64_t word)
{
	/* Pairs with the acquire in bare_await(). */
	__atomic_store_n((uint64_t *)at, word, __ATOMIC_RELEASE);
}

/* A record whose payload is there, with a zero behind it. */
ALWAYS_INLINE void bare_commit(struct bare *bare, uint8_t *at, size_t size)
{
	uint64_t record = bare_record(size);

	bare->pos += record;
	/* Ordered by the next line. */
	__atomic_store_n((uint64_t *)(void *)(at + record), 0, __ATOMIC_RELAXED);
	bare_publish(at, size + 1);
}

ALWAYS_INLINE const uint8_t *bare_next(const struct bare *bare)
{
	return bare->peer_data + (bare->peer_pos & bare->peer_mask);
}

/* Waits for a word to be other than that: a header other than 0, say. */
ALWAYS_INLINE int bare_await(const void *word, uint64_t other, uint64_t *found)
{
	int err = 0;

	while (!err) {
		for (int i = 0; i < BARE_LOOKS; i++) {
			/* Pairs with the release in bare_publish(). */
			*found = __atomic_load_n((const uint64_t *)word, __ATOMIC_ACQUIRE);
			if (*found != other)
				return 0;
			peal_relax();
		}
		err = bare_give_up();
	}
	return err;
}

ALWAYS_INLINE int bare_take(struct bare *bare, const uint8_t *at, uint64_t header, void *payload,
			    size_t size)
{
	if (__builtin_expect(header - 1 != size, 0))
		return slice_wrong_size(size, header - 1);
	memcpy(payload, at + BARE_HEADER, size);
	bare->peer_pos += bare_record(size);
	/* Pairs with the acquire in bare_wait_for_room(). */
	__atomic_store_n(bare->head, bare->peer_pos, __ATOMIC_RELEASE);
	return 0;
}

#endif
