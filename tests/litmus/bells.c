/*
 * SPDX-License-Identifier: MIT
 *
 * Litmus of the bells: who publishes looks whether the other side sleeps, and who falls asleep
 * looks whether something was published. Without a barrier on each side both can look too early
 * (store buffering), and nobody rings. Here the library's own code does it, across two processes:
 * peal_send and peal_release on one side, bell_arm and bell_has on the other; only rings are noted
 * in place of being sent. Whatever has no barrier is a control, and has to fail, or the run shows
 * nothing.
 */
#include "config.h"

#include <pthread.h>
#include <unistd.h>

#include "lib/bell.h"
#include "platform/platform.h"
#include "tests/litmus/duel.h"

enum kind {
	NONE,       /* no barrier on either side */
	OF_SLEEPER, /* of its own alone */
	OF_RINGER,
	BOTH,     /* as the library has it: bell_arm */
	DISTURBED /* the same, and threads of the ringer's end */
};

static const char *const controls[] = { "no barrier", "a fence of the sleeper's alone",
					"a fence of the ringer's alone" };

/* What came of the rounds of a kind. */
struct score {
	uint64_t rounds;
	uint64_t missed; /* neither saw the other one */
	uint64_t lost;   /* nor did the second look */
};

/* The linker puts these in the way of the rings. */
bool __wrap_platform_ring(int fd);
void __wrap_platform_ring_eventfd(int fd);
static bool rang;

bool __wrap_platform_ring(int fd)
{
	(void)fd;
	rang = true;
	return true;
}

void __wrap_platform_ring_eventfd(int fd)
{
	(void)fd;
	rang = true;
}

static enum kind kind_now(const struct duel *duel)
{
	/* Ordered by the turns. */
	return (enum kind)__atomic_load_n(&duel->arena->kind.word, __ATOMIC_RELAXED);
}

static void note_ring(struct duel *duel)
{
	/* Pairs with the load in look_twice. */
	if (rang)
		__atomic_store_n(&duel->arena->rung.word, duel->round, __ATOMIC_RELEASE);
	rang = false;
}

static bool was_rung(const struct duel *duel)
{
	/* Pairs with the store in note_ring. */
	return __atomic_load_n(&duel->arena->rung.word, __ATOMIC_ACQUIRE) == duel->round;
}

/*
 * The ringers, children.
 */

static void *do_nothing(void *data)
{
	return data;
}

/* The end of a thread makes its CPU forget that this process is registered for membarriers. */
static void end_thread(void)
{
	pthread_t thread;

	if (!pthread_create(&thread, NULL, do_nothing, NULL))
		pthread_join(thread, NULL);
}

static void publish(struct duel *duel)
{
	struct peal_tx *tx = peal_link_tx(duel->link);

	while (duel_meet(duel)) {
		duel_clog(duel);
		if (peal_send(tx, &duel->round, sizeof(duel->round), 0, 0))
			_exit(2);
		note_ring(duel);
		duel_part(duel);
		if (kind_now(duel) == DISTURBED && duel->round % 32 == 0)
			end_thread();
	}
}

static void give_back(struct duel *duel)
{
	struct peal_rx *rx = peal_link_rx(duel->link);
	struct peal_message message;

	for (;;) {
		duel_part(duel); /* a message was sent */
		if (peal_peek(rx, &message, 0))
			break; /* none was: it is over */
		duel_meet(duel);
		duel_clog(duel);
		peal_release(rx);
		note_ring(duel);
		duel_part(duel);
	}
}

/*
 * The sleeper, the test's process.
 */

static struct bell *bell_of(struct duel *duel, uint32_t what)
{
	return what == PEAL_DATA ? &duel->link->data : &duel->link->room;
}

static bool is_control(enum kind kind)
{
	return kind < BOTH;
}

/* What an asleep word says in a control; the rest of it is the library's. */
static uint32_t control_word(const struct bell *bell, enum kind kind)
{
	return (bell->word & ~PEAL_ASLEEP_FENCE) | (kind == OF_RINGER ? PEAL_ASLEEP_FENCE : 0);
}

