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
#include "tests/unit/stepper.h"

#ifdef PEAL_SANITIZER
#define MESSAGES 2000u
#else
#define MESSAGES 5000u
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
	const char *why;

	meeting_open(meeting, &server, &client);
	ck_assert_int_eq(meeting->server->data.asymmetric,
			 server.barrier == PEAL_BARRIER_ASYMMETRIC &&
				 platform_barrier_usable(&why));
	ck_assert_int_eq(meeting->server->own_eventfd >= 0, which & 1);
	ck_assert_int_eq(meeting->client->peer_eventfd >= 0, which & 1);
}

/* Calls of two functions of the system's, which the linker leads here. */
static unsigned membarriers, clock_reads;
static bool barriers_fail;
static bool steady;         /* a look at the clock takes a microsecond, and nothing else any time */
static uint64_t preempted;  /* but for membarriers, which took so long in all; */
static uint64_t preemption; /* the next one takes this */
static struct peal_link *prompt; /* one that sends in each membarrier */

bool __real_platform_barrier(void);
bool __wrap_platform_barrier(void);
bool __wrap_platform_barrier(void)
{
	__atomic_add_fetch(&membarriers, 1, __ATOMIC_RELAXED); /* orders nothing */
	if (preemption) {
		preempted += preemption;
		preemption = 0;
	}
	if (prompt)
		ck_assert_int_eq(peal_send(peal_link_tx(prompt), "m", 1, 0, 0), 0);
	return !barriers_fail && __real_platform_barrier();
}

uint64_t __real_platform_now(void);
uint64_t __wrap_platform_now(void);
uint64_t __wrap_platform_now(void)
{
	/* Orders nothing. */
	unsigned count = __atomic_add_fetch(&clock_reads, 1, __ATOMIC_RELAXED);

	return steady ? (uint64_t)LONG + (uint64_t)1000 * count + preempted : __real_platform_now();
}

/* Rings a peer, whatever it says. */
static void ring(struct peal_link *link)
{
	if (link->peer_eventfd >= 0)
		platform_ring_eventfd(link->peer_eventfd);
	else
		platform_ring(link->fd);
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

/* Long enough to sleep, however slow the machine is. */
static void wait_in_vain(struct peal_set *set)
{
	steady = true;
	expect_error(peal_set_wait(set, MS / 10), -ETIMEDOUT, NULL);
	steady = false;
}

/* A program that waits by itself cannot look again, so its peers fence, from the first time that it
 * does; and only that first time takes a while. */
START_TEST(who_waits_in_a_loop_of_its_own_is_fenced_for)
	{
		struct meeting meeting;
		struct peal_set *set;
		unsigned before;
		char byte;

		open_like(&meeting, _i | 2);
		ck_assert_int_eq(peal_set_create(&set), 0);
		if (_i & 4) {
			ck_assert_int_eq(peal_set_add(set, meeting.server, NULL), 0);
			/* It leaves the link armed, with a second look to come. */
			wait_in_vain(set);
		}
		before = membarriers;
		for (int i = 0; i < 3; i++) {
			unsigned looks = clock_reads;

			ck_assert_int_eq(_i & 4 ? peal_set_arm(set) :
						  peal_link_arm(meeting.server, PEAL_DATA),
					 0);
			ck_assert(meeting.server->page->rx_asleep & PEAL_ASLEEP_FENCE);
			ck_assert_uint_eq(membarriers, before);
			if (i)
				ck_assert_uint_lt(clock_reads - looks, 5);
			ck_assert_int_eq(peal_send(peal_link_tx(meeting.client), "a", 1, 0, 0), 0);
			ck_assert(readable(_i & 4 ? peal_set_fd(set) : peal_link_fd(meeting.server),
					   LONG));
			ck_assert_int_eq(peal_recv(peal_link_rx(meeting.server), &byte, 1, NULL, 0),
					 1);
		}
		peal_set_free(set);
		meeting_close(&meeting);
	}
END_TEST

/* That a link has waited for room says nothing of whether the peer knows that it must fence its
 * messages. */
START_TEST(what_the_peer_knows_of_one_bell_it_need_not_know_of_the_other)
	{
		struct meeting meeting;
		struct bell *data;

		open_like(&meeting, 2);
		data = &meeting.server->data;
		if (!data->asymmetric) {
			skip("no membarrier here");
			goto out;
		}
		/* As after sleeps with few messages between them. */
		data->word |= PEAL_ASLEEP_FENCE;
		data->unacknowledged = true;
		data->fence_since = data->word + PEAL_ASLEEP_EPOCH;
		while (!peal_send(&meeting.server->tx, "x", 1, 0, 0))
			;
		ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_ROOM), 0);
		ck_assert(data->unacknowledged);
		ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_DATA), 0);
		ck_assert(!data->unacknowledged);
out:
		meeting_close(&meeting);
	}
END_TEST

