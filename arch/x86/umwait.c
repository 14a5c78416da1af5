/*
 * SPDX-License-Identifier: MIT
 *
 * x86-umwait: waits of some microseconds and more by UMONITOR and UMWAIT, which rest the core until
 * the line is written: Intel's from Tremont, Alder Lake and Sapphire Rapids on.
 */
#include "config.h"

#include "arch/x86/machine.h"
#include "arch/x86/x86.h"

/* C0.1: a ring is waited for by who wants it soon. */
#define FAST_WAKE 1u

static uint64_t umwait_arm(const uint64_t *word)
{
	cpu_umonitor(word);
	/* Pairs with the release of whoever writes the word. */
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* UMWAIT takes a time of the counter. It ends earlier if the system allows less
 * (/sys/devices/system/cpu/umwait_control/max_time, 100,000 ticks by default). */
static void umwait_rest(uint64_t at, uint64_t left)
{
	uint64_t most = arch_x86_ticks_of(ARCH_WATCH_NS);

	cpu_umwait(FAST_WAKE, at + (left < most ? left : most));
}

static bool umwait_usable(const char **why)
{
	static int verdict;
	unsigned regs[4];

	if (!cpu_id(7, 0, regs) || !(regs[2] >> 5 & 1)) {
		*why = "the CPU has no UMWAIT (waitpkg), or the hypervisor hides it";
		return false;
	}
	*why = "for the asking: rests the core where waits are longer than 2 us";
	return arch_x86_waits(&verdict, umwait_arm, umwait_rest, why);
}

static uint64_t umwait_await(const uint64_t *word, uint64_t old, uint64_t ns)
{
	return arch_watch(word, old, arch_x86_ticks_of(ns), arch_x86_gap, cpu_ticks, umwait_arm,
			  umwait_rest);
}

const struct peal_ring_ops arch_x86_umwait = {
	.name = "x86-umwait",
	.usable = umwait_usable,
	.relax = cpu_pause,
	.await = umwait_await,
	.inline_copy = ARCH_INLINE_COPY,
	.prefetch = ARCH_X86_PREFETCH,
};
