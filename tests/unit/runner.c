/*
 * SPDX-License-Identifier: MIT
 *
 * The runner itself, whichever of the two libchecks it stands on: it tells each way in which a test
 * can end, and ends and removes what a test leaves behind. This program starts itself with suites
 * of tests of which most must fail.
 */
#include "config.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/runner.h"

static unsigned steps;

static void set_up(void)
{
	steps = 1;
}

static void set_up_further(void)
{
	steps = steps * 10 + 2;
}

static void tear_down(void)
{
	ck_assert_uint_eq(steps, 124);
}

START_TEST(passes)
	{
		ck_assert_uint_eq(steps, 12);
		steps = 124;
	}
END_TEST

START_TEST(fails)
	{
		ck_assert_int_lt(_i, 2);
		steps = 124;
		ck_assert_msg(_i < 1, "the number is %d", _i);
	}
END_TEST

START_TEST(fails_in_the_end)
	{
		steps++;
	}
END_TEST

START_TEST(aborts)
	{
		raise(SIGABRT);
	}
END_TEST

START_TEST(exits)
	{
		exit(3);
	}
END_TEST

START_TEST(hangs)
	{
		pause();
	}
END_TEST

START_TEST(skips)
	{
		skip("it is %s", "Sunday");
		steps = 124;
	}
END_TEST

/* Its child holds the output open for as long as it lives. */
START_TEST(leaves_a_child)
	{
		if (!fork())
			for (;;)
				pause();
		steps = 124;
	}
END_TEST

static Suite *endings(void)
{
	Suite *s = suite_create("endings");
	TCase *tcase = tcase_create("ending"), *hanging = tcase_create("hanging");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_checked_fixture(tcase, set_up_further, NULL);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, passes);
	tcase_add_loop_test(tcase, fails, 0, 3);
	tcase_add_test(tcase, fails_in_the_end);
	tcase_add_test(tcase, aborts);
	tcase_add_test(tcase, exits);
	tcase_add_test(tcase, skips);
	tcase_add_test(tcase, leaves_a_child);
	suite_add_tcase(s, tcase);
	/* Only what is to run out of it has little time. */
	tcase_set_timeout(hanging, 1);
	tcase_add_test(hanging, hangs);
	suite_add_tcase(s, hanging);
	return s;
}

START_TEST(leaves_a_folder)
	{
		char path[64];

		snprintf(path, sizeof(path), "%s/forgotten", getenv("TMPDIR"));
		ck_assert_int_eq(mkdir(path, 0700), 0);
		strcat(path, "/socket.lock");
		fclose(fopen(path, "we"));
	}
END_TEST

static Suite *leaving(void)
{
	Suite *s = suite_create("leaving");
	TCase *tcase = tcase_create("leaving");

	tcase_add_test(tcase, leaves_a_folder);
	suite_add_tcase(s, tcase);
	return s;
}

/* Starts this program with the tests of a suite, which says these lines in this order. */
static void expect_lines(const char *which, const char *const lines[])
{
	char told[4096], name[16], *at = told;
	size_t length = 0;
	int ends[2], status;
	ssize_t got;
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	if (!pid) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO); /* an emulator says when it aborts */
		close(ends[0]);
		close(ends[1]);
		setenv("CK_TIMEOUT_MULTIPLIER", "1", 1);
		snprintf(name, sizeof(name), "%s", which);
		runner_exec("/proc/self/exe", (char *[]){ "runner", name, NULL });
		_exit(127);
	}
	close(ends[1]);
	while ((got = read(ends[0], told + length, sizeof(told) - 1 - length)) > 0)
		length += (size_t)got;
	close(ends[0]);
	told[length] = '\0';
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %x", status);
	for (; *lines; lines++) {
		char *found = strstr(at, *lines);

		ck_assert_msg(found, "no \"%s\" in: %s", *lines, at);
		at = found + strlen(*lines);
	}
}

START_TEST(each_way_in_which_a_test_ends_is_told)
	{
		static const char *const lines[] = {
			"pass  ending: passes\n",
			"pass  ending: fails\n",
			"FAIL  ending: fails [1] (",
			"): the number is 1\n",
			"FAIL  ending: fails [2] (",
			"): Assertion '_i < 2' failed: _i == 2, 2 == 2\n",
			"FAIL  ending: fails_in_the_end (",
			"failed: steps == 13, 124 == 124\n",
			"FAIL  ending: aborts (",
			"Received signal 6 (Aborted)\n",
			"FAIL  ending: exits (",
			"Early exit with return value 3\n",
			"skip  ending: skips: it is Sunday\n",
			"pass  ending: leaves_a_child\n",
			"FAIL  hanging: hangs (",
			"Test timeout expired\n",
			"3 passed, 6 failed, 1 skipped\n",
			NULL,
		};

		expect_lines("endings", lines);
	}
END_TEST

START_TEST(what_tests_leave_behind_is_told_and_removed)
	{
		static const char *const lines[] = {
			"pass  leaving: leaves_a_folder\n",
			"FAIL  the tests have left behind what they made: forgotten\n",
			"1 passed, 1 failed, 0 skipped\n",
			NULL,
		};

		/* Else this very program fails. */
		expect_lines("leaving", lines);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("runner");
	TCase *tcase = tcase_create("runner");

	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, each_way_in_which_a_test_ends_is_told);
	tcase_add_test(tcase, what_tests_leave_behind_is_told_and_removed);
	suite_add_tcase(s, tcase);
	return s;
}

int main(int argc, char **argv)
{
	return runner_main((Suite *(*const[])(void)){ argc < 2                    ? suite :
						      !strcmp(argv[1], "endings") ? endings :
										    leaving,
						      NULL });
}
