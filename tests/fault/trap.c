/*
 * SPDX-License-Identifier: MIT
 *
 * The trap of trap.h. The thread that decides allocates nothing and takes no lock: whoever it keeps
 * waiting may have any.
 */
#include "config.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/fault/errnos.h"
#include "tests/fault/trap.h"

/* Newer than the oldest headers that we build with. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* Whose allocations: of a thread that is not trapped, of the subject, of one that it started. */
enum role {
	ROLE_OTHER, /* the default: threads of the library's */
	ROLE_SUBJECT,
	ROLE_FREE,
};

static __thread enum role role;

static int listener = -1; /* atomic: the kernel's descriptor for us */
static pid_t subject;     /* atomic: the thread that entered */
static bool armed, paused;
static struct trap_order order;
static struct trap_report report;
static long blocks;

/* Each is stored with release, by the subject or the driver while the other waits, and read by the
 * thread that decides, which the call itself has woken. */
static bool is_armed(void)
{
	return __atomic_load_n(&armed, __ATOMIC_ACQUIRE) &&
	       !__atomic_load_n(&paused, __ATOMIC_ACQUIRE);
}

/* Counts a call that can fail in so many ways. Whether it is to. */
static bool is_the_one(unsigned choices)
{
	unsigned now = __atomic_add_fetch(&report.calls, 1, __ATOMIC_RELAXED);

	if (now != order.nth)
		return false;
	report.choices = choices;
	return true;
}

/* Another process has descriptors of its own. */
static bool is_ours(pid_t thread)
{
	return !syscall(SYS_tgkill, getpid(), thread, 0);
}

/* What the kernel does when it finds no room for descriptors in the receiver's table. */
static int64_t receive_cut(const struct seccomp_data *call)
{
	struct msghdr *message = (struct msghdr *)(uintptr_t)call->args[1];
	struct msghdr less = *message;
	socklen_t size = sizeof(int);
	int fd = (int)call->args[0], tells = 0;
	ssize_t length;

	getsockopt(fd, SOL_SOCKET, SO_PASSCRED, &tells, &size);
	less.msg_controllen = tells ? CMSG_SPACE(sizeof(struct ucred)) : 0;
	if (less.msg_controllen > message->msg_controllen)
		less.msg_controllen = message->msg_controllen;
	length = recvmsg(fd, &less, (int)call->args[2]);
	if (length < 0)
		return -errno;
	message->msg_controllen = less.msg_controllen;
	message->msg_flags = less.msg_flags;
	return length;
}

static void strike(const struct seccomp_notif *seen, struct seccomp_notif_resp *answer,
		   const struct failing *row)
{
	const struct failure *how = &row->how[order.choice % report.choices];
	bool ours = is_ours((pid_t)seen->pid);
	int64_t length;

	report.name = row->name;
	report.how = how->name;
	report.err = how->err;
	answer->flags = 0;
	answer->error = -how->err;
	if (row->call == SYS_close && ours)
		close((int)seen->data.args[0]); /* it is closed in any case */
	if (how->err != CUT)
		return;
	length = ours ? receive_cut(&seen->data) : -ENOMEM;
	answer->error = length < 0 ? (int)length : 0;
	answer->val = length < 0 ? 0 : length;
}

#ifdef PEAL_SANITIZER
/* Its own calls are made in its own text, which is in this program. */
extern const char __executable_start, etext;
static bool is_of_library(const struct seccomp_data *call)
{
	uint64_t at = call->instruction_pointer;

	return at < (uint64_t)(uintptr_t)&__executable_start || at >= (uint64_t)(uintptr_t)&etext;
}
#else
static bool is_of_library(const struct seccomp_data *call)
{
	(void)call;
	return true;
}
#endif

static void decide(const struct seccomp_notif *seen, struct seccomp_notif_resp *answer)
{
	const struct failing *row;
	uint64_t arguments[6];
	unsigned choices = 0;

	if (!is_armed() || order.memory || !is_of_library(&seen->data) ||
	    ((pid_t)seen->pid == __atomic_load_n(&subject, __ATOMIC_ACQUIRE)) == order.others)
		return;
	for (int i = 0; i < 6; i++)
		arguments[i] = seen->data.args[i];
	row = failing_find(seen->data.nr, arguments);
	if (!row) {
		report.unknown = seen->data.nr;
		return;
	}
	while (row->how[choices].err)
		choices++;
	if (choices && is_the_one(choices))
		strike(seen, answer, row);
}

