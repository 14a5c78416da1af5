/*
 * SPDX-License-Identifier: MIT
 *
 * Lies one at a time: a peer in another process, without the library, tells each, as a client and
 * as a server, and what must come of it does. Of most a row of a table says what.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <peal.h>

#include "tests/hostile/liar_order.h"
#include "tests/unit/stage.h"

static struct folder folder;
static struct liar_process liar;
static struct peal_listener *listener;
static struct peal_options options;
static struct meeting others; /* a link that nobody lies to */
static struct peal_link *victim;
static uint8_t buffer[20000];

/* As which of the two the liar comes is the loop's number, of which the second half is without what
 * can be agreed on. */
#define WAYS 4

static void set_up(void)
{
	folder_make(&folder);
	liar_start(&liar, 0);
	meeting_open(&others, NULL, NULL);
}

static void tear_down(void)
{
	liar_end(&liar);
	meeting_close(&others);
	peal_listener_close(listener);
	listener = NULL;
	folder_remove(&folder);
}

static void choose(int way, uint64_t longest)
{
	options = stage_options(PEAL_WAIT_SLEEP, 0);
	options.max_message = longest;
	options.flags = (way < 2 ? PEAL_CALLS : 0) | PEAL_TRUST_PEER;
	options.bell = PEAL_BELL_EVENTFD;
}

/* A link with the liar; who came before is gone. */
static void meet(int way)
{
	struct order order = { .verb = ORDER_OPEN, .number = 1 };
	int err;

	order.role = way % 2 ? AS_SERVER : AS_CLIENT;
	snprintf(order.path, sizeof(order.path), "%s", folder.path);
	if (way % 2 == 0 && !listener) {
		err = peal_listen(&listener, folder.path, &options);
		ck_assert_msg(!err, "%s", peal_error());
	}
	if (way % 2)
		snprintf(order.path, sizeof(order.path), "%s/liar", folder.name);
	liar_tell(&liar, &order);
	if (way % 2) {
		ck_assert_int_eq(liar_hear(&liar).result, 0);
		err = peal_connect(&victim, order.path, &options, LONG);
	} else {
		err = peal_accept(listener, &victim, LONG);
	}
	ck_assert_msg(!err, "%s", peal_error());
	ck_assert_int_eq(liar_hear(&liar).result, 0);
}

static struct peal_tx *tx(void)
{
	return peal_link_tx(victim);
}

static struct peal_rx *rx(void)
{
	return peal_link_rx(victim);
}

static void expect_others_well(void)
{
	struct peal_link *ends[2] = { others.client, others.server };

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(peal_send(peal_link_tx(ends[i]), "well", 4, 0, 0), 0);
		ck_assert_int_eq(peal_recv(peal_link_rx(ends[!i]), buffer, sizeof(buffer), NULL, 0),
				 4);
	}
}

static void part(void)
{
	peal_close(victim);
	liar_do(&liar, ORDER_DROP, 0);
	expect_others_well();
}

/* Some messages each way, so that the positions are somewhere. */
static void talk(unsigned messages)
{
	struct peal_message message;

	while (messages--) {
		ck_assert_int_eq(peal_send(tx(), buffer, 100, 0, LONG), 0);
		ck_assert_int_eq(liar_do(&liar, ORDER_HEAR, 0), 1);
		ck_assert_int_eq(liar_do(&liar, ORDER_SAY, message_length(messages)), 1);
		ck_assert_int_eq(peal_recv(rx(), buffer, sizeof(buffer), &message, LONG),
				 (int64_t)message_length(messages));
	}
}

/* Some that are copied by lib/bulk.c, which times them, and looks at the peer's words meanwhile. */
static void talk_at_length(unsigned messages)
{
	while (messages--) {
		ck_assert_int_eq(peal_send(tx(), buffer, 5000, 0, LONG), 0);
		ck_assert_int_eq(liar_do(&liar, ORDER_HEAR, 0), 1);
		ck_assert_int_eq(liar_do(&liar, ORDER_SAY, 4096), 1);
		ck_assert_int_eq(peal_recv(rx(), buffer, sizeof(buffer), NULL, LONG), 4096);
	}
}

/*
 * How a lie is looked for, and what the look comes to.
 */

static int64_t receiving(void)
{
	int64_t got;

	do
		got = peal_recv(rx(), buffer, sizeof(buffer), NULL, LONG);
	while (got >= 0);
	return got;
}

static int64_t batches(void)
{
	struct peal_message messages[20];
	int got;

	do
		got = peal_recv_batch(rx(), buffer, sizeof(buffer), messages, 20, LONG);
	while (got >= 0);
	return got;
}

static int each(void *data, const struct peal_message *message)
{
	(void)message;
	return data == NULL;
}

