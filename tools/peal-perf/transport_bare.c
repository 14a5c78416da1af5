/*
 * SPDX-License-Identifier: MIT
 *
 * The bare ring: Peal's design at its smallest, the yardstick that Peal is held against. The same
 * memory, records and order of stores; but it only spins, its peer is believed in everything, and
 * nothing is counted, rung or checked. What Peal costs beyond it is the price of the rest.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include <peal/runtime.h>

#include "complaint.h"
#include "memory.h"
#include "slice.h"
#include "transport.h"
#include "watch.h"

#define HEADER 8

/* Looks between two questions whether to give up, which a program without peers that die would not
 * ask at all. */
#define LOOKS 65536

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
};

static inline uint64_t record_size(uint64_t length)
{
	return (length + HEADER + 7) & ~(uint64_t)7;
}

static inline int give_up(void)
{
	return watch_abandoned() ? complain(-ECANCELED, "given up") : 0;
}

static inline int wait_for_room(struct bare *bare, uint64_t end)
{
	int err = 0;

	while (!err) {
		for (int i = 0; i < LOOKS; i++) {
			/* Pairs with the release in release(). */
			bare->limit = __atomic_load_n(bare->peer_head, __ATOMIC_ACQUIRE) +
				      bare->mask + 1;
			if (end <= bare->limit)
				return 0;
			peal_relax();
		}
		err = give_up();
	}
	return err;
}

ALWAYS_INLINE int reserve(struct bare *bare, size_t size, uint8_t **header)
{
	uint64_t end = bare->pos + record_size(size) + HEADER;
	int err = 0;

	if (__builtin_expect(end > bare->limit, 0))
		err = wait_for_room(bare, end);
	*header = bare->data + (bare->pos & bare->mask);
	return err;
}

ALWAYS_INLINE void commit(struct bare *bare, uint8_t *header, size_t size)
{
	uint64_t record = record_size(size);

	bare->pos += record;
	/* Ordered by the next line. */
	__atomic_store_n((uint64_t *)(void *)(header + record), 0, __ATOMIC_RELAXED);
	/* Pairs with the acquire in peek(). */
	__atomic_store_n((uint64_t *)(void *)header, size + 1, __ATOMIC_RELEASE);
}

ALWAYS_INLINE int peek(struct bare *bare, const uint8_t **payload, size_t *length)
{
	const uint8_t *at = bare->peer_data + (bare->peer_pos & bare->peer_mask);
	int err = 0;

	while (!err) {
		for (int i = 0; i < LOOKS; i++) {
			/* Pairs with the release in commit(). */
			uint64_t header = __atomic_load_n((const uint64_t *)(const void *)at,
							  __ATOMIC_ACQUIRE);

			if (header) {
				*length = header - 1;
				*payload = at + HEADER;
				return 0;
			}
			peal_relax();
		}
		err = give_up();
	}
	return err;
}

ALWAYS_INLINE void release(struct bare *bare, size_t length)
{
	bare->peer_pos += record_size(length);
	/* Pairs with the acquire in wait_for_room(). */
	__atomic_store_n(bare->head, bare->peer_pos, __ATOMIC_RELEASE);
}

ALWAYS_INLINE int bare_send(void *end, const void *payload, size_t size)
{
	struct bare *bare = end;
	uint8_t *header;
	int err = reserve(bare, size, &header);

	if (__builtin_expect(err, 0))
		return err;
	memcpy(header + HEADER, payload, size);
	commit(bare, header, size);
	return 0;
}

ALWAYS_INLINE int bare_recv(void *end, void *payload, size_t size)
{
	struct bare *bare = end;
	const uint8_t *at;
	size_t length;
	int err = peek(bare, &at, &length);

	if (__builtin_expect(err, 0))
		return err;
	if (__builtin_expect(length != size, 0))
		return slice_wrong_size(size, length);
	memcpy(payload, at, length);
	release(bare, length);
	return 0;
}

static const struct verbs verbs = { .send = bare_send, .recv = bare_recv };

TRANSPORT_LOOPS(loops, verbs);

static void begin(void *end)
{
	struct bare *bare = end;
	const struct memory *memory = &bare->memory;

	bare->data = memory->data;
	bare->peer_data = memory->peer_data;
	bare->mask = bare->peer_mask = memory->data_size - 1;
	bare->limit = memory->data_size;
	bare->head = (uint64_t *)(void *)memory->page;
	bare->peer_head = (const uint64_t *)(const void *)memory->peer_page;
}

static uint64_t data_size(const struct setup *setup)
{
	return setup->ring;
}

static const struct memory_kind kind = {
	.end_size = sizeof(struct bare),
	.data_size = data_size,
	.begin = begin,
};

static int bare_listen(const struct setup *setup, void **end)
{
	return memory_listen(&kind, setup, end);
}

static int bare_accept(void *end)
{
	return memory_accept(&kind, end);
}

static int bare_connect(const struct setup *setup, void **end)
{
	return memory_connect(&kind, setup, end);
}

static int bare_pair(const struct setup *setup, void *ends[2])
{
	return memory_pair(&kind, setup, ends);
}

const struct transport transport_bare = {
	.name = "bare",
	.about = "the same ring with nothing round it: the yardstick",
	.waits = 1 << WAIT_SPIN,
	.rings = true,
	.listen = bare_listen,
	.accept = bare_accept,
	.connect = bare_connect,
	.pair = bare_pair,
	.close = memory_close,
	.loops = &loops,
};