START_TEST(who_rings_an_armed_link_for_nothing_ends_it)
	{
		struct meeting meeting;
		char byte;
		int i = 0;

		open_like(&meeting, _i);
		/* An honest one may ring late, for what has been read by then. */
		for (int k = 0; k < 3000; k++) {
			ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_DATA), 0);
			ck_assert_int_eq(peal_send(peal_link_tx(meeting.client), "a", 1, 0, 0), 0);
			ck_assert_int_eq(peal_recv(peal_link_rx(meeting.server), &byte, 1, NULL, 0),
					 1);
			ring(meeting.client);
		}
		while (!peal_link_arm(meeting.server, PEAL_DATA)) {
			ck_assert_int_lt(i++, 3000);
			ring(meeting.client);
		}
		expect_error(peal_recv(peal_link_rx(meeting.server), &byte, 1, NULL, 0), -EPROTO,
			     NULL);
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

/* Receives as many as send_all sends, in order. */
static void *receive_all(void *data)
{
	struct sender *receiver = data;
	uint32_t value, random = 1;

	for (uint32_t i = 0; i < MESSAGES; i++) {
		random = random * 1664525u + 1013904223u;
		if (random >> 22 == 0)
			sched_yield();
		if (peal_recv(peal_link_rx(receiver->link), &value, sizeof(value), NULL, LONG) !=
			    sizeof(value) ||
		    value != i)
			return (void *)1;
	}
	return NULL;
}

static void start_receiving(struct sender *receiver, struct peal_link *link)
{
	receiver->link = link;
	ck_assert_int_eq(pthread_create(&receiver->thread, NULL, receive_all, receiver), 0);
}

