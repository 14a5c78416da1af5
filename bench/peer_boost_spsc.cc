/*
 * SPDX-License-Identifier: MIT
 *
 * Boost.Lockfree's spsc_queue, with its capacity known when it is compiled: its slots are beside
 * its counters then, and no pointer to them shares a cache line with one that the other side
 * writes. Batches are its push and pop of arrays.
 */
#include <boost/lockfree/spsc_queue.hpp>

#include "queue.hh"

template <class message, size_t slots> class boost_queue
{
	boost::lockfree::spsc_queue<message, boost::lockfree::capacity<slots>> queue;

      public:
	bool put(const message &from)
	{
		return queue.push(from);
	}
	bool get(message &to)
	{
		return queue.pop(to);
	}
	size_t put_many(const message *from, size_t count)
	{
		return queue.push(from, count);
	}
	size_t get_many(message *to, size_t count)
	{
		return queue.pop(to, count);
	}
};

QUEUE_TRANSPORT(boost_spsc, "boostspsc", "Boost.Lockfree spsc_queue, between threads",
		queue_room_transport<boost_queue>, &queue_room_transport<boost_queue>::batched);
