/*
 * SPDX-License-Identifier: MIT
 *
 * What the process tests share: a folder for their sockets, peers (processes that run peer.c) and
 * how to talk to them, and counting what a process holds. A failure in here fails the test that
 * called. Waiting in here ends after SCENE_PATIENCE, which no test may take for a measurement.
 */
#ifndef TESTS_PROCESS_SCENE_H
#define TESTS_PROCESS_SCENE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/process/traffic.h"

#define MS ((int64_t)1000000)
#define SECOND (1000 * MS)
#define SCENE_PATIENCE (20 * SECOND)

/* The waiting modes as peers call them, in the order of enum peal_wait. */
extern const char *const scene_waits[3];

/* A test case whose tests have a folder, and limits on their time that end only what hangs. */
struct TCase;
struct TCase *scene_case(const char *name);

/* A path in the folder; the text holds for three more calls. */
const char *scene_path(const char *name);

/* So many rounds, more if the full counts are wanted, fewer for who is burdened. */
unsigned scene_rounds(unsigned normal);

/* Chance. TEST_SEED repeats a run as far as that can be; scene_seed says what it began with. */
uint64_t scene_random(void);
uint64_t scene_seed(void);

uint64_t scene_now(void);

/* Waits until something is true: false if it does not come to be. Gives its CPU away meanwhile. */
bool scene_until(bool (*is_true)(void *data), void *data);

/* The options of tests: a waiting mode, a ring that both sides have, and messages as long as those
 * of the longest traffic. */
struct peal_options scene_options(unsigned wait, uint64_t ring);

/*
 * Peers.
 */

struct peer {
	pid_t pid;
	int in, out;     /* its standard input and output, our ends */
	char text[1024]; /* what it said last, behind the result */
};

void peer_start(struct peer *peer);

/* The same with another fork. */
void peer_start_by(struct peer *peer, pid_t (*fork_it)(const void *data), const void *data);

/* The same with the other program, engine.c, which has servers and clients. */
void engine_start(struct peer *peer);

/* Gives it commands, lines that each end with a newline but the last. */
void peer_tell(struct peer *peer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Waits for the answer to a command, which must be the next that it gives; its result. */
long peer_hear(struct peer *peer, const char *verb);

/* Whether an answer is there to be heard. */
bool peer_has_answered(const struct peer *peer);

/* One command and its answer. */
long peer_ask(struct peer *peer, const char *command);

/* Waits until it sleeps in the kernel. After it was told to do what makes it sleep. */
void peer_wait_asleep(const struct peer *peer);

/* Stops it, in the midst of what it does, and lets it go on. */
void peer_stop(const struct peer *peer);
void peer_continue(const struct peer *peer);

/* Ends it: kills it, or lets it come to its end, which must be a good one. */
void peer_kill(struct peer *peer);
void peer_end(struct peer *peer);

/* Likewise when somebody else has killed it. */
void peer_reap_killed(struct peer *peer);

/* A link to a peer that has been started: we listen and it connects, or the other way round. */
struct peal_link *peer_link(struct peer *peer, bool serve, unsigned wait, uint64_t ring);

/* Sends a peer a SIGKILL from another thread, when a number in its journal has been reached and
 * some more turns have been made. */
struct killer {
	pid_t pid;
	const uint64_t *word;
	uint64_t at, turns;
	uint64_t killed_ns; /* when; 0: not yet */
	pthread_t thread;
};
void killer_start(struct killer *killer);
bool killer_is_done(const struct killer *killer);
void killer_end(struct killer *killer);

/* A thread that sends the one that starts it signals, one every so many nanoseconds, until it is
 * ended. Interrupted system calls are not restarted. */
struct pest {
	pthread_t thread, victim;
	long pause;
	bool stop; /* atomic */
};
void pest_start(struct pest *pest, void (*handler)(int signal), long pause);
void pest_end(struct pest *pest);

/*
 * What a process holds.
 */

struct holdings {
	unsigned descriptors;
	unsigned mappings;      /* of Peal's memory */
	uint64_t bytes;         /* of these */
	unsigned all_mappings;  /* 0 for other processes than this one, and with sanitizers */
	uint64_t anonymous_kib; /* likewise: the memory that is the process's alone */
	bool whole;             /* these two are told of another process, too */
};

struct holdings holdings_of(pid_t pid);
struct holdings holdings_whole(pid_t pid);

/* Of this process, after a first link has made what stays: the memory that counts things. */
struct holdings holdings_at_rest(void);

/* Waits until a process holds no more than it did, and fails if it still does. */
void holdings_expect(pid_t pid, const struct holdings *before);

#endif
