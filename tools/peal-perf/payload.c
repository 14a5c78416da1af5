/*
 * SPDX-License-Identifier: MIT
 *
 * Payloads of any size. Those of a word and of a line are in payload.h.
 */
#include "config.h"

#include <string.h>

#include "payload.h"

void payload_write_any(void *at, size_t size, uint64_t sequence)
{
	uint64_t word = sequence * PAYLOAD_STEP;
	struct line line;
	uint8_t *to = at;

	if (size >= LINE) {
		line = line_from(word);
		line_write(to, &line);
		word += size / LINE * LINE_WORDS;
		while (to += LINE, size -= LINE, size >= LINE) {
			line_advance(&line);
			line_write(to, &line);
		}
	}
	for (; size >= 8; size -= 8, to += 8, word++)
		memcpy(to, &word, 8);
	for (; size; size--, word >>= 8)
		*to++ = (uint8_t)word;
}

bool payload_right_any(const void *at, size_t size, uint64_t sequence)
{
	uint64_t found, wrong = 0, word = sequence * PAYLOAD_STEP;
	const uint8_t *from = at;
	struct line line, all;

	if (size >= LINE) {
		line = line_from(word);
		all = line_differ(from, &line);
		word += size / LINE * LINE_WORDS;
		while (from += LINE, size -= LINE, size >= LINE) {
			struct line more;

			line_advance(&line);
			more = line_differ(from, &line);
			all.a |= more.a;
			all.b |= more.b;
			all.c |= more.c;
			all.d |= more.d;
		}
		wrong = line_fold(&all);
	}
	for (; size >= 8; size -= 8, from += 8, word++) {
		memcpy(&found, from, 8);
		wrong |= found ^ word;
	}
	for (; size; size--, word >>= 8)
		wrong |= (uint64_t)(*from++ ^ (uint8_t)word);
	return !wrong;
}
