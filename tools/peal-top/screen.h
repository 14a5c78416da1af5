/*
 * SPDX-License-Identifier: MIT
 *
 * The screen: a server's clients as they come and go, in a terminal, until somebody has seen
 * enough. It knows nothing of where the figures come from.
 */
#ifndef PEAL_TOP_SCREEN_H
#define PEAL_TOP_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "column.h"
#include "target.h"

struct screen_wish {
	uint64_t interval_ns;
	uint64_t count; /* of samples that are shown; 0: no end */
	const struct column *sort;
	bool reverse, colour;
};

/* Whether peal-top was built with it. */
bool screen_is_built(void);

/* Shows a target that has been opened until q is pressed. 0; -ENOTTY: the terminal is none that can
 * be drawn on; or what target_look returned. */
int screen_run(struct target *target, const struct screen_wish *wish);

#endif
