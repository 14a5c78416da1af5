# SPDX-License-Identifier: MIT
#
# PEAL_HOST: refuses systems and CPUs that Peal cannot run on, each with one sentence, and sets
# peal_platform to the folder under platform/ that is compiled in, and peal_arch to that under arch/
# beside generic (empty: this CPU has none). The scripts in tests/ read both from the Makefile.
AC_DEFUN([PEAL_HOST], [
  AS_CASE([$host_os],
    [linux*], [peal_platform=linux],
    [AC_MSG_ERROR([this is $host_os, and this version of Peal runs on Linux only])])

  AC_CHECK_SIZEOF([void *])
  AS_IF([test "x$ac_cv_sizeof_void_p" != x8],
    [AC_MSG_ERROR([pointers have $ac_cv_sizeof_void_p bytes here, and Peal needs 64-bit loads of shared words: build for a 64-bit system])])

  AC_C_BIGENDIAN(
    [AC_MSG_ERROR([$host_cpu is big-endian, and the layout that Peal's processes share is little-endian])],
    [],
    [AC_MSG_ERROR([the byte order of $host_cpu cannot be told, and Peal needs little-endian: say ac_cv_c_bigendian=no if it is])],
    [AC_MSG_ERROR([Peal cannot be built for two byte orders at once])])

  AS_CASE([$host_cpu],
    [x86_64], [peal_arch=x86],
    [aarch64], [peal_arch=arm64],
    [riscv64], [peal_arch=riscv],
    [peal_arch=])
  AS_IF([test ! -d "$srcdir/arch/$peal_arch"], [peal_arch=])
  AC_SUBST([peal_arch])
  AC_SUBST([peal_platform])
])
