/*
 * SPDX-License-Identifier: MIT
 *
 * ZeroMQ: a PAIR socket on each side, over ipc between processes, and over inproc in one context
 * between threads, which is what its manual has for them. Spinning is asking again with
 * ZMQ_DONTWAIT, with sched_yield in between over ipc, since both sides may have taken the CPU that
 * an I/O thread needs; sleeping is the ordinary blocking call. Payloads are copied by zmq_send and
 * zmq_recv, or written and read in its own messages (zmq_msg_*, in place). Of those that come, the
 * short ones lie where they were read to, at any address, and are copied if that is none for words.
 *
 * The context has one I/O thread, its default, which is what its guide advises for up to a gigabyte
 * a second, and none for inproc alone; it may run on any CPU, as it would if nobody was pinned.
 * ZeroMQ puts small messages together by itself, and has no calls for many at a time. Its
 * high-water marks count messages: half of what the ring has room for on each side, so that all
 * that is under way is about a ring, but for what is in the kernel's socket.
 */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "complaint.h"
#include "roam.h"
#include "slice.h"
#include "transport.h"
#include "watch.h"

/* Looks between two questions whether to give up. */
#define LOOKS 65536

#define INPROC "inproc://pair"

/* One for a process's end, or for both ends of two threads. */
struct context {
	void *zmq;
	unsigned ends; /* that are open; atomic */
};

struct connection {
	struct context *context;
	void *socket;
	int flags;         /* of send and recv */
	bool yields;       /* there is an I/O thread */
	uint8_t *aligned;  /* room for a message */
	zmq_msg_t out, in; /* in place: reserved, and peeked at */
};

/* After a call that failed: 0 if it is to be made again, else an error with a complaint. */
ALWAYS_INLINE int again(const struct connection *connection, const char *call, unsigned *looks)
{
	if (errno != EAGAIN || !(++*looks % LOOKS))
		return watch_retry(call);
	if (connection->yields)
		sched_yield();
	else
		peal_relax();
	return 0;
}

ALWAYS_INLINE int copy_send(void *end, const void *payload, size_t size)
{
	const struct connection *connection = end;
	unsigned looks = 0;

	while (zmq_send(connection->socket, payload, size, connection->flags) < 0) {
		int err = again(connection, "zmq_send", &looks);

		if (err)
			return err;
	}
	return 0;
}

ALWAYS_INLINE int copy_recv(void *end, void *payload, size_t size)
{
	const struct connection *connection = end;
	unsigned looks = 0;
	int came;

	while ((came = zmq_recv(connection->socket, payload, size, connection->flags)) < 0) {
		int err = again(connection, "zmq_recv", &looks);

		if (err)
			return err;
	}
	return __builtin_expect((size_t)came != size, 0) ? slice_wrong_size(size, (size_t)came) : 0;
}

static const struct verbs copy_verbs = { .send = copy_send, .recv = copy_recv };

TRANSPORT_LOOPS(copy_loops, copy_verbs);

ALWAYS_INLINE int place_reserve(void *end, size_t size, void **at)
{
	struct connection *connection = end;

	if (zmq_msg_init_size(&connection->out, size))
		return complain_errno("zmq_msg_init_size");
	*at = zmq_msg_data(&connection->out);
	return 0;
}

ALWAYS_INLINE int place_commit(void *end, size_t size)
{
	struct connection *connection = end;
	unsigned looks = 0;
	int err;

	(void)size;
	while (zmq_msg_send(&connection->out, connection->socket, connection->flags) < 0) {
		err = again(connection, "zmq_msg_send", &looks);
		if (err) {
			zmq_msg_close(&connection->out);
			return err;
		}
	}
	return 0;
}

/* The message that is received into is always a valid one, and may be empty. */
ALWAYS_INLINE int place_peek(void *end, size_t size, const void **at)
{
	struct connection *connection = end;
	unsigned looks = 0;
	int came;

	while ((came = zmq_msg_recv(&connection->in, connection->socket, connection->flags)) < 0) {
		int err = again(connection, "zmq_msg_recv", &looks);

		if (err)
			return err;
	}
	if (__builtin_expect((size_t)came != size, 0))
		return slice_wrong_size(size, (size_t)came);
	*at = zmq_msg_data(&connection->in);
	if ((uintptr_t)*at % sizeof(uint64_t)) {
		memcpy(connection->aligned, *at, size);
		*at = connection->aligned;
	}
	return 0;
}

/* The next zmq_msg_recv lets go of it. */
ALWAYS_INLINE int place_release(void *end)
{
	(void)end;
	return 0;
}

static const struct verbs place_verbs = {
	.reserve = place_reserve,
	.commit = place_commit,
	.peek = place_peek,
	.release = place_release,
};

TRANSPORT_LOOPS(place_loops, place_verbs);

static struct context *context_new(int threads)
{
	struct context *context = calloc(1, sizeof(*context));

	if (!context) {
		complain(-ENOMEM, "no memory for a context");
		return NULL;
	}
	context->zmq = zmq_ctx_new();
	if (!context->zmq || zmq_ctx_set(context->zmq, ZMQ_IO_THREADS, threads)) {
		complain_errno("making a context of ZeroMQ");
		if (context->zmq)
			zmq_ctx_term(context->zmq);
		free(context);
		return NULL;
	}
	return context;
}

