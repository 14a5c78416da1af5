/*
 * SPDX-License-Identifier: MIT
 *
 * The bells' protocol, white-box and in one thread: tables of the test's own let the peer act while
 * an end spins or sleeps, and single steps let it act between any two instructions of falling
 * asleep and of ringing. A sleep that nobody would end is a lost wake-up.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/link.h"
#include "tests/unit/stage.h"
#include "tests/unit/stepper.h"

#define US 1000

/* links[0] sends and links[1] receives, and waits are those below. */
static struct peal_link *links[2];
static struct peal_tx *tx;
static struct peal_rx *rx;
static uint64_t capacity;
static uint8_t buffer[64];

/*
 * A waiter that never sleeps: it says what it was asked, lets the peer act, and answers as a futex
 * would.
 */

static struct {
	int waits; /* calls so far */
	int64_t ns;
	const uint32_t *word;
	uint32_t seen;
	bool shared;
	int wakes;
	const uint32_t *woken; /* during this wait */
	void (*act)(void);     /* inside each wait */
	int64_t slept[16];     /* ns of the first waits */
} waiter;

static bool usable(const char **why)
{
	*why = "it is the test's own";
	return true;
}

static int wait_on(const uint32_t *word, uint32_t seen, int64_t ns, bool shared)
{
	stepper_stop(); /* as one call into the kernel */
	if (waiter.waits < 16)
		waiter.slept[waiter.waits] = ns;
	waiter.waits++;
	waiter.word = word;
	waiter.seen = seen;
	waiter.ns = ns;
	waiter.shared = shared;
	waiter.woken = NULL;
	if (waiter.waits > 1000000) /* a fast CPU has 100000 in 6 ms */
		ck_abort_msg("it waits for ever");
	if (waiter.act)
		waiter.act();
	if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != seen || waiter.woken == word)
		return 0;
	return -ETIMEDOUT;
}

static void wake(const uint32_t *word, bool shared)
{
	(void)shared;
	waiter.wakes++;
	waiter.woken = word;
}

static const struct peal_waiter_ops own_waiter = { .name = "unit",
						   .usable = usable,
						   .wait = wait_on,
						   .wake = wake };

/* A ring table, likewise. */
static struct {
	int awaits;
	const uint64_t *word;
	uint64_t old, ns[16];
	void (*act)(void); /* before it answers */
} ring;

static void relax(void)
{
}

