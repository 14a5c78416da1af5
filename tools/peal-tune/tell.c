/*
 * SPDX-License-Identifier: MIT
 *
 * Sentences of a command that fails. It knows nothing of why.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>

#include "tools/peal-tune/command.h"
#include "tools/peal-tune/tell.h"
#include "tools/standard.h"

int tell(int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("peal-tune: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	return code;
}

int tell_option(int option, const char *argument)
{
	tell(EXIT_USAGE, option == ':' ? "nothing stands behind \"%s\"" : "unknown option \"%s\"",
	     argument);
	return standard_usage("peal-tune", EXIT_USAGE);
}

int tell_argument(const char *argument)
{
	tell(EXIT_USAGE, "unknown argument \"%s\"", argument);
	return standard_usage("peal-tune", EXIT_USAGE);
}
