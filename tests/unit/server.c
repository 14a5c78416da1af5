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
#include <signal.h>
#include <stdlib.h>
#include <string.h>

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
	int result;  /* of what the handler did last */
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
static void on_message(void *data, struct peal_request *request)
{
	struct play *play = data;
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
	case 'k':
		play->kept = peal_request_keep(request);
		break;
	case 'p': /* of the promised size */
		to = calloc(1, play->reply);
		play->result = peal_reply(request, to, play->reply, 0);
		free(to);
		break;
	case 'f':
		play->result = play->extra(play, request);
		break;
	default: /* nothing */
		break;
	}
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
	struct peal_options link = small_link();

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

static Suite *suite(void)
{
	Suite *s = suite_create("server");
	TCase *all = tcase_create("server");

	tcase_add_test(all, a_request_is_answered_with_no_one_or_many_replies);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
