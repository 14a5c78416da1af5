/*
 * SPDX-License-Identifier: MIT
 *
 * Closing descriptors on Linux, those that a stranger has sent aside: their close may wait for him.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/linux/socket.h"
#include "platform/platform.h"

/*
 * Descriptors that wait to be closed aside. A thread does it, and ends when there are none. A close
 * that waits for a stranger holds that thread, but not the descriptors behind it: nobody goes into
 * a close while others wait without seeing to it that there is another thread for them.
 */
#define CLOSERS_MAX 64u
#define CLOSER_STACK ((size_t)64 << 10)

static struct {
	pthread_mutex_t lock;
	int *fds;
	size_t count, room;
	unsigned threads, inside; /* of them in a close */
} aside = { .lock = PTHREAD_MUTEX_INITIALIZER };

void platform_before_fork(void)
{
	pthread_mutex_lock(&aside.lock);
}

void platform_after_fork(bool child)
{
	/* The child keeps its copies, until it has something of its own to close aside: closing may
	 * wait for a stranger here, too. */
	if (child)
		aside.threads = aside.inside = 0;
	pthread_mutex_unlock(&aside.lock);
}

static void see_to_it(void);

static void *close_all(void *data)
{
	pthread_mutex_lock(&aside.lock);
	while (aside.count) {
		int fd = aside.fds[--aside.count];

		aside.inside++;
		see_to_it();
		pthread_mutex_unlock(&aside.lock);
		/* What we could not receive in a socket that somebody else keeps. */
		socket_take_out(fd);
		close(fd);
		pthread_mutex_lock(&aside.lock);
		aside.inside--;
	}
	aside.threads--;
	pthread_mutex_unlock(&aside.lock);
	return data;
}

/* stack: its size; 0: whatever threads of this process have. */
static int start_detached(size_t stack)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int err = pthread_attr_init(&attributes);

	if (err)
		return err;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (stack)
		pthread_attr_setstacksize(&attributes, stack);
	err = pthread_create(&thread, &attributes, close_all, NULL);
	pthread_attr_destroy(&attributes);
	return err;
}

static bool start_closing(void)
{
	sigset_t all, before;
	int err;

	/* The program's signals are not for this thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = start_detached((size_t)sysconf(_SC_THREAD_STACK_MIN) + CLOSER_STACK);
	/* Of a program whose thread-local data is more than that, and stands in there as well. */
	if (err == EINVAL)
		err = start_detached(0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return !err;
}

/* Somebody who is not in a close, for those that wait. With the lock held. If no thread can be had,
 * they wait for the next try, which is when anything else is closed. */
static void see_to_it(void)
{
	if (aside.count && aside.inside == aside.threads && aside.threads < CLOSERS_MAX &&
	    start_closing())
		aside.threads++;
}

void platform_close(int fd)
{
	if (fd < 0)
		return;
	close(fd);
	/* In the handlers of a fork the lock is not free. */
	if (pthread_mutex_trylock(&aside.lock))
		return;
	see_to_it();
	pthread_mutex_unlock(&aside.lock);
}

void platform_close_aside(const int *fds, int count)
{
	if (count <= 0)
		return;
	pthread_mutex_lock(&aside.lock);
	if (aside.count + (size_t)count > aside.room) {
		size_t room = 2 * (aside.room + (size_t)count);
		int *more = realloc(aside.fds, room * sizeof(*more));

		if (more) {
			aside.fds = more;
			aside.room = room;
		}
	}
	/* Without memory even for this they are lost: better than to wait for a stranger. */
	for (int i = 0; i < count && aside.count < aside.room; i++)
		aside.fds[aside.count++] = fds[i];
	see_to_it();
	pthread_mutex_unlock(&aside.lock);
}

/* Gives the number of a descriptor back at once, for the program may have chosen it and use it
 * again, and closes what is behind it aside. Without another number it is closed under its own. */
static void close_behind_aside(int fd)
{
	int other = platform_duplicate(fd);

	if (other >= 0) {
		close(fd);
		fd = other;
	}
	platform_close_aside(&fd, 1);
}

void platform_close_socket(int fd)
{
	/* No room for descriptors: a look would make some. */
	struct cmsghdr header;
	struct msghdr message = { .msg_control = &header, .msg_controllen = sizeof(header) };
	int on = 1;
	ssize_t length;

	if (fd < 0)
		return;
	/* From here on nothing more comes in, and an end without credentials is the end. */
	shutdown(fd, SHUT_RDWR);
	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	length = recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT);
	if ((length == 0 && !message.msg_controllen && !(message.msg_flags & MSG_CTRUNC)) ||
	    (length < 0 && errno == ENOTCONN))
		close(fd);
	else
		close_behind_aside(fd);
}

void platform_close_listening(int fd, bool ours)
{
	int client;

	if (fd < 0)
		return;
	if (!ours) {
		close_behind_aside(fd);
		return;
	}
	/* From here on nobody comes. Without those who did, it can be closed here. */
	shutdown(fd, SHUT_RDWR);
	do {
		client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		platform_close_socket(client);
	} while (client >= 0 || errno == EINTR || errno == ECONNABORTED);
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
		platform_close_aside(&fd, 1);
	else
		close(fd);
}
