/*
 * SPDX-License-Identifier: MIT
 *
 * Inboxes: work for one thread, put in by any. Without locks: what is put in is pushed onto a list,
 * which the owner takes as a whole and turns round (Treiber's stack without its pop, so there is no
 * ABA). It knows nothing of what the items are.
 */
#ifndef LIB_INBOX_H
#define LIB_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct item {
	struct item *next;
	uint32_t kind; /* the owner's */
};

/* Zeroed at first. */
struct inbox {
	struct item *last; /* (atomic) */
};

/* Puts an item in, which is the owner's then. True: it was empty, so the owner may sleep and has to
 * be woken. Any thread. */
static inline bool inbox_put(struct inbox *inbox, struct item *item)
{
	/* Pairs with nothing: what is seen here is only compared, and written into the item. */
	struct item *last = __atomic_load_n(&inbox->last, __ATOMIC_RELAXED);

	do
		item->next = last;
	/* Pairs with the exchange in inbox_take: the item is whole. */
	while (!__atomic_compare_exchange_n(&inbox->last, &last, item, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED));
	return !last;
}

/* Whether something is in there. By the owner. */
static inline bool inbox_has(const struct inbox *inbox)
{
	/* No order is needed: whoever takes it has that. */
	return __atomic_load_n(&inbox->last, __ATOMIC_RELAXED) != NULL;
}

/* Takes all items out: the first that was put in, and by next the others. NULL: none. By the
 * owner. */
static inline struct item *inbox_take(struct inbox *inbox)
{
	/* Pairs with the exchange in inbox_put. */
	struct item *item = __atomic_exchange_n(&inbox->last, NULL, __ATOMIC_ACQUIRE);
	struct item *first = NULL;

	while (item) {
		struct item *before = item->next;

		item->next = first;
		first = item;
		item = before;
	}
	return first;
}

#endif
