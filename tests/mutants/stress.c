/*
 * SPDX-License-Identifier: MIT
 *
 * The protocol under stress, to be built with one piece of it taken out: tests/mutants/run does
 * that and must see this program fail. Its waiter never enters the kernel, so that millions of
 * sleeps a second meet millions of publications; and it never gives up on a data bell, so that one
 * lost wake-up is not healed by a slice, but seen. Nor by a second look, where a membarrier does
 * what it is for.
 *
 * Usage: stress CASE SECONDS; the cases are at the end. Exit status 0: nothing found; 1: found, and
 * said.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <peal.h>

#include "lib/bell.h"

#define LOST_NS 300000000u

static uint64_t end_ns;

static void found(const char *what)
{
	printf("found: %s\n", what);
	fflush(stdout);
	_Exit(1);
}

static void check(int err, int wanted)
{
	if (err != wanted)
		found(peal_error());
}

/* How long a sleeper has heard nothing, as far as it was awake itself: while the machine stands
 * still, a ring can be late. */
struct silence {
	uint64_t begin, last;
};

uint64_t __real_platform_now(void);
static uint64_t silent_for(struct silence *silence)
{
	uint64_t now = __real_platform_now();

	if (now - silence->last > LOST_NS / 10)
		silence->begin = now;
	silence->last = now;
	return now - silence->begin;
}

/* Sleeps by looking. A data bell that stays silent this long, while its peer runs, was lost. */
static int wait_for_ring(const uint32_t *word, uint32_t seen, int64_t ns, bool data)
{
	struct silence silence = { .last = 0 };

	silent_for(&silence);
	for (;;) {
		for (int i = 0; i < 1000; i++) {
			if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != seen)
				return 0;
			peal_relax();
		}
		if (silent_for(&silence) >= (data ? LOST_NS : (uint64_t)ns))
			return -ETIMEDOUT;
	}
}

static __thread const struct peal_link *waiting; /* whose thread this is */

static bool message_is_there(void)
{
	const uint64_t *header = (const uint64_t *)(const void *)peal_next(&waiting->rx,
									   waiting->rx.pos);

	return __atomic_load_n(header, __ATOMIC_ACQUIRE);
}

/* Who has slept in vain for so long was not rung, if there is something. */
static void look_for_lost(void)
{
	if (message_is_there())
		found("a message was published, its receiver sleeps, and nobody rang");
	if (__atomic_load_n(&waiting->peer_page->closed, __ATOMIC_ACQUIRE))
		found("the peer has closed, the receiver sleeps, and nobody rang");
}

/* What a membarrier does: its work; now and then it fails; nothing at all, but says that it did;
 * or what Linux does for a process that has run elsewhere before it registered. */
enum membarrier { WORKS, FAILS, DOES_NOTHING, LEAVES_OUT };
static enum membarrier membarrier;

static unsigned long mended; /* by a second look */

/* Whether the second look of a sleep that was in doubt may end it. If the message is there although
 * a membarrier did its work, there must be a ring, too. */
static bool may_look_again(int64_t ns)
{
	if (ns <= 0 || ns > BELL_DOUBT_NS)
		return false;
	if (!message_is_there())
		return true;
	if (membarrier == WORKS && !waiting->data.unacknowledged)
		return false;
	mended++;
	return true;
}

static bool hurried; /* waits by futex are over at once, so that it goes on to descriptors */
static __thread uint64_t ahead; /* this thread's clock */

static int stress_wait(const uint32_t *word, uint32_t seen, int64_t ns, bool shared)
{
	bool data = word == &waiting->peer_page->data_wake;

	(void)shared;
	if (data && hurried) {
		ahead += 11000000;
		return __atomic_load_n(word, __ATOMIC_ACQUIRE) != seen ? 0 : -ETIMEDOUT;
	}
	/* No first slice of a data bell is as short. */
	if (data && ns > 0 && ns <= BELL_DOUBT_NS) {
		if (wait_for_ring(word, seen, ns, false) == 0)
			return 0;
		if (may_look_again(ns))
			return -ETIMEDOUT;
	}
	if (wait_for_ring(word, seen, ns, data) == 0)
		return 0;
	if (data)
		look_for_lost();
	return -ETIMEDOUT;
}

/*
 * What the linker puts in the way of the platform's calls.
 */

uint64_t __wrap_platform_now(void);
uint64_t __wrap_platform_now(void)
{
	return __real_platform_now() + ahead;
}

bool __real_platform_barrier(void);
bool __wrap_platform_barrier(void);
bool __wrap_platform_barrier(void)
{
	static __thread uint32_t random;

	random = random * 1664525u + 1013904223u;
	if (membarrier == DOES_NOTHING)
		return true;
	return (membarrier != FAILS || random >> 30) && __real_platform_barrier();
}

