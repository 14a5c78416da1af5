/*
 * SPDX-License-Identifier: MIT
 *
 * The ring variants of arm64, and what they share. None of them was measured: short payloads are
 * copied as on x86-64, and no lines are asked for ahead.
 */
#ifndef ARCH_ARM64_H
#define ARCH_ARM64_H

#include "arch/arch.h"

extern const struct peal_ring_ops arch_arm64_isb, arch_arm64_wfe, arch_arm64_wfet;

/* What the kernel says the CPU has, and does for it: bits of its AT_HWCAP and AT_HWCAP2, by their
 * numbers, since the headers of older systems do not have the names. */
#define ARM64_EVENT_STREAM 2 /* HWCAP */
#define ARM64_ATOMICS 8
#define ARM64_CPUID 11
#define ARM64_LRCPC 15
#define ARM64_WFXT 31 /* HWCAP2 */

/* Between two looks. */
void arch_arm64_gap(const uint64_t *word);

uint64_t arch_arm64_ticks_of(uint64_t ns);

#endif
