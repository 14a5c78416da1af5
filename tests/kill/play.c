/*
 * SPDX-License-Identifier: MIT
 *
 * Repeats plays for their steps, as play.h says.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/kill/play.h"

#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define BLIND true
#endif
#endif
#if !defined(BLIND) && defined(__SANITIZE_THREAD__)
#define BLIND true
#endif
#ifndef BLIND
#define BLIND false
#endif

/* Instructions that are gone through at most: by default what there is time for; and what has not
 * ended by the other, an exclusive store that never succeeds, say, has no end. */
#define STEPS_MOST (runner_long() ? 400000 : 2000)
/* And in all runs of a play by default, a single step taking some 5 to 15 us. */
#define STEPS_IN_ALL 3000
/* Ends of system calls that are tried by default. */
#define STOPS_MOST 6
/* A run of a victim that does not end by itself ends after so many seconds, well before the test
 * would, so that the step can be told. */
#define HANGS_AFTER (runner_long() ? 600u : 60u)

/* Summed up over all tests, each of which is a process. */
static struct figures {
	uint64_t plays, kills, stops, instructions;
} * figures;

bool play_possible(void)
{
	const char *why;

	if (skip_emulated("single steps"))
		return false;
	if (BLIND) {
		skip("ThreadSanitizer sees one process only, and not what a killed one did");
		return false;
	}
	if (!victim_possible(&why)) {
		skip("%s", why);
		return false;
	}
	return true;
}

void play_object(struct play *play, const char *format, ...)
{
	va_list arguments;

	if (play->wrong[0])
		return;
	va_start(arguments, format);
	vsnprintf(play->wrong, sizeof(play->wrong), format, arguments);
	va_end(arguments);
}

void diary_object(struct diary *diary, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(diary->words, sizeof(diary->words), format, arguments);
	va_end(arguments);
	journal_note(&diary->wrong, 1);
	_exit(3);
}

/* The step that the victim of this run is killed at. */
static char here[32];

static pid_t on_stage;
static volatile sig_atomic_t hangs;

/* By SIGALRM: whoever waits for the victim goes on. */
static void end_hanging(int signal)
{
	(void)signal;
	hangs = 1;
	kill(on_stage, SIGKILL);
}

static void raise_curtain(struct play *play)
{
	ck_assert_int_gt(play->victim.pid, 0);
	on_stage = play->victim.pid;
	signal(SIGALRM, end_hanging);
	alarm(HANGS_AFTER);
}

void play_expect(const struct play *play, bool is_true, const char *format, ...)
{
	char text[640];
	va_list arguments;

	if (is_true)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	ck_abort_msg("%s, killed at %s: %s (TEST_SEED=%" PRIu64 " TEST_STEP=%s:%s)",
		     play->cast->name, here, text, scene_seed(), play->cast->name, here);
}

bool play_is_dead(const struct play *play)
{
	/* Pairs with the release in perform. */
	return __atomic_load_n(&play->dead, __ATOMIC_ACQUIRE);
}

unsigned play_chance(const struct play *play, unsigned what, unsigned limit)
{
	return (unsigned)(traffic_mix(play->dice + what) % limit);
}

struct peal_options play_options(const struct play *play)
{
	struct peal_options options = scene_options(play_chance(play, 1, 4) ? PEAL_WAIT_SLEEP :
									      PEAL_WAIT_ADAPTIVE,
						    (uint64_t)sysconf(_SC_PAGESIZE));

	options.flags = PEAL_ONE_THREAD;
	return options;
}

/*
 * The tester and its victim take turns, so they share a CPU: a step takes a tenth of the time that
 * it does with two that wake each other. The survivor goes where it likes.
 */
static cpu_set_t all_cpus;

