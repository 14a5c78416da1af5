/*
 * SPDX-License-Identifier: MIT
 *
 * fork: what a child does with its parent's handles is answered with -ESTALE and does the parent no
 * harm. What becomes of the peer when one of the two dies is in tests/process/forks.c.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/stage.h"

static struct meeting meeting;
static struct peal_link *pair[2];
static uint8_t buffer[64];
static uint8_t large[100000]; /* more than a ring */

static void set_up(void)
{
	meeting_open(&meeting, NULL, NULL);
	pair_open(pair, PEAL_WAIT_ADAPTIVE, 0);
}

static void tear_down(void)
{
	pair_close(pair);
	meeting_close(&meeting);
}

/* In a child: a verb answered so, and said why. */
static const char *check(const char *verb, int64_t result)
{
	if (result != -ESTALE)
		return wrong("%s gives %lld", verb, (long long)result);
	if (!strstr(peal_error(), "fork") || !strstr(peal_error(), "parent"))
		return wrong("%s does not say why", verb);
	return NULL;
}

static int show_nothing(void *data, const struct peal_message *message)
{
	(void)message;
	*(bool *)data = true;
	return 0;
}

/* In a child: every verb of a link's tx, with a timeout. The first that is answered otherwise. */
static const char *try_tx(struct peal_tx *tx, int64_t timeout)
{
	struct iovec piece = { .iov_base = buffer, .iov_len = 4 };
	struct peal_message messages[2] = { { .data = buffer, .length = 4 },
					    { .data = buffer, .length = 5 } };
	struct peal_sending part = { .data = buffer, .length = 4 };
	struct peal_sending longer = { .data = large, .length = sizeof(large) };
	const char *failed;
	void *at;

	failed = check("commit", peal_commit(tx, 0, 0));
	if (!failed)
		failed = check("commit", peal_commit(tx, 8, 0));
	if (!failed)
		failed = check("commit_more", peal_commit_more(tx, 0, 0));
	if (!failed)
		failed = check("send", peal_send(tx, buffer, 4, 0, timeout));
	if (!failed)
		failed = check("a send of nothing", peal_send(tx, NULL, 0, 0, timeout));
	if (!failed)
		failed = check("a long send", peal_send(tx, large, sizeof(large), 0, timeout));
	if (!failed)
		failed = check("send_more", peal_send_more(tx, buffer, 4, 0, timeout));
	if (!failed)
		failed = check("send_part", peal_send_part(tx, &part, timeout));
	if (!failed)
		failed = check("send_part of a long one", peal_send_part(tx, &longer, timeout));
	if (!failed)
		failed = check("send_batch", peal_send_batch(tx, messages, 2, timeout));
	if (!failed)
		failed = check("sendv", peal_sendv(tx, &piece, 1, 0, timeout));
	peal_flush(tx);
	if (!failed)
		failed = check("reserve", peal_reserve(tx, 4, &at, timeout));
	if (!failed)
		failed = check("a reserve of too much", peal_reserve(tx, 1 << 30, &at, timeout));
	peal_abort(tx);
	if (!failed)
		failed = check("commit", peal_commit(tx, 0, 0));
	return failed;
}

/* The same of its rx. */
static const char *try_rx(struct peal_rx *rx, int64_t timeout)
{
	struct peal_message messages[2];
	bool shown = false;
	const char *failed;

	peal_release(rx);
	failed = check("peek", peal_peek(rx, messages, timeout));
	peal_release(rx);
	if (!failed)
		failed = check("recv", peal_recv(rx, buffer, sizeof(buffer), NULL, timeout));
	if (!failed)
		failed = check("recv", peal_recv(rx, NULL, 0, messages, timeout));
	if (!failed)
		failed = check("recv_batch",
			       peal_recv_batch(rx, buffer, sizeof(buffer), messages, 2, timeout));
	if (!failed)
		failed = check("drain", peal_drain(rx, show_nothing, &shown, 0, timeout));
	return failed || !shown ? failed : "a drain shows something";
}

