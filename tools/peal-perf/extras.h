/*
 * SPDX-License-Identifier: MIT
 *
 * Extras: what is made of a run's outcomes beside its report, as the options ask: files of
 * percentiles, a plot, a comparison with an earlier run. What cannot be is said before anything is
 * measured.
 */
#ifndef PEAL_PERF_EXTRAS_H
#define PEAL_PERF_EXTRAS_H

#include "earlier.h"
#include "options.h"
#include "outcome.h"
#include "tools/json.h"

struct extras {
	const struct options *options;
	struct outcomes outcomes; /* to be filled by who measures */
	struct earlier earlier;
};

/* 0, or a negative errno with a complaint. Nothing is left to be freed then. */
int extras_begin(struct extras *extras, const struct options *options);

/* Behind the report: in its object if it is one. */
void extras_compare(const struct extras *extras, struct json *json);

/* Writes what goes into files, and frees everything. 0, or a negative errno with a complaint. */
int extras_end(struct extras *extras);

#endif
