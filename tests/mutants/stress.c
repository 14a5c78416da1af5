/*
 * SPDX-License-Identifier: MIT
 *
 * The protocol under stress, to be built with one piece of it taken out: tests/mutants/run does
 * that and must see this program fail. Its waiter never enters the kernel, so that millions of
 * sleeps a second meet millions of publications; and it never gives up on a data bell, so that one
 * lost wake-up is not healed by a slice, but seen.
 *
 * Usage: stress trips|spins|stream|windows|ring-out|close SECONDS. Exit status 0: nothing found; 1: found, and said.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Sleeps by looking. A data bell that stays silent this long, while its peer runs, was lost. */
static int wait_for_ring(const uint32_t *word, uint32_t seen, int64_t ns, bool data)
{
	uint64_t begin = platform_now();

	for (;;) {
		for (int i = 0; i < 1000; i++) {
			if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != seen)
				return 0;
			peal_relax();
		}
		if (!data && platform_now() - begin >= (uint64_t)ns)
			return -ETIMEDOUT;
		if (data && platform_now() - begin >= LOST_NS)
			return -ETIMEDOUT;
	}
}

static __thread const struct peal_link *waiting; /* whose thread this is */

static int stress_wait(const uint32_t *word, uint32_t seen, int64_t ns, bool shared)
{
	bool data = word == &waiting->peer_page->data_wake;
	const uint64_t *header;

	(void)shared;
	if (wait_for_ring(word, seen, ns, data) == 0)
		return 0;
	if (!data)
		return -ETIMEDOUT;
	header = (const uint64_t *)(const void *)(waiting->rx.data +
						  (waiting->rx.pos & waiting->rx.mask));
	if (__atomic_load_n(header, __ATOMIC_ACQUIRE))
		found("a message was published, its receiver sleeps, and nobody rang");
	if (__atomic_load_n(&waiting->peer_page->closed, __ATOMIC_ACQUIRE))
		found("the peer has closed, the receiver sleeps, and nobody rang");
	return -ETIMEDOUT;
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

static void make_pair(struct peal_link *links[2], uint64_t ring)
{
	struct peal_options options;

	peal_options_init(&options);
	options.ring = ring;
	options.wait = wait_mode;
	if (peal_pair(links, &options)) {
		fprintf(stderr, "stress: %s\n", peal_error());
		_Exit(2);
	}
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

static void check(int err, int wanted)
{
	if (err != wanted)
		found(peal_error());
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

/* The peer that closes while we look at its socket. The linker puts this in the way of every call
 * of platform_hung_up. */
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
	/* The receiver found the ring empty; then these came, and the end; then it looked for that. */
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

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr,
			"stress: usage: stress trips|spins|stream|windows|ring-out|close SECONDS\n");
		return 64;
	}
	end_ns = platform_now() + (uint64_t)(atof(argv[2]) * 1e9);
	if (!strcmp(argv[1], "spins"))
		wait_mode = PEAL_WAIT_SPIN;
	if (!strcmp(argv[1], "trips") || !strcmp(argv[1], "spins"))
		trips();
	else if (!strcmp(argv[1], "stream"))
		stream();
	else if (!strcmp(argv[1], "windows"))
		windows();
	else if (!strcmp(argv[1], "ring-out"))
		ringing_out();
	else
		closing();
	return 0;
}
