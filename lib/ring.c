/*
 * SPDX-License-Identifier: MIT
 *
 * Rings: the slow half of the verbs in peal/ring.h, where a ring is full or empty, an argument is
 * wrong, or the peer has written what it must not. Waiting itself is in bell.c.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/bell.h"
#include "lib/error.h"

/* What the inline verbs touch is binary interface. */
#define TX(field, offset) \
	_Static_assert(offsetof(struct peal_tx, field) == (offset), "binary interface, version 1")
#define RX(field, offset) \
	_Static_assert(offsetof(struct peal_rx, field) == (offset), "binary interface, version 1")
TX(data, 0);
TX(mask, 8);
TX(pos, 16);
TX(limit, 24);
TX(largest, 32);
TX(reserved, 40);
TX(peer, 48);
TX(counters, 56);
TX(last_rung, 64);
TX(barrier, 68);
TX(prefetch_bytes, 72);
TX(inline_copy, 76);
TX(pending_at, 80);
TX(pending_header, 88);
TX(owner, 96);
TX(spare0, 100);
TX(link, 104);
TX(spare, 112);
_Static_assert(sizeof(struct peal_tx) == 176, "binary interface, version 1");
RX(data, 0);
RX(mask, 8);
RX(pos, 16);
RX(held, 24);
RX(largest, 32);
RX(own, 40);
RX(peer, 48);
RX(counters, 56);
RX(last_rung, 64);
RX(prefetch_bytes, 68);
RX(inline_copy, 72);
RX(owner, 76);
RX(link, 80);
RX(spare, 88);
_Static_assert(sizeof(struct peal_rx) == 152, "binary interface, version 1");
#define MESSAGE(field, offset)                                           \
	_Static_assert(offsetof(struct peal_message, field) == (offset), \
		       "binary interface, version 1")
MESSAGE(data, 0);
MESSAGE(length, 8);
MESSAGE(tag, 16);
MESSAGE(flags, 20);
_Static_assert(sizeof(struct peal_message) == 24, "binary interface, version 1");
_Static_assert(PEAL_HEADER_LENGTH == 0x0fffffff, "shared layout, version 1");
_Static_assert(PEAL_HEADER_MORE == 0x10000000, "shared layout, version 1");
_Static_assert(PEAL_HEADER_CONTROL == 0x20000000, "shared layout, version 1");
_Static_assert(PEAL_HEADER_LAST == 0x40000000, "shared layout, version 1");
_Static_assert(PEAL_HEADER_RESERVED == 0x80000000, "shared layout, version 1");
_Static_assert(PEAL_HEADER_SIZE == 8, "shared layout, version 1");
_Static_assert(PEAL_ASLEEP == 1, "shared layout, version 1");
_Static_assert(PEAL_ASLEEP_DESCRIPTOR == 2, "shared layout, version 1");
_Static_assert(PEAL_ASLEEP_FENCE == 4, "shared layout, version 1");
_Static_assert(PEAL_ASLEEP_EPOCH == 8, "shared layout, version 1");

static int stale(void)
{
	return error_literal(
		-ESTALE,
		"this handle is from before a fork: only the parent can use it; open another");
}

/* No more sends: every further reserve comes here, and gets this verdict. */
static void end_sending(struct peal_link *link, int verdict)
{
	link->tx_verdict = verdict;
	link->tx.limit = 0;
}

/* Believes the peer's head only if it can be true. */
static int take_head(struct peal_tx *tx, uint64_t head)
{
	struct peal_link *link = tx->link;

	if (head < link->last_head || head > tx->pos || head % 8)
		return link_broken(
			link, "its read position is %llu, and can be %llu to %llu in steps of 8",
			(unsigned long long)head, (unsigned long long)link->last_head,
			(unsigned long long)tx->pos);
	link->last_head = head;
	tx->limit = head + tx->mask + 1;
	return 0;
}

int peal_reserve_slow(struct peal_tx *tx, size_t length, int64_t timeout)
{
	struct peal_link *link = tx->link;
	uint64_t head, end;
	int err;

	tx->reserved = 0;
	if (link->stale)
		return stale();
	if (link->tx_verdict)
		return link_say_verdict(link, link->tx_verdict);
	if (length > tx->largest)
		return error_set(
			-EMSGSIZE,
			"a message of %zu bytes is too long: the limit is %llu (the ring's %llu "
			"less 16, and what the peer accepts); use a larger ring",
			length, (unsigned long long)tx->largest, (unsigned long long)tx->mask + 1);
	err = link_verdict(link, false);
	if (err) {
		end_sending(link, err);
		return link_say_verdict(link, err);
	}
	/* Pairs with [head] in peal_advance: what was consumed may be overwritten. */
	head = __atomic_load_n(&tx->peer->head, __ATOMIC_ACQUIRE); /* [room] */
	err = take_head(tx, head);
	end = tx->pos + peal_record_size(length) + PEAL_HEADER_SIZE;
	if (!err && end > tx->limit) {
		err = bell_wait(link, &link->room, &tx->peer->head, end - tx->mask - 1, timeout,
				&head);
		if (!err)
			err = take_head(tx, head);
	}
	if (err == -EPIPE || err == -ECONNRESET || err == -EPROTO)
		end_sending(link, err);
	return err;
}

