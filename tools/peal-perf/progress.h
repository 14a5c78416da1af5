/*
 * SPDX-License-Identifier: MIT
 *
 * Progress: a bar on stderr with the time that is left, if that is a terminal; else nothing.
 */
#ifndef PEAL_PERF_PROGRESS_H
#define PEAL_PERF_PROGRESS_H

/* Expects so many steps in all. */
void progress_begin(unsigned steps);

/* What the next steps are about. The text is copied. */
void progress_label(const char *label);

/* So many steps more are done. Prints a few times a second at most. */
void progress_step(unsigned steps);

/* Takes the bar away, before anything else is printed. */
void progress_clear(void);

#endif
