/*
 * SPDX-License-Identifier: MIT
 *
 * First touches. A client and a server in this process, linked by a socket, so that each has
 * mappings of its own, as two processes have. One thread sends a message and receives it, until the
 * ring has been gone through once, and again: so the first lap pays for the page faults of both
 * sides, in full and in turn, and the last lap for none. Links with and without prefault alternate;
 * each is made anew.
 */
#include "config.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <peal/runtime.h>

#include "buffers.h"
#include "complaint.h"
#include "driver.h"
#include "library.h"
#include "partner.h"
#include "payload.h"
#include "report.h"
#include "touch.h"
#include "watch.h"

#define ROUNDS 20
#define LAPS 3
#define MOMENT_NS 20000000

/* What is measured of a link: ns, and page faults of the first lap. */
enum { CONNECT, FIRST, LAST, TOUCHING, FAULTS, FIGURES };

static const char *const names[FIGURES] = {
	"connect_ns",       "first_lap_ns",
	"last_lap_ns",      "touching_ns", /* what the first takes more than the last */
	"first_lap_faults",
};

struct touch {
	const struct options *options;
	struct setup setup;
	struct buffers buffers;
	struct peal_listener *listener;
	struct peal_link *client, *server;
	bool over;                 /* atomic: the client has given up */
	uint64_t messages;         /* of a lap */
	uint64_t sequence;         /* of the next message */
	double *found[2][FIGURES]; /* by whether there was prefault */
	unsigned rounds;           /* that there were */
};

void touch_defaults(struct options *options)
{
	options->sizes[0] = 4096;
	options->size_count = 1;
}

static double ns_since(uint64_t begun)
{
	return (double)(peal_ticks() - begun) / peal_ticks_per_ns();
}

static void *welcome(void *data)
{
	struct touch *touch = data;
	int err = partner_settle(touch->options->cpus[1], true);

	do
		err = err ? err : peal_accept(touch->listener, &touch->server, MOMENT_NS);
	while (err == -ETIMEDOUT && !__atomic_load_n(&touch->over, __ATOMIC_RELAXED));
	return NULL;
}

/* Makes a link, which is timed from the client's side. */
static int meet(struct touch *touch, double *ns)
{
	struct peal_options options;
	pthread_t thread;
	uint64_t begun;
	int err;

	touch->over = false;
	library_options(&options, &touch->setup);
	err = peal_listen(&touch->listener, touch->setup.path, &options);
	if (err)
		return library_refused("peal_listen", err);
	err = pthread_create(&thread, NULL, welcome, touch);
	if (err)
		return complain(-err, "starting a thread failed (errno %d)", err);
	begun = peal_ticks();
	err = peal_connect(&touch->client, touch->setup.path, &options, LIBRARY_MEETING_NS);
	*ns = ns_since(begun);
	if (err)
		library_refused("peal_connect", err);
	/* Pairs with the load in welcome; nothing else is read by it. */
	__atomic_store_n(&touch->over, err != 0, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return err;
}

static void part(struct touch *touch)
{
	peal_close(touch->client);
	peal_close(touch->server);
	peal_listener_close(touch->listener);
	touch->client = touch->server = NULL;
	touch->listener = NULL;
}

static int lap(struct touch *touch, double *ns)
{
	struct peal_tx *tx = peal_link_tx(touch->client);
	struct peal_rx *rx = peal_link_rx(touch->server);
	size_t size = touch->setup.size;
	uint64_t begun = peal_ticks();

	for (uint64_t i = 0; i < touch->messages; i++) {
		uint64_t sequence = touch->sequence;
		int64_t got;
		int err;

		payload_write(touch->buffers.out, size, sequence);
		err = peal_send(tx, touch->buffers.out, size, 0, 0);
		if (err)
			return library_refused("peal_send", err);
		got = peal_recv(rx, touch->buffers.in, size, NULL, 0);
		if (got < 0)
			return library_refused("peal_recv", (int)got);
		if (got != (int64_t)size || !payload_right(touch->buffers.in, size, sequence))
			return complain(-EBADMSG, "a message was changed on its way");
		touch->sequence = payload_next(sequence, payload_mask(size));
	}
	*ns = ns_since(begun);
	return 0;
}

/* Page faults of this thread so far. */
static double faults(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) ? NAN : (double)usage.ru_minflt;
}

static int measure(struct touch *touch, bool prefault)
{
	double **found = touch->found[prefault], before;
	unsigned round = touch->rounds;
	int err;

	touch->setup.no_prefault = !prefault;
	touch->sequence = 1;
	err = meet(touch, &found[CONNECT][round]);
	if (!err && !round && !prefault)
		library_tell_pages(touch->client, &touch->setup);
	before = faults();
	if (!err)
		err = lap(touch, &found[FIRST][round]);
	found[FAULTS][round] = faults() - before;
	for (int i = 1; i < LAPS && !err; i++)
		err = lap(touch, &found[LAST][round]);
	found[TOUCHING][round] = found[FIRST][round] - found[LAST][round];
	part(touch);
	return err;
}

/* Messages that one thread sends and receives in a second. */
static double last_lap_rate(const struct touch *touch, const struct figure *figures)
{
	return (double)touch->messages * 1e9 / figures[LAST].median;
}

