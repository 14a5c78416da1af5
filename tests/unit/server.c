/*
 * SPDX-License-Identifier: MIT
 *
 * Servers, with their clients in the same process: what handlers get and may answer, tokens, room,
 * slow and idle clients, stopping, and workers. Mostly one thread that steps the server, so that
 * nothing depends on time.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/link.h"
#include "tests/filter.h"
#include "tests/unit/stage.h"

#define CLIENTS 8

/* What the handlers saw, and are to do. */
struct play {
	struct folder folder;
	struct peal_server *server;
	struct peal_link *client[CLIENTS];
	int clients;

	int connected, closed, reason, cancelled;
	uint32_t cancelled_tag;
	int messages;
	char last[64];
	size_t last_length;
	struct peal_token token;
	struct peal_request *kept;
	int result; /* of what the handler did last */
	int extra_result;
	int refuse;  /* what `connected` returns */
	bool silent; /* no replies */
	size_t reply;
	pthread_t thread;
	int (*extra)(struct play *play, struct peal_request *request);
};

static int on_connected(void *data, struct peal_link *link, void **client)
{
	struct play *play = data;

	ck_assert_ptr_nonnull(peal_link_peer(link));
	ck_assert_ptr_null(*client);
	*client = play;
	/* Orders nothing: tests with threads wait for replies. */
	__atomic_add_fetch(&play->connected, 1, __ATOMIC_RELAXED);
	return play->refuse;
}

/* What the first byte of a request asks for. */
static void answer(struct play *play, struct peal_request *request)
{
	const char *at = request->data;
	void *to;

	ck_assert_ptr_eq(request->client, play);
	play->messages++;
	play->last_length = request->length;
	memcpy(play->last, at, request->length < 64 ? request->length : 64);
	play->token = request->token;
	switch (request->length ? at[0] : 0) {
	case 'e': /* echo */
		play->result = peal_reply(request, at, request->length, 0);
		break;
	case '3': /* three replies, the last one marked */
		ck_assert_int_eq(peal_reply(request, "a", 1, PEAL_REPLY_MORE), 0);
		ck_assert_int_eq(peal_reply(request, "b", 1, PEAL_REPLY_MORE), 0);
		play->result = peal_reply(request, "c", 1, 0);
		break;
	case 'i': /* in place */
		ck_assert_int_eq(peal_reply_reserve(request, 100, &to), 0);
		memcpy(to, "in place", 8);
		play->result = peal_reply_commit(request, 8, 0);
		break;
	case 'r': /* reserved and forgotten */
		play->result = peal_reply_reserve(request, 100, &to);
		break;
	case 'x': /* an error */
		play->result = peal_reply_error(request, -ENOENT, "no such thing");
		break;
	case 'y': /* an error, as from elsewhere */
		play->result = peal_server_reply_error(play->server, request->token, -EIO, NULL);
		break;
	case 'k':
		play->kept = peal_request_keep(request);
		break;
	case 'p': /* of the promised size */
		to = calloc(1, play->reply);
		play->result = peal_reply(request, to, play->reply, 0);
		free(to);
		break;
	case 'f':
		play->extra_result = play->result = play->extra(play, request);
		break;
	default: /* nothing */
		break;
	}
}

/* Several workers' handlers share what they note down. */
static void on_message(void *data, struct peal_request *request)
{
	static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&one_at_a_time);
	answer(data, request);
	pthread_mutex_unlock(&one_at_a_time);
}

static void on_cancelled(void *data, struct peal_token token, void *client)
{
	struct play *play = data;

	ck_assert_ptr_eq(client, play);
	play->cancelled++;
	play->cancelled_tag = token.tag;
}

static void on_closed(void *data, struct peal_link *link, void *client, int reason)
{
	struct play *play = data;

	ck_assert_ptr_eq(client, play);
	ck_assert_ptr_nonnull(link);
	/* Orders nothing. */
	__atomic_store_n(&play->reason, reason, __ATOMIC_RELAXED);
	__atomic_add_fetch(&play->closed, 1, __ATOMIC_RELAXED);
}

static struct peal_server_options options_of(struct play *play)
{
	struct peal_server_options options;

	peal_server_options_init(&options);
	options.handlers = (struct peal_handlers){ .connected = on_connected,
						   .message = on_message,
						   .cancelled = on_cancelled,
						   .closed = on_closed };
	options.data = play;
	options.ready = UINT32_MAX;
	return options;
}

static struct peal_options small_link(void)
{
	return stage_options(PEAL_WAIT_SLEEP, 0);
}

/* A server whose links have rings of a page. */
static void play_open(struct play *play, struct peal_server_options *options)
{
	static struct peal_options link; /* as long as the options */

	link = small_link();
	folder_make(&play->folder);
	if (!options->link)
		options->link = &link;
	ck_assert_int_eq(peal_server_open(&play->server, play->folder.path, options), 0);
}

static void step(struct play *play)
{
	int result = peal_server_step(play->server, MS);

	ck_assert_msg(result >= 0 || result == -ETIMEDOUT || result == -EAGAIN, "%s", peal_error());
}

/* A client that connects, in another thread, while the server is stepped. */
static struct peal_link *join_with(struct play *play, const struct peal_options *options)
{
	struct caller caller;

	caller_start(&caller, play->folder.path, options, LONG);
	while (!caller_is_over(&caller))
		step(play);
	caller_end(&caller);
	ck_assert_msg(!caller.err, "%s", caller.sentence);
	return play->client[play->clients++] = caller.link;
}

static struct peal_link *join(struct play *play)
{
	struct peal_options options = small_link();
	int before = play->connected;
	struct peal_link *link;

	options.flags |= PEAL_CALLS;
	link = join_with(play, &options);
	while (play->connected == before)
		step(play);
	return link;
}

static void leave(struct play *play, int i)
{
	int before = play->closed;

	peal_close(play->client[i]);
	play->client[i] = NULL;
	while (play->closed == before)
		step(play);
}

static void play_close(struct play *play)
{
	for (int i = 0; i < play->clients; i++)
		peal_close(play->client[i]);
	peal_server_close(play->server);
	folder_remove(&play->folder);
}

static void ask(struct peal_link *link, const char *text, uint32_t tag)
{
	ck_assert_int_eq(peal_send(peal_link_tx(link), text, strlen(text), tag, 0), 0);
}

/* Steps until so many messages have been handed out. */
static void serve(struct play *play, int messages)
{
	while (play->messages < messages)
		step(play);
}

static void expect_reply(struct peal_link *link, const char *text, uint32_t tag, uint32_t flags)
{
	struct peal_message about;
	char got[256];
	ssize_t length = peal_recv(peal_link_rx(link), got, sizeof(got), &about, 0);

	ck_assert_msg(length >= 0, "%s", peal_error());
	ck_assert_int_eq(length, (ssize_t)strlen(text));
	ck_assert_mem_eq(got, text, strlen(text));
	ck_assert_uint_eq(about.tag, tag);
	ck_assert_uint_eq(about.flags, flags);
}

static void expect_no_reply(struct peal_link *link)
{
	char byte;

	expect_error(peal_recv(peal_link_rx(link), &byte, 1, NULL, 0), -EAGAIN, NULL);
}

