/*
 * SPDX-License-Identifier: MIT
 *
 * Stats objects: where slots come from and go to. Who counts what is in the rings and bells; it
 * knows nothing of them.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/runtime.h"
#include "lib/stats.h"

#define HEADER(field, offset) \
	_Static_assert(offsetof(struct stats_header, field) == (offset), "shared layout, version 1")
HEADER(magic, 0);
HEADER(layout, 4);
HEADER(slots, 8);
HEADER(slot_size, 12);
HEADER(slot_start, 16);
HEADER(pid, 20);
HEADER(started_ns, 24);
HEADER(spare, 32);
_Static_assert(sizeof(struct stats_header) == 128, "shared layout, version 1");
#define SLOT(field, offset) \
	_Static_assert(offsetof(struct stats_slot, field) == (offset), "shared layout, version 1")
SLOT(turn, 0);
SLOT(role, 8);
SLOT(wait, 12);
SLOT(peer_pid, 16);
SLOT(peer_uid, 24);
SLOT(peer_gid, 28);
SLOT(peer_name, 32);
SLOT(tx_capacity, 96);
SLOT(rx_capacity, 104);
SLOT(since_ns, 112);
SLOT(spare, 120);
SLOT(past, 128);
SLOT(spare_past, 416);
SLOT(tx, 512);
SLOT(rx, 768);
SLOT(tx_offcpu, 1024);
SLOT(rx_offcpu, 1536);
_Static_assert(sizeof(struct stats_slot) == 2048, "shared layout, version 1");
#define COUNTER(field, offset)                                            \
	_Static_assert(offsetof(struct peal_counters, field) == (offset), \
		       "shared layout, version 1")
COUNTER(stalled_since, 0);
COUNTER(depth, 8);
COUNTER(messages, 16);
COUNTER(bytes, 24);
COUNTER(waits, 32);
COUNTER(sleeps, 40);
COUNTER(rung, 48);
COUNTER(batched, 56);
COUNTER(slices, 64);
COUNTER(idle_rings, 72);
COUNTER(high_water, 80);
COUNTER(spare, 88);
_Static_assert(sizeof(struct peal_counters) == 256, "shared layout, version 1");
_Static_assert(STATS_MAGIC == 0x54534c50, "shared layout, version 1");
_Static_assert(STATS_LAYOUT == 1, "shared layout, version 1");
_Static_assert(offsetof(struct stats_past, rx) == 72, "shared layout, version 1");
_Static_assert(sizeof(struct stats_past) == 144, "shared layout, version 1");
_Static_assert(offsetof(struct peal_counters, messages) == STATS_FIRST * sizeof(uint64_t),
	       "sums from here on");
_Static_assert(offsetof(struct peal_counters, high_water) ==
		       (STATS_FIRST + STATS_SUMS) * sizeof(uint64_t),
	       "sums, and then the most");

/* The first object is small: most processes have one link. Each further one is larger than the
 * one before, up to 2 MiB, since each takes a descriptor. */
#define FIRST_SLOTS 2u
#define SECOND_SLOTS 62u
#define MORE 4u
#define MOST_SLOTS 1022u

/* One object, kept until the process ends. */
struct object {
	struct object *next;
	int fd;                /* for monitors */
	uint64_t size, number; /* of bytes; and of the object: the oldest has 0 */
	unsigned slots, used;
	unsigned first; /* those before it are used */
	struct stats_slot *slot;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct object *objects; /* the newest first */
static uint64_t started_ns;
static struct stats_slot overflow;

static struct object *object_create(unsigned slots)
{
	const struct peal_memory_ops *memory = runtime_memory(NULL);
	uint64_t page = runtime_get()->page_size, bytes = slots * sizeof(struct stats_slot);
	struct object *object = malloc(sizeof(*object));
	uint8_t *at;

	if (!object || !memory)
		goto fail;
	bytes = (bytes + page - 1) & ~(page - 1);
	object->fd = memory->create(page + bytes, page);
	if (object->fd < 0)
		goto fail;
	if (memory->fill(object->fd, page + bytes, page) ||
	    platform_map(object->fd, page + bytes, 0, true, &at))
		goto fail_fd;
	if (memory->seal(object->fd, page))
		goto fail_map;
	if (!objects)
		started_ns = platform_now();
	*(struct stats_header *)(void *)at = (struct stats_header){
		.magic = STATS_MAGIC,
		.layout = STATS_LAYOUT,
		.slots = (uint32_t)(bytes / sizeof(struct stats_slot)),
		.slot_size = sizeof(struct stats_slot),
		.slot_start = (uint32_t)page,
		.pid = (uint32_t)platform_pid(),
		.started_ns = started_ns,
	};
	object->size = page + bytes;
	object->number = objects ? objects->number + 1 : 0;
	object->slots = (unsigned)(bytes / sizeof(struct stats_slot));
	object->used = object->first = 0;
	object->slot = (struct stats_slot *)(void *)(at + page);
	object->next = objects;
	objects = object;
	return object;
fail_map:
	platform_unmap(at, page + bytes, 0);
fail_fd:
	platform_close(object->fd);
fail:
	free(object);
	return NULL;
}

/* How many the next object is to have: the newest is the first of the list. */
static unsigned next_slots(void)
{
	return !objects                           ? FIRST_SLOTS :
	       objects->slots < SECOND_SLOTS      ? SECOND_SLOTS :
	       objects->slots < MOST_SLOTS / MORE ? MORE * (objects->slots + 2) - 2 :
						    MOST_SLOTS;
}

/* A free slot, counted as used; NULL if there is none and no memory for more. */
static struct stats_slot *find_free(void)
{
	struct object *object = objects;

