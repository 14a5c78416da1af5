/*
 * SPDX-License-Identifier: MIT
 *
 * Who is at the other side, and who may be: what each side is told of the other, and whom servers
 * and clients of several users admit. Only root can be several users.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/scene.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

/* Users and groups that need not exist. */
#define USER 12345
#define OTHER_USER 12346
#define GROUP 23456
#define OTHER_GROUP 23457

static bool is_root(void)
{
	if (geteuid() == 0)
		return true;
	skip("only root can be several users");
	return false;
}

static void start_as(struct peer *peer, unsigned user, unsigned group, unsigned supplementary)
{
	peer_start(peer);
	peer_tell(peer, "user %u %u %u", user, group, supplementary);
}

START_TEST(each_side_is_told_who_the_other_is)
	{
		struct peal_options options = scene_options(PEAL_WAIT_ADAPTIVE, 4096);
		struct peal_listener *listener;
		const struct peal_peer *other;
		struct peal_link *link;
		char expected[256];
		struct peer peer;

		options.name = "the test";
		peer_start(&peer);
		peer_tell(&peer, "name somebody");
		snprintf(expected, sizeof(expected), "pid %ld uid %u gid %u name the test",
			 (long)getpid(), geteuid(), getegid());
		if (_i) {
			ck_assert_int_eq(peal_listen(&listener, scene_path("server"), &options), 0);
			peer_tell(&peer, "connect %s %" PRId64, scene_path("server"),
				  SCENE_PATIENCE);
			ck_assert_msg(!peal_accept(listener, &link, SCENE_PATIENCE), "%s",
				      peal_error());
			ck_assert_int_eq(peer_hear(&peer, "connect"), 0);
			peal_listener_close(listener);
		} else {
			peer_tell(&peer, "listen %s\naccept forever", scene_path("server"));
			ck_assert_int_eq(peer_hear(&peer, "listen"), 0);
			ck_assert_msg(!peal_connect(&link, scene_path("server"), &options,
						    SCENE_PATIENCE),
				      "%s", peal_error());
			ck_assert_int_eq(peer_hear(&peer, "accept"), 0);
		}
		ck_assert_str_eq(peer.text, expected);
		other = peal_link_peer(link);
		ck_assert_int_eq(other->pid, peer.pid);
		ck_assert_uint_eq(other->uid, geteuid());
		ck_assert_uint_eq(other->gid, getegid());
		ck_assert_str_eq(other->name, "somebody");
		peal_close(link);
		peer_end(&peer);
	}
END_TEST

/* How a server with these options answers a client of this user and these groups, which does not
 * look before all is said and the server has hung up. */
static long ask_to_be_admitted(const struct peal_options *options, unsigned user, unsigned group,
			       unsigned supplementary)
{
	struct peal_options served = *options;
	struct peal_listener *listener;
	struct peal_link *link;
	struct holdings before;
	struct pollfd knock = { .events = POLLIN };
	struct peer peer;
	long result;
	int err;

	served.mode = 0666;
	ck_assert_int_eq(peal_listen(&listener, scene_path("server"), &served), 0);
	start_as(&peer, user, group, supplementary);
	before = holdings_at_rest();
	peer_tell(&peer, "connect %s %" PRId64, scene_path("server"), SCENE_PATIENCE);
	/* Before it has knocked it sleeps, too: until it is told to. */
	knock.fd = peal_listener_fd(listener);
	ck_assert_int_eq(poll(&knock, 1, (int)(SCENE_PATIENCE / MS)), 1);
	peer_wait_asleep(&peer);
	peer_stop(&peer);
	err = peal_accept(listener, &link, 50 * MS);
	if (err)
		holdings_expect(getpid(), &before);
	peer_continue(&peer);
	/* It may have been stopped before it had said a word. */
	while (err == -ETIMEDOUT && !peer_has_answered(&peer))
		err = peal_accept(listener, &link, 50 * MS);
	result = peer_hear(&peer, "connect");
	if (!err) {
		ck_assert_int_eq(result, 0);
		ck_assert_int_eq(peal_link_peer(link)->pid, peer.pid);
		ck_assert_uint_eq(peal_link_peer(link)->uid, user);
		ck_assert_uint_eq(peal_link_peer(link)->gid, group);
		peal_close(link);
	} else {
		ck_assert_msg(err == -ETIMEDOUT, "%d %s", err, peal_error());
		ck_assert_msg(result == -EPERM, "%ld %s", result, peer.text);
		ck_assert_ptr_nonnull(strstr(peer.text, "12345"));
	}
	peal_listener_close(listener);
	peer_end(&peer);
	return result;
}

