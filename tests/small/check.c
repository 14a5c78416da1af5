/*
 * SPDX-License-Identifier: MIT
 *
 * Runs tests as libcheck does, and writes the lines that it would write to its log; tests/runner.c
 * reads those. See check.h. It knows nothing of Peal.
 */
#include "tests/small/check.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
	struct fixture *next;
	void (*setup)(void), (*teardown)(void);
	bool checked;
};

struct entry {
	struct entry *next;
	const TTest *test;
	int start, end;
};

struct TCase {
	TCase *next;
	const char *name;
	double timeout;
	struct fixture *fixtures; /* the last one first */
	struct entry *entries, **end;
};

struct Suite {
	Suite *next;
	const char *name;
	TCase *tcases, **end;
};

struct SRunner {
	Suite *suites, **end;
	FILE *log;
};

/* How far the running test is, in memory that it shares with the process that runs it. Several
 * threads and children may write: whose words win does not matter. */
static struct progress {
	const char *file; /* atomic, as is line */
	int line;
	bool failed; /* atomic: set after the message */
	char message[1024];
} * progress;

static bool forks = true;
static jmp_buf back; /* out of a test that does not run in a process of its own */
static pid_t running;
static volatile sig_atomic_t expired;

static void *make(size_t size)
{
	void *made = calloc(1, size);

	if (!made) {
		perror("tests/small");
		exit(EXIT_FAILURE);
	}
	return made;
}

Suite *suite_create(const char *name)
{
	Suite *suite = make(sizeof(*suite));

	suite->name = name;
	suite->end = &suite->tcases;
	return suite;
}

void suite_add_tcase(Suite *suite, TCase *tcase)
{
	*suite->end = tcase;
	suite->end = &tcase->next;
}

TCase *tcase_create(const char *name)
{
	TCase *tcase = make(sizeof(*tcase));
	const char *timeout = getenv("CK_DEFAULT_TIMEOUT");

	tcase->name = name;
	tcase->timeout = timeout ? strtod(timeout, NULL) : 4;
	tcase->end = &tcase->entries;
	return tcase;
}

void tcase_set_timeout(TCase *tcase, double seconds)
{
	tcase->timeout = seconds;
}

static void add_fixture(TCase *tcase, void (*setup)(void), void (*teardown)(void), bool checked)
{
	struct fixture *fixture = make(sizeof(*fixture));

	*fixture = (struct fixture){ tcase->fixtures, setup, teardown, checked };
	tcase->fixtures = fixture;
}

void tcase_add_checked_fixture(TCase *tcase, void (*setup)(void), void (*teardown)(void))
{
	add_fixture(tcase, setup, teardown, true);
}

void tcase_add_unchecked_fixture(TCase *tcase, void (*setup)(void), void (*teardown)(void))
{
	add_fixture(tcase, setup, teardown, false);
}

void tcase_add_loop_test(TCase *tcase, const TTest *test, int start, int end)
{
	struct entry *entry = make(sizeof(*entry));

	*entry = (struct entry){ NULL, test, start, end };
	*tcase->end = entry;
	tcase->end = &entry->next;
}

SRunner *srunner_create(Suite *suite)
{
	SRunner *runner = make(sizeof(*runner));

	runner->end = &runner->suites;
	if (suite)
		srunner_add_suite(runner, suite);
	return runner;
}

void srunner_add_suite(SRunner *runner, Suite *suite)
{
	*runner->end = suite;
	runner->end = &suite->next;
}

void srunner_set_log(SRunner *runner, const char *path)
{
	runner->log = fopen(path, "we");
	if (!runner->log) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	setlinebuf(runner->log);
}

/*
 * In the test.
 */

void small_mark(const char *file, int line)
{
	__atomic_store_n(&progress->file, file, __ATOMIC_RELAXED);
	__atomic_store_n(&progress->line, line, __ATOMIC_RELAXED);
}

void small_fail(const char *file, int line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(progress->message, sizeof(progress->message), format, arguments);
	va_end(arguments);
	small_mark(file, line);
	/* Pairs with the acquire in judge. */
	__atomic_store_n(&progress->failed, true, __ATOMIC_RELEASE);
	if (!forks)
		longjmp(back, 1);
	_exit(EXIT_FAILURE);
}

/* In the order that they were added in. */
static void set_up(const struct fixture *fixture, bool checked)
{
	if (!fixture)
		return;
	set_up(fixture->next, checked);
	if (fixture->checked == checked && fixture->setup)
		fixture->setup();
}

/* And backwards. */
static void tear_down(const struct fixture *fixture, bool checked)
{
	for (; fixture; fixture = fixture->next)
		if (fixture->checked == checked && fixture->teardown)
			fixture->teardown();
}

static void run_here(const TCase *tcase, const struct entry *entry, int i)
{
	set_up(tcase->fixtures, true);
	entry->test->run(i);
	tear_down(tcase->fixtures, true);
}

/* For debuggers, in the process that runs the tests. */
static int run_caught(const TCase *tcase, const struct entry *entry, int i)
{
	if (!setjmp(back))
		run_here(tcase, entry, i);
	return 0;
}

/*
 * Around it.
 */

