/*
 * SPDX-License-Identifier: MIT
 *
 * The columns, a row of the table each, and the views that they are shown in.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "column.h"
#include "format.h"

#define NAME_LEAST 10
#define NAME_MOST 63
/* A wide terminal has more of a name before it has a further column. */
#define WIDE 100
#define NAME_WIDE 16
#define ALARM_LOOK_PERCENT 50
#define ALARM_WRONG_PERCENT 90
#define ALARM_STALL_NS 1e9

static double percent_of(uint64_t part, uint64_t whole)
{
	return whole ? (double)part * 100 / (double)whole : NAN;
}

static double pid(const struct client *client)
{
	return (double)client->link->peer.pid;
}

static const char *user(const struct client *client)
{
	return format_user(client->link->peer.uid);
}

static const char *name(const struct client *client)
{
	return client->link->peer.name;
}

static const char *role(const struct client *client)
{
	return role_name(client->link->role);
}

static const char *wait_mode(const struct client *client)
{
	return wait_name(client->link->wait);
}

static double age(const struct client *client)
{
	return (double)client->age_ns;
}

static double in_rate(const struct client *client)
{
	return client->in.messages;
}

static double in_bytes_rate(const struct client *client)
{
	return client->in.bytes;
}

static double out_rate(const struct client *client)
{
	return client->out.messages;
}

static double out_bytes_rate(const struct client *client)
{
	return client->out.bytes;
}

static double in_messages(const struct client *client)
{
	return (double)client->link->rx.messages;
}

static double in_bytes(const struct client *client)
{
	return (double)client->link->rx.bytes;
}

static double out_messages(const struct client *client)
{
	return (double)client->link->tx.messages;
}

static double out_bytes(const struct client *client)
{
	return (double)client->link->tx.bytes;
}

static double in_depth(const struct client *client)
{
	return (double)client->link->rx.depth;
}

static double out_depth(const struct client *client)
{
	return (double)client->link->tx.depth;
}

static double in_high(const struct client *client)
{
	return (double)client->link->rx.high_water;
}

static double out_high(const struct client *client)
{
	return (double)client->link->tx.high_water;
}

static double in_size(const struct client *client)
{
	return (double)client->link->rx_capacity;
}

static double out_size(const struct client *client)
{
	return (double)client->link->tx_capacity;
}

static double in_depth_percent(const struct client *client)
{
	return percent_of(client->link->rx.depth, client->link->rx_capacity);
}

static double out_depth_percent(const struct client *client)
{
	return percent_of(client->link->tx.depth, client->link->tx_capacity);
}

static double in_high_percent(const struct client *client)
{
	return percent_of(client->link->rx.high_water, client->link->rx_capacity);
}

static double out_high_percent(const struct client *client)
{
	return percent_of(client->link->tx.high_water, client->link->tx_capacity);
}

static double full(const struct client *client)
{
	return (double)client->link->tx.waits;
}

static double full_rate(const struct client *client)
{
	return client->out.full;
}

static double stall(const struct client *client)
{
	return (double)client->stalled_ns;
}

static double idle(const struct client *client)
{
	return (double)client->idle_ns;
}

static double sleeps(const struct client *client)
{
	return (double)client->link->rx.sleeps + (double)client->link->tx.sleeps;
}

static double sleeps_rate(const struct client *client)
{
	return client->in.sleeps + client->out.sleeps;
}

static double rung(const struct client *client)
{
	return (double)client->link->rx.rung + (double)client->link->tx.rung;
}

static double rung_rate(const struct client *client)
{
	return client->in.rung + client->out.rung;
}

static double spared(const struct client *client)
{
	return (double)counters_spared(&client->link->rx) +
	       (double)counters_spared(&client->link->tx);
}

static double spared_rate(const struct client *client)
{
	return client->in.spared + client->out.spared;
}

static double batched(const struct client *client)
{
	return (double)client->link->rx.batched + (double)client->link->tx.batched;
}

static double slices(const struct client *client)
{
	return (double)client->link->rx.slices + (double)client->link->tx.slices;
}

