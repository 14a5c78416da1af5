/*
 * SPDX-License-Identifier: MIT
 *
 * Payloads: what every message is filled with and checked against, in full, by the same two
 * functions whatever the transport. They are never inlined, so that none gets a version of its
 * own.
 *
 * The i-th 64-bit word is sequence * PAYLOAD_STEP + i; what is left over behind the last whole word
 * holds the low bytes of the next one. The step is odd: the low bytes alone still tell the
 * sequence numbers apart, as far as so few bytes can.
 */
#ifndef PEAL_PERF_PAYLOAD_H
#define PEAL_PERF_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAYLOAD_STEP 0x9e3779b97f4a7c15u

/* The sequence number that ends a slice; no other message bears it. */
#define PAYLOAD_STOP 0

void payload_write(void *at, size_t size, uint64_t sequence);

/* Whether the payload is what payload_write makes of this sequence number. */
bool payload_right(const void *at, size_t size, uint64_t sequence);

/* The sequence numbers that a payload of this size can tell apart, as a mask. */
static inline uint64_t payload_mask(size_t size)
{
	return size < 8 ? ((uint64_t)1 << 8 * size) - 1 : ~(uint64_t)0;
}

/* The one after; it leaves out those that would look like PAYLOAD_STOP. */
static inline uint64_t payload_next(uint64_t sequence, uint64_t mask)
{
	sequence++;
	return sequence & mask ? sequence : sequence + 1;
}

#endif
