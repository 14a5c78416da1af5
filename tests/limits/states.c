/*
 * SPDX-License-Identifier: MIT
 *
 * States that a link, a listener, a server, a client and a monitor can be in.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <peal/client.h>
#include <peal/monitor.h>
#include <peal/server.h>

#include "tests/limits/states.h"
#include "tests/unit/stranger.h"

#define LARGE 60000

struct meeting meeting;
static struct folder folder; /* of another address */
static uint8_t buffer[LARGE], whole[LARGE];

void states_set_up(void)
{
	struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 0);

	options.max_message = LARGE;
	meeting_open(&meeting, &options, &options);
	folder_make(&folder);
}

void states_tear_down(void)
{
	meeting_close(&meeting);
	folder_remove(&folder);
}

static struct peal_tx *tx(void)
{
	return peal_link_tx(meeting.client);
}

static struct peal_rx *rx(void)
{
	return peal_link_rx(meeting.server);
}

static void expect_length(int64_t length)
{
	int64_t got = peal_recv(rx(), buffer, sizeof(buffer), NULL, LONG);

	ck_assert_msg(got == length, "%lld instead of %lld: %s", (long long)got, (long long)length,
		      peal_error());
	ck_assert(payload_matches(buffer, (size_t)length, (uint32_t)length));
}

static void send_length(size_t length)
{
	payload_fill(buffer, length, (uint32_t)length);
	ck_assert_int_eq(peal_send(tx(), buffer, length, 0, LONG), 0);
}

/*
 * Threads that are in the midst of a verb.
 */

struct sleeper {
	int (*run)(void);
	pthread_t thread;
	pid_t tid; /* atomic */
	int result;
};

static struct sleeper sleeper;

static void *sleep_in_verb(void *data)
{
	/* Pairs with the load in sleeper_start: for its value only. */
	__atomic_store_n(&sleeper.tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELAXED);
	sleeper.result = sleeper.run();
	return data;
}

/* The system call that a thread is in; -1: none, or not told. */
static long call_of(pid_t tid)
{
	char path[64], text[64] = "";
	long number = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)tid);
	file = fopen(path, "re");
	if (file && fgets(text, sizeof(text), file) && *text >= '0' && *text <= '9')
		number = strtol(text, NULL, 10);
	if (file)
		fclose(file);
	return number;
}

/* Until it is seen in one system call twice, and not in that one; or for half a second where that
 * is not told. */
static void sleeper_start(int (*run)(void), long but)
{
	const struct timespec moment = { .tv_nsec = MS };
	long now = -1, last;

	sleeper = (struct sleeper){ .run = run };
	ck_assert_int_eq(pthread_create(&sleeper.thread, NULL, sleep_in_verb, NULL), 0);
	for (int i = 0; i < 500; i++) {
		pid_t tid = __atomic_load_n(&sleeper.tid, __ATOMIC_RELAXED);

		nanosleep(&moment, NULL);
		last = now;
		now = tid ? call_of(tid) : -1;
		if (now >= 0 && now == last && now != but)
			break;
	}
}

static void sleeper_end(int result)
{
	ck_assert_int_eq(pthread_join(sleeper.thread, NULL), 0);
	ck_assert_int_eq(sleeper.result, result);
}

/*
 * The states. Each is entered before a fork; what it was for is brought to its end after it.
 */

static void enter_idle(void)
{
}

static void leave_idle(void)
{
	send_length(9);
	expect_length(9);
}

static void *reserved;

static void enter_reserved(void)
{
	ck_assert_int_eq(peal_reserve(tx(), 100, &reserved, LONG), 0);
	payload_fill(reserved, 50, 100);
}

static void leave_reserved(void)
{
	payload_fill(reserved, 100, 100);
	ck_assert_int_eq(peal_commit(tx(), 100, 0), 0);
	expect_length(100);
}

static void enter_batch(void)
{
	for (uint32_t i = 1; i < 4; i++) {
		payload_fill(buffer, i, i);
		ck_assert_int_eq(peal_send_more(tx(), buffer, i, 0, LONG), 0);
	}
}

static void leave_batch(void)
{
	peal_flush(tx());
	for (uint32_t i = 1; i < 4; i++)
		expect_length(i);
}

static struct peal_sending part;

static void enter_part(void)
{
	payload_fill(whole, LARGE, LARGE);
	part = (struct peal_sending){ .data = whole, .length = LARGE };
	ck_assert_int_eq(peal_send_part(tx(), &part, 0), -EAGAIN);
	/* And the other side has joined some of it. */
	ck_assert_int_eq(peal_recv(rx(), buffer, sizeof(buffer), NULL, 0), -EAGAIN);
}

