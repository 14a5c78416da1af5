/*
 * SPDX-License-Identifier: MIT
 *
 * Targets: attached, asked now and then, attached to anew where the server was started again.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "target.h"

#define ASK_EVERY_NS UINT64_C(950000000) /* a tick that comes a little early asks, too */
#define ANSWER_NS INT64_C(100000000)
#define AGAIN_NS INT64_C(1000000000)

uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void clock_wait(uint64_t until_ns)
{
	struct timespec until = { (time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static int attach(struct target *target, int64_t timeout)
{
	int err = peal_monitor_open(&target->monitor, target->address, timeout);

	if (err) {
		target->monitor = NULL;
		return err;
	}
	target->asked_ns = clock_now();
	target->silent_ns = 0;
	return sampler_take(&target->sampler, target->monitor);
}

int target_open(struct target *target, const char *address, int64_t timeout)
{
	memset(target, 0, sizeof(*target));
	target->address = address;
	return attach(target, timeout);
}

/* The new process at the old address. */
static int succeed(struct target *target)
{
	target_close(target);
	target->restarts++;
	return attach(target, AGAIN_NS);
}

int target_look(struct target *target)
{
	uint64_t now = clock_now();
	int err;

	if (now - target->asked_ns >= ASK_EVERY_NS) {
		target->asked_ns = now;
		err = peal_monitor_refresh(target->monitor, ANSWER_NS);
		if (err == -ESTALE)
			return succeed(target);
		/* A descriptor was good for one answer: whether it is there is not known then. */
		if (err && err != -ETIMEDOUT && err != -EAGAIN && err != -ENOTCONN)
			return err;
		if (!err || err == -ENOTCONN)
			target->silent_ns = 0;
		else if (!target->silent_ns)
			target->silent_ns = now;
	}
	return sampler_take(&target->sampler, target->monitor);
}

void target_close(struct target *target)
{
	peal_monitor_close(target->monitor);
	target->monitor = NULL;
	sampler_reset(&target->sampler);
}
