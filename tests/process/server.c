/*
 * SPDX-License-Identifier: MIT
 *
 * Servers and what their clients do to them: some do not read, some stay in the midst of their
 * handshakes, many come and go, or at once, more than there are descriptors for, and some may not
 * come in at all. Whoever else is there is served meanwhile.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/troupe.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <peal.h>

#define USER 12345 /* of nobody here */

/* For an eighth of this a server without descriptors does not look who is outside. */
#define HANDSHAKE (4 * SECOND)

static unsigned workers_of(int i)
{
	return i ? 2 : 1;
}

/* What a server says of itself. */
struct said {
	unsigned long clients, told, closed, odd, slow, wakeups, disconnected;
	long pid;
};

static struct said ask(struct peer *server)
{
	struct said said;

	ck_assert_int_eq(peer_ask(server, "count"), 0);
	ck_assert_msg(
		sscanf(server->text,
		       "clients %lu told %lu closed %lu odd %lu slow %lu pid %ld wakeups %lu disconnected %lu",
		       &said.clients, &said.told, &said.closed, &said.odd, &said.slow, &said.pid,
		       &said.wakeups, &said.disconnected) == 8,
		"%s", server->text);
	return said;
}

static void wait_a_moment(void)
{
	const struct timespec moment = { .tv_nsec = MS };

	nanosleep(&moment, NULL);
}

static bool two_are_slow(void *data)
{
	return ask(data).slow == 2;
}

static bool none_is_slow(void *data)
{
	return ask(data).slow == 0;
}

START_TEST(who_does_not_read_stalls_only_himself)
	{
		enum { STREAMS = 4 };
		struct peer server, streams, floods[2];
		struct said said;

		open_ledger();
		start_server(&server, workers_of(_i));
		start_streams(&streams, 0, STREAMS);
		for (int i = 0; i < 2; i++) {
			start_engine(&floods[i]);
			peer_tell(&floods[i], "flood %s", scene_path("server"));
		}
		ck_assert_msg(scene_until(two_are_slow, &server), "%s", server.text);
		await_more(0, STREAMS, 2000);
		said = ask(&server);
		ck_assert_uint_eq(said.slow, 2);
		ck_assert(said.pid == floods[0].pid || said.pid == floods[1].pid);
		ledger_stop(ledger, true);
		/* And nothing of theirs was lost. */
		for (int i = 0; i < 2; i++) {
			ck_assert_msg(peer_hear(&floods[i], "flood") == 0, "%s", floods[i].text);
			ck_assert_int_gt(atoi(floods[i].text), 0);
			peer_end(&floods[i]);
		}
		end_streams(&streams, 1);
		ck_assert_msg(scene_until(none_is_slow, &server), "%s", server.text);
		expect_no_clients(&server);
		stop_server(&server);
		for (uint32_t i = 0; i < STREAMS; i++)
			ledger_audit(ledger, i, true);
		expect_right();
		ledger_close(ledger);
	}
END_TEST

START_TEST(who_does_not_read_for_long_is_disconnected_where_that_is_wanted)
	{
		struct peer server, stream, flood;
		long result;

		open_ledger();
		start_engine(&server);
		peer_tell(&server, "slow %d\nslow_ns %" PRId64 "\nserve %s %u",
			  PEAL_SLOW_DISCONNECT, 20 * MS, scene_path("server"), workers_of(_i));
		ck_assert_msg(peer_hear(&server, "serve") == 0, "%s", server.text);
		start_streams(&stream, 0, 1);
		start_engine(&flood);
		peer_tell(&flood, "flood %s", scene_path("server"));
		result = peer_hear(&flood, "flood");
		ck_assert_msg(result == -EPIPE || result == -ECONNRESET, "%ld %s", result,
			      flood.text);
		ck_assert_uint_ge(ask(&server).disconnected, 1);
		await_more(0, 1, 100);
		peer_end(&flood);
		end_streams(&stream, 1);
		expect_no_clients(&server);
		stop_server(&server);
		ledger_close(ledger);
	}
END_TEST

static int knock(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", scene_path("server"));
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)(void *)&name, sizeof(name)), 0);
	return fd;
}

