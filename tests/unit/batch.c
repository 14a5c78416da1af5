/*
 * SPDX-License-Identifier: MIT
 *
 * Batches: many messages in one publication, in place and by copy; many received at once, copied
 * out and shown. White-box in that it looks at the words that the ends keep.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "lib/link.h"
#include "tests/unit/combination.h"
#include "tests/unit/stage.h"

static struct peal_link *links[2];
static struct peal_tx *tx;
static struct peal_rx *rx;
static uint64_t capacity;
static uint8_t *buffer; /* as long as the ring */

static void set_up(void)
{
	capacity = stage_page();
	pair_open(links, PEAL_WAIT_SLEEP, capacity);
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

static void expect_nothing(void)
{
	struct peal_message message;

	ck_assert_int_eq(peal_peek(rx, &message, 0), -EAGAIN);
}

/* The next messages have these tags and the text "abc". */
static void expect_tags(uint32_t first, uint32_t count)
{
	struct peal_message about;

	for (uint32_t i = first; i < first + count; i++) {
		ck_assert_int_eq(peal_recv(rx, buffer, capacity, &about, 0), 3);
		ck_assert_mem_eq(buffer, "abc", 3);
		ck_assert_uint_eq(about.tag, i);
	}
}

static void commit_more(uint32_t tag)
{
	void *at;

	ck_assert_int_eq(peal_reserve(tx, 3, &at, 0), 0);
	memcpy(at, "abc", 3);
	ck_assert_int_eq(peal_commit_more(tx, 3, tag), 0);
}

/*
 * Sending.
 */

static int see(void *data, const struct peal_message *message)
{
	(void)data;
	ck_assert_uint_eq(message->length, 3);
	return 0;
}

enum ending { COMMIT, SEND, SENDV, FLUSH, BATCH, ENDINGS };

START_TEST(a_batch_is_seen_whole_and_only_when_it_is_ended)
	{
		struct peal_message more = { .data = "abc", .length = 3, .tag = 5 };
		struct iovec piece = { .iov_base = (char[]){ "abc" }, .iov_len = 3 };
		struct peal_stats stats;
		void *at;

		for (uint32_t i = 0; i < 5; i++) {
			if (i % 2)
				commit_more(i);
			else
				ck_assert_int_eq(peal_send_more(tx, "abc", 3, i, 0), 0);
			expect_nothing();
		}
		switch ((enum ending)_i) {
		case COMMIT:
			ck_assert_int_eq(peal_reserve(tx, 3, &at, 0), 0);
			memcpy(at, "abc", 3);
			expect_nothing();
			ck_assert_int_eq(peal_commit(tx, 3, 5), 0);
			break;
		case SEND:
			ck_assert_int_eq(peal_send(tx, "abc", 3, 5, 0), 0);
			break;
		case SENDV:
			ck_assert_int_eq(peal_sendv(tx, &piece, 1, 5, 0), 0);
			break;
		case BATCH:
			ck_assert_int_eq(peal_send_batch(tx, &more, 1, 0), 1);
			break;
		default:
			commit_more(5);
			peal_flush(tx);
		}
		stats = stats_of(links[0]);
		ck_assert_uint_eq(stats.tx.messages, 6);
		ck_assert_uint_eq(stats.tx.bytes, 18);
		ck_assert_uint_eq(stats.tx.batched, 5);
		ck_assert_uint_eq(stats.tx_spared, 1);
		expect_tags(0, 6);
		expect_nothing();
		peal_flush(tx); /* nothing */
		expect_nothing();
		ck_assert_int_eq(peal_send(tx, "abc", 3, 6, 0), 0);
		ck_assert_uint_eq(stats_of(links[0]).tx.batched, 5);
		expect_tags(6, 1);
	}
END_TEST

START_TEST(what_is_released_together_is_one_release)
	{
		struct peal_message messages[4];

		for (uint32_t i = 0; i < 8; i++)
			ck_assert_int_eq(peal_send(tx, "abc", 3, i, 0), 0);
		ck_assert_int_eq(peal_recv_batch(rx, buffer, capacity, messages, 4, 0), 4);
		ck_assert_uint_eq(stats_of(links[1]).rx.batched, 3);
		ck_assert_int_eq(peal_drain(rx, see, NULL, 3, 0), 3);
		expect_tags(7, 1);
		ck_assert_uint_eq(stats_of(links[1]).rx.messages, 8);
		ck_assert_uint_eq(stats_of(links[1]).rx.batched, 5);
		ck_assert_uint_eq(stats_of(links[1]).rx_spared, 3);
	}
END_TEST

/* The two are read one after the other. */
START_TEST(publications_are_never_fewer_than_none)
	{
		links[0]->slot->tx.messages = 3;
		links[0]->slot->tx.batched = 4;
		ck_assert_uint_eq(stats_of(links[0]).tx_spared, 0);
	}
END_TEST

START_TEST(bytes_of_the_last_lap_are_no_messages_behind_a_batch)
	{
		uint64_t words[64], x = 88172645463325252u;
		uint32_t sent = 0, got = 0;

		/* Whatever place is looked at next: it has held what looks like a header. */
		for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			words[i] = 9;
		for (uint64_t n = 0; n < 4 * capacity; n++) {
			struct peal_message about;
			unsigned count;

			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			count = (unsigned)(x >> 32) % 9 + 1;
			for (unsigned i = 0; i < count; i++)
				if (peal_send_more(tx, words, (x >> i) % 65, sent++, 0))
					ck_abort_msg("%s", peal_error());
			if (peal_peek(rx, &about, 0) != -EAGAIN)
				ck_abort_msg("a batch is seen before it is ended");
			peal_flush(tx);
			for (unsigned i = 0; i < count; i++)
				if (peal_recv(rx, buffer, capacity, &about, 0) !=
					    (int)((x >> i) % 65) ||
				    about.tag != got++)
					ck_abort_msg("message %u of a batch of %u: %s", i, count,
						     peal_error());
			if (peal_peek(rx, &about, 0) != -EAGAIN)
				ck_abort_msg("behind a batch is what was not sent");
		}
	}
END_TEST

/* In a ring that is full of it: that is what the producer would wait for. */
START_TEST(what_is_pending_is_published_before_anything_is_answered_or_waited_for)
	{
		uint32_t sent = 0;
		void *at;
		int err;

		while (!(err = peal_send_more(tx, "abc", 3, sent, 0)))
			sent++;
		expect_error(err, -EAGAIN, "full", NULL);
		ck_assert_uint_eq(sent, (capacity - 8) / 16);
		expect_tags(0, sent);
		for (uint32_t i = 0; i < sent; i++)
			commit_more(i);
		expect_nothing();
		expect_error(peal_reserve(tx, 3, &at, MS), -ETIMEDOUT, "full", NULL);
		expect_tags(0, sent);
		expect_nothing();
	}
END_TEST

START_TEST(looking_for_room_that_is_there_publishes_nothing)
	{
		/* More than a lap: the producer has to look how far the peer is. */
		for (uint32_t n = 0; n < 3 * capacity / 16; n++) {
			commit_more(n);
			expect_nothing();
			if (n % 8 == 7) {
				peal_flush(tx);
				expect_tags(n - 7, 8);
			}
		}
	}
END_TEST

START_TEST(one_that_waits_for_its_peer_publishes_first_if_one_thread_uses_both_ends)
	{
		for (int one_thread = 0; one_thread < 2; one_thread++) {
			struct peal_options options = stage_options(PEAL_WAIT_SLEEP, capacity);
			struct peal_link *pair[2];
			struct peal_message message;
			char byte;
			int out, in;

			options.flags = one_thread ? PEAL_ONE_THREAD : 0;
			ck_assert_int_eq(peal_pair(pair, &options), 0);
			out = peal_send_more(peal_link_tx(pair[0]), "a", 1, 7, 0);
			ck_assert_int_eq(out, 0);
			in = (int)peal_recv(peal_link_rx(pair[0]), &byte, 1, NULL, 0);
			ck_assert_int_eq(in, -EAGAIN);
			in = peal_peek(peal_link_rx(pair[1]), &message, 0);
			ck_assert_int_eq(in, one_thread ? 0 : -EAGAIN);
			/* What comes at once is not waited for. */
			peal_release(peal_link_rx(pair[1]));
			ck_assert_int_eq(peal_send(peal_link_tx(pair[1]), "b", 1, 0, 0), 0);
			out = peal_send_more(peal_link_tx(pair[0]), "c", 1, 8, 0);
			ck_assert_int_eq(out, 0);
			in = (int)peal_recv(peal_link_rx(pair[0]), &byte, 1, NULL, 0);
			ck_assert_int_eq(in, 1);
			expect_error(peal_peek(peal_link_rx(pair[1]), &message, 0), -EAGAIN, NULL);
			pair_close(pair);
		}
	}
END_TEST

START_TEST(closing_publishes_what_is_pending)
	{
		commit_more(0);
		commit_more(1);
		peal_close(links[0]);
		links[0] = NULL;
		expect_tags(0, 2);
		ck_assert_int_eq(peal_recv(rx, buffer, capacity, NULL, PEAL_FOREVER), -EPIPE);
	}
END_TEST

START_TEST(a_sender_that_is_told_that_the_peer_is_gone_has_nothing_pending)
	{
		void *at;
		int err;

		commit_more(0);
		peal_close(links[1]);
		links[1] = NULL;
		do
			err = peal_send_more(tx, "abc", 3, 1, PEAL_FOREVER);
		while (!err);
		ck_assert_int_eq(err, -EPIPE);
		ck_assert_uint_eq(tx->pending_header, 0);
		ck_assert_int_eq(peal_reserve(tx, 3, &at, 0), -EPIPE);
		ck_assert_int_eq(peal_commit_more(tx, 0, 0), -EINVAL);
		peal_flush(tx);
	}
END_TEST

START_TEST(one_publication_finds_the_peers_close_as_any_other)
	{
		void *at;

		commit_more(0);
		peal_close(links[1]);
		links[1] = NULL;
		peal_flush(tx);
		expect_error(peal_reserve(tx, 3, &at, PEAL_FOREVER), -EPIPE, "closed", NULL);
	}
END_TEST

START_TEST(an_abort_drops_only_the_last_reservation)
	{
		void *at;

		commit_more(0);
		ck_assert_int_eq(peal_reserve(tx, 100, &at, 0), 0);
		memset(at, 9, 100);
		peal_abort(tx);
		expect_nothing();
		commit_more(1);
		ck_assert_int_eq(peal_reserve(tx, 100, &at, 0), 0);
		memset(at, 9, 100);
		peal_abort(tx);
		peal_flush(tx);
		expect_tags(0, 2);
		expect_nothing();
	}
END_TEST

START_TEST(a_flush_leaves_the_reservation)
	{
		void *at;

		commit_more(0);
		ck_assert_int_eq(peal_reserve(tx, 3, &at, 0), 0);
		memcpy(at, "abc", 3);
		peal_flush(tx);
		expect_tags(0, 1);
		expect_nothing();
		ck_assert_int_eq(peal_commit(tx, 3, 1), 0);
		expect_tags(1, 1);
		expect_nothing();
	}
END_TEST

START_TEST(committing_more_follows_the_rules_of_a_commit)
	{
		void *at;

		expect_error(peal_commit_more(tx, 0, 0), -EINVAL, "peal_reserve", NULL);
		ck_assert_int_eq(peal_reserve(tx, 10, &at, 0), 0);
		expect_error(peal_commit_more(tx, 11, 0), -EINVAL, "11", "10", NULL);
		expect_error(peal_commit_more(tx, SIZE_MAX, 0), -EINVAL, NULL);
		memcpy(at, "abc", 3);
		ck_assert_int_eq(peal_commit_more(tx, 3, 7), 0);
		expect_error(peal_commit_more(tx, 3, 7), -EINVAL, NULL);
		expect_error(peal_send_more(tx, buffer, capacity, 0, PEAL_FOREVER), -EMSGSIZE,
			     NULL);
		peal_flush(tx);
		expect_tags(7, 1);
		expect_nothing();
	}
END_TEST

START_TEST(a_batch_of_copies_is_sent_as_far_as_it_fits)
	{
		struct peal_message batch[600];
		uint32_t fits = (uint32_t)(capacity - 8) / 16;
		int count = 0;

		for (uint32_t i = 0; i < 600; i++)
			batch[i] = (struct peal_message){ .data = "abc", .length = 3, .tag = i };
		expect_error(peal_send_batch(tx, batch, 0, 0), -EINVAL, "0", NULL);
		expect_error(peal_send_batch(tx, batch, -1, 0), -EINVAL, "-1", NULL);
		for (uint32_t done = 0; done < fits; done += (uint32_t)count) {
			count = peal_send_batch(tx, batch, fits - done < 600 ? 10 : 600, 0);
			ck_assert_int_ge(count, 1);
			ck_assert_uint_le(done + (uint32_t)count, fits);
		}
		expect_error(peal_send_batch(tx, batch, 600, 0), -EAGAIN, NULL);
		expect_error(peal_send_batch(tx, batch, 600, MS), -ETIMEDOUT, NULL);
		while (peal_recv(rx, buffer, capacity, NULL, 0) >= 0)
			;
		if (fits > 600)
			return;
		/* The room that has come is found without an answer of "full" between. */
		ck_assert_int_eq(peal_send_batch(tx, batch, 10, 0), 10);
		ck_assert_int_eq(peal_send_batch(tx, batch + 10, 600 - 10, 0), (int)fits - 10);
		expect_tags(0, fits);
		expect_nothing();
		ck_assert_uint_eq(stats_of(links[0]).tx_spared, fits / 10 + 1 + 2);
	}
END_TEST

START_TEST(a_message_that_cannot_be_sent_ends_the_batch_before_it)
	{
		struct peal_message batch[3] = { { .data = "abc", .length = 3, .tag = 0 },
						 { .data = buffer, .length = capacity, .tag = 1 },
						 { .data = "abc", .length = 3, .tag = 2 } };

		ck_assert_int_eq(peal_send_batch(tx, batch, 3, 0), 1);
		expect_tags(0, 1);
		expect_error(peal_send_batch(tx, batch + 1, 2, 0), -EMSGSIZE, NULL);
		expect_nothing();
	}
END_TEST

static void *receive_one(void *data)
{
	struct peal_message message;

	return (void *)(intptr_t)peal_peek(peal_link_rx(data), &message, LONG);
}

START_TEST(a_sleeper_is_rung_once_for_a_batch)
	{
		pthread_t thread;
		void *result;

		ck_assert_int_eq(pthread_create(&thread, NULL, receive_one, links[1]), 0);
		while (!stats_of(links[1]).rx.sleeps)
			sched_yield();
		for (uint32_t i = 0; i < 20; i++)
			commit_more(i);
		ck_assert_uint_eq(stats_of(links[0]).tx.rung, 0);
		peal_flush(tx);
		pthread_join(thread, &result);
		ck_assert_int_eq((int)(intptr_t)result, 0);
		/* It may have woken for a slice just then, and been awake when the message came. */
		ck_assert_uint_le(stats_of(links[0]).tx.rung, 1);
		expect_tags(0, 20);
	}
END_TEST

/*
 * Receiving.
 */

static void send_lengths(const size_t *lengths, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		payload_fill(buffer, lengths[i], i);
		ck_assert_int_eq(peal_send(tx, buffer, lengths[i], i, 0), 0);
	}
	memset(buffer, 0, capacity);
}

