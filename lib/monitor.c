/*
 * SPDX-License-Identifier: MIT
 *
 * Monitors: the other side's objects of counters, asked for, proved, mapped and read. All that
 * comes from there is hostile: it is read once and checked, and then it can only be untrue.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/connect.h"
#include "lib/error.h"
#include "lib/options.h"
#include "lib/stats.h"

#include <peal/monitor.h>

#define AT(type, field, offset) \
	_Static_assert(offsetof(struct type, field) == (offset), "binary interface, version 1")
AT(peal_monitored, size, 0);
AT(peal_monitored, links, 4);
AT(peal_monitored, who, 8);
AT(peal_monitored, started_ns, 88);
AT(peal_monitored, now_ns, 96);
AT(peal_monitored, ended, 104);
AT(peal_monitored, ended_tx, 112);
AT(peal_monitored, ended_rx, 368);
AT(peal_monitored, spare, 624);
_Static_assert(sizeof(struct peal_monitored) == 688, "binary interface, version 1");
AT(peal_monitored_link, id, 0);
AT(peal_monitored_link, role, 8);
AT(peal_monitored_link, wait, 12);
AT(peal_monitored_link, peer, 16);
AT(peal_monitored_link, tx_capacity, 96);
AT(peal_monitored_link, rx_capacity, 104);
AT(peal_monitored_link, since_ns, 112);
AT(peal_monitored_link, tx, 120);
AT(peal_monitored_link, rx, 376);
AT(peal_monitored_link, tx_offcpu, 632);
AT(peal_monitored_link, rx_offcpu, 1144);
AT(peal_monitored_link, spare, 1656);
_Static_assert(sizeof(struct peal_monitored_link) == 1720, "binary interface, version 1");

/* Of one process, at most. */
#define OBJECTS_MAX 1024u
/* Those of 130000 links. Who shows them copies as much, even of one object that comes again and
 * again. */
#define BYTES_MAX ((uint64_t)256 << 20)

/* As many slots fit; the rest of a link's id is its turn. */
#define SLOT_BITS 21
_Static_assert(BYTES_MAX / sizeof(struct stats_slot) <= (uint64_t)1 << SLOT_BITS, "ids differ");

/* So often slots may change hands under our eyes, in one look at all, until those that do are left
 * out: it takes a liar, who is to keep nobody here for long. */
#define TRIES 1000u

/* One that has been proved, and what its header said then. */
struct object {
	uint8_t *at;
	uint64_t size;
	uint64_t first; /* slots in the objects before it */
	uint32_t slots, slot_size, slot_start;
};

struct peal_monitor {
	struct handle handle;
	uint32_t owner; /* debug builds: the thread that is inside a verb */
	bool stale;
	char name[64]; /* ours */
	struct opening opening;
	struct peal_peer who;
	uint64_t started_ns;
	uint64_t asked_ns; /* no later than the HELLO that is under way was said */
	int64_t offset;    /* of its clock from ours: 0, unless it is in another time namespace */
	struct object *objects;
	uint64_t count, slots, bytes;
};

static void orphan(struct handle *handle)
{
	struct peal_monitor *monitor = (struct peal_monitor *)(void *)((char *)handle -
								       offsetof(struct peal_monitor,
										handle));

	monitor->owner = 0;    /* a thread that is no more */
	monitor->stale = true; /* the mappings have stayed with the parent */
}

static int say_stale(void)
{
	return error_literal(
		-ESTALE,
		"this monitor is from before a fork: only the parent can use it; open another");
}

static int say_unproved(int err)
{
	switch (err) {
	case -EPERM:
		return error_literal(
			-EPROTO,
			"what the server handed over is no sealed memory (F_GET_SEALS): update it");
	case -ERANGE:
	case -EFAULT:
		return error_literal(
			-EPROTO,
			"the server's memory of counters is not as long as it says, or has holes: update it");
	case -EMEDIUMTYPE:
		return error_literal(
			-EPROTO,
			"the server's memory of counters is of huge pages, which it has not said: update it");
	case -EACCES:
		return error_literal(
			-EPROTO,
			"the server's memory of counters may not be read (its descriptor is for writing alone): update it");
	default:
		return error_literal(
			-EPROTO,
			"the server's memory of counters could not be proved: have a filter (seccomp) allow fstat");
	}
}

