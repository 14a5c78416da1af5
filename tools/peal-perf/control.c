/*
 * SPDX-License-Identifier: MIT
 *
 * Control: whole messages on a seqpacket pair, and the accounts that travel with them.
 */
#include "config.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "control.h"
#include "watch.h"

int control_send(int control, const void *message, size_t size)
{
	ssize_t sent;

	do {
		if (watch_abandoned())
			return -ECANCELED;
		sent = send(control, message, size, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)size ? 0 : -ECONNRESET;
}

int control_receive(int control, void *message, size_t size)
{
	ssize_t came;

	/* A last word of a partner that has failed is there already, and must not be waited for. */
	do
		came = recv(control, message, size, watch_abandoned() ? MSG_DONTWAIT : 0);
	while (came < 0 && errno == EINTR);
	if (came == (ssize_t)size)
		return 0;
	return came < 0 && errno == EAGAIN ? -ECANCELED : -ECONNRESET;
}

static double seconds(const struct timeval *time)
{
	return (double)time->tv_sec + (double)time->tv_usec * 1e-6;
}

struct usage usage_now(bool thread)
{
	struct rusage used;

	getrusage(thread ? RUSAGE_THREAD : RUSAGE_SELF, &used);
	return (struct usage){
		.cpu_s = seconds(&used.ru_utime) + seconds(&used.ru_stime),
		.switches = (uint64_t)used.ru_nvcsw + (uint64_t)used.ru_nivcsw,
	};
}

struct usage usage_since(const struct usage *before, bool thread)
{
	struct usage now = usage_now(thread);

	now.cpu_s -= before->cpu_s;
	now.switches -= before->switches;
	return now;
}
