/*
 * SPDX-License-Identifier: MIT
 *
 * Messages longer than a record: whole at the other side or not at all, whatever the deadlines, the
 * buffers, the ends and the lies between. White-box: the test writes records of its own into the
 * peer's ring, and looks at what an end keeps.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "lib/link.h"
#include "tests/unit/combination.h"
#include "tests/unit/stage.h"

#define MOST ((size_t)1 << 20)

static struct peal_link *links[2];
static struct peal_tx *tx;
static struct peal_rx *rx;
static uint64_t capacity;
static size_t record; /* longest message of one */
static size_t some;   /* bytes of a message that takes a few laps */
static char some_text[16], less_text[16];
static uint8_t *text, *buffer;

static void open_links(uint64_t most)
{
	struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 0);

	options.max_message = most;
	ck_assert_int_eq(peal_pair(links, &options), 0);
	tx = peal_link_tx(links[0]);
	rx = peal_link_rx(links[1]);
}

static void set_up(void)
{
	capacity = stage_page();
	record = capacity - 16;
	some = capacity > 4096 ? 500000 : 50000;
	snprintf(some_text, sizeof(some_text), "%zu", some);
	snprintf(less_text, sizeof(less_text), "%zu", some - 1);
	open_links(MOST);
	text = malloc(MOST);
	buffer = malloc(MOST);
	ck_assert(text && buffer);
	payload_fill(text, MOST, 1);
}

static void tear_down(void)
{
	free(text);
	free(buffer);
	pair_close(links);
}

static struct peal_sending sending_of(size_t length, uint32_t tag)
{
	return (struct peal_sending){ .data = text, .length = length, .tag = tag };
}

/* Sends what fits the ring of a long message, and leaves it so. */
static struct peal_sending send_some(size_t length, uint32_t tag)
{
	struct peal_sending sending = sending_of(length, tag);

	ck_assert_int_eq(peal_send_part(tx, &sending, 0), -EAGAIN);
	ck_assert_uint_gt(sending.sent, 0);
	ck_assert_uint_lt(sending.sent, length);
	return sending;
}

/* Receives a message with timeouts of 0 while sending goes on. */
static ssize_t pump(struct peal_sending *sending, struct peal_message *about)
{
	ssize_t got;
	int err = -EAGAIN;

	do {
		if (err)
			err = peal_send_part(tx, sending, 0);
		if (err && err != -EAGAIN)
			return err;
		got = peal_recv(rx, buffer, MOST, about, 0);
	} while (got == -EAGAIN);
	return got;
}

static void expect_nothing(void)
{
	ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN);
	ck_assert_uint_eq(links[1]->join.total, 0);
}

/* A short message arrives, and nothing else. */
static void expect_well(void)
{
	struct peal_message about;

	ck_assert_int_eq(peal_send(tx, "well", 4, 77, LONG), 0);
	ck_assert_int_eq(peal_recv(rx, buffer, MOST, &about, LONG), 4);
	ck_assert_uint_eq(about.tag, 77);
	ck_assert_mem_eq(buffer, "well", 4);
	expect_nothing();
}

/*
 * Two threads, over every combination of tables.
 */

static const uint32_t around[] = { 0, 1, 2, 3, 4, 5, 8, 16, 64, 255 }; /* quarters of a ring */

#define LENGTHS 50

static size_t at_most(size_t length, size_t most)
{
	return length < most ? length : most;
}

/* Around all multiples of what a fragment holds, of the longest record and of the ring; where pages
 * are large, and so is the smallest ring, a few laps at most. */
static size_t length_of(uint32_t n)
{
	size_t quarters = at_most(around[n / 5 % 10] * (capacity / 4), MOST / 4);

	switch (n % 5) {
	case 0:
		return quarters;
	case 1:
		return quarters + 1;
	case 2:
		return quarters < 16 ? 7 : quarters - 16;
	case 3:
		return quarters < 15 ? 9 : quarters - 15;
	default:
		return at_most(around[n / 5 % 10] * (capacity / 4 - 16), MOST / 4) + n % 25;
	}
}

struct side {
	struct peal_link *link;
	uint32_t count;
	char failure[512];
};

static int send_one(struct peal_tx *out, uint8_t *from, uint32_t n)
{
	size_t length = length_of(n), third = length / 3;
	struct peal_sending sending = { .data = from, .length = length, .tag = n };
	struct iovec pieces[5] = { { .iov_base = from, .iov_len = third },
				   { .iov_base = NULL, .iov_len = 0 },
				   { .iov_base = from + third, .iov_len = third },
				   { .iov_base = from + 2 * third, .iov_len = length - 2 * third },
				   { .iov_base = NULL, .iov_len = 0 } };
	int err;

	payload_fill(from, length, n);
	switch (n / 3 % 4) {
	case 0:
		return peal_send(out, from, length, n, LONG);
	case 1:
		return peal_sendv(out, pieces, 5, n, LONG);
	case 2:
		return peal_send_more(out, from, length, n, LONG);
	default:
		do
			err = peal_send_part(out, &sending, n % 2 ? 1 : LONG);
		while (err == -ETIMEDOUT);
		return err;
	}
}

static void *send_all(void *data)
{
	struct side *side = data;
	uint8_t *from = malloc(MOST);

	for (uint32_t n = 0; n < side->count && !*side->failure; n++) {
		int err = send_one(peal_link_tx(side->link), from, n);

		if (err)
			snprintf(side->failure, sizeof(side->failure), "message %u: %d %s", n, err,
				 peal_error());
	}
	peal_flush(peal_link_tx(side->link));
	free(from);
	return NULL;
}

static void *receive_all(void *data)
{
	struct side *side = data;
	uint8_t *to = malloc(MOST);

	for (uint32_t n = 0; n < side->count; n++) {
		struct peal_message about;
		ssize_t got;

		do
			got = peal_recv(peal_link_rx(side->link), to, MOST, &about,
					n % 2 ? 1 : LONG);
		while (got == -ETIMEDOUT && n % 2);
		if (got != (ssize_t)length_of(n) || about.tag != n || about.length != (size_t)got ||
		    about.data != to || about.flags || !payload_matches(to, (size_t)got, n)) {
			snprintf(side->failure, sizeof(side->failure),
				 "message %u of %zu bytes: %zd, tag %u: %s", n, length_of(n), got,
				 about.tag, got < 0 ? peal_error() : "");
			break;
		}
	}
	free(to);
	return NULL;
}

