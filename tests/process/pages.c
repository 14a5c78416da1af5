/*
 * SPDX-License-Identifier: MIT
 *
 * Two sides that take pages to have different sizes, as under an emulator: they refuse each other,
 * and say why.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/scene.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

START_TEST(sides_with_pages_of_different_sizes_refuse_each_other)
	{
		struct peal_options options = scene_options(PEAL_WAIT_ADAPTIVE, 65536);
		const char *large = runner_built("tests/pages/.libs/libpages.so"), *said;
		const char *address = scene_path("link");
		struct peal_listener *listener;
		struct peal_link *link;
		struct peer peer;
		char size[32];

		if (access(large, R_OK)) {
			skip("without shared libraries nobody can be told another size");
			return;
		}
		if (sysconf(_SC_PAGESIZE) == 65536) {
			skip("pages have 64 KiB here, too");
			return;
		}
		setenv("LD_PRELOAD", large, 1);
		peer_start(&peer);
		unsetenv("LD_PRELOAD");
		if (_i) {
			ck_assert_int_eq(peal_listen(&listener, address, &options), 0);
			peer_tell(&peer, "connect %s %" PRId64, address, SCENE_PATIENCE);
			while (!peer_has_answered(&peer))
				ck_assert_int_eq(peal_accept(listener, &link, 50 * MS), -ETIMEDOUT);
			ck_assert_int_eq(peer_hear(&peer, "connect"), -EPROTO);
			said = peer.text;
			peal_listener_close(listener);
		} else {
			peer_tell(&peer, "listen %s", address);
			ck_assert_msg(peer_hear(&peer, "listen") == 0, "%s", peer.text);
			peer_tell(&peer, "accept 1000000000");
			ck_assert_int_eq(peal_connect(&link, address, &options, SCENE_PATIENCE),
					 -EPROTO);
			said = peal_error();
			ck_assert_int_eq(peer_hear(&peer, "accept"), -ETIMEDOUT);
		}
		snprintf(size, sizeof(size), "%ld", sysconf(_SC_PAGESIZE));
		ck_assert_msg(strstr(said, "65536") && strstr(said, size), "%s", said);
		peer_end(&peer);
	}
END_TEST

static Suite *pages(void)
{
	Suite *suite = suite_create("pages");
	TCase *tcase = scene_case("pages");

	tcase_add_loop_test(tcase, sides_with_pages_of_different_sizes_refuse_each_other, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { pages, NULL };

	return runner_main(suites);
}
