/*
 * SPDX-License-Identifier: MIT
 *
 * Long payloads: the copy past the caches, that they arrive whole whichever way they are written,
 * and which way a reader asks for, by numbers alone: what copies take is simulated there, and no
 * clock is read.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bulk.h"
#include "tests/unit/stage.h"

#define LONGEST 70000u

/* What stands behind a copy, and before it. */
#define GUARD 0xa5

START_TEST(past_the_caches_all_is_copied_and_nothing_else)
	{
		static const size_t lengths[] = { 0,   1,    7,    63,   64,   65,   127,
						  128, 4095, 4096, 4097, 8191, 65536 };
		uint8_t *from = malloc(LONGEST), *to = malloc(LONGEST);

		ck_assert_ptr_nonnull(from);
		ck_assert_ptr_nonnull(to);
		payload_fill(from, LONGEST, 1);
		for (size_t i = 0; arch_copy_around && i < sizeof(lengths) / sizeof(lengths[0]);
		     i++)
			for (size_t at = 64; at < 128; at++) {
				size_t length = lengths[i], behind = at + length;
				size_t read = at * 7 % 64;

				memset(to, GUARD, behind + 64);
				arch_copy_around(to + at, from + read, length);
				ck_assert_mem_eq(to + at, from + read, length);
				for (size_t k = 0; k < 64; k++)
					ck_assert_msg(to[at - 1 - k] == GUARD &&
							      to[behind + k] == GUARD,
						      "%zu bytes at %zu", length, at);
			}
		free(from);
		free(to);
	}
END_TEST

/*
 * Two cores, and what a KiB takes them to read and to write, by way.
 */

#define CAPACITY 65536u
#define LENGTH 8192u

struct place {
	uint64_t read[2];
	uint32_t written[2];
};

static const struct place near = { { 80, 290 }, { 100, 320 } };
static const struct place far = { { 400, 250 }, { 1500, 350 } };
/* Far ones by what it takes to read, not to write: probes alone do not tell. */
static const struct place far_to_read = { { 900, 150 }, { 600, 250 } };
/* Both sides together take less than half past the caches; a stream gains less. */
static const struct place lopsided = { { 250, 20 }, { 100, 150 } };
/* Near ones again, of which one is at the heels of the other. */
static const struct place at_heels = { { 500, 290 }, { 550, 320 } };

static struct bulk bulk;
static uint64_t written[2]; /* payloads, by way */

static void set_up(void)
{
	memset(&bulk, 0, sizeof(bulk));
	memset(written, 0, sizeof(written));
}

/* So many laps of payloads. Of those of a burst the first and each disturbed-th behind it are
 * interrupted; 0: none is. */
static void go_round(const struct place *place, unsigned laps, unsigned disturbed)
{
	memset(written, 0, sizeof(written));
	for (unsigned i = 0; i < laps * (CAPACITY / LENGTH); i++) {
		uint64_t ticks = place->read[bulk.way] * LENGTH / 1024;

		written[bulk.way]++;
		if (disturbed && bulk.count % disturbed == 0)
			ticks *= 1000;
		if (bulk.rest)
			bulk.rest -= LENGTH;
		else
			bulk_learn(&bulk, ticks, LENGTH, CAPACITY, place->written);
	}
}

START_TEST(near_cores_go_by_their_caches)
	{
		go_round(&near, 2000, 0);
		go_round(&near, 20000, 0);
		ck_assert_uint_lt(written[1] * 500, written[0]);
	}
END_TEST

START_TEST(far_cores_go_round_them)
	{
		go_round(&far, 12, 0);
		ck_assert_uint_eq(bulk.way, PEAL_BULK_AROUND);
		go_round(&far, 2000, 0);
		go_round(&far, 20000, 0);
		ck_assert_uint_lt(written[0] * 100, written[1]);
	}
END_TEST

START_TEST(the_slower_side_counts_twice)
	{
		go_round(&lopsided, 2000, 0);
		ck_assert_uint_lt(written[1] * 20, written[0]);
	}
