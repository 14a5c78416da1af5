/*
 * SPDX-License-Identifier: MIT
 *
 * Fuzz target: the producer over a page on which the peer writes anything: read positions, asleep
 * words, wake words and that it has closed. What the producer publishes stays in order and whole,
 * as a shadow of the ring shows.
 */
#include "config.h"

#include <errno.h>

#include <peal/call.h>

#include "lib/link.h"
#include "lib/ring.h"
#include "tests/fuzz/bytes.h"
#include "tests/fuzz/ends.h"
#include "tests/fuzz/steady.h"

#define STEPS 400

/* ends[0] is the peer that lies, ends[1] the producer. */
static struct peal_link *ends[2];
static struct peal_tx *tx;
static struct bytes *input;
static bool broken, closed;
static uint64_t believed; /* the last read position that was true */
static uint64_t last;     /* the producer's position, when it was looked at last, */
static uint64_t shown;    /* and how far of that was published */
static struct peal_sending sending;
static uint8_t payload[8192];

static uint64_t capacity(void)
{
	return tx->mask + 1;
}

static void write_head(void)
{
	struct peal_page *page = ends[0]->page;
	uint64_t head = page->head;

	switch (bytes_below(input, 8)) {
	case 0:
		head = bytes_u64(input);
		break;
	case 1:
		head += bytes_u16(input);
		break;
	case 2:
		head -= bytes_u16(input);
		break;
	case 3:
		head = tx->pos + 8;
		break;
	case 4:
		head += 8u * bytes_u8(input);
		break;
	case 5:
		head = believed;
		break;
	default:
		head = tx->pending_header ? tx->pending_at : tx->pos;
	}
	__atomic_store_n(&page->head, head, __ATOMIC_RELEASE);
}

static void peer_does(void)
{
	struct peal_page *page = ends[0]->page;
	uint8_t value;

	switch (bytes_below(input, 8)) {
	case 0:
		__atomic_store_n(&page->rx_asleep, bytes_u32(input), __ATOMIC_RELEASE);
		break;
	case 1:
		__atomic_store_n(&page->rx_asleep, page->rx_asleep + PEAL_ASLEEP_EPOCH,
				 __ATOMIC_RELEASE);
		break;
	case 2:
		value = bytes_u8(input);
		((uint8_t *)page)[bytes_u16(input) % sizeof(*page)] = value;
		break;
	case 3:
		__atomic_store_n(&page->room_wake, bytes_u32(input), __ATOMIC_RELEASE);
		__atomic_store_n(&page->room_rung_ns, bytes_u64(input), __ATOMIC_RELEASE);
		break;
	case 4:
		if (!bytes_below(input, 8))
			__atomic_store_n(&page->closed, bytes_u64(input), __ATOMIC_RELEASE);
		break;
	default:
		write_head();
	}
}

static void check_result(int64_t result)
{
	if (broken)
		must_be(result == -EPROTO || result == -EINVAL || result == -EOPNOTSUPP,
			"what was ended stays so", result);
	if (closed)
		must_be(result < 0, "nothing is sent to one who has closed", result);
	broken = broken || result == -EPROTO;
	closed = closed || result == -EPIPE;
	must_be(result >= 0 || result == -EAGAIN || result == -ETIMEDOUT || result == -EPROTO ||
			result == -EPIPE || result == -EMSGSIZE || result == -EBUSY ||
			result == -EINVAL || result == -EOPNOTSUPP,
		"an error that a producer may see", result);
	if (result < 0)
		must(peal_error()[0], "an error has its sentence");
}

/* Whether a head can be true is the library's to find out, and this is the test's own word. */
static void check_state(void)
{
	uint64_t head = ends[1]->last_head;

	must(tx->pos % 8 == 0 && tx->pos >= last, "a position that only grows");
	must(head % 8 == 0 && head >= believed && head <= tx->pos, "a head that is believed");
	must(tx->pos - (head > ends[1]->own.start ? head : ends[1]->own.start) + 8 <= capacity(),
	     "no more than a lap is unread");
	must(tx->limit == 0 || tx->limit <= head + capacity() || head == 0, "its limit");
	must(!tx->pending_header || (tx->pending_at <= tx->pos && tx->pending_messages),
	     "what is pending");
	believed = head;
	last = tx->pos;
}

/* What was published since the last look are whole records, with a zero header behind. */
static void check_ring(void)
{
	uint64_t at = shown, end = tx->pending_header ? tx->pending_at : tx->pos;
	const uint64_t *header;

	/* The peer may have guessed how far a verb would get, and so there is more than a lap. */
	if (end - at + PEAL_HEADER_SIZE > capacity())
		at = end;
	for (; at < end; at += peal_record_size((*header & PEAL_HEADER_LENGTH) - 1)) {
		header = (const uint64_t *)(const void *)(tx->data + (at & tx->mask));
		must(*header & PEAL_HEADER_LENGTH, "a record that was published");
	}
	must(at == end, "records end where the position is");
	shown = end;
	header = (const uint64_t *)(const void *)(tx->data + (end & tx->mask));
	if (!tx->pending_header)
		must(!*header, "a zero header stands behind what was published");
}

