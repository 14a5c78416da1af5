/*
 * SPDX-License-Identifier: MIT
 *
 * When waits spin and when they sleep, by numbers alone: what comes is simulated, and no clock is
 * read.
 */
#include "config.h"

#include <string.h>

#include "lib/spin.h"
#include "tests/unit/stage.h"

#define US 1000u
#define LIMIT (90 * US)

/* A ring whose messages come so long after the wait for each begins. shared: the one who sends them
 * has no other CPU, so nothing comes while somebody spins. */
static struct {
	struct spin spin;
	uint64_t came;
	bool shared;
	unsigned spun, slept; /* waits, of which some did both */
	uint64_t spun_ns;
} ring;

static void set_up(void)
{
	memset(&ring, 0, sizeof(ring));
}

/* Forgets what was counted, not what was learnt. */
static void count_anew(void)
{
	ring.spun = ring.slept = 0;
	ring.spun_ns = 0;
}

/* One wait; it times out if nothing comes until then. */
static void wait_for(uint64_t gap, uint64_t timeout)
{
	uint64_t budget = spin_budget(&ring.spin, LIMIT, ring.came);
	uint64_t comes = ring.shared ? budget + gap : gap;
	uint64_t lasts = comes < timeout ? comes : timeout;
	bool sleeps = lasts > budget || !budget;

	ck_assert_uint_le(budget, LIMIT);
	ring.spun += budget != 0;
	ring.slept += sleeps;
	ring.spun_ns += sleeps ? budget : lasts;
	spin_learn(&ring.spin, budget, lasts, sleeps, comes <= timeout);
	ring.came += comes <= timeout;
}

static void messages(unsigned count, uint64_t gap)
{
	for (unsigned i = 0; i < count; i++)
		wait_for(gap, UINT64_MAX);
}

START_TEST(dense_traffic_is_spun_for)
	{
		messages(1000, 10 * US);
		ck_assert_uint_eq(ring.slept, 0);
		messages(1000, 80 * US);
		ck_assert_uint_eq(ring.slept, 0);
	}
END_TEST

START_TEST(sparse_traffic_is_slept_for)
	{
		messages(30, 100 * US);
		count_anew();
		messages(10000, 100 * US);
		ck_assert_uint_eq(ring.spun, 0);
		messages(10000, 91 * US);
		ck_assert_uint_eq(ring.spun, 0);
		messages(10000, 10000 * US);
		ck_assert_uint_eq(ring.spun, 0);
	}
END_TEST

START_TEST(traffic_that_gets_dense_again_is_spun_for_again)
	{
		for (int i = 0; i < 5; i++) {
			messages(1000, 10 * US);
			messages(1000, 5000 * US);
			messages(40, 10 * US);
			count_anew();
			messages(1000, 10 * US);
			ck_assert_uint_eq(ring.slept, 0);
		}
	}
END_TEST

START_TEST(a_late_message_now_and_then_does_not_end_spinning)
	{
		for (int i = 0; i < 100; i++) {
			messages(1, 500 * US);
			count_anew();
			messages(19, 10 * US);
			ck_assert_uint_eq(ring.slept, 0);
		}
	}
END_TEST

START_TEST(on_a_shared_cpu_spinning_is_given_up)
	{
		ring.shared = true;
		messages(1100, 10 * US);
		ck_assert_uint_le(ring.spun, 12);
		count_anew();
		messages(100000, 10 * US);
		ck_assert_uint_le(ring.spun, 100);
		/* The other side moves away. */
		ring.shared = false;
		messages(1100, 10 * US);
		count_anew();
		messages(1000, 10 * US);
		ck_assert_uint_eq(ring.slept, 0);
	}
END_TEST

START_TEST(waits_that_time_out_one_after_the_other_spin_once)
	{
		static const uint64_t timeouts[] = { 1, 10 * US, 45 * US, 50 * US, 90 * US, MS };

		for (int i = 0; i < 1000; i++)
			wait_for(UINT64_MAX / 2, timeouts[_i]);
		ck_assert_uint_le(ring.spun_ns, LIMIT);
		/* What comes in spite of that is worth another try. */
		messages(100, 10 * US);
		count_anew();
		messages(1000, 10 * US);
		ck_assert_uint_eq(ring.slept, 0);
	}
END_TEST

START_TEST(short_timeouts_do_not_make_dense_traffic_sparse)
	{
		/* Every other wait is too short. */
		for (int i = 0; i < 1000; i++) {
			wait_for(10 * US, 5 * US);
			wait_for(5 * US, 5 * US);
		}
		ck_assert_uint_eq(ring.slept, 0);
	}
END_TEST

START_TEST(one_that_never_sleeps_has_no_limit)
	{
		ring.spin.rest = ring.spin.vain = 5;
		ring.spin.typical_ns = MS;
		ck_assert_uint_eq(spin_budget(&ring.spin, UINT64_MAX, 0), UINT64_MAX);
		ck_assert_uint_eq(spin_budget(&ring.spin, 0, 0), 0);
	}
END_TEST

static Suite *spin(void)
{
	Suite *suite = suite_create("spin");
	TCase *tcase = tcase_create("spin");

	tcase_add_checked_fixture(tcase, set_up, NULL);
	tcase_add_test(tcase, dense_traffic_is_spun_for);
	tcase_add_test(tcase, sparse_traffic_is_slept_for);
	tcase_add_test(tcase, traffic_that_gets_dense_again_is_spun_for_again);
	tcase_add_test(tcase, a_late_message_now_and_then_does_not_end_spinning);
	tcase_add_test(tcase, on_a_shared_cpu_spinning_is_given_up);
	tcase_add_loop_test(tcase, waits_that_time_out_one_after_the_other_spin_once, 0, 6);
	tcase_add_test(tcase, short_timeouts_do_not_make_dense_traffic_sparse);
	tcase_add_test(tcase, one_that_never_sleeps_has_no_limit);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { spin, NULL };

	return runner_main(suites);
}
