/*
 * SPDX-License-Identifier: MIT
 *
 * Concurrency Kit's ck_ring between two threads, by its verbs for one producer and one consumer. By
 * its prototypes, which the library has for values that are no pointers, a slot holds a message;
 * its size is known to the compiler, and a payload is copied in and out. There are as many slots as
 * fill a ring, of which one stays empty. Between two looks is ck_pr_stall(), as in its own tests.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ck_ring.h>

#include "complaint.h"
#include "slice.h"
#include "transport.h"
#include "watch.h"

#define CACHE_LINE 64

/* Looks between two questions whether to give up. */
#define LOOKS 65536

/* A ring, and behind it its slots. */
struct channel {
	_Alignas(CACHE_LINE) struct ck_ring ring;
	_Alignas(CACHE_LINE) uint8_t slots[];
};

struct end {
	struct channel *to, *from;
	unsigned *users; /* of both channels: the last one frees them, and this; atomic */
};

#define SIZES(EACH) EACH(8) EACH(64) EACH(256) EACH(1024)

/* The verbs for messages of one size. */
#define VERBS(SIZE)                                                                            \
	struct slot_##SIZE {                                                                   \
		_Alignas(SIZE < CACHE_LINE ? SIZE : CACHE_LINE) uint8_t bytes[SIZE];           \
	};                                                                                     \
	CK_RING_PROTOTYPE(slot_##SIZE, slot_##SIZE)                                            \
                                                                                               \
	ALWAYS_INLINE bool put_##SIZE(const struct end *end, const void *payload)              \
	{                                                                                      \
		return CK_RING_ENQUEUE_SPSC(slot_##SIZE, &end->to->ring,                       \
					    (struct slot_##SIZE *)(void *)end->to->slots,      \
					    (struct slot_##SIZE *)(uintptr_t)payload);         \
	}                                                                                      \
                                                                                               \
	ALWAYS_INLINE bool get_##SIZE(const struct end *end, void *payload)                    \
	{                                                                                      \
		return CK_RING_DEQUEUE_SPSC(slot_##SIZE, &end->from->ring,                     \
					    (struct slot_##SIZE *)(void *)end->from->slots,    \
					    (struct slot_##SIZE *)payload);                    \
	}                                                                                      \
                                                                                               \
	ALWAYS_INLINE int send_##SIZE(void *end, const void *payload, size_t size)             \
	{                                                                                      \
		(void)size;                                                                    \
		for (;;) {                                                                     \
			for (int i = 0; i < LOOKS; i++) {                                      \
				if (__builtin_expect(put_##SIZE(end, payload), 1))             \
					return 0;                                              \
				ck_pr_stall();                                                 \
			}                                                                      \
			if (watch_abandoned())                                                 \
				return complain(-ECANCELED, "given up");                       \
		}                                                                              \
	}                                                                                      \
                                                                                               \
	ALWAYS_INLINE int recv_##SIZE(void *end, void *payload, size_t size)                   \
	{                                                                                      \
		(void)size;                                                                    \
		for (;;) {                                                                     \
			for (int i = 0; i < LOOKS; i++) {                                      \
				if (__builtin_expect(get_##SIZE(end, payload), 1))             \
					return 0;                                              \
				ck_pr_stall();                                                 \
			}                                                                      \
			if (watch_abandoned())                                                 \
				return complain(-ECANCELED, "given up");                       \
		}                                                                              \
	}                                                                                      \
                                                                                               \
	static const struct verbs verbs_##SIZE = { .send = send_##SIZE, .recv = recv_##SIZE }; \
	TRANSPORT_LOOPS(loops_##SIZE, verbs_##SIZE);

SIZES(VERBS)

static const struct loops *loops_of(size_t size)
{
	switch (size) {
#define LOOPS(SIZE) \
	case SIZE:  \
		return &loops_##SIZE;
		SIZES(LOOPS)
	default:
		return NULL;
	}
}

static const char *ring_refuse(const struct setup *setup)
{
	return loops_of(setup->size) ?
		       NULL :
		       "it has slots of 8, 64, 256 and 1024 bytes here: give one of these sizes";
}

/* The loops of all sizes; others have been refused. */
#define ANY_SIZE(LOOP, TEST, SIDE)                                         \
	static int any_##LOOP(void *end, struct slice *slice)              \
	{                                                                  \
		return loops_of(slice->size)->run[TEST][SIDE](end, slice); \
	}
ANY_SIZE(ping, TEST_LATENCY, INITIATOR)
ANY_SIZE(pong, TEST_LATENCY, ANSWERER)
ANY_SIZE(produce, TEST_STREAM, INITIATOR)
ANY_SIZE(consume, TEST_STREAM, ANSWERER)
ANY_SIZE(arrive, TEST_RATE, INITIATOR)
ANY_SIZE(pace, TEST_RATE, ANSWERER)

static const struct loops any_loops = {
	.run = {
		[TEST_LATENCY] = { any_ping, any_pong },
		[TEST_STREAM] = { any_produce, any_consume },
		[TEST_RATE] = { any_arrive, any_pace },
	},
};

/* Rings are powers of two, and so are sizes: the number of slots is one, too. */
static struct channel *channel_new(const struct setup *setup)
{
	size_t size = sizeof(struct channel) + setup->ring;
	struct channel *channel = aligned_alloc(CACHE_LINE, size);

	if (!channel)
		return NULL;
	memset(channel, 0, size); /* touches it */
	ck_ring_init(&channel->ring, (unsigned)(setup->ring / setup->size));
	return channel;
}

static void ring_close(void *at)
{
	struct end *end = at;

	if (!__atomic_sub_fetch(end->users, 1, __ATOMIC_ACQ_REL)) {
		free(end->to);
		free(end->from);
		free(end->users);
	}
	free(end);
}

static int ring_pair(const struct setup *setup, void *ends[2])
{
	struct channel *there = channel_new(setup), *back = channel_new(setup);
	struct end *one = malloc(sizeof(*one)), *two = malloc(sizeof(*two));
	unsigned *users = malloc(sizeof(*users));

	if (!there || !back || !one || !two || !users) {
		free(there);
		free(back);
		free(one);
		free(two);
		free(users);
		return complain(-ENOMEM, "no memory for two rings");
	}
	*users = 2;
	*one = (struct end){ .to = there, .from = back, .users = users };
	*two = (struct end){ .to = back, .from = there, .users = users };
	ends[0] = one;
	ends[1] = two;
	return 0;
}

const struct transport transport_ck_ring = {
	.name = "ck-ring",
	.about = "Concurrency Kit's ck_ring, between threads",
	.waits = 1 << WAIT_SPIN,
	.rings = true,
	.threads_only = true,
	.refuse = ring_refuse,
	.pair = ring_pair,
	.close = ring_close,
	.loops = &any_loops,
};
