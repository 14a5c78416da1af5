/*
 * SPDX-License-Identifier: MIT
 *
 * Roaming. The CPUs that a program was given are those that it has before main() begins.
 */
#include "config.h"

#include <pthread.h>
#include <stdbool.h>

#include "roam.h"

static cpu_set_t given;
static bool known;

__attribute__((constructor)) static void note(void)
{
	known = !sched_getaffinity(0, sizeof(given), &given);
}

void roam_begin(struct roam *before)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before->signals);
	if (known)
		known = !sched_getaffinity(0, sizeof(before->cpus), &before->cpus);
	if (known)
		sched_setaffinity(0, sizeof(given), &given);
}

void roam_end(const struct roam *before)
{
	if (known)
		sched_setaffinity(0, sizeof(before->cpus), &before->cpus);
	pthread_sigmask(SIG_SETMASK, &before->signals, NULL);
}