END_TEST

START_TEST(cores_at_each_others_heels_are_near)
	{
		go_round(&near, 2000, 0);
		go_round(&at_heels, 20000, 0);
		ck_assert_uint_lt(written[1] * 20, written[0]);
	}
END_TEST

/* The lines of a try have left the caches: the next lap through them takes longer, and is no reason
 * for another try. */
START_TEST(what_follows_a_try_tells_nothing)
	{
		go_round(&near, 2000, 0);
		for (int i = 0; i < 10; i++) {
			do
				go_round(&near, 1, 0);
			while (bulk.phase == BULK_RESTS);
			do
				go_round(&near, 1, 0);
			while (bulk.phase != BULK_RESTS);
			for (int k = 0; k < 40; k++) {
				go_round(&far, 1, 0);
				ck_assert_uint_eq(bulk.way, 0);
			}
		}
	}
END_TEST

/* Bursts are eight laps of this small ring apart. A move away is seen in the second one, and one
 * together by the next probe; both need a lap more, and a burst. */
START_TEST(cores_that_move_are_followed)
	{
		for (int i = 0; i < 5; i++) {
			go_round(&near, 5000, 0);
			go_round(&near, 100, 0);
			ck_assert_uint_lt(written[1] * 20, written[0]);
			go_round(&far, 22, 0);
			ck_assert_uint_eq(bulk.way, PEAL_BULK_AROUND);
			go_round(&far, 5000, 0);
			ck_assert_uint_lt(written[0] * 20, written[1]);
			go_round(&near, 300, 0);
			ck_assert_uint_eq(bulk.way, 0);
		}
	}
END_TEST

/* While they are apart probes tell that they still are, and no whole try is needed. */
START_TEST(far_cores_are_probed)
	{
		uint64_t probed = 0;

		go_round(&far, 2000, 0);
		for (int i = 0; i < 20000; i++) {
			go_round(&far, 1, 0);
			probed += written[0];
			ck_assert_int_ne(bulk.phase, BULK_TRIES);
		}
		ck_assert_uint_gt(probed, 0);
		go_round(&far_to_read, 2000, 0);
		go_round(&far_to_read, 20000, 0);
		ck_assert_uint_lt(written[0] * 40, written[1]);
	}
END_TEST

START_TEST(one_that_is_interrupted_tells_nothing)
	{
		go_round(&near, 2000, 4);
		go_round(&near, 20000, 4);
		ck_assert_uint_lt(written[1] * 100, written[0]);
		go_round(&far, 2000, 4);
		go_round(&far, 20000, 4);
		ck_assert_uint_lt(written[0] * 100, written[1]);
	}
END_TEST

/* A writer that does not know of it, or has no such stores. */
START_TEST(a_writer_that_tells_nothing_is_left_alone)
	{
		static const struct place silent = { { 900, 150 }, { 600, 0 } };

		go_round(&silent, 2000, 0);
		ck_assert_uint_lt(written[1] * 100, written[0]);
	}
END_TEST

/* Whatever stands there: sums do not wrap into something small, and nothing else is believed. */
START_TEST(a_writer_that_lies_does_no_harm)
	{
		uint64_t x = 1;

		for (unsigned i = 0; i < 100000; i++) {
			uint32_t said[2] = { (uint32_t)scramble(&x), (uint32_t)scramble(&x) };

			bulk_learn(&bulk, scramble(&x) % 100000, 1 + scramble(&x) % CAPACITY,
				   CAPACITY, said);
			ck_assert_uint_le(bulk.bursts, bulk.patience);
			ck_assert_uint_le(bulk.patience, 256);
			ck_assert_uint_le(bulk.rest, 8 * CAPACITY);
		}
	}
END_TEST

/*
 * Links.
 */

static void undisturbed(void)
{
	unsetenv("PEAL_BULK_COPY");
}

