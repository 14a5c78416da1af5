/*
 * SPDX-License-Identifier: MIT
 *
 * Fuzz target: a client's side of the handshake. What answers is one end of a pair of sockets, in
 * which the answers stand before the client says a word, so that it never waits; what becomes a
 * link is then used once.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/connect.h"
#include "tests/fuzz/steady.h"
#include "tests/fuzz/wire.h"

/* The last may be one that is answered in the midst of the handshake. */
#define ANSWERS 3

static struct bytes *input;
static int ends[2]; /* the server's, and the client's */

static struct peal_options take_options(void)
{
	unsigned flags = bytes_u8(input), more = bytes_u8(input);
	struct peal_options options;

	peal_options_init(&options);
	options.ring = runtime_get()->page_size;
	options.allow = flags & 3;
	if (options.allow > PEAL_ALLOW_ANYONE)
		options.allow = PEAL_ALLOW_USER;
	options.group = flags & 4 ? 4711 : 1000;
	options.flags = (flags & 8 ? PEAL_CALLS : 0) | (flags & 16 ? PEAL_DISTRUST_PEER : 0);
	options.max_message = flags & 32 ? 1 << 16 : flags & 64 ? 8 : 0;
	options.max_peer_ring = flags & 128 ? 2 * options.ring : 0;
	options.wait = more & 1 ? PEAL_WAIT_SLEEP : PEAL_WAIT_ADAPTIVE;
	options.bell = more & 2 ? PEAL_BELL_EVENTFD : PEAL_BELL_AUTO;
	options.barrier = more & 4 ? PEAL_BARRIER_AUTO : PEAL_BARRIER_FENCE;
	options.flags |= more & 8 ? PEAL_PREFAULT : 0;
	options.huge = PEAL_HUGE_OFF;
	return options;
}

static void answer(void)
{
	struct said said;

	wire_take(input, bytes_below(input, 4) ? WIRE_WELCOME : WIRE_REFUSE,
		  bytes_below(input, 8) ? WIRE_LINK : WIRE_MONITOR, &said);
	if (said.message.type == WIRE_REFUSE)
		bytes_block(input, said.message.text, sizeof(said.message.text) / 4);
	wire_say(ends[0], &said);
}

static void check_sentence(void)
{
	must(peal_error()[0], "an error has its sentence");
	for (const char *c = peal_error(); *c; c++)
		must_be(*c >= ' ' && *c <= '~', "a sentence that can be printed", *c);
}

static void use(struct peal_link *link)
{
	struct peal_agreed agreed = { .size = sizeof(agreed) };
	uint8_t buffer[16];
	ssize_t result;

	must(!peal_link_agreed(link, &agreed), "what was agreed");
	must(agreed.peer_ring >= agreed.page && !(agreed.peer_ring & (agreed.peer_ring - 1)) &&
		     agreed.peer_ring <= 5 * agreed.page,
	     "a ring that is there");
	must(agreed.peer_largest <= agreed.peer_ring - 16 && agreed.largest <= agreed.ring - 16,
	     "the longest records");
	must(link->rx.pos < agreed.peer_ring && link->rx.pos % 8 == 0, "where its ring begins");
	result = peal_recv(peal_link_rx(link), buffer, sizeof(buffer), NULL, 0);
	must_be(result == -EAGAIN || result == -EPIPE || result == -ECONNRESET || result == -EPROTO,
		"what an empty ring says", result);
	peal_close(link);
}

/* What the client has said is right. */
static void hear(void)
{
	struct wire_message hello;
	struct platform_parcel parcel;
	int64_t length = platform_receive(ends[0], &hello, sizeof(hello), &parcel);

	if (length < 0)
		return;
	must_be(length == (int64_t)sizeof(hello) && hello.type == WIRE_HELLO &&
			hello.descriptors == (uint32_t)parcel.count && parcel.count > 0,
		"a HELLO", length);
	for (int i = 0; i < parcel.count; i++)
		close(parcel.fd[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { .at = data, .left = size };
	struct peal_options options;
	struct peal_link *link;
	char address[16];
	unsigned answers;
	int err;

	wire_prepare();
	steady_begin();
	input = &bytes;
	options = take_options();
	must(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "sockets");
	answers = bytes_below(&bytes, ANSWERS + 1);
	for (unsigned i = 0; i < answers; i++)
		answer();
	if (bytes_below(&bytes, 4) == 1)
		shutdown(ends[0], SHUT_WR);
	snprintf(address, sizeof(address), "fd:%d", ends[1]);
	err = peal_connect(&link, address, &options, 0);
	must(!err == !!link, "a link or an error");
	must_be(err <= 0, "what a client says", err);
	hear();
	if (err) {
		check_sentence();
		close(ends[1]); /* still ours */
	} else {
		use(link);
	}
	close(ends[0]);
	steady_end();
	return 0;
}
