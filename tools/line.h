/*
 * SPDX-License-Identifier: MIT
 *
 * Lines: two cores that hand each other a cache line and get one back, which is the floor under
 * every message. Each side writes its own line and polls the other's. It knows nothing of where the
 * lines are, nor of clocks.
 */
#ifndef TOOLS_LINE_H
#define TOOLS_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include <peal/runtime.h>

/* Looks at a line between two questions whether to give up. */
#define LINE_LOOKS 65536

/* Instead of a value: given up. No side writes it. */
#define LINE_GONE UINT64_MAX

/* For loops that measure: the callers' constants become part of the code. */
#define LINE_INLINE static inline __attribute__((always_inline))

LINE_INLINE void line_hand(uint64_t *own, uint64_t value)
{
	/* Pairs with the acquire in the peer's line_await(). */
	__atomic_store_n(own, value, __ATOMIC_RELEASE);
}

/* Waits until the peer's line differs from a value, and returns what it is then, or LINE_GONE once
 * give_up() says so. pause: rest as the picked ring variant does, instead of polling tightly. */
LINE_INLINE uint64_t line_await(const uint64_t *line, uint64_t old, bool pause,
				bool (*give_up)(void *), void *context)
{
	do {
		for (int i = 0; i < LINE_LOOKS; i++) {
			/* Pairs with the release in the peer's line_hand(). */
			uint64_t value = __atomic_load_n(line, __ATOMIC_ACQUIRE);

			if (value != old)
				return value;
			if (pause)
				peal_relax();
		}
	} while (!give_up(context));
	return LINE_GONE;
}

#endif
