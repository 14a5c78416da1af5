/*
 * SPDX-License-Identifier: MIT
 *
 * The bare ring (tools/peal-perf/transport_bare.c) with one technique of it left out, to see what
 * that gains; the rest is the same, line by line.
 *
 * bareindex: not published in-band. The producer stores how far it has written into a word on its
 * page, on lines of its own, and the consumer, which remembers what it saw last, looks there when
 * it has come so far. Nothing is zeroed.
 *
 * barewrap: not mapped twice. A record that would not fit before the end of the data area goes to
 * its beginning, and what is left over is skipped, which its header says. (The mapping is the same
 * as bare's; the second half of it is not touched.)
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
#define TAIL 128                 /* where the index stands on a page; the other word is at 0 */
#define SKIP (UINT64_C(1) << 63) /* a header: nothing more before the end of the data area */

/* Looks between two questions whether to give up. */
#define LOOKS 65536

struct bare {
	struct memory memory;

	/* The producing end. */
	uint8_t *data;
	uint64_t mask, pos, limit;
	const uint64_t *peer_head; /* on the peer's page: consumed up to here */
	uint64_t *tail;            /* on the own page: written up to here */

	/* The consuming end. */
	const uint8_t *peer_data;
	uint64_t peer_mask, peer_pos, seen;
	uint64_t *head;            /* on the own page */
	const uint64_t *peer_tail; /* on the peer's */
};

static inline uint64_t record_size(uint64_t length)
{
	return (length + HEADER + 7) & ~(uint64_t)7;
}

static inline int give_up(void)
{
	return watch_abandoned() ? complain(-ECANCELED, "given up") : 0;
}

static int wait_for_room(struct bare *bare, uint64_t end)
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

ALWAYS_INLINE int reserve(struct bare *bare, uint64_t end)
{
	return __builtin_expect(end > bare->limit, 0) ? wait_for_room(bare, end) : 0;
}

ALWAYS_INLINE void publish(uint8_t *at, uint64_t header)
{
	/* Pairs with the acquire in peek(). */
	__atomic_store_n((uint64_t *)(void *)at, header, __ATOMIC_RELEASE);
}

ALWAYS_INLINE uint64_t peek(const uint8_t *at)
{
	/* Pairs with the release in publish(). */
	return __atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_ACQUIRE);
}

ALWAYS_INLINE void release(struct bare *bare, uint64_t pos)
{
	bare->peer_pos = pos;
	/* Pairs with the acquire in wait_for_room(). */
	__atomic_store_n(bare->head, pos, __ATOMIC_RELEASE);
}

ALWAYS_INLINE int take(struct bare *bare, const uint8_t *at, uint64_t header, void *payload,
		       size_t size)
{
	uint64_t length = header - 1;

	if (__builtin_expect(length != size, 0))
		return slice_wrong_size(size, length);
	memcpy(payload, at + HEADER, length);
	release(bare, bare->peer_pos + record_size(length));
	return 0;
}

ALWAYS_INLINE int index_send(void *end, const void *payload, size_t size)
{
	struct bare *bare = end;
	uint8_t *at = bare->data + (bare->pos & bare->mask);
	uint64_t behind = bare->pos + record_size(size);
	int err = reserve(bare, behind);

	if (__builtin_expect(err, 0))
		return err;
	memcpy(at + HEADER, payload, size);
	*(uint64_t *)(void *)at = size + 1;
	bare->pos = behind;
	/* Pairs with the acquire in index_recv(). */
	__atomic_store_n(bare->tail, behind, __ATOMIC_RELEASE);
	return 0;
}

ALWAYS_INLINE int index_recv(void *end, void *payload, size_t size)
{
	struct bare *bare = end;
	const uint8_t *at = bare->peer_data + (bare->peer_pos & bare->peer_mask);
	unsigned looks = 0;
	int err;

	while (bare->seen == bare->peer_pos) {
		/* Pairs with the release in index_send(). */
		bare->seen = __atomic_load_n(bare->peer_tail, __ATOMIC_ACQUIRE);
		if (bare->seen != bare->peer_pos)
			break;
		peal_relax();
		if (!(++looks % LOOKS)) {
			err = give_up();
			if (err)
				return err;
		}
	}
	return take(bare, at, *(const uint64_t *)(const void *)at, payload, size);
}

