/*
 * SPDX-License-Identifier: MIT
 *
 * The registry of open handles, and the fork handlers. It knows nothing of what the handles are.
 */
#include "config.h"

#include <pthread.h>
#include <stddef.h>

#include "lib/registry.h"
#include "lib/runtime.h"
#include "lib/stats.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct handle *handles;

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
	stats_lock();
	platform_before_fork();
}

static void after_fork_in_parent(void)
{
	platform_after_fork(false);
	stats_unlock();
	pthread_mutex_unlock(&lock);
}

static void after_fork_in_child(void)
{
	while (handles) {
		struct handle *handle = handles;

		/* Nothing stays listed: some of them stand on the stacks of threads that are no
		 * more. */
		registry_remove(handle);
		handle->orphan(handle);
	}
	stats_forget();
	runtime_forget();
	platform_after_fork(true);
	stats_unlock();
	pthread_mutex_unlock(&lock);
}

void registry_watch_forks(void)
{
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void registry_lock(void)
{
	pthread_mutex_lock(&lock);
}

void registry_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void registry_add(struct handle *handle)
{
	handle->previous = NULL;
	handle->next = handles;
	if (handles)
		handles->previous = handle;
	handles = handle;
}

void registry_remove(struct handle *handle)
{
	if (handle->previous)
		handle->previous->next = handle->next;
	else if (handles == handle)
		handles = handle->next;
	if (handle->next)
		handle->next->previous = handle->previous;
	handle->next = handle->previous = NULL;
}
