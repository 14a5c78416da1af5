/*
 * SPDX-License-Identifier: MIT
 *
 * Comparisons: this run's outcomes beside those of an earlier one. It says that there is a
 * difference only where the rounds of both runs do.
 */
#ifndef PEAL_PERF_COMPARE_H
#define PEAL_PERF_COMPARE_H

#include "earlier.h"
#include "outcome.h"
#include "tools/json.h"

/* What can be said, as a table, or as a member "comparison" of the object that is open. */
void compare_print(const struct earlier *earlier, const struct outcomes *outcomes,
		   const struct options *options);
void compare_json(const struct earlier *earlier, const struct outcomes *outcomes,
		  struct json *json);

#endif
