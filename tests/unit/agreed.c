/*
 * SPDX-License-Identifier: MIT
 *
 * What a link says was agreed on: each side's own options and the other's, seen from both sides.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/stage.h"

#define KIB ((uint64_t)1024)

static struct meeting met;

static struct peal_agreed agreed_of(const struct peal_link *link)
{
	struct peal_agreed agreed = { .size = sizeof(agreed) };

	ck_assert_msg(!peal_link_agreed(link, &agreed), "%s", peal_error());
	ck_assert_uint_eq(agreed.size, sizeof(agreed));
	ck_assert_uint_eq(agreed.spare, 0);
	return agreed;
}

/* What the one says of itself, the other says of its peer. */
static void expect_mirrored(const struct peal_agreed *a, const struct peal_agreed *b)
{
	ck_assert_uint_eq(a->protocol, b->protocol);
	ck_assert_uint_eq(a->layout, b->layout);
	ck_assert_uint_eq(a->abi, b->peer_abi);
	ck_assert_uint_eq(a->wait, b->peer_wait);
	ck_assert_uint_eq(a->bell, b->peer_bell);
	ck_assert_uint_eq(a->ring, b->peer_ring);
	ck_assert_uint_eq(a->largest, b->peer_largest);
	ck_assert_uint_eq(a->longest, b->peer_longest);
	if (a->flags & PEAL_AGREED_ASYMMETRIC)
		ck_assert_uint_ne(b->flags & PEAL_AGREED_PEER_ASYMMETRIC, 0);
	ck_assert_uint_eq(!(a->flags & PEAL_AGREED_FRAGMENTS), !(b->flags & PEAL_AGREED_FRAGMENTS));
}

static void expect_mirrored_both(struct peal_agreed *c, struct peal_agreed *s)
{
	*c = agreed_of(met.client);
	*s = agreed_of(met.server);
	expect_mirrored(c, s);
	expect_mirrored(s, c);
}

START_TEST(the_defaults_are_agreed_on)
	{
		struct peal_agreed c, s;

		meeting_open(&met, NULL, NULL);
		expect_mirrored_both(&c, &s);
		ck_assert_uint_eq(c.role, PEAL_CLIENT);
		ck_assert_uint_eq(s.role, PEAL_SERVER);
		ck_assert_uint_eq(c.protocol, 1);
		ck_assert_uint_eq(c.layout, 1);
		ck_assert_uint_eq(c.abi, PEAL_ABI);
		ck_assert_uint_eq(c.wait, PEAL_WAIT_ADAPTIVE);
		ck_assert_uint_eq(c.page, stage_page());
		ck_assert_uint_eq(c.ring, 64 * KIB);
		ck_assert_uint_eq(s.ring, 64 * KIB);
		/* A server takes what fits one record, a client 64 MiB. */
		ck_assert_uint_eq(c.largest, 64 * KIB - 16);
		ck_assert_uint_eq(c.longest, 64 * KIB - 16);
		ck_assert_uint_eq(s.largest, 64 * KIB - 16);
		ck_assert_uint_eq(s.longest, KIB * 64 * KIB);
		ck_assert_uint_eq(c.flags & PEAL_AGREED_FRAGMENTS, PEAL_AGREED_FRAGMENTS);
		/* A client trusts its server, and no server its client. */
		ck_assert_uint_eq(c.bell, PEAL_BELL_SOCKET);
		ck_assert_uint_eq(s.bell, PEAL_BELL_EVENTFD);
		meeting_close(&met);
	}
END_TEST

START_TEST(rings_and_messages_are_those_of_both_sides)
	{
		static const char message[5001];
		struct peal_options theirs = stage_options(PEAL_WAIT_SLEEP, 128 * KIB);
		struct peal_options ours = stage_options(PEAL_WAIT_SPIN, 256 * KIB);
		struct peal_agreed c, s;

		theirs.max_message = 1000 * KIB;
		ours.max_message = 5000;
		meeting_open(&met, &theirs, &ours);
		expect_mirrored_both(&c, &s);
		ck_assert_uint_eq(c.ring, 256 * KIB);
		ck_assert_uint_eq(s.ring, 128 * KIB);
		ck_assert_uint_eq(c.largest, 256 * KIB - 16);
		ck_assert_uint_eq(c.longest, 1000 * KIB);
		ck_assert_uint_eq(s.largest, 5000);
		ck_assert_uint_eq(s.longest, 5000);
		ck_assert_uint_eq(c.wait, PEAL_WAIT_SPIN);
		ck_assert_uint_eq(s.wait, PEAL_WAIT_SLEEP);
		/* And so it is: not a byte more. */
		expect_error(peal_send(peal_link_tx(met.server), message, sizeof(message), 0, 0),
			     -EMSGSIZE, "5000", NULL);
		meeting_close(&met);
	}
END_TEST

START_TEST(bells_are_what_both_sides_make_of_them)
	{
		static const struct {
			uint32_t bell, flags, client_bell, client_flags; /* wanted */
			uint32_t servers, clients;                       /* found */
		} cases[] = {
			{ PEAL_BELL_SOCKET, 0, 0, 0, PEAL_BELL_SOCKET, PEAL_BELL_SOCKET },
			{ 0, 0, 0, PEAL_DISTRUST_PEER, PEAL_BELL_SOCKET, PEAL_BELL_SOCKET },
			{ PEAL_BELL_EVENTFD, 0, 0, PEAL_DISTRUST_PEER, PEAL_BELL_SOCKET,
			  PEAL_BELL_SOCKET },
			{ 0, 0, PEAL_BELL_EVENTFD, 0, PEAL_BELL_EVENTFD, PEAL_BELL_SOCKET },
			{ 0, PEAL_TRUST_PEER, PEAL_BELL_EVENTFD, 0, PEAL_BELL_EVENTFD,
			  PEAL_BELL_EVENTFD },
		};
		struct peal_options theirs = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct peal_options ours = theirs;
		struct peal_agreed c, s;

		theirs.bell = cases[_i].bell;
		theirs.flags = cases[_i].flags;
		ours.bell = cases[_i].client_bell;
		ours.flags = cases[_i].client_flags;
		meeting_open(&met, &theirs, &ours);
		expect_mirrored_both(&c, &s);
		ck_assert_uint_eq(s.bell, cases[_i].servers);
		ck_assert_uint_eq(c.bell, cases[_i].clients);
		meeting_close(&met);
	}
