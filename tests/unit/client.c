/*
 * SPDX-License-Identifier: MIT
 *
 * Clients against a server that the test steps: every verdict, and that each call gets just one
 * last answer; what is sent again, and when; connecting, its pauses, and what a server is given
 * that does not answer; waiting by descriptor. The clock can be put forward, and tries to connect
 * are counted, so that nothing depends on time. White-box for that, and for a server that dies
 * without closing.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/link.h"
#include "tests/unit/stage.h"
#include "tests/unit/stranger.h"

#define S (1000 * MS)

/*
 * Time, and tries to connect.
 */

static uint64_t ahead; /* the clock is so far before its time; or this is what it says, */
static bool frozen;    /* and only sleeps put it forward, at once */
static uint64_t sleeps[64];
static unsigned sleep_count;
static unsigned connects;
static bool full_backlog; /* each of them finds one */

uint64_t __real_platform_now(void);
uint64_t __wrap_platform_now(void);
uint64_t __wrap_platform_now(void)
{
	return frozen ? ahead : __real_platform_now() + ahead;
}

void __real_platform_sleep(uint64_t ns);
void __wrap_platform_sleep(uint64_t ns);
void __wrap_platform_sleep(uint64_t ns)
{
	if (!frozen) {
		__real_platform_sleep(ns);
		return;
	}
	if (sleep_count < 64)
		sleeps[sleep_count++] = ns;
	ahead += ns;
}

static void freeze(void)
{
	ahead += __real_platform_now();
	frozen = true;
}

int __real_platform_connect(int fd, const char *name);
int __wrap_platform_connect(int fd, const char *name);
int __wrap_platform_connect(int fd, const char *name)
{
	connects++;
	if (full_backlog)
		return -EAGAIN;
	return __real_platform_connect(fd, name);
}

/*
 * The stage: a client, and a server that is there or not.
 */

static struct folder folder;
static struct peal_listener *listener;
static struct peal_link *server;
static struct peal_link *dead[64]; /* servers that died, and do not know it */
static unsigned dead_count;
static struct peal_client *client;
static struct peal_answer answer;
static struct peal_message request; /* that the server heard last */
static char heard[65536];
static int changes[256]; /* what `changed` was told */
static unsigned change_count;
static int before;

static void changed(void *data, int err)
{
	ck_assert_ptr_eq(data, &change_count);
	if (change_count < 256)
		changes[change_count++] = err;
}

static void listen_up(void)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);

	options.flags = PEAL_CALLS;
	options.max_message = 65536;
	ck_assert_msg(!peal_listen(&listener, folder.path, &options), "%s", peal_error());
}

static void listen_down(void)
{
	peal_listener_close(listener);
	listener = NULL;
}

static void admit(void)
{
	ck_assert_msg(!peal_accept(listener, &server, LONG), "%s", peal_error());
}

/* As if killed: nothing is closed in order. And it is time to look after it. */
static void die(void)
{
	ahead += 20 * MS;
	platform_hang_up(server->fd);
	dead[dead_count++] = server;
	server = NULL;
}

static void open_with(const struct peal_client_options *given)
{
	struct peal_options link = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	struct peal_client_options options;

	peal_client_options_init(&options);
	if (given)
		options = *given;
	if (!options.link)
		options.link = &link;
	options.changed = changed;
	options.data = &change_count;
	ck_assert_msg(!peal_client_open(&client, folder.path, &options), "%s", peal_error());
}

static void set_up(void)
{
	folder_make(&folder);
	before = descriptors_settled();
}

static void tear_down(void)
{
	peal_client_close(client);
	peal_close(server);
	while (dead_count)
		peal_close(dead[--dead_count]);
	listen_down();
	descriptors_expect(before);
	folder_remove(&folder);
}

static uint64_t begin(const char *text, uint32_t flags, int64_t timeout)
{
	uint64_t call = 0;
	/* user is the text. */
	int err = peal_client_begin(client, text, strlen(text), flags, timeout,
				    (void *)(uintptr_t)text, &call);

	ck_assert_msg(!err, "%s: %d: %s", text, err, peal_error());
	ck_assert_uint_ne(call, 0);
	return call;
}

static void next(uint64_t call, uint32_t verdict, int err)
{
	int result = peal_client_next(client, &answer, LONG);

	ck_assert_msg(!result, "%d: %s", result, peal_error());
	ck_assert_msg(answer.verdict == verdict && answer.err == err,
		      "verdict %u instead of %u, %d instead of %d: %s", answer.verdict, verdict,
		      answer.err, err, peal_error());
	ck_assert_uint_eq(answer.call, call);
}

static void next_last(uint64_t call, uint32_t verdict, int err)
{
	next(call, verdict, err);
	ck_assert_uint_eq(answer.last, 1);
	if (verdict != PEAL_REPLY)
		ck_assert(!answer.data && !answer.length);
}

static void next_reply(uint64_t call, const char *text, uint32_t last)
{
	next(call, PEAL_REPLY, 0);
	ck_assert_uint_eq(answer.last, last);
	ck_assert_uint_eq(answer.length, strlen(text));
	ck_assert_mem_eq(answer.data, text, answer.length);
}

static void next_is(int err)
{
	expect_error(peal_client_next(client, &answer, 0), err, NULL);
}

static void hear(const char *text)
{
	ssize_t length = peal_recv(peal_link_rx(server), heard, sizeof(heard), &request, LONG);

	ck_assert_msg(length == (ssize_t)strlen(text), "%zd: %s", length, peal_error());
	ck_assert_mem_eq(heard, text, (size_t)length);
}

static void hear_nothing(void)
{
	expect_error(peal_recv(peal_link_rx(server), heard, sizeof(heard), &request, 0), -EAGAIN,
		     NULL);
}

static void hear_cancel(uint32_t tag)
{
	struct peal_control control;

	ck_assert_int_gt(peal_recv(peal_link_rx(server), heard, sizeof(heard), &request, LONG), 0);
	ck_assert_int_eq(peal_control_read(&request, &control), 0);
	ck_assert_uint_eq(control.kind, PEAL_CONTROL_CANCEL);
	ck_assert_uint_eq(request.tag, tag);
}

static void say(const char *text, uint32_t tag)
{
	ck_assert_int_eq(peal_send(peal_link_tx(server), text, strlen(text), tag, LONG), 0);
}

static void say_last(const char *text, uint32_t tag)
{
	ck_assert_int_eq(peal_send_last(peal_link_tx(server), text, strlen(text), tag, LONG), 0);
}

/* A client that is linked to a server. */
static void link_up(void)
{
	uint64_t call;

	if (!listener)
		listen_up();
	if (!client)
		open_with(NULL);
	call = begin("hello", 0, LONG);
	admit();
	next_is(-EAGAIN);
	hear("hello");
	say_last("welcome", request.tag);
	next_reply(call, "welcome", 1);
	ck_assert_int_eq(peal_client_connected(client), 1);
}

/*
 * Calls and replies.
 */

