/*
 * SPDX-License-Identifier: MIT
 *
 * Options: parsing, and one clear sentence for whatever is wrong. An option's value follows it
 * after a space or "=".
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <peal/placement.h>

#include "options.h"
#include "report.h"
#include "tools/number.h"
#include "tools/standard.h"

#define RING_DEFAULT ((uint64_t)2 << 20)
#define RING_LARGEST ((uint64_t)256 << 20)
#define RECORD_OVERHEAD 16 /* of the largest message that fits a ring */
#define ROUNDS_MOST 100000
#define DURATION_MOST 86400
#define BATCH_MOST 4096
#define LINKS_MOST 10000
#define CLIENTS_MOST 10000
#define CLIENTS_LONGEST 65536 /* message of a client */
#define COUNT_MOST 100000000
#define RATE_LEAST 10
#define RATE_MOST 100000000
#define WORD 32 /* longest word that is compared to names */

static int usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int usage(const char *format, ...)
{
	va_list arguments;

	fputs("peal-perf: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputs("\n", stderr);
	return EXIT_USAGE;
}

/* How many letters must be put in, taken out or changed (Levenshtein's distance). */
static unsigned distance(const char *one, const char *two)
{
	unsigned row[WORD + 1];
	size_t length = strlen(two);

	if (strlen(one) > WORD || length > WORD)
		return WORD;
	for (unsigned j = 0; j <= length; j++)
		row[j] = j;
	for (unsigned i = 1; one[i - 1]; i++) {
		unsigned corner = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= length; j++) {
			unsigned best = corner + (one[i - 1] != two[j - 1]);

			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			corner = row[j];
			row[j] = best;
		}
	}
	return row[length];
}

const char *options_nearest(const char *word, const char *const *names, unsigned count)
{
	const char *nearest = NULL;
	unsigned least = 3;

	for (unsigned i = 0; i < count; i++) {
		/* The beginning of a name is near it, too. */
		unsigned away = word[0] && !strncmp(word, names[i], strlen(word)) ?
					1 :
					distance(word, names[i]);

		if (away < least && away < strlen(names[i])) {
			least = away;
			nearest = names[i];
		}
	}
	return nearest;
}

static char *number_text(char *text, uint64_t number, unsigned thousand)
{
	static const char units[] = { 'k', 'm', 'g' };
	char unit[2] = "";

	for (unsigned i = 0; i < sizeof(units) && number && !(number % thousand); i++) {
		number /= thousand;
		unit[0] = units[i];
	}
	snprintf(text, OPTIONS_SIZE_TEXT, "%" PRIu64 "%s", number, unit);
	return text;
}

char *options_size_text(char *text, uint64_t size)
{
	return number_text(text, size, 1024);
}

char *options_rate_text(char *text, uint64_t rate)
{
	return number_text(text, rate, 1000);
}

/* Takes the next word of a comma list off it, into word; false at its end. */
static bool next_word(const char **list, char *word, size_t size)
{
	size_t length;

	if (!*list)
		return false;
	length = strcspn(*list, ",");
	snprintf(word, size, "%.*s", (int)length, *list);
	*list = (*list)[length] ? *list + length + 1 : NULL;
	return true;
}

static int parse_sizes(struct options *options, const char *list)
{
	char word[WORD + 1];

	options->size_count = 0;
	options->sizes_named = true;
	while (next_word(&list, word, sizeof(word))) {
		uint64_t size;

		if (!number_read(word, 1024, &size))
			return usage(
				"size \"%s\" is not a number of bytes: give a list such as 8,64,1k,64k",
				word);
		if (!size || size > RING_LARGEST - RECORD_OVERHEAD)
			return usage("size %s is out of range: a message has 1 to %" PRIu64
				     " bytes",
				     word, RING_LARGEST - RECORD_OVERHEAD);
		if (options->size_count == OPTIONS_SIZES)
			return usage("more than %d sizes: give fewer at a time", OPTIONS_SIZES);
		options->sizes[options->size_count++] = size;
	}
	return 0;
}

