/*
 * SPDX-License-Identifier: MIT
 *
 * Seeds: a liar in another process, and victims that use the library, at random. A seed is one
 * link. Whatever the liar does, no verb answers what it may not or goes on beyond its time, what is
 * delivered is in bounds, another link of the same process carries on, and nothing is left behind.
 * A link on which nothing harmful was said works to the end: all messages come once, in order and
 * whole. On one where the liar left a lie standing it is found.
 *
 * TEST_SEED=N begins with that seed, TEST_SEEDS=N plays so many.
 */
#include "config.h"

#include "tests/hostile/seeds.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A user that need not exist. */
#define USER 12345

#define SECONDS UINT64_C(1000000000)
#define PATIENCE (runner_burdened() ? 100 * SECONDS : 20 * SECONDS)

/* Seeds of a test; and tests, in the long run: 100,000 in all, a tenth of them by another user. */
#define EACH (runner_long() ? 1000 : runner_burdened() ? 60 : 120)
#define TESTS (runner_long() ? 90 : 2)
#define TESTS_OF_ANOTHER (runner_long() ? 10 : 1)

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECONDS + (uint64_t)now.tv_nsec;
}

static struct victim victim;

void victim_says(const struct victim *whose, const char *file, int line, const char *format, ...)
{
	char text[600];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	ck_abort_msg("%s:%d: TEST_SEED=%" PRIu64 " TEST_SEEDS=1, %s, lies 0x%x: %s", file, line,
		     whose->seed, whose->verb, whose->lied, text);
	abort();
}

/* What hangs is told of before it is ended. */
static void on_alarm(int signal)
{
	char text[200];
	int length = snprintf(text, sizeof(text), "TEST_SEED=%" PRIu64 " TEST_SEEDS=1 hangs: %s\n",
			      victim.seed, victim.verb);

	(void)signal;
	if (write(STDERR_FILENO, text, (size_t)length) != length)
		_exit(3);
	abort();
}

uint64_t victim_chance(struct victim *whose, uint64_t below)
{
	return (scramble(&whose->random) >> 11) % below;
}

int64_t victim_brief(struct victim *whose)
{
	static const int64_t timeouts[] = { 0, 0, 0, 0, 1, 20000, 200000, MS };

	return timeouts[victim_chance(whose, sizeof(timeouts) / sizeof(timeouts[0]))];
}

uint64_t victim_begins(struct victim *whose, const char *verb)
{
	whose->verb = verb;
	return now_ns();
}

/* All timeouts are less than nothing beside the patience. */
void victim_waits(struct victim *whose, uint64_t begun, const char *what)
{
	if (now_ns() - begun > PATIENCE)
		victim_fail(whose, "%s", what);
}

void victim_ends(struct victim *whose, uint64_t begun, int64_t result)
{
	(void)result;
	victim_waits(whose, begun, "it went on far beyond its time");
}

void liar_plays(struct victim *whose, enum order_role role, enum order_style style,
		const char *path)
{
	struct order order = {
		.verb = ORDER_PLAY, .role = role, .style = style, .number = whose->seed
	};

	snprintf(order.path, sizeof(order.path), "%s", path ? path : whose->liar.path);
	liar_tell(&whose->liar, &order);
	if (role == AS_SERVER && liar_hear(&whose->liar).result)
		victim_fail(whose, "the liar does not listen");
}

struct told liar_has_lied(struct victim *whose)
{
	struct told told = liar_hear(&whose->liar);

	if (told.result || told.over)
		victim_fail(whose, "the liar could not link");
	whose->lied = told.lied;
	return told;
}

struct told liar_has_ended(struct victim *whose)
{
	struct order order = { .verb = ORDER_DROP };
	struct told told;

	liar_tell(&whose->liar, &order);
	told = liar_hear(&whose->liar);
	if (!told.over)
		victim_fail(whose, "the liar does not end");
	liar_hear(&whose->liar); /* the order's own answer */
	return told;
}

/*
 * One seed.
 */

static void expect_others_well(struct victim *whose)
{
	struct peal_link *ends[2] = { whose->others.client, whose->others.server };
	char text[8];

	for (int i = 0; i < 2; i++) {
		int err = peal_send(peal_link_tx(ends[i]), "well", 4, 0, 0);
		ssize_t got = peal_recv(peal_link_rx(ends[!i]), text, sizeof(text), NULL, 0);

		if (err || got != 4 || memcmp(text, "well", 4) != 0)
			victim_fail(whose, "another link: %d, %zd: %s", err, got, peal_error());
	}
}

/* Options that a seed may have, within what the test needs. */
static void choose_options(struct victim *whose)
{
	struct peal_options *options = &whose->options;

	*options = stage_options((uint32_t)(victim_chance(whose, 8) ? 2 * victim_chance(whose, 2) :
								      PEAL_WAIT_SPIN),
				 stage_page() << victim_chance(whose, 3));
	options->max_message = victim_chance(whose, 4) ? 1 << 20 : 8192;
	options->flags = (victim_chance(whose, 2) ? PEAL_ONE_THREAD : 0) |
			 (victim_chance(whose, 2) ? PEAL_CALLS : 0) |
			 (victim_chance(whose, 2) ? PEAL_TRUST_PEER : PEAL_DISTRUST_PEER);
	options->barrier = (uint32_t)victim_chance(whose, 3);
	options->bell = (uint32_t)victim_chance(whose, 3);
	options->allow = PEAL_ALLOW_ANYONE;
	options->sample = victim_chance(whose, 2);
	options->mode = 0666;
	options->spin_ns = 1 + victim_chance(whose, 2) * 20000;
}

