/*
 * SPDX-License-Identifier: MIT
 *
 * Clients: calls to a server that may die and come back. A client connects when it is first needed,
 * has many calls in flight, and, when its server goes away, ends each of them with a verdict: it
 * was not sent, or it was sent and nobody knows what became of it. Then it connects again, with
 * growing pauses in between. It never hangs, and sends nothing twice unless it was told that it
 * may.
 *
 * It connects only while calls wait for a server, and only inside peal_client_begin and
 * peal_client_next; neither ever waits for a handshake longer than its own timeout, and a server
 * that is stopped, or does not answer, holds up no call beyond its time. A handshake that has not
 * been answered for 10 s is tried anew.
 *
 * Threads: a client is used by one thread at a time. Fork: a child's client answers -ESTALE.
 * Timeouts are nanoseconds from now, as in peal/link.h.
 */
#ifndef PEAL_CLIENT_H
#define PEAL_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <peal/call.h>
#include <peal/link.h>
#include <peal/options.h>

#ifdef __cplusplus
extern "C" {
#endif

struct peal_client;

/* How a client connects, and how much it keeps. */
struct peal_client_options {
	uint32_t size; /* sizeof(struct peal_client_options); set by peal_client_options_init */
	uint32_t abi;  /* PEAL_ABI; set by peal_client_options_init */

	/* Of the link; NULL: defaults. PEAL_CALLS and PEAL_ONE_THREAD are added. Not kept after
	 * peal_client_open. A reply that is longer than max_message ends the link. */
	const struct peal_options *link;

	/* The pause before a second try to connect: from least (0: 10 ms), doubling with each try
	 * up to most (0: 1 s), of which a random half to whole is taken. After a link that lived
	 * for longer than most there is a try at once, and then they begin again at least; one that
	 * lived for less is a try in vain. */
	uint64_t least_ns;
	uint64_t most_ns;

	/* Calls in flight at most, up to 1048576; 0: 1024. Each takes 68 bytes, and a copy of its
	 * request while that is kept. One is in flight from its beginning until its last answer has
	 * been fetched. */
	uint32_t calls;
	uint32_t spare_word;

	/* Told of each time that the client has connected (err 0) or lost its server, or could not
	 * connect (a negative errno, with its sentence in peal_error). Inside the client's verbs;
	 * may not call any. May be NULL. */
	void (*changed)(void *data, int err);
	void *data;

	uint64_t spare[12]; /* zero */
};

/* Sets all options to their defaults. Cannot fail. Any thread; never enters the kernel. */
static inline void peal_client_options_init(struct peal_client_options *options)
{
	memset(options, 0, sizeof(*options));
	options->size = (uint32_t)sizeof(*options);
	options->abi = PEAL_ABI;
}

/*
 * Makes a client of the server at an address of peal/link.h, which need not be there yet; not of
 * fd: addresses, which are good for one connection (-EINVAL). The caller closes it. -EINVAL,
 * -ERANGE, -EOPNOTSUPP, -ENAMETOOLONG: the address or the options; -EMFILE, -ENFILE, -ENOMEM.
 */
PEAL_API int peal_client_open(struct peal_client **client, const char *address,
			      const struct peal_client_options *options);

/* Closes and frees a client; calls in flight are forgotten, and the server is told of them as far
 * as that can be without waiting. NULL is ignored. After a fork, too. */
PEAL_API void peal_client_close(struct peal_client *client);

/*
 * How a call ended, or what has come of it. All that a server had sent before it died is handed out
 * before its calls end. "Not sent" is what no server can have seen: also a request longer than a
 * record of which only a part went out, since nobody gets parts. What stood in the ring when the
 * server died it may have seen, so that is unknown.
 */
enum peal_verdict {
	PEAL_REPLY = 0,     /* a reply; others may follow unless answer.last is set */
	PEAL_ERROR = 1,     /* the server answered with an error, answer.err */
	PEAL_NOT_SENT = 2,  /* the server has seen nothing of it */
	PEAL_UNKNOWN = 3,   /* it was sent, and the server has gone: it may have done it or not */
	PEAL_TIMED_OUT = 4, /* sent, and no last reply came in time; the server is told */
	PEAL_CANCELLED = 5  /* peal_client_cancel */
};

/* For all but replies peal_error has a sentence: the server's, or why. */
struct peal_answer {
	uint64_t call;    /* what peal_client_begin gave; 0 in calls of peal_client_call */
	void *user;       /* likewise; NULL there */
	uint32_t verdict; /* an enum peal_verdict */
	uint32_t last;    /* 1: the call has ended, and nothing more comes of it */
	/* Of PEAL_ERROR the server's; of others why, a negative errno: of PEAL_NOT_SENT what the
	 * last try to connect came to, -ETIMEDOUT, -ECANCELED or -EMSGSIZE, of PEAL_UNKNOWN how the
	 * server went (-EPIPE: it closed; -ECONNRESET: it died; -EPROTO: it lied) or, of one that
	 * was to be sent again, as of PEAL_NOT_SENT; 0: a reply. */
	int32_t err;
	uint32_t spare;
	const void *data; /* of a reply, a copy; holds until the client's next verb but begin */
	size_t length;    /* of data */
};

/* Bits of the flags of a call. */
enum peal_call_flag {
	/* It does no harm to do this twice: when the server dies before the last reply, it is sent
	 * again to the next one, until the call's time is up. The request is copied for that. After
	 * a first reply it is not sent again. */
	PEAL_IDEMPOTENT = 1,
	/* Not to be sent at all unless there is a server now: else it ends at once, as
	 * PEAL_NOT_SENT (with PEAL_IDEMPOTENT, and sent to one before, PEAL_UNKNOWN). A server that
	 * is there, but not connected to yet, is connected to, unless the last try has failed and
	 * the pause after it is not over. */
	PEAL_NOW = 2
};

/*
 * Begins a call: sends the request as soon as there is a server and room in the ring, which is at
 * once in most cases; until then a copy is kept. *call (may be NULL) is a number that no other call
 * of this client has; user comes back in its answers. Its time begins now. Each call that was begun
 * gets exactly one answer with `last` set, at the latest when its time is up.
 *
 * Never waits. While there is no server it takes the steps towards one that are due; what waits is
 * sent in peal_client_next. A server that refuses us for good (-EPERM, -EACCES, -EPROTONOSUPPORT,
 * -EPROTOTYPE, -E2BIG) ends all calls that wait at once. Before the first request in 10 ms it looks
 * whether the server has died meanwhile, so that nothing is sent to a dead one unknowingly.
 *
 * -EBUSY: options.calls are in flight; -EMSGSIZE: longer than the server accepts, as far as that is
 * known now; -ENOMEM; -EINVAL: flags; -ESTALE. Then nothing was begun.
 */
PEAL_API int peal_client_begin(struct peal_client *client, const void *request, size_t length,
			       uint32_t flags, int64_t timeout, void *user, uint64_t *call);

/*
 * Waits for the next answer to any of the calls in flight. Connects, sends what waits, and ends
 * calls whose time is up. 0; -EAGAIN, -ETIMEDOUT: none came; -ENOENT: no call is in flight;
 * -ENOMEM: for a reply, which stays; -ESTALE.
 */
PEAL_API int peal_client_next(struct peal_client *client, struct peal_answer *answer,
			      int64_t timeout);

/* Gives a call up: its last answer will be PEAL_CANCELLED (or PEAL_NOT_SENT if that is true), and
 * the server is told, unless it does not know of cancels or there is no room for one now: that is
 * no more than a courtesy. -ENOENT: it has ended; -ESTALE. Never waits. */
PEAL_API int peal_client_cancel(struct peal_client *client, uint64_t call);

/*
 * One call and its first reply, with others in flight or not; what comes of others meanwhile is
 * kept for peal_client_next. answer->data holds until the client's next verb. 0: answer says how it
 * went, whatever the verdict; -EBUSY, -EMSGSIZE, -ENOMEM, -EINVAL, -ESTALE as peal_client_begin.
 * Replies after the first one are dropped. Where there is no memory for replies the call is given
 * up (answer->err -ENOMEM), and likewise when more than 16 MiB of others' replies are kept.
 */
PEAL_API int peal_client_call(struct peal_client *client, const void *request, size_t length,
			      uint32_t flags, struct peal_answer *answer, int64_t timeout);

/* Whether it is connected now, as far as it has noticed: 1 or 0; -ESTALE. Never enters the
 * kernel. */
PEAL_API int peal_client_connected(const struct peal_client *client);

/* A descriptor that polls readable when peal_client_next(client, answer, 0) may have something to
 * do: to be polled after that said -EAGAIN or -ENOENT, and after any other verb only when it has
 * said so again. It belongs to the client and stays the same; the first call makes it. -EOPNOTSUPP:
 * a link that spins; -EMFILE, -ENFILE, -ENOMEM, -ENOSPC; -ESTALE. */
PEAL_API int peal_client_fd(struct peal_client *client);

#ifdef __cplusplus
}
#endif

#endif
