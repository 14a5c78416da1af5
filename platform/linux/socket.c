/*
 * SPDX-License-Identifier: MIT
 *
 * Linux Unix sockets: messages with descriptors and credentials. It knows nothing of what the
 * messages say.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "platform/linux/socket.h"
#include "platform/platform.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

/* The address of a name, and its length, or a negative errno. An abstract name is all of its bytes,
 * without a zero at the end, behind one in the place of its @. */
static int set_address(struct sockaddr_un *address, const char *name)
{
	size_t length = strlen(name);

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (length > sizeof(address->sun_path) - (*name != '@'))
		return -ENAMETOOLONG;
	memcpy(address->sun_path, name, length);
	if (*name != '@')
		return (int)sizeof(*address);
	address->sun_path[0] = 0;
	return (int)(offsetof(struct sockaddr_un, sun_path) + length);
}

int platform_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

int platform_bind(int fd, const char *name, uint32_t mode)
{
	struct sockaddr_un address;
	int length = set_address(&address, name);

	if (length < 0)
		return length;
	/* The mode of the unbound socket becomes that of the path, less the umask. */
	if (fchmod(fd, mode) || bind(fd, (struct sockaddr *)&address, (socklen_t)length))
		return -errno;
	return 0;
}

/* By a descriptor of O_PATH, for which fchmod does nothing: Linux 6.6, or by way of /proc. */
static int change_mode(int fd, uint32_t mode)
{
	char path[32];

	if (!syscall(SYS_fchmodat2, fd, "", mode, AT_EMPTY_PATH))
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!chmod(path, mode))
		return 0;
	return errno == ENOENT ? -EOPNOTSUPP : -errno;
}

int platform_give(const char *path, uint32_t mode, uint32_t group)
{
	struct stat status;
	int err = 0, fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status))
		err = -errno;
	else if (!S_ISSOCK(status.st_mode))
		err = -EEXIST;
	else if (group && group != status.st_gid &&
		 fchownat(fd, "", (uid_t)-1, group, AT_EMPTY_PATH))
		err = -errno;
	else if ((status.st_mode & 0777) != mode)
		err = change_mode(fd, mode);
	close(fd);
	return err;
}

int platform_listen(int fd, int backlog)
{
	return listen(fd, backlog) ? -errno : 0;
}

int platform_connect(int fd, const char *name)
{
	struct sockaddr_un address;
	int length = set_address(&address, name);

	if (length < 0)
		return length;
	return connect(fd, (struct sockaddr *)&address, (socklen_t)length) ? -errno : 0;
}

int platform_adopt(int fd, bool listening)
{
	int domain = 0, type = 0, listens = 0, off = 0, flags;
	struct sockaddr_un peer;
	socklen_t size = sizeof(int), length = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size))
		return -errno;
	if (domain != AF_UNIX)
		return -EAFNOSUPPORT;
	if (type != SOCK_SEQPACKET)
		return -EPROTOTYPE;
	if (!listens && getpeername(fd, (struct sockaddr *)&peer, &length))
		return -errno;
	if (!listens != !listening)
		return -EINVAL;
	/* Nobody here reads labels, and there is no room for them beside descriptors. */
	setsockopt(fd, SOL_SOCKET, SO_PASSSEC, &off, sizeof(off));
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
		return -errno;
	return 0;
}

int platform_duplicate(int fd)
{
	int other = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return other < 0 ? -errno : other;
}

int platform_accept(int fd)
{
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	return client < 0 ? -errno : client;
}

/* Bells in a socket at its end: an honest peer rings once for an asleep word. */
#define BELLS_MAX 64

/* A bell that finds no memory. */
#define RING_TRIES 10

union ancillary {
	struct cmsghdr header; /* for its alignment */
	/* The last one is a pidfd: see unpack(). */
	char room[CMSG_SPACE(sizeof(struct ucred)) +
		  CMSG_SPACE(sizeof(int) * PLATFORM_DESCRIPTORS) + CMSG_SPACE(sizeof(int))];
};

/* More descriptors than that has room for. */
#define DESCRIPTORS_MAX (sizeof(union ancillary) / sizeof(int))

void platform_self(struct platform_credentials *self)
{
	*self = (struct platform_credentials){ .pid = getpid(),
					       .uid = geteuid(),
					       .gid = getegid() };
}

