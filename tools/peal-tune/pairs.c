/*
 * SPDX-License-Identifier: MIT
 *
 * Rounds over all pairs. Each pair is measured for a short time, and comes again with the next
 * round: so what changes while one looks is seen.
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "tools/peal-tune/command.h"
#include "tools/peal-tune/pairs.h"

/* Round trips of a pair in a round, and what they take, with starting threads. */
#define TRIPS 1000u
#define PAIR_SECONDS 0.003

#define MOVED 2.0

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void sleep_until(double time)
{
	double rest = time - now();

	if (rest > 0) {
		struct timespec pause = { .tv_sec = (time_t)rest };

		pause.tv_nsec = (long)((rest - (double)pause.tv_sec) * 1e9);
		nanosleep(&pause, NULL);
	}
}

double pairs_seconds(unsigned cpus)
{
	double needed = (double)cpus * (cpus - 1) / 2 * 2 * PAIR_SECONDS;

	return needed > 2 ? needed : 2;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* One round. 1: time is up. */
static int measure_round(struct pairs *pairs, double *samples, unsigned rounds, double end)
{
	for (unsigned i = 0; i < pairs->count; i++) {
		struct pair *pair = &pairs->all[i];
		int64_t ns;

		if (now() >= end)
			return 1;
		ns = measure_spinning_round_trip((int)pair->a, (int)pair->b, TRIPS);
		/* Once without a figure is no failure: it is starved. */
		if (ns < 0 && ns != -ETIMEDOUT)
			return (int)ns;
		if (ns > 0)
			samples[(size_t)i * rounds + pair->rounds++] = (double)ns;
	}
	pairs->rounds++;
	return 0;
}

static void sum_up(struct pairs *pairs, double *samples, unsigned rounds)
{
	for (unsigned i = 0; i < pairs->count; i++) {
		struct pair *pair = &pairs->all[i];
		double *own = samples + (size_t)i * rounds;

		if (!pair->rounds)
			continue;
		qsort(own, pair->rounds, sizeof(*own), compare);
		pair->least = own[0];
		pair->median = own[pair->rounds / 2];
		pair->most = own[pair->rounds - 1];
	}
}

int pairs_measure(struct pairs *pairs, const struct cpus *cpus, unsigned rounds, double seconds)
{
	size_t count = cpus_count(cpus);
	double begun = now(), *samples;
	int err = 0;

	*pairs = (struct pairs){ 0 };
	if (count < 2 || !rounds || rounds > PAIRS_ROUNDS_MAX)
		return -EINVAL;
	count = count * (count - 1) / 2;
	pairs->all = calloc(count, sizeof(*pairs->all));
	samples = calloc(count * rounds, sizeof(*samples));
	if (!pairs->all || !samples) {
		free(samples);
		return -ENOMEM;
	}
	for (unsigned a = cpus_next(cpus, 0); a < CPUS_MAX; a = cpus_next(cpus, a + 1))
		for (unsigned b = cpus_next(cpus, a + 1); b < CPUS_MAX; b = cpus_next(cpus, b + 1))
			pairs->all[pairs->count++] = (struct pair){ .a = a, .b = b };
	for (unsigned round = 0; round < rounds && !err; round++) {
		sleep_until(begun + seconds * round / rounds);
		err = measure_round(pairs, samples, rounds, begun + seconds);
	}
	sum_up(pairs, samples, rounds);
	free(samples);
	pairs->seconds = now() - begun;
	return err < 0 ? err : 0;
}

void pairs_free(struct pairs *pairs)
{
	free(pairs->all);
	*pairs = (struct pairs){ 0 };
}

bool pair_moved(const struct pair *pair)
{
	return pair->rounds > 1 && pair->most > MOVED * pair->least;
}

const struct pair *pairs_best(const struct pairs *pairs)
{
	const struct pair *best = NULL;

	for (unsigned i = 0; i < pairs->count; i++)
		if (pairs->all[i].rounds && (!best || pairs->all[i].median < best->median))
			best = &pairs->all[i];
	return best;
}
