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
#include "lib/bulk.h"
#include "lib/error.h"
#include "lib/large.h"
#include "lib/probe.h"
#include "lib/ring.h"
#include "lib/set.h"

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
TX(plain, 72);
TX(inline_copy, 76);
TX(pending_at, 80);
TX(pending_header, 88);
TX(owner, 96);
TX(part, 100);
TX(link, 104);
TX(pending_messages, 112);
TX(pending_bytes, 120);
TX(spare, 128);
_Static_assert(sizeof(struct peal_tx) == 176, "binary interface, version 1");
RX(data, 0);
RX(mask, 8);
RX(pos, 16);
RX(held, 24);
RX(below, 32);
RX(own, 40);
RX(peer, 48);
RX(counters, 56);
RX(last_rung, 64);
RX(prefetch_bytes, 68);
RX(inline_copy, 72);
RX(owner, 76);
RX(link, 80);
RX(mark, 88);
RX(spare, 96);
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
_Static_assert(PEAL_ASLEEP_TIMED == 8, "shared layout, version 1");
_Static_assert(PEAL_ASLEEP_EPOCH == 16, "shared layout, version 1");

int ring_stale(void)
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
	if (link->room.stalled)
		bell_stalled(&link->room, 0);
}

static uint64_t published_by(const struct peal_tx *tx)
{
	return tx->pending_header ? tx->pending_at : tx->pos;
}

/* The peer was seen to have read up to head. Before it has said anything that is 0. */
static void found_unread(struct peal_link *link, uint64_t published, uint64_t head)
{
	bell_found(&link->room, published - (head > link->own.start ? head : link->own.start));
}

/* Believes the peer's head only if it can be true. */
static int take_head(struct peal_tx *tx, uint64_t head)
{
	struct peal_link *link = tx->link;
	uint64_t published = published_by(tx);

	if (head < link->last_head || head > published || head % 8)
		return link_broken(
			link, "its read position is %llu, and can be %llu to %llu in steps of 8",
			(unsigned long long)head, (unsigned long long)link->last_head,
			(unsigned long long)published);
	link->last_head = head;
	tx->limit = head + tx->mask + 1;
	found_unread(link, published, head);
	return 0;
}

void ring_sample_tx(struct peal_link *link)
{
	uint64_t published = published_by(&link->tx);
	/* Pairs with [head] of the peer, and nothing is read or written behind it. */
	uint64_t head = __atomic_load_n(&link->tx.peer->head, __ATOMIC_RELAXED);

	if (head >= link->last_head && head <= published && !(head % 8))
		found_unread(link, published, head);
}

/* Records that are walked over at most: a lap of the default ring, if they are of 8 bytes. */
#define WALK_MAX 4096u
#define WALK_NS 1000000000u

bool ring_sample_rx(struct peal_link *link, uint64_t now)
{
	const struct peal_rx *rx = &link->rx;
	uint64_t at = rx->pos, end = at + link->theirs.capacity, header, size;

	if (now < link->data.depth_at)
		return false;
	link->data.depth_at = now + WALK_NS;
	for (unsigned i = 0; i < WALK_MAX; i++) {
		size = ring_record_at(link, at, end, &header);
		if (!size)
			break;
		at += size;
	}
	bell_found(&link->data, at - rx->pos);
	return true;
}

/* Publishes what is pending, of which there is something. */
void peal_publish_pending(struct peal_tx *tx)
{
	uint64_t header = tx->pending_header, messages = tx->pending_messages;
	uint64_t bytes = tx->pending_bytes;

	tx->pending_header = tx->pending_messages = tx->pending_bytes = 0;
	/* Before the messages, as peal_link_stats reads them: there are never more of these. */
	peal_count(&tx->counters->batched, messages - 1);
	peal_show(tx, tx->data + (tx->pending_at & tx->mask), header,
		  tx->data + (tx->pos & tx->mask), messages, bytes);
}

