/*
 * SPDX-License-Identifier: MIT
 *
 * A machine that is made up. See machine.h.
 */
#include "config.h"

#include "tests/unit/machine.h"

#include <math.h>

#define OLD 41u
#define NEW 42u
#define US 1000.0

struct machine machine;

/* Of a counter: of a slow board, of older and of newer arm64 CPUs, of x86. */
static const double rates[] = { 0.001, 0.024, 1, 2.5, 5 };
#define RATES ((int)(sizeof(rates) / sizeof(rates[0])))

uint64_t machine_ticks(void)
{
	machine.ns += 1;
	return (uint64_t)(machine.ns * machine.rate);
}

void machine_hint(void)
{
	machine.ns += machine.hint_ns;
	machine.hints++;
	if (machine.hints > 10000000)
		ck_abort_msg("it polls for ever");
}

void machine_arm(const uint64_t *word)
{
	machine.armed = word;
	machine.written = false;
	machine.arms++;
	machine.ns += 10;
	if (machine.armed_now)
		machine.armed_now();
}

void machine_rest(uint64_t until)
{
	double asked = (double)until / machine.rate - machine.ns;

	ck_assert_msg(machine.armed, "it waits, and nothing is armed");
	if (!machine.rests)
		machine.first_ns = asked;
	if (asked > machine.longest_ns)
		machine.longest_ns = asked;
	machine.rests++;
	if (machine.rests > 100000)
		ck_abort_msg("it rests for ever");
	machine.ns += 50;
	if (!machine.written && !(machine.resting && machine.resting()) && asked > 50)
		machine.ns += asked - 50;
	machine.armed = NULL;
}

void machine_write(uint64_t value)
{
	__atomic_store_n(&machine.word, value, __ATOMIC_RELEASE);
	machine.written = true;
}

void machine_expect_facts(const char *vendor, const char *model, const char *features)
{
	const char *const expected[][2] = { { "vendor", vendor },
					    { "model", model },
					    { "features", features } };
	const char *name;
	char value[64];

	for (unsigned i = 0; i < 3; i++) {
		ck_assert(arch_fact(i, &name, value, sizeof(value)));
		ck_assert_str_eq(name, expected[i][0]);
		ck_assert_str_eq(value, expected[i][1]);
	}
	/* Some have a hypervisor to tell of. */
	if (arch_fact(3, &name, value, sizeof(value)))
		ck_assert_str_eq(value, "none");
	ck_assert(!arch_fact(4, &name, value, sizeof(value)));
}

static void set_up(double rate, double hint_ns)
{
	machine = (struct machine){ .rate = rate, .hint_ns = hint_ns, .ns = 1e9, .word = OLD };
	machine_has_all();
	arch_set_ticks(rate);
	machine.hints = 0;
}

static void usual(void)
{
	set_up(2.5, 10);
}

static const struct peal_ring_ops *ring(int number)
{
	return machine_variants[number].ops;
}

static uint64_t wait_on(const struct peal_ring_ops *ops, double ns)
{
	return ops->await(&machine.word, OLD, (uint64_t)ns);
}

START_TEST(the_list_ends_with_the_generic_one)
	{
		int count = 0;

		while (arch_ring_ops[count])
			count++;
		ck_assert_int_ge(count, 2);
		ck_assert_str_eq(arch_ring_ops[count - 1]->name, "generic");
		for (int i = 0; i < count - 1; i++)
			ck_assert_ptr_eq(arch_ring_ops[i], machine_variants[i].ops);
		ck_assert_ptr_null(machine_variants[count - 1].ops);
	}
END_TEST

/* The first one that can be used is picked where nobody asks for another. */
START_TEST(the_picked_one_polls_also_where_a_monitor_could_be_used)
	{
		const char *why;

		ck_assert(arch_ring_ops[0]->usable(&why));
		wait_on(arch_ring_ops[0], 1000 * US);
		ck_assert_uint_eq(machine.arms + machine.rests, 0);
	}
END_TEST

START_TEST(a_cpu_that_has_all_uses_all)
	{
		for (const struct variant *variant = machine_variants; variant->ops; variant++) {
			const struct peal_ring_ops *ops = variant->ops;
			const char *why = NULL;

			ck_assert_msg(ops->usable(&why), "%s: %s", ops->name, why);
			ck_assert_str_ne(why, "");
			ck_assert_uint_le(ops->inline_copy, 64);
			ops->relax();
		}
	}