static struct peal_server_counters counters_of(struct play *play)
{
	struct peal_server_counters counters = { .size = sizeof(counters) };

	ck_assert_int_eq(peal_server_count(play->server, &counters), 0);
	return counters;
}

START_TEST(a_request_is_answered_with_no_one_or_many_replies)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct peal_link *client;

		play_open(&play, &options);
		client = join(&play);
		ask(client, "echo", 7);
		serve(&play, 1);
		ck_assert_mem_eq(play.last, "echo", 4);
		expect_reply(client, "echo", 7, PEAL_HEADER_LAST);
		ask(client, "0", 8);
		serve(&play, 2);
		expect_no_reply(client);
		ask(client, "3", 9);
		serve(&play, 3);
		expect_reply(client, "a", 9, 0);
		expect_reply(client, "b", 9, 0);
		expect_reply(client, "c", 9, PEAL_HEADER_LAST);
		ask(client, "i", 10);
		serve(&play, 4);
		expect_reply(client, "in place", 10, PEAL_HEADER_LAST);
		ask(client, "", 11);
		serve(&play, 5);
		ck_assert_uint_eq(play.last_length, 0);
		expect_no_reply(client);
		ck_assert_int_eq(play.connected, 1);
		ck_assert_int_eq(play.closed, 0);
		leave(&play, 0);
		ck_assert_int_eq(play.reason, PEAL_END_CLOSED);
		ck_assert_uint_eq(counters_of(&play).messages, 5);
		ck_assert_uint_eq(counters_of(&play).replies, 5);
		ck_assert_uint_eq(counters_of(&play).accepted, 1);
		ck_assert_uint_eq(counters_of(&play).clients, 0);
		play_close(&play);
	}
END_TEST

/* 1: the message is in the client's ring. */
static int look_where_it_is(struct play *play, struct peal_request *request)
{
	const struct segment *ring = &request->link->theirs;
	const uint8_t *at = request->data;

	(void)play;
	if (request->length > ring->capacity)
		ck_assert(payload_matches(at + 1, request->length - 1, 3));
	return at >= ring->at && at < ring->at + ring->page + 2 * ring->capacity;
}

/* Sends a message longer than the ring, and steps the server meanwhile. */
static void send_long(struct play *play, struct peal_link *link, const void *data, size_t length)
{
	struct peal_sending sending = { .data = data, .length = length, .tag = 3 };
	int before = play->messages;

	while (peal_send_part(peal_link_tx(link), &sending, 0) == -EAGAIN)
		step(play);
	serve(play, before + 1);
}

START_TEST(a_message_is_copied_unless_it_is_wanted_in_place)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct peal_options link = small_link();
		struct peal_link *client;
		uint8_t *large = malloc(100000);

		link.max_message = 100000;
		options.link = &link;
		options.flags = _i ? PEAL_SERVER_IN_PLACE : 0;
		play.extra = look_where_it_is;
		play_open(&play, &options);
		client = join(&play);
		ask(client, "f", 1);
		ask(client, "f", 2);
		serve(&play, 2);
		ck_assert_int_eq(play.result, _i);
		ck_assert_uint_eq(play.token.tag, 2);
		/* Longer than a record. */
		large[0] = 'f';
		payload_fill(large + 1, 99999, 3);
		send_long(&play, client, large, 100000);
		ck_assert_int_eq(play.result, 0);
		ck_assert_uint_eq(play.last_length, 100000);
		ask(client, "f", 4);
		serve(&play, 4);
		ck_assert_int_eq(play.result, _i);
		free(large);
		play_close(&play);
	}
END_TEST

START_TEST(a_reply_may_come_later_and_be_longer_than_the_ring)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct peal_message about;
		struct peal_link *client;
		uint8_t *large = malloc(100000), *got = malloc(100000);
		ssize_t length;

		play_open(&play, &options);
		client = join(&play);
		ask(client, "later", 5);
		serve(&play, 1);
		expect_no_reply(client);
		ck_assert_int_eq(peal_server_has(play.server, play.token), 0);
		ck_assert_int_eq(
			peal_server_reply(play.server, play.token, "first", 5, PEAL_REPLY_MORE), 0);
		payload_fill(large, 100000, 1);
		ck_assert_int_eq(peal_server_reply(play.server, play.token, large, 100000,
						   PEAL_REPLY_MORE),
				 0);
		ck_assert_int_eq(peal_server_reply(play.server, play.token, large, 99999, 0), 0);
		ck_assert_int_eq(peal_server_reply(play.server, play.token, "last", 4, 0), 0);
		step(&play);
		expect_reply(client, "first", 5, 0);
		for (int i = 0; i < 2; i++) {
			do {
				step(&play);
				length = peal_recv(peal_link_rx(client), got, 100000, &about, 0);
			} while (length == -EAGAIN);
			ck_assert_int_eq(length, 100000 - i);
			ck_assert_uint_eq(about.tag, 5);
			ck_assert_uint_eq(about.flags, i ? PEAL_HEADER_LAST : 0);
			ck_assert(payload_matches(got, (size_t)length, 1));
		}
		while (counters_of(&play).replies < 4)
			step(&play);
		expect_reply(client, "last", 4 + 1, PEAL_HEADER_LAST);
		ck_assert_uint_ge(counters_of(&play).queued, 2);
		ck_assert_uint_eq(counters_of(&play).slow_clients, 0);
		free(large);
		free(got);
		play_close(&play);
	}
END_TEST

START_TEST(a_token_of_a_client_that_has_gone_says_so_also_when_another_has_its_place)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct peal_token token, other;

		play_open(&play, &options);
		join(&play);
		ask(play.client[0], "t", 1);
		serve(&play, 1);
		token = play.token;
		leave(&play, 0);
		expect_error(peal_server_has(play.server, token), -EPIPE, "gone", NULL);
		expect_error(peal_server_reply(play.server, token, "x", 1, 0), -EPIPE, NULL);
		expect_error(peal_server_drop(play.server, token), -EPIPE, NULL);
		join(&play);
		ask(play.client[1], "t", 1);
		serve(&play, 2);
		ck_assert_uint_ne(play.token.client, token.client);
		expect_error(peal_server_has(play.server, token), -EPIPE, NULL);
		expect_error(peal_server_reply(play.server, token, "x", 1, 0), -EPIPE, NULL);
		ck_assert_int_eq(peal_server_has(play.server, play.token), 0);
		other = play.token;
		other.worker = 1;
		expect_error(peal_server_has(play.server, other), -EINVAL, "no token", NULL);
		other = (struct peal_token){ .client = 0 };
		expect_error(peal_server_has(play.server, other), -EINVAL, "no token", NULL);
		/* One that goes later. */
		ck_assert_int_eq(peal_server_reply(play.server, play.token, "x", 1, 0), 0);
		peal_close(play.client[1]);
		play.client[1] = NULL;
		while (play.closed < 2)
			step(&play);
		play_close(&play);
	}
END_TEST

