/*
 * SPDX-License-Identifier: MIT
 *
 * Messages longer than a record. The tx cuts them into fragments of at most a quarter of the ring,
 * so that both sides work at the same time; the rx joins them in the caller's buffer, and in
 * address space of its own what must be kept from one call to the next. Each fragment is released
 * as soon as it is copied, so a message may be longer than the ring; what a message says of itself
 * is checked before anything of it is consumed. While one is under way rx->below is 0, and every
 * record comes here.
 */
#include "config.h"

#include <errno.h>

#include <peal/call.h>

#include "lib/call.h"
#include "lib/error.h"
#include "lib/large.h"
#include "lib/ring.h"
#include "lib/set.h"

#define SENDING(field, offset)                                           \
	_Static_assert(offsetof(struct peal_sending, field) == (offset), \
		       "binary interface, version 1")
SENDING(data, 0);
SENDING(length, 8);
SENDING(tag, 16);
SENDING(begun, 20);
SENDING(sent, 24);
SENDING(spare, 32);
_Static_assert(sizeof(struct peal_sending) == 64, "binary interface, version 1");
_Static_assert(PEAL_CONTROL_ABANDON == 1, "shared layout, version 1");

/* Bytes of the total at the beginning of a first fragment, and of a control record's payload. */
#define WORD ((uint64_t)8)

/* So many bytes at most between two looks at the time. */
#define TURN ((uint64_t)1 << 20)

/* A fragment is no longer than this, however large the ring: both sides should work on a message at
 * the same time, and on what is still in their caches. */
#define FRAGMENT_MAX ((uint64_t)256 << 10)

/* ABANDONs without a part: an honest peer has none. */
#define VAIN_MAX 1000u

/* Bytes of address space that are made ready at once, at least. */
#define READY_LEAST ((uint64_t)64 << 10)

/*
 * How long a call may take, which goes in many steps.
 */

struct patience {
	int64_t timeout;
	uint64_t end;  /* monotonic ns */
	uint64_t turn; /* the position at which to look at the time again */
};

static struct patience patience_of(int64_t timeout, uint64_t pos)
{
	struct patience patience = { .timeout = timeout, .end = UINT64_MAX, .turn = pos };

	if (timeout > 0)
		patience.end = platform_deadline(platform_now(), timeout);
	return patience;
}

/* What is left of it for the next wait; at least a try. */
static int64_t patience_left(const struct patience *patience)
{
	uint64_t now;

	if (patience->timeout <= 0)
		return patience->timeout;
	now = platform_now();
	return now < patience->end ? (int64_t)(patience->end - now) : 1;
}

/* Whether it is over although there is always something to do. A lap is a turn, or TURN bytes,
 * which is all that there is without a timeout. */
static int patience_over(struct patience *patience, uint64_t pos, uint64_t capacity)
{
	if (pos - patience->turn < (capacity < TURN ? capacity : TURN))
		return 0;
	patience->turn = pos;
	if (patience->timeout == 0)
		return error_literal(-EAGAIN, "not all of it has gone by, and the timeout is 0");
	if (patience->timeout > 0 && platform_now() >= patience->end)
		return error_literal(-ETIMEDOUT, "not all of it had gone by until the timeout");
	return 0;
}

/*
 * Sending.
 */

int large_too_long(const struct peal_tx *tx, size_t length)
{
	uint64_t longest = tx->link->cut.longest;

	if (length <= longest)
		return error_set(
			-EMSGSIZE,
			"a message of %zu bytes does not fit one record, the limit is %llu: use "
			"peal_send, or a larger ring",
			length, (unsigned long long)tx->largest);
	if (longest > tx->largest)
		return error_set(-EMSGSIZE,
				 "a message of %zu bytes is too long: the peer accepts %llu; raise "
				 "options.max_message there",
				 length, (unsigned long long)longest);
	return error_set(-EMSGSIZE,
			 "a message of %zu bytes is too long: the limit is %llu (the ring's %llu "
			 "less 16, and what the peer accepts); use a larger ring",
			 length, (unsigned long long)tx->largest, (unsigned long long)tx->mask + 1);
}

