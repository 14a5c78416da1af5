/*
 * SPDX-License-Identifier: MIT
 *
 * Who gets in and who does not when there are limits, who has to wait when more knock than there
 * are seats for, and the segments that a listener makes ready ahead. The clock and the users are
 * the test's own. White-box in that it knows the messages, and what the library does for its
 * servers.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/admission.h"
#include "lib/handshake.h"
#include "lib/listen.h"
#include "lib/options.h"
#include "tests/unit/stage.h"
#include "tests/unit/stranger.h"

static struct folder folder;
static struct peal_listener *listener;
static struct segment segment; /* the strangers' */
static int before;

/* The time; 0: what the system says. */
static uint64_t clock_ns;

uint64_t __real_platform_now(void);
uint64_t __wrap_platform_now(void);
uint64_t __wrap_platform_now(void)
{
	return clock_ns ? clock_ns : __real_platform_now();
}

/* Who those are who knock, in their order; they are accepted in the same. */
#define KNOCKS 1024u
static uint32_t users[KNOCKS];
static unsigned knocked, seen;

int __wrap_platform_peer(int fd, struct platform_credentials *peer);
int __wrap_platform_peer(int fd, struct platform_credentials *peer)
{
	(void)fd;
	ck_assert_uint_lt(seen, knocked);
	*peer = (struct platform_credentials){ .pid = 1, .uid = users[seen++ % KNOCKS] };
	return 0;
}

static void set_up(void)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 4 * stage_page());

	clock_ns = 0;
	knocked = seen = 0;
	folder_make(&folder);
	before = descriptors_settled();
	ck_assert_int_eq(segment_create(&segment, &options, 0), 0);
	options.allow = PEAL_ALLOW_ANYONE;
	options.handshake_ns = (uint64_t)LONG;
	ck_assert_msg(!peal_listen(&listener, folder.path, &options), "%s", peal_error());
}

static void tear_down(void)
{
	peal_listener_close(listener);
	segment_close_descriptors(&segment);
	segment_destroy(&segment);
	descriptors_expect(before);
	folder_remove(&folder);
}

static int knock(uint32_t user)
{
	users[knocked++ % KNOCKS] = user;
	return stranger_connect(folder.path);
}

static void say_hello(int fd)
{
	struct link_plan plan = { .own = segment, .own_eventfd = -1, .peer_eventfd = -1 };
	struct platform_parcel parcel = { .count = 0 };
	struct peal_options options;
	struct wire_message hello;

	ck_assert_int_eq(options_take(&options, NULL), 0);
	options.flags = PEAL_DISTRUST_PEER;
	wire_fill(&hello, WIRE_HELLO, &options, CAPACITY_MAX, &plan, &parcel);
	stranger_say(fd, &hello, sizeof(hello), segment.fd, 1);
}

static void expect_nobody(void)
{
	struct peal_link *link;

	expect_error(peal_accept(listener, &link, 0), -EAGAIN, NULL);
}

/* What number the segment has that a client was given. */
static ino_t expect_welcome(int fd)
{
	struct wire_message answer;
	struct stat status;
	int given;

	ck_assert_int_eq(stranger_hear(fd, &answer, sizeof(answer), &given), sizeof(answer));
	ck_assert_msg(answer.type == WIRE_WELCOME, "refused: %s", answer.text);
	ck_assert_int_eq(fstat(given, &status), 0);
	close(given);
	return status.st_ino;
}

static void expect_refusal(int fd, int err, const char *said, const char *limit)
{
	struct wire_message answer;

	ck_assert_int_eq(stranger_hear(fd, &answer, sizeof(answer), NULL), sizeof(answer));
	ck_assert_uint_eq(answer.type, WIRE_REFUSE);
	expect_words(-(int64_t)answer.code, answer.text, err, said, limit, NULL);
	ck_assert_int_eq(stranger_hear(fd, &answer, sizeof(answer), NULL), 0);
	close(fd);
}

/* A client of a user, who is in. */
struct client {
	uint32_t user;
	int fd;
	struct peal_link *link;
};

