/*
 * SPDX-License-Identifier: MIT
 *
 * A link that is closed in order: what had been sent is read, then -EPIPE; who had left something
 * unread says how much; who sleeps is woken.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/scene.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define RING 16384

static uint8_t buffer[65536];

static uint64_t peer_unread(const struct peal_link *link)
{
	struct peal_stats stats = { .size = sizeof(stats) };

	ck_assert_int_eq(peal_link_stats(link, &stats), 0);
	ck_assert_uint_eq(stats.closed, 1);
	return stats.peer_unread;
}

/* There is room. The first message may find out, the second one knows. */
static int send_until_told(struct peal_link *link)
{
	int err = peal_send(peal_link_tx(link), buffer, 8, 0, 0);

	return err ? err : peal_send(peal_link_tx(link), buffer, 8, 0, 0);
}

START_TEST(all_that_was_sent_before_a_close_is_read_then_epipe)
	{
		static struct traffic traffic;

		for (unsigned i = 0; i < scene_rounds(12); i++) {
			uint64_t count = 1 + scene_random() % 20;
			struct peal_link *link;
			struct peer peer;

			peer_start(&peer);
			link = peer_link(&peer, i % 2, (unsigned)_i, RING);
			traffic_begin(&traffic, scene_random(), RING);
			/* All of it fits: the peer sends and closes before anything is read. */
			traffic.longest = RING / 32;
			peer_tell(&peer, "produce %" PRIu64 " %" PRIu64 " 0 %d\nclose",
				  traffic.seed, count, RING / 32);
			ck_assert_msg(peer_hear(&peer, "produce") == 0, "%s", peer.text);
			ck_assert_int_eq(peer_hear(&peer, "close"), 0);
			if (i % 4 < 2)
				peer_end(&peer);
			for (uint64_t n = 0; n < count; n++)
				ck_assert_int_eq(traffic_receive(&traffic, peal_link_rx(link),
								 PEAL_FOREVER),
						 0);
			ck_assert_int_eq(traffic_receive(&traffic, peal_link_rx(link),
							 PEAL_FOREVER),
					 -EPIPE);
			ck_assert_int_eq(traffic_receive(&traffic, peal_link_rx(link), 0), -EPIPE);
			ck_assert_ptr_nonnull(strstr(peal_error(), "closed"));
			ck_assert_uint_eq(peer_unread(link), 0);
			peal_close(link);
			if (i % 4 >= 2)
				peer_end(&peer);
		}
	}
END_TEST

START_TEST(a_stream_that_ends_with_a_close_arrives_whole)
	{
		static struct traffic traffic;
		uint64_t count = 2000 + scene_random() % 1000;
		struct peal_link *link;
		struct peer peer;
		int err;

		peer_start(&peer);
		link = peer_link(&peer, true, (unsigned)_i, RING);
		traffic_begin(&traffic, scene_random(), RING);
		peer_tell(&peer, "produce %" PRIu64 " %" PRIu64 " forever\nclose", traffic.seed,
			  count);
		do
			err = traffic_receive(&traffic, peal_link_rx(link), PEAL_FOREVER);
		while (!err);
		ck_assert_int_eq(err, -EPIPE);
		ck_assert_uint_eq(traffic.next, count);
		peal_close(link);
		ck_assert_int_eq(peer_hear(&peer, "produce"), 0);
		peer_end(&peer);
	}
END_TEST

/* Holds this thread up wherever it is, for a random time of up to 50 us. */
static void hold_up(int signal)
{
	uint64_t end = scene_now() + scene_random() % 50000;

	(void)signal;
	while (scene_now() < end)
		;
}

/* Where a receiver looks for a message, then for the end, the last message may come in between. It
 * is held up often enough to be in between when that happens. */
