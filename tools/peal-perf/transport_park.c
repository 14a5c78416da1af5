/*
 * SPDX-License-Identifier: MIT
 *
 * Parking: one message in shared memory in each direction, and a sleep in the kernel and a wake-up
 * every time, by a futex or by an eventfd. Nothing that sleeps in the kernel and is woken from it
 * can be much quicker; they are the yardsticks for Peal asleep. There is no room for a second
 * message, so they do round trips only.
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

ALWAYS_INLINE void put(struct park *park, const void *payload, size_t size)
{
	memcpy(park->memory.data, payload, size);
	/* Pairs with the acquire in is_there(). */
	__atomic_store_n(park->sent, *park->sent + 1, __ATOMIC_RELEASE);
}

ALWAYS_INLINE bool is_there(const struct park *park)
{
	/* Pairs with the release in put(). */
	return __atomic_load_n(park->came, __ATOMIC_ACQUIRE) != park->read;
}

ALWAYS_INLINE void take(struct park *park, void *payload, size_t size)
{
	park->read++;
	memcpy(payload, park->memory.peer_data, size);
}

ALWAYS_INLINE int futex_send(void *end, const void *payload, size_t size)
{
	struct park *park = end;

	put(park, payload, size);
	if (syscall(SYS_futex, park->sent, FUTEX_WAKE, 1, NULL, NULL, 0) < 0)
		return complain_errno("FUTEX_WAKE");
	return 0;
}

/* Waits before it looks: that is what these transports are for. */
ALWAYS_INLINE int futex_recv(void *end, void *payload, size_t size)
{
	struct park *park = end;

	do {
		if (syscall(SYS_futex, park->came, FUTEX_WAIT, park->read, NULL, NULL, 0) < 0 &&
		    errno != EAGAIN && errno != EINTR)
			return complain_errno("FUTEX_WAIT");
		if (watch_abandoned())
			return complain(-ECANCELED, "given up");
	} while (!is_there(park));
	take(park, payload, size);
	return 0;
}

static const struct verbs futex_verbs = { .send = futex_send, .recv = futex_recv };

static int futex_ping(void *end, struct slice *slice)
{
	return slice_ping(&futex_verbs, end, slice);
}

static int futex_pong(void *end, struct slice *slice)
{
	return slice_pong(&futex_verbs, end, slice);
}

static const struct loops futex_loops = { .run = { [TEST_LATENCY] = { futex_ping, futex_pong } } };

ALWAYS_INLINE int eventfd_send(void *end, const void *payload, size_t size)
{
	static const uint64_t one = 1;
	struct park *park = end;

	put(park, payload, size);
	while (write(park->memory.peer_bell, &one, sizeof(one)) < 0) {
		int err = watch_retry("ringing an eventfd");

		if (err)
			return err;
	}
	return 0;
}

ALWAYS_INLINE int eventfd_recv(void *end, void *payload, size_t size)
{
	struct park *park = end;
	uint64_t rings;

	do {
		if (read(park->memory.bell, &rings, sizeof(rings)) < 0) {
			int err = watch_retry("waiting for an eventfd");

			if (err)
				return err;
		}
	} while (!is_there(park));
	take(park, payload, size);
	return 0;
}

static const struct verbs eventfd_verbs = { .send = eventfd_send, .recv = eventfd_recv };

static int eventfd_ping(void *end, struct slice *slice)
{
	return slice_ping(&eventfd_verbs, end, slice);
}

static int eventfd_pong(void *end, struct slice *slice)
{
	return slice_pong(&eventfd_verbs, end, slice);
}

static const struct loops eventfd_loops = {
	.run = { [TEST_LATENCY] = { eventfd_ping, eventfd_pong } },
};

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

static const struct memory_kind futex_kind = {
	.end_size = sizeof(struct park),
	.data_size = data_size,
	.begin = begin,
};

static int futex_listen(const struct setup *setup, void **end)
{
	return memory_listen(&futex_kind, setup, end);
}

static int futex_accept(void *end)
{
	return memory_accept(&futex_kind, end);
}

static int futex_connect(const struct setup *setup, void **end)
{
	return memory_connect(&futex_kind, setup, end);
}

static int futex_pair(const struct setup *setup, void *ends[2])
{
	return memory_pair(&futex_kind, setup, ends);
}

static const struct memory_kind eventfd_kind = {
	.end_size = sizeof(struct park),
	.bells = true,
	.data_size = data_size,
	.begin = begin,
};

static int eventfd_listen(const struct setup *setup, void **end)
{
	return memory_listen(&eventfd_kind, setup, end);
}

static int eventfd_accept(void *end)
{
	return memory_accept(&eventfd_kind, end);
}

static int eventfd_connect(const struct setup *setup, void **end)
{
	return memory_connect(&eventfd_kind, setup, end);
}

static int eventfd_pair(const struct setup *setup, void *ends[2])
{
	return memory_pair(&eventfd_kind, setup, ends);
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
	.loops = &futex_loops,
};

const struct transport transport_eventfd = {
	.name = "eventfd",
	.about = "likewise, parked in the read of an eventfd (latency only)",
	.waits = 1 << WAIT_SLEEP,
	.listen = eventfd_listen,
	.accept = eventfd_accept,
	.connect = eventfd_connect,
	.pair = eventfd_pair,
	.close = memory_close,
	.loops = &eventfd_loops,
};
