/*
 * SPDX-License-Identifier: MIT
 *
 * TCP over the loopback: what a program has that was made for other machines, too. The listener is
 * at 127.0.0.1, at a port of the kernel's choice; the two sides tell each other their ports through
 * the Unix socket where they meet, so that no stranger is taken for the other side. TCP_NODELAY is
 * set, as everywhere where answers are waited for; the buffers are the kernel's own, which grow.
 * Spinning is asking again without waiting; sleeping is the ordinary blocking call.
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "complaint.h"
#include "meeting.h"
#include "slice.h"
#include "stream.h"
#include "transport.h"

struct connection {
	int socket;
	int flags;             /* of send and recv */
	int listener, meeting; /* -1: have been closed */
};

ALWAYS_INLINE int tcp_send(void *end, const void *payload, size_t size)
{
	const struct connection *connection = end;

	return stream_put(connection->socket, connection->flags, payload, size);
}

ALWAYS_INLINE int tcp_recv(void *end, void *payload, size_t size)
{
	const struct connection *connection = end;

	return stream_get(connection->socket, connection->flags, payload, size);
}

static const struct verbs verbs = { .send = tcp_send, .recv = tcp_recv };

TRANSPORT_LOOPS(loops, verbs);

static struct sockaddr_in address_of(in_port_t port)
{
	struct sockaddr_in address;

	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = port;
	return address;
}

/* Ports are in the net's order here. */
static int port_of(int socket, in_port_t *port)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);

	if (getsockname(socket, (struct sockaddr *)&address, &length))
		return complain_errno("asking for a port");
	*port = address.sin_port;
	return 0;
}

static int no_delay(int socket)
{
	static const int on = 1;

	return setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ?
		       complain_errno("setting TCP_NODELAY") :
		       0;
}

static int tcp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? complain_errno("making a TCP socket") : fd;
}

static int loopback_listen(in_port_t *port)
{
	const struct sockaddr_in address = address_of(0);
	int fd = tcp_socket(), err;

	if (fd < 0)
		return fd;
	err = bind(fd, (const struct sockaddr *)&address, sizeof(address)) || listen(fd, 1) ?
		      complain_errno("listening at 127.0.0.1") :
		      port_of(fd, port);
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* Also tells the own port. */
static int loopback_connect(in_port_t to, in_port_t *own)
{
	const struct sockaddr_in address = address_of(to);
	int fd = tcp_socket(), err;

	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		err = complain_errno("connecting to 127.0.0.1, port %u", ntohs(to));
	else
		err = port_of(fd, own);
	if (!err)
		err = no_delay(fd);
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* The connection that comes from a port; others are turned away. */
static int loopback_accept(int listener, in_port_t from)
{
	for (;;) {
		struct sockaddr_in address;
		socklen_t length = sizeof(address);
		int fd = accept4(listener, (struct sockaddr *)&address, &length, SOCK_CLOEXEC);
		int err;

		if (fd < 0 && errno == EINTR)
			continue;
		if (fd < 0)
			return complain_errno("accept");
		if (address.sin_port != from) {
			close(fd);
			continue;
		}
		err = no_delay(fd);
		if (!err)
			return fd;
		close(fd);
		return err;
	}
}

static int port_tell(int meeting, in_port_t port)
{
	return stream_put(meeting, 0, &port, sizeof(port));
}

static int port_hear(int meeting, in_port_t *port)
{
	return stream_get(meeting, 0, port, sizeof(*port));
}

static struct connection *connection_new(const struct setup *setup)
{
	struct connection *connection = malloc(sizeof(*connection));

	if (!connection) {
		complain(-ENOMEM, "no memory for a connection");
		return NULL;
	}
	connection->socket = connection->listener = connection->meeting = -1;
	connection->flags = setup->wait == WAIT_SPIN ? MSG_DONTWAIT : 0;
	return connection;
}

static void close_and_forget(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void connection_close(void *end)
{
	struct connection *connection = end;

	close_and_forget(&connection->socket);
	close_and_forget(&connection->listener);
	close_and_forget(&connection->meeting);
	free(connection);
}

static int connection_listen(const struct setup *setup, void **end)
{
	struct connection *connection = connection_new(setup);
	in_port_t port;
	int err;

	if (!connection)
		return -ENOMEM;
	err = connection->listener = loopback_listen(&port);
	if (err >= 0)
		err = connection->meeting = meeting_listen(setup->path, SOCK_STREAM, 1);
	if (err < 0) {
		connection_close(connection);
		return err;
	}
	*end = connection;
	return 0;
}

static int connection_accept(void *end)
{
	struct connection *connection = end;
	int visitor = meeting_accept(connection->meeting);
	in_port_t own = 0, from = 0;
	int err;

	if (visitor < 0)
		return visitor;
	err = port_of(connection->listener, &own);
	if (!err)
		err = port_tell(visitor, own);
	if (!err)
		err = port_hear(visitor, &from);
	if (!err)
		err = connection->socket = loopback_accept(connection->listener, from);
	close(visitor);
	close_and_forget(&connection->listener);
	close_and_forget(&connection->meeting);
	return err < 0 ? err : 0;
}

static int connection_connect(const struct setup *setup, void **end)
{
	struct connection *connection = connection_new(setup);
	in_port_t to = 0, own = 0;
	int err;

	if (!connection)
		return -ENOMEM;
	err = connection->meeting = meeting_connect(setup->path, SOCK_STREAM);
	if (err >= 0)
		err = port_hear(connection->meeting, &to);
	if (!err)
		err = connection->socket = loopback_connect(to, &own);
	if (err >= 0)
		err = port_tell(connection->meeting, own);
	if (err) {
		connection_close(connection);
		return err;
	}
	close_and_forget(&connection->meeting);
	*end = connection;
	return 0;
}

static int connection_pair(const struct setup *setup, void *ends[2])
{
	struct connection *one = connection_new(setup), *two = connection_new(setup);
	in_port_t to = 0, from = 0;
	int err = -ENOMEM;

	if (!one || !two)
		goto free_both;
	err = one->listener = loopback_listen(&to);
	if (err >= 0)
		err = two->socket = loopback_connect(to, &from);
	if (err >= 0)
		err = one->socket = loopback_accept(one->listener, from);
	if (err < 0)
		goto close_both;
	close_and_forget(&one->listener);
	ends[0] = one;
	ends[1] = two;
	return 0;

close_both:
	connection_close(one);
	connection_close(two);
	return err;
free_both:
	free(one);
	free(two);
	return err;
}

/* There may be no loopback, or no IPv4, where this runs: it is tried. */
static const char *tcp_refuse(const struct setup *setup)
{
	void *ends[2];

	if (connection_pair(setup, ends))
		return complaint();
	connection_close(ends[0]);
	connection_close(ends[1]);
	return NULL;
}

const struct transport transport_tcp = {
	.name = "tcp",
	.about = "TCP over the loopback",
	.waits = 1 << WAIT_SPIN | 1 << WAIT_SLEEP,
	.refuse = tcp_refuse,
	.listen = connection_listen,
	.accept = connection_accept,
	.connect = connection_connect,
	.pair = connection_pair,
	.close = connection_close,
	.loops = &loops,
};
