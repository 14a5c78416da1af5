/*
 * SPDX-License-Identifier: MIT
 *
 * Replies of a server: in the handler, to the request at hand; and later, from any thread, by its
 * token. How they wait for room is in worker.c.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/large.h"
#include "lib/worker.h"

static struct worker *worker_of(const struct peal_request *request)
{
	return &request->server->workers[request->token.worker];
}

/* The client whose message this is, in its handler. NULL: *err says why not. */
static struct client *find_handled(struct peal_request *request, struct worker **worker, int *err)
{
	struct peal_server *server = request->server;
	struct client *client;

	*worker = worker_of(request);
	if (server->stale) {
		*err = server_stale();
		return NULL;
	}
	client = request->link ? (*worker)->handling : NULL;
	/* Its only writer is this thread. */
	if (!client ||
	    __atomic_load_n(&client->number, __ATOMIC_RELAXED) != request->token.client) {
		*err = error_literal(
			-EINVAL,
			"this request's handler has returned: use peal_server_reply, with its token");
		return NULL;
	}
	if (client->first) {
		*err = error_literal(
			-EAGAIN,
			"replies to this client wait for room: use peal_server_reply to queue behind them");
		return NULL;
	}
	return client;
}

static int check_flags(uint32_t flags)
{
	if (flags & ~PEAL_REPLY_MORE)
		return error_set(-EINVAL, "a reply's flags are 0x%x: pass PEAL_REPLY_MORE or 0",
				 flags);
	return 0;
}

static int reply(struct peal_request *request, const void *data, size_t length, uint32_t flags)
{
	struct worker *worker;
	struct client *client;
	int err = check_flags(flags);

	if (err)
		return err;
	client = find_handled(request, &worker, &err);
	if (!client)
		return err;
	if (length > client->link->tx.largest)
		return large_too_long(&client->link->tx, length);
	return worker_send(worker, client, data, length, request->token.tag, flags);
}

int peal_reply(struct peal_request *request, const void *data, size_t length, uint32_t flags)
{
	int err;

	PEAL_DEBUG_ENTER(worker_of(request));
	err = reply(request, data, length, flags);
	PEAL_DEBUG_LEAVE(worker_of(request));
	return err;
}

int peal_reply_reserve(struct peal_request *request, size_t length, void **at)
{
	struct worker *worker;
	struct client *client;
	int err = 0;

	PEAL_DEBUG_ENTER(worker_of(request));
	client = find_handled(request, &worker, &err);
	if (client)
		err = peal_reserve(&client->link->tx, length, at, 0);
	PEAL_DEBUG_LEAVE(worker_of(request));
	return err;
}

static int reply_commit(struct peal_request *request, size_t length, uint32_t flags)
{
	struct worker *worker;
	struct client *client;
	int err = check_flags(flags);

	if (err)
		return err;
	client = find_handled(request, &worker, &err);
	return client ? worker_commit(worker, client, length, request->token.tag, flags) : err;
}

int peal_reply_commit(struct peal_request *request, size_t length, uint32_t flags)
{
	int err;

	PEAL_DEBUG_ENTER(worker_of(request));
	err = reply_commit(request, length, flags);
	PEAL_DEBUG_LEAVE(worker_of(request));
	return err;
}

int peal_reply_error(struct peal_request *request, int error, const char *sentence)
{
	struct worker *worker;
	struct client *client;
	int err = 0;

	PEAL_DEBUG_ENTER(worker_of(request));
	client = find_handled(request, &worker, &err);
	if (client)
		err = worker_send_error(worker, client, request->token.tag, error, sentence);
	PEAL_DEBUG_LEAVE(worker_of(request));
	return err;
}

static int gone(void)
{
	return error_literal(-EPIPE, "the client of this token has gone");
}

/* The slot of a token's client, and its worker. NULL: *err says why not; -EPIPE: the slot has
 * another client now, or none. */
static struct client *find(const struct peal_server *server, struct peal_token token,
			   struct worker **worker, int *err)
{
	uint32_t index = clients_worker(token.client);
	bool ours = index < server->count && index == token.worker;
	struct client *client = NULL;

	*worker = &server->workers[ours ? index : 0];
	if (server->stale) {
		*err = server_stale();
		return NULL;
	}
	if (ours)
		client = clients_slot(&(*worker)->clients, token.client);
	if (!client) {
		*err = error_literal(-EINVAL, "this is no token of this server");
		return NULL;
	}
	if (clients_have(client, token.client))
		return client;
	*err = gone();
	return NULL;
}

int peal_server_has(const struct peal_server *server, struct peal_token token)
{
	struct worker *worker;
	int err = 0;

	return find(server, token, &worker, &err) ? 0 : err;
}