static int say_abandon(struct peal_tx *tx, int64_t timeout)
{
	const uint64_t kind = PEAL_CONTROL_ABANDON;
	int err = ring_room(tx, peal_record_size(WORD), timeout);

	if (err) {
		tx->limit = 0; /* every further send comes by large_settle */
		return err;
	}
	memcpy(tx->data + (tx->pos & tx->mask) + PEAL_HEADER_SIZE, &kind, WORD);
	tx->part = PEAL_PART_NONE;
	ring_publish(tx, WORD, PEAL_HEADER_CONTROL, 0, 0, 0);
	return 0;
}

/* There is room behind four fragments, so in most cases the peer is told at once. */
void peal_abort_part(struct peal_tx *tx)
{
	tx->part = PEAL_PART_GIVEN_UP;
	/* It looks for room, which one that sleeps in a set must not have: see ring_may_send. */
	if (tx->link->set)
		set_rouse(tx->link);
	say_abandon(tx, 0);
}

int large_settle(struct peal_tx *tx, int64_t *timeout)
{
	struct patience patience;
	int err;

	if (tx->part == PEAL_PART_SENT)
		return error_literal(
			-EBUSY, "a message is half sent: call peal_send_part until it is all, or "
				"peal_abort");
	if (tx->part == PEAL_PART_NONE)
		return 0;
	patience = patience_of(*timeout, tx->pos);
	err = say_abandon(tx, *timeout);
	*timeout = patience_left(&patience);
	return err;
}

/* The message that is being cut. */
struct source {
	const struct iovec *piece;
	size_t offset; /* into this piece */
	uint64_t length, sent;
	uint32_t tag;
	uint32_t flags; /* of its last fragment: PEAL_HEADER_LAST or 0 */
};

static void gather(struct peal_tx *tx, struct source *source, uint8_t *to, uint64_t length)
{
	while (length) {
		uint64_t some = source->piece->iov_len - source->offset;

		if (some > length)
			some = length;
		if (some)
			peal_put(tx, to, (const uint8_t *)source->piece->iov_base + source->offset,
				 some);
		to += some;
		length -= some;
		source->offset += some;
		if (source->offset == source->piece->iov_len && length) {
			source->piece++;
			source->offset = 0;
		}
	}
}

/* Sends fragments, as far as there is time; source->sent says how far. */
static int send_fragments(struct peal_tx *tx, struct source *source, struct patience *patience)
{
	/* Four of them, an ABANDON and the zero header behind fit the ring. */
	uint64_t quarter = (tx->mask + 1) >> 2;
	uint64_t most = (quarter < FRAGMENT_MAX ? quarter : FRAGMENT_MAX) - 2 * PEAL_HEADER_SIZE;
	int err = 0;

	while (source->sent < source->length) {
		uint64_t begin = source->sent ? 0 : WORD, some = source->length - source->sent;
		uint8_t *to;
		bool last;

		if (some > most - begin)
			some = most - begin;
		if (peal_reserve_is_slow(tx, begin + some)) {
			err = ring_room(tx, peal_record_size(begin + some),
					patience_left(patience));
			if (err)
				break;
		}
		to = tx->data + (tx->pos & tx->mask) + PEAL_HEADER_SIZE;
		if (begin)
			memcpy(to, &source->length, WORD);
		gather(tx, source, to + begin, some);
		source->sent += some;
		last = source->sent == source->length;
		ring_publish(tx, begin + some, last ? source->flags : PEAL_HEADER_MORE, source->tag,
			     last, last ? source->length : 0);
		if (!last)
			err = patience_over(patience, tx->pos, tx->mask + 1);
		if (err) {
			tx->link->room_want = 0; /* that was not what is missing */
			break;
		}
	}
	return err;
}

/* The sentence of a deadline that came before the end of a message. */
static int say_late(const struct source *source, int64_t timeout, const char *then)
{
	return error_set(-ETIMEDOUT,
			 "of a message of %llu bytes %llu were sent within the timeout of %lld ns: "
			 "the peer is slow; %s",
			 (unsigned long long)source->length, (unsigned long long)source->sent,
			 (long long)timeout, then);
}

/* Without time a message in fragments is not begun: it could never be sent whole. */
static int refuse_at_once(struct peal_tx *tx, size_t length)
{
	int err = ring_room(tx, 0, 0); /* only to learn whether the peer is gone */

	if (tx->pending_header)
		peal_publish_pending(tx);
	return ring_ends(err) ?
		       err :
		       error_set(-EMSGSIZE,
				 "a message of %zu bytes is longer than a record of this ring, and "
				 "cannot be sent with a timeout of 0: use peal_send_part",
				 length);
}

