/*
 * SPDX-License-Identifier: MIT
 *
 * arm64: its ring variants, the virtual counter, and what the kernel says of the CPU.
 */
#include "config.h"

#include <stdio.h>

#include "arch/arm64/arm64.h"
#include "arch/arm64/machine.h"
#include "arch/generic/generic.h"

/* What rests the core is for the asking: see docs/variants.md. */
const struct peal_ring_ops *const arch_ring_ops[] = { &arch_arm64_isb, &arch_arm64_wfet,
						      &arch_arm64_wfe, &arch_generic, NULL };

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

static double per_ns = 1.0; /* set once, by arch_set_ticks, like the next one */
static unsigned isbs = 1;

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
	isbs = arch_count_pauses(per_ns, cpu_isb, cpu_ticks);
}

uint64_t arch_arm64_ticks_of(uint64_t ns)
{
	return arch_ticks_of(ns, per_ns);
}

void arch_arm64_gap(const uint64_t *word)
{
	arch_gap(word, isbs, cpu_isb);
}

static void vendor(char *buffer, size_t size)
{
	static const struct {
		unsigned code;
		const char *name;
	} makers[] = {
		{ 0x41, "Arm" },      { 0x42, "Broadcom" },  { 0x43, "Cavium" },
		{ 0x46, "Fujitsu" },  { 0x48, "HiSilicon" }, { 0x4e, "NVIDIA" },
		{ 0x51, "Qualcomm" }, { 0x61, "Apple" },     { 0x6d, "Microsoft" },
		{ 0xc0, "Ampere" },
	};
	unsigned code;

	if (!(cpu_hwcap() >> ARM64_CPUID & 1)) {
		snprintf(buffer, size, "unknown: the kernel does not tell (HWCAP_CPUID)");
		return;
	}
	code = (unsigned)(cpu_midr() >> 24 & 0xff);
	snprintf(buffer, size, "0x%02x", code);
	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++)
		if (makers[i].code == code)
			snprintf(buffer, size, "%s", makers[i].name);
}

static void model(char *buffer, size_t size)
{
	unsigned midr;

	if (!(cpu_hwcap() >> ARM64_CPUID & 1)) {
		snprintf(buffer, size, "unknown: the kernel does not tell (HWCAP_CPUID)");
		return;
	}
	midr = (unsigned)cpu_midr();
	snprintf(buffer, size, "part 0x%03x, r%up%u", midr >> 4 & 0xfff, midr >> 20 & 15,
		 midr & 15);
}

static void feature_list(char *buffer, size_t size)
{
	uint64_t one = cpu_hwcap(), two = cpu_hwcap2();

	snprintf(buffer, size, "wfe ldaxr%s%s%s%s", one >> ARM64_EVENT_STREAM & 1 ? " evtstrm" : "",
		 two >> ARM64_WFXT & 1 ? " wfxt" : "", one >> ARM64_ATOMICS & 1 ? " atomics" : "",
		 one >> ARM64_LRCPC & 1 ? " lrcpc" : "");
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