static double vain(const struct client *client)
{
	return (double)client->link->rx.idle_rings + (double)client->link->tx.idle_rings;
}

static double in_waits(const struct client *client)
{
	return (double)offcpu_count(&client->link->rx_offcpu);
}

static double in_spun(const struct client *client)
{
	return offcpu_quantile(client->link->rx_offcpu.spun, 0.5);
}

static double in_slept(const struct client *client)
{
	return offcpu_quantile(client->link->rx_offcpu.slept, 0.5);
}

static double in_woken(const struct client *client)
{
	return offcpu_quantile(client->link->rx_offcpu.woken, 0.5);
}

static double in_woken_99(const struct client *client)
{
	return offcpu_quantile(client->link->rx_offcpu.woken, 0.99);
}

static double out_waits(const struct client *client)
{
	return (double)offcpu_count(&client->link->tx_offcpu);
}

static double out_spun(const struct client *client)
{
	return offcpu_quantile(client->link->tx_offcpu.spun, 0.5);
}

static double out_slept(const struct client *client)
{
	return offcpu_quantile(client->link->tx_offcpu.slept, 0.5);
}

static double out_woken(const struct client *client)
{
	return offcpu_quantile(client->link->tx_offcpu.woken, 0.5);
}

static double out_woken_99(const struct client *client)
{
	return offcpu_quantile(client->link->tx_offcpu.woken, 0.99);
}

enum {
	PID,
	USER,
	NAME,
	PEER,
	WAIT,
	AGE,
	IN_RATE,
	IN_BYTES_RATE,
	OUT_RATE,
	OUT_BYTES_RATE,
	IN_DEPTH_PERCENT,
	OUT_DEPTH_PERCENT,
	IN_HIGH_PERCENT,
	OUT_HIGH_PERCENT,
	FULL,
	FULL_RATE,
	STALL,
	SLEEPS,
	SLEEPS_RATE,
	RUNG,
	RUNG_RATE,
	SPARED,
	SPARED_RATE,
	BATCHED,
	SLICES,
	VAIN,
	IDLE,
	IN_DEPTH,
	IN_HIGH,
	IN_SIZE,
	OUT_DEPTH,
	OUT_HIGH,
	OUT_SIZE,
	IN_MESSAGES,
	IN_BYTES,
	OUT_MESSAGES,
	OUT_BYTES,
	IN_WAITS,
	IN_SPUN,
	IN_SLEPT,
	IN_WOKEN,
	IN_WOKEN_99,
	OUT_WAITS,
	OUT_SPUN,
	OUT_SLEPT,
	OUT_WOKEN,
	OUT_WOKEN_99,
	COLUMNS
};

