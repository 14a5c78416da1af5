/*
 * SPDX-License-Identifier: MIT
 *
 * Fuzz target: what the runtime makes of the environment. It reads that once in a process, so its
 * source is a part of this program, which forgets what was read before the next input.
 */
#include "config.h"

#include <stdarg.h>

#include "lib/runtime.c"
#include "tests/fuzz/bytes.h"

#define ENTRIES 12
#define LONGEST 100

static char entries[ENTRIES][LONGEST];
static char *list[ENTRIES + 1];

char **__wrap_platform_environment(void);
void __wrap_registry_watch_forks(void);
void __wrap_log_line(enum log_level level, const char *format, ...);

char **__wrap_platform_environment(void)
{
	return list;
}

/* Once is enough. */
void __wrap_registry_watch_forks(void)
{
}

/* As the real one, but for the printing. */
void __wrap_log_line(enum log_level level, const char *format, ...)
{
	char line[512];
	va_list arguments;

	(void)level;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	must(line[0], "a line says something");
}

/* One that is known, with something behind it, or anything. */
static void take_entry(struct bytes *bytes, char entry[LONGEST])
{
	unsigned which = bytes_below(bytes, VARIABLES + 4);
	int used = which < VARIABLES  ? snprintf(entry, LONGEST, "%s=", variables[which].name) :
		   which == VARIABLES ? snprintf(entry, LONGEST, "PEAL_") :
					0;

	bytes_text(bytes, entry + used, (size_t)(LONGEST - used));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { .at = data, .left = size };
	struct peal_choice choice;
	unsigned count = bytes_below(&bytes, ENTRIES + 1);

	for (unsigned i = 0; i < count; i++) {
		take_entry(&bytes, entries[i]);
		list[i] = entries[i];
	}
	list[count] = NULL;
	memset(&runtime, 0, sizeof(runtime));
	memset(&asked, 0, sizeof(asked));
	detect();
	must(runtime.ring && runtime.waiter && runtime.page_size, "tables were picked");
	must(runtime.huge <= PEAL_HUGE_REQUIRE && runtime.spin_ns <= SPIN_NS_MAX &&
		     runtime.sample <= SAMPLE_MAX && runtime.prefetch <= PREFETCH_MAX &&
		     runtime.inline_copy <= INLINE_COPY_MAX && arch_gap_ns <= PAUSE_NS_MAX,
	     "numbers are in their range");
	must(runtime.ring_why && runtime.waiter_why, "and why is told");
	for (unsigned i = 0; !peal_runtime_choice(i, &choice); i++)
		must(choice.job && choice.name && choice.why, "a choice is told");
	return 0;
}
