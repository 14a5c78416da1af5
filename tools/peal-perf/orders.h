/*
 * SPDX-License-Identifier: MIT
 *
 * Orders: what the driver of a server and its clients has them do, over the control socket of each.
 * As in control.h, no measured message takes this way, and structs travel as they are.
 */
#ifndef PEAL_PERF_ORDERS_H
#define PEAL_PERF_ORDERS_H

#include <stdint.h>

#include "complaint.h"
#include "control.h"
#include "histogram.h"
#include "service.h"
#include "transport.h"

/* The hidden commands that process_start starts. */
#define ORDERS_SERVER "server"
#define ORDERS_CLIENT "client"

/* Requests of a client that may be under way at a time. */
#define ORDERS_DEPTH 16

enum order_kind {
	/* To a server: it listens, and serves until the driver hangs up. */
	ORDER_OPEN,
	/* To a server: what it has done so far. */
	ORDER_TELL,
	/* To clients: so many connect, and each has a request answered. */
	ORDER_JOIN,
	/* To clients that have joined: as many requests as there is time for, one of each at a
	 * time; the reply has a histogram. */
	ORDER_CLOSED,
	/* To clients that have joined: requests at intended times; the reply has a histogram. */
	ORDER_PACED,
	/* To clients: they disconnect. */
	ORDER_LEAVE,
	/* To clients: visits, so many at a time as there are clients: at intended times; or all at
	 * once, or in turn. The reply has a histogram. */
	ORDER_VISITS_PACED,
	ORDER_VISITS_AT_ONCE,
	ORDER_VISITS_IN_TURN,
};

struct order {
	uint32_t kind; /* an enum order_kind */
	char transport[16];
	struct setup setup;
	uint32_t clients; /* of this process */
	uint64_t begin;   /* ticks; before that nothing is done */
	uint64_t ticks;   /* CLOSED */
	uint64_t count;   /* requests, or visits, of this process */
	/* When they are due: of all processes as pace_step says, of which this one has the first-th
	 * and from there on each stride-th. */
	uint64_t step;
	uint64_t first, stride;
	uint64_t margin; /* ticks before each that are spun */
};

/* What went wrong, by errno. */
#define FAILURE_REASONS 8
struct failures {
	uint64_t count; /* of all */
	uint32_t reasons;
	struct failure {
		int32_t err;
		uint64_t count;
		char why[COMPLAINT_SIZE]; /* the first of them */
	} of[FAILURE_REASONS];            /* the last one has all that there is no room for */
};

struct answer {
	int32_t err;
	char why[COMPLAINT_SIZE]; /* if err */
	struct failures failures;
	struct usage usage;           /* TELL: but for telling, and ever; else meanwhile */
	uint64_t sleeps;              /* TELL: voluntary switches of the threads that serve */
	struct service_count service; /* TELL */
	uint64_t count;               /* requests that were answered */
	uint64_t elapsed;             /* ticks from begin to the last of them */
};

/* Adds so many failures with the reason of the last complaint. */
void failures_add(struct failures *failures, int err, const char *why, uint64_t count);
void failures_merge(struct failures *into, const struct failures *from);

/* Errors as control_send and control_receive. */
int orders_send_histogram(int control, const struct histogram *histogram);
int orders_add_histogram(int control, struct histogram *into);

/* The main functions of the hidden commands. */
int server_main(int argc, char **argv);
int client_main(int argc, char **argv);

#endif
