/*
 * SPDX-License-Identifier: MIT
 *
 * Calls on links: last replies, errors instead of replies, cancels, and a call as one verb. How
 * control records come out of a ring is in large.c.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <peal/call.h>

#include "lib/call.h"
#include "lib/error.h"
#include "lib/large.h"
#include "lib/ring.h"

#define CONTROL(field, offset)                                           \
	_Static_assert(offsetof(struct peal_control, field) == (offset), \
		       "binary interface, version 1")
CONTROL(kind, 0);
CONTROL(code, 4);
CONTROL(sentence, 8);
_Static_assert(sizeof(struct peal_control) == 264, "binary interface, version 1");
_Static_assert(PEAL_CONTROL_CANCEL == 2, "shared layout, version 1");
_Static_assert(PEAL_CONTROL_ERROR == 3, "shared layout, version 1");
_Static_assert(PEAL_SENTENCE == 256, "binary interface, version 1");
_Static_assert(PEAL_CONTROL_LONGEST == 263, "shared layout, version 1");

/* Bytes of the word that a control record begins with. */
#define WORD ((uint64_t)8)

/* The highest errno that Linux returns. */
#define ERRNO_MAX 4095

/*
 * Control records.
 */

const char *call_lie(uint64_t word, uint64_t length)
{
	uint32_t code = (uint32_t)(word >> 32);

	switch ((uint32_t)word) {
	case PEAL_CONTROL_CANCEL:
		return length == WORD && !code ? NULL : "a cancel of a wrong form";
	case PEAL_CONTROL_ERROR:
		return length >= WORD && length <= PEAL_CONTROL_LONGEST && code &&
				       code <= ERRNO_MAX ?
			       NULL :
			       "an error of a wrong form";
	default:
		return "a control record of a kind that is not known";
	}
}

int peal_control_read(const struct peal_message *message, struct peal_control *control)
{
	uint64_t word = 0;
	const char *lie;
	size_t i, length;

	memset(control, 0, sizeof(*control));
	if (!(message->flags & PEAL_HEADER_CONTROL))
		return error_literal(-EINVAL, "this message is no control record: it has no "
					      "PEAL_HEADER_CONTROL in its flags");
	/* Once: in place it may change. */
	if (message->length >= WORD)
		memcpy(&word, message->data, WORD);
	lie = call_lie(word, message->length);
	if (lie)
		return error_literal(-EPROTO, lie);
	length = message->length - WORD;
	control->kind = (uint32_t)word;
	control->code = -(int32_t)(word >> 32);
	memcpy(control->sentence, (const char *)message->data + WORD, length);
	for (i = 0; i < length; i++)
		if (control->sentence[i] < ' ' || control->sentence[i] > '~')
			control->sentence[i] = '?';
	return 0;
}

static int send_control(struct peal_tx *tx, uint32_t tag, uint64_t word, const char *sentence,
			int64_t timeout)
{
	size_t length = strnlen(sentence, PEAL_SENTENCE - 1);
	int err = ring_may_send(tx);
	uint8_t *to;

	if (!err && !(tx->link->agreed.flags & PEAL_AGREED_CALLS))
		err = error_literal(-EOPNOTSUPP,
				    "the peer does not know of errors and cancels: set PEAL_CALLS "
				    "in options.flags there");
	if (!err)
		err = large_settle(tx, &timeout);
	if (!err)
		err = ring_room(tx, peal_record_size(WORD + length), timeout);
	if (err)
		return err;
	to = tx->data + (tx->pos & tx->mask) + PEAL_HEADER_SIZE;
	memcpy(to, &word, WORD);
	memcpy(to + WORD, sentence, length);
	ring_publish(tx, WORD + length, PEAL_HEADER_CONTROL, tag, 1, WORD + length);
	return 0;
}

int peal_send_error(struct peal_tx *tx, uint32_t tag, int code, const char *sentence,
		    int64_t timeout)
{
	int err;

	if (code >= 0 || code < -ERRNO_MAX)
		return error_set(-EINVAL, "an error of %d: a negative errno, -1 to -%d, is right",
				 code, ERRNO_MAX);
	PEAL_DEBUG_ENTER(tx);
	err = send_control(tx, tag, (uint64_t)-code << 32 | PEAL_CONTROL_ERROR,
			   sentence ? sentence : "", timeout);
	PEAL_DEBUG_LEAVE(tx);
	return err;
}

int peal_send_cancel(struct peal_tx *tx, uint32_t tag, int64_t timeout)
{
	int err;

	PEAL_DEBUG_ENTER(tx);
	err = send_control(tx, tag, PEAL_CONTROL_CANCEL, "", timeout);
	PEAL_DEBUG_LEAVE(tx);
	return err;
}

/*
 * Last replies.
 */

static int send_last(struct peal_tx *tx, const void *data, size_t length, uint32_t tag,
		     int64_t timeout)
{
	const struct iovec piece = { .iov_base = (void *)(uintptr_t)data, .iov_len = length };
	int err = 0;

	if (length > tx->largest)
		return large_send(tx, &piece, length, tag, PEAL_HEADER_LAST, timeout);
	if (peal_reserve_is_slow(tx, length))
		err = peal_reserve_slow(tx, length, timeout);
	if (err)
		return err;
	tx->reserved = 0;
	peal_put(tx, tx->data + (tx->pos & tx->mask) + PEAL_HEADER_SIZE, data, length);
	ring_publish(tx, length, PEAL_HEADER_LAST, tag, 1, length);
	return 0;
}