START_TEST(a_message_between_a_last_look_and_the_close_is_not_lost)
	{
		static struct traffic traffic;
		struct peal_link *link;
		struct pest pest;
		struct peer peer;
		int err;

		for (unsigned i = 0; i < scene_rounds(60); i++) {
			peer_start(&peer);
			link = peer_link(&peer, i % 2, (unsigned)_i, RING);
			traffic_begin(&traffic, scene_random(), RING);
			traffic.longest = 64;
			peer_tell(&peer, "produce %" PRIu64 " 1 0 64\nclose", traffic.seed);
			pest_start(&pest, hold_up, 20000);
			do
				err = traffic_receive(&traffic, peal_link_rx(link), 0);
			while (!err || err == -EAGAIN);
			pest_end(&pest);
			ck_assert_int_eq(err, -EPIPE);
			ck_assert_uint_eq(traffic.next, 1);
			peal_close(link);
			ck_assert_int_eq(peer_hear(&peer, "produce"), 0);
			peer_end(&peer);
		}
	}
END_TEST

START_TEST(who_closes_with_messages_unread_tells_how_many)
	{
		for (unsigned i = 0; i < scene_rounds(6); i++) {
			unsigned sent = 2 + (unsigned)(scene_random() % 50),
				 read = (unsigned)(scene_random() % 2);
			struct peal_link *link;
			char sentence[64];
			struct peer peer;

			peer_start(&peer);
			link = peer_link(&peer, i % 2, (unsigned)_i, RING);
			for (unsigned n = 0; n < sent; n++)
				ck_assert_int_eq(peal_send(peal_link_tx(link), buffer, n, n, 0), 0);
			for (unsigned n = 0; n < read; n++)
				ck_assert_int_eq(peer_ask(&peer, "recv forever"), n);
			ck_assert_int_eq(peer_ask(&peer, "close"), 0);
			ck_assert_int_eq(peal_recv(peal_link_rx(link), buffer, sizeof(buffer), NULL,
						   PEAL_FOREVER),
					 -EPIPE);
			snprintf(sentence, sizeof(sentence), "left %u messages unread",
				 sent - read);
			ck_assert_msg(strstr(peal_error(), sentence) != NULL,
				      "%u sent, %u read: %s", sent, read, peal_error());
			ck_assert_uint_eq(peer_unread(link), sent - read);
			ck_assert_int_eq(send_until_told(link), -EPIPE);
			peal_close(link);
			peer_end(&peer);
		}
	}
END_TEST

START_TEST(a_sender_hears_soon_that_the_receiver_has_closed)
	{
		struct peal_link *link;
		struct peer peer;

		peer_start(&peer);
		link = peer_link(&peer, true, (unsigned)_i, RING);
		ck_assert_int_eq(peal_send(peal_link_tx(link), buffer, 8, 0, 0), 0);
		ck_assert_int_eq(peer_ask(&peer, "recv forever"), 8);
		ck_assert_int_eq(peer_ask(&peer, "close"), 0);
		ck_assert_int_eq(send_until_told(link), -EPIPE);
		ck_assert_int_eq(peal_send(peal_link_tx(link), buffer, 8, 0, PEAL_FOREVER), -EPIPE);
		peal_close(link);
		peer_end(&peer);
	}
END_TEST

/* In the middle of a stream: it never goes on to the end of the ring. */
START_TEST(a_busy_sender_hears_soon_that_the_receiver_has_closed)
	{
		struct peal_link *link;
		struct peer peer;

		for (unsigned i = 0; i < scene_rounds(6); i++) {
			uint64_t count = 1 + scene_random() % 1000, seed = scene_random();

			peer_start(&peer);
			link = peer_link(&peer, i % 2, (unsigned)_i, RING);
			peer_tell(&peer, "produce %" PRIu64, seed);
			while (count--)
				ck_assert_int_ge(peal_recv(peal_link_rx(link), buffer,
							   sizeof(buffer), NULL, PEAL_FOREVER),
						 0);
			peal_close(link);
			ck_assert_msg(peer_hear(&peer, "produce") == -EPIPE, "%s", peer.text);
			peer_end(&peer);
		}
	}
END_TEST

