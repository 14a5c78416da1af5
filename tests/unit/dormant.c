/*
 * SPDX-License-Identifier: MIT
 *
 * Members of a set that sleep: they are not looked at, and yet nothing of theirs is missed, by a
 * set that sleeps and by one that others keep busy; and what else a set listens to. White-box: it
 * looks at who sleeps.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/link.h"
#include "lib/set.h"
#include "tests/unit/stage.h"

#define LINKS 6
#define MANY 300 /* links, whose other ends are not in this process's set */

struct crowd {
	struct meeting first;
	struct peal_link **servers, **clients;
	struct peal_set *set;
	int count;
};

/* 0: rung by its socket; 1: by an eventfd. 2: with membarriers. */
static void crowd_open(struct crowd *crowd, int count, int which)
{
	struct peal_options server = stage_options(PEAL_WAIT_SLEEP, 0), client;

	server.bell = which & 1 ? PEAL_BELL_EVENTFD : PEAL_BELL_SOCKET;
	server.barrier = which & 2 ? PEAL_BARRIER_ASYMMETRIC : PEAL_BARRIER_FENCE;
	client = server;
	crowd->count = count;
	crowd->servers = calloc((size_t)count, sizeof(*crowd->servers));
	crowd->clients = calloc((size_t)count, sizeof(*crowd->clients));
	meeting_open(&crowd->first, &server, &client);
	crowd->servers[0] = crowd->first.server;
	crowd->clients[0] = crowd->first.client;
	ck_assert_int_eq(peal_set_create(&crowd->set), 0);
	for (int i = 0; i < count; i++) {
		struct caller caller;

		if (i) {
			caller_start(&caller, crowd->first.folder.path, &client, LONG);
			ck_assert_int_eq(
				peal_accept(crowd->first.listener, &crowd->servers[i], LONG), 0);
			caller_end(&caller);
			ck_assert_int_eq(caller.err, 0);
			crowd->clients[i] = caller.link;
		}
		ck_assert_int_eq(peal_set_add(crowd->set, crowd->servers[i], &crowd->clients[i]),
				 0);
	}
}

static void crowd_close(struct crowd *crowd)
{
	peal_set_free(crowd->set);
	crowd->first.server = crowd->servers[0];
	crowd->first.client = crowd->clients[0];
	for (int i = 1; i < crowd->count; i++) {
		peal_close(crowd->servers[i]);
		peal_close(crowd->clients[i]);
	}
	meeting_close(&crowd->first);
	free(crowd->servers);
	free(crowd->clients);
}

static const struct peal_set_head *head_of(const struct crowd *crowd)
{
	return (const struct peal_set_head *)(const void *)crowd->set;
}

static bool sleeps(const struct crowd *crowd, int i)
{
	const struct peal_set_head *head = head_of(crowd);

	return head->members[crowd->servers[i]->in_set - 1].place >= head->count;
}

/* A wait in which this thread does not run may be over before they do. */
static void all_sleep(struct crowd *crowd)
{
	do
		expect_error(peal_set_wait(crowd->set, MS / 20), -ETIMEDOUT, NULL);
	while (head_of(crowd)->count);
}

static void say(struct peal_link *link, char byte)
{
	ck_assert_int_eq(peal_send(peal_link_tx(link), &byte, 1, 0, 0), 0);
}

static void expect_said(struct peal_link *link, char byte)
{
	char said;

	ck_assert_int_eq(peal_recv(peal_link_rx(link), &said, 1, NULL, 0), 1);
	ck_assert_int_eq(said, byte);
}

/* Once around the loop of a program; what is ready is told by peal_set_next. */
static void go_round(struct crowd *crowd, bool arms)
{
	int err = arms ? peal_set_arm(crowd->set) : peal_set_wait(crowd->set, LONG);

	if (arms && err == 0) {
		struct pollfd fd = { .fd = peal_set_fd(crowd->set), .events = POLLIN };

		ck_assert_int_eq(poll(&fd, 1, (int)(LONG / MS)), 1);
		err = peal_set_arm(crowd->set);
	}
	ck_assert_int_ge(err, 0);
}

