/*
 * SPDX-License-Identifier: MIT
 *
 * First touches: what making a link costs, and the first lap through its rings, with its memory
 * touched when it is made (PEAL_PREFAULT) and without.
 */
#ifndef PEAL_PERF_TOUCH_H
#define PEAL_PERF_TOUCH_H

#include "options.h"

/* What touches take unless told: messages of 4 KiB. */
void touch_defaults(struct options *options);

/* Measures and prints, as the options say; the exit code, with a sentence on stderr if it is not
 * 0. */
int touch_run(const struct options *options);

#endif
