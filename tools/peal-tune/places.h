/*
 * SPDX-License-Identifier: MIT
 *
 * Places: what CPUs are in and share, as sysfs tells it: packages, nodes, caches and cores. It
 * prints nothing.
 */
#ifndef PEAL_TUNE_PLACES_H
#define PEAL_TUNE_PLACES_H

#include "tools/peal-tune/check.h"

enum place_kind { PLACE_PACKAGE, PLACE_NODE, PLACE_CACHE, PLACE_CORE };

struct place {
	enum place_kind kind;
	int64_t id;          /* of packages, nodes and cores; -1: not known */
	unsigned level;      /* of a cache */
	char type[16];       /* of a cache: "Data", "Instruction", "Unified" */
	int64_t kib;         /* of a cache or a node's memory; -1: not known */
	char distances[256]; /* of a node, to each from the first on; "": not known */
	struct cpus cpus;    /* none: a node that has only memory */
};

struct places {
	/* What is larger first; of one size in the order of place_kind, farther caches first. */
	struct place *all;
	unsigned count;
};

/* Of the CPUs that are online. A CPU of which nothing is known is a core of its own. 0 or -ENOMEM;
 * places_free in any case. */
int places_read(struct places *places, const struct machine *machine);
void places_free(struct places *places);

#endif
