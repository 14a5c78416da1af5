/*
 * SPDX-License-Identifier: MIT
 *
 * The bare ring (tools/peal-perf/transport_bare.c) with one technique of it left out, to see what
 * that gains; the rest is the same, and its source, too (tools/peal-perf/bare.h).
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

#include "bare.h"
#include "transport.h"

#define SKIP (UINT64_C(1) << 63) /* a header: nothing more before the end of the data area */

ALWAYS_INLINE int index_send(void *end, const void *payload, size_t size)
{
	struct bare *bare = end;
	uint8_t *at = bare->data + (bare->pos & bare->mask);
	uint64_t behind = bare->pos + bare_record(size);
	int err = bare_reserve(bare, behind);

	if (__builtin_expect(err, 0))
		return err;
	memcpy(at + BARE_HEADER, payload, size);
	*(uint64_t *)(void *)at = size + 1;
	bare->pos = behind;
	bare_publish(bare->tail, behind);
	return 0;
}

ALWAYS_INLINE int index_recv(void *end, void *payload, size_t size)
{
	struct bare *bare = end;
	const uint8_t *at = bare_next(bare);
	int err = 0;

	if (bare->seen == bare->peer_pos)
		err = bare_await(bare->peer_tail, bare->peer_pos, &bare->seen);
	if (__builtin_expect(err, 0))
		return err;
	return bare_take(bare, at, *(const uint64_t *)(const void *)at, payload, size);
}

static const struct verbs index_verbs = { .send = index_send, .recv = index_recv };

TRANSPORT_LOOPS(index_loops, index_verbs);

ALWAYS_INLINE int wrap_send(void *end, const void *payload, size_t size)
{
	struct bare *bare = end;
	uint64_t record = bare_record(size), at = bare->pos & bare->mask;
	uint64_t left = bare->mask + 1 - at, skipped = record + BARE_HEADER > left ? left : 0;
	int err = bare_reserve(bare, bare->pos + skipped + record + BARE_HEADER);

	if (__builtin_expect(err, 0))
		return err;
	if (__builtin_expect(skipped, 0)) {
		/* Ordered by the next line, as the zero behind a record. */
		__atomic_store_n((uint64_t *)(void *)bare->data, 0, __ATOMIC_RELAXED);
		bare_publish(bare->data + at, SKIP);
		bare->pos += skipped;
		at = 0;
	}
	memcpy(bare->data + at + BARE_HEADER, payload, size);
	bare_commit(bare, bare->data + at, size);
	return 0;
}

ALWAYS_INLINE int wrap_recv(void *end, void *payload, size_t size)
{
	struct bare *bare = end;
	const uint8_t *at = bare_next(bare);
	uint64_t header;
	int err = bare_await(at, 0, &header);

	if (__builtin_expect(header == SKIP && !err, 0)) {
		bare->peer_pos = (bare->peer_pos | bare->peer_mask) + 1;
		at = bare->peer_data;
		err = bare_await(at, 0, &header);
	}
	return __builtin_expect(err, 0) ? err : bare_take(bare, at, header, payload, size);
}

static const struct verbs wrap_verbs = { .send = wrap_send, .recv = wrap_recv };

TRANSPORT_LOOPS(wrap_loops, wrap_verbs);

/* With nothing in the ring, what is skipped and the record have to fit all the same. */
static const char *wrap_refuse(const struct setup *setup)
{
	return bare_record(setup->size) + BARE_HEADER > setup->ring / 2 ?
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
