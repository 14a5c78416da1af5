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
/* Of them the ends by which the others are woken, by a thread that waits for no set: in none. */
#define ONE_CLIENT 777
#define ONE_SERVER 333
#define LINKS 2
#define WAITERS (2 * LINKS + 2)

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

/* None of them wakes up for so long, once all have settled. */
static void expect_quiet(struct waiter *waiters, int count)
{
	struct timespec second = { .tv_sec = 1 };
	long settled[WAITERS];
	bool moved;

	for (int i = 0; i < count; i++)
		settled[i] = switches(&waiters[i]);
	/* Until the counts have stood still for a second. */
	do {
		moved = false;
		nanosleep(&second, NULL);
		for (int i = 0; i < count; i++) {
			long now = switches(&waiters[i]);

			moved |= now != settled[i];
			settled[i] = now;
		}
	} while (moved);
	for (int i = 0; i < QUIET_SECONDS; i++)
		nanosleep(&second, NULL);
	for (int i = 0; i < count; i++)
		ck_assert_msg(switches(&waiters[i]) == settled[i], "waiter %d was woken", i);
}

/* A server's set of many links, and a client's of their other ends. */
struct crowd {
	struct folder folder;
	struct peal_listener *listener;
	struct peal_set *sets[2];
	struct peal_link *servers[MANY], *clients[MANY];
};

static bool descriptors_suffice(void)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max >= 4 * MANY + 100 && !setrlimit(RLIMIT_NOFILE, &limit))
		return true;
	skip("a thousand links need %d descriptors", 4 * MANY + 100);
	return false;
}

static void crowd_open(struct crowd *crowd)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);

	folder_make(&crowd->folder);
	ck_assert_int_eq(peal_listen(&crowd->listener, crowd->folder.path, &options), 0);
	ck_assert_int_eq(peal_set_create(&crowd->sets[0]), 0);
	ck_assert_int_eq(peal_set_create(&crowd->sets[1]), 0);
	for (int i = 0; i < MANY; i++) {
		struct peal_link **server = &crowd->servers[i], **client = &crowd->clients[i];
		struct caller caller;

		caller_start(&caller, crowd->folder.path, &options, LONG);
		ck_assert_int_eq(peal_accept(crowd->listener, server, LONG), 0);
		caller_end(&caller);
		ck_assert_msg(!caller.err, "%s", caller.sentence);
		*client = caller.link;
		if (i != ONE_SERVER)
			ck_assert_int_eq(peal_set_add(crowd->sets[0], *server, server), 0);
		if (i != ONE_CLIENT)
			ck_assert_int_eq(peal_set_add(crowd->sets[1], *client, client), 0);
	}
}

static void crowd_close(struct crowd *crowd)
{
	peal_set_free(crowd->sets[0]);
	peal_set_free(crowd->sets[1]);
	for (int i = 0; i < MANY; i++) {
		peal_close(crowd->clients[i]);
		peal_close(crowd->servers[i]);
	}
	peal_listener_close(crowd->listener);
	folder_remove(&crowd->folder);
}

static void poke(struct peal_link *link)
{
	ck_assert_int_eq(peal_send(peal_link_tx(link), "x", 1, 0, 0), 0);
}

/* All at once: it is the waiting that takes time. */
START_TEST(idle_links_and_idle_sets_of_a_thousand_wake_neither_side)
	{
		static const uint32_t waits[LINKS] = { PEAL_WAIT_ADAPTIVE, PEAL_WAIT_SLEEP };
		static struct crowd crowd;
		struct waiter waiters[WAITERS];
		struct meeting meetings[LINKS];
		bool crowded = descriptors_suffice();
		int count = 0;

		for (int i = 0; i < LINKS; i++) {
			struct peal_options options = stage_options(waits[i], 0);

			meeting_open(&meetings[i], &options, &options);
			waiter_start(&waiters[count++], meetings[i].server, NULL);
			waiter_start(&waiters[count++], meetings[i].client, NULL);
		}
		if (crowded) {
			crowd_open(&crowd);
			waiter_start(&waiters[count++], NULL, crowd.sets[0]);
			waiter_start(&waiters[count++], NULL, crowd.sets[1]);
		}
		expect_quiet(waiters, count);
		/* And all are there at once when they are wanted. */
		for (int i = 0; i < LINKS; i++) {
			poke(meetings[i].client);
			poke(meetings[i].server);
		}
		if (crowded) {
			poke(crowd.clients[ONE_CLIENT]);
			poke(crowd.servers[ONE_SERVER]);
		}
		for (int i = 0; i < count; i++) {
			ck_assert_int_eq(pthread_join(waiters[i].thread, NULL), 0);
			ck_assert_int_eq(waiters[i].result, 1);
		}
		if (crowded) {
			ck_assert_ptr_eq(peal_set_next(crowd.sets[0], NULL),
					 crowd.servers[ONE_CLIENT]);
			ck_assert_ptr_eq(peal_set_next(crowd.sets[1], NULL),
					 crowd.clients[ONE_SERVER]);
			crowd_close(&crowd);
		}
		for (int i = 0; i < LINKS; i++)
			meeting_close(&meetings[i]);
	}
END_TEST

static Suite *idle(void)
{
	Suite *suite = suite_create("idle");
	TCase *tcase = tcase_create("idle");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, idle_links_and_idle_sets_of_a_thousand_wake_neither_side);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { idle, NULL };

	return runner_main(suites);
}
