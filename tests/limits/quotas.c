/*
 * SPDX-License-Identifier: MIT
 *
 * Limits that a process has had since before it made anything: 64 descriptors, no files, no
 * threads. What is over the limit is refused with that reason, and all else is as ever.
 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/limits/host.h"
#include "tests/unit/stranger.h"

#define USER 12346 /* of nobody here */

/*
 * Descriptors: 64, all of which the links of one process take, on either side.
 */

enum { FILES = 64 };

/* Connects until there are no more, besides so many; how many there are then. */
static int crowd(struct peal_link *links[FILES], int count, const char *path, int expected)
{
	int err;

	while (!(err = peal_connect(&links[count], path, NULL, LONG)))
		count++;
	return err == expected && strstr(peal_error(), "descriptors") ? count : -1;
}

/* What came with an answer that could not be taken is closed a moment later. */
static int come_back(struct peal_link **link)
{
	const struct timespec moment = { .tv_nsec = MS };
	int err = -EMFILE;

	for (int i = 0; err == -EMFILE && i < 10000; i++)
		if ((err = peal_connect(link, folder.path, NULL, LONG)))
			nanosleep(&moment, NULL);
	return err;
}

static const char *fill_up_as_client(void *data)
{
	struct peal_link *links[FILES] = { NULL };
	int count;

	(void)data;
	if (!lower(RLIMIT_NOFILE, FILES))
		return wrong("no limit");
	count = crowd(links, 0, folder.path, -EMFILE);
	if (count < 16)
		return wrong("%d links", count);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < count; i++)
			if (exchange(links[i]))
				return wrong("link %d of %d", i, count);
		if (peal_connect(&links[count], folder.path, NULL, LONG) != -EMFILE)
			return wrong("one more gets in");
		peal_close(links[round]);
		if (come_back(&links[round]))
			return wrong("where one has left none gets in");
	}
	while (count)
		peal_close(links[--count]);
	return NULL;
}

START_TEST(a_process_out_of_descriptors_keeps_its_links_and_makes_one_for_each_that_ends)
	{
		struct child child;

		if (skip_emulated("limits of its programs"))
			return;
		child_start(&child, fill_up_as_client, NULL);
		host_serve(&child);
	}
END_TEST

static void stop_own(int signal)
{
	(void)signal;
	peal_server_stop(server);
}

/* In the place of the test's server, which stays the parent's. */
static const char *serve_with_few(void *data)
{
	struct sigaction action = { .sa_handler = stop_own };

	if (!lower(RLIMIT_NOFILE, FILES))
		return wrong("no limit");
	if (host_open(&server, other.path, *(uint32_t *)data) || sigaction(SIGTERM, &action, NULL))
		return wrong("no server");
	return peal_server_run(server) ? wrong("it does not serve") : NULL;
}

