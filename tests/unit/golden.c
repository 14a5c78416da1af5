/*
 * SPDX-License-Identifier: MIT
 *
 * The handshake and the shared layout as processes of released versions have them: tests/golden has
 * a recorded peer, and here it speaks with the library of today, which must understand it, and say
 * the same to it byte by byte. The public headers only, for what two processes share must not come
 * from one source.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/recorded.h"
#include "tests/unit/stage.h"
#include "tests/unit/stranger.h"

/* Rings have one page, too. */
#define PAGE RECORDED_PAGE

/*
 * What was sent, in three laps of the ring: after each the reader has read all.
 */

#define LAP_1 4064u
#define LAP_2 (LAP_1 + 2008 + 2 * 1016)
#define LAP_3 (LAP_2 + 2 * 1016 + 984 + 16)

static struct peal_options options_recorded(void)
{
	struct peal_options options = stage_options(PEAL_WAIT_SLEEP, PAGE);

	options.barrier = PEAL_BARRIER_FENCE;
	options.flags = PEAL_CALLS;
	options.max_message = 8192;
	options.name = "golden";
	return options;
}

static char letters[8192];

static const char *of(char letter)
{
	memset(letters, letter, sizeof(letters));
	return letters;
}

static void send_lap_1(struct peal_link *link)
{
	struct peal_tx *tx = peal_link_tx(link);
	struct peal_sending long_one = { .data = of('x'), .length = 5000, .tag = 10 };

	ck_assert_int_eq(peal_send(tx, "abc", 3, 0x11223344, 0), 0);
	ck_assert_int_eq(peal_send(tx, NULL, 0, 5, 0), 0);
	ck_assert_int_eq(peal_send_last(tx, "last", 4, 7, 0), 0);
	ck_assert_int_eq(peal_send_cancel(tx, 8, 0), 0);
	ck_assert_int_eq(peal_send_error(tx, 9, -EIO, "bad", 0), 0);
	ck_assert_int_eq(peal_send_part(tx, &long_one, 0), -EAGAIN);
	ck_assert_uint_eq(long_one.sent, 3016);
	peal_abort(tx);
	ck_assert_int_eq(peal_send(tx, of('p'), 912, 11, 0), 0);
}

static struct peal_sending long_one;

static void send_lap_2(struct peal_link *link)
{
	struct peal_tx *tx = peal_link_tx(link);

	long_one = (struct peal_sending){ .data = of('q'), .length = 5000, .tag = 13 };
	ck_assert_int_eq(peal_send(tx, letters, 2000, 12, 0), 0);
	ck_assert_int_eq(peal_send_part(tx, &long_one, 0), -EAGAIN);
	ck_assert_uint_eq(long_one.sent, 2008);
}

static void send_lap_3(struct peal_link *link)
{
	ck_assert_int_eq(peal_send_part(peal_link_tx(link), &long_one, 0), 0);
	ck_assert_int_eq(peal_send(peal_link_tx(link), "end", 3, 14, 0), 0);
}

static void expect_message(struct peal_link *link, const void *data, size_t length, uint32_t tag,
			   uint32_t flags)
{
	struct peal_message about;
	static char got[8192];

	ck_assert_int_eq(peal_recv(peal_link_rx(link), got, sizeof(got), &about, 0), (int)length);
	ck_assert_uint_eq(about.tag, tag);
	ck_assert_uint_eq(about.flags, flags);
	ck_assert_mem_eq(got, data, length);
}

static void expect_control(struct peal_link *link, uint32_t tag, uint32_t kind, int code,
			   const char *sentence)
{
	struct peal_message message;
	struct peal_control control;

	ck_assert_int_eq(peal_peek(peal_link_rx(link), &message, 0), 0);
	ck_assert_uint_eq(message.tag, tag);
	ck_assert_uint_eq(message.flags & PEAL_HEADER_CONTROL, PEAL_HEADER_CONTROL);
	ck_assert_int_eq(peal_control_read(&message, &control), 0);
	ck_assert_uint_eq(control.kind, kind);
	ck_assert_int_eq(control.code, code);
	ck_assert_str_eq(control.sentence, sentence);
	peal_release(peal_link_rx(link));
}

static void expect_nothing(struct peal_link *link)
{
	char byte[8192];

	ck_assert_int_eq(peal_recv(peal_link_rx(link), byte, sizeof(byte), NULL, 0), -EAGAIN);
}

