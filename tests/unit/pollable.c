/*
 * SPDX-License-Identifier: MIT
 *
 * Waiting for links by descriptor: one link in level- and edge-triggered loops, and many in a set.
 * Both bells (eventfd and socket), both barriers.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/link.h"
#include "tests/unit/stage.h"

#ifdef PEAL_SANITIZER
#define MESSAGES 2000u
#else
#define MESSAGES 20000u
#endif

static const uint32_t bells[] = { PEAL_BELL_SOCKET, PEAL_BELL_EVENTFD };
static const uint32_t barriers[] = { PEAL_BARRIER_FENCE, PEAL_BARRIER_ASYMMETRIC };

/* Bell, barrier and triggering by number. */
#define COMBINATIONS 8

static struct peal_options options_of(int which, bool server)
{
	struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 0);

	options.bell = bells[which & 1];
	options.barrier = barriers[which >> 1 & 1];
	options.flags = server ? PEAL_TRUST_PEER : 0;
	return options;
}

static void open_like(struct meeting *meeting, int which)
{
	struct peal_options server = options_of(which, true), client = options_of(which, false);

	meeting_open(meeting, &server, &client);
	ck_assert_int_eq(meeting->server->own_eventfd >= 0, which & 1);
	ck_assert_int_eq(meeting->client->peer_eventfd >= 0, which & 1);
}

static bool readable(int fd, int64_t ns)
{
	struct pollfd look = { .fd = fd, .events = POLLIN };

	return poll(&look, 1, (int)(ns / MS)) == 1;
}

START_TEST(an_armed_link_polls_readable_when_it_is_rung_and_not_before)
	{
		struct meeting meeting;
		struct peal_rx *in;
		char byte;
		int fd;

		open_like(&meeting, _i);
		in = peal_link_rx(meeting.server);
		fd = peal_link_fd(meeting.server);
		ck_assert_int_ge(fd, 0);
		for (int i = 0; i < 3; i++) {
			ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_DATA), 0);
			ck_assert(!readable(fd, 0));
			ck_assert_int_eq(peal_send(peal_link_tx(meeting.client), "a", 1, 0, 0), 0);
			ck_assert_int_eq(peal_send(peal_link_tx(meeting.client), "b", 1, 0, 0), 0);
			ck_assert(readable(fd, LONG));
			ck_assert_int_eq(peal_recv(in, &byte, 1, NULL, 0), 1);
			/* One is left, so it need not wait. */
			ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_DATA), 1);
			ck_assert_int_eq(peal_recv(in, &byte, 1, NULL, 0), 1);
			expect_error(peal_recv(in, &byte, 1, NULL, 0), -EAGAIN, "empty", NULL);
		}
		meeting_close(&meeting);
	}
END_TEST

/* Who rings whom by an eventfd: bell and trust of the server, and of the client. */
START_TEST(an_eventfd_is_rung_by_who_trusts_its_owner_and_by_nobody_else)
	{
		static const uint32_t flags[] = { 0, PEAL_TRUST_PEER, PEAL_DISTRUST_PEER };
		struct peal_options server = stage_options(PEAL_WAIT_SLEEP, 0), client = server;
		bool client_trusts, server_trusts, client_gives, server_gives;
		int open = descriptors_settled();
		struct meeting meeting;

		server.bell = (uint32_t)_i % 3;
		client.bell = (uint32_t)_i / 3 % 3;
		server.flags = flags[_i / 9 % 3];
		client.flags = flags[_i / 27];
		client_trusts = client.flags != PEAL_DISTRUST_PEER;
		server_trusts = server.flags == PEAL_TRUST_PEER;
		/* Only a server knows whether it would be rung by it. */
		client_gives = client.bell == PEAL_BELL_EVENTFD;
		server_gives = server.bell == PEAL_BELL_EVENTFD ||
			       (server.bell == PEAL_BELL_AUTO && client_trusts);

		meeting_open(&meeting, &server, &client);
		ck_assert_int_eq(meeting.client->peer_eventfd >= 0, server_gives && client_trusts);
		ck_assert_int_eq(meeting.server->peer_eventfd >= 0, client_gives && server_trusts);
		for (int i = 0; i < 2; i++) {
			struct peal_link *sleeper = i ? meeting.client : meeting.server;
			struct peal_link *ringer = i ? meeting.server : meeting.client;
			int own = sleeper->own_eventfd;
			uint64_t rings = 0;
			char byte;

			if (ringer->peer_eventfd >= 0)
				ck_assert_int_ge(own, 0);
			if ((i ? client.bell : server.bell) == PEAL_BELL_SOCKET)
				ck_assert_int_lt(own, 0);
			ck_assert_int_eq(peal_link_arm(sleeper, PEAL_DATA), 0);
			ck_assert_int_eq(peal_send(peal_link_tx(ringer), "x", 1, 0, 0), 0);
			ck_assert(readable(peal_link_fd(sleeper), LONG));
			/* By one of the two, and the right one. */
			if (own >= 0 && read(own, &rings, sizeof(rings)) < 0)
				ck_assert_int_eq(errno, EAGAIN);
			ck_assert_int_eq(rings == 1, ringer->peer_eventfd >= 0);
			ck_assert_int_eq(recv(sleeper->fd, &byte, 1, MSG_DONTWAIT) == 1,
					 ringer->peer_eventfd < 0);
		}
		/* And one that was refused is not kept. */
		meeting_close(&meeting);
		descriptors_expect(open);
	}
