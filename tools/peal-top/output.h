/*
 * SPDX-License-Identifier: MIT
 *
 * What is printed: tables for people, JSON for scripts, and metrics for Prometheus.
 */
#ifndef PEAL_TOP_OUTPUT_H
#define PEAL_TOP_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "column.h"
#include "servers.h"
#include "target.h"

/* The lines above the table of clients, which are the same on the screen (text.c). */
#define HEADING_LINES 5
#define HEADING_SIZE 320

/* paused: for the line that tells how things are. */
void text_heading(const struct target *target, bool paused,
		  char lines[HEADING_LINES][HEADING_SIZE]);

/* Whether the sample has any times of waits; all of them added up. */
bool text_offcpu(const struct sample *sample, struct peal_offcpu *in, struct peal_offcpu *out);

#define HISTOGRAM_SIZE (256 * (PEAL_OFFCPU_CLASSES + 2))

/* Those times as a histogram, a line a class between the first and the last with anything in it,
 * behind two lines of titles, each with a line feed; as wide as told, from 60 on. Of more than so
 * many rows, from 1 on, the shortest waits share one. Returns how many lines; size is that of the
 * text, HISTOGRAM_SIZE at most needed. */
unsigned text_histogram(const struct peal_offcpu *in, const struct peal_offcpu *out, int width,
			unsigned rows, char *text, size_t size);

/* The table once. width 0: whatever it takes. */
void text_sample(const struct target *target, const struct column *sort, bool reverse, int width);
void text_servers(const struct server *servers, unsigned count);

/* One object, in one line or in several (json.c). */
void json_sample(const struct target *target, const struct column *sort, bool reverse, bool line);
void json_servers(const struct server *servers, unsigned count, bool line);

/* All metrics of some servers, in the exposition format's version 0.0.4. One with no monitor is
 * told as being down (prometheus.c). */
void prometheus_print(FILE *file, const struct target *targets, unsigned count);

#endif