/* The recorded peer sends all that was recorded, and a link of today receives it. */
static void receive_laps(struct peer *peer, struct peal_link *link)
{
	peer_sends(peer, "ring-1");
	expect_message(link, "abc", 3, 0x11223344, 0);
	expect_message(link, "", 0, 5, 0);
	expect_message(link, "last", 4, 7, PEAL_HEADER_LAST);
	expect_control(link, 8, PEAL_CONTROL_CANCEL, 0, "");
	expect_control(link, 9, PEAL_CONTROL_ERROR, -EIO, "bad");
	expect_message(link, of('p'), 912, 11, 0);
	peer_was_read(peer, LAP_1);
	peer_sends(peer, "ring-2");
	expect_message(link, of('q'), 2000, 12, 0);
	expect_nothing(link); /* a part of a message is kept */
	peer_was_read(peer, LAP_2);
	peer_sends(peer, "ring-3");
	expect_message(link, of('q'), 5000, 13, 0);
	expect_message(link, "end", 3, 14, 0);
	expect_nothing(link);
	peer_was_read(peer, LAP_3);
}

/* And the other way. */
static void send_laps(struct peer *peer, struct peal_link *link)
{
	expect_file("page", peer->theirs, PAGE);
	send_lap_1(link);
	peer_was_sent(peer, "ring-1");
	peer_reads(peer, LAP_1);
	send_lap_2(link);
	peer_was_sent(peer, "ring-2");
	peer_reads(peer, LAP_2);
	send_lap_3(link);
	peer_was_sent(peer, "ring-3");
	peer_reads(peer, LAP_3);
}

/* Both ends of a link close: first the recorded peer, which left two messages unread. */
static void close_both(struct peer *peer, struct peal_link *link)
{
	struct golden page;
	struct peal_stats stats = { .size = sizeof(stats) };
	char byte;

	golden_read(&page, "page-closed", PAGE);
	memcpy(peer->own + PAGE_CLOSED, page.byte + PAGE_CLOSED, 8);
	shutdown(peer->fd, SHUT_RDWR);
	ck_assert_int_eq(peal_recv(peal_link_rx(link), &byte, 1, NULL, LONG), -EPIPE);
	ck_assert_int_eq(peal_link_stats(link, &stats), 0);
	ck_assert_uint_eq(stats.closed, 1);
	ck_assert_uint_eq(stats.peer_unread, word_at(page.byte, PAGE_CLOSED) - 1);
	peal_close(link);
}

/* The library closes with two messages of the peer's unread. */
static void expect_closed(struct peer *peer, struct peal_link *link)
{
	peer_sends(peer, "ring-1");
	expect_message(link, "abc", 3, 0x11223344, 0);
	expect_message(link, "", 0, 5, 0);
	expect_message(link, "last", 4, 7, PEAL_HEADER_LAST);
	expect_control(link, 8, PEAL_CONTROL_CANCEL, 0, "");
	peal_close(link);
	expect_file("page-closed", peer->theirs, PAGE);
}

/*
 * The tests.
 */

static struct folder folder;
static struct peal_options options;

static bool is_recorded_here(void)
{
	if (stage_page() == PAGE)
		return true;
	skip("recorded with pages of %u bytes, and here they have %llu", PAGE,
	     (unsigned long long)stage_page());
	return false;
}

static void set_up(void)
{
	folder_make(&folder);
	options = options_recorded();
}

static void tear_down(void)
{
	folder_remove(&folder);
}

/* A client of today at the door of the recorded server. */
static struct peal_link *connect_recorded(struct peer *peer)
{
	int door = stranger_bind(folder.path, SOCK_SEQPACKET, 1);
	struct caller caller;

	peer_begin(peer);
	caller_start(&caller, folder.path, &options, LONG);
	peer->fd = stranger_accept(door);
	peer_hear(peer, "hello");
	peer_say(peer, "welcome");
	caller_end(&caller);
	ck_assert_msg(!caller.err, "%s", caller.sentence);
	ck_assert_str_eq(peal_link_peer(caller.link)->name, "golden");
	close(door);
	unlink(folder.path);
	peer_reads(peer, 0);
	return caller.link;
}

/* A server of today, and the recorded client. */
static struct peal_link *accept_recorded(struct peer *peer)
{
	struct peal_listener *listener;
	struct peal_link *link;

