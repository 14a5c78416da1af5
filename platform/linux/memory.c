/*
 * SPDX-License-Identifier: MIT
 *
 * Linux memory that two processes share: sealed memfds, and mapping a data area twice. It knows
 * nothing of what is kept in them.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#ifdef HAVE_LIBCAP
#include <sys/capability.h>
#endif

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

#ifndef MFD_HUGETLB
#define MFD_HUGETLB 0x0004U
#endif
#ifndef HUGETLB_FLAG_ENCODE_SHIFT
#define HUGETLB_FLAG_ENCODE_SHIFT 26
#endif

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define STEP ((uint64_t)1 << 20)

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

static int create(uint64_t size, uint64_t unit)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	struct rlimit limit;
	int err, fd;

	if (unit > platform_page_size())
		flags |= MFD_HUGETLB | (unsigned)__builtin_ctzll(unit) << HUGETLB_FLAG_ENCODE_SHIFT;
	fd = memfd_create("peal", flags | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create("peal", flags);
	if (fd < 0)
		return -errno;
	if (!getrlimit(RLIMIT_FSIZE, &limit) && size > limit.rlim_cur)
		err = -EFBIG; /* or the kernel would end the process, with SIGXFSZ */
	else if (unit == platform_page_size() && size <= STEP)
		err = 0; /* one step fills it, and gives it its size as well */
	else
		err = ftruncate(fd, (off_t)size) ? -errno : 0;
	if (err)
		close(fd);
	return err ? err : fd;
}

static int fill(int fd, uint64_t size, uint64_t unit)
{
	/* In steps: a signal undoes a whole step, and with a timer running a long one never
	 * ends. */
	uint64_t step = unit > STEP ? unit : STEP;
	int err;

	for (uint64_t at = 0; at < size; at += step) {
		do
			err = fallocate(fd, 0, (off_t)at,
					(off_t)(size - at < step ? size - at : step));
		while (err && errno == EINTR);
		if (err)
			return -errno;
	}
	return 0;
}

static int seal(int fd, uint64_t unit)
{
	void *map;

	if (fcntl(fd, F_ADD_SEALS, SEALS))
		return -errno;
	if (unit == platform_page_size())
		return 0; /* usable() has seen that the kernel means it */
	/* Before Linux 5.13 it did not, with huge pages. */
	map = mmap(NULL, unit, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (map == MAP_FAILED)
		return errno == EPERM ? 0 : -errno;
	munmap(map, unit);
	return -ENOSYS;
}

/* There is a cachestat, and it is allowed: found out when memory is tried out. Atomic, and relaxed:
 * it stands for nothing but itself. */
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

/*
 * Huge pages are not counted by cachestat, and blocks count beyond the end of file here too. But
 * they are nothing else than pages: who has touched each in a mapping, which fills holes (from our
 * pool), sees more blocks than there should be if there was a hole.
 */
static int prove_huge(int fd, const struct stat *status, uint64_t unit)
{
	struct statfs system;

	if (fstatfs(fd, &system))
		return -EIO;
	if (system.f_type != HUGETLBFS_MAGIC || (uint64_t)system.f_bsize != unit)
		return -EMEDIUMTYPE;
	return (uint64_t)status->st_blocks * 512 == (uint64_t)status->st_size ? 0 : -EFAULT;
}

/* Whether its mappings must be whole huge pages, although its owner said nothing of them. What says
 * that it has plain ones need not be asked twice; and where nobody may ask, all_cached() finds
 * nothing in huge ones. */
static bool is_huge(int fd, const struct stat *status)
{
	struct statfs system;

	if ((uint64_t)status->st_blksize <= platform_page_size())
		return false;
	if (fstatfs(fd, &system))
		return !__atomic_load_n(&can_count, __ATOMIC_RELAXED);
	return system.f_type == HUGETLBFS_MAGIC;
}

static int prove(int fd, uint64_t size, uint64_t unit)
{
	/* The seals first: no file system answers this call, so a silent FUSE daemon cannot hold
	 * us. */
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat status;

	if (seals < 0 || (seals & SEALS) != SEALS)
		return -EPERM;
	if (fstat(fd, &status))
		return -EIO; /* whatever the reason: nothing is known of it */
	if (status.st_size < 0 || (uint64_t)status.st_size != size)
		return -ERANGE;
	if (unit != platform_page_size())
		return prove_huge(fd, &status, unit);
	if (is_huge(fd, &status))
		return -EMEDIUMTYPE;
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
	int fd = create(page, page);
	void *own = MAP_FAILED, *other = MAP_FAILED;
	bool fits = false;

	*why = "no memfd_create, ftruncate or fallocate: have a filter (seccomp) allow them, or "
	       "free memory";
	if (fd < 0)
		return false;
	if (fill(fd, page, page))
		goto out;
	own = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	*why = "a memfd could not be mapped: have a filter (seccomp) allow mmap, or free memory";
	if (own == MAP_FAILED)
		goto out;
	*why = "no F_SEAL_FUTURE_WRITE: Linux 5.1 or newer has it, and allows fcntl (seccomp)";
	if (seal(fd, page))
		goto out;
	*why = "a sealed memfd could still be mapped for writing";
	other = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (other != MAP_FAILED)
		goto out;
	*why = "a sealed memfd could not be proved: have a filter (seccomp) allow fstat";
	__atomic_store_n(&can_count, all_cached(fd, page, false), __ATOMIC_RELAXED);
	if (prove(fd, page, page))
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

/*
 * Nodes, by the system calls themselves: three of them need no library, which would look at the
 * whole machine at the start of every process that Peal is linked to.
 */

#define NODES 1024

int platform_prefer_node(uint8_t *at, uint64_t size, uint32_t node)
{
	unsigned long mask[NODES / (8 * sizeof(unsigned long))] = { 0 };
	const unsigned bits = 8 * sizeof(mask[0]);

	if (node >= NODES)
		return -EINVAL;
	mask[node / bits] = 1ul << node % bits;
	return syscall(SYS_mbind, at, size, MPOL_PREFERRED, mask, NODES + 1ul, 0) ? -errno : 0;
}

int platform_node(const uint8_t *at)
{
	int node;

	return syscall(SYS_get_mempolicy, &node, NULL, 0, at, MPOL_F_NODE | MPOL_F_ADDR) ? -errno :
											   node;
}

/*
 * Locked memory.
 */

int platform_lock_memory(const uint8_t *at, uint64_t size)
{
	return mlock(at, size) ? -errno : 0;
}

uint64_t platform_lock_limit(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_MEMLOCK, &limit) ? 0 : limit.rlim_cur;
}

int platform_lock_capability(const char **name)
{
	*name = "CAP_IPC_LOCK";
#ifdef HAVE_LIBCAP
	cap_flag_value_t has = CAP_CLEAR;
	cap_t mine = cap_get_proc();
	int err = !mine || cap_get_flag(mine, CAP_IPC_LOCK, CAP_EFFECTIVE, &has);

	if (mine)
		cap_free(mine);
	return err ? -ENOSYS : has == CAP_SET;
#else
	return -ENOSYS;
#endif
}

/*
 * Huge pages.
 */

uint64_t platform_huge_size(void)
{
	/* A page full of entries of 8 bytes, each for a page. */
	return platform_page_size() / 8 * platform_page_size();
}

/* The first line of a file; false: it cannot be read. */
static bool read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "re");
	bool told = file && fgets(line, size, file);

	if (file)
		fclose(file);
	return told;
}

