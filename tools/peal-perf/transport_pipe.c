/*
 * SPDX-License-Identifier: MIT
 *
 * Pipes: one in each direction, made by its writer, who hands the end to be read from to the other
 * side. Spinning is asking again without waiting; sleeping is the ordinary blocking call. The
 * kernel's default size of a pipe is kept.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "complaint.h"
#include "meeting.h"
#include "slice.h"
#include "transport.h"
#include "watch.h"

struct pipes {
	int to, from;
	int listener; /* -1: has been closed */
	int flags;    /* of the descriptors */
};

/* A reader that is gone is an error here, not a signal: watch_begin() sees to that. */
ALWAYS_INLINE int pipe_send(void *end, const void *payload, size_t size)
{
	const struct pipes *pipes = end;
	const uint8_t *from = payload;

	while (size) {
		ssize_t sent = write(pipes->to, from, size);

		if (sent >= 0) {
			from += sent;
			size -= (size_t)sent;
		} else {
			int err = watch_retry("write");

			if (err)
				return err;
		}
	}
	return 0;
}

ALWAYS_INLINE int pipe_recv(void *end, void *payload, size_t size)
{
	const struct pipes *pipes = end;
	uint8_t *to = payload;

	while (size) {
		ssize_t came = read(pipes->from, to, size);

		if (came > 0) {
			to += came;
			size -= (size_t)came;
		} else if (!came) {
			return complain(-ECONNRESET, "the other side has closed its pipe");
		} else {
			int err = watch_retry("read");

			if (err)
				return err;
		}
	}
	return 0;
}

static const struct verbs verbs = { .send = pipe_send, .recv = pipe_recv };

TRANSPORT_LOOPS(loops, verbs);

static struct pipes *pipes_new(const struct setup *setup)
{
	struct pipes *pipes = malloc(sizeof(*pipes));

	if (!pipes) {
		complain(-ENOMEM, "no memory for pipes");
		return NULL;
	}
	pipes->to = pipes->from = pipes->listener = -1;
	pipes->flags = O_CLOEXEC | (setup->wait == WAIT_SPIN ? O_NONBLOCK : 0);
	return pipes;
}

static void pipes_close(void *end)
{
	struct pipes *pipes = end;

	if (pipes->to >= 0)
		close(pipes->to);
	if (pipes->from >= 0)
		close(pipes->from);
	if (pipes->listener >= 0)
		close(pipes->listener);
	free(pipes);
}

/* Makes the own pipe, and keeps no end that the other side reads: so it notices when we are
 * gone. */
static int pipes_offer(struct pipes *pipes, int socket)
{
	int made[2], err;

	if (pipe2(made, pipes->flags))
		return complain_errno("making a pipe");
	pipes->to = made[1];
	err = meeting_give(socket, &made[0], 1);
	close(made[0]);
	return err;
}

static int pipes_exchange(struct pipes *pipes, int socket)
{
	int err = pipes_offer(pipes, socket);

	return err ? err : meeting_take(socket, &pipes->from, 1);
}

static int pipes_listen(const struct setup *setup, void **end)
{
	struct pipes *pipes = pipes_new(setup);
	int listener;

	if (!pipes)
		return -ENOMEM;
	listener = meeting_listen(setup->path, SOCK_SEQPACKET, 1);
	if (listener < 0) {
		pipes_close(pipes);
		return listener;
	}
	pipes->listener = listener;
	*end = pipes;
	return 0;
}

static int pipes_accept(void *end)
{
	struct pipes *pipes = end;
	int socket = meeting_accept(pipes->listener);
	int err;

	if (socket < 0)
		return socket;
	err = pipes_exchange(pipes, socket);
	close(socket);
	close(pipes->listener);
	pipes->listener = -1;
	return err;
}

static int pipes_connect(const struct setup *setup, void **end)
{
	struct pipes *pipes = pipes_new(setup);
	int socket, err;

	if (!pipes)
		return -ENOMEM;
	socket = meeting_connect(setup->path, SOCK_SEQPACKET);
	err = socket < 0 ? socket : pipes_exchange(pipes, socket);
	if (socket >= 0)
		close(socket);
	if (err) {
		pipes_close(pipes);
		return err;
	}
	*end = pipes;
	return 0;
}

static int pipes_pair(const struct setup *setup, void *ends[2])
{
	struct pipes *one = pipes_new(setup), *two = pipes_new(setup);
	int there[2] = { -1, -1 }, back[2] = { -1, -1 };
	int err = -ENOMEM;

	if (!one || !two)
		goto free_both;
	if (pipe2(there, one->flags) || pipe2(back, two->flags)) {
		err = complain_errno("making a pipe");
		goto close_there;
	}
	one->to = there[1];
	two->from = there[0];
	two->to = back[1];
	one->from = back[0];
	ends[0] = one;
	ends[1] = two;
	return 0;

close_there:
	for (int i = 0; i < 2; i++)
		if (there[i] >= 0)
			close(there[i]);
free_both:
	free(one);
	free(two);
	return err;
}

const struct transport transport_pipe = {
	.name = "pipe",
	.about = "two pipes",
	.waits = 1 << WAIT_SPIN | 1 << WAIT_SLEEP,
	.listen = pipes_listen,
	.accept = pipes_accept,
	.connect = pipes_connect,
	.pair = pipes_pair,
	.close = pipes_close,
	.loops = &loops,
};