START_TEST(a_request_that_is_kept_outlives_its_handler_and_its_client)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);

		play_open(&play, &options);
		join(&play);
		ask(play.client[0], "keep me", 3);
		serve(&play, 1);
		ask(play.client[0], "other", 4);
		serve(&play, 2);
		ck_assert_uint_eq(play.kept->length, 7);
		ck_assert_mem_eq(play.kept->data, "keep me", 7);
		ck_assert_uint_eq(play.kept->token.tag, 3);
		ck_assert_ptr_null(play.kept->link);
		expect_error(peal_reply(play.kept, "x", 1, 0), -EINVAL, "peal_server_reply", NULL);
		ck_assert_int_eq(peal_server_reply(play.kept->server, play.kept->token, "y", 1, 0),
				 0);
		step(&play);
		expect_reply(play.client[0], "y", 3, PEAL_HEADER_LAST);
		leave(&play, 0);
		ck_assert_mem_eq(play.kept->data, "keep me", 7);
		peal_request_free(play.kept);
		peal_request_free(NULL);
		play_close(&play);
	}
END_TEST

/* A client that does not read, with a ring of a page, for requests with replies of 1000 bytes. */
static void stall(struct play *play, int requests)
{
	int before = play->messages;

	play->reply = 1000;
	for (int i = 0; i < requests; i++)
		ask(play->client[0], "p", (uint32_t)i);
	/* 3 times 1008 and the end are what a page holds. */
	while (counters_of(play).slow_clients == 0)
		step(play);
	ck_assert_int_eq(play->messages, before + (stage_page() == 4096 ? 4 : play->messages));
}

/* The number of replies that it has. */
static int read_all(struct play *play, uint32_t *tag)
{
	struct peal_message about;
	char got[1024];
	int count = 0;

	while (peal_recv(peal_link_rx(play->client[0]), got, sizeof(got), &about, 0) == 1000) {
		ck_assert_uint_eq(about.tag, *tag);
		*tag += 1;
		count++;
	}
	return count;
}

START_TEST(there_is_room_for_the_promised_reply_or_the_request_waits)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct peal_server_counters counters;
		struct pollfd look;
		uint32_t tag = 0;

		if (stage_page() != 4096) {
			skip("it counts what a page of 4096 bytes holds");
			return;
		}
		options.reply = 1000;
		play_open(&play, &options);
		join(&play);
		join(&play);
		stall(&play, 20);
		ck_assert_int_eq(play.result, 0);
		counters = counters_of(&play);
		ck_assert_uint_eq(counters.stalls, 1);
		ck_assert_uint_gt(counters.slow_ns, 0);
		ck_assert_int_eq(counters.slow_peer.pid, peal_link_peer(play.client[0])->pid);
		/* Nobody else notices, and its requests do not keep the server awake. */
		ask(play.client[1], "e", 1);
		serve(&play, 5);
		expect_reply(play.client[1], "e", 1, PEAL_HEADER_LAST);
		while (peal_server_step(play.server, 0) != -EAGAIN)
			;
		look = (struct pollfd){ .fd = peal_server_fd(play.server), .events = POLLIN };
		ck_assert_int_eq(poll(&look, 1, 0), 0);
		/* It reads, and is served. */
		while (tag < 20) {
			read_all(&play, &tag);
			step(&play);
			ck_assert_int_eq(play.result, 0);
		}
		ck_assert_int_eq(play.messages, 21);
		ck_assert_uint_eq(counters_of(&play).slow_clients, 0);
		ck_assert_uint_eq(counters_of(&play).slow_ns, 0);
		/* One that is slow and goes is heard to the end. */
		stall(&play, 20);
		peal_close(play.client[0]);
		play.client[0] = NULL;
		while (!play.closed)
			step(&play);
		ck_assert_int_eq(play.messages, 41);
		ck_assert_int_eq(play.reason, PEAL_END_CLOSED);
		ck_assert_uint_eq(counters_of(&play).slow_clients, 0);
		play_close(&play);
	}
END_TEST

START_TEST(requests_of_a_slow_client_are_dropped_where_that_is_wanted)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		uint32_t tag = 0;

		options.reply = 1000;
		options.slow = PEAL_SLOW_DROP;
		play_open(&play, &options);
		join(&play);
		stall(&play, 20);
		while (counters_of(&play).dropped < 20 - (uint64_t)play.messages)
			step(&play);
		ck_assert_int_eq(read_all(&play, &tag), play.messages);
		while (counters_of(&play).slow_clients)
			step(&play);
		ask(play.client[0], "e", 77);
		step(&play);
		expect_reply(play.client[0], "e", 77, PEAL_HEADER_LAST);
		play_close(&play);
	}
END_TEST

START_TEST(a_client_that_stays_slow_is_disconnected_where_that_is_wanted)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		uint32_t tag = 0;
		char byte;

		options.reply = 1000;
		options.slow = PEAL_SLOW_DISCONNECT;
		options.slow_ns = (uint64_t)MS;
		play_open(&play, &options);
		join(&play);
		stall(&play, 20);
		while (!play.closed)
			step(&play);
		ck_assert_int_eq(play.reason, PEAL_END_SLOW);
		ck_assert_uint_eq(counters_of(&play).disconnected, 1);
		ck_assert_uint_eq(counters_of(&play).slow_clients, 0);
		ck_assert_int_eq(read_all(&play, &tag), play.messages);
		expect_error(peal_recv(peal_link_rx(play.client[0]), &byte, 1, NULL, LONG), -EPIPE,
			     NULL);
		play_close(&play);
	}
END_TEST

START_TEST(replies_that_wait_are_limited_and_come_in_order)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		static char text[1000];
		uint32_t sent = 0, tag = 0;
		int err;

		options.queue = 22300; /* 20 of them */
		play_open(&play, &options);
		join(&play);
		ask(play.client[0], "t", 0);
		serve(&play, 1);
		expect_error(peal_server_reply(play.server, play.token, text, 22301, 0), -EMSGSIZE,
			     "22301", "22300", NULL);
		do {
			play.token.tag = sent;
			err = peal_server_reply(play.server, play.token, text, 1000, 0);
			if (err)
				expect_error(err, -EAGAIN, "22300", "options.queue", NULL);
			step(&play);
		} while (!err && ++sent < 1000);
		ck_assert_int_eq(err, -EAGAIN);
		ck_assert_uint_ge(sent, 20 + 3);
		/* A request of it waits behind them. */
		ask(play.client[0], "e", 99);
		step(&play);
		ck_assert_int_eq(play.messages, 1);
		while (tag < sent) {
			read_all(&play, &tag);
			step(&play);
		}
		serve(&play, 2);
		expect_reply(play.client[0], "e", 99, PEAL_HEADER_LAST);
		ck_assert_int_eq(peal_server_reply(play.server, play.token, text, 1000, 0), 0);
		ck_assert_uint_eq(counters_of(&play).replies, sent + 1);
		play_close(&play);
	}
END_TEST

START_TEST(empty_replies_that_wait_are_limited_too_and_one_may_be_as_long_as_the_queue)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		static char text[3000];
		int sent = 0, err;

		options.queue = sizeof(text);
		play_open(&play, &options);
		join(&play);
		ask(play.client[0], "t", 0);
		serve(&play, 1);
		do
			err = _i ? peal_server_reply_error(play.server, play.token, -EIO, "") :
				   peal_server_reply(play.server, play.token, "", 0, 0);
		while (!err && ++sent < 1000);
		expect_error(err, -EAGAIN, "3000", "options.queue", NULL);
		ck_assert_int_gt(sent, 10);
		while (peal_server_step(play.server, 0) != -EAGAIN)
			;
		ck_assert_uint_eq(counters_of(&play).replies, (unsigned)sent);
		ck_assert_int_eq(peal_server_reply(play.server, play.token, text, sizeof(text), 0),
				 0);
		play_close(&play);
	}