static void leave_part(void)
{
	int64_t got;

	do {
		int err = part.sent < LARGE ? peal_send_part(tx(), &part, 0) : 0;

		ck_assert(!err || err == -EAGAIN);
		got = peal_recv(rx(), buffer, sizeof(buffer), NULL, 0);
	} while (got == -EAGAIN);
	ck_assert_int_eq(got, LARGE);
	ck_assert(payload_matches(buffer, LARGE, LARGE));
}

static int receive(void)
{
	return (int)peal_recv(rx(), buffer, sizeof(buffer), NULL, LONG);
}

static void enter_futex(void)
{
	sleeper_start(receive, -1);
}

static void enter_descriptor(void)
{
	sleeper_start(receive, SYS_futex);
}

static void leave_sleep(void)
{
	static const char text[] = "wake";

	ck_assert_int_eq(peal_send(tx(), text, 4, 0, LONG), 0);
	sleeper_end(4);
}

static int fill(void)
{
	int err = 0;

	for (int i = 0; i < 40 && !err; i++)
		err = peal_send(tx(), whole, 1000, 0, LONG);
	return err;
}

static void enter_room(void)
{
	sleeper_start(fill, -1);
}

static void leave_room(void)
{
	for (int i = 0; i < 40; i++)
		ck_assert_int_eq(receive(), 1000);
	sleeper_end(0);
}

static void enter_armed(void)
{
	ck_assert_int_ge(peal_link_fd(meeting.server), 0);
	while (peal_link_arm(meeting.server, PEAL_DATA))
		ck_assert_int_eq(peal_recv(rx(), buffer, sizeof(buffer), NULL, 0), -EAGAIN);
}

static void leave_armed(void)
{
	struct pollfd look = { .fd = peal_link_fd(meeting.server), .events = POLLIN };

	send_length(20);
	ck_assert_int_eq(poll(&look, 1, LONG / MS), 1);
	expect_length(20);
}

static struct peal_set *set;

static int wait_in_set(void)
{
	return peal_set_wait(set, LONG);
}

static void enter_set(void)
{
	ck_assert_int_eq(peal_set_create(&set), 0);
	ck_assert_int_eq(peal_set_add(set, meeting.server, NULL), 0);
	sleeper_start(wait_in_set, -1);
}

static void leave_set(void)
{
	send_length(30);
	sleeper_end(1);
	ck_assert_ptr_eq(peal_set_next(set, NULL), meeting.server);
	expect_length(30);
	peal_set_free(set);
}

static struct caller caller;
static struct peal_link *admitted;

static void expect_second_link(void)
{
	ck_assert_int_eq(peal_send(peal_link_tx(caller.link), "in", 2, 0, LONG), 0);
	ck_assert_int_eq(peal_recv(peal_link_rx(admitted), buffer, 2, NULL, LONG), 2);
	peal_close(caller.link);
	peal_close(admitted);
}

/* A client has said HELLO, and has no answer yet. */
static void enter_calling(void)
{
	struct pollfd look = { .fd = peal_listener_fd(meeting.listener), .events = POLLIN };

	caller_start(&caller, meeting.folder.path, NULL, LONG);
	ck_assert_int_eq(poll(&look, 1, LONG / MS), 1);
}

static void leave_calling(void)
{
	ck_assert_int_eq(peal_accept(meeting.listener, &admitted, LONG), 0);
	caller_end(&caller);
	ck_assert_msg(!caller.err, "%s", caller.sentence);
	expect_second_link();
}

static int guest = -1;

static int admit(void)
{
	return peal_accept(meeting.listener, &admitted, LONG);
}

/* A server has let somebody in who says nothing, and waits for others as well. */
static void enter_accepting(void)
{
	guest = stranger_connect(meeting.folder.path);
	sleeper_start(admit, -1);
}

static void leave_accepting(void)
{
	caller_start(&caller, meeting.folder.path, NULL, LONG);
	sleeper_end(0);
	caller_end(&caller);
	ck_assert_msg(!caller.err, "%s", caller.sentence);
	expect_second_link();
	close(guest);
}

/* Somebody sent what is no segment, many times over, which is closed aside. */
static void enter_closing(void)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	for (int i = 0; i < 16; i++) {
		int fd = stranger_connect(meeting.folder.path);

		stranger_say(fd, "nonsense", 8, nothing, 16);
		ck_assert_int_eq(peal_accept(meeting.listener, &admitted, 0), -EAGAIN);
		close(fd);
	}
	close(nothing);
}

