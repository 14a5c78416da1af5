/*
 * SPDX-License-Identifier: MIT
 *
 * What memory rings get: huge pages of the pool, transparent ones, and plain ones where there are
 * none, and what is told of it; white-box for what a peer could send. As root the pool and the
 * system's settings are changed, under a lock, and put back whatever happens.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/options.h"
#include "lib/segment.h"
#include "tests/filter.h"
#include "tests/unit/stage.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define ALL_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

static uint64_t page, huge;
static int before; /* descriptors */

/*
 * Settings of the system.
 */

static const char pool[] = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
static const char transparent[] =
	"/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/shmem_enabled";

/* What was changed: whoever holds the other end of the pipe puts it back when this one is closed,
 * or its process is no more. */
static struct {
	int end;
	pid_t guard;
} changes[4];
static int changed;
static int turn; /* the lock; also held by the guards */

/* A word of a file: the one in brackets, if there are any. */
static bool read_word(const char *path, char word[64])
{
	FILE *file = fopen(path, "re");
	char line[256] = "", *from, *to;
	bool told = file && fgets(line, sizeof(line), file);

	if (file)
		fclose(file);
	from = strchr(line, '[');
	from = from ? from + 1 : line;
	to = from + strcspn(from, "]\n");
	*to = 0;
	snprintf(word, 64, "%s", from);
	return told;
}

static bool write_word(const char *path, const char *word)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, word, strlen(word)) == (ssize_t)strlen(word);

	close(fd);
	return done;
}

/* Writes a word again, or removes a folder; true: and so it is. */
static bool undone(const char *path, const char *old)
{
	char now[64];

	if (!old)
		return !rmdir(path);
	/* Of a list of words nothing is read but the first. */
	return write_word(path, old) &&
	       (*old == '-' || (read_word(path, now) && !strcmp(now, old)));
}

/* A process that failed may just be leaving the folder, or giving huge pages back. */
static bool undo(const char *path, const char *old)
{
	const struct timespec moment = { .tv_nsec = 10 * MS };

	for (int i = 0; i < 500; i++) {
		if (undone(path, old))
			return true;
		nanosleep(&moment, NULL);
	}
	return false;
}

static void guard(int end, const char *path, const char *old)
{
	char byte;

	/* libcheck ends the group of a test that fails. */
	setsid();
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	while (read(end, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(undo(path, old) ? 0 : 1);
}

static void take_turn(void)
{
	if (turn >= 0)
		return;
	turn = open(pool, O_RDONLY | O_CLOEXEC);
	if (turn >= 0)
		ck_assert_int_eq(flock(turn, LOCK_EX), 0);
}

/* Has a guard undo something at the end of the test; old: as of undo(). */
static void undo_later(const char *path, const char *old)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	fflush(NULL);
	changes[changed].guard = fork();
	ck_assert_int_ge(changes[changed].guard, 0);
	if (!changes[changed].guard) {
		close(ends[1]);
		guard(ends[0], path, old);
	}
	close(ends[0]);
	changes[changed++].end = ends[1];
}

/* Until the end of the test. False: it cannot be changed. */
static bool change(const char *path, const char *word)
{
	char old[64];

	take_turn();
	if (!read_word(path, old) || access(path, W_OK))
		return false;
	undo_later(path, old);
	return write_word(path, word);
}

static void put_all_back(void)
{
	int status;

	while (changed) {
		close(changes[--changed].end);
		ck_assert_int_eq(waitpid(changes[changed].guard, &status, 0),
				 changes[changed].guard);
		ck_assert_int_eq(status, 0);
	}
	if (turn >= 0)
		close(turn);
	turn = -1;
}

/* Just so many huge pages are free, or the test is skipped. */
static bool leave_free(int64_t count)
{
	int64_t left;
	char word[64];

	take_turn();
	left = platform_huge_left(huge);
	if (left < 0 || !read_word(pool, word)) {
		skip("this system has no pool of huge pages of %llu bytes",
		     (unsigned long long)huge);
		return false;
	}
	if (left == count)
		return true;
	snprintf(word, sizeof(word), "%lld", strtoll(word, NULL, 10) - (long long)(left - count));
	if (change(pool, word) && platform_huge_left(huge) == count)
		return true;
	skip("the pool has %lld huge pages left, the test needs %lld, and cannot change that",
	     (long long)left, (long long)count);
	return false;
}

/* Or the test is skipped. */
static bool rings_can_be_huge(void)
{
	return !skip_emulated("huge pages at an address that it chooses");
}

static void set_up(void)
{
	turn = -1;
	changed = 0;
	page = runtime_get()->page_size;
	huge = platform_huge_size();
	before = descriptors_settled();
}

static void tear_down(void)
{
	descriptors_expect(before + changed + (turn >= 0));
	put_all_back();
}

/*
 * Links.
 */

static struct peal_options wishing(uint32_t wish, uint64_t ring)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, ring);

	options.huge = wish;
	return options;
}

static struct peal_memory memory_of(const struct peal_link *link)
{
	struct peal_memory memory = { .size = sizeof(memory) };

	ck_assert_msg(!peal_link_memory(link, &memory), "%s", peal_error());
	return memory;
}

/* Laps of messages of all sizes, over every byte of both mappings. */
static void expect_carries(struct peal_link *from, struct peal_link *to)
{
	static uint8_t sent[1 << 20], received[1 << 20];

	for (uint32_t i = 0; i < 12; i++) {
		size_t length = sizeof(sent) - i * 4099;
		int64_t came;

		payload_fill(sent, length, i);
		ck_assert_int_eq(peal_send(peal_link_tx(from), sent, length, i, 0), 0);
		came = peal_recv(peal_link_rx(to), received, sizeof(received), NULL, LONG);
		ck_assert_int_eq(came, (int64_t)length);
		ck_assert(payload_matches(received, length, i));
	}
}