/* Goes round until this one is told of; the others are busy, or not there. */
static void expect_told(struct crowd *crowd, int i, bool arms)
{
	uint64_t until = platform_now() + (uint64_t)LONG;
	struct peal_link *link;
	void *data;

	for (;;) {
		ck_assert_uint_lt(platform_now(), until);
		go_round(crowd, arms);
		while ((link = peal_set_next(crowd->set, &data))) {
			if (link != crowd->servers[i])
				continue;
			ck_assert_ptr_eq(data, &crowd->clients[i]);
			return;
		}
	}
}

/* One of the members has a message that nobody takes, so the set never sleeps. */
static void busy(struct crowd *crowd, int i)
{
	say(crowd->clients[i], 'b');
	expect_told(crowd, i, false);
}

/* Until one has been quiet for long enough. */
static void wait_until_it_sleeps(struct crowd *crowd, int i, bool arms)
{
	uint64_t until = platform_now() + (uint64_t)LONG;

	while (!sleeps(crowd, i)) {
		ck_assert_uint_lt(platform_now(), until);
		go_round(crowd, arms);
	}
}

START_TEST(who_sleeps_is_heard_while_another_is_busy)
	{
		bool arms = _i & 4;
		struct crowd crowd;

		crowd_open(&crowd, LINKS, _i);
		all_sleep(&crowd);
		busy(&crowd, 0);
		for (int round = 0; round < 3; round++)
			for (int i = 1; i < LINKS; i++) {
				wait_until_it_sleeps(&crowd, i, arms);
				say(crowd.clients[i], 'x');
				expect_told(&crowd, i, arms);
				ck_assert(!sleeps(&crowd, i));
				expect_said(crowd.servers[i], 'x');
			}
		ck_assert(!sleeps(&crowd, 0));
		crowd_close(&crowd);
	}
END_TEST

START_TEST(the_end_of_who_sleeps_is_told_while_another_is_busy)
	{
		bool arms = _i & 4;
		struct crowd crowd;
		char byte;

		crowd_open(&crowd, LINKS, _i);
		all_sleep(&crowd);
		busy(&crowd, 0);
		for (int i = 1; i < 3; i++)
			wait_until_it_sleeps(&crowd, i, arms);
		platform_hang_up(crowd.clients[1]->fd);
		peal_close(crowd.clients[2]);
		crowd.clients[2] = NULL;
		expect_told(&crowd, 1, arms);
		expect_error(peal_recv(peal_link_rx(crowd.servers[1]), &byte, 1, NULL, 0),
			     -ECONNRESET, NULL);
		expect_told(&crowd, 2, arms);
		expect_error(peal_recv(peal_link_rx(crowd.servers[2]), &byte, 1, NULL, 0), -EPIPE,
			     NULL);
		/* And again, until it is taken out. */
		expect_told(&crowd, 1, arms);
		crowd_close(&crowd);
	}
END_TEST

START_TEST(who_leaves_while_asleep_leaves_the_others_as_they_are)
	{
		struct peal_link *link;
		struct crowd crowd;
		void *data;

		crowd_open(&crowd, LINKS, _i);
		for (int round = 0; round < 3; round++) {
			all_sleep(&crowd);
			ck_assert_int_eq(peal_set_remove(crowd.set, crowd.servers[1]), 0);
			ck_assert_int_eq(peal_set_remove(crowd.set, crowd.servers[3]), 0);
			for (int i = 0; i < LINKS; i++)
				say(crowd.clients[i], 'x');
			for (int i = 0; i < LINKS; i++) {
				if (i == 1 || i == 3)
					continue;
				expect_told(&crowd, i, false);
				expect_said(crowd.servers[i], 'x');
			}
			/* The places of those who left are taken again, in another order. */
			all_sleep(&crowd);
			for (int i = 1; i <= 3; i += 2) {
				ck_assert_int_eq(peal_set_add(crowd.set, crowd.servers[i],
							      &crowd.clients[i]),
						 0);
				expect_told(&crowd, i, false);
				expect_said(crowd.servers[i], 'x');
			}
		}
		/* Of what is ready only who leaves is not told of. */
		for (int i = 0; i < 4; i++)
			say(crowd.clients[i], 'y');
		do
			ck_assert_int_ge(peal_set_wait(crowd.set, LONG), 1);
		while (head_of(&crowd)->ready_count < 4);
		link = peal_set_next(crowd.set, &data);
		ck_assert_ptr_nonnull(link);
		ck_assert_int_eq(peal_set_remove(crowd.set, link), 0);
		for (int i = 0; i < 4; i++)
			if (crowd.servers[i] != link) {
				peal_close(crowd.servers[i]);
				crowd.servers[i] = NULL;
				break;
			}
		for (int i = 0; i < 2; i++) {
			link = peal_set_next(crowd.set, &data);
			ck_assert_ptr_nonnull(link);
			ck_assert_ptr_eq(link,
					 crowd.servers[(struct peal_link **)data - crowd.clients]);
			expect_said(link, 'y');
		}
		ck_assert_ptr_null(peal_set_next(crowd.set, NULL));
		crowd_close(&crowd);
	}
