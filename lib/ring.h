/*
 * SPDX-License-Identifier: MIT
 *
 * What the slow halves of the verbs share: ring.c, where a ring is full or empty, large.c, where a
 * message is longer than a record, and call.c, where its header has flags.
 */
#ifndef LIB_RING_H
#define LIB_RING_H

#include <peal/call.h>

#include "lib/link.h"

/* Whether an error is the end of an end. */
static inline bool ring_ends(int err)
{
	return err == -EPIPE || err == -ECONNRESET || err == -EPROTO;
}

/* -ESTALE, with its sentence. */
int ring_stale(void);

/* Whether this tx may send at all; gives a reservation back. 0, -ESTALE or a verdict. */
int ring_may_send(struct peal_tx *tx);

/* Waits for room for a record of so many bytes, its header included, at tx->pos. Errors as
 * peal_reserve. */
int ring_room(struct peal_tx *tx, uint64_t size, int64_t timeout);

/* The room that is waited for by descriptor: for a message of so many bytes in one record, instead
 * of what the last verb found no room for. */
void ring_want(struct peal_tx *tx, uint64_t length);

/* Publishes the record at tx->pos, whose payload is written and whose header has these flags: the
 * last one of so many messages. What is pending goes out before. */
void ring_publish(struct peal_tx *tx, uint64_t length, uint32_t flags, uint32_t tag,
		  uint64_t messages, uint64_t bytes);

/*
 * The record at a position of our rx's ring, if an honest peer can have written it: its size, which
 * is of no more than there is up to end, and its header. 0: none is there.
 */
static inline uint64_t ring_record_at(const struct peal_link *link, uint64_t at, uint64_t end,
				      uint64_t *header)
{
	uint64_t length;

	/* Pairs with [publish] of the peer. */
	*header = __atomic_load_n((const uint64_t *)(const void *)peal_next(&link->rx, at),
				  __ATOMIC_ACQUIRE);
	length = (*header & PEAL_HEADER_LENGTH) - 1;
	if (!(*header & PEAL_HEADER_LENGTH) || peal_record_size(length) > end - at)
		return 0;
	return (*header & PEAL_HEADER_CONTROL ? length > PEAL_CONTROL_LONGEST :
						length >= link->join.below) ?
		       0 :
		       peal_record_size(length);
}

/* Looks how much of what our tx has published the peer has not read, and counts it as found. What
 * the peer says is not believed, only counted if it can be true. */
void ring_sample_tx(struct peal_link *link);

/* The same of what the peer has published: by the records' headers, of which there may be many, so
 * at most once a second. False: it was not time. By the rx's thread. */
bool ring_sample_rx(struct peal_link *link, uint64_t now);

/* The peer lied to our rx: ends the link. -EPROTO. */
int ring_refuse(struct peal_link *link, const char *lie);

/* As PEAL_DEBUG_ENTER, for what goes on inside another verb. */
#ifdef PEAL_DEBUG
#define RING_DEBUG_ENTER(end, verb) peal_debug_enter(&(end)->owner, verb)
#else
#define RING_DEBUG_ENTER(end, verb) ((void)0)
#endif

/* What peal_peek_wait answers instead of waiting while some of a long message is kept: no header,
 * but one that brings every verb to large.c. */
#define RING_NOTHING_YET ((uint64_t)PEAL_HEADER_RESERVED)

/* Waits for a record at rx->pos; its header. 0: none, and *err says why. */
uint64_t ring_wait(struct peal_rx *rx, int64_t timeout, int *err);

#endif
