# SPDX-License-Identifier: MIT
#
# The tests. "make check" runs the programs of tests/unit and tests/process, and what the folders
# below add to proof_tests, with automake's harness; "make check-NAME" runs the script of another
# folder. Each prints its tests and closes with "N passed, N failed, N skipped".
#
# To add a test program: write tests/unit/NAME.c, put tests/unit/NAME into unit_tests, and say what
# it links, in one line tests_unit_NAME_LDADD = $(white_box) or $(behaviour). A program that is
# only started by tests goes into test_helpers.

# White-box tests reach every internal name; tests of behaviour have only what users have.
white_box = tests/librunner.la libpealcore.la $(CHECK_LIBS)
behaviour = tests/librunner.la libpeal.la $(CHECK_LIBS)
# Programs that link with -Wl,--wrap also name $(NO_LTO), last: where gcc optimizes when it links, it
# binds calls before the linker sees them, and nothing would be wrapped.
process = tests/process/libscene.la $(behaviour)

unit_tests = \
	tests/unit/address \
	tests/unit/admission \
	tests/unit/agreed \
	tests/unit/batch \
	tests/unit/bell \
	tests/unit/bulk \
	tests/unit/call \
	tests/unit/client \
	tests/unit/counters \
	tests/unit/debug \
	tests/unit/disturbed \
	tests/unit/dormant \
	tests/unit/evict \
	tests/unit/exchange \
	tests/unit/ffi \
	tests/unit/fork \
	tests/unit/forms \
	tests/unit/golden \
	tests/unit/handshake \
	tests/unit/hostile \
	tests/unit/idle \
	tests/unit/large \
	tests/unit/layout \
	tests/unit/memory \
	tests/unit/monitor \
	tests/unit/notify \
	tests/unit/offcpu \
	tests/unit/options \
	tests/unit/parse \
	tests/unit/placement \
	tests/unit/pollable \
	tests/unit/preference \
	tests/unit/ring \
	tests/unit/runner \
	tests/unit/runtime \
	tests/unit/segment \
	tests/unit/server \
	tests/unit/spin \
	tests/unit/top \
	tests/unit/value \
	tests/unit/variants_arm64 \
	tests/unit/variants_riscv \
	tests/unit/variants_x86

process_tests = \
	tests/process/calls \
	tests/process/closing \
	tests/process/containers \
	tests/process/credentials \
	tests/process/death \
	tests/process/examples \
	tests/process/filters \
	tests/process/forks \
	tests/process/pages \
	tests/process/patience \
	tests/process/server \
	tests/process/server_kills \
	tests/process/serving

# Those that depend on the size of a page.
paged_tests = \
	tests/unit/batch \
	tests/unit/fork \
	tests/unit/handshake \
	tests/unit/large \
	tests/unit/monitor \
	tests/unit/options \
	tests/unit/ring \
	tests/unit/segment

test_helpers = \
	tests/process/engine \
	tests/process/peer

# What the tests of peal-top start.
tool_helpers = \
	tests/tools/terminal \
	tests/tools/visitor

# The folders of proofs say what they add to these lists.
proof_tests =
proof_helpers =
proof_libraries =
include tests/probes/local.mk
include tests/litmus/local.mk
include tests/hostile/local.mk
include tests/fuzz/local.mk
include tests/fault/local.mk
include tests/kill/local.mk
include tests/limits/local.mk
include tests/soak/local.mk
include tests/weight/local.mk

if ENABLE_TESTS
check_PROGRAMS = $(unit_tests) $(process_tests) $(proof_tests) $(soak_tests) $(test_helpers) \
	$(proof_helpers) $(tool_helpers)
TESTS = $(unit_tests) $(process_tests) $(proof_tests) $(soak_tests)

# Where check.h is; only tests include it.
AM_CPPFLAGS += $(CHECK_CFLAGS)

check_LTLIBRARIES = tests/librunner.la $(proof_libraries)
tests_librunner_la_SOURCES = tests/runner.c tests/runner.h
if SMALL_CHECK
tests_librunner_la_SOURCES += tests/small/check.c tests/small/check.h
endif
tests_librunner_la_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_EMULATOR='"$(TEST_EMULATOR)"' \
	-DTEST_BUILD='"$(abs_top_builddir)"' -DTEST_SOURCE='"$(abs_top_srcdir)"'
tests_librunner_la_LDFLAGS =

