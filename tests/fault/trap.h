/*
 * SPDX-License-Identifier: MIT
 *
 * A trap for system calls: every call of a thread, whoever in the process makes it (the library,
 * the C library on its behalf, inline or by way of syscall()), is shown to a thread of ours by the
 * kernel (seccomp's user notification) before it is made. That lets it pass, or fails the one that
 * is asked for. Allocations go through it as well: the program is linked with --wrap.
 */
#ifndef TESTS_FAULT_TRAP_H
#define TESTS_FAULT_TRAP_H

#include <stdbool.h>

/* What is to fail: the nth call that can; 0: none. Either of the thread that entered the trap, or
 * of all that it has started (and their like: threads, and children of a fork). */
struct trap_order {
	unsigned nth;
	unsigned choice; /* the errno, by its place among those of that call */
	bool others;
	bool memory; /* of allocations, not of system calls */
};

/* What came of it. */
struct trap_report {
	unsigned calls;   /* that could have failed */
	const char *name; /* of the one that did; NULL: none */
	const char *how;  /* the name of its errno */
	int err;
	unsigned choices; /* how many errnos it has */
	long unknown;     /* a call that errnos.c says nothing of; -1: there was none */
};

/* Starts the thread that decides, which is not to be trapped: before trap_enter. NULL, or why it
 * cannot be. */
const char *trap_begin(void);

/* From here on the calling thread, and all that it starts, is shown. NULL, or why it cannot be. */
const char *trap_enter(void);

/* A thread of the tests themselves: its allocations never fail. */
void trap_exempt(void);

/* Calls are let pass, and not counted, until trap_arm, between trap_pause and trap_resume, and
 * after trap_disarm. */
void trap_arm(const struct trap_order *order);
void trap_pause(void);
void trap_resume(void);
struct trap_report trap_disarm(void);

/* What is known while it is armed. */
struct trap_report trap_look(void);

/* Blocks that have been allocated and not freed, by whoever was linked with the trap. */
long trap_blocks(void);

#endif