static void expect_huge(const struct peal_ring_memory *memory)
{
	ck_assert_uint_eq(memory->bytes, 2 * huge);
	ck_assert_uint_eq(memory->page, huge);
	ck_assert_uint_eq(memory->wanted_page, huge);
	ck_assert_uint_eq(memory->has & memory->wanted & (PEAL_MEMORY_TWICE | PEAL_MEMORY_HUGETLB),
			  PEAL_MEMORY_TWICE | PEAL_MEMORY_HUGETLB);
	ck_assert_str_eq(memory->why, "");
}

START_TEST(a_link_gets_the_huge_pages_that_it_requires)
	{
		struct peal_options options = wishing(PEAL_HUGE_REQUIRE, 2 * huge);
		struct peal_memory memory;
		struct meeting meeting;

		if (!rings_can_be_huge() || !leave_free(4))
			return;
		meeting_open(&meeting, &options, &options);
		ck_assert_int_eq(platform_huge_left(huge), 0);
		for (int i = 0; i < 2; i++) {
			memory = memory_of(i ? meeting.server : meeting.client);
			expect_huge(&memory.tx);
			expect_huge(&memory.rx);
		}
		expect_carries(meeting.client, meeting.server);
		expect_carries(meeting.server, meeting.client);
		meeting_close(&meeting);
		ck_assert_int_eq(platform_huge_left(huge), 4);
	}
END_TEST

START_TEST(each_side_chooses_the_pages_of_its_own_ring)
	{
		struct peal_options options = wishing(PEAL_HUGE_TRY, 2 * huge);
		struct peal_memory memory;
		struct meeting meeting;

		if (!rings_can_be_huge() || !leave_free(2))
			return;
		meeting_open(&meeting, NULL, &options);
		memory = memory_of(meeting.server);
		ck_assert_uint_eq(memory.tx.page, page);
		expect_huge(&memory.rx);
		memory = memory_of(meeting.client);
		ck_assert_uint_eq(memory.rx.page, page);
		expect_huge(&memory.tx);
		expect_carries(meeting.client, meeting.server);
		meeting_close(&meeting);
		meeting_open(&meeting, &options, NULL);
		memory = memory_of(meeting.server);
		expect_huge(&memory.tx);
		expect_carries(meeting.server, meeting.client);
		meeting_close(&meeting);
	}
END_TEST

START_TEST(the_two_ends_of_a_pair_get_huge_pages)
	{
		struct peal_options options = wishing(PEAL_HUGE_REQUIRE, 2 * huge);
		struct peal_link *links[2];
		struct peal_memory memory;

		if (!rings_can_be_huge() || !leave_free(4))
			return;
		options.flags = PEAL_PREFAULT;
		ck_assert_msg(!peal_pair(links, &options), "%s", peal_error());
		memory = memory_of(links[1]);
		expect_huge(&memory.tx);
		expect_huge(&memory.rx);
		ck_assert_uint_eq(memory.tx.has & memory.tx.wanted & PEAL_MEMORY_PREFAULTED,
				  PEAL_MEMORY_PREFAULTED);
		expect_carries(links[0], links[1]);
		pair_close(links);
	}
END_TEST

START_TEST(a_pool_that_is_dry_is_an_error_where_huge_pages_are_required)
	{
		struct peal_options options = wishing(PEAL_HUGE_REQUIRE, 2 * huge);
		struct peal_link *links[2], *server;
		struct peal_listener *listener;
		struct folder folder;
		struct caller caller;

		if (!leave_free(1))
			return;
		expect_error(peal_pair(links, &options), -ENOMEM, "1 pages", "needs 2",
			     "nr_hugepages", NULL);
		folder_make(&folder);
		ck_assert_int_eq(peal_listen(&listener, folder.path, &options), 0);
		caller_start(&caller, folder.path, NULL, LONG);
		while (!caller_is_over(&caller))
			ck_assert_int_lt(peal_accept(listener, &server, 10 * MS), 0);
		caller_end(&caller);
		expect_words(caller.err, caller.sentence, -EBUSY, "huge pages", "nr_hugepages",
			     NULL);
		caller_start(&caller, folder.path, &options, LONG);
		caller_end(&caller);
		expect_words(caller.err, caller.sentence, -ENOMEM, "huge pages", "nr_hugepages",
			     NULL);
		peal_listener_close(listener);
		folder_remove(&folder);
		ck_assert_int_eq(platform_huge_left(huge), 1);
	}
END_TEST

START_TEST(a_pool_that_is_dry_is_told_of_where_huge_pages_are_tried)
	{
		struct peal_options options = wishing(PEAL_HUGE_TRY, 2 * huge);
		struct peal_memory memory;
		struct meeting meeting;

		if (!rings_can_be_huge() || !leave_free(3))
			return;
		/* The client has two, and one is left. */
		meeting_open(&meeting, &options, &options);
		memory = memory_of(meeting.client);
		expect_huge(&memory.tx);
		memory = memory_of(meeting.server);
		expect_huge(&memory.rx);
		ck_assert_uint_eq(memory.tx.wanted_page, huge);
		ck_assert_uint_eq(memory.tx.has & PEAL_MEMORY_HUGETLB, 0);
		ck_assert_uint_ne(memory.tx.wanted & PEAL_MEMORY_HUGETLB, 0);
		ck_assert_ptr_nonnull(strstr(memory.tx.why, "1 pages of 2048 KiB left"));
		ck_assert_ptr_nonnull(strstr(memory.tx.why, "needs 2"));
		expect_carries(meeting.client, meeting.server);
		expect_carries(meeting.server, meeting.client);
		meeting_close(&meeting);
	}
