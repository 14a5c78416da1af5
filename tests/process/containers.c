/*
 * SPDX-License-Identifier: MIT
 *
 * Server and client in different containers: each kind of namespace, file systems that are small,
 * read-only or not there, limits of nothing, and all of it together with only the socket's folder
 * in common. What is denied by filters is in filters.c.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/surroundings.h"
#include "tests/process/visit.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

#define USER 12345
#define UNMAPPED 65534 /* a user that has no number here */

/* Everything that a container has of its own, but the users. */
#define APART (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS)

static const struct surroundings outside = { .name = "outside" };

static const struct surroundings kinds[] = {
	{ .name = "a user namespace", .namespaces = CLONE_NEWUSER },
	{ .name = "a pid namespace", .namespaces = CLONE_NEWPID },
	{ .name = "an ipc namespace", .namespaces = CLONE_NEWIPC },
	{ .name = "a net namespace", .namespaces = CLONE_NEWNET },
	{ .name = "a mount namespace", .namespaces = CLONE_NEWNS },
	{ .name = "a time namespace", .namespaces = CLONE_NEWTIME, .what = SURROUNDINGS_LATE },
	{ .name = "no /proc and no /sys", .namespaces = CLONE_NEWNS, .what = SURROUNDINGS_NO_PROC },
	{ .name = "a /dev/shm of 64 MiB", .namespaces = CLONE_NEWNS, .shm = "size=64m" },
	{ .name = "a /dev/shm of a page", .namespaces = CLONE_NEWNS, .shm = "size=4k" },
	{ .name = "a read-only /dev/shm",
	  .namespaces = CLONE_NEWNS,
	  .what = SURROUNDINGS_READ_ONLY_SHM,
	  .shm = "size=64m" },
	{ .name = "only the socket's folder in common",
	  .namespaces = APART,
	  .what = SURROUNDINGS_OWN_ROOT },
	{ .name = "the same, of an ordinary user",
	  .namespaces = APART | CLONE_NEWUSER,
	  .what = SURROUNDINGS_OWN_ROOT },
};

#define PLACES 3
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

/* That a peer is where it was to be started: a test of a container that is none passes, too. */
static void expect_apart(const struct peer *peer, const struct surroundings *where)
{
	static const struct {
		int flag;
		const char *name;
	} spaces[] = {
		{ CLONE_NEWUSER, "user" }, { CLONE_NEWPID, "pid" }, { CLONE_NEWIPC, "ipc" },
		{ CLONE_NEWNET, "net" },   { CLONE_NEWNS, "mnt" },  { CLONE_NEWTIME, "time" },
	};
	char path[160], here[64] = "", there[64] = "";

	for (unsigned i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
		if (!(where->namespaces & spaces[i].flag))
			continue;
		snprintf(path, sizeof(path), "/proc/self/ns/%s", spaces[i].name);
		ck_assert_int_gt(readlink(path, here, sizeof(here) - 1), 0);
		snprintf(path, sizeof(path), "/proc/%ld/ns/%s", (long)peer->pid, spaces[i].name);
		ck_assert_int_gt(readlink(path, there, sizeof(there) - 1), 0);
		ck_assert_str_ne(here, there);
	}
	snprintf(path, sizeof(path), "/proc/%ld/root/proc/self", (long)peer->pid);
	if (where->what & (SURROUNDINGS_NO_PROC | SURROUNDINGS_OWN_ROOT))
		ck_assert_int_ne(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "/proc/%ld/root%s", (long)peer->pid, scene_path(""));
	if (where->what & SURROUNDINGS_OWN_ROOT)
		ck_assert_int_ne(access(path, F_OK), 0);
}

/* What a link needs, twice over; who may lock more is not asked, since it is lost in a user
 * namespace. */
static bool can_lock(void)
{
	struct rlimit limit;

	return !getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_cur >= 1 << 17;
}

/* A visit, for which what is before the first listen is left to the caller. All that is optional is
 * asked for. */
static void prepare(struct visit *visit, const struct surroundings *server,
		    const struct surroundings *client, const char *name)
{
	const struct surroundings *where[VISIT_SIDES] = { server, client };

	*visit = (struct visit){ .what = server == &outside ? client->name : server->name };
	for (int side = 0; side < VISIT_SIDES; side++) {
		bool lock = can_lock() && !(where[side]->what & SURROUNDINGS_NO_MEMLOCK);

		snprintf(visit->address[side], sizeof(visit->address[side]), "%s",
			 surroundings_path(where[side], name));
		peer_start_in(&visit->side[side], where[side]);
		expect_apart(&visit->side[side], where[side]);
		peer_tell(&visit->side[side], "node 1\nflags %d",
			  PEAL_PREFAULT | (lock ? PEAL_LOCK : 0));
	}
}