int64_t platform_huge_left(uint64_t unit)
{
	unsigned long long kib = unit >> 10;
	char path[96], unused[32], reserved[32];
	int64_t left;

	snprintf(path, sizeof(path), PLATFORM_HUGE_POOL "free_hugepages", kib);
	if (!read_line(path, unused, sizeof(unused)))
		return -ENOENT;
	snprintf(path, sizeof(path), PLATFORM_HUGE_POOL "resv_hugepages", kib);
	if (!read_line(path, reserved, sizeof(reserved)))
		return -ENOENT;
	left = strtoll(unused, NULL, 10) - strtoll(reserved, NULL, 10);
	return left > 0 ? left : 0; /* the two were not read at once */
}

#define TRANSPARENT "/sys/kernel/mm/transparent_hugepage/"

static const char *no_transparent; /* why not; NULL: there are some */

static void look_for_transparent(void)
{
	char path[128], line[128] = "";

	/* Since Linux 6.11 each size has its own word, which may be to inherit the common one. */
	snprintf(path, sizeof(path), TRANSPARENT "hugepages-%llukB/shmem_enabled",
		 (unsigned long long)(platform_huge_size() >> 10));
	if (!read_line(path, line, sizeof(line)) || strstr(line, "[inherit]")) {
		if (!read_line(TRANSPARENT "shmem_enabled", line, sizeof(line)))
			no_transparent = "this system tells of no transparent huge pages";
	}
	if (strstr(line, "[never]") || strstr(line, "[deny]"))
		no_transparent =
			"transparent huge pages are off for shared memory: write \"advise\" "
			"to " TRANSPARENT "shmem_enabled";
}

bool platform_transparent(const char **why)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, look_for_transparent);
	*why = no_transparent;
	return !no_transparent;
}

void platform_want_transparent(uint8_t *at, uint64_t size)
{
	madvise(at, size, MADV_HUGEPAGE);
}