int large_send(struct peal_tx *tx, const struct iovec *pieces, size_t length, uint32_t tag,
	       uint32_t flags, int64_t timeout)
{
	struct source source = { .piece = pieces, .length = length, .tag = tag, .flags = flags };
	const int64_t whole = timeout;
	struct patience patience;
	int err = ring_may_send(tx);

	if (!err && length > tx->link->cut.longest)
		err = large_too_long(tx, length);
	if (!err && !timeout)
		err = refuse_at_once(tx, length);
	if (!err)
		err = large_settle(tx, &timeout);
	if (err)
		return err;
	patience = patience_of(timeout, tx->pos);
	err = send_fragments(tx, &source, &patience);
	if (err && source.sent && !ring_ends(err))
		peal_abort_part(tx);
	return err == -ETIMEDOUT ? say_late(&source, whole,
					    "they are given up; wait longer or use a larger ring") :
				   err;
}

static int send_part(struct peal_tx *tx, struct peal_sending *sending, uint32_t flags,
		     int64_t timeout)
{
	struct iovec piece = { .iov_base = (void *)(uintptr_t)sending->data,
			       .iov_len = sending->length };
	struct source source = {
		.piece = &piece, .length = sending->length, .tag = sending->tag, .flags = flags
	};
	struct cut *cut = &tx->link->cut;
	const int64_t whole = timeout;
	struct patience patience;
	int err;

	if (!sending->begun && sending->length <= tx->largest) {
		err = peal_send(tx, sending->data, sending->length, sending->tag, timeout);
		sending->sent = err ? 0 : sending->length;
		return err;
	}
	err = ring_may_send(tx);
	if (!err && sending->length > cut->longest)
		err = large_too_long(tx, sending->length);
	if (!err && !sending->begun)
		err = large_settle(tx, &timeout);
	else if (!err && (tx->part != PEAL_PART_SENT || sending->length != cut->length ||
			  sending->sent != cut->sent || sending->tag != cut->tag))
		err = error_literal(
			-EINVAL,
			"this message is not the one that is half sent: it was given up, or "
			"its struct was changed");
	if (err)
		return err;
	source.sent = source.offset = sending->begun ? sending->sent : 0;
	patience = patience_of(timeout, tx->pos);
	err = send_fragments(tx, &source, &patience);
	sending->sent = source.sent;
	sending->begun = err && source.sent && !ring_ends(err);
	tx->part = sending->begun ? PEAL_PART_SENT : PEAL_PART_NONE;
	*cut = (struct cut){ .longest = cut->longest,
			     .length = source.length,
			     .sent = source.sent,
			     .tag = source.tag };
	if (tx->part)
		tx->limit = 0; /* what else is sent comes by large_settle */
	return err == -ETIMEDOUT ? say_late(&source, whole, "call again for the rest") : err;
}

int large_send_part(struct peal_tx *tx, struct peal_sending *sending, uint32_t flags,
		    int64_t timeout)
{
	int err;

	RING_DEBUG_ENTER(tx, "peal_send_part");
	err = send_part(tx, sending, flags, timeout);
	PEAL_DEBUG_LEAVE(tx);
	return err;
}

int peal_send_part(struct peal_tx *tx, struct peal_sending *sending, int64_t timeout)
{
	return large_send_part(tx, sending, 0, timeout);
}

/*
 * Receiving.
 */

int large_set_aside(struct join *join, uint64_t most, uint64_t record)
{
	uint64_t page = runtime_get()->page_size;
	int err;

	*join = (struct join){ .at = NULL };
	if (most <= record)
		return 0;
	join->most = most;
	join->size = (most + page - 1) & ~(page - 1);
	err = platform_set_aside(join->size, &join->at);
	if (err)
		return error_set(
			err,
			"%llu bytes of address space for long messages cannot be had (mremap, errno %d): %s",
			(unsigned long long)join->size, -err,
			error_mend(err, "raise the limit of address space (ulimit -v), or pass a "
					"smaller max_message"));
	return 0;
}

void large_take_down(struct join *join)
{
	if (join->at)
		platform_take_down(join->at, join->size);
	join->at = NULL;
}

/* Makes so much of the address space ready for parts. Before anything of them is consumed: what has
 * been taken out of the ring can be kept in any case. */
