/*
 * SPDX-License-Identifier: MIT
 *
 * Meetings: thin wrappers round Unix sockets that complain in whole sentences.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "complaint.h"
#include "meeting.h"

static int address_set(struct sockaddr_un *address, const char *path)
{
	size_t length = strlen(path);

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (length >= sizeof(address->sun_path))
		return complain(-ENAMETOOLONG, "socket path %s is longer than %zu bytes", path,
				sizeof(address->sun_path) - 1);
	memcpy(address->sun_path, path, length + 1);
	return 0;
}

/* A socket of a type, and the address that it is to have, or to connect to. */
static int socket_for(const char *path, int type, struct sockaddr_un *address)
{
	int err = address_set(address, path);
	int fd;

	if (err)
		return err;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	return fd < 0 ? complain_errno("socket") : fd;
}

int meeting_listen(const char *path, int type, int backlog)
{
	struct sockaddr_un address;
	int err, fd = socket_for(path, type, &address);

	if (fd < 0)
		return fd;
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) || listen(fd, backlog)) {
		err = complain_errno("listening at %s", path);
		close(fd);
		return err;
	}
	return fd;
}

int meeting_accept(int listener)
{
	int fd;

	do
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? complain_errno("accept") : fd;
}

int meeting_connect(const char *path, int type)
{
	struct sockaddr_un address;
	int err, fd = socket_for(path, type, &address);

	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
		err = complain_errno("connecting to %s", path);
		close(fd);
		return err;
	}
	return fd;
}

int meeting_pair(int type, int sockets[2])
{
	return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sockets) ? complain_errno("socketpair") :
								      0;
}

/* A message of one byte, with room for descriptors beside it. */
struct envelope {
	char byte;
	struct iovec piece;
	struct msghdr message;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(MEETING_DESCRIPTORS * sizeof(int))];
};

static void envelope_set(struct envelope *envelope, unsigned count)
{
	memset(envelope, 0, sizeof(*envelope));
	envelope->piece.iov_base = &envelope->byte;
	envelope->piece.iov_len = 1;
	envelope->message.msg_iov = &envelope->piece;
	envelope->message.msg_iovlen = 1;
	envelope->message.msg_control = envelope->control;
	envelope->message.msg_controllen = (socklen_t)CMSG_SPACE(count * sizeof(int));
}

int meeting_give(int socket, const int *descriptors, unsigned count)
{
	struct envelope envelope;
	struct cmsghdr *control;

	envelope_set(&envelope, count);
	control = CMSG_FIRSTHDR(&envelope.message);
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = (socklen_t)CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(control), descriptors, count * sizeof(int));
	if (sendmsg(socket, &envelope.message, MSG_NOSIGNAL) != 1)
		return complain_errno("handing over descriptors");
	return 0;
}

int meeting_take(int socket, int *descriptors, unsigned count)
{
	struct envelope envelope;
	const struct cmsghdr *control;
	ssize_t length;

	envelope_set(&envelope, count);
	do
		length = recvmsg(socket, &envelope.message, MSG_CMSG_CLOEXEC);
	while (length < 0 && errno == EINTR);
	if (length < 0)
		return complain_errno("taking over descriptors");
	control = CMSG_FIRSTHDR(&envelope.message);
	if (!control || control->cmsg_type != SCM_RIGHTS ||
	    control->cmsg_len != CMSG_LEN(count * sizeof(int)))
		return complain(-EPROTO, "the other side did not hand over %u descriptors", count);
	memcpy(descriptors, CMSG_DATA(control), count * sizeof(int));
	return 0;
}
