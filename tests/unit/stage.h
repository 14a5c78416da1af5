/*
 * SPDX-License-Identifier: MIT
 *
 * What unit tests stand on: links that are ready to use, a folder to listen in, payloads that can
 * be told from each other, and looks at the sentence behind an error and at open descriptors. Uses
 * the public headers only. What fails here fails the running test.
 */
#ifndef TESTS_UNIT_STAGE_H
#define TESTS_UNIT_STAGE_H

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

#include <peal.h>

#include "tests/runner.h"

#define MS INT64_C(1000000)

/* A timeout that only a hang gets to. */
#define LONG (20000 * MS)

/* The size of a page, which is that of the smallest ring. */
uint64_t stage_page(void);

/* Options with this way of waiting and a ring of so many bytes; 0: a page. */
struct peal_options stage_options(uint32_t wait, uint64_t ring);

/* Two linked ends in this process. */
void pair_open(struct peal_link *links[2], uint32_t wait, uint64_t ring);
void pair_close(struct peal_link *links[2]);

/* An empty folder of the test's own, and a path in it to listen at. */
struct folder {
	char name[80];
	char path[100];
};

void folder_make(struct folder *folder);
/* Removes it with all that is in it. */
void folder_remove(const struct folder *folder);
/* How many names are in it. */
int folder_count(const struct folder *folder);

/* A connect in a thread of its own. options may be NULL. */
struct caller {
	const char *address;
	const struct peal_options *options;
	int64_t timeout;
	struct peal_link *link; /* what came of it */
	int err;
	char sentence[512];
	bool over; /* atomic */
	pthread_t thread;
};

void caller_start(struct caller *caller, const char *address, const struct peal_options *options,
		  int64_t timeout);
/* Whether it has ended; and waits until it has. */
bool caller_is_over(const struct caller *caller);
void caller_end(struct caller *caller);

/* A client and a server in this process, linked through a socket. Either of the options may be
 * NULL. */
struct meeting {
	struct folder folder;
	struct peal_listener *listener;
	struct peal_link *client, *server;
};

void meeting_open(struct meeting *meeting, const struct peal_options *server,
		  const struct peal_options *client);
void meeting_close(struct meeting *meeting);

/* A payload that depends on its seed in every byte, and whether it arrived so. */
void payload_fill(void *to, size_t length, uint32_t seed);
bool payload_matches(const void *at, size_t length, uint32_t seed);

/* What a link has counted. */
struct peal_stats stats_of(const struct peal_link *link);

/* The next word of a peer's noise. */
uint64_t scramble(uint64_t *x);

/* Whether a verb of a link whose peer writes noise may answer so: nothing is, or comes, there; it
 * does not fit; the peer lied, or says that it has closed. */
bool noise_explains(int64_t result);

/* The result must be err, and the sentence behind it must contain each of the pieces; they end
 * with NULL. */
void expect_error(int64_t result, int err, ...) __attribute__((sentinel));

/* The same for what came of a call in another thread or process. */
void expect_words(int64_t result, const char *sentence, int err, ...) __attribute__((sentinel));

/*
 * Runs a function in a child, which ends with it, and waits. It returns NULL, or what went wrong
 * there, which fails the test; asserts are for the test itself. child_start only starts it.
 */
void child_run(const char *(*run)(void *data), void *data);

/* Waits until this process has no threads but its first, or but those that it had when a test said
 * threads_begin, and so many of its own: helper threads close what is slow to close. */
void threads_expect_none(void);
void threads_begin(int own);

/* fork(), once that is so: in an emulator (QEMU 7.2) a child that was forked beside a thread can
 * start none of its own. */
pid_t fork_alone(void);

struct child {
	pid_t pid;
	int end; /* of a pipe: what it has to say */
};

void child_start(struct child *child, const char *(*run)(void *data), void *data);
void child_end(struct child *child);

/* For a child: what went wrong, with the library's last sentence. */
const char *wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For a child: gives up the user and group of root's for nobody's. NULL, or what went wrong. */
const char *become_nobody(void);
#define NOBODY 65534

/* Descriptors that this process has open. descriptors_settled counts them after it has made what
 * the first links bring and what stays: the objects of their counters. */
int descriptors_settled(void);
int descriptors_count(void);
/* Waits until there are no more than so many: some are closed by helper threads. */
void descriptors_expect(int count);

/* Mappings of shared memory, a peer's or our own, in this process. */
int mappings_count(void);

#endif
