/*
 * SPDX-License-Identifier: MIT
 *
 * The ring's verbs through a pair in one thread: every length at every place, fills to the brim,
 * wrong arguments, and what is counted. Who sleeps and wakes is tested elsewhere.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "tests/unit/stage.h"

static struct peal_link *links[2];
static struct peal_tx *tx;
static struct peal_rx *rx;
static uint64_t capacity;
static uint8_t *buffer; /* as long as the ring */

static void set_up(void)
{
	capacity = stage_page();
	pair_open(links, PEAL_WAIT_ADAPTIVE, capacity);
	tx = peal_link_tx(links[0]);
	rx = peal_link_rx(links[1]);
	buffer = malloc(capacity);
	ck_assert_ptr_nonnull(buffer);
}

static void tear_down(void)
{
	free(buffer);
	pair_close(links);
}

/* libcheck's asserts also tell it where the test is, which is slow: not in the inner loops. */
static void expect(bool right, const char *what, uint64_t length, uint64_t n)
{
	if (!right)
		ck_abort_msg("%s: length %llu, cycle %llu: %s", what, (unsigned long long)length,
			     (unsigned long long)n, peal_error());
}

static void empty_ring_expected(void)
{
	struct peal_message message;

	ck_assert_int_eq(peal_peek(rx, &message, 0), -EAGAIN);
}

/*
 * Every length at every 8-aligned start. The cycle of each fill moves the ring by 8 bytes, so as
 * many cycles as the ring has words visit every start.
 */

enum fill { EMPTY, ONE_SHORT, EXACT, ONE_OVER };

static const char *const fill_names[] = { "empty", "one short", "exact", "one over" };

static uint8_t *texts; /* a payload, and half a ring more of it to begin within */
static uint8_t *starts_seen;
static const uint8_t *first_place;

static const uint8_t *text(uint64_t n)
{
	return texts + n % 509;
}

/* Sends a record of so many bytes with its header, or sees that it does not fit. */
static int put(uint64_t length, uint64_t n)
{
	void *at;
	int err = peal_reserve(tx, length, &at, 0);

	if (err)
		return err;
	starts_seen[((uint64_t)((uint8_t *)at - first_place)) / 8] = 1;
	memcpy(at, text(n), length);
	return peal_commit(tx, length, (uint32_t)n);
}

static bool take(uint64_t length, uint64_t n)
{
	struct peal_message message;

	if (peal_peek(rx, &message, 0) || message.length != length || message.tag != (uint32_t)n ||
	    memcmp(message.data, text(n), length) != 0)
		return false;
	peal_release(rx);
	return true;
}

/* Moves an empty ring on; what is in the records does not matter. */
static bool move_on(uint64_t bytes)
{
	struct peal_message message;
	void *at;

	while (bytes) {
		uint64_t some = bytes < capacity / 2 ? bytes : capacity / 2;

		if (peal_reserve(tx, some - 8, &at, 0) || peal_commit(tx, some - 8, 0) ||
		    peal_peek(rx, &message, 0))
			return false;
		peal_release(rx);
		bytes -= some;
	}
	return true;
}

static void cycle(enum fill fill, uint64_t length, uint64_t n)
{
	uint64_t record = peal_record_size(length), before = capacity - record - 8;
	const char *name = fill_names[fill];
	struct peal_message message;

	if (fill == EMPTY)
		before = 0;
	else if (fill == ONE_SHORT)
		before += 8;
	else if (fill == ONE_OVER && before)
		before -= 8;
	else if (fill == ONE_OVER)
		return; /* the longest message has no more room than all */

	if (before)
		expect(!put(before - 8, n + 1), name, length, n);
	if (fill == ONE_SHORT) {
		expect(put(length, n) == -EAGAIN, name, length, n);
		expect(take(before - 8, n + 1), name, length, n);
		before = 0;
	}
	expect(!put(length, n), name, length, n);
	if (fill == EXACT)
		expect(put(0, n) == -EAGAIN, name, length, n);
	if (fill == ONE_OVER)
		expect(put(1, n) == -EAGAIN && !put(0, n + 2), name, length, n);
	if (before)
		expect(take(before - 8, n + 1), name, length, n);
	expect(take(length, n), name, length, n);
	if (fill == ONE_OVER)
		expect(take(0, n + 2), name, length, n);
	expect(peal_peek(rx, &message, 0) == -EAGAIN, name, length, n);

	if (fill == EMPTY && record > 8)
		expect(move_on(capacity + 8 - record), name, length, n);
	else if (fill == ONE_SHORT)
		expect(move_on(8), name, length, n);
}

