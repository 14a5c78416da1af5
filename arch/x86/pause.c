/*
 * SPDX-License-Identifier: MIT
 *
 * x86-pause: polling with PAUSE. PAUSE between the looks does not slow a waiter down: the line is
 * not torn away while the other side writes it (docs/performance.md).
 */
#include "config.h"

#include "arch/x86/machine.h"
#include "arch/x86/x86.h"

static bool pause_usable(const char **why)
{
	*why = "PAUSE is in every x86-64 CPU";
	return true;
}

static uint64_t pause_await(const uint64_t *word, uint64_t old, uint64_t ns)
{
	return arch_poll(word, old, arch_x86_ticks_of(ns), arch_x86_gap, cpu_ticks);
}

const struct peal_ring_ops arch_x86_pause = {
	.name = "x86-pause",
	.usable = pause_usable,
	.relax = cpu_pause,
	.await = pause_await,
	.inline_copy = ARCH_INLINE_COPY,
	.prefetch = ARCH_X86_PREFETCH,
};
