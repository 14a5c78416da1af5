/*
 * SPDX-License-Identifier: MIT
 *
 * x86-64: its ring variants, the time stamp counter, and what cpuid says.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "arch/generic/generic.h"
#include "arch/x86/machine.h"
#include "arch/x86/x86.h"

/* What rests the core is for the asking: see docs/variants.md. */
const struct peal_ring_ops *const arch_ring_ops[] = { &arch_x86_pause, &arch_x86_umwait,
						      &arch_x86_mwaitx, &arch_generic, NULL };

static double per_ns = 1.0; /* set once, by arch_set_ticks, like the next one */
static unsigned pauses = 1;

uint64_t arch_ticks(void)
{
	return cpu_ticks();
}

uint64_t arch_ticks_behind(void)
{
	return cpu_ticks_behind();
}

void arch_set_ticks(double ticks_per_ns)
{
	per_ns = ticks_per_ns;
	pauses = arch_count_pauses(per_ns, cpu_pause, cpu_ticks);
}

uint64_t arch_x86_ticks_of(uint64_t ns)
{
	return arch_ticks_of(ns, per_ns);
}

void arch_x86_gap(const uint64_t *word)
{
	arch_gap(word, pauses, cpu_pause);
}

/* A trial's waits, in ticks of the counter: 4 to 8 us. */
#define TRY_TICKS 16384
#define TRIES 8

enum { UNTRIED, WAITS, AT_ONCE, TOO_LATE };

/* What arming and a wait of so many ticks take, on a word that nobody writes. */
static uint64_t time_rest(uint64_t (*arm)(const uint64_t *word),
			  void (*rest)(uint64_t at, uint64_t left), uint64_t ticks)
{
	static const uint64_t untouched __attribute__((aligned(128))) = 0;
	uint64_t start = cpu_ticks();

	arm(&untouched);
	rest(start, ticks);
	return cpu_ticks() - start;
}

/*
 * It waits if a wait takes longer than one that is over at once by what it was told: a hypervisor
 * that steps in and passes over the instruction takes microseconds, but the same for both.
 * Interrupts end a wait early, and what comes between makes it late: half of the waits must last.
 */
static int try_it(uint64_t (*arm)(const uint64_t *word), void (*rest)(uint64_t at, uint64_t left))
{
	unsigned good = 0, late = 0;

	for (int i = 0; i < TRIES; i++) {
		uint64_t over = time_rest(arm, rest, 1);
		uint64_t took = time_rest(arm, rest, TRY_TICKS);

		if (took > TRY_TICKS * 4)
			late++;
		else if (took >= over + TRY_TICKS / 2 && ++good == TRIES / 2)
			return WAITS;
	}
	return late > TRIES / 2 ? TOO_LATE : AT_ONCE;
}

bool arch_x86_waits(int *verdict, uint64_t (*arm)(const uint64_t *word),
		    void (*rest)(uint64_t at, uint64_t left), const char **why)
{
	/* Relaxed, both: it stands for nothing but itself. */
	int found = __atomic_load_n(verdict, __ATOMIC_RELAXED);

	if (found == UNTRIED) {
		found = try_it(arm, rest);
		__atomic_store_n(verdict, found, __ATOMIC_RELAXED);
	}
	if (found == AT_ONCE)
		*why = "the CPU has it, but it does not wait here (hypervisor? umwait_control?)";
	else if (found == TOO_LATE)
		*why = "the CPU has it, but waits are far too long here (a hypervisor?)";
	return found == WAITS;
}

static void vendor(char *buffer, size_t size)
{
	unsigned regs[4];

	if (cpu_id(0, 0, regs))
		snprintf(buffer, size, "%.4s%.4s%.4s", (const char *)&regs[1],
			 (const char *)&regs[3], (const char *)&regs[2]);
}

static void model(char *buffer, size_t size)
{
	unsigned words[12] = { 0 };
	char text[49] = "";
	const char *begin = text;

	for (unsigned i = 0; i < 3; i++)
		if (!cpu_id(0x80000002u + i, 0, &words[i * 4]))
			return;
	memcpy(text, words, 48);
	while (*begin == ' ')
		begin++;
	snprintf(buffer, size, "%s", begin);
}

/* The hypervisor's name for itself, where the CPU says that there is one. */
static void hypervisor(char *buffer, size_t size)
{
	unsigned regs[4];
	char text[13] = "none";

	if (cpu_id(1, 0, regs) && regs[2] >> 31 & 1) {
		cpu_id_unchecked(0x40000000u, regs);
		memcpy(text, &regs[1], 12);
	}
	snprintf(buffer, size, "%s", text[0] ? text : "unknown");
}

/* Leaf, sub-leaf, register (0 to 3: eax to edx), bit and name of what waiting and copying may
 * use. */
static const struct {
	unsigned leaf, subleaf, reg, bit;
	const char *name;
} features[] = {
	{ 1, 0, 2, 3, "monitor" },
	{ 7, 0, 2, 5, "waitpkg" },
	{ 0x80000001u, 0, 2, 29, "mwaitx" },
	{ 1, 0, 2, 31, "hypervisor" },
	{ 0x80000007u, 0, 3, 8, "invariant-tsc" },
	{ 7, 0, 1, 9, "erms" },
	{ 7, 0, 3, 4, "fsrm" },
	{ 7, 0, 1, 5, "avx2" },
	{ 7, 0, 1, 16, "avx512f" },
	{ 0x80000001u, 0, 2, 8, "prefetchw" },
	{ 7, 0, 2, 25, "cldemote" },
	{ 7, 0, 1, 23, "clflushopt" },
};

static void feature_list(char *buffer, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		unsigned reg[4];

		if (!cpu_id(features[i].leaf, features[i].subleaf, reg))
			continue;
		if (!(reg[features[i].reg] >> features[i].bit & 1))
			continue;
		used += (size_t)snprintf(buffer + used, size - used, "%s%s", used ? " " : "",
					 features[i].name);
		if (used >= size)
			return;
	}
}

bool arch_fact(unsigned index, const char **name, char *buffer, size_t size)
{
	static const struct {
		const char *name;
		void (*tell)(char *buffer, size_t size);
	} facts[] = {
		{ "vendor", vendor },
		{ "model", model },
		{ "features", feature_list },
		{ "hypervisor", hypervisor },
	};

	if (index >= sizeof(facts) / sizeof(facts[0]))
		return false;
	*name = facts[index].name;
	buffer[0] = 0;
	facts[index].tell(buffer, size);
	return true;
}