END_TEST

START_TEST(what_waits_for_a_client_that_goes_is_lost_and_counted)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		static char text[1000];

		play_open(&play, &options);
		join(&play);
		ask(play.client[0], "t", 0);
		serve(&play, 1);
		for (int i = 0; i < 300; i++)
			ck_assert_int_eq(peal_server_reply(play.server, play.token, text, 1000, 0),
					 0);
		step(&play);
		leave(&play, 0);
		ck_assert_uint_eq(counters_of(&play).lost + counters_of(&play).replies, 300);
		ck_assert_uint_gt(counters_of(&play).lost, 0);
		play_close(&play);
	}
END_TEST

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

START_TEST(an_idle_client_is_disconnected_and_one_with_unread_replies_is_not)
	{
		struct play play;
		struct peal_server_options options;
		uint64_t begun, idle = (uint64_t)MS;

		/* Until it is longer than this client takes to say something. */
		for (;; idle *= 4) {
			memset(&play, 0, sizeof(play));
			options = options_of(&play);
			options.idle_ns = idle;
			play_open(&play, &options);
			join_with(&play, NULL);
			if (!play.closed)
				break;
			play_close(&play);
		}
		ask(play.client[0], "e", 1);
		serve(&play, 1);
		for (begun = now_ns(); now_ns() < begun + 3 * idle;)
			step(&play);
		ck_assert_int_eq(play.closed, 0);
		expect_reply(play.client[0], "e", 1, PEAL_HEADER_LAST);
		while (!play.closed)
			step(&play);
		ck_assert_int_eq(play.reason, PEAL_END_IDLE);
		ck_assert_uint_eq(counters_of(&play).disconnected, 1);
		play_close(&play);
	}
END_TEST

START_TEST(a_deadline_makes_the_descriptor_readable)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct pollfd look;

		options.idle_ns = 100 * (uint64_t)MS;
		play_open(&play, &options);
		join(&play);
		look = (struct pollfd){ .fd = peal_server_fd(play.server), .events = POLLIN };
		while (!play.closed) {
			while (peal_server_step(play.server, 0) != -EAGAIN)
				;
			if (!play.closed)
				ck_assert_int_eq(poll(&look, 1, (int)(LONG / MS)), 1);
		}
		ck_assert_int_eq(play.reason, PEAL_END_IDLE);
		play_close(&play);
	}
END_TEST

START_TEST(a_client_that_lies_or_is_dropped_or_not_wanted_is_closed)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct peal_link *client;
		static char text[1000];
		char byte;

		play_open(&play, &options);
		client = join(&play);
		*(uint64_t *)(void *)(client->tx.data +
				      (client->tx.pos & client->tx.mask)) = UINT64_MAX;
		peal_flush(&client->tx);
		while (!play.closed) {
			peal_ring_data(&client->tx, client->peer_page->rx_asleep);
			step(&play);
		}
		ck_assert_int_eq(play.reason, PEAL_END_LIED);
		client = join(&play);
		ask(client, "t", 1);
		serve(&play, 1);
		for (int i = 0; i < 100; i++)
			ck_assert_int_eq(peal_server_reply(play.server, play.token, text, 1000, 0),
					 0);
		ck_assert_int_eq(peal_server_drop(play.server, play.token), 0);
		ck_assert_int_eq(peal_server_drop(play.server, play.token), 0);
		while (play.closed < 2)
			step(&play);
		ck_assert_int_eq(play.reason, PEAL_END_DROPPED);
		ck_assert_uint_eq(counters_of(&play).lost + counters_of(&play).replies, 100);
		while (peal_recv(peal_link_rx(client), text, 1000, NULL, LONG) == 1000)
			;
		expect_error(peal_recv(peal_link_rx(client), &byte, 1, NULL, LONG), -EPIPE, NULL);
		play.refuse = -EPERM;
		client = join(&play);
		expect_error(peal_recv(peal_link_rx(client), &byte, 1, NULL, LONG), -EPIPE, NULL);
		ck_assert_int_eq(play.closed, 2);
		ck_assert_uint_eq(counters_of(&play).clients, 0);
		play_close(&play);
	}
END_TEST

START_TEST(a_program_waits_for_the_descriptor_in_a_loop_of_its_own)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct pollfd look;

		options.ready = 2;
		play_open(&play, &options);
		join(&play);
		look = (struct pollfd){ .fd = peal_server_fd(play.server), .events = POLLIN };
		for (int i = 0; i < 100; i++) {
			int result;

			do
				result = peal_server_step(play.server, 0);
			while (result >= 0);
			ck_assert_int_eq(result, -EAGAIN);
			ck_assert_int_eq(poll(&look, 1, 0), 0);
			ask(play.client[0], "e", (uint32_t)i);
			ck_assert_int_eq(poll(&look, 1, (int)(LONG / MS)), 1);
			ck_assert_int_eq(peal_server_step(play.server, 0), 1);
			expect_reply(play.client[0], "e", (uint32_t)i, PEAL_HEADER_LAST);
		}
		/* From another thread, or as if. */
		while (peal_server_step(play.server, 0) != -EAGAIN)
			;
		ck_assert_int_eq(peal_server_reply(play.server, play.token, "y", 1, 0), 0);
		ck_assert_int_eq(poll(&look, 1, (int)(LONG / MS)), 1);
		while (peal_server_step(play.server, 0) != -EAGAIN)
			;
		expect_reply(play.client[0], "y", 99, PEAL_HEADER_LAST);
		peal_server_stop(play.server);
		ck_assert_int_eq(poll(&look, 1, (int)(LONG / MS)), 1);
		expect_error(peal_server_step(play.server, 0), -ECANCELED, NULL);
		play_close(&play);
	}
END_TEST

static int stop_here(struct play *play, struct peal_request *request)
{
	(void)request;
	peal_server_stop(play->server);
	return 0;
}

START_TEST(who_is_told_to_stop_while_busy_learns_it_by_the_descriptor)
	{
		struct play play = { .clients = 0, .extra = stop_here };
		struct peal_server_options options = options_of(&play);
		struct pollfd look;

		play_open(&play, &options);
		join(&play);
		ask(play.client[0], "t", 1);
		serve(&play, 1);
		while (peal_server_step(play.server, 0) != -EAGAIN)
			;
		look = (struct pollfd){ .fd = peal_server_fd(play.server), .events = POLLIN };
		/* The bell is rung already when the handler stops the server. */
		ck_assert_int_eq(peal_server_reply(play.server, play.token, "y", 1, 0), 0);
		ask(play.client[0], "f", 2);
		ck_assert_int_eq(peal_server_step(play.server, 0), 1);
		ck_assert_int_eq(poll(&look, 1, 0), 1);
		expect_error(peal_server_step(play.server, 0), -ECANCELED, NULL);
		play_close(&play);
	}
END_TEST

