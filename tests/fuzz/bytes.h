/*
 * SPDX-License-Identifier: MIT
 *
 * What a fuzz target makes of its input: numbers, choices and texts, taken from the front until
 * nothing is left, and zeros from then on. And what it says of what came out. Knows nothing of
 * Peal.
 */
#ifndef TESTS_FUZZ_BYTES_H
#define TESTS_FUZZ_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The one function of each target. libFuzzer calls it, or replay.c. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Likewise, once; in bytes.c. What a target prints may be closed after it, must() is heard. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct bytes {
	const uint8_t *at;
	size_t left;
};

/* Takes up to length bytes; the rest of them are zeros. */
static inline void bytes_block(struct bytes *bytes, void *to, size_t length)
{
	size_t some = length < bytes->left ? length : bytes->left;

	if (some)
		memcpy(to, bytes->at, some);
	memset((uint8_t *)to + some, 0, length - some);
	bytes->at += some;
	bytes->left -= some;
}

static inline uint8_t bytes_u8(struct bytes *bytes)
{
	uint8_t value;

	bytes_block(bytes, &value, sizeof(value));
	return value;
}

static inline uint16_t bytes_u16(struct bytes *bytes)
{
	uint16_t value;

	bytes_block(bytes, &value, sizeof(value));
	return value;
}

static inline uint32_t bytes_u32(struct bytes *bytes)
{
	uint32_t value;

	bytes_block(bytes, &value, sizeof(value));
	return value;
}

static inline uint64_t bytes_u64(struct bytes *bytes)
{
	uint64_t value;

	bytes_block(bytes, &value, sizeof(value));
	return value;
}

/* A number below a small one. */
static inline unsigned bytes_below(struct bytes *bytes, unsigned limit)
{
	return bytes_u8(bytes) % limit;
}

/* What is left up to a zero, or the end, and at most size - 1 bytes: a terminated text. */
static inline char *bytes_text(struct bytes *bytes, char *text, size_t size)
{
	size_t length = 0;

	while (length < size - 1 && bytes->left && *bytes->at) {
		text[length++] = (char)*bytes->at++;
		bytes->left--;
	}
	if (bytes->left && !*bytes->at) {
		bytes->at++;
		bytes->left--;
	}
	text[length] = '\0';
	return text;
}

/* Ends the run, with what is not so and a number that tells more. */
void must_be(bool is_true, const char *what, int64_t value);
void must(bool is_true, const char *what);

#endif
