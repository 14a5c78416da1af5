/*
 * SPDX-License-Identifier: MIT
 *
 * Workers: each serves the links in its set, a turn of each in a round, and nobody else touches
 * them. What the program is called for, and what becomes of a client that does not read, is here;
 * who makes workers and what they share is in server.c.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bell.h"
#include "lib/error.h"
#include "lib/large.h"
#include "lib/listen.h"
#include "lib/ring.h"
#include "lib/worker.h"

/* What the set listens to besides links. */
enum { WATCH_BELL, WATCH_LISTENER, WATCH_TIMER };

/* A buffer that is longer is not kept from turn to turn. */
#define BUFFER_KEEP ((size_t)1 << 20)
#define BUFFER_FIRST ((size_t)4096)

/* Rounds of a worker that always has something to do, between two things that can wait. */
#define CHORE_ROUNDS 64u

/* The worker whose callbacks this thread is in, or could be. */
static __thread const struct worker *here;

bool worker_is_here(const struct worker *worker)
{
	return here == worker;
}

static void count(uint64_t *counter, uint64_t by)
{
	peal_count(counter, by);
}

void worker_wake(struct worker *worker)
{
	if (worker->bell_is_timer)
		platform_timer_set(worker->bell, 1);
	else
		platform_ring_eventfd(worker->bell);
}

static void clear_bell(struct worker *worker)
{
	if (worker->bell_is_timer)
		platform_timer_set(worker->bell, 0);
	else
		platform_clear_eventfd(worker->bell);
}

void worker_post(struct worker *worker, struct item *item)
{
	if (inbox_put(&worker->inbox, item))
		worker_wake(worker);
}

static struct client *of_active(struct order *order)
{
	return (struct client *)(void *)((char *)order - offsetof(struct client, active));
}

static struct client *of_slow(struct order *order)
{
	return (struct client *)(void *)((char *)order - offsetof(struct client, slow));
}

static struct client *slowest(struct worker *worker)
{
	struct order *oldest = order_oldest(&worker->slow);

	return oldest == &worker->slow ? NULL : of_slow(oldest);
}

/* Tells other threads who has been slow for longest. */
static void tell_slowest(struct worker *worker)
{
	const struct client *client = slowest(worker);

	pthread_mutex_lock(&worker->slow_lock);
	worker->slow_since = client ? client->slow_since : 0;
	if (client)
		worker->slow_peer = client->link->peer;
	pthread_mutex_unlock(&worker->slow_lock);
}

/* The client is slow from here on, if it was not before; it is looked after when it has the room
 * that the last verb found none of. */
static void stall(struct worker *worker, struct client *client)
{
	if (!client->slow_since) {
		client->slow_since = platform_now();
		order_join(&worker->slow, &client->slow);
		count(&worker->counts.stalls, 1);
		count(&worker->counts.slow_clients, 1);
		if (slowest(worker) == client)
			tell_slowest(worker);
		ring_sample_rx(client->link, client->slow_since);
	}
	/* Also if it had some room meanwhile. */
	bell_stalled(&client->link->room, client->slow_since);
	if (!client->muted && worker->server->options.slow != PEAL_SLOW_DROP) {
		client->muted = true;
		set_mute(worker->set, client->link, true);
	}
	peal_set_want_room(worker->set, client->link);
}

static void recover(struct worker *worker, struct client *client)
{
	bool first = slowest(worker) == client;

	if (client->muted)
		set_mute(worker->set, client->link, false);
	client->muted = false;
	client->slow_since = 0;
	bell_stalled(&client->link->room, 0);
	order_leave(&client->slow);
	count(&worker->counts.slow_clients, (uint64_t)-1);
	if (first)
		tell_slowest(worker);
}

/* A reply that was on its way to a slot is not any more. */
static void take_off(struct client *client, const struct reply *reply)
{
	/* Pairs with the addition in server.c, for its amount only. */
	__atomic_fetch_sub(&client->queued, reply_size(reply->length), __ATOMIC_RELAXED);
}

static void lose(struct worker *worker, struct client *client, struct reply *reply)
{
	if (client)
		take_off(client, reply);
	count(&worker->counts.lost, 1);
	free(reply);
}

/* Takes the first reply that waits out of the list. */
static struct reply *next_reply(struct client *client)
{
	struct item *item = client->first;

	client->first = item->next;
	if (!client->first)
		client->end = &client->first;
	return (struct reply *)(void *)item;
}

