/*
 * SPDX-License-Identifier: MIT
 *
 * A target: one server that is looked at, for as long as it lives, and its successor. It knows
 * nothing of what is shown.
 */
#ifndef PEAL_TOP_TARGET_H
#define PEAL_TOP_TARGET_H

#include <stdint.h>

#include "sample.h"

struct target {
	const char *address; /* the caller's */
	struct peal_monitor *monitor;
	struct sampler sampler;
	uint64_t asked_ns;  /* when it was last asked whether it is there (monotonic) */
	uint64_t silent_ns; /* it has not answered since then; 0: it does */
	unsigned restarts;  /* how often another process took its place */
};

/* Attaches, and takes the first sample. 0, or a negative errno with the sentence in peal_error();
 * the target is to be closed in any case. */
int target_open(struct target *target, const char *address, int64_t timeout);

/*
 * Takes the next sample, and asks once a second whether the server is still there, which may take
 * a tenth of one. 0, also while it does not answer (silent_ns): its memory can be read. Where
 * another process has its address, there is no sample before. -ECONNREFUSED: it is gone, and
 * nobody has come; or another errno; each with a sentence in peal_error().
 */
int target_look(struct target *target);

void target_close(struct target *target);

/* Monotonic nanoseconds. */
uint64_t clock_now(void);

/* Sleeps until then, or a signal comes. */
void clock_wait(uint64_t until_ns);

#endif