START_TEST(half_a_handshake_keeps_nobody_out)
	{
		enum { HALVES = 60, STREAMS = 4 };
		struct peer server, streams[2];
		struct holdings before;
		int halves[HALVES];

		open_ledger();
		start_server(&server, workers_of(_i));
		before = holdings_asleep(&server);
		start_streams(&streams[0], 0, STREAMS);
		await_more(0, STREAMS, 100);
		/* Some say nothing, some nonsense, and some the beginning of something. */
		for (int i = 0; i < HALVES; i++) {
			halves[i] = knock();
			if (i % 3)
				send(halves[i], "PEAL, or what?", i % 3 == 1 ? 14 : 4,
				     MSG_NOSIGNAL);
		}
		/* New ones get in, and those who are there go on. */
		start_streams(&streams[1], STREAMS, STREAMS);
		await_more(0, 2 * STREAMS, 2000);
		await_more(STREAMS, STREAMS, 100);
		for (int i = 0; i < HALVES; i++)
			close(halves[i]);
		end_streams(streams, 2);
		expect_no_clients(&server);
		holdings_expect(server.pid, &before);
		stop_server(&server);
		for (uint32_t i = 0; i < 2 * STREAMS; i++)
			ledger_audit(ledger, i, true);
		expect_right();
		ck_assert_uint_eq(ledger_verdicts(ledger, 0, 2 * STREAMS, PEAL_REPLY),
				  ledger_ended(ledger, 0, 2 * STREAMS));
		ledger_close(ledger);
	}
END_TEST

/* The lowest descriptor that a process does not have. */
static rlim_t lowest_free(pid_t pid)
{
	char path[64];
	rlim_t fd = 0;

	do
		snprintf(path, sizeof(path), "/proc/%ld/fd/%lu", (long)pid, (unsigned long)fd++);
	while (!faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW));
	return fd - 1;
}

/* Asks once to be let in. */
static long try(struct peer *client)
{
	peer_tell(client, "try %s", scene_path("server"));
	return peer_hear(client, "try");
}

static bool is_refused(void *data)
{
	struct peer *client = data;
	long result = try(client);

	ck_assert_msg(result == 3 || (result == -EBUSY && strstr(client->text, "descriptors")),
		      "%ld %s", result, client->text);
	return result < 0;
}

START_TEST(out_of_descriptors_newcomers_hear_so_and_the_others_are_served)
	{
		enum { STREAMS = 4, MORE = 28 };
		struct peer server, streams[2], newcomer;
		struct rlimit limit, none;

		if (skip_emulated("limits of its programs"))
			return;
		open_ledger();
		start_engine(&server);
		/* What is ready ahead has descriptors, which would do for many. */
		peer_tell(&server, "handshake %" PRId64 "\nready %u\nserve %s %u", HANDSHAKE,
			  UINT32_MAX, scene_path("server"), workers_of(_i & 1));
		ck_assert_msg(peer_hear(&server, "serve") == 0, "%s", server.text);
		start_streams(&streams[0], 0, STREAMS);
		start_engine(&newcomer);
		ck_assert_int_eq(try(&newcomer), 3);
		for (uint32_t i = 0; i < STREAMS; i++)
			await_more(i, 1, 10);
		ck_assert_int_eq(prlimit(server.pid, RLIMIT_NOFILE, NULL, &limit), 0);
		none = limit;
		/* A client takes two: in the end there is one free, or none. */
		none.rlim_cur = lowest_free(server.pid) + 6 + (rlim_t)(_i >> 1);
		ck_assert_int_eq(prlimit(server.pid, RLIMIT_NOFILE, &none, NULL), 0);
		/* Some of these get in, until there are no more; the others wait outside. */
		start_streams(&streams[1], STREAMS, MORE);
		for (int i = 0; i < 20; i++) {
			ck_assert_msg(scene_until(is_refused, &newcomer), "all are let in: %s",
				      (peer_ask(&server, "count"), server.text));
			await_more(0, STREAMS, 200);
		}
		/* Now all get in. */
		ck_assert_int_eq(prlimit(server.pid, RLIMIT_NOFILE, &limit, NULL), 0);
		ck_assert_msg(try(&newcomer) == 3, "%s", newcomer.text);
		for (uint32_t i = STREAMS; i < STREAMS + MORE; i++)
			await_more(i, 1, 10);
		end_streams(streams, 2);
		peer_end(&newcomer);
		expect_no_clients(&server);
		stop_server(&server);
		for (uint32_t i = 0; i < STREAMS + MORE; i++)
			ledger_audit(ledger, i, true);
		expect_right();
		ck_assert_uint_eq(ledger_verdicts(ledger, 0, STREAMS, PEAL_REPLY),
				  ledger_ended(ledger, 0, STREAMS));
		ledger_close(ledger);
	}
