/*
 * SPDX-License-Identifier: MIT
 *
 * What the library asks of a CPU family: how to wait for a word to change, how to read a constant
 * counter, and what to say about the CPU. One folder a family; it knows nothing of the library, and
 * of the operating system only what that tells of the CPU. A family's machine.h has the
 * instructions that other CPUs do not know, and asks what the CPU can do; all else is plain C,
 * which tests/unit runs on a machine that it makes up, whatever CPU it stands on.
 */
#ifndef ARCH_H
#define ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A ring variant: how a ring waits on this CPU. Never NULL members, never writable. */
struct peal_ring_ops {
	const char *name;

	/* Whether it can be used here, also by trying it; if not, *why is the reason. */
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

/* All variants that are compiled in, ended by NULL. The first that is usable is picked, unless
 * another one is asked for; the last is the generic one, which is always usable. */
extern const struct peal_ring_ops *const arch_ring_ops[];

/*
 * Copies as memcpy does, but past the caches (non-temporal stores): a core that reads it next does
 * not have to fetch it from the caches of this one. It is ordered before the caller's later stores.
 * NULL: not on this family of CPUs.
 */
extern void (*const arch_copy_around)(void *to, const void *from, size_t length);

/* Whether this CPU has arch_evict. */
bool arch_can_evict(void);

/*
 * Has the lines of this memory leave all caches of all cores, written back where that is due; it
 * need only be mapped to be read. Lines that it begins or ends within leave as a whole. Ordered by
 * nothing, which loads before it and stores behind it need not be.
 */
void arch_evict(const void *from, size_t length);

/* The constant counter, and its ticks per nanosecond as given to arch_set_ticks. */
uint64_t arch_ticks(void);

/* The counter once all is done that was loaded and stored before. */
uint64_t arch_ticks_behind(void);

/*
 * How long a waiter leaves a line alone between two looks, in ns, where a CPU has an instruction to
 * pause by. Looking at once tears the line away while the other side is still writing a message of
 * two lines. Measured on a Skylake (docs/performance.md). Set before arch_set_ticks, if at all, and
 * by the same one.
 */
#define ARCH_GAP_NS 28
extern uint32_t arch_gap_ns;

/* Tells the variants how fast the counter runs; called once, before any await. */
void arch_set_ticks(double ticks_per_ns);

/* One thing to tell about the CPU: a static name, and a value written to buffer. False past the
 * last index. */
bool arch_fact(unsigned index, const char **name, char *buffer, size_t size);

/*
 * What the families share. The functions that are passed in are known to the compiler, and become
 * part of the loop. The acquires pair with the release of whoever writes the word.
 */

/* How many pauses in a row last as long: they take from a cycle to 60 ns, by CPU, so they are
 * counted out. With a slow counter that takes many. None is believed to be shorter than half a
 * nanosecond, which only a counter that stands still says. */
static inline unsigned arch_count_pauses(double ticks_per_ns, void (*hint)(void),
					 uint64_t (*now)(void))
{
	uint64_t best = UINT64_MAX;
	unsigned sample = 8, count, most = 2 * arch_gap_ns + 8;

	for (int i = 0; i < 4;) {
		uint64_t took = now();

		for (unsigned k = 0; k < sample; k++)
			hint();
		took = now() - took;
		/* Reading the counter takes time, and it may be slow. */
		if ((took < 16 || (double)took < 64 * ticks_per_ns) && sample < 4096) {
			sample *= 2;
			continue;
		}
		if (took < best)
			best = took;
		i++;
	}
	count = (unsigned)(sample * arch_gap_ns * ticks_per_ns / (double)(best ? best : 1) + 0.5);
	return count < 1 ? 1 : count > most ? most : count;
}

/*
 * A gap of so many pauses. A message goes on in the line behind its header's. Fetching that one
 * only when the header has come would cost a second transfer after the first; so it is asked for
 * while we wait, and both come at once.
 */
static inline void arch_gap(const uint64_t *word, unsigned pauses, void (*hint)(void))
{
	__builtin_prefetch((const char *)word + 64);
	while (pauses--)
		hint();
}

/* Nanoseconds in ticks of the counter; what is longer than some years is that long. */
static inline uint64_t arch_ticks_of(uint64_t ns, double ticks_per_ns)
{
	double ticks = (double)ns * ticks_per_ns;

	return ticks < 1e18 ? (uint64_t)ticks : (uint64_t)1e18;
}

/* Looks so many times, with gaps. */
static inline uint64_t arch_look(const uint64_t *word, uint64_t old, int times,
				 void (*gap)(const uint64_t *word))
{
	uint64_t value;

	do {
		value = __atomic_load_n(word, __ATOMIC_ACQUIRE);
		if (value != old)
			break;
		gap(word);
	} while (--times);
	return value;
}

/* These ask no clock, and last 2 us with gaps of their full length. */
#define ARCH_FIRST_LOOKS 64

/*
 * Polls a word: first looks many times with pauses between them and asks no clock, then goes by
 * the counter. What every variant without a better instruction does. The pause is told the word.
 */
static inline uint64_t arch_poll(const uint64_t *word, uint64_t old, uint64_t ticks,
				 void (*gap)(const uint64_t *word), uint64_t (*now)(void))
{
	uint64_t start, value = arch_look(word, old, ARCH_FIRST_LOOKS, gap);

	if (value != old)
		return value;
	start = now();
	do
		value = arch_look(word, old, 16, gap);
	while (value == old && now() - start < ticks);
	return value;
}

/* One wait of a monitor is never longer, so that a wake-up that is lost, to an erratum or a
 * hypervisor, costs no more than this. */
#define ARCH_WATCH_NS 20000

/*
 * Watches a word with a monitor. First it looks like arch_poll: what comes within 2 us is found as
 * soon as by polling, and what waking takes is little beside what later ones have waited already.
 *
 * The order is: arm, look again, wait. One that is armed after the look sleeps on a value that has
 * changed. arm() arms the monitor and then loads the word with acquire. rest() is told what the
 * counter was before that, and how many ticks are left; it may end at any time, for no reason: then
 * there is a gap, as between any two looks, and it is armed anew.
 */
static inline uint64_t arch_watch(const uint64_t *word, uint64_t old, uint64_t ticks,
				  void (*gap)(const uint64_t *word), uint64_t (*now)(void),
				  uint64_t (*arm)(const uint64_t *word),
				  void (*rest)(uint64_t at, uint64_t left))
{
	uint64_t start, at, value = arch_look(word, old, ARCH_FIRST_LOOKS, gap);

	if (value != old)
		return value;
	for (start = at = now(); at - start < ticks; at = now()) {
		value = arm(word);
		if (value != old)
			return value;
		rest(at, ticks - (at - start));
		value = arch_look(word, old, 1, gap);
		if (value != old)
			return value;
	}
	return value;
}

#endif
