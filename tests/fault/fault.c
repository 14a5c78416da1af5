/*
 * SPDX-License-Identifier: MIT
 *
 * Each system call and each allocation that a scenario makes fails once, with one errno that it can
 * fail with (TEST_LONG=1: with each), for every n until the scenario passes untouched. Then the
 * scenario succeeds all the same, or says why not; the same again, with nothing that fails, works;
 * and no descriptor, mapping or block of memory is left.
 *
 * FAULT=SCENARIO:N:CHOICE repeats one (with an m before N for allocations), as a failure says it;
 * FAULT_LIST=1 tells what came of each.
 */
#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/error.h"
#include "tests/fault/errnos.h"
#include "tests/fault/holdings.h"
#include "tests/fault/scenario.h"
#include "tests/fault/trap.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if __has_feature(thread_sanitizer) || defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER true
#else
#define THREAD_SANITIZER false
#endif

#define CALLS_MAX 2000u
#define PATIENCE 20 /* s, for an attempt */

static const char unsaid[] = "nobody has said anything";

/* Summed up over all tests, each of which is a process. */
static struct figures {
	unsigned scenarios, calls, faults, allocations, without;
} * figures;

/* One attempt, of the subject's thread. */
static struct attempt {
	sem_t go, done;
	struct act *act;
	struct trap_order order;
	int result;
	char sentence[512];
	const char *untrapped; /* why */
} attempt;

void act_wrong(struct act *act, const char *format, ...)
{
	va_list arguments;

	if (act->wrong[0])
		return;
	va_start(arguments, format);
	vsnprintf(act->wrong, sizeof(act->wrong), format, arguments);
	va_end(arguments);
}

void act_turn(struct act *act, void (*turn)(struct act *act))
{
	trap_pause();
	act->turn = turn;
	sem_post(&attempt.done);
	while (sem_wait(&attempt.go))
		;
	trap_resume();
}

struct start {
	struct act *act;
	void *(*run)(void *act);
};

static void *run_exempt(void *data)
{
	struct start start = *(struct start *)data;

	trap_exempt();
	free(data);
	return start.run(start.act);
}

void act_start(struct act *act, void *(*run)(void *act))
{
	struct start *start = malloc(sizeof(*start));

	ck_assert_ptr_nonnull(start);
	*start = (struct start){ act, run };
	__atomic_store_n(&act->stop, false, __ATOMIC_RELEASE);
	if (pthread_create(&act->thread, NULL, run_exempt, start))
		ck_abort_msg("no thread");
}

void act_end(struct act *act)
{
	__atomic_store_n(&act->stop, true, __ATOMIC_RELEASE);
	pthread_join(act->thread, NULL);
}

int act_recover(struct act *act, int err, void (*recover)(struct act *act))
{
	char said[512];

	snprintf(said, sizeof(said), "%s", peal_error());
	trap_pause();
	recover(act);
	trap_resume();
	return error_set(err, "%s", said);
}

int act_talk(struct peal_link *link, const void *data, size_t length, int64_t timeout)
{
	/* Of each thread: those of the library have to get along with a program that has so much of
	 * that. */
	static __thread char answer[1 << 20];
	int64_t got;
	int err = peal_send(peal_link_tx(link), data, length, 0, timeout);

	if (err)
		return err;
	got = peal_recv(peal_link_rx(link), answer, sizeof(answer), NULL, timeout);
	if (got >= 0 && ((size_t)got != length || memcmp(answer, data, length)))
		return error_literal(-EBADMSG, "another answer came than was sent");
	return got < 0 ? (int)got : 0;
}

static void *try_for_ever(void *data)
{
	attempt.untrapped = trap_enter();
	sem_post(&attempt.done);
	while (!attempt.untrapped) {
		while (sem_wait(&attempt.go))
			;
		error_literal(0, unsaid);
		trap_arm(&attempt.order);
		attempt.result = attempt.act->scenario->attempt(attempt.act);
		trap_pause();
		snprintf(attempt.sentence, sizeof(attempt.sentence), "%s", peal_error());
		__atomic_store_n(&attempt.act->over, true, __ATOMIC_RELEASE);
		sem_post(&attempt.done);
	}
	return data;
}

/* False: it cannot be trapped, and the test is skipped. */
static bool start_attempts(void)
{
	pthread_t thread;

	attempt.untrapped = trap_begin();
	sem_init(&attempt.go, 0, 0);
	sem_init(&attempt.done, 0, 0);
	if (!attempt.untrapped) {
		if (pthread_create(&thread, NULL, try_for_ever, NULL))
			ck_abort_msg("no thread");
		while (sem_wait(&attempt.done))
			;
	}
	return !attempt.untrapped;
}

static void await_subject(const struct act *act)
{
	struct trap_report report;
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += PATIENCE * (runner_burdened() ? 5 : 1);
	while (sem_timedwait(&attempt.done, &end)) {
		if (errno == EINTR)
			continue;
		report = trap_look();
		ck_abort_msg("FAULT=%s:%s%u:%u hangs: %s failed with %s, %u calls",
			     act->scenario->name, attempt.order.memory ? "m" : "",
			     attempt.order.nth, attempt.order.choice,
			     report.name ? report.name : "nothing",
			     report.how ? report.how : "nothing", report.calls);
	}
}