int peal_commit_refuse(struct peal_tx *tx, size_t length)
{
	if (tx->link->stale)
		return stale();
	if (!tx->reserved)
		return error_literal(-EINVAL,
				     "commit without a reservation: call peal_reserve first");
	return error_set(-EINVAL, "commit of %zu bytes, but only %llu were reserved: reserve more",
			 length, (unsigned long long)tx->reserved - 1);
}

int peal_sendv(struct peal_tx *tx, const struct iovec *pieces, int count, uint32_t tag,
	       int64_t timeout)
{
	size_t length = 0;
	uint8_t *to;
	void *at;
	int err;

	if (count < 0 || count > 1024)
		return error_set(-EINVAL,
				 "a message of %d pieces: 0 to 1024 are possible; join some",
				 count);
	for (int i = 0; i < count; i++)
		if (__builtin_add_overflow(length, pieces[i].iov_len, &length))
			return error_literal(
				-EINVAL,
				"the pieces' lengths add up to more than a size_t holds: send less at once");
	err = peal_reserve(tx, length, &at, timeout);
	if (err)
		return err;
	to = at;
	for (int i = 0; i < count; i++) {
		if (pieces[i].iov_len)
			memcpy(to, pieces[i].iov_base, pieces[i].iov_len);
		to += pieces[i].iov_len;
	}
	return peal_commit(tx, length, tag);
}

/* Nothing more comes out of this end; the verdict stays. */
static void end_receiving(struct peal_link *link, int verdict)
{
	link->rx_verdict = verdict;
	link_end_receiving(link);
}

uint64_t peal_peek_wait(struct peal_rx *rx, int64_t timeout, int *err)
{
	struct peal_link *link = rx->link;
	const uint64_t *at = (const uint64_t *)(const void *)(rx->data + (rx->pos & rx->mask));
	uint64_t header = 0;

	/* What comes at once comes back by the shortest way: it is most of a round trip. */
	if (link->data.spin_ns && timeout) {
		bell_breathe(link, &link->data);
		header = link->ring->await(at, 0, 0);
		if (header)
			return header;
	}
	if (link->stale)
		*err = stale();
	else if (link->rx_verdict)
		*err = link_say_verdict(link, link->rx_verdict);
	else
		*err = bell_wait(link, &link->data, at, 1, timeout, &header);
	if (!*err)
		return header;
	if (*err == -EPIPE || *err == -ECONNRESET || *err == -EPROTO)
		end_receiving(link, *err);
	return 0;
}

/* Neither fragments nor control records are agreed on by this version's handshake. */
static int refuse_record(struct peal_link *link, uint64_t header)
{
	uint32_t flags = (uint32_t)header &
			 (PEAL_HEADER_MORE | PEAL_HEADER_CONTROL | PEAL_HEADER_RESERVED);

	if (flags)
		link_broken(link, "a record has the flags 0x%x, and none were agreed on", flags);
	else
		link_broken(link, "a record's length of %llu bytes cannot be true: %llu at most",
			    (unsigned long long)peal_plain_length(header),
			    (unsigned long long)link->rx.largest);
	end_receiving(link, -EPROTO);
	return -EPROTO;
}

int peal_peek_other(struct peal_rx *rx, uint64_t header, struct peal_message *message,
		    int64_t timeout)
{
	(void)message;
	(void)timeout;
	return refuse_record(rx->link, header);
}

ssize_t peal_recv_other(struct peal_rx *rx, uint64_t header, void *buffer, size_t size,
			struct peal_message *about, int64_t timeout)
{
	size_t length = (size_t)peal_plain_length(header);

	(void)timeout;
	if (length > rx->largest)
		return refuse_record(rx->link, header);
	if (about) {
		about->data = buffer;
		about->length = length;
		about->tag = (uint32_t)(header >> 32);
		about->flags = (uint32_t)header & PEAL_HEADER_LAST;
	}
	return error_set(
		-ENOBUFS,
		"the next message has %zu bytes, the buffer %zu: it stays; pass a larger buffer or "
		"use peal_peek",
		length, size);
}

void peal_debug_enter(uint32_t *owner, const char *verb)
{
	uint32_t self = platform_thread();
	/* Pairs with itself and with peal_debug_leave in another thread: it orders nothing, so that it
	 * hides no race from ThreadSanitizer. */
	uint32_t other = __atomic_exchange_n(owner, self, __ATOMIC_RELAXED);

	if (other && other != self) {
		fprintf(stderr, "peal: %s in thread %u while thread %u is using the same end\n",
			verb, self, other);
		abort();
	}
}

void peal_debug_leave(uint32_t *owner)
{
	__atomic_store_n(owner, 0, __ATOMIC_RELAXED);
}
