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

static void json_ratio(struct json *json, const struct clients_row *row, const char *name,
		       enum clients_figure which)
{
	struct figure figure = clients_figure(row, which);
	char spread[48];

	json_number(json, name, figure.median, 4);
	snprintf(spread, sizeof(spread), "%s_spread", name);
	report_json_spread(json, spread, &figure, 4);
}

void clients_json_row(struct json *json, const struct clients_row *row)
{
	const double none = NAN;
	double rate = median(row, FIGURE_RATE);
	bool idle = row->test == CLIENTS_IDLE;

	json_object(json, NULL);
	json_string(json, "test", clients_name(row->test));
	json_string(json, "transport", row->transport->name);
	json_integer(json, "size", row->size);
	json_string(json, "wait", wait_name(row->wait));
	json_integer(json, "batch", 1);
	json_bool(json, "zero_copy", false);
	json_integer(json, "rounds", row->rounds);
	json_integer(json, "rounds_dropped", 0);
	json_integer(json, "count", row->count);
	json_number(json, "p50_ns", share_ns(row, 0.5), 1);
	json_number(json, "p99_ns", share_ns(row, 0.99), 1);
	json_number(json, "p999_ns", share_ns(row, 0.999), 1);
	json_number(json, "max_ns", row->count ? ns_of((double)row->histogram.max) : none, 1);
	json_number(json, "mean_ns", ns_of(histogram_mean(&row->histogram)), 1);
	json_number(json, "msgs_per_s", rate, 1);
	json_number(json, "bytes_per_s", rate * (double)row->size, 1);
	json_number(json, "cpu_s", row->server.cpu_s + row->client.cpu_s, 6);
	json_number(json, "switches", (double)(row->server.switches + row->client.switches), 0);
	json_number(json, "floor_ns", none, 1);
	json_number(json, "ratio_to_floor", none, 4);
	json_number(json, "ratio_to_bare", none, 4);
	json_integer(json, "ring", row->ring);
	json_integer(json, "clients", row->clients);
	if (row->test == CLIENTS_BESIDE)
		json_integer(json, "idle_clients", row->alone ? 0 : row->clients);
	if (row->rate)
		json_integer(json, "rate", row->rate);
	json_number(json, "connects_per_s", visits(row) ? rate : none, 1);
	json_failures(json, &row->failures);
	json_number(json, "server_mem_per_client", median(row, FIGURE_MEMORY), 0);
	json_number(json, "server_rss_per_client", median(row, FIGURE_RESIDENT), 0);
	json_number(json, "server_fds_per_client", median(row, FIGURE_DESCRIPTORS), 3);
	json_number(json, "server_mappings_per_client", median(row, FIGURE_MAPPINGS), 3);
	if (row->transport == &transport_peal)
		json_string(json, "bell", row->one_descriptor ? "socket" : "auto");
	json_string(json, "server_mem_by", row->grouped ? "cgroup" : "meminfo");
	json_integer(json, "server_wakeups", row->sleeps);
	json_number(json, "server_cpu_s", row->server.cpu_s, 6);
	json_number(json, "client_cpu_s", idle ? none : row->client.cpu_s, 6);
	json_number(json, "requests_per_server_cpu_s", by_cpu(row), 1);
	json_ratio(json, row, "p50_to_uds", FIGURE_P50_TO_UDS);
	json_ratio(json, row, "p99_to_uds", FIGURE_P99_TO_UDS);
	json_ratio(json, row, "server_cpu_to_uds", FIGURE_CPU_TO_UDS);
	json_ratio(json, row, "server_mem_to_uds", FIGURE_MEMORY_TO_UDS);
	if (row->test == CLIENTS_BESIDE)
		json_ratio(json, row, "p50_to_alone", FIGURE_P50_TO_ALONE);
	if (row->test == CLIENTS_CHURN)
		json_holdings(json, row);
	json_end_object(json);
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
	printf("%-9s %-8s %8s %8s %8s %8s %6s %8s %8s %8s %8s %6s %6s %6s\n", "transport", "wait",
	       "p50", "p99", "p99.9", visits(row) ? "conn./s" : "reqs/s", "failed", "CPU", "a req",
	       "reqs/CPU", "clients", "p50/uds", "p99", "CPU");
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

	printf("          before and behind: %.0f and %.0f open files, %.0f and %.0f mappings, memory %s "
	       "and %s, resident %s and %s\n",
	       row->before.descriptors, row->after.descriptors, row->before.mappings,
	       row->after.mappings, bytes_text(before, row->before.memory),
	       bytes_text(after, row->after.memory), bytes_text(resident[0], row->before.resident),
	       bytes_text(resident[1], row->after.resident));
}

void clients_print_row(const struct clients_row *row)
{
	char p50[REPORT_TEXT], p99[REPORT_TEXT], p999[REPORT_TEXT], rate[REPORT_TEXT];
	char cpu[REPORT_TEXT], request[REPORT_TEXT], per_s[REPORT_TEXT], client[REPORT_TEXT];

	printf("%-9s %-8s", row->transport->name, wait_name(row->wait));
	if (row->test == CLIENTS_IDLE) {
		print_idle(row);
		return;
	}
	printf(" %8s %8s %8s %8s %6" PRIu64 " %8s %8s %8s %8s",
	       report_time(p50, share_ns(row, 0.5)), report_time(p99, share_ns(row, 0.99)),
	       report_time(p999, share_ns(row, 0.999)),
	       report_count(rate, median(row, FIGURE_RATE)), row->failures.count,
	       report_time(cpu, row->server.cpu_s * 1e9), report_time(request, 1e9 / by_cpu(row)),
	       report_count(per_s, by_cpu(row)), report_time(client, row->client.cpu_s * 1e9));
	ratio(median(row, FIGURE_P50_TO_UDS));
	ratio(median(row, FIGURE_P99_TO_UDS));
	ratio(median(row, FIGURE_CPU_TO_UDS));
	if (row->test == CLIENTS_BESIDE && row->alone)
		printf("  alone");
	else if (row->test == CLIENTS_BESIDE)
		printf("  p50/alone %.3f", median(row, FIGURE_P50_TO_ALONE));
	printf("\n");
	if (row->test == CLIENTS_CHURN)
		print_churn(row);
}

void clients_print_foot(enum clients_test test, bool grouped)
{
	if (test == CLIENTS_IDLE)
		printf("\nof the server, for each client; wake-ups and CPU: of the server while all "
		       "were idle, in all rounds\n");
	else
		printf("\nCPU: of the server, in all, for a request, and requests in a second of it; of "
		       "the clients; ratios to the Unix\nsocket are medians of those of the same "
		       "round\n");
	if (!grouped && (test == CLIENTS_IDLE || test == CLIENTS_CHURN))
		printf("No control group for the server's memory could be made here (as root it mostly "
		       "can): so the kernel's memory\nis that of the whole machine, what clients and "
		       "others cost included.\n");
	report_runtime();
	printf("\n");
}
