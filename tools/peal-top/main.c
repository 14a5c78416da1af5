/*
 * SPDX-License-Identifier: MIT
 *
 * peal-top: what a server's clients do, from the counters that the server keeps in any case: on a
 * screen, as a table, as JSON, or as metrics for Prometheus; or which servers there are. This file
 * is the command line, and when what is printed.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <peal.h>

#include "column.h"
#include "output.h"
#include "screen.h"
#include "servers.h"
#include "target.h"
#include "tools/standard.h"

#define TOOL "peal-top"

#define EXIT_OUTPUT 1
#define EXIT_IN_VAIN 2
#define EXIT_USAGE 64 /* EX_USAGE of sysexits.h */

#define OPEN_NS INT64_C(2000000000)
#define LEAST_INTERVAL 0.05
#define MOST_INTERVAL 86400.0

enum form { FORM_SCREEN, FORM_TEXT, FORM_JSON, FORM_PROMETHEUS };

struct wishes {
	const char *address; /* NULL: list the servers */
	enum form form;
	bool once, reverse, colour;
	double interval;
	uint64_t count; /* 0: no end */
	const struct column *sort;
	const char *output; /* a file; NULL: standard output */
};

static void print_help(void)
{
	const struct column *column;

	puts("Usage: peal-top [OPTION]... [ADDRESS]\n"
	     "Show what the clients of a Peal server do, from the counters that it keeps in any case:\n"
	     "it is not disturbed. It must be of the same user, unless that is root. Without an\n"
	     "ADDRESS list the servers on this machine: this user's, or for root all.\n"
	     "\n"
	     "  -d, --interval SECONDS  between two looks (1), 0.05 to 86400\n"
	     "  -n, --count NUMBER      of looks, then end\n"
	     "  -s, --sort KEY          of the column to sort by (in), see below\n"
	     "  -r, --reverse           sort the other way round\n"
	     "  -1, --once              print a table, after one interval, and end\n"
	     "      --json              print a JSON object, each interval, in a line of its own\n"
	     "                          (with --once one object; docs/peal-top.schema.json)\n"
	     "      --prometheus        print metrics in the text format of Prometheus, once; without\n"
	     "                          an ADDRESS those of all servers\n"
	     "  -o, --output FILE       write them into this file, which never is half-written, each\n"
	     "                          interval: for the node exporter's textfile collector\n"
	     "      --no-colour         also if NO_COLOR is in the environment\n"
	     "  -h, --help              print this\n"
	     "  -V, --version           print the version\n"
	     "\n"
	     "In is what the server receives, out what it sends. Keys while it runs: h lists them.\n"
	     "\n"
	     "Columns and their KEYs:");
	for (unsigned i = 0; (column = column_at(i)); i++)
		printf("  %-8s%-16s%s\n", column->title, column->key, column->about);
	puts("\n"
	     "Exit code: 0; 1 if the output cannot be written; 2 if there is no such server, it may\n"
	     "not be looked at, or it has gone; 64 for a bad command line, or no\n"
	     "terminal.");
	standard_help_end(TOOL);
}

/* Why the output could not be written, once it could not; 0: it could. */
static int lost;

/* False: there is no use in going on. */
static bool flush(void)
{
	if (!lost && (fflush(stdout) || ferror(stdout)))
		lost = errno ? errno : EIO;
	return !lost;
}

/* A report that was cut short must not pass for a whole one. */
static int finish(int status)
{
	flush();
	if (fclose(stdout) && !lost)
		lost = errno;
	if (!lost)
		return status;
	fprintf(stderr, "peal-top: the output could not be written: %s\n", strerror(lost));
	return EXIT_OUTPUT;
}

static int refuse(const char *what, const char *value)
{
	fprintf(stderr, TOOL ": %s \"%s\"\n", what, value);
	return standard_usage(TOOL, EXIT_USAGE);
}

/* The sentence behind what the library returned. */
static int in_vain(void)
{
	fprintf(stderr, "peal-top: %s\n", peal_error());
	return EXIT_IN_VAIN;
}

/* As wide as the terminal; 0: it is none. */
static int width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return 0;
	return size.ws_col;
}

