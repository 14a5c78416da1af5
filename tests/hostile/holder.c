/*
 * SPDX-License-Identifier: MIT
 *
 * Who holds a lock by way of a page that never comes. See holder.h.
 */
#include "config.h"

#include "tests/hostile/holder.h"

#include <unistd.h>

#include "tests/runner.h"

bool holder_begin(struct holder *holder, bool by_fuse, const char *folder)
{
	*holder = (struct holder){ .by_fuse = by_fuse };
	if (by_fuse ? !fuse_begin(&holder->fuse, folder) : !userfault_begin(&holder->fault))
		return false;
	holder->page = by_fuse ? fuse_page(&holder->fuse) : holder->fault.at;
	return true;
}

static void *read_into_page(void *data)
{
	const struct holder *holder = data;
	ssize_t length = read(holder->fd, holder->page, 1);

	ck_assert_msg(length == 1 || length < 0, "%zd", length);
	return NULL;
}

void holder_take(struct holder *holder, int fd)
{
	holder->fd = fd;
	ck_assert_int_eq(pthread_create(&holder->thread, NULL, read_into_page, holder), 0);
	if (holder->by_fuse)
		fuse_await(&holder->fuse, FUSE_READ);
	else
		userfault_await(&holder->fault);
}

void holder_end(struct holder *holder)
{
	if (holder->by_fuse)
		fuse_end(&holder->fuse);
	else
		userfault_end(&holder->fault);
	pthread_join(holder->thread, NULL);
}
