/*
 * SPDX-License-Identifier: MIT
 *
 * System calls that are not there, or forbidden, from before the first use of the library: each of
 * those that it makes by itself, with each of the errnos that say so, at either side; what
 * containers' filters deny together; and what older kernels do not know. Either all works, or who
 * needs the call says so in one sentence, with the limit and the mend.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/filter.h"
#include "tests/process/visit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Newer than the oldest headers that we build with, and the same on every CPU. */
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node 450
#endif
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

#define USER 12345  /* of nobody here */
#define NO_NODE 999 /* so what is had is never what was wanted */

/*
 * What the library calls, will call, or might: but for what no program here lives without (read,
 * write, close, getpid, futex in the C library itself). What is not needed everywhere is done
 * without; the rest is who needs it, and ends in his sentence, or leaves the client with its.
 * SOMETIMES: a server that finds HELLO there when it accepts need not wait for it.
 * So it is with glibc. New calls of the library belong here; the visit is the same for all, and
 * asks both sides to keep a thread on a CPU, and their rings on a node.
 */
enum need { NOBODY, SERVER, CLIENT, BOTH, SOMETIMES };

static const struct {
	const char *name;
	long number;
	enum need need;
} calls[] = {
#define CALL(name) #name, SYS_##name
	{ CALL(accept4), SERVER },
	{ CALL(bind), SERVER },
	{ CALL(cachestat), NOBODY },
	{ CALL(clock_nanosleep), NOBODY },
	{ CALL(clone), NOBODY },
	{ CALL(clone3), NOBODY },
	{ CALL(connect), CLIENT },
	{ CALL(epoll_create1), SERVER },
	{ CALL(epoll_ctl), SERVER },
#ifdef SYS_epoll_wait
	{ CALL(epoll_wait), SOMETIMES },
#endif
	{ CALL(epoll_pwait), NOBODY },
	{ CALL(epoll_pwait2), NOBODY },
	{ CALL(eventfd2), NOBODY },
	{ CALL(fallocate), BOTH },
	{ CALL(fchmod), SERVER },
	{ CALL(faccessat), NOBODY },
	{ CALL(fchmodat), NOBODY },
	{ CALL(fchmodat2), NOBODY },
	{ CALL(fcntl), BOTH },
	{ CALL(flock), SERVER },
	{ CALL(fstat), NOBODY },
	{ CALL(fstatfs), NOBODY },
	{ CALL(ftruncate), NOBODY },
	{ CALL(futex_waitv), NOBODY },
	{ CALL(get_mempolicy), NOBODY },
	{ CALL(getdents64), NOBODY },
	{ CALL(getrandom), NOBODY },
	{ CALL(getsockopt), SERVER },
	{ CALL(kill), NOBODY },
	{ CALL(listen), SERVER },
	{ CALL(madvise), BOTH },
	{ CALL(mbind), NOBODY },
	{ CALL(membarrier), NOBODY },
	{ CALL(memfd_create), BOTH },
	{ CALL(mincore), NOBODY },
	{ CALL(mlock), NOBODY },
	{ CALL(mlock2), NOBODY },
	{ CALL(mlockall), NOBODY },
	{ CALL(mmap), BOTH },
	{ CALL(move_pages), NOBODY },
	{ CALL(mremap), BOTH },
	{ CALL(munlock), NOBODY },
	{ CALL(munmap), NOBODY },
	{ CALL(newfstatat), BOTH },
	{ CALL(openat), SERVER },
	{ CALL(pidfd_open), NOBODY },
#ifdef SYS_poll
	{ CALL(poll), NOBODY },
#endif
	{ CALL(ppoll), NOBODY },
	{ CALL(prlimit64), NOBODY },
	{ CALL(process_madvise), NOBODY },
	{ CALL(pwrite64), NOBODY },
#ifdef SYS_readlink
	{ CALL(readlink), SERVER },
#endif
	{ CALL(readlinkat), NOBODY },
	{ CALL(recvmsg), BOTH },
	{ CALL(rt_sigprocmask), NOBODY },
	{ CALL(sched_getaffinity), NOBODY },
	{ CALL(sched_setaffinity), NOBODY },
	{ CALL(sched_yield), NOBODY },
	{ CALL(sendmsg), BOTH },
	{ CALL(sendto), NOBODY },
	{ CALL(set_mempolicy), NOBODY },
	{ CALL(set_mempolicy_home_node), NOBODY },
	{ CALL(setsockopt), CLIENT },
	{ CALL(shutdown), NOBODY },
	{ CALL(socket), BOTH },
	{ CALL(statx), NOBODY },
	{ CALL(timerfd_create), SERVER },
	{ CALL(timerfd_settime), NOBODY },
	{ CALL(unlinkat), NOBODY },
#undef CALL
};

