/*
 * SPDX-License-Identifier: MIT
 *
 * libqb's IPC, over shared memory and over sockets, as its manual and its own benchmark (bms and
 * bmc) use it: the partner is the service, the driver its client. A round trip is a request and
 * its response; a stream is requests that are not answered; what the service sends at a rate are
 * events, which are its messages without a request. All bear libqb's headers beside the payload.
 *
 * A service is called with a message and works on it there, so its loops are in the callback: the
 * response leaves from there, before libqb tidies up. Over shared memory it is shown the message
 * in the ring, and copies it out; over sockets libqb has done so. The client receives into a
 * buffer with room for the header, and looks at the payload behind it.
 *
 * The service brings its own poll loop, as libqb allows, which spins or sleeps in poll. It takes up
 * to 50 requests at a time (QB_IPCS_RATE_FAST), libqb's most. The client spins with timeouts of 0,
 * and sleeps in timed waits, for others take no notice of signals. There is nothing to wait for
 * room with: a client tries again, as bmc does; one that may sleep yields before it does.
 *
 * libqb keeps its files in a folder in /dev/shm. The client unlinks all of that once both sides
 * have opened it, so that nothing outlives a kill.
 *
 * The largest message is what sets the size of the rings, so over shared memory it is said to be a
 * ring's worth. Sockets keep the kernel's default unless a message does not fit.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <qb/qbipcc.h>
#include <qb/qbipcs.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "complaint.h"
#include "slice.h"
#include "transport.h"
#include "watch.h"

/* Looks between two questions whether to give up. */
#define LOOKS 65536

/* A wait of a sleeping client is over after so long at the latest, for that question. */
#define SLEEP_MS 100

/* What a ring adds to the largest message, at most, before it rounds up to pages. */
#define MARGIN 16

/* The longest message of sockets that is tried: libqb tries it on the stack. */
#define SOCKET_LONGEST ((size_t)4 << 20)

/* Descriptors of a service: where it listens, a newcomer, and two of its client. */
#define WATCHED 4

/* Our messages. */
#define MESSAGE (QB_IPC_MSG_USER_START + 3)

struct watched {
	qb_ipcs_dispatch_fn_t call;
	void *data;
};

struct service {
	enum qb_ipc_type type;
	bool spins;
	qb_ipcs_service_t *service;
	qb_ipcs_connection_t *connection; /* NULL: not yet, or no more */
	nfds_t first;                     /* that is polled: 1 once nobody else is to come */
	nfds_t count;
	struct pollfd polled[WATCHED];
	struct watched watched[WATCHED];

	/* Of the loop that runs. */
	struct slice *slice;
	struct slice_check *check;
	bool answers;
	int verdict; /* of the last message: 0, SLICE_STOP, or a negative errno */
	uint64_t came;
};

struct client {
	bool spins;
	int timeout; /* of a wait, in ms */
	qb_ipcc_connection_t *connection;
	size_t room; /* in the buffer */
	uint8_t *buffer;
};

/* What both ends begin with: they are one side's or the other's. */
struct end {
	bool serves;
	union {
		struct service service;
		struct client client;
	};
};

static int refused(const char *call, ssize_t err)
{
	return complain((int)err, "%s: %s", call, strerror((int)-err));
}

/* Whether to try again what there was no room, or nothing, for. */
ALWAYS_INLINE int again(bool spins, unsigned *looks)
{
	if ((!spins || !(++*looks % LOOKS)) && watch_abandoned())
		return complain(-ECANCELED, "given up");
	if (spins)
		peal_relax();
	return 0;
}

/* The client. */

ALWAYS_INLINE int client_send(void *at, const void *payload, size_t size)
{
	struct client *client = &((struct end *)at)->client;
	struct qb_ipc_request_header header = {
		.id = MESSAGE,
		.size = (int32_t)(sizeof(header) + size),
	};
	const struct iovec pieces[2] = {
		{ &header, sizeof(header) },
		{ (void *)(uintptr_t)payload, size },
	};
	unsigned looks = 0;
	ssize_t sent;

	while ((sent = qb_ipcc_sendv(client->connection, pieces, 2)) < 0) {
		int err;

		if (sent != -EAGAIN && sent != -ENOBUFS && sent != -EINTR)
			return refused("qb_ipcc_sendv", sent);
		err = again(client->spins, &looks);
		if (err)
			return err;
		if (!client->spins)
			sched_yield();
	}
	return 0;
}

