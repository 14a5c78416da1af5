/*
 * SPDX-License-Identifier: MIT
 *
 * Plots: a script with its data, which gnuplot reads from a pipe. A series is what differs by its
 * place on the horizontal axis only; what its outcomes have in common is its title.
 */
#include "config.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <peal/runtime.h>

#include "complaint.h"
#include "plot.h"

#define STEPS 16 /* of a percentile curve, in each factor of ten of what is left to 100 % */

/* That can be told apart, also by who sees fewer (Okabe and Ito's, but for its yellow); then
 * others. */
static const char *const colours[] = { "000000", "0072b2", "d55e00", "009e73", "cc79a7", "e69f00",
				       "56b4e9", "7f3f00", "6a3d9a", "808080", "b2182b", "1b7837" };
#define COLOURS (unsigned)(sizeof(colours) / sizeof(colours[0]))

enum kind { PERCENTILES, THROUGHPUT, CPU, REQUESTS };

static const char *ending(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot ? dot : "";
}

static bool is_there(const char *command)
{
	const char *path = getenv("PATH");
	char full[4096];

	while (path && *path) {
		int length = (int)strcspn(path, ":");

		snprintf(full, sizeof(full), "%.*s/%s", length, path, command);
		if (!access(full, X_OK))
			return true;
		path += length + (path[length] == ':');
	}
	return false;
}

int plot_check(const char *path)
{
	if (strcmp(ending(path), ".svg") && strcmp(ending(path), ".png"))
		return complain(-EINVAL,
				"a plot is written as SVG or PNG: %s ends in neither .svg nor .png",
				path);
	/* gnuplot has a meaning of its own for these. */
	if (path[0] == '|' || strchr(path, '\n'))
		return complain(-EINVAL, "gnuplot takes no such name of a file: %s: give another",
				path);
	if (!is_there("gnuplot"))
		return complain(-ENOENT,
				"--plot needs gnuplot, which is not in PATH: install it (Debian: "
				"gnuplot-nox), or leave out --plot");
	return 0;
}

static enum kind kind_of(const struct outcome *outcome)
{
	if (!strcmp(outcome->test, "stream"))
		return THROUGHPUT;
	if (!strcmp(outcome->test, "rate"))
		return CPU;
	if (!strcmp(outcome->test, "floor") || !strcmp(outcome->test, "latency"))
		return PERCENTILES;
	return REQUESTS;
}

/* Where an outcome stands in its series. */
static double across(const struct outcome *outcome, enum kind kind)
{
	return kind == THROUGHPUT ? (double)outcome->size :
	       kind == CPU        ? (double)outcome->rate :
				    (double)outcome->clients;
}

static double upward(const struct outcome *outcome, enum kind kind)
{
	return kind == THROUGHPUT ? outcome->msgs_per_s * (double)outcome->size :
	       kind == CPU        ? outcome->cpu_ns * outcome->msgs_per_s / 1e7 :
				    outcome->msgs_per_s;
}

static bool is_floor(const struct outcome *outcome)
{
	return !strcmp(outcome->test, "floor");
}

/* Whether two are of one series. */
static bool is_one(const struct outcome *one, const struct outcome *two, enum kind kind)
{
	return !strcmp(one->test, two->test) && one->transport == two->transport &&
	       one->wait == two->wait && one->batch == two->batch && one->links == two->links &&
	       one->zero_copy == two->zero_copy && one->word == two->word &&
	       (kind == THROUGHPUT || one->size == two->size) &&
	       (kind == CPU || one->rate == two->rate) &&
	       (kind == REQUESTS || one->clients == two->clients);
}

/* Whether it is the first of a series that is drawn. */
static bool begins(const struct outcomes *outcomes, unsigned index, enum kind kind)
{
	if (is_floor(&outcomes->list[index]) || kind_of(&outcomes->list[index]) != kind)
		return false;
	for (unsigned i = 0; i < index; i++)
		if (is_one(&outcomes->list[i], &outcomes->list[index], kind))
			return false;
	return true;
}

static void write_title(FILE *file, const struct outcome *outcome, enum kind kind)
{
	char size[OPTIONS_SIZE_TEXT];

	if (is_floor(outcome)) {
		fprintf(file, "floor");
		return;
	}
	fprintf(file, "%s, %s", outcome->transport, outcome->wait);
	if (outcome->batch > 1)
		fprintf(file, ", %u at a time", outcome->batch);
	if (outcome->zero_copy)
		fprintf(file, ", in place");
	if (outcome->word)
		fprintf(file, ", a word");
	if (kind == CPU || kind == REQUESTS)
		fprintf(file, ", %s bytes", options_size_text(size, outcome->size));
}

/* From the fastest to as far as there were enough of them. */
static void write_percentiles(FILE *file, const struct histogram *histogram)
{
	const double seconds = 1e-9 / peal_ticks_per_ns();
	double left = 1;

	for (; left * (double)histogram->count >= 1; left *= pow(10, -1.0 / STEPS))
		fprintf(file, "%.6g %.6g\n", 1 / left,
			histogram_percentile(histogram, 1 - left) * seconds);
	fprintf(file, "%.6g %.6g\n", 1 / left, (double)histogram->max * seconds);
}

static void write_points(FILE *file, const struct outcomes *outcomes, unsigned first,
			 enum kind kind)
{
	for (unsigned i = first; i < outcomes->count; i++) {
		const struct outcome *outcome = &outcomes->list[i];

		if (is_one(&outcomes->list[first], outcome, kind) &&
		    isfinite(upward(outcome, kind)))
			fprintf(file, "%.6g %.6g\n", across(outcome, kind), upward(outcome, kind));
	}
}

