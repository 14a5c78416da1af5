/*
 * SPDX-License-Identifier: MIT
 *
 * The report of servers and clients: members of a JSON object, or lines of a table. Members that
 * all results of peal-perf have are here, too, and null where they mean nothing.
 */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <peal/runtime.h>

#include "clients.h"
#include "report.h"

static double ns_of(double ticks)
{
	return ticks / peal_ticks_per_ns();
}

static double share_ns(const struct clients_row *row, double share)
{
	return ns_of(histogram_percentile(&row->histogram, share));
}

static double median(const struct clients_row *row, enum clients_figure figure)
{
	return clients_figure(row, figure).median;
}

/* Requests that a second of the server's CPU answers. */
static double by_cpu(const struct clients_row *row)
{
	return row->count && row->server.cpu_s > 0 ? (double)row->count / row->server.cpu_s : NAN;
}

static bool visits(const struct clients_row *row)
{
	return row->test == CLIENTS_CONNECT || row->test == CLIENTS_CHURN;
}

static void json_failures(struct json *json, const struct failures *failures)
{
	json_integer(json, "failures", failures->count);
	json_array(json, "failure_reasons");
	for (uint32_t i = 0; i < failures->reasons; i++) {
		json_object(json, NULL);
		json_integer(json, "errno", (uint64_t)-failures->of[i].err);
		json_integer(json, "count", failures->of[i].count);
		json_string(json, "why", failures->of[i].why);
		json_end_object(json);
	}
	json_end_array(json);
}

/* What the server held before and behind it all. */
static void json_holdings(struct json *json, const struct clients_row *row)
{
	const struct holdings *both[] = { &row->before, &row->after };

	for (int i = 0; i < 2; i++) {
		json_object(json, i ? "server_after" : "server_before");
		json_number(json, "mem", both[i]->memory, 0);
		json_number(json, "rss", both[i]->resident, 0);
		json_number(json, "fds", both[i]->descriptors, 0);
		json_number(json, "mappings", both[i]->mappings, 0);
		json_end_object(json);
	}
}

static void fields_ratio(struct fields *fields, const struct clients_row *row, const char *name,
			 enum clients_figure which)
{
	struct figure figure = clients_figure(row, which);

	fields_number(fields, name, figure.median, 4);
	fields_spread(fields, name, &figure, 4);
}

/* What a round found, of each. */
static void json_rounds(struct json *json, const struct clients_row *row, const char *name,
			enum clients_figure which, double factor)
{
	json_array(json, name);
	for (unsigned i = 0; i < row->rounds; i++)
		json_number(json, NULL, row->values[which][i] * factor, 1);
	json_end_array(json);
}