END_TEST

START_TEST(who_waits_outside_wakes_nobody)
	{
		struct peer server, newcomer;
		struct rlimit limit, none;
		unsigned long before;
		int outside[8];

		if (skip_emulated("limits of its programs"))
			return;
		open_ledger();
		start_engine(&server);
		peer_tell(&server, "handshake %" PRId64 "\nserve %s %u", HANDSHAKE,
			  scene_path("server"), workers_of(_i));
		ck_assert_msg(peer_hear(&server, "serve") == 0, "%s", server.text);
		start_engine(&newcomer);
		ck_assert_int_eq(try(&newcomer), 3);
		/* Below what it has: so it cannot even tell who comes. */
		ck_assert_int_eq(prlimit(server.pid, RLIMIT_NOFILE, NULL, &limit), 0);
		none = limit;
		none.rlim_cur = 3;
		ck_assert_int_eq(prlimit(server.pid, RLIMIT_NOFILE, &none, NULL), 0);
		for (int i = 0; i < 8; i++)
			outside[i] = knock();
		before = ask(&server).wakeups;
		for (int i = 0; i < 200; i++)
			wait_a_moment();
		ck_assert_uint_lt(ask(&server).wakeups - before, 200);
		for (int i = 0; i < 8; i++)
			close(outside[i]);
		ck_assert_int_eq(prlimit(server.pid, RLIMIT_NOFILE, &limit, NULL), 0);
		ck_assert_msg(try(&newcomer) == 3, "%s", newcomer.text);
		peer_end(&newcomer);
		expect_no_clients(&server);
		stop_server(&server);
		expect_right();
		ledger_close(ledger);
	}
END_TEST

static bool too_many_under_way(void *data)
{
	return peer_ask(data, "probe") == -ETOOMANYREFS;
}

/* All come while the server stands still: their descriptors are under way until it goes on, more
 * than an ordinary user may have there. */
START_TEST(many_clients_of_one_user_get_in_at_once)
	{
		enum { ENGINES = 8 };
		int limit = runner_long() ? 1024 : 128;
		unsigned each = runner_long() ? 140 : 24; /* each has one under way */
		struct peer server, engines[ENGINES], probe;
		struct holdings before;
		unsigned long told = 0;
		bool provoked = false;

		if (geteuid()) {
			skip("only root can be another user, for whom this limit counts");
			return;
		}
		open_ledger();
		start_engine(&server);
		peer_tell(&server, "allow %d\nmode 0666\nbacklog 4096\nflags %d\nserve %s %u",
			  PEAL_ALLOW_ANYONE, PEAL_SERVER_RAISE_NOFILE, scene_path("server"),
			  workers_of(_i));
		ck_assert_msg(peer_hear(&server, "serve") == 0, "%s", server.text);
		peer_start(&probe);
		peer_tell(&probe, "nofile %d\nuser %d %d %d", limit, USER, USER, USER);
		/* The first time for what stays: the memory that counts things. */
		for (int round = 0; round < 2; round++) {
			if (round) {
				before = holdings_asleep(&server);
				told = ask(&server).told;
				peer_stop(&server);
			}
			for (int i = 0; i < ENGINES; i++) {
				engine_start(&engines[i]);
				peer_tell(&engines[i], "nofile %d\nuser %d %d %d\ncrowd %s %u",
					  limit, USER, USER, USER, scene_path("server"), each);
			}
			if (round) {
				provoked = scene_until(too_many_under_way, &probe);
				peer_continue(&server);
			}
			for (int i = 0; i < ENGINES; i++) {
				ck_assert_msg(peer_hear(&engines[i], "crowd") == 0, "%s",
					      engines[i].text);
				ck_assert_int_eq(atoi(engines[i].text), (int)each);
			}
			ck_assert_uint_eq(ask(&server).clients, ENGINES * each);
			for (int i = 0; i < ENGINES; i++) {
				ck_assert_int_eq(peer_ask(&engines[i], "leave"), 0);
				peer_end(&engines[i]);
			}
		}
		ck_assert_uint_eq(ask(&server).told - told, ENGINES * each);
		expect_no_clients(&server);
		holdings_expect(server.pid, &before);
		peer_end(&probe);
		stop_server(&server);
		expect_right();
		ledger_close(ledger);
		if (!provoked)
			skip("all got in, but any number of descriptors may be under way here");
	}