/* What the header says, read once. */
static int check_header(struct object *object)
{
	const struct stats_header *shared = (const struct stats_header *)(const void *)object->at;
	/* Nobody else has it when it is made, and a liar may write it at any time: it is a number
	 * all the same. */
	uint32_t magic = __atomic_load_n(&shared->magic, __ATOMIC_RELAXED);
	uint32_t layout = __atomic_load_n(&shared->layout, __ATOMIC_RELAXED);

	object->slots = __atomic_load_n(&shared->slots, __ATOMIC_RELAXED);
	object->slot_size = __atomic_load_n(&shared->slot_size, __ATOMIC_RELAXED);
	object->slot_start = __atomic_load_n(&shared->slot_start, __ATOMIC_RELAXED);
	if (magic != STATS_MAGIC || layout != STATS_LAYOUT)
		return error_set(
			-EPROTO,
			"the server's counters are of layout 0x%x %u, and 0x%x %u is known here: update the older side",
			magic, layout, STATS_MAGIC, STATS_LAYOUT);
	if (object->slot_size < sizeof(struct stats_slot) || object->slot_size % 8 ||
	    object->slot_start < sizeof(*shared) || object->slot_start % 8 ||
	    object->slot_start + (uint64_t)object->slots * object->slot_size > object->size)
		return error_set(
			-EPROTO,
			"the server's memory of counters, %llu bytes, is said to have %u slots of %u bytes from %u on, which cannot be: update it",
			(unsigned long long)object->size, object->slots, object->slot_size,
			object->slot_start);
	return 0;
}

/* Proves and maps one more object. The descriptor stays the caller's. */
static int adopt(struct peal_monitor *monitor, int fd, uint64_t size)
{
	struct object object = { .size = size, .first = monitor->slots };
	struct object *more = realloc(monitor->objects,
				      (monitor->count + 1) * sizeof(*monitor->objects));
	int err;

	if (!more)
		return error_literal(-ENOMEM, "no memory for a monitor: free some");
	monitor->objects = more;
	if (size > BYTES_MAX - monitor->bytes)
		return error_set(
			-E2BIG,
			"the server has %llu bytes of counters and more, and a monitor takes %llu: it has too many links",
			(unsigned long long)monitor->bytes, (unsigned long long)BYTES_MAX);
	if (size < sizeof(struct stats_header))
		return say_unproved(-ERANGE);
	err = runtime_memory(NULL)->prove(fd, size, runtime_get()->page_size);
	if (err)
		return say_unproved(err);
	err = platform_map(fd, size, 0, false, &object.at);
	if (err == -EACCES)
		return say_unproved(err);
	if (err)
		return error_set(
			err,
			"%llu bytes of the server's counters cannot be mapped (mmap, errno %d): %s",
			(unsigned long long)size, -err,
			error_mend(err, "raise vm.max_map_count, or the limit of address space"));
	err = check_header(&object);
	if (err) {
		platform_unmap(object.at, size, 0);
		return err;
	}
	monitor->objects[monitor->count++] = object;
	monitor->slots += object.slots;
	monitor->bytes += size;
	return 0;
}

/* Its clock said something between our question and now, which bounds the offset: one that is
 * possible stays, else it becomes the nearest that is. */
static void set_clock(struct peal_monitor *monitor, uint64_t told)
{
	int64_t least = (int64_t)(told - platform_now());
	int64_t most = (int64_t)(told - monitor->asked_ns);

	if (!told) /* it has not told */
		return;
	if (monitor->offset < least)
		monitor->offset = least;
	if (monitor->offset > most)
		monitor->offset = most;
}

/* Whether who answers is who answered before; the first time, notes it. */
static int recognize(struct peal_monitor *monitor, const struct wire_message *answer,
		     const struct platform_parcel *received)
{
	const struct platform_credentials *who = &received->credentials;

	if (!received->has_credentials)
		return error_literal(
			-EPROTO,
			"nobody vouches for the server (no SCM_CREDENTIALS): update its system");
	if (!monitor->count) {
		monitor->who = (struct peal_peer){ .pid = who->pid,
						   .uid = who->uid,
						   .gid = who->gid };
		options_copy_name(monitor->who.name, answer->name);
		monitor->started_ns = answer->stats_started;
		return 0;
	}
	if (who->pid != monitor->who.pid || answer->stats_started != monitor->started_ns)
		return error_set(
			-ESTALE,
			"pid %lld answers at %s, which was not looked at before (pid %lld was): open another monitor",
			(long long)who->pid, monitor->opening.address.shown,
			(long long)monitor->who.pid);
	/* It may have changed its user since. */
	monitor->who.uid = who->uid;
	monitor->who.gid = who->gid;
	return 0;
}

