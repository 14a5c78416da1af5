/*
 * SPDX-License-Identifier: MIT
 *
 * Connecting a step at a time, without ever waiting: for who has other things to do meanwhile.
 */
#ifndef LIB_CONNECT_H
#define LIB_CONNECT_H

#include "lib/address.h"
#include "lib/handshake.h"

/* How far it is. */
enum opening_stage {
	OPENING_NEW,    /* nothing is made */
	OPENING_REACH,  /* there is a socket */
	OPENING_HELLO,  /* it is connected, and there is something to say */
	OPENING_ANSWER, /* which has been said */
};

struct opening {
	/* A child that is forked meanwhile must not keep what is under way. */
	struct handle handle;
	int fd; /* of the socket; -1: none */
	enum opening_stage stage;
	bool stale;

	struct address address;
	struct peal_options options;

	bool monitor;         /* it is to look at counters, and makes no link; */
	uint64_t stats_first; /* at those from this object on */

	struct link_plan plan;
	struct wire_message hello;
	struct platform_parcel parcel;

	/* After a step that ended with 1: nanoseconds until there is another one to make; 0: when
	 * fd is readable. */
	uint64_t pause;
	unsigned tries;                  /* that ended in a pause */
	const struct shortage *shortage; /* the last that was met; NULL: none */
};

/* Takes what is to be connected to, and how; opens nothing, and there is nothing to be dropped.
 * options->name must stay what it is. 0, or what peal_connect says of the two. */
int opening_prepare(struct opening *opening, const char *address,
		    const struct peal_options *options);

/*
 * Goes as far as it can without waiting. 0: *link is made; 1: not yet, see opening->pause; or an
 * error as of peal_connect. After 0 and after an error the next step begins anew.
 */
int opening_step(struct opening *opening, struct peal_link **link);

/*
 * The same for a monitor: 0: there is an answer, a WELCOME, with what came along, and the
 * connection is closed (a socket that the caller has brought is good for nothing more, and his to
 * close). A server that is full, and has not heard yet that we are a monitor, is tried again.
 */
int opening_look(struct opening *opening, struct wire_message *answer,
		 struct platform_parcel *received);

/* Waits until there is another step to make, after one that ended with 1. 0, or -EAGAIN or
 * -ETIMEDOUT with its sentence; then nothing is dropped. deadline: of this timeout. */
int opening_wait(const struct opening *opening, int64_t timeout, uint64_t deadline);

/* Drops what is under way; the next step begins anew. After a fork, too. */
void opening_drop(struct opening *opening);

#endif
