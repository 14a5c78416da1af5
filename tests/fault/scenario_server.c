/*
 * SPDX-License-Identifier: MIT
 *
 * The server's side of links: listeners and servers, with clients whose calls do not fail, and who
 * are told whenever they are not served.
 */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/fault/scenario.h"
#include "tests/fault/trap.h"
#include "tests/unit/stranger.h"

/* An eighth of it is how long a door is shut. */
#define HANDSHAKE (16 * MS)

static void make_folder(struct act *act)
{
	folder_make(&act->folder);
	act->options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	act->options.handshake_ns = (uint64_t)HANDSHAKE;
}

static void remove_folder(struct act *act)
{
	folder_remove(&act->folder);
}

/*
 * Listening.
 */

static int listen_at(struct act *act, const char *address)
{
	struct peal_listener *listener;
	int err = peal_listen(&listener, address, &act->options);

	if (!err)
		peal_listener_close(listener);
	return err;
}

static int try_listen(struct act *act)
{
	return listen_at(act, act->folder.path);
}

static void leave_stale(struct act *act)
{
	unlink(act->folder.path);
	stranger_leave(act->folder.path, SOCK_SEQPACKET);
}

static const char *abstract_name(void)
{
	static char name[40];

	snprintf(name, sizeof(name), "@peal-fault-%ld", (long)getpid());
	return name;
}

/* Where those in the queue could not be accepted it is closed aside, and free a moment later. */
static void await_name(struct act *act)
{
	struct timespec start, now;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		int fd = platform_socket();

		err = platform_bind(fd, abstract_name(), 0);
		close(fd);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (err && now.tv_sec - start.tv_sec < 10);
	if (err)
		act_wrong(act, "the name is never free again");
}

static int try_abstract(struct act *act)
{
	return listen_at(act, abstract_name());
}

/*
 * Accepting.
 */

static void open_listener(struct act *act)
{
	int err;

	make_folder(act);
	err = peal_listen(&act->listener, act->folder.path, &act->options);
	if (err)
		ck_abort_msg("peal_listen: %s", peal_error());
}

static void close_listener(struct act *act)
{
	peal_listener_close(act->listener);
	remove_folder(act);
}

static void say_hello(struct act *act)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	int err = opening_prepare(&act->opening, act->folder.path, &options);

	act->far = act->link = NULL;
	act->told = 1;
	if (!err)
		err = opening_step(&act->opening, &act->far);
	if (err != 1)
		ck_abort_msg("HELLO: %d: %s", err, peal_error());
}

static void hear(struct act *act)
{
	if (act->told == 1)
		act->told = opening_step(&act->opening, &act->far);
	if (act->told < 0 && !*peal_error())
		act_wrong(act, "the client is refused without a reason");
}

/* Until there is a link, or the client knows why there is none. */
static int accept_or_refuse(struct act *act)
{
	int err;

	while ((err = peal_accept(act->listener, &act->link, 5 * MS)) == -ETIMEDOUT) {
		act_turn(act, hear);
		if (act->told != 1)
			return 0;
	}
	return err;
}

/* Both ends, as far as there are any: if there are both they work. */
static void part(struct act *act)
{
	char byte;
	int64_t said;

	for (unsigned i = 0; act->told == 1 && i < 1000; i++) {
		hear(act);
		/* The listener as anybody would go on using it. */
		if (act->told == 1 && !act->link)
			peal_accept(act->listener, &act->link, 10 * MS);
	}
	if (act->told == 1)
		act_wrong(act, "the client is neither taken in nor told");
	opening_drop(&act->opening);
	if (act->far && act->link) {
		if (peal_send(peal_link_tx(act->far), "y", 1, 0, 0) ||
		    peal_recv(peal_link_rx(act->link), &byte, 1, NULL, LONG) != 1)
			act_wrong(act, "the link does not work: %s", peal_error());
	} else if (act->far) {
		said = peal_recv(peal_link_rx(act->far), &byte, 1, NULL, LONG);
		if (said != -ECONNRESET && said != -EPIPE)
			act_wrong(act, "the client is not told that its link has ended");
	}
	peal_close(act->far);
	peal_close(act->link);
}

static int try_accept(struct act *act)
{
	return accept_or_refuse(act);
}

/* One who does not say HELLO at first has a seat. */
static void knock(struct act *act)
{
	act->far = act->link = NULL;
	act->told = 0;
	act->stranger = stranger_connect(act->folder.path);
}

static void leave_and_come_again(struct act *act)
{
	close(act->stranger);
	act->stranger = -1;
	say_hello(act);
}

static int try_seat(struct act *act)
{
	int err = peal_accept(act->listener, &act->link, 0);

	if (err != -EAGAIN)
		return err ? err : -EBADMSG;
	act_turn(act, leave_and_come_again);
	return accept_or_refuse(act);
}

static void part_after_seat(struct act *act)
{
	if (act->stranger >= 0)
		leave_and_come_again(act);
	part(act);
}

static int try_nobody(struct act *act)
{
	int err = peal_accept(act->listener, &act->link, MS);

	return err == -ETIMEDOUT ? 0 : err ? err : -EBADMSG;
}

static void look_in(struct act *act)
{
	int err = opening_prepare(&act->opening, act->folder.path, NULL);
	struct platform_parcel parcel;
	struct wire_message answer;

	act->opening.monitor = true;
	if (!err)
		err = opening_look(&act->opening, &answer, &parcel);
	if (err != 1)
		ck_abort_msg("HELLO of a monitor: %d: %s", err, peal_error());
}

