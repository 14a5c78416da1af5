/*
 * SPDX-License-Identifier: MIT
 *
 * What a listener does for a server beyond peal/link.h.
 */
#ifndef LIB_LISTEN_H
#define LIB_LISTEN_H

#include <peal/link.h>

/* What a server limits. Zero: no limit. */
struct listen_limits {
	uint32_t clients;   /* at the same time */
	uint32_t per_user;  /* of one user, at the same time */
	uint32_t user_rate; /* new ones of one user in a second, in bursts of as many */
};

/* Before the first accept. */
void listen_limit(struct peal_listener *listener, const struct listen_limits *limits);

/* A link of this listener, which has limits, has been closed, whose peer had this user. Any
 * thread. */
void listen_forget(struct peal_listener *listener, uint32_t uid);

/* So many fresh segments are to be ready, each with a descriptor (one of huge pages with two).
 * Makes one of those that are missing: 1: others are; 0: none is missing, or none can be had now.
 * By the thread that accepts; enters the kernel. */
int listen_prepare(struct peal_listener *listener, uint32_t ready);

/* Clients that were refused by the limits. Any thread. */
uint64_t listen_refused(const struct peal_listener *listener);

#endif