static void come_in(struct client *client, uint32_t user)
{
	client->user = user;
	client->fd = knock(user);
	say_hello(client->fd);
	ck_assert_msg(!peal_accept(listener, &client->link, 0), "%s", peal_error());
	expect_welcome(client->fd);
}

static void leave(struct client *client)
{
	close(client->fd);
	peal_close(client->link);
	listen_forget(listener, client->user);
}

static void stay_out(uint32_t user, const char *said, const char *limit)
{
	int fd = knock(user);

	expect_nobody();
	expect_refusal(fd, -EBUSY, said, limit);
}

START_TEST(there_are_no_more_clients_at_the_same_time_than_the_limit)
	{
		static const struct listen_limits limits = { .clients = 2 };
		struct client clients[2];

		listen_limit(listener, &limits);
		come_in(&clients[0], 1);
		come_in(&clients[1], 2);
		stay_out(3, "2 clients", "limit");
		stay_out(1, "2 clients", "raise");
		leave(&clients[0]);
		come_in(&clients[0], 3);
		stay_out(1, "2 clients", "limit");
		ck_assert_uint_eq(listen_refused(listener), 3);
		leave(&clients[0]);
		leave(&clients[1]);
	}
END_TEST

START_TEST(one_user_has_no_more_clients_than_the_limit_and_others_do_not_notice)
	{
		static const struct listen_limits limits = { .per_user = 2 };
		struct client clients[4];

		listen_limit(listener, &limits);
		come_in(&clients[0], 1);
		come_in(&clients[1], 1);
		stay_out(1, "2 clients of user 1,", "limit");
		/* Of the same chain. */
		come_in(&clients[2], 1 + (ADMISSION_CHAINS << 16));
		leave(&clients[1]);
		come_in(&clients[1], 1);
		come_in(&clients[3], 0);
		stay_out(1, "2 clients of user 1,", "raise");
		ck_assert_uint_eq(listen_refused(listener), 2);
		for (int i = 0; i < 4; i++)
			leave(&clients[i]);
	}
END_TEST

START_TEST(those_who_have_not_said_anything_count_too)
	{
		static const struct listen_limits limits = { .clients = 3, .per_user = 2 };
		struct client client;
		int fds[2];

		listen_limit(listener, &limits);
		fds[0] = knock(1);
		fds[1] = knock(1);
		expect_nobody();
		stay_out(1, "2 clients of user 1,", "limit");
		come_in(&client, 2);
		stay_out(3, "3 clients", "limit");
		close(fds[0]);
		expect_nobody();
		leave(&client);
		come_in(&client, 1);
		leave(&client);
		/* Who talks nonsense has gone, too. */
		stranger_say(fds[1], "", 1, -1, 0);
		expect_nobody();
		come_in(&client, 1);
		fds[0] = knock(1);
		expect_nobody();
		stay_out(1, "2 clients of user 1,", "limit");
		close(fds[0]);
		close(fds[1]);
		leave(&client);
	}
END_TEST

START_TEST(without_limits_nobody_is_counted)
	{
		struct client clients[8];

		for (int i = 0; i < 8; i++)
			come_in(&clients[i], 1);
		for (int i = 0; i < 8; i++) {
			close(clients[i].fd);
			peal_close(clients[i].link);
		}
		ck_assert_uint_eq(listen_refused(listener), 0);
	}
END_TEST

START_TEST(new_clients_of_one_user_come_at_the_rate_of_the_limit)
	{
		static const struct listen_limits limits = { .user_rate = 4 };
		struct client client;

		listen_limit(listener, &limits);
		clock_ns = 5000000000u;
		for (int i = 0; i < 4; i++) {
			come_in(&client, 1);
			leave(&client);
		}
		stay_out(1, "4 new clients", "user 1");
		come_in(&client, 2);
		leave(&client);
		/* A token is back, and no more than one; trying in vain takes none. */
		clock_ns += 250000000u;
		come_in(&client, 1);
		leave(&client);
		stay_out(1, "4 new clients", "second");
		clock_ns += 249999999u;
		stay_out(1, "4 new clients", "second");
		clock_ns += 1;
		come_in(&client, 1);
		leave(&client);
		/* However long it takes, no more than four. */
		clock_ns += 3600000000000u;
		for (int i = 0; i < 4; i++) {
			come_in(&client, 1);
			leave(&client);
		}
		stay_out(1, "4 new clients", "raise");
		ck_assert_uint_eq(listen_refused(listener), 4);
	}