static const struct column columns[COLUMNS] = {
	[PID] = { "pid", "PID", "the process at the other side", 7, COLUMN_NUMBER, pid, NULL },
	[USER] = { "user", "USER", "its user", 8, COLUMN_TEXT, NULL, user },
	[NAME] = { "name", "NAME", "what it calls itself", NAME_LEAST, COLUMN_TEXT, NULL, name },
	[PEER] = { "peer", "PEER", "client, server or pair", 6, COLUMN_TEXT, NULL, role },
	[WAIT] = { "wait", "WAIT", "how the server waits: adapt, spin, sleep", 5, COLUMN_TEXT, NULL,
		   wait_mode },
	[AGE] = { "age", "AGE", "since it connected", 5, COLUMN_DURATION, age, NULL },
	[IN_RATE] = { "in", "IN/s", "messages received a second", 5, COLUMN_COUNT, in_rate, NULL },
	[IN_BYTES_RATE] = { "in-bytes", "INB/s", "bytes received a second", 5, COLUMN_BYTES,
			    in_bytes_rate, NULL },
	[OUT_RATE] = { "out", "OUT/s", "messages sent a second", 5, COLUMN_COUNT, out_rate, NULL },
	[OUT_BYTES_RATE] = { "out-bytes", "OUTB/s", "bytes sent a second", 6, COLUMN_BYTES,
			     out_bytes_rate, NULL },
	[IN_DEPTH_PERCENT] = { "in-fill", "IN%", "how full the ring in is", 3, COLUMN_PERCENT,
			       in_depth_percent, NULL },
	[OUT_DEPTH_PERCENT] = { "out-fill", "OUT%", "how full the ring out is", 4, COLUMN_PERCENT,
				out_depth_percent, NULL },
	[IN_HIGH_PERCENT] = { "in-most", "INhi%", "how full the ring in has ever been", 5,
			      COLUMN_PERCENT, in_high_percent, NULL },
	[OUT_HIGH_PERCENT] = { "out-most", "OUThi%", "how full the ring out has ever been", 6,
			       COLUMN_PERCENT, out_high_percent, NULL },
	[FULL] = { "full", "FULL", "times that the ring out was full", 5, COLUMN_COUNT, full,
		   NULL },
	[FULL_RATE] = { "full-rate", "FULL/s", "times a second that it was full", 6, COLUMN_COUNT,
			full_rate, NULL },
	[STALL] = { "stall", "STALL", "how long the ring out has been full now", 5, COLUMN_DURATION,
		    stall, NULL },
	[SLEEPS] = { "sleeps", "SLEPT", "times that the server slept for it", 5, COLUMN_COUNT,
		     sleeps, NULL },
	[SLEEPS_RATE] = { "sleeps-rate", "SLP/s", "times a second that the server slept for it", 5,
			  COLUMN_COUNT, sleeps_rate, NULL },
	[RUNG] = { "rung", "RUNG", "bells that the server rang", 5, COLUMN_COUNT, rung, NULL },
	[RUNG_RATE] = { "rung-rate", "RUNG/s", "bells a second that the server rang", 6,
			COLUMN_COUNT, rung_rate, NULL },
	[SPARED] = { "spared", "SPARED", "bells that it spared: the peer was awake", 6,
		     COLUMN_COUNT, spared, NULL },
	[SPARED_RATE] = { "spared-rate", "SPARE/s", "bells a second that it spared", 7,
			  COLUMN_COUNT, spared_rate, NULL },
	[BATCHED] = { "batched", "BATCH", "messages that went with the one before", 5, COLUMN_COUNT,
		      batched, NULL },
	[SLICES] = { "slices", "SLICE", "sleeps that no bell ended", 5, COLUMN_COUNT, slices,
		     NULL },
	[VAIN] = { "vain", "VAIN", "bells that came without news", 5, COLUMN_COUNT, vain, NULL },
	[IDLE] = { "idle", "IDLE", "how long the server has waited for its data now", 5,
		   COLUMN_DURATION, idle, NULL },
	[IN_DEPTH] = { "in-depth", "IN", "bytes in the ring in", 5, COLUMN_BYTES, in_depth, NULL },
	[IN_HIGH] = { "in-high", "INhi", "most that were ever in it", 5, COLUMN_BYTES, in_high,
		      NULL },
	[IN_SIZE] = { "in-size", "INmax", "its capacity", 5, COLUMN_BYTES, in_size, NULL },
	[OUT_DEPTH] = { "out-depth", "OUT", "bytes in the ring out", 5, COLUMN_BYTES, out_depth,
			NULL },
	[OUT_HIGH] = { "out-high", "OUThi", "most that were ever in it", 5, COLUMN_BYTES, out_high,
		       NULL },
	[OUT_SIZE] = { "out-size", "OUTmax", "its capacity", 6, COLUMN_BYTES, out_size, NULL },
	[IN_MESSAGES] = { "in-total", "MSGin", "messages received", 5, COLUMN_COUNT, in_messages,
			  NULL },
	[IN_BYTES] = { "in-bytes-total", "BYTin", "bytes received", 5, COLUMN_BYTES, in_bytes,
		       NULL },
	[OUT_MESSAGES] = { "out-total", "MSGout", "messages sent", 6, COLUMN_COUNT, out_messages,
			   NULL },
	[OUT_BYTES] = { "out-bytes-total", "BYTout", "bytes sent", 6, COLUMN_BYTES, out_bytes,
			NULL },
	[IN_WAITS] = { "in-waits", "INn", "waits for its data that were measured", 5, COLUMN_COUNT,
		       in_waits, NULL },
	[IN_SPUN] = { "in-spun", "spun", "how long such a wait spun: half of them less than", 5,
		      COLUMN_BOUND, in_spun, NULL },
	[IN_SLEPT] = { "in-slept", "slept", "how long it slept, likewise", 5, COLUMN_BOUND,
		       in_slept, NULL },
	[IN_WOKEN] = { "in-woken", "woken", "and from the ring to running, likewise", 5,
		       COLUMN_BOUND, in_woken, NULL },
	[IN_WOKEN_99] = { "in-woken-99", "99%", "of which 99 % were less than", 5, COLUMN_BOUND,
			  in_woken_99, NULL },
	[OUT_WAITS] = { "out-waits", "OUTn", "waits for its room that were measured", 5,
			COLUMN_COUNT, out_waits, NULL },
	[OUT_SPUN] = { "out-spun", "spun", "the same of these", 5, COLUMN_BOUND, out_spun, NULL },
	[OUT_SLEPT] = { "out-slept", "slept", "the same of these", 5, COLUMN_BOUND, out_slept,
			NULL },
	[OUT_WOKEN] = { "out-woken", "woken", "the same of these", 5, COLUMN_BOUND, out_woken,
			NULL },
	[OUT_WOKEN_99] = { "out-woken-99", "99%", "the same of these", 5, COLUMN_BOUND,
			   out_woken_99, NULL },
};