#define CALLS (unsigned)(sizeof(calls) / sizeof(calls[0]))

static bool missing(void)
{
	const struct filter harmless = { .call = SYS_membarrier, .err = EPERM };
	int status = 0;
	pid_t child = fork();

	if (!child)
		_exit(filter_install(&harmless) ? 0 : 1);
	if (child > 0 && waitpid(child, &status, 0) == child && status == 0)
		return false;
	skip("no filter can be had here");
	return true;
}

/* The limit and the mend. */
static void expect_sentence(const struct visit *visit)
{
	ck_assert_msg(strstr(visit->sentence, "(seccomp)") || strstr(visit->sentence, "went away"),
		      "%s: %d \"%s\"", visit->what, visit->refused, visit->sentence);
}

static void expect_words(const char *what, const char *sentence, const char *words)
{
	ck_assert_msg(strstr(sentence, words) != NULL, "%s: \"%s\" is not in: %s", what, words,
		      sentence);
}

/* What a side was told of its placement that may not make this call; 0: it may make all. */
static void expect_placed(const struct visit *visit, int side, long call, int err)
{
	const struct told *told = &visit->told[side];
	char words[64];

	if (call == SYS_sched_setaffinity || call == SYS_sched_getaffinity) {
		snprintf(words, sizeof(words), "sched_%cetaffinity is forbidden here (errno %d)",
			 call == SYS_sched_setaffinity ? 's' : 'g', err);
		ck_assert_int_eq(told->pin, -err);
		expect_words(visit->what, told->pin_sentence, words);
		expect_words(visit->what, told->pin_sentence, "(seccomp)");
		return;
	}
	ck_assert_msg(!told->pin, "%s: %d %s", visit->what, told->pin, told->pin_sentence);
	if (call == SYS_mbind) {
		snprintf(words, sizeof(words), "node %d is not to be had (errno %d)", NO_NODE, err);
		expect_words(visit->what, told->memory, words);
	} else if (call == SYS_get_mempolicy) {
		expect_words(visit->what, told->memory, "node -1 of");
	}
}

/* Some of the calls, each in a visit of its own. */
static void deny_each(unsigned first, unsigned count, int side, int err, unsigned wait)
{
	struct visit visits[VISITS_MAX];

	for (unsigned i = 0; i < count; i++) {
		struct visit *visit = &visits[i];

		*visit = (struct visit){ .survivor = side,
					 .what = calls[first + i].name,
					 .counted = true };
		for (int s = 0; s < VISIT_SIDES; s++) {
			/* Another one each time: who is killed leaves its socket. */
			snprintf(visit->address[s], sizeof(visit->address[s]), "%s.%d.%d",
				 scene_path(visit->what), side, err);
			peer_start(&visit->side[s]);
			peer_tell(&visit->side[s], "node %d", NO_NODE + 1);
		}
		peer_tell(&visit->side[side], "wait %s\nforbid %ld %d",
			  scene_waits[(wait + first + i) % 3], calls[first + i].number, err);
	}
	visits_run(visits, count);
	for (unsigned i = 0; i < count; i++) {
#ifdef __GLIBC__
		enum need need = calls[first + i].need;
		bool needed = need == SOMETIMES ?
				      visits[i].refused != 0 :
				      (need & (side == VISIT_SERVER ? SERVER : CLIENT)) != 0;
#else
		/* Other C libraries make other calls, and know ways around some. */
		bool needed = visits[i].refused;
#endif

		if (needed) {
			expect_sentence(&visits[i]);
			continue;
		}
		ck_assert_msg(!visits[i].refused, "%s: %d %s", visits[i].what, visits[i].refused,
			      visits[i].sentence);
		expect_placed(&visits[i], side, calls[first + i].number, err);
		expect_placed(&visits[i], !side, 0, 0);
	}
}

