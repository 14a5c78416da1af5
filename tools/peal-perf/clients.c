/*
 * SPDX-License-Identifier: MIT
 *
 * The driver of servers and clients. A slice has a server of its own, on the first CPU, and the
 * processes of clients on the second; what the server used is counted from when all is quiet before
 * the slice to when all is quiet behind it.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <peal/runtime.h>

#include "clients.h"
#include "complaint.h"
#include "driver.h"
#include "extras.h"
#include "matrix.h"
#include "meeting.h"
#include "pace.h"
#include "partner.h"
#include "process.h"
#include "progress.h"
#include "report.h"
#include "watch.h"

#define ALONE_MOST 200 /* clients that are processes of their own */
#define PROCESSES 4    /* of more clients, and of those that stay */
#define ROWS 32
#define SPARE_DESCRIPTORS 64 /* of a process, beside those of its clients */
#define WARM_UP 1000         /* visits before the first look at what a server holds */
#define MARGIN_NS 100000     /* before a visit that is due, spun */
#define QUIET_MS 20
#define QUIET_S 2e-4 /* of CPU time in QUIET_MS */
#define QUIET_TRIES 100
#define MATRIX_RING ((uint64_t)64 << 10)
#define MATRIX_SECONDS 0.3
#define FLUSH_S 2.5 /* after which the kernel has summed up what a control group is charged with */

struct child {
	pid_t pid; /* 0: none */
	int control;
};

/* A row, and what it takes to measure it. */
struct track {
	struct clients_row *row;
	struct answer answer; /* of the present slice: that of all clients together */
};

struct run {
	const struct options *options;
	enum clients_test test;
	struct driver driver; /* for its folder */
	struct setup setup;
	unsigned clients;
	uint64_t rate;
	double seconds; /* of a slice */
	unsigned rounds;
	unsigned slices; /* so far */

	struct child server;
	struct holdings_group group;
	struct child *processes; /* of clients */
	unsigned process_count;

	struct track tracks[ROWS];
	unsigned count;
	struct json json;
	struct fields fields;
	struct extras extras;
	bool matrix; /* is printed, when all is measured */
	uint64_t failures;
	bool measured; /* anything */
	char left_out[COMPLAINT_SIZE];
};

const char *clients_name(enum clients_test test)
{
	static const char *const names[CLIENTS_TESTS] = {
		[CLIENTS_CONNECT] = "connect", [CLIENTS_CHURN] = "churn",
		[CLIENTS_SERVE] = "serve",     [CLIENTS_CLOSED] = "closed",
		[CLIENTS_IDLE] = "idle",       [CLIENTS_BESIDE] = "beside",
	};

	return names[test];
}

struct figure clients_figure(const struct clients_row *row, enum clients_figure which)
{
	double *values = calloc(row->rounds + 1, sizeof(*values));
	struct figure figure;
	unsigned count = 0;

	for (unsigned i = 0; i < row->rounds && values; i++)
		if (!isnan(row->values[which][i]))
			values[count++] = row->values[which][i];
	figure = figure_of(values, count);
	free(values);
	return figure;
}

/* --- Processes ------------------------------------------------------------------------------- */

static int child_start(struct child *child, const char *command, int cpu, bool pin_first)
{
	int sockets[2];
	int err = meeting_pair(SOCK_SEQPACKET, sockets);
	pid_t pid;

	if (err)
		return err;
	pid = process_start(command, sockets[1], cpu, pin_first);
	close(sockets[1]);
	if (pid < 0) {
		close(sockets[0]);
		return (int)pid;
	}
	child->pid = pid;
	child->control = sockets[0];
	return 0;
}

/* Lets it end by itself, unless something is wrong. */
static void child_stop(struct child *child, bool failed)
{
	if (!child->pid)
		return;
	if (failed)
		kill(child->pid, SIGKILL);
	close(child->control);
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		if (watch_abandoned())
			kill(child->pid, SIGKILL);
	child->pid = 0;
}

static int child_gone(const char *what)
{
	if (watch_interrupted())
		return complain(-EINTR, "interrupted");
	if (watch_expired())
		return complain(-ETIMEDOUT, "%s does not answer: nothing moved for too long", what);
	return complain(-ECONNRESET, "%s has ended", what);
}