static void print_sample(const struct wishes *wishes, const struct target *target)
{
	if (wishes->form == FORM_JSON)
		json_sample(target, wishes->sort, wishes->reverse, !wishes->once);
	else
		text_sample(target, wishes->sort, wishes->reverse, width());
}

/* Until the interval is over. One that was missed is not made up for. */
static void await_interval(uint64_t *due, uint64_t interval)
{
	uint64_t now = clock_now();

	*due = *due + interval > now ? *due + interval : now + interval;
	while (clock_now() < *due)
		clock_wait(*due);
}

/* Tables and objects: each after an interval, so that there is something per second. */
static int print_samples(const struct wishes *wishes, struct target *target)
{
	uint64_t interval = (uint64_t)(wishes->interval * 1e9), due = clock_now();
	uint64_t count = wishes->once ? 1 : wishes->count;

	for (uint64_t shown = 0; !count || shown < count;) {
		await_interval(&due, interval);
		if (target_look(target))
			return in_vain();
		/* A new server has no sample before. */
		if (target->sampler.now.seconds <= 0)
			continue;
		print_sample(wishes, target);
		if (!flush())
			return EXIT_OUTPUT;
		shown++;
	}
	return 0;
}

/* --- Prometheus ---------------------------------------------------------------------------- */

/* Whether a file of that name may be replaced: a device, such as /dev/null, or a link is none that
 * we could make again. */
static bool may_replace(const char *path)
{
	struct stat status;

	return lstat(path, &status) || S_ISREG(status.st_mode);
}

/* By one beside it; name is what mkstemp makes a name of. */
static int replace(const char *path, char *name, mode_t mode, const struct target *targets,
		   unsigned count)
{
	FILE *file = NULL;
	bool whole;
	int fd = mkstemp(name);

	if (fd < 0)
		goto failed;
	file = fdopen(fd, "w");
	if (!file) {
		close(fd);
		goto undo;
	}
	/* The collector is another user. */
	if (fchmod(fd, mode)) {
		fclose(file);
		goto undo;
	}
	prometheus_print(file, targets, count);
	/* What could not be written earlier is lost, also where the end could be. */
	whole = !fflush(file) && !ferror(file);
	if (fclose(file) || !whole || rename(name, path))
		goto undo;
	return 0;
undo:
	unlink(name);
failed:
	fprintf(stderr, "peal-top: writing %s: %s\n", path, strerror(errno));
	return EXIT_OUTPUT;
}