static int send_as(const struct platform_credentials *who, int fd, const void *data, size_t size,
		   const struct platform_parcel *parcel)
{
	union ancillary ancillary;
	struct iovec piece = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &ancillary };
	struct ucred self = { .pid = (pid_t)who->pid, .uid = who->uid, .gid = who->gid };
	struct cmsghdr *item = &ancillary.header;
	size_t bytes = sizeof(int) * (size_t)(parcel ? parcel->count : 0);

	memset(&ancillary, 0, CMSG_SPACE(sizeof(self)) + CMSG_SPACE(sizeof(parcel->fd)));
	item->cmsg_level = SOL_SOCKET;
	item->cmsg_type = SCM_CREDENTIALS;
	item->cmsg_len = CMSG_LEN(sizeof(self));
	memcpy(CMSG_DATA(item), &self, sizeof(self));
	message.msg_controllen = CMSG_SPACE(sizeof(self));
	if (bytes) {
		item = (struct cmsghdr *)(void *)(ancillary.room + CMSG_SPACE(sizeof(self)));
		item->cmsg_level = SOL_SOCKET;
		item->cmsg_type = SCM_RIGHTS;
		item->cmsg_len = (socklen_t)CMSG_LEN(bytes);
		memcpy(CMSG_DATA(item), parcel->fd, bytes);
		message.msg_controllen += (socklen_t)CMSG_SPACE(bytes);
	}
	if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	/* A user without a number in this namespace cannot name itself. */
	message.msg_controllen -= (socklen_t)CMSG_SPACE(sizeof(self));
	message.msg_control = bytes ? ancillary.room + CMSG_SPACE(sizeof(self)) : NULL;
	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int platform_send(int fd, const void *data, size_t size, const struct platform_parcel *parcel)
{
	struct platform_credentials self;
	int err = -EPERM;

	if (parcel && parcel->has_credentials)
		err = send_as(&parcel->credentials, fd, data, size, parcel);
	if (err != -EPERM)
		return err;
	/* None were given, or we are not who we were. */
	platform_self(&self);
	return send_as(&self, fd, data, size, parcel);
}

/* Takes what is in a parcel's place out of a message; how many descriptors came goes to *count. */
static void unpack(struct msghdr *message, struct platform_parcel *parcel, int *fds, int *count)
{
	for (struct cmsghdr *item = CMSG_FIRSTHDR(message); item;
	     item = CMSG_NXTHDR(message, item)) {
		if (item->cmsg_level != SOL_SOCKET)
			continue;
		if (item->cmsg_type == SCM_RIGHTS && !*count) {
			*count = (int)((item->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(fds, CMSG_DATA(item), sizeof(int) * (size_t)*count);
		}
		if (item->cmsg_type == SCM_CREDENTIALS &&
		    item->cmsg_len == CMSG_LEN(sizeof(struct ucred))) {
			struct ucred peer;

			memcpy(&peer, CMSG_DATA(item), sizeof(peer));
			parcel->has_credentials = true;
			parcel->credentials = (struct platform_credentials){ .pid = peer.pid,
									     .uid = peer.uid,
									     .gid = peer.gid };
		}
		/* The kernel's, by the wish of who made the socket (SO_PASSPIDFD). */
		if (item->cmsg_type == SCM_PIDFD && item->cmsg_len == CMSG_LEN(sizeof(int))) {
			int pidfd;

			memcpy(&pidfd, CMSG_DATA(item), sizeof(pidfd));
			platform_close(pidfd);
		}
	}
}

/* An error of the peer's, or a signal, may come before it. */
void socket_take_out(int fd)
{
	char byte;
	struct iovec piece = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

	for (int i = 0; i < 4; i++)
		if (recvmsg(fd, &message, MSG_DONTWAIT) >= 0 || errno == EAGAIN)
			return;
}

/*
 * First a look at the message, then it is taken out. Descriptors for which there is no room, here
 * or in the process's table, would be closed on our way out of the system call that takes it out,
 * and their close may wait for a stranger. A look gives us copies of those that there is room for.
 * With too many for that the message is taken out aside, or stays where it is if there is no
 * descriptor for that; so few of a message's ever take up numbers of ours.
 */
int64_t platform_receive(int fd, void *data, size_t size, struct platform_parcel *parcel)
{
	union ancillary ancillary;
	struct iovec piece = { .iov_base = data, .iov_len = size };
	struct msghdr message = { .msg_iov = &piece,
				  .msg_iovlen = 1,
				  .msg_control = &ancillary,
				  .msg_controllen = sizeof(ancillary) };
	const int look = MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC;
	int fds[DESCRIPTORS_MAX], count = 0;
	ssize_t length;

	memset(parcel, 0, sizeof(*parcel));
	length = recvmsg(fd, &message, look);
	/* A peer that closes with our message unread is an error first; what it said comes next. */
	if (length < 0 && errno == ECONNRESET)
		length = recvmsg(fd, &message, look);
	if (length < 0)
		return -errno;
	unpack(&message, parcel, fds, &count);
	if (count > PLATFORM_DESCRIPTORS || (message.msg_flags & MSG_CTRUNC)) {
		int own = platform_duplicate(fd);

		platform_close_aside(fds, count);
		platform_close_aside(&own, own >= 0);
		return count >= PLATFORM_DESCRIPTORS ? -EPROTO : -EMFILE;
	}
	socket_take_out(fd);
	memcpy(parcel->fd, fds, sizeof(int) * (size_t)count);
	parcel->count = count;
	return length;
}

int platform_want_credentials(int fd)
{
	int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) ? -errno : 0;
}

int platform_peer(int fd, struct platform_credentials *peer)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size))
		return -errno;
	*peer = (struct platform_credentials){ .pid = cred.pid, .uid = cred.uid, .gid = cred.gid };
	return 0;
}

