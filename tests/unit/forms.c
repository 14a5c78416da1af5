/*
 * SPDX-License-Identifier: MIT
 *
 * The forms of addresses besides the path: how each is understood, served from end to end, and
 * refused. What can stand at a path is in address.c.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/platform.h"
#include "tests/filter.h"
#include "tests/unit/stage.h"
#include "tests/unit/stranger.h"

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

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

/* A client gets in at an address, and a message through; for children, too. NULL, or what went
 * wrong. */
static const char *serves(const char *address, const struct peal_options *client)
{
	struct peal_link *server;
	struct caller caller;
	char byte = 0;
	int err;

	caller_start(&caller, address, client, LONG);
	err = peal_accept(listener, &server, LONG);
	caller_end(&caller);
	if (caller.err)
		return wrong("connecting gives %d: %s", caller.err, caller.sentence);
	if (err)
		return wrong("accepting gives %d", err);
	if (peal_send(peal_link_tx(caller.link), "x", 1, 0, 0) ||
	    peal_recv(peal_link_rx(server), &byte, 1, NULL, LONG) != 1 || byte != 'x')
		return wrong("a message does not come through");
	peal_close(caller.link);
	peal_close(server);
	return NULL;
}

static void expect_serves(const char *address)
{
	const char *failed = serves(address, NULL);

	ck_assert_msg(!failed, "%s", failed);
}

/* Both refuse an address in the same words. */
static void expect_both_refuse(const char *address, int err, const char *said, const char *mend)
{
	expect_error(peal_listen(&listener, address, NULL), err, said, mend, NULL);
	ck_assert_ptr_null(listener);
	expect_error(peal_connect(&wrong_link, address, NULL, LONG), err, said, mend, NULL);
	ck_assert_ptr_null(wrong_link);
}

/* Whether a child of ours may do something. */
static bool child_may(bool (*something)(void))
{
	pid_t child = fork();
	int status = 1;

	if (!child)
		_exit(something() ? 0 : 1);
	return waitpid(child, &status, 0) == child && status == 0;
}

/*
 * Abstract addresses.
 */

/* One that no other run of these tests has. Written once: callers in other threads read it. */
static const char *abstract(void)
{
	static char address[64];

	if (!*address)
		snprintf(address, sizeof(address), "@peal-unit-%ld", (long)getpid());
	return address;
}

START_TEST(an_abstract_address_is_served_and_leaves_nothing_behind)
	{
		struct peal_listener *second = NULL;

		for (int i = 0; i < 2; i++) {
			ck_assert_int_eq(peal_listen(&listener, abstract(), NULL), 0);
			expect_serves(abstract());
			expect_error(peal_listen(&second, abstract(), NULL), -EADDRINUSE,
				     "another server", "abstract address @", NULL);
			ck_assert_ptr_null(second);
			expect_serves(abstract());
			peal_listener_close(listener);
			expect_error(peal_connect(&wrong_link, abstract(), NULL, LONG),
				     -ECONNREFUSED, "abstract address @", "nothing there",
				     "network namespace", NULL);
		}
		ck_assert_int_ne(access(abstract(), F_OK), 0);
	}
END_TEST

START_TEST(an_abstract_address_is_free_at_once_however_many_are_queued)
	{
		struct caller callers[4];

		for (int i = 0; i < 20; i++) {
			ck_assert_msg(!peal_listen(&listener, abstract(), NULL), "%s",
				      peal_error());
			for (int j = 0; j < 4; j++)
				caller_start(&callers[j], abstract(), NULL, LONG);
			/* Their HELLO is in the queue, with its descriptor. */
			while (!stranger_hears(peal_listener_fd(listener)))
				sched_yield();
			peal_listener_close(listener);
			for (int j = 0; j < 4; j++) {
				caller_end(&callers[j]);
				ck_assert_msg(callers[j].err == -ECONNRESET ||
						      callers[j].err == -ECONNREFUSED,
					      "%d", callers[j].err);
			}
		}
	}
END_TEST

START_TEST(an_abstract_name_is_its_bytes_and_has_no_zero_at_its_end)
	{
		struct sockaddr_un name = { .sun_family = AF_UNIX };
		size_t length = strlen(abstract());
		int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

		memcpy(name.sun_path, abstract(), length);
		name.sun_path[0] = 0;
		ck_assert_int_eq(peal_listen(&listener, abstract(), NULL), 0);
		ck_assert_int_eq(
			connect(fd, (struct sockaddr *)&name,
				(socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
			0);
		close(fd);
		peal_listener_close(listener);
	}
END_TEST

START_TEST(an_abstract_name_has_1_to_107_bytes)
	{
		char address[1000] = "@";

		memset(address + 1, 'x', sizeof(address) - 2);
		expect_both_refuse(address, -ENAMETOOLONG, "998 bytes", "107");
		snprintf(address, sizeof(address), "%s-", abstract());
		memset(address + strlen(address), 'x', 109 - strlen(address));
		address[109] = 0;
		expect_both_refuse(address, -ENAMETOOLONG, "108 bytes", "107");
		address[108] = 0;
		ck_assert_int_eq(peal_listen(&listener, address, NULL), 0);
		expect_serves(address);
		peal_listener_close(listener);
		expect_both_refuse("@", -EINVAL, "abstract", "@peal");
	}
END_TEST

START_TEST(an_abstract_name_may_have_any_bytes_and_is_shown_escaped)
	{
		char address[100];

		snprintf(address, sizeof(address), "%s/a b\\\033\xff", abstract());
		ck_assert_int_eq(peal_listen(&listener, address, NULL), 0);
		expect_serves(address);
		peal_listener_close(listener);
		expect_error(peal_connect(&wrong_link, address, NULL, LONG), -ECONNREFUSED,
			     "/a b\\x5c\\x1b\\xff: ", NULL);
		/* So are the control characters of a path. */
		snprintf(address, sizeof(address), "%.40s/a\033b", folder.name);
		expect_error(peal_connect(&wrong_link, address, NULL, LONG), -ECONNREFUSED,
			     "/a\\x1bb: ", NULL);
		/* The longest is cut, and what to do is still said. */
		memset(address, '\033', sizeof(address));
		address[0] = '@';
		address[sizeof(address) - 1] = 0;
		expect_error(peal_connect(&wrong_link, address, NULL, LONG), -ECONNREFUSED,
			     "\\x1b...: nothing there", "start it", NULL);
	}
END_TEST

START_TEST(an_abstract_address_has_no_mode_and_no_group)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);

		options.mode = 0600;
		expect_error(peal_listen(&listener, abstract(), &options), -EINVAL, "no mode",
			     "options.allow", "0600", NULL);
		ck_assert_ptr_null(listener);
		options.mode = 0;
		options.socket_group = getegid() + 1;
		expect_error(peal_listen(&listener, abstract(), &options), -EINVAL, "no group",
			     "options.allow", NULL);
		ck_assert_ptr_null(listener);
	}