static void share_a_cpu(void)
{
	cpu_set_t one;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(all_cpus), &all_cpus), 0);
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static void *survive(void *data)
{
	struct play *play = data;

	sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
	/* Pairs with the acquire in is_asleep; likewise the next one in is_over. */
	__atomic_store_n(&play->survivor, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	play->cast->survivor(play);
	__atomic_store_n(&play->over, true, __ATOMIC_RELEASE);
	return NULL;
}

static void act(void *data)
{
	struct play *play = data;

	play->cast->victim(play);
	for (;;)
		pause();
}

/* Whether the survivor sleeps in the kernel, or has nothing more to do. */
static bool is_asleep(const struct play *play)
{
	pid_t thread = __atomic_load_n(&play->survivor, __ATOMIC_ACQUIRE);
	char path[64], line[256] = "", *state;
	FILE *file;

	if (!thread)
		return false;
	if (__atomic_load_n(&play->over, __ATOMIC_ACQUIRE))
		return true;
	snprintf(path, sizeof(path), "/proc/self/task/%ld/stat", (long)thread);
	file = fopen(path, "re");
	if (!file)
		return false;
	state = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	fclose(file);
	return state && state[1] && state[2] == 'S';
}

static bool has_slept(void *data)
{
	struct play *play = data;

	if (!is_asleep(play))
		play->asleep_since = 0;
	else if (!play->asleep_since)
		play->asleep_since = scene_now();
	return play->asleep_since && scene_now() - play->asleep_since >= play->cast->asleep_ns;
}

static bool is_over(void *data)
{
	const struct play *play = data;

	return __atomic_load_n(&play->over, __ATOMIC_ACQUIRE);
}

/* What the victim is made to do at its last step, before it is killed. */
static void stagger(struct play *play)
{
	unsigned manner = play_chance(play, 2, 8), pause = play_chance(play, 3, 200);

	if (play->victim.ended || play->victim.status)
		return;
	if (manner == 0) {
		victim_release(&play->victim);
	} else if (manner == 1) {
		victim_suspend(&play->victim);
		if (play->cast->held)
			play->cast->held(play);
		if (pause % 2)
			victim_resume(&play->victim);
	} else {
		return;
	}
	for (; pause; pause--)
		sched_yield();
}

static bool holds_no_more(void *data)
{
	const struct holdings *before = data, now = holdings_of(getpid());

	return now.descriptors <= before->descriptors && now.bytes <= before->bytes;
}

static void check(struct play *play, bool killed, const struct holdings *before)
{
	const struct diary *diary = play->diary;
	struct holdings most = *before;

	play_expect(play, !journal_read(&diary->wrong), "the victim objects: %s", diary->words);
	play_expect(play, killed, "the victim ended with status 0x%x before it was killed",
		    (unsigned)play->victim.status);
	play_expect(play, !play->wrong[0], "%s", play->wrong);
	if (play->cast->after)
		play->cast->after(play);
	play_expect(play, scene_until(holds_no_more, &most),
		    "descriptors or mappings are left: %u, %" PRIu64
		    " bytes before, now %u, %" PRIu64,
		    before->descriptors, before->bytes, holdings_of(getpid()).descriptors,
		    holdings_of(getpid()).bytes);
}

/* One run: so many steps. Returns how many were made. */
static uint64_t perform(struct play *play, enum victim_step step, uint64_t count,
			const struct holdings *before)
{
	struct diary *diary = play->diary;
	bool reached, killed;
	uint64_t made;

	snprintf(here, sizeof(here), "%c%" PRIu64, step == VICTIM_CALLS ? 'c' : 'i', count);
	memset(diary, 0, sizeof(*diary));
	*play = (struct play){ .cast = play->cast,
			       .diary = diary,
			       .dice = traffic_mix(scene_seed() + count * 2 + step) };
	snprintf(play->address, sizeof(play->address), "%s", scene_path("server"));
	victim_start(&play->victim, act, play);
	raise_curtain(play);
	ck_assert_int_eq(pthread_create(&play->thread, NULL, survive, play), 0);
	reached = victim_reach(&play->victim);
	play_expect(play, reached, "the victim %s with status 0x%x: %s",
		    hangs ? "hangs, and ended" : "ended", (unsigned)play->victim.status,
		    diary->words);
	if (play->cast->asleep_ns)
		play_expect(play, scene_until(has_slept, play), "the survivor does not sleep");
	made = victim_step(&play->victim, step, count);
	if (play->cast->held)
		play->cast->held(play);
	stagger(play);
	alarm(0);
	play_expect(play, !hangs, "the victim hangs");
	killed = victim_kill(&play->victim);
	/* Pairs with the acquire in play_is_dead. */
	__atomic_store_n(&play->dead, true, __ATOMIC_RELEASE);
	play_expect(play, scene_until(is_over, play), "the survivor does not come to an end");
	ck_assert_int_eq(pthread_join(play->thread, NULL), 0);
	check(play, killed, before);
	return made;
}

/* TEST_STEP: one step of one play. */
static bool perform_chosen(struct play *play, const struct holdings *before)
{
	const char *wish = getenv("TEST_STEP");
	size_t length = strlen(play->cast->name);

	if (!wish)
		return false;
	if (!strncmp(wish, play->cast->name, length) && wish[length] == ':')
		perform(play, wish[length + 1] == 'c' ? VICTIM_CALLS : VICTIM_INSTRUCTIONS,
			strtoull(wish + length + 2, NULL, 10), before);
	return true;
}

/* At which of all its instructions, for the i-th of so many runs: one of each stretch. */
static uint64_t choose(uint64_t all, uint64_t runs, uint64_t i)
{
	uint64_t from = all * i / runs, to = all * (i + 1) / runs;

	return from + traffic_mix(scene_seed() ^ traffic_mix(i)) % (to - from);
}

/* What this process holds once there is what stays: the counters of as many links as any run has at
 * the same time, among others. */
static struct holdings rest(void)
{
	struct peal_link *links[3][2];

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(peal_pair(links[i], NULL), 0);
	for (int i = 0; i < 3; i++) {
		peal_close(links[i][0]);
		peal_close(links[i][1]);
	}
	return holdings_at_rest();
}

static uint64_t how_many(uint64_t runs, uint64_t instructions)
{
	if (runner_long())
		runs *= instructions > 4000 ? 32 : 96;
	else if (runs * instructions > 2 * STEPS_IN_ALL)
		runs = 1 + 2 * STEPS_IN_ALL / instructions;
	return runs < instructions ? runs : instructions;
}

void play_run(const struct cast *cast)
{
	struct play play = { .cast = cast };
	uint64_t calls, stops, instructions, runs = cast->runs ? cast->runs : 5, begun;
	struct holdings before;

	play.diary = mmap(NULL, sizeof(*play.diary), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(play.diary != MAP_FAILED);
	before = rest();
	share_a_cpu();
	if (perform_chosen(&play, &before))
		return;
	begun = scene_now();
	calls = perform(&play, VICTIM_CALLS, (uint64_t)STEPS_MOST, &before);
	instructions = perform(&play, VICTIM_INSTRUCTIONS, (uint64_t)STEPS_MOST, &before);
	stops = runner_long() || calls < STOPS_MOST ? calls : STOPS_MOST;
	for (uint64_t i = 0; i < stops; i++)
		perform(&play, VICTIM_CALLS, choose(calls, stops, i), &before);
	runs = how_many(runs, instructions);
	for (uint64_t i = 0; i < runs; i++)
		perform(&play, VICTIM_INSTRUCTIONS, choose(instructions, runs, i), &before);
	holdings_expect(getpid(), &before);
	memset(play.diary, 0, sizeof(*play.diary));
	printf("      %s: %" PRIu64 " kills, at %" PRIu64 " of %" PRIu64
	       " ends of system calls and %" PRIu64 " of %" PRIu64 " instructions, in %" PRIu64
	       " ms\n",
	       cast->name, stops + runs + 2, stops, calls, runs, instructions,
	       (scene_now() - begun) / (uint64_t)MS);
	fflush(stdout);
	figures->plays++;
	figures->kills += stops + runs + 2;
	figures->stops += stops + 1;
	figures->instructions += runs + 1;
}

int play_main(Suite *(*const suites[])(void))
{
	int status;

	figures = mmap(NULL, sizeof(*figures), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (figures == MAP_FAILED)
		return EXIT_FAILURE;
	status = runner_main(suites);
	printf("%" PRIu64 " plays, %" PRIu64 " kills: at %" PRIu64
	       " ends of system calls and at %" PRIu64 " instructions\n",
	       figures->plays, figures->kills, figures->stops, figures->instructions);
	return status;
}
