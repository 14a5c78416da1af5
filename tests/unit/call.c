/*
 * SPDX-License-Identifier: MIT
 *
 * Calls: last replies, errors and cancels, and a call as one verb; between a client and a server,
 * between the ends of a pair, and with a peer that lies. White-box: the test writes records of its
 * own into the peer's ring.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/link.h"
#include "tests/unit/stage.h"

#define MOST ((size_t)1 << 20)

/* links[0] calls, links[1] answers; or lies. */
static struct peal_link *links[2];
static struct peal_tx *tx; /* of the one that answers */
static struct peal_rx *rx; /* of the one that calls */
static uint64_t capacity;
static uint8_t *text, *buffer;

static void open_with(uint32_t flags, uint64_t most)
{
	struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 0);

	options.flags = flags;
	options.max_message = most;
	ck_assert_int_eq(peal_pair(links, &options), 0);
	tx = peal_link_tx(links[1]);
	rx = peal_link_rx(links[0]);
}

static void open_again(uint32_t flags, uint64_t most)
{
	pair_close(links);
	open_with(flags, most);
}

static void set_up(void)
{
	capacity = stage_page();
	open_with(PEAL_CALLS, MOST);
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

static void expect_nothing(void)
{
	ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN);
}

static uint32_t agreed_calls(const struct peal_link *link)
{
	struct peal_agreed agreed = { .size = sizeof(agreed) };

	ck_assert_int_eq(peal_link_agreed(link, &agreed), 0);
	return agreed.flags & PEAL_AGREED_CALLS;
}

/*
 * Last replies.
 */

START_TEST(the_last_reply_is_marked_and_no_other)
	{
		struct peal_message message;
		void *at;

		ck_assert_int_eq(peal_send_last(tx, "ding", 4, 7, 0), 0);
		ck_assert_int_eq(peal_send(tx, "dong", 4, 8, 0), 0);
		ck_assert_int_eq(peal_reserve(tx, 9, &at, 0), 0);
		memcpy(at, "ding dong", 9);
		ck_assert_int_eq(peal_commit_last(tx, 9, 9), 0);
		ck_assert_int_eq(peal_send_last(tx, NULL, 0, 10, 0), 0);
		for (uint32_t i = 7; i < 11; i++) {
			static const char *const right[] = { "ding", "dong", "ding dong", "" };

			ck_assert_int_eq(peal_peek(rx, &message, 0), 0);
			ck_assert_uint_eq(message.flags, i == 8 ? 0 : PEAL_HEADER_LAST);
			memset(&message, 0xff, sizeof(message));
			ck_assert_int_eq(peal_recv(rx, buffer, MOST, &message, 0),
					 (ssize_t)strlen(right[i - 7]));
			ck_assert_uint_eq(message.tag, i);
			ck_assert_uint_eq(message.flags, i == 8 ? 0 : PEAL_HEADER_LAST);
			ck_assert_mem_eq(buffer, right[i - 7], strlen(right[i - 7]));
		}
		expect_nothing();
		ck_assert_int_eq(peal_commit_last(tx, 0, 0), -EINVAL);
		ck_assert_int_eq(peal_reserve(tx, 9, &at, 0), 0);
		ck_assert_int_eq(peal_commit_last(tx, 10, 0), -EINVAL);
		expect_nothing();
	}
END_TEST

static int look_at(void *data, const struct peal_message *message)
{
	struct peal_message **next = data;

	*(*next)++ = *message;
	return 0;
}

/* All of a mixed batch, in order, whatever takes it out. */
START_TEST(what_is_pending_goes_out_before)
	{
		static const uint32_t flags[] = { 0, PEAL_HEADER_LAST,    0, PEAL_HEADER_CONTROL,
						  0, PEAL_HEADER_CONTROL, 0, PEAL_HEADER_LAST };
		struct peal_message messages[8], *next = messages;
		int n = 0;
		void *at;

		ck_assert_int_eq(peal_send_more(tx, "a", 1, 0, 0), 0);
		ck_assert_int_eq(peal_send_last(tx, "b", 1, 1, 0), 0);
		ck_assert_int_eq(peal_send_more(tx, "c", 1, 2, 0), 0);
		ck_assert_int_eq(peal_send_error(tx, 3, -EIO, "d", 0), 0);
		ck_assert_int_eq(peal_send_more(tx, "e", 1, 4, 0), 0);
		ck_assert_int_eq(peal_send_cancel(tx, 5, 0), 0);
		ck_assert_int_eq(peal_send_more(tx, "g", 1, 6, 0), 0);
		ck_assert_int_eq(peal_reserve(tx, 1, &at, 0), 0);
		*(char *)at = 'h';
		ck_assert_int_eq(peal_commit_last(tx, 1, 7), 0);
		while (n < 8) {
			int got = _i ? peal_recv_batch(rx, buffer + 64 * n, 64, messages + n, 8 - n,
						       0) :
				       peal_drain(rx, look_at, &next, 0, 0);

			ck_assert_msg(got > 0, "%d: %s", got, peal_error());
			n += got;
		}
		for (uint32_t i = 0; i < 8; i++) {
			ck_assert_uint_eq(messages[i].tag, i);
			ck_assert_uint_eq(messages[i].flags, flags[i]);
			ck_assert_uint_eq(messages[i].length, i == 3 ? 9 : i == 5 ? 8 : 1);
			if (flags[i] != PEAL_HEADER_CONTROL && _i)
				ck_assert_int_eq(*(const char *)messages[i].data, 'a' + (int)i);
		}
		expect_nothing();
		ck_assert_uint_eq(stats_of(links[0]).rx.messages, 8);
		ck_assert_uint_eq(stats_of(links[1]).tx.messages, 8);
		ck_assert_uint_eq(stats_of(links[0]).rx.bytes, stats_of(links[1]).tx.bytes);
	}