static int tell(const struct child *child, const struct order *order, const char *what)
{
	return control_send(child->control, order, sizeof(*order)) ? child_gone(what) : 0;
}

static int hear(const struct child *child, struct answer *answer, const char *what)
{
	if (control_receive(child->control, answer, sizeof(*answer)))
		return child_gone(what);
	return answer->err ? complain(answer->err, "%s: %s", what, answer->why) : 0;
}

static const char server_text[] = "the server";
static const char client_text[] = "a process of clients";

static int ask_server(const struct run *run, struct answer *answer)
{
	struct order order = { .kind = ORDER_TELL };
	int err = tell(&run->server, &order, server_text);

	return err ? err : hear(&run->server, answer, server_text);
}

static int server_start(struct run *run, const struct clients_row *row)
{
	const int *cpus = run->options->cpus;
	struct order order = { .kind = ORDER_OPEN, .setup = run->setup };
	struct answer answer;
	int err = child_start(&run->server, ORDERS_SERVER, cpus[0], cpus[0] == cpus[1]);

	if (err)
		return err;
	if (holdings_group_make(&run->group) && !holdings_group_take(&run->group, run->server.pid))
		holdings_group_remove(&run->group);
	snprintf(order.transport, sizeof(order.transport), "%s", row->transport->name);
	err = tell(&run->server, &order, server_text);
	return err ? err : hear(&run->server, &answer, server_text);
}

static void server_end(struct run *run, bool failed)
{
	child_stop(&run->server, failed);
	holdings_group_remove(&run->group);
}

static bool visits(const struct run *run)
{
	return run->test == CLIENTS_CONNECT || run->test == CLIENTS_CHURN;
}

/* Starts the processes of clients; of the busy one first. */
static int processes_start(struct run *run)
{
	bool at_once = run->test == CLIENTS_CONNECT && run->clients <= ALONE_MOST;
	const int *cpus = run->options->cpus;
	unsigned count = run->clients;

	if (!at_once && count > PROCESSES)
		count = PROCESSES;
	count += run->test == CLIENTS_BESIDE;
	run->processes = calloc(count, sizeof(*run->processes));
	if (!run->processes)
		return complain(-ENOMEM, "no memory for processes");
	for (unsigned i = 0; i < count; i++) {
		/* Several at work on one CPU keep each other from it by spinning, as the runtime
		 * sees if it looks when they are pinned. */
		bool shared = count > 1 && !run->rate && run->test != CLIENTS_BESIDE;
		int err = child_start(&run->processes[i], ORDERS_CLIENT, cpus[1],
				      shared || run->test == CLIENTS_SERVE || cpus[0] == cpus[1]);

		if (err)
			return err;
		run->process_count++;
	}
	return 0;
}

static void processes_end(struct run *run, bool failed)
{
	for (unsigned i = 0; i < run->process_count; i++)
		child_stop(&run->processes[i], failed);
	free(run->processes);
	run->processes = NULL;
	run->process_count = 0;
}

/* A process's part of so many. */
static uint64_t share_of(uint64_t all, unsigned process, unsigned processes)
{
	return all / processes + (process < all % processes);
}

/* Fills in what is a process's own. False: it has no part in this. */
static bool order_for(const struct run *run, const struct clients_row *row, unsigned process,
		      uint64_t count, struct order *order)
{
	unsigned first = run->test == CLIENTS_BESIDE; /* of those that share */
	bool busy = process < first;

	order->first = process - (busy ? 0 : first);
	order->stride = run->process_count - first;
	if (busy)
		order->clients = 1;
	else if (row->alone)
		return false;
	else
		order->clients = (uint32_t)share_of(run->clients, process - first,
						    run->process_count - first);
	order->count = share_of(count, (unsigned)order->first, (unsigned)order->stride);
	/* Of the others it is enough that they are there. */
	return busy || !first || order->kind == ORDER_JOIN || order->kind == ORDER_LEAVE;
}