static int parse_rates(struct options *options, const char *list)
{
	char word[WORD + 1];

	options->rate_count = 0;
	while (next_word(&list, word, sizeof(word))) {
		uint64_t rate;

		if (!number_read(word, 1000, &rate))
			return usage(
				"rate \"%s\" is not a number of messages a second: give a list "
				"such as 1k,10k,1m",
				word);
		if (rate < RATE_LEAST || rate > RATE_MOST)
			return usage("rate %s is out of range: give %d to %d messages a second",
				     word, RATE_LEAST, RATE_MOST);
		if (options->rate_count == OPTIONS_RATES)
			return usage("more than %d rates: give fewer at a time", OPTIONS_RATES);
		options->rates[options->rate_count++] = rate;
	}
	return 0;
}

static int parse_batches(struct options *options, const char *list)
{
	char word[WORD + 1];

	options->batch_count = 0;
	while (next_word(&list, word, sizeof(word))) {
		uint64_t batch;

		if (!number_read(word, 1024, &batch) || !batch || batch > BATCH_MOST)
			return usage(
				"batch \"%s\" is out of range: give a list of 1 to %d messages "
				"at a time, such as 1,16",
				word, BATCH_MOST);
		if (options->batch_count == OPTIONS_BATCHES)
			return usage("more than %d batches: give fewer at a time", OPTIONS_BATCHES);
		options->batches[options->batch_count++] = (unsigned)batch;
	}
	return 0;
}

static int parse_waits(struct options *options, const char *list)
{
	const char *names[WAIT_MODES];
	char word[WORD + 1];

	for (unsigned i = 0; i < WAIT_MODES; i++)
		names[i] = wait_name((enum wait_mode)i);
	options->waits = 0;
	while (next_word(&list, word, sizeof(word))) {
		unsigned i = 0;

		while (i < WAIT_MODES && strcmp(names[i], word))
			i++;
		if (i == WAIT_MODES) {
			const char *nearest = options_nearest(word, names, WAIT_MODES);

			return usage(
				"unknown way of waiting \"%s\": %s%s%sgive any of spin, adaptive, sleep",
				word, nearest ? "did you mean " : "", nearest ? nearest : "",
				nearest ? "? Else " : "");
		}
		options->waits |= 1u << i;
	}
	return 0;
}

static int parse_barrier(struct options *options, const char *word)
{
	const char *names[BARRIER_MODES];
	const char *nearest;

	for (unsigned i = 0; i < BARRIER_MODES; i++) {
		names[i] = barrier_name((enum barrier_mode)i);
		if (!strcmp(names[i], word)) {
			options->barrier = (enum barrier_mode)i;
			return 0;
		}
	}
	nearest = options_nearest(word, names, BARRIER_MODES);
	return usage("unknown barrier \"%s\": %s%s%sgive one of fence, asymmetric, auto", word,
		     nearest ? "did you mean " : "", nearest ? nearest : "",
		     nearest ? "? Else " : "");
}

static int parse_huge(struct options *options, const char *word)
{
	const char *names[HUGE_MODES - 1];
	const char *nearest;

	for (unsigned i = HUGE_UNSAID + 1; i < HUGE_MODES; i++) {
		names[i - 1] = huge_name((enum huge_mode)i);
		if (!strcmp(names[i - 1], word)) {
			options->huge = (enum huge_mode)i;
			return 0;
		}
	}
	nearest = options_nearest(word, names, HUGE_MODES - 1);
	return usage("unknown huge pages \"%s\": %s%s%sgive one of off, auto, try, require", word,
		     nearest ? "did you mean " : "", nearest ? nearest : "",
		     nearest ? "? Else " : "");
}

static int parse_payload(struct options *options, const char *word)
{
	options->word = !strcmp(word, "word");
	return options->word || !strcmp(word, "all") ?
		       0 :
		       usage("unknown payload \"%s\": give one of all, word", word);
}

static int parse_links(struct options *options, const char *text)
{
	uint64_t links;

	if (!number_read(text, 1000, &links) || !links || links > LINKS_MOST)
		return usage("links \"%s\" is out of range: give 1 to %d", text, LINKS_MOST);
	options->links = (unsigned)links;
	return 0;
}

