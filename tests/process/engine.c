/*
 * SPDX-License-Identifier: MIT
 *
 * The other side of the servers' tests: a program that is a server, or clients of one, in whatever
 * number, and that the tests kill. Takes commands as orders.h says, and keeps a ledger of calls
 * with whoever else does.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <peal.h>
#include <peal/client.h>
#include <peal/server.h>

#include "tests/process/ledger.h"
#include "tests/process/orders.h"
#include "tests/process/traffic.h"

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define PATIENCE (30 * SECOND)
#define STREAMS 32
#define ENDS 9

static struct peal_options options;
static struct peal_server_options server_options;
static struct ledger *ledger;

static void set_ledger(char *words[])
{
	ledger = ledger_open(words[1]);
	if (!ledger)
		_exit(4);
}

static void set_option(char *words[])
{
	uint64_t value = number(words[1]);

	if (!strcmp(words[0], "ring"))
		options.ring = value;
	else if (!strcmp(words[0], "allow"))
		options.allow = (uint32_t)value;
	else if (!strcmp(words[0], "mode"))
		options.mode = (uint32_t)value;
	else if (!strcmp(words[0], "backlog"))
		options.backlog = (uint32_t)value;
	else if (!strcmp(words[0], "handshake"))
		options.handshake_ns = value;
	else if (!strcmp(words[0], "slow"))
		server_options.slow = (uint32_t)value;
	else if (!strcmp(words[0], "ready"))
		server_options.ready = (uint32_t)value;
	else if (!strcmp(words[0], "slow_ns"))
		server_options.slow_ns = value;
	else
		server_options.flags = (uint32_t)value;
}

/*
 * The server. It answers each call with itself, in all the ways that there are.
 */

static struct peal_server *server;
static pthread_t server_thread;
static uint64_t connected, ends[ENDS];

/* Requests that are answered by another thread. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t some;
	pthread_t thread;
	struct peal_request **all;
	size_t count, room;
	bool ends;
} later = { .lock = PTHREAD_MUTEX_INITIALIZER, .some = PTHREAD_COND_INITIALIZER };

/* Of these a reply may come to nothing. */
static void expect_sent(const char *way, int err)
{
	if (err && err != -EPIPE && err != -ECONNRESET && ledger)
		ledger_object(ledger, "%s: %d %s", way, err, peal_error());
}

static void *answer_later(void *data)
{
	pthread_mutex_lock(&later.lock);
	for (;;) {
		struct peal_request *request;

		while (!later.count && !later.ends)
			pthread_cond_wait(&later.some, &later.lock);
		if (!later.count)
			break;
		request = later.all[--later.count];
		pthread_mutex_unlock(&later.lock);
		expect_sent("a reply from another thread",
			    peal_server_reply(request->server, request->token, request->data,
					      request->length, 0));
		peal_request_free(request);
		pthread_mutex_lock(&later.lock);
	}
	pthread_mutex_unlock(&later.lock);
	return data;
}

static void put_off(struct peal_request *request)
{
	struct peal_request *kept = peal_request_keep(request), **more;

	if (!kept)
		_exit(5);
	pthread_mutex_lock(&later.lock);
	if (later.count == later.room) {
		later.room = later.room ? 2 * later.room : 64;
		more = realloc(later.all, later.room * sizeof(*more));
		if (!more)
			_exit(5);
		later.all = more;
	}
	later.all[later.count++] = kept;
	pthread_cond_signal(&later.some);
	pthread_mutex_unlock(&later.lock);
}

static void reply_in_place(struct peal_request *request)
{
	void *at;
	int err = peal_reply_reserve(request, request->length, &at);

	if (!err) {
		memcpy(at, request->data, request->length);
		err = peal_reply_commit(request, request->length, 0);
	}
	expect_sent("a reply in place", err);
}

