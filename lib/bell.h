/*
 * SPDX-License-Identifier: MIT
 *
 * Bells: waiting until a word of the peer's says that there is something to do, and waking a peer
 * that waits. The protocol is that of docs/design.md, "Bells"; tests/model proves it. Each line
 * that it stands on carries the name that it has in the model, in brackets.
 */
#ifndef LIB_BELL_H
#define LIB_BELL_H

#include "lib/link.h"

/* Between two looks at the socket of one who spins. */
#define BELL_LOOK_NS 10000000u

/* What a membarrier may cost, until it is measured. */
#define BELL_BARRIER_NS 10000u

/*
 * Waits until *word (a header, or the peer's head) is at least want: spinning, then sleeping, each
 * as the link's options and the runtime say, and for data after the first look. 0, and *seen is
 * what *word was; or -EAGAIN (timeout 0), -ETIMEDOUT, or a verdict on the peer, which comes only
 * after what it left has been seen.
 */
int bell_wait(struct peal_link *link, struct bell *bell, const uint64_t *word, uint64_t want,
	      int64_t timeout, uint64_t *seen);

/*
 * The first look of a wait, if it is one that spins: what *word is, which may still be old. It
 * costs no look at the clock, and in a stream it comes after a short pause.
 */
uint64_t bell_first_look(struct peal_link *link, struct bell *bell, const uint64_t *word,
			 uint64_t old);

/* After so long a sleep that is in doubt is worth a second look: everything that was published
 * before its owner was seen to sleep can be seen by then. */
#define BELL_DOUBT_NS 1000000u

/*
 * To wait by descriptor for data, room or both (PEAL_DATA, PEAL_ROOM), of one link or many: arm
 * them, with one barrier for all; then look at each once more, and wait only if there is no news.
 * Arming publishes what is pending. Where the program waits by itself, the peer is asked to fence
 * for good, and until it may know of that arming takes 20 microseconds. Where it is Peal that
 * waits, true: the sleep is in doubt, so look again after BELL_DOUBT_NS, and call bell_settle of
 * each. Disarming tells the peer that nobody waits any more. By the one thread that uses both ends.
 */
struct arming {
	struct peal_link *link;
	uint32_t what;
	bool sampled;    /* the sleep is measured when it is its turn, and bell_slept told of it */
	bool doubt;      /* told: this one's sleep is in doubt */
	const void *was; /* the set's note: where its next header was at the last muster */
};
bool bell_arm(struct arming *all, uint32_t count, bool program_waits);
void bell_settle(struct peal_link *link);
bool bell_is_news(struct peal_link *link, uint32_t what);

/* The same but for the peer's end, which who polls the socket hears of in any case: that it has
 * closed stands on a line of its own, which is far away. */
bool bell_has(struct peal_link *link, uint32_t what);
void bell_disarm(struct peal_link *link, uint32_t what);

/* A bell was heard by descriptor, by the same thread, that waits for this. One that rings for
 * nothing, again and again, ends its link. */
void bell_heard(struct peal_link *link, uint32_t what);

/* Counts that a link has fallen asleep, for all that it is armed for. by_set: at that time
 * (monotonic ns), after its set spun for so long; NULL: nobody measures. */
struct falling {
	uint64_t now, spun;
};
void bell_slept(struct peal_link *link, const struct falling *by_set);

/* Whether a sleep of a link's that a set has begun is being measured; it ends. */
static inline bool bell_is_sampled(const struct peal_link *link)
{
	return (link->data.since | link->room.since) != 0;
}
void bell_woke(struct peal_link *link, uint64_t now);

/* So many bytes were found in the end's ring. By the thread that uses the end. */
static inline void bell_found(struct bell *bell, uint64_t depth)
{
	if (depth == bell->depth)
		return;
	bell->depth = depth;
	/* Pair with the loads of peal_link_stats and of monitors, as all counters do. */
	__atomic_store_n(&bell->counters->depth, depth, __ATOMIC_RELAXED);
	if (depth > __atomic_load_n(&bell->counters->high_water, __ATOMIC_RELAXED))
		__atomic_store_n(&bell->counters->high_water, depth, __ATOMIC_RELAXED);
}

/* A tx waits for room since then, by descriptor; 0: it does not any more. By its thread. */
static inline void bell_stalled(struct bell *room, uint64_t since)
{
	room->stalled = since;
	/* Likewise. */
	__atomic_store_n(&room->counters->stalled_since, since, __ATOMIC_RELAXED);
}

/* Rings both of the peer's bells if it sleeps; for ending a link. Wake counters are added to
 * atomically: where the peer has lied, the other end's thread may be ringing at the same time. */
void bell_ring_out(struct peal_link *link);

#endif
