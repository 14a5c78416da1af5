/*
 * SPDX-License-Identifier: MIT
 *
 * peal-tune: looks at a machine, says what will slow a latency-bound program down, and mends it on
 * request. This file is the command line: the options that several commands take, and who gets the
 * rest.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/number.h"
#include "tools/peal-tune/command.h"
#include "tools/peal-tune/tell.h"
#include "tools/standard.h"

#define TOOL "peal-tune"

/* The commands, as bits of who takes an option. */
enum command {
	CHECK = 1,
	EXPLAIN = 2,
	APPLY = 4,
	UNDO = 8,
	HUGE = 16,
	RUN = 32,
	TOPOLOGY = 64,
	JITTER = 128,
	EACH = 255,
	LOOKS = EACH & ~EXPLAIN /* those that look at a machine */
};

static const struct {
	const char *name;
	enum command bit;
	int (*serve)(const struct common *common, int argc, char **argv);
} commands[] = {
	{ "check", CHECK, command_check },
	{ "explain", EXPLAIN, command_explain },
	{ "apply", APPLY, command_apply },
	{ "undo", UNDO, command_undo },
	{ "huge", HUGE, command_huge },
	{ "run", RUN, command_run },
	{ "topology", TOPOLOGY, command_topology },
	{ "jitter", JITTER, command_jitter },
};

static void print_help(void)
{
	puts("Usage: peal-tune COMMAND [OPTION]...\n"
	     "Look at this machine, say what will slow Peal, or any program that must answer fast,\n"
	     "down; show the mend; apply it on request, and take it back.\n"
	     "\n"
	     "  check                a line per finding; reads only\n"
	     "  explain [ID]         why a check is made; without an ID, all of them in a line each\n"
	     "  apply                write what can be: journal first, read back, verified\n"
	     "  undo [--force]       put back what was there before, also after a failure; --force:\n"
	     "                       even what somebody else has changed since\n"
	     "  huge list [--size SIZE] [--node N] [--bytes SIZE]\n"
	     "                       the pools of huge pages, by size and node\n"
	     "  huge reserve [--size SIZE] [--node N] --pages N | --bytes SIZE\n"
	     "                       see to it that so many pages are free\n"
	     "  huge release [--size SIZE] [--node N] [--pages N]\n"
	     "                       give back so many, or what was reserved: none that is in use\n"
	     "\n"
	     "  run [--lock] [--fifo PRIO] [--hold-latency] [--dry-run] -- COMMAND [ARGUMENT]...\n"
	     "                       start a program on --cpus, with the memory of --node, free to\n"
	     "                       lock its memory, as SCHED_FIFO, with /dev/cpu_dma_latency held\n"
	     "  topology [--measure [--rounds N] [--seconds S] [--plot FILE.svg]]\n"
	     "                       cores, siblings, caches, nodes; the round trip between each two\n"
	     "                       of --cpus\n"
	     "  jitter [--threshold NS] [--seconds S]\n"
	     "                       how often and how long each of --cpus is taken away (10000, 5)\n"
	     "\n"
	     "What is to run, for check and apply:\n"
	     "  --profile PROFILE    latency (unless said otherwise), throughput or container\n"
	     "  --cpus LIST          the CPUs that it runs on, as 2-3,6: those that are allowed\n"
	     "  --node N             the NUMA node of its memory: any\n"
	     "  --bytes SIZE         of rings on huge pages, such as 64m\n"
	     "  --clients N          of one server\n"
	     "  --pid P              look at the limits and the rings of this process\n"
	     "  --only ID            this check alone\n"
	     "  --measure            what a round trip takes, before and after what apply does\n"
	     "\n"
	     "For what changes things:\n"
	     "  --dry-run            print the commands for a shell, and do nothing\n"
	     "  --persist            of apply and huge: make it last, in sysctl.d and tmpfiles.d\n"
	     "\n"
	     "For all commands but explain:\n"
	     "  --root DIR           read a recorded /sys and /proc in this folder instead\n"
	     "  --json               print one JSON object (docs/peal-tune*.schema.json)\n"
	     "  --quiet              only what is to be mended\n"
	     "  --colour WHEN        always, never, or auto: on a terminal, unless NO_COLOR is set\n"
	     "  --help               print this\n"
	     "  --version            print the version\n"
	     "\n"
	     "Exit code: 0; 1 there are warnings, or something for the next boot; 2 failures;\n"
	     "3 applied in part; 4 not enough privilege; 64 a bad command line; 70 something that\n"
	     "is peal-tune's fault. 0 of apply: what can be written is right; check tells what is\n"
	     "left to do by hand. run: the program's, or 126 or 127 if it could not be started.");
	standard_help_end(TOOL);
}