END_TEST

/* So many pages, as another program would; -1: they are not to be had. */
static int take_pages(uint64_t count)
{
	int fd = memfd_create("unit",
			      MFD_CLOEXEC | MFD_HUGETLB | (unsigned)__builtin_ctzll(huge) << 26);

	if (fd >= 0 && fallocate(fd, 0, 0, (off_t)(count * huge))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* It has two pages, or has one and two and none in turn, until it is killed. */
static pid_t start_taker(bool in_turn)
{
	int ends[2];
	char byte;
	pid_t taker;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	taker = fork_alone();
	ck_assert_int_ge(taker, 0);
	while (!taker) {
		for (uint64_t count = 2; count; count--) {
			int fd = take_pages(count);

			if (write(ends[1], "", in_turn ? 0 : 1) < 0 || (!in_turn && fd < 0))
				_exit(1);
			while (!in_turn)
				pause();
			close(fd);
		}
	}
	close(ends[1]);
	if (!in_turn)
		ck_assert_int_eq(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	return taker;
}

static void kill_taker(pid_t taker)
{
	int status;

	ck_assert_int_eq(kill(taker, SIGKILL), 0);
	ck_assert_int_eq(waitpid(taker, &status, 0), taker);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* A link to who tries; whether there was one. */
static bool meet(struct peal_listener *listener, const char *path, uint32_t wish)
{
	struct peal_options options = wishing(wish, 2 * huge);
	struct peal_link *server = NULL;
	struct caller caller;

	caller_start(&caller, path, &options, LONG);
	while (!server && !caller_is_over(&caller))
		peal_accept(listener, &server, 10 * MS);
	caller_end(&caller);
	if (caller.err) {
		ck_assert_ptr_null(server);
		ck_assert_uint_eq(wish, PEAL_HUGE_REQUIRE);
		expect_words(caller.err, caller.sentence, -ENOMEM, "huge pages", NULL);
		return false;
	}
	if (!server)
		ck_assert_msg(!peal_accept(listener, &server, LONG), "%s", peal_error());
	expect_carries(caller.link, server);
	expect_carries(server, caller.link);
	peal_close(caller.link);
	peal_close(server);
	return true;
}

START_TEST(a_pool_that_runs_dry_midway_harms_no_link_and_is_whole_afterwards)
	{
		struct peal_options options = wishing(PEAL_HUGE_REQUIRE, 2 * huge);
		struct peal_options trying = wishing(PEAL_HUGE_TRY, 2 * huge);
		struct peal_listener *listener;
		struct peal_link *links[2];
		struct folder folder;
		pid_t taker;

		if (!rings_can_be_huge() || !leave_free(6))
			return;
		folder_make(&folder);
		ck_assert_int_eq(peal_listen(&listener, folder.path, &trying), 0);
		ck_assert_msg(!peal_pair(links, &options), "%s", peal_error());
		ck_assert(meet(listener, folder.path, PEAL_HUGE_REQUIRE));
		taker = start_taker(false);
		ck_assert_int_eq(platform_huge_left(huge), 0);
		ck_assert(!meet(listener, folder.path, PEAL_HUGE_REQUIRE));
		ck_assert(meet(listener, folder.path, PEAL_HUGE_TRY));
		expect_carries(links[0], links[1]);
		kill_taker(taker);
		ck_assert(meet(listener, folder.path, PEAL_HUGE_REQUIRE));
		/* At any step. */
		taker = start_taker(true);
		for (int i = 0; i < (runner_long() ? 1000 : 12); i++) {
			meet(listener, folder.path, i % 2 ? PEAL_HUGE_REQUIRE : PEAL_HUGE_TRY);
			expect_carries(links[i % 2], links[(i + 1) % 2]);
		}
		kill_taker(taker);
		ck_assert_int_eq(platform_huge_left(huge), 2);
		ck_assert(meet(listener, folder.path, PEAL_HUGE_REQUIRE));
		pair_close(links);
		peal_listener_close(listener);
		folder_remove(&folder);
		ck_assert_int_eq(platform_huge_left(huge), 6);
	}
END_TEST

/* In a child, with fewer huge pages allowed than the pool has left. */
static const char *meet_a_limit(void *data)
{
	struct peal_options options = wishing(PEAL_HUGE_REQUIRE, 2 * huge);
	struct peal_memory memory = { .size = sizeof(memory) };
	struct peal_link *links[2];
	int err = peal_pair(links, &options);

	(void)data;
	if (err != -ENOMEM || !strstr(peal_error(), "pool has 4") ||
	    !strstr(peal_error(), "hugetlb cgroup"))
		return wrong("a limit gives %d", err);
	options.huge = PEAL_HUGE_TRY;
	if (peal_pair(links, &options) || peal_link_memory(links[0], &memory))
		return wrong("no link");
	if (memory.tx.page == huge || !strstr(memory.tx.why, "hugetlb cgroup"))
		return wrong("of pages of %llu it is said: %s", (unsigned long long)memory.tx.page,
			     memory.tx.why);
	pair_close(links);
	return NULL;
}

/* In a child: as if a cgroup's limit said so. */
static const char *meet_a_filter(void *data)
{
	/* The length: only of huge pages is so much allocated at a time. */
	const struct filter filter = {
		.call = SYS_fallocate, .err = ENOSPC, .argument = 3, .bits = (uint32_t)huge
	};

	return filter_install(&filter) ? meet_a_limit(data) : NULL;
}

START_TEST(a_limit_on_huge_pages_is_told_from_a_dry_pool)
	{
		if (leave_free(4))
			child_run(meet_a_filter, NULL);
	}
END_TEST

/* Where cgroups are found that can limit huge pages: of version 2, then of version 1. */
static const char *const cgroups[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified",
				       "/sys/fs/cgroup/hugetlb" };

/* Whether a file has a line with this word. */
static bool has_word(const char *path, const char *word)
{
	FILE *file = fopen(path, "re");
	char line[256] = "";
	bool has = file && fgets(line, sizeof(line), file) && strstr(line, word);

	if (file)
		fclose(file);
	return has;
}

/* A cgroup that lets its processes have one huge page; false: not to be had. */
static bool make_cgroup(const char *root, char folder[96])
{
	char path[160], word[32];

	snprintf(path, sizeof(path), "%s/cgroup.controllers", root);
	if (has_word(path, "hugetlb")) {
		snprintf(path, sizeof(path), "%s/cgroup.subtree_control", root);
		if (!has_word(path, "hugetlb")) {
			if (!write_word(path, "+hugetlb"))
				return false;
			undo_later(path, "-hugetlb");
		}
	} else if (!strstr(root, "hugetlb")) {
		return false;
	}
	snprintf(folder, 96, "%s/peal-unit-%d", root, (int)getpid());
	if (mkdir(folder, 0700))
		return false;
	undo_later(folder, NULL);
	snprintf(word, sizeof(word), "%llu", (unsigned long long)huge);
	snprintf(path, sizeof(path), "%s/hugetlb.%lluMB.max", folder,
		 (unsigned long long)huge >> 20);
	if (write_word(path, word))
		return true;
	snprintf(path, sizeof(path), "%s/hugetlb.%lluMB.limit_in_bytes", folder,
		 (unsigned long long)huge >> 20);
	return write_word(path, word);
}

/* In a child. */
static const char *meet_a_cgroup(void *data)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/cgroup.procs", (const char *)data);
	return write_word(path, "0") ? meet_a_limit(data) : wrong("it cannot go into %s", path);
}

START_TEST(a_cgroup_that_limits_huge_pages_is_met_like_a_dry_pool)
	{
		char folder[96];
		size_t i = 0;

		if (!leave_free(4))
			return;
		while (i < 3 && !make_cgroup(cgroups[i], folder))
			i++;
		if (i == 3) {
			skip("no cgroup that limits huge pages can be made here");
			return;
		}
		child_run(meet_a_cgroup, folder);
		ck_assert_int_eq(platform_huge_left(huge), 4);
	}
END_TEST

/* In a child, which has no /sys and no /proc from here on. False: no filter can be had. */
static bool open_nothing(void)
{
	const struct filter filter = { .call = SYS_openat, .err = ENOENT };
#ifdef SYS_open
	const struct filter older = { .call = SYS_open, .err = ENOENT };

	if (!filter_install(&older))
		return false;
#endif
	return filter_install(&filter);
}

static const char *find_the_pool_dry_unseen(void *data)
{
	struct peal_options options = wishing(PEAL_HUGE_REQUIRE, 2 * huge);
	struct peal_link *links[2];
	int err;

	(void)data;
	if (!open_nothing())
		return NULL;
	err = peal_pair(links, &options);
	return err == -ENOMEM && strstr(peal_error(), "raise nr_hugepages") ?
		       NULL :
		       wrong("a dry pool gives %d", err);
}

START_TEST(a_pool_that_is_dry_is_called_so_without_sys_too)
	{
		if (leave_free(1))
			child_run(find_the_pool_dry_unseen, NULL);
	}
END_TEST

/* In a child: without this call no data area can be an object of its own. */
static const char *have_huge_pages_but_no_room(void *data)
{
	static const struct filter moving = { .call = SYS_mremap, .err = ENOMEM };
	struct peal_options options = wishing(PEAL_HUGE_REQUIRE, 2 * huge);
	struct peal_memory memory = { .size = sizeof(memory) };
	struct peal_link *links[2];
	int err;

	(void)data;
	if (!filter_install(&moving))
		return NULL;
	err = peal_pair(links, &options);
	if (err != -ENOMEM || !strstr(peal_error(), "cannot be mapped"))
		return wrong("huge pages that are required give %d", err);
	options.huge = PEAL_HUGE_TRY;
	if (peal_pair(links, &options) || peal_link_memory(links[0], &memory))
		return wrong("no link");
	if (memory.tx.page == huge || !strstr(memory.tx.why, "not for want of them"))
		return wrong("of pages of %llu it is said: %s", (unsigned long long)memory.tx.page,
			     memory.tx.why);
	pair_close(links);
	return NULL;
}

START_TEST(huge_pages_that_cannot_be_mapped_are_done_without)
	{
		bool forbidden = change(transparent, "never");
		const char *why;

		if (platform_transparent(&why)) {
			ck_assert(!forbidden);
			skip("transparent huge pages are on for shared memory, and stay so");
		} else if (leave_free(2)) {
			child_run(have_huge_pages_but_no_room, NULL);
		}
	}
END_TEST

START_TEST(a_ring_shorter_than_a_huge_page_tries_in_vain)
	{
		struct peal_options options = wishing(PEAL_HUGE_TRY, 16 * page);
		struct peal_link *links[2];
		struct peal_memory memory;

		ck_assert_msg(!peal_pair(links, &options), "%s", peal_error());
		memory = memory_of(links[0]);
		ck_assert_uint_eq(memory.tx.page, page);
		ck_assert_uint_eq(memory.tx.wanted_page, huge);
		ck_assert_ptr_nonnull(strstr(memory.tx.why, "less than a page of"));
		pair_close(links);
	}
END_TEST

START_TEST(a_size_of_which_there_is_no_pool_is_refused_in_words)
	{
		struct peal_options options = wishing(PEAL_HUGE_REQUIRE, 8 * huge);
		struct peal_link *links[2];

		options.huge_size = 4 * huge;
		if (platform_huge_left(options.huge_size) >= 0) {
			skip("there is a pool of pages of %llu bytes",
			     (unsigned long long)options.huge_size);
			return;
		}
		expect_error(peal_pair(links, &options), -ENOMEM, "no pool", "huge_size", NULL);
		options.huge = PEAL_HUGE_TRY;
		ck_assert_msg(!peal_pair(links, &options), "%s", peal_error());
		pair_close(links);
	}
END_TEST

/*
 * What a peer may send.
 */

/* A data area of two huge pages, sealed, with these two pages behind it: from 2 on they are beyond
 * its end. */
static int huge_memory(int one, int other)
{
	int fd = memfd_create("unit", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB |
					      (unsigned)__builtin_ctzll(huge) << 26);
	const int pages[] = { one, other };

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)(2 * huge)), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(fallocate(fd, FALLOC_FL_KEEP_SIZE,
					   (off_t)((uint64_t)pages[i] * huge), (off_t)huge),
				 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, ALL_SEALS), 0);
	return fd;
}