	while (object && object->used == object->slots)
		object = object->next;
	if (!object)
		object = object_create(next_slots());
	if (!object && objects)
		object = object_create(SECOND_SLOTS);
	if (!object)
		return NULL;
	while (object->slot[object->first].turn % 2)
		object->first++;
	object->used++;
	return &object->slot[object->first++];
}

struct stats_slot *stats_take(uint32_t role, uint32_t wait, const struct peal_peer *peer,
			      uint64_t tx_capacity, uint64_t rx_capacity)
{
	struct stats_slot *slot;

	pthread_mutex_lock(&lock);
	slot = find_free();
	if (slot) {
		/* Pairs with [turn-after] of a monitor: if it sees anything of what follows,
		 * it sees as well that the turn is not what it was. */
		__atomic_thread_fence(__ATOMIC_RELEASE); /* [turn-fence] */
		memset(&slot->tx, 0,
		       sizeof(*slot) - offsetof(struct stats_slot, tx)); /* [cleared] */
		slot->role = role;
		slot->wait = wait;
		slot->peer_pid = peer->pid;
		slot->peer_uid = peer->uid;
		slot->peer_gid = peer->gid;
		memcpy(slot->peer_name, peer->name, sizeof(slot->peer_name));
		slot->tx_capacity = tx_capacity;
		slot->rx_capacity = rx_capacity;
		slot->since_ns = platform_now();
		/* Pairs with [turn-seen] of a monitor: the rest is filled in. */
		__atomic_store_n(&slot->turn, slot->turn + 1, __ATOMIC_RELEASE); /* [turn-taken] */
	}
	pthread_mutex_unlock(&lock);
	return slot ? slot : &overflow;
}

static void add(uint64_t to[STATS_PAST], const uint64_t past[STATS_PAST],
		const struct peal_counters *counters)
{
	const uint64_t *words = (const uint64_t *)(const void *)counters + STATS_FIRST;

	for (int i = 0; i < STATS_SUMS; i++)
		to[i] = past[i] + words[i];
	to[STATS_SUMS] = past[STATS_SUMS] > words[STATS_SUMS] ? past[STATS_SUMS] :
								words[STATS_SUMS];
}

void stats_give(struct stats_slot *slot)
{
	const struct stats_past *past;
	struct stats_past *next;

	if (slot == &overflow)
		return;
	pthread_mutex_lock(&lock);
	for (struct object *object = objects; object; object = object->next)
		if (slot >= object->slot && slot < object->slot + object->slots) {
			unsigned i = (unsigned)(slot - object->slot);

			object->used--;
			object->first = i < object->first ? i : object->first;
		}
	past = &slot->past[slot->turn / 2 % 2];
	next = &slot->past[(slot->turn / 2 + 1) % 2]; /* [past-other] */
	add(next->tx, past->tx, &slot->tx);
	add(next->rx, past->rx, &slot->rx);
	/* Likewise: this turns past into next. */
	__atomic_store_n(&slot->turn, slot->turn + 1, __ATOMIC_RELEASE); /* [turn-given] */
	pthread_mutex_unlock(&lock);
}

int stats_look(uint64_t first, struct stats_view *view)
{
	int err = 0;

	memset(view, 0, sizeof(*view));
	pthread_mutex_lock(&lock);
	if (!objects && !object_create(next_slots()))
		err = error_literal(-ENOMEM, "no memory for counters: free some");
	for (struct object *object = objects; object; object = object->next) {
		/* The newest comes first, and has the highest place. */
		if (object->number < first || object->number - first >= PLATFORM_DESCRIPTORS)
			continue;
		view->fd[object->number - first] = object->fd;
		view->size[object->number - first] = object->size;
		view->count++;
	}
	if (objects)
		view->objects = objects->number + 1;
	view->started_ns = started_ns;
	pthread_mutex_unlock(&lock);
	return err;
}

void stats_lock(void)
{
	pthread_mutex_lock(&lock);
}

void stats_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void stats_forget(void)
{
	while (objects) {
		struct object *object = objects;

		objects = object->next;
		platform_close(object->fd);
		free(object);
	}
}