static int finish(int code)
{
	return standard_finish(TOOL, code, EXIT_INTERNAL);
}

static int refuse(const char *what, const char *value)
{
	fprintf(stderr, TOOL ": %s \"%s\"\n", what, value);
	return standard_usage(TOOL, EXIT_USAGE);
}

/* --- options ---------------------------------------------------------------------------------- */

/* Each takes its value, NULL of a flag, and returns whether it is one. */

static bool take_profile(struct common *common, const char *text)
{
	static const enum profile all[] = { PROFILE_LATENCY, PROFILE_THROUGHPUT,
					    PROFILE_CONTAINER };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(text, profile_name(all[i])) != 0)
			continue;
		common->wish.profile = all[i];
		return true;
	}
	return false;
}

static bool take_cpus(struct common *common, const char *text)
{
	common->wish.has_cpus = true;
	return !parse_cpus(text, &common->wish.cpus) && cpus_count(&common->wish.cpus);
}

static bool take_node(struct common *common, const char *text)
{
	int64_t node;

	if (parse_number(text, &node) || node < 0 || node >= CPUS_MAX)
		return false;
	common->wish.node = (int)node;
	return true;
}

static bool take_bytes(struct common *common, const char *text)
{
	return number_read(text, 1024, &common->wish.bytes) && common->wish.bytes <= UINT64_C(1)
											     << 50;
}

static bool take_clients(struct common *common, const char *text)
{
	return number_read(text, 1000, &common->wish.clients) && common->wish.clients <= 1000000;
}

static bool take_pid(struct common *common, const char *text)
{
	return !parse_number(text, &common->wish.pid) && common->wish.pid > 0 &&
	       common->wish.pid <= INT32_MAX;
}

static bool take_only(struct common *common, const char *text)
{
	common->only = text;
	return true;
}

static bool take_root(struct common *common, const char *text)
{
	static char root[4096];
	size_t length = strlen(text);

	while (length && text[length - 1] == '/')
		length--;
	if (!*text || length >= sizeof(root))
		return false;
	memcpy(root, text, length);
	root[length] = '\0';
	common->root = root;
	return true;
}

static bool take_colour(struct common *common, const char *text)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

	common->colour = !strcmp(text, "always");
	if (!strcmp(text, "auto"))
		common->colour = isatty(STDOUT_FILENO) && !(no_colour && *no_colour) &&
				 !(term && !strcmp(term, "dumb"));
	return common->colour || !strcmp(text, "auto") || !strcmp(text, "never");
}

static const struct option {
	const char *name;
	unsigned commands; /* that take it */
	bool (*take)(struct common *common, const char *text);
	size_t flag; /* where in struct common, if there is nothing to take */
	const char *values;
} options[] = {
	{ "--profile", CHECK | APPLY, take_profile, 0, "latency, throughput or container" },
	{ "--cpus", CHECK | APPLY | RUN | TOPOLOGY | JITTER, take_cpus, 0, "CPUs, such as 2-3,6" },
	{ "--node", CHECK | APPLY | RUN | HUGE, take_node, 0, "a node, from 0 on" },
	{ "--bytes", CHECK | APPLY | HUGE, take_bytes, 0, "a size, such as 64m" },
	{ "--clients", CHECK | APPLY, take_clients, 0, "a number up to 1000000" },
	{ "--pid", CHECK | APPLY, take_pid, 0, "the number of a process" },
	{ "--only", CHECK | APPLY | UNDO, take_only, 0, "the id of a check" },
	{ "--root", LOOKS, take_root, 0, "a folder" },
	{ "--colour", EACH, take_colour, 0, "always, never or auto" },
	{ "--json", LOOKS, NULL, offsetof(struct common, json), NULL },
	{ "--quiet", LOOKS, NULL, offsetof(struct common, quiet), NULL },
	{ "--measure", CHECK | APPLY | TOPOLOGY, NULL, offsetof(struct common, measure), NULL },
	{ "--dry-run", APPLY | UNDO | HUGE | RUN, NULL, offsetof(struct common, dry_run), NULL },
	{ "--persist", APPLY | HUGE, NULL, offsetof(struct common, persist), NULL },
};

