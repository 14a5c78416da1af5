/*
 * SPDX-License-Identifier: MIT
 *
 * The client's side of links, with a server whose calls do not fail.
 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/fault/scenario.h"
#include "tests/fault/trap.h"

#define HANDSHAKE (500 * MS)

/* Answers with what it was asked; whoever says "q" is disconnected then. */
static void echo(void *data, struct peal_request *request)
{
	(void)data;
	peal_reply(request, request->data, request->length, 0);
	if (request->length == 1 && !memcmp(request->data, "q", 1))
		peal_server_drop(request->server, request->token);
}

static void *serve(void *data)
{
	struct act *act = data;
	int err = peal_server_run(act->server);

	if (err)
		act_wrong(act, "the server's loop ended with %d: %s", err, peal_error());
	return NULL;
}

static void open_server(struct act *act)
{
	struct peal_server_options options;
	struct peal_options link;
	int err;

	peal_options_init(&link);
	link.handshake_ns = HANDSHAKE;
	link.max_peer_ring = 4 << 20;
	peal_server_options_init(&options);
	options.link = &link;
	options.ready = UINT32_MAX;
	options.handlers.message = echo;
	folder_make(&act->folder);
	err = peal_server_open(&act->server, act->folder.path, &options);
	if (err)
		ck_abort_msg("peal_server_open: %s", peal_error());
	act_start(act, serve);
	act->options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
}

static void close_server(struct act *act)
{
	peal_server_stop(act->server);
	act_end(act);
	peal_server_close(act->server);
	folder_remove(&act->folder);
}

/*
 * Connecting, all that there is.
 */

static int try_connect(struct act *act)
{
	struct peal_link *link;
	int err = peal_connect(&link, act->folder.path, &act->options, LONG);

	if (err)
		return err;
	err = act_talk(link, "x", 1, LONG);
	peal_close(link);
	return err;
}

static void open_for_sleepers(struct act *act)
{
	open_server(act);
	act->options = stage_options(PEAL_WAIT_SLEEP, 0);
	act->options.bell = PEAL_BELL_EVENTFD;
	act->options.barrier = PEAL_BARRIER_ASYMMETRIC;
	act->options.max_message = 1 << 20;
	act->options.sample = 1;
}

static void open_for_memory(struct act *act)
{
	open_server(act);
	act->options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	act->options.flags = PEAL_PREFAULT;
	if (platform_lock_limit() >= 1 << 20)
		act->options.flags |= PEAL_LOCK;
	act->options.node = 1;
}

static void open_for_huge(struct act *act)
{
	open_server(act);
	act->options = stage_options(PEAL_WAIT_ADAPTIVE, 2 << 20);
	act->options.huge = PEAL_HUGE_TRY;
}

/* As the user whose number those without one are shown by as well: who that is takes reading. Of
 * anyone but root's tests it is who they are run by. */
static void open_as_nobody(struct act *act)
{
	const unsigned nobody = 65534;

	if (!geteuid() && !setgroups(0, NULL) && !setresgid(nobody, nobody, nobody) &&
	    !setresuid(nobody, nobody, nobody))
		prctl(PR_SET_DUMPABLE, 1); /* else /proc is root's */
	open_server(act);
}

static int try_told_connect(struct act *act)
{
	struct peal_memory memory = { .size = sizeof(memory) };
	struct peal_link *link;
	int err = peal_connect(&link, act->folder.path, &act->options, LONG);

	if (err)
		return err;
	/* All that is mapped is read for that. */
	if (act->options.node || runner_long())
		err = peal_link_memory(link, &memory);
	if (!err)
		err = act_talk(link, "x", 1, LONG);
	peal_close(link);
	return err;
}

/*
 * What is done with a link that is there, and is to work again afterwards.
 */

static void connect_first(struct act *act)
{
	int err = peal_connect(&act->link, act->folder.path, &act->options, LONG);

	if (err)
		ck_abort_msg("peal_connect: %d: %s", err, peal_error());
}

static void talk_and_close(struct act *act)
{
	int err = act_talk(act->link, "y", 1, LONG);

	if (err)
		act_wrong(act, "the link does not work any more: %d: %s", err, peal_error());
	peal_close(act->link);
}

/* What was asked is answered, if it was asked. */
static void take_answer(struct act *act)
{
	char answer[8];

	peal_recv(peal_link_rx(act->link), answer, sizeof(answer), NULL, 20 * MS);
}

static int try_verbs(struct act *act)
{
	int err = act_talk(act->link, "x", 1, LONG);

	return err ? act_recover(act, err, take_answer) : 0;
}

/* From futex to descriptor is 10 ms. */
static int try_waiting(struct act *act)
{
	char answer[8];
	int64_t length = peal_recv(peal_link_rx(act->link), answer, sizeof(answer), NULL, 11 * MS);

	return length == -ETIMEDOUT ? 0 : (int)length;
}

