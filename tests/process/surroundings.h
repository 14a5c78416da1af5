/*
 * SPDX-License-Identifier: MIT
 *
 * Surroundings: namespaces, file systems, clocks and limits that a peer is started in, as
 * containers are made of them. An ordinary user gets a user namespace with each of them, in which
 * he is root. Nothing of it outlives the process.
 */
#ifndef TESTS_PROCESS_SURROUNDINGS_H
#define TESTS_PROCESS_SURROUNDINGS_H

#include "tests/process/scene.h"

enum {
	SURROUNDINGS_NO_PROC = 1,       /* empty folders instead of /proc and /sys */
	SURROUNDINGS_OWN_ROOT = 2,      /* only programs, libraries and the tests' folder */
	SURROUNDINGS_READ_ONLY_SHM = 4, /* /dev/shm */
	SURROUNDINGS_NO_MEMLOCK = 8,    /* nor the capability to do without */
	SURROUNDINGS_LATE = 16          /* the monotonic clock is days ahead */
};

struct surroundings {
	const char *name;
	int namespaces;  /* CLONE_NEW... */
	unsigned what;   /* SURROUNDINGS_... */
	const char *shm; /* mount options of another /dev/shm */
	unsigned user;   /* of root's: another one, before anything else; 0: stays */
	bool nobody;     /* the user namespace gives nobody a number */
};

/* Why these cannot be had here; NULL if they can. The text holds until the next call. */
const char *surroundings_missing(const struct surroundings *surroundings);

void peer_start_in(struct peer *peer, const struct surroundings *surroundings);

/* A path in the tests' folder as seen from there; the text holds for three more calls. */
const char *surroundings_path(const struct surroundings *surroundings, const char *name);

#endif
