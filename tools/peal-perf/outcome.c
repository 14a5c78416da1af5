/*
 * SPDX-License-Identifier: MIT
 *
 * Outcomes: taken from rows of messages between two sides, and from rows of clients.
 */
#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peal/runtime.h>

#include "complaint.h"
#include "outcome.h"

static void outcome_free(struct outcome *outcome)
{
	free(outcome->histogram);
	free(outcome->floors);
	free(outcome->values);
}

/* Another one in the list, with room for so many rounds; NULL with a complaint. */
static struct outcome *add(struct outcomes *outcomes, unsigned rounds,
			   const struct histogram *histogram)
{
	struct outcome *more = realloc(outcomes->list, (outcomes->count + 1) * sizeof(*more));
	struct outcome *outcome;

	if (!more)
		goto no_memory;
	outcomes->list = more;
	outcome = &more[outcomes->count];
	memset(outcome, 0, sizeof(*outcome));
	outcome->values = calloc(rounds + 1, sizeof(double));
	outcome->floors = calloc(rounds + 1, sizeof(double));
	if (outcomes->histograms && histogram->count) {
		outcome->histogram = malloc(sizeof(*histogram));
		if (outcome->histogram)
			*outcome->histogram = *histogram;
	}
	if (!outcome->values || !outcome->floors ||
	    (outcomes->histograms && histogram->count && !outcome->histogram)) {
		outcome_free(outcome);
		goto no_memory;
	}
	outcomes->count++;
	return outcome;

no_memory:
	complain(-ENOMEM, "no memory to keep a row");
	return NULL;
}

int outcomes_add(struct outcomes *outcomes, const struct row *row)
{
	const double ns = 1 / peal_ticks_per_ns();
	struct outcome *outcome = add(outcomes, row->kept, &row->histogram);
	bool one_way = row->test == TEST_STREAM || row->test == TEST_RATE;

	if (!outcome)
		return -ENOMEM;
	outcome->test = test_name(row->test);
	outcome->transport = row->transport->name;
	outcome->wait = wait_name(row->wait);
	outcome->size = row->size;
	outcome->rate = row->test == TEST_FLOOR ? 0 : row->pace;
	outcome->batch = row->batch;
	outcome->links = row->links;
	outcome->zero_copy = row->zero_copy;
	outcome->word = row->word;
	outcome->timed = row->test != TEST_STREAM;
	outcome->rounds = row->kept;
	for (unsigned i = 0; i < row->kept; i++) {
		outcome->values[i] = outcome->timed ? row->rounds[i].p50 * ns : row->rounds[i].rate;
		outcome->floors[i] = row->rounds[i].floor * ns;
	}
	outcome->msgs_per_s = row->rate.median;
	outcome->cpu_ns = one_way ? row_cpu_ns(row, row_receiver(row)) : NAN;
	return 0;
}

int outcomes_add_clients(struct outcomes *outcomes, const struct clients_row *row)
{
	const double ns = 1 / peal_ticks_per_ns();
	struct outcome *outcome = add(outcomes, row->rounds, &row->histogram);

	if (!outcome)
		return -ENOMEM;
	outcome->test = clients_name(row->test);
	outcome->transport = row->transport->name;
	outcome->wait = wait_name(row->wait);
	outcome->size = row->size;
	outcome->rate = row->rate;
	outcome->batch = outcome->links = 1;
	outcome->clients = row->alone ? 0 : row->clients;
	outcome->timed = true;
	outcome->rounds = row->rounds;
	for (unsigned i = 0; i < row->rounds; i++) {
		outcome->values[i] = row->values[FIGURE_P50][i] * ns;
		outcome->floors[i] = NAN;
	}
	outcome->msgs_per_s = clients_figure(row, FIGURE_RATE).median;
	outcome->cpu_ns = clients_figure(row, FIGURE_CPU).median * 1e9;
	return 0;
}

void outcomes_free(struct outcomes *outcomes)
{
	for (unsigned i = 0; i < outcomes->count; i++)
		outcome_free(&outcomes->list[i]);
	free(outcomes->list);
	outcomes->list = NULL;
	outcomes->count = 0;
}

char *outcome_name(char *text, const struct outcome *outcome)
{
	char number[OPTIONS_SIZE_TEXT];
	size_t used;

	if (!strcmp(outcome->test, outcome->transport)) {
		snprintf(text, OUTCOME_TEXT, "%s-%s", outcome->test,
			 options_size_text(number, outcome->size));
		return text;
	}
	used = (size_t)snprintf(text, OUTCOME_TEXT, "%s-%s-%s-%s", outcome->test,
				outcome->transport, outcome->wait,
				options_size_text(number, outcome->size));
	if (outcome->batch > 1)
		used += (size_t)snprintf(text + used, OUTCOME_TEXT - used, "-x%u", outcome->batch);
	if (outcome->zero_copy)
		used += (size_t)snprintf(text + used, OUTCOME_TEXT - used, "-zero-copy");
	if (outcome->word)
		used += (size_t)snprintf(text + used, OUTCOME_TEXT - used, "-word");
	if (outcome->links > 1)
		used += (size_t)snprintf(text + used, OUTCOME_TEXT - used, "-%u-links",
					 outcome->links);
	if (outcome->rate)
		used += (size_t)snprintf(text + used, OUTCOME_TEXT - used, "-%s-a-second",
					 options_rate_text(number, outcome->rate));
	if (outcome->clients)
		snprintf(text + used, OUTCOME_TEXT - used, "-%u-clients", outcome->clients);
	return text;
}