START_TEST(every_length_fits_at_every_start_or_is_refused)
	{
		enum fill fill = (enum fill)_i;
		uint64_t step = runner_burdened() ? 61 : 1, most = capacity - 16;
		void *at;

#ifndef __GLIBC__
		step = 61; /* others copy and compare slowly */
#endif
		/* All are too many for a larger page: it has more starts, and longer payloads. */
		if (capacity > 4096)
			step = capacity / 16 - 1;
		else if (runner_long())
			step = 1;
		texts = malloc(capacity + 512);
		starts_seen = malloc(capacity / 8 + 1);
		ck_assert(texts && starts_seen);
		payload_fill(texts, capacity + 512, 3);
		ck_assert_int_eq(peal_reserve(tx, 0, &at, 0), 0);
		first_place = at;

		for (uint64_t length = 0; length <= most;
		     length = length < most && length + step > most ? most : length + step) {
			memset(starts_seen, 0, capacity / 8 + 1);
			for (uint64_t n = 0; n < capacity / 8; n++)
				cycle(fill, length, n);
			if (fill == ONE_OVER && length + 8 > most)
				continue;
			if (memchr(starts_seen, 0, capacity / 8))
				ck_abort_msg("length %llu did not visit every start",
					     (unsigned long long)length);
		}
		free(texts);
		free(starts_seen);
	}
END_TEST

START_TEST(a_full_ring_refuses_and_loses_nothing)
	{
		uint32_t sent = 0;
		char byte;
		int err;

		while (!(err = peal_send(tx, "x", 1, sent, 0)))
			sent++;
		expect_error(err, -EAGAIN, "full", NULL);
		expect_error(peal_send(tx, "x", 1, sent, MS), -ETIMEDOUT, "full", NULL);
		ck_assert_uint_eq(sent, (capacity - 8) / 16);
		for (uint32_t i = 0; i < sent; i++) {
			struct peal_message about;

			ck_assert_int_eq(peal_recv(rx, &byte, 1, &about, 0), 1);
			ck_assert_uint_eq(about.tag, i);
		}
		empty_ring_expected();
	}
END_TEST

START_TEST(a_record_at_the_end_goes_on_at_the_beginning)
	{
		struct peal_message message;
		const uint8_t *data;
		void *first, *at;

		ck_assert_int_eq(peal_reserve(tx, 0, &first, 0), 0);
		ck_assert_int_eq(peal_reserve(tx, capacity - 48, &at, 0), 0);
		ck_assert_ptr_eq(at, first);
		ck_assert_int_eq(peal_commit(tx, capacity - 48, 0), 0);
		ck_assert_int_eq(peal_peek(rx, &message, 0), 0);
		data = message.data;
		peal_release(rx);

		/* 40 bytes are left: its header, 32 bytes of it, and the rest in the next lap. */
		payload_fill(buffer, 200, 5);
		ck_assert_int_eq(peal_send(tx, buffer, 200, 0, 0), 0);
		ck_assert_int_eq(peal_peek(rx, &message, 0), 0);
		ck_assert_uint_eq(message.length, 200);
		ck_assert(payload_matches(message.data, 200, 5));
		ck_assert_ptr_eq((const uint8_t *)message.data, data + capacity - 40 + 8 - 8);
		/* One place of memory, seen through both mappings, from both sides. */
		ck_assert_mem_eq(data - 8, (const uint8_t *)message.data + 32, 168);
		ck_assert_mem_eq((uint8_t *)first - 8, (const uint8_t *)message.data + 32, 168);
		peal_release(rx);
		empty_ring_expected();
	}
END_TEST

START_TEST(bytes_of_the_last_lap_are_no_messages)
	{
		uint64_t words[512 / 8];

		/* Whatever place is looked at next: it has held what looks like a header. */
		for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			words[i] = 9;
		for (uint64_t lap = 0; lap < 4; lap++) {
			while (!peal_send(tx, words, sizeof(words) - 8 * lap, 0, 0))
				;
			while (peal_recv(rx, buffer, capacity, NULL, 0) >= 0)
				;
		}
		for (uint64_t n = 0; n < capacity; n++) {
			ck_assert_int_eq(peal_send(tx, words, n % 33, 0, 0), 0);
			ck_assert_int_eq(peal_recv(rx, buffer, capacity, NULL, 0), (int)(n % 33));
			empty_ring_expected();
		}
	}
