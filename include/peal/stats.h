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
 * pending counts when it is published. Waits, sleeps, slices, idle_rings and stalled_since are of
 * waits inside the verbs: those of a set, or of an event loop, are counted by none.
 */
struct peal_counters {
	uint64_t messages;   /* published or released */
	uint64_t bytes;      /* their payload */
	uint64_t waits;      /* times that the ring was full (tx), or empty and a wait began (rx) */
	uint64_t sleeps;     /* times that this end went to sleep in the kernel */
	uint64_t rung;       /* bells rung: the peer was asleep */
	uint64_t batched;    /* messages published or released together with the one before */
	uint64_t slices;     /* sleeps that ended by themselves, not by a bell */
	uint64_t idle_rings; /* bells that came without news */
	uint64_t high_water; /* most bytes ever found in the ring, sampled; 0 in this version */
	uint64_t stalled_since; /* monotonic ns at which the present wait began; 0: none */
	uint64_t spare[22];
};

struct peal_stats {
	uint32_t size;   /* sizeof(struct peal_stats); the caller sets it */
	uint32_t closed; /* the peer has ended the link: closed it, or found a lie of ours */
	struct peal_counters tx;
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

#ifdef __cplusplus
}
#endif

#endif
