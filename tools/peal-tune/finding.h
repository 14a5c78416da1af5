/*
 * SPDX-License-Identifier: MIT
 *
 * What checks.c does to findings, beside what check.h has for look().
 */
#ifndef PEAL_TUNE_FINDING_H
#define PEAL_TUNE_FINDING_H

#include "tools/peal-tune/check.h"

/* Frees *text and makes a new one. */
void text_set(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Takes the mend out. */
void fix_drop(struct finding *finding);

/* Makes command, path and lines that last of paths and value, unless they are there. */
void fix_finish(struct finding *finding);

#endif
