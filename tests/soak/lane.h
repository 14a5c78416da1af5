/*
 * SPDX-License-Identifier: MIT
 *
 * The threads of lanes: each makes one link after the other, and talks.
 */
#ifndef SOAK_LANE_H
#define SOAK_LANE_H

#include <stddef.h>

void address_of(int lane, char *address, size_t size);

/* Threads; the argument is a lane's number, and of a pair twice that of the pair, and the side. */
void *serve_lane(void *lane);
void *call_lane(void *lane);
void *pair_lane(void *number);
void pairs_prepare(void);

/* Of all lanes of the set, without an argument. */
void *serve_set(void *nothing);

/* Of all lanes of calls, and of one. */
void *serve_calls(void *nothing);
void *ask_calls(void *lane);

#endif
