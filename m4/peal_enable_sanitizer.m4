# SPDX-License-Identifier: MIT
#
# PEAL_ENABLE_SANITIZER: --enable-sanitizer=address,undefined|thread. Adds to PEAL_CFLAGS, and sets
# TEST_WRAPPER to the command that tests are started with (empty: directly).
AC_DEFUN([PEAL_ENABLE_SANITIZER], [
  AC_ARG_ENABLE([sanitizer],
    [AS_HELP_STRING([--enable-sanitizer=LIST],
      [build with the compiler's sanitizers: address, undefined, or both with a comma; or thread])],
    [], [enable_sanitizer=no])
  AS_CASE([$enable_sanitizer],
    [no], [],
    [address|undefined|thread|address,undefined|undefined,address], [],
    [AC_MSG_ERROR([--enable-sanitizer=$enable_sanitizer is not known: say address, undefined, address,undefined or thread])])

  TEST_WRAPPER=
  AS_IF([test "x$enable_sanitizer" != xno], [
    peal_flags="-fsanitize=$enable_sanitizer -fno-sanitize-recover=all -fno-omit-frame-pointer -g"
    AC_MSG_CHECKING([whether $CC can do -fsanitize=$enable_sanitizer])
    peal_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS $peal_flags"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
      [AC_MSG_RESULT([yes])],
      [AC_MSG_RESULT([no])
       AC_MSG_ERROR([$CC cannot compile and link with -fsanitize=$enable_sanitizer: install its sanitizer libraries (clang: libclang-rt-dev; gcc: libasan, libubsan, libtsan), or leave --enable-sanitizer out])])
    CFLAGS=$peal_save_CFLAGS
    PEAL_CFLAGS="$PEAL_CFLAGS $peal_flags"
    AC_DEFINE_UNQUOTED([PEAL_SANITIZER], ["$enable_sanitizer"], [The sanitizers that are compiled in.])

    # Of all sanitizers, thread needs the addresses of its shadow free, which they are not for
    # every compiler on kernels that scatter mappings widely.
    AS_IF([test "x$enable_sanitizer" = xthread], [
      AC_DEFINE([PEAL_SANITIZE_THREAD], [1],
        [ThreadSanitizer is compiled in: both ends of a pair in one process share their mappings.])
      AS_IF([setarch `uname -m` -R true 2>/dev/null], [TEST_WRAPPER="setarch `uname -m` -R"])
    ])
  ])
  AC_SUBST([TEST_WRAPPER])
])
