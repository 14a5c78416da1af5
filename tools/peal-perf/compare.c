/*
 * SPDX-License-Identifier: MIT
 *
 * Comparisons. The ratio of two runs is the median of all ratios of a round of the one and a round
 * of the other, and its spread the interval that has it in 95 of 100 cases, whatever the rounds'
 * distribution is: Hodges and Lehmann's estimator, and Moses' interval, which counts ranks as Mann
 * and Whitney's test does (Hollander, Wolfe, Chicken: Nonparametric Statistical Methods,
 * chapter 4).
 *
 * Rounds of one run resemble each other more than those of two runs do: meanwhile the machine's
 * cores move. So the ratio is taken a second time of values by the floor of their round; a
 * difference is one that both see.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "report.h"

#define CONFIDENCE 1.96  /* standard deviations that have 95 of 100 */
#define ROUNDS_MOST 1000 /* of either run, about; of more, some are taken */
#define NAME_WIDTH 30    /* of the table's first column */

/* How much of the earlier run the later one takes. */
struct ratio {
	double median, low, high; /* NAN: nothing to tell */
};

enum verdict { BETTER, WORSE, NO_DIFFERENCE, TOO_FEW, VERDICTS };

struct comparison {
	struct ratio ratio, by_floor;
	enum verdict verdict;
};

static const char *const verdicts[VERDICTS] = {
	[BETTER] = "better",
	[WORSE] = "worse",
	[NO_DIFFERENCE] = "no difference seen",
	[TOO_FEW] = "too few rounds",
};

static int by_size(const void *one, const void *two)
{
	double a = *(const double *)one, b = *(const double *)two;

	return (a > b) - (a < b);
}

/* What remains of so many values without those that are none. */
static unsigned without_nan(double *values, unsigned count)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < count; i++)
		if (isfinite(values[i]) && values[i] > 0)
			values[kept++] = values[i];
	return kept;
}

static struct ratio ratio_of(double *now, unsigned n, double *then, unsigned m)
{
	struct ratio ratio = { NAN, NAN, NAN };
	unsigned count = 0, edge;
	double *all, from_edge;

	n = without_nan(now, n);
	m = without_nan(then, m);
	all = n && m ? malloc(sizeof(*all) * n * m) : NULL;
	if (!all)
		return ratio;
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < m; j++)
			all[count++] = now[i] / then[j];
	qsort(all, count, sizeof(*all), by_size);
	ratio.median = (all[(count - 1) / 2] + all[count / 2]) / 2;
	/* Half a rank less, for ranks are whole: else of few rounds it would be 90 of 100. */
	from_edge = count / 2.0 - CONFIDENCE * sqrt(count * (n + m + 1.0) / 12) - 0.5;
	if (from_edge >= 0) {
		edge = (unsigned)from_edge;
		ratio.low = all[edge];
		ratio.high = all[count - 1 - edge];
	}
	free(all);
	return ratio;
}

/* Every so-manieth of the rounds, if there are too many; by the floor, if that is wanted. */
static double *rounds_of(const struct outcome *outcome, bool by_floor, unsigned *count)
{
	/* An odd step: rounds that take turns in two orders are seen of both. */
	unsigned step = outcome->rounds > ROUNDS_MOST ? outcome->rounds / ROUNDS_MOST | 1 : 1;
	double *values = calloc(outcome->rounds + 1, sizeof(*values));

	*count = 0;
	for (unsigned i = 0; i < outcome->rounds && values; i += step) {
		double floor = outcome->floors[i];

		/* Times are so many floors, and rates so many in one. */
		values[(*count)++] = !by_floor      ? outcome->values[i] :
				     outcome->timed ? outcome->values[i] / floor :
						      outcome->values[i] * floor;
	}
	return values;
}

static struct ratio ratio_between(const struct outcome *now, const struct outcome *then,
				  bool by_floor)
{
	unsigned n, m;
	double *one = rounds_of(now, by_floor, &n), *two = rounds_of(then, by_floor, &m);
	struct ratio ratio = { NAN, NAN, NAN };

	if (one && two)
		ratio = ratio_of(one, n, two, m);
	free(one);
	free(two);
	return ratio;
}

/* Where it is certain to lie: below 1, above it, or on either side. */
static int side_of(const struct ratio *ratio)
{
	return ratio->high < 1 ? -1 : ratio->low > 1 ? 1 : 0;
}

static struct comparison compare(const struct outcome *now, const struct outcome *then)
{
	struct comparison found = {
		.ratio = ratio_between(now, then, false),
		.by_floor = { NAN, NAN, NAN },
	};
	int side = side_of(&found.ratio);

	if (strcmp(now->test, "floor"))
		found.by_floor = ratio_between(now, then, true);
	/* Where floors were measured, they have a say. */
	if (!isnan(found.by_floor.low) && side_of(&found.by_floor) != side)
		side = 0;
	if (isnan(found.ratio.low))
		found.verdict = TOO_FEW;
	else if (!side)
		found.verdict = NO_DIFFERENCE;
	else
		found.verdict = (side < 0) == now->timed ? BETTER : WORSE;
	return found;
}

