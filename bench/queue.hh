/*
 * SPDX-License-Identifier: MIT
 *
 * Queues of fixed slots between two threads, as C++ has them: their transport, for a class that
 * says how one of them is filled and emptied. A message takes one slot of just its size, which the
 * compiler knows; a payload is copied in and out, as ever. There are as many slots as fill a ring.
 *
 * The class of a peer is a template of the slot, with these members:
 *
 *	queue(size_t slots);
 *	bool put(const slot &);                      false: it is full
 *	bool get(slot &);                            false: it is empty
 *	size_t put_many(const slot *, size_t count); how many there was room for
 *	size_t get_many(slot *, size_t count);       how many there were; these two for batches
 */
#ifndef BENCH_QUEUE_HH
#define BENCH_QUEUE_HH

#include <cerrno>
#include <memory>
#include <new>
#include <vector>

extern "C" {
#include "complaint.h"
#include "slice.h"
#include "transport.h"
#include "watch.h"
}

/* Looks between two questions whether to give up. */
#define LOOKS 65536

template <size_t size> struct alignas(8) slot {
	uint8_t bytes[size];
};

/* An end, whatever it is of. */
struct queue_end {
	size_t size;  /* of a slot */
	size_t batch; /* messages at a time, at most */
};

template <class look> static inline int queue_wait(look ready)
{
	for (;;) {
		for (int i = 0; i < LOOKS; i++) {
			if (ready())
				return 0;
			peal_relax();
		}
		if (watch_abandoned())
			return complain(-ECANCELED, "given up");
	}
}

/* The verbs for messages of one size. */
template <template <class> class queue_of, size_t size> struct queue_verbs {
	using message = slot<size>;
	using queue = queue_of<message>;

	struct end : queue_end {
		std::shared_ptr<queue> to, from;
		std::vector<message> going, come; /* of a batch */
		size_t waiting;                   /* of those that are going */
	};

	ALWAYS_INLINE int send(void *at, const void *payload, size_t)
	{
		queue &to = *static_cast<end *>(at)->to;
		const message &from = *static_cast<const message *>(payload);

		return to.put(from) ? 0 : queue_wait([&] { return to.put(from); });
	}

	ALWAYS_INLINE int recv(void *at, void *payload, size_t)
	{
		queue &from = *static_cast<end *>(at)->from;
		message &to = *static_cast<message *>(payload);

		return from.get(to) ? 0 : queue_wait([&] { return from.get(to); });
	}

	ALWAYS_INLINE int send_more(void *at, const void *payload, size_t)
	{
		end *own = static_cast<end *>(at);

		own->going[own->waiting++] = *static_cast<const message *>(payload);
		return 0;
	}

	ALWAYS_INLINE int send_all(void *at, const void *payload, size_t)
	{
		end *own = static_cast<end *>(at);
		const message *from = own->going.data();
		size_t left = own->waiting + 1;

		own->going[own->waiting] = *static_cast<const message *>(payload);
		own->waiting = 0;
		return queue_wait([&] {
			size_t put = own->to->put_many(from, left);

			from += put;
			left -= put;
			return !left;
		});
	}

	ALWAYS_INLINE int take(void *at, struct slice_check *check)
	{
		end *own = static_cast<end *>(at);
		size_t count = 0;
		int err = queue_wait([&] {
			count = own->from->get_many(own->come.data(), own->batch);
			return count > 0;
		});

		for (size_t i = 0; i < count && !err; i++)
			err = slice_check(check, &own->come[i], size);
		return err;
	}

	static constexpr struct verbs verbs = { .send = send, .recv = recv };
	static constexpr struct verbs batch_verbs = {
		.send = send_all,
		.send_more = send_more,
		.take = take,
	};

	static int pair(const struct setup *setup, void *ends[2])
	try {
		auto there = std::make_shared<queue>(setup->ring / size);
		auto back = std::make_shared<queue>(setup->ring / size);
		std::vector<message> room(setup->batch);
		auto one = std::make_unique<end>(
			end{ { size, setup->batch }, there, back, room, room, 0 });

		ends[1] = new end{ { size, setup->batch }, back, there, room, room, 0 };
		ends[0] = one.release();
		return 0;
	} catch (const std::bad_alloc &) {
		return complain(-ENOMEM, "no memory for two queues");
	}
};

