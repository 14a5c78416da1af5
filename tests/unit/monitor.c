/*
 * SPDX-License-Identifier: MIT
 *
 * Monitors: that they read what the links themselves say, whoever comes and goes meanwhile; that
 * they are let in when clients are not, and strangers never; and that nothing an evil server says
 * or hands over does more than mislead. White-box in that it knows the messages and the objects.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/handshake.h"
#include "lib/link.h"
#include "lib/listen.h"
#include "lib/options.h"
#include "lib/stats.h"
#include "tests/unit/stage.h"
#include "tests/unit/stranger.h"

#include <peal/monitor.h>

static struct folder folder;
static struct peal_listener *listener;
static int before;

/* Waits for a message; how many descriptors came along, which are closed. */
static int hear(int fd, struct wire_message *answer)
{
	struct platform_parcel received;
	int count;

	ck_assert_int_eq(platform_poll(fd, false, LONG), 0);
	ck_assert_int_eq(platform_receive(fd, answer, sizeof(*answer), &received), sizeof(*answer));
	count = received.count;
	wire_close_parcel(&received);
	return count;
}

/* Accepts for as long as it is wanted; clients that come stay. */
static struct {
	pthread_t thread;
	bool over; /* atomic */
	struct peal_link *links[8];
	unsigned count;
} porter;

static void *accept_all(void *data)
{
	struct peal_link *link;

	(void)data;
	while (!__atomic_load_n(&porter.over, __ATOMIC_ACQUIRE))
		if (!peal_accept(listener, &link, 10 * MS)) {
			ck_assert_uint_lt(porter.count, 8);
			porter.links[porter.count++] = link;
		}
	return NULL;
}

static void porter_start(void)
{
	porter.over = false;
	ck_assert_int_eq(pthread_create(&porter.thread, NULL, accept_all, NULL), 0);
}

static void porter_stop(void)
{
	__atomic_store_n(&porter.over, true, __ATOMIC_RELEASE);
	pthread_join(porter.thread, NULL);
}

/* How many descriptors are open once all is closed that threads of their own see to. */
static int settled(void)
{
	threads_expect_none();
	return descriptors_count();
}

static void set_up(void)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 4 * stage_page());

	options.name = "the server";
	porter.count = 0;
	folder_make(&folder);
	threads_begin(0);
	before = descriptors_settled();
	ck_assert_msg(!peal_listen(&listener, folder.path, &options), "%s", peal_error());
}

static void tear_down(void)
{
	while (porter.count)
		peal_close(porter.links[--porter.count]);
	peal_listener_close(listener);
	descriptors_expect(before);
	folder_remove(&folder);
}

/* With the porter there meanwhile. */
static struct peal_monitor *open_monitor(void)
{
	struct peal_monitor *monitor;
	int err;

	porter_start();
	err = peal_monitor_open(&monitor, folder.path, LONG);
	porter_stop();
	ck_assert_msg(!err, "%d: %s", err, peal_error());
	return monitor;
}

/* All that a monitor tells. */
struct view {
	struct peal_monitored about;
	struct peal_monitored_link links[256];
	unsigned count;
};

static struct view *look(struct peal_monitor *monitor)
{
	static struct view view;
	int count;

	view.about.size = sizeof(view.about);
	count = peal_monitor_read(monitor, &view.about, view.links, 256);
	ck_assert_msg(count >= 0 && count <= 256, "%d: %s", count, peal_error());
	ck_assert_uint_eq((unsigned)count, view.about.links);
	view.count = (unsigned)count;
	return &view;
}

static const struct peal_monitored_link *link_of_role(const struct view *view, uint32_t role)
{
	for (unsigned i = 0; i < view->count; i++)
		if (view->links[i].role == role)
			return &view->links[i];
	ck_abort_msg("no link of role %u among %u", role, view->count);
	return NULL;
}

static void expect_same(const struct peal_monitored_link *seen, const struct peal_link *link)
{
	struct peal_stats stats = stats_of(link);

	ck_assert_mem_eq(&seen->tx, &stats.tx, sizeof(stats.tx));
	ck_assert_mem_eq(&seen->rx, &stats.rx, sizeof(stats.rx));
	ck_assert_uint_eq(seen->tx_capacity, link->own.capacity);
	ck_assert_uint_eq(seen->rx_capacity, link->theirs.capacity);
	ck_assert_mem_eq(&seen->peer, peal_link_peer(link), sizeof(seen->peer));
}

START_TEST(a_monitor_reads_what_the_links_themselves_say)
	{
		struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 8 * stage_page());
		struct peal_link *client, *server;
		struct peal_monitor *monitor;
		const struct peal_monitored_link *of_client, *of_server;
		struct view *view;
		uint64_t start = platform_now();
		char buffer[64];

		options.name = "some\nclient";
		porter_start();
		ck_assert_int_eq(peal_connect(&client, folder.path, &options, LONG), 0);
		porter_stop();
		server = porter.links[0];
		monitor = open_monitor();
		for (int round = 0; round < 3; round++) {
			for (uint32_t i = 0; i < 7; i++)
				ck_assert_int_eq(
					peal_send(peal_link_tx(client), "hello", 5, i, LONG), 0);
			for (int i = 0; i < 6; i++)
				ck_assert_int_eq(peal_recv(peal_link_rx(server), buffer,
							   sizeof(buffer), NULL, LONG),
						 5);
			ck_assert_int_eq(peal_send(peal_link_tx(server), "ha", 2, 0, LONG), 0);
			view = look(monitor);
			of_client = link_of_role(view, PEAL_CLIENT);
			of_server = link_of_role(view, PEAL_SERVER);
			expect_same(of_client, client);
			expect_same(of_server, server);
			ck_assert_uint_eq(of_client->tx.messages, 7u * (unsigned)(round + 1));
			ck_assert_uint_eq(of_server->rx.messages, 6u * (unsigned)(round + 1));
			ck_assert_uint_eq(of_server->tx.bytes, 2u * (unsigned)(round + 1));
			ck_assert_uint_ne(of_client->id, of_server->id);
		}
		ck_assert_str_eq(of_server->peer.name, "some?client");
		ck_assert_str_eq(of_client->peer.name, "the server");
		ck_assert_uint_eq(of_client->wait, PEAL_WAIT_SLEEP);
		ck_assert_uint_eq(of_server->wait, PEAL_WAIT_ADAPTIVE);
		ck_assert(of_server->since_ns >= start && of_server->since_ns <= platform_now());
		ck_assert_str_eq(view->about.who.name, "the server");
		ck_assert_int_eq(view->about.who.pid, getpid());
		ck_assert_uint_eq(view->about.who.uid, geteuid());
		ck_assert_uint_eq(view->about.who.gid, getegid());
		ck_assert(view->about.started_ns <= start && view->about.now_ns >= start);
		/* Who wants fewer gets fewer, and is told how many there are. */
		ck_assert_int_eq(peal_monitor_read(monitor, NULL, view->links, 1), 2);
		ck_assert_int_eq(peal_monitor_read(monitor, NULL, NULL, 0), 2);
		view->about.size--;
		expect_error(peal_monitor_read(monitor, &view->about, NULL, 0), -EINVAL, "size",
			     NULL);
		peal_close(client);
		peal_monitor_close(monitor);
		peal_monitor_close(NULL);
	}
END_TEST

/* Pairs of two sizes, named after them; each has sent and taken so many messages. */
#define PAIRS 50
#define EACH 3

static void open_pairs(struct peal_link *pairs[PAIRS][2])
{
	for (unsigned i = 0; i < PAIRS; i++) {
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE,
							    (i % 2 ? 4 : 1) * stage_page());

		options.name = i % 2 ? "large" : "small";
		ck_assert_msg(!peal_pair(pairs[i], &options), "%s", peal_error());
		for (uint32_t tag = 0; tag < EACH; tag++) {
			char byte;

			ck_assert_int_eq(peal_send(peal_link_tx(pairs[i][0]), "x", 1, tag, LONG),
					 0);
			ck_assert_int_eq(peal_recv(peal_link_rx(pairs[i][1]), &byte, 1, NULL, LONG),
					 1);
		}
	}
}

