/*
 * SPDX-License-Identifier: MIT
 *
 * Links: how one is put together from two segments and a socket, how it ends, and what can be asked
 * of it. How the two sides find each other is in listen.c and connect.c.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peal/call.h>
#include <peal/set.h>

#include "lib/bell.h"
#include "lib/bulk.h"
#include "lib/error.h"
#include "lib/evict.h"
#include "lib/large.h"
#include "lib/options.h"
#include "lib/probe.h"
#include "lib/ring.h"

/* What programs pass is binary interface. */
#define STATS(field, offset)                                           \
	_Static_assert(offsetof(struct peal_stats, field) == (offset), \
		       "binary interface, version 1")
#define MEMORY(field, offset)                                           \
	_Static_assert(offsetof(struct peal_memory, field) == (offset), \
		       "binary interface, version 1")
MEMORY(size, 0);
MEMORY(spare, 4);
MEMORY(tx, 8);
MEMORY(rx, 312);
_Static_assert(sizeof(struct peal_memory) == 616, "binary interface, version 1");
STATS(size, 0);
STATS(closed, 4);
STATS(tx, 8);
STATS(rx, 264);
STATS(tx_spared, 520);
STATS(rx_spared, 528);
STATS(peer_unread, 536);
_Static_assert(sizeof(struct peal_stats) == 544, "binary interface, version 1");
#define AGREED(field, offset)                                           \
	_Static_assert(offsetof(struct peal_agreed, field) == (offset), \
		       "binary interface, version 1")
AGREED(size, 0);
AGREED(role, 4);
AGREED(protocol, 8);
AGREED(layout, 12);
AGREED(abi, 16);
AGREED(peer_abi, 20);
AGREED(wait, 24);
AGREED(peer_wait, 28);
AGREED(bell, 32);
AGREED(peer_bell, 36);
AGREED(flags, 40);
AGREED(spare, 44);
AGREED(page, 48);
AGREED(ring, 56);
AGREED(peer_ring, 64);
AGREED(largest, 72);
AGREED(peer_largest, 80);
AGREED(longest, 88);
AGREED(peer_longest, 96);
_Static_assert(sizeof(struct peal_agreed) == 104, "binary interface, version 1");
_Static_assert(PEAL_CLIENT == 0, "binary interface, version 1");
_Static_assert(PEAL_SERVER == 1, "binary interface, version 1");
_Static_assert(PEAL_PAIR == 2, "binary interface, version 1");
_Static_assert(PEAL_AGREED_FRAGMENTS == 1, "binary interface, version 1");
_Static_assert(PEAL_AGREED_ASYMMETRIC == 2, "binary interface, version 1");
_Static_assert(PEAL_AGREED_PEER_ASYMMETRIC == 4, "binary interface, version 1");
_Static_assert(PEAL_AGREED_CALLS == 8, "binary interface, version 1");
_Static_assert(PEAL_FOREVER == -1, "binary interface, version 1");
_Static_assert(PEAL_DATA == 1, "binary interface, version 1");
_Static_assert(PEAL_ROOM == 2, "binary interface, version 1");

#define UNREAD_MAX 65536u
/*
 * The pause before a wait in a stream, in ns. Who has filled a ring only has to be back before it
 * is empty, and takes its time, by the size of the ring: each look takes a line away from the
 * consumer. Who has emptied one takes as much at most, so that it is not full by then, and less
 * after few messages: one may be waited for.
 */
#define BREATH_NS 600
#define BREATH_MAX_NS 5000
#define CONSUMED_PER_NS 8 /* bytes, at most; a quarter of the ring may go by */

#define FIRST_DATA_SLICE 10000000u
#define FIRST_ROOM_SLICE 1000000u

/*
 * What a child's copy of a link points at, and the rx of one that has ended: a ring that is always
 * full and always empty, so that the inline verbs come to the slow way. Nothing writes it but who
 * counts while it gives up its copy, and nobody reads that.
 */
static struct {
	uint64_t data[2];
	struct peal_page page;
	struct peal_counters counters;
} nowhere __attribute__((aligned(PEAL_LINE)));

void link_end_receiving(struct peal_link *link)
{
	link->rx.data = (const uint8_t *)nowhere.data;
	link->rx.mask = 0;
	link->rx.mark = UINT64_MAX;
	link->data.spin_ns = 0; /* there is nothing to wait for */
}

