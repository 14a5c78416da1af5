/*
 * SPDX-License-Identifier: MIT
 *
 * The parsers of peal-tune over what the kernel writes and what it never does, and files read as
 * trees have them. The mutations are the same in each run; a sanitizer sees what they break.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/runner.h"
#include "tools/peal-tune/parse.h"
#include "tools/peal-tune/tree.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- lists and masks of CPUs ------------------------------------------------------------------ */

static const char *again(const char *text, char *printed, size_t size)
{
	struct cpus cpus;

	ck_assert_msg(!parse_cpus(text, &cpus), "\"%s\" was refused", text);
	print_cpus(&cpus, printed, size);
	return printed;
}

START_TEST(lists_of_cpus_are_read_and_printed_again)
	{
		static const char *const pairs[][2] = {
			{ "", "" },
			{ "0", "0" },
			{ "0-3,8,10-11", "0-3,8,10-11" },
			{ " 0-3\n", "0-3" },
			{ "3,2,1", "1-3" },
			{ "7-7", "7" },
			{ "0-2,1-5", "0-5" },
			{ "4095", "4095" },
			{ "0-4095", "0-4095" },
			{ "63,64,127,128", "63-64,127-128" },
		};
		char printed[64];

		for (size_t i = 0; i < COUNT(pairs); i++)
			ck_assert_str_eq(again(pairs[i][0], printed, sizeof(printed)), pairs[i][1]);
	}
END_TEST

START_TEST(what_is_no_list_of_cpus_is_refused)
	{
		static const char *const broken[] = {
			"-",
			"-1",
			"1-",
			"3-1",
			"1,",
			",1",
			"1,,2",
			"1 2",
			"a",
			"1a",
			"0-6:2/3",
			"4096",
			"0-4096",
			"0x1",
			"1-2-3",
			"1, 2",
			"+1",
			"4294967296",
			"18446744073709551617",
			"1;2",
			"1-\n2",
			"\x80",
			"1\xff",
		};
		struct cpus cpus;

		for (size_t i = 0; i < COUNT(broken); i++)
			ck_assert_msg(parse_cpus(broken[i], &cpus) == -EINVAL,
				      "\"%s\" was taken for a list", broken[i]);
	}
END_TEST

START_TEST(a_list_that_does_not_fit_is_cut_with_dots)
	{
		struct cpus cpus;
		char printed[64], whole[64];

		ck_assert(!parse_cpus("0,2,4,6,8,10,12,14", &cpus));
		print_cpus(&cpus, whole, sizeof(whole));
		for (size_t size = 1; size < strlen(whole) + 2; size++) {
			memset(printed, 'x', sizeof(printed));
			print_cpus(&cpus, printed, size);
			ck_assert_uint_lt(strlen(printed), size);
			ck_assert_int_eq(printed[size], 'x');
			if (size > strlen(whole))
				ck_assert_str_eq(printed, whole);
			else if (size > 4)
				ck_assert_str_eq(printed + strlen(printed) - 3, "...");
		}
		printed[0] = 'x';
		print_cpus(&cpus, printed, 0);
		ck_assert_int_eq(printed[0], 'x');
	}
END_TEST

START_TEST(masks_are_read_from_their_end_on)
	{
		static const char *const pairs[][2] = {
			{ "0", "" },
			{ "1", "0" },
			{ "ff", "0-7" },
			{ "FF\n", "0-7" },
			{ "00000001,00000000", "32" },
			{ "ff,00000001", "0,32-39" },
			{ "1,00000000,80000000", "31,64" },
		};
		char printed[64];
		struct cpus cpus;

		for (size_t i = 0; i < COUNT(pairs); i++) {
			ck_assert_msg(!parse_mask(pairs[i][0], &cpus), "\"%s\" was refused",
				      pairs[i][0]);
			print_cpus(&cpus, printed, sizeof(printed));
			ck_assert_str_eq(printed, pairs[i][1]);
		}
	}
END_TEST

