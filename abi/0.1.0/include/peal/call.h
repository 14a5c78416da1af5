/*
 * SPDX-License-Identifier: MIT
 *
 * Calls on links: a request and its replies have the same tag, the last reply is marked, and there
 * are control records, which are no messages of the program's own, for an error instead of a reply
 * and for a call that nobody waits for any more. peal/server.h and peal/client.h are built of these
 * verbs.
 *
 * Marking the last reply needs nothing of the peer. Errors and cancels reach only a peer whose
 * options have PEAL_CALLS (peal_link_agreed tells: PEAL_AGREED_CALLS): its verbs of peal/ring.h
 * hand them out as messages, with PEAL_HEADER_CONTROL in message.flags, a tag, and what
 * peal_control_read makes of their data; peal_recv_batch and peal_drain each as one that comes
 * alone or first. They count as messages do. A side without PEAL_CALLS ends a link that shows them.
 *
 * Timeouts are nanoseconds from now, as in peal/link.h.
 */
#ifndef PEAL_CALL_H
#define PEAL_CALL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <peal/link.h>
#include <peal/ring.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of an error's sentence, its terminating zero included. */
#define PEAL_SENTENCE 256

/* Bytes of a control record's data, at most, whatever options.max_message says. */
#define PEAL_CONTROL_LONGEST (8 + PEAL_SENTENCE - 1)

/* What a control record says. */
struct peal_control {
	uint32_t kind;                /* PEAL_CONTROL_CANCEL or PEAL_CONTROL_ERROR */
	int32_t code;                 /* of an error: a negative errno */
	char sentence[PEAL_SENTENCE]; /* of an error: printable, terminated; else "" */
};

/*
 * Reads a message that has PEAL_HEADER_CONTROL, in place or copied. Every value is the peer's word,
 * checked only in form: a code is -1 to -4095, and what is not printable in a sentence is "?".
 * -EINVAL: it is no control record; -EPROTO: it has no right form. The verbs end the link of a peer
 * that sends such a one, so it was changed afterwards, in place. Any thread; never enters the
 * kernel.
 */
PEAL_API int peal_control_read(const struct peal_message *message, struct peal_control *control);

/*
 * As peal_send and peal_commit, and marks the message as the last reply of its call: the receiver
 * sees PEAL_HEADER_LAST in message.flags. Errors and threads as theirs.
 */
PEAL_API int peal_send_last(struct peal_tx *tx, const void *data, size_t length, uint32_t tag,
			    int64_t timeout);
PEAL_API int peal_commit_last(struct peal_tx *tx, size_t length, uint32_t tag);

/*
 * Answers a call with an error, which is its last reply: a negative errno of Linux's and a sentence
 * (NULL: none), of which PEAL_SENTENCE - 1 bytes are sent. -EINVAL: err is not -1 to -4095;
 * -EOPNOTSUPP: the peer has no PEAL_CALLS; else as peal_send, but for -EMSGSIZE.
 */
PEAL_API int peal_send_error(struct peal_tx *tx, uint32_t tag, int err, const char *sentence,
			     int64_t timeout);

/*
 * Tells the peer that nobody waits for the replies of a call any more. It may have sent them all
 * the same. -EOPNOTSUPP: the peer has no PEAL_CALLS; else as peal_send, but for -EMSGSIZE.
 */
PEAL_API int peal_send_cancel(struct peal_tx *tx, uint32_t tag, int64_t timeout);

/*
 * Sends a request with a tag of its own and waits for its reply, which is copied out as by
 * peal_recv: the message of that tag which comes first, whether it is marked as the last one or
 * not. What else comes meanwhile is dropped, as replies of earlier calls that were given up; so a
 * link that calls is used for nothing else. Returns the reply's length; about (may be NULL) tells
 * what it was.
 *
 * An error reply, which comes only where this side has PEAL_CALLS, is returned as its errno, any of
 * them, with its sentence in peal_error; about->flags has PEAL_HEADER_CONTROL then, and only then.
 * -EAGAIN (timeout 0), -ETIMEDOUT: there was no room for the request, or no reply came, and then
 * the peer is told (peal_send_cancel, as far as it can be without waiting); -ENOBUFS: the reply is
 * longer than size, and is dropped; about->length tells how long. -ECONNRESET, -EPIPE: the peer has
 * gone, and whether it did what was asked is not known; else as peal_send and peal_recv. After an
 * error the buffer holds nothing of use.
 * One thread, which has both ends.
 */
PEAL_API ssize_t peal_call(struct peal_link *link, const void *request, size_t length, void *reply,
			   size_t size, struct peal_message *about, int64_t timeout);

#ifdef __cplusplus
}
#endif

#endif