/* Until the subject is done; does what it wants of us meanwhile. */
static void await_attempt(struct act *act)
{
	for (;;) {
		void (*turn)(struct act * act);

		await_subject(act);
		turn = act->turn;
		act->turn = NULL;
		if (!turn)
			return;
		turn(act);
		sem_post(&attempt.go);
	}
}

static struct trap_report perform(struct act *act, const struct trap_order *order)
{
	const struct scenario *scenario = act->scenario;
	struct trap_report report;

	if (scenario->before)
		scenario->before(act);
	attempt.act = act;
	attempt.order = *order;
	__atomic_store_n(&act->over, false, __ATOMIC_RELEASE);
	sem_post(&attempt.go);
	if (scenario->meanwhile)
		scenario->meanwhile(act);
	await_attempt(act);
	report = trap_disarm();
	if (scenario->after)
		scenario->after(act);
	return report;
}

static const char *say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *say(const char *format, ...)
{
	static char text[900];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return text;
}

/* Whether what came of a failing call is right. NULL, or what is wrong. */
static const char *judge(const struct act *act, const struct trap_report *report)
{
	if (report->unknown >= 0)
		return say("errnos.c says nothing of system call %ld", report->unknown);
	if (act->wrong[0])
		return act->wrong;
	if (attempt.result > 0 || attempt.result < -4095)
		return say("%d is no errno", attempt.result);
	if (!attempt.result)
		return NULL;
	if (!report->name)
		return say("nothing failed, and %d came of it: %s", attempt.result,
			   attempt.sentence);
	if (!strcmp(attempt.sentence, unsaid) || !attempt.sentence[0])
		return say("%d (%s) without a sentence", attempt.result, strerror(-attempt.result));
	if (!failing_explains(report->name, report->err, attempt.result))
		return say("%d (%s) is another error: %s", attempt.result,
			   strerror(-attempt.result), attempt.sentence);
	return NULL;
}

static void tell(const struct act *act, const struct trap_report *report)
{
	if (getenv("FAULT_LIST"))
		fprintf(stderr, "%s:%s%u:%u %s %s -> %d %s\n", act->scenario->name,
			attempt.order.memory ? "m" : "", attempt.order.nth, attempt.order.choice,
			report->name, report->how, attempt.result,
			attempt.result ? attempt.sentence : "");
}

/* One fault, and the same again without. Whether there was one. */
static bool fault(struct act *act, const struct trap_order *order, const struct held *before,
		  unsigned *choices)
{
	static const struct trap_order nothing;
	struct trap_report report = perform(act, order), again;
	const char *wrong = judge(act, &report), *left;

	*choices = report.choices;
	if (!report.name && !wrong)
		return false;
	tell(act, &report);
	figures->faults++;
	figures->without += !attempt.result;
	if (!wrong) {
		again = perform(act, &nothing);
		wrong = judge(act, &again);
		if (wrong)
			wrong = say("the next attempt fails: %s", wrong);
	}
	left = wrong ? NULL : held_too_much(before);
	if (wrong || left)
		ck_abort_msg("FAULT=%s:%s%u:%u: %s failed with %s: %s", act->scenario->name,
			     order->memory ? "m" : "", order->nth, order->choice,
			     report.name ? report.name : "nothing",
			     report.how ? report.how : "nothing", wrong ? wrong : left);
	return true;
}

/* What FAULT asks for: whether this, which is set to it then. */
static bool is_asked_for(const struct scenario *scenario, struct trap_order *order)
{
	const char *asked = getenv("FAULT");
	size_t length = strlen(scenario->name);

	if (!asked || strncmp(asked, scenario->name, length) || asked[length] != ':')
		return false;
	asked += length + 1;
	order->memory = *asked == 'm';
	return sscanf(asked + order->memory, "%u:%u", &order->nth, &order->choice) >= 1;
}

/* Every n. */
static void fail_each(struct act *act, const struct held *before, unsigned turn, bool memory)
{
	struct trap_order order = { .others = act->scenario->others, .memory = memory };
	bool every = act->scenario->every || runner_long();
	unsigned choices;

	for (order.nth = 1; order.nth < CALLS_MAX; order.nth++) {
		order.choice = every ? 0 : order.nth + turn;
		if (!fault(act, &order, before, &choices))
			break;
		*(memory ? &figures->allocations : &figures->calls) += 1;
		while (every && ++order.choice < choices)
			fault(act, &order, before, &choices);
	}
	ck_assert_msg(order.nth < CALLS_MAX, "%s does not end: %u calls", act->scenario->name,
		      CALLS_MAX);
}

/* The objects of counters, and the list of what is closed aside. */
static void make_what_stays(void)
{
	int fds[16];

	descriptors_settled();
	for (unsigned i = 0; i < 16; i++)
		fds[i] = dup(STDERR_FILENO);
	platform_close_aside(fds, 16);
	threads_expect_none();
}

