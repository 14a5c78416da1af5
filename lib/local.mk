# SPDX-License-Identifier: MIT
#
# The library. libpealcore.la is all of lib/, arch/ and platform/, with every internal name in
# reach; white-box tests link it. libpeal.la is made of it and exports only what lib/libpeal.map
# says; everything else links that.

noinst_LTLIBRARIES += libpealcore.la
libpealcore_la_SOURCES = \
	lib/address.c \
	lib/address.h \
	lib/admission.c \
	lib/admission.h \
	lib/bell.c \
	lib/bell.h \
	lib/bulk.c \
	lib/bulk.h \
	lib/call.c \
	lib/call.h \
	lib/claim.c \
	lib/claim.h \
	lib/client.c \
	lib/clients.c \
	lib/clients.h \
	lib/connect.c \
	lib/connect.h \
	lib/descriptor.c \
	lib/error.c \
	lib/error.h \
	lib/evict.c \
	lib/evict.h \
	lib/facts.c \
	lib/ffi.c \
	lib/handshake.c \
	lib/handshake.h \
	lib/inbox.h \
	lib/large.c \
	lib/large.h \
	lib/link.c \
	lib/link.h \
	lib/listen.c \
	lib/listen.h \
	lib/monitor.c \
	lib/options.c \
	lib/options.h \
	lib/pending.c \
	lib/pending.h \
	lib/placement.c \
	lib/placement.h \
	lib/probe.h \
	lib/registry.c \
	lib/registry.h \
	lib/reply.c \
	lib/ring.c \
	lib/ring.h \
	lib/runtime.c \
	lib/runtime.h \
	lib/segment.c \
	lib/segment.h \
	lib/server.c \
	lib/set.c \
	lib/set.h \
	lib/spin.c \
	lib/spin.h \
	lib/stats.c \
	lib/stats.h \
	lib/worker.c \
	lib/worker.h
libpealcore_la_LIBADD = $(LIBCAP_LIBS)
libpealcore_la_LDFLAGS =

lib_LTLIBRARIES += libpeal.la
libpeal_la_SOURCES =
libpeal_la_LIBADD = libpealcore.la
# libpeal.so.0 until 1.0.
libpeal_la_LDFLAGS = -version-info 0:0:0 $(NO_UNDEFINED)
if HAVE_VERSION_SCRIPT
libpeal_la_LDFLAGS += -Wl,--version-script=$(top_srcdir)/lib/libpeal.map
EXTRA_libpeal_la_DEPENDENCIES = lib/libpeal.map
endif
EXTRA_DIST += lib/libpeal.map