bool platform_peer_in_group(int fd, uint32_t gid)
{
	socklen_t size = 0;
	gid_t *groups;
	bool found = false;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0 || errno != ERANGE)
		return false;
	groups = malloc(size);
	if (groups && !getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size))
		for (size_t i = 0; i < size / sizeof(*groups); i++)
			found |= groups[i] == gid;
	free(groups);
	return found;
}

uint32_t platform_uid(void)
{
	return geteuid();
}

uint32_t platform_gid(void)
{
	return getegid();
}

/* The number of users that have none here. */
static unsigned long overflow_uid(void)
{
	unsigned long overflow = 65534;
	FILE *file = fopen("/proc/sys/kernel/overflowuid", "re");

	if (file) {
		if (fscanf(file, "%lu", &overflow) != 1)
			overflow = 65534;
		fclose(file);
	}
	return overflow;
}

bool platform_is_somebody(const struct platform_credentials *who)
{
	return who->pid || who->uid != overflow_uid();
}

int platform_uid_is_mapped(uint32_t uid)
{
	unsigned long first = 0, below = 0, count = 0;
	int numbers, err;
	FILE *file;

	if (uid != overflow_uid())
		return 1;
	/* Where every user is mapped, the number is a user like any other. */
	file = fopen("/proc/self/uid_map", "re");
	if (!file)
		return -errno;
	numbers = fscanf(file, "%lu %lu %lu", &first, &below, &count);
	err = ferror(file) ? -errno : 0;
	fclose(file);
	return err ? err : numbers == 3 && first == 0 && below == 0 && count == 4294967295ul;
}

bool platform_ring(int fd)
{
	for (int i = 0; i < RING_TRIES; i++) {
		int err = send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;

		/* Where a filter denies that, what sent the handshake does as well. */
		if (err == -EPERM || err == -ENOSYS)
			err = platform_send(fd, "", 1, NULL);
		/* Full is rung, and who is gone need not be. */
		if (err != -ENOMEM && err != -ENOBUFS)
			return true;
		platform_sleep(100000);
	}
	return false;
}

int platform_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/*
 * By its name, which no file system is asked for: the kernel makes it, and a file's begins with a
 * slash. False: it is none. Without /proc nobody can tell.
 */
bool platform_may_be_eventfd(int fd)
{
	static const char right[] = "anon_inode:[eventfd]";
	char path[40], name[sizeof(right)];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, name, sizeof(name));
	return length < 0 || (length == sizeof(right) - 1 && !memcmp(name, right, (size_t)length));
}

void platform_ring_eventfd(int fd)
{
	const uint64_t one = 1;

	/* Full is rung. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

void platform_clear_eventfd(int fd)
{
	uint64_t rings;

	/* Nothing there is as good. */
	if (read(fd, &rings, sizeof(rings)) < 0)
		return;
}

int platform_drain(int fd, int most)
{
	struct platform_parcel parcel;
	int64_t length;
	int taken = 0;
	char byte;

	while (taken < most) {
		length = platform_receive(fd, &byte, sizeof(byte), &parcel);
		/* Without memory for a look it polls readable again. */
		if (length == -EAGAIN || length == -ENOMEM || length == -ENOBUFS)
			break;
		if (length == -EPROTO || length == -EMFILE)
			return -EPROTO;
		if (length <= 0 && length != -EINTR)
			return -ECONNRESET;
		if (parcel.count) {
			platform_close_aside(parcel.fd, parcel.count);
			return -EPROTO;
		}
		taken += length > 0;
	}
	return taken;
}

bool platform_hung_up(int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLRDHUP };
	int count = poll(&look, 1, 0);

	/* Where a filter denies the one, there may be the other. */
	if (count < 0)
		count = ppoll(&look, 1, &(struct timespec){ .tv_sec = 0 }, NULL);
	return count > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
}

void platform_hang_up(int fd)
{
	shutdown(fd, SHUT_RDWR);
}

bool platform_end(int fd, bool hung_up)
{
	struct platform_parcel parcel;
	int64_t length;
	char byte;

	if (!hung_up)
		platform_hang_up(fd);
	for (int i = 0; i < BELLS_MAX; i++) {
		length = platform_receive(fd, &byte, sizeof(byte), &parcel);
		/* An empty message has credentials, and the end has none. */
		if (length == 0 && !parcel.has_credentials)
			return true;
		platform_close_aside(parcel.fd, parcel.count);
		if (length < 0 && length != -EINTR)
			return false;
	}
	return false;
}