START_TEST(a_call_is_answered)
	{
		uint64_t call;

		listen_up();
		open_with(NULL);
		ck_assert_int_eq(peal_client_connected(client), 0);
		next_is(-ENOENT);
		call = begin("one", 0, LONG);
		ck_assert_int_eq(peal_client_connected(client), 0);
		admit();
		next_is(-EAGAIN);
		ck_assert_int_eq(peal_client_connected(client), 1);
		hear("one");
		ck_assert_uint_eq(request.tag, (uint32_t)call);
		say_last("eins", request.tag);
		next_reply(call, "eins", 1);
		ck_assert_str_eq(answer.user, "one");
		next_is(-ENOENT);
		ck_assert_uint_eq(change_count, 1);
		ck_assert_int_eq(changes[0], 0);
	}
END_TEST

START_TEST(many_calls_are_answered_in_any_order)
	{
		static const char *const texts[] = { "a", "b", "c", "d", "e", "f", "g", "h" };
		uint64_t calls[8];
		uint32_t tags[8];

		link_up();
		for (int round = 0; round < 5; round++) {
			for (int i = 0; i < 8; i++)
				calls[i] = begin(texts[i], 0, i % 2 ? LONG : PEAL_FOREVER);
			for (int i = 0; i < 8; i++) {
				hear(texts[i]);
				tags[i] = request.tag;
			}
			for (int i = 0; i < 8; i++)
				say_last(texts[(i * 5 + 3) % 8], tags[(i * 5 + 3) % 8]);
			for (int i = 0; i < 8; i++)
				next_reply(calls[(i * 5 + 3) % 8], texts[(i * 5 + 3) % 8], 1);
			next_is(-ENOENT);
		}
	}
END_TEST

START_TEST(one_call_has_many_replies_of_which_the_last_is_marked)
	{
		uint64_t call, other;

		link_up();
		call = begin("more", 0, LONG);
		other = begin("other", 0, LONG);
		hear("more");
		say("1", request.tag);
		say("", request.tag);
		say_last("3", request.tag);
		hear("other");
		say_last("4", request.tag);
		next_reply(call, "1", 0);
		next_reply(call, "", 0);
		next_reply(call, "3", 1);
		next_reply(other, "4", 1);
	}
END_TEST

START_TEST(an_error_reply_ends_a_call_and_has_a_sentence)
	{
		uint64_t call;

		link_up();
		call = begin("what", 0, LONG);
		hear("what");
		ck_assert_int_eq(peal_send_error(peal_link_tx(server), request.tag, -ENODATA,
						 "there is none", LONG),
				 0);
		next_last(call, PEAL_ERROR, -ENODATA);
		ck_assert_str_eq(peal_error(), "there is none");
		next_is(-ENOENT);
	}
END_TEST

START_TEST(what_is_longer_than_a_record_goes_both_ways)
	{
		static char large[50000], back[50000];
		size_t got = 0;
		uint64_t call;
		struct peal_sending sending = { .data = back, .length = sizeof(back) };

		link_up();
		payload_fill(large, sizeof(large), 1);
		payload_fill(back, sizeof(back), 2);
		ck_assert_int_eq(
			peal_client_begin(client, large, sizeof(large), 0, LONG, NULL, &call), 0);
		while (!got) {
			ssize_t length;

			next_is(-EAGAIN);
			length = peal_recv(peal_link_rx(server), heard, sizeof(heard), &request, 0);
			if (length > 0)
				got = (size_t)length;
			else
				ck_assert_int_eq(length, -EAGAIN);
		}
		ck_assert_uint_eq(got, sizeof(large));
		ck_assert(payload_matches(heard, got, 1));
		sending.tag = request.tag;
		while (peal_send_part(peal_link_tx(server), &sending, 0))
			next_is(-EAGAIN);
		next(call, PEAL_REPLY, 0);
		ck_assert_uint_eq(answer.length, sizeof(back));
		ck_assert(payload_matches(answer.data, answer.length, 2));
		/* Too long for this server. */
		expect_error(peal_client_begin(client, large, 65537, 0, LONG, NULL, &call),
			     -EMSGSIZE, "65537", "65536", NULL);
	}
END_TEST

START_TEST(what_turns_out_to_be_too_long_is_not_sent)
	{
		static char large[65537];
		uint64_t calls[2];

		listen_up();
		open_with(NULL);
		ck_assert_int_eq(peal_client_begin(client, large, sizeof(large), 0, LONG, NULL,
						   &calls[0]),
				 0);
		calls[1] = begin("short", 0, LONG);
		admit();
		next_last(calls[0], PEAL_NOT_SENT, -EMSGSIZE);
		hear("short");
		say_last("fine", request.tag);
		next_reply(calls[1], "fine", 1);
	}
END_TEST

START_TEST(one_call_waits_for_its_reply_and_keeps_those_of_others)
	{
		uint64_t calls[3];
		uint32_t tags[3], tag;

		link_up();
		calls[0] = begin("a", 0, LONG);
		calls[1] = begin("b", 0, 1);
		calls[2] = begin("c", 0, LONG);
		for (int i = 0; i < 3; i++) {
			ck_assert_int_eq(peal_recv(peal_link_rx(server), heard, sizeof(heard),
						   &request, 0),
					 1);
			tags[i] = request.tag;
		}
		/* The next place of the table, for the first time. */
		tag = 1024 + 3;
		say("A1", tags[0]);
		ck_assert_int_eq(
			peal_send_error(peal_link_tx(server), tags[2], -EIO, "broken", LONG), 0);
		say_last("A2", tags[0]);
		say("first", tag);
		say("second", tag);
		ck_assert_int_eq(peal_client_call(client, "d", 1, 0, &answer, LONG), 0);
		ck_assert_uint_eq(answer.verdict, PEAL_REPLY);
		ck_assert_uint_eq(answer.last, 1);
		ck_assert_uint_eq(answer.call, 0);
		ck_assert_uint_eq(answer.length, 5);
		ck_assert_mem_eq(answer.data, "first", 5);
		next_reply(calls[0], "A1", 0);
		next_last(calls[2], PEAL_ERROR, -EIO);
		ck_assert_str_eq(peal_error(), "broken");
		next_reply(calls[0], "A2", 1);
		next_last(calls[1], PEAL_TIMED_OUT, -ETIMEDOUT);
		next_is(-ENOENT);
	}
END_TEST

START_TEST(no_more_calls_are_in_flight_than_was_said)
	{
		struct peal_client_options options;
		uint64_t calls[3];

		peal_client_options_init(&options);
		options.calls = 3;
		open_with(&options);
		for (int i = 0; i < 3; i++)
			calls[i] = begin("x", 0, PEAL_FOREVER);
		expect_error(peal_client_begin(client, "y", 1, 0, LONG, NULL, NULL), -EBUSY, "3",
			     NULL);
		ck_assert_int_eq(peal_client_cancel(client, calls[1]), 0);
		/* Its answer is still to be fetched. */
		expect_error(peal_client_begin(client, "y", 1, 0, LONG, NULL, NULL), -EBUSY, NULL);
		next_last(calls[1], PEAL_NOT_SENT, -ECANCELED);
		ck_assert_uint_ne(begin("y", 0, LONG), calls[1]);
	}
END_TEST

