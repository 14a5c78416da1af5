/*
 * SPDX-License-Identifier: MIT
 *
 * arm64-wfet: waits by an armed monitor and WFET, which rests the core until the line is written or
 * the time is up.
 */
#include "config.h"

#include "arch/arm64/arm64.h"
#include "arch/arm64/machine.h"

/* WFET takes a time of the virtual counter. */
static void wfet_rest(uint64_t at, uint64_t left)
{
	uint64_t most = arch_arm64_ticks_of(ARCH_WATCH_NS);

	cpu_wfet(at + (left < most ? left : most));
}

static bool wfet_usable(const char **why)
{
	if (!(cpu_hwcap2() >> ARM64_WFXT & 1)) {
		*why = "the CPU has no WFET, or the kernel (before 5.19) does not say so";
		return false;
	}
	*why = "for the asking: rests the core where waits are longer than 2 us";
	return true;
}

static uint64_t wfet_await(const uint64_t *word, uint64_t old, uint64_t ns)
{
	return arch_watch(word, old, arch_arm64_ticks_of(ns), arch_arm64_gap, cpu_ticks,
			  cpu_load_armed, wfet_rest);
}

const struct peal_ring_ops arch_arm64_wfet = {
	.name = "arm64-wfet",
	.usable = wfet_usable,
	.relax = cpu_isb,
	.await = wfet_await,
	.inline_copy = ARCH_INLINE_COPY,
};