static int64_t draining(void)
{
	int got;

	do
		got = peal_drain(rx(), each, &folder, 0, LONG);
	while (got >= 0);
	/* Long ones are for the others. */
	return got == -EMSGSIZE ? receiving() : got;
}

static int64_t in_a_set(void)
{
	struct peal_set *set;
	int64_t got = 0;

	ck_assert_int_eq(peal_set_create(&set), 0);
	ck_assert_int_eq(peal_set_add(set, victim, NULL), 0);
	while (got >= 0 || got == -EAGAIN) {
		ck_assert_msg(peal_set_wait(set, LONG) == 1, "%s", peal_error());
		ck_assert_ptr_eq(peal_set_next(set, NULL), victim);
		got = peal_recv(rx(), buffer, sizeof(buffer), NULL, 0);
	}
	peal_set_free(set);
	return got;
}

static int64_t armed(void)
{
	struct pollfd look = { .fd = peal_link_fd(victim), .events = POLLIN };
	int64_t got;

	do {
		got = peal_link_arm(victim, PEAL_DATA);
		ck_assert_int_ge(got, 0);
		if (!got)
			ck_assert_int_eq(poll(&look, 1, (int)(LONG / MS)), 1);
		got = peal_recv(rx(), buffer, sizeof(buffer), NULL, 0);
	} while (got >= 0 || got == -EAGAIN);
	return got;
}

static int64_t sending(void)
{
	int64_t err;

	do
		err = peal_send(tx(), buffer, 50, 0, LONG);
	while (!err);
	return err;
}

static int64_t sending_long(void)
{
	int64_t err;

	do
		err = peal_send(tx(), buffer, sizeof(buffer), 0, LONG);
	while (!err);
	return err;
}

typedef int64_t (*looking)(void);

static const looking receivers[] = { receiving, batches, draining, in_a_set, armed };
#define RECEIVERS 5

/* One lie, and what comes of it. */
static void expect(int way, const char *lie, looking find, int err, const char *sentence)
{
	int64_t got;

	meet(way);
	talk(3);
	liar_lie(&liar, lie, 1);
	got = find();
	ck_assert_msg(got == err && strstr(peal_error(), sentence), "%s: %lld: %s", lie,
		      (long long)got, peal_error());
	/* It stays so, for both ends. */
	got = peal_recv(rx(), buffer, sizeof(buffer), NULL, PEAL_FOREVER);
	ck_assert_msg(got == err, "%s: %lld: %s", lie, (long long)got, peal_error());
	got = sending();
	ck_assert_msg(got == err, "%s: %lld: %s", lie, (long long)got, peal_error());
	part();
}

/*
 * Lies in the ring.
 */

/* Without fragments and calls most are flags that were not agreed on. */
static const struct {
	const char *lie, *sentence, *without;
} in_ring[] = {
	{ "a header over the record", "length", "length" },
	{ "a header just over the capacity", "length", "length" },
	{ "a header over the capacity", "length", "length" },
	{ "the longest header", "length", "length" },
	{ "a header with a flag that is reserved", "flags", "flags" },
	{ "a header of a tag", "length", "length" },
	{ "a header of ones", "flags", "flags" },
	{ "a header that is only the last", "length", "length" },
	{ "more and the last", "flags", "flags" },
	{ "more and control", "flags", "flags" },
	{ "control of no kind", "not known", "flags" },
	{ "control of a kind not known", "not known", "flags" },
	{ "control of a kind far away", "not known", "flags" },
	{ "control of nothing", "not known", "flags" },
	{ "an abandon that is too long", "not known", "flags" },
	{ "an abandon with a code", "not known", "flags" },
	{ "a cancel with a code", "cancel", "flags" },
	{ "a cancel that is too short", "cancel", "flags" },
	{ "a cancel that is too long", "cancel", "flags" },
	{ "an error without an errno", "error", "flags" },
	{ "an error beyond all errnos", "error", "flags" },
	{ "an error that is too short", "error", "flags" },
	{ "an error with too long a sentence", "error", "flags" },
	{ "a last control", "flags", "flags" },
	{ "a total of nothing", "add up", "flags" },
	{ "a total of less than there is", "add up", "flags" },
	{ "a total of what there is", "add up", "flags" },
	{ "a total of half of everything", "longer", "flags" },
	{ "a total of everything", "longer", "flags" },
	{ "a total over the longest message", "longer", "flags" },
	{ "a first fragment of its total", "nothing", "flags" },
	{ "a first fragment of less", "nothing", "flags" },
	{ "a first fragment of nothing", "nothing", "flags" },
	{ "a fragment of nothing", "add up", "flags" },
	{ "a last fragment of nothing", "add up", "flags" },
	{ "a last fragment that is too short", "add up", "flags" },
	{ "a last fragment that is too long", "add up", "flags" },
	{ "more after all of it", "add up", "flags" },
	{ "a cancel in the midst", "midst", "flags" },
	{ "a reserved flag in the midst", "flags", "flags" },
	{ "a fragment of another", "midst", "flags" },
	{ "a message in the midst", "midst", "flags" },
	{ "fragments that never end", "add up", "flags" },
};

