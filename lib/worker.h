/*
 * SPDX-License-Identifier: MIT
 *
 * A server from the inside: its workers, and what they and server.c share. A worker is a thread, or
 * whoever calls peal_server_run, with a set of links that only it touches. What other threads want
 * of it goes into its inbox.
 */
#ifndef LIB_WORKER_H
#define LIB_WORKER_H

#include <pthread.h>
#include <stdbool.h>

#include <peal/server.h>

#include "lib/clients.h"
#include "lib/inbox.h"
#include "lib/registry.h"
#include "lib/set.h"

/* Links that are to be closed when there is time. */
#define WORKER_LATE 64u

/* What stands in an inbox. */
enum item_kind { ITEM_ARRIVAL, ITEM_REPLY, ITEM_DROP };

/* A new link. */
struct arrival {
	struct item item;
	struct peal_link *link;
};

/* A client that is to be disconnected. */
struct drop {
	struct item item;
	uint64_t number;
};

/* A reply that is on its way, and then waits for room, in the same list. */
struct reply {
	struct item item;
	struct peal_token token;
	uint32_t flags;
	int err;                     /* of an error reply, whose data is its sentence; else 0 */
	uint64_t length;             /* of the data */
	struct peal_sending sending; /* longer than a record */
	uint8_t data[];
};

/* What one counts in client->queued: an empty one takes memory, too. */
static inline uint64_t reply_size(uint64_t length)
{
	return sizeof(struct reply) + length;
}

/* Written by the worker, read by any thread (atomic, each for itself). */
struct worker_counts {
	uint64_t clients, accepted, messages, replies, queued, lost, stalls, slow_clients, dropped,
		disconnected;
};

struct worker {
	/* Others write these: on lines of their own. */
	struct inbox inbox __attribute__((aligned(PEAL_LINE)));
	uint32_t load; /* links that it has, or is to get (atomic) */

	struct peal_server *server __attribute__((aligned(PEAL_LINE)));
	struct peal_set *set;
	int bell;  /* an eventfd: there is something in the inbox, or to be done; -1: none */
	int timer; /* likewise, for programs with a loop of their own; -1: none needed */
	bool bell_is_timer; /* where no eventfd is to be had */
	uint32_t index;
	struct clients clients;
	struct client *handling; /* whose message is being handed out; NULL: nobody's */
	uint8_t *buffer;         /* for messages */
	size_t size;
	bool in_place;           /* the message that is handed out is in the client's ring */
	struct order idle, slow; /* the clients, by their last message; and those that are slow */
	struct client *leaving;
	struct peal_link *late[WORKER_LATE];
	uint32_t late_count;
	uint32_t busy_rounds; /* in which there was something that can wait */
	uint64_t now;         /* monotonic ns, of this round, if there is an idle timeout */
	struct worker_counts counts;
	int cpu; /* to run on; -1: any */
	pthread_t thread;
	uint32_t owner; /* debug builds: the thread that is in a round of it */

	/* The client that has been slow for longest, for other threads. */
	pthread_mutex_t slow_lock;
	uint64_t slow_since; /* 0: none */
	struct peal_peer slow_peer;
};

struct peal_server {
	struct handle handle;
	struct peal_server_options options; /* with no defaults left to be filled in */
	struct peal_listener *listener;
	uint64_t promise; /* bytes of room before a message is handed out */
	struct worker *workers;
	uint32_t count;   /* of workers */
	uint32_t started; /* of them, threads that run */
	bool knocking;    /* the listener may have more, worker 0's */
	bool preparing;   /* and wants to make segments ready */
	bool limited;     /* the listener counts */
	bool spins;       /* its links do */
	bool stale;
	bool told;      /* who started us, that it is ready */
	int fault;      /* of the listener, for good; 0: none */
	int running;    /* a thread runs or steps it (atomic) */
	uint32_t owner; /* debug builds: that thread */
	int stop;       /* it is to return (atomic) */
	int ending;     /* the other workers are to end (atomic) */
};

int worker_open(struct worker *worker, struct peal_server *server, uint32_t index);

/* A link that it gets; or does not get, and is closed. By the worker; worker_dismiss by the one who
 * would have given it, too. */
void worker_admit(struct worker *worker, struct peal_link *link);
void worker_dismiss(struct worker *worker, struct peal_link *link);

/* Closes all links of it. */
void worker_end(struct worker *worker, int reason);
void worker_close(struct worker *worker);

/*
 * One round: waits for something to do and does it. Returns how many messages were handed out;
 * -EAGAIN, -ETIMEDOUT: there was nothing to do; or what is wrong with the set. armed: nothing is
 * waited for, and when it returns its set's descriptor will say when there is something to do.
 */
int worker_round(struct worker *worker, int64_t timeout);
int worker_round_armed(struct worker *worker);

/* Hands a worker an item; wakes it. Any thread. */
void worker_post(struct worker *worker, struct item *item);

/* Wakes it. Any thread, any signal handler. */
void worker_wake(struct worker *worker);

/* Whether the calling thread is this worker, in one of its callbacks. */
bool worker_is_here(const struct worker *worker);

/* Sends a reply of the worker's own, or leaves it, which is the worker's then, to wait for room. */
void worker_reply(struct worker *worker, struct client *client, struct reply *reply);

/* The verbs of one reply: 0 or as peal_reply. */
int worker_send(struct worker *worker, struct client *client, const void *data, size_t length,
		uint32_t tag, uint32_t flags);
int worker_commit(struct worker *worker, struct client *client, size_t length, uint32_t tag,
		  uint32_t flags);
int worker_send_error(struct worker *worker, struct client *client, uint32_t tag, int err,
		      const char *sentence);

/* server.c: takes clients in, a few at a time, and gives them to the workers. By worker 0. */
void server_accept(struct peal_server *server);

/* server.c: the errno of a server from before a fork, with its sentence. */
int server_stale(void);

#endif