START_TEST(two_threads_exchange_messages_of_every_size)
	{
		struct peal_options options = stage_options(0, 0);
		struct side sides[2] = { { .count = 3 * LENGTHS }, { .count = 3 * LENGTHS } };
		pthread_t threads[2];

		capacity = stage_page();
		options.max_message = MOST;
		combination_open(_i, links, &options);
		if (links[0]->data.spin_ns == UINT64_MAX || capacity > 4096)
			sides[0].count = sides[1].count = LENGTHS;
		for (int i = 0; i < 2; i++) {
			sides[i].link = links[i];
			ck_assert_int_eq(pthread_create(&threads[i], NULL,
							i ? receive_all : send_all, &sides[i]),
					 0);
		}
		for (int i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		ck_assert_str_eq(sides[0].failure, "");
		ck_assert_str_eq(sides[1].failure, "");
		pair_close(links);
	}
END_TEST

START_TEST(the_two_sides_of_a_socket_exchange_long_messages_both_ways)
	{
		struct peal_options options = stage_options((uint32_t)_i % 3, 0);
		struct side sides[4] = { { .count = LENGTHS } };
		struct meeting meeting;
		pthread_t threads[4];

		capacity = stage_page();
		options.max_message = MOST;
		meeting_open(&meeting, &options, &options);
		for (int i = 0; i < 4; i++) {
			sides[i].link = i / 2 ? meeting.server : meeting.client;
			/* Four that spin on fewer CPUs take a time slice for each turn. */
			sides[i].count = options.wait == PEAL_WAIT_SPIN ? 15 : LENGTHS;
			ck_assert_int_eq(pthread_create(&threads[i], NULL,
							i % 2 ? receive_all : send_all, &sides[i]),
					 0);
		}
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		for (int i = 0; i < 4; i++)
			ck_assert_str_eq(sides[i].failure, "");
		meeting_close(&meeting);
	}
END_TEST

/*
 * One thread, timeouts of 0.
 */

START_TEST(one_thread_sends_and_receives_both_ways_at_once)
	{
		struct peal_sending out[2] = { sending_of(MOST, 5), sending_of(MOST - 1, 6) };
		uint8_t *in[2] = { buffer, malloc(MOST) };
		ssize_t got[2] = { -EAGAIN, -EAGAIN };
		int err[2] = { -EAGAIN, -EAGAIN };

		ck_assert_ptr_nonnull(in[1]);
		while (got[0] < 0 || got[1] < 0 || err[0] || err[1]) {
			for (int i = 0; i < 2; i++) {
				if (err[i])
					err[i] = peal_send_part(peal_link_tx(links[i]), &out[i], 0);
				if (got[i] < 0)
					got[i] = peal_recv(peal_link_rx(links[i]), in[i], MOST,
							   NULL, 0);
				ck_assert(!err[i] || err[i] == -EAGAIN);
				ck_assert(got[i] >= 0 || got[i] == -EAGAIN);
			}
		}
		for (int i = 0; i < 2; i++) {
			ck_assert_int_eq(got[i], (ssize_t)MOST - !i);
			ck_assert_mem_eq(in[i], text, MOST - 1);
			ck_assert_uint_eq(out[i].sent, out[i].length);
			ck_assert_uint_eq(out[i].begun, 0);
		}
		free(in[1]);
	}
END_TEST

START_TEST(a_message_is_counted_once)
	{
		struct peal_stats stats = { .size = sizeof(stats) };
		struct peal_sending sending = sending_of(2 * some, 0);

		ck_assert_int_eq(pump(&sending, NULL), (ssize_t)(2 * some));
		ck_assert_int_eq(peal_link_stats(links[0], &stats), 0);
		ck_assert_uint_eq(stats.tx.messages, 1);
		ck_assert_uint_eq(stats.tx.bytes, 2 * some);
		ck_assert_int_eq(peal_link_stats(links[1], &stats), 0);
		ck_assert_uint_eq(stats.rx.messages, 1);
		ck_assert_uint_eq(stats.rx.bytes, 2 * some);
	}
END_TEST

START_TEST(a_fragment_is_at_most_a_quarter_of_the_ring)
	{
		uint64_t total, header;

		send_some(2 * some, 9);
		memcpy(&header, tx->data, 8);
		memcpy(&total, tx->data + 8, 8);
		ck_assert_uint_eq(total, 2 * some);
		ck_assert_uint_eq(header >> 32, 9);
		ck_assert_uint_eq((uint32_t)header, PEAL_HEADER_MORE | (capacity / 4 - 16 + 1));
		ck_assert_mem_eq(tx->data + 16, text, capacity / 4 - 24);
		memcpy(&header, tx->data + capacity / 4 - 8, 8);
		ck_assert_uint_eq(header >> 32, 9);
		ck_assert_uint_eq((uint32_t)header, PEAL_HEADER_MORE | (capacity / 4 - 16 + 1));
	}
END_TEST

START_TEST(a_fragment_stays_within_the_caches)
	{
		struct peal_options options = stage_options(PEAL_WAIT_SLEEP, (uint64_t)2 << 20);
		struct peal_sending sending;
		uint32_t low;

		pair_close(links);
		options.max_message = 4 * MOST;
		ck_assert_int_eq(peal_pair(links, &options), 0);
		tx = peal_link_tx(links[0]);
		rx = peal_link_rx(links[1]);
		sending = (struct peal_sending){ .data = calloc(4, MOST), .length = 4 * MOST };
		ck_assert_int_eq(peal_send_part(tx, &sending, 0), -EAGAIN);
		memcpy(&low, tx->data, 4);
		ck_assert_uint_eq(low & PEAL_HEADER_LENGTH, ((uint32_t)256 << 10) - 16 + 1);
		free((void *)(uintptr_t)sending.data);
	}
END_TEST

/* As a peer does that takes out as fast as this side puts in. */
START_TEST(a_part_is_no_more_than_a_lap_however_fast_the_peer_is)
	{
		struct peal_sending sending = sending_of(MOST, 4);

		for (size_t sent = 0; sent < MOST / 2; sent = sending.sent) {
			tx->limit = UINT64_MAX;
			expect_error(peal_send_part(tx, &sending, 0), -EAGAIN, NULL);
			ck_assert_uint_gt(sending.sent, sent);
			ck_assert_uint_le(sending.sent - sent, capacity + capacity / 4);
		}
	}
END_TEST

START_TEST(a_receivers_deadline_keeps_what_has_come)
	{
		struct peal_message about = { .length = 0 };
		struct peal_sending sending = send_some(some, 3);
		uint8_t *other = malloc(some);

		ck_assert_ptr_nonnull(other);
		expect_error(peal_recv(rx, buffer, MOST, NULL, MS), -ETIMEDOUT, some_text, NULL);
		ck_assert_uint_eq(links[1]->join.have, sending.sent);
		expect_error(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN, NULL);
		memset(buffer, 0, MOST); /* it is the caller's */
		ck_assert_int_eq(peal_send_part(tx, &sending, MS), -ETIMEDOUT);
		/* Too small now as before; the message stays. */
		expect_error(peal_recv(rx, other, some - 1, &about, LONG), -ENOBUFS, some_text,
			     less_text, NULL);
		ck_assert_uint_eq(about.length, some);
		ck_assert_uint_eq(about.tag, 3);
		expect_error(peal_recv(rx, other, some, &about, MS), -ETIMEDOUT, some_text, NULL);
		ck_assert_int_eq(pump(&sending, &about), (ssize_t)some);
		ck_assert_mem_eq(buffer, text, some);
		ck_assert_uint_eq(about.length, some);
		ck_assert_uint_eq(about.tag, 3);
		expect_well();
		free(other);
	}
END_TEST

START_TEST(a_buffer_too_small_leaves_a_long_message)
	{
		struct peal_message about = { .length = 0 };
		struct peal_sending sending = send_some(some, 3);

		for (int i = 0; i < 2; i++) {
			expect_error(peal_recv(rx, buffer, some - 1, &about, LONG), -ENOBUFS,
				     some_text, less_text, NULL);
			ck_assert_uint_eq(about.length, some);
			ck_assert_uint_eq(about.tag, 3);
			expect_error(peal_recv(rx, NULL, 0, NULL, 0), -ENOBUFS, some_text, NULL);
		}
		ck_assert_uint_eq(links[1]->page->head, 0);
		ck_assert_int_eq(pump(&sending, &about), (ssize_t)some);
		ck_assert_mem_eq(buffer, text, some);
		expect_well();
	}
END_TEST

static int never(void *data, const struct peal_message *message)
{
	(void)message;
	++*(int *)data;
	return 0;
}

START_TEST(a_long_message_cannot_be_shown_in_place_and_stays)
	{
		struct peal_sending sending;
		struct peal_message message, got[4];
		int shown = 0;

		ck_assert_int_eq(peal_send(tx, "well", 4, 0, 0), 0);
		sending = send_some(some, 3);
		/* It ends a drain and a batch before it. */
		ck_assert_int_eq(peal_drain(rx, never, &shown, 0, 0), 1);
		for (int i = 0; i < 2; i++) {
			expect_error(peal_peek(rx, &message, LONG), -EMSGSIZE, some_text,
				     "peal_recv", NULL);
			ck_assert_uint_eq(message.length, some);
			ck_assert_uint_eq(message.tag, 3);
			ck_assert_ptr_null(message.data);
			expect_error(peal_drain(rx, never, &shown, 0, LONG), -EMSGSIZE, some_text,
				     NULL);
			expect_error(peal_recv_batch(rx, buffer, some - 1, got, 4, 0), -ENOBUFS,
				     some_text, NULL);
			ck_assert_uint_eq(got[0].length, some);
			/* Also when a part of it has been taken. */
			expect_error(peal_recv(rx, buffer, MOST, NULL, i ? MS : 0),
				     i ? -ETIMEDOUT : -EAGAIN, NULL);
			ck_assert_int_eq(peal_send_part(tx, &sending, 0), -EAGAIN);
		}
		ck_assert_int_eq(shown, 1);
		while (peal_send_part(tx, &sending, 0) == -EAGAIN)
			ck_assert_int_eq(peal_recv_batch(rx, buffer, MOST, got, 4, 0), -EAGAIN);
		ck_assert_int_eq(peal_recv_batch(rx, buffer, MOST, got, 4, 0), 1);
		ck_assert_uint_eq(got[0].length, some);
		ck_assert_mem_eq(buffer, text, some);
		expect_well();
	}
END_TEST

/* In a ring that has nothing more of it. */
START_TEST(what_cannot_be_taken_is_told_at_once_when_some_of_it_is_kept)
	{
		struct peal_sending sending = send_some(some, 3);
		struct peal_message about = { .length = 0 };
		int shown = 0;

		expect_error(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN, NULL);
		expect_error(peal_peek(rx, &about, PEAL_FOREVER), -EMSGSIZE, some_text, NULL);
		ck_assert_uint_eq(about.length, some);
		ck_assert_uint_eq(about.tag, 3);
		expect_error(peal_drain(rx, never, &shown, 0, PEAL_FOREVER), -EMSGSIZE, NULL);
		about = (struct peal_message){ .length = 0 };
		expect_error(peal_recv(rx, buffer, some - 1, &about, PEAL_FOREVER), -ENOBUFS,
			     some_text, NULL);
		ck_assert_uint_eq(about.length, some);
		ck_assert_uint_eq(about.tag, 3);
		about = (struct peal_message){ .length = 0 };
		expect_error(peal_recv_batch(rx, buffer, some - 1, &about, 1, PEAL_FOREVER),
			     -ENOBUFS, NULL);
		ck_assert_uint_eq(about.length, some);
		if (_i) {
			/* Nor is its end hidden by that. */
			peal_close(links[0]);
			links[0] = NULL;
			expect_error(_i == 1 ? peal_peek(rx, &about, LONG) :
					       peal_recv(rx, buffer, 1, NULL, LONG),
				     -EPIPE, NULL);
			return;
		}
		ck_assert_int_eq(pump(&sending, NULL), (ssize_t)some);
		expect_well();
	}
END_TEST

/* How a message is found not to be wanted. */
static void refuse(int how)
{
	struct peal_message message;
	int shown = 0;

	switch (how % 4) {
	case 0:
		expect_error(peal_peek(rx, &message, LONG), -EMSGSIZE, "peal_release", NULL);
		break;
	case 1:
		expect_error(peal_drain(rx, never, &shown, 0, LONG), -EMSGSIZE, NULL);
		break;
	case 2:
		expect_error(peal_recv(rx, buffer, 9, NULL, LONG), -ENOBUFS, "peal_release", NULL);
		break;
	default:
		expect_error(peal_recv_batch(rx, buffer, 9, &message, 1, LONG), -ENOBUFS, NULL);
	}
}

START_TEST(a_long_message_that_is_not_wanted_is_released_and_never_seen_again)
	{
		struct peal_stats stats = { .size = sizeof(stats) };
		struct peal_sending sending = send_some(some, 3);
		bool kept = _i & 4;
		uint64_t head;

		if (kept) {
			expect_error(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN, NULL);
			ck_assert_int_eq(peal_send_part(tx, &sending, 0), -EAGAIN);
		}
		head = rx->pos;
		peal_release(rx); /* nothing: it has not been refused */
		ck_assert_uint_eq(rx->pos, head);
		refuse(_i);
		ck_assert_uint_eq(rx->pos, head);
		peal_release(rx);
		/* All that has come of it is gone, and there is room again. */
		ck_assert_uint_eq(rx->pos, tx->pos);
		ck_assert_uint_eq(links[1]->join.used, 0);
		switch (_i >> 3) {
		case 0: /* the rest goes the same way */
			while (peal_send_part(tx, &sending, 0) == -EAGAIN)
				expect_error(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN, NULL);
			expect_error(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN, NULL);
			ck_assert_int_eq(peal_link_stats(links[1], &stats), 0);
			ck_assert_uint_eq(stats.rx.messages, 1);
			ck_assert_uint_eq(stats.rx.bytes, some);
			break;
		case 1: /* unless it is given up */
			peal_abort(tx);
			break;
		default: /* in a call that waits for what comes behind it */
			for (int err = -EAGAIN; err;) {
				struct peal_message message;

				err = peal_send_part(tx, &sending, 0);
				if (!err)
					ck_assert_int_eq(peal_send(tx, "well", 4, 5, 0), 0);
				ck_assert_int_eq(peal_peek(rx, &message, 0), err);
				ck_assert(err || message.tag == 5);
			}
			peal_release(rx);
		}
		expect_well();
		peal_release(rx); /* nothing */
		sending = sending_of(some, 6);
		ck_assert_int_eq(pump(&sending, NULL), (ssize_t)some);
		ck_assert_mem_eq(buffer, text, some);
		expect_well();
	}
END_TEST

START_TEST(a_message_that_was_refused_and_then_taken_is_not_released_again)
	{
		struct peal_sending sending = send_some(some, 3);

		refuse(_i);
		ck_assert_int_eq(pump(&sending, NULL), (ssize_t)some);
		sending = send_some(some - 10000, 4);
		peal_release(rx);
		ck_assert_int_eq(pump(&sending, NULL), (ssize_t)(some - 10000));
		expect_well();
	}
END_TEST

START_TEST(a_record_that_is_too_long_for_the_buffer_can_be_released)
	{
		struct peal_message message;

		for (uint32_t i = 0; i < 2; i++) {
			ck_assert_int_eq(peal_send(tx, text, 20, 1, 0), 0);
			if (i)
				expect_error(peal_recv_batch(rx, buffer, 9, &message, 1, 0),
					     -ENOBUFS, NULL);
			else
				expect_error(peal_recv(rx, buffer, 9, NULL, 0), -ENOBUFS,
					     "peal_release", NULL);
			peal_release(rx);
			expect_well();
		}
	}
END_TEST

/*
 * Deadlines, by a waiter that tells how long it was asked to wait, and lets the whole time pass
 * before it rings.
 */

static int64_t asked_first; /* asked for in the first wait, ns */
static int64_t asked;       /* and in one after it, at most */
static int waits;
static int64_t given; /* the time that passes in the first wait, ns */
static void (*comes)(void);

static void put(uint32_t tag, uint64_t low, uint64_t first);

static int wait_it_out(const uint32_t *word, uint32_t seen, int64_t ns, bool shared)
{
	uint64_t begun = platform_now();

	(void)word, (void)seen, (void)shared;
	if (waits++) {
		asked = ns > asked ? ns : asked;
		return -ETIMEDOUT;
	}
	asked_first = ns;
	while (platform_now() - begun < (uint64_t)given)
		;
	comes();
	return 0;
}

static void wake_nobody(const uint32_t *word, bool shared)
{
	(void)word, (void)shared;
}

static const struct peal_waiter_ops tired = {
	.name = "tired",
	.wait = wait_it_out,
	.wake = wake_nobody,
};

static void part_comes(void)
{
	put(1, PEAL_HEADER_MORE | (100 + 1), 1000);
}

static void abandon_comes(void)
{
	put(0, PEAL_HEADER_CONTROL | (8 + 1), PEAL_CONTROL_ABANDON);
}

static void rest_comes(void)
{
	put(1, 908 + 1, 0);
}

static int64_t receive(int how, size_t size, int64_t timeout)
{
	struct peal_message message;
	int shown = 0;

	switch (how) {
	case 0:
		return peal_recv(rx, buffer, size, NULL, timeout);
	case 1:
		return peal_recv_batch(rx, buffer, size, &message, 1, timeout);
	case 2:
		return peal_peek(rx, &message, timeout);
	default:
		return peal_drain(rx, never, &shown, 0, timeout);
	}
}

START_TEST(a_deadline_is_spent_once)
	{
		links[1]->waiter = &tired;
		waits = 0;
		given = 20 * MS;
		comes = _i < 2 ? part_comes : abandon_comes;
		expect_error(receive(_i, MOST, given), -ETIMEDOUT, NULL);
		ck_assert_int_ge(waits, 2);
		ck_assert_int_le(asked, 1);
	}
END_TEST

START_TEST(a_deadline_that_was_not_used_up_is_no_later_calls)
	{
		links[1]->waiter = &tired;
		waits = 0;
		given = 20 * MS;
		comes = part_comes;
		if (_i)
			expect_error(receive(2, 9, given), -EMSGSIZE, NULL);
		else
			expect_error(receive(0, 9, given), -ENOBUFS, NULL);
		waits = 0;
		given = 0;
		comes = rest_comes;
		ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, LONG), 1000);
		ck_assert_int_gt(asked_first, MS);
	}
