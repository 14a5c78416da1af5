/*
 * SPDX-License-Identifier: MIT
 *
 * Detection at first use: calibrates the counter, tries the tables in order of preference, obeys
 * the PEAL_* environment, and tells all of it to whoever asks. It knows nothing of links.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peal/options.h>
#include <peal/version.h>

#include "lib/error.h"
#include "lib/registry.h"
#include "lib/runtime.h"

/* What programs pass is binary interface. */
#define CHOICE(field, offset)                                           \
	_Static_assert(offsetof(struct peal_choice, field) == (offset), \
		       "binary interface, version 1")
CHOICE(job, 0);
CHOICE(name, 8);
CHOICE(usable, 16);
CHOICE(picked, 20);
CHOICE(why, 24);
_Static_assert(sizeof(struct peal_choice) == 32, "binary interface, version 1");

/* Messages that come 14,000 times a second or more are worth spinning for: docs/performance.md. */
#define DEFAULT_SPIN_NS 75000u
#define SPIN_NS_MAX 1000000000u

#define PREFETCH_MAX 65536u
#define PAUSE_NS_MAX 1000u
#define SAMPLE_MAX 1000000000u
#define INLINE_COPY_MAX 64u /* what peal_copy can */

static struct runtime runtime;
static const struct peal_memory_ops *memory; /* atomic; NULL: none was usable */
static int registered; /* for barriers of others (atomic). 1: yes, -1: cannot be had */

static void relax_first(void);
static void (*relax_picked)(void) = relax_first;

/* What the environment asks for; NULL: nothing. */
static struct {
	const char *ring_variant, *waiter, *hugepages, *spin_ns, *prefetch, *inline_copy,
		*bulk_copy, *evict, *pause_ns, *sample, *log;
} asked;

static const struct {
	const char *name;
	const char **value;
} variables[] = {
	{ "PEAL_RING_VARIANT", &asked.ring_variant },
	{ "PEAL_WAITER", &asked.waiter },
	{ "PEAL_HUGEPAGES", &asked.hugepages },
	{ "PEAL_SPIN_NS", &asked.spin_ns },
	{ "PEAL_PREFETCH", &asked.prefetch },
	{ "PEAL_BULK_COPY", &asked.bulk_copy },
	{ "PEAL_EVICT", &asked.evict },
	{ "PEAL_INLINE_COPY", &asked.inline_copy },
	{ "PEAL_PAUSE_NS", &asked.pause_ns },
	{ "PEAL_SAMPLE", &asked.sample },
	{ "PEAL_LOG", &asked.log },
};

#define VARIABLES (sizeof(variables) / sizeof(variables[0]))

/* Levenshtein's distance, for words of up to 63 bytes. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[64];
	size_t length = strnlen(b, 63);

	for (unsigned j = 0; j <= length; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1] && i < 64; i++) {
		unsigned corner = row[0];

		row[0] = i;
		for (size_t j = 1; j <= length; j++) {
			unsigned change = corner + (a[i - 1] != b[j - 1]);

			corner = row[j];
			row[j] = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
			if (change < row[j])
				row[j] = change;
		}
	}
	return row[length];
}

const char *runtime_nearest(const char *word, const char *const *candidates)
{
	const char *best = candidates[0];

	for (size_t i = 1; candidates[i]; i++)
		if (distance(word, candidates[i]) < distance(word, best))
			best = candidates[i];
	return best;
}

static void warn_value(const char *variable, const char *value, const char *const *valid)
{
	log_line(LOG_WARN, "%s=%s is not a value that it can have: did you mean %s?", variable,
		 value, runtime_nearest(value, valid));
}

/* Takes what is known; warns of what is not, in a second round, when the log level is known. */
static void read_environment(bool warn)
{
	const char *names[VARIABLES + 1] = { NULL };

	for (size_t i = 0; i < VARIABLES; i++)
		names[i] = variables[i].name;
	for (char **entry = platform_environment(); *entry; entry++) {
		char name[64];
		size_t length = strcspn(*entry, "="), i;

		if (strncmp(*entry, "PEAL_", 5) || length >= sizeof(name))
			continue;
		memcpy(name, *entry, length);
		name[length] = 0;
		for (i = 0; i < VARIABLES && strcmp(name, variables[i].name); i++)
			;
		if (i < VARIABLES && (*entry)[length])
			*variables[i].value = *entry + length + 1;
		else if (i == VARIABLES && warn)
			log_line(LOG_WARN, "%s is not a variable that Peal knows: did you mean %s?",
				 name, runtime_nearest(name, names));
	}
}

