/*
 * SPDX-License-Identifier: MIT
 *
 * Fuzz target: the consumer over a ring that the peer fills with anything. The input says what the
 * peer writes, into its data area and its page, and what the consumer does in between.
 */
#include "config.h"

#include <errno.h>

#include <peal/call.h>

#include "lib/link.h"
#include "lib/ring.h"
#include "tests/fuzz/bytes.h"
#include "tests/fuzz/ends.h"
#include "tests/fuzz/liar.h"
#include "tests/fuzz/steady.h"

/* Steps of one input: none can take long, and many tell no more. */
#define STEPS 400

#define LARGEST ((uint64_t)1 << 16)

/* ends[0] is the peer that lies, ends[1] the consumer. */
static struct peal_link *ends[2];
static struct peal_rx *rx;
static struct bytes *input;
static struct liar liar;
static bool broken;   /* the consumer has said -EPROTO */
static uint64_t most; /* longest message that it accepts */
static uint64_t last; /* its position, when it was looked at last */

static void peer_does(void)
{
	liar.tag = ends[1]->call_tag;
	liar.read = rx->pos;
	liar.sent = ends[1]->tx.pos;
	liar.total = ends[1]->join.total;
	liar.rest = ends[1]->join.total - ends[1]->join.have;
	liar_does(&liar, input);
}

/* What a verb says is one of these, and -EPROTO for ever once it was said. */
static void check_result(int64_t result)
{
	if (broken)
		must_be(result == -EPROTO, "what was ended stays so", result);
	if (result == -EPROTO)
		broken = true;
	must_be(result >= 0 || result == -EAGAIN || result == -ETIMEDOUT || result == -EPROTO ||
			result == -EPIPE || result == -EMSGSIZE || result == -ENOBUFS,
		"an error that a consumer may see", result);
	if (result < 0)
		must(peal_error()[0], "an error has its sentence");
}

/* A control record has its own limit. */
static uint64_t longest(const struct peal_message *message)
{
	return message->flags & PEAL_HEADER_CONTROL ? PEAL_CONTROL_LONGEST : most;
}

/* A message that is shown in place lies in the ring, all of it. */
static void check_in_place(const struct peal_message *message)
{
	const uint8_t *at = message->data;
	uint64_t capacity = ends[1]->theirs.capacity;

	must_be(message->length <= capacity - 16 && message->length <= longest(message),
		"a length in place", (int64_t)message->length);
	must(at >= rx->data && at + message->length <= rx->data + 2 * capacity, "in the ring");
	must(!(message->flags & ~(PEAL_HEADER_LAST | PEAL_HEADER_CONTROL)), "flags");
	must(ends[1]->calls || !(message->flags & PEAL_HEADER_CONTROL), "calls were agreed on");
}

static void check_state(void)
{
	const struct join *join = &ends[1]->join;

	must(rx->pos % 8 == 0 && rx->pos >= last, "a position that only grows");
	must(__atomic_load_n(&ends[1]->page->head, __ATOMIC_RELAXED) == rx->pos, "is shown");
	must(join->total <= join->most && join->have <= join->total, "what is joined");
	must(join->used <= join->ready && join->ready <= join->size, "and kept");
	must(rx->held <= ends[1]->theirs.capacity, "what is held");
	last = rx->pos;
}

static void read_control(const struct peal_message *message)
{
	struct peal_control control;
	int err = peal_control_read(message, &control);

	must_be(err == 0 || err == -EINVAL || err == -EPROTO, "a control record", err);
	if (err)
		return;
	must(message->flags & PEAL_HEADER_CONTROL, "control records have their flag");
	must(memchr(control.sentence, '\0', sizeof(control.sentence)), "a sentence ends");
	must_be(control.kind == PEAL_CONTROL_CANCEL || (control.code < 0 && control.code > -4096),
		"an error's number", control.code);
}

/* No more than is needed, so that a sanitizer sees the byte behind. */
static void receive(int64_t timeout)
{
	size_t size = bytes_below(input, 4) ? bytes_u8(input) : bytes_u16(input);
	uint8_t *buffer = malloc(size ? size : 1);
	struct peal_message about = { NULL, 0, 0, 0 };
	ssize_t length;

	must(buffer, "memory");
	length = peal_recv(rx, buffer, size, &about, timeout);
	check_result(length);
	if (length >= 0) {
		must_be((size_t)length <= size && about.length == (size_t)length &&
				about.length <= longest(&about),
			"a length that was received", length);
		read_control(&about);
	} else if (length == -ENOBUFS) {
		must_be(about.length > size && about.length <= longest(&about),
			"a length that is told", (int64_t)about.length);
	}
	free(buffer);
}