static void orphan(struct handle *handle)
{
	struct peal_link *link = (struct peal_link *)(void *)((char *)handle -
							      offsetof(struct peal_link, handle));

	platform_close(link->fd);
	platform_close(link->own_eventfd);
	platform_close(link->peer_eventfd);
	platform_close(link->poller);
	link->fd = link->own_eventfd = link->peer_eventfd = link->poller = -1;
	link->stale = true;
	link_end_receiving(link);
	link->tx.data = (uint8_t *)nowhere.data;
	link->tx.mask = 0;
	link->tx.limit = 0;
	link->tx.reserved = 0;
	link->tx.pending_header = link->tx.pending_messages = link->tx.pending_bytes = 0;
	link->tx.part = PEAL_PART_NONE;
	link->tx.peer = &nowhere.page;
	link->tx.counters = &nowhere.counters;
	link->rx.held = 0;
	link->tx.owner = link->rx.owner = 0; /* of threads that are no more */
	link->rx.own = &nowhere.page;
	link->rx.peer = &nowhere.page;
	link->rx.counters = &nowhere.counters;
	link->room.counters = link->data.counters = &nowhere.counters;
	link->room.sample_in = link->data.sample_in = 0;
	link->room.since = link->data.since = 0;
}

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most)
{
	return value < least ? least : value > most ? most : value;
}

static uint64_t longest_breath_ns(uint64_t capacity)
{
	return clamp(capacity / 4 / CONSUMED_PER_NS, BREATH_NS, BREATH_MAX_NS);
}

static void set_up_ends(struct peal_link *link, const struct link_plan *plan,
			const struct peal_options *options)
{
	uint64_t spin_ns = options->wait == PEAL_WAIT_SPIN  ? UINT64_MAX :
			   options->wait == PEAL_WAIT_SLEEP ? 0 :
			   options->spin_ns                 ? options->spin_ns :
							      runtime_get()->spin_ns;
	double ticks_per_ns = runtime_get()->ticks_per_ns;
	double tx_breath = (double)longest_breath_ns(link->own.capacity) * ticks_per_ns;
	/* It is no longer than a wait may spin. */
	uint64_t rx_most = clamp(spin_ns, BREATH_NS, longest_breath_ns(link->theirs.capacity));

	link->tx = (struct peal_tx){
		.data = segment_data(&link->own),
		.mask = link->own.capacity - 1,
		.pos = link->own.start,
		.limit = link->own.start + link->own.capacity,
		.largest = plan->tx_largest,
		.peer = link->peer_page,
		.counters = &link->slot->tx,
		.plain = (uint32_t)(plan->tx_largest < PEAL_BULK ? plan->tx_largest + 1 :
								   PEAL_BULK),
		.inline_copy = runtime_get()->inline_copy,
		.link = link,
	};
	link->cut.longest = plan->tx_longest;
	link->room = (struct bell){
		.asleep = &link->page->tx_asleep,
		.wants = &link->page->tx_wants,
		.wake = &link->peer_page->room_wake,
		.rung_ns = &link->peer_page->room_rung_ns,
		.acknowledged = &link->peer_page->room_acknowledged,
		.counters = &link->slot->tx,
		.offcpu = &link->slot->tx_offcpu,
		.sample = options->sample,
		.sample_in = options->sample,
		.spin_ns = spin_ns,
		.breath = (uint64_t)tx_breath,
		.breath_most = (uint64_t)tx_breath,
		.first_slice = FIRST_ROOM_SLICE,
	};
	link->rx = (struct peal_rx){
		.data = segment_data(&link->theirs),
		.mask = link->theirs.capacity - 1,
		.pos = link->theirs.start,
		.below = plan->rx_largest + 1,
		.own = link->page,
		.peer = link->peer_page,
		.counters = &link->slot->rx,
		.prefetch_bytes = runtime_get()->prefetch,
		.inline_copy = runtime_get()->inline_copy,
		.link = link,
	};
	/* Pairs with [room]. Before this it is 0, which only says less. */
	__atomic_store_n(&link->page->head, link->rx.pos, __ATOMIC_RELEASE);
	link->join = plan->join;
	link->join.below = plan->rx_largest + 1;
	bulk_begin(link);
	evict_begin(link);
	link->data = (struct bell){
		.asleep = &link->page->rx_asleep,
		.wake = &link->peer_page->data_wake,
		.rung_ns = &link->peer_page->data_rung_ns,
		.acknowledged = &link->peer_page->data_acknowledged,
		.counters = &link->slot->rx,
		.offcpu = &link->slot->rx_offcpu,
		.sample = options->sample,
		.sample_in = options->sample,
		.word = options_asleep_word(options),
		.spin_ns = spin_ns,
		.breath = (uint64_t)(BREATH_NS * ticks_per_ns),
		.breath_most = (uint64_t)((double)rx_most * ticks_per_ns),
		.first_slice = FIRST_DATA_SLICE,
		.asymmetric = plan->registered && options->barrier != PEAL_BARRIER_FENCE,
		.always = options->barrier == PEAL_BARRIER_ASYMMETRIC,
		.barrier_ns = BELL_BARRIER_NS,
	};
	if (link->data.asymmetric && link->data.always) {
		link->data.word &= ~PEAL_ASLEEP_FENCE;
		__atomic_store_n(link->data.asleep, link->data.word, __ATOMIC_RELEASE);
	}
}