/* A response or an event, whatever the call receives. */
ALWAYS_INLINE int client_take(struct client *client, const char *call,
			      ssize_t (*receive)(qb_ipcc_connection_t *, void *, size_t, int32_t),
			      size_t size, const void **payload)
{
	const size_t header = sizeof(struct qb_ipc_response_header);
	unsigned looks = 0;
	ssize_t came;

	while ((came = receive(client->connection, client->buffer, client->room, client->timeout)) <
	       0) {
		int err;

		if (came != -EAGAIN && came != -ETIMEDOUT && came != -EINTR)
			return refused(call, came);
		err = again(client->spins, &looks);
		if (err)
			return err;
	}
	if (__builtin_expect((size_t)came != header + size, 0))
		return slice_wrong_size(header + size, (size_t)came);
	*payload = client->buffer + header;
	return 0;
}

ALWAYS_INLINE int client_response(void *at, size_t size, const void **payload)
{
	return client_take(&((struct end *)at)->client, "qb_ipcc_recv", qb_ipcc_recv, size,
			   payload);
}

ALWAYS_INLINE int client_event(void *at, size_t size, const void **payload)
{
	return client_take(&((struct end *)at)->client, "qb_ipcc_event_recv", qb_ipcc_event_recv,
			   size, payload);
}

/* The buffer is the client's own. */
ALWAYS_INLINE int client_release(void *at)
{
	(void)at;
	return 0;
}

static const struct verbs client_verbs = {
	.send = client_send,
	.peek = client_response,
	.release = client_release,
};

static const struct verbs event_verbs = {
	.peek = client_event,
	.release = client_release,
};

static int client_ping(void *at, struct slice *slice)
{
	return slice_ping(&client_verbs, at, slice);
}

static int client_produce(void *at, struct slice *slice)
{
	return slice_produce(&client_verbs, at, slice);
}

static int client_arrive(void *at, struct slice *slice)
{
	return slice_arrive(&event_verbs, at, slice);
}

/* The service. libqb does not say for which service it wants a descriptor watched, but it does so
 * only when it is called, and that is for one at a time. */
static struct service *current;

static nfds_t watched_find(int32_t fd)
{
	nfds_t i = 0;

	while (i < current->count && current->polled[i].fd != fd)
		i++;
	return i;
}

static int32_t watched_set(enum qb_loop_priority priority, int32_t fd, int32_t events, void *data,
			   qb_ipcs_dispatch_fn_t call)
{
	nfds_t i = watched_find(fd);

	(void)priority;
	if (i == WATCHED)
		return -EMFILE;
	if (i == current->count)
		current->count++;
	current->polled[i] = (struct pollfd){ .fd = fd, .events = (short)events };
	current->watched[i] = (struct watched){ call, data };
	return 0;
}

static int32_t watched_delete(int32_t fd)
{
	nfds_t i = watched_find(fd);

	if (i == current->count)
		return -ENOENT;
	current->count--;
	memmove(&current->polled[i], &current->polled[i + 1],
		(current->count - i) * sizeof(current->polled[0]));
	memmove(&current->watched[i], &current->watched[i + 1],
		(current->count - i) * sizeof(current->watched[0]));
	return 0;
}

/* Polls once, and has libqb do what there is to do for one descriptor. */
ALWAYS_INLINE int service_step(struct service *service, int timeout)
{
	struct pollfd *polled = service->polled + service->first;
	const nfds_t count = service->count - service->first;
	nfds_t i = 0;
	int ready = poll(polled, count, timeout);

	if (!ready)
		return 0;
	if (ready < 0)
		return watch_retry("poll");
	while (i < count && !polled[i].revents)
		i++;
	if (i < count) {
		const struct watched *watched = &service->watched[service->first + i];
		int fd = polled[i].fd;

		current = service;
		/* It has a complaint of its own if that was what failed. */
		if (watched->call(fd, polled[i].revents, watched->data) < 0)
			watched_delete(fd);
	}
	return 0;
}