START_TEST(wrong_flags_and_options_are_refused)
	{
		struct peal_client_options options;
		struct {
			struct peal_client_options options;
			uint64_t newer[2];
		} later = { .newer = { 0 } };
		struct peal_client *none;

		open_with(NULL);
		expect_error(peal_client_begin(client, "", 0, 4, LONG, NULL, NULL), -EINVAL, "0x4",
			     NULL);
		expect_error(peal_client_open(&none, "fd:3", NULL), -EINVAL, "descriptor 3", NULL);
		ck_assert_ptr_null(none);
		expect_error(peal_client_open(&none, "/", NULL), -EINVAL, NULL);
		peal_client_options_init(&options);
		options.calls = 1048577;
		expect_error(peal_client_open(&none, folder.path, &options), -EINVAL, "1048577",
			     "1048576", NULL);
		peal_client_options_init(&options);
		options.least_ns = 2;
		options.most_ns = 1;
		expect_error(peal_client_open(&none, folder.path, &options), -EINVAL, "least_ns 2",
			     NULL);
		peal_client_options_init(&options);
		options.spare[3] = 1;
		expect_error(peal_client_open(&none, folder.path, &options), -EOPNOTSUPP, NULL);
		options.size = 8;
		expect_error(peal_client_open(&none, folder.path, &options), -EINVAL, "size", NULL);
		peal_client_options_init(&options);
		options.abi = PEAL_ABI + 1;
		expect_error(peal_client_open(&none, folder.path, &options), -EOPNOTSUPP, NULL);
		/* Of a later header: taken if what is newer is zero. */
		peal_client_options_init(&later.options);
		later.options.size = sizeof(later);
		ck_assert_int_eq(peal_client_open(&none, folder.path, &later.options), 0);
		peal_client_close(none);
		later.newer[1] = 1;
		expect_error(peal_client_open(&none, folder.path, &later.options), -EOPNOTSUPP,
			     "offset 160", NULL);
		peal_client_close(NULL);
	}
END_TEST

/*
 * Servers that go away.
 */

START_TEST(what_was_sent_to_a_server_that_dies_is_unknown)
	{
		uint64_t calls[3];
		uint32_t tag;

		link_up();
		calls[0] = begin("a", 0, LONG);
		calls[1] = begin("b", 0, LONG);
		calls[2] = begin("c", 0, LONG);
		hear("a");
		tag = request.tag;
		hear("b");
		/* All that it said before is read. */
		say_last("B", request.tag);
		say("A", tag);
		die();
		next_reply(calls[1], "B", 1);
		next_reply(calls[0], "A", 0);
		next_last(calls[0], PEAL_UNKNOWN, -ECONNRESET);
		next_last(calls[2], PEAL_UNKNOWN, -ECONNRESET);
		ck_assert_msg(strstr(peal_error(), "has died") != NULL, "%s", peal_error());
		next_is(-ENOENT);
		ck_assert_int_eq(peal_client_connected(client), 0);
		ck_assert_int_eq(changes[1], -ECONNRESET);
	}
END_TEST

START_TEST(what_was_sent_to_a_server_that_closes_is_unknown)
	{
		uint64_t calls[2];

		link_up();
		calls[0] = begin("a", 0, LONG);
		calls[1] = begin("b", 0, LONG);
		hear("a");
		say_last("A", request.tag);
		peal_close(server);
		server = NULL;
		next_reply(calls[0], "A", 1);
		next_last(calls[1], PEAL_UNKNOWN, -EPIPE);
	}
END_TEST

START_TEST(a_call_begun_after_the_server_closed_goes_to_the_next_one)
	{
		uint64_t call;

		freeze();
		link_up();
		peal_close(server);
		ahead += 2 * S; /* the link was a long one */
		call = begin("late", 0, LONG);
		next_is(-EAGAIN);
		admit();
		next_is(-EAGAIN);
		hear("late");
		say_last("so what", request.tag);
		next_reply(call, "so what", 1);
		/* The same of one that died, once it is looked after. */
		die();
		ahead += 2 * S;
		call = begin("later", 0, LONG);
		next_is(-EAGAIN);
		admit();
		next_is(-EAGAIN);
		hear("later");
		say_last("so what", request.tag);
		next_reply(call, "so what", 1);
	}
END_TEST

START_TEST(an_idempotent_call_is_sent_once_to_each_server)
	{
		uint64_t calls[2];

		freeze();
		link_up();
		calls[0] = begin("again", PEAL_IDEMPOTENT, PEAL_FOREVER);
		calls[1] = begin("once", 0, PEAL_FOREVER);
		hear("again");
		hear("once");
		for (int i = 0; i < 3; i++) {
			die();
			if (!i)
				next_last(calls[1], PEAL_UNKNOWN, -ECONNRESET);
			else
				next_is(-EAGAIN);
			ahead += 2 * S;
			next_is(-EAGAIN); /* says hello */
			admit();
			next_is(-EAGAIN);
			hear("again");
			ck_assert_uint_eq(request.tag, (uint32_t)calls[0]);
			next_is(-EAGAIN);
			hear_nothing();
		}
		say_last("at last", request.tag);
		next_reply(calls[0], "at last", 1);
	}
END_TEST

START_TEST(an_idempotent_call_is_not_sent_again_after_a_first_reply)
	{
		uint64_t calls[2];

		freeze();
		link_up();
		calls[0] = begin("again", PEAL_IDEMPOTENT, PEAL_FOREVER);
		calls[1] = begin("unread", PEAL_IDEMPOTENT, PEAL_FOREVER);
		hear("again");
		say("half", request.tag);
		die();
		next_reply(calls[0], "half", 0);
		next_last(calls[0], PEAL_UNKNOWN, -ECONNRESET);
		ahead += 2 * S;
		next_is(-EAGAIN);
		admit();
		next_is(-EAGAIN);
		hear("unread");
		next_is(-EAGAIN);
		hear_nothing();
	}
END_TEST

START_TEST(an_idempotent_call_that_found_no_second_server_is_unknown)
	{
		uint64_t call;

		freeze();
		link_up();
		call = begin("again", PEAL_IDEMPOTENT, 10 * S);
		listen_down();
		die();
		next_is(-EAGAIN);
		ahead += S;
		next_is(-EAGAIN);
		ahead += 11 * S;
		next(call, PEAL_UNKNOWN, -ECONNREFUSED);
		ck_assert_uint_eq(answer.last, 1);
	}
END_TEST

START_TEST(idempotent_calls_are_sent_again_before_those_that_came_later)
	{
		uint64_t calls[3];

		freeze();
		link_up();
		calls[0] = begin("a", PEAL_IDEMPOTENT, LONG);
		calls[1] = begin("b", PEAL_IDEMPOTENT, LONG);
		die();
		ahead += 2 * S;
		calls[2] = begin("c", 0, LONG);
		next_is(-EAGAIN);
		admit();
		next_is(-EAGAIN);
		hear("a");
		say_last("A", request.tag);
		hear("b");
		say_last("B", request.tag);
		hear("c");
		say_last("C", request.tag);
		next_reply(calls[0], "A", 1);
		next_reply(calls[1], "B", 1);
		next_reply(calls[2], "C", 1);
	}
