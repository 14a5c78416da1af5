/*
 * SPDX-License-Identifier: MIT
 *
 * Heat maps for a terminal and for a file. Colours go by the logarithm, from the nearest pair to
 * the farthest, or to four times the nearest if all are nearer: noise is not to look like distance.
 */
#include "config.h"

#include <math.h>

#include "tools/peal-tune/heatmap.h"

/* From near to far: the terminal's colour of 256, the same for SVG, and whether white is read on
 * it. */
static const struct {
	unsigned terminal;
	const char *svg;
	bool dark;
} colours[] = {
	{ 24, "#005f87", true },   { 30, "#008787", true },   { 72, "#5faf87", false },
	{ 143, "#afaf5f", false }, { 179, "#d7af5f", false }, { 173, "#d7875f", false },
	{ 160, "#d70000", true },
};

#define COLOURS (sizeof(colours) / sizeof(colours[0]))

/* Columns of the terminal: of the CPU at the left, of a figure in full, and of one that is
 * shortened; each with a blank. */
#define LABEL 4u
#define FULL 7u
#define SHORT 5u

static double cell(const struct heatmap *map, unsigned row, unsigned column)
{
	return map->ns[(size_t)row * map->count + column];
}

static void find_range(const struct heatmap *map, double *least, double *most)
{
	*least = INFINITY;
	*most = 0;
	for (size_t i = 0; i < (size_t)map->count * map->count; i++) {
		if (isnan(map->ns[i]))
			continue;
		*least = fmin(*least, map->ns[i]);
		*most = fmax(*most, map->ns[i]);
	}
}

static size_t colour_of(double ns, double least, double most)
{
	double width = fmax(log(most / least), log(4)), part = log(ns / least) / width;
	const size_t count = COLOURS;

	return part >= 1 ? count - 1 : (size_t)(part * (double)count);
}

/* A figure of up to four letters, or of all its digits. */
static void print_figure(char *text, size_t size, double ns, bool full)
{
	if (isnan(ns))
		snprintf(text, size, "-");
	else if (full || ns < 9999.5)
		snprintf(text, size, "%.0f", ns);
	else if (ns < 999500)
		snprintf(text, size, "%.0fk", ns / 1e3);
	else
		snprintf(text, size, "%.0fM", ns / 1e6);
}

/* The columns from one CPU up to another, with all rows. */
static void print_panel(const struct heatmap *map, unsigned from, unsigned to, unsigned width,
			bool colour)
{
	double least, most;

	find_range(map, &least, &most);
	printf("%-*s", (int)LABEL, "CPU");
	for (unsigned column = from; column < to; column++)
		printf("%*u", (int)width, map->cpus[column]);
	putchar('\n');
	for (unsigned row = 0; row < map->count; row++) {
		printf("%4u", map->cpus[row]);
		for (unsigned column = from; column < to; column++) {
			double ns = cell(map, row, column);
			char text[32];

			if (row == column) {
				printf("%*s", (int)width, ".");
				continue;
			}
			print_figure(text, sizeof(text), ns, width == FULL);
			if (colour && !isnan(ns)) {
				size_t i = colour_of(ns, least, most);

				printf("\033[48;5;%u;38;5;%um%*s\033[0m", colours[i].terminal,
				       colours[i].dark ? 231u : 16u, (int)width, text);
			} else {
				printf("%*s", (int)width, text);
			}
		}
		putchar('\n');
	}
}

void heatmap_print(const struct heatmap *map, unsigned width, bool colour)
{
	unsigned each = LABEL + map->count * FULL <= width ? FULL : SHORT;
	unsigned fit = (width - LABEL) / each;

	for (unsigned from = 0; from < map->count; from += fit) {
		if (from)
			putchar('\n');
		print_panel(map, from, map->count - from < fit ? map->count : from + fit, each,
			    colour);
	}
}

/* --- SVG -------------------------------------------------------------------------------------- */

enum { LEFT = 64, TOP = 72, CELL_WIDTH = 48, CELL_HEIGHT = 28, LEGEND = 56, LEAST_WIDTH = 560 };

static void plot_text(FILE *file, unsigned x, unsigned y, const char *anchor, const char *fill,
		      const char *text)
{
	fprintf(file, "<text x=\"%u\" y=\"%u\" text-anchor=\"%s\" fill=\"%s\">%s</text>\n", x, y,
		anchor, fill, text);
}

/* On white and on black, both. */
#define GREY "#808080"

static void plot_row(const struct heatmap *map, FILE *file, unsigned row, double least, double most)
{
	unsigned y = TOP + row * CELL_HEIGHT;
	char text[32];

	snprintf(text, sizeof(text), "%u", map->cpus[row]);
	plot_text(file, LEFT - 10, y + 19, "end", GREY, text);
	plot_text(file, LEFT + row * CELL_WIDTH + CELL_WIDTH / 2, TOP - 8, "middle", GREY, text);
	for (unsigned column = 0; column < map->count; column++) {
		unsigned x = LEFT + column * CELL_WIDTH;
		double ns = cell(map, row, column);
		size_t i;

		if (row == column || isnan(ns))
			continue;
		i = colour_of(ns, least, most);
		fprintf(file, "<rect x=\"%u\" y=\"%u\" width=\"%d\" height=\"%d\" fill=\"%s\"/>\n",
			x, y, CELL_WIDTH - 1, CELL_HEIGHT - 1, colours[i].svg);
		print_figure(text, sizeof(text), ns, false);
		plot_text(file, x + CELL_WIDTH / 2, y + 19, "middle",
			  colours[i].dark ? "#ffffff" : "#000000", text);
	}
}

static void plot_legend(FILE *file, unsigned y, double least, double most)
{
	char text[32];

	snprintf(text, sizeof(text), "%.0f ns", least);
	plot_text(file, LEFT + 66, y + 12, "end", GREY, text);
	for (unsigned i = 0; i < COLOURS; i++)
		fprintf(file, "<rect x=\"%u\" y=\"%u\" width=\"24\" height=\"16\" fill=\"%s\"/>\n",
			LEFT + 74 + i * 24, y, colours[i].svg);
	snprintf(text, sizeof(text), "%.0f ns", fmax(most, 4 * least));
	plot_text(file, LEFT + 82 + (unsigned)COLOURS * 24, y + 12, "start", GREY, text);
}

void heatmap_plot(const struct heatmap *map, FILE *file, const char *title)
{
	unsigned width = LEFT + map->count * CELL_WIDTH + 24;
	unsigned bottom = TOP + map->count * CELL_HEIGHT;
	double least, most;

	find_range(map, &least, &most);
	if (width < LEAST_WIDTH)
		width = LEAST_WIDTH;
	fprintf(file,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
		"viewBox=\"0 0 %u %u\" font-family=\"sans-serif\" font-size=\"13\">\n"
		"<title>%s</title>\n"
		"<text x=\"20\" y=\"26\" font-size=\"15\" fill=\"" GREY "\">%s</text>\n",
		width, bottom + LEGEND, width, bottom + LEGEND, title, title);
	plot_text(file, LEFT - 10, TOP - 8, "end", GREY, "CPU");
	for (unsigned row = 0; row < map->count; row++)
		plot_row(map, file, row, least, most);
	if (most > 0)
		plot_legend(file, bottom + 20, least, most);
	fputs("</svg>\n", file);
}