START_TEST(what_is_there_is_received_at_once_each_at_a_multiple_of_8)
	{
		static const size_t lengths[] = { 5, 0, 8, 9, 100, 0, 1 };
		static const size_t starts[] = { 0, 8, 8, 16, 32, 136, 136 };
		struct peal_message got[16];

		send_lengths(lengths, 7);
		ck_assert_int_eq(peal_recv_batch(rx, buffer, capacity, got, 16, PEAL_FOREVER), 7);
		for (uint32_t i = 0; i < 7; i++) {
			ck_assert_ptr_eq(got[i].data, buffer + starts[i]);
			ck_assert_uint_eq(got[i].length, lengths[i]);
			ck_assert_uint_eq(got[i].tag, i);
			ck_assert_uint_eq(got[i].flags, 0);
			ck_assert(payload_matches(got[i].data, lengths[i], i));
		}
		ck_assert_uint_eq(stats_of(links[1]).rx.messages, 7);
		ck_assert_uint_eq(stats_of(links[1]).rx.bytes, 123);
		expect_nothing();
		expect_error(peal_recv_batch(rx, buffer, capacity, got, 16, 0), -EAGAIN, NULL);
		expect_error(peal_recv_batch(rx, buffer, capacity, got, 16, MS), -ETIMEDOUT, NULL);
	}
