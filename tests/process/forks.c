/*
 * SPDX-License-Identifier: MIT
 *
 * fork: the child's handles are dead and hide nobody's death, the parent's go on, and the child can
 * make its own.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/scene.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RING 16384

static uint8_t buffer[65536];

/* A peer that has forked: its child goes on in its place, it waits to be killed. The child is ours
 * when that has happened. */
static pid_t fork_peer(struct peer *peer)
{
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	return (pid_t)peer_ask(peer, "fork");
}

/* Kills the parent; from here on the peer is the child. */
static void kill_parent(struct peer *peer, pid_t child)
{
	int status;

	ck_assert_int_eq(kill(peer->pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(peer->pid, &status, 0), peer->pid);
	peer->pid = child;
	ck_assert_int_eq(kill(child, 0), 0);
}

START_TEST(a_surviving_child_does_not_hide_its_parents_death)
	{
		if (skip_emulated("PR_SET_CHILD_SUBREAPER"))
			return;
		for (unsigned i = 0; i < scene_rounds(6); i++) {
			struct peal_link *link;
			struct peer peer;
			pid_t child;
			int err = 0;

			peer_start(&peer);
			link = peer_link(&peer, i % 2, (unsigned)_i, RING);
			ck_assert_int_eq(peer_ask(&peer, "send 5 0"), 0);
			child = fork_peer(&peer);
			kill_parent(&peer, child);
			ck_assert_int_eq(peal_recv(peal_link_rx(link), buffer, sizeof(buffer), NULL,
						   PEAL_FOREVER),
					 5);
			ck_assert_int_eq(peal_recv(peal_link_rx(link), buffer, sizeof(buffer), NULL,
						   PEAL_FOREVER),
					 -ECONNRESET);
			while (!err)
				err = peal_send(peal_link_tx(link), buffer, 1000, 0, PEAL_FOREVER);
			ck_assert_int_eq(err, -ECONNRESET);
			ck_assert_int_eq(kill(child, 0), 0);
			peal_close(link);
			peer_end(&peer);
		}
	}
END_TEST

START_TEST(a_childs_handles_are_stale_and_it_can_make_its_own)
	{
		struct peal_options options = scene_options((unsigned)_i, RING);
		struct peal_listener *listener;
		struct peal_link *link, *other;
		struct peer peer;
		char line[256];
		pid_t child;

		if (skip_emulated("PR_SET_CHILD_SUBREAPER"))
			return;
		peer_start(&peer);
		link = peer_link(&peer, true, (unsigned)_i, RING);
		snprintf(line, sizeof(line), "listen %s", scene_path("theirs"));
		ck_assert_msg(peer_ask(&peer, line) == 0, "%s", peer.text);
		/* Something to read in both directions, which is not the child's. */
		ck_assert_int_eq(peer_ask(&peer, "send 5 0"), 0);
		ck_assert_int_eq(peal_send(peal_link_tx(link), buffer, 7, 0, 0), 0);
		child = fork_peer(&peer);
		ck_assert_int_eq(peer_ask(&peer, "send 1 0"), -ESTALE);
		ck_assert_int_eq(peer_ask(&peer, "send 1 forever"), -ESTALE);
		ck_assert_ptr_nonnull(strstr(peer.text, "fork"));
		ck_assert_int_eq(peer_ask(&peer, "recv 0"), -ESTALE);
		ck_assert_int_eq(peer_ask(&peer, "recv forever"), -ESTALE);
		ck_assert_int_eq(peer_ask(&peer, "stats"), -ESTALE);
		ck_assert_int_eq(peer_ask(&peer, "accept forever"), -ESTALE);
		ck_assert_int_eq(peer_ask(&peer, "accept 0"), -ESTALE);
		ck_assert_int_eq(peer_ask(&peer, "unlisten"), 0);
		ck_assert_int_eq(peer_ask(&peer, "close"), 0);
		/* Its parent still has the address, and the link. */
		ck_assert_int_eq(peer_ask(&peer, line), -EADDRINUSE);
		ck_assert_int_eq(access(scene_path("theirs"), F_OK), 0);
		ck_assert_int_eq(peal_recv(peal_link_rx(link), buffer, sizeof(buffer), NULL, 0), 5);
		ck_assert_int_eq(peal_recv(peal_link_rx(link), buffer, sizeof(buffer), NULL, 0),
				 -EAGAIN);
		/* Its own. */
		ck_assert_int_eq(peal_listen(&listener, scene_path("ours"), &options), 0);
		peer_tell(&peer, "connect %s %" PRId64, scene_path("ours"), SCENE_PATIENCE);
		ck_assert_msg(!peal_accept(listener, &other, SCENE_PATIENCE), "%s", peal_error());
		ck_assert_msg(peer_hear(&peer, "connect") == 0, "%s", peer.text);
		ck_assert_int_eq(peal_link_peer(other)->pid, child);
		ck_assert_int_eq(peer_ask(&peer, "send 9 0"), 0);
		ck_assert_int_eq(peal_recv(peal_link_rx(other), buffer, sizeof(buffer), NULL,
					   PEAL_FOREVER),
				 9);
		/* With the parent the address is free, though the child lives. */
		kill_parent(&peer, child);
		ck_assert_msg(peer_ask(&peer, line) == 0, "%s", peer.text);
		peal_close(other);
		peal_close(link);
		peal_listener_close(listener);
		peer_end(&peer);
	}
END_TEST

/* What a child of this process finds: 0, or the line where it was not as it must be. */
static int look_as_child(struct peal_listener *listener, struct peal_link *link,
			 struct peal_link *pair, unsigned descriptors)
{
	struct peal_options options = scene_options(PEAL_WAIT_ADAPTIVE, RING);
	struct peal_stats stats = { .size = sizeof(stats) };
	struct peal_tx *tx = peal_link_tx(link);
	struct peal_rx *rx = peal_link_rx(link);
	struct peal_link *made, *links[2];
	struct peal_listener *own;
	struct peal_message message;
	void *at;

	if (holdings_of(getpid()).descriptors > descriptors || holdings_of(getpid()).mappings)
		return __LINE__;
	/* There was a reservation and a held message. */
	if (peal_commit(tx, 10, 0) != -ESTALE)
		return __LINE__;
	peal_release(rx);
	peal_abort(tx);
	if (peal_reserve(tx, 0, &at, PEAL_FOREVER) != -ESTALE ||
	    peal_reserve(tx, 1 << 20, &at, 0) != -ESTALE)
		return __LINE__;
	if (peal_send(tx, "", 0, 0, PEAL_FOREVER) != -ESTALE ||
	    peal_sendv(tx, NULL, 0, 0, 0) != -ESTALE)
		return __LINE__;
	if (peal_peek(rx, &message, PEAL_FOREVER) != -ESTALE ||
	    peal_recv(rx, buffer, sizeof(buffer), NULL, 0) != -ESTALE)
		return __LINE__;
	if (peal_link_stats(link, &stats) != -ESTALE)
		return __LINE__;
	if (peal_send(peal_link_tx(pair), "", 0, 0, 0) != -ESTALE)
		return __LINE__;
	if (peal_accept(listener, &made, PEAL_FOREVER) != -ESTALE ||
	    peal_listener_fd(listener) >= 0)
		return __LINE__;
	peal_close(link);
	peal_listener_close(listener);
	/* Its own. */
	if (peal_listen(&own, scene_path("childs"), &options) ||
	    peal_accept(own, &made, 0) != -EAGAIN)
		return __LINE__;
	if (peal_pair(links, &options) || peal_send(peal_link_tx(links[0]), "abc", 3, 0, 0) ||
	    peal_recv(peal_link_rx(links[1]), buffer, sizeof(buffer), NULL, 0) != 3)
		return __LINE__;
	peal_close(links[0]);
	peal_close(links[1]);
	peal_listener_close(own);
	return 0;
}

static void expect_child_ends_well(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		ck_assert_int_eq(errno, EINTR);
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status),
		      "the child ended with status 0x%x: line %d of this file, modulo 256",
		      (unsigned)status, WEXITSTATUS(status));
}

