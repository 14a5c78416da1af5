/*
 * SPDX-License-Identifier: MIT
 *
 * The handshake, with one side of it spoken by hand: what a server refuses and in which words, what
 * a client makes of a server that lies, refuses or says nothing, who is admitted, and that nothing
 * is left behind. White-box in that it knows the messages.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/handshake.h"
#include "tests/hostile/doors_peer.h"
#include "tests/unit/stage.h"
#include "tests/unit/stranger.h"

#ifdef PEAL_SANITIZER
#define SANITIZED true
#else
#define SANITIZED false
#endif

static struct folder folder;
static struct peal_listener *listener;
static struct peal_link *server;
static struct segment segment; /* the stranger's */
static int memory;
static int before;

static void set_up(void)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, stage_page());

	folder_make(&folder);
	before = descriptors_settled();
	ck_assert_int_eq(segment_create(&segment, &options, 0), 0);
	memory = segment.fd;
}

static void tear_down(void)
{
	segment_destroy(&segment);
	close(memory);
	descriptors_expect(before);
	folder_remove(&folder);
}

static void listen_with(const struct peal_options *options)
{
	ck_assert_msg(!peal_listen(&listener, folder.path, options), "%s", peal_error());
}

/*
 * What can be wrong with either side's message.
 */

struct flaw {
	const char *what;
	size_t offset, width; /* of the field that is wrong */
	uint64_t value;
	size_t length; /* of the message; 0: whole */
	int copies;    /* of the descriptor */
	int err;
	const char *said, *limit;
};

#define FIELD(name) offsetof(struct wire_message, name), sizeof(((struct wire_message *)0)->name)
#define NONE 0, 0, 0
#define DESCRIPTORS offsetof(struct wire_message, descriptors), 8
#define WHOLE sizeof(struct wire_message)

/* Both sides take these alike. */
static const struct flaw flaws[] = {
	{ "magic", FIELD(magic), 0x4c414551, 0, 1, -EPROTOTYPE, "does not speak Peal", "" },
	{ "nothing", FIELD(magic), 0, 0, 1, -EPROTOTYPE, "does not speak Peal", "" },
	{ "one byte", NONE, 1, 0, -EPROTOTYPE, "does not speak Peal", "" },
	{ "11 bytes", NONE, 11, 1, -EPROTOTYPE, "does not speak Peal", "" },
	{ "12 bytes", NONE, 12, 1, -EPROTO, "12 bytes", "504" },
	{ "a byte less", NONE, WHOLE - 1, 1, -EPROTO, "503 bytes", "504" },
	{ "a byte more", NONE, WHOLE + 1, 1, -EPROTO, "505 bytes", "504" },
	{ "64 KiB", NONE, 65536, 1, -EPROTO, "65536 bytes", "504" },
	{ "version 0", FIELD(version_high), 0, 0, 1, -EPROTONOSUPPORT, "1 to 1", "1 to 0" },
	{ "version 2", FIELD(version_low), 2, 0, 1, -EPROTONOSUPPORT, "1 to 1", "2 to 1" },
	/* Whatever else is different then, the ranges are in their places. */
	{ "short 2", FIELD(version_low), 2, 12, 0, -EPROTONOSUPPORT, "1 to 1", "2 to 1" },
	{ "long 2", FIELD(version_low), 2, 4096, 2, -EPROTONOSUPPORT, "1 to 1", "2 to 1" },
	{ "layout 0", FIELD(layout_high), 0, 0, 1, -EPROTONOSUPPORT, "1 to 1", "1 to 0" },
	{ "layout 2", FIELD(layout_low), 2, 0, 1, -EPROTONOSUPPORT, "1 to 1", "2 to 1" },
	{ "type 0", FIELD(type), 0, 0, 1, -EPROTO, "type 0", "" },
	{ "type 9", FIELD(type), 9, 0, 1, -EPROTO, "type 9", "" },
	{ "needs", FIELD(needed), 256, 0, 1, -EPROTONOSUPPORT, "0x100", "" },
	{ "no descriptor", NONE, 0, 0, -EPROTO, "0 descriptors", "an eventfd" },
	{ "2 descriptors", NONE, 0, 2, -EPROTO, "2 descriptors", "an eventfd" },
	{ "5 descriptors", NONE, 0, 5, -EPROTO, "more descriptors", "" },
	{ "16 descriptors", NONE, 0, 16, -EPROTO, "more descriptors", "" },
	{ "says 0", FIELD(descriptors), 0, 0, 1, -EPROTO, "descriptors", "an eventfd" },
	{ "says 2", FIELD(descriptors), 2, 0, 1, -EPROTO, "descriptors", "an eventfd" },
	{ "of data", FIELD(descriptor[0]), WIRE_DATA, 0, 1, -EPROTO, "descriptors", "segment" },
	/* How many, and of what kinds, in one word. */
	{ "a small segment", DESCRIPTORS, 0x20100000002, 0, 2, -EPROTO, "another size", "" },
	{ "two of data", DESCRIPTORS, 0x2020100000003, 0, 3, -EPROTO, "3 descriptors", "eventfd" },
	{ "data first", DESCRIPTORS, 0x10200000002, 0, 2, -EPROTO, "2 descriptors", "segment" },
	{ "data last", DESCRIPTORS, 0x2030100000003, 0, 3, -EPROTO, "3 descriptors", "data area" },
	{ "no page", FIELD(page), 0, 0, 1, -EPROTO, "0 bytes", "pages here" },
	{ "large page", FIELD(page), 1 << 20, 0, 1, -EPROTO, "1048576 bytes", "pages here" },
	{ "no ring", FIELD(capacity), 0, 0, 1, -EPROTO, "0 bytes", "power of two" },
	{ "small ring", FIELD(capacity), 2048, 0, 1, -EPROTO, "2048 bytes", "power of two" },
	{ "odd ring", FIELD(capacity), 65537, 0, 1, -EPROTO, "65537 bytes", "power of two" },
	{ "other ring", FIELD(capacity), 1 << 20, 0, 1, -EPROTO, "another size", "" },
	{ "large ring", FIELD(capacity), 1 << 27, 0, 1, -E2BIG, "134217728", "67108864" },
	{ "huge ring", FIELD(capacity), (uint64_t)1 << 63, 0, 1, -E2BIG, "9223372036854775808",
	  "67108864" },
	{ "data in no pages", FIELD(data_page), 0, 0, 1, -EPROTO, "pages of 0", "power of two" },
	{ "data in odd pages", FIELD(data_page), 12288, 0, 1, -EPROTO, "12288", "power of two" },
	{ "small data pages", FIELD(data_page), 2048, 0, 1, -EPROTO, "pages of 2048",
	  "power of two from" },
	{ "large data pages", FIELD(data_page), 1 << 21, 0, 1, -EPROTO, "of 2097152", "itself" },
	{ "start behind", FIELD(start), 4096, 0, 1, -EPROTO, "at 4096 of a ring of 4096", "" },
	{ "start far", FIELD(start), UINT64_MAX - 7, 0, 1, -EPROTO, "multiple of 8 in it", "" },
	{ "odd start", FIELD(start), 12, 0, 1, -EPROTO, "at 12", "multiple of 8" },
};

