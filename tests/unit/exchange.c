/*
 * SPDX-License-Identifier: MIT
 *
 * Two threads exchange messages over every usable ring variant, with every usable waiter, in every
 * way of waiting. White-box only in that it chooses a link's tables.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "lib/link.h"
#include "tests/unit/combination.h"
#include "tests/unit/stage.h"

/* Enough for many laps of the ring; busy machines let two that spin take turns of milliseconds. */
#define MESSAGES (runner_burdened() ? 4000u : 10000u)

#define RING ((uint64_t)64 << 10)

static struct peal_link *links[2];

static void open_chosen(int number, uint64_t ring)
{
	struct peal_options options = stage_options(0, ring);

	combination_open(number, links, &options);
}

/*
 * What the threads do. libcheck's asserts are for the main thread: the others leave a sentence.
 */

struct side {
	struct peal_link *link;
	uint32_t seed; /* of what it sends */
	uint32_t count;
	char failure[512];
};

#define FAILED(side, ...) snprintf((side)->failure, sizeof((side)->failure), __VA_ARGS__)

static uint32_t hash(uint32_t x)
{
	x = (x ^ (x >> 16)) * 0x45d9f3bu;
	x = (x ^ (x >> 16)) * 0x45d9f3bu;
	return x ^ (x >> 16);
}

/* Mostly small, some of hundreds of bytes: 64 of the longest fit the ring. */
static size_t length_of(uint32_t seed, uint32_t n)
{
	uint32_t x = hash(seed + n * 2654435761u);

	return x % 16 ? x / 16 % 65 : x / 16 % 900;
}

/* By each of the verbs in turn. */
static int send_one(struct peal_tx *tx, uint32_t seed, uint32_t n)
{
	size_t length = length_of(seed, n), half = length / 2;
	uint8_t text[1024];
	struct iovec pieces[2] = { { .iov_base = text, .iov_len = half },
				   { .iov_base = text + half, .iov_len = length - half } };
	void *at;
	int err;

	switch (n % 3) {
	case 0:
		payload_fill(text, length, seed + n);
		return peal_send(tx, text, length, n, LONG);
	case 1:
		payload_fill(text, length, seed + n);
		return peal_sendv(tx, pieces, 2, n, LONG);
	default:
		err = peal_reserve(tx, length + n % 9, &at, LONG);
		if (err)
			return err;
		payload_fill(at, length, seed + n);
		return peal_commit(tx, length, n);
	}
}

/* Copied out and in place in turn. Returns 0, an errno, or 1: it is not what was sent. */
static int receive_one(struct peal_rx *rx, uint32_t seed, uint32_t n)
{
	size_t length = length_of(seed, n);
	struct peal_message message;
	uint8_t text[1024];
	bool right;
	int err;

	if (n % 2) {
		int64_t got = peal_recv(rx, text, sizeof(text), &message, LONG);

		if (got < 0)
			return (int)got;
		return got != (int64_t)length || message.tag != n ||
		       !payload_matches(text, length, seed + n);
	}
	err = peal_peek(rx, &message, LONG);
	if (err)
		return err;
	right = message.length == length && message.tag == n &&
		payload_matches(message.data, length, seed + n);
	peal_release(rx);
	return !right;
}

static bool sent(struct side *side, uint32_t n)
{
	int err = send_one(peal_link_tx(side->link), side->seed, n);

	if (err)
		FAILED(side, "message %u was not sent: %d: %s", n, err, peal_error());
	return !err;
}

static bool received(struct side *side, uint32_t seed, uint32_t n)
{
	int err = receive_one(peal_link_rx(side->link), seed, n);

	if (err > 0)
		FAILED(side, "message %u is not what was sent", n);
	else if (err)
		FAILED(side, "message %u was not received: %d: %s", n, err, peal_error());
	return !err;
}

/* Sends some, receives as many, and again; so neither ring can be full for both. */
static void *converse(void *data)
{
	struct side *side = data;
	uint32_t n = 0;

	for (uint32_t turn = 0; n < side->count; turn++) {
		uint32_t some = hash(turn) % 64 + 1, end = n + some;

		if (end > side->count)
			end = side->count;
		for (uint32_t i = n; i < end; i++)
			if (!sent(side, i))
				return NULL;
		for (uint32_t i = n; i < end; i++)
			if (!received(side, ~side->seed, i))
				return NULL;
		n = end;
	}
	return NULL;
}