static void lose_all(struct worker *worker, struct client *client)
{
	while (client->first)
		lose(worker, client, next_reply(client));
}

/* The client has gone, or is to go: the program is told, and the link is closed later. */
static void end(struct worker *worker, struct client *client, int reason)
{
	const struct peal_handlers *handlers = &worker->server->options.handlers;

	if (client->doomed)
		return;
	client->doomed = true;
	clients_hide(client);
	lose_all(worker, client);
	if (client->slow_since)
		recover(worker, client);
	order_leave(&client->active);
	count(&worker->counts.clients, (uint64_t)-1);
	client->next = worker->leaving;
	worker->leaving = client;
	if (reason == PEAL_END_IDLE || reason == PEAL_END_SLOW)
		count(&worker->counts.disconnected, 1);
	/* Who has gone by itself need not be told soon. */
	client->late = reason == PEAL_END_CLOSED || reason == PEAL_END_DIED;
	if (handlers->closed && !worker->server->stale)
		handlers->closed(worker->server->options.data, client->link, client->data, reason);
}

static void end_by(struct worker *worker, struct client *client, int err)
{
	end(worker, client,
	    err == -EPIPE      ? PEAL_END_CLOSED :
	    err == -ECONNRESET ? PEAL_END_DIED :
	    err == -EPROTO     ? PEAL_END_LIED :
				 PEAL_END_FAILED);
}

/* A link is none of this worker's any more, nor one of the server's. */
static void forget_link(struct worker *worker, const struct peal_link *link)
{
	if (worker->server->limited)
		listen_forget(worker->server->listener, link->peer.uid);
	/* Pairs with the addition in server.c, for its amount only. */
	__atomic_fetch_sub(&worker->load, 1, __ATOMIC_RELAXED);
}

void worker_dismiss(struct worker *worker, struct peal_link *link)
{
	forget_link(worker, link);
	peal_close(link);
}

/* Takes those who go out of the set, which forgets what is ready: not in the midst of a round. */
static void sweep(struct worker *worker)
{
	while (worker->leaving) {
		struct client *client = worker->leaving;
		struct peal_link *link = client->link;

		worker->leaving = client->next;
		forget_link(worker, link);
		if (client->late && worker->late_count < WORKER_LATE) {
			peal_set_remove(worker->set, link);
			worker->late[worker->late_count++] = link;
		} else {
			peal_close(link);
		}
		clients_give(&worker->clients, client);
	}
}

/* Something that can wait. False: there is nothing of that kind. */
static bool tidy(struct worker *worker)
{
	struct peal_server *server = worker->server;

	if (worker->late_count) {
		peal_close(worker->late[--worker->late_count]);
		return true;
	}
	if (worker->index || !server->preparing)
		return false;
	server->preparing = listen_prepare(server->listener, server->options.ready) == 1;
	return true;
}

static bool has_chores(const struct worker *worker)
{
	return worker->late_count || (!worker->index && worker->server->preparing);
}

int worker_send(struct worker *worker, struct client *client, const void *data, size_t length,
		uint32_t tag, uint32_t flags)
{
	struct peal_tx *tx = &client->link->tx;
	int err = flags & PEAL_REPLY_MORE ? peal_send(tx, data, length, tag, 0) :
					    peal_send_last(tx, data, length, tag, 0);

	if (!err)
		count(&worker->counts.replies, 1);
	return err;
}

int worker_commit(struct worker *worker, struct client *client, size_t length, uint32_t tag,
		  uint32_t flags)
{
	struct peal_tx *tx = &client->link->tx;
	int err = flags & PEAL_REPLY_MORE ? peal_commit(tx, length, tag) :
					    peal_commit_last(tx, length, tag);

	if (!err)
		count(&worker->counts.replies, 1);
	return err;
}

int worker_send_error(struct worker *worker, struct client *client, uint32_t tag, int err,
		      const char *sentence)
{
	int sent = peal_send_error(&client->link->tx, tag, err, sentence, 0);

	if (!sent)
		count(&worker->counts.replies, 1);
	return sent;
}

/* Sends a reply that has its turn, or a part of it. */
static int send_reply(struct worker *worker, struct client *client, struct reply *reply)
{
	struct peal_tx *tx = &client->link->tx;
	struct peal_sending *sending = &reply->sending;
	int err;

	if (reply->err)
		return worker_send_error(worker, client, reply->token.tag, reply->err,
					 (const char *)reply->data);
	if (reply->length <= tx->largest)
		return worker_send(worker, client, reply->data, reply->length, reply->token.tag,
				   reply->flags);
	sending->data = reply->data;
	sending->length = reply->length;
	sending->tag = reply->token.tag;
	err = large_send_part(tx, sending, reply->flags & PEAL_REPLY_MORE ? 0 : PEAL_HEADER_LAST,
			      0);
	if (!err)
		count(&worker->counts.replies, 1);
	return err;
}