static const struct verbs index_verbs = { .send = index_send, .recv = index_recv };

TRANSPORT_LOOPS(index_loops, index_verbs);

ALWAYS_INLINE int wrap_send(void *end, const void *payload, size_t size)
{
	struct bare *bare = end;
	uint64_t record = record_size(size), pos = bare->pos, at = pos & bare->mask;
	uint64_t left = bare->mask + 1 - at, skipped = record + HEADER > left ? left : 0;
	int err = reserve(bare, pos + skipped + record + HEADER);

	if (__builtin_expect(err, 0))
		return err;
	if (__builtin_expect(skipped, 0)) {
		/* Ordered by publish(), as the zero behind a record. */
		__atomic_store_n((uint64_t *)(void *)bare->data, 0, __ATOMIC_RELAXED);
		publish(bare->data + at, SKIP);
		at = 0;
	}
	memcpy(bare->data + at + HEADER, payload, size);
	bare->pos = pos + skipped + record;
	/* Ordered by the next line. */
	__atomic_store_n((uint64_t *)(void *)(bare->data + at + record), 0, __ATOMIC_RELAXED);
	publish(bare->data + at, size + 1);
	return 0;
}

ALWAYS_INLINE int wrap_recv(void *end, void *payload, size_t size)
{
	struct bare *bare = end;
	const uint8_t *at = bare->peer_data + (bare->peer_pos & bare->peer_mask);
	unsigned looks = 0;
	uint64_t header;
	int err;

	while (!(header = peek(at)) || __builtin_expect(header == SKIP, 0)) {
		if (header) {
			bare->peer_pos = (bare->peer_pos | bare->peer_mask) + 1;
			at = bare->peer_data;
			continue;
		}
		peal_relax();
		if (!(++looks % LOOKS)) {
			err = give_up();
			if (err)
				return err;
		}
	}
	return take(bare, at, header, payload, size);
}

static const struct verbs wrap_verbs = { .send = wrap_send, .recv = wrap_recv };

TRANSPORT_LOOPS(wrap_loops, wrap_verbs);

static void begin(void *end)
{
	struct bare *bare = end;
	const struct memory *memory = &bare->memory;

	bare->data = memory->data;
	bare->peer_data = memory->peer_data;
	bare->mask = bare->peer_mask = memory->data_size - 1;
	bare->limit = memory->data_size;
	bare->head = (uint64_t *)(void *)memory->page;
	bare->tail = (uint64_t *)(void *)(memory->page + TAIL);
	bare->peer_head = (const uint64_t *)(const void *)memory->peer_page;
	bare->peer_tail = (const uint64_t *)(const void *)(memory->peer_page + TAIL);
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

/* With nothing in the ring, what is skipped and the record have to fit all the same. */
static const char *wrap_refuse(const struct setup *setup)
{
	return record_size(setup->size) + HEADER > setup->ring / 2 ?
		       "mapped once, it takes records of at most half its ring" :
		       NULL;
}

#define BARE(NAME, ABOUT, REFUSE, LOOPS)                                                  \
	{                                                                                 \
		.name = (NAME), .about = (ABOUT), .waits = 1 << WAIT_SPIN, .rings = true, \
		.refuse = (REFUSE), .listen = bare_listen, .accept = bare_accept,         \
		.connect = bare_connect, .pair = bare_pair, .close = memory_close,        \
		.loops = &(LOOPS),                                                        \
	}

const struct transport transport_bare_index = BARE(
	"bareindex", "bare, but published by an index apart, not in-band", NULL, index_loops);
const struct transport transport_bare_wrap = BARE(
	"barewrap", "bare, but mapped once: no record crosses the end", wrap_refuse, wrap_loops);
