/*
 * SPDX-License-Identifier: MIT
 *
 * What a stranger hands over and can make wait: files of a file system that answers nothing, pipes
 * whose lock is held. Whoever hears it goes on, while one who calls the kernel without care waits
 * beside it, to show that there is something to wait for.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/hostile/doors_peer.h"
#include "tests/hostile/fuse.h"
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

static void stat_it(int fd)
{
	struct stat status;

	fstat(fd, &status);
}

static void poll_it(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int poller = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
	close(poller);
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
		naive_start(&naive[2], naive_close, other);
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

static void size_it(int fd)
{
	fcntl(fd, F_GETPIPE_SZ);
}

static void hold_a_pipe(bool by_fuse, enum hearer hearer, enum place place)
{
	struct naive naive[2];
	struct holder holder;
	int ends[2], other;
	char path[40];

	if (!holder_begin(&holder, by_fuse, door.beside.folder.name))
		return;
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[1]);
	other = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_eq(write(other, "1234", 4), 4);
	holder_take(&holder, ends[0]);
	naive_start(&naive[0], naive_write, other);
	naive_start(&naive[1], size_it, other);
	naive_await_sleep(&naive[0]);
	naive_await_sleep(&naive[1]);
	door_give(ends[1]);
	hand_over(hearer, place, ends[1]);
	for (int i = 0; i < 2; i++)
		naive_expect_waits(&naive[i]);
	holder_end(&holder);
	for (int i = 0; i < 2; i++)
		naive_end(&naive[i]);
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

static Suite *suite(void)
{
	Suite *s = suite_create("held");
	TCase *goods = tcase_create("goods");

	tcase_add_checked_fixture(goods, set_up, tear_down);
	tcase_set_timeout(goods, 120);
	tcase_add_loop_test(goods, a_silent_file_holds_up_nobody_wherever_it_is_handed_over, 0,
			    HEARERS * PLACES);
	tcase_add_loop_test(goods, hundreds_of_silent_files_at_a_time_use_up_no_descriptors, 0,
			    HEARERS);
	tcase_add_loop_test(goods, a_pipe_whose_lock_is_held_holds_up_nobody, 0, HEARERS * PLACES);
	tcase_add_loop_test(goods,
			    a_pipe_whose_lock_is_held_by_way_of_a_silent_file_holds_up_nobody, 0,
			    HEARERS);
	suite_add_tcase(s, goods);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
