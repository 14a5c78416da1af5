/*
 * SPDX-License-Identifier: MIT
 *
 * Percentiles, in the text format of HdrHistogram's outputPercentileDistribution
 * (hdrhistogram.github.io): a line for each of five steps of the way that is left to 100 %, which
 * halves again and again; then comments with the mean, the largest and the count.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <peal/runtime.h>

#include "complaint.h"
#include "percentiles.h"

#define STEPS 5 /* in each half of what is left */
#define PATH 4096

static void write_line(FILE *file, const struct histogram *histogram, double share)
{
	double ticks = histogram_percentile(histogram, share);

	/* A time of n whole ticks was really n - 1/2 to n + 1/2. */
	fprintf(file, "%12.3f %2.12f %10" PRIu64, ticks / peal_ticks_per_ns() / 1e3, share,
		histogram_below(histogram, ticks + 0.5));
	if (share < 1)
		fprintf(file, " %14.2f\n", 1 / (1 - share));
	else
		fprintf(file, "\n");
}

static void write_all(FILE *file, const struct histogram *histogram)
{
	const double us = 1e-3 / peal_ticks_per_ns();
	double left = 1;

	fprintf(file, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
		"1/(1-Percentile)");
	/* As long as a step is one of at least one value. */
	for (; left * (double)histogram->count > 1; left /= 2)
		for (int i = 0; i < STEPS; i++)
			write_line(file, histogram, 1 - left + left / 2 * i / STEPS);
	write_line(file, histogram, 1);
	fprintf(file, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n",
		histogram_mean(histogram) * us, histogram_deviation(histogram) * us);
	fprintf(file, "#[Max     = %12.3f, Total count    = %12" PRIu64 "]\n",
		(double)histogram->max * us, histogram->count);
	fprintf(file, "#[Buckets = %12d, SubBuckets     = %12d]\n",
		HISTOGRAM_BUCKETS >> HISTOGRAM_BITS, 2 << HISTOGRAM_BITS);
}

static int write_file(const struct histogram *histogram, const char *path)
{
	FILE *file = fopen(path, "we");
	int err = 0;

	if (!file)
		return complain_errno("writing percentiles to %s", path);
	write_all(file, histogram);
	if (ferror(file))
		err = complain_errno("writing percentiles to %s", path);
	if (fclose(file) && !err)
		err = complain_errno("writing percentiles to %s", path);
	return err;
}

static bool is_wanted(const struct outcome *outcome, bool only_floor)
{
	return outcome->histogram && (only_floor || strcmp(outcome->test, "floor"));
}

/* Whether it is what all can be written to, such as /dev/null, and has none beside it. */
static bool is_device(const char *path)
{
	struct stat there;

	return !stat(path, &there) && !S_ISREG(there.st_mode);
}

int percentiles_write(const struct outcomes *outcomes, const char *path)
{
	const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
	int stem = (int)(dot ? dot - path : (long)strlen(path));
	bool only_floor = true;
	unsigned count = 0;
	int err = 0;

	for (unsigned i = 0; i < outcomes->count; i++)
		only_floor = only_floor && !strcmp(outcomes->list[i].test, "floor");
	for (unsigned i = 0; i < outcomes->count; i++)
		count += is_wanted(&outcomes->list[i], only_floor);
	if (!count)
		return complain(-ENODATA, "no times were measured: %s is not written", path);
	for (unsigned i = 0; i < outcomes->count && !err; i++) {
		const struct outcome *outcome = &outcomes->list[i];
		char name[OUTCOME_TEXT], full[PATH];

		if (!is_wanted(outcome, only_floor))
			continue;
		if (count == 1 || is_device(path))
			snprintf(full, sizeof(full), "%s", path);
		else
			snprintf(full, sizeof(full), "%.*s-%s%s", stem, path,
				 outcome_name(name, outcome), path + stem);
		err = write_file(outcome->histogram, full);
	}
	return err;
}