void clients_row_fields(struct fields *fields, const struct clients_row *row,
			const struct options *options)
{
	const double none = NAN;
	double rate = median(row, FIGURE_RATE);
	bool idle = row->test == CLIENTS_IDLE;

	fields_begin(fields);
	fields_string(fields, "test", clients_name(row->test));
	fields_string(fields, "transport", row->transport->name);
	fields_integer(fields, "size", row->size);
	fields_string(fields, "wait", wait_name(row->wait));
	fields_integer(fields, "batch", 1);
	fields_bool(fields, "zero_copy", false);
	fields_string(fields, "payload", "all");
	report_place(fields, options);
	fields_integer(fields, "rounds", row->rounds);
	fields_integer(fields, "rounds_dropped", 0);
	fields_integer(fields, "count", row->count);
	fields_number(fields, "p50_ns", share_ns(row, 0.5), 1);
	fields_number(fields, "p99_ns", share_ns(row, 0.99), 1);
	fields_number(fields, "p999_ns", share_ns(row, 0.999), 1);
	fields_number(fields, "p9999_ns", share_ns(row, 0.9999), 1);
	fields_number(fields, "max_ns", row->count ? ns_of((double)row->histogram.max) : none, 1);
	fields_number(fields, "mean_ns", ns_of(histogram_mean(&row->histogram)), 1);
	fields_number(fields, "msgs_per_s", rate, 1);
	fields_number(fields, "bytes_per_s", rate * (double)row->size, 1);
	fields_number(fields, "cpu_s", row->server.cpu_s + row->client.cpu_s, 6);
	fields_number(fields, "switches", (double)(row->server.switches + row->client.switches), 0);
	fields_number(fields, "floor_ns", none, 1);
	fields_number(fields, "ratio_to_floor", none, 4);
	fields_number(fields, "ratio_to_bare", none, 4);
	if (fields->json) {
		json_rounds(fields->json, row, "round_p50_ns", FIGURE_P50, ns_of(1));
		json_rounds(fields->json, row, "round_msgs_per_s", FIGURE_RATE, 1);
	}
	fields_integer(fields, "ring", row->ring);
	fields_integer(fields, "clients", row->clients);
	fields_if(fields, row->test == CLIENTS_BESIDE);
	fields_integer(fields, "idle_clients", row->alone ? 0 : row->clients);
	fields_if(fields, row->rate);
	fields_integer(fields, "rate", row->rate);
	fields_if(fields, true);
	fields_number(fields, "connects_per_s", visits(row) ? rate : none, 1);
	if (fields->json)
		json_failures(fields->json, &row->failures);
	else
		fields_integer(fields, "failures", row->failures.count);
	fields_number(fields, "server_mem_per_client", median(row, FIGURE_MEMORY), 0);
	fields_number(fields, "server_rss_per_client", median(row, FIGURE_RESIDENT), 0);
	fields_number(fields, "server_fds_per_client", median(row, FIGURE_DESCRIPTORS), 3);
	fields_number(fields, "server_mappings_per_client", median(row, FIGURE_MAPPINGS), 3);
	fields_if(fields, row->transport == &transport_peal);
	fields_string(fields, "bell", row->one_descriptor ? "socket" : "auto");
	fields_if(fields, true);
	fields_string(fields, "server_mem_by", row->grouped ? "cgroup" : "meminfo");
	fields_integer(fields, "server_wakeups", row->sleeps);
	fields_number(fields, "server_cpu_s", row->server.cpu_s, 6);
	fields_number(fields, "client_cpu_s", idle ? none : row->client.cpu_s, 6);
	fields_number(fields, "requests_per_server_cpu_s", by_cpu(row), 1);
	fields_ratio(fields, row, "p50_to_uds", FIGURE_P50_TO_UDS);
	fields_ratio(fields, row, "p99_to_uds", FIGURE_P99_TO_UDS);
	fields_ratio(fields, row, "server_cpu_to_uds", FIGURE_CPU_TO_UDS);
	fields_ratio(fields, row, "server_mem_to_uds", FIGURE_MEMORY_TO_UDS);
	fields_if(fields, row->test == CLIENTS_BESIDE);
	fields_ratio(fields, row, "p50_to_alone", FIGURE_P50_TO_ALONE);
	if (fields->json && row->test == CLIENTS_CHURN)
		json_holdings(fields->json, row);
	fields_end(fields);
}

/* --- Tables ---------------------------------------------------------------------------------- */

static void ratio(double value)
{
	if (isnan(value))
		printf(" %6s", "-");
	else
		printf(value < 99.95 ? " %6.2f" : " %6.0f", value);
}

/* "17.4 KiB" */
static char *bytes_text(char *text, double bytes)
{
	if (isnan(bytes))
		snprintf(text, REPORT_TEXT, "-");
	else
		snprintf(text, REPORT_TEXT, "%.1f KiB", bytes / 1024);
	return text;
}

static void each(double value)
{
	if (isnan(value))
		printf(" %8s", "-");
	else
		printf(" %8.2f", value);
}

static void print_title(const struct clients_row *row, const struct options *options)
{
	char size[OPTIONS_SIZE_TEXT], rate[OPTIONS_SIZE_TEXT], ring[OPTIONS_SIZE_TEXT];
	char cpus[REPORT_TITLE];

	printf("%s: ", clients_name(row->test));
	switch (row->test) {
	case CLIENTS_CONNECT:
		if (row->rate)
			printf("%s clients a second", options_rate_text(rate, row->rate));
		else
			printf("%u clients at once", row->clients);
		break;
	case CLIENTS_CHURN:
		printf("%" PRIu64 " clients, %u at a time", options->count, row->clients);
		break;
	case CLIENTS_SERVE:
		printf("%u clients, %s requests a second", row->clients,
		       options_rate_text(rate, row->rate));
		break;
	case CLIENTS_BESIDE:
		printf("one busy client, and %u idle ones", row->clients);
		break;
	default:
		printf("%u clients", row->clients);
	}
	printf(", %s bytes, rings of %s, %u round%s\n", options_size_text(size, row->size),
	       options_size_text(ring, row->ring), row->rounds, row->rounds == 1 ? "" : "s");
	report_cpus(options, cpus);
	printf("server and clients on %s\n\n", cpus);
}

