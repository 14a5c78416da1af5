/*
 * SPDX-License-Identifier: MIT
 *
 * What -DPEAL_DEBUG finds: two threads inside the verbs of one end. This file is compiled with it.
 */
#include "config.h"

#ifdef PEAL_DEBUG
#define VERBS 10 /* the library was built with it too */
#else
#define VERBS 7
#define PEAL_DEBUG 1
#endif

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/stage.h"

static struct peal_link *links[2];
static char buffer[64];

static void *receive_for_ever(void *link)
{
	peal_recv(peal_link_rx(link), buffer, sizeof(buffer), NULL, PEAL_FOREVER);
	return NULL;
}

static void *send_for_ever(void *link)
{
	while (!peal_send(peal_link_tx(link), buffer, sizeof(buffer), 0, PEAL_FOREVER))
		;
	return NULL;
}

/* Waits until a thread sleeps inside a verb. */
static void wait_asleep(const struct peal_link *link, bool sending)
{
	struct peal_stats stats = { .size = sizeof(stats) };

	do {
		sched_yield();
		peal_link_stats(link, &stats);
	} while (!(sending ? stats.tx.sleeps : stats.rx.sleeps));
}

/* What the second thread does while the first is inside. */
static void intrude(int how)
{
	struct peal_message message = { .data = "", .length = 0 };
	struct peal_sending sending = { .data = "" };
	struct iovec piece = { .iov_len = 0 };
	void *at;

	switch (how) {
	case 0:
		peal_recv(peal_link_rx(links[0]), buffer, sizeof(buffer), NULL, 0);
		break;
	case 1:
		peal_peek(peal_link_rx(links[0]), &message, 0);
		break;
	case 2:
		peal_release(peal_link_rx(links[0]));
		break;
	case 3:
		peal_send(peal_link_tx(links[0]), "", 0, 0, 0);
		break;
	case 4:
		peal_reserve(peal_link_tx(links[0]), 0, &at, 0);
		break;
	case 5:
		peal_commit(peal_link_tx(links[0]), 0, 0);
		break;
	case 6:
		peal_abort(peal_link_tx(links[0]));
		break;
	case 7:
		peal_send_batch(peal_link_tx(links[0]), &message, 1, 0);
		break;
	case 8:
		peal_sendv(peal_link_tx(links[0]), &piece, 1, 0, 0);
		break;
	default:
		peal_send_part(peal_link_tx(links[0]), &sending, 0);
	}
}

/* Verbs that are made of others may be told by either name. */
static const char *const verbs[] = { "peal_",         "peal_peek",       "peal_release",
				     "peal_",         "peal_reserve",    "peal_commit",
				     "peal_abort",    "peal_send_batch", "peal_sendv",
				     "peal_send_part" };

START_TEST(two_threads_in_one_end_are_caught_and_told)
	{
		static const struct rlimit none = { 0, 0 };
		bool sending = _i >= 3;
		char said[1024];
		size_t length = 0;
		ssize_t more;
		int ends[2], status;
		pid_t pid;

		ck_assert_int_eq(pipe(ends), 0);
		pid = fork();
		if (!pid) {
			pthread_t thread;

			setrlimit(RLIMIT_CORE, &none);
			dup2(ends[1], STDERR_FILENO);
			close(ends[0]);
			close(ends[1]);
			pair_open(links, PEAL_WAIT_SLEEP, 0);
			pthread_create(&thread, NULL, sending ? send_for_ever : receive_for_ever,
				       links[0]);
			wait_asleep(links[0], sending);
			intrude(_i);
			_exit(0);
		}
		close(ends[1]);
		while ((more = read(ends[0], said + length, sizeof(said) - 1 - length)) > 0)
			length += (size_t)more;
		said[length] = 0;
		close(ends[0]);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %x: %s",
			      status, said);
		ck_assert_msg(strstr(said, "peal: ") && strstr(said, verbs[_i]) &&
				      strstr(said, "thread"),
			      "%s", said);
	}
END_TEST

static void *exchange(void *data)
{
	struct peal_link *link = data;

	for (int i = 0; i < 1000; i++) {
		if (peal_send(peal_link_tx(link), buffer, 8, 0, LONG) ||
		    peal_recv(peal_link_rx(link), (char[8]){ 0 }, 8, NULL, LONG) != 8)
			return "a message did not pass";
	}
	return NULL;
}

START_TEST(a_thread_at_each_end_is_as_it_should_be)
	{
		pthread_t threads[2];
		void *went_wrong;

		pair_open(links, PEAL_WAIT_ADAPTIVE, 0);
		for (int i = 0; i < 2; i++)
			pthread_create(&threads[i], NULL, exchange, links[i]);
		for (int i = 0; i < 2; i++) {
			pthread_join(threads[i], &went_wrong);
			ck_assert_msg(!went_wrong, "%s", (const char *)went_wrong);
		}
		pair_close(links);
	}
END_TEST

static void *send_one(void *link)
{
	return peal_send(peal_link_tx(link), "", 0, 0, LONG) ? "not sent" : NULL;
}

