/*
 * SPDX-License-Identifier: MIT
 *
 * Copies past the caches, by stores that every x86-64 has (SSE2's MOVNTDQ). They are combined into
 * whole lines on their way, and go to memory, or to where the system's hub keeps them. See
 * lib/bulk.h for when that is better.
 */
#include "config.h"

#include <emmintrin.h>
#include <string.h>

#include "arch/arch.h"

/* What shares a line with other words goes the usual way: a line that is written in part would be
 * fetched first. SSE2 is in every x86-64. */
static void copy_around(void *to, const void *from, size_t length)
{
	uint8_t *out = to;
	const uint8_t *in = from;
	size_t head = -(uintptr_t)out & 63;

	if (length < head + 64) {
		memcpy(out, in, length);
		return;
	}
	memcpy(out, in, head);
	out += head;
	in += head;
	length -= head;
	for (; length >= 64; length -= 64, out += 64, in += 64) {
		__m128i a = _mm_loadu_si128((const __m128i *)(const void *)in);
		__m128i b = _mm_loadu_si128((const __m128i *)(const void *)(in + 16));
		__m128i c = _mm_loadu_si128((const __m128i *)(const void *)(in + 32));
		__m128i d = _mm_loadu_si128((const __m128i *)(const void *)(in + 48));

		_mm_stream_si128((__m128i *)(void *)out, a);
		_mm_stream_si128((__m128i *)(void *)(out + 16), b);
		_mm_stream_si128((__m128i *)(void *)(out + 32), c);
		_mm_stream_si128((__m128i *)(void *)(out + 48), d);
	}
	memcpy(out, in, length);
	/* These stores are weakly ordered: before the header that publishes them. */
	_mm_sfence();
}

void (*const arch_copy_around)(void *to, const void *from, size_t length) = copy_around;
