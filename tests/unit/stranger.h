/*
 * SPDX-License-Identifier: MIT
 *
 * Strangers: Unix sockets without the library, to stand in the way of a server, to knock at its
 * door, or to answer in its place. What fails here fails the running test.
 */
#ifndef TESTS_UNIT_STRANGER_H
#define TESTS_UNIT_STRANGER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A socket of a type (SOCK_STREAM and so on) that is bound to a path, and listens unless backlog is
 * negative. */
int stranger_bind(const char *path, int type, int backlog);

/* A stale socket: one that is left from somebody who has ended. */
void stranger_leave(const char *path, int type);

/* Connected to a path, SOCK_SEQPACKET. stranger_try gives a negative errno instead of failing, and
 * does not wait. */
int stranger_connect(const char *path);
int stranger_try(const char *path);

/* The next client of one that listens; waits. */
int stranger_accept(int fd);

/* Sends one message, with its credentials and these descriptors, or so many copies of one. */
#define STRANGER_DESCRIPTORS 253 /* the most that the kernel lets travel with a message */
void stranger_send(int fd, const void *data, size_t length, const int *descriptors, int count);
void stranger_say(int fd, const void *data, size_t length, int descriptor, int copies);

/* Waits for a message; its length, 0 at the end. A descriptor that came along goes to *descriptor
 * (-1: none), unless that is NULL. */
ssize_t stranger_hear(int fd, void *data, size_t size, int *descriptor);

/* Whether there is something to hear now. */
bool stranger_hears(int fd);

/* A descriptor whose close waits for somebody else, at the other end: *peer; both are TCP's. -1: no
 * network here. */
int stranger_lingering(int *peer);

#endif
