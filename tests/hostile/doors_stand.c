/*
 * SPDX-License-Identifier: MIT
 *
 * Links that stand, and whose peer makes its bells wait: a socket whose lock is held, or that is
 * never drained, eventfds that are full and block. Whoever rings goes on, while one who calls the
 * kernel without care waits beside it, to show that there is something to wait for.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/link.h"
#include "tests/hostile/doors_peer.h"
#include "tests/hostile/holder.h"
#include "tests/hostile/naive.h"
#include "tests/unit/stranger.h"

static struct door door;

static void set_up(void)
{
	door_open(&door);
}

static void tear_down(void)
{
	door_close(&door);
}

/* Says on its page that it sleeps, and is to be rung by descriptor, once more. */
static void fall_asleep(struct peal_page *page)
{
	uint32_t word = __atomic_load_n(&page->rx_asleep, __ATOMIC_RELAXED);

	word = (word & ~(PEAL_ASLEEP_EPOCH - 1)) + PEAL_ASLEEP_EPOCH;
	__atomic_store_n(&page->rx_asleep, word | PEAL_ASLEEP | PEAL_ASLEEP_DESCRIPTOR,
			 __ATOMIC_RELEASE);
}

/* Rings a peer that is always asleep so many times, and waits for it by descriptor in vain. */
static void expect_goes_on(struct peal_link *link, struct peal_page *peer, int rings)
{
	char byte;

	for (int i = 0; i < rings; i++) {
		int err;

		fall_asleep(peer);
		err = peal_send(peal_link_tx(link), "", 1, 0, 0);
		ck_assert_msg(!err || err == -EAGAIN, "%d: %s", err, peal_error());
	}
	ck_assert_int_eq(peal_link_arm(link, PEAL_DATA), 0);
	expect_error(peal_recv(peal_link_rx(link), &byte, 1, NULL, 15 * MS), -ETIMEDOUT, NULL);
}

static void receive_naively(int fd)
{
	char byte;

	recv(fd, &byte, 1, MSG_DONTWAIT);
}

START_TEST(a_peer_that_holds_its_sockets_lock_holds_up_nobody)
	{
		struct meeting meeting;
		struct holder holder;
		struct naive naive;

		if (!holder_begin(&holder, _i, door.beside.folder.name))
			return;
		meeting_open(&meeting, NULL, NULL);
		fall_asleep(meeting.client->page);
		ck_assert_int_eq(peal_send(peal_link_tx(meeting.server), "", 1, 0, 0), 0);
		holder_take(&holder, meeting.client->fd);
		naive_start(&naive, receive_naively, meeting.client->fd);
		naive_await_sleep(&naive);
		expect_goes_on(meeting.server, meeting.client->page, 200);
		peal_close(meeting.server);
		meeting.server = NULL;
		naive_expect_waits(&naive);
		holder_end(&holder);
		naive_end(&naive);
		meeting_close(&meeting);
	}
END_TEST

/* From now on who writes it waits. */
static void fill_and_block(int fd)
{
	const uint64_t most = UINT64_MAX - 1;

	while (write(fd, &most, sizeof(most)) > 0)
		;
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_ASYNC), 0);
	ck_assert_int_eq(fcntl(fd, F_SETOWN, getpid()), 0);
}

START_TEST(an_eventfd_that_the_peer_fills_and_makes_block_holds_up_nobody_who_made_it)
	{
		struct meeting meeting;
		struct naive naive;
		uint64_t rings;

		meeting_open(&meeting, NULL, NULL);
		ck_assert_int_ge(meeting.client->peer_eventfd, 0);
		ck_assert_int_ge(peal_link_fd(meeting.server), 0);
		fill_and_block(meeting.client->peer_eventfd);
		naive_start(&naive, naive_write, meeting.client->peer_eventfd);
		naive_await_sleep(&naive);
		expect_goes_on(meeting.server, meeting.client->page, 20);
		naive_expect_waits(&naive);
		/* Rung and read by turns, by the peer. */
		ck_assert_int_eq(read(meeting.client->peer_eventfd, &rings, sizeof(rings)), 8);
		naive_end(&naive);
		expect_goes_on(meeting.server, meeting.client->page, 20);
		meeting_close(&meeting);
	}
END_TEST

