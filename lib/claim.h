/*
 * SPDX-License-Identifier: MIT
 *
 * A listener's claim to its address: the socket there, and the lock that tells a live server from
 * a stale socket. It knows nothing of clients.
 */
#ifndef LIB_CLAIM_H
#define LIB_CLAIM_H

#include <stdbool.h>

#include <peal/options.h>

#include "lib/address.h"
#include "platform/platform.h"

struct claim {
	struct address address;
	char *whole;                     /* a path, from the root on */
	struct platform_identity socket; /* what we bound */
	int fd;                          /* it listens */
	int lock;                        /* -1: none is needed */
	bool bound;                      /* the path is ours */
};

/* Where a server with these options (NULL: defaults) is to be; nothing is touched. 0 or an errno
 * with its sentence. */
int claim_find(struct claim *claim, const char *address, const struct peal_options *given);

/* Takes the address. 0 or an errno with its sentence: then claim_undo. With the registry locked: a
 * child that is forked meanwhile must not keep the lock. */
int claim_take(struct claim *claim, const struct peal_options *options);

/* Takes back what was done. With the registry locked. The caller's descriptor stays open. */
void claim_undo(struct claim *claim);

/* After that, without it: the sentence of claim_take's error names the winner if another server had
 * the address. Waits a moment for that one to listen. */
void claim_name_winner(const struct claim *claim);

/* Gives the address up. With the registry locked. */
void claim_end(struct claim *claim);

/* In the child of a fork: the parent still has it locked, and goes on to listen. */
void claim_forget(struct claim *claim);

/* The memory behind it, after each of these. */
void claim_free(struct claim *claim);

#endif
