/*
 * SPDX-License-Identifier: MIT
 *
 * Servers: one process that thousands of clients send requests to. A server listens, admits, and
 * serves its links with one or more workers, threads that each have a set of links of their own;
 * the program is called for each message and answers it, at once or later. Clients need not know:
 * a server's links are links like others, see peal/link.h and peal/call.h.
 *
 * Threads: callbacks run in the thread of the worker that has the link, one at a time for each
 * worker, and may use that link's ends; nobody else may. What other threads may call says so. The
 * links are the server's to close: see peal_server_drop.
 *
 * Fork: a child's server answers -ESTALE; the child may still close it.
 *
 * Timeouts are nanoseconds from now, as in peal/link.h.
 */
#ifndef PEAL_SERVER_H
#define PEAL_SERVER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <peal/call.h>
#include <peal/link.h>
#include <peal/options.h>

#ifdef __cplusplus
extern "C" {
#endif

struct peal_server;

/* What one reply is for: a call of one client. To be copied about as it likes; good for any
 * thread, and after the client has gone. */
struct peal_token {
	uint64_t client; /* a number that no other client of this server ever has */
	uint32_t tag;    /* of the request */
	uint32_t worker; /* for the library */
};

/* A message of a client. The struct and the data hold until the handler returns, or, if it was
 * kept, until peal_request_free. */
struct peal_request {
	struct peal_server *server; /* whose request it is */
	struct peal_link *link;     /* only in the handler; NULL in one that was kept */
	void *client;               /* what `connected` made of it */
	const void *data;           /* the message */
	size_t length;
	struct peal_token token; /* token.tag is the message's tag */
	uint32_t flags;          /* PEAL_HEADER_LAST or 0 */
	uint32_t spare;
};

/* Why a link was closed. */
enum peal_end {
	PEAL_END_CLOSED = 1,  /* the client closed it */
	PEAL_END_DIED = 2,    /* the client died, or its socket was lost */
	PEAL_END_LIED = 3,    /* the client broke the protocol */
	PEAL_END_IDLE = 4,    /* options.idle_ns */
	PEAL_END_SLOW = 5,    /* PEAL_SLOW_DISCONNECT */
	PEAL_END_DROPPED = 6, /* peal_server_drop */
	PEAL_END_STOPPED = 7, /* the server was closed */
	PEAL_END_FAILED = 8   /* out of memory for it */
};

/*
 * What the program is called for, each in the worker's thread. All but `message` may be NULL.
 * None may call peal_server_run, _step or _close, nor wait for long: the other clients of the
 * worker wait meanwhile.
 */
struct peal_handlers {
	/*
	 * A client was admitted and its link is made; before anything else of it. *client is NULL,
	 * and becomes what the other callbacks get. 0, or a negative errno to close the link at
	 * once, of which `closed` is not told.
	 */
	int (*connected)(void *data, struct peal_link *link, void **client);

	/*
	 * A message has come. There is room now for one reply of options.reply bytes: the first
	 * one of that size or less cannot fail for want of room. Messages of a link come in the
	 * order in which they were sent, each once, and none after `closed`.
	 *
	 * The message was copied before this is called, so a hostile client cannot change it any
	 * more; with PEAL_SERVER_IN_PLACE it is in the client's ring and can change under the
	 * reader (but for messages longer than a record, which are copied in any case).
	 */
	void (*message)(void *data, struct peal_request *request);

	/*
	 * The client does not wait for replies to this call any more. It may have been answered
	 * already, or never have been made. Not for clients without PEAL_CALLS.
	 */
	void (*cancelled)(void *data, struct peal_token token, void *client);

	/*
	 * A link is about to be closed, for a reason of enum peal_end; all that the client had
	 * sent before it ended has been handed out, but with PEAL_END_LIED, _IDLE, _SLOW,
	 * _DROPPED, _STOPPED and _FAILED. Comes once for each `connected` that returned 0; after
	 * it nothing of this client comes. Tokens of it say -EPIPE from now on.
	 */
	void (*closed)(void *data, struct peal_link *link, void *client, int reason);
};

/* What becomes of a client that does not read its replies. */
enum peal_slow {
	PEAL_SLOW_QUEUE = 0,     /* its requests stay in its ring until it does */
	PEAL_SLOW_DROP = 1,      /* they are received and dropped, uncounted by the program */
	PEAL_SLOW_DISCONNECT = 2 /* as QUEUE, and it is disconnected after options.slow_ns */
};

/* Bits of peal_server_options.flags. */
enum peal_server_flag {
	/* Messages are left in place; see peal_handlers.message. */
	PEAL_SERVER_IN_PLACE = 1,
	/* Each worker is kept on a CPU of its own, of those that share a last-level cache as far
	 * as there are; see peal/placement.h. The calling thread of peal_server_run, too. */
	PEAL_SERVER_PIN = 2,
	/* The soft limit of open files (RLIMIT_NOFILE) is raised to the hard one. */
	PEAL_SERVER_RAISE_NOFILE = 4,
	/* Who started this process is told by NOTIFY_SOCKET (see sd_notify(3)) that the server is
	 * ready, and that it stops. */
	PEAL_SERVER_NOTIFY = 8
};

/* How a server serves. */
struct peal_server_options {
	uint32_t size; /* sizeof(struct peal_server_options); set by peal_server_options_init */
	uint32_t abi;  /* PEAL_ABI; set by peal_server_options_init */

	/* Any of enum peal_server_flag. */
	uint32_t flags;

	/* Threads that serve, the caller of peal_server_run among them; up to 256; 0: 1. A new
	 * link goes to the worker that has the fewest. */
	uint32_t workers;

	/* Of the links and of the listener; NULL: defaults. PEAL_CALLS and PEAL_ONE_THREAD are
	 * added; PEAL_WAIT_SPIN makes the workers never sleep. ring, max_peer_ring and max_message
	 * are what a client costs at most. Not kept after peal_server_open. */
	const struct peal_options *link;

	/* What is promised to handlers as room for a reply, in bytes; at most the ring less 16; 0:
	 * an eighth of the ring. */
	uint64_t reply;

	/* Messages of one link that are handed out in a row while others wait; 0: 32. */
	uint32_t turn;

	/* An enum peal_slow, and its deadline; 0: 10 s. A client is slow while there is no room
	 * for the promised reply, or while replies to it wait for room. */
	uint32_t slow;
	uint64_t slow_ns;

	/* Bytes of replies that may wait for room for one client, from peal_server_reply, each with
	 * about a hundred more for what is kept of it; 0: 1 MiB. Where none waits one may be as
	 * long as this. */
	uint64_t queue;

	/* Nanoseconds without a message after which a client is disconnected; 0: never. One that
	 * has unread requests in its ring is not idle, nor is one with replies that it has not
	 * read: it is looked at again after as long. */
	uint64_t idle_ns;

	/* Clients at the same time; 0: as many as descriptors allow. */
	uint32_t max_clients;

	/* Clients of one user at the same time, and new ones of one user in a second (in bursts of
	 * as many); 0: no limit. Root and the server's own user are not excepted. */
	uint32_t max_per_user;
	uint32_t max_user_rate;

	/* Segments that are made ready ahead, each the ring and a page; up to 1024; 0: 16;
	 * UINT32_MAX: none. Made while there is nothing else to do. */
	uint32_t ready;

	/* What is called; `message` must be there. */
	struct peal_handlers handlers;
	void *data; /* for them */

	uint64_t spare[16]; /* zero */
};

/* Sets all options to their defaults. Cannot fail. Any thread; never enters the kernel. */
static inline void peal_server_options_init(struct peal_server_options *options)
{
	memset(options, 0, sizeof(*options));
	options->size = (uint32_t)sizeof(*options);
	options->abi = PEAL_ABI;
}

/*
 * Listens at an address of peal/link.h. From now on clients queue; they are served by
 * peal_server_run or peal_server_step. The caller closes the server.
 *
 * Errors as peal_listen, and -EINVAL, -ERANGE, -EOPNOTSUPP: the options; -ENOMEM, -EMFILE, -ENFILE.
 * Any thread; enters the kernel.
 */
PEAL_API int peal_server_open(struct peal_server **server, const char *address,
			      const struct peal_server_options *options);

/*
 * Serves until peal_server_stop, with the calling thread as the first worker; the others are made
 * here and have ended when this returns. Links stay open for the next run. 0: stopped; -EBUSY:
 * another thread runs or steps it; -EAGAIN, -ENOMEM: no thread for a worker; -ESTALE: after a fork;
 * or what the system says where the listener or the poller is gone.
 */
PEAL_API int peal_server_run(struct peal_server *server);

/*
 * For programs with a loop of their own: does what there is to do, or waits for something, and
 * returns how many messages were handed out (0 or more; other things may have been done). After
 * timeout 0 all is armed: peal_server_fd polls readable when there is something to do again. Never
 * goes on for longer than a turn of each link. The other workers, if there are any, are made by the
 * first step and run by themselves until the server is closed.
 *
 * -EAGAIN, -ETIMEDOUT: there was nothing; -ECANCELED: stopped; else as peal_server_run.
 */
PEAL_API int peal_server_step(struct peal_server *server, int64_t timeout);

/* A descriptor that polls readable when peal_server_step has something to do. It belongs to the
 * server and is only to be polled. -EOPNOTSUPP: links that spin; -ESTALE: after a fork. Any thread;
 * never enters the kernel. */
PEAL_API int peal_server_fd(const struct peal_server *server);

/* Makes peal_server_run and _step return, soon: the one that runs, or the next one. Any thread, and
 * any signal handler; keeps errno. */
PEAL_API void peal_server_stop(struct peal_server *server);

/*
 * Closes all links (`closed` is called for each, with PEAL_END_STOPPED, in this thread), stops
 * listening, and frees the server. Replies that wait for room are lost. NULL is ignored. No thread
 * may be running it, nor use it in any other way; tokens and requests that were kept must not be
 * used any more.
 */
PEAL_API void peal_server_close(struct peal_server *server);

/*
 * Replies. In the handler, about its request: written to the client's ring at once, in order with
 * what was queued before. A reply marked with PEAL_REPLY_MORE is followed by others; without it is
 * the last one of the call.
 *
 * -EAGAIN: no room (not for the first reply of the promised size; see peal_server_reply for what
 * waits); -EMSGSIZE: longer than a record of the ring, or than the client accepts; -EPIPE,
 * -ECONNRESET, -EPROTO: the client has gone; -EINVAL: flags; -ESTALE. Enters the kernel only to
 * wake.
 */
#define PEAL_REPLY_MORE 1u
PEAL_API int peal_reply(struct peal_request *request, const void *data, size_t length,
			uint32_t flags);

/* The same in place: reserves room in the client's ring, where the reply is then written, and
 * sends it. Both in the handler. Errors as peal_reply, and those of peal_reserve and
 * peal_commit. */
PEAL_API int peal_reply_reserve(struct peal_request *request, size_t length, void **at);
PEAL_API int peal_reply_commit(struct peal_request *request, size_t length, uint32_t flags);

/* An error as the last reply: a negative errno and a sentence, as peal_send_error. */
PEAL_API int peal_reply_error(struct peal_request *request, int err, const char *sentence);

/*
 * Replies later, from any thread, callbacks included: the data is copied, and sent by the worker
 * that has the client, behind what was queued before and as soon as there is room. In that worker's
 * thread it goes at once if it can.
 *
 * -EPIPE: the client has gone; one that goes later is not told of. -EAGAIN: options.queue bytes
 * would wait for this client; -EMSGSIZE: longer than the client accepts or than options.queue;
 * -EINVAL: flags, or no token of this server; -ENOMEM; -ESTALE. Of errors, which the queue counts
 * by their sentences: -EINVAL: err is no negative errno; -EOPNOTSUPP: the client has no PEAL_CALLS.
 */
PEAL_API int peal_server_reply(struct peal_server *server, struct peal_token token,
			       const void *data, size_t length, uint32_t flags);
PEAL_API int peal_server_reply_error(struct peal_server *server, struct peal_token token, int err,
				     const char *sentence);

/* Whether the client of a token is still there: 0 or -EPIPE; -EINVAL: no token of this server;
 * -ESTALE. Any thread; never enters the kernel. */
PEAL_API int peal_server_has(const struct peal_server *server, struct peal_token token);

/* Disconnects the client of a token, soon. Errors as peal_server_has, and -ENOMEM. Any thread. */
PEAL_API int peal_server_drop(struct peal_server *server, struct peal_token token);

/*
 * Makes a request outlive its handler: the copy that is returned, with the message, belongs to the
 * caller, for any thread, until peal_request_free. NULL: no memory. In the handler.
 */
PEAL_API struct peal_request *peal_request_keep(struct peal_request *request);
PEAL_API void peal_request_free(struct peal_request *kept);

/* What a server has done so far. */
struct peal_server_counters {
	uint32_t size;         /* set by the caller, to sizeof(struct peal_server_counters) */
	uint32_t workers;      /* threads that serve */
	uint64_t clients;      /* now */
	uint64_t accepted;     /* ever */
	uint64_t refused;      /* by the limits of these options; not by credentials */
	uint64_t messages;     /* handed out */
	uint64_t replies;      /* sent */
	uint64_t queued;       /* replies that had to wait for room */
	uint64_t lost;         /* replies whose client went before they were sent */
	uint64_t stalls;       /* times that a client became slow */
	uint64_t slow_clients; /* now */
	uint64_t dropped;      /* messages, by PEAL_SLOW_DROP */
	uint64_t disconnected; /* clients, by PEAL_SLOW_DISCONNECT and idle_ns */
	uint64_t wakeups;      /* of workers from sleep */
	uint64_t spare[8];
	/* The client that has been slow for the longest time now; slow_ns 0: none is. */
	uint64_t slow_ns;
	struct peal_peer slow_peer;
};

/* Tells them; they are not from one instant. -EINVAL: counters->size; -ESTALE. Any thread. */
PEAL_API int peal_server_count(const struct peal_server *server,
			       struct peal_server_counters *counters);

#ifdef __cplusplus
}
#endif

#endif
