/*
 * SPDX-License-Identifier: MIT
 *
 * Processes that are stopped for longer than any time limit. Every verb that waits for one that
 * does not run comes back when its time is up, and it goes on where it was when the other one does;
 * likewise if it is the caller who did not run. tests/process/patience.c has streams.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/scene.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <peal.h>
#include <peal/client.h>
#include <peal/monitor.h>
#include <peal/server.h>

#define RING 16384
#define SHORT (10 * MS)

static uint8_t buffer[262144];

/* What was to wait for SHORT from then on did, and not ten seconds more. */
static void expect_waited(uint64_t since)
{
	uint64_t waited = scene_now() - since;

	ck_assert_uint_ge(waited, (uint64_t)SHORT);
	ck_assert_uint_lt(waited, (uint64_t)(SHORT + 10 * SECOND));
}

/* For what need not wait. */
static void expect_returned(uint64_t since)
{
	ck_assert_uint_lt(scene_now() - since, (uint64_t)(10 * SECOND));
}

static bool is_past(void *data)
{
	return scene_now() >= *(const uint64_t *)data;
}

static void let_pass(int64_t ns)
{
	uint64_t end = scene_now() + (uint64_t)ns;

	ck_assert(scene_until(is_past, &end));
}

START_TEST(every_verb_of_a_link_comes_back_in_time_from_a_peer_that_is_stopped)
	{
		struct peal_sending part = { .data = buffer, .length = 30000 };
		struct peal_message messages[2] = { { .data = buffer, .length = 8000 },
						    { .data = buffer, .length = 8000 } };
		struct peal_message message;
		struct peal_link *link;
		struct peal_set *set;
		struct peer peer;
		uint64_t begin;
		void *at;

		peer_start(&peer);
		peer_tell(&peer, "flags %d", PEAL_CALLS);
		link = peer_link(&peer, true, (unsigned)_i, RING);
		ck_assert_int_eq(peal_set_create(&set), 0);
		peer_stop(&peer);
		begin = scene_now();
		ck_assert_int_eq(peal_peek(peal_link_rx(link), &message, SHORT), -ETIMEDOUT);
		expect_waited(begin);
		begin = scene_now();
		ck_assert_int_eq(peal_recv_batch(peal_link_rx(link), buffer, sizeof(buffer),
						 messages, 1, SHORT),
				 -ETIMEDOUT);
		expect_waited(begin);
		if (_i != PEAL_WAIT_SPIN) {
			ck_assert_int_eq(peal_set_add(set, link, NULL), 0);
			begin = scene_now();
			ck_assert_int_eq(peal_set_wait(set, SHORT), -ETIMEDOUT);
			expect_waited(begin);
			ck_assert_int_eq(peal_set_remove(set, link), 0);
		}
		messages[0] = messages[1] = (struct peal_message){ .data = buffer, .length = 7000 };
		ck_assert_int_eq(peal_send_batch(peal_link_tx(link), messages, 2, SHORT), 2);
		begin = scene_now();
		ck_assert_int_eq(peal_reserve(peal_link_tx(link), 8000, &at, SHORT), -ETIMEDOUT);
		expect_waited(begin);
		begin = scene_now();
		ck_assert_int_eq(peal_send_batch(peal_link_tx(link), messages, 2, SHORT),
				 -ETIMEDOUT);
		expect_waited(begin);
		begin = scene_now();
		ck_assert_int_eq(peal_call(link, buffer, 8000, buffer, sizeof(buffer), NULL, SHORT),
				 -ETIMEDOUT);
		expect_waited(begin);
		begin = scene_now();
		ck_assert_int_eq(peal_send_part(peal_link_tx(link), &part, SHORT), -ETIMEDOUT);
		expect_waited(begin);
		peal_abort(peal_link_tx(link));
		begin = scene_now();
		ck_assert_int_eq(peal_send(peal_link_tx(link), buffer, 30000, 0, SHORT),
				 -ETIMEDOUT);
		expect_waited(begin);
		peer_continue(&peer);
		/* What was not sent did not come, and what was, did, whole. */
		ck_assert_int_eq(peer_ask(&peer, "recv forever"), 7000);
		ck_assert_int_eq(peer_ask(&peer, "recv forever"), 7000);
		ck_assert_int_eq(peal_send(peal_link_tx(link), buffer, 77, 0, SCENE_PATIENCE), 0);
		ck_assert_int_eq(peer_ask(&peer, "recv forever"), 77);
		/* One that is stopped is closed as well, and finds it so. */
		peer_stop(&peer);
		begin = scene_now();
		peal_close(link);
		peal_set_free(set);
		expect_returned(begin);
		peer_continue(&peer);
		ck_assert_int_eq(peer_ask(&peer, "recv forever"), -EPIPE);
		peer_end(&peer);
	}