static int parse_clients(struct options *options, const char *list)
{
	char word[WORD + 1];

	options->clients_count = 0;
	options->clients_named = true;
	while (next_word(&list, word, sizeof(word))) {
		uint64_t clients;

		if (!number_read(word, 1000, &clients) || !clients || clients > CLIENTS_MOST)
			return usage("clients \"%s\" is out of range: give a list of 1 to %d, such "
				     "as 32,1000",
				     word, CLIENTS_MOST);
		if (options->clients_count == OPTIONS_CLIENTS)
			return usage("more than %d numbers of clients: give fewer at a time",
				     OPTIONS_CLIENTS);
		options->clients[options->clients_count++] = (unsigned)clients;
	}
	return 0;
}

static int parse_count(struct options *options, const char *text)
{
	if (!number_read(text, 1000, &options->count) || !options->count ||
	    options->count > COUNT_MOST)
		return usage("count \"%s\" is out of range: give 1 to %d", text, COUNT_MOST);
	return 0;
}

static int unknown_transport(const char *word)
{
	const char *names[OPTIONS_TRANSPORTS];
	const char *nearest;
	char list[512] = "";
	unsigned count = 0;

	for (; count < OPTIONS_TRANSPORTS && transport_at(count); count++) {
		names[count] = transport_at(count)->name;
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
			 count ? ", " : "", names[count]);
	}
	nearest = options_nearest(word, names, count);
	return usage("unknown transport \"%s\": %s%s%sgive any of %s", word,
		     nearest ? "did you mean " : "", nearest ? nearest : "",
		     nearest ? "? Else " : "", list);
}

static void add_transport(struct options *options, const struct transport *transport)
{
	for (unsigned i = 0; i < options->transport_count; i++)
		if (options->transports[i] == transport)
			return;
	if (options->transport_count < OPTIONS_TRANSPORTS)
		options->transports[options->transport_count++] = transport;
}

static int parse_transports(struct options *options, const char *list)
{
	char word[WORD + 1];

	options->transport_count = 0;
	options->transports_named = true;
	while (next_word(&list, word, sizeof(word))) {
		const struct transport *transport = transport_by_name(word);

		if (!transport || transport == &transport_floor)
			return unknown_transport(word);
		add_transport(options, transport);
	}
	return 0;
}

static int parse_ring(struct options *options, const char *text)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	char least[OPTIONS_SIZE_TEXT], near[OPTIONS_SIZE_TEXT];
	uint64_t ring, below;

	if (!number_read(text, 1024, &ring))
		return usage("ring \"%s\" is not a number of bytes: give one such as 64k or 2m",
			     text);
	options_size_text(least, page);
	if (ring < page || ring > RING_LARGEST)
		return usage("ring of %s is out of range: give a power of two from %s to 256m",
			     text, least);
	for (below = page; below * 2 <= ring;)
		below *= 2;
	if (below != ring)
		return usage("ring of %s is no power of two: the nearest below is %s", text,
			     options_size_text(near, below));
	options->ring = ring;
	options->ring_named = true;
	return 0;
}

static int parse_rounds(struct options *options, const char *text)
{
	char *end;
	long rounds = strtol(text, &end, 10);

	if (*end || end == text || rounds < 1 || rounds > ROUNDS_MOST)
		return usage("rounds \"%s\" is out of range: give 1 to %d", text, ROUNDS_MOST);
	options->rounds = (unsigned)rounds;
	return 0;
}

static int read_seconds(const char *what, const char *text, double *value)
{
	char *end;
	double seconds = strtod(text, &end);

	if (*end || end == text || !(seconds > 0 && seconds <= DURATION_MOST))
		return usage("%s \"%s\" is out of range: give seconds, more than 0 and at most %d",
			     what, text, DURATION_MOST);
	*value = seconds;
	return 0;
}

static int parse_duration(struct options *options, const char *text)
{
	return read_seconds("duration", text, &options->duration_s);
}

static int parse_seconds(struct options *options, const char *text)
{
	return read_seconds("seconds", text, &options->seconds);
}

/* What two CPUs have in common, by enum peal_sharing. */
static const char *const sharings[] = { "same-cpu", "same-core", "same-llc", "same-node",
					"other-node" };
/* And what else it is called, if anything. */
static const char *const sharings_called[] = { NULL, "siblings", "same-cache", NULL, "cross-node" };
#define SHARINGS (sizeof(sharings) / sizeof(sharings[0]))

