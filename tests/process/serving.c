/*
 * SPDX-License-Identifier: MIT
 *
 * Servers: one of many gets an address, many clients get in at once, and neither those who stall or
 * talk nonsense nor a lack of descriptors harms the others.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/scene.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define USER 12345
#define DESCRIPTORS 253 /* as many as one message can carry */

static uint8_t buffer[65536];

static struct journal *new_journal(void)
{
	struct journal *journal = journal_open(scene_path("journal"));

	ck_assert_ptr_nonnull(journal);
	memset(journal, 0, sizeof(*journal));
	return journal;
}

/* Asks something of a peer's that needs this process, too, as an acceptor. */
static struct peal_link *take_in(struct peal_listener *listener, struct peer *peer)
{
	struct peal_link *link;

	peer_tell(peer, "connect %s %" PRId64, scene_path("server"), SCENE_PATIENCE);
	ck_assert_msg(!peal_accept(listener, &link, SCENE_PATIENCE), "%s", peal_error());
	ck_assert_msg(peer_hear(peer, "connect") == 0, "%s", peer->text);
	return link;
}

START_TEST(of_many_servers_one_gets_the_address_and_the_others_name_it)
	{
		enum { SERVERS = 8 };
		struct journal *journal = new_journal();
		char sentence[64], line[256];
		struct peer peers[SERVERS];

		snprintf(line, sizeof(line), "listen %s", scene_path("server"));
		for (unsigned i = 0; i < scene_rounds(10); i++) {
			unsigned winner = SERVERS;
			struct peal_link *link;
			long result[SERVERS];

			journal_note(&journal->gun, 0);
			for (unsigned n = 0; n < SERVERS; n++) {
				peer_start(&peers[n]);
				peer_tell(&peers[n], "journal %s\nprobe\nawait\n%s",
					  scene_path("journal"), line);
			}
			for (unsigned n = 0; n < SERVERS; n++)
				ck_assert_int_eq(peer_hear(&peers[n], "probe"), 0);
			journal_note(&journal->gun, 1);
			for (unsigned n = 0; n < SERVERS; n++) {
				result[n] = peer_hear(&peers[n], "listen");
				if (!result[n]) {
					ck_assert_msg(winner == SERVERS,
						      "two servers have got the address");
					winner = n;
				}
			}
			ck_assert_msg(winner < SERVERS, "no server has got the address: %s",
				      peers[0].text);
			snprintf(sentence, sizeof(sentence), "(pid %ld)", (long)peers[winner].pid);
			for (unsigned n = 0; n < SERVERS; n++) {
				if (n == winner)
					continue;
				ck_assert_msg(result[n] == -EADDRINUSE, "%ld %s", result[n],
					      peers[n].text);
				ck_assert_msg(strstr(peers[n].text, sentence) != NULL,
					      "%s has got it, but: %s", sentence, peers[n].text);
			}
			/* Killed, it is followed at once. */
			peer_kill(&peers[winner]);
			winner = (winner + 1) % SERVERS;
			ck_assert_msg(peer_ask(&peers[winner], line) == 0, "%s",
				      peers[winner].text);
			peer_tell(&peers[winner], "accept %" PRId64, SCENE_PATIENCE);
			ck_assert_msg(!peal_connect(&link, scene_path("server"), NULL,
						    SCENE_PATIENCE),
				      "%s", peal_error());
			ck_assert_int_eq(peer_hear(&peers[winner], "accept"), 0);
			ck_assert_int_eq(peal_link_peer(link)->pid, peers[winner].pid);
			peal_close(link);
			for (unsigned n = 0; n < SERVERS; n++)
				if (n != (winner + SERVERS - 1) % SERVERS)
					peer_end(&peers[n]);
		}
		journal_close(journal);
	}
END_TEST