END_TEST

struct sender {
	struct peal_link *link;
	pthread_t thread;
};

static void *send_all(void *data)
{
	struct sender *sender = data;
	uint32_t random = 1;

	for (uint32_t i = 0; i < MESSAGES; i++) {
		random = random * 1664525u + 1013904223u;
		if (random >> 22 == 0)
			sched_yield();
		if (peal_send(peal_link_tx(sender->link), &i, sizeof(i), 0, LONG))
			return (void *)1;
	}
	return NULL;
}

static void start_sending(struct sender *sender, struct peal_link *link)
{
	sender->link = link;
	ck_assert_int_eq(pthread_create(&sender->thread, NULL, send_all, sender), 0);
}

static void end_sending(struct sender *sender)
{
	void *result;

	ck_assert_int_eq(pthread_join(sender->thread, &result), 0);
	ck_assert_ptr_null(result);
}

START_TEST(an_event_loop_gets_every_message)
	{
		struct epoll_event event = { .events = EPOLLIN };
		struct sender sender;
		struct meeting meeting;
		uint32_t next = 0, value;
		int poller = epoll_create1(EPOLL_CLOEXEC), err;

		open_like(&meeting, _i);
		if (_i & 4)
			event.events |= EPOLLET;
		ck_assert_int_eq(
			epoll_ctl(poller, EPOLL_CTL_ADD, peal_link_fd(meeting.server), &event), 0);
		start_sending(&sender, meeting.client);
		while (next < MESSAGES) {
			while (peal_recv(peal_link_rx(meeting.server), &value, sizeof(value), NULL,
					 0) > 0)
				ck_assert_uint_eq(value, next++);
			err = peal_link_arm(meeting.server, PEAL_DATA);
			ck_assert_int_ge(err, 0);
			if (!err && next < MESSAGES)
				ck_assert_int_eq(epoll_wait(poller, &event, 1, (int)(LONG / MS)),
						 1);
		}
		end_sending(&sender);
		close(poller);
		meeting_close(&meeting);
	}
END_TEST

START_TEST(the_end_of_a_link_polls_readable_and_is_told)
	{
		struct meeting meeting;
		char byte;
		int fd;

		open_like(&meeting, _i);
		fd = peal_link_fd(meeting.server);
		ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_DATA), 0);
		if (_i & 4) { /* an orderly one */
			peal_close(meeting.client);
			meeting.client = NULL;
		} else {
			platform_hang_up(meeting.client->fd);
		}
		ck_assert(readable(fd, LONG));
		ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_DATA), 1);
		ck_assert_int_eq(peal_recv(peal_link_rx(meeting.server), &byte, 1, NULL, 0),
				 _i & 4 ? -EPIPE : -ECONNRESET);
		meeting_close(&meeting);
	}
END_TEST