END_TEST

static void *receive(void *data)
{
	ck_assert_int_eq(peal_recv(rx, buffer, MOST, data, LONG), (ssize_t)MOST);
	return NULL;
}

START_TEST(of_a_long_reply_the_last_fragment_is_marked)
	{
		struct peal_message message = { .flags = 1234 };
		pthread_t thread;

		ck_assert_int_eq(pthread_create(&thread, NULL, receive, &message), 0);
		if (_i)
			ck_assert_int_eq(peal_send_last(tx, text, MOST, 5, LONG), 0);
		else
			ck_assert_int_eq(peal_send(tx, text, MOST, 5, LONG), 0);
		pthread_join(thread, NULL);
		ck_assert_uint_eq(message.flags, _i ? PEAL_HEADER_LAST : 0);
		ck_assert_uint_eq(message.tag, 5);
		ck_assert_mem_eq(buffer, text, MOST);
	}
END_TEST

START_TEST(a_last_reply_has_the_limits_of_a_message)
	{
		expect_error(peal_send_last(tx, text, MOST + 1, 0, LONG), -EMSGSIZE, "1048577",
			     NULL);
		expect_error(peal_send_last(tx, text, capacity, 0, 0), -EMSGSIZE, "timeout of 0",
			     NULL);
		while (!peal_send_last(tx, text, 0, 0, 0))
			;
		ck_assert_int_eq(peal_send_last(tx, text, 100, 0, 0), -EAGAIN);
		ck_assert_int_eq(peal_send_last(tx, text, 100, 0, 1000), -ETIMEDOUT);
		ck_assert_int_eq(peal_send_error(tx, 0, -EIO, "no room", 0), -EAGAIN);
		ck_assert_int_eq(peal_send_cancel(tx, 0, 1000), -ETIMEDOUT);
		peal_close(links[0]);
		links[0] = NULL;
		expect_error(peal_send_last(tx, text, 100, 0, LONG), -EPIPE, NULL);
		expect_error(peal_send_error(tx, 0, -EIO, NULL, LONG), -EPIPE, NULL);
		expect_error(peal_send_cancel(tx, 0, LONG), -EPIPE, NULL);
	}
END_TEST

/*
 * Errors and cancels.
 */

static struct peal_control control_of(const struct peal_message *message)
{
	struct peal_control control;

	memset(&control, 0xff, sizeof(control));
	ck_assert_msg(!peal_control_read(message, &control), "%s", peal_error());
	return control;
}

START_TEST(errors_and_cancels_are_told_as_they_were_sent)
	{
		struct peal_control control;
		struct peal_message message;
		char longest[PEAL_SENTENCE + 10];

		memset(longest, 'x', sizeof(longest));
		longest[sizeof(longest) - 1] = '\0';
		ck_assert_int_eq(peal_send_error(tx, 0xffffffff, -ENOENT, "no such bell", 0), 0);
		ck_assert_int_eq(peal_peek(rx, &message, 0), 0);
		ck_assert_uint_eq(message.flags, PEAL_HEADER_CONTROL);
		ck_assert_uint_eq(message.tag, 0xffffffff);
		control = control_of(&message);
		ck_assert_uint_eq(control.kind, PEAL_CONTROL_ERROR);
		ck_assert_int_eq(control.code, -ENOENT);
		ck_assert_str_eq(control.sentence, "no such bell");
		/* Without a release it stays. */
		ck_assert_int_eq(peal_recv(rx, buffer, 19, &message, 0), -ENOBUFS);
		ck_assert_uint_eq(message.length, 20);
		ck_assert_uint_eq(message.flags, PEAL_HEADER_CONTROL);
		ck_assert_int_eq(peal_recv(rx, buffer, 20, &message, 0), 20);
		ck_assert_ptr_eq(message.data, buffer);
		ck_assert_str_eq(control_of(&message).sentence, "no such bell");

		ck_assert_int_eq(peal_send_error(tx, 1, -4095, NULL, 0), 0);
		ck_assert_int_eq(peal_recv(rx, buffer, MOST, &message, 0), 8);
		control = control_of(&message);
		ck_assert_int_eq(control.code, -4095);
		ck_assert_str_eq(control.sentence, "");

		ck_assert_int_eq(peal_send_error(tx, 1, -1, longest, 0), 0);
		ck_assert_int_eq(peal_recv(rx, buffer, MOST, &message, 0), PEAL_CONTROL_LONGEST);
		ck_assert_uint_eq(strlen(control_of(&message).sentence), PEAL_SENTENCE - 1);

		ck_assert_int_eq(peal_send_cancel(tx, 2, 0), 0);
		ck_assert_int_eq(peal_peek(rx, &message, 0), 0);
		control = control_of(&message);
		ck_assert_uint_eq(control.kind, PEAL_CONTROL_CANCEL);
		ck_assert_int_eq(control.code, 0);
		ck_assert_str_eq(control.sentence, "");
		peal_release(rx);
		expect_nothing();
	}
