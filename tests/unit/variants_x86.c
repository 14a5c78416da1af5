/*
 * SPDX-License-Identifier: MIT
 *
 * The ring variants of x86-64 on a machine that is made up, so on any CPU: what they do with the
 * instructions. That these are encoded as the manuals say is tests/source's to tell.
 */
#include "config.h"

#include <string.h>

#include "tests/unit/machine.h"

/* In place of arch/x86/machine.h. */
#define ARCH_X86_MACHINE_H

static struct {
	bool waitpkg, mwaitx;
	uint32_t state, hints, extensions, count;
	unsigned umonitors, monitorxs;
} cpu;

static inline uint64_t cpu_ticks(void)
{
	return machine_ticks();
}

static inline uint64_t cpu_ticks_behind(void)
{
	return machine_ticks();
}

static inline void cpu_pause(void)
{
	machine_hint();
}

static inline void cpu_umonitor(const uint64_t *word)
{
	cpu.umonitors++;
	machine_arm(word);
}

static inline void cpu_umwait(uint32_t state, uint64_t until)
{
	cpu.state = state;
	machine_rest(until);
}

static inline void cpu_monitorx(const uint64_t *word)
{
	cpu.monitorxs++;
	machine_arm(word);
}

static inline void cpu_mwaitx(uint32_t hints, uint32_t extensions, uint32_t ticks)
{
	cpu.hints = hints;
	cpu.extensions = extensions;
	cpu.count = ticks;
	machine_rest((uint64_t)(machine.ns * machine.rate) + ticks);
}

/* A CPU as Intel's and AMD's manuals describe it. */
static inline bool cpu_id(unsigned leaf, unsigned subleaf, unsigned regs[4])
{
	static const char name[48] = "   A CPU of nobody's make";

	memset(regs, 0, 4 * sizeof(*regs));
	switch (leaf) {
	case 0:
		memcpy(&regs[1], "GenuntelineI", 12);
		return true;
	case 7:
		regs[2] = subleaf == 0 && cpu.waitpkg ? 1u << 5 : 0;
		return true;
	case 0x80000001u:
		regs[2] = cpu.mwaitx ? 1u << 29 : 0;
		return true;
	case 0x80000002u:
	case 0x80000003u:
	case 0x80000004u:
		memcpy(regs, name + (leaf - 0x80000002u) * 16, 16);
		return true;
	default:
		return false;
	}
}

/* It runs under no hypervisor, so this is not asked. */
static inline void cpu_id_unchecked(unsigned leaf, unsigned regs[4])
{
	(void)leaf;
	memset(regs, 0, 4 * sizeof(*regs));
}

#include "arch/generic/generic.c"
#include "arch/x86/mwaitx.c"
#include "arch/x86/pause.c"
#include "arch/x86/umwait.c"
#include "arch/x86/x86.c"

const struct variant machine_variants[] = {
	{ .ops = &arch_x86_pause },
	{ .ops = &arch_x86_umwait, .watches = true, .most_ns = 20000 },
	{ .ops = &arch_x86_mwaitx, .watches = true, .most_ns = 20000 },
	{ 0 },
};

void machine_has_all(void)
{
	memset(&cpu, 0, sizeof(cpu));
	cpu.waitpkg = cpu.mwaitx = true;
}

static void set_up(void)
{
	machine = (struct machine){ .rate = 2.5, .hint_ns = 10, .ns = 1e9 };
	machine_has_all();
	arch_set_ticks(2.5);
}

START_TEST(umwait_asks_for_the_state_that_wakes_fast)
	{
		arch_x86_umwait.await(&machine.word, 0, 10000);
		ck_assert_uint_eq(cpu.umonitors, 1);
		ck_assert_uint_eq(cpu.monitorxs, 0);
		ck_assert_uint_eq(cpu.state, 1);
	}
END_TEST

START_TEST(umwait_is_told_a_time_of_the_counter)
	{
		machine.armed = &machine.word;
		machine.ns = 1e9;
		umwait_rest(2500000000u, 1000);
		ck_assert_double_eq_tol(machine.first_ns, 400, 1);
		/* 20 us are 50,000 ticks; and it may pass 32 bits. */
		machine.rests = 0;
		machine.armed = &machine.word;
		machine.ns = (UINT32_MAX - 1000.0) / 2.5;
		umwait_rest(UINT32_MAX - 1000u, UINT64_MAX);
		ck_assert_double_eq_tol(machine.first_ns, 20000, 1);
	}
END_TEST

START_TEST(mwaitx_is_told_a_number_of_ticks_that_is_never_0)
	{
		static const struct {
			double rate;
			uint64_t left;
			uint32_t count;
		} cases[] = {
			{ 2.5, 1000, 1000 },
			{ 2.5, 1, 1 },
			{ 2.5, 0, 1 },
			{ 2.5, 50000, 50000 },
			{ 2.5, 50001, 50000 },
			{ 2.5, UINT64_MAX, 50000 },
			{ 1, UINT64_MAX, 20000 },
			{ 1e6, (uint64_t)1 << 32, UINT32_MAX },
			{ 1e6, 1000000u, 1000000u },
		};

		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			machine.rate = per_ns = cases[i].rate;
			machine.armed = &machine.word;
			mwaitx_rest(0, cases[i].left);
			ck_assert_uint_eq(cpu.count, cases[i].count);
		}
		ck_assert_uint_eq(cpu.hints, 0xf0);
		ck_assert_uint_eq(cpu.extensions, 2);
	}