/* Has all processes of clients do something, and adds up what comes of it. */
static int order_all(struct run *run, struct track *track, struct order *order, uint64_t count,
		     bool timed)
{
	struct clients_row *row = track->row;
	uint64_t elapsed = track->answer.elapsed;
	int err = 0;

	snprintf(order->transport, sizeof(order->transport), "%s", row->transport->name);
	order->setup = run->setup;
	/* Until then all have heard of it, and have what threads they need. */
	order->begin = peal_ticks() +
		       (uint64_t)((2e7 + run->process_count * 2e5 + run->clients * 1e5) *
				  peal_ticks_per_ns());
	for (unsigned i = 0; i < run->process_count && !err; i++)
		if (order_for(run, row, i, count, order))
			err = tell(&run->processes[i], order, client_text);
	for (unsigned i = 0; i < run->process_count && !err; i++) {
		struct answer answer;

		if (!order_for(run, row, i, count, order))
			continue;
		err = hear(&run->processes[i], &answer, client_text);
		failures_merge(&row->failures, &answer.failures);
		if (err || !timed)
			continue;
		err = orders_add_histogram(run->processes[i].control, &row->histogram);
		track->answer.count += answer.count;
		track->answer.usage.cpu_s += answer.usage.cpu_s;
		track->answer.usage.switches += answer.usage.switches;
		elapsed = answer.elapsed > elapsed ? answer.elapsed : elapsed;
	}
	track->answer.elapsed = elapsed;
	return err;
}

/* --- Slices ---------------------------------------------------------------------------------- */

static int wait_ms(unsigned ms)
{
	usleep(ms * 1000);
	return watch_interrupted() ? complain(-EINTR, "interrupted") : 0;
}

/* Waits until the server has nothing to do any more, and has so many clients; at most a few
 * seconds. What it has done until then. */
static int settle(const struct run *run, uint64_t clients, struct answer *answer)
{
	double before = NAN;
	int err = 0;

	for (int i = 0; i < QUIET_TRIES && !err; i++) {
		err = ask_server(run, answer);
		if (err || (fabs(answer->usage.cpu_s - before) < QUIET_S &&
			    answer->service.clients <= clients))
			break;
		before = answer->usage.cpu_s;
		err = wait_ms(QUIET_MS);
	}
	return err;
}

static void look(const struct run *run, const struct clients_row *row, double clients,
		 struct holdings *holdings)
{
	double segment = (double)run->setup.ring + (double)sysconf(_SC_PAGESIZE);

	holdings_look(holdings, run->server.pid, &run->group);
	/* A group is charged with them; else they are counted. */
	if (!run->group.path[0] && row->transport->rings)
		holdings->memory += clients * segment;
}

static uint64_t pace_of(const struct run *run)
{
	return run->rate ? pace_step(run->rate) : 0;
}

/* What the clients do while the server is watched. */
static int work(struct run *run, struct track *track)
{
	double per_ns = peal_ticks_per_ns();
	struct order order = {
		.step = pace_of(run),
		.ticks = (uint64_t)(run->seconds * 1e9 * per_ns),
	};
	uint64_t count = run->rate ? (uint64_t)((double)run->rate * run->seconds) : 0;
	double gap_ns = run->rate ? 1e9 / (double)run->rate : 0;

	switch (run->test) {
	case CLIENTS_CONNECT:
		order.kind = run->rate ? ORDER_VISITS_PACED : ORDER_VISITS_AT_ONCE;
		/* Who spins for long keeps others from being in time. */
		order.margin = (uint64_t)(fmin(MARGIN_NS, gap_ns / 2) * per_ns);
		return order_all(run, track, &order, run->rate ? count : run->clients, true);
	case CLIENTS_CHURN:
		order.kind = ORDER_VISITS_IN_TURN;
		return order_all(run, track, &order, run->options->count, true);
	case CLIENTS_SERVE:
		order.kind = ORDER_PACED;
		return order_all(run, track, &order, count, true);
	case CLIENTS_IDLE:
		return wait_ms((unsigned)(run->seconds * 1000));
	default:
		order.kind = ORDER_CLOSED;
		return order_all(run, track, &order, 0, true);
	}
}