START_TEST(what_is_no_mask_is_refused)
	{
		static const char *const broken[] = {
			"",   " ",  "g",   "0x1",         "1,1",       ",",         ",00000001",
			"1,", "-1", "1 1", "1,,00000001", "123456789", "1,0000000", "1,000000000"
		};
		char wide[2000];
		struct cpus cpus;
		size_t used = 0;

		for (size_t i = 0; i < COUNT(broken); i++)
			ck_assert_msg(parse_mask(broken[i], &cpus) == -EINVAL,
				      "\"%s\" was taken for a mask", broken[i]);
		/* One bit above the last CPU that there is room for; leading zeros have some. */
		for (unsigned i = 0; i <= CPUS_MAX / 32; i++)
			used += (size_t)sprintf(wide + used, "%s%08x", i ? "," : "", i ? 0u : 1u);
		ck_assert_int_eq(parse_mask(wide, &cpus), -EINVAL);
		wide[7] = '0';
		ck_assert_int_eq(parse_mask(wide, &cpus), 0);
	}
END_TEST

START_TEST(sets_of_cpus_know_what_is_in_them)
	{
		struct cpus some, all, none;

		ck_assert(!parse_cpus("1,64,4095", &some) && !parse_cpus("0-64,4095", &all) &&
			  !parse_cpus("", &none));
		ck_assert_uint_eq(cpus_count(&some), 3);
		ck_assert_uint_eq(cpus_next(&some, 0), 1);
		ck_assert_uint_eq(cpus_next(&some, 2), 64);
		ck_assert_uint_eq(cpus_next(&some, 65), 4095);
		ck_assert_uint_eq(cpus_next(&some, 4096), CPUS_MAX);
		ck_assert_uint_eq(cpus_next(&some, UINT32_MAX), CPUS_MAX);
		ck_assert(cpus_within(&some, &all) && !cpus_within(&all, &some));
		ck_assert(cpus_within(&none, &some) && !cpus_meet(&none, &all));
		ck_assert(cpus_meet(&some, &all));
		ck_assert(!cpus_has(&all, CPUS_MAX) && !cpus_has(&all, UINT32_MAX));
		cpus_add(&none, CPUS_MAX);
		ck_assert_uint_eq(cpus_count(&none), 0);
	}
END_TEST

/* --- numbers ---------------------------------------------------------------------------------- */

START_TEST(numbers_are_decimal_or_hexadecimal_with_a_sign)
	{
		static const struct {
			const char *text;
			int64_t value;
		} good[] = {
			{ "0", 0 },
			{ " 17 \n", 17 },
			{ "-1", -1 },
			{ "+5", 5 },
			{ "007", 7 },
			{ "0x1F", 31 },
			{ "-0x10", -16 },
			{ "9223372036854775807", INT64_MAX },
			{ "-9223372036854775808", INT64_MIN },
			{ "0x7fffffffffffffff", INT64_MAX },
		};
		int64_t value;

		for (size_t i = 0; i < COUNT(good); i++) {
			ck_assert_msg(!parse_number(good[i].text, &value), "\"%s\" was refused",
				      good[i].text);
			ck_assert_int_eq(value, good[i].value);
		}
	}
END_TEST

START_TEST(what_is_no_number_is_refused_and_leaves_the_value)
	{
		static const char *const broken[] = {
			"",
			" ",
			"-",
			"+",
			"--1",
			"1 2",
			"1x",
			"x1",
			"0x",
			"0xg",
			"1.5",
			"1e3",
			"- 1",
			"9223372036854775808",
			"-9223372036854775809",
			"0x8000000000000000",
			"99999999999999999999999999",
			"1\x80",
			"max",
		};
		int64_t value = 42;

		for (size_t i = 0; i < COUNT(broken); i++)
			ck_assert_msg(parse_number(broken[i], &value) == -EINVAL,
				      "\"%s\" was taken for a number", broken[i]);
		ck_assert_int_eq(value, 42);
	}
END_TEST

START_TEST(limits_may_be_none)
	{
		static const char *const broken[] = { "",      "-1",    "maximum",
						      "max 1", "1 max", "unlimite",
						      "0x10",  "1k",    "18446744073709551616" };
		uint64_t limit = 7;

		for (size_t i = 0; i < COUNT(broken); i++)
			ck_assert_msg(parse_limit(broken[i], &limit) == -EINVAL,
				      "\"%s\" was taken for a limit", broken[i]);
		ck_assert_uint_eq(limit, 7);
		ck_assert(!parse_limit("max\n", &limit) && limit == UINT64_MAX);
		ck_assert(!parse_limit(" unlimited", &limit) && limit == UINT64_MAX);
		ck_assert(!parse_limit("0", &limit) && limit == 0);
		ck_assert(!parse_limit("18446744073709551615", &limit) && limit == UINT64_MAX);
	}
END_TEST