END_TEST

START_TEST(rates_of_one_and_of_very_many_in_a_second_are_kept)
	{
		struct listen_limits limits = { .user_rate = 1 };
		struct client client;

		clock_ns = 1;
		listen_limit(listener, &limits);
		come_in(&client, 1);
		leave(&client);
		clock_ns += 999999999;
		stay_out(1, "1 new clients", "limit");
		clock_ns += 1;
		come_in(&client, 1);
		leave(&client);
		limits.user_rate = UINT32_MAX;
		listen_limit(listener, &limits);
		clock_ns += 1000000000;
		for (int i = 0; i < 20; i++) {
			come_in(&client, 1);
			leave(&client);
		}
	}
END_TEST

static unsigned count_users(const struct admission *admission)
{
	unsigned count = 0;

	for (unsigned i = 0; i < ADMISSION_CHAINS; i++)
		for (struct user *user = admission->users[i]; user; user = user->next)
			count++;
	return count;
}

START_TEST(users_who_have_gone_are_forgotten)
	{
		struct admission *admission = calloc(1, sizeof(*admission));
		uint64_t now = 1;

		ck_assert_ptr_nonnull(admission);
		admission_init(admission);
		admission->limits = (struct listen_limits){ .per_user = 1, .user_rate = 1 };
		/* However many have come within a second. */
		for (uint32_t user = 0; user < 20000; user++) {
			ck_assert_int_eq(admission_enter(admission, user, now), 0);
			if (user % 100)
				admission_leave(admission, user);
		}
		ck_assert_uint_le(count_users(admission), 200 + 4096 + 1);
		/* Who has clients is not. */
		for (uint32_t user = 0; user < 20000; user += 100)
			ck_assert_int_eq(admission_enter(admission, user, now + 5000000000u),
					 -EBUSY);
		/* Nor who has no tokens yet, as long as there are few. */
		now += 10000000000u;
		for (uint32_t user = 0; user < 20000; user += 100)
			admission_leave(admission, user);
		for (uint32_t user = 100000; user < 101000; user++) {
			ck_assert_int_eq(admission_enter(admission, user, now), 0);
			admission_leave(admission, user);
		}
		for (uint32_t user = 100000; user < 101000; user++)
			ck_assert_int_eq(admission_enter(admission, user, now + 999999999), -EBUSY);
		/* Whoever comes later sweeps. */
		for (uint32_t user = 200000; user < 250000; user++) {
			now += 1000000000;
			ck_assert_int_eq(admission_enter(admission, user, now), 0);
			admission_leave(admission, user);
		}
		ck_assert_uint_le(count_users(admission), 2 * ADMISSION_CHAINS);
		ck_assert_uint_eq(admission->clients, 0);
		admission_end(admission);
		free(admission);
	}
END_TEST

/*
 * More silent ones than there are seats for.
 */

#define SEATS 256
#define PATIENCE ((uint64_t)LONG / 8)

static int silent[SEATS + 8];

static void take_seats(uint32_t user, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		silent[i] = knock(user);
		clock_ns++; /* one is slower than the other */
		expect_nobody();
	}
}

/* Of so many from one on, and nobody else. */
static void expect_waiting(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		ck_assert_msg(!stranger_hears(silent[i]), "%u is not waited for", i);
		close(silent[i]);
	}
}