#define FLAWS ((int)(sizeof(flaws) / sizeof(flaws[0])))

/* Says a message that has a flaw, with this memory. */
static void say_flawed(int fd, enum wire_type type, const struct flaw *flaw)
{
	static uint8_t room[65536];
	struct wire_message message = wire_homework(type, &segment);

	memcpy((uint8_t *)&message + flaw->offset, &flaw->value, flaw->width);
	memset(room, 0, sizeof(room));
	memcpy(room, &message, sizeof(message));
	stranger_say(fd, room, flaw->length ? flaw->length : sizeof(message), memory, flaw->copies);
}

/* One of the flaws is where a ring of 4 KiB ends. */
static bool is_of_smaller_pages(const struct flaw *flaw)
{
	if (flaw->offset != offsetof(struct wire_message, start) || flaw->value != 4096 ||
	    stage_page() == 4096)
		return false;
	skip("no ring here has 4 KiB");
	return true;
}

/* The server makes no link of who is there. */
static void expect_nobody(void)
{
	expect_error(peal_accept(listener, &server, 0), -EAGAIN, NULL);
	ck_assert_ptr_null(server);
}

static void expect_refusal(int fd, int err, const char *said, const char *limit)
{
	struct wire_message answer;

	ck_assert_int_eq(stranger_hear(fd, &answer, sizeof(answer), NULL), sizeof(answer));
	ck_assert_uint_eq(answer.magic, WIRE_MAGIC);
	ck_assert_uint_eq(answer.type, WIRE_REFUSE);
	ck_assert_uint_eq(answer.version_low, 1);
	ck_assert_uint_eq(answer.version_high, 1);
	ck_assert_uint_eq(answer.layout_low, 1);
	ck_assert_uint_eq(answer.layout_high, 1);
	ck_assert_ptr_nonnull(memchr(answer.text, 0, sizeof(answer.text)));
	expect_words(-(int64_t)answer.code, answer.text, err, said, limit, NULL);
	/* And that was all. */
	ck_assert_int_eq(stranger_hear(fd, &answer, sizeof(answer), NULL), 0);
}

/* A client as it should be still gets in. */
static void expect_serves(void)
{
	struct caller caller;

	caller_start(&caller, folder.path, NULL, LONG);
	ck_assert_msg(!peal_accept(listener, &server, LONG), "%s", peal_error());
	caller_end(&caller);
	ck_assert_msg(caller.err == 0, "%s", caller.sentence);
	ck_assert_int_eq(peal_send(peal_link_tx(caller.link), "a", 1, 7, 0), 0);
	peal_close(caller.link);
	peal_close(server);
}

/* An emulator keeps the descriptors that there is no room for. */
static bool brings_too_many(const struct flaw *flaw)
{
	return flaw->copies > PLATFORM_DESCRIPTORS &&
	       skip_emulated("descriptors that do not fit a message");
}

START_TEST(a_server_refuses_what_is_wrong_in_words)
	{
		int fd;

		if (is_of_smaller_pages(&flaws[_i]) || brings_too_many(&flaws[_i]))
			return;
		listen_with(NULL);
		fd = stranger_connect(folder.path);
		say_flawed(fd, WIRE_HELLO, &flaws[_i]);
		expect_nobody();
		expect_refusal(fd, flaws[_i].err, flaws[_i].said, flaws[_i].limit);
		expect_serves();
		close(fd);
		peal_listener_close(listener);
	}
END_TEST

START_TEST(a_server_knows_links_and_monitors_only)
	{
		static const struct flaw unknown = { .offset = offsetof(struct wire_message, kind),
						     .width = 2,
						     .value = 99,
						     .copies = 0 };
		int fd;

		listen_with(NULL);
		fd = stranger_connect(folder.path);
		say_flawed(fd, WIRE_HELLO, &unknown);
		expect_nobody();
		expect_refusal(fd, -EOPNOTSUPP, "kind 99", "server");
		close(fd);
		peal_listener_close(listener);
	}
END_TEST

