/*
 * SPDX-License-Identifier: MIT
 *
 * Eviction by CLFLUSHOPT, which is not ordered against others of its kind, so that many are under
 * way at a time; CLFLUSH, which every x86-64 has, waits for each. See lib/evict.h for when that is
 * good for anything.
 */
#include "config.h"

#include "arch/arch.h"
#include "arch/x86/machine.h"

#define LINE 64

/* Leaf 7, ebx, bit 23. */
bool arch_can_evict(void)
{
	unsigned regs[4];

	return cpu_id(7, 0, regs) && (regs[1] >> 23 & 1);
}

void arch_evict(const void *from, size_t length)
{
	const uint8_t *line = from, *end = line + length;

	for (line -= (uintptr_t)line & (LINE - 1); line < end; line += LINE)
		cpu_evict_line(line);
}