END_TEST

START_TEST(no_more_are_received_than_asked_for_or_fit)
	{
		static const size_t lengths[] = { 8, 12, 4, 0, 8 };
		struct peal_message got[16] = { { .length = 0 } };

		send_lengths(lengths, 5);
		expect_error(peal_recv_batch(rx, buffer, 64, got, 0, 0), -EINVAL, "0", NULL);
		expect_error(peal_recv_batch(rx, buffer, 7, got, 16, 0), -ENOBUFS, "8", "7", NULL);
		ck_assert_uint_eq(got[0].length, 8);
		expect_error(peal_recv_batch(rx, NULL, 0, got, 16, 0), -ENOBUFS, NULL);
		ck_assert_int_eq(peal_recv_batch(rx, buffer, 64, got, 1, 0), 1);
		ck_assert_uint_eq(got[0].tag, 0);
		/* 12 bytes, and 4 are over before the next multiple of 8; then an exact fit. */
		ck_assert_int_eq(peal_recv_batch(rx, buffer, 19, got, 16, 0), 1);
		ck_assert_uint_eq(got[0].tag, 1);
		ck_assert_int_eq(peal_recv_batch(rx, buffer, 4, got, 16, 0), 1);
		ck_assert_uint_eq(got[0].tag, 2);
		ck_assert_int_eq(peal_recv_batch(rx, NULL, 0, got, 16, 0), 1);
		ck_assert_uint_eq(got[0].tag, 3);
		ck_assert_int_eq(peal_recv_batch(rx, buffer, 8, got, 16, 0), 1);
		ck_assert(payload_matches(buffer, 8, 4));
		expect_nothing();
		for (uint32_t i = 0; i < 5; i++)
			ck_assert_int_eq(peal_send(tx, NULL, 0, i, 0), 0);
		ck_assert_int_eq(peal_recv_batch(rx, NULL, 0, got, 16, 0), 5);
		ck_assert_uint_eq(got[4].tag, 4);
		expect_nothing();
	}
