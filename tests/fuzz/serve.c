/*
 * SPDX-License-Identifier: MIT
 *
 * Fuzz target: a server, to which strangers come by a handshake that is right, and then lie in
 * their rings and pages. The handlers answer as the input says; the clock is the input's.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <peal/server.h>

#include "tests/fuzz/liar.h"
#include "tests/fuzz/steady.h"
#include "tests/fuzz/wire.h"

#define STEPS 200
#define STRANGERS 3

static struct bytes *input;
static struct peal_server *server;
static char address[64];
static struct liar liar; /* all strangers have the same memory */
static int strangers[STRANGERS];
static unsigned connected, closed;
static struct peal_token token; /* of the last request */
static struct peal_request *kept;
static uint64_t ahead;

uint64_t __real_platform_now(void);
uint64_t __wrap_platform_now(void);

uint64_t __wrap_platform_now(void)
{
	return __real_platform_now() + ahead;
}

/*
 * The program.
 */

static int on_connected(void *data, struct peal_link *link, void **client)
{
	(void)data;
	(void)link;
	if (bytes_below(input, 16) == 1)
		return -EPERM;
	connected++;
	*client = &strangers;
	return 0;
}

static void reply(struct peal_request *request)
{
	static const uint8_t answer[6000];
	size_t length = bytes_below(input, 4) ? bytes_u8(input) : bytes_u16(input) % sizeof(answer);
	uint32_t flags = bytes_below(input, 3);
	void *at;

	switch (bytes_below(input, 8)) {
	case 0:
		peal_reply_error(request, -(int)bytes_u8(input), "because");
		break;
	case 1:
		if (!peal_reply_reserve(request, length, &at)) {
			memset(at, 1, length);
			peal_reply_commit(request, length, flags);
		}
		break;
	case 2:
		peal_server_reply(server, request->token, answer, length, flags);
		break;
	case 3:
		break;
	default:
		peal_reply(request, answer, length, flags);
	}
}

static void on_message(void *data, struct peal_request *request)
{
	volatile uint8_t sum = 0;

	(void)data;
	must(request->client == &strangers && request->server == server, "a client's request");
	must_be(request->length <= 65536, "a length that was agreed on", (int64_t)request->length);
	must(!(request->flags & ~PEAL_HEADER_LAST), "flags");
	for (size_t i = 0; i < request->length; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)request->data)[i]);
	token = request->token;
	must(!peal_server_has(server, token), "its client is there");
	if (!kept && bytes_below(input, 4) == 1)
		kept = peal_request_keep(request);
	for (unsigned i = bytes_below(input, 3); i--;)
		reply(request);
	/* In the midst of it the peer may do anything. */
	if (bytes_below(input, 4) == 1)
		liar_does(&liar, input);
}

static void on_cancelled(void *data, struct peal_token cancelled, void *client)
{
	(void)data;
	must(client == &strangers && !peal_server_has(server, cancelled), "a client's call");
}

static void on_closed(void *data, struct peal_link *link, void *client, int reason)
{
	(void)data;
	(void)link;
	must_be(client == &strangers && reason >= PEAL_END_CLOSED && reason <= PEAL_END_FAILED,
		"a reason", reason);
	must(++closed <= connected, "each is closed once");
}

/*
 * Those who come.
 */

static void come(unsigned which)
{
	struct said said;

	strangers[which] = platform_socket();
	must(!platform_connect(strangers[which], address), "a stranger");
	wire_take(input, WIRE_HELLO, bytes_below(input, 16) == 1 ? WIRE_MONITOR : WIRE_LINK, &said);
	wire_say(strangers[which], &said);
}

static void go(unsigned which)
{
	struct platform_parcel parcel;
	struct wire_message message;

	/* What the server has said: where its ring begins is what a liar must know. */
	if (platform_receive(strangers[which], &message, sizeof(message), &parcel) > 0)
		for (int i = 0; i < parcel.count; i++)
			close(parcel.fd[i]);
	close(strangers[which]);
	strangers[which] = -1;
}

