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

/*
 * To wait by descriptor for data, room or both (PEAL_DATA, PEAL_ROOM), of one link or many: arm each
 * (true: it takes a membarrier), one barrier for all, settle each with what came of it, and look at
 * each. Where the membarrier could not be had all that follows from arming is to be done again. Disarm
 * tells the peer that nobody waits any more. By the one thread that uses both ends.
 */
bool bell_arm(struct peal_link *link, uint32_t what);
bool bell_barrier(bool membarrier, uint64_t *took);
void bell_settle(struct peal_link *link, uint32_t what, bool had, uint64_t took);
bool bell_is_news(struct peal_link *link, uint32_t what);

/*
 * Whether a membarrier has failed for this link, so that its peer may not know yet that it has to
 * fence. Who has armed it, and cannot sleep in slices, waits BELL_SETTLE_NS before the last look.
 */
#define BELL_SETTLE_NS 1000000u
bool bell_is_unsettled(const struct peal_link *link);
void bell_let_be_settled(struct peal_link *link);

void bell_disarm(struct peal_link *link);

/* Rings both of the peer's bells if it sleeps; for ending a link. Wake counters are added to
 * atomically: where the peer has lied, the other end's thread may be ringing at the same time. */
void bell_ring_out(struct peal_link *link);

#endif
