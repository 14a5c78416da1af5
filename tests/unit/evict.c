/*
 * SPDX-License-Identifier: MIT
 *
 * Lines that were read: which of them leave the caches, and when a reader has them do so. A writer
 * is simulated that takes longer for lines that the reader still has, or for those that have left,
 * by a clock of the test's own. Then links: that nothing is lost by it.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "lib/evict.h"
#include "lib/runtime.h"
#include "tests/unit/stage.h"

#define CAPACITY 65536u
#define LINE 64u
#define LINES (CAPACITY / LINE)

/* What one line takes the writer, in ticks: one that the reader still has, and one that has left;
 * and what it takes the reader to have it leave. */
struct place {
	uint64_t kept, left, leaving;
};

static const struct place near = { 10, 20, 4 };
static const struct place far = { 50, 5, 4 };

static struct peal_link *link; /* simulated; NULL: none is */
static uint64_t now;
static bool kept[LINES];
static uint64_t evicted, passed, faults; /* lines */
static const struct place *here;
static uint8_t *data;

uint64_t __wrap_arch_ticks(void);
uint64_t __real_arch_ticks(void);
void __wrap_arch_evict(const void *from, size_t length);
void __real_arch_evict(const void *from, size_t length);

uint64_t __wrap_arch_ticks(void)
{
	return link ? now : __real_arch_ticks();
}

void __wrap_arch_evict(const void *from, size_t length)
{
	uint64_t first;

	if (!link) {
		evicted += length / LINE;
		__real_arch_evict(from, length);
		return;
	}
	first = (uint64_t)((const uint8_t *)from - data);
	/* Within both mappings, and not of the second one alone. */
	faults += first % LINE || length % LINE || !length || first >= CAPACITY ||
		  first + length > 2 * CAPACITY;
	/* What is there is read, and each line leaves once. */
	for (uint64_t i = 0; i < length / LINE; i++) {
		bool *at = &kept[(first / LINE + i) % LINES];

		faults += !*at;
		*at = false;
	}
	evicted += length / LINE;
	now += length / LINE * here->leaving;
}

/* Lines are told apart by where they are; a reader takes nothing there, so nothing need be. */
static void begin(enum runtime_evict how, uint64_t start)
{
	static uint8_t room[2 * CAPACITY] __attribute__((aligned(LINE)));

	setenv("PEAL_EVICT",
	       how == RUNTIME_EVICT_AUTO  ? "auto" :
	       how == RUNTIME_EVICT_NEVER ? "never" :
					    "always",
	       1);
	data = room;
	ck_assert(!posix_memalign((void **)&link, PEAL_LINE, sizeof(*link)));
	memset(link, 0, sizeof(*link));
	link->rx = (struct peal_rx){
		.data = data, .mask = CAPACITY - 1, .pos = start, .link = link
	};
	kept[start / LINE % LINES] = start % LINE;
	now = 1000;
	evict_begin(link);
}

static void end(void)
{
	free(link);
	link = NULL;
	memset(kept, 0, sizeof(kept));
}

/* A record of this size, after which so many ticks go by. */
static void read_one(uint64_t size, uint64_t more)
{
	struct peal_rx *rx = &link->rx;

	/* The first line is the one that the record before ended in, or has just left. */
	for (uint64_t at = (rx->pos + LINE - 1) / LINE; at * LINE < rx->pos + size; at++) {
		now += kept[at % LINES] ? here->kept : here->left;
		kept[at % LINES] = true;
		passed++;
	}
	if (size >= PEAL_BULK)
		link->evict.copied += size - PEAL_HEADER_SIZE;
	now += more;
	rx->pos += size;
	if (rx->pos >= rx->mark)
		peal_mark_reached(rx);
}

/* So many laps of records of this size. Of all records each disturbed-th is interrupted (0: none),
 * and each takes what it takes and so many ticks more. */
static void go_round(const struct place *place, unsigned laps, uint64_t size, unsigned disturbed,
		     uint64_t more)
{
	uint64_t until = link->rx.pos + (uint64_t)laps * CAPACITY;

	here = place;
	evicted = passed = 0;
	for (unsigned i = 1; link->rx.pos < until; i++)
		read_one(size, more + (disturbed && i % disturbed == 0 ? 1000000 : 0));
	ck_assert_uint_eq(faults, 0);
}

START_TEST(near_cores_keep_their_lines)
	{
		begin(RUNTIME_EVICT_AUTO, 0);
		go_round(&near, 2000, 72, 0, 0);
		go_round(&near, 20000, 72, 0, 0);
		ck_assert_int_eq(evicted > 0, arch_can_evict());
		ck_assert_uint_lt(evicted * 200, passed);
		end();
	}
END_TEST

START_TEST(far_cores_have_them_leave)
	{
		begin(RUNTIME_EVICT_AUTO, 0);
		go_round(&far, 12, 72, 0, 0);
		go_round(&far, 20000, 72, 0, 0);
		ck_assert(!arch_can_evict() || evicted * 100 > passed * 99);
		end();
	}
END_TEST