START_TEST(many_clients_get_in_at_once_through_a_short_backlog)
	{
		enum { CLIENTS = 32 };
		struct peal_options options = scene_options(PEAL_WAIT_ADAPTIVE, 4096);
		struct journal *journal = new_journal();
		struct peal_listener *listener;
		struct peal_link *links[CLIENTS];
		struct peer peers[CLIENTS];
		struct holdings before;

		options.backlog = 4;
		ck_assert_int_eq(peal_listen(&listener, scene_path("server"), &options), 0);
		for (unsigned i = 0; i < scene_rounds(6); i++) {
			journal_note(&journal->gun, 0);
			for (unsigned n = 0; n < CLIENTS; n++) {
				peer_start(&peers[n]);
				peer_tell(&peers[n],
					  "journal %s\nprobe\nawait\nconnect %s %" PRId64
					  "\nsend %u forever",
					  scene_path("journal"), scene_path("server"),
					  SCENE_PATIENCE, n);
			}
			for (unsigned n = 0; n < CLIENTS; n++)
				ck_assert_int_eq(peer_hear(&peers[n], "probe"), 0);
			journal_note(&journal->gun, 1);
			for (unsigned n = 0; n < CLIENTS; n++)
				ck_assert_msg(!peal_accept(listener, &links[n], SCENE_PATIENCE),
					      "client %u: %s", n, peal_error());
			for (unsigned n = 0; n < CLIENTS; n++) {
				ck_assert_msg(peer_hear(&peers[n], "connect") == 0, "%s",
					      peers[n].text);
				ck_assert_int_eq(peer_hear(&peers[n], "send"), 0);
			}
			for (unsigned n = 0; n < CLIENTS; n++) {
				unsigned who = 0;

				while (who < CLIENTS &&
				       peers[who].pid != peal_link_peer(links[n])->pid)
					who++;
				ck_assert_int_eq(peal_recv(peal_link_rx(links[n]), buffer,
							   sizeof(buffer), NULL, PEAL_FOREVER),
						 (int)who);
				peal_close(links[n]);
			}
			for (unsigned n = 0; n < CLIENTS; n++)
				peer_end(&peers[n]);
			/* The first time objects are made that stay. */
			if (i == 0)
				before = holdings_of(getpid());
		}
		holdings_expect(getpid(), &before);
		peal_listener_close(listener);
		journal_close(journal);
	}
END_TEST

/*
 * Clients that are none: sockets without the library.
 */

static int stranger(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	memcpy(address.sun_path, path, strlen(path));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

union ancillary {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int) * DESCRIPTORS) + CMSG_SPACE(sizeof(struct ucred))];
};

/* Sends bytes, and one descriptor so many times. */
static void stranger_says(int fd, const void *data, size_t length, int descriptor, unsigned times)
{
	union ancillary ancillary = { .room = { 0 } };
	struct iovec piece = { .iov_base = (void *)(uintptr_t)data, .iov_len = length };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

	if (times) {
		message.msg_control = &ancillary;
		message.msg_controllen = (socklen_t)CMSG_SPACE(sizeof(int) * times);
		ancillary.header.cmsg_level = SOL_SOCKET;
		ancillary.header.cmsg_type = SCM_RIGHTS;
		ancillary.header.cmsg_len = (socklen_t)CMSG_LEN(sizeof(int) * times);
		for (unsigned i = 0; i < times; i++)
			memcpy(CMSG_DATA(&ancillary.header) + i * sizeof(int), &descriptor,
			       sizeof(int));
	}
	/* The system call itself: musl's function takes less than the kernel. */
	ck_assert_int_eq(syscall(SYS_sendmsg, fd, &message, MSG_NOSIGNAL), (int)length);
}

/* Waits until the server has hung up; it may say why before. */
static void expect_hung_up(int fd)
{
	for (;;) {
		struct pollfd look = { .fd = fd, .events = POLLIN };
		ssize_t length;

		ck_assert_msg(poll(&look, 1, (int)(SCENE_PATIENCE / MS)) == 1,
			      "the server does not hang up");
		length = recv(fd, buffer, sizeof(buffer), 0);
		if (length == 0 || (length < 0 && errno == ECONNRESET))
			return;
		ck_assert_int_gt(length, 0);
	}
}

/* What a client says first, taken from one that came to the wrong server. Its length; the
 * descriptor of its memory goes to *memory. */
