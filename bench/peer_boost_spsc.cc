/*
 * SPDX-License-Identifier: MIT
 *
 * Boost.Lockfree's spsc_queue, with room that is set when it is made.
 */
#include <boost/lockfree/spsc_queue.hpp>

#include "queue.hh"

template <class message> class boost_queue
{
	boost::lockfree::spsc_queue<message> queue;

      public:
	explicit boost_queue(size_t slots) : queue(slots)
	{
	}
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

QUEUE_TRANSPORT(boost_spsc, "boost-spsc", "Boost.Lockfree spsc_queue, between threads", boost_queue,
		&queue_transport<boost_queue>::batched);