END_TEST

START_TEST(what_is_too_long_is_refused_before_a_byte_is_visible)
	{
		struct peal_sending sending = sending_of(MOST + 1, 0);
		struct iovec pieces[2] = { { .iov_base = text, .iov_len = MOST },
					   { .iov_base = text, .iov_len = 1 } };
		uint64_t begin = tx->pos;
		volatile size_t all = SIZE_MAX; /* compilers know better than to copy that */
		void *at;

		expect_error(peal_send(tx, text, MOST + 1, 0, LONG), -EMSGSIZE, "1048577",
			     "1048576", NULL);
		expect_error(peal_sendv(tx, pieces, 2, 0, LONG), -EMSGSIZE, "1048577", NULL);
		expect_error(peal_send_part(tx, &sending, LONG), -EMSGSIZE, "1048577", NULL);
		expect_error(peal_send_more(tx, text, all, 0, LONG), -EMSGSIZE, NULL);
		expect_error(peal_reserve(tx, record + 1, &at, LONG), -EMSGSIZE, "peal_send", NULL);
		expect_error(peal_reserve(tx, MOST + 1, &at, LONG), -EMSGSIZE, "1048576", NULL);
		expect_nothing();
		ck_assert_uint_eq(tx->pos, begin);
		ck_assert_int_eq(peal_reserve(tx, record, &at, 0), 0);
		peal_abort(tx);
		expect_well();
	}
