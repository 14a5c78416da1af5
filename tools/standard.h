/*
 * SPDX-License-Identifier: MIT
 *
 * Standard streams that are closed. For tools that write files: the next one opened would get such
 * a number, and what is printed would go into it.
 */
#ifndef TOOLS_STANDARD_H
#define TOOLS_STANDARD_H

#include <fcntl.h>
#include <unistd.h>

/* First of all: no file gets a number of standard streams. To print there is still an error, and a
 * program that is executed has them closed, as before. */
static inline void standard_keep(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

#endif
