/*
 * SPDX-License-Identifier: MIT
 *
 * Options: what is refused, with which error and in which words, what zero means, and what comes
 * through. Every function that takes options refuses the same ones.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/unit/stage.h"

static struct folder folder;
static int before;

static void set_up(void)
{
	folder_make(&folder);
	before = descriptors_settled();
}

static void tear_down(void)
{
	descriptors_expect(before);
	folder_remove(&folder);
}

/* The same error and a sentence with both pieces from whoever takes options; nothing is left. */
static void expect_refused(const struct peal_options *options, int err, const char *value,
			   const char *limit)
{
	struct peal_link *pair[2], *link = (struct peal_link *)&pair;
	struct peal_listener *listener = (struct peal_listener *)&pair;

	expect_error(peal_pair(pair, options), err, value, limit, NULL);
	expect_error(peal_listen(&listener, folder.path, options), err, value, limit, NULL);
	ck_assert_ptr_null(listener);
	expect_error(peal_connect(&link, folder.path, options, LONG), err, value, limit, NULL);
	ck_assert_ptr_null(link);
	ck_assert_int_eq(folder_count(&folder), 0);
}

/* A value of an option, and how it is refused: in numbers as the sentence writes them. */
#define OPTION(name) offsetof(struct peal_options, name), sizeof(((struct peal_options *)0)->name)

static const struct {
	size_t offset, width;
	uint64_t value;
	int err;
	const char *said, *limit;
} values[] = {
	{ OPTION(size), 0, -EINVAL, "size is 0", "peal_options_init" },
	{ OPTION(size), 8, -EINVAL, "size is 8", "peal_options_init" },
	{ OPTION(size), sizeof(struct peal_options) - 8, -EINVAL, "size is ", "peal_options_init" },
	{ OPTION(size), 4097, -EINVAL, "size is 4097", "peal_options_init" },
	{ OPTION(size), UINT32_MAX, -EINVAL, "size is 4294967295", "peal_options_init" },
	{ OPTION(abi), 0, -EINVAL, "abi is 0", "peal_options_init" },
	{ OPTION(abi), 2, -EOPNOTSUPP, "number 2", "1 to 1" },
	{ OPTION(abi), UINT32_MAX, -EOPNOTSUPP, "number 4294967295", "1 to 1" },
	{ OPTION(flags), 64, -EOPNOTSUPP, "0x40", "flags" },
	{ OPTION(barrier), 3, -EINVAL, "3", "asymmetric" },
	{ OPTION(bell), 3, -EINVAL, "3", "socket" },
	{ OPTION(flags), 0x80000001, -EOPNOTSUPP, "0x80000000", "flags" },
	{ OPTION(spare[0]), 1, -EOPNOTSUPP, "spare[0]", "not 0" },
	{ OPTION(spare[10]), (uint64_t)1 << 63, -EOPNOTSUPP, "spare[10]", "not 0" },
	{ OPTION(node), 1025, -EINVAL, "node is 1025", "up to 1024" },
	{ OPTION(huge), 4, -EINVAL, "huge is 4", "3 require" },
	{ OPTION(huge), PEAL_HUGE_REQUIRE, -EINVAL, "65536 bytes", "huge page of" },
	{ OPTION(huge_size), 4097, -EINVAL, "huge_size is 4097", "power of two" },
	{ OPTION(huge_size), 2048, -EINVAL, "huge_size is 2048", "power of two above" },
	{ OPTION(ring), 1, -ERANGE, "1 bytes", "1073741824" },
	{ OPTION(ring), 100, -ERANGE, "100 bytes", "1073741824" },
	{ OPTION(ring), 2048, -ERANGE, "2048 bytes", "1073741824" },
	{ OPTION(ring), 2147483648, -ERANGE, "2147483648 bytes", "1073741824" },
	{ OPTION(ring), 1073741825, -ERANGE, "1073741825 bytes", "1073741824" },
	{ OPTION(ring), (uint64_t)1 << 63, -ERANGE, "9223372036854775808 bytes", "1073741824" },
	{ OPTION(max_message), 68719476737, -ERANGE, "68719476737", "68719476736" },
	{ OPTION(max_message), UINT64_MAX, -ERANGE, "18446744073709551615", "68719476736" },
	{ OPTION(ring), UINT64_MAX, -ERANGE, "18446744073709551615 bytes", "1073741824" },
	{ OPTION(ring), 65537, -EINVAL, "65537 bytes", "131072" },
	{ OPTION(ring), 100000, -EINVAL, "100000 bytes", "131072" },
	{ OPTION(ring), 268435455, -EINVAL, "268435455 bytes", "268435456" },
	{ OPTION(wait), 3, -EINVAL, "wait is 3", "2 sleep" },
	{ OPTION(wait), UINT32_MAX, -EINVAL, "wait is 4294967295", "2 sleep" },
	{ OPTION(spin_ns), 1000000001, -EINVAL, "spin_ns is 1000000001", "at most 1000000000" },
	{ OPTION(spin_ns), UINT64_MAX, -EINVAL, "18446744073709551615", "at most 1000000000" },
	{ OPTION(allow), 3, -EINVAL, "allow is 3", "2 anyone" },
	{ OPTION(mode), 01000, -EINVAL, "01000", "0777" },
	{ OPTION(mode), 04755, -EINVAL, "04755", "0777" },
	{ OPTION(socket_group), UINT32_MAX, -EINVAL, "socket_group", "4294967295" },
	{ OPTION(backlog), 0x80000000, -EINVAL, "backlog is 2147483648", "2147483647" },
};

