/*
 * SPDX-License-Identifier: MIT
 *
 * Where the time of waits goes: how long they spin, sleep, and take from the ring to running, of
 * one in so many. White-box and in one thread: the clock is the test's own, and the peer acts while
 * an end sleeps.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/link.h"
#include "tests/unit/stage.h"

#define US ((uint64_t)1000)
#define CLASSES PEAL_OFFCPU_CLASSES

/* The clock stands where it is put, unless it says 0: then it is the real one. */
static uint64_t clock_ns;
static uint64_t tick; /* and a look at it takes so long */
static unsigned clock_reads;

uint64_t __real_platform_now(void);
uint64_t __wrap_platform_now(void);
uint64_t __wrap_platform_now(void)
{
	/* Pairs with nothing: another thread may be connecting meanwhile. */
	__atomic_fetch_add(&clock_reads, 1, __ATOMIC_RELAXED);
	return clock_ns ? clock_ns += tick : __real_platform_now();
}

static struct meeting meeting;
static struct peal_link *links[2]; /* links[1] is the one that waits */
static struct peal_set *set;
static char byte;

/* What the peer does in a sleep, before it has lasted 10 us and after; and when it says that it
 * rang, if that is not 0. */
static void (*act)(void);
static uint64_t lie;

static void peer_sends(void)
{
	ck_assert_int_eq(peal_send(peal_link_tx(links[0]), "x", 1, 0, 0), 0);
}

static void peer_reads(void)
{
	while (peal_recv(peal_link_rx(links[0]), &byte, 1, NULL, 0) == 1)
		;
}

/* A sleep: of 10 us, and 700 ns from the ring to running. */
static void sleep_once(void)
{
	clock_ns += 10 * US;
	if (act)
		act();
	if (lie)
		links[0]->page->data_rung_ns = lie;
	clock_ns += 700;
}

int __real_platform_poller_await(int poller, uint32_t *keys, int most, int64_t ns);
int __wrap_platform_poller_await(int poller, uint32_t *keys, int most, int64_t ns);
int __wrap_platform_poller_await(int poller, uint32_t *keys, int most, int64_t ns)
{
	if (ns && clock_ns)
		sleep_once();
	return __real_platform_poller_await(poller, keys, most, clock_ns ? 0 : ns);
}

int __real_platform_poll(int fd, bool out, int64_t ns);
int __wrap_platform_poll(int fd, bool out, int64_t ns);
int __wrap_platform_poll(int fd, bool out, int64_t ns)
{
	if (ns && clock_ns)
		sleep_once();
	return __real_platform_poll(fd, out, clock_ns ? 0 : ns);
}

static bool usable(const char **why)
{
	*why = "it is the test's own";
	return true;
}

static int64_t idle_ns; /* sleeps by futex are in vain until then */

static int wait_on(const uint32_t *word, uint32_t seen, int64_t ns, bool shared)
{
	(void)shared;
	if (idle_ns > 0) {
		idle_ns -= ns;
		clock_ns += (uint64_t)ns;
		return -ETIMEDOUT;
	}
	sleep_once();
	return __atomic_load_n(word, __ATOMIC_ACQUIRE) != seen ? 0 : -ETIMEDOUT;
}

static void wake(const uint32_t *word, bool shared)
{
	(void)word;
	(void)shared;
}

static const struct peal_waiter_ops own_waiter = { .name = "unit",
						   .usable = usable,
						   .wait = wait_on,
						   .wake = wake };

static void relax(void)
{
}

/* Spins for all the time that it is given. */
static uint64_t await(const uint64_t *word, uint64_t old, uint64_t ns)
{
	(void)old;
	clock_ns += ns;
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
	clock_ns = 1000000000000;
}

static struct peal_options options_of(uint32_t wait, uint64_t sample)
{
	struct peal_options options = stage_options(wait, 0);

	options.sample = sample;
	options.spin_ns = 3 * US;
	options.bell = PEAL_BELL_SOCKET;
	return options;
}

