/*
 * SPDX-License-Identifier: MIT
 *
 * Numbers with a letter for thousands behind them. It knows nothing of what they count.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "tools/number.h"

bool number_read(const char *text, unsigned thousand, uint64_t *value)
{
	unsigned long long number;
	uint64_t unit = 1;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	switch (*end) {
	case 'g':
	case 'G':
		unit *= thousand;
		/* fallthrough */
	case 'm':
	case 'M':
		unit *= thousand;
		/* fallthrough */
	case 'k':
	case 'K':
		unit *= thousand;
		end++;
	}
	if (*end || errno || number > UINT64_MAX / unit)
		return false;
	*value = (uint64_t)number * unit;
	return true;
}