static uint64_t await(const uint64_t *word, uint64_t old, uint64_t ns)
{
	if (ring.awaits < 16)
		ring.ns[ring.awaits] = ns;
	ring.awaits++;
	ring.word = word;
	ring.old = old;
	if (ring.awaits > 100000)
		ck_abort_msg("it spins for ever");
	if (ring.act)
		ring.act();
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static const struct peal_ring_ops own_ring = { .name = "unit",
					       .usable = usable,
					       .relax = relax,
					       .await = await };

static void use(struct peal_link *link)
{
	link->waiter = &own_waiter;
	link->ring = &own_ring;
}

static void open_with(uint32_t wait)
{
	memset(&waiter, 0, sizeof(waiter));
	memset(&ring, 0, sizeof(ring));
	capacity = stage_page();
	pair_open(links, wait, capacity);
	use(links[0]);
	use(links[1]);
	tx = peal_link_tx(links[0]);
	rx = peal_link_rx(links[1]);
}

static void set_up(void)
{
	open_with(PEAL_WAIT_SLEEP);
}

static void tear_down(void)
{
	pair_close(links);
}

static uint32_t rx_asleep(void)
{
	return __atomic_load_n(&links[1]->page->rx_asleep, __ATOMIC_ACQUIRE);
}

static uint32_t tx_asleep(void)
{
	return __atomic_load_n(&links[0]->page->tx_asleep, __ATOMIC_ACQUIRE);
}

static void send_some(void)
{
	if (peal_send(tx, "some", 4, 0, 0))
		ck_abort_msg("no room: %s", peal_error());
}

static void expect_some(int64_t timeout)
{
	ck_assert_int_eq(peal_recv(rx, buffer, sizeof(buffer), NULL, timeout), 4);
}

static void release_one(void)
{
	struct peal_message message;

	if (peal_peek(rx, &message, 0))
		ck_abort_msg("nothing to release: %s", peal_error());
	peal_release(rx);
}

static void release_all(void)
{
	struct peal_message message;

	while (!peal_peek(rx, &message, 0))
		peal_release(rx);
}

/* Fills the ring with records of 64 bytes. */
static void fill(void)
{
	while (!peal_send(tx, buffer, 56, 0, 0))
		;
}

/*
 * Spinning.
 */

static void third_time_sends(void)
{
	if (ring.awaits == 3)
		send_some();
}

START_TEST(a_ring_table_of_the_tests_own_is_asked_to_await_a_message)
	{
		const void *header;

		open_with(PEAL_WAIT_ADAPTIVE);
		header = rx->data;
		links[1]->data.spin_ns = 1000 * MS;
		ring.act = third_time_sends;
		expect_some(LONG);
		ck_assert_int_eq(ring.awaits, 3);
		ck_assert_ptr_eq(ring.word, header);
		ck_assert_uint_eq(ring.old, 0);
		ck_assert_uint_eq(ring.ns[0], 0); /* what comes at once needs no clock */
		ck_assert_uint_gt(ring.ns[2], 0);
		ck_assert_uint_le(ring.ns[2], 1000 * MS);
		ck_assert_int_eq(waiter.waits, 0);
		ck_assert_uint_eq(rx_asleep(), PEAL_ASLEEP_FENCE);
	}
END_TEST

static void third_time_releases(void)
{
	if (ring.awaits == 3)
		release_one();
}

START_TEST(a_ring_table_of_the_tests_own_is_asked_to_await_room)
	{
		void *at;

		open_with(PEAL_WAIT_SPIN);
		fill();
		release_one();
		fill();
		ring.act = third_time_releases;
		ck_assert_int_eq(peal_reserve(tx, 56, &at, PEAL_FOREVER), 0);
		ck_assert_int_eq(ring.awaits, 3);
		ck_assert_ptr_eq(ring.word, &links[1]->page->head);
		ck_assert_uint_eq(ring.old, 64);
		ck_assert_int_eq(waiter.waits, 0);
	}
END_TEST

START_TEST(an_await_that_returns_for_no_reason_is_asked_again)
	{
		open_with(PEAL_WAIT_SPIN);
		ring.act = third_time_sends;
		expect_some(PEAL_FOREVER);
		ck_assert_int_eq(ring.awaits, 3);
	}
END_TEST

static void spins_unseen(void)
{
	ck_assert_uint_eq(rx_asleep(), 0);
	third_time_sends();
}

START_TEST(one_that_spins_asks_for_no_rings_and_no_fences)
	{
		open_with(PEAL_WAIT_SPIN);
		ck_assert_uint_eq(rx_asleep(), 0);
		ring.act = spins_unseen;
		for (int i = 0; i < 10; i++) {
			ring.awaits = 0;
			expect_some(PEAL_FOREVER);
		}
		ck_assert_uint_eq(rx_asleep(), 0);
		ck_assert_int_eq(waiter.waits + waiter.wakes, 0);
		ck_assert_uint_eq(links[0]->page->data_wake, 0);
		ck_assert_int_eq(peal_recv(rx, buffer, sizeof(buffer), NULL, MS), -ETIMEDOUT);
		ck_assert_int_eq(waiter.waits, 0);
	}
END_TEST

static void stream_of_five(void)
{
	for (int i = 0; i < 5; i++) {
		send_some();
		expect_some(0);
	}
	expect_some(LONG);
}

START_TEST(in_a_stream_fences_are_given_up_while_awake_but_not_while_armed)
	{
		struct bell *bell;

		open_with(PEAL_WAIT_ADAPTIVE);
		bell = &links[1]->data;
		bell->spin_ns = 1000 * MS; /* also on one CPU */
		bell->asymmetric = bell->always = true;
		ring.act = send_some;
		stream_of_five();
		ck_assert_uint_eq(rx_asleep() & 7, 0);
		/* The word of one that is armed stays as it was armed, or it is not armed any
		 * more. */
		bell->word |= PEAL_ASLEEP_FENCE;
		bell->armed = true;
		__atomic_store_n(bell->asleep, bell->word | PEAL_ASLEEP, __ATOMIC_RELEASE);
		stream_of_five();
		ck_assert_uint_eq(rx_asleep() & PEAL_ASLEEP, bell->armed);
	}
END_TEST

/* It has no upper bound that a test could see; that a small ring is not filled meanwhile is in what
 * the bell was given. */
START_TEST(after_more_messages_a_reader_lets_the_writer_get_further_ahead)
	{
		struct peal_options options;
		struct bell *bell;
		uint64_t begun;

		open_with(PEAL_WAIT_SPIN);
		bell = &links[1]->data;
		ck_assert(capacity > 4096 || bell->breath_most == bell->breath);
		bell->breath = 1600;
		bell->breath_most = 1600000;
		for (int i = 0; i < 100; i++)
			send_some();
		for (int i = 0; i < 100; i++)
			expect_some(0);
		ring.act = send_some;
		begun = arch_ticks();
		expect_some(LONG);
		ck_assert_uint_ge(arch_ticks() - begun, 100 * 100);
		tear_down();

		capacity = 2097152;
		pair_open(links, PEAL_WAIT_SPIN, capacity);
		ck_assert_uint_gt(links[1]->data.breath_most, 8 * links[1]->data.breath);
		ck_assert_uint_eq(links[0]->room.breath_most, links[0]->room.breath);
		pair_close(links);

		/* Nor does it go on for longer than a wait may spin. */
		options = stage_options(PEAL_WAIT_ADAPTIVE, capacity);
		options.spin_ns = 1000;
		ck_assert_int_eq(peal_pair(links, &options), 0);
		ck_assert_uint_lt(links[1]->data.breath_most, 2 * links[1]->data.breath);
	}
END_TEST

START_TEST(one_that_only_sleeps_does_not_spin)
	{
		waiter.act = send_some;
		expect_some(PEAL_FOREVER);
		ck_assert_int_eq(ring.awaits, 0);
		ck_assert_int_eq(waiter.waits, 1);
	}
END_TEST

START_TEST(an_adaptive_one_sleeps_when_its_budget_is_spent)
	{
		open_with(PEAL_WAIT_ADAPTIVE);
		links[1]->data.spin_ns = 50 * US;
		waiter.act = send_some;
		expect_some(PEAL_FOREVER);
		ck_assert_int_ge(ring.awaits, 1);
		ck_assert_int_eq(waiter.waits, 1);
		for (int i = 0; i < ring.awaits && i < 16; i++)
			ck_assert_uint_le(ring.ns[i], 50 * US);
	}
END_TEST

START_TEST(waits_that_time_out_while_they_spin_learn_to_sleep)
	{
		struct bell *bell;

		open_with(PEAL_WAIT_ADAPTIVE);
		bell = &links[1]->data;
		bell->spin_ns = 200 * US;
		for (int i = 0; i < 5; i++)
			ck_assert_int_eq(peal_recv(rx, buffer, sizeof(buffer), NULL, 50 * US),
					 -ETIMEDOUT);
		ck_assert_int_ge(ring.awaits, 1);
		ring.awaits = waiter.waits = 0;
		ck_assert_int_eq(peal_recv(rx, buffer, sizeof(buffer), NULL, 50 * US), -ETIMEDOUT);
		ck_assert_int_eq(ring.awaits, 0);
		ck_assert_int_ge(waiter.waits, 1);
	}
END_TEST

/*
 * The data bell.
 */

static uint32_t asleep_seen;

static void three_messages(void)
{
	struct peal_page *page = links[0]->page;

	asleep_seen = rx_asleep();
	ck_assert_uint_eq(asleep_seen & 7, PEAL_ASLEEP | PEAL_ASLEEP_FENCE);
	ck_assert_uint_ge(asleep_seen, PEAL_ASLEEP_EPOCH);
	ck_assert_ptr_eq(waiter.word, &page->data_wake);
	ck_assert_uint_eq(waiter.seen, page->data_wake);
	for (int i = 0; i < 3; i++)
		send_some();
	ck_assert_int_eq(waiter.wakes, 1);
	ck_assert_ptr_eq(waiter.woken, &page->data_wake);
	ck_assert_uint_eq(page->data_wake, waiter.seen + 1);
	ck_assert_uint_eq(page->data_acknowledged, asleep_seen);
	ck_assert_uint_ne(page->data_rung_ns, 0);
	waiter.act = NULL;
}

START_TEST(a_sleeper_is_rung_once_however_much_is_sent)
	{
		ck_assert_uint_eq(rx_asleep(), PEAL_ASLEEP_FENCE);
		waiter.act = three_messages;
		for (int i = 0; i < 3; i++)
			expect_some(PEAL_FOREVER);
		ck_assert_int_eq(waiter.waits, 1);
		/* Awake again, in the same epoch, and still to be fenced for. */
		ck_assert_uint_eq(rx_asleep(), asleep_seen & ~PEAL_ASLEEP);
		send_some();
		ck_assert_int_eq(waiter.wakes, 1);
		ck_assert_uint_eq(links[0]->slot->tx.rung, 1);
		ck_assert_uint_eq(links[1]->slot->rx.sleeps, 1);
		ck_assert_uint_eq(links[1]->slot->rx.idle_rings, 0);
	}
END_TEST

START_TEST(every_sleep_is_an_epoch_of_its_own_and_rung_once)
	{
		uint32_t before = rx_asleep();

		for (int i = 1; i <= 20; i++) {
			waiter.act = three_messages;
			waiter.wakes = 0;
			for (int n = 0; n < 3; n++)
				expect_some(PEAL_FOREVER);
			ck_assert_uint_gt(asleep_seen, before);
			before = rx_asleep();
			ck_assert_uint_eq(links[0]->page->data_wake, (uint32_t)i);
		}
		ck_assert_uint_eq(links[0]->slot->tx.rung, 20);
	}
END_TEST

START_TEST(epochs_may_wrap)
	{
		for (int i = 0; i < 4; i++) {
			links[1]->data.word = (UINT32_MAX & ~(PEAL_ASLEEP_EPOCH - 1)) |
					      PEAL_ASLEEP_FENCE;
			links[1]->data.word -= (uint32_t)i * PEAL_ASLEEP_EPOCH;
			for (int n = 0; n < 6; n++) {
				waiter.act = send_some;
				waiter.wakes = 0;
				expect_some(PEAL_FOREVER);
				ck_assert_int_eq(waiter.wakes, 1);
				ck_assert_uint_eq(rx_asleep() & 7, PEAL_ASLEEP_FENCE);
			}
		}
	}
END_TEST

START_TEST(words_are_born_with_what_their_owner_wants)
	{
		for (uint32_t wait = 0; wait < 3; wait++) {
			uint32_t fence = wait == PEAL_WAIT_SPIN ? 0 : PEAL_ASLEEP_FENCE;

			if (wait)
				tear_down();
			open_with(wait);
			ck_assert_uint_eq(links[0]->peer_page->rx_asleep, fence);
			ck_assert_uint_eq(links[1]->peer_page->rx_asleep, fence);
			ck_assert_uint_eq(links[1]->peer_page->tx_asleep, 0);
			ck_assert_uint_eq(links[1]->peer_page->data_wake, 0);
			ck_assert_uint_eq(links[1]->peer_page->room_wake, 0);
			ck_assert_uint_eq(links[1]->peer_page->closed, 0);
		}
	}
END_TEST

static void five_idle_rings(void)
{
	if (waiter.waits > 1)
		ck_assert_uint_gt(rx_asleep(), asleep_seen);
	asleep_seen = rx_asleep();
	if (waiter.waits <= 5)
		links[0]->page->data_wake++;
	else
		send_some();
}

START_TEST(a_ring_without_news_is_counted_and_slept_on)
	{
		waiter.act = five_idle_rings;
		expect_some(PEAL_FOREVER);
		ck_assert_int_eq(waiter.waits, 6);
		ck_assert_uint_eq(links[1]->slot->rx.idle_rings, 5);
		ck_assert_uint_eq(links[1]->slot->rx.slices, 0);
	}
END_TEST

static int idle_rings; /* before the message */

static void rings_and_then_sends(void)
{
	if (waiter.waits <= idle_rings)
		links[0]->page->data_wake++;
	else
		send_some();
}

START_TEST(a_thousand_rings_without_news_in_one_wait_are_a_lie)
	{
		waiter.act = rings_and_then_sends;
		idle_rings = 1000;
		expect_some(PEAL_FOREVER);
		waiter.waits = 0;
		expect_some(PEAL_FOREVER); /* a wait of its own */
		waiter.waits = 0;
		idle_rings = 1001;
		expect_error(peal_recv(rx, buffer, sizeof(buffer), NULL, PEAL_FOREVER), -EPROTO,
			     "1001 times", NULL);
		ck_assert_int_eq(waiter.waits, 1001);
		waiter.act = NULL;
	}
END_TEST

static void eighth_time_sends(void)
{
	if (waiter.waits == 8)
		send_some();
}

START_TEST(sleeps_that_go_unrung_grow_to_a_limit)
	{
		static const int64_t slices[] = { 10, 20, 40, 80, 100, 100, 100, 100 };
		uint64_t begun;

		waiter.act = eighth_time_sends;
		/* After 10 ms, which no sleep takes here, a pair sleeps without slices. */
		do {
			begun = platform_now();
			waiter.waits = 0;
			links[1]->slot->rx.slices = links[1]->slot->rx.sleeps = 0;
			expect_some(PEAL_FOREVER);
		} while (platform_now() - begun >= (uint64_t)(10 * MS));
		for (int i = 0; i < 8; i++)
			ck_assert_int_eq(waiter.slept[i], slices[i] * MS);
		ck_assert_uint_eq(links[1]->slot->rx.slices, 7);
		ck_assert_uint_eq(links[1]->slot->rx.sleeps, 8);
	}
END_TEST

static void never_past_the_deadline(void)
{
	ck_assert_int_gt(waiter.ns, 0);
	ck_assert_int_le(waiter.ns, 3 * MS);
}

START_TEST(no_sleep_is_longer_than_the_timeout)
	{
		void *at;

		waiter.act = never_past_the_deadline;
		ck_assert_int_eq(peal_recv(rx, buffer, sizeof(buffer), NULL, 3 * MS), -ETIMEDOUT);
		ck_assert_int_ge(waiter.waits, 1);
		ck_assert_uint_eq(rx_asleep() & 7, PEAL_ASLEEP_FENCE);
		fill();
		ck_assert_int_eq(peal_reserve(tx, 56, &at, 3 * MS), -ETIMEDOUT);
		ck_assert_uint_eq(tx_asleep() & 7, 0);
	}
END_TEST

START_TEST(a_pair_sleeps_privately_and_a_link_shared)
	{
		struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 0);
		struct meeting meeting;

		waiter.act = send_some;
		expect_some(PEAL_FOREVER);
		ck_assert(!waiter.shared);

		meeting_open(&meeting, &options, &options);
		use(meeting.server);
		waiter.act = NULL;
		ck_assert_int_eq(peal_recv(peal_link_rx(meeting.server), buffer, 4, NULL, MS),
				 -ETIMEDOUT);
		ck_assert(waiter.shared);
		meeting_close(&meeting);
	}