/* As many as fit into 80 columns come first; behind them what more there is room for in 120, then
 * the rest. */
static const unsigned char views[VIEWS][COLUMNS_MAX] = {
	[VIEW_RATES] = { PID,
			 USER,
			 NAME,
			 WAIT,
			 IN_RATE,
			 IN_BYTES_RATE,
			 OUT_RATE,
			 OUT_BYTES_RATE,
			 IN_DEPTH_PERCENT,
			 OUT_DEPTH_PERCENT,
			 FULL_RATE,
			 STALL,
			 IN_HIGH_PERCENT,
			 OUT_HIGH_PERCENT,
			 SLEEPS_RATE,
			 RUNG_RATE,
			 SPARED_RATE,
			 AGE,
			 FULL,
			 SLEEPS,
			 RUNG,
			 SPARED,
			 PEER,
			 COLUMNS },
	[VIEW_RINGS] = { PID, NAME, IN_DEPTH, IN_HIGH, IN_SIZE, OUT_DEPTH, OUT_HIGH, OUT_SIZE, FULL,
			 FULL_RATE, STALL, USER, PEER, IN_HIGH_PERCENT, OUT_HIGH_PERCENT, AGE,
			 COLUMNS },
	[VIEW_BELLS] = { PID,      NAME,      WAIT,   SLEEPS,      SLEEPS_RATE,
			 RUNG,     RUNG_RATE, SPARED, SPARED_RATE, IDLE,
			 BATCHED,  SLICES,    VAIN,   IN_MESSAGES, OUT_MESSAGES,
			 IN_BYTES, OUT_BYTES, USER,   PEER,        COLUMNS },
	[VIEW_OFFCPU] = { PID, NAME, IN_WAITS, IN_SPUN, IN_SLEPT, IN_WOKEN, IN_WOKEN_99, OUT_WAITS,
			  OUT_SPUN, OUT_SLEPT, OUT_WOKEN, OUT_WOKEN_99, USER, WAIT, COLUMNS },
};

const char *view_name(enum view view)
{
	static const char *const names[VIEWS] = { "rates", "rings", "bells", "off-CPU" };

	return names[view];
}

const struct column *view_column(enum view view, unsigned n)
{
	return n < COLUMNS_MAX && views[view][n] < COLUMNS ? &columns[views[view][n]] : NULL;
}

const struct column *column_at(unsigned n)
{
	return n < COLUMNS ? &columns[n] : NULL;
}

