# SPDX-License-Identifier: MIT
#
# kill -9 at every step. Adds its programs to proof_tests. See docs/assurance.md.
proof_tests += \
	tests/kill/calls \
	tests/kill/doors \
	tests/kill/messages

if ENABLE_TESTS
players = tests/kill/letters.c tests/kill/letters.h tests/kill/play.c tests/kill/play.h \
	tests/kill/victim.c tests/kill/victim.h
# All symbols are bound at the start, so that steps are Peal's and not the linker's.
bound = $(AM_LDFLAGS) -Wl,-z,now

tests_kill_calls_SOURCES = tests/kill/calls.c $(players)
tests_kill_calls_LDADD = tests/process/libscene.la $(white_box)
tests_kill_calls_LDFLAGS = $(bound)
tests_kill_doors_SOURCES = tests/kill/doors.c $(players)
tests_kill_doors_LDADD = tests/process/libscene.la $(white_box)
tests_kill_doors_LDFLAGS = $(bound)
tests_kill_messages_SOURCES = tests/kill/messages.c $(players)
tests_kill_messages_LDADD = tests/process/libscene.la $(white_box)
tests_kill_messages_LDFLAGS = $(bound)
endif