#define IN_RING (sizeof(in_ring) / sizeof(in_ring[0]))

START_TEST(a_lie_in_the_ring_ends_the_link)
	{
		/* A message that one record holds, of a ring of one page, is the longest. */
		choose(_i, _i < 2 ? 1 << 20 : stage_page() - 16);
		for (size_t i = 0; i < IN_RING; i++)
			expect(_i, in_ring[i].lie, receivers[i % RECEIVERS], -EPROTO,
			       _i < 2 ? in_ring[i].sentence : in_ring[i].without);
		choose(_i, 1000);
		peal_listener_close(listener);
		listener = NULL;
		expect(_i, "a header over the longest message", receivers[_i], -EPROTO, "length");
	}
END_TEST

/*
 * Lies in the head, in the socket, and of being gone.
 */

static const struct {
	const char *lie;
	looking find;
	int err;
	const char *sentence;
} elsewhere[] = {
	{ "a head ahead", sending, -EPROTO, "read position" },
	{ "a head far ahead", sending_long, -EPROTO, "read position" },
	{ "an odd head", sending, -EPROTO, "read position" },
	{ "a head half a word away", sending_long, -EPROTO, "read position" },
	{ "a head of half of everything", sending, -EPROTO, "read position" },
	{ "the last head", sending_long, -EPROTO, "read position" },
	{ "closed", receiving, -EPIPE, "closed" },
	{ "closed", sending, -EPIPE, "closed" },
	{ "closed, and all unread", batches, -EPIPE, "unread" },
	{ "closed, and all unread", armed, -EPIPE, "unread" },
	{ "a socket shut for writing", receiving, -ECONNRESET, "died" },
	{ "a socket shut for writing", in_a_set, -ECONNRESET, "died" },
	{ "a socket shut for writing", sending, -ECONNRESET, "died" },
	{ "a socket shut", armed, -ECONNRESET, "died" },
	{ "a socket shut", in_a_set, -ECONNRESET, "died" },
	{ "a socket closed", receiving, -ECONNRESET, "died" },
	{ "a socket closed", batches, -ECONNRESET, "died" },
	{ "an empty datagram", receiving, -ECONNRESET, "died" },
	{ "an empty datagram", in_a_set, -ECONNRESET, "died" },
	{ "a socket full of bytes", receiving, -EPROTO, "protocol" },
	{ "a socket full of bytes", draining, -EPROTO, "protocol" },
	{ "a socket full of bytes", armed, -EPROTO, "protocol" },
	{ "a descriptor", receiving, -EPROTO, "protocol" },
	{ "a descriptor", in_a_set, -EPROTO, "protocol" },
	{ "253 descriptors", receiving, -EPROTO, "protocol" },
	{ "253 descriptors", armed, -EPROTO, "protocol" },
};

#define ELSEWHERE (sizeof(elsewhere) / sizeof(elsewhere[0]))

START_TEST(a_lie_elsewhere_ends_the_link)
	{
		int before;

		choose(_i, 1 << 20);
		/* The listener stays. */
		meet(_i);
		part();
		before = descriptors_settled();
		for (size_t i = 0; i < ELSEWHERE; i++)
			expect(_i, elsewhere[i].lie, elsewhere[i].find, elsewhere[i].err,
			       elsewhere[i].sentence);
		descriptors_expect(before);
	}
END_TEST

START_TEST(a_head_that_goes_back_ends_the_link)
	{
		static const char *const lies[] = { "a head backwards", "a head far backwards" };

		choose(_i, 1 << 20);
		for (int i = 0; i < 2; i++) {
			meet(_i);
			/* A lap, so that the last one was believed. */
			talk(60);
			liar_lie(&liar, lies[i], 1);
			expect_error(sending(), -EPROTO, "read position", NULL);
			part();
		}
	}
END_TEST

/*
 * What does no harm.
 */

static const struct {
	const char *lie;
	uint64_t times;
	bool calls; /* only where calls and fragments are agreed on */
} harmless[] = {
	{ "words at random", 200, false },
	{ "words that flicker", 1, false },
	{ "magic, layout and spare words", 1, false },
	{ "closed, not", 1, false },
	{ "a few bytes", 5, false },
	{ "bells for nothing", 8, false },
	{ "wakes for nothing", 8, false },
	{ "a socket shut for reading", 1, false },
	{ "a part given up", 3, true },
	{ "nothing given up", 30, true },
	{ "a cancel of what was not asked", 20, true },
	{ "an error for what was not asked", 20, true },
	{ "an error with a sentence of noise", 5, true },
};