static int plain_memory(uint64_t size)
{
	int fd = memfd_create("unit", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fallocate(fd, 0, 0, (off_t)size), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, ALL_SEALS), 0);
	return fd;
}

/* A peer's, with this data area; closes the descriptors. */
static int adopt(struct segment *segment, int data_fd, uint64_t unit)
{
	struct segment_offer offer = { .fd = plain_memory(page),
				       .data_fd = data_fd,
				       .page = page,
				       .capacity = 2 * huge,
				       .unit = unit };
	int err = segment_adopt(segment, &offer, 0);

	close(offer.fd);
	close(data_fd);
	return err;
}

START_TEST(a_peers_huge_pages_are_adopted)
	{
		struct segment segment;

		if (!leave_free(2))
			return;
		ck_assert_msg(!adopt(&segment, huge_memory(0, 1), huge), "%s", peal_error());
		ck_assert_uint_eq((uintptr_t)segment_data(&segment) % huge, 0);
		segment_destroy(&segment);
	}
END_TEST

START_TEST(a_hole_in_a_peers_huge_pages_is_refused)
	{
		struct segment segment;

		/* Where the pool has a page to fill the hole with, and where it has none. */
		if (!leave_free(2 + _i))
			return;
		expect_error(adopt(&segment, huge_memory(0, 2), huge), -EPROTO, "sparse", NULL);
		ck_assert_ptr_null(segment.at);
		ck_assert_int_eq(platform_huge_left(huge), 2 + _i);
	}
