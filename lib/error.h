/*
 * SPDX-License-Identifier: MIT
 *
 * The sentence behind an error, kept for the thread that met it, and the log.
 */
#ifndef LIB_ERROR_H
#define LIB_ERROR_H

#include <peal/error.h>

/* Keeps a sentence and returns err, a negative errno. */
int error_set(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same with a literal, for errors that are answered often: nothing is formatted. */
int error_literal(int err, const char *sentence);

/* What helps against a failed system call: the caller's mend, but where the call itself is what is
 * denied. */
const char *error_mend(int err, const char *mend);

enum log_level { LOG_NONE, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Writes a line to standard error if PEAL_LOG (default: warn) lets it through. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

void log_set_level(enum log_level level);

#endif