END_TEST

/*
 * The room bell.
 */

static uint64_t wants_expected;
static int rung_at; /* how many releases it took */

static void release_until_rung(void)
{
	struct peal_page *page = links[0]->page;

	asleep_seen = tx_asleep();
	ck_assert_uint_eq(asleep_seen & 7, PEAL_ASLEEP);
	ck_assert_uint_eq(page->tx_wants, wants_expected);
	ck_assert_ptr_eq(waiter.word, &links[1]->page->room_wake);
	for (rung_at = 0; !waiter.wakes; rung_at++) {
		ck_assert_uint_lt(links[1]->page->head, wants_expected);
		release_one();
	}
	ck_assert_uint_ge(links[1]->page->head, wants_expected);
	ck_assert_ptr_eq(waiter.woken, &links[1]->page->room_wake);
	ck_assert_uint_eq(links[1]->page->room_acknowledged, asleep_seen);
	ck_assert_uint_ne(links[1]->page->room_rung_ns, 0);
	release_all();
	ck_assert_int_eq(waiter.wakes, 1);
}

/* What the read position must be for so many bytes more. */
static uint64_t needed(uint64_t length)
{
	return tx->pos + peal_record_size(length) + PEAL_HEADER_SIZE - capacity;
}

START_TEST(a_producer_asks_for_its_room_and_a_quarter_of_the_ring)
	{
		void *at;

		fill();
		wants_expected = needed(56) + capacity / 4;
		waiter.act = release_until_rung;
		ck_assert_int_eq(peal_reserve(tx, 56, &at, PEAL_FOREVER), 0);
		ck_assert_int_eq(waiter.waits, 1);
		ck_assert_int_eq(rung_at, (int)((wants_expected + 63) / 64));
		ck_assert_uint_eq(tx_asleep(), asleep_seen & ~PEAL_ASLEEP);
		ck_assert_uint_eq(links[1]->slot->rx.rung, 1);
		ck_assert_uint_eq(links[0]->slot->tx.sleeps, 1);
	}