static nlink_t threads(void)
{
	struct stat status;

	ck_assert_int_eq(stat("/proc/self/task", &status), 0);
	return status.st_nlink; /* a folder for each */
}

/* A sanitizer may have started one of its own beside ours. */
static bool are_no_more_threads(void *data)
{
	const nlink_t *before = data;

	return threads() <= *before + runner_burdened();
}

START_TEST(the_parent_notices_nothing_of_its_child)
	{
		struct peal_options options = scene_options((unsigned)_i, RING);
		struct peal_link *link, *second, *pair[2];
		struct peal_listener *listener;
		struct peal_message message;
		struct holdings before;
		nlink_t alone = threads();
		unsigned descriptors;
		struct peer peer, other;
		pid_t child;
		void *at;

		if (skip_emulated("MADV_DONTFORK"))
			return;
		peer_start(&peer);
		descriptors = holdings_of(getpid()).descriptors;
		link = peer_link(&peer, true, (unsigned)_i, RING);
		ck_assert_int_eq(peal_pair(pair, &options), 0);
		ck_assert_int_eq(peal_listen(&listener, scene_path("server"), &options), 0);
		for (unsigned i = 0; i < scene_rounds(5); i++) {
			ck_assert_int_eq(peer_ask(&peer, "send 3 0"), 0);
			ck_assert_int_eq(peal_peek(peal_link_rx(link), &message, SCENE_PATIENCE),
					 0);
			ck_assert_int_eq(peal_reserve(peal_link_tx(link), 10, &at, 0), 0);
			/* What is being closed aside would be in the child, too. */
			ck_assert(scene_until(are_no_more_threads, &alone));
			before = holdings_of(getpid());
			child = fork();
			ck_assert_int_ge(child, 0);
			if (!child)
				_exit(look_as_child(listener, link, pair[0], descriptors) & 255);
			memset(at, 'y', 10);
			ck_assert_int_eq(peal_commit(peal_link_tx(link), 10, 1), 0);
			ck_assert_int_eq(peer_ask(&peer, "recv forever"), 10);
			ck_assert_uint_eq(message.length, 3);
			peal_release(peal_link_rx(link));
			expect_child_ends_well(child);
			holdings_expect(getpid(), &before);
			ck_assert_int_eq(peal_send(peal_link_tx(link), buffer, 11, 1, 0), 0);
			ck_assert_int_eq(peer_ask(&peer, "recv forever"), 11);
			ck_assert_int_eq(peal_send(peal_link_tx(pair[0]), buffer, 12, 1, 0), 0);
			ck_assert_int_eq(peal_recv(peal_link_rx(pair[1]), buffer, sizeof(buffer),
						   NULL, 0),
					 12);
			peer_start(&other);
			peer_tell(&other, "connect %s %" PRId64, scene_path("server"),
				  SCENE_PATIENCE);
			ck_assert_msg(!peal_accept(listener, &second, SCENE_PATIENCE), "%s",
				      peal_error());
			ck_assert_int_eq(peer_hear(&other, "connect"), 0);
			peal_close(second);
			peer_end(&other);
		}
		peal_listener_close(listener);
		peal_close(pair[0]);
		peal_close(pair[1]);
		peal_close(link);
		peer_end(&peer);
	}
