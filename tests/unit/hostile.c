/*
 * SPDX-License-Identifier: MIT
 *
 * A peer that writes what it must not into its own words, white-box: the test writes into the
 * peer's page and data area, which the library only reads. A lie ends that link with -EPROTO and
 * touches no other; words of which any value is harmless are.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/link.h"
#include "tests/unit/stage.h"
#include "tests/unit/stepper.h"
#include "tests/unit/stranger.h"

/* links[0] is the peer that lies, links[1] the one that is lied to. */
static struct peal_link *links[2];
static struct peal_link *others[2]; /* a link that nobody lies to */
static struct peal_tx *tx;
static struct peal_rx *rx;
static uint64_t capacity;
static uint8_t buffer[128];

static void set_up(void)
{
	capacity = stage_page();
	pair_open(links, PEAL_WAIT_SLEEP, 0);
	pair_open(others, PEAL_WAIT_SLEEP, 0);
	tx = peal_link_tx(links[1]);
	rx = peal_link_rx(links[1]);
}

static void tear_down(void)
{
	pair_close(links);
	pair_close(others);
}

static void expect_others_well(void)
{
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(peal_send(peal_link_tx(others[i]), "well", 4, 0, 0), 0);
		ck_assert_int_eq(
			peal_recv(peal_link_rx(others[!i]), buffer, sizeof(buffer), NULL, 0), 4);
	}
}

/* The header that is read next. */
static uint64_t *next_header(void)
{
	return (uint64_t *)(void *)(links[0]->tx.data + (rx->pos & rx->mask));
}

static void write_header(uint64_t header)
{
	__atomic_store_n(next_header(), header, __ATOMIC_RELEASE);
}

/* Whatever is written there later: the link has ended. */
static void expect_receiving_ended(void)
{
	struct peal_message message;

	for (int i = 0; i < 3; i++) {
		expect_error(peal_peek(rx, &message, PEAL_FOREVER), -EPROTO, NULL);
		expect_error(peal_recv(rx, buffer, sizeof(buffer), NULL, 0), -EPROTO, NULL);
	}
	expect_others_well();
}

static const struct {
	uint64_t header;
	const char *lie;
} headers[] = {
	{ PEAL_HEADER_LENGTH, "length" },
	{ (uint64_t)0xffffffff << 32 | PEAL_HEADER_LENGTH, "length" },
	{ UINT64_MAX, "flags" },
	{ PEAL_HEADER_LAST, "length" },  /* no length, but not empty */
	{ (uint64_t)1 << 32, "length" }, /* only a tag */
	{ PEAL_HEADER_MORE, "flags" },
	{ PEAL_HEADER_MORE | 9, "flags" },
	{ PEAL_HEADER_CONTROL, "flags" },
	{ PEAL_HEADER_CONTROL | 9, "flags" },
	{ PEAL_HEADER_RESERVED, "flags" },
	{ PEAL_HEADER_RESERVED | 9, "flags" },
	{ PEAL_HEADER_LAST | PEAL_HEADER_MORE | 9, "flags" },
	{ 0, "length" }, /* the shortest that is too long, and longer ones: see header_of */
	{ 1, "length" },
	{ 2, "length" },
	{ 3, "length" },
};

#define HEADERS ((int)(sizeof(headers) / sizeof(headers[0])))

static uint64_t header_of(int i)
{
	switch (headers[i].header) {
	case 0:
		return capacity - 16 + 1 + 1;
	case 1:
		return capacity - 8 + 1;
	case 2:
		return capacity + 1;
	case 3:
		return 2 * capacity + 1;
	default:
		return headers[i].header;
	}
}

START_TEST(a_header_that_cannot_be_true_ends_the_link)
	{
		struct peal_message message;

		/* Not at the beginning of the ring, where a mistake would be harmless. */
		ck_assert_int_eq(peal_send(peal_link_tx(links[0]), buffer, 100, 0, 0), 0);
		ck_assert_int_eq(peal_recv(rx, buffer, sizeof(buffer), NULL, 0), 100);
		write_header(header_of(_i));
		expect_error(peal_peek(rx, &message, _i % 2 ? 0 : PEAL_FOREVER), -EPROTO,
			     headers[_i].lie, NULL);
		expect_receiving_ended();
		write_header(0);
		expect_receiving_ended();
	}
