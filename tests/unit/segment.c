/*
 * SPDX-License-Identifier: MIT
 *
 * Segments, white-box: nobody can write one but the mapping it was made with, not through any door
 * of the kernel's; what is no sealed memory of the right size and kind is not adopted; and nothing
 * leaks where that fails.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/segment.h"
#include "tests/filter.h"
#include "tests/unit/stage.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define CACHESTAT 451 /* for all CPUs; newer than some headers */

#define ALL_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

static uint64_t page, capacity;
static int before; /* descriptors */

static void set_up(void)
{
	page = runtime_get()->page_size;
	capacity = 4 * page;
	before = descriptors_count();
}

static void tear_down(void)
{
	descriptors_expect(before);
}

static int make(struct segment *segment)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, capacity);

	if (segment_create(segment, &options, PEAL_ASLEEP_FENCE))
		ck_abort_msg("%s", peal_error());
	ck_assert_int_ge(segment->fd, 0);
	ck_assert_int_eq(segment->data_fd, -1);
	return segment->fd;
}

/* Plain memory, all of it in one object. */
static int adopt(struct segment *segment, int fd, uint32_t flags)
{
	struct segment_offer offer = {
		.fd = fd, .data_fd = -1, .page = page, .capacity = capacity, .unit = page
	};

	return segment_adopt(segment, &offer, flags);
}

START_TEST(a_new_segment_is_zero_but_for_what_it_is)
	{
		struct segment segment;
		int fd = make(&segment);
		const struct peal_page *words = segment_page(&segment);

		ck_assert_uint_eq(words->magic, 0x4c414550u);
		ck_assert_uint_eq(words->layout, 1);
		ck_assert_uint_eq(words->rx_asleep, PEAL_ASLEEP_FENCE);
		for (uint64_t i = 8; i < page + 2 * capacity; i++)
			if (segment.at[i] && i != offsetof(struct peal_page, rx_asleep))
				ck_abort_msg("byte %llu is %u", (unsigned long long)i,
					     segment.at[i]);
		ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
		segment_destroy(&segment);
		ck_assert_ptr_null(segment.at);
		segment_destroy(&segment); /* a second time is allowed */
		close(fd);
	}
END_TEST

START_TEST(the_data_area_is_there_twice)
	{
		struct segment segment, adopted;
		int fd = make(&segment);
		uint8_t *data = segment_data(&segment);
		const uint8_t *theirs;

		ck_assert_int_eq(adopt(&adopted, fd, 0), 0);
		theirs = segment_data(&adopted);
		ck_assert_ptr_ne(theirs, data);
		for (uint64_t i = 0; i < capacity; i += 13) {
			data[i] = (uint8_t)(i * 7 + 1);
			ck_assert(data[i + capacity] == data[i] && theirs[i] == data[i] &&
				  theirs[i + capacity] == data[i]);
			data[i + capacity] = (uint8_t)(i + 3);
			ck_assert(data[i] == (uint8_t)(i + 3) && theirs[i] == data[i]);
		}
		/* One word over the seam. */
		memcpy(data + capacity - 4, "seamless", 8);
		ck_assert_mem_eq(theirs, "less", 4);
		ck_assert_mem_eq(theirs + capacity - 4, "seamless", 8);
		ck_assert_uint_eq(segment_page(&adopted)->magic, 0x4c414550u);
		segment_destroy(&adopted);
		segment_destroy(&segment);
		close(fd);
	}
END_TEST

/* Tries every way to write, of which none may lead anywhere. */
static void expect_locked(int fd, const char *how)
{
	void *map = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map != MAP_FAILED)
		ck_abort_msg("%s: a new writable mapping", how);
	map = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		ck_abort_msg("%s: no mapping for reading: %s", how, strerror(errno));
	if (!mprotect(map, page, PROT_READ | PROT_WRITE))
		ck_abort_msg("%s: a mapping was made writable", how);
	munmap(map, page);
	if (pwrite(fd, "x", 1, 0) >= 0 || write(fd, "x", 1) >= 0)
		ck_abort_msg("%s: written", how);
	if (!ftruncate(fd, 0) || !ftruncate(fd, (off_t)page) ||
	    !ftruncate(fd, (off_t)(page + 2 * capacity)))
		ck_abort_msg("%s: truncated", how);
	if (!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)page))
		ck_abort_msg("%s: a hole was punched", how);
	if (!fallocate(fd, 0, 0, (off_t)(page + 2 * capacity)))
		ck_abort_msg("%s: grown", how);
	if (!fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE))
		ck_abort_msg("%s: sealed further", how);
}