END_TEST

/* Forks go on beside a thread that is in the middle of messages. */
struct streamer {
	pthread_t thread;
	struct peal_link *link;
	struct traffic traffic;
	uint64_t count;
	int err;
};

static void *do_stream(void *data)
{
	struct streamer *streamer = data;

	while (!streamer->err && streamer->traffic.next < streamer->count)
		streamer->err = traffic_send(&streamer->traffic, peal_link_tx(streamer->link),
					     SCENE_PATIENCE);
	return NULL;
}

START_TEST(forks_do_not_disturb_the_parents_other_threads)
	{
		static struct streamer streamer;
		struct peer peer;

		peer_start(&peer);
		streamer = (struct streamer){ .link = peer_link(&peer, true, (unsigned)_i, RING),
					      .count = 20000 };
		traffic_begin(&streamer.traffic, scene_random(), RING);
		peer_tell(&peer, "consume %" PRIu64 " %" PRIu64 " forever", streamer.traffic.seed,
			  streamer.count);
		ck_assert_int_eq(pthread_create(&streamer.thread, NULL, do_stream, &streamer), 0);
		for (unsigned i = 0; i < scene_rounds(20); i++) {
			pid_t child = fork();

			ck_assert_int_ge(child, 0);
			if (!child) {
				int err = peal_send(peal_link_tx(streamer.link), "", 0, 0,
						    PEAL_FOREVER);

				_exit(err == -ESTALE ? 0 : 1);
			}
			expect_child_ends_well(child);
		}
		ck_assert_int_eq(pthread_join(streamer.thread, NULL), 0);
		ck_assert_int_eq(streamer.err, 0);
		ck_assert_msg(peer_hear(&peer, "consume") == 0, "%s", peer.text);
		peal_close(streamer.link);
		peer_end(&peer);
	}
END_TEST

static Suite *forks(void)
{
	Suite *suite = suite_create("forks");
	TCase *tcase = scene_case("fork");

	tcase_add_loop_test(tcase, a_surviving_child_does_not_hide_its_parents_death, 0, 3);
	tcase_add_loop_test(tcase, a_childs_handles_are_stale_and_it_can_make_its_own, 0, 3);
	tcase_add_loop_test(tcase, the_parent_notices_nothing_of_its_child, 0, 3);
	tcase_add_loop_test(tcase, forks_do_not_disturb_the_parents_other_threads, 0, 3);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { forks, NULL };

	return runner_main(suites);
}