END_TEST

START_TEST(a_server_that_is_stopped_is_waited_for_no_longer_than_it_was_told)
	{
		struct peal_monitored about = { .size = sizeof(about) };
		struct peal_options options = scene_options(PEAL_WAIT_ADAPTIVE, 4096);
		struct peal_monitor *monitor, *second;
		struct peal_client *client;
		struct peal_answer answer;
		struct peal_link *link;
		struct peer server;
		uint64_t begin;

		engine_start(&server);
		peer_tell(&server, "serve %s %d", scene_path("server"), _i + 1);
		ck_assert_msg(!peer_hear(&server, "serve"), "%s", server.text);
		ck_assert_int_eq(peal_client_open(&client, scene_path("server"), NULL), 0);
		ck_assert_int_eq(peal_client_call(client, "before", 6, 0, &answer, SCENE_PATIENCE),
				 0);
		ck_assert_uint_eq(answer.verdict, PEAL_REPLY);
		ck_assert_int_eq(peal_monitor_open(&monitor, scene_path("server"), SCENE_PATIENCE),
				 0);
		peer_stop(&server);
		begin = scene_now();
		ck_assert_int_eq(peal_connect(&link, scene_path("server"), &options, SHORT),
				 -ETIMEDOUT);
		expect_waited(begin);
		begin = scene_now();
		ck_assert_int_eq(peal_client_call(client, "during", 6, 0, &answer, SHORT), 0);
		ck_assert_uint_eq(answer.verdict, PEAL_TIMED_OUT);
		expect_waited(begin);
		begin = scene_now();
		ck_assert_int_eq(peal_client_begin(client, "second", 6, PEAL_IDEMPOTENT,
						   2 * SCENE_PATIENCE, NULL, NULL),
				 0);
		ck_assert_int_eq(peal_client_next(client, &answer, SHORT), -ETIMEDOUT);
		expect_waited(begin);
		begin = scene_now();
		ck_assert_int_eq(peal_monitor_refresh(monitor, SHORT), -ETIMEDOUT);
		expect_waited(begin);
		ck_assert_int_ge(peal_monitor_read(monitor, &about, NULL, 0), 1);
		begin = scene_now();
		ck_assert_int_eq(peal_monitor_open(&second, scene_path("server"), SHORT),
				 -ETIMEDOUT);
		expect_waited(begin);
		peer_continue(&server);
		/* What had waited longest has its answer dropped, and the other one has not. */
		ck_assert_int_eq(peal_client_next(client, &answer, SCENE_PATIENCE), 0);
		ck_assert_uint_eq(answer.verdict, PEAL_REPLY);
		ck_assert_int_eq((int)answer.length, 6);
		ck_assert_int_eq(memcmp(answer.data, "second", 6), 0);
		ck_assert_int_eq(peal_monitor_refresh(monitor, SCENE_PATIENCE), 0);
		ck_assert_msg(!peal_connect(&link, scene_path("server"), &options, SCENE_PATIENCE),
			      "%s", peal_error());
		peal_close(link);
		peal_monitor_close(monitor);
		/* With a call in flight. */
		peer_stop(&server);
		ck_assert_int_eq(peal_client_begin(client, "third", 5, 0, SECOND, NULL, NULL), 0);
		begin = scene_now();
		peal_client_close(client);
		expect_returned(begin);
		peer_continue(&server);
		ck_assert_int_eq(peer_ask(&server, "stop"), 0);
		peer_end(&server);
	}
END_TEST

