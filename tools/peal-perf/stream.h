/*
 * SPDX-License-Identifier: MIT
 *
 * Streams: whole messages through a connected stream socket, whatever it is of. One call sends a
 * message and one receives it; a large one takes more. flags: MSG_DONTWAIT for who spins, else 0.
 */
#ifndef PEAL_PERF_STREAM_H
#define PEAL_PERF_STREAM_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "complaint.h"
#include "slice.h"
#include "watch.h"

ALWAYS_INLINE int stream_put(int socket, int flags, const void *payload, size_t size)
{
	const uint8_t *from = payload;

	while (size) {
		ssize_t sent = send(socket, from, size, flags | MSG_NOSIGNAL);

		if (sent >= 0) {
			from += sent;
			size -= (size_t)sent;
		} else {
			int err = watch_retry("send");

			if (err)
				return err;
		}
	}
	return 0;
}

ALWAYS_INLINE int stream_get(int socket, int flags, void *payload, size_t size)
{
	uint8_t *to = payload;

	while (size) {
		ssize_t came = recv(socket, to, size, flags);

		if (came > 0) {
			to += came;
			size -= (size_t)came;
		} else if (!came) {
			return complain(-ECONNRESET, "the other side has closed its socket");
		} else {
			int err = watch_retry("recv");

			if (err)
				return err;
		}
	}
	return 0;
}

#endif
