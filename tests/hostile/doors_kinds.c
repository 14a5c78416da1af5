/*
 * SPDX-License-Identifier: MIT
 *
 * What a stranger may hand over. See doors_kinds.h.
 */
#include "config.h"

#include "tests/hostile/doors_kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "tests/unit/stage.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

/*
 * Goods: each makes a descriptor of something, which is to have this size if it has any. -1: there
 * is none here.
 */

static int socket_of(int type)
{
	return socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
}

static int unix_socket(off_t size)
{
	(void)size;
	return socket_of(SOCK_SEQPACKET);
}

static int listening_socket(off_t size)
{
	static const struct sockaddr any = { .sa_family = AF_UNIX };
	int fd = socket_of(SOCK_STREAM);

	(void)size;
	ck_assert(!bind(fd, &any, sizeof(sa_family_t)) && !listen(fd, 1));
	return fd;
}

static int directory(off_t size)
{
	(void)size;
	return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int zeros(off_t size)
{
	(void)size;
	return open("/dev/zero", O_RDWR | O_CLOEXEC);
}

static int nothing(off_t size)
{
	(void)size;
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int pipe_end(int which)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	close(ends[!which]);
	return ends[which];
}

static int pipe_to_read(off_t size)
{
	(void)size;
	return pipe_end(0);
}

static int pipe_to_write(off_t size)
{
	(void)size;
	return pipe_end(1);
}

static int poller(off_t size)
{
	(void)size;
	return epoll_create1(EPOLL_CLOEXEC);
}

static int process(off_t size)
{
	(void)size;
	return (int)syscall(SYS_pidfd_open, getpid(), 0);
}

static int path_alone(off_t size)
{
	(void)size;
	return open("/", O_PATH | O_CLOEXEC);
}

static int file_in(const char *folder, off_t size)
{
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		ck_assert_int_eq(posix_fallocate(fd, 0, size), 0);
	return fd;
}

static int regular_file(off_t size)
{
	return file_in("/tmp", size);
}

/* On the same file system as memfds. */
static int file_in_memory(off_t size)
{
	return file_in("/dev/shm", size);
}

static int event_counter(off_t size)
{
	(void)size;
	return eventfd(0, EFD_CLOEXEC);
}

static int timer(off_t size)
{
	(void)size;
	return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
}

static int signals(off_t size)
{
	sigset_t set;

	(void)size;
	sigemptyset(&set);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int watcher(off_t size)
{
	(void)size;
	return inotify_init1(IN_CLOEXEC);
}

static int own_memory(off_t size)
{
	(void)size;
	return open("/proc/self/mem", O_RDWR | O_CLOEXEC);
}

static int secret_memory(off_t size)
{
	int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);

	if (fd >= 0)
		ck_assert_int_eq(ftruncate(fd, size), 0);
	return fd;
}

static int memory_of(off_t size, bool whole, unsigned flags, int seals)
{
	int fd = memfd_create("stranger", MFD_CLOEXEC | flags);

	if (fd < 0)
		return fd;
	if (whole)
		ck_assert_int_eq(fallocate(fd, 0, 0, size), 0);
	else
		ck_assert_int_eq(ftruncate(fd, size), 0);
	if (seals)
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

int goods_memory(off_t size, int seals)
{
	return memory_of(size, true, MFD_ALLOW_SEALING, seals);
}

static int unsealed(off_t size)
{
	return goods_memory(size, 0);
}

static int unsealable(off_t size)
{
	return memory_of(size, true, 0, 0);
}

static int may_shrink(off_t size)
{
	return goods_memory(size, ALL_SEALS & ~F_SEAL_SHRINK);
}

static int may_grow(off_t size)
{
	return goods_memory(size, ALL_SEALS & ~F_SEAL_GROW);
}

static int may_be_written(off_t size)
{
	return goods_memory(size, ALL_SEALS & ~F_SEAL_FUTURE_WRITE);
}

static int may_be_sealed_more(off_t size)
{
	return goods_memory(size, ALL_SEALS & ~F_SEAL_SEAL);
}

static int too_small(off_t size)
{
	return goods_memory(size - (off_t)stage_page(), ALL_SEALS);
}

static int a_byte_less(off_t size)
{
	return goods_memory(size - 1, ALL_SEALS);
}

static int too_large(off_t size)
{
	return goods_memory(size + (off_t)stage_page(), ALL_SEALS);
}

static int a_byte_more(off_t size)
{
	return goods_memory(size + 1, ALL_SEALS);
}

static int much_too_large(off_t size)
{
	(void)size;
	return memory_of((off_t)1 << 30, false, MFD_ALLOW_SEALING, ALL_SEALS);
}

static int empty(off_t size)
{
	(void)size;
	return memory_of(0, false, MFD_ALLOW_SEALING, ALL_SEALS);
}

static int sparse(off_t size)
{
	return memory_of(size, false, MFD_ALLOW_SEALING, ALL_SEALS);
}

/* The blocks are there, but behind its end: as many as it should have. */
static int sparse_with_blocks_behind(off_t size)
{
	int fd = memory_of(size, false, MFD_ALLOW_SEALING, 0);

	ck_assert_int_eq(fallocate(fd, FALLOC_FL_KEEP_SIZE, size, size), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, ALL_SEALS), 0);
	return fd;
}

/* No page of the pool is taken for it, and none need be there. */
int goods_huge_holes(off_t size)
{
	(void)size;
	return memory_of(2 << 20, false, MFD_ALLOW_SEALING | MFD_HUGETLB, ALL_SEALS);
}

/* Another descriptor of it, opened so. */
int goods_sealed_and_opened(off_t size, int how)
{
	int again, fd = goods_memory(size, 0);
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, how | O_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, ALL_SEALS), 0);
	close(fd);
	return again;
}

