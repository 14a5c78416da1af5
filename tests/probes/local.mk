# SPDX-License-Identifier: MIT
#
# Static probes. The program is built by "make check", and run under a debugger by
# "make check-probes".

EXTRA_DIST += tests/probes/listen.gdb tests/probes/run

if ENABLE_TESTS
proof_helpers += tests/probes/events
tests_probes_events_SOURCES = tests/probes/events.c
tests_probes_events_LDADD = libpeal.la
endif

check-probes: all tests/probes/events
	$(top_srcdir)/tests/probes/run '$(top_builddir)'

.PHONY: check-probes