END_TEST

/* Fills the ring of a member, which then wants room. */
static void fill(struct crowd *crowd, int i)
{
	static const char text[500];

	while (!peal_send(peal_link_tx(crowd->servers[i]), text, sizeof(text), 0, 0))
		;
	ck_assert_int_eq(peal_set_want_room(crowd->set, crowd->servers[i]), 0);
}

static void take_one(struct peal_link *link)
{
	struct peal_message message;

	ck_assert_int_eq(peal_peek(peal_link_rx(link), &message, 0), 0);
	peal_release(peal_link_rx(link));
}

START_TEST(who_sleeps_is_told_of_its_room)
	{
		bool arms = _i & 4;
		struct crowd crowd;

		crowd_open(&crowd, LINKS, _i);
		all_sleep(&crowd);
		fill(&crowd, 1); /* awake, since it has sent */
		all_sleep(&crowd);
		/* The same wish once more. */
		ck_assert_int_eq(peal_set_want_room(crowd.set, crowd.servers[1]), 0);
		all_sleep(&crowd);
		take_one(crowd.clients[1]);
		expect_told(&crowd, 1, false);
		busy(&crowd, 0);
		fill(&crowd, 1);
		wait_until_it_sleeps(&crowd, 1, arms);
		take_one(crowd.clients[1]);
		expect_told(&crowd, 1, arms);
		/* It is told once. */
		wait_until_it_sleeps(&crowd, 1, arms);
		crowd_close(&crowd);
	}
END_TEST

START_TEST(who_is_muted_is_told_of_its_room_and_its_end_alone)
	{
		bool arms = _i & 4;
		struct crowd crowd;

		crowd_open(&crowd, LINKS, _i);
		set_mute(crowd.set, crowd.servers[1], true);
		say(crowd.clients[1], 'x');
		all_sleep(&crowd);
		fill(&crowd, 1);
		all_sleep(&crowd);
		take_one(crowd.clients[1]);
		expect_told(&crowd, 1, arms);
		all_sleep(&crowd);
		set_mute(crowd.set, crowd.servers[1], false);
		expect_told(&crowd, 1, arms);
		set_mute(crowd.set, crowd.servers[1], true);
		all_sleep(&crowd);
		platform_hang_up(crowd.clients[1]->fd);
		expect_told(&crowd, 1, arms);
		crowd_close(&crowd);
	}
END_TEST

START_TEST(what_is_left_pending_on_who_sleeps_goes_out)
	{
		struct crowd crowd;
		void *at;

		crowd_open(&crowd, LINKS, _i);
		for (int round = 0; round < 3; round++) {
			all_sleep(&crowd);
			ck_assert_int_eq(
				peal_send_more(peal_link_tx(crowd.servers[2]), "x", 1, 0, 0), 0);
			expect_error(peal_set_wait(crowd.set, 0), -EAGAIN, NULL);
			expect_said(crowd.clients[2], 'x');
			/* One that was reserved before it slept. */
			ck_assert_int_eq(peal_reserve(peal_link_tx(crowd.servers[3]), 1, &at, 0),
					 0);
			all_sleep(&crowd);
			memcpy(at, "y", 1);
			ck_assert_int_eq(peal_commit_more(peal_link_tx(crowd.servers[3]), 1, 0), 0);
			if (round)
				all_sleep(&crowd);
			else
				ck_assert_int_eq(peal_set_arm(crowd.set), 0);
			expect_said(crowd.clients[3], 'y');
		}
		/* It finds its room again. */
		all_sleep(&crowd);
		for (int i = 0; i < 10; i++) {
			say(crowd.servers[2], 'z');
			all_sleep(&crowd);
		}
		for (int i = 0; i < 10; i++)
			expect_said(crowd.clients[2], 'z');
		crowd_close(&crowd);
	}
