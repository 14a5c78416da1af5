/*
 * SPDX-License-Identifier: MIT
 *
 * Fuzz target: a server's side of the handshake. Strangers come to a listener, as users of the
 * input's choice, and say anything with any descriptors; what becomes a link is then used once.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/link.h"
#include "lib/listen.h"
#include "tests/fuzz/steady.h"
#include "tests/fuzz/wire.h"

#define STEPS 64
#define STRANGERS 6

static struct bytes *input;
static struct peal_listener *listener;
static struct sockaddr_un address;
static socklen_t address_length;
static int strangers[STRANGERS]; /* -1: not there */
static bool spoke[STRANGERS];
static uint64_t ahead; /* of the clock */
static uint32_t user;  /* who comes next */

/*
 * The clock, and who a client is, as the input has them.
 */

uint64_t __real_platform_now(void);
uint64_t __wrap_platform_now(void);

uint64_t __wrap_platform_now(void)
{
	return __real_platform_now() + ahead;
}

int __real_platform_peer(int fd, struct platform_credentials *peer);
int __wrap_platform_peer(int fd, struct platform_credentials *peer);

int __wrap_platform_peer(int fd, struct platform_credentials *peer)
{
	int err = __real_platform_peer(fd, peer);

	if (user == UINT32_MAX)
		return -ENOPROTOOPT;
	if (!err && user)
		peer->uid = peer->gid = user;
	return err;
}

static int admit_odd(void *data, const struct peal_peer *peer)
{
	(void)data;
	must(!peer->name[0], "nothing was received yet");
	return peer->uid % 2;
}

static void come(unsigned which)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	must(fd >= 0 && !connect(fd, (struct sockaddr *)&address, address_length), "a stranger");
	strangers[which] = fd;
	spoke[which] = false;
}

static void go(unsigned which)
{
	close(strangers[which]);
	strangers[which] = -1;
}

/* What the server answers is right in itself, whatever was asked. */
static void look_at_answer(unsigned which)
{
	struct wire_message answer;
	struct platform_parcel parcel;
	int64_t length = platform_receive(strangers[which], &answer, sizeof(answer), &parcel);

	if (length <= 0)
		return;
	if (length == 1) /* a bell of a link */
		return;
	must_be(length == (int64_t)sizeof(answer) && answer.magic == WIRE_MAGIC, "an answer",
		length);
	must(memchr(answer.text, '\0', sizeof(answer.text)) &&
		     memchr(answer.name, '\0', sizeof(answer.name)),
	     "its texts end");
	if (answer.type == WIRE_REFUSE) {
		must_be(answer.code > 0 && answer.code < 4096, "a refusal has its reason",
			answer.code);
		must(answer.text[0] && !parcel.count, "a refusal has a sentence and no more");
	} else {
		must_be(answer.type == WIRE_WELCOME && spoke[which], "a welcome to who spoke",
			answer.type);
		must_be((parcel.count > 0 || answer.kind == WIRE_MONITOR) &&
				answer.descriptors == (uint32_t)parcel.count,
			"what comes with a welcome", parcel.count);
	}
	for (int i = 0; i < parcel.count; i++)
		close(parcel.fd[i]);
}

static void speak(unsigned which)
{
	struct said said;

	wire_take(input, WIRE_HELLO, bytes_below(input, 4) ? WIRE_LINK : WIRE_MONITOR, &said);
	spoke[which] |= wire_say(strangers[which], &said);
}

/* A link that came of it has what both sides allow. */
static void use(struct peal_link *link)
{
	struct peal_agreed agreed = { .size = sizeof(agreed) };
	const struct peal_peer *peer = peal_link_peer(link);
	struct peal_options options;
	uint8_t buffer[16];
	ssize_t result;

	peal_options_init(&options);
	must(!peal_link_agreed(link, &agreed), "what was agreed");
	must(agreed.protocol == 1 && agreed.layout == 1, "versions");
	must(agreed.peer_ring >= agreed.page && !(agreed.peer_ring & (agreed.peer_ring - 1)) &&
		     agreed.peer_ring <= 5 * agreed.page,
	     "a ring that is there");
	must(agreed.peer_largest <= agreed.peer_ring - 16 && agreed.largest <= agreed.ring - 16,
	     "the longest records");
	must(link->rx.pos < agreed.peer_ring && link->rx.pos % 8 == 0, "where its ring begins");
	must(memchr(peer->name, '\0', sizeof(peer->name)), "a name ends");
	for (const char *c = peer->name; *c; c++)
		must(*c >= ' ' && *c <= '~', "a name can be printed");
	result = peal_recv(peal_link_rx(link), buffer, sizeof(buffer), NULL, 0);
	must_be(result == -EAGAIN || result == -EPIPE || result == -ECONNRESET || result == -EPROTO,
		"what an empty ring says", result);
	result = peal_send(peal_link_tx(link), "hello", agreed.largest < 5 ? agreed.largest : 5, 0,
			   0);
	must_be(result <= 0, "a message", result);
	peal_close(link);
}