/* Bytes of room that a reply needs which one record holds. */
static uint64_t room_of(const struct reply *reply)
{
	return reply->err ? sizeof(uint64_t) + reply->length : reply->length;
}

/* There was not so much room. The client is slow until there is some more, or it would be woken for
 * with each message that it reads; false: there is some more now. */
static bool lacks_room(struct worker *worker, struct client *client, uint64_t room)
{
	struct peal_tx *tx = &client->link->tx;
	uint64_t more = room + (tx->mask + 1) / 4;

	/* An error's record may be longer than the client's messages. */
	if (room <= tx->largest) {
		ring_want(tx, more < tx->largest ? more : tx->largest);
		if (bell_is_news(client->link, PEAL_ROOM))
			return false;
	}
	stall(worker, client);
	return true;
}

/* Sends what there is room for of the replies that wait: 0: all; -EAGAIN: not yet, and the client
 * is slow; else it has gone, and so have they. */
static int send_waiting(struct worker *worker, struct client *client)
{
	while (client->first) {
		struct reply *reply = (struct reply *)(void *)client->first;
		int err = send_reply(worker, client, reply);

		if (err == -EAGAIN) {
			if (reply->sending.data)
				stall(worker, client);
			else if (!lacks_room(worker, client, room_of(reply)))
				continue;
			return err;
		}
		if (ring_ends(err)) {
			lose_all(worker, client);
			return err;
		}
		next_reply(client);
		if (err) { /* what cannot be sent now never can */
			lose(worker, client, reply);
		} else {
			take_off(client, reply);
			free(reply);
		}
	}
	return 0;
}

void worker_reply(struct worker *worker, struct client *client, struct reply *reply)
{
	bool waits = client->first != NULL;

	reply->item.next = NULL;
	*client->end = &reply->item;
	client->end = &reply->item.next;
	if (waits || send_waiting(worker, client) == -EAGAIN)
		count(&worker->counts.queued, 1);
}

/* Whether a message may be handed out: the replies before it are sent, and there is room for the
 * one that was promised. If not, the client is slow. */
static bool may_hand_out(struct worker *worker, struct client *client)
{
	struct peal_tx *tx = &client->link->tx;
	uint64_t room = worker->server->promise;
	void *at;

	if (send_waiting(worker, client) == -EAGAIN)
		return false;
	if (room > tx->largest)
		room = tx->largest;
	if (peal_reserve_is_slow(tx, room) && peal_reserve(tx, room, &at, 0) == -EAGAIN &&
	    lacks_room(worker, client, room))
		return false;
	/* Also one who has gone is heard to the end. */
	tx->reserved = 0;
	if (client->slow_since)
		recover(worker, client);
	return true;
}

static int grow(struct worker *worker, uint64_t length)
{
	uint64_t size = BUFFER_FIRST;
	uint8_t *buffer;

	while (size < length)
		size *= 2;
	/* What is in there is of no use. */
	free(worker->buffer);
	worker->buffer = buffer = malloc(size);
	worker->size = buffer ? size : 0;
	return buffer ? 0 : -ENOMEM;
}

/* The next message. */
static int receive(struct worker *worker, struct client *client, struct peal_message *message)
{
	struct peal_rx *rx = &client->link->rx;
	ssize_t length;
	int err;

	worker->in_place = false;
	if (worker->server->options.flags & PEAL_SERVER_IN_PLACE) {
		err = peal_peek(rx, message, 0);
		worker->in_place = !err;
		if (err != -EMSGSIZE)
			return err;
	}
	for (;;) {
		length = peal_recv(rx, worker->buffer, worker->size, message, 0);
		if (length != -ENOBUFS)
			return length < 0 ? (int)length : 0;
		err = grow(worker, message->length);
		if (err)
			return err;
	}
}

static void release(struct worker *worker, struct client *client)
{
	if (worker->in_place)
		peal_release(&client->link->rx);
}