START_TEST(room_can_be_waited_for_by_descriptor)
	{
		struct meeting meeting;
		struct peal_tx *out;
		struct peal_message message;
		char text[500] = "";
		int fd, sent = 0;

		open_like(&meeting, _i);
		out = peal_link_tx(meeting.server);
		fd = peal_link_fd(meeting.server);
		while (!peal_send(out, text, sizeof(text), 0, 0))
			sent++;
		ck_assert_int_gt(sent, 4);
		ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_ROOM), 0);
		ck_assert(!readable(fd, 0));
		ck_assert_int_eq(peal_peek(peal_link_rx(meeting.client), &message, 0), 0);
		peal_release(peal_link_rx(meeting.client));
		ck_assert(readable(fd, LONG));
		ck_assert_int_eq(peal_send(out, text, sizeof(text), 0, 0), 0);
		meeting_close(&meeting);
	}
END_TEST

START_TEST(who_cannot_be_waited_for_says_so)
	{
		struct peal_options spin = stage_options(PEAL_WAIT_SPIN, 0);
		struct peal_link *links[2];
		struct peal_set *set;
		struct meeting meeting;

		pair_open(links, PEAL_WAIT_SLEEP, 0);
		expect_error(peal_link_fd(links[0]), -EOPNOTSUPP, "pair", "peal_listen", NULL);
		expect_error(peal_link_arm(links[0], PEAL_DATA), -EOPNOTSUPP, "pair", NULL);
		ck_assert_int_eq(peal_set_create(&set), 0);
		expect_error(peal_set_add(set, links[0], NULL), -EOPNOTSUPP, "pair", NULL);
		expect_error(peal_set_wait(set, 0), -ENOENT, "empty", NULL);
		expect_error(peal_set_remove(set, links[0]), -ENOENT, "not in", NULL);
		pair_close(links);
		meeting_open(&meeting, &spin, NULL);
		expect_error(peal_link_arm(meeting.server, PEAL_DATA), -EOPNOTSUPP, "SPIN", NULL);
		expect_error(peal_link_arm(meeting.client, 4), -EINVAL, "0x4", "PEAL_ROOM", NULL);
		ck_assert_int_eq(peal_set_add(set, meeting.client, NULL), 0);
		expect_error(peal_set_add(set, meeting.client, NULL), -EEXIST, "take it out", NULL);
		peal_set_free(set);
		meeting_close(&meeting);
	}
END_TEST

/*
 * Sets.
 */

#define LINKS 12

struct crowd {
	struct meeting first;
	struct peal_link *servers[LINKS], *clients[LINKS];
	struct peal_set *set;
};

static void crowd_open(struct crowd *crowd, int which)
{
	struct peal_options server = options_of(which, true), client = options_of(which, false);

	meeting_open(&crowd->first, &server, &client);
	crowd->servers[0] = crowd->first.server;
	crowd->clients[0] = crowd->first.client;
	ck_assert_int_eq(peal_set_create(&crowd->set), 0);
	for (int i = 0; i < LINKS; i++) {
		struct caller caller;

		if (i) {
			caller_start(&caller, crowd->first.folder.path, &client, LONG);
			ck_assert_int_eq(
				peal_accept(crowd->first.listener, &crowd->servers[i], LONG), 0);
			caller_end(&caller);
			ck_assert_int_eq(caller.err, 0);
			crowd->clients[i] = caller.link;
		}
		ck_assert_int_eq(peal_set_add(crowd->set, crowd->servers[i], &crowd->clients[i]),
				 0);
	}
}

static void crowd_close(struct crowd *crowd)
{
	peal_set_free(crowd->set);
	for (int i = 1; i < LINKS; i++) {
		peal_close(crowd->servers[i]);
		peal_close(crowd->clients[i]);
	}
	meeting_close(&crowd->first);
}