/* Steps until something that libqb calls us for has happened. */
ALWAYS_INLINE int service_wait(struct service *service, unsigned *looks)
{
	int err = 0;

	if (service->spins)
		err = again(true, looks);
	if (!err)
		err = service_step(service, service->spins ? 0 : -1);
	return err;
}

static int service_lost(void)
{
	return complain(-ECONNRESET, "the other side has left libqb's service");
}

/* The messages that libqb has for us: at least one. */
ALWAYS_INLINE int service_take(void *at, struct slice_check *check)
{
	struct service *service = &((struct end *)at)->service;
	unsigned looks = 0;
	int err = 0;

	service->check = check;
	service->came = 0;
	service->verdict = 0;
	while (!err && !service->came && !service->verdict)
		err = service->connection ? service_wait(service, &looks) : service_lost();
	service->check = NULL;
	return err ? err : service->verdict;
}

static int service_answer(struct service *service, const void *payload, size_t size)
{
	struct qb_ipc_response_header header = {
		.id = MESSAGE,
		.size = (int32_t)(sizeof(header) + size),
	};
	const struct iovec pieces[2] = {
		{ &header, sizeof(header) },
		{ (void *)(uintptr_t)payload, size },
	};
	unsigned looks = 0;
	ssize_t sent;

	while ((sent = qb_ipcs_response_sendv(service->connection, pieces, 2)) < 0) {
		int err = sent == -EAGAIN || sent == -ENOBUFS || sent == -EINTR ?
				  again(service->spins, &looks) :
				  refused("qb_ipcs_response_sendv", sent);

		if (err)
			return err;
	}
	return 0;
}

/* As slice_get() and slice_put(), in one of the loops below. */
static int service_check(struct service *service, const void *payload, size_t size)
{
	struct slice *slice = service->slice;
	const uint64_t sequence = service->check->sequence;
	int verdict;

	if (service->type == QB_IPC_SHM && size <= slice->size) {
		memcpy(slice->in, payload, size);
		payload = slice->in;
	}
	verdict = slice_check(service->check, payload, size);
	if (verdict || !service->answers)
		return verdict;
	payload_write(slice->out, slice->payload, sequence);
	return service_answer(service, slice->out, slice->size);
}

static int32_t on_message(qb_ipcs_connection_t *connection, void *data, size_t size)
{
	const size_t header = sizeof(struct qb_ipc_request_header);
	struct service *service = qb_ipcs_connection_service_context_get(connection);

	service->came++;
	if (service->verdict)
		return 0;
	if (!service->check || size < header)
		service->verdict = complain(-EPROTO, "a message came that nobody waited for");
	else
		service->verdict = service_check(service, (const uint8_t *)data + header,
						 size - header);
	return 0;
}

static const struct verbs take_verbs = { .take = service_take };

static int service_pong(void *at, struct slice *slice)
{
	struct service *service = &((struct end *)at)->service;
	struct slice_check check = {
		.slice = slice,
		.mask = payload_mask(slice->size),
		.sequence = 1,
	};
	int err = 0;

	service->slice = slice;
	service->answers = true;
	while (!err)
		err = service_take(at, &check);
	slice->messages = check.messages;
	return err < 0 ? err : 0;
}

static int service_consume(void *at, struct slice *slice)
{
	struct service *service = &((struct end *)at)->service;

	service->slice = slice;
	service->answers = false;
	return slice_consume_batches(&take_verbs, at, slice);
}

ALWAYS_INLINE int service_send(void *at, const void *payload, size_t size)
{
	struct service *service = &((struct end *)at)->service;
	struct qb_ipc_response_header header = {
		.id = MESSAGE,
		.size = (int32_t)(sizeof(header) + size),
	};
	const struct iovec pieces[2] = {
		{ &header, sizeof(header) },
		{ (void *)(uintptr_t)payload, size },
	};
	unsigned looks = 0;
	ssize_t sent;

	current = service;
	while ((sent = qb_ipcs_event_sendv(service->connection, pieces, 2)) < 0) {
		int err = sent == -EAGAIN || sent == -ENOBUFS || sent == -EINTR ?
				  again(service->spins, &looks) :
				  refused("qb_ipcs_event_sendv", sent);

		/* The client may not know of all that is there, and hangs up here. */
		if (!err)
			err = service_step(service, 0);
		if (!err && !service->connection)
			err = service_lost();
		if (err)
			return err;
	}
	return 0;
}