END_TEST

START_TEST(what_has_come_already_is_told_at_once)
	{
		double before = machine.ns;

		machine.word = NEW;
		ck_assert_uint_eq(wait_on(ring(_i), 1000 * US), NEW);
		ck_assert_uint_eq(machine.arms + machine.rests + machine.hints, 0);
		ck_assert_double_le(machine.ns - before, 10);
	}
END_TEST

START_TEST(a_first_look_lasts_2_us_and_never_rests)
	{
		double before = machine.ns;

		ck_assert_uint_eq(wait_on(ring(_i), 0), OLD);
		ck_assert_uint_eq(machine.arms + machine.rests, 0);
		ck_assert_double_ge(machine.ns - before, 1.5 * US);
		ck_assert_double_le(machine.ns - before, 3 * US);
	}
END_TEST

START_TEST(a_gap_lasts_28_ns_whatever_a_pause_takes)
	{
		static const double pauses[] = { 0.5, 1, 7, 10, 43, 60 };
		const struct variant *variant = &machine_variants[_i];

		for (int rate = 0; rate < RATES; rate++) {
			for (int i = 0; i < 6; i++) {
				bool polls = !variant->watches || variant->least_ns > 0;
				unsigned looks = polls ? 80 : 64, each;

				set_up(rates[rate], pauses[i]);
				wait_on(variant->ops, 0);
				ck_assert_uint_eq(machine.hints % looks, 0);
				each = machine.hints / looks;
				/* To half a pause, and what reading a slow counter adds. */
				ck_assert_msg(fabs(each * pauses[i] - 28) <=
							      pauses[i] / 2 + 28 * 0.1 ||
						      (each == 1 && pauses[i] > 28),
					      "%u pauses of %g ns, %g ticks a ns", each, pauses[i],
					      rates[rate]);
			}
		}
	}
END_TEST

START_TEST(a_gap_lasts_as_long_as_it_is_told_to)
	{
		static const uint32_t gaps[] = { 0, 7, 112, 448, 1000 };
		const struct variant *variant = &machine_variants[_i];
		unsigned looks = !variant->watches || variant->least_ns > 0 ? 80 : 64;

		for (int i = 0; i < 5; i++) {
			unsigned each;

			arch_gap_ns = gaps[i];
			set_up(2.5, 7);
			arch_gap_ns = ARCH_GAP_NS;
			wait_on(variant->ops, 0);
			each = machine.hints / looks;
			/* There is one pause at least. */
			ck_assert_msg(fabs(each * 7.0 - gaps[i]) <= 3.5 + gaps[i] * 0.1 ||
					      (each == 1 && gaps[i] < 7),
				      "%u pauses for %u ns", each, gaps[i]);
		}
	}
END_TEST

START_TEST(the_deadline_ends_it_in_time)
	{
		static const double lengths[] = { 3, 20, 75, 299, 301, 400, 1000 };

		for (int rate = 0; rate < RATES; rate++) {
			for (int i = 0; i < 7; i++) {
				double before, took, tick = 1 / rates[rate];

				set_up(rates[rate], 10);
				before = machine.ns;
				ck_assert_uint_eq(wait_on(ring(_i), lengths[i] * US), OLD);
				took = machine.ns - before;
				ck_assert_double_ge(took, lengths[i] * US - tick);
				/* The first looks, one round of later ones, and what a counter
				 * cannot tell. */
				ck_assert_msg(took <= lengths[i] * US + 3 * US + 2 * tick,
					      "%g us, not %g, with %g ticks a ns", took / US,
					      lengths[i], rates[rate]);
			}
		}
	}
END_TEST

static void written_when_armed(void)
{
	machine_write(NEW);
}

START_TEST(what_comes_between_arming_and_waiting_is_not_waited_for)
	{
		const struct peal_ring_ops *ops = ring(_i);

		machine.armed_now = written_when_armed;
		ck_assert_uint_eq(wait_on(ops, 1000 * US), NEW);
		ck_assert_uint_eq(machine.arms, 1);
		ck_assert_uint_eq(machine.rests, 0);
	}
END_TEST

static bool write_in_third(void)
{
	if (machine.rests < 3)
		return true; /* early, and for nothing */
	machine_write(NEW);
	return true;
}