END_TEST

/*
 * No server.
 */

START_TEST(a_call_waits_for_a_server_that_comes_in_time)
	{
		uint64_t call;

		freeze();
		open_with(NULL);
		call = begin("where", 0, 10 * S);
		next_is(-EAGAIN);
		ck_assert_int_eq(changes[0], -ECONNREFUSED);
		listen_up();
		ahead += 2 * S;
		next_is(-EAGAIN);
		admit();
		next_is(-EAGAIN);
		hear("where");
		say_last("here", request.tag);
		next_reply(call, "here", 1);
	}
END_TEST

START_TEST(a_call_that_finds_no_server_in_time_is_not_sent)
	{
		uint64_t call;

		open_with(NULL);
		freeze();
		call = begin("where", 0, 10 * S);
		next_last(call, PEAL_NOT_SENT, -ECONNREFUSED);
		ck_assert_msg(strstr(peal_error(), "no server at") != NULL, "%s", peal_error());
		/* Without time there was a try all the same, or one is due. */
		call = begin("now", 0, 0);
		next_last(call, PEAL_NOT_SENT, -ECONNREFUSED);
	}
END_TEST

START_TEST(a_call_for_now_does_not_wait_for_a_server)
	{
		uint64_t call;

		freeze();
		open_with(NULL);
		call = begin("now", PEAL_NOW, PEAL_FOREVER);
		next_last(call, PEAL_NOT_SENT, -ECONNREFUSED);
		/* No second try before its time. */
		connects = 0;
		listen_up();
		call = begin("now", PEAL_NOW, PEAL_FOREVER);
		next_last(call, PEAL_NOT_SENT, -ECONNREFUSED);
		ck_assert_uint_eq(connects, 0);
		/* One that is there is waited for. */
		ahead += S;
		call = begin("now", PEAL_NOW, PEAL_FOREVER);
		next_is(-EAGAIN);
		admit();
		next_is(-EAGAIN);
		hear("now");
		say_last("then", request.tag);
		next_reply(call, "then", 1);
		/* And with it go those that wait for room. */
	}
END_TEST

START_TEST(a_call_that_was_not_sent_says_so_after_the_next_server_has_come_too)
	{
		uint64_t call, later;

		open_with(NULL);
		call = begin("now", PEAL_NOW, PEAL_FOREVER);
		listen_up();
		ahead += S;
		later = begin("later", 0, LONG);
		admit();
		begin("more", 0, LONG);
		ck_assert_int_eq(peal_client_connected(client), 1);
		next_last(call, PEAL_NOT_SENT, -ECONNREFUSED);
		ck_assert_str_eq(peal_error(), "there was no server to send the call to");
		hear("later");
		say_last("then", request.tag);
		next_reply(later, "then", 1);
	}
END_TEST

START_TEST(a_server_that_refuses_ends_all_that_waits)
	{
		struct peal_client_options options;
		struct peal_options link = stage_options(PEAL_WAIT_ADAPTIVE, stage_page() * 2);
		struct peal_options narrow = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		uint64_t calls[2];

		narrow.max_peer_ring = stage_page();
		ck_assert_int_eq(peal_listen(&listener, folder.path, &narrow), 0);
		peal_client_options_init(&options);
		options.link = &link;
		open_with(&options);
		calls[0] = begin("a", 0, PEAL_FOREVER);
		calls[1] = begin("b", PEAL_IDEMPOTENT, PEAL_FOREVER);
		expect_error(peal_accept(listener, &server, 0), -EAGAIN, NULL);
		next_last(calls[0], PEAL_NOT_SENT, -E2BIG);
		ck_assert_msg(strstr(peal_error(), "the server refused") != NULL, "%s",
			      peal_error());
		next_last(calls[1], PEAL_NOT_SENT, -E2BIG);
		next_is(-ENOENT);
	}
END_TEST

START_TEST(the_pauses_between_tries_grow_to_a_limit_and_are_random)
	{
		struct peal_client_options options;
		uint64_t whole = 1000 * MS, call;
		unsigned equal = 0;

		peal_client_options_init(&options);
		options.least_ns = 1000 * MS;
		options.most_ns = 20 * 1000 * MS;
		open_with(&options);
		freeze();
		call = begin("where", 0, 400 * S);
		ck_assert_int_eq(peal_client_next(client, &answer, PEAL_FOREVER), 0);
		ck_assert_uint_eq(answer.call, call);
		ck_assert_uint_ge(sleep_count, 20);
		ck_assert_uint_le(connects, sleep_count + 1);
		for (unsigned i = 0; i + 1 < sleep_count; i++) { /* the last is cut short */
			ck_assert_uint_le(sleeps[i], whole);
			ck_assert_uint_ge(sleeps[i], whole / 2);
			equal += sleeps[i] > whole - (uint64_t)MS;
			whole = whole * 2 < options.most_ns ? whole * 2 : options.most_ns;
		}
		ck_assert_uint_lt(equal, sleep_count / 2);
	}
END_TEST

START_TEST(a_link_that_lived_short_is_followed_by_a_pause)
	{
		uint64_t call;

		freeze();
		link_up();
		listen_down();
		listen_up();
		connects = 0;
		for (unsigned i = 0; i < 5; i++) {
			call = begin("x", PEAL_IDEMPOTENT, PEAL_FOREVER);
			die();
			next_is(-EAGAIN);
			ck_assert_uint_eq(connects, i);
			ahead += 990 * MS; /* the most */
			ahead += 10 * MS;
			next_is(-EAGAIN);
			ck_assert_uint_eq(connects, i + 1);
			admit();
			next_is(-EAGAIN);
			hear("x");
			say_last("y", request.tag);
			next_reply(call, "y", 1);
		}
		ahead += 2 * S;
		begin("x", PEAL_IDEMPOTENT, PEAL_FOREVER);
		die();
		next_is(-EAGAIN);
		/* It lived long. */
		next_is(-EAGAIN);
		ck_assert_uint_eq(connects, 6);
	}
END_TEST

START_TEST(a_server_that_does_not_answer_holds_up_no_call)
	{
		int deaf = stranger_bind(folder.path, SOCK_SEQPACKET, 5);
		uint64_t calls[3];

		open_with(NULL);
		calls[0] = begin("a", 0, 0);
		next_last(calls[0], PEAL_NOT_SENT, -ETIMEDOUT);
		calls[1] = begin("b", 0, 20 * MS);
		next_last(calls[1], PEAL_NOT_SENT, -ETIMEDOUT);
		/* One handshake serves them all, until it has taken too long. */
		freeze();
		calls[2] = begin("c", 0, PEAL_FOREVER);
		for (int i = 0; i < 9; i++) {
			next_is(-EAGAIN);
			ahead += S;
		}
		ck_assert_uint_eq(connects, 1);
		ck_assert_uint_eq(change_count, 0);
		ahead += S;
		next_is(-EAGAIN);
		ck_assert_int_eq(changes[0], -ETIMEDOUT);
		ahead += S;
		next_is(-EAGAIN);
		ck_assert_uint_eq(connects, 2);
		/* It has been replaced. */
		close(deaf);
		next_is(-EAGAIN);
		ck_assert_int_eq(changes[1], -ECONNRESET);
		listen_up();
		ahead += S;
		next_is(-EAGAIN);
		admit();
		next_is(-EAGAIN);
		hear("c");
		say_last("C", request.tag);
		next_reply(calls[2], "C", 1);
	}
