/*
 * SPDX-License-Identifier: MIT
 *
 * Addresses: what stands at a path before a server comes, while it is there and after it has gone,
 * and what a client finds there. What both say to each other then is in handshake.c.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/stage.h"
#include "tests/unit/stranger.h"

static struct folder folder;
static struct peal_listener *listener;
static struct peal_link *wrong_link; /* of connects that must fail */
static int before;

static void set_up(void)
{
	folder_make(&folder);
	before = descriptors_settled();
}

static void tear_down(void)
{
	descriptors_expect(before);
	folder_remove(&folder);
}

/* Another name in the folder; the text holds until the next call. */
static const char *beside(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder.name, name);
	return path;
}

/* Both refuse an address in the same words. */
static void expect_both_refuse(const char *address, int err, const char *said, const char *limit)
{
	expect_error(peal_listen(&listener, address, NULL), err, said, limit, NULL);
	ck_assert_ptr_null(listener);
	expect_error(peal_connect(&wrong_link, address, NULL, LONG), err, said, limit, NULL);
	ck_assert_ptr_null(wrong_link);
}

/* A client gets in at an address. */
static void expect_serves(const char *address)
{
	struct peal_link *server;
	struct caller caller;

	caller_start(&caller, address, NULL, LONG);
	ck_assert_int_eq(peal_accept(listener, &server, LONG), 0);
	caller_end(&caller);
	ck_assert_msg(caller.err == 0, "%s", caller.sentence);
	peal_close(caller.link);
	peal_close(server);
}

static struct stat status_of(const char *path)
{
	struct stat status;

	ck_assert_msg(!lstat(path, &status), "%s: %s", path, strerror(errno));
	return status;
}

static bool is_there(const char *path)
{
	struct stat status;

	return !lstat(path, &status);
}

START_TEST(no_address_is_refused)
	{
		expect_both_refuse(NULL, -EINVAL, "empty", "path");
		expect_both_refuse("", -EINVAL, "empty", "path");
	}
END_TEST

START_TEST(an_address_that_ends_with_a_slash_is_refused)
	{
		static const char *const addresses[] = { "/", "/tmp/", "./", "//" };

		for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
			expect_both_refuse(addresses[i], -EINVAL, addresses[i], "slash");
		expect_both_refuse(beside(""), -EINVAL, folder.name, "add a name");
		expect_both_refuse(beside("socket/"), -EINVAL, folder.path, "slash");
		ck_assert_int_eq(folder_count(&folder), 0);
	}
END_TEST

/* A path in the folder that has so many bytes. */
static const char *path_of_length(size_t length)
{
	static char path[10001];

	memset(path, 'x', length);
	path[length] = 0;
	memcpy(path, folder.name, strlen(folder.name));
	path[strlen(folder.name)] = '/';
	return path;
}

START_TEST(an_address_longer_than_107_bytes_is_refused)
	{
		expect_both_refuse(path_of_length(108), -ENAMETOOLONG, "108 bytes", "107");
		expect_both_refuse(path_of_length(112), -ENAMETOOLONG, "112 bytes", "107");
		expect_both_refuse(path_of_length(10000), -ENAMETOOLONG, "10000 bytes", "107");
		ck_assert_int_eq(folder_count(&folder), 0);
	}
END_TEST

START_TEST(an_address_of_107_bytes_is_served)
	{
		const char *path = path_of_length(107);

		ck_assert_int_eq(peal_listen(&listener, path, NULL), 0);
		ck_assert(is_there(path));
		expect_serves(path);
		peal_listener_close(listener);
		ck_assert(!is_there(path));
	}
END_TEST

START_TEST(an_address_may_be_relative)
	{
		int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		ck_assert_int_eq(chdir(folder.name), 0);
		ck_assert_int_eq(peal_listen(&listener, "./socket", NULL), 0);
		expect_serves("./socket");
		expect_serves(folder.path);
		peal_listener_close(listener);
		ck_assert(!is_there(folder.path));
		ck_assert_int_eq(fchdir(here), 0);
		close(here);
	}
