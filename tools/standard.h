/*
 * SPDX-License-Identifier: MIT
 *
 * What all commands have in common: standard streams that are closed, --help and --version as GNU
 * asks for them.
 */
#ifndef TOOLS_STANDARD_H
#define TOOLS_STANDARD_H

#include <fcntl.h>
#include <unistd.h>

/* First of all, for tools that write files: no file gets a number of standard streams, else what is
 * printed would go into it. To print there is still an error, and a program that is executed has
 * them closed, as before. */
static inline void standard_keep(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* All that --version prints; the version is configure.ac's. */
void standard_version(const char *tool);

/* The last lines of --help. */
void standard_help_end(const char *tool);

/* Behind the sentence about a bad command line, on standard error: where to read more. Returns the
 * code, so that "return standard_usage(...)" reads well. */
int standard_usage(const char *tool, int code);

/* The option that getopt_long has just complained of. */
const char *standard_option(char *const *argv);

/* Closes standard output. What was cut short must not pass for whole: the code is then the other
 * one, after a sentence. */
int standard_finish(const char *tool, int code, int code_if_lost);

#endif
