/*
 * SPDX-License-Identifier: MIT
 *
 * arm64-wfe: waits by an armed monitor and WFE, which rests the core until the line is written.
 * What ends it if nobody writes is the event stream, which Linux has on, every 100 us or so: so it
 * is used only where there is that much time left, and short waits poll as arm64-isb does.
 */
#include "config.h"

#include "arch/arm64/arm64.h"
#include "arch/arm64/machine.h"

/* The stream goes by a bit of the counter: 10,000 events a second, to the nearest power of two, so
 * up to 133 us from one to the next; and twice that by Linux before 5.11, which took the bit above
 * it. */
#define STREAM_NS 300000

static void wfe_rest(uint64_t at, uint64_t left)
{
	(void)at;
	if (left >= arch_arm64_ticks_of(STREAM_NS))
		cpu_wfe();
}

static bool wfe_usable(const char **why)
{
	if (!(cpu_hwcap() >> ARM64_EVENT_STREAM & 1)) {
		*why = "the event stream is off (HWCAP_EVTSTRM), so nothing would end a wait";
		return false;
	}
	*why = "for the asking: rests the core where waits are longer than 300 us";
	return true;
}

/* An exclusive load may take the line from who writes it, so there is none for nothing. */
static uint64_t wfe_await(const uint64_t *word, uint64_t old, uint64_t ns)
{
	if (ns < STREAM_NS)
		return arch_poll(word, old, arch_arm64_ticks_of(ns), arch_arm64_gap, cpu_ticks);
	return arch_watch(word, old, arch_arm64_ticks_of(ns), arch_arm64_gap, cpu_ticks,
			  cpu_load_armed, wfe_rest);
}

const struct peal_ring_ops arch_arm64_wfe = {
	.name = "arm64-wfe",
	.usable = wfe_usable,
	.relax = cpu_isb,
	.await = wfe_await,
	.inline_copy = ARCH_INLINE_COPY,
};