static bool is_same(const struct outcome *one, const struct outcome *two)
{
	return !strcmp(one->test, two->test) && !strcmp(one->transport, two->transport) &&
	       !strcmp(one->wait, two->wait) && one->size == two->size && one->rate == two->rate &&
	       one->batch == two->batch && one->links == two->links &&
	       one->clients == two->clients && one->zero_copy == two->zero_copy &&
	       one->word == two->word;
}

/* The comparison of an outcome; false: the earlier run has none like it. Of several that are alike,
 * such as the floors of several rates, the first is held against the first. */
static bool find(const struct earlier *earlier, const struct outcomes *outcomes, unsigned index,
		 struct comparison *found)
{
	const struct outcome *now = &outcomes->list[index];
	unsigned before = 0;

	for (unsigned i = 0; i < index; i++)
		before += is_same(&outcomes->list[i], now);
	for (unsigned i = 0; i < earlier->outcomes.count; i++) {
		const struct outcome *then = &earlier->outcomes.list[i];

		if (!is_same(now, then) || before--)
			continue;
		*found = compare(now, then);
		return true;
	}
	return false;
}

/* What else the figures of the two may differ by. */
static void print_otherwise(const struct earlier *earlier, const struct options *options)
{
	if (strcmp(earlier->model, report_fact("cpu", "model")))
		printf("It was another CPU then: %s.\n", earlier->model);
	if (strcmp(earlier->kernel, report_fact("kernel", "release")))
		printf("It was another kernel then: %s.\n", earlier->kernel);
	if (strcmp(earlier->sharing, options->sharing ? options->sharing : ""))
		printf("The two CPUs had something else in common then: %s.\n",
		       *earlier->sharing ? earlier->sharing : "it does not say what");
	if (earlier->threads != options->threads)
		printf("The two sides were %s then.\n", earlier->threads ? "threads" : "processes");
}

/* With four digits, or as many as stand before the point; in five columns. */
static char *number_text(char *text, double number)
{
	if (number >= 99999.5) {
		snprintf(text, REPORT_TEXT, "%.0e", number);
		return text;
	}
	snprintf(text, REPORT_TEXT, "%.*f",
		 number < 9.9995 ? 3 :
		 number < 99.995 ? 2 :
		 number < 999.95 ? 1 :
				   0,
		 number);
	return text;
}

static void print_ratio(const struct ratio *ratio)
{
	char median[REPORT_TEXT], low[REPORT_TEXT], high[REPORT_TEXT];
	char text[3 * REPORT_TEXT + 8] = "-";

	if (!isnan(ratio->low))
		snprintf(text, sizeof(text), "%s (%s to %s)", number_text(median, ratio->median),
			 number_text(low, ratio->low), number_text(high, ratio->high));
	else if (!isnan(ratio->median))
		number_text(text, ratio->median);
	printf(" %-22s", text);
}

void compare_print(const struct earlier *earlier, const struct outcomes *outcomes,
		   const struct options *options)
{
	printf("\nbeside %s,\nas so many times what it was then (and where that lies, 95 of 100 times)\n"
	       "%-*s %-4s %-22s %-22s verdict\n",
	       earlier->path, NAME_WIDTH, "", "", "ratio", "ratio by the floor");
	for (unsigned i = 0; i < outcomes->count; i++) {
		const struct outcome *now = &outcomes->list[i];
		struct comparison found;
		char name[OUTCOME_TEXT];

		/* A long name has a line of its own. */
		if (printf("%-*s", NAME_WIDTH, outcome_name(name, now)) > NAME_WIDTH)
			printf("\n%-*s", NAME_WIDTH, "");
		printf(" %-4s", now->timed ? "time" : "rate");
		if (!find(earlier, outcomes, i, &found)) {
			printf(" was not measured then\n");
			continue;
		}
		print_ratio(&found.ratio);
		print_ratio(&found.by_floor);
		printf(" %s\n", verdicts[found.verdict]);
	}
	printf("Rounds of one run resemble each other: what is better or worse is to be seen again.\n");
	print_otherwise(earlier, options);
}

static void json_ratio(struct json *json, const char *name, const struct ratio *ratio)
{
	char spread[48];

	json_number(json, name, ratio->median, 4);
	snprintf(spread, sizeof(spread), "%s_interval", name);
	json_array(json, spread);
	json_number(json, NULL, ratio->low, 4);
	json_number(json, NULL, ratio->high, 4);
	json_end_array(json);
}

void compare_json(const struct earlier *earlier, const struct outcomes *outcomes, struct json *json)
{
	json_array(json, "comparison");
	for (unsigned i = 0; i < outcomes->count; i++) {
		const struct outcome *now = &outcomes->list[i];
		struct comparison found;
		char name[OUTCOME_TEXT];

		if (!find(earlier, outcomes, i, &found))
			continue;
		json_object(json, NULL);
		json_string(json, "name", outcome_name(name, now));
		json_string(json, "of", now->timed ? "time" : "rate");
		json_ratio(json, "ratio", &found.ratio);
		json_ratio(json, "ratio_by_floor", &found.by_floor);
		json_string(json, "verdict", verdicts[found.verdict]);
		json_end_object(json);
	}
	json_end_array(json);
}
