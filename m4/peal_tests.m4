# SPDX-License-Identifier: MIT
#
# PEAL_TESTS: --enable-tests=yes|no|auto, whether "make check" can build the tests, for which it
# needs libcheck. Sets CHECK_CFLAGS and CHECK_LIBS, AM_CONDITIONAL ENABLE_TESTS, and peal_tests for
# the summary.
AC_DEFUN([PEAL_TESTS], [
  AC_ARG_ENABLE([tests],
    [AS_HELP_STRING([--enable-tests=yes|no|auto], [let "make check" build the tests (auto: if libcheck is there)])],
    [], [enable_tests=auto])
  AS_CASE([$enable_tests],
    [yes|no|auto], [],
    [AC_MSG_ERROR([--enable-tests=$enable_tests is not known: say yes, no or auto])])

  peal_have_tests=no
  peal_tests="no (--disable-tests)"
  AS_IF([test "x$enable_tests" != xno], [
    PKG_CHECK_MODULES([CHECK], [check >= 0.12],
      [peal_have_tests=yes
       peal_tests="yes (check `$PKG_CONFIG --modversion check`)"],
      [AS_IF([test "x$enable_tests" = xyes],
        [AC_MSG_ERROR([--enable-tests=yes, but ${PKG_CONFIG:-pkg-config} does not find "check" 0.12 or later: install it (Debian: pkg-config and check), or say --enable-tests=auto])])
       peal_tests="no (not found; Debian: check)"])
  ])
  AM_CONDITIONAL([ENABLE_TESTS], [test "x$peal_have_tests" = xyes])
])