START_TEST(an_event_loop_sends_through_a_full_ring)
	{
		struct epoll_event event = { .events = EPOLLIN };
		struct sender receiver;
		struct meeting meeting;
		uint32_t next = 0;
		int poller = epoll_create1(EPOLL_CLOEXEC), err;

		open_like(&meeting, _i);
		if (_i & 4)
			event.events |= EPOLLET;
		ck_assert_int_eq(
			epoll_ctl(poller, EPOLL_CTL_ADD, peal_link_fd(meeting.server), &event), 0);
		start_receiving(&receiver, meeting.client);
		for (;;) {
			while (next < MESSAGES &&
			       !peal_send(peal_link_tx(meeting.server), &next, sizeof(next), 0, 0))
				next++;
			if (next == MESSAGES)
				break;
			err = peal_link_arm(meeting.server, PEAL_DATA | PEAL_ROOM);
			ck_assert_int_ge(err, 0);
			if (!err)
				ck_assert_int_eq(epoll_wait(poller, &event, 1, (int)(LONG / MS)),
						 1);
		}
		end_sending(&receiver);
		close(poller);
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
		expect_error(peal_link_arm(meeting.client, PEAL_ROOM), -EBUSY, "peal_set_arm",
			     "peal_set_want_room", NULL);
		expect_error(peal_set_want_room(set, meeting.server), -ENOENT, "not in", NULL);
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

START_TEST(a_set_goes_on_without_the_link_that_spins_longest)
	{
		static const uint64_t microseconds[] = { 10, 40, 20, 40, 5 };
		struct meeting meetings[5];
		struct peal_set *set;
		char byte;

		ck_assert_int_eq(peal_set_create(&set), 0);
		for (int i = 0; i < 5; i++) {
			struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);

			options.spin_ns = microseconds[i] * 1000;
			meeting_open(&meetings[i], &options, &options);
			ck_assert_int_eq(peal_set_add(set, meetings[i].server, NULL), 0);
		}
		for (int gone = 1; gone <= 3; gone++) {
			ck_assert_int_eq(peal_set_remove(set, meetings[gone].server), 0);
			expect_error(peal_set_wait(set, MS), -ETIMEDOUT, NULL);
			ck_assert_int_eq(peal_send(peal_link_tx(meetings[4].client), "x", 1, 0, 0),
					 0);
			ck_assert_int_eq(peal_set_wait(set, LONG), 1);
			ck_assert_ptr_eq(peal_set_next(set, NULL), meetings[4].server);
			ck_assert_int_eq(
				peal_recv(peal_link_rx(meetings[4].server), &byte, 1, NULL, 0), 1);
		}
		peal_set_free(set);
		for (int i = 0; i < 5; i++)
			meeting_close(&meetings[i]);
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

static void expect_only(struct peal_set *set, const struct peal_link *link)
{
	ck_assert_ptr_eq(peal_set_next(set, NULL), link);
	ck_assert_ptr_null(peal_set_next(set, NULL));
}

/* Receives without the set until what that last saw of the link is zeros of a later lap. */
static void leave_the_set_behind(struct peal_set *set, struct crowd *crowd, int i)
{
	static const char zeros[16];
	const struct peal_set_head *head = (const struct peal_set_head *)(const void *)set;
	const struct peal_rx *rx = peal_link_rx(crowd->servers[i]);
	const uint64_t *seen = head->at[head->members[crowd->servers[i]->in_set - 1].place];
	uint64_t lap = rx->pos + rx->mask + 1;
	char buffer[sizeof(zeros)];

	while (rx->pos <= lap || *seen || seen == (const void *)peal_next(rx, rx->pos)) {
		ck_assert_uint_lt(rx->pos, lap + 4 * (rx->mask + 1));
		ck_assert_int_eq(
			peal_send(peal_link_tx(crowd->clients[i]), zeros, sizeof(zeros), 0, 0), 0);
		ck_assert_int_eq(peal_recv(peal_link_rx(crowd->servers[i]), buffer, sizeof(buffer),
					   NULL, 0),
				 sizeof(zeros));
	}
}

START_TEST(what_comes_behind_the_back_of_a_set_is_found)
	{
		struct crowd crowd;
		char byte;

		crowd_open(&crowd, _i);
		for (int i = 0; i < 3 * LINKS; i++) {
			int member = i / 3, looks = 0;

			peal_set_rouse(crowd.set);
			ck_assert_int_eq(peal_set_poll(crowd.set), 0);
			leave_the_set_behind(crowd.set, &crowd, member);
			ck_assert_int_eq(
				peal_send(peal_link_tx(crowd.clients[member]), "x", 1, 0, 0), 0);
			if (i % 3 == 0)
				while (!peal_set_poll(crowd.set))
					ck_assert_int_lt(++looks, LINKS + 1);
			else if (i % 3 == 1)
				ck_assert_int_eq(peal_set_arm(crowd.set), 1);
			else
				ck_assert_int_eq(peal_set_wait(crowd.set, LONG), 1);
			expect_only(crowd.set, crowd.servers[member]);
			ck_assert_int_eq(peal_recv(peal_link_rx(crowd.servers[member]), &byte, 1,
						   NULL, 0),
					 1);
		}
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

/* Fills the ring of a member, which then wants room. */
static int fill(struct peal_set *set, struct peal_link *link)
{
	static const char text[500];
	int sent = 0;

	while (!peal_send(peal_link_tx(link), text, sizeof(text), 0, 0))
		sent++;
	ck_assert_int_eq(peal_set_want_room(set, link), 0);
	return sent;
}

static void take_one(struct peal_link *link)
{
	struct peal_message message;

	ck_assert_int_eq(peal_peek(peal_link_rx(link), &message, 0), 0);
	peal_release(peal_link_rx(link));
}

START_TEST(a_set_tells_who_has_room)
	{
		static const char text[500];
		struct crowd crowd;
		char byte;

		crowd_open(&crowd, _i);
		ck_assert_int_gt(fill(crowd.set, crowd.servers[7]), 4);
		for (int i = 0; i < 3; i++) {
			ck_assert_int_eq(peal_set_arm(crowd.set), 0);
			ck_assert(!readable(peal_set_fd(crowd.set), 0));
			/* A message takes its own bell, and not that of the room. */
			ck_assert_int_eq(peal_send(peal_link_tx(crowd.clients[7]), "x", 1, 0, 0),
					 0);
			ck_assert(readable(peal_set_fd(crowd.set), LONG));
			ck_assert_int_eq(peal_set_wait(crowd.set, 0), 1);
			expect_only(crowd.set, crowd.servers[7]);
			ck_assert_int_eq(
				peal_recv(peal_link_rx(crowd.servers[7]), &byte, 1, NULL, 0), 1);
			ck_assert_int_eq(peal_set_arm(crowd.set), 0);
			take_one(crowd.clients[7]);
			ck_assert(readable(peal_set_fd(crowd.set), LONG));
			if (i == 0)
				ck_assert_int_eq(peal_set_wait(crowd.set, LONG), 1);
			else
				ck_assert_int_eq(peal_set_arm(crowd.set), 1);
			expect_only(crowd.set, crowd.servers[7]);
			/* It is told once. */
			expect_error(peal_set_wait(crowd.set, 0), -EAGAIN, NULL);
			ck_assert_int_eq(peal_send(peal_link_tx(crowd.servers[7]), text,
						   sizeof(text), 0, 0),
					 0);
			ck_assert_int_eq(fill(crowd.set, crowd.servers[7]), 0);
		}
		/* Room that was there before it was asked for; and the end of the link. */
		take_one(crowd.clients[7]);
		ck_assert_int_eq(peal_set_arm(crowd.set), 1);
		expect_only(crowd.set, crowd.servers[7]);
		fill(crowd.set, crowd.servers[7]);
		peal_close(crowd.clients[7]);
		crowd.clients[7] = NULL;
		ck_assert_int_eq(peal_set_wait(crowd.set, LONG), 1);
		expect_only(crowd.set, crowd.servers[7]);
		expect_error(peal_send(peal_link_tx(crowd.servers[7]), text, sizeof(text), 0, 0),
			     -EPIPE, NULL);
		crowd_close(&crowd);
	}
END_TEST

START_TEST(a_verb_that_sleeps_takes_no_bell_from_the_set)
	{
		struct crowd crowd;
		char byte;

		crowd_open(&crowd, _i);
		fill(crowd.set, crowd.servers[1]);
		ck_assert_int_eq(peal_set_arm(crowd.set), 0);
		/* It rings, and only one hears it who waits for a message, in the end by
		 * descriptor. */
		ring(crowd.clients[1]);
		expect_error(peal_recv(peal_link_rx(crowd.servers[1]), &byte, 1, NULL, 30 * MS),
			     -ETIMEDOUT, NULL);
		ck_assert_int_eq(peal_set_arm(crowd.set), 0);
		ck_assert_int_eq(peal_send(peal_link_tx(crowd.clients[1]), "x", 1, 0, 0), 0);
		ck_assert(readable(peal_set_fd(crowd.set), LONG));
		ck_assert_int_eq(peal_recv(peal_link_rx(crowd.servers[1]), &byte, 1, NULL, 0), 1);
		ck_assert_int_eq(peal_set_arm(crowd.set), 0);
		take_one(crowd.clients[1]);
		ck_assert(readable(peal_set_fd(crowd.set), LONG));
		ck_assert_int_eq(peal_set_wait(crowd.set, LONG), 1);
		expect_only(crowd.set, crowd.servers[1]);
		crowd_close(&crowd);
	}
END_TEST

START_TEST(a_set_sends_through_full_rings)
	{
		struct sender receivers[LINKS];
		uint32_t next[LINKS] = { 0 };
		struct crowd crowd;
		int left = LINKS;

		crowd_open(&crowd, _i);
		for (int i = 0; i < LINKS; i++) {
			start_receiving(&receivers[i], crowd.clients[i]);
			ck_assert_int_eq(peal_set_want_room(crowd.set, crowd.servers[i]), 0);
		}
		while (left) {
			struct peal_link *link;
			void *data;
			int err = peal_set_wait(crowd.set, LONG);

			ck_assert_msg(err > 0, "%d %s", err, peal_error());
			while ((link = peal_set_next(crowd.set, &data))) {
				uint32_t *n = &next[(struct peal_link **)data - crowd.clients];

				while (*n < MESSAGES &&
				       !peal_send(peal_link_tx(link), n, sizeof(*n), 0, 0))
					++*n;
				if (*n < MESSAGES)
					ck_assert_int_eq(peal_set_want_room(crowd.set, link), 0);
				else
					left--;
			}
		}
		for (int i = 0; i < LINKS; i++)
			end_sending(&receivers[i]);
		crowd_close(&crowd);
	}
END_TEST

START_TEST(what_is_pending_goes_out_before_the_set_waits)
	{
		struct peal_options spin = stage_options(PEAL_WAIT_SPIN, 0);
		struct meeting other;
		struct crowd crowd;
		char byte;

		crowd_open(&crowd, _i);
		ck_assert_int_eq(peal_set_arm(crowd.set), 0);
		for (int i = 0; i < 3; i++) {
			/* A relay: what comes from one goes to another, which is still armed. */
			ck_assert_int_eq(peal_send(peal_link_tx(crowd.clients[0]), "x", 1, 0, 0),
					 0);
			ck_assert_int_eq(peal_set_wait(crowd.set, LONG), 1);
			ck_assert_int_eq(
				peal_recv(peal_link_rx(crowd.servers[0]), &byte, 1, NULL, 0), 1);
			ck_assert_int_eq(
				peal_send_more(peal_link_tx(crowd.servers[1]), &byte, 1, 0, 0), 0);
			if (i == 0)
				expect_error(peal_set_wait(crowd.set, 0), -EAGAIN, NULL);
			else if (i == 1)
				expect_error(peal_set_wait(crowd.set, MS), -ETIMEDOUT, NULL);
			else
				ck_assert_int_eq(peal_set_arm(crowd.set), 0);
			ck_assert_int_eq(
				peal_recv(peal_link_rx(crowd.clients[1]), &byte, 1, NULL, 0), 1);
		}
		meeting_open(&other, &spin, &spin);
		ck_assert_int_eq(peal_set_add(crowd.set, other.server, NULL), 0);
		ck_assert_int_eq(peal_send_more(peal_link_tx(crowd.servers[1]), "x", 1, 0, 0), 0);
		expect_error(peal_set_wait(crowd.set, MS), -ETIMEDOUT, NULL);
		ck_assert_int_eq(peal_recv(peal_link_rx(crowd.clients[1]), &byte, 1, NULL, 0), 1);
		meeting_close(&other);
		crowd_close(&crowd);
	}
END_TEST

START_TEST(a_spinning_link_that_has_ended_lets_the_set_sleep)
	{
		struct peal_options spin = stage_options(PEAL_WAIT_SPIN, 0);
		struct meeting other;
		struct crowd crowd;
		char byte;

		crowd_open(&crowd, _i);
		meeting_open(&other, &spin, &spin);
		ck_assert_int_eq(peal_set_add(crowd.set, other.server, NULL), 0);
		expect_error(peal_set_arm(crowd.set), -EOPNOTSUPP, "spins", NULL);
		platform_hang_up(other.client->fd);
		ck_assert_int_eq(peal_set_wait(crowd.set, LONG), 1);
		expect_only(crowd.set, other.server);
		expect_error(peal_recv(peal_link_rx(other.server), &byte, 1, NULL, 0), -ECONNRESET,
			     NULL);
		ck_assert_int_eq(peal_set_remove(crowd.set, other.server), 0);
		ck_assert_int_eq(peal_set_arm(crowd.set), 0);
		meeting_close(&other);
		crowd_close(&crowd);
	}
END_TEST

START_TEST(a_busy_set_is_told_who_has_ended)
	{
		uint64_t until = platform_now() + (uint64_t)LONG;
		struct peal_link *link;
		struct crowd crowd;
		int ended = 0;

		crowd_open(&crowd, _i);
		ck_assert_int_eq(peal_send(peal_link_tx(crowd.clients[0]), "x", 1, 0, 0), 0);
		platform_hang_up(crowd.clients[5]->fd);
		peal_close(crowd.clients[6]);
		crowd.clients[6] = NULL;
		while (ended != 3) { /* and the message stays there */
			ck_assert_uint_lt(platform_now(), until);
			ck_assert_int_ge(peal_set_wait(crowd.set, LONG), 1);
			while ((link = peal_set_next(crowd.set, NULL)))
				ended |= link == crowd.servers[5] ? 1 :
					 link == crowd.servers[6] ? 2 :
								    0;
		}
		crowd_close(&crowd);
	}
END_TEST

static struct {
	struct meeting meeting;
	struct peal_set *set;
	int result;
} late;

static void wait_for_late(void *data)
{
	(void)data;
	late.result = peal_set_wait(late.set, 0);
}

static uint64_t *late_header(void)
{
	const struct peal_tx *tx = peal_link_tx(late.meeting.client);

	return (uint64_t *)(void *)(tx->data + (tx->pos & tx->mask));
}

static uint64_t publish_late(void *data)
{
	(void)data;
	__atomic_store_n(late_header(), 2, __ATOMIC_RELEASE);
	return 0;
}

START_TEST(who_has_ended_is_told_whatever_comes_meanwhile)
	{
		const char *why;
		bool reached = true;

		if (!stepper_usable(&why)) {
			skip("%s", why);
			return;
		}
#ifdef PEAL_SANITIZER
		skip("a sanitizer's instructions are too many to stop at each");
		return;
#endif
		meeting_open(&late.meeting, NULL, NULL);
		ck_assert_int_eq(peal_set_create(&late.set), 0);
		ck_assert_int_eq(peal_set_add(late.set, late.meeting.server, NULL), 0);
		platform_hang_up(late.meeting.client->fd);
		ck_assert_int_eq(peal_set_wait(late.set, LONG), 1);
		for (uint64_t n = 1; reached && n < 1000; n++) {
			__atomic_store_n(late_header(), 0, __ATOMIC_RELEASE);
			reached = stepper_run(n, wait_for_late, publish_late, NULL);
			ck_assert_int_eq(late.result, 1);
			expect_only(late.set, late.meeting.server);
		}
		ck_assert(!reached);
		peal_set_free(late.set);
		meeting_close(&late.meeting);
	}
END_TEST

START_TEST(a_close_that_is_taken_back_is_told_as_one)
	{
		struct crowd crowd;
		char byte;

		crowd_open(&crowd, _i);
		ck_assert_int_eq(peal_set_arm(crowd.set), 0);
		__atomic_store_n(&crowd.clients[2]->page->closed, 1, __ATOMIC_RELEASE);
		ring(crowd.clients[2]);
		ck_assert_int_eq(peal_set_wait(crowd.set, LONG), 1);
		__atomic_store_n(&crowd.clients[2]->page->closed, 0, __ATOMIC_RELEASE);
		expect_only(crowd.set, crowd.servers[2]);
		expect_error(peal_recv(peal_link_rx(crowd.servers[2]), &byte, 1, NULL, 0), -EPIPE,
			     NULL);
		crowd_close(&crowd);
	}
END_TEST

START_TEST(who_rings_a_set_for_nothing_is_told_to_have_ended)
	{
		struct crowd crowd;
		char byte;
		int i = 0;

		crowd_open(&crowd, _i);
		do {
			ck_assert_int_lt(i++, 3000);
			ring(crowd.clients[4]);
		} while (peal_set_wait(crowd.set, 0) == -EAGAIN);
		expect_only(crowd.set, crowd.servers[4]);
		expect_error(peal_recv(peal_link_rx(crowd.servers[4]), &byte, 1, NULL, 0), -EPROTO,
			     NULL);
		crowd_close(&crowd);
	}
END_TEST

START_TEST(who_moves_in_a_set_has_not_rung)
	{
		struct crowd crowd;

		crowd_open(&crowd, _i);
		/* An eventfd that was rung once says so again whenever it is given a place. */
		ck_assert_int_eq(peal_set_arm(crowd.set), 0);
		ring(crowd.clients[1]);
		for (int i = 0; i < 1500; i++) {
			ck_assert_int_eq(peal_set_remove(crowd.set, crowd.servers[1]), 0);
			ck_assert_int_eq(peal_set_add(crowd.set, crowd.servers[1], NULL), 0);
			ck_assert_int_eq(peal_set_arm(crowd.set), 0);
		}
		for (int i = 0; i < 1500; i++) {
			ck_assert_int_eq(peal_set_remove(crowd.set, crowd.servers[0]), 0);
			ck_assert_int_eq(peal_set_add(crowd.set, crowd.servers[0], NULL), 0);
			ck_assert_int_eq(peal_set_remove(crowd.set, crowd.servers[1]), 0);
			ck_assert_int_eq(peal_set_add(crowd.set, crowd.servers[1], NULL), 0);
			ck_assert_int_eq(peal_set_arm(crowd.set), 0);
		}
		crowd_close(&crowd);
	}
END_TEST

/* A message of one comes whenever the set is about to sleep, so that it never does. */
START_TEST(who_sleeps_is_heard_while_another_always_comes_just_in_time)
	{
		struct peal_link *link = NULL;
		struct crowd crowd;
		uint64_t until;
		void *data;
		char byte;

		crowd_open(&crowd, _i | 2);
		if (!crowd.servers[0]->data.asymmetric) {
			skip("no membarrier here");
			goto out;
		}
		wait_in_vain(crowd.set);
		ck_assert_int_eq(peal_send(peal_link_tx(crowd.clients[0]), "m", 1, 0, 0), 0);
		ck_assert_int_eq(peal_set_wait(crowd.set, LONG), 1);
		ck_assert_int_eq(peal_recv(peal_link_rx(crowd.servers[0]), &byte, 1, NULL, 0), 1);
		prompt = crowd.clients[0];
		ck_assert_int_eq(peal_send(peal_link_tx(crowd.clients[1]), "x", 1, 0, 0), 0);
		until = platform_now() + (uint64_t)LONG;
		while (link != crowd.servers[1]) {
			ck_assert_uint_lt(platform_now(), until);
			ck_assert_int_gt(peal_set_wait(crowd.set, LONG), 0);
			while ((link = peal_set_next(crowd.set, &data)) == crowd.servers[0])
				while (peal_recv(peal_link_rx(link), &byte, 1, NULL, 0) == 1)
					;
		}
		prompt = NULL;
out:
		crowd_close(&crowd);
	}
END_TEST

START_TEST(one_membarrier_arms_all_and_none_loses_its_bell_if_it_fails)
	{
		struct crowd crowd;
		unsigned before;
		char byte;

		crowd_open(&crowd, _i | 2);
		if (!crowd.servers[0]->data.asymmetric) {
			skip("no membarrier here");
			goto out;
		}
		before = membarriers;
		wait_in_vain(crowd.set);
		ck_assert_uint_eq(membarriers, before + 1);
		expect_error(peal_set_wait(crowd.set, 2 * MS), -ETIMEDOUT, NULL);
		ck_assert_uint_eq(membarriers, before + 1);
		for (int i = 0; i < LINKS; i++) {
			ck_assert_uint_eq(crowd.servers[i]->page->rx_asleep & PEAL_ASLEEP_FENCE, 0);
			ck_assert_int_eq(peal_send(peal_link_tx(crowd.clients[i]), "x", 1, 0, 0),
					 0);
			ck_assert_int_eq(
				peal_recv(peal_link_rx(crowd.servers[i]), &byte, 1, NULL, 0), 1);
		}
		/* All have been rung. */
		barriers_fail = true;
		for (int i = 0; i < LINKS; i++) {
			wait_in_vain(crowd.set);
			ck_assert_uint_eq(membarriers, before + 2);
			for (int k = 0; k < LINKS; k++)
				ck_assert(crowd.servers[k]->page->rx_asleep & PEAL_ASLEEP_FENCE);
			ck_assert_int_eq(peal_send(peal_link_tx(crowd.clients[i]), "x", 1, 0, 0),
					 0);
			ck_assert_int_eq(peal_set_wait(crowd.set, LONG), 1);
			ck_assert_int_eq(
				peal_recv(peal_link_rx(crowd.servers[i]), &byte, 1, NULL, 0), 1);
		}
out:
		crowd_close(&crowd);
	}
END_TEST

START_TEST(a_set_that_waits_in_vain_does_not_spin_any_more)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct meeting meeting;
		struct peal_set *set;
		unsigned before;

		options.spin_ns = 500000;
		meeting_open(&meeting, &options, &options);
		ck_assert_int_eq(peal_set_create(&set), 0);
		ck_assert_int_eq(peal_set_add(set, meeting.server, NULL), 0);
		for (int i = 0; i < 50; i++) {
			before = clock_reads;
			expect_error(peal_set_wait(set, MS), -ETIMEDOUT, NULL);
		}
		ck_assert_uint_lt(clock_reads - before, 20);
		peal_set_free(set);
		meeting_close(&meeting);
	}
END_TEST

START_TEST(an_event_loop_gets_every_message_of_a_set)
	{
		struct epoll_event event = { .events = EPOLLIN };
		struct sender senders[LINKS];
		uint32_t next[LINKS] = { 0 }, value, all = 0;
		int poller = epoll_create1(EPOLL_CLOEXEC), err;
		struct crowd crowd;

		crowd_open(&crowd, _i);
		if (_i & 4)
			event.events |= EPOLLET;
		ck_assert_int_eq(epoll_ctl(poller, EPOLL_CTL_ADD, peal_set_fd(crowd.set), &event),
				 0);
		for (int i = 0; i < LINKS; i++)
			start_sending(&senders[i], crowd.clients[i]);
		while (all < LINKS * MESSAGES) {
			struct peal_link *link;
			void *data;

			err = peal_set_arm(crowd.set);
			ck_assert_int_ge(err, 0);
			if (!err) {
				ck_assert_int_eq(epoll_wait(poller, &event, 1, (int)(LONG / MS)),
						 1);
				err = peal_set_wait(crowd.set, 0);
				ck_assert(err > 0 || err == -EAGAIN);
			}
			while ((link = peal_set_next(crowd.set, &data))) {
				long i = (struct peal_link **)data - crowd.clients;

				while (peal_recv(peal_link_rx(link), &value, sizeof(value), NULL,
						 0) > 0) {
					ck_assert_uint_eq(value, next[i]++);
					all++;
				}
			}
		}
		for (int i = 0; i < LINKS; i++)
			end_sending(&senders[i]);
		close(poller);
		crowd_close(&crowd);
	}
END_TEST

START_TEST(closing_a_member_takes_it_out)
	{
		struct crowd crowd;

		crowd_open(&crowd, _i);
		for (int i = LINKS - 1; i > 0; i--) {
			peal_close(crowd.servers[i]);
			crowd.servers[i] = NULL;
			ck_assert_int_eq(peal_set_arm(crowd.set), 0);
		}
		peal_close(crowd.first.server);
		crowd.first.server = NULL;
		expect_error(peal_set_wait(crowd.set, 0), -ENOENT, "empty", NULL);
		crowd_close(&crowd);
	}
END_TEST

struct inherited {
	struct peal_set *set;
	struct peal_link *link;
};

static const char *use_set_in_child(void *data)
{
	const struct inherited *inherited = data;
	struct peal_set *set = inherited->set;

	if (peal_set_wait(set, 0) != -ESTALE)
		return wrong("a child can wait for its parent's set");
	if (peal_set_fd(set) != -ESTALE || peal_set_poll(set) != 0)
		return wrong("a child can poll its parent's set");
	if (peal_set_remove(set, inherited->link) != -ESTALE ||
	    peal_set_want_room(set, inherited->link) != -ESTALE)
		return wrong("a child can change its parent's set");
	peal_set_free(set);
	peal_close(inherited->link);
	return NULL;
}

START_TEST(a_childs_set_is_stale)
	{
		struct inherited inherited;
		struct crowd crowd;

		crowd_open(&crowd, 0);
		inherited = (struct inherited){ .set = crowd.set, .link = crowd.servers[2] };
		child_run(use_set_in_child, &inherited);
		ck_assert_int_eq(peal_send(peal_link_tx(crowd.clients[1]), "x", 1, 0, 0), 0);
		ck_assert_int_eq(peal_set_wait(crowd.set, LONG), 1);
		crowd_close(&crowd);
	}
END_TEST

/* Ways of the receiver to fall asleep. */
static void fall_asleep(struct peal_link *link, struct peal_set *set, int how)
{
	uint32_t value;

	if (how == 0)
		expect_error(peal_recv(&link->rx, &value, sizeof(value), NULL, 1), -ETIMEDOUT,
			     NULL);
	else
		expect_error(peal_set_wait(set, MS / 10), -ETIMEDOUT, NULL);
}

/* A receiver that never sleeps long in a stream gives up fences, and takes them again for
 * requests; and it does so after a membarrier that took long for once, too. */
START_TEST(the_barrier_follows_the_traffic)
	{
		struct peal_options options = stage_options(PEAL_WAIT_SLEEP, (uint64_t)64 << 10);
		struct meeting meeting;
		struct peal_set *set;
		struct peal_link *link;
		uint32_t value = 0;
		const char *why;

		options.barrier = PEAL_BARRIER_ASYMMETRIC; /* registers */
		meeting_open(&meeting, &options, &options);
		link = meeting.server;
		if (!platform_barrier_usable(&why)) {
			meeting_close(&meeting);
			skip("%s", why);
			return;
		}
		ck_assert_int_eq(peal_set_create(&set), 0);
		if (_i)
			ck_assert_int_eq(peal_set_add(set, link, NULL), 0);
		ck_assert(link->data.asymmetric);
		ck_assert_uint_eq(link->page->rx_asleep & PEAL_ASLEEP_FENCE, 0);
		link->data.always = false;
		steady = true; /* what membarriers cost decides */
		for (int round = 0; round < 2; round++) {
			/* Requests: a sleep a message. */
			for (int i = 0; i < 200; i++) {
				fall_asleep(link, set, _i);
				ck_assert_int_eq(peal_send(&meeting.client->tx, &value, 4, 0, 0),
						 0);
				ck_assert_int_eq(peal_recv(&link->rx, &value, 4, NULL, 0), 4);
			}
			fall_asleep(link, set, _i);
			ck_assert(link->page->rx_asleep & PEAL_ASLEEP_FENCE);
			/* A stream: thousands. */
			for (int i = 0; i < 40; i++) {
				bool well = true;

				for (int k = 0; k < 8000 && well; k++)
					well = !peal_send(&meeting.client->tx, &value, 4, 0, 0) &&
					       peal_recv(&link->rx, &value, 4, NULL, 0) == 4;
				ck_assert(well);
				fall_asleep(link, set, _i);
			}
			ck_assert_uint_eq(link->page->rx_asleep & PEAL_ASLEEP_FENCE, 0);
			ck_assert_int_eq(peal_send(&meeting.client->tx, &value, 4, 0, 0), 0);
			ck_assert_int_eq(peal_recv(&link->rx, &value, 4, NULL, 0), 4);
			preemption = (uint64_t)50 * MS;
			fall_asleep(link, set, _i);
			ck_assert_uint_eq(preemption, 0);
		}
		steady = false;
		peal_set_free(set);
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
	tcase_add_loop_test(one, who_waits_in_a_loop_of_its_own_is_fenced_for, 0, COMBINATIONS);
	tcase_add_test(one, what_the_peer_knows_of_one_bell_it_need_not_know_of_the_other);
	tcase_add_loop_test(one, who_rings_an_armed_link_for_nothing_ends_it, 0, 2);
	tcase_add_loop_test(one, an_eventfd_is_rung_by_who_trusts_its_owner_and_by_nobody_else, 0,
			    81);
	tcase_add_loop_test(one, an_event_loop_gets_every_message, 0, COMBINATIONS);
	tcase_add_loop_test(one, an_event_loop_sends_through_a_full_ring, 0, COMBINATIONS);
	tcase_add_loop_test(one, the_end_of_a_link_polls_readable_and_is_told, 0, COMBINATIONS);
	tcase_add_loop_test(one, room_can_be_waited_for_by_descriptor, 0, 4);
	tcase_add_test(one, who_cannot_be_waited_for_says_so);
	tcase_add_loop_test(one, the_barrier_follows_the_traffic, 0, 2);
	tcase_add_loop_test(many, a_set_tells_which_links_have_something, 0, 4);
	tcase_add_test(many, a_set_goes_on_without_the_link_that_spins_longest);
	tcase_add_loop_test(many, who_leaves_a_set_is_not_missed_and_who_ends_is_told, 0, 4);
	tcase_add_loop_test(many, what_comes_behind_the_back_of_a_set_is_found, 0, 4);
	tcase_add_loop_test(many, a_set_gets_every_message_of_all_its_links, 0, 4);
	tcase_add_loop_test(many, an_event_loop_gets_every_message_of_a_set, 0, COMBINATIONS);
	tcase_add_loop_test(many, a_set_tells_who_has_room, 0, 4);
	tcase_add_loop_test(many, a_verb_that_sleeps_takes_no_bell_from_the_set, 0, 4);
	tcase_add_loop_test(many, a_set_sends_through_full_rings, 0, 4);
	tcase_add_loop_test(many, what_is_pending_goes_out_before_the_set_waits, 0, 4);
	tcase_add_loop_test(many, a_spinning_link_that_has_ended_lets_the_set_sleep, 0, 2);
	tcase_add_loop_test(many, a_busy_set_is_told_who_has_ended, 0, 2);
	tcase_add_test(many, who_has_ended_is_told_whatever_comes_meanwhile);
	tcase_add_loop_test(many, a_close_that_is_taken_back_is_told_as_one, 0, 2);
	tcase_add_loop_test(many, who_rings_a_set_for_nothing_is_told_to_have_ended, 0, 2);
	tcase_add_loop_test(many, who_moves_in_a_set_has_not_rung, 0, 2);
	tcase_add_loop_test(many, who_sleeps_is_heard_while_another_always_comes_just_in_time, 0,
			    2);
	tcase_add_loop_test(many, one_membarrier_arms_all_and_none_loses_its_bell_if_it_fails, 0,
			    2);
	tcase_add_test(many, a_set_that_waits_in_vain_does_not_spin_any_more);
	tcase_add_loop_test(many, closing_a_member_takes_it_out, 0, 2);
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
