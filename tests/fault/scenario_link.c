/*
 * SPDX-License-Identifier: MIT
 *
 * Both ends in this process: pairs, sets, long messages, forks, and the first use of the library.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fault/scenario.h"
#include "tests/fault/trap.h"

#define LONG_MESSAGE ((size_t)300000)

/*
 * Pairs, which is all that a first use needs.
 */

static void prepare_pair(struct act *act)
{
	act->options = stage_options(PEAL_WAIT_SLEEP, 0);
}

static void nothing(struct act *act)
{
	(void)act;
}

static int try_pair(struct act *act)
{
	struct peal_link *pair[2];
	int64_t got;
	char byte;
	int err = peal_pair(pair, &act->options);

	if (err)
		return err;
	err = peal_send(peal_link_tx(pair[0]), "x", 1, 0, 0);
	if (!err) {
		got = peal_recv(peal_link_rx(pair[1]), &byte, 1, NULL, LONG);
		err = got < 0 ? (int)got : 0;
	}
	if (!err) {
		got = peal_recv(peal_link_rx(pair[1]), &byte, 1, NULL, MS);
		err = got == -ETIMEDOUT ? 0 : got < 0 ? (int)got : -EBADMSG;
	}
	peal_close(pair[0]);
	peal_close(pair[1]);
	return err;
}

/*
 * Links, the other end of which is a thread that sends back what it gets.
 */

static void *send_back(void *data)
{
	struct act *act = data;
	static char buffer[LONG_MESSAGE];
	int64_t length;

	while ((length = peal_recv(peal_link_rx(act->far), buffer, sizeof(buffer), NULL, LONG)) >=
	       0)
		if (peal_send(peal_link_tx(act->far), buffer, (size_t)length, 0, LONG))
			break;
	peal_close(act->far);
	return NULL;
}

static void open_folder(struct act *act)
{
	act->options = stage_options(PEAL_WAIT_SLEEP, 64 << 10);
	act->options.max_message = 64 << 20;
}

static void link_both(struct act *act)
{
	struct meeting meeting;

	meeting_open(&meeting, &act->options, &act->options);
	act->link = meeting.client;
	act->far = meeting.server;
	peal_listener_close(meeting.listener);
	folder_remove(&meeting.folder);
}

static void link_echo(struct act *act)
{
	link_both(act);
	act_start(act, send_back);
}

static void unlink_echo(struct act *act)
{
	int err = act->spoilt ? 0 : act_talk(act->link, "y", 1, LONG);

	act->spoilt = false;
	if (err)
		act_wrong(act, "the link does not work any more: %d: %s", err, peal_error());
	peal_close(act->link);
	act_end(act);
}

static int try_long(struct act *act)
{
	static char message[LONG_MESSAGE];
	int err = act_talk(act->link, message, sizeof(message), LONG);

	/* Half of it may be under way in either direction. */
	act->spoilt = err;
	return err;
}

/*
 * Sets.
 */

static void unlink_both(struct act *act)
{
	char byte;

	if (peal_send(peal_link_tx(act->far), "y", 1, 0, 0) ||
	    peal_recv(peal_link_rx(act->link), &byte, 1, NULL, LONG) != 1)
		act_wrong(act, "the link does not work any more: %s", peal_error());
	peal_close(act->link);
	peal_close(act->far);
}

static void say_something(struct act *act)
{
	if (peal_send(peal_link_tx(act->far), "x", 1, 0, 0))
		act_wrong(act, "no room: %s", peal_error());
}

static void take_it_all_the_same(struct act *act)
{
	char byte;

	if (peal_recv(peal_link_rx(act->link), &byte, 1, NULL, LONG) != 1)
		act_wrong(act, "a message is lost: %s", peal_error());
}

