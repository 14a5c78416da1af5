/*
 * SPDX-License-Identifier: MIT
 *
 * What two processes, or a program and the library, must see alike: sizes, offsets and constants,
 * as numbers. If one of them has to change, a version number has to change with it.
 */
#include "config.h"

#include <stddef.h>
#include <string.h>

#include "lib/handshake.h"
#include "lib/link.h"
#include "lib/segment.h"
#include "lib/stats.h"
#include "tests/unit/stage.h"

struct golden {
	const char *what;
	uint64_t is, right;
};

static void compare(const struct golden *goldens, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(goldens[i].is == goldens[i].right, "%s is %llu, and was %llu",
			      goldens[i].what, (unsigned long long)goldens[i].is,
			      (unsigned long long)goldens[i].right);
}

#define COMPARE(goldens) compare(goldens, sizeof(goldens) / sizeof((goldens)[0]))
#define SIZE(type, right)                            \
	{                                            \
		"sizeof " #type, sizeof(type), right \
	}
#define AT(type, field, right)                                        \
	{                                                             \
#type "." #field, offsetof(struct type, field), right \
	}
#define VALUE(name, right)         \
	{                          \
#name, name, right \
	}

START_TEST(the_page_is_as_it_was)
	{
		static const struct golden page[] = {
			AT(peal_page, magic, 0),
			AT(peal_page, layout, 4),
			AT(peal_page, head, 128),
			AT(peal_page, rx_asleep, 256),
			AT(peal_page, room_wake, 384),
			AT(peal_page, room_acknowledged, 388),
			AT(peal_page, room_rung_ns, 392),
			AT(peal_page, tx_asleep, 512),
			AT(peal_page, spare4, 516),
			AT(peal_page, tx_wants, 520),
			AT(peal_page, data_wake, 640),
			AT(peal_page, data_acknowledged, 644),
			AT(peal_page, data_rung_ns, 648),
			AT(peal_page, closed, 768),
			AT(peal_page, spare8, 896),
			SIZE(struct peal_page, 1024),
			VALUE(SEGMENT_MAGIC, 0x4c414550),
			VALUE(SEGMENT_LAYOUT, 1),
			VALUE(CAPACITY_MAX, 268435456),
			VALUE(RECORD_OVERHEAD, 16),
			VALUE(PEAL_LINE, 128),
		};

		COMPARE(page);
	}
END_TEST

START_TEST(records_are_as_they_were)
	{
		static const struct golden records[] = {
			VALUE(PEAL_HEADER_LENGTH, 0x0fffffff),
			VALUE(PEAL_HEADER_MORE, 0x10000000),
			VALUE(PEAL_HEADER_CONTROL, 0x20000000),
			VALUE(PEAL_HEADER_LAST, 0x40000000),
			VALUE(PEAL_HEADER_RESERVED, 0x80000000),
			VALUE(PEAL_HEADER_SIZE, 8),
			VALUE(PEAL_ASLEEP, 1),
			VALUE(PEAL_ASLEEP_DESCRIPTOR, 2),
			VALUE(PEAL_ASLEEP_FENCE, 4),
			VALUE(PEAL_ASLEEP_EPOCH, 8),
		};
		static const uint8_t right[40] = {
			4, 0, 0, 0, 0x44, 0x33, 0x22, 0x11, 'a', 'b', 'c', 0,   0,   0,   0,   0,
			1, 0, 0, 0, 5,    0,    0,    0, /* empty */
			9, 0, 0, 0, 6,    0,    0,    0,    '1', '2', '3', '4', '5', '6', '7', '8',
		};
		static const uint8_t sizes[][2] = { { 0, 8 },  { 1, 16 },  { 7, 16 }, { 8, 16 },
						    { 9, 24 }, { 16, 24 }, { 17, 32 } };
		struct peal_link *pair[2];

		COMPARE(records);
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			ck_assert_uint_eq(peal_record_size(sizes[i][0]), sizes[i][1]);
		/* As they lie in the ring, behind the page. */
		pair_open(pair, PEAL_WAIT_ADAPTIVE, 0);
		ck_assert_int_eq(peal_send(peal_link_tx(pair[0]), "abc", 3, 0x11223344, 0), 0);
		ck_assert_int_eq(peal_send(peal_link_tx(pair[0]), NULL, 0, 5, 0), 0);
		ck_assert_int_eq(peal_send(peal_link_tx(pair[0]), "12345678", 8, 6, 0), 0);
		ck_assert_mem_eq(pair[0]->own.at + stage_page(), right, sizeof(right));
		ck_assert_mem_eq(pair[0]->own.at + stage_page() + stage_page(), right,
				 sizeof(right));
		ck_assert_mem_eq(pair[0]->own.at, "PEAL\1\0\0\0", 8);
		pair_close(pair);
	}