/* A descriptor of something that is not what it must be. */
static int wrong_memory(int i)
{
	int ends[2], fd;

	switch (i) {
	case 0:
		fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		ck_assert_int_eq(ftruncate(fd, (off_t)(2 * stage_page())), 0);
		return fd;
	case 1:
		ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
		close(ends[1]);
		return ends[0];
	default:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
}

START_TEST(a_server_refuses_what_is_no_sealed_memory)
	{
		struct wire_message hello = wire_homework(WIRE_HELLO, &segment);
		int fd, wrong_one = wrong_memory(_i);

		listen_with(NULL);
		fd = stranger_connect(folder.path);
		stranger_say(fd, &hello, sizeof(hello), wrong_one, 1);
		expect_nobody();
		expect_refusal(fd, -EPROTO, "not sealed", "memory");
		close(fd);
		close(wrong_one);
		peal_listener_close(listener);
	}
END_TEST

/* Whether a function is true in a child, which ends with it. */
static bool is_true_in_a_child(bool (*is_true)(void))
{
	pid_t pid = fork_alone();
	int status;

	if (!pid)
		_exit(!is_true());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status == 0;
}

START_TEST(a_server_welcomes_whose_message_is_right)
	{
		struct wire_message message = wire_homework(WIRE_HELLO, &segment);
		int fd, theirs;

		message.max_message = 100;
		message.stats_now = UINT64_MAX; /* for later versions to use, as is the end */
		memset(message.spare_end, 0xff, sizeof(message.spare_end));
		message.features = ~WIRE_TRUSTS_EVENTFD;
		message.version_high = 9;
		message.layout_high = 9;
		listen_with(NULL);
		fd = stranger_connect(folder.path);
		stranger_say(fd, &message, sizeof(message), memory, 1);
		ck_assert_int_eq(peal_accept(listener, &server, LONG), 0);
		ck_assert_int_eq(stranger_hear(fd, &message, sizeof(message), &theirs),
				 sizeof(message));
		ck_assert_uint_eq(message.type, WIRE_WELCOME);
		ck_assert_uint_eq(message.version_low, 1);
		ck_assert_uint_eq(message.version_high, 1);
		ck_assert_uint_eq(message.layout_high, 1);
		ck_assert_uint_eq(message.abi, PEAL_ABI);
		ck_assert_uint_eq(message.features & ~WIRE_MEMBARRIER,
				  WIRE_SOCKET_BELL | WIRE_FRAGMENTS);
		ck_assert_uint_eq(message.needed, 0);
		ck_assert_uint_eq(message.page, stage_page());
		ck_assert_uint_eq(message.capacity, 65536);
		ck_assert_uint_eq(message.descriptors, 1);
		ck_assert_uint_eq(message.descriptor[0], WIRE_SEGMENT);
		ck_assert_str_eq(message.name, "handshake");
		ck_assert_int_ge(theirs, 0);
		ck_assert_str_eq(peal_link_peer(server)->name, "stranger");
		ck_assert_int_eq(peal_link_peer(server)->pid, getpid());
		expect_error(peal_send(peal_link_tx(server), &message, 101, 0, 0), -EMSGSIZE, "101",
			     "100", NULL);
		ck_assert_int_eq(peal_send(peal_link_tx(server), &message, 100, 0, 0), 0);
		peal_close(server);
		close(theirs);
		close(fd);
		peal_listener_close(listener);
	}
END_TEST

START_TEST(a_client_that_goes_away_is_nothing_to_the_server)
	{
		struct wire_message hello = wire_homework(WIRE_HELLO, &segment);
		int fd;

		listen_with(NULL);
		/* Before it is seen, between being seen and saying something, and just after saying
		 * it. */
		close(stranger_connect(folder.path));
		expect_nobody();
		fd = stranger_connect(folder.path);
		expect_nobody();
		close(fd);
		expect_nobody();
		fd = stranger_connect(folder.path);
		expect_nobody();
		stranger_say(fd, &hello, 0, -1, 0);
		expect_nobody();
		close(fd);
		expect_serves();
		peal_listener_close(listener);
	}
END_TEST

START_TEST(stalling_clients_delay_nobody)
	{
		enum { STALLING = 20 };
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		int fds[STALLING];

		options.handshake_ns = UINT64_MAX;
		listen_with(&options);
		for (int i = 0; i < STALLING; i++)
			fds[i] = stranger_connect(folder.path);
		expect_serves();
		expect_nobody();
		expect_serves();
		for (int i = 0; i < STALLING; i++) {
			ck_assert(!stranger_hears(fds[i])); /* still waited for */
			close(fds[i]);
		}
		peal_listener_close(listener);
	}
END_TEST

START_TEST(one_that_took_its_time_still_gets_in)
	{
		struct wire_message hello = wire_homework(WIRE_HELLO, &segment);
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		int fd;

		options.handshake_ns = UINT64_MAX;
		listen_with(&options);
		fd = stranger_connect(folder.path);
		expect_serves();
		stranger_say(fd, &hello, sizeof(hello), memory, 1);
		ck_assert_int_eq(peal_accept(listener, &server, LONG), 0);
		peal_close(server);
		close(fd);
		peal_listener_close(listener);
	}
END_TEST

START_TEST(a_stalling_client_is_dropped_when_its_time_is_up)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		int fd;

		options.handshake_ns = (uint64_t)MS;
		listen_with(&options);
		fd = stranger_connect(folder.path);
		while (!stranger_hears(fd))
			expect_error(peal_accept(listener, &server, 5 * MS), -ETIMEDOUT, NULL);
		expect_refusal(fd, -ETIMEDOUT, "handshake", "too long");
		close(fd);
		peal_listener_close(listener);
	}
END_TEST

START_TEST(a_server_that_only_polls_drops_stalling_clients_too)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		int fd;

		options.handshake_ns = 1;
		listen_with(&options);
		fd = stranger_connect(folder.path);
		while (!stranger_hears(fd))
			expect_nobody();
		expect_refusal(fd, -ETIMEDOUT, "handshake", "too long");
		close(fd);
		peal_listener_close(listener);
	}
END_TEST

START_TEST(a_server_that_polls_is_woken_to_drop_who_stalls)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct pollfd look = { .events = POLLIN };
		int fd;

		options.handshake_ns = (uint64_t)(20 * MS);
		listen_with(&options);
		look.fd = peal_listener_fd(listener);
		fd = stranger_connect(folder.path);
		while (!stranger_hears(fd)) {
			ck_assert_msg(poll(&look, 1, 10000) == 1, "the server is not woken");
			expect_nobody();
		}
		expect_refusal(fd, -ETIMEDOUT, "handshake", "too long");
		close(fd);
		peal_listener_close(listener);
	}
END_TEST

START_TEST(a_descriptor_that_is_slow_to_close_holds_up_no_other)
	{
		struct wire_message hello = wire_homework(WIRE_HELLO, &segment);
		int peer, slow = stranger_lingering(&peer), count;

		if (slow < 0) {
			skip("TCP needs a loopback interface");
			return;
		}
		listen_with(NULL);
		count = descriptors_count();
		for (int i = 0; i < 4; i++) {
			int fd = stranger_connect(folder.path);
			int wrong_one = i ? wrong_memory(1) : slow;

			stranger_say(fd, &hello, sizeof(hello), wrong_one, 1);
			close(wrong_one); /* the server has the last one */
			expect_nobody();
			expect_refusal(fd, -EPROTO, "not sealed", "memory");
			close(fd);
			descriptors_expect(count - 1); /* the slow one has lost its number, too */
		}
		close(peer);
		peal_listener_close(listener);
	}
