/*
 * SPDX-License-Identifier: MIT
 *
 * What a stranger hands over in a handshake instead of sealed memory, in each place where a
 * descriptor goes: it is refused in words, whoever sent it, closed, and nobody else notices. And
 * memory that changes afterwards, or that is somebody else's.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/link.h"
#include "tests/hostile/doors_kinds.h"
#include "tests/hostile/doors_peer.h"
#include "tests/unit/stranger.h"

static struct door door;

static void set_up(void)
{
	door_open(&door);
}

static void tear_down(void)
{
	door_close(&door);
}

/* The places where they can be handed over: instead of the memory that counts, or behind it. */
enum place { SEGMENT, DATA, PLACES };

/* A ring that is apart from its page, of plain pages, has both in objects of their own. */
static void set_apart(struct wire_message *message)
{
	message->descriptors = 2;
	message->descriptor[1] = WIRE_DATA;
}

static void hand_over(enum hearer hearer, enum place place, const struct goods *what)
{
	struct wire_message message = door_homework(&door, hearer);
	uint64_t page = stage_page(), size = page + message.capacity;
	int good, fd, count = place == DATA ? 2 : 1;
	struct outcome outcome;

	if (hearer == MONITOR)
		size = door.counters_size;
	else if (place == DATA)
		size = message.capacity;
	fd = what->make((off_t)size);
	if (fd < 0)
		return;
	good = hearer == MONITOR ? dup(door.counters) : goods_memory((off_t)page, ALL_SEALS);
	if (place == DATA && hearer == MONITOR) {
		message.stats_objects = message.descriptors = 2;
		message.descriptor[1] = WIRE_STATS;
		message.stats_size[1] = size;
	} else if (place == DATA) {
		set_apart(&message);
	}
	door_meet(&door, hearer, &message, sizeof(message),
		  place == DATA ? (const int[]){ good, fd } : &fd, count, &outcome);
	ck_assert_msg(outcome.err == -EPROTO &&
			      strstr(outcome.words,
				     hearer == MONITOR ? what->said_of_counters : what->said),
		      "%s: %d: %s", what->name, outcome.err, outcome.words);
	close(fd);
	close(good);
	door_part(&outcome);
}

/* For each hearer and place; from the second half on by another user. */
START_TEST(what_is_no_sealed_memory_is_refused_in_words_in_each_place)
	{
		enum hearer hearer = (enum hearer)(_i % HEARERS);
		enum place place = (enum place)(_i / HEARERS % PLACES);
		bool nobody = _i >= (int)HEARERS * PLACES;

		if (nobody && geteuid()) {
			skip("only root can be somebody else");
			return;
		}
		for (int i = 0; i < GOODS; i++) {
			if (nobody)
				door_turn(true);
			hand_over(hearer, place, &goods[i]);
			if (nobody)
				door_turn(false);
		}
	}
END_TEST

/* Says its homework with this memory. */
static void meet_with(enum hearer hearer, int fd, struct outcome *outcome)
{
	struct wire_message message = door_homework(&door, hearer);

	door_meet(&door, hearer, &message, sizeof(message), &fd, 1, outcome);
}

START_TEST(memory_that_can_only_be_read_or_is_sealed_more_will_do)
	{
		off_t size = (off_t)(stage_page() + door.segment.capacity);
		const int fds[] = { goods_sealed_and_opened(size, O_RDONLY),
				    goods_memory(size, ALL_SEALS | F_SEAL_WRITE) };
		struct outcome outcome;

		for (int i = 0; i < 2; i++) {
			meet_with((enum hearer)_i, fds[i], &outcome);
			ck_assert_msg(!outcome.err, "%s", outcome.words);
			door_part(&outcome);
			close(fds[i]);
		}
	}
END_TEST

START_TEST(huge_pages_that_are_not_there_are_refused)
	{
		struct wire_message message = door_homework(&door, (enum hearer)_i);
		uint64_t huge = 2 << 20;
		int fds[2] = { goods_memory((off_t)stage_page(), ALL_SEALS), goods_huge_holes(0) };
		struct outcome outcome;

		if (fds[1] < 0) {
			close(fds[0]);
			skip("no huge pages of 2 MiB here (errno %d)", errno);
			return;
		}
		/* As many as the ring has, and of which nothing is there; or not said. */
		set_apart(&message);
		message.capacity = message.data_page = huge;
		door_meet(&door, (enum hearer)_i, &message, sizeof(message), fds, 2, &outcome);
		expect_words(outcome.err, outcome.words, -EPROTO, "sparse", NULL);
		door_part(&outcome);
		message.data_page = stage_page();
		door_meet(&door, (enum hearer)_i, &message, sizeof(message), fds, 2, &outcome);
		expect_words(outcome.err, outcome.words, -EPROTO, "other pages", NULL);
		door_part(&outcome);
		/* Said, and plain. */
		close(fds[1]);
		fds[1] = goods_memory((off_t)huge, ALL_SEALS);
		message.data_page = huge;
		door_meet(&door, (enum hearer)_i, &message, sizeof(message), fds, 2, &outcome);
		expect_words(outcome.err, outcome.words, -EPROTO, "other pages", NULL);
		door_part(&outcome);
		close(fds[0]);
		close(fds[1]);
	}
