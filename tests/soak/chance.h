/*
 * SPDX-License-Identifier: MIT
 *
 * Chance: what is done next, for how long, and by which options, out of a seed.
 */
#ifndef SOAK_CHANCE_H
#define SOAK_CHANCE_H

#include <peal.h>

#include "tests/soak/board.h"

uint64_t mix(uint64_t x);
uint64_t draw(uint64_t *random, uint64_t below);

/* Of all lengths, so that the other side is met at each stage of its ladder: spinning, in its first
 * slices, on the way to its descriptors (at 10 ms), asleep there. */
uint64_t pause_length(uint64_t *random, bool lazy);
void pause_for(uint64_t ns);
void sleep_ns(uint64_t ns);

int64_t draw_timeout(uint64_t *random);
void draw_options(struct peal_options *options, uint64_t *random);

/* Draws what this process finds in its environment, but for the waiter: its ring variant, and how
 * that is tuned. Before it uses Peal. */
void draw_environment(uint64_t random);

#endif
