/*
 * SPDX-License-Identifier: MIT
 *
 * Seconds on the command line.
 */
#ifndef PEAL_TUNE_SECONDS_H
#define PEAL_TUNE_SECONDS_H

#include <stdbool.h>

/* From 0.001 to 86400, with a fraction. False, and a sentence: it is something else. */
bool seconds_read(const char *text, double *seconds);

#endif
