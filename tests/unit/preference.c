/*
 * SPDX-License-Identifier: MIT
 *
 * Which ring variant is picked, of some that are made up: they stand in the place of the CPU's own
 * (the linker puts them there). The environment is read once a process; so each of these tests
 * needs one of its own, which CK_FORK=no does not give it.
 */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/runtime.h"
#include "tests/runner.h"

static unsigned tried[4]; /* how often each was asked whether it is usable */

static bool polls_usable(const char **why)
{
	tried[1]++;
	*why = "it polls";
	return true;
}

static bool rests_usable(const char **why)
{
	tried[2]++;
	*why = "it rests";
	return true;
}

static bool missing_usable(const char **why)
{
	tried[0]++;
	*why = "there is none";
	return false;
}

static bool last_usable(const char **why)
{
	tried[3]++;
	*why = "it is always there";
	return true;
}

static void relax(void)
{
}

static uint64_t await(const uint64_t *word, uint64_t old, uint64_t ns)
{
	(void)old;
	(void)ns;
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static const struct peal_ring_ops missing = { "missing", missing_usable, relax, await, 64, 0 };
static const struct peal_ring_ops polls = { "polls", polls_usable, relax, await, 64, 0 };
static const struct peal_ring_ops rests = { "rests", rests_usable, relax, await, 64, 0 };
static const struct peal_ring_ops last = { "last", last_usable, relax, await, 64, 0 };

/* In place of arch_ring_ops. */
extern const struct peal_ring_ops *const __wrap_arch_ring_ops[];
const struct peal_ring_ops *const __wrap_arch_ring_ops[] = { &missing, &polls, &rests, &last,
							     NULL };

/* The runtime where this was asked for (NULL: nothing), and what was logged meanwhile. */
static const struct runtime *picked(const char *asked, char log[1024])
{
	const struct runtime *runtime;
	int ends[2], err = dup(STDERR_FILENO);
	ssize_t length;

	unsetenv("PEAL_LOG");
	unsetenv("PEAL_RING_VARIANT");
	if (asked)
		setenv("PEAL_RING_VARIANT", asked, 1);
	ck_assert(err >= 0 && !pipe2(ends, O_NONBLOCK));
	dup2(ends[1], STDERR_FILENO);
	runtime = runtime_get();
	dup2(err, STDERR_FILENO);
	length = read(ends[0], log, 1023);
	log[length > 0 ? length : 0] = '\0';
	return runtime;
}

static void expect_tried(unsigned first, unsigned second, unsigned third, unsigned fourth)
{
	ck_assert_uint_eq(tried[0], first);
	ck_assert_uint_eq(tried[1], second);
	ck_assert_uint_eq(tried[2], third);
	ck_assert_uint_eq(tried[3], fourth);
}

START_TEST(the_first_that_is_usable_is_picked_and_none_after_it_is_tried)
	{
		char log[1024];
		const struct runtime *runtime = picked(NULL, log);

		ck_assert_str_eq(runtime->ring->name, "polls");
		ck_assert_str_eq(runtime->ring_why, "it polls");
		ck_assert_str_eq(log, "");
		expect_tried(1, 1, 0, 0);
	}
END_TEST

START_TEST(one_that_is_asked_for_is_picked_and_those_between_are_not_tried)
	{
		char log[1024];
		const struct runtime *runtime = picked("last", log);

		ck_assert_str_eq(runtime->ring->name, "last");
		ck_assert_ptr_nonnull(strstr(runtime->ring_why, "PEAL_RING_VARIANT"));
		ck_assert_str_eq(log, "");
		ck_assert_uint_eq(tried[2], 0);
		ck_assert_uint_eq(tried[3], 1);
	}
END_TEST

START_TEST(one_that_is_asked_for_and_cannot_be_used_is_refused_with_its_reason)
	{
		char log[1024];
		const struct runtime *runtime = picked("missing", log);

		ck_assert_str_eq(runtime->ring->name, "polls");
		ck_assert_ptr_nonnull(strstr(log, "PEAL_RING_VARIANT=missing cannot be used here"));
		ck_assert_ptr_nonnull(strstr(log, "there is none"));
		expect_tried(1, 1, 0, 0);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("preference");
	TCase *tcase = tcase_create("preference");

	tcase_add_test(tcase, the_first_that_is_usable_is_picked_and_none_after_it_is_tried);
	tcase_add_test(tcase, one_that_is_asked_for_is_picked_and_those_between_are_not_tried);
	tcase_add_test(tcase, one_that_is_asked_for_and_cannot_be_used_is_refused_with_its_reason);
	suite_add_tcase(s, tcase);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