END_TEST

static const char *connect_as_nobody(void *address)
{
	const char *failed = become_nobody();
	int err;

	if (failed)
		return failed;
	err = peal_connect(&wrong_link, address, NULL, LONG);
	if (err != -EPERM || !strstr(peal_error(), "not admitted"))
		return wrong("connecting as another user gives %d", err);
	return NULL;
}

START_TEST(credentials_decide_at_an_abstract_address_as_at_a_path)
	{
		struct peal_link *link;
		struct child child;
		siginfo_t over = { .si_pid = 0 };

		if (geteuid() != 0) {
			skip("only root can be another user");
			return;
		}
		ck_assert_int_eq(peal_listen(&listener, abstract(), NULL), 0);
		child_start(&child, connect_as_nobody, (void *)(uintptr_t)abstract());
		/* It is refused while we wait for somebody else. */
		do {
			ck_assert_int_eq(peal_accept(listener, &link, MS), -ETIMEDOUT);
			waitid(P_PID, (id_t)child.pid, &over, WEXITED | WNOHANG | WNOWAIT);
		} while (!over.si_pid);
		child_end(&child);
		peal_listener_close(listener);
	}
END_TEST

/* As an ordinary user, too, where that may have a user namespace. */
static bool have_own_network(void)
{
	return !unshare(CLONE_NEWNET) || !unshare(CLONE_NEWUSER | CLONE_NEWNET);
}

static const char *connect_from_another_network(void *address)
{
	int err;

	if (!have_own_network())
		return wrong("unshare: %s", strerror(errno));
	err = peal_connect(&wrong_link, address, NULL, LONG);
	if (err != -ECONNREFUSED || !strstr(peal_error(), "in this network namespace"))
		return wrong("connecting from another network namespace gives %d", err);
	return NULL;
}

START_TEST(an_abstract_address_is_of_one_network_namespace)
	{
		if (!child_may(have_own_network)) {
			skip("a network namespace cannot be made here");
			return;
		}
		ck_assert_int_eq(peal_listen(&listener, abstract(), NULL), 0);
		child_run(connect_from_another_network, (void *)(uintptr_t)abstract());
		peal_listener_close(listener);
	}
END_TEST

/*
 * Descriptors.
 */

