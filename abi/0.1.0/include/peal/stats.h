/*
 * SPDX-License-Identifier: MIT
 *
 * Counters. The ends of a link count what they do with plain stores into memory that only this
 * process writes; reading them disturbs nobody.
 */
#ifndef PEAL_STATS_H
#define PEAL_STATS_H

#include <stdint.h>

#include <peal/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct peal_link;

/*
 * What one end has counted since it was made. Shared layout: a line pair of its own in a stats
 * object (lib/stats.h). Written by: the thread that uses the end. Read by: anyone; each value is
 * whole, but they are not from the same instant.
 *
 * A message that goes in fragments counts once, with its last one; each fragment may ring. What is
 * pending counts when it is published.
 *
 * Waits by a set, a server or an event loop: each end that is armed, and had no news by then,
 * sleeps; for an rx that is a wait, too. There are no slices there, and a wait of a set that ends
 * while it spins is counted by none of its links. A tx is stalled there from peal_set_want_room, or
 * peal_link_arm for room, until it is seen that there is room (by the set, the next peal_link_arm,
 * or a verb that sends) or that the link has ended, and a server's as long as its client is slow;
 * an rx only inside verbs.
 *
 * Depth is looked at where that costs no message anything. A tx sees how far its peer has read when
 * it runs out of the room that it knew of, once a lap or more often, and when a set puts its link
 * to sleep, once a second or more often. An rx has 0 when a wait for data begins or a set puts it
 * to sleep; otherwise a set looks once a second how much a link has that is ready (of at most 4096
 * records), and so does an rx that has woken its peer, which slept for room; and peal_recv_batch
 * counts what it takes. An rx whose verbs always find something (peal_drain, too), and whose peer
 * never sleeps for room, is not looked at: see the tx at the other side.
 */
struct peal_counters {
	/* These two are written with every sleep, and so share a line with what is counted then. */
	uint64_t stalled_since; /* monotonic ns at which the present wait began; 0: none */
	uint64_t depth;         /* bytes found in the ring when it was last looked at */
	uint64_t messages;      /* published or released */
	uint64_t bytes;         /* their payload */
	uint64_t waits;      /* times that there was no room (tx), or a wait for data began (rx) */
	uint64_t sleeps;     /* times that this end went to sleep in the kernel */
	uint64_t rung;       /* bells rung: the peer was asleep */
	uint64_t batched;    /* messages published or released together with the one before */
	uint64_t slices;     /* sleeps that ended by themselves, not by a bell */
	uint64_t idle_rings; /* bells that came without news */
	uint64_t high_water; /* most bytes ever found in the ring, sampled */
	uint64_t spare[21];
};

/* Times of waits fall into classes: class 0 is below 256 ns, class i below 256 ns << i, and the
 * last has all that are longer. */
#define PEAL_OFFCPU_CLASSES 20

/*
 * Where the time of an end's waits went: sampled, one in options.sample of the waits that sleep
 * (PEAL_SAMPLE in the environment), by two clock reads each. All zero where that is off. Of waits
 * inside verbs, and by sets and servers: there a link sleeps from being put to sleep until it is
 * looked at again; not of peal_link_arm, whose waits' ends are not seen. woken is of those that the
 * peer has rung for, and says when it did: what it says is taken if it can be true. Shared layout,
 * as the counters: written by the thread that uses the end, read by anyone.
 */
struct peal_offcpu {
	uint64_t spun[PEAL_OFFCPU_CLASSES];  /* how long such a wait spun before it slept, */
	uint64_t slept[PEAL_OFFCPU_CLASSES]; /* how long it slept, */
	uint64_t woken[PEAL_OFFCPU_CLASSES]; /* and of that, from the ring to running again */
	uint64_t spun_ns;                    /* sums */
	uint64_t slept_ns;
	uint64_t woken_ns;
	uint64_t spare;
};

/* The counters of a link. */
struct peal_stats {
	uint32_t size;   /* sizeof(struct peal_stats); the caller sets it */
	uint32_t closed; /* the peer has ended the link: closed it, or found a lie of ours */
	struct peal_counters tx; /* of the two ends */
	struct peal_counters rx;
	uint64_t tx_spared;   /* publications that found the peer awake and rang no bell, */
	uint64_t rx_spared;   /* and releases: messages less batched and rung, or 0 */
	uint64_t peer_unread; /* messages of ours that the peer left unread when it closed */
};

/*
 * Copies a link's counters. (Without memory for another stats object links share one slot, and
 * count together.) stats->size must be set before. -EINVAL if it is larger than this
 * library knows or too small to hold anything; -ESTALE after a fork. Any thread, as long as the
 * link is not being closed; never enters the kernel.
 */
PEAL_API int peal_link_stats(const struct peal_link *link, struct peal_stats *stats);

/* Copies where the time of the waits of a link's ends went, as far as it was measured; either may
 * be NULL. -ESTALE after a fork. Thread as peal_link_stats; never enters the kernel. */
PEAL_API int peal_link_offcpu(const struct peal_link *link, struct peal_offcpu *tx,
			      struct peal_offcpu *rx);

#ifdef __cplusplus
}
#endif

#endif
