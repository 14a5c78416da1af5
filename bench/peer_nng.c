/*
 * SPDX-License-Identifier: MIT
 *
 * nng: a pair socket (version 0) on each side, as in its own benchmark (perf), over ipc between
 * processes, and over inproc between threads. Payloads are copied by nng_send and nng_recv, or
 * written and read in its own messages (nng_sendmsg and nng_recvmsg, in place), which its manual
 * has for those who want speed.
 *
 * Spinning is asking again with NNG_FLAG_NONBLOCK, with sched_yield in between: both sides may have
 * taken the CPUs that nng's threads need, of which it has many, and without which nothing moves.
 * They may run on any CPU, as they would if nobody was pinned. Sleeping is the blocking call, with
 * a time limit that is never met while messages come: without one it takes no notice of signals.
 *
 * Its buffers count messages, up to 8192: half of what the ring has room for on each side, so that
 * all that is under way is about a ring, but for what is in the kernel's socket.
 */
#include "config.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "complaint.h"
#include "roam.h"
#include "slice.h"
#include "transport.h"
#include "watch.h"

/* Looks between two questions whether to give up. */
#define LOOKS 65536

/* A wait of a sleeper is over after so long at the latest, for that question. */
#define SLEEP_MS 100

/* Messages that a buffer has room for, at most; and what nng needs for one, about. */
#define BUFFER_LARGEST 8192
#define OVERHEAD 128

struct connection {
	nng_socket socket;
	int flags;         /* of send and recv */
	nng_msg *out, *in; /* in place: reserved, and peeked at */
};

static int refused(const char *call, int err)
{
	return complain(-EIO, "%s: %s", call, nng_strerror(err));
}

/* After a call that failed: 0 if it is to be made again, else an error with a complaint. */
ALWAYS_INLINE int again(const char *call, int err, unsigned *looks)
{
	if (__builtin_expect(err != NNG_EAGAIN && err != NNG_ETIMEDOUT, 0))
		return refused(call, err);
	if ((err == NNG_ETIMEDOUT || !(++*looks % LOOKS)) && watch_abandoned())
		return complain(-ECANCELED, "given up");
	if (err == NNG_EAGAIN)
		sched_yield();
	return 0;
}

ALWAYS_INLINE int copy_send(void *end, const void *payload, size_t size)
{
	const struct connection *connection = end;
	unsigned looks = 0;
	int refusal;

	while ((refusal = nng_send(connection->socket, (void *)(uintptr_t)payload, size,
				   connection->flags))) {
		int err = again("nng_send", refusal, &looks);

		if (err)
			return err;
	}
	return 0;
}

ALWAYS_INLINE int copy_recv(void *end, void *payload, size_t size)
{
	const struct connection *connection = end;
	size_t came = size;
	unsigned looks = 0;
	int refusal;

	while ((refusal = nng_recv(connection->socket, payload, &came, connection->flags))) {
		int err = again("nng_recv", refusal, &looks);

		if (err)
			return err;
	}
	return __builtin_expect(came != size, 0) ? slice_wrong_size(size, came) : 0;
}

static const struct verbs copy_verbs = { .send = copy_send, .recv = copy_recv };

TRANSPORT_LOOPS(copy_loops, copy_verbs);

ALWAYS_INLINE int place_reserve(void *end, size_t size, void **at)
{
	struct connection *connection = end;
	int refusal = nng_msg_alloc(&connection->out, size);

	if (refusal)
		return refused("nng_msg_alloc", refusal);
	*at = nng_msg_body(connection->out);
	return 0;
}

ALWAYS_INLINE int place_commit(void *end, size_t size)
{
	const struct connection *connection = end;
	unsigned looks = 0;
	int refusal;

	(void)size;
	while ((refusal = nng_sendmsg(connection->socket, connection->out, connection->flags))) {
		int err = again("nng_sendmsg", refusal, &looks);

		if (err) {
			nng_msg_free(connection->out);
			return err;
		}
	}
	return 0;
}

ALWAYS_INLINE int place_peek(void *end, size_t size, const void **at)
{
	struct connection *connection = end;
	unsigned looks = 0;
	int refusal;

	while ((refusal = nng_recvmsg(connection->socket, &connection->in, connection->flags))) {
		int err = again("nng_recvmsg", refusal, &looks);

		if (err)
			return err;
	}
	if (__builtin_expect(nng_msg_len(connection->in) != size, 0)) {
		size_t came = nng_msg_len(connection->in);

		nng_msg_free(connection->in);
		return slice_wrong_size(size, came);
	}
	*at = nng_msg_body(connection->in);
	return 0;
}

ALWAYS_INLINE int place_release(void *end)
{
	const struct connection *connection = end;

	nng_msg_free(connection->in);
	return 0;
}