static void pick_log_level(void)
{
	static const char *const levels[] = { "none", "error", "warn", "info", "debug", NULL };

	for (int i = 0; asked.log && levels[i]; i++) {
		if (!strcmp(asked.log, levels[i])) {
			log_set_level((enum log_level)i);
			return;
		}
	}
	if (asked.log)
		warn_value("PEAL_LOG", asked.log, levels);
}

static void pick_ring(void)
{
	const char *names[16] = { NULL };
	bool known = false;

	for (int i = 0; arch_ring_ops[i]; i++) {
		const struct peal_ring_ops *ops = arch_ring_ops[i];
		bool wanted = asked.ring_variant && !strcmp(asked.ring_variant, ops->name);
		const char *why;

		names[i] = ops->name;
		known |= wanted;
		/* One that is not needed is not asked: to answer, it may run its instruction. */
		if (!wanted && runtime.ring)
			continue;
		if (!ops->usable(&why)) {
			if (wanted)
				log_line(LOG_WARN, "PEAL_RING_VARIANT=%s cannot be used here: %s",
					 ops->name, why);
		} else {
			runtime.ring = ops;
			runtime.ring_why = wanted ? "PEAL_RING_VARIANT asked for it" : why;
		}
	}
	if (asked.ring_variant && !known)
		warn_value("PEAL_RING_VARIANT", asked.ring_variant, names);
}

static void pick_waiter(void)
{
	const char *names[16] = { NULL };
	bool known = false;

	for (int i = 0; platform_waiter_ops[i]; i++) {
		const struct peal_waiter_ops *ops = platform_waiter_ops[i];
		bool wanted = asked.waiter && !strcmp(asked.waiter, ops->name);
		const char *why;

		names[i] = ops->name;
		known |= wanted;
		if (!ops->usable(&why)) {
			if (wanted)
				log_line(LOG_WARN, "PEAL_WAITER=%s cannot be used here: %s",
					 ops->name, why);
		} else if (wanted || !runtime.waiter) {
			runtime.waiter = ops;
			runtime.waiter_why = wanted ? "PEAL_WAITER asked for it" : why;
		}
	}
	if (asked.waiter && !known)
		warn_value("PEAL_WAITER", asked.waiter, names);
}

/* Any thread; two at the same time find the same. */
static void pick_memory(const char **why)
{
	const struct peal_memory_ops *ops = NULL;

	for (int i = 0; platform_memory_ops[i] && !ops; i++)
		if (platform_memory_ops[i]->usable(why))
			ops = platform_memory_ops[i];
	/* Pairs with the loads of runtime_memory: what was found out about it is seen. */
	if (ops)
		__atomic_store_n(&memory, ops, __ATOMIC_RELEASE);
}

/* Which of these words, ended by NULL, a variable asks for; 0, the first, if for none, and with a
 * warning if for another one. */
static uint32_t take_word(const char *variable, const char *text, const char *const *words)
{
	for (uint32_t i = 0; text && words[i]; i++)
		if (!strcmp(text, words[i]))
			return i;
	if (text)
		warn_value(variable, text, words);
	return 0;
}

static void pick_bulk(void)
{
	static const char *const values[] = { [RUNTIME_BULK_AUTO] = "auto",
					      [RUNTIME_BULK_CACHED] = "cached",
					      [RUNTIME_BULK_AROUND] = "around",
					      NULL };

	runtime.bulk = take_word("PEAL_BULK_COPY", asked.bulk_copy, values);
}