END_TEST

START_TEST(without_time_a_long_message_is_not_begun)
	{
		struct iovec piece = { .iov_base = text, .iov_len = record + 1 };

		struct peal_message one = { .data = text, .length = record + 1 };

		ck_assert_int_eq(peal_send_more(tx, "well", 4, 0, 0), 0);
		/* Who tries again when there is room would do so for ever. */
		for (int i = 0; i < 2; i++) {
			expect_error(peal_send(tx, text, record + 1, 0, 0), -EMSGSIZE,
				     "peal_send_part", NULL);
			expect_error(peal_sendv(tx, &piece, 1, 0, 0), -EMSGSIZE, "peal_send_part",
				     NULL);
			expect_error(peal_send_more(tx, text, record + 1, 0, 0), -EMSGSIZE,
				     "peal_send_part", NULL);
			expect_error(peal_send_batch(tx, &one, 1, 0), -EMSGSIZE, "peal_send_part",
				     NULL);
			/* What was pending is published all the same. */
			ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), 4);
			/* Nor does it matter whether the ring is full. */
			ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), i ? 0 : -EAGAIN);
			ck_assert_int_eq(peal_send(tx, "well", 4, 0, 0), 0);
			while (!peal_send(tx, "", 0, 0, 0))
				;
		}
	}
END_TEST

START_TEST(a_batch_goes_out_before_a_long_message)
	{
		struct peal_sending sending;

		for (uint32_t i = 0; i < 3; i++)
			ck_assert_int_eq(peal_send_more(tx, "well", 4, i, 0), 0);
		sending = send_some(some, 3);
		for (uint32_t i = 0; i < 3; i++) {
			struct peal_message about;

			ck_assert_int_eq(peal_recv(rx, buffer, MOST, &about, 0), 4);
			ck_assert_uint_eq(about.tag, i);
		}
		ck_assert_int_eq(pump(&sending, NULL), (ssize_t)some);
		expect_well();
	}
END_TEST

/*
 * Half a message.
 */

enum next { SEND, SENDV, RESERVE, LONGEST, LARGE, PART, MORE, BATCH, NEXTS };

static void *send_next(void *data)
{
	struct iovec piece = { .iov_base = text, .iov_len = 20 };
	struct peal_message more = { .data = text, .length = 20, .tag = 8 };
	struct peal_sending sending = sending_of(some, 8);
	void *at;

	switch (*(enum next *)data) {
	case SEND:
		return (void *)(intptr_t)peal_send(tx, text, 20, 8, LONG);
	case SENDV:
		return (void *)(intptr_t)peal_sendv(tx, &piece, 1, 8, LONG);
	case RESERVE:
		if (peal_reserve(tx, 20, &at, LONG))
			return NULL;
		memcpy(at, text, 20);
		return (void *)(intptr_t)peal_commit(tx, 20, 8);
	case LONGEST:
		return (void *)(intptr_t)peal_send(tx, text, record, 8, LONG);
	case LARGE:
		return (void *)(intptr_t)peal_send(tx, text, some, 8, LONG);
	case PART:
		return (void *)(intptr_t)peal_send_part(tx, &sending, LONG);
	case MORE:
		if (peal_send_more(tx, text, 20, 8, LONG))
			return NULL;
		peal_flush(tx);
		return NULL;
	default:
		return (void *)(intptr_t)(peal_send_batch(tx, &more, 1, LONG) - 1);
	}
}

static size_t length_of_next(enum next next)
{
	return next == LONGEST ? record : next == LARGE || next == PART ? some : 20;
}

/* The part has been given up; the next message is sent in every way, and is what arrives. */
static void expect_next(enum next next)
{
	struct peal_message about;
	pthread_t thread;
	void *result;

	ck_assert_int_eq(pthread_create(&thread, NULL, send_next, &next), 0);
	ck_assert_int_eq(peal_recv(rx, buffer, MOST, &about, LONG), (ssize_t)length_of_next(next));
	pthread_join(thread, &result);
	ck_assert_ptr_null(result);
	ck_assert_uint_eq(about.tag, 8);
	ck_assert_mem_eq(buffer, text, length_of_next(next));
	ck_assert_uint_eq(links[1]->join.used, 0);
	expect_well();
}

START_TEST(a_senders_deadline_drops_the_part_and_nothing_else)
	{
		void *at;

		ck_assert_int_eq(peal_send(tx, "well", 4, 1, 0), 0);
		expect_error(peal_send(tx, text, MOST, 2, MS), -ETIMEDOUT, "1048576", "1000000 ns",
			     NULL);
		/* Nor is there room to say that it was given up; for nothing else there may be. */
		expect_error(peal_send(tx, NULL, 0, 3, 0), -EAGAIN, NULL);
		expect_error(peal_send(tx, "x", 1, 3, 0), -EAGAIN, NULL);
		expect_error(peal_send(tx, NULL, 0, 3, 0), -EAGAIN, NULL);
		expect_error(peal_reserve(tx, 0, &at, MS), -ETIMEDOUT, NULL);
		expect_error(peal_send(tx, text, MOST, 2, MS), -ETIMEDOUT, NULL);
		ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), 4);
		if (_i >= NEXTS) /* half of it has been kept before */
			ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN);
		expect_next((enum next)_i % NEXTS);
	}
END_TEST