END_TEST

START_TEST(holes_in_a_peers_huge_pages_cost_one_page_of_ours)
	{
		struct segment segment;
		int fd;

		if (!leave_free(4))
			return;
		fd = huge_memory(2, 3);
		expect_error(adopt(&segment, dup(fd), huge), -EPROTO, "sparse", NULL);
		ck_assert_int_eq(platform_huge_left(huge), 1);
		close(fd);
		ck_assert_int_eq(platform_huge_left(huge), 4);
	}
END_TEST

struct proof {
	int fd;
	const struct filter *filter;
	const char *said;
};

/* In a child. */
static const char *adopt_what_cannot_be_proved(void *data)
{
	const struct proof *proof = data;
	struct segment segment;
	int err;

	if (!filter_install(proof->filter))
		return NULL;
	err = adopt(&segment, dup(proof->fd), huge);
	return err == -EPROTO && strstr(peal_error(), proof->said) ?
		       NULL :
		       wrong("huge pages that cannot be proved give %d", err);
}

START_TEST(huge_pages_that_cannot_be_proved_are_refused_in_words)
	{
		static const struct filter touching = { .call = SYS_futex, .err = EPERM };
		static const struct filter asking = { .call = SYS_fstatfs, .err = EPERM };
		struct proof proofs[] = {
			{ .filter = &touching, .said = "allow futex" },
			{ .filter = &asking, .said = "cannot be looked at" },
		};

		if (!leave_free(2))
			return;
		for (int i = 0; i < 2; i++) {
			proofs[i].fd = huge_memory(0, 1);
			child_run(adopt_what_cannot_be_proved, &proofs[i]);
			close(proofs[i].fd);
		}
	}
END_TEST

START_TEST(a_peer_that_lies_about_its_pages_is_refused)
	{
		struct segment segment;

		expect_error(adopt(&segment, plain_memory(2 * huge), huge), -EPROTO, "other pages",
			     NULL);
		if (!leave_free(2))
			return;
		expect_error(adopt(&segment, huge_memory(0, 1), page), -EPROTO, "other pages",
			     NULL);
		expect_error(adopt(&segment, huge_memory(0, 1), 2 * huge), -EPROTO, "other pages",
			     NULL);
	}
END_TEST

START_TEST(plain_memory_apart_is_adopted)
	{
		struct segment segment;

		ck_assert_msg(!adopt(&segment, plain_memory(2 * huge), page), "%s", peal_error());
		ck_assert_uint_eq((uintptr_t)segment_data(&segment) % huge, 0);
		segment_destroy(&segment);
		expect_error(adopt(&segment, plain_memory(huge), page), -EPROTO, "another size",
			     NULL);
	}
END_TEST

