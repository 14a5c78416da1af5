/*
 * SPDX-License-Identifier: MIT
 *
 * A duel: two processes with a link between them, each on a CPU of its own, that do one thing each
 * at the same time, round after round. All that is looked at is in the link's two segments, each
 * mapped by both and writable for one, as ever; an arena beside it has what keeps the rounds.
 */
#ifndef TESTS_LITMUS_DUEL_H
#define TESTS_LITMUS_DUEL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/link.h"
#include "tests/unit/stage.h"

#define LITMUS_SLOTS 256

struct litmus_word {
	uint64_t word;
	uint8_t spare[PEAL_LINE - 8];
};

struct arena {
	struct litmus_word turn[2];
	struct litmus_word over;
	struct litmus_word kind; /* of the rounds that begin; for the test */
	struct litmus_word rung; /* the last round in which the other side rang */
	struct litmus_word data[LITMUS_SLOTS], flag[LITMUS_SLOTS];
};

struct duel {
	struct arena *arena;
	struct peal_link *link;
	int which; /* 0: the test's process, 1: its child */
	uint64_t round;
	uint64_t random;
	uint64_t turn;
	uint64_t until; /* monotonic ns */
	struct folder folder;
	pid_t child;
};

/* Whether it can be shown here who passes whom; else the running test is marked as skipped. */
bool duel_possible(void);

/* Links this process with a child that runs play() until the arena says that it is over; both with
 * these options. The time to play is a part of that of all programs here, a thousandth each. */
void duel_open(struct duel *duel, const struct peal_options *options, uint64_t thousandths,
	       void (*play)(struct duel *duel));
void duel_close(struct duel *duel);

/* The same where the child is in no round: it ends with the link. */
void duel_abandon(struct duel *duel);

/* Whether the time is not up. Cheap enough for each round. */
bool duel_goes_on(struct duel *duel);

/* Both sides leave it at about the same time, after a random while. False: it is over. */
bool duel_meet(struct duel *duel);

/* They leave it once both are there. */
void duel_part(struct duel *duel);

/* A number below, and a few stores that miss the caches: what is stored next waits for them. */
uint64_t duel_draw(struct duel *duel, uint64_t below);
void duel_clog(struct duel *duel);

/* What came out, on a line of its own. */
void duel_tell(const char *what, uint64_t rounds, uint64_t reorderings);

#endif
