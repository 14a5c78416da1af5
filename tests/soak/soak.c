/*
 * SPDX-License-Identifier: MIT
 *
 * The soak: all ways of waiting, waking, sending and receiving at the same time, each link with
 * others, for as long as one likes, in search of lost wake-ups. A server and a client process,
 * either of which is killed and started anew, talk over several links; two lanes are pairs inside
 * the server, and on two clients call a server that closes now and then.
 *
 * A lane is a place for one link at a time; a session is such a link. Each side of a session notes
 * on a board, in memory that all processes share, how far it is. The first process uses no Peal: it
 * starts the others, kills, and watches the board. A side that is in a session and has not moved
 * for STUCK_NS has lost a wake-up: no pause is as long, and no session lasts as long. Then both
 * processes print the pages and positions of its lane. A later message would heal most lost
 * wake-ups, so senders now and then wait, by the board and not by Peal, until all that they sent
 * has arrived. Membarriers fail now and then. Each process takes another ring variant and other
 * settings from its environment, and some never sleep in the kernel (PEAL_WAITER=spin).
 *
 * Usage: soak [SECONDS]. Without an argument a short run as a test. SOAK_SEED: to choose alike
 * again.
 *
 * It has to fail where lib/bell.c is wrong; how to see that is in CONTRIBUTING.md.
 */
#include "config.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/arch.h"
#include "platform/platform.h"
#include "tests/soak/chance.h"
#include "tests/soak/lane.h"
#include "tests/soak/side.h"

#define STUCK_NS ((uint64_t)5 * SECOND)
#define STUCK_LOOKS 100 /* within that time; fewer, and it was this process that had no CPU */

static const char *const phases[] = { "idle",   "sends",   "receives", "polls", "in a set",
				      "pauses", "settles", "meets",    "over" };
static const char *const names[] = { "server", "client" };

/*
 * A process that talks.
 */

static void *print_when_asked(void *data)
{
	uint64_t lane;

	(void)data;
	while (!(lane = get(&board->dump)))
		sleep_ns(50 * MS);
	while (process == CLIENT && !get(&board->dumped[SERVER]))
		sleep_ns(50 * MS);
	for (int which = 0; which < 2; which++)
		side_print((int)lane - 1, which);
	put(&board->dumped[process], 1);
	return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), int number)
{
	if (pthread_create(thread, NULL, run, (void *)(intptr_t)number))
		wrong("no thread");
}

static int be_server(pthread_t *threads)
{
	int count = 0;

	for (int i = 0; i < SINGLES; i++)
		start(&threads[count++], serve_lane, i);
	start(&threads[count++], serve_set, 0);
	pairs_prepare();
	for (int i = 0; i < 2 * PAIRS; i++)
		start(&threads[count++], pair_lane, i);
	start(&threads[count++], serve_calls, 0);
	return count;
}

static int be_client(pthread_t *threads)
{
	int count = 0;

	for (int i = 0; i < FIRST_PAIR; i++)
		start(&threads[count++], call_lane, i);
	for (int i = FIRST_CALLER; i < LANES; i++)
		start(&threads[count++], ask_calls, i);
	return count;
}

static int be(int which)
{
	pthread_t threads[LANES * 2], printer;
	int count;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	process = which;
	start(&printer, print_when_asked, 0);
	count = which == SERVER ? be_server(threads) : be_client(threads);
	while (count)
		pthread_join(threads[--count], NULL);
	return 0;
}

/*
 * The first process.
 */

static pid_t children[2];

static void fork_off(int which)
{
	uint64_t random = mix(first_seed + 2 * kills() + (uint64_t)which);
	/* Not both: they would share the CPUs with nobody else. */
	bool spins = draw(&random, 4) == 0 && !get(&board->spins[!which]);
	pid_t pid = fork();

	if (pid < 0) {
		perror("soak: fork");
		exit(1);
	}
	if (!pid) {
		if (spins)
			setenv("PEAL_WAITER", "spin", 1);
		draw_environment(random);
		_exit(be(which));
	}
	put(&board->spins[which], spins);
	children[which] = pid;
}

static void kill_child(int which)
{
	kill(children[which], SIGKILL);
	waitpid(children[which], NULL, 0);
	children[which] = 0;
}

