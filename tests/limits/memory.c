/*
 * SPDX-License-Identifier: MIT
 *
 * Memory cgroups, of version 1 and 2: each side pays for what it produces into, and who has no more
 * of his memory is killed, which ends his link and nothing else. Root only.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <peal.h>

#include "tests/unit/stage.h"

#define MIB ((size_t)1 << 20)
#define RING (4 * MIB)

enum { OURS, THEIRS, COUNT };

static char group[COUNT][300]; /* "": there can be none */
static bool newer;             /* version 2 */
static char whole[64 * MIB];

static bool put(const char *folder, const char *name, const char *text)
{
	char path[400];
	int fd;
	bool done;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return done;
}

/* Where this system has its memory cgroups. */
static bool find(char root[256])
{
	FILE *mounts = fopen("/proc/self/mounts", "re");
	char line[1024], type[64], options[512], controllers[512];
	bool found = false;

	while (mounts && !found && fgets(line, sizeof(line), mounts)) {
		if (sscanf(line, "%*s %255s %63s %511s", root, type, options) != 3)
			continue;
		newer = !strcmp(type, "cgroup2");
		if (!newer) {
			found = !strcmp(type, "cgroup") && strstr(options, "memory");
			continue;
		}
		snprintf(line, sizeof(line), "%s/cgroup.controllers", root);
		FILE *file = fopen(line, "re");

		found = file && fgets(controllers, sizeof(controllers), file) &&
			strstr(controllers, "memory");
		if (file)
			fclose(file);
	}
	if (mounts)
		fclose(mounts);
	return found;
}

static const char *limit_name(void)
{
	return newer ? "memory.max" : "memory.limit_in_bytes";
}

/* In the process that runs the tests, which is there also when one of them fails. */
static void make_groups(void)
{
	static const char *const names[COUNT] = { "ours", "theirs" };
	char root[256], path[700];

	if (geteuid() || !find(root))
		return;
	for (int i = 0; i < COUNT; i++) {
		if (snprintf(group[i], sizeof(group[i]), "%.200s/peal-limits-%ld-%s", root,
			     (long)getpid(), names[i]) < 0 ||
		    mkdir(group[i], 0755))
			group[i][0] = 0;
		snprintf(path, sizeof(path), "%s/%s", group[i], limit_name());
		if (!group[i][0] || access(path, W_OK)) {
			rmdir(group[i]);
			group[i][0] = 0;
		}
	}
}

static void remove_groups(void)
{
	const struct timespec moment = { .tv_nsec = 10 * MS };

	for (int i = 0; i < COUNT; i++)
		for (int n = 0; n < 500 && group[i][0] && rmdir(group[i]) && errno == EBUSY; n++)
			nanosleep(&moment, NULL);
}

static bool enter(int which)
{
	return put(group[which], "cgroup.procs", "0");
}

static void limit(int which, size_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%zu", bytes);
	ck_assert(put(group[which], limit_name(), text));
	/* Where there is swap it would only take longer. */
	put(group[which], newer ? "memory.swap.max" : "memory.swappiness", "0");
}

static size_t usage(int which)
{
	char path[400], text[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", group[which],
		 newer ? "memory.current" : "memory.usage_in_bytes");
	file = fopen(path, "re");
	ck_assert(file && fgets(text, sizeof(text), file));
	fclose(file);
	return (size_t)strtoull(text, NULL, 10);
}

static bool missing(void)
{
	if (group[OURS][0] && group[THEIRS][0])
		return false;
	skip(geteuid() ? "only root can make cgroups" :
			 "no memory cgroup can be made here, of either version");
	return true;
}

static struct peal_options options_of(uint64_t ring)
{
	struct peal_options options = stage_options(PEAL_WAIT_ADAPTIVE, ring);

	options.max_message = sizeof(whole);
	options.max_peer_ring = RING;
	return options;
}

/*
 * The other side, in its group: sends what is longer and longer, or has it sent to it.
 */

static int go = -1; /* a pipe that tells it to */

static void grow(struct peal_link *link)
{
	for (size_t length = MIB / 2; length <= sizeof(whole); length += MIB / 2) {
		payload_fill(whole, length, (uint32_t)length);
		if (peal_send(peal_link_tx(link), whole, length, 0, LONG))
			_exit(3);
	}
}

static pid_t start_other(const char *path, bool sends)
{
	struct peal_options options = options_of(RING);
	struct peal_link *link;
	int ends[2];
	char byte;
	pid_t child;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	child = fork_alone();
	if (!child) {
		close(ends[1]);
		if (!enter(THEIRS) || peal_connect(&link, path, &options, LONG) ||
		    read(ends[0], &byte, 1) != 1)
			_exit(2);
		if (sends)
			grow(link);
		while (!sends &&
		       peal_recv(peal_link_rx(link), whole, sizeof(whole), NULL, LONG) >= 0)
			;
		_exit(0);
	}
	ck_assert_int_gt(child, 0);
	close(ends[0]);
	go = ends[1];
	return child;
}