static void close_pairs(struct peal_link *pairs[PAIRS][2])
{
	for (unsigned i = 0; i < PAIRS; i++)
		pair_close(pairs[i]);
}

struct totals {
	uint64_t ended, sent, received, most;
};

static struct totals add_up(const struct view *view)
{
	struct totals sum = { .ended = view->about.ended,
			      .sent = view->about.ended_tx.messages,
			      .received = view->about.ended_rx.messages,
			      .most = view->about.ended_tx.high_water };

	for (unsigned i = 0; i < view->count; i++) {
		sum.sent += view->links[i].tx.messages;
		sum.received += view->links[i].rx.messages;
	}
	return sum;
}

START_TEST(links_of_memory_that_is_made_later_are_seen_after_a_refresh)
	{
		struct peal_link *pairs[PAIRS][2];
		struct peal_monitor *monitor = open_monitor();
		struct totals first = add_up(look(monitor)), now;
		struct view *view;
		int err, open = settled();

		open_pairs(pairs);
		porter_start();
		err = peal_monitor_refresh(monitor, LONG);
		porter_stop();
		ck_assert_msg(!err, "%s", peal_error());
		view = look(monitor);
		now = add_up(view);
		ck_assert_uint_eq(view->count, 2 * PAIRS);
		ck_assert_uint_eq(now.sent, first.sent + PAIRS * EACH);
		ck_assert_uint_eq(now.received, first.received + PAIRS * EACH);
		for (unsigned i = 0; i < view->count; i++)
			for (unsigned j = 0; j < i; j++)
				ck_assert_uint_ne(view->links[i].id, view->links[j].id);
		close_pairs(pairs);
		/* Nobody has to be asked for that. */
		view = look(monitor);
		now = add_up(view);
		ck_assert_uint_eq(view->count, 0);
		ck_assert_uint_eq(now.ended, first.ended + 2 * PAIRS);
		ck_assert_uint_eq(now.sent, first.sent + PAIRS * EACH);
		ck_assert_uint_eq(now.received, first.received + PAIRS * EACH);
		ck_assert_uint_eq(view->about.ended_tx.depth, 0);
		/* The process keeps its new objects. */
		ck_assert_int_le(settled(), open + 2);
		before += settled() - open;
		peal_monitor_close(monitor);
	}
END_TEST

#define ROUNDS 6

static bool churned; /* atomic */

static void *churn(void *data)
{
	struct peal_link *pairs[PAIRS][2];

	(void)data;
	for (int i = 0; i < ROUNDS; i++) {
		open_pairs(pairs);
		close_pairs(pairs);
	}
	__atomic_store_n(&churned, true, __ATOMIC_RELEASE);
	return NULL;
}

START_TEST(totals_never_fall_and_links_are_whole_while_they_come_and_go)
	{
		struct peal_link *pairs[PAIRS][2];
		struct peal_monitor *monitor;
		struct totals first, last, now;
		pthread_t thread;
		int open = settled();
		bool over;

		open_pairs(pairs); /* all memory that there will be */
		close_pairs(pairs);
		before += settled() - open;
		monitor = open_monitor();
		first = last = add_up(look(monitor));
		churned = false;
		ck_assert_int_eq(pthread_create(&thread, NULL, churn, NULL), 0);
		do {
			struct view *view;

			over = __atomic_load_n(&churned, __ATOMIC_ACQUIRE);
			view = look(monitor);
			now = add_up(view);
			ck_assert_uint_ge(now.ended, last.ended);
			ck_assert_uint_ge(now.sent, last.sent);
			ck_assert_uint_ge(now.received, last.received);
			ck_assert_uint_ge(now.most, last.most);
			last = now;
			for (unsigned i = 0; i < view->count; i++) {
				const struct peal_monitored_link *link = &view->links[i];
				bool large = link->tx_capacity == 4 * stage_page();

				ck_assert_uint_eq(link->tx_capacity, link->rx_capacity);
				ck_assert(large || link->tx_capacity == stage_page());
				ck_assert_str_eq(link->peer.name, large ? "large" : "small");
				ck_assert_uint_le(link->tx.messages + link->rx.messages, EACH);
			}
		} while (!over);
		pthread_join(thread, NULL);
		ck_assert_uint_eq(now.ended, first.ended + 2 * ROUNDS * PAIRS);
		ck_assert_uint_eq(now.sent, first.sent + ROUNDS * PAIRS * EACH);
		ck_assert_uint_eq(now.received, first.received + ROUNDS * PAIRS * EACH);
		peal_monitor_close(monitor);
	}
END_TEST

/* Links that are one number in all that is told of them. */
static void *take_turns(void *data)
{
	struct peal_peer peer = { .pid = 0 };

	(void)data;
	while (!__atomic_load_n(&churned, __ATOMIC_ACQUIRE)) {
		struct stats_slot *slot;
		uint32_t number = ++peer.uid;

		peer.pid = peer.gid = number;
		memset(peer.name, 'a' + (int)(number % 26), 63);
		slot = stats_take(number, number, &peer, number, number);
		slot->tx.messages = 1;
		stats_give(slot);
	}
	return NULL;
}

START_TEST(no_link_is_made_of_two)
	{
		struct peal_monitor *monitor = open_monitor();
		pthread_t thread;

		churned = false;
		ck_assert_int_eq(pthread_create(&thread, NULL, take_turns, NULL), 0);
		for (unsigned i = 0; i < 20000; i++) {
			const struct view *view = look(monitor);
			const struct peal_monitored_link *link = view->links;
			uint32_t number = link->role;

			if (!view->count)
				continue;
			ck_assert_uint_eq(view->count, 1);
			ck_assert_uint_eq(link->wait, number);
			ck_assert_int_eq(link->peer.pid, number);
			ck_assert_uint_eq(link->peer.uid, number);
			ck_assert_uint_eq(link->peer.gid, number);
			ck_assert_uint_eq(link->tx_capacity, number);
			ck_assert_uint_eq(link->rx_capacity, number);
			ck_assert_int_eq(link->peer.name[0], 'a' + (int)(number % 26));
			ck_assert_int_eq(link->peer.name[62], 'a' + (int)(number % 26));
		}
		__atomic_store_n(&churned, true, __ATOMIC_RELEASE);
		pthread_join(thread, NULL);
		peal_monitor_close(monitor);
	}
END_TEST

START_TEST(a_process_that_was_stopped_while_a_link_ended_is_read_as_before)
	{
		struct peal_monitor *monitor = open_monitor();
		struct peal_link *pair[2];
		struct stats_slot *slot;
		struct stats_past kept;
		struct totals then, now;
		struct view *view;

		pair_open(pair, PEAL_WAIT_ADAPTIVE, 0);
		ck_assert_int_eq(peal_send(peal_link_tx(pair[0]), "x", 1, 0, 0), 0);
		slot = pair[0]->slot;
		then = add_up(look(monitor));
		/* What it writes then counts from the next turn on. */
		kept = slot->past[(slot->turn / 2 + 1) % 2];
		memset(&slot->past[(slot->turn / 2 + 1) % 2], 0xff, sizeof(kept));
		view = look(monitor);
		now = add_up(view);
		ck_assert_mem_eq(&now, &then, sizeof(now));
		ck_assert_uint_eq(view->count, 2);
		slot->past[(slot->turn / 2 + 1) % 2] = kept;
		peal_close(pair[0]);
		now = add_up(look(monitor));
		ck_assert_uint_eq(now.sent, then.sent);
		ck_assert_uint_eq(now.ended, then.ended + 1);
		/* And while one comes. */
		memset(&slot->tx, 0xff, sizeof(*slot) - offsetof(struct stats_slot, tx));
		view = look(monitor);
		ck_assert_uint_eq(add_up(view).sent, then.sent);
		ck_assert_uint_eq(view->count, 1);
		peal_close(pair[1]);
		peal_monitor_close(monitor);
	}