/* What a first use comes to, in a child that ends with it. */
struct first {
	struct act *act;
	const struct trap_order *order;
	struct trap_report *report; /* shared */
};

static const char *use_first(void *data)
{
	static const struct trap_order nothing;
	struct first *first = data;
	const char *wrong;

	if (!start_attempts())
		return attempt.untrapped;
	*first->report = perform(first->act, first->order);
	wrong = judge(first->act, first->report);
	if (!wrong && first->report->name) {
		struct trap_report again;

		tell(first->act, first->report);
		again = perform(first->act, &nothing);
		wrong = judge(first->act, &again);
	}
	return wrong ? say("FAULT=%s:%s%u:%u: %s failed with %s: %s", first->act->scenario->name,
			   first->order->memory ? "m" : "", first->order->nth, first->order->choice,
			   first->report->name ? first->report->name : "nothing",
			   first->report->how ? first->report->how : "nothing", wrong) :
		       NULL;
}

static bool fault_first(struct act *act, const struct trap_order *order, struct trap_report *report)
{
	struct first first = { act, order, report };

	child_run(use_first, &first);
	figures->faults += report->name != NULL;
	return report->name != NULL;
}

static void fail_each_first(struct act *act, struct trap_report *report, bool memory)
{
	struct trap_order order = { .memory = memory };

	for (order.nth = 1; order.nth < CALLS_MAX; order.nth++) {
		order.choice = runner_long() ? 0 : order.nth;
		if (!fault_first(act, &order, report))
			break;
		*(memory ? &figures->allocations : &figures->calls) += 1;
		while (runner_long() && ++order.choice < report->choices)
			fault_first(act, &order, report);
	}
}

static void try_first_use(struct act *act, const struct trap_order *one)
{
	struct trap_report *report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(report, MAP_FAILED);
	act->scenario->open(act);
	figures->scenarios++;
	if (one) {
		fault_first(act, one, report);
	} else {
		fail_each_first(act, report, false);
		fail_each_first(act, report, true);
	}
	munmap(report, sizeof(*report));
}

static void try_scenario(const struct scenario *scenario, unsigned turn)
{
	static struct act act;
	struct trap_order order = { .others = scenario->others };
	bool one = is_asked_for(scenario, &order);
	struct trap_report report;
	struct held before;
	unsigned choices;

	if (getenv("FAULT") && !one)
		return;
#ifdef M_ARENA_MAX
	mallopt(M_ARENA_MAX, 1);
#endif
	act = (struct act){ .scenario = scenario, .stranger = -1 };
	if (skip_emulated("seccomp"))
		return;
	if (THREAD_SANITIZER) {
		skip("ThreadSanitizer does not see what the kernel orders, and nothing new");
		return;
	}
	if (scenario->others && runner_burdened()) {
		skip("a sanitizer makes calls of its own when a thread begins, and cannot do without");
		return;
	}
	if (scenario->fresh) {
		try_first_use(&act, one ? &order : NULL);
		return;
	}
	make_what_stays();
	if (!start_attempts()) {
		skip("%s", attempt.untrapped);
		return;
	}
	scenario->open(&act);
	before = held_now();
	/* What stays comes with the first ones. */
	for (int i = 0; i < 3; i++) {
		const char *wrong;

		report = perform(&act, &(struct trap_order){ .others = scenario->others });
		wrong = judge(&act, &report);
		if (wrong)
			ck_abort_msg("%s, with nothing that fails: %s", scenario->name, wrong);
	}
	before = held_settled(&before);
	figures->scenarios++;
	if (one) {
		fault(&act, &order, &before, &choices);
	} else {
		fail_each(&act, &before, turn, false);
		fail_each(&act, &before, turn, true);
	}
	scenario->close(&act);
}

START_TEST(a_client_survives)
	{
		try_scenario(&client_scenarios[_i], (unsigned)_i);
	}
END_TEST

START_TEST(a_server_survives)
	{
		try_scenario(&server_scenarios[_i], (unsigned)_i);
	}
END_TEST

START_TEST(a_link_survives)
	{
		try_scenario(&link_scenarios[_i], (unsigned)_i);
	}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("fault");
	TCase *tcase = tcase_create("faults");

	tcase_set_timeout(tcase, 600);
	tcase_add_loop_test(tcase, a_client_survives, 0, (int)client_scenario_count);
	tcase_add_loop_test(tcase, a_server_survives, 0, (int)server_scenario_count);
	tcase_add_loop_test(tcase, a_link_survives, 0, (int)link_scenario_count);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	int status;

	figures = mmap(NULL, sizeof(*figures), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (figures == MAP_FAILED)
		return EXIT_FAILURE;
	status = runner_main((Suite *(*const[])(void)){ make_suite, NULL });
	printf("%u scenarios: %u calls and %u allocations failed, %u faults, %u of them without "
	       "harm\n",
	       figures->scenarios, figures->calls, figures->allocations, figures->faults,
	       figures->without);
	return status;
}
