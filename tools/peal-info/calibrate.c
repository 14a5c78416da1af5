/*
 * SPDX-License-Identifier: MIT
 *
 * What a ring does best with on the machine at hand. The values of a variable take turns, so that
 * what changes on the machine meets all of them; the middle one of all rounds counts, and what the
 * middle half of the rounds spans is the noise. A value is only worth setting if it beats the
 * variant's own by more than that, and by enough to be worth a line in somebody's settings.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peal.h>

#include "calibrate.h"
#include "figure.h"
#include "report.h"
#include "text.h"
#include "tools/peal-perf/complaint.h"
#include "trial.h"

#define VALUES_MAX 8

/* So much of a figure's middle may its middle half span, or something else was running. */
#define SHAKY 0.25

/* The least gain, of the variant's own figure, that is worth setting a variable for. */
#define GAIN 0.02

/* What can be set, and to what it is tried. */
static const struct variable {
	const char *name, *about;
	enum trial_work work;
	unsigned count;
	uint32_t values[VALUES_MAX - 1]; /* the variant's own comes in, if it is none of these */
} variables[] = {
	{ "PEAL_PREFETCH",
	  "draining batches of messages of 64 bytes",
	  TRIAL_DRAIN,
	  6,
	  { 0, 128, 256, 512, 1024, 2048 } },
	{ "PEAL_INLINE_COPY",
	  "sending and receiving 8 to 64 bytes, by copy",
	  TRIAL_COPY,
	  4,
	  { 0, 16, 32, 64 } },
	{ "PEAL_PAUSE_NS", "64 bytes there and back", TRIAL_TRIP, 6, { 0, 7, 14, 28, 56, 112 } },
};

#define VARIABLES (sizeof(variables) / sizeof(variables[0]))

struct value {
	uint32_t value;
	double *messages, *floors; /* of all rounds */
	struct figure message, floor;
};

/* One variant with all values of one variable. */
struct series {
	const struct variable *variable;
	const char *variant;
	unsigned count, own, best; /* indices of value[] */
	struct value value[VALUES_MAX];
	bool steady; /* the machine was, when the own and the best value were measured */
	bool worth;  /* setting the best: it gains more than the noise, and enough */
};

static bool steady(const struct figure *figure)
{
	return figure_span(figure) <= figure->middle * SHAKY;
}

static void choose(struct series *series)
{
	const struct value *own = &series->value[series->own], *best = own;
	double noise, gain;

	for (unsigned i = 0; i < series->count; i++)
		if (series->value[i].message.middle < best->message.middle)
			best = &series->value[i];
	series->best = (unsigned)(best - series->value);
	series->steady = steady(&own->message) && steady(&own->floor) && steady(&best->message) &&
			 steady(&best->floor);
	noise = figure_span(&own->message) > figure_span(&best->message) ?
			figure_span(&own->message) :
			figure_span(&best->message);
	gain = own->message.middle - best->message.middle;
	series->worth = series->steady && gain > noise && gain > own->message.middle * GAIN;
}

static void set_up(struct series *series, const struct variable *variable,
		   const struct trial_variant *variant)
{
	uint32_t own = variable->work == TRIAL_DRAIN ? variant->prefetch :
		       variable->work == TRIAL_COPY  ? variant->inline_copy :
						       variant->pause_ns;

	*series = (struct series){ .variable = variable, .variant = variant->name };
	for (; series->count < variable->count; series->count++)
		series->value[series->count].value = variable->values[series->count];
	for (series->own = 0; series->own < series->count; series->own++)
		if (series->value[series->own].value == own)
			break;
	if (series->own == series->count)
		series->value[series->count++].value = own;
	series->best = series->own;
}

static void tear_down(struct series *series)
{
	for (unsigned i = 0; i < series->count; i++) {
		free(series->value[i].messages);
		free(series->value[i].floors);
	}
}

static int reserve(struct series *series, unsigned rounds)
{
	for (unsigned i = 0; i < series->count; i++) {
		struct value *value = &series->value[i];

		value->messages = calloc(rounds, sizeof(double));
		value->floors = calloc(rounds, sizeof(double));
		if (!value->messages || !value->floors)
			return complain_errno("no memory for %u rounds", rounds);
	}
	return 0;
}

static int run(struct series *series, const struct trial *common, unsigned rounds)
{
	int err = reserve(series, rounds);
	struct trial trial = *common;

	trial.variant = series->variant;
	trial.variable = series->variable->name;
	trial.work = series->variable->work;
	for (unsigned round = 0; !err && round < rounds; round++) {
		for (unsigned i = 0; !err && i < series->count; i++) {
			/* Nobody is always first, or always behind the same one. */
			struct value *value =
				&series->value[(i * (round % 2 ? series->count - 1 : 1) + round) %
					       series->count];
			struct trial_outcome outcome;

			trial.value = value->value;
			err = trial_run(&trial, &outcome);
			value->messages[round] = outcome.message_ns;
			value->floors[round] = outcome.floor_ns;
		}
	}
	for (unsigned i = 0; !err && i < series->count; i++) {
		series->value[i].message = figure_of(series->value[i].messages, rounds);
		series->value[i].floor = figure_of(series->value[i].floors, rounds);
	}
	if (!err)
		choose(series);
	return err;
}

