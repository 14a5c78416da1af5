/*
 * SPDX-License-Identifier: MIT
 *
 * Reports. The JSON's schema is a contract with whoever reads it: members are added, never changed
 * or taken away.
 *
 * In latency a message is a round trip: msgs_per_s tells how many there were in a second. In rate
 * times are from when a message was to be sent until the receiver had it.
 */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <peal/runtime.h>

#include "report.h"

#define SCHEMA 1

char *report_time(char *text, double ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	unsigned unit = 0;

	if (isnan(ns)) {
		snprintf(text, REPORT_TEXT, "-");
		return text;
	}
	while (fabs(ns) >= 999.5 && unit < 3) {
		ns /= 1000;
		unit++;
	}
	snprintf(text, REPORT_TEXT, "%.*f %s",
		 unit && fabs(ns) < 99.95 ? (fabs(ns) < 9.995 ? 2 : 1) : 0, ns, units[unit]);
	return text;
}

char *report_count(char *text, double count)
{
	static const char *const units[] = { "", " k", " M", " G" };
	unsigned unit = 0;

	if (isnan(count)) {
		snprintf(text, REPORT_TEXT, "-");
		return text;
	}
	while (count >= 999.5 && unit < 3) {
		count /= 1000;
		unit++;
	}
	snprintf(text, REPORT_TEXT, "%.*f%s", unit && count < 99.95 ? (count < 9.995 ? 2 : 1) : 0,
		 count, units[unit]);
	return text;
}

char *report_title(char *text, enum test_id test, uint64_t size, uint64_t rate)
{
	char size_text[OPTIONS_SIZE_TEXT], rate_text[OPTIONS_SIZE_TEXT];

	options_size_text(size_text, size);
	options_rate_text(rate_text, rate);
	if (rate)
		snprintf(text, REPORT_TITLE, "%s of %s a second, %s bytes", test_name(test),
			 rate_text, size_text);
	else
		snprintf(text, REPORT_TITLE, "%s of %s bytes", test_name(test), size_text);
	return text;
}

const char *report_picked(const char *job)
{
	struct peal_choice choice;

	for (unsigned i = 0; !peal_runtime_choice(i, &choice); i++)
		if (choice.picked && !strcmp(choice.job, job))
			return choice.name;
	return "none";
}

const char *report_fact(const char *group, const char *name)
{
	struct peal_fact fact;

	for (unsigned i = 0; !peal_runtime_fact(i, &fact); i++)
		if (!strcmp(fact.group, group) && !strcmp(fact.name, name))
			return fact.value;
	return "unknown";
}

/* Every ring begins with fences, and changes to asymmetric ones by itself where they can be had. */
static const char *barrier_picked(void)
{
	struct peal_choice choice;

	for (unsigned i = 0; !peal_runtime_choice(i, &choice); i++)
		if (!strcmp(choice.job, "barrier") && choice.usable && !choice.picked)
			return "by ring";
	return report_picked("barrier");
}

void report_runtime(void)
{
	printf("The runtime picked: ring %s, waiter %s, memory %s, barrier %s.\n",
	       report_picked("ring"), report_picked("waiter"), report_picked("memory"),
	       barrier_picked());
}

/* Whether a fact's group, or its name within the group, came before. */
static bool fact_is_first(unsigned index, const struct peal_fact *fact, bool of_group)
{
	struct peal_fact earlier;

	for (unsigned i = 0; i < index && !peal_runtime_fact(i, &earlier); i++)
		if (!strcmp(earlier.group, fact->group) &&
		    (of_group || !strcmp(earlier.name, fact->name)))
			return false;
	return true;
}

const char *report_cpus(const struct options *options, char *text)
{
	if (options->cpus[0] == CPUS_ANY)
		snprintf(text, REPORT_TITLE, "any CPUs");
	else
		snprintf(text, REPORT_TITLE, "CPUs %d and %d (%s)", options->cpus[0],
			 options->cpus[1], options->sharing);
	return text;
}

