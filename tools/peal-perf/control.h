/*
 * SPDX-License-Identifier: MIT
 *
 * Control: what the driver asks of the partner between slices, over a socket pair of their own.
 * No measured message takes this way. Both ends are of one program, so structs travel as they
 * are.
 */
#ifndef PEAL_PERF_CONTROL_H
#define PEAL_PERF_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "complaint.h"
#include "transport.h"

#define CONTROL_SLOTS 160 /* ends that are open at a time */

enum request_kind {
	REQUEST_LISTEN, /* at setup.path, into a slot */
	REQUEST_ACCEPT, /* the driver, who connects now */
	REQUEST_ADOPT,  /* an end that the driver has made; threads only */
	REQUEST_SLICE,  /* of a test; the reply follows when it is over */
	REQUEST_CLOSE   /* all slots */
};

struct request {
	uint32_t kind;
	uint32_t slot;
	struct setup setup;
	char transport[16];
	void *end;         /* ADOPT */
	uint32_t test;     /* SLICE: an enum test_id */
	uint32_t in_place; /* SLICE */
	uint64_t payload;  /* SLICE: as in struct slice */
	uint64_t ticks;    /* SLICE */
	uint64_t step;     /* SLICE of TEST_RATE */
};

/* What a side has used. */
struct usage {
	double cpu_s;
	uint64_t switches; /* of context, of both kinds */
};

struct reply {
	int32_t err;
	uint64_t messages, count, elapsed, late; /* as in struct slice */
	double width, empty_poll;                /* likewise */
	struct usage usage;                      /* during the slice */
	char why[COMPLAINT_SIZE];                /* if err */
};

/* Wait. -ECONNRESET: the other side is gone; -ECANCELED: the watch has given up. */
int control_send(int control, const void *message, size_t size);
int control_receive(int control, void *message, size_t size);

/* What this thread, or the whole process, has used so far; and what since then. */
struct usage usage_now(bool thread);
struct usage usage_since(const struct usage *before, bool thread);

#endif
