/*
 * SPDX-License-Identifier: MIT
 *
 * Messages longer than a record: cut into fragments by the tx, joined by the rx. peal/ring.h says
 * what fragments look like.
 */
#ifndef LIB_LARGE_H
#define LIB_LARGE_H

#include "lib/link.h"

/* Sets address space aside for messages of up to most bytes if a record (of up to record bytes)
 * does not hold them; 0 or a negative errno with its sentence. */
int large_set_aside(struct join *join, uint64_t most, uint64_t record);
void large_take_down(struct join *join);

/* -EMSGSIZE, with the sentence for a message that is longer than a record. */
int large_too_long(const struct peal_tx *tx, size_t length);

/* Before anything else is sent: -EBUSY while a message is half sent; tells the peer of one that was
 * given up, for which it may wait and takes the time off *timeout. Otherwise errors as
 * peal_reserve. */
int large_settle(struct peal_tx *tx, int64_t *timeout);

/* Sends a message longer than a record, gathered from pieces, whose last fragment has these flags.
 * Errors as peal_send. */
int large_send(struct peal_tx *tx, const struct iovec *pieces, size_t length, uint32_t tag,
	       uint32_t flags, int64_t timeout);

/* As peal_send_part; the last fragment has these flags. */
int large_send_part(struct peal_tx *tx, struct peal_sending *sending, uint32_t flags,
		    int64_t timeout);

/* Drops what has come of a message. */
void large_forget(struct peal_link *link);

#endif