START_TEST(what_comes_ends_the_rest)
	{
		const struct peal_ring_ops *ops = ring(_i);
		double before = machine.ns;

		machine.resting = write_in_third;
		ck_assert_uint_eq(wait_on(ops, 1000 * US), NEW);
		ck_assert_double_le(machine.ns - before, 4 * US);
	}
END_TEST

START_TEST(a_rest_that_ends_for_nothing_is_followed_by_another_that_is_armed_anew)
	{
		const struct peal_ring_ops *ops = ring(_i);

		machine.resting = write_in_third;
		ck_assert_uint_eq(wait_on(ops, 1000 * US), NEW);
		/* machine_rest looks whether it is armed. */
		ck_assert_uint_eq(machine.arms, 3);
		ck_assert_uint_eq(machine.rests, 3);
		/* Between two rests the line is left alone. */
		ck_assert_uint_ge(machine.hints, 64 * 3 + 2 * 3);
	}
END_TEST

static bool never_rests(void)
{
	return true;
}

START_TEST(where_no_rest_lasts_it_still_ends_in_time)
	{
		const struct peal_ring_ops *ops = ring(_i);
		double before = machine.ns;

		machine.resting = never_rests;
		ck_assert_uint_eq(wait_on(ops, 500 * US), OLD);
		ck_assert_uint_ge(machine.rests, 100);
		ck_assert_double_le(machine.ns - before, 503 * US);
	}
END_TEST

START_TEST(a_rest_is_as_long_as_there_is_time_within_its_limits)
	{
		static const double lengths[] = { 3, 15, 20, 75, 200, 1000 };
		const struct variant *variant = &machine_variants[_i];

		for (int rate = 0; rate < RATES; rate++) {
			for (int i = 0; i < 6; i++) {
				double tick = 1 / rates[rate], length = lengths[i] * US;
				double expected = length < variant->most_ns ? length :
									      variant->most_ns;

				set_up(rates[rate], 10);
				wait_on(variant->ops, length);
				if (length < variant->least_ns) {
					ck_assert_uint_eq(machine.rests, 0);
					continue;
				}
				ck_assert_msg(machine.longest_ns <= expected + tick + 1,
					      "%g of %g ns", machine.longest_ns, expected);
				/* One that only events end is as long as they let it. */
				ck_assert_msg(variant->least_ns > 0 ||
						      machine.first_ns >= expected - 2 * tick - 50,
					      "%g of %g ns", machine.first_ns, expected);
			}
		}
	}
END_TEST

Suite *machine_suite(void)
{
	Suite *suite = suite_create("variants");
	TCase *all = tcase_create("all"), *watchers = tcase_create("watchers");
	int count = 0;

	while (machine_variants[count].ops)
		count++;
	tcase_add_checked_fixture(all, usual, NULL);
	tcase_add_test(all, the_list_ends_with_the_generic_one);
	tcase_add_test(all, the_picked_one_polls_also_where_a_monitor_could_be_used);
	tcase_add_test(all, a_cpu_that_has_all_uses_all);
	tcase_add_loop_test(all, what_has_come_already_is_told_at_once, 0, count);
	tcase_add_loop_test(all, a_first_look_lasts_2_us_and_never_rests, 0, count);
	tcase_add_loop_test(all, a_gap_lasts_28_ns_whatever_a_pause_takes, 0, count);
	tcase_add_loop_test(all, a_gap_lasts_as_long_as_it_is_told_to, 0, count);
	tcase_add_loop_test(all, the_deadline_ends_it_in_time, 0, count);
	suite_add_tcase(suite, all);

	tcase_add_checked_fixture(watchers, usual, NULL);
	for (int i = 0; i < count; i++) {
		if (!machine_variants[i].watches)
			continue;
		tcase_add_loop_test(watchers,
				    what_comes_between_arming_and_waiting_is_not_waited_for, i,
				    i + 1);
		tcase_add_loop_test(watchers, what_comes_ends_the_rest, i, i + 1);
		tcase_add_loop_test(
			watchers,
			a_rest_that_ends_for_nothing_is_followed_by_another_that_is_armed_anew, i,
			i + 1);
		tcase_add_loop_test(watchers, where_no_rest_lasts_it_still_ends_in_time, i, i + 1);
		tcase_add_loop_test(watchers, a_rest_is_as_long_as_there_is_time_within_its_limits,
				    i, i + 1);
	}
	suite_add_tcase(suite, watchers);
	return suite;
}
