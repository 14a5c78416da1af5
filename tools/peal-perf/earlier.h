/*
 * SPDX-License-Identifier: MIT
 *
 * Earlier runs: what peal-perf --json printed then, as outcomes. It compares nothing.
 */
#ifndef PEAL_PERF_EARLIER_H
#define PEAL_PERF_EARLIER_H

#include "outcome.h"

struct earlier {
	struct outcomes outcomes;
	const char *path;                     /* the caller's */
	const char *model, *kernel, *sharing; /* "" where it does not say */
	bool threads;
	void *json; /* what holds the texts */
};

/* Reads one. 0, or a negative errno with a complaint: -EINVAL: that is none of peal-perf's;
 * -ENOENT: it cannot be read; -ENOSYS: this peal-perf reads no JSON; -ENOMEM. */
int earlier_read(struct earlier *earlier, const char *path);
void earlier_free(struct earlier *earlier);

#endif
