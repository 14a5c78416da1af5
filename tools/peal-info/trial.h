/*
 * SPDX-License-Identifier: MIT
 *
 * Trials: how fast a ring is with one setting of one variable, in a child of its own, since the
 * library reads its environment once. The process that calls these must not have used the runtime
 * itself before.
 */
#ifndef PEAL_INFO_TRIAL_H
#define PEAL_INFO_TRIAL_H

#include <stdint.h>

#define TRIAL_VARIANTS 16

enum trial_work {
	TRIAL_DRAIN, /* messages of 64 bytes come in batches and are drained in place */
	TRIAL_COPY,  /* messages of 8 to 64 bytes are sent and received one by one, by copy */
	TRIAL_TRIP   /* a message of 64 bytes, two lines with its header, there and back */
};

struct trial {
	const char *variant;  /* of the ring */
	const char *variable; /* that is set to this value; NULL: none */
	uint32_t value;
	enum trial_work work;
	uint64_t duration_ns; /* to measure for */
	int cpus[2];          /* of the two threads */
};

struct trial_outcome {
	double message_ns; /* a message, or a round trip */
	double floor_ns;   /* a cache line there and back, between the same two threads */
};

/* 0, or a negative errno with a complaint. */
int trial_run(const struct trial *trial, struct trial_outcome *outcome);

/* The ring variants that are usable here, and the numbers that each brings along. */
struct trial_variant {
	char name[32];
	uint32_t prefetch, inline_copy, pause_ns;
};

/* How many there are, or a negative errno with a complaint. */
int trial_variants(struct trial_variant variants[TRIAL_VARIANTS]);

#endif