START_TEST(an_eventfd_that_blocks_is_not_rung_by_who_does_not_trust_it)
	{
		enum hearer hearer = _i ? CLIENT : SERVER;
		struct wire_message message = door_homework(&door, hearer);
		struct peal_page *page = segment_page(&door.segment);
		int fds[2] = { door.memory, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
		struct outcome outcome;
		struct naive naive;
		uint64_t rings;
		char byte;

		fill_and_block(fds[1]);
		naive_start(&naive, naive_write, fds[1]);
		naive_await_sleep(&naive);
		message.descriptors = 2;
		message.descriptor[1] = WIRE_EVENTFD;
		door_meet(&door, hearer, &message, sizeof(message), fds, 2, &outcome);
		ck_assert_msg(!outcome.err, "%s", outcome.words);
		expect_goes_on(outcome.link, page, 10);
		if (hearer == SERVER)
			recv(outcome.fd, &message, sizeof(message), MSG_DONTWAIT);
		/* Its bells came by the socket. */
		ck_assert_int_eq(recv(outcome.fd, &byte, 1, MSG_DONTWAIT), 1);
		naive_expect_waits(&naive);
		ck_assert_int_eq(read(fds[1], &rings, sizeof(rings)), 8);
		naive_end(&naive);
		door_part(&outcome);
		close(fds[1]);
	}
END_TEST

/* Whoever wrote to it would get SIGPIPE. */
START_TEST(a_pipe_without_reader_is_no_eventfd_to_who_trusts_its_peer)
	{
		struct wire_message message = door_homework(&door, CLIENT);
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct outcome outcome;
		int ends[2];

		options.allow = PEAL_ALLOW_ANYONE;
		ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
		close(ends[0]);
		message.descriptors = 2;
		message.descriptor[1] = WIRE_EVENTFD;
		door_answer(CLIENT, &options, &message, sizeof(message),
			    (const int[]){ door.memory, ends[1] }, 2, &outcome);
		if (!outcome.err)
			expect_goes_on(outcome.link, segment_page(&door.segment), 1);
		expect_words(outcome.err, outcome.words, -EPROTO, "eventfd is none", NULL);
		door_part(&outcome);
		close(ends[1]);
	}
END_TEST

/* What somebody else may have made of our own end, and a peer of its own. */
static void spoil_socket(int ours, int theirs)
{
	const int least = 1, off = 0, much = 1 << 20;

	ck_assert_int_eq(fcntl(ours, F_SETFL, 0), 0); /* it waits now */
	ck_assert_int_eq(setsockopt(theirs, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)), 0);
	ck_assert_int_eq(setsockopt(theirs, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)), 0);
	ck_assert_int_eq(setsockopt(theirs, SOL_SOCKET, SO_RCVLOWAT, &much, sizeof(much)), 0);
	ck_assert_int_eq(setsockopt(theirs, SOL_SOCKET, SO_PEEK_OFF, &least, sizeof(least)), 0);
	ck_assert_int_eq(setsockopt(theirs, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off)), 0);
	ck_assert_int_eq(fcntl(theirs, F_SETFL, 0), 0);
}

START_TEST(a_socket_that_is_never_drained_holds_up_nobody)
	{
		struct meeting meeting;
		struct naive naive;
		int rings = 0;
		char byte;

		meeting_open(&meeting, NULL, NULL);
		spoil_socket(meeting.server->fd, meeting.client->fd);
		/* Until it is full, and further. */
		while (send(meeting.server->fd, "", 1, MSG_DONTWAIT) == 1)
			rings++;
		ck_assert_int_gt(rings, 1);
		naive_start(&naive, naive_write, meeting.server->fd);
		naive_await_sleep(&naive);
		for (int i = 0; i < 100; i++) {
			fall_asleep(meeting.client->page);
			ck_assert_int_eq(peal_send(peal_link_tx(meeting.server), "", 1, 0, 0), 0);
			ck_assert_int_eq(peal_recv(peal_link_rx(meeting.client), &byte, 1, NULL, 0),
					 1);
		}
		expect_goes_on(meeting.server, meeting.client->page, 1);
		naive_expect_waits(&naive);
		while (recv(meeting.client->fd, &byte, 1, MSG_DONTWAIT) >= 0)
			;
		naive_end(&naive);
		meeting_close(&meeting);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("links that stand");
	TCase *stands = tcase_create("links that stand");

	tcase_add_checked_fixture(stands, set_up, tear_down);
	tcase_set_timeout(stands, 120);
	tcase_add_loop_test(stands, a_peer_that_holds_its_sockets_lock_holds_up_nobody, 0, 2);
	tcase_add_test(stands,
		       an_eventfd_that_the_peer_fills_and_makes_block_holds_up_nobody_who_made_it);
	tcase_add_loop_test(stands, an_eventfd_that_blocks_is_not_rung_by_who_does_not_trust_it, 0,
			    2);
	tcase_add_test(stands, a_pipe_without_reader_is_no_eventfd_to_who_trusts_its_peer);
	tcase_add_test(stands, a_socket_that_is_never_drained_holds_up_nobody);
	suite_add_tcase(s, stands);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
