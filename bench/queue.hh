/*
 * SPDX-License-Identifier: MIT
 *
 * Queues of fixed slots between two threads, as C++ has them: their transport, for a class that
 * says how one of them is filled and emptied. A message takes one slot of just its size, which the
 * compiler knows; a payload is copied in and out, as ever. There are as many slots as fill a ring,
 * and all of them have been used once before anything is measured, as Peal's memory is.
 *
 * The class of a peer is a template of the slot, with these members:
 *
 *	queue(size_t slots);
 *	bool put(const slot &);                      false: it is full
 *	bool get(slot &);                            false: it is empty
 *	size_t put_many(const slot *, size_t count); how many there was room for
 *	size_t get_many(slot *, size_t count);       how many there were; these two for batches
 *	static void relax();                         its own pause between two looks, if it has one
 *	static constexpr bool waits;                 if put and get wait by themselves, for a while
 *
 * Or it is a template of the slot and of how many there are, for those that want to know this when
 * they are compiled. It has no such constructor then, and there is a choice of rings.
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

/* So that none has more cache lines than it needs. */
template <size_t size> struct alignas(size < 64 ? size : 64) slot {
	uint8_t bytes[size];
};

/* An end, whatever it is of. */
struct queue_end {
	size_t size;  /* of a slot */
	size_t ring;  /* bytes of all slots */
	size_t batch; /* messages at a time, at most */
};

template <class queue, class look> static inline int queue_wait(look ready)
{
	for (;;) {
		if constexpr (requires { queue::waits; }) {
			if (ready())
				return 0;
		} else {
			for (int i = 0; i < LOOKS; i++) {
				if (ready())
					return 0;
				if constexpr (requires { queue::relax(); })
					queue::relax();
				else
					peal_relax();
			}
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

		return to.put(from) ? 0 : queue_wait<queue>([&] { return to.put(from); });
	}

	ALWAYS_INLINE int recv(void *at, void *payload, size_t)
	{
		queue &from = *static_cast<end *>(at)->from;
		message &to = *static_cast<message *>(payload);

		return from.get(to) ? 0 : queue_wait<queue>([&] { return from.get(to); });
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
		return queue_wait<queue>([&] {
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
		int err = queue_wait<queue>([&] {
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

	/* A queue that has had a message in each of its slots. */
	static std::shared_ptr<queue> queue_new(size_t slots)
	{
		auto made = std::make_shared<queue>(slots);
		auto blank = std::make_unique<message>();

		for (size_t i = 0; i < slots; i++)
			made->put(*blank);
		for (size_t i = 0; i < slots; i++)
			made->get(*blank);
		return made;
	}

	static int pair(const struct setup *setup, void *ends[2])
	try {
		const queue_end about = { size, setup->ring, setup->batch };
		auto there = queue_new(setup->ring / size);
		auto back = queue_new(setup->ring / size);
		std::vector<message> room(setup->batch);
		auto one = std::make_unique<end>(end{ about, there, back, room, room, 0 });

		ends[1] = new end{ about, back, there, room, room, 0 };
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
	static constexpr unsigned waits = requires
	{
		queue_of<slot<8>>::waits;
	}
	? 1 << WAIT_ADAPTIVE : 1 << WAIT_SPIN;

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

/* For a template that is told the number of slots: one that is told the slot, for a ring. */
template <template <class, size_t> class queue_of, size_t ring> struct queue_room {
	template <class message> struct queue : queue_of<message, ring / sizeof(message)> {
		explicit queue(size_t)
		{
		}
	};
};

/* The transport of such a template: those of all rings in one. */
#define QUEUE_RINGS(EACH) EACH(16 << 10) EACH(64 << 10) EACH(256 << 10) EACH(2 << 20)
#define QUEUE_ROOM_LOOP(LOOP)                                                               \
	static int LOOP(void *at, struct slice *slice)                                      \
	{                                                                                   \
		return call(static_cast<queue_end *>(at)->ring,                             \
			    [=]<class transport>() { return transport::LOOP(at, slice); }); \
	}
template <template <class, size_t> class queue_of> struct queue_room_transport {
	template <size_t ring>
	using transport_of = queue_transport<queue_room<queue_of, ring>::template queue>;

	static constexpr unsigned waits = transport_of<64 << 10>::waits;

	template <class callable> static inline int call(size_t ring, callable of)
	{
		switch (ring) {
#define QUEUE_ROOM_CASE(RING) \
	case RING:            \
		return of.template operator()<transport_of<RING>>();
			QUEUE_RINGS(QUEUE_ROOM_CASE)
		}
		return complain(-EMSGSIZE, "no rings of %zu bytes", ring);
	}

	QUEUE_ROOM_LOOP(ping)
	QUEUE_ROOM_LOOP(pong)
	QUEUE_ROOM_LOOP(produce)
	QUEUE_ROOM_LOOP(consume)
	QUEUE_ROOM_LOOP(arrive)
	QUEUE_ROOM_LOOP(pace)
	QUEUE_ROOM_LOOP(produce_batches)
	QUEUE_ROOM_LOOP(consume_batches)

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
		switch (setup->ring) {
#define QUEUE_ROOM_KNOWN(RING) case RING:
			QUEUE_RINGS(QUEUE_ROOM_KNOWN)
			return transport_of<64 << 10>::refuse(setup);
		}
		return "its room is settled when it is compiled: give a --ring of 16k, 64k, 256k "
		       "or 2m";
	}

	static int pair(const struct setup *setup, void *ends[2])
	{
		return call(setup->ring,
			    [=]<class transport>() { return transport::pair(setup, ends); });
	}

	static void close(void *at)
	{
		call(static_cast<queue_end *>(at)->ring, [=]<class transport>() {
			transport::close(at);
			return 0;
		});
	}
};

/* Defines one. KIND: queue_transport<...> or queue_room_transport<...>; BATCHED: its batched, or
 * NULL. */
#define QUEUE_TRANSPORT(NAME, TABLE, ABOUT, KIND, BATCHED)     \
	extern "C" const struct transport transport_##NAME = { \
		.name = TABLE,                                 \
		.about = ABOUT,                                \
		.waits = KIND::waits,                          \
		.rings = true,                                 \
		.threads_only = true,                          \
		.refuse = KIND::refuse,                        \
		.pair = KIND::pair,                            \
		.close = KIND::close,                          \
		.loops = &KIND::loops,                         \
		.batched = BATCHED,                            \
	}

#endif