/* Sleeps by looking, as wait_for_ring; room is not made up for by slices here. */
static int poll_for_ring(int fd, int64_t ns)
{
	struct pollfd look = { .fd = fd, .events = POLLIN };
	static __thread uint32_t woken;
	struct silence silence = { .last = 0 };

	silent_for(&silence);
	while (poll(&look, 1, 0) == 0) {
		uint64_t silent = silent_for(&silence);

		if (ns > 0 && silent >= (uint64_t)ns && may_look_again(ns))
			return -ETIMEDOUT;
		if (silent < LOST_NS)
			continue;
		look_for_lost();
		if (__atomic_load_n(&waiting->peer_page->head, __ATOMIC_ACQUIRE) >=
			    waiting->room_want &&
		    waiting->room.armed)
			found("there is room, its sender sleeps, and nobody rang");
		return -ETIMEDOUT;
	}
	/* A wake counter moves before its descriptor is rung. */
	woken++;
	if (woken > __atomic_load_n(&waiting->peer_page->data_wake, __ATOMIC_ACQUIRE) +
			    __atomic_load_n(&waiting->peer_page->room_wake, __ATOMIC_ACQUIRE) &&
	    !__atomic_load_n(&waiting->peer_page->closed, __ATOMIC_ACQUIRE))
		found("one ring has woken its sleeper twice");
	return 0;
}

int __real_platform_poll(int fd, bool writable, int64_t ns);
int __wrap_platform_poll(int fd, bool writable, int64_t ns);
int __wrap_platform_poll(int fd, bool writable, int64_t ns)
{
	return waiting && ns ? poll_for_ring(fd, ns) : __real_platform_poll(fd, writable, ns);
}

int __real_platform_poller_wait(int poller, int64_t ns);
int __wrap_platform_poller_wait(int poller, int64_t ns);
int __wrap_platform_poller_wait(int poller, int64_t ns)
{
	int err;

	if (!waiting || !ns)
		return __real_platform_poller_wait(poller, ns);
	err = poll_for_ring(poller, ns);
	/* Only who has taken the edge has seen it. */
	return err ? err : __real_platform_poller_wait(poller, 0);
}

int __real_platform_poller_await(int poller, uint32_t *keys, int most, int64_t ns);
int __wrap_platform_poller_await(int poller, uint32_t *keys, int most, int64_t ns);
int __wrap_platform_poller_await(int poller, uint32_t *keys, int most, int64_t ns)
{
	if (waiting && ns && poll_for_ring(poller, ns))
		return 0;
	return __real_platform_poller_await(poller, keys, most, waiting ? 0 : ns);
}

static void stress_wake(const uint32_t *word, bool shared)
{
	(void)word;
	(void)shared;
}

static bool usable(const char **why)
{
	*why = "";
	return true;
}

static const struct peal_waiter_ops waiter = {
	.name = "stress",
	.usable = usable,
	.wait = stress_wait,
	.wake = stress_wake,
};

static uint32_t wait_mode = PEAL_WAIT_SLEEP;
static uint32_t barrier_mode = PEAL_BARRIER_FENCE;

static void set_options(struct peal_options *options, uint64_t ring)
{
	peal_options_init(options);
	options->ring = ring;
	options->wait = wait_mode;
	options->barrier = barrier_mode;
}

static void make_pair(struct peal_link *links[2], uint64_t ring)
{
	struct peal_options options;

	set_options(&options, ring);
	options.max_message = 1 << 20;
	if (peal_pair(links, &options)) {
		fprintf(stderr, "stress: %s\n", peal_error());
		_Exit(2);
	}
	links[0]->waiter = links[1]->waiter = &waiter;
}

struct call {
	char address[64];
	struct peal_options options;
	struct peal_link *link;
};

static void *connect_to(void *data)
{
	struct call *call = data;

	if (peal_connect(&call->link, call->address, &call->options, 10000000000))
		found(peal_error());
	return NULL;
}

/* Two ends with a socket between them, and perhaps eventfds. */
static void make_link(struct peal_link *links[2], uint32_t bell)
{
	struct call call = { .address = "/tmp/stress.XXXXXX" };
	struct peal_listener *listener;
	pthread_t thread;

	if (!mkdtemp(call.address))
		found("no folder");
	strcat(call.address, "/s");
	set_options(&call.options, 4096);
	call.options.bell = bell;
	call.options.flags = PEAL_TRUST_PEER;
	check(peal_listen(&listener, call.address, &call.options), 0);
	pthread_create(&thread, NULL, connect_to, &call);
	check(peal_accept(listener, &links[1], 10000000000), 0);
	pthread_join(thread, NULL);
	links[0] = call.link;
	peal_listener_close(listener);
	strcat(call.address, ".lock");
	unlink(call.address);
	*strrchr(call.address, '/') = 0;
	rmdir(call.address);
	links[0]->waiter = links[1]->waiter = &waiter;
}

