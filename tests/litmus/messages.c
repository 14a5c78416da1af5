/*
 * SPDX-License-Identifier: MIT
 *
 * Litmus of messages: who sees a header sees the payload behind it (message passing), also where
 * they are in different cache lines; and who writes over a record does so after its reader has read
 * it. Across two processes, by the library's own verbs. The control has relaxed stores and loads.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/platform.h"
#include "tests/litmus/duel.h"

/* How the stream goes: records of one line, of two, or with the header at the end of the line
 * before. */
struct form {
	const char *name;
	size_t first, length;
};

static const struct form forms[] = {
	{ "header and payload in one line", 56, 56 },
	{ "header and payload in two lines", 120, 120 },
	{ "payload in the line behind the header's", 48, 56 },
};

static const struct form *form;

static void write_payload(uint64_t *words, size_t length, uint64_t number)
{
	for (size_t i = 0; i < length / 8; i++)
		words[i] = number + i;
}

static bool is_whole(const void *data, size_t length, uint64_t number)
{
	uint64_t word;

	for (size_t i = 0; i < length / 8; i++) {
		memcpy(&word, (const uint8_t *)data + 8 * i, 8);
		if (word != number + i)
			return false;
	}
	return true;
}

/* Some slowly, so that the reader is there before each; some as fast as there is room. */
static void send_all(struct duel *duel)
{
	struct peal_tx *tx = peal_link_tx(duel->link);
	uint64_t words[16];

	for (uint64_t number = 1;; number++) {
		size_t length = number == 1 ? form->first : form->length;

		write_payload(words, length, number);
		if (number / 4096 % 2)
			for (uint64_t wait = duel_draw(duel, 600); wait; wait--)
				__atomic_signal_fence(__ATOMIC_SEQ_CST);
		if (peal_send(tx, words, length, (uint32_t)number, PEAL_FOREVER))
			break;
	}
}

START_TEST(a_header_is_not_seen_before_its_payload)
	{
		struct peal_options options = stage_options(PEAL_WAIT_SPIN, 0);
		struct peal_message message;
		uint64_t number = 0, torn = 0;
		struct peal_rx *rx;
		struct duel duel;

		if (!duel_possible())
			return;
		form = &forms[_i];
		duel_open(&duel, &options, 60, send_all);
		rx = peal_link_rx(duel.link);
		while (number % 64 || platform_now() < duel.until) {
			number++;
			ck_assert_int_eq(peal_peek(rx, &message, PEAL_FOREVER), 0);
			ck_assert_uint_eq(message.tag, (uint32_t)number);
			torn += !is_whole(message.data, message.length, number);
			peal_release(rx);
		}
		duel_abandon(&duel);
		duel_tell(form->name, number, torn);
		ck_assert_uint_eq(torn, 0);
	}
END_TEST

/*
 * The same by hand.
 */

static int order_of_stores, order_of_loads;

static void store_all(struct duel *duel)
{
	struct arena *arena = duel->arena;

	while (duel_meet(duel))
		for (int i = 0; i < LITMUS_SLOTS; i++) {
			__atomic_store_n(&arena->data[i].word, duel->round, __ATOMIC_RELAXED);
			/* Pairs with the load in load_all. */
			if (order_of_stores == __ATOMIC_RELEASE)
				__atomic_store_n(&arena->flag[i].word, duel->round,
						 __ATOMIC_RELEASE);
			else
				__atomic_store_n(&arena->flag[i].word, duel->round,
						 __ATOMIC_RELAXED);
		}
}

/* How often the flag was there and the data was not. */
static uint64_t load_all(struct duel *duel)
{
	struct arena *arena = duel->arena;
	uint64_t flag, data, early = 0;

	duel_meet(duel);
	for (int i = 0; i < LITMUS_SLOTS; i++) {
		/* Pairs with the store in store_all. */
		flag = order_of_loads == __ATOMIC_ACQUIRE ?
			       __atomic_load_n(&arena->flag[i].word, __ATOMIC_ACQUIRE) :
			       __atomic_load_n(&arena->flag[i].word, __ATOMIC_RELAXED);
		data = __atomic_load_n(&arena->data[i].word, __ATOMIC_RELAXED);
		early += flag == duel->round && data != flag;
	}
	return early;
}

static uint64_t pass(const char *name, uint64_t *rounds)
{
	struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 0);
	uint64_t early = 0;
	struct duel duel;

	duel_open(&duel, &options, 50, store_all);
	while (duel_goes_on(&duel))
		early += load_all(&duel);
	*rounds = duel.round * LITMUS_SLOTS;
	duel_close(&duel);
	duel_tell(name, *rounds, early);
	return early;
}

START_TEST(release_and_acquire_pass_a_message_on)
	{
		uint64_t rounds;

		if (!duel_possible())
			return;
		order_of_stores = __ATOMIC_RELEASE;
		order_of_loads = __ATOMIC_ACQUIRE;
		ck_assert_uint_eq(pass("release and acquire", &rounds), 0);
	}
END_TEST

START_TEST(relaxed_stores_and_loads_do_not)
	{
		uint64_t rounds;

		if (!duel_possible())
			return;
		order_of_stores = order_of_loads = __ATOMIC_RELAXED;
		if (!pass("relaxed", &rounds))
			skip("inconclusive: %llu rounds with relaxed order show no reordering (x86 "
			     "has none)",
			     (unsigned long long)rounds);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("messages");
	TCase *all = tcase_create("message passing");

	tcase_set_timeout(all, 300);
	tcase_add_loop_test(all, a_header_is_not_seen_before_its_payload, 0, 3);
	tcase_add_test(all, release_and_acquire_pass_a_message_on);
	tcase_add_test(all, relaxed_stores_and_loads_do_not);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
