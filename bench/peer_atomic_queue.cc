/*
 * SPDX-License-Identifier: MIT
 *
 * atomic_queue, in its mode for one producer and one consumer, for elements of any kind, and with
 * room that is set when it is made.
 */
#include <atomic_queue/atomic_queue.h>

#include "queue.hh"

template <class message> class one_to_one_queue
{
	/* Its defaults: throughput first, no total order; and one to one. */
	atomic_queue::AtomicQueueB2<message, std::allocator<message>, true, false, true> queue;

      public:
	explicit one_to_one_queue(size_t slots) : queue(static_cast<unsigned>(slots))
	{
	}
	bool put(const message &from)
	{
		return queue.try_push(from);
	}
	bool get(message &to)
	{
		return queue.try_pop(to);
	}
};

QUEUE_TRANSPORT(atomic_queue, "atomicq", "atomic_queue, one to one, between threads",
		one_to_one_queue, NULL);
