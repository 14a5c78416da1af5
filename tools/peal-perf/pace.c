/*
 * SPDX-License-Identifier: MIT
 *
 * Paces: the sleeping, and how the steps come about.
 */
#include "config.h"

#include <errno.h>
#include <sys/prctl.h>
#include <time.h>

#include "complaint.h"
#include "pace.h"
#include "watch.h"

/* More than it takes a sleeper to be running again, on a machine that is not overloaded. */
#define MARGIN_NS 100000

uint64_t pace_step(uint64_t rate)
{
	double ticks = peal_ticks_per_ns() * 1e9 / (double)rate;

	return (uint64_t)(ticks * (1 << PACE_FRACTION));
}

void pace_begin(struct pace *pace, uint64_t step)
{
	/* Else the kernel lets timers be 50 us late. */
	prctl(PR_SET_TIMERSLACK, 1);
	pace->step = step;
	pace->offset = 0;
	pace->margin = (uint64_t)(MARGIN_NS * peal_ticks_per_ns());
	pace->begun = peal_ticks();
}

int pace_sleep(uint64_t ticks)
{
	uint64_t ns = (uint64_t)((double)ticks / peal_ticks_per_ns());
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	ns += (uint64_t)time.tv_nsec;
	time.tv_sec += (time_t)(ns / 1000000000);
	time.tv_nsec = (long)(ns % 1000000000);
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
	return watch_abandoned() ? complain(-ECANCELED, "given up") : 0;
}