START_TEST(a_set_tells_which_links_have_something)
	{
		struct crowd crowd;
		struct peal_link *link;
		void *data;
		char byte;

		crowd_open(&crowd, _i);
		ck_assert_int_eq(peal_set_poll(crowd.set), 0);
		expect_error(peal_set_wait(crowd.set, 0), -EAGAIN, "timeout is 0", NULL);
		expect_error(peal_set_wait(crowd.set, MS), -ETIMEDOUT, "no link", NULL);
		for (int i = 0; i < LINKS; i++) {
			ck_assert_int_eq(peal_set_arm(crowd.set), 0);
			ck_assert(!readable(peal_set_fd(crowd.set), 0));
			ck_assert_int_eq(peal_send(peal_link_tx(crowd.clients[i]), "x", 1, 0, 0),
					 0);
			ck_assert(readable(peal_set_fd(crowd.set), LONG));
			ck_assert_int_eq(peal_set_wait(crowd.set, i & 1 ? 0 : LONG), 1);
			link = peal_set_next(crowd.set, &data);
			ck_assert_ptr_eq(link, crowd.servers[i]);
			ck_assert_ptr_eq(data, &crowd.clients[i]);
			ck_assert_ptr_null(peal_set_next(crowd.set, NULL));
			ck_assert_int_eq(peal_recv(peal_link_rx(link), &byte, 1, NULL, 0), 1);
		}
		crowd_close(&crowd);
	}
END_TEST

START_TEST(who_leaves_a_set_is_not_missed_and_who_ends_is_told)
	{
		struct crowd crowd;
		struct peal_link *link;
		char byte;
		int seen = 0;

		crowd_open(&crowd, _i);
		ck_assert_int_eq(peal_set_remove(crowd.set, crowd.servers[3]), 0);
		ck_assert_int_eq(peal_set_remove(crowd.set, crowd.servers[0]), 0);
		for (int i = 0; i < LINKS; i++)
			ck_assert_int_eq(peal_send(peal_link_tx(crowd.clients[i]), "x", 1, 0, 0),
					 0);
		ck_assert_int_eq(peal_set_wait(crowd.set, LONG), LINKS - 2);
		while ((link = peal_set_next(crowd.set, NULL))) {
			ck_assert(link != crowd.servers[3] && link != crowd.servers[0]);
			ck_assert_int_eq(peal_recv(peal_link_rx(link), &byte, 1, NULL, 0), 1);
			seen++;
		}
		ck_assert_int_eq(seen, LINKS - 2);
		/* One closes, one dies; the last message of the first is there to be read. */
		ck_assert_int_eq(peal_set_arm(crowd.set), 0);
		ck_assert_int_eq(peal_send(peal_link_tx(crowd.clients[5]), "y", 1, 0, 0), 0);
		peal_close(crowd.clients[5]);
		crowd.clients[5] = NULL;
		platform_hang_up(crowd.clients[11]->fd);
		for (seen = 0; seen != 3;) {
			ck_assert_int_ge(peal_set_wait(crowd.set, LONG), 1);
			while ((link = peal_set_next(crowd.set, NULL))) {
				ssize_t length = peal_recv(peal_link_rx(link), &byte, 1, NULL, 0);

				if (length == 1) {
					ck_assert_ptr_eq(link, crowd.servers[5]);
					continue;
				}
				ck_assert_int_eq(length,
						 link == crowd.servers[5] ? -EPIPE : -ECONNRESET);
				seen |= link == crowd.servers[5] ? 1 : 2;
				ck_assert_int_eq(peal_set_remove(crowd.set, link), 0);
				break; /* what was ready is forgotten */
			}
		}
		expect_error(peal_set_wait(crowd.set, 0), -EAGAIN, "timeout", NULL);
		crowd_close(&crowd);
	}
END_TEST

START_TEST(a_set_gets_every_message_of_all_its_links)
	{
		struct sender senders[LINKS];
		uint32_t next[LINKS] = { 0 }, value, all = 0;
		struct crowd crowd;

		crowd_open(&crowd, _i);
		for (int i = 0; i < LINKS; i++)
			start_sending(&senders[i], crowd.clients[i]);
		while (all < LINKS * MESSAGES) {
			struct peal_link *link;
			void *data;
			int err = peal_set_wait(crowd.set, LONG);

			ck_assert_msg(err > 0, "%d %s", err, peal_error());
			while ((link = peal_set_next(crowd.set, &data))) {
				long i = (struct peal_link **)data - crowd.clients;

				/* Some at a time, so that others have their turn. */
				for (int k = 0; k < 50; k++) {
					if (peal_recv(peal_link_rx(link), &value, sizeof(value),
						      NULL, 0) <= 0)
						break;
					ck_assert_uint_eq(value, next[i]++);
					all++;
				}
			}
		}
		for (int i = 0; i < LINKS; i++)
			end_sending(&senders[i]);
		crowd_close(&crowd);
	}
END_TEST

