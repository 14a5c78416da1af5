/*
 * SPDX-License-Identifier: MIT
 *
 * What goes to standard error: progress, and the sentence that a failure ends with.
 */
#ifndef PEAL_CAT_REPORT_H
#define PEAL_CAT_REPORT_H

struct peal_link;

/* Exit codes; --help and README.md tell of them. */
#define CAT_DONE 0
#define CAT_BROKEN 1
#define CAT_USAGE 2
#define CAT_ALONE 3

/* Tells what has gone through the link, from now on to report_progress_end, which tells the
 * end of it. */
void report_progress_begin(const struct peal_link *link);
void report_progress_end(void);

/* Ends the process, whatever its other threads do: they may be waiting for anything. */
void report_failure(int status, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

#endif
