/*
 * SPDX-License-Identifier: MIT
 *
 * What goes wrong, in a sentence.
 */
#ifndef PEAL_TUNE_TELL_H
#define PEAL_TUNE_TELL_H

/* "peal-tune: " and the sentence, on standard error. Returns the exit code that it is given, so
 * that "return tell(...)" reads well. */
int tell(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Of an argument that getopt_long returned '?' or ':' for. The exit code for that. */
int tell_option(int option, const char *argument);

/* Of one that is none. Likewise. */
int tell_argument(const char *argument);

#endif
