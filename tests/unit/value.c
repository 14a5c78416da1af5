/*
 * SPDX-License-Identifier: MIT
 *
 * White-box tests of peal-tune's judging of what it wrote: tools/peal-tune/value.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "tests/runner.h"
#include "tools/peal-tune/value.h"

#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
#define OTHER "/proc/sys/vm/swappiness"

START_TEST(what_the_kernel_shows_otherwise_is_the_same)
	{
		static const char *const same[][2] = {
			{ "madvise", "always [madvise] never" },
			{ "[always] madvise never", "always" },
			{ "10", "0xa" },
			{ "10", " 10\n" },
			{ "0010", "10" },
			{ "1", "Y" },
			{ "N", "0" },
			{ "0-3,5", "0,1,2,3,5" },
			{ "ff", "00000000,000000ff" },
			{ "4096 87380", "4096\t87380" },
			{ "performance", "performance" },
			{ "", "" },
		};

		for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
			ck_assert_msg(value_same(same[i][0], same[i][1]), "%s, %s", same[i][0],
				      same[i][1]);
			ck_assert_msg(value_same(same[i][1], same[i][0]), "%s, %s", same[i][1],
				      same[i][0]);
		}
	}
END_TEST

START_TEST(what_says_something_else_is_not_the_same)
	{
		static const char *const other[][2] = {
			{ "madvise", "[always] madvise never" },
			{ "always [madvise] never", "always madvise [never]" },
			{ "10", "11" },
			{ "10", "10 20" },
			{ "10", "" },
			{ "", "0" },
			{ "Y", "0" },
			{ "Y", "N" },
			{ "0-3", "0-4" },
			{ "ff", "00000001,000000ff" },
			{ "performance", "powersave" },
			{ "perform", "performance" },
			{ "99999999999999999999", "99999999999999999998" },
		};

		for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
			ck_assert_msg(!value_same(other[i][0], other[i][1]), "%s, %s", other[i][0],
				      other[i][1]);
			ck_assert_msg(!value_same(other[i][1], other[i][0]), "%s, %s", other[i][1],
				      other[i][0]);
		}
	}
END_TEST

START_TEST(of_a_choice_only_the_chosen_word_is_written_back)
	{
		char *value = value_of("always [madvise] never");

		ck_assert_str_eq(value, "madvise");
		free(value);
		value = value_of("0-3,5");
		ck_assert_str_eq(value, "0-3,5");
		free(value);
	}
END_TEST

START_TEST(a_pool_that_came_half_way_is_partly_filled)
	{
		ck_assert_int_eq(value_judge(POOL, "0", "10", "10"), VALUE_TAKEN);
		ck_assert_int_eq(value_judge(POOL, "0", "10", "7"), VALUE_PARTLY);
		ck_assert_int_eq(value_judge(POOL, "10", "0", "3"), VALUE_PARTLY);
		ck_assert_int_eq(value_judge(POOL, "0", "10", "0"), VALUE_REFUSED);
		ck_assert_int_eq(value_judge(POOL, "5", "10", "4"), VALUE_REFUSED);
		ck_assert_int_eq(value_judge(POOL, "0", "10", "nonsense"), VALUE_REFUSED);
		ck_assert_int_eq(value_judge(OTHER, "0", "10", "7"), VALUE_REFUSED);
		ck_assert_int_eq(value_judge(OTHER, "60", "10", "10"), VALUE_TAKEN);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("value");
	TCase *values = tcase_create("values");

	tcase_add_test(values, what_the_kernel_shows_otherwise_is_the_same);
	tcase_add_test(values, what_says_something_else_is_not_the_same);
	tcase_add_test(values, of_a_choice_only_the_chosen_word_is_written_back);
	tcase_add_test(values, a_pool_that_came_half_way_is_partly_filled);
	suite_add_tcase(s, values);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
