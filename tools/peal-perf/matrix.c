/*
 * SPDX-License-Identifier: MIT
 *
 * The matrix. A cell has the median time of a request, and how many of all clients were answered in
 * a second.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matrix.h"
#include "report.h"

#define COLUMNS 5 /* of clients, side by side in 100 columns */

static double median_of(const struct outcome *outcome)
{
	double *values = calloc(outcome->rounds + 1, sizeof(*values)), median = NAN;
	unsigned count = 0;

	for (unsigned i = 0; i < outcome->rounds && values; i++)
		if (!isnan(outcome->values[i]))
			values[count++] = outcome->values[i];
	if (values)
		median = figure_of(values, count).median;
	free(values);
	return median;
}

/* The cell of the kind of another one; NULL: it was not measured. */
static const struct outcome *cell(const struct outcomes *outcomes, const struct outcome *kind,
				  uint64_t size, unsigned clients)
{
	for (unsigned i = 0; i < outcomes->count; i++) {
		const struct outcome *other = &outcomes->list[i];

		if (other->transport == kind->transport && other->wait == kind->wait &&
		    other->size == size && other->clients == clients)
			return other;
	}
	return NULL;
}

static void print_part(const struct outcomes *outcomes, const struct outcome *kind,
		       const struct options *options, unsigned first)
{
	unsigned past = first + COLUMNS < options->clients_count ? first + COLUMNS :
								   options->clients_count;
	char size[OPTIONS_SIZE_TEXT], time[REPORT_TEXT], rate[REPORT_TEXT];

	printf("%8s", "bytes");
	for (unsigned i = first; i < past; i++)
		printf(" %8u %-8s", options->clients[i],
		       options->clients[i] == 1 ? "client" : "clients");
	printf("\n");
	for (unsigned j = 0; j < options->size_count; j++) {
		printf("%8s", options_size_text(size, options->sizes[j]));
		for (unsigned i = first; i < past; i++) {
			const struct outcome *found = cell(outcomes, kind, options->sizes[j],
							   options->clients[i]);

			printf(" %8s %8s", report_time(time, found ? median_of(found) : NAN),
			       report_count(rate, found ? found->msgs_per_s : NAN));
		}
		printf("\n");
	}
}

void matrix_print(const struct outcomes *outcomes, const struct options *options)
{
	char cpus[REPORT_TITLE];

	printf("requests of clients, each as soon as the one before is answered: median time, and how "
	       "many a second;\nserver and clients on %s\n",
	       report_cpus(options, cpus));
	for (unsigned i = 0; i < outcomes->count; i++) {
		const struct outcome *kind = &outcomes->list[i];
		bool begins = true;

		for (unsigned j = 0; j < i; j++)
			begins = begins && (outcomes->list[j].transport != kind->transport ||
					    outcomes->list[j].wait != kind->wait);
		if (!begins)
			continue;
		printf("\n%s, %s\n", kind->transport, kind->wait);
		for (unsigned first = 0; first < options->clients_count; first += COLUMNS)
			print_part(outcomes, kind, options, first);
	}
	printf("\n");
	report_runtime();
}
