/*
 * SPDX-License-Identifier: MIT
 *
 * Waiting while the system disturbs it, white-box: signals, system calls that a filter takes away
 * after the link was made, and CPUs that are taken away. Nobody but the peer is to be
 * blamed for what the peer did, and no message is missed.
 */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

#include "lib/link.h"
#include "tests/filter.h"
#include "tests/unit/stage.h"

#define SIGNALS 2500u /* more than the bells without news that end a link */

/* A thread that waits for one message, forbidden a system call once the link is there. */
struct sleeper {
	struct peal_link *link;
	long forbidden; /* a system call; 0: none */
	int errno_then;
	bool by_loop;    /* by peal_link_arm and its descriptor */
	bool unfiltered; /* it could not be forbidden */
	int64_t result;
	char sentence[512];
	uint32_t before; /* what its asleep word was */
	bool over;       /* atomic */
	pthread_t thread;
};

/* For the calling thread only. */
static bool forbid(long call, int err)
{
	const struct filter filter = { .call = call, .err = err };

	return filter_install(&filter);
}

static int64_t wait_by_loop(struct peal_link *link, void *buffer)
{
	int err, fd = peal_link_fd(link);
	int64_t length;

	for (;;) {
		length = peal_recv(peal_link_rx(link), buffer, 4, NULL, 0);
		if (length != -EAGAIN)
			return length;
		err = peal_link_arm(link, PEAL_DATA);
		if (err < 0)
			return err;
		if (!err)
			platform_poll(fd, false, -1);
	}
}