END_TEST

START_TEST(what_is_no_negative_errno_is_not_sent)
	{
		static const int wrong[] = { 0, 1, EIO, INT32_MAX, INT32_MIN, -4096 };

		for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
			ck_assert_int_eq(peal_send_error(tx, 0, wrong[i], "x", 0), -EINVAL);
		expect_nothing();
	}
END_TEST

START_TEST(what_is_no_control_record_is_not_read_as_one)
	{
		struct peal_control control;
		struct peal_message message;

		ck_assert_int_eq(peal_send(tx, "\2\0\0\0\0\0\0\0", 8, 0, 0), 0);
		ck_assert_int_eq(peal_peek(rx, &message, 0), 0);
		ck_assert_int_eq(peal_control_read(&message, &control), -EINVAL);
		message.flags = PEAL_HEADER_CONTROL;
		ck_assert_int_eq(peal_control_read(&message, &control), 0);
		message.length = 7;
		ck_assert_int_eq(peal_control_read(&message, &control), -EPROTO);
	}
END_TEST

/* What a record may hold does not matter to them. */
START_TEST(the_longest_message_does_not_limit_control_records)
	{
		struct peal_message message;
		char longest[PEAL_SENTENCE];

		memset(longest, 'x', sizeof(longest) - 1);
		longest[sizeof(longest) - 1] = '\0';
		open_again(PEAL_CALLS, 4);
		ck_assert_int_eq(peal_send_error(tx, 1, -EIO, longest, 0), 0);
		ck_assert_int_eq(peal_send_cancel(tx, 2, 0), 0);
		ck_assert_int_eq(peal_recv(rx, buffer, MOST, &message, 0), PEAL_CONTROL_LONGEST);
		ck_assert_str_eq(control_of(&message).sentence, longest);
		ck_assert_int_eq(peal_recv(rx, buffer, MOST, &message, 0), 8);
		expect_error(peal_send_last(tx, "12345", 5, 0, 0), -EMSGSIZE, NULL);
	}
END_TEST

START_TEST(what_was_left_unread_counts_errors_and_cancels)
	{
		/* One message is given up half-way: that is none. */
		expect_error(peal_send_last(tx, text, MOST, 1, MS), -ETIMEDOUT, NULL);
		expect_nothing();
		ck_assert_int_eq(peal_send_error(tx, 1, -EIO, "late", 0), 0);
		ck_assert_int_eq(peal_send_cancel(tx, 2, 0), 0);
		ck_assert_int_eq(peal_send_last(tx, "x", 1, 3, 0), 0);
		peal_close(links[0]);
		links[0] = NULL;
		ck_assert_uint_eq(stats_of(links[1]).peer_unread, 3);
	}
END_TEST

START_TEST(while_a_message_is_half_sent_nothing_else_is)
	{
		struct peal_sending sending = { .data = text, .length = MOST, .tag = 1 };
		struct peal_message message;

		ck_assert_int_eq(peal_send_part(tx, &sending, 0), -EAGAIN);
		ck_assert_int_eq(peal_send_error(tx, 1, -EIO, "x", 0), -EBUSY);
		ck_assert_int_eq(peal_send_cancel(tx, 1, 0), -EBUSY);
		ck_assert_int_eq(peal_send_last(tx, "x", 1, 1, 0), -EBUSY);
		expect_nothing();
		peal_abort(tx);
		ck_assert_int_eq(peal_send_error(tx, 1, -EIO, "x", 0), 0);
		/* The receiver is in the midst of it, and out again. */
		ck_assert_int_eq(peal_recv(rx, buffer, MOST, &message, 0), 9);
		ck_assert_int_eq(control_of(&message).code, -EIO);
		expect_nothing();
	}
END_TEST

START_TEST(only_who_knows_of_calls_is_sent_errors_and_cancels)
	{
		struct peal_options plain = stage_options(PEAL_WAIT_ADAPTIVE, 0), calls = plain;
		struct peal_message message;
		struct meeting met;
		struct peal_tx *s, *c;

		calls.flags = PEAL_CALLS;
		for (int i = 0; i < 4; i++) {
			meeting_open(&met, i & 1 ? &calls : &plain, i & 2 ? &calls : &plain);
			s = peal_link_tx(met.server);
			c = peal_link_tx(met.client);
			ck_assert_uint_eq(agreed_calls(met.client), i & 1 ? PEAL_AGREED_CALLS : 0);
			ck_assert_uint_eq(agreed_calls(met.server), i & 2 ? PEAL_AGREED_CALLS : 0);
			if (i & 1) {
				ck_assert_int_eq(peal_send_cancel(c, 3, 0), 0);
				ck_assert_int_eq(peal_recv(peal_link_rx(met.server), buffer, MOST,
							   &message, LONG),
						 8);
				ck_assert_uint_eq(message.flags, PEAL_HEADER_CONTROL);
			} else {
				expect_error(peal_send_cancel(c, 3, 0), -EOPNOTSUPP, "PEAL_CALLS",
					     NULL);
			}
			if (i & 2) {
				ck_assert_int_eq(peal_send_error(s, 3, -EIO, "x", 0), 0);
				ck_assert_int_eq(peal_recv(peal_link_rx(met.client), buffer, MOST,
							   &message, LONG),
						 9);
				ck_assert_uint_eq(message.flags, PEAL_HEADER_CONTROL);
			} else {
				expect_error(peal_send_error(s, 3, -EIO, "x", 0), -EOPNOTSUPP,
					     "PEAL_CALLS", NULL);
			}
			/* Last replies need no agreement. */
			ck_assert_int_eq(peal_send_last(s, "x", 1, 3, 0), 0);
			ck_assert_int_eq(peal_recv(peal_link_rx(met.client), buffer, MOST, &message,
						   LONG),
					 1);
			ck_assert_uint_eq(message.flags, PEAL_HEADER_LAST);
			meeting_close(&met);
		}
	}