END_TEST

START_TEST(an_orderly_end_removes_the_socket_of_a_relative_address_from_elsewhere)
	{
		int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		ck_assert_int_eq(chdir(folder.name), 0);
		ck_assert_int_eq(peal_listen(&listener, "./socket", NULL), 0);
		ck_assert_int_eq(chdir("/"), 0);
		peal_listener_close(listener);
		ck_assert(!is_there(folder.path));
		ck_assert_int_eq(fchdir(here), 0);
		close(here);
	}
END_TEST

START_TEST(a_missing_folder_is_named)
	{
		char path[128];
		FILE *file = fopen(folder.path, "we");

		snprintf(path, sizeof(path), "%s/missing/socket", folder.name);
		expect_both_refuse(path, -ENOENT, path, "no folder");
		/* A file where a folder should be. */
		fclose(file);
		snprintf(path, sizeof(path), "%s/socket", folder.path);
		expect_both_refuse(path, -ENOENT, path, "no folder");
		ck_assert_int_eq(folder_count(&folder), 1);
	}
END_TEST

START_TEST(connecting_to_nothing_is_refused)
	{
		expect_error(peal_connect(&wrong_link, folder.path, NULL, LONG), -ECONNREFUSED,
			     folder.path, "nothing there", NULL);
		expect_error(peal_connect(&wrong_link, folder.path, NULL, 0), -ECONNREFUSED,
			     folder.path, NULL);
		expect_error(peal_connect(&wrong_link, folder.path, NULL, PEAL_FOREVER),
			     -ECONNREFUSED, folder.path, NULL);
		ck_assert_int_eq(folder_count(&folder), 0);
	}
END_TEST

START_TEST(connecting_to_what_an_ended_server_left_is_refused)
	{
		stranger_leave(folder.path, SOCK_SEQPACKET);
		expect_error(peal_connect(&wrong_link, folder.path, NULL, LONG), -ECONNREFUSED,
			     folder.path, "ended", NULL);
		expect_error(peal_connect(&wrong_link, folder.path, NULL, PEAL_FOREVER),
			     -ECONNREFUSED, NULL);
		ck_assert(is_there(folder.path));
	}
END_TEST

START_TEST(connecting_to_what_is_no_socket_is_refused)
	{
		fclose(fopen(folder.path, "we"));
		expect_error(peal_connect(&wrong_link, folder.path, NULL, LONG), -ECONNREFUSED,
			     folder.path, NULL);
		expect_error(peal_connect(&wrong_link, folder.name, NULL, LONG), -ECONNREFUSED,
			     folder.name, NULL);
	}
END_TEST

START_TEST(connecting_to_a_socket_of_another_kind_is_refused)
	{
		int fd = stranger_bind(folder.path, SOCK_STREAM, 5);

		expect_error(peal_connect(&wrong_link, folder.path, NULL, LONG), -EPROTOTYPE,
			     folder.path, "does not speak Peal", NULL);
		close(fd);
		unlink(folder.path);
		fd = stranger_bind(folder.path, SOCK_DGRAM, -1);
		expect_error(peal_connect(&wrong_link, folder.path, NULL, LONG), -EPROTOTYPE,
			     folder.path, NULL);
		close(fd);
	}
END_TEST

static const char *listen_as_nobody(void *data)
{
	const char *failed = become_nobody();
	int err;

	(void)data;
	if (failed)
		return failed;
	err = peal_listen(&listener, folder.path, NULL);
	if (err != -EACCES || listener || !strstr(peal_error(), "permission") ||
	    !strstr(peal_error(), folder.path))
		return wrong("listening where one may not write gives %d", err);
	return NULL;
}