END_TEST

struct shown {
	uint32_t count, stop_at;
	uint64_t head; /* as the peer saw it meanwhile */
	bool right;
	struct peal_link *link; /* closed after the first, if not NULL */
};

static int each(void *data, const struct peal_message *message)
{
	struct shown *shown = data;

	shown->right &= message->tag == shown->count &&
			payload_matches(message->data, message->length, message->tag);
	shown->head = __atomic_load_n(&links[1]->page->head, __ATOMIC_ACQUIRE);
	peal_close(shown->link);
	shown->link = NULL;
	return ++shown->count == shown->stop_at;
}

START_TEST(a_drain_shows_what_is_there_and_releases_it_at_the_end)
	{
		static const size_t lengths[] = { 5, 0, 8, 9, 100, 0, 1 };
		struct shown shown = { .right = true };

		expect_error(peal_drain(rx, each, &shown, 0, 0), -EAGAIN, NULL);
		expect_error(peal_drain(rx, each, &shown, 0, MS), -ETIMEDOUT, NULL);
		send_lengths(lengths, 7);
		ck_assert_int_eq(peal_drain(rx, each, &shown, 2, PEAL_FOREVER), 2);
		ck_assert_uint_eq(shown.count, 2);
		ck_assert_uint_eq(shown.head, 0);
		ck_assert_uint_eq(links[1]->page->head, 24);
		shown.stop_at = 4;
		ck_assert_int_eq(peal_drain(rx, each, &shown, -1, 0), 2);
		ck_assert_uint_eq(shown.count, 4);
		ck_assert_uint_eq(stats_of(links[1]).rx.messages, 4);
		ck_assert_uint_eq(stats_of(links[1]).rx.bytes, 22);
		ck_assert_int_eq(peal_drain(rx, each, &shown, 0, 0), 3);
		ck_assert(shown.right);
		expect_nothing();
		ck_assert_uint_eq(links[1]->page->head, tx->pos);
	}