/* And of the link itself. */
static const char *try_link(struct peal_link *link, int64_t timeout)
{
	struct peal_stats stats = { .size = sizeof(stats) };
	const char *failed = try_tx(peal_link_tx(link), timeout);
	struct peal_set *set;

	if (!failed)
		failed = try_rx(peal_link_rx(link), timeout);
	if (!failed)
		failed = check("stats", peal_link_stats(link, &stats));
	if (!failed)
		failed = check("link_fd", peal_link_fd(link));
	if (!failed)
		failed = check("link_arm", peal_link_arm(link, PEAL_DATA | PEAL_ROOM));
	if (failed || peal_set_create(&set))
		return failed ? failed : wrong("a set of the child's own");
	failed = check("set_add to the child's own", peal_set_add(set, link, NULL));
	peal_set_free(set);
	return failed;
}

/* A set that holds one of the links. */
static const char *try_set(void *data)
{
	static const int64_t timeouts[] = { 0, MS, PEAL_FOREVER };
	struct peal_set *parents = data;
	struct peal_link *own[2];
	const char *failed;

	failed = check("set_add", peal_set_add(parents, meeting.client, NULL));
	for (int i = 0; !failed && i < 3; i++)
		failed = check("set_wait", peal_set_wait(parents, timeouts[i]));
	if (!failed)
		failed = check("set_arm", peal_set_arm(parents));
	if (!failed)
		failed = check("set_fd", peal_set_fd(parents));
	if (!failed && (peal_set_poll(parents) || peal_set_next(parents, NULL)))
		failed = "a link of the parent's set is ready in the child";
	if (!failed && peal_set_remove(parents, meeting.server) >= 0)
		failed = "a link can be taken out of the parent's set";
	if (failed)
		return failed;
	peal_set_free(parents);
	if (peal_pair(own, NULL))
		return wrong("a pair of the child's own");
	pair_close(own);
	return NULL;
}

static const char *try_links(void *data)
{
	struct peal_link *links[] = { meeting.client, meeting.server, pair[0], pair[1] };

	(void)data;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		static const int64_t timeouts[] = { 0, MS, PEAL_FOREVER };

		for (size_t n = 0; n < sizeof(timeouts) / sizeof(timeouts[0]); n++) {
			const char *failed = try_link(links[i], timeouts[n]);

			if (failed)
				return failed;
		}
	}
	return NULL;
}

static const char *try_listener(void *data)
{
	struct peal_link *link = meeting.client;
	const char *failed;

	(void)data;
	failed = check("listener_fd", peal_listener_fd(meeting.listener));
	if (!failed)
		failed = check("accept", peal_accept(meeting.listener, &link, 0));
	if (!failed && link)
		failed = "accept leaves the link as it was";
	if (!failed)
		failed = check("accept", peal_accept(meeting.listener, &link, PEAL_FOREVER));
	return failed;
}

/* In a child: lets go of all. */
static const char *close_all(void *data)
{
	(void)data;
	peal_close(meeting.client);
	peal_close(pair[1]);
	peal_listener_close(meeting.listener);
	peal_close(meeting.server);
	peal_close(pair[0]);
	return NULL;
}

/* Messages pass in both directions. */
static void expect_links_well(void)
{
	struct peal_link *links[] = { meeting.client, meeting.server, pair[0], pair[1] };

	for (unsigned i = 0; i < 4; i++) {
		payload_fill(buffer, 32, i);
		ck_assert_int_eq(peal_send(peal_link_tx(links[i]), buffer, 32, i, 0), 0);
		ck_assert_int_eq(peal_recv(peal_link_rx(links[i ^ 1]), buffer, sizeof(buffer), NULL,
					   LONG),
				 32);
		ck_assert(payload_matches(buffer, 32, i));
	}
}

static void expect_listener_well(void)
{
	struct peal_listener *second;
	struct peal_link *server;
	struct caller caller;
	struct stat status;

	ck_assert_int_ge(peal_listener_fd(meeting.listener), 0);
	ck_assert_int_eq(lstat(meeting.folder.path, &status), 0);
	expect_error(peal_listen(&second, meeting.folder.path, NULL), -EADDRINUSE, NULL);
	caller_start(&caller, meeting.folder.path, NULL, LONG);
	ck_assert_int_eq(peal_accept(meeting.listener, &server, LONG), 0);
	caller_end(&caller);
	ck_assert_int_eq(caller.err, 0);
	peal_close(caller.link);
	peal_close(server);
}

START_TEST(every_verb_of_a_link_is_stale_in_a_child)
	{
		child_run(try_links, NULL);
		expect_links_well();
	}
