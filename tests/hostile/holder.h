/*
 * SPDX-License-Identifier: MIT
 *
 * Who holds the lock of a pipe or a socket: a thread that reads it into a page that never comes, a
 * silent file's or one that nobody delivers. Knows nothing of Peal.
 */
#ifndef TESTS_HOSTILE_HOLDER_H
#define TESTS_HOSTILE_HOLDER_H

#include <pthread.h>
#include <stdbool.h>

#include "tests/hostile/fuse.h"
#include "tests/hostile/userfault.h"

struct holder {
	bool by_fuse;
	struct fuse fuse;
	struct userfault fault;
	void *page;
	int fd;
	pthread_t thread;
};

/* Makes the page, by a file system in this folder or not. False: none is to be had here, and the
 * running test is marked as skipped. */
bool holder_begin(struct holder *holder, bool by_fuse, const char *folder);

/* Holds the lock of this, in which there is something to read, from here on. */
void holder_take(struct holder *holder, int fd);

/* Lets go of it, and of everybody else who waits for the page. */
void holder_end(struct holder *holder);

#endif
