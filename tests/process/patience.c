/*
 * SPDX-License-Identifier: MIT
 *
 * Time: calls end when they were told to, a peer that is stopped is not dead, and signals end no
 * wait early. What is measured has limits that only something broken passes.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/scene.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define RING 16384
#define SHORT (30 * MS)

static uint8_t buffer[65536];

/* Whether something that was to wait so long from then did, and not ten seconds more. */
static void expect_waited(uint64_t since, int64_t wait)
{
	uint64_t waited = scene_now() - since;

	ck_assert_uint_ge(waited, (uint64_t)wait);
	ck_assert_uint_lt(waited, (uint64_t)(wait + 10 * SECOND));
}

static int receive(struct peal_link *link, int64_t timeout)
{
	return (int)peal_recv(peal_link_rx(link), buffer, sizeof(buffer), NULL, timeout);
}

static int fill(struct peal_link *link, int64_t timeout)
{
	int err;

	do
		err = peal_send(peal_link_tx(link), buffer, 1000, 0, timeout);
	while (!err);
	return err;
}

START_TEST(receiving_and_sending_end_at_their_deadlines)
	{
		struct peal_link *link;
		struct peer peer;
		uint64_t begin;
		unsigned got = 0;

		peer_start(&peer);
		link = peer_link(&peer, true, (unsigned)_i, RING);
		ck_assert_int_eq(receive(link, 0), -EAGAIN);
		begin = scene_now();
		ck_assert_int_eq(receive(link, SHORT), -ETIMEDOUT);
		expect_waited(begin, SHORT);
		ck_assert_int_eq(fill(link, 0), -EAGAIN);
		begin = scene_now();
		ck_assert_int_eq(fill(link, SHORT), -ETIMEDOUT);
		expect_waited(begin, SHORT);
		/* Nothing is lost by it. */
		while (got < 16)
			got += peer_ask(&peer, "recv 0") == 1000;
		ck_assert_int_eq(peer_ask(&peer, "recv 0"), -EAGAIN);
		ck_assert_int_eq(fill(link, 0), -EAGAIN);
		ck_assert_int_eq(peer_ask(&peer, "send 77 forever"), 0);
		ck_assert_int_eq(receive(link, PEAL_FOREVER), 77);
		peal_close(link);
		peer_end(&peer);
	}
END_TEST

START_TEST(accepting_and_connecting_end_at_their_deadlines)
	{
		struct sockaddr_un address = { .sun_family = AF_UNIX };
		const char *path = scene_path("silent");
		struct peal_listener *listener;
		struct peal_link *link;
		uint64_t begin;
		int fd;

		ck_assert_int_eq(peal_listen(&listener, scene_path("server"), NULL), 0);
		ck_assert_int_eq(peal_accept(listener, &link, 0), -EAGAIN);
		begin = scene_now();
		ck_assert_int_eq(peal_accept(listener, &link, SHORT), -ETIMEDOUT);
		expect_waited(begin, SHORT);
		/* A server that is there and does not answer. */
		begin = scene_now();
		ck_assert_int_eq(peal_connect(&link, scene_path("server"), NULL, SHORT),
				 -ETIMEDOUT);
		expect_waited(begin, SHORT);
		ck_assert_int_eq(peal_connect(&link, scene_path("server"), NULL, 0), -EAGAIN);
		peal_listener_close(listener);
		/* One that does not even take clients in. */
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		ck_assert_int_ge(fd, 0);
		memcpy(address.sun_path, path, strlen(path));
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
		ck_assert_int_eq(listen(fd, 0), 0);
		for (unsigned i = 0; i < 3; i++) {
			begin = scene_now();
			ck_assert_int_eq(peal_connect(&link, path, NULL, SHORT), -ETIMEDOUT);
			expect_waited(begin, SHORT);
		}
		close(fd);
	}
END_TEST

START_TEST(a_stopped_sender_is_not_dead_and_goes_on)
	{
		static struct traffic traffic;
		uint64_t count = 3000, stops = 0;
		struct peal_link *link;
		struct peer peer;
		uint64_t begin;
		int err = 0;

		peer_start(&peer);
		link = peer_link(&peer, true, (unsigned)_i, RING);
		traffic_begin(&traffic, scene_random(), RING);
		peer_tell(&peer, "produce %" PRIu64 " %" PRIu64 " forever", traffic.seed, count);
		while (traffic.next < count) {
			if (traffic.next == 500 * stops) {
				peer_stop(&peer);
				do {
					begin = scene_now();
					err = traffic_receive(&traffic, peal_link_rx(link), SHORT);
				} while (!err);
				ck_assert_msg(err == -ETIMEDOUT, "%d %s", err, peal_error());
				expect_waited(begin, SHORT);
				peer_continue(&peer);
				stops = traffic.next / 500 + 1;
			}
			err = traffic_receive(&traffic, peal_link_rx(link), SCENE_PATIENCE);
			ck_assert_msg(!err, "message %" PRIu64 ": %d %s", traffic.next, err,
				      peal_error());
		}
		ck_assert_int_eq(peer_hear(&peer, "produce"), 0);
		peal_close(link);
		peer_end(&peer);
	}
