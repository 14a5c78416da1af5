# SPDX-License-Identifier: MIT
#
# PEAL_TESTS: --enable-tests=yes|no, whether "make check" builds the tests, and
# --with-check=auto|libcheck|small, what they run under: libcheck, or the small runner of our own in
# tests/small, which takes its place where it is not to be had. Sets CHECK_CFLAGS and CHECK_LIBS,
# AM_CONDITIONAL ENABLE_TESTS and SMALL_CHECK, and peal_tests for the summary.
#
# Programs that only an emulator can run here, qemu-user's, are started through TEST_EMULATOR, by
# make and by tests that start programs; TEST_WRAPPER (see PEAL_ENABLE_SANITIZER) is by make only.
#
# NO_LTO links what gcc -flto compiled as if that had not been said; objects must have code for it.
AC_DEFUN([PEAL_TESTS], [
  AC_ARG_ENABLE([tests],
    [AS_HELP_STRING([--disable-tests], [let "make check" build no tests])],
    [], [enable_tests=yes])
  AS_CASE([$enable_tests],
    [yes|no], [],
    [AC_MSG_ERROR([--enable-tests=$enable_tests is not known: say yes or no])])
  AC_ARG_WITH([check],
    [AS_HELP_STRING([--with-check=auto|libcheck|small],
      [run the tests with libcheck, or with the runner in tests/small (auto: libcheck if it is there)])],
    [], [with_check=auto])
  AS_CASE([$with_check],
    [auto|libcheck|small], [],
    [AC_MSG_ERROR([--with-check=$with_check is not known: say auto, libcheck or small])])

  peal_tests="no (--disable-tests)"
  AS_IF([test "x$enable_tests" = xno], [with_check=small])
  AS_IF([test "x$with_check" != xsmall], [
    PKG_CHECK_MODULES([CHECK], [check >= 0.12],
      [peal_tests="with libcheck `$PKG_CONFIG --modversion check`"
       with_check=libcheck],
      [AS_IF([test "x$with_check" = xlibcheck],
        [AC_MSG_ERROR([--with-check=libcheck, but ${PKG_CONFIG:-pkg-config} does not find "check" 0.12 or later: install it (Debian: pkg-config and check), or say --with-check=small])])
       with_check=small])
  ])
  AS_IF([test "x$enable_tests,$with_check" = xyes,small], [
    CHECK_CFLAGS='-I$(top_srcdir)/tests/small'
    CHECK_LIBS=
    peal_tests="with tests/small"
  ])

  TEST_EMULATOR=
  AS_IF([test "x$cross_compiling" = xyes], [
    AC_PATH_PROG([peal_qemu], [qemu-$host_cpu])
    AS_IF([test -n "$peal_qemu"], [TEST_EMULATOR="$peal_qemu -L /usr/$host_alias"])
    peal_tests="$peal_tests, ${TEST_EMULATOR:-which cannot run here (no qemu-$host_cpu)}"
  ])
  AC_SUBST([TEST_EMULATOR])

  NO_LTO=
  AS_CASE(["$enable_tests $GCC $CC $CFLAGS"],
    [*clang*], [],
    [yes\ yes\ *-flto*], [
      NO_LTO=-fno-lto
      PEAL_CFLAGS="$PEAL_CFLAGS -ffat-lto-objects"
    ])
  AC_SUBST([NO_LTO])
  AM_CONDITIONAL([ENABLE_TESTS], [test "x$enable_tests" = xyes])
  AM_CONDITIONAL([SMALL_CHECK], [test "x$with_check" = xsmall])
])