static bool missing(const struct surroundings *surroundings)
{
	const char *why;

	if (skip_emulated("CLONE_PARENT"))
		return true;
	why = surroundings_missing(surroundings);
	if (why)
		skip("%s", why);
	return why != NULL;
}

static void expect_to_work(struct visit *visits, unsigned count)
{
	visits_run(visits, count);
	for (struct visit *v = visits; v < visits + count; v++) {
		ck_assert_msg(!v->refused, "%s: %d %s", v->what, v->refused, v->sentence);
		for (int side = 0; side < VISIT_SIDES; side++)
			ck_assert_msg(!v->told[side].pin, "%s: %d %s", v->what, v->told[side].pin,
				      v->told[side].pin_sentence);
	}
}

/* Who the other one is to whom, from there. */
static void expect_known(const struct visit *visit, int viewer, bool pid_is_told, unsigned uid)
{
	const struct told *told = &visit->told[viewer];

	ck_assert_msg(
		told->peer_pid == (pid_is_told ? visit->pid[!viewer] : 0) && told->peer_uid == uid,
		"%s: the peer is pid %lld, user %u", visit->what, told->peer_pid, told->peer_uid);
}

START_TEST(it_works_from_and_to_and_between)
	{
		const struct surroundings *kind = &kinds[_i];
		/* From inside to outside, the other way round, and between two of them. */
		const struct surroundings *where[PLACES + 1] = { kind, &outside, kind, kind };
		struct visit visits[PLACES];
		char name[32];

		if (missing(kind))
			return;
		for (unsigned place = 0; place < PLACES; place++) {
			/* By turns, so that all meet all. */
			unsigned wait = ((unsigned)_i + place) % 3;
			unsigned bell = ((unsigned)_i / 3 + place) % 3;

			snprintf(name, sizeof(name), "%d.%u", _i, place);
			if (((unsigned)_i + place) & 1)
				setenv("PEAL_WAITER", "spin", 1);
			prepare(&visits[place], where[place], where[place + 1], name);
			unsetenv("PEAL_WAITER");
			visits[place].survivor = (int)(place & 1);
			for (int side = 0; side < VISIT_SIDES; side++)
				peer_tell(&visits[place].side[side], "wait %s\nbell %u",
					  scene_waits[wait], bell);
		}
		expect_to_work(visits, PLACES);
		for (unsigned place = 0; place < PLACES; place++) {
			for (int side = 0; side < VISIT_SIDES; side++) {
				const struct surroundings *here = where[place + (unsigned)side];
				bool inside = here != &outside;

				/* Who makes a user namespace is root in it. */
				expect_known(
					&visits[place], side, !(here->namespaces & CLONE_NEWPID),
					inside && (geteuid() || here->namespaces & CLONE_NEWUSER) ?
						0 :
						geteuid());
			}
			for (int side = 0; can_lock() && side < VISIT_SIDES; side++)
				ck_assert_msg(strstr(visits[place].told[side].memory, "locked 1"),
					      "%s: %s", kind->name,
					      visits[place].told[side].memory);
		}
	}
END_TEST

/* Also as root, who may lock all there is, if it were not for another user. */
START_TEST(it_works_without_memory_to_lock)
	{
		static const struct surroundings poor = { .name = "memlock 0",
							  .what = SURROUNDINGS_NO_MEMLOCK,
							  .user = USER };
		struct visit visit;

		if (missing(&poor))
			return;
		prepare(&visit, &poor, &poor, "poor");
		expect_to_work(&visit, 1);
		/* And who asks for it is told the limit; but sanitizers lock none, and say that
		 * they did. */
		if (runner_burdened())
			return;
		prepare(&visit, &poor, &poor, "poorer");
		visit.counted = true;
		peer_tell(&visit.side[_i], "flags %d", PEAL_LOCK);
		visits_run(&visit, 1);
		ck_assert_int_eq(visit.refused, _i == VISIT_CLIENT ? -ENOMEM : -EBUSY);
		ck_assert_msg(strstr(visit.sentence, "locked memory being 0: raise it (ulimit -l)"),
			      "%s", visit.sentence);
	}
END_TEST

/*
 * Users that have no number on the other side.
 */