END_TEST

/* A stranger's door, and what whoever comes in by it is given at once, before it can look round. */
static int gift_door = -1, gift;

int __real_connect(int fd, const struct sockaddr *address, socklen_t length);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length);

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	int client, err = __real_connect(fd, address, length);

	if (!err && gift_door >= 0 && address->sa_family == AF_UNIX) {
		client = stranger_accept(gift_door);
		stranger_say(client, "", 1, gift, 1);
		close(client);
		close(gift); /* the visitor has the last one */
		gift_door = -1;
	}
	return err;
}

START_TEST(who_only_knocks_to_see_if_a_server_lives_waits_for_no_stranger)
	{
		int lock = -1, door, peer;
		char path[128];

		gift = stranger_lingering(&peer);
		if (gift < 0) {
			skip("TCP needs a loopback interface");
			return;
		}
		door = gift_door = stranger_bind(folder.path, SOCK_SEQPACKET, 5);
		if (_i) {
			/* Who has the lock is asked for its pid. */
			snprintf(path, sizeof(path), "%s.lock", folder.path);
			lock = platform_lock(path, true);
			ck_assert_int_ge(lock, 0);
		}
		expect_error(peal_listen(&listener, folder.path, NULL), -EADDRINUSE,
			     "another server", NULL);
		ck_assert_int_eq(gift_door, -1);
		platform_unlock(lock);
		close(peer);
		close(door);
	}
END_TEST

/* From now on what is mapped is locked, and no more than a page can be. False for who may lock as
 * much as it likes. */
static bool use_up_locked_memory(void)
{
	const struct rlimit limit = { stage_page(), stage_page() };

	return (geteuid() || !become_nobody()) && !setrlimit(RLIMIT_MEMLOCK, &limit) &&
	       !mlockall(MCL_FUTURE) &&
	       mmap(NULL, 2 * stage_page(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		       MAP_FAILED &&
	       errno == EAGAIN;
}

/* In a child: a server, until something is to be read from *data. */
static const char *serve_without_memory(void *data)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	int end = *(const int *)data;

	options.handshake_ns = (uint64_t)(2000 * MS);
	if (peal_listen(&listener, folder.path, &options) || !use_up_locked_memory() ||
	    write(end, "", 1) != 1)
		return wrong("a server");
	while (!stranger_hears(end))
		peal_accept(listener, &server, 10 * MS);
	return NULL;
}

START_TEST(who_comes_when_no_memory_can_be_locked_is_refused_and_unseated_once)
	{
		enum { SPEAKING = 3, SEATS = 256 };
		struct wire_message hello = wire_homework(WIRE_HELLO, &segment);
		int ends[2], fds[SEATS];
		struct child child;
		char byte;

		if (SANITIZED || !is_true_in_a_child(use_up_locked_memory)) {
			skip("it takes one who may not lock all memory, and maps none beside Peal");
			return;
		}
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
		child_start(&child, serve_without_memory, &ends[1]);
		ck_assert_int_eq(read(ends[0], &byte, 1), 1);
		for (int i = 0; i < SPEAKING; i++) {
			fds[i] = stranger_connect(folder.path);
			stranger_say(fds[i], &hello, sizeof(hello), memory, 1);
			expect_refusal(fds[i], -EBUSY, "mapped", "");
			close(fds[i]);
		}
		/* All seats are free. When they are taken, the slowest makes room. */
		for (int i = 0; i < SEATS; i++)
			fds[i] = stranger_connect(folder.path);
		expect_refusal(fds[0], -ETIMEDOUT, "busy", "slowest");
		for (int i = 0; i < SEATS; i++)
			close(fds[i]);
		ck_assert_int_eq(write(ends[0], "", 1), 1);
		child_end(&child);
		close(ends[0]);
		close(ends[1]);
	}
END_TEST

/*
 * Servers that are none, and the client.
 */

static struct caller caller;

/* A client that has said HELLO to us; its message goes to *hello. */
static int answer_caller(const struct peal_options *options, struct wire_message *hello)
{
	int door = stranger_bind(folder.path, SOCK_SEQPACKET, 5), fd;

	caller_start(&caller, folder.path, options, LONG);
	fd = stranger_accept(door);
	ck_assert_int_eq(stranger_hear(fd, hello, sizeof(*hello), NULL), sizeof(*hello));
	close(door);
	return fd;
}

static void expect_caller_fails(int err, const char *said, const char *limit)
{
	caller_end(&caller);
	expect_words(caller.err, caller.sentence, err, said, limit, NULL);
	ck_assert_ptr_null(caller.link);
}

START_TEST(a_client_says_who_it_is_and_what_it_speaks)
	{
		static const uint8_t first[20] = { 'P', 'E', 'A', 'L', 1, 0, 1, 0, 1, 0,
						   1,   0,   1,   0,   1, 0, 1, 0, 0, 0 };
		struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 131072);
		struct wire_message hello;
		int fd;

		options.name = "Emmanuel";
		options.max_message = 1234;
		fd = answer_caller(&options, &hello);
		ck_assert_mem_eq(&hello, first, sizeof(first));
		ck_assert_uint_eq(hello.features & ~WIRE_MEMBARRIER,
				  WIRE_SOCKET_BELL | WIRE_TRUSTS_EVENTFD | WIRE_FRAGMENTS);
		ck_assert_uint_eq(hello.needed, 0);
		ck_assert_uint_eq(hello.page, stage_page());
		ck_assert_uint_eq(hello.capacity, 131072);
		ck_assert_uint_eq(hello.max_message, 1234);
		ck_assert_uint_eq(hello.wait, PEAL_WAIT_SLEEP);
		ck_assert_uint_eq(hello.descriptors, 1);
		ck_assert_uint_eq(hello.descriptor[0], WIRE_SEGMENT);
		ck_assert_str_eq(hello.name, "Emmanuel");
		close(fd);
		expect_caller_fails(-ECONNRESET, "went away", "");
	}
END_TEST

