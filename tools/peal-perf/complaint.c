/*
 * SPDX-License-Identifier: MIT
 *
 * Complaints: one sentence a thread, overwritten by the next. It knows nothing of who reads it.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "complaint.h"

static _Thread_local char sentence[COMPLAINT_SIZE];

int complain(int err, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	return err;
}

int complain_errno(const char *format, ...)
{
	int err = errno;
	size_t used;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	used = strlen(sentence);
	snprintf(sentence + used, sizeof(sentence) - used, ": %s", strerror(err));
	return err ? -err : -EIO;
}

const char *complaint(void)
{
	return sentence;
}
