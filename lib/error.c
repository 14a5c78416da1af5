/*
 * SPDX-License-Identifier: MIT
 *
 * The sentence behind an error, kept for the thread that met it, and the log.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "lib/error.h"

static __thread char sentence_buffer[512];
static __thread const char *sentence = "";

static enum log_level log_limit = LOG_WARN; /* set once, with the runtime */

int error_set(int err, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sentence_buffer, sizeof(sentence_buffer), format, arguments);
	va_end(arguments);
	sentence = sentence_buffer;
	return err;
}

int error_literal(int err, const char *literal)
{
	sentence = literal;
	return err;
}

const char *error_mend(int err, const char *mend)
{
	return err == -EPERM || err == -ENOSYS ?
		       "a filter (seccomp) or security module denies it: have it allowed" :
		       mend;
}

const char *peal_error(void)
{
	return sentence;
}

void log_set_level(enum log_level level)
{
	log_limit = level;
}

void log_line(enum log_level level, const char *format, ...)
{
	char line[512];
	va_list arguments;

	if (level > log_limit)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	fprintf(stderr, "peal: %s\n", line);
}
