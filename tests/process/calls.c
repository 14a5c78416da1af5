/*
 * SPDX-License-Identifier: MIT
 *
 * System calls while both sides are awake: none, counted from outside with ptrace. Both sides note
 * every message in a journal; a call stops the one that makes it between two numbers in there. A
 * machine with other work takes a CPU away now and then, and then the other side is right to look
 * around or to sleep: so what is asked for is a stretch of 10000 messages without a call, at each
 * side.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/scene.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRETCH 10000
#define MESSAGES 200000 /* in one attempt */
#define RING 65536

/* A process that is traced, and what it has done. */
struct traced {
	struct peer *peer;
	const uint64_t *word; /* its number of messages */
	uint64_t last;        /* at which it made its last call */
	uint64_t longest;     /* stretch without one */
	uint64_t calls;       /* in the last attempt, between the first message and the last, */
	uint64_t number;      /* and the last of them */
	bool done;
};

static void trace(struct traced *traced)
{
	int status;

	ck_assert_int_eq(ptrace(PTRACE_SEIZE, traced->peer->pid, NULL, PTRACE_O_TRACESYSGOOD), 0);
	ck_assert_int_eq(ptrace(PTRACE_INTERRUPT, traced->peer->pid, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(traced->peer->pid, &status, __WALL), traced->peer->pid);
	ck_assert(WIFSTOPPED(status));
	ck_assert_int_eq(ptrace(PTRACE_SYSCALL, traced->peer->pid, NULL, NULL), 0);
}

static void count_call(struct traced *traced)
{
	struct __ptrace_syscall_info info = { .op = 0 };
	uint64_t now = journal_read(traced->word);

	ck_assert_int_gt(ptrace(PTRACE_GET_SYSCALL_INFO, traced->peer->pid, sizeof(info), &info),
			 0);
	if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	if (now && now - traced->last > traced->longest)
		traced->longest = now - traced->last;
	traced->last = now;
	if (now && now < MESSAGES) {
		traced->calls++;
		traced->number = info.entry.nr;
	}
	/* The first that it does after the last message is to say so. */
	traced->done = now == MESSAGES;
}

/* A traced process has stopped: counts the call if that is why, and lets it go on, or go. */
static void handle(struct traced *traced, int status)
{
	long signal = 0;

	ck_assert_msg(WIFSTOPPED(status), "a traced peer ended with status 0x%x", (unsigned)status);
	if (WSTOPSIG(status) == (SIGTRAP | 0x80))
		count_call(traced);
	else if (status >> 16 == 0)
		signal = WSTOPSIG(status);
	ck_assert_int_eq(ptrace(traced->done ? PTRACE_DETACH : PTRACE_SYSCALL, traced->peer->pid,
				NULL, signal),
			 0);
}

/* One attempt: both sides do their part, stopped at every call that they make. */
static void attempt(struct traced traced[2], struct journal *journal, const char *const verbs[2])
{
	memset(journal, 0, sizeof(*journal));
	for (unsigned i = 0; i < 2; i++) {
		traced[i].last = traced[i].calls = 0;
		traced[i].done = false;
		trace(&traced[i]);
		peer_tell(traced[i].peer, "%s %d", verbs[i], MESSAGES);
	}
	while (!traced[0].done || !traced[1].done) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL);

		ck_assert_int_gt(pid, 0);
		handle(&traced[pid == traced[1].peer->pid], status);
	}
	for (unsigned i = 0; i < 2; i++)
		ck_assert_msg(peer_hear(traced[i].peer, verbs[i]) == 0, "%s", traced[i].peer->text);
}

/* Why this cannot be done here, or NULL. */
static const char *obstacle(int cpus[2])
{
	int found = 0, err;
	struct peer peer;
	cpu_set_t set;

	if (runner_burdened())
		return "a sanitizer or an emulator makes system calls of its own";
	if (sched_getaffinity(0, sizeof(set), &set))
		return "which CPUs there are cannot be told";
	for (unsigned i = 0; i < CPU_SETSIZE && found < 2; i++)
		if (CPU_ISSET(i, &set))
			cpus[found++] = (int)i;
	if (found < 2)
		return "with one CPU two processes are not awake at once";
	peer_start(&peer);
	err = ptrace(PTRACE_SEIZE, peer.pid, NULL, NULL) ? errno : 0;
	peer_kill(&peer);
	return err ? "ptrace is not permitted" : NULL;
}

static void expect_no_calls(const char *wait, const char *first, const char *second)
{
	uint64_t end = scene_now() + (uint64_t)SCENE_PATIENCE;
	const char *const verbs[2] = { first, second };
	struct traced traced[2] = { { .peer = NULL } };
	struct journal *journal;
	struct peer peers[2];
	const char *why;
	int cpus[2];

	why = obstacle(cpus);
	if (why) {
		skip("%s", why);
		return;
	}
	journal = journal_open(scene_path("journal"));
	ck_assert_ptr_nonnull(journal);
	for (unsigned i = 0; i < 2; i++) {
		peer_start(&peers[i]);
		/* To be stopped takes longer than the usual patience before a sleep: they
			 * would put each other to sleep for as long as they are traced. */
		peer_tell(&peers[i], "cpu %d\njournal %s\nwait %s\nring %d\nspin 20000000", cpus[i],
			  scene_path("journal"), wait, RING);
		traced[i].peer = &peers[i];
		traced[i].word = i ? &journal->received : &journal->sent;
	}
	peer_tell(&peers[0], "listen %s", scene_path("server"));
	ck_assert_int_eq(peer_hear(&peers[0], "listen"), 0);
	peer_tell(&peers[1], "connect %s %" PRId64, scene_path("server"), SCENE_PATIENCE);
	peer_tell(&peers[0], "accept %" PRId64, SCENE_PATIENCE);
	ck_assert_int_eq(peer_hear(&peers[1], "connect"), 0);
	ck_assert_int_eq(peer_hear(&peers[0], "accept"), 0);
	while ((traced[0].longest < STRETCH || traced[1].longest < STRETCH) && scene_now() < end)
		attempt(traced, journal, verbs);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_msg(traced[i].longest >= STRETCH,
			      "%s: at most %" PRIu64
			      " messages without a system call; in the last %d "
			      "%" PRIu64 " calls, the last of them number %" PRIu64,
			      verbs[i], traced[i].longest, MESSAGES, traced[i].calls,
			      traced[i].number);
	peer_end(&peers[0]);
	peer_end(&peers[1]);
	journal_close(journal);
}

START_TEST(round_trips_enter_the_kernel_on_neither_side)
	{
		expect_no_calls(scene_waits[_i], "ping", "pong");
	}
END_TEST

START_TEST(a_stream_enters_the_kernel_on_neither_side)
	{
		expect_no_calls(scene_waits[_i], "pour", "drink");
	}
END_TEST

static Suite *calls(void)
{
	Suite *suite = suite_create("calls");
	TCase *tcase = scene_case("awake");

	tcase_add_loop_test(tcase, round_trips_enter_the_kernel_on_neither_side, PEAL_WAIT_ADAPTIVE,
			    PEAL_WAIT_SPIN + 1);
	tcase_add_loop_test(tcase, a_stream_enters_the_kernel_on_neither_side, PEAL_WAIT_ADAPTIVE,
			    PEAL_WAIT_SPIN + 1);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { calls, NULL };

	return runner_main(suites);
}