static void *wait_for_one(void *data)
{
	struct sleeper *sleeper = data;
	char buffer[4];

	if (sleeper->forbidden && !forbid(sleeper->forbidden, sleeper->errno_then))
		sleeper->unfiltered = true;
	sleeper->result = sleeper->by_loop ? wait_by_loop(sleeper->link, buffer) :
					     peal_recv(peal_link_rx(sleeper->link), buffer, 4, NULL,
						       PEAL_FOREVER);
	if (sleeper->result < 0)
		snprintf(sleeper->sentence, sizeof(sleeper->sentence), "%s", peal_error());
	__atomic_store_n(&sleeper->over, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool is_over(const struct sleeper *sleeper)
{
	return __atomic_load_n(&sleeper->over, __ATOMIC_ACQUIRE);
}

static uint32_t asleep_word(const struct sleeper *sleeper)
{
	return __atomic_load_n(&sleeper->link->page->rx_asleep, __ATOMIC_ACQUIRE);
}

static void sleeper_start(struct sleeper *sleeper)
{
	sleeper->over = false;
	sleeper->before = asleep_word(sleeper);
	if (pthread_create(&sleeper->thread, NULL, wait_for_one, sleeper))
		ck_abort_msg("no thread");
}

/* Until it says that it sleeps; by descriptor, if that is what is wanted. */
static void until_asleep(const struct sleeper *sleeper, uint32_t how)
{
	uint32_t all = PEAL_ASLEEP | how, word;

	do {
		sched_yield();
		word = asleep_word(sleeper);
	} while (!is_over(sleeper) && (word == sleeper->before || (word & all) != all));
}

static void sleeper_end(struct sleeper *sleeper)
{
	ck_assert_int_eq(pthread_join(sleeper->thread, NULL), 0);
	ck_assert_msg(sleeper->result == 1, "%lld: %s", (long long)sleeper->result,
		      sleeper->sentence);
}

static void send_one(struct peal_link *link)
{
	if (peal_send(peal_link_tx(link), "x", 1, 0, 0))
		ck_abort_msg("no room: %s", peal_error());
}

/*
 * Signals.
 */

static unsigned heard;

static void hear(int signal)
{
	(void)signal;
	__atomic_fetch_add(&heard, 1, __ATOMIC_RELAXED);
}

/* Until so many were delivered. ThreadSanitizer keeps one back until the thread calls something. */
static void disturb(const struct sleeper *sleeper)
{
	unsigned last = __atomic_load_n(&heard, __ATOMIC_RELAXED) + SIGNALS;

	while (!is_over(sleeper) && __atomic_load_n(&heard, __ATOMIC_RELAXED) < last) {
		pthread_kill(sleeper->thread, SIGUSR1);
		sched_yield();
	}
}

enum { BY_SOCKET, BY_EVENTFD, BY_FUTEX, WAYS };

START_TEST(signals_do_not_end_a_wait)
	{
		struct sigaction action = { .sa_handler = hear }, before;
		struct sleeper sleeper = { .forbidden = 0 };
		struct peal_link *links[2], *peer;
		struct meeting meeting;

		sigaction(SIGUSR1, &action, &before);
		if (_i == BY_FUTEX) {
			pair_open(links, PEAL_WAIT_ADAPTIVE, 0);
			sleeper.link = links[0];
			peer = links[1];
		} else {
			/* By default clients are rung by the socket, and servers by an eventfd. */
			meeting_open(&meeting, NULL, NULL);
			sleeper.link = _i == BY_SOCKET ? meeting.client : meeting.server;
			peer = _i == BY_SOCKET ? meeting.server : meeting.client;
			ck_assert_int_eq(sleeper.link->own_eventfd >= 0, _i == BY_EVENTFD);
		}
		sleeper_start(&sleeper);
		until_asleep(&sleeper, 0);
		if (_i != BY_FUTEX) {
			disturb(&sleeper);
			until_asleep(&sleeper, PEAL_ASLEEP_DESCRIPTOR);
		}
		disturb(&sleeper);
		ck_assert_msg(!is_over(&sleeper), "%lld: %s", (long long)sleeper.result,
			      sleeper.sentence);
		ck_assert_uint_eq(sleeper.link->slot->rx.idle_rings, 0);
		send_one(peer);
		sleeper_end(&sleeper);
		if (_i == BY_FUTEX)
			pair_close(links);
		else
			meeting_close(&meeting);
		sigaction(SIGUSR1, &before, NULL);
	}
END_TEST

static void *sleep_a_little(void *over)
{
	uint64_t begun = platform_now();
	bool whole;

	platform_sleep(50 * MS);
	whole = platform_now() - begun >= 50 * MS;
	__atomic_store_n((bool *)over, true, __ATOMIC_RELEASE);
	return whole ? over : NULL;
}

START_TEST(a_pause_is_whole_whatever_signals_come)
	{
		struct sigaction action = { .sa_handler = hear }, before;
		bool over = false;
		void *whole;
		pthread_t thread;

		sigaction(SIGUSR1, &action, &before);
		ck_assert_int_eq(pthread_create(&thread, NULL, sleep_a_little, &over), 0);
		while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
			pthread_kill(thread, SIGUSR1);
			sched_yield();
		}
		ck_assert_int_eq(pthread_join(thread, &whole), 0);
		ck_assert_ptr_nonnull(whole);
		sigaction(SIGUSR1, &before, NULL);
	}
END_TEST

/*
 * Filters.
 */

static const int futex_errors[] = { EPERM, ENOSYS };

START_TEST(a_futex_that_is_taken_away_is_not_the_peers_fault)
	{
		struct sleeper sleeper = { .forbidden = SYS_futex,
					   .errno_then = futex_errors[_i & 1] };
		struct peal_link *links[2], *peer;
		struct meeting meeting;

#ifndef __GLIBC__
		skip("this C library ends no thread that has no futex");
		return;
#endif
		if (_i & 2) {
			pair_open(links, PEAL_WAIT_SLEEP, 0);
			sleeper.link = links[0];
			peer = links[1];
		} else {
			meeting_open(&meeting, NULL, NULL);
			sleeper.link = meeting.client;
			peer = meeting.server;
		}
		sleeper_start(&sleeper);
		/* Past all that would have been bells without news; nothing else shows it. */
		for (uint64_t end = platform_now() + 100 * MS; platform_now() < end;)
			sched_yield();
		ck_assert_msg(!is_over(&sleeper), "%lld: %s", (long long)sleeper.result,
			      sleeper.sentence);
		send_one(peer);
		sleeper_end(&sleeper);
		if (sleeper.unfiltered)
			skip("no filter can be had here");
		if (_i & 2)
			pair_close(links);
		else
			meeting_close(&meeting);
	}
END_TEST

START_TEST(a_membarrier_that_is_taken_away_is_done_without)
	{
		struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 0);
		struct meeting meeting;
		struct sleeper sleeper = { .by_loop = _i };

		options.barrier = PEAL_BARRIER_ASYMMETRIC;
		meeting_open(&meeting, &options, &options);
		sleeper.link = meeting.server;
		if (!sleeper.link->data.asymmetric) {
			meeting_close(&meeting);
			skip("no membarrier can be had here");
			return;
		}
		for (int i = 0; i < 4; i++) {
			/* It is forbidden from the third wait on. */
			sleeper.forbidden = i == 2 ? SYS_membarrier : 0;
			sleeper.errno_then = EPERM;
			sleeper_start(&sleeper);
			until_asleep(&sleeper, 0);
			send_one(meeting.client);
			sleeper_end(&sleeper);
			if (sleeper.unfiltered)
				break;
			/* Loops have fences from the first. */
			ck_assert_int_eq(sleeper.link->data.asymmetric, !_i && i < 2);
			ck_assert_uint_eq(sleeper.link->page->rx_asleep & PEAL_ASLEEP_FENCE,
					  !_i && i < 2 ? 0 : PEAL_ASLEEP_FENCE);
		}
		meeting_close(&meeting);
		if (sleeper.unfiltered)
			skip("no filter can be had here");
	}
END_TEST