static const char *connect_as_nobody(void *data)
{
	const char *failed = become_nobody();
	int err;

	(void)data;
	if (failed)
		return failed;
	err = peal_connect(&wrong_link, folder.path, NULL, LONG);
	if (err != -EACCES || wrong_link || !strstr(peal_error(), "permission") ||
	    !strstr(peal_error(), folder.path))
		return wrong("connecting where one may not write gives %d", err);
	return NULL;
}

START_TEST(who_may_not_write_a_folder_is_told_so)
	{
		if (geteuid() == 0) {
			child_run(listen_as_nobody, NULL);
		} else {
			chmod(folder.name, 0500);
			expect_error(peal_listen(&listener, folder.path, NULL), -EACCES,
				     "permission", folder.path, NULL);
			chmod(folder.name, 0700);
		}
		ck_assert_int_eq(folder_count(&folder), 0);
	}
END_TEST

START_TEST(who_may_not_open_a_socket_is_told_so)
	{
		ck_assert_int_eq(peal_listen(&listener, folder.path, NULL), 0);
		if (geteuid() == 0) {
			child_run(connect_as_nobody, NULL);
		} else {
			chmod(folder.path, 0);
			expect_error(peal_connect(&wrong_link, folder.path, NULL, LONG), -EACCES,
				     "permission", folder.path, NULL);
		}
		peal_listener_close(listener);
	}
END_TEST

START_TEST(a_second_server_is_told_the_pid_of_the_first)
	{
		struct peal_listener *second = (struct peal_listener *)&listener;
		struct stat first;
		char pid[32];

		ck_assert_int_eq(peal_listen(&listener, folder.path, NULL), 0);
		first = status_of(folder.path);
		snprintf(pid, sizeof(pid), "(pid %ld)", (long)getpid());
		for (int i = 0; i < 3; i++) {
			expect_error(peal_listen(&second, folder.path, NULL), -EADDRINUSE, pid,
				     folder.path, NULL);
			ck_assert_ptr_null(second);
		}
		ck_assert_uint_eq(status_of(folder.path).st_ino, first.st_ino);
		expect_serves(folder.path);
		peal_listener_close(listener);
		ck_assert_int_eq(peal_listen(&listener, folder.path, NULL), 0);
		peal_listener_close(listener);
	}
END_TEST

START_TEST(a_strangers_live_socket_is_not_replaced)
	{
		static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM };
		int fd = stranger_bind(folder.path, types[_i], types[_i] == SOCK_DGRAM ? -1 : 0);
		struct stat was = status_of(folder.path);

		expect_error(peal_listen(&listener, folder.path, NULL), -EADDRINUSE, folder.path,
			     "another server", NULL);
		ck_assert_ptr_null(listener);
		ck_assert_uint_eq(status_of(folder.path).st_ino, was.st_ino);
		ck_assert_int_eq(folder_count(&folder), 1);
		/* Nor if a lock file is left from former times, whose pid is nobody's here. */
		fclose(fopen(beside("socket.lock"), "we"));
		expect_error(peal_listen(&listener, folder.path, NULL), -EADDRINUSE, folder.path,
			     "another server", NULL);
		ck_assert_ptr_null(strstr(peal_error(), "pid"));
		ck_assert_uint_eq(status_of(folder.path).st_ino, was.st_ino);
		close(fd);
	}
END_TEST

START_TEST(a_strangers_busy_socket_is_not_replaced)
	{
		int fd = stranger_bind(folder.path, SOCK_SEQPACKET, 0), clients[8], count = 0;
		struct stat was = status_of(folder.path);

		while (count < 8 && (clients[count] = stranger_try(folder.path)) >= 0)
			count++;
		ck_assert_int_lt(count, 8);
		expect_error(peal_listen(&listener, folder.path, NULL), -EADDRINUSE, folder.path,
			     NULL);
		ck_assert_uint_eq(status_of(folder.path).st_ino, was.st_ino);
		while (count)
			close(clients[--count]);
		close(fd);
	}
END_TEST

