/*
 * SPDX-License-Identifier: MIT
 *
 * kill -9, of either side, at any instruction: while messages are in flight, while nothing is,
 * while it connects, while it accepts. What had been sent arrives, what waits ends, and nothing is
 * left.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/scene.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

/* Of 8 bytes, a header included, and what the ring needs behind the last. */
static uint64_t record_size(size_t length)
{
	return ((uint64_t)length + 15) & ~(uint64_t)7;
}

struct round {
	unsigned wait;
	uint64_t ring;
	int64_t patience; /* of the survivor's calls: forever, long, or none */
	struct peer peer;
	struct peal_link *link;
	struct killer killer;
};

static struct traffic there, back;

/* A peer and a link to it, of a kind that changes with every round. */
static void begin_round(struct round *round, struct journal *journal, unsigned wait,
			unsigned number)
{
	static const int64_t patience[] = { PEAL_FOREVER, SCENE_PATIENCE, 0 };

	memset(journal, 0, sizeof(*journal));
	*round = (struct round){ .wait = wait,
				 .ring = (uint64_t)4096 << scene_random() % 5,
				 .patience = patience[number / 2 % 3] };
	traffic_begin(&there, scene_random(), round->ring);
	traffic_begin(&back, there.seed, round->ring);
	peer_start(&round->peer);
	peer_tell(&round->peer, "journal %s", scene_path("journal"));
	round->link = peer_link(&round->peer, number % 2, wait, round->ring);
}

/* Kills the peer after some messages, few or many, and some more time. */
static void kill_at(struct round *round, const uint64_t *word)
{
	round->killer = (struct killer){
		.pid = round->peer.pid,
		.word = word,
		.at = scene_random() % ((uint64_t)2 << scene_random() % 11),
		.turns = scene_random() % ((uint64_t)2 << scene_random() % 13)
	};
	killer_start(&round->killer);
}

/* 100 ms is what README.md promises, on a machine that has a CPU for us: this holds
 * on one that has not. */
#define NOTICED (2 * SECOND)

/* The peer is dead: everything says so from now on, and what it cost is given back. */
static void end_round(struct round *round)
{
	struct peal_tx *tx = peal_link_tx(round->link);
	struct peal_rx *rx = peal_link_rx(round->link);
	uint64_t after, records = round->ring / 8;
	int err = 0;

	killer_end(&round->killer);
	after = scene_now() - round->killer.killed_ns;
	ck_assert_msg(after < (uint64_t)(runner_burdened() ? 5 * NOTICED : NOTICED),
		      "it took %" PRIu64 " ms to notice", after / (uint64_t)MS);
	peer_reap_killed(&round->peer);
	ck_assert_int_eq(peal_recv(rx, there.buffer, sizeof(there.buffer), NULL, PEAL_FOREVER),
			 -ECONNRESET);
	while (!err && records--)
		err = peal_send(tx, "", 0, 0, PEAL_FOREVER);
	ck_assert_int_eq(err, -ECONNRESET);
	ck_assert_ptr_nonnull(strstr(peal_error(), "died"));
	peal_close(round->link);
}

static int receive(struct round *round)
{
	int err;

	do
		err = traffic_receive(&back, peal_link_rx(round->link), round->patience);
	while (err == -EAGAIN && !round->patience);
	return err;
}

static int send(struct round *round)
{
	int err;

	do
		err = traffic_send(&there, peal_link_tx(round->link), round->patience);
	while (err == -EAGAIN && !round->patience);
	return err;
}

/* What a sender sends that dies. */
enum manner { SHORT, LONG, BATCHES };

static void a_sender_dies(struct journal *journal, unsigned wait, unsigned number,
			  enum manner manner)
{
	struct round round;
	uint64_t sent;
	int err;

	begin_round(&round, journal, wait, number);
	if (manner == LONG)
		back.longest = TRAFFIC_LONGEST; /* of up to 16 rings */
	if (manner == BATCHES) {
		back.longest = 1000;
		peer_tell(&round.peer, "bundle %" PRIu64, there.seed);
	} else {
		peer_tell(&round.peer, "produce %" PRIu64 " %" PRIu64 " forever %zu", there.seed,
			  UINT64_MAX, back.longest);
	}
	kill_at(&round, &journal->sent);
	do
		err = receive(&round);
	while (!err);
	ck_assert_msg(err == -ECONNRESET, "message %" PRIu64 ": %d %s (round %u, seed %" PRIu64 ")",
		      back.next, err, err < 0 ? peal_error() : "is not as it was sent", number,
		      scene_seed());
	end_round(&round);
	/* It may have died between sending and noting; a batch that fills the ring goes out in
	 * parts. */
	sent = journal_read(&journal->sent);
	ck_assert_msg(back.next == sent || back.next == sent + 1 ||
			      (manner == BATCHES && back.next > sent && back.next <= sent + 32),
		      "%" PRIu64 " were sent, %" PRIu64 " arrived (round %u, seed %" PRIu64 ")",
		      sent, back.next, number, scene_seed());
}