static void on_message(void *data, struct peal_request *request)
{
	(void)data;
	for (int i = 0; i < 8; i++)
		peal_server_reply(request->server, request->token, buffer, 2000,
				  i < 7 ? PEAL_REPLY_MORE : 0);
}

/* Steps while somebody has not answered yet. */
static void step_for(struct peal_server *server, const struct peer *peer)
{
	while (!peer_has_answered(peer)) {
		int got = peal_server_step(server, 5 * MS);

		ck_assert_msg(got >= 0 || got == -ETIMEDOUT, "%d %s", got, peal_error());
	}
}

START_TEST(clients_that_are_stopped_hold_up_no_server)
	{
		struct peal_options link = scene_options(PEAL_WAIT_ADAPTIVE, 4096);
		struct peal_server_options options;
		struct peal_server *server;
		struct peer slow, other;
		uint64_t begin;
		int got;

		peal_server_options_init(&options);
		options.link = &link;
		options.handlers.message = on_message;
		ck_assert_int_eq(peal_server_open(&server, scene_path("own"), &options), 0);
		peer_start(&slow);
		peer_tell(&slow, "flags %d\nconnect %s %" PRId64, PEAL_CALLS, scene_path("own"),
			  SCENE_PATIENCE);
		step_for(server, &slow);
		ck_assert_msg(!peer_hear(&slow, "connect"), "%s", slow.text);
		ck_assert_int_eq(peer_ask(&slow, "send 3 0"), 0);
		peer_stop(&slow);
		/* Its replies wait for room, and the others do not. */
		peer_start(&other);
		peer_tell(&other, "flags %d\nconnect %s %" PRId64 "\nsend 3 0\nrecv forever",
			  PEAL_CALLS, scene_path("own"), SCENE_PATIENCE);
		step_for(server, &other);
		ck_assert_msg(!peer_hear(&other, "connect"), "%s", other.text);
		step_for(server, &other);
		ck_assert_int_eq(peer_hear(&other, "send"), 0);
		step_for(server, &other);
		ck_assert_int_eq(peer_hear(&other, "recv"), 2000);
		do {
			begin = scene_now();
			got = peal_server_step(server, SHORT);
		} while (got >= 0);
		ck_assert_int_eq(got, -ETIMEDOUT);
		expect_waited(begin);
		if (_i) {
			/* It is given all that it was to have when it goes on. */
			peer_continue(&slow);
			for (int i = 0; i < 8; i++) {
				peer_tell(&slow, "recv forever");
				step_for(server, &slow);
				ck_assert_int_eq(peer_hear(&slow, "recv"), 2000);
			}
			peer_stop(&slow);
		}
		begin = scene_now();
		peal_server_stop(server);
		ck_assert_int_eq(peal_server_step(server, SHORT), -ECANCELED);
		peal_server_close(server);
		expect_returned(begin);
		peer_continue(&slow);
		peer_end(&slow);
		peer_end(&other);
	}
END_TEST

START_TEST(clients_that_are_stopped_in_their_handshake_hold_up_no_listener)
	{
		struct peal_options options = scene_options(PEAL_WAIT_ADAPTIVE, RING);
		struct peal_listener *listener;
		struct peal_link *link, *none;
		struct peer first, second;
		uint64_t begin;

		ck_assert_int_eq(peal_listen(&listener, scene_path("own"), &options), 0);
		peer_start(&first);
		peer_start(&second);
		peer_tell(&first, "connect %s %" PRId64, scene_path("own"), 2 * SCENE_PATIENCE);
		peer_wait_asleep(&first);
		peer_stop(&first);
		/* It has said all that it must. */
		ck_assert_msg(!peal_accept(listener, &link, SCENE_PATIENCE), "%s", peal_error());
		begin = scene_now();
		ck_assert_int_eq(peal_accept(listener, &none, SHORT), -ETIMEDOUT);
		expect_waited(begin);
		ck_assert_int_eq(peal_send(peal_link_tx(link), buffer, 5, 0, SHORT), 0);
		begin = scene_now();
		ck_assert_int_eq(peal_recv(peal_link_rx(link), buffer, 5, NULL, SHORT), -ETIMEDOUT);
		expect_waited(begin);
		peer_continue(&first);
		ck_assert_msg(!peer_hear(&first, "connect"), "%s", first.text);
		ck_assert_int_eq(peer_ask(&first, "recv forever"), 5);
		/* With one in the queue the listener is closed as well. */
		peer_tell(&second, "connect %s %" PRId64, scene_path("own"), SCENE_PATIENCE);
		peer_wait_asleep(&second);
		peer_stop(&second);
		begin = scene_now();
		peal_listener_close(listener);
		expect_returned(begin);
		peer_continue(&second);
		ck_assert_int_lt(peer_hear(&second, "connect"), 0);
		ck_assert_int_eq(peer_ask(&first, "send 6 forever"), 0);
		ck_assert_int_eq(peal_recv(peal_link_rx(link), buffer, 6, NULL, SCENE_PATIENCE), 6);
		peal_close(link);
		peer_end(&first);
		peer_end(&second);
	}