static void context_close(struct context *context)
{
	while (zmq_ctx_term(context->zmq) && errno == EINTR)
		;
	free(context);
}

static void connection_close(void *end)
{
	struct connection *connection = end;
	struct context *context = connection->context;

	zmq_msg_close(&connection->in);
	zmq_close(connection->socket);
	free(connection->aligned);
	free(connection);
	/* The last one has all that the others did before it. */
	if (!__atomic_sub_fetch(&context->ends, 1, __ATOMIC_ACQ_REL))
		context_close(context);
}

/* Messages of half a ring, with what ZeroMQ needs for each. */
static int high_water(const struct setup *setup)
{
	uint64_t messages = setup->ring / 2 / (setup->size + sizeof(zmq_msg_t));

	return messages ? (int)messages : 1;
}

/* Nothing that was not taken is waited for when a socket is closed. */
static int socket_set(void *socket, const struct setup *setup)
{
	const int most = high_water(setup), linger = 0;

	return zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof(linger)) ||
			       zmq_setsockopt(socket, ZMQ_SNDHWM, &most, sizeof(most)) ||
			       zmq_setsockopt(socket, ZMQ_RCVHWM, &most, sizeof(most)) ?
		       complain_errno("setting the options of a socket of ZeroMQ") :
		       0;
}

/* NULL: there is none, with a complaint, and the context is as it was. */
static struct connection *connection_new(struct context *context, const struct setup *setup,
					 bool yields)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	struct roam before;

	if (!connection || !(connection->aligned = malloc(setup->size))) {
		complain(-ENOMEM, "no memory for a connection");
		free(connection);
		return NULL;
	}
	connection->context = context;
	connection->yields = yields;
	connection->flags = setup->wait == WAIT_SPIN ? ZMQ_DONTWAIT : 0;
	/* The first socket starts the threads of the context. */
	roam_begin(&before);
	connection->socket = zmq_socket(context->zmq, ZMQ_PAIR);
	roam_end(&before);
	if (!connection->socket) {
		complain_errno("making a socket of ZeroMQ");
		goto free_connection;
	}
	if (socket_set(connection->socket, setup)) {
		zmq_close(connection->socket);
		goto free_connection;
	}
	zmq_msg_init(&connection->in);
	context->ends++;
	return connection;

free_connection:
	free(connection->aligned);
	free(connection);
	return NULL;
}

/* A connection in a context of its own. */
static struct connection *connection_alone(const struct setup *setup)
{
	struct context *context = context_new(ZMQ_IO_THREADS_DFLT);
	struct connection *connection = context ? connection_new(context, setup, true) : NULL;

	if (context && !connection)
		context_close(context);
	return connection;
}

static int attach(const struct connection *connection, const char *address,
		  int (*how)(void *socket, const char *address), const char *doing)
{
	return how(connection->socket, address) ? complain_errno("%s %s", doing, address) : 0;
}

static int attach_path(const struct connection *connection, const struct setup *setup,
		       int (*how)(void *socket, const char *address), const char *doing)
{
	char address[sizeof(setup->path) + 8];

	snprintf(address, sizeof(address), "ipc://%s", setup->path);
	return attach(connection, address, how, doing);
}

/* A word in the handshake, for ZeroMQ connects when it likes; these calls sleep. */
static int word_send(const struct connection *connection)
{
	while (zmq_send(connection->socket, "", 1, 0) < 0) {
		int err = watch_retry("greeting by zmq_send");

		if (err)
			return err;
	}
	return 0;
}

static int word_recv(const struct connection *connection)
{
	char word;

	while (zmq_recv(connection->socket, &word, 1, 0) < 0) {
		int err = watch_retry("waiting for a greeting in zmq_recv");

		if (err)
			return err;
	}
	return 0;
}

static int connection_listen(const struct setup *setup, void **end)
{
	struct connection *connection = connection_alone(setup);
	int err;

	if (!connection)
		return -ENOMEM;
	err = attach_path(connection, setup, zmq_bind, "listening at");
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
	struct connection *connection = connection_alone(setup);
	int err;

	if (!connection)
		return -ENOMEM;
	err = attach_path(connection, setup, zmq_connect, "connecting to");
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
	struct context *context = context_new(0);
	struct connection *one, *two = NULL;
	int err = -ENOMEM;

	if (!context)
		return -ENOMEM;
	one = connection_new(context, setup, false);
	if (!one) {
		context_close(context);
		return -ENOMEM;
	}
	two = connection_new(context, setup, false);
	if (!two)
		goto close_one;
	err = attach(one, INPROC, zmq_bind, "listening at");
	if (!err)
		err = attach(two, INPROC, zmq_connect, "connecting to");
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

const struct transport transport_zmq = {
	.name = "zmq",
	.about = "ZeroMQ, PAIR sockets over ipc, or inproc between threads",
	.waits = 1 << WAIT_SPIN | 1 << WAIT_SLEEP,
	.listen = connection_listen,
	.accept = connection_accept,
	.connect = connection_connect,
	.pair = connection_pair,
	.close = connection_close,
	.loops = &copy_loops,
	.in_place = &place_loops,
};