# Taking system calls away.
check_LTLIBRARIES += tests/libfilter.la
tests_libfilter_la_SOURCES = tests/filter.c tests/filter.h
tests_libfilter_la_LDFLAGS =

# What the unit tests stand on.
check_LTLIBRARIES += tests/unit/libstage.la
tests_unit_libstage_la_SOURCES = tests/unit/combination.c tests/unit/combination.h \
	tests/unit/stage.c tests/unit/stage.h \
	tests/unit/stepper.c tests/unit/stepper.h tests/unit/stranger.c tests/unit/stranger.h
tests_unit_libstage_la_LDFLAGS =
tests_unit_address_LDADD = tests/unit/libstage.la $(behaviour)
tests_unit_admission_LDADD = tests/unit/libstage.la $(white_box) $(NO_LTO)
tests_unit_admission_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=platform_now -Wl,--wrap=platform_peer
tests_unit_agreed_LDADD = tests/unit/libstage.la $(behaviour)
tests_unit_batch_LDADD = tests/unit/libstage.la $(white_box)
tests_unit_bell_LDADD = tests/unit/libstage.la $(white_box)
tests_unit_bulk_LDADD = tests/unit/libstage.la $(white_box)
tests_unit_call_LDADD = tests/unit/libstage.la $(white_box)
tests_unit_client_LDADD = tests/unit/libstage.la $(white_box) $(NO_LTO)
tests_unit_client_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=platform_connect -Wl,--wrap=platform_now \
	-Wl,--wrap=platform_sleep
tests_unit_counters_LDADD = tests/unit/libstage.la $(white_box) $(NO_LTO)
tests_unit_counters_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=platform_now
tests_unit_debug_LDADD = tests/unit/libstage.la $(behaviour)
tests_unit_disturbed_LDADD = tests/unit/libstage.la tests/libfilter.la $(white_box)
tests_unit_dormant_LDADD = tests/unit/libstage.la $(white_box)
tests_unit_evict_LDADD = tests/unit/libstage.la $(white_box) $(NO_LTO)
tests_unit_evict_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=arch_evict -Wl,--wrap=arch_ticks
tests_unit_exchange_LDADD = tests/unit/libstage.la $(white_box)
tests_unit_ffi_LDADD = $(behaviour)
tests_unit_fork_LDADD = tests/unit/libstage.la $(behaviour)
tests_unit_forms_LDADD = tests/unit/libstage.la tests/libfilter.la $(white_box)
tests_unit_golden_SOURCES = tests/unit/golden.c tests/unit/recorded.c tests/unit/recorded.h
tests_unit_golden_LDADD = tests/unit/libstage.la $(behaviour)
tests_unit_handshake_LDADD = tests/hostile/libdoors.la tests/unit/libstage.la $(white_box) $(NO_LTO)
tests_unit_handshake_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=connect
tests_unit_hostile_LDADD = tests/unit/libstage.la $(white_box)
tests_unit_idle_LDADD = tests/unit/libstage.la $(behaviour)
tests_unit_large_LDADD = tests/unit/libstage.la $(white_box)
tests_unit_layout_LDADD = tests/unit/libstage.la $(white_box)
tests_unit_memory_LDADD = tests/unit/libstage.la tests/libfilter.la $(white_box)
tests_unit_monitor_LDADD = tests/unit/libstage.la $(white_box)
tests_unit_notify_LDADD = tests/unit/libstage.la $(white_box)
tests_unit_offcpu_LDADD = tests/unit/libstage.la $(white_box) $(NO_LTO)
tests_unit_offcpu_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=platform_now -Wl,--wrap=platform_poll \
	-Wl,--wrap=platform_poller_await
tests_unit_options_LDADD = tests/unit/libstage.la $(behaviour)
# Of peal-tune; as the variants below, with nothing of the library.
tests_unit_parse_SOURCES = tests/unit/parse.c tools/peal-tune/parse.c tools/peal-tune/tree.c
tests_unit_parse_LDADD = tests/librunner.la $(CHECK_LIBS)
tests_unit_placement_LDADD = tests/unit/libstage.la tests/libfilter.la $(white_box) $(NO_LTO)
tests_unit_placement_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=calloc -Wl,--wrap=free \
	-Wl,--wrap=sched_getaffinity -Wl,--wrap=sched_setaffinity