/* Replaces the file as a whole. */
static int write_metrics(const char *path, const struct target *targets, unsigned count)
{
	char name[4096];
	mode_t mask = umask(0);
	sigset_t all, before;
	int status;

	umask(mask);
	if (!path) {
		prometheus_print(stdout, targets, count);
		return 0;
	}
	if (snprintf(name, sizeof(name), "%s.XXXXXX", path) >= (int)sizeof(name)) {
		fprintf(stderr, "peal-top: the path of the output has more than %zu bytes\n",
			sizeof(name) - sizeof(".XXXXXX"));
		return EXIT_OUTPUT;
	}
	if (!may_replace(path)) {
		fprintf(stderr,
			"peal-top: %s is no plain file and would be replaced by one: say another, or leave --output away\n",
			path);
		return EXIT_OUTPUT;
	}
	/* Who ends it then would leave the half of it behind. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	status = replace(path, name, 0666 & ~mask, targets, count);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return status;
}

/* Whether it is no use to try again. */
static bool is_final(int err)
{
	switch (err) {
	case -EINVAL:
	case -ENAMETOOLONG:
	case -EBADF:
	case -ENOTSOCK:
	case -ENOTCONN:
	case -EOPNOTSUPP:
	case -EPERM:
	case -EACCES:
		return true;
	default:
		return false;
	}
}

/* Of one server; while it is not there, that is what is written. */
static int metrics_of_one(const struct wishes *wishes, uint64_t rounds)
{
	uint64_t interval = (uint64_t)(wishes->interval * 1e9), due = clock_now();
	struct target target = { .address = wishes->address };
	int err = 0, told = 0, status = 0;

	for (uint64_t i = 0; !status && !is_final(err) && (!rounds || i < rounds); i++) {
		if (i)
			await_interval(&due, interval);
		err = target.monitor ? target_look(&target) :
				       target_open(&target, wishes->address, OPEN_NS);
		if (err) {
			if (told != err)
				in_vain();
			target_close(&target);
		}
		told = err;
		status = write_metrics(wishes->output, &target, 1);
	}
	target_close(&target);
	return status ? status : err ? EXIT_IN_VAIN : 0;
}

/* Of all that there are, which are looked for each time. */
static int metrics_of_all(const struct wishes *wishes, uint64_t rounds)
{
	uint64_t interval = (uint64_t)(wishes->interval * 1e9), due = clock_now();
	int status = 0;

	for (uint64_t i = 0; !status && (!rounds || i < rounds); i++) {
		struct server *servers = NULL;
		struct target *targets;
		int count;

		if (i)
			await_interval(&due, interval);
		count = servers_find(&servers, NULL);
		targets = count < 0 ? NULL : calloc((size_t)count + 1, sizeof(*targets));
		if (!targets) {
			free(servers);
			errno = count < 0 ? -count : ENOMEM;
			fprintf(stderr, "peal-top: looking for servers: %s\n", strerror(errno));
			return EXIT_IN_VAIN;
		}
		for (int j = 0; j < count; j++) {
			if (servers[j].err)
				targets[j].address = servers[j].address;
			else if (target_open(&targets[j], servers[j].address, OPEN_NS))
				target_close(&targets[j]);
		}
		status = write_metrics(wishes->output, targets, (unsigned)count);
		for (int j = 0; j < count; j++)
			target_close(&targets[j]);
		free(targets);
		free(servers);
	}
	return status;
}

static int print_metrics(const struct wishes *wishes)
{
	/* Several, one behind the other, would be no text of the format. */
	uint64_t rounds = wishes->once || !wishes->output ? 1 : wishes->count;

	return wishes->address ? metrics_of_one(wishes, rounds) : metrics_of_all(wishes, rounds);
}

/* ------------------------------------------------------------------------------------------- */

static int list_servers(const struct wishes *wishes)
{
	struct server *servers = NULL;
	int count = servers_find(&servers, NULL);

	if (count < 0) {
		fprintf(stderr, "peal-top: looking for servers: %s\n", strerror(-count));
		return EXIT_IN_VAIN;
	}
	if (wishes->form == FORM_JSON) {
		json_servers(servers, (unsigned)count, !wishes->once);
	} else {
		text_servers(servers, (unsigned)count);
		if (!count)
			fprintf(stderr, "peal-top: no server of this user was found\n");
	}
	free(servers);
	return 0;
}

static int show_screen(const struct wishes *wishes, struct target *target)
{
	const struct screen_wish wish = {
		.interval_ns = (uint64_t)(wishes->interval * 1e9),
		.count = wishes->count,
		.sort = wishes->sort,
		.reverse = wishes->reverse,
		.colour = wishes->colour,
	};
	int err = screen_run(target, &wish);

	if (err == -ENOTTY) {
		fprintf(stderr,
			"peal-top: the terminal \"%s\" cannot be drawn on: set TERM, or try --once\n",
			getenv("TERM") ? getenv("TERM") : "");
		return EXIT_IN_VAIN;
	}
	return err ? in_vain() : 0;
}

/* Whether there can be a screen; else why not. */
static const char *no_screen(void)
{
	static const char not_built[] =
		"this peal-top was built without ncurses and has no screen: say --once, --json or --prometheus";
	static const char no_terminal[] =
		"standard input or output is no terminal: say --once, --json or --prometheus";

	if (!screen_is_built())
		return not_built;
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) ? NULL : no_terminal;
}