END_TEST

START_TEST(a_link_that_was_ended_stays_so_whatever_comes)
	{
		write_header(PEAL_HEADER_RESERVED | 9);
		expect_error(peal_recv(rx, buffer, sizeof(buffer), NULL, 0), -EPROTO, NULL);
		write_header(9); /* as if nothing had been */
		expect_receiving_ended();
	}
END_TEST

START_TEST(a_lie_to_the_receiver_ends_sending_too)
	{
		int err;

		write_header(PEAL_HEADER_RESERVED | 9);
		expect_error(peal_recv(rx, buffer, sizeof(buffer), NULL, 0), -EPROTO, NULL);
		do
			err = peal_send(tx, buffer, 56, 0, 0);
		while (!err);
		expect_error(err, -EPROTO, "protocol", NULL);
		expect_error(peal_send(tx, buffer, 0, 0, PEAL_FOREVER), -EPROTO, NULL);
		expect_others_well();
	}
END_TEST

/*
 * A header that is taken back between two looks.
 */

static int stage;

static uint64_t show_and_take_back(void *data)
{
	uint64_t after = *(const uint64_t *)data;

	write_header(stage++ ? 0 : 9);
	return stage == 1 ? after : 0;
}

static int received;

static void receive(void *data)
{
	(void)data;
	received = (int)peal_recv(rx, buffer, sizeof(buffer), NULL, 1);
}

START_TEST(a_message_that_is_taken_back_is_whole_or_was_never_there)
	{
		const char *why;
		unsigned whole = 0, nothing = 0;

		if (!stepper_usable(&why)) {
			skip("%s", why);
			return;
		}
		for (uint64_t after = 1; after < 120; after += 1 + after / 4) {
			bool reached = true;

			for (uint64_t n = 1; reached && n < 2000; n += 23) {
				stage = 0;
				reached = stepper_run(n, receive, show_and_take_back, &after);
				if (received == 8)
					whole++;
				else if (received == -ETIMEDOUT)
					nothing++;
				else
					ck_abort_msg("%d: %s", received, peal_error());
				write_header(0);
			}
		}
		ck_assert_uint_gt(whole, 0);
		ck_assert_uint_gt(nothing, 0);
		expect_others_well();
	}
END_TEST

START_TEST(a_length_that_changes_after_it_was_checked_changes_nothing)
	{
		struct peal_message message;

		payload_fill(buffer, 40, 1);
		ck_assert_int_eq(peal_send(peal_link_tx(links[0]), buffer, 40, 1, 0), 0);
		ck_assert_int_eq(peal_send(peal_link_tx(links[0]), buffer, 24, 2, 0), 0);
		ck_assert_int_eq(peal_peek(rx, &message, 0), 0);
		write_header(PEAL_HEADER_LENGTH);
		ck_assert_uint_eq(message.length, 40);
		peal_release(rx);
		ck_assert_uint_eq(links[1]->page->head, 48);
		ck_assert_int_eq(peal_recv(rx, buffer, sizeof(buffer), &message, 0), 24);
		ck_assert_uint_eq(message.tag, 2);
	}
END_TEST

/*
 * Read positions.
 */

static void write_head(uint64_t head)
{
	__atomic_store_n(&links[0]->page->head, head, __ATOMIC_RELEASE);
}

static void fill(void)
{
	while (!peal_send(tx, buffer, 56, 0, 0))
		;
}

static const struct {
	int64_t by; /* added to the true one */
	const char *what;
} heads[] = {
	{ -64, "backwards" },         { INT64_MIN, "far away" },
	{ 65536, "ahead" },           { 1, "odd" },
	{ 4, "half a word" },         { INT64_MAX, "far ahead" },
	{ -65, "odd and backwards" },
};

#define HEADS ((int)(sizeof(heads) / sizeof(heads[0])))