END_TEST

/*
 * Time, cancels, room.
 */

START_TEST(a_call_whose_time_is_up_is_cancelled_and_a_late_reply_dropped)
	{
		uint64_t calls[3];
		uint32_t tag;

		freeze();
		link_up();
		calls[0] = begin("slow", 0, S);
		calls[1] = begin("slower", 0, 3 * S);
		calls[2] = begin("slowest", 0, PEAL_FOREVER);
		hear("slow");
		tag = request.tag;
		hear("slower");
		hear("slowest");
		next_is(-EAGAIN);
		ahead += 2 * S;
		next_last(calls[0], PEAL_TIMED_OUT, -ETIMEDOUT);
		hear_cancel(tag);
		say_last("too late", tag);
		say_last("in time", request.tag); /* nobody has it any more */
		next_is(-EAGAIN);
		ahead += 2 * S;
		next_last(calls[1], PEAL_TIMED_OUT, -ETIMEDOUT);
		hear_cancel((uint32_t)calls[1]);
		say_last("at last", (uint32_t)calls[2]);
		next_reply(calls[2], "at last", 1);
	}
END_TEST

START_TEST(calls_end_in_the_order_of_their_deadlines)
	{
		static const int64_t seconds[] = { 7, 3, 9, 1, 5, 8, 2, 6, 4, 10 };
		uint64_t calls[11], start;

		freeze();
		start = ahead;
		open_with(NULL);
		for (int i = 0; i < 10; i++)
			calls[seconds[i]] = begin("x", 0, seconds[i] * 100 * S);
		ck_assert_int_eq(peal_client_cancel(client, calls[1]), 0);
		ck_assert_int_eq(peal_client_cancel(client, calls[6]), 0);
		next_last(calls[1], PEAL_NOT_SENT, -ECANCELED);
		next_last(calls[6], PEAL_NOT_SENT, -ECANCELED);
		for (int i = 2; i <= 10; i++) {
			if (i == 6)
				continue;
			ahead = start + (uint64_t)i * 100 * S + (uint64_t)S * 50;
			next_last(calls[i], PEAL_NOT_SENT, -ECONNREFUSED);
			if (i < 10)
				next_is(-EAGAIN);
		}
	}
END_TEST

START_TEST(a_call_that_is_given_up_says_so_once)
	{
		uint64_t call;

		link_up();
		call = begin("never mind", 0, LONG);
		hear("never mind");
		say("half", request.tag);
		ck_assert_int_eq(peal_client_cancel(client, call), 0);
		expect_error(peal_client_cancel(client, call), -ENOENT, NULL);
		next_last(call, PEAL_CANCELLED, -ECANCELED);
		expect_error(peal_client_cancel(client, call), -ENOENT, NULL);
		hear_cancel((uint32_t)call);
		next_is(-ENOENT);
		expect_error(peal_client_cancel(client, 0), -ENOENT, NULL);
		expect_error(peal_client_cancel(client, UINT64_MAX), -ENOENT, NULL);
	}
END_TEST

START_TEST(a_full_ring_keeps_calls_back_and_loses_none)
	{
		static char text[16384];
		size_t size = stage_page() / 4;
		uint64_t calls[20], small;

		link_up();
		for (int i = 0; i < 20; i++) {
			payload_fill(text, size, (uint32_t)i);
			ck_assert_int_eq(
				peal_client_begin(client, text, size, 0, LONG, NULL, &calls[i]), 0);
		}
		/* Nor does one overtake them. */
		small = begin("small", 0, LONG);
		next_is(-EAGAIN);
		/* Cancelled before it got out. */
		ck_assert_int_eq(peal_client_cancel(client, calls[19]), 0);
		next_last(calls[19], PEAL_NOT_SENT, -ECANCELED);
		for (int i = 0; i < 19; i++) {
			while (peal_recv(peal_link_rx(server), heard, sizeof(heard), &request, 0) ==
			       -EAGAIN)
				next_is(-EAGAIN);
			ck_assert_uint_eq(request.length, size);
			ck_assert(payload_matches(heard, size, (uint32_t)i));
			ck_assert_uint_eq(request.tag, (uint32_t)calls[i]);
			say_last("ok", request.tag);
			next_reply(calls[i], "ok", 1);
		}
		next_is(-EAGAIN);
		hear("small");
		say_last("ok", request.tag);
		next_reply(small, "ok", 1);
		next_is(-ENOENT);
		hear_nothing();
	}
END_TEST

START_TEST(a_long_request_that_is_given_up_half_sent_was_not_sent)
	{
		static char large[50000];
		uint64_t calls[2];

		freeze();
		link_up();
		ck_assert_int_eq(
			peal_client_begin(client, large, sizeof(large), 0, S, NULL, &calls[0]), 0);
		calls[1] = begin("behind", 0, LONG);
		expect_error(peal_recv(peal_link_rx(server), heard, sizeof(heard), &request, 0),
			     -EAGAIN, NULL);
		next_is(-EAGAIN);
		ahead += 2 * S;
		next_last(calls[0], PEAL_NOT_SENT, -ETIMEDOUT);
		while (peal_recv(peal_link_rx(server), heard, sizeof(heard), &request, 0) ==
		       -EAGAIN)
			next_is(-EAGAIN);
		ck_assert_uint_eq(request.tag, (uint32_t)calls[1]);
		say_last("at once", request.tag);
		next_reply(calls[1], "at once", 1);
	}
END_TEST

/* Reads what comes, and answers it. */
static void *serve(void *data)
{
	struct peal_rx *rx = peal_link_rx(server);
	struct peal_tx *tx = peal_link_tx(server);
	static char buffer[65536];
	struct peal_message message;
	ssize_t length;

	(void)data;
	while ((length = peal_recv(rx, buffer, sizeof(buffer), &message, LONG)) >= 0)
		if (!(message.flags & PEAL_HEADER_CONTROL) &&
		    peal_send_last(tx, buffer, (size_t)length, message.tag, LONG))
			break;
	return NULL;
}

#define FLOOD 600 /* replies of 60000 bytes */

/* Answers the first of two calls without end, as it seems, and then the second. */
static void *flood(void *data)
{
	struct peal_rx *rx = peal_link_rx(server);
	struct peal_tx *tx = peal_link_tx(server);
	static char buffer[60000];
	struct peal_message first, second;

	(void)data;
	if (peal_recv(rx, buffer, sizeof(buffer), &first, LONG) < 0 ||
	    peal_recv(rx, buffer, sizeof(buffer), &second, LONG) < 0)
		return NULL;
	for (int i = 0; i < FLOOD; i++)
		if (peal_send(tx, buffer, sizeof(buffer), first.tag, LONG))
			return NULL;
	peal_send_last(tx, "second", 6, second.tag, LONG);
	peal_send_last(tx, "first", 5, first.tag, LONG);
	return NULL;
}