int64_t platform_transparent_bytes(const uint8_t *at)
{
	static const char field[] = "ShmemPmdMapped:";
	FILE *file = fopen("/proc/self/smaps", "re");
	char line[512], start[32];
	int64_t bytes = -ENOENT;
	bool found = false;

	if (!file)
		return -errno;
	snprintf(start, sizeof(start), "%lx-", (unsigned long)(uintptr_t)at);
	while (bytes < 0 && fgets(line, sizeof(line), file)) {
		if (!found)
			found = !strncmp(line, start, strlen(start));
		else if (!strncmp(line, field, strlen(field)))
			bytes = strtoll(line + strlen(field), NULL, 10) * 1024;
	}
	fclose(file);
	return bytes;
}

static const struct peal_memory_ops memfd = {
	.name = "memfd",
	.sealed = true,
	.usable = usable,
	.create = create,
	.fill = fill,
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

/* What both ways of mapping have in common. */
static int settle(uint8_t *map, uint64_t page, uint64_t capacity, bool writable)
{
	uint64_t size = page + 2 * capacity;

	if (madvise(map, size, MADV_DONTFORK))
		return map_error();
	/* Core dumps hold one copy of what is ours, and nothing of the peer's. Not to be had is no
	 * reason to fail. */
	if (!writable)
		madvise(map, size, MADV_DONTDUMP);
	else if (capacity)
		madvise(map + page + capacity, capacity, MADV_DONTDUMP);
	return 0;
}

/*
 * The second mapping of the data first, and the rest right below it, where the kernel mostly has
 * room: nothing is mapped twice and cut, which is half of the cost. NULL: something is there.
 */
static uint8_t *map_below(int fd, uint64_t page, uint64_t capacity, int protection)
{
	uint8_t *second = mmap(NULL, capacity, protection, MAP_SHARED | MAP_NORESERVE, fd,
			       (off_t)page);
	uint8_t *want = second - capacity - page, *map;

	if (second == MAP_FAILED)
		return NULL;
	map = mmap(want, page + capacity, protection,
		   MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_NORESERVE, fd, 0);
	if (map == want)
		return map;
	if (map != MAP_FAILED) /* before Linux 4.17 it was a wish */
		munmap(map, page + capacity);
	munmap(second, capacity);
	return NULL;
}

int platform_map(int fd, uint64_t page, uint64_t capacity, bool writable, uint8_t **at)
{
	uint64_t size = page + 2 * capacity;
	int protection = PROT_READ | (writable ? PROT_WRITE : 0);
	uint8_t *map = capacity ? map_below(fd, page, capacity, protection) : NULL;
	bool whole = map != NULL;
	int err = 0;

	/* Else the first mapping reserves the range of the second, which is laid over its end. */
	if (!whole)
		map = mmap(NULL, size, protection, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (map == MAP_FAILED)
		return map_error();
	if (capacity && !whole &&
	    mmap(map + page + capacity, capacity, protection,
		 MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, (off_t)page) == MAP_FAILED)
		err = map_error();
	if (!err)
		err = settle(map, page, capacity, writable);
	if (err)
		munmap(map, size);
	else
		*at = map;
	return err;
}

/* Maps an object at an address, instead of what is there. */
static bool lay(uint8_t *at, uint64_t size, int fd, int protection)
{
	return mmap(at, size, protection, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0) !=
	       MAP_FAILED;
}

int platform_map_apart(int fd, int data_fd, uint64_t page, uint64_t capacity, uint64_t align,
		       bool writable, uint8_t **at)
{
	uint64_t size = page + 2 * capacity, reserve = size + align, before;
	int protection = PROT_READ | (writable ? PROT_WRITE : 0);
	uint8_t *map = NULL, *data;
	int err = platform_set_aside(reserve, &map);

	if (err)
		return err;
	/* The first multiple of align with room for the page before it. */
	data = map + page;
	data += -(uintptr_t)data & (align - 1);
	before = (uint64_t)(data - page - map);
	if (before)
		munmap(map, before);
	if (reserve - before > size)
		munmap(data + 2 * capacity, reserve - before - size);
	map = data - page;
	if (!lay(map, page, fd, protection) || !lay(data, capacity, data_fd, protection) ||
	    !lay(data + capacity, capacity, data_fd, protection))
		err = map_error();
	if (!err)
		err = settle(map, page, capacity, writable);
	if (err)
		munmap(map, size);
	else
		*at = map;
	return err;
}

int platform_populate(uint8_t *at, uint64_t size, bool writable)
{
	int err;

	do
		err = madvise(at, size, writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
	while (err && errno == EINTR);
	return err ? -errno : 0;
}

int platform_touch(const uint8_t *at)
{
	static const struct timespec none;

	/* Whatever the word is, this ends at once; but it is compared first. Who populates by
	 * advice (Linux 5.14) may be told that he has, and has not: by qemu-user, which gives no
	 * advice. */
	if (!syscall(SYS_futex, at, FUTEX_WAIT, 0, &none, NULL, 0) || errno == EAGAIN ||
	    errno == ETIMEDOUT || errno == EINTR)
		return 0;
	return -errno;
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