END_TEST

START_TEST(who_gives_a_message_up_while_asleep_is_looked_after)
	{
		struct peal_sending sending = { .tag = 1 };
		struct crowd crowd;
		struct peal_tx *tx;
		void *text;
		char byte;

		crowd_open(&crowd, LINKS, _i);
		tx = peal_link_tx(crowd.servers[2]);
		sending.length = tx->largest + 1;
		sending.data = text = calloc(1, sending.length);
		expect_error(peal_send_part(tx, &sending, 0), -EAGAIN, NULL);
		ck_assert_uint_eq(sending.begun, 1);
		all_sleep(&crowd);
		/* Now there is room, which only a look tells. */
		expect_error(peal_recv(peal_link_rx(crowd.clients[2]), &byte, 1, NULL, 0), -ENOBUFS,
			     NULL);
		peal_release(peal_link_rx(crowd.clients[2]));
		peal_abort(tx);
		ck_assert_int_eq(peal_send_more(tx, "x", 1, 0, 0), 0);
		all_sleep(&crowd);
		expect_said(crowd.clients[2], 'x');
		free(text);
		crowd_close(&crowd);
	}
END_TEST

START_TEST(who_finds_its_peer_closed_while_asleep_sends_no_more)
	{
		struct crowd crowd;
		struct peal_tx *tx;
		void *at;

		crowd_open(&crowd, LINKS, _i);
		tx = peal_link_tx(crowd.servers[2]);
		ck_assert_int_eq(peal_reserve(tx, 1, &at, 0), 0);
		all_sleep(&crowd);
		peal_close(crowd.clients[2]);
		crowd.clients[2] = NULL;
		memcpy(at, "x", 1);
		ck_assert_int_eq(peal_commit(tx, 1, 0), 0);
		expect_told(&crowd, 2, false);
		expect_error(peal_send(tx, "y", 1, 0, 0), -EPIPE, NULL);
		crowd_close(&crowd);
	}
END_TEST

START_TEST(a_verb_that_hears_the_bells_of_who_sleeps_leaves_it_to_be_looked_at)
	{
		struct crowd crowd;
		char byte;

		crowd_open(&crowd, LINKS, _i);
		all_sleep(&crowd);
		expect_error(peal_recv(peal_link_rx(crowd.servers[1]), &byte, 1, NULL, MS / 10),
			     -ETIMEDOUT, NULL);
		say(crowd.clients[1], 'x');
		expect_told(&crowd, 1, false);
		expect_said(crowd.servers[1], 'x');
		/* The bell of room is drained with that of the message. */
		fill(&crowd, 1);
		all_sleep(&crowd);
		take_one(crowd.clients[1]);
		expect_error(peal_recv(peal_link_rx(crowd.servers[1]), &byte, 1, NULL, 30 * MS),
			     -ETIMEDOUT, NULL);
		expect_told(&crowd, 1, false);
		crowd_close(&crowd);
	}
END_TEST

START_TEST(who_only_polls_misses_nothing)
	{
		struct crowd crowd;
		uint32_t polls = 0;

		crowd_open(&crowd, LINKS, _i);
		for (int i = 0; i < 1000; i++)
			ck_assert_int_eq(peal_set_poll(crowd.set), 0);
		ck_assert_uint_eq(head_of(&crowd)->count, LINKS);
		all_sleep(&crowd);
		say(crowd.clients[4], 'x');
		while (!peal_set_poll(crowd.set))
			ck_assert_uint_le(++polls, PEAL_SET_POLLS);
		ck_assert_ptr_eq(peal_set_next(crowd.set, NULL), crowd.servers[4]);
		expect_said(crowd.servers[4], 'x');
		ck_assert_uint_eq(head_of(&crowd)->count, LINKS);
		say(crowd.clients[2], 'y');
		ck_assert_int_eq(peal_set_poll(crowd.set), 1);
		ck_assert_ptr_eq(peal_set_next(crowd.set, NULL), crowd.servers[2]);
		expect_said(crowd.servers[2], 'y');
		/* And what rang while it was asleep is no lie. */
		all_sleep(&crowd);
		crowd_close(&crowd);
	}