static int serve(const struct wishes *wishes)
{
	const char *why = wishes->address && wishes->form == FORM_SCREEN ? no_screen() : NULL;
	struct target target;
	int status;

	if (why) {
		fprintf(stderr, "peal-top: %s\n", why);
		return EXIT_USAGE;
	}
	if (wishes->output && wishes->form != FORM_PROMETHEUS)
		return refuse("only --prometheus takes", "--output");
	if (wishes->form == FORM_PROMETHEUS)
		return finish(print_metrics(wishes));
	if (!wishes->address)
		return finish(list_servers(wishes));
	if (target_open(&target, wishes->address, OPEN_NS))
		status = in_vain();
	else
		status = wishes->form == FORM_SCREEN ? show_screen(wishes, &target) :
						       print_samples(wishes, &target);
	target_close(&target);
	return finish(status);
}

/* --- the command line ---------------------------------------------------------------------- */

enum { OPTION_JSON = 256, OPTION_PROMETHEUS, OPTION_NO_COLOUR };

static const struct option options[] = {
	{ "interval", required_argument, NULL, 'd' },
	{ "count", required_argument, NULL, 'n' },
	{ "sort", required_argument, NULL, 's' },
	{ "reverse", no_argument, NULL, 'r' },
	{ "once", no_argument, NULL, '1' },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "prometheus", no_argument, NULL, OPTION_PROMETHEUS },
	{ "output", required_argument, NULL, 'o' },
	{ "no-colour", no_argument, NULL, OPTION_NO_COLOUR },
	{ "no-color", no_argument, NULL, OPTION_NO_COLOUR },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static bool take_number(const char *text, double least, double most, double *number)
{
	char *end;

	*number = strtod(text, &end);
	return end != text && !*end && *number >= least && *number <= most;
}

/* 0, or an exit code. */
static int take_value(struct wishes *wishes, int option, const char *value)
{
	double number;

	switch (option) {
	case 'd':
		if (!take_number(value, LEAST_INTERVAL, MOST_INTERVAL, &wishes->interval))
			return refuse("not 0.05 to 86400 seconds behind --interval:", value);
		return 0;
	case 'n':
		if (!take_number(value, 1, 1e15, &number) || number != (double)(uint64_t)number)
			return refuse("not a number from 1 on behind --count:", value);
		wishes->count = (uint64_t)number;
		return 0;
	case 's':
		wishes->sort = column_find(value);
		return wishes->sort ? 0 : refuse("no KEY of a column behind --sort:", value);
	default:
		wishes->output = value;
		return 0;
	}
}

/* Takes an option that has no value; false: it ends the program, with a status. */
static bool take_flag(struct wishes *wishes, int option, char **argv, int *status)
{
	switch (option) {
	case 'r':
		wishes->reverse = true;
		return true;
	case '1':
		wishes->once = true;
		return true;
	case OPTION_JSON:
	case OPTION_PROMETHEUS:
		if (wishes->form != FORM_SCREEN) {
			*status = refuse("one form at a time, and there is one before",
					 argv[optind - 1]);
			return false;
		}
		wishes->form = option == OPTION_JSON ? FORM_JSON : FORM_PROMETHEUS;
		return true;
	case OPTION_NO_COLOUR:
		wishes->colour = false;
		return true;
	case 'h':
		print_help();
		*status = finish(0);
		return false;
	case 'V':
		standard_version(TOOL);
		*status = finish(0);
		return false;
	case ':':
		*status = refuse("a value is missing behind", argv[optind - 1]);
		return false;
	default:
		*status = refuse("unknown option", standard_option(argv));
		return false;
	}
}

int main(int argc, char **argv)
{
	struct wishes wishes = { .interval = 1,
				 .sort = column_find("in"),
				 .colour = !getenv("NO_COLOR") };
	int option, status;

	standard_keep();
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":d:n:s:r1o:hV", options, NULL)) >= 0) {
		if (strchr("dnso", option) && option < 128) {
			status = take_value(&wishes, option, optarg);
			if (status)
				return status;
		} else if (!take_flag(&wishes, option, argv, &status)) {
			return status;
		}
	}
	if (optind < argc)
		wishes.address = argv[optind++];
	if (optind < argc)
		return refuse("more than one address:", argv[optind]);
	if (wishes.form == FORM_SCREEN && wishes.once)
		wishes.form = FORM_TEXT;
	return serve(&wishes);
}