START_TEST(sizes_are_printed_for_people)
	{
		char text[SIZE_TEXT];

		ck_assert_str_eq(print_size(0, text), "0 bytes");
		ck_assert_str_eq(print_size(1023, text), "1023 bytes");
		ck_assert_str_eq(print_size(65536, text), "64 KiB");
		ck_assert_str_eq(print_size((3 << 20) + (1 << 19), text), "3.5 MiB");
		ck_assert_str_eq(print_size(UINT64_MAX - 1, text), "15.9 EiB");
		ck_assert_str_eq(print_size(UINT64_MAX, text), "unlimited");
	}
END_TEST

/* --- words, fields, rows ---------------------------------------------------------------------- */

START_TEST(the_choice_is_the_word_in_brackets)
	{
		static const char *const broken[] = { "",
						      "never",
						      "[",
						      "]",
						      "[]",
						      "[never",
						      "never]",
						      "] [never",
						      "[a] [b]",
						      "[a b]",
						      "[[a]]",
						      "[a]]",
						      "[eighteencharacters]" };
		char choice[16] = "kept";

		for (size_t i = 0; i < COUNT(broken); i++)
			ck_assert_msg(parse_choice(broken[i], choice, sizeof(choice)) == -EINVAL,
				      "\"%s\" was taken for a choice", broken[i]);
		ck_assert_str_eq(choice, "kept");
		ck_assert(!parse_choice("always [madvise] never", choice, sizeof(choice)));
		ck_assert_str_eq(choice, "madvise");
		ck_assert(!parse_choice("[fifteen.letters]", choice, 16));
		ck_assert_int_eq(parse_choice("[fifteen.letters]", choice, 15), -EINVAL);
	}
END_TEST

static const char status[] = "Name:\tsh\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7 \nEmpty:\n"
			     "model name\t: A CPU: fast\nLast:\t1";

START_TEST(a_field_is_found_by_its_whole_key)
	{
		static const char *const pairs[][2] = {
			{ "Name", "sh" },
			{ "Cpus_allowed", "ff" },
			{ "Cpus_allowed_list", "0-7" },
			{ "Empty", "" },
			{ "model name", "A CPU: fast" },
			{ "Last", "1" },
		};
		char value[32] = "kept";

		ck_assert_int_eq(parse_field(status, "Cpus", value, sizeof(value)), -ENOENT);
		ck_assert_int_eq(parse_field(status, "ame", value, sizeof(value)), -ENOENT);
		ck_assert_int_eq(parse_field("", "Name", value, sizeof(value)), -ENOENT);
		ck_assert_int_eq(parse_field("Name", "Name", value, sizeof(value)), -ENOENT);
		ck_assert_int_eq(parse_field(status, "model name", value, 11), -EINVAL);
		ck_assert_str_eq(value, "kept");
		for (size_t i = 0; i < COUNT(pairs); i++) {
			ck_assert(!parse_field(status, pairs[i][0], value, sizeof(value)));
			ck_assert_str_eq(value, pairs[i][1]);
		}
		ck_assert(!parse_field(status, "model name", value, 12));
	}
END_TEST

static const char limits[] =
	"Limit                     Soft Limit           Hard Limit           Units     \n"
	"Max locked memory         8388608              unlimited            bytes     \n"
	"Max open files            1024                 524288               files     \n"
	"Max realtime priority     0                    0                    \n"
	"Max nice priority         40                   20                   \n"
	"Max processes             a                    1                    \n"
	"Max msgqueue size         1\n";

START_TEST(a_row_of_limits_has_a_soft_and_a_hard_one)
	{
		uint64_t soft = 1, hard = 2;

		ck_assert_int_eq(parse_rlimit(limits, "Max file size", &soft, &hard), -ENOENT);
		ck_assert_int_eq(parse_rlimit(limits, "Max open", &soft, &hard), -EINVAL);
		ck_assert_int_eq(parse_rlimit(limits, "Max nice priority", &soft, &hard), -EINVAL);
		ck_assert_int_eq(parse_rlimit(limits, "Max processes", &soft, &hard), -EINVAL);
		ck_assert_int_eq(parse_rlimit(limits, "Max msgqueue size", &soft, &hard), -EINVAL);
		ck_assert_int_eq(parse_rlimit("", "Max open files", &soft, &hard), -ENOENT);
		ck_assert(soft == 1 && hard == 2);
		ck_assert(!parse_rlimit(limits, "Max locked memory", &soft, &hard));
		ck_assert(soft == 8388608 && hard == UINT64_MAX);
		ck_assert(!parse_rlimit(limits, "Max open files", &soft, &hard));
		ck_assert(soft == 1024 && hard == 524288);
		ck_assert(!parse_rlimit(limits, "Max realtime priority", &soft, &hard));
		ck_assert(soft == 0 && hard == 0);
	}