START_TEST(no_client_has_more_than_its_turn_while_others_wait)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);

		options.turn = 4;
		play_open(&play, &options);
		join(&play);
		join(&play);
		for (uint32_t i = 0; i < 50; i++)
			ask(play.client[0], "0", i);
		ask(play.client[1], "e", 1);
		while (peal_server_step(play.server, 0) < 1)
			;
		ck_assert_int_eq(play.messages, 5);
		expect_reply(play.client[1], "e", 1, PEAL_HEADER_LAST);
		serve(&play, 51);
		play_close(&play);
	}
END_TEST

static int step_inside(struct play *play, struct peal_request *request)
{
	int result = peal_server_step(play->server, 0);

	(void)request;
	ck_assert_int_eq(peal_server_run(play->server), result);
	return result;
}

START_TEST(only_one_runs_a_server_at_a_time_and_no_callback_does)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);

		play.extra = step_inside;
		play_open(&play, &options);
		join(&play);
		ask(play.client[0], "f", 1);
		serve(&play, 1);
		ck_assert_int_eq(play.result, -EBUSY);
		play_close(&play);
	}
END_TEST

static void *run(void *data)
{
	struct play *play = data;
	int result = peal_server_run(play->server);

	ck_assert_msg(!result, "%s", peal_error());
	return NULL;
}

static struct peal_server *to_stop;

static void on_signal(int signal)
{
	int before = errno;

	(void)signal;
	errno = 77;
	peal_server_stop(to_stop);
	if (errno != 77)
		_exit(3);
	errno = before;
}

START_TEST(a_server_stops_when_it_is_told_by_a_thread_or_a_signal_or_beforehand)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct sigaction action = { .sa_handler = on_signal };
		char byte[2];

		options.workers = (uint32_t)_i + 1;
		play_open(&play, &options);
		peal_server_stop(play.server);
		run(&play);
		sigaction(SIGUSR1, &action, NULL);
		to_stop = play.server;
		for (int i = 0; i < 4; i++) {
			ck_assert_int_eq(pthread_create(&play.thread, NULL, run, &play), 0);
			/* Links stay open for the next run. */
			if (i < 2) {
				struct peal_options link = small_link();

				ck_assert_int_eq(peal_connect(&play.client[i], play.folder.path,
							      &link, LONG),
						 0);
				play.clients++;
			}
			for (int k = 0; k < play.clients; k++) {
				ask(play.client[k], "e", 1);
				ck_assert_int_eq(peal_recv(peal_link_rx(play.client[k]), byte, 2,
							   NULL, LONG),
						 1);
			}
			if (i % 2)
				peal_server_stop(play.server);
			else
				pthread_kill(play.thread, SIGUSR1);
			pthread_join(play.thread, NULL);
		}
		play_close(&play);
	}
END_TEST

/* A client that calls, and one that is answered by other threads. */
#ifdef PEAL_SANITIZER
#define CALLS 300u
#else
#define CALLS 2000u
#endif

static int on_any_thread(struct play *play, struct peal_request *request)
{
	(void)play;
	(void)request;
	return 0;
}

static void on_threads(void *data, struct peal_request *request)
{
	struct play *play = data;
	const char *at = request->data;

	if (at[0] == 'w') { /* which worker */
		ck_assert_int_eq(peal_reply(request, &request->token.worker, 4, 0), 0);
	} else if (at[0] == 'q') { /* by another thread */
		struct peal_request *kept = peal_request_keep(request);

		/* Pairs with the exchange in answer_others. */
		while (__atomic_load_n(&play->kept, __ATOMIC_ACQUIRE))
			sched_yield();
		__atomic_store_n(&play->kept, kept, __ATOMIC_RELEASE);
	} else {
		ck_assert_int_eq(peal_reply(request, at, request->length, 0), 0);
	}
}

static void *answer_others(void *data)
{
	struct play *play = data;

	/* Pairs with the store at the end of the test. */
	while (!__atomic_load_n(&play->silent, __ATOMIC_ACQUIRE)) {
		/* Pairs with the store in on_threads. */
		struct peal_request *kept = __atomic_exchange_n(&play->kept, NULL,
								__ATOMIC_ACQ_REL);

		if (!kept) {
			sched_yield();
			continue;
		}
		ck_assert_int_eq(peal_server_reply(kept->server, kept->token, kept->data,
						   kept->length, 0),
				 0);
		peal_request_free(kept);
	}
	return NULL;
}

struct crowd {
	struct play *play;
	uint32_t number, worker;
	pthread_t thread;
};

static void *be_crowd(void *data)
{
	struct crowd *crowd = data;
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	struct peal_link *link;
	uint32_t got[2], out[2];

	ck_assert_int_eq(peal_connect(&link, crowd->play->folder.path, &options, LONG), 0);
	for (uint32_t i = 0; i < CALLS; i++) {
		struct peal_message about;

		memcpy(out, i == 0 ? "w..." : crowd->number ? "x..." : "q...", 4);
		out[1] = i;
		ck_assert_int_eq(peal_send(peal_link_tx(link), out, 8, i, LONG), 0);
		ck_assert_int_ge(peal_recv(peal_link_rx(link), got, 8, &about, LONG), 4);
		ck_assert_uint_eq(about.tag, i);
		if (i == 0)
			crowd->worker = got[0];
		else
			ck_assert_mem_eq(got, out, 8);
	}
	peal_close(link);
	return NULL;
}

START_TEST(workers_share_the_clients_and_other_threads_answer)
	{
		struct play play = { .extra = on_any_thread };
		struct peal_server_options options = options_of(&play);
		struct crowd crowd[4];
		pthread_t helper;
		uint32_t at[2] = { 0, 0 };

		options.workers = (uint32_t)_i + 1;
		options.handlers.message = on_threads;
		options.ready = 4;
		play_open(&play, &options);
		ck_assert_int_eq(pthread_create(&play.thread, NULL, run, &play), 0);
		ck_assert_int_eq(pthread_create(&helper, NULL, answer_others, &play), 0);
		for (uint32_t i = 0; i < 4; i++) {
			crowd[i] = (struct crowd){ .play = &play, .number = i };
			pthread_create(&crowd[i].thread, NULL, be_crowd, &crowd[i]);
		}
		for (uint32_t i = 0; i < 4; i++) {
			pthread_join(crowd[i].thread, NULL);
			ck_assert_uint_le(crowd[i].worker, (uint32_t)_i);
			at[crowd[i].worker]++;
		}
		if (_i) /* the first two at least were apart */
			ck_assert(at[0] && at[1]);
		/* Pairs with the load in answer_others. */
		__atomic_store_n(&play.silent, true, __ATOMIC_RELEASE);
		pthread_join(helper, NULL);
		while (__atomic_load_n(&play.closed, __ATOMIC_RELAXED) < 4)
			sched_yield();
		ck_assert_uint_eq(counters_of(&play).messages, 4 * CALLS);
		ck_assert_uint_eq(counters_of(&play).replies, 4 * CALLS);
		ck_assert_uint_eq(counters_of(&play).clients, 0);
		peal_server_stop(play.server);
		pthread_join(play.thread, NULL);
		play_close(&play);
	}
END_TEST

