/*
 * SPDX-License-Identifier: MIT
 *
 * The ring variant that runs everywhere: it polls, and goes by the monotonic clock. It knows no
 * instruction of any CPU.
 */
#include "config.h"

#include <time.h>

#include "arch/generic/generic.h"

uint32_t arch_gap_ns = ARCH_GAP_NS;

static bool usable(const char **why)
{
	*why = "runs everywhere";
	return true;
}

static void relax(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

uint64_t arch_generic_ticks(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void gap(const uint64_t *word)
{
	(void)word;
	relax();
}

static uint64_t await(const uint64_t *word, uint64_t old, uint64_t ns)
{
	return arch_poll(word, old, ns, gap, arch_generic_ticks);
}

const struct peal_ring_ops arch_generic = {
	.name = "generic",
	.usable = usable,
	.relax = relax,
	.await = await,
	.inline_copy = ARCH_INLINE_COPY,
};