static size_t pick_length(void)
{
	switch (bytes_below(input, 6)) {
	case 0:
		return capacity() - 17 + bytes_below(input, 4);
	case 1:
		return bytes_u16(input) % sizeof(payload);
	case 2:
		return bytes_below(input, 4) ? capacity() / 4 : SIZE_MAX - bytes_u8(input);
	default:
		return bytes_u8(input);
	}
}

/* Of a length that there is a payload of, or that nobody accepts. */
static size_t pick_sent(void)
{
	size_t length = pick_length();

	return length > sizeof(payload) && length <= ends[1]->cut.longest ? sizeof(payload) :
									    length;
}

static void reserve(void)
{
	size_t length = pick_length();
	void *at;
	int err = peal_reserve(tx, length, &at, 0);

	check_result(err);
	if (err)
		return;
	must((uint8_t *)at >= tx->data && (uint8_t *)at + length <= tx->data + 2 * capacity(),
	     "room in the ring");
	memset(at, 0xa5, length);
}

static void commit(void)
{
	size_t length = bytes_below(input, 4) ? (size_t)(tx->reserved ? tx->reserved - 1 : 0) :
						bytes_u16(input);

	switch (bytes_below(input, 3)) {
	case 0:
		check_result(peal_commit(tx, length, 1));
		break;
	case 1:
		check_result(peal_commit_more(tx, length, 2));
		break;
	default:
		check_result(peal_commit_last(tx, length, 3));
	}
}

static void send_batch(void)
{
	struct peal_message messages[12];
	int count = (int)bytes_below(input, 13), sent;

	for (int i = 0; i < count; i++)
		messages[i] = (struct peal_message){ .data = payload,
						     .length = pick_sent(),
						     .tag = (uint32_t)i };
	sent = peal_send_batch(tx, messages, count, 0);
	check_result(sent);
	must_be(sent <= count && sent != 0, "so many were sent", sent);
}

static void send_pieces(void)
{
	struct iovec pieces[6];
	int count = (int)bytes_below(input, 8) - 1;

	for (int i = 0; i < 6; i++)
		pieces[i] = (struct iovec){ .iov_base = payload,
					    .iov_len = bytes_u16(input) % sizeof(payload) };
	if (count > 0 && !bytes_below(input, 16))
		pieces[count - 1].iov_len = SIZE_MAX - bytes_u16(input);
	check_result(peal_sendv(tx, pieces, count < 6 ? count : 1025, 4, 0));
}

/* A long message, part by part, perhaps not as it was begun. */
static void send_part(void)
{
	size_t length = pick_sent();
	int err;

	if (!sending.begun)
		sending = (struct peal_sending){ .data = payload, .length = length, .tag = 5 };
	if (!bytes_below(input, 32))
		sending.tag++;
	err = peal_send_part(tx, &sending, 0);
	check_result(err);
	must_be(err || sending.sent == sending.length, "all of it was sent", err);
	must(sending.sent <= sending.length, "no more than all of it");
	if (err == -EINVAL)
		sending.begun = 0;
}

static void producer_does(void)
{
	/* What is longer than a record takes a timeout; a nanosecond is over at once. */
	int64_t timeout = bytes_below(input, 4) ? 0 : 1;

	switch (bytes_below(input, 14)) {
	case 0:
		reserve();
		break;
	case 1:
		commit();
		break;
	case 2:
		reserve();
		commit();
		break;
	case 3:
		send_batch();
		break;
	case 4:
		send_pieces();
		break;
	case 5:
		send_part();
		break;
	case 6:
		peal_abort(tx);
		sending.begun = 0;
		break;
	case 7:
		peal_flush(tx);
		break;
	case 8:
		check_result(peal_send_more(tx, payload, pick_sent(), 6, timeout));
		break;
	case 9:
		check_result(peal_send_last(tx, payload, pick_sent(), 7, timeout));
		break;
	case 10:
		check_result(peal_send_error(tx, 8, -(int)bytes_u16(input), "why", timeout));
		break;
	case 11:
		check_result(peal_send_cancel(tx, 9, timeout));
		break;
	case 12:
		ring_sample_tx(ends[1]);
		break;
	default:
		check_result(peal_send(tx, payload, pick_sent(), 10, timeout));
	}
	check_ring();
	check_state();
}

static void open_ends(void)
{
	struct peal_options options;
	unsigned flags = bytes_u8(input);

	peal_options_init(&options);
	options.wait = flags & 1 ? PEAL_WAIT_SLEEP : PEAL_WAIT_ADAPTIVE;
	options.spin_ns = 1;
	options.barrier = PEAL_BARRIER_FENCE;
	options.ring = runtime_get()->page_size << (flags >> 1 & 1);
	options.flags = (flags & 4 ? PEAL_CALLS : 0) | (flags & 8 ? PEAL_ONE_THREAD : 0);
	options.max_message = flags & 16 ? 1 << 16 : flags & 32 ? 64 : 0;
	ends_open(ends, &options);
	tx = &ends[1]->tx;
	believed = 0;
	last = shown = tx->pos;
	broken = closed = false;
	sending = (struct peal_sending){ .data = payload };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { .at = data, .left = size };

	steady_begin();
	input = &bytes;
	open_ends();
	for (unsigned i = 0; i < STEPS && bytes.left; i++) {
		if (bytes_u8(&bytes) & 1)
			producer_does();
		else
			peer_does();
	}
	ends_close(ends);
	steady_end();
	return 0;
}