END_TEST

START_TEST(every_verb_of_a_set_is_stale_in_a_child)
	{
		struct peal_set *set;

		ck_assert_int_eq(peal_set_create(&set), 0);
		ck_assert_int_eq(peal_set_add(set, meeting.server, NULL), 0);
		child_run(try_set, set);
		ck_assert_int_eq(peal_send(peal_link_tx(meeting.client), "x", 1, 0, 0), 0);
		ck_assert_int_eq(peal_set_wait(set, LONG), 1);
		ck_assert_ptr_eq(peal_set_next(set, NULL), meeting.server);
		ck_assert_int_eq(peal_recv(peal_link_rx(meeting.server), buffer, 1, NULL, 0), 1);
		peal_set_free(set);
		expect_links_well();
	}
END_TEST

START_TEST(a_listener_is_stale_in_a_child)
	{
		child_run(try_listener, NULL);
		expect_listener_well();
	}
END_TEST

static const char *try_and_close(void *data)
{
	const char *failed = try_links(data);

	if (!failed)
		failed = try_listener(data);
	if (!failed)
		failed = close_all(data);
	return failed;
}

START_TEST(a_child_may_close_what_it_cannot_use)
	{
		child_run(close_all, NULL);
		expect_links_well();
		expect_listener_well();
		child_run(try_and_close, NULL);
		expect_links_well();
		expect_listener_well();
	}
END_TEST

static const char *use_reservation(void *data)
{
	struct peal_link *link = data;
	const char *failed = check("commit of a reservation",
				   peal_commit(peal_link_tx(link), 8, 1));

	if (!failed)
		failed = check("commit of a part of it", peal_commit(peal_link_tx(link), 0, 1));
	if (!failed)
		failed = check("commit_more of it", peal_commit_more(peal_link_tx(link), 8, 1));
	return failed;
}

START_TEST(a_reservation_from_before_a_fork_is_the_parents)
	{
		struct peal_link *links[] = { meeting.client, pair[0] };
		struct peal_link *peers[] = { meeting.server, pair[1] };

		for (int i = 0; i < 2; i++) {
			struct peal_message message;
			void *at;

			ck_assert_int_eq(peal_reserve(peal_link_tx(links[i]), 8, &at, 0), 0);
			payload_fill(at, 8, 3);
			child_run(use_reservation, links[i]);
			expect_error(peal_peek(peal_link_rx(peers[i]), &message, 0), -EAGAIN, NULL);
			ck_assert_int_eq(peal_commit(peal_link_tx(links[i]), 8, 2), 0);
			ck_assert_int_eq(peal_peek(peal_link_rx(peers[i]), &message, LONG), 0);
			ck_assert_uint_eq(message.tag, 2);
			ck_assert(payload_matches(message.data, 8, 3));
			peal_release(peal_link_rx(peers[i]));
		}
	}
END_TEST

static const char *release_peeked(void *data)
{
	struct peal_link *link = data;
	struct peal_message message;

	peal_release(peal_link_rx(link));
	return check("peek at what was peeked", peal_peek(peal_link_rx(link), &message, 0));
}

START_TEST(a_message_that_was_peeked_before_a_fork_is_the_parents)
	{
		struct peal_link *links[] = { meeting.client, pair[0] };
		struct peal_link *peers[] = { meeting.server, pair[1] };

		for (int i = 0; i < 2; i++) {
			struct peal_stats stats = { .size = sizeof(stats) };
			struct peal_message message;

			payload_fill(buffer, 16, 5);
			ck_assert_int_eq(peal_send(peal_link_tx(links[i]), buffer, 16, 9, 0), 0);
			ck_assert_int_eq(peal_peek(peal_link_rx(peers[i]), &message, LONG), 0);
			child_run(release_peeked, peers[i]);
			ck_assert(payload_matches(message.data, 16, 5));
			ck_assert_int_eq(peal_link_stats(peers[i], &stats), 0);
			ck_assert_uint_eq(stats.rx.messages, 0);
			peal_release(peal_link_rx(peers[i]));
			ck_assert_int_eq(peal_link_stats(peers[i], &stats), 0);
			ck_assert_uint_eq(stats.rx.messages, 1);
		}
	}
END_TEST