START_TEST(what_an_ended_server_left_is_replaced)
	{
		static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM };

		stranger_leave(folder.path, types[_i]);
		ck_assert_int_eq(peal_listen(&listener, folder.path, NULL), 0);
		expect_serves(folder.path);
		peal_listener_close(listener);
		ck_assert(!is_there(folder.path));
	}
END_TEST

START_TEST(a_file_in_the_way_is_left_alone)
	{
		char text[32] = "";
		FILE *file = fopen(folder.path, "we");

		fputs("not a socket", file);
		fclose(file);
		expect_error(peal_listen(&listener, folder.path, NULL), -EEXIST, folder.path,
			     "in the way", "a file", "remove it", NULL);
		ck_assert_ptr_null(listener);
		ck_assert_int_eq(folder_count(&folder), 1);
		file = fopen(folder.path, "re");
		ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
		fclose(file);
		ck_assert_str_eq(text, "not a socket");
	}
END_TEST

START_TEST(a_pipe_in_the_way_is_left_alone)
	{
		ck_assert_int_eq(mkfifo(folder.path, 0600), 0);
		expect_error(peal_listen(&listener, folder.path, NULL), -EEXIST, folder.path,
			     "in the way", "a pipe or device", "remove it", NULL);
		ck_assert(S_ISFIFO(status_of(folder.path).st_mode));
		ck_assert_int_eq(folder_count(&folder), 1);
	}
END_TEST

START_TEST(a_folder_or_link_in_the_way_is_left_alone)
	{
		ck_assert_int_eq(mkdir(folder.path, 0700), 0);
		expect_error(peal_listen(&listener, folder.path, NULL), -EEXIST, folder.path,
			     "in the way", "a folder", "remove it", NULL);
		expect_error(peal_listen(&listener, beside("."), NULL), -EEXIST, "a folder", NULL);
		ck_assert(S_ISDIR(status_of(folder.path).st_mode));
		ck_assert_int_eq(folder_count(&folder), 1);
		ck_assert_int_eq(rmdir(folder.path), 0);
		/* One that leads to nothing, and where nothing must be made. */
		ck_assert_int_eq(symlink("elsewhere", folder.path), 0);
		expect_error(peal_listen(&listener, folder.path, NULL), -EEXIST, folder.path,
			     "in the way", "a symbolic link", "remove it", NULL);
		ck_assert(S_ISLNK(status_of(folder.path).st_mode));
		ck_assert(!is_there(beside("elsewhere")));
		ck_assert_int_eq(folder_count(&folder), 1);
	}
END_TEST

START_TEST(what_is_no_file_where_the_lock_should_be_is_left_alone)
	{
		char text[32] = "";
		FILE *file;
		int fd;

		ck_assert_int_eq(mkfifo(beside("socket.lock"), 0600), 0);
		expect_error(peal_listen(&listener, folder.path, NULL), -EEXIST, folder.path,
			     "lock file", NULL);
		ck_assert(S_ISFIFO(status_of(beside("socket.lock")).st_mode));
		unlink(beside("socket.lock"));

		ck_assert_int_eq(mkdir(beside("socket.lock"), 0700), 0);
		expect_error(peal_listen(&listener, folder.path, NULL), -EISDIR,
			     beside("socket.lock"), "folder", "lock file", "remove it", NULL);
		ck_assert_int_eq(rmdir(beside("socket.lock")), 0);

		fd = stranger_bind(beside("socket.lock"), SOCK_STREAM, 5);
		expect_error(peal_listen(&listener, folder.path, NULL), -EEXIST,
			     beside("socket.lock"), "lock file", "remove it", NULL);
		ck_assert(S_ISSOCK(status_of(beside("socket.lock")).st_mode));
		close(fd);
		unlink(beside("socket.lock"));

		/* A link: what it leads to is somebody's. */
		file = fopen(beside("precious"), "we");
		fputs("precious", file);
		fclose(file);
		ck_assert_int_eq(symlink("precious", beside("socket.lock")), 0);
		expect_error(peal_listen(&listener, folder.path, NULL), -ELOOP,
			     beside("socket.lock"), "symbolic link", "lock file", "remove it",
			     NULL);
		file = fopen(beside("precious"), "re");
		ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
		fclose(file);
		ck_assert_str_eq(text, "precious");
		ck_assert(!is_there(folder.path));
	}