END_TEST

START_TEST(an_aborted_message_is_never_seen)
	{
		void *at, *again;

		ck_assert_int_eq(peal_reserve(tx, 100, &at, 0), 0);
		payload_fill(at, 100, 1);
		peal_abort(tx);
		empty_ring_expected();
		expect_error(peal_commit(tx, 100, 0), -EINVAL, "without a reservation", NULL);
		ck_assert_int_eq(peal_reserve(tx, 8, &again, 0), 0);
		ck_assert_ptr_eq(at, again);
		ck_assert_int_eq(peal_commit(tx, 8, 7), 0);
		ck_assert_int_eq(peal_recv(rx, buffer, capacity, NULL, 0), 8);
		empty_ring_expected();
		peal_abort(tx); /* nothing to abort */
	}
END_TEST

START_TEST(a_second_reservation_replaces_the_first)
	{
		void *first, *second;

		ck_assert_int_eq(peal_reserve(tx, 100, &first, 0), 0);
		ck_assert_int_eq(peal_reserve(tx, 50, &second, 0), 0);
		ck_assert_ptr_eq(first, second);
		expect_error(peal_commit(tx, 51, 0), -EINVAL, "51", "50", NULL);
		ck_assert_int_eq(peal_commit(tx, 50, 0), 0);
		expect_error(peal_commit(tx, 50, 0), -EINVAL, NULL);
		ck_assert_int_eq(peal_recv(rx, buffer, capacity, NULL, 0), 50);
		empty_ring_expected();
	}
END_TEST

START_TEST(committing_more_than_was_reserved_keeps_the_reservation)
	{
		void *at;

		ck_assert_int_eq(peal_reserve(tx, 10, &at, 0), 0);
		payload_fill(at, 10, 9);
		expect_error(peal_commit(tx, 11, 0), -EINVAL, "11", "10", NULL);
		expect_error(peal_commit(tx, SIZE_MAX, 0), -EINVAL, NULL);
		expect_error(peal_commit(tx, SIZE_MAX - 7, 0), -EINVAL, NULL);
		empty_ring_expected();
		ck_assert_int_eq(peal_commit(tx, 10, 0), 0);
		ck_assert_int_eq(peal_recv(rx, buffer, capacity, NULL, 0), 10);
		ck_assert(payload_matches(buffer, 10, 9));
	}
END_TEST

START_TEST(committing_less_than_was_reserved_sends_less)
	{
		void *at;

		for (size_t length = 0; length <= 64; length++) {
			ck_assert_int_eq(peal_reserve(tx, 64, &at, 0), 0);
			payload_fill(at, 64, (uint32_t)length);
			ck_assert_int_eq(peal_commit(tx, length, 0), 0);
			ck_assert_int_eq(peal_recv(rx, buffer, capacity, NULL, 0), (int)length);
			ck_assert(payload_matches(buffer, length, (uint32_t)length));
			empty_ring_expected();
		}
	}
END_TEST

START_TEST(a_commit_without_a_reservation_is_refused)
	{
		expect_error(peal_commit(tx, 0, 0), -EINVAL, "peal_reserve", NULL);
		expect_error(peal_commit(tx, SIZE_MAX, 0), -EINVAL, "peal_reserve", NULL);
		empty_ring_expected();
	}
END_TEST

START_TEST(a_message_of_length_0_is_a_message)
	{
		struct peal_message about;

		ck_assert_int_eq(peal_send(tx, NULL, 0, 42, 0), 0);
		ck_assert_int_eq(peal_send(tx, "", 0, 43, 0), 0);
		ck_assert_int_eq(peal_recv(rx, NULL, 0, &about, 0), 0);
		ck_assert_uint_eq(about.tag, 42);
		ck_assert_uint_eq(about.length, 0);
		ck_assert_int_eq(peal_recv(rx, buffer, capacity, &about, 0), 0);
		ck_assert_uint_eq(about.tag, 43);
		empty_ring_expected();
	}
END_TEST

