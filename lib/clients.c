/*
 * SPDX-License-Identifier: MIT
 *
 * A worker's clients: slots in chunks that never move, each twice as long as the one before. A
 * number is the worker's, in 8 bits, then the slot's, in 24, and above them how many have had the
 * slot; a slot that has had as many as there are numbers is left alone.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "lib/clients.h"

#define FIRST 64u
#define SLOTS (1u << 24)

_Static_assert((FIRST << CLIENTS_CHUNKS) - FIRST > SLOTS, "chunks for all slots");

static uint32_t chunk_of(uint32_t slot)
{
	return 31 - (uint32_t)__builtin_clz((slot + FIRST) / FIRST);
}

static uint32_t place_in(uint32_t slot, uint32_t chunk)
{
	return slot + FIRST - (FIRST << chunk);
}

static struct client *find_free(struct clients *clients)
{
	uint32_t slot = clients->used, chunk = chunk_of(slot);
	struct client *client = clients->free, *at;

	if (client) {
		clients->free = client->next;
		return client;
	}
	if (slot == SLOTS)
		return NULL;
	/* Its only writer is this thread. */
	at = __atomic_load_n(&clients->chunk[chunk], __ATOMIC_RELAXED);
	if (!at) {
		at = calloc((size_t)FIRST << chunk, sizeof(*at));
		if (!at)
			return NULL;
		/* Pairs with the load in clients_slot: it is all zero. */
		__atomic_store_n(&clients->chunk[chunk], at, __ATOMIC_RELEASE);
	}
	clients->used++;
	client = &at[place_in(slot, chunk)];
	client->slot = slot;
	return client;
}

struct client *clients_take(struct clients *clients, uint64_t *number)
{
	struct client *client = find_free(clients);

	if (!client)
		return NULL;
	client->muted = client->doomed = client->late = false;
	client->generation++;
	client->link = NULL;
	client->data = NULL;
	client->next = NULL;
	client->first = NULL;
	client->end = &client->first;
	order_init(&client->active);
	order_init(&client->slow);
	client->active_at = client->slow_since = 0;
	*number = (uint64_t)client->generation << 32 | (uint64_t)client->slot << 8 |
		  clients->worker;
	return client;
}

void clients_show(struct client *client, uint64_t number)
{
	/* Pairs with the load in clients_have. */
	__atomic_store_n(&client->number, number, __ATOMIC_RELEASE);
}

void clients_hide(struct client *client)
{
	/* Likewise, though nothing is read behind it. */
	__atomic_store_n(&client->number, 0, __ATOMIC_RELEASE);
}

void clients_give(struct clients *clients, struct client *client)
{
	client->link = NULL;
	if (client->generation == UINT32_MAX)
		return;
	client->next = clients->free;
	clients->free = client;
}

struct client *clients_at(const struct clients *clients, uint32_t slot)
{
	uint32_t chunk = chunk_of(slot);
	/* Pairs with the store in find_free. */
	struct client *at = __atomic_load_n(&clients->chunk[chunk], __ATOMIC_ACQUIRE);

	return at ? &at[place_in(slot, chunk)] : NULL;
}

struct client *clients_slot(const struct clients *clients, uint64_t number)
{
	return number ? clients_at(clients, (uint32_t)number >> 8) : NULL;
}

void clients_free(struct clients *clients)
{
	for (unsigned i = 0; i < CLIENTS_CHUNKS; i++)
		free(clients->chunk[i]);
	memset(clients, 0, sizeof(*clients));
}
