/*
 * SPDX-License-Identifier: MIT
 *
 * The errnos of errnos.h. Left out is what would be a lie about the other side (a full socket that
 * is not full, a peer that is gone and is not), what a right call never gets, and failures that
 * nobody could do anything about: of munmap, of setting a timer, of waking and of a thread's own
 * signal mask.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#include "tests/fault/errnos.h"

/* Newer than the oldest headers that we build with. */
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif

#define E(name)             \
	{                   \
		name, #name \
	}
/* A call, and how it can fail; one of several uses of a call; one that cannot, or must not. */
#define CALL(name, ...)                                           \
	{                                                         \
		.call = SYS_##name, #name, .how = { __VA_ARGS__ } \
	}
#define USE(name, index, bits, is, ...)                                                \
	{                                                                              \
		SYS_##name, #name, .argument = (index), .mask = (bits), .value = (is), \
				   .how = { __VA_ARGS__ }                              \
	}
#define NEVER(name)                \
	{                          \
		.call = SYS_##name \
	}

#define ANY UINT32_MAX

static const struct failing table[] = {
	/* Descriptors and names. */
	CALL(openat, E(EMFILE), E(ENFILE), E(ENOENT), E(EACCES), E(ENOMEM), E(EINTR)),
	CALL(close, E(EINTR), E(EIO)),
	CALL(read, E(EINTR), E(EIO), E(EAGAIN)),
	NEVER(write), /* of an eventfd that never blocks */
	CALL(pread64, E(EINTR), E(EIO)),
	CALL(pwrite64, E(EINTR), E(EIO), E(ENOSPC)),
	CALL(ftruncate, E(EINTR), E(EFBIG), E(EPERM), E(EIO)),
	CALL(fstat, E(ENOMEM), E(EIO), E(EPERM)),
	CALL(newfstatat, E(ENOMEM), E(EIO), E(EACCES)),
	CALL(fstatfs, E(EIO), E(EPERM), E(ENOSYS)),
	CALL(statfs, E(EIO), E(EPERM), E(ENOSYS)),
	CALL(fchmod, E(EPERM), E(EIO)),
	CALL(fchmodat, E(EPERM), E(EROFS), E(EIO)),
	CALL(fchmodat2, E(ENOSYS), E(EPERM), E(EROFS)),
	CALL(fchownat, E(EPERM), E(EROFS), E(EIO)),
	CALL(readlinkat, E(EACCES), E(ENOENT), E(EIO)),
	CALL(getcwd, E(ENOENT), E(EACCES)),
	CALL(getdents64, E(ENOENT), E(ENOMEM)),
	CALL(mkdirat, E(EACCES), E(ENOSPC), E(EROFS)),
	CALL(unlinkat, E(EACCES), E(EBUSY), E(EPERM), E(EROFS), E(EIO)),
	CALL(flock, E(EINTR), E(ENOLCK), E(EAGAIN)),
	USE(fcntl, 1, ANY, F_DUPFD_CLOEXEC, E(EMFILE)),
	USE(fcntl, 1, ANY, F_GET_SEALS, E(EINVAL), E(EPERM)),
	USE(fcntl, 1, ANY, F_ADD_SEALS, E(EBUSY), E(EPERM), E(EINVAL)),
	CALL(fcntl, E(EPERM)),
#ifdef SYS_open
	CALL(open, E(EMFILE), E(ENFILE), E(ENOENT), E(EACCES), E(ENOMEM), E(EINTR)),
	CALL(stat, E(ENOMEM), E(EIO), E(EACCES)),
	CALL(lstat, E(ENOMEM), E(EIO), E(EACCES)),
	CALL(chmod, E(EPERM), E(EROFS), E(EIO)),
	CALL(mkdir, E(EACCES), E(ENOSPC), E(EROFS)),
	CALL(unlink, E(EACCES), E(EBUSY), E(EPERM), E(EROFS), E(EIO)),
	CALL(readlink, E(EACCES), E(ENOENT), E(EIO)),
#endif

	/* Memory. Of advice only what must be taken can fail. */
	CALL(memfd_create, E(EMFILE), E(ENFILE), E(ENOMEM), E(ENOSYS), E(EPERM), E(EINVAL)),
	CALL(fallocate, E(ENOSPC), E(EINTR), E(ENOMEM), E(EFBIG), E(EPERM)),
	CALL(cachestat, E(ENOSYS), E(EPERM), E(EACCES)),
	CALL(mmap, E(ENOMEM), E(EAGAIN), E(EPERM), E(ENFILE)),
	CALL(mremap, E(ENOMEM), E(EAGAIN)),
	CALL(mprotect, E(ENOMEM), E(EACCES)),
	CALL(madvise, E(ENOMEM), E(EAGAIN), E(EINVAL), E(EPERM)),
	CALL(mlock, E(ENOMEM), E(EAGAIN), E(EPERM)),
	CALL(munlock, E(ENOMEM), E(EPERM)),
	CALL(mbind, E(ENOMEM), E(EPERM), E(ENOSYS), E(EINVAL)),
	CALL(get_mempolicy, E(EPERM), E(ENOSYS)),
	CALL(prlimit64, E(EPERM)),
	CALL(capget, E(EPERM), E(ENOSYS)),
	NEVER(munmap),
	NEVER(brk), /* which has no errnos: the C library goes on with mmap */

	/* Threads and waiting. What the C library waits with is private, and only interrupted. */
	CALL(clone3, E(EAGAIN), E(ENOMEM), E(ENOSYS)),
	CALL(clone, E(EAGAIN), E(ENOMEM)),
	USE(futex, 1, ANY, FUTEX_WAIT, E(EINTR), E(EPERM), E(ENOSYS)),
	USE(futex, 1, ANY, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, E(EINTR)),
	USE(futex, 1, ANY, FUTEX_WAKE, E(EPERM), E(ENOSYS)),
	NEVER(futex),
	CALL(membarrier, E(EPERM), E(ENOSYS), E(EINVAL)),
	CALL(clock_nanosleep, E(EINTR)),
	CALL(ppoll, E(EINTR), E(ENOMEM)),
	CALL(epoll_create1, E(EMFILE), E(ENFILE), E(ENOMEM)),
	CALL(epoll_ctl, E(ENOSPC), E(ENOMEM)),
	CALL(epoll_pwait, E(EINTR)),
	CALL(epoll_pwait2, E(EINTR), E(EPERM), E(ENOSYS)),
	CALL(eventfd2, E(EMFILE), E(ENFILE), E(ENOMEM), E(ENODEV)),
	CALL(timerfd_create, E(EMFILE), E(ENFILE), E(ENOMEM)),
	NEVER(timerfd_settime),
#ifdef SYS_poll
	CALL(poll, E(EINTR), E(ENOMEM)),
	CALL(epoll_wait, E(EINTR)),
#endif
	CALL(sched_getaffinity, E(EPERM), E(EINVAL)),
	CALL(sched_setaffinity, E(EPERM), E(EINVAL)),

	/* Sockets. */
	CALL(socket, E(EMFILE), E(ENFILE), E(ENOBUFS), E(ENOMEM), E(EPERM), E(EAFNOSUPPORT)),
	CALL(bind, E(EACCES), E(EADDRINUSE), E(ENOMEM), E(ENOSPC), E(EROFS)),
	CALL(listen, E(EADDRINUSE), E(EPERM)),
	CALL(connect, E(EAGAIN), E(EINTR), E(ECONNREFUSED), E(EACCES), E(ENOMEM), E(ENOENT)),
	CALL(accept4, E(EMFILE), E(ENFILE), E(ENOBUFS), E(ENOMEM), E(ECONNABORTED), E(EINTR),
	     E(EAGAIN), E(EPERM)),
	CALL(sendmsg, E(ENOBUFS), E(ENOMEM), E(EAGAIN), E(EINTR), E(ETOOMANYREFS), E(EPERM),
	     E(ENOSYS)),
	CALL(sendto, E(ENOBUFS), E(ENOMEM), E(EPERM), E(ENOSYS)),
	CALL(recvmsg, E(EINTR), E(ENOMEM), E(ENOBUFS), E(EAGAIN), E(ECONNRESET), E(CUT)),
	CALL(getsockopt, E(ENOBUFS), E(EPERM)),
	CALL(setsockopt, E(ENOMEM), E(EPERM)),
	CALL(getpeername, E(ENOBUFS)),
	CALL(shutdown, E(ENOTCONN)),

	/* Asking who we are, giving the CPU away, and coming to an end. */
	NEVER(getpid),
	NEVER(gettid),
	NEVER(geteuid),
	NEVER(getegid),
	NEVER(getuid),
	NEVER(getgid),
	NEVER(sched_yield),
	NEVER(rt_sigprocmask),
	NEVER(rt_sigaction),
	NEVER(set_robust_list),
	NEVER(sigaltstack),
	NEVER(rseq),
	NEVER(exit),
	NEVER(exit_group),
	NEVER(tgkill),
	NEVER(getrandom),
	NEVER(restart_syscall),
	NEVER(wait4),
	NEVER(clock_gettime),
};