END_TEST

START_TEST(who_was_stopped_himself_for_longer_than_his_time_loses_nothing)
	{
		struct peal_link *link;
		struct peer peer;
		long got;

		peer_start(&peer);
		link = peer_link(&peer, true, (unsigned)_i, RING);
		for (int i = 0; i < 4; i++) {
			peer_tell(&peer, "recv %" PRId64, SHORT);
			if (_i != PEAL_WAIT_SPIN)
				peer_wait_asleep(&peer);
			peer_stop(&peer);
			/* Longer than it wanted to wait, and than a slice. */
			let_pass(2 * SHORT);
			if (i % 2)
				ck_assert_int_eq(peal_send(peal_link_tx(link), buffer, 9, 0, 0), 0);
			peer_continue(&peer);
			got = peer_hear(&peer, "recv");
			ck_assert(got == -ETIMEDOUT || (got == 9 && i % 2));
			if (i % 2 && got != 9)
				ck_assert_int_eq(peer_ask(&peer, "recv 0"), 9);
		}
		/* The same of one that waits for room. */
		while (!peal_send(peal_link_tx(link), buffer, 1000, 0, 0))
			;
		peer_tell(&peer, "produce 1 100000 %" PRId64, SHORT);
		let_pass(2 * SHORT);
		peer_stop(&peer);
		let_pass(2 * SHORT);
		peer_continue(&peer);
		ck_assert_int_eq(peer_hear(&peer, "produce"), -ETIMEDOUT);
		peal_close(link);
		peer_end(&peer);
	}
END_TEST

START_TEST(a_server_that_was_stopped_for_longer_than_a_handshake_takes_lets_in_who_waits)
	{
		struct peer server, clients[6];

		engine_start(&server);
		peer_tell(&server, "handshake %" PRId64 "\nserve %s 1", 5 * SHORT,
			  scene_path("server"));
		ck_assert_msg(!peer_hear(&server, "serve"), "%s", server.text);
		peer_stop(&server);
		for (int i = 0; i < 6; i++) {
			peer_start(&clients[i]);
			peer_tell(&clients[i], "connect %s %" PRId64, scene_path("server"),
				  2 * SCENE_PATIENCE);
			peer_wait_asleep(&clients[i]);
		}
		let_pass(10 * SHORT);
		peer_continue(&server);
		for (int i = 0; i < 6; i++) {
			ck_assert_msg(!peer_hear(&clients[i], "connect"), "%s", clients[i].text);
			peer_end(&clients[i]);
		}
		ck_assert_int_eq(peer_ask(&server, "stop"), 0);
		peer_end(&server);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("stopped");
	TCase *all = scene_case("stopped");

	tcase_add_loop_test(
		all, every_verb_of_a_link_comes_back_in_time_from_a_peer_that_is_stopped, 0, 3);
	tcase_add_loop_test(all, a_server_that_is_stopped_is_waited_for_no_longer_than_it_was_told,
			    0, 2);
	tcase_add_loop_test(all, clients_that_are_stopped_hold_up_no_server, 0, 2);
	tcase_add_test(all, clients_that_are_stopped_in_their_handshake_hold_up_no_listener);
	tcase_add_loop_test(all, who_was_stopped_himself_for_longer_than_his_time_loses_nothing, 0,
			    3);
	tcase_add_test(
		all, a_server_that_was_stopped_for_longer_than_a_handshake_takes_lets_in_who_waits);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