/* Five ticks of six are not worth memory's time, but two of three are. */
START_TEST(a_little_is_not_enough)
	{
		static const struct place little = { 12, 6, 4 }, enough = { 12, 4, 4 };

		begin(RUNTIME_EVICT_AUTO, 0);
		go_round(&little, 20000, 72, 0, 0);
		ck_assert_uint_lt(evicted * 100, passed);
		go_round(&enough, 1000, 72, 0, 0);
		go_round(&enough, 1000, 72, 0, 0);
		ck_assert(!arch_can_evict() || evicted * 10 > passed * 9);
		/* And who has them leave goes on while it is worth anything. */
		go_round(&little, 20000, 72, 0, 0);
		ck_assert(!arch_can_evict() || evicted * 10 > passed * 9);
		end();
	}
END_TEST

/* What gains less than a tenth is not worth it, once the cores have moved. */
START_TEST(who_has_them_leave_for_little_ends_it)
	{
		static const struct place hardly = { 21, 12, 8 }, same = { 26, 18, 8 };

		begin(RUNTIME_EVICT_AUTO, 0);
		go_round(&far, 100, 72, 0, 0);
		go_round(&hardly, 5000, 72, 0, 0);
		go_round(&hardly, 20000, 72, 0, 0);
		ck_assert_uint_lt(evicted * 100, passed);
		/* Laps that take a quarter more are no reason for a trial. */
		go_round(&same, 500, 72, 0, 0);
		ck_assert_uint_lt(evicted * 100, passed);
		end();
	}
END_TEST

/* Cores that come near while lines leave: laps are quicker then, and would be quicker still. */
START_TEST(quicker_laps_are_a_reason_as_well)
	{
		static const struct place nearer = { 1, 4, 1 };

		begin(RUNTIME_EVICT_AUTO, 0);
		go_round(&far, 5000, 72, 0, 0);
		ck_assert(!arch_can_evict() || link->evict.on);
		ck_assert(!arch_can_evict() || link->evict.patience == 1024);
		/* More laps than the next trial is away at most would prove nothing. */
		link->evict.rest = 900;
		go_round(&nearer, 50, 72, 0, 0);
		ck_assert(!link->evict.on);
		end();
	}
END_TEST

START_TEST(cores_that_move_are_followed)
	{
		begin(RUNTIME_EVICT_AUTO, 0);
		for (int i = 0; i < 5 && arch_can_evict(); i++) {
			go_round(&near, 5000, 72, 0, 0);
			go_round(&near, 600, 72, 0, 0);
			ck_assert_uint_lt(evicted * 20, passed);
			go_round(&far, 5000, 72, 0, 0);
			ck_assert_uint_gt(evicted * 20, passed * 19);
		}
		end();
	}
END_TEST

START_TEST(one_that_is_interrupted_tells_nothing)
	{
		begin(RUNTIME_EVICT_AUTO, 0);
		go_round(&near, 20000, 72, 9000, 0);
		ck_assert_uint_lt(evicted * 20, passed);
		go_round(&far, 2000, 72, 9000, 0);
		go_round(&far, 20000, 72, 9000, 0);
		ck_assert(!arch_can_evict() || evicted * 10 > passed * 9);
		end();
	}
END_TEST

/* Whose messages come when they come, and not as fast as they can. */
START_TEST(a_writer_with_a_pace_of_its_own_is_left_alone)
	{
		begin(RUNTIME_EVICT_AUTO, 0);
		go_round(&far, 5000, 72, 0, 5000);
		go_round(&far, 20000, 72, 0, 5000);
		ck_assert_uint_lt(evicted * 200, passed);
		end();
	}
END_TEST

/* A writer that comes and goes, or a reader that sleeps: each lap takes something else. */
START_TEST(laps_that_are_not_alike_tell_nothing)
	{
		uint64_t random = 1, on = 0;

		begin(RUNTIME_EVICT_AUTO, 0);
		for (unsigned i = 0; i < 100000; i++) {
			uint64_t took = 1000;

			/* Twice as long with each throw of a coin. */
			for (uint64_t coins = scramble(&random); coins & 1; coins >>= 1)
				took *= 2;
			evict_learn(&link->evict, took + scramble(&random) % took);
			on += link->evict.on;
		}
		ck_assert_uint_lt(on, 100000 / 30);
		end();
	}
END_TEST

/* They have another way of their own: lib/bulk.c. */
START_TEST(long_payloads_are_left_alone)
	{
		begin(RUNTIME_EVICT_AUTO, 0);
		go_round(&far, 5000, PEAL_BULK + 8, 0, 0);
		ck_assert_uint_eq(evicted, 0);
		go_round(&far, 5000, 72, 0, 0);
		ck_assert(!arch_can_evict() || evicted * 20 > passed * 19);
		go_round(&far, 5000, PEAL_BULK + 8, 0, 0);
		ck_assert_uint_lt(evicted, 2 * LINES);
		/* Some now and then cost some laps, and not hundreds. */
		go_round(&far, 100, 72, 0, 0);
		for (int i = 0; i < 20; i++) {
			go_round(&far, 2, PEAL_BULK + 8, 0, 0);
			go_round(&far, 500, 72, 0, 0);
			ck_assert(!arch_can_evict() || evicted * 10 > passed * 9);
		}
		end();
	}
