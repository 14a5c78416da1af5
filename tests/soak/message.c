/*
 * SPDX-License-Identifier: MIT
 *
 * Messages; see message.h.
 */
#include "config.h"

#include <string.h>

#include "tests/soak/chance.h"
#include "tests/soak/message.h"

size_t length_of(const struct hello *hello, uint64_t number)
{
	uint64_t chance = mix(hello->seed + number), more = mix(chance);
	uint64_t record = hello->record;

	switch (chance % 32) {
	case 0:
	case 1:
	case 2:
		return 0;
	case 3:
	case 4:
		return more % (1 + (record < 4096 ? record : 4096));
	case 5:
		return more % 8 ? more % 2000 : more / 8 % (record + 1);
	case 6:
		return more % 8 ? more % 300 : more / 8 % (hello->longest + 1);
	default:
		return more % (chance % 32 < 24 ? 65 : 700);
	}
}

void fill(uint8_t *at, uint64_t seed, uint64_t number, size_t length)
{
	uint64_t word = mix(seed ^ number << 20);
	size_t i;

	for (i = 0; i + 8 <= length; i += 8, word += 0x9e3779b97f4a7c15u)
		memcpy(at + i, &word, 8);
	if (i < length)
		memcpy(at + i, &word, length - i);
}

bool is_filled(const uint8_t *at, uint64_t seed, uint64_t number, size_t length)
{
	uint64_t word = mix(seed ^ number << 20), seen;
	size_t i;

	for (i = 0; i + 8 <= length; i += 8, word += 0x9e3779b97f4a7c15u) {
		memcpy(&seen, at + i, 8);
		if (seen != word)
			return false;
	}
	return i == length || !memcmp(at + i, &word, length - i);
}
