/*
 * SPDX-License-Identifier: MIT
 *
 * What unit tests stand on. See stage.h.
 */
#include "config.h"

#include "tests/unit/stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t stage_page(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

struct peal_options stage_options(uint32_t wait, uint64_t ring)
{
	struct peal_options options;

	peal_options_init(&options);
	options.wait = wait;
	options.ring = ring ? ring : stage_page();
	options.handshake_ns = (uint64_t)LONG;
	return options;
}

void pair_open(struct peal_link *links[2], uint32_t wait, uint64_t ring)
{
	struct peal_options options = stage_options(wait, ring);
	int err = peal_pair(links, &options);

	if (err)
		ck_abort_msg("peal_pair: %d: %s", err, peal_error());
}

void pair_close(struct peal_link *links[2])
{
	peal_close(links[0]);
	peal_close(links[1]);
	links[0] = links[1] = NULL;
}

void folder_make(struct folder *folder)
{
	const char *base = getenv("TMPDIR");

	if (!base || strlen(base) > 60)
		base = "/tmp";
	snprintf(folder->name, sizeof(folder->name), "%s/peal-unit-XXXXXX", base);
	if (!mkdtemp(folder->name))
		ck_abort_msg("mkdtemp %s: %s", folder->name, strerror(errno));
	/* Others may come here: what they may do is up to what is in it. */
	if (chmod(folder->name, 0755))
		ck_abort_msg("chmod %s: %s", folder->name, strerror(errno));
	snprintf(folder->path, sizeof(folder->path), "%s/socket", folder->name);
}

void folder_remove(const struct folder *folder)
{
	if (runner_remove(folder->name))
		ck_abort_msg("removing %s: %s", folder->name, strerror(errno));
}

int folder_count(const struct folder *folder)
{
	DIR *dir = opendir(folder->name);
	int count = -2; /* "." and ".." */

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void *call(void *data)
{
	struct caller *caller = data;

	caller->err = peal_connect(&caller->link, caller->address, caller->options,
				   caller->timeout);
	if (caller->err)
		snprintf(caller->sentence, sizeof(caller->sentence), "%s", peal_error());
	__atomic_store_n(&caller->over, true, __ATOMIC_RELEASE);
	return NULL;
}

bool caller_is_over(const struct caller *caller)
{
	return __atomic_load_n(&caller->over, __ATOMIC_ACQUIRE);
}

void caller_start(struct caller *caller, const char *address, const struct peal_options *options,
		  int64_t timeout)
{
	memset(caller, 0, sizeof(*caller));
	caller->address = address;
	caller->options = options;
	caller->timeout = timeout;
	if (pthread_create(&caller->thread, NULL, call, caller))
		ck_abort_msg("no thread");
}

void caller_end(struct caller *caller)
{
	pthread_join(caller->thread, NULL);
}

void meeting_open(struct meeting *meeting, const struct peal_options *server,
		  const struct peal_options *client)
{
	struct peal_options patient;
	struct caller caller;
	int err;

	peal_options_init(&patient);
	patient.handshake_ns = (uint64_t)LONG;
	folder_make(&meeting->folder);
	err = peal_listen(&meeting->listener, meeting->folder.path, server ? server : &patient);
	if (err)
		ck_abort_msg("peal_listen: %d: %s", err, peal_error());
	caller_start(&caller, meeting->folder.path, client, LONG);
	err = peal_accept(meeting->listener, &meeting->server, LONG);
	caller_end(&caller);
	if (err)
		ck_abort_msg("peal_accept: %d: %s", err, peal_error());
	if (caller.err)
		ck_abort_msg("peal_connect: %d: %s", caller.err, caller.sentence);
	meeting->client = caller.link;
}

void meeting_close(struct meeting *meeting)
{
	peal_close(meeting->client);
	peal_close(meeting->server);
	peal_listener_close(meeting->listener);
	folder_remove(&meeting->folder);
}

/* Neighbouring bytes, words and seeds all differ. */
static uint8_t payload_byte(size_t i, uint32_t seed)
{
	return (uint8_t)(seed * 151 + (seed >> 8) + i * 7 + (i >> 8));
}

void payload_fill(void *to, size_t length, uint32_t seed)
{
	uint8_t *bytes = to;

	for (size_t i = 0; i < length; i++)
		bytes[i] = payload_byte(i, seed);
}

bool payload_matches(const void *at, size_t length, uint32_t seed)
{
	const uint8_t *bytes = at;
	unsigned differ = 0;

	for (size_t i = 0; i < length; i++)
		differ |= (unsigned)(bytes[i] ^ payload_byte(i, seed));
	return !differ;
}

static void check_error(int64_t result, const char *sentence, int err, va_list pieces)
{
	const char *piece;

	if (result != err)
		ck_abort_msg("%lld (%s) where %d (%s) is right: %s", (long long)result,
			     result < 0 ? strerror((int)-result) : "no error", err, strerror(-err),
			     sentence);
	while ((piece = va_arg(pieces, const char *))) {
		if (!strstr(sentence, piece))
			ck_abort_msg("\"%s\" is not in the sentence: %s", piece, sentence);
	}
}

struct peal_stats stats_of(const struct peal_link *link)
{
	struct peal_stats stats = { .size = sizeof(stats) };

	ck_assert_int_eq(peal_link_stats(link, &stats), 0);
	return stats;
}

uint64_t scramble(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

bool noise_explains(int64_t result)
{
	return result >= 0 || result == -EAGAIN || result == -ETIMEDOUT || result == -EPIPE ||
	       result == -EPROTO || result == -ENOBUFS || result == -EMSGSIZE;
}

void expect_error(int64_t result, int err, ...)
{
	va_list pieces;

	va_start(pieces, err);
	check_error(result, peal_error(), err, pieces);
	va_end(pieces);
}

void expect_words(int64_t result, const char *sentence, int err, ...)
{
	va_list pieces;

	va_start(pieces, err);
	check_error(result, sentence, err, pieces);
	va_end(pieces);
}

static int entries(const char *path)
{
	DIR *dir = opendir(path);
	int count = -2; /* the two dots */

	if (!dir)
		ck_abort_msg("%s: %s", path, strerror(errno));
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if __has_feature(thread_sanitizer) || defined(__SANITIZE_THREAD__)
#define THREADS_COME_LATER true
#else
#define THREADS_COME_LATER false
#endif

/* An emulator has threads of its own from the start, ThreadSanitizer when there are others. 0: not
 * known. */
static int threads_at_start;

static __attribute__((constructor)) void count_threads(void)
{
	threads_at_start = THREADS_COME_LATER ? 0 : entries("/proc/self/task");
}

static void *end_at_once(void *data)
{
	return data;
}

void threads_begin(int own)
{
	pthread_t thread;
	int least;

	if (THREADS_COME_LATER && !pthread_create(&thread, NULL, end_at_once, NULL))
		pthread_join(thread, NULL);
	least = entries("/proc/self/task");
	/* One that is joined may be there for a moment. */
	for (int i = 0; THREADS_COME_LATER && i < 100; i++) {
		int now = entries("/proc/self/task");

		least = now < least ? now : least;
		sched_yield();
	}
	threads_at_start = least + own;
}

void threads_expect_none(void)
{
	struct timespec now, start;
	int more;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (threads_at_start && (more = entries("/proc/self/task") - threads_at_start) > 0) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec >= 10)
			ck_abort_msg("%d threads are left that should have ended", more);
		sched_yield();
	}
}

pid_t fork_alone(void)
{
	threads_expect_none();
	fflush(NULL);
	return fork();
}

void child_start(struct child *child, const char *(*run)(void *data), void *data)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) || (child->pid = fork_alone()) < 0)
		ck_abort_msg("no child: %s", strerror(errno));
	if (!child->pid) {
		const char *went_wrong = run(data);

		if (went_wrong && write(ends[1], went_wrong, strlen(went_wrong)) < 0)
			_exit(2);
		_exit(went_wrong ? 1 : 0);
	}
	close(ends[1]);
	child->end = ends[0];
}

