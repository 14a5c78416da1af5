/*
 * SPDX-License-Identifier: MIT
 *
 * Who calls the kernel without care, in a thread of its own: it waits where a stranger wants it to,
 * and so shows that there is something to wait for. Knows nothing of Peal.
 */
#ifndef TESTS_HOSTILE_NAIVE_H
#define TESTS_HOSTILE_NAIVE_H

#include <pthread.h>
#include <stdbool.h>

struct naive {
	void (*call)(int fd);
	int fd;
	int thread_id; /* atomic; 0: not yet */
	bool over;     /* atomic */
	pthread_t thread;
};

void naive_start(struct naive *naive, void (*call)(int fd), int fd);

/* Still. */
void naive_expect_waits(const struct naive *naive);

/* Waits until it sleeps in the kernel. */
void naive_await_sleep(const struct naive *naive);

/* Once it can go on. */
void naive_end(struct naive *naive);

/* Calls. */
void naive_close(int fd);
void naive_write(int fd);

#endif
