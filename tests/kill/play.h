/*
 * SPDX-License-Identifier: MIT
 *
 * Plays: a victim that is killed at each of its steps, and a survivor, a thread of the test's, that
 * deals with it all the while. What the victim says it has done stands in a diary, memory that it
 * shares with the test; what the survivor sees is held against that. A play is repeated for all
 * system calls between the victim's marks, and for as many instructions as there is time for.
 *
 * TEST_SEED and TEST_STEP (c12: the twelfth stop at a system call; i345: instruction 345) repeat a
 * run; a failure says them.
 */
#ifndef TESTS_KILL_PLAY_H
#define TESTS_KILL_PLAY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <peal.h>

#include "tests/kill/victim.h"
#include "tests/process/scene.h"

#define DIARY_WORDS 160

/* Written by the victim, but for the first two. */
struct diary {
	uint64_t ready;    /* not 0: the one who listens can be connected to */
	uint64_t caught;   /* messages that the survivor has received */
	uint64_t begun;    /* messages that it may have published */
	uint64_t sent;     /* that it has */
	uint64_t received; /* messages that it had, each as it must be */
	uint64_t closing;  /* not 0: it may have closed */
	uint64_t closed;   /* it has */
	uint64_t wrong;    /* not 0: something must not be, which words tell of */
	char words[DIARY_WORDS];
};

struct play;

struct cast {
	const char *name;

	/* In the victim: calls victim_mark() twice, and may go on. */
	void (*victim)(struct play *play);

	/* In a thread beside it, until all that it has to do with the victim is over. play_object
	 * says what is wrong. */
	void (*survivor)(struct play *play);

	/* While the victim stands still at its last step, and after it is dead and the survivor has
	 * ended. In the test's own thread; any may be NULL. */
	void (*held)(struct play *play);
	void (*after)(struct play *play);

	/* The survivor is to have slept for so long before the first step; 0: it need not sleep. */
	uint64_t asleep_ns;
	unsigned runs; /* at instructions, by default; 0: 5 */
	void *data;    /* the play's */
};

struct play {
	const struct cast *cast;
	struct diary *diary;
	struct victim victim;
	char address[108];
	uint64_t dice;  /* of this run: what is left to chance follows from it */
	bool dead;      /* atomic: the victim is */
	bool over;      /* atomic: the survivor is */
	pid_t survivor; /* atomic: the thread's number */
	uint64_t asleep_since;
	pthread_t thread;
	char wrong[512]; /* the survivor's first objection */
};

/* Whether this can be done here; else the running test is skipped, and should return. */
bool play_possible(void);

/* All runs of a play. */
void play_run(const struct cast *cast);

/* runner_main, and a line of how much has been played. */
struct Suite;
int play_main(struct Suite *(*const suites[])(void));

/* For the survivor: something must not be. */
void play_object(struct play *play, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For the victim: the same, and its end. */
void diary_object(struct diary *diary, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* For the test's own thread: fails the test unless it is true. */
void play_expect(const struct play *play, bool is_true, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

bool play_is_dead(const struct play *play);

/* A number below a limit that depends on the run and on what it is for. */
unsigned play_chance(const struct play *play, unsigned what, unsigned limit);

/* Of all links of a play, of either side. */
struct peal_options play_options(const struct play *play);

#endif