START_TEST(when_a_user_has_taken_all_seats_another_gets_in_when_patience_is_used_up)
	{
		struct peal_link *link;
		int fd;

		clock_ns = 1000000000;
		take_seats(1, 0, SEATS);
		fd = knock(2);
		say_hello(fd);
		expect_nobody();
		clock_ns = 1000000000 + PATIENCE;
		expect_nobody();
		clock_ns++;
		ck_assert_int_eq(peal_accept(listener, &link, 0), 0);
		expect_welcome(fd);
		peal_close(link);
		close(fd);
		expect_refusal(silent[0], -ETIMEDOUT, "256 handshakes", "256 of them of user 1,");
		expect_waiting(1, SEATS);
	}
END_TEST

START_TEST(who_has_fewer_seats_need_not_wait_for_who_has_the_most)
	{
		clock_ns = 1000000000;
		take_seats(1, 0, 200);
		take_seats(2, 200, SEATS - 1);
		take_seats(3, SEATS - 1, SEATS);
		expect_refusal(silent[0], -ETIMEDOUT, "200 of them of user 1,", "slowest");
		take_seats(2, SEATS, SEATS + 1);
		expect_refusal(silent[1], -ETIMEDOUT, "199 of them of user 1,", "slowest");
		/* Who has the most makes no room for itself. */
		take_seats(1, SEATS + 1, SEATS + 2);
		clock_ns += PATIENCE - 300;
		expect_nobody();
		expect_waiting(2, SEATS + 2);
		expect_nobody();
	}
END_TEST

START_TEST(who_is_slow_and_alone_is_spared_as_long_as_another_has_more_seats)
	{
		struct peal_link *link;

		clock_ns = 1000000000;
		take_seats(2, 0, 1);
		clock_ns += 1000000;
		take_seats(1, 1, SEATS);
		clock_ns += PATIENCE;
		expect_nobody();
		expect_refusal(silent[1], -ETIMEDOUT, "255 of them of user 1,", "slowest");
		say_hello(silent[0]);
		ck_assert_int_eq(peal_accept(listener, &link, 0), 0);
		expect_welcome(silent[0]);
		peal_close(link);
		close(silent[0]);
		expect_waiting(2, SEATS);
	}
END_TEST

/* Descriptors that this process may have from now on, besides those that it has. */
static struct rlimit leave_descriptors(unsigned more)
{
	struct rlimit was, limit;
	int next = dup(0);

	ck_assert_int_ge(next, 0);
	close(next);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	limit = was;
	limit.rlim_cur = (rlim_t)next + more;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return was;
}

START_TEST(out_of_descriptors_who_has_said_nothing_for_long_gives_its_own)
	{
		struct peal_link *link;
		struct rlimit limit;
		int fds[2];

		clock_ns = 1000000000;
		take_seats(1, 0, 4);
		fds[0] = knock(2);
		fds[1] = knock(2);
		limit = leave_descriptors(0);
		/* Nobody is slow yet, and so this one is told. */
		peal_accept(listener, &link, 0);
		expect_refusal(fds[0], -EBUSY, "out of descriptors", "ulimit");
		leave_descriptors(0); /* not the one that this has closed, either */
		clock_ns += PATIENCE;
		expect_nobody();
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		say_hello(fds[1]);
		ck_assert_int_eq(peal_accept(listener, &link, 0), 0);
		expect_welcome(fds[1]);
		peal_close(link);
		close(fds[1]);
		expect_refusal(silent[0], -ETIMEDOUT, "4 handshakes", "slowest");
		expect_waiting(1, 4);
	}
END_TEST

START_TEST(out_of_descriptors_segments_made_ready_give_theirs_to_clients)
	{
		struct peal_link *link = NULL;
		struct rlimit limit;
		int fd, err;

		while (listen_prepare(listener, 9) == 1)
			;
		fd = knock(1);
		say_hello(fd);
		limit = leave_descriptors(0);
		err = peal_accept(listener, &link, 0);
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		ck_assert_msg(!err, "%s", peal_error());
		expect_welcome(fd);
		peal_close(link);
		close(fd);
	}
END_TEST

