/*
 * SPDX-License-Identifier: MIT
 *
 * Servers and clients: what a server of many clients costs them, and the machine. The driver starts
 * a server and processes of clients for each slice, in rounds in which the transports take turns.
 */
#ifndef PEAL_PERF_CLIENTS_H
#define PEAL_PERF_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"
#include "holdings.h"
#include "options.h"
#include "orders.h"
#include "results.h"
#include "fields.h"

/* The sub-commands. */
enum clients_test {
	CLIENTS_CONNECT, /* they come, ask once, and go: all at once, or at a rate */
	CLIENTS_CHURN,   /* likewise, in turn, and what that leaves behind */
	CLIENTS_SERVE,   /* requests at a rate */
	CLIENTS_CLOSED,  /* requests, each as soon as the one before is answered */
	CLIENTS_IDLE,    /* nothing */
	CLIENTS_BESIDE,  /* one is busy, the others are not */
	CLIENTS_TESTS
};

/* What a round finds; NAN: nothing. */
enum clients_figure {
	FIGURE_RATE,        /* requests a second */
	FIGURE_P50,         /* ticks */
	FIGURE_P99,         /* ticks */
	FIGURE_CPU,         /* of the server for a request, s */
	FIGURE_MEMORY,      /* of the server for a client, bytes */
	FIGURE_RESIDENT,    /* likewise */
	FIGURE_DESCRIPTORS, /* of the server for a client */
	FIGURE_MAPPINGS,    /* likewise */
	/* The same by that of the Unix socket in the same round. */
	FIGURE_P50_TO_UDS,
	FIGURE_P99_TO_UDS,
	FIGURE_CPU_TO_UDS,
	FIGURE_MEMORY_TO_UDS,
	/* By that of the busy client alone in the same round. */
	FIGURE_P50_TO_ALONE,
	FIGURES
};

/* What is found of one transport, waiting in one way. */
struct clients_row {
	enum clients_test test;
	const struct transport *transport;
	enum wait_mode wait;
	uint64_t size, ring;
	uint64_t rate; /* a second; 0: none was given */
	unsigned clients;
	bool alone;          /* BESIDE: without the idle ones */
	bool one_descriptor; /* as in struct setup */

	unsigned rounds;
	double *values[FIGURES]; /* a round's each */
	uint64_t count;
	struct failures failures;
	uint64_t sleeps; /* of the server */
	struct usage server, client;
	struct histogram histogram;    /* ticks */
	struct holdings before, after; /* CHURN: in the last round */
	bool grouped;                  /* memory was told by a control group */
};

const char *clients_name(enum clients_test test);

/* Of a row's rounds; NAN if there is nothing. */
struct figure clients_figure(const struct clients_row *row, enum clients_figure which);

/* What each sub-command takes if nothing is said. */
void clients_connect_defaults(struct options *options);
void clients_churn_defaults(struct options *options);
void clients_serve_defaults(struct options *options);
void clients_closed_defaults(struct options *options);
void clients_matrix_defaults(struct options *options);
void clients_idle_defaults(struct options *options);
void clients_beside_defaults(struct options *options);

/* Each measures and prints, as the options say; the exit code, with a sentence on stderr if it is
 * not 0. */
int clients_connect(const struct options *options);
int clients_churn(const struct options *options);
int clients_serve(const struct options *options);
int clients_closed(const struct options *options);
int clients_matrix(const struct options *options);
int clients_idle(const struct options *options);
int clients_beside(const struct options *options);

/* The report of rows that were measured in the same rounds; its beginning and its end in text. */
void clients_row_fields(struct fields *fields, const struct clients_row *row,
			const struct options *options);
void clients_print_head(const struct clients_row *row, const struct options *options);
void clients_print_row(const struct clients_row *row);
void clients_print_foot(enum clients_test test, bool grouped);

#endif
