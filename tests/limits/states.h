/*
 * SPDX-License-Identifier: MIT
 *
 * States that a link, a listener, a server, a client and a monitor can be in: each is entered, and
 * what it was for is brought to its end.
 */
#ifndef TESTS_LIMITS_STATES_H
#define TESTS_LIMITS_STATES_H

#include "tests/unit/stage.h"

/* A link between two ends in this process, and its listener; the first state is its being idle. */
extern struct meeting meeting;

void states_set_up(void);
void states_tear_down(void);

enum { STATES = 15 };

struct state {
	const char *name;
	void (*enter)(void), (*leave)(void);
};

extern const struct state states[STATES];

#endif