START_TEST(a_read_position_that_cannot_be_true_ends_the_link)
	{
		struct peal_message message;
		uint64_t before;
		void *at;

		/* One lap, so that the true position is somewhere. */
		fill();
		while (!peal_peek(peal_link_rx(links[0]), &message, 0))
			peal_release(peal_link_rx(links[0]));
		fill();
		before = links[0]->page->head;
		ck_assert_uint_gt(before, 1024);
		write_head(before + (uint64_t)heads[_i].by);
		expect_error(peal_reserve(tx, 56, &at, PEAL_FOREVER), -EPROTO, "read position",
			     NULL);
		expect_error(peal_reserve(tx, 0, &at, 0), -EPROTO, NULL);
		/* Whatever is written there later. */
		write_head(before + 640);
		expect_error(peal_reserve(tx, 56, &at, PEAL_FOREVER), -EPROTO, NULL);
		expect_error(peal_send(tx, "x", 1, 0, 0), -EPROTO, NULL);
		expect_error(peal_recv(rx, buffer, sizeof(buffer), NULL, PEAL_FOREVER), -EPROTO,
			     NULL);
		expect_others_well();
	}
END_TEST

START_TEST(a_read_position_just_ahead_of_what_was_sent_is_a_lie)
	{
		void *at;

		fill();
		write_head(tx->pos + 8);
		expect_error(peal_reserve(tx, 56, &at, 0), -EPROTO, "read position", NULL);
	}
END_TEST

START_TEST(a_read_position_up_to_all_that_was_sent_is_believed)
	{
		void *at;

		fill();
		write_head(tx->pos);
		ck_assert_int_eq(peal_reserve(tx, 56, &at, 0), 0);
	}
END_TEST

/*
 * Words of which any value is harmless.
 */

static const uint32_t noise[] = { 0,          1,          2,          3,
				  4,          5,          6,          7,
				  8,          9,          0x7fffffff, 0x80000000,
				  0x80000001, 0xdeadbeef, 0xfffffff8, UINT32_MAX };

#define NOISE ((int)(sizeof(noise) / sizeof(noise[0])))

START_TEST(asleep_and_wake_words_may_say_anything)
	{
		struct peal_page *page = links[0]->page;

		for (int i = 0; i < NOISE; i++) {
			__atomic_store_n(&page->rx_asleep, noise[_i], __ATOMIC_RELEASE);
			__atomic_store_n(&page->tx_asleep, noise[i], __ATOMIC_RELEASE);
			__atomic_store_n(&page->tx_wants, (uint64_t)noise[i] << (i % 2 * 32),
					 __ATOMIC_RELEASE);
			__atomic_store_n(&page->room_wake, noise[_i], __ATOMIC_RELEASE);
			__atomic_store_n(&page->data_wake, noise[i], __ATOMIC_RELEASE);
			__atomic_store_n(&page->room_acknowledged, noise[i], __ATOMIC_RELEASE);
			__atomic_store_n(&page->data_rung_ns, UINT64_MAX, __ATOMIC_RELEASE);
			for (int n = 0; n < 10; n++) {
				ck_assert_int_eq(peal_send(tx, buffer, 100, 0, 0), 0);
				ck_assert_int_eq(peal_recv(peal_link_rx(links[0]), buffer,
							   sizeof(buffer), NULL, 0),
						 100);
				ck_assert_int_eq(peal_send(peal_link_tx(links[0]), buffer, 9, 0, 0),
						 0);
				ck_assert_int_eq(peal_recv(rx, buffer, sizeof(buffer), NULL, 0), 9);
			}
			ck_assert_int_eq(peal_recv(rx, buffer, sizeof(buffer), NULL, MS),
					 -ETIMEDOUT);
			ck_assert_int_eq(peal_recv(rx, buffer, sizeof(buffer), NULL, 0), -EAGAIN);
		}
		expect_others_well();
	}
END_TEST

START_TEST(magic_and_layout_are_not_read_again)
	{
		links[0]->page->magic = 0;
		links[0]->page->layout = 77;
		ck_assert_int_eq(peal_send(tx, buffer, 100, 0, 0), 0);
		ck_assert_int_eq(peal_send(peal_link_tx(links[0]), buffer, 9, 0, 0), 0);
		ck_assert_int_eq(peal_recv(rx, buffer, sizeof(buffer), NULL, 0), 9);
	}