END_TEST

/* Each word of its counters another number: the first is value, and each one more. */
static void count_up(struct peal_counters *counters, uint64_t value)
{
	uint64_t *words = (uint64_t *)(void *)counters;

	for (size_t i = 0; i < offsetof(struct peal_counters, spare) / sizeof(*words); i++)
		words[i] = value + i;
}

/* Links have ended since whose counters began with 100 and with 500. */
static void expect_sums(const struct peal_counters *ended, const struct peal_counters *before_them)
{
	struct peal_counters low, high, sums = *before_them;

	count_up(&low, 100);
	count_up(&high, 500);
	sums.messages += low.messages + high.messages;
	sums.bytes += low.bytes + high.bytes;
	sums.waits += low.waits + high.waits;
	sums.sleeps += low.sleeps + high.sleeps;
	sums.rung += low.rung + high.rung;
	sums.batched += low.batched + high.batched;
	sums.slices += low.slices + high.slices;
	sums.idle_rings += low.idle_rings + high.idle_rings;
	sums.high_water = high.high_water;
	ck_assert_uint_eq(sums.stalled_since, 0);
	ck_assert_uint_eq(sums.depth, 0);
	ck_assert_mem_eq(ended, &sums, sizeof(sums));
}

START_TEST(of_links_that_have_ended_each_count_is_summed_and_no_state_is_kept)
	{
		struct peal_peer peer = { .pid = 1 };
		struct stats_slot *slots[2];
		struct peal_monitor *monitor = open_monitor();
		struct peal_monitored then = look(monitor)->about;
		struct view *view;

		for (int i = 0; i < 2; i++)
			slots[i] = stats_take(PEAL_CLIENT, PEAL_WAIT_ADAPTIVE, &peer, 4096, 4096);
		count_up(&slots[0]->tx, 100);
		count_up(&slots[0]->rx, 500);
		count_up(&slots[1]->tx, 500);
		count_up(&slots[1]->rx, 100);
		stats_give(slots[0]);
		stats_give(slots[1]);
		view = look(monitor);
		expect_sums(&view->about.ended_tx, &then.ended_tx);
		expect_sums(&view->about.ended_rx, &then.ended_rx);
		peal_monitor_close(monitor);
	}
END_TEST

START_TEST(the_id_of_a_link_is_no_other_ones)
	{
		struct peal_monitor *monitor = open_monitor();
		uint64_t ids[20];

		for (int i = 0; i < 10; i++) {
			struct peal_link *pair[2];
			struct view *view;

			pair_open(pair, PEAL_WAIT_ADAPTIVE, 0);
			view = look(monitor);
			ck_assert_uint_eq(view->count, 2);
			ids[2 * i] = view->links[0].id;
			ids[2 * i + 1] = view->links[1].id;
			for (int j = 0; j < 2 * i + 1; j++) {
				ck_assert_uint_ne(ids[j], ids[2 * i + 1]);
				ck_assert(j == 2 * i || ids[j] != ids[2 * i]);
			}
			pair_close(pair);
		}
		peal_monitor_close(monitor);
	}
END_TEST

START_TEST(a_monitor_comes_by_every_form_of_address_that_clients_have)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct peal_listener *by_path = listener;
		struct peal_monitor *monitor;
		char address[64], lock[120];
		int fd, err;

		fd = stranger_connect(folder.path);
		snprintf(address, sizeof(address), "fd:%d", fd);
		porter_start();
		err = peal_monitor_open(&monitor, address, LONG);
		porter_stop();
		ck_assert_msg(!err, "%s", peal_error());
		ck_assert_str_eq(look(monitor)->about.who.name, "the server");
		expect_error(peal_monitor_refresh(monitor, LONG), -ENOTCONN, "one answer", "open",
			     NULL);
		peal_monitor_close(monitor);

		snprintf(address, sizeof(address), "@peal-monitor-%d", getpid());
		ck_assert_int_eq(peal_listen(&listener, address, &options), 0);
		porter_start();
		err = peal_monitor_open(&monitor, address, LONG);
		porter_stop();
		ck_assert_msg(!err, "%s", peal_error());
		peal_monitor_close(monitor);
		peal_listener_close(listener);

		setenv("XDG_RUNTIME_DIR", folder.name, 1);
		if (geteuid()) { /* root's names are in /run/peal */
			ck_assert_int_eq(peal_listen(&listener, "peal-monitor", &options), 0);
			porter_start();
			err = peal_monitor_open(&monitor, "peal-monitor", LONG);
			porter_stop();
			ck_assert_msg(!err, "%s", peal_error());
			peal_monitor_close(monitor);
			peal_listener_close(listener);
		}
		expect_error(peal_monitor_open(&monitor, "peal-no-such-monitor", LONG),
			     -ECONNREFUSED, "name", NULL);
		unsetenv("XDG_RUNTIME_DIR");
		snprintf(lock, sizeof(lock), "%s/peal/peal-monitor.lock", folder.name);
		unlink(lock); /* if there is one */
		listener = by_path;
		expect_error(peal_monitor_open(&monitor, "systemd:", LONG), -EINVAL, "systemd",
			     NULL);
		ck_assert_ptr_null(monitor);
	}
END_TEST

START_TEST(a_hundred_monitors_leave_nothing)
	{
		struct peal_monitor *monitor = open_monitor();
		int open = settled(), err;

		porter_start();
		for (int i = 0; i < 50; i++) {
			struct peal_monitor *another;

			err = peal_monitor_open(&another, folder.path, LONG);
			ck_assert_msg(!err, "%s", peal_error());
			err = peal_monitor_refresh(monitor, LONG);
			ck_assert_msg(!err, "%s", peal_error());
			peal_monitor_close(another);
		}
		porter_stop();
		ck_assert_uint_eq(porter.count, 0);
		descriptors_expect(open);
		peal_monitor_close(monitor);
	}
END_TEST

/*
 * Who may, and when.
 */

static const char *look_as_nobody(void *data)
{
	struct peal_monitor *monitor;
	const char *failed = become_nobody();
	int err;

	if (failed)
		return failed;
	err = peal_monitor_open(&monitor, data, LONG);
	if (err != -EPERM || !strstr(peal_error(), "counters") || !strstr(peal_error(), "root"))
		return wrong("a stranger's monitor got %d", err);
	return NULL;
}

START_TEST(another_user_who_may_connect_may_not_look)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct peal_listener *own = listener;
		struct child child;
		char path[120];

		if (geteuid()) {
			skip("only root can be several users");
			return;
		}
		snprintf(path, sizeof(path), "%s/open", folder.name);
		options.allow = PEAL_ALLOW_ANYONE;
		options.mode = 0666;
		ck_assert_int_eq(peal_listen(&listener, path, &options), 0);
		child_start(&child, look_as_nobody, path);
		porter_start();
		child_end(&child);
		porter_stop();
		peal_listener_close(listener);
		listener = own;
	}
END_TEST

static const char *knock_as_nobody(void *data)
{
	struct wire_message hello, answer;
	struct platform_parcel received;
	struct peal_options options;
	const char *failed = become_nobody();
	int fd = platform_socket(), err;

	if (failed || options_take(&options, NULL))
		return failed ? failed : wrong("no options");
	wire_begin(&hello, WIRE_HELLO, WIRE_MONITOR, &options);
	if (fd < 0 || platform_connect(fd, data))
		return wrong("the server cannot be reached");
	/* It may have refused already, and that waits to be read. */
	err = platform_send(fd, &hello, sizeof(hello), NULL);
	if (err && err != -EPIPE && err != -ECONNRESET)
		return wrong("the server takes nothing: %d", err);
	if (platform_poll(fd, false, LONG) ||
	    platform_receive(fd, &answer, sizeof(answer), &received) != sizeof(answer))
		return wrong("no answer");
	return answer.code == EBUSY ? NULL : wrong("refused with %u", answer.code);
}