END_TEST

START_TEST(a_socket_has_the_mode_that_was_asked_for)
	{
		static const struct {
			uint32_t asked;
			mode_t mode;
		} modes[] = { { 0, 0600 },    { 0600, 0600 }, { 0660, 0660 }, { 0666, 0666 },
			      { 0777, 0777 }, { 0200, 0200 }, { 0007, 0007 } };
		static const mode_t masks[] = { 0000, 0022, 0077, 0777 };
		struct peal_options options;
		mode_t was = umask(masks[_i]);

		peal_options_init(&options);
		for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
			/* The lock file needs to be opened again, whatever the mask made of it. */
			unlink(beside("socket.lock"));
			options.mode = modes[i].asked;
			ck_assert_int_eq(peal_listen(&listener, folder.path, &options), 0);
			ck_assert_uint_eq(status_of(folder.path).st_mode & 07777, modes[i].mode);
			ck_assert_uint_eq(status_of(beside("socket.lock")).st_mode & 0177, 0);
			peal_listener_close(listener);
		}
		umask(was);
	}
END_TEST

START_TEST(an_orderly_end_removes_the_socket_and_keeps_the_lock)
	{
		struct stat lock;
		char text[32] = "";
		FILE *file;

		for (int i = 0; i < 3; i++) {
			ck_assert_int_eq(peal_listen(&listener, folder.path, NULL), 0);
			ck_assert(S_ISSOCK(status_of(folder.path).st_mode));
			ck_assert_int_eq(folder_count(&folder), 2);
			if (i)
				ck_assert_uint_eq(status_of(beside("socket.lock")).st_ino,
						  lock.st_ino);
			lock = status_of(beside("socket.lock"));
			peal_listener_close(listener);
			ck_assert(!is_there(folder.path));
			ck_assert(S_ISREG(status_of(beside("socket.lock")).st_mode));
		}
		file = fopen(beside("socket.lock"), "re");
		ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
		fclose(file);
		ck_assert_int_eq(atoi(text), (int)getpid());
	}
END_TEST

START_TEST(an_orderly_end_leaves_alone_what_is_not_its_own)
	{
		int fd;

		ck_assert_int_eq(peal_listen(&listener, folder.path, NULL), 0);
		unlink(folder.path);
		fd = stranger_bind(folder.path, SOCK_STREAM, 5);
		peal_listener_close(listener);
		ck_assert(S_ISSOCK(status_of(folder.path).st_mode));
		close(fd);
	}
END_TEST

START_TEST(links_live_on_when_their_listener_is_closed)
	{
		struct meeting meeting;
		char byte;

		meeting_open(&meeting, NULL, NULL);
		peal_listener_close(meeting.listener);
		meeting.listener = NULL;
		ck_assert_int_eq(peal_send(peal_link_tx(meeting.client), "a", 1, 0, 0), 0);
		ck_assert_int_eq(peal_recv(peal_link_rx(meeting.server), &byte, 1, NULL, LONG), 1);
		meeting_close(&meeting);
		peal_listener_close(NULL);
	}
END_TEST