static void json_figures(struct json *json, const struct touch *touch, bool prefault,
			 const struct figure *figures)
{
	struct fields fields = { .json = json };

	json_object(json, NULL);
	json_string(json, "test", "touch");
	json_string(json, "transport", "peal");
	json_integer(json, "size", touch->setup.size);
	json_integer(json, "ring", touch->setup.ring);
	json_string(json, "huge", huge_name((enum huge_mode)touch->setup.huge));
	json_bool(json, "prefault", prefault);
	json_integer(json, "rounds", touch->rounds);
	for (int i = 0; i < FIGURES; i++) {
		fields_number(&fields, names[i], figures[i].median, 1);
		fields_spread(&fields, names[i], &figures[i], 1);
	}
	json_number(json, "last_lap_msgs_per_s", last_lap_rate(touch, figures), 1);
	json_end_object(json);
}

static void print_figures(const struct touch *touch, bool prefault, const struct figure *figures)
{
	char size[OPTIONS_SIZE_TEXT], rate[REPORT_TEXT];

	printf("%5s %-8s", options_size_text(size, touch->setup.size), prefault ? "yes" : "no");
	for (int i = 0; i < FIGURES; i++) {
		char text[REPORT_TEXT], low[REPORT_TEXT], high[REPORT_TEXT], range[64];

		if (i == FAULTS) {
			printf("  %-6.0f", figures[i].median);
			continue;
		}
		snprintf(range, sizeof(range), "%s (%s to %s)",
			 report_time(text, figures[i].median), report_time(low, figures[i].low),
			 report_time(high, figures[i].high));
		printf("  %-28s", range);
	}
	printf("  %s\n", report_count(rate, last_lap_rate(touch, figures)));
}

/* Of what there was. */
static void tell(struct touch *touch, struct json *json)
{
	struct figure figures[FIGURES];

	for (int prefault = 0; prefault < 2 && touch->rounds; prefault++) {
		for (int i = 0; i < FIGURES; i++)
			figures[i] = figure_of(touch->found[prefault][i], touch->rounds);
		if (json)
			json_figures(json, touch, prefault, figures);
		else
			print_figures(touch, prefault, figures);
	}
}

static int measure_size(struct touch *touch, uint64_t size, unsigned rounds)
{
	uint64_t record = 8 + (size + 7) / 8 * 8; /* with its header */
	int err = buffers_set(&touch->buffers, size, 1);

	touch->setup.size = size;
	touch->messages = (touch->setup.ring + record - 1) / record;
	for (touch->rounds = 0; touch->rounds < rounds && !err && !watch_interrupted();) {
		err = measure(touch, false);
		if (!err)
			err = measure(touch, true);
		touch->rounds += !err;
	}
	return err;
}

static bool make_room(struct touch *touch, unsigned rounds)
{
	bool made = true;

	for (int i = 0; i < 2 * FIGURES; i++) {
		touch->found[i / FIGURES][i % FIGURES] = calloc(rounds, sizeof(double));
		made = made && touch->found[i / FIGURES][i % FIGURES];
	}
	return made;
}

static void print_head(const struct options *options, unsigned rounds)
{
	char ring[OPTIONS_SIZE_TEXT], cpus[REPORT_TITLE];

	printf("A new link, and laps through its ring of %s; %s; medians and ranges of %u links "
	       "each\n\n%5s %-8s",
	       options_size_text(ring, options->ring), report_cpus(options, cpus), rounds, "size",
	       "prefault");
	printf("  %-28s  %-28s  %-28s  %-28s  %s\n", "connect", "first lap", "last lap",
	       "touching: first less last", "faults  messages/s of the last");
}

int touch_run(const struct options *options)
{
	struct touch touch = { .options = options,
			       .setup = { .ring = options->ring,
					  .wait = WAIT_ADAPTIVE,
					  .huge = options->huge,
					  .batch = 1,
					  .links = 1 } };
	unsigned rounds = options->rounds ? options->rounds : ROUNDS;
	struct json json = { .file = stdout };
	struct driver driver = { .control = -1 }; /* for its folder */
	int err;

	watch_begin(0);
	err = make_room(&touch, rounds) ? partner_settle(options->cpus[0], false) :
					  complain(-ENOMEM, "no memory for results");
	if (!err)
		err = driver_folder_make(&driver);
	snprintf(touch.setup.path, sizeof(touch.setup.path), "%s/touch", driver.folder);
	if (options->json)
		report_json_begin(&json, options);
	else
		print_head(options, rounds);
	for (unsigned i = 0; i < options->size_count && !err && !watch_interrupted(); i++) {
		err = measure_size(&touch, options->sizes[i], rounds);
		tell(&touch, options->json ? &json : NULL);
	}
	if (options->json) {
		json_end_array(&json);
		report_json_end(&json, watch_interrupted(), err ? complaint() : NULL);
	}
	if (err)
		fprintf(stderr, "peal-perf: %s\n", complaint());
	driver_folder_remove(&driver);
	for (int i = 0; i < 2 * FIGURES; i++)
		free(touch.found[i / FIGURES][i % FIGURES]);
	buffers_free(&touch.buffers);
	watch_end();
	return err ? 1 : 0;
}