/* Whether a sleeper that came to -EPIPE was rung, and did not just look up after its slice. */
static bool was_rung(struct peer *peer, bool sending)
{
	uint64_t rx_rings = 0, tx_rings = 0;

	ck_assert_int_eq(peer_ask(peer, "stats"), 0);
	ck_assert_int_eq(
		sscanf(peer->text, "rx %*u %" SCNu64 " tx %*u %" SCNu64, &rx_rings, &tx_rings), 2);
	return (sending ? tx_rings : rx_rings) > 0;
}

static void close_wakes(unsigned wait, bool sending)
{
	unsigned rung = 0, rounds = scene_rounds(9);

	for (unsigned i = 0; i < rounds; i++) {
		struct peal_link *link;
		struct peer peer;

		peer_start(&peer);
		link = peer_link(&peer, i % 2, wait, RING);
		if (sending)
			peer_tell(&peer, "produce 1");
		else
			peer_tell(&peer, "recv forever");
		peer_wait_asleep(&peer);
		peal_close(link);
		ck_assert_msg(peer_hear(&peer, sending ? "produce" : "recv") == -EPIPE, "%s",
			      peer.text);
		rung += was_rung(&peer, sending);
		peer_end(&peer);
	}
	/* A sleeper may look up by itself just then, but not every time. */
	ck_assert_msg(rung * 2 > rounds, "%u of %u sleepers were rung", rung, rounds);
}

START_TEST(a_close_wakes_who_waits_for_a_message)
	{
		close_wakes((unsigned)_i, false);
	}
END_TEST

START_TEST(a_close_wakes_who_waits_for_room)
	{
		close_wakes((unsigned)_i, true);
	}
END_TEST

START_TEST(both_sides_may_close_at_once)
	{
		struct holdings before = holdings_at_rest();

		for (unsigned i = 0; i < scene_rounds(20); i++) {
			struct peal_link *link;
			struct peer peer;

			peer_start(&peer);
			link = peer_link(&peer, i % 2, (unsigned)_i, RING);
			peer_tell(&peer, "close");
			for (uint64_t n = scene_random() % 20000; n; n--)
				peal_relax();
			peal_close(link);
			ck_assert_int_eq(peer_hear(&peer, "close"), 0);
			peer_end(&peer);
		}
		holdings_expect(getpid(), &before);
	}
END_TEST

static Suite *closing(void)
{
	Suite *suite = suite_create("closing");
	TCase *tcase = scene_case("close");

	tcase_add_loop_test(tcase, all_that_was_sent_before_a_close_is_read_then_epipe, 0, 3);
	tcase_add_loop_test(tcase, a_stream_that_ends_with_a_close_arrives_whole, 0, 3);
	tcase_add_loop_test(tcase, a_message_between_a_last_look_and_the_close_is_not_lost, 0, 3);
	tcase_add_loop_test(tcase, who_closes_with_messages_unread_tells_how_many, 0, 3);
	tcase_add_loop_test(tcase, a_sender_hears_soon_that_the_receiver_has_closed, 0, 3);
	tcase_add_loop_test(tcase, a_busy_sender_hears_soon_that_the_receiver_has_closed, 0, 3);
	/* Who spins does not sleep. */
	tcase_add_loop_test(tcase, a_close_wakes_who_waits_for_a_message, PEAL_WAIT_SLEEP,
			    PEAL_WAIT_SLEEP + 1);
	tcase_add_loop_test(tcase, a_close_wakes_who_waits_for_a_message, PEAL_WAIT_ADAPTIVE,
			    PEAL_WAIT_ADAPTIVE + 1);
	tcase_add_loop_test(tcase, a_close_wakes_who_waits_for_room, PEAL_WAIT_SLEEP,
			    PEAL_WAIT_SLEEP + 1);
	tcase_add_loop_test(tcase, a_close_wakes_who_waits_for_room, PEAL_WAIT_ADAPTIVE,
			    PEAL_WAIT_ADAPTIVE + 1);
	tcase_add_loop_test(tcase, both_sides_may_close_at_once, 0, 3);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { closing, NULL };

	return runner_main(suites);
}
