/*
 * SPDX-License-Identifier: MIT
 *
 * Unix sockets, stream and seqpacket: what a program would use without Peal. One call sends a
 * message and one receives it (a large one on a stream takes more: stream.h). Spinning is asking
 * again without waiting; sleeping is the ordinary blocking call.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "complaint.h"
#include "meeting.h"
#include "service.h"
#include "slice.h"
#include "stream.h"
#include "transport.h"
#include "watch.h"

/* What the kernel takes of a socket's send buffer for itself. */
#define OVERHEAD 32

struct connection {
	int type;
	uint64_t size; /* of a message */
	int socket;
	int listener; /* -1: has been closed */
	int flags;    /* of send and recv */
};

ALWAYS_INLINE int stream_send(void *end, const void *payload, size_t size)
{
	const struct connection *connection = end;

	return stream_put(connection->socket, connection->flags, payload, size);
}

ALWAYS_INLINE int stream_recv(void *end, void *payload, size_t size)
{
	const struct connection *connection = end;

	return stream_get(connection->socket, connection->flags, payload, size);
}

static const struct verbs stream_verbs = { .send = stream_send, .recv = stream_recv };

TRANSPORT_LOOPS(stream_loops, stream_verbs);

ALWAYS_INLINE int packet_send(void *end, const void *payload, size_t size)
{
	const struct connection *connection = end;

	while (send(connection->socket, payload, size, connection->flags | MSG_NOSIGNAL) < 0) {
		int err = watch_retry("send");

		if (err)
			return err;
	}
	return 0;
}

ALWAYS_INLINE int packet_recv(void *end, void *payload, size_t size)
{
	const struct connection *connection = end;
	ssize_t came;

	while ((came = recv(connection->socket, payload, size, connection->flags)) < 0) {
		int err = watch_retry("recv");

		if (err)
			return err;
	}
	if (__builtin_expect((size_t)came != size, 0))
		return came ? slice_wrong_size(size, (size_t)came) :
			      complain(-ECONNRESET, "the other side has closed its socket");
	return 0;
}

static const struct verbs packet_verbs = { .send = packet_send, .recv = packet_recv };

TRANSPORT_LOOPS(packet_loops, packet_verbs);

static uint64_t buffer_size(int socket)
{
	int size = 0;
	socklen_t length = sizeof(size);

	getsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, &length);
	return (uint64_t)size;
}

/* A seqpacket message must fit the send buffer as a whole. The default is kept where it does. */
static void make_room(int socket, uint64_t size)
{
	int wanted = size > (1u << 30) ? 1 << 30 : (int)size + OVERHEAD;

	if (buffer_size(socket) >= size + OVERHEAD)
		return;
	setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(wanted));
	if (buffer_size(socket) < size + OVERHEAD)
		setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof(wanted));
}

/* What a socket takes depends on the user, the system and the state of its memory: it is tried. */
static const char *packet_refuse(const struct setup *setup)
{
	static char sentence[COMPLAINT_SIZE];
	const char *why = NULL;
	int sockets[2];
	void *message;

	if (meeting_pair(SOCK_SEQPACKET, sockets))
		return complaint();
	make_room(sockets[0], setup->size);
	message = calloc(1, setup->size);
	if (!message || send(sockets[0], message, setup->size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		snprintf(sentence, sizeof(sentence),
			 "a message of %" PRIu64 " bytes does not fit a socket here (%s): give a "
			 "smaller --size, or raise net.core.wmem_max, if that is what it meets",
			 setup->size, strerror(errno));
		why = sentence;
	}
	free(message);
	close(sockets[0]);
	close(sockets[1]);
	return why;
}

static struct connection *connection_new(int type, const struct setup *setup)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection) {
		complain(-ENOMEM, "no memory for a connection");
		return NULL;
	}
	connection->type = type;
	connection->size = setup->size;
	connection->socket = connection->listener = -1;
	connection->flags = setup->wait == WAIT_SPIN ? MSG_DONTWAIT : 0;
	return connection;
}

static void connection_close(void *end)
{
	struct connection *connection = end;

	if (connection->socket >= 0)
		close(connection->socket);
	if (connection->listener >= 0)
		close(connection->listener);
	free(connection);
}

/* Gives a connection its socket. */
static void connection_set(struct connection *connection, int socket)
{
	connection->socket = socket;
	if (connection->type == SOCK_SEQPACKET)
		make_room(socket, connection->size);
}

static int connection_listen(int type, const struct setup *setup, void **end)
{
	struct connection *connection = connection_new(type, setup);
	int err;

	if (!connection)
		return -ENOMEM;
	connection->listener = meeting_listen(setup->path, type, 1);
	if (connection->listener < 0) {
		err = connection->listener;
		connection_close(connection);
		return err;
	}
	*end = connection;
	return 0;
}

static int connection_accept(void *end)
{
	struct connection *connection = end;
	int socket = meeting_accept(connection->listener);

	if (socket < 0)
		return socket;
	connection_set(connection, socket);
	close(connection->listener);
	connection->listener = -1;
	return 0;
}

static int connection_connect(int type, const struct setup *setup, void **end)
{
	struct connection *connection = connection_new(type, setup);
	int socket;

	if (!connection)
		return -ENOMEM;
	socket = meeting_connect(setup->path, type);
	if (socket < 0) {
		connection_close(connection);
		return socket;
	}
	connection_set(connection, socket);
	*end = connection;
	return 0;
}

static int connection_pair(int type, const struct setup *setup, void *ends[2])
{
	struct connection *one = connection_new(type, setup);
	struct connection *two = connection_new(type, setup);
	int sockets[2];
	int err = one && two ? meeting_pair(type, sockets) : -ENOMEM;

	if (err) {
		free(one);
		free(two);
		return err;
	}
	connection_set(one, sockets[0]);
	connection_set(two, sockets[1]);
	ends[0] = one;
	ends[1] = two;
	return 0;
}

static int stream_listen(const struct setup *setup, void **end)
{
	return connection_listen(SOCK_STREAM, setup, end);
}

static int stream_connect(const struct setup *setup, void **end)
{
	return connection_connect(SOCK_STREAM, setup, end);
}

static int stream_pair(const struct setup *setup, void *ends[2])
{
	return connection_pair(SOCK_STREAM, setup, ends);
}

static int packet_listen(const struct setup *setup, void **end)
{
	return connection_listen(SOCK_SEQPACKET, setup, end);
}

static int packet_connect(const struct setup *setup, void **end)
{
	return connection_connect(SOCK_SEQPACKET, setup, end);
}

static int packet_pair(const struct setup *setup, void *ends[2])
{
	return connection_pair(SOCK_SEQPACKET, setup, ends);
}

const struct transport transport_uds = {
	.name = "uds",
	.about = "a Unix stream socket",
	.waits = 1 << WAIT_SPIN | 1 << WAIT_SLEEP,
	.listen = stream_listen,
	.accept = connection_accept,
	.connect = stream_connect,
	.pair = stream_pair,
	.close = connection_close,
	.loops = &stream_loops,
	.service = &service_uds,
};

const struct transport transport_seqpacket = {
	.name = "seqpacket",
	.about = "a Unix seqpacket socket",
	.waits = 1 << WAIT_SPIN | 1 << WAIT_SLEEP,
	.refuse = packet_refuse,
	.listen = packet_listen,
	.accept = connection_accept,
	.connect = packet_connect,
	.pair = packet_pair,
	.close = connection_close,
	.loops = &packet_loops,
};
