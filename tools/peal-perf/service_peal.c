/*
 * SPDX-License-Identifier: MIT
 *
 * Peal's server of peal/server.h, with one worker, and its clients: links that come and go, or many
 * of them in a set.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include <peal.h>

#include "complaint.h"
#include "library.h"
#include "service.h"

#define LONGEST(ring) ((ring)-16) /* message that is one record */

static void echo(void *data, struct peal_request *request)
{
	(void)data;
	/* There is room; what has become of a client that is gone meanwhile, it sees itself. */
	peal_reply(request, request->data, request->length, 0);
}

static int server_open(const struct setup *setup, void **opened)
{
	struct peal_server_options options;
	struct peal_server *server;
	struct peal_options link;
	int err;

	library_options(&link, setup);
	/* A server of sockets waits for ever; this one at least as long as its clients do. */
	link.handshake_ns = SERVICE_PATIENCE_NS;
	peal_server_options_init(&options);
	options.link = &link;
	options.reply = setup->size;
	options.flags = PEAL_SERVER_RAISE_NOFILE;
	options.handlers.message = echo;
	err = peal_server_open(&server, setup->path, &options);
	if (err)
		return library_refused("peal_server_open", err);
	*opened = server;
	return 0;
}

static int server_run(void *server)
{
	int err = peal_server_run(server);

	return err ? library_refused("peal_server_run", err) : 0;
}

static void server_stop(void *server)
{
	peal_server_stop(server);
}

static void server_count(void *server, struct service_count *count)
{
	struct peal_server_counters counters = { .size = sizeof(counters) };

	if (peal_server_count(server, &counters))
		return;
	count->clients = counters.clients;
	count->wakeups = counters.wakeups;
}

static void server_close(void *server)
{
	peal_server_close(server);
}

/* One link. Its messages are no longer than a record, so nothing is set aside for longer ones. */
static int reach(const struct setup *setup, struct peal_link **link)
{
	struct peal_options options;
	int err;

	library_options(&options, setup);
	options.max_message = LONGEST(setup->ring);
	err = peal_connect(link, setup->path, &options, SERVICE_PATIENCE_NS);
	return err ? library_refused("peal_connect", err) : 0;
}

static int visit(const struct setup *setup, const void *request, void *reply, uint64_t *replied)
{
	struct peal_link *link;
	ssize_t length;
	int err = reach(setup, &link);

	if (err)
		return err;
	err = peal_send(peal_link_tx(link), request, setup->size, 0, SERVICE_PATIENCE_NS);
	if (err) {
		library_refused("peal_send", err);
		goto close_link;
	}
	length = peal_recv(peal_link_rx(link), reply, setup->size, NULL, SERVICE_PATIENCE_NS);
	*replied = peal_ticks();
	if (length < 0)
		err = library_refused("peal_recv", (int)length);
	else if (length != (ssize_t)setup->size)
		err = complain(-EBADMSG, "a reply has %zd bytes", length);

close_link:
	peal_close(link);
	return err;
}

struct clients {
	const struct setup *setup;
	struct peal_set *set;
	void *reply;
	unsigned count;
	struct client {
		struct peal_link *link; /* NULL: is no more */
		struct peal_tx *tx;
		struct peal_rx *rx;
	} of[];
};

static void leave(void *gathered)
{
	struct clients *clients = gathered;

	for (unsigned i = 0; i < clients->count; i++)
		peal_close(clients->of[i].link);
	peal_set_free(clients->set);
	free(clients->reply);
	free(clients);
}

static int gather(const struct setup *setup, unsigned most, void **gathered)
{
	struct clients *clients = calloc(1, sizeof(*clients) + most * sizeof(clients->of[0]));
	int err;

	if (!clients)
		return complain(-ENOMEM, "no memory for clients");
	clients->setup = setup;
	clients->reply = malloc(setup->size);
	err = clients->reply ? peal_set_create(&clients->set) : -ENOMEM;
	if (err) {
		library_refused("peal_set_create", err);
		leave(clients);
		return err;
	}
	*gathered = clients;
	return 0;
}

static int join(void *gathered)
{
	struct clients *clients = gathered;
	struct client *client = &clients->of[clients->count];
	int err = reach(clients->setup, &client->link);

	if (err)
		return err;
	err = peal_set_add(clients->set, client->link, client);
	if (err) {
		library_refused("peal_set_add", err);
		peal_close(client->link);
		client->link = NULL;
		return err;
	}
	client->tx = peal_link_tx(client->link);
	client->rx = peal_link_rx(client->link);
	clients->count++;
	return 0;
}

static int ask(void *gathered, unsigned client, const void *request)
{
	const struct clients *clients = gathered;
	int err = peal_send(clients->of[client].tx, request, clients->setup->size, 0, 0);

	return !err || err == -EAGAIN ? err : library_refused("peal_send", err);
}

/* Of one client whatever there is. */
static void take(struct clients *clients, struct client *client, service_answered *answered,
		 void *data)
{
	unsigned number = (unsigned)(client - clients->of);
	ssize_t length;

	for (;;) {
		length = peal_recv(client->rx, clients->reply, clients->setup->size, NULL, 0);
		if (length == -EAGAIN)
			return;
		if (length < 0)
			break;
		answered(data, number, clients->reply, length);
	}
	library_refused("peal_recv", (int)length);
	answered(data, number, NULL, length);
	peal_close(client->link);
	client->link = NULL;
}

static int answers(void *gathered, int64_t ns, service_answered *answered, void *data)
{
	struct clients *clients = gathered;
	int count = peal_set_wait(clients->set, ns);
	void *client;

	if (count == -EAGAIN || count == -ETIMEDOUT)
		return 0;
	if (count < 0)
		return library_refused("peal_set_wait", count);
	while (peal_set_next(clients->set, &client))
		take(clients, client, answered, data);
	return 0;
}

const struct service service_peal = {
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
