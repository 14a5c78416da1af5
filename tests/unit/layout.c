/*
 * SPDX-License-Identifier: MIT
 *
 * How records lie in a ring, which two processes must see alike, as bytes. The offsets and
 * constants of all that is shared, or passed between a program and the library, are asserted where
 * they are compiled: in lib/segment.c, lib/stats.c, lib/handshake.c, lib/ring.c, lib/large.c,
 * lib/call.c, lib/options.c, lib/client.c, lib/link.c, lib/monitor.c, lib/placement.c,
 * lib/server.c, lib/set.c, lib/facts.c and lib/runtime.c. If one of them has to change, a version
 * number has to change with it.
 */
#include "config.h"

#include "lib/link.h"
#include "tests/unit/stage.h"

START_TEST(records_are_as_they_were)
	{
		static const uint8_t right[40] = {
			4, 0, 0, 0, 0x44, 0x33, 0x22, 0x11, 'a', 'b', 'c', 0,   0,   0,   0,   0,
			1, 0, 0, 0, 5,    0,    0,    0, /* empty */
			9, 0, 0, 0, 6,    0,    0,    0,    '1', '2', '3', '4', '5', '6', '7', '8',
		};
		static const uint8_t sizes[][2] = { { 0, 8 },  { 1, 16 },  { 7, 16 }, { 8, 16 },
						    { 9, 24 }, { 16, 24 }, { 17, 32 } };
		struct peal_link *pair[2];

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

START_TEST(records_of_calls_are_as_they_were)
	{
		static const uint8_t right[64] = {
			4,   0,   0,   0x40, 7, 0, 0, 0, 'a', 'b', 'c', 0, 0, 0, 0, 0, /* last */
			9,   0,   0,   0x20, 8, 0, 0, 0, 2,   0,   0,   0, 0, 0, 0, 0, /* cancel */
			12,  0,   0,   0x20, 9, 0, 0, 0, 3,   0,   0,   0, 5, 0, 0, 0, /* error */
			'b', 'a', 'd',
		};
		struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, 0);
		struct peal_link *pair[2];

		options.flags = PEAL_CALLS;
		ck_assert_int_eq(peal_pair(pair, &options), 0);
		ck_assert_int_eq(peal_send_last(peal_link_tx(pair[0]), "abc", 3, 7, 0), 0);
		ck_assert_int_eq(peal_send_cancel(peal_link_tx(pair[0]), 8, 0), 0);
		ck_assert_int_eq(peal_send_error(peal_link_tx(pair[0]), 9, -5, "bad", 0), 0);
		ck_assert_mem_eq(pair[0]->own.at + stage_page(), right, sizeof(right));
		pair_close(pair);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("layout");
	TCase *all = tcase_create("layout");

	tcase_add_test(all, records_are_as_they_were);
	tcase_add_test(all, records_of_calls_are_as_they_were);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