static void pick_evict(void)
{
	static const char *const values[] = { [RUNTIME_EVICT_AUTO] = "auto",
					      [RUNTIME_EVICT_NEVER] = "never",
					      [RUNTIME_EVICT_ALWAYS] = "always",
					      NULL };

	runtime.evict = take_word("PEAL_EVICT", asked.evict, values);
	if (!arch_can_evict())
		runtime.evict = RUNTIME_EVICT_NEVER;
}

static void pick_huge(void)
{
	static const char *const values[] = { [PEAL_HUGE_AUTO] = "auto",
					      [PEAL_HUGE_OFF] = "off",
					      [PEAL_HUGE_TRY] = "try",
					      [PEAL_HUGE_REQUIRE] = "require",
					      NULL };

	runtime.huge = take_word("PEAL_HUGEPAGES", asked.hugepages, values);
}

/* The counter and the clock, read as close together as the scheduler lets us. */
static void read_both(uint64_t *ticks, uint64_t *ns)
{
	uint64_t best = UINT64_MAX;

	*ticks = *ns = 0;
	for (int i = 0; i < 4; i++) {
		uint64_t before = platform_now(), counter = arch_ticks(), after = platform_now();

		if (after - before < best) {
			best = after - before;
			*ticks = counter;
			*ns = before + best / 2;
		}
	}
}

/* What a variable asks for, if it is a number from 0 to most; else, with a warning if it is
 * something else, what there is without it. */
static uint64_t take_number(const char *variable, const char *text, const char *unit, uint64_t most,
			    uint64_t without)
{
	unsigned long long number;
	char *end;

	if (!text)
		return without;
	number = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && number <= most)
		return number;
	log_line(LOG_WARN, "%s=%s is not a number from 0 to %llu (%s): %llu is used", variable,
		 text, (unsigned long long)most, unit, (unsigned long long)without);
	return without;
}

/* Good to about 0.1 %: budgets need no more, and a short-lived client cannot spend more. */
static void calibrate(void)
{
	uint64_t ticks[2], ns[2];

	read_both(&ticks[0], &ns[0]);
	do
		read_both(&ticks[1], &ns[1]);
	while (ns[1] - ns[0] < 20000);
	runtime.ticks_per_ns = (double)(ticks[1] - ticks[0]) / (double)(ns[1] - ns[0]);
	/* A counter that was set back, or is none. */
	if (!(runtime.ticks_per_ns > 0.001 && runtime.ticks_per_ns < 1000))
		runtime.ticks_per_ns = 1;
	arch_gap_ns = (uint32_t)take_number("PEAL_PAUSE_NS", asked.pause_ns, "nanoseconds",
					    PAUSE_NS_MAX, ARCH_GAP_NS);
	arch_set_ticks(runtime.ticks_per_ns);
}

static void pick_numbers(void)
{
	runtime.spin_ns = take_number("PEAL_SPIN_NS", asked.spin_ns, "nanoseconds", SPIN_NS_MAX,
				      platform_cpus() > 1 ? DEFAULT_SPIN_NS : 0);
	runtime.sample = take_number("PEAL_SAMPLE", asked.sample,
				     "of so many sleeps one is measured", SAMPLE_MAX, 0);
	runtime.prefetch = (uint32_t)take_number("PEAL_PREFETCH", asked.prefetch, "bytes",
						 PREFETCH_MAX, runtime.ring->prefetch);
	runtime.inline_copy = (uint32_t)take_number("PEAL_INLINE_COPY", asked.inline_copy, "bytes",
						    INLINE_COPY_MAX, runtime.ring->inline_copy);
}

static void detect(void)
{
	const char *why;

	registry_watch_forks(); /* before there is a lock that a fork could catch */
	read_environment(false);
	pick_log_level();
	read_environment(true);
	runtime.page_size = platform_page_size();
	calibrate();
	pick_ring();
	pick_waiter();
	pick_memory(&why);
	pick_huge();
	pick_bulk();
	pick_evict();
	pick_numbers();
	/* Pairs with the load in peal_relax: either function will do. */
	__atomic_store_n(&relax_picked, runtime.ring->relax, __ATOMIC_RELAXED);
	log_line(LOG_DEBUG, "ring %s, waiter %s, memory %s, spin %llu ns, %.3f ticks a ns",
		 runtime.ring->name, runtime.waiter->name, memory ? memory->name : "none",
		 (unsigned long long)runtime.spin_ns, runtime.ticks_per_ns);
}