END_TEST

START_TEST(mwaitx_uses_its_own_monitor)
	{
		arch_x86_mwaitx.await(&machine.word, 0, 10000);
		ck_assert_uint_eq(cpu.monitorxs, 1);
		ck_assert_uint_eq(cpu.umonitors, 0);
	}
END_TEST

static const struct peal_ring_ops *const watchers[] = { &arch_x86_umwait, &arch_x86_mwaitx };

START_TEST(an_instruction_that_is_not_there_is_not_tried)
	{
		const char *why;

		cpu.waitpkg = _i != 0;
		cpu.mwaitx = _i != 1;
		ck_assert(!watchers[_i]->usable(&why));
		ck_assert_ptr_nonnull(strstr(why, _i ? "no MWAITX" : "no UMWAIT"));
		ck_assert_uint_eq(machine.arms + machine.rests, 0);
		ck_assert(watchers[!_i]->usable(&why));
	}
END_TEST

static bool at_once(void)
{
	return true;
}

START_TEST(one_that_does_not_wait_is_refused_for_good)
	{
		const char *why;
		unsigned rests;

		machine.resting = at_once;
		ck_assert(!watchers[_i]->usable(&why));
		ck_assert_ptr_nonnull(strstr(why, "does not wait"));
		rests = machine.rests;
		ck_assert_uint_gt(rests, 1);
		machine.resting = NULL;
		ck_assert(!watchers[_i]->usable(&why));
		ck_assert_ptr_nonnull(strstr(why, "does not wait"));
		ck_assert_uint_eq(machine.rests, rests);
	}
END_TEST

static bool takes_long(void)
{
	machine.ns += 50000;
	return false;
}

START_TEST(one_that_waits_far_too_long_is_refused)
	{
		const char *why;

		machine.resting = takes_long;
		ck_assert(!watchers[_i]->usable(&why));
		ck_assert_ptr_nonnull(strstr(why, "too long"));
	}
END_TEST

static double step_ns;

static bool stepped_in(void)
{
	machine.ns += step_ns;
	return true;
}

START_TEST(one_that_a_hypervisor_steps_in_for_and_passes_over_is_refused)
	{
		const struct peal_ring_ops *ops = watchers[_i % 2];
		static const double steps[] = { 500, 1000, 2000, 5000, 20000 };
		const char *why;

		step_ns = steps[_i / 2];
		machine.resting = stepped_in;
		ck_assert(!ops->usable(&why));
		ck_assert_ptr_nonnull(strstr(why, "does not wait"));
	}
END_TEST

/* Every other wait is one that is over at once. */
static bool disturbed(void)
{
	unsigned wait = machine.rests % 2 ? 0 : machine.rests / 2;

	if (wait == 3 || wait == 4)
		machine.ns += 50000;
	return wait == 1 || wait == 2;
}

START_TEST(one_that_is_disturbed_is_tried_again_and_found_good)
	{
		const char *why;

		machine.resting = disturbed;
		ck_assert_msg(watchers[_i]->usable(&why), "%s", why);
		ck_assert_uint_eq(machine.rests, 16);
		ck_assert(watchers[_i]->usable(&why));
		ck_assert_uint_eq(machine.rests, 16);
	}
END_TEST

START_TEST(cpuid_is_told)
	{
		machine_expect_facts("GenuineIntel", "A CPU of nobody's make", "waitpkg mwaitx");
	}
END_TEST

static Suite *x86(void)
{
	Suite *suite = suite_create("x86");
	TCase *tcase = tcase_create("x86");

	tcase_add_checked_fixture(tcase, set_up, NULL);
	tcase_add_test(tcase, umwait_asks_for_the_state_that_wakes_fast);
	tcase_add_test(tcase, umwait_is_told_a_time_of_the_counter);
	tcase_add_test(tcase, mwaitx_is_told_a_number_of_ticks_that_is_never_0);
	tcase_add_test(tcase, mwaitx_uses_its_own_monitor);
	tcase_add_loop_test(tcase, an_instruction_that_is_not_there_is_not_tried, 0, 2);
	tcase_add_loop_test(tcase, one_that_does_not_wait_is_refused_for_good, 0, 2);
	tcase_add_loop_test(tcase, one_that_waits_far_too_long_is_refused, 0, 2);
	tcase_add_loop_test(tcase, one_that_a_hypervisor_steps_in_for_and_passes_over_is_refused, 0,
			    10);
	tcase_add_loop_test(tcase, one_that_is_disturbed_is_tried_again_and_found_good, 0, 2);
	tcase_add_test(tcase, cpuid_is_told);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { machine_suite, x86, NULL };

	return runner_main(suites);
}
