/*
 * SPDX-License-Identifier: MIT
 *
 * peal-perf: what Peal reaches on this machine, beside a bare ring, sockets, and what the two
 * cores can do at best. This file is the list of sub-commands and what each of them runs.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <peal/runtime.h>

#include "complaint.h"
#include "demo.h"
#include "driver.h"
#include "options.h"
#include "partner.h"
#include "progress.h"
#include "report.h"
#include "results.h"
#include "run.h"
#include "watch.h"

/* Sub-commands: which tests they run at each size, and how they show the results. */
static const struct command {
	const char *name;
	const char *about;
	enum test_id tests[2];
	unsigned test_count;
	bool one_size; /* it moves no messages */
	double duration_s;
	void (*prepare)(struct options *options); /* or NULL */
	void (*print)(const struct results *results, const struct options *options);
} commands[] = {
	{
		.name = "floor",
		.about = "round trips of two cache lines between two CPUs",
		.tests = { TEST_FLOOR },
		.test_count = 1,
		.one_size = true,
		.duration_s = 2,
		.print = report_table,
	},
	{
		.name = "latency",
		.about = "round trips of messages",
		.tests = { TEST_LATENCY },
		.test_count = 1,
		.duration_s = 5,
		.print = report_table,
	},
	{
		.name = "stream",
		.about = "messages one way, as many as can be",
		.tests = { TEST_STREAM },
		.test_count = 1,
		.duration_s = 5,
		.print = report_table,
	},
	{
		.name = "demo",
		.about = "both, in half a minute, with a picture",
		.tests = { TEST_LATENCY, TEST_STREAM },
		.test_count = 2,
		.duration_s = DEMO_DURATION_S,
		.prepare = demo_options,
		.print = demo_print,
	},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help(void)
{
	printf("peal-perf measures Peal between two processes, beside other ways to send messages.\n\n"
	       "usage: peal-perf COMMAND [OPTION]...\n\ncommands:\n");
	for (unsigned i = 0; i < COMMANDS; i++)
		printf("  %-18s %s\n", commands[i].name, commands[i].about);
	printf("\noptions:\n");
	options_help();
	printf("\ntransports:\n");
	for (unsigned i = 0; transport_at(i); i++)
		printf("  %-18s %s\n", transport_at(i)->name, transport_at(i)->about);
	printf("\nSlices of at most 50 ms alternate: the floor, each transport, the floor. Rounds whose "
	       "two floors\ndiffer by more than 15 %% are dropped. Exit code: 0; 1 if something failed "
	       "or no round was kept;\n64 for a bad command line.\n");
}

static int version(void)
{
	printf("peal-perf %s\n", peal_runtime_version());
	return 0;
}

static const struct command *command_find(const char *name)
{
	const char *names[COMMANDS];
	const char *nearest;

	for (unsigned i = 0; i < COMMANDS; i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
		names[i] = commands[i].name;
	}
	nearest = options_nearest(name, names, COMMANDS);
	fprintf(stderr,
		"peal-perf: unknown command \"%s\": %s%s%sgive floor, latency, stream or demo\n",
		name, nearest ? "did you mean " : "", nearest ? nearest : "",
		nearest ? "? Else " : "");
	return NULL;
}

/* Runs all tests of a command at all sizes. */
static int measure(const struct command *command, const struct plan *plans,
		   const struct options *options, struct results *results)
{
	struct driver driver;
	unsigned sizes = command->one_size ? 1 : options->size_count;
	unsigned steps = 0;
	int err = driver_start(&driver, options->cpus, options->threads);

	for (unsigned j = 0; j < command->test_count; j++)
		steps += sizes * run_steps(&plans[j]);
	progress_begin(steps);
	for (unsigned i = 0; i < sizes && !err; i++) {
		uint64_t size = command->one_size ? sizeof(uint64_t) : options->sizes[i];

		for (unsigned j = 0; j < command->test_count && !err; j++) {
			char label[64], text[OPTIONS_SIZE_TEXT];

			snprintf(label, sizeof(label), "%s of %s bytes",
				 test_name(command->tests[j]), options_size_text(text, size));
			progress_label(label);
			err = run_size(&driver, &plans[j], options, command->tests[j], size,
				       results);
		}
	}
	progress_clear();
	results->interrupted = err == -EINTR;
	driver_stop(&driver, err && err != -EINTR);
	return results->interrupted ? 0 : err;
}

static int run(const struct command *command, struct options *options)
{
	struct results results = { .rows = NULL };
	struct plan plans[2];
	const char *error = NULL;
	int status = 0;

	if (command->prepare)
		command->prepare(options);
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
	if (measure(command, plans, options, &results)) {
		error = complaint();
		fprintf(stderr, "peal-perf: %s\n", error);
		status = 1;
	}
	if (!results_whole(&results))
		status = 1;
	if (options->json)
		report_json(&results, options, error);
	else if (results.count)
		command->print(&results, options);
	results_free(&results);
	if (fflush(stdout)) {
		fprintf(stderr, "peal-perf: writing the report: %s\n", strerror(errno));
		status = 1;
	}
	return status;
}

int main(int argc, char **argv)
{
	const struct command *command = NULL;
	struct options options;
	int err;

	if (argc > 1 && !strcmp(argv[1], PARTNER_COMMAND))
		return partner_main(argc, argv);
	if (argc < 2) {
		fprintf(stderr, "peal-perf: which command? Give floor, latency, stream or demo; "
				"see peal-perf --help\n");
		return EXIT_USAGE;
	}
	if (argv[1][0] != '-') {
		command = command_find(argv[1]);
		if (!command)
			return EXIT_USAGE;
	}
	err = options_parse(&options, argc - 1 - !!command, argv + 1 + !!command);
	if (err)
		return err;
	if (options.version)
		return version();
	if (options.help) {
		help();
		return 0;
	}
	if (!command) {
		fprintf(stderr, "peal-perf: the command comes first: peal-perf latency %s\n",
			argv[1]);
		return EXIT_USAGE;
	}
	return run(command, &options);
}