/* ioctl; the type of its second argument is another one in each C library. */
static long control(int fd, unsigned long what, unsigned long with)
{
	return syscall(SYS_ioctl, fd, what, with);
}

static void *watch(void *data)
{
	int fd;

	role = ROLE_FREE;
	while ((fd = __atomic_load_n(&listener, __ATOMIC_ACQUIRE)) < 0)
		sched_yield();
	/* Linux 6.6: who is woken need not wait for another CPU. */
	control(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	for (;;) {
		struct seccomp_notif seen;
		struct seccomp_notif_resp answer;

		memset(&seen, 0, sizeof(seen));
		memset(&answer, 0, sizeof(answer));
		if (control(fd, SECCOMP_IOCTL_NOTIF_RECV, (unsigned long)&seen)) {
			if (errno == EINTR || errno == ENOENT)
				continue; /* who called is no more */
			return data;
		}
		answer.id = seen.id;
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		decide(&seen, &answer);
		control(fd, SECCOMP_IOCTL_NOTIF_SEND, (unsigned long)&answer);
	}
}

void trap_exempt(void)
{
	role = ROLE_FREE;
}

const char *trap_begin(void)
{
	pthread_t thread;

	role = ROLE_FREE;
	return pthread_create(&thread, NULL, watch, NULL) ? "there is no thread for it" : NULL;
}

const char *trap_enter(void)
{
	struct sock_filter lines[] = {
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	};
	struct sock_fprog program = { .len = 1, .filter = lines };
	int fd;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return "no_new_privs cannot be set";
	__atomic_store_n(&subject, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	role = ROLE_SUBJECT;
	fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			  &program);
	if (fd < 0)
		return "seccomp has no user notification (Linux 5.5), or none for us";
	__atomic_store_n(&listener, fd, __ATOMIC_RELEASE);
	return NULL;
}

void trap_arm(const struct trap_order *what)
{
	order = *what;
	report = (struct trap_report){ .unknown = -1 };
	__atomic_store_n(&paused, false, __ATOMIC_RELEASE);
	__atomic_store_n(&armed, true, __ATOMIC_RELEASE);
}

void trap_pause(void)
{
	__atomic_store_n(&paused, true, __ATOMIC_RELEASE);
}

void trap_resume(void)
{
	__atomic_store_n(&paused, false, __ATOMIC_RELEASE);
}

struct trap_report trap_look(void)
{
	return report;
}

struct trap_report trap_disarm(void)
{
	__atomic_store_n(&armed, false, __ATOMIC_RELEASE);
	return report;
}

/*
 * Allocations.
 */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *at, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_realpath(const char *path, char *resolved);
void __real_free(void *at);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *at, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_realpath(const char *path, char *resolved);
void __wrap_free(void *at);

static bool fails(const char *name)
{
	if (role == ROLE_FREE || !is_armed() || !order.memory ||
	    (role == ROLE_SUBJECT) == order.others || !is_the_one(1))
		return false;
	report.name = name;
	report.how = "ENOMEM";
	report.err = ENOMEM;
	errno = ENOMEM;
	return true;
}

static void *counted(void *at)
{
	if (at)
		__atomic_add_fetch(&blocks, 1, __ATOMIC_RELAXED);
	return at;
}

void *__wrap_malloc(size_t size)
{
	return fails("malloc") ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails("calloc") ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *at, size_t size)
{
	if (fails("realloc"))
		return NULL;
	return at ? __real_realloc(at, size) : counted(__real_realloc(NULL, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails("aligned_alloc") ? NULL : counted(__real_aligned_alloc(alignment, size));
}

char *__wrap_realpath(const char *path, char *resolved)
{
	return fails("realpath") ? NULL : counted(__real_realpath(path, resolved));
}

void __wrap_free(void *at)
{
	if (at)
		__atomic_sub_fetch(&blocks, 1, __ATOMIC_RELAXED);
	__real_free(at);
}

long trap_blocks(void)
{
	return __atomic_load_n(&blocks, __ATOMIC_RELAXED);
}