/* A thread that sends without memory for a ring. */
static void *send_without_memory(void *link)
{
	bool filtered = forbid(SYS_sendto, ENOBUFS);

	send_one(link);
	return filtered ? link : NULL;
}

START_TEST(a_bell_that_had_no_memory_is_rung_by_the_next_message)
	{
		struct meeting meeting;
		struct sleeper sleeper = { .by_loop = true };
		pthread_t thread;
		void *filtered;
		char byte;

		meeting_open(&meeting, NULL, NULL);
		sleeper.link = meeting.client; /* rung by the socket */
		sleeper_start(&sleeper);
		until_asleep(&sleeper, PEAL_ASLEEP_DESCRIPTOR);
		ck_assert_int_eq(pthread_create(&thread, NULL, send_without_memory, meeting.server),
				 0);
		ck_assert_int_eq(pthread_join(thread, &filtered), 0);
		send_one(meeting.server);
		sleeper_end(&sleeper);
		ck_assert_int_eq(peal_recv(peal_link_rx(meeting.client), &byte, 1, NULL, 0), 1);
		meeting_close(&meeting);
		if (!filtered)
			skip("no filter can be had here");
	}
END_TEST

/* A thread without epoll. */
static void *poll_without_epoll(void *data)
{
	struct peal_link *link = data;
	struct peal_set *set;

	if (!forbid(SYS_epoll_create1, ENOSYS))
		return NULL;
	ck_assert_int_eq(peal_set_create(&set), -ENOSYS);
	ck_assert_ptr_nonnull(strstr(peal_error(), "(seccomp)"));
	ck_assert_int_eq(peal_link_fd(link), -ENOSYS);
	ck_assert_ptr_nonnull(strstr(peal_error(), "(seccomp)"));
	return data;
}

START_TEST(who_may_not_poll_is_told_what_to_allow)
	{
		struct meeting meeting;
		pthread_t thread;
		void *filtered;

		meeting_open(&meeting, NULL, NULL);
		/* It is rung by an eventfd, which takes an epoll. */
		ck_assert_int_eq(pthread_create(&thread, NULL, poll_without_epoll, meeting.server),
				 0);
		ck_assert_int_eq(pthread_join(thread, &filtered), 0);
		meeting_close(&meeting);
		if (!filtered)
			skip("no filter can be had here");
	}
END_TEST

/*
 * CPUs.
 */

static bool stay_here(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	return !sched_setaffinity(0, sizeof(one), &one);
}

START_TEST(a_process_that_has_one_cpu_does_not_spin)
	{
		if (stay_here())
			ck_assert_uint_eq(peal_runtime_spin_ns(), 0);
		else
			skip("the CPUs of a thread cannot be chosen here");
	}
END_TEST

static void *spin_on_one_cpu(void *spin_ns)
{
	struct peal_link *links[2];

	if (!stay_here())
		return NULL;
	pair_open(links, PEAL_WAIT_ADAPTIVE, 0);
	*(uint64_t *)spin_ns = links[0]->data.spin_ns;
	pair_close(links);
	return spin_ns;
}

/* Its peer will have another one; where not, spinning in vain is unlearnt. */
START_TEST(a_thread_that_is_pinned_spins_as_before)
	{
		uint64_t spin_ns, before = peal_runtime_spin_ns();
		pthread_t thread;
		void *set;

		ck_assert_int_eq(pthread_create(&thread, NULL, spin_on_one_cpu, &spin_ns), 0);
		ck_assert_int_eq(pthread_join(thread, &set), 0);
		if (!set)
			skip("the CPUs of a thread cannot be chosen here");
		else
			ck_assert_uint_eq(spin_ns, before);
	}
END_TEST

static Suite *disturbed(void)
{
	Suite *suite = suite_create("disturbed");
	TCase *signals = tcase_create("signals"), *filters = tcase_create("filters");
	TCase *cpus = tcase_create("cpus");

	tcase_set_timeout(signals, 60);
	tcase_add_loop_test(signals, signals_do_not_end_a_wait, 0, WAYS);
	tcase_add_test(signals, a_pause_is_whole_whatever_signals_come);
	suite_add_tcase(suite, signals);
	tcase_set_timeout(filters, 60);
	tcase_add_loop_test(filters, a_futex_that_is_taken_away_is_not_the_peers_fault, 0, 4);
	tcase_add_loop_test(filters, a_membarrier_that_is_taken_away_is_done_without, 0, 2);
	tcase_add_test(filters, a_bell_that_had_no_memory_is_rung_by_the_next_message);
	tcase_add_test(filters, who_may_not_poll_is_told_what_to_allow);
	suite_add_tcase(suite, filters);
	tcase_add_test(cpus, a_process_that_has_one_cpu_does_not_spin);
	tcase_add_test(cpus, a_thread_that_is_pinned_spins_as_before);
	suite_add_tcase(suite, cpus);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { disturbed, NULL };

	return runner_main(suites);
}