START_TEST(the_longest_message_is_the_capacity_less_16)
	{
		size_t most = capacity - 16;
		char value[32], limit[32];
		uint8_t *longest = malloc(capacity);
		void *at = NULL;

		ck_assert_ptr_nonnull(longest);
		payload_fill(longest, capacity, 77);
		for (int lap = 0; lap < 3; lap++) {
			ck_assert_int_eq(peal_send(tx, longest, most, 1, 0), 0);
			ck_assert_int_eq(peal_recv(rx, buffer, capacity, NULL, 0), (int)most);
			ck_assert(payload_matches(buffer, most, 77));
		}
		snprintf(value, sizeof(value), "%zu", most + 1);
		snprintf(limit, sizeof(limit), "%zu", most);
		expect_error(peal_send(tx, longest, most + 1, 1, 0), -EMSGSIZE, value, limit, NULL);
		expect_error(peal_reserve(tx, most + 1, &at, PEAL_FOREVER), -EMSGSIZE, value, limit,
			     NULL);
		ck_assert_ptr_null(at);
		empty_ring_expected();
		ck_assert_int_eq(peal_send(tx, longest, most, 1, 0), 0);
		free(longest);
	}
END_TEST

START_TEST(absurd_lengths_are_too_long_and_nothing_else)
	{
		static const size_t lengths[] = { SIZE_MAX,     SIZE_MAX - 1,    SIZE_MAX - 7,
						  SIZE_MAX - 8, SIZE_MAX - 15,   SIZE_MAX - 16,
						  SIZE_MAX / 2, (size_t)1 << 32, (size_t)1 << 28,
						  0x0fffffff,   (size_t)1 << 63 };
		void *at;

		for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			expect_error(peal_reserve(tx, lengths[i], &at, PEAL_FOREVER), -EMSGSIZE,
				     NULL);
			expect_error(peal_send(tx, buffer, lengths[i], 0, 0), -EMSGSIZE, NULL);
		}
		empty_ring_expected();
		ck_assert_int_eq(peal_send(tx, buffer, 1, 0, 0), 0);
	}
END_TEST

START_TEST(pieces_arrive_as_one_message)
	{
		struct iovec pieces[1024];
		uint8_t whole[1024 * 3];
		struct peal_message about;

		payload_fill(whole, sizeof(whole), 4);
		for (int count = 0; count <= 1024; count = count < 4 ? count + 1 : count * 2) {
			size_t length = 0;

			for (int i = 0; i < count; i++) {
				pieces[i] = (struct iovec){ .iov_base = whole + length,
							    .iov_len = (size_t)(i % 4) };
				if (!pieces[i].iov_len)
					pieces[i].iov_base = NULL;
				length += pieces[i].iov_len;
			}
			ck_assert_int_eq(peal_sendv(tx, count ? pieces : NULL, count,
						    (uint32_t)count, 0),
					 0);
			ck_assert_int_eq(peal_recv(rx, buffer, capacity, &about, 0), (int)length);
			ck_assert_uint_eq(about.tag, (uint32_t)count);
			ck_assert_mem_eq(buffer, whole, length);
		}
		empty_ring_expected();
	}
END_TEST

START_TEST(pieces_that_cannot_be_sent_are_refused)
	{
		struct iovec pieces[3] = { { .iov_base = buffer, .iov_len = SIZE_MAX - 2 },
					   { .iov_base = buffer, .iov_len = 2 },
					   { .iov_base = buffer, .iov_len = 1 } };

		expect_error(peal_sendv(tx, pieces, -1, 0, 0), -EINVAL, "-1", "1024", NULL);
		expect_error(peal_sendv(tx, pieces, 1025, 0, 0), -EINVAL, "1025", "1024", NULL);
		expect_error(peal_sendv(tx, pieces, 3, 0, 0), -EINVAL, NULL);
		expect_error(peal_sendv(tx, pieces, 2, 0, 0), -EMSGSIZE, NULL);
		pieces[0].iov_len = capacity - 16;
		expect_error(peal_sendv(tx, pieces, 2, 0, 0), -EMSGSIZE, NULL);
		empty_ring_expected();
		pieces[0].iov_len = capacity - 18;
		memset(buffer, 0, capacity);
		ck_assert_int_eq(peal_sendv(tx, pieces, 2, 0, 0), 0);
		expect_error(peal_sendv(tx, pieces, 0, 0, 0), -EAGAIN, NULL);
	}
END_TEST

START_TEST(all_32_bits_of_a_tag_arrive)
	{
		struct peal_message about;

		for (unsigned bit = 0; bit < 32; bit++) {
			ck_assert_int_eq(peal_send(tx, "ab", 2, 1u << bit, 0), 0);
			ck_assert_int_eq(peal_send(tx, "ab", 2, ~(1u << bit), 0), 0);
			ck_assert_int_eq(peal_recv(rx, buffer, 2, &about, 0), 2);
			ck_assert_uint_eq(about.tag, 1u << bit);
			ck_assert_uint_eq(about.flags, 0);
			ck_assert_int_eq(peal_recv(rx, buffer, 2, &about, 0), 2);
			ck_assert_uint_eq(about.tag, ~(1u << bit));
			ck_assert_uint_eq(about.flags, 0);
		}
	}
