/*
 * SPDX-License-Identifier: MIT
 *
 * peal-perf: what Peal reaches on this machine, beside a bare ring, sockets, and what the two
 * cores can do at best. This file is the list of sub-commands and what each of them runs.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "clients.h"
#include "complaint.h"
#include "demo.h"
#include "driver.h"
#include "extras.h"
#include "options.h"
#include "orders.h"
#include "partner.h"
#include "progress.h"
#include "report.h"
#include "results.h"
#include "run.h"
#include "slice.h"
#include "table.h"
#include "tools/standard.h"
#include "touch.h"
#include "watch.h"

#define TOOL "peal-perf"

static void rate_defaults(struct options *options)
{
	static const uint64_t rates[] = { 1000, 10000, 100000, 1000000 };

	options->sizes[0] = 64;
	options->size_count = 1;
	memcpy(options->rates, rates, sizeof(rates));
	options->rate_count = sizeof(rates) / sizeof(rates[0]);
}

/* Sub-commands: which tests they run at each size, and how they show the results. */
static const struct command {
	const char *name;
	const char *about;
	enum test_id tests[2];
	unsigned test_count;
	bool one_size; /* it moves no messages */
	double duration_s;
	uint64_t size_least; /* of messages, if they must have so many bytes */
	void (*defaults)(struct options *options); /* those of its own; or NULL */
	void (*print)(const struct results *results, const struct options *options);
	int (*run)(const struct options *options); /* instead of all that; or NULL */
	bool clients;                              /* of a server */
} commands[] = {
	{
		.name = "floor",
		.about = "round trips of two cache lines between two CPUs",
		.tests = { TEST_FLOOR },
		.test_count = 1,
		.one_size = true,
		.duration_s = 2,
		.print = table_print,
	},
	{
		.name = "latency",
		.about = "round trips of messages",
		.tests = { TEST_LATENCY },
		.test_count = 1,
		.duration_s = 5,
		.print = table_print,
	},
	{
		.name = "stream",
		.about = "messages one way, as many as can be",
		.tests = { TEST_STREAM },
		.test_count = 1,
		.duration_s = 5,
		.print = table_print,
	},
	{
		.name = "rate",
		.about = "messages at a given rate: how soon they come, and what CPU that takes",
		.tests = { TEST_RATE },
		.test_count = 1,
		.duration_s = 10,
		.size_least = SLICE_STAMPED_LEAST,
		.defaults = rate_defaults,
		.print = table_print,
	},
	{
		.name = "touch",
		.about =
			"making a link, and the first lap through a ring, with and without prefault",
		.defaults = touch_defaults,
		.run = touch_run,
	},
	{
		.name = "connect",
		.about =
			"clients of a server that connect, ask once and leave, all at once or at a rate",
		.defaults = clients_connect_defaults,
		.clients = true,
		.run = clients_connect,
	},
	{
		.name = "churn",
		.about =
			"clients that come and go, one after the other, and what that leaves behind",
		.defaults = clients_churn_defaults,
		.clients = true,
		.run = clients_churn,
	},
	{
		.name = "serve",
		.about = "requests of many clients at a given rate",
		.defaults = clients_serve_defaults,
		.clients = true,
		.run = clients_serve,
	},
	{
		.name = "closed",
		.about = "requests of many clients, each as soon as the one before is answered",
		.defaults = clients_closed_defaults,
		.clients = true,
		.run = clients_closed,
	},
	{
		.name = "matrix",
		.about = "the same for sizes, numbers of clients and ways of waiting",
		.defaults = clients_matrix_defaults,
		.clients = true,
		.run = clients_matrix,
	},
	{
		.name = "idle",
		.about = "clients that are connected and idle: what they cost",
		.defaults = clients_idle_defaults,
		.clients = true,
		.run = clients_idle,
	},
	{
		.name = "beside",
		.about = "round trips of one busy client, alone and beside many idle ones",
		.defaults = clients_beside_defaults,
		.clients = true,
		.run = clients_beside,
	},
	{
		.name = "demo",
		.about = "latency and stream in half a minute, with a picture",
		.tests = { TEST_LATENCY, TEST_STREAM },
		.test_count = 2,
		.duration_s = DEMO_DURATION_S,
		.defaults = demo_defaults,
		.print = demo_print,
	},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help(void)
{
	printf("Usage: %s COMMAND [OPTION]...\n"
	       "Measure Peal between two processes, beside other ways to send messages.\n\n"
	       "commands:\n",
	       TOOL);
	for (unsigned i = 0; i < COMMANDS; i++)
		printf("  %-18s %s\n", commands[i].name, commands[i].about);
	printf("\noptions:\n");
	options_help();
	printf("\ntransports:\n");
	for (unsigned i = 0; transport_at(i); i++)
		printf("  %-18s %s\n", transport_at(i)->name, transport_at(i)->about);
	printf("\nSlices of at most 50 ms alternate: the floor, each transport, the floor. Rounds whose "
	       "two floors\ndiffer by more than 15 %% are dropped. Exit code: 0; 1 if something failed "
	       "or no round was kept;\n64 for a bad command line.\n\n"
	       "rate: the sender sends at intended times, evenly spaced, and never skips one; a "
	       "message's time is\ncounted from when it was to be sent, by the CPU's counter, which "
	       "both sides share. The receiver is\non the first CPU. The sender sleeps until 100 us "
	       "before a message's time and spins the rest; its\nCPU time is told apart. Slices are "
	       "of at most 200 ms there.\n\n"
	       "touch: a client and a server in one process, with mappings of their own; one thread "
	       "sends and receives\nin turn. 20 links unless --rounds says else, made anew each time; "
	       "a lap is once through the ring.\n\n"
	       "matrix: unless said otherwise 64, 1k and 16k bytes, 1, 16 and 128 clients, adaptive "
	       "and asleep,\nwith rings of 64k and slices of 0.3 s.\n");
	standard_help_end(TOOL);
}

/* "floor, latency ... or demo": all of them, in text, which is returned. */
#define COMMANDS_TEXT 200
static const char *commands_text(char *text)
{
	size_t used = 0;

	for (unsigned i = 0; i < COMMANDS; i++)
		used += (size_t)snprintf(text + used, COMMANDS_TEXT - used, "%s%s",
					 !i               ? "" :
					 i + 1 < COMMANDS ? ", " :
							    " or ",
					 commands[i].name);
	return text;
}

static const struct command *command_find(const char *name)
{
	const char *names[COMMANDS];
	char all[COMMANDS_TEXT];
	const char *nearest;

	for (unsigned i = 0; i < COMMANDS; i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
		names[i] = commands[i].name;
	}
	nearest = options_nearest(name, names, COMMANDS);
	fprintf(stderr, "peal-perf: unknown command \"%s\": %s%s%sgive %s\n", name,
		nearest ? "did you mean " : "", nearest ? nearest : "", nearest ? "? Else " : "",
		commands_text(all));
	return NULL;
}

/* Runs all tests of a command at all sizes. */
static int measure(const struct command *command, const struct plan *plans,
		   const struct options *options, struct results *results)
{
	struct driver driver;
	unsigned sizes = command->one_size ? 1 : options->size_count;
	unsigned rates = options->rate_count ? options->rate_count : 1;
	unsigned steps = 0;
	int err = driver_start(&driver, options->cpus, options->threads);

	for (unsigned j = 0; j < command->test_count; j++)
		steps += sizes * rates * run_steps(&plans[j]);
	progress_begin(steps);
	for (unsigned i = 0; i < sizes * rates && !err; i++) {
		uint64_t size = command->one_size ? sizeof(uint64_t) : options->sizes[i / rates];
		uint64_t rate = options->rate_count ? options->rates[i % rates] : 0;

		for (unsigned j = 0; j < command->test_count && !err; j++) {
			char label[REPORT_TITLE];

			progress_label(report_title(label, command->tests[j], size, rate));
			err = run_size(&driver, &plans[j], options, command->tests[j], size, rate,
				       results);
		}
	}
	progress_clear();
	results->interrupted = err == -EINTR;
	driver_stop(&driver, err && err != -EINTR);
	return results->interrupted ? 0 : err;
}

/* Prints the report, and what is said beside it. */
static void show(const struct command *command, const struct results *results,
		 const struct extras *extras, const char *error)
{
	const struct options *options = extras->options;
	struct json json = { .file = stdout };

	if (options->json) {
		report_json(&json, results, options);
		extras_compare(extras, &json);
		report_json_end(&json, results->interrupted, *error ? error : NULL);
	} else if (options->csv) {
		report_csv(results, options);
		if (results->interrupted)
			fprintf(stderr, "peal-perf: interrupted: this is what there was\n");
	} else if (results->count) {
		command->print(results, options);
		extras_compare(extras, NULL);
	}
}

static int run(const struct command *command, struct options *options)
{
	struct results results = { .rows = NULL };
	struct plan plans[2];
	char error[COMPLAINT_SIZE] = "";
	struct extras extras;
	int status = 0;

	for (unsigned j = 0; j < command->test_count; j++) {
		double duration = options->duration_s > 0 ? options->duration_s :
							    command->duration_s;

		if (!run_plan(&plans[j], options, command->tests[j], duration) &&
		    command->tests[j] != TEST_FLOOR) {
			fprintf(stderr,
				"peal-perf: nothing is left to measure in %s: give other "
				"transports or ways of waiting\n",
				test_name(command->tests[j]));
			return EXIT_USAGE;
		}
	}
	if (extras_begin(&extras, options)) {
		fprintf(stderr, "peal-perf: %s\n", complaint());
		return EXIT_USAGE;
	}
	if (measure(command, plans, options, &results)) {
		snprintf(error, sizeof(error), "%s", complaint());
		fprintf(stderr, "peal-perf: %s\n", error);
		status = 1;
	}
	if (!results_whole(&results))
		status = 1;
	for (unsigned i = 0; i < results.count; i++)
		if (outcomes_add(&extras.outcomes, results.rows[i])) {
			fprintf(stderr, "peal-perf: %s\n", complaint());
			status = 1;
		}
	show(command, &results, &extras, error);
	results_free(&results);
	if (extras_end(&extras)) {
		fprintf(stderr, "peal-perf: %s\n", complaint());
		status = 1;
	}
	if (fflush(stdout)) {
		fprintf(stderr, "peal-perf: writing the report: %s\n", strerror(errno));
		status = 1;
	}
	return status;
}

/* Whether what is made of times is asked of a command that has some; likewise. */
static bool fits_times(const struct command *command, const struct options *options)
{
	if (command->run == clients_idle &&
	    (options->histogram || options->plot || options->compare)) {
		fprintf(stderr,
			"peal-perf: idle asks for nothing that is timed: leave out --compare, "
			"--histogram and --plot\n");
		return false;
	}
	if (options->histogram && command->tests[0] == TEST_STREAM) {
		fprintf(stderr, "peal-perf: stream times no message: leave out --histogram\n");
		return false;
	}
	return true;
}

/* Likewise, one that is about a server of many clients. */
static bool fits_clients(const struct command *command, const struct options *options)
{
	const char *none = "leave it out";
	const char *option = NULL;

	if (options->threads)
		option = "--threads";
	else if (options->zero_copy)
		option = "--zero-copy";
	else if (options->word)
		option = "--payload word";
	else if (options->links)
		option = "--links";
	else if (options->no_prefault)
		option = "--no-prefault";
	else if (options->batch_count != 1 || options->batches[0] != 1)
		option = "--batch";
	else if (options->rate_count && command->run != clients_connect &&
		 command->run != clients_serve)
		option = "--rate", none = "it is for rate, serve and connect";
	else if (options->count && command->run != clients_churn)
		option = "--count", none = "it is for churn";
	if (option)
		fprintf(stderr, "peal-perf: %s takes no %s: %s\n", command->name, option, none);
	return !option;
}

/* Whether a command can do what was asked for; a sentence on stderr if not. */
static bool fits(const struct command *command, const struct options *options)
{
	if (!fits_times(command, options))
		return false;
	if (command->clients)
		return fits_clients(command, options);
	if (options->clients_count || options->count || options->seconds > 0) {
		fprintf(stderr,
			"peal-perf: %s has no server of many clients: leave out --clients, --count "
			"and --seconds\n",
			command->name);
		return false;
	}
	if (command->run &&
	    (options->csv || options->histogram || options->plot || options->compare)) {
		fprintf(stderr,
			"peal-perf: %s prints a table or --json: leave out --csv, --compare, "
			"--histogram and --plot\n",
			command->name);
		return false;
	}
	if (command->run && (options->transports_named || options->threads || options->zero_copy ||
			     options->word || options->no_prefault || options->duration_s > 0)) {
		fprintf(stderr,
			"peal-perf: %s measures Peal's links with prefault and without: leave out "
			"--transport, --threads, --zero-copy, --payload, --no-prefault and "
			"--duration (but give --rounds)\n",
			command->name);
		return false;
	}
	if (options->rate_count && command->tests[0] != TEST_RATE) {
		fprintf(stderr, "peal-perf: %s takes no --rate: give the command rate\n",
			command->name);
		return false;
	}
	if (options->links && command->tests[0] != TEST_LATENCY &&
	    command->tests[0] != TEST_STREAM) {
		fprintf(stderr,
			"peal-perf: %s measures no sets: --links is for latency and stream\n",
			command->name);
		return false;
	}
	for (unsigned i = 0; i < options->batch_count; i++) {
		if (options->batches[i] == 1 || command->tests[0] == TEST_STREAM)
			continue;
		fprintf(stderr,
			"peal-perf: %s sends one message at a time: --batch is for stream\n",
			command->name);
		return false;
	}
	for (unsigned i = 0; i < options->size_count; i++) {
		if (command->one_size || options->sizes[i] >= command->size_least)
			continue;
		fprintf(stderr,
			"peal-perf: size %" PRIu64
			" is too small for %s, whose messages carry a time: "
			"give at least %" PRIu64 "\n",
			options->sizes[i], command->name, command->size_least);
		return false;
	}
	return true;
}

/* As many as the system lets this process have: many links take many, here and in the partner. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	const struct command *command = NULL;
	struct options options;
	int err;

	if (argc > 1 && !strcmp(argv[1], PARTNER_COMMAND))
		return partner_main(argc, argv);
	if (argc > 1 && !strcmp(argv[1], ORDERS_SERVER))
		return server_main(argc, argv);
	if (argc > 1 && !strcmp(argv[1], ORDERS_CLIENT))
		return client_main(argc, argv);
	if (argc < 2) {
		char all[COMMANDS_TEXT];

		fprintf(stderr, "peal-perf: which command? Give %s\n", commands_text(all));
		return standard_usage(TOOL, EXIT_USAGE);
	}
	if (argv[1][0] != '-') {
		command = command_find(argv[1]);
		if (!command)
			return standard_usage(TOOL, EXIT_USAGE);
	}
	options_default(&options);
	if (command && command->defaults)
		command->defaults(&options);
	err = options_parse(&options, argc - 1 - !!command, argv + 1 + !!command);
	if (err)
		return err;
	if (options.version)
		standard_version(TOOL);
	if (options.help)
		help();
	if (options.help || options.version)
		return standard_finish(TOOL, 0, EXIT_OUTPUT);
	if (!command) {
		fprintf(stderr, "peal-perf: the command comes first: peal-perf latency %s\n",
			argv[1]);
		return EXIT_USAGE;
	}
	if (!fits(command, &options))
		return EXIT_USAGE;
	if (options.links > 1)
		allow_descriptors();
	return command->run ? command->run(&options) : run(command, &options);
}
