/*
 * SPDX-License-Identifier: MIT
 *
 * peal-tune jitter: how often and for how long each CPU is taken away from who wants all of it.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/json.h"
#include "tools/peal-tune/command.h"
#include "tools/peal-tune/gaps.h"
#include "tools/peal-tune/report.h"
#include "tools/peal-tune/seconds.h"
#include "tools/peal-tune/tell.h"
#include "tools/standard.h"

#define THRESHOLD_DEFAULT 10000
#define THRESHOLD_LEAST 200
#define THRESHOLD_MOST 1000000000
#define SECONDS_DEFAULT 5

/* Columns of a CPU's number, and of a class. */
#define LABEL 5u
#define COLUMN 7u

struct jitter {
	const struct common *common;
	struct machine machine;
	struct cpus cpus;
	uint64_t threshold; /* ns */
	double seconds;
	bool interrupted;
	struct gaps *gaps;
	unsigned count;
};

/* In at most six letters: "8.2us", "524us", "1.0ms". */
static void print_time(char *text, size_t size, double ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	unsigned unit = 0;

	while (ns >= 999.5 && unit < 3) {
		ns /= 1000;
		unit++;
	}
	snprintf(text, size, unit && ns < 9.95 ? "%.1f%s" : "%.0f%s", ns, units[unit]);
}

static double share(const struct gaps *gaps)
{
	return gaps->watched ? 100 * (double)gaps->sum / (double)gaps->watched : 0;
}

/* --- text ------------------------------------------------------------------------------------- */

static void print_table(const struct jitter *jitter)
{
	char longest[16], sum[16];

	printf("CPU       gaps  longest      all    share\n");
	for (unsigned i = 0; i < jitter->count; i++) {
		const struct gaps *gaps = &jitter->gaps[i];

		print_time(longest, sizeof(longest), (double)gaps->longest);
		print_time(sum, sizeof(sum), (double)gaps->sum);
		printf("%3u %10" PRIu64 " %8s %8s %7.3f%%\n", gaps->cpu, gaps->count, longest, sum,
		       share(gaps));
	}
}

/* The classes that anything is in. False: none. */
static bool find_classes(const struct jitter *jitter, unsigned *first, unsigned *last)
{
	bool found = false;

	for (unsigned class = 0; class < GAPS_CLASSES; class ++) {
		for (unsigned i = 0; i < jitter->count; i++) {
			if (!jitter->gaps[i].classes[class])
				continue;
			if (!found)
				*first = class;
			*last = class;
			found = true;
		}
	}
	return found;
}

static void print_count(uint64_t count)
{
	if (count < 100000)
		printf("%*" PRIu64, (int)COLUMN, count);
	else
		printf("%*.0fk", (int)COLUMN - 1, (double)count / 1000);
}

/* As many classes beside each other as there is room for. */
static void print_histogram(const struct jitter *jitter)
{
	unsigned first, last, fit = (report_width() - LABEL) / COLUMN;

	if (!find_classes(jitter, &first, &last))
		return;
	puts("\nhow many gaps lasted from so long to the next column's time");
	for (unsigned from = first; from <= last; from += fit) {
		printf("%-*s", (int)LABEL, "CPU");
		for (unsigned class = from; class <= last && class < from + fit; class ++) {
			char text[16];

			print_time(text, sizeof(text), (double)(UINT64_C(1) << class));
			printf("%*s", (int)COLUMN, text);
		}
		putchar('\n');
		for (unsigned i = 0; i < jitter->count; i++) {
			printf("%3u%*s", jitter->gaps[i].cpu, (int)LABEL - 3, "");
			for (unsigned class = from; class <= last && class < from + fit; class ++)
				print_count(jitter->gaps[i].classes[class]);
			putchar('\n');
		}
	}
}

static void describe(const struct gaps *gaps, double seconds, char *text, size_t size)
{
	char longest[16];

	print_time(longest, sizeof(longest), (double)gaps->longest);
	if (!gaps->count)
		snprintf(text, size, "CPU %u was never taken away in %.1f s", gaps->cpu, seconds);
	else
		snprintf(text, size,
			 "CPU %u was taken away %" PRIu64 " times in %.1f s, for up to %s, %.3f %% "
			 "of the time",
			 gaps->cpu, gaps->count, seconds, longest, share(gaps));
}

/* By the longest gap, and then by the sum: one long gap is what a deadline is missed by. */
static bool is_quieter(const struct gaps *a, const struct gaps *b)
{
	return a->longest != b->longest ? a->longest < b->longest : a->sum < b->sum;
}