/* Takes what an answer brings. *left: objects that are still to be fetched. */
static int take(struct peal_monitor *monitor, const struct wire_message *answer,
		const struct platform_parcel *received, uint64_t *left)
{
	uint64_t objects = answer->stats_objects;
	int count = received->count, err;

	if (answer->kind != WIRE_MONITOR)
		return error_set(
			-EPROTO,
			"the server welcomed a monitor as a connection of kind %u, where %d is right: update it",
			answer->kind, WIRE_MONITOR);
	err = recognize(monitor, answer, received);
	if (err)
		return err;
	set_clock(monitor, answer->stats_now);
	if (objects > OBJECTS_MAX)
		return error_set(
			-E2BIG,
			"the server has %llu objects of counters, and a monitor takes %u: it has too many links",
			(unsigned long long)objects, OBJECTS_MAX);
	if (answer->stats_first != monitor->count || answer->descriptors != (uint32_t)count ||
	    objects < monitor->count + (uint64_t)count || !objects ||
	    (objects > monitor->count && !count))
		return error_set(
			-EPROTO,
			"the server handed over %d of its %llu objects of counters, from %llu on (%u by its word), and from %llu on was asked for: update it",
			count, (unsigned long long)objects, (unsigned long long)answer->stats_first,
			answer->descriptors, (unsigned long long)monitor->count);
	for (int i = 0; i < count; i++)
		if (answer->descriptor[i] != WIRE_STATS)
			return error_set(
				-EPROTO,
				"the server handed a monitor something of kind %u, where %d is right: update it",
				answer->descriptor[i], WIRE_STATS);
	for (int i = 0; i < count && !err; i++)
		err = adopt(monitor, received->fd[i], answer->stats_size[i]);
	*left = objects - monitor->count;
	return err;
}

/* One connection: asked, answered, taken. */
static int ask(struct peal_monitor *monitor, int64_t timeout, uint64_t deadline, uint64_t *left)
{
	struct opening *opening = &monitor->opening;
	struct platform_parcel received;
	struct wire_message answer;
	int err;

	opening->stats_first = monitor->count;
	for (;;) {
		if (opening->stage != OPENING_ANSWER)
			monitor->asked_ns = platform_now();
		err = opening_look(opening, &answer, &received);
		if (err <= 0)
			break;
		err = opening_wait(opening, timeout, deadline);
		if (err)
			return err;
	}
	if (err)
		return err;
	err = take(monitor, &answer, &received, left);
	if (!err) {
		/* Proved, and so no file of a stranger's. */
		for (int i = 0; i < received.count; i++)
			platform_close(received.fd[i]);
		received.count = 0;
	}
	wire_close_parcel(&received);
	return err;
}

/* Asks, and fetches what there is. */
static int fetch(struct peal_monitor *monitor, int64_t timeout)
{
	uint64_t deadline = platform_deadline(platform_now(), timeout), left = 0;
	bool again = false;
	int err;

	do {
		err = ask(monitor, timeout, deadline, &left);
		/* It went away with our question: whether it is gone the next one tells. */
		if (err == -ECONNRESET && !again && monitor->opening.address.fd < 0) {
			again = true;
			left = 1;
			err = 0;
		}
	} while (!err && left && monitor->opening.address.fd < 0);
	return err;
}

int peal_monitor_open(struct peal_monitor **made, const char *address, int64_t timeout)
{
	struct peal_monitor *monitor;
	const char *why;
	int err;

	*made = NULL;
	if (!runtime_memory(&why))
		return error_set(-ENOSYS, "no memory that can be shared safely: %s", why);
	monitor = calloc(1, sizeof(*monitor));
	if (!monitor)
		return error_set(-ENOMEM, "no memory for a monitor of %zu bytes: free some",
				 sizeof(*monitor));
	err = opening_prepare(&monitor->opening, address, NULL);
	if (err) {
		free(monitor);
		return err;
	}
	options_copy_name(monitor->name, monitor->opening.options.name);
	monitor->opening.options.name = monitor->name;
	monitor->opening.monitor = true;
	monitor->handle.orphan = orphan;
	registry_lock();
	registry_add(&monitor->handle);
	registry_unlock();
	err = fetch(monitor, timeout);
	if (err) {
		peal_monitor_close(monitor);
	} else {
		platform_close_socket(monitor->opening.address.fd); /* brought: ours now */
		*made = monitor;
	}
	return err;
}

int peal_monitor_refresh(struct peal_monitor *monitor, int64_t timeout)
{
	int err;

	if (monitor->stale)
		return say_stale();
	if (monitor->opening.address.fd >= 0)
		return error_set(
			-ENOTCONN,
			"%s was good for one answer: open the monitor by the address at which the server listens",
			monitor->opening.address.shown);
	PEAL_DEBUG_ENTER(monitor);
	err = fetch(monitor, timeout);
	PEAL_DEBUG_LEAVE(monitor);
	return err;
}

