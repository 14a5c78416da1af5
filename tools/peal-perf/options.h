/*
 * SPDX-License-Identifier: MIT
 *
 * Options: what the command line asks for, checked as far as that goes without measuring.
 */
#ifndef PEAL_PERF_OPTIONS_H
#define PEAL_PERF_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "transport.h"

#define OPTIONS_SIZES 32
#define OPTIONS_TRANSPORTS 48
#define OPTIONS_RATES 16
#define OPTIONS_BATCHES 8
#define OPTIONS_CLIENTS 16

#define OPTIONS_CLIENTS_RING ((uint64_t)16 << 10) /* each of many clients has two */

#define EXIT_OUTPUT 1
#define EXIT_USAGE 64

#define CPUS_ANY (-1)

struct options {
	uint64_t sizes[OPTIONS_SIZES];
	unsigned size_count;
	uint64_t rates[OPTIONS_RATES]; /* messages a second */
	unsigned rate_count;           /* 0: none was given */
	const struct transport *transports[OPTIONS_TRANSPORTS];
	unsigned transport_count;
	bool sizes_named, ring_named;
	bool transports_named;             /* rather than all by default */
	unsigned batches[OPTIONS_BATCHES]; /* messages at a time */
	unsigned batch_count;
	unsigned waits; /* 1 << each of enum wait_mode; 0: each transport's own */
	enum barrier_mode barrier;
	enum huge_mode huge;
	bool no_prefault;
	unsigned links;                    /* of a set; 0: nothing was said of sets */
	unsigned clients[OPTIONS_CLIENTS]; /* of a server */
	unsigned clients_count;            /* 0: this is not about a server of many */
	bool clients_named;
	uint64_t count; /* visits; 0: nothing was said of them */
	double seconds; /* of a slice with clients; 0: the command's own */
	uint64_t ring;
	unsigned rounds;     /* 0: as many as the duration needs, at least 10 */
	double duration_s;   /* measured time per size; 0: the command's own */
	int cpus[2];         /* CPUS_ANY: wherever the sides are put */
	const char *sharing; /* what the two have in common, by name; NULL: that is not told */
	bool cpus_named;
	bool word; /* of payloads the first word alone is written and checked */
	bool threads, zero_copy, json, csv;
	const char *histogram, *plot, *compare; /* paths of files; NULL: not wanted */
	bool help, version;
};

/* Sets what most sub-commands do if nothing is said. */
void options_default(struct options *options);

/*
 * Reads what follows the sub-command, and finds CPUs if none are given. 0, or EXIT_USAGE after a
 * sentence on stderr that names the value, the limit and the mend.
 */
int options_parse(struct options *options, int argc, char **argv);

/* The one of count names that is nearest to a word; NULL if none is near. */
const char *options_nearest(const char *word, const char *const *names, unsigned count);

/* Prints the options for --help. */
void options_help(void);

/* "64", "1k", "2m": a size as options take it. Returns text. */
#define OPTIONS_SIZE_TEXT 24
char *options_size_text(char *text, uint64_t size);

/* "500", "10k", "1m": likewise a rate, by thousands. */
char *options_rate_text(char *text, uint64_t rate);

#endif