int peal_server_drop(struct peal_server *server, struct peal_token token)
{
	struct worker *worker;
	struct drop *drop;
	int err = 0;

	if (!find(server, token, &worker, &err))
		return err;
	drop = malloc(sizeof(*drop));
	if (!drop)
		return error_literal(-ENOMEM, "no memory to drop a client: free some");
	drop->item.kind = ITEM_DROP;
	drop->number = token.client;
	worker_post(worker, &drop->item);
	return 0;
}

/* Takes a reply to the worker of its client, with a copy of the data. */
static int send_later(struct peal_server *server, struct peal_token token, struct worker *worker,
		      struct client *client, const struct reply *like, const void *data,
		      size_t length)
{
	uint64_t most = server->options.queue, size = reply_size(length), waits;
	struct reply *reply = malloc(sizeof(*reply) + length + 1);

	if (!reply)
		return error_set(-ENOMEM, "no memory for a reply of %zu bytes: free some", length);
	*reply = *like;
	reply->item = (struct item){ .kind = ITEM_REPLY };
	reply->token = token;
	reply->length = length;
	if (length)
		memcpy(reply->data, data, length);
	reply->data[length] = 0;
	/* Pairs with the subtraction in worker.c, for its amount only. */
	waits = __atomic_fetch_add(&client->queued, size, __ATOMIC_RELAXED);
	if (waits && waits + size > most) {
		__atomic_fetch_sub(&client->queued, size, __ATOMIC_RELAXED); /* likewise */
		free(reply);
		return error_set(
			-EAGAIN,
			"%llu bytes of replies wait for this client, of %llu (options.queue): try again later",
			(unsigned long long)waits, (unsigned long long)most);
	}
	if (worker_is_here(worker))
		worker_reply(worker, client, reply);
	else
		worker_post(worker, &reply->item);
	return 0;
}

int peal_server_reply(struct peal_server *server, struct peal_token token, const void *data,
		      size_t length, uint32_t flags)
{
	const struct reply like = { .flags = flags };
	struct worker *worker;
	struct client *client;
	uint64_t longest;
	int err = check_flags(flags);

	if (err)
		return err;
	client = find(server, token, &worker, &err);
	if (!client)
		return err;
	/* Pairs with the store in worker.c; where it is of one who came later, the number is
	 * another's, too. */
	longest = __atomic_load_n(&client->longest, __ATOMIC_ACQUIRE);
	if (length > longest || length > server->options.queue) {
		if (!clients_have(client, token.client))
			return gone();
		return error_set(
			-EMSGSIZE,
			"a reply of %zu bytes: the client accepts %llu, and options.queue is %llu",
			length, (unsigned long long)longest,
			(unsigned long long)server->options.queue);
	}
	if (worker_is_here(worker) && !client->first && length <= client->link->tx.largest) {
		err = worker_send(worker, client, data, length, token.tag, flags);
		if (err != -EAGAIN)
			return err;
	}
	return send_later(server, token, worker, client, &like, data, length);
}

int peal_server_reply_error(struct peal_server *server, struct peal_token token, int error,
			    const char *sentence)
{
	const struct reply like = { .err = error };
	struct worker *worker;
	size_t length;
	int err = 0;
	struct client *client = find(server, token, &worker, &err);

	if (!client)
		return err;
	if (error >= 0 || error < -4095)
		return error_set(-EINVAL, "an error reply of %d: pass a negative errno", error);
	/* Pairs with the store in worker.c. */
	if (!__atomic_load_n(&client->calls, __ATOMIC_RELAXED))
		return error_literal(
			-EOPNOTSUPP,
			"the client does not know of calls (PEAL_CALLS): send it a message that says so");
	if (worker_is_here(worker) && !client->first) {
		err = worker_send_error(worker, client, token.tag, error, sentence);
		if (err != -EAGAIN)
			return err;
	}
	if (!sentence)
		sentence = "";
	length = strnlen(sentence, PEAL_SENTENCE - 1);
	return send_later(server, token, worker, client, &like, sentence, length);
}

struct peal_request *peal_request_keep(struct peal_request *request)
{
	struct peal_request *kept = malloc(sizeof(*kept) + request->length);

	if (!kept) {
		error_set(-ENOMEM, "no memory to keep a request of %zu bytes: free some",
			  request->length);
		return NULL;
	}
	*kept = *request;
	kept->link = NULL;
	kept->data = kept + 1;
	if (request->length)
		memcpy(kept + 1, request->data, request->length);
	return kept;
}

void peal_request_free(struct peal_request *kept)
{
	free(kept);
}
