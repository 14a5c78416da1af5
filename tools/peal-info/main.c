/*
 * SPDX-License-Identifier: MIT
 *
 * peal-info: what a bug report needs in one paste. It prints what the library found on this
 * machine, which table it picked for each job, and why not a better one; or what a handshake with
 * a server would agree on; as text for people or as one JSON object for scripts. This file is the
 * command line.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peal.h>

#include "peer.h"
#include "report.h"

#define EXIT_OUTPUT 1
#define EXIT_NO_LINK 2
#define EXIT_USAGE 64 /* EX_USAGE of sysexits.h */

#define TIMEOUT_S 5
#define TIMEOUT_MAX_S 3600

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
	     "  --json                print one JSON object (docs/peal-info.schema.json)\n"
	     "  --help                print this\n"
	     "  --version             print the version\n"
	     "\n"
	     "PEAL_RING_VARIANT, PEAL_WAITER, PEAL_HUGEPAGES, PEAL_SPIN_NS, PEAL_PREFETCH,\n"
	     "PEAL_INLINE_COPY and PEAL_LOG override what Peal picks by itself; peal-info shows what\n"
	     "comes of it.\n"
	     "\n"
	     "Exit code: 0; 1 if the output cannot be written; 2 if --check-peer got no link;\n"
	     "64 for a bad command line.");
}

static void print_version(void)
{
	printf("peal-info (Peal) %s\n"
	       "Copyright (c) 2026 The Peal authors\n"
	       "License MIT: <https://spdx.org/licenses/MIT.html>\n"
	       "There is no warranty, as far as the law permits.\n",
	       peal_runtime_version());
}

/* A report that was cut short must not pass for a whole one. */
static int finish(int status)
{
	bool failed = ferror(stdout) != 0;

	errno = 0;
	if (fclose(stdout))
		failed = true;
	if (!failed)
		return status;
	fprintf(stderr, "peal-info: the output could not be written%s%s\n", errno ? ": " : "",
		errno ? strerror(errno) : "");
	return EXIT_OUTPUT;
}

static int refuse(const char *what, const char *value)
{
	fprintf(stderr, "peal-info: %s \"%s\": try --help\n", what, value);
	return EXIT_USAGE;
}

/* Seconds as a timeout in ns; negative: they are none. */
static int64_t take_timeout(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0 && seconds <= TIMEOUT_MAX_S))
		return -1;
	return (int64_t)(seconds * 1e9);
}

int main(int argc, char **argv)
{
	int64_t timeout = (int64_t)TIMEOUT_S * 1000000000;
	const char *address = NULL;
	bool json = false, timed = false;

	for (int i = 1; i < argc; i++) {
		bool last = i + 1 == argc;

		if (!strcmp(argv[i], "--json")) {
			json = true;
		} else if (!strcmp(argv[i], "--help")) {
			print_help();
			return finish(0);
		} else if (!strcmp(argv[i], "--version")) {
			print_version();
			return finish(0);
		} else if (!strcmp(argv[i], "--check-peer")) {
			if (last)
				return refuse("an address is missing behind", argv[i]);
			address = argv[++i];
		} else if (!strcmp(argv[i], "--timeout")) {
			timed = true;
			timeout = last ? -1 : take_timeout(argv[++i]);
			if (timeout < 0)
				return refuse("not 0 to 3600 seconds behind --timeout:", argv[i]);
		} else {
			return refuse(argv[i][0] == '-' ? "unknown option" : "unknown argument",
				      argv[i]);
		}
	}
	if (timed && !address)
		return refuse("nothing to be timed without --check-peer:", "--timeout");
	if (address)
		return finish(peer_check(address, timeout, json) ? 0 : EXIT_NO_LINK);
	if (json)
		report_json();
	else
		report_print();
	return finish(0);
}
