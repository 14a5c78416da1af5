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
	return option == ':' ? tell(EXIT_USAGE, "nothing stands behind %s: try --help", argument) :
			       tell(EXIT_USAGE, "unknown option \"%s\": try --help", argument);
}
