/*
 * SPDX-License-Identifier: MIT
 *
 * The forms of addresses besides the path: how each is understood, served from end to end, and
 * refused. What can stand at a path is in address.c.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
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

/* Whether a child of ours may have namespaces of its own. */
static bool may_unshare(int namespaces)
{
	pid_t child = fork();
	int status = 1;

	if (!child)
		_exit(unshare(namespaces) ? 1 : 0);
	return waitpid(child, &status, 0) == child && status == 0;
}

/*
 * Abstract addresses.
 */

/* One that no other run of these tests has. */
static const char *abstract(void)
{
	static char address[64];

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
				ck_assert(callers[j].err == -ECONNRESET ||
					  callers[j].err == -ECONNREFUSED);
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

START_TEST(an_abstract_address_has_no_mode)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);

		options.mode = 0600;
		expect_error(peal_listen(&listener, abstract(), &options), -EINVAL, "no mode",
			     "options.allow", "0600", NULL);
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

static const char *connect_from_another_network(void *address)
{
	int err;

	if (unshare(CLONE_NEWNET))
		return wrong("unshare: %s", strerror(errno));
	err = peal_connect(&wrong_link, address, NULL, LONG);
	if (err != -ECONNREFUSED || !strstr(peal_error(), "in this network namespace"))
		return wrong("connecting from another network namespace gives %d", err);
	return NULL;
}

START_TEST(an_abstract_address_is_of_one_network_namespace)
	{
		if (!may_unshare(CLONE_NEWNET)) {
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

static Suite *suite(void)
{
	Suite *s = suite_create("forms");
	TCase *names = tcase_create("abstract"), *descriptors = tcase_create("descriptors");

	tcase_add_checked_fixture(names, set_up, tear_down);
	tcase_set_timeout(names, 30);
	tcase_add_test(names, an_abstract_address_is_served_and_leaves_nothing_behind);
	tcase_add_test(names, an_abstract_address_is_free_at_once_however_many_are_queued);
	tcase_add_test(names, an_abstract_name_is_its_bytes_and_has_no_zero_at_its_end);
	tcase_add_test(names, an_abstract_name_has_1_to_107_bytes);
	tcase_add_test(names, an_abstract_name_may_have_any_bytes_and_is_shown_escaped);
	tcase_add_test(names, an_abstract_address_has_no_mode);
	tcase_add_test(names, credentials_decide_at_an_abstract_address_as_at_a_path);
	tcase_add_test(names, an_abstract_address_is_of_one_network_namespace);
	suite_add_tcase(s, names);

	tcase_add_checked_fixture(descriptors, set_up, tear_down);
	tcase_set_timeout(descriptors, 30);
	tcase_add_test(descriptors, a_descriptor_that_listens_is_served_and_closed);
	tcase_add_test(descriptors, who_else_has_a_listening_descriptor_goes_on);
	tcase_add_test(descriptors, a_descriptor_that_is_connected_is_a_clients);
	tcase_add_test(descriptors, a_descriptor_of_another_kind_is_refused_and_stays_the_callers);
	tcase_add_test(descriptors, a_server_needs_one_that_listens_and_a_client_one_that_does_not);
	tcase_add_test(descriptors, what_is_no_number_is_no_descriptor);
	suite_add_tcase(s, descriptors);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