END_TEST

START_TEST(who_spins_has_no_bell)
	{
		struct peal_options spins = stage_options(PEAL_WAIT_SPIN, 0);
		struct peal_agreed c, s;

		meeting_open(&met, &spins, NULL);
		expect_mirrored_both(&c, &s);
		ck_assert_uint_eq(s.bell, PEAL_BELL_AUTO);
		ck_assert_uint_eq(c.bell, PEAL_BELL_SOCKET);
		meeting_close(&met);
	}
END_TEST

static bool asymmetric_is_usable(void)
{
	struct peal_choice choice;

	for (unsigned i = 0; !peal_runtime_choice(i, &choice); i++)
		if (!strcmp(choice.name, "asymmetric"))
			return choice.usable;
	return false;
}

/* One of two sides forbids it to both, and the other one is registered all the same. */
START_TEST(who_fences_is_not_asymmetric)
	{
		struct peal_options fences = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct peal_options asks = fences;
		struct peal_agreed c, s;

		fences.barrier = PEAL_BARRIER_FENCE;
		asks.barrier = PEAL_BARRIER_ASYMMETRIC;
		meeting_open(&met, &fences, &asks);
		expect_mirrored_both(&c, &s);
		ck_assert_uint_eq(c.flags & PEAL_AGREED_ASYMMETRIC, 0);
		ck_assert_uint_eq(s.flags & PEAL_AGREED_ASYMMETRIC, 0);
		ck_assert_uint_eq(c.flags & PEAL_AGREED_PEER_ASYMMETRIC,
				  asymmetric_is_usable() ? PEAL_AGREED_PEER_ASYMMETRIC : 0);
		meeting_close(&met);
	}
END_TEST

START_TEST(a_pair_agrees_with_itself)
	{
		struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 128 * KIB);
		struct peal_link *links[2];
		struct peal_agreed a, b;

		options.max_message = 500 * KIB;
		ck_assert_int_eq(peal_pair(links, &options), 0);
		a = agreed_of(links[0]);
		b = agreed_of(links[1]);
		expect_mirrored(&a, &b);
		ck_assert_uint_eq(a.role, PEAL_PAIR);
		ck_assert_uint_eq(b.role, PEAL_PAIR);
		ck_assert_uint_eq(a.protocol, 0);
		ck_assert_uint_eq(a.layout, 1);
		ck_assert_uint_eq(a.bell, PEAL_BELL_AUTO);
		ck_assert_uint_eq(a.wait, PEAL_WAIT_SLEEP);
		ck_assert_uint_eq(a.ring, 128 * KIB);
		ck_assert_uint_eq(a.longest, 500 * KIB);
		ck_assert_uint_eq(a.flags & PEAL_AGREED_FRAGMENTS, PEAL_AGREED_FRAGMENTS);
		pair_close(links);
	}
END_TEST

START_TEST(a_size_that_is_wrong_is_refused_and_a_smaller_one_filled)
	{
		struct {
			struct peal_agreed agreed;
			uint64_t behind;
		} room = { { 0 }, 7 };
		struct peal_agreed *agreed = &room.agreed;
		struct peal_link *links[2];

		pair_open(links, PEAL_WAIT_ADAPTIVE, 0);
		expect_error(peal_link_agreed(links[0], agreed), -EINVAL, "size is 0", "104", NULL);
		agreed->size = sizeof(room);
		expect_error(peal_link_agreed(links[0], agreed), -EINVAL, "size is 112", NULL);
		agreed->size = offsetof(struct peal_agreed, peer_ring);
		agreed->peer_ring = 5;
		ck_assert_int_eq(peal_link_agreed(links[0], agreed), 0);
		ck_assert_uint_eq(agreed->ring, stage_page());
		ck_assert_uint_eq(agreed->peer_ring, 5);
		ck_assert_uint_eq(agreed->size, offsetof(struct peal_agreed, peer_ring));
		ck_assert_uint_eq(room.behind, 7);
		pair_close(links);
	}
END_TEST

START_TEST(a_child_of_a_fork_may_still_ask)
	{
		struct peal_agreed agreed = { .size = sizeof(agreed) };
		int status = 0;
		pid_t child;

		meeting_open(&met, NULL, NULL);
		child = fork();
		if (!child)
			_exit(peal_link_agreed(met.client, &agreed) || agreed.ring != 64 * KIB);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(status, 0);
		meeting_close(&met);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("agreed");
	TCase *all = tcase_create("agreed");

	tcase_set_timeout(all, 30);
	tcase_add_test(all, the_defaults_are_agreed_on);
	tcase_add_test(all, rings_and_messages_are_those_of_both_sides);
	tcase_add_loop_test(all, bells_are_what_both_sides_make_of_them, 0, 5);
	tcase_add_test(all, who_spins_has_no_bell);
	tcase_add_test(all, who_fences_is_not_asymmetric);
	tcase_add_test(all, a_pair_agrees_with_itself);
	tcase_add_test(all, a_size_that_is_wrong_is_refused_and_a_smaller_one_filled);
	tcase_add_test(all, a_child_of_a_fork_may_still_ask);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
