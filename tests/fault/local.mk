# SPDX-License-Identifier: MIT
#
# Faults: each system call and each allocation of a scenario fails once. Adds its programs to
# proof_tests. See docs/assurance.md.

proof_tests += tests/fault/fault

if ENABLE_TESTS
tests_fault_fault_SOURCES = tests/fault/fault.c \
	tests/fault/errnos.c tests/fault/errnos.h \
	tests/fault/holdings.c tests/fault/holdings.h \
	tests/fault/scenario.h tests/fault/scenario_client.c \
	tests/fault/scenario_link.c tests/fault/scenario_server.c \
	tests/fault/trap.c tests/fault/trap.h
tests_fault_fault_LDADD = tests/unit/libstage.la $(white_box) $(NO_LTO)
tests_fault_fault_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc \
	-Wl,--wrap=aligned_alloc -Wl,--wrap=realpath -Wl,--wrap=free
endif