static int make_ready(struct join *join, uint64_t length)
{
	uint64_t upto = 2 * join->ready > length ? 2 * join->ready : length;
	int err;

	if (length <= join->ready)
		return 0;
	upto = (upto + READY_LEAST - 1) & ~(READY_LEAST - 1);
	if (upto > join->size)
		upto = join->size;
	err = platform_use(join->at + join->ready, upto - join->ready);
	if (err)
		return error_set(
			err,
			"no memory (errno %d) for keeping a message of up to %llu bytes: raise the "
			"limits of memory (ulimit -d, vm.overcommit_ratio where "
			"vm.overcommit_memory is 2), or pass a smaller max_message",
			-err, (unsigned long long)join->most);
	join->ready = upto;
	return 0;
}

/* Gives memory back: all that can be there, since a touch may bring more than a page. */
static void give_back_memory(struct join *join)
{
	if (join->used)
		platform_give_back(join->at, join->ready);
	join->used = 0;
}

/* No message is under way any more. */
static void forget(struct peal_rx *rx)
{
	struct join *join = &rx->link->join;

	give_back_memory(join);
	join->total = join->have = 0;
	join->refused = join->unwanted = false;
	rx->below = join->below;
}

void large_forget(struct peal_link *link)
{
	forget(&link->rx);
}

/* A record that the fast way does not take, as far as it has been checked. */
struct record {
	enum { MESSAGE, FRAGMENT, ABANDON } kind;
	uint64_t header;
	uint32_t flags;      /* that the program is told of */
	uint64_t size;       /* in the ring */
	const uint8_t *from; /* what it has of a message, */
	uint64_t length;     /* so many bytes */
	uint64_t total;      /* of the whole message */
};

/* The first word of a record, which the peer may change at any time. Pairs with nothing: what it
 * says was published with the header. */
static uint64_t read_once(const uint8_t *at)
{
	return __atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_RELAXED);
}

/* One more fragment of the message under way. NULL, or what it lies about. */
static const char *check_next(const struct join *join, const struct record *record)
{
	uint64_t left = join->total - join->have;

	if ((uint32_t)(record->header >> 32) != join->tag)
		return "a message stands in the midst of another's fragments";
	if (!record->length || record->length > left ||
	    (record->length == left) == ((record->header & PEAL_HEADER_MORE) != 0))
		return "fragments do not add up to their message";
	return NULL;
}

/* The first one. */
static const char *check_first(const struct join *join, struct record *record)
{
	if (record->length <= WORD)
		return "a first fragment has nothing of its message";
	record->total = read_once(record->from);
	record->from += WORD;
	record->length -= WORD;
	if (record->total > join->most)
		return "a message is longer than this side accepts";
	if (record->total <= record->length)
		return "fragments do not add up to their message";
	return NULL;
}

/* A control record: an ABANDON, or one of calls, which is a message to the program. */
static const char *check_control(const struct peal_link *link, struct record *record)
{
	uint64_t word = read_once(record->from); /* inside the ring, whatever the length */

	if (link->join.most && record->length == WORD && word == PEAL_CONTROL_ABANDON) {
		record->kind = ABANDON;
		return NULL;
	}
	record->flags = PEAL_HEADER_CONTROL;
	if (!link->calls)
		return "a control record of a kind that was not agreed on";
	/* Its own tx cannot send one there. */
	if (link->join.total)
		return "a control record stands in the midst of a message's fragments";
	return call_lie(word, record->length);
}

/* Whether a header may have these flags, besides that it is a last reply. */
static bool may_have(const struct peal_link *link, uint32_t odd)
{
	return odd == PEAL_HEADER_MORE    ? link->join.most != 0 :
	       odd == PEAL_HEADER_CONTROL ? link->join.most != 0 || link->calls :
					    odd == 0;
}