static const struct verbs place_verbs = {
	.reserve = place_reserve,
	.commit = place_commit,
	.peek = place_peek,
	.release = place_release,
};

TRANSPORT_LOOPS(place_loops, place_verbs);

static void connection_close(void *end)
{
	struct connection *connection = end;

	nng_close(connection->socket);
	free(connection);
}

static int socket_set(nng_socket socket, const struct setup *setup)
{
	const uint64_t room = setup->ring / 2 / (setup->size + OVERHEAD);
	const int most = room > BUFFER_LARGEST ? BUFFER_LARGEST : room ? (int)room : 1;
	int refusal = nng_socket_set_int(socket, NNG_OPT_SENDBUF, most);

	if (!refusal)
		refusal = nng_socket_set_int(socket, NNG_OPT_RECVBUF, most);
	if (!refusal)
		refusal = nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, 0);
	if (!refusal)
		refusal = nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, SLEEP_MS);
	if (!refusal)
		refusal = nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, SLEEP_MS);
	return refusal ? refused("setting the options of a socket of nng", refusal) : 0;
}

/* A socket; it has yet to meet the other one. */
static int connection_new(const struct setup *setup, struct connection **made)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	struct roam before;
	int err, refusal;

	if (!connection)
		return complain(-ENOMEM, "no memory for a connection");
	connection->flags = setup->wait == WAIT_SPIN ? NNG_FLAG_NONBLOCK : 0;
	/* The first socket of a process starts its threads. */
	roam_begin(&before);
	refusal = nng_pair0_open(&connection->socket);
	roam_end(&before);
	if (refusal) {
		free(connection);
		return refused("nng_pair0_open", refusal);
	}
	err = socket_set(connection->socket, setup);
	if (err) {
		connection_close(connection);
		return err;
	}
	*made = connection;
	return 0;
}

static int attach(const struct connection *connection, const char *scheme,
		  const struct setup *setup, bool listens)
{
	char address[sizeof(setup->path) + 16];
	int refusal;

	snprintf(address, sizeof(address), "%s://%s", scheme, setup->path);
	refusal = listens ? nng_listen(connection->socket, address, NULL, 0) :
			    nng_dial(connection->socket, address, NULL, 0);
	return refusal ? refused(address, refusal) : 0;
}

/* A word in the handshake, so that both are there when the first message is measured; these calls
 * sleep. */
static int word_send(const struct connection *connection)
{
	unsigned looks = 0;
	int refusal, err = 0;
	char word = 0;

	while (!err && (refusal = nng_send(connection->socket, &word, 1, 0)))
		err = again("greeting by nng_send", refusal, &looks);
	return err;
}

static int word_recv(const struct connection *connection)
{
	unsigned looks = 0;
	int refusal, err = 0;
	size_t came = 1;
	char word;

	while (!err && (refusal = nng_recv(connection->socket, &word, &came, 0)))
		err = again("waiting for a greeting in nng_recv", refusal, &looks);
	return err;
}

static int connection_listen(const struct setup *setup, void **end)
{
	struct connection *connection;
	int err = connection_new(setup, &connection);

	if (err)
		return err;
	err = attach(connection, "ipc", setup, true);
	if (err) {
		connection_close(connection);
		return err;
	}
	*end = connection;
	return 0;
}

static int connection_accept(void *end)
{
	int err = word_recv(end);

	return err ? err : word_send(end);
}

static int connection_connect(const struct setup *setup, void **end)
{
	struct connection *connection;
	int err = connection_new(setup, &connection);

	if (err)
		return err;
	err = attach(connection, "ipc", setup, false);
	if (!err)
		err = word_send(connection);
	if (!err)
		err = word_recv(connection);
	if (err) {
		connection_close(connection);
		return err;
	}
	*end = connection;
	return 0;
}

static int connection_pair(const struct setup *setup, void *ends[2])
{
	struct connection *one, *two;
	int err = connection_new(setup, &one);

	if (err)
		return err;
	err = connection_new(setup, &two);
	if (err)
		goto close_one;
	err = attach(one, "inproc", setup, true);
	if (!err)
		err = attach(two, "inproc", setup, false);
	if (!err)
		err = word_send(two);
	if (!err)
		err = word_recv(one);
	if (err)
		goto close_two;
	ends[0] = one;
	ends[1] = two;
	return 0;

close_two:
	connection_close(two);
close_one:
	connection_close(one);
	return err;
}

const struct transport transport_nng = {
	.name = "nng",
	.about = "nng, pair sockets over ipc, or inproc between threads",
	.waits = 1 << WAIT_SPIN | 1 << WAIT_SLEEP,
	.listen = connection_listen,
	.accept = connection_accept,
	.connect = connection_connect,
	.pair = connection_pair,
	.close = connection_close,
	.loops = &copy_loops,
	.in_place = &place_loops,
};
