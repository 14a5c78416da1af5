/*
 * SPDX-License-Identifier: MIT
 *
 * Tables for people: what stands above the clients, the clients, times as bars, and the list of
 * servers. What others chose, their names, is shown free of what a terminal must not see.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "output.h"

#define LINE_SIZE 1024
#define NAME_SIZE sizeof(((struct peal_peer *)0)->name)

static void heading_flow(const char *name, const struct flow *rate, const struct flow *sum,
			 bool rates, bool full, char *line)
{
	const double values[] = {
		rates ? rate->messages : NAN,
		sum->messages,
		full && rates ? rate->full : NAN,
		full ? sum->full : NAN,
		sum->sleeps,
		sum->rung,
		sum->spared,
	};
	char text[7][FORMAT_SIZE], bytes_rate[FORMAT_SIZE], bytes[FORMAT_SIZE];

	for (unsigned i = 0; i < 7; i++)
		format_count(values[i], text[i]);
	format_bytes(rates ? rate->bytes : NAN, bytes_rate);
	format_bytes(sum->bytes, bytes);
	snprintf(line, HEADING_SIZE, "%-4s%8s%8s%10s%8s%9s%8s%8s%8s%8s", name, text[0], bytes_rate,
		 text[1], bytes, text[2], text[3], text[4], text[5], text[6]);
}

void text_heading(const struct target *target, bool paused, char lines[HEADING_LINES][HEADING_SIZE])
{
	const struct sample *now = &target->sampler.now;
	char name[NAME_SIZE], address[ADDRESS_SIZE], up[FORMAT_SIZE], silent[FORMAT_SIZE];
	char ended[FORMAT_SIZE];
	bool rates = now->seconds > 0;
	int at;

	format_name(now->about.who.name, name, sizeof(name));
	format_address(target->address, address, sizeof(address));
	format_clock(now->up_ns, up);
	format_count((double)now->about.ended, ended);
	snprintf(lines[0], HEADING_SIZE, "%.63s (pid %" PRId64 ", %.32s) at %.200s", name,
		 now->about.who.pid, format_user(now->about.who.uid), address);
	at = snprintf(lines[1], HEADING_SIZE, "up %s, %u links, %s ended", up, now->about.links,
		      ended);
	if (target->silent_ns) {
		format_duration((double)(clock_now() - target->silent_ns), silent);
		at += snprintf(lines[1] + at, (size_t)(HEADING_SIZE - at),
			       "; DOES NOT ANSWER since %s", silent);
	}
	if (target->restarts)
		at += snprintf(lines[1] + at, (size_t)(HEADING_SIZE - at), "; started again: %u",
			       target->restarts);
	if (paused)
		snprintf(lines[1] + at, (size_t)(HEADING_SIZE - at), "; PAUSED");
	snprintf(lines[2], HEADING_SIZE, "%-4s%8s%8s%10s%8s%9s%8s%8s%8s%8s", "", "MSG/s", "B/s",
		 "MESSAGES", "BYTES", "FULL/s", "FULL", "SLEPT", "RUNG", "SPARED");
	heading_flow("in", &now->in_rate, &now->in, rates, false, lines[3]);
	heading_flow("out", &now->out_rate, &now->out, rates, true, lines[4]);
}

bool text_offcpu(const struct sample *sample, struct peal_offcpu *in, struct peal_offcpu *out)
{
	memset(in, 0, sizeof(*in));
	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < sample->count; i++) {
		offcpu_add(in, &sample->links[i].rx_offcpu);
		offcpu_add(out, &sample->links[i].tx_offcpu);
	}
	return offcpu_count(in) || offcpu_count(out);
}

/* A count, and a bar beside it as long as its part of the most. */
static int bar(char *line, size_t size, uint64_t count, uint64_t most, int width)
{
	char text[FORMAT_SIZE];
	int room = width - 7, length;

	format_count((double)count, text);
	length = most ? (int)(((double)count * room + (double)most - 1) / (double)most) : 0;
	length = length > room ? room : length;
	return snprintf(line, size, " %5s %.*s%*s", count ? text : "", length,
			"||||||||||||||||||||||||||||||||||||||||", room - length, "");
}

/* Adds the classes from first to into: the shortest waits have the least to tell. */
static uint64_t fold(const uint64_t *classes, unsigned first, unsigned into)
{
	uint64_t sum = 0;

	for (unsigned i = first; i <= into; i++)
		sum += classes[i];
	return sum;
}

