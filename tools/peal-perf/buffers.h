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
	size_t out_size, in_size;
};

/* Makes them large enough for one message to go out and a batch to come in, and touches them; they
 * begin as all zero. */
int buffers_set(struct buffers *buffers, size_t size, unsigned batch);

/* What a batch takes: each of its messages is at a multiple of 8. */
static inline size_t buffers_batch(size_t size, unsigned batch)
{
	return (size + 7) / 8 * 8 * batch;
}

void buffers_free(struct buffers *buffers);

#endif
