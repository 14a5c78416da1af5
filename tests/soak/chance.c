/*
 * SPDX-License-Identifier: MIT
 *
 * Chance; see chance.h. Membarriers fail by chance, too.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "arch/arch.h"
#include "platform/platform.h"
#include "tests/soak/chance.h"
#include "tests/soak/message.h"

uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t draw(uint64_t *random, uint64_t below)
{
	*random = mix(*random);
	return *random % below;
}

void sleep_ns(uint64_t ns)
{
	struct timespec time = { .tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND) };

	nanosleep(&time, NULL);
}

uint64_t pause_length(uint64_t *random, bool lazy)
{
	uint64_t kind = draw(random, 100);

	if (!lazy)
		return kind < 90 ? 0 : kind < 99 ? draw(random, 2 * US) : draw(random, 300 * US);
	if (kind < 40)
		return 0;
	if (kind < 60)
		return draw(random, 10 * US);
	if (kind < 80)
		return draw(random, 300 * US);
	if (kind < 90)
		return draw(random, 3 * MS);
	if (kind < 97)
		return 9900 * US + draw(random, 700 * US);
	return draw(random, 35 * MS);
}

void pause_for(uint64_t ns)
{
	uint64_t end;

	if (ns > 5 * US) {
		sleep_ns(ns);
	} else if (ns) {
		end = platform_now() + ns;
		while (platform_now() < end)
			peal_relax();
	}
}

/* The linker puts this in the way of every membarrier. The first is that of registering. */
bool __real_platform_barrier(void);
bool __wrap_platform_barrier(void);
bool __wrap_platform_barrier(void)
{
	static uint64_t calls;
	uint64_t chance = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);

	tally(BARRIERS);
	if (chance > 1 && mix(chance ^ first_seed) % 256 == 0) {
		tally(BARRIERS_FAILED);
		return false;
	}
	return __real_platform_barrier();
}

int64_t draw_timeout(uint64_t *random)
{
	uint64_t kind = draw(random, 100);

	if (kind < 75)
		return PEAL_FOREVER;
	return kind < 80 ? 0 : (int64_t)draw(random, kind < 90 ? 100 * US : 20 * MS);
}

void draw_options(struct peal_options *options, uint64_t *random)
{
	static const uint32_t barriers[] = { PEAL_BARRIER_AUTO, PEAL_BARRIER_FENCE,
					     PEAL_BARRIER_ASYMMETRIC };
	static const uint32_t bells[] = { PEAL_BELL_AUTO, PEAL_BELL_EVENTFD, PEAL_BELL_SOCKET };
	uint64_t kind = draw(random, 40);

	peal_options_init(options);
	options->wait = kind == 0 ? PEAL_WAIT_SPIN :
			kind < 20 ? PEAL_WAIT_SLEEP :
				    PEAL_WAIT_ADAPTIVE;
	options->spin_ns = draw(random, 2) ? 0 : 1 + draw(random, 100 * US);
	options->barrier = barriers[draw(random, 3)];
	options->bell = bells[draw(random, 3)];
	options->flags = draw(random, 4) ? PEAL_TRUST_PEER : PEAL_DISTRUST_PEER;
	if (draw(random, 16) == 0)
		options->flags |= PEAL_PREFAULT;
	options->ring = (uint64_t)4096 << (draw(random, 2) ? 0 : draw(random, 7));
	if (draw(random, 16) == 0) { /* of huge pages, where there are any */
		options->ring = (uint64_t)2 << 20;
		options->huge = PEAL_HUGE_TRY;
	}
	options->max_message = draw(random, 3) ? LONGEST : 0;
	options->handshake_ns = 20 * (uint64_t)SECOND;
}

static const struct {
	const char *name;
	const char *values[4]; /* NULL: not set */
} variables[] = {
	{ "PEAL_SPIN_NS", { NULL, "0", "5000", "1000000" } },
	{ "PEAL_PAUSE_NS", { NULL, NULL, "0", "200" } },
	{ "PEAL_PREFETCH", { NULL, NULL, "0", "256" } },
	{ "PEAL_INLINE_COPY", { NULL, NULL, "0", "16" } },
	{ "PEAL_BULK_COPY", { NULL, NULL, "cached", "around" } },
	{ "PEAL_EVICT", { NULL, NULL, "never", "always" } },
	{ "PEAL_HUGEPAGES", { NULL, NULL, "off", "try" } },
	{ "PEAL_SAMPLE", { NULL, NULL, "1", "100" } },
};

void draw_environment(uint64_t random)
{
	int usable[VARIANTS] = { 0 }, count = 0;
	const char *why;

	for (int i = 0; i < VARIANTS && arch_ring_ops[i]; i++)
		if (arch_ring_ops[i]->usable(&why))
			usable[count++] = i;
	variant = usable[draw(&random, (uint64_t)count)];
	add(&board->variants[variant].processes, 1);
	setenv("PEAL_RING_VARIANT", arch_ring_ops[variant]->name, 1);
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		const char *value = variables[i].values[draw(&random, 4)];

		if (value)
			setenv(variables[i].name, value, 1);
		else
			unsetenv(variables[i].name);
	}
}
