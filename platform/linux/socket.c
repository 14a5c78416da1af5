/*
 * SPDX-License-Identifier: MIT
 *
 * Linux Unix sockets: messages with descriptors and credentials, and the names that they live
 * under. It knows nothing of what the messages say.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

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

/* Events taken at a time. */
#define EVENTS 64

/* Newer than the oldest headers that we build with. */
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

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

/* Takes the next message out, which has been looked at. An error of the peer's, or a signal, may
 * come before it. */
static void take_out(int fd)
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
	take_out(fd);
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
		take_out(fd);
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

int platform_poll(int fd, bool writable, int64_t ns)
{
	struct pollfd look = { .fd = fd, .events = writable ? POLLOUT : POLLIN };
	struct timespec limit = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	int count = ppoll(&look, 1, ns < 0 ? NULL : &limit, NULL);

	return count > 0 ? 0 : count ? -errno : -ETIMEDOUT;
}

int platform_poller(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int platform_poller_add(int poller, int fd, uint32_t key)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = key };

	return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int platform_poller_add_edge(int poller, int fd, uint32_t key)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u32 = key };

	return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int platform_poller_wait(int poller, int64_t ns)
{
	struct epoll_event events[2];
	int err = platform_poll(poller, false, ns); /* epoll_wait counts in ms */

	if (!err)
		epoll_wait(poller, events, 2, 0);
	return err;
}

void platform_poller_remove(int poller, int fd)
{
	epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL);
}

/* There is no epoll_pwait2, or it is forbidden. Atomic, and relaxed: it stands for nothing but
 * itself. */
static bool no_pwait2;

/* Of a poller, for so many ns: since Linux 5.11 by one call, before by two. */
static int await_events(int poller, struct epoll_event *events, int most, int64_t ns)
{
	int64_t ms = ns < 0 ? -1 : ns / 1000000 < INT_MAX ? ns / 1000000 : INT_MAX;
	int count;

	if (!__atomic_load_n(&no_pwait2, __ATOMIC_RELAXED)) {
		struct {
			int64_t s, ns;
		} limit = { ns / 1000000000, ns % 1000000000 };

		count = (int)syscall(SYS_epoll_pwait2, poller, events, most, ns < 0 ? NULL : &limit,
				     NULL, 0);
		if (count >= 0 || (errno != ENOSYS && errno != EPERM && errno != EACCES))
			return count;
		__atomic_store_n(&no_pwait2, true, __ATOMIC_RELAXED);
	}
	if (ns > 0 && !ms)
		platform_poll(poller, false, ns); /* epoll_wait counts in ms */
	return epoll_wait(poller, events, most, (int)ms);
}

/* As platform_poller_await, which needs no such flag. */
static int await(int poller, uint32_t *keys, int most, int64_t ns, uint32_t hung_up)
{
	struct epoll_event events[EVENTS];
	int count = await_events(poller, events, most < EVENTS ? most : EVENTS, ns);

	for (int i = 0; i < count; i++)
		keys[i] = events[i].data.u32 | (events[i].events & EPOLLHUP ? hung_up : 0);
	return count < 0 && errno != EINTR ? -errno : count < 0 ? 0 : count;
}

int platform_poller_await(int poller, uint32_t *keys, int most, int64_t ns)
{
	return await(poller, keys, most, ns, PLATFORM_HUNG_UP);
}

int platform_poller_ready(int poller, uint32_t *keys, int most)
{
	return await(poller, keys, most, 0, 0);
}

int platform_timer(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

void platform_timer_set(int timer, uint64_t ns)
{
	struct itimerspec time = { .it_value = { .tv_sec = (time_t)(ns / 1000000000),
						 .tv_nsec = (long)(ns % 1000000000) } };

	timerfd_settime(timer, 0, &time, NULL);
}

/* A lock file of ours is empty or has a number in it; anything else is somebody's, and stays:
 * -EEXIST. */
static int prove_lock_file(int fd)
{
	struct stat status;
	char text[32] = "";

	if (fstat(fd, &status))
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_nlink != 1 ||
	    (status.st_uid != geteuid() && geteuid() != 0) || status.st_size >= (off_t)sizeof(text))
		return -EEXIST;
	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		return -errno;
	return !*text || !strcmp(text + strspn(text, "0123456789"), "\n") ? 0 : -EEXIST;
}

