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

/*
 * Waits until *word (a header, or the peer's head) is at least want: a few looks, spinning, then
 * sleeping, each as the link's options and the runtime say. 0, and *seen is what *word was; or -EAGAIN (timeout 0), -ETIMEDOUT,
 * or a verdict on the peer, which comes only after what it left has been seen.
 */
int bell_wait(struct peal_link *link, struct bell *bell, const uint64_t *word, uint64_t want,
	      int64_t timeout, uint64_t *seen);

/*
 * A pause before the first look of a wait in a stream: whoever looks at once at a ring that he has
 * just emptied (or filled) tears the line away from the other side, record by record, and both are
 * slower by half. A wait that comes after fewer messages than a stream has does not pause.
 */
void bell_breathe(struct peal_link *link, struct bell *bell);

/* Whether a wait by this bell spins before it sleeps, by what such waits have cost lately. */
bool bell_spins(const struct bell *bell);

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