static size_t overhear(uint8_t hello[1024], int *memory)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	union ancillary ancillary;
	struct iovec piece = { .iov_base = hello, .iov_len = 1024 };
	struct msghdr message = { .msg_iov = &piece,
				  .msg_iovlen = 1,
				  .msg_control = &ancillary,
				  .msg_controllen = sizeof(ancillary) };
	const char *path = scene_path("wrong");
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), client;
	struct peer peer;
	ssize_t length;

	memcpy(address.sun_path, path, strlen(path));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	peer_start(&peer);
	peer_tell(&peer, "connect %s %" PRId64, path, SCENE_PATIENCE);
	client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(client, 0);
	length = recvmsg(client, &message, MSG_CMSG_CLOEXEC);
	ck_assert_int_gt(length, 0);
	*memory = -1;
	for (struct cmsghdr *item = CMSG_FIRSTHDR(&message); item;
	     item = CMSG_NXTHDR(&message, item))
		if (item->cmsg_type == SCM_RIGHTS)
			memcpy(memory, CMSG_DATA(item), sizeof(int));
	ck_assert_int_ge(*memory, 0);
	close(client);
	close(fd);
	unlink(path);
	ck_assert_msg(peer_hear(&peer, "connect") == -ECONNRESET, "%s", peer.text);
	peer_end(&peer);
	return (size_t)length;
}

/* A client as it should be comes, is answered, and leaves. */
static void expect_served(struct peer *server)
{
	struct peal_options options = scene_options(PEAL_WAIT_ADAPTIVE, 4096);
	struct peal_link *link;

	ck_assert_msg(!peal_connect(&link, scene_path("server"), &options, SCENE_PATIENCE), "%s",
		      peal_error());
	ck_assert_int_eq(peal_send(peal_link_tx(link), "hello", 5, 1, SCENE_PATIENCE), 0);
	ck_assert_int_eq(
		peal_recv(peal_link_rx(link), buffer, sizeof(buffer), NULL, SCENE_PATIENCE), 5);
	peal_close(link);
	ck_assert_msg(peer_hear(server, "gone") == -EPIPE, "%s", server->text);
}

static void start_server(struct peer *server, const char *handshake, const char *verb)
{
	peer_start(server);
	peer_tell(server, "handshake %s\nlisten %s\n%s", handshake, scene_path("server"), verb);
	ck_assert_msg(peer_hear(server, "listen") == 0, "%s", server->text);
}

START_TEST(clients_that_stall_or_talk_nonsense_delay_nobody_and_leave_nothing)
	{
		static uint8_t hello[1024], nonsense[2048] = { 1, 2, 3 };
		int memory, right, ends[2], unsealed = memfd_create("unsealed", MFD_CLOEXEC);
		size_t length = overhear(hello, &memory);
		struct holdings before;
		struct peer server;

		ck_assert_int_ge(unsealed, 0);
		ck_assert_int_eq(ftruncate(unsealed, 4096 + 65536), 0);
		ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);

		const struct {
			const uint8_t *words;
			size_t length;
			int descriptor;
			unsigned times;
		} lines[] = {
			{ hello, 0, -1, 0 }, /* says nothing, and stays */
			{ hello, 4, -1, 0 },
			{ hello, length / 2, -1, 0 },
			{ nonsense, 64, -1, 0 },
			{ nonsense, sizeof(nonsense), -1, 0 },
			{ hello, length, -1, 0 },
			{ hello, length, ends[0], 1 },
			{ hello, length, unsealed, 1 },
			{ hello, length / 2, memory, 1 },
			{ hello, length, memory, 2 },
			{ hello, length, memory, 4 },
			{ hello, length, memory, 5 },
			{ hello, length, ends[1], DESCRIPTORS },
			{ nonsense, 1, ends[1], DESCRIPTORS },
			{ nonsense, 1, unsealed, 3 },
		};
		enum { LINES = sizeof(lines) / sizeof(lines[0]) };
		int fds[LINES];

		start_server(&server, "600000000000", "serve");
		/* The first time shows what stays: the memory that counts things. */
		expect_served(&server);
		before = holdings_of(server.pid);
		for (unsigned i = 0; i < LINES; i++) {
			fds[i] = stranger(scene_path("server"));
			if (lines[i].length)
				stranger_says(fds[i], lines[i].words, lines[i].length,
					      lines[i].descriptor, lines[i].times);
			expect_served(&server);
			if (lines[i].length)
				expect_hung_up(fds[i]);
		}
		/* This one says what is right, and could have been one of us. */
		right = stranger(scene_path("server"));
		stranger_says(right, hello, length, memory, 1);
		ck_assert_int_gt(recv(right, buffer, sizeof(buffer), 0), 0);
		close(right);
		ck_assert_msg(peer_hear(&server, "gone") == -ECONNRESET, "%s", server.text);
		for (unsigned i = 0; i < LINES; i++)
			close(fds[i]);
		expect_served(&server);
		holdings_expect(server.pid, &before);
		close(ends[0]);
		close(ends[1]);
		close(unsealed);
		close(memory);
		peer_kill(&server);
	}
