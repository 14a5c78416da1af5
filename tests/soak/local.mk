# SPDX-License-Identifier: MIT
#
# The soak. A short run as a test; ./dev soak runs it for minutes.

soak_tests = \
	tests/soak/soak

if ENABLE_TESTS
tests_soak_soak_SOURCES = \
	tests/soak/answering.c \
	tests/soak/asking.c \
	tests/soak/board.c tests/soak/board.h \
	tests/soak/chance.c tests/soak/chance.h \
	tests/soak/club.c \
	tests/soak/lane.c tests/soak/lane.h \
	tests/soak/message.c tests/soak/message.h \
	tests/soak/receiving.c \
	tests/soak/request.c tests/soak/request.h \
	tests/soak/sending.c \
	tests/soak/side.c tests/soak/side.h \
	tests/soak/soak.c \
	tests/soak/talk.c
tests_soak_soak_LDADD = libpealcore.la $(NO_LTO)
tests_soak_soak_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=platform_barrier
endif