END_TEST

START_TEST(a_stopped_receiver_is_not_dead_and_goes_on)
	{
		static struct traffic traffic;
		uint64_t count = 3000, stops = 0;
		struct peal_link *link;
		struct peer peer;
		uint64_t begin;
		int err = 0;

		peer_start(&peer);
		link = peer_link(&peer, false, (unsigned)_i, RING);
		traffic_begin(&traffic, scene_random(), RING);
		peer_tell(&peer, "consume %" PRIu64 " %" PRIu64 " forever", traffic.seed, count);
		while (traffic.next < count) {
			if (traffic.next >= 500 * stops && traffic.next < count - 500) {
				peer_stop(&peer);
				do {
					begin = scene_now();
					err = traffic_send(&traffic, peal_link_tx(link), SHORT);
				} while (!err);
				ck_assert_msg(err == -ETIMEDOUT, "%d %s", err, peal_error());
				expect_waited(begin, SHORT);
				peer_continue(&peer);
				stops = traffic.next / 500 + 1;
			}
			err = traffic_send(&traffic, peal_link_tx(link), SCENE_PATIENCE);
			ck_assert_msg(!err, "message %" PRIu64 ": %d %s", traffic.next, err,
				      peal_error());
		}
		ck_assert_msg(peer_hear(&peer, "consume") == 0, "%s", peer.text);
		peal_close(link);
		peer_end(&peer);
	}
END_TEST

static unsigned signals;

static void count_signal(int number)
{
	(void)number;
	__atomic_add_fetch(&signals, 1, __ATOMIC_RELAXED);
}

START_TEST(signals_end_no_wait_early)
	{
		static struct traffic traffic;
		struct peal_listener *listener;
		struct peal_link *link, *none;
		struct pest pest;
		struct peer peer;
		uint64_t begin;
		int err;

		peer_start(&peer);
		link = peer_link(&peer, true, (unsigned)_i, RING);
		traffic_begin(&traffic, scene_random(), RING);
		ck_assert_int_eq(peal_listen(&listener, scene_path("server"), NULL), 0);
		pest_start(&pest, count_signal, 200000);
		begin = scene_now();
		ck_assert_int_eq(receive(link, 4 * SHORT), -ETIMEDOUT);
		expect_waited(begin, 4 * SHORT);
		begin = scene_now();
		ck_assert_int_eq(fill(link, 4 * SHORT), -ETIMEDOUT);
		expect_waited(begin, 4 * SHORT);
		begin = scene_now();
		ck_assert_int_eq(peal_accept(listener, &none, 4 * SHORT), -ETIMEDOUT);
		expect_waited(begin, 4 * SHORT);
		begin = scene_now();
		ck_assert_int_eq(peal_connect(&none, scene_path("server"), NULL, 4 * SHORT),
				 -ETIMEDOUT);
		expect_waited(begin, 4 * SHORT);
		peer_tell(&peer, "produce %" PRIu64 " 500 forever\nclose", traffic.seed);
		do
			err = traffic_receive(&traffic, peal_link_rx(link), PEAL_FOREVER);
		while (!err);
		ck_assert_msg(err == -EPIPE, "%d %s", err, peal_error());
		ck_assert_uint_eq(traffic.next, 500);
		pest_end(&pest);
		ck_assert_uint_gt(__atomic_load_n(&signals, __ATOMIC_RELAXED), 0);
		peal_listener_close(listener);
		peal_close(link);
		ck_assert_int_eq(peer_hear(&peer, "produce"), 0);
		peer_end(&peer);
	}
END_TEST

static Suite *patience(void)
{
	Suite *suite = suite_create("patience");
	TCase *tcase = scene_case("time");

	tcase_add_loop_test(tcase, receiving_and_sending_end_at_their_deadlines, 0, 3);
	tcase_add_test(tcase, accepting_and_connecting_end_at_their_deadlines);
	tcase_add_loop_test(tcase, a_stopped_sender_is_not_dead_and_goes_on, 0, 3);
	tcase_add_loop_test(tcase, a_stopped_receiver_is_not_dead_and_goes_on, 0, 3);
	tcase_add_loop_test(tcase, signals_end_no_wait_early, 0, 3);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { patience, NULL };

	return runner_main(suites);
}