END_TEST

START_TEST(peeking_twice_shows_the_same_message)
	{
		struct peal_message first, second;

		ck_assert_int_eq(peal_send(tx, "one", 3, 1, 0), 0);
		ck_assert_int_eq(peal_send(tx, "second", 6, 2, 0), 0);
		ck_assert_int_eq(peal_peek(rx, &first, 0), 0);
		ck_assert_int_eq(peal_peek(rx, &second, PEAL_FOREVER), 0);
		ck_assert_ptr_eq(first.data, second.data);
		ck_assert_uint_eq(second.length, 3);
		ck_assert_uint_eq(second.tag, 1);
		ck_assert_int_eq(peal_recv(rx, buffer, capacity, &second, 0), 3);
		ck_assert_ptr_eq(second.data, buffer);
		ck_assert_int_eq(peal_recv(rx, buffer, capacity, &second, 0), 6);
		empty_ring_expected();
	}
END_TEST

START_TEST(releasing_what_was_not_peeked_does_nothing)
	{
		struct peal_message message;

		peal_release(rx);
		ck_assert_int_eq(peal_send(tx, "one", 3, 1, 0), 0);
		ck_assert_int_eq(peal_send(tx, "two", 3, 2, 0), 0);
		peal_release(rx);
		ck_assert_int_eq(peal_peek(rx, &message, 0), 0);
		ck_assert_uint_eq(message.tag, 1);
		peal_release(rx);
		peal_release(rx);
		ck_assert_int_eq(peal_peek(rx, &message, 0), 0);
		ck_assert_uint_eq(message.tag, 2);
	}
END_TEST

START_TEST(a_buffer_too_small_leaves_the_message)
	{
		struct peal_message about;

		payload_fill(buffer, 100, 6);
		ck_assert_int_eq(peal_send(tx, buffer, 100, 9, 0), 0);
		memset(buffer, 0, 100);
		for (int i = 0; i < 2; i++) {
			memset(&about, 0, sizeof(about));
			expect_error(peal_recv(rx, buffer, 99, &about, 0), -ENOBUFS, "100", "99",
				     NULL);
			ck_assert_uint_eq(about.length, 100);
			ck_assert_uint_eq(about.tag, 9);
			ck_assert_uint_eq(buffer[0], 0);
			expect_error(peal_recv(rx, NULL, 0, NULL, 0), -ENOBUFS, "100", NULL);
		}
		ck_assert_int_eq(peal_recv(rx, buffer, 100, &about, 0), 100);
		ck_assert(payload_matches(buffer, 100, 6));
		empty_ring_expected();
	}
END_TEST

START_TEST(an_empty_ring_says_so_at_once_or_in_time)
	{
		struct peal_message message;

		expect_error(peal_peek(rx, &message, 0), -EAGAIN, "empty", NULL);
		expect_error(peal_recv(rx, buffer, capacity, NULL, 0), -EAGAIN, "empty", NULL);
		expect_error(peal_recv(rx, buffer, capacity, NULL, 1), -ETIMEDOUT, NULL);
		expect_error(peal_recv(rx, buffer, capacity, NULL, MS), -ETIMEDOUT, NULL);
	}
END_TEST

START_TEST(a_side_that_accepts_less_is_sent_less)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct peal_link *pair[2];

		options.max_message = 100;
		ck_assert_int_eq(peal_pair(pair, &options), 0);
		expect_error(peal_send(peal_link_tx(pair[0]), buffer, 101, 0, 0), -EMSGSIZE, "101",
			     "100", NULL);
		ck_assert_int_eq(peal_send(peal_link_tx(pair[0]), buffer, 100, 0, 0), 0);
		ck_assert_int_eq(peal_recv(peal_link_rx(pair[1]), buffer, 100, NULL, 0), 100);
		pair_close(pair);

		/* By default it is as much as fits the ring. */
		options.max_message = 0;
		ck_assert_int_eq(peal_pair(pair, &options), 0);
		expect_error(peal_send(peal_link_tx(pair[0]), buffer, capacity - 15, 0, 0),
			     -EMSGSIZE, NULL);
		ck_assert_int_eq(peal_send(peal_link_tx(pair[0]), buffer, capacity - 16, 0, 0), 0);
		pair_close(pair);
	}