/* Control records of calls are for programs that asked for them; who needs that is told. */
START_TEST(calls_are_offered_where_the_options_say_so)
	{
		struct wire_message message = wire_homework(WIRE_HELLO, &segment);
		struct peal_options options;
		int fd, theirs;

		peal_options_init(&options);
		message.needed = WIRE_CALLS;
		listen_with(NULL);
		fd = stranger_connect(folder.path);
		stranger_say(fd, &message, sizeof(message), memory, 1);
		expect_nobody();
		expect_refusal(fd, -EPROTONOSUPPORT, "0x10", "features");
		close(fd);
		peal_listener_close(listener);

		options.flags = PEAL_CALLS;
		listen_with(&options);
		fd = stranger_connect(folder.path);
		stranger_say(fd, &message, sizeof(message), memory, 1);
		ck_assert_int_eq(peal_accept(listener, &server, LONG), 0);
		ck_assert_int_eq(stranger_hear(fd, &message, sizeof(message), &theirs),
				 sizeof(message));
		ck_assert_uint_eq(message.features & WIRE_CALLS, WIRE_CALLS);
		/* The stranger has not offered it. */
		expect_error(peal_send_cancel(peal_link_tx(server), 0, 0), -EOPNOTSUPP, NULL);
		peal_close(server);
		close(theirs);
		close(fd);
		peal_listener_close(listener);
	}
END_TEST

START_TEST(a_client_refuses_a_wrong_answer_in_words)
	{
		struct wire_message hello;
		int fd;

		if (is_of_smaller_pages(&flaws[_i]) || brings_too_many(&flaws[_i]))
			return;
		fd = answer_caller(NULL, &hello);
		say_flawed(fd, WIRE_WELCOME, &flaws[_i]);
		expect_caller_fails(flaws[_i].err, flaws[_i].said, flaws[_i].limit);
		/* It has hung up. */
		ck_assert_int_eq(stranger_hear(fd, &hello, sizeof(hello), NULL), 0);
		close(fd);
	}
END_TEST

START_TEST(a_client_refuses_what_is_no_sealed_memory)
	{
		struct wire_message hello, answer = wire_homework(WIRE_WELCOME, &segment);
		int fd = answer_caller(NULL, &hello), wrong_one = wrong_memory(_i);

		stranger_say(fd, &answer, sizeof(answer), wrong_one, 1);
		expect_caller_fails(-EPROTO, "not sealed", "memory");
		close(wrong_one);
		close(fd);
	}
END_TEST

START_TEST(a_client_hears_a_hello_for_an_answer)
	{
		struct wire_message hello;
		int fd = answer_caller(NULL, &hello);

		stranger_say(fd, &hello, sizeof(hello), memory, 1);
		expect_caller_fails(-EPROTO, "type 1", "");
		close(fd);
	}
END_TEST

START_TEST(a_client_takes_an_answer_that_is_right)
	{
		struct wire_message hello, answer = wire_homework(WIRE_WELCOME, &segment);
		int fd = answer_caller(NULL, &hello);

		answer.max_message = 50;
		stranger_say(fd, &answer, sizeof(answer), memory, 1);
		caller_end(&caller);
		ck_assert_msg(caller.err == 0, "%s", caller.sentence);
		ck_assert_str_eq(peal_link_peer(caller.link)->name, "stranger");
		expect_error(peal_send(peal_link_tx(caller.link), &answer, 51, 0, 0), -EMSGSIZE,
			     "51", "50", NULL);
		close(fd);
		expect_error(peal_recv(peal_link_rx(caller.link), &answer, 1, NULL, LONG),
			     -ECONNRESET, "died", NULL);
		peal_close(caller.link);
	}
END_TEST

START_TEST(a_client_passes_on_why_it_was_refused)
	{
		static const struct {
			uint32_t code;
			const char *text;
			int err;
			const char *said;
		} refusals[] = {
			{ EPERM, "no room at the inn", -EPERM, "no room at the inn" },
			{ E2BIG, "", -E2BIG, "refused" },
			{ EBUSY, "a\nb\033[2J\xff", -EBUSY, "a?b?[2J?" },
			{ EPROTONOSUPPORT, "too old", -EPROTONOSUPPORT, "too old" },
			{ EOPNOTSUPP, "no such kind", -EOPNOTSUPP, "no such kind" },
			{ ETIMEDOUT, "too slow", -ETIMEDOUT, "too slow" },
			/* What no server has a reason to say, and a caller might take for something
			 * else. */
			{ EAGAIN, "again", -EPROTO, "again" },
			{ ENOSPC, "no space", -EPROTO, "no space" },
			{ ESTALE, "stale", -EPROTO, "stale" },
			{ 0, "no number", -EPROTO, "no number" },
			{ 4096, "no errno", -EPROTO, "no errno" },
			{ UINT32_MAX, "huge", -EPROTO, "huge" },
			{ 0x80000000 + EPERM, "odd", -EPROTO, "odd" },
		};

		for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
			struct wire_message hello, answer = wire_homework(WIRE_REFUSE, &segment);
			int fd = answer_caller(NULL, &hello);

			answer.code = refusals[i].code;
			strcpy(answer.text, refusals[i].text);
			stranger_say(fd, &answer, sizeof(answer), -1, 0);
			expect_caller_fails(refusals[i].err, refusals[i].said,
					    "the server refused");
			close(fd);
			unlink(folder.path);
		}
	}
END_TEST

START_TEST(a_server_short_of_descriptors_is_busy_to_who_brings_a_socket)
	{
		struct wire_message answer = wire_homework(WIRE_REFUSE, &segment);
		struct peal_link *link;
		char address[16];
		int ends[2];

		answer.code = ETOOMANYREFS;
		strcpy(answer.text, "too many");
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
		ck_assert_int_eq(send(ends[0], &answer, sizeof(answer), 0), sizeof(answer));
		snprintf(address, sizeof(address), "fd:%d", ends[1]);
		expect_error(peal_connect(&link, address, NULL, LONG), -EBUSY, "too many", NULL);
		ck_assert_ptr_null(link);
		/* It is still the caller's. */
		close(ends[0]);
		ck_assert_int_eq(close(ends[1]), 0);
	}
END_TEST

