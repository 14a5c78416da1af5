/*
 * SPDX-License-Identifier: MIT
 *
 * Visits: a client that goes to a server, both of them peers, and all that a link is for: messages
 * of all lengths both ways, sleeping and being woken, closing, and noticing that the other is dead;
 * and both tell of the machine what the library can, and try to be placed on it.
 * What surrounds the two is the caller's to arrange, before and between. Many go at the same time,
 * step by step, since most of a step is waiting.
 */
#ifndef TESTS_PROCESS_VISIT_H
#define TESTS_PROCESS_VISIT_H

#include "tests/process/scene.h"

#define VISITS_MAX 16

enum { VISIT_SERVER, VISIT_CLIENT, VISIT_SIDES };

/* What a side was told. */
struct told {
	long long peer_pid;
	unsigned peer_uid;
	int pin; /* what keeping a thread on a CPU came to, and what was said of that */
	char pin_sentence[512];
	char memory[512]; /* of its ring, as peer.c tells it */
};

struct visit {
	struct peer side[VISIT_SIDES];
	char address[VISIT_SIDES][112]; /* as each knows it */
	int survivor;                   /* who is there to see the other killed */
	const char *what;               /* for messages */
	bool counted; /* a side that gets no listener, or no link, is to hold nothing either */

	/* What came of it. */
	int refused; /* 0: all went well; or what listen, accept or connect said, and nothing of
		      * it was the other's fault */
	char sentence[1024];
	pid_t pid[VISIT_SIDES]; /* that the peers had */
	struct told told[VISIT_SIDES];

	struct holdings before[VISIT_SIDES]; /* visit.c's own */
};

/* From the first listen to the end of both processes. Fails the test if anything else than listen,
 * accept or connect goes wrong. */
void visits_run(struct visit *visits, unsigned count);

#endif