static void json_machine(struct json *json, const struct options *options)
{
	struct peal_fact fact, member;

	json_object(json, "machine");
	json_array(json, "cpus");
	for (int i = 0; i < 2 && options->cpus[i] != CPUS_ANY; i++)
		json_integer(json, NULL, (uint64_t)options->cpus[i]);
	json_end_array(json);
	if (options->sharing)
		json_string(json, "sharing", options->sharing);
	json_bool(json, "threads", options->threads);
	json_number(json, "ticks_per_ns", peal_ticks_per_ns(), 6);
	for (unsigned i = 0; !peal_runtime_fact(i, &fact); i++) {
		if (!fact_is_first(i, &fact, true))
			continue;
		json_object(json, fact.group);
		for (unsigned j = i; !peal_runtime_fact(j, &member); j++)
			if (!strcmp(member.group, fact.group) && fact_is_first(j, &member, false))
				json_string(json, member.name, member.value);
		json_end_object(json);
	}
	json_end_object(json);
}

static void json_runtime(struct json *json)
{
	json_object(json, "runtime");
	json_string(json, "ring", report_picked("ring"));
	json_string(json, "waiter", report_picked("waiter"));
	json_string(json, "memory", report_picked("memory"));
	json_integer(json, "page_size", (uint64_t)sysconf(_SC_PAGESIZE));
	json_string(json, "barrier", barrier_picked());
	json_end_object(json);
}

void report_json_spread(struct json *json, const char *name, const struct figure *figure,
			int decimals)
{
	json_array(json, name);
	json_number(json, NULL, figure->low, decimals);
	json_number(json, NULL, figure->high, decimals);
	json_end_array(json);
}

/* What a side has used for each message; NAN of no messages. */
static double cpu_ns(const struct row *row, const struct usage *usage)
{
	return row->messages ? usage->cpu_s * 1e9 / (double)row->messages : NAN;
}

static double late_share(const struct row *row)
{
	return row->messages ? (double)row->late / (double)row->messages : NAN;
}

static void json_row(struct json *json, const struct row *row, const struct options *options)
{
	const struct usage *usage = row->usage;
	bool none = !row->kept;

	json_object(json, NULL);
	json_string(json, "test", test_name(row->test));
	json_string(json, "transport", row->transport->name);
	json_integer(json, "size", row->size);
	json_string(json, "wait", wait_name(row->wait));
	json_integer(json, "batch", row->batch);
	json_bool(json, "zero_copy", row->zero_copy);
	json_integer(json, "rounds", row->kept);
	json_integer(json, "rounds_dropped", row->dropped);
	json_integer(json, "count", row->count);
	json_number(json, "p50_ns", row->p50, 1);
	json_number(json, "p99_ns", row->p99, 1);
	json_number(json, "p999_ns", row->p999, 1);
	json_number(json, "max_ns", row->max, 1);
	json_number(json, "mean_ns", row->mean, 1);
	json_number(json, "msgs_per_s", row->rate.median, 1);
	json_number(json, "bytes_per_s", row->rate.median * (double)row->size, 1);
	json_number(json, "cpu_s", none ? NAN : usage[INITIATOR].cpu_s + usage[ANSWERER].cpu_s, 6);
	json_number(json, "switches",
		    none ? NAN : (double)(usage[INITIATOR].switches + usage[ANSWERER].switches), 0);
	json_number(json, "floor_ns", row->floor.median, 1);
	json_number(json, "ratio_to_floor", row->to_floor.median, 4);
	json_number(json, "ratio_to_bare", row->to_bare.median, 4);
	report_json_spread(json, "p50_ns_spread", &row->round_p50, 1);
	report_json_spread(json, "msgs_per_s_spread", &row->rate, 1);
	report_json_spread(json, "floor_ns_spread", &row->floor, 1);
	report_json_spread(json, "ratio_to_floor_spread", &row->to_floor, 4);
	report_json_spread(json, "ratio_to_bare_spread", &row->to_bare, 4);
	if (row->test == TEST_FLOOR) {
		json_array(json, "core_width");
		json_number(json, NULL, row->width[0].median, 2);
		json_number(json, NULL, row->width[1].median, 2);
		json_end_array(json);
	}
	if (row->test == TEST_STREAM || row->test == TEST_RATE) {
		json_number(json, "sender_cpu_s", none ? NAN : row_sender(row)->cpu_s, 6);
		json_number(json, "receiver_cpu_s", none ? NAN : row_receiver(row)->cpu_s, 6);
		json_number(json, "sender_cpu_ns_per_msg", cpu_ns(row, row_sender(row)), 2);
		json_number(json, "receiver_cpu_ns_per_msg", cpu_ns(row, row_receiver(row)), 2);
	}
	if (row->transport == &transport_set) {
		json_integer(json, "links", row->links);
		json_number(json, "empty_poll_ns", row->empty_poll.median, 3);
		report_json_spread(json, "empty_poll_ns_spread", &row->empty_poll, 3);
	}
	if (row->transport == &transport_peal || row->transport == &transport_set) {
		json_string(json, "barrier", barrier_name(options->barrier));
		json_string(json, "huge", huge_name(options->huge));
		json_bool(json, "prefault", !options->no_prefault);
	}
	if (row->test == TEST_RATE) {
		json_integer(json, "rate", row->pace);
		json_number(json, "late", late_share(row), 6);
	}
	json_end_object(json);
}