END_TEST

START_TEST(a_producer_asks_for_no_more_than_there_is)
	{
		uint64_t most = capacity - 16;
		static uint8_t text[65536];
		void *at;

		ck_assert_uint_le(most, sizeof(text));
		ck_assert_int_eq(peal_send(tx, text, most, 0, 0), 0);
		wants_expected = tx->pos;
		waiter.act = release_until_rung;
		ck_assert_int_eq(peal_reserve(tx, most, &at, PEAL_FOREVER), 0);
		ck_assert_int_eq(rung_at, 1);
	}
END_TEST

static void second_sleep_asks_for_less(void)
{
	ck_assert_int_eq(waiter.ns, waiter.waits * MS);
	if (waiter.waits == 1) {
		asleep_seen = tx_asleep();
		ck_assert_uint_eq(links[0]->page->tx_wants, wants_expected + capacity / 4);
		return;
	}
	ck_assert_int_eq(waiter.waits, 2);
	ck_assert_uint_gt(tx_asleep(), asleep_seen);
	ck_assert_uint_eq(links[0]->page->tx_wants, wants_expected);
	release_one();
	ck_assert_int_eq(waiter.wakes, 1);
}

START_TEST(after_its_first_slice_a_producer_asks_for_just_what_it_needs)
	{
		void *at;

		fill();
		wants_expected = needed(56);
		waiter.act = second_sleep_asks_for_less;
		ck_assert_int_eq(peal_reserve(tx, 56, &at, PEAL_FOREVER), 0);
		ck_assert_int_eq(waiter.waits, 2);
		ck_assert_uint_eq(links[0]->slot->tx.slices, 1);
	}
END_TEST

static void release_unrung(void)
{
	release_one();
	ck_assert_int_eq(waiter.wakes, 0);
}

START_TEST(room_that_suffices_is_found_after_the_slice)
	{
		void *at;

		fill();
		waiter.act = release_unrung;
		ck_assert_int_eq(peal_reserve(tx, 56, &at, PEAL_FOREVER), 0);
		ck_assert_int_eq(waiter.waits, 1);
		ck_assert_int_eq(waiter.slept[0], MS);
	}
END_TEST

/* As if the release's look had come before the producer's word was there. */
static void release_unseeing(void)
{
	uint32_t asleep = tx_asleep();

	links[0]->page->tx_asleep = 0;
	release_all();
	links[0]->page->tx_asleep = asleep;
	ck_assert_int_eq(waiter.wakes, 0);
}