END_TEST

START_TEST(a_close_that_is_taken_back_is_a_close)
	{
		__atomic_store_n(&links[0]->page->closed, UINT64_MAX, __ATOMIC_RELEASE);
		expect_error(peal_recv(rx, buffer, sizeof(buffer), NULL, PEAL_FOREVER), -EPIPE,
			     NULL);
		fill();
		expect_error(peal_send(tx, buffer, 56, 0, PEAL_FOREVER), -EPIPE, NULL);
		__atomic_store_n(&links[0]->page->closed, 0, __ATOMIC_RELEASE);
		expect_error(peal_recv(rx, buffer, sizeof(buffer), NULL, PEAL_FOREVER), -EPIPE,
			     NULL);
		expect_error(peal_recv(rx, buffer, sizeof(buffer), NULL, 0), -EPIPE, NULL);
		expect_error(peal_send(tx, buffer, 56, 0, PEAL_FOREVER), -EPIPE, NULL);
		expect_others_well();
	}
END_TEST

START_TEST(a_close_that_one_end_saw_is_one_for_the_other)
	{
		struct peal_stats stats = { .size = sizeof(stats) };
		int err;

		__atomic_store_n(&links[0]->page->closed, 5, __ATOMIC_RELEASE);
		do
			err = peal_send(tx, buffer, 56, 0, 0);
		while (!err);
		expect_error(err, -EPIPE, "left 4 messages unread", NULL);
		__atomic_store_n(&links[0]->page->closed, 0, __ATOMIC_RELEASE);
		expect_error(peal_recv(rx, buffer, sizeof(buffer), NULL, 0), -EPIPE,
			     "left 4 messages unread", NULL);
		__atomic_store_n(&links[0]->page->closed, 9, __ATOMIC_RELEASE);
		expect_error(peal_send(tx, buffer, 56, 0, 0), -EPIPE, "left 4 messages", NULL);
		ck_assert_int_eq(peal_link_stats(links[1], &stats), 0);
		ck_assert_uint_eq(stats.peer_unread, 4);
		expect_others_well();
	}
END_TEST

START_TEST(a_close_with_absurd_counts_is_a_close)
	{
		static const uint64_t counts[] = { 1, 2, 1000, (uint64_t)1 << 63, UINT64_MAX };
		struct peal_stats stats = { .size = sizeof(stats) };

		for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			__atomic_store_n(&links[0]->page->closed, counts[i], __ATOMIC_RELEASE);
			ck_assert_int_eq(peal_link_stats(links[1], &stats), 0);
			ck_assert_uint_eq(stats.peer_unread, counts[i] - 1);
			expect_error(peal_recv(rx, buffer, sizeof(buffer), NULL, 0), -EPIPE, NULL);
			tear_down();
			set_up();
		}
	}
END_TEST

START_TEST(closing_counts_no_further_than_the_ring_is_long)
	{
		/* A ring full of headers of nothing: each is a message. */
		for (uint64_t i = 0; i < capacity / 8; i++)
			((uint64_t *)(void *)links[0]->tx.data)[i] = 1;
		peal_close(links[1]);
		links[1] = NULL;
		ck_assert_uint_le(links[0]->peer_page->closed, 1 + capacity / 8);
		ck_assert_uint_gt(links[0]->peer_page->closed, 1);
	}
END_TEST

START_TEST(closing_counts_no_lies)
	{
		write_header(PEAL_HEADER_LENGTH);
		peal_close(links[1]);
		links[1] = NULL;
		ck_assert_uint_eq(links[0]->peer_page->closed, 1);
	}
END_TEST

/*
 * All of it at once.
 */

static volatile bool enough;

