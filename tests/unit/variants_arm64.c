/*
 * SPDX-License-Identifier: MIT
 *
 * The ring variants of arm64 on a machine that is made up, so on any CPU: what they do with the
 * instructions. That these are encoded as the manuals say is tests/source's to tell.
 */
#include "config.h"

#include <string.h>

#include "tests/unit/machine.h"

/* In place of arch/arm64/machine.h. */
#define ARCH_ARM64_MACHINE_H

#define STREAM 267000.0 /* ns between two events, at most, of older kernels */

static struct {
	uint64_t hwcap, hwcap2, midr;
	unsigned wfes, wfets;
} cpu;

static inline uint64_t cpu_ticks(void)
{
	return machine_ticks();
}

static inline void cpu_isb(void)
{
	machine_hint();
}

static inline uint64_t cpu_load_armed(const uint64_t *word)
{
	machine_arm(word);
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* Rests until the stream's next event. */
static inline void cpu_wfe(void)
{
	double events = (double)(uint64_t)(machine.ns / STREAM);

	cpu.wfes++;
	machine_rest((uint64_t)((events + 1) * STREAM * machine.rate));
}

static inline void cpu_wfet(uint64_t until)
{
	cpu.wfets++;
	machine_rest(until);
}

static inline uint64_t cpu_midr(void)
{
	return cpu.midr;
}

static inline uint64_t cpu_hwcap(void)
{
	return cpu.hwcap;
}

static inline uint64_t cpu_hwcap2(void)
{
	return cpu.hwcap2;
}

#include "arch/arm64/arm64.c"
#include "arch/arm64/isb.c"
#include "arch/arm64/wfe.c"
#include "arch/arm64/wfet.c"
#include "arch/generic/generic.c"

const struct variant machine_variants[] = {
	{ .ops = &arch_arm64_isb },
	{ .ops = &arch_arm64_wfet, .watches = true, .most_ns = 20000 },
	{ .ops = &arch_arm64_wfe, .watches = true, .least_ns = 300000, .most_ns = STREAM },
	{ 0 },
};

void machine_has_all(void)
{
	memset(&cpu, 0, sizeof(cpu));
	cpu.hwcap = 1 << 2 | 1 << 8 | 1 << 11;
	cpu.hwcap2 = (uint64_t)1 << 31;
	cpu.midr = 0x413fd0c1;
}

static void set_up(void)
{
	machine = (struct machine){ .rate = 1, .hint_ns = 10, .ns = 1e9 };
	machine_has_all();
	arch_set_ticks(1);
}

START_TEST(wfet_is_told_a_time_of_the_counter)
	{
		machine.armed = &machine.word;
		machine.ns = 1e9;
		wfet_rest(1000000000, 1000);
		ck_assert_double_eq_tol(machine.first_ns, 1000, 1);
		machine.rests = 0;
		machine.armed = &machine.word;
		machine.ns = UINT32_MAX;
		wfet_rest(UINT32_MAX, UINT64_MAX);
		ck_assert_double_eq_tol(machine.first_ns, 20000, 1);
		ck_assert_uint_eq(cpu.wfets, 2);
		ck_assert_uint_eq(cpu.wfes, 0);
	}
END_TEST

START_TEST(wfe_is_not_used_where_the_next_event_may_be_too_late)
	{
		for (uint64_t us = 1; us < 300; us++) {
			machine.armed = &machine.word;
			wfe_rest(1000000000, us * 1000);
			ck_assert_uint_eq(cpu.wfes, 0);
		}
		machine.armed = &machine.word;
		wfe_rest(1000000000, 300000);
		ck_assert_uint_eq(cpu.wfes, 1);
		ck_assert_uint_eq(cpu.wfets, 0);
	}
END_TEST

START_TEST(a_wait_that_is_too_short_for_wfe_arms_nothing)
	{
		arch_arm64_wfe.await(&machine.word, 0, 299999);
		ck_assert_uint_eq(machine.arms, 0);
		arch_arm64_wfe.await(&machine.word, 0, 310000);
		ck_assert_uint_gt(machine.arms, 0);
	}
END_TEST

START_TEST(without_the_event_stream_there_is_no_wfe)
	{
		const char *why;

		cpu.hwcap = ~(uint64_t)(1 << 2);
		ck_assert(!arch_arm64_wfe.usable(&why));
		ck_assert_ptr_nonnull(strstr(why, "event stream"));
		ck_assert(arch_arm64_wfet.usable(&why));
		ck_assert(arch_arm64_isb.usable(&why));
	}
END_TEST

START_TEST(without_the_bit_there_is_no_wfet)
	{
		const char *why;

		cpu.hwcap2 = ~((uint64_t)1 << 31);
		ck_assert(!arch_arm64_wfet.usable(&why));
		ck_assert_ptr_nonnull(strstr(why, "no WFET"));
		ck_assert(arch_arm64_wfe.usable(&why));
		ck_assert(arch_arm64_isb.usable(&why));
	}
END_TEST

START_TEST(what_the_kernel_says_of_the_cpu_is_told)
	{
		machine_expect_facts("Arm", "part 0xd0c, r3p1", "wfe ldaxr evtstrm wfxt atomics");
		cpu.midr = 0x990f1230;
		machine_expect_facts("0x99", "part 0x123, r0p0", "wfe ldaxr evtstrm wfxt atomics");
		cpu.hwcap = cpu.hwcap2 = 0;
		machine_expect_facts("unknown: the kernel does not tell (HWCAP_CPUID)",
				     "unknown: the kernel does not tell (HWCAP_CPUID)",
				     "wfe ldaxr");
	}
END_TEST

START_TEST(the_time_is_the_counters_and_nothing_leaves_the_cache)
	{
		uint64_t before = arch_ticks();

		machine.ns += 1e6;
		ck_assert_uint_ge(arch_ticks(), before + (uint64_t)(1e6 * machine.rate));
		ck_assert_uint_ge(arch_ticks_behind(), before + (uint64_t)(1e6 * machine.rate));
		/* Whoever asks is told so; whoever does not does no harm. */
		ck_assert(!arch_can_evict());
		machine.word = 7;
		arch_evict(&machine.word, sizeof(machine.word));
		ck_assert_uint_eq(machine.word, 7);
	}
END_TEST

static Suite *arm64(void)
{
	Suite *suite = suite_create("arm64");
	TCase *tcase = tcase_create("arm64");

	tcase_add_checked_fixture(tcase, set_up, NULL);
	tcase_add_test(tcase, wfet_is_told_a_time_of_the_counter);
	tcase_add_test(tcase, wfe_is_not_used_where_the_next_event_may_be_too_late);
	tcase_add_test(tcase, a_wait_that_is_too_short_for_wfe_arms_nothing);
	tcase_add_test(tcase, without_the_event_stream_there_is_no_wfe);
	tcase_add_test(tcase, without_the_bit_there_is_no_wfet);
	tcase_add_test(tcase, what_the_kernel_says_of_the_cpu_is_told);
	tcase_add_test(tcase, the_time_is_the_counters_and_nothing_leaves_the_cache);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { machine_suite, arm64, NULL };

	return runner_main(suites);
}