static void peek(void)
{
	struct peal_message message;
	int err = peal_peek(rx, &message, 0);

	must_be(err <= 0, "a result of peek", err);
	check_result(err);
	if (!err) {
		check_in_place(&message);
		read_control(&message);
	} else if (err == -EMSGSIZE) {
		must_be(message.length > 0 && message.length <= most, "a length that is told",
			(int64_t)message.length);
	}
}

static int shown(void *data, const struct peal_message *message)
{
	check_in_place(message);
	/* In the midst of it the peer may do anything. */
	if (!bytes_below(input, 8))
		peer_does();
	return (*(unsigned *)data)-- == 0;
}

static void drain(void)
{
	unsigned stop = bytes_u8(input);
	int count = peal_drain(rx, shown, &stop, (int)bytes_below(input, 40), 0);

	check_result(count);
	must_be(count < 0 || (count > 0 && (uint64_t)count <= ends[1]->theirs.capacity / 8),
		"so many were drained", count);
}

static void receive_batch(void)
{
	struct peal_message messages[16];
	size_t size = bytes_u8(input) * 8u, used = 0;
	uint8_t *buffer = malloc(size ? size : 1);
	int most_now = (int)bytes_below(input, 17), count;

	must(buffer, "memory");
	count = peal_recv_batch(rx, buffer, size, messages, most_now, 0);
	if (most_now < 1) {
		must_be(count == -EINVAL, "a batch of none", count);
	} else {
		check_result(count);
		must_be(count <= most_now && count != 0, "so many were received", count);
	}
	for (int i = 0; i < count; i++) {
		const uint8_t *at = messages[i].data;

		must(at >= buffer + used && at + messages[i].length <= buffer + size, "in place");
		used = (size_t)(at - buffer) + messages[i].length;
	}
	free(buffer);
}

static void call(int64_t timeout)
{
	struct peal_message about;
	size_t size = bytes_u16(input) % 4096;
	uint8_t *reply = malloc(size ? size : 1);
	ssize_t length;

	must(reply, "memory");
	length = peal_call(ends[1], "request", bytes_below(input, 8), reply, size, &about, timeout);
	must_be(length <= (ssize_t)size, "a reply", length);
	if (length >= 0)
		must(about.length == (size_t)length && about.tag == ends[1]->call_tag, "ours");
	else
		must(peal_error()[0], "an error has its sentence");
	free(reply);
	broken = broken || ends[1]->rx_verdict == -EPROTO;
}

static void look(void)
{
	struct peal_stats stats = { .size = sizeof(stats) };

	ring_sample_rx(ends[1], (uint64_t)bytes_u8(input) << 40);
	must(!peal_link_stats(ends[1], &stats), "stats");
	must(stats.rx.high_water <= ends[1]->theirs.capacity, "the most in the ring");
}

static void consumer_does(void)
{
	/* A nanosecond is over before anything comes. */
	int64_t timeout = bytes_below(input, 8) ? 0 : 1;

	switch (bytes_below(input, 12)) {
	case 0:
		peek();
		break;
	case 1:
		peek();
		peal_release(rx);
		break;
	case 2:
		peal_release(rx);
		break;
	case 3:
		drain();
		break;
	case 4:
		receive_batch();
		break;
	case 5:
		call(timeout);
		break;
	case 6:
		look();
		break;
	case 7: /* what is pending goes out before it waits, where one thread has both ends */
		peal_send_more(&ends[1]->tx, "more", 4, 0, 0);
		receive(timeout);
		break;
	default:
		receive(timeout);
	}
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
	options.max_message = flags & 16 ? LARGEST : flags & 32 ? 64 : 0;
	ends_open(ends, &options);
	rx = &ends[1]->rx;
	last = rx->pos;
	broken = false;
	most = ends[1]->agreed.peer_longest;
	liar = (struct liar){ .data = ends[0]->tx.data,
			      .page = ends[0]->page,
			      .capacity = ends[0]->own.capacity,
			      .at = rx->pos,
			      .most = most };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { .at = data, .left = size };

	steady_begin();
	input = &bytes;
	open_ends();
	for (unsigned i = 0; i < STEPS && bytes.left; i++) {
		if (bytes_u8(&bytes) & 1)
			consumer_does();
		else
			peer_does();
	}
	/* The consumer counts what it leaves. */
	ends_close(ends);
	steady_end();
	return 0;
}