int peal_send_last(struct peal_tx *tx, const void *data, size_t length, uint32_t tag,
		   int64_t timeout)
{
	int err;

	PEAL_DEBUG_ENTER(tx);
	err = send_last(tx, data, length, tag, timeout);
	PEAL_DEBUG_LEAVE(tx);
	return err;
}

int peal_commit_last(struct peal_tx *tx, size_t length, uint32_t tag)
{
	int err = 0;

	PEAL_DEBUG_ENTER(tx);
	if (length < tx->reserved) {
		tx->reserved = 0;
		ring_publish(tx, length, PEAL_HEADER_LAST, tag, 1, length);
	} else {
		err = peal_commit_refuse(tx, length);
	}
	PEAL_DEBUG_LEAVE(tx);
	return err;
}

/*
 * A call as one verb.
 */

struct call {
	struct peal_link *link;
	uint32_t tag;
	void *reply;
	size_t size;
	int64_t timeout;
	uint64_t end; /* monotonic ns */
	uint64_t lap; /* without a timeout: the position up to which is looked */
};

/* What is left of its time; at least a try. */
static int64_t time_left(const struct call *call)
{
	uint64_t now;

	if (call->timeout <= 0)
		return call->timeout;
	now = platform_now();
	return now < call->end ? (int64_t)(call->end - now) : 1;
}

/* Whether it is over, whatever else comes. */
static int over(const struct call *call)
{
	if (call->timeout == 0)
		return call->link->rx.pos >= call->lap ? -EAGAIN : 0;
	return call->timeout > 0 && platform_now() >= call->end ? -ETIMEDOUT : 0;
}

/* Shows the next message, in place; a long reply to this call is received instead. -EMSGSIZE: it is
 * a long one of another, or a reply that does not fit. -ENOBUFS: look again, another one has come
 * instead of a long one that was given up. */
static int look(const struct call *call, struct peal_message *message)
{
	struct peal_rx *rx = &call->link->rx;
	int err = peal_peek(rx, message, time_left(call));
	ssize_t got;

	if (err != -EMSGSIZE || message->tag != call->tag || message->length > call->size)
		return err;
	got = peal_recv(rx, call->reply, call->size, message, time_left(call));
	return got < 0 ? (int)got : 0;
}

/* Consumes the reply. */
static ssize_t take(const struct call *call, struct peal_message *message)
{
	struct peal_rx *rx = &call->link->rx;
	bool fits = message->length <= call->size;

	if (fits && message->length && message->data != call->reply)
		peal_take(rx, call->reply, message->data, message->length);
	peal_release(rx);
	message->data = fits ? call->reply : NULL;
	if (!fits)
		return error_set(-ENOBUFS,
				 "the reply has %zu bytes, the buffer %zu, and it was dropped: "
				 "pass a larger buffer",
				 message->length, call->size);
	return (ssize_t)message->length;
}

/* The error that the peer answers with; 0: it is none, and stays. */
static int take_error(const struct call *call, struct peal_message *message)
{
	struct peal_control control;

	if (peal_control_read(message, &control))
		return ring_refuse(call->link, "a control record changes while it is read");
	if (control.kind != PEAL_CONTROL_ERROR)
		return 0;
	peal_release(&call->link->rx);
	message->data = NULL;
	if (!control.sentence[0])
		return error_set(control.code, "the peer answered with errno %d", -control.code);
	return error_set(control.code, "%s", control.sentence);
}

/* Nobody waits for it any more. */
static int give_up(const struct call *call, int err)
{
	struct peal_message message;
	char why[256];

	if (ring_ends(err) || err == -ESTALE)
		return err;
	if (err == -EAGAIN || err == -ETIMEDOUT)
		error_set(err,
			  "no reply came within the timeout of %lld ns: the peer is slow, or does "
			  "not answer; wait longer",
			  (long long)call->timeout);
	snprintf(why, sizeof(why), "%s", peal_error());
	/* What is kept of a reply is dropped. */
	if (peal_peek(&call->link->rx, &message, 0) == -EMSGSIZE)
		peal_release(&call->link->rx);
	peal_send_cancel(&call->link->tx, call->tag, 0);
	return error_set(err, "%s", why);
}

/* Waits for the reply to what has been sent; the message tells of that, or nothing. */
static ssize_t finish(const struct call *call, struct peal_message *message)
{
	for (;;) {
		int err = look(call, message);

		if (err && err != -EMSGSIZE && err != -ENOBUFS)
			return give_up(call, err);
		if (err != -ENOBUFS) {
			if (message->tag == call->tag) {
				if (!(message->flags & PEAL_HEADER_CONTROL))
					return take(call, message);
				err = take_error(call, message);
				if (err)
					return err;
			}
			peal_release(&call->link->rx);
			*message = (struct peal_message){ NULL, 0, 0, 0 };
		}
		err = over(call);
		if (err)
			return give_up(call, err);
	}
}

ssize_t peal_call(struct peal_link *link, const void *request, size_t length, void *reply,
		  size_t size, struct peal_message *about, int64_t timeout)
{
	struct call call = { .link = link, .reply = reply, .size = size, .timeout = timeout };
	struct peal_message message = { NULL, 0, 0, 0 };
	ssize_t result;

	if (timeout > 0)
		call.end = platform_deadline(platform_now(), timeout);
	PEAL_DEBUG_ENTER(&link->tx);
	PEAL_DEBUG_ENTER(&link->rx);
	call.tag = ++link->call_tag;
	call.lap = link->rx.pos + link->theirs.capacity;
	result = peal_send(&link->tx, request, length, call.tag, timeout);
	if (!result)
		result = finish(&call, &message);
	PEAL_DEBUG_LEAVE(&link->rx);
	PEAL_DEBUG_LEAVE(&link->tx);
	if (about)
		*about = message;
	return result;
}