END_TEST

START_TEST(memory_that_is_sealed_only_afterwards_was_not)
	{
		off_t size = (off_t)(stage_page() + door.segment.capacity);
		int fd = goods_memory(size, 0);
		struct outcome outcome;

		meet_with((enum hearer)_i, fd, &outcome);
		expect_words(outcome.err, outcome.words, -EPROTO, "not sealed", NULL);
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, ALL_SEALS), 0);
		door_part(&outcome);
		meet_with((enum hearer)_i, fd, &outcome);
		ck_assert_msg(!outcome.err, "%s", outcome.words);
		door_part(&outcome);
		close(fd);
	}
END_TEST

/* Its owner tries to get rid of memory by all ways that it has, while it is looked at. */
struct owner {
	int fd;
	uint8_t *at;
	size_t size;
	bool over; /* atomic */
};

static void *try_to_take_back(void *data)
{
	struct owner *owner = data;

	while (!__atomic_load_n(&owner->over, __ATOMIC_RELAXED)) {
		ck_assert(madvise(owner->at, owner->size, MADV_REMOVE) < 0);
		ck_assert(fallocate(owner->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				    (off_t)owner->size) < 0);
		ck_assert(ftruncate(owner->fd, 0) < 0);
		madvise(owner->at, owner->size, MADV_DONTNEED);
		madvise(owner->at, owner->size, 21 /* MADV_PAGEOUT */);
	}
	return NULL;
}

START_TEST(memory_that_its_owner_tries_to_take_back_stays)
	{
		size_t size = stage_page() + door.segment.capacity;
		struct owner owner = { .fd = goods_memory((off_t)size, 0), .size = size };
		struct outcome outcome;
		pthread_t thread;

		owner.at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, owner.fd, 0);
		ck_assert_ptr_ne(owner.at, MAP_FAILED);
		memset(owner.at, 1, size);
		ck_assert_int_eq(fcntl(owner.fd, F_ADD_SEALS, ALL_SEALS), 0);
		ck_assert_int_eq(pthread_create(&thread, NULL, try_to_take_back, &owner), 0);
		for (int i = 0; i < (runner_long() ? 10000 : 100); i++) {
			meet_with((enum hearer)_i, owner.fd, &outcome);
			ck_assert_msg(!outcome.err, "%s", outcome.words);
			for (size_t at = 0; at < size; at += stage_page())
				ck_assert_uint_eq(outcome.link->theirs.at[at], 1);
			door_part(&outcome);
		}
		__atomic_store_n(&owner.over, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		munmap(owner.at, size);
		close(owner.fd);
	}
END_TEST

/*
 * What is somebody else's.
 */

/* The descriptors that came with the answer; their number. */
static int hear_welcome(int fd, int fds[4])
{
	struct platform_parcel parcel;
	struct wire_message welcome;

	ck_assert_int_eq(platform_receive(fd, &welcome, sizeof(welcome), &parcel), sizeof(welcome));
	memcpy(fds, parcel.fd, sizeof(parcel.fd));
	return parcel.count;
}

START_TEST(who_is_given_its_own_memory_back_hears_itself)
	{
		struct wire_message message = door_homework(&door, SERVER), mirrored;
		struct outcome first, second;
		int fds[4], count;
		char text[8];

		meet_with(SERVER, door.memory, &first);
		ck_assert_int_eq(first.err, 0);
		count = hear_welcome(first.fd, fds);
		ck_assert_int_eq(count, 1);
		mirrored = message;
		mirrored.capacity = first.link->own.capacity;
		mirrored.start = first.link->own.start;
		door_meet(&door, SERVER, &mirrored, sizeof(mirrored), fds, 1, &second);
		ck_assert_msg(!second.err, "%s", second.words);
		/* What it sends the one it gets from the other: to its peer that is no secret. */
		ck_assert_int_eq(peal_send(peal_link_tx(first.link), "echo", 4, 0, 0), 0);
		ck_assert_int_eq(peal_recv(peal_link_rx(second.link), text, 8, NULL, 0), 4);
		ck_assert_mem_eq(text, "echo", 4);
		ck_assert_int_eq(peal_recv(peal_link_rx(second.link), text, 8, NULL, MS),
				 -ETIMEDOUT);
		peal_close(first.link);
		first.link = NULL;
		expect_error(peal_recv(peal_link_rx(second.link), text, 8, NULL, LONG), -EPIPE,
			     NULL);
		close(fds[0]);
		door_part(&first);
		door_part(&second);
	}
