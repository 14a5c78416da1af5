/*
 * SPDX-License-Identifier: MIT
 *
 * A file system that answers nothing: its one file can be opened, and whoever asks anything else of
 * it waits for ever. Spoken by hand, over /dev/fuse, by a process of its own, so that all who wait
 * go on when that has ended, whatever becomes of the test. Knows nothing of Peal.
 */
#ifndef TESTS_HOSTILE_FUSE_H
#define TESTS_HOSTILE_FUSE_H

#include <linux/fuse.h>
#include <stdbool.h>
#include <sys/types.h>

struct fuse {
	pid_t daemon;
	int asked; /* what it was asked in vain: a byte for each time */
	int mapped;
	char folder[96];
};

/* Makes a folder in this one, and mounts it there, for this process and its children alone. False:
 * none is to be had here, and the running test is marked as skipped. */
bool fuse_begin(struct fuse *fuse, const char *folder);

/* Opens its file. */
int fuse_open(const struct fuse *fuse);

/* A page of it: whoever touches that waits. */
void *fuse_page(struct fuse *fuse);

/* Waits until somebody waits for an answer of this kind (FUSE_GETATTR and so on). */
void fuse_await(const struct fuse *fuse, enum fuse_opcode what);

/* Everybody who waits goes on. */
void fuse_end(struct fuse *fuse);

#endif
