/*
 * SPDX-License-Identifier: MIT
 *
 * Waiting for descriptors on Linux: poll, epoll, and timers that can be waited for.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "platform/platform.h"

/* Events taken at a time. */
#define EVENTS 64

/* Newer than the oldest headers that we build with. */
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

int platform_poll(int fd, bool writable, int64_t ns)
{
	struct pollfd look = { .fd = fd, .events = writable ? POLLOUT : POLLIN };
	struct timespec limit = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	int count = ppoll(&look, 1, ns < 0 ? NULL : &limit, NULL);

	return count > 0 ? 0 : count ? -errno : -ETIMEDOUT;
}

int platform_poller(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int platform_poller_add(int poller, int fd, uint32_t key)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = key };

	return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int platform_poller_add_edge(int poller, int fd, uint32_t key)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u32 = key };

	return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int platform_poller_wait(int poller, int64_t ns)
{
	struct epoll_event events[2];
	int err = platform_poll(poller, false, ns); /* epoll_wait counts in ms */

	if (!err)
		epoll_wait(poller, events, 2, 0);
	return err;
}

void platform_poller_remove(int poller, int fd)
{
	epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL);
}

/* There is no epoll_pwait2, or it is forbidden. Atomic, and relaxed: it stands for nothing but
 * itself. */
static bool no_pwait2;

/* Of a poller, for so many ns: since Linux 5.11 by one call, before by two. */
static int await_events(int poller, struct epoll_event *events, int most, int64_t ns)
{
	int64_t ms = ns < 0 ? -1 : ns / 1000000 < INT_MAX ? ns / 1000000 : INT_MAX;
	int count;

	if (!__atomic_load_n(&no_pwait2, __ATOMIC_RELAXED)) {
		struct {
			int64_t s, ns;
		} limit = { ns / 1000000000, ns % 1000000000 };

		count = (int)syscall(SYS_epoll_pwait2, poller, events, most, ns < 0 ? NULL : &limit,
				     NULL, 0);
		if (count >= 0 || (errno != ENOSYS && errno != EPERM && errno != EACCES))
			return count;
		__atomic_store_n(&no_pwait2, true, __ATOMIC_RELAXED);
	}
	if (ns > 0 && !ms)
		platform_poll(poller, false, ns); /* epoll_wait counts in ms */
	return epoll_wait(poller, events, most, (int)ms);
}

/* As platform_poller_await, which needs no such flag. */
static int await(int poller, uint32_t *keys, int most, int64_t ns, uint32_t hung_up)
{
	struct epoll_event events[EVENTS];
	int count = await_events(poller, events, most < EVENTS ? most : EVENTS, ns);

	for (int i = 0; i < count; i++)
		keys[i] = events[i].data.u32 | (events[i].events & EPOLLHUP ? hung_up : 0);
	return count < 0 && errno != EINTR ? -errno : count < 0 ? 0 : count;
}

int platform_poller_await(int poller, uint32_t *keys, int most, int64_t ns)
{
	return await(poller, keys, most, ns, PLATFORM_HUNG_UP);
}

int platform_poller_ready(int poller, uint32_t *keys, int most)
{
	return await(poller, keys, most, 0, 0);
}

int platform_timer(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

void platform_timer_set(int timer, uint64_t ns)
{
	struct itimerspec time = { .it_value = { .tv_sec = (time_t)(ns / 1000000000),
						 .tv_nsec = (long)(ns % 1000000000) } };

	timerfd_settime(timer, 0, &time, NULL);
}
