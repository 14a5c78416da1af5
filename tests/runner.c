/*
 * SPDX-License-Identifier: MIT
 *
 * Runs the suites of libcheck, or of tests/small in its place, and says what came out of each test
 * in lines that people and scripts can read. libcheck writes its log to a pipe; a child of ours
 * reads it there and prints. Skips go through the same pipe: the line of a skip always comes before
 * the log's line of that test, also when the test runs in a process of its own.
 */
#include "config.h"

#include "tests/runner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIP_MARK "\001skip "
#define SKIP_LONGEST 512 /* far below PIPE_BUF, so that it is written at once */

static int log_pipe = -1;
static char folder[40]; /* the tests' TMPDIR */

struct tally {
	unsigned passed, failed, skipped;
};

/*
 * One test as it stands in libcheck's log: "FILE:LINE:RESULT:CASE:TEST:ITERATION: MESSAGE", where
 * RESULT is P, F or E. Other lines (headings, more lines of a message) are not taken apart.
 */
static bool parse(char *line, char *fields[7])
{
	for (int i = 0; i < 6; i++) {
		fields[i] = line;
		line = strchr(line, ':');
		if (!line)
			return false;
		*line++ = '\0';
	}
	fields[6] = line + strspn(line, " ");
	return strlen(fields[2]) == 1 && strchr("PFES", fields[2][0]);
}

/* Prints a test's line; skipped is the reason, or empty. */
static void report(struct tally *tally, char *const fields[7], const char *skipped)
{
	const char *result = "pass";

	if (fields[2][0] != 'P') {
		tally->failed++;
		result = "FAIL";
	} else if (skipped[0]) {
		tally->skipped++;
		result = "skip";
	} else {
		tally->passed++;
	}
	printf("%s  %s: %s", result, fields[3], fields[4]);
	if (strcmp(fields[5], "0") != 0)
		printf(" [%s]", fields[5]);
	if (result[0] == 'F')
		printf(" (%s:%s): %s", fields[0], fields[1], fields[6]);
	else if (result[0] == 's')
		printf(": %s", skipped);
	putchar('\n');
	fflush(stdout);
}

/* Other users' peers have to get in; and sockets have short names. */
static bool make_folder(void)
{
	const char *base = getenv("TMPDIR");

	if (!base || strlen(base) > 20)
		base = "/tmp";
	snprintf(folder, sizeof(folder), "%s/peal-XXXXXX", base);
	return mkdtemp(folder) && !chmod(folder, 01777) && !setenv("TMPDIR", folder, 1);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

int runner_remove(const char *path)
{
	return nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* What is left in there is told, if nothing else is to be. */
static void look_for_leftovers(struct tally *tally)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && !tally->failed && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		tally->failed++;
		printf("FAIL  the tests have left behind what they made: %s\n", entry->d_name);
	}
	if (dir)
		closedir(dir);
}

/* The reading child: prints until the log ends. */
static _Noreturn void print_log(int from, unsigned expected)
{
	struct tally tally = { 0, 0, 0 };
	char skipped[SKIP_LONGEST] = "";
	char *line = NULL;
	size_t size = 0;
	bool whole = false;
	FILE *log = fdopen(from, "r");

	while (log && !whole && getline(&line, &size, log) > 0) {
		char *fields[7];

		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, SKIP_MARK, strlen(SKIP_MARK))) {
			snprintf(skipped, sizeof(skipped), "%s", line + strlen(SKIP_MARK));
		} else if (!strncmp(line, "Results for all suites run:", 27)) {
			whole = true;
		} else if (strncmp(line, "Running suite ", 14) != 0) {
			char *copy = strdup(line);

			if (copy && parse(copy, fields)) {
				report(&tally, fields, skipped);
				skipped[0] = '\0';
			} else {
				printf("      %s\n", line);
			}
			free(copy);
		}
	}
	if (!whole) {
		tally.failed++;
		printf("FAIL  the program ended before its tests did\n");
	} else if (expected && !(tally.passed + tally.failed + tally.skipped)) {
		tally.failed++;
		printf("FAIL  no test was run\n");
	}
	look_for_leftovers(&tally);
	printf("%u passed, %u failed, %u skipped\n", tally.passed, tally.failed, tally.skipped);
	fflush(stdout);
	_exit(tally.failed ? EXIT_FAILURE : EXIT_SUCCESS);
}

