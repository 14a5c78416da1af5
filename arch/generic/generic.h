/*
 * SPDX-License-Identifier: MIT
 *
 * The ring variant that runs everywhere.
 */
#ifndef ARCH_GENERIC_H
#define ARCH_GENERIC_H

#include "arch/arch.h"

extern const struct peal_ring_ops arch_generic;

/* The monotonic clock in nanoseconds, for families without a counter of their own. */
uint64_t arch_generic_ticks(void);

#endif
