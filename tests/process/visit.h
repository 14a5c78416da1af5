/*
 * SPDX-License-Identifier: MIT
 *
 * Visits: a client that goes to a server, both of them peers, and all that a link is for: messages
 * of all lengths both ways, sleeping and being woken, closing, and noticing that the other is dead;
 * and both tell of the machine what the library can.
 * What surrounds the two is the caller's to arrange, before and between. Many go at the same time,
 * step by step, since most of a step is waiting.
 */
#ifndef TESTS_PROCESS_VISIT_H
#define TESTS_PROCESS_VISIT_H

#include "tests/process/scene.h"

#define VISITS_MAX 16

enum { VISIT_SERVER, VISIT_CLIENT, VISIT_SIDES };

struct visit {
	struct peer side[VISIT_SIDES];
	char address[VISIT_SIDES][112]; /* as each knows it */
	int survivor;                   /* who is there to see the other killed */
	const char *what;               /* for messages */

	/* What came of it. */
	int refused; /* 0: all went well; or what listen, accept or connect said, and nothing of
		      * it was the other's fault */
	char sentence[1024];
};

/* From the first listen to the end of both processes. Fails the test if anything else than listen,
 * accept or connect goes wrong. */
void visits_run(struct visit *visits, unsigned count);

#endif