static void accept_one(void)
{
	struct peal_link *link;
	int err = peal_accept(listener, &link, 0);

	must(!err == !!link, "a link or an error");
	must_be(!err || err == -EAGAIN, "what a listener says", err);
	if (link)
		use(link);
}

static void open_listener(void)
{
	char name[64];
	struct peal_options options;
	struct listen_limits limits = { .clients = 0 };
	unsigned flags = bytes_u8(input), more = bytes_u8(input);
	int err;

	snprintf(name, sizeof(name), "@peal-fuzz-listen-%lld", (long long)platform_pid());
	peal_options_init(&options);
	options.ring = runtime_get()->page_size;
	options.allow = flags & 3;
	if (options.allow > PEAL_ALLOW_ANYONE)
		options.allow = PEAL_ALLOW_USER;
	options.group = 1000;
	options.admit = flags & 4 ? admit_odd : NULL;
	options.flags = (flags & 8 ? PEAL_CALLS : 0) | (flags & 16 ? PEAL_TRUST_PEER : 0);
	options.max_message = flags & 32 ? 1 << 16 : flags & 64 ? 8 : 0;
	options.max_peer_ring = flags & 128 ? 2 * options.ring : 0;
	options.wait = more & 1 ? PEAL_WAIT_SLEEP : PEAL_WAIT_ADAPTIVE;
	options.bell = more & 2 ? PEAL_BELL_EVENTFD : PEAL_BELL_AUTO;
	options.barrier = more & 8 ? PEAL_BARRIER_AUTO : PEAL_BARRIER_FENCE;
	options.flags |= more & 16 ? PEAL_PREFAULT : 0;
	options.huge = PEAL_HUGE_OFF;
	err = peal_listen(&listener, name, &options);
	must_be(!err, "a listener", err);
	if (more & 4)
		limits = (struct listen_limits){ .clients = 2, .per_user = 1, .user_rate = 4 };
	listen_limit(listener, &limits);
	address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(address.sun_path + 1, name + 1, strlen(name + 1));
	address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
}

static void step(void)
{
	static const uint32_t users[] = { 0, 0, 0, 1000, 4711, UINT32_MAX };
	unsigned what = bytes_below(input, 16), which = bytes_below(input, STRANGERS);

	switch (what) {
	case 0:
		user = users[bytes_below(input, 6)];
		break;
	case 1:
		ahead += (uint64_t)bytes_u8(input) << 23; /* up to 2 s */
		break;
	case 2:
		listen_prepare(listener, bytes_below(input, 3));
		break;
	case 3:
		listen_forget(listener, users[bytes_below(input, 5)]);
		break;
	case 4: /* one who is silent takes a seat */
		if (strangers[which] >= 0)
			go(which);
		else
			come(which);
		break;
	case 5:
	case 6:
	case 7:
		accept_one();
		break;
	case 8:
		if (strangers[which] >= 0)
			look_at_answer(which);
		break;
	default:
		if (strangers[which] < 0)
			come(which);
		speak(which);
		if (what & 1)
			accept_one();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { .at = data, .left = size };

	wire_prepare();
	steady_begin();
	input = &bytes;
	ahead = user = 0;
	memset(strangers, 0xff, sizeof(strangers));
	open_listener();
	for (unsigned i = 0; i < STEPS && bytes.left; i++)
		step();
	accept_one();
	for (unsigned i = 0; i < STRANGERS; i++) {
		if (strangers[i] < 0)
			continue;
		look_at_answer(i);
		go(i);
	}
	peal_listener_close(listener);
	steady_end();
	return 0;
}
