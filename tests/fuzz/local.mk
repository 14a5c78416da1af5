# SPDX-License-Identifier: MIT
#
# Fuzz targets, a file each, whose one function is LLVMFuzzerTestOneInput. Here each becomes a
# program that runs its corpus, tests/fuzz/corpus/NAME, without a fuzzer: those are tests. "./dev
# fuzz" builds the same programs with clang's libFuzzer in place of replay.c, in build/fuzz.
#
# To add a target: write tests/fuzz/NAME.c, which takes its input apart by bytes.h, says by must()
# what has to be true, waits for nothing, and begins and ends with steady.h where it makes links.
# Put tests/fuzz/NAME into fuzz_targets, and what it links into a line below. Make a folder
# tests/fuzz/corpus/NAME with one file in it, run "./dev fuzz 60 NAME", and take over what that
# found by "./dev fuzz-keep NAME": the smallest inputs that reach as much. What the coverage is of
# is in tests/fuzz/counted.

fuzz_targets = \
	tests/fuzz/client \
	tests/fuzz/connect \
	tests/fuzz/consume \
	tests/fuzz/earlier \
	tests/fuzz/environment \
	tests/fuzz/journal \
	tests/fuzz/listen \
	tests/fuzz/monitor \
	tests/fuzz/names \
	tests/fuzz/options \
	tests/fuzz/produce \
	tests/fuzz/serve \
	tests/fuzz/tune \
	tests/fuzz/words

proof_tests += $(fuzz_targets)

EXTRA_DIST += \
	tests/fuzz/corpus \
	tests/fuzz/counted \
	tests/fuzz/coverage.awk \
	tests/fuzz/run

if ENABLE_TESTS
EXTRA_LTLIBRARIES = tests/fuzz/libreplay.la tests/fuzz/libfuzz.la
tests_fuzz_libreplay_la_SOURCES = tests/fuzz/replay.c
tests_fuzz_libreplay_la_LDFLAGS =
tests_fuzz_libfuzz_la_SOURCES = \
	tests/fuzz/bytes.c tests/fuzz/bytes.h \
	tests/fuzz/ends.c tests/fuzz/ends.h \
	tests/fuzz/liar.c tests/fuzz/liar.h \
	tests/fuzz/steady.c tests/fuzz/steady.h \
	tests/fuzz/wire.c tests/fuzz/wire.h
tests_fuzz_libfuzz_la_LDFLAGS =

# What has the main function; ./dev fuzz says -fsanitize=fuzzer instead.
FUZZ_ENGINE = tests/fuzz/libreplay.la tests/librunner.la $(CHECK_LIBS)
fuzz = $(FUZZ_ENGINE) tests/fuzz/libfuzz.la libpealcore.la

tests_fuzz_client_LDADD = $(fuzz)
tests_fuzz_client_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=platform_connect -Wl,--wrap=platform_now
tests_fuzz_connect_LDADD = $(fuzz)
tests_fuzz_consume_LDADD = $(fuzz)
tests_fuzz_earlier_SOURCES = tests/fuzz/earlier.c tools/json.c \
	tools/peal-perf/compare.c tools/peal-perf/complaint.c tools/peal-perf/earlier.c
tests_fuzz_earlier_LDADD = $(fuzz) $(CJSON_LIBS) -lm
# Its object has lib/runtime.c in it, and comes before the library's.
tests_fuzz_environment_LDADD = $(fuzz)
tests_fuzz_environment_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=log_line \
	-Wl,--wrap=platform_environment -Wl,--wrap=registry_watch_forks
tests_fuzz_journal_SOURCES = tests/fuzz/journal.c tools/peal-tune/finding.c \
	tools/peal-tune/journal.c tools/peal-tune/parse.c tools/peal-tune/shell.c \
	tools/peal-tune/tree.c tools/peal-tune/value.c
tests_fuzz_journal_LDADD = $(fuzz)
tests_fuzz_journal_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fsync
tests_fuzz_listen_LDADD = $(fuzz)
tests_fuzz_listen_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=platform_now -Wl,--wrap=platform_peer
tests_fuzz_monitor_LDADD = $(fuzz)
tests_fuzz_monitor_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=platform_connect
tests_fuzz_names_SOURCES = tests/fuzz/names.c tools/peal-top/column.c \
	tools/peal-top/format.c tools/peal-top/sample.c
tests_fuzz_names_LDADD = $(fuzz) -lm
tests_fuzz_options_LDADD = $(fuzz)
tests_fuzz_produce_LDADD = $(fuzz)
tests_fuzz_serve_LDADD = $(fuzz)
tests_fuzz_serve_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=platform_now
tests_fuzz_tune_SOURCES = tests/fuzz/tune.c tools/peal-tune/parse.c tools/peal-tune/value.c
tests_fuzz_tune_LDADD = $(fuzz)
tests_fuzz_words_SOURCES = tests/fuzz/words.c tools/number.c \
	tools/peal-perf/options.c tools/peal-perf/peers.c tools/peal-perf/transport.c
tests_fuzz_words_LDADD = $(fuzz)
tests_fuzz_words_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=exit

# Automake cleans up what is always built only.
CLEANFILES += tests/fuzz/libfuzz.la tests/fuzz/libreplay.la

fuzz-targets: $(fuzz_targets)
endif
