/*
 * SPDX-License-Identifier: MIT
 *
 * Transports: what peal-perf can send messages through. Each is a const table, and all that is
 * peculiar to one is behind it, in its own file. A new transport is a file and a line in
 * transport.c; one that needs another library is a file in bench/, and a line in bench/peers.c.
 *
 * The partner listens, the driver connects; they meet through the transport's own means. What
 * passes while a slice runs is in the loops of slice.h, of which every transport has copies with
 * its own verbs inlined.
 */
#ifndef PEAL_PERF_TRANSPORT_H
#define PEAL_PERF_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct service;
struct slice;

/* How a side waits; the same three for all transports, which need not have them all. */
enum wait_mode { WAIT_SPIN, WAIT_ADAPTIVE, WAIT_SLEEP, WAIT_MODES };

/* Which side pays for the barrier that Peal's sleeping needs. */
enum barrier_mode { BARRIER_AUTO, BARRIER_FENCE, BARRIER_ASYMMETRIC, BARRIER_MODES };

/* What pages Peal's rings are to have. Unsaid is auto, and nothing is told of it. */
enum huge_mode { HUGE_UNSAID, HUGE_OFF, HUGE_AUTO, HUGE_TRY, HUGE_REQUIRE, HUGE_MODES };

/* What can be measured. */
enum test_id { TEST_FLOOR, TEST_LATENCY, TEST_STREAM, TEST_RATE, TESTS };

/*
 * The driver initiates round trips and sends streams; the partner answers and receives. In
 * TEST_RATE it is the partner that sends: the driver has the clock and the histogram.
 */
enum side { INITIATOR, ANSWERER, SIDES };

/* What the two sides must agree on before they meet. */
struct setup {
	uint64_t size;           /* bytes of a message */
	uint64_t ring;           /* bytes of a ring in each direction, for transports with rings */
	uint32_t wait;           /* an enum wait_mode */
	uint32_t barrier;        /* an enum barrier_mode, for Peal */
	uint32_t huge;           /* an enum huge_mode, for Peal */
	uint32_t no_prefault;    /* likewise */
	uint32_t batch;          /* messages that are sent and received at a time, at most */
	uint32_t links;          /* of a set */
	uint32_t one_descriptor; /* Peal's links are to do with one, and be rung by it */
	char path[100];          /* of the socket where they meet; fits a sockaddr_un */
};

/* Runs one side of one slice; 0 or a negative errno with a complaint. */
typedef int run_slice(void *end, struct slice *slice);

/* A transport's copies of the loops; NULL where it does not take part in a test. */
struct loops {
	run_slice *run[TESTS][SIDES];
};

/* Defines a table of them for all tests, with a transport's verbs compiled in. */
#define TRANSPORT_LOOP(NAME, VERBS, LOOP)                        \
	static int NAME##_##LOOP(void *end, struct slice *slice) \
	{                                                        \
		return slice_##LOOP(&(VERBS), end, slice);       \
	}
#define TRANSPORT_LOOPS(NAME, VERBS)                                \
	TRANSPORT_LOOP(NAME, VERBS, ping)                           \
	TRANSPORT_LOOP(NAME, VERBS, pong)                           \
	TRANSPORT_LOOP(NAME, VERBS, produce)                        \
	TRANSPORT_LOOP(NAME, VERBS, consume)                        \
	TRANSPORT_LOOP(NAME, VERBS, arrive)                         \
	TRANSPORT_LOOP(NAME, VERBS, pace)                           \
	/* In the order of enum test_id, for C++ knows no other. */ \
	static const struct loops NAME = {                                 \
		.run = {                                                   \
			{ NULL, NULL },                                    \
			{ NAME##_ping, NAME##_pong },                      \
			{ NAME##_produce, NAME##_consume },                \
			{ NAME##_arrive, NAME##_pace },                    \
		},                                                         \
	}

struct transport {
	const char *name;
	const char *about;   /* a few words for --help */
	unsigned waits;      /* 1 << each of enum wait_mode that it has */
	bool rings;          /* setup.ring limits its messages */
	bool threads_only;   /* its ends are of one process */
	bool processes_only; /* its ends are of two */

	/* NULL, or a sentence why it cannot be measured so; never called if it is NULL itself. */
	const char *(*refuse)(const struct setup *setup);

	/* All return 0, or a negative errno with a complaint and nothing left behind; but for
	 * accept, whose end still wants to be closed. Of threads_only there is pair alone; of
	 * processes_only there is all but pair. */
	int (*listen)(const struct setup *setup, void **end);
	int (*accept)(void *end);
	int (*connect)(const struct setup *setup, void **end);
	int (*pair)(const struct setup *setup, void *ends[2]); /* inside one process */
	void (*close)(void *end);

	const struct loops *loops;    /* payloads copied in and out */
	const struct loops *in_place; /* written and read where they are; NULL: it cannot */

	/* Likewise, in batches. */
	const struct loops *batched;
	const struct loops *batched_in_place;

	/* A server with many clients; NULL: it has none. */
	const struct service *service;
};

/* Its loops for one way of doing things; NULL: it cannot. */
const struct loops *transport_loops(const struct transport *transport, bool in_place,
				    unsigned batch);

extern const struct transport transport_peal;
extern const struct transport transport_set;
extern const struct transport transport_bare;
extern const struct transport transport_uds;
extern const struct transport transport_seqpacket;
extern const struct transport transport_tcp;
extern const struct transport transport_pipe;
extern const struct transport transport_mq;
extern const struct transport transport_futex;
extern const struct transport transport_eventfd;
extern const struct transport transport_floor;

/* Those of other libraries, and NULL behind them: none in peal-perf, those of bench/ there. */
extern const struct transport *const transport_peers[];

/* The index-th transport that may be named by a user; NULL past the last. */
const struct transport *transport_at(unsigned index);

/* Any transport, the floor included, by name; NULL: there is none. */
const struct transport *transport_by_name(const char *name);

const char *wait_name(enum wait_mode wait);
const char *barrier_name(enum barrier_mode barrier);
const char *huge_name(enum huge_mode huge);
const char *test_name(enum test_id test);

#endif