START_TEST(an_abort_gives_up_the_part)
	{
		struct peal_sending sending = send_some(MOST, 2), other = sending_of(MOST, 2);
		struct peal_message one = { .data = "x", .length = 1 };
		void *at;

		expect_error(peal_send(tx, "x", 1, 3, LONG), -EBUSY, "peal_send_part", "peal_abort",
			     NULL);
		expect_error(peal_send(tx, NULL, 0, 3, 0), -EBUSY, NULL);
		expect_error(peal_send(tx, text, MOST, 3, LONG), -EBUSY, NULL);
		expect_error(peal_send_more(tx, "x", 1, 3, LONG), -EBUSY, NULL);
		expect_error(peal_send_batch(tx, &one, 1, LONG), -EBUSY, NULL);
		expect_error(peal_reserve(tx, 0, &at, LONG), -EBUSY, NULL);
		expect_error(peal_commit(tx, 0, 0), -EINVAL, NULL);
		expect_error(peal_send_part(tx, &other, LONG), -EBUSY, NULL);
		other.length = 3;
		expect_error(peal_send_part(tx, &other, LONG), -EBUSY, NULL);
		other = sending;
		other.sent++;
		expect_error(peal_send_part(tx, &other, LONG), -EINVAL, NULL);
		if (_i >= NEXTS)
			ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN);
		peal_abort(tx);
		peal_abort(tx);
		expect_error(peal_send_part(tx, &sending, LONG), -EINVAL, "given up", NULL);
		expect_next((enum next)_i % NEXTS);
	}
END_TEST

/* Its memory and its place in the ring need not wait for the next message. */
START_TEST(the_peer_is_told_of_what_was_given_up_as_soon_as_there_is_room)
	{
		if (_i < 2) {
			if (_i)
				expect_error(peal_send(tx, text, MOST, 2, MS), -ETIMEDOUT, NULL);
			else
				send_some(MOST, 2);
			peal_abort(tx);
		} else {
			ck_assert_int_eq(peal_send(tx, "well", 4, 1, 0), 0);
			send_some(MOST, 2);
			peal_abort(tx);
			peal_flush(tx); /* there is no room yet */
			ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), 4);
			expect_error(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN, NULL);
			ck_assert_uint_ne(links[1]->join.total, 0);
			peal_flush(tx);
		}
		expect_nothing();
		ck_assert_uint_eq(tx->pos, rx->pos);
		expect_well();
	}
END_TEST

START_TEST(closing_half_way_tears_no_message)
	{
		struct peal_stats stats = { .size = sizeof(stats) };
		bool part = _i & 1, take = _i & 2, both = _i & 4;

		if (part)
			send_some(MOST, 2);
		else
			ck_assert_int_eq(peal_send(tx, text, MOST, 2, MS), -ETIMEDOUT);
		if (take)
			ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN);
		if (both) {
			peal_close(links[1]);
			links[1] = NULL;
			ck_assert_int_eq(peal_link_stats(links[0], &stats), 0);
			ck_assert_uint_eq(stats.peer_unread, part);
			expect_error(peal_send(tx, text, MOST, 2, LONG), part ? -EBUSY : -EPIPE,
				     NULL);
			return;
		}
		peal_close(links[0]);
		links[0] = NULL;
		for (int i = 0; i < 3; i++)
			expect_error(peal_recv(rx, buffer, MOST, NULL, PEAL_FOREVER), -EPIPE,
				     "closed", NULL);
		ck_assert_uint_eq(links[1]->join.used, 0);
	}
END_TEST

static void *close_it(void *data)
{
	struct peal_link *link = data;
	struct peal_stats stats = { .size = sizeof(stats) };

	do
		peal_link_stats(links[0], &stats);
	while (!stats.tx.sleeps);
	peal_close(link);
	return NULL;
}

START_TEST(a_sender_in_the_midst_of_a_message_is_told_that_the_peer_closes)
	{
		pthread_t thread;

		ck_assert_int_eq(pthread_create(&thread, NULL, close_it, links[1]), 0);
		expect_error(peal_send(tx, text, MOST, 2, PEAL_FOREVER), -EPIPE, "closed", NULL);
		pthread_join(thread, NULL);
		links[1] = NULL;
		expect_error(peal_send(tx, text, MOST, 2, PEAL_FOREVER), -EPIPE, "closed", NULL);
		expect_error(peal_send(tx, "x", 1, 2, 0), -EPIPE, "closed", NULL);
	}
END_TEST

static const char *use_parents_links(void *data)
{
	struct peal_sending *sending = data;

	if (peal_send_part(tx, sending, 0) != -ESTALE)
		return wrong("a part was sent in the child");
	peal_abort(tx);
	if (peal_send(tx, text, MOST, 0, LONG) != -ESTALE)
		return wrong("a long message was sent in the child");
	if (peal_recv(rx, buffer, MOST, NULL, LONG) != -ESTALE)
		return wrong("something was received in the child");
	pair_close(links);
	return NULL;
}

START_TEST(a_childs_copy_is_dead_in_the_midst_of_a_message)
	{
		struct peal_sending sending = send_some(some, 3);

		ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN);
		child_run(use_parents_links, &sending);
		ck_assert_int_eq(pump(&sending, NULL), (ssize_t)some);
		ck_assert_mem_eq(buffer, text, some);
		expect_well();
	}
END_TEST

/*
 * Memory.
 */

static uint64_t resident(const uint8_t *at, uint64_t size)
{
	uint64_t pages = size / stage_page(), count = 0;
	unsigned char *map = malloc(pages);

	ck_assert_ptr_nonnull(map);
	ck_assert_int_eq(mincore((void *)(uintptr_t)at, size, map), 0);
	for (uint64_t i = 0; i < pages; i++)
		count += map[i] & 1;
	free(map);
	return count;
}

START_TEST(memory_is_used_for_parts_only_and_given_back)
	{
		struct join *join = &links[1]->join;
		struct peal_sending sending;
		pthread_t thread;
		enum next large = LARGE;

		if (skip_emulated("mincore"))
			return;
		ck_assert_uint_eq(join->size, MOST);
		/* Received in one call: in the caller's buffer. */
		ck_assert_int_eq(pthread_create(&thread, NULL, send_next, &large), 0);
		ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, LONG), (ssize_t)some);
		pthread_join(thread, NULL);
		ck_assert_uint_eq(resident(join->at, join->size), 0);
		/* In many calls. */
		sending = sending_of(MOST, 3);
		ck_assert_int_eq(pump(&sending, NULL), (ssize_t)MOST);
		ck_assert_mem_eq(buffer, text, MOST);
		ck_assert_uint_eq(resident(join->at, join->size), 0);
		/* And one that was given up. */
		sending = send_some(MOST, 3);
		ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN);
		ck_assert_uint_gt(resident(join->at, join->size), 0);
		peal_abort(tx);
		expect_well();
		ck_assert_uint_eq(resident(join->at, join->size), 0);
	}
END_TEST

START_TEST(a_part_that_the_peer_left_is_given_back)
	{
		struct join *join = &links[1]->join;

		if (skip_emulated("mincore"))
			return;
		send_some(MOST, 3);
		ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN);
		ck_assert_uint_gt(resident(join->at, join->size), 0);
		peal_close(links[0]);
		links[0] = NULL;
		ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), -EPIPE);
		ck_assert_uint_eq(resident(join->at, join->size), 0);
	}
END_TEST

/* Where a touch brings 2 MiB. */
START_TEST(memory_of_large_pages_is_given_back_whole)
	{
		const size_t most = 16 * MOST;
		struct peal_sending sending = { .length = most };
		struct join *join;

		if (skip_emulated("mincore"))
			return;
		sending.data = calloc(16, MOST);
		pair_close(links);
		open_links(most);
		join = &links[1]->join;
		madvise(join->at, join->size, MADV_HUGEPAGE); /* if it cannot be had, so be it */
		while (join->have < 9 * MOST / 2) {
			ck_assert_int_eq(peal_send_part(tx, &sending, 0), -EAGAIN);
			ck_assert_int_eq(peal_recv(rx, buffer, most, NULL, 0), -EAGAIN);
		}
		ck_assert_uint_ge(resident(join->at, join->size), 9 * MOST / 2 / stage_page());
		peal_abort(tx);
		expect_well();
		ck_assert_uint_eq(resident(join->at, join->size), 0);
		free((void *)(uintptr_t)sending.data);
	}