static void on_message(void *data, struct peal_request *request)
{
	struct call call = { .client = 0 };

	(void)data;
	if (request->length == sizeof(call))
		memcpy(&call, request->data, sizeof(call));
	if (!ledger || request->length != sizeof(call) || !call_is_whole(&call)) {
		/* No call of a ledger. */
		expect_sent("an echo", peal_reply(request, request->data, request->length, 0));
		return;
	}
	ledger_see(ledger, call.client, call.id);
	switch (call.id % 5) {
	case 0:
		expect_sent("a reply", peal_reply(request, &call, sizeof(call), 0));
		break;
	case 1:
		reply_in_place(request);
		break;
	case 2:
		put_off(request);
		break;
	case 3:
		expect_sent("a queued reply", peal_server_reply(request->server, request->token,
								&call, sizeof(call), 0));
		break;
	default:
		expect_sent("a first reply",
			    peal_reply(request, &call, sizeof(call), PEAL_REPLY_MORE));
		expect_sent("a last reply", peal_server_reply(request->server, request->token,
							      &call, sizeof(call), 0));
	}
}

/* Each client has some memory, so that a leak checker misses whose `closed` did not come. */
static int on_connected(void *data, struct peal_link *link, void **client)
{
	(void)data;
	(void)link;
	*client = malloc(16);
	/* Pairs with the load in do_count, as the next one does: for its value only. */
	__atomic_fetch_add(&connected, 1, __ATOMIC_RELAXED);
	return *client ? 0 : -ENOMEM;
}

static void on_closed(void *data, struct peal_link *link, void *client, int reason)
{
	(void)data;
	(void)link;
	free(client);
	__atomic_fetch_add(&ends[reason > 0 && reason < ENDS ? reason : 0], 1, __ATOMIC_RELAXED);
}

static void *run_server(void *data)
{
	int err = peal_server_run(server);

	if (err && ledger)
		ledger_object(ledger, "the server's run ended with %d: %s", err, peal_error());
	return data;
}

static void do_serve(char *words[])
{
	int err;

	server_options.link = &options;
	server_options.workers = (uint32_t)number(words[2]);
	server_options.handlers.connected = on_connected;
	server_options.handlers.message = on_message;
	server_options.handlers.closed = on_closed;
	err = peal_server_open(&server, words[1], &server_options);
	if (!err && (pthread_create(&server_thread, NULL, run_server, NULL) ||
		     pthread_create(&later.thread, NULL, answer_later, NULL)))
		_exit(5);
	answer("serve", err);
}

static void do_stop(char *words[])
{
	(void)words;
	peal_server_stop(server);
	pthread_join(server_thread, NULL);
	pthread_mutex_lock(&later.lock);
	later.ends = true;
	pthread_cond_signal(&later.some);
	pthread_mutex_unlock(&later.lock);
	pthread_join(later.thread, NULL);
	free(later.all);
	peal_server_close(server);
	server = NULL;
	later.all = NULL;
	later.room = 0;
	later.ends = false;
	answer("stop", 0);
}

static void do_count(char *words[])
{
	struct peal_server_counters counters = { .size = sizeof(counters) };
	int err = peal_server_count(server, &counters);
	uint64_t closed = 0;

	(void)words;
	for (unsigned i = 0; i < ENDS; i++)
		closed += __atomic_load_n(&ends[i], __ATOMIC_RELAXED);
	if (err)
		answer("count", err);
	else
		say("count 0 clients %" PRIu64 " told %" PRIu64 " closed %" PRIu64 " odd %" PRIu64
		    " slow %" PRIu64 " pid %" PRId64 " wakeups %" PRIu64 " disconnected %" PRIu64,
		    counters.clients, __atomic_load_n(&connected, __ATOMIC_RELAXED), closed,
		    ends[0] + ends[PEAL_END_LIED] + ends[PEAL_END_FAILED], counters.slow_clients,
		    counters.slow_ns ? counters.slow_peer.pid : 0, counters.wakeups,
		    counters.disconnected);
}

/*
 * Clients that always have calls in flight, each in a thread of its own.
 */

struct stream {
	pthread_t thread;
	const char *address;
	uint32_t client, window;
};

static void begin_one(const struct stream *stream, struct peal_client *client)
{
	struct call call;
	/* All calls of some clients, and some of all. */
	bool twice = stream->client % 4 == 3 || ledger->accounts[stream->client].begun % 4 == 3;
	uint32_t id = ledger_begin(ledger, stream->client, twice);
	int err;

	call_fill(&call, stream->client, id);
	err = peal_client_begin(client, &call, sizeof(call), twice ? PEAL_IDEMPOTENT : 0, PATIENCE,
				(void *)(uintptr_t)id, NULL);
	if (!err)
		return;
	ledger_object(ledger, "call %u of client %u cannot be begun: %d %s", id, stream->client,
		      err, peal_error());
	ledger_end(ledger, stream->client, id, PEAL_NOT_SENT);
}