/* Asleep, until somebody rings; then once more for nothing. */
static int use_set(struct act *act, struct peal_set *set)
{
	int64_t got;
	char byte;
	int err = peal_set_arm(set);

	if (err)
		return err < 0 ? err : -EBADMSG;
	act_turn(act, say_something);
	err = peal_set_wait(set, LONG);
	if (err < 0)
		return act_recover(act, err, take_it_all_the_same);
	if (peal_set_next(set, NULL) != act->link)
		act_wrong(act, "another link is ready than should be");
	got = peal_recv(peal_link_rx(act->link), &byte, 1, NULL, 0);
	if (got < 0)
		return (int)got;
	err = peal_set_want_room(set, act->link);
	if (!err)
		err = peal_set_wait(set, 2 * MS);
	return err == -ETIMEDOUT ? 0 : err > 0 ? 0 : err;
}

static int try_set(struct act *act)
{
	struct peal_set *set;
	int err = peal_set_create(&set);

	if (err)
		return err;
	err = peal_set_add(set, act->link, act);
	if (!err)
		err = use_set(act, set);
	if (!err)
		err = peal_set_remove(set, act->link);
	peal_set_free(set);
	return err;
}

/*
 * Rings by socket, for one who sleeps by descriptor.
 */

static void open_for_socket(struct act *act)
{
	open_folder(act);
	act->options.bell = PEAL_BELL_SOCKET;
}

static void link_and_sleep(struct act *act)
{
	link_both(act);
	if (peal_link_fd(act->far) < 0 || peal_link_arm(act->far, PEAL_DATA))
		ck_abort_msg("the other end is not armed: %s", peal_error());
}

static int try_ring(struct act *act)
{
	return peal_send(peal_link_tx(act->link), "x", 1, 0, LONG);
}

static void wake_up(struct act *act)
{
	struct pollfd look = { .fd = peal_link_fd(act->far), .events = POLLIN };
	char byte;

	if (poll(&look, 1, 10000) != 1)
		act_wrong(act, "a message was sent, and nobody rang");
	if (peal_recv(peal_link_rx(act->far), &byte, 1, NULL, 0) != 1)
		act_wrong(act, "a message is lost: %s", peal_error());
	unlink_both(act);
}

/*
 * Forks: whatever fails in the handlers, the child's ends are no use to it and the parent's
 * work.
 */

static int try_fork(struct act *act)
{
	int status, err = 0;
	pid_t child = fork();

	if (child < 0)
		return 0; /* not the library's */
	if (!child) {
		err = peal_send(peal_link_tx(act->link), "x", 1, 0, 0);
		_exit(err == -ESTALE && strstr(peal_error(), "fork") ? 0 : 1);
	}
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status))
		act_wrong(act, "the child is not told that its link is stale, status 0x%x",
			  (unsigned)status);
	return err;
}

const struct scenario link_scenarios[] = {
	{ .name = "pair", .open = prepare_pair, .close = nothing, .attempt = try_pair },
	{ .name = "first-use",
	  .open = prepare_pair,
	  .close = nothing,
	  .attempt = try_pair,
	  .fresh = true },
	{ .name = "long",
	  .open = open_folder,
	  .close = nothing,
	  .before = link_echo,
	  .attempt = try_long,
	  .after = unlink_echo },
	{ .name = "set",
	  .open = open_folder,
	  .close = nothing,
	  .before = link_both,
	  .attempt = try_set,
	  .after = unlink_both },
	{ .name = "ring",
	  .open = open_for_socket,
	  .close = nothing,
	  .before = link_and_sleep,
	  .attempt = try_ring,
	  .after = wake_up },
	{ .name = "fork",
	  .open = open_folder,
	  .close = nothing,
	  .before = link_both,
	  .attempt = try_fork,
	  .after = unlink_both },
	{ .name = "fork-child",
	  .open = open_folder,
	  .close = nothing,
	  .before = link_both,
	  .attempt = try_fork,
	  .after = unlink_both,
	  .others = true },
};
const unsigned link_scenario_count = sizeof(link_scenarios) / sizeof(link_scenarios[0]);
