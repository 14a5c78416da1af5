# SPDX-License-Identifier: MIT
#
# Hostile peers: who speaks the wire by hand, and lies. Adds its programs to proof_tests,
# and what they start to proof_helpers. See docs/assurance.md.

# Who knocks: what is said in a handshake, and what is handed over.
proof_tests += tests/hostile/doors tests/hostile/doors_goods tests/hostile/doors_held \
	tests/hostile/doors_lingers tests/hostile/doors_stand

if ENABLE_TESTS
proof_libraries += tests/hostile/libdoors.la
tests_hostile_libdoors_la_SOURCES = tests/hostile/doors_kinds.c tests/hostile/doors_kinds.h \
	tests/hostile/doors_peer.c tests/hostile/doors_peer.h \
	tests/hostile/fuse.c tests/hostile/fuse.h \
	tests/hostile/holder.c tests/hostile/holder.h \
	tests/hostile/naive.c tests/hostile/naive.h \
	tests/hostile/userfault.c tests/hostile/userfault.h
tests_hostile_libdoors_la_LDFLAGS =
doors = tests/hostile/libdoors.la tests/unit/libstage.la $(white_box)
tests_hostile_doors_LDADD = $(doors)
tests_hostile_doors_goods_LDADD = $(doors)
tests_hostile_doors_held_LDADD = $(doors)
tests_hostile_doors_lingers_LDADD = $(doors)
tests_hostile_doors_stand_LDADD = $(doors)
endif

# The liar, which has nothing of the library, and those that it lies to.
proof_helpers += tests/hostile/liar
proof_tests += tests/hostile/liar_script tests/hostile/seeds

if ENABLE_TESTS
tests_hostile_liar_SOURCES = tests/hostile/liar.c tests/hostile/liar.h \
	tests/hostile/liar_lies.c tests/hostile/liar_lies.h \
	tests/hostile/wire.c tests/hostile/wire.h
tests_hostile_liar_LDADD =
tests_hostile_liar_script_SOURCES = tests/hostile/liar_script.c \
	tests/hostile/liar.h tests/hostile/liar_order.c tests/hostile/liar_order.h
tests_hostile_liar_script_LDADD = tests/unit/libstage.la $(behaviour)
tests_hostile_seeds_SOURCES = tests/hostile/seeds.c tests/hostile/seeds.h \
	tests/hostile/seeds_calls.c tests/hostile/seeds_link.c \
	tests/hostile/liar.h tests/hostile/liar_order.c tests/hostile/liar_order.h
tests_hostile_seeds_LDADD = tests/unit/libstage.la $(behaviour)
endif