END_TEST

START_TEST(the_handshake_is_as_it_was)
	{
		static const struct golden wire[] = {
			AT(wire_message, magic, 0),
			AT(wire_message, type, 4),
			AT(wire_message, kind, 6),
			AT(wire_message, version_low, 8),
			AT(wire_message, version_high, 10),
			AT(wire_message, layout_low, 12),
			AT(wire_message, layout_high, 14),
			AT(wire_message, abi, 16),
			AT(wire_message, code, 20),
			AT(wire_message, features, 24),
			AT(wire_message, needed, 32),
			AT(wire_message, page, 40),
			AT(wire_message, capacity, 48),
			AT(wire_message, max_message, 56),
			AT(wire_message, wait, 64),
			AT(wire_message, descriptors, 68),
			AT(wire_message, descriptor, 72),
			AT(wire_message, spare, 80),
			AT(wire_message, name, 128),
			AT(wire_message, text, 192),
			AT(wire_message, spare_end, 448),
			SIZE(struct wire_message, 504),
			VALUE(WIRE_MAGIC, 0x4c414550),
			VALUE(WIRE_VERSION_LOW, 1),
			VALUE(WIRE_VERSION_HIGH, 1),
			VALUE(WIRE_LAYOUT_LOW, 1),
			VALUE(WIRE_LAYOUT_HIGH, 1),
			VALUE(WIRE_HELLO, 1),
			VALUE(WIRE_WELCOME, 2),
			VALUE(WIRE_REFUSE, 3),
			VALUE(WIRE_LINK, 1),
			VALUE(WIRE_MONITOR, 2),
			VALUE(WIRE_NONE, 0),
			VALUE(WIRE_SEGMENT, 1),
			VALUE(WIRE_DATA, 2),
			VALUE(WIRE_EVENTFD, 3),
			VALUE(WIRE_STATS, 4),
			VALUE(WIRE_TRUSTS_EVENTFD, 1),
			VALUE(WIRE_UNSEALED, 2),
			VALUE(WIRE_MEMBARRIER, 4),
			VALUE(WIRE_FRAGMENTS, 8),
			VALUE(WIRE_CALLS, 16),
			VALUE(WIRE_SOCKET_BELL, 32),
		};

		COMPARE(wire);
	}
END_TEST

