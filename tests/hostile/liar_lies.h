/*
 * SPDX-License-Identifier: MIT
 *
 * The lies of the liar, each by its name.
 */
#ifndef TESTS_HOSTILE_LIAR_LIES_H
#define TESTS_HOSTILE_LIAR_LIES_H

#include <pthread.h>
#include <stdbool.h>

#include "tests/hostile/liar.h"
#include "tests/hostile/wire.h"

struct liar {
	struct wire wire;
	uint64_t random;
	uint32_t lied;                   /* of enum lied */
	uint32_t tag;                    /* of the last truthful message */
	bool mute;                       /* the next header is a lie, and is to stay one */
	bool deaf;                       /* the head is, and so is what it would be */
	bool part;                       /* of the peer's long message something has come */
	uint32_t bytes, bells, abandons; /* that nobody asked for, so far */
	int spare_fd;                    /* to be handed out in numbers */

	/* A thread that changes words all the time. */
	pthread_t thread;
	bool flickers, calm;   /* calm: atomic, it is to end */
	uint32_t what;         /* of which words */
	struct wire as_it_was; /* when it began: for the thread */
	uint64_t thread_random;
	uint64_t header; /* at our pos, where that flickers */
};

/* What a lie comes to, and what it is told by. */
struct lie {
	const char *name;
	uint32_t lied; /* of enum lied */
	bool (*tell)(struct liar *liar, uint64_t argument);
	uint64_t argument;
};

/* The lie of a name, or of a number; NULL: there is none. */
const struct lie *lie_named(const char *name);
const struct lie *lie_numbered(uint64_t number);
uint64_t lie_count(void);

/* Tells it. False: it cannot be told now, and was not. */
bool lie_tell(struct liar *liar, const struct lie *lie);

/* Ends the thread, and puts the harmless words in order. */
void liar_calm(struct liar *liar);

/* Chance: a number below this one. */
uint64_t liar_chance(struct liar *liar, uint64_t below);

/* Whether the peer takes messages in fragments; a truthful message, of any length if it does.
 * False: no room. */
bool liar_may_cut(const struct liar *liar);
bool liar_say(struct liar *liar, uint32_t flags, uint32_t tag, size_t length);

#endif
