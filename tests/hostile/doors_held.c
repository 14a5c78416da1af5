/*
 * SPDX-License-Identifier: MIT
 *
 * What a stranger can make wait: files of a file system that answers nothing, locks that are held
 * through pages that never come, closes that linger, flags that are not what they were. Whoever
 * calls the library goes on, while one who calls the kernel without care waits beside it, to show
 * that there is something to wait for.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/link.h"
#include "tests/hostile/doors_peer.h"
#include "tests/hostile/fuse.h"
#include "tests/hostile/userfault.h"
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

/*
 * Who calls without care.
 */

struct naive {
	void (*call)(int fd);
	int fd;
	int thread_id; /* atomic; 0: not yet */
	bool over;     /* atomic */
	pthread_t thread;
};

static void *call_it(void *data)
{
	struct naive *naive = data;

	__atomic_store_n(&naive->thread_id, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
	naive->call(naive->fd);
	__atomic_store_n(&naive->over, true, __ATOMIC_RELEASE);
	return NULL;
}

static void naive_start(struct naive *naive, void (*call)(int fd), int fd)
{
	*naive = (struct naive){ .call = call, .fd = fd };
	ck_assert_int_eq(pthread_create(&naive->thread, NULL, call_it, naive), 0);
}

static void naive_expect_waits(const struct naive *naive)
{
	ck_assert_msg(!__atomic_load_n(&naive->over, __ATOMIC_ACQUIRE),
		      "there was nothing to wait for");
}

/* Waits until it sleeps in the kernel. */
static void naive_await_sleep(const struct naive *naive)
{
	char path[64], line[256] = "", *state = NULL;
	FILE *file;

	do {
		int id = __atomic_load_n(&naive->thread_id, __ATOMIC_ACQUIRE);

		sched_yield();
		naive_expect_waits(naive);
		if (!id)
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", id);
		file = fopen(path, "re");
		ck_assert_ptr_nonnull(file);
		state = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
		fclose(file);
	} while (!state || (state[2] != 'S' && state[2] != 'D'));
}

static void naive_end(struct naive *naive)
{
	pthread_join(naive->thread, NULL);
}

static void stat_it(int fd)
{
	struct stat status;

	fstat(fd, &status);
}

static void close_it(int fd)
{
	close(fd);
}

static void poll_it(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int poller = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
	close(poller);
}

static void write_it(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

static void size_it(int fd)
{
	fcntl(fd, F_GETPIPE_SZ);
}

static void receive_it(int fd)
{
	char room[64];
	struct msghdr message = { .msg_control = room, .msg_controllen = sizeof(room) };

	recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
}

/*
 * Where a stranger's descriptor can be.
 */

enum place { SEGMENT, DATA, EVENTFD, MANY, PLACES };

/* Hands it over there. A side that does not trust its peer has no use for an eventfd. */
static void hand_over(enum hearer hearer, enum place place, int fd)
{
	struct wire_message message = door_homework(&door, hearer);
	int memory = door_memory(&door, hearer), fds[STRANGER_DESCRIPTORS], count = 2;
	struct outcome outcome;

	for (int i = 0; i < STRANGER_DESCRIPTORS; i++)
		fds[i] = place == MANY || i ? fd : memory;
	message.descriptors = 2;
	message.descriptor[1] = hearer == MONITOR ? WIRE_STATS : WIRE_EVENTFD;
	if (place == SEGMENT) {
		fds[0] = fd;
		message.descriptors = 1;
		count = 1;
	} else if (place == DATA) {
		message.descriptor[1] = hearer == MONITOR ? WIRE_STATS : WIRE_DATA;
		message.stats_objects = 2;
		message.stats_size[1] = message.stats_size[0];
	} else if (place == MANY) {
		count = STRANGER_DESCRIPTORS;
	}
	door_meet(&door, hearer, &message, sizeof(message), fds, count, &outcome);
	if (place == EVENTFD && hearer != MONITOR)
		ck_assert_msg(!outcome.err, "%s", outcome.words);
	else
		ck_assert_msg(outcome.err == -EPROTO, "%d: %s", outcome.err, outcome.words);
	/* While it still waits for somebody. */
	door_part(&outcome);
	door_expect_others_well(&door);
}

static enum hearer hearer_of(int i)
{
	return (enum hearer)(i % HEARERS);
}

static enum place place_of(int i)
{
	return (enum place)(i / HEARERS);
}

START_TEST(a_silent_file_holds_up_nobody_wherever_it_is_handed_over)
	{
		struct naive naive[3];
		struct fuse fuse;
		int file, other;

		if (!fuse_begin(&fuse, door.beside.folder.name))
			return;
		file = fuse_open(&fuse);
		other = fuse_open(&fuse);
		hand_over(hearer_of(_i), place_of(_i), file);
		naive_start(&naive[0], stat_it, file);
		fuse_await(&fuse, FUSE_GETATTR);
		naive_start(&naive[1], poll_it, file);
		fuse_await(&fuse, FUSE_POLL);
		naive_start(&naive[2], close_it, other);
		fuse_await(&fuse, FUSE_FLUSH);
		hand_over(hearer_of(_i), place_of(_i), file);
		for (int i = 0; i < 3; i++)
			naive_expect_waits(&naive[i]);
		fuse_end(&fuse);
		for (int i = 0; i < 3; i++)
			naive_end(&naive[i]);
		close(file);
	}
END_TEST

START_TEST(hundreds_of_silent_files_at_a_time_use_up_no_descriptors)
	{
		enum { MESSAGES = 5 };
		int file, before;
		struct fuse fuse;

		if (!fuse_begin(&fuse, door.beside.folder.name))
			return;
		file = fuse_open(&fuse);
		before = descriptors_count();
		for (int i = 0; i < MESSAGES; i++)
			hand_over(hearer_of(_i), MANY, file);
		/* A few of each message at most, and its socket. */
		ck_assert_int_le(descriptors_count(), before + MESSAGES * 16);
		fuse_end(&fuse);
		close(file);
	}
END_TEST

/*
 * A pipe's lock, which is held by who reads into a page that never comes.
 */

struct reader {
	int fd;
	void *at;
};

static void *read_into(void *data)
{
	const struct reader *reader = data;
	ssize_t length = read(reader->fd, reader->at, 1);

	ck_assert_msg(length == 1 || length < 0, "%zd", length);
	return NULL;
}

/* Of the two ways in which a page never comes. */
struct page {
	bool by_fuse;
	struct fuse fuse;
	struct userfault fault;
	void *at;
};

static bool page_begin(struct page *page, bool by_fuse)
{
	page->by_fuse = by_fuse;
	if (by_fuse ? !fuse_begin(&page->fuse, door.beside.folder.name) :
		      !userfault_begin(&page->fault))
		return false;
	page->at = by_fuse ? fuse_page(&page->fuse) : page->fault.at;
	return true;
}

static void page_await(const struct page *page)
{
	if (page->by_fuse)
		fuse_await(&page->fuse, FUSE_READ);
	else
		userfault_await(&page->fault);
}

static void page_end(struct page *page)
{
	if (page->by_fuse)
		fuse_end(&page->fuse);
	else
		userfault_end(&page->fault);
}

static void hold_a_pipe(bool by_fuse, enum hearer hearer, enum place place)
{
	struct naive naive[2];
	struct reader reader;
	int ends[2], other;
	pthread_t thread;
	struct page page;
	char path[40];

	if (!page_begin(&page, by_fuse))
		return;
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[1]);
	other = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_eq(write(other, "1234", 4), 4);
	reader = (struct reader){ .fd = ends[0], .at = page.at };
	ck_assert_int_eq(pthread_create(&thread, NULL, read_into, &reader), 0);
	page_await(&page);
	naive_start(&naive[0], write_it, other);
	naive_start(&naive[1], size_it, other);
	naive_await_sleep(&naive[0]);
	naive_await_sleep(&naive[1]);
	door_give(ends[1]);
	hand_over(hearer, place, ends[1]);
	for (int i = 0; i < 2; i++)
		naive_expect_waits(&naive[i]);
	page_end(&page);
	for (int i = 0; i < 2; i++)
		naive_end(&naive[i]);
	pthread_join(thread, NULL);
	close(ends[0]);
	close(other);
}

START_TEST(a_pipe_whose_lock_is_held_holds_up_nobody)
	{
		hold_a_pipe(false, hearer_of(_i), place_of(_i));
	}
END_TEST

START_TEST(a_pipe_whose_lock_is_held_by_way_of_a_silent_file_holds_up_nobody)
	{
		hold_a_pipe(true, hearer_of(_i), SEGMENT);
	}
END_TEST

/*
 * Closes that linger.
 */

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

/* One who receives what does not fit its table closes it on its way out of the kernel. */
static void receive_where_none_are_free(struct naive *naive, int lingering, int ends[2])
{
	rlim_t before;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	stranger_say(ends[0], "", 1, lingering, 1);
	close(lingering);
	naive->over = false;
	before = leave_free(0);
	naive_start(naive, receive_it, ends[1]);
	while (stranger_hears(ends[1]))
		sched_yield();
	leave_as_before(before);
	naive_await_sleep(naive);
}

START_TEST(descriptors_for_which_there_is_no_room_are_closed_by_nobody_who_is_waited_for)
	{
		int peers[2], lingering[2], ends[2], fds[4];
		enum hearer hearer = hearer_of(_i);
		struct wire_message message = door_homework(&door, hearer);
		struct outcome outcome;
		struct naive naive;
		rlim_t before;

		for (int i = 0; i < 2; i++)
			lingering[i] = stranger_lingering(&peers[i]);
		if (lingering[1] < 0) {
			skip("TCP needs a loopback interface");
			return;
		}
		receive_where_none_are_free(&naive, lingering[0], ends);
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

		for (int i = 0; i < 2; i++)
			lingering[i] = stranger_lingering(&peers[i]);
		if (lingering[1] < 0) {
			skip("TCP needs a loopback interface");
			return;
		}
		meeting_open(&meeting, NULL, NULL);
		receive_where_none_are_free(&naive, lingering[0], ends);
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

		for (int i = 0; i < 2; i++)
			lingering[i] = stranger_lingering(&peers[i]);
		if (lingering[1] < 0) {
			skip("TCP needs a loopback interface");
			return;
		}
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
		stranger_say(ends[0], "", 1, lingering[0], 1);
		close(lingering[0]);
		naive_start(&naive, close_it, ends[1]);
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

/*
 * Links that stand.
 */

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
		struct reader reader;
		struct naive naive;
		pthread_t thread;
		struct page page;

		if (!page_begin(&page, _i))
			return;
		meeting_open(&meeting, NULL, NULL);
		fall_asleep(meeting.client->page);
		ck_assert_int_eq(peal_send(peal_link_tx(meeting.server), "", 1, 0, 0), 0);
		reader = (struct reader){ .fd = meeting.client->fd, .at = page.at };
		ck_assert_int_eq(pthread_create(&thread, NULL, read_into, &reader), 0);
		page_await(&page);
		naive_start(&naive, receive_naively, meeting.client->fd);
		naive_await_sleep(&naive);
		expect_goes_on(meeting.server, meeting.client->page, 200);
		peal_close(meeting.server);
		meeting.server = NULL;
		naive_expect_waits(&naive);
		page_end(&page);
		naive_end(&naive);
		pthread_join(thread, NULL);
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
		naive_start(&naive, write_it, meeting.client->peer_eventfd);
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
		naive_start(&naive, write_it, fds[1]);
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
		naive_start(&naive, write_it, meeting.server->fd);
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
	Suite *s = suite_create("held");
	TCase *goods = tcase_create("goods"), *lingers = tcase_create("lingers");
	TCase *stands = tcase_create("links that stand");

	tcase_add_checked_fixture(goods, set_up, tear_down);
	tcase_set_timeout(goods, 60);
	tcase_add_loop_test(goods, a_silent_file_holds_up_nobody_wherever_it_is_handed_over, 0,
			    HEARERS * PLACES);
	tcase_add_loop_test(goods, hundreds_of_silent_files_at_a_time_use_up_no_descriptors, 0,
			    HEARERS);
	tcase_add_loop_test(goods, a_pipe_whose_lock_is_held_holds_up_nobody, 0, HEARERS * PLACES);
	tcase_add_loop_test(goods,
			    a_pipe_whose_lock_is_held_by_way_of_a_silent_file_holds_up_nobody, 0,
			    HEARERS);
	suite_add_tcase(s, goods);

	tcase_add_checked_fixture(lingers, set_up, tear_down);
	tcase_set_timeout(lingers, 60);
	tcase_add_loop_test(
		lingers,
		descriptors_for_which_there_is_no_room_are_closed_by_nobody_who_is_waited_for, 0,
		HEARERS);
	tcase_add_loop_test(lingers, what_lingers_on_a_link_that_stands_holds_up_nobody, 0, 2);
	tcase_add_loop_test(lingers, what_lingers_with_who_is_never_heard_holds_up_nobody, 0, 2);
	suite_add_tcase(s, lingers);

	tcase_add_checked_fixture(stands, set_up, tear_down);
	tcase_set_timeout(stands, 60);
	tcase_add_loop_test(stands, a_peer_that_holds_its_sockets_lock_holds_up_nobody, 0, 2);
	tcase_add_test(stands,
		       an_eventfd_that_the_peer_fills_and_makes_block_holds_up_nobody_who_made_it);
	tcase_add_loop_test(stands, an_eventfd_that_blocks_is_not_rung_by_who_does_not_trust_it, 0,
			    2);
	tcase_add_test(stands, a_socket_that_is_never_drained_holds_up_nobody);
	suite_add_tcase(s, stands);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
