/*
 * SPDX-License-Identifier: MIT
 *
 * What a file of the kernel says after something was written into it, which need not be the same
 * text: "always [madvise] never" for madvise, 00000000,000000ff for ff. It knows no files.
 */
#ifndef PEAL_TUNE_VALUE_H
#define PEAL_TUNE_VALUE_H

#include <stdbool.h>

/* Whether both say the same: the choice in brackets, numbers as numbers, lists and masks of CPUs as
 * sets, Y as 1, white space as one blank. */
bool value_same(const char *a, const char *b);

/* The text that makes a file say again what it said: the choice of several, else the text itself.
 * The caller frees it; NULL: there is no memory left. */
char *value_of(const char *text);

/* Whether the file is a pool of huge pages, where a number that is on its way to the one that was
 * wanted is what could be had, and not a failure. */
bool value_is_pool(const char *path);

enum value_verdict {
	VALUE_TAKEN,  /* it says what was written */
	VALUE_PARTLY, /* a pool that moved towards it */
	VALUE_REFUSED
};

enum value_verdict value_judge(const char *path, const char *old, const char *wanted,
			       const char *now);

#endif
