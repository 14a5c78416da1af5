/*
 * SPDX-License-Identifier: MIT
 *
 * What GNU's rules for commands ask of each: --version, the end of --help, where an unknown option
 * leads, and an output that could not be written. It knows nothing of any command.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <peal/runtime.h>

#include "tools/standard.h"

void standard_version(const char *tool)
{
	const char *library = peal_runtime_version();

	printf("%s (%s) %s\n", tool, PACKAGE_NAME, PACKAGE_VERSION);
	if (strcmp(library, PACKAGE_VERSION) != 0)
		printf("It runs with libpeal %s.\n", library);
	puts("Copyright (C) 2026 The Peal authors\n"
	     "License MIT: <https://spdx.org/licenses/MIT.html>\n"
	     "This is free software: you are free to change and redistribute it.\n"
	     "There is NO WARRANTY, to the extent permitted by law.");
}

void standard_help_end(const char *tool)
{
	printf("\nMore: man %s, man peal. Report bugs to the maintainers, with what peal-info prints.\n",
	       tool);
}

int standard_usage(const char *tool, int code)
{
	fprintf(stderr, "Try '%s --help' for more information.\n", tool);
	return code;
}

const char *standard_option(char *const *argv)
{
	static char name[] = "-?";
	const char *now = argv[optind];

	/* In the midst of "-xyz" it is still there. */
	if (optopt > 0 && optopt <= CHAR_MAX && now && *now == '-' && now[1] != '-' &&
	    strchr(now + 1, optopt)) {
		name[1] = (char)optopt;
		return name;
	}
	return argv[optind - 1];
}

int standard_finish(const char *tool, int code, int code_if_lost)
{
	bool lost = ferror(stdout) != 0;

	errno = 0;
	if (fclose(stdout))
		lost = true;
	if (!lost)
		return code;
	fprintf(stderr, "%s: the output could not be written%s%s\n", tool, errno ? ": " : "",
		errno ? strerror(errno) : "");
	return code_if_lost;
}
