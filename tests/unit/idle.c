/*
 * SPDX-License-Identifier: MIT
 *
 * Idle links cost nothing: threads that wait for a link or for a set of a thousand are not woken
 * once, on neither side, read from the kernel's count of their switches. Public headers only.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/stage.h"

#define QUIET_SECONDS (runner_burdened() ? 1 : 5)
#define MANY 1000

/* A thread that waits until there is something. */
struct waiter {
	struct peal_link *link; /* or */
	struct peal_set *set;
	int result;
	int tid; /* atomic */
	pthread_t thread;
};

static void *wait_for_it(void *data)
{
	struct waiter *waiter = data;
	char byte;

	__atomic_store_n(&waiter->tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
	if (waiter->set)
		waiter->result = peal_set_wait(waiter->set, PEAL_FOREVER);
	else
		waiter->result = (int)peal_recv(peal_link_rx(waiter->link), &byte, 1, NULL,
						PEAL_FOREVER);
	return NULL;
}

static void waiter_start(struct waiter *waiter, struct peal_link *link, struct peal_set *set)
{
	*waiter = (struct waiter){ .link = link, .set = set };
	ck_assert_int_eq(pthread_create(&waiter->thread, NULL, wait_for_it, waiter), 0);
}

static long switches(struct waiter *waiter)
{
	char path[64], line[128];
	long count = -1;
	int tid;
	FILE *file;

	while (!(tid = __atomic_load_n(&waiter->tid, __ATOMIC_ACQUIRE)))
		usleep(1000);
	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		sscanf(line, "voluntary_ctxt_switches: %ld", &count);
	fclose(file);
	ck_assert_int_ge(count, 0);
	return count;
}

/* Neither of the two wakes up for so long, once it has settled. */
static void expect_quiet(struct waiter *one, struct waiter *two)
{
	struct timespec second = { .tv_sec = 1 };
	long before[2], after[2];

	/* Until the counts have stood still for a second. */
	do {
		before[0] = switches(one);
		before[1] = switches(two);
		nanosleep(&second, NULL);
		after[0] = switches(one);
		after[1] = switches(two);
	} while (before[0] != after[0] || before[1] != after[1]);
	for (int i = 0; i < QUIET_SECONDS; i++)
		nanosleep(&second, NULL);
	ck_assert_int_eq(switches(one), after[0]);
	ck_assert_int_eq(switches(two), after[1]);
}

START_TEST(an_idle_link_wakes_neither_side)
	{
		struct peal_options options = stage_options((uint32_t)_i, 0);
		struct waiter server, client;
		struct meeting meeting;

		meeting_open(&meeting, &options, &options);
		waiter_start(&server, meeting.server, NULL);
		waiter_start(&client, meeting.client, NULL);
		expect_quiet(&server, &client);
		/* And both are there at once when they are wanted. */
		ck_assert_int_eq(peal_send(peal_link_tx(meeting.client), "x", 1, 0, 0), 0);
		ck_assert_int_eq(peal_send(peal_link_tx(meeting.server), "x", 1, 0, 0), 0);
		ck_assert_int_eq(pthread_join(server.thread, NULL), 0);
		ck_assert_int_eq(pthread_join(client.thread, NULL), 0);
		ck_assert_int_eq(server.result, 1);
		ck_assert_int_eq(client.result, 1);
		meeting_close(&meeting);
	}
END_TEST

START_TEST(an_idle_set_of_a_thousand_wakes_neither_side)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		static struct peal_link *servers[MANY], *clients[MANY];
		struct peal_set *sets[2];
		struct waiter server, client;
		struct peal_listener *listener;
		struct folder folder;
		struct rlimit limit;

		ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
		limit.rlim_cur = limit.rlim_max;
		if (limit.rlim_max < 4 * MANY || setrlimit(RLIMIT_NOFILE, &limit)) {
			skip("a thousand links need %d descriptors", 4 * MANY);
			return;
		}
		folder_make(&folder);
		ck_assert_int_eq(peal_listen(&listener, folder.path, &options), 0);
		ck_assert_int_eq(peal_set_create(&sets[0]), 0);
		ck_assert_int_eq(peal_set_create(&sets[1]), 0);
		for (int i = 0; i < MANY; i++) {
			struct caller caller;

			caller_start(&caller, folder.path, &options, LONG);
			ck_assert_int_eq(peal_accept(listener, &servers[i], LONG), 0);
			caller_end(&caller);
			ck_assert_msg(!caller.err, "%s", caller.sentence);
			clients[i] = caller.link;
			ck_assert_int_eq(peal_set_add(sets[0], servers[i], &servers[i]), 0);
			ck_assert_int_eq(peal_set_add(sets[1], clients[i], &clients[i]), 0);
		}
		waiter_start(&server, NULL, sets[0]);
		waiter_start(&client, NULL, sets[1]);
		expect_quiet(&server, &client);
		ck_assert_int_eq(peal_send(peal_link_tx(clients[777]), "x", 1, 0, 0), 0);
		ck_assert_int_eq(peal_send(peal_link_tx(servers[333]), "x", 1, 0, 0), 0);
		ck_assert_int_eq(pthread_join(server.thread, NULL), 0);
		ck_assert_int_eq(pthread_join(client.thread, NULL), 0);
		ck_assert_int_eq(server.result, 1);
		ck_assert_int_eq(client.result, 1);
		ck_assert_ptr_eq(peal_set_next(sets[0], NULL), servers[777]);
		ck_assert_ptr_eq(peal_set_next(sets[1], NULL), clients[333]);
		peal_set_free(sets[0]);
		peal_set_free(sets[1]);
		for (int i = 0; i < MANY; i++) {
			peal_close(clients[i]);
			peal_close(servers[i]);
		}
		peal_listener_close(listener);
		folder_remove(&folder);
	}
END_TEST

static Suite *idle(void)
{
	Suite *suite = suite_create("idle");
	TCase *tcase = tcase_create("idle");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, an_idle_set_of_a_thousand_wakes_neither_side);
	tcase_add_loop_test(tcase, an_idle_link_wakes_neither_side, PEAL_WAIT_ADAPTIVE,
			    PEAL_WAIT_ADAPTIVE + 1);
	tcase_add_loop_test(tcase, an_idle_link_wakes_neither_side, PEAL_WAIT_SLEEP,
			    PEAL_WAIT_SLEEP + 1);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { idle, NULL };

	return runner_main(suites);
}