static void *scribble(void *data)
{
	struct peal_page *page = data;
	uint64_t x = 88172645463325252u;

	while (!__atomic_load_n(&enough, __ATOMIC_RELAXED)) {
		scramble(&x);
		switch (x >> 60) {
		case 0:
			__atomic_store_n(&page->head, x >> (x & 63), __ATOMIC_RELAXED);
			break;
		case 1:
			__atomic_store_n(&page->closed, x & 0x7000 ? 0 : x, __ATOMIC_RELAXED);
			break;
		default:
			__atomic_store_n(
				(uint64_t *)(void *)page + x % (sizeof(*page) / 8),
				x % (sizeof(*page) / 8) == offsetof(struct peal_page, head) / 8 ||
						x % (sizeof(*page) / 8) ==
							offsetof(struct peal_page, closed) / 8 ?
					0 :
					x >> (x & 31),
				__ATOMIC_RELAXED);
		}
	}
	return NULL;
}

START_TEST(a_page_of_noise_neither_hangs_nor_crashes)
	{
		for (int round = 0; round < 20; round++) {
			pthread_t thread;

			enough = false;
			ck_assert_int_eq(pthread_create(&thread, NULL, scribble, links[0]->page),
					 0);
			for (int i = 0; i < 200; i++) {
				int64_t sent = peal_send(tx, buffer, (size_t)i % 100, 0,
							 i % 16 ? 0 : MS / 4);
				int64_t got = peal_recv(rx, buffer, sizeof(buffer), NULL,
							i % 16 ? 0 : MS / 4);

				if (!noise_explains(sent) || !noise_explains(got))
					ck_abort_msg("%lld and %lld: %s", (long long)sent,
						     (long long)got, peal_error());
			}
			__atomic_store_n(&enough, true, __ATOMIC_RELAXED);
			pthread_join(thread, NULL);
			expect_others_well();
			pair_close(links);
			pair_open(links, PEAL_WAIT_SLEEP, 0);
			tx = peal_link_tx(links[1]);
			rx = peal_link_rx(links[1]);
		}
	}
END_TEST

START_TEST(a_ring_of_noise_neither_hangs_nor_crashes)
	{
		uint64_t x = 88172645463325252u;

		for (int round = 0; round < 300; round++) {
			for (uint64_t i = 0; i < capacity / 8; i++) {
				scramble(&x);
				/* Mostly headers that can be true. */
				((uint64_t *)(void *)links[0]->tx.data)[i] =
					x % 64 ? x & 0xffffffff000000ffu : x;
			}
			for (int i = 0; i < 1000; i++) {
				int64_t got = peal_recv(rx, buffer, sizeof(buffer), NULL, 0);

				if (!noise_explains(got) && got != -ENOBUFS)
					ck_abort_msg("%lld: %s", (long long)got, peal_error());
				if (got == -ENOBUFS)
					peal_release(rx);
				if (got == -EPROTO)
					break;
			}
			pair_close(links);
			pair_open(links, PEAL_WAIT_SLEEP, 0);
			rx = peal_link_rx(links[1]);
		}
		expect_others_well();
	}
END_TEST

START_TEST(a_liar_at_the_other_end_of_a_socket_is_hung_up_on)
	{
		struct meeting meeting;
		const struct peal_tx *liar;

		meeting_open(&meeting, NULL, NULL);
		liar = peal_link_tx(meeting.client);
		/* Only its owner can: our view of the peer's is read-only. */
		__atomic_store_n((uint64_t *)(void *)(liar->data + (liar->pos & liar->mask)),
				 UINT64_MAX, __ATOMIC_RELEASE);
		expect_error(peal_recv(peal_link_rx(meeting.server), buffer, sizeof(buffer), NULL,
				       LONG),
			     -EPROTO, "flags", NULL);
		expect_error(peal_recv(peal_link_rx(meeting.client), buffer, sizeof(buffer), NULL,
				       LONG),
			     -EPIPE, NULL);
		expect_others_well();
		meeting_close(&meeting);
	}
END_TEST