START_TEST(an_end_may_go_from_one_thread_to_another)
	{
		pthread_t thread;
		void *went_wrong;

		pair_open(links, PEAL_WAIT_ADAPTIVE, 0);
		for (int i = 0; i < 10; i++) {
			pthread_create(&thread, NULL, send_one, links[0]);
			pthread_join(thread, &went_wrong);
			ck_assert_ptr_null(went_wrong);
			ck_assert_ptr_null(send_one(links[0]));
		}
		pair_close(links);
	}
END_TEST

START_TEST(an_end_is_free_again_after_an_error)
	{
		struct peal_message message;
		void *at;
		int err;

		pair_open(links, PEAL_WAIT_SLEEP, 0);
		ck_assert_int_eq(peal_peek(peal_link_rx(links[0]), &message, 0), -EAGAIN);
		ck_assert_int_eq(peal_commit(peal_link_tx(links[0]), 0, 0), -EINVAL);
		ck_assert_int_eq(peal_reserve(peal_link_tx(links[0]), 1 << 20, &at, 0), -EMSGSIZE);
		do
			err = peal_send(peal_link_tx(links[0]), buffer, sizeof(buffer), 0, 0);
		while (!err);
		ck_assert_int_eq(err, -EAGAIN);
		ck_assert_int_eq(peal_recv(peal_link_rx(links[1]), buffer, 1, NULL, 0), -ENOBUFS);
		peal_release(peal_link_rx(links[1]));
		for (int i = 0; i < 2; i++) {
			pthread_t thread;
			void *went_wrong;

			pthread_create(&thread, NULL, send_one, links[i]);
			pthread_join(thread, &went_wrong);
			ck_assert_ptr_null(went_wrong);
		}
		ck_assert_int_eq(peal_recv(peal_link_rx(links[0]), buffer, 1, NULL, 0), 0);
		pair_close(links);
	}
END_TEST

/* A page that nobody may read until it has been noted who is inside when that is tried. */
static uint8_t *page;
static volatile uint32_t inside;

static void note(int number)
{
	(void)number;
	inside = peal_link_tx(links[0])->owner;
	mprotect(page, stage_page(), PROT_READ);
}

START_TEST(a_payload_is_copied_under_guard)
	{
		struct sigaction action = { .sa_handler = note }, before;
		struct peal_message messages[2] = { { .data = "", .length = 0 } };
		struct iovec piece;

		page = mmap(NULL, stage_page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ck_assert(page != MAP_FAILED);
		messages[1] = (struct peal_message){ .data = page, .length = 100 };
		piece = (struct iovec){ .iov_base = page, .iov_len = 100 };
		pair_open(links, PEAL_WAIT_SLEEP, 0);
		sigaction(SIGSEGV, &action, &before);
		if (_i)
			ck_assert_int_eq(peal_sendv(peal_link_tx(links[0]), &piece, 1, 0, 0), 0);
		else
			ck_assert_int_eq(peal_send_batch(peal_link_tx(links[0]), messages, 2, 0),
					 2);
		sigaction(SIGSEGV, &before, NULL);
		ck_assert_uint_ne(inside, 0);
		ck_assert_uint_eq(peal_link_tx(links[0])->owner, 0);
		pair_close(links);
		munmap(page, stage_page());
	}
END_TEST

/* In a child, whose parent has a thread inside the end. */
static const char *try_ends(void *data)
{
	char byte;
	ssize_t sent = peal_send(peal_link_tx(links[0]), "", 0, 0, 0);
	ssize_t received = peal_recv(peal_link_rx(links[0]), &byte, 1, NULL, 0);

	(void)data;
	if (sent != -ESTALE || received != -ESTALE)
		return wrong("send gives %zd and recv %zd", sent, received);
	return NULL;
}

START_TEST(a_thread_that_was_inside_is_not_in_the_child_of_a_fork)
	{
		pthread_t thread;

		pair_open(links, PEAL_WAIT_SLEEP, 0);
		threads_begin(1);
		pthread_create(&thread, NULL, _i ? send_for_ever : receive_for_ever, links[0]);
		wait_asleep(links[0], _i);
		child_run(try_ends, NULL);
		peal_close(links[1]);
		pthread_join(thread, NULL);
		peal_close(links[0]);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("debug");
	TCase *all = tcase_create("threads");

	tcase_set_timeout(all, 30);
	tcase_add_loop_test(all, two_threads_in_one_end_are_caught_and_told, 0, VERBS);
	if (VERBS > 7)
		tcase_add_loop_test(all, a_payload_is_copied_under_guard, 0, 2);
	tcase_add_test(all, a_thread_at_each_end_is_as_it_should_be);
	tcase_add_test(all, an_end_may_go_from_one_thread_to_another);
	tcase_add_test(all, an_end_is_free_again_after_an_error);
	tcase_add_loop_test(all, a_thread_that_was_inside_is_not_in_the_child_of_a_fork, 0, 2);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