static const char *use_set_in_child(void *data)
{
	struct peal_set *set = data;

	if (peal_set_wait(set, 0) != -ESTALE)
		return wrong("a child can wait for its parent's set");
	if (peal_set_fd(set) != -ESTALE || peal_set_poll(set) != 0)
		return wrong("a child can poll its parent's set");
	peal_set_free(set);
	return NULL;
}

START_TEST(a_childs_set_is_stale)
	{
		struct crowd crowd;

		crowd_open(&crowd, 0);
		child_run(use_set_in_child, crowd.set);
		ck_assert_int_eq(peal_send(peal_link_tx(crowd.clients[1]), "x", 1, 0, 0), 0);
		ck_assert_int_eq(peal_set_wait(crowd.set, LONG), 1);
		crowd_close(&crowd);
	}
END_TEST

/* A receiver that never sleeps long in a stream gives up fences, and takes them again for
 * requests. */
START_TEST(the_barrier_follows_the_traffic)
	{
		struct peal_options options = stage_options(PEAL_WAIT_SLEEP, (uint64_t)64 << 10);
		struct meeting meeting;
		struct peal_link *link;
		uint32_t value = 0;

		options.barrier = PEAL_BARRIER_ASYMMETRIC; /* registers */
		meeting_open(&meeting, &options, &options);
		link = meeting.server;
		ck_assert(link->data.asymmetric);
		ck_assert_uint_eq(link->page->rx_asleep & PEAL_ASLEEP_FENCE, 0);
		link->data.always = false;
		for (int round = 0; round < 2; round++) {
			/* Requests: a sleep a message. */
			for (int i = 0; i < 200; i++) {
				expect_error(peal_recv(&link->rx, &value, sizeof(value), NULL, 1),
					     -ETIMEDOUT, NULL);
				ck_assert_int_eq(peal_send(&meeting.client->tx, &value, 4, 0, 0),
						 0);
				ck_assert_int_eq(peal_recv(&link->rx, &value, 4, NULL, 0), 4);
			}
			ck_assert(link->page->rx_asleep & PEAL_ASLEEP_FENCE);
			/* A stream: thousands. */
			for (int i = 0; i < 40; i++) {
				for (int k = 0; k < 8000; k++) {
					ck_assert_int_eq(
						peal_send(&meeting.client->tx, &value, 4, 0, 0), 0);
					ck_assert_int_eq(peal_recv(&link->rx, &value, 4, NULL, 0),
							 4);
				}
				expect_error(peal_recv(&link->rx, &value, sizeof(value), NULL, 1),
					     -ETIMEDOUT, NULL);
			}
			ck_assert_uint_eq(link->page->rx_asleep & PEAL_ASLEEP_FENCE, 0);
		}
		meeting_close(&meeting);
	}
END_TEST

static Suite *pollable(void)
{
	Suite *suite = suite_create("pollable");
	TCase *one = tcase_create("link"), *many = tcase_create("set");

	tcase_set_timeout(one, 60);
	tcase_set_timeout(many, 120);
	tcase_add_loop_test(one, an_armed_link_polls_readable_when_it_is_rung_and_not_before, 0, 4);
	tcase_add_loop_test(one, an_eventfd_is_rung_by_who_trusts_its_owner_and_by_nobody_else, 0,
			    81);
	tcase_add_loop_test(one, an_event_loop_gets_every_message, 0, COMBINATIONS);
	tcase_add_loop_test(one, the_end_of_a_link_polls_readable_and_is_told, 0, COMBINATIONS);
	tcase_add_loop_test(one, room_can_be_waited_for_by_descriptor, 0, 4);
	tcase_add_test(one, who_cannot_be_waited_for_says_so);
	tcase_add_test(one, the_barrier_follows_the_traffic);
	tcase_add_loop_test(many, a_set_tells_which_links_have_something, 0, 4);
	tcase_add_loop_test(many, who_leaves_a_set_is_not_missed_and_who_ends_is_told, 0, 4);
	tcase_add_loop_test(many, a_set_gets_every_message_of_all_its_links, 0, 4);
	tcase_add_test(many, a_childs_set_is_stale);
	suite_add_tcase(suite, one);
	suite_add_tcase(suite, many);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { pollable, NULL };

	return runner_main(suites);
}