END_TEST

/* Whatever their sizes, and wherever a ring begins. */
START_TEST(always_is_each_line_that_is_read)
	{
		static const uint64_t starts[] = { 0, 8, 4096 - 8, CAPACITY - 8,
						   3 * CAPACITY + 16 },
				      sizes[] = { 8, 16, 72, 264, 4104, CAPACITY / 2, CAPACITY };

		for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
			for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
				begin(RUNTIME_EVICT_ALWAYS, starts[s]);
				go_round(&far, 20, sizes[i], 0, 0);
				/* All but what it has not come to yet: a step and a record. */
				ck_assert(!arch_can_evict() ||
					  evicted + (1024 + sizes[i]) / LINE + 2 > passed);
				end();
			}
			/* And short ones before a whole ring's. */
			begin(RUNTIME_EVICT_ALWAYS, starts[s]);
			for (unsigned i = 0; i < 1000; i++) {
				here = &far;
				read_one(i % 128 * 8 + 8, 0);
				read_one(CAPACITY, 0);
			}
			ck_assert_uint_eq(faults, 0);
			end();
		}
	}
END_TEST

START_TEST(never_is_never)
	{
		begin(RUNTIME_EVICT_NEVER, 0);
		go_round(&far, 1000, 72, 0, 0);
		ck_assert_uint_eq(evicted, 0);
		ck_assert_uint_eq(link->rx.mark, UINT64_MAX);
		end();
	}
END_TEST

/*
 * Links.
 */

#define LONGEST 3000u

static int expect_one(void *seed, const struct peal_message *message)
{
	ck_assert(payload_matches(message->data, message->length, (*(uint32_t *)seed)++));
	return 0;
}

/* By each verb that takes messages, in rings of several sizes, through some laps. */
START_TEST(nothing_is_lost_by_it)
	{
		static const uint64_t rings[] = { 16384, 65536, 1 << 20 };
		static uint8_t payload[LONGEST], got[4 * LONGEST];

		setenv("PEAL_EVICT", "always", 1);
		evicted = 0;
		for (size_t r = 0; r < sizeof(rings) / sizeof(rings[0]); r++) {
			struct peal_link *links[2];
			struct peal_message messages[4];
			uint32_t out = 0, in = 0;
			struct peal_rx *rx;

			pair_open(links, PEAL_WAIT_ADAPTIVE, rings[r]);
			rx = peal_link_rx(links[1]);
			for (uint64_t sent = 0, turn = 0; sent < 4 * rings[r]; turn++) {
				for (int i = 0; i < 4; i++, out++) {
					size_t length = out * 37 % LONGEST;

					payload_fill(payload, length, out);
					ck_assert_int_eq(peal_send(peal_link_tx(links[0]), payload,
								   length, 0, 0),
							 0);
					sent += length;
				}
				switch (turn % 4) {
				case 0:
					ck_assert_int_eq(peal_drain(rx, expect_one, &in, 4, 0), 4);
					break;
				case 1:
					for (int i = 0; i < 4; i++) {
						ck_assert_int_eq(peal_peek(rx, messages, 0), 0);
						expect_one(&in, messages);
						peal_release(rx);
					}
					break;
				case 2:
					ck_assert_int_eq(peal_recv_batch(rx, got, sizeof(got),
									 messages, 4, 0),
							 4);
					for (int i = 0; i < 4; i++)
						expect_one(&in, &messages[i]);
					break;
				default:
					for (int i = 0; i < 4; i++) {
						ck_assert_int_ge(peal_recv(rx, got, sizeof(got),
									   messages, 0),
								 0);
						expect_one(&in, messages);
					}
				}
			}
			pair_close(links);
		}
		ck_assert_int_eq(evicted > 0, arch_can_evict());
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("evict");
	TCase *lines = tcase_create("lines"), *links = tcase_create("links");

	tcase_add_test(lines, near_cores_keep_their_lines);
	tcase_add_test(lines, far_cores_have_them_leave);
	tcase_add_test(lines, a_little_is_not_enough);
	tcase_add_test(lines, who_has_them_leave_for_little_ends_it);
	tcase_add_test(lines, quicker_laps_are_a_reason_as_well);
	tcase_add_test(lines, cores_that_move_are_followed);
	tcase_add_test(lines, one_that_is_interrupted_tells_nothing);
	tcase_add_test(lines, a_writer_with_a_pace_of_its_own_is_left_alone);
	tcase_add_test(lines, laps_that_are_not_alike_tell_nothing);
	tcase_add_test(lines, long_payloads_are_left_alone);
	tcase_add_test(lines, always_is_each_line_that_is_read);
	tcase_add_test(lines, never_is_never);
	suite_add_tcase(s, lines);
	tcase_add_test(links, nothing_is_lost_by_it);
	suite_add_tcase(s, links);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