START_TEST(nobody_can_write_huge_pages_but_their_first_mapping)
	{
		struct peal_options options = wishing(PEAL_HUGE_REQUIRE, 2 * huge);
		struct segment segment;
		uint8_t *map, *data;
		int fd;

		if (!rings_can_be_huge() || !leave_free(3))
			return;
		options.huge_size = huge;
		ck_assert_msg(!segment_create(&segment, &options, 0), "%s", peal_error());
		fd = segment.data_fd;
		data = segment_data(&segment);
		ck_assert_int_eq(fcntl(fd, F_GET_SEALS) & ALL_SEALS, ALL_SEALS);
		ck_assert(mmap(NULL, huge, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) ==
			  MAP_FAILED);
		map = mmap(NULL, huge, PROT_READ, MAP_SHARED, fd, 0);
		ck_assert(map != MAP_FAILED);
		ck_assert_int_ne(mprotect(map, huge, PROT_READ | PROT_WRITE), 0);
		ck_assert_int_ne(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
					   (off_t)huge),
				 0);
		ck_assert_int_ne(ftruncate(fd, 0), 0);
		ck_assert_int_ne(ftruncate(fd, (off_t)(3 * huge)), 0);
		ck_assert_int_ne(fallocate(fd, 0, 0, (off_t)(3 * huge)), 0);
		ck_assert_int_ne(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
		ck_assert_int_ne(madvise(data, huge, MADV_REMOVE), 0);
		/* It is there twice, and over the seam. */
		memcpy(data + 2 * huge - 4, "seamless", 8);
		ck_assert_mem_eq(data, "less", 4);
		ck_assert_mem_eq(map, "less", 4);
		munmap(map, huge);
		segment_close_descriptors(&segment);
		segment_destroy(&segment);
		ck_assert_int_eq(platform_huge_left(huge), 3);
	}
END_TEST

START_TEST(a_page_of_1_gib_is_got_where_it_is_asked_for)
	{
		struct peal_options options = wishing(PEAL_HUGE_REQUIRE, (uint64_t)1 << 30);
		struct segment segment, adopted;
		struct segment_offer offer;
		uint8_t *data;

		options.huge_size = options.ring;
		if (platform_huge_left(options.huge_size) < 1) {
			expect_error(segment_create(&segment, &options, 0), -ENOMEM, "1048576 KiB",
				     NULL);
			skip("the pool has no pages of 1 GiB");
			return;
		}
		if (!runner_long()) {
			skip("it takes 1 GiB of the pool: only with --long");
			return;
		}
		if (!rings_can_be_huge())
			return;
		ck_assert_msg(!segment_create(&segment, &options, 0), "%s", peal_error());
		offer = (struct segment_offer){ .fd = segment.fd,
						.data_fd = segment.data_fd,
						.page = page,
						.capacity = options.ring,
						.unit = options.ring };
		ck_assert_msg(!segment_adopt(&adopted, &offer, 0), "%s", peal_error());
		data = segment_data(&segment);
		memcpy(data + options.ring - 4, "seamless", 8);
		ck_assert_mem_eq(segment_data(&adopted), "less", 4);
		ck_assert_mem_eq(segment_data(&adopted) + options.ring - 4, "seamless", 8);
		segment_destroy(&adopted);
		segment_close_descriptors(&segment);
		segment_destroy(&segment);
	}
END_TEST

/*
 * Transparent huge pages.
 */

START_TEST(transparent_huge_pages_are_used_where_there_are_some)
	{
		struct peal_options options = wishing(_i ? PEAL_HUGE_OFF : PEAL_HUGE_AUTO,
						      2 * huge);
		struct peal_memory memory;
		struct meeting meeting;

		if (skip_emulated("MADV_HUGEPAGE and MADV_POPULATE_WRITE"))
			return;
		options.flags = PEAL_PREFAULT;
		if (!change(transparent, "advise")) {
			skip("transparent huge pages cannot be allowed for shared memory here");
			return;
		}
		meeting_open(&meeting, &options, &options);
		for (int i = 0; i < 2; i++) {
			memory = memory_of(i ? meeting.server : meeting.client);
			for (int k = 0; k < 2; k++) {
				const struct peal_ring_memory *ring = k ? &memory.rx : &memory.tx;

				ck_assert_uint_eq(ring->page, _i ? page : huge);
				ck_assert_uint_eq(ring->transparent, _i ? 0 : 2 * huge);
				ck_assert_uint_eq(ring->has & PEAL_MEMORY_TRANSPARENT,
						  _i ? 0 : PEAL_MEMORY_TRANSPARENT);
				ck_assert_str_eq(ring->why, "");
			}
		}
		expect_carries(meeting.client, meeting.server);
		expect_carries(meeting.server, meeting.client);
		meeting_close(&meeting);
	}
END_TEST

START_TEST(why_there_are_no_transparent_huge_pages_is_told)
	{
		struct peal_options options = wishing(PEAL_HUGE_AUTO, 2 * huge);
		struct peal_memory memory;
		struct peal_link *links[2];
		bool forbidden = change(transparent, "never");
		const char *why;

		if (platform_transparent(&why)) {
			ck_assert(!forbidden);
			skip("transparent huge pages are on for shared memory, and stay so");
			return;
		}
		ck_assert_int_eq(peal_pair(links, &options), 0);
		memory = memory_of(links[0]);
		ck_assert_uint_eq(memory.tx.page, page);
		ck_assert_uint_eq(memory.tx.wanted_page, huge);
		ck_assert_uint_eq(memory.tx.transparent, 0);
		ck_assert_str_eq(memory.tx.why, why);
		expect_carries(links[0], links[1]);
		pair_close(links);
	}
END_TEST

/*
 * What is told.
 */

static const char *ask_without_smaps(void *data)
{
	struct peal_options options = wishing(PEAL_HUGE_AUTO, 2 * huge);
	struct peal_memory memory = { .size = sizeof(memory) };
	struct peal_link *links[2];

	(void)data;
	if (peal_pair(links, &options))
		return wrong("no link");
	if (!open_nothing())
		return NULL;
	if (peal_link_memory(links[0], &memory))
		return wrong("nothing is told");
	if (!strstr(memory.tx.why, "/proc/self/smaps"))
		return wrong("it is said: %s", memory.tx.why);
	pair_close(links);
	return NULL;
}