static void print_summary(const struct jitter *jitter)
{
	const struct gaps *quiet = &jitter->gaps[0], *loud = quiet;
	char one[160], other[160], text[400], threshold[16];

	for (unsigned i = 1; i < jitter->count; i++) {
		if (is_quieter(&jitter->gaps[i], quiet))
			quiet = &jitter->gaps[i];
		if (is_quieter(loud, &jitter->gaps[i]))
			loud = &jitter->gaps[i];
	}
	print_time(threshold, sizeof(threshold), (double)jitter->threshold);
	describe(quiet, (double)quiet->watched / 1e9, one, sizeof(one));
	describe(loud, (double)loud->watched / 1e9, other, sizeof(other));
	if (jitter->count == 1 || !loud->count)
		snprintf(text, sizeof(text), "%s, as far as gaps from %s on go.",
			 jitter->count == 1 ? one : "No CPU was taken away", threshold);
	else
		snprintf(text, sizeof(text), "The quietest: %s; the loudest: %s (gaps from %s on).",
			 one, other, threshold);
	putchar('\n');
	report_words(text, 0, 0, report_width());
	putchar('\n');
	if (jitter->interrupted)
		puts("It was ended early by a signal.");
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void write_classes(struct json *json, const struct gaps *gaps)
{
	json_array(json, "classes");
	for (unsigned class = 0; class < GAPS_CLASSES; class ++) {
		if (!gaps->classes[class])
			continue;
		json_object(json, NULL);
		json_integer(json, "from_ns", UINT64_C(1) << class);
		json_integer(json, "count", gaps->classes[class]);
		json_end_object(json);
	}
	json_end_array(json);
}

static void print_json(const struct jitter *jitter)
{
	struct json json = { .file = stdout };

	report_begin_json(&json, "jitter", &jitter->machine);
	json_integer(&json, "threshold_ns", jitter->threshold);
	json_bool(&json, "interrupted", jitter->interrupted);
	json_array(&json, "cpus");
	for (unsigned i = 0; i < jitter->count; i++) {
		const struct gaps *gaps = &jitter->gaps[i];

		json_object(&json, NULL);
		json_integer(&json, "cpu", gaps->cpu);
		json_number(&json, "seconds", (double)gaps->watched / 1e9, 6);
		json_integer(&json, "gaps", gaps->count);
		json_integer(&json, "longest_ns", gaps->longest);
		json_integer(&json, "sum_ns", gaps->sum);
		json_number(&json, "share_percent", share(gaps), 4);
		write_classes(&json, gaps);
		json_end_object(&json);
	}
	json_end_array(&json);
	json_end_object(&json);
}

/* --- the command ------------------------------------------------------------------------------ */

static int choose(struct jitter *jitter)
{
	char list[256];

	jitter->cpus = jitter->common->wish.has_cpus ? jitter->common->wish.cpus :
						       jitter->machine.allowed;
	if (cpus_count(&jitter->cpus) && cpus_within(&jitter->cpus, &jitter->machine.allowed))
		return 0;
	print_cpus(&jitter->machine.allowed, list, sizeof(list));
	return tell(EXIT_PRIVILEGE,
		    "this process may only use CPUs %s: choose of those with --cpus, or let others "
		    "into this cgroup's cpuset.cpus",
		    list);
}

static int watch(struct jitter *jitter)
{
	int err;

	jitter->count = cpus_count(&jitter->cpus);
	jitter->gaps = calloc(jitter->count, sizeof(*jitter->gaps));
	if (!jitter->gaps)
		return tell(EXIT_INTERNAL, "out of memory");
	err = gaps_watch(jitter->gaps, &jitter->cpus, jitter->threshold, jitter->seconds,
			 &jitter->interrupted);
	if (err)
		return tell(EXIT_PRIVILEGE, "a thread for each of %u CPUs could not be started: %s",
			    jitter->count, strerror(-err));
	for (unsigned i = 0; i < jitter->count; i++)
		if (jitter->gaps[i].err)
			return tell(EXIT_PRIVILEGE, "CPU %u could not be had: %s",
				    jitter->gaps[i].cpu, strerror(-jitter->gaps[i].err));
	return 0;
}

static int take_options(struct jitter *jitter, int argc, char **argv)
{
	static const struct option known[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "threshold", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	int64_t threshold;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
		switch (option) {
		case 's':
			if (!seconds_read(optarg, &jitter->seconds))
				return EXIT_USAGE;
			break;
		case 't':
			if (parse_number(optarg, &threshold) || threshold < THRESHOLD_LEAST ||
			    threshold > THRESHOLD_MOST)
				return tell(EXIT_USAGE,
					    "threshold \"%s\" is out of range: give %d to %d "
					    "nanoseconds",
					    optarg, THRESHOLD_LEAST, THRESHOLD_MOST);
			jitter->threshold = (uint64_t)threshold;
			break;
		default:
			return tell_option(option, standard_option(argv));
		}
	}
	if (optind < argc)
		return tell_argument(argv[optind]);
	if (*jitter->common->root)
		return tell(EXIT_USAGE, "a recorded machine has no jitter: leave --root out");
	return 0;
}

int command_jitter(const struct common *common, int argc, char **argv)
{
	struct jitter jitter = {
		.common = common,
		.threshold = THRESHOLD_DEFAULT,
		.seconds = SECONDS_DEFAULT,
	};
	int code = take_options(&jitter, argc, argv);

	if (!code)
		code = take_machine(common, &jitter.machine);
	if (!code)
		code = choose(&jitter);
	if (!code)
		code = watch(&jitter);
	if (!code && common->json) {
		print_json(&jitter);
	} else if (!code) {
		print_table(&jitter);
		print_histogram(&jitter);
		print_summary(&jitter);
	}
	free(jitter.gaps);
	return code;
}