END_TEST

static long status_kib(const char *name)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	long value = -1;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			value = strtol(line + strlen(name), NULL, 10);
	if (file)
		fclose(file);
	return value;
}

/* In a process that locks all its memory, as far as nobody in particular may. */
static const char *keep_in_locked_memory(void *data)
{
	static const struct rlimit limit = { 8 << 20, 8 << 20 };
	struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 0);
	struct peal_sending sending = sending_of(MOST, 1);
	long resident_kib, kept_kib;

	(void)data;
	options.max_message = (uint64_t)64 << 20;
	if (setrlimit(RLIMIT_MEMLOCK, &limit) || become_nobody() || mlockall(MCL_FUTURE))
		return NULL; /* locking is forbidden here */
	resident_kib = status_kib("VmRSS:");
	if (peal_pair(links, &options))
		return wrong("no pair");
	tx = peal_link_tx(links[0]);
	rx = peal_link_rx(links[1]);
	if (status_kib("VmLck:") > 2048 || status_kib("VmRSS:") > resident_kib + 2048)
		return wrong("a pair takes %ld KiB, %ld KiB are locked",
			     status_kib("VmRSS:") - resident_kib, status_kib("VmLck:"));
	while (links[1]->join.have < MOST / 2)
		if (peal_send_part(tx, &sending, 0) != -EAGAIN ||
		    peal_recv(rx, buffer, MOST, NULL, 0) != -EAGAIN)
			return wrong("nothing is kept");
	kept_kib = status_kib("VmRSS:");
	peal_abort(tx);
	if (peal_recv(rx, buffer, MOST, NULL, 0) != -EAGAIN)
		return wrong("something is there");
	if (status_kib("VmRSS:") > kept_kib - 256)
		return wrong("%ld KiB were kept, and then %ld", kept_kib - resident_kib,
			     status_kib("VmRSS:") - resident_kib);
	return NULL;
}

START_TEST(address_space_for_parts_is_not_locked)
	{
		if (skip_emulated("munlock of what was born locked"))
			return;
		child_run(keep_in_locked_memory, NULL);
	}
END_TEST

/* Where memory can be had no more: as with strict overcommit. */
static const char *keep_in_no_memory(void *data)
{
	struct rlimit limit = { 1, RLIM_INFINITY };
	struct peal_sending sending = { .data = text, .length = MOST, .tag = 1 };
	ssize_t got;

	(void)data;
	if (peal_pair(links, &(struct peal_options){ .size = sizeof(struct peal_options),
						     .abi = PEAL_ABI,
						     .ring = capacity,
						     .wait = PEAL_WAIT_SLEEP,
						     .max_message = MOST }))
		return wrong("no pair");
	tx = peal_link_tx(links[0]);
	rx = peal_link_rx(links[1]);
	/* Some is kept, and then no more may be. */
	while (links[1]->join.have < 10000)
		if (peal_send_part(tx, &sending, 0) != -EAGAIN ||
		    peal_recv(rx, buffer, MOST, NULL, 0) != -EAGAIN)
			return wrong("nothing is kept");
	if (setrlimit(RLIMIT_DATA, &limit))
		return NULL;
	do {
		if (peal_send_part(tx, &sending, 0) != -EAGAIN)
			return wrong("it is not sent");
		got = peal_recv(rx, buffer, MOST, NULL, 0);
	} while (got == -EAGAIN);
	if (got != -ENOMEM || !strstr(peal_error(), "1048576") ||
	    !strstr(peal_error(), "overcommit") || !strstr(peal_error(), "ulimit"))
		return wrong("recv gives %zd", got);
	if (peal_recv(rx, buffer, MOST, NULL, LONG) != -ENOMEM)
		return wrong("not -ENOMEM again");
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_DATA, &limit);
	while ((got = peal_recv(rx, buffer, MOST, NULL, 0)) == -EAGAIN)
		peal_send_part(tx, &sending, 0);
	if (got != (ssize_t)MOST || memcmp(buffer, text, MOST))
		return wrong("recv gives %zd", got);
	return NULL;
}

START_TEST(no_memory_for_a_part_is_an_error_and_loses_nothing)
	{
		if (skip_emulated("limit of data"))
			return;
		child_run(keep_in_no_memory, NULL);
	}
END_TEST

START_TEST(gigabytes_are_address_space_and_no_more)
	{
		struct peal_message message;
		uint64_t total = ((uint64_t)8 << 30) - 5;

		pair_close(links);
		open_links(total);
		ck_assert_uint_eq(links[1]->join.size, (uint64_t)8 << 30);
		/* Lengths of more than 32 bits arrive; the payload need not be there to be
		 * refused. */
		send_some(total, 4);
		expect_error(peal_recv(rx, buffer, MOST, &message, 0), -ENOBUFS, "8589934587",
			     NULL);
		ck_assert_uint_eq(message.length, total);
		expect_error(peal_peek(rx, &message, 0), -EMSGSIZE, "8589934587", NULL);
		ck_assert_uint_eq(message.length, total);
		/* One byte more is not begun. */
		expect_error(peal_send(peal_link_tx(links[1]), text, total + 1, 0, LONG), -EMSGSIZE,
			     "8589934588", "8589934587", NULL);
	}
END_TEST

START_TEST(by_default_a_client_takes_64_mib_and_others_what_fits_a_record)
	{
		struct meeting meeting;
		struct peal_sending sending = { .data = text, .length = 65521 };

		meeting_open(&meeting, NULL, NULL);
		expect_error(peal_send(peal_link_tx(meeting.client), text, 65521, 0, LONG),
			     -EMSGSIZE, "65521", "65520", NULL);
		expect_error(peal_send(peal_link_tx(meeting.server), text, ((size_t)64 << 20) + 1,
				       0, LONG),
			     -EMSGSIZE, "67108864", NULL);
		expect_error(peal_send_part(peal_link_tx(meeting.server), &sending, 0), -EAGAIN,
			     NULL);
		expect_error(peal_recv(peal_link_rx(meeting.client), buffer, MOST, NULL, 0),
			     -EAGAIN, "65521", NULL);
		ck_assert_int_eq(peal_send_part(peal_link_tx(meeting.server), &sending, LONG), 0);
		ck_assert_int_eq(peal_recv(peal_link_rx(meeting.client), buffer, MOST, NULL, LONG),
				 65521);
		ck_assert_mem_eq(buffer, text, 65521);
		meeting_close(&meeting);
	}
END_TEST

/*
 * Lies.
 */

static uint64_t put_at; /* in the ring of links[0], where nothing honest is sent */

static void put(uint32_t tag, uint64_t low, uint64_t first)
{
	uint64_t *header = (uint64_t *)(void *)(tx->data + (put_at & tx->mask));
	uint64_t length = (low & PEAL_HEADER_LENGTH) - 1;

	if (length >= 8)
		*(uint64_t *)(void *)(tx->data + (put_at & tx->mask) + 8) = first;
	put_at += peal_record_size(length);
	*(uint64_t *)(void *)(tx->data + (put_at & tx->mask)) = 0;
	__atomic_store_n(header, (uint64_t)tag << 32 | low, __ATOMIC_RELEASE);
}

#define RECORD(length) ((uint64_t)(length) + 1)
#define FRAGMENT(length) (PEAL_HEADER_MORE | RECORD(length))
#define CONTROL(length) (PEAL_HEADER_CONTROL | RECORD(length))