START_TEST(nobody_can_write_a_segment_but_its_first_mapping)
	{
		struct segment segment;
		int fd = make(&segment), again;
		char path[64];

		ck_assert_int_eq(fcntl(fd, F_GET_SEALS) & ALL_SEALS, ALL_SEALS);
		expect_locked(fd, "its descriptor");
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		again = open(path, O_RDWR | O_CLOEXEC);
		if (again >= 0) {
			expect_locked(again, "opened anew");
			close(again);
		}
		again = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
		if (again >= 0)
			close(again);
		again = open(path, O_RDONLY | O_CLOEXEC);
		if (again >= 0) {
			expect_locked(again, "opened for reading");
			close(again);
		}
		ck_assert(truncate(path, 0) < 0);
		ck_assert_uint_eq(segment_page(&segment)->magic, 0x4c414550u);
		ck_assert_int_eq(lseek(fd, 0, SEEK_END), (off_t)(page + capacity));
		/* The owner still can, through what it has mapped: there is but its address. */
		segment_data(&segment)[0] = 1;
		/* cppcheck-suppress [danglingTemporaryLifetime, danglingTempReference] */
		segment_destroy(&segment);
		close(fd);
	}
END_TEST

START_TEST(an_adopted_segment_cannot_be_made_writable)
	{
		struct segment segment, adopted;
		int fd = make(&segment);

		ck_assert_int_eq(adopt(&adopted, fd, PEAL_PREFAULT), 0);
		close(fd);
		for (uint64_t at = 0; at < page + 2 * capacity; at += page) {
			ck_assert_int_eq(mprotect(adopted.at + at, page, PROT_READ | PROT_WRITE),
					 -1);
			ck_assert_int_eq(errno, EACCES);
		}
		segment_destroy(&adopted);
		segment_destroy(&segment);
	}
END_TEST

static void expect_refused(int fd, const char *why)
{
	struct segment segment = { .at = NULL };
	int open = descriptors_count();

	ck_assert_int_ge(fd, 0);
	expect_error(adopt(&segment, fd, 0), -EPROTO, why, NULL);
	ck_assert_ptr_null(segment.at);
	ck_assert_int_eq(descriptors_count(), open);
	close(fd);
}

static int memfd(uint64_t size, bool allocate, int seals)
{
	int fd = memfd_create("unit", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	if (allocate)
		ck_assert_int_eq(fallocate(fd, 0, 0, (off_t)size), 0);
	else
		ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	if (seals)
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

START_TEST(unsealed_memory_is_refused)
	{
		expect_refused(memfd(page + capacity, true, 0), "not sealed");
	}
END_TEST

START_TEST(memory_that_lacks_one_of_the_seals_is_refused)
	{
		static const int seals[] = { F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_FUTURE_WRITE,
					     F_SEAL_SEAL };

		for (unsigned i = 0; i < 4; i++)
			expect_refused(memfd(page + capacity, true, ALL_SEALS & ~seals[i]),
				       "not sealed");
	}
END_TEST

START_TEST(memory_with_more_seals_than_needed_will_do)
	{
		struct segment segment;
		int fd = memfd(page + capacity, true, ALL_SEALS | F_SEAL_WRITE);

		ck_assert_int_eq(adopt(&segment, fd, 0), 0);
		segment_destroy(&segment);
		close(fd);
	}
END_TEST

START_TEST(memory_of_another_size_is_refused)
	{
		expect_refused(memfd(page + capacity - page, true, ALL_SEALS), "size");
		expect_refused(memfd(page + capacity + page, true, ALL_SEALS), "size");
		expect_refused(memfd(page + capacity - 1, true, ALL_SEALS), "size");
		expect_refused(memfd(page + capacity + 1, true, ALL_SEALS), "size");
		expect_refused(memfd(0, false, ALL_SEALS), "size");
	}
END_TEST

START_TEST(sparse_memory_is_refused)
	{
		int fd = memfd(page + capacity, false, 0);

		ck_assert_int_eq(fallocate(fd, 0, 0, (off_t)page), 0);
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, ALL_SEALS), 0);
		expect_refused(fd, "sparse");
		expect_refused(memfd(page + capacity, false, ALL_SEALS), "sparse");
		/* The last page is missing. */
		fd = memfd(page + capacity, false, 0);
		ck_assert_int_eq(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)capacity), 0);
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, ALL_SEALS), 0);
		expect_refused(fd, "sparse");
	}
