/*
 * SPDX-License-Identifier: MIT
 *
 * Paces: messages at intended times, evenly spaced by the CPU's counter, and waiting for the next
 * of them. Time that is far away is slept through and the rest is spun, so that a sender is on time
 * without keeping its core from resting. It knows nothing of messages.
 */
#ifndef PEAL_PERF_PACE_H
#define PEAL_PERF_PACE_H

#include <stdint.h>

#include <peal/runtime.h>

/* Ticks between two messages are kept with so many bits behind the point. */
#define PACE_FRACTION 20

struct pace {
	uint64_t step;   /* ticks from one intended time to the next, with a fraction */
	uint64_t begun;  /* ticks */
	uint64_t offset; /* of the present intended time, with a fraction */
	uint64_t margin; /* ticks that are spun */
};

/* The step of so many messages a second. */
uint64_t pace_step(uint64_t rate);

/* How many messages a pace has in so many ticks. */
static inline uint64_t pace_count(uint64_t step, uint64_t ticks)
{
	return (ticks << PACE_FRACTION) / step;
}

/* Begins now; the first intended time is a step away. For the thread that will wait. */
void pace_begin(struct pace *pace, uint64_t step);

/* Sleeps for so many ticks, or until a signal comes; 0, or -ECANCELED with a complaint. */
int pace_sleep(uint64_t ticks);

/* The next intended time. */
static inline uint64_t pace_next(struct pace *pace)
{
	pace->offset += pace->step;
	return pace->begun + (pace->offset >> PACE_FRACTION);
}

/*
 * Waits for an intended time and tells what time it is then; one that is over is not waited for.
 * The spinning is tight: a pause may take longer than what is to be measured. Errors as pace_sleep.
 */
static inline int pace_wait(const struct pace *pace, uint64_t until, uint64_t *now)
{
	int err = 0;

	*now = peal_ticks();
	while (*now < until && !err) {
		if (until - *now > pace->margin)
			err = pace_sleep(until - *now - pace->margin);
		*now = peal_ticks();
	}
	return err;
}

#endif