static void take_answer(const struct stream *stream, const struct peal_answer *answer)
{
	uint32_t id = (uint32_t)(uintptr_t)answer->user;
	struct call wanted;

	call_fill(&wanted, stream->client, id);
	if (answer->verdict == PEAL_REPLY) {
		if (answer->length != sizeof(wanted) ||
		    memcmp(answer->data, &wanted, sizeof(wanted)) != 0)
			ledger_object(ledger, "call %u of client %u has an answer of another", id,
				      stream->client);
	} else if (!answer->last) {
		ledger_object(ledger, "call %u of client %u: verdict %u is not the last", id,
			      stream->client, answer->verdict);
	}
	if (answer->last)
		ledger_end(ledger, stream->client, id, answer->verdict);
}

static void *run_stream(void *data)
{
	const struct stream *stream = data;
	struct peal_client_options how;
	struct peal_client *client;
	struct peal_answer answer;
	uint32_t in_flight = 0;
	int err;

	peal_client_options_init(&how);
	how.link = &options;
	how.calls = stream->window;
	how.least_ns = (uint64_t)MS;
	how.most_ns = (uint64_t)(20 * MS);
	err = peal_client_open(&client, stream->address, &how);
	if (err) {
		ledger_object(ledger, "no client: %d %s", err, peal_error());
		return NULL;
	}
	for (;;) {
		for (; in_flight < stream->window && !ledger_stopped(ledger); in_flight++)
			begin_one(stream, client);
		if (!in_flight)
			break;
		err = peal_client_next(client, &answer, SECOND);
		if (err == -ETIMEDOUT)
			continue;
		if (err) {
			ledger_object(ledger, "client %u: %d %s", stream->client, err,
				      peal_error());
			break;
		}
		take_answer(stream, &answer);
		in_flight -= answer.last;
	}
	peal_client_close(client);
	return NULL;
}

/* ADDRESS FIRST COUNT WINDOW: clients of these numbers, until the ledger says stop. */
static void do_stream(char *words[])
{
	static struct stream streams[STREAMS];
	uint32_t count = (uint32_t)number(words[3]);

	for (uint32_t i = 0; i < count && i < STREAMS; i++) {
		streams[i] = (struct stream){ .address = words[1],
					      .client = (uint32_t)number(words[2]) + i,
					      .window = (uint32_t)number(words[4]) };
		if (pthread_create(&streams[i].thread, NULL, run_stream, &streams[i]))
			_exit(5);
	}
	for (uint32_t i = 0; i < count && i < STREAMS; i++)
		pthread_join(streams[i].thread, NULL);
	answer("stream", 0);
}

/* ADDRESS COUNT: so many clients in this one thread, each with a call that is to be answered. They
 * stay until they are told to leave. */
static struct peal_client **crowd;
static uint32_t crowd_count;

static void do_crowd(char *words[])
{
	uint32_t count = (uint32_t)number(words[2]), waiting = count;
	const struct timespec pause = { .tv_nsec = (long)MS };
	struct peal_client_options how;
	struct peal_answer got;
	int err;

	crowd = calloc(count, sizeof(struct peal_client *));
	err = crowd ? 0 : -ENOMEM;
	peal_client_options_init(&how);
	how.link = &options;
	how.calls = 1;
	for (crowd_count = 0; crowd_count < count && !err; crowd_count++) {
		err = peal_client_open(&crowd[crowd_count], words[1], &how);
		if (!err)
			err = peal_client_begin(crowd[crowd_count], "crowd", 5, 0, PATIENCE, NULL,
						NULL);
	}
	while (waiting && !err) {
		for (uint32_t i = 0; i < count && !err; i++) {
			int now = peal_client_next(crowd[i], &got, 0);

			if (now == -EAGAIN || now == -ENOENT)
				continue;
			err = now ? now : got.verdict == PEAL_REPLY ? 0 : -ENODATA;
			waiting -= !err;
		}
		nanosleep(&pause, NULL);
	}
	say("crowd %d %u %s", err, count - waiting, err ? peal_error() : "");
}