START_TEST(waiting_for_a_client_ends_as_the_timeout_says)
	{
		struct peal_link *server = (struct peal_link *)&listener;
		struct caller caller;

		ck_assert_int_eq(peal_listen(&listener, folder.path, NULL), 0);
		expect_error(peal_accept(listener, &server, 0), -EAGAIN, "timeout is 0", NULL);
		ck_assert_ptr_null(server);
		expect_error(peal_accept(listener, &server, 1), -ETIMEDOUT, "timeout", NULL);
		expect_error(peal_accept(listener, &server, 5 * MS), -ETIMEDOUT, "timeout", NULL);
		for (int i = 0; i < 2; i++) {
			caller_start(&caller, folder.path, NULL, i ? INT64_MAX : PEAL_FOREVER);
			ck_assert_int_eq(
				peal_accept(listener, &server, i ? INT64_MAX : PEAL_FOREVER), 0);
			caller_end(&caller);
			ck_assert_int_eq(caller.err, 0);
			peal_close(caller.link);
			peal_close(server);
		}
		peal_listener_close(listener);
	}
END_TEST

START_TEST(waiting_for_a_server_that_says_nothing_ends_as_the_timeout_says)
	{
		int fd = stranger_bind(folder.path, SOCK_SEQPACKET, 5);

		expect_error(peal_connect(&wrong_link, folder.path, NULL, 0), -EAGAIN,
			     "timeout is 0", NULL);
		expect_error(peal_connect(&wrong_link, folder.path, NULL, 1), -ETIMEDOUT, "timeout",
			     NULL);
		expect_error(peal_connect(&wrong_link, folder.path, NULL, 5 * MS), -ETIMEDOUT,
			     "did not answer", NULL);
		close(fd);
	}
END_TEST

START_TEST(the_listeners_descriptor_polls_readable_when_a_client_is_there)
	{
		struct pollfd look = { .events = POLLIN };
		struct caller caller;
		struct peal_link *server = NULL;
		int err;

		ck_assert_int_eq(peal_listen(&listener, folder.path, NULL), 0);
		look.fd = peal_listener_fd(listener);
		ck_assert_int_ge(look.fd, 0);
		ck_assert_int_eq(poll(&look, 1, 0), 0);
		caller_start(&caller, folder.path, NULL, LONG);
		do {
			ck_assert_int_eq(poll(&look, 1, 20000), 1);
			err = peal_accept(listener, &server, 0);
		} while (err == -EAGAIN);
		ck_assert_int_eq(err, 0);
		caller_end(&caller);
		ck_assert_int_eq(caller.err, 0);
		/* Neither the link nor what it does is the listener's business. */
		ck_assert_int_eq(poll(&look, 1, 0), 0);
		peal_close(caller.link);
		peal_close(server);
		ck_assert_int_eq(poll(&look, 1, 0), 0);
		peal_listener_close(listener);
	}
END_TEST

/*
 * Full backlogs.
 */

START_TEST(a_full_backlog_is_retried_within_the_timeout)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		int clients[8], count = 0;

		options.backlog = 1;
		ck_assert_int_eq(peal_listen(&listener, folder.path, &options), 0);
		while (count < 8 && (clients[count] = stranger_try(folder.path)) >= 0)
			count++;
		ck_assert_int_lt(count, 8);
		expect_error(peal_connect(&wrong_link, folder.path, NULL, 0), -EAGAIN, "backlog",
			     NULL);
		expect_error(peal_connect(&wrong_link, folder.path, NULL, 1), -ETIMEDOUT, "backlog",
			     NULL);
		expect_error(peal_connect(&wrong_link, folder.path, NULL, 5 * MS), -ETIMEDOUT,
			     "backlog", NULL);
		while (count)
			close(clients[--count]);
		/* Those in the queue have gone, and it is served again. */
		expect_serves(folder.path);
		peal_listener_close(listener);
	}
END_TEST

