/*
 * SPDX-License-Identifier: MIT
 *
 * The ring variant of 64-bit RISC-V on a machine that is made up, so on any CPU: what it does with
 * the instructions. That these are encoded as the manual says is tests/source's to tell.
 */
#include "config.h"

#include <string.h>

#include "tests/unit/machine.h"

/* In place of arch/riscv/machine.h. */
#define ARCH_RISCV_MACHINE_H

static struct {
	bool old; /* a kernel that does not know the question */
	uint64_t extensions;
} cpu;

static inline uint64_t cpu_ticks(void)
{
	return machine_ticks();
}

static inline void cpu_pause(void)
{
	machine_hint();
}

static inline bool cpu_probe(int64_t key, uint64_t *value)
{
	*value = key == 4 ? cpu.extensions : 0x489 + (uint64_t)key;
	return !cpu.old;
}

#include "arch/generic/generic.c"
#include "arch/riscv/riscv.c"

const struct variant machine_variants[] = { { .ops = &arch_riscv_pause }, { 0 } };

void machine_has_all(void)
{
	cpu.old = false;
	cpu.extensions = (uint64_t)1 << 36;
}

static void set_up(void)
{
	machine = (struct machine){ .rate = 0.024, .hint_ns = 10, .ns = 1e9 };
	machine_has_all();
	arch_set_ticks(0.024);
}

START_TEST(pause_is_used_whether_it_is_known_to_be_there_or_not)
	{
		const char *why;

		ck_assert(arch_riscv_pause.usable(&why));
		ck_assert_ptr_nonnull(strstr(why, "Zihintpause"));
		cpu.extensions = ~cpu.extensions;
		ck_assert(arch_riscv_pause.usable(&why));
		ck_assert_ptr_nonnull(strstr(why, "no harm"));
		cpu.old = true;
		cpu.extensions = UINT64_MAX;
		ck_assert(arch_riscv_pause.usable(&why));
		ck_assert_ptr_nonnull(strstr(why, "no harm"));
	}
END_TEST

START_TEST(what_the_kernel_says_of_the_cpu_is_told)
	{
		machine_expect_facts("0x489", "0x48a", "zihintpause");
		cpu.old = true;
		machine_expect_facts("unknown: the kernel does not tell (riscv_hwprobe)",
				     "unknown: the kernel does not tell (riscv_hwprobe)",
				     "zihintpause is not known to be there");
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

static Suite *riscv(void)
{
	Suite *suite = suite_create("riscv");
	TCase *tcase = tcase_create("riscv");

	tcase_add_checked_fixture(tcase, set_up, NULL);
	tcase_add_test(tcase, pause_is_used_whether_it_is_known_to_be_there_or_not);
	tcase_add_test(tcase, what_the_kernel_says_of_the_cpu_is_told);
	tcase_add_test(tcase, the_time_is_the_counters_and_nothing_leaves_the_cache);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { machine_suite, riscv, NULL };

	return runner_main(suites);
}
