/*
 * SPDX-License-Identifier: MIT
 *
 * What the library asks of a CPU family: how to wait for a word to change, how to read a constant
 * counter, and what to say about the CPU. One folder a family; it knows nothing of the library or
 * of the operating system beyond C.
 */
#ifndef ARCH_H
#define ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A ring variant: how a ring waits on this CPU. Never NULL members, never writable. */
struct peal_ring_ops {
	const char *name;

	/* Whether it can be used here; if not, *why is the reason. */
	bool (*usable)(const char **why);

	/* A short pause between two looks at a word that another core is about to write. */
	void (*relax)(void);

	/*
	 * Waits until *word is no longer old, for about ns nanoseconds at most, without entering
	 * the kernel. Returns what it was last (loaded with acquire); may return early without a
	 * change. What arms a monitor must look again between arming and waiting.
	 */
	uint64_t (*await)(const uint64_t *word, uint64_t old, uint64_t ns);

	/* Payloads from 8 to so many bytes are copied without a call to memcpy; at most 64. */
	uint32_t inline_copy;

	/* Who takes many messages at once asks for lines so many bytes ahead. */
	uint32_t prefetch;
};

/* What wins on all CPUs that were measured (docs/performance.md). */
#define ARCH_INLINE_COPY 64

/* All variants that are compiled in, the preferred ones first, ended by NULL; the last is the
 * generic one, which is always usable. */
extern const struct peal_ring_ops *const arch_ring_ops[];

/* The constant counter, and its ticks per nanosecond as given to arch_set_ticks. */
uint64_t arch_ticks(void);

/*
 * How long a waiter leaves a line alone between two looks, in ns, where a CPU has an instruction to
 * pause by. Looking at once tears the line away while the other side is still writing a message of
 * two lines. Set before arch_set_ticks, if at all, and by the same one.
 */
#define ARCH_GAP_NS 28
extern uint32_t arch_gap_ns;

/* Tells the variants how fast the counter runs; called once, before any await. */
void arch_set_ticks(double ticks_per_ns);

/* One thing to tell about the CPU: a static name, and a value written to buffer. False past the
 * last index. */
bool arch_fact(unsigned index, const char **name, char *buffer, size_t size);

/*
 * Polls a word: first looks many times with pauses between them and asks no clock, then goes by
 * the counter. What every variant without a better instruction does. The pause is told the word.
 * The acquires pair with the release of whoever writes the word.
 */
static inline uint64_t arch_poll(const uint64_t *word, uint64_t old, uint64_t ticks,
				 void (*gap)(const uint64_t *word), uint64_t (*now)(void))
{
	uint64_t start, value;

	for (int i = 0; i < 64; i++) {
		value = __atomic_load_n(word, __ATOMIC_ACQUIRE);
		if (value != old)
			return value;
		gap(word);
	}
	start = now();
	do {
		for (int i = 0; i < 16; i++) {
			value = __atomic_load_n(word, __ATOMIC_ACQUIRE);
			if (value != old)
				return value;
			gap(word);
		}
	} while (now() - start < ticks);
	return value;
}

#endif