/* Before the server is watched. */
static int prepare(struct run *run, struct track *track, struct holdings *before)
{
	struct clients_row *row = track->row;
	struct order order = { .kind = ORDER_JOIN };
	struct answer answer;
	int err = 0;

	if (run->test == CLIENTS_CHURN) {
		/* What is had once and for all is had behind them. */
		struct histogram *kept = malloc(sizeof(*kept));
		uint64_t count = run->options->count;

		if (!kept)
			return complain(-ENOMEM, "no memory for a histogram");
		*kept = row->histogram;
		order.kind = ORDER_VISITS_IN_TURN;
		err = order_all(run, track, &order, count < WARM_UP ? count : WARM_UP, true);
		row->histogram = *kept;
		free(kept);
		memset(&track->answer, 0, sizeof(track->answer));
	}
	if (!err)
		err = settle(run, 0, &answer);
	/* As long before as behind. */
	if (!err && run->test == CLIENTS_IDLE)
		err = wait_ms((unsigned)(fmin(run->seconds, FLUSH_S) * 1000));
	if (err)
		return err;
	look(run, row, 0, before);
	return visits(run) ? 0 : order_all(run, track, &order, 0, false);
}

static int slice(struct run *run, struct track *track, struct holdings *before,
		 struct holdings *after)
{
	struct clients_row *row = track->row;
	uint64_t stay = visits(run) ? 0 : UINT64_MAX;
	struct answer begun, ended;
	struct order order = { .kind = ORDER_LEAVE };
	int err = server_start(run, row);

	memset(&track->answer, 0, sizeof(track->answer));
	if (!err)
		err = prepare(run, track, before);
	if (!err)
		err = settle(run, stay, &begun);
	if (!err)
		err = work(run, track);
	/* Where nobody asks for anything, what the server does by itself is the question. */
	if (!err)
		err = run->test == CLIENTS_IDLE ? ask_server(run, &ended) :
						  settle(run, stay, &ended);
	if (err)
		return err;
	look(run, row, visits(run) ? 0 : row->alone ? 1 : run->clients, after);
	row->grouped = run->group.path[0];
	/* What the telling cost is taken off, to a microsecond. */
	row->server.cpu_s += fmax(0, ended.usage.cpu_s - begun.usage.cpu_s);
	row->server.switches += ended.usage.switches - begun.usage.switches;
	row->sleeps += ended.sleeps - begun.sleeps;
	row->client.cpu_s += track->answer.usage.cpu_s;
	row->client.switches += track->answer.usage.switches;
	row->count += track->answer.count;
	track->answer.service = ended.service;
	/* A request's, from here on. */
	track->answer.usage.cpu_s = (ended.usage.cpu_s - begun.usage.cpu_s) /
				    (double)track->answer.count;
	return visits(run) ? 0 : order_all(run, track, &order, 0, false);
}

static double by_client(const struct run *run, const struct clients_row *row, double before,
			double after)
{
	double clients = row->alone ? 1 : run->clients + (run->test == CLIENTS_BESIDE);

	return visits(run) ? NAN : (after - before) / clients;
}

/* Runs one slice of a row and notes what it has found. */
static int track_run(struct run *run, struct track *track)
{
	struct clients_row *row = track->row;
	struct holdings before, after;
	struct histogram *all = malloc(sizeof(*all));
	unsigned round = row->rounds;
	int err;

	if (!all)
		return complain(-ENOMEM, "no memory for a histogram");
	*all = row->histogram;
	histogram_clear(&row->histogram);
	run->setup.wait = row->wait;
	snprintf(run->setup.path, sizeof(run->setup.path), "%s/%u", run->driver.folder,
		 run->slices++);
	watch_arm((unsigned)(60 + run->seconds + (double)run->options->count / 200 +
			     run->clients / 50.0));
	err = slice(run, track, &before, &after);
	server_end(run, err);
	watch_disarm();
	if (!err) {
		const struct answer *found = &track->answer;

		row->values[FIGURE_RATE][round] = found->elapsed ?
							  (double)found->count /
								  (double)found->elapsed *
								  peal_ticks_per_ns() * 1e9 :
							  NAN;
		row->values[FIGURE_P50][round] = histogram_percentile(&row->histogram, 0.5);
		row->values[FIGURE_P99][round] = histogram_percentile(&row->histogram, 0.99);
		row->values[FIGURE_CPU][round] = found->count ? found->usage.cpu_s : NAN;
		row->values[FIGURE_MEMORY][round] = by_client(run, row, before.memory,
							      after.memory);
		row->values[FIGURE_RESIDENT][round] = by_client(run, row, before.resident,
								after.resident);
		row->values[FIGURE_DESCRIPTORS][round] = by_client(run, row, before.descriptors,
								   after.descriptors);
		row->values[FIGURE_MAPPINGS][round] = by_client(run, row, before.mappings,
								after.mappings);
		row->before = before;
		row->after = after;
		histogram_merge(&row->histogram, all);
	} else {
		row->histogram = *all;
	}
	free(all);
	return err;
}

