/*
 * SPDX-License-Identifier: MIT
 *
 * The bare ring: Peal's design at its smallest, the yardstick that Peal is held against. The same
 * memory, records and order of stores; but it only spins, its peer is believed in everything, and
 * nothing is counted, rung or checked. What Peal costs beyond it is the price of the rest.
 */
#include "config.h"

#include "bare.h"
#include "transport.h"

ALWAYS_INLINE int bare_send(void *end, const void *payload, size_t size)
{
	struct bare *bare = end;
	uint8_t *at = bare->data + (bare->pos & bare->mask);
	int err = bare_reserve(bare, bare->pos + bare_record(size) + BARE_HEADER);

	if (__builtin_expect(err, 0))
		return err;
	memcpy(at + BARE_HEADER, payload, size);
	bare_commit(bare, at, size);
	return 0;
}

ALWAYS_INLINE int bare_recv(void *end, void *payload, size_t size)
{
	struct bare *bare = end;
	const uint8_t *at = bare_next(bare);
	uint64_t header;
	int err = bare_await(at, 0, &header);

	return __builtin_expect(err, 0) ? err : bare_take(bare, at, header, payload, size);
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
	bare->tail = (uint64_t *)(void *)(memory->page + BARE_TAIL);
	bare->peer_head = (const uint64_t *)(const void *)memory->peer_page;
	bare->peer_tail = (const uint64_t *)(const void *)(memory->peer_page + BARE_TAIL);
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

int bare_listen(const struct setup *setup, void **end)
{
	return memory_listen(&kind, setup, end);
}

int bare_accept(void *end)
{
	return memory_accept(&kind, end);
}

int bare_connect(const struct setup *setup, void **end)
{
	return memory_connect(&kind, setup, end);
}

int bare_pair(const struct setup *setup, void *ends[2])
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