static void link_play(struct victim *whose, bool serves)
{
	struct told told;
	int err;

	if (serves) {
		liar_plays(whose, AS_CLIENT, STYLE_STREAM, whose->folder.path);
		err = peal_accept(whose->listener, &whose->link, LONG);
	} else {
		liar_plays(whose, AS_SERVER, STYLE_STREAM, NULL);
		err = peal_connect(&whose->link, whose->liar.path, &whose->options, LONG);
	}
	if (err)
		victim_fail(whose, "no link: %d: %s", err, peal_error());
	whose->said = whose->heard = whose->dropped = whose->wrong = 0;
	whose->sending.begun = 0;
	whose->finale = whose->in_set = false;
	whose->ended = 0;
	link_live(whose, 1 + (unsigned)victim_chance(whose, 40));
	told = liar_has_lied(whose);
	link_judge(whose, &told);
	expect_others_well(whose);
	peal_close(whose->link);
	told = liar_has_ended(whose);
	link_expect_end(whose, &told);
}

static void play(struct victim *whose, uint64_t seed)
{
	whose->seed = seed;
	whose->random = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
	whose->verb = "the beginning";
	whose->lied = UINT32_MAX;
	whose->finale = false;
	whose->wrong = 0;
	for (int i = 0; i < 4; i++)
		victim_chance(whose, 2);
	choose_options(whose);
	alarm(runner_burdened() ? 200 : 100);
	switch (seed % 4) {
	case 0:
		link_play(whose, true);
		break;
	case 1:
		link_play(whose, false);
		break;
	case 2:
		server_play(whose);
		break;
	default:
		client_play(whose);
	}
	expect_others_well(whose);
}

/*
 * Many.
 */

/* What the listener and the server have, all links of this test have. */
static void set_up_victim(struct victim *whose, unsigned user, uint64_t first)
{
	whose->seed = first;
	whose->random = first + 1;
	whose->verb = "setting up";
	folder_make(&whose->folder);
	ck_assert_int_eq(chmod(whose->folder.name, 0777), 0);
	liar_start(&whose->liar, user);
	snprintf(whose->liar.path, sizeof(whose->liar.path), "%s/liar", whose->folder.name);
	meeting_open(&whose->others, NULL, NULL);
	choose_options(whose);
	ck_assert_msg(!peal_listen(&whose->listener, whose->folder.path, &whose->options), "%s",
		      peal_error());
	ck_assert_int_eq(peal_set_create(&whose->set), 0);
	ck_assert_int_eq(peal_set_add(whose->set, whose->others.server, NULL), 0);
	choose_options(whose);
	whose->options.wait = PEAL_WAIT_ADAPTIVE;
	server_open(whose);
}

static void tear_down_victim(struct victim *whose)
{
	server_close(whose);
	peal_set_free(whose->set);
	peal_listener_close(whose->listener);
	meeting_close(&whose->others);
	liar_end(&whose->liar);
	folder_remove(&whose->folder);
}

static void play_all(unsigned user, uint64_t first, uint64_t count)
{
	int descriptors = 0, mappings = 0;

	signal(SIGALRM, on_alarm);
	threads_begin(0);
	set_up_victim(&victim, user, first);
	for (uint64_t seed = first; seed < first + count; seed++) {
		play(&victim, seed);
		/* What the first ones bring and what stays is there by now. */
		if (seed == first + 3 || seed % 64 == 0)
			server_rest(&victim);
		if (seed == first + 3) {
			threads_expect_none();
			descriptors = descriptors_count();
			mappings = mappings_count();
		} else if (descriptors && seed % 64 == 0) {
			descriptors_expect(descriptors);
			ck_assert_int_le(mappings_count(), mappings);
		}
	}
	server_rest(&victim);
	if (descriptors)
		descriptors_expect(descriptors);
	ck_assert_int_le(mappings_count(), mappings ? mappings : INT32_MAX);
	tear_down_victim(&victim);
	alarm(0);
}

static uint64_t wish(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static void play_range(unsigned user, int which)
{
	uint64_t each = wish("TEST_SEEDS", (uint64_t)EACH);

	play_all(user, wish("TEST_SEED", 1) + (uint64_t)which * each, each);
}

START_TEST(whatever_a_peer_does_its_link_works_or_ends_and_nothing_else)
	{
		play_range(0, _i);
	}
END_TEST

START_TEST(whatever_another_user_does_its_link_works_or_ends_and_nothing_else)
	{
		if (geteuid() != 0) {
			skip("only root can be several users");
			return;
		}
		play_range(USER, TESTS + _i);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("seeds");
	TCase *all = tcase_create("seeds");
	/* One that is asked for is one. */
	bool one = getenv("TEST_SEEDS") != NULL;

	tcase_set_timeout(all, runner_long() ? 3600 : 120);
	tcase_add_loop_test(all, whatever_a_peer_does_its_link_works_or_ends_and_nothing_else, 0,
			    one ? 1 : TESTS);
	if (!one)
		tcase_add_loop_test(
			all, whatever_another_user_does_its_link_works_or_ends_and_nothing_else, 0,
			TESTS_OF_ANOTHER);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