/* The ratios of a round, once all of it is there. */
static void round_compare(struct run *run)
{
	static const enum clients_figure figures[][2] = {
		{ FIGURE_P50, FIGURE_P50_TO_UDS },
		{ FIGURE_P99, FIGURE_P99_TO_UDS },
		{ FIGURE_CPU, FIGURE_CPU_TO_UDS },
		{ FIGURE_MEMORY, FIGURE_MEMORY_TO_UDS },
	};

	for (unsigned i = 0; i < run->count; i++) {
		struct clients_row *row = run->tracks[i].row;
		unsigned round = row->rounds++;

		for (unsigned f = FIGURE_P50_TO_UDS; f < FIGURES; f++)
			row->values[f][round] = NAN;
		for (unsigned j = 0; j < run->count; j++) {
			const struct clients_row *other = run->tracks[j].row;

			if (other->transport == &transport_uds && other->alone == row->alone &&
			    (other->wait == WAIT_SLEEP || other->wait == row->wait))
				for (unsigned f = 0; f < sizeof(figures) / sizeof(figures[0]); f++)
					row->values[figures[f][1]][round] =
						row->values[figures[f][0]][round] /
						other->values[figures[f][0]][round];
			if (other->transport == row->transport && other->wait == row->wait &&
			    other->alone && !row->alone)
				row->values[FIGURE_P50_TO_ALONE][round] =
					row->values[FIGURE_P50][round] /
					other->values[FIGURE_P50][round];
		}
	}
}

/* The tracks take turns; every other round backwards. */
static int round_run(struct run *run, unsigned round)
{
	int err = 0;

	for (unsigned i = 0; i < run->count && !err; i++) {
		err = watch_interrupted() ?
			      complain(-EINTR, "interrupted") :
			      track_run(run, &run->tracks[round % 2 ? run->count - 1 - i : i]);
		progress_step(1);
	}
	if (!err)
		round_compare(run);
	return err;
}

/* --- Runs ------------------------------------------------------------------------------------ */

static int track_add(struct run *run, const struct transport *transport, enum wait_mode wait,
		     bool alone)
{
	struct clients_row *row = calloc(1, sizeof(*row));

	if (!row || run->count == ROWS) {
		free(row);
		return complain(-ENOMEM, "no memory for another row");
	}
	run->tracks[run->count++].row = row;
	row->test = run->test;
	row->transport = transport;
	row->wait = wait;
	row->size = run->setup.size;
	row->ring = run->setup.ring;
	row->rate = run->rate;
	row->clients = run->clients;
	row->one_descriptor = run->setup.one_descriptor;
	row->alone = alone;
	for (unsigned f = 0; f < FIGURES; f++) {
		row->values[f] = calloc(run->rounds, sizeof(double));
		if (!row->values[f])
			return complain(-ENOMEM, "no memory for another row");
	}
	return 0;
}

/* How a transport waits if nothing is said: as its users do unless they say something. */
static unsigned default_waits(const struct transport *transport)
{
	return transport->waits & 1u << WAIT_ADAPTIVE ? 1u << WAIT_ADAPTIVE : 1u << WAIT_SLEEP;
}

/* In which ways a transport is measured. */
static unsigned waits_of(const struct options *options, const struct transport *transport)
{
	unsigned waits = options->waits ? options->waits : default_waits(transport);

	return transport->service ? waits & transport->waits : 0;
}