END_TEST

START_TEST(each_side_keeps_its_own_limit_on_messages)
	{
		struct peal_options server = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct peal_options client = stage_options(PEAL_WAIT_ADAPTIVE, 4 * stage_page());
		struct meeting meeting;

		server.max_message = 1000;
		client.max_message = 200;
		meeting_open(&meeting, &server, &client);
		expect_error(peal_send(peal_link_tx(meeting.client), buffer, 1001, 0, 0), -EMSGSIZE,
			     "1001", "1000", NULL);
		ck_assert_int_eq(peal_send(peal_link_tx(meeting.client), buffer, 1000, 0, 0), 0);
		expect_error(peal_send(peal_link_tx(meeting.server), buffer, 201, 0, 0), -EMSGSIZE,
			     "201", "200", NULL);
		ck_assert_int_eq(peal_send(peal_link_tx(meeting.server), buffer, 200, 0, 0), 0);
		ck_assert_int_eq(peal_recv(peal_link_rx(meeting.server), buffer, capacity, NULL,
					   LONG),
				 1000);
		ck_assert_int_eq(
			peal_recv(peal_link_rx(meeting.client), buffer, capacity, NULL, LONG), 200);
		meeting_close(&meeting);
	}
END_TEST

/*
 * Ends.
 */

START_TEST(what_was_sent_before_a_close_is_read_to_the_end)
	{
		for (uint32_t i = 0; i < 5; i++)
			ck_assert_int_eq(peal_send(tx, "abc", 3, i, 0), 0);
		peal_close(links[0]);
		links[0] = NULL;
		for (uint32_t i = 0; i < 5; i++) {
			struct peal_message about;

			ck_assert_int_eq(peal_recv(rx, buffer, capacity, &about, PEAL_FOREVER), 3);
			ck_assert_uint_eq(about.tag, i);
		}
		for (int i = 0; i < 3; i++) {
			expect_error(peal_recv(rx, buffer, capacity, NULL, PEAL_FOREVER), -EPIPE,
				     "closed", NULL);
			expect_error(peal_recv(rx, buffer, capacity, NULL, 0), -EPIPE, "closed",
				     NULL);
		}
	}
END_TEST

START_TEST(who_sends_to_a_closed_link_is_told_what_stayed_unread)
	{
		struct peal_stats stats = { .size = sizeof(stats) };
		int err = 0;

		for (uint32_t i = 0; i < 5; i++)
			ck_assert_int_eq(peal_send(tx, "abc", 3, i, 0), 0);
		ck_assert_int_eq(peal_recv(rx, buffer, capacity, NULL, 0), 3);
		peal_close(links[1]);
		links[1] = NULL;
		/* The first that is on its way may be lost like those before it. */
		for (int i = 0; i < 2 && !err; i++)
			err = peal_send(tx, "abc", 3, 0, PEAL_FOREVER);
		expect_error(err, -EPIPE, "4", NULL);
		expect_error(peal_send(tx, "abc", 3, 0, 0), -EPIPE, "4", NULL);
		expect_error(peal_recv(peal_link_rx(links[0]), buffer, capacity, NULL, 0), -EPIPE,
			     NULL);
		ck_assert_int_eq(peal_link_stats(links[0], &stats), 0);
		ck_assert_uint_eq(stats.closed, 1);
		ck_assert_uint_eq(stats.peer_unread, 4);
	}
END_TEST

START_TEST(closing_nothing_is_allowed)
	{
		peal_close(NULL);
		peal_listener_close(NULL);
	}
END_TEST

static void *own_error(void *data)
{
	(void)data;
	return *peal_error() ? (void *)(uintptr_t)peal_error() : NULL;
}

START_TEST(errors_are_each_threads_own)
	{
		pthread_t thread;
		void *said;

		expect_error(peal_commit(tx, 0, 0), -EINVAL, "reserve", NULL);
		ck_assert_int_eq(pthread_create(&thread, NULL, own_error, NULL), 0);
		pthread_join(thread, &said);
		ck_assert_ptr_null(said);
		ck_assert_int_eq(peal_send(tx, "a", 1, 0, 0), 0);
		/* A success does not clear it. */
		ck_assert_ptr_nonnull(strstr(peal_error(), "reserve"));
	}
END_TEST

