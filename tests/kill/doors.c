/*
 * SPDX-License-Identifier: MIT
 *
 * Who connects, accepts, listens or stops listening is killed at each step of it: a server takes
 * the next client while one stands still half-way, a client is told, the next server has the
 * address at once, and nothing stays.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/kill/letters.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

static struct peal_listener *listener; /* of the plays whose server survives */

/*
 * A server, and a client that is killed.
 */

static void client(struct play *play)
{
	struct peal_options options = play_options(play);
	struct peal_link *link;
	int err;

	while (!journal_read(&play->diary->ready))
		sched_yield();
	victim_mark();
	err = peal_connect(&link, play->address, &options, SCENE_PATIENCE);
	if (!err) {
		journal_note(&play->diary->begun, 1);
		err = peal_send(peal_link_tx(link), "first", 5, 0, SCENE_PATIENCE);
	}
	if (err)
		diary_object(play->diary, "no link: %d %s", err, peal_error());
	journal_note(&play->diary->sent, 1);
	journal_note(&play->diary->closing, 1);
	peal_close(link);
	journal_note(&play->diary->closed, 1);
	victim_mark();
}

/* One that looks at the server's counters. */
static void monitor(struct play *play)
{
	struct peal_monitored about = { .size = sizeof(about) };
	struct peal_monitored_link links[4];
	struct peal_monitor *monitor;
	int err;

	while (!journal_read(&play->diary->ready))
		sched_yield();
	victim_mark();
	err = peal_monitor_open(&monitor, play->address, SCENE_PATIENCE);
	if (!err)
		err = peal_monitor_refresh(monitor, SCENE_PATIENCE);
	if (!err)
		err = peal_monitor_read(monitor, &about, links, 4);
	if (err < 0)
		diary_object(play->diary, "no monitor: %d %s", err, peal_error());
	peal_monitor_close(monitor);
	victim_mark();
}

/* Another client, a truthful one: its message is sent back. */
static void answer(struct play *play, struct peal_link *link)
{
	char buffer[8];

	if (peal_recv(peal_link_rx(link), buffer, sizeof(buffer), NULL, SCENE_PATIENCE) != 5 ||
	    peal_send(peal_link_tx(link), buffer, 5, 0, SCENE_PATIENCE))
		play_object(play, "another client is not served: %s", peal_error());
	peal_close(link);
}

/* What the victim had published is there, and nothing behind it. */
static void bury(struct play *play, struct peal_link *link)
{
	uint64_t count = 0;
	char buffer[8];
	ssize_t length;

	while ((length = peal_recv(peal_link_rx(link), buffer, sizeof(buffer), NULL,
				   SCENE_PATIENCE)) == 5)
		count++;
	if (!end_is_explained(play, (int)length))
		play_object(play, "the client's end is %zd: %s", length, peal_error());
	if (count < journal_read(&play->diary->sent) || count > journal_read(&play->diary->begun))
		play_object(play, "%u messages of the client's came", (unsigned)count);
	peal_close(link);
}

static void serve(struct play *play)
{
	struct peal_link *victims = NULL, *link;
	bool dead;
	int err;

	journal_note(&play->diary->ready, 1);
	/* Until it is dead, and nobody is in the queue. */
	do {
		dead = play_is_dead(play);
		err = peal_accept(listener, &link, dead ? 0 : 2 * MS);
		if (err && err != -ETIMEDOUT && err != -EAGAIN)
			play_object(play, "accept: %d %s", err, peal_error());
		if (!err && peal_link_peer(link)->pid == play->victim.pid)
			victims = link;
		else if (!err)
			answer(play, link);
	} while (!dead || !err);
	if (victims)
		bury(play, victims);
	else if (journal_read(&play->diary->begun))
		play_object(play, "the client's link is not there");
}

static void expect_served(struct play *play)
{
	struct peal_link *link;
	char buffer[8] = "";
	int err = peal_connect(&link, play->address, NULL, SCENE_PATIENCE);

	play_expect(play, !err, "another client does not get in: %d %s", err, peal_error());
	err = peal_send(peal_link_tx(link), "hello", 5, 0, SCENE_PATIENCE);
	if (!err)
		err = (int)peal_recv(peal_link_rx(link), buffer, sizeof(buffer), NULL,
				     SCENE_PATIENCE);
	play_expect(play, err == 5 && !memcmp(buffer, "hello", 5),
		    "another client is not served: %d %s", err, peal_error());
	peal_close(link);
}

/*
 * A client, and a server that is killed.
 */

static void server(struct play *play)
{
	const char *how = play->cast->data;
	struct peal_options options = play_options(play);
	struct peal_listener *door;
	struct peal_link *link = NULL;
	int err;

	if (how[0] == 'l')
		victim_mark();
	err = peal_listen(&door, play->address, &options);
	if (err)
		diary_object(play->diary, "no listener: %d %s", err, peal_error());
	journal_note(&play->diary->ready, 1);
	if (how[0] != 'l') {
		if (how[0] == 'a')
			victim_mark();
		err = peal_accept(door, &link, SCENE_PATIENCE);
		if (!err) {
			journal_note(&play->diary->begun, 1);
			err = peal_send(peal_link_tx(link), "first", 5, 0, SCENE_PATIENCE);
		}
		if (err)
			diary_object(play->diary, "no link: %d %s", err, peal_error());
		journal_note(&play->diary->sent, 1);
	}
	if (how[0] == 'c')
		victim_mark();
	peal_listener_close(door);
	victim_mark();
}