/* Takes a pair, or the next best one if it need not be just so. */
static int choose_cpus(struct options *options, unsigned sharing, bool just_so)
{
	int got = peal_cpu_pair((enum peal_sharing)sharing, options->cpus);

	if (got < 0)
		return usage("%s", peal_error());
	options->sharing = sharings[got];
	if (just_so && (unsigned)got != sharing)
		return usage("of the CPUs %s no pair is %s: give --cpus %s, or two of them",
			     report_fact("placement", "cpus-allowed"), sharings[sharing],
			     sharings[got]);
	return 0;
}

static int parse_cpus(struct options *options, const char *text)
{
	struct peal_cpu cpus[2];
	char rest;

	options->cpus_named = true;
	options->sharing = NULL;
	if (!strcmp(text, "any")) {
		options->cpus[0] = options->cpus[1] = CPUS_ANY;
		return 0;
	}
	if (!strcmp(text, "auto"))
		return choose_cpus(options, PEAL_SAME_LLC, false);
	for (unsigned i = 0; i < SHARINGS; i++)
		if (!strcmp(text, sharings[i]) ||
		    (sharings_called[i] && !strcmp(text, sharings_called[i])))
			return choose_cpus(options, i, true);
	if (sscanf(text, "%d,%d%c", &options->cpus[0], &options->cpus[1], &rest) != 2)
		return usage("cpus \"%s\" are not two numbers: give one for each side, such as "
			     "0,1, or \"any\" to pin neither, or auto, siblings (same-core), "
			     "same-cache (same-llc), same-node or cross-node (other-node)",
			     text);
	for (int i = 0; i < 2; i++) {
		int err = peal_cpu_find(options->cpus[i], &cpus[i]);

		if (err && err != -ENOENT)
			return usage("%s", peal_error());
		if (err || !cpus[i].allowed)
			return usage("CPU %d is not allowed to this process: give two of %s "
				     "(taskset and cgroups set which are)",
				     options->cpus[i], report_fact("placement", "cpus-allowed"));
	}
	options->sharing = sharings[peal_cpu_sharing(&cpus[0], &cpus[1])];
	return 0;
}

static int parse_threads(struct options *options, const char *text)
{
	(void)text;
	options->threads = true;
	return 0;
}

static int parse_zero_copy(struct options *options, const char *text)
{
	(void)text;
	options->zero_copy = true;
	return 0;
}

static int parse_no_prefault(struct options *options, const char *text)
{
	(void)text;
	options->no_prefault = true;
	return 0;
}

static int parse_json(struct options *options, const char *text)
{
	(void)text;
	options->json = true;
	return 0;
}

static int parse_csv(struct options *options, const char *text)
{
	(void)text;
	options->csv = true;
	return 0;
}

/* The path of a file that an option wants. */
static int parse_path(const char *option, const char **path, const char *text)
{
	if (!*text)
		return usage("%s needs the name of a file", option);
	*path = text;
	return 0;
}

static int parse_histogram(struct options *options, const char *text)
{
	return parse_path("--histogram", &options->histogram, text);
}

static int parse_plot(struct options *options, const char *text)
{
	return parse_path("--plot", &options->plot, text);
}

static int parse_compare(struct options *options, const char *text)
{
	return parse_path("--compare", &options->compare, text);
}

static int parse_help(struct options *options, const char *text)
{
	(void)text;
	options->help = true;
	return 0;
}

static int parse_version(struct options *options, const char *text)
{
	(void)text;
	options->version = true;
	return 0;
}