static void open_pair(uint32_t wait, uint64_t sample)
{
	struct peal_options options = options_of(wait, sample);

	ck_assert_int_eq(peal_pair(links, &options), 0);
	use(links[0]);
	use(links[1]);
}

static void meet(uint32_t wait, uint64_t sample)
{
	struct peal_options options = options_of(wait, sample);

	meeting_open(&meeting, &options, &options);
	links[0] = meeting.client;
	links[1] = meeting.server;
	use(links[0]);
	use(links[1]);
}

static void meet_in_a_set(uint32_t wait, uint64_t sample)
{
	meet(wait, sample);
	ck_assert_int_eq(peal_set_create(&set), 0);
	ck_assert_int_eq(peal_set_add(set, links[1], NULL), 0);
}

static void part(void)
{
	clock_ns = 0;
	peal_set_free(set);
	meeting_close(&meeting);
}

static struct peal_offcpu rx_of(const struct peal_link *link)
{
	struct peal_offcpu rx;

	ck_assert_int_eq(peal_link_offcpu(link, NULL, &rx), 0);
	return rx;
}

static struct peal_offcpu tx_of(const struct peal_link *link)
{
	struct peal_offcpu tx;

	ck_assert_int_eq(peal_link_offcpu(link, &tx, NULL), 0);
	return tx;
}

static uint64_t sum(const uint64_t *classes)
{
	uint64_t all = 0;

	for (int i = 0; i < CLASSES; i++)
		all += classes[i];
	return all;
}

/* So many, each of so many ns, which is in that class. */
static void expect_each(const uint64_t *classes, uint64_t total, uint64_t count, uint64_t ns,
			int class)
{
	ck_assert_uint_eq(sum(classes), count);
	ck_assert_uint_eq(classes[class], count);
	ck_assert_uint_eq(total, count * ns);
}

static void expect(const struct peal_offcpu *offcpu, uint64_t count, uint64_t spun, int class)
{
	expect_each(offcpu->spun, offcpu->spun_ns, count, spun, class);
	expect_each(offcpu->slept, offcpu->slept_ns, count, 10700, 6);
	expect_each(offcpu->woken, offcpu->woken_ns, count, 700, 2);
	ck_assert_uint_eq(offcpu->spare, 0);
}

static bool is_zero(const struct peal_offcpu *offcpu)
{
	static const struct peal_offcpu zero;

	return !memcmp(offcpu, &zero, sizeof(zero));
}

static void receive(void)
{
	ck_assert_int_eq(peal_recv(peal_link_rx(links[1]), &byte, 1, NULL, PEAL_FOREVER), 1);
}

START_TEST(a_receiver_that_sleeps_is_measured)
	{
		struct peal_offcpu rx;

		open_pair(_i ? PEAL_WAIT_ADAPTIVE : PEAL_WAIT_SLEEP, 1);
		act = peer_sends;
		receive();
		rx = rx_of(links[1]);
		expect(&rx, 1, _i ? 3 * US : 0, _i ? 4 : 0);
		rx = tx_of(links[1]);
		ck_assert(is_zero(&rx));
		/* What is there is no sleep. */
		peer_sends();
		receive();
		ck_assert_uint_eq(sum(rx_of(links[1]).slept), 1);
		pair_close(links);
	}
END_TEST

START_TEST(a_sender_that_sleeps_is_measured)
	{
		struct peal_tx *tx;
		struct peal_offcpu measured;

		open_pair(PEAL_WAIT_SLEEP, 1);
		tx = peal_link_tx(links[1]);
		while (!peal_send(tx, "x", 1, 0, 0))
			;
		act = peer_reads;
		ck_assert_int_eq(peal_send(tx, "x", 1, 0, PEAL_FOREVER), 0);
		measured = tx_of(links[1]);
		expect(&measured, 1, 0, 0);
		measured = rx_of(links[1]);
		ck_assert(is_zero(&measured));
		pair_close(links);
	}
END_TEST

