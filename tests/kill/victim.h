/*
 * SPDX-License-Identifier: MIT
 *
 * Victims: children that are taken through what they do step by step, each step an instruction or
 * one side of a system call, and killed between two of them. Knows nothing of Peal.
 */
#ifndef TESTS_KILL_VICTIM_H
#define TESTS_KILL_VICTIM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct victim {
	pid_t pid;
	bool ended;  /* it has passed its second mark */
	bool traced; /* false: it runs, or is stopped, by itself */
	int status;  /* why it ended, if it did before it was killed; 0 */
};

enum victim_step {
	VICTIM_CALLS,       /* from one entry or exit of a system call to the next */
	VICTIM_INSTRUCTIONS /* what a system call does is one of these */
};

/* Whether processes can be single-stepped here; if not, *why is the reason. */
bool victim_possible(const char **why);

/* A child that runs act(data), up to its first mark, where it stands still; by what it was given it
 * is known that others have to do something for that meanwhile. act does not return. */
void victim_start(struct victim *victim, void (*act)(void *data), void *data);
bool victim_reach(struct victim *victim);

/* For the child: the beginning, and the end, of what it is stepped through. */
void victim_mark(void);

/* Takes it so many steps further, and returns how many it made: fewer if it passed its second mark,
 * or has ended. */
uint64_t victim_step(struct victim *victim, enum victim_step step, uint64_t count);

/* From where it stands: lets it run, or leaves it as SIGSTOP does. */
void victim_release(struct victim *victim);
void victim_suspend(struct victim *victim);
void victim_resume(const struct victim *victim);

/* SIGKILL; and waits until it is dead. False: it had ended before. */
bool victim_kill(struct victim *victim);

#endif