START_TEST(each_call_is_done_without_or_asked_for)
	{
		static const int errnos[] = { EPERM, ENOSYS };
		int side = _i & 1, err = errnos[_i >> 1 & 1];

		if (runner_burdened()) {
			skip("a sanitizer or an emulator needs calls of its own");
			return;
		}
		if (missing())
			return;
		for (unsigned i = 0; i < CALLS; i += VISITS_MAX)
			deny_each(i, CALLS - i < VISITS_MAX ? CALLS - i : VISITS_MAX, side, err,
				  (unsigned)_i);
	}
END_TEST

/*
 * Memory that is to be locked, with a limit against it or without.
 */
START_TEST(who_wants_locked_memory_and_may_not_is_told_what_to_allow)
	{
		static const int errnos[] = { EPERM, ENOSYS };
		int side = _i & 1, err = errnos[_i >> 1 & 1];
		struct visit visits[2];
		struct rlimit limit;
		unsigned count;

		if (runner_burdened()) {
			skip("sanitizers lock no memory, and say that they did");
			return;
		}
		if (missing())
			return;
		/* Root's own limit is none; an ordinary user's 0 would not need a filter. */
		ck_assert_int_eq(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
		if (geteuid() && !limit.rlim_cur) {
			skip("no memory may be locked here");
			return;
		}
		count = geteuid() || !limit.rlim_cur ? 1 : 2;
		for (unsigned i = 0; i < count; i++) {
			struct visit *visit = &visits[i];

			*visit = (struct visit){ .what = i ? "mlock, of a user" : "mlock",
						 .counted = true };
			for (int s = 0; s < VISIT_SIDES; s++) {
				snprintf(visit->address[s], sizeof(visit->address[s]), "%s.%u",
					 scene_path("locked"), i);
				peer_start(&visit->side[s]);
				if (i)
					peer_tell(&visit->side[s], "user %d %d %d", USER, USER,
						  USER);
			}
			peer_tell(&visit->side[side], "flags %d\nforbid %ld %d", PEAL_LOCK,
				  (long)SYS_mlock, err);
		}
		visits_run(visits, count);
		for (unsigned i = 0; i < count; i++) {
			/* A client hears that the server is short of something. */
			ck_assert_int_eq(visits[i].refused,
					 side == VISIT_CLIENT ? -ENOMEM : -EBUSY);
			expect_words(visits[i].what, visits[i].sentence, "cannot be locked (mlock");
			expect_words(visits[i].what, visits[i].sentence, "(seccomp)");
			expect_words(visits[i].what, visits[i].sentence, "PEAL_LOCK");
		}
	}
END_TEST

/* Of its own clients it can tell none. */
START_TEST(a_server_that_may_not_answer_says_so_in_its_log)
	{
		struct visit visit = { .what = "sendmsg" };
		char text[1024] = "";
		int before, log;

		if (missing())
			return;
		before = dup(STDERR_FILENO);
		log = open(scene_path("log"), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		ck_assert_int_ge(log, 0);
		for (int side = 0; side < VISIT_SIDES; side++) {
			snprintf(visit.address[side], sizeof(visit.address[side]), "%s",
				 scene_path("mute"));
			dup2(side == VISIT_SERVER ? log : before, STDERR_FILENO);
			peer_start(&visit.side[side]);
		}
		close(before);
		peer_tell(&visit.side[VISIT_SERVER], "forbid %ld %d", (long)SYS_sendmsg, EPERM);
		visits_run(&visit, 1);
		ck_assert_int_eq(visit.refused, -ECONNRESET);
		ck_assert_int_gt(pread(log, text, sizeof(text) - 1, 0), 0);
		close(log);
		expect_words("the log", text, "sendmsg, errno 1");
		expect_words("the log", text, "(seccomp)");
	}
END_TEST

/* Whether a link's memory may be locked here. */
static bool can_lock(void)
{
	static uint8_t some[1 << 17];
	bool can = !mlock(some, sizeof(some));

	if (can)
		munlock(some, sizeof(some));
	return can;
}

/*
 * What is denied together.
 */

#define DENIALS 10

struct profile {
	const char *name;
	struct filter denials[DENIALS]; /* until one without an errno */
};

static void deny(struct peer *peer, const struct profile *profile)
{
	for (const struct filter *f = profile->denials; f < profile->denials + DENIALS && f->err;
	     f++)
		peer_tell(peer, "forbid %ld %d %u %u", f->call, f->err, f->argument, f->bits);
}

/* Visits under a profile, at both sides, with each way of waiting; asking for all that is
 * optional. */
static void expect_to_work(const struct profile *profile)
{
	struct visit visits[3];
	long no_node = 0;
	bool locked = can_lock();

	for (unsigned wait = 0; wait < 3; wait++) {
		struct visit *visit = &visits[wait];

		*visit = (struct visit){ .survivor = VISIT_CLIENT, .what = profile->name };
		for (int side = 0; side < VISIT_SIDES; side++) {
			snprintf(visit->address[side], sizeof(visit->address[side]), "%s",
				 scene_path(scene_waits[wait]));
			peer_start(&visit->side[side]);
			peer_tell(&visit->side[side], "wait %s\nbarrier %d\nflags %d\nnode %d",
				  scene_waits[wait], PEAL_BARRIER_ASYMMETRIC,
				  PEAL_PREFAULT | (locked ? PEAL_LOCK : 0), NO_NODE + 1);
			deny(&visit->side[side], profile);
		}
	}
	visits_run(visits, 3);
	for (const struct filter *f = profile->denials; f->err; f++)
		if (f->call == SYS_mbind)
			no_node = SYS_mbind;
	for (unsigned wait = 0; wait < 3; wait++) {
		ck_assert_msg(!visits[wait].refused, "%s: %d %s", profile->name,
			      visits[wait].refused, visits[wait].sentence);
		for (int side = 0; side < VISIT_SIDES; side++) {
			expect_placed(&visits[wait], side, no_node, EPERM);
			expect_words(profile->name, visits[wait].told[side].memory,
				     locked ? "locked 1" : "locked 0");
		}
	}
}

/* Of the library's calls, present and likely, what the default profiles do not allow a container
 * without capabilities. As of 2024; the old ones are met where a system is. */
static const struct profile profiles[] = {
	{ "docker",
	  { { .call = SYS_clone3, .err = ENOSYS },
	    { .call = SYS_cachestat, .err = EPERM },
	    { .call = SYS_get_mempolicy, .err = EPERM },
	    { .call = SYS_mbind, .err = EPERM },
	    { .call = SYS_move_pages, .err = EPERM },
	    { .call = SYS_set_mempolicy, .err = EPERM },
	    { .call = SYS_set_mempolicy_home_node, .err = EPERM } } },
	{ "docker 20.10",
	  { { .call = SYS_clone3, .err = EPERM },
	    { .call = SYS_cachestat, .err = EPERM },
	    { .call = SYS_futex_waitv, .err = EPERM },
	    { .call = SYS_get_mempolicy, .err = EPERM },
	    { .call = SYS_mbind, .err = EPERM },
	    { .call = SYS_move_pages, .err = EPERM },
	    { .call = SYS_set_mempolicy, .err = EPERM } } },
	{ "podman",
	  { { .call = SYS_membarrier, .err = EPERM },
	    { .call = SYS_cachestat, .err = ENOSYS },
	    { .call = SYS_futex_waitv, .err = ENOSYS },
	    { .call = SYS_get_mempolicy, .err = EPERM },
	    { .call = SYS_mbind, .err = EPERM },
	    { .call = SYS_move_pages, .err = EPERM },
	    { .call = SYS_set_mempolicy, .err = EPERM },
	    { .call = SYS_set_mempolicy_home_node, .err = ENOSYS } } },
	{ "flatpak",
	  { { .call = SYS_clone3, .err = ENOSYS },
	    { .call = SYS_get_mempolicy, .err = EPERM },
	    { .call = SYS_mbind, .err = EPERM },
	    { .call = SYS_move_pages, .err = EPERM },
	    { .call = SYS_set_mempolicy, .err = EPERM } } },
};

START_TEST(what_containers_deny_by_default_is_done_without)
	{
		if (!missing())
			expect_to_work(&profiles[_i]);
	}
END_TEST

/* Arguments that a kernel does not know are EINVAL. */
#define NOEXEC_SEAL 0x8u
#define SEAL_FUTURE_WRITE 0x10u
#define ADVICE_POPULATE 22u /* for reading; 23, for writing, has these bits too */
#define ADVICE_DONTDUMP 16u /* has a bit of those */

/* Of calls that are there, one at a time. */
static const struct profile features[] = {
	{ "MFD_NOEXEC_SEAL",
	  { { .call = SYS_memfd_create, .err = EINVAL, .argument = 1, .bits = NOEXEC_SEAL } } },
	{ "MADV_POPULATE_READ and _WRITE",
	  { { .call = SYS_madvise, .err = EINVAL, .argument = 2, .bits = ADVICE_POPULATE } } },
	{ "MADV_DONTDUMP",
	  { { .call = SYS_madvise, .err = EINVAL, .argument = 2, .bits = ADVICE_DONTDUMP } } },
	{ "MEMBARRIER_CMD_GLOBAL_EXPEDITED",
	  { { .call = SYS_membarrier, .err = EINVAL, .argument = 0, .bits = 2 } } },
	{ "MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED",
	  { { .call = SYS_membarrier, .err = EINVAL, .argument = 0, .bits = 4 } } },
};

START_TEST(each_feature_is_done_without)
	{
		if (!missing())
			expect_to_work(&features[_i]);
	}
END_TEST

START_TEST(a_kernel_of_version_5_4_does)
	{
		static const struct profile old = {
			"Linux 5.4",
			{ { .call = SYS_memfd_create,
			    .err = EINVAL,
			    .argument = 1,
			    .bits = NOEXEC_SEAL },
			  { .call = SYS_madvise,
			    .err = EINVAL,
			    .argument = 2,
			    .bits = ADVICE_POPULATE },
			  { .call = SYS_cachestat, .err = ENOSYS },
			  { .call = SYS_futex_waitv, .err = ENOSYS },
			  { .call = SYS_set_mempolicy_home_node, .err = ENOSYS } },
		};

		if (!missing())
			expect_to_work(&old);
	}
END_TEST

START_TEST(a_kernel_that_cannot_seal_is_told_from_one_that_does)
	{
		struct visit visit = { .what = "Linux 5.0" };

		if (missing())
			return;
		for (int side = 0; side < VISIT_SIDES; side++) {
			snprintf(visit.address[side], sizeof(visit.address[side]), "%s",
				 scene_path("server"));
			peer_start(&visit.side[side]);
		}
		peer_tell(&visit.side[_i], "forbid %d %d 2 %u", SYS_fcntl, EINVAL,
			  SEAL_FUTURE_WRITE);
		visits_run(&visit, 1);
		ck_assert_int_eq(visit.refused, -ENOSYS);
		ck_assert_msg(strstr(visit.sentence, "Linux 5.1 or newer") != NULL, "%s",
			      visit.sentence);
	}
END_TEST

static Suite *filters(void)
{
	Suite *suite = suite_create("filters");
	TCase *tcase = scene_case("calls");

	tcase_add_loop_test(tcase, each_call_is_done_without_or_asked_for, 0, 4);
	tcase_add_test(tcase, a_server_that_may_not_answer_says_so_in_its_log);
	tcase_add_loop_test(tcase, who_wants_locked_memory_and_may_not_is_told_what_to_allow, 0, 4);
	tcase_add_loop_test(tcase, what_containers_deny_by_default_is_done_without, 0,
			    sizeof(profiles) / sizeof(profiles[0]));
	tcase_add_loop_test(tcase, each_feature_is_done_without, 0,
			    sizeof(features) / sizeof(features[0]));
	tcase_add_test(tcase, a_kernel_of_version_5_4_does);
	tcase_add_loop_test(tcase, a_kernel_that_cannot_seal_is_told_from_one_that_does, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { filters, NULL };

	return runner_main(suites);
}
