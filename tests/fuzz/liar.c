/*
 * SPDX-License-Identifier: MIT
 *
 * What a liar does. See liar.h.
 */
#include "config.h"

#include <peal/call.h>

#include "tests/fuzz/liar.h"

static void write_word(const struct liar *liar, uint64_t at, uint64_t word)
{
	at &= (liar->capacity - 1) & ~UINT64_C(7);
	__atomic_store_n((uint64_t *)(void *)(liar->data + at), word, __ATOMIC_RELEASE);
}

static void write_bytes(const struct liar *liar, uint64_t at, const uint8_t *from, size_t length)
{
	for (size_t i = 0; i < length; i++)
		liar->data[(at + i) & (liar->capacity - 1)] = from[i];
}

/* Lengths that come near to what matters, besides any. */
static uint64_t pick_length(const struct liar *liar, struct bytes *bytes)
{
	unsigned which = bytes_u8(bytes);

	switch (which % 16) {
	case 0:
		return liar->capacity - 16 + bytes_below(bytes, 4);
	case 1:
		return liar->capacity / 4 - 16 - bytes_below(bytes, 4);
	case 2:
		return bytes_u16(bytes);
	case 3:
		return PEAL_CONTROL_LONGEST - 1 + bytes_below(bytes, 4);
	case 4:
		return bytes_u32(bytes) & PEAL_HEADER_LENGTH;
	case 5:
		return liar->capacity / 2 + bytes_below(bytes, 16);
	case 6:
	case 7:
		return 8;
	case 8:
	case 9:
		return liar->total ? liar->rest : which;
	default:
		return which;
	}
}

static uint32_t pick_tag(const struct liar *liar, struct bytes *bytes)
{
	/* Those of calls come one after the other. */
	return bytes_below(bytes, 4) ? liar->tag + bytes_below(bytes, 3) : bytes_u32(bytes);
}

/* The word that a payload begins with: a total, a control record's kind, or anything. */
static uint64_t pick_word(const struct liar *liar, struct bytes *bytes)
{
	switch (bytes_below(bytes, 8)) {
	case 0:
		return PEAL_CONTROL_ABANDON;
	case 1:
		return PEAL_CONTROL_CANCEL;
	case 2:
		return PEAL_CONTROL_ERROR | (uint64_t)(bytes_u16(bytes) & 0x1fff) << 32;
	case 3:
		return bytes_u64(bytes);
	case 4:
		return liar->most + 1 - bytes_below(bytes, 3);
	case 5:
		return liar->total;
	default:
		return bytes_u16(bytes);
	}
}

static void write_record(struct liar *liar, struct bytes *bytes)
{
	static const uint32_t kinds[] = { 0,
					  PEAL_HEADER_LAST,
					  PEAL_HEADER_MORE,
					  PEAL_HEADER_CONTROL,
					  PEAL_HEADER_MORE,
					  0,
					  PEAL_HEADER_CONTROL | PEAL_HEADER_LAST,
					  PEAL_HEADER_RESERVED };
	uint32_t flags = kinds[bytes_below(bytes, 8)], tag = pick_tag(liar, bytes);
	uint64_t length = pick_length(liar, bytes), size = peal_record_size(length);
	uint8_t text[32];
	size_t some = bytes_below(bytes, sizeof(text));

	write_word(liar, liar->at + 8, pick_word(liar, bytes));
	bytes_block(bytes, text, some);
	write_bytes(liar, liar->at + 16, text, some);
	write_word(liar, liar->at + size, 0);
	write_word(liar, liar->at,
		   (uint64_t)tag << 32 | ((length + 1) & PEAL_HEADER_LENGTH) | flags);
	liar->at += size;
}

/* Small messages, one behind the other, for batches. */
static void write_some(struct liar *liar, struct bytes *bytes)
{
	unsigned count = 1 + bytes_below(bytes, 24), length = bytes_below(bytes, 64);

	write_word(liar, liar->at + count * peal_record_size(length), 0);
	while (count--) {
		write_word(liar, liar->at, (uint64_t)count << 32 | (length + 1));
		liar->at += peal_record_size(length);
	}
}

static void write_noise(const struct liar *liar, struct bytes *bytes)
{
	uint8_t noise[256];
	size_t length = bytes_u8(bytes);
	uint64_t at = bytes_below(bytes, 2) ? liar->at : bytes_u16(bytes);

	bytes_block(bytes, noise, length);
	write_bytes(liar, at, noise, length);
}

static void write_page(const struct liar *liar, struct bytes *bytes)
{
	struct peal_page *page = liar->page;
	uint8_t value;

	switch (bytes_below(bytes, 6)) {
	case 0:
		__atomic_store_n(&page->closed, bytes_u64(bytes), __ATOMIC_RELEASE);
		break;
	case 1:
		__atomic_store_n(&page->tx_asleep, bytes_u32(bytes), __ATOMIC_RELEASE);
		__atomic_store_n(&page->tx_wants, bytes_u64(bytes), __ATOMIC_RELEASE);
		break;
	case 2:
		__atomic_store_n(&page->head, page->head + 8u * bytes_u8(bytes), __ATOMIC_RELEASE);
		break;
	case 3: /* it has read all, as an honest one says */
		__atomic_store_n(&page->head, liar->sent, __ATOMIC_RELEASE);
		break;
	default:
		value = bytes_u8(bytes);
		((uint8_t *)page)[bytes_u16(bytes) % sizeof(*page)] = value;
	}
}

void liar_does(struct liar *liar, struct bytes *bytes)
{
	switch (bytes_below(bytes, 8)) {
	case 0:
		write_noise(liar, bytes);
		break;
	case 1:
		write_page(liar, bytes);
		break;
	case 2:
		liar->at = liar->read + 8u * (bytes_below(bytes, 2) ? 0 : bytes_u8(bytes));
		break;
	case 3:
		write_some(liar, bytes);
		break;
	default:
		write_record(liar, bytes);
	}
}
