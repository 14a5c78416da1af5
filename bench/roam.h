/*
 * SPDX-License-Identifier: MIT
 *
 * Roaming: for libraries that have threads of their own. Both sides are pinned before a transport
 * is opened, and a new thread inherits that: it would share the CPU of the side that waits for it,
 * which no program would choose. Threads that are started between begin and end may run on every
 * CPU that the program itself was given, and leave signals to the two sides, which wait for them.
 */
#ifndef BENCH_ROAM_H
#define BENCH_ROAM_H

#include <sched.h>
#include <signal.h>

/* What the calling thread had before. */
struct roam {
	cpu_set_t cpus;
	sigset_t signals;
};

void roam_begin(struct roam *before);
void roam_end(const struct roam *before);

#endif
