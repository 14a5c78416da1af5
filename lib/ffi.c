/*
 * SPDX-License-Identifier: MIT
 *
 * The inline verbs of peal/ring.h and peal/set.h as real symbols, from the same source, for callers
 * who have no C compiler.
 */
#include "config.h"

#define PEAL_INLINE __attribute__((visibility("default")))

#include <peal/ring.h>
#include <peal/set.h>