tests_unit_pollable_LDADD = tests/unit/libstage.la $(white_box) $(NO_LTO)
tests_unit_pollable_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=platform_barrier -Wl,--wrap=platform_now
tests_unit_preference_LDADD = $(white_box) $(NO_LTO)
tests_unit_preference_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=arch_ring_ops
tests_unit_ring_LDADD = tests/unit/libstage.la $(behaviour)
tests_unit_runner_LDADD = $(behaviour)
tests_unit_runtime_LDADD = tests/unit/libstage.la $(behaviour)
tests_unit_segment_LDADD = tests/unit/libstage.la tests/libfilter.la $(white_box)
tests_unit_server_LDADD = tests/unit/libstage.la tests/libfilter.la $(white_box)
tests_unit_spin_LDADD = tests/unit/libstage.la $(white_box)
# peal-top's figures by themselves; the server is made up.
tests_unit_top_SOURCES = tests/unit/top.c \
	tools/peal-top/column.c tools/peal-top/format.c tools/peal-top/sample.c \
	tools/peal-top/target.c tools/peal-top/text.c
tests_unit_top_LDADD = $(behaviour) -lm $(NO_LTO)
tests_unit_top_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=peal_monitor_read
tests_unit_value_SOURCES = tests/unit/value.c tools/peal-tune/value.c tools/peal-tune/parse.c
tests_unit_value_LDADD = tests/librunner.la $(CHECK_LIBS)

# The ring variants of all families, each a program that has its sources and nothing of the library.
check_LTLIBRARIES += tests/unit/libmachine.la
tests_unit_libmachine_la_SOURCES = tests/unit/machine.c tests/unit/machine.h
tests_unit_libmachine_la_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_libmachine_la_LDFLAGS =
variant = tests/unit/libmachine.la tests/librunner.la $(CHECK_LIBS)
tests_unit_variants_arm64_LDADD = $(variant)
tests_unit_variants_riscv_LDADD = $(variant)
tests_unit_variants_x86_LDADD = $(variant)

# What the process tests share with the program that they start, and what only they do.
check_LTLIBRARIES += tests/process/libtraffic.la tests/process/libscene.la
tests_process_libtraffic_la_SOURCES = tests/process/ledger.c tests/process/ledger.h \
	tests/process/orders.c tests/process/orders.h \
	tests/process/traffic.c tests/process/traffic.h
tests_process_libtraffic_la_LDFLAGS =
tests_process_libscene_la_SOURCES = tests/process/scene.c tests/process/scene.h \
	tests/process/surroundings.c tests/process/surroundings.h \
	tests/process/troupe.c tests/process/troupe.h \
	tests/process/visit.c tests/process/visit.h
tests_process_libscene_la_LIBADD = tests/process/libtraffic.la
tests_process_libscene_la_LDFLAGS =
tests_process_peer_LDADD = tests/process/libtraffic.la tests/libfilter.la libpeal.la
tests_process_engine_LDADD = tests/process/libtraffic.la libpeal.la
tests_process_calls_LDADD = $(process)
tests_process_closing_LDADD = $(process)
tests_process_containers_LDADD = $(process)
tests_process_credentials_LDADD = $(process)
tests_process_death_LDADD = $(process)
tests_process_examples_LDADD = $(process)
tests_process_filters_LDADD = tests/libfilter.la $(process)
tests_process_forks_LDADD = $(process)
tests_process_pages_LDADD = $(process)
tests_process_patience_LDADD = $(process)
tests_process_server_LDADD = $(process)
tests_process_server_kills_LDADD = $(process)
tests_process_serving_LDADD = $(process)

# To be preloaded: see tests/pages/pages.c. There is none without shared libraries.
check_LTLIBRARIES += tests/pages/libpages.la
tests_pages_libpages_la_SOURCES = tests/pages/pages.c
tests_pages_libpages_la_LDFLAGS = -module -avoid-version -rpath $(abs_top_builddir)

else
check-local:
	@echo "no tests: configure was told --disable-tests"
endif

LOG_COMPILER = $(TEST_WRAPPER) $(TEST_EMULATOR)

