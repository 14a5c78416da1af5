/*
 * SPDX-License-Identifier: MIT
 *
 * Width: additions that wait for each other, of which every core does one in a cycle, against
 * additions that do not. The clock's rate does not matter.
 */
#include "config.h"

#include <stdint.h>

#include <peal/runtime.h>

#include "width.h"

#define TURNS 1000
#define TRIES 4

/* An addition that the compiler neither leaves out nor takes together with another one. */
#define ADD(x)                         \
	do {                           \
		(x) += 3;              \
		__asm__("" : "+r"(x)); \
	} while (0)

static __attribute__((noinline)) uint64_t chained(void)
{
	uint64_t begun = peal_ticks(), a = begun;

	for (unsigned i = 0; i < TURNS; i++) {
		ADD(a);
		ADD(a);
		ADD(a);
		ADD(a);
		ADD(a);
		ADD(a);
		ADD(a);
		ADD(a);
	}
	__asm__ volatile("" : : "r"(a));
	return peal_ticks() - begun;
}

static __attribute__((noinline)) uint64_t apart(void)
{
	uint64_t begun = peal_ticks();
	uint64_t a = begun, b = a, c = a, d = a, e = a, f = a, g = a, h = a;

	for (unsigned i = 0; i < TURNS; i++) {
		ADD(a);
		ADD(b);
		ADD(c);
		ADD(d);
		ADD(e);
		ADD(f);
		ADD(g);
		ADD(h);
	}
	__asm__ volatile("" : : "r"(a), "r"(b), "r"(c), "r"(d), "r"(e), "r"(f), "r"(g), "r"(h));
	return peal_ticks() - begun;
}

double width_now(void)
{
	uint64_t one = UINT64_MAX, many = UINT64_MAX;

	/* The best of a few: an interrupt is no neighbour. */
	for (int i = 0; i < TRIES; i++) {
		uint64_t ticks = chained();

		one = ticks < one ? ticks : one;
		ticks = apart();
		many = ticks < many ? ticks : many;
	}
	return (double)one / (double)many;
}