static int for_writing_alone(off_t size)
{
	return goods_sealed_and_opened(size, O_WRONLY);
}

static int path_of_memory(off_t size)
{
	return goods_sealed_and_opened(size, O_PATH);
}

const struct goods goods[] = {
	{ "a socket", unix_socket, "not sealed", "sealed" },
	{ "a listening socket", listening_socket, "not sealed", "sealed" },
	{ "a directory", directory, "not sealed", "sealed" },
	{ "/dev/zero", zeros, "not sealed", "sealed" },
	{ "/dev/null", nothing, "not sealed", "sealed" },
	{ "a pipe's end", pipe_to_read, "not sealed", "sealed" },
	{ "a pipe's other end", pipe_to_write, "not sealed", "sealed" },
	{ "an epoll", poller, "not sealed", "sealed" },
	{ "a pidfd", process, "not sealed", "sealed" },
	{ "a path alone", path_alone, "not sealed", "sealed" },
	{ "a file", regular_file, "not sealed", "sealed" },
	{ "a file in memory", file_in_memory, "not sealed", "sealed" },
	{ "an eventfd", event_counter, "not sealed", "sealed" },
	{ "a timer", timer, "not sealed", "sealed" },
	{ "signals", signals, "not sealed", "sealed" },
	{ "a watcher", watcher, "not sealed", "sealed" },
	{ "/proc/self/mem", own_memory, "not sealed", "sealed" },
	{ "secret memory", secret_memory, "not sealed", "sealed" },
	{ "unsealed memory", unsealed, "not sealed", "sealed" },
	{ "memory that cannot be sealed", unsealable, "not sealed", "sealed" },
	{ "memory that may shrink", may_shrink, "not sealed", "sealed" },
	{ "memory that may grow", may_grow, "not sealed", "sealed" },
	{ "memory that may be written", may_be_written, "not sealed", "sealed" },
	{ "memory that may be sealed more", may_be_sealed_more, "not sealed", "sealed" },
	{ "too little memory", too_small, "another size", "as long" },
	{ "a byte less", a_byte_less, "another size", "as long" },
	{ "too much memory", too_large, "another size", "as long" },
	{ "a byte more", a_byte_more, "another size", "as long" },
	{ "a GiB", much_too_large, "another size", "as long" },
	{ "no memory", empty, "another size", "as long" },
	{ "holes", sparse, "sparse", "holes" },
	{ "holes, and blocks behind them", sparse_with_blocks_behind, "sparse", "holes" },
	{ "huge holes", goods_huge_holes, "size", "as long" },
	{ "memory for writing alone", for_writing_alone, "may not be read", "may not be read" },
	{ "the path of memory", path_of_memory, "not sealed", "sealed" },
};

_Static_assert(sizeof(goods) / sizeof(goods[0]) == GOODS, "all of them");
