# SPDX-License-Identifier: MIT
#
# PEAL_COMPILER: checks that the compiler is one of those that Peal is written for, and puts the
# flags that every file is compiled with into PEAL_CFLAGS.
AC_DEFUN([PEAL_COMPILER], [
  PEAL_CFLAGS="-std=gnu11 -pthread -fvisibility=hidden"
  PEAL_CFLAGS="$PEAL_CFLAGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion"

  AC_MSG_CHECKING([whether $CC takes C11, hidden visibility and __atomic])
  peal_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS $PEAL_CFLAGS"
  AC_LINK_IFELSE(
    [AC_LANG_PROGRAM(
      [[#include <stdint.h>
        _Static_assert(sizeof(uint64_t) == 8, "C11");
        __attribute__((visibility("default"))) uint64_t word;]],
      [[__atomic_store_n(&word, 1, __ATOMIC_RELEASE);]])],
    [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([$CC does not understand "$PEAL_CFLAGS": use gcc 7 or clang 7, or a later one (CC=...)])])
  CFLAGS=$peal_save_CFLAGS
  AC_SUBST([PEAL_CFLAGS])
])