/* A record of calls. 0 or -EPROTO. */
static int hear_control(struct worker *worker, struct client *client,
			const struct peal_message *message, struct peal_token token)
{
	const struct peal_server_options *options = &worker->server->options;
	struct peal_control control;
	int err = peal_control_read(message, &control);

	if (err)
		return link_broken(client->link, "a control record that is none");
	if (control.kind == PEAL_CONTROL_CANCEL && options->handlers.cancelled)
		options->handlers.cancelled(options->data, token, client->data);
	return 0;
}

/* Hands one message out. 1, 0: it was a record of calls, or -EPROTO. */
static int hand_out(struct worker *worker, struct client *client,
		    const struct peal_message *message)
{
	const struct peal_server_options *options = &worker->server->options;
	struct peal_request request = {
		.server = worker->server,
		.link = client->link,
		.client = client->data,
		.data = message->data,
		.length = message->length,
		.token = { .client = client->number, .tag = message->tag, .worker = worker->index },
		.flags = message->flags & PEAL_HEADER_LAST,
	};
	int err = 1;

	worker->handling = client;
	if (message->flags & PEAL_HEADER_CONTROL) {
		err = hear_control(worker, client, message, request.token);
	} else {
		options->handlers.message(options->data, &request);
		count(&worker->counts.messages, 1);
	}
	worker->handling = NULL;
	client->link->tx.reserved = 0;
	release(worker, client);
	return err;
}

/* A turn of a client that is slow, where its messages are dropped. */
static int drop_some(struct worker *worker, struct client *client)
{
	struct peal_message message;
	int err = 0;

	for (uint32_t i = 0; i < worker->server->options.turn && !err; i++) {
		err = peal_peek(&client->link->rx, &message, 0);
		if (!err || err == -EMSGSIZE) {
			err = 0;
			peal_release(&client->link->rx);
			count(&worker->counts.dropped, 1);
		}
	}
	return err;
}

static int serve(struct worker *worker, struct client *client, uint32_t *handed)
{
	struct peal_message message;
	int err = 0;

	for (uint32_t i = 0; i < worker->server->options.turn && !err; i++) {
		if (!may_hand_out(worker, client))
			return client->muted ? -EAGAIN : drop_some(worker, client);
		err = receive(worker, client, &message);
		if (err)
			break;
		err = hand_out(worker, client, &message);
		*handed += err > 0;
		err = err > 0 ? 0 : err;
	}
	return err;
}

/* A turn of a client that is ready. How many messages were handed out. */
static uint32_t turn(struct worker *worker, struct client *client)
{
	uint32_t handed = 0;
	int err;

	if (client->doomed)
		return 0;
	err = serve(worker, client, &handed);
	peal_flush(&client->link->tx);
	if (handed && worker->server->options.idle_ns) {
		client->active_at = worker->now;
		order_leave(&client->active);
		order_join(&worker->idle, &client->active);
	}
	if (worker->size > BUFFER_KEEP) {
		free(worker->buffer);
		worker->buffer = NULL;
		worker->size = 0;
	}
	if (ring_ends(err) || err == -ENOMEM)
		end_by(worker, client, err);
	return handed;
}

void worker_admit(struct worker *worker, struct peal_link *link)
{
	const struct peal_server_options *options = &worker->server->options;
	struct client *client;
	uint64_t number;

	client = clients_take(&worker->clients, &number);
	if (!client)
		goto fail;
	client->link = link;
	if (peal_set_add(worker->set, link, client))
		goto fail_client;
	/* Others do not know the number yet; pairs with the loads in server.c all the same, where a
	 * token of one that was here before is asked about. */
	__atomic_store_n(&client->longest, link->agreed.longest, __ATOMIC_RELAXED);
	__atomic_store_n(&client->calls, (link->agreed.flags & PEAL_AGREED_CALLS) != 0,
			 __ATOMIC_RELAXED);
	if (options->handlers.connected &&
	    options->handlers.connected(options->data, link, &client->data))
		goto fail_client;
	clients_show(client, number);
	if (options->idle_ns) {
		client->active_at = platform_now();
		order_join(&worker->idle, &client->active);
	}
	count(&worker->counts.accepted, 1);
	count(&worker->counts.clients, 1);
	return;
fail_client:
	clients_give(&worker->clients, client);
fail:
	log_line(LOG_INFO, "a client was not taken in: %s", peal_error());
	worker_dismiss(worker, link);
}