START_TEST(that_transparent_huge_pages_cannot_be_seen_is_told)
	{
		if (change(transparent, "advise"))
			child_run(ask_without_smaps, NULL);
		else
			skip("transparent huge pages cannot be allowed for shared memory here");
	}
END_TEST

START_TEST(a_small_ring_has_plain_pages_and_lacks_nothing)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 16 * page);
		struct peal_memory memory;
		struct meeting meeting;

		options.flags = _i ? PEAL_PREFAULT : 0;
		meeting_open(&meeting, &options, NULL);
		memory = memory_of(meeting.server);
		ck_assert_uint_eq(memory.tx.bytes, 16 * page);
		ck_assert_uint_eq(memory.tx.page, page);
		ck_assert_uint_eq(memory.tx.wanted_page, page);
		ck_assert_uint_eq(memory.tx.has,
				  PEAL_MEMORY_TWICE | (_i ? PEAL_MEMORY_PREFAULTED : 0));
		ck_assert_uint_eq(memory.tx.wanted, memory.tx.has);
		ck_assert_str_eq(memory.tx.why, "");
		ck_assert_uint_eq(memory.rx.bytes, 65536);
		ck_assert_uint_eq(memory.rx.has, memory.tx.has);
		meeting_close(&meeting);
	}
END_TEST

/*
 * Nodes and locked memory.
 */

START_TEST(a_ring_is_put_on_the_node_that_was_asked_for)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 16 * page);
		int node = platform_node((const uint8_t *)&options);
		struct peal_memory memory;
		struct meeting meeting;

		if (node < 0) {
			skip("this system does not tell of nodes (errno %d)", -node);
			return;
		}
		options.node = 1 + (uint32_t)node;
		meeting_open(&meeting, &options, NULL);
		memory = memory_of(meeting.server);
		ck_assert_int_eq(memory.tx.wanted_node, node);
		ck_assert_int_eq(memory.tx.node, node);
		ck_assert_int_eq(memory.rx.wanted_node, -1);
		ck_assert_str_eq(memory.tx.why, "");
		memory = memory_of(meeting.client);
		ck_assert_int_eq(memory.rx.node, node);
		meeting_close(&meeting);
	}
END_TEST

START_TEST(a_node_that_is_none_is_done_without_and_told)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 16 * page);
		struct peal_link *links[2];
		struct peal_memory memory;

		options.node = 1000;
		ck_assert_msg(!peal_pair(links, &options), "%s", peal_error());
		memory = memory_of(links[0]);
		ck_assert_int_eq(memory.tx.wanted_node, 999);
		ck_assert_int_ne(memory.tx.node, 999);
		ck_assert_ptr_nonnull(strstr(memory.tx.why, "node 999"));
		pair_close(links);
	}
END_TEST

/* In a child, and for good: a system call fails. */
static bool forbid(long call, uint32_t err)
{
	const struct filter filter = { .call = call, .err = (int)err };

	return filter_install(&filter);
}

/* In a child. */
static const char *wish_for_a_node(void *data)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 16 * page);
	struct peal_memory memory = { .size = sizeof(memory) };
	uint32_t err = *(const uint32_t *)data;
	struct peal_link *links[2];
	char code[32];

	if (!forbid(SYS_mbind, err) || !forbid(SYS_get_mempolicy, err))
		return NULL;
	options.node = 1;
	snprintf(code, sizeof(code), "errno %u", err);
	if (peal_pair(links, &options) || peal_link_memory(links[0], &memory))
		return wrong("no link");
	if (memory.tx.node != -1 || memory.tx.wanted_node != 0 || !strstr(memory.tx.why, code))
		return wrong("it tells node %d: %s", memory.tx.node, memory.tx.why);
	pair_close(links);
	return NULL;
}

START_TEST(a_node_that_a_filter_forbids_is_done_without)
	{
		uint32_t errs[] = { EPERM, ENOSYS };

		child_run(wish_for_a_node, &errs[_i]);
	}
END_TEST

/* KiB of a field of /proc/self/status; -1: not told. */
static long status_field(const char *name)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	long kib = -1;

	while (file && kib < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			kib = strtol(line + strlen(name), NULL, 10);
	if (file)
		fclose(file);
	return kib;
}

/* Sanitizers swallow mlock: it does nothing, and says that it has. */
static bool skip_swallowed(void)
{
	long before_it = status_field("VmLck:"), after;
	void *at = mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool swallowed;

	ck_assert(at != MAP_FAILED);
	swallowed = before_it >= 0 && !mlock(at, page);
	after = status_field("VmLck:");
	munmap(at, page);
	if (!swallowed || after > before_it)
		return false;
	skip("mlock does nothing here, as under a sanitizer");
	return true;
}

START_TEST(both_rings_are_locked_if_that_is_asked_for)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 16 * page);
		long locked = status_field("VmLck:");
		struct peal_memory memory;
		struct meeting meeting;

		if (skip_swallowed())
			return;
		options.flags = PEAL_LOCK;
		meeting_open(&meeting, &options, NULL);
		memory = memory_of(meeting.server);
		ck_assert_uint_eq(memory.tx.has, PEAL_MEMORY_TWICE | PEAL_MEMORY_LOCKED);
		ck_assert_uint_eq(memory.rx.has, PEAL_MEMORY_TWICE | PEAL_MEMORY_LOCKED);
		ck_assert_uint_eq(memory.tx.wanted, memory.tx.has);
		memory = memory_of(meeting.client);
		ck_assert_uint_eq(memory.tx.has, PEAL_MEMORY_TWICE);
		if (locked >= 0)
			ck_assert_int_eq(status_field("VmLck:") - locked,
					 (long)((18 * page + 65536) >> 10));
		meeting_close(&meeting);
		ck_assert_int_eq(status_field("VmLck:"), locked);
	}
