# SPDX-License-Identifier: MIT
#
# Weight: how many instructions the hot verbs take. Its program is built by "make check", and run by
# "make check-weight", which needs valgrind.

EXTRA_DIST += tests/weight/run tests/weight/counts

if ENABLE_TESTS
proof_helpers += tests/weight/weight
tests_weight_weight_SOURCES = tests/weight/weight.c
tests_weight_weight_LDADD = libpeal.la
endif

check-weight: all tests/weight/weight
	$(top_srcdir)/tests/weight/run '$(top_srcdir)' '$(top_builddir)'

.PHONY: check-weight