START_TEST(one_in_so_many_sleeps_is_measured_or_none)
	{
		static const uint64_t one_in[] = { 0, 1, 3, 4, 12, 13, UINT64_MAX };

		for (int i = 0; i < (int)(sizeof(one_in) / sizeof(one_in[0])); i++) {
			open_pair(PEAL_WAIT_SLEEP, one_in[i]);
			act = peer_sends;
			for (int k = 0; k < 12; k++)
				receive();
			ck_assert_uint_eq(links[1]->slot->rx.sleeps, 12);
			ck_assert_uint_eq(sum(rx_of(links[1]).slept),
					  one_in[i] ? 12 / one_in[i] : 0);
			pair_close(links);
		}
	}
END_TEST

/* Looks at the clock that twelve waits take, of which one in so many is measured. */
static unsigned reads_of(uint64_t sample, bool by_set)
{
	unsigned before;
	struct peal_offcpu rx;

	if (by_set)
		meet_in_a_set(PEAL_WAIT_SLEEP, sample);
	else
		open_pair(PEAL_WAIT_SLEEP, sample);
	act = peer_sends;
	before = clock_reads;
	for (int k = 0; k < 12; k++) {
		if (by_set)
			ck_assert_int_eq(peal_set_wait(set, LONG), 1);
		receive();
	}
	before = clock_reads - before;
	rx = rx_of(links[1]);
	ck_assert_uint_eq(links[1]->slot->rx.sleeps, 12);
	ck_assert_uint_eq(sum(rx.slept), sample ? 12 / sample : 0);
	ck_assert_uint_eq(sum(rx.woken), sample ? 12 / sample : 0);
	if (!sample)
		ck_assert(is_zero(&rx));
	if (!sample && by_set)
		ck_assert_uint_eq(links[0]->page->data_rung_ns, 0);
	if (by_set)
		part();
	else
		pair_close(links);
	return before;
}

START_TEST(measuring_takes_two_looks_at_the_clock_each_or_none)
	{
		unsigned off = reads_of(0, _i);

		/* Verbs look anyway; of a set the waker, and the woken. */
		ck_assert_uint_eq(reads_of(1, _i), off + (_i ? 2 * 12 : 0));
		ck_assert_uint_eq(reads_of(4, _i), off + (_i ? 2 * 3 : 0));
	}
END_TEST

START_TEST(a_receiver_that_sleeps_by_descriptor_asks_when_it_was_rung)
	{
		struct peal_offcpu rx;

		meet(PEAL_WAIT_SLEEP, (uint64_t)_i);
		act = peer_sends;
		idle_ns = 11 * MS; /* longer than it sleeps by futex */
		receive();
		rx = rx_of(links[1]);
		ck_assert_uint_eq(sum(rx.slept), (uint64_t)_i);
		ck_assert_uint_eq(rx.woken_ns, _i ? 700 : 0);
		ck_assert_uint_eq(links[0]->page->data_rung_ns, _i ? clock_ns - 700 : 0);
		part();
	}
END_TEST

START_TEST(a_set_measures_the_sleeps_of_its_links)
	{
		struct peal_offcpu rx;

		meet_in_a_set(PEAL_WAIT_SLEEP, 1);
		act = peer_sends;
		for (int i = 0; i < 3; i++) {
			ck_assert_int_eq(peal_set_wait(set, LONG), 1);
			receive();
		}
		rx = rx_of(links[1]);
		expect(&rx, 3, 0, 0);
		part();
	}
END_TEST

START_TEST(a_set_that_spins_counts_that_as_its_links)
	{
		struct peal_offcpu rx;

		meet_in_a_set(PEAL_WAIT_ADAPTIVE, 1);
		act = peer_sends;
		tick = 10;
		ck_assert_int_eq(peal_set_wait(set, LONG), 1);
		rx = rx_of(links[1]);
		ck_assert_uint_eq(sum(rx.spun), 1);
		ck_assert_uint_eq(rx.spun[4], 1);
		ck_assert_uint_ge(rx.spun_ns, 3 * US);
		ck_assert_uint_le(rx.spun_ns, 3 * US + 100);
		tick = 0;
		part();
	}
END_TEST