static uint8_t sent[LONGEST], got[LONGEST];

static void ask(struct peal_link *reader, uint32_t way)
{
	reader->bulk.rest = UINT64_MAX;
	__atomic_store_n(&reader->page->rx_bulk, way, __ATOMIC_RELAXED);
}

static void expect_payload(struct peal_link *reader, size_t length, uint32_t tag)
{
	struct peal_message about;

	memset(got, GUARD, sizeof(got));
	ck_assert_int_eq(peal_recv(peal_link_rx(reader), got, sizeof(got), &about, LONG),
			 (int)length);
	ck_assert_uint_eq(about.tag, tag);
	ck_assert(payload_matches(got, length, tag));
}

START_TEST(payloads_arrive_whole_either_way)
	{
		static const size_t lengths[] = { 4095, 4096, 4097, 12345, 16384, 30000, 65000 };
		static const uint32_t ways[] = { 0, PEAL_BULK_AROUND, 77 };
		struct peal_link *links[2];
		struct iovec pieces[2];
		struct peal_message message = { 0 };
		struct peal_tx *tx;
		uint32_t tag = 0;

		pair_open(links, PEAL_WAIT_ADAPTIVE, 131072);
		tx = peal_link_tx(links[0]);
		for (size_t k = 0; k < sizeof(ways) / sizeof(ways[0]); k++) {
			ask(links[1], ways[k]);
			for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
				size_t length = lengths[i];

				payload_fill(sent, length, ++tag);
				ck_assert_int_eq(peal_send(tx, sent, length, tag, 0), 0);
				expect_payload(links[1], length, tag);
				pieces[0] = (struct iovec){ sent, length / 2 + 1 };
				pieces[1] = (struct iovec){ sent + length / 2 + 1,
							    length - length / 2 - 1 };
				ck_assert_int_eq(peal_sendv(tx, pieces, 2, tag, 0), 0);
				expect_payload(links[1], length, tag);
				message = (struct peal_message){ .data = sent,
								 .length = length,
								 .tag = tag };
				ck_assert_int_eq(peal_send_batch(tx, &message, 1, 0), 1);
				ck_assert_int_eq(peal_recv_batch(peal_link_rx(links[1]), got,
								 sizeof(got), &message, 1, LONG),
						 1);
				ck_assert(payload_matches(got, length, tag));
			}
		}
		/* They did go past the caches, if they can. */
		ck_assert_int_eq(links[0]->page->tx_bulk[1] != 0, arch_copy_around != NULL);
		pair_close(links);
	}
END_TEST

#define SENT 20

/* In fragments, from a thread, for the ring does not hold them. */
static void *send_long(void *data)
{
	static uint8_t payload[LONGEST];

	payload_fill(payload, sizeof(payload), 9);
	for (int i = 0; i < SENT; i++)
		if (peal_send(data, payload, sizeof(payload), 9, LONG))
			return data;
	return NULL;
}

START_TEST(the_environment_may_choose_for_all_links)
	{
		struct peal_link *links[2];

		setenv("PEAL_BULK_COPY", _i ? "around" : "cached", 1);
		pair_open(links, PEAL_WAIT_SPIN, 65536);
		for (int i = 0; i < 2; i++) {
			/* What the peer asks for does not matter then, and nothing is timed. */
			ask(links[!i], _i ? 0 : PEAL_BULK_AROUND);
			ck_assert_uint_eq(links[i]->bulk.way, _i ? PEAL_BULK_AROUND : 0);
			ck_assert_uint_eq(links[i]->bulk.rest, UINT64_MAX);
			payload_fill(sent, 30000, 5);
			ck_assert_int_eq(peal_send(peal_link_tx(links[i]), sent, 30000, 5, 0), 0);
			expect_payload(links[!i], 30000, 5);
		}
		pair_close(links);
	}
END_TEST

