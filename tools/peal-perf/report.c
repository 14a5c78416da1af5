/*
 * SPDX-License-Identifier: MIT
 *
 * Reports. The JSON's schema is a contract with whoever reads it: members are added, never changed
 * or taken away. So are the columns of the CSV, which are the same but for what is in arrays.
 *
 * In latency a message is a round trip: msgs_per_s tells how many there were in a second. In rate
 * times are from when a message was to be sent until the receiver had it.
 */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
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

/* What a round found, of each. */
static void json_rounds(struct json *json, const char *name, const struct row *row, size_t offset,
			double factor, int decimals)
{
	json_array(json, name);
	for (unsigned i = 0; i < row->kept; i++) {
		double value;

		memcpy(&value, (const uint8_t *)&row->rounds[i] + offset, sizeof(value));
		json_number(json, NULL, value * factor, decimals);
	}
	json_end_array(json);
}

void report_place(struct fields *fields, const struct options *options)
{
	bool pinned = options->cpus[0] != CPUS_ANY;

	fields_if(fields, pinned);
	fields_integer(fields, "cpu", pinned ? (uint64_t)options->cpus[0] : 0);
	fields_integer(fields, "partner_cpu", pinned ? (uint64_t)options->cpus[1] : 0);
	fields_if(fields, options->sharing != NULL);
	fields_string(fields, "sharing", options->sharing);
	fields_if(fields, true);
}

static void report_row(struct fields *fields, const struct row *row, const struct options *options)
{
	const double ns = 1 / peal_ticks_per_ns();
	const struct usage *usage = row->usage;
	bool none = !row->kept;

	fields_begin(fields);
	fields_string(fields, "test", test_name(row->test));
	fields_string(fields, "transport", row->transport->name);
	fields_integer(fields, "size", row->size);
	fields_string(fields, "wait", wait_name(row->wait));
	fields_integer(fields, "batch", row->batch);
	fields_bool(fields, "zero_copy", row->zero_copy);
	fields_string(fields, "payload", row->word ? "word" : "all");
	report_place(fields, options);
	fields_integer(fields, "rounds", row->kept);
	fields_integer(fields, "rounds_dropped", row->dropped);
	fields_integer(fields, "count", row->count);
	fields_number(fields, "p50_ns", row->p50, 1);
	fields_number(fields, "p99_ns", row->p99, 1);
	fields_number(fields, "p999_ns", row->p999, 1);
	fields_number(fields, "p9999_ns", row->p9999, 1);
	fields_number(fields, "max_ns", row->max, 1);
	fields_number(fields, "mean_ns", row->mean, 1);
	fields_number(fields, "msgs_per_s", row->rate.median, 1);
	fields_number(fields, "bytes_per_s", row->rate.median * (double)row->size, 1);
	fields_number(fields, "cpu_s", none ? NAN : usage[INITIATOR].cpu_s + usage[ANSWERER].cpu_s,
		      6);
	fields_number(fields, "switches",
		      none ? NAN : (double)(usage[INITIATOR].switches + usage[ANSWERER].switches),
		      0);
	fields_number(fields, "floor_ns", row->floor.median, 1);
	fields_number(fields, "ratio_to_floor", row->to_floor.median, 4);
	fields_number(fields, "ratio_to_bare", row->to_bare.median, 4);
	fields_spread(fields, "p50_ns", &row->round_p50, 1);
	fields_spread(fields, "msgs_per_s", &row->rate, 1);
	fields_spread(fields, "floor_ns", &row->floor, 1);
	fields_spread(fields, "ratio_to_floor", &row->to_floor, 4);
	fields_spread(fields, "ratio_to_bare", &row->to_bare, 4);
	if (fields->json) {
		json_rounds(fields->json, "round_p50_ns", row, offsetof(struct round, p50), ns, 1);
		json_rounds(fields->json, "round_msgs_per_s", row, offsetof(struct round, rate), 1,
			    1);
		json_rounds(fields->json, "round_floor_ns", row, offsetof(struct round, floor), ns,
			    1);
	}
	if (fields->json && row->test == TEST_FLOOR) {
		json_array(fields->json, "core_width");
		json_number(fields->json, NULL, row->width[0].median, 2);
		json_number(fields->json, NULL, row->width[1].median, 2);
		json_end_array(fields->json);
	}
	fields_if(fields, row->test == TEST_STREAM || row->test == TEST_RATE);
	fields_number(fields, "sender_cpu_s", none ? NAN : row_sender(row)->cpu_s, 6);
	fields_number(fields, "receiver_cpu_s", none ? NAN : row_receiver(row)->cpu_s, 6);
	fields_number(fields, "sender_cpu_ns_per_msg", row_cpu_ns(row, row_sender(row)), 2);
	fields_number(fields, "receiver_cpu_ns_per_msg", row_cpu_ns(row, row_receiver(row)), 2);
	fields_if(fields, row->transport == &transport_set);
	fields_integer(fields, "links", row->links);
	fields_number(fields, "empty_poll_ns", row->empty_poll.median, 3);
	fields_spread(fields, "empty_poll_ns", &row->empty_poll, 3);
	fields_if(fields, row->transport == &transport_peal || row->transport == &transport_set);
	fields_string(fields, "barrier", barrier_name(options->barrier));
	fields_string(fields, "huge", huge_name(options->huge));
	fields_bool(fields, "prefault", !options->no_prefault);
	fields_if(fields, row->test == TEST_RATE);
	fields_integer(fields, "rate", row->pace);
	fields_number(fields, "late", row_late(row), 6);
	fields_end(fields);
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
	if (interrupted)
		json_bool(json, "interrupted", true);
	if (error)
		json_string(json, "error", error);
	json_end_object(json);
}

void report_json(struct json *json, const struct results *results, const struct options *options)
{
	struct fields fields = { .json = json };

	report_json_begin(json, options);
	for (unsigned i = 0; i < results->count; i++)
		report_row(&fields, results->rows[i], options);
	json_end_array(json);
}

void report_csv(const struct results *results, const struct options *options)
{
	struct fields fields = { .names = true };

	for (unsigned i = 0; i < results->count; i++) {
		if (!i)
			report_row(&fields, results->rows[i], options);
		fields.names = false;
		report_row(&fields, results->rows[i], options);
	}
}