START_TEST(a_set_measures_waits_for_room)
	{
		struct peal_offcpu tx;

		meet_in_a_set(PEAL_WAIT_SLEEP, 1);
		while (!peal_send(peal_link_tx(links[1]), "x", 1, 0, 0))
			;
		ck_assert_int_eq(peal_set_want_room(set, links[1]), 0);
		act = peer_reads;
		ck_assert_int_eq(peal_set_wait(set, LONG), 1);
		tx = tx_of(links[1]);
		expect(&tx, 1, 0, 0);
		/* It slept for data as well, and nobody has rung for that. */
		ck_assert_uint_eq(sum(rx_of(links[1]).slept), 1);
		ck_assert_uint_eq(sum(rx_of(links[1]).woken), 0);
		part();
	}
END_TEST

START_TEST(a_link_that_is_roused_by_its_program_has_slept_and_was_not_rung)
	{
		struct peal_offcpu rx;

		meet_in_a_set(PEAL_WAIT_SLEEP, 1);
		expect_error(peal_set_wait(set, (int64_t)(10 * US)), -ETIMEDOUT, NULL);
		ck_assert_uint_eq(sum(rx_of(links[1]).slept), 0);
		clock_ns += 300;
		ck_assert_int_eq(peal_set_remove(set, links[1]), 0);
		rx = rx_of(links[1]);
		expect_each(rx.slept, rx.slept_ns, 1, 11000, 6);
		ck_assert_uint_eq(sum(rx.woken), 0);
		part();
	}
END_TEST

START_TEST(what_the_peer_says_of_when_it_rang_is_taken_only_if_it_can_be)
	{
		struct peal_offcpu rx;

		for (int i = 0; i < 4; i++) {
			uint64_t begun;

			meet_in_a_set(PEAL_WAIT_SLEEP, 1);
			act = peer_sends;
			begun = clock_ns;
			lie = i == 0 ? begun : i == 1 ? begun + 10701 : i == 2 ? UINT64_MAX : 1;
			ck_assert_int_eq(peal_set_wait(set, LONG), 1);
			rx = rx_of(links[1]);
			ck_assert_uint_eq(rx.slept_ns, 10700);
			ck_assert_uint_eq(sum(rx.woken) + rx.woken_ns, 0);
			lie = 0;
			part();
		}
	}
END_TEST

START_TEST(times_fall_into_classes)
	{
		static const struct {
			uint64_t ns;
			int class;
		} times[] = {
			{ 255, 0 },
			{ 256, 1 },
			{ 511, 1 },
			{ 512, 2 },
			{ (256 << 18) - 1, 18 },
			{ 256 << 18, 19 },
			{ UINT64_C(1) << 62, 19 },
		};

		for (int i = 0; i < (int)(sizeof(times) / sizeof(times[0])); i++) {
			struct peal_offcpu rx;

			meet_in_a_set(PEAL_WAIT_SLEEP, 1);
			expect_error(peal_set_wait(set, 1), -ETIMEDOUT, NULL);
			clock_ns += times[i].ns - 10700;
			ck_assert_int_eq(peal_set_remove(set, links[1]), 0);
			rx = rx_of(links[1]);
			expect_each(rx.slept, rx.slept_ns, 1, times[i].ns, times[i].class);
			part();
		}
	}
END_TEST

/* A server, whose client sends while it sleeps. */
static int on_connected(void *data, struct peal_link *link, void **mine)
{
	(void)data;
	(void)mine;
	links[1] = link;
	return 0;
}

static void on_message(void *data, struct peal_request *request)
{
	(void)request;
	++*(int *)data;
}