END_TEST

static const char cgroup[] = "9:name=systemd:/init\n4:memory:/a:b\n3:cpu,cpuacct:/c\n0::/d/e\n";

START_TEST(a_control_group_is_found_by_its_controller)
	{
		static const char *const broken[] = { "",    "\n",   "0",        "0:",
						      "0::", "0::a", "a:b\n0::/" };
		char path[16] = "kept";

		for (size_t i = 0; i < COUNT(broken); i++)
			ck_assert_msg(parse_cgroup(broken[i], "", path, sizeof(path)) == -EINVAL,
				      "\"%s\" was taken for a control group", broken[i]);
		ck_assert_int_eq(parse_cgroup(cgroup, "cpuset", path, sizeof(path)), -ENOENT);
		ck_assert_int_eq(parse_cgroup(cgroup, "mem", path, sizeof(path)), -ENOENT);
		ck_assert_int_eq(parse_cgroup("4:memory:/a\n", "", path, sizeof(path)), -ENOENT);
		ck_assert_int_eq(parse_cgroup(cgroup, "", path, 4), -EINVAL);
		ck_assert_str_eq(path, "kept");
		ck_assert(!parse_cgroup(cgroup, "", path, 5));
		ck_assert_str_eq(path, "/d/e");
		ck_assert(!parse_cgroup(cgroup, "memory", path, sizeof(path)));
		ck_assert_str_eq(path, "/a:b");
		ck_assert(!parse_cgroup(cgroup, "cpu", path, sizeof(path)) && !strcmp(path, "/c"));
		ck_assert(!parse_cgroup(cgroup, "cpuacct", path, sizeof(path)));
		ck_assert_str_eq(path, "/c");
		ck_assert(!parse_cgroup("0::/", "", path, sizeof(path)) && !strcmp(path, "/"));
	}
END_TEST

/* --- what nobody would write ------------------------------------------------------------------ */

/* Marsaglia's xorshift, always from the same number on. */
static uint32_t state = 2463534242u;

static uint32_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* Changes some bytes, cuts, or writes a piece twice. */
static void mutate(char *text, size_t room)
{
	static const char likely[] = "0123456789-,:[]/ \n\tax\x80\xff";
	size_t length = strlen(text);

	for (unsigned i = next_random() % 4 + 1; i > 0 && length; i--) {
		size_t at = next_random() % length;

		switch (next_random() % 4) {
		case 0:
			text[at] = likely[next_random() % (sizeof(likely) - 1)];
			break;
		case 1:
			text[at] = (char)next_random();
			break;
		case 2:
			text[at] = '\0';
			break;
		default:
			if (length + length - at < room)
				memmove(text + length, text + at, length - at + 1);
		}
		length = strlen(text);
	}
}

/* All parsers; what one takes must hold what it says. The text ends where its memory does, so that
 * a sanitizer sees who reads behind it. */
static void parse_all(const char *text)
{
	struct cpus cpus, same;
	char small[8], large[64], list[8 * CPUS_MAX], name[] = "Max open files";
	uint64_t soft, hard;
	int64_t number;

	if (!parse_cpus(text, &cpus)) {
		print_cpus(&cpus, list, sizeof(list));
		ck_assert(!parse_cpus(list, &same) && !memcmp(&cpus, &same, sizeof(cpus)));
		print_cpus(&cpus, small, sizeof(small));
		ck_assert_uint_lt(strlen(small), sizeof(small));
	}
	if (!parse_mask(text, &cpus))
		ck_assert_uint_le(cpus_count(&cpus), CPUS_MAX);
	if (!parse_number(text, &number)) {
		snprintf(large, sizeof(large), "%lld", (long long)number);
		ck_assert(!parse_number(large, &number));
	}
	parse_limit(text, &soft);
	if (!parse_choice(text, small, sizeof(small)))
		ck_assert(*small && strlen(small) < sizeof(small));
	if (!parse_field(text, "Name", small, sizeof(small)))
		ck_assert_uint_lt(strlen(small), sizeof(small));
	parse_field(text, "", large, sizeof(large));
	if (!parse_rlimit(text, name, &soft, &hard))
		ck_assert_uint_le(soft, hard);
	if (!parse_cgroup(text, "", large, sizeof(large)))
		ck_assert_int_eq(large[0], '/');
	parse_cgroup(text, "memory", small, sizeof(small));
}