void child_end(struct child *child)
{
	char text[1024];
	size_t length = 0;
	ssize_t more;
	int status;

	while ((more = read(child->end, text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)more;
	text[length] = 0;
	close(child->end);
	if (waitpid(child->pid, &status, 0) != child->pid)
		ck_abort_msg("waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status))
		ck_abort_msg("the child was ended by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status))
		ck_abort_msg("in the child (status %d): %s", WEXITSTATUS(status), text);
}

void child_run(const char *(*run)(void *data), void *data)
{
	struct child child;

	child_start(&child, run, data);
	child_end(&child);
}

const char *wrong(const char *format, ...)
{
	static char text[900];
	va_list arguments;
	size_t length;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text) / 2, format, arguments);
	va_end(arguments);
	length = strlen(text);
	snprintf(text + length, sizeof(text) - length, " (last error: %s)", peal_error());
	return text;
}

const char *become_nobody(void)
{
	if (setgroups(0, NULL) || setegid(NOBODY) || seteuid(NOBODY))
		return wrong("becoming nobody: %s", strerror(errno));
	return NULL;
}

int descriptors_count(void)
{
	return entries("/proc/self/fd") - 1; /* the one that looks */
}

int descriptors_settled(void)
{
	struct peal_link *pairs[4][2];

	for (int i = 0; i < 4; i++)
		pair_open(pairs[i], PEAL_WAIT_ADAPTIVE, 0);
	for (int i = 0; i < 4; i++)
		pair_close(pairs[i]);
	return descriptors_count();
}

void descriptors_expect(int count)
{
	struct timespec now, start;
	int open;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		open = descriptors_count();
		if (open == count)
			return;
		sched_yield();
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < 10);
	ck_abort_msg("%d descriptors are open where %d were before", open, count);
}

int mappings_count(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512];
	int count = 0;

	if (!file) {
		ck_abort_msg("/proc/self/maps: %s", strerror(errno));
		return 0;
	}
	while (fgets(line, sizeof(line), file))
		count += strstr(line, "memfd:") != NULL;
	fclose(file);
	return count;
}