END_TEST

/*
 * A call as one verb.
 */

/* Answers calls until the link ends, by what the first byte of the request says. */
static void *answer(void *data)
{
	struct peal_link *link = data;
	struct peal_tx *to = peal_link_tx(link);
	struct peal_rx *from = peal_link_rx(link);
	uint8_t *copy = malloc(MOST);
	struct peal_message m;
	uint32_t late = 0;
	ssize_t got;

	ck_assert_ptr_nonnull(copy);
	while ((got = peal_recv(from, copy, MOST, &m, LONG)) >= 0) {
		int err = 0;

		if (m.flags & PEAL_HEADER_CONTROL)
			continue;
		switch (got ? copy[0] : 'e') {
		case 'e': /* echo */
			err = peal_send_last(to, copy, (size_t)got, m.tag, LONG);
			break;
		case 'u': /* unmarked, and twice */
			err = peal_send(to, copy, (size_t)got, m.tag, LONG);
			err = err ? err : peal_send(to, "again", 5, m.tag, LONG);
			break;
		case 'l': /* long */
			err = peal_send_last(to, text, MOST, m.tag, LONG);
			break;
		case 'x': /* error */
			err = peal_send_error(to, m.tag, -EPIPE, "the clapper is loose", LONG);
			break;
		case 'y': /* error without a sentence */
			err = peal_send_error(to, m.tag, -77, NULL, LONG);
			break;
		case 'c': /* a cancel that makes no sense, then a reply */
			err = peal_send_cancel(to, m.tag, LONG);
			err = err ? err : peal_send_last(to, "c", 1, m.tag, LONG);
			break;
		case 's': /* silence, to be answered late */
			late = m.tag;
			break;
		case 'a': /* first what comes late: a reply, a long one, an error */
			err = peal_send_last(to, "late", 4, late, LONG);
			err = err ? err : peal_send_last(to, text, MOST, late, LONG);
			err = err ? err : peal_send_error(to, late, -EIO, "late", LONG);
			err = err ? err : peal_send_last(to, "now", 3, m.tag, LONG);
			break;
		}
		ck_assert_msg(!err || err == -EPIPE, "%d: %s", err, peal_error());
	}
	ck_assert_msg(got == -EPIPE, "%d: %s", (int)got, peal_error());
	free(copy);
	return NULL;
}

static pthread_t answering;

static void start_answering(void)
{
	ck_assert_int_eq(pthread_create(&answering, NULL, answer, links[1]), 0);
}

static void end_answering(void)
{
	peal_close(links[0]);
	links[0] = NULL;
	pthread_join(answering, NULL);
}

START_TEST(calls_are_answered)
	{
		struct peal_message about;

		start_answering();
		for (uint32_t i = 0; i < 200; i++) {
			size_t length = i * 37 % 3000;

			text[0] = 'e';
			ck_assert_int_eq(peal_call(links[0], text, length, buffer, MOST, &about,
						   LONG),
					 (ssize_t)length);
			ck_assert_mem_eq(buffer, text, length);
			ck_assert_uint_eq(about.flags, PEAL_HEADER_LAST);
			ck_assert_uint_eq(about.length, length);
			ck_assert_ptr_eq(about.data, buffer);
			ck_assert_int_eq(peal_call(links[0], "u", 1, buffer, 1, NULL, LONG), 1);
		}
		/* A long request, and a long reply. */
		ck_assert_int_eq(peal_call(links[0], text, MOST, buffer, MOST, &about, LONG),
				 (ssize_t)MOST);
		ck_assert_mem_eq(buffer, text, MOST);
		ck_assert_uint_eq(about.flags, PEAL_HEADER_LAST);
		ck_assert_int_eq(peal_call(links[0], "c", 1, buffer, 1, &about, LONG), 1);
		end_answering();
	}
END_TEST

START_TEST(an_error_is_returned_with_its_sentence)
	{
		struct peal_message about;

		start_answering();
		for (int i = 0; i < 2; i++) {
			/* It needs no room in the buffer. */
			expect_error(peal_call(links[0], "x", 1, buffer, 0, &about, LONG), -EPIPE,
				     "the clapper is loose", NULL);
			ck_assert_uint_eq(about.flags, PEAL_HEADER_CONTROL);
			expect_error(peal_call(links[0], "y", 1, NULL, 0, &about, LONG), -77, "77",
				     NULL);
			ck_assert_uint_eq(about.flags, PEAL_HEADER_CONTROL);
			ck_assert_int_eq(peal_call(links[0], "e", 1, buffer, 1, &about, LONG), 1);
		}
		end_answering();
	}