START_TEST(nothing_that_a_file_may_have_in_it_breaks_a_parser)
	{
		static const char *const seeds[] = {
			"0-3,8,10-11\n",
			"ff,00000001\n",
			"-9223372036854775808",
			"0x7fffffffffffffff",
			"unlimited",
			"always [madvise] never\n",
			status,
			limits,
			cgroup,
		};

		for (unsigned i = 0; i < 10000; i++) {
			char text[2048], *tight;

			strcpy(text, seeds[i % COUNT(seeds)]);
			mutate(text, sizeof(text));
			tight = malloc(strlen(text) + 1);
			ck_assert_ptr_nonnull(tight);
			strcpy(tight, text);
			parse_all(tight);
			free(tight);
		}
	}
END_TEST

/* --- files ------------------------------------------------------------------------------------ */

static char root[64];
static struct tree tree;

static void make_root(void)
{
	strcpy(root, "/tmp/peal-tree.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	tree.root = root;
}

static void remove_root(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	ck_assert_int_eq(system(command), 0);
}

static void write_file(const char *path, const char *text, size_t length)
{
	char whole[256];
	FILE *file;

	snprintf(whole, sizeof(whole), "%s%s", root, path);
	file = fopen(whole, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text, 1, length, file), length);
	ck_assert_int_eq(fclose(file), 0);
}

static void expect_text(const char *path, const char *wanted)
{
	char *text;
	int64_t length = tree_read(&tree, path, &text);

	ck_assert_int_eq(length, (int64_t)strlen(wanted));
	ck_assert_str_eq(text, wanted);
	free(text);
}

static void expect_error(const char *path, int err)
{
	char *text = root;

	ck_assert_int_eq(tree_read(&tree, path, &text), err);
	ck_assert_ptr_null(text);
}

START_TEST(a_file_is_read_without_the_white_space_at_its_end)
	{
		int64_t number = 7, length;
		char *text;

		write_file("/line", "60\n", 3);
		write_file("/bare", "60", 2);
		write_file("/empty", "", 0);
		write_file("/blank", " \n\t\r\n", 5);
		write_file("/zero", "6\0000", 3);
		expect_text("/line", "60");
		expect_text("/bare", "60");
		expect_text("/empty", "");
		expect_text("/blank", "");
		ck_assert(!tree_number(&tree, "/line", &number) && number == 60);
		length = tree_read(&tree, "/zero", &text);
		ck_assert_int_eq(length, 3);
		ck_assert_int_eq(text[3], 0);
		free(text);
		ck_assert_int_eq(tree_number(&tree, "/zero", &number), -EINVAL);
		ck_assert_int_eq(tree_number(&tree, "/empty", &number), -EINVAL);
		ck_assert_int_eq(tree_number(&tree, "/none", &number), -ENOENT);
		ck_assert_int_eq(number, 60);
	}
END_TEST

/* As large as the maps of a server with thousands of clients. */
START_TEST(a_file_of_24_mebibytes_is_read_and_one_byte_more_is_refused)
	{
		off_t size = (off_t)24 << 20;
		char *text, whole[256];

		write_file("/large", "6", 1);
		snprintf(whole, sizeof(whole), "%s/large", root);
		ck_assert_int_eq(truncate(whole, size), 0);
		ck_assert_int_eq(tree_read(&tree, "/large", &text), size);
		ck_assert_str_eq(text, "6");
		free(text);
		ck_assert_int_eq(truncate(whole, size + 1), 0);
		expect_error("/large", -EFBIG);
	}
END_TEST

START_TEST(what_is_no_file_is_an_error_and_nothing_waits)
	{
		char path[8000], whole[128];

		write_file("/file", "1", 1);
		snprintf(whole, sizeof(whole), "%s/fifo", root);
		ck_assert_int_eq(mkfifo(whole, 0600), 0);
		memset(path, 'a', sizeof(path) - 1);
		path[0] = '/';
		path[sizeof(path) - 1] = '\0';
		expect_error("/", -EISDIR);
		expect_error("/none", -ENOENT);
		expect_error("/file/below", -ENOENT);
		expect_error(path, -ENAMETOOLONG);
		expect_text("/fifo", "");
		ck_assert_int_eq(tree_has(&tree, "/file"), 0);
		ck_assert_int_eq(tree_has(&tree, "/none"), -ENOENT);
		ck_assert_int_eq(tree_has(&tree, "/file/below"), -ENOENT);
		ck_assert_int_eq(tree_has(&tree, path), -ENAMETOOLONG);
	}