START_TEST(fragments_arrive_whole_either_way)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 32768);
		struct peal_link *links[2];
		pthread_t sender;
		void *failed;

		options.max_message = LONGEST;
		ck_assert_int_eq(peal_pair(links, &options), 0);
		ck_assert_int_eq(pthread_create(&sender, NULL, send_long, peal_link_tx(links[0])),
				 0);
		for (int i = 0; i < SENT; i++) {
			ask(links[1], (uint32_t)i % 2);
			expect_payload(links[1], LONGEST, 9);
		}
		ck_assert_int_eq(pthread_join(sender, &failed), 0);
		ck_assert_ptr_null(failed);
		ck_assert_int_eq(links[0]->page->tx_bulk[1] != 0, arch_copy_around != NULL);
		pair_close(links);
	}
END_TEST

/* Both sides time, the writer tells, and the reader asks for the other way at some time. */
START_TEST(a_link_tries_the_other_way)
	{
		struct peal_link *links[2];
		bool told = false, tried = false;

		pair_open(links, PEAL_WAIT_ADAPTIVE, 131072);
		payload_fill(sent, 40000, 3);
		for (int i = 0; i < 200; i++) {
			ck_assert_int_eq(peal_send(peal_link_tx(links[0]), sent, 40000, 3, 0), 0);
			expect_payload(links[1], 40000, 3);
			told |= links[0]->page->tx_bulk[0] != 0;
			tried |= links[1]->page->rx_bulk == PEAL_BULK_AROUND;
		}
		ck_assert(told);
		ck_assert_int_eq(tried, arch_copy_around != NULL);
		ck_assert(!tried || links[0]->page->tx_bulk[1]);
		pair_close(links);
	}
END_TEST

/* The same of fragments alone: a reader that gets nothing else learns from them. */
START_TEST(fragments_are_timed)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 32768);
		struct peal_link *links[2];
		bool tried = false;
		pthread_t sender;
		void *failed;

		options.max_message = LONGEST;
		ck_assert_int_eq(peal_pair(links, &options), 0);
		ck_assert_int_eq(pthread_create(&sender, NULL, send_long, peal_link_tx(links[0])),
				 0);
		for (int i = 0; i < SENT; i++) {
			expect_payload(links[1], LONGEST, 9);
			tried |= links[1]->page->rx_bulk == PEAL_BULK_AROUND;
		}
		ck_assert_int_eq(pthread_join(sender, &failed), 0);
		ck_assert_ptr_null(failed);
		ck_assert_int_eq(tried, arch_copy_around != NULL);
		pair_close(links);
	}
END_TEST

/* A reader that begins a try, and takes what follows in place, does not stay with it. */
START_TEST(a_try_that_nothing_comes_for_is_taken_back)
	{
		struct peal_link *links[2];
		struct peal_message message;

		pair_open(links, PEAL_WAIT_ADAPTIVE, 131072);
		payload_fill(sent, 40000, 3);
		for (int i = 0; arch_copy_around && links[1]->bulk.phase == BULK_RESTS; i++) {
			ck_assert_int_lt(i, 1000);
			ck_assert_int_eq(peal_send(peal_link_tx(links[0]), sent, 40000, 3, 0), 0);
			expect_payload(links[1], 40000, 3);
		}
		for (int i = 0; i < 250; i++) {
			ck_assert_int_eq(peal_send(peal_link_tx(links[0]), sent, 40000, 3, 0), 0);
			ck_assert_int_eq(peal_peek(peal_link_rx(links[1]), &message, LONG), 0);
			peal_release(peal_link_rx(links[1]));
			expect_error(peal_peek(peal_link_rx(links[1]), &message, 0), -EAGAIN, NULL);
		}
		ck_assert_int_eq(links[1]->bulk.phase, BULK_RESTS);
		ck_assert_uint_eq(links[1]->page->rx_bulk, 0);
		pair_close(links);
	}
END_TEST

