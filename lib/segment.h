/*
 * SPDX-License-Identifier: MIT
 *
 * Segments: the shared memory that one side owns, its control page and then the data area of the
 * ring that it produces into. Both are in one object; only a data area of huge pages has its own,
 * so that the words of the page need not be on one.
 */
#ifndef LIB_SEGMENT_H
#define LIB_SEGMENT_H

#include <stdbool.h>

#include <peal/link.h>
#include <peal/ring.h>

#include "lib/runtime.h"

#define SEGMENT_MAGIC 0x4c414550u /* "PEAL" */
#define SEGMENT_LAYOUT 1u

/* Of a ring: one page of 1 GiB. */
#define CAPACITY_MAX ((uint64_t)1 << 30)

/* What a record needs besides its payload: its header, and the zero header behind it. */
#define RECORD_OVERHEAD (2 * PEAL_HEADER_SIZE)

/* The longest record: a header has 28 bits for its length. */
#define RECORD_MAX (((uint64_t)256 << 20) - RECORD_OVERHEAD)

static inline uint64_t segment_longest_record(uint64_t capacity)
{
	uint64_t fits = capacity - RECORD_OVERHEAD;

	return fits < RECORD_MAX ? fits : RECORD_MAX;
}

struct segment {
	uint8_t *at; /* NULL: none, and nothing else here counts */
	uint64_t page;
	uint64_t capacity;
	uint64_t start;    /* position of the first record; a pair's is 0 */
	uint64_t unit;     /* of the data area's mapping: page, or the size of its huge pages */
	int fd, data_fd;   /* to be handed over, if it is ours; -1: none, or closed already */
	uint32_t wanted;   /* bits of enum peal_memory_bit */
	uint32_t has;      /* but PEAL_MEMORY_TRANSPARENT, which may come and go */
	uint32_t node;     /* 1 + the one that was wanted; 0: none */
	int node_err;      /* it was not to be had, a negative errno */
	uint64_t no_huge;  /* pages of this size were wanted of the pool, and not to be had */
	int huge_err;      /* why, a negative errno; */
	int64_t huge_left; /* and how many the pool had then, or a negative errno */
};

static inline struct peal_page *segment_page(const struct segment *segment)
{
	return (struct peal_page *)(void *)segment->at;
}

static inline uint8_t *segment_data(const struct segment *segment)
{
	return segment->at + segment->page;
}

/* Makes, maps and seals a segment of our own, as the options want its memory; its rx_asleep word
 * starts as given. 0 or a negative errno with its sentence. */
int segment_create(struct segment *segment, const struct peal_options *options, uint32_t asleep);

/* Closes what is to be handed over: it has been. */
void segment_close_descriptors(struct segment *segment);

/* What a peer says of its segment; its numbers have been checked. */
struct segment_offer {
	int fd, data_fd; /* stay the caller's; data_fd -1: the data area is not apart */
	uint64_t page, capacity, unit;
};

/* Proves and maps a peer's, read-only, as the flags of our options want it. */
int segment_adopt(struct segment *segment, const struct segment_offer *offer, uint32_t flags);

void segment_destroy(struct segment *segment);
void segment_destroy_two(struct segment *a, struct segment *b);

/* What its ring has, and what it was to have. */
void segment_tell(const struct segment *segment, struct peal_ring_memory *memory);

#endif