/* The option that argument is, alone or with "=" and a value; NULL: it is for the command. */
static const struct option *find_option(const char *argument, const char **value)
{
	size_t length = strcspn(argument, "=");

	*value = argument[length] ? argument + length + 1 : NULL;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (length == strlen(options[i].name) && !memcmp(argument, options[i].name, length))
			return &options[i];
	return NULL;
}

/* Takes the option at argv[*at], and its value, which may be the next. 0 or an exit code. */
static int take_option(struct common *common, const struct option *option, const char *value,
		       char **argv, int *at)
{
	if (!option->take) {
		if (value)
			return refuse("no value goes with", argv[*at]);
		*((bool *)common + option->flag) = true;
		return 0;
	}
	if (!value)
		value = argv[*at + 1] ? argv[++*at] : "";
	if (option->take(common, value))
		return 0;
	fprintf(stderr, "peal-tune: \"%s\" behind %s: give %s\n", value, option->name,
		option->values);
	return EXIT_USAGE;
}

/* Takes the common options out of argv, which keeps the others in their order. Behind "--" there
 * are none. 0 or an exit code. */
static int take_options(struct common *common, enum command command, int *argc, char **argv)
{
	int kept = 1, at = 1, code;

	for (; at < *argc && strcmp(argv[at], "--") != 0; at++) {
		const char *value;
		const struct option *option = find_option(argv[at], &value);

		if (!option) {
			argv[kept++] = argv[at];
			continue;
		}
		if (!(option->commands & command)) {
			fprintf(stderr, TOOL ": %s does not take %s\n", argv[0], option->name);
			return standard_usage(TOOL, EXIT_USAGE);
		}
		code = take_option(common, option, value, argv, &at);
		if (code)
			return code;
	}
	while (at < *argc)
		argv[kept++] = argv[at++];
	argv[kept] = NULL;
	*argc = kept;
	return 0;
}

int take_nothing(int argc, char **argv)
{
	if (argc < 2)
		return 0;
	return refuse(argv[1][0] == '-' ? "unknown option" : "unknown argument", argv[1]);
}

int take_machine(const struct common *common, struct machine *machine)
{
	int err = machine_read(machine, common->root, &common->wish);

	if (!err)
		return 0;
	if (err == -ESRCH)
		fprintf(stderr, "peal-tune: there is no process %" PRId64 ": give a live one's\n",
			common->wish.pid);
	else
		fprintf(stderr, "peal-tune: root \"%s\": %s\n", common->root, strerror(-err));
	return EXIT_USAGE;
}

/* --- which command ---------------------------------------------------------------------------- */

static bool asks(int argc, char **argv, const char *option)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (!strcmp(argv[i], option))
			return true;
	return false;
}

static int serve(enum command command, int (*serve_it)(const struct common *, int, char **),
		 int argc, char **argv)
{
	struct common common = { .root = "" };
	int code;

	common.wish.profile = PROFILE_LATENCY;
	common.wish.node = -1;
	take_colour(&common, "auto");
	code = take_options(&common, command, &argc, argv);
	if (code)
		return code;
	/* The journal knows others: what was persisted, or reserved. */
	if (common.only && command != UNDO && !check_find(common.only)) {
		fprintf(stderr, "peal-tune: there is no check \"%s\": did you mean %s?\n",
			common.only, check_nearest(common.only));
		return EXIT_USAGE;
	}
	if (common.measure && *common.root && command != TOPOLOGY) {
		fprintf(stderr,
			"peal-tune: what is in %s is not running, and cannot be measured: "
			"leave --measure out\n",
			common.root);
		return EXIT_USAGE;
	}
	return serve_it(&common, argc, argv);
}

int main(int argc, char **argv)
{
	standard_keep();
	if (asks(argc, argv, "--help")) {
		print_help();
		return finish(EXIT_FINE);
	}
	if (asks(argc, argv, "--version")) {
		standard_version(TOOL);
		return finish(EXIT_FINE);
	}
	if (argc < 2)
		return standard_usage(TOOL,
				      tell(EXIT_USAGE, "no command: give one, such as check"));
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return finish(
				serve(commands[i].bit, commands[i].serve, argc - 1, argv + 1));
	return refuse("unknown command", argv[1]);
}
