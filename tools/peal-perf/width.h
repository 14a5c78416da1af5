/*
 * SPDX-License-Identifier: MIT
 *
 * Width: how many additions this core does in a cycle just now. A core does three to eight; when
 * something else runs on its other hyperthread, unseen by this machine if it is a guest, about half
 * of that, while a round trip of cache lines takes as long as before. So the floor does not show
 * it, and rates of small messages need this beside them.
 */
#ifndef PEAL_PERF_WIDTH_H
#define PEAL_PERF_WIDTH_H

/* Takes some 20 us. */
double width_now(void);

#endif
