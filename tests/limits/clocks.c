/*
 * SPDX-License-Identifier: MIT
 *
 * Clocks that differ: the two sides are in time namespaces whose monotonic clocks are days apart.
 * Deadlines and what is estimated hold on both. That the wall clock matters to nobody is in
 * tests/limits/wall-clock.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/scene.h"
#include "tests/process/surroundings.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peal.h>
#include <peal/monitor.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

#define RING 16384
#define SHORT (10 * MS)
#define HOUR (3600 * SECOND)

static const struct surroundings late = { .name = "a time namespace",
					  .namespaces = CLONE_NEWTIME,
					  .what = SURROUNDINGS_LATE };

static uint8_t buffer[4096];

static bool missing(void)
{
	const char *why = skip_emulated("CLONE_PARENT") ? "" : surroundings_missing(&late);

	if (why && *why)
		skip("%s", why);
	return why != NULL;
}

/* A link to a peer there; every wait of both sides that sleeps is sampled. */
static struct peal_link *link_to(struct peer *peer, bool serve, unsigned wait)
{
	setenv("PEAL_SAMPLE", "1", 1);
	peer_start_in(peer, &late);
	return peer_link(peer, serve, wait, RING);
}

static void expect_waited(uint64_t since)
{
	uint64_t waited = scene_now() - since;

	ck_assert_uint_ge(waited, (uint64_t)SHORT);
	ck_assert_uint_lt(waited, (uint64_t)(SHORT + 10 * SECOND));
}

static void expect_sane(const struct peal_offcpu *offcpu)
{
	ck_assert_uint_lt(offcpu->spun_ns, (uint64_t)HOUR);
	ck_assert_uint_lt(offcpu->slept_ns, (uint64_t)HOUR);
	ck_assert_uint_le(offcpu->woken_ns, offcpu->slept_ns);
}

START_TEST(deadlines_hold_on_both_sides_and_no_estimate_is_days_long)
	{
		struct peal_offcpu tx, rx;
		struct peal_link *link;
		struct peer peer;
		uint64_t begin;
		long got = 0;

		if (missing())
			return;
		link = link_to(&peer, _i & 1, (unsigned)_i / 2);
		begin = scene_now();
		ck_assert_int_eq(peal_recv(peal_link_rx(link), buffer, sizeof(buffer), NULL, SHORT),
				 -ETIMEDOUT);
		expect_waited(begin);
		begin = scene_now();
		peer_tell(&peer, "recv %" PRId64, SHORT);
		ck_assert_int_eq(peer_hear(&peer, "recv"), -ETIMEDOUT);
		expect_waited(begin);
		/* Each wakes the other, which looks when it was rung. */
		for (int i = 0; i < 20; i++) {
			peer_tell(&peer, "recv forever\nsend 8 0");
			if (_i / 2 != PEAL_WAIT_SPIN)
				peer_wait_asleep(&peer);
			ck_assert_int_eq(peal_send(peal_link_tx(link), buffer, 9, 0, 0), 0);
			ck_assert_int_eq(peal_recv(peal_link_rx(link), buffer, sizeof(buffer), NULL,
						   SCENE_PATIENCE),
					 8);
			ck_assert_int_eq(peer_hear(&peer, "recv"), 9);
			ck_assert_int_eq(peer_hear(&peer, "send"), 0);
		}
		begin = scene_now();
		while (!got)
			got = peal_send(peal_link_tx(link), buffer, 1000, 0, SHORT);
		ck_assert_int_eq(got, -ETIMEDOUT);
		expect_waited(begin);
		ck_assert_int_eq(peal_link_offcpu(link, &tx, &rx), 0);
		expect_sane(&tx);
		expect_sane(&rx);
		peal_close(link);
		peer_end(&peer);
	}
END_TEST

struct look {
	struct peal_monitor *monitor;
	struct peal_monitored about;
	struct peal_monitored_link links[8];
	int count;
};

/* Whether the link that it has sends, and waits for room. */
static bool is_stalled(void *data)
{
	struct look *look = data;

	look->about.size = sizeof(look->about);
	look->count = peal_monitor_read(look->monitor, &look->about, look->links, 8);
	for (int i = 0; i < look->count; i++)
		if (look->links[i].tx.stalled_since)
			return true;
	return false;
}

/* After another time, and by less than an hour. */
static bool is_soon_after(uint64_t then, uint64_t now)
{
	return then <= now && now - then < (uint64_t)HOUR;
}

START_TEST(the_times_that_a_monitor_tells_are_of_one_clock)
	{
		struct peal_options options = scene_options(PEAL_WAIT_SLEEP, RING);
		static struct look look;
		struct peal_link *link;
		struct peer peer;
		int err = 0;

		if (missing())
			return;
		peer_start_in(&peer, &late);
		peer_tell(&peer, "wait sleep\nring %d\nlisten %s", RING, scene_path("server"));
		ck_assert_msg(!peer_hear(&peer, "listen"), "%s", peer.text);
		peer_tell(&peer, "serve");
		ck_assert_msg(!peal_connect(&link, scene_path("server"), &options, SCENE_PATIENCE),
			      "%s", peal_error());
		ck_assert_msg(!peal_monitor_open(&look.monitor, scene_path("server"),
						 SCENE_PATIENCE),
			      "%s", peal_error());
		/* It answers what nobody reads, until it has no room. */
		while (!err)
			err = peal_send(peal_link_tx(link), buffer, 1000, 0, 10 * SHORT);
		ck_assert_int_eq(err, -ETIMEDOUT);
		ck_assert(scene_until(is_stalled, &look));
		ck_assert(is_soon_after(look.about.started_ns, look.about.now_ns));
		for (int i = 0; i < look.count; i++) {
			const struct peal_monitored_link *its = &look.links[i];

			ck_assert(is_soon_after(look.about.started_ns, its->since_ns));
			ck_assert(is_soon_after(its->since_ns, look.about.now_ns));
			ck_assert(!its->tx.stalled_since ||
				  (is_soon_after(its->since_ns, its->tx.stalled_since) &&
				   is_soon_after(its->tx.stalled_since, look.about.now_ns)));
			expect_sane(&its->tx_offcpu);
			expect_sane(&its->rx_offcpu);
		}
		peal_monitor_close(look.monitor);
		peal_close(link);
		peer_kill(&peer);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("clocks");
	TCase *all = scene_case("clocks");

	tcase_add_loop_test(all, deadlines_hold_on_both_sides_and_no_estimate_is_days_long, 0, 6);
	tcase_add_test(all, the_times_that_a_monitor_tells_are_of_one_clock);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