START_TEST(closing_tells_all_and_leaves_nothing_behind)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		int before = descriptors_settled();
		static char text[1000];
		char byte;

		options.workers = 2;
		options.ready = 3;
		play_open(&play, &options);
		for (int i = 0; i < 4; i++)
			join_with(&play, NULL);
		/* Those of the other worker are let in by it. */
		while (__atomic_load_n(&play.connected, __ATOMIC_RELAXED) < 4)
			step(&play);
		ask(play.client[0], "t", 1);
		serve(&play, 1);
		for (int i = 0; i < 100; i++)
			ck_assert_int_eq(peal_server_reply(play.server, play.token, text, 1000, 0),
					 0);
		peal_server_close(play.server);
		play.server = NULL;
		ck_assert_int_eq(play.closed, 4);
		ck_assert_int_eq(play.reason, PEAL_END_STOPPED);
		for (int i = 1; i < 4; i++)
			expect_error(peal_recv(peal_link_rx(play.client[i]), &byte, 1, NULL, LONG),
				     -EPIPE, NULL);
		play_close(&play);
		peal_server_close(NULL);
		descriptors_expect(before);
	}
END_TEST

static const char *in_child(void *data)
{
	struct play *play = data;
	struct peal_server_counters counters = { .size = sizeof(counters) };

	if (peal_server_step(play->server, 0) != -ESTALE ||
	    peal_server_run(play->server) != -ESTALE || peal_server_fd(play->server) != -ESTALE ||
	    peal_server_has(play->server, play->token) != -ESTALE ||
	    peal_server_drop(play->server, play->token) != -ESTALE ||
	    peal_server_reply(play->server, play->token, "x", 1, 0) != -ESTALE ||
	    peal_server_reply_error(play->server, play->token, -EIO, "x") != -ESTALE ||
	    peal_server_count(play->server, &counters) != -ESTALE)
		return wrong("not stale");
	if (!strstr(peal_error(), "fork"))
		return wrong("no word of fork");
	peal_server_stop(play->server);
	peal_server_close(play->server);
	return play->closed ? wrong("closed was called") : NULL;
}

START_TEST(a_child_of_a_fork_can_only_close_it)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);

		play_open(&play, &options);
		join(&play);
		ask(play.client[0], "t", 1);
		serve(&play, 1);
		child_run(in_child, &play);
		ask(play.client[0], "e", 2);
		serve(&play, 2);
		expect_reply(play.client[0], "e", 2, PEAL_HEADER_LAST);
		play_close(&play);
	}
END_TEST

#define MUCH ((size_t)3 << 20)

static void *send_much(void *client)
{
	uint8_t *much = calloc(1, MUCH);
	int err = peal_send(peal_link_tx(client), much, MUCH, 1, PEAL_FOREVER);

	free(much);
	return (void *)(intptr_t)err;
}

START_TEST(a_request_may_be_much_longer_than_what_a_worker_keeps_memory_for)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct peal_options link = small_link();
		pthread_t sender;
		void *err;

		link.max_message = MUCH;
		options.link = &link;
		play_open(&play, &options);
		join(&play);
		for (int i = 1; i <= 2; i++) {
			ck_assert_int_eq(pthread_create(&sender, NULL, send_much, play.client[0]),
					 0);
			while (play.messages < i)
				step(&play);
			ck_assert_uint_eq(play.last_length, MUCH);
			ck_assert_int_eq(pthread_join(sender, &err), 0);
			ck_assert_ptr_null(err);
		}
		play_close(&play);
	}
END_TEST

START_TEST(options_that_make_no_sense_are_refused_with_a_sentence)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options right = options_of(&play), options = right;
		struct peal_server *server;
		struct folder folder;

		folder_make(&folder);
#define REFUSED(field, value, err, ...)                                                         \
	options = right;                                                                        \
	options.field = (value);                                                                \
	expect_error(peal_server_open(&server, folder.path, &options), err, __VA_ARGS__, NULL); \
	ck_assert_ptr_null(server)
		REFUSED(size, 8, -EINVAL, "peal_server_options_init");
		REFUSED(abi, 0, -EINVAL, "abi is 0");
		REFUSED(abi, 1000, -EOPNOTSUPP, "abi is 1000");
		REFUSED(flags, 1u << 30, -EOPNOTSUPP, "0x40000000");
		REFUSED(spare[3], 1, -EOPNOTSUPP, "spare[3]");
		REFUSED(workers, 257, -ERANGE, "257", "256");
		REFUSED(reply, 65536, -ERANGE, "65536", "65520");
		REFUSED(slow, 3, -EINVAL, "slow is 3");
		REFUSED(ready, 1025, -ERANGE, "1025");
		REFUSED(handlers.message, NULL, -EINVAL, "handlers.message");
#undef REFUSED
		ck_assert_int_eq(folder_count(&folder), 0);
		folder_remove(&folder);
	}
END_TEST

START_TEST(options_of_a_later_header_will_do_if_what_is_newer_is_zero)
	{
		struct play play = { .clients = 0 };
		struct {
			struct peal_server_options options;
			uint64_t newer[3];
		} later = { .newer = { 0 } };
		struct peal_server *server;
		struct folder folder;

		folder_make(&folder);
		later.options = options_of(&play);
		later.options.size = sizeof(later);
		ck_assert_int_eq(peal_server_open(&server, folder.path, &later.options), 0);
		peal_server_close(server);
		later.newer[2] = 1;
		expect_error(peal_server_open(&server, folder.path, &later.options), -EOPNOTSUPP,
			     "offset 2", "newer", NULL);
		later.options.size = 4097;
		expect_error(peal_server_open(&server, folder.path, &later.options), -EINVAL,
			     "size is 4097", NULL);
		folder_remove(&folder);
	}
END_TEST

/* What the descriptor of a server is, and what its counters are read into. */
START_TEST(what_a_server_cannot_tell_is_refused_with_a_sentence)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct peal_server_counters counters = { .size = sizeof(counters) - 8 };
		struct peal_options link = small_link();

		link.wait = PEAL_WAIT_SPIN;
		options.link = &link;
		play_open(&play, &options);
		expect_error(peal_server_fd(play.server), -EOPNOTSUPP, "PEAL_WAIT_SPIN", NULL);
		expect_error(peal_server_count(play.server, &counters), -EINVAL, "sizeof", NULL);
		ck_assert_uint_eq(counters.clients, 0);
		counters.size = 0;
		expect_error(peal_server_count(play.server, &counters), -EINVAL, "size is 0", NULL);
		play_close(&play);
	}
END_TEST

static int fill_the_ring(struct play *play, struct peal_request *request)
{
	static char text[1000];
	int err;

	play->reply = 0;
	while (!(err = peal_reply(request, text, 1000, PEAL_REPLY_MORE)))
		play->reply++;
	/* What is queued goes first. */
	ck_assert_int_eq(
		peal_server_reply(play->server, request->token, text, 1000, PEAL_REPLY_MORE), 0);
	expect_error(peal_reply(request, "x", 1, 0), -EAGAIN, "peal_server_reply", NULL);
	ck_assert_int_eq(peal_server_reply(play->server, request->token, text, 1000, 0), 0);
	return err;
}