/* Until somebody may listen; false: it died before. */
static bool await_listening(const struct play *play)
{
	while (!journal_read(&play->diary->ready)) {
		if (play_is_dead(play))
			return false;
		sched_yield();
	}
	return true;
}

/* Goes there as soon as somebody may listen. */
static void visit(struct play *play)
{
	struct peal_options options = play_options(play);
	struct peal_link *link;
	int err;

	if (!await_listening(play))
		return;
	err = peal_connect(&link, play->address, &options, SCENE_PATIENCE);
	if (!err)
		bury(play, link);
	else if (err != -ECONNRESET && err != -ECONNREFUSED)
		play_object(play, "connect: %d %s", err, peal_error());
	else if (journal_read(&play->diary->begun))
		play_object(play, "the server had a link, and the client was told %d", err);
}

/* The same, and looks at its counters, also when it is dead. */
static void watch(struct play *play)
{
	struct peal_monitored about = { .size = sizeof(about) };
	struct peal_monitor *monitor;
	int err;

	if (!await_listening(play))
		return;
	err = peal_monitor_open(&monitor, play->address, SCENE_PATIENCE);
	if (err) {
		if (err != -ECONNRESET && err != -ECONNREFUSED)
			play_object(play, "no monitor: %d %s", err, peal_error());
		return;
	}
	while (!play_is_dead(play))
		if (peal_monitor_read(monitor, &about, NULL, 0) < 0)
			play_object(play, "no counters: %s", peal_error());
	err = peal_monitor_refresh(monitor, SCENE_PATIENCE);
	if (err != -ECONNREFUSED && err != -ECONNRESET)
		play_object(play, "a dead process answers %d: %s", err, peal_error());
	if (peal_monitor_read(monitor, &about, NULL, 0) < 0)
		play_object(play, "no counters: %s", peal_error());
	peal_monitor_close(monitor);
}

/* Lets somebody look, while nobody comes. */
static void watched(struct play *play)
{
	struct peal_options options = play_options(play);
	struct peal_listener *door;
	struct peal_link *link;
	int err = peal_listen(&door, play->address, &options);

	if (err)
		diary_object(play->diary, "no listener: %d %s", err, peal_error());
	victim_mark();
	journal_note(&play->diary->ready, 1);
	for (int i = 0; i < 3; i++)
		err = peal_accept(door, &link, 4 * MS);
	if (err != -ETIMEDOUT)
		diary_object(play->diary, "somebody came: %d %s", err, peal_error());
	victim_mark();
}

/* Files beside the sockets' lock, of which one stays. */
static unsigned count_files(void)
{
	DIR *folder = opendir(scene_path(""));
	unsigned count = 0;

	ck_assert_ptr_nonnull(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count - 2;
}

static void expect_free(struct play *play)
{
	struct peal_listener *next;
	struct peal_link *link;
	int err = peal_listen(&next, play->address, NULL);

	play_expect(play, !err, "the next server does not get the address: %d %s", err,
		    peal_error());
	peal_listener_close(next);
	err = peal_connect(&link, play->address, NULL, 0);
	play_expect(play, err == -ECONNREFUSED, "nobody listens, and connect says %d", err);
	play_expect(play, count_files() == 1, "%u files are left", count_files());
}

static const struct cast clients[] = {
	{ .name = "monitor", .victim = monitor, .survivor = serve, .held = expect_served },
	{ .name = "connect, send, close",
	  .victim = client,
	  .survivor = serve,
	  .held = expect_served },
};

#define SERVER(title)                                                                       \
	{                                                                                   \
		.name = (title), .victim = server, .survivor = visit, .after = expect_free, \
		.data = (title)                                                             \
	}

static const struct cast servers[] = {
	SERVER("listen"),
	SERVER("accept"),
	SERVER("close the listener"),
	{ .name = "be monitored", .victim = watched, .survivor = watch, .after = expect_free },
};

START_TEST(a_server_serves_whatever_step_of_connecting_a_client_is_killed_at)
	{
		if (!play_possible())
			return;
		ck_assert_int_eq(peal_listen(&listener, scene_path("server"), NULL), 0);
		play_run(&clients[_i]);
		peal_listener_close(listener);
	}
END_TEST

START_TEST(the_next_server_has_the_address_whatever_step_one_is_killed_at)
	{
		if (play_possible())
			play_run(&servers[_i]);
	}
END_TEST

static Suite *doors(void)
{
	Suite *suite = suite_create("doors");
	TCase *tcase = scene_case("doors");

	tcase_add_loop_test(tcase,
			    a_server_serves_whatever_step_of_connecting_a_client_is_killed_at, 0,
			    (int)(sizeof(clients) / sizeof(clients[0])));
	tcase_add_loop_test(tcase, the_next_server_has_the_address_whatever_step_one_is_killed_at,
			    0, (int)(sizeof(servers) / sizeof(servers[0])));
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { doors, NULL };

	return play_main(suites);
}
