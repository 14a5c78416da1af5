/*
 * SPDX-License-Identifier: MIT
 *
 * Messages: length and bytes follow from the sender's seed and their number. Number 0 says what the
 * receiver has to know for that.
 */
#ifndef SOAK_MESSAGE_H
#define SOAK_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LONGEST ((size_t)1 << 20)
#define MAGIC 0x706561746f616b21u

struct hello {
	uint64_t magic, lane, seed, record, longest;
};

size_t length_of(const struct hello *hello, uint64_t number);

/* The bytes of a message, each word of which depends on all that precede it in number. */
void fill(uint8_t *at, uint64_t seed, uint64_t number, size_t length);
bool is_filled(const uint8_t *at, uint64_t seed, uint64_t number, size_t length);

#endif