unsigned text_histogram(const struct peal_offcpu *in, const struct peal_offcpu *out, int width,
			unsigned rows, char *text, size_t size)
{
	const uint64_t *const classes[] = { in->spun,  in->slept,  in->woken,
					    out->spun, out->slept, out->woken };
	static const char *const titles[] = { "spun", "slept", "woken", "spun", "slept", "woken" };
	uint64_t most[6] = { 0 };
	int cell = (width - 6) / 6, at;
	unsigned first = PEAL_OFFCPU_CLASSES, last = 0, lines = 2, shown;

	cell = cell > 40 ? 40 : cell < 9 ? 9 : cell;
	for (unsigned i = 0; i < PEAL_OFFCPU_CLASSES; i++) {
		for (unsigned j = 0; j < 6; j++) {
			if (!classes[j][i])
				continue;
			first = i < first ? i : first;
			last = i;
		}
	}
	shown = first <= last && last + 1 - first > rows ? last + 1 - rows : first;
	for (unsigned i = shown; i <= last; i++)
		for (unsigned j = 0; j < 6; j++) {
			uint64_t count = fold(classes[j], i == shown ? first : i, i);

			most[j] = count > most[j] ? count : most[j];
		}
	at = snprintf(text, size, "%-6s %-*s %s\n%-6s", "waits", cell * 3 - 1, "for data (in)",
		      "for room (out)", "below");
	for (unsigned j = 0; j < 6; j++)
		at += snprintf(text + at, size - (size_t)at, " %5s%*s", titles[j], cell - 6, "");
	at += snprintf(text + at, size - (size_t)at, "\n");
	for (unsigned i = shown; i <= last; i++, lines++) {
		char bound[FORMAT_SIZE];

		format_bound(offcpu_bound(i), bound);
		at += snprintf(text + at, size - (size_t)at, "%6s", bound);
		for (unsigned j = 0; j < 6; j++)
			at += bar(text + at, size - (size_t)at,
				  fold(classes[j], i == shown ? first : i, i), most[j], cell);
		at += snprintf(text + at, size - (size_t)at, "\n");
	}
	return lines;
}

static void print_trimmed(char *line)
{
	size_t length = strlen(line);

	while (length && line[length - 1] == ' ')
		line[--length] = '\0';
	puts(line);
}

static void print_table(const struct sample *now, enum view view, const struct client **order,
			int width)
{
	char line[LINE_SIZE], text[COLUMN_SIZE];
	struct layout layout;

	layout_view(&layout, view, width, now);
	for (unsigned row = 0; row <= now->count; row++) {
		int at = 0;

		line[0] = '\0';
		for (unsigned i = 0; i < layout.count; i++) {
			if (row)
				column_text(layout.columns[i], order[row - 1], text);
			if (i)
				line[at++] = ' ';
			at += layout_cell(&layout, i, row ? text : layout.columns[i]->title,
					  line + at, sizeof(line) - (size_t)at);
		}
		print_trimmed(line);
	}
}

void text_sample(const struct target *target, const struct column *sort, bool reverse, int width)
{
	const struct sample *now = &target->sampler.now;
	const struct client **order = calloc(now->count + 1u, sizeof(*order));
	char lines[HEADING_LINES][HEADING_SIZE], bars[HISTOGRAM_SIZE];
	struct peal_offcpu in, out;

	if (!order)
		return;
	text_heading(target, false, lines);
	for (unsigned i = 0; i < HEADING_LINES; i++)
		print_trimmed(lines[i]);
	column_sort(sort, reverse, now, order);
	putchar('\n');
	print_table(now, VIEW_RATES, order, width);
	if (text_offcpu(now, &in, &out)) {
		text_histogram(&in, &out, width ? width : 120, PEAL_OFFCPU_CLASSES, bars,
			       sizeof(bars));
		putchar('\n');
		fputs(bars, stdout);
		putchar('\n');
		print_table(now, VIEW_OFFCPU, order, width);
	}
	free(order);
}

void text_servers(const struct server *servers, unsigned count)
{
	char address[ADDRESS_SIZE], name[NAME_SIZE], pid[FORMAT_SIZE];
	int width = (int)strlen("ADDRESS");

	for (unsigned i = 0; i < count; i++) {
		format_address(servers[i].address, address, sizeof(address));
		width = (int)strlen(address) > width ? (int)strlen(address) : width;
	}
	printf("%-*s %7s %-8s %5s %s\n", width, "ADDRESS", "PID", "USER", "LINKS", "NAME");
	for (unsigned i = 0; i < count; i++) {
		const struct server *server = &servers[i];
		const struct peal_peer *who = &server->about.who;

		format_address(server->address, address, sizeof(address));
		format_name(who->name, name, sizeof(name));
		snprintf(pid, sizeof(pid), who->pid ? "%" PRId64 : "-", who->pid);
		if (server->err)
			printf("%-*s %7s %-8s %5s %s\n", width, address, pid, "-", "-",
			       server->err == -ETIMEDOUT ? "(does not answer)" :
							   "(its library knows no monitors)");
		else
			printf("%-*s %7s %-8s %5u %s\n", width, address, pid, format_user(who->uid),
			       server->about.links, name);
	}
}