const struct runtime *runtime_get(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, detect);
	return &runtime;
}

const struct peal_memory_ops *runtime_memory(const char **why)
{
	const char *unused;

	runtime_get();
	/* Each pairs with the store in pick_memory. */
	if (!__atomic_load_n(&memory, __ATOMIC_ACQUIRE))
		pick_memory(why ? why : &unused);
	return __atomic_load_n(&memory, __ATOMIC_ACQUIRE);
}

bool runtime_registered(bool whatever_it_costs)
{
	int now = __atomic_load_n(&registered, __ATOMIC_RELAXED);

	if (!now && (whatever_it_costs || platform_single_threaded())) {
		/* Twice does no harm. */
		now = platform_barrier_register() && platform_barrier() ? 1 : -1;
		__atomic_store_n(&registered, now, __ATOMIC_RELAXED);
	}
	return now > 0;
}

void runtime_forget(void)
{
	registered = 0;
}

const char *peal_runtime_version(void)
{
	return PEAL_VERSION;
}

uint64_t peal_runtime_spin_ns(void)
{
	return runtime_get()->spin_ns;
}

uint64_t peal_ticks(void)
{
	return arch_ticks();
}

double peal_ticks_per_ns(void)
{
	return runtime_get()->ticks_per_ns;
}

/* Until the runtime is set; then replaced by the picked variant's own. */
static void relax_first(void)
{
	runtime_get();
	peal_relax();
}

void peal_relax(void)
{
	/* Pairs with the store in detect. */
	void (*relax)(void) = __atomic_load_n(&relax_picked, __ATOMIC_RELAXED);

	relax();
}

/* Every ring begins with a fence, and none is ever without. */
static void tell_barrier(unsigned i, struct peal_choice *choice)
{
	choice->picked = i == 0;
	if (choice->picked) {
		choice->name = "fence";
		choice->usable = 1;
		choice->why = "every ring begins so; right for request and reply, and portable";
	} else {
		choice->name = "asymmetric";
		choice->usable = platform_barrier_usable(&choice->why);
	}
}

#define BARRIERS 2u

int peal_runtime_choice(unsigned index, struct peal_choice *choice)
{
	const struct runtime *r = runtime_get();
	unsigned n = 0;

	for (unsigned i = 0; arch_ring_ops[i]; i++, n++) {
		if (n == index) {
			choice->job = "ring";
			choice->name = arch_ring_ops[i]->name;
			choice->usable = arch_ring_ops[i]->usable(&choice->why);
			choice->picked = arch_ring_ops[i] == r->ring;
			if (choice->picked)
				choice->why = r->ring_why;
			return 0;
		}
	}
	for (unsigned i = 0; platform_waiter_ops[i]; i++, n++) {
		if (n == index) {
			choice->job = "waiter";
			choice->name = platform_waiter_ops[i]->name;
			choice->usable = platform_waiter_ops[i]->usable(&choice->why);
			choice->picked = platform_waiter_ops[i] == r->waiter;
			if (choice->picked)
				choice->why = r->waiter_why;
			return 0;
		}
	}
	for (unsigned i = 0; platform_memory_ops[i]; i++, n++) {
		if (n == index) {
			choice->job = "memory";
			choice->name = platform_memory_ops[i]->name;
			choice->usable = platform_memory_ops[i]->usable(&choice->why);
			choice->picked = platform_memory_ops[i] == runtime_memory(NULL);
			return 0;
		}
	}
	for (unsigned i = 0; i < BARRIERS; i++, n++) {
		if (n == index) {
			choice->job = "barrier";
			tell_barrier(i, choice);
			return 0;
		}
	}
	return error_set(-ENOENT, "there are no more choices: %u, from 0 on, and %u was asked for",
			 n + 1, index);
}
