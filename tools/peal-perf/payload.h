/*
 * SPDX-License-Identifier: MIT
 *
 * Payloads: what every message is filled with and checked against, in full, by the same source
 * whatever the transport. A line at a time goes in vectors, which are the compiler's own, of the
 * size that every 64-bit CPU has; then words, then bytes.
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
#include <string.h>

#define PAYLOAD_STEP 0x9e3779b97f4a7c15u

/* The sequence number that ends a slice; no other message bears it. */
#define PAYLOAD_STOP 0

#define LINE 64
#define LINE_WORDS (LINE / sizeof(uint64_t))

/* Rings keep payloads at multiples of 8, not more. */
typedef uint64_t pair __attribute__((vector_size(16), aligned(8), may_alias));

/* A line's words. Each part is named, and each difference below is kept apart: so they stay in
 * registers, and no step waits for the one before. */
struct line {
	pair a, b, c, d;
};

/* The line that begins with this word. */
static inline struct line line_from(uint64_t word)
{
	const pair first = { word, word + 1 };

	return (struct line){
		first,
		first + (pair){ 2, 2 },
		first + (pair){ 4, 4 },
		first + (pair){ 6, 6 },
	};
}

static inline void line_advance(struct line *line)
{
	const pair step = { LINE_WORDS, LINE_WORDS };

	line->a += step;
	line->b += step;
	line->c += step;
	line->d += step;
}

static inline void line_write(uint8_t *to, const struct line *line)
{
	pair *pairs = (pair *)(void *)to;

	pairs[0] = line->a;
	pairs[1] = line->b;
	pairs[2] = line->c;
	pairs[3] = line->d;
}

/* What is wrong with each part. */
static inline struct line line_differ(const uint8_t *from, const struct line *line)
{
	const pair *pairs = (const pair *)(const void *)from;

	return (struct line){
		pairs[0] ^ line->a,
		pairs[1] ^ line->b,
		pairs[2] ^ line->c,
		pairs[3] ^ line->d,
	};
}

static inline uint64_t line_fold(const struct line *line)
{
	const pair all = (line->a | line->b) | (line->c | line->d);

	return all[0] | all[1];
}

void payload_write_any(void *at, size_t size, uint64_t sequence);
bool payload_right_any(const void *at, size_t size, uint64_t sequence);

/* A word, and a line, are written and checked on the spot: where a message costs a few nanoseconds,
 * a call and loops that do nothing would hide them. */
static inline void payload_write(void *at, size_t size, uint64_t sequence)
{
	const uint64_t word = sequence * PAYLOAD_STEP;

	if (size == sizeof(word)) {
		memcpy(at, &word, sizeof(word));
	} else if (size == LINE) {
		const struct line line = line_from(word);

		line_write((uint8_t *)at, &line);
	} else {
		payload_write_any(at, size, sequence);
	}
}

/* Whether the payload is what payload_write makes of this sequence number. */
static inline bool payload_right(const void *at, size_t size, uint64_t sequence)
{
	const uint64_t word = sequence * PAYLOAD_STEP;
	uint64_t found;

	if (size == sizeof(word)) {
		memcpy(&found, at, sizeof(found));
		return found == word;
	}
	if (size == LINE) {
		const struct line line = line_from(word),
				  all = line_differ((const uint8_t *)at, &line);

		return !line_fold(&all);
	}
	return payload_right_any(at, size, sequence);
}

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