	peer_begin(peer);
	ck_assert_int_eq(peal_listen(&listener, folder.path, &options), 0);
	peer->fd = stranger_connect(folder.path);
	peer_say(peer, "hello");
	ck_assert_msg(!peal_accept(listener, &link, LONG), "%s", peal_error());
	ck_assert_str_eq(peal_link_peer(link)->name, "golden");
	peer_hear(peer, "welcome");
	peal_listener_close(listener);
	peer_reads(peer, 0);
	return link;
}

static struct peal_link *link_recorded(struct peer *peer, bool server)
{
	return server ? accept_recorded(peer) : connect_recorded(peer);
}

START_TEST(the_recorded_messages_are_received)
	{
		struct peer peer;
		struct peal_link *link;

		if (!is_recorded_here())
			return;
		link = link_recorded(&peer, _i);
		receive_laps(&peer, link);
		close_both(&peer, link);
		peer_end(&peer);
	}
END_TEST

START_TEST(the_same_messages_are_sent_byte_by_byte)
	{
		struct peer peer;
		struct peal_link *link;

		if (!is_recorded_here())
			return;
		link = link_recorded(&peer, _i);
		send_laps(&peer, link);
		close_both(&peer, link);
		peer_end(&peer);
	}
END_TEST

START_TEST(closing_leaves_the_same_page)
	{
		struct peer peer;
		struct peal_link *link;

		if (!is_recorded_here())
			return;
		link = link_recorded(&peer, _i);
		expect_closed(&peer, link);
		peer_end(&peer);
	}
END_TEST

START_TEST(what_is_agreed_on_is_what_was_recorded)
	{
		struct peal_agreed agreed = { .size = sizeof(agreed) };
		struct peer peer;
		struct peal_link *link;

		if (!is_recorded_here())
			return;
		link = link_recorded(&peer, _i);
		ck_assert_int_eq(peal_link_agreed(link, &agreed), 0);
		ck_assert_uint_eq(agreed.protocol, 1);
		ck_assert_uint_eq(agreed.layout, 1);
		ck_assert_uint_eq(agreed.peer_abi, 1);
		ck_assert_uint_eq(agreed.peer_wait, PEAL_WAIT_SLEEP);
		ck_assert_uint_eq(agreed.flags, PEAL_AGREED_FRAGMENTS | PEAL_AGREED_CALLS);
		ck_assert_uint_eq(agreed.peer_ring, PAGE);
		ck_assert_uint_eq(agreed.longest, 8192);
		ck_assert_uint_eq(agreed.peer_bell, _i ? PEAL_BELL_SOCKET : PEAL_BELL_EVENTFD);
		peal_close(link);
		peer_end(&peer);
	}
END_TEST

/* It asks for a version that there is not. */
START_TEST(a_client_is_refused_as_it_was)
	{
		struct peal_listener *listener;
		struct peal_link *link;
		struct golden hello;
		uint8_t refusal[WIRE];
		int fd, fds[4];

		if (!is_recorded_here())
			return;
		golden_read(&hello, "hello", WIRE);
		memset(hello.byte + AT_VERSIONS, 0xff, 4);
		ck_assert_int_eq(peal_listen(&listener, folder.path, &options), 0);
		fd = stranger_connect(folder.path);
		stranger_send(fd, hello.byte, WIRE, NULL, 0);
		ck_assert_int_eq(peal_accept(listener, &link, 0), -EAGAIN);
		ck_assert_int_eq(hear(fd, refusal, fds), 0);
		expect_file("refuse", refusal, WIRE);
		close(fd);
		peal_listener_close(listener);
	}
END_TEST

START_TEST(a_recorded_refusal_is_understood)
	{
		int fd, fds[4], door = stranger_bind(folder.path, SOCK_SEQPACKET, 1);
		uint8_t message[WIRE];
		struct golden refusal;
		struct caller caller;

		golden_read(&refusal, "refuse", WIRE);
		caller_start(&caller, folder.path, &options, LONG);
		fd = stranger_accept(door);
		for (int count = hear(fd, message, fds); count--;)
			close(fds[count]);
		stranger_send(fd, refusal.byte, WIRE, NULL, 0);
		caller_end(&caller);
		expect_words(caller.err, caller.sentence, -EPROTONOSUPPORT,
			     (const char *)refusal.byte + AT_TEXT, NULL);
		close(fd);
		close(door);
	}
END_TEST

/*
 * Monitors.
 */

struct watcher {
	struct peal_monitor *monitor;
	int err;
};

static void *watch(void *data)
{
	struct watcher *watcher = data;

	watcher->err = peal_monitor_open(&watcher->monitor, folder.path, LONG);
	return NULL;
}