START_TEST(a_server_admits_its_own_user_and_root)
	{
		static const unsigned users[] = { USER, 0, OTHER_USER };
		struct peal_options options = scene_options(PEAL_WAIT_ADAPTIVE, 4096);
		struct peer server, client;

		if (!is_root())
			return;
		ck_assert_int_eq(ask_to_be_admitted(&options, USER, GROUP, GROUP), -EPERM);
		ck_assert_int_eq(ask_to_be_admitted(&options, 0, GROUP, GROUP), 0);
		/* A group counts only if it was asked for. */
		options.group = GROUP;
		ck_assert_int_eq(ask_to_be_admitted(&options, USER, GROUP, GROUP), -EPERM);

		/* One that is not root: its own user, root, and not another one. */
		start_as(&server, USER, GROUP, GROUP);
		peer_tell(&server, "mode 0666\nlisten %s", scene_path("theirs"));
		ck_assert_msg(peer_hear(&server, "listen") == 0, "%s", server.text);
		for (unsigned i = 0; i < 3; i++) {
			start_as(&client, users[i], OTHER_GROUP, OTHER_GROUP);
			peer_tell(&client, "allow %d\nconnect %s %" PRId64, PEAL_ALLOW_ANYONE,
				  scene_path("theirs"), SCENE_PATIENCE);
			/* One accept is enough: who is refused ends none. */
			peer_tell(&server, i < 2 ? "accept forever" : "accept 300000000");
			ck_assert_int_eq(peer_hear(&client, "connect"), i < 2 ? 0 : -EPERM);
			ck_assert_int_eq(peer_hear(&server, "accept"), i < 2 ? 0 : -ETIMEDOUT);
			peer_end(&client);
		}
		peer_end(&server);
	}
END_TEST

START_TEST(a_server_that_allows_anyone_admits_anyone)
	{
		struct peal_options options = scene_options(PEAL_WAIT_ADAPTIVE, 4096);

		if (!is_root())
			return;
		options.allow = PEAL_ALLOW_ANYONE;
		ck_assert_int_eq(ask_to_be_admitted(&options, USER, GROUP, GROUP), 0);
		/* The number of those who have none: here it is a user like any other. */
		ck_assert_int_eq(ask_to_be_admitted(&options, 65534, 65534, 65534), 0);
	}
END_TEST

START_TEST(a_server_that_allows_a_group_admits_it_as_own_or_supplementary)
	{
		struct peal_options options = scene_options(PEAL_WAIT_ADAPTIVE, 4096);

		if (!is_root() || skip_emulated("SO_PEERGROUPS"))
			return;
		options.allow = PEAL_ALLOW_GROUP;
		options.group = GROUP;
		ck_assert_int_eq(ask_to_be_admitted(&options, USER, GROUP, OTHER_GROUP), 0);
		ck_assert_int_eq(ask_to_be_admitted(&options, USER, OTHER_GROUP, GROUP), 0);
		ck_assert_int_eq(ask_to_be_admitted(&options, USER, OTHER_GROUP, OTHER_GROUP),
				 -EPERM);
		ck_assert_int_eq(ask_to_be_admitted(&options, 0, OTHER_GROUP, OTHER_GROUP), 0);
	}
END_TEST

struct admission {
	unsigned asked;
	int answer;
	struct peal_peer about;
};

static int admit(void *data, const struct peal_peer *peer)
{
	struct admission *admission = data;

	admission->asked++;
	admission->about = *peer;
	return admission->answer;
}