static void the_sender_dies(struct journal *journal, unsigned wait, unsigned number)
{
	a_sender_dies(journal, wait, number, SHORT);
}

static void the_sender_dies_in_a_long_message(struct journal *journal, unsigned wait,
					      unsigned number)
{
	a_sender_dies(journal, wait, number, LONG);
}

static void the_sender_dies_in_a_batch(struct journal *journal, unsigned wait, unsigned number)
{
	a_sender_dies(journal, wait, number, BATCHES);
}

static void the_receiver_dies(struct journal *journal, unsigned wait, unsigned number)
{
	struct round round;
	uint64_t received, left = 0;
	int err;

	begin_round(&round, journal, wait, number);
	peer_tell(&round.peer, "consume %" PRIu64, there.seed);
	kill_at(&round, &journal->received);
	do
		err = send(&round);
	while (!err);
	ck_assert_msg(err == -ECONNRESET, "message %" PRIu64 ": %d %s (round %u, seed %" PRIu64 ")",
		      there.next, err, peal_error(), number, scene_seed());
	end_round(&round);
	ck_assert_msg(!journal_read(&journal->wrong),
		      "message %" PRIu64 " was wrong (round %u, seed %" PRIu64 ")",
		      journal->wrong - 1, number, scene_seed());
	/* What it had not noted must still be in the ring, but for one. */
	received = journal_read(&journal->received);
	ck_assert_uint_le(received, there.next);
	for (uint64_t i = received + 1; i < there.next; i++)
		left += record_size(traffic_length(&there, i));
	ck_assert_msg(left <= round.ring,
		      "%" PRIu64 " of %" PRIu64 " received, but %" PRIu64
		      " bytes are not in a ring of %" PRIu64,
		      received, there.next, left, round.ring);
}

static void the_answerer_dies(struct journal *journal, unsigned wait, unsigned number)
{
	unsigned window = 1 + (unsigned)(scene_random() % 8);
	struct round round;
	uint64_t answered;
	int err = 0;

	begin_round(&round, journal, wait, number);
	there.longest = back.longest = round.ring / 16;
	peer_tell(&round.peer, "echo");
	kill_at(&round, &journal->received);
	while (!err) {
		while (!err && there.next < back.next + window)
			err = send(&round);
		if (!err)
			err = receive(&round);
	}
	while (err == -ECONNRESET && receive(&round) == 0)
		;
	ck_assert_msg(err == -ECONNRESET, "answer %" PRIu64 ": %d %s (round %u, seed %" PRIu64 ")",
		      back.next, err, err < 0 ? peal_error() : "is not as it was sent", number,
		      scene_seed());
	end_round(&round);
	answered = journal_read(&journal->received);
	ck_assert_msg(back.next == answered || back.next == answered + 1,
		      "%" PRIu64 " were answered, %" PRIu64 " arrived (round %u, seed %" PRIu64 ")",
		      answered, back.next, number, scene_seed());
	ck_assert_uint_le(back.next, there.next);
}

/* Rounds of one kind, and a look at what is left of them all. */
static void many(void (*a_round)(struct journal *journal, unsigned wait, unsigned number),
		 unsigned wait)
{
	struct journal *journal = journal_open(scene_path("journal"));
	unsigned rounds = scene_rounds(24);
	struct holdings before;

	ck_assert_ptr_nonnull(journal);
	before = holdings_at_rest();
	for (unsigned i = 0; i < rounds; i++)
		a_round(journal, wait, i);
	holdings_expect(getpid(), &before);
	journal_close(journal);
}

START_TEST(what_a_killed_sender_sent_arrives_once_in_order_and_whole)
	{
		many(the_sender_dies, (unsigned)_i);
	}
END_TEST

START_TEST(a_killed_senders_long_messages_arrive_whole_or_not_at_all)
	{
		many(the_sender_dies_in_a_long_message, (unsigned)_i);
	}
END_TEST

START_TEST(a_killed_senders_batches_arrive_once_in_order_and_whole)
	{
		many(the_sender_dies_in_a_batch, (unsigned)_i);
	}
END_TEST

START_TEST(a_killed_receiver_had_a_prefix_each_message_once)
	{
		many(the_receiver_dies, (unsigned)_i);
	}
END_TEST

START_TEST(a_killed_answerers_answers_arrive_once_in_order_and_whole)
	{
		many(the_answerer_dies, (unsigned)_i);
	}
END_TEST

