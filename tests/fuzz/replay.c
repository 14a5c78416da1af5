/*
 * SPDX-License-Identifier: MIT
 *
 * Runs a fuzz target over its corpus without a fuzzer, as one test; or over the files that are
 * named on the command line, in this process, to look at one of them with a debugger.
 */
#define _GNU_SOURCE /* program_invocation_short_name */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fuzz/bytes.h"
#include "tests/runner.h"

/* Where the corpus of this target is: its name is the program's. */
static const char *folder(void)
{
	static char path[PATH_MAX];
	char name[256];

	snprintf(name, sizeof(name), "tests/fuzz/corpus/%s", program_invocation_short_name);
	snprintf(path, sizeof(path), "%s", runner_source(name));
	return path;
}

/* False: it cannot be read. The input is as long as its memory, so that a sanitizer sees who reads
 * behind it. */
static bool run_file(const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *data = NULL;
	long size = -1;
	bool is_read = false;

	if (!file)
		return false;
	if (!fseek(file, 0, SEEK_END))
		size = ftell(file);
	rewind(file);
	if (size >= 0)
		data = malloc(size ? (size_t)size : 1);
	if (data)
		is_read = fread(data, 1, (size_t)size, file) == (size_t)size;
	fclose(file);
	if (is_read)
		LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
	return is_read;
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* In a child: name is shared, and tells which one it was that ended it. */
static void run_all(struct dirent **inputs, int count, char *name)
{
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

	/* What targets print is told by their exit, too, and must() is heard. */
	if (chdir(folder()) || nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0 ||
	    dup2(nowhere, STDERR_FILENO) < 0)
		_exit(2);
	close(nowhere);
	for (int i = 0; i < count; i++) {
		snprintf(name, NAME_MAX + 1, "%s", inputs[i]->d_name);
		if (!run_file(name))
			_exit(2);
	}
	/* As it should be: a sanitizer looks for leaks here. */
	exit(0);
}

START_TEST(every_input_of_the_corpus_does_no_harm)
	{
		struct dirent **inputs;
		int count = scandir(folder(), &inputs, is_input, alphasort), status;
		char *name = mmap(NULL, NAME_MAX + 1, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		pid_t child;

		ck_assert_ptr_ne(name, MAP_FAILED);
		ck_assert_msg(count > 0, "no inputs in %s", folder());
		child = fork();
		ck_assert_int_ge(child, 0);
		if (!child)
			run_all(inputs, count, name);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status),
			      "status 0x%x with %s/%s: run %s with it", (unsigned)status, folder(),
			      name, program_invocation_name);
		for (int i = 0; i < count; i++)
			free(inputs[i]);
		free(inputs);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("corpus");
	TCase *all = tcase_create(program_invocation_short_name);

	tcase_set_timeout(all, 60);
	tcase_add_test(all, every_input_of_the_corpus_does_no_harm);
	suite_add_tcase(s, all);
	return s;
}

int main(int argc, char **argv)
{
	LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++) {
		printf("%s\n", argv[i]);
		if (!run_file(argv[i])) {
			fprintf(stderr, "%s cannot be read: %s\n", argv[i], strerror(errno));
			return EXIT_FAILURE;
		}
	}
	return argc > 1 ? EXIT_SUCCESS : runner_main((Suite *(*const[])(void)){ suite, NULL });
}