START_TEST(limits_are_for_whoever_may_not_look_and_nothing_of_him_is_received_before)
	{
		static const struct listen_limits limits = { .clients = 1 };
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct peal_listener *own = listener;
		struct peal_link *client;
		struct child child;
		char path[120];

		if (geteuid()) {
			skip("only root can be several users");
			return;
		}
		snprintf(path, sizeof(path), "%s/open", folder.name);
		options.allow = PEAL_ALLOW_ANYONE;
		options.mode = 0666;
		ck_assert_int_eq(peal_listen(&listener, path, &options), 0);
		listen_limit(listener, &limits);
		porter_start();
		ck_assert_msg(!peal_connect(&client, path, NULL, LONG), "%s", peal_error());
		porter_stop();
		child_start(&child, knock_as_nobody, path);
		porter_start();
		child_end(&child);
		porter_stop();
		ck_assert_uint_eq(listen_refused(listener), 1);
		peal_close(client);
		peal_listener_close(listener);
		listener = own;
	}
END_TEST

START_TEST(root_may_look_at_another_user_s)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct wire_message hello, answer;
		int fd;
		struct peal_link *link;

		/* As the server sees it: root knocks, and it is nobody's. */
		if (geteuid()) {
			skip("only root can be several users");
			return;
		}
		ck_assert_int_eq(options_take(&options, NULL), 0);
		fd = stranger_connect(folder.path);
		wire_begin(&hello, WIRE_HELLO, WIRE_MONITOR, &options);
		stranger_say(fd, &hello, sizeof(hello), -1, 0);
		ck_assert_int_eq(seteuid(NOBODY), 0);
		expect_error(peal_accept(listener, &link, 0), -EAGAIN, NULL);
		ck_assert_int_eq(seteuid(0), 0);
		ck_assert_int_ge(hear(fd, &answer), 1);
		ck_assert_uint_eq(answer.type, WIRE_WELCOME);
		close(fd);
	}
END_TEST

static int connect_once(void)
{
	struct peal_link *link;
	int err;

	porter_start();
	err = peal_connect(&link, folder.path, NULL, LONG);
	porter_stop();
	peal_close(link);
	return err;
}

START_TEST(limits_keep_no_monitor_out_and_no_monitor_is_a_client)
	{
		static const struct listen_limits limits[] = { { .clients = 1 },
							       { .per_user = 1 },
							       { .user_rate = 1 } };
		struct peal_monitor *monitors[4];
		struct wire_message hello, answer;
		struct peal_options options;
		struct peal_link *client, *link;
		uint64_t refused;
		int err, fd;

		ck_assert_int_eq(options_take(&options, NULL), 0);
		wire_begin(&hello, WIRE_HELLO, WIRE_MONITOR, &options);
		listen_limit(listener, &limits[_i]);
		/* One that is accepted before it says what it is takes no place either. */
		fd = stranger_connect(folder.path);
		expect_error(peal_accept(listener, &link, 0), -EAGAIN, NULL);
		stranger_say(fd, &hello, sizeof(hello), -1, 0);
		expect_error(peal_accept(listener, &link, 0), -EAGAIN, NULL);
		ck_assert_int_ge(hear(fd, &answer), 1);
		ck_assert_msg(answer.type == WIRE_WELCOME, "%s", answer.text);
		ck_assert_int_eq(stranger_hear(fd, &answer, sizeof(answer), NULL), 0);
		close(fd);
		porter_start();
		ck_assert_msg(!peal_connect(&client, folder.path, NULL, LONG), "%s", peal_error());
		porter_stop();
		if (_i < 2) /* a second may be over */
			expect_error(connect_once(), -EBUSY, "limit", NULL);
		/* One that has said what it is when it is accepted. */
		refused = listen_refused(listener);
		fd = stranger_connect(folder.path);
		stranger_say(fd, &hello, sizeof(hello), -1, 0);
		expect_error(peal_accept(listener, &link, 0), -EAGAIN, NULL);
		ck_assert_int_ge(hear(fd, &answer), 1);
		ck_assert_msg(answer.type == WIRE_WELCOME, "%s", answer.text);
		close(fd);
		ck_assert_uint_eq(listen_refused(listener), refused);
		/* And whoever tries until it is. */
		for (int i = 0; i < 4; i++)
			monitors[i] = open_monitor();
		ck_assert_uint_eq(look(monitors[0])->count, 2);
		for (int i = 0; i < 4; i++)
			peal_monitor_close(monitors[i]);
		peal_close(client);
		peal_close(porter.links[--porter.count]);
		listen_forget(listener, geteuid());
		err = _i < 2 ? connect_once() : 0;
		ck_assert_msg(!err, "%s", peal_error());
	}
END_TEST

static void ignore(void *data, struct peal_request *request)
{
	(void)data;
	(void)request;
}

static void *run_server(void *data)
{
	peal_server_run(data);
	return NULL;
}

START_TEST(a_full_server_is_looked_at)
	{
		struct peal_server_counters counters = { .size = sizeof(counters) };
		struct peal_server_options options;
		struct peal_monitor *monitor;
		struct peal_link *client, *link;
		struct peal_server *server;
		pthread_t thread;
		char path[120];

		snprintf(path, sizeof(path), "%s/full", folder.name);
		peal_server_options_init(&options);
		options.handlers.message = ignore;
		options.max_clients = 1;
		ck_assert_msg(!peal_server_open(&server, path, &options), "%s", peal_error());
		ck_assert_int_eq(pthread_create(&thread, NULL, run_server, server), 0);
		ck_assert_msg(!peal_connect(&client, path, NULL, LONG), "%s", peal_error());
		expect_error(peal_connect(&link, path, NULL, LONG), -EBUSY, "1 clients", NULL);
		ck_assert_msg(!peal_monitor_open(&monitor, path, LONG), "%s", peal_error());
		for (int i = 0; i < 20; i++)
			ck_assert_msg(!peal_monitor_refresh(monitor, LONG), "%s", peal_error());
		expect_same(link_of_role(look(monitor), PEAL_CLIENT), client);
		ck_assert_uint_eq(look(monitor)->count, 2);
		ck_assert_int_eq(peal_server_count(server, &counters), 0);
		ck_assert_uint_eq(counters.accepted, 1);
		peal_monitor_close(monitor);
		peal_close(client);
		peal_server_stop(server);
		pthread_join(thread, NULL);
		peal_server_close(server);
	}
END_TEST

START_TEST(a_server_that_is_full_while_a_monitor_says_nothing_refuses_it)
	{
		static const struct listen_limits limits = { .clients = 1 };
		struct wire_message answer;
		struct peal_link *link;
		int fds[2];

		listen_limit(listener, &limits);
		fds[0] = stranger_connect(folder.path);
		fds[1] = stranger_connect(folder.path);
		expect_error(peal_accept(listener, &link, 0), -EAGAIN, NULL);
		ck_assert_int_eq(stranger_hear(fds[1], &answer, sizeof(answer), NULL),
				 sizeof(answer));
		ck_assert_uint_eq(answer.type, WIRE_REFUSE);
		ck_assert_uint_eq(answer.code, EBUSY);
		close(fds[0]);
		close(fds[1]);
		expect_error(peal_accept(listener, &link, 0), -EAGAIN, NULL);
	}
END_TEST

/*
 * What a server makes of monitors that are none of the library's.
 */

/* Says a HELLO that was changed, with copies of a descriptor, and hears the answer: how many
 * descriptors it has. */