END_TEST

/* The header of the next message of a client's, with no bell. */
static void publish_unheard(struct peal_link *client)
{
	const struct peal_tx *tx = peal_link_tx(client);

	/* Pairs with the looks of the set. */
	__atomic_store_n((uint64_t *)(void *)(tx->data + (tx->pos & tx->mask)), 2,
			 __ATOMIC_RELEASE);
}

START_TEST(who_sleeps_in_doubt_is_looked_at_again)
	{
		struct crowd crowd;

		crowd_open(&crowd, LINKS, 2 | (_i & 1));
		if (!crowd.servers[0]->data.asymmetric) {
			skip("no membarrier here");
			goto out;
		}
		if (_i & 2)
			busy(&crowd, 0);
		/* As slow as the machine may be: before its second look. */
		do {
			peal_set_rouse(crowd.set);
			if (_i & 2)
				wait_until_it_sleeps(&crowd, 1, false);
			else
				all_sleep(&crowd);
		} while (!crowd.servers[1]->doubt_ends);
		publish_unheard(crowd.clients[1]);
		expect_told(&crowd, 1, false);
		ck_assert(!sleeps(&crowd, 1));
		ck_assert_uint_eq(crowd.servers[1]->doubt_ends, 0);
out:
		crowd_close(&crowd);
	}
END_TEST

START_TEST(who_sleeps_in_doubt_asks_for_fences_before_the_program_waits)
	{
		struct crowd crowd;

		crowd_open(&crowd, LINKS, 2 | (_i & 1));
		if (!crowd.servers[0]->data.asymmetric) {
			skip("no membarrier here");
			goto out;
		}
		do {
			peal_set_rouse(crowd.set);
			all_sleep(&crowd);
		} while (!crowd.servers[1]->doubt_ends);
		/* Nobody would look again. */
		ck_assert_int_eq(peal_set_arm(crowd.set), 0);
		for (int i = 0; i < LINKS; i++) {
			if (crowd.servers[i]->doubt_ends)
				ck_abort_msg("%d is still in doubt", i);
			ck_assert(sleeps(&crowd, i));
		}
		ck_assert_uint_ne(crowd.servers[1]->data.word & PEAL_ASLEEP_FENCE, 0);
out:
		crowd_close(&crowd);
	}
END_TEST

START_TEST(what_is_left_pending_goes_out_when_its_link_falls_asleep)
	{
		struct crowd crowd;

		crowd_open(&crowd, LINKS, _i);
		busy(&crowd, 0);
		ck_assert_int_eq(peal_send_more(peal_link_tx(crowd.servers[2]), "x", 1, 0, 0), 0);
		wait_until_it_sleeps(&crowd, 2, false);
		expect_said(crowd.clients[2], 'x');
		crowd_close(&crowd);
	}
END_TEST

START_TEST(who_spins_never_sleeps)
	{
		struct peal_options spin = stage_options(PEAL_WAIT_SPIN, 0);
		struct meeting other;
		struct crowd crowd;

		crowd_open(&crowd, LINKS, _i);
		meeting_open(&other, &spin, &spin);
		ck_assert_int_eq(peal_set_add(crowd.set, other.server, NULL), 0);
		for (int i = 0; i < LINKS; i++)
			while (!sleeps(&crowd, i))
				expect_error(peal_set_wait(crowd.set, MS), -ETIMEDOUT, NULL);
		ck_assert_uint_eq(head_of(&crowd)->count, 1);
		publish_unheard(other.client);
		ck_assert_int_eq(peal_set_wait(crowd.set, LONG), 1);
		ck_assert_ptr_eq(peal_set_next(crowd.set, NULL), other.server);
		ck_assert_int_eq(peal_set_remove(crowd.set, other.server), 0);
		all_sleep(&crowd);
		meeting_close(&other);
		crowd_close(&crowd);
	}