END_TEST

START_TEST(a_reply_that_does_not_fit_is_dropped_and_told_of)
	{
		struct peal_message about;

		start_answering();
		for (int i = 0; i < 2; i++) {
			expect_error(peal_call(links[0], "e23", 3, buffer, 2, &about, LONG),
				     -ENOBUFS, "3 bytes", NULL);
			ck_assert_uint_eq(about.length, 3);
			expect_error(peal_call(links[0], "l", 1, buffer, MOST - 1, &about, LONG),
				     -ENOBUFS, "1048576 bytes", NULL);
			ck_assert_uint_eq(about.length, MOST);
			ck_assert_int_eq(peal_call(links[0], "e", 1, buffer, 1, &about, LONG), 1);
			ck_assert_int_eq(buffer[0], 'e');
		}
		end_answering();
	}
END_TEST

START_TEST(a_late_reply_is_no_later_calls)
	{
		struct peal_message about;

		start_answering();
		for (int i = 0; i < 20; i++) {
			expect_error(peal_call(links[0], "s", 1, buffer, MOST, &about, i % 2 * MS),
				     i % 2 ? -ETIMEDOUT : -EAGAIN, "no reply", NULL);
			ck_assert_uint_eq(about.flags, 0);
			ck_assert_int_eq(peal_call(links[0], "a", 1, buffer, MOST, &about, LONG),
					 3);
			ck_assert_mem_eq(buffer, "now", 3);
		}
		end_answering();
	}
END_TEST

START_TEST(a_call_whose_time_is_up_is_cancelled)
	{
		struct peal_rx *from = peal_link_rx(links[1]);
		struct peal_message request, cancel;

		expect_error(peal_call(links[0], "ding", 4, buffer, MOST, NULL, _i ? 0 : MS),
			     _i ? -EAGAIN : -ETIMEDOUT, "no reply", NULL);
		ck_assert_int_eq(peal_recv(from, buffer, MOST, &request, 0), 4);
		ck_assert_int_eq(peal_recv(from, buffer, MOST, &cancel, 0), 8);
		ck_assert_uint_eq(control_of(&cancel).kind, PEAL_CONTROL_CANCEL);
		ck_assert_uint_eq(cancel.tag, request.tag);
		ck_assert_int_eq(peal_recv(from, buffer, MOST, NULL, 0), -EAGAIN);
		/* What was never sent is not cancelled. */
		open_again(PEAL_CALLS, MOST);
		while (!peal_send(peal_link_tx(links[0]), text, 100, 0, 0))
			;
		expect_error(peal_call(links[0], text, 100, buffer, MOST, NULL, 0), -EAGAIN, NULL);
		from = peal_link_rx(links[1]);
		while (!peal_peek(from, &request, 0)) {
			ck_assert_uint_eq(request.flags, 0);
			peal_release(from);
		}
		/* And who does not know of calls is not told. */
		open_again(0, MOST);
		expect_error(peal_call(links[0], "ding", 4, buffer, MOST, NULL, MS), -ETIMEDOUT,
			     NULL);
		from = peal_link_rx(links[1]);
		ck_assert_int_eq(peal_recv(from, buffer, MOST, NULL, 0), 4);
		ck_assert_int_eq(peal_recv(from, buffer, MOST, NULL, 0), -EAGAIN);
	}
END_TEST

/* Sends as much of a long reply as the ring holds, to the next call that will be made. */
static struct peal_sending half_a_reply(void)
{
	struct peal_sending sending = { .data = text, .length = MOST };

	sending.tag = links[0]->call_tag + 1;
	ck_assert_int_eq(peal_send_part(tx, &sending, 0), -EAGAIN);
	return sending;
}

START_TEST(half_a_reply_is_none_and_is_dropped)
	{
		struct peal_sending sending = half_a_reply();
		int err = -EAGAIN;

		expect_error(peal_call(links[0], "ding", 4, buffer, MOST, NULL, _i ? 0 : MS),
			     _i ? -EAGAIN : -ETIMEDOUT, "no reply", NULL);
		ck_assert_uint_eq(links[0]->join.used, 0);
		/* The rest of it is, too, as it comes. */
		while (err) {
			err = peal_send_part(tx, &sending, 0);
			ck_assert(!err || err == -EAGAIN);
			ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN);
		}
		ck_assert_int_eq(peal_send_last(tx, "x", 1, links[0]->call_tag + 1, 0), 0);
		ck_assert_int_eq(peal_call(links[0], "dong", 4, buffer, MOST, NULL, LONG), 1);
	}
END_TEST

static void *give_up_and_answer(void *data)
{
	struct peal_message m;
	uint8_t request[4];

	/* The fragments are taken, so that the caller is in the midst of them. */
	while (__atomic_load_n(&links[0]->page->head, __ATOMIC_ACQUIRE) != links[1]->tx.pos)
		sched_yield();
	ck_assert_int_eq(peal_recv(peal_link_rx(links[1]), request, 4, &m, LONG), 4);
	peal_abort(tx);
	if (data)
		ck_assert_int_eq(peal_send_error(tx, m.tag, -EIO, "out of ropes", LONG), 0);
	else
		ck_assert_int_eq(peal_send_last(tx, "short", 5, m.tag, LONG), 0);
	return NULL;
}