static int ask_by_hand(struct wire_message *answer, size_t length, int descriptor, int copies,
		       void (*change)(struct wire_message *hello))
{
	struct wire_message hello;
	struct peal_options options;
	struct peal_link *link;
	int fd = stranger_connect(folder.path), given;

	ck_assert_int_eq(options_take(&options, NULL), 0);
	wire_begin(&hello, WIRE_HELLO, WIRE_MONITOR, &options);
	if (change)
		change(&hello);
	stranger_say(fd, &hello, length, descriptor, copies);
	expect_error(peal_accept(listener, &link, 0), -EAGAIN, NULL);
	given = hear(fd, answer);
	close(fd);
	return given;
}

static void say_two_descriptors(struct wire_message *hello)
{
	hello->descriptors = 2;
}

static void need_something(struct wire_message *hello)
{
	hello->needed = 1;
}

static void begin_at_one(struct wire_message *hello)
{
	hello->stats_first = 1;
}

static void begin_at_the_last(struct wire_message *hello)
{
	hello->stats_first = UINT64_MAX;
}

START_TEST(a_monitor_that_brings_something_or_says_half_is_refused)
	{
		struct wire_message answer;
		int open = settled();

		for (int copies = 1; copies <= 5; copies += 4) {
			ck_assert_int_eq(ask_by_hand(&answer, sizeof(answer), STDERR_FILENO, copies,
						     NULL),
					 0);
			ck_assert_uint_eq(answer.type, WIRE_REFUSE);
			expect_words(-(int64_t)answer.code, answer.text, -EPROTO, "descriptors",
				     NULL);
		}
		ask_by_hand(&answer, sizeof(answer), -1, 0, say_two_descriptors);
		expect_words(-(int64_t)answer.code, answer.text, -EPROTO, "2 by its word", NULL);
		ask_by_hand(&answer, sizeof(answer), -1, 0, need_something);
		expect_words(-(int64_t)answer.code, answer.text, -EPROTONOSUPPORT, "0x1", NULL);
		for (size_t length = 1; length < sizeof(answer); length += 31) {
			ask_by_hand(&answer, length, -1, 0, NULL);
			ck_assert_uint_eq(answer.type, WIRE_REFUSE);
		}
		descriptors_expect(open);
	}
END_TEST

START_TEST(a_monitor_that_begins_anywhere_gets_what_there_is)
	{
		struct wire_message answer;
		uint64_t objects;
		int open = settled(), given;

		given = ask_by_hand(&answer, sizeof(answer), -1, 0, NULL);
		ck_assert_uint_eq(answer.type, WIRE_WELCOME);
		ck_assert_uint_eq(answer.kind, WIRE_MONITOR);
		ck_assert_int_ge(given, 1); /* by descriptors_settled */
		ck_assert_uint_eq(answer.descriptors, (unsigned)given);
		ck_assert_uint_eq(answer.descriptor[0], WIRE_STATS);
		ck_assert_uint_ge(answer.stats_objects, answer.descriptors);
		objects = answer.stats_objects;
		given = ask_by_hand(&answer, sizeof(answer), -1, 0, begin_at_one);
		ck_assert_uint_eq(answer.type, WIRE_WELCOME);
		ck_assert_uint_eq(answer.stats_first, 1);
		ck_assert_uint_eq(answer.stats_objects, objects);
		ck_assert_uint_eq(answer.descriptors, (unsigned)given);
		ck_assert_uint_eq(answer.descriptors, objects - 1 < 4 ? objects - 1 : 4);
		given = ask_by_hand(&answer, sizeof(answer), -1, 0, begin_at_the_last);
		ck_assert_uint_eq(answer.type, WIRE_WELCOME);
		ck_assert_uint_eq(answer.stats_objects, objects);
		ck_assert_uint_eq(answer.descriptors, 0);
		ck_assert_int_eq(given, 0);
		descriptors_expect(open);
	}
END_TEST

/*
 * Servers that lie: each answers every monitor in the same way.
 */

static struct {
	int door;
	pthread_t thread;
	bool over; /* atomic */
	struct wire_message answer;
	int memory, copies;
	uint64_t objects; /* it tells of so many, and hands over one at a time; 0: one in all */
} liar;

/* Sealed memory of one object with so many slots, as it should be. */
#define LIES 3u

static uint8_t *make_memory(int *fd, uint64_t *size, bool fill, bool seal)
{
	const struct peal_memory_ops *memory = runtime_memory(NULL);
	uint64_t page = stage_page();
	struct stats_header *header;
	uint8_t *at;

	*size = page + ((LIES * sizeof(struct stats_slot) + page - 1) & ~(page - 1));
	*fd = memory->create(*size, page);
	ck_assert_int_ge(*fd, 0);
	if (fill)
		ck_assert_int_eq(memory->fill(*fd, *size, page), 0);
	else
		ck_assert_int_eq(ftruncate(*fd, (off_t)*size), 0);
	ck_assert_int_eq(platform_map(*fd, *size, 0, true, &at), 0);
	if (seal)
		ck_assert_int_eq(memory->seal(*fd, page), 0);
	if (fill) {
		header = (struct stats_header *)(void *)at;
		*header = (struct stats_header){ .magic = STATS_MAGIC,
						 .layout = STATS_LAYOUT,
						 .slots = LIES,
						 .slot_size = sizeof(struct stats_slot),
						 .slot_start = (uint32_t)page };
	}
	return at;
}

static struct stats_header *header_of(uint8_t *at)
{
	return (struct stats_header *)(void *)at;
}

static struct stats_slot *slots_of(uint8_t *at)
{
	return (struct stats_slot *)(void *)(at + stage_page());
}

static void *lie(void *data)
{
	(void)data;
	for (;;) {
		struct wire_message hello;
		int fd = stranger_accept(liar.door);

		if (__atomic_load_n(&liar.over, __ATOMIC_ACQUIRE)) {
			close(fd);
			return NULL;
		}
		if (stranger_hear(fd, &hello, sizeof(hello), NULL) == sizeof(hello)) {
			struct wire_message answer = liar.answer;

			answer.stats_first += hello.stats_first;
			if (liar.objects)
				answer.stats_objects = liar.objects;
			stranger_say(fd, &answer, sizeof(answer), liar.memory, liar.copies);
		}
		close(fd);
	}
}

/* One that does not lie yet. */
static void liar_open(const char *path, int memory, uint64_t size)
{
	struct peal_options options;

	ck_assert_int_eq(options_take(&options, NULL), 0);
	wire_begin(&liar.answer, WIRE_WELCOME, WIRE_MONITOR, &options);
	liar.answer.stats_objects = 1;
	liar.answer.stats_started = 7;
	liar.answer.descriptors = 1;
	for (int i = 0; i < PLATFORM_DESCRIPTORS; i++) {
		liar.answer.descriptor[i] = WIRE_STATS;
		liar.answer.stats_size[i] = size;
	}
	liar.memory = memory;
	liar.copies = 1;
	liar.objects = 0;
	liar.over = false;
	liar.door = stranger_bind(path, SOCK_SEQPACKET, 8);
}

static void liar_start(void)
{
	ck_assert_int_eq(pthread_create(&liar.thread, NULL, lie, NULL), 0);
}

static void liar_stop(const char *path)
{
	int fd;

	__atomic_store_n(&liar.over, true, __ATOMIC_RELEASE);
	fd = stranger_connect(path);
	pthread_join(liar.thread, NULL);
	close(fd);
	liar.over = false;
}

/* Of the header, or of the answer. */
struct untruth {
	bool in_header;
	size_t offset, width;
	uint64_t value;
	int copies, err;
	const char *said;
};

#define HEADER(field) true, offsetof(struct stats_header, field), 4
#define ANSWER(field, width) false, offsetof(struct wire_message, field), width

