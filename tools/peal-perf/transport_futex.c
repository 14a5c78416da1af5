/*
 * SPDX-License-Identifier: MIT
 *
 * The bare futex: one message in shared memory, one word in each direction, FUTEX_WAIT and
 * FUTEX_WAKE every time. Nothing that sleeps in the kernel and is woken from it can be much quicker;
 * it is the yardstick for Peal asleep. It has no room for a second message, so it does round trips
 * only.
 */
#include "config.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "complaint.h"
#include "memory.h"
#include "slice.h"
#include "transport.h"
#include "watch.h"

struct park {
	struct memory memory;
	uint32_t *sent;       /* on the own page: how many messages were put in the own data area */
	const uint32_t *came; /* on the peer's: likewise */
	uint32_t read;        /* how many of the peer's were taken */
};

ALWAYS_INLINE int park_send(void *end, const void *payload, size_t size)
{
	struct park *park = end;

	memcpy(park->memory.data, payload, size);
	/* Pairs with the acquire in park_recv(). */
	__atomic_store_n(park->sent, *park->sent + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_futex, park->sent, FUTEX_WAKE, 1, NULL, NULL, 0) < 0)
		return complain_errno("FUTEX_WAKE");
	return 0;
}

ALWAYS_INLINE int park_recv(void *end, void *payload, size_t size)
{
	struct park *park = end;

	/* Waits before it looks: that is what this transport is for. */
	do {
		if (syscall(SYS_futex, park->came, FUTEX_WAIT, park->read, NULL, NULL, 0) < 0 &&
		    errno != EAGAIN && errno != EINTR)
			return complain_errno("FUTEX_WAIT");
		if (watch_abandoned())
			return complain(-ECANCELED, "given up");
		/* Pairs with the release in park_send(). */
	} while (__atomic_load_n(park->came, __ATOMIC_ACQUIRE) == park->read);
	park->read++;
	memcpy(payload, park->memory.peer_data, size);
	return 0;
}

static const struct verbs verbs = { .send = park_send, .recv = park_recv };

static int ping(void *end, struct slice *slice)
{
	return slice_ping(&verbs, end, slice);
}

static int pong(void *end, struct slice *slice)
{
	return slice_pong(&verbs, end, slice);
}

static const struct loops loops = { .run = { [TEST_LATENCY] = { ping, pong } } };

static void begin(void *end)
{
	struct park *park = end;

	park->sent = (uint32_t *)(void *)park->memory.page;
	park->came = (const uint32_t *)(const void *)park->memory.peer_page;
}

static uint64_t data_size(const struct setup *setup)
{
	return setup->size;
}

static const struct memory_kind kind = {
	.end_size = sizeof(struct park),
	.data_size = data_size,
	.begin = begin,
};

static int futex_listen(const struct setup *setup, void **end)
{
	return memory_listen(&kind, setup, end);
}

static int futex_accept(void *end)
{
	return memory_accept(&kind, end);
}

static int futex_connect(const struct setup *setup, void **end)
{
	return memory_connect(&kind, setup, end);
}

static int futex_pair(const struct setup *setup, void *ends[2])
{
	return memory_pair(&kind, setup, ends);
}

const struct transport transport_futex = {
	.name = "futex",
	.about = "shared memory that parks every time: the yardstick for sleeping (latency only)",
	.waits = 1 << WAIT_SLEEP,
	.listen = futex_listen,
	.accept = futex_accept,
	.connect = futex_connect,
	.pair = futex_pair,
	.close = memory_close,
	.loops = &loops,
};
