/*
 * SPDX-License-Identifier: MIT
 *
 * What every test program in C shares: its main function, a way to skip, and where to find what
 * was built. A program prints a line for each test and closes with "N passed, N failed, N skipped"
 * alone on a line; scripts do the same, and ./dev check adds these lines up. Knows nothing of Peal.
 */
#ifndef TESTS_RUNNER_H
#define TESTS_RUNNER_H

#include <check.h>
#include <stdbool.h>

/*
 * Runs suites with libcheck and prints what came out of each test; suites is a list of functions
 * that each make one, ended by NULL. Returns what main should: 0 if nothing failed.
 *
 * CK_FORK=no runs the tests in this process, for debuggers; CK_RUN_SUITE and CK_RUN_CASE choose.
 * libcheck's limits on time are five times as long for who is burdened (below). A file, also one of
 * memory, can have 1 GiB at most; what is larger is refused with EFBIG. TMPDIR is a folder of the
 * program's own: tests of which none fails have failed if something is left in it.
 */
int runner_main(Suite *(*const suites[])(void));

/*
 * Marks the running test as skipped, with the reason why it cannot run here; the test should then
 * return. For the process that libcheck runs the test in, not for its children. A test that fails
 * all the same counts as failed.
 */
void skip(const char *why, ...) __attribute__((format(printf, 1, 2)));

/* Whether a sanitizer or an emulator makes these programs slow, and holds memory of its own in
 * them. */
bool runner_burdened(void);

/* Whether the full counts are wanted (./dev check --long sets TEST_LONG=1). */
bool runner_long(void);

/*
 * The path of something that was built, such as "examples/echo-server"; the text holds until the
 * next call. runner_source is the same for a file of the source tree.
 */
const char *runner_built(const char *relative);
const char *runner_source(const char *relative);

/* For what an emulator (qemu-user) cannot do: if one runs this program, the running test is marked
 * as skipped, and should return. */
bool skip_emulated(const char *what);

/* Removes a file, or a folder with all that is in it. 0, or -1 with errno. */
int runner_remove(const char *path);

/* As execv: the words of TEST_EMULATOR stand before the program, if it needs one. */
void runner_exec(const char *program, char *const arguments[]);

#endif
