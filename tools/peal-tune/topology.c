/*
 * SPDX-License-Identifier: MIT
 *
 * peal-tune topology: what CPUs share, as a tree, and what a round trip between each two takes, as
 * a heat map.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/json.h"
#include "tools/peal-tune/command.h"
#include "tools/peal-tune/heatmap.h"
#include "tools/peal-tune/pairs.h"
#include "tools/peal-tune/places.h"
#include "tools/peal-tune/report.h"
#include "tools/peal-tune/seconds.h"
#include "tools/peal-tune/tell.h"
#include "tools/standard.h"

#define ROUNDS_DEFAULT 10

/* As many pairs have a line each; of more, only those that are worth it. */
#define PAIRS_LISTED 28u

struct view {
	const struct common *common;
	struct machine machine;
	struct places places;
	struct cpus measured; /* CPUs */
	struct pairs pairs;   /* none: it was not asked for */
	unsigned rounds;
	double seconds; /* 0: as many as it takes */
	const char *plot;
};

/* --- the tree --------------------------------------------------------------------------------- */

static void print_kib(int64_t kib)
{
	char text[SIZE_TEXT];

	fputs(kib < 0 ? "?" : print_size((uint64_t)kib * 1024, text), stdout);
}

static void print_cache(const struct place *cache)
{
	printf("L%u%s ", cache->level,
	       !strcmp(cache->type, "Data")        ? "d" :
	       !strcmp(cache->type, "Instruction") ? "i" :
						     "");
	print_kib(cache->kib);
}

static void print_list(const struct cpus *cpus)
{
	char list[CPUS_TEXT];

	print_cpus(cpus, list, sizeof(list));
	printf("%s %s", cpus_count(cpus) == 1 ? "CPU" : "CPUs", list);
}

/* Those of some that are not of all. */
static struct cpus without(const struct cpus *some, const struct cpus *all)
{
	struct cpus left;

	for (size_t i = 0; i < sizeof(left.bits) / sizeof(left.bits[0]); i++)
		left.bits[i] = some->bits[i] & ~all->bits[i];
	return left;
}

