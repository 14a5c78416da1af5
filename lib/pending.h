/*
 * SPDX-License-Identifier: MIT
 *
 * A client's table of calls: places, the lists that they are in, and the deadlines, the next one
 * first. It knows nothing of links.
 */
#ifndef LIB_PENDING_H
#define LIB_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum call_state { CALL_FREE, CALL_WAITING, CALL_SENT, CALL_ENDED };

/* A place in the table. */
struct call {
	/* Its place and, above that, how often the place was taken. The low half is the tag of its
	 * request, so that a reply that comes late matches nothing. */
	uint64_t number;
	void *user;
	uint64_t deadline;       /* monotonic ns; UINT64_MAX: never */
	uint8_t *copy;           /* of the request; NULL: none is kept */
	size_t length;           /* of the request */
	uint32_t previous, next; /* 1 + a place; 0: none */
	uint32_t heap;           /* 1 + where it is in the heap; 0: nowhere */
	int32_t err;             /* of its last answer */
	uint8_t state;           /* an enum call_state */
	uint8_t verdict;         /* of its last answer */
	uint8_t flags;           /* of enum peal_call_flag */
	bool seen;               /* by a server: it was sent to one, at least once */
	bool answered;
};

/* Calls in a row: 1 + the places of its ends; 0: none. */
struct call_list {
	uint32_t first, last;
};

struct pending {
	struct call *calls; /* so many places; */
	uint32_t most;
	uint32_t bits;               /* of a number that are its place */
	uint32_t used;               /* places that were ever taken: the first ones */
	struct call_list free, late; /* of those, and when to take them again: see pending_take */
	struct call_list waiting, sent, ended;
	uint32_t *heap; /* places of calls with a deadline, a binary heap */
	uint32_t timed; /* so many */
};

/* A table of so many places, from 1 on. 0 or -ENOMEM with its sentence; then it holds nothing. */
int pending_open(struct pending *table, uint32_t most);
void pending_close(struct pending *table);

/* By a list's word of a place: 1 + it; 0: NULL. */
static inline struct call *pending_at(const struct pending *table, uint32_t place)
{
	return place ? &table->calls[place - 1] : NULL;
}

/* By a number, or by its low half. NULL: there is no such place; else look at call->number. */
static inline struct call *pending_by_number(const struct pending *table, uint64_t number)
{
	uint64_t place = number & (((uint64_t)1 << table->bits) - 1);

	return place < table->used ? &table->calls[place] : NULL;
}

/* The place that a call is to take, of which there is one. It is in no list. */
struct call *pending_take(struct pending *table);

/* The call is no more, and in no list. over: the server has had its last word, or has seen
 * nothing. */
void pending_give_back(struct pending *table, struct call *call, bool over);

/* Lists. Behind another one; NULL: at the beginning. */
void pending_insert(struct pending *table, struct call_list *list, struct call *before,
		    struct call *call);
void pending_append(struct pending *table, struct call_list *list, struct call *call);
void pending_remove(struct pending *table, struct call_list *list, struct call *call);

/* The copy of the request, if one is kept. */
void pending_drop_copy(struct call *call);

/* Deadlines: of a call that has none in the table; and away with it, if it has. */
void pending_time(struct pending *table, struct call *call);
void pending_untime(struct pending *table, struct call *call);

/* The call with the next deadline; NULL: none has one. */
static inline struct call *pending_next_due(const struct pending *table)
{
	return table->timed ? &table->calls[table->heap[0]] : NULL;
}

#endif