/* Adds the last record of a batch, whose payload is written at pos, and publishes them all. */
void peal_publish_batch(struct peal_tx *tx, size_t length, uint32_t tag)
{
	peal_hold(tx, tx->pos, tx->data + (tx->pos & tx->mask), length, tag);
	peal_publish_pending(tx);
}

void ring_publish(struct peal_tx *tx, uint64_t length, uint32_t flags, uint32_t tag,
		  uint64_t messages, uint64_t bytes)
{
	uint8_t *at = tx->data + (tx->pos & tx->mask);
	uint64_t size = peal_record_size(length);

	/* In two, so that no batch has to know of flags. */
	if (tx->pending_header)
		peal_publish_pending(tx);
	tx->pos += size;
	peal_show(tx, at, peal_plain_header(length, tag) | flags, at + size, messages, bytes);
}

void peal_flush_slow(struct peal_tx *tx)
{
	if (tx->pending_header)
		peal_publish_pending(tx);
	if (tx->part == PEAL_PART_GIVEN_UP)
		peal_abort_part(tx);
}

/* Looks again how far the peer has read. */
static int look_for_room(struct peal_tx *tx)
{
	/* Pairs with [head] in peal_give_back: what was consumed may be overwritten. */
	return take_head(tx, __atomic_load_n(&tx->peer->head, __ATOMIC_ACQUIRE)); /* [room] */
}

static void want(struct peal_tx *tx, uint64_t size)
{
	tx->link->room_want = tx->pos + size + PEAL_HEADER_SIZE - tx->mask - 1;
}

void ring_want(struct peal_tx *tx, uint64_t length)
{
	want(tx, peal_record_size(length));
}

/* Room for a record of so many bytes and the zero header behind it. Nothing waits that is not
 * published: the room may be what it takes itself. */
static int wait_for_room(struct peal_tx *tx, uint64_t size, int64_t timeout)
{
	struct peal_link *link = tx->link;
	uint64_t head, end = tx->pos + size + PEAL_HEADER_SIZE;
	int err = link_verdict(link, false);

	if (err)
		return link_say_verdict(link, err);
	err = look_for_room(tx);
	if (err || end <= tx->limit)
		return err;
	if (tx->pending_header) { /* [flush-first] */
		peal_publish_pending(tx);
		/* Ringing may have shown that the peer has closed. */
		err = link_verdict(link, false);
		if (err)
			return link_say_verdict(link, err);
	}
	probe_full(link, size, timeout);
	want(tx, size);
	err = bell_wait(link, &link->room, &tx->peer->head, link->room_want, timeout, &head);
	return err ? err : take_head(tx, head);
}

int ring_room(struct peal_tx *tx, uint64_t size, int64_t timeout)
{
	int err = wait_for_room(tx, size, timeout);

	if (!err && tx->link->room.stalled)
		bell_stalled(&tx->link->room, 0);
	if (ring_ends(err)) {
		if (tx->pending_header)
			peal_publish_pending(tx);
		end_sending(tx->link, err);
	}
	return err;
}

int ring_may_send(struct peal_tx *tx)
{
	struct peal_link *link = tx->link;

	tx->reserved = 0;
	if (link->stale)
		return ring_stale();
	/* What is left pending here, the set has to publish. */
	if (link->set)
		set_rouse(link); /* [rouse-sender] */
	return link->tx_verdict ? link_say_verdict(link, link->tx_verdict) : 0;
}

int peal_reserve_slow(struct peal_tx *tx, size_t length, int64_t timeout)
{
	int err = ring_may_send(tx);

	if (!err && length > tx->largest)
		err = large_too_long(tx, length);
	if (!err)
		err = large_settle(tx, &timeout);
	return err ? err : ring_room(tx, peal_record_size(length), timeout);
}

