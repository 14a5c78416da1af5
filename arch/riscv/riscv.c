/*
 * SPDX-License-Identifier: MIT
 *
 * 64-bit RISC-V: polling with PAUSE, the time counter, and what the kernel says of the CPU. It was
 * not measured: short payloads are copied as on x86-64, and no lines are asked for ahead.
 */
#include "config.h"

#include <stdio.h>

#include "arch/generic/generic.h"
#include "arch/riscv/machine.h"
#include "arch/riscv/riscv.h"

/* Keys of riscv_hwprobe, and a bit of the last. */
#define PROBE_VENDOR 0
#define PROBE_ARCHITECTURE 1
#define PROBE_EXTENSIONS 4
#define EXTENSION_ZIHINTPAUSE 36 /* told by Linux 6.10 and later */

static double per_ns = 1.0; /* set once, by arch_set_ticks, like the next one */
static unsigned pauses = 1;

uint64_t arch_ticks(void)
{
	return cpu_ticks();
}

uint64_t arch_ticks_behind(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return arch_ticks();
}

void arch_set_ticks(double ticks_per_ns)
{
	per_ns = ticks_per_ns;
	pauses = arch_count_pauses(per_ns, cpu_pause, cpu_ticks);
}

static bool has_pause(void)
{
	uint64_t extensions;

	return cpu_probe(PROBE_EXTENSIONS, &extensions) && extensions >> EXTENSION_ZIHINTPAUSE & 1;
}

static bool pause_usable(const char **why)
{
	*why = has_pause() ? "the CPU has PAUSE (Zihintpause)" :
			     "PAUSE does no harm where it is not known to be there";
	return true;
}

static void pause_gap(const uint64_t *word)
{
	arch_gap(word, pauses, cpu_pause);
}

static uint64_t pause_await(const uint64_t *word, uint64_t old, uint64_t ns)
{
	return arch_poll(word, old, arch_ticks_of(ns, per_ns), pause_gap, cpu_ticks);
}

const struct peal_ring_ops arch_riscv_pause = {
	.name = "riscv-pause",
	.usable = pause_usable,
	.relax = cpu_pause,
	.await = pause_await,
	.inline_copy = ARCH_INLINE_COPY,
};

const struct peal_ring_ops *const arch_ring_ops[] = { &arch_riscv_pause, &arch_generic, NULL };

void (*const arch_copy_around)(void *to, const void *from, size_t length) = NULL;

bool arch_can_evict(void)
{
	return false;
}

void arch_evict(const void *from, size_t length)
{
	(void)from;
	(void)length;
}

static void tell_key(int64_t key, char *buffer, size_t size)
{
	uint64_t value;

	if (cpu_probe(key, &value))
		snprintf(buffer, size, "0x%llx", (unsigned long long)value);
	else
		snprintf(buffer, size, "unknown: the kernel does not tell (riscv_hwprobe)");
}

static void vendor(char *buffer, size_t size)
{
	tell_key(PROBE_VENDOR, buffer, size);
}

static void model(char *buffer, size_t size)
{
	tell_key(PROBE_ARCHITECTURE, buffer, size);
}

static void feature_list(char *buffer, size_t size)
{
	snprintf(buffer, size, "%s",
		 has_pause() ? "zihintpause" : "zihintpause is not known to be there");
}

bool arch_fact(unsigned index, const char **name, char *buffer, size_t size)
{
	static const struct {
		const char *name;
		void (*tell)(char *buffer, size_t size);
	} facts[] = { { "vendor", vendor }, { "model", model }, { "features", feature_list } };

	if (index >= sizeof(facts) / sizeof(facts[0]))
		return false;
	*name = facts[index].name;
	facts[index].tell(buffer, size);
	return true;
}
