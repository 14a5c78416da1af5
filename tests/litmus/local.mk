# SPDX-License-Identifier: MIT
#
# Litmus programs: whether the barriers hold across processes, on this machine. Adds its programs
# to proof_tests, and what they start to proof_helpers. See docs/assurance.md.

proof_tests += \
	tests/litmus/bells \
	tests/litmus/messages

if ENABLE_TESTS
duel = tests/litmus/duel.c tests/litmus/duel.h
tests_litmus_bells_SOURCES = tests/litmus/bells.c $(duel)
tests_litmus_bells_LDADD = tests/unit/libstage.la $(white_box) $(NO_LTO)
tests_litmus_bells_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=platform_ring \
	-Wl,--wrap=platform_ring_eventfd
tests_litmus_messages_SOURCES = tests/litmus/messages.c $(duel)
tests_litmus_messages_LDADD = tests/unit/libstage.la $(white_box)
endif
