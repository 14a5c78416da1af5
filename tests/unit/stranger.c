/*
 * SPDX-License-Identifier: MIT
 *
 * Strangers: Unix sockets without the library. See stranger.h.
 */
#include "config.h"

#include "tests/unit/stranger.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/runner.h"

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	ck_assert_uint_lt(strlen(path), sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path));
	return address;
}

static int new_socket(int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	return fd;
}

int stranger_bind(const char *path, int type, int backlog)
{
	struct sockaddr_un address = address_of(path);
	int fd = new_socket(type);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (backlog >= 0)
		ck_assert_int_eq(listen(fd, backlog), 0);
	return fd;
}

void stranger_leave(const char *path, int type)
{
	close(stranger_bind(path, type, -1));
}

int stranger_try(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int err, fd = new_socket(SOCK_SEQPACKET | SOCK_NONBLOCK);

	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int stranger_connect(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int fd = new_socket(SOCK_SEQPACKET);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void wait_readable(int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLIN };

	ck_assert_msg(poll(&look, 1, 20000) == 1, "nothing comes");
}

int stranger_accept(int fd)
{
	int client;

	wait_readable(fd);
	client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(client, 0);
	return client;
}

union ancillary {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int[STRANGER_DESCRIPTORS]))];
};

void stranger_send(int fd, const void *data, size_t length, const int *descriptors, int count)
{
	union ancillary ancillary = { .room = { 0 } };
	struct iovec piece = { .iov_base = (void *)(uintptr_t)data, .iov_len = length };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &ancillary };
	struct ucred self = { .pid = getpid(), .uid = geteuid(), .gid = getegid() };
	struct cmsghdr *item = &ancillary.header;
	size_t bytes = sizeof(int) * (size_t)count;

	ck_assert_int_le(count, STRANGER_DESCRIPTORS);
	item->cmsg_level = SOL_SOCKET;
	item->cmsg_type = SCM_CREDENTIALS;
	item->cmsg_len = CMSG_LEN(sizeof(self));
	memcpy(CMSG_DATA(item), &self, sizeof(self));
	message.msg_controllen = CMSG_SPACE(sizeof(self));
	if (count) {
		item = (struct cmsghdr *)(void *)(ancillary.room + CMSG_SPACE(sizeof(self)));
		item->cmsg_level = SOL_SOCKET;
		item->cmsg_type = SCM_RIGHTS;
		item->cmsg_len = (socklen_t)CMSG_LEN(bytes);
		memcpy(CMSG_DATA(item), descriptors, bytes);
		message.msg_controllen += (socklen_t)CMSG_SPACE(bytes);
	}
	ck_assert_int_eq(sendmsg(fd, &message, MSG_NOSIGNAL), (int)length);
}

void stranger_say(int fd, const void *data, size_t length, int descriptor, int copies)
{
	int fds[STRANGER_DESCRIPTORS];

	ck_assert_int_le(copies, STRANGER_DESCRIPTORS);
	for (int i = 0; i < copies; i++)
		fds[i] = descriptor;
	stranger_send(fd, data, length, fds, copies);
}

ssize_t stranger_hear(int fd, void *data, size_t size, int *descriptor)
{
	union ancillary ancillary;
	struct iovec piece = { .iov_base = data, .iov_len = size };
	struct msghdr message = { .msg_iov = &piece,
				  .msg_iovlen = 1,
				  .msg_control = &ancillary,
				  .msg_controllen = sizeof(ancillary) };
	struct cmsghdr *item;
	ssize_t length;
	int came = -1;

	wait_readable(fd);
	length = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	if (length < 0 && errno == ECONNRESET)
		return 0;
	ck_assert_int_ge(length, 0);
	item = CMSG_FIRSTHDR(&message);
	if (item && item->cmsg_type == SCM_RIGHTS)
		memcpy(&came, CMSG_DATA(item), sizeof(int));
	if (descriptor)
		*descriptor = came;
	else if (came >= 0)
		close(came);
	return length;
}

bool stranger_hears(int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLIN };

	return poll(&look, 1, 0) == 1;
}

int stranger_lingering(int *peer)
{
	static const struct linger linger = { .l_onoff = 1, .l_linger = 60 };
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	static const char much[4096];
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(door, (struct sockaddr *)&address, length) || listen(door, 1) ||
	    getsockname(door, (struct sockaddr *)&address, &length) ||
	    connect(fd, (struct sockaddr *)&address, length)) {
		close(door);
		close(fd);
		return -1;
	}
	*peer = accept4(door, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(*peer, 0);
	close(door);
	while (send(fd, much, sizeof(much), MSG_DONTWAIT) > 0)
		;
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	return fd;
}
