/*
 * SPDX-License-Identifier: MIT
 *
 * Tables: of at most 100 columns, the floor's row first wherever there is one.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>

#include "report.h"
#include "table.h"

static void table_ratio(double ratio)
{
	if (isnan(ratio))
		printf(" %6s", "-");
	else
		printf(ratio < 99.95 ? " %6.2f" : " %6.0f", ratio);
}

/* "peal", "peal x64": what a row is of, and how it waits. */
static void table_name(const struct row *row, int width)
{
	char name[2 * REPORT_TEXT];

	snprintf(name, sizeof(name), row->batch > 1 ? "%s x%u" : "%s", row->transport->name,
		 row->batch);
	printf("%-*s %-8s", width, name, wait_name(row->wait));
}

static void table_times(const struct row *row)
{
	const double times[] = { row->p50, row->p99, row->p999, row->p9999, row->max };
	char text[REPORT_TEXT];

	for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		printf(" %7s", report_time(text, times[i]));
}

static void table_trips_head(void)
{
	printf("%-9s %-8s %7s %7s %7s %7s %7s %7s %6s %6s %6s\n", "transport", "wait", "p50", "p99",
	       "p99.9", "p99.99", "max", "msgs/s", "/floor", "/bare", "rounds");
}

static void table_trips(const struct row *row)
{
	char rate[REPORT_TEXT];

	table_name(row, 9);
	table_times(row);
	printf(" %7s", report_count(rate, row->rate.median));
	table_ratio(row->to_floor.median);
	table_ratio(row->to_bare.median);
	printf(" %4u/%u\n", row->kept, row->dropped);
}

static void table_stream_head(void)
{
	printf("%-13s %-8s %7s %18s %7s %9s %9s %6s %6s\n", "transport", "wait", "msgs/s",
	       "lowest to highest", "GB/s", "CPU send", "CPU recv", "/bare", "rounds");
}

static void table_stream(const struct row *row)
{
	char rate[REPORT_TEXT], low[REPORT_TEXT], high[REPORT_TEXT],
		range[2 * REPORT_TEXT + 4] = "-";
	char sender[REPORT_TEXT], receiver[REPORT_TEXT];

	if (row->kept)
		snprintf(range, sizeof(range), "%s to %s", report_count(low, row->rate.low),
			 report_count(high, row->rate.high));
	table_name(row, 13);
	printf(" %7s %18s", report_count(rate, row->rate.median), range);
	if (row->test == TEST_FLOOR || !row->kept)
		printf(" %7s %9s %9s", "-", "-", "-");
	else
		printf(" %7.3f %9s %9s", row->rate.median * (double)row->size / 1e9,
		       report_time(sender, row_cpu_ns(row, row_sender(row))),
		       report_time(receiver, row_cpu_ns(row, row_receiver(row))));
	table_ratio(row->to_bare.median);
	printf(" %4u/%u\n", row->kept, row->dropped);
}

static void table_rate_head(void)
{
	printf("%-9s %-8s %7s %7s %7s %7s %7s %7s %6s %8s %8s %6s\n", "transport", "wait", "p50",
	       "p99", "p99.9", "p99.99", "max", "msgs/s", "late", "CPU send", "CPU recv", "rounds");
}

static void table_rate(const struct row *row)
{
	char rate[REPORT_TEXT], late[REPORT_TEXT] = "-", sender[REPORT_TEXT], receiver[REPORT_TEXT];

	table_name(row, 9);
	table_times(row);
	if (row->test == TEST_RATE && row->messages)
		snprintf(late, sizeof(late), "%.1f %%", row_late(row) * 100);
	printf(" %7s %6s", report_count(rate, row->rate.median), late);
	if (row->test == TEST_RATE)
		printf(" %8s %8s", report_time(sender, row_cpu_ns(row, row_sender(row))),
		       report_time(receiver, row_cpu_ns(row, row_receiver(row))));
	else
		printf(" %8s %8s", "-", "-");
	printf(" %4u/%u\n", row->kept, row->dropped);
}