/*
 * Counters.
 */

START_TEST(messages_and_bytes_are_counted_where_they_pass)
	{
		struct peal_stats sender, receiver;
		uint64_t bytes = 0;
		void *at;

		for (size_t i = 0; i < 30; i++) {
			ck_assert_int_eq(peal_send(tx, buffer, i, 0, 0), 0);
			bytes += i;
		}
		ck_assert_int_eq(peal_reserve(tx, 10, &at, 0), 0);
		peal_abort(tx);
		for (int i = 0; i < 20; i++)
			ck_assert_int_eq(peal_recv(rx, buffer, capacity, NULL, 0), i);
		ck_assert_int_eq(peal_recv(rx, buffer, 1, NULL, 0), -ENOBUFS);

		sender = stats_of(links[0]);
		receiver = stats_of(links[1]);
		ck_assert_uint_eq(sender.tx.messages, 30);
		ck_assert_uint_eq(sender.tx.bytes, bytes);
		ck_assert_uint_eq(sender.rx.messages, 0);
		ck_assert_uint_eq(receiver.rx.messages, 20);
		ck_assert_uint_eq(receiver.rx.bytes, 190);
		ck_assert_uint_eq(receiver.tx.messages, 0);
		ck_assert_uint_eq(sender.tx.rung, 0);
		ck_assert_uint_eq(sender.tx_spared, 30);
		ck_assert_uint_eq(receiver.rx_spared, 20);
		ck_assert_uint_eq(sender.tx.waits + sender.tx.sleeps + receiver.rx.waits, 0);
		ck_assert_uint_eq(sender.closed, 0);
		ck_assert_uint_eq(sender.size, sizeof(sender));
	}
END_TEST

START_TEST(full_and_empty_rings_are_counted_as_waits)
	{
		while (!peal_send(tx, buffer, 100, 0, 0))
			;
		ck_assert_uint_eq(stats_of(links[0]).tx.waits, 1);
		ck_assert_int_eq(peal_send(tx, buffer, 100, 0, MS), -ETIMEDOUT);
		ck_assert_int_eq(peal_send(tx, buffer, 100, 0, MS), -ETIMEDOUT);
		ck_assert_uint_eq(stats_of(links[0]).tx.waits, 3);
		/* An empty one is no matter to somebody who only looks. */
		ck_assert_int_eq(peal_recv(peal_link_rx(links[0]), buffer, capacity, NULL, 0),
				 -EAGAIN);
		ck_assert_uint_eq(stats_of(links[0]).rx.waits, 0);
		ck_assert_int_eq(peal_recv(peal_link_rx(links[0]), buffer, capacity, NULL, MS),
				 -ETIMEDOUT);
		ck_assert_uint_eq(stats_of(links[0]).rx.waits, 1);
		ck_assert_uint_eq(stats_of(links[0]).tx.stalled_since, 0);
	}
END_TEST

static void *receive_one(void *data)
{
	struct peal_link *link = data;
	char byte;

	return (void *)(intptr_t)peal_recv(peal_link_rx(link), &byte, 1, NULL, LONG);
}

START_TEST(a_sleeper_is_rung_once_and_the_ring_is_counted)
	{
		struct peal_link *pair[2];
		struct peal_stats sender, receiver;
		pthread_t thread;
		void *result;

		pair_open(pair, PEAL_WAIT_SLEEP, 0);
		ck_assert_int_eq(pthread_create(&thread, NULL, receive_one, pair[1]), 0);
		while (!stats_of(pair[1]).rx.sleeps)
			sched_yield();
		ck_assert_uint_ne(stats_of(pair[1]).rx.stalled_since, 0);
		ck_assert_int_eq(peal_send(peal_link_tx(pair[0]), "a", 1, 0, 0), 0);
		pthread_join(thread, &result);
		ck_assert_int_eq((int)(intptr_t)result, 1);
		for (int i = 0; i < 4; i++)
			ck_assert_int_eq(peal_send(peal_link_tx(pair[0]), "a", 1, 0, 0), 0);
		sender = stats_of(pair[0]);
		receiver = stats_of(pair[1]);
		/* It may have woken for a slice just then, and been awake when the message came. */
		ck_assert_uint_le(sender.tx.rung, 1);
		ck_assert_uint_eq(sender.tx_spared, 5 - sender.tx.rung);
		ck_assert_uint_ge(receiver.rx.sleeps, 1);
		ck_assert_uint_eq(receiver.rx.waits, 1);
		ck_assert_uint_eq(receiver.rx.stalled_since, 0);
		pair_close(pair);
	}