END_TEST

START_TEST(a_drain_ends_with_the_link_and_releases_what_it_has_shown)
	{
		static const size_t lengths[] = { 5, 8 };
		struct shown shown = { .right = true, .link = links[0] };

		send_lengths(lengths, 2);
		links[0] = NULL;
		ck_assert_int_eq(peal_drain(rx, each, &shown, 0, LONG), 2);
		ck_assert(shown.right);
		ck_assert_uint_eq(links[1]->page->head, 32);
		expect_error(peal_drain(rx, each, &shown, 0, LONG), -EPIPE, "closed", NULL);
	}
END_TEST

static int count_one(void *data, const struct peal_message *message)
{
	(void)message;
	++*(int *)data;
	return 0;
}

START_TEST(a_ring_that_never_ends_is_drained_for_one_lap)
	{
		int count = 0;

		/* Full of headers of nothing: each is a message, also when it has been read. */
		for (uint64_t i = 0; i < capacity / 8; i++)
			((uint64_t *)(void *)links[0]->tx.data)[i] = 1;
		ck_assert_int_eq(peal_drain(rx, count_one, &count, 0, 0), (int)(capacity / 8));
		ck_assert_int_eq(count, (int)(capacity / 8));
	}
END_TEST

START_TEST(a_lie_behind_good_messages_is_found_when_it_is_next)
	{
		static const size_t lengths[] = { 5, 8 };
		struct peal_message got[4];
		int count = 0;

		for (int drained = 0; drained < 2; drained++) {
			send_lengths(lengths, 2);
			*(uint64_t *)(void *)(tx->data +
					      (tx->pos & tx->mask)) = PEAL_HEADER_RESERVED | 9;
			if (drained) {
				ck_assert_int_eq(peal_drain(rx, count_one, &count, 0, 0), 2);
				expect_error(peal_drain(rx, count_one, &count, 0, LONG), -EPROTO,
					     "flags", NULL);
			} else {
				ck_assert_int_eq(peal_recv_batch(rx, buffer, 64, got, 4, 0), 2);
				expect_error(peal_recv_batch(rx, buffer, 64, got, 4, LONG), -EPROTO,
					     "flags", NULL);
			}
			pair_close(links);
			pair_open(links, PEAL_WAIT_SLEEP, capacity);
			tx = peal_link_tx(links[0]);
			rx = peal_link_rx(links[1]);
		}
	}
