/*
 * SPDX-License-Identifier: MIT
 *
 * Facts: what people read in a report and nothing decides by. How the library was built is known
 * here, the rest is asked of the CPU's family and of the system.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <peal/options.h>
#include <peal/version.h>

#include "lib/error.h"
#include "lib/runtime.h"

/* What programs pass is binary interface. */
#define FACT(field, offset) \
	_Static_assert(offsetof(struct peal_fact, field) == (offset), "binary interface, version 1")
FACT(group, 0);
FACT(name, 8);
FACT(value, 16);
FACT(note, 24);
_Static_assert(sizeof(struct peal_fact) == 32, "binary interface, version 1");

#define FACTS_MAX 128

static struct platform_fact facts[FACTS_MAX];
static unsigned fact_count;

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif
#ifdef __OPTIMIZE__
#define OPTIMIZED "optimized"
#else
#define OPTIMIZED "not optimized"
#endif
#ifdef PEAL_DEBUG
#define DEBUG "debug checks"
#else
#define DEBUG "no debug checks"
#endif
#ifndef PEAL_SANITIZER
#define PEAL_SANITIZER "none"
#endif
#ifdef HAVE_LIBCAP
#define LIBCAP "with"
#else
#define LIBCAP "without"
#endif

/* Not the flags: paths are in them. */
static const struct {
	const char *name, *value;
} build[] = {
	{ "version", PEAL_VERSION },
	{ "compiler", COMPILER },
	{ "options", OPTIMIZED ", " DEBUG ", sanitizers: " PEAL_SANITIZER ", " LIBCAP " libcap" },
};

static struct platform_fact *next_fact(const char *group, const char *name)
{
	struct platform_fact *fact = &facts[fact_count++];

	fact->group = group;
	fact->name = name;
	return fact;
}

/* What a ring variant brings along and a variable may overrule. */
static void tell_number(const char *name, const char *unit, uint32_t now, uint32_t own)
{
	struct platform_fact *fact = next_fact("ring", name);

	snprintf(fact->value, sizeof(fact->value), "%u", now);
	if (now == own)
		snprintf(fact->note, sizeof(fact->note), "%s, the variant's own", unit);
	else
		snprintf(fact->note, sizeof(fact->note), "%s; the variant's own are %u", unit, own);
}

static void tell_bulk(enum runtime_bulk bulk)
{
	static const char *const words[][2] = {
		[RUNTIME_BULK_AUTO] = { "auto", "long payloads: as their reader finds it quicker" },
		[RUNTIME_BULK_CACHED] = { "cached",
					  "long payloads are not written past the caches" },
		[RUNTIME_BULK_AROUND] = { "around", "long payloads are written past the caches" },
	};
	struct platform_fact *fact = next_fact("ring", "bulk-copy");

	snprintf(fact->value, sizeof(fact->value), "%s",
		 arch_copy_around ? words[bulk][0] : "cached");
	snprintf(fact->note, sizeof(fact->note), "%s",
		 arch_copy_around ? words[bulk][1] : "this CPU has no stores past the caches");
}

static void tell_evict(enum runtime_evict evict)
{
	static const char *const words[][2] = {
		[RUNTIME_EVICT_AUTO] = { "auto", "what was read leaves the caches where the writer "
						 "is quicker so" },
		[RUNTIME_EVICT_NEVER] = { "never", "what was read stays in the caches" },
		[RUNTIME_EVICT_ALWAYS] = { "always", "what was read leaves the caches" },
	};
	struct platform_fact *fact = next_fact("ring", "evict");

	snprintf(fact->value, sizeof(fact->value), "%s", words[evict][0]);
	snprintf(fact->note, sizeof(fact->note), "%s",
		 arch_can_evict() ? words[evict][1] : "nothing can have it leave on this CPU");
}

static void gather(void)
{
	const struct runtime *runtime = runtime_get();
	struct platform_fact *fact;
	char value[sizeof(fact->value)];
	const char *name;

	for (size_t i = 0; i < sizeof(build) / sizeof(build[0]); i++) {
		fact = next_fact("build", build[i].name);
		snprintf(fact->value, sizeof(fact->value), "%s", build[i].value);
	}
	tell_number("prefetch", "bytes", runtime->prefetch, runtime->ring->prefetch);
	tell_number("inline-copy", "bytes", runtime->inline_copy, runtime->ring->inline_copy);
	tell_bulk(runtime->bulk);
	tell_evict(runtime->evict);
	tell_number("pause", "ns between looks", arch_gap_ns, ARCH_GAP_NS);
	for (unsigned i = 0; fact_count < FACTS_MAX && arch_fact(i, &name, value, sizeof(value));
	     i++) {
		fact = next_fact("cpu", name);
		memcpy(fact->value, value, sizeof(value));
	}
	for (unsigned i = 0; fact_count < FACTS_MAX && platform_fact(i, &facts[fact_count]); i++)
		fact_count++;
}

int peal_runtime_fact(unsigned index, struct peal_fact *fact)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, gather);
	if (index >= fact_count)
		return error_set(-ENOENT,
				 "there are no more facts: %u, from 0 on, and %u was asked for",
				 fact_count, index);
	fact->group = facts[index].group;
	fact->name = facts[index].name;
	fact->value = facts[index].value;
	fact->note = facts[index].note;
	return 0;
}
