/*
 * SPDX-License-Identifier: MIT
 *
 * What the tests of a process's limits stand on: a server of the test's own process, which answers
 * each message with itself, and what children try while they are short of something. A child's
 * functions return an error, and assert nothing.
 */
#ifndef TESTS_LIMITS_HOST_H
#define TESTS_LIMITS_HOST_H

#include <stdint.h>
#include <sys/resource.h>

#include <peal.h>
#include <peal/server.h>

#include "tests/unit/stage.h"

/* The server is in the first folder, the other is a child's. */
extern struct folder folder, other;
extern struct peal_server *server;

void host_set_up(void);
void host_tear_down(void);

/* Another server. */
int host_open(struct peal_server **made, const char *path, uint32_t workers);

/* Serves until a child has come to its end, which must be a good one. */
void host_serve(struct child *child);

/* A call that is answered with itself; a message from end to end of a pair. */
int exchange(struct peal_link *link);
int use_pair(struct peal_link *links[2]);

/* Make a pair, or a link to the server, use and close it. */
int try_pair(void);
int try_link(void);

/* Limits what this process may have; was: what it might have before. */
extern struct rlimit was;
/* What the first argument of setrlimit is is another type in each C library. */
#ifdef __GLIBC__
typedef __rlimit_resource_t resource;
#else
typedef int resource;
#endif
bool lower(resource which, rlim_t to);

/* Whether it comes to have no more descriptors, and mappings of Peal's memory (negative: that does
 * not matter), than so many: helper threads close some things. */
bool settles(int descriptors, int mapped);

#endif
