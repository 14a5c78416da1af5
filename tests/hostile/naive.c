/*
 * SPDX-License-Identifier: MIT
 *
 * Who calls the kernel without care. See naive.h.
 */
#include "config.h"

#include "tests/hostile/naive.h"

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/runner.h"

static void *call_it(void *data)
{
	struct naive *naive = data;

	__atomic_store_n(&naive->thread_id, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
	naive->call(naive->fd);
	__atomic_store_n(&naive->over, true, __ATOMIC_RELEASE);
	return NULL;
}

void naive_start(struct naive *naive, void (*call)(int fd), int fd)
{
	*naive = (struct naive){ .call = call, .fd = fd };
	ck_assert_int_eq(pthread_create(&naive->thread, NULL, call_it, naive), 0);
}

void naive_expect_waits(const struct naive *naive)
{
	ck_assert_msg(!__atomic_load_n(&naive->over, __ATOMIC_ACQUIRE),
		      "there was nothing to wait for");
}

void naive_await_sleep(const struct naive *naive)
{
	char path[64], line[256] = "", *state = NULL;
	FILE *file;

	do {
		int id = __atomic_load_n(&naive->thread_id, __ATOMIC_ACQUIRE);

		sched_yield();
		naive_expect_waits(naive);
		if (!id)
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", id);
		file = fopen(path, "re");
		ck_assert_ptr_nonnull(file);
		state = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
		fclose(file);
	} while (!state || (state[2] != 'S' && state[2] != 'D'));
}

void naive_end(struct naive *naive)
{
	pthread_join(naive->thread, NULL);
}

void naive_close(int fd)
{
	close(fd);
}

void naive_write(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return;
}
