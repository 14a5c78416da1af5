/*
 * SPDX-License-Identifier: MIT
 *
 * A worker's clients: a table of slots, which grows without moving what other threads look at, and
 * the numbers by which tokens name those who have one. Only the worker takes and gives slots; any
 * thread may ask whether a number's client is there.
 */
#ifndef LIB_CLIENTS_H
#define LIB_CLIENTS_H

#include <stdbool.h>

#include "lib/inbox.h"
#include "lib/link.h"

/* An element of a list in order of time; the list is one itself, and a ring. */
struct order {
	struct order *older, *newer;
};

static inline void order_init(struct order *order)
{
	order->older = order->newer = order;
}

static inline void order_leave(struct order *element)
{
	element->older->newer = element->newer;
	element->newer->older = element->older;
	order_init(element);
}

/* As the newest one. */
static inline void order_join(struct order *list, struct order *element)
{
	element->older = list->older;
	element->newer = list;
	list->older->newer = element;
	list->older = element;
}

/* The oldest one; the list itself if it is empty. */
static inline struct order *order_oldest(const struct order *list)
{
	return list->newer;
}

struct client {
	/* Any thread reads these (atomic); of them only `queued` is written by others. */
	uint64_t number;  /* 0: nobody has the slot */
	uint64_t longest; /* message that the client accepts */
	uint64_t queued;  /* bytes of replies that are on their way or wait; of the slot, whoever
			   * has it, so that what is added is taken off again by whom it was for */
	bool calls;       /* it knows of calls */

	/* The worker's own. */
	bool muted;  /* the set does not look for its messages */
	bool doomed; /* its end has been told of; it goes with the next sweep, */
	bool late;   /* and its link is closed when there is time */
	uint32_t slot, generation;
	struct peal_link *link;
	void *data;                /* the program's */
	struct client *next;       /* of those that go, or of free slots */
	struct item *first, **end; /* replies that wait for room */
	struct order active, slow;
	uint64_t active_at;  /* monotonic ns, of the last message; if there is an idle timeout */
	uint64_t slow_since; /* likewise; 0: it is not slow */
};

/* Chunk k holds 64 << k slots. */
#define CLIENTS_CHUNKS 19

struct clients {
	struct client *chunk[CLIENTS_CHUNKS]; /* (atomic) NULL: not yet */
	struct client *free;
	uint32_t used;   /* slots that were ever taken */
	uint32_t worker; /* part of the numbers */
};

/* A slot with a number that no other client of these workers has had or will have; everything else
 * in it is zero. Others do not see the number yet. NULL: no memory. */
struct client *clients_take(struct clients *clients, uint64_t *number);

/* From here on the number is seen, or is not seen any more. */
void clients_show(struct client *client, uint64_t number);
void clients_hide(struct client *client);

/* Gives a slot back, whose number is hidden. */
void clients_give(struct clients *clients, struct client *client);

/* The slot that a number is of; NULL: there is none. Any thread. */
struct client *clients_slot(const struct clients *clients, uint64_t number);

/* Whether the slot is that number's now. Any thread. */
static inline bool clients_have(const struct client *client, uint64_t number)
{
	/* Pairs with the store in clients_show: what the slot says is this client's, or a later
	 * one's. */
	return __atomic_load_n(&client->number, __ATOMIC_ACQUIRE) == number;
}

/* The worker whose client has this number. */
static inline uint32_t clients_worker(uint64_t number)
{
	return (uint32_t)number & 0xff;
}

/* One of the slots that were ever taken. */
struct client *clients_at(const struct clients *clients, uint32_t slot);

void clients_free(struct clients *clients);

#endif