START_TEST(a_refusal_that_does_not_end_is_cut)
	{
		struct wire_message hello, answer = wire_homework(WIRE_REFUSE, &segment);
		int fd = answer_caller(NULL, &hello);

		answer.code = EPERM;
		memset(answer.text, 'n', sizeof(answer.text));
		memset(answer.spare_end, 'x', sizeof(answer.spare_end));
		stranger_say(fd, &answer, sizeof(answer), memory, 1);
		expect_caller_fails(-EPERM, "refused: nnnn", "nnnn");
		ck_assert_ptr_null(strchr(caller.sentence, 'x'));
		close(fd);
	}
END_TEST

START_TEST(a_client_is_told_if_the_server_goes_away)
	{
		struct wire_message hello;
		int door, fd = answer_caller(NULL, &hello);

		stranger_say(fd, &hello, 0, -1, 0);
		expect_caller_fails(-ECONNRESET, "went away", "");
		close(fd);
		unlink(folder.path);

		/* Without having read what was said. */
		door = stranger_bind(folder.path, SOCK_SEQPACKET, 5);
		caller_start(&caller, folder.path, NULL, LONG);
		fd = stranger_accept(door);
		while (!stranger_hears(fd))
			;
		close(fd);
		expect_caller_fails(-ECONNRESET, "went away", "");
		close(door);
	}
END_TEST

START_TEST(a_server_that_never_answers_is_waited_for_as_long_as_was_said)
	{
		int door = stranger_bind(folder.path, SOCK_SEQPACKET, 5), fd;

		caller_start(&caller, folder.path, NULL, 5 * MS);
		fd = stranger_accept(door);
		expect_caller_fails(-ETIMEDOUT, "did not answer", "timeout");
		close(fd);
		close(door);
	}
END_TEST

/*
 * Two sides that cannot agree.
 */

START_TEST(a_ring_that_the_server_finds_too_big_is_refused)
	{
		struct peal_options fitting = stage_options(PEAL_WAIT_ADAPTIVE, 131072);
		struct peal_link *server_too;
		struct caller next;
		struct peal_options narrow = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct peal_options wide = stage_options(PEAL_WAIT_ADAPTIVE, 262144);

		narrow.max_peer_ring = 131072;
		listen_with(&narrow);
		caller_start(&caller, folder.path, &wide, LONG);
		/* Nobody comes of it but the next one. */
		caller_start(&next, folder.path, &fitting, LONG);
		ck_assert_int_eq(peal_accept(listener, &server, LONG), 0);
		caller_end(&next);
		ck_assert_msg(next.err == 0, "%s", next.sentence);
		while (!caller_is_over(&caller))
			expect_error(peal_accept(listener, &server_too, 5 * MS), -ETIMEDOUT, NULL);
		expect_caller_fails(-E2BIG, "262144", "131072");
		peal_close(next.link);
		peal_close(server);
		peal_listener_close(listener);
	}
END_TEST

START_TEST(a_ring_that_the_client_finds_too_big_is_refused)
	{
		struct peal_options narrow = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct peal_options wide = stage_options(PEAL_WAIT_ADAPTIVE, 262144);
		char byte;

		narrow.max_peer_ring = 131072;
		listen_with(&wide);
		caller_start(&caller, folder.path, &narrow, LONG);
		ck_assert_int_eq(peal_accept(listener, &server, LONG), 0);
		expect_caller_fails(-E2BIG, "262144", "131072");
		/* The server had said yes already. */
		expect_error(peal_recv(peal_link_rx(server), &byte, 1, NULL, LONG), -ECONNRESET,
			     NULL);
		peal_close(server);
		peal_listener_close(listener);
	}
END_TEST

START_TEST(rings_up_to_the_limit_are_taken)
	{
		struct peal_options narrow = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct peal_options wide = stage_options(PEAL_WAIT_ADAPTIVE, 262144);
		struct meeting meeting;

		narrow.max_peer_ring = 262144;
		meeting_open(&meeting, &narrow, &wide);
		meeting_close(&meeting);
		meeting_open(&meeting, &wide, &narrow);
		meeting_close(&meeting);
	}
END_TEST

/*
 * Who is admitted. Needs root, to be somebody else.
 */

static bool may_be_nobody(void)
{
	if (geteuid() == 0)
		return true;
	skip("only root can be somebody else");
	return false;
}

/* In a child. */
static const char *expect_let_in(void *data)
{
	struct peal_link *link;
	const char *failed = become_nobody();

	(void)data;
	if (failed)
		return failed;
	return peal_connect(&link, folder.path, NULL, LONG) ? wrong("not let in") : NULL;
}

static const char *expect_kept_out(void *data)
{
	struct peal_link *link;
	const char *failed = become_nobody();
	int err;

	(void)data;
	if (failed)
		return failed;
	err = peal_connect(&link, folder.path, NULL, LONG);
	if (err != -EPERM || link || !strstr(peal_error(), "user 65534") ||
	    !strstr(peal_error(), "not admitted"))
		return wrong("a connect that the server must refuse gives %d", err);
	return NULL;
}

/* A child tries, until it has ended or is linked. */
static void serve_nobody(const struct peal_options *options, bool admitted)
{
	struct child child;
	int err;

	listen_with(options);
	child_start(&child, admitted ? expect_let_in : expect_kept_out, NULL);
	do {
		err = peal_accept(listener, &server, 10 * MS);
	} while (err == -ETIMEDOUT && !stranger_hears(child.end));
	child_end(&child);
	if (admitted) {
		ck_assert_int_eq(err, 0);
		ck_assert_int_eq(peal_link_peer(server)->pid, child.pid);
		ck_assert_uint_eq(peal_link_peer(server)->uid, NOBODY);
		ck_assert_uint_eq(peal_link_peer(server)->gid, NOBODY);
		peal_close(server);
	}
	ck_assert_int_eq(admitted, !err);
	peal_listener_close(listener);
}

START_TEST(allow_decides_who_is_admitted)
	{
		static const struct {
			uint32_t allow, group;
			bool admitted;
		} rules[] = {
			{ PEAL_ALLOW_USER, 0, false },      { PEAL_ALLOW_GROUP, 0, false },
			{ PEAL_ALLOW_GROUP, 4711, false },  { PEAL_ALLOW_USER, NOBODY, false },
			{ PEAL_ALLOW_GROUP, NOBODY, true }, { PEAL_ALLOW_ANYONE, 0, true },
		};
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);

		if (!may_be_nobody())
			return;
		options.mode = 0666;
		for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
			options.allow = rules[i].allow;
			options.group = rules[i].group;
			serve_nobody(&options, rules[i].admitted);
		}
	}