static uint64_t cpu_time(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	ck_assert_int_eq(clock_getcpuclockid(pid, &clock), 0);
	ck_assert_int_eq(clock_gettime(clock, &used), 0);
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

/* Where nobody else comes or goes, whoever knocks. */
static void expect_idle(pid_t pid)
{
	const struct timespec moment = { .tv_nsec = 200 * MS };
	uint64_t used = cpu_time(pid);

	nanosleep(&moment, NULL);
	used = cpu_time(pid) - used;
	ck_assert_msg(used < (uint64_t)(100 * MS), "%llu us of CPU in 200 ms",
		      (unsigned long long)used / 1000);
}

/* Where one has left, or the server was started, as soon as that is noticed. */
static void expect_admitted(struct peal_link **link)
{
	const struct timespec moment = { .tv_nsec = MS };
	int err;

	for (int i = 0; i < 10000; i++) {
		err = peal_connect(link, other.path, NULL, LONG);
		if (err != -EBUSY && err != -ECONNREFUSED)
			break;
		nanosleep(&moment, NULL);
	}
	ck_assert_msg(!err, "nobody gets in: %s", peal_error());
}

START_TEST(a_server_out_of_descriptors_refuses_in_words_until_one_leaves_and_rests)
	{
		struct peal_link *links[FILES] = { NULL };
		uint32_t workers = (uint32_t)_i + 1;
		struct child child;
		int count, outside[8];

		if (skip_emulated("limits of its programs"))
			return;
		child_start(&child, serve_with_few, &workers);
		expect_admitted(&links[0]);
		count = crowd(links, 1, other.path, -EBUSY);
		ck_assert_msg(count >= 16, "%d links: %s", count, peal_error());
		expect_idle(child.pid);
		for (int i = 0; i < 8; i++)
			outside[i] = stranger_connect(other.path);
		expect_idle(child.pid);
		for (int i = 0; i < 8; i++)
			close(outside[i]);
		for (int round = 0; round < 3; round++) {
			for (int i = 0; i < count; i++)
				ck_assert_msg(!exchange(links[i]), "link %d of %d: %s", i, count,
					      peal_error());
			/* What was refused or knocked before may have left room meanwhile. */
			count = crowd(links, count, other.path, -EBUSY);
			ck_assert_int_gt(count, 0);
			peal_close(links[round]);
			expect_admitted(&links[round]);
		}
		while (count)
			peal_close(links[--count]);
		ck_assert_int_eq(kill(child.pid, SIGTERM), 0);
		child_end(&child);
	}
END_TEST

/*
 * Files: also those that are memory. What is longer is a signal that ends the process, if it is
 * tried at all.
 */

static const char *allow_no_files(void *data)
{
	struct peal_listener *listener;
	struct peal_link *links[2];
	int err;

	(void)data;
	signal(SIGXFSZ, SIG_DFL);
	if (peal_pair(links, NULL) || !lower(RLIMIT_FSIZE, 0))
		return wrong("without a limit");
	if (use_pair(links))
		return wrong("what is there does not go on");
	err = try_pair();
	if (err != -EFBIG || !strstr(peal_error(), "file size"))
		return wrong("a pair gives %d", err);
	err = try_link();
	if (err != -EFBIG)
		return wrong("a link gives %d", err);
	err = peal_listen(&listener, other.path, NULL);
	if (err)
		return wrong("to listen gives %d", err);
	err = peal_accept(listener, &links[0], MS);
	if (err != -ETIMEDOUT)
		return wrong("to accept gives %d", err);
	peal_listener_close(listener);
	setrlimit(RLIMIT_FSIZE, &was);
	return try_pair() ? wrong("with a limit no more") : NULL;
}

START_TEST(a_limit_on_files_is_an_error_and_no_signal)
	{
		struct child child;

		if (skip_emulated("limits of its programs"))
			return;
		child_start(&child, allow_no_files, NULL);
		host_serve(&child);
	}
END_TEST

/*
 * Threads: none can be made by a user who has as many processes as he may have.
 */

static const char *allow_no_threads(void *data)
{
	const struct rlimit one = { .rlim_cur = 1, .rlim_max = 1 };
	struct peal_server *own;
	int err, descriptors;

	(void)data;
	if (!geteuid() && (setgroups(0, NULL) || setgid(USER) || setuid(USER)))
		return wrong("no other user");
	if (setrlimit(RLIMIT_NPROC, &one))
		return wrong("no limit");
	err = try_pair();
	descriptors = descriptors_count();
	if (err)
		return wrong("a pair gives %d", err);
	for (int i = 0; i < 50; i++) {
		err = try_pair();
		if (err)
			return wrong("a pair gives %d", err);
	}
	if (!settles(descriptors, mappings_count()))
		return wrong("%d descriptors instead of %d", descriptors_count(), descriptors);
	err = host_open(&own, "@peal-limits-threads", 2);
	if (err)
		return wrong("a server gives %d", err);
	err = peal_server_step(own, 0);
	if (err != -EAGAIN || !strstr(peal_error(), "thread"))
		return wrong("two workers give %d", err);
	peal_server_close(own);
	err = host_open(&own, "@peal-limits-threads", 1);
	if (err)
		return wrong("a server gives %d", err);
	err = peal_server_step(own, 0);
	peal_server_close(own);
	return err == -EAGAIN ? NULL : wrong("one worker gives %d", err);
}

START_TEST(without_threads_there_is_one_worker_and_all_is_closed_all_the_same)
	{
		if (geteuid() || runner_burdened()) {
			skip(geteuid() ? "only root can be a user who has no other processes" :
					 "a sanitizer, or an emulator, has threads of its own");
			return;
		}
		child_run(allow_no_threads, NULL);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("quotas");
	TCase *all = tcase_create("quotas");

	tcase_add_checked_fixture(all, host_set_up, host_tear_down);
	tcase_set_timeout(all, 60);
	tcase_add_test(
		all, a_process_out_of_descriptors_keeps_its_links_and_makes_one_for_each_that_ends);
	tcase_add_loop_test(
		all, a_server_out_of_descriptors_refuses_in_words_until_one_leaves_and_rests, 0, 2);
	tcase_add_test(all, a_limit_on_files_is_an_error_and_no_signal);
	tcase_add_test(all, without_threads_there_is_one_worker_and_all_is_closed_all_the_same);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