END_TEST

/*
 * Two threads, over every combination of tables. Not all that is pending fits the ring.
 */

#define MESSAGES 20000u

static size_t length_of(uint32_t n)
{
	return (n * 2654435761u >> 8) % (n % 64 ? 65 : 900);
}

static char failure[512];

static void *send_all(void *data)
{
	struct peal_tx *out = peal_link_tx(data);
	uint8_t text[8][1024];
	uint32_t n = 0;
	void *at;

	while (n < MESSAGES) {
		struct peal_message batch[8];
		uint32_t some = n * 2654435761u >> 20;
		int count, err = 0;

		for (uint32_t i = 0; i < 8; i++) {
			payload_fill(text[i], length_of(n + i), n + i);
			batch[i] = (struct peal_message){ .data = text[i],
							  .length = length_of(n + i),
							  .tag = n + i };
		}
		switch (some % 5) {
		case 0:
			count = peal_send_batch(out, batch, 8, LONG);
			err = count < 0 ? count : 0;
			n += (uint32_t)count;
			break;
		case 1:
			err = peal_send(out, text[0], length_of(n), n, LONG);
			n++;
			break;
		case 2:
			err = peal_reserve(out, length_of(n), &at, LONG);
			if (!err) {
				payload_fill(at, length_of(n), n);
				err = peal_commit_more(out, length_of(n), n);
			}
			n++;
			break;
		default:
			err = peal_send_more(out, text[0], length_of(n), n, LONG);
			n++;
		}
		if (err) {
			snprintf(failure, sizeof(failure), "%u: %d %s", n, err, peal_error());
			break;
		}
	}
	peal_flush(out);
	return NULL;
}

