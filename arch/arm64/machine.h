/*
 * SPDX-License-Identifier: MIT
 *
 * The instructions of arm64 that waiting takes, and what the kernel says of the CPU. WFET, which
 * assemblers may not know, stands here as a word (Arm Architecture Reference Manual, WFET, of
 * FEAT_WFxT); tests/source holds it against a disassembler. An exclusive load only loads: it works
 * on memory that is mapped read-only.
 */
#ifndef ARCH_ARM64_MACHINE_H
#define ARCH_ARM64_MACHINE_H

#include <stdint.h>
#include <sys/auxv.h>

/* The virtual counter, of 1 MHz to 1 GHz. */
static inline uint64_t cpu_ticks(void)
{
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
}

/* Waits until all that is under way is done: 10 ns and more. YIELD is nothing on most CPUs. */
static inline void cpu_isb(void)
{
	__asm__ volatile("isb" ::: "memory");
}

/* Arms the monitor and loads, in one, with acquire: a write to the line after it is an event. */
static inline uint64_t cpu_load_armed(const uint64_t *word)
{
	uint64_t value;

	__asm__ volatile("ldaxr %0, %1" : "=r"(value) : "Q"(*word) : "memory");
	return value;
}

/* Until there is an event: of the monitor, of the event stream, or any other. */
static inline void cpu_wfe(void)
{
	__asm__ volatile("wfe" ::: "memory");
}

/* wfet x0: the same, and no longer than until the counter is there. */
static inline void cpu_wfet(uint64_t until)
{
	register uint64_t x0 __asm__("x0") = until;

	__asm__ volatile(".inst 0xd5031000" ::"r"(x0) : "memory");
}

/* Main ID register: the maker in the highest byte, the part in bits 4 to 15. The kernel answers for
 * it, where HWCAP_CPUID says so. */
static inline uint64_t cpu_midr(void)
{
	uint64_t midr;

	__asm__ volatile("mrs %0, midr_el1" : "=r"(midr));
	return midr;
}

static inline uint64_t cpu_hwcap(void)
{
	return getauxval(AT_HWCAP);
}

static inline uint64_t cpu_hwcap2(void)
{
	return getauxval(AT_HWCAP2);
}

#endif
