/*
 * SPDX-License-Identifier: MIT
 *
 * Fuzz target: a client of calls, whose server answers the handshake, and then the calls, with
 * anything; goes away, and may be there again. The clock is moved by the input, so nothing waits.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <peal/client.h>

#include "tests/fuzz/liar.h"
#include "tests/fuzz/steady.h"
#include "tests/fuzz/wire.h"

#define STEPS 200
#define CALLS 8u

static struct bytes *input;
static struct peal_client *client;
static struct liar liar;
static int server = -1, connection = -1; /* the one that listens, and its last client */
static uint64_t ahead;                   /* of the clock */
static uint64_t numbers[CALLS];          /* of calls that were begun last */
static unsigned begun, ended;

uint64_t __real_platform_now(void);
uint64_t __wrap_platform_now(void);

uint64_t __wrap_platform_now(void)
{
	return __real_platform_now() + ahead;
}

/* What the client says of its ring is what the liar has to know to be believed. */
static void hear_hello(void)
{
	struct platform_parcel parcel;
	struct wire_message hello;
	int64_t length = platform_receive(connection, &hello, sizeof(hello), &parcel);

	if (length == (int64_t)sizeof(hello))
		liar.page->head = hello.start;
	for (int i = 0; length > 0 && i < parcel.count; i++)
		close(parcel.fd[i]);
}

int __real_platform_connect(int fd, const char *name);
int __wrap_platform_connect(int fd, const char *name);

/* The answer is there before the client's question. */
int __wrap_platform_connect(int fd, const char *name)
{
	int err = __real_platform_connect(fd, name);
	struct said said;
	uint8_t *memory;

	if (err)
		return err;
	platform_close(connection);
	connection = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	must(connection >= 0, "a client");
	memory = wire_segment();
	liar = (struct liar){ .data = memory + runtime_get()->page_size,
			      .page = (struct peal_page *)(void *)memory,
			      .capacity = runtime_get()->page_size,
			      .most = 65536 };
	wire_take(input, bytes_below(input, 16) == 1 ? WIRE_REFUSE : WIRE_WELCOME, WIRE_LINK,
		  &said);
	wire_say(connection, &said);
	return 0;
}

static void server_goes(void)
{
	platform_close(connection);
	connection = -1;
}

static void begin(void)
{
	static const uint8_t request[512];
	size_t length = bytes_below(input, 2) ? bytes_u8(input) : 0;
	uint32_t flags = bytes_below(input, 4);
	uint64_t call = 0;
	int64_t timeout = bytes_below(input, 2) ? PEAL_FOREVER : (int64_t)bytes_u8(input) << 24;
	int err = peal_client_begin(client, request, length, flags, timeout, &numbers, &call);

	must_be(err == 0 || err == -EBUSY || err == -EMSGSIZE, "a call is begun or not", err);
	must(!err == !!call, "a call has its number");
	if (err)
		return;
	numbers[begun++ % CALLS] = call;
	liar.tag = (uint32_t)call;
	/* What it has sent by now is at most this far away. */
	liar.sent = liar.page ? liar.page->head + peal_record_size(length) : 0;
	if (connection >= 0)
		hear_hello();
}

static void check_answer(const struct peal_answer *answer)
{
	must_be(answer->verdict <= PEAL_CANCELLED && answer->last <= 1, "a verdict",
		answer->verdict);
	must_be((answer->verdict == PEAL_REPLY) == (answer->err == 0), "an error or a reply",
		answer->err);
	must(answer->verdict == PEAL_REPLY || answer->last, "what is no reply is the last");
	if (answer->verdict == PEAL_REPLY) {
		volatile uint8_t sum = 0;

		must_be(answer->length <= (64 << 20), "a length", (int64_t)answer->length);
		for (size_t i = 0; i < answer->length && i < 8192; i++)
			sum = (uint8_t)(sum + ((const uint8_t *)answer->data)[i]);
	} else {
		must(peal_error()[0], "an error has its sentence");
	}
}

static void next(void)
{
	struct peal_answer answer;
	int err = peal_client_next(client, &answer, 0);

	must_be(err == 0 || err == -EAGAIN || err == -ENOENT, "an answer or none", err);
	must((err == -ENOENT) == (!err ? false : begun == ended), "as many are open as were begun");
	if (err)
		return;
	check_answer(&answer);
	must(answer.user == &numbers, "it is the caller's");
	ended += answer.last;
	must(ended <= begun, "each has one last answer");
}

static void call(void)
{
	struct peal_answer answer;
	int err = peal_client_call(client, "request", bytes_below(input, 8), bytes_below(input, 4),
				   &answer, 0);

	must_be(err == 0 || err == -EBUSY || err == -EMSGSIZE || err == -ENOMEM,
		"a call came to something", err);
	if (!err) {
		must_be(answer.verdict <= PEAL_CANCELLED, "a verdict", answer.verdict);
		must(!answer.call && !answer.user, "nobody's");
	}
}

static void step(void)
{
	switch (bytes_below(input, 16)) {
	case 0:
	case 1:
		begin();
		break;
	case 2:
	case 3:
	case 4:
		next();
		break;
	case 5:
		call();
		break;
	case 6:
		peal_client_cancel(client, numbers[bytes_below(input, CALLS)]);
		break;
	case 7:
		ahead += (uint64_t)bytes_u8(input) << 25; /* up to 8 s */
		break;
	case 8:
		server_goes();
		break;
	case 9:
		must(peal_client_fd(client) >= 0, "a descriptor");
		must(peal_client_connected(client) >= 0, "it is connected or not");
		break;
	default:
		if (connection >= 0)
			liar_does(&liar, input);
	}
}

static void open_client(void)
{
	char address[64];
	struct peal_client_options options;
	struct peal_options link;
	unsigned flags = bytes_u8(input);

	snprintf(address, sizeof(address), "@peal-fuzz-client-%lld", (long long)platform_pid());
	server = platform_socket();
	must(!platform_bind(server, address, 0600) && !platform_listen(server, 8), "a server");
	peal_options_init(&link);
	link.ring = runtime_get()->page_size;
	link.wait = PEAL_WAIT_SLEEP;
	link.barrier = PEAL_BARRIER_FENCE;
	link.max_message = flags & 1 ? 65536 : flags & 2 ? 64 : 0;
	peal_client_options_init(&options);
	options.link = &link;
	options.calls = 1 + (flags >> 2) % 16;
	must(!peal_client_open(&client, address, &options), "a client");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { .at = data, .left = size };

	wire_prepare();
	steady_begin();
	input = &bytes;
	ahead = 0;
	begun = ended = 0;
	memset(numbers, 0, sizeof(numbers));
	open_client();
	for (unsigned i = 0; i < STEPS && bytes.left; i++)
		step();
	peal_client_close(client);
	server_goes();
	platform_close(server);
	steady_end();
	return 0;
}