static void open_one(struct worker *worker, struct item *item)
{
	struct client *client;

	if (item->kind == ITEM_ARRIVAL) {
		worker_admit(worker, ((struct arrival *)(void *)item)->link);
		free(item);
	} else if (item->kind == ITEM_REPLY) {
		struct reply *reply = (struct reply *)(void *)item;

		client = clients_slot(&worker->clients, reply->token.client);
		if (!clients_have(client, reply->token.client))
			lose(worker, client, reply);
		else
			worker_reply(worker, client, reply);
	} else {
		uint64_t number = ((struct drop *)(void *)item)->number;

		client = clients_slot(&worker->clients, number);
		if (clients_have(client, number))
			end(worker, client, PEAL_END_DROPPED);
		free(item);
	}
}

static void open_inbox(struct worker *worker)
{
	struct item *item = inbox_take(&worker->inbox), *next;

	for (; item; item = next) {
		next = item->next;
		open_one(worker, item);
	}
}

/* Whether one that sent nothing for long is idle: all that it sent was read, and so were its
 * replies. Its head is hostile, and only compared. */
static bool is_idle(const struct client *client)
{
	const struct peal_rx *rx = &client->link->rx;
	const struct peal_tx *tx = &client->link->tx;

	/* Pairs with [publish] and [head] of the peer, and nothing is read behind them. */
	return !client->slow_since &&
	       !__atomic_load_n((const uint64_t *)(const void *)peal_next(rx, rx->pos),
				__ATOMIC_RELAXED) &&
	       __atomic_load_n(&tx->peer->head, __ATOMIC_RELAXED) == tx->pos;
}

/* The next time that somebody's patience ends; UINT64_MAX: never. */
static uint64_t next_deadline(struct worker *worker)
{
	const struct peal_server_options *options = &worker->server->options;
	const struct client *slow = slowest(worker);
	const struct order *idle = order_oldest(&worker->idle);
	uint64_t next = UINT64_MAX, at;

	if (slow && options->slow == PEAL_SLOW_DISCONNECT)
		next = platform_later(slow->slow_since, options->slow_ns);
	if (idle != &worker->idle) {
		at = platform_later(of_active((struct order *)(uintptr_t)idle)->active_at,
				    options->idle_ns);
		next = at < next ? at : next;
	}
	return next;
}

static void keep_deadlines(struct worker *worker)
{
	const struct peal_server_options *options = &worker->server->options;
	uint64_t now, next = next_deadline(worker);

	if (next == UINT64_MAX)
		return;
	now = platform_now();
	while (options->slow == PEAL_SLOW_DISCONNECT && slowest(worker) &&
	       now >= platform_later(slowest(worker)->slow_since, options->slow_ns))
		end(worker, slowest(worker), PEAL_END_SLOW);
	while (order_oldest(&worker->idle) != &worker->idle) {
		struct client *client = of_active(order_oldest(&worker->idle));

		if (now < platform_later(client->active_at, options->idle_ns))
			break;
		if (is_idle(client)) {
			end(worker, client, PEAL_END_IDLE);
		} else {
			client->active_at = now;
			order_leave(&client->active);
			order_join(&worker->idle, &client->active);
		}
	}
}

/* Does what there is to do. How many messages were handed out. */
static uint32_t do_all(struct worker *worker, uint32_t heard)
{
	struct peal_server *server = worker->server;
	uint32_t handed = 0;
	void *client;

	if (server->options.idle_ns)
		worker->now = platform_now();
	while (peal_set_next(worker->set, &client))
		handed += turn(worker, client);
	if (heard & 1u << WATCH_BELL)
		clear_bell(worker);
	if (heard & 1u << WATCH_TIMER)
		platform_timer_set(worker->timer, 0);
	if (inbox_has(&worker->inbox))
		open_inbox(worker);
	if (!worker->index && (server->knocking || (heard & 1u << WATCH_LISTENER)))
		server_accept(server);
	keep_deadlines(worker);
	sweep(worker);
	/* What is left of those who have gone does not stay for as long as others are busy. */
	if (has_chores(worker) && ++worker->busy_rounds % CHORE_ROUNDS == 0)
		tidy(worker);
	return handed;
}

/* Whether there is something to do that no descriptor tells of. */
static bool is_busy(const struct worker *worker)
{
	return inbox_has(&worker->inbox) || (!worker->index && worker->server->knocking);
}

static bool nothing(int err)
{
	return err == -EAGAIN || err == -ETIMEDOUT;
}