void report_json_begin(struct json *json, const struct options *options)
{
	json_object(json, NULL);
	json_integer(json, "schema", SCHEMA);
	json_string(json, "tool", "peal-perf");
	json_string(json, "version", peal_runtime_version());
	json_machine(json, options);
	json_runtime(json);
	json_array(json, "results");
}

void report_json_end(struct json *json, bool interrupted, const char *error)
{
	json_end_array(json);
	if (interrupted)
		json_bool(json, "interrupted", true);
	if (error)
		json_string(json, "error", error);
	json_end_object(json);
}

void report_json(const struct results *results, const struct options *options, const char *error)
{
	struct json json = { .file = stdout };

	report_json_begin(&json, options);
	for (unsigned i = 0; i < results->count; i++)
		json_row(&json, results->rows[i], options);
	report_json_end(&json, results->interrupted, error);
}

static void table_ratio(double ratio)
{
	if (isnan(ratio))
		printf(" %6s", "-");
	else
		printf(ratio < 99.95 ? " %6.2f" : " %6.0f", ratio);
}

static void table_row(const struct row *row)
{
	char p50[REPORT_TEXT], p99[REPORT_TEXT], p999[REPORT_TEXT], max[REPORT_TEXT];
	char rate[REPORT_TEXT], size[OPTIONS_SIZE_TEXT] = "-", name[REPORT_TEXT];
	double gigabytes = row->rate.median * (double)row->size / 1e9;

	if (row->test != TEST_FLOOR)
		options_size_text(size, row->size);
	snprintf(name, sizeof(name), row->batch > 1 ? "%s x%u" : "%s", row->transport->name,
		 row->batch);
	printf("%-9s %-8s %5s %8s %8s %8s %8s %8s", name, wait_name(row->wait), size,
	       report_time(p50, row->p50), report_time(p99, row->p99), report_time(p999, row->p999),
	       report_time(max, row->max), report_count(rate, row->rate.median));
	if (row->test == TEST_FLOOR || isnan(gigabytes))
		printf(" %7s", "-");
	else
		printf(" %7.3f", gigabytes);
	table_ratio(row->to_floor.median);
	table_ratio(row->to_bare.median);
	printf(" %4u/%u\n", row->kept, row->dropped);
}

/* "0.52 s", or "12 ms": what a side has used. */
static char *cpu_text(char *text, const struct row *row, const struct usage *usage)
{
	return report_time(text, row->kept ? usage->cpu_s * 1e9 : NAN);
}

static void table_rate_head(void)
{
	printf("%-9s %-8s %8s %8s %8s %8s %7s %6s %8s %8s %8s %8s %6s\n", "transport", "wait",
	       "p50", "p99", "p99.9", "max", "msgs/s", "late", "CPU recv", "a msg", "CPU send",
	       "a msg", "rounds");
}