const struct failing *failing_find(long call, const uint64_t arguments[6])
{
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].call == call &&
		    ((uint32_t)arguments[table[i].argument] & table[i].mask) == table[i].value)
			return &table[i];
	return NULL;
}

static bool has_word(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = words; (at = strstr(at, word)); at += length)
		if ((at == words || at[-1] == ' ') && (!at[length] || at[length] == ' '))
			return true;
	return false;
}

bool failing_explains(const char *call, int err, int result)
{
	static const struct {
		const char *calls;
		int err; /* 0: any */
		int result;
	} others[] = {
		/* "Not yet" means something else to a caller. */
		{ "mmap mremap madvise mlock", EAGAIN, -ENOMEM },
		{ "mlock", 0, -ENOMEM },
		/* So pthread_create says it. */
		{ "clone3 clone", ENOMEM, -EAGAIN },
		/* Nobody may name or reach it. */
		{ "socket bind fchmod fchmodat fchownat unlink unlinkat listen connect", EPERM,
		  -EACCES },
		{ "bind unlink unlinkat chmod", EROFS, -EACCES },
		/* What stands there cannot be proved to be stale. */
		{ "connect", 0, -EADDRINUSE },
		{ "flock", EAGAIN, -EADDRINUSE },
		/* Nobody is there. */
		{ "connect", ENOENT, -ECONNREFUSED },
		/* What the peer gave us cannot be proved. */
		{ "fcntl fstat newfstatat fstatfs", 0, -EPROTO },
		/* It is lost, with the descriptors that came along. */
		{ "recvmsg", CUT, -EMFILE },
		{ "accept4", ENOBUFS, -ENOMEM },
		/* Who somebody is cannot be told, and may not be told later, either. */
		{ "openat open", ENOENT, -EPERM },
		{ "openat open", EACCES, -EPERM },
		{ "openat open", EINTR, -EPERM },
		{ "read", 0, -EPERM },
		/* The next try is up to the caller. */
		{ "ppoll poll epoll_wait epoll_pwait epoll_pwait2 recvmsg", 0, -EAGAIN },
	};

	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (result == others[i].result && (!others[i].err || others[i].err == err) &&
		    has_word(others[i].calls, call))
			return true;
	/* A wait that a signal interrupts goes on. */
	if (err == EINTR && has_word("futex ppoll poll epoll_wait epoll_pwait epoll_pwait2 "
				     "clock_nanosleep connect accept4 sendmsg recvmsg",
				     call))
		return false;
	return result == -err;
}