static const char *of_descriptor(int fd)
{
	static char address[32];

	snprintf(address, sizeof(address), "fd:%d", fd);
	return address;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

START_TEST(a_descriptor_that_listens_is_served_and_closed)
	{
		int fd = stranger_bind(folder.path, SOCK_SEQPACKET, 5);

		/* As it may come from elsewhere. */
		ck_assert_int_eq(fcntl(fd, F_SETFD, 0), 0);
		ck_assert_msg(!peal_listen(&listener, of_descriptor(fd), NULL), "%s", peal_error());
		ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
		ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
		expect_serves(folder.path);
		expect_serves(folder.path);
		peal_listener_close(listener);
		descriptors_expect(before);
		/* The name is its maker's to remove, and there is no lock file. */
		ck_assert_int_eq(folder_count(&folder), 1);
		expect_error(peal_connect(&wrong_link, folder.path, NULL, LONG), -ECONNREFUSED,
			     "ended", NULL);
	}
END_TEST

START_TEST(who_else_has_a_listening_descriptor_goes_on)
	{
		int fd = stranger_bind(folder.path, SOCK_SEQPACKET, 5), other = dup(fd), client;

		ck_assert_int_eq(peal_listen(&listener, of_descriptor(fd), NULL), 0);
		client = stranger_connect(folder.path);
		peal_listener_close(listener);
		close(stranger_accept(other));
		close(client);
		close(other);
	}
END_TEST

START_TEST(a_descriptor_that_is_connected_is_a_clients)
	{
		struct peal_link *server, *client;
		struct caller caller;
		int fd;

		ck_assert_int_eq(peal_listen(&listener, folder.path, NULL), 0);
		fd = stranger_connect(folder.path);
		ck_assert_int_eq(fcntl(fd, F_SETFD, 0), 0);
		caller_start(&caller, of_descriptor(fd), NULL, LONG);
		ck_assert_int_eq(peal_accept(listener, &server, LONG), 0);
		caller_end(&caller);
		ck_assert_msg(!caller.err, "%s", caller.sentence);
		client = caller.link;
		ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
		ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
		ck_assert_int_eq(peal_link_peer(server)->pid, getpid());
		ck_assert_int_eq(peal_send(peal_link_tx(client), "x", 1, 0, 0), 0);
		peal_close(client);
		ck_assert(!is_open(fd));
		ck_assert_int_eq(peal_recv(peal_link_rx(server), &(char){ 0 }, 1, NULL, LONG), 1);
		ck_assert_int_eq(peal_recv(peal_link_rx(server), &(char){ 0 }, 1, NULL, LONG),
				 -EPIPE);
		peal_close(server);
		peal_listener_close(listener);
	}
END_TEST

START_TEST(a_socket_whose_maker_wants_a_pidfd_with_each_message_leaves_none_open)
	{
		int fd = stranger_bind(folder.path, SOCK_SEQPACKET, 5), on = 1, client;
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct peal_link *server;
		struct caller caller;
		int count;

		if (setsockopt(fd, SOL_SOCKET, SO_PASSPIDFD, &on, sizeof(on))) {
			skip("no SO_PASSPIDFD here: %s", strerror(errno));
			close(fd);
			return;
		}
		options.bell = PEAL_BELL_SOCKET;
		ck_assert_int_eq(peal_listen(&listener, of_descriptor(fd), &options), 0);
		client = stranger_connect(folder.path);
		ck_assert_int_eq(setsockopt(client, SOL_SOCKET, SO_PASSPIDFD, &on, sizeof(on)), 0);
		caller_start(&caller, of_descriptor(client), &options, LONG);
		ck_assert_int_eq(peal_accept(listener, &server, LONG), 0);
		caller_end(&caller);
		ck_assert_msg(!caller.err, "%s", caller.sentence);
		/* Bells are messages, too. */
		ck_assert_int_ge(peal_link_fd(server), 0);
		count = descriptors_count();
		for (int i = 0; i < 10; i++) {
			ck_assert_int_eq(peal_link_arm(server, PEAL_DATA), 0);
			ck_assert_int_eq(peal_send(peal_link_tx(caller.link), "x", 1, 0, 0), 0);
			ck_assert_int_eq(peal_recv(peal_link_rx(server), &(char){ 0 }, 1, NULL, 0),
					 1);
		}
		ck_assert_int_eq(peal_link_arm(server, PEAL_DATA), 0);
		ck_assert_int_eq(descriptors_count(), count);
		peal_close(caller.link);
		peal_close(server);
		peal_listener_close(listener);
	}
END_TEST

/* It may be used again by then: those who pass descriptors by number make what they pass there. */
START_TEST(the_number_of_a_descriptor_is_free_when_who_had_it_is_closed)
	{
		int fd = stranger_bind(folder.path, SOCK_SEQPACKET, 5), client;
		struct peal_link *server;
		struct caller caller;

		ck_assert_int_eq(peal_listen(&listener, of_descriptor(fd), NULL), 0);
		client = stranger_connect(folder.path);
		caller_start(&caller, of_descriptor(client), NULL, LONG);
		ck_assert_int_eq(peal_accept(listener, &server, LONG), 0);
		caller_end(&caller);
		ck_assert_msg(!caller.err, "%s", caller.sentence);
		/* With something unread in it, which is closed aside. */
		ck_assert_int_ge(peal_link_fd(caller.link), 0);
		ck_assert_int_eq(peal_link_arm(caller.link, PEAL_DATA), 0);
		ck_assert_int_eq(peal_send(peal_link_tx(server), "x", 1, 0, 0), 0);
		ck_assert(stranger_hears(client));
		peal_close(caller.link);
		ck_assert(!is_open(client));
		peal_close(server);
		peal_listener_close(listener);
		ck_assert(!is_open(fd));
	}
END_TEST

static const char *look_at_descriptor(void *data)
{
	const int *fds = data;

	if (is_open(fds[0]))
		return wrong("the listener's descriptor is open");
	if (!is_open(fds[1]))
		return wrong("the caller's descriptor is closed");
	return NULL;
}

START_TEST(a_child_has_no_descriptor_that_was_taken_and_keeps_one_that_was_refused)
	{
		int fds[2] = { stranger_bind(folder.path, SOCK_SEQPACKET, 5), -1 };

		fds[1] = stranger_connect(folder.path);
		ck_assert_int_eq(peal_listen(&listener, of_descriptor(fds[0]), NULL), 0);
		expect_error(peal_connect(&wrong_link, of_descriptor(fds[1]), NULL, 1), -ETIMEDOUT,
			     NULL);
		child_run(look_at_descriptor, fds);
		ck_assert(is_open(fds[0]));
		close(fds[1]);
		peal_listener_close(listener);
	}
END_TEST

/* Neither side takes a descriptor, which stays open. */
static void expect_no_use(int fd, int err, const char *why)
{
	const char *address = of_descriptor(fd);
	char shown[32];
	bool open = is_open(fd);

	snprintf(shown, sizeof(shown), "descriptor %d is ", fd);
	expect_both_refuse(address, err, shown, why);
	ck_assert(is_open(fd) == open);
}

START_TEST(a_descriptor_of_another_kind_is_refused_and_stays_the_callers)
	{
		int ends[2], fd;

		expect_no_use(9999, -EBADF, "not open");
		ck_assert_int_eq(pipe(ends), 0);
		expect_no_use(ends[0], -ENOTSOCK, "no socket");
		close(ends[0]);
		close(ends[1]);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (fd >= 0)
			expect_no_use(fd, -EAFNOSUPPORT, "no Unix socket");
		close(fd);
		fd = stranger_bind(folder.path, SOCK_STREAM, 5);
		expect_no_use(fd, -EPROTOTYPE, "SOCK_SEQPACKET");
		close(fd);
		fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
		expect_error(peal_listen(&listener, of_descriptor(fd), NULL), -ENOTCONN,
			     "does not listen", "listen(2)", NULL);
		expect_error(peal_connect(&wrong_link, of_descriptor(fd), NULL, LONG), -ENOTCONN,
			     "not connected", NULL);
		ck_assert(is_open(fd));
		/* One that is refused is as it was. */
		ck_assert_int_eq(fcntl(fd, F_GETFD) | (fcntl(fd, F_GETFL) & O_NONBLOCK), 0);
		close(fd);
	}
END_TEST

START_TEST(a_server_needs_one_that_listens_and_a_client_one_that_does_not)
	{
		int fd = stranger_bind(folder.path, SOCK_SEQPACKET, 5);
		int client = stranger_connect(folder.path);

		expect_error(peal_connect(&wrong_link, of_descriptor(fd), NULL, LONG), -EINVAL,
			     "listens", "connected", NULL);
		expect_error(peal_listen(&listener, of_descriptor(client), NULL), -EINVAL,
			     "is connected", "listens", NULL);
		ck_assert(is_open(fd) && is_open(client));
		/* The handshake that fails leaves a client's to the caller, too. */
		expect_error(peal_connect(&wrong_link, of_descriptor(client), NULL, 5 * MS),
			     -ETIMEDOUT, "descriptor ", NULL);
		ck_assert(is_open(client));
		close(client);
		close(fd);
	}
END_TEST

START_TEST(what_is_no_number_is_no_descriptor)
	{
		static const char *const addresses[] = {
			"fd:",    "fd:x",  "fd:-1",         "fd:+3",
			"fd: 3",  "fd:3 ", "fd:2147483648", "fd:99999999999999999999",
			"fd:3/x",
		};

		for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
			expect_both_refuse(addresses[i], -EINVAL, addresses[i], "fd:3");
		expect_both_refuse("fd:2147483647", -EBADF, "2147483647", "not open");
	}
END_TEST

/*
 * Names.
 */

static struct folder own; /* what a name's folder is in the folder of the test */

static void set_up_names(void)
{
	set_up();
	snprintf(own.name, sizeof(own.name), "%.50s/peal", folder.name);
	snprintf(own.path, sizeof(own.path), "%s/echo", own.name);
	/* As root, the tests of users are nobody's. */
	if (geteuid() == 0)
		ck_assert_int_eq(chown(folder.name, NOBODY, NOBODY), 0);
}

static void tear_down_names(void)
{
	struct stat status;

	if (!lstat(own.name, &status) && S_ISDIR(status.st_mode))
		folder_remove(&own);
	tear_down();
}

/* For a child: an ordinary user, whose login has made this folder; NULL: none. */
static const char *become_user(const char *runtime)
{
	if (runtime ? setenv("XDG_RUNTIME_DIR", runtime, 1) : unsetenv("XDG_RUNTIME_DIR"))
		return wrong("the environment cannot be set");
	return geteuid() == 0 ? become_nobody() : NULL;
}

/* For a child: whether a call gave err and a sentence with both pieces in it; NULL: it did. */
static const char *check_words(int64_t result, int err, const char *one, const char *other)
{
	if (result != err)
		return wrong("%lld where %d is right", (long long)result, err);
	if (!strstr(peal_error(), one) || !strstr(peal_error(), other))
		return wrong("neither \"%s\" nor \"%s\" may be missing", one, other);
	return NULL;
}

static const char *serve_by_name(void *data)
{
	const mode_t *mask = data;
	const char *failed = become_user(folder.name);
	struct stat status;

	if (failed)
		return failed;
	umask(*mask);
	if (peal_listen(&listener, "echo", NULL))
		return wrong("listening");
	if (stat(own.name, &status) || (status.st_mode & 07777) != 0700)
		return wrong("%s has mode 0%o", own.name, status.st_mode & 07777);
	if (stat(own.path, &status) || (status.st_mode & 07777) != 0600)
		return wrong("%s has mode 0%o", own.path, status.st_mode & 07777);
	failed = serves("echo", NULL);
	if (!failed)
		failed = serves(own.path, NULL);
	if (!failed) {
		struct peal_listener *second;

		failed = check_words(peal_listen(&second, "echo", NULL), -EADDRINUSE, own.path,
				     "another server");
	}
	peal_listener_close(listener);
	if (!failed && !access(own.path, F_OK))
		return wrong("%s is left", own.path);
	return failed;
}

START_TEST(a_name_is_a_socket_in_a_folder_of_its_users)
	{
		static const mode_t masks[] = { 0, 022, 0177 };

		child_run(serve_by_name, (void *)(uintptr_t)&masks[_i]);
	}
END_TEST

static const char *look_for_folders(void *data)
{
	char longer[128];
	const char *failed = become_user(NULL);

	(void)data;
	if (!failed)
		failed = check_words(peal_listen(&listener, "echo", NULL), -ENOENT,
				     "XDG_RUNTIME_DIR is not set", "pass a path");
	/* Clients look into the other folder as well. */
	if (!failed)
		failed = check_words(peal_connect(&wrong_link, "peal-unit", NULL, LONG),
				     -ECONNREFUSED, "XDG_RUNTIME_DIR is not set",
				     "/run/peal/peal-unit: nothing there");
	setenv("XDG_RUNTIME_DIR", "run", 1);
	if (!failed)
		failed = check_words(peal_listen(&listener, "echo", NULL), -ENOENT, "root on",
				     "pass a path");
	snprintf(longer, sizeof(longer), "%s/missing", folder.name);
	setenv("XDG_RUNTIME_DIR", longer, 1);
	if (!failed)
		failed = check_words(peal_listen(&listener, "echo", NULL), -ENOENT, longer,
				     "make it");
	if (!failed)
		failed = check_words(peal_connect(&wrong_link, "peal-unit", NULL, LONG),
				     -ECONNREFUSED, longer, "/run/peal/peal-unit");
	memset(longer, 'x', sizeof(longer));
	longer[0] = '/';
	longer[sizeof(longer) - 1] = 0;
	setenv("XDG_RUNTIME_DIR", longer, 1);
	if (!failed)
		failed = check_words(peal_listen(&listener, "echo", NULL), -ENAMETOOLONG,
				     "XDG_RUNTIME_DIR", "107");
	return failed;
}

START_TEST(a_name_without_a_folder_is_told_what_to_set)
	{
		child_run(look_for_folders, NULL);
	}
END_TEST

/* What both sides say of a folder that is no user's own. */
static const char *refuse_folder(void *data)
{
	const char *why = data, *failed = become_user(folder.name);

	if (!failed)
		failed = check_words(peal_listen(&listener, "echo", NULL), -EPERM, "not safe", why);
	if (!failed)
		failed = check_words(peal_connect(&wrong_link, "echo", NULL, LONG), -EPERM,
				     "not safe", why);
	return failed;
}

static void expect_folder_refused(const char *why)
{
	child_run(refuse_folder, (void *)(uintptr_t)why);
}

/* A folder, that of names or another, with a mode that no umask changes, of the tests' user. */
static void make_folder(const char *name, mode_t mode)
{
	ck_assert_int_eq(mkdir(name, mode), 0);
	ck_assert_int_eq(chmod(name, mode), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(chown(name, NOBODY, NOBODY), 0);
}

START_TEST(a_folder_that_others_may_change_is_refused)
	{
		static const mode_t modes[] = { 0777, 01777, 0770, 0702 };
		char elsewhere[100];

		for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
			make_folder(own.name, modes[i]);
			expect_folder_refused("others may write");
			ck_assert_int_eq(rmdir(own.name), 0);
		}
		/* Nor one behind a link, which whoever made it may change. */
		snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", folder.name);
		make_folder(elsewhere, 0700);
		ck_assert_int_eq(symlink(elsewhere, own.name), 0);
		expect_folder_refused("symbolic link");
		ck_assert_int_eq(unlink(own.name), 0);
		ck_assert_int_eq(rmdir(elsewhere), 0);
		fclose(fopen(own.name, "we"));
		expect_folder_refused("is no folder");
		ck_assert_int_eq(unlink(own.name), 0);
		/* Or that can be replaced as a whole. */
		ck_assert_int_eq(chmod(folder.name, 0777), 0);
		expect_folder_refused("others may write");
		ck_assert_int_eq(folder_count(&folder), 0);
		ck_assert_int_eq(chmod(folder.name, 01777), 0);
		child_run(serve_by_name, &(mode_t){ 022 });
	}
END_TEST

START_TEST(a_folder_of_another_user_is_refused)
	{
		if (geteuid() != 0) {
			skip("only root can give a folder to another user");
			return;
		}
		ck_assert_int_eq(mkdir(own.name, 0700), 0);
		expect_folder_refused("belongs to user 0");
		ck_assert_int_eq(chown(own.name, 1, 1), 0);
		expect_folder_refused("belongs to user 1 ");
		ck_assert_int_eq(rmdir(own.name), 0);
		ck_assert_int_eq(chown(folder.name, 1, 1), 0);
		expect_folder_refused("belongs to user 1 ");
	}
END_TEST

START_TEST(what_is_no_name_is_refused)
	{
		static const char *const names[] = { ".",   "..",    ".echo", "a b", "a\n",
						     "a:b", "echo@", "~",     "a+",  "\xc3\xa4" };
		char longest[65];

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			expect_both_refuse(names[i], -EINVAL, "it is a name", "begin with ./");
		memset(longest, 'x', sizeof(longest));
		longest[64] = 0;
		expect_both_refuse(longest, -ENAMETOOLONG, "64 bytes", "1 to 63");
		longest[63] = 0;
		expect_error(peal_connect(&wrong_link, longest, NULL, LONG), -ECONNREFUSED,
			     "nothing there", longest, NULL);
	}
END_TEST

/* The system's server, whom all are to find, as another user sees it. */
static const char *find_the_systems(void *data)
{
	const char *failed = become_user(folder.name);
	struct peal_link *link;

	(void)data;
	for (int i = 0; !failed && i < 2; i++) {
		if (peal_connect(&link, "echo", NULL, LONG))
			return wrong("connecting");
		if (peal_link_peer(link)->uid != 0)
			return wrong("that is not the system's");
		peal_close(link);
		/* Again, with a socket of our own that somebody has left. */
		if (!i && mkdir(own.name, 0700))
			return wrong("mkdir %s", own.name);
		if (!i)
			stranger_leave(own.path, SOCK_SEQPACKET);
	}
	if (failed || peal_listen(&listener, "echo", NULL))
		return failed ? failed : wrong("listening");
	failed = serves("echo", NULL); /* here, not there */
	peal_listener_close(listener);
	return failed;
}

static const char *find_neither(void *data)
{
	const char *failed = become_user(folder.name);

	(void)data;
	stranger_leave(own.path, SOCK_SEQPACKET);
	if (!failed)
		failed = check_words(peal_connect(&wrong_link, "echo", NULL, LONG), -ECONNREFUSED,
				     "/peal/echo: the socket is left",
				     "/run/peal/echo: nothing there");
	return failed;
}

static const char *find_closed(void *data)
{
	const char *failed = become_user(folder.name);

	(void)data;
	if (!failed)
		failed = check_words(peal_connect(&wrong_link, "echo", NULL, LONG), -EACCES,
				     "/peal/echo: nothing there",
				     "no permission to connect to /run/peal/echo");
	return failed;
}

static bool have_own_run(void)
{
	return !unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("none", "/run", "tmpfs", 0, "size=1m,mode=0755");
}

/* With a /run of its own. */
static const char *serve_the_system(void *data)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	struct child user;
	struct stat status;
	const char *failed;

	(void)data;
	if (!have_own_run())
		return wrong("a /run of its own: %s", strerror(errno));
	umask(077);
	setenv("XDG_RUNTIME_DIR", folder.name, 1);
	/* Not what another user may change. */
	if (mkdir("/run/peal", 0755) || chown("/run/peal", NOBODY, NOBODY))
		return wrong("/run/peal");
	failed = check_words(peal_listen(&listener, "echo", NULL), -EPERM, "/run/peal",
			     "belongs to user 65534");
	/* Root's other folder is not that of whoever has become root. */
	if (!failed)
		failed = check_words(peal_connect(&wrong_link, "echo", NULL, LONG), -EPERM,
				     "/run/peal belongs to user 65534", folder.name);
	if (failed)
		return failed;
	rmdir("/run/peal");
	if (peal_listen(&listener, "echo", NULL))
		return wrong("listening as root");
	if (stat("/run/peal", &status) || (status.st_mode & 07777) != 0755 || status.st_uid)
		return wrong("/run/peal has mode 0%o", status.st_mode & 07777);
	failed = serves("echo", NULL);
	if (!failed)
		child_run(find_closed, NULL);
	peal_listener_close(listener);
	options.mode = 0666;
	options.allow = PEAL_ALLOW_ANYONE;
	if (failed || peal_listen(&listener, "echo", &options))
		return failed ? failed : wrong("listening as root");
	child_start(&user, find_the_systems, NULL);
	for (int i = 0; i < 2; i++) {
		struct peal_link *link;

		if (peal_accept(listener, &link, LONG) || peal_link_peer(link)->uid != NOBODY)
			return wrong("accepting the user");
		peal_close(link);
	}
	child_end(&user);
	peal_listener_close(listener);
	child_run(find_neither, NULL);
	return NULL;
}