void clients_print_head(const struct clients_row *row, const struct options *options)
{
	print_title(row, options);
	if (row->test == CLIENTS_IDLE) {
		printf("%-9s %-8s %11s %6s %11s %8s %8s %8s %8s %6s\n", "transport", "wait",
		       "memory", "/uds", "resident", "files", "mappings", "wake-ups", "CPU",
		       "failed");
		return;
	}
	printf("%-9s %-8s %7s %7s %7s %7s %7s %6s %8s %7s %6s %6s\n", "transport", "wait", "p50",
	       "p99", "p99.9", "p99.99", visits(row) ? "conn./s" : "reqs/s", "failed", "CPU/req",
	       "p50/uds", "p99", "CPU");
}

static void print_idle(const struct clients_row *row)
{
	char memory[REPORT_TEXT], resident[REPORT_TEXT], cpu[REPORT_TEXT];

	printf(" %11s", bytes_text(memory, median(row, FIGURE_MEMORY)));
	ratio(median(row, FIGURE_MEMORY_TO_UDS));
	printf(" %11s", bytes_text(resident, median(row, FIGURE_RESIDENT)));
	each(median(row, FIGURE_DESCRIPTORS));
	each(median(row, FIGURE_MAPPINGS));
	printf(" %8" PRIu64 " %8s %6" PRIu64 "\n", row->sleeps,
	       report_time(cpu, row->server.cpu_s * 1e9), row->failures.count);
}

static void print_churn(const struct clients_row *row)
{
	char before[REPORT_TEXT], after[REPORT_TEXT], resident[2][REPORT_TEXT];

	printf("          before and behind: %.0f and %.0f open files, %.0f and %.0f mappings,\n"
	       "          memory %s and %s, resident %s and %s\n",
	       row->before.descriptors, row->after.descriptors, row->before.mappings,
	       row->after.mappings, bytes_text(before, row->before.memory),
	       bytes_text(after, row->after.memory), bytes_text(resident[0], row->before.resident),
	       bytes_text(resident[1], row->after.resident));
}

void clients_print_row(const struct clients_row *row)
{
	static const double shares[] = { 0.5, 0.99, 0.999, 0.9999 };
	char text[REPORT_TEXT], request[REPORT_TEXT];

	printf("%-9s %-8s", row->transport->name, wait_name(row->wait));
	if (row->test == CLIENTS_IDLE) {
		print_idle(row);
		return;
	}
	for (unsigned i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
		printf(" %7s", report_time(text, share_ns(row, shares[i])));
	printf(" %7s %6" PRIu64 " %8s ", report_count(text, median(row, FIGURE_RATE)),
	       row->failures.count, report_time(request, 1e9 / by_cpu(row)));
	ratio(median(row, FIGURE_P50_TO_UDS));
	ratio(median(row, FIGURE_P99_TO_UDS));
	ratio(median(row, FIGURE_CPU_TO_UDS));
	printf("\n");
	if (row->test == CLIENTS_BESIDE && row->alone)
		printf("          alone\n");
	else if (row->test == CLIENTS_BESIDE)
		printf("          beside the idle ones; its p50 is %.3f of that alone\n",
		       median(row, FIGURE_P50_TO_ALONE));
	if (row->test == CLIENTS_CHURN)
		print_churn(row);
}

void clients_print_foot(enum clients_test test, bool grouped)
{
	if (test == CLIENTS_IDLE)
		printf("\nof the server, for each client; wake-ups and CPU: of the server while all "
		       "were idle, in all rounds\n");
	else
		printf("\nCPU: of the server, for a request; ratios to the "
		       "Unix socket are\nmedians of those of the same round\n");
	if (!grouped && (test == CLIENTS_IDLE || test == CLIENTS_CHURN))
		printf("No control group for the server's memory could be made here (as root it mostly "
		       "can): so the kernel's\nmemory is that of the whole machine, what clients and "
		       "others cost included.\n");
	report_runtime();
	printf("\n");
}
