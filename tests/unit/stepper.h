/*
 * SPDX-License-Identifier: MIT
 *
 * Runs a function an instruction at a time and lets another one happen between any two of them:
 * every interleaving of the first with an indivisible second, in one thread. What a store buffer
 * adds to that is the model's matter (tests/model).
 */
#ifndef TESTS_UNIT_STEPPER_H
#define TESTS_UNIT_STEPPER_H

#include <stdbool.h>
#include <stdint.h>

/* Whether this CPU and this build can do it; if not, *why is the reason. */
bool stepper_usable(const char **why);

/*
 * Calls run(data) and, before its n-th instruction, act(data), which returns after how many more
 * instructions it wants to be called again; 0: never. Returns whether n was reached.
 */
bool stepper_run(uint64_t n, void (*run)(void *data), uint64_t (*act)(void *data), void *data);

/* From here on the run is not interrupted any more. */
void stepper_stop(void);

#endif
