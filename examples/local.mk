# SPDX-License-Identifier: MIT
#
# Examples: built with everything else, not installed. One file each, of the same name. Those for
# the event loop of a library are built where that is there.

noinst_PROGRAMS += \
	examples/echo-calls \
	examples/echo-client \
	examples/echo-epoll \
	examples/echo-server \
	examples/echo-service \
	examples/echo-set \
	examples/exchange
if HAVE_LIBUV
noinst_PROGRAMS += examples/echo-libuv
examples_echo_libuv_CFLAGS = $(AM_CFLAGS) $(LIBUV_CFLAGS)
examples_echo_libuv_LDADD = $(LDADD) $(LIBUV_LIBS)
endif
if HAVE_GLIB
noinst_PROGRAMS += examples/echo-glib
examples_echo_glib_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
examples_echo_glib_LDADD = $(LDADD) $(GLIB_LIBS)
endif

EXTRA_DIST += \
	examples/probes.bt \
	examples/systemd/echo.service \
	examples/systemd/echo.socket