static void expire(int signal)
{
	(void)signal;
	expired = 1;
	if (running > 0)
		kill(-running, SIGKILL);
}

/* Whoever ends us ends the running test, too. */
static void end(int signal)
{
	if (running > 0)
		kill(-running, SIGKILL);
	_exit(128 + signal);
}

static void watch_signals(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = expire };

	sigaction(SIGALRM, &action, NULL);
	action.sa_handler = end;
	for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigaction(ends[i], &action, NULL);
}

static void set_alarm(double seconds)
{
	struct itimerval timer = { .it_value.tv_sec = (time_t)seconds };

	timer.it_value.tv_usec = (suseconds_t)((seconds - (double)timer.it_value.tv_sec) * 1e6);
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* The status that the test ended with. */
static int run_apart(const TCase *tcase, const struct entry *entry, int i, double timeout)
{
	int status = 0;

	fflush(NULL);
	expired = 0;
	running = fork();
	if (running < 0) {
		perror("tests/small: fork");
		exit(EXIT_FAILURE);
	}
	if (!running) {
		static const int defaults[] = { SIGALRM, SIGINT, SIGTERM, SIGHUP };

		for (unsigned k = 0; k < sizeof(defaults) / sizeof(defaults[0]); k++)
			signal(defaults[k], SIG_DFL);
		setpgid(0, 0);
		run_here(tcase, entry, i);
		exit(EXIT_SUCCESS);
	}
	setpgid(running, running); /* whichever of us comes first */
	set_alarm(timeout);
	while (waitpid(running, &status, 0) < 0 && errno == EINTR)
		;
	set_alarm(0);
	kill(-running, SIGKILL); /* what it left behind */
	running = 0;
	return status;
}

/* What the log says of a test: its letter, with the message in progress. */
static char judge(int status)
{
	char *message = progress->message;
	size_t size = sizeof(progress->message);

	/* Pairs with the release in small_fail. */
	if (__atomic_load_n(&progress->failed, __ATOMIC_ACQUIRE))
		return 'F';
	if (expired)
		snprintf(message, size, "(after this point) Test timeout expired");
	else if (WIFSIGNALED(status))
		snprintf(message, size, "(after this point) Received signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		snprintf(message, size, "(after this point) Early exit with return value %d",
			 WEXITSTATUS(status));
	else
		return 'P';
	return 'E';
}

static void run_one(FILE *log, const TCase *tcase, const struct entry *entry, int i,
		    double multiplier)
{
	char letter;

	*progress = (struct progress){ .file = "tests", .line = 1 };
	letter = judge(forks ? run_apart(tcase, entry, i, tcase->timeout * multiplier) :
			       run_caught(tcase, entry, i));
	fprintf(log, "%s:%d:%c:%s:%s:%d: %s\n", progress->file, progress->line, letter, tcase->name,
		entry->test->name, i, letter == 'P' ? "Passed" : progress->message);
}

static void run_case(FILE *log, const TCase *tcase, double multiplier)
{
	set_up(tcase->fixtures, false);
	for (const struct entry *entry = tcase->entries; entry; entry = entry->next)
		for (int i = entry->start; i < entry->end; i++)
			run_one(log, tcase, entry, i, multiplier);
	tear_down(tcase->fixtures, false);
}

static bool is_chosen(const char *variable, const char *name)
{
	const char *value = getenv(variable);

	return !value || !strcmp(value, name);
}

void srunner_run_all(SRunner *runner, enum print_output mode)
{
	const char *fork_or_not = getenv("CK_FORK"), *times = getenv("CK_TIMEOUT_MULTIPLIER");
	double multiplier = times ? strtod(times, NULL) : 1;

	(void)mode;
	forks = !fork_or_not || strcmp(fork_or_not, "no") != 0;
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (progress == MAP_FAILED) {
		perror("tests/small: mmap");
		exit(EXIT_FAILURE);
	}
	watch_signals();
	for (Suite *suite = runner->suites; suite; suite = suite->next) {
		if (!is_chosen("CK_RUN_SUITE", suite->name))
			continue;
		for (TCase *tcase = suite->tcases; tcase; tcase = tcase->next)
			if (is_chosen("CK_RUN_CASE", tcase->name))
				run_case(runner->log, tcase, multiplier);
	}
	fprintf(runner->log, "Results for all suites run:\n");
	fflush(runner->log);
	munmap(progress, sizeof(*progress));
}

static void free_case(TCase *tcase)
{
	while (tcase->fixtures) {
		struct fixture *fixture = tcase->fixtures;

		tcase->fixtures = fixture->next;
		free(fixture);
	}
	while (tcase->entries) {
		struct entry *entry = tcase->entries;

		tcase->entries = entry->next;
		free(entry);
	}
	free(tcase);
}

void srunner_free(SRunner *runner)
{
	while (runner->suites) {
		Suite *suite = runner->suites;

		runner->suites = suite->next;
		while (suite->tcases) {
			TCase *tcase = suite->tcases;

			suite->tcases = tcase->next;
			free_case(tcase);
		}
		free(suite);
	}
	if (runner->log)
		fclose(runner->log);
	free(runner);
}