START_TEST(segments_made_ready_do_not_take_the_last_descriptors)
	{
		struct rlimit limit = leave_descriptors(20);
		int more = 1, open = descriptors_count();

		for (int i = 0; i < 20 && more == 1; i++)
			more = listen_prepare(listener, 20);
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		ck_assert_int_eq(more, 0);
		ck_assert_int_eq(descriptors_count(), open);
	}
END_TEST

START_TEST(while_there_are_seats_those_who_speak_come_in_past_those_who_do_not)
	{
		struct client client;

		clock_ns = 1000000000;
		take_seats(1, 0, SEATS - 1);
		for (int i = 0; i < 40; i++) {
			come_in(&client, 1);
			leave(&client);
		}
		expect_waiting(0, SEATS - 1);
	}
END_TEST

/*
 * Segments made ready ahead.
 */

#define SPARES 3

/* The numbers of the objects that are open here and look like segments, by their size; the
 * strangers' is not counted. */
static unsigned find_segments(ino_t *numbers, unsigned most)
{
	DIR *dir = opendir("/proc/self/fd");
	struct stat status, theirs;
	struct dirent *entry;
	unsigned count = 0;
	char name[64];
	ssize_t length;

	ck_assert_ptr_nonnull(dir);
	ck_assert_int_eq(fstat(segment.fd, &theirs), 0);
	while ((entry = readdir(dir))) {
		length = readlinkat(dirfd(dir), entry->d_name, name, sizeof(name) - 1);
		if (length < 0 || fstatat(dirfd(dir), entry->d_name, &status, 0))
			continue;
		name[length] = 0;
		if (!strstr(name, "memfd:peal") || status.st_ino == theirs.st_ino ||
		    status.st_size != theirs.st_size)
			continue;
		ck_assert_uint_lt(count, most);
		numbers[count++] = status.st_ino;
	}
	closedir(dir);
	return count;
}

static bool is_among(ino_t number, const ino_t *numbers, unsigned count)
{
	while (count--)
		if (numbers[count] == number)
			return true;
	return false;
}

START_TEST(segments_made_ready_are_given_to_one_client_each_and_then_others)
	{
		ino_t ready[16], given[2 * SPARES];
		struct client client;

		ck_assert_int_eq(listen_prepare(listener, 0), 0);
		ck_assert_uint_eq(find_segments(ready, 16), 0);
		for (int i = 1; i <= SPARES; i++)
			ck_assert_int_eq(listen_prepare(listener, SPARES), i < SPARES);
		ck_assert_int_eq(listen_prepare(listener, SPARES), 0);
		ck_assert_int_eq(listen_prepare(listener, 1), 0);
		ck_assert_uint_eq(find_segments(ready, 16), SPARES);
		for (int i = 0; i < 2 * SPARES; i++) {
			client.fd = knock(1);
			say_hello(client.fd);
			ck_assert_int_eq(peal_accept(listener, &client.link, 0), 0);
			given[i] = expect_welcome(client.fd);
			ck_assert(!is_among(given[i], given, (unsigned)i));
			ck_assert_int_eq(is_among(given[i], ready, SPARES), i < SPARES);
			peal_close(client.link);
			close(client.fd);
		}
		/* And the next ones are new. */
		ck_assert_int_eq(listen_prepare(listener, 1), 0);
		ck_assert_uint_eq(find_segments(ready, 16), 1);
		ck_assert(!is_among(ready[0], given, 2 * SPARES));
	}
END_TEST

START_TEST(a_segment_that_a_client_could_have_seen_is_not_given_to_the_next)
	{
		static const struct wire_message nonsense;
		ino_t ready[16], given[SPARES];
		struct peal_link *link;
		int fd;

		for (int i = 0; i < SPARES; i++)
			listen_prepare(listener, SPARES);
		ck_assert_uint_eq(find_segments(ready, 16), SPARES);
		/* It has gone before the answer can be sent. */
		fd = knock(1);
		say_hello(fd);
		close(fd);
		expect_nobody();
		ck_assert_uint_eq(find_segments(ready, 16), SPARES - 1);
		/* Who is not as it must be is not given any. */
		fd = knock(1);
		stranger_say(fd, &nonsense, sizeof(nonsense), segment.fd, 1);
		expect_nobody();
		ck_assert_uint_eq(find_segments(ready, 16), SPARES - 1);
		close(fd);
		for (int i = 0; i < SPARES; i++) {
			fd = knock(1);
			say_hello(fd);
			ck_assert_int_eq(peal_accept(listener, &link, 0), 0);
			given[i] = expect_welcome(fd);
			ck_assert_int_eq(is_among(given[i], ready, SPARES - 1), i < SPARES - 1);
			ck_assert(!is_among(given[i], given, (unsigned)i));
			peal_close(link);
			close(fd);
		}
	}