static uint64_t longer(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* By what a side is rung that waits so, if there is an eventfd for it or not. */
static uint32_t bell_of(const struct link_plan *plan, uint32_t wait, bool eventfd)
{
	if (plan->pair || wait == PEAL_WAIT_SPIN)
		return PEAL_BELL_AUTO;
	return eventfd ? PEAL_BELL_EVENTFD : PEAL_BELL_SOCKET;
}

/* A pair's two ends have the same options; what is the peer's with others is in the plan. */
static void set_down(struct peal_agreed *agreed, const struct link_plan *plan,
		     const struct peal_options *options)
{
	uint32_t peer_wait = plan->pair ? options->wait : plan->peer_wait;
	bool fence = options->barrier == PEAL_BARRIER_FENCE;

	*agreed = (struct peal_agreed){
		.role = plan->role,
		.protocol = plan->protocol,
		.layout = plan->pair ? SEGMENT_LAYOUT : plan->layout,
		.abi = options->abi,
		.peer_abi = plan->pair ? options->abi : plan->peer_abi,
		.wait = options->wait,
		.peer_wait = peer_wait,
		.bell = bell_of(plan, options->wait,
				plan->own_eventfd >= 0 && plan->peer_rings_eventfd),
		.peer_bell = bell_of(plan, peer_wait, plan->peer_eventfd >= 0),
		.page = plan->own.page,
		.ring = plan->own.capacity,
		.peer_ring = plan->theirs.capacity,
		.largest = plan->tx_largest,
		.peer_largest = plan->rx_largest,
		.longest = longer(plan->tx_largest, plan->tx_longest),
		.peer_longest = longer(plan->rx_largest, plan->join.most),
	};
	if (plan->pair || plan->peer_fragments)
		agreed->flags |= PEAL_AGREED_FRAGMENTS;
	if (plan->pair ? (options->flags & PEAL_CALLS) != 0 : plan->peer_calls)
		agreed->flags |= PEAL_AGREED_CALLS;
	if (plan->registered && !fence)
		agreed->flags |= PEAL_AGREED_ASYMMETRIC;
	if (plan->pair ? plan->registered : plan->said_registered)
		agreed->flags |= PEAL_AGREED_PEER_ASYMMETRIC;
}

int link_create(struct peal_link **made, const struct link_plan *plan,
		const struct peal_options *options)
{
	struct peal_link *link = aligned_alloc(PEAL_LINE, sizeof(*link));

	if (!link)
		return error_set(-ENOMEM, "no memory for a link of %zu bytes: free some",
				 sizeof(*link));
	memset(link, 0, sizeof(*link));
	link->ring = runtime_get()->ring;
	link->waiter = runtime_get()->waiter;
	link->own = plan->own;
	link->own.fd = link->own.data_fd = -1; /* they stay the plan's */
	link->theirs = plan->theirs;
	link->page = segment_page(&link->own);
	link->peer_page = segment_page(&link->theirs);
	link->peer = plan->peer;
	set_down(&link->agreed, plan, options);
	link->fd = plan->fd;
	link->own_eventfd = plan->own_eventfd;
	link->peer_eventfd = plan->peer_eventfd;
	link->poller = -1;
	link->one_thread = options->flags & PEAL_ONE_THREAD;
	link->calls = options->flags & PEAL_CALLS;
	link->shared = !plan->pair;
	link->pair = plan->pair;
	link->slot = stats_take(plan->role, options->wait, &plan->peer, link->own.capacity,
				link->theirs.capacity);
	set_up_ends(link, plan, options);
	link->handle.orphan = orphan;
	registry_lock();
	registry_add(&link->handle);
	registry_unlock();
	probe_connect(link, plan->role, link->peer.pid, link->peer.name);
	*made = link;
	return 0;
}

uint64_t link_closed(struct peal_link *link)
{
	/* Pairs with the exchange below, for our own other thread: what the peer had published by
	 * then is seen here, too. */
	uint64_t said = 0, closed = __atomic_load_n(&link->closed, __ATOMIC_ACQUIRE);

	if (closed)
		return closed;
	/* Pairs with [closed] in peal_close: what was published before it is there. */
	closed = __atomic_load_n(&link->peer_page->closed, __ATOMIC_ACQUIRE); /* [closed-seen] */
	/* Pairs with the load above. A peer cannot take back what it has said. */
	if (closed && !__atomic_compare_exchange_n(&link->closed, &said, closed, false,
						   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return said;
	return closed;
}

int link_known_verdict(struct peal_link *link)
{
	/* Each pairs with its store, here or at our own other thread. */
	if (__atomic_load_n(&link->broken, __ATOMIC_RELAXED) ||
	    __atomic_load_n(&link->closed, __ATOMIC_RELAXED) ||
	    __atomic_load_n(&link->hung_up, __ATOMIC_RELAXED))
		return link_verdict(link, false);
	return 0;
}

int link_verdict(struct peal_link *link, bool look)
{
	/* Pairs with the store in link_broken; nothing else is read by it. */
	if (__atomic_load_n(&link->broken, __ATOMIC_RELAXED))
		return -EPROTO;
	if (link_closed(link))
		return -EPIPE;
	if (!__atomic_load_n(&link->hung_up, __ATOMIC_RELAXED) &&
	    (!look || link->fd < 0 || !platform_hung_up(link->fd)))
		return 0;
	/* It may have closed between the two looks. */
	if (link_closed(link)) /* [closed-after-hangup] */
		return -EPIPE;
	return -ECONNRESET;
}

int link_say_verdict(struct peal_link *link, int verdict)
{
	uint64_t closed;

	switch (verdict) {
	case -EPIPE:
		closed = link_closed(link);
		if (closed > 1)
			return error_set(verdict,
					 "the peer (pid %lld) has closed the link and left %llu "
					 "messages unread",
					 (long long)link->peer.pid, (unsigned long long)closed - 1);
		return error_literal(verdict, "the peer has closed the link");
	case -ECONNRESET:
		return error_set(
			verdict,
			"the peer (pid %lld) has died without closing the link: see why, and connect again",
			(long long)link->peer.pid);
	default:
		return error_set(
			verdict,
			"the link was ended because the peer (pid %lld) broke the protocol",
			(long long)link->peer.pid);
	}
}

int link_broken(struct peal_link *link, const char *format, ...)
{
	char lie[160];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(lie, sizeof(lie), format, arguments);
	va_end(arguments);
	/* Pairs with the load in link_verdict, for our own other thread. */
	__atomic_store_n(&link->broken, 1, __ATOMIC_RELAXED);
	/* The other side learns it from the socket, or at once if it sleeps. Pairs with
	 * [closed-seen]. */
	__atomic_store_n(&link->page->closed, 1, __ATOMIC_RELEASE);
	bell_ring_out(link);
	if (link->fd >= 0)
		platform_hang_up(link->fd);
	probe_violation(link, link->peer.pid, lie);
	log_line(LOG_INFO, "link with pid %lld (%s) ended: %s", (long long)link->peer.pid,
		 link->peer.name, lie);
	return error_set(-EPROTO, "the peer (pid %lld) broke the protocol: %s",
			 (long long)link->peer.pid, lie);
}

/* Whether the control record there is one, which the program would have seen, or Peal's own. */
static bool is_of_calls(const struct peal_rx *rx, uint64_t at)
{
	uint64_t word;

	memcpy(&word, rx->data + (at & rx->mask) + PEAL_HEADER_SIZE, sizeof(word));
	return word != PEAL_CONTROL_ABANDON;
}

/* Messages that were published and not released; no further than the ring is long, and of no more
 * records than can be told of: a hostile peer may have written many small ones. A message that only
 * fragments are here of counts, and so do errors and cancels of calls. */
static uint64_t count_unread(const struct peal_link *link)
{
	const struct peal_rx *rx = &link->rx;
	uint64_t at = rx->pos, end = rx->pos + link->theirs.capacity, count = 0, header, size;
	bool part = link->join.total != 0;

	for (unsigned i = 0; i < UNREAD_MAX; i++, at += size) {
		size = ring_record_at(link, at, end, &header);
		if (!size)
			break;
		part = (header & PEAL_HEADER_MORE) != 0;
		if (!part && (!(header & PEAL_HEADER_CONTROL) || is_of_calls(rx, at)))
			count++;
	}
	return count + part < UNREAD_MAX ? count + part : UNREAD_MAX;
}

/* Both ends of a pair have the same mappings; the last one takes them down. The count pairs with
 * itself at the other end: what that did with the memory comes before. */
static void let_go_of_memory(struct peal_link *link)
{
	bool last = !link->pair || __atomic_sub_fetch(&link->pair->ends, 1, __ATOMIC_ACQ_REL) == 0;

	if (last && !link->stale)
		segment_destroy_two(&link->own, &link->theirs);
	if (last)
		free(link->pair);
}

void peal_close(struct peal_link *link)
{
	bool empty = false;

	if (!link)
		return;
	PEAL_DEBUG_ENTER(&link->tx);
	PEAL_DEBUG_ENTER(&link->rx);
	if (!link->stale) {
		if (link->set)
			peal_set_remove(link->set, link);
		peal_flush(&link->tx);
		/* Pairs with [closed-seen]: all that was published is seen by who sees this. */
		__atomic_store_n(&link->page->closed, 1 + count_unread(link),
				 __ATOMIC_RELEASE); /* [closed] */
		/* A bell that is never answered: the peer's next publication comes to its slow way,
		 * and finds the link closed. Pairs with peal_look, and with the
		 * acquire in peal_ring_data, so that `closed` is seen there. */
		__atomic_store_n(&link->page->rx_asleep,
				 (link->data.word + PEAL_ASLEEP_EPOCH) | PEAL_ASLEEP,
				 __ATOMIC_RELEASE);
		/* Another process that has closed or died need not be woken. */
		if (link->pair || !link_verdict(link, false))
			bell_ring_out(link);
		/* Each pairs with peal_count: it is whole, no more. */
		probe_close(link, link->peer.pid,
			    __atomic_load_n(&link->slot->tx.messages, __ATOMIC_RELAXED),
			    __atomic_load_n(&link->slot->rx.messages, __ATOMIC_RELAXED));
		stats_give(link->slot);
		/* What is left is no stranger's, but rings, and no more of them come. */
		if (link->fd >= 0)
			empty = platform_end(link->fd, link->shut_down);
	}
	registry_lock();
	registry_remove(&link->handle);
	platform_close(link->poller);
	platform_close(link->own_eventfd);
	platform_close(link->peer_eventfd);
	if (empty)
		platform_close(link->fd);
	else
		platform_close_socket(link->fd);
	registry_unlock();
	let_go_of_memory(link);
	if (!link->stale)
		large_take_down(&link->join);
	PEAL_DEBUG_LEAVE(&link->rx);
	PEAL_DEBUG_LEAVE(&link->tx);
	free(link);
}

int peal_pair(struct peal_link *links[2], const struct peal_options *given)
{
	struct peal_options options;
	struct pair *pair;
	struct segment segments[2] = { { .at = NULL }, { .at = NULL } };
	struct link_plan plan = {
		.fd = -1, .own_eventfd = -1, .peer_eventfd = -1, .role = PEAL_PAIR
	};
	int i, err = options_take(&options, given);

	links[0] = links[1] = NULL;
	if (err)
		return err;
	pair = malloc(sizeof(*pair));
	if (!pair)
		return error_set(-ENOMEM, "no memory for a pair of %zu bytes: free some",
				 sizeof(*pair));
	pair->ends = 2;
	for (i = 0; i < 2; i++) {
		err = segment_create(&segments[i], &options, options_asleep_word(&options));
		if (err)
			goto fail;
		segment_close_descriptors(&segments[i]);
	}
	plan.pair = pair;
	plan.registered = options.barrier != PEAL_BARRIER_FENCE &&
			  runtime_registered(options.barrier == PEAL_BARRIER_ASYMMETRIC);
	plan.tx_largest = plan.rx_largest = options_largest(&options, options.ring);
	plan.tx_longest = options.max_message;
	plan.peer = (struct peal_peer){ .pid = platform_pid(), .uid = platform_uid() };
	plan.peer.gid = platform_gid();
	options_copy_name(plan.peer.name, options.name);
	for (i = 0; i < 2; i++) {
		plan.own = segments[i];
		plan.theirs = segments[!i];
		err = large_set_aside(&plan.join, options.max_message, plan.rx_largest);
		if (!err)
			err = link_create(&links[i], &plan, &options);
		if (err)
			goto fail_link;
	}
	return 0;
fail_link:
	large_take_down(&plan.join);
	if (i == 1) {
		peal_close(links[0]); /* one of two ends: the memory stays for us */
		links[0] = NULL;
	}
fail:
	segment_destroy(&segments[0]);
	segment_destroy(&segments[1]);
	free(pair);
	return err;
}

struct peal_tx *peal_link_tx(struct peal_link *link)
{
	return &link->tx;
}

struct peal_rx *peal_link_rx(struct peal_link *link)
{
	return &link->rx;
}

const struct peal_peer *peal_link_peer(const struct peal_link *link)
{
	return &link->peer;
}

int peal_link_agreed(const struct peal_link *link, struct peal_agreed *agreed)
{
	uint32_t size = agreed->size;

	if (size < offsetof(struct peal_agreed, page) || size > sizeof(*agreed))
		return error_set(-EINVAL,
				 "agreed->size is %u: set it to sizeof(struct peal_agreed), %zu",
				 size, sizeof(*agreed));
	memcpy(agreed, &link->agreed, size);
	agreed->size = size;
	return 0;
}

static int stale(void)
{
	return error_literal(
		-ESTALE,
		"this link is from before a fork: only the parent can use it; open another");
}

int peal_link_memory(const struct peal_link *link, struct peal_memory *memory)
{
	if (memory->size != sizeof(*memory))
		return error_set(-EINVAL,
				 "memory->size is %u: set it to sizeof(struct peal_memory), %zu",
				 memory->size, sizeof(*memory));
	if (link->stale)
		return stale();
	memory->spare = 0;
	segment_tell(&link->own, &memory->tx);
	segment_tell(&link->theirs, &memory->rx);
	return 0;
}

/* Copies so many bytes of what is counted. */
static void copy_counted(void *to, const void *from, size_t size)
{
	const uint64_t *words = from;

	/* Pair with the stores of peal_count and peal_count_messages: each is whole, no more. */
	/* Batched ones before all messages, which they are some of. */
	for (size_t i = size / sizeof(uint64_t); i-- > 0;)
		((uint64_t *)to)[i] = __atomic_load_n(&words[i], __ATOMIC_RELAXED);
}

/* Publications that rang no bell. The counts are not from one instant, and fragments ring too. */
static uint64_t spared(const struct peal_counters *counters)
{
	uint64_t others = counters->batched + counters->rung;

	return counters->messages > others ? counters->messages - others : 0;
}

int peal_link_stats(const struct peal_link *link, struct peal_stats *stats)
{
	struct peal_stats now = { .size = sizeof(now) };
	uint64_t closed;
	uint32_t size = stats->size;

	if (size < offsetof(struct peal_stats, tx) || size > sizeof(now))
		return error_set(-EINVAL,
				 "stats->size is %u: set it to sizeof(struct peal_stats), %zu",
				 size, sizeof(now));
	if (link->stale)
		return stale();
	/* Pairs with the exchange in link_closed; the count is in the word itself. */
	closed = __atomic_load_n(&link->closed, __ATOMIC_ACQUIRE);
	if (!closed) /* Pairs with [closed]. */
		closed = __atomic_load_n(&link->peer_page->closed, __ATOMIC_ACQUIRE);
	copy_counted(&now.tx, &link->slot->tx, sizeof(now.tx));
	copy_counted(&now.rx, &link->slot->rx, sizeof(now.rx));
	now.closed = closed != 0;
	now.peer_unread = closed ? closed - 1 : 0;
	now.tx_spared = spared(&now.tx);
	now.rx_spared = spared(&now.rx);
	now.size = size;
	memcpy(stats, &now, size);
	return 0;
}

int peal_link_offcpu(const struct peal_link *link, struct peal_offcpu *tx, struct peal_offcpu *rx)
{
	if (link->stale)
		return stale();
	if (tx)
		copy_counted(tx, &link->slot->tx_offcpu, sizeof(*tx));
	if (rx)
		copy_counted(rx, &link->slot->rx_offcpu, sizeof(*rx));
	return 0;
}