START_TEST(a_servers_callback_is_asked_about_those_who_are_not_allowed)
	{
		struct peal_options options = scene_options(PEAL_WAIT_ADAPTIVE, 4096);
		struct admission admission = { .answer = 0 };

		if (!is_root())
			return;
		options.admit = admit;
		options.admit_data = &admission;
		ck_assert_int_eq(ask_to_be_admitted(&options, USER, GROUP, OTHER_GROUP), -EPERM);
		ck_assert_uint_eq(admission.asked, 1);
		ck_assert_uint_eq(admission.about.uid, USER);
		ck_assert_uint_eq(admission.about.gid, GROUP);
		ck_assert_int_gt(admission.about.pid, 0);
		ck_assert_str_eq(admission.about.name, "");
		admission.answer = 1;
		ck_assert_int_eq(ask_to_be_admitted(&options, USER, GROUP, OTHER_GROUP), 0);
		ck_assert_uint_eq(admission.asked, 2);
		/* Who is allowed anyway is no question. */
		ck_assert_int_eq(ask_to_be_admitted(&options, 0, GROUP, OTHER_GROUP), 0);
		ck_assert_uint_eq(admission.asked, 2);
	}
END_TEST

/* How a client of root's finds a server of another user. */
static int find_server(const struct peal_options *options)
{
	struct peal_link *link;
	struct peer server;
	int err;

	start_as(&server, USER, GROUP, OTHER_GROUP);
	peer_tell(&server, "listen %s\naccept %" PRId64, scene_path("theirs"), SCENE_PATIENCE);
	ck_assert_msg(peer_hear(&server, "listen") == 0, "%s", server.text);
	err = peal_connect(&link, scene_path("theirs"), options, SCENE_PATIENCE);
	if (!err) {
		ck_assert_int_eq(peal_link_peer(link)->pid, server.pid);
		ck_assert_uint_eq(peal_link_peer(link)->uid, USER);
		ck_assert_uint_eq(peal_link_peer(link)->gid, GROUP);
		peal_close(link);
	}
	/* That it welcomed one who then went away is all that it knows. */
	ck_assert_msg(peer_hear(&server, "accept") == 0, "%s", server.text);
	peer_end(&server);
	return err;
}

START_TEST(a_client_refuses_a_server_of_another_user_unless_that_is_allowed)
	{
		struct peal_options options = scene_options(PEAL_WAIT_ADAPTIVE, 4096);
		struct holdings before;

		if (!is_root())
			return;
		before = holdings_at_rest();
		ck_assert_int_eq(find_server(NULL), -EPERM);
		ck_assert_ptr_nonnull(strstr(peal_error(), "12345"));
		ck_assert_int_eq(find_server(&options), -EPERM);
		options.allow = PEAL_ALLOW_GROUP;
		options.group = OTHER_USER;
		ck_assert_int_eq(find_server(&options), -EPERM);
		holdings_expect(getpid(), &before);
		options.group = GROUP;
		ck_assert_int_eq(find_server(&options), 0);
		/* Nobody vouches for the supplementary groups of who answers. */
		options.group = OTHER_GROUP;
		ck_assert_int_eq(find_server(&options), -EPERM);
		options.allow = PEAL_ALLOW_ANYONE;
		ck_assert_int_eq(find_server(&options), 0);
	}
END_TEST

START_TEST(who_may_not_open_the_socket_is_told_so)
	{
		struct peal_listener *listener;
		struct peer peer;

		if (!is_root())
			return;
		ck_assert_int_eq(peal_listen(&listener, scene_path("server"), NULL), 0);
		start_as(&peer, USER, GROUP, GROUP);
		peer_tell(&peer, "connect %s %" PRId64, scene_path("server"), SCENE_PATIENCE);
		ck_assert_int_eq(peer_hear(&peer, "connect"), -EACCES);
		ck_assert_ptr_nonnull(strstr(peer.text, "permission"));
		peer_end(&peer);
		peal_listener_close(listener);
	}
END_TEST

static Suite *credentials(void)
{
	Suite *suite = suite_create("credentials");
	TCase *tcase = scene_case("who");

	tcase_add_loop_test(tcase, each_side_is_told_who_the_other_is, 0, 2);
	tcase_add_test(tcase, a_server_admits_its_own_user_and_root);
	tcase_add_test(tcase, a_server_that_allows_anyone_admits_anyone);
	tcase_add_test(tcase, a_server_that_allows_a_group_admits_it_as_own_or_supplementary);
	tcase_add_test(tcase, a_servers_callback_is_asked_about_those_who_are_not_allowed);
	tcase_add_test(tcase, a_client_refuses_a_server_of_another_user_unless_that_is_allowed);
	tcase_add_test(tcase, who_may_not_open_the_socket_is_told_so);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { credentials, NULL };

	return runner_main(suites);
}