/* The buffer may be too small for a control record. */
START_TEST(a_long_reply_that_is_given_up_may_be_followed_by_another)
	{
		struct peal_message about;
		pthread_t thread;

		half_a_reply();
		ck_assert_int_eq(
			pthread_create(&thread, NULL, give_up_and_answer, _i ? links : NULL), 0);
		if (_i)
			expect_error(peal_call(links[0], "ding", 4, buffer, MOST, &about, LONG),
				     -EIO, "out of ropes", NULL);
		else
			ck_assert_int_eq(peal_call(links[0], "ding", 4, buffer, MOST, &about, LONG),
					 5);
		ck_assert_uint_eq(about.flags, _i ? PEAL_HEADER_CONTROL : PEAL_HEADER_LAST);
		pthread_join(thread, NULL);
	}
END_TEST

START_TEST(a_call_to_one_that_has_gone_says_so)
	{
		struct peal_message about = { .flags = 99 };

		peal_close(links[1]);
		links[1] = NULL;
		expect_error(peal_call(links[0], "ding", 4, buffer, MOST, &about, LONG), -EPIPE,
			     NULL);
		ck_assert_uint_eq(about.flags, 0);
		expect_error(peal_call(links[0], "ding", 4, buffer, MOST, &about, 0), -EPIPE, NULL);
	}
END_TEST

/*
 * Lies.
 */

#define RECORD(length) ((uint64_t)(length) + 1)
#define CONTROL(length) (PEAL_HEADER_CONTROL | RECORD(length))
#define ERROR_OF(code) ((uint64_t)(uint32_t)(code) << 32 | PEAL_CONTROL_ERROR)

/* Publishes a record with this header and first word, as the peer. */
static void put(uint64_t header, uint64_t word)
{
	struct peal_tx *to = tx;
	uint8_t *at = to->data + (to->pos & to->mask);

	memcpy(at + 8, &word, 8);
	to->pos += peal_record_size((header & PEAL_HEADER_LENGTH) - 1);
	to->limit = 0; /* the end cannot be used for honest sends any more */
	__atomic_store_n((uint64_t *)(void *)(to->data + (to->pos & to->mask)), 0,
			 __ATOMIC_RELAXED);
	__atomic_store_n((uint64_t *)(void *)at, header, __ATOMIC_RELEASE);
}

static const struct {
	uint64_t header, word;
	const char *lie;
} lies[] = {
	{ CONTROL(8), 0, "kind" },
	{ CONTROL(8), 4, "kind" },
	{ CONTROL(8), UINT64_MAX, "kind" },
	{ CONTROL(8), (uint64_t)1 << 32 | PEAL_CONTROL_ABANDON, "kind" },
	{ CONTROL(16), PEAL_CONTROL_ABANDON, "kind" },
	{ CONTROL(0), PEAL_CONTROL_CANCEL, "kind" }, /* the word is the next header */
	{ CONTROL(7), PEAL_CONTROL_CANCEL, "cancel" },
	{ CONTROL(9), PEAL_CONTROL_CANCEL, "cancel" },
	{ CONTROL(8), (uint64_t)1 << 32 | PEAL_CONTROL_CANCEL, "cancel" },
	{ CONTROL(8), ERROR_OF(0), "error" },
	{ CONTROL(8), ERROR_OF(4096), "error" },
	{ CONTROL(8), ERROR_OF(0x80000000), "error" },
	{ CONTROL(8), ERROR_OF(-EIO), "error" },
	{ CONTROL(7), ERROR_OF(EIO), "error" },
	{ CONTROL(PEAL_CONTROL_LONGEST + 1), ERROR_OF(EIO), "error" },
	{ PEAL_HEADER_CONTROL, PEAL_CONTROL_CANCEL, "length" },
	{ PEAL_HEADER_CONTROL | PEAL_HEADER_LENGTH, PEAL_CONTROL_CANCEL, "length" },
	{ CONTROL(8) | PEAL_HEADER_LAST, PEAL_CONTROL_CANCEL, "flags" },
	{ CONTROL(8) | PEAL_HEADER_LAST, ERROR_OF(EIO), "flags" },
	{ CONTROL(8) | PEAL_HEADER_MORE, ERROR_OF(EIO), "flags" },
	{ CONTROL(8) | PEAL_HEADER_RESERVED, ERROR_OF(EIO), "flags" },
	{ RECORD(16) | PEAL_HEADER_MORE | PEAL_HEADER_LAST, 100, "flags" },
};

#define LIES ((int)(sizeof(lies) / sizeof(lies[0])))

START_TEST(a_control_record_of_a_wrong_form_ends_the_link)
	{
		struct peal_message messages[2], *next = messages;
		int64_t got = 0;

		put(lies[_i / 4].header, lies[_i / 4].word);
		switch (_i % 4) {
		case 0:
			got = peal_peek(rx, messages, LONG);
			break;
		case 1:
			got = peal_recv(rx, buffer, MOST, messages, LONG);
			break;
		case 2:
			got = peal_recv_batch(rx, buffer, MOST, messages, 2, LONG);
			break;
		case 3:
			got = peal_drain(rx, look_at, &next, 2, LONG);
		}
		expect_error(got, -EPROTO, lies[_i / 4].lie, NULL);
		expect_error(peal_call(links[0], "x", 1, buffer, MOST, NULL, LONG), -EPROTO, NULL);
	}