#define HARMLESS (sizeof(harmless) / sizeof(harmless[0]))

START_TEST(what_does_no_harm_does_none)
	{
		struct peal_message message;

		choose(_i, _i < 2 ? 1 << 20 : 5000);
		options.ring = 4 * stage_page();
		for (size_t i = 0; i < HARMLESS; i++) {
			if (harmless[i].calls && _i >= 2)
				continue;
			meet(_i);
			/* As long as it flickers. */
			liar_lie(&liar, harmless[i].lie, harmless[i].times);
			while (peal_recv(rx(), buffer, sizeof(buffer), &message, MS) >= 0)
				ck_assert_uint_eq(message.flags, PEAL_HEADER_CONTROL);
			talk(20);
			talk_at_length(40);
			liar_do(&liar, ORDER_CALM, 0);
			talk(1);
			part();
		}
	}
END_TEST

START_TEST(bells_without_news_are_counted_and_then_a_lie)
	{
		struct pollfd look = { .events = POLLIN };
		int rings = 0;

		choose(_i, 0);
		meet(_i);
		look.fd = peal_link_fd(victim);
		while (!peal_link_arm(victim, PEAL_DATA)) {
			liar_lie(&liar, "a bell", 1);
			ck_assert_int_eq(poll(&look, 1, (int)(LONG / MS)), 1);
			rings++;
		}
		ck_assert_int_gt(rings, 1000);
		ck_assert_int_lt(rings, 1010);
		expect_error(peal_recv(rx(), buffer, sizeof(buffer), NULL, 0), -EPROTO, NULL);
		ck_assert_uint_ge(stats_of(victim).rx.idle_rings, 1000);
		part();
	}
END_TEST

START_TEST(a_ring_without_an_end_is_taken_a_lap_at_a_time)
	{
		static struct peal_message messages[2000];
		struct peal_agreed agreed = { .size = sizeof(agreed) };
		uint64_t lap;

		choose(_i, 0);
		meet(_i);
		ck_assert_int_eq(peal_link_agreed(victim, &agreed), 0);
		lap = agreed.peer_ring / 8;
		liar_lie(&liar, "a ring of nothing, without an end", 1);
		for (int i = 0; i < 5; i++) {
			ck_assert_int_eq(peal_recv_batch(rx(), buffer, sizeof(buffer), messages,
							 2000, 0),
					 (int64_t)lap);
			ck_assert_int_eq(peal_drain(rx(), each, &folder, 0, 0), (int64_t)lap);
		}
		ck_assert_uint_le(stats_of(victim).rx.high_water, agreed.peer_ring);
		part();
	}
END_TEST

START_TEST(a_peer_that_is_stopped_costs_no_more_than_the_timeout)
	{
		size_t sent = 0;

		choose(_i, 1 << 20);
		meet(_i);
		liar_stop(&liar, true);
		ck_assert_int_eq(peal_recv(rx(), buffer, sizeof(buffer), NULL, 20 * MS),
				 -ETIMEDOUT);
		while (!peal_send(tx(), buffer, 100, 0, MS))
			sent++;
		ck_assert_uint_gt(sent, 20);
		ck_assert_int_eq(peal_send(tx(), buffer, sizeof(buffer), 0, 2 * MS), -ETIMEDOUT);
		ck_assert_int_eq(peal_send(tx(), buffer, 100, 0, 0), -EAGAIN);
		expect_others_well();
		liar_stop(&liar, false);
		ck_assert_int_eq(liar_do(&liar, ORDER_HEAR, 0), (int64_t)sent);
		talk(5);
		part();
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("liar");
	TCase *all = tcase_create("lies");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_set_timeout(all, 120);
	tcase_add_loop_test(all, a_lie_in_the_ring_ends_the_link, 0, WAYS);
	tcase_add_loop_test(all, a_lie_elsewhere_ends_the_link, 0, 2);
	tcase_add_loop_test(all, a_head_that_goes_back_ends_the_link, 0, 2);
	tcase_add_loop_test(all, what_does_no_harm_does_none, 0, WAYS);
	tcase_add_loop_test(all, bells_without_news_are_counted_and_then_a_lie, 0, 2);
	tcase_add_loop_test(all, a_ring_without_an_end_is_taken_a_lap_at_a_time, 0, 2);
	tcase_add_loop_test(all, a_peer_that_is_stopped_costs_no_more_than_the_timeout, 0, 2);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
