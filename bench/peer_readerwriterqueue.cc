/*
 * SPDX-License-Identifier: MIT
 *
 * moodycamel's ReaderWriterQueue. It has no limit, but grows; so that it takes no more memory than
 * the others it is filled by try_enqueue, which allocates nothing.
 */
#include <readerwriterqueue/readerwriterqueue.h>

#include "queue.hh"

template <class message> class reader_writer_queue
{
	moodycamel::ReaderWriterQueue<message> queue;

      public:
	explicit reader_writer_queue(size_t slots) : queue(slots)
	{
	}
	bool put(const message &from)
	{
		return queue.try_enqueue(from);
	}
	bool get(message &to)
	{
		return queue.try_dequeue(to);
	}
};

QUEUE_TRANSPORT(readerwriterqueue, "rwqueue", "moodycamel's ReaderWriterQueue, between threads",
		queue_transport<reader_writer_queue>, NULL);