END_TEST

START_TEST(coming_and_going_leaves_nothing)
	{
		enum { ENGINES = 2 };
		unsigned each = runner_long() ? 50000 : scene_rounds(600);
		struct peer server, engines[ENGINES];
		struct holdings before;

		open_ledger();
		start_server(&server, workers_of(_i));
		before = holdings_asleep(&server);
		for (int i = 0; i < ENGINES; i++) {
			start_engine(&engines[i]);
			peer_tell(&engines[i], "churn %s %u 0", scene_path("server"), each);
		}
		for (int i = 0; i < ENGINES; i++) {
			ck_assert_msg(peer_hear(&engines[i], "churn") == 0, "%s", engines[i].text);
			ck_assert_int_eq(atoi(engines[i].text), (int)each);
			peer_end(&engines[i]);
		}
		expect_no_clients(&server);
		holdings_expect(server.pid, &before);
		stop_server(&server);
		expect_right();
		ledger_close(ledger);
	}
END_TEST

START_TEST(other_users_come_in_where_they_may_and_hear_why_where_not)
	{
		static const uint32_t allows[] = { PEAL_ALLOW_USER, PEAL_ALLOW_ANYONE };
		struct peer server, client;
		long result;

		if (geteuid()) {
			skip("only root can be another user");
			return;
		}
		for (int i = 0; i < 2; i++) {
			engine_start(&server);
			peer_tell(&server, "allow %u\nmode 0666\nserve %s %u", allows[i],
				  scene_path("server"), workers_of(_i));
			ck_assert_msg(peer_hear(&server, "serve") == 0, "%s", server.text);
			engine_start(&client);
			peer_tell(&client, "user %d %d %d", USER, USER, USER);
			for (int k = 0; k < 3; k++) {
				result = try(&client);
				if (i) {
					ck_assert_msg(result == 3, "%ld %s", result, client.text);
					continue;
				}
				ck_assert_int_eq(result, -EPERM);
				ck_assert_msg(strstr(client.text, "user 12345") != NULL &&
						      strstr(client.text, "not admitted") != NULL,
					      "%s", client.text);
			}
			peer_end(&client);
			expect_no_clients(&server);
			stop_server(&server);
		}
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("server");
	TCase *tcase = scene_case("clients");

	tcase_add_loop_test(tcase, who_does_not_read_stalls_only_himself, 0, 2);
	tcase_add_loop_test(tcase, who_does_not_read_for_long_is_disconnected_where_that_is_wanted,
			    0, 2);
	tcase_add_loop_test(tcase, half_a_handshake_keeps_nobody_out, 0, 2);
	tcase_add_loop_test(tcase, out_of_descriptors_newcomers_hear_so_and_the_others_are_served,
			    0, 4);
	tcase_add_loop_test(tcase, who_waits_outside_wakes_nobody, 0, 2);
	tcase_add_loop_test(tcase, many_clients_of_one_user_get_in_at_once, 0, 2);
	tcase_add_loop_test(tcase, coming_and_going_leaves_nothing, 0, 2);
	tcase_add_loop_test(tcase, other_users_come_in_where_they_may_and_hear_why_where_not, 0, 2);
	suite_add_tcase(s, tcase);
	return s;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { suite, NULL };

	return runner_main(suites);
}
