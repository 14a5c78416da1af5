/*
 * SPDX-License-Identifier: MIT
 *
 * Loaded before the C library (LD_PRELOAD), this makes a program believe that pages have 64 KiB, as
 * on some arm64 kernels: it is told so, its mappings begin where such pages do, and the calls that
 * deal in pages refuse what such a kernel refuses. What is shorter than a page is mapped as it is.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE ((uintptr_t)65536)
#define PUBLIC __attribute__((visibility("default")))

static bool odd(uintptr_t at)
{
	return at % PAGE != 0;
}

static int refuse(void)
{
	errno = EINVAL;
	return -1;
}

/* So many bytes of address space where a page begins; MAP_FAILED if there are none. They are not
 * locked, whatever else is: they grow out of a page that has been let loose. */
static void *find_room(size_t size)
{
	uintptr_t whole = (size + PAGE - 1) & ~(PAGE - 1), at;
	long page = syscall(SYS_mmap, NULL, PAGE, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	long got;

	if (page == -1)
		return MAP_FAILED;
	syscall(SYS_munlock, page, PAGE);
	got = syscall(SYS_mremap, page, PAGE, whole + PAGE, MREMAP_MAYMOVE);
	if (got == -1) {
		syscall(SYS_munmap, page, PAGE);
		return MAP_FAILED;
	}
	at = ((uintptr_t)got + PAGE - 1) & ~(PAGE - 1);
	if (at > (uintptr_t)got)
		syscall(SYS_munmap, got, at - (uintptr_t)got);
	if ((uintptr_t)got + PAGE > at)
		syscall(SYS_munmap, at + whole, (uintptr_t)got + PAGE - at);
	return (void *)at;
}

PUBLIC long sysconf(int name)
{
	long (*real)(int) = (long (*)(int))(uintptr_t)dlsym(RTLD_NEXT, "sysconf");

	return name == _SC_PAGESIZE ? (long)PAGE : real(name);
}

PUBLIC void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	long got;

	if (odd((uintptr_t)offset) || ((flags & MAP_FIXED) && odd((uintptr_t)at))) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	if (!(flags & MAP_FIXED)) {
		at = find_room(size);
		if (at == MAP_FAILED)
			return at;
	}
	got = syscall(SYS_mmap, at, size, protection, flags | MAP_FIXED, fd, offset);
	if (got == -1 && !(flags & MAP_FIXED)) {
		int err = errno;

		munmap(at, size);
		errno = err;
	}
	return got == -1 ? MAP_FAILED : (void *)(uintptr_t)got;
}

/* A page is gone whole. */
PUBLIC int munmap(void *at, size_t size)
{
	return odd((uintptr_t)at) ? refuse() :
				    (int)syscall(SYS_munmap, at, (size + PAGE - 1) & ~(PAGE - 1));
}

PUBLIC void *mremap(void *at, size_t size, size_t wanted, int flags, ...)
{
	void *to;
	long got;

	if (odd((uintptr_t)at) || flags != MREMAP_MAYMOVE) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	to = find_room(wanted);
	if (to == MAP_FAILED)
		return to;
	got = syscall(SYS_mremap, at, size, wanted, flags | MREMAP_FIXED, to);
	return got == -1 ? MAP_FAILED : (void *)(uintptr_t)got;
}

PUBLIC int mprotect(void *at, size_t size, int protection)
{
	return odd((uintptr_t)at) ? refuse() : (int)syscall(SYS_mprotect, at, size, protection);
}

PUBLIC int madvise(void *at, size_t size, int advice)
{
	return odd((uintptr_t)at) ? refuse() : (int)syscall(SYS_madvise, at, size, advice);
}

PUBLIC int mincore(void *at, size_t size, unsigned char *there)
{
	if (odd((uintptr_t)at))
		return refuse();
	for (size_t i = 0; i * PAGE < size; i++) {
		size_t rest = size - i * PAGE;
		unsigned char parts[16] = { 0 }; /* of 4 KiB, or fewer larger ones */

		if (syscall(SYS_mincore, (char *)at + i * PAGE, rest < PAGE ? rest : PAGE, parts))
			return -1;
		there[i] = 0;
		for (size_t k = 0; k < sizeof(parts); k++)
			there[i] |= parts[k] & 1;
	}
	return 0;
}