/* Awake, and the ringer goes by it: before the round begins. */
static void rest(const struct bell *bell, enum kind kind)
{
	__atomic_store_n(bell->asleep, is_control(kind) ? control_word(bell, kind) : bell->word,
			 __ATOMIC_RELEASE);
}

/* As arm and heavy in lib/bell.c, but for what is left out. */
static void arm_control(struct bell *bell, uint64_t wants, enum kind kind)
{
	bell->word += PEAL_ASLEEP_EPOCH;
	if (bell->wants)
		__atomic_store_n(bell->wants, wants, __ATOMIC_RELAXED);
	__atomic_store_n(bell->asleep,
			 control_word(bell, kind) | PEAL_ASLEEP | PEAL_ASLEEP_DESCRIPTOR,
			 __ATOMIC_RELEASE);
	if (kind == OF_SLEEPER)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	else
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* True: the sleep is in doubt, so there is to be a second look. */
static bool arm(struct duel *duel, uint32_t what, enum kind kind)
{
	struct arming arming = { .link = duel->link, .what = what };

	if (is_control(kind)) {
		arm_control(bell_of(duel, what), duel->link->room_want, kind);
		return false;
	}
	return bell_arm(&arming, 1, false);
}

/* The second look, which knows nothing of the ringer but whether it has rung. */
static bool look_twice(struct duel *duel, uint32_t what)
{
	uint64_t until = platform_now() + BELL_DOUBT_NS;

	while (platform_now() < until)
		if (was_rung(duel))
			return true;
	bell_settle(duel->link);
	return bell_has(duel->link, what) || was_rung(duel);
}

/* One round. doubts: the first look may miss something, but the second one may not. */
static void sleep_once(struct duel *duel, uint32_t what, enum kind kind, bool doubts,
		       struct score *score)
{
	bool seen, found = true, doubt;

	duel_meet(duel);
	duel_clog(duel);
	doubt = arm(duel, what, kind);
	seen = bell_has(duel->link, what);
	if (!seen && (doubt || doubts))
		found = look_twice(duel, what);
	duel_part(duel);
	score->rounds++;
	score->missed += !seen && !was_rung(duel);
	score->lost += !found && !was_rung(duel);
	/* In the code as it stands this may be missed only where the sleep is in doubt. */
	if (!is_control(kind) && !doubt && !doubts)
		score->lost += !seen && !was_rung(duel);
	bell_disarm(duel->link, what);
}

static void set_kind(struct duel *duel, uint32_t what, enum kind kind)
{
	/* Ordered by the turns. */
	__atomic_store_n(&duel->arena->kind.word, kind, __ATOMIC_RELAXED);
	rest(bell_of(duel, what), kind);
}

static void take_message(struct duel *duel)
{
	uint64_t round = 0;

	ck_assert_int_eq(peal_recv(peal_link_rx(duel->link), &round, sizeof(round), NULL, 0),
			 sizeof(round));
	ck_assert_uint_eq(round, duel->round);
}

static void data_rounds(struct duel *duel, enum kind kind, bool doubts, struct score *score)
{
	for (int i = 0; i < 256 && duel_goes_on(duel); i++) {
		set_kind(duel, PEAL_DATA, kind);
		sleep_once(duel, PEAL_DATA, kind, doubts, score);
		take_message(duel);
	}
}

static void room_rounds(struct duel *duel, enum kind kind, bool doubts, struct score *score)
{
	struct peal_tx *tx = peal_link_tx(duel->link);

	for (int i = 0; i < 256 && duel_goes_on(duel); i++) {
		set_kind(duel, PEAL_ROOM, kind);
		ck_assert_int_eq(peal_send(tx, "", 1, 0, 0), 0);
		duel->link->room_want = tx->pos;
		duel_part(duel);
		sleep_once(duel, PEAL_ROOM, kind, doubts, score);
	}
}

static struct peal_options options_of(uint32_t barrier)
{
	struct peal_options options = stage_options(PEAL_WAIT_SLEEP, 0);

	options.barrier = barrier;
	return options;
}

static void inconclusive(uint64_t rounds)
{
	skip("inconclusive: %llu rounds without a barrier show no reordering",
	     (unsigned long long)rounds);
}

START_TEST(without_a_barrier_on_both_sides_a_ring_is_missed)
	{
		struct peal_options options = options_of(PEAL_BARRIER_FENCE);
		struct score score = { 0 };
		struct duel duel;

		if (!duel_possible())
			return;
		duel_open(&duel, &options, 60, publish);
		while (duel_goes_on(&duel))
			data_rounds(&duel, (enum kind)_i, false, &score);
		duel_close(&duel);
		duel_tell(controls[_i], score.rounds, score.missed);
		if (!score.missed)
			inconclusive(score.rounds);
	}
END_TEST

START_TEST(with_a_fence_on_both_sides_none_is_missed)
	{
		struct peal_options options = options_of(PEAL_BARRIER_FENCE);
		struct score control = { 0 }, score = { 0 };
		struct duel duel;

		if (!duel_possible())
			return;
		duel_open(&duel, &options, 180, publish);
		while (duel_goes_on(&duel)) {
			data_rounds(&duel, NONE, false, &control);
			data_rounds(&duel, BOTH, false, &score);
		}
		duel_close(&duel);
		duel_tell("no barrier", control.rounds, control.missed);
		duel_tell("fences", score.rounds, score.missed);
		ck_assert_uint_eq(score.lost, 0);
		ck_assert_uint_eq(score.missed, 0);
		if (!control.missed)
			inconclusive(control.rounds);
	}
END_TEST

START_TEST(what_a_membarrier_leaves_out_the_second_look_finds)
	{
		struct peal_options options = options_of(PEAL_BARRIER_ASYMMETRIC);
		struct score score = { 0 };
		struct duel duel;

		if (!duel_possible())
			return;
		duel_open(&duel, &options, 150, publish);
		if (!duel.link->data.asymmetric)
			skip("there are no membarriers here");
		else
			while (duel_goes_on(&duel))
				data_rounds(&duel, _i ? DISTURBED : BOTH, true, &score);
		duel_close(&duel);
		duel_tell(_i ? "membarriers, threads of the ringer's end" : "membarriers",
			  score.rounds, score.missed);
		duel_tell("after the second look", score.rounds, score.lost);
		ck_assert_uint_eq(score.lost, 0);
	}
END_TEST

START_TEST(a_release_that_is_not_seen_in_time_is_by_the_end_of_a_slice)
	{
		struct peal_options options = options_of(PEAL_BARRIER_FENCE);
		struct score score = { 0 };
		struct duel duel;

		if (!duel_possible())
			return;
		duel_open(&duel, &options, 100, give_back);
		while (duel_goes_on(&duel))
			room_rounds(&duel, OF_SLEEPER, true, &score);
		duel_close(&duel);
		duel_tell("room, a fence of the sleeper's alone", score.rounds, score.missed);
		duel_tell("after the slice", score.rounds, score.lost);
		ck_assert_uint_eq(score.lost, 0);
	}
END_TEST

START_TEST(a_producer_that_asks_for_fences_misses_no_room)
	{
		struct peal_options options = options_of(PEAL_BARRIER_FENCE);
		struct score control = { 0 }, score = { 0 };
		struct duel duel;

		if (!duel_possible())
			return;
		duel_open(&duel, &options, 150, give_back);
		while (duel_goes_on(&duel)) {
			room_rounds(&duel, NONE, false, &control);
			room_rounds(&duel, BOTH, false, &score);
		}
		duel_close(&duel);
		duel_tell("room, no barrier", control.rounds, control.missed);
		duel_tell("room, fences", score.rounds, score.missed);
		ck_assert_uint_eq(score.lost, 0);
		if (!control.missed)
			inconclusive(control.rounds);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("bells");
	TCase *all = tcase_create("store buffering");

	tcase_set_timeout(all, 120);
	tcase_add_loop_test(all, without_a_barrier_on_both_sides_a_ring_is_missed, NONE, BOTH);
	tcase_add_test(all, with_a_fence_on_both_sides_none_is_missed);
	tcase_add_loop_test(all, what_a_membarrier_leaves_out_the_second_look_finds, 0, 2);
	tcase_add_test(all, a_release_that_is_not_seen_in_time_is_by_the_end_of_a_slice);
	tcase_add_test(all, a_producer_that_asks_for_fences_misses_no_room);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