/* As many bells as the socket of the link's other end takes; how many these are. */
static int flood(struct peal_link *link)
{
	int count = 0;

	while (send(link->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
		count++;
	return count;
}

/* Waits by the server's descriptor (or in vain), and finds that the client lied. */
static void expect_socket_lie(struct meeting *lied)
{
	ck_assert_int_eq(peal_link_arm(lied->server, PEAL_DATA), 1);
	expect_error(peal_recv(peal_link_rx(lied->server), buffer, sizeof(buffer), NULL, 0),
		     -EPROTO, "broke the protocol", NULL);
	ck_assert_int_eq(peal_link_arm(lied->server, PEAL_DATA), 1);
	ck_assert_int_lt(send(lied->client->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL), 0);
}

START_TEST(a_socket_full_of_bells_that_nobody_asked_for_is_a_lie)
	{
		struct meeting meeting;

		meeting_open(&meeting, NULL, NULL);
		ck_assert_int_gt(flood(meeting.client), 64);
		expect_socket_lie(&meeting);
		expect_others_well();
		meeting_close(&meeting);
	}
END_TEST

START_TEST(a_few_bells_too_many_are_none)
	{
		struct meeting meeting;

		meeting_open(&meeting, NULL, NULL);
		for (int round = 0; round < 10; round++) {
			for (int i = 0; i < 10; i++)
				ck_assert_int_eq(send(meeting.client->fd, "", 1, MSG_NOSIGNAL), 1);
			ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_DATA), 0);
		}
		ck_assert_int_eq(peal_send(peal_link_tx(meeting.client), "well", 4, 0, 0), 0);
		ck_assert_int_eq(peal_recv(peal_link_rx(meeting.server), buffer, sizeof(buffer),
					   NULL, 0),
				 4);
		meeting_close(&meeting);
	}
END_TEST

START_TEST(descriptors_on_a_link_that_stands_are_a_lie)
	{
		struct meeting meeting;
		int before = descriptors_settled();

		/* It keeps them. */
		if (skip_emulated("descriptors that do not fit a message"))
			return;
		meeting_open(&meeting, NULL, NULL);
		/* As many as a message of the handshake has, and more. */
		for (int i = 0; i < 20; i++)
			stranger_say(meeting.client->fd, "", 1, STDERR_FILENO, i % 2 ? 1 : 16);
		expect_socket_lie(&meeting);
		expect_others_well();
		meeting_close(&meeting);
		descriptors_expect(before);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("hostile");
	TCase *all = tcase_create("hostile peer");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_set_timeout(all, 120); /* single steps are slow where others want the CPU, too */
	tcase_add_loop_test(all, a_header_that_cannot_be_true_ends_the_link, 0, HEADERS);
	tcase_add_test(all, a_link_that_was_ended_stays_so_whatever_comes);
	tcase_add_test(all, a_lie_to_the_receiver_ends_sending_too);
	tcase_add_test(all, a_message_that_is_taken_back_is_whole_or_was_never_there);
	tcase_add_test(all, a_length_that_changes_after_it_was_checked_changes_nothing);
	tcase_add_loop_test(all, a_read_position_that_cannot_be_true_ends_the_link, 0, HEADS);
	tcase_add_test(all, a_read_position_just_ahead_of_what_was_sent_is_a_lie);
	tcase_add_test(all, a_read_position_up_to_all_that_was_sent_is_believed);
	tcase_add_loop_test(all, asleep_and_wake_words_may_say_anything, 0, NOISE);
	tcase_add_test(all, magic_and_layout_are_not_read_again);
	tcase_add_test(all, a_close_that_is_taken_back_is_a_close);
	tcase_add_test(all, a_close_that_one_end_saw_is_one_for_the_other);
	tcase_add_test(all, a_close_with_absurd_counts_is_a_close);
	tcase_add_test(all, closing_counts_no_further_than_the_ring_is_long);
	tcase_add_test(all, closing_counts_no_lies);
	tcase_add_test(all, a_page_of_noise_neither_hangs_nor_crashes);
	tcase_add_test(all, a_ring_of_noise_neither_hangs_nor_crashes);
	tcase_add_test(all, a_liar_at_the_other_end_of_a_socket_is_hung_up_on);
	tcase_add_test(all, a_socket_full_of_bells_that_nobody_asked_for_is_a_lie);
	tcase_add_test(all, a_few_bells_too_many_are_none);
	tcase_add_test(all, descriptors_on_a_link_that_stands_are_a_lie);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