#define VALUES ((int)(sizeof(values) / sizeof(values[0])))

START_TEST(a_value_that_is_not_possible_is_refused_in_words)
	{
		struct peal_options options;

		/* Little-endian: the low bytes come first. */
		peal_options_init(&options);
		memcpy((uint8_t *)&options + values[_i].offset, &values[_i].value,
		       values[_i].width);
		expect_refused(&options, values[_i].err, values[_i].said, values[_i].limit);
	}
END_TEST

START_TEST(a_ring_is_at_least_a_page)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, stage_page() / 2);
		struct peal_link *pair[2];
		char said[32], limit[32];

		snprintf(said, sizeof(said), "%llu bytes", (unsigned long long)stage_page() / 2);
		snprintf(limit, sizeof(limit), "%llu to 1073741824",
			 (unsigned long long)stage_page());
		expect_refused(&options, -ERANGE, said, limit);
		options.ring = stage_page();
		ck_assert_int_eq(peal_pair(pair, &options), 0);
		pair_close(pair);
	}
END_TEST

/* In a child: files may be half as long as the ring. */
static const char *make_pair_within_limit(void *data)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 1 << 20);
	struct rlimit limit;
	struct peal_link *pair[2];
	int err;

	(void)data;
	signal(SIGXFSZ, SIG_DFL);
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = 1 << 19;
	if (setrlimit(RLIMIT_FSIZE, &limit))
		return wrong("setting the limit");
	err = peal_pair(pair, &options);
	if (err != -EFBIG || !strstr(peal_error(), "fsize"))
		return wrong("a ring above the limit gives %d", err);
	options.ring = 1 << 18;
	return peal_pair(pair, &options) ? wrong("a ring below the limit") : NULL;
}

START_TEST(a_ring_above_the_limit_of_file_size_is_refused_in_words)
	{
		child_run(make_pair_within_limit, NULL);
	}
END_TEST

/* As a program that was compiled against later headers would pass. */
struct later {
	struct peal_options options;
	uint64_t newer[3];
};

START_TEST(options_of_a_later_header_will_do_if_what_is_newer_is_zero)
	{
		struct later later = { .newer = { 0 } };
		struct peal_link *pair[2];

		peal_options_init(&later.options);
		later.options.size = sizeof(later);
		later.options.ring = stage_page();
		ck_assert_int_eq(peal_pair(pair, &later.options), 0);
		pair_close(pair);
	}