static void *send_all(void *data)
{
	struct side *side = data;

	for (uint32_t n = 0; n < side->count; n++)
		if (!sent(side, n))
			break;
	return NULL;
}

static void *receive_all(void *data)
{
	struct side *side = data;

	for (uint32_t n = 0; n < side->count; n++)
		if (!received(side, ~side->seed, n))
			break;
	return NULL;
}

static uint64_t counted(const struct peal_link *link, bool tx)
{
	struct peal_stats stats = { .size = sizeof(stats) };

	return peal_link_stats(link, &stats) ? 0 : tx ? stats.tx.waits : stats.rx.waits;
}

/* Takes messages out only once the sender has found the ring full, a few at a time. */
static void *receive_slowly(void *data)
{
	struct side *side = data;
	uint64_t full = 0;

	for (uint32_t n = 0; n < side->count; n++) {
		if (n % 512 == 0 && side->count - n > 2048) {
			while (counted(links[0], true) == full)
				sched_yield();
			full = counted(links[0], true);
		}
		if (!received(side, ~side->seed, n))
			break;
	}
	return NULL;
}

static void together(void *(*first)(void *), struct side *one, void *(*second)(void *),
		     struct side *other)
{
	pthread_t threads[2];

	ck_assert_int_eq(pthread_create(&threads[0], NULL, first, one), 0);
	ck_assert_int_eq(pthread_create(&threads[1], NULL, second, other), 0);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	ck_assert_str_eq(one->failure, "");
	ck_assert_str_eq(other->failure, "");
}

START_TEST(two_threads_exchange_messages_in_both_directions)
	{
		uint32_t count = runner_long() ? 20 * MESSAGES : MESSAGES;
		struct side one = { .seed = 1, .count = count };
		struct side other = { .seed = ~1u, .count = count };
		struct peal_stats stats = { .size = sizeof(stats) };

		open_chosen(_i, RING);
		one.link = links[0];
		other.link = links[1];
		together(converse, &one, converse, &other);
		for (int i = 0; i < 2; i++) {
			ck_assert_int_eq(peal_link_stats(links[i], &stats), 0);
			ck_assert_uint_eq(stats.tx.messages, count);
			ck_assert_uint_eq(stats.rx.messages, count);
			if (links[i]->data.spin_ns == UINT64_MAX)
				ck_assert_uint_eq(stats.tx.sleeps + stats.rx.sleeps + stats.tx.rung,
						  0);
		}
		pair_close(links);
	}
END_TEST

START_TEST(a_sender_waits_for_a_slow_receiver_and_loses_nothing)
	{
		struct side one = { .seed = 5, .count = 10000 },
			    other = { .seed = ~5u, .count = 10000 };

		open_chosen(_i, 2 * stage_page());
		one.link = links[0];
		other.link = links[1];
		together(send_all, &one, receive_slowly, &other);
		ck_assert_uint_gt(counted(links[0], true), 0);
		pair_close(links);
	}
END_TEST

