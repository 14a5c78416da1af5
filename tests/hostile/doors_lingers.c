/*
 * SPDX-License-Identifier: MIT
 *
 * Closes that linger: of descriptors that a stranger sends along, heard or not, with room for them
 * or without. Whoever lets go of them goes on, while one who closes without care waits beside it.
 */
#include "config.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/link.h"
#include "tests/hostile/doors_peer.h"
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

/* Two of them, and who can let them go. */
static bool make_linger(int lingering[2], int peers[2])
{
	for (int i = 0; i < 2; i++)
		lingering[i] = stranger_lingering(&peers[i]);
	if (lingering[1] < 0)
		skip("TCP needs a loopback interface");
	return lingering[1] >= 0;
}

/* Lets so many descriptors more be opened; gives the limit that there was. */
static rlim_t leave_free(int more)
{
	struct rlimit limit;
	rlim_t before;
	int fds[8];

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	before = limit.rlim_cur;
	limit.rlim_cur = 0;
	for (int i = 0; i <= more; i++) {
		fds[i] = dup(STDIN_FILENO);
		limit.rlim_cur = (rlim_t)fds[i];
	}
	for (int i = 0; i <= more; i++)
		close(fds[i]);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return before;
}

static void leave_as_before(rlim_t before)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = before;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void receive_it(int fd)
{
	struct cmsghdr room;
	struct msghdr message = { .msg_control = &room, .msg_controllen = sizeof(room) };

	recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
}

/* One who receives a descriptor for which there is no room closes it on its way out of the
 * kernel. */
static void receive_without_room(struct naive *naive, int lingering, int ends[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	stranger_say(ends[0], "", 1, lingering, 1);
	close(lingering);
	naive_start(naive, receive_it, ends[1]);
	naive_await_sleep(naive);
}

START_TEST(descriptors_for_which_there_is_no_room_are_closed_by_nobody_who_is_waited_for)
	{
		int peers[2], lingering[2], ends[2], fds[4];
		enum hearer hearer = (enum hearer)_i;
		struct wire_message message = door_homework(&door, hearer);
		struct outcome outcome;
		struct naive naive;
		rlim_t before;

		if (!make_linger(lingering, peers))
			return;
		receive_without_room(&naive, lingering[0], ends);
		for (int i = 0; i < 3; i++)
			fds[i] = door.memory;
		fds[3] = lingering[1];
		door_give(lingering[1]);
		/* The sockets' two, and two of the four. */
		before = leave_free(4);
		door_meet(&door, hearer, &message, sizeof(message), fds, 4, &outcome);
		leave_as_before(before);
		expect_words(outcome.err, outcome.words, hearer == SERVER ? -EBUSY : -EMFILE,
			     "ulimit -n", NULL);
		door_expect_others_well(&door);
		naive_expect_waits(&naive);
		/* A socket that was brought is the caller's, with what is in it. */
		if (!outcome.brought)
			door_part(&outcome);
		for (int i = 0; i < 2; i++)
			close(peers[i]);
		if (outcome.brought)
			door_part(&outcome);
		naive_end(&naive);
		close(ends[0]);
		close(ends[1]);
	}
END_TEST

/* On a link that stands: heard, or not before it is closed. */
START_TEST(what_lingers_on_a_link_that_stands_holds_up_nobody)
	{
		int peers[2], lingering[2], ends[2];
		struct meeting meeting;
		struct naive naive;
		rlim_t before;
		char byte;

		if (!make_linger(lingering, peers))
			return;
		meeting_open(&meeting, NULL, NULL);
		receive_without_room(&naive, lingering[0], ends);
		stranger_say(meeting.client->fd, "", 1, lingering[1], 1);
		close(lingering[1]);
		/* What is made where somebody waits by descriptor there is then. */
		ck_assert_int_ge(peal_link_fd(meeting.server), 0);
		before = leave_free(0);
		if (_i) {
			ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_DATA), 1);
			expect_error(peal_recv(peal_link_rx(meeting.server), &byte, 1, NULL, 0),
				     -EPROTO, NULL);
		}
		peal_close(meeting.server);
		leave_as_before(before);
		meeting.server = NULL;
		door_expect_others_well(&door);
		naive_expect_waits(&naive);
		for (int i = 0; i < 2; i++)
			close(peers[i]);
		naive_end(&naive);
		close(ends[0]);
		close(ends[1]);
		meeting_close(&meeting);
	}
END_TEST

/* Of those whom nobody hears: before they are let in, or before they say something. */
START_TEST(what_lingers_with_who_is_never_heard_holds_up_nobody)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		int fd, ends[2], peers[2], lingering[2];
		struct peal_listener *listener;
		struct peal_link *link;
		struct folder folder;
		struct naive naive;

		if (!make_linger(lingering, peers))
			return;
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
		stranger_say(ends[0], "", 1, lingering[0], 1);
		close(lingering[0]);
		naive_start(&naive, naive_close, ends[1]);
		naive_await_sleep(&naive);
		folder_make(&folder);
		ck_assert_int_eq(peal_listen(&listener, folder.path, &options), 0);
		fd = stranger_connect(folder.path);
		if (_i)
			expect_error(peal_accept(listener, &link, 0), -EAGAIN, NULL);
		stranger_say(fd, "", 1, lingering[1], 1);
		close(lingering[1]);
		peal_listener_close(listener);
		naive_expect_waits(&naive);
		for (int i = 0; i < 2; i++)
			close(peers[i]);
		naive_end(&naive);
		close(ends[0]);
		close(fd);
		folder_remove(&folder);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("lingers");
	TCase *lingers = tcase_create("lingers");

	tcase_add_checked_fixture(lingers, set_up, tear_down);
	tcase_set_timeout(lingers, 120);
	tcase_add_loop_test(
		lingers,
		descriptors_for_which_there_is_no_room_are_closed_by_nobody_who_is_waited_for, 0,
		HEARERS);
	tcase_add_loop_test(lingers, what_lingers_on_a_link_that_stands_holds_up_nobody, 0, 2);
	tcase_add_loop_test(lingers, what_lingers_with_who_is_never_heard_holds_up_nobody, 0, 2);
	suite_add_tcase(s, lingers);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
