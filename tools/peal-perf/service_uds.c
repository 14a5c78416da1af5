/*
 * SPDX-License-Identifier: MIT
 *
 * Unix stream sockets and epoll: what a program would serve clients with, without Peal. Level
 * triggered, so that a request costs one recv, its reply one send, and neither is tried in vain;
 * all who wait are accepted at a time. What comes is what goes back, so the server need not know
 * where a message ends.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <peal/runtime.h>

#include "complaint.h"
#include "meeting.h"
#include "service.h"
#include "stream.h"
#include "watch.h"

#define EVENTS 256
#define SHARE 65536 /* bytes that are taken of a client at a time */

struct server {
	int listener, epoll, stop;
	bool spin;
	uint64_t clients, wakeups; /* atomic: another thread asks */
};

/* What an event is about, if it is not a client's descriptor. */
enum { LISTENER = -1, STOP = -2 };

static int watch_for(int epoll, int fd, int key)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = key };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) ? complain_errno("epoll_ctl") : 0;
}

static void server_close(void *opened)
{
	struct server *server = opened;

	if (server->listener >= 0)
		close(server->listener);
	if (server->epoll >= 0)
		close(server->epoll);
	if (server->stop >= 0)
		close(server->stop);
	free(server);
}

static int server_open(const struct setup *setup, void **opened)
{
	struct server *server = calloc(1, sizeof(*server));
	int err = 0;

	if (!server)
		return complain(-ENOMEM, "no memory for a server");
	server->spin = setup->wait == WAIT_SPIN;
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	server->stop = eventfd(0, EFD_CLOEXEC);
	server->listener = meeting_listen(setup->path, SOCK_STREAM | SOCK_NONBLOCK, SOMAXCONN);
	if (server->listener < 0)
		err = server->listener;
	else if (server->epoll < 0 || server->stop < 0)
		err = complain_errno("making an epoll and an eventfd");
	if (!err)
		err = watch_for(server->epoll, server->listener, LISTENER);
	if (!err)
		err = watch_for(server->epoll, server->stop, STOP);
	if (err)
		server_close(server);
	else
		*opened = server;
	return err;
}

/* Pairs with the loads in server_count; they order nothing. */
static void account(uint64_t *counter, uint64_t more)
{
	__atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

static int server_accept(struct server *server)
{
	for (;;) {
		int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		int err;

		if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR))
			return 0;
		if (fd < 0)
			return complain_errno("accept4");
		err = watch_for(server->epoll, fd, fd);
		if (err) {
			close(fd);
			return err;
		}
		account(&server->clients, 1);
	}
}

/* Closing takes it out of the epoll. */
static void server_drop(struct server *server, int fd)
{
	close(fd);
	account(&server->clients, (uint64_t)-1);
}

static void server_answer(struct server *server, int fd, void *buffer)
{
	ssize_t length = recv(fd, buffer, SHARE, 0);

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length <= 0 || send(fd, buffer, (size_t)length, MSG_NOSIGNAL) != length)
		server_drop(server, fd);
}

static int server_run(void *opened)
{
	struct epoll_event events[EVENTS];
	struct server *server = opened;
	void *buffer = malloc(SHARE);
	bool over = false;
	int err = buffer ? 0 : complain(-ENOMEM, "no memory for a buffer");

	while (!over && !err) {
		int count = epoll_wait(server->epoll, events, EVENTS, server->spin ? 0 : -1);

		account(&server->wakeups, !server->spin);
		if (count < 0 && errno != EINTR)
			err = complain_errno("epoll_wait");
		for (int i = 0; i < count && !err; i++) {
			int key = events[i].data.fd;

			if (key == LISTENER)
				err = server_accept(server);
			else if (key == STOP)
				over = true;
			else
				server_answer(server, key, buffer);
		}
	}
	free(buffer);
	return err;
}

static void server_stop(void *opened)
{
	const struct server *server = opened;
	const uint64_t one = 1;

	if (write(server->stop, &one, sizeof(one)) < 0)
		complain_errno("stopping");
}

static void server_count(void *opened, struct service_count *count)
{
	const struct server *server = opened;

	count->clients = __atomic_load_n(&server->clients, __ATOMIC_RELAXED);
	count->wakeups = __atomic_load_n(&server->wakeups, __ATOMIC_RELAXED);
}

static int visit(const struct setup *setup, const void *request, void *reply, uint64_t *replied)
{
	int socket = meeting_connect(setup->path, SOCK_STREAM);
	int err;

	if (socket < 0)
		return socket;
	err = stream_put(socket, 0, request, setup->size);
	if (!err)
		err = stream_get(socket, 0, reply, setup->size);
	*replied = peal_ticks();
	close(socket);
	return err;
}