static const struct untruth untruths[] = {
	{ HEADER(magic), 0, 1, -EPROTO, "layout" },
	{ HEADER(layout), 2, 1, -EPROTO, "layout" },
	{ HEADER(slots), 33, 1, -EPROTO, "slots" },
	{ HEADER(slots), UINT32_MAX, 1, -EPROTO, "slots" },
	{ HEADER(slot_size), 0, 1, -EPROTO, "slots" },
	{ HEADER(slot_size), sizeof(struct stats_slot) - 8, 1, -EPROTO, "slots" },
	{ HEADER(slot_size), sizeof(struct stats_slot) + 4, 1, -EPROTO, "slots" },
	{ HEADER(slot_size), UINT32_MAX - 7, 1, -EPROTO, "slots" },
	{ HEADER(slot_start), 0, 1, -EPROTO, "slots" },
	{ HEADER(slot_start), sizeof(struct stats_header) + 4, 1, -EPROTO, "slots" },
	{ HEADER(slot_start), UINT32_MAX - 7, 1, -EPROTO, "slots" },
	{ ANSWER(type, 2), WIRE_HELLO, 1, -EPROTO, "type 1" },
	{ ANSWER(kind, 2), WIRE_LINK, 1, -EPROTO, "kind 1" },
	{ ANSWER(magic, 4), 0, 1, -EPROTOTYPE, "Peal" },
	{ ANSWER(descriptors, 4), 0, 0, -EPROTO, "0 of its 1" },
	{ ANSWER(descriptors, 4), 0, 1, -EPROTO, "1 of its 1" },
	{ ANSWER(descriptors, 4), 4, 1, -EPROTO, "4 by its word" },
	{ ANSWER(descriptors, 4), 4, 4, -EPROTO, "4 of its 1" },
	{ ANSWER(descriptors, 4), 5, 5, -EPROTO, "more descriptors" },
	{ ANSWER(descriptor, 1), WIRE_EVENTFD, 1, -EPROTO, "kind 3" },
	{ ANSWER(stats_first, 8), 1, 1, -EPROTO, "from 1 on" },
	{ ANSWER(stats_first, 8), UINT64_MAX, 1, -EPROTO, "from 0 on" },
	{ ANSWER(stats_objects, 8), 0, 1, -EPROTO, "of its 0" },
	{ ANSWER(stats_objects, 8), 1025, 1, -E2BIG, "1024" },
	{ ANSWER(stats_objects, 8), UINT64_MAX, 1, -E2BIG, "1024" },
	{ ANSWER(stats_size, 8), 0, 1, -EPROTO, "as long" },
	{ ANSWER(stats_size, 8), sizeof(struct stats_header), 1, -EPROTO, "as long" },
	{ ANSWER(stats_size, 8), (uint64_t)256 << 20, 1, -EPROTO, "as long" },
	{ ANSWER(stats_size, 8), ((uint64_t)256 << 20) + 1, 1, -E2BIG, "268435456" },
	{ ANSWER(stats_size, 8), UINT64_MAX, 1, -E2BIG, "268435456" },
};

static void expect_no_monitor(const char *path, int err, const char *said)
{
	int open = settled(), mapped = mappings_count();
	struct peal_monitor *monitor;

	liar_start();
	expect_error(peal_monitor_open(&monitor, path, LONG), err, said, NULL);
	ck_assert_ptr_null(monitor);
	liar_stop(path);
	descriptors_expect(open);
	ck_assert_int_eq(mappings_count(), mapped);
}

START_TEST(a_server_that_says_what_cannot_be_is_left_and_nothing_stays)
	{
		const struct untruth *untruth = &untruths[_i];
		char path[120];
		uint64_t size;
		uint8_t *at;
		int fd;

		snprintf(path, sizeof(path), "%s/liar", folder.name);
		at = make_memory(&fd, &size, true, true);
		liar_open(path, fd, size);
		liar.copies = untruth->copies;
		memcpy((untruth->in_header ? at : (uint8_t *)&liar.answer) + untruth->offset,
		       &untruth->value, untruth->width);
		expect_no_monitor(path, untruth->err, untruth->said);
		close(liar.door);
		close(fd);
		platform_unmap(at, size, 0);
	}
END_TEST

START_TEST(what_is_no_sealed_memory_is_not_looked_at)
	{
		char path[120];
		uint64_t size;
		uint8_t *at;
		int ends[2];

		snprintf(path, sizeof(path), "%s/liar", folder.name);
		at = make_memory(&ends[0], &size, true, false);
		liar_open(path, ends[0], size);
		expect_no_monitor(path, -EPROTO, "sealed");
		close(ends[0]);
		platform_unmap(at, size, 0);
		at = make_memory(&liar.memory, &size, false, true);
		expect_no_monitor(path, -EPROTO, "holes");
		close(liar.memory);
		platform_unmap(at, size, 0);
		liar.memory = liar.door;
		expect_no_monitor(path, -EPROTO, "sealed");
		ck_assert_int_eq(pipe(ends), 0);
		liar.memory = ends[0];
		expect_no_monitor(path, -EPROTO, "sealed");
		close(ends[0]);
		close(ends[1]);
		liar.memory = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		ck_assert_int_ge(liar.memory, 0);
		expect_no_monitor(path, -EPROTO, "sealed");
		close(liar.memory);
		close(liar.door);
	}
END_TEST

/* What it is by a monitor that asked twice, where the server's clock said this then; 0: nothing. */
static uint64_t told(uint64_t first, uint64_t later)
{
	const uint64_t minute = (uint64_t)60000 * MS, begin = platform_now();
	struct peal_monitored about = { .size = sizeof(about) };
	struct peal_monitor *monitor;
	char path[120];
	uint64_t size, expected = first ? first : begin;
	uint8_t *at;
	int fd;

	snprintf(path, sizeof(path), "%s/liar", folder.name);
	at = make_memory(&fd, &size, true, true);
	liar_open(path, fd, size);
	liar.answer.stats_now = first;
	liar_start();
	ck_assert_msg(!peal_monitor_open(&monitor, path, LONG), "%s", peal_error());
	liar_stop(path);
	ck_assert_int_ge(peal_monitor_read(monitor, &about, NULL, 0), 0);
	ck_assert_uint_lt(about.now_ns - expected, minute);
	liar.answer.stats_now = later;
	liar.answer.descriptors = 0;
	liar.copies = 0;
	liar_start();
	ck_assert_msg(!peal_monitor_refresh(monitor, LONG), "%s", peal_error());
	liar_stop(path);
	ck_assert_int_ge(peal_monitor_read(monitor, &about, NULL, 0), 0);
	peal_monitor_close(monitor);
	close(liar.door);
	unlink(path);
	close(fd);
	platform_unmap(at, size, 0);
	return about.now_ns;
}

START_TEST(the_time_of_reading_is_of_the_servers_clock)
	{
		const uint64_t minute = (uint64_t)60000 * MS, day = 1440 * minute;
		uint64_t now;

		/* Behind ours, ahead of it, not told, and what no clock says. */
		ck_assert_uint_lt(told(1, minute) - minute, minute);
		now = platform_now() + day;
		ck_assert_uint_lt(told(now, now + day) - (now + day), minute);
		ck_assert_uint_lt(told(now, 0) - now, minute);
		ck_assert_uint_lt(told(0, 0) - platform_now() + minute, 2 * minute);
		told(UINT64_MAX, (uint64_t)1 << 63);
		told((uint64_t)1 << 63, 1);
	}
END_TEST

static void refuse(uint32_t code, const char *sentence)
{
	liar.answer.type = WIRE_REFUSE;
	liar.answer.code = code;
	liar.copies = 0;
	snprintf(liar.answer.text, sizeof(liar.answer.text), "%s", sentence);
}

START_TEST(a_server_from_before_monitors_says_that_it_has_none)
	{
		char path[120];

		snprintf(path, sizeof(path), "%s/old", folder.name);
		liar_open(path, -1, 0);
		refuse(EOPNOTSUPP, "this server has no connections of kind 2, only of 1");
		expect_no_monitor(path, -EOPNOTSUPP, "kind 2");
		refuse(EPERM, "you may not");
		expect_no_monitor(path, -EPERM, "you may not");
		close(liar.door);
	}