static void hear(unsigned which)
{
	struct platform_parcel parcel;
	struct wire_message message;
	int64_t length = platform_receive(strangers[which], &message, sizeof(message), &parcel);

	if (length == (int64_t)sizeof(message) && message.type == WIRE_WELCOME) {
		liar.page->head = message.start;
		liar.sent = message.start;
	}
	for (int i = 0; length > 0 && i < parcel.count; i++)
		close(parcel.fd[i]);
}

static void serve(void)
{
	int handed = peal_server_step(server, 0);

	must_be(handed >= 0 || handed == -EAGAIN, "what a server says", handed);
}

static void reply_later(void)
{
	static const uint8_t answer[6000];

	switch (bytes_below(input, 5)) {
	case 0:
		peal_server_drop(server, token);
		break;
	case 1:
		peal_server_reply_error(server, token, -(int)bytes_u8(input), "later");
		break;
	case 2:
		token.client += bytes_u8(input);
		token.worker += bytes_below(input, 2);
		peal_server_has(server, token);
		break;
	default:
		peal_server_reply(server, token, answer, bytes_u16(input) % sizeof(answer),
				  bytes_below(input, 3));
	}
}

static void step(void)
{
	unsigned what = bytes_below(input, 16), which = bytes_below(input, STRANGERS);

	switch (what) {
	case 0:
		ahead += (uint64_t)bytes_u8(input) << 25; /* up to 8 s */
		break;
	case 1:
		if (strangers[which] >= 0)
			go(which);
		break;
	case 2:
		reply_later();
		break;
	case 3:
		if (strangers[which] < 0)
			come(which);
		serve();
		if (strangers[which] >= 0)
			hear(which);
		break;
	case 4:
	case 5:
	case 6:
	case 7:
		serve();
		break;
	default:
		liar.sent += what == 8 ? 8u * which : 0;
		liar_does(&liar, input);
	}
}

static void open_server(void)
{
	struct peal_server_options options;
	struct peal_options link;
	unsigned flags = bytes_u8(input), more = bytes_u8(input);

	snprintf(address, sizeof(address), "@peal-fuzz-serve-%lld", (long long)platform_pid());
	peal_options_init(&link);
	link.ring = runtime_get()->page_size;
	link.wait = PEAL_WAIT_SLEEP;
	link.barrier = PEAL_BARRIER_FENCE;
	link.max_message = flags & 1 ? 65536 : flags & 2 ? 64 : 0;
	peal_server_options_init(&options);
	options.link = &link;
	options.flags = flags & 4 ? PEAL_SERVER_IN_PLACE : 0;
	options.slow = (flags >> 3) % 3;
	options.idle_ns = flags & 32 ? 1000000000 : 0;
	options.max_clients = flags & 64 ? 2 : 0;
	options.ready = UINT32_MAX;
	options.turn = more & 1 ? 4 : 0;
	options.reply = more & 2 ? 2000 : 0;
	options.queue = more & 4 ? 4096 : 0;
	options.handlers = (struct peal_handlers){ .connected = on_connected,
						   .message = on_message,
						   .cancelled = on_cancelled,
						   .closed = on_closed };
	must(!peal_server_open(&server, address, &options), "a server");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { .at = data, .left = size };
	uint8_t *memory;

	wire_prepare();
	steady_begin();
	input = &bytes;
	ahead = connected = closed = 0;
	token = (struct peal_token){ .client = 0 };
	memset(strangers, 0xff, sizeof(strangers));
	memory = wire_segment();
	liar = (struct liar){ .data = memory + runtime_get()->page_size,
			      .page = (struct peal_page *)(void *)memory,
			      .capacity = runtime_get()->page_size,
			      .most = 65536 };
	open_server();
	for (unsigned i = 0; i < STEPS && bytes.left; i++)
		step();
	for (unsigned i = 0; i < STRANGERS; i++)
		if (strangers[i] >= 0)
			go(i);
	serve();
	peal_request_free(kept);
	kept = NULL;
	peal_server_close(server);
	must_be(closed == connected, "all were closed", closed);
	steady_end();
	return 0;
}