static const struct lie {
	struct {
		uint32_t tag;
		uint64_t low, first;
	} records[3];
	const char *said;
} lies[] = {
	/* The first fragment. */
	{ { { 1, FRAGMENT(100), MOST + 1 } }, "longer" },
	{ { { 1, FRAGMENT(100), UINT64_MAX } }, "longer" },
	{ { { 1, FRAGMENT(100), (uint64_t)1 << 63 } }, "longer" },
	{ { { 1, FRAGMENT(100), 92 } }, "add up" },
	{ { { 1, FRAGMENT(100), 91 } }, "add up" },
	{ { { 1, FRAGMENT(100), 0 } }, "add up" },
	{ { { 1, FRAGMENT(8), 1000 } }, "nothing" },
	{ { { 1, FRAGMENT(7), 0 } }, "nothing" },
	{ { { 1, FRAGMENT(0), 0 } }, "nothing" },
	{ { { 1, PEAL_HEADER_MORE, 0 } }, "length" },
	{ { { 1, PEAL_HEADER_LAST | FRAGMENT(100), 1000 } }, "flags" },
	{ { { 1, PEAL_HEADER_RESERVED | FRAGMENT(100), 1000 } }, "flags" },
	{ { { 1, PEAL_HEADER_CONTROL | FRAGMENT(8), 1000 } }, "flags" },
	/* The next. */
	{ { { 1, FRAGMENT(100), 1000 }, { 1, FRAGMENT(0), 0 } }, "add up" },
	{ { { 1, FRAGMENT(100), 1000 }, { 1, RECORD(0), 0 } }, "add up" },
	{ { { 1, FRAGMENT(100), 1000 }, { 1, FRAGMENT(908), 0 } }, "add up" },
	{ { { 1, FRAGMENT(100), 1000 }, { 1, FRAGMENT(909), 0 } }, "add up" },
	{ { { 1, FRAGMENT(100), 1000 }, { 1, RECORD(907), 0 } }, "add up" },
	{ { { 1, FRAGMENT(100), 1000 }, { 1, RECORD(909), 0 } }, "add up" },
	{ { { 1, FRAGMENT(100), 1000 }, { 2, RECORD(908), 0 } }, "midst" },
	{ { { 1, FRAGMENT(100), 1000 }, { 2, FRAGMENT(100), 1000 } }, "midst" },
	{ { { 1, FRAGMENT(100), 1000 }, { 2, RECORD(0), 0 } }, "midst" },
	{ { { 1, FRAGMENT(100), 1000 }, { 1, PEAL_HEADER_LENGTH, 0 } }, "length" },
	{ { { 1, FRAGMENT(100), 1000 }, { 1, PEAL_HEADER_RESERVED | RECORD(908), 0 } }, "flags" },
	{ { { 1, FRAGMENT(100), 1000 }, { 1, PEAL_HEADER_LAST | FRAGMENT(9), 0 } }, "flags" },
	{ { { 1, FRAGMENT(100), 1000 }, { 1, FRAGMENT(900), 0 }, { 1, RECORD(9), 0 } }, "add up" },
	/* Control records. */
	{ { { 0, CONTROL(8), 0 } }, "control" },
	{ { { 0, CONTROL(8), 2 } }, "control" },
	{ { { 0, CONTROL(16), PEAL_CONTROL_ABANDON } }, "control" },
	{ { { 0, CONTROL(0), 0 } }, "control" },
	{ { { 0, PEAL_HEADER_CONTROL, 0 } }, "length" },
	{ { { 0, PEAL_HEADER_LAST | CONTROL(8), PEAL_CONTROL_ABANDON } }, "flags" },
	{ { { 1, FRAGMENT(100), 1000 }, { 1, CONTROL(8), 9 } }, "control" },
};

#define LIES ((int)(sizeof(lies) / sizeof(lies[0])))

START_TEST(a_message_that_does_not_add_up_ends_the_link)
	{
		const struct lie *lie = &lies[_i / 2];
		struct peal_message message;
		unsigned i;
		int64_t got;

		/* With each record looked for, and with all at once. */
		for (i = 0; i < 3 && lie->records[i].low; i++) {
			put(lie->records[i].tag, lie->records[i].low, lie->records[i].first);
			if (_i % 2 && i < 2 && lie->records[i + 1].low)
				ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN);
		}
		got = i == 1 && _i % 2 ? peal_peek(rx, &message, LONG) :
					 peal_recv(rx, buffer, MOST, &message, LONG);
		expect_error(got, -EPROTO, lie->said, NULL);
		expect_error(peal_recv(rx, buffer, MOST, NULL, 0), -EPROTO, NULL);
		expect_error(peal_peek(rx, &message, PEAL_FOREVER), -EPROTO, NULL);
		ck_assert_uint_eq(links[1]->join.used, 0);
	}
END_TEST

START_TEST(in_the_midst_of_a_message_in_place_verbs_believe_nothing_either)
	{
		struct peal_message message;

		put(1, FRAGMENT(100), 1000);
		ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN);
		put(1, RECORD(0), 0);
		if (_i)
			expect_error(peal_peek(rx, &message, 0), -EPROTO, "add up", NULL);
		else
			expect_error(peal_recv_batch(rx, buffer, MOST, &message, 1, 0), -EPROTO,
				     "add up", NULL);
	}
END_TEST

START_TEST(giving_up_what_was_never_begun_is_harmless)
	{
		struct peal_message message;
		int shown = 0;

		for (uint32_t i = 0; i < 4; i++) {
			put(0, CONTROL(8), PEAL_CONTROL_ABANDON);
			if (i % 2)
				put(0, CONTROL(8), PEAL_CONTROL_ABANDON);
			expect_nothing();
			put(0, CONTROL(8), PEAL_CONTROL_ABANDON);
			put(i, RECORD(8), 42);
			switch (i) {
			case 0:
				ck_assert_int_eq(peal_recv(rx, buffer, MOST, &message, 0), 8);
				break;
			case 1:
				ck_assert_int_eq(peal_peek(rx, &message, 0), 0);
				ck_assert_uint_eq(message.length, 8);
				memcpy(buffer, message.data, 8);
				peal_release(rx);
				break;
			case 2:
				ck_assert_int_eq(peal_recv_batch(rx, buffer, MOST, &message, 1, 0),
						 1);
				break;
			default:
				ck_assert_int_eq(peal_drain(rx, never, &shown, 0, 0), 1);
			}
			if (i < 3)
				ck_assert_uint_eq(message.tag, i);
			ck_assert_uint_eq(*(uint64_t *)(void *)buffer, 42);
			expect_nothing();
		}
	}
END_TEST

/* Records that stay where they are, lap after lap: the peer need not even write them again. */
START_TEST(a_ring_that_never_ends_keeps_nobody_beyond_the_deadline)
	{
		struct peal_message message;
		int64_t got;

		/* ABANDONs only; a part and four of them; fragments only. */
		for (uint64_t at = 0; at < capacity; at += _i ? 64 : 16) {
			uint64_t *words = (uint64_t *)(void *)(tx->data + at);

			words[0] = _i ? FRAGMENT(56) : CONTROL(8);
			words[1] = _i ? MOST : PEAL_CONTROL_ABANDON;
			for (int i = 0; _i == 1 && at % 128 && i < 8; i += 2) {
				words[i] = CONTROL(8);
				words[i + 1] = PEAL_CONTROL_ABANDON;
			}
		}
		for (int i = 0; i < 20; i++) {
			got = i % 2 ? peal_recv(rx, buffer, MOST, NULL, i % 4 == 1 ? 0 : MS) :
				      peal_peek(rx, &message, i % 4 ? 0 : MS);
			ck_assert_msg(got == -EAGAIN || got == -ETIMEDOUT || got == -EPROTO ||
					      (_i && (got == -EMSGSIZE || got == (ssize_t)MOST)),
				      "%lld: %s", (long long)got, peal_error());
		}
		/* Parts and their ends may go on for ever, if one waits for ever; the others
		 * not. */
		if (_i != 1)
			expect_error(peal_recv(rx, buffer, MOST, NULL, PEAL_FOREVER), -EPROTO,
				     NULL);
	}
END_TEST