/* Though the ring is empty after each, and most of what comes is short. */
START_TEST(a_probe_in_a_small_ring_is_judged)
	{
		struct peal_link *links[2];
		struct bulk *own;
		bool judged = false;

		pair_open(links, PEAL_WAIT_ADAPTIVE, 8192);
		own = &links[1]->bulk;
		own->way = PEAL_BULK_AROUND;
		own->known[PEAL_BULK_AROUND] = UINT32_MAX;
		own->rest = 0;
		payload_fill(sent, 4096, 3);
		for (int i = 0; arch_copy_around && i < 1000; i++) {
			struct peal_message none;

			ck_assert_int_eq(peal_send(peal_link_tx(links[0]), sent, 4096, 3, 0), 0);
			expect_payload(links[1], 4096, 3);
			expect_error(peal_peek(peal_link_rx(links[1]), &none, 0), -EAGAIN, NULL);
			judged |= own->phase == BULK_TRIES;
			/* Whatever the bursts tell. */
			own->known[PEAL_BULK_AROUND] = UINT32_MAX;
			for (int k = 0; k < 3; k++) {
				ck_assert_int_eq(
					peal_send(peal_link_tx(links[0]), sent, 4000, 3, 0), 0);
				expect_payload(links[1], 4000, 3);
			}
		}
		ck_assert_int_eq(judged, arch_copy_around != NULL);
		pair_close(links);
	}
END_TEST

/* A writer looks at its clock once in 64 KiB, and when it is asked for another way. */
START_TEST(few_payloads_are_timed)
	{
		struct peal_link *links[2];
		int timed = 0;

		pair_open(links, PEAL_WAIT_ADAPTIVE, 131072);
		payload_fill(sent, 4096, 3);
		for (int i = 1; arch_copy_around && i <= 160; i++) {
			ask(links[1], i > 80 ? PEAL_BULK_AROUND : 0);
			ck_assert_int_eq(peal_send(peal_link_tx(links[0]), sent, 4096, 3, 0), 0);
			expect_payload(links[1], 4096, 3);
			timed += !links[0]->bulk_untimed;
			if (i == 81)
				ck_assert_uint_ne(links[0]->page->tx_bulk[1], 0);
		}
		ck_assert_int_eq(timed, arch_copy_around ? 10 : 0);
		pair_close(links);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("bulk");
	TCase *copies = tcase_create("copies"), *ways = tcase_create("ways"),
	      *links = tcase_create("links");

	tcase_add_test(copies, past_the_caches_all_is_copied_and_nothing_else);
	suite_add_tcase(s, copies);
	tcase_add_checked_fixture(ways, set_up, NULL);
	tcase_add_test(ways, near_cores_go_by_their_caches);
	tcase_add_test(ways, far_cores_go_round_them);
	tcase_add_test(ways, the_slower_side_counts_twice);
	tcase_add_test(ways, cores_at_each_others_heels_are_near);
	tcase_add_test(ways, what_follows_a_try_tells_nothing);
	tcase_add_test(ways, cores_that_move_are_followed);
	tcase_add_test(ways, far_cores_are_probed);
	tcase_add_test(ways, one_that_is_interrupted_tells_nothing);
	tcase_add_test(ways, a_writer_that_tells_nothing_is_left_alone);
	tcase_add_test(ways, a_writer_that_lies_does_no_harm);
	suite_add_tcase(s, ways);
	tcase_add_checked_fixture(links, undisturbed, NULL);
	tcase_add_loop_test(links, the_environment_may_choose_for_all_links, 0, 2);
	tcase_add_test(links, payloads_arrive_whole_either_way);
	tcase_add_test(links, fragments_arrive_whole_either_way);
	tcase_add_test(links, a_link_tries_the_other_way);
	tcase_add_test(links, fragments_are_timed);
	tcase_add_test(links, a_try_that_nothing_comes_for_is_taken_back);
	tcase_add_test(links, a_probe_in_a_small_ring_is_judged);
	tcase_add_test(links, few_payloads_are_timed);
	suite_add_tcase(s, links);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
