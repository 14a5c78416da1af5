/*
 * SPDX-License-Identifier: MIT
 *
 * What a round trip between two CPUs takes: two threads of this process, one on each, that hand
 * each other a word. The thread that asks for it stays where it is. It knows nothing of why some
 * CPUs are near each other.
 *
 * Whatever happens, a measurement is over a little after LIMIT_NS: what was measured until then
 * counts.
 */
#include "config.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <peal/runtime.h>

#include "tools/line.h"
#include "tools/peal-tune/affinity.h"
#include "tools/peal-tune/command.h"

#define LIMIT_NS INT64_C(1000000000)
#define ROUNDS_MAX 1000000u

/* Round trips that only warm up caches, clocks and idle states. */
#define WARM 32u

/* Marks the last round trip; fits a futex. Sequence numbers never get there. */
#define STOP (UINT64_C(1) << 31)

enum way { TIGHT, PAUSED, BLOCKING };

/* What one side writes and the other reads, each on a line that no prefetcher fetches with
 * another. */
struct end {
	_Alignas(256) uint64_t line;
	uint32_t word; /* a futex: BLOCKING */
};

struct measurement {
	struct end asking, answering;
	enum way way;
	int cpu[2];
	uint64_t until;   /* peal_ticks() at which all is over */
	uint64_t *sample; /* ticks of each round trip; the asking thread's, as count */
	unsigned rounds, count;
	int err[2]; /* of pinning */
};

static bool over(void *context)
{
	const struct measurement *measurement = context;

	return peal_ticks() >= measurement->until;
}

/* FUTEX_WAKE has no timeout. FUTEX_WAIT ends early for all sorts of reasons. */
static void futex(uint32_t *word, int what, uint32_t value)
{
	const struct timespec limit = { .tv_sec = LIMIT_NS / 1000000000 };

	syscall(SYS_futex, word, what, value, what == FUTEX_WAIT_PRIVATE ? &limit : NULL, NULL, 0);
}

LINE_INLINE void hand(struct end *own, uint64_t value, enum way way)
{
	if (way != BLOCKING) {
		line_hand(&own->line, value);
		return;
	}
	/* Pairs with the acquire in await(). */
	__atomic_store_n(&own->word, (uint32_t)value, __ATOMIC_RELEASE);
	futex(&own->word, FUTEX_WAKE_PRIVATE, 1);
}

LINE_INLINE uint64_t await(struct measurement *measurement, struct end *peer, uint64_t old,
			   enum way way)
{
	if (way != BLOCKING)
		return line_await(&peer->line, old, way == PAUSED, over, measurement);
	do {
		/* Pairs with the release in hand(). */
		uint32_t value = __atomic_load_n(&peer->word, __ATOMIC_ACQUIRE);

		if (value != old)
			return value;
		futex(&peer->word, FUTEX_WAIT_PRIVATE, (uint32_t)old);
	} while (!over(measurement));
	return LINE_GONE;
}

LINE_INLINE void ask(struct measurement *measurement, enum way way)
{
	uint64_t sequence = 0, last = peal_ticks(), now;

	while (measurement->count < measurement->rounds && !over(measurement)) {
		hand(&measurement->asking, sequence + 1, way);
		if (await(measurement, &measurement->answering, sequence, way) != sequence + 1)
			break;
		now = peal_ticks();
		if (sequence++ >= WARM)
			measurement->sample[measurement->count++] = now - last;
		last = now;
	}
}

LINE_INLINE void answer(struct measurement *measurement, enum way way)
{
	uint64_t value = 0;

	for (;;) {
		value = await(measurement, &measurement->asking, value, way);
		if (value == STOP || value == LINE_GONE)
			break;
		hand(&measurement->answering, value, way);
	}
}

/* Each way is compiled by itself, without a question inside the loop. */
static void *asking(void *context)
{
	struct measurement *measurement = context;

	measurement->err[0] = affinity_set_one(measurement->cpu[0]);
	if (!measurement->err[0]) {
		if (measurement->way == TIGHT)
			ask(measurement, TIGHT);
		else if (measurement->way == PAUSED)
			ask(measurement, PAUSED);
		else
			ask(measurement, BLOCKING);
	}
	hand(&measurement->asking, STOP, measurement->way);
	return NULL;
}

static void *answering(void *context)
{
	struct measurement *measurement = context;

	measurement->err[1] = affinity_set_one(measurement->cpu[1]);
	if (!measurement->err[1]) {
		if (measurement->way == TIGHT)
			answer(measurement, TIGHT);
		else if (measurement->way == PAUSED)
			answer(measurement, PAUSED);
		else
			answer(measurement, BLOCKING);
	}
	hand(&measurement->answering, STOP, measurement->way);
	return NULL;
}

/* Runs both threads to their end. They take no signals, which are for the thread that waits. */
static int run(struct measurement *measurement)
{
	pthread_t asker, answerer;
	struct timespec until;
	sigset_t every, before;
	int err, asked;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 2 * LIMIT_NS / 1000000000;
	measurement->until = peal_ticks() + (uint64_t)((double)LIMIT_NS * peal_ticks_per_ns());

	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, &before);
	err = -pthread_create(&answerer, NULL, answering, measurement);
	asked = err ? err : -pthread_create(&asker, NULL, asking, measurement);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return err;
	if (asked)
		hand(&measurement->asking, STOP, measurement->way);
	else
		affinity_join(asker, &until);
	affinity_join(answerer, &until);
	if (asked)
		return asked;
	return measurement->err[0] ? measurement->err[0] : measurement->err[1];
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Nanoseconds, or a negative errno. */
static int64_t median(int cpu_a, int cpu_b, unsigned rounds, enum way way)
{
	struct measurement measurement = {
		.way = way,
		.cpu = { cpu_a, cpu_b },
		.rounds = rounds < ROUNDS_MAX ? rounds : ROUNDS_MAX,
	};
	uint64_t *median;
	int64_t result;

	/* Polling on one CPU would measure the scheduler's slices. */
	if (!rounds || (cpu_a == cpu_b && way != BLOCKING))
		return -EINVAL;
	measurement.sample = calloc(measurement.rounds, sizeof(*measurement.sample));
	if (!measurement.sample)
		return -ENOMEM;
	result = run(&measurement);
	if (!result && !measurement.count)
		result = -ETIMEDOUT;
	if (!result) {
		qsort(measurement.sample, measurement.count, sizeof(*measurement.sample), compare);
		median = &measurement.sample[measurement.count / 2];
		result = (int64_t)((double)*median / peal_ticks_per_ns());
	}
	free(measurement.sample);
	return result;
}

int64_t measure_blocking_round_trip(int cpu_a, int cpu_b, unsigned rounds)
{
	return median(cpu_a, cpu_b, rounds, BLOCKING);
}

int64_t measure_spinning_round_trip(int cpu_a, int cpu_b, unsigned rounds)
{
	int64_t tight = median(cpu_a, cpu_b, rounds, TIGHT), paused;

	if (tight < 0)
		return tight;
	paused = median(cpu_a, cpu_b, rounds, PAUSED);
	return paused < 0 || paused > tight ? tight : paused;
}
