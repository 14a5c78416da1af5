/*
 * SPDX-License-Identifier: MIT
 *
 * What closing needs of Linux sockets.
 */
#ifndef PLATFORM_LINUX_SOCKET_H
#define PLATFORM_LINUX_SOCKET_H

/* Takes the next message out, if there is one, and closes what descriptors come with it. */
void socket_take_out(int fd);

#endif