START_TEST(a_ring_that_slips_through_is_made_up_for_by_the_slice)
	{
		void *at;

		fill();
		waiter.act = release_unseeing;
		ck_assert_int_eq(peal_reserve(tx, 56, &at, PEAL_FOREVER), 0);
		ck_assert_int_eq(waiter.waits, 1);
	}
END_TEST

static void release_at_the_tenth(void)
{
	if (waiter.waits == 10)
		release_one();
}

START_TEST(a_producers_slices_begin_short_and_grow_to_a_limit)
	{
		static const int64_t slices[] = { 1, 2, 4, 8, 16, 32, 64, 100, 100, 100 };
		void *at;

		fill();
		waiter.act = release_at_the_tenth;
		ck_assert_int_eq(peal_reserve(tx, 56, &at, PEAL_FOREVER), 0);
		for (int i = 0; i < 10; i++)
			ck_assert_int_eq(waiter.slept[i], slices[i] * MS);
	}
END_TEST

/* A consumer with a pace, in a time that passes only while the producer sleeps. */
static struct {
	int64_t pace, next, elapsed; /* ns a record, to the next one, so far */
} consumer;

static void release_at_its_pace(void)
{
	int64_t left = waiter.ns;

	while (left && !waiter.woken) {
		int64_t step = left < consumer.next ? left : consumer.next;

		left -= step;
		consumer.elapsed += step;
		consumer.next -= step;
		if (!consumer.next) {
			consumer.next = consumer.pace;
			release_one();
		}
	}
}

static const int64_t paces[] = { 100,      1 * US,   10 * US, 50 * US, 70 * US, 100 * US,
				 300 * US, 999 * US, 3 * MS,  20 * MS, 150 * MS };

#define PACES ((int)(sizeof(paces) / sizeof(paces[0])))

START_TEST(a_stream_into_a_slow_consumer_sleeps_seldom)
	{
		struct peal_stats stats = { .size = sizeof(stats) };
		uint64_t quarters, elapsed_ms;

		waiter.act = release_at_its_pace;
		consumer.next = consumer.pace = paces[_i];
		consumer.elapsed = 0;
		for (int i = 0; i < 2000; i++)
			ck_assert_int_eq(peal_send(tx, buffer, 56, 0, PEAL_FOREVER), 0);
		ck_assert_int_eq(peal_link_stats(links[0], &stats), 0);
		quarters = tx->pos / (capacity / 4);
		elapsed_ms = (uint64_t)(consumer.elapsed / MS);
		ck_assert_uint_gt(stats.tx.sleeps, 0);
		/* And one more for a quarter, and for a millisecond, that is not over yet. */
		ck_assert_uint_le(stats.tx.sleeps, quarters + 2 * elapsed_ms + 1 + 2);
	}
END_TEST

START_TEST(nobody_is_rung_while_both_are_awake)
	{
		for (int lap = 0; lap < 3; lap++) {
			fill();
			release_all();
		}
		ck_assert_int_eq(waiter.waits + waiter.wakes, 0);
		ck_assert_uint_eq(links[0]->page->data_wake + links[1]->page->room_wake, 0);
	}
END_TEST

/*
 * By descriptor.
 */

static int bytes_waiting(int fd)
{
	char byte;
	int count = 0;

	while (recv(fd, &byte, 1, MSG_DONTWAIT) > 0)
		count++;
	return count;
}

START_TEST(who_sleeps_by_descriptor_is_rung_through_the_socket)
	{
		struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 4096);
		struct meeting meeting;
		struct peal_tx *out;

		options.bell = PEAL_BELL_SOCKET;
		meeting_open(&meeting, &options, NULL);
		out = peal_link_tx(meeting.client);
		use(meeting.client);
		for (uint32_t epoch = 1; epoch < 4; epoch++) {
			__atomic_store_n(&meeting.server->page->rx_asleep,
					 epoch * PEAL_ASLEEP_EPOCH | PEAL_ASLEEP |
						 PEAL_ASLEEP_DESCRIPTOR,
					 __ATOMIC_RELEASE);
			for (int i = 0; i < 3; i++)
				ck_assert_int_eq(peal_send(out, "x", 1, 0, 0), 0);
			ck_assert_int_eq(bytes_waiting(meeting.server->fd), 1);
			ck_assert_uint_eq(meeting.client->page->data_wake, epoch);
			ck_assert_uint_eq(meeting.client->page->data_acknowledged,
					  meeting.server->page->rx_asleep);
		}
		ck_assert_int_eq(waiter.wakes, 0);
		meeting_close(&meeting);
	}
END_TEST

START_TEST(a_full_socket_is_a_bell_already_rung)
	{
		struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 4096);
		struct meeting meeting;
		char byte;

		options.bell = PEAL_BELL_SOCKET;
		meeting_open(&meeting, &options, NULL);
		use(meeting.client);
		for (uint32_t epoch = 1; epoch < 3000; epoch++) {
			__atomic_store_n(&meeting.server->page->rx_asleep,
					 epoch * PEAL_ASLEEP_EPOCH | PEAL_ASLEEP |
						 PEAL_ASLEEP_DESCRIPTOR,
					 __ATOMIC_RELEASE);
			ck_assert_int_eq(peal_send(peal_link_tx(meeting.client), "x", 1, 0, 0), 0);
			ck_assert_int_eq(peal_recv(peal_link_rx(meeting.server), &byte, 1, NULL, 0),
					 1);
		}
		ck_assert_int_ge(bytes_waiting(meeting.server->fd), 1);
		meeting_close(&meeting);
	}
END_TEST

START_TEST(without_a_socket_a_sleeper_by_descriptor_is_woken_as_others)
	{
		links[1]->page->rx_asleep = PEAL_ASLEEP_EPOCH | PEAL_ASLEEP |
					    PEAL_ASLEEP_DESCRIPTOR;
		send_some();
		ck_assert_int_eq(waiter.wakes, 1);
	}