int worker_round(struct worker *worker, int64_t timeout)
{
	const struct worker *before = here;
	uint64_t now, next = next_deadline(worker);
	uint32_t heard = 0;
	int64_t wait = timeout;
	int ready, handed;

	if (next != UINT64_MAX) {
		now = platform_now();
		if (timeout < 0 || platform_deadline(now, timeout) > next)
			wait = next > now ? (int64_t)(next - now) : 0;
	}
	if (has_chores(worker) || is_busy(worker))
		wait = 0;
	RING_DEBUG_ENTER(worker, "peal_server_run");
	here = worker;
	ready = set_wait(worker->set, wait, &heard);
	if (ready < 0 && !nothing(ready)) {
		handed = ready;
	} else if (nothing(ready) && !is_busy(worker)) {
		handed = tidy(worker) || wait != timeout ? 0 : ready;
		keep_deadlines(worker);
		sweep(worker);
	} else {
		handed = (int)do_all(worker, heard);
	}
	here = before;
	PEAL_DEBUG_LEAVE(worker);
	return handed;
}

int worker_round_armed(struct worker *worker)
{
	const struct worker *before = here;
	uint32_t heard = 0;
	uint64_t next, now;
	int handed = -EAGAIN, armed = set_arm(worker->set, &heard);

	if (armed < 0)
		return armed;
	RING_DEBUG_ENTER(worker, "peal_server_step");
	here = worker;
	if (armed || is_busy(worker) || platform_now() >= next_deadline(worker)) {
		handed = (int)do_all(worker, heard);
		if (!handed)
			tidy(worker);
		armed = set_arm(worker->set, &heard);
	} else if (tidy(worker)) {
		handed = 0;
	}
	here = before;
	PEAL_DEBUG_LEAVE(worker);
	if (armed < 0)
		return armed;
	if (armed || is_busy(worker) || has_chores(worker)) {
		worker_wake(worker);
	} else {
		now = platform_now();
		next = next_deadline(worker);
		if (next != UINT64_MAX)
			platform_timer_set(worker->timer, next > now ? next - now : 1);
	}
	return handed;
}

int worker_open(struct worker *worker, struct peal_server *server, uint32_t index)
{
	const struct peal_server_options *options = &server->options;
	bool timed = options->idle_ns || options->slow == PEAL_SLOW_DISCONNECT;
	int err;

	worker->server = server;
	worker->index = worker->clients.worker = index;
	worker->cpu = -1;
	order_init(&worker->idle);
	order_init(&worker->slow);
	pthread_mutex_init(&worker->slow_lock, NULL);
	registry_lock();
	worker->bell = platform_eventfd();
	worker->bell_is_timer = worker->bell == -EPERM || worker->bell == -ENOSYS;
	if (worker->bell_is_timer)
		worker->bell = platform_timer();
	worker->timer = timed && !index ? platform_timer() : -1;
	registry_unlock();
	err = worker->bell < 0                     ? worker->bell :
	      timed && !index && worker->timer < 0 ? worker->timer :
						     0;
	if (err)
		return error_set(err,
				 "a worker needs 3 descriptors and has not got them (errno %d): %s",
				 -err, error_mend(err, "raise the limit (ulimit -n)"));
	err = peal_set_create(&worker->set);
	if (!err)
		err = set_watch(worker->set, worker->bell, WATCH_BELL);
	if (!err && worker->timer >= 0)
		err = set_watch(worker->set, worker->timer, WATCH_TIMER);
	if (!err && !index)
		err = set_watch(worker->set, peal_listener_fd(server->listener), WATCH_LISTENER);
	return err;
}

void worker_end(struct worker *worker, int reason)
{
	struct clients *clients = &worker->clients;

	for (uint32_t slot = 0; slot < clients->used; slot++) {
		struct client *client = clients_at(clients, slot);

		if (client->link)
			end(worker, client, reason);
	}
	sweep(worker);
	while (worker->late_count)
		tidy(worker);
}

/* Nobody has to do it any more. */
static void empty_inbox(struct worker *worker)
{
	struct item *item = inbox_take(&worker->inbox), *next;

	for (; item; item = next) {
		next = item->next;
		if (item->kind == ITEM_ARRIVAL)
			worker_dismiss(worker, ((struct arrival *)(void *)item)->link);
		free(item);
	}
}

void worker_close(struct worker *worker)
{
	if (!worker->server)
		return;
	empty_inbox(worker);
	/* The listener is watched, and closed later: out of here first. */
	peal_set_free(worker->set);
	registry_lock();
	platform_close(worker->bell);
	platform_close(worker->timer);
	registry_unlock();
	pthread_mutex_destroy(&worker->slow_lock);
	free(worker->buffer);
	clients_free(&worker->clients);
}