START_TEST(who_waits_for_ever_on_one_that_is_killed_waits_no_longer)
	{
		static const uint64_t at_once;

		for (unsigned i = 0; i < scene_rounds(12); i++) {
			struct round round = { .wait = (unsigned)_i, .ring = 4096 };
			int err = 0;

			peer_start(&round.peer);
			round.link = peer_link(&round.peer, i % 2, round.wait, round.ring);
			round.killer = (struct killer){
				.pid = round.peer.pid,
				.word = &at_once,
				.turns = scene_random() % ((uint64_t)2 << scene_random() % 20)
			};
			killer_start(&round.killer);
			if (i / 2 % 2)
				while (!err)
					err = peal_send(peal_link_tx(round.link), there.buffer, 100,
							0, PEAL_FOREVER);
			else
				err = (int)peal_recv(peal_link_rx(round.link), there.buffer,
						     sizeof(there.buffer), NULL, PEAL_FOREVER);
			ck_assert_int_eq(err, -ECONNRESET);
			end_round(&round);
		}
	}
END_TEST

START_TEST(a_client_that_is_killed_as_it_connects_leaves_nothing)
	{
		struct journal *journal = journal_open(scene_path("journal"));
		struct peal_listener *listener;
		struct peal_link *link;
		struct holdings before;
		struct peer peer;

		ck_assert_ptr_nonnull(journal);
		ck_assert_int_eq(peal_listen(&listener, scene_path("server"), NULL), 0);
		before = holdings_at_rest();
		for (unsigned i = 0; i < scene_rounds(30); i++) {
			struct killer killer = { .word = &journal->sent, .at = scene_random() % 3 };
			bool dead;
			int err;

			memset(journal, 0, sizeof(*journal));
			peer_start(&peer);
			peer_tell(&peer, "journal %s\nvisit %s", scene_path("journal"),
				  scene_path("server"));
			killer.pid = peer.pid;
			killer.turns = scene_random() % ((uint64_t)2 << scene_random() % 15);
			killer_start(&killer);
			/* Until it is dead, and nobody is in the queue. */
			do {
				dead = killer_is_done(&killer);
				err = peal_accept(listener, &link, 20 * MS);
				ck_assert_msg(!err || err == -ETIMEDOUT, "%d %s", err,
					      peal_error());
				if (!err)
					peal_close(link);
			} while (!dead || !err);
			killer_end(&killer);
			peer_reap_killed(&peer);
		}
		holdings_expect(getpid(), &before);
		peal_listener_close(listener);
		journal_close(journal);
	}
END_TEST

START_TEST(a_server_that_is_killed_ends_no_client_late_and_the_next_one_serves_at_once)
	{
		struct journal *journal = journal_open(scene_path("journal"));
		struct holdings before;
		struct peal_link *link;
		struct peer peer;

		ck_assert_ptr_nonnull(journal);
		before = holdings_at_rest();
		for (unsigned i = 0; i < scene_rounds(30); i++) {
			struct killer killer = { .word = &journal->received,
						 .at = 1 + scene_random() % 20 };
			int err;

			memset(journal, 0, sizeof(*journal));
			peer_start(&peer);
			peer_tell(&peer, "journal %s\nlisten %s\nwelcome", scene_path("journal"),
				  scene_path("server"));
			ck_assert_msg(peer_hear(&peer, "listen") == 0, "%s", peer.text);
			killer.pid = peer.pid;
			killer.turns = scene_random() % ((uint64_t)2 << scene_random() % 15);
			killer_start(&killer);
			do {
				err = peal_connect(&link, scene_path("server"), NULL,
						   SCENE_PATIENCE);
				if (!err)
					peal_close(link);
				ck_assert_msg(!err || err == -ECONNRESET || err == -ECONNREFUSED,
					      "%d %s", err, peal_error());
			} while (!err);
			killer_end(&killer);
			peer_reap_killed(&peer);
			ck_assert_int_eq(peal_connect(&link, scene_path("server"), NULL,
						      SCENE_PATIENCE),
					 -ECONNREFUSED);
		}
		holdings_expect(getpid(), &before);
		journal_close(journal);
	}
END_TEST

static Suite *death(void)
{
	Suite *suite = suite_create("death");
	TCase *flight = scene_case("in flight"), *rest = scene_case("at rest"),
	      *door = scene_case("at the door");

	tcase_add_loop_test(flight, what_a_killed_sender_sent_arrives_once_in_order_and_whole, 0,
			    3);
	tcase_add_loop_test(flight, a_killed_senders_long_messages_arrive_whole_or_not_at_all, 0,
			    3);
	tcase_add_loop_test(flight, a_killed_senders_batches_arrive_once_in_order_and_whole, 0, 3);
	tcase_add_loop_test(flight, a_killed_receiver_had_a_prefix_each_message_once, 0, 3);
	tcase_add_loop_test(flight, a_killed_answerers_answers_arrive_once_in_order_and_whole, 0,
			    3);
	tcase_add_loop_test(rest, who_waits_for_ever_on_one_that_is_killed_waits_no_longer, 0, 3);
	tcase_add_test(door, a_client_that_is_killed_as_it_connects_leaves_nothing);
	tcase_add_test(door,
		       a_server_that_is_killed_ends_no_client_late_and_the_next_one_serves_at_once);
	suite_add_tcase(suite, flight);
	suite_add_tcase(suite, rest);
	suite_add_tcase(suite, door);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { death, NULL };

	return runner_main(suites);
}
