/*
 * SPDX-License-Identifier: MIT
 *
 * A client for tests of peal-top: sends as much as it is told to and says what it has counted
 * itself.
 *
 * Usage: visitor ADDRESS NAME LINKS, with these in standard input, a line each, for each link:
 *   exchange COUNT SIZE   messages, each of which is answered
 *   flood SIZE            messages, without reading an answer, until none goes any more
 *   close
 * After each it prints "done LINKS RX-MESSAGES RX-BYTES TX-MESSAGES TX-BYTES" of all links. At the
 * end of the input it ends.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peal.h>

#define LONG INT64_C(30000000000)
#define STUCK INT64_C(200000000)
#define LINKS_MAX 2000

static struct peal_link *links[LINKS_MAX];
static unsigned count;
static char text[65536], answer[65536];

static void fail(const char *what)
{
	fprintf(stderr, "visitor: %s: %s\n", what, peal_error());
	exit(1);
}

static void exchange(struct peal_link *link, unsigned long times, size_t size)
{
	for (unsigned long i = 0; i < times; i++) {
		if (peal_send(peal_link_tx(link), text, size, 0, LONG))
			fail("sending");
		if (peal_recv(peal_link_rx(link), answer, sizeof(answer), NULL, LONG) !=
		    (ssize_t)size)
			fail("receiving");
	}
}

static void flood(struct peal_link *link, size_t size)
{
	while (!peal_send(peal_link_tx(link), text, size, 0, STUCK))
		;
}

static void report(void)
{
	unsigned long long sums[4] = { 0 };

	for (unsigned i = 0; i < count; i++) {
		struct peal_stats stats = { .size = sizeof(stats) };

		if (peal_link_stats(links[i], &stats))
			fail("counters");
		sums[0] += stats.rx.messages;
		sums[1] += stats.rx.bytes;
		sums[2] += stats.tx.messages;
		sums[3] += stats.tx.bytes;
	}
	printf("done %u %llu %llu %llu %llu\n", count, sums[0], sums[1], sums[2], sums[3]);
	fflush(stdout);
}

static void obey(const char *line)
{
	unsigned long times, size;

	if (sscanf(line, "exchange %lu %lu", &times, &size) == 2 && size <= sizeof(text)) {
		for (unsigned i = 0; i < count; i++)
			exchange(links[i], times, size);
	} else if (sscanf(line, "flood %lu", &size) == 1 && size <= sizeof(text)) {
		for (unsigned i = 0; i < count; i++)
			flood(links[i], size);
	} else if (!strncmp(line, "close", 5)) {
		while (count)
			peal_close(links[--count]);
	}
	report();
}

int main(int argc, char **argv)
{
	struct peal_options options;
	char line[128];

	peal_options_init(&options);
	options.ring = 16384;
	options.wait = PEAL_WAIT_SLEEP;
	if (argc != 4 || strtoul(argv[3], NULL, 10) > LINKS_MAX)
		return 2;
	options.name = argv[2];
	while (count < strtoul(argv[3], NULL, 10)) {
		if (peal_connect(&links[count], argv[1], &options, LONG))
			fail("connecting");
		count++;
	}
	report();
	while (fgets(line, sizeof(line), stdin))
		obey(line);
	while (count)
		peal_close(links[--count]);
	return 0;
}
