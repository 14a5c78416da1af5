/*
 * SPDX-License-Identifier: MIT
 *
 * Seconds, as those commands take them that measure for a while.
 */
#include "config.h"

#include <stdlib.h>

#include "tools/peal-tune/command.h"
#include "tools/peal-tune/seconds.h"
#include "tools/peal-tune/tell.h"

#define LEAST 0.001
#define MOST 86400.0

bool seconds_read(const char *text, double *seconds)
{
	char *end;

	*seconds = strtod(text, &end);
	if (end != text && !*end && *seconds >= LEAST && *seconds <= MOST)
		return true;
	tell(EXIT_USAGE, "seconds \"%s\" are out of range: give %g to %g", text, LEAST, MOST);
	return false;
}
