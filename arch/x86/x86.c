/*
 * SPDX-License-Identifier: MIT
 *
 * x86-64: polling with PAUSE, the time stamp counter, and what cpuid says. PAUSE between the looks
 * does not slow a waiter down: the line is not torn away while the other side writes it
 * (docs/performance.md).
 */
#include "config.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>
#include <x86intrin.h>

#include "arch/generic/generic.h"
#include "arch/x86/x86.h"

/* A PAUSE lasts 7 to 60 ns, by CPU, so they are counted out. */
#define PAUSES_MAX 64

#define LINE 64

/* The next header is not known before this one has come, so a consumer fetches what lies ahead
 * without knowing what it is. 512 and 1,024 did as well as each other on a Skylake. */
#define PREFETCH 512

static double per_ns = 1.0; /* set once, by arch_set_ticks, like the next one */
static unsigned pauses = 1;

static bool usable(const char **why)
{
	*why = "PAUSE is in every x86-64 CPU";
	return true;
}

static void relax(void)
{
	_mm_pause();
}

uint64_t arch_ticks(void)
{
	return __rdtsc();
}

void arch_set_ticks(double ticks_per_ns)
{
	uint64_t best = UINT64_MAX;

	per_ns = ticks_per_ns;
	for (int i = 0; i < 4; i++) {
		uint64_t start = __rdtsc();

		for (int k = 0; k < 8; k++)
			_mm_pause();
		start = __rdtsc() - start;
		if (start < best)
			best = start;
	}
	/* One at least: a gap is short anyway. */
	pauses = (unsigned)(8 * arch_gap_ns * per_ns / (double)(best ? best : 1) + 0.5);
	pauses = pauses < 1 ? 1 : pauses > PAUSES_MAX ? PAUSES_MAX : pauses;
}

/*
 * A message goes on in the line behind its header's. Fetching that one only when the header has
 * come would cost a second transfer after the first; so it is asked for while we wait, and both
 * come at once.
 */
static void gap(const uint64_t *word)
{
	_mm_prefetch((const char *)word + LINE, _MM_HINT_T0);
	for (unsigned i = pauses; i; i--)
		_mm_pause();
}

static uint64_t await(const uint64_t *word, uint64_t old, uint64_t ns)
{
	return arch_poll(word, old, (uint64_t)((double)ns * per_ns), gap, arch_ticks);
}

const struct peal_ring_ops arch_x86_pause = {
	.name = "x86-pause",
	.usable = usable,
	.relax = relax,
	.await = await,
	.inline_copy = ARCH_INLINE_COPY,
	.prefetch = PREFETCH,
};

const struct peal_ring_ops *const arch_ring_ops[] = { &arch_x86_pause, &arch_generic, NULL };

static void vendor(char *buffer, size_t size)
{
	unsigned eax, words[3] = { 0 };
	char text[13] = "";

	if (__get_cpuid(0, &eax, &words[0], &words[2], &words[1]))
		memcpy(text, words, 12);
	snprintf(buffer, size, "%s", text);
}

static void model(char *buffer, size_t size)
{
	unsigned words[12] = { 0 };
	char text[49] = "";
	const char *begin = text;

	for (unsigned i = 0; i < 3; i++)
		if (!__get_cpuid(0x80000002u + i, &words[i * 4], &words[i * 4 + 1],
				 &words[i * 4 + 2], &words[i * 4 + 3]))
			return;
	memcpy(text, words, 48);
	while (*begin == ' ')
		begin++;
	snprintf(buffer, size, "%s", begin);
}

/* The hypervisor's name for itself, where the CPU says that there is one. */
static void hypervisor(char *buffer, size_t size)
{
	unsigned eax, ebx, ecx, edx, words[3];
	char text[13] = "none";

	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && ecx >> 31 & 1) {
		__cpuid(0x40000000u, eax, words[0], words[1], words[2]);
		memcpy(text, words, 12);
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
};

static void feature_list(char *buffer, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		unsigned reg[4];

		if (!__get_cpuid_count(features[i].leaf, features[i].subleaf, &reg[0], &reg[1],
				       &reg[2], &reg[3]))
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
