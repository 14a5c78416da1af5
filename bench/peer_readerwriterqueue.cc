/*
 * SPDX-License-Identifier: MIT
 *
 * moodycamel's ReaderWriterQueue. It has no limit, but grows; so that it takes no more memory than
 * the others it is filled by try_enqueue, which allocates nothing. All its slots are in one block,
 * by a parameter of the template, rather than in a chain of blocks of 512, as they are unless told:
 * streams of 1 KiB were three times as quick so, those of 8 bytes by half, of 64 bytes the same. A
 * block has a power of two of slots, of which one stays empty: so it has twice as many as a ring.
 */
#include <readerwriterqueue/readerwriterqueue.h>

#include "queue.hh"

/* No ring has more slots. */
#define MOST_SLOTS (1 << 26)

template <class message> class reader_writer_queue
{
	moodycamel::ReaderWriterQueue<message, MOST_SLOTS> queue;

      public:
	explicit reader_writer_queue(size_t slots) : queue(slots)
	{
		message blank{};

		while (queue.try_enqueue(blank)) { /* touches those beyond a ring, too */
		}
		while (queue.try_dequeue(blank)) {
		}
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