static void table_rate_row(const struct row *row)
{
	const struct usage *receiver = row_receiver(row), *sender = row_sender(row);
	char p50[REPORT_TEXT], p99[REPORT_TEXT], p999[REPORT_TEXT], max[REPORT_TEXT];
	char rate[REPORT_TEXT], late[REPORT_TEXT] = "-", cpu[4][REPORT_TEXT];

	if (row->test == TEST_RATE && row->messages)
		snprintf(late, sizeof(late), "%.1f %%", late_share(row) * 100);
	printf("%-9s %-8s %8s %8s %8s %8s %7s %6s", row->transport->name, wait_name(row->wait),
	       report_time(p50, row->p50), report_time(p99, row->p99), report_time(p999, row->p999),
	       report_time(max, row->max), report_count(rate, row->rate.median), late);
	if (row->test == TEST_RATE)
		printf(" %8s %8s %8s %8s", cpu_text(cpu[0], row, receiver),
		       report_time(cpu[1], cpu_ns(row, receiver)), cpu_text(cpu[2], row, sender),
		       report_time(cpu[3], cpu_ns(row, sender)));
	else
		printf(" %8s %8s %8s %8s", "-", "-", "-", "-");
	printf(" %4u/%u\n", row->kept, row->dropped);
}

/* The cores' width while a test ran. */
static void table_width(const struct row *floor)
{
	const struct figure *width;

	if (!floor || !floor->kept)
		return;
	width = floor->width;
	printf("core width (additions a cycle, median and range over the rounds): %.1f (%.1f to %.1f) and "
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

void report_table(const struct results *results, const struct options *options)
{
	const struct row *test_floor = NULL;
	bool none = false, paced = false;
	unsigned first = 0;

	char cpus[REPORT_TITLE];

	printf("%s, %s; times are round trips%s\n\n", report_cpus(options, cpus),
	       options->threads ? "two threads" : "two processes",
	       options->rate_count ? ", in rate from when a message was to be sent" : "");
	for (unsigned i = 0; i < results->count; i++) {
		const struct row *row = results->rows[i];
		bool last = i + 1 == results->count;
		const struct row *next = results->rows[last ? i : i + 1];

		if (row->test == TEST_FLOOR) {
			char title[REPORT_TITLE];

			test_floor = row;
			paced = next->test == TEST_RATE;
			if (i)
				printf("\n");
			if (!last)
				printf("%s\n",
				       report_title(title, next->test, next->size, next->pace));
			if (paced)
				table_rate_head();
			else
				printf("%-9s %-8s %5s %8s %8s %8s %8s %8s %7s %6s %6s %6s\n",
				       "transport", "wait", "size", "p50", "p99", "p99.9", "max",
				       "msgs/s", "GB/s", "/floor", "/bare", "rounds");
		}
		if (paced)
			table_rate_row(row);
		else
			table_row(row);
		if (row->test == TEST_FLOOR)
			first = i;
		if (last || next->test == TEST_FLOOR) {
			table_width(test_floor);
			for (unsigned j = first; j <= i; j++)
				table_empty_poll(results->rows[j]);
		}
		none = none || (!row->kept && row->dropped);
	}
	if (options->rate_count)
		printf("\nlate: sent more than 10 us after its time, by a sender that could not sooner; "
		       "CPU: of the receiver and\nof the sender, which spins before each message, in all "
		       "and for a message; rounds: kept/dropped\n");
	else
		printf("\nrounds: kept/dropped; ratios are medians over those kept, of p50 in latency, of "
		       "rates in stream\n");
	report_runtime();
	if (options->barrier != BARRIER_AUTO)
		printf("Peal's sleepers were told to use the barrier %s.\n",
		       barrier_name(options->barrier));
	if (options->huge != HUGE_UNSAID)
		printf("Peal's rings were told to have huge pages: %s.\n",
		       huge_name(options->huge));
	if (options->no_prefault)
		printf("Peal's memory was not touched before its first use.\n");
	if (none)
		printf("Where no round was kept the machine was too restless: the floor moved by more "
		       "than 15 %%\nwithin each of them. Try again, with more --rounds, or when it is "
		       "idle.\n");
	if (results->interrupted)
		printf("Interrupted: this is what there was.\n");
}
