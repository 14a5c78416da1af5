/*
 * SPDX-License-Identifier: MIT
 *
 * Linux waiters: futex, and spinning for where there is none. It knows nothing of bells.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

#include "platform/platform.h"

static long futex(const uint32_t *word, int op, uint32_t value, const struct timespec *limit,
		  bool shared)
{
	return syscall(SYS_futex, word, shared ? op : op | FUTEX_PRIVATE_FLAG, value, limit, NULL,
		       0);
}

static bool futex_usable(const char **why)
{
	static const uint32_t word;

	*why = "futex calls are blocked";
	if (futex(&word, FUTEX_WAKE, 0, NULL, true) < 0)
		return false;
	*why = "one system call to sleep, one to wake, also on read-only memory";
	return true;
}

static int spin_wait(const uint32_t *word, uint32_t seen, int64_t ns, bool shared)
{
	uint64_t end = ns < 0 ? UINT64_MAX : platform_now() + (uint64_t)ns;

	(void)shared;
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == seen) {
		if (platform_now() >= end)
			return -ETIMEDOUT;
		sched_yield();
	}
	return 0;
}

static int futex_wait(const uint32_t *word, uint32_t seen, int64_t ns, bool shared)
{
	struct timespec limit = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	if (futex(word, FUTEX_WAIT, seen, ns < 0 ? NULL : &limit, shared) >= 0 || errno == EAGAIN)
		return 0;
	if (errno == ETIMEDOUT || errno == EINTR)
		return -errno;
	/* Blocked since it was picked. */
	return spin_wait(word, seen, ns, shared);
}

static void futex_wake(const uint32_t *word, bool shared)
{
	futex(word, FUTEX_WAKE, INT_MAX, NULL, shared);
}

static const struct peal_waiter_ops futex_ops = {
	.name = "futex",
	.usable = futex_usable,
	.wait = futex_wait,
	.wake = futex_wake,
};

static bool spin_usable(const char **why)
{
	*why = "runs everywhere, at the price of a CPU";
	return true;
}

static const struct peal_waiter_ops spin_ops = {
	.name = "spin",
	.usable = spin_usable,
	.wait = spin_wait,
	.wake = futex_wake, /* the other side may sleep all the same */
};

const struct peal_waiter_ops *const platform_waiter_ops[] = { &futex_ops, &spin_ops, NULL };

bool platform_barrier_usable(const char **why)
{
	const long both = MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED |
			  MEMBARRIER_CMD_GLOBAL_EXPEDITED;
	long can = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	*why = can < 0 ? "membarrier calls are blocked, or this kernel has none" :
			 "membarrier has no global expedited command here: Linux 4.16 has";
	if (can < 0 || (can & both) != both)
		return false;
	*why = "membarrier instead of a fence in every send: each ring chooses by its traffic";
	return true;
}

bool platform_barrier_register(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0;
}

bool platform_barrier(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) == 0;
}

bool platform_single_threaded(void)
{
#if __has_include(<sys/single_threaded.h>)
	return __libc_single_threaded;
#else
	return false;
#endif
}

uint64_t platform_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void platform_sleep(uint64_t ns)
{
	uint64_t end = platform_now() + ns;
	struct timespec time = { .tv_sec = (time_t)(end / 1000000000),
				 .tv_nsec = (long)(end % 1000000000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
		;
}