/* How many rows there are of each size, rate and number of clients. */
static unsigned tracks_of(const struct run *run)
{
	const struct options *options = run->options;
	unsigned tracks = 0;

	for (unsigned i = 0; i < options->transport_count; i++)
		tracks += (unsigned)__builtin_popcount(waits_of(options, options->transports[i]));
	return run->test == CLIENTS_BESIDE ? 2 * tracks : tracks;
}

static int tracks_add(struct run *run)
{
	const struct options *options = run->options;
	int err = 0;

	for (unsigned i = 0; i < options->transport_count; i++) {
		const struct transport *transport = options->transports[i];
		unsigned waits = waits_of(options, transport);

		for (unsigned wait = 0; wait < WAIT_MODES && !err; wait++) {
			if (!(waits & 1u << wait))
				continue;
			if (run->test == CLIENTS_BESIDE)
				err = track_add(run, transport, (enum wait_mode)wait, true);
			if (!err)
				err = track_add(run, transport, (enum wait_mode)wait, false);
		}
	}
	return err;
}

static void tracks_free(struct run *run)
{
	for (unsigned i = 0; i < run->count; i++) {
		for (unsigned f = 0; f < FIGURES; f++)
			free(run->tracks[i].row->values[f]);
		free(run->tracks[i].row);
	}
	run->count = 0;
}

/* Has the limit of descriptors be so high, here and in what is started from here. */
static bool allow_descriptors(rlim_t wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted)
		return true;
	limit.rlim_cur = wanted;
	if (limit.rlim_max < wanted)
		limit.rlim_max = wanted;
	return !setrlimit(RLIMIT_NOFILE, &limit);
}

/* Peal's server has two descriptors for each client, or one if it is rung by its socket; and
 * counters, for 64 clients each. */
static bool make_room(struct run *run)
{
	rlim_t each = (rlim_t)run->clients, spare = SPARE_DESCRIPTORS + (rlim_t)run->clients / 50;
	struct rlimit limit;

	run->setup.one_descriptor = false;
	if (allow_descriptors(2 * each + spare))
		return true;
	getrlimit(RLIMIT_NOFILE, &limit);
	run->setup.one_descriptor = allow_descriptors(each + spare);
	if (run->setup.one_descriptor) {
		fprintf(stderr,
			"peal-perf: the server of %u clients may have %llu open files, and not %llu: "
			"Peal's clients ring it by their sockets, one for each\n",
			run->clients, (unsigned long long)limit.rlim_max,
			(unsigned long long)(2 * each + spare));
		return true;
	}
	snprintf(
		run->left_out, sizeof(run->left_out),
		"%u clients are left out: their server may need %llu open files, and may have %llu: "
		"raise the limit (ulimit -Hn), or be root",
		run->clients, (unsigned long long)(each + spare),
		(unsigned long long)limit.rlim_max);
	fprintf(stderr, "peal-perf: %s\n", run->left_out);
	return false;
}

static void print_failures(const struct clients_row *row)
{
	for (uint32_t i = 0; i < row->failures.reasons; i++)
		fprintf(stderr,
			"peal-perf: %s of %u clients through %s: %" PRIu64 " failure%s: %s (%s)\n",
			clients_name(row->test), row->clients, row->transport->name,
			row->failures.of[i].count, row->failures.of[i].count == 1 ? "" : "s",
			row->failures.of[i].why, strerror(-row->failures.of[i].err));
}

static int tracks_report(struct run *run)
{
	bool grouped = true;

	const struct options *options = run->options;
	bool table = !options->json && !options->csv && !run->matrix;
	int err = 0;

	if (table)
		clients_print_head(run->tracks[0].row, options);
	for (unsigned i = 0; i < run->count; i++) {
		const struct clients_row *row = run->tracks[i].row;

		if (options->csv && run->fields.names)
			clients_row_fields(&run->fields, row, options);
		run->fields.names = false;
		if (options->json || options->csv)
			clients_row_fields(&run->fields, row, options);
		else if (table)
			clients_print_row(row);
		if (!err)
			err = outcomes_add_clients(&run->extras.outcomes, row);
		grouped = grouped && row->grouped;
		run->failures += row->failures.count;
		run->measured = run->measured || row->rounds;
	}
	if (table)
		clients_print_foot(run->test, grouped);
	for (unsigned i = 0; i < run->count; i++)
		print_failures(run->tracks[i].row);
	return err;
}

