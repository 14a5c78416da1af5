/*
 * SPDX-License-Identifier: MIT
 *
 * The ring variant of 64-bit RISC-V.
 */
#ifndef ARCH_RISCV_H
#define ARCH_RISCV_H

#include "arch/arch.h"

extern const struct peal_ring_ops arch_riscv_pause;

#endif