END_TEST

static const char *look_as_child(void *data)
{
	ino_t numbers[16];
	struct peal_link *link;

	(void)data;
	if (find_segments(numbers, 16))
		return "the child has segments of its parent's";
	if (listen_prepare(listener, SPARES) || find_segments(numbers, 16))
		return "the child makes segments";
	if (peal_accept(listener, &link, 0) != -ESTALE)
		return "the child accepts";
	peal_listener_close(listener);
	return NULL;
}

START_TEST(after_a_fork_the_child_has_none_of_them_and_the_parent_all)
	{
		static const struct listen_limits limits = { .user_rate = 100 };
		ino_t ready[16];
		struct client client;

		listen_limit(listener, &limits);
		come_in(&client, 1);
		for (int i = 0; i < SPARES; i++)
			listen_prepare(listener, SPARES);
		child_run(look_as_child, NULL);
		ck_assert_uint_eq(find_segments(ready, 16), SPARES);
		leave(&client);
		come_in(&client, 1);
		ck_assert_uint_eq(find_segments(ready, 16), SPARES - 1);
		leave(&client);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("admission");
	TCase *limits = tcase_create("limits"), *ready = tcase_create("ready");
	TCase *seats = tcase_create("seats");

	tcase_add_checked_fixture(limits, set_up, tear_down);
	tcase_set_timeout(limits, 30);
	tcase_add_test(limits, there_are_no_more_clients_at_the_same_time_than_the_limit);
	tcase_add_test(limits,
		       one_user_has_no_more_clients_than_the_limit_and_others_do_not_notice);
	tcase_add_test(limits, those_who_have_not_said_anything_count_too);
	tcase_add_test(limits, without_limits_nobody_is_counted);
	tcase_add_test(limits, new_clients_of_one_user_come_at_the_rate_of_the_limit);
	tcase_add_test(limits, rates_of_one_and_of_very_many_in_a_second_are_kept);
	tcase_add_test(limits, users_who_have_gone_are_forgotten);
	suite_add_tcase(s, limits);

	tcase_add_checked_fixture(seats, set_up, tear_down);
	tcase_set_timeout(seats, 30);
	tcase_add_test(seats,
		       when_a_user_has_taken_all_seats_another_gets_in_when_patience_is_used_up);
	tcase_add_test(seats, who_has_fewer_seats_need_not_wait_for_who_has_the_most);
	tcase_add_test(seats, who_is_slow_and_alone_is_spared_as_long_as_another_has_more_seats);
	tcase_add_test(seats, out_of_descriptors_who_has_said_nothing_for_long_gives_its_own);
	tcase_add_test(seats, out_of_descriptors_segments_made_ready_give_theirs_to_clients);
	tcase_add_test(seats, segments_made_ready_do_not_take_the_last_descriptors);
	tcase_add_test(seats, while_there_are_seats_those_who_speak_come_in_past_those_who_do_not);
	suite_add_tcase(s, seats);

	tcase_add_checked_fixture(ready, set_up, tear_down);
	tcase_set_timeout(ready, 30);
	tcase_add_test(ready, segments_made_ready_are_given_to_one_client_each_and_then_others);
	tcase_add_test(ready, a_segment_that_a_client_could_have_seen_is_not_given_to_the_next);
	tcase_add_test(ready, after_a_fork_the_child_has_none_of_them_and_the_parent_all);
	suite_add_tcase(s, ready);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