START_TEST(a_server_is_measured_by_the_options_of_its_links)
	{
		struct peal_options link = options_of(PEAL_WAIT_SLEEP, 2);
		struct peal_server_options options;
		struct peal_server *server;
		struct caller caller;
		struct folder folder;
		struct peal_offcpu rx;
		int messages = 0;
		uint64_t sleeps;

		peal_server_options_init(&options);
		options.handlers = (struct peal_handlers){ .connected = on_connected,
							   .message = on_message };
		options.data = &messages;
		options.link = &link;
		options.ready = UINT32_MAX;
		links[1] = NULL;
		folder_make(&folder);
		ck_assert_int_eq(peal_server_open(&server, folder.path, &options), 0);
		caller_start(&caller, folder.path, &link, LONG);
		while (!caller_is_over(&caller) || !links[1])
			peal_server_step(server, MS);
		caller_end(&caller);
		ck_assert_msg(!caller.err, "%s", caller.sentence);
		links[0] = caller.link;
		/* What it has slept so far is not the peer's doing, nor of this clock. */
		peer_sends();
		while (!messages)
			peal_server_step(server, MS);
		sleeps = links[1]->slot->rx.sleeps;
		links[1]->data.sample_in = 2;
		memset(&links[1]->slot->rx_offcpu, 0, sizeof(rx));
		use(links[1]);
		act = peer_sends;
		for (int i = 1; i <= 6; i++)
			while (messages <= i)
				peal_server_step(server, LONG);
		rx = rx_of(links[1]);
		ck_assert_uint_eq(links[1]->slot->rx.sleeps, sleeps + 6);
		expect(&rx, 3, 0, 0);
		clock_ns = 0;
		peal_close(links[0]);
		peal_server_close(server);
		folder_remove(&folder);
	}
END_TEST

START_TEST(the_environment_says_it_where_the_option_is_0)
	{
		setenv("PEAL_SAMPLE", "3", 1);
		for (int i = 0; i < 2; i++) {
			open_pair(PEAL_WAIT_SLEEP, i ? 2 : 0);
			act = peer_sends;
			for (int k = 0; k < 6; k++)
				receive();
			ck_assert_uint_eq(sum(rx_of(links[1]).slept), i ? 3 : 2);
			pair_close(links);
			clock_ns = 0;
		}
	}
END_TEST

static const char *child_asks(void *data)
{
	struct peal_offcpu tx;

	(void)data;
	return peal_link_offcpu(links[1], &tx, NULL) == -ESTALE ? NULL : wrong("not stale");
}

START_TEST(a_child_of_a_fork_is_told_nothing)
	{
		open_pair(PEAL_WAIT_SLEEP, 1);
		child_run(child_asks, NULL);
		ck_assert_int_eq(peal_link_offcpu(links[1], NULL, NULL), 0);
		pair_close(links);
	}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("off-CPU times");
	TCase *verbs = tcase_create("verbs");
	TCase *sets = tcase_create("sets");

	tcase_add_loop_test(verbs, a_receiver_that_sleeps_is_measured, 0, 2);
	tcase_add_test(verbs, a_sender_that_sleeps_is_measured);
	tcase_add_test(verbs, one_in_so_many_sleeps_is_measured_or_none);
	tcase_add_loop_test(verbs, measuring_takes_two_looks_at_the_clock_each_or_none, 0, 2);
	tcase_add_loop_test(verbs, a_receiver_that_sleeps_by_descriptor_asks_when_it_was_rung, 0,
			    2);
	tcase_add_test(verbs, the_environment_says_it_where_the_option_is_0);
	tcase_add_test(verbs, a_child_of_a_fork_is_told_nothing);
	tcase_add_test(sets, a_set_measures_the_sleeps_of_its_links);
	tcase_add_test(sets, a_set_that_spins_counts_that_as_its_links);
	tcase_add_test(sets, a_set_measures_waits_for_room);
	tcase_add_test(sets, a_link_that_is_roused_by_its_program_has_slept_and_was_not_rung);
	tcase_add_test(sets, what_the_peer_says_of_when_it_rang_is_taken_only_if_it_can_be);
	tcase_add_test(sets, times_fall_into_classes);
	tcase_add_test(sets, a_server_is_measured_by_the_options_of_its_links);
	suite_add_tcase(suite, verbs);
	suite_add_tcase(suite, sets);
	return suite;
}

int main(void)
{
	Suite *(*const suites[])(void) = { suite, NULL };

	return runner_main(suites);
}
