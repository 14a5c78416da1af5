/*
 * SPDX-License-Identifier: MIT
 *
 * Bulk: long payloads, and which way they are written. A copy into the ring leaves them in the
 * writer's caches. Whether it is quick to fetch them from there depends on how far the two cores
 * are apart: within one cache that both share it is quicker than what else there is, beyond it
 * several times slower, and then it is better to write them past the caches. No CPU tells that
 * reliably, in a virtual machine none does, and cores move. So both sides time their copies. The
 * writer tells on its page what it takes; the reader, who knows both, tries the other way now and
 * then, and says on its own page which one it would have. Fragments and replies to calls count as
 * well. A reader that takes what it gets in place (peal_peek, peal_drain) times nothing, and asks
 * for nothing new.
 */
#ifndef LIB_BULK_H
#define LIB_BULK_H

#include "lib/link.h"

/* What a link begins with, as PEAL_BULK_COPY (enum runtime_bulk) says. */
void bulk_begin(struct peal_link *link);

/* While the ring is empty: a try or probe that no payloads came for is over. By the rx's thread. */
void bulk_look(struct peal_link *link);

/* The reader took so many ticks for so many bytes of a ring of this capacity, where it times, and
 * the writer told this. Returns which way they are to be written from now on. For peal_take_bulk,
 * and for tests. */
uint32_t bulk_learn(struct bulk *bulk, uint64_t ticks, uint64_t length, uint64_t capacity,
		    const uint32_t written[2]);

#endif