END_TEST

START_TEST(a_set_of_many_wakes_for_who_has_something_and_for_nobody_else)
	{
		struct crowd crowd;
		uint64_t wakeups;

		crowd_open(&crowd, MANY, _i);
		all_sleep(&crowd);
		/* Once what was in doubt is settled. */
		while (crowd.servers[MANY - 1]->doubt_ends || crowd.servers[0]->doubt_ends)
			all_sleep(&crowd);
		wakeups = set_wakeups(crowd.set);
		expect_error(peal_set_wait(crowd.set, 100 * MS), -ETIMEDOUT, NULL);
		/* As the time was up, whole milliseconds first. */
		ck_assert_uint_le(set_wakeups(crowd.set) - wakeups, 2);
		for (int i = 0; i < MANY; i += 7) {
			say(crowd.clients[i], 'x');
			ck_assert_int_eq(peal_set_wait(crowd.set, LONG), 1);
			/* Who had something is awake, or asleep again. */
			ck_assert_uint_le(head_of(&crowd)->count, (uint32_t)i / 7 + 1);
			ck_assert_ptr_eq(peal_set_next(crowd.set, NULL), crowd.servers[i]);
			expect_said(crowd.servers[i], 'x');
		}
		all_sleep(&crowd);
		crowd_close(&crowd);
	}
END_TEST

/*
 * What else a set listens to.
 */

static int heard_within(struct crowd *crowd, bool arms, uint32_t *heard)
{
	uint64_t until = platform_now() + (uint64_t)LONG;
	int count;

	do {
		ck_assert_uint_lt(platform_now(), until);
		count = arms ? set_arm(crowd->set, heard) : set_wait(crowd->set, LONG, heard);
		ck_assert_int_ge(count, 0);
	} while (!*heard);
	return count;
}

START_TEST(a_descriptor_that_is_watched_ends_the_wait)
	{
		struct crowd crowd = { .count = 0 };
		uint32_t heard;
		int ends[2];

		ck_assert_int_eq(pipe(ends), 0);
		if (_i & 1) {
			crowd_open(&crowd, LINKS, 0);
		} else {
			ck_assert_int_eq(peal_set_create(&crowd.set), 0);
			expect_error(peal_set_wait(crowd.set, 0), -ENOENT, "empty", NULL);
		}
		ck_assert_int_eq(set_watch(crowd.set, ends[0], 5), 0);
		expect_error(set_wait(crowd.set, 0, &heard), -EAGAIN, NULL);
		expect_error(set_wait(crowd.set, MS / 20, &heard), -ETIMEDOUT, NULL);
		ck_assert_uint_eq(heard, 0);
		ck_assert_int_eq(set_arm(crowd.set, &heard), 0);
		ck_assert_uint_eq(heard, 0);
		ck_assert_int_eq(write(ends[1], "x", 1), 1);
		for (int i = 0; i < 3; i++) { /* as long as it is readable */
			ck_assert_int_eq(heard_within(&crowd, _i & 2, &heard), _i & 2 ? 1 : 0);
			ck_assert_uint_eq(heard, 1u << 5);
		}
		if (_i & 1) {
			say(crowd.clients[0], 'x');
			ck_assert_int_eq(heard_within(&crowd, _i & 2, &heard), 1);
			expect_told(&crowd, 0, _i & 2);
		}
		close(ends[0]);
		if (_i & 1)
			expect_said(crowd.servers[0], 'x');
		expect_error(set_wait(crowd.set, 0, &heard), -EAGAIN, NULL);
		ck_assert_uint_eq(heard, 0);
		close(ends[1]);
		if (_i & 1)
			crowd_close(&crowd);
		else
			peal_set_free(crowd.set);
	}
END_TEST

/*
 * All at once: who sends pauses for about as long as it takes to be put to sleep.
 */

#define TALKERS 4

struct talker {
	struct peal_link *link;
	uint32_t random, messages;
	pthread_t thread;
};

