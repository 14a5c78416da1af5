/*
 * SPDX-License-Identifier: MIT
 *
 * Servers and clients that are killed while calls are in flight, and a ledger that accounts for
 * each call: answered, not sent and seen by no server, or unknown; once each, and for all.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/troupe.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>

#include <peal.h>
#include <peal/client.h>

/* A random moment, of the length of some calls. */
static void dawdle(void)
{
	uint64_t turns = scene_random() % 20000;

	for (uint64_t i = 0; i < turns; i++)
		peal_relax();
	if (turns % 3 == 0)
		sched_yield();
}

static unsigned workers_of(int i)
{
	return i ? 2 : 1;
}

START_TEST(each_call_is_accounted_for_however_often_its_server_is_killed)
	{
		enum { ENGINES = 4, EACH = 8, CLIENTS = ENGINES * EACH };
		unsigned kills = scene_rounds(12), workers = workers_of(_i);
		struct peer server, engines[ENGINES];
		uint64_t lost = 0, now;

		open_ledger();
		start_server(&server, workers);
		for (uint32_t i = 0; i < ENGINES; i++)
			start_streams(&engines[i], i * EACH, EACH);
		for (unsigned i = 0; i < kills; i++) {
			await_more(0, CLIENTS, CLIENTS * TROUPE_WINDOW);
			dawdle();
			/* Every other time in the midst of all that can be in flight. */
			if (i % 2) {
				peer_stop(&server);
				await_full(0, CLIENTS);
			}
			ck_assert_uint_gt(ledger_in_flight(ledger, 0, CLIENTS), 0);
			peer_kill(&server);
			start_server(&server, workers);
			if (i % 2) {
				await_more(0, CLIENTS, CLIENTS * TROUPE_WINDOW);
				now = ledger_verdicts(ledger, 0, CLIENTS, PEAL_UNKNOWN) +
				      ledger_verdicts(ledger, 0, CLIENTS, PEAL_NOT_SENT);
				ck_assert_uint_gt(now, lost);
				lost = now;
			}
		}
		end_streams(engines, ENGINES);
		stop_server(&server);
		for (uint32_t i = 0; i < CLIENTS; i++)
			ledger_audit(ledger, i, true);
		expect_right();
		ck_assert_uint_gt(ledger_verdicts(ledger, 0, CLIENTS, PEAL_REPLY), lost);
		ck_assert_uint_eq(ledger_verdicts(ledger, 0, CLIENTS, PEAL_ERROR), 0);
		ck_assert_uint_eq(ledger_verdicts(ledger, 0, CLIENTS, PEAL_CANCELLED), 0);
		ledger_close(ledger);
	}
END_TEST

START_TEST(clients_that_are_killed_leave_nothing_behind)
	{
		enum { AT_ONCE = 4, EACH = 3, STAYING = LEDGER_CLIENTS - 1 };
		unsigned kills = scene_rounds(240);
		struct peer server, staying, engines[AT_ONCE];
		struct holdings before;

		open_ledger();
		start_server(&server, workers_of(_i));
		before = holdings_asleep(&server);
		start_streams(&staying, STAYING, 1);
		for (unsigned i = 0; i < kills; i += AT_ONCE) {
			uint32_t first = i * EACH % (STAYING - AT_ONCE * EACH);

			for (uint32_t k = 0; k < AT_ONCE; k++)
				start_streams(&engines[k], first + k * EACH, EACH);
			for (uint32_t k = 0; k < AT_ONCE; k++) {
				/* Some in the midst of connecting. */
				if (scene_random() % 4)
					await_more(first + k * EACH, EACH, scene_random() % 64);
				dawdle();
				peer_kill(&engines[k]);
			}
		}
		/* Who stays has noticed nothing. */
		await_more(STAYING, 1, 100);
		end_streams(&staying, 1);
		ledger_audit(ledger, STAYING, true);
		ck_assert_uint_eq(ledger_verdicts(ledger, STAYING, 1, PEAL_REPLY),
				  ledger_ended(ledger, STAYING, 1));
		expect_no_clients(&server);
		holdings_expect(server.pid, &before);
		stop_server(&server);
		for (uint32_t i = 0; i < STAYING; i++)
			ledger_audit(ledger, i, false);
		expect_right();
		ledger_close(ledger);
	}
END_TEST

/* Connects come at a pace (500 a second from four at once, if the machine is fast enough) while the
 * server is killed, or stopped, and another takes its place. */
START_TEST(a_server_is_restarted_under_a_stream_of_connects)
	{
		enum { ENGINES = 4 };
		unsigned restarts = scene_rounds(6), workers = workers_of(_i);
		struct peer server, engines[ENGINES];
		unsigned long done, all = 0;

		open_ledger();
		start_server(&server, workers);
		for (unsigned i = 0; i < ENGINES; i++) {
			start_engine(&engines[i]);
			peer_tell(&engines[i], "churn %s 0 %d", scene_path("server"), 8000000);
		}
		for (unsigned i = 0; i < restarts; i++) {
			unsigned long told = 0;

			while (told < 50) {
				ck_assert_int_eq(peer_ask(&server, "count"), 0);
				ck_assert_int_eq(sscanf(server.text, "clients %*u told %lu", &told),
						 1);
				sched_yield();
			}
			dawdle();
			if (i % 2)
				stop_server(&server);
			else
				peer_kill(&server);
			start_server(&server, workers);
		}
		ledger_stop(ledger, true);
		for (unsigned i = 0; i < ENGINES; i++) {
			ck_assert_msg(peer_hear(&engines[i], "churn") == 0, "%s", engines[i].text);
			ck_assert_int_eq(sscanf(engines[i].text, "%lu", &done), 1);
			all += done;
			peer_end(&engines[i]);
		}
		ck_assert_uint_ge(all, restarts * 25);
		stop_server(&server);
		expect_right();
		ledger_close(ledger);
	}
END_TEST

static Suite *server_kills(void)
{
	Suite *suite = suite_create("server_kills");
	TCase *tcase = scene_case("kills");

	tcase_add_loop_test(tcase, each_call_is_accounted_for_however_often_its_server_is_killed, 0,
			    2);
	tcase_add_loop_test(tcase, clients_that_are_killed_leave_nothing_behind, 0, 2);
	tcase_add_loop_test(tcase, a_server_is_restarted_under_a_stream_of_connects, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { server_kills, NULL };

	return runner_main(suites);
}
