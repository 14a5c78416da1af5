/*
 * SPDX-License-Identifier: MIT
 *
 * Duels; see duel.h.
 */
#include "config.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/platform.h"
#include "tests/litmus/duel.h"

#define ALL_NS (3800 * (uint64_t)MS)
#define LONG_NS (100000 * (uint64_t)MS)
#define SKEW 400u /* steps of less than a nanosecond: from one CPU to the other and back */
#define COLD_BYTES ((size_t)16 << 20)
#define COLD_LINES 48u
#define LOOKS 65536u /* then somebody else may have the CPU, and for longer than a round takes */

/* The two CPUs; false: there is one. */
static bool find_cpus(size_t cpus[2])
{
	cpu_set_t may;
	int found = 0;

	if (sched_getaffinity(0, sizeof(may), &may))
		return false;
	for (size_t cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
		if (CPU_ISSET(cpu, &may))
			cpus[found++] = cpu;
	return found == 2;
}

static void take_cpu(int which)
{
	cpu_set_t one;
	size_t cpus[2];

	CPU_ZERO(&one);
	if (find_cpus(cpus)) {
		CPU_SET(cpus[which], &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
}

bool duel_possible(void)
{
	size_t cpus[2];

	if (skip_emulated("tell what the CPU's stores and loads pass"))
		return false;
	if (runner_burdened()) {
		skip("a sanitizer's own loads and stores stand between those that are looked at");
		return false;
	}
	if (!find_cpus(cpus)) {
		skip("inconclusive: 0 rounds, there is one CPU, which sees its own stores in order");
		return false;
	}
	return true;
}

uint64_t duel_draw(struct duel *duel, uint64_t below)
{
	return scramble(&duel->random) % below;
}

void duel_clog(struct duel *duel)
{
	static uint8_t *cold;
	static size_t at;
	uint64_t lines = duel_draw(duel, 2) ? duel_draw(duel, COLD_LINES) : 0;

	if (!cold)
		cold = calloc(1, COLD_BYTES);
	for (; cold && lines; lines--, at = (at + 4160) % COLD_BYTES)
		__atomic_store_n(&cold[at], 1, __ATOMIC_RELAXED);
}

void duel_part(struct duel *duel)
{
	struct arena *arena = duel->arena;
	uint64_t turn = ++duel->turn;

	/* Pairs with the load below, of the other side. */
	__atomic_store_n(&arena->turn[duel->which].word, turn, __ATOMIC_RELEASE);
	for (unsigned looks = 1;
	     __atomic_load_n(&arena->turn[!duel->which].word, __ATOMIC_ACQUIRE) < turn; looks++)
		if (looks % LOOKS == 0)
			sched_yield();
}

bool duel_meet(struct duel *duel)
{
	uint64_t wait = duel_draw(duel, SKEW);

	duel_part(duel);
	duel->round++;
	for (; wait; wait--)
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return !__atomic_load_n(&duel->arena->over.word, __ATOMIC_RELAXED);
}

bool duel_goes_on(struct duel *duel)
{
	return duel->round % 64 != 0 || platform_now() < duel->until;
}

static void play_child(struct duel *duel, const struct peal_options *options,
		       void (*play)(struct duel *))
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	duel->which = 1;
	take_cpu(1);
	if (!peal_connect(&duel->link, duel->folder.path, options, LONG))
		play(duel);
	_exit(0);
}

void duel_open(struct duel *duel, const struct peal_options *options, uint64_t thousandths,
	       void (*play)(struct duel *))
{
	struct peal_listener *listener;

	*duel = (struct duel){ .random = 1 };
	duel->arena = mmap(NULL, sizeof(*duel->arena), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(duel->arena != MAP_FAILED);
	folder_make(&duel->folder);
	ck_assert_int_eq(peal_listen(&listener, duel->folder.path, options), 0);
	duel->child = fork_alone();
	ck_assert_int_ge(duel->child, 0);
	if (!duel->child)
		play_child(duel, options, play);
	take_cpu(0);
	ck_assert_int_eq(peal_accept(listener, &duel->link, LONG), 0);
	peal_listener_close(listener);
	duel->until = platform_now() + (runner_long() ? LONG_NS : ALL_NS) / 1000 * thousandths;
}

void duel_close(struct duel *duel)
{
	/* Ordered by the turns. */
	__atomic_store_n(&duel->arena->over.word, 1, __ATOMIC_RELAXED);
	duel_part(duel);
	duel_abandon(duel);
}

void duel_abandon(struct duel *duel)
{
	int status;

	peal_close(duel->link);
	ck_assert_int_eq(waitpid(duel->child, &status, 0), duel->child);
	ck_assert_int_eq(status, 0);
	folder_remove(&duel->folder);
	munmap(duel->arena, sizeof(*duel->arena));
}

void duel_tell(const char *what, uint64_t rounds, uint64_t reorderings)
{
	printf("      %s: %llu rounds, %llu reorderings\n", what, (unsigned long long)rounds,
	       (unsigned long long)reorderings);
	fflush(stdout);
}