/* The notes of one who is dead: in no session, and it receives no more. */
static void strike_out(int lane, int which)
{
	put(&board->notes[lane][which].open, 0);
	put(&board->notes[lane][which].over, 1);
}

static void kill_and_replace(int which)
{
	add(&board->kills[which], 1);
	kill_child(which);
	add(&board->kills[which], 1);
	if (which == SERVER && get(&board->closings) % 2)
		add(&board->closings, 1);
	for (int lane = 0; lane < LANES; lane++)
		strike_out(lane, which);
	for (int lane = FIRST_PAIR; which == SERVER && lane < FIRST_CALLER; lane++)
		strike_out(lane, CLIENT); /* both sides of a pair */
	fork_off(which);
}

static void end_all(void)
{
	for (int which = 0; which < 2; which++)
		if (children[which] > 0)
			kill_child(which);
	for (int lane = 0; lane < LANES; lane++) {
		char address[100], lock[120];

		address_of(lane, address, sizeof(address));
		snprintf(lock, sizeof(lock), "%s.lock", address);
		unlink(address);
		unlink(lock);
	}
	rmdir(folder);
}

static unsigned long long counted(enum count what)
{
	return get(&board->counts[what]);
}

static void report(uint64_t begun)
{
	printf("soak: %4llu s: %llu messages, %llu MB, %llu links, %llu calls, %llu sleeps, "
	       "%llu servers and %llu clients killed\n",
	       (unsigned long long)((platform_now() - begun) / SECOND), counted(MESSAGES),
	       counted(BYTES) / 1000000, counted(LINKS), counted(CALLS), counted(SLEEPS),
	       (unsigned long long)get(&board->kills[SERVER]) / 2,
	       (unsigned long long)get(&board->kills[CLIENT]) / 2);
	fflush(stdout);
}

static void report_all(uint64_t begun)
{
	report(begun);
	printf("soak: %llu links cut short, %llu on huge pages of the pool; %llu deadlines, %llu "
	       "membarriers, %llu of them failed\n",
	       counted(CUT_SHORT), counted(HUGE_LINKS), counted(DEADLINES), counted(BARRIERS),
	       counted(BARRIERS_FAILED));
	printf("soak: calls: %llu answered, %llu refused, %llu unknown, %llu not sent, %llu timed "
	       "out, %llu cancelled; their server was closed %llu times\n",
	       counted(ANSWERED), counted(ERRORS), counted(UNKNOWN), counted(NOT_SENT),
	       counted(TIMED_OUT), counted(CANCELLED),
	       (unsigned long long)get(&board->closings) / 2);
	for (int i = 0; i < VARIANTS && arch_ring_ops[i]; i++) {
		const struct variant *at = &board->variants[i];

		if (!get(&at->processes)) {
			printf("soak: %-12s not usable here, or not drawn\n",
			       arch_ring_ops[i]->name);
			continue;
		}
		printf("soak: %-12s %llu processes received %llu messages, %llu MB; %llu ends of "
		       "links closed, %llu sleeps\n",
		       arch_ring_ops[i]->name, (unsigned long long)get(&at->processes),
		       (unsigned long long)get(&at->messages),
		       (unsigned long long)get(&at->bytes) / 1000000,
		       (unsigned long long)get(&at->links), (unsigned long long)get(&at->sleeps));
	}
}

static void stuck(int lane)
{
	fprintf(stderr, "soak: lane %d has not moved for %llu s: a wake-up was lost\n", lane,
		(unsigned long long)(STUCK_NS / SECOND));
	for (int which = 0; which < 2; which++) {
		const struct note *note = &board->notes[lane][which];

		fprintf(stderr,
			"  %s: open %llu, speaks %llx, sent %llu, hears %llx, received %llu, over "
			"%llu; %s, %s\n",
			names[which], (unsigned long long)get(&note->open),
			(unsigned long long)get(&note->speaks),
			(unsigned long long)get(&note->sent), (unsigned long long)get(&note->hears),
			(unsigned long long)get(&note->received),
			(unsigned long long)get(&note->over), phases[get(&note->sending)],
			phases[get(&note->receiving)]);
	}
	put(&board->dump, 1 + (uint64_t)lane);
	for (int i = 0; i < 50 && !get(&board->dumped[CLIENT]); i++)
		sleep_ns(100 * MS);
}