/* All rounds of so many clients, at one size and one rate. */
static int run_one(struct run *run)
{
	char label[REPORT_TITLE] = "";
	int err;

	if (!make_room(run))
		return 0;
	err = tracks_add(run);
	if (!err)
		err = processes_start(run);
	snprintf(label, sizeof(label), "%s of %u clients", clients_name(run->test), run->clients);
	progress_label(label);
	for (unsigned i = 0; i < run->rounds && !err; i++)
		err = round_run(run, i);
	processes_end(run, err);
	progress_clear();
	if (run->count) {
		/* The sentence of an error is still wanted. */
		char why[COMPLAINT_SIZE];

		snprintf(why, sizeof(why), "%s", complaint());
		if (!err)
			err = tracks_report(run);
		else if (!tracks_report(run))
			complain(err, "%s", why);
	}
	tracks_free(run);
	return err;
}

static int run_all(struct run *run)
{
	const struct options *options = run->options;
	unsigned rates = options->rate_count ? options->rate_count : 1;
	int err = 0;

	for (unsigned i = 0; i < options->transport_count; i++) {
		const struct transport *transport = options->transports[i];

		if (!transport->service)
			fprintf(stderr, "peal-perf: %s takes no part in %s: left out\n",
				transport->name, clients_name(run->test));
	}
	progress_begin(tracks_of(run) * run->rounds * options->clients_count * options->size_count *
		       rates);
	for (unsigned i = 0; i < options->clients_count && !err; i++) {
		run->clients = options->clients[i];
		for (unsigned j = 0; j < options->size_count * rates && !err; j++) {
			run->setup.size = options->sizes[j / rates];
			run->rate = options->rate_count ? options->rates[j % rates] : 0;
			err = run_one(run);
		}
	}
	return err;
}

/* Rounds, and the seconds of a slice, of those tests that last for some. */
static void share_out(struct run *run)
{
	static const struct {
		unsigned rounds;
		double seconds;
	} unless_said[CLIENTS_TESTS] = {
		[CLIENTS_CONNECT] = { 10, 0 }, [CLIENTS_CHURN] = { 1, 0 },
		[CLIENTS_SERVE] = { 3, 5 },    [CLIENTS_CLOSED] = { 5, 2 },
		[CLIENTS_IDLE] = { 1, 5 },     [CLIENTS_BESIDE] = { 10, 0.5 },
	};
	const struct options *options = run->options;

	run->rounds = unless_said[run->test].rounds;
	run->seconds = unless_said[run->test].seconds;
	if (run->test == CLIENTS_CONNECT && options->rate_count) {
		run->rounds = 1;
		run->seconds = 10;
	}
	if (run->matrix)
		run->seconds = MATRIX_SECONDS;
	if (options->rounds)
		run->rounds = options->rounds;
	if (options->duration_s > 0)
		run->seconds = options->duration_s / run->rounds / fmax(tracks_of(run), 1);
	if (options->seconds > 0)
		run->seconds = options->seconds;
}

/* What is said when all is measured, and where. */
static int finish(struct run *run, int err)
{
	const struct options *options = run->options;
	bool interrupted = err == -EINTR;
	char why[COMPLAINT_SIZE] = "";

	if (err && !interrupted) {
		snprintf(why, sizeof(why), "%s", complaint());
		fprintf(stderr, "peal-perf: %s\n", why);
	}
	if (options->json) {
		json_end_array(&run->json);
		extras_compare(&run->extras, &run->json);
		report_json_end(&run->json, interrupted, *why ? why : NULL);
	} else if (options->csv) {
		if (interrupted)
			fprintf(stderr, "peal-perf: interrupted: this is what there was\n");
	} else {
		if (run->matrix)
			matrix_print(&run->extras.outcomes, options);
		extras_compare(&run->extras, NULL);
		if (interrupted)
			printf("Interrupted: this is what there was.\n");
	}
	if (interrupted)
		err = 0;
	if (extras_end(&run->extras)) {
		fprintf(stderr, "peal-perf: %s\n", complaint());
		err = -EIO;
	}
	return err;
}

