/*
 * SPDX-License-Identifier: MIT
 *
 * Linux memory that two processes share: sealed memfds, and mapping a data area twice. It knows
 * nothing of what is kept in them.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/platform.h"

/* Newer than the oldest headers that we build with. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define STEP ((uint64_t)1 << 20)

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

static int create(uint64_t size)
{
	struct rlimit limit;
	int err, fd = memfd_create("peal", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create("peal", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (!getrlimit(RLIMIT_FSIZE, &limit) && size > limit.rlim_cur) {
		close(fd); /* or the kernel would end the process, with SIGXFSZ */
		return -EFBIG;
	}
	/* In steps: a signal undoes a whole step, and with a timer running a long one never
	 * ends. */
	for (uint64_t at = 0; at < size; at += STEP) {
		do
			err = fallocate(fd, 0, (off_t)at,
					(off_t)(size - at < STEP ? size - at : STEP));
		while (err && errno == EINTR);
		if (err) {
			err = -errno;
			close(fd);
			return err;
		}
	}
	return fd;
}

static int seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, SEALS) ? -errno : 0;
}

/* There is a cachestat, and it is allowed: found out when memory is tried out. */
static bool can_count;

/*
 * Whether all of the first size bytes of a memfd are there. st_blocks alone does not tell: it
 * counts blocks beyond the end of file too, which can be given back. Before Linux 6.5 it has to do.
 */
static bool all_cached(int fd, uint64_t size, bool may_be_forbidden)
{
	struct {
		uint64_t offset, length;
	} range = { 0, size };
	struct {
		uint64_t cached, dirty, writeback, evicted, recently_evicted;
	} pages = { 0 };

	if (syscall(SYS_cachestat, fd, &range, &pages, 0))
		return may_be_forbidden && (errno == ENOSYS || errno == EPERM || errno == EACCES);
	/* What was swapped out counts as evicted. */
	return (pages.cached + pages.evicted) * platform_page_size() >= size;
}

static int prove(int fd, uint64_t size)
{
	/* The seals first: no file system answers this call, so a silent FUSE daemon cannot hold
	 * us. */
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat status;

	if (seals < 0 || (seals & SEALS) != SEALS)
		return -EPERM;
	if (fstat(fd, &status))
		return -errno;
	if (status.st_size < 0 || (uint64_t)status.st_size != size)
		return -ERANGE;
	if ((uint64_t)status.st_blocks * 512 < size)
		return -EFAULT;
	if (__atomic_load_n(&can_count, __ATOMIC_RELAXED) && !all_cached(fd, size, true))
		return -EFAULT;
	return 0;
}

/* Makes one, seals it, and sees that the kernel means it. */
static bool usable(const char **why)
{
	uint64_t page = platform_page_size();
	int fd = create(page);
	void *own = MAP_FAILED, *other = MAP_FAILED;
	bool fits = false;

	*why = "no memfd_create or fallocate: have a filter (seccomp) allow both, or free memory";
	if (fd < 0)
		return false;
	own = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	*why = "a memfd could not be mapped: have a filter (seccomp) allow mmap, or free memory";
	if (own == MAP_FAILED)
		goto out;
	*why = "no F_SEAL_FUTURE_WRITE: Linux 5.1 or newer has it, and allows fcntl (seccomp)";
	if (seal(fd))
		goto out;
	*why = "a sealed memfd could still be mapped for writing";
	other = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (other != MAP_FAILED)
		goto out;
	*why = "a sealed memfd could not be proved: have a filter (seccomp) allow fstat";
	__atomic_store_n(&can_count, all_cached(fd, page, false), __ATOMIC_RELAXED);
	if (prove(fd, page))
		goto out;
	*why = "sealed: only its owner can write it";
	fits = true;
out:
	if (other != MAP_FAILED)
		munmap(other, page);
	if (own != MAP_FAILED)
		munmap(own, page);
	close(fd);
	return fits;
}

static const struct peal_memory_ops memfd = {
	.name = "memfd",
	.sealed = true,
	.usable = usable,
	.create = create,
	.seal = seal,
	.prove = prove,
};

const struct peal_memory_ops *const platform_memory_ops[] = { &memfd, NULL };

uint64_t platform_page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* EAGAIN, with all memory locked and no more allowed, would be taken for "not yet". */
static int map_error(void)
{
	return errno == EAGAIN ? -ENOMEM : -errno;
}

int platform_map(int fd, uint64_t page, uint64_t capacity, bool writable, bool prefault,
		 uint8_t **at)
{
	uint64_t size = page + 2 * capacity;
	int protection = PROT_READ | (writable ? PROT_WRITE : 0);
	uint8_t *map;
	int err;

	/* The first mapping reserves the range of the second, which is laid over its end. */
	map = mmap(NULL, size, protection, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (map == MAP_FAILED)
		return map_error();
	if (capacity && mmap(map + page + capacity, capacity, protection,
			     MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, (off_t)page) == MAP_FAILED)
		goto fail;
	if (madvise(map, size, MADV_DONTFORK))
		goto fail;
	/* Core dumps hold one copy of what is ours, and nothing of the peer's. Not to be had is no
	 * reason to fail. */
	if (!writable)
		madvise(map, size, MADV_DONTDUMP);
	else if (capacity)
		madvise(map + page + capacity, capacity, MADV_DONTDUMP);
	if (prefault && madvise(map, size, writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ)) {
		/* Before Linux 5.14: read each page. */
		for (uint64_t i = 0; i < size; i += page)
			__atomic_load_n(&map[i], __ATOMIC_RELAXED);
	}
	*at = map;
	return 0;
fail:
	err = map_error();
	munmap(map, size);
	return err;
}

void platform_unmap(uint8_t *at, uint64_t page, uint64_t capacity)
{
	munmap(at, page + 2 * capacity);
}

int platform_set_aside(uint64_t size, uint8_t **at)
{
	uint64_t page = platform_page_size();
	uint8_t *map = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			    0);
	uint8_t *grown;
	int err;

	if (map == MAP_FAILED)
		return map_error();
	/* After mlockall(MCL_FUTURE) a mapping is born locked: it would count whole against the
	 * limit, and be filled as it is used, and nothing of it could be given back. So a page is
	 * born, let loose, and grows. */
	munlock(map, page);
	grown = mremap(map, page, size, MREMAP_MAYMOVE);
	if (grown == MAP_FAILED) {
		err = map_error();
		munmap(map, page);
		return err;
	}
	if (madvise(grown, size, MADV_DONTFORK)) {
		err = map_error();
		munmap(grown, size);
		return err;
	}
	*at = grown;
	return 0;
}

int platform_use(uint8_t *at, uint64_t size)
{
	return mprotect(at, size, PROT_READ | PROT_WRITE) ? map_error() : 0;
}

void platform_give_back(uint8_t *at, uint64_t size)
{
	madvise(at, size, MADV_DONTNEED);
}

void platform_take_down(uint8_t *at, uint64_t size)
{
	munmap(at, size);
}
