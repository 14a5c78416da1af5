/*
 * SPDX-License-Identifier: MIT
 *
 * Counting what this process holds. See holdings.h.
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/fault/holdings.h"
#include "tests/fault/trap.h"
#include "tests/runner.h"

#define PATIENCE 3 /* s */

/* Stacks of threads that have ended, of which the C library keeps 40 MiB. What a client sets aside
 * for long messages is 64. */
#define SPACE_SLACK ((uint64_t)48 << 20)

/* All of a file of /proc, in memory that holds until the next call. */
static const char *read_whole(const char *path)
{
	static char text[1 << 20];
	size_t used = 0;
	ssize_t length;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && (length = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)length;
	close(fd);
	text[used] = 0;
	return text;
}

static void count_descriptors(struct held *held)
{
	DIR *all = opendir("/proc/self/fd");

	held->descriptors = -3; /* the two dots, and the one that looks */
	while (all && readdir(all))
		held->descriptors++;
	if (all)
		closedir(all);
}

static void count_mappings(struct held *held)
{
	const char *line = read_whole("/proc/self/maps"), *at = line;

	while ((at = strstr(at, "/memfd:peal"))) {
		const char *start = at;
		uint64_t from, to;

		while (start > line && start[-1] != '\n')
			start--;
		if (sscanf(start, "%" SCNx64 "-%" SCNx64, &from, &to) == 2) {
			held->mappings++;
			held->bytes += to - from;
		}
		at++;
	}
}

struct held held_now(void)
{
	struct held held = { .blocks = trap_blocks() };

	count_descriptors(&held);
	count_mappings(&held);
	held.space = strtoull(read_whole("/proc/self/statm"), NULL, 10) *
		     (uint64_t)sysconf(_SC_PAGESIZE);
	return held;
}

/* What can be counted from outside. */
static bool is_more(const struct held *now, const struct held *before)
{
	return now->descriptors > before->descriptors || now->mappings > before->mappings ||
	       now->bytes > before->bytes ||
	       (!runner_burdened() && now->space > before->space + SPACE_SLACK);
}

static bool is_over(const struct timespec *start)
{
	struct timespec now;

	sched_yield();
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - start->tv_sec >= PATIENCE;
}

struct held held_settled(const struct held *first)
{
	struct timespec start;
	struct held now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do
		now = held_now();
	while (is_more(&now, first) && !is_over(&start));
	return now;
}

const char *held_too_much(const struct held *before)
{
	static char text[256];
	struct timespec start;
	struct held now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		now = held_now();
		if (!is_more(&now, before) && now.blocks <= before->blocks)
			return NULL;
	} while (!is_over(&start));
	if (getenv("FAULT_LS")) {
		char c[64];
		snprintf(c, 64, "ls -l /proc/%d/fd >&2; ls /proc/%d/task >&2", getpid(), getpid());
		system(c);
	}
	snprintf(text, sizeof(text),
		 "held before and now: descriptors %d %d, mappings %d %d of %" PRIu64 " %" PRIu64
		 " bytes, address space %" PRIu64 " %" PRIu64 ", blocks %ld %ld",
		 before->descriptors, now.descriptors, before->mappings, now.mappings,
		 before->bytes, now.bytes, before->space, now.space, before->blocks, now.blocks);
	return text;
}
