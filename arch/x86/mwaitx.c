/*
 * SPDX-License-Identifier: MIT
 *
 * x86-mwaitx: waits of some microseconds and more by MONITORX and MWAITX, which rest the core until
 * the line is written: AMD's from Excavator and Zen on.
 */
#include "config.h"

#include "arch/x86/machine.h"
#include "arch/x86/x86.h"

#define NO_DEEP_STATE 0xf0u /* stay in C0: a ring is waited for by who wants it soon */
#define TIMER 2u

static uint64_t mwaitx_arm(const uint64_t *word)
{
	cpu_monitorx(word);
	/* Pairs with the release of whoever writes the word. */
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* MWAITX takes a number of ticks, of 32 bits; 0 would be for ever. */
static void mwaitx_rest(uint64_t at, uint64_t left)
{
	uint64_t most = arch_x86_ticks_of(ARCH_WATCH_NS);

	(void)at;
	if (left > most)
		left = most;
	if (left > UINT32_MAX)
		left = UINT32_MAX;
	cpu_mwaitx(NO_DEEP_STATE, TIMER, left ? (uint32_t)left : 1);
}

static bool mwaitx_usable(const char **why)
{
	static int verdict;
	unsigned regs[4];

	if (!cpu_id(0x80000001u, 0, regs) || !(regs[2] >> 29 & 1)) {
		*why = "the CPU has no MWAITX, or the hypervisor hides it";
		return false;
	}
	*why = "for the asking: rests the core where waits are longer than 2 us";
	return arch_x86_waits(&verdict, mwaitx_arm, mwaitx_rest, why);
}

static uint64_t mwaitx_await(const uint64_t *word, uint64_t old, uint64_t ns)
{
	return arch_watch(word, old, arch_x86_ticks_of(ns), arch_x86_gap, cpu_ticks, mwaitx_arm,
			  mwaitx_rest);
}

const struct peal_ring_ops arch_x86_mwaitx = {
	.name = "x86-mwaitx",
	.usable = mwaitx_usable,
	.relax = cpu_pause,
	.await = mwaitx_await,
	.inline_copy = ARCH_INLINE_COPY,
	.prefetch = ARCH_X86_PREFETCH,
};
