/*
 * SPDX-License-Identifier: MIT
 *
 * Fuzz target: a monitor, by the answers to its questions and by the counters that come with them,
 * on which the other side writes while they are read.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <peal/monitor.h>

#include "tests/fuzz/steady.h"
#include "tests/fuzz/wire.h"

#define LINKS 4

/*
 * A server at an address answers each connection as it is made: the library never waits for it.
 */

static struct bytes *input;
static int server = -1; /* listens */

static void answer(int fd)
{
	struct said said;

	wire_take(input, bytes_below(input, 8) ? WIRE_WELCOME : WIRE_REFUSE,
		  bytes_below(input, 8) ? WIRE_MONITOR : WIRE_LINK, &said);
	wire_say(fd, &said);
}

int __real_platform_connect(int fd, const char *name);
int __wrap_platform_connect(int fd, const char *name);

int __wrap_platform_connect(int fd, const char *name)
{
	int client, err = __real_platform_connect(fd, name);

	if (err)
		return err;
	client = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	must(client >= 0, "a client");
	if (bytes_below(input, 8) != 1)
		answer(client);
	/* What is said is there to be read, and that it has hung up comes behind. */
	close(client);
	return 0;
}

static void check_text(const char *text, size_t size)
{
	must(memchr(text, '\0', size), "a text ends");
	for (const char *c = text; *c; c++)
		must_be(*c >= ' ' && *c <= '~', "a text that can be printed", *c);
}

static void read_counters(struct peal_monitor *monitor)
{
	struct peal_monitored about = { .size = sizeof(about) };
	struct peal_monitored_link links[LINKS];
	int count = peal_monitor_read(monitor, &about, links, LINKS);

	must_be(count >= 0 && (unsigned)count == about.links, "so many links", count);
	check_text(about.who.name, sizeof(about.who.name));
	for (int i = 0; i < count && i < LINKS; i++)
		check_text(links[i].peer.name, sizeof(links[i].peer.name));
}

static void use(struct peal_monitor *monitor, bool brought)
{
	for (unsigned i = 1 + bytes_below(input, 3); i--;) {
		int err = peal_monitor_refresh(monitor, 0);

		must_be(brought ? err == -ENOTCONN : err <= 0, "what a refresh says", err);
		read_counters(monitor);
		wire_count(input);
		read_counters(monitor);
	}
	peal_monitor_close(monitor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { .at = data, .left = size };
	struct peal_monitor *monitor;
	char address[64];
	int ends[2] = { -1, -1 }, err;
	bool brought;

	wire_prepare();
	steady_begin();
	input = &bytes;
	wire_count(&bytes);
	brought = bytes_below(&bytes, 2);
	if (brought) {
		must(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "sockets");
		if (bytes_below(&bytes, 8) != 1)
			answer(ends[0]);
		close(ends[0]);
		snprintf(address, sizeof(address), "fd:%d", ends[1]);
	} else {
		snprintf(address, sizeof(address), "@peal-fuzz-monitor-%lld",
			 (long long)platform_pid());
		server = platform_socket();
		must(!platform_bind(server, address, 0600) && !platform_listen(server, 8),
		     "a server");
	}
	err = peal_monitor_open(&monitor, address, 0);
	must(!err == !!monitor, "a monitor or an error");
	if (monitor) {
		use(monitor, brought);
	} else {
		must_be(err < 0 && peal_error()[0], "an error has its sentence", err);
		platform_close(ends[1]);
	}
	platform_close(server);
	server = -1;
	steady_end();
	return 0;
}