/*
 * Text for people
 */

static void print_series(const struct series *series)
{
	const struct value *own = &series->value[series->own], *best = &series->value[series->best];
	char text[1000];

	printf("\n%s of %s: %s\n", series->variable->name, series->variant,
	       series->variable->about);
	puts("     value   ns a message   middle half     floor, ns a round trip");
	for (unsigned i = 0; i < series->count; i++) {
		const struct value *value = &series->value[i];

		printf("  %c %5" PRIu32 "%s %12.2f   %6.2f to %6.2f  %8.1f\n",
		       i == series->best ? '*' : ' ', value->value,
		       i == series->own ? " own" : "    ", value->message.middle,
		       value->message.low, value->message.high, value->floor.middle);
	}
	if (series->best != series->own && !series->steady)
		snprintf(
			text, sizeof(text),
			"leave it alone: the figures moved, so something else was running; try again");
	else if (series->worth)
		snprintf(text, sizeof(text),
			 "where %s is the variant, set %s=%" PRIu32 ": %.2f ns instead of %.2f",
			 series->variant, series->variable->name, best->value, best->message.middle,
			 own->message.middle);
	else if (series->best == series->own)
		snprintf(text, sizeof(text), "leave it alone: nothing beats the variant's own");
	else
		snprintf(text, sizeof(text),
			 "leave it alone: %" PRIu32
			 " is not better by more than the noise and %.0f %%",
			 best->value, GAIN * 100);
	text_word(text);
	fflush(stdout);
}

/*
 * JSON for scripts
 */

static void put_series(struct json *json, const struct series *series)
{
	json_object(json, NULL);
	json_string(json, "variant", series->variant);
	json_string(json, "variable", series->variable->name);
	json_integer(json, "own", series->value[series->own].value);
	json_integer(json, "best", series->value[series->best].value);
	json_bool(json, "steady", series->steady);
	json_bool(json, "worth_setting", series->worth);
	json_array(json, "values");
	for (unsigned i = 0; i < series->count; i++) {
		const struct value *value = &series->value[i];

		json_object(json, NULL);
		json_integer(json, "value", value->value);
		json_number(json, "message_ns", value->message.middle, 3);
		json_number(json, "low_ns", value->message.low, 3);
		json_number(json, "high_ns", value->message.high, 3);
		json_number(json, "floor_ns", value->floor.middle, 3);
		json_end_object(json);
	}
	json_end_array(json);
	json_end_object(json);
}

static void begin_json(struct json *json, const struct trial *trial, unsigned rounds)
{
	report_begin_json(json, "calibration");
	json_array(json, "cpus");
	json_integer(json, NULL, (uint64_t)trial->cpus[0]);
	json_integer(json, NULL, (uint64_t)trial->cpus[1]);
	json_end_array(json);
	json_integer(json, "rounds", rounds);
	json_integer(json, "duration_ns", trial->duration_ns);
	json_array(json, "series");
}

/* Both CPUs are needed: who spins on the other's only makes it wait. */
static int find_cpus(struct trial *trial)
{
	int got = peal_cpu_pair(PEAL_SAME_LLC, trial->cpus);

	if (got < 0)
		return complain(got, "%s", peal_error());
	return got == PEAL_SAME_CPU ?
		       complain(-ENOTSUP, "one CPU is allowed, and calibrating takes two: see "
					  "taskset(1) and the cpuset") :
		       0;
}

static int measure_all(const struct trial *trial, unsigned rounds, struct json *json)
{
	struct trial_variant variants[TRIAL_VARIANTS];
	int count = trial_variants(variants), err = count < 0 ? count : 0;

	for (int i = 0; !err && i < count; i++) {
		for (size_t k = 0; !err && k < VARIABLES; k++) {
			struct series series;

			/* It looks all the time, whatever it is told. */
			if (variables[k].work == TRIAL_TRIP && !strcmp(variants[i].name, "generic"))
				continue;
			set_up(&series, &variables[k], &variants[i]);
			err = run(&series, trial, rounds);
			if (!err && json)
				put_series(json, &series);
			else if (!err)
				print_series(&series);
			tear_down(&series);
		}
	}
	return err;
}

bool calibrate(unsigned rounds, uint64_t duration_ns, bool as_json)
{
	struct trial trial = { .duration_ns = duration_ns };
	struct json json;
	int err = find_cpus(&trial);

	if (!err && as_json) {
		begin_json(&json, &trial, rounds);
	} else if (!err) {
		report_versions();
		printf("\n%u rounds of %.0f ms each, on CPUs %d and %d; * is the best\n", rounds,
		       (double)duration_ns / 1e6, trial.cpus[0], trial.cpus[1]);
	}
	if (!err)
		err = measure_all(&trial, rounds, as_json ? &json : NULL);
	if (!err && as_json) {
		json_end_array(&json);
		json_end_object(&json);
	}
	if (err)
		fprintf(stderr, "peal-info: %s\n", complaint());
	return !err;
}