/* Two threads on one CPU meet once a time slice: each gets a CPU of its own, if there are two. */
static void pin(int which)
{
	cpu_set_t allowed, one;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) || CPU_COUNT(&allowed) < 2)
		return;
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || which-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
		return;
	}
}

/*
 * Linux's membarrier leaves out CPUs on which a thread of ours has ended since another process was
 * last there (docs/design.md, "Who pays for the barrier"). So one is, on each.
 */
static void let_all_in(void)
{
	for (int i = 0; i < 2; i++) {
		pid_t child = fork();

		if (!child) {
			pin(i);
			_Exit(0);
		}
		waitpid(child, NULL, 0);
	}
}

static void *end_at_once(void *data)
{
	return data;
}

/* Our own CPU. */
static void be_left_out(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, end_at_once, NULL);
	pthread_join(thread, NULL);
}

/* A pause of a random length, to sweep over all phases of the other side. */
static void dither(uint32_t *random, uint32_t most)
{
	*random = *random * 1664525u + 1013904223u;
	for (uint32_t i = (*random >> 16) % most; i; i--)
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Now and then a few stores that miss the caches: what is stored next stays in the store buffer for
 * a while, and what is loaded next overtakes it, unless there is a fence in between. */
static void clog(uint32_t *random)
{
	static __thread uint8_t *cold;
	static __thread size_t at;
	const size_t size = 32 << 20;

	if (!cold)
		cold = calloc(1, size);
	*random = *random * 1664525u + 1013904223u;
	if (cold && *random >> 31)
		for (int i = 0; i < 4; i++, at = (at + 4160) % size)
			__atomic_store_n(&cold[at], 1, __ATOMIC_RELAXED);
}

/* Round trips: each side falls asleep just as the other one publishes, or never does. */
static void *answer(void *data)
{
	struct peal_link *link = data;
	struct peal_message message;
	uint64_t value;
	uint32_t random = 1;

	pin(1);
	waiting = link;
	for (uint64_t i = 0;; i++) {
		if (peal_recv(&link->rx, &value, sizeof(value), &message, PEAL_FOREVER) !=
		    sizeof(value))
			return NULL;
		if (value != i)
			found("a message came that was not sent");
		dither(&random, 300);
		clog(&random);
		check(peal_send(&link->tx, &value, sizeof(value), 0, PEAL_FOREVER), 0);
	}
}

static void trips(void)
{
	struct peal_link *links[2];
	struct peal_stats stats = { .size = sizeof(stats) };
	pthread_t thread;
	uint64_t value, i;
	uint32_t random = 2;

	make_pair(links, 4096);
	waiting = links[0];
	pthread_create(&thread, NULL, answer, links[1]);
	pin(0);
	for (i = 0; i % 256 || platform_now() < end_ns; i++) {
		check(peal_send(&links[0]->tx, &i, sizeof(i), 0, PEAL_FOREVER), 0);
		dither(&random, 300);
		clog(&random);
		if (peal_recv(&links[0]->rx, &value, sizeof(value), NULL, PEAL_FOREVER) !=
		    sizeof(value))
			found(peal_error());
		if (value != i)
			found("an answer came that was not sent");
	}
	peal_link_stats(links[1], &stats);
	peal_close(links[0]);
	pthread_join(thread, NULL);
	peal_close(links[1]);
	printf("%llu round trips, %llu sleeps\n", (unsigned long long)i,
	       (unsigned long long)stats.rx.sleeps);
}

/* A stream of many sizes through a ring of one page, laps upon laps. */
static void *take_stream(void *data)
{
	struct peal_link *link = data;
	struct peal_message message;
	uint32_t random = 3;
	uint8_t first;

	pin(1);
	waiting = link;
	for (uint32_t i = 0; !peal_peek(&link->rx, &message, PEAL_FOREVER); i++) {
		first = (uint8_t)i;
		if (message.tag != i)
			found("a message came out of turn");
		for (size_t k = 0; k < message.length; k++)
			if (((const uint8_t *)message.data)[k] != first)
				found("a message came torn");
		peal_release(&link->rx);
		dither(&random, 300);
	}
	return NULL;
}

static void stream(void)
{
	struct peal_link *links[2];
	pthread_t thread;
	uint32_t i, random = 4;

	make_pair(links, 4096);
	waiting = links[0];
	pthread_create(&thread, NULL, take_stream, links[1]);
	pin(0);
	for (i = 0; i % 256 || platform_now() < end_ns; i++) {
		size_t length;
		void *at;

		dither(&random, 300);
		length = (random >> 8) % 600;
		check(peal_reserve(&links[0]->tx, length, &at, PEAL_FOREVER), 0);
		memset(at, (uint8_t)i, length);
		check(peal_commit(&links[0]->tx, length, i), 0);
	}
	peal_close(links[0]);
	pthread_join(thread, NULL);
	peal_close(links[1]);
	printf("%u messages\n", i);
}

/*
 * Messages one at a time, each sent when the last one was taken: so that it is published at all
 * stages of its receiver's falling asleep, and no later one makes up for a ring that it lost.
 */
struct post {
	struct peal_link *links[2];
	uint64_t taken; /* (atomic) */
	ssize_t (*receive)(struct peal_link *link, uint64_t *value);
};

static void *take_post(void *data)
{
	struct post *post = data;
	uint32_t random = 8;
	uint64_t value, taken = 0;

	pin(1);
	waiting = post->links[1];
	while (post->receive(post->links[1], &value) == sizeof(value)) {
		if (value != taken++)
			found("a message came that was not sent");
		__atomic_store_n(&post->taken, taken, __ATOMIC_RELEASE);
		dither(&random, 300);
		clog(&random);
	}
	return NULL;
}

static void send_post(struct post *post)
{
	struct peal_stats stats = { .size = sizeof(stats) };
	uint32_t random = 9;
	pthread_t thread;
	uint64_t i = 0;

	let_all_in();
	waiting = post->links[0];
	pthread_create(&thread, NULL, take_post, post);
	pin(0);
	do {
		/* Whoever else comes by here makes an end of it. */
		if (membarrier == LEAVES_OUT && i % 4096 == 0)
			be_left_out();
		dither(&random, i & 1 ? 300 : 6000);
		clog(&random);
		check(peal_send(&post->links[0]->tx, &i, sizeof(i), 0, PEAL_FOREVER), 0);
		i++;
		while (__atomic_load_n(&post->taken, __ATOMIC_ACQUIRE) != i)
			peal_relax();
	} while (i % 256 || platform_now() < end_ns);
	peal_link_stats(post->links[1], &stats);
	peal_close(post->links[0]);
	pthread_join(thread, NULL);
	printf("%llu messages, %llu sleeps", (unsigned long long)i,
	       (unsigned long long)stats.rx.sleeps);
	if (barrier_mode == PEAL_BARRIER_ASYMMETRIC)
		printf(", %llu ns a membarrier",
		       (unsigned long long)post->links[1]->data.barrier_ns);
	printf("\n");
	peal_close(post->links[1]);
}

static ssize_t receive(struct peal_link *link, uint64_t *value)
{
	return peal_recv(&link->rx, value, sizeof(*value), NULL, PEAL_FOREVER);
}

static void post_of_pair(void)
{
	struct post post = { .receive = receive };

	make_pair(post.links, 4096);
	if (barrier_mode == PEAL_BARRIER_ASYMMETRIC && !post.links[1]->data.asymmetric)
		found("no membarrier is to be had here");
	send_post(&post);
}

/* The word does not ask for fences any more, while nobody sleeps by it. */
static void forget_fences(struct bell *bell)
{
	bell->word &= ~PEAL_ASLEEP_FENCE;
	__atomic_store_n(bell->asleep, bell->word, __ATOMIC_RELEASE);
}

/* Now with fences and now without, as choose_barrier and breathe do it by what they have
 * measured; and where membarrier has failed, as if it were tried again. */
static ssize_t receive_changing(struct peal_link *link, uint64_t *value)
{
	static uint32_t random = 10;
	struct bell *bell = &link->data;
	ssize_t length = receive(link, value);

	random = random * 1664525u + 1013904223u;
	bell->always = false;
	if (random >> 31 || bell->unacknowledged)
		return length;
	bell->asymmetric = true;
	if (bell->word & PEAL_ASLEEP_FENCE) {
		forget_fences(bell);
	} else {
		bell->word |= PEAL_ASLEEP_FENCE;
		bell->unacknowledged = true;
		bell->fence_since = bell->word + PEAL_ASLEEP_EPOCH;
	}
	return length;
}

static void changing_post(void)
{
	struct post post = { .receive = receive_changing };

	make_pair(post.links, 4096);
	send_post(&post);
}

static void post_of_link(uint32_t bell)
{
	struct post post = { .receive = receive };

	hurried = true;
	make_link(post.links, bell);
	send_post(&post);
}

static bool anew; /* each wait in a loop is the first */

/* As an event loop does. */
static void wait_in_loop(struct peal_link *link, uint32_t what)
{
	int now = peal_link_arm(link, what);

	if (now < 0)
		found(peal_error());
	if (!now)
		poll_for_ring(peal_link_fd(link), -1);
	if (!anew)
		return;
	bell_disarm(link, what);
	if (what & PEAL_DATA)
		forget_fences(&link->data);
	else
		forget_fences(&link->room);
}

static ssize_t receive_in_loop(struct peal_link *link, uint64_t *value)
{
	ssize_t length;

	while ((length = peal_recv(&link->rx, value, sizeof(*value), NULL, 0)) == -EAGAIN)
		wait_in_loop(link, PEAL_DATA);
	return length;
}

static void loop(uint32_t bell)
{
	struct post post = { .receive = receive_in_loop };

	make_link(post.links, bell);
	send_post(&post);
}

/* By a set, as an event loop does and in peal_set_wait. */
static struct peal_set *set;

static ssize_t receive_in_set(struct peal_link *link, uint64_t *value, int (*wait_in_set)(void))
{
	ssize_t length;

	while ((length = peal_recv(&link->rx, value, sizeof(*value), NULL, 0)) == -EAGAIN)
		if (wait_in_set() < 0)
			found(peal_error());
	return length;
}

static int set_arm_and_poll(void)
{
	int now = peal_set_arm(set);

	if (!now)
		poll_for_ring(peal_set_fd(set), -1);
	return now;
}

static int set_wait(void)
{
	return peal_set_wait(set, PEAL_FOREVER);
}

static ssize_t receive_in_set_loop(struct peal_link *link, uint64_t *value)
{
	return receive_in_set(link, value, set_arm_and_poll);
}

static ssize_t receive_in_set_wait(struct peal_link *link, uint64_t *value)
{
	return receive_in_set(link, value, set_wait);
}

static void post_of_set(uint32_t bell, ssize_t (*receives)(struct peal_link *, uint64_t *))
{
	struct post post = { .receive = receives };

	make_link(post.links, bell);
	check(peal_set_create(&set), 0);
	check(peal_set_add(set, post.links[1], NULL), 0);
	send_post(&post);
	peal_set_free(set);
}

/* Waits for room in a loop: one record fills the ring, so that no later release makes up for a ring
 * that the last one lost. */
static void *release_all(void *data)
{
	struct peal_link *link = data;
	struct peal_message message;
	uint32_t random = 11;
	int err;

	pin(1);
	waiting = link;
	for (;;) {
		while ((err = peal_peek(&link->rx, &message, 0)) == -EAGAIN)
			peal_relax();
		if (err)
			return NULL;
		dither(&random, random & 1 << 20 ? 300 : 6000);
		clog(&random);
		peal_release(&link->rx);
	}
}

static void wait_for_room_in_loop(struct peal_link *link)
{
	wait_in_loop(link, PEAL_ROOM);
}

static void wait_for_room_in_set(struct peal_link *link)
{
	check(peal_set_want_room(set, link), 0);
	if (peal_set_wait(set, PEAL_FOREVER) < 0)
		found(peal_error());
	/* It has the room, whether it takes notice or not. */
	while (peal_set_next(set, NULL))
		;
	bell_disarm(link, PEAL_ROOM);
	forget_fences(&link->room);
}

static void post_room(void (*wait_for_room)(struct peal_link *link))
{
	struct peal_link *links[2];
	static uint8_t record[2500];
	pthread_t thread;
	uint32_t i;
	int err;

	make_link(links, PEAL_BELL_SOCKET);
	check(peal_set_create(&set), 0);
	if (wait_for_room == wait_for_room_in_set)
		check(peal_set_add(set, links[0], NULL), 0);
	waiting = links[0];
	pthread_create(&thread, NULL, release_all, links[1]);
	pin(0);
	for (i = 0; i % 64 || platform_now() < end_ns; i++) {
		while ((err = peal_send(&links[0]->tx, record, sizeof(record), 0, 0)) == -EAGAIN)
			wait_for_room(links[0]);
		check(err, 0);
	}
	peal_close(links[0]);
	pthread_join(thread, NULL);
	peal_close(links[1]);
	peal_set_free(set);
	printf("%u messages\n", i);
}

static void room(void)
{
	post_room(wait_for_room_in_loop);
}

static void room_in_set(void)
{
	post_room(wait_for_room_in_set);
}

/* Messages in batches, of all kinds, in a ring of one page, which holds some batches and is less
 * than others. */
#define BATCH 5
#define BATCHED_MOST 1500

struct taker {
	uint32_t next;
};

static void take_one(struct taker *taker, const struct peal_message *message)
{
	const uint8_t *bytes = message->data;

	if (message->tag != taker->next)
		found("a message came out of turn");
	for (size_t k = 0; k < message->length; k++)
		if (bytes[k] != (uint8_t)(taker->next | 1))
			found("a message came torn");
	taker->next++;
}

static int take_shown(void *data, const struct peal_message *message)
{
	take_one(data, message);
	return 0;
}

static void *take_batches(void *data)
{
	struct peal_link *link = data;
	struct peal_message messages[BATCH];
	static uint64_t buffer[512];
	struct taker taker = { .next = 0 };
	uint32_t random = 12;
	int count;

	pin(1);
	waiting = link;
	for (;;) {
		dither(&random, 300);
		if (random >> 31) {
			count = peal_drain(&link->rx, take_shown, &taker, 0, PEAL_FOREVER);
		} else {
			count = peal_recv_batch(&link->rx, buffer, sizeof(buffer), messages, BATCH,
						PEAL_FOREVER);
			for (int i = 0; i < count; i++)
				take_one(&taker, &messages[i]);
		}
		if (count < 0)
			break;
	}
	check(count, -EPIPE);
	return (void *)(uintptr_t)taker.next;
}

static void send_batch(struct peal_tx *tx, uint32_t first, uint32_t *random)
{
	static uint8_t payload[BATCH][BATCHED_MOST];
	uint32_t most = *random & 1 << 29 ? 200 : BATCHED_MOST;
	struct peal_message messages[BATCH];
	int sent, i;
	void *at;

	for (i = 0; i < BATCH; i++) {
		dither(random, 100);
		messages[i] = (struct peal_message){ .data = payload[i],
						     .length = (*random >> 8) % most,
						     .tag = first + (uint32_t)i };
		memset(payload[i], (uint8_t)((first + (uint32_t)i) | 1), most);
	}
	if (*random >> 31) {
		for (i = 0; i < BATCH; i += sent) {
			sent = peal_send_batch(tx, &messages[i], BATCH - i, PEAL_FOREVER);
			if (sent < 1)
				found(peal_error());
		}
		return;
	}
	for (i = 0; i < BATCH; i++) {
		const struct peal_message *message = &messages[i];

		if (i & 1) {
			check(peal_send_more(tx, message->data, message->length, message->tag,
					     PEAL_FOREVER),
			      0);
			continue;
		}
		check(peal_reserve(tx, message->length, &at, PEAL_FOREVER), 0);
		if (message->length)
			memcpy(at, message->data, message->length);
		if (i < BATCH - 1 || *random & 1 << 30)
			check(peal_commit_more(tx, message->length, message->tag), 0);
		else
			check(peal_commit(tx, message->length, message->tag), 0);
	}
	peal_flush(tx);
}

static void batches(void)
{
	struct peal_link *links[2];
	uint32_t i, random = 13;
	pthread_t thread;
	void *taken;

	make_pair(links, 4096);
	waiting = links[0];
	pthread_create(&thread, NULL, take_batches, links[1]);
	pin(0);
	for (i = 0; i % 64 || platform_now() < end_ns; i += BATCH)
		send_batch(&links[0]->tx, i, &random);
	peal_close(links[0]);
	pthread_join(thread, &taken);
	if ((uintptr_t)taken != i)
		found("messages of a batch were lost");
	peal_close(links[1]);
	printf("%u messages\n", i);
}

/* Messages of several laps. */
#define LONG_MOST 20000

static void *take_long(void *data)
{
	struct peal_link *link = data;
	struct peal_message about;
	static uint8_t buffer[LONG_MOST];
	ssize_t length;

	pin(1);
	waiting = link;
	for (uint32_t i = 0;; i++) {
		length = peal_recv(&link->rx, buffer, sizeof(buffer), &about, PEAL_FOREVER);
		if (length < 0)
			break;
		if (about.tag != i)
			found("a message came out of turn");
		for (ssize_t k = 0; k < length; k++)
			if (buffer[k] != (uint8_t)i)
				found("a message came torn");
	}
	check((int)length, -EPIPE);
	return NULL;
}

static void long_messages(void)
{
	struct peal_link *links[2];
	static uint8_t payload[LONG_MOST];
	uint32_t i, random = 14;
	pthread_t thread;

	make_pair(links, 4096);
	waiting = links[0];
	pthread_create(&thread, NULL, take_long, links[1]);
	pin(0);
	for (i = 0; i % 64 || platform_now() < end_ns; i++) {
		dither(&random, 300);
		memset(payload, (uint8_t)i, sizeof(payload));
		check(peal_send(&links[0]->tx, payload, (random >> 8) % LONG_MOST, i, PEAL_FOREVER),
		      0);
	}
	peal_close(links[0]);
	pthread_join(thread, NULL);
	peal_close(links[1]);
	printf("%u messages\n", i);
}

/* The peer that closes while we look at its socket. */
static struct peal_link *closes_now;

bool __real_platform_hung_up(int fd);
bool __wrap_platform_hung_up(int fd);
bool __wrap_platform_hung_up(int fd)
{
	if (!closes_now)
		return __real_platform_hung_up(fd);
	__atomic_store_n(&closes_now->page->closed, 1, __ATOMIC_RELEASE);
	return true;
}

/* What needs no second thread to be shown. */
static void windows(void)
{
	struct peal_link *links[2];
	struct peal_stats stats = { .size = sizeof(stats) };
	uint64_t header;
	int err;

	make_pair(links, 4096);
	/* One ring a sleep, however many messages come before the sleeper has woken up. */
	__atomic_store_n(&links[1]->page->rx_asleep, PEAL_ASLEEP_EPOCH | PEAL_ASLEEP,
			 __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < 10; i++)
		check(peal_send(&links[0]->tx, &i, sizeof(i), 0, 0), 0);
	peal_link_stats(links[0], &stats);
	if (stats.tx.rung != 1)
		found("one sleep was rung for more than once");
	/* The receiver found the ring empty; then these came, and the end; then it looked for
	 * that. */
	peal_close(links[0]);
	header = peal_peek_wait(&links[1]->rx, 0, &err);
	if (!header)
		found("a message that was sent before closing was lost");
	peal_close(links[1]);

	/* It was open at the first look, and closed when its socket was found hung up. */
	make_pair(links, 4096);
	closes_now = links[0];
	links[1]->fd = 0;
	if (link_verdict(links[1], true) != -EPIPE)
		found("a peer that closed was taken for dead");
	links[1]->fd = -1;
	closes_now = NULL;
	peal_close(links[0]);
	peal_close(links[1]);
	printf("all as it should be\n");
}

/* The end of closing by itself, as often as it goes: `closed`, and the ring to whom it concerns. */
struct ringer {
	struct peal_link *link;
	uint64_t turn; /* odd: the ringer's */
};

static void *ring_out(void *data)
{
	struct ringer *ringer = data;
	uint32_t random = 6;

	pin(1);
	for (;;) {
		uint64_t turn;

		while (!((turn = __atomic_load_n(&ringer->turn, __ATOMIC_ACQUIRE)) & 1))
			peal_relax();
		if (turn == UINT64_MAX)
			return NULL;
		dither(&random, 100);
		clog(&random);
		__atomic_store_n(&ringer->link->page->closed, 1, __ATOMIC_RELEASE);
		bell_ring_out(ringer->link);
		__atomic_store_n(&ringer->turn, turn + 1, __ATOMIC_RELEASE);
	}
}

static void ringing_out(void)
{
	struct peal_link *links[2];
	struct ringer ringer = { .turn = 0 };
	const uint64_t *word;
	uint64_t seen;
	pthread_t thread;
	uint32_t random = 7;

	make_pair(links, 4096);
	ringer.link = links[0];
	waiting = links[1];
	word = (const uint64_t *)(const void *)links[1]->rx.data;
	pthread_create(&thread, NULL, ring_out, &ringer);
	pin(0);
	do {
		__atomic_store_n(&ringer.turn, ringer.turn + 1, __ATOMIC_RELEASE);
		dither(&random, 100);
		check(bell_wait(links[1], &links[1]->data, word, 1, PEAL_FOREVER, &seen), -EPIPE);
		while (__atomic_load_n(&ringer.turn, __ATOMIC_ACQUIRE) & 1)
			peal_relax();
		__atomic_store_n(&links[0]->page->closed, 0, __ATOMIC_RELAXED);
		/* It remembers: the next end would be one that it knows of. */
		__atomic_store_n(&links[1]->closed, 0, __ATOMIC_RELAXED);
	} while (ringer.turn % 512 || platform_now() < end_ns);
	printf("%llu ends\n", (unsigned long long)ringer.turn / 2);
	__atomic_store_n(&ringer.turn, UINT64_MAX, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	peal_close(links[0]);
	peal_close(links[1]);
}

/* Closing just as the other side falls asleep: it must wake up, and get all that was sent. */
static void *take_until_closed(void *data)
{
	struct peal_link *link = data;
	uint32_t random = (uint32_t)(platform_now() >> 4), value, i = 0;
	ssize_t length;

	waiting = link;
	dither(&random, 400);
	while ((length = peal_recv(&link->rx, &value, sizeof(value), NULL, PEAL_FOREVER)) >= 0)
		if (value != i++)
			found("a message came out of turn");
	if (length != -EPIPE)
		found(peal_error());
	return (void *)(uintptr_t)i;
}

struct closer {
	pthread_barrier_t barrier;
	struct peal_link *link;
	bool done;
};

static void *close_when_told(void *data)
{
	struct closer *closer = data;
	uint32_t random = 5, i;

	pin(1);
	for (;;) {
		pthread_barrier_wait(&closer->barrier);
		if (closer->done)
			return NULL;
		waiting = closer->link;
		dither(&random, 2000);
		for (i = 0; i < 3; i++)
			check(peal_send(&closer->link->tx, &i, sizeof(i), 0, PEAL_FOREVER), 0);
		peal_close(closer->link);
		pthread_barrier_wait(&closer->barrier);
	}
}

static void closing(void)
{
	struct closer closer = { .done = false };
	struct peal_link *links[2];
	pthread_t thread;
	unsigned long n;

	pthread_barrier_init(&closer.barrier, NULL, 2);
	pthread_create(&thread, NULL, close_when_told, &closer);
	pin(0);
	for (n = 0; platform_now() < end_ns; n++) {
		make_pair(links, 4096);
		closer.link = links[0];
		pthread_barrier_wait(&closer.barrier);
		if ((uintptr_t)take_until_closed(links[1]) != 3)
			found("a message that was sent before closing was lost");
		pthread_barrier_wait(&closer.barrier);
		peal_close(links[1]);
	}
	closer.done = true;
	pthread_barrier_wait(&closer.barrier);
	pthread_join(thread, NULL);
	printf("%lu links closed\n", n);
}

static void ladder_by_socket(void)
{
	post_of_link(PEAL_BELL_SOCKET);
}

static void ladder_by_eventfd(void)
{
	post_of_link(PEAL_BELL_EVENTFD);
}

static void loop_by_socket(void)
{
	loop(PEAL_BELL_SOCKET);
}

static void loop_by_eventfd(void)
{
	loop(PEAL_BELL_EVENTFD);
}

static void loop_anew(void)
{
	anew = true;
	loop(PEAL_BELL_SOCKET);
}

static void room_anew(void)
{
	anew = true;
	room();
}

static void set_loop_by_socket(void)
{
	post_of_set(PEAL_BELL_SOCKET, receive_in_set_loop);
}

static void set_loop_by_eventfd(void)
{
	post_of_set(PEAL_BELL_EVENTFD, receive_in_set_loop);
}

static void set_wait_by_socket(void)
{
	post_of_set(PEAL_BELL_SOCKET, receive_in_set_wait);
}

static void set_wait_by_eventfd(void)
{
	post_of_set(PEAL_BELL_EVENTFD, receive_in_set_wait);
}

#define FENCE PEAL_WAIT_SLEEP, PEAL_BARRIER_FENCE, WORKS
#define ASYMMETRIC(does) PEAL_WAIT_SLEEP, PEAL_BARRIER_ASYMMETRIC, does

static const struct {
	const char *name;
	void (*run)(void);
	uint32_t wait, barrier;
	enum membarrier membarrier;
} cases[] = {
	{ "trips", trips, FENCE },
	{ "spins", trips, PEAL_WAIT_SPIN, PEAL_BARRIER_FENCE, WORKS },
	{ "stream", stream, FENCE },
	{ "windows", windows, FENCE },
	{ "ring-out", ringing_out, FENCE },
	{ "close", closing, FENCE },
	{ "batches", batches, FENCE },
	{ "long", long_messages, FENCE },
	{ "asymmetric", post_of_pair, ASYMMETRIC(WORKS) },
	{ "changing", changing_post, ASYMMETRIC(WORKS) },
	{ "failing", changing_post, ASYMMETRIC(FAILS) },
	{ "doing-nothing", post_of_pair, ASYMMETRIC(DOES_NOTHING) },
	{ "left-out", post_of_pair, ASYMMETRIC(LEAVES_OUT) },
	{ "ladder-socket", ladder_by_socket, FENCE },
	{ "ladder-eventfd", ladder_by_eventfd, ASYMMETRIC(WORKS) },
	{ "ladder-doing-nothing", ladder_by_socket, ASYMMETRIC(DOES_NOTHING) },
	{ "loop-socket", loop_by_socket, FENCE },
	{ "loop-eventfd", loop_by_eventfd, ASYMMETRIC(DOES_NOTHING) },
	{ "loop-anew", loop_anew, FENCE },
	{ "set-loop-socket", set_loop_by_socket, FENCE },
	{ "set-loop-eventfd", set_loop_by_eventfd, ASYMMETRIC(DOES_NOTHING) },
	{ "set-wait-socket", set_wait_by_socket, FENCE },
	{ "set-wait-eventfd", set_wait_by_eventfd, ASYMMETRIC(WORKS) },
	{ "set-wait-doing-nothing", set_wait_by_socket, ASYMMETRIC(DOES_NOTHING) },
	{ "room", room, FENCE },
	{ "room-anew", room_anew, FENCE },
	{ "room-in-set", room_in_set, FENCE },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 3 && i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(argv[1], cases[i].name))
			continue;
		end_ns = platform_now() + (uint64_t)(atof(argv[2]) * 1e9);
		wait_mode = cases[i].wait;
		barrier_mode = cases[i].barrier;
		membarrier = cases[i].membarrier;
		cases[i].run();
		if (membarrier != WORKS)
			printf("%lu mended by a second look\n", mended);
		return 0;
	}
	fprintf(stderr, "stress: usage: stress CASE SECONDS; the cases:");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		fprintf(stderr, " %s", cases[i].name);
	fprintf(stderr, "\n");
	return 64;
}