static const struct surroundings theirs = { .name = "another user's namespace",
					    .namespaces = APART | CLONE_NEWUSER,
					    .user = USER };
static const struct surroundings nobodys = { .name = "a namespace without users",
					     .namespaces = CLONE_NEWUSER,
					     .nobody = true };

START_TEST(a_user_of_another_number_gets_in_where_anyone_does)
	{
		const struct surroundings *there = _i & 2 ? &nobodys : &theirs;
		int in = _i & 1 ? VISIT_CLIENT : VISIT_SERVER;
		struct visit visit;
		char name[32];

		if (missing(there))
			return;
		snprintf(name, sizeof(name), "anyone.%d", _i);
		prepare(&visit, _i & 1 ? &outside : there, _i & 1 ? there : &outside, name);
		for (int side = 0; side < VISIT_SIDES; side++)
			peer_tell(&visit.side[side], "allow %d\nmode 0666", PEAL_ALLOW_ANYONE);
		expect_to_work(&visit, 1);
		/* From in there by the number that stands for all who have none; or by that of
		 * outside. */
		expect_known(&visit, in, !(there->namespaces & CLONE_NEWPID),
			     there->nobody || !geteuid() ? UNMAPPED : 0);
		/* A server that has no number in there cannot name itself, and then it depends. */
		if (!there->nobody || in == VISIT_CLIENT)
			expect_known(&visit, !in, true,
				     there->user && !geteuid() ? there->user : geteuid());
	}
END_TEST

/* Root is one of those who are not in there. */
START_TEST(a_user_of_another_number_is_refused_otherwise)
	{
		struct visit visit;

		if (geteuid()) {
			skip("only root can be another user");
			return;
		}
		if (missing(&theirs))
			return;
		prepare(&visit, _i ? &outside : &theirs, _i ? &theirs : &outside, "no");
		peer_tell(&visit.side[VISIT_SERVER], "mode 0666");
		visits_run(&visit, 1);
		ck_assert_int_eq(visit.refused, -EPERM);
		ck_assert_msg(strstr(visit.sentence, "options.allow") != NULL, "%s",
			      visit.sentence);
	}
END_TEST

/* In its own it is number 1, which here is another process. */
START_TEST(a_server_in_another_pid_namespace_is_called_by_its_number_here)
	{
		static const struct surroundings apart = { .name = "a pid namespace",
							   .namespaces = CLONE_NEWPID };
		struct peal_options options = scene_options(PEAL_WAIT_ADAPTIVE, 4096);
		struct peal_listener *listener;
		struct peer server, other;
		char expected[32];
		FILE *lock;
		int number;

		if (missing(&apart))
			return;
		peer_start_in(&server, &apart);
		peer_tell(&server, "listen %s", scene_path("server"));
		ck_assert_msg(peer_hear(&server, "listen") == 0, "%s", server.text);
		ck_assert_int_eq(peal_listen(&listener, scene_path("server"), &options),
				 -EADDRINUSE);
		snprintf(expected, sizeof(expected), "(pid %ld)", (long)server.pid);
		ck_assert_msg(strstr(peal_error(), expected) != NULL, "%s", peal_error());
		/* Its lock file has what it is called in there. */
		lock = fopen(scene_path("server.lock"), "re");
		ck_assert_ptr_nonnull(lock);
		ck_assert_int_eq(fscanf(lock, "%d", &number), 1);
		fclose(lock);
		ck_assert_int_eq(number, 1);
		/* To another one in there it has no number. */
		peer_start_in(&other, &apart);
		peer_tell(&other, "listen %s", scene_path("server"));
		ck_assert_int_eq(peer_hear(&other, "listen"), -EADDRINUSE);
		ck_assert_msg(!strstr(other.text, "(pid"), "%s", other.text);
		peer_end(&other);
		peer_end(&server);
	}
END_TEST

static Suite *containers(void)
{
	Suite *suite = suite_create("containers");
	TCase *tcase = scene_case("surroundings");

	tcase_add_loop_test(tcase, it_works_from_and_to_and_between, 0, KINDS);
	tcase_add_loop_test(tcase, it_works_without_memory_to_lock, 0, VISIT_SIDES);
	tcase_add_loop_test(tcase, a_user_of_another_number_gets_in_where_anyone_does, 0, 4);
	tcase_add_loop_test(tcase, a_user_of_another_number_is_refused_otherwise, 0, 2);
	tcase_add_test(tcase, a_server_in_another_pid_namespace_is_called_by_its_number_here);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { containers, NULL };

	return runner_main(suites);
}