END_TEST

START_TEST(what_may_not_be_read_is_denied)
	{
		char path[128];

		write_file("/secret", "1", 1);
		snprintf(path, sizeof(path), "%s/secret", root);
		ck_assert_int_eq(chmod(path, 0), 0);
		if (!access(path, R_OK)) {
			skip("this user may read everything");
			return;
		}
		expect_error("/secret", -EACCES);
	}
END_TEST

START_TEST(a_folder_is_listed_with_numbers_as_numbers)
	{
		static const char *const files[] = { "/cpu10", "/cpu2", "/cpu1", "/online",
						     "/.hidden" };
		static const char *const wanted[] = { ".hidden", "cpu1", "cpu2", "cpu10",
						      "online" };
		char **names;

		ck_assert(!tree_list(&tree, "/", &names));
		ck_assert_ptr_null(names[0]);
		free(names);
		for (size_t i = 0; i < COUNT(files); i++)
			write_file(files[i], "", 0);
		ck_assert(!tree_list(&tree, "/", &names));
		for (size_t i = 0; i < COUNT(wanted); i++)
			ck_assert_str_eq(names[i], wanted[i]);
		ck_assert_ptr_null(names[COUNT(wanted)]);
		free(names);
		ck_assert_int_eq(tree_list(&tree, "/none", &names), -ENOENT);
		ck_assert_ptr_null(names);
		ck_assert_int_eq(tree_list(&tree, "/online", &names), -ENOENT);
	}
END_TEST

START_TEST(only_a_file_that_is_there_is_written_and_wholly)
	{
		write_file("/knob", "200000\n", 7);
		ck_assert_int_eq(tree_write(&tree, "/knob", "60\n"), 0);
		expect_text("/knob", "60");
		ck_assert_int_eq(tree_write(&tree, "/none", "60\n"), -ENOENT);
		ck_assert_int_eq(tree_has(&tree, "/none"), -ENOENT);
		ck_assert_int_eq(tree_write(&tree, "/", "60\n"), -EISDIR);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("parse");
	TCase *parsers = tcase_create("parsers"), *files = tcase_create("files");

	tcase_add_test(parsers, lists_of_cpus_are_read_and_printed_again);
	tcase_add_test(parsers, what_is_no_list_of_cpus_is_refused);
	tcase_add_test(parsers, a_list_that_does_not_fit_is_cut_with_dots);
	tcase_add_test(parsers, masks_are_read_from_their_end_on);
	tcase_add_test(parsers, what_is_no_mask_is_refused);
	tcase_add_test(parsers, sets_of_cpus_know_what_is_in_them);
	tcase_add_test(parsers, numbers_are_decimal_or_hexadecimal_with_a_sign);
	tcase_add_test(parsers, what_is_no_number_is_refused_and_leaves_the_value);
	tcase_add_test(parsers, limits_may_be_none);
	tcase_add_test(parsers, sizes_are_printed_for_people);
	tcase_add_test(parsers, the_choice_is_the_word_in_brackets);
	tcase_add_test(parsers, a_field_is_found_by_its_whole_key);
	tcase_add_test(parsers, a_row_of_limits_has_a_soft_and_a_hard_one);
	tcase_add_test(parsers, a_control_group_is_found_by_its_controller);
	tcase_add_test(parsers, nothing_that_a_file_may_have_in_it_breaks_a_parser);
	tcase_add_checked_fixture(files, make_root, remove_root);
	tcase_add_test(files, a_file_is_read_without_the_white_space_at_its_end);
	tcase_add_test(files, a_file_of_24_mebibytes_is_read_and_one_byte_more_is_refused);
	tcase_add_test(files, what_is_no_file_is_an_error_and_nothing_waits);
	tcase_add_test(files, what_may_not_be_read_is_denied);
	tcase_add_test(files, a_folder_is_listed_with_numbers_as_numbers);
	tcase_add_test(files, only_a_file_that_is_there_is_written_and_wholly);
	suite_add_tcase(s, parsers);
	suite_add_tcase(s, files);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