END_TEST

/* They get the time that a handshake may take, and others come in their turn. */
START_TEST(more_silent_clients_than_a_server_has_places_for_keep_nobody_out)
	{
		enum { SILENT = 600 };
		struct holdings before;
		struct peer server;
		int fds[SILENT];

		start_server(&server, "200000000", "serve");
		expect_served(&server);
		before = holdings_of(server.pid);
		for (unsigned i = 0; i < SILENT; i++) {
			fds[i] = stranger(scene_path("server"));
			if (i % 150 == 149)
				expect_served(&server);
		}
		for (unsigned i = 0; i < SILENT; i++)
			close(fds[i]);
		expect_served(&server);
		holdings_expect(server.pid, &before);
		peer_kill(&server);
	}
END_TEST

/* Whether it waits in peal_accept or looks in now and then. */
START_TEST(a_silent_client_is_dropped_when_its_time_is_up)
	{
		struct peer server;
		int fd;

		start_server(&server, "20000000", _i ? "serve" : "welcome");
		fd = stranger(scene_path("server"));
		expect_hung_up(fd);
		close(fd);
		peer_kill(&server);
	}
END_TEST

/* As many as a server has places for, and more: without anybody else who comes. */
START_TEST(many_silent_clients_are_all_dropped_when_their_time_is_up)
	{
		static const unsigned counts[] = { 256, 257, 260 };
		struct peer server;
		int fds[260];

		start_server(&server, "200000000", "welcome");
		for (unsigned i = 0; i < counts[_i]; i++)
			fds[i] = stranger(scene_path("server"));
		for (unsigned i = 0; i < counts[_i]; i++) {
			expect_hung_up(fds[i]);
			close(fds[i]);
		}
		peer_kill(&server);
	}
END_TEST

/*
 * Out of descriptors.
 */

/* Takes all descriptors but some. Their numbers go to taken; returns how many. */
static unsigned take_descriptors(int taken[256], unsigned leave)
{
	unsigned count = 0;

	while (count < 256) {
		taken[count] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (taken[count] < 0)
			break;
		count++;
	}
	ck_assert_int_eq(errno, EMFILE);
	ck_assert_uint_ge(count, leave);
	while (leave--)
		close(taken[--count]);
	return count;
}

static void give_descriptors(const int taken[256], unsigned count)
{
	while (count)
		close(taken[--count]);
}

static struct rlimit limit_descriptors(rlim_t count)
{
	struct rlimit before, limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = count;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return before;
}

