/*
 * SPDX-License-Identifier: MIT
 *
 * The instructions of 64-bit RISC-V that waiting takes, and what the kernel says of the CPU. PAUSE,
 * which assemblers may not know, stands here by its fields (RISC-V Unprivileged ISA, Zihintpause):
 * it is a FENCE that orders nothing, so that a CPU that does not know it passes over it;
 * tests/source holds it against a disassembler.
 */
#ifndef ARCH_RISCV_MACHINE_H
#define ARCH_RISCV_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The time counter, of 1 MHz to 1 GHz. */
static inline uint64_t cpu_ticks(void)
{
	uint64_t ticks;

	__asm__ volatile("rdtime %0" : "=r"(ticks));
	return ticks;
}

/* pause: fence w, 0 */
static inline void cpu_pause(void)
{
	__asm__ volatile(".insn i 0x0f, 0, x0, x0, 0x010" ::: "memory");
}

/* A key of riscv_hwprobe, of Linux 6.4: what all CPUs have in common. False: it is not told. The
 * numbers are the kernel's; headers of older systems do not have them. */
static inline bool cpu_probe(int64_t key, uint64_t *value)
{
	struct {
		int64_t key;
		uint64_t value;
	} pair = { .key = key };

	if (syscall(258, &pair, (size_t)1, (size_t)0, NULL, 0u) || pair.key != key)
		return false;
	*value = pair.value;
	return true;
}

#endif