static struct peal_server *server;
static struct peal_client *client;
static int answered;

static void on_message(void *data, struct peal_request *request)
{
	(void)data;
	for (int i = 0; i < 20; i++)
		answered += !peal_server_reply(request->server, request->token, whole, 1000,
					       i < 19 ? PEAL_REPLY_MORE : 0);
}

static void open_server(void)
{
	struct peal_options link = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	struct peal_server_options options;

	peal_server_options_init(&options);
	options.link = &link;
	options.handlers.message = on_message;
	ck_assert_int_eq(peal_server_open(&server, folder.path, &options), 0);
}

static int serve(void)
{
	return peal_server_run(server);
}

static void step_until_over(void)
{
	while (!caller_is_over(&caller)) {
		int got = peal_server_step(server, MS);

		ck_assert_msg(got >= 0 || got == -ETIMEDOUT, "%s", peal_error());
	}
	caller_end(&caller);
	ck_assert_msg(!caller.err, "%s", caller.sentence);
}

/* A client that does not read: some of its replies have no room. */
static void enter_slow(void)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);

	options.flags = PEAL_CALLS;
	answered = 0;
	open_server();
	caller_start(&caller, folder.path, &options, LONG);
	step_until_over();
	ck_assert_int_eq(peal_send(peal_link_tx(caller.link), "go", 2, 7, LONG), 0);
	while (peal_server_step(server, LONG) != 1)
		;
	ck_assert_int_eq(answered, 20);
}

static void leave_slow(void)
{
	for (int got = 0; got < 20;) {
		int64_t length = peal_recv(peal_link_rx(caller.link), buffer, sizeof(buffer), NULL,
					   0);

		ck_assert(length == 1000 || length == -EAGAIN);
		got += length == 1000;
		peal_server_step(server, length == 1000 ? 0 : MS);
	}
	peal_close(caller.link);
	peal_server_close(server);
}

static struct peal_answer answer;

static int call(void)
{
	int err = peal_client_call(client, "go", 2, 0, &answer, LONG);

	return err ? err : (int)answer.verdict;
}

/* A client whose server is not there: it waits until it tries again. */
static void enter_pause(void)
{
	ck_assert_int_eq(peal_client_open(&client, folder.path, NULL), 0);
	sleeper_start(call, -1);
}

static void leave_pause(void)
{
	pthread_t caller_thread = sleeper.thread;

	open_server();
	sleeper_start(serve, -1);
	ck_assert_int_eq(pthread_join(caller_thread, NULL), 0);
	ck_assert_uint_eq(answer.verdict, PEAL_REPLY);
	peal_server_stop(server);
	ck_assert_int_eq(pthread_join(sleeper.thread, NULL), 0);
	peal_client_close(client);
	peal_server_close(server);
}

static struct peal_monitor *monitor;

static void enter_monitor(void)
{
	open_server();
	sleeper_start(serve, -1);
	ck_assert_int_eq(peal_monitor_open(&monitor, folder.path, LONG), 0);
}

static void leave_monitor(void)
{
	struct peal_monitored about = { .size = sizeof(about) };

	ck_assert_int_ge(peal_monitor_read(monitor, &about, NULL, 0), 2);
	ck_assert_int_eq(about.who.pid, getpid());
	ck_assert_int_eq(peal_monitor_refresh(monitor, LONG), 0);
	peal_monitor_close(monitor);
	peal_server_stop(server);
	sleeper_end(0);
	peal_server_close(server);
}

const struct state states[STATES] = {
	{ "idle", enter_idle, leave_idle },
	{ "a reservation", enter_reserved, leave_reserved },
	{ "a batch", enter_batch, leave_batch },
	{ "part of a long message", enter_part, leave_part },
	{ "a thread asleep", enter_futex, leave_sleep },
	{ "a thread asleep by descriptor", enter_descriptor, leave_sleep },
	{ "a thread that waits for room", enter_room, leave_room },
	{ "armed", enter_armed, leave_armed },
	{ "a thread that waits in a set", enter_set, leave_set },
	{ "a client's handshake", enter_calling, leave_calling },
	{ "a server's handshake", enter_accepting, leave_accepting },
	{ "closing aside", enter_closing, leave_idle },
	{ "replies that wait for room", enter_slow, leave_slow },
	{ "a client without its server", enter_pause, leave_pause },
	{ "a monitor", enter_monitor, leave_monitor },
};