START_TEST(messages_that_wait_at_a_fork_are_the_parents)
	{
		for (unsigned i = 0; i < 3; i++) {
			ck_assert_int_eq(peal_send(peal_link_tx(meeting.client), buffer, i, i, 0),
					 0);
			ck_assert_int_eq(peal_send(peal_link_tx(pair[0]), buffer, i, i, 0), 0);
		}
		child_run(try_links, NULL);
		for (unsigned i = 0; i < 3; i++) {
			ck_assert_int_eq(peal_recv(peal_link_rx(meeting.server), buffer,
						   sizeof(buffer), NULL, 0),
					 (int)i);
			ck_assert_int_eq(peal_recv(peal_link_rx(pair[1]), buffer, sizeof(buffer),
						   NULL, 0),
					 (int)i);
		}
	}
END_TEST

/* In a child: another one, which is as stale. */
static const char *try_in_a_grandchild(void *data)
{
	const char *failed;
	pid_t pid = fork();
	int status;

	if (!pid) {
		failed = try_links(data);
		if (failed)
			fprintf(stderr, "%s\n", failed);
		close_all(data);
		_exit(failed ? 1 : 0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		return wrong("a child of the child ended with status %d", status);
	failed = try_links(data);
	if (!failed)
		failed = close_all(data);
	return failed;
}

START_TEST(a_childs_child_is_no_better_off)
	{
		child_run(try_in_a_grandchild, NULL);
		expect_links_well();
		expect_listener_well();
	}
END_TEST

/* In a child: links of its own. */
static const char *make_own(void *data)
{
	struct peal_link *own[2];
	const char *failed;

	if (peal_pair(own, NULL))
		return wrong("a pair of the child's own");
	for (int i = 0; i < 100; i++) {
		if (peal_send(peal_link_tx(own[0]), "own", 3, 0, 0) ||
		    peal_recv(peal_link_rx(own[1]), buffer, sizeof(buffer), NULL, 0) != 3)
			return wrong("messages of the child's own");
	}
	failed = try_links(data);
	if (failed)
		return failed;
	close_all(data);
	if (peal_send(peal_link_tx(own[0]), "own", 3, 0, 0) ||
	    peal_recv(peal_link_rx(own[1]), buffer, sizeof(buffer), NULL, 0) != 3)
		return wrong("messages of the child's own, after closing the parent's");
	peal_close(own[0]);
	peal_close(own[1]);
	return NULL;
}

START_TEST(a_child_can_make_its_own)
	{
		child_run(make_own, NULL);
		expect_links_well();
	}
END_TEST

static const char *count_descriptors(void *data)
{
	int open = descriptors_count(), expected = *(const int *)data;

	return open > expected ? wrong("%d descriptors are open, %d are right", open, expected) :
				 NULL;
}

START_TEST(a_child_has_none_of_the_descriptors)
	{
		/* Those from before the first link, and the pipe on which the child tells. */
		int expected;

		tear_down();
		expected = descriptors_settled() + 1;
		set_up();
		child_run(count_descriptors, &expected);
		expect_links_well();
		expect_listener_well();
	}
END_TEST

START_TEST(many_children_leave_nothing)
	{
		int open = descriptors_settled();

		for (int i = 0; i < 20; i++)
			child_run(i % 2 ? close_all : try_links, NULL);
		descriptors_expect(open);
		expect_links_well();
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("fork");
	TCase *all = tcase_create("fork");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_set_timeout(all, 30);
	tcase_add_test(all, every_verb_of_a_link_is_stale_in_a_child);
	tcase_add_test(all, every_verb_of_a_set_is_stale_in_a_child);
	tcase_add_test(all, a_listener_is_stale_in_a_child);
	tcase_add_test(all, a_child_may_close_what_it_cannot_use);
	tcase_add_test(all, a_reservation_from_before_a_fork_is_the_parents);
	tcase_add_test(all, a_message_that_was_peeked_before_a_fork_is_the_parents);
	tcase_add_test(all, messages_that_wait_at_a_fork_are_the_parents);
	tcase_add_test(all, a_childs_child_is_no_better_off);
	tcase_add_test(all, a_child_can_make_its_own);
	tcase_add_test(all, a_child_has_none_of_the_descriptors);
	tcase_add_test(all, many_children_leave_nothing);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