END_TEST

struct asked {
	int times, answer;
	struct peal_peer peer;
};

static int note_who(void *data, const struct peal_peer *peer)
{
	struct asked *asked = data;

	asked->times++;
	asked->peer = *peer;
	return asked->answer;
}

START_TEST(admit_is_asked_about_those_whom_allow_does_not_admit)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct asked asked = { .answer = 0 };

		if (!may_be_nobody())
			return;
		options.mode = 0666;
		options.admit = note_who;
		options.admit_data = &asked;
		for (int i = 0; i < 2; i++) {
			asked = (struct asked){ .answer = i * 17 };
			serve_nobody(&options, i);
			ck_assert_int_eq(asked.times, 1);
			ck_assert_uint_eq(asked.peer.uid, NOBODY);
			ck_assert_uint_eq(asked.peer.gid, NOBODY);
			ck_assert_int_gt(asked.peer.pid, 0);
			ck_assert_int_ne(asked.peer.pid, getpid());
			ck_assert_str_eq(asked.peer.name, "");
		}
	}
END_TEST

START_TEST(admit_is_not_asked_about_those_whom_allow_admits)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct asked asked = { .answer = 0 };

		options.admit = note_who;
		options.admit_data = &asked;
		listen_with(&options);
		expect_serves();
		ck_assert_int_eq(asked.times, 0);
		peal_listener_close(listener);
	}
END_TEST

/* In a child: a server of nobody's, until its client has gone. */
static const char *serve_as_nobody(void *data)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	const char *failed = become_nobody();
	char byte;
	int go = *(const int *)data;

	if (failed)
		return failed;
	options.mode = 0666;
	if (peal_listen(&listener, folder.path, &options) || write(go, "", 1) != 1)
		return wrong("listening as nobody");
	for (int i = 0; i < 2; i++) {
		/* It has welcomed both, whatever they think of it. */
		if (peal_accept(listener, &server, LONG))
			return wrong("accepting as nobody");
		while (peal_recv(peal_link_rx(server), &byte, 1, NULL, LONG) >= 0)
			;
		peal_close(server);
	}
	peal_listener_close(listener);
	return NULL;
}

/* In a child: the answer is there already, and came without credentials. */
static const char *take_it_for_nobodys(void *data)
{
	const int *fd = data;
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	const char *failed = become_nobody();
	struct peal_link *link;
	char address[16];

	if (failed)
		return failed;
	snprintf(address, sizeof(address), "fd:%d", *fd);
	if (peal_connect(&link, address, &options, LONG) != -EPERM)
		return wrong("by its user it is accepted");
	return NULL;
}

START_TEST(an_answer_that_nobody_vouches_for_is_not_user_nobodys)
	{
		struct wire_message answer = { .magic = WIRE_MAGIC,
					       .type = WIRE_WELCOME,
					       .kind = WIRE_LINK,
					       .version_low = 1,
					       .version_high = 1,
					       .layout_low = 1,
					       .layout_high = 1 };
		int ends[2];

		if (!may_be_nobody())
			return;
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
		/* Before the client asks for credentials, as one that is fast would. */
		ck_assert_int_eq(send(ends[0], &answer, sizeof(answer), 0), sizeof(answer));
		child_run(take_it_for_nobodys, &ends[1]);
		close(ends[0]);
		close(ends[1]);
	}
END_TEST

START_TEST(a_client_accepts_only_servers_whom_it_allows)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct peal_link *link;
		struct child child;
		int go[2];
		char byte;

		if (!may_be_nobody())
			return;
		ck_assert_int_eq(chmod(folder.name, 0777), 0);
		ck_assert_int_eq(pipe2(go, O_CLOEXEC), 0);
		child_start(&child, serve_as_nobody, &go[1]);
		ck_assert_int_eq(read(go[0], &byte, 1), 1);
		expect_error(peal_connect(&link, folder.path, NULL, LONG), -EPERM, "user 65534",
			     "allow", NULL);
		ck_assert_ptr_null(link);
		options.allow = PEAL_ALLOW_GROUP;
		options.group = NOBODY;
		ck_assert_int_eq(peal_connect(&link, folder.path, &options, LONG), 0);
		ck_assert_uint_eq(peal_link_peer(link)->uid, NOBODY);
		ck_assert_int_eq(peal_link_peer(link)->pid, child.pid);
		peal_close(link);
		child_end(&child);
		close(go[0]);
		close(go[1]);
	}
END_TEST

static bool lose_number(void)
{
	return !unshare(CLONE_NEWUSER);
}

/* In a child: a client whose user has no number where it is, and to whom nobody else's has one. */
static const char *connect_without_number(void *data)
{
	struct peal_link *link;
	int err;

	if (!lose_number())
		return wrong("a namespace: %s", strerror(errno));
	err = peal_connect(&link, folder.path, data, LONG);
	return err ? wrong("connecting gives %d", err) : NULL;
}

START_TEST(a_user_without_a_number_gets_in_where_anyone_does)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct child child;
		int err;

		if (!is_true_in_a_child(lose_number)) {
			skip("no namespaces for users here");
			return;
		}
		options.allow = PEAL_ALLOW_ANYONE;
		listen_with(&options);
		child_start(&child, connect_without_number, &options);
		do
			err = peal_accept(listener, &server, 10 * MS);
		while (err == -ETIMEDOUT && !stranger_hears(child.end));
		child_end(&child);
		ck_assert_int_eq(err, 0);
		ck_assert_int_eq(peal_link_peer(server)->pid, child.pid);
		ck_assert_uint_eq(peal_link_peer(server)->uid, geteuid());
		peal_close(server);
		peal_listener_close(listener);
	}
END_TEST

/* Descriptors, more than that server may have. */
#define UNDER_WAY 128

struct under_way {
	int ends[2], go[2];
};

