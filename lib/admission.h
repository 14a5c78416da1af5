/*
 * SPDX-License-Identifier: MIT
 *
 * How many clients a listener has, of whom, and whether there may be one more. It knows nothing of
 * sockets.
 */
#ifndef LIB_ADMISSION_H
#define LIB_ADMISSION_H

#include <pthread.h>

#include "lib/listen.h"

/* A power of two. */
#define ADMISSION_CHAINS 1024u

/* A user who has clients, or has had some within the last second. */
struct user {
	struct user *next; /* of the chain */
	uint32_t uid;
	uint32_t clients;
	uint64_t full_at; /* monotonic ns: when all of the tokens for new ones are back */
};

struct admission {
	struct listen_limits limits;
	uint64_t refused; /* atomic */
	pthread_mutex_t lock;
	/* With the lock: */
	uint64_t clients;
	uint32_t idle; /* users without clients */
	struct user *users[ADMISSION_CHAINS];
};

void admission_init(struct admission *admission);

/* Nobody else uses it any more; after a fork, too. */
void admission_end(struct admission *admission);

/* A client of this user has come, at this time: 0, and it counts; or -EBUSY with its sentence. One
 * thread at a time. */
int admission_enter(struct admission *admission, uint32_t uid, uint64_t now);

/* One that counts was no client: as if it had not come. */
void admission_undo(struct admission *admission, uint32_t uid);

/* One that counts has gone. Any thread. */
void admission_leave(struct admission *admission, uint32_t uid);

#endif
