/*
 * SPDX-License-Identifier: MIT
 *
 * What -DPEAL_DEBUG finds: two threads inside the verbs of one end, one set, one client and so on.
 * This file is compiled with it.
 */
#include "config.h"

#include <stdbool.h>

#ifdef PEAL_DEBUG
static const bool whole = true; /* the library was built with it too */
#else
static const bool whole = false; /* only the inline verbs of the ends are guarded */
#define PEAL_DEBUG 1
#endif

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
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

/*
 * What a first thread is inside of, and a second one comes to.
 */

static struct meeting meeting; /* of which the client's side is used */
static struct peal_link *spare;
static struct peal_set *set;
static struct peal_client *client;
static struct peal_listener *listener;
static struct peal_server *server;
static struct peal_monitor *monitor;
static struct peal_request *request;
static struct folder folder;
static pid_t holder; /* the first thread (atomic); 0: not there yet */

static void hold(void)
{
	__atomic_store_n(&holder, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
}

static void hold_rx(void)
{
	receive_for_ever(meeting.client);
}

static void hold_tx(void)
{
	send_for_ever(meeting.client);
}

static void open_set(void)
{
	ck_assert_int_eq(peal_set_create(&set), 0);
	ck_assert_int_eq(peal_set_add(set, meeting.client, NULL), 0);
}

static void hold_set(void)
{
	peal_set_wait(set, PEAL_FOREVER);
}

/* Of a server that never comes. */
static void open_client(void)
{
	struct peal_client_options options;

	peal_client_options_init(&options);
	folder_make(&folder);
	ck_assert_int_eq(peal_client_open(&client, folder.path, &options), 0);
}

static void hold_client(void)
{
	struct peal_answer answer;

	peal_client_call(client, "", 0, 0, &answer, PEAL_FOREVER);
}

static void open_listener(void)
{
	folder_make(&folder);
	ck_assert_int_eq(peal_listen(&listener, folder.path, NULL), 0);
}

static void hold_listener(void)
{
	struct peal_link *link;

	peal_accept(listener, &link, PEAL_FOREVER);
}

/* In its handler, for ever. */
static void handle(void *data, struct peal_request *one)
{
	(void)data;
	request = one;
	hold();
	for (;;)
		pause();
}

static void open_server(void)
{
	struct peal_server_options options;

	peal_server_options_init(&options);
	options.handlers.message = handle;
	folder_make(&folder);
	ck_assert_int_eq(peal_server_open(&server, folder.path, &options), 0);
}

static void hold_server(void)
{
	peal_server_run(server);
}

static void *ask(void *data)
{
	struct peal_link *link;

	if (!peal_connect(&link, folder.path, NULL, LONG))
		peal_send(peal_link_tx(link), "", 0, 1, 0);
	return data;
}

static void open_worker(void)
{
	pthread_t asker;

	open_server();
	pthread_create(&asker, NULL, ask, NULL);
}

static void *open_there(void *data)
{
	peal_monitor_open(&monitor, folder.path, LONG);
	return data;
}

/* Of a listener that answers once. */
static void open_monitor(void)
{
	struct peal_link *link;
	pthread_t opener;

	open_listener();
	pthread_create(&opener, NULL, open_there, NULL);
	while (peal_accept(listener, &link, MS) == -ETIMEDOUT && pthread_tryjoin_np(opener, NULL))
		;
	ck_assert_ptr_nonnull(monitor);
}

static void hold_monitor(void)
{
	peal_monitor_refresh(monitor, PEAL_FOREVER);
}

static const struct thing {
	void (*open)(void); /* NULL: it is there */
	void (*hold)(void);
	bool by_itself; /* says when it holds */
} rx = { NULL, hold_rx, false }, tx = { NULL, hold_tx, false }, both = { NULL, hold_rx, false },
  both_by_tx = { NULL, hold_tx, false }, sets = { open_set, hold_set, false },
  clients = { open_client, hold_client, false },
  listeners = { open_listener, hold_listener, false },
  servers = { open_server, hold_server, false }, workers = { open_worker, hold_server, true },
  monitors = { open_monitor, hold_monitor, false };

/*
 * The verbs, each as the second thread calls it.
 */

static struct peal_message shown_one = { .data = "", .length = 0 };
static struct peal_sending sending = { .data = "" };
static struct iovec nothing = { .iov_len = 0 };
static struct peal_answer answer;
static void *room;
static int fd_or_error;

static int each(void *data, const struct peal_message *shown)
{
	(void)data;
	return shown->length > 0;
}

#define RX peal_link_rx(meeting.client)
#define TX peal_link_tx(meeting.client)
#define VERB(name, call)              \
	static void do_##name(void)   \
	{                             \
		fd_or_error = (call); \
	}

VERB(peek, peal_peek(RX, &shown_one, 0))
VERB(release, (peal_release(RX), 0))
VERB(recv, (int)peal_recv(RX, buffer, sizeof(buffer), NULL, 0))
VERB(recv_batch, peal_recv_batch(RX, buffer, sizeof(buffer), &shown_one, 1, 0))
VERB(drain, peal_drain(RX, each, NULL, 0, 0))
VERB(reserve, peal_reserve(TX, 0, &room, 0))
VERB(commit, peal_commit(TX, 0, 0))
VERB(commit_more, peal_commit_more(TX, 0, 0))
VERB(commit_last, peal_commit_last(TX, 0, 0))
VERB(flush, (peal_flush(TX), 0))
VERB(abort, (peal_abort(TX), 0))
VERB(send, peal_send(TX, "", 0, 0, 0))
VERB(send_more, peal_send_more(TX, "", 0, 0, 0))
VERB(send_last, peal_send_last(TX, "", 0, 0, 0))
VERB(send_part, peal_send_part(TX, &sending, 0))
VERB(send_batch, peal_send_batch(TX, &shown_one, 1, 0))
VERB(sendv, peal_sendv(TX, &nothing, 1, 0, 0))
VERB(send_error, peal_send_error(TX, 0, -EPERM, "", 0))
VERB(send_cancel, peal_send_cancel(TX, 0, 0))
VERB(call, (int)peal_call(meeting.client, "", 0, buffer, sizeof(buffer), NULL, 0))
VERB(link_fd, peal_link_fd(meeting.client))
VERB(link_arm, peal_link_arm(meeting.client, PEAL_DATA))
VERB(close, (peal_close(meeting.client), 0))
VERB(set_add, peal_set_add(set, meeting.server, NULL))
VERB(set_remove, peal_set_remove(set, meeting.client))
VERB(set_want_room, peal_set_want_room(set, meeting.client))
VERB(set_wait, peal_set_wait(set, 0))
VERB(set_arm, peal_set_arm(set))
VERB(set_poll, peal_set_poll(set))
VERB(set_next, peal_set_next(set, NULL) != NULL)
VERB(set_free, (peal_set_free(set), 0))
VERB(client_begin, peal_client_begin(client, "", 0, 0, 0, NULL, NULL))
VERB(client_next, peal_client_next(client, &answer, 0))
VERB(client_cancel, peal_client_cancel(client, 1))
VERB(client_call, peal_client_call(client, "", 0, 0, &answer, 0))
VERB(client_connected, peal_client_connected(client))
VERB(client_fd, peal_client_fd(client))
VERB(client_close, (peal_client_close(client), 0))
VERB(accept, peal_accept(listener, &spare, 0))
VERB(listener_close, (peal_listener_close(listener), 0))
VERB(server_close, (peal_server_close(server), 0))
VERB(reply, peal_reply(request, "", 0, 0))
VERB(reply_reserve, peal_reply_reserve(request, 0, &room))
VERB(reply_commit, peal_reply_commit(request, 0, 0))
VERB(reply_error, peal_reply_error(request, -EPERM, ""))
VERB(monitor_refresh, peal_monitor_refresh(monitor, 0))
VERB(monitor_read, peal_monitor_read(monitor, NULL, NULL, 0))
VERB(monitor_close, (peal_monitor_close(monitor), 0))

/* An inline verb that is made of another one may be told by that one's name. */
#define IS(thing, name)                            \
	{                                          \
		&(thing), "peal_" #name, do_##name \
	}
static const struct verb {
	const struct thing *thing;
	const char *name;
	void (*call)(void);
} verbs[] = {
	/* Those that the program's own -DPEAL_DEBUG guards. */
	IS(rx, peek),
	IS(rx, release),
	IS(rx, recv),
	{ &rx, "peal_peek", do_drain },
	IS(tx, reserve),
	IS(tx, commit),
	IS(tx, commit_more),
	IS(tx, flush),
	IS(tx, abort),
	IS(tx, send),
	IS(tx, send_more),
#define INLINE_VERBS 11
	/* And the library's. */
	IS(rx, recv_batch),
	IS(tx, commit_last),
	IS(tx, send_last),
	IS(tx, send_part),
	IS(tx, send_batch),
	IS(tx, sendv),
	IS(tx, send_error),
	IS(tx, send_cancel),
	IS(both, call),
	IS(both_by_tx, call),
	IS(both, link_fd),
	IS(both_by_tx, link_fd),
	IS(both, link_arm),
	IS(both_by_tx, link_arm),
	IS(both, close),
	IS(both_by_tx, close),
	IS(sets, set_add),
	IS(sets, set_remove),
	IS(sets, set_want_room),
	IS(sets, set_wait),
	IS(sets, set_arm),
	IS(sets, set_poll),
	IS(sets, set_next),
	IS(sets, set_free),
	IS(clients, client_begin),
	IS(clients, client_next),
	IS(clients, client_cancel),
	IS(clients, client_call),
	IS(clients, client_connected),
	IS(clients, client_fd),
	IS(clients, client_close),
	IS(listeners, accept),
	IS(listeners, listener_close),
	IS(servers, server_close),
	IS(workers, reply),
	IS(workers, reply_reserve),
	IS(workers, reply_commit),
	IS(workers, reply_error),
	IS(monitors, monitor_refresh),
	IS(monitors, monitor_read),
	IS(monitors, monitor_close),
};
#define VERBS ((int)(sizeof(verbs) / sizeof(verbs[0])))

static void *begin_to_hold(void *data)
{
	const struct thing *thing = data;

	if (!thing->by_itself)
		hold();
	thing->hold();
	return NULL;
}

/* Waits until the holder sleeps, which it does nowhere but inside. */
static void wait_held(void)
{
	char path[64], line[256], state = 0;
	FILE *file;
	pid_t thread;

	while (!(thread = __atomic_load_n(&holder, __ATOMIC_ACQUIRE)))
		sched_yield();
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
	while (state != 'S') {
		sched_yield();
		file = fopen(path, "r");
		ck_assert_ptr_nonnull(file);
		if (fgets(line, sizeof(line), file))
			state = strrchr(line, ')')[2];
		fclose(file);
	}
}

/* In a child: what it is to have said comes first. */
static void be_caught(const struct verb *verb, int out)
{
	static const struct rlimit none = { 0, 0 };
	struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 0);
	pthread_t thread;

	setrlimit(RLIMIT_CORE, &none);
	dup2(out, STDERR_FILENO);
	meeting_open(&meeting, &options, &options);
	if (verb->thing->open)
		verb->thing->open();
	pthread_create(&thread, NULL, begin_to_hold, (void *)(uintptr_t)verb->thing);
	wait_held();
	dprintf(out, "%s in thread %d while thread %d is using the same\n", verb->name,
		(int)getpid(), (int)holder);
	verb->call();
	_exit(0);
}

START_TEST(a_second_thread_is_caught_and_told_by_verb_and_threads)
	{
		struct folder for_child; /* who is aborted removes nothing */
		char said[2048], *told;
		size_t length = 0;
		ssize_t more;
		int ends[2], status;
		pid_t pid;

		folder_make(&for_child);
		ck_assert_int_eq(pipe(ends), 0);
		pid = fork();
		if (!pid) {
			close(ends[0]);
			setenv("TMPDIR", for_child.name, 1);
			be_caught(&verbs[_i], ends[1]);
		}
		close(ends[1]);
		while ((more = read(ends[0], said + length, sizeof(said) - 1 - length)) > 0)
			length += (size_t)more;
		said[length] = 0;
		close(ends[0]);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
			      "%s: status %x: %s", verbs[_i].name, status, said);
		told = strstr(said, "\npeal: ");
		ck_assert_msg(told && !strncmp(told + 7, said, (size_t)(strchr(said, '\n') - said)),
			      "%s", said);
		folder_remove(&for_child);
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
	tcase_add_loop_test(all, a_second_thread_is_caught_and_told_by_verb_and_threads, 0,
			    whole ? VERBS : INLINE_VERBS);
	if (whole)
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
