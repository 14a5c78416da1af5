/*
 * SPDX-License-Identifier: MIT
 *
 * Meetings: how two processes find each other at the path of a Unix socket, and hand each other
 * descriptors there. For the transports that are not Peal.
 */
#ifndef PEAL_PERF_MEETING_H
#define PEAL_PERF_MEETING_H

#define MEETING_DESCRIPTORS 3 /* that can be handed over together */

/* All return 0 or a descriptor, or a negative errno with a complaint. type: SOCK_STREAM or
 * SOCK_SEQPACKET. */
int meeting_listen(const char *path, int type, int backlog);
int meeting_accept(int listener);
int meeting_connect(const char *path, int type);
int meeting_pair(int type, int sockets[2]);

int meeting_give(int socket, const int *descriptors, unsigned count);
int meeting_take(int socket, int *descriptors, unsigned count);

#endif