END_TEST

START_TEST(what_is_no_memory_is_refused)
	{
		char path[] = "/tmp/peal-unit-segment-XXXXXX";
		int ends[2], fd;

		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
		expect_refused(ends[0], "not sealed");
		close(ends[1]);
		ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
		expect_refused(ends[0], "not sealed");
		close(ends[1]);
		expect_refused(open("/dev/zero", O_RDWR | O_CLOEXEC), "not sealed");
		expect_refused(open("/dev/null", O_RDWR | O_CLOEXEC), "not sealed");
		expect_refused(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "not sealed");
		expect_refused(open("/", O_PATH | O_CLOEXEC), "not sealed");
		expect_refused(open("/proc/self/mem", O_RDWR | O_CLOEXEC), "not sealed");
		expect_refused(eventfd(0, EFD_CLOEXEC), "not sealed");
		fd = mkostemp(path, O_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		unlink(path);
		ck_assert_int_eq(posix_fallocate(fd, 0, (off_t)(page + capacity)), 0);
		expect_refused(fd, "not sealed");
	}
END_TEST

START_TEST(a_descriptor_that_is_none_is_refused)
	{
		struct segment segment;

		expect_error(adopt(&segment, -1, 0), -EPROTO, NULL);
		expect_error(adopt(&segment, 100000, 0), -EPROTO, NULL);
	}
END_TEST

/* Asks for all choices, which tries each of them out, once and until it is told to stop. */
static void *ask_for_choices(void *stop)
{
	struct peal_choice choice;

	do
		for (unsigned i = 0; !peal_runtime_choice(i, &choice); i++)
			;
	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED));
	return NULL;
}

/* In a child. As under an older kernel, or in a container: there is no cachestat. */
static const char *adopt_while_choices_are_told(void *data)
{
	const struct filter filter = { .call = CACHESTAT, .err = ENOSYS };
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, capacity);
	struct segment segment, adopted;
	bool stop = true;
	pthread_t thread;
	int err = 0;

	(void)data;
	/* Where even this is forbidden, there may be a cachestat. */
	filter_install(&filter);
	ask_for_choices(&stop); /* this process may have found one before */
	stop = false;
	if (segment_create(&segment, &options, 0) ||
	    pthread_create(&thread, NULL, ask_for_choices, &stop))
		return wrong("nothing to adopt");
	for (int i = 0; i < 3000 && !err; i++) {
		err = adopt(&adopted, segment.fd, 0);
		if (!err)
			segment_destroy(&adopted);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return err ? wrong("adopting while choices are told gives %d", err) : NULL;
}

START_TEST(telling_choices_disturbs_nobody_who_adopts_a_segment)
	{
		child_run(adopt_while_choices_are_told, NULL);
	}
END_TEST

START_TEST(links_leave_no_descriptor_behind)
	{
		struct peal_link *links[2];
		struct meeting meeting;
		int stats;

		/* The first link brings the object of the counters, which stays. */
		pair_open(links, PEAL_WAIT_ADAPTIVE, 0);
		pair_close(links);
		stats = descriptors_count();
		for (int i = 0; i < 5; i++) {
			pair_open(links, PEAL_WAIT_ADAPTIVE, 0);
			ck_assert_int_eq(descriptors_count(), stats); /* a pair needs none */
			pair_close(links);
			meeting_open(&meeting, NULL, NULL);
			meeting_close(&meeting);
			descriptors_expect(stats);
		}
		before = stats;
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("segment");
	TCase *all = tcase_create("segment");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_set_timeout(all, 30);
	tcase_add_test(all, a_new_segment_is_zero_but_for_what_it_is);
	tcase_add_test(all, the_data_area_is_there_twice);
	tcase_add_test(all, nobody_can_write_a_segment_but_its_first_mapping);
	tcase_add_test(all, an_adopted_segment_cannot_be_made_writable);
	tcase_add_test(all, unsealed_memory_is_refused);
	tcase_add_test(all, memory_that_lacks_one_of_the_seals_is_refused);
	tcase_add_test(all, memory_with_more_seals_than_needed_will_do);
	tcase_add_test(all, memory_of_another_size_is_refused);
	tcase_add_test(all, sparse_memory_is_refused);
	tcase_add_test(all, what_is_no_memory_is_refused);
	tcase_add_test(all, a_descriptor_that_is_none_is_refused);
	tcase_add_test(all, telling_choices_disturbs_nobody_who_adopts_a_segment);
	tcase_add_test(all, links_leave_no_descriptor_behind);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
