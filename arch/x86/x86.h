/*
 * SPDX-License-Identifier: MIT
 *
 * The ring variants of x86-64.
 */
#ifndef ARCH_X86_H
#define ARCH_X86_H

#include "arch/arch.h"

extern const struct peal_ring_ops arch_x86_pause;

#endif
