/*
 * SPDX-License-Identifier: MIT
 *
 * peal-info: what a bug report needs in one paste. It prints what the library found on this
 * machine, which table it picked for each job, and why not a better one; or what a handshake with
 * a server would agree on; as text for people or as one JSON object for scripts. This file is the
 * command line.
 */
#include "config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calibrate.h"
#include "peer.h"
#include "report.h"
#include "tools/standard.h"

#define TOOL "peal-info"

#define EXIT_OUTPUT 1
#define EXIT_IN_VAIN 2
#define EXIT_USAGE 64 /* EX_USAGE of sysexits.h */

#define TIMEOUT_S 5

static void print_help(void)
{
	puts("Usage: peal-info [OPTION]...\n"
	     "Print what Peal found on this machine, what it picked for each job, and why: what a\n"
	     "bug report needs. Of the environment it shows the PEAL_* variables; no names of the\n"
	     "host or of users.\n"
	     "\n"
	     "  --check-peer ADDRESS  connect to a server, as a client with default options does,\n"
	     "                        and print what the two agreed on, or why they did not\n"
	     "  --timeout SECONDS     for --check-peer to connect within (5), up to 3600\n"
	     "  --calibrate           measure what a ring does best with here, and print what to\n"
	     "                        set; two CPUs are busy for some seconds\n"
	     "  --rounds NUMBER       of --calibrate (7), from 3 to 1000\n"
	     "  --duration SECONDS    of each measurement in a round (0.05), 0.001 to 10\n"
	     "  --json                print one JSON object (docs/peal-info.schema.json)\n"
	     "  --help                print this\n"
	     "  --version             print the version\n"
	     "\n"
	     "PEAL_RING_VARIANT, PEAL_WAITER, PEAL_HUGEPAGES, PEAL_SPIN_NS, PEAL_PREFETCH,\n"
	     "PEAL_INLINE_COPY, PEAL_BULK_COPY, PEAL_EVICT, PEAL_PAUSE_NS, PEAL_SAMPLE and\n"
	     "PEAL_LOG override what Peal picks by itself; peal-info shows what comes of it.\n"
	     "\n"
	     "Exit code: 0; 1 if the output cannot be written; 2 if --check-peer got no link, or\n"
	     "--calibrate could not measure; 64 for a bad command line.");
	standard_help_end(TOOL);
}

static int finish(int status)
{
	return standard_finish(TOOL, status, EXIT_OUTPUT);
}

static int refuse(const char *what, const char *value)
{
	fprintf(stderr, TOOL ": %s \"%s\"\n", what, value);
	return standard_usage(TOOL, EXIT_USAGE);
}

/* A number of the command line. */
static bool take_number(const char *text, double least, double most, double *number)
{
	char *end;

	*number = strtod(text, &end);
	return end != text && !*end && *number >= least && *number <= most;
}

struct wishes {
	bool json, calibrate;
	const char *address;                /* to check a peer at; NULL: none */
	const char *of_peer, *of_calibrate; /* an option that only makes sense with it */
	double timeout, rounds, duration;
};

/* Options with a number behind them. */
static const struct numeric {
	const char *name, *said;
	double least, most;
	size_t number, only; /* where in struct wishes */
} numeric[] = {
	{ "--timeout", "not 0 to 3600 seconds behind --timeout:", 0, 3600,
	  offsetof(struct wishes, timeout), offsetof(struct wishes, of_peer) },
	{ "--rounds", "not 3 to 1000 behind --rounds:", 3, CALIBRATE_ROUNDS_MAX,
	  offsetof(struct wishes, rounds), offsetof(struct wishes, of_calibrate) },
	{ "--duration", "not 0.001 to 10 seconds behind --duration:", 0.001, 10,
	  offsetof(struct wishes, duration), offsetof(struct wishes, of_calibrate) },
};

/* Takes an option with its number, which is the next argument. 0, or an exit code; -1: there is no
 * such option. */
static int take_numeric(struct wishes *wishes, const char *option, const char *text)
{
	for (size_t i = 0; i < sizeof(numeric) / sizeof(numeric[0]); i++) {
		const struct numeric *it = &numeric[i];

		if (strcmp(option, it->name) != 0)
			continue;
		*(const char **)(void *)((char *)wishes + it->only) = it->name;
		if (text && take_number(text, it->least, it->most,
					(double *)(void *)((char *)wishes + it->number)))
			return 0;
		return refuse(it->said, text ? text : "");
	}
	return -1;
}

static int serve(const struct wishes *wishes)
{
	if (wishes->address && wishes->calibrate)
		return refuse("one at a time, not --calibrate with", "--check-peer");
	if (wishes->of_peer && !wishes->address)
		return refuse("only --check-peer takes", wishes->of_peer);
	if (wishes->of_calibrate && !wishes->calibrate)
		return refuse("only --calibrate takes", wishes->of_calibrate);
	if (wishes->address)
		return finish(peer_check(wishes->address, (int64_t)(wishes->timeout * 1e9),
					 wishes->json) ?
				      0 :
				      EXIT_IN_VAIN);
	if (wishes->calibrate)
		return finish(calibrate((unsigned)wishes->rounds,
					(uint64_t)(wishes->duration * 1e9), wishes->json) ?
				      0 :
				      EXIT_IN_VAIN);
	if (wishes->json)
		report_json();
	else
		report_print();
	return finish(0);
}

int main(int argc, char **argv)
{
	struct wishes wishes = { .timeout = TIMEOUT_S,
				 .rounds = CALIBRATE_ROUNDS,
				 .duration = CALIBRATE_NS / 1e9 };

	for (int i = 1; i < argc; i++) {
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;
		int status;

		if (!strcmp(argv[i], "--json")) {
			wishes.json = true;
		} else if (!strcmp(argv[i], "--help")) {
			print_help();
			return finish(0);
		} else if (!strcmp(argv[i], "--version")) {
			standard_version(TOOL);
			return finish(0);
		} else if (!strcmp(argv[i], "--calibrate")) {
			wishes.calibrate = true;
		} else if (!strcmp(argv[i], "--check-peer")) {
			if (!next)
				return refuse("an address is missing behind", argv[i]);
			wishes.address = argv[++i];
		} else {
			status = take_numeric(&wishes, argv[i], next);
			if (status > 0)
				return status;
			if (status < 0)
				return refuse(argv[i][0] == '-' ? "unknown option" :
								  "unknown argument",
					      argv[i]);
			i++;
		}
	}
	return serve(&wishes);
}