START_TEST(roots_names_are_the_systems_and_users_look_for_their_own_first)
	{
		if (geteuid() != 0 || !child_may(have_own_run)) {
			skip("only root can have a /run of its own");
			return;
		}
		/* A socket is still being closed aside when the user's process is forked. */
		if (skip_emulated("threads in the child of a process with threads"))
			return;
		child_run(serve_the_system, NULL);
	}
END_TEST

/*
 * systemd's sockets.
 */

/* What systemd says of so many descriptors from 3 on. NULL: nothing. */
static void pass_sockets(const char *pid, const char *fds, const char *names)
{
	const char *const variables[][2] = { { "LISTEN_PID", pid },
					     { "LISTEN_FDS", fds },
					     { "LISTEN_FDNAMES", names } };

	for (size_t i = 0; i < 3; i++) {
		if (variables[i][1])
			setenv(variables[i][0], variables[i][1], 1);
		else
			unsetenv(variables[i][0]);
	}
}

static const char *own_pid(void)
{
	static char text[32];

	snprintf(text, sizeof(text), "%ld", (long)getpid());
	return text;
}

/* For a child: listening where what was passed is no good gives err and both pieces. */
static const char *check_passed(const char *address, int err, const char *one, const char *other)
{
	return check_words(peal_listen(&listener, address, NULL), err, one, other);
}