END_TEST

START_TEST(stats_of_another_size_are_cut_or_refused)
	{
		struct {
			struct peal_stats stats;
			uint8_t guard[16];
		} room;
		struct peal_stats *stats = &room.stats;
		char size[32];

		snprintf(size, sizeof(size), "%zu", sizeof(*stats));
		memset(&room, 0xa5, sizeof(room));
		stats->size = 0;
		expect_error(peal_link_stats(links[0], stats), -EINVAL, "0", size, NULL);
		stats->size = sizeof(*stats) + 8;
		expect_error(peal_link_stats(links[0], stats), -EINVAL, size, NULL);
		stats->size = offsetof(struct peal_stats, rx);
		ck_assert_int_eq(peal_link_stats(links[0], stats), 0);
		ck_assert_uint_eq(stats->size, offsetof(struct peal_stats, rx));
		ck_assert_uint_eq(stats->tx.messages, 0);
		ck_assert_uint_eq(stats->rx.messages, 0xa5a5a5a5a5a5a5a5u);
		stats->size = sizeof(*stats);
		ck_assert_int_eq(peal_link_stats(links[0], stats), 0);
		ck_assert_uint_eq(room.guard[0], 0xa5);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ring");
	TCase *every = tcase_create("every length"), *verbs = tcase_create("verbs");
	TCase *ends = tcase_create("ends"), *counters = tcase_create("counters");

	tcase_add_checked_fixture(every, set_up, tear_down);
	tcase_set_timeout(every, runner_long() ? 600 : 30);
	tcase_add_loop_test(every, every_length_fits_at_every_start_or_is_refused, EMPTY,
			    ONE_OVER + 1);
	suite_add_tcase(s, every);

	tcase_add_checked_fixture(verbs, set_up, tear_down);
	tcase_add_test(verbs, a_full_ring_refuses_and_loses_nothing);
	tcase_add_test(verbs, a_record_at_the_end_goes_on_at_the_beginning);
	tcase_add_test(verbs, bytes_of_the_last_lap_are_no_messages);
	tcase_add_test(verbs, an_aborted_message_is_never_seen);
	tcase_add_test(verbs, a_second_reservation_replaces_the_first);
	tcase_add_test(verbs, committing_more_than_was_reserved_keeps_the_reservation);
	tcase_add_test(verbs, committing_less_than_was_reserved_sends_less);
	tcase_add_test(verbs, a_commit_without_a_reservation_is_refused);
	tcase_add_test(verbs, a_message_of_length_0_is_a_message);
	tcase_add_test(verbs, the_longest_message_is_the_capacity_less_16);
	tcase_add_test(verbs, absurd_lengths_are_too_long_and_nothing_else);
	tcase_add_test(verbs, pieces_arrive_as_one_message);
	tcase_add_test(verbs, pieces_that_cannot_be_sent_are_refused);
	tcase_add_test(verbs, all_32_bits_of_a_tag_arrive);
	tcase_add_test(verbs, peeking_twice_shows_the_same_message);
	tcase_add_test(verbs, releasing_what_was_not_peeked_does_nothing);
	tcase_add_test(verbs, a_buffer_too_small_leaves_the_message);
	tcase_add_test(verbs, an_empty_ring_says_so_at_once_or_in_time);
	tcase_add_test(verbs, a_side_that_accepts_less_is_sent_less);
	tcase_add_test(verbs, each_side_keeps_its_own_limit_on_messages);
	tcase_add_test(verbs, errors_are_each_threads_own);
	suite_add_tcase(s, verbs);

	tcase_add_checked_fixture(ends, set_up, tear_down);
	tcase_add_test(ends, what_was_sent_before_a_close_is_read_to_the_end);
	tcase_add_test(ends, who_sends_to_a_closed_link_is_told_what_stayed_unread);
	tcase_add_test(ends, closing_nothing_is_allowed);
	suite_add_tcase(s, ends);

	tcase_add_checked_fixture(counters, set_up, tear_down);
	tcase_add_test(counters, messages_and_bytes_are_counted_where_they_pass);
	tcase_add_test(counters, full_and_empty_rings_are_counted_as_waits);
	tcase_add_test(counters, a_sleeper_is_rung_once_and_the_ring_is_counted);
	tcase_add_test(counters, stats_of_another_size_are_cut_or_refused);
	suite_add_tcase(s, counters);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