static void expect_killed(pid_t child)
{
	int status;

	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status 0x%x",
		      (unsigned)status);
}

static void expect_pair_well(struct peal_link *links[2])
{
	char text[8];

	ck_assert_int_eq(peal_send(peal_link_tx(links[0]), "on", 2, 0, 0), 0);
	ck_assert_int_eq(peal_recv(peal_link_rx(links[1]), text, sizeof(text), NULL, 0), 2);
}

START_TEST(who_has_no_more_memory_is_killed_and_his_peers_go_on)
	{
		struct peal_options options = options_of(64 << 10);
		struct peal_link *pair[2], *link;
		struct peal_listener *listener;
		struct folder folder;
		bool sends = _i == 0;
		size_t expected = MIB / 2;
		int64_t got;
		pid_t child;

		if (missing())
			return;
		folder_make(&folder);
		pair_open(pair, PEAL_WAIT_ADAPTIVE, 0);
		ck_assert_int_eq(peal_listen(&listener, folder.path, &options), 0);
		limit(THEIRS, 24 * MIB);
		child = start_other(folder.path, sends);
		ck_assert_msg(!peal_accept(listener, &link, LONG), "%s", peal_error());
		ck_assert_int_eq(write(go, "", 1), 1);
		if (sends) {
			/* All that it had sent whole comes whole. */
			while ((got = peal_recv(peal_link_rx(link), whole, sizeof(whole), NULL,
						LONG)) >= 0) {
				ck_assert_int_eq(got, (int64_t)expected);
				ck_assert(payload_matches(whole, expected, (uint32_t)expected));
				expected += MIB / 2;
				expect_pair_well(pair);
			}
			ck_assert_uint_gt(expected, MIB);
		} else {
			do
				got = peal_send(peal_link_tx(link), whole, 48 * MIB, 0, LONG);
			while (!got);
		}
		ck_assert_msg(got == -ECONNRESET, "%lld %s", (long long)got, peal_error());
		expect_killed(child);
		expect_pair_well(pair);
		peal_close(link);
		/* And the next one is served. */
		child = start_other(folder.path, sends);
		ck_assert_msg(!peal_accept(listener, &link, LONG), "%s", peal_error());
		ck_assert_int_eq(write(go, "", 1), 1);
		if (sends)
			ck_assert_int_eq(peal_recv(peal_link_rx(link), whole, sizeof(whole), NULL,
						   LONG),
					 (int)(MIB / 2));
		else
			ck_assert_int_eq(peal_send(peal_link_tx(link), whole, 100, 0, LONG), 0);
		ck_assert_int_eq(kill(child, SIGKILL), 0);
		expect_killed(child);
		peal_close(link);
		pair_close(pair);
		peal_listener_close(listener);
		folder_remove(&folder);
	}
END_TEST

START_TEST(each_side_pays_for_what_it_produces_into)
	{
		struct peal_options options = options_of(64 << 10);
		struct peal_listener *listener;
		size_t ours, theirs, expected = MIB / 2;
		struct folder folder;
		struct peal_link *link;
		pid_t child;

		if (missing())
			return;
		if (runner_burdened()) {
			skip("a sanitizer pays for memory of its own");
			return;
		}
		folder_make(&folder);
		ck_assert_int_eq(peal_listen(&listener, folder.path, &options), 0);
		limit(THEIRS, 64 * MIB);
		ck_assert(enter(OURS));
		memset(whole, 1, 2 * MIB); /* ours in any case */
		ours = usage(OURS);
		theirs = usage(THEIRS);
		child = start_other(folder.path, true);
		ck_assert_msg(!peal_accept(listener, &link, LONG), "%s", peal_error());
		ck_assert_int_eq(write(go, "", 1), 1);
		/* Nearly a lap of the ring, and more than that in all. */
		for (int i = 0; i < 4; i++, expected += MIB / 2)
			ck_assert_int_eq(peal_recv(peal_link_rx(link), whole, sizeof(whole), NULL,
						   LONG),
					 (int64_t)expected);
		ck_assert_msg(usage(THEIRS) >= theirs + RING, "%zu KiB more for it",
			      (usage(THEIRS) - theirs) / 1024);
		/* The fork, and the kernel's own for each page of page tables, are not nothing. */
		ck_assert_msg(usage(OURS) < ours + 2 * MIB, "%zu KiB more for us",
			      (usage(OURS) - ours) / 1024);
		ck_assert_int_eq(kill(child, SIGKILL), 0);
		expect_killed(child);
		peal_close(link);
		peal_listener_close(listener);
		folder_remove(&folder);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("memory cgroups");
	TCase *all = tcase_create("memory cgroups");

	tcase_add_unchecked_fixture(all, make_groups, remove_groups);
	tcase_set_timeout(all, 60);
	tcase_add_loop_test(all, who_has_no_more_memory_is_killed_and_his_peers_go_on, 0, 2);
	tcase_add_test(all, each_side_pays_for_what_it_produces_into);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
