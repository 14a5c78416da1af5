/*
 * SPDX-License-Identifier: MIT
 *
 * A page that is never delivered. See userfault.h.
 */
#include "config.h"

#include "tests/hostile/userfault.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/runner.h"

/* ioctl; the type of its second argument is another one in each C library. */
static long control(int fd, unsigned long what, void *with)
{
	return syscall(SYS_ioctl, fd, what, with);
}

bool userfault_begin(struct userfault *userfault)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .range.len = size, .mode = UFFDIO_REGISTER_MODE_MISSING };

	/* One that the kernel's own touches are told to, which takes root. */
	userfault->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (userfault->fd < 0 || control(userfault->fd, UFFDIO_API, &api)) {
		skip("no userfaultfd for touches by the kernel (errno %d): it takes root", errno);
		return false;
	}
	userfault->at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
	ck_assert_ptr_ne(userfault->at, MAP_FAILED);
	range.range.start = (uintptr_t)userfault->at;
	ck_assert_int_eq(control(userfault->fd, UFFDIO_REGISTER, &range), 0);
	return true;
}

void userfault_await(const struct userfault *userfault)
{
	struct pollfd look = { .fd = userfault->fd, .events = POLLIN };

	ck_assert_msg(poll(&look, 1, 20000) == 1, "nobody touches the page");
}

void userfault_end(struct userfault *userfault)
{
	close(userfault->fd);
}