/* The percentiles of a size: a panel of their own. */
static void draw_percentiles(FILE *file, const struct outcomes *outcomes, uint64_t size)
{
	char text[OPTIONS_SIZE_TEXT];
	const char *comma = "plot";

	for (unsigned i = 0; i < outcomes->count; i++) {
		if (outcomes->list[i].size != size || !outcomes->list[i].histogram)
			continue;
		fprintf(file, "$of%u << END\n", i);
		write_percentiles(file, outcomes->list[i].histogram);
		fprintf(file, "END\n");
	}
	fprintf(file, "set title 'round trips of %s bytes'\n", options_size_text(text, size));
	for (unsigned i = 0; i < outcomes->count; i++) {
		if (outcomes->list[i].size != size || !outcomes->list[i].histogram)
			continue;
		fprintf(file, "%s $of%u with lines title '", comma, i);
		write_title(file, &outcomes->list[i], PERCENTILES);
		fprintf(file, "'");
		comma = ",";
	}
	fprintf(file, "\n");
}

static void draw_all_percentiles(FILE *file, const struct outcomes *outcomes)
{
	fprintf(file, "set logscale xy\nset xlabel 'percentile'\nset format y '%%.0s %%cs'\n"
		      "set xtics ('0' 1, '90' 10, '99' 100, '99.9' 1e3, '99.99' 1e4, '99.999' 1e5, "
		      "'99.9999' 1e6, '99.99999' 1e7)\n");
	for (unsigned i = 0; i < outcomes->count; i++) {
		unsigned earlier = 0;

		while (outcomes->list[earlier].size != outcomes->list[i].size)
			earlier++;
		if (earlier == i)
			draw_percentiles(file, outcomes, outcomes->list[i].size);
	}
}

static void draw_series(FILE *file, const struct outcomes *outcomes, enum kind kind)
{
	static const char *const settings[] = {
		[THROUGHPUT] =
			"set logscale xy\nset xlabel 'bytes of a message'\nset ylabel 'bytes a second'\n",
		[CPU] = "set logscale x\nset xlabel 'messages a second'\n"
			"set ylabel '% of a CPU, of the receiver'\n"
			"set yrange [0:*]\n",
		[REQUESTS] = "set logscale xy\nset xlabel 'clients'\nset ylabel 'a second'\n",
	};
	const char *comma = "plot";

	fprintf(file, "%sset title '%s'\nset format x '%%.0s%%c'\nset format y '%%.0s%%c'\n",
		settings[kind], outcomes->list[outcomes->count - 1].test);
	for (unsigned i = 0; i < outcomes->count; i++) {
		if (!begins(outcomes, i, kind))
			continue;
		fprintf(file, "$of%u << END\n", i);
		write_points(file, outcomes, i, kind);
		fprintf(file, "END\n");
	}
	for (unsigned i = 0; i < outcomes->count; i++) {
		if (!begins(outcomes, i, kind))
			continue;
		fprintf(file, "%s $of%u with linespoints title '", comma, i);
		write_title(file, &outcomes->list[i], kind);
		fprintf(file, "'");
		comma = ",";
	}
	fprintf(file, "\n");
}

/* How many sizes there are, each of which has a panel. */
static unsigned panels_of(const struct outcomes *outcomes, enum kind kind)
{
	unsigned panels = 0;

	for (unsigned i = 0; i < outcomes->count && kind == PERCENTILES; i++) {
		unsigned earlier = 0;

		while (outcomes->list[earlier].size != outcomes->list[i].size)
			earlier++;
		panels += earlier == i;
	}
	return panels ? panels : 1;
}

static void write_output(FILE *file, const char *path)
{
	fprintf(file, "set output '");
	for (const char *c = path; *c; c++)
		fprintf(file, *c == '\'' ? "''" : "%c", *c);
	fprintf(file, "'\n");
}

int plot_write(const struct outcomes *outcomes, const char *path)
{
	enum kind kind;
	unsigned panels, across_panels;
	void (*on_pipe)(int);
	FILE *file;
	int status;

	if (!outcomes->count)
		return complain(-ENODATA, "nothing was measured: %s is not drawn", path);
	kind = kind_of(&outcomes->list[outcomes->count - 1]);
	panels = panels_of(outcomes, kind);
	across_panels = panels > 1 ? 2 : 1;
	file = popen("gnuplot", "we");
	if (!file)
		return complain_errno("starting gnuplot");
	/* It may end before it has read all; the report is still to be written then. */
	on_pipe = signal(SIGPIPE, SIG_IGN);
	fprintf(file, "set terminal %s size %u,%u background rgb 'white'\n",
		strcmp(ending(path), ".svg") ? "pngcairo" : "svg", 900 * across_panels,
		560 * ((panels + 1) / 2));
	write_output(file, path);
	for (unsigned i = 0; i < COLOURS; i++)
		fprintf(file, "set linetype %u lc rgb '#%s' lw 2 pt 7 ps 0.5\n", i + 1, colours[i]);
	fprintf(file, "set linetype cycle %u\n", COLOURS);
	fprintf(file, "set grid\nset key outside right\nset multiplot layout %u,%u\n",
		(panels + across_panels - 1) / across_panels, across_panels);
	if (kind == PERCENTILES)
		draw_all_percentiles(file, outcomes);
	else
		draw_series(file, outcomes, kind);
	fprintf(file, "unset multiplot\n");
	status = pclose(file);
	signal(SIGPIPE, on_pipe);
	if (status < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
		return complain(-EIO, "gnuplot did not draw %s: see what it says", path);
	return 0;
}