static const struct verbs service_verbs = { .send = service_send };

/* Whether libqb waits for room to tell the client of an event. */
static bool service_owes(const struct service *service)
{
	for (nfds_t i = service->first; i < service->count; i++)
		if (service->polled[i].events & POLLOUT)
			return true;
	return false;
}

static int service_pace(void *at, struct slice *slice)
{
	struct service *service = &((struct end *)at)->service;
	unsigned looks = 0;
	int err;

	if (!service->connection)
		return service_lost();
	err = slice_pace(&service_verbs, at, slice);
	while (!err && service_owes(service))
		err = service_wait(service, &looks);
	return err;
}

static const struct loops loops = {
	.run = {
		[TEST_LATENCY] = { client_ping, service_pong },
		[TEST_STREAM] = { client_produce, service_consume },
		[TEST_RATE] = { client_arrive, service_pace },
	},
};

/* Meeting. */

static void on_created(qb_ipcs_connection_t *connection)
{
	struct service *service = qb_ipcs_connection_service_context_get(connection);

	service->connection = connection;
}

static void on_destroyed(qb_ipcs_connection_t *connection)
{
	struct service *service = qb_ipcs_connection_service_context_get(connection);

	service->connection = NULL;
}

/* libqb's name for it, made from the path, which is there once. */
static void name_set(char *name, size_t size, const struct setup *setup)
{
	snprintf(name, size, "%s", setup->path + 1);
	for (; *name; name++)
		if (*name == '/')
			*name = '-';
}

static size_t longest(enum qb_ipc_type type, const struct setup *setup)
{
	return type == QB_IPC_SHM ? setup->ring - MARGIN :
				    setup->size + sizeof(struct qb_ipc_response_header);
}

static struct end *end_new(const struct setup *setup)
{
	struct end *end = calloc(1, sizeof(*end));

	if (!end)
		complain(-ENOMEM, "no memory for an end");
	return end;
}

static int service_listen(enum qb_ipc_type type, const struct setup *setup, void **at)
{
	static struct qb_ipcs_service_handlers handlers = {
		.connection_created = on_created,
		.msg_process = on_message,
		.connection_destroyed = on_destroyed,
	};
	static struct qb_ipcs_poll_handlers poll_handlers = {
		.dispatch_add = watched_set,
		.dispatch_mod = watched_set,
		.dispatch_del = watched_delete,
	};
	struct end *end = end_new(setup);
	char name[sizeof(setup->path)];
	struct service *service;
	int err;

	if (!end)
		return -ENOMEM;
	service = &end->service;
	end->serves = true;
	service->type = type;
	service->spins = setup->wait == WAIT_SPIN;
	name_set(name, sizeof(name), setup);
	service->service = qb_ipcs_create(name, 0, type, &handlers);
	if (!service->service) {
		err = complain_errno("qb_ipcs_create of %s", name);
		free(end);
		return err;
	}
	qb_ipcs_service_context_set(service->service, service);
	qb_ipcs_poll_handlers_set(service->service, &poll_handlers);
	current = service;
	err = qb_ipcs_run(service->service);
	if (err) {
		free(end);
		return refused("qb_ipcs_run", err);
	}
	qb_ipcs_request_rate_limit(service->service, QB_IPCS_RATE_FAST);
	*at = end;
	return 0;
}

static int service_accept(void *at)
{
	struct service *service = &((struct end *)at)->service;
	unsigned looks = 0;
	int err = 0;

	while (!err && !service->connection)
		err = service_wait(service, &looks);
	service->first = 1;
	return err;
}

