/*
 * SPDX-License-Identifier: MIT
 *
 * A thread on each CPU reads the CPU's counter over and over. Where two looks are farther apart
 * than the threshold, something else had the CPU in between: another thread, an interrupt, firmware
 * or the hypervisor.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include <peal/runtime.h>

#include "tools/peal-tune/affinity.h"
#include "tools/peal-tune/gaps.h"

/* A thread that has not ended so long after its time does not get its CPU. */
#define PATIENCE 2

struct watch {
	pthread_t thread;
	struct gaps *gaps;
	uint64_t threshold; /* ticks */
	uint64_t until;     /* peal_ticks() at which all is over */
	const int *stop;    /* or it is when this is not 0; for all threads */
};

static void note(struct gaps *gaps, uint64_t ticks)
{
	uint64_t ns = (uint64_t)((double)ticks / peal_ticks_per_ns());

	gaps->count++;
	gaps->sum += ns;
	if (ns > gaps->longest)
		gaps->longest = ns;
	gaps->classes[63 - __builtin_clzll(ns | 1)]++;
}

static void *watch(void *context)
{
	const struct watch *watch = context;
	uint64_t first, last, now;

	watch->gaps->err = affinity_set_one((int)watch->gaps->cpu);
	if (watch->gaps->err)
		return NULL;
	first = last = peal_ticks();
	do {
		now = peal_ticks();
		/* The counters of two CPUs may be a few ticks apart, if this thread was let go. */
		if (now - last >= watch->threshold && now > last)
			note(watch->gaps, now - last);
		last = now;
		/* Pairs with the release in wait_for_end(). */
	} while (now < watch->until && !__atomic_load_n(watch->stop, __ATOMIC_ACQUIRE));
	watch->gaps->watched = (uint64_t)((double)(last - first) / peal_ticks_per_ns());
	return NULL;
}

static struct timespec from_now(clockid_t clock, double seconds)
{
	struct timespec time;

	clock_gettime(clock, &time);
	seconds += (double)time.tv_nsec / 1e9;
	time.tv_sec += (time_t)seconds;
	time.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9);
	return time;
}

/* Signals that end it are blocked, and taken here. One that stopped it for a while ends nothing. */
static bool wait_for_end(const sigset_t *signals, double seconds, int *stop)
{
	struct timespec until = from_now(CLOCK_MONOTONIC, seconds), now, rest;
	int got;

	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
		rest.tv_sec = until.tv_sec - now.tv_sec;
		rest.tv_nsec = until.tv_nsec - now.tv_nsec;
		if (rest.tv_nsec < 0) {
			rest.tv_nsec += 1000000000;
			rest.tv_sec--;
		}
		if (rest.tv_sec < 0)
			return false;
		got = sigtimedwait(signals, NULL, &rest);
	} while (got < 0 && errno == EINTR);
	if (got > 0)
		/* Pairs with the acquire in watch(). */
		__atomic_store_n(stop, 1, __ATOMIC_RELEASE);
	return got > 0;
}

/* Adds those that end it: that of a terminal that is gone, too, unless nohup keeps it off. */
static void add_ends(sigset_t *signals)
{
	struct sigaction action;

	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
	if (!sigaction(SIGHUP, NULL, &action) && action.sa_handler != SIG_IGN)
		sigaddset(signals, SIGHUP);
}

int gaps_watch(struct gaps *gaps, const struct cpus *cpus, uint64_t threshold, double seconds,
	       bool *interrupted)
{
	unsigned count = cpus_count(cpus), started = 0, cpu = 0;
	struct watch *watches = calloc(count ? count : 1, sizeof(*watches));
	double per_ns = peal_ticks_per_ns();
	sigset_t every, before, ends, waiting;
	struct timespec until;
	int err = 0, stop = 0;

	if (!watches)
		return -ENOMEM;
	sigfillset(&every);
	sigemptyset(&ends);
	add_ends(&ends);
	pthread_sigmask(SIG_SETMASK, &every, &before);
	waiting = before;
	add_ends(&waiting);
	for (; started < count && !err; started += !err) {
		cpu = cpus_next(cpus, started ? cpu + 1 : 0);
		gaps[started] = (struct gaps){ .cpu = cpu };
		watches[started] = (struct watch){
			.gaps = &gaps[started],
			.threshold = (uint64_t)((double)threshold * per_ns),
			.until = peal_ticks() + (uint64_t)(seconds * 1e9 * per_ns),
			.stop = &stop,
		};
		err = -pthread_create(&watches[started].thread, NULL, watch, &watches[started]);
	}
	pthread_sigmask(SIG_SETMASK, &waiting, NULL);
	if (err)
		/* Pairs with the acquire in watch(). */
		__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	else
		*interrupted = wait_for_end(&ends, seconds, &stop);
	until = from_now(CLOCK_REALTIME, PATIENCE);
	while (started > 0)
		affinity_join(watches[--started].thread, &until);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	free(watches);
	return err;
}