/* Each word is whole; that they are of one turn the caller sees to. */
static void copy_words(void *to, const void *from, size_t size)
{
	const uint64_t *words = from;

	for (size_t i = 0; i < size / sizeof(*words); i++) {
		uint64_t word = __atomic_load_n(&words[i], __ATOMIC_RELAXED);

		memcpy((uint8_t *)to + i * sizeof(word), &word, sizeof(word)); /* of any type */
	}
}

/* Copies a slot as it was at one moment, without what has no meaning at its turn. False: it never
 * had a link, or does not hold still, and so many tries more than one are over. */
static bool copy_slot(struct stats_slot *slot, const struct stats_slot *shared, unsigned *tries)
{
	for (;;) {
		/* Pairs with [turn-taken] and [turn-given]: what counts at this turn is there. */
		uint64_t turn = __atomic_load_n(&shared->turn, __ATOMIC_ACQUIRE); /* [turn-seen] */

		if (!turn)
			return false;
		copy_words(slot, shared,
			   turn % 2 ? sizeof(*slot) : offsetof(struct stats_slot, tx));
		/* Pairs with [turn-fence]. */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);                        /* [turn-after] */
		if (__atomic_load_n(&shared->turn, __ATOMIC_RELAXED) == turn) { /* [turn-again] */
			slot->turn = turn;
			return true;
		}
		if (!*tries)
			return false;
		--*tries;
	}
}

static void add_past(struct peal_counters *to, const uint64_t past[STATS_PAST])
{
	uint64_t *words = (uint64_t *)(void *)to + STATS_FIRST;

	for (int i = 0; i < STATS_SUMS; i++)
		words[i] += past[i];
	if (past[STATS_SUMS] > to->high_water)
		to->high_water = past[STATS_SUMS];
}

static void tell(struct peal_monitored_link *link, const struct stats_slot *slot, uint64_t number)
{
	memset(link, 0, sizeof(*link));
	link->id = slot->turn << SLOT_BITS | number;
	link->role = slot->role;
	link->wait = slot->wait;
	link->peer = (struct peal_peer){ .pid = slot->peer_pid,
					 .uid = slot->peer_uid,
					 .gid = slot->peer_gid };
	options_copy_name(link->peer.name, slot->peer_name);
	link->tx_capacity = slot->tx_capacity;
	link->rx_capacity = slot->rx_capacity;
	link->since_ns = slot->since_ns;
	link->tx = slot->tx;
	link->rx = slot->rx;
	link->tx_offcpu = slot->tx_offcpu;
	link->rx_offcpu = slot->rx_offcpu;
}

int peal_monitor_read(struct peal_monitor *monitor, struct peal_monitored *about,
		      struct peal_monitored_link *links, unsigned most)
{
	struct peal_monitored now = { .size = sizeof(now) };
	struct stats_slot slot;
	unsigned tries = TRIES;

	if (monitor->stale)
		return say_stale();
	if (about && about->size != sizeof(now))
		return error_set(-EINVAL,
				 "about->size is %u: set it to sizeof(struct peal_monitored), %zu",
				 about->size, sizeof(now));
	PEAL_DEBUG_ENTER(monitor);
	for (struct object *object = monitor->objects; object < monitor->objects + monitor->count;
	     object++)
		for (uint32_t i = 0; i < object->slots; i++) {
			const uint8_t *at = object->at + object->slot_start +
					    (uint64_t)i * object->slot_size;
			const struct stats_past *past;

			if (!copy_slot(&slot, (const struct stats_slot *)(const void *)at, &tries))
				continue;
			past = &slot.past[slot.turn / 2 % 2];
			now.ended += slot.turn / 2;
			add_past(&now.ended_tx, past->tx);
			add_past(&now.ended_rx, past->rx);
			if (slot.turn % 2 && now.links++ < most)
				tell(&links[now.links - 1], &slot, object->first + i);
		}
	now.who = monitor->who;
	now.started_ns = monitor->started_ns;
	PEAL_DEBUG_LEAVE(monitor);
	now.now_ns = platform_now() + (uint64_t)monitor->offset;
	if (about)
		*about = now;
	return (int)now.links;
}

void peal_monitor_close(struct peal_monitor *monitor)
{
	if (!monitor)
		return;
	PEAL_DEBUG_ENTER(monitor);
	opening_drop(&monitor->opening);
	registry_lock();
	registry_remove(&monitor->handle);
	registry_unlock();
	for (uint64_t i = 0; i < monitor->count && !monitor->stale; i++)
		platform_unmap(monitor->objects[i].at, monitor->objects[i].size, 0);
	PEAL_DEBUG_LEAVE(monitor);
	free(monitor->objects);
	free(monitor);
}
