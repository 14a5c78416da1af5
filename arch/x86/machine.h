/*
 * SPDX-License-Identifier: MIT
 *
 * The instructions of x86-64 that waiting and evicting take. Those that a compiler or an assembler
 * may not know stand here as bytes (Intel's Software Developer's Manual, volume 2, UMONITOR,
 * UMWAIT, CLFLUSHOPT; AMD's Architecture Programmer's Manual, volume 3, MONITORX, MWAITX);
 * tests/source holds them against a disassembler. Monitors only load: they work on memory that is
 * mapped read-only.
 */
#ifndef ARCH_X86_MACHINE_H
#define ARCH_X86_MACHINE_H

#include <cpuid.h>
#include <stdbool.h>
#include <stdint.h>
#include <x86intrin.h>

static inline uint64_t cpu_ticks(void)
{
	return __rdtsc();
}

/* Not before all that was loaded and stored is: reading the counter waits for nothing by itself. */
static inline uint64_t cpu_ticks_behind(void)
{
	_mm_mfence();
	_mm_lfence();
	return __rdtsc();
}

static inline void cpu_pause(void)
{
	_mm_pause();
}

/* umonitor %rax. Ordered like a load, so that loads after it are. */
static inline void cpu_umonitor(const uint64_t *word)
{
	__asm__ volatile(".byte 0xf3, 0x0f, 0xae, 0xf0" ::"a"(word) : "memory");
}

/* umwait %ecx: until the counter is there (edx:eax), in the state that state asks for: 1 is C0.1,
 * which wakes faster than C0.2, 0. The system's own limit may end it earlier. */
static inline void cpu_umwait(uint32_t state, uint64_t until)
{
	__asm__ volatile(".byte 0xf2, 0x0f, 0xae, 0xf1" ::"c"(state), "a"((uint32_t)until),
			 "d"((uint32_t)(until >> 32))
			 : "cc", "memory");
}

/* monitorx %rax, %ecx, %edx: no extensions, no hints. */
static inline void cpu_monitorx(const uint64_t *word)
{
	__asm__ volatile(".byte 0x0f, 0x01, 0xfa" ::"a"(word), "c"(0), "d"(0) : "memory");
}

/* mwaitx %eax, %ecx, %ebx: for so many ticks of the counter. 0 would be without a limit. */
static inline void cpu_mwaitx(uint32_t hints, uint32_t extensions, uint32_t ticks)
{
	__asm__ volatile(".byte 0x0f, 0x01, 0xfb" ::"a"(hints), "c"(extensions), "b"(ticks)
			 : "memory");
}

/* clflushopt (%rax). Checked like a load of that byte. */
static inline void cpu_evict_line(const void *line)
{
	__asm__ volatile(".byte 0x66, 0x0f, 0xae, 0x38" ::"a"(line) : "memory");
}

/* The registers eax to edx of a leaf. False: there is no such leaf. */
static inline bool cpu_id(unsigned leaf, unsigned subleaf, unsigned regs[4])
{
	return __get_cpuid_count(leaf, subleaf, &regs[0], &regs[1], &regs[2], &regs[3]);
}

/* The same of a leaf that the CPU does not count among its own. */
static inline void cpu_id_unchecked(unsigned leaf, unsigned regs[4])
{
	__cpuid((int)leaf, regs[0], regs[1], regs[2], regs[3]);
}

#endif