static const char *check(const struct peal_rx *rx, uint64_t header, struct record *record)
{
	const struct join *join = &rx->link->join;
	uint32_t low = (uint32_t)header, odd = low & ~(PEAL_HEADER_LENGTH | PEAL_HEADER_LAST);
	uint64_t length = (uint64_t)(low & PEAL_HEADER_LENGTH) - 1;

	if (!may_have(rx->link, odd) || (odd && (low & PEAL_HEADER_LAST)))
		return "a record has flags that were not agreed on";
	/* A control record has its own limit, whatever is the longest message. */
	if (length >= join->below && (odd != PEAL_HEADER_CONTROL || length > PEAL_CONTROL_LONGEST))
		return "a record's length cannot be true";
	*record = (struct record){ .kind = MESSAGE,
				   .header = header,
				   .flags = low & PEAL_HEADER_LAST,
				   .size = peal_record_size(length),
				   .from = peal_next(rx, rx->pos) + PEAL_HEADER_SIZE,
				   .length = length,
				   .total = length };
	if (odd == PEAL_HEADER_CONTROL)
		return check_control(rx->link, record);
	if (join->total) {
		record->kind = FRAGMENT;
		record->total = join->total;
		return check_next(join, record);
	}
	if (odd) {
		record->kind = FRAGMENT;
		return check_first(join, record);
	}
	return NULL;
}

/* The next header, while there is time. 0: none, and *err says why. */
static uint64_t next(struct peal_rx *rx, struct patience *patience, int *err)
{
	/* Pairs with [publish] in peal_show. */
	uint64_t header = __atomic_load_n((const uint64_t *)(const void *)peal_next(rx, rx->pos),
					  __ATOMIC_ACQUIRE); /* [see] */

	*err = patience_over(patience, rx->pos, rx->mask + 1);
	if (*err)
		return 0;
	if (!header)
		header = ring_wait(rx, patience_left(patience), err);
	if (!header && *err == -ETIMEDOUT)
		error_set(-ETIMEDOUT, "no message came until the timeout of %lld ns: wait longer",
			  (long long)patience->timeout);
	return header;
}

/* Consumes an ABANDON. NULL, or what it lies about. */
static const char *abandon(struct peal_rx *rx, const struct record *record)
{
	struct join *join = &rx->link->join;
	bool vain = !join->total;

	forget(rx);
	peal_give_back(rx, rx->pos + record->size, 0, 0);
	return vain && ++join->vain > VAIN_MAX ?
		       "it gives up message after message, and there is none" :
		       NULL;
}

/* Consumes a fragment, copied to where the message is joined (NULL: it is not wanted). Whether it
 * was the last. */
static bool take_fragment(struct peal_rx *rx, const struct record *record, uint8_t *to)
{
	struct join *join = &rx->link->join;
	bool last;

	if (!join->total) {
		join->total = record->total;
		join->tag = (uint32_t)(record->header >> 32);
		rx->below = 0;
	}
	if (to)
		peal_take(rx, to + join->have, record->from, (size_t)record->length);
	join->have += record->length;
	if (to == join->at)
		join->used = join->have;
	last = join->have == join->total;
	peal_give_back(rx, rx->pos + record->size, last, last ? join->total : 0);
	return last;
}

/* Goes on from a header to the next message, or the next part of one, consuming what is given up or
 * not wanted. 0, and it stays; or an error as of peal_peek. */
static int look(struct peal_rx *rx, uint64_t header, struct patience *patience,
		struct record *record)
{
	struct join *join = &rx->link->join;
	int err = 0;

	for (; header; header = next(rx, patience, &err)) {
		const char *lie = check(rx, header, record);

		if (!lie && record->kind == ABANDON)
			lie = abandon(rx, record);
		else if (!lie && (record->kind == MESSAGE || !join->unwanted))
			return 0;
		else if (!lie && take_fragment(rx, record, NULL))
			forget(rx);
		if (lie)
			return ring_refuse(rx->link, lie);
	}
	return err;
}

/* How long a verb may take that has seen a header, for which it may have waited. */
static struct patience patience_from(struct peal_rx *rx, int64_t timeout)
{
	struct join *join = &rx->link->join;
	uint64_t deadline = join->deadline_at == rx->pos ? join->deadline : 0;

	join->deadline = 0;
	if (timeout > 0 && deadline)
		return (struct patience){ .timeout = timeout, .end = deadline, .turn = rx->pos };
	return patience_of(timeout, rx->pos);
}

/* The first look of a verb that can take size bytes of a long message. What it has to know is known
 * already where some is kept. */
static int look_first(struct peal_rx *rx, uint64_t header, size_t size, struct patience *patience,
		      struct record *record)
{
	struct patience none = { .timeout = 0, .turn = rx->pos };
	struct join *join = &rx->link->join;
	int err = 0;