/* What each test's table looks like. */
static const struct {
	void (*head)(void);
	void (*row)(const struct row *row);
} tables[TESTS] = {
	[TEST_FLOOR] = { table_trips_head, table_trips },
	[TEST_LATENCY] = { table_trips_head, table_trips },
	[TEST_STREAM] = { table_stream_head, table_stream },
	[TEST_RATE] = { table_rate_head, table_rate },
};

/* The cores' width while a test ran. */
static void table_width(const struct row *floor)
{
	const struct figure *width;

	if (!floor || !floor->kept)
		return;
	width = floor->width;
	printf("core width (additions a cycle, and its range): %.1f (%.1f to %.1f) and "
	       "%.1f (%.1f to %.1f)\n",
	       width[0].median, width[0].low, width[0].high, width[1].median, width[1].low,
	       width[1].high);
}

/* What a look at a set costs that has nothing. */
static void table_empty_poll(const struct row *row)
{
	if (row->transport == &transport_set && row->kept)
		printf("peal-set, %s: %u link%s; an empty poll takes %.2f ns a link (%.2f to %.2f)\n",
		       wait_name(row->wait), row->links, row->links == 1 ? "" : "s",
		       row->empty_poll.median, row->empty_poll.low, row->empty_poll.high);
}

void table_print(const struct results *results, const struct options *options)
{
	const struct row *test_floor = NULL;
	enum test_id test = TEST_FLOOR;
	bool none = false;
	unsigned first = 0;
	char cpus[REPORT_TITLE];

	printf("%s, %s; times are %s\n\n", report_cpus(options, cpus),
	       options->threads ? "two threads" : "two processes",
	       options->rate_count ? "from when a message was to be sent" : "round trips");
	for (unsigned i = 0; i < results->count; i++) {
		const struct row *row = results->rows[i];
		bool last = i + 1 == results->count;
		const struct row *next = results->rows[last ? i : i + 1];

		if (row->test == TEST_FLOOR) {
			char title[REPORT_TITLE];

			test_floor = row;
			test = next->test;
			if (i)
				printf("\n");
			if (!last)
				printf("%s\n",
				       report_title(title, next->test, next->size, next->pace));
			tables[test].head();
		}
		tables[test].row(row);
		if (row->test == TEST_FLOOR)
			first = i;
		if (last || next->test == TEST_FLOOR) {
			table_width(test_floor);
			for (unsigned j = first; j <= i; j++)
				table_empty_poll(results->rows[j]);
		}
		none = none || (!row->kept && row->dropped);
	}
	printf("\nrounds: kept/dropped");
	if (test == TEST_RATE)
		printf("; late: sent more than 10 us after its time, by a sender that could not sooner");
	else
		printf("; ratios are medians over those kept, of %s",
		       test == TEST_STREAM ? "rates" : "p50");
	if (test == TEST_RATE || test == TEST_STREAM)
		printf(";\nCPU: for a message%s",
		       test == TEST_RATE ?
			       ", of the sender, which spins before each, and of the receiver" :
			       "");
	printf("\n");
	report_runtime();
	if (options->barrier != BARRIER_AUTO)
		printf("Peal's sleepers were told to use the barrier %s.\n",
		       barrier_name(options->barrier));
	if (options->huge != HUGE_UNSAID)
		printf("Peal's rings were told to have huge pages: %s.\n",
		       huge_name(options->huge));
	if (options->no_prefault)
		printf("Peal's memory was not touched before its first use.\n");
	if (options->word)
		printf("Of each payload the first word alone was written and checked (--payload word).\n");
	if (none)
		printf("Where no round was kept the machine was too restless: the floor moved by more "
		       "than 15 %%\nwithin each of them. Try again, with more --rounds, or when it is "
		       "idle.\n");
	if (results->interrupted)
		printf("Interrupted: this is what there was.\n");
}