static int try_loop(struct act *act)
{
	char answer[8];
	int fd = peal_link_fd(act->link), err;
	int64_t length;

	if (fd < 0)
		return fd;
	err = peal_send(peal_link_tx(act->link), "x", 1, 0, 0);
	while (!err) {
		struct pollfd look = { .fd = fd, .events = POLLIN };

		length = peal_recv(peal_link_rx(act->link), answer, sizeof(answer), NULL, 0);
		if (length != -EAGAIN)
			return length < 0 ? (int)length : 0;
		err = peal_link_arm(act->link, PEAL_DATA);
		if (err < 0)
			break;
		trap_pause();
		if (!err && poll(&look, 1, 10000) != 1)
			act_wrong(act, "armed, and nobody rang");
		trap_resume();
		err = 0;
	}
	return act_recover(act, err, take_answer);
}

static int try_close(struct act *act)
{
	peal_close(act->link);
	return 0;
}

/*
 * Clients that outlive their server.
 */

static void open_for_client(struct act *act)
{
	open_server(act);
	act->options.max_message = 1 << 20;
}

static int call(struct peal_client *client, const char *what)
{
	struct peal_answer answer;
	int err = peal_client_call(client, what, 1, PEAL_IDEMPOTENT, &answer, LONG);

	if (err || answer.verdict == PEAL_REPLY)
		return err;
	return answer.err ? answer.err : -EIO;
}

static void changed(void *data, int err)
{
	(void)data;
	(void)err;
}

static int open_client(struct act *act, struct peal_client **client)
{
	struct peal_client_options options;

	peal_client_options_init(&options);
	options.link = &act->options;
	options.least_ns = MS / 10;
	options.most_ns = MS;
	options.calls = 4;
	options.changed = changed;
	return peal_client_open(client, act->folder.path, &options);
}

/* The same client goes on. */
static void call_again(struct act *act)
{
	if (call(act->client, "x"))
		act_wrong(act, "the client does not work any more: %s", peal_error());
}

static int try_client(struct act *act)
{
	int err = open_client(act, &act->client);

	if (err)
		return err;
	err = call(act->client, "x");
	if (!err)
		err = call(act->client, "q"); /* and the server closes */
	if (!err)
		err = call(act->client, "x"); /* so this connects again */
	if (err)
		act_recover(act, err, call_again);
	peal_client_close(act->client);
	return err;
}

static int try_client_loop(struct act *act)
{
	struct peal_client *client;
	struct peal_answer answer;
	struct pollfd look = { .events = POLLIN };
	int err = open_client(act, &client);

	if (err)
		return err;
	look.fd = err = peal_client_fd(client);
	if (err >= 0)
		err = peal_client_begin(client, "x", 1, 0, LONG, NULL, NULL);
	while (!err && (err = peal_client_next(client, &answer, 0)) == -EAGAIN) {
		trap_pause();
		if (poll(&look, 1, 10000) != 1)
			act_wrong(act, "a call is under way, and nobody rang");
		trap_resume();
		err = 0;
		if (act->wrong[0])
			break;
	}
	if (!err && answer.verdict != PEAL_REPLY)
		err = answer.err;
	peal_client_close(client);
	return err;
}

/*
 * Monitors.
 */

static int try_monitor(struct act *act)
{
	struct peal_monitored about = { .size = sizeof(about) };
	struct peal_monitor *monitor;
	int err = peal_monitor_open(&monitor, act->folder.path, LONG);

	if (err)
		return err;
	err = peal_monitor_refresh(monitor, LONG);
	if (!err && peal_monitor_read(monitor, &about, NULL, 0) < 1)
		act_wrong(act, "no link is told of");
	peal_monitor_close(monitor);
	return err;
}

static void close_link(struct act *act)
{
	peal_close(act->link);
}

const struct scenario client_scenarios[] = {
	{ .name = "connect", .open = open_server, .close = close_server, .attempt = try_connect },
	{ .name = "connect-nobody",
	  .open = open_as_nobody,
	  .close = close_server,
	  .attempt = try_connect,
	  .every = true },
	{ .name = "connect-asleep",
	  .open = open_for_sleepers,
	  .close = close_server,
	  .attempt = try_connect },
	{ .name = "connect-locked",
	  .open = open_for_memory,
	  .close = close_server,
	  .attempt = try_told_connect },
	{ .name = "connect-huge",
	  .open = open_for_huge,
	  .close = close_server,
	  .attempt = try_told_connect },
	{ .name = "verbs",
	  .open = open_for_sleepers,
	  .close = close_server,
	  .before = connect_first,
	  .attempt = try_verbs,
	  .after = talk_and_close },
	{ .name = "waiting",
	  .open = open_for_sleepers,
	  .close = close_server,
	  .before = connect_first,
	  .attempt = try_waiting,
	  .after = talk_and_close },
	{ .name = "loop",
	  .open = open_server,
	  .close = close_server,
	  .before = connect_first,
	  .attempt = try_loop,
	  .after = talk_and_close },
	{ .name = "close",
	  .open = open_server,
	  .close = close_server,
	  .before = connect_first,
	  .attempt = try_close },
	{ .name = "client", .open = open_for_client, .close = close_server, .attempt = try_client },
	{ .name = "client-loop",
	  .open = open_for_client,
	  .close = close_server,
	  .attempt = try_client_loop },
	{ .name = "monitor",
	  .open = open_server,
	  .close = close_server,
	  .before = connect_first,
	  .attempt = try_monitor,
	  .after = close_link },
};
const unsigned client_scenario_count = sizeof(client_scenarios) / sizeof(client_scenarios[0]);
