/*
 * SPDX-License-Identifier: MIT
 *
 * Payloads: a line at a time in vectors, then words, then bytes. The vectors are the compiler's
 * own, of the size that every 64-bit CPU has, so that the same source is quick everywhere.
 */
#include "config.h"

#include <string.h>

#include "payload.h"

/* Rings keep payloads at multiples of 8, not more. */
typedef uint64_t pair __attribute__((vector_size(16), aligned(8), may_alias));

#define LINE 64
#define LINE_WORDS (LINE / sizeof(uint64_t))

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

__attribute__((noinline)) void payload_write(void *at, size_t size, uint64_t sequence)
{
	uint8_t *to = at;
	uint64_t word = sequence * PAYLOAD_STEP;

	/* A single word goes the shortest way: where a message costs a few nanoseconds, two loops
	 * that do nothing would hide them. */
	if (size == sizeof(word)) {
		memcpy(to, &word, sizeof(word));
		return;
	}
	if (size >= LINE) {
		struct line line = line_from(word);

		word += size / LINE * LINE_WORDS;
		do {
			pair *pairs = (pair *)(void *)to;

			pairs[0] = line.a;
			pairs[1] = line.b;
			pairs[2] = line.c;
			pairs[3] = line.d;
			line_advance(&line);
			to += LINE;
			size -= LINE;
		} while (size >= LINE);
	}
	for (; size >= 8; size -= 8, to += 8, word++)
		memcpy(to, &word, 8);
	for (; size; size--, word >>= 8)
		*to++ = (uint8_t)word;
}

__attribute__((noinline)) bool payload_right(const void *at, size_t size, uint64_t sequence)
{
	const uint8_t *from = at;
	uint64_t word = sequence * PAYLOAD_STEP;
	uint64_t wrong = 0;
	uint64_t found;

	if (size == sizeof(word)) {
		memcpy(&found, from, sizeof(found));
		return found == word;
	}
	if (size >= LINE) {
		struct line line = line_from(word);
		pair a = { 0, 0 }, b = a, c = a, d = a;

		word += size / LINE * LINE_WORDS;
		do {
			const pair *pairs = (const pair *)(const void *)from;

			a |= pairs[0] ^ line.a;
			b |= pairs[1] ^ line.b;
			c |= pairs[2] ^ line.c;
			d |= pairs[3] ^ line.d;
			line_advance(&line);
			from += LINE;
			size -= LINE;
		} while (size >= LINE);
		a |= b | c | d;
		wrong = a[0] | a[1];
	}
	for (; size >= 8; size -= 8, from += 8, word++) {
		memcpy(&found, from, 8);
		wrong |= found ^ word;
	}
	for (; size; size--, word >>= 8)
		wrong |= (uint64_t)(*from++ ^ (uint8_t)word);
	return !wrong;
}