struct clients {
	const struct setup *setup;
	int epoll;
	unsigned count;
	char *reply;
	struct client {
		int socket;  /* -1: is no more */
		size_t have; /* bytes of a reply that has begun */
		char *begun;
	} of[];
};

static void leave(void *gathered)
{
	struct clients *clients = gathered;

	for (unsigned i = 0; i < clients->count; i++) {
		if (clients->of[i].socket >= 0)
			close(clients->of[i].socket);
		free(clients->of[i].begun);
	}
	if (clients->epoll >= 0)
		close(clients->epoll);
	free(clients->reply);
	free(clients);
}

static int gather(const struct setup *setup, unsigned most, void **gathered)
{
	struct clients *clients = calloc(1, sizeof(*clients) + most * sizeof(clients->of[0]));

	if (!clients)
		return complain(-ENOMEM, "no memory for clients");
	clients->setup = setup;
	clients->reply = malloc(setup->size);
	clients->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!clients->reply || clients->epoll < 0) {
		int err = complain_errno("epoll_create1, and room for a reply");

		leave(clients);
		return err;
	}
	*gathered = clients;
	return 0;
}

static int join(void *gathered)
{
	struct clients *clients = gathered;
	int socket = meeting_connect(clients->setup->path, SOCK_STREAM);
	int err;

	if (socket < 0)
		return socket;
	err = watch_for(clients->epoll, socket, (int)clients->count);
	if (err)
		close(socket);
	else
		clients->of[clients->count++].socket = socket;
	return err;
}

static int ask(void *gathered, unsigned client, const void *request)
{
	const struct clients *clients = gathered;
	int socket = clients->of[client].socket;
	size_t size = clients->setup->size;
	ssize_t sent = send(socket, request, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (sent < 0)
		return complain_errno("send");
	/* Small requests go as a whole. */
	return stream_put(socket, 0, (const char *)request + sent, size - (size_t)sent);
}

/* Keeps the beginning of a reply; 0, or -ENOMEM. */
static int keep(const struct clients *clients, struct client *client, size_t have)
{
	if (!client->begun)
		client->begun = malloc(clients->setup->size);
	if (!client->begun)
		return complain(-ENOMEM, "no memory for a reply");
	if (!client->have)
		memcpy(client->begun, clients->reply, have);
	client->have = have;
	return 0;
}

/* Of one client what is there; mostly one reply, with one recv. */
static void take(struct clients *clients, unsigned number, service_answered *answered, void *data)
{
	struct client *client = &clients->of[number];
	size_t size = clients->setup->size, have = client->have;
	char *into = have ? client->begun : clients->reply;
	ssize_t came = recv(client->socket, into + have, size - have, MSG_DONTWAIT);
	int err = 0;

	if (came < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (came <= 0)
		err = came ? complain_errno("recv") :
			     complain(-ECONNRESET, "the server has closed the socket");
	else if (have + (size_t)came < size)
		err = keep(clients, client, have + (size_t)came);
	else
		client->have = 0;
	if (!err && !client->have)
		answered(data, number, into, (ssize_t)size);
	if (!err)
		return;
	close(client->socket);
	client->socket = -1;
	answered(data, number, NULL, err);
}

/* epoll_wait, but in nanoseconds, where the kernel has that (Linux 5.11). */
static int wait_for(int epoll, struct epoll_event *events, int64_t ns)
{
	static bool absent;
	struct timespec time = { .tv_sec = (time_t)(ns / 1000000000),
				 .tv_nsec = (long)(ns % 1000000000) };
	struct pollfd poller = { .fd = epoll, .events = POLLIN };

#ifdef SYS_epoll_pwait2
	if (!absent) {
		long count = syscall(SYS_epoll_pwait2, epoll, events, EVENTS, &time, NULL, 0);

		if (count >= 0 || errno != ENOSYS)
			return (int)count;
		absent = true;
	}
#endif
	return ppoll(&poller, 1, &time, NULL) <= 0 ? 0 : epoll_wait(epoll, events, EVENTS, 0);
}

static int answers(void *gathered, int64_t ns, service_answered *answered, void *data)
{
	struct clients *clients = gathered;
	struct epoll_event events[EVENTS];
	int count;

	if (clients->setup->wait == WAIT_SPIN)
		ns = 0;
	count = wait_for(clients->epoll, events, ns);
	if (count < 0)
		return watch_retry("epoll_pwait2");
	for (int i = 0; i < count; i++)
		take(clients, (unsigned)events[i].data.fd, answered, data);
	return watch_abandoned() ? complain(-ECANCELED, "given up") : 0;
}

const struct service service_uds = {
	.open = server_open,
	.run = server_run,
	.stop = server_stop,
	.count = server_count,
	.close = server_close,
	.visit = visit,
	.gather = gather,
	.join = join,
	.ask = ask,
	.answers = answers,
	.leave = leave,
};
