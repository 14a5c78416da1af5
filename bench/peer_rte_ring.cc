/*
 * SPDX-License-Identifier: MIT
 *
 * DPDK's rte_ring between two threads, for one producer and one consumer, with elements of just a
 * message's size. It is made by rte_ring_init in memory of this program, as its documents allow: so
 * there is no EAL to start, and there are no huge pages. One element at a time is the call for
 * that; batches are burst calls, of which each takes what there is. Between two looks is
 * rte_pause(), as in its own ring_perf_autotest. Of the elements that fill a ring one stays empty.
 */
#include <cstdlib>

#include <rte_pause.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "queue.hh"

template <class message> class rte_queue
{
	struct rte_ring *ring;

      public:
	explicit rte_queue(size_t slots)
	{
		const unsigned count = static_cast<unsigned>(slots);
		const ssize_t size = rte_ring_get_memsize_elem(sizeof(message), count);

		ring = size < 0 ? NULL :
				  static_cast<struct rte_ring *>(std::aligned_alloc(
					  RTE_CACHE_LINE_SIZE, static_cast<size_t>(size)));
		if (!ring)
			throw std::bad_alloc();
		if (rte_ring_init(ring, "peer", count, RING_F_SP_ENQ | RING_F_SC_DEQ)) {
			std::free(ring);
			throw std::bad_alloc();
		}
	}
	rte_queue(const rte_queue &) = delete;
	rte_queue &operator=(const rte_queue &) = delete;
	~rte_queue()
	{
		std::free(ring);
	}

	bool put(const message &from)
	{
		return !rte_ring_sp_enqueue_elem(ring, const_cast<message *>(&from), sizeof(from));
	}
	bool get(message &to)
	{
		return !rte_ring_sc_dequeue_elem(ring, &to, sizeof(to));
	}
	size_t put_many(const message *from, size_t count)
	{
		return rte_ring_sp_enqueue_burst_elem(ring, from, sizeof(*from),
						      static_cast<unsigned>(count), NULL);
	}
	size_t get_many(message *to, size_t count)
	{
		return rte_ring_sc_dequeue_burst_elem(ring, to, sizeof(*to),
						      static_cast<unsigned>(count), NULL);
	}
	static void relax()
	{
		rte_pause();
	}
};

QUEUE_TRANSPORT(rte_ring, "rte-ring", "DPDK's rte_ring, between threads",
		queue_transport<rte_queue>, &queue_transport<rte_queue>::batched);