static const struct option {
	const char *name;
	const char *value; /* what its value is called; NULL: it takes none */
	int (*parse)(struct options *options, const char *text);
	const char *about;
} all_options[] = {
	{ "--size", "LIST", parse_sizes,
	  "bytes of a message: 8,64,1k,64k unless given; 64 for rate, with --links, with clients" },
	{ "--rate", "LIST", parse_rates,
	  "messages a second, for rate: 1k,10k,100k,1m unless given; requests for serve: 10k; for "
	  "connect clients" },
	{ "--clients", "LIST", parse_clients,
	  "of a server: for connect and closed 128, for serve, idle and beside 1000 unless given" },
	{ "--count", "N", parse_count, "clients that come and go in churn; 100k unless given" },
	{ "--seconds", "S", parse_seconds,
	  "of each slice of serve, closed, matrix, idle and beside, and of connect at a rate" },
	{ "--batch", "LIST", parse_batches,
	  "messages at a time in stream, where Peal can; 1 unless given" },
	{ "--wait", "LIST", parse_waits,
	  "any of spin,adaptive,sleep; all unless given; with clients adaptive, or sleep" },
	{ "--links", "N", parse_links, "links of a set (peal-set), which the receiver looks at" },
	{ "--barrier", "WHICH", parse_barrier,
	  "of Peal's sleepers: fence, asymmetric or auto, the default" },
	{ "--huge", "WHICH", parse_huge,
	  "pages of Peal's rings: off, try, require or auto, the default" },
	{ "--no-prefault", NULL, parse_no_prefault,
	  "let Peal's memory be touched first by its first use" },
	{ "--transport", "LIST", parse_transports,
	  "those below; all but peal-set unless given; with clients peal,uds" },
	{ "--ring", "SIZE", parse_ring,
	  "bytes of a ring in each direction; 2m unless given, 16k with --links and with clients" },
	{ "--rounds", "N", parse_rounds, "rounds of slices; at least 10 unless given" },
	{ "--duration", "S", parse_duration,
	  "measured seconds per size and rate, shared among slices" },
	{ "--cpus", "A,B", parse_cpus,
	  "one for each side; or by what they share: auto, siblings, same-cache, same-node, "
	  "cross-node; or any" },
	{ "--threads", NULL, parse_threads, "both sides as threads of one process" },
	{ "--zero-copy", NULL, parse_zero_copy, "write and read payloads in Peal's own memory" },
	{ "--payload", "WHICH", parse_payload,
	  "what is written and checked of each: all, the default, or its first word alone, by word" },
	{ "--json", NULL, parse_json, "print one JSON object" },
	{ "--csv", NULL, parse_csv, "print a line of names, and one for each row" },
	{ "--compare", "OLD.json", parse_compare,
	  "also say what is other than when --json printed that" },
	{ "--histogram", "FILE", parse_histogram,
	  "also write percentiles in HdrHistogram's format, in us, a file for each row" },
	{ "--plot", "FILE", parse_plot, "also draw an .svg or .png, by gnuplot" },
	{ "--help", NULL, parse_help, "print this" },
	{ "--version", NULL, parse_version, "print the version" },
};

#define OPTIONS (sizeof(all_options) / sizeof(all_options[0]))

void options_help(void)
{
	for (unsigned i = 0; i < OPTIONS; i++) {
		char left[32];

		snprintf(left, sizeof(left), "%s%s%s", all_options[i].name,
			 all_options[i].value ? " " : "",
			 all_options[i].value ? all_options[i].value : "");
		printf("  %-18s %s\n", left, all_options[i].about);
	}
}

static int unknown_option(const char *word, size_t length)
{
	const char *names[OPTIONS];
	const char *nearest;
	char name[WORD + 1];

	for (unsigned i = 0; i < OPTIONS; i++)
		names[i] = all_options[i].name;
	snprintf(name, sizeof(name), "%.*s", (int)length, word);
	nearest = options_nearest(name, names, OPTIONS);
	usage("unknown option \"%s\"%s%s%s", name, nearest ? ": did you mean " : "",
	      nearest ? nearest : "", nearest ? "?" : "");
	return standard_usage("peal-perf", EXIT_USAGE);
}

/* Parses one option; *used: how many words it took. */
static int parse_one(struct options *options, int argc, char **argv, int *used)
{
	const char *word = argv[0];
	size_t length = strcspn(word, "=");
	const char *value = word[length] ? word + length + 1 : NULL;

	*used = 1;
	if (word[0] != '-') {
		usage("\"%s\" is no option", word);
		return standard_usage("peal-perf", EXIT_USAGE);
	}
	for (unsigned i = 0; i < OPTIONS; i++) {
		const struct option *option = &all_options[i];

		if (strlen(option->name) != length || strncmp(option->name, word, length))
			continue;
		if (!option->value && value)
			return usage("%s takes no value: leave out \"=%s\"", option->name, value);
		if (option->value && !value) {
			if (argc < 2)
				return usage("%s needs a value: %s %s", option->name, option->name,
					     option->value);
			value = argv[1];
			*used = 2;
		}
		return option->parse(options, value);
	}
	return unknown_option(word, length);
}