END_TEST

START_TEST(an_option_of_a_later_header_is_refused)
	{
		struct later later = { .newer = { 0 } };
		char said[32];

		peal_options_init(&later.options);
		later.options.size = sizeof(later);
		later.newer[1] = 1;
		snprintf(said, sizeof(said), "offset %zu", offsetof(struct later, newer[1]));
		expect_refused(&later.options, -EOPNOTSUPP, said, "newer");
		later.newer[1] = 0;
		later.newer[2] = (uint64_t)1 << 63;
		snprintf(said, sizeof(said), "offset %zu", sizeof(later) - 1);
		expect_refused(&later.options, -EOPNOTSUPP, said, "newer");
	}
END_TEST

START_TEST(options_that_were_never_initialised_are_refused)
	{
		struct peal_options options;

		memset(&options, 0, sizeof(options));
		expect_refused(&options, -EINVAL, "size is 0", "peal_options_init");
		memset(&options, 0xff, sizeof(options));
		expect_refused(&options, -EINVAL, "size is 4294967295", "peal_options_init");
	}
END_TEST

/* The longest message that an end takes. */
static void expect_longest(struct peal_link *link, size_t longest)
{
	char limit[32];
	void *at;

	snprintf(limit, sizeof(limit), "%zu", longest);
	ck_assert_int_eq(peal_reserve(peal_link_tx(link), longest, &at, 0), 0);
	peal_abort(peal_link_tx(link));
	expect_error(peal_reserve(peal_link_tx(link), longest + 1, &at, 0), -EMSGSIZE, limit, NULL);
}

START_TEST(without_options_a_ring_has_64_kib)
	{
		struct peal_link *pair[2];
		struct meeting meeting;

		ck_assert_int_eq(peal_pair(pair, NULL), 0);
		expect_longest(pair[0], 65536 - 16);
		expect_longest(pair[1], 65536 - 16);
		pair_close(pair);
		meeting_open(&meeting, NULL, NULL);
		expect_longest(meeting.client, 65536 - 16);
		expect_longest(meeting.server, 65536 - 16);
		meeting_close(&meeting);
	}
END_TEST

START_TEST(each_side_has_the_ring_that_it_asked_for)
	{
		struct peal_options server = stage_options(PEAL_WAIT_SLEEP, 65536);
		struct peal_options client = stage_options(PEAL_WAIT_SPIN, 262144);
		struct meeting meeting;

		meeting_open(&meeting, &server, &client);
		expect_longest(meeting.server, 65536 - 16);
		expect_longest(meeting.client, 262144 - 16);
		meeting_close(&meeting);
	}
END_TEST

START_TEST(rings_of_all_sizes_carry_their_longest_message)
	{
		static uint8_t message[16 << 20], copy[16 << 20];
		struct peal_link *pair[2];

		for (uint64_t ring = stage_page(); ring <= sizeof(message); ring *= 4) {
			size_t longest = (size_t)ring - 16;

			pair_open(pair, PEAL_WAIT_ADAPTIVE, ring);
			expect_longest(pair[0], longest);
			payload_fill(message, longest, (uint32_t)ring);
			ck_assert_int_eq(peal_send(peal_link_tx(pair[0]), message, longest, 0, 0),
					 0);
			ck_assert_int_eq(peal_recv(peal_link_rx(pair[1]), copy, sizeof(copy), NULL,
						   0),
					 (ssize_t)longest);
			ck_assert(payload_matches(copy, longest, (uint32_t)ring));
			pair_close(pair);
		}
	}
END_TEST

START_TEST(memory_may_be_touched_beforehand)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 65536);
		struct meeting meeting;
		char byte;

		options.flags = PEAL_PREFAULT;
		meeting_open(&meeting, &options, &options);
		ck_assert_int_eq(peal_send(peal_link_tx(meeting.client), "a", 1, 0, 0), 0);
		ck_assert_int_eq(peal_recv(peal_link_rx(meeting.server), &byte, 1, NULL, LONG), 1);
		meeting_close(&meeting);
	}