static void hear_counters(struct act *act)
{
	struct platform_parcel parcel;
	struct wire_message answer;
	struct timespec start, now;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while ((err = opening_look(&act->opening, &answer, &parcel)) == 1) {
		peal_accept(act->listener, &act->link, MS);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec >= 10) {
			act_wrong(act, "the monitor is neither answered nor told");
			opening_drop(&act->opening);
			return;
		}
	}
	if (!err)
		wire_close_parcel(&parcel);
}

static int try_monitored(struct act *act)
{
	int err = peal_accept(act->listener, &act->link, 0);

	return err == -EAGAIN ? 0 : err;
}

/*
 * Servers.
 */

static void echo(void *data, struct peal_request *request)
{
	(void)data;
	peal_reply(request, request->data, request->length, 0);
}

static int open_server(struct act *act, uint32_t workers)
{
	struct peal_server_options options;

	peal_server_options_init(&options);
	options.link = &act->options;
	options.workers = workers;
	options.flags = PEAL_SERVER_RAISE_NOFILE;
	options.handlers.message = echo;
	options.ready = 2;
	options.idle_ns = (uint64_t)LONG;
	return peal_server_open(&act->server, act->folder.path, &options);
}

static int try_server(struct act *act)
{
	int err = open_server(act, 2);

	if (err)
		return err;
	err = peal_server_step(act->server, 0);
	peal_server_close(act->server);
	return err == -EAGAIN ? 0 : err;
}

static void open_one(struct act *act)
{
	if (open_server(act, 1))
		ck_abort_msg("peal_server_open: %s", peal_error());
}

static void open_two(struct act *act)
{
	if (open_server(act, 2))
		ck_abort_msg("peal_server_open: %s", peal_error());
}

/* Of its two further threads the second may not begin. */
static void open_three(struct act *act)
{
	if (open_server(act, 3))
		ck_abort_msg("peal_server_open: %s", peal_error());
}

static void close_server(struct act *act)
{
	peal_server_close(act->server);
}

static int try_run(struct act *act)
{
	return peal_server_run(act->server);
}

static bool is_over(const struct act *act)
{
	return __atomic_load_n(&act->over, __ATOMIC_ACQUIRE);
}

/* A client who comes again when it is told to go; NULL: the server has ended. */
static struct peal_link *come_in(struct act *act)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	struct peal_link *link = NULL;
	int err = opening_prepare(&act->opening, act->folder.path, &options);

	if (err)
		ck_abort_msg("opening_prepare: %s", peal_error());
	while (!link && !is_over(act)) {
		opening_step(&act->opening, &link);
		sched_yield();
	}
	opening_drop(&act->opening);
	return link;
}

/* Whether it is answered; else its link has ended, or the server has. */
static bool is_served(struct act *act, struct peal_link *link)
{
	char answer;
	int64_t got = peal_send(peal_link_tx(link), "x", 1, 0, 0);

	while (!got &&
	       (got = peal_recv(peal_link_rx(link), &answer, 1, NULL, 10 * MS)) == -ETIMEDOUT &&
	       !is_over(act))
		got = 0;
	return got == 1;
}

/* Two at a time, so each worker has one. Who is not served to the end comes again, and then the
 * server is told to stop. */
static void visit(struct act *act)
{
	struct timespec start, now;
	bool served = false;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		struct peal_link *one = come_in(act), *other = come_in(act);

		served = one && other && is_served(act, one) && is_served(act, other);
		peal_close(one);
		peal_close(other);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (!served && !is_over(act) && now.tv_sec - start.tv_sec < 10);
	if (!served && !is_over(act))
		act_wrong(act, "nobody is served any more: %s", peal_error());
	peal_server_stop(act->server);
}

const struct scenario server_scenarios[] = {
	{ .name = "listen", .open = make_folder, .close = remove_folder, .attempt = try_listen },
	{ .name = "listen-stale",
	  .open = make_folder,
	  .close = remove_folder,
	  .before = leave_stale,
	  .attempt = try_listen },
	{ .name = "listen-abstract",
	  .open = make_folder,
	  .close = remove_folder,
	  .before = await_name,
	  .attempt = try_abstract },
	{ .name = "accept",
	  .open = open_listener,
	  .close = close_listener,
	  .before = say_hello,
	  .attempt = try_accept,
	  .after = part },
	{ .name = "accept-seat",
	  .open = open_listener,
	  .close = close_listener,
	  .before = knock,
	  .attempt = try_seat,
	  .after = part_after_seat },
	{ .name = "accept-nobody",
	  .open = open_listener,
	  .close = close_listener,
	  .attempt = try_nobody },
	{ .name = "accept-monitor",
	  .open = open_listener,
	  .close = close_listener,
	  .before = look_in,
	  .attempt = try_monitored,
	  .after = hear_counters },
	{ .name = "server", .open = make_folder, .close = remove_folder, .attempt = try_server },
	{ .name = "server-run",
	  .open = make_folder,
	  .close = remove_folder,
	  .before = open_one,
	  .attempt = try_run,
	  .meanwhile = visit,
	  .after = close_server },
	{ .name = "server-workers",
	  .open = make_folder,
	  .close = remove_folder,
	  .before = open_three,
	  .attempt = try_run,
	  .meanwhile = visit,
	  .after = close_server },
	{ .name = "server-worker",
	  .open = make_folder,
	  .close = remove_folder,
	  .before = open_two,
	  .attempt = try_run,
	  .meanwhile = visit,
	  .after = close_server,
	  .others = true },
};
const unsigned server_scenario_count = sizeof(server_scenarios) / sizeof(server_scenarios[0]);
