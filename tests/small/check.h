/*
 * SPDX-License-Identifier: MIT
 *
 * The part of libcheck's interface that our tests use, for systems that have no libcheck: those
 * that we cross-build for, and C libraries that it is not packaged for. configure puts this folder
 * where check.h is looked for: if it finds no libcheck, or is told --with-check=small. The names
 * and what they promise are libcheck's.
 *
 * Each test runs in a process of its own, the leader of a process group that ends with it. Checked
 * fixtures run there, unchecked ones in the process that runs the tests. CK_FORK=no, CK_RUN_SUITE,
 * CK_RUN_CASE, CK_DEFAULT_TIMEOUT and CK_TIMEOUT_MULTIPLIER are listened to.
 */
#pragma GCC system_header /* as the other check.h: no warnings about what its macros become */
#ifndef TESTS_SMALL_CHECK_H
#define TESTS_SMALL_CHECK_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct Suite Suite;
typedef struct TCase TCase;
typedef struct SRunner SRunner;

typedef struct {
	const char *name;
	void (*run)(int i);
} TTest;

enum print_output { CK_SILENT };

#define START_TEST(name)                                        \
	static void name##_run(int i);                          \
	static const TTest name##_test = { #name, name##_run }; \
	static const TTest *const name = &name##_test;          \
	static void name##_run(int _i __attribute__((unused)))
#define END_TEST

Suite *suite_create(const char *name);
void suite_add_tcase(Suite *suite, TCase *tcase);

TCase *tcase_create(const char *name);
void tcase_set_timeout(TCase *tcase, double seconds);
void tcase_add_checked_fixture(TCase *tcase, void (*setup)(void), void (*teardown)(void));
void tcase_add_unchecked_fixture(TCase *tcase, void (*setup)(void), void (*teardown)(void));
/* For i from start up to, but not with, end. */
void tcase_add_loop_test(TCase *tcase, const TTest *test, int start, int end);
#define tcase_add_test(tcase, test) tcase_add_loop_test(tcase, test, 0, 1)

/* The suite may be NULL. What is made is freed with the runner. */
SRunner *srunner_create(Suite *suite);
void srunner_add_suite(SRunner *runner, Suite *suite);
void srunner_set_log(SRunner *runner, const char *path);
/* Prints nothing: what came of the tests is in the log. */
void srunner_run_all(SRunner *runner, enum print_output mode);
void srunner_free(SRunner *runner);

/* Notes that the test has come so far; and ends it, or the child of a test that it is called in. */
void small_mark(const char *file, int line);
void small_fail(const char *file, int line, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));

#define ck_abort_msg(...) small_fail(__FILE__, __LINE__, __VA_ARGS__)
#define ck_assert_msg(expression, ...) \
	((expression) ? small_mark(__FILE__, __LINE__) : ck_abort_msg(__VA_ARGS__))
#define ck_assert(expression) ck_assert_msg(expression, "Assertion '%s' failed", #expression)

#define SMALL_COMPARE(type, format, x, op, y)                                           \
	do {                                                                            \
		type small_x = (x);                                                     \
		type small_y = (y);                                                     \
		ck_assert_msg(small_x op small_y,                                       \
			      "Assertion '%s' failed: %s == " format ", %s == " format, \
			      #x " " #op " " #y, #x, small_x, #y, small_y);             \
	} while (0)

#define ck_assert_int_eq(x, y) SMALL_COMPARE(intmax_t, "%jd", x, ==, y)
#define ck_assert_int_ne(x, y) SMALL_COMPARE(intmax_t, "%jd", x, !=, y)
#define ck_assert_int_lt(x, y) SMALL_COMPARE(intmax_t, "%jd", x, <, y)
#define ck_assert_int_le(x, y) SMALL_COMPARE(intmax_t, "%jd", x, <=, y)
#define ck_assert_int_gt(x, y) SMALL_COMPARE(intmax_t, "%jd", x, >, y)
#define ck_assert_int_ge(x, y) SMALL_COMPARE(intmax_t, "%jd", x, >=, y)
#define ck_assert_uint_eq(x, y) SMALL_COMPARE(uintmax_t, "%ju", x, ==, y)
#define ck_assert_uint_ne(x, y) SMALL_COMPARE(uintmax_t, "%ju", x, !=, y)
#define ck_assert_uint_lt(x, y) SMALL_COMPARE(uintmax_t, "%ju", x, <, y)
#define ck_assert_uint_le(x, y) SMALL_COMPARE(uintmax_t, "%ju", x, <=, y)
#define ck_assert_uint_gt(x, y) SMALL_COMPARE(uintmax_t, "%ju", x, >, y)
#define ck_assert_uint_ge(x, y) SMALL_COMPARE(uintmax_t, "%ju", x, >=, y)
#define ck_assert_double_eq(x, y) SMALL_COMPARE(double, "%.17g", x, ==, y)
#define ck_assert_double_lt(x, y) SMALL_COMPARE(double, "%.17g", x, <, y)
#define ck_assert_double_le(x, y) SMALL_COMPARE(double, "%.17g", x, <=, y)
#define ck_assert_double_gt(x, y) SMALL_COMPARE(double, "%.17g", x, >, y)
#define ck_assert_double_ge(x, y) SMALL_COMPARE(double, "%.17g", x, >=, y)
#define ck_assert_double_eq_tol(x, y, tolerance)                                          \
	do {                                                                              \
		double small_x = (x), small_y = (y);                                      \
		ck_assert_msg(fabs(small_x - small_y) <= (tolerance),                     \
			      "Assertion '%s' failed: %s == %.17g, %s == %.17g",          \
			      #x " == " #y ", give or take " #tolerance, #x, small_x, #y, \
			      small_y);                                                   \
	} while (0)
#define ck_assert_ptr_eq(x, y) SMALL_COMPARE(const void *, "%p", x, ==, y)
#define ck_assert_ptr_ne(x, y) SMALL_COMPARE(const void *, "%p", x, !=, y)
#define ck_assert_ptr_null(x) ck_assert_ptr_eq(x, NULL)
#define ck_assert_ptr_nonnull(x) ck_assert_ptr_ne(x, NULL)

/* clang-format off: it takes the operator for a type */
#define SMALL_STRINGS(x, op, y)                                                        \
	do {                                                                           \
		const char *small_x = (x), *small_y = (y);                             \
		ck_assert_msg(small_x &&small_y &&strcmp(small_x, small_y) op 0,       \
			      "Assertion '%s' failed: %s == \"%s\", %s == \"%s\"",     \
			      #x " " #op " " #y, #x, small_x ? small_x : "(null)", #y, \
			      small_y ? small_y : "(null)");                           \
	} while (0)
/* clang-format on */

#define ck_assert_str_eq(x, y) SMALL_STRINGS(x, ==, y)
#define ck_assert_str_ne(x, y) SMALL_STRINGS(x, !=, y)
#define ck_assert_mem_eq(x, y, size)                                                      \
	ck_assert_msg(memcmp(x, y, size) == 0, "Assertion '%s' failed: %s and %s differ", \
		      #x " == " #y, #x, #y)

#endif