static const char *look_for_sockets(void *data)
{
	static const char *const counts[] = {
		"0", "-1", "", "x", "2147483647", "1 ", "99999999999999999999"
	};
	const char *failed;
	char parent[32], too_long[600] = "";

	(void)data;
	snprintf(parent, sizeof(parent), "%ld", (long)getppid());
	pass_sockets(NULL, NULL, NULL);
	failed = check_passed("systemd:", -ENOENT, "LISTEN_PID is not set", ".socket unit");
	pass_sockets(own_pid(), NULL, NULL);
	if (!failed)
		failed = check_passed("systemd:", -ENOENT, "LISTEN_FDS is not set", "unit");
	/* A child of the one that they are for. */
	pass_sockets(parent, "1", "echo");
	if (!failed)
		failed = check_passed("systemd:", -ENOENT, parent, own_pid());
	for (size_t i = 0; !failed && i < sizeof(counts) / sizeof(counts[0]); i++) {
		pass_sockets(own_pid(), counts[i], NULL);
		failed = check_passed("systemd:", -ENOENT, "LISTEN_FDS", counts[i]);
	}
	pass_sockets(own_pid(), "3", "one:two:two");
	if (!failed)
		failed = check_passed("systemd:", -EINVAL, "one:two:two", "systemd:NAME");
	if (!failed)
		failed = check_passed("systemd:two", -EINVAL, "one:two:two", "FileDescriptorName=");
	if (!failed)
		failed = check_passed("systemd:tw", -ENOENT, "systemd:tw:", "one:two:two");
	memset(too_long, 'n', sizeof(too_long) - 1);
	memcpy(too_long, "systemd:", 8);
	if (!failed)
		failed = check_passed(too_long, -ENAMETOOLONG, "FileDescriptorName=", "at most");
	pass_sockets(own_pid(), "2147483644", NULL);
	if (!failed)
		failed = check_passed("systemd:two", -ENOENT, "systemd:two:", "nothing");
	if (!failed)
		failed = check_passed("systemd:", -EINVAL, "more than one", "without names");
	/* More descriptors than names, and more names. */
	pass_sockets(own_pid(), "9", "one");
	if (!failed)
		failed = check_passed("systemd:two", -ENOENT, "one", "9 sockets");
	pass_sockets(own_pid(), "1", "one:two");
	if (!failed)
		failed = check_passed("systemd:two", -ENOENT, "one:two", "1 sockets");
	return failed;
}