END_TEST

START_TEST(the_largest_values_are_possible)
	{
		struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 0);
		struct meeting meeting;

		options.spin_ns = 1000000000;
		options.max_message = (uint64_t)64 << 30;
		options.max_peer_ring = UINT64_MAX;
		options.handshake_ns = UINT64_MAX;
		options.allow = PEAL_ALLOW_ANYONE;
		options.mode = 0777;
		options.backlog = INT32_MAX;
		meeting_open(&meeting, &options, &options);
		expect_error(peal_send(peal_link_tx(meeting.client), NULL, ((size_t)64 << 30) + 1,
				       0, 0),
			     -EMSGSIZE, "68719476737", "68719476736", NULL);
		expect_error(peal_send(peal_link_tx(meeting.client), NULL, (size_t)64 << 30, 0, 0),
			     -EMSGSIZE, "68719476736", NULL);
		meeting_close(&meeting);
	}
END_TEST

static const char *name_from(const char *name)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
	static char copy[64];
	struct meeting meeting;

	options.name = name;
	meeting_open(&meeting, NULL, &options);
	memcpy(copy, peal_link_peer(meeting.server)->name, sizeof(copy));
	meeting_close(&meeting);
	ck_assert_ptr_nonnull(memchr(copy, 0, sizeof(copy)));
	return copy;
}

START_TEST(a_name_arrives_cut_and_printable)
	{
		char long_name[300];

		ck_assert_str_eq(name_from("Great Paul"), "Great Paul");
		ck_assert_str_eq(name_from(""), "");
		ck_assert_str_eq(name_from("a\nb\033[2Jc\x7f\xff"), "a?b?[2Jc??");
		memset(long_name, 'x', sizeof(long_name));
		long_name[sizeof(long_name) - 1] = 0;
		ck_assert_uint_eq(strlen(name_from(long_name)), 63);
		ck_assert_str_eq(name_from(NULL), "options");
	}
END_TEST

START_TEST(an_error_is_kept_until_the_next_one)
	{
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct peal_link *pair[2];
		char sentence[512];

		options.wait = 77;
		ck_assert_int_eq(peal_pair(pair, &options), -EINVAL);
		snprintf(sentence, sizeof(sentence), "%s", peal_error());
		pair_open(pair, PEAL_WAIT_ADAPTIVE, 0);
		ck_assert_int_eq(peal_send(peal_link_tx(pair[0]), "a", 1, 0, 0), 0);
		pair_close(pair);
		ck_assert_str_eq(peal_error(), sentence);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("options");
	TCase *refused = tcase_create("refused options"), *taken = tcase_create("taken options");

	tcase_add_checked_fixture(refused, set_up, tear_down);
	tcase_add_loop_test(refused, a_value_that_is_not_possible_is_refused_in_words, 0, VALUES);
	tcase_add_test(refused, a_ring_is_at_least_a_page);
	tcase_add_test(refused, a_ring_above_the_limit_of_file_size_is_refused_in_words);
	tcase_add_test(refused, an_option_of_a_later_header_is_refused);
	tcase_add_test(refused, options_that_were_never_initialised_are_refused);
	suite_add_tcase(s, refused);

	tcase_add_checked_fixture(taken, set_up, tear_down);
	tcase_set_timeout(taken, 30);
	tcase_add_test(taken, options_of_a_later_header_will_do_if_what_is_newer_is_zero);
	tcase_add_test(taken, without_options_a_ring_has_64_kib);
	tcase_add_test(taken, each_side_has_the_ring_that_it_asked_for);
	tcase_add_test(taken, rings_of_all_sizes_carry_their_longest_message);
	tcase_add_test(taken, memory_may_be_touched_beforehand);
	tcase_add_test(taken, the_largest_values_are_possible);
	tcase_add_test(taken, a_name_arrives_cut_and_printable);
	tcase_add_test(taken, an_error_is_kept_until_the_next_one);
	suite_add_tcase(s, taken);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