START_TEST(both_ends_of_both_sides_may_be_threads_of_their_own)
	{
		static void *(*const roles[])(void *) = { send_all, receive_all, send_all,
							  receive_all };
		struct side sides[4];
		pthread_t threads[4];
		uint32_t count = MESSAGES / 10;

		open_chosen(_i, stage_page());
		/* Four that spin on fewer CPUs take a time slice of the scheduler's for each
		 * turn. */
		if (links[0]->data.spin_ns == UINT64_MAX && platform_cpus() < 8)
			count = 500;
		for (unsigned i = 0; i < 4; i++) {
			sides[i] = (struct side){ .link = links[i / 2],
						  .seed = i / 2 ? ~7u : 7u,
						  .count = count };
			ck_assert_int_eq(pthread_create(&threads[i], NULL, roles[i], &sides[i]), 0);
		}
		for (unsigned i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		for (unsigned i = 0; i < 4; i++)
			ck_assert_str_eq(sides[i].failure, "");
		pair_close(links);
	}
END_TEST

START_TEST(a_wait_ends_with_its_timeout)
	{
		static const int64_t timeouts[] = { 0, 1, MS, 50 * MS };
		struct peal_message message;
		void *at;

		open_chosen(_i, stage_page());
		while (!peal_send(peal_link_tx(links[0]), "full", 4, 0, 0))
			;
		for (unsigned i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
			int err = timeouts[i] ? -ETIMEDOUT : -EAGAIN;

			expect_error(peal_peek(peal_link_rx(links[0]), &message, timeouts[i]), err,
				     NULL);
			expect_error(peal_reserve(peal_link_tx(links[0]), 4, &at, timeouts[i]), err,
				     "full", NULL);
		}
		pair_close(links);
	}
END_TEST

static void *send_when_it_waits(void *data)
{
	struct side *side = data;

	while (!counted(links[1], false))
		sched_yield();
	sent(side, 0);
	return NULL;
}

START_TEST(a_wait_for_ever_ends_with_a_message)
	{
		struct side one = { .seed = 3, .count = 1 };
		pthread_t thread;
		struct peal_message message;

		open_chosen(_i, stage_page());
		one.link = links[0];
		ck_assert_int_eq(pthread_create(&thread, NULL, send_when_it_waits, &one), 0);
		ck_assert_int_eq(peal_peek(peal_link_rx(links[1]), &message, PEAL_FOREVER), 0);
		ck_assert(payload_matches(message.data, message.length, 3));
		pthread_join(thread, NULL);
		ck_assert_str_eq(one.failure, "");
		pair_close(links);
	}
END_TEST

static void *close_when_it_waits(void *data)
{
	bool tx = *(bool *)data;

	while (!counted(links[1], tx))
		sched_yield();
	peal_close(links[0]);
	links[0] = NULL;
	return NULL;
}

START_TEST(a_wait_for_ever_ends_with_the_peers_close)
	{
		pthread_t thread;
		struct peal_message message;
		bool tx = _i % 2;

		open_chosen(_i / 2, stage_page());
		while (tx && !peal_send(peal_link_tx(links[1]), "full", 4, 0, 0))
			;
		ck_assert_int_eq(pthread_create(&thread, NULL, close_when_it_waits, &tx), 0);
		if (tx)
			expect_error(peal_send(peal_link_tx(links[1]), "more", 4, 0, PEAL_FOREVER),
				     -EPIPE, "closed", NULL);
		else
			expect_error(peal_peek(peal_link_rx(links[1]), &message, PEAL_FOREVER),
				     -EPIPE, "closed", NULL);
		pthread_join(thread, NULL);
		pair_close(links);
	}
END_TEST

/* The same between the two ends of a socket, where the peer's memory is read-only. */
START_TEST(linked_through_a_socket_they_exchange_as_well)
	{
		struct side one = { .seed = 1, .count = MESSAGES / 4 };
		struct side other = { .seed = ~1u, .count = MESSAGES / 4 };
		struct peal_options options = stage_options((uint32_t)_i, RING);
		struct meeting meeting;

		meeting_open(&meeting, &options, &options);
		one.link = meeting.client;
		other.link = meeting.server;
		together(converse, &one, converse, &other);
		meeting_close(&meeting);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("exchange");
	TCase *all = tcase_create("exchange");
	int count = combination_count();

	tcase_set_timeout(all, runner_long() ? 600 : 60);
	tcase_add_loop_test(all, two_threads_exchange_messages_in_both_directions, 0, count);
	tcase_add_loop_test(all, a_sender_waits_for_a_slow_receiver_and_loses_nothing, 0, count);
	tcase_add_loop_test(all, both_ends_of_both_sides_may_be_threads_of_their_own, 0, count);
	tcase_add_loop_test(all, a_wait_ends_with_its_timeout, 0, count);
	tcase_add_loop_test(all, a_wait_for_ever_ends_with_a_message, 0, count);
	tcase_add_loop_test(all, a_wait_for_ever_ends_with_the_peers_close, 0, 2 * count);
	tcase_add_loop_test(all, linked_through_a_socket_they_exchange_as_well, 0, 3);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