START_TEST(stats_objects_are_as_they_were)
	{
		static const struct golden stats[] = {
			AT(stats_header, magic, 0),
			AT(stats_header, layout, 4),
			AT(stats_header, slots, 8),
			AT(stats_header, slot_size, 12),
			AT(stats_header, slot_start, 16),
			AT(stats_header, pid, 20),
			AT(stats_header, started_ns, 24),
			SIZE(struct stats_header, 128),
			AT(stats_slot, state, 0),
			AT(stats_slot, generation, 4),
			AT(stats_slot, role, 8),
			AT(stats_slot, wait, 12),
			AT(stats_slot, peer_pid, 16),
			AT(stats_slot, peer_uid, 24),
			AT(stats_slot, peer_gid, 28),
			AT(stats_slot, peer_name, 32),
			AT(stats_slot, tx_capacity, 96),
			AT(stats_slot, rx_capacity, 104),
			AT(stats_slot, since_ns, 112),
			AT(stats_slot, tx, 256),
			AT(stats_slot, rx, 512),
			AT(stats_slot, tx_histogram, 768),
			AT(stats_slot, rx_histogram, 1280),
			SIZE(struct stats_slot, 2048),
			AT(peal_counters, messages, 0),
			AT(peal_counters, bytes, 8),
			AT(peal_counters, waits, 16),
			AT(peal_counters, sleeps, 24),
			AT(peal_counters, rung, 32),
			AT(peal_counters, batched, 40),
			AT(peal_counters, slices, 48),
			AT(peal_counters, idle_rings, 56),
			AT(peal_counters, high_water, 64),
			AT(peal_counters, stalled_since, 72),
			SIZE(struct peal_counters, 256),
			VALUE(STATS_MAGIC, 0x54534c50),
			VALUE(STATS_LAYOUT, 1),
			VALUE(STATS_FREE, 0),
			VALUE(STATS_LIVE, 1),
		};

		COMPARE(stats);
	}
END_TEST

START_TEST(what_programs_pass_is_as_it_was)
	{
		static const struct golden passed[] = {
			AT(peal_options, size, 0),
			AT(peal_options, abi, 4),
			AT(peal_options, ring, 8),
			AT(peal_options, max_peer_ring, 16),
			AT(peal_options, max_message, 24),
			AT(peal_options, wait, 32),
			AT(peal_options, flags, 36),
			AT(peal_options, spin_ns, 40),
			AT(peal_options, name, 48),
			AT(peal_options, allow, 56),
			AT(peal_options, group, 60),
			AT(peal_options, admit, 64),
			AT(peal_options, admit_data, 72),
			AT(peal_options, mode, 80),
			AT(peal_options, backlog, 84),
			AT(peal_options, handshake_ns, 88),
			AT(peal_options, barrier, 96),
			AT(peal_options, bell, 100),
			AT(peal_options, spare, 104),
			SIZE(struct peal_options, 224),
			AT(peal_peer, pid, 0),
			AT(peal_peer, uid, 8),
			AT(peal_peer, gid, 12),
			AT(peal_peer, name, 16),
			SIZE(struct peal_peer, 80),
			AT(peal_message, data, 0),
			AT(peal_message, length, 8),
			AT(peal_message, tag, 16),
			AT(peal_message, flags, 20),
			SIZE(struct peal_message, 24),
			AT(peal_stats, size, 0),
			AT(peal_stats, closed, 4),
			AT(peal_stats, tx, 8),
			AT(peal_stats, rx, 264),
			AT(peal_stats, tx_spared, 520),
			AT(peal_stats, rx_spared, 528),
			AT(peal_stats, peer_unread, 536),
			SIZE(struct peal_stats, 544),
			AT(peal_choice, job, 0),
			AT(peal_choice, name, 8),
			AT(peal_choice, usable, 16),
			AT(peal_choice, picked, 20),
			AT(peal_choice, why, 24),
			SIZE(struct peal_choice, 32),
			SIZE(struct peal_fact, 32),
			VALUE(PEAL_ABI, 1),
			VALUE(PEAL_WAIT_ADAPTIVE, 0),
			VALUE(PEAL_WAIT_SPIN, 1),
			VALUE(PEAL_WAIT_SLEEP, 2),
			VALUE(PEAL_ALLOW_USER, 0),
			VALUE(PEAL_ALLOW_GROUP, 1),
			VALUE(PEAL_ALLOW_ANYONE, 2),
			VALUE(PEAL_PREFAULT, 1),
		};

		COMPARE(passed);
		ck_assert_int_eq(PEAL_FOREVER, -1);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("layout");
	TCase *all = tcase_create("layout");

	tcase_add_test(all, the_page_is_as_it_was);
	tcase_add_test(all, records_are_as_they_were);
	tcase_add_test(all, the_handshake_is_as_it_was);
	tcase_add_test(all, stats_objects_are_as_they_were);
	tcase_add_test(all, what_programs_pass_is_as_it_was);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
