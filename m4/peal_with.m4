# SPDX-License-Identifier: MIT
#
# PEAL_WITH(NAME, VARIABLE, MODULE, PACKAGE, PURPOSE, [tools]): --with-NAME=yes|no|auto for a library that
# pkg-config knows as MODULE and Debian as PACKAGE. Sets VARIABLE_CFLAGS and VARIABLE_LIBS, defines
# HAVE_VARIABLE, adds MODULE to what static linking requires (PEAL_REQUIRES) unless only tools use
# it, and puts what came out of it into peal_NAME for the summary.
AC_DEFUN([PEAL_WITH], [
  AC_ARG_WITH([$1],
    [AS_HELP_STRING([--with-$1=yes|no|auto], [$5 (auto: if it is there)])],
    [], [with_$1=auto])
  AS_CASE([$with_$1],
    [yes|no|auto], [],
    [AC_MSG_ERROR([--with-$1=$with_$1 is not known: say yes, no or auto])])

  peal_$1="no (--without-$1)"
  AS_IF([test "x$with_$1" != xno], [
    PKG_CHECK_MODULES([$2], [$3],
      [AC_DEFINE([HAVE_$2], [1], [$1 is there: $5.])
       m4_if([$6], [tools], [], [PEAL_REQUIRES="${PEAL_REQUIRES:+$PEAL_REQUIRES, }$3"])
       peal_$1="yes (`$PKG_CONFIG --modversion $3`)"],
      [AS_IF([test "x$with_$1" = xyes],
        [AC_MSG_ERROR([--with-$1=yes, but ${PKG_CONFIG:-pkg-config} does not find "$3": install it (Debian: pkg-config and $4), or say --with-$1=auto])])
       $2_CFLAGS=
       $2_LIBS=
       peal_$1="no (not found; Debian: $4)"])
  ])
  AC_SUBST([PEAL_REQUIRES])
])