START_TEST(no_more_replies_of_others_are_kept_than_there_may_be_memory_for)
	{
		pthread_t thread;
		uint64_t call;

		link_up();
		call = begin("a", 0, LONG);
		ck_assert_int_eq(pthread_create(&thread, NULL, flood, NULL), 0);
		ck_assert_int_eq(peal_client_call(client, "b", 1, 0, &answer, LONG), 0);
		ck_assert_uint_eq(answer.verdict, PEAL_CANCELLED);
		ck_assert_int_eq(answer.err, -ENOMEM);
		ck_assert_ptr_nonnull(strstr(peal_error(), "peal_client_next"));
		/* What there is stays, and the rest comes. */
		for (int i = 0; i < FLOOD; i++) {
			next(call, PEAL_REPLY, 0);
			ck_assert_uint_eq(answer.length, 60000);
		}
		next_reply(call, "first", 1);
		next_is(-ENOENT);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
		ck_assert_int_eq(peal_client_begin(client, "c", 1, 0, 0, NULL, NULL), 0);
	}
END_TEST

static void run_against_a_thread(uint32_t wait)
{
	struct peal_client_options options;
	struct peal_options link = stage_options(wait, 0);
	static char large[30000];
	uint64_t done = 0;
	pthread_t thread;

	peal_client_options_init(&options);
	options.link = &link;
	open_with(&options);
	link_up();
	ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
	payload_fill(large, sizeof(large), 9);
	for (uint64_t i = 0; i < 300; i++) {
		size_t length = i % 10 ? i : sizeof(large);

		ck_assert_int_eq(
			peal_client_begin(client, large, length, 0, LONG, (void *)length, NULL), 0);
		if (i - done < 40)
			continue;
		ck_assert_int_eq(peal_client_next(client, &answer, LONG), 0);
		ck_assert_uint_eq(answer.verdict, PEAL_REPLY);
		ck_assert_uint_eq(answer.length, (size_t)answer.user);
		ck_assert(payload_matches(answer.data, answer.length, 9));
		done++;
	}
	ck_assert_int_eq(peal_client_call(client, "x", 1, 0, &answer, LONG), 0);
	ck_assert_uint_eq(answer.length, 1);
	for (; done < 300; done++) {
		ck_assert_int_eq(peal_client_next(client, &answer, LONG), 0);
		ck_assert(payload_matches(answer.data, answer.length, 9));
	}
	next_is(-ENOENT);
	peal_client_close(client);
	client = NULL;
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

START_TEST(a_server_in_a_thread_answers_all_that_is_sent)
	{
		run_against_a_thread(_i == 0 ? PEAL_WAIT_ADAPTIVE : PEAL_WAIT_SLEEP);
	}
END_TEST

START_TEST(a_client_that_spins_works_too_and_has_no_descriptor)
	{
		run_against_a_thread(PEAL_WAIT_SPIN);
		listen_down();
		peal_close(server);
		server = NULL;
		open_with(&(struct peal_client_options){
			.size = sizeof(struct peal_client_options),
			.abi = PEAL_ABI,
			.link = &(struct peal_options){ .size = sizeof(struct peal_options),
							.abi = PEAL_ABI,
							.wait = PEAL_WAIT_SPIN } });
		expect_error(peal_client_fd(client), -EOPNOTSUPP, NULL);
	}
END_TEST

START_TEST(one_that_is_closed_tells_its_server_of_its_calls)
	{
		uint64_t calls[2];

		link_up();
		calls[0] = begin("a", 0, LONG);
		calls[1] = begin("b", PEAL_IDEMPOTENT, LONG);
		hear("a");
		hear("b");
		peal_client_close(client);
		client = NULL;
		hear_cancel((uint32_t)calls[0]);
		hear_cancel((uint32_t)calls[1]);
		expect_error(peal_recv(peal_link_rx(server), heard, sizeof(heard), &request, 0),
			     -EPIPE, NULL);
	}
END_TEST

/*
 * Servers that lie.
 */

START_TEST(replies_that_belong_to_no_call_are_dropped)
	{
		uint64_t x = 1, calls[2];

		link_up();
		calls[0] = begin("a", 0, LONG);
		calls[1] = begin("b", 0, LONG);
		hear("a");
		for (int i = 0; i < 1000; i++) {
			uint32_t tag = (uint32_t)scramble(&x);

			if (tag == (uint32_t)calls[0] || tag == (uint32_t)calls[1])
				continue;
			if (i % 3)
				say("nonsense", tag);
			else
				ck_assert_int_eq(peal_send_error(peal_link_tx(server), tag, -EIO,
								 "nonsense", LONG),
						 0);
			if (i % 2)
				next_is(-EAGAIN);
		}
		/* Places, without what stands above them; and a cancel. */
		for (uint32_t tag = 0; tag < 1024; tag++) {
			say_last("nonsense", tag);
			if (tag % 8 == 7)
				next_is(-EAGAIN);
		}
		ck_assert_int_eq(peal_send_cancel(peal_link_tx(server), (uint32_t)calls[0], LONG),
				 0);
		next_is(-EAGAIN);
		say_last("A", (uint32_t)calls[0]);
		say_last("A", (uint32_t)calls[0]);
		say_last("B", (uint32_t)calls[1]);
		next_reply(calls[0], "A", 1);
		next_reply(calls[1], "B", 1);
		next_is(-ENOENT);
	}
END_TEST

START_TEST(a_server_that_breaks_the_protocol_is_left)
	{
		uint64_t call;

		link_up();
		call = begin("a", 0, LONG);
		hear("a");
		__atomic_store_n(
			(uint64_t *)(void *)(server->tx.data + (server->tx.pos & server->tx.mask)),
			UINT64_MAX, __ATOMIC_RELEASE); /* Pairs with [see]. */
		next_last(call, PEAL_UNKNOWN, -EPROTO);
		ck_assert_int_eq(peal_client_connected(client), 0);
	}
END_TEST

/*
 * By descriptor.
 */

static bool polls(int ms)
{
	struct pollfd look = { .fd = peal_client_fd(client), .events = POLLIN };

	return poll(&look, 1, ms) == 1;
}

START_TEST(the_descriptor_tells_of_replies_ends_handshakes_and_time)
	{
		uint64_t call;
		int fd;

		listen_up();
		open_with(NULL);
		fd = peal_client_fd(client);
		ck_assert_int_ge(fd, 0);
		ck_assert(!polls(0));
		call = begin("a", 0, LONG);
		next_is(-EAGAIN);
		ck_assert(!polls(0));
		admit();
		ck_assert(polls(0)); /* the answer to the handshake */
		next_is(-EAGAIN);
		ck_assert(!polls(0));
		hear("a");
		say_last("A", request.tag);
		ck_assert(polls(0));
		next_reply(call, "A", 1);
		next_is(-ENOENT);
		ck_assert(!polls(0));
		/* A deadline. */
		call = begin("b", 0, MS);
		while (peal_client_next(client, &answer, 0))
			ck_assert(polls((int)(LONG / MS)));
		ck_assert_uint_eq(answer.verdict, PEAL_TIMED_OUT);
		/* The end of the server; and the time of the next try. */
		call = begin("c", PEAL_IDEMPOTENT, LONG);
		next_is(-EAGAIN);
		ck_assert(!polls(0));
		die();
		ck_assert(polls(0));
		while (connects < 2) {
			next_is(-EAGAIN);
			if (connects < 2)
				ck_assert(polls((int)(LONG / MS)));
		}
		admit();
		ck_assert(polls(0));
		next_is(-EAGAIN);
		hear("c");
		ck_assert_int_eq(peal_client_fd(client), fd);
		/* Idle, and then the server dies: it is told once. */
		say_last("C", request.tag);
		ck_assert(polls(0));
		next_reply(call, "C", 1);
		next_is(-ENOENT);
		ck_assert(!polls(0));
		die();
		ck_assert(polls(0));
		next_is(-ENOENT);
		ck_assert(!polls(0));
	}
END_TEST

START_TEST(the_descriptor_follows_from_one_handshake_to_the_next)
	{
		int deaf = stranger_bind(folder.path, SOCK_SEQPACKET, 5);

		open_with(NULL);
		freeze();
		ck_assert_int_ge(peal_client_fd(client), 0);
		begin("a", 0, PEAL_FOREVER);
		next_is(-EAGAIN);
		ck_assert(!polls(0));
		ck_assert_int_eq(unlink(folder.path), 0);
		listen_up();
		close(stranger_accept(deaf));
		ck_assert(polls(0));
		begin("b", 0, PEAL_FOREVER); /* takes the steps that are due, too */
		ck_assert_uint_eq(change_count, 1);
		ahead += S;
		begin("c", 0, PEAL_FOREVER); /* with a socket of the same number */
		next_is(-EAGAIN);
		ck_assert(!polls(0));
		admit();
		ck_assert(polls(0));
		next_is(-EAGAIN);
		hear("a");
		close(deaf);
	}
END_TEST

START_TEST(the_descriptor_tells_of_room)
	{
		static char text[1000];
		unsigned sent = 0;

		link_up();
		ck_assert_int_ge(peal_client_fd(client), 0);
		for (int i = 0; i < 12; i++)
			ck_assert_int_eq(peal_client_begin(client, text, sizeof(text), 0, LONG,
							   NULL, NULL),
					 0);
		next_is(-EAGAIN);
		while (sent < 12) {
			while (peal_recv(peal_link_rx(server), heard, sizeof(heard), &request, 0) >
			       0)
				sent++;
			if (sent == 12)
				break;
			ck_assert(polls((int)(LONG / MS)));
			next_is(-EAGAIN);
		}
		ck_assert(!polls(0));
	}
END_TEST

/*
 * Forks.
 */

static const char *child_of_a_fork(void *data)
{
	uint64_t call = *(uint64_t *)data;

	if (peal_client_begin(client, "x", 1, 0, 0, NULL, NULL) != -ESTALE ||
	    peal_client_next(client, &answer, 0) != -ESTALE ||
	    peal_client_cancel(client, call) != -ESTALE ||
	    peal_client_call(client, "x", 1, 0, &answer, 0) != -ESTALE ||
	    peal_client_connected(client) != -ESTALE || peal_client_fd(client) != -ESTALE)
		return wrong("a verb went on");
	peal_client_close(client);
	return NULL;
}

/* Whether a descriptor is of memory. */
static bool is_memory(int fd)
{
	char name[32], target[32] = "";

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return readlink(name, target, sizeof(target) - 1) > 0 && strstr(target, "memfd:");
}

static const char *child_has_no_memory(void *data)
{
	int fd = *(int *)data;

	return is_memory(fd) ? wrong("descriptor %d is still open", fd) : NULL;
}

START_TEST(a_child_has_nothing_of_a_handshake_that_goes_on)
	{
		bool others[256];
		int segment = -1;

		open_with(NULL);
		for (int fd = 0; fd < 256; fd++)
			others[fd] = is_memory(fd);
		full_backlog = true;
		begin("a", 0, LONG);
		full_backlog = false;
		for (int fd = 0; fd < 256; fd++)
			if (is_memory(fd) && !others[fd])
				segment = fd;
		ck_assert_int_ge(segment, 0);
		child_run(child_has_no_memory, &segment);
	}
END_TEST

START_TEST(after_a_fork_the_parent_goes_on_and_the_child_may_close)
	{
		uint64_t call;

		listen_up();
		open_with(NULL);
		ck_assert_int_ge(peal_client_fd(client), 0);
		call = begin("a", PEAL_IDEMPOTENT, LONG);
		child_run(child_of_a_fork, &call); /* in the midst of a handshake */
		admit();
		next_is(-EAGAIN);
		hear("a");
		child_run(child_of_a_fork, &call);
		say_last("A", request.tag);
		next_reply(call, "A", 1);
	}
END_TEST

/*
 * The ledger: whatever happens, each call has one last answer, and it is true.
 */

#define LEDGER 3000

static struct entry {
	uint64_t call;
	uint32_t flags;
	uint32_t seen;      /* by servers, all in all */
	uint32_t seen_life; /* by this one last */
	uint32_t replies, lasts;
	uint32_t verdict;
	bool replied_last; /* the server said so, to a call that was open */
} ledger[LEDGER];

static uint32_t begun, ended, life;

static struct entry *entry_of(const void *data)
{
	uint32_t number;

	memcpy(&number, data, sizeof(number));
	ck_assert_uint_lt(number, begun);
	return &ledger[number];
}

static void ledger_begin(uint64_t *x)
{
	static char text[9000];
	size_t length = scramble(x) % 8 ? 4 + scramble(x) % 300 : sizeof(text);
	int64_t timeout = scramble(x) % 4 ? (int64_t)(scramble(x) % (uint64_t)(3 * S)) :
					    PEAL_FOREVER;
	struct entry *entry = &ledger[begun];
	uint32_t flags = scramble(x) % 4;
	int err;

	if (begun == LEDGER)
		return;
	memcpy(text, &begun, sizeof(begun));
	entry->flags = flags;
	err = peal_client_begin(client, text, length, flags, timeout, entry, &entry->call);
	if (err)
		ck_assert_int_eq(err, -EBUSY);
	else
		begun++;
}

/* Takes what has come; 0: nothing. */
static int ledger_next(int64_t timeout)
{
	int err = peal_client_next(client, &answer, timeout);
	struct entry *entry = answer.user;

	if (err) {
		ck_assert_msg(err == -EAGAIN || err == -ENOENT || err == -ETIMEDOUT, "%d: %s", err,
			      peal_error());
		return 0;
	}
	ck_assert(entry >= ledger && entry < ledger + begun);
	ck_assert_uint_eq(answer.call, entry->call);
	ck_assert_uint_eq(entry->lasts, 0);
	if (answer.verdict == PEAL_REPLY)
		ck_assert_ptr_eq(entry_of(answer.data), entry);
	entry->replies += answer.verdict == PEAL_REPLY || answer.verdict == PEAL_ERROR;
	entry->lasts += answer.last;
	entry->verdict = answer.verdict;
	ended += answer.last;
	return 1;
}

static void ledger_serve(uint64_t *x)
{
	struct peal_tx *tx = peal_link_tx(server);
	struct entry *entry;
	ssize_t length = peal_recv(peal_link_rx(server), heard, sizeof(heard), &request, 0);

	if (length < 0) {
		ck_assert_msg(length == -EAGAIN, "%zd: %s", length, peal_error());
		return;
	}
	if (request.flags & PEAL_HEADER_CONTROL)
		return;
	entry = entry_of(heard);
	ck_assert_uint_eq((uint32_t)entry->call, request.tag);
	entry->seen++;
	ck_assert_msg(entry->seen_life != life, "seen twice in one life");
	ck_assert(entry->seen == 1 || (entry->flags & PEAL_IDEMPOTENT));
	entry->seen_life = life;
	switch (scramble(x) % 8) {
	case 0: /* says nothing */
		break;
	case 1:
		peal_send_error(tx, request.tag, -EIO, "no", 0);
		break;
	case 2:
		peal_send(tx, heard, 4, request.tag, 0);
		break;
	case 3:
		peal_send(tx, heard, 4, request.tag, 0);
		peal_send_last(tx, heard, 5 + scramble(x) % 100, request.tag, 0);
		peal_send_last(tx, heard, 4, request.tag, 0);
		break;
	default:
		peal_send_last(tx, heard, 4, request.tag, 0);
	}
}

static void ledger_step(uint64_t *x)
{
	struct peal_link *made;
	uint64_t what = scramble(x) % 1000;

	if (what < 350) {
		ledger_begin(x);
	} else if (what < 600) {
		ledger_next(0);
	} else if (what < 900 && server) {
		ledger_serve(x);
	} else if (what < 960 && listener) {
		if (server || peal_accept(listener, &made, 0))
			return;
		server = made;
		life++;
	} else if (what < 970 && begun) {
		peal_client_cancel(client, ledger[scramble(x) % begun].call);
	} else if (what < 980) {
		ahead += scramble(x) % (uint64_t)S;
	} else if (what < 985 && server) {
		if (scramble(x) % 2) {
			peal_close(server);
			server = NULL;
		} else if (dead_count < 64) {
			die();
		}
	} else if (what < 988 && listener) {
		listen_down();
	} else if (what < 994 && !listener) {
		listen_up();
	}
}

START_TEST(each_call_has_one_last_answer_and_it_is_true)
	{
		struct peal_client_options options;
		uint64_t x = 77 + (uint64_t)_i;

		peal_client_options_init(&options);
		options.calls = 100;
		freeze();
		open_with(&options);
		listen_up();
		while (begun < LEDGER)
			ledger_step(&x);
		/* Let go of those that have time without end. */
		for (uint32_t i = 0; i < begun; i++)
			peal_client_cancel(client, ledger[i].call);
		while (ledger_next(0))
			continue;
		ck_assert_uint_eq(ended, begun);
		for (uint32_t i = 0; i < begun; i++) {
			ck_assert_uint_eq(ledger[i].lasts, 1);
			if (ledger[i].verdict == PEAL_NOT_SENT)
				ck_assert_uint_eq(ledger[i].seen, 0);
			if (ledger[i].verdict == PEAL_REPLY || ledger[i].verdict == PEAL_ERROR)
				ck_assert_uint_ge(ledger[i].seen, 1);
		}
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("client");
	TCase *all = tcase_create("client");

	tcase_set_timeout(all, 60);
	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, a_call_is_answered);
	tcase_add_test(all, many_calls_are_answered_in_any_order);
	tcase_add_test(all, one_call_has_many_replies_of_which_the_last_is_marked);
	tcase_add_test(all, an_error_reply_ends_a_call_and_has_a_sentence);
	tcase_add_test(all, what_is_longer_than_a_record_goes_both_ways);
	tcase_add_test(all, what_turns_out_to_be_too_long_is_not_sent);
	tcase_add_test(all, one_call_waits_for_its_reply_and_keeps_those_of_others);
	tcase_add_test(all, no_more_calls_are_in_flight_than_was_said);
	tcase_add_test(all, wrong_flags_and_options_are_refused);
	tcase_add_test(all, what_was_sent_to_a_server_that_dies_is_unknown);
	tcase_add_test(all, what_was_sent_to_a_server_that_closes_is_unknown);
	tcase_add_test(all, a_call_begun_after_the_server_closed_goes_to_the_next_one);
	tcase_add_test(all, an_idempotent_call_is_sent_once_to_each_server);
	tcase_add_test(all, an_idempotent_call_is_not_sent_again_after_a_first_reply);
	tcase_add_test(all, an_idempotent_call_that_found_no_second_server_is_unknown);
	tcase_add_test(all, idempotent_calls_are_sent_again_before_those_that_came_later);
	tcase_add_test(all, a_call_waits_for_a_server_that_comes_in_time);
	tcase_add_test(all, a_call_that_finds_no_server_in_time_is_not_sent);
	tcase_add_test(all, a_call_for_now_does_not_wait_for_a_server);
	tcase_add_test(all, a_call_that_was_not_sent_says_so_after_the_next_server_has_come_too);
	tcase_add_test(all, a_server_that_refuses_ends_all_that_waits);
	tcase_add_test(all, the_pauses_between_tries_grow_to_a_limit_and_are_random);
	tcase_add_test(all, a_link_that_lived_short_is_followed_by_a_pause);
	tcase_add_test(all, a_server_that_does_not_answer_holds_up_no_call);
	tcase_add_test(all, a_call_whose_time_is_up_is_cancelled_and_a_late_reply_dropped);
	tcase_add_test(all, calls_end_in_the_order_of_their_deadlines);
	tcase_add_test(all, a_call_that_is_given_up_says_so_once);
	tcase_add_test(all, a_full_ring_keeps_calls_back_and_loses_none);
	tcase_add_test(all, a_long_request_that_is_given_up_half_sent_was_not_sent);
	tcase_add_test(all, no_more_replies_of_others_are_kept_than_there_may_be_memory_for);
	tcase_add_loop_test(all, a_server_in_a_thread_answers_all_that_is_sent, 0, 2);
	tcase_add_test(all, a_client_that_spins_works_too_and_has_no_descriptor);
	tcase_add_test(all, one_that_is_closed_tells_its_server_of_its_calls);
	tcase_add_test(all, replies_that_belong_to_no_call_are_dropped);
	tcase_add_test(all, a_server_that_breaks_the_protocol_is_left);
	tcase_add_test(all, the_descriptor_tells_of_replies_ends_handshakes_and_time);
	tcase_add_test(all, the_descriptor_follows_from_one_handshake_to_the_next);
	tcase_add_test(all, the_descriptor_tells_of_room);
	tcase_add_test(all, a_child_has_nothing_of_a_handshake_that_goes_on);
	tcase_add_test(all, after_a_fork_the_parent_goes_on_and_the_child_may_close);
	tcase_add_loop_test(all, each_call_has_one_last_answer_and_it_is_true, 0, 3);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
