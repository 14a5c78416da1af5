/*
 * SPDX-License-Identifier: MIT
 *
 * Forks in every state, and with every end that a child can come to: in all of them the parent and
 * its peers go on as if there had been none.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/limits/states.h"

/*
 * What becomes of a child.
 */

static char *const nothing[] = { "true", NULL };
static int ends[2]; /* of a pipe: it closes when a child that lives on is to end */

static int look(void)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	struct peal_message message;
	struct peal_link *own[2];

	if (peal_send(peal_link_tx(meeting.client), "", 0, 0, PEAL_FOREVER) != -ESTALE ||
	    peal_peek(peal_link_rx(meeting.server), &message, PEAL_FOREVER) != -ESTALE ||
	    peal_accept(meeting.listener, own, PEAL_FOREVER) != -ESTALE)
		return 2;
	if (peal_pair(own, &options) || peal_send(peal_link_tx(own[0]), "own", 3, 0, 0) ||
	    peal_peek(peal_link_rx(own[1]), &message, 0))
		return 3;
	peal_close(own[0]);
	peal_close(own[1]);
	return 0;
}

static void end_at_once(void)
{
	_exit(0);
}

static void end_after_a_look(void)
{
	_exit(look());
}

static void end_in_order(void)
{
	int result = look();

	/* A leak checker has much to say of what is the parent's. */
	if (runner_burdened())
		_exit(result);
	exit(result);
}

static void end_as_another(void)
{
	execvp("true", nothing);
	_exit(127);
}

/* With all that it cannot use closed, as a careful program does. */
static void live_on(void)
{
	char byte;

	close(ends[1]);
	peal_close(meeting.client);
	peal_listener_close(meeting.listener);
	while (read(ends[0], &byte, 1) < 0)
		;
	meeting.client = meeting.server;
	_exit(peal_send(peal_link_tx(meeting.client), "", 0, 0, 0) == -ESTALE ? 0 : 4);
}

static pid_t spawn(void)
{
	extern char **environ;
	pid_t child;

	return posix_spawnp(&child, "true", NULL, NULL, nothing, environ) ? -1 : child;
}

static pid_t fork_by_half(void)
{
	pid_t child = vfork();

	if (!child) {
		execvp("true", nothing);
		_exit(127);
	}
	return child;
}

static const struct end {
	const char *name;
	void (*run)(void);    /* in the child */
	pid_t (*start)(void); /* instead of fork */
} child_ends[] = {
	{ "ends at once", end_at_once, NULL },
	{ "looks and ends", end_after_a_look, NULL },
	{ "ends by exit", end_in_order, NULL },
	{ "execs", end_as_another, NULL },
	{ "lives on", live_on, NULL },
	{ "is spawned", NULL, spawn },
	{ "is made by vfork", NULL, fork_by_half },
};

static pid_t start(const struct end *end)
{
	pid_t child;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	if (end->start)
		return end->start();
	fflush(NULL);
	child = fork();
	if (!child)
		end->run();
	return child;
}

/* Closing may take a thread. */
static bool may_not_close(const struct end *end)
{
#ifdef PEAL_SANITIZER
	return strstr(PEAL_SANITIZER, "thread") && end->run && end->run != end_at_once &&
	       end->run != end_as_another;
#else
	(void)end;
	return false;
#endif
}

START_TEST(a_fork_changes_nothing_for_the_parent_whatever_it_is_at)
	{
		const struct end *end = &child_ends[_i];

		if (skip_emulated("forks beside threads"))
			return;
		if (may_not_close(end)) {
			skip("ThreadSanitizer ends who is forked beside threads and starts one");
			return;
		}
		for (size_t i = 0; i < STATES; i++) {
			int status;
			pid_t child;

			states[i].enter();
			child = start(end);
			ck_assert_int_gt(child, 0);
			close(ends[0]);
			if (end->run != live_on)
				ck_assert_int_eq(waitpid(child, &status, 0), child);
			states[i].leave();
			states[0].leave();
			close(ends[1]);
			if (end->run == live_on)
				ck_assert_int_eq(waitpid(child, &status, 0), child);
			ck_assert_msg(!status, "at %s, a child that %s: status 0x%x",
				      states[i].name, end->name, (unsigned)status);
		}
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("forking");
	TCase *all = tcase_create("forking");

	tcase_add_checked_fixture(all, states_set_up, states_tear_down);
	tcase_set_timeout(all, 60);
	tcase_add_loop_test(all, a_fork_changes_nothing_for_the_parent_whatever_it_is_at, 0,
			    sizeof(child_ends) / sizeof(child_ends[0]));
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