START_TEST(systemds_variables_are_read_as_it_means_them)
	{
		child_run(look_for_sockets, NULL);
		expect_error(peal_connect(&wrong_link, "systemd:", NULL, LONG), -EINVAL,
			     "for servers", NULL);
		expect_error(peal_connect(&wrong_link, "systemd:echo/echo", NULL, LONG), -EINVAL,
			     "systemd:echo/echo is", NULL);
	}
END_TEST

/* Passes a descriptor as "echo", behind as many others as its number takes. */
static void pass_one(int fd)
{
	char count[16], names[1024];
	int length = 0;

	for (int i = 3; i < fd && length < 1000; i++)
		length += snprintf(names + length, sizeof(names) - (size_t)length, "x:");
	snprintf(names + length, sizeof(names) - (size_t)length, "echo");
	snprintf(count, sizeof(count), "%d", fd - 2);
	pass_sockets(own_pid(), count, names);
}

static const char *serve_a_passed_one(void *data)
{
	const int *fd = data;
	const char *failed = NULL;

	pass_one(*fd);
	fcntl(*fd, F_SETFD, 0);
	/* Again and again: it stays with us, and systemd. */
	for (int i = 0; !failed && i < 3; i++) {
		if (peal_listen(&listener, "systemd:echo", NULL))
			return wrong("listening");
		failed = serves(folder.path, NULL);
		peal_listener_close(listener);
	}
	if (!failed && (fcntl(*fd, F_GETFD) != FD_CLOEXEC || !getenv("LISTEN_PID")))
		return wrong("the descriptor or the variables are not as they should be");
	return failed;
}

START_TEST(a_socket_from_systemd_is_served_and_stays_open)
	{
		int fd = stranger_bind(folder.path, SOCK_SEQPACKET, 5);

		child_run(serve_a_passed_one, &fd);
		close(fd);
	}
END_TEST

static const char *refuse_passed_ones(void *data)
{
	const int *fds = data;
	const char *failed;

	pass_one(fds[0]);
	failed = check_passed("systemd:echo", -EPROTOTYPE, "systemd's descriptor",
			      "ListenSequentialPacket=");
	pass_one(fds[1]);
	if (!failed)
		failed = check_passed("systemd:echo", -EINVAL, "is connected", "Accept=no");
	return failed;
}

START_TEST(a_socket_of_another_kind_is_told_what_its_unit_should_say)
	{
		int fds[2] = { stranger_bind(folder.path, SOCK_STREAM, 5), -1 }, fd;

		unlink(folder.path);
		fd = stranger_bind(folder.path, SOCK_SEQPACKET, 5);
		fds[1] = stranger_connect(folder.path);
		child_run(refuse_passed_ones, fds);
		close(fd);
		close(fds[0]);
		close(fds[1]);
	}
END_TEST

/* What systemd does for a service: descriptors from 3 on, the variables, exec. */
static pid_t start_service(int fd, char *address)
{
	char server[256];
	pid_t pid;

	snprintf(server, sizeof(server), "%s", runner_built("examples/echo-server"));
	pid = fork();
	if (!pid) {
		/* The first is another one. */
		fd = fcntl(fd, F_DUPFD, 5);
		if (dup2(open("/dev/null", O_RDWR), STDERR_FILENO) == STDERR_FILENO &&
		    dup2(STDERR_FILENO, 3) == 3 && dup2(fd, 4) == 4) {
			pass_sockets(own_pid(), "2", "other:echo");
			runner_exec(server, (char *[]){ server, address, NULL });
		}
		_exit(127);
	}
	ck_assert_int_gt(pid, 0);
	return pid;
}