int peal_send_slow(struct peal_tx *tx, const void *data, size_t length, uint32_t tag,
		   int64_t timeout)
{
	const struct iovec piece = { .iov_base = (void *)(uintptr_t)data, .iov_len = length };
	uint8_t *at;
	int err;

	if (length > tx->largest)
		return large_send(tx, &piece, length, tag, 0, timeout);
	if (peal_reserve_is_slow(tx, length)) {
		err = peal_reserve_slow(tx, length, timeout);
		if (err)
			return err;
	}
	tx->reserved = 0;
	at = tx->data + (tx->pos & tx->mask);
	peal_put(tx, at + PEAL_HEADER_SIZE, data, length);
	peal_publish(tx, tx->pos, at, length, tag);
	return 0;
}

int peal_commit_refuse(struct peal_tx *tx, size_t length)
{
	if (tx->link->stale)
		return ring_stale();
	if (!tx->reserved)
		return error_literal(-EINVAL,
				     "commit without a reservation: call peal_reserve first");
	return error_set(-EINVAL, "commit of %zu bytes, but only %llu were reserved: reserve more",
			 length, (unsigned long long)tx->reserved - 1);
}

/* Sends a message of so many bytes, gathered from pieces. */
static int gather(struct peal_tx *tx, const struct iovec *pieces, int count, size_t length,
		  uint32_t tag, int64_t timeout)
{
	uint8_t *at, *to;
	int err;

	if (length > tx->largest)
		return large_send(tx, pieces, length, tag, 0, timeout);
	if (peal_reserve_is_slow(tx, length)) {
		err = peal_reserve_slow(tx, length, timeout);
		if (err)
			return err;
	}
	tx->reserved = 0;
	at = tx->data + (tx->pos & tx->mask);
	to = at + PEAL_HEADER_SIZE;
	for (int i = 0; i < count; i++) {
		peal_put(tx, to, pieces[i].iov_base, pieces[i].iov_len);
		to += pieces[i].iov_len;
	}
	peal_publish(tx, tx->pos, at, length, tag);
	return 0;
}

int peal_sendv(struct peal_tx *tx, const struct iovec *pieces, int count, uint32_t tag,
	       int64_t timeout)
{
	size_t length = 0;
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
	PEAL_DEBUG_ENTER(tx);
	err = gather(tx, pieces, count, length, tag, timeout);
	PEAL_DEBUG_LEAVE(tx);
	return err;
}

/* Whether a message fits without waiting. */
static bool fits_now(struct peal_tx *tx, size_t length)
{
	if (!peal_reserve_is_slow(tx, length))
		return true;
	/* A limit of 0: there is something to be told at the next call. */
	return length <= tx->largest && tx->limit && !look_for_room(tx) &&
	       !peal_reserve_is_slow(tx, length);
}

int peal_send_batch(struct peal_tx *tx, const struct peal_message *messages, int count,
		    int64_t timeout)
{
	int i = 0, err = 0;

	if (count < 1)
		return error_set(-EINVAL, "a batch of %d messages: 1 is the least", count);
	PEAL_DEBUG_ENTER(tx);
	do
		err = peal_send_held(tx, messages[i].data, messages[i].length, messages[i].tag,
				     timeout);
	while (!err && ++i < count && fits_now(tx, messages[i].length));
	if (!err && tx->pending_header)
		peal_publish_pending(tx);
	PEAL_DEBUG_LEAVE(tx);
	return err ? err : i;
}

/* Nothing more comes out of this end; the verdict stays. */
static void end_receiving(struct peal_link *link, int verdict)
{
	link->rx_verdict = verdict;
	large_forget(link);
	link_end_receiving(link);
}

uint64_t ring_wait(struct peal_rx *rx, int64_t timeout, int *err)
{
	struct peal_link *link = rx->link;
	const uint64_t *at = (const uint64_t *)(const void *)(rx->data + (rx->pos & rx->mask));
	uint64_t header = 0;

	/* The peer may be waiting for it. */
	if (link->one_thread && link->tx.pending_header)
		peal_publish_pending(&link->tx);
	if (link->bulk.phase != BULK_RESTS)
		bulk_look(link);
	/* What comes at once comes back by the shortest way: it is most of a round trip. */
	if (timeout) {
		header = bell_first_look(link, &link->data, at, 0);
		if (header)
			return header;
	}
	if (link->stale)
		*err = ring_stale();
	else if (link->rx_verdict)
		*err = link_say_verdict(link, link->rx_verdict);
	else
		*err = bell_wait(link, &link->data, at, 1, timeout, &header);
	if (!*err)
		return header;
	if (ring_ends(*err))
		end_receiving(link, *err);
	return 0;
}

