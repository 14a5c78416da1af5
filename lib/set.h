/*
 * SPDX-License-Identifier: MIT
 *
 * What a set does for the library beyond peal/set.h: it also listens to descriptors that are no
 * links, so that a server's worker, or a client, sleeps in one place.
 */
#ifndef LIB_SET_H
#define LIB_SET_H

#include <stdbool.h>

#include <peal/set.h>

/* Descriptors that can be watched: which is 0 to SET_WATCHES - 1. */
#define SET_WATCHES 8u

/* Watches a descriptor for being readable, level-triggered, until that or the set is closed; it
 * stays the caller's. 0, -EMFILE, -ENOMEM, -ENOSPC. */
int set_watch(struct peal_set *set, int fd, uint32_t which);

/*
 * As peal_set_wait, but for a set that may have no links, and ends also when a watched descriptor
 * is readable: *heard gets a bit (1 << which) for each. Returns how many links are ready (0 or
 * more); -EAGAIN, -ETIMEDOUT: none, and *heard is 0; -ESTALE.
 */
int set_wait(struct peal_set *set, int64_t timeout, uint32_t *heard);

/* A muted link is not ready for its messages: only for room that was asked for, and for its end.
 * Asking for the same twice does no harm; a link is not muted when it is added. */
void set_mute(struct peal_set *set, struct peal_link *link, bool muted);

/* As peal_set_arm, likewise: 0: wait for the descriptor; 1: there is something now, *heard or
 * peal_set_next say what. */
int set_arm(struct peal_set *set, uint32_t *heard);

/* A link whose bells are not armed any more, or that may have something pending, is looked at
 * before its set sleeps; if it is in one. By the thread that has the set. */
void set_rouse(struct peal_link *link);

/* Whether its descriptors, among them its links' sockets, were listened to a moment ago. */
bool set_hears(const struct peal_set *set);

/* How often it has come back from sleep. Any thread. */
uint64_t set_wakeups(const struct peal_set *set);

#endif