START_TEST(replies_for_which_there_is_no_room_are_queued_or_refused)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct peal_message about = { .flags = 0 };
		char got[1000];
		size_t count = 0;

		play.extra = fill_the_ring;
		play_open(&play, &options);
		join(&play);
		ask(play.client[0], "f", 9);
		ask(play.client[0], "e", 10);
		serve(&play, 1);
		ck_assert_int_eq(play.result, -EAGAIN);
		ck_assert_uint_eq(counters_of(&play).queued, 2);
		while (!about.flags) {
			if (peal_recv(peal_link_rx(play.client[0]), got, 1000, &about, 0) == 1000)
				count++;
			step(&play);
		}
		ck_assert_uint_eq(count, play.reply + 2);
		serve(&play, 2);
		expect_reply(play.client[0], "e", 10, PEAL_HEADER_LAST);
		expect_no_reply(play.client[0]);
		play_close(&play);
	}
END_TEST

static int reply_badly(struct play *play, struct peal_request *request)
{
	static char text[100000];

	(void)play;
	expect_error(peal_reply(request, text, sizeof(text), 0), -EMSGSIZE, NULL);
	expect_error(peal_reply(request, text, 1, 2), -EINVAL, "0x2", NULL);
	expect_error(peal_reply_commit(request, 1, 0), -EINVAL, NULL);
	expect_error(peal_reply_error(request, 5, NULL), -EINVAL, NULL);
	expect_error(peal_server_reply(request->server, request->token, text, 1, 4), -EINVAL, "0x4",
		     NULL);
	expect_error(peal_server_reply_error(request->server, request->token, 5, NULL), -EINVAL,
		     NULL);
	return peal_server_reply(request->server, request->token, "at once", 7, 0);
}

START_TEST(a_reply_that_cannot_be_is_refused_and_the_next_one_is_not)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);

		play.extra = reply_badly;
		play_open(&play, &options);
		join(&play);
		ask(play.client[0], "f", 9);
		serve(&play, 1);
		ck_assert_int_eq(play.result, 0);
		expect_reply(play.client[0], "at once", 9, PEAL_HEADER_LAST);
		ask(play.client[0], "r", 10);
		ask(play.client[0], "e", 11);
		serve(&play, 3);
		expect_reply(play.client[0], "e", 11, PEAL_HEADER_LAST);
		play_close(&play);
	}
END_TEST

START_TEST(without_eventfds_other_threads_still_wake_a_worker)
	{
		struct filter none = { .call = SYS_eventfd2, .err = _i ? EPERM : ENOSYS };
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct pollfd look;

		if (!filter_install(&none)) {
			skip("no filter can be had here");
			return;
		}
		play_open(&play, &options);
		join(&play);
		ask(play.client[0], "t", 1);
		serve(&play, 1);
		while (peal_server_step(play.server, 0) != -EAGAIN)
			;
		look = (struct pollfd){ .fd = peal_server_fd(play.server), .events = POLLIN };
		ck_assert_int_eq(poll(&look, 1, 0), 0);
		ck_assert_int_eq(peal_server_reply(play.server, play.token, "y", 1, 0), 0);
		ck_assert_int_eq(poll(&look, 1, (int)(LONG / MS)), 1);
		while (peal_server_step(play.server, 0) != -EAGAIN)
			;
		expect_reply(play.client[0], "y", 1, PEAL_HEADER_LAST);
		ck_assert_int_eq(poll(&look, 1, 0), 0);
		play_close(&play);
	}
END_TEST

static void expect_note(int fd, const char *text)
{
	char got[64];
	ssize_t length = recv(fd, got, sizeof(got), MSG_DONTWAIT);

	ck_assert_int_eq(length, (ssize_t)strlen(text));
	ck_assert_mem_eq(got, text, strlen(text));
}

START_TEST(who_started_the_server_is_told_that_it_is_ready_and_that_it_stops)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct sockaddr_un name = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		options.flags = PEAL_SERVER_NOTIFY;
		play_open(&play, &options);
		snprintf(name.sun_path, sizeof(name.sun_path), "%s/notify", play.folder.name);
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
		setenv("NOTIFY_SOCKET", name.sun_path, 1);
		ck_assert_int_eq(peal_server_step(play.server, 0), -EAGAIN);
		expect_note(fd, "READY=1");
		ck_assert_int_eq(peal_server_step(play.server, 0), -EAGAIN);
		peal_server_stop(play.server);
		ck_assert_int_eq(peal_server_step(play.server, 0), -ECANCELED);
		expect_note(fd, "STOPPING=1");
		step(&play);
		expect_note(fd, "READY=1");
		peal_server_close(play.server);
		play.server = NULL;
		expect_note(fd, "STOPPING=1");
		ck_assert_int_eq(recv(fd, &name, 1, MSG_DONTWAIT), -1);
		close(fd);
		play_close(&play);
	}
END_TEST

START_TEST(the_limit_of_descriptors_is_raised_where_that_is_wanted)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct rlimit before, now;

		ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
		now = before;
		now.rlim_cur = 100 < now.rlim_max ? 100 : now.rlim_max;
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &now), 0);
		options.flags = PEAL_SERVER_RAISE_NOFILE;
		play_open(&play, &options);
		ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &now), 0);
		ck_assert_uint_eq(now.rlim_cur, before.rlim_max);
		play_close(&play);
		setrlimit(RLIMIT_NOFILE, &before);
	}
END_TEST

static int count_my_cpus(struct play *play, struct peal_request *request)
{
	cpu_set_t set;

	(void)play;
	(void)request;
	return sched_getaffinity(0, sizeof(set), &set) ? -1 : CPU_COUNT(&set);
}

START_TEST(a_worker_is_kept_on_a_cpu_where_that_is_wanted_and_the_caller_only_meanwhile)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct peal_options link = small_link();
		int before = count_my_cpus(&play, NULL);
		char byte;

		options.flags = PEAL_SERVER_PIN;
		play.extra = count_my_cpus;
		play_open(&play, &options);
		ck_assert_int_eq(pthread_create(&play.thread, NULL, run, &play), 0);
		ck_assert_int_eq(peal_connect(&play.client[play.clients++], play.folder.path, &link,
					      LONG),
				 0);
		ask(play.client[0], "f", 1);
		ask(play.client[0], "e", 1);
		ck_assert_int_eq(peal_recv(peal_link_rx(play.client[0]), &byte, 1, NULL, LONG), 1);
		peal_server_stop(play.server);
		pthread_join(play.thread, NULL);
		ck_assert_int_eq(play.extra_result, 1);
		peal_server_stop(play.server);
		run(&play);
		ck_assert_int_eq(count_my_cpus(&play, NULL), before);
		play_close(&play);
	}
END_TEST

