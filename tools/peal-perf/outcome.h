/*
 * SPDX-License-Identifier: MIT
 *
 * Outcomes: what is kept of each row, whatever it is of, for what is made of all rows together:
 * files of percentiles, plots, and comparisons with another run. It measures nothing.
 */
#ifndef PEAL_PERF_OUTCOME_H
#define PEAL_PERF_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "clients.h"
#include "options.h"
#include "results.h"

struct outcome {
	/* What it is of. The texts are static. */
	const char *test, *transport, *wait;
	uint64_t size;
	uint64_t rate; /* asked for, a second; 0: none was */
	unsigned batch, links;
	unsigned clients; /* of a server; else 0 */
	bool zero_copy;
	bool word; /* --payload */

	/* What was found. */
	bool timed;        /* by round trips, of which fewer ns are better; else by rates */
	unsigned rounds;   /* kept */
	double *values;    /* of each: the median in ns, or messages a second; NAN: nothing */
	double *floors;    /* of each, in ns; NAN: nothing */
	double msgs_per_s; /* median */
	double cpu_ns;     /* of the receiver, or server, for a message; NAN: nothing */
	struct histogram *histogram; /* in ticks; NULL: not wanted, or nothing was timed */
};

struct outcomes {
	struct outcome *list;
	unsigned count;
	bool histograms; /* are wanted */
};

/* 0, or -ENOMEM with a complaint. The row may go afterwards. */
int outcomes_add(struct outcomes *outcomes, const struct row *row);
int outcomes_add_clients(struct outcomes *outcomes, const struct clients_row *row);

void outcomes_free(struct outcomes *outcomes);

/* "latency-peal-spin-64": what it is of, for names, in text, which is returned. */
#define OUTCOME_TEXT 128
char *outcome_name(char *text, const struct outcome *outcome);

#endif
