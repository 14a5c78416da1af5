/*
 * SPDX-License-Identifier: MIT
 *
 * moodycamel's BlockingReaderWriterCircularBuffer, which is as large as it was made and waits for
 * messages and for room: by semaphores that look a thousand times before they ask the kernel. So
 * its waits are called adaptive; they are the timed ones, in order to be given up.
 */
#include <readerwriterqueue/readerwritercircularbuffer.h>

#include "queue.hh"

#define WAIT_US 100000

template <class message> class circular_buffer
{
	moodycamel::BlockingReaderWriterCircularBuffer<message> buffer;

      public:
	static constexpr bool waits = true;

	explicit circular_buffer(size_t slots) : buffer(slots)
	{
	}
	bool put(const message &from)
	{
		return buffer.wait_enqueue_timed(from, WAIT_US);
	}
	bool get(message &to)
	{
		return buffer.wait_dequeue_timed(to, WAIT_US);
	}
};

QUEUE_TRANSPORT(rw_circular, "rwcircbuf", "moodycamel's buffer that can sleep, between threads",
		queue_transport<circular_buffer>, NULL);