START_TEST(a_monitor_reads_recorded_counters)
	{
		int fd, stats, fds[4], door = stranger_bind(folder.path, SOCK_SEQPACKET, 1);
		struct peal_monitored about = { .size = sizeof(about) };
		struct peal_monitored_link one;
		struct golden welcome, object;
		struct watcher watcher;
		uint8_t message[WIRE], *at;
		pthread_t thread;

		if (!is_recorded_here())
			return;
		ck_assert_int_eq(pthread_create(&thread, NULL, watch, &watcher), 0);
		fd = stranger_accept(door);
		ck_assert_int_eq(hear(fd, message, fds), 0);
		expect_file("hello-monitor", message, WIRE);
		golden_read(&welcome, "welcome-monitor", WIRE);
		golden_read(&object, "stats", 2 * (size_t)PAGE);
		stats = memory_of(2 * (size_t)PAGE, &at);
		memcpy(at, object.byte, 2 * (size_t)PAGE);
		stranger_send(fd, welcome.byte, WIRE, &stats, 1);
		pthread_join(thread, NULL);
		ck_assert_int_eq(watcher.err, 0);
		ck_assert_int_eq(peal_monitor_read(watcher.monitor, &about, &one, 1), 1);
		ck_assert_uint_eq(about.links, 1);
		ck_assert_uint_eq(about.ended, 0);
		ck_assert_str_eq(about.who.name, "golden");
		ck_assert_uint_eq(one.role, PEAL_SERVER);
		ck_assert_uint_eq(one.wait, PEAL_WAIT_SLEEP);
		ck_assert_str_eq(one.peer.name, "golden");
		ck_assert_uint_eq(one.tx_capacity, PAGE);
		ck_assert_uint_eq(one.rx_capacity, PAGE);
		ck_assert_uint_eq(one.tx.messages, 9);
		ck_assert_uint_eq(one.tx.bytes, 7941);
		ck_assert_uint_eq(one.tx.high_water, 4040);
		ck_assert_int_eq(one.peer.pid, 4243);
		ck_assert_uint_eq(one.peer.uid, 1000);
		ck_assert_uint_eq(about.started_ns, 1000000000);
		ck_assert_uint_eq(one.since_ns, 1500000000);
		ck_assert_uint_eq(one.rx.messages, 0);
		peal_monitor_close(watcher.monitor);
		munmap(at, 2 * (size_t)PAGE);
		close(stats);
		close(fd);
		close(door);
	}
END_TEST

START_TEST(a_recorded_monitor_is_shown_the_same_counters)
	{
		struct peal_listener *listener;
		struct peal_link *link, *none;
		struct golden hello;
		struct peer peer;
		uint8_t message[WIRE], *at;
		int fd, fds[4];

		if (!is_recorded_here())
			return;
		link = accept_recorded(&peer);
		send_laps(&peer, link);
		ck_assert_int_eq(peal_listen(&listener, folder.path, &options), 0);
		golden_read(&hello, "hello-monitor", WIRE);
		fd = stranger_connect(folder.path);
		stranger_send(fd, hello.byte, WIRE, NULL, 0);
		ck_assert_int_eq(peal_accept(listener, &none, 0), -EAGAIN);
		ck_assert_int_eq(hear(fd, message, fds), 1);
		expect_file("welcome-monitor", message, WIRE);
		at = mmap(NULL, 2 * (size_t)PAGE, PROT_READ, MAP_SHARED, fds[0], 0);
		ck_assert_ptr_ne(at, MAP_FAILED);
		expect_file("stats", at, 2 * (size_t)PAGE);
		munmap(at, 2 * (size_t)PAGE);
		close(fds[0]);
		close(fd);
		peal_listener_close(listener);
		peal_close(link);
		peer_end(&peer);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("golden");
	TCase *all = tcase_create("golden");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_loop_test(all, the_recorded_messages_are_received, 0, 2);
	tcase_add_loop_test(all, the_same_messages_are_sent_byte_by_byte, 0, 2);
	tcase_add_loop_test(all, closing_leaves_the_same_page, 0, 2);
	tcase_add_loop_test(all, what_is_agreed_on_is_what_was_recorded, 0, 2);
	tcase_add_test(all, a_client_is_refused_as_it_was);
	tcase_add_test(all, a_recorded_refusal_is_understood);
	tcase_add_test(all, a_monitor_reads_recorded_counters);
	tcase_add_test(all, a_recorded_monitor_is_shown_the_same_counters);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
