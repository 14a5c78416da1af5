/*
 * SPDX-License-Identifier: MIT
 *
 * What the slow halves of the verbs share: ring.c, where a ring is full or empty, and large.c, where
 * a message is longer than a record.
 */
#ifndef LIB_RING_H
#define LIB_RING_H

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

/* The peer lied to our rx: ends the link. -EPROTO. */
int ring_refuse(struct peal_link *link, const char *lie);

/* Fills in what is told of a record that is a message. */
static inline void ring_describe(struct peal_message *message, const void *data, uint64_t header)
{
	message->data = data;
	message->length = (size_t)peal_plain_length(header);
	message->tag = (uint32_t)(header >> 32);
	message->flags = (uint32_t)header & PEAL_HEADER_LAST;
}

#endif