END_TEST

START_TEST(who_is_handed_its_own_ring_for_the_peers_neither_hangs_nor_crashes)
	{
		struct wire_message hello, answer = wire_homework(WIRE_WELCOME, &door.segment);
		struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 0);
		int listening, fd, own, got = 0;
		struct folder folder;
		struct caller caller;
		char text[8];

		options.allow = PEAL_ALLOW_ANYONE;
		folder_make(&folder);
		listening = stranger_bind(folder.path, SOCK_SEQPACKET, 1);
		caller_start(&caller, folder.path, &options, LONG);
		fd = stranger_accept(listening);
		ck_assert_int_eq(stranger_hear(fd, &hello, sizeof(hello), &own), sizeof(hello));
		answer.capacity = hello.capacity;
		answer.start = hello.start;
		answer.data_page = hello.data_page;
		stranger_say(fd, &answer, sizeof(answer), own, 1);
		caller_end(&caller);
		ck_assert_msg(!caller.err, "%s", caller.sentence);
		for (int i = 0; i < 1000; i++) {
			int err = peal_send(peal_link_tx(caller.link), "self", 4, 0, MS / 10);

			ck_assert_msg(noise_explains(err), "%d: %s", err, peal_error());
			err = (int)peal_recv(peal_link_rx(caller.link), text, 8, NULL, MS / 10);
			ck_assert_msg(noise_explains(err), "%d: %s", err, peal_error());
			got += err == 4;
			if (err == -EPROTO)
				break;
		}
		ck_assert_int_gt(got, 0);
		peal_close(caller.link);
		close(own);
		close(fd);
		close(listening);
		folder_remove(&folder);
	}
END_TEST

/* Sends a socket its own other end, in which it waits then, with a pipe's end to tell whether that
 * is still held by anybody. */
START_TEST(sockets_that_hold_each_other_are_let_go_of)
	{
		struct wire_message message = door_homework(&door, SERVER);
		int ends[2], chain[2];
		struct pollfd look;
		struct peal_link *link;

		ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
		for (int i = 0; i < 2; i++)
			chain[i] = stranger_connect(door.beside.folder.path);
		/* Each is on its way to the server through the other, and through itself. */
		for (int i = 0; i < 2; i++)
			stranger_send(chain[i], &message, _i ? sizeof(message) : 0,
				      (const int[]){ chain[i], chain[!i], ends[1] }, 3);
		close(chain[0]);
		close(chain[1]);
		close(ends[1]);
		while (peal_accept(door.beside.listener, &link, 0) != -EAGAIN)
			ck_assert_ptr_null(link);
		look = (struct pollfd){ .fd = ends[0] };
		ck_assert_msg(poll(&look, 1, 20000) == 1 && (look.revents & POLLHUP),
			      "somebody holds them still");
		close(ends[0]);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("goods");
	TCase *all = tcase_create("goods");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_set_timeout(all, 120);
	tcase_add_loop_test(all, what_is_no_sealed_memory_is_refused_in_words_in_each_place, 0,
			    2 * HEARERS * PLACES);
	tcase_add_loop_test(all, memory_that_can_only_be_read_or_is_sealed_more_will_do, 0, 2);
	tcase_add_loop_test(all, huge_pages_that_are_not_there_are_refused, 0, 2);
	tcase_add_loop_test(all, memory_that_is_sealed_only_afterwards_was_not, 0, 2);
	tcase_add_loop_test(all, memory_that_its_owner_tries_to_take_back_stays, 0, 2);
	tcase_add_test(all, who_is_given_its_own_memory_back_hears_itself);
	tcase_add_test(all, who_is_handed_its_own_ring_for_the_peers_neither_hangs_nor_crashes);
	tcase_add_loop_test(all, sockets_that_hold_each_other_are_let_go_of, 0, 2);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
