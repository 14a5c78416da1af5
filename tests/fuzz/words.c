/*
 * SPDX-License-Identifier: MIT
 *
 * Fuzz target: what the tools make of a command line: peal-perf's options, peal-cat's, and sizes.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>

#define main cat_main
#include "tools/peal-cat/main.c"
#undef main

#include "tests/fuzz/bytes.h"
#include "tools/peal-perf/options.h"

#define WORDS 12
#define LONGEST 80

/* Of peal-perf nothing is run: only what its options ask of it is here. */
#define TRANSPORT(id) const struct transport transport_##id = { .name = #id, .rings = true }
TRANSPORT(floor);
TRANSPORT(peal);
TRANSPORT(set);
TRANSPORT(bare);
TRANSPORT(uds);
TRANSPORT(seqpacket);
TRANSPORT(tcp);
TRANSPORT(pipe);
TRANSPORT(mq);
TRANSPORT(futex);
TRANSPORT(eventfd);

const char *report_fact(const char *about, const char *name);

const char *report_fact(const char *about, const char *name)
{
	(void)about;
	return name;
}

/* A command that ends itself ends here. */
static jmp_buf ended;
static bool runs;

_Noreturn void __real_exit(int status);
_Noreturn void __wrap_exit(int status);

_Noreturn void __wrap_exit(int status)
{
	if (!runs)
		__real_exit(status);
	longjmp(ended, 1 + status);
}

/* Standard output stays open for the next command line. */
void standard_version(const char *tool)
{
	(void)tool;
}

void standard_help_end(const char *tool)
{
	(void)tool;
}

int standard_usage(const char *tool, int code)
{
	(void)tool;
	return code;
}

const char *standard_option(char *const *argv)
{
	return argv[0];
}
int standard_finish(const char *tool, int code, int code_if_lost)
{
	(void)tool;
	(void)code_if_lost;
	return code;
}

/* Of peal-cat, likewise: it tells no more than that. */
void report_failure(int status, const char *format, ...)
{
	char line[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	must(line[0] && runs, "a failure has its sentence");
	longjmp(ended, 1 + status);
}

void report_progress_begin(const struct peal_link *link)
{
	(void)link;
}

void report_progress_end(void)
{
}

void stream_run(struct peal_link *link)
{
	(void)link;
}

static int take_words(struct bytes *bytes, char words[WORDS][LONGEST], char *list[WORDS + 2])
{
	int count = 0;

	list[count++] = (char *)(uintptr_t) "command";
	while (count <= WORDS && bytes->left) {
		list[count] = bytes_text(bytes, words[count - 1], LONGEST);
		count++;
	}
	list[count] = NULL;
	return count;
}

static void use_cat(int count, char **words)
{
	struct wishes wishes;
	int status;

	optind = 0; /* glibc and musl begin anew */
	status = setjmp(ended);
	if (status) {
		runs = false;
		must_be(status - 1 == CAT_USAGE || status - 1 == CAT_DONE, "how it ended", status);
		return;
	}
	runs = true;
	wishes = take_wishes(count, words);
	runs = false;
	must(wishes.address && wishes.ring && wishes.ring <= RING_LARGEST, "what was asked for");
	must_be(wishes.timeout >= PEAL_FOREVER && wishes.timeout <= (int64_t)(TIMEOUT_MOST * 1e9),
		"a timeout", wishes.timeout);
}

static void use_perf(int count, char **words)
{
	struct options options;
	int status;

	options_default(&options);
	status = options_parse(&options, count - 1, words + 1);
	must_be(status == 0 || status == EXIT_USAGE, "how it ended", status);
	if (status || options.help || options.version)
		return;
	must(options.size_count && options.size_count <= OPTIONS_SIZES, "sizes");
	must(options.rate_count <= OPTIONS_RATES && options.batch_count <= OPTIONS_BATCHES &&
		     options.clients_count <= OPTIONS_CLIENTS &&
		     options.transport_count <= OPTIONS_TRANSPORTS,
	     "lists");
	must(options.ring && !(options.ring & (options.ring - 1)), "a ring");
}

static void use_number(const char *text)
{
	char printed[OPTIONS_SIZE_TEXT];
	uint64_t number, again;

	if (!number_read(text, 1024, &number))
		return;
	options_size_text(printed, number);
	must(number_read(printed, 1024, &again) && number == again, "a size again");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { .at = data, .left = size };
	static char words[WORDS][LONGEST];
	char *list[WORDS + 2];
	unsigned what = bytes_below(&bytes, 3);
	int count = take_words(&bytes, words, list);

	if (what == 0)
		use_cat(count, list);
	else if (what == 1)
		use_perf(count, list);
	else if (count > 1)
		use_number(list[1]);
	return 0;
}