static void *talk(void *data)
{
	struct talker *talker = data;

	for (uint32_t i = 0; i < talker->messages; i++) {
		uint64_t until = platform_now();

		talker->random = talker->random * 1664525u + 1013904223u;
		if (talker->random >> 30 == 0)
			platform_sleep(talker->random >> 8 & 0x3fffff); /* up to 4 ms */
		else if (talker->random >> 30 == 1)
			for (until += talker->random >> 12 & 0x3ffff; platform_now() < until;)
				peal_relax();
		if (peal_send(peal_link_tx(talker->link), &i, sizeof(i), 0, PEAL_FOREVER))
			break;
	}
	return NULL;
}

#define TALK 400u

START_TEST(nothing_is_lost_between_falling_asleep_and_ringing)
	{
		struct talker talkers[TALKERS];
		uint32_t next[TALKERS] = { 0 }, value, all = 0;
		struct peal_link *link = NULL;
		struct crowd crowd;
		void *data;

		crowd_open(&crowd, TALKERS, _i);
		for (int i = 0; i < TALKERS; i++) {
			talkers[i] = (struct talker){ .link = crowd.clients[i],
						      .random = (uint32_t)(_i * 100 + i),
						      .messages = TALK };
			ck_assert_int_eq(
				pthread_create(&talkers[i].thread, NULL, talk, &talkers[i]), 0);
		}
		while (all < TALKERS * TALK) {
			go_round(&crowd, _i & 4);
			while ((link = peal_set_next(crowd.set, &data))) {
				long i = (struct peal_link **)data - crowd.clients;

				ck_assert_ptr_eq(link, crowd.servers[i]);
				while (peal_recv(peal_link_rx(link), &value, sizeof(value), NULL,
						 0) > 0) {
					ck_assert_uint_eq(value, next[i]++);
					all++;
				}
			}
		}
		for (int i = 0; i < TALKERS; i++)
			ck_assert_int_eq(pthread_join(talkers[i].thread, NULL), 0);
		crowd_close(&crowd);
	}
END_TEST

static Suite *dormant(void)
{
	Suite *suite = suite_create("dormant");
	TCase *tcase = tcase_create("dormant"), *all = tcase_create("all at once");

	tcase_set_timeout(all, 120);
	tcase_add_loop_test(tcase, who_sleeps_is_heard_while_another_is_busy, 0, 8);
	tcase_add_loop_test(tcase, the_end_of_who_sleeps_is_told_while_another_is_busy, 0, 8);
	tcase_add_loop_test(tcase, who_leaves_while_asleep_leaves_the_others_as_they_are, 0, 4);
	tcase_add_loop_test(tcase, who_sleeps_is_told_of_its_room, 0, 8);
	tcase_add_loop_test(tcase, who_is_muted_is_told_of_its_room_and_its_end_alone, 0, 8);
	tcase_add_loop_test(tcase, what_is_left_pending_on_who_sleeps_goes_out, 0, 4);
	tcase_add_loop_test(tcase, who_gives_a_message_up_while_asleep_is_looked_after, 0, 4);
	tcase_add_loop_test(tcase, who_finds_its_peer_closed_while_asleep_sends_no_more, 0, 4);
	tcase_add_loop_test(
		tcase, a_verb_that_hears_the_bells_of_who_sleeps_leaves_it_to_be_looked_at, 0, 4);
	tcase_add_loop_test(tcase, who_only_polls_misses_nothing, 0, 4);
	tcase_add_loop_test(tcase, who_sleeps_in_doubt_is_looked_at_again, 0, 4);
	tcase_add_loop_test(tcase, who_sleeps_in_doubt_asks_for_fences_before_the_program_waits, 0,
			    2);
	tcase_add_loop_test(tcase, what_is_left_pending_goes_out_when_its_link_falls_asleep, 0, 4);
	tcase_add_loop_test(tcase, who_spins_never_sleeps, 0, 2);
	tcase_add_loop_test(all, a_set_of_many_wakes_for_who_has_something_and_for_nobody_else, 0,
			    4);
	tcase_add_loop_test(tcase, a_descriptor_that_is_watched_ends_the_wait, 0, 4);
	tcase_add_loop_test(all, nothing_is_lost_between_falling_asleep_and_ringing, 0, 8);
	suite_add_tcase(suite, tcase);
	suite_add_tcase(suite, all);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { dormant, NULL };

	return runner_main(suites);
}