	join->refused = false;
	if (header == RING_NOTHING_YET && join->total) {
		header = next(rx, join->total > size ? &none : patience, &err);
		if (err == -EAGAIN && join->total > size) {
			*record = (struct record){ .kind = FRAGMENT,
						   .header = (uint64_t)join->tag << 32,
						   .total = join->total };
			return 0;
		}
	}
	return header ? look(rx, header, patience, record) : err;
}

/* What a verb tells of a record. What flags a message in fragments has, its last one says. */
static void tell(struct peal_message *message, const void *data, const struct record *record)
{
	message->data = data;
	message->length = (size_t)record->total;
	message->tag = (uint32_t)(record->header >> 32);
	message->flags = record->kind == MESSAGE ? record->flags : 0;
}

int peal_peek_other(struct peal_rx *rx, uint64_t header, struct peal_message *message,
		    int64_t timeout)
{
	struct patience patience = patience_from(rx, timeout);
	struct record record = { .kind = MESSAGE };
	int err = look_first(rx, header, 0, &patience, &record);

	if (err)
		return err;
	tell(message, record.kind == MESSAGE ? record.from : NULL, &record);
	if (record.kind == MESSAGE) {
		rx->held = record.length + 1;
		return 0;
	}
	rx->link->join.refused = true;
	return error_set(
		-EMSGSIZE,
		"the next message has %llu bytes, which is more than a record, and cannot be "
		"shown in place: it stays; use peal_recv, or peal_release to drop it",
		(unsigned long long)record.total);
}

/* A message that does not fit the buffer stays, unless it is released. */
static int too_small(struct peal_rx *rx, const struct record *record, size_t size)
{
	if (record->kind == MESSAGE)
		rx->held = record->length + 1;
	else
		rx->link->join.refused = true;
	return error_set(-ENOBUFS,
			 "the next message has %llu bytes, the buffer %zu: it stays; pass a larger "
			 "buffer, or drop it by peal_release",
			 (unsigned long long)record->total, size);
}

/* What was put together in a buffer goes where the next call finds it. */
static int keep(struct join *join, const void *buffer, bool direct, int err)
{
	if (!join->total || join->unwanted)
		return err;
	if (direct) {
		memcpy(join->at, buffer, join->have);
		join->used = join->have;
	}
	if (err != -EAGAIN && err != -ETIMEDOUT)
		return err;
	return error_set(err, "of a message of %llu bytes %llu have come: the rest did not in time",
			 (unsigned long long)join->total, (unsigned long long)join->have);
}

ssize_t peal_recv_other(struct peal_rx *rx, uint64_t header, void *buffer, size_t size,
			struct peal_message *about, int64_t timeout)
{
	struct join *join = &rx->link->join;
	struct patience patience = patience_from(rx, timeout);
	bool direct = false; /* it is joined in the buffer */
	struct record record = { .kind = MESSAGE };
	int err = look_first(rx, header, size, &patience, &record);

	while (!err) {
		if (about)
			tell(about, buffer, &record);
		if (record.total > size)
			return too_small(rx, &record, size);
		if (record.kind == MESSAGE) {
			peal_take(rx, buffer, record.from, (size_t)record.length);
			peal_advance(rx, rx->pos, record.length);
			return (ssize_t)record.length;
		}
		err = make_ready(join, join->have + record.length);
		if (err)
			break;
		if (!join->total)
			direct = true;
		if (take_fragment(rx, &record, direct ? buffer : join->at)) {
			if (!direct)
				memcpy(buffer, join->at, join->total);
			if (about)
				about->flags = record.flags;
			forget(rx);
			return (ssize_t)record.total;
		}
		header = next(rx, &patience, &err);
		if (header)
			err = look(rx, header, &patience, &record);
	}
	return ring_ends(err) || err == -ESTALE ? err : keep(join, buffer, direct, err);
}

void peal_release_refused(struct peal_rx *rx)
{
	struct patience none = { .timeout = 0, .turn = rx->pos };
	struct join *join = &rx->link->join;
	struct record record = { .kind = MESSAGE };
	uint64_t header;
	int err;

	if (!join->refused)
		return;
	join->refused = false;
	join->unwanted = true;
	give_back_memory(join);
	header = next(rx, &none, &err);
	if (header)
		look(rx, header, &none, &record);
	join->unwanted = join->total != 0;
}