/* Calls a function of the verbs for a size, which is among these. */
#define QUEUE_SIZES(EACH) EACH(8) EACH(64) EACH(256) EACH(1024)
#define QUEUE_CASE(SIZE) \
	case SIZE:       \
		return call.template operator()<queue_verbs<queue_of, SIZE>>();
template <template <class> class queue_of, class callable>
static inline int queue_call(size_t size, callable call)
{
	switch (size) {
		QUEUE_SIZES(QUEUE_CASE)
	}
	return complain(-EMSGSIZE, "no slots of %zu bytes", size);
}

/* The loops of all sizes. */
#define QUEUE_LOOP(LOOP)                                                   \
	static int LOOP(void *end, struct slice *slice)                    \
	{                                                                  \
		return queue_call<queue_of>(slice->size, [=]<class of>() { \
			return slice_##LOOP(&of::verbs, end, slice);       \
		});                                                        \
	}
#define QUEUE_BATCH_LOOP(LOOP)                                             \
	static int LOOP(void *end, struct slice *slice)                    \
	{                                                                  \
		return queue_call<queue_of>(slice->size, [=]<class of>() { \
			return slice_##LOOP(&of::batch_verbs, end, slice); \
		});                                                        \
	}
template <template <class> class queue_of> struct queue_transport {
	QUEUE_LOOP(ping)
	QUEUE_LOOP(pong)
	QUEUE_LOOP(produce)
	QUEUE_LOOP(consume)
	QUEUE_LOOP(arrive)
	QUEUE_LOOP(pace)
	QUEUE_BATCH_LOOP(produce_batches)
	QUEUE_BATCH_LOOP(consume_batches)

	static constexpr struct loops loops = {
		.run = { { NULL, NULL }, { ping, pong }, { produce, consume }, { arrive, pace } },
	};
	static constexpr struct loops batched = {
		.run = { { NULL, NULL },
			 { NULL, NULL },
			 { produce_batches, consume_batches },
			 { NULL, NULL } },
	};

	static const char *refuse(const struct setup *setup)
	{
		switch (setup->size) {
#define QUEUE_KNOWN(SIZE) case SIZE:
			QUEUE_SIZES(QUEUE_KNOWN)
			return NULL;
		}
		return "it has slots of 8, 64, 256 and 1024 bytes here: give one of these sizes";
	}

	static int pair(const struct setup *setup, void *ends[2])
	{
		return queue_call<queue_of>(setup->size,
					    [=]<class of>() { return of::pair(setup, ends); });
	}

	static void close(void *at)
	{
		queue_call<queue_of>(static_cast<queue_end *>(at)->size, [=]<class of>() {
			delete static_cast<typename of::end *>(at);
			return 0;
		});
	}
};

/* Defines one. BATCHED: &queue_transport<...>::batched, or NULL. */
#define QUEUE_TRANSPORT(NAME, TABLE, ABOUT, QUEUE_OF, BATCHED) \
	extern "C" const struct transport transport_##NAME = { \
		.name = TABLE,                                 \
		.about = ABOUT,                                \
		.waits = 1 << WAIT_SPIN,                       \
		.rings = true,                                 \
		.threads_only = true,                          \
		.refuse = queue_transport<QUEUE_OF>::refuse,   \
		.pair = queue_transport<QUEUE_OF>::pair,       \
		.close = queue_transport<QUEUE_OF>::close,     \
		.loops = &queue_transport<QUEUE_OF>::loops,    \
		.batched = BATCHED,                            \
	}

#endif
