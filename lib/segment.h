/*
 * SPDX-License-Identifier: MIT
 *
 * Segments: the shared memory that one side owns, its control page and then the data area of the
 * ring that it produces into.
 */
#ifndef LIB_SEGMENT_H
#define LIB_SEGMENT_H

#include <stdbool.h>

#include <peal/ring.h>

#include "lib/runtime.h"

#define SEGMENT_MAGIC 0x4c414550u /* "PEAL" */
#define SEGMENT_LAYOUT 1u

#define CAPACITY_MAX ((uint64_t)256 << 20)

/* What a record needs besides its payload: its header, and the zero header behind it. */
#define RECORD_OVERHEAD (2 * PEAL_HEADER_SIZE)

struct segment {
	uint8_t *at; /* NULL: none */
	uint64_t page;
	uint64_t capacity;
	uint64_t start; /* position of the first record; a pair's is 0 */
};

static inline struct peal_page *segment_page(const struct segment *segment)
{
	return (struct peal_page *)(void *)segment->at;
}

static inline uint8_t *segment_data(const struct segment *segment)
{
	return segment->at + segment->page;
}

/* Makes, maps and seals a segment of our own, whose rx_asleep word starts as given; its descriptor,
 * to hand over and then close, goes to *fd. 0 or a negative errno with its sentence. */
int segment_create(struct segment *segment, uint64_t capacity, bool prefault, uint32_t asleep,
		   int *fd);

/* Proves and maps a peer's, read-only. The descriptor stays the caller's. */
int segment_adopt(struct segment *segment, int fd, uint64_t page, uint64_t capacity, bool prefault);

void segment_destroy(struct segment *segment);

#endif
