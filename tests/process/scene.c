/*
 * SPDX-License-Identifier: MIT
 *
 * What the process tests share, as scene.h says. Peers die with the test that started them, also
 * when it fails half-way; the folder is removed by the process that libcheck runs the tests from.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/scene.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *const scene_waits[3] = { "adaptive", "spin", "sleep" };

static char folder[64];
static uint64_t seed, chance;

uint64_t scene_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * (uint64_t)SECOND + (uint64_t)now.tv_nsec;
}

static void set_up(void)
{
	const char *parent = getenv("TMPDIR"), *wish = getenv("TEST_SEED");

	/* Sockets have short names. */
	if (!parent || strlen(parent) > 40)
		parent = "/tmp";
	snprintf(folder, sizeof(folder), "%s/peal.XXXXXX", parent);
	/* Other users' peers have to get in. */
	if (!mkdtemp(folder) || chmod(folder, 0777)) {
		perror(folder);
		exit(EXIT_FAILURE);
	}
	seed = wish ? strtoull(wish, NULL, 0) : scene_now();
	chance = seed;
}

static void tear_down(void)
{
	runner_remove(folder);
}

struct TCase *scene_case(const char *name)
{
	TCase *tcase = tcase_create(name);

	/* Not "checked": these run outside of a test's process, so also after one that failed. */
	tcase_add_unchecked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, runner_long() ? 3600 : 90);
	return tcase;
}

const char *scene_path(const char *name)
{
	static char paths[4][108];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

unsigned scene_rounds(unsigned normal)
{
	return runner_long() ? normal * 10 : runner_burdened() ? (normal + 2) / 3 : normal;
}

uint64_t scene_random(void)
{
	chance = traffic_mix(chance);
	return chance;
}

uint64_t scene_seed(void)
{
	return seed;
}

bool scene_until(bool (*is_true)(void *data), void *data)
{
	uint64_t end = scene_now() + (uint64_t)SCENE_PATIENCE;

	while (!is_true(data)) {
		if (scene_now() > end)
			return false;
		sched_yield();
	}
	return true;
}

struct peal_options scene_options(unsigned wait, uint64_t ring)
{
	struct peal_options options;

	peal_options_init(&options);
	options.wait = wait;
	options.ring = ring;
	options.handshake_ns = (uint64_t)SCENE_PATIENCE;
	options.max_message = TRAFFIC_LONGEST;
	return options;
}

/*
 * Peers.
 */

static pid_t plain_fork(const void *data)
{
	(void)data;
	return fork();
}

static void start(struct peer *peer, const char *program, pid_t (*fork_it)(const void *data),
		  const void *data)
{
	int in[2], out[2];

	ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	peer->pid = fork_it(data);
	ck_assert_int_ge(peer->pid, 0);
	if (!peer->pid) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		runner_exec(runner_built(program), (char *[]){ "peer", NULL });
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	peer->in = in[1];
	peer->out = out[0];
	peer->text[0] = '\0';
}

void peer_start(struct peer *peer)
{
	peer_start_by(peer, plain_fork, NULL);
}

void peer_start_by(struct peer *peer, pid_t (*fork_it)(const void *data), const void *data)
{
	start(peer, "tests/process/peer", fork_it, data);
}

void engine_start(struct peer *peer)
{
	start(peer, "tests/process/engine", plain_fork, NULL);
}

void peer_tell(struct peer *peer, const char *format, ...)
{
	char text[2048];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text) - 1, format, arguments);
	va_end(arguments);
	ck_assert_int_lt(length, (int)sizeof(text) - 1);
	text[length++] = '\n';
	ck_assert_int_eq(write(peer->in, text, (size_t)length), length);
}

long peer_hear(struct peer *peer, const char *verb)
{
	uint64_t end = scene_now() + (uint64_t)SCENE_PATIENCE, now;
	char line[sizeof(peer->text)], *rest;
	size_t length = 0;
	long result;

	while (!length || line[length - 1] != '\n') {
		struct pollfd look = { .fd = peer->out, .events = POLLIN };

		now = scene_now();
		ck_assert_msg(now < end, "the peer did not answer \"%s\"", verb);
		if (poll(&look, 1, (int)((end - now) / (uint64_t)MS) + 1) <= 0)
			continue;
		ck_assert_uint_lt(length, sizeof(line) - 1);
		ck_assert_msg(read(peer->out, line + length, 1) == 1,
			      "the peer ended instead of answering \"%s\"", verb);
		length++;
	}
	line[length - 1] = '\0';
	length = strlen(verb);
	ck_assert_msg(!strncmp(line, verb, length) && line[length] == ' ',
		      "asked for \"%s\", the peer said: %s", verb, line);
	result = strtol(line + length, &rest, 10);
	snprintf(peer->text, sizeof(peer->text), "%s", rest + (*rest == ' '));
	return result;
}

