# SPDX-License-Identifier: MIT
#
# Limits of the machine and of the process that are reached. Adds its programs to proof_tests,
# and what they start to proof_helpers. See docs/assurance.md.

proof_tests += \
	tests/limits/clocks \
	tests/limits/forking \
	tests/limits/memory \
	tests/limits/quotas \
	tests/limits/rlimits \
	tests/limits/stopped

if ENABLE_TESTS
tests_limits_clocks_LDADD = $(process)
tests_limits_forking_SOURCES = tests/limits/forking.c tests/limits/states.c tests/limits/states.h
tests_limits_forking_LDADD = tests/unit/libstage.la $(behaviour)
tests_limits_memory_LDADD = tests/unit/libstage.la $(behaviour)
tests_limits_quotas_SOURCES = tests/limits/quotas.c tests/limits/host.c tests/limits/host.h
tests_limits_quotas_LDADD = tests/unit/libstage.la $(behaviour)
tests_limits_rlimits_SOURCES = tests/limits/rlimits.c tests/limits/host.c tests/limits/host.h
tests_limits_rlimits_LDADD = tests/unit/libstage.la $(behaviour)
tests_limits_stopped_LDADD = $(process)
endif

EXTRA_DIST += \
	tests/limits/surrounded \
	tests/limits/valgrind.supp \
	tests/limits/wall-clock

check-limits: all
	@failed=; \
	$(top_srcdir)/tests/limits/wall-clock .libs/libpealcore.a '$(top_srcdir)' || failed=yes; \
	MAKE='$(MAKE)' $(top_srcdir)/tests/limits/surrounded '$(abs_top_builddir)' || failed=yes; \
	test -z "$$failed"

.PHONY: check-limits
