/*
 * SPDX-License-Identifier: MIT
 *
 * Telling who started this process how it is: the protocol of sd_notify(3), one datagram to the
 * Unix socket that NOTIFY_SOCKET names. It knows nothing of what is told.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/platform.h"

int platform_notify(const char *state)
{
	const char *address = platform_variable("NOTIFY_SOCKET");
	int fd, err;

	if (!address || !*address)
		return 0;
	/* Elsewhere than here, or relative to a folder that may have been left. */
	if (*address != '/' && *address != '@')
		return -EAFNOSUPPORT;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = platform_connect(fd, address);
	if (!err)
		err = platform_send(fd, state, strlen(state), NULL);
	close(fd);
	return err ? err : 1;
}