bool peer_has_answered(const struct peer *peer)
{
	struct pollfd look = { .fd = peer->out, .events = POLLIN };

	return poll(&look, 1, 0) == 1;
}

long peer_ask(struct peer *peer, const char *command)
{
	char verb[32];

	snprintf(verb, sizeof(verb), "%.*s", (int)strcspn(command, " "), command);
	peer_tell(peer, "%s", command);
	return peer_hear(peer, verb);
}

static bool sleeps(void *data)
{
	const struct peer *peer = data;
	char path[64], line[512] = "", *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)peer->pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
	fclose(file);
	state = strrchr(line, ')');
	return state && state[1] && state[2] == 'S';
}

void peer_wait_asleep(const struct peer *peer)
{
	ck_assert_msg(scene_until(sleeps, (void *)(uintptr_t)peer),
		      "the peer does not go to sleep");
}

void peer_stop(const struct peer *peer)
{
	int status;

	ck_assert_int_eq(kill(peer->pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(peer->pid, &status, WUNTRACED), peer->pid);
	ck_assert(WIFSTOPPED(status));
}

void peer_continue(const struct peer *peer)
{
	ck_assert_int_eq(kill(peer->pid, SIGCONT), 0);
}

/* Takes the ends of what is left of a process. Its status. */
static int reap(struct peer *peer)
{
	int status = 0;

	while (waitpid(peer->pid, &status, 0) < 0)
		ck_assert_int_eq(errno, EINTR);
	close(peer->in);
	close(peer->out);
	peer->pid = -1;
	return status;
}

void peer_reap_killed(struct peer *peer)
{
	int status = reap(peer);

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		      "the peer ended with status 0x%x before it was killed", (unsigned)status);
}

void peer_kill(struct peer *peer)
{
	ck_assert_int_eq(kill(peer->pid, SIGKILL), 0);
	peer_reap_killed(peer);
}

void peer_end(struct peer *peer)
{
	int status;

	close(peer->in);
	peer->in = -1;
	status = reap(peer);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		      "the peer ended with status 0x%x", (unsigned)status);
}

struct peal_link *peer_link(struct peer *peer, bool serve, unsigned wait, uint64_t ring)
{
	struct peal_options options = scene_options(wait, ring);
	const char *address = scene_path("link");
	struct peal_listener *listener;
	struct peal_link *link;
	int err;

	peer_tell(peer, "wait %s\nring %" PRIu64, scene_waits[wait], ring);
	if (serve) {
		ck_assert_msg(!peal_listen(&listener, address, &options), "%s", peal_error());
		peer_tell(peer, "connect %s %" PRId64, address, SCENE_PATIENCE);
		err = peal_accept(listener, &link, SCENE_PATIENCE);
		ck_assert_msg(!err, "%s", peal_error());
		peal_listener_close(listener);
		ck_assert_msg(peer_hear(peer, "connect") == 0, "%s", peer->text);
	} else {
		peer_tell(peer, "listen %s", address);
		ck_assert_msg(peer_hear(peer, "listen") == 0, "%s", peer->text);
		peer_tell(peer, "accept %" PRId64 "\nunlisten", SCENE_PATIENCE);
		err = peal_connect(&link, address, &options, SCENE_PATIENCE);
		ck_assert_msg(!err, "%s", peal_error());
		ck_assert_msg(peer_hear(peer, "accept") == 0, "%s", peer->text);
		ck_assert_int_eq(peer_hear(peer, "unlisten"), 0);
	}
	return link;
}

static void *do_kill(void *data)
{
	struct killer *killer = data;

	while (journal_read(killer->word) < killer->at)
		sched_yield();
	for (uint64_t i = 0; i < killer->turns; i++)
		peal_relax();
	kill(killer->pid, SIGKILL);
	/* Pairs with the acquire in killer_is_done. */
	__atomic_store_n(&killer->killed_ns, scene_now(), __ATOMIC_RELEASE);
	return NULL;
}

bool killer_is_done(const struct killer *killer)
{
	/* Pairs with the release in do_kill. */
	return __atomic_load_n(&killer->killed_ns, __ATOMIC_ACQUIRE);
}

void killer_start(struct killer *killer)
{
	ck_assert_int_eq(pthread_create(&killer->thread, NULL, do_kill, killer), 0);
}

