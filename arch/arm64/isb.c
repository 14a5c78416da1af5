/*
 * SPDX-License-Identifier: MIT
 *
 * arm64-isb: polling with ISB, which takes the place of x86's PAUSE.
 */
#include "config.h"

#include "arch/arm64/arm64.h"
#include "arch/arm64/machine.h"

static bool isb_usable(const char **why)
{
	*why = "ISB is in every arm64 CPU";
	return true;
}

static uint64_t isb_await(const uint64_t *word, uint64_t old, uint64_t ns)
{
	return arch_poll(word, old, arch_arm64_ticks_of(ns), arch_arm64_gap, cpu_ticks);
}

const struct peal_ring_ops arch_arm64_isb = {
	.name = "arm64-isb",
	.usable = isb_usable,
	.relax = cpu_isb,
	.await = isb_await,
	.inline_copy = ARCH_INLINE_COPY,
};