END_TEST

START_TEST(who_does_not_know_of_calls_ends_a_link_that_shows_them)
	{
		/* With fragments, and so control records, or without. */
		open_again(0, _i % 2 ? MOST : 0);
		put(CONTROL(8), _i / 2 ? ERROR_OF(EIO) : PEAL_CONTROL_CANCEL);
		expect_error(peal_recv(rx, buffer, MOST, NULL, LONG), -EPROTO,
			     _i % 2 ? "not agreed" : "flags", NULL);
	}
END_TEST

START_TEST(a_control_record_in_the_midst_of_a_message_ends_the_link)
	{
		put(RECORD(16) | PEAL_HEADER_MORE, 100);
		ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), -EAGAIN);
		if (_i) { /* likewise where it is not wanted any more */
			struct peal_message message;

			ck_assert_int_eq(peal_peek(rx, &message, 0), -EMSGSIZE);
			peal_release(rx);
		}
		put(CONTROL(8), PEAL_CONTROL_CANCEL);
		expect_error(peal_recv(rx, buffer, MOST, NULL, 0), -EPROTO, "midst", NULL);
	}
END_TEST

START_TEST(without_fragments_nothing_is_given_up)
	{
		struct peal_message message;

		open_again(PEAL_CALLS, 0);
		ck_assert_int_eq(peal_send_cancel(tx, 1, 0), 0);
		ck_assert_int_eq(peal_recv(rx, buffer, MOST, &message, 0), 8);
		put(CONTROL(8), PEAL_CONTROL_ABANDON);
		expect_error(peal_recv(rx, buffer, MOST, NULL, 0), -EPROTO, "kind", NULL);
	}
END_TEST

START_TEST(a_sentence_is_printable_and_ends)
	{
		struct peal_control control;
		struct peal_message message;
		uint8_t *at = tx->data + (tx->pos & tx->mask) + 16;

		for (int i = 0; i < 255; i++)
			at[i] = (uint8_t)(i + 1);
		at[9] = 0;
		put(CONTROL(PEAL_CONTROL_LONGEST), ERROR_OF(EIO));
		ck_assert_int_eq(peal_peek(rx, &message, 0), 0);
		control = control_of(&message);
		ck_assert_uint_eq(strlen(control.sentence), PEAL_SENTENCE - 1);
		for (int i = 0; i < 255; i++)
			ck_assert_int_eq(control.sentence[i],
					 i + 1 >= ' ' && i + 1 <= '~' ? i + 1 : '?');
	}
END_TEST

START_TEST(a_control_record_that_changes_in_place_is_read_once)
	{
		struct peal_control control;
		struct peal_message message;
		uint8_t *at = tx->data + (tx->pos & tx->mask) + 8;

		put(CONTROL(12), ERROR_OF(EIO));
		ck_assert_int_eq(peal_peek(rx, &message, 0), 0);
		memset(at, 0xff, 8);
		expect_error(peal_control_read(&message, &control), -EPROTO, "kind", NULL);
		ck_assert_uint_eq(control.kind, 0);
		ck_assert_uint_eq(message.length, 12);
	}
END_TEST

/* Nobody waits longer than he said because there is always something to drop. */
START_TEST(a_flood_of_other_replies_keeps_no_call_beyond_its_time)
	{
		for (uint64_t at = 0; at < capacity; at += 16)
			*(uint64_t *)(void *)(tx->data + at) = 99ull << 32 | RECORD(8);
		expect_error(peal_call(links[0], "x", 1, buffer, MOST, NULL, _i ? 0 : MS),
			     _i ? -EAGAIN : -ETIMEDOUT, "no reply", NULL);
	}
END_TEST

/* A ring of control records that are nearly right, and of what else there is. */
START_TEST(a_ring_of_noise_neither_hangs_nor_crashes)
	{
		uint64_t x = 88172645463325252u;
		unsigned errors = 0, cancels = 0, broken = 0;

		for (int round = 0; round < 400; round++) {
			uint64_t *words = (uint64_t *)(void *)tx->data;

			for (uint64_t i = 0; i < capacity / 8; i++) {
				scramble(&x);
				words[i] = x % 64 == 0 ?
						   x :
					   x % 8 == 0 ?
						   RECORD(x >> 40 & 0x3f) | (x >> 33 & 1) << 30 :
						   CONTROL(8 + (x >> 40 & 0xff) * (x >> 60 & 1));
				if (words[i] >> 29 & 1 && x % 64)
					words[++i] = x >> 61 & 1 ? PEAL_CONTROL_CANCEL :
								   ERROR_OF(x >> 20 & 0xff);
			}
			for (int i = 0; i < 200; i++) {
				struct peal_message got[4] = { { NULL, 0, 0, 0 } };
				struct peal_control control;
				int64_t result;
				bool shown = false;

				switch (x >> (i % 32) & 7) {
				case 0:
					result = peal_recv_batch(rx, buffer, 4096, got, 4, 0);
					break;
				case 1:
					result = peal_call(links[0], "x", 1, buffer, 64, got, 0);
					/* An error reply may have any errno, for the right tag. */
					if (got[0].flags & PEAL_HEADER_CONTROL)
						continue;
					break;
				case 2:
					result = peal_recv(rx, buffer, 100, got, 0);
					break;
				default:
					result = peal_peek(rx, got, 0);
					shown = !result;
				}
				if (!noise_explains(result) && result != -ENOBUFS)
					ck_abort_msg("%lld: %s", (long long)result, peal_error());
				if (result >= 0 && got[0].flags & PEAL_HEADER_CONTROL) {
					control = control_of(got);
					errors += control.kind == PEAL_CONTROL_ERROR;
					cancels += control.kind == PEAL_CONTROL_CANCEL;
					ck_assert_uint_lt(strlen(control.sentence), PEAL_SENTENCE);
				}
				if (shown || result == -ENOBUFS)
					peal_release(rx);
				if (result == -EPROTO) {
					broken++;
					break;
				}
			}
			open_again(PEAL_CALLS, round % 2 ? MOST : 0);
		}
		ck_assert_uint_gt(errors, 100);
		ck_assert_uint_gt(cancels, 100);
		ck_assert_uint_gt(broken, 100);
	}