END_TEST

START_TEST(whatever_a_server_counts_misleads_at_most)
	{
		struct peal_monitor *monitor;
		struct peal_monitored_link *link;
		struct stats_slot *slots;
		struct view *view;
		uint64_t x = 88172645463325252u, size;
		char path[120];
		uint8_t *at;
		int fd;

		snprintf(path, sizeof(path), "%s/liar", folder.name);
		at = make_memory(&fd, &size, true, true);
		slots = slots_of(at);
		slots[1].turn = 5;
		slots[1].role = 77;
		slots[1].wait = 78;
		slots[1].peer_pid = -1;
		memset(slots[1].peer_name, '\n', sizeof(slots[1].peer_name));
		slots[1].past[0].tx[0] = 6;
		slots[1].tx.messages = 9;
		liar_open(path, fd, size);
		memset(liar.answer.name, '\x1b', sizeof(liar.answer.name));
		liar_start();
		ck_assert_msg(!peal_monitor_open(&monitor, path, LONG), "%s", peal_error());
		liar_stop(path);
		view = look(monitor);
		ck_assert_uint_eq(view->count, 1);
		ck_assert_uint_eq(strlen(view->about.who.name), 63);
		ck_assert_int_eq(view->about.who.name[0], '?');
		ck_assert_int_eq(view->about.who.pid, getpid());
		ck_assert_uint_eq(view->about.started_ns, 7);
		ck_assert_uint_eq(view->about.ended, 2);
		ck_assert_uint_eq(view->about.ended_tx.messages, 6);
		link = &view->links[0];
		ck_assert_uint_eq(link->role, 77);
		ck_assert_uint_eq(link->wait, 78);
		ck_assert_int_eq(link->peer.pid, -1);
		ck_assert_uint_eq(strlen(link->peer.name), 63);
		ck_assert_int_eq(link->peer.name[62], '?');
		ck_assert_uint_eq(link->tx.messages, 9);
		/* What its header said counts once. */
		header_of(at)->slots = UINT32_MAX;
		header_of(at)->slot_start = UINT32_MAX;
		header_of(at)->slot_size = 0;
		for (int round = 0; round < 100; round++) {
			for (size_t i = 0; i < LIES * sizeof(*slots) / 8; i++)
				((uint64_t *)(void *)slots)[i] = scramble(&x);
			view = look(monitor);
			for (unsigned i = 0; i < view->count; i++)
				ck_assert_uint_le(strlen(view->links[i].peer.name), 63);
		}
		peal_monitor_close(monitor);
		close(liar.door);
		close(fd);
		platform_unmap(at, size, 0);
	}
END_TEST

static void *turn(void *data)
{
	struct stats_slot *slot = data;

	while (!__atomic_load_n(&churned, __ATOMIC_ACQUIRE))
		__atomic_fetch_add(&slot->turn, 1, __ATOMIC_RELEASE);
	return NULL;
}

START_TEST(a_slot_that_does_not_hold_still_holds_nobody)
	{
		struct peal_monitor *monitor;
		char path[120];
		pthread_t thread;
		uint64_t size;
		uint8_t *at;
		int fd;

		snprintf(path, sizeof(path), "%s/liar", folder.name);
		at = make_memory(&fd, &size, true, true);
		slots_of(at)[1].turn = 1; /* that one does */
		liar_open(path, fd, size);
		liar_start();
		ck_assert_msg(!peal_monitor_open(&monitor, path, LONG), "%s", peal_error());
		liar_stop(path);
		churned = false;
		ck_assert_int_eq(pthread_create(&thread, NULL, turn, slots_of(at)), 0);
		for (int i = 0; i < 1000; i++)
			ck_assert_uint_ge(look(monitor)->count, 1);
		__atomic_store_n(&churned, true, __ATOMIC_RELEASE);
		pthread_join(thread, NULL);
		peal_monitor_close(monitor);
		close(liar.door);
		close(fd);
		platform_unmap(at, size, 0);
	}
END_TEST

START_TEST(a_server_of_very_many_objects_is_read_up_to_the_limit)
	{
		struct peal_monitor *monitor;
		int open, mapped;
		char path[120];
		uint64_t size;
		uint8_t *at;
		int fd;

		snprintf(path, sizeof(path), "%s/liar", folder.name);
		at = make_memory(&fd, &size, true, true);
		for (unsigned i = 0; i < LIES; i++)
			slots_of(at)[i].turn = 1;
		liar_open(path, fd, size);
		open = settled();
		mapped = mappings_count();
		liar.answer.descriptors = (uint32_t)(liar.copies = 4);
		liar.objects = 1024;
		liar_start();
		ck_assert_msg(!peal_monitor_open(&monitor, path, LONG), "%s", peal_error());
		ck_assert_int_eq(peal_monitor_read(monitor, NULL, NULL, 0), 1024 * LIES);
		liar_stop(path);
		liar.objects = 1025;
		liar_start();
		expect_error(peal_monitor_refresh(monitor, LONG), -E2BIG, "1024", NULL);
		liar_stop(path);
		/* Never fewer than there were. */
		liar.objects = 1023;
		liar.answer.descriptors = 0;
		liar.copies = 0;
		liar_start();
		expect_error(peal_monitor_refresh(monitor, LONG), -EPROTO, "1023", NULL);
		liar_stop(path);
		ck_assert_int_eq(peal_monitor_read(monitor, NULL, NULL, 0), 1024 * LIES);
		descriptors_expect(open);
		peal_monitor_close(monitor);
		ck_assert_int_eq(mappings_count(), mapped);
		close(liar.door);
		close(fd);
		platform_unmap(at, size, 0);
	}
END_TEST

/*
 * Servers that are stopped, end, and come again; and forks.
 */

struct host {
	pid_t pid;
	const char *path;
};

