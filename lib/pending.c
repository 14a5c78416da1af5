/*
 * SPDX-License-Identifier: MIT
 *
 * A client's table of calls. Each is in one of three lists: it waits to be sent, it is sent, or it
 * has ended and its last answer waits to be fetched; what has a deadline is in a heap as well.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/error.h"
#include "lib/pending.h"

int pending_open(struct pending *table, uint32_t most)
{
	*table = (struct pending){ .most = most };
	while ((uint32_t)1 << table->bits < most)
		table->bits++;
	table->calls = calloc(most, sizeof(*table->calls));
	table->heap = calloc(most, sizeof(*table->heap));
	if (table->calls && table->heap)
		return 0;
	free(table->heap);
	free(table->calls);
	*table = (struct pending){ 0 };
	return error_set(-ENOMEM, "no memory for %u calls: pass fewer in options.calls", most);
}

void pending_close(struct pending *table)
{
	for (uint32_t i = 0; i < table->used; i++)
		free(table->calls[i].copy);
	free(table->heap);
	free(table->calls);
	*table = (struct pending){ 0 };
}

/*
 * Lists.
 */

static uint32_t place_of(const struct pending *table, const struct call *call)
{
	return call ? (uint32_t)(call - table->calls) + 1 : 0;
}

void pending_insert(struct pending *table, struct call_list *list, struct call *before,
		    struct call *call)
{
	uint32_t place = place_of(table, call);
	uint32_t *from_before = before ? &before->next : &list->first;
	struct call *after = pending_at(table, *from_before);

	call->previous = place_of(table, before);
	call->next = *from_before;
	*from_before = place;
	*(after ? &after->previous : &list->last) = place;
}

void pending_append(struct pending *table, struct call_list *list, struct call *call)
{
	pending_insert(table, list, pending_at(table, list->last), call);
}

void pending_remove(struct pending *table, struct call_list *list, struct call *call)
{
	struct call *before = pending_at(table, call->previous);
	struct call *after = pending_at(table, call->next);

	*(before ? &before->next : &list->first) = call->next;
	*(after ? &after->previous : &list->last) = call->previous;
}

/*
 * Deadlines.
 */

static void heap_put(struct pending *table, uint32_t at, uint32_t place)
{
	table->heap[at] = place;
	table->calls[place].heap = at + 1;
}

static bool heap_before(const struct pending *table, uint32_t a, uint32_t b)
{
	return table->calls[table->heap[a]].deadline < table->calls[table->heap[b]].deadline;
}

static void heap_swap(struct pending *table, uint32_t a, uint32_t b)
{
	uint32_t place = table->heap[a];

	heap_put(table, a, table->heap[b]);
	heap_put(table, b, place);
}

static void heap_rise(struct pending *table, uint32_t at)
{
	for (; at && heap_before(table, at, (at - 1) / 2); at = (at - 1) / 2)
		heap_swap(table, at, (at - 1) / 2);
}

static void heap_sink(struct pending *table, uint32_t at)
{
	for (;;) {
		uint32_t least = 2 * at + 1;

		if (least >= table->timed)
			return;
		if (least + 1 < table->timed && heap_before(table, least + 1, least))
			least++;
		if (!heap_before(table, least, at))
			return;
		heap_swap(table, least, at);
		at = least;
	}
}

void pending_time(struct pending *table, struct call *call)
{
	heap_put(table, table->timed++, (uint32_t)(call - table->calls));
	heap_rise(table, table->timed - 1);
}

void pending_untime(struct pending *table, struct call *call)
{
	uint32_t at = call->heap - 1;

	if (!call->heap)
		return;
	call->heap = 0;
	if (at == --table->timed)
		return;
	heap_put(table, at, table->heap[table->timed]);
	heap_rise(table, at);
	heap_sink(table, at);
}

/*
 * Places. Where the server has had its last word one is taken again at once, for it is in the
 * cache; where replies may still come, as late as possible.
 */

struct call *pending_take(struct pending *table)
{
	struct call_list *list = table->free.first ? &table->free : &table->late;
	struct call *call;

	if (!table->free.first && table->used < table->most) {
		call = &table->calls[table->used];
		call->number = table->used++;
	} else {
		call = pending_at(table, list->first);
		pending_remove(table, list, call);
	}
	call->number += (uint64_t)1 << table->bits;
	return call;
}

void pending_give_back(struct pending *table, struct call *call, bool over)
{
	if (call->copy)
		pending_drop_copy(call);
	pending_untime(table, call);
	call->state = CALL_FREE;
	if (over)
		pending_insert(table, &table->free, NULL, call);
	else
		pending_append(table, &table->late, call);
}

void pending_drop_copy(struct call *call)
{
	free(call->copy);
	call->copy = NULL;
}