END_TEST

/* In a child: one segment may be locked, and not two. */
static const char *lock_too_much(void *data)
{
	struct rlimit limit = { .rlim_cur = 20 * page, .rlim_max = 20 * page };
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 16 * page);
	struct peal_link *links[2];
	const char *failed = NULL;
	char said[32];
	int err;

	(void)data;
	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		return wrong("no limit");
	if (!geteuid())
		failed = become_nobody();
	if (failed)
		return failed;
	options.flags = PEAL_LOCK;
	snprintf(said, sizeof(said), " %llu:", (unsigned long long)limit.rlim_cur);
	err = peal_pair(links, &options);
	if (err != -ENOMEM || !strstr(peal_error(), said) ||
	    !strstr(peal_error(), "CAP_IPC_LOCK") || !strstr(peal_error(), "ulimit -l"))
		return wrong("above the limit it gives %d", err);
	options.ring = 8 * page;
	err = peal_pair(links, &options);
	if (err)
		return wrong("below the limit");
	pair_close(links);
	return NULL;
}

START_TEST(a_limit_of_locked_memory_is_named_with_the_mend)
	{
		if (!skip_swallowed())
			child_run(lock_too_much, NULL);
	}
END_TEST

/* In a child. */
static const char *lock_in_vain(void *data)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 16 * page);
	struct peal_link *links[2];
	int err;

	if (!forbid(SYS_mlock, *(const uint32_t *)data))
		return NULL;
	options.flags = PEAL_LOCK;
	err = peal_pair(links, &options);
	if (err != -ENOMEM || !strstr(peal_error(), "locked") || !strstr(peal_error(), "PEAL_LOCK"))
		return wrong("without mlock it gives %d", err);
	return NULL;
}

START_TEST(where_nothing_can_be_locked_that_is_said)
	{
		uint32_t errs[] = { EPERM, ENOSYS };

		if (!skip_swallowed())
			child_run(lock_in_vain, &errs[_i]);
	}
END_TEST

static struct peal_link *ends[2];

/* In a child. */
static const char *ask_after_fork(void *data)
{
	struct peal_memory memory = { .size = sizeof(memory) };
	int err = peal_link_memory(ends[0], &memory);

	(void)data;
	return err == -ESTALE ? NULL : wrong("it gives %d", err);
}

START_TEST(who_asks_wrongly_is_told_so)
	{
		struct peal_memory memory = { .size = sizeof(memory) - 8 };

		pair_open(ends, PEAL_WAIT_ADAPTIVE, 0);
		expect_error(peal_link_memory(ends[0], &memory), -EINVAL, "sizeof", NULL);
		child_run(ask_after_fork, NULL);
		pair_close(ends);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("memory");
	TCase *all = tcase_create("memory");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_set_timeout(all, 60);
	tcase_add_test(all, a_link_gets_the_huge_pages_that_it_requires);
	tcase_add_test(all, each_side_chooses_the_pages_of_its_own_ring);
	tcase_add_test(all, the_two_ends_of_a_pair_get_huge_pages);
	tcase_add_test(all, a_pool_that_is_dry_is_an_error_where_huge_pages_are_required);
	tcase_add_test(all, a_pool_that_is_dry_is_told_of_where_huge_pages_are_tried);
	tcase_add_test(all, a_pool_that_runs_dry_midway_harms_no_link_and_is_whole_afterwards);
	tcase_add_test(all, a_limit_on_huge_pages_is_told_from_a_dry_pool);
	tcase_add_test(all, a_cgroup_that_limits_huge_pages_is_met_like_a_dry_pool);
	tcase_add_test(all, a_pool_that_is_dry_is_called_so_without_sys_too);
	tcase_add_test(all, huge_pages_that_cannot_be_mapped_are_done_without);
	tcase_add_test(all, a_ring_shorter_than_a_huge_page_tries_in_vain);
	tcase_add_test(all, a_size_of_which_there_is_no_pool_is_refused_in_words);
	tcase_add_test(all, a_peers_huge_pages_are_adopted);
	tcase_add_loop_test(all, a_hole_in_a_peers_huge_pages_is_refused, 0, 2);
	tcase_add_test(all, holes_in_a_peers_huge_pages_cost_one_page_of_ours);
	tcase_add_test(all, huge_pages_that_cannot_be_proved_are_refused_in_words);
	tcase_add_test(all, a_peer_that_lies_about_its_pages_is_refused);
	tcase_add_test(all, plain_memory_apart_is_adopted);
	tcase_add_test(all, nobody_can_write_huge_pages_but_their_first_mapping);
	tcase_add_test(all, a_page_of_1_gib_is_got_where_it_is_asked_for);
	tcase_add_loop_test(all, transparent_huge_pages_are_used_where_there_are_some, 0, 2);
	tcase_add_test(all, why_there_are_no_transparent_huge_pages_is_told);
	tcase_add_test(all, that_transparent_huge_pages_cannot_be_seen_is_told);
	tcase_add_loop_test(all, a_small_ring_has_plain_pages_and_lacks_nothing, 0, 2);
	tcase_add_test(all, a_ring_is_put_on_the_node_that_was_asked_for);
	tcase_add_test(all, a_node_that_is_none_is_done_without_and_told);
	tcase_add_loop_test(all, a_node_that_a_filter_forbids_is_done_without, 0, 2);
	tcase_add_test(all, both_rings_are_locked_if_that_is_asked_for);
	tcase_add_test(all, a_limit_of_locked_memory_is_named_with_the_mend);
	tcase_add_loop_test(all, where_nothing_can_be_locked_that_is_said, 0, 2);
	tcase_add_test(all, who_asks_wrongly_is_told_so);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