START_TEST(a_length_is_believed_in_all_its_bits)
	{
		static const uint64_t most[] = { MOST, (uint64_t)1 << 33 };

		/* The low half of each alone would do. */
		for (int i = 0; i < 2; i++) {
			pair_close(links);
			open_links(most[i]);
			put_at = 0;
			put(1, FRAGMENT(100), ((uint64_t)1 << 33) + 1000);
			expect_error(peal_recv(rx, buffer, MOST, NULL, 0), -EPROTO, "longer", NULL);
		}
	}
END_TEST

START_TEST(a_ring_of_noise_neither_hangs_nor_crashes)
	{
		uint64_t x = 88172645463325252u;
		struct peal_message got[4];
		unsigned fragments = 0;

		for (int round = 0; round < 400; round++) {
			uint64_t *words = (uint64_t *)(void *)tx->data;

			for (uint64_t i = 0; i < capacity / 8; i++) {
				scramble(&x);
				/* Mostly fragments, where they can be totals, and ABANDONs. */
				words[i] = x % 64 == 0 ? x :
					   i % 2       ? x >> 8 & 0x7fff :
					   x % 8 == 0  ? CONTROL(8) :
					   x % 8 < 3   ? 0 :
							 FRAGMENT((x >> 32 & 0x70) + 8);
				if (words[i] == CONTROL(8))
					words[++i] = PEAL_CONTROL_ABANDON;
			}
			for (int i = 0; i < 200; i++) {
				int64_t result;

				switch (x >> (i % 32) & 3) {
				case 0:
					result = peal_peek(rx, got, 0);
					break;
				case 1:
					result = peal_recv_batch(rx, buffer, 4096, got, 4, 0);
					break;
				default:
					result = peal_recv(rx, buffer, MOST, got, 0);
				}
				if (!noise_explains(result))
					ck_abort_msg("%lld: %s", (long long)result, peal_error());
				fragments += links[1]->join.total != 0;
				if (result == -EPROTO)
					break;
				if (result == -ENOBUFS)
					peal_release(rx);
			}
			pair_close(links);
			open_links(MOST);
		}
		ck_assert_uint_gt(fragments, 0);
	}
END_TEST

START_TEST(closing_looks_at_no_more_records_than_it_can_tell_of)
	{
		struct peal_options options = stage_options(PEAL_WAIT_SLEEP, (uint64_t)1 << 20);
		struct peal_stats stats = { .size = sizeof(stats) };

		pair_close(links);
		options.max_message = 2 * MOST;
		ck_assert_int_eq(peal_pair(links, &options), 0);
		tx = peal_link_tx(links[0]);
		for (int i = 0; i < 65536; i++)
			put(0, FRAGMENT(0), 0);
		for (int i = 0; i < 9; i++)
			put(0, RECORD(0), 0);
		peal_close(links[1]);
		links[1] = NULL;
		ck_assert_int_eq(peal_link_stats(links[0], &stats), 0);
		ck_assert_uint_eq(stats.peer_unread, 1);
	}
END_TEST

START_TEST(a_side_that_has_not_agreed_to_fragments_takes_none)
	{
		pair_close(links);
		open_links(0);
		put(1, _i ? FRAGMENT(100) : CONTROL(8), _i ? 1000 : PEAL_CONTROL_ABANDON);
		expect_error(peal_recv(rx, buffer, MOST, NULL, 0), -EPROTO, "flags", NULL);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("large");
	TCase *threads = tcase_create("threads"), *one = tcase_create("one thread");
	TCase *half = tcase_create("half a message"), *memory = tcase_create("memory");
	TCase *hostile = tcase_create("hostile peer");

	tcase_set_timeout(threads, 60);
	tcase_add_loop_test(threads, two_threads_exchange_messages_of_every_size, 0,
			    combination_count());
	tcase_add_loop_test(threads, the_two_sides_of_a_socket_exchange_long_messages_both_ways, 0,
			    3);
	suite_add_tcase(s, threads);

	tcase_add_checked_fixture(one, set_up, tear_down);
	tcase_set_timeout(one, 30);
	tcase_add_test(one, one_thread_sends_and_receives_both_ways_at_once);
	tcase_add_test(one, a_message_is_counted_once);
	tcase_add_test(one, a_fragment_is_at_most_a_quarter_of_the_ring);
	tcase_add_test(one, a_fragment_stays_within_the_caches);
	tcase_add_test(one, a_part_is_no_more_than_a_lap_however_fast_the_peer_is);
	tcase_add_test(one, a_receivers_deadline_keeps_what_has_come);
	tcase_add_test(one, a_buffer_too_small_leaves_a_long_message);
	tcase_add_test(one, a_long_message_cannot_be_shown_in_place_and_stays);
	tcase_add_loop_test(one, what_cannot_be_taken_is_told_at_once_when_some_of_it_is_kept, 0,
			    3);
	tcase_add_loop_test(one, a_long_message_that_is_not_wanted_is_released_and_never_seen_again,
			    0, 24);
	tcase_add_loop_test(one, a_message_that_was_refused_and_then_taken_is_not_released_again, 0,
			    4);
	tcase_add_test(one, a_record_that_is_too_long_for_the_buffer_can_be_released);
	tcase_add_loop_test(one, a_deadline_is_spent_once, 0, 4);
	tcase_add_loop_test(one, a_deadline_that_was_not_used_up_is_no_later_calls, 0, 2);
	tcase_add_test(one, what_is_too_long_is_refused_before_a_byte_is_visible);
	tcase_add_test(one, without_time_a_long_message_is_not_begun);
	tcase_add_test(one, a_batch_goes_out_before_a_long_message);
	suite_add_tcase(s, one);

	tcase_add_checked_fixture(half, set_up, tear_down);
	tcase_set_timeout(half, 30);
	tcase_add_loop_test(half, a_senders_deadline_drops_the_part_and_nothing_else, 0, 2 * NEXTS);
	tcase_add_loop_test(half, an_abort_gives_up_the_part, 0, 2 * NEXTS);
	tcase_add_loop_test(half, the_peer_is_told_of_what_was_given_up_as_soon_as_there_is_room, 0,
			    3);
	tcase_add_loop_test(half, closing_half_way_tears_no_message, 0, 8);
	tcase_add_test(half, a_sender_in_the_midst_of_a_message_is_told_that_the_peer_closes);
	tcase_add_test(half, a_childs_copy_is_dead_in_the_midst_of_a_message);
	suite_add_tcase(s, half);

	tcase_add_checked_fixture(memory, set_up, tear_down);
	tcase_add_test(memory, memory_is_used_for_parts_only_and_given_back);
	tcase_add_test(memory, a_part_that_the_peer_left_is_given_back);
	tcase_add_test(memory, memory_of_large_pages_is_given_back_whole);
	tcase_add_test(memory, address_space_for_parts_is_not_locked);
	tcase_add_test(memory, no_memory_for_a_part_is_an_error_and_loses_nothing);
	tcase_add_test(memory, gigabytes_are_address_space_and_no_more);
	tcase_add_test(memory, by_default_a_client_takes_64_mib_and_others_what_fits_a_record);
	suite_add_tcase(s, memory);

	tcase_add_checked_fixture(hostile, set_up, tear_down);
	tcase_set_timeout(hostile, 30);
	tcase_add_loop_test(hostile, a_message_that_does_not_add_up_ends_the_link, 0, 2 * LIES);
	tcase_add_loop_test(hostile,
			    in_the_midst_of_a_message_in_place_verbs_believe_nothing_either, 0, 2);
	tcase_add_test(hostile, giving_up_what_was_never_begun_is_harmless);
	tcase_add_loop_test(hostile, a_ring_that_never_ends_keeps_nobody_beyond_the_deadline, 0, 3);
	tcase_add_test(hostile, a_length_is_believed_in_all_its_bits);
	tcase_add_test(hostile, a_ring_of_noise_neither_hangs_nor_crashes);
	tcase_add_test(hostile, closing_looks_at_no_more_records_than_it_can_tell_of);
	tcase_add_loop_test(hostile, a_side_that_has_not_agreed_to_fragments_takes_none, 0, 2);
	suite_add_tcase(s, hostile);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