/* A server that may not have more descriptors under way: this child, which is not root. */
static const char *serve_short_of_descriptors(void *data)
{
	const struct under_way *under_way = data;
	struct rlimit limit;
	char byte;
	const char *failed = geteuid() == 0 ? become_nobody() : NULL;
	int err;

	close(under_way->ends[0]);
	close(under_way->ends[1]);
	if (failed)
		return failed;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = UNDER_WAY / 2;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return wrong("setrlimit: %s", strerror(errno));
	err = peal_listen(&listener, folder.path, NULL);
	if (err)
		return wrong("peal_listen gives %d", err);
	if (write(under_way->go[1], "", 1) != 1)
		return wrong("nobody reads");
	/* One whose time was up may have come through just then. */
	do {
		err = peal_accept(listener, &server, LONG);
		if (err)
			return wrong("peal_accept gives %d", err);
		err = (int)peal_recv(peal_link_rx(server), &byte, 1, NULL, LONG);
		peal_close(server);
	} while (err == -ECONNRESET || err == -EPIPE);
	return err == 1 ? NULL : wrong("peal_recv gives %d", err);
}

START_TEST(a_server_with_too_many_descriptors_under_way_is_tried_again)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct peal_link *link;
		struct caller next;
		struct child child;
		struct under_way under_way;
		char byte;

		options.allow = PEAL_ALLOW_ANYONE;
		ck_assert_int_eq(chmod(folder.name, 0777), 0);
		ck_assert_int_eq(pipe2(under_way.go, O_CLOEXEC), 0);
		ck_assert_int_eq(
			socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, under_way.ends), 0);
		for (int i = 0; i < UNDER_WAY; i += 16)
			stranger_say(under_way.ends[0], "", 1, memory, 16);
		child_start(&child, serve_short_of_descriptors, &under_way);
		ck_assert_int_eq(read(under_way.go[0], &byte, 1), 1);
		expect_error(peal_connect(&link, folder.path, &options, 200 * MS), -ETIMEDOUT,
			     "descriptors of the server's user", "ulimit -n", folder.path, NULL);
		ck_assert_ptr_null(link);
		caller_start(&next, folder.path, &options, LONG);
		close(under_way.ends[0]);
		close(under_way.ends[1]);
		caller_end(&next);
		ck_assert_msg(next.err == 0, "%s", next.sentence);
		ck_assert_int_eq(peal_send(peal_link_tx(next.link), "", 1, 0, 0), 0);
		child_end(&child);
		peal_close(next.link);
		close(under_way.go[0]);
		close(under_way.go[1]);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("handshake");
	TCase *door = tcase_create("server"), *client = tcase_create("client");
	TCase *fit = tcase_create("rings"), *who = tcase_create("credentials");

	tcase_add_checked_fixture(door, set_up, tear_down);
	tcase_set_timeout(door, 30);
	tcase_add_loop_test(door, a_server_refuses_what_is_wrong_in_words, 0, FLAWS);
	tcase_add_test(door, a_server_knows_links_and_monitors_only);
	tcase_add_loop_test(door, a_server_refuses_what_is_no_sealed_memory, 0, 3);
	tcase_add_test(door, a_server_welcomes_whose_message_is_right);
	tcase_add_test(door, calls_are_offered_where_the_options_say_so);
	tcase_add_test(door, a_client_that_goes_away_is_nothing_to_the_server);
	tcase_add_test(door, stalling_clients_delay_nobody);
	tcase_add_test(door, one_that_took_its_time_still_gets_in);
	tcase_add_test(door, a_stalling_client_is_dropped_when_its_time_is_up);
	tcase_add_test(door, a_server_that_only_polls_drops_stalling_clients_too);
	tcase_add_test(door, a_server_that_polls_is_woken_to_drop_who_stalls);
	tcase_add_test(door, a_descriptor_that_is_slow_to_close_holds_up_no_other);
	tcase_add_loop_test(door, who_only_knocks_to_see_if_a_server_lives_waits_for_no_stranger, 0,
			    2);
	tcase_add_test(door, who_comes_when_no_memory_can_be_locked_is_refused_and_unseated_once);
	suite_add_tcase(s, door);

	tcase_add_checked_fixture(client, set_up, tear_down);
	tcase_set_timeout(client, 30);
	tcase_add_test(client, a_client_says_who_it_is_and_what_it_speaks);
	tcase_add_loop_test(client, a_client_refuses_a_wrong_answer_in_words, 0, FLAWS);
	tcase_add_loop_test(client, a_client_refuses_what_is_no_sealed_memory, 0, 3);
	tcase_add_test(client, a_client_hears_a_hello_for_an_answer);
	tcase_add_test(client, a_client_takes_an_answer_that_is_right);
	tcase_add_test(client, a_client_passes_on_why_it_was_refused);
	tcase_add_test(client, a_server_short_of_descriptors_is_busy_to_who_brings_a_socket);
	tcase_add_test(client, a_refusal_that_does_not_end_is_cut);
	tcase_add_test(client, a_client_is_told_if_the_server_goes_away);
	tcase_add_test(client, a_server_that_never_answers_is_waited_for_as_long_as_was_said);
	suite_add_tcase(s, client);

	tcase_add_checked_fixture(fit, set_up, tear_down);
	tcase_set_timeout(fit, 30);
	tcase_add_test(fit, a_ring_that_the_server_finds_too_big_is_refused);
	tcase_add_test(fit, a_ring_that_the_client_finds_too_big_is_refused);
	tcase_add_test(fit, rings_up_to_the_limit_are_taken);
	suite_add_tcase(s, fit);

	tcase_add_checked_fixture(who, set_up, tear_down);
	tcase_set_timeout(who, 30);
	tcase_add_test(who, allow_decides_who_is_admitted);
	tcase_add_test(who, admit_is_asked_about_those_whom_allow_does_not_admit);
	tcase_add_test(who, admit_is_not_asked_about_those_whom_allow_admits);
	tcase_add_test(who, a_client_accepts_only_servers_whom_it_allows);
	tcase_add_test(who, an_answer_that_nobody_vouches_for_is_not_user_nobodys);
	tcase_add_test(who, a_user_without_a_number_gets_in_where_anyone_does);
	tcase_add_test(who, a_server_with_too_many_descriptors_under_way_is_tried_again);
	suite_add_tcase(s, who);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