/*
 * No test needs files, memory files included, that are larger than 1 GiB. One that asks for more
 * by mistake, or to see it refused, gets -EFBIG and does not take the machine's memory.
 */
static void limit_files(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur > 1u << 30) {
		limit.rlim_cur = 1u << 30;
		setrlimit(RLIMIT_FSIZE, &limit);
	}
	signal(SIGXFSZ, SIG_IGN);
}

bool runner_burdened(void)
{
#ifdef PEAL_SANITIZER
	return true;
#else
	return TEST_EMULATOR[0];
#endif
}

int runner_main(Suite *(*const suites[])(void))
{
	SRunner *runner = srunner_create(NULL);
	int ends[2], status;
	char path[64];
	pid_t printer;

	limit_files();
	/* What has no limit of its own: only what hangs is to meet one, however busy the machine
	 * is, and libcheck's is 4 s. */
	setenv("CK_DEFAULT_TIMEOUT", "30", 0);
	if (runner_burdened())
		setenv("CK_TIMEOUT_MULTIPLIER", "5", 0);
	for (unsigned i = 0; suites[i]; i++)
		srunner_add_suite(runner, suites[i]());

	fflush(stdout);
	if (!make_folder() || pipe2(ends, O_CLOEXEC) || (printer = fork()) < 0) {
		perror("runner_main");
		return EXIT_FAILURE;
	}
	if (!printer) {
		close(ends[1]);
		print_log(ends[0], suites[0] != NULL);
	}
	close(ends[0]);
	log_pipe = ends[1];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", log_pipe);
	srunner_set_log(runner, path);
	srunner_run_all(runner, CK_SILENT);
	srunner_free(runner);
	close(log_pipe);
	while (waitpid(printer, &status, 0) < 0) {
		if (errno != EINTR)
			return EXIT_FAILURE;
	}
	runner_remove(folder);
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

void skip(const char *why, ...)
{
	char line[SKIP_LONGEST] = SKIP_MARK;
	size_t used = strlen(line);
	va_list arguments;

	va_start(arguments, why);
	vsnprintf(line + used, sizeof(line) - used - 1, why, arguments);
	va_end(arguments);
	/* One line, whatever the reason holds. */
	for (char *at = line; *at; at++) {
		if (*at == '\n')
			*at = ' ';
	}
	used = strlen(line);
	line[used++] = '\n';
	if (write(log_pipe, line, used) != (ssize_t)used)
		ck_abort_msg("cannot say that this test is skipped: %s", strerror(errno));
}

bool skip_emulated(const char *what)
{
	if (TEST_EMULATOR[0])
		skip("the emulator has no %s", what);
	return TEST_EMULATOR[0];
}

bool runner_long(void)
{
	const char *value = getenv("TEST_LONG");

	return value && strcmp(value, "1") == 0;
}

const char *runner_built(const char *relative)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", TEST_BUILD, relative);
	return path;
}

const char *runner_source(const char *relative)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", TEST_SOURCE, relative);
	return path;
}

void runner_exec(const char *program, char *const arguments[])
{
	static char emulator[] = TEST_EMULATOR;
	char *words[32], *rest = NULL;
	unsigned count = 0;

	if (!emulator[0]) {
		execv(program, arguments);
		return;
	}
	for (char *word = strtok_r(emulator, " ", &rest); word && count < 8;
	     word = strtok_r(NULL, " ", &rest))
		words[count++] = word;
	/* Links such as /proc/self/exe mean the emulator to those that it starts. */
	words[count] = realpath(program, NULL);
	if (!words[count++])
		return;
	for (unsigned i = 1; arguments[0] && arguments[i] && count < 31; i++)
		words[count++] = arguments[i];
	words[count] = NULL;
	execv(words[0], words);
}