START_TEST(a_service_is_started_with_its_socket)
	{
		int fd = stranger_bind(folder.path, SOCK_SEQPACKET, 5), status;
		char address[] = "systemd:echo";
		pid_t pid = start_service(fd, address);
		struct peal_link *link;
		char text[8] = "";

		/* Who comes before it waits in the socket. */
		ck_assert_msg(!peal_connect(&link, folder.path, NULL, LONG), "%s", peal_error());
		ck_assert_int_eq(peal_link_peer(link)->pid, pid);
		ck_assert_int_eq(peal_send(peal_link_tx(link), "ding", 4, 0, LONG), 0);
		ck_assert_int_eq(peal_recv(peal_link_rx(link), text, sizeof(text), NULL, LONG), 4);
		ck_assert_str_eq(text, "ding");
		peal_close(link);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		close(fd);
	}
END_TEST

/*
 * Raised privileges.
 */

#define USER 12345

/* Of a program that has got no other user's rights when it was started. */
#define UNPRIVILEGED 77

/* The program that is started: what it makes of variables that its user has set. */
static int main_privileged(void)
{
	const char *failed;

	if (!getauxval(AT_SECURE))
		return UNPRIVILEGED;
	failed = check_words(peal_listen(&listener, "echo", NULL), -ENOENT,
			     "XDG_RUNTIME_DIR is not set", "raised privileges");
	if (!failed)
		failed = check_words(peal_connect(&wrong_link, "peal-unit", NULL, LONG),
				     -ECONNREFUSED, "XDG_RUNTIME_DIR is not set",
				     "/run/peal/peal-unit");
	if (!failed)
		failed = check_passed("systemd:", -ENOENT, "LISTEN_PID is not set",
				      "raised privileges");
	if (failed)
		fprintf(stderr, "%s\n", failed);
	return failed ? 1 : 0;
}

/* A copy of this program that runs as nobody, whoever starts it. */
static void make_privileged(const char *path)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);

	ck_assert_int_ge(from, 0);
	ck_assert_int_ge(to, 0);
	while (sendfile(to, from, NULL, 1 << 20) > 0)
		;
	ck_assert_int_eq(fchown(to, NOBODY, NOBODY), 0);
	ck_assert_int_eq(fchmod(to, 04755), 0);
	close(from);
	close(to);
}

START_TEST(a_program_with_raised_privileges_goes_by_no_variable)
	{
		char program[100];
		int fd, status = -1;
		pid_t pid;

		if (geteuid() != 0 || runner_burdened()) {
			skip("only root, without a sanitizer or an emulator, can make a program "
			     "of nobody's");
			return;
		}
		snprintf(program, sizeof(program), "%s/program", folder.name);
		make_privileged(program);
		fd = stranger_bind(folder.path, SOCK_SEQPACKET, 5);
		pid = fork();
		if (!pid) {
			/* Nobody's folder, and a socket: all is well, but for who says so. */
			pass_sockets(own_pid(), "1", "echo");
			setenv("XDG_RUNTIME_DIR", folder.name, 1);
			fd = fcntl(fd, F_DUPFD, 4);
			if (dup2(fd, 3) == 3 && !setgroups(0, NULL) && !setgid(USER) &&
			    !setuid(USER))
				execl(program, program, "privileged", NULL);
			_exit(127);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		close(fd);
		if (WIFEXITED(status) && WEXITSTATUS(status) == UNPRIVILEGED)
			skip("programs get no other user's rights in %s", folder.name);
		else
			ck_assert_int_eq(status, 0);
	}
END_TEST

/*
 * The mode and the group of a socket.
 */

static bool have_no_proc(void)
{
	static const struct filter none = { .call = SYS_fchmodat2, .err = ENOSYS };

	return !unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("none", "/proc", "tmpfs", 0, "size=4k") && filter_install(&none);
}

/* As before Linux 6.6. */
static const char *serve_without_fchmodat2(void *data)
{
	static const struct filter none = { .call = SYS_fchmodat2, .err = ENOSYS };
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	struct stat status;

	(void)data;
	options.mode = 0666;
	if (!filter_install(&none))
		return wrong("no filter: %s", strerror(errno));
	umask(022);
	if (peal_listen(&listener, folder.path, &options))
		return wrong("listening");
	if (stat(folder.path, &status) || (status.st_mode & 07777) != 0666)
		return wrong("the socket has mode 0%o", status.st_mode & 07777);
	peal_listener_close(listener);
	return NULL;
}

static const char *serve_without_proc(void *data)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	const char *failed;

	(void)data;
	options.mode = 0666;
	if (!have_no_proc())
		return wrong("no /proc of its own: %s", strerror(errno));
	umask(022);
	failed = check_words(peal_listen(&listener, folder.path, &options), -ENOSYS, "mode 0666",
			     "umask");
	if (!failed && !access(folder.path, F_OK))
		return wrong("%s is left", folder.path);
	umask(0);
	if (failed || peal_listen(&listener, folder.path, &options))
		return failed ? failed : wrong("listening");
	peal_listener_close(listener);
	return NULL;
}

START_TEST(an_older_kernel_gives_a_socket_its_mode_by_way_of_proc)
	{
		if (!child_may(have_no_proc)) {
			skip("nobody here can have a /proc of his own, or a filter");
			return;
		}
		child_run(serve_without_fchmodat2, NULL);
		child_run(serve_without_proc, NULL);
	}
END_TEST

#define GROUP 54321

/* For a child: somebody who is in a group besides his own, or not. */
static const char *knock(bool member)
{
	struct peal_link *link;
	gid_t group = GROUP;
	int err;

	if (setgroups(member, &group) || setegid(NOBODY) || seteuid(NOBODY))
		return wrong("becoming nobody: %s", strerror(errno));
	err = peal_connect(&link, folder.path, NULL, LONG);
	if (err)
		return check_words(err, member ? 0 : -EACCES, "no permission", folder.path);
	peal_close(link);
	return member ? NULL : wrong("a stranger to the group gets in");
}

static const char *knock_as_member(void *data)
{
	(void)data;
	return knock(true);
}

static const char *knock_as_stranger(void *data)
{
	(void)data;
	return knock(false);
}