END_TEST

static const char *in_child(void *data)
{
	void *at;

	(void)data;
	if (peal_send_last(tx, "x", 1, 0, LONG) != -ESTALE)
		return wrong("a last reply");
	if (peal_send_error(tx, 0, -EIO, "x", LONG) != -ESTALE)
		return wrong("an error");
	if (peal_send_cancel(tx, 0, LONG) != -ESTALE)
		return wrong("a cancel");
	if (peal_call(links[0], "x", 1, buffer, MOST, NULL, LONG) != -ESTALE)
		return wrong("a call");
	if (peal_reserve(tx, 1, &at, LONG) != -ESTALE || peal_commit_last(tx, 0, 0) != -ESTALE)
		return wrong("a commit");
	return NULL;
}

START_TEST(a_childs_copy_is_dead)
	{
		ck_assert_int_eq(peal_send(tx, "x", 1, 0, 0), 0);
		child_run(in_child, NULL);
		ck_assert_int_eq(peal_recv(rx, buffer, MOST, NULL, 0), 1);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("call");
	TCase *last = tcase_create("last replies"), *control = tcase_create("errors and cancels");
	TCase *call = tcase_create("calls"), *hostile = tcase_create("hostile peer");

	tcase_add_checked_fixture(last, set_up, tear_down);
	tcase_set_timeout(last, 30);
	tcase_add_test(last, the_last_reply_is_marked_and_no_other);
	tcase_add_loop_test(last, what_is_pending_goes_out_before, 0, 2);
	tcase_add_loop_test(last, of_a_long_reply_the_last_fragment_is_marked, 0, 2);
	tcase_add_test(last, a_last_reply_has_the_limits_of_a_message);
	suite_add_tcase(s, last);

	tcase_add_checked_fixture(control, set_up, tear_down);
	tcase_set_timeout(control, 30);
	tcase_add_test(control, errors_and_cancels_are_told_as_they_were_sent);
	tcase_add_test(control, what_is_no_negative_errno_is_not_sent);
	tcase_add_test(control, what_is_no_control_record_is_not_read_as_one);
	tcase_add_test(control, the_longest_message_does_not_limit_control_records);
	tcase_add_test(control, what_was_left_unread_counts_errors_and_cancels);
	tcase_add_test(control, while_a_message_is_half_sent_nothing_else_is);
	tcase_add_test(control, only_who_knows_of_calls_is_sent_errors_and_cancels);
	tcase_add_test(control, a_childs_copy_is_dead);
	suite_add_tcase(s, control);

	tcase_add_checked_fixture(call, set_up, tear_down);
	tcase_set_timeout(call, 60);
	tcase_add_test(call, calls_are_answered);
	tcase_add_test(call, an_error_is_returned_with_its_sentence);
	tcase_add_test(call, a_reply_that_does_not_fit_is_dropped_and_told_of);
	tcase_add_test(call, a_late_reply_is_no_later_calls);
	tcase_add_loop_test(call, a_call_whose_time_is_up_is_cancelled, 0, 2);
	tcase_add_loop_test(call, half_a_reply_is_none_and_is_dropped, 0, 2);
	tcase_add_loop_test(call, a_long_reply_that_is_given_up_may_be_followed_by_another, 0, 2);
	tcase_add_test(call, a_call_to_one_that_has_gone_says_so);
	suite_add_tcase(s, call);

	tcase_add_checked_fixture(hostile, set_up, tear_down);
	tcase_set_timeout(hostile, 30);
	tcase_add_loop_test(hostile, a_control_record_of_a_wrong_form_ends_the_link, 0, 4 * LIES);
	tcase_add_loop_test(hostile, who_does_not_know_of_calls_ends_a_link_that_shows_them, 0, 4);
	tcase_add_loop_test(hostile, a_control_record_in_the_midst_of_a_message_ends_the_link, 0,
			    2);
	tcase_add_test(hostile, without_fragments_nothing_is_given_up);
	tcase_add_test(hostile, a_sentence_is_printable_and_ends);
	tcase_add_test(hostile, a_control_record_that_changes_in_place_is_read_once);
	tcase_add_loop_test(hostile, a_flood_of_other_replies_keeps_no_call_beyond_its_time, 0, 2);
	tcase_add_test(hostile, a_ring_of_noise_neither_hangs_nor_crashes);
	suite_add_tcase(s, hostile);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
