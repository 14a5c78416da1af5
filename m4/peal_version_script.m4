# SPDX-License-Identifier: MIT
#
# PEAL_VERSION_SCRIPT: whether the linker takes a version script (AM_CONDITIONAL
# HAVE_VERSION_SCRIPT), and the flag that makes undefined symbols of the shared library an error
# (NO_UNDEFINED; empty with sanitizers, whose symbols the program brings). Runs after
# PEAL_ENABLE_SANITIZER.
AC_DEFUN([PEAL_VERSION_SCRIPT], [
  peal_save_LDFLAGS=$LDFLAGS

  AC_CACHE_CHECK([whether the linker takes a version script], [peal_cv_version_script], [
    echo "PEAL_TEST { global: main; local: *; };" >conftest.map
    LDFLAGS="$LDFLAGS -Wl,--version-script=conftest.map"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
      [peal_cv_version_script=yes], [peal_cv_version_script=no])
    LDFLAGS=$peal_save_LDFLAGS
    rm -f conftest.map
  ])
  AM_CONDITIONAL([HAVE_VERSION_SCRIPT], [test "x$peal_cv_version_script" = xyes])

  AC_CACHE_CHECK([whether the linker takes -z defs], [peal_cv_z_defs], [
    LDFLAGS="$LDFLAGS -Wl,-z,defs"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [peal_cv_z_defs=yes], [peal_cv_z_defs=no])
    LDFLAGS=$peal_save_LDFLAGS
  ])
  NO_UNDEFINED=
  AS_IF([test "x$peal_cv_z_defs,$enable_sanitizer" = xyes,no], [NO_UNDEFINED="-Wl,-z,defs"])
  AC_SUBST([NO_UNDEFINED])
])
