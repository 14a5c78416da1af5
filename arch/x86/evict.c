/*
 * SPDX-License-Identifier: MIT
 *
 * Eviction by CLFLUSHOPT, which is not ordered against others of its kind, so that many are under
 * way at a time; CLFLUSH, which every x86-64 has, waits for each. See lib/evict.h for when that is
 * good for anything.
 */
#include "config.h"

#include <immintrin.h>

#include "arch/arch.h"
#include "arch/x86/machine.h"

#define LINE 64

__attribute__((target("clflushopt"))) static void evict(const uint8_t *line, const uint8_t *end)
{
	for (; line < end; line += LINE)
		_mm_clflushopt((void *)(uintptr_t)line);
}

/* Leaf 7, ebx, bit 23. */
static bool known(void)
{
	unsigned regs[4];

	return cpu_id(7, 0, regs) && (regs[1] >> 23 & 1);
}

bool arch_evict(const void *from, size_t length)
{
	const uint8_t *begin = from;

	if (!length)
		return known();
	evict(begin - ((uintptr_t)begin & (LINE - 1)), begin + length);
	return true;
}
