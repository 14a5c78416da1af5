/*
 * SPDX-License-Identifier: MIT
 *
 * Buffers: a side's two payload buffers, apart from all shared memory.
 */
#ifndef PEAL_PERF_BUFFERS_H
#define PEAL_PERF_BUFFERS_H

#include <stddef.h>
#include <stdint.h>

struct buffers {
	uint8_t *out, *in;
	size_t size;
};

/* Makes them at least so large, and touches them; they begin as all zero. */
int buffers_set(struct buffers *buffers, size_t size);
void buffers_free(struct buffers *buffers);

#endif