int platform_lock(const char *path, bool make)
{
	int err,
		fd = open(path, O_RDWR | (make ? O_CREAT : 0) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
			  0600);
	struct rlimit limit;
	char text[32];

	if (fd < 0)
		return errno == ENXIO ? -EEXIST : -errno; /* a socket */
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		err = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
		close(fd);
		return err;
	}
	err = prove_lock_file(fd);
	if (err) {
		platform_unlock(fd);
		return err;
	}
	/* For people: nothing depends on what it says, nor on whether it can be said. Where no file
	 * may be written at all, trying would end the process, with SIGXFSZ. */
	snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (!ftruncate(fd, 0) && !getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur &&
	    pwrite(fd, text, strlen(text), 0) < 0)
		errno = 0;
	return fd;
}

int64_t platform_listening_pid(const char *path)
{
	struct platform_credentials who = { .pid = 0 };

	for (int i = 0; i < 50; i++) {
		int fd = platform_socket(), err = fd < 0 ? fd : platform_connect(fd, path);

		if (!err)
			platform_peer(fd, &who);
		platform_close_socket(fd);
		if (err != -ENOENT && err != -ECONNREFUSED)
			break;
		platform_sleep(1000000);
	}
	return who.pid;
}

void platform_unlock(int fd)
{
	if (fd < 0)
		return;
	flock(fd, LOCK_UN);
	close(fd);
}

int platform_kind(const char *path, bool follow)
{
	struct stat status;

	if (follow ? stat(path, &status) : lstat(path, &status))
		return errno == ENOENT ? PLATFORM_NOTHING : -errno;
	switch (status.st_mode & S_IFMT) {
	case S_IFSOCK:
		return PLATFORM_SOCKET;
	case S_IFREG:
		return PLATFORM_FILE;
	case S_IFDIR:
		return PLATFORM_FOLDER;
	case S_IFLNK:
		return PLATFORM_LINK;
	default:
		return PLATFORM_DEVICE;
	}
}

int platform_probe_socket(const char *path)
{
	int err, fd, kind = platform_kind(path, false);

	if (kind != PLATFORM_SOCKET)
		return kind < 0 ? kind : kind == PLATFORM_NOTHING ? -ENOENT : -EEXIST;
	fd = platform_socket();
	if (fd < 0)
		return fd;
	err = platform_connect(fd, path);
	platform_close_socket(fd); /* whoever listens there is a stranger */
	return err == -ECONNREFUSED ? 0 : -EADDRINUSE;
}

int platform_remove(const char *path)
{
	return unlink(path) ? -errno : 0;
}

int platform_whole_path(const char *path, char **whole)
{
	*whole = realpath(path, NULL);
	return *whole ? 0 : -errno;
}

int platform_folder(const char *path)
{
	char folder[4096];
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) + 1 : 0;
	struct stat status;

	if (!length || length >= sizeof(folder))
		return -EINVAL;
	memcpy(folder, path, length);
	folder[length] = 0;
	if (stat(folder, &status))
		return -errno;
	return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
}

int platform_look_at_folder(const char *path, bool follow, struct platform_access *access)
{
	struct stat status;

	if (follow ? stat(path, &status) : lstat(path, &status))
		return -errno;
	if (S_ISLNK(status.st_mode))
		return -ELOOP;
	if (!S_ISDIR(status.st_mode))
		return -ENOTDIR;
	*access = (struct platform_access){ .owner = status.st_uid,
					    .mode = status.st_mode & 07777 };
	return 0;
}

int platform_make_folder(const char *path, uint32_t mode)
{
	return mkdir(path, mode) || chmod(path, mode) ? -errno : 0;
}

int platform_identify(const char *path, struct platform_identity *identity)
{
	struct stat status;

	if (lstat(path, &status))
		return -errno;
	identity->device = status.st_dev;
	identity->inode = status.st_ino;
	return 0;
}