static uint64_t cpu_time(void)
{
	struct rusage used;

	ck_assert_int_eq(getrusage(RUSAGE_THREAD, &used), 0);
	return (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * (uint64_t)SECOND +
	       (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000;
}

START_TEST(a_silent_client_with_no_end_to_its_time_costs_no_cpu_time)
	{
		struct peal_options options = scene_options(PEAL_WAIT_ADAPTIVE, 4096);
		struct peal_listener *listener;
		struct peal_link *link;
		uint64_t cpu;
		int fd;

		options.handshake_ns = UINT64_MAX;
		ck_assert_int_eq(peal_listen(&listener, scene_path("server"), &options), 0);
		fd = stranger(scene_path("server"));
		cpu = cpu_time();
		ck_assert_int_eq(peal_accept(listener, &link, 300 * MS), -ETIMEDOUT);
		cpu = cpu_time() - cpu;
		ck_assert_msg(cpu < (uint64_t)(100 * MS), "%" PRIu64 " ms of CPU while it waited",
			      cpu / (uint64_t)MS);
		close(fd);
		peal_listener_close(listener);
	}
END_TEST

START_TEST(without_any_descriptor_the_newcomer_waits_outside_and_the_server_too)
	{
		struct peal_options options = scene_options(PEAL_WAIT_ADAPTIVE, 4096);
		struct peal_listener *listener;
		unsigned returns = 0, told = 0;
		struct peal_link *link;
		struct rlimit limit;
		struct peer peer;
		uint64_t end, cpu;

		options.handshake_ns = (uint64_t)(800 * MS); /* it looks again after an eighth */
		ck_assert_int_eq(peal_listen(&listener, scene_path("server"), &options), 0);
		peer_start(&peer);
		peer_tell(&peer, "connect %s %" PRId64, scene_path("server"), SCENE_PATIENCE);
		peer_wait_asleep(&peer);
		limit = limit_descriptors(3); /* all numbers above are as good as taken */
		cpu = cpu_time();
		for (end = scene_now() + (uint64_t)(300 * MS); scene_now() < end; returns++) {
			int err = peal_accept(listener, &link, 50 * MS);

			ck_assert_msg(err == -EMFILE || err == -ETIMEDOUT, "%d %s", err,
				      peal_error());
			told += err == -EMFILE;
		}
		cpu = cpu_time() - cpu;
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		ck_assert_uint_ge(told, 1);
		ck_assert_msg(returns < 20 && cpu < (uint64_t)(100 * MS),
			      "%u returns, %" PRIu64 " ms of CPU", returns, cpu / (uint64_t)MS);
		ck_assert_msg(!peal_accept(listener, &link, SCENE_PATIENCE), "%s", peal_error());
		ck_assert_msg(peer_hear(&peer, "connect") == 0, "%s", peer.text);
		peal_close(link);
		peal_listener_close(listener);
		peer_end(&peer);
	}
END_TEST

START_TEST(out_of_descriptors_the_newcomer_is_told_and_nobody_else_notices)
	{
		enum { NEWCOMERS = 14 };
		struct peal_options options = scene_options(PEAL_WAIT_ADAPTIVE, 4096);
		struct peal_link *old, *link = NULL;
		struct peal_listener *listener;
		struct peer first, peers[NEWCOMERS];
		struct holdings before;
		struct rlimit limit;
		unsigned refused = 0, admitted = 0;
		uint64_t cpu;
		int taken[256];

		ck_assert_int_eq(peal_listen(&listener, scene_path("server"), &options), 0);
		peer_start(&first);
		old = take_in(listener, &first);
		for (unsigned n = 0; n < NEWCOMERS; n++) {
			peer_start(&peers[n]);
			ck_assert_int_eq(peer_ask(&peers[n], "probe"), 0);
		}
		before = holdings_at_rest();
		limit = limit_descriptors(256);
		/* From none at all to more than enough: it fails in one place after the other,
		 * twice in each. */
		for (unsigned n = 0; n < NEWCOMERS; n++) {
			unsigned count = take_descriptors(taken, n / 2), told = 0;
			int err;

			peer_tell(&peers[n], "connect %s %" PRId64, scene_path("server"),
				  SCENE_PATIENCE);
			do {
				err = peal_accept(listener, &link, 50 * MS);
				told += err == -EMFILE;
				ck_assert_msg(!err || err == -EMFILE || err == -ETIMEDOUT, "%d %s",
					      err, peal_error());
				ck_assert_msg(told < 2, "one newcomer, and told twice");
			} while (err && !peer_has_answered(&peers[n]));
			if (err) {
				ck_assert_msg(peer_hear(&peers[n], "connect") == -EBUSY,
					      "with %u free: %s", n, peers[n].text);
				ck_assert_msg(strstr(peers[n].text, "descriptors") != NULL, "%s",
					      peers[n].text);
				refused++;
				/* Nobody there: it waits. */
				cpu = cpu_time();
				ck_assert_int_eq(peal_accept(listener, &link, 200 * MS),
						 -ETIMEDOUT);
				cpu = cpu_time() - cpu;
				ck_assert_msg(cpu < (uint64_t)(100 * MS),
					      "%" PRIu64 " ms of CPU while it waited",
					      cpu / (uint64_t)MS);
			} else {
				ck_assert_msg(peer_hear(&peers[n], "connect") == 0, "%s",
					      peers[n].text);
				admitted++;
				peal_close(link);
			}
			/* The others go on. */
			ck_assert_int_eq(peal_send(peal_link_tx(old), buffer, n, 0, 0), 0);
			ck_assert_int_eq(peer_ask(&first, "recv forever"), n);
			give_descriptors(taken, count);
		}
		ck_assert_uint_gt(refused, 0);
		ck_assert_uint_gt(admitted, 0);
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		/* Later newcomers get in, those that had been refused too. */
		for (unsigned n = 0; n < NEWCOMERS; n++)
			peal_close(take_in(listener, &peers[n]));
		holdings_expect(getpid(), &before);
		for (unsigned n = 0; n < NEWCOMERS; n++)
			peer_end(&peers[n]);
		peal_close(old);
		peal_listener_close(listener);
		peer_end(&first);
	}
END_TEST

START_TEST(a_client_that_is_out_of_descriptors_says_so_and_loses_none)
	{
		struct holdings before;
		struct peal_link *link;
		struct rlimit limit;
		struct peer server;
		unsigned failed = 0;
		int taken[256];

		start_server(&server, "600000000000", "serve");
		expect_served(&server);
		before = holdings_at_rest();
		limit = limit_descriptors(256);
		for (unsigned n = 0; n < 6; n++) {
			unsigned count = take_descriptors(taken, n);
			int err = peal_connect(&link, scene_path("server"), NULL, SCENE_PATIENCE);

			ck_assert_msg(!err || (err == -EMFILE &&
					       strstr(peal_error(), "descriptors")),
				      "%d %s", err, peal_error());
			failed += err != 0;
			if (!err)
				peal_close(link);
			give_descriptors(taken, count);
		}
		ck_assert_uint_gt(failed, 0);
		ck_assert_uint_lt(failed, 6);
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		holdings_expect(getpid(), &before);
		peer_kill(&server);
	}
END_TEST

/* Whether one more descriptor of theirs is refused by the kernel. */
static bool too_many_under_way(void *data)
{
	return peer_ask(data, "probe") == -ETOOMANYREFS;
}

START_TEST(clients_whose_descriptors_are_too_many_under_way_get_in_in_the_end)
	{
		enum { CLIENTS = 40, LIMIT = 12 };
		struct peal_options options = scene_options(PEAL_WAIT_ADAPTIVE, 4096);
		struct peal_listener *listener;
		struct peer peers[CLIENTS], probe;
		struct peal_link *links[CLIENTS];
		bool provoked;

		if (geteuid()) {
			skip("only root can be another user, for whom this limit counts");
			return;
		}
		options.allow = PEAL_ALLOW_ANYONE;
		options.mode = 0666;
		ck_assert_int_eq(peal_listen(&listener, scene_path("server"), &options), 0);
		peer_start(&probe);
		peer_tell(&probe, "nofile %d\nuser %d %d %d", LIMIT, USER, USER, USER);
		for (unsigned n = 0; n < CLIENTS; n++) {
			peer_start(&peers[n]);
			peer_tell(&peers[n], "nofile %d\nuser %d %d %d\nconnect %s %" PRId64, LIMIT,
				  USER, USER, USER, scene_path("server"), SCENE_PATIENCE);
		}
		provoked = scene_until(too_many_under_way, &probe);
		for (unsigned n = 0; n < CLIENTS; n++)
			ck_assert_msg(!peal_accept(listener, &links[n], SCENE_PATIENCE),
				      "client %u: %s", n, peal_error());
		for (unsigned n = 0; n < CLIENTS; n++) {
			ck_assert_msg(peer_hear(&peers[n], "connect") == 0, "%s", peers[n].text);
			peer_end(&peers[n]);
			peal_close(links[n]);
		}
		peer_end(&probe);
		peal_listener_close(listener);
		if (!provoked)
			skip("all got in, but any number of descriptors may be under way here");
	}
END_TEST

static Suite *serving(void)
{
	Suite *suite = suite_create("serving");
	TCase *tcase = scene_case("serve");

	tcase_add_test(tcase, of_many_servers_one_gets_the_address_and_the_others_name_it);
	tcase_add_test(tcase, many_clients_get_in_at_once_through_a_short_backlog);
	tcase_add_test(tcase, clients_that_stall_or_talk_nonsense_delay_nobody_and_leave_nothing);
	tcase_add_test(tcase, more_silent_clients_than_a_server_has_places_for_keep_nobody_out);
	tcase_add_loop_test(tcase, a_silent_client_is_dropped_when_its_time_is_up, 0, 2);
	tcase_add_loop_test(tcase, many_silent_clients_are_all_dropped_when_their_time_is_up, 0, 3);
	tcase_add_test(tcase, a_silent_client_with_no_end_to_its_time_costs_no_cpu_time);
	tcase_add_test(tcase, without_any_descriptor_the_newcomer_waits_outside_and_the_server_too);
	tcase_add_test(tcase, out_of_descriptors_the_newcomer_is_told_and_nobody_else_notices);
	tcase_add_test(tcase, a_client_that_is_out_of_descriptors_says_so_and_loses_none);
	tcase_add_test(tcase, clients_whose_descriptors_are_too_many_under_way_get_in_in_the_end);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { serving, NULL };

	return runner_main(suites);
}
