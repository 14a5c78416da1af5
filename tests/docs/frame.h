/* SPDX-License-Identifier: MIT */
/*
 * What the fragments of C in README.md and docs/ may take for granted: the names that they use
 * without declaring them. A fragment is compiled behind this (tests/docs/fragment.awk), and not
 * run. Nothing here is initialised, and the functions are nowhere: only types count.
 */
#include <peal.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

/* A link and its ends, and what goes through. */
extern struct peal_link *link;
extern struct peal_tx *tx;
extern struct peal_rx *rx;
extern struct peal_options options;
extern struct peal_message message;
extern char text[65536];
extern ssize_t n;
extern int err;

/* Much of it. */
struct item {
	const void *text;
	size_t length;
};
extern struct item items[];
extern int count;

/* Who listens, and who has many links. */
extern struct peal_listener *listener;
extern struct peal_set *set;
extern struct peal_server *server;
extern struct peal_server_options server_options;
extern struct peal_client *client;
extern struct peal_answer answer;
extern struct peal_monitor *monitor;
extern struct peal_monitored about;
#define MOST 64
extern struct peal_monitored_link links[MOST];
#define WORKERS 4
extern int job_a[1], job_b[1];

/* What the program does. */
void serve(struct peal_link *link);
void reply(struct peal_link *link, const char *text, ssize_t n);
void start_worker(int cpu);
void finish(void *user, uint32_t verdict, const void *data, size_t length);
void use(const void *data, size_t length);