START_TEST(many_clients_get_in_through_a_backlog_of_one)
	{
		enum { CALLERS = 12 };
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct peal_link *servers[CALLERS];
		struct caller callers[CALLERS];
		uint32_t tags = 0;

		options.backlog = 1;
		ck_assert_int_eq(peal_listen(&listener, folder.path, &options), 0);
		for (int i = 0; i < CALLERS; i++)
			caller_start(&callers[i], folder.path, NULL, LONG);
		for (int i = 0; i < CALLERS; i++)
			ck_assert_msg(!peal_accept(listener, &servers[i], LONG), "%s",
				      peal_error());
		for (int i = 0; i < CALLERS; i++) {
			caller_end(&callers[i]);
			ck_assert_msg(callers[i].err == 0, "%s", callers[i].sentence);
			ck_assert_int_eq(
				peal_send(peal_link_tx(callers[i].link), "", 0, (uint32_t)i, 0), 0);
		}
		for (int i = 0; i < CALLERS; i++) {
			struct peal_message message;

			ck_assert_int_eq(peal_peek(peal_link_rx(servers[i]), &message, LONG), 0);
			tags |= (uint32_t)1 << message.tag;
			peal_close(servers[i]);
			peal_close(callers[i].link);
		}
		ck_assert_uint_eq(tags, ((uint32_t)1 << CALLERS) - 1);
		peal_listener_close(listener);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("address");
	TCase *refused = tcase_create("addresses"), *names = tcase_create("names");
	TCase *waits = tcase_create("waiting");

	tcase_add_checked_fixture(refused, set_up, tear_down);
	tcase_add_test(refused, no_address_is_refused);
	tcase_add_test(refused, an_address_that_ends_with_a_slash_is_refused);
	tcase_add_test(refused, an_address_longer_than_107_bytes_is_refused);
	tcase_add_test(refused, an_address_of_107_bytes_is_served);
	tcase_add_test(refused, an_address_may_be_relative);
	tcase_add_test(refused,
		       an_orderly_end_removes_the_socket_of_a_relative_address_from_elsewhere);
	tcase_add_test(refused, a_missing_folder_is_named);
	tcase_add_test(refused, connecting_to_nothing_is_refused);
	tcase_add_test(refused, connecting_to_what_an_ended_server_left_is_refused);
	tcase_add_test(refused, connecting_to_what_is_no_socket_is_refused);
	tcase_add_test(refused, connecting_to_a_socket_of_another_kind_is_refused);
	tcase_add_test(refused, who_may_not_write_a_folder_is_told_so);
	tcase_add_test(refused, who_may_not_open_a_socket_is_told_so);
	suite_add_tcase(s, refused);

	tcase_add_checked_fixture(names, set_up, tear_down);
	tcase_add_test(names, a_second_server_is_told_the_pid_of_the_first);
	tcase_add_loop_test(names, a_strangers_live_socket_is_not_replaced, 0, 3);
	tcase_add_test(names, a_strangers_busy_socket_is_not_replaced);
	tcase_add_loop_test(names, what_an_ended_server_left_is_replaced, 0, 3);
	tcase_add_test(names, a_file_in_the_way_is_left_alone);
	tcase_add_test(names, a_pipe_in_the_way_is_left_alone);
	tcase_add_test(names, a_folder_or_link_in_the_way_is_left_alone);
	tcase_add_test(names, what_is_no_file_where_the_lock_should_be_is_left_alone);
	tcase_add_loop_test(names, a_socket_has_the_mode_that_was_asked_for, 0, 4);
	tcase_add_test(names, an_orderly_end_removes_the_socket_and_keeps_the_lock);
	tcase_add_test(names, an_orderly_end_leaves_alone_what_is_not_its_own);
	tcase_add_test(names, links_live_on_when_their_listener_is_closed);
	suite_add_tcase(s, names);

	tcase_add_checked_fixture(waits, set_up, tear_down);
	tcase_set_timeout(waits, 30);
	tcase_add_test(waits, waiting_for_a_client_ends_as_the_timeout_says);
	tcase_add_test(waits, waiting_for_a_server_that_says_nothing_ends_as_the_timeout_says);
	tcase_add_test(waits, the_listeners_descriptor_polls_readable_when_a_client_is_there);
	tcase_add_test(waits, a_full_backlog_is_retried_within_the_timeout);
	tcase_add_test(waits, many_clients_get_in_through_a_backlog_of_one);
	suite_add_tcase(s, waits);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
