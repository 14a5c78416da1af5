/*
 * SPDX-License-Identifier: MIT
 *
 * The demonstration: latency and stream side by side, and a histogram of the round trips of Peal
 * beside those of a Unix socket.
 */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <peal/runtime.h>

#include "demo.h"
#include "report.h"

#define PICTURE_SIZE 64
#define PICTURE_ROWS 20
#define BAR_WIDTH 28

void demo_defaults(struct options *options)
{
	unsigned kept = 0;

	/* The yardsticks, and what wakes how soon, are for those who work on Peal. */
	for (unsigned i = 0; i < options->transport_count; i++) {
		const struct transport *transport = options->transports[i];

		if (transport == &transport_peal || transport == &transport_uds ||
		    transport == &transport_seqpacket)
			options->transports[kept++] = transport;
	}
	options->transport_count = kept;
}

static void print_row(const struct results *results, const struct row *row, const char *size)
{
	const struct row *stream = results_find(results, TEST_STREAM, row->transport, row->wait,
						row->size);
	char p50[REPORT_TEXT], p99[REPORT_TEXT], p999[REPORT_TEXT], max[REPORT_TEXT];
	char rate[REPORT_TEXT] = "-", bytes[REPORT_TEXT] = "-";

	if (stream && row->test != TEST_FLOOR) {
		report_count(rate, stream->rate.median);
		report_count(bytes, stream->rate.median * (double)row->size);
	}
	printf("%7s  %-9s  %-8s  %8s  %8s  %8s  %8s   %10s  %9s\n", size, row->transport->name,
	       row->test == TEST_FLOOR ? "" : wait_name(row->wait), report_time(p50, row->p50),
	       report_time(p99, row->p99), report_time(p999, row->p999), report_time(max, row->max),
	       rate, bytes);
}

/* How full of eight a character's cell is, in UTF-8. */
static const char *block(unsigned eighths)
{
	static const char *const blocks[] = { " ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█" };

	return blocks[eighths];
}

static void print_bar(uint64_t count, uint64_t most)
{
	unsigned eighths = most ? (unsigned)(count * 8 * BAR_WIDTH / most) : 0;

	/* What there is shows, however little. */
	if (count && !eighths)
		eighths = 1;
	for (unsigned i = 0; i < BAR_WIDTH; i++) {
		unsigned here = eighths > 8 ? 8 : eighths;

		fputs(block(here), stdout);
		eighths -= here;
	}
}

static double log_step(double from, double to, unsigned step)
{
	return from * pow(to / from, (double)step / PICTURE_ROWS);
}

static void print_picture(const struct row *const rows[2])
{
	const double ns = 1 / peal_ticks_per_ns();
	uint64_t counts[2][PICTURE_ROWS], most[2] = { 0, 0 };
	double from = INFINITY, to = 0;

	for (int i = 0; i < 2; i++) {
		from = fmin(from, histogram_percentile(&rows[i]->histogram, 0.001));
		to = fmax(to, histogram_percentile(&rows[i]->histogram, 0.997));
	}
	from = fmax(from, 1);
	to = fmax(to, from * 2);
	for (int i = 0; i < 2; i++) {
		uint64_t before = 0;

		for (unsigned j = 0; j < PICTURE_ROWS; j++) {
			uint64_t below = j + 1 < PICTURE_ROWS ?
						 histogram_below(&rows[i]->histogram,
								 log_step(from, to, j + 1)) :
						 rows[i]->histogram.count;

			counts[i][j] = below - before;
			before = below;
			if (counts[i][j] > most[i])
				most[i] = counts[i][j];
		}
	}

	printf("\nRound trips of %d bytes: how many took how long\n", PICTURE_SIZE);
	printf("%9s   %-9s %-*s    %-9s %s\n", "from", rows[0]->transport->name, BAR_WIDTH - 3,
	       wait_name(rows[0]->wait), rows[1]->transport->name, wait_name(rows[1]->wait));
	for (unsigned j = 0; j < PICTURE_ROWS; j++) {
		char text[REPORT_TEXT];

		printf("%9s ", report_time(text, log_step(from, to, j) * ns));
		for (int i = 0; i < 2; i++) {
			double share = (double)counts[i][j] * 100 /
				       (double)rows[i]->histogram.count;

			fputs(" ", stdout);
			print_bar(counts[i][j], most[i]);
			if (counts[i][j])
				printf(share < 0.05 ? "  <0.1 %%" : " %5.1f %%", share);
			else
				printf("%8s", "");
		}
		printf("\n");
	}
}

void demo_print(const struct results *results, const struct options *options)
{
	const struct row *picture[2] = {
		results_find(results, TEST_LATENCY, &transport_peal, WAIT_SPIN, PICTURE_SIZE),
		results_find(results, TEST_LATENCY, &transport_uds, WAIT_SLEEP, PICTURE_SIZE),
	};
	unsigned kept = 0, dropped = 0;
	char cpus[REPORT_TITLE];

	printf("Peal %s, %s, between %s\n\n", peal_runtime_version(), report_fact("cpu", "model"),
	       report_cpus(options, cpus));
	printf("%29s  %-38s  %s\n", "", "------------ round trip ------------",
	       "------ one way ------");
	printf("%7s  %-9s  %-8s  %8s  %8s  %8s  %8s   %10s  %9s\n", "bytes", "", "waiting", "p50",
	       "p99", "p99.9", "max", "messages/s", "bytes/s");
	for (unsigned i = 0; i < results->count; i++) {
		const struct row *row = results->rows[i];
		bool last = i + 1 == results->count;
		bool floor = row->test == TEST_FLOOR;
		char size[OPTIONS_SIZE_TEXT] = "";

		if (floor) {
			kept += row->kept;
			dropped += row->dropped;
		}
		/* A stream's rows stand beside those of latency, and its floor with them. */
		if (row->test == TEST_STREAM ||
		    (floor && (last || results->rows[i + 1]->test != TEST_LATENCY)))
			continue;
		if (floor)
			printf("\n");
		print_row(results, row, floor ? options_size_text(size, row->size) : "");
	}
	if (picture[0] && picture[1] && picture[0]->kept && picture[1]->kept)
		print_picture(picture);
	printf("\nfloor: two cache lines between these two cores, which nothing can beat. %u rounds kept,"
	       " %u dropped\nbecause the floor itself moved.\n",
	       kept, dropped);
	report_runtime();
	if (results->interrupted)
		printf("Interrupted: this is what there was.\n");
}