static void do_leave(char *words[])
{
	(void)words;
	while (crowd_count)
		peal_client_close(crowd[--crowd_count]);
	free(crowd);
	crowd = NULL;
	answer("leave", 0);
}

/*
 * Clients without a ledger, on plain links.
 */

/* Whether the server was not there, or went away: there will be another. */
static bool comes_again(int err)
{
	return err == -ECONNREFUSED || err == -ENOENT || err == -ECONNRESET || err == -EPIPE;
}

/* ADDRESS COUNT PACE: connects, has one call answered, and closes; so often, or with 0 until the
 * ledger says stop; one every so many nanoseconds. When the server goes it comes again. */
static void do_churn(char *words[])
{
	uint64_t end = number(words[2]) ? number(words[2]) : UINT64_MAX, done = 0, again = 0;
	const struct timespec pace = { .tv_nsec = (long)number(words[3]) };
	char reply[64], request[64] = "churn";
	int err = 0;

	while (!err && done < end && (number(words[2]) || !ledger_stopped(ledger))) {
		struct peal_link *link;

		err = peal_connect(&link, words[1], &options, PATIENCE);
		if (!err) {
			ssize_t length = peal_call(link, request, sizeof(request), reply,
						   sizeof(reply), NULL, PATIENCE);

			err = length < 0 ? (int)length : 0;
			if (!err && (length != sizeof(reply) || memcmp(reply, request, 64) != 0))
				err = -EILSEQ;
			done += !err;
			peal_close(link);
		}
		if (comes_again(err)) {
			again++;
			err = 0;
			sched_yield();
		}
		if (pace.tv_nsec)
			nanosleep(&pace, NULL);
	}
	say("churn %d %" PRIu64 " again %" PRIu64 " %s", err, done, again, err ? peal_error() : "");
}

/* ADDRESS: sends until the ledger says stop, and reads nothing before that; then all replies. */
static void do_flood(char *words[])
{
	struct peal_options flood = options;
	uint64_t sent = 0, got = 0;
	struct peal_message about;
	struct peal_link *link;
	char buffer[256] = { 0 };
	int err;

	flood.flags |= PEAL_ONE_THREAD;
	err = peal_connect(&link, words[1], &flood, PATIENCE);
	while (!err && !ledger_stopped(ledger)) {
		err = peal_send(peal_link_tx(link), buffer, sizeof(buffer), (uint32_t)sent, 0);
		if (!err)
			sent++;
		else if (err == -EAGAIN)
			err = 0, sched_yield();
	}
	while (!err && got < sent) {
		ssize_t length = peal_recv(peal_link_rx(link), buffer, sizeof(buffer), &about,
					   PATIENCE);

		if (length < 0)
			err = (int)length;
		else if (about.tag != (uint32_t)got++ || length != sizeof(buffer))
			err = -EILSEQ;
	}
	say("flood %d %" PRIu64 " %s", err, got, err ? peal_error() : "");
	peal_close(link);
}

/* ADDRESS: one call. */
static void do_try(char *words[])
{
	struct peal_link *link;
	char reply[8];
	int err = peal_connect(&link, words[1], &options, PATIENCE);

	if (!err) {
		err = (int)peal_call(link, "try", 3, reply, sizeof(reply), NULL, PATIENCE);
		peal_close(link);
	}
	answer("try", err);
}

int main(void)
{
	static const struct order orders[] = {
		{ "user", order_user },   { "nofile", order_descriptors },
		{ "ledger", set_ledger }, { "ring", set_option },
		{ "allow", set_option },  { "mode", set_option },
		{ "slow", set_option },   { "slow_ns", set_option },
		{ "flags", set_option },  { "handshake", set_option },
		{ "serve", do_serve },    { "stop", do_stop },
		{ "count", do_count },    { "stream", do_stream },
		{ "crowd", do_crowd },    { "leave", do_leave },
		{ "churn", do_churn },    { "flood", do_flood },
		{ "try", do_try },        { "backlog", set_option },
		{ "ready", set_option },
	};

	peal_options_init(&options);
	peal_server_options_init(&server_options);
	options.ring = 4096;
	options.handshake_ns = (uint64_t)PATIENCE;
	options.flags = PEAL_CALLS;
	orders_follow(orders, sizeof(orders) / sizeof(orders[0]));
	return 0;
}
