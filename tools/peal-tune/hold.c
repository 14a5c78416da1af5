/*
 * SPDX-License-Identifier: MIT
 *
 * The kernel keeps the latency that was written into the file as long as somebody has it open. That
 * is a process of its own, in no relation to the one that it waits for: the program neither gets
 * the descriptor nor a child that it does not know of, and signals, stops and the exit status are
 * between it and whoever started it, as if there were no peal-tune. Of one to whom orphans are
 * left, the first of a container or a subreaper, it would be a child: that is refused.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/peal-tune/hold.h"

/* Whoever waits for the end of a pipe, or for a lock, is not to wait for the holder. */
static void close_others(int latency, int process, int ready)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *entry;

	if (!folder) {
		for (int fd = 0; fd <= 2; fd++)
			close(fd);
		return;
	}
	while ((entry = readdir(folder)) != NULL) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != dirfd(folder) && fd != latency &&
		    fd != process && fd != ready)
			close(fd);
	}
	closedir(folder);
}

/* Of the process in between, which is in no session of a terminal's and leaves the holder to
 * init. */
static void hold(int latency, int process, int ready)
{
	struct pollfd end = { .fd = process, .events = POLLIN };

	if (setsid() < 0 || fork() != 0 || chdir("/"))
		_exit(0);
	close_others(latency, process, ready);
	if (write(ready, "", 1) != 1)
		_exit(0);
	close(ready);
	while (poll(&end, 1, -1) < 0 && errno == EINTR)
		;
	_exit(0);
}

/* 0 once the holder has said that it is there. */
static int start_holder(int latency, int process)
{
	int ready[2];
	pid_t between;
	ssize_t got;
	char byte;

	if (pipe(ready))
		return -errno;
	between = fork();
	if (!between) {
		close(ready[0]);
		hold(latency, process, ready[1]);
	}
	close(ready[1]);
	do
		got = between < 0 ? 0 : read(ready[0], &byte, 1);
	while (got < 0 && errno == EINTR);
	close(ready[0]);
	while (between > 0 && waitpid(between, NULL, 0) < 0 && errno == EINTR)
		;
	return got == 1 ? 0 : -EAGAIN;
}

int hold_latency(void)
{
	const int32_t none = 0;
	int latency, process, err, reaper = 0;

	if (getpid() == 1 || (!prctl(PR_GET_CHILD_SUBREAPER, &reaper) && reaper))
		return -ECHILD;
	latency = open(HOLD_FILE, O_WRONLY | O_CLOEXEC);
	if (latency < 0)
		return -errno;
	err = write(latency, &none, sizeof(none)) == (ssize_t)sizeof(none) ? 0 : -errno;
	process = err ? -1 : (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (!err && process < 0)
		err = -errno;
	if (!err)
		err = start_holder(latency, process);
	if (process >= 0)
		close(process);
	close(latency);
	return err;
}