START_TEST(clients_that_come_and_go_leave_nothing_behind)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct peal_options link = small_link();
		int open = -1;

		options.max_clients = 3;
		options.ready = 2;
		play_open(&play, &options);
		for (int i = 0; i < 100; i++) {
			play.clients = 0;
			join(&play);
			ask(play.client[0], "e", 1);
			serve(&play, i + 1);
			expect_reply(play.client[0], "e", 1, PEAL_HEADER_LAST);
			leave(&play, 0);
			if (i == 10) {
				while (peal_server_step(play.server, 0) != -EAGAIN)
					;
				open = descriptors_count();
			}
		}
		while (peal_server_step(play.server, 0) != -EAGAIN)
			;
		/* Some are closed by a helper thread; and the memory that counts things stays. */
		while (descriptors_count() > open + 1)
			step(&play);
		ck_assert_uint_eq(counters_of(&play).accepted, 100);
		/* The limit is of those who are there now. */
		play.clients = 0;
		for (int i = 0; i < 3; i++)
			join(&play);
		{
			struct caller caller;

			caller_start(&caller, play.folder.path, &link, LONG);
			while (!caller_is_over(&caller))
				step(&play);
			caller_end(&caller);
			expect_words(caller.err, caller.sentence, -EBUSY, "3", NULL);
		}
		ck_assert_uint_eq(counters_of(&play).refused, 1);
		ck_assert_uint_eq(counters_of(&play).clients, 3);
		play_close(&play);
	}
END_TEST

START_TEST(what_is_left_of_those_who_go_does_not_stay_while_another_is_busy)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		int open, i;

		play_open(&play, &options);
		join(&play);
		join(&play);
		leave(&play, 0);
		while (peal_server_step(play.server, 0) != -EAGAIN)
			;
		open = descriptors_count();
		join(&play);
		ask(play.client[1], "e", 0);
		leave(&play, 2);
		for (i = 0; i < 1000 && descriptors_count() != open; i++) {
			ask(play.client[1], "t", 0);
			step(&play);
		}
		ck_assert_msg(i < 1000, "%d descriptors of %d", descriptors_count(), open);
		play_close(&play);
	}
END_TEST

START_TEST(an_error_is_a_reply_with_a_sentence_and_a_cancel_is_told_of)
	{
		struct play play = { .clients = 0 };
		struct peal_server_options options = options_of(&play);
		struct peal_message about;
		struct peal_control control;
		char got[PEAL_CONTROL_LONGEST];

		play_open(&play, &options);
		join(&play);
		ask(play.client[0], "x", 21);
		serve(&play, 1);
		ck_assert_int_eq(play.result, 0);
		ask(play.client[0], "t", 22);
		serve(&play, 2);
		ck_assert_int_eq(peal_server_reply_error(play.server, play.token, -EIO, "broken"),
				 0);
		ck_assert_int_eq(peal_server_reply_error(play.server, play.token, -EIO, NULL), 0);
		step(&play);
		ask(play.client[0], "y", 22);
		serve(&play, 3);
		ck_assert_int_eq(play.result, 0);
		for (int i = 0; i < 4; i++) {
			ck_assert_int_gt(peal_recv(peal_link_rx(play.client[0]), got, sizeof(got),
						   &about, 0),
					 0);
			ck_assert_int_eq(peal_control_read(&about, &control), 0);
			ck_assert_uint_eq(about.tag, i ? 22 : 21);
			ck_assert_int_eq(control.code, i ? -EIO : -ENOENT);
			ck_assert_str_eq(control.sentence, i == 0 ? "no such thing" :
							   i == 1 ? "broken" :
								    "");
		}
		ck_assert_int_eq(peal_send_cancel(peal_link_tx(play.client[0]), 23, 0), 0);
		while (!play.cancelled)
			step(&play);
		ck_assert_uint_eq(play.cancelled_tag, 23);
		ck_assert_int_eq(play.messages, 3);
		ck_assert_uint_eq(counters_of(&play).messages, 3);
		/* One that knows of no calls is not sent what it cannot read. */
		join_with(&play, NULL);
		ask(play.client[1], "x", 1);
		serve(&play, 4);
		ck_assert_int_eq(play.result, -EOPNOTSUPP);
		expect_error(peal_server_reply_error(play.server, play.token, -EIO, NULL),
			     -EOPNOTSUPP, "PEAL_CALLS", NULL);
		play_close(&play);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("server");
	TCase *all = tcase_create("server");

	tcase_add_test(all, a_request_is_answered_with_no_one_or_many_replies);
	tcase_add_loop_test(all, a_message_is_copied_unless_it_is_wanted_in_place, 0, 2);
	tcase_add_test(all, a_reply_may_come_later_and_be_longer_than_the_ring);
	tcase_add_test(all,
		       a_token_of_a_client_that_has_gone_says_so_also_when_another_has_its_place);
	tcase_add_test(all, a_request_that_is_kept_outlives_its_handler_and_its_client);
	tcase_add_test(all, there_is_room_for_the_promised_reply_or_the_request_waits);
	tcase_add_test(all, requests_of_a_slow_client_are_dropped_where_that_is_wanted);
	tcase_add_test(all, a_client_that_stays_slow_is_disconnected_where_that_is_wanted);
	tcase_add_test(all, replies_that_wait_are_limited_and_come_in_order);
	tcase_add_loop_test(
		all, empty_replies_that_wait_are_limited_too_and_one_may_be_as_long_as_the_queue, 0,
		2);
	tcase_add_test(all, what_waits_for_a_client_that_goes_is_lost_and_counted);
	tcase_add_test(all, an_idle_client_is_disconnected_and_one_with_unread_replies_is_not);
	tcase_add_test(all, a_deadline_makes_the_descriptor_readable);
	tcase_add_test(all, a_client_that_lies_or_is_dropped_or_not_wanted_is_closed);
	tcase_add_test(all, a_program_waits_for_the_descriptor_in_a_loop_of_its_own);
	tcase_add_test(all, who_is_told_to_stop_while_busy_learns_it_by_the_descriptor);
	tcase_add_test(all, no_client_has_more_than_its_turn_while_others_wait);
	tcase_add_test(all, only_one_runs_a_server_at_a_time_and_no_callback_does);
	tcase_add_loop_test(
		all, a_server_stops_when_it_is_told_by_a_thread_or_a_signal_or_beforehand, 0, 2);
	tcase_add_loop_test(all, workers_share_the_clients_and_other_threads_answer, 0, 2);
	tcase_add_test(all, closing_tells_all_and_leaves_nothing_behind);
	tcase_add_test(all, a_child_of_a_fork_can_only_close_it);
	tcase_add_test(all, a_request_may_be_much_longer_than_what_a_worker_keeps_memory_for);
	tcase_add_test(all, options_that_make_no_sense_are_refused_with_a_sentence);
	tcase_add_test(all, options_of_a_later_header_will_do_if_what_is_newer_is_zero);
	tcase_add_test(all, what_a_server_cannot_tell_is_refused_with_a_sentence);
	tcase_add_test(all, replies_for_which_there_is_no_room_are_queued_or_refused);
	tcase_add_test(all, a_reply_that_cannot_be_is_refused_and_the_next_one_is_not);
	tcase_add_loop_test(all, without_eventfds_other_threads_still_wake_a_worker, 0, 2);
	tcase_add_test(all, who_started_the_server_is_told_that_it_is_ready_and_that_it_stops);
	tcase_add_test(all, the_limit_of_descriptors_is_raised_where_that_is_wanted);
	tcase_add_test(
		all, a_worker_is_kept_on_a_cpu_where_that_is_wanted_and_the_caller_only_meanwhile);
	tcase_add_test(all, clients_that_come_and_go_leave_nothing_behind);
	tcase_add_test(all, what_is_left_of_those_who_go_does_not_stay_while_another_is_busy);
	tcase_add_test(all, an_error_is_a_reply_with_a_sentence_and_a_cancel_is_told_of);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