/* The lane of a side that is in a session and does not move; -1: none. */
static int look_for_stuck(void)
{
	static struct {
		uint64_t steps, since, looks;
	} seen[LANES][2];
	uint64_t now = platform_now();

	for (int lane = 0; lane < LANES; lane++)
		for (int which = 0; which < 2; which++) {
			const struct note *note = &board->notes[lane][which];
			uint64_t steps = get(&note->steps);

			if (!get(&note->open) || steps != seen[lane][which].steps ||
			    !seen[lane][which].since) {
				seen[lane][which].since = now;
				seen[lane][which].looks = 0;
			} else if (now - seen[lane][which].since > STUCK_NS &&
				   ++seen[lane][which].looks > STUCK_LOOKS) {
				return lane;
			}
			seen[lane][which].steps = steps;
		}
	return -1;
}

/* Whether a child has ended by itself. 0: it has not; 1: well; -1: badly. */
static int has_ended(int which)
{
	int status;

	if (waitpid(children[which], &status, WNOHANG) != children[which])
		return 0;
	children[which] = 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 1 : -1;
}

/* False: one has ended that should not have. */
static bool look_for_ended(void)
{
	for (int which = SERVER; which <= CLIENT; which++) {
		int state = children[which] ? has_ended(which) : 0;

		if (!state)
			continue;
		if (state < 0 || !get(&board->stop[which])) {
			fprintf(stderr, "soak: the %s has ended before its time\n", names[which]);
			return false;
		}
		if (which == CLIENT)
			put(&board->stop[SERVER], 1);
	}
	return true;
}

static int soak(uint64_t ns)
{
	uint64_t begun = platform_now(), now, report_at = begun + 10 * (uint64_t)SECOND;
	uint64_t random = first_seed, kill_at = begun + SECOND / 2;
	int lane;

	fork_off(SERVER);
	fork_off(CLIENT);
	while (children[SERVER] || children[CLIENT]) {
		sleep_ns(20 * MS);
		now = platform_now();
		if (get(&board->wrong))
			return 1;
		lane = look_for_stuck();
		if (lane >= 0) {
			stuck(lane);
			return 1;
		}
		if (now >= report_at) {
			report(begun);
			report_at += 10 * (uint64_t)SECOND;
		}
		if (now - begun >= ns)
			put(&board->stop[CLIENT], 1);
		if (!look_for_ended())
			return 1;
		if (!get(&board->stop[CLIENT]) && now >= kill_at) {
			uint64_t whom = draw(&random, 5); /* the last one: both */

			for (int which = SERVER; which <= CLIENT; which++)
				if (whom == 4 || whom % 2 == (uint64_t)which)
					kill_and_replace(which);
			kill_at = now + 200 * MS + draw(&random, 4000) * MS;
		}
	}
	report_all(begun);
	if (!counted(MESSAGES) || !counted(LINKS) || !counted(SLEEPS) || !counted(ANSWERED)) {
		fprintf(stderr, "soak: no message, link, sleep or answer: nothing was tested\n");
		return 1;
	}
	printf("soak: %llu messages, 0 lost wake-ups\n", counted(MESSAGES));
	return 0;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 3;
	const char *seed = getenv("SOAK_SEED");
	int status;

	if (argc > 2 || !(seconds > 0 && seconds < 1e9)) {
		fprintf(stderr, "soak: usage: soak [SECONDS]\n");
		return 64;
	}
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	snprintf(folder, sizeof(folder), "/tmp/soak.XXXXXX");
	if (board == MAP_FAILED || !mkdtemp(folder)) {
		perror("soak");
		return 1;
	}
	first_seed = seed ? strtoull(seed, NULL, 0) :
			    mix(platform_now() ^ (uint64_t)getpid() << 32);
	printf("soak: SOAK_SEED=0x%llx\n", (unsigned long long)first_seed);
	fflush(stdout);
	status = soak((uint64_t)(seconds * 1e9));
	end_all();
	if (argc == 1) {
		printf("%s  all ways of waiting at once lose no wake-up and no message\n",
		       status ? "FAIL" : "pass");
		printf("%d passed, %d failed, 0 skipped\n", !status, !!status);
	}
	return status;
}