static int check_one(void *data, const struct peal_message *message)
{
	uint32_t *next = data;

	if (message->tag != *next || message->length != length_of(*next) ||
	    !payload_matches(message->data, message->length, *next)) {
		snprintf(failure, sizeof(failure), "message %u is not what was sent", *next);
		return 1;
	}
	++*next;
	return 0;
}

START_TEST(two_threads_exchange_batches)
	{
		struct peal_options options = stage_options(0, 0);
		struct peal_message got[16];
		uint32_t next = 0;
		pthread_t thread;

		combination_open(_i, links, &options);
		rx = peal_link_rx(links[1]);
		buffer = malloc(4096);
		ck_assert_ptr_nonnull(buffer);
		ck_assert_int_eq(pthread_create(&thread, NULL, send_all, links[0]), 0);
		/* What comes after the last are those of the sender's last batch. */
		while (next < MESSAGES && !*failure) {
			int count;

			if (next % 2) {
				count = peal_recv_batch(rx, buffer, 4096, got, 16, LONG);
				for (int i = 0; i < count; i++)
					check_one(&next, &got[i]);
			} else {
				count = peal_drain(rx, check_one, &next, (int)(next % 37), LONG);
			}
			if (count < 1)
				ck_abort_msg("%u: %d %s", next, count, peal_error());
		}
		pthread_join(thread, NULL);
		ck_assert_str_eq(failure, "");
		ck_assert_uint_gt(stats_of(links[0]).tx.batched, MESSAGES / 8);
		free(buffer);
		pair_close(links);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("batch");
	TCase *sending = tcase_create("sending"), *receiving = tcase_create("receiving");
	TCase *threads = tcase_create("threads");

	tcase_add_checked_fixture(sending, set_up, tear_down);
	tcase_set_timeout(sending, 30);
	tcase_add_loop_test(sending, a_batch_is_seen_whole_and_only_when_it_is_ended, 0, ENDINGS);
	tcase_add_test(sending, what_is_released_together_is_one_release);
	tcase_add_test(sending, publications_are_never_fewer_than_none);
	tcase_add_test(sending, bytes_of_the_last_lap_are_no_messages_behind_a_batch);
	tcase_add_test(sending,
		       what_is_pending_is_published_before_anything_is_answered_or_waited_for);
	tcase_add_test(sending, looking_for_room_that_is_there_publishes_nothing);
	tcase_add_test(sending,
		       one_that_waits_for_its_peer_publishes_first_if_one_thread_uses_both_ends);
	tcase_add_test(sending, closing_publishes_what_is_pending);
	tcase_add_test(sending, a_sender_that_is_told_that_the_peer_is_gone_has_nothing_pending);
	tcase_add_test(sending, one_publication_finds_the_peers_close_as_any_other);
	tcase_add_test(sending, an_abort_drops_only_the_last_reservation);
	tcase_add_test(sending, a_flush_leaves_the_reservation);
	tcase_add_test(sending, committing_more_follows_the_rules_of_a_commit);
	tcase_add_test(sending, a_batch_of_copies_is_sent_as_far_as_it_fits);
	tcase_add_test(sending, a_message_that_cannot_be_sent_ends_the_batch_before_it);
	tcase_add_test(sending, a_sleeper_is_rung_once_for_a_batch);
	suite_add_tcase(s, sending);

	tcase_add_checked_fixture(receiving, set_up, tear_down);
	tcase_add_test(receiving, what_is_there_is_received_at_once_each_at_a_multiple_of_8);
	tcase_add_test(receiving, no_more_are_received_than_asked_for_or_fit);
	tcase_add_test(receiving, a_drain_shows_what_is_there_and_releases_it_at_the_end);
	tcase_add_test(receiving, a_drain_ends_with_the_link_and_releases_what_it_has_shown);
	tcase_add_test(receiving, a_ring_that_never_ends_is_drained_for_one_lap);
	tcase_add_test(receiving, a_lie_behind_good_messages_is_found_when_it_is_next);
	suite_add_tcase(s, receiving);

	tcase_set_timeout(threads, 60);
	tcase_add_loop_test(threads, two_threads_exchange_batches, 0, combination_count());
	suite_add_tcase(s, threads);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