static bool equal(const struct cpus *a, const struct cpus *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* The caches that a core has to itself stand behind it. */
static bool is_private(const struct view *view, const struct place *cache)
{
	for (unsigned i = 0; i < view->places.count; i++)
		if (view->places.all[i].kind == PLACE_CORE &&
		    equal(&view->places.all[i].cpus, &cache->cpus))
			return true;
	return false;
}

static void print_core(const struct view *view, const struct place *core)
{
	struct cpus not_allowed = without(&core->cpus, &view->machine.allowed);
	char list[CPUS_TEXT];

	if (core->id >= 0)
		printf("core %" PRId64 ": ", core->id);
	print_list(&core->cpus);
	if (cpus_count(&core->cpus) > 1)
		fputs(" (siblings)", stdout);
	for (unsigned i = view->places.count; i-- > 0;) {
		const struct place *cache = &view->places.all[i];

		if (cache->kind != PLACE_CACHE || !equal(&cache->cpus, &core->cpus))
			continue;
		fputs(", ", stdout);
		print_cache(cache);
	}
	print_cpus(&not_allowed, list, sizeof(list));
	if (equal(&not_allowed, &core->cpus))
		fputs("; not allowed", stdout);
	else if (*list)
		printf("; %s not allowed", list);
}

static void print_place(const struct view *view, const struct place *place, unsigned depth)
{
	printf("%*s", (int)depth * 2, "");
	switch (place->kind) {
	case PLACE_PACKAGE:
		fputs("package ", stdout);
		if (place->id >= 0)
			printf("%" PRId64, place->id);
		fputs(": ", stdout);
		print_list(&place->cpus);
		break;
	case PLACE_NODE:
		printf("node %" PRId64 ", ", place->id);
		print_kib(place->kib);
		fputs(": ", stdout);
		if (cpus_count(&place->cpus))
			print_list(&place->cpus);
		else
			fputs("memory only", stdout);
		break;
	case PLACE_CACHE:
		print_cache(place);
		fputs(": ", stdout);
		print_list(&place->cpus);
		break;
	case PLACE_CORE:
		print_core(view, place);
		break;
	}
	putchar('\n');
}

/* What lies within a place follows it, since what is larger stands first. */
static void print_within(const struct view *view, const struct cpus *within, bool *done,
			 unsigned depth)
{
	for (unsigned i = 0; i < view->places.count; i++) {
		const struct place *place = &view->places.all[i];

		if (done[i] ||
		    (within && (!cpus_within(&place->cpus, within) || !cpus_count(&place->cpus))))
			continue;
		done[i] = true;
		if (place->kind == PLACE_CACHE && is_private(view, place))
			continue;
		print_place(view, place, depth);
		if (cpus_count(&place->cpus))
			print_within(view, &place->cpus, done, depth + 1);
	}
}

static void print_distances(const struct view *view)
{
	unsigned nodes = 0;

	for (unsigned i = 0; i < view->places.count; i++)
		nodes += view->places.all[i].kind == PLACE_NODE;
	if (nodes < 2)
		return;
	puts("\ndistances between nodes");
	for (unsigned i = 0; i < view->places.count; i++)
		if (view->places.all[i].kind == PLACE_NODE)
			printf("  node %" PRId64 ": %s\n", view->places.all[i].id,
			       *view->places.all[i].distances ? view->places.all[i].distances :
								"not known");
}

static int print_tree(const struct view *view)
{
	bool *done = calloc(view->places.count + 1, sizeof(*done));
	char *text;
	struct cpus present, offline;

	if (!done)
		return tell(EXIT_INTERNAL, "out of memory");
	print_list(&view->machine.online);
	fputs(" online; ", stdout);
	print_list(&view->machine.allowed);
	fputs(" allowed to this process", stdout);
	if (tree_read(&view->machine.tree, "/sys/devices/system/cpu/present", &text) >= 0) {
		if (!parse_cpus(text, &present)) {
			offline = without(&present, &view->machine.online);
			if (cpus_count(&offline)) {
				fputs("; ", stdout);
				print_list(&offline);
				fputs(" offline", stdout);
			}
		}
		free(text);
	}
	putchar('\n');
	print_within(view, NULL, done, 0);
	print_distances(view);
	free(done);
	return 0;
}

/* --- what was measured ------------------------------------------------------------------------ */

static void print_pair(const struct pair *pair)
{
	printf("  CPUs %u and %u: %.0f ns, %.0f to %.0f in %u rounds\n", pair->a, pair->b,
	       pair->median, pair->least, pair->most, pair->rounds);
}

/* Which pair to take, and whether that will last. */
static void print_verdict(const struct view *view)
{
	const struct pair *best = pairs_best(&view->pairs), *worst = NULL;
	unsigned moved = 0, missing = 0;
	char text[512];

	for (unsigned i = 0; i < view->pairs.count; i++) {
		const struct pair *pair = &view->pairs.all[i];

		missing += !pair->rounds;
		moved += pair_moved(pair);
		if (pair_moved(pair) &&
		    (!worst || pair->most / pair->least > worst->most / worst->least))
			worst = pair;
	}
	if (best) {
		snprintf(text, sizeof(text), "best pair: CPUs %u and %u, %.0f ns", best->a, best->b,
			 best->median);
		report_words(text, 0, 0, report_width());
		putchar('\n');
	}
	if (missing) {
		snprintf(
			text, sizeof(text),
			"%u of %u pairs have no figure, since %.1f s were over or a CPU was not to "
			"be had: give more with --seconds, or fewer CPUs with --cpus",
			missing, view->pairs.count, view->pairs.seconds);
		report_words(text, 0, 0, report_width());
		putchar('\n');
	}
	if (worst) {
		snprintf(
			text, sizeof(text),
			"The figures do not last: %u of %u pairs differed by more than a factor of "
			"two between rounds, CPUs %u and %u from %.0f to %.0f ns. %s",
			moved, view->pairs.count, worst->a, worst->b, worst->least, worst->most,
			*view->machine.hypervisor ?
				"This is a guest: the hypervisor moves its CPUs among the cores of "
				"the host, or others use those, and which pair is near changes with "
				"that." :
				"Something else ran on these CPUs, or their clock rate changed.");
		report_words(text, 0, 0, report_width());
		putchar('\n');
	}
}

static int make_map(const struct view *view, struct heatmap *map)
{
	unsigned at = 0;

	map->count = cpus_count(&view->measured);
	map->cpus = calloc(map->count, sizeof(*map->cpus));
	map->ns = calloc((size_t)map->count * map->count, sizeof(*map->ns));
	if (!map->cpus || !map->ns)
		return tell(EXIT_INTERNAL, "out of memory");
	for (unsigned cpu = cpus_next(&view->measured, 0); cpu < CPUS_MAX;
	     cpu = cpus_next(&view->measured, cpu + 1))
		map->cpus[at++] = cpu;
	/* The pairs are in the same order. */
	at = 0;
	for (unsigned row = 0; row < map->count; row++) {
		map->ns[(size_t)row * map->count + row] = NAN;
		for (unsigned column = row + 1; column < map->count; column++) {
			const struct pair *pair = &view->pairs.all[at++];
			double ns = pair->rounds ? pair->median : NAN;

			map->ns[(size_t)row * map->count + column] = ns;
			map->ns[(size_t)column * map->count + row] = ns;
		}
	}
	return 0;
}

static void print_measured(const struct view *view, const struct heatmap *map)
{
	unsigned width = report_width();

	printf("\nround trip of a cache line between two CPUs, ns (median of %u rounds in %.1f s)\n",
	       view->pairs.rounds, view->pairs.seconds);
	heatmap_print(map, width, view->common->colour);
	putchar('\n');
	if (view->pairs.count <= PAIRS_LISTED)
		for (unsigned i = 0; i < view->pairs.count; i++)
			if (view->pairs.all[i].rounds)
				print_pair(&view->pairs.all[i]);
	print_verdict(view);
}

static int plot(const struct view *view, const struct heatmap *map, FILE *file)
{
	const char *hypervisor = view->machine.hypervisor;
	char title[160];
	bool failed;

	snprintf(title, sizeof(title), "Round trip between two CPUs, ns: %s, %s%s, %u CPUs",
		 view->machine.arch,
		 !*hypervisor                   ? "no guest" :
		 !strcmp(hypervisor, "unnamed") ? "guest" :
						  "guest of ",
		 strcmp(hypervisor, "unnamed") ? hypervisor : "", map->count);
	/* What was in it stays until there is something to put in its place. */
	failed = ftruncate(fileno(file), 0) && errno != EINVAL;
	heatmap_plot(map, file, title);
	failed |= ferror(file) != 0;
	if (fclose(file) || failed)
		return tell(EXIT_FAILURES, "%s could not be written: %s", view->plot,
			    strerror(errno));
	return 0;
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void write_list(struct json *json, const struct cpus *cpus)
{
	char list[CPUS_TEXT];

	print_cpus(cpus, list, sizeof(list));
	json_string(json, "cpus", list);
}

static void write_size(struct json *json, int64_t kib)
{
	if (kib >= 0)
		json_integer(json, "kib", (uint64_t)kib);
}

static void write_distances(struct json *json, const char *text)
{
	char *end;

	json_array(json, "distances");
	for (unsigned long value = strtoul(text, &end, 10); end != text;
	     value = strtoul(text, &end, 10)) {
		json_integer(json, NULL, value);
		text = end;
	}
	json_end_array(json);
}

static void write_places(struct json *json, const struct view *view, const char *name,
			 enum place_kind kind)
{
	json_array(json, name);
	for (unsigned i = 0; i < view->places.count; i++) {
		const struct place *place = &view->places.all[i];

		if (place->kind != kind)
			continue;
		json_object(json, NULL);
		if (kind == PLACE_CACHE) {
			json_integer(json, "level", place->level);
			json_string(json, "type", place->type);
		} else if (place->id >= 0) {
			json_integer(json, "id", (uint64_t)place->id);
		}
		if (kind == PLACE_CACHE || kind == PLACE_NODE)
			write_size(json, place->kib);
		if (kind == PLACE_NODE)
			write_distances(json, place->distances);
		write_list(json, &place->cpus);
		json_end_object(json);
	}
	json_end_array(json);
}

static void write_pairs(struct json *json, const struct view *view)
{
	const struct pair *best = pairs_best(&view->pairs);

	json_integer(json, "rounds", view->pairs.rounds);
	json_number(json, "seconds", view->pairs.seconds, 3);
	json_array(json, "pairs");
	for (unsigned i = 0; i < view->pairs.count; i++) {
		const struct pair *pair = &view->pairs.all[i];

		json_object(json, NULL);
		json_integer(json, "a", pair->a);
		json_integer(json, "b", pair->b);
		json_integer(json, "rounds", pair->rounds);
		json_number(json, "median_ns", pair->rounds ? pair->median : NAN, 0);
		json_number(json, "least_ns", pair->rounds ? pair->least : NAN, 0);
		json_number(json, "most_ns", pair->rounds ? pair->most : NAN, 0);
		json_bool(json, "moved", pair_moved(pair));
		json_end_object(json);
	}
	json_end_array(json);
	if (best) {
		json_array(json, "best");
		json_integer(json, NULL, best->a);
		json_integer(json, NULL, best->b);
		json_end_array(json);
	}
}

static void print_json(const struct view *view)
{
	struct json json = { .file = stdout };

	report_begin_json(&json, "topology", &view->machine);
	write_places(&json, view, "packages", PLACE_PACKAGE);
	write_places(&json, view, "nodes", PLACE_NODE);
	write_places(&json, view, "caches", PLACE_CACHE);
	write_places(&json, view, "cores", PLACE_CORE);
	if (view->pairs.all)
		write_pairs(&json, view);
	json_end_object(&json);
}

/* --- the command ------------------------------------------------------------------------------ */

/* Which CPUs are measured: all that are allowed, or those that were asked for. */
static int choose(struct view *view)
{
	char list[CPUS_TEXT];
	struct cpus lacking;

	view->measured = view->machine.allowed;
	if (view->common->wish.has_cpus)
		view->measured = view->common->wish.cpus;
	lacking = without(&view->measured, &view->machine.allowed);
	print_cpus(&lacking, list, sizeof(list));
	if (*list)
		return tell(
			EXIT_PRIVILEGE,
			"CPUs %s are not allowed to this process: choose others with --cpus, or "
			"let them into this cgroup's cpuset.cpus",
			list);
	if (cpus_count(&view->measured) < 2)
		return tell(EXIT_USAGE, "a round trip takes two CPUs, and there is only one: leave "
					"--measure out, or give more with --cpus");
	return 0;
}

static int measure(struct view *view)
{
	double seconds = view->seconds;
	int err;

	if (seconds <= 0)
		seconds = pairs_seconds(cpus_count(&view->measured));
	err = pairs_measure(&view->pairs, &view->measured, view->rounds, seconds);
	if (!err)
		return 0;
	return tell(err == -ENOMEM ? EXIT_INTERNAL : EXIT_PRIVILEGE,
		    "the round trips could not be measured: %s: a CPU has gone, or no thread could "
		    "be started",
		    strerror(-err));
}

/* Shows all that was found; the plot first, so that a failure of it is told before. */
static int show_measured(const struct view *view, FILE *file)
{
	struct heatmap map = { 0 };
	int code = make_map(view, &map);

	if (!code && !view->common->json)
		print_measured(view, &map);
	if (!code && file)
		code = plot(view, &map, file);
	else if (file)
		fclose(file);
	free(map.cpus);
	free(map.ns);
	return code;
}

static int show(struct view *view)
{
	FILE *file = NULL;
	int code = 0;

	if (view->common->measure) {
		code = choose(view);
		if (!code && view->plot && !(file = fopen(view->plot, "ae")))
			code = tell(EXIT_FAILURES, "%s: %s", view->plot, strerror(errno));
		if (!code)
			code = measure(view);
		if (code) {
			if (file)
				fclose(file);
			return code;
		}
	}
	if (view->common->json)
		print_json(view);
	else
		code = print_tree(view);
	if (!code && view->common->measure)
		return show_measured(view, file);
	if (file)
		fclose(file);
	return code;
}

static int take_options(struct view *view, int argc, char **argv)
{
	static const struct option known[] = {
		{ "plot", required_argument, NULL, 'p' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	int64_t rounds;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
		switch (option) {
		case 'p':
			view->plot = optarg;
			break;
		case 'r':
			if (parse_number(optarg, &rounds) || rounds < 1 ||
			    rounds > PAIRS_ROUNDS_MAX)
				return tell(EXIT_USAGE,
					    "rounds \"%s\" are out of range: give 1 to %u", optarg,
					    PAIRS_ROUNDS_MAX);
			view->rounds = (unsigned)rounds;
			break;
		case 's':
			if (!seconds_read(optarg, &view->seconds))
				return EXIT_USAGE;
			break;
		default:
			return tell_option(option, standard_option(argv));
		}
	}
	if (optind < argc)
		return tell_argument(argv[optind]);
	if (view->common->measure && *view->common->root)
		return tell(EXIT_USAGE, "a recorded machine cannot be measured: leave --measure or "
					"--root out");
	if (!view->common->measure && view->plot)
		return tell(EXIT_USAGE, "there is nothing to plot: give --measure, too");
	return 0;
}

int command_topology(const struct common *common, int argc, char **argv)
{
	struct view view = { .common = common, .rounds = ROUNDS_DEFAULT };
	int code = take_options(&view, argc, argv);

	if (!code)
		code = take_machine(common, &view.machine);
	if (code)
		return code;
	if (places_read(&view.places, &view.machine))
		code = tell(EXIT_INTERNAL, "out of memory");
	else
		code = show(&view);
	places_free(&view.places);
	pairs_free(&view.pairs);
	return code;
}