END_TEST

/*
 * Ends.
 */

static void close_sender(void)
{
	peal_close(links[0]);
	links[0] = NULL;
	ck_assert_ptr_eq(waiter.woken, waiter.word);
	waiter.act = NULL;
}

static void send_and_close(void)
{
	send_some();
	waiter.woken = NULL;
	peal_close(links[0]);
	links[0] = NULL;
	waiter.act = NULL;
}

START_TEST(a_close_wakes_a_sleeping_receiver)
	{
		waiter.act = close_sender;
		expect_error(peal_recv(rx, buffer, sizeof(buffer), NULL, PEAL_FOREVER), -EPIPE,
			     NULL);
		ck_assert_int_eq(waiter.waits, 1);
	}
END_TEST

START_TEST(what_was_sent_just_before_a_close_is_received_first)
	{
		waiter.act = send_and_close;
		expect_some(PEAL_FOREVER);
		expect_error(peal_recv(rx, buffer, sizeof(buffer), NULL, PEAL_FOREVER), -EPIPE,
			     NULL);
		ck_assert_int_eq(waiter.waits, 1);
	}
END_TEST

static void close_receiver(void)
{
	peal_close(links[1]);
	links[1] = NULL;
	ck_assert_ptr_eq(waiter.woken, waiter.word);
	waiter.act = NULL;
}

START_TEST(a_close_wakes_a_sleeping_sender)
	{
		void *at;

		fill();
		waiter.act = close_receiver;
		expect_error(peal_reserve(tx, 56, &at, PEAL_FOREVER), -EPIPE, "unread", NULL);
		ck_assert_int_eq(waiter.waits, 1);
		expect_error(peal_reserve(tx, 0, &at, 0), -EPIPE, NULL);
	}
END_TEST

START_TEST(who_sends_after_a_close_learns_of_it_at_the_next)
	{
		peal_close(links[1]);
		links[1] = NULL;
		send_some();
		expect_error(peal_send(tx, "some", 4, 0, PEAL_FOREVER), -EPIPE, NULL);
	}
END_TEST

static struct meeting meeting;

static void client_sends_and_dies(void)
{
	if (peal_send(peal_link_tx(meeting.client), "some", 4, 0, 0))
		ck_abort_msg("%s", peal_error());
	platform_hang_up(meeting.client->fd);
	waiter.act = NULL;
}

START_TEST(a_death_is_found_between_sleeps_after_what_was_sent)
	{
		struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 0);

		meeting_open(&meeting, &options, &options);
		use(meeting.server);
		waiter.act = client_sends_and_dies;
		rx = peal_link_rx(meeting.server);
		expect_some(PEAL_FOREVER);
		for (int i = 0; i < 2; i++)
			expect_error(peal_recv(rx, buffer, sizeof(buffer), NULL, PEAL_FOREVER),
				     -ECONNRESET, "died", NULL);
		meeting_close(&meeting);
	}
END_TEST

static void client_dies(void)
{
	platform_hang_up(meeting.client->fd);
	waiter.act = NULL;
}

START_TEST(a_death_ends_a_wait_for_room)
	{
		struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 0);
		void *at;

		meeting_open(&meeting, &options, &options);
		use(meeting.server);
		tx = peal_link_tx(meeting.server);
		fill();
		waiter.act = client_dies;
		expect_error(peal_reserve(tx, 56, &at, PEAL_FOREVER), -ECONNRESET, "died", NULL);
		expect_error(peal_reserve(tx, 0, &at, 0), -ECONNRESET, "died", NULL);
		meeting_close(&meeting);
	}
END_TEST

START_TEST(one_that_only_polls_finds_a_death_too)
	{
		struct peal_options options = stage_options(PEAL_WAIT_SPIN, 0);
		int err;

		meeting_open(&meeting, &options, &options);
		platform_hang_up(meeting.client->fd);
		do
			err = (int)peal_recv(peal_link_rx(meeting.server), buffer, sizeof(buffer),
					     NULL, 0);
		while (err == -EAGAIN);
		expect_error(err, -ECONNRESET, "died", NULL);
		fill();
		tx = peal_link_tx(meeting.server);
		do
			err = peal_send(tx, buffer, 56, 0, 0);
		while (!err || err == -EAGAIN);
		expect_error(err, -ECONNRESET, "died", NULL);
		meeting_close(&meeting);
	}
END_TEST

/*
 * Every interleaving of falling asleep with a whole act of the peer's.
 */

static struct {
	bool acted, lost;
	int result;
	void (*act)(void);
} scene;

/* What a futex does: sleeps only if the word is what was seen. Here the peer acts at last. */
static void sleep_for_real(void)
{
	if (__atomic_load_n(waiter.word, __ATOMIC_ACQUIRE) != waiter.seen)
		return;
	if (!scene.acted) {
		scene.acted = true;
		scene.act();
		if (__atomic_load_n(waiter.word, __ATOMIC_ACQUIRE) != waiter.seen ||
		    waiter.woken == waiter.word)
			return;
	}
	scene.lost = true;
}

static uint64_t act_once(void *data)
{
	(void)data;
	if (!scene.acted) {
		scene.acted = true;
		scene.act();
	}
	return 0;
}

static void receive(void *data)
{
	(void)data;
	scene.result = (int)peal_recv(rx, buffer, sizeof(buffer), NULL, PEAL_FOREVER);
}

static void reserve(void *data)
{
	void *at;

	(void)data;
	scene.result = peal_reserve(tx, 56, &at, PEAL_FOREVER);
}

static bool can_step(void)
{
	const char *why;

	if (stepper_usable(&why))
		return true;
	skip("%s", why);
	return false;
}