/* A socket is left there: libqb may have been told to have them in files. */
static void folder_remove(int where, const char *name)
{
	int fd = openat(where, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		if (entry->d_type == DT_REG)
			unlinkat(fd, entry->d_name, 0);
	if (folder)
		closedir(folder);
	else if (fd >= 0)
		close(fd);
	unlinkat(where, name, AT_REMOVEDIR);
}

/* The folders that libqb names after the two processes; earlier ones are gone. */
static void folders_remove(qb_ipcc_connection_t *connection)
{
	DIR *shared = opendir("/dev/shm");
	const struct dirent *entry;
	char begin[64];
	pid_t pid;

	if (!shared || qb_ipcc_auth_get(connection, &pid, NULL, NULL))
		goto close_shared;
	snprintf(begin, sizeof(begin), "qb-%d-%d-", (int)pid, (int)getpid());
	while ((entry = readdir(shared)))
		if (!strncmp(entry->d_name, begin, strlen(begin)))
			folder_remove(dirfd(shared), entry->d_name);
close_shared:
	if (shared)
		closedir(shared);
}

static int client_connect(enum qb_ipc_type type, const struct setup *setup, void **at)
{
	struct end *end = end_new(setup);
	char name[sizeof(setup->path)];
	struct client *client;
	int err;

	if (!end)
		return -ENOMEM;
	client = &end->client;
	client->spins = setup->wait == WAIT_SPIN;
	client->timeout = client->spins ? 0 : SLEEP_MS;
	client->room = setup->size + sizeof(struct qb_ipc_response_header);
	client->buffer = malloc(client->room);
	if (!client->buffer) {
		err = complain(-ENOMEM, "no memory for a buffer");
		goto free_end;
	}
	name_set(name, sizeof(name), setup);
	client->connection = qb_ipcc_connect(name, longest(type, setup));
	if (!client->connection) {
		err = complain_errno("qb_ipcc_connect to %s", name);
		goto free_buffer;
	}
	folders_remove(client->connection);
	*at = end;
	return 0;

free_buffer:
	free(client->buffer);
free_end:
	free(end);
	return err;
}

static void end_close(void *at)
{
	struct end *end = at;

	if (end->serves) {
		current = &end->service;
		qb_ipcs_destroy(end->service.service);
	} else {
		qb_ipcc_disconnect(end->client.connection);
		free(end->client.buffer);
	}
	free(end);
}

static const char *shm_refuse(const struct setup *setup)
{
	if (setup->size + sizeof(struct qb_ipc_response_header) <= longest(QB_IPC_SHM, setup))
		return NULL;
	return "a message and libqb's header do not fit a ring: give a larger --ring or a smaller "
	       "--size";
}

/* libqb asks that it is tried, once, what the kernel takes. */
static const char *socket_refuse(const struct setup *setup)
{
	size_t needed = longest(QB_IPC_SOCKET, setup);

	if (needed <= SOCKET_LONGEST &&
	    qb_ipcc_verify_dgram_max_msg_size(needed) >= (int32_t)needed)
		return NULL;
	return "a message and libqb's header do not fit a socket here: give a smaller --size, or "
	       "raise net.core.wmem_max";
}

static int shm_listen(const struct setup *setup, void **end)
{
	return service_listen(QB_IPC_SHM, setup, end);
}

static int shm_connect(const struct setup *setup, void **end)
{
	return client_connect(QB_IPC_SHM, setup, end);
}

static int socket_listen(const struct setup *setup, void **end)
{
	return service_listen(QB_IPC_SOCKET, setup, end);
}

static int socket_connect(const struct setup *setup, void **end)
{
	return client_connect(QB_IPC_SOCKET, setup, end);
}

const struct transport transport_qb_shm = {
	.name = "qb-shm",
	.about = "libqb's IPC, over shared memory",
	.waits = 1 << WAIT_SPIN | 1 << WAIT_SLEEP,
	.rings = true,
	.processes_only = true,
	.refuse = shm_refuse,
	.listen = shm_listen,
	.accept = service_accept,
	.connect = shm_connect,
	.close = end_close,
	.loops = &loops,
};

const struct transport transport_qb_sock = {
	.name = "qb-sock",
	.about = "libqb's IPC, over sockets",
	.waits = 1 << WAIT_SPIN | 1 << WAIT_SLEEP,
	.processes_only = true,
	.refuse = socket_refuse,
	.listen = socket_listen,
	.accept = service_accept,
	.connect = socket_connect,
	.close = end_close,
	.loops = &loops,
};