/* A server in a process of its own, which ends with this one. */
static void host_start(struct host *host, const char *path)
{
	pid_t parent = getpid();
	int ready[2];
	char byte;

	host->path = path;
	ck_assert_int_eq(pipe(ready), 0);
	host->pid = fork_alone();
	ck_assert_int_ge(host->pid, 0);
	if (!host->pid) {
		struct peal_listener *own;
		struct peal_link *link;

		if (peal_listen(&own, path, NULL) || write(ready[1], "", 1) != 1)
			_exit(1);
		while (getppid() == parent)
			peal_accept(own, &link, 100 * MS);
		_exit(0);
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
}

static void host_signal(const struct host *host, int number, int flags)
{
	int status;

	ck_assert_int_eq(kill(host->pid, number), 0);
	ck_assert_int_eq(waitpid(host->pid, &status, flags), host->pid);
}

START_TEST(a_server_that_is_stopped_or_gone_stays_readable_and_another_one_is_told_from_it)
	{
		struct peal_monitor *monitor;
		struct host host;
		char path[120];
		int open, mapped;

		snprintf(path, sizeof(path), "%s/host", folder.name);
		open = settled();
		mapped = mappings_count();
		host_start(&host, path);
		ck_assert_msg(!peal_monitor_open(&monitor, path, LONG), "%s", peal_error());
		/* It has no link, and so had no counters. */
		ck_assert_uint_eq(look(monitor)->count, 0);
		ck_assert_uint_eq(look(monitor)->about.ended, 0);
		ck_assert_int_eq(look(monitor)->about.who.pid, host.pid);
		ck_assert_uint_gt(look(monitor)->about.started_ns, 0);
		ck_assert_int_eq(peal_monitor_refresh(monitor, LONG), 0);
		descriptors_expect(open);

		host_signal(&host, SIGSTOP, WUNTRACED);
		for (int i = 0; i < 20; i++) /* and knocks but once */
			expect_error(peal_monitor_refresh(monitor, 0), -EAGAIN, path, NULL);
		expect_error(peal_monitor_refresh(monitor, MS), -ETIMEDOUT, "timeout", NULL);
		ck_assert_int_eq(descriptors_count(), open + 1);
		ck_assert_uint_eq(look(monitor)->count, 0);
		ck_assert_int_eq(kill(host.pid, SIGCONT), 0);
		ck_assert_int_eq(peal_monitor_refresh(monitor, LONG), 0);
		descriptors_expect(open);

		/* While it is to answer. */
		host_signal(&host, SIGSTOP, WUNTRACED);
		expect_error(peal_monitor_refresh(monitor, 0), -EAGAIN, NULL);
		host_signal(&host, SIGKILL, 0);
		for (int i = 0; i < 3; i++) {
			expect_error(peal_monitor_refresh(monitor, LONG), -ECONNREFUSED, path,
				     NULL);
			ck_assert_int_eq(look(monitor)->about.who.pid, host.pid);
		}

		host_start(&host, path);
		expect_error(peal_monitor_refresh(monitor, LONG), -ESTALE, "another monitor", NULL);
		expect_error(peal_monitor_refresh(monitor, LONG), -ESTALE, "another monitor", NULL);
		ck_assert_int_ne(look(monitor)->about.who.pid, host.pid);
		descriptors_expect(open);
		peal_monitor_close(monitor);

		/* A new one, which is closed while it waits. */
		ck_assert_msg(!peal_monitor_open(&monitor, path, LONG), "%s", peal_error());
		host_signal(&host, SIGSTOP, WUNTRACED);
		expect_error(peal_monitor_refresh(monitor, 0), -EAGAIN, NULL);
		peal_monitor_close(monitor);
		expect_error(peal_monitor_open(&monitor, path, MS), -ETIMEDOUT, NULL);
		expect_error(peal_monitor_open(&monitor, path, 0), -EAGAIN, NULL);
		host_signal(&host, SIGKILL, 0);
		descriptors_expect(open);
		ck_assert_int_eq(mappings_count(), mapped);
	}
END_TEST

START_TEST(a_server_that_does_not_answer_is_asked_once)
	{
		struct peal_monitor *monitor;
		char path[120];
		uint64_t size;
		uint8_t *at;
		int fd, knocks = 0, door;

		snprintf(path, sizeof(path), "%s/liar", folder.name);
		at = make_memory(&fd, &size, true, true);
		liar_open(path, fd, size);
		liar_start();
		ck_assert_msg(!peal_monitor_open(&monitor, path, LONG), "%s", peal_error());
		liar_stop(path);
		for (int i = 0; i < 20; i++)
			expect_error(peal_monitor_refresh(monitor, i % 2 ? MS : 0),
				     i % 2 ? -ETIMEDOUT : -EAGAIN, path, NULL);
		ck_assert_int_eq(platform_adopt(liar.door, true), 0);
		while ((door = platform_accept(liar.door)) >= 0) {
			knocks++;
			close(door);
		}
		ck_assert_int_eq(knocks, 1);
		peal_monitor_close(monitor);
		close(liar.door);
		close(fd);
		platform_unmap(at, size, 0);
	}
END_TEST

static const char *use_inherited(void *data)
{
	struct peal_monitor *monitor = data;
	struct peal_monitored about = { .size = sizeof(about) };
	int open;

	if (peal_monitor_read(monitor, &about, NULL, 0) != -ESTALE)
		return wrong("it was read");
	if (peal_monitor_refresh(monitor, LONG) != -ESTALE)
		return wrong("it was refreshed");
	if (peal_monitor_refresh(monitor, 0) != -ESTALE)
		return wrong("it was refreshed");
	open = settled();
	peal_monitor_close(monitor);
	if (descriptors_count() != open)
		return wrong("a descriptor came along");
	if (peal_monitor_open(&monitor, "@peal-no-such-monitor", 0) != -ECONNREFUSED)
		return wrong("another one");
	return NULL;
}

START_TEST(after_a_fork_a_monitor_is_the_parents)
	{
		struct peal_monitor *monitor = open_monitor();
		int err;

		child_run(use_inherited, monitor);
		/* Also while it waits for an answer. */
		expect_error(peal_monitor_refresh(monitor, 0), -EAGAIN, NULL);
		child_run(use_inherited, monitor);
		porter_start();
		err = peal_monitor_refresh(monitor, LONG);
		porter_stop();
		ck_assert_msg(!err, "%s", peal_error());
		look(monitor);
		peal_monitor_close(monitor);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("monitor");
	TCase *reading = tcase_create("reading");
	TCase *admission = tcase_create("admission");
	TCase *lies = tcase_create("lies");
	TCase *ends = tcase_create("ends");

	tcase_set_timeout(reading, 60);
	tcase_add_checked_fixture(reading, set_up, tear_down);
	tcase_add_test(reading, a_monitor_reads_what_the_links_themselves_say);
	tcase_add_test(reading, links_of_memory_that_is_made_later_are_seen_after_a_refresh);
	tcase_add_test(reading, totals_never_fall_and_links_are_whole_while_they_come_and_go);
	tcase_add_test(reading, no_link_is_made_of_two);
	tcase_add_test(reading, a_process_that_was_stopped_while_a_link_ended_is_read_as_before);
	tcase_add_test(reading, of_links_that_have_ended_each_count_is_summed_and_no_state_is_kept);
	tcase_add_test(reading, the_id_of_a_link_is_no_other_ones);
	tcase_add_test(reading, a_monitor_comes_by_every_form_of_address_that_clients_have);
	tcase_add_test(reading, a_hundred_monitors_leave_nothing);
	suite_add_tcase(s, reading);
	tcase_set_timeout(admission, 60);
	tcase_add_checked_fixture(admission, set_up, tear_down);
	tcase_add_test(admission, another_user_who_may_connect_may_not_look);
	tcase_add_test(admission,
		       limits_are_for_whoever_may_not_look_and_nothing_of_him_is_received_before);
	tcase_add_test(admission, root_may_look_at_another_user_s);
	tcase_add_loop_test(admission, limits_keep_no_monitor_out_and_no_monitor_is_a_client, 0, 3);
	tcase_add_test(admission, a_full_server_is_looked_at);
	tcase_add_test(admission, a_server_that_is_full_while_a_monitor_says_nothing_refuses_it);
	tcase_add_test(admission, a_monitor_that_brings_something_or_says_half_is_refused);
	tcase_add_test(admission, a_monitor_that_begins_anywhere_gets_what_there_is);
	suite_add_tcase(s, admission);
	tcase_set_timeout(lies, 60);
	tcase_add_checked_fixture(lies, set_up, tear_down);
	tcase_add_loop_test(lies, a_server_that_says_what_cannot_be_is_left_and_nothing_stays, 0,
			    sizeof(untruths) / sizeof(untruths[0]));
	tcase_add_test(lies, what_is_no_sealed_memory_is_not_looked_at);
	tcase_add_test(lies, the_time_of_reading_is_of_the_servers_clock);
	tcase_add_test(lies, a_server_from_before_monitors_says_that_it_has_none);
	tcase_add_test(lies, whatever_a_server_counts_misleads_at_most);
	tcase_add_test(lies, a_slot_that_does_not_hold_still_holds_nobody);
	tcase_add_test(lies, a_server_of_very_many_objects_is_read_up_to_the_limit);
	suite_add_tcase(s, lies);
	tcase_set_timeout(ends, 60);
	tcase_add_checked_fixture(ends, set_up, tear_down);
	tcase_add_test(
		ends,
		a_server_that_is_stopped_or_gone_stays_readable_and_another_one_is_told_from_it);
	tcase_add_test(ends, a_server_that_does_not_answer_is_asked_once);
	tcase_add_test(ends, after_a_fork_a_monitor_is_the_parents);
	suite_add_tcase(s, ends);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