/* One interleaving: act before the n-th instruction of run, or in its sleep. False past the end. */
static bool interleave(uint64_t n, void (*run)(void *), void (*act)(void), int result)
{
	bool reached;

	memset(&waiter, 0, sizeof(waiter));
	waiter.act = sleep_for_real;
	scene.acted = scene.lost = false;
	scene.act = act;
	reached = stepper_run(n, run, act_once, NULL);
	if (scene.lost)
		ck_abort_msg("a wake-up was lost: the peer acted before instruction %llu",
			     (unsigned long long)n);
	if (scene.result != result)
		ck_abort_msg("%d where %d is right: the peer acted before instruction %llu",
			     scene.result, result, (unsigned long long)n);
	if (waiter.wakes > waiter.waits + 1)
		ck_abort_msg("%d rings for %d sleeps: the peer acted before instruction %llu",
			     waiter.wakes, waiter.waits, (unsigned long long)n);
	return reached;
}

START_TEST(a_message_sent_at_any_instruction_of_a_receive_arrives)
	{
		uint64_t n = 1;

		if (!can_step())
			return;
		interleave(UINT64_MAX / 2, receive, send_some,
			   4); /* everything is resolved from here on */
		while (interleave(n, receive, send_some, 4)) {
			ck_assert_uint_eq(rx_asleep() & 7, PEAL_ASLEEP_FENCE);
			n++;
		}
		ck_assert_uint_gt(n, 100);
	}
END_TEST

START_TEST(room_made_at_any_instruction_of_a_reserve_is_found)
	{
		uint64_t n = 0;
		bool reached;

		if (!can_step())
			return;
		fill();
		interleave(UINT64_MAX / 2, reserve, release_all, 0);
		do {
			fill();
			reached = interleave(++n, reserve, release_all, 0);
			peal_abort(tx);
			ck_assert_uint_eq(tx_asleep() & 7, 0);
		} while (reached);
		ck_assert_uint_gt(n, 100);
	}
END_TEST

static void just_close_sender(void)
{
	peal_close(links[0]);
	links[0] = NULL;
}

static void just_close_receiver(void)
{
	peal_close(links[1]);
	links[1] = NULL;
}

START_TEST(a_close_at_any_instruction_of_a_receive_ends_it)
	{
		uint64_t n = 0;
		bool reached;

		if (!can_step())
			return;
		do {
			tear_down();
			set_up();
			reached = interleave(++n, receive, just_close_sender, -EPIPE);
		} while (reached);
		ck_assert_uint_gt(n, 100);
	}
END_TEST

START_TEST(a_close_at_any_instruction_of_a_reserve_ends_it)
	{
		uint64_t n = 0;
		bool reached;

		if (!can_step())
			return;
		do {
			tear_down();
			set_up();
			fill();
			reached = interleave(++n, reserve, just_close_receiver, -EPIPE);
		} while (reached);
		ck_assert_uint_gt(n, 100);
	}
END_TEST

/*
 * Every interleaving of ringing with a whole falling asleep, which is done by hand here.
 */

static struct {
	bool sleeps;
	uint32_t seen, asleep;
} sleeper;

static uint64_t receiver_falls_asleep(void *data)
{
	struct peal_page *page = links[1]->page;

	(void)data;
	sleeper.seen = __atomic_load_n(&links[1]->peer_page->data_wake, __ATOMIC_ACQUIRE);
	sleeper.asleep += PEAL_ASLEEP_EPOCH;
	__atomic_store_n(&page->rx_asleep, sleeper.asleep | PEAL_ASLEEP | PEAL_ASLEEP_FENCE,
			 __ATOMIC_SEQ_CST);
	sleeper.sleeps = !__atomic_load_n(
				 (const uint64_t *)(const void *)(rx->data + (rx->pos & rx->mask)),
				 __ATOMIC_ACQUIRE) &&
			 !link_verdict(links[1], false);
	waiter.wakes = 0;
	return 0;
}

static void send_stepped(void *data)
{
	(void)data;
	scene.result = peal_send(tx, "some", 4, 0, 0);
}

static void expect_rung(uint32_t word, uint64_t n)
{
	if (sleeper.sleeps && (word == sleeper.seen || waiter.wakes != 1))
		ck_abort_msg("not rung (%d wakes): it fell asleep before instruction %llu",
			     waiter.wakes, (unsigned long long)n);
}

START_TEST(who_falls_asleep_at_any_instruction_of_a_send_is_rung)
	{
		uint64_t n = 0;
		bool reached;

		if (!can_step())
			return;
		send_some(); /* everything is resolved from here on */
		receiver_falls_asleep(NULL);
		send_some();
		release_all();
		do {
			links[1]->page->rx_asleep = PEAL_ASLEEP_FENCE;
			sleeper.sleeps = false;
			reached = stepper_run(++n, send_stepped, receiver_falls_asleep, NULL);
			ck_assert_int_eq(scene.result, 0);
			expect_rung(links[0]->page->data_wake, n);
			links[1]->page->rx_asleep = PEAL_ASLEEP_FENCE;
			release_all();
		} while (reached);
		ck_assert_uint_gt(n, 20);
	}
END_TEST

static uint64_t producer_falls_asleep(void *data)
{
	struct peal_page *page = links[0]->page;

	(void)data;
	sleeper.seen = __atomic_load_n(&links[0]->peer_page->room_wake, __ATOMIC_ACQUIRE);
	__atomic_store_n(&page->tx_wants, tx->pos, __ATOMIC_RELAXED);
	sleeper.asleep += PEAL_ASLEEP_EPOCH;
	__atomic_store_n(&page->tx_asleep, sleeper.asleep | PEAL_ASLEEP, __ATOMIC_SEQ_CST);
	sleeper.sleeps = __atomic_load_n(&links[0]->peer_page->head, __ATOMIC_ACQUIRE) < tx->pos;
	waiter.wakes = 0;
	return 0;
}

static void release_stepped(void *data)
{
	(void)data;
	peal_release(rx);
}

