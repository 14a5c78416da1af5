/*
 * SPDX-License-Identifier: MIT
 *
 * The ring variants of x86-64, and what they share.
 */
#ifndef ARCH_X86_H
#define ARCH_X86_H

#include "arch/arch.h"

extern const struct peal_ring_ops arch_x86_pause, arch_x86_umwait, arch_x86_mwaitx;

/* The next header is not known before this one has come, so a consumer fetches what lies ahead
 * without knowing what it is. 512 and 1,024 did as well as each other on a Skylake; not measured on
 * CPUs of other makers, or with the other variants. */
#define ARCH_X86_PREFETCH 512

/* Between two looks. */
void arch_x86_gap(const uint64_t *word);

uint64_t arch_x86_ticks_of(uint64_t ns);

/*
 * Whether a CPU that says that it has an instruction waits by it: where a hypervisor takes it for
 * nothing, or steps in, polling is better. Tries it on a word that nobody writes, for a few
 * microseconds. *verdict, 0 at first, keeps what came of it, so that the answer stays the same.
 */
bool arch_x86_waits(int *verdict, uint64_t (*arm)(const uint64_t *word),
		    void (*rest)(uint64_t at, uint64_t left), const char **why);

#endif
