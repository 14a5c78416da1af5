/*
 * SPDX-License-Identifier: MIT
 *
 * Requests and answers of the lanes of calls: a request says how it is to be answered, and either
 * side can tell by seed and number which bytes the other has to send.
 */
#ifndef SOAK_REQUEST_H
#define SOAK_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#define PARTS 3      /* answers to a request that has several */
#define PROMISED 512 /* bytes of an answer for which a server has room */
#define REFUSAL "by request"

/* No ring of a lane of calls is shorter: see MOST_LAPS. */
#define LEAST_RING 16384u

enum how {
	AT_ONCE,  /* copied */
	IN_PLACE, /* reserved and committed */
	REFUSED,  /* by an error */
	LATER,    /* by another thread */
	SEVERAL,  /* the first at once, the others later */
	NEVER,
	HOWS
};

/* What a request begins with; the rest is filled by seed and number. */
struct ask {
	uint64_t magic, seed, number;
	uint64_t how;
	uint64_t want; /* bytes of each answer */
};

/* What an answer begins with; the rest is filled by the seed's complement, number and part. */
struct reply {
	uint64_t magic, seed, number, part;
};

void reply_make(void *at, const struct ask *ask, uint64_t part);
void reply_check(const void *data, size_t length, const struct ask *ask, uint64_t part);

#endif