EXTRA_DIST += \
	tests/abi \
	tests/completions \
	tests/coverage \
	tests/docs \
	tests/golden \
	tests/installed \
	tests/like.awk \
	tests/man \
	tests/model \
	tests/mutants \
	tests/packages \
	tests/source \
	tests/tally.sh \
	tests/tools/cat \
	tests/tools/command.sh \
	tests/tools/findings \
	tests/tools/flips \
	tests/tools/info \
	tests/tools/info-calibrate \
	tests/tools/info-json \
	tests/tools/info-machine \
	tests/tools/info-peer \
	tests/tools/json.awk \
	tests/tools/page \
	tests/tools/page.py \
	tests/tools/perf-clients \
	tests/tools/perf-formats \
	tests/tools/perf-options \
	tests/tools/perf-refusals \
	tests/tools/perf-run \
	tests/tools/perf-transports \
	tests/tools/prometheus.awk \
	tests/tools/schema.awk \
	tests/tools/standard \
	tests/tools/top \
	tests/tools/top-screen \
	tests/tools/topology \
	tests/tools/trees \
	tests/tools/tune \
	tests/tools/tune-apply \
	tests/tools/tune-run \
	tests/tools/visit.sh

# The first group by itself, and nothing else built: for who builds packages.
check-unit:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(unit_tests)' check_PROGRAMS='$(unit_tests)'

# With pages of 64 KiB, as far as the programs can tell.
check-pages:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(paged_tests)' \
		TEST_WRAPPER='env LD_PRELOAD=$(abs_top_builddir)/tests/pages/.libs/libpages.so'

check-source:
	CC='$(CC)' $(top_srcdir)/tests/source/run '$(top_srcdir)' '$(top_builddir)'

check-model:
	$(top_srcdir)/tests/model/run

check-mutants: all
	top_builddir='$(abs_top_builddir)' $(top_srcdir)/tests/mutants/run

check-installed: all
	CC='$(CC)' MAKE='$(MAKE)' prefix='$(prefix)' includedir='$(includedir)' libdir='$(libdir)' \
		bindir='$(bindir)' datadir='$(datadir)' mandir='$(mandir)' PKG_CONFIG='$(PKG_CONFIG)' \
		$(top_srcdir)/tests/installed/run '$(top_srcdir)' '$(top_builddir)'

check-lto: all
	MAKE='$(MAKE)' $(top_srcdir)/tests/installed/lto '$(top_srcdir)' '$(top_builddir)'

check-tarball:
	CC='$(CC)' MAKE='$(MAKE)' PKG_CONFIG='$(PKG_CONFIG)' \
		$(top_srcdir)/tests/packages/tarball '$(top_srcdir)' '$(top_builddir)'

check-rpm:
	CC='$(CC)' $(top_srcdir)/tests/packages/rpm '$(top_srcdir)' '$(top_builddir)'

check-man: all
	CC='$(CC)' $(top_srcdir)/tests/man/run '$(top_srcdir)' '$(top_builddir)'

check-completions: all
	$(top_srcdir)/tests/completions/run '$(top_srcdir)' '$(top_builddir)'

check-docs: all
	CC='$(CC)' MAKE='$(MAKE)' prefix='$(prefix)' libdir='$(libdir)' bindir='$(bindir)' \
		mandir='$(mandir)' PKG_CONFIG='$(PKG_CONFIG)' \
		$(top_srcdir)/tests/docs/run '$(top_srcdir)' '$(top_builddir)'

# Of peal-info and what peal-perf measures, and of the others.
perf_tests = info info-machine info-peer info-calibrate info-json \
	perf-refusals perf-run perf-transports perf-options perf-clients perf-formats page
tool_tests = standard cat tune tune-apply tune-run top top-screen
tests_of_tools = failed=; for test in $$tests; do \
		top_builddir='$(abs_top_builddir)' $(top_srcdir)/tests/tools/$$test || failed=yes; \
	done; test -z "$$failed"
check-perf: all
	@tests="$(perf_tests)"; $(tests_of_tools)
check-tools: all $(tool_helpers)
	@tests="$(tool_tests)"; $(tests_of_tools)

check-abi: all
	CC='$(CC)' $(top_srcdir)/tests/abi/run '$(top_srcdir)' '$(top_builddir)'

# Of the tree, and of build/gcc.
check-deb: all
	$(top_srcdir)/tests/packages/deb '$(top_srcdir)'

check-lint:
	$(top_srcdir)/tests/source/lint '$(top_srcdir)' '$(top_builddir)'

.PHONY: check-abi check-completions check-deb check-docs check-installed check-lint \
	check-lto check-man check-model check-mutants check-pages check-perf check-rpm check-source \
	check-tarball check-tools check-unit