const struct column *column_find(const char *key)
{
	for (unsigned i = 0; i < COLUMNS; i++)
		if (!strcmp(columns[i].key, key))
			return &columns[i];
	return NULL;
}

static int longest_name(const struct sample *sample)
{
	size_t longest = NAME_LEAST;

	for (unsigned i = 0; i < sample->count; i++) {
		size_t length = strnlen(sample->links[i].peer.name, NAME_MOST);

		longest = length > longest ? length : longest;
	}
	return (int)longest;
}

void layout_view(struct layout *layout, enum view view, int width, const struct sample *sample)
{
	const struct column *column;
	int used = 0, names = longest_name(sample), kept = 0;

	if (width >= WIDE)
		kept = (names < NAME_WIDE ? names : NAME_WIDE) - NAME_LEAST;
	layout->count = 0;
	for (unsigned i = 0; (column = view_column(view, i)); i++) {
		if (width && used + !!used + column->width + kept > width)
			break;
		used += !!used + column->width;
		layout->columns[layout->count] = column;
		layout->widths[layout->count++] = column->width;
	}
	for (unsigned i = 0; i < layout->count; i++) {
		int more = width && width - used < names - NAME_LEAST ? width - used :
									names - NAME_LEAST;

		if (layout->columns[i] == &columns[NAME] && more > 0)
			layout->widths[i] += more;
	}
}

void column_text(const struct column *column, const struct client *client, char text[COLUMN_SIZE])
{
	double value = column->value ? column->value(client) : 0;

	switch (column->form) {
	case COLUMN_TEXT:
		format_name(column->text(client), text, COLUMN_SIZE);
		break;
	case COLUMN_NUMBER:
		snprintf(text, COLUMN_SIZE, value > 0 ? "%.0f" : "-", value);
		break;
	case COLUMN_COUNT:
		format_count(value, text);
		break;
	case COLUMN_BYTES:
		format_bytes(value, text);
		break;
	case COLUMN_PERCENT:
		format_percent(value, text);
		break;
	case COLUMN_DURATION:
		format_duration(value, text);
		break;
	case COLUMN_BOUND:
		format_bound(value, text);
		break;
	}
}

int layout_cell(const struct layout *layout, unsigned n, const char *text, char *cell, size_t size)
{
	int width = layout->widths[n];
	bool left = layout->columns[n]->form == COLUMN_TEXT;

	snprintf(cell, size, "%*.*s", left ? -width : width, width, text);
	return (int)strlen(cell);
}

int column_alarm(const struct column *column, const struct client *client)
{
	double value = column->value ? column->value(client) : 0;

	if (column == &columns[STALL])
		return value >= ALARM_STALL_NS ? 2 : value > 0;
	if (column == &columns[FULL_RATE])
		return value > 0;
	if (column->form == COLUMN_PERCENT)
		return value >= ALARM_WRONG_PERCENT ? 2 : value >= ALARM_LOOK_PERCENT;
	return 0;
}

/* What qsort is told of. */
static const struct column *sort_column;
static bool sort_reverse;

/* What is not known is less than anything: a NaN would have no order at all. */
static double figure(const struct client *client)
{
	double value = sort_column->value(client);

	return isnan(value) ? -1 : value;
}

static int compare(const void *a, const void *b)
{
	const struct client *left = *(const struct client *const *)a;
	const struct client *right = *(const struct client *const *)b;
	int result;

	if (sort_column->form == COLUMN_TEXT) {
		result = strcmp(sort_column->text(left), sort_column->text(right));
	} else {
		double first = figure(left), second = figure(right);

		result = (first < second) - (first > second);
	}
	if (result)
		return sort_reverse ? -result : result;
	return left->link->id < right->link->id ? -1 : left->link->id > right->link->id;
}

void column_sort(const struct column *column, bool reverse, const struct sample *sample,
		 const struct client **order)
{
	for (unsigned i = 0; i < sample->count; i++)
		order[i] = &sample->clients[i];
	sort_column = column;
	sort_reverse = reverse;
	if (sample->count)
		qsort(order, sample->count, sizeof(order[0]), compare);
}