void killer_end(struct killer *killer)
{
	ck_assert_int_eq(pthread_join(killer->thread, NULL), 0);
}

static void *do_pester(void *data)
{
	struct pest *pest = data;
	const struct timespec pause = { .tv_nsec = pest->pause };

	while (!__atomic_load_n(&pest->stop, __ATOMIC_RELAXED)) {
		pthread_kill(pest->victim, SIGUSR1);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

void pest_start(struct pest *pest, void (*handler)(int signal), long pause)
{
	struct sigaction action = { .sa_handler = handler }; /* no SA_RESTART */

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	*pest = (struct pest){ .victim = pthread_self(), .pause = pause };
	ck_assert_int_eq(pthread_create(&pest->thread, NULL, do_pester, pest), 0);
}

void pest_end(struct pest *pest)
{
	__atomic_store_n(&pest->stop, true, __ATOMIC_RELAXED);
	ck_assert_int_eq(pthread_join(pest->thread, NULL), 0);
}

/*
 * What a process holds.
 */

static unsigned count_descriptors(pid_t pid)
{
	char path[64];
	unsigned count = 0;
	DIR *all;

	snprintf(path, sizeof(path), "/proc/%ld/fd", (long)pid);
	all = opendir(path);
	ck_assert_ptr_nonnull(all);
	while (readdir(all))
		count++;
	closedir(all);
	/* Without "." and ".."; of our own, without the one that we look with. */
	return count - 2 - (pid == getpid());
}

static void count_mappings(pid_t pid, struct holdings *holdings)
{
	char path[64], *line = NULL;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/maps", (long)pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (getline(&line, &size, file) > 0) {
		uint64_t from, to;

		holdings->all_mappings++;
		if (strstr(line, "/memfd:peal") &&
		    sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) == 2) {
			holdings->mappings++;
			holdings->bytes += to - from;
		}
	}
	free(line);
	fclose(file);
}

static void count_anonymous(pid_t pid, struct holdings *holdings)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", (long)pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Anonymous: %" SCNu64, &holdings->anonymous_kib) == 1)
			break;
	fclose(file);
}

struct holdings holdings_whole(pid_t pid)
{
	struct holdings holdings = { .descriptors = count_descriptors(pid), .whole = true };

	count_mappings(pid, &holdings);
	count_anonymous(pid, &holdings);
	/* There are mappings of a sanitizer's. */
	if (runner_burdened())
		holdings.all_mappings = 0, holdings.anonymous_kib = 0;
	return holdings;
}

struct holdings holdings_of(pid_t pid)
{
	struct holdings holdings = holdings_whole(pid);

	/* And of what a peer does beside Peal. */
	if (pid != getpid())
		holdings.all_mappings = 0, holdings.anonymous_kib = 0, holdings.whole = false;
	return holdings;
}

struct holdings holdings_at_rest(void)
{
	struct peal_link *links[2];

	ck_assert_msg(!peal_pair(links, NULL), "%s", peal_error());
	peal_close(links[0]);
	peal_close(links[1]);
	return holdings_of(getpid());
}

struct comparison {
	pid_t pid;
	const struct holdings *before;
	struct holdings now;
};

static bool holds_no_more(void *data)
{
	struct comparison *comparison = data;
	const struct holdings *before = comparison->before;
	struct holdings *now = &comparison->now;

	*now = before->whole ? holdings_whole(comparison->pid) : holdings_of(comparison->pid);
	/* The C library keeps the memory of threads that have ended, and some more at hand. */
	return now->descriptors <= before->descriptors && now->mappings <= before->mappings &&
	       now->bytes <= before->bytes && now->all_mappings <= before->all_mappings + 16 &&
	       now->anonymous_kib <= before->anonymous_kib + 512;
}

void holdings_expect(pid_t pid, const struct holdings *before)
{
	struct comparison comparison = { .pid = pid, .before = before };
	bool same = scene_until(holds_no_more, &comparison);
	const struct holdings *now = &comparison.now;

	ck_assert_msg(same,
		      "process %ld held %u descriptors, %u mappings of Peal's with %" PRIu64
		      " bytes, %u in all, %" PRIu64 " KiB of its own; now %u, %u with %" PRIu64
		      ", %u, %" PRIu64,
		      (long)pid, before->descriptors, before->mappings, before->bytes,
		      before->all_mappings, before->anonymous_kib, now->descriptors, now->mappings,
		      now->bytes, now->all_mappings, now->anonymous_kib);
}