static int clients_run(const struct options *options, enum clients_test test, bool matrix)
{
	struct run *run = calloc(1, sizeof(*run));
	int err;

	if (!run) {
		fprintf(stderr, "peal-perf: no memory for a run\n");
		return 1;
	}
	run->options = options;
	run->test = test;
	run->matrix = matrix;
	if (extras_begin(&run->extras, options)) {
		fprintf(stderr, "peal-perf: %s\n", complaint());
		free(run);
		return EXIT_USAGE;
	}
	run->driver.control = -1;
	run->json.file = stdout;
	run->fields.json = options->json ? &run->json : NULL;
	run->fields.names = true;
	share_out(run);
	run->setup = (struct setup){
		.ring = options->ring,
		.barrier = options->barrier,
		.huge = options->huge,
		.no_prefault =
			true, /* clients that come and go, and idle ones, gain nothing by it */
		.batch = 1,
		.links = 1,
	};
	watch_begin(0);
	err = partner_settle(options->cpus[1], options->cpus[0] == options->cpus[1]);
	if (!err)
		err = driver_folder_make(&run->driver);
	if (options->json)
		report_json_begin(&run->json, options);
	if (!err)
		err = run_all(run);
	if (!err && !run->measured)
		err = complain(-EMFILE, "%s",
			       *run->left_out ? run->left_out : "nothing is left to measure");
	driver_folder_remove(&run->driver);
	watch_end();
	err = finish(run, err) || !run->measured || run->failures;
	free(run);
	return err ? 1 : 0;
}

int clients_connect(const struct options *options)
{
	return clients_run(options, CLIENTS_CONNECT, false);
}

int clients_churn(const struct options *options)
{
	return clients_run(options, CLIENTS_CHURN, false);
}

int clients_serve(const struct options *options)
{
	return clients_run(options, CLIENTS_SERVE, false);
}

int clients_closed(const struct options *options)
{
	return clients_run(options, CLIENTS_CLOSED, false);
}

int clients_matrix(const struct options *options)
{
	return clients_run(options, CLIENTS_CLOSED, true);
}

int clients_idle(const struct options *options)
{
	return clients_run(options, CLIENTS_IDLE, false);
}

int clients_beside(const struct options *options)
{
	return clients_run(options, CLIENTS_BESIDE, false);
}

/* What is the same for all of them. */
static void set_defaults(struct options *options, unsigned clients)
{
	options->clients[0] = clients;
	options->clients_count = 1;
	options->sizes[0] = 64;
	options->size_count = 1;
	options->ring = OPTIONS_CLIENTS_RING;
	options->waits = 0;
	options->transports[0] = &transport_peal;
	options->transports[1] = &transport_uds;
	options->transport_count = 2;
}

void clients_connect_defaults(struct options *options)
{
	set_defaults(options, 128);
}

void clients_churn_defaults(struct options *options)
{
	set_defaults(options, PROCESSES);
	options->count = 100000;
}

void clients_serve_defaults(struct options *options)
{
	set_defaults(options, 1000);
	options->rates[0] = 10000;
	options->rate_count = 1;
}

void clients_closed_defaults(struct options *options)
{
	set_defaults(options, 128);
}

void clients_matrix_defaults(struct options *options)
{
	static const uint64_t sizes[] = { 64, 1024, 16384 };
	static const unsigned clients[] = { 1, 16, 128 };

	set_defaults(options, 1);
	memcpy(options->sizes, sizes, sizeof(sizes));
	options->size_count = sizeof(sizes) / sizeof(sizes[0]);
	memcpy(options->clients, clients, sizeof(clients));
	options->clients_count = sizeof(clients) / sizeof(clients[0]);
	options->ring = MATRIX_RING;
	options->waits = 1u << WAIT_ADAPTIVE | 1u << WAIT_SLEEP;
}

void clients_idle_defaults(struct options *options)
{
	set_defaults(options, 1000);
}

void clients_beside_defaults(struct options *options)
{
	set_defaults(options, 1000);
}