/* What only all options together can tell. */
static int check(const struct options *options)
{
	if (options->json && options->csv)
		return usage("--json and --csv are two ways to print the same: leave out one");
	if (options->csv && options->compare)
		return usage("--csv prints no comparison: leave out --compare, or give --json");
	if (options->links && options->threads)
		return usage("a set takes links between processes only: leave out --threads or "
			     "--links");
	for (unsigned i = 0; i < options->size_count && options->clients_count; i++)
		if (options->sizes[i] > CLIENTS_LONGEST)
			return usage("a message of %" PRIu64
				     " bytes is too long for a server of many "
				     "clients: give a --size of at most %d",
				     options->sizes[i], CLIENTS_LONGEST);
	for (unsigned i = 0; i < options->batch_count; i++)
		for (unsigned j = 0; j < options->size_count; j++)
			if (options->batches[i] > 1 &&
			    options->sizes[j] * options->batches[i] > RING_LARGEST)
				return usage(
					"a batch of %u messages of %" PRIu64
					" bytes is larger than 256m: give a smaller --batch or "
					"--size",
					options->batches[i], options->sizes[j]);
	for (unsigned i = 0; i < options->transport_count; i++) {
		const struct transport *transport = options->transports[i];

		for (unsigned j = 0; j < options->size_count; j++) {
			struct setup setup = { .size = options->sizes[j], .ring = options->ring };
			const char *sentence;
			char ring[OPTIONS_SIZE_TEXT];

			if (transport->rings && setup.size > setup.ring - RECORD_OVERHEAD)
				return usage("a message of %" PRIu64
					     " bytes does not fit a ring of %s, "
					     "which takes at most %" PRIu64
					     ": give a larger --ring or a smaller --size",
					     setup.size, options_size_text(ring, setup.ring),
					     setup.ring - RECORD_OVERHEAD);
			if (!options->transports_named || !transport->refuse)
				continue;
			sentence = transport->refuse(&setup);
			if (sentence)
				return usage("%s: %s", transport->name, sentence);
		}
	}
	return 0;
}

void options_default(struct options *options)
{
	memset(options, 0, sizeof(*options));
	options->waits = (1u << WAIT_MODES) - 1;
	options->ring = RING_DEFAULT;
	options->sizes[0] = 8;
	options->sizes[1] = 64;
	options->sizes[2] = 1024;
	options->sizes[3] = 65536;
	options->size_count = 4;
	options->batches[0] = 1;
	options->batch_count = 1;
	for (unsigned i = 0; transport_at(i); i++)
		if (transport_at(i) != &transport_set)
			add_transport(options, transport_at(i));
}

/* What sets, which are for those who ask for them, need if nothing else is said. */
static void set_defaults(struct options *options)
{
	for (unsigned i = 0; i < options->transport_count && !options->links; i++)
		if (options->transports[i] == &transport_set)
			options->links = 1;
	if (!options->links)
		return;
	add_transport(options, &transport_set);
	if (!options->ring_named)
		options->ring = OPTIONS_CLIENTS_RING;
	if (options->sizes_named)
		return;
	options->sizes[0] = 64;
	options->size_count = 1;
}

int options_parse(struct options *options, int argc, char **argv)
{
	int used, err;

	for (; argc; argc -= used, argv += used) {
		err = parse_one(options, argc, argv, &used);
		/* What stands behind these is not looked at. */
		if (err || options->help || options->version)
			return err;
	}
	set_defaults(options);
	if (!options->cpus_named) {
		err = choose_cpus(options, PEAL_SAME_LLC, false);
		if (err)
			return err;
		if (options->cpus[0] == options->cpus[1])
			fprintf(stderr,
				"peal-perf: only CPU %d is allowed: both sides share it, and whoever "
				"spins keeps the other from running\n",
				options->cpus[0]);
	}
	return check(options);
}