START_TEST(a_socket_is_given_to_a_group)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct peal_link *link;
		struct child member;
		struct stat status;
		mode_t was = umask(_i ? 077 : 0);

		/* Any group, or one of our own. */
		options.socket_group = options.group = geteuid() ? getegid() : GROUP;
		options.allow = PEAL_ALLOW_GROUP;
		options.mode = 0660;
		ck_assert_msg(!peal_listen(&listener, folder.path, &options), "%s", peal_error());
		umask(was);
		ck_assert_int_eq(lstat(folder.path, &status), 0);
		ck_assert_uint_eq(status.st_gid, options.socket_group);
		ck_assert_uint_eq(status.st_mode & 07777, 0660);
		if (geteuid() == 0)
			child_run(knock_as_stranger, NULL);
		if (geteuid() == 0 && !skip_emulated("SO_PEERGROUPS")) {
			child_start(&member, knock_as_member, NULL);
			ck_assert_int_eq(peal_accept(listener, &link, LONG), 0);
			child_end(&member);
			peal_close(link);
		}
		peal_listener_close(listener);
	}
END_TEST

static const char *give_to_strangers(void *data)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	const char *failed = become_user(NULL);

	(void)data;
	options.socket_group = GROUP;
	if (!failed)
		failed = check_words(peal_listen(&listener, folder.path, &options), -EPERM, "54321",
				     "options.socket_group");
	if (!failed && !access(folder.path, F_OK))
		return wrong("%s is left", folder.path);
	return failed;
}

START_TEST(a_group_that_the_user_is_not_in_is_refused)
	{
		if (geteuid() == 0)
			ck_assert_int_eq(chown(folder.name, NOBODY, NOBODY), 0);
		child_run(give_to_strangers, NULL);
	}
END_TEST

START_TEST(what_stands_in_a_sockets_place_is_not_given_away)
	{
		char link[120];
		struct stat status;
		FILE *file = fopen(folder.path, "we");

		/* Whoever may write the folder could put it there, behind our back. */
		fclose(file);
		ck_assert_int_eq(chmod(folder.path, 0600), 0);
		snprintf(link, sizeof(link), "%s.link", folder.path);
		ck_assert_int_eq(symlink(folder.path, link), 0);
		ck_assert_int_eq(platform_give(folder.path, 0666, getegid() + 1), -EEXIST);
		ck_assert_int_eq(platform_give(link, 0666, getegid() + 1), -EEXIST);
		ck_assert_int_eq(stat(folder.path, &status), 0);
		ck_assert_uint_eq(status.st_mode & 07777, 0600);
		ck_assert_uint_ne(status.st_gid, getegid() + 1);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("forms");
	TCase *names = tcase_create("abstract"), *descriptors = tcase_create("descriptors");
	TCase *folders = tcase_create("names"), *services = tcase_create("systemd");
	TCase *groups = tcase_create("groups");

	tcase_add_checked_fixture(names, set_up, tear_down);
	tcase_set_timeout(names, 30);
	tcase_add_test(names, an_abstract_address_is_served_and_leaves_nothing_behind);
	tcase_add_test(names, an_abstract_address_is_free_at_once_however_many_are_queued);
	tcase_add_test(names, an_abstract_name_is_its_bytes_and_has_no_zero_at_its_end);
	tcase_add_test(names, an_abstract_name_has_1_to_107_bytes);
	tcase_add_test(names, an_abstract_name_may_have_any_bytes_and_is_shown_escaped);
	tcase_add_test(names, an_abstract_address_has_no_mode_and_no_group);
	tcase_add_test(names, credentials_decide_at_an_abstract_address_as_at_a_path);
	tcase_add_test(names, an_abstract_address_is_of_one_network_namespace);
	suite_add_tcase(s, names);

	tcase_add_checked_fixture(descriptors, set_up, tear_down);
	tcase_set_timeout(descriptors, 30);
	tcase_add_test(descriptors, a_descriptor_that_listens_is_served_and_closed);
	tcase_add_test(descriptors, who_else_has_a_listening_descriptor_goes_on);
	tcase_add_test(descriptors, a_descriptor_that_is_connected_is_a_clients);
	tcase_add_test(descriptors,
		       a_socket_whose_maker_wants_a_pidfd_with_each_message_leaves_none_open);
	tcase_add_test(descriptors, the_number_of_a_descriptor_is_free_when_who_had_it_is_closed);
	tcase_add_test(descriptors,
		       a_child_has_no_descriptor_that_was_taken_and_keeps_one_that_was_refused);
	tcase_add_test(descriptors, a_descriptor_of_another_kind_is_refused_and_stays_the_callers);
	tcase_add_test(descriptors, a_server_needs_one_that_listens_and_a_client_one_that_does_not);
	tcase_add_test(descriptors, what_is_no_number_is_no_descriptor);
	suite_add_tcase(s, descriptors);

	tcase_add_checked_fixture(folders, set_up_names, tear_down_names);
	tcase_set_timeout(folders, 30);
	tcase_add_loop_test(folders, a_name_is_a_socket_in_a_folder_of_its_users, 0, 3);
	tcase_add_test(folders, a_name_without_a_folder_is_told_what_to_set);
	tcase_add_test(folders, a_folder_that_others_may_change_is_refused);
	tcase_add_test(folders, a_folder_of_another_user_is_refused);
	tcase_add_test(folders, what_is_no_name_is_refused);
	tcase_add_test(folders, roots_names_are_the_systems_and_users_look_for_their_own_first);
	tcase_add_test(folders, a_program_with_raised_privileges_goes_by_no_variable);
	suite_add_tcase(s, folders);

	tcase_add_checked_fixture(services, set_up, tear_down);
	tcase_set_timeout(services, 30);
	tcase_add_test(services, systemds_variables_are_read_as_it_means_them);
	tcase_add_test(services, a_socket_from_systemd_is_served_and_stays_open);
	tcase_add_test(services, a_socket_of_another_kind_is_told_what_its_unit_should_say);
	tcase_add_test(services, a_service_is_started_with_its_socket);
	suite_add_tcase(s, services);

	tcase_add_checked_fixture(groups, set_up, tear_down);
	tcase_set_timeout(groups, 30);
	tcase_add_test(groups, an_older_kernel_gives_a_socket_its_mode_by_way_of_proc);
	tcase_add_loop_test(groups, a_socket_is_given_to_a_group, 0, 2);
	tcase_add_test(groups, a_group_that_the_user_is_not_in_is_refused);
	tcase_add_test(groups, what_stands_in_a_sockets_place_is_not_given_away);
	suite_add_tcase(s, groups);
	return s;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "privileged"))
		return main_privileged();
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
