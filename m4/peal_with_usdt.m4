# SPDX-License-Identifier: MIT
#
# PEAL_WITH_USDT: --with-usdt=yes|no|auto for static probes, which need a header, sys/sdt.h, and no
# library. Defines HAVE_USDT, and puts what came out of it into peal_usdt for the summary.
AC_DEFUN([PEAL_WITH_USDT], [
  AC_ARG_WITH([usdt],
    [AS_HELP_STRING([--with-usdt=yes|no|auto], [have static probes for perf, bpftrace and gdb (auto: if sys/sdt.h is there)])],
    [], [with_usdt=auto])
  AS_CASE([$with_usdt],
    [yes|no|auto], [],
    [AC_MSG_ERROR([--with-usdt=$with_usdt is not known: say yes, no or auto])])

  peal_usdt="no (--without-usdt)"
  AS_IF([test "x$with_usdt" != xno], [
    AC_CHECK_HEADER([sys/sdt.h],
      [AC_DEFINE([HAVE_USDT], [1], [sys/sdt.h is there: have static probes.])
       peal_usdt=yes],
      [AS_IF([test "x$with_usdt" = xyes],
        [AC_MSG_ERROR([--with-usdt=yes, but there is no sys/sdt.h: install it (Debian: systemtap-sdt-dev), or say --with-usdt=auto])])
       peal_usdt="no (not found; Debian: systemtap-sdt-dev)"])
  ])
])