uint64_t peal_peek_wait(struct peal_rx *rx, int64_t timeout, int *err)
{
	struct peal_link *link = rx->link;
	uint64_t header;

	/* The verb knows whether it can take the rest at all. */
	if (link->join.total && !link->join.unwanted)
		return RING_NOTHING_YET;
	/* What comes may be the beginning of more, for which the same deadline holds. */
	link->data.end = 0;
	header = ring_wait(rx, timeout, err);
	link->join.deadline = header ? link->data.end : 0;
	link->join.deadline_at = rx->pos;
	return header;
}

int ring_refuse(struct peal_link *link, const char *lie)
{
	link_broken(link, "%s", lie);
	end_receiving(link, -EPROTO);
	return -EPROTO;
}

int peal_recv_batch(struct peal_rx *rx, void *buffer, size_t size, struct peal_message *messages,
		    int count, int64_t timeout)
{
	uint64_t pos, end, header, length, bytes = 0;
	uint8_t *to = buffer;
	size_t left = size;
	int taken = 0, err = 0;

	if (count < 1)
		return error_set(-EINVAL, "a batch of %d messages: 1 is the least", count);
	PEAL_DEBUG_ENTER(rx);
	pos = rx->pos;
	header = peal_see(rx, peal_next(rx, pos), timeout, &err);
	if (!header)
		goto out;
	length = peal_plain_length(header);
	if (length > size || length >= rx->below) {
		ssize_t got = peal_recv_other(rx, header, buffer, size, messages, timeout);

		err = got < 0 ? (int)got : 0;
		taken = 1;
		goto out;
	}
	/* An honest producer has no room for more than a lap, and no more is taken of another's. */
	end = pos + rx->mask + 1;
	do {
		length = peal_plain_length(header);
		if (length > left || peal_record_size(length) > end - pos)
			break;
		__builtin_prefetch(peal_next(rx, pos) + rx->prefetch_bytes);
		peal_describe(&messages[taken++], to, header);
		peal_take(rx, to, peal_next(rx, pos) + PEAL_HEADER_SIZE, (size_t)length);
		bytes += length;
		pos += peal_record_size(length);
		/* The next one begins at a multiple of 8, if there is room for as much. */
		length = (length + 7) & ~(uint64_t)7;
		if (length > left)
			break;
		if (length)
			to += length;
		left -= length;
	} while (taken < count && (header = peal_see_plain(peal_next(rx, pos), rx->below)));
	/* There was at least as much. */
	bell_found(&rx->link->data, pos - rx->pos);
	peal_give_back_batch(rx, pos, (uint64_t)taken, bytes);
out:
	PEAL_DEBUG_LEAVE(rx);
	return err ? err : taken;
}

/* Of the verbs that this thread is in, the innermost one first: whether it is inside another one of
 * the same end, which is still in there when this one leaves. */
static __thread uint64_t nested;

void peal_debug_enter(uint32_t *owner, const char *verb)
{
	uint32_t self = platform_thread();
	/* Pairs with itself and with peal_debug_leave in another thread: it orders nothing, so that
	 * it hides no race from ThreadSanitizer. */
	uint32_t other = __atomic_exchange_n(owner, self, __ATOMIC_RELAXED);

	if (other && other != self) {
		fprintf(stderr,
			"peal: %s in thread %u while thread %u is using the same end or handle: one thread at a time may\n",
			verb, self, other);
		abort();
	}
	nested = nested << 1 | (other == self);
}

void peal_debug_leave(uint32_t *owner)
{
	if (!(nested & 1))
		__atomic_store_n(owner, 0, __ATOMIC_RELAXED);
	nested >>= 1;
}