START_TEST(a_producer_that_falls_asleep_at_any_instruction_of_a_release_is_rung)
	{
		struct peal_message message;
		uint64_t n = 0;
		bool reached;

		if (!can_step())
			return;
		send_some();
		producer_falls_asleep(NULL);
		release_all();
		do {
			links[0]->page->tx_asleep = 0;
			sleeper.sleeps = false;
			send_some();
			ck_assert_int_eq(peal_peek(rx, &message, 0), 0);
			reached = stepper_run(++n, release_stepped, producer_falls_asleep, NULL);
			/* Past the release it sleeps for what is there. */
			expect_rung(links[1]->page->room_wake, n);
		} while (reached);
		ck_assert_uint_gt(n, 10);
	}
END_TEST

static void close_stepped(void *data)
{
	(void)data;
	peal_close(links[0]);
}

START_TEST(who_falls_asleep_at_any_instruction_of_a_close_is_rung)
	{
		uint64_t n = 0;
		bool reached;

		if (!can_step())
			return;
		do {
			const struct peal_page *page = links[0]->page;

			sleeper.sleeps = false;
			reached = stepper_run(++n, close_stepped, receiver_falls_asleep, NULL);
			/* The memory of both is there until the second closes. */
			expect_rung(page->data_wake, n);
			links[0] = NULL;
			tear_down();
			set_up();
		} while (reached);
		ck_assert_uint_gt(n, 100);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("bell");
	TCase *spinning = tcase_create("spinning"), *data = tcase_create("data bell");
	TCase *room = tcase_create("room bell"), *descriptor = tcase_create("by descriptor");
	TCase *ends = tcase_create("ends"), *steps = tcase_create("single steps");

	tcase_add_test(spinning, a_ring_table_of_the_tests_own_is_asked_to_await_a_message);
	tcase_add_test(spinning, a_ring_table_of_the_tests_own_is_asked_to_await_room);
	tcase_add_test(spinning, an_await_that_returns_for_no_reason_is_asked_again);
	tcase_add_test(spinning, one_that_spins_asks_for_no_rings_and_no_fences);
	tcase_add_test(spinning, an_adaptive_one_sleeps_when_its_budget_is_spent);
	tcase_add_test(spinning, waits_that_time_out_while_they_spin_learn_to_sleep);
	tcase_add_test(spinning, in_a_stream_fences_are_given_up_while_awake_but_not_while_armed);
	tcase_add_test(spinning, after_more_messages_a_reader_lets_the_writer_get_further_ahead);
	tcase_add_checked_fixture(spinning, NULL, tear_down);
	suite_add_tcase(s, spinning);

	tcase_add_checked_fixture(data, set_up, tear_down);
	tcase_add_test(data, one_that_only_sleeps_does_not_spin);
	tcase_add_test(data, a_sleeper_is_rung_once_however_much_is_sent);
	tcase_add_test(data, every_sleep_is_an_epoch_of_its_own_and_rung_once);
	tcase_add_test(data, epochs_may_wrap);
	tcase_add_test(data, a_ring_without_news_is_counted_and_slept_on);
	tcase_add_test(data, a_thousand_rings_without_news_in_one_wait_are_a_lie);
	tcase_add_test(data, sleeps_that_go_unrung_grow_to_a_limit);
	tcase_add_test(data, no_sleep_is_longer_than_the_timeout);
	tcase_add_test(data, a_pair_sleeps_privately_and_a_link_shared);
	tcase_add_test(data, nobody_is_rung_while_both_are_awake);
	suite_add_tcase(s, data);
	tcase_add_test(spinning, words_are_born_with_what_their_owner_wants);

	tcase_add_checked_fixture(room, set_up, tear_down);
	tcase_add_test(room, a_producer_asks_for_its_room_and_a_quarter_of_the_ring);
	tcase_add_test(room, a_producer_asks_for_no_more_than_there_is);
	tcase_add_test(room, after_its_first_slice_a_producer_asks_for_just_what_it_needs);
	tcase_add_test(room, room_that_suffices_is_found_after_the_slice);
	tcase_add_test(room, a_ring_that_slips_through_is_made_up_for_by_the_slice);
	tcase_add_test(room, a_producers_slices_begin_short_and_grow_to_a_limit);
	tcase_add_loop_test(room, a_stream_into_a_slow_consumer_sleeps_seldom, 0, PACES);
	suite_add_tcase(s, room);

	tcase_add_checked_fixture(descriptor, set_up, tear_down);
	tcase_add_test(descriptor, who_sleeps_by_descriptor_is_rung_through_the_socket);
	tcase_add_test(descriptor, a_full_socket_is_a_bell_already_rung);
	tcase_add_test(descriptor, without_a_socket_a_sleeper_by_descriptor_is_woken_as_others);
	suite_add_tcase(s, descriptor);

	tcase_add_checked_fixture(ends, set_up, tear_down);
	tcase_add_test(ends, a_close_wakes_a_sleeping_receiver);
	tcase_add_test(ends, what_was_sent_just_before_a_close_is_received_first);
	tcase_add_test(ends, a_close_wakes_a_sleeping_sender);
	tcase_add_test(ends, who_sends_after_a_close_learns_of_it_at_the_next);
	tcase_add_test(ends, a_death_is_found_between_sleeps_after_what_was_sent);
	tcase_add_test(ends, a_death_ends_a_wait_for_room);
	tcase_add_test(ends, one_that_only_polls_finds_a_death_too);
	suite_add_tcase(s, ends);

	tcase_add_checked_fixture(steps, set_up, tear_down);
	tcase_set_timeout(steps, 30);
	tcase_add_test(steps, a_message_sent_at_any_instruction_of_a_receive_arrives);
	tcase_add_test(steps, room_made_at_any_instruction_of_a_reserve_is_found);
	tcase_add_test(steps, a_close_at_any_instruction_of_a_receive_ends_it);
	tcase_add_test(steps, a_close_at_any_instruction_of_a_reserve_ends_it);
	tcase_add_test(steps, who_falls_asleep_at_any_instruction_of_a_send_is_rung);
	tcase_add_test(steps, a_producer_that_falls_asleep_at_any_instruction_of_a_release_is_rung);
	tcase_add_test(steps, who_falls_asleep_at_any_instruction_of_a_close_is_rung);
	suite_add_tcase(s, steps);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
