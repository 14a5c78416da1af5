/*
 * SPDX-License-Identifier: MIT
 *
 * atomic_queue, in its mode for one producer and one consumer, set as its own benchmark sets it for
 * these: its size known when it is compiled, MINIMIZE_CONTENTION and MAXIMIZE_THROUGHPUT off. A
 * word is an element of AtomicQueue, the quicker kind; all that is longer is one of AtomicQueue2.
 * It is here twice, as there: with try_push and try_pop, and its pause between two tries; and with
 * push and pop, which wait by themselves. The latter cannot be told that the other side has failed:
 * then the watch ends the program.
 */
#include <atomic_queue/atomic_queue.h>

#include "queue.hh"

/* No word of a payload, for no sequence number gets there; but for it an element is a word. */
constexpr uint64_t nil = -PAYLOAD_STEP;

template <class message, size_t slots>
using queue_of_any = atomic_queue::AtomicQueue2<message, slots, false, false, false, true>;
using atomic_queue::AtomicQueue;

/* The verbs of both kinds, for both ways. */
template <class message, size_t slots> class any_queue
{
	queue_of_any<message, slots> queue;

      public:
	bool try_put(const message &from)
	{
		return queue.try_push(from);
	}
	bool try_get(message &to)
	{
		return queue.try_pop(to);
	}
	void put(const message &from)
	{
		queue.push(from);
	}
	void get(message &to)
	{
		to = queue.pop();
	}
};

template <size_t slots> class any_queue<slot<8>, slots>
{
	AtomicQueue<uint64_t, slots, nil, false, false, false, true> queue;

	static uint64_t word_of(const slot<8> &from)
	{
		uint64_t word;

		memcpy(&word, from.bytes, sizeof(word));
		return word;
	}

      public:
	bool try_put(const slot<8> &from)
	{
		return queue.try_push(word_of(from));
	}
	bool try_get(slot<8> &to)
	{
		uint64_t word;

		if (!queue.try_pop(word))
			return false;
		memcpy(to.bytes, &word, sizeof(word));
		return true;
	}
	void put(const slot<8> &from)
	{
		queue.push(word_of(from));
	}
	void get(slot<8> &to)
	{
		const uint64_t word = queue.pop();

		memcpy(to.bytes, &word, sizeof(word));
	}
};

template <class message, size_t slots> class trying_queue
{
	any_queue<message, slots> queue;

      public:
	bool put(const message &from)
	{
		return queue.try_put(from);
	}
	bool get(message &to)
	{
		return queue.try_get(to);
	}
	static void relax()
	{
		atomic_queue::spin_loop_pause();
	}
};

template <class message, size_t slots> class optimist_queue
{
	any_queue<message, slots> queue;

      public:
	bool put(const message &from)
	{
		queue.put(from);
		return true;
	}
	bool get(message &to)
	{
		queue.get(to);
		return true;
	}
};

QUEUE_TRANSPORT(atomic_queue, "atomicq", "atomic_queue, one to one, between threads",
		queue_room_transport<trying_queue>, NULL);
QUEUE_TRANSPORT(optimist_queue, "optimist", "atomic_queue's optimistic verbs, between threads",
		queue_room_transport<optimist_queue>, NULL);
