/*
 * SPDX-License-Identifier: MIT
 *
 * Telling who started this process how it is. The one who wants to know is the test.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "platform/platform.h"
#include "tests/unit/stage.h"

static struct folder folder;
static int before;

static void set_up(void)
{
	folder_make(&folder);
	before = descriptors_count();
}

static void tear_down(void)
{
	descriptors_expect(before);
	folder_remove(&folder);
	unsetenv("NOTIFY_SOCKET");
}

/* A socket with such a name ("@": abstract), which NOTIFY_SOCKET has from now on. */
static int named(int type, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(name);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_uint_le(length, sizeof(address.sun_path));
	memcpy(address.sun_path, name, length);
	if (*name == '@')
		address.sun_path[0] = 0;
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
			 0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
	return fd;
}

static void expect_told(int fd, const char *state)
{
	char text[64];
	ssize_t length = recv(fd, text, sizeof(text), 0);

	ck_assert_int_eq(length, (ssize_t)strlen(state));
	ck_assert_mem_eq(text, state, strlen(state));
	ck_assert_int_eq(recv(fd, text, sizeof(text), 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

START_TEST(who_is_at_a_path_is_told_each_state_in_a_message_of_its_own)
	{
		int fd = named(SOCK_DGRAM, folder.path);

		ck_assert_int_eq(platform_notify("READY=1"), 1);
		expect_told(fd, "READY=1");
		ck_assert_int_eq(platform_notify("STOPPING=1\nSTATUS=so long"), 1);
		expect_told(fd, "STOPPING=1\nSTATUS=so long");
		close(fd);
	}
END_TEST

START_TEST(an_abstract_name_is_all_of_its_bytes)
	{
		char name[109];
		int fd;

		snprintf(name, sizeof(name), "@peal-notify-%d", (int)getpid());
		memset(name + strlen(name), '.', sizeof(name) - 1 - strlen(name));
		name[sizeof(name) - 1] = 0;
		fd = named(SOCK_DGRAM, name);
		ck_assert_int_eq(platform_notify("READY=1"), 1);
		expect_told(fd, "READY=1");
		close(fd);
	}
END_TEST

START_TEST(it_is_no_error_that_nobody_wants_to_know)
	{
		unsetenv("NOTIFY_SOCKET");
		ck_assert_int_eq(platform_notify("READY=1"), 0);
		setenv("NOTIFY_SOCKET", "", 1);
		ck_assert_int_eq(platform_notify("READY=1"), 0);
	}
END_TEST

START_TEST(one_who_cannot_be_told_is_an_error)
	{
		char name[256] = "/";

		setenv("NOTIFY_SOCKET", folder.path, 1);
		ck_assert_int_eq(platform_notify("READY=1"), -ENOENT);
		close(named(SOCK_DGRAM, folder.path));
		ck_assert_int_eq(platform_notify("READY=1"), -ECONNREFUSED);
		setenv("NOTIFY_SOCKET", "relative", 1);
		ck_assert_int_eq(platform_notify("READY=1"), -EAFNOSUPPORT);
		setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
		ck_assert_int_eq(platform_notify("READY=1"), -EAFNOSUPPORT);
		memset(name + 1, 'x', 107);
		setenv("NOTIFY_SOCKET", name, 1);
		ck_assert_int_eq(platform_notify("READY=1"), -ENAMETOOLONG);
	}
END_TEST

START_TEST(only_datagrams_will_do)
	{
		int fd = named(SOCK_SEQPACKET, folder.path);

		ck_assert_int_eq(listen(fd, 1), 0);
		ck_assert_int_eq(platform_notify("READY=1"), -EPROTOTYPE);
		close(fd);
	}
END_TEST

START_TEST(one_who_does_not_listen_is_not_waited_for)
	{
		int fd = named(SOCK_DGRAM, folder.path), told = 0, err;

		/* The system lets some 10 datagrams wait, or 4096 at most where somebody set so. */
		while ((err = platform_notify("WATCHDOG=1")) == 1 && told < 100000)
			told++;
		ck_assert_int_eq(err, -EAGAIN);
		ck_assert_int_gt(told, 0);
		close(fd);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("notify");
	TCase *tcase = tcase_create("notify");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, who_is_at_a_path_is_told_each_state_in_a_message_of_its_own);
	tcase_add_test(tcase, an_abstract_name_is_all_of_its_bytes);
	tcase_add_test(tcase, it_is_no_error_that_nobody_wants_to_know);
	tcase_add_test(tcase, one_who_cannot_be_told_is_an_error);
	tcase_add_test(tcase, only_datagrams_will_do);
	tcase_add_test(tcase, one_who_does_not_listen_is_not_waited_for);
	suite_add_tcase(s, tcase);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
