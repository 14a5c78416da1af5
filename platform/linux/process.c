/*
 * SPDX-License-Identifier: MIT
 *
 * What a Linux process knows of itself: its name, numbers and environment.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/platform.h"

const char *platform_program(void)
{
	return program_invocation_short_name;
}

char **platform_environment(void)
{
	static char *nothing[] = { NULL };

	return getauxval(AT_SECURE) || !environ ? nothing : environ;
}

const char *platform_variable(const char *name)
{
	return getauxval(AT_SECURE) ? NULL : getenv(name);
}

int64_t platform_pid(void)
{
	return getpid();
}

int64_t platform_raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) ? -errno : (int64_t)limit.rlim_cur;
}

int64_t platform_descriptors(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > INT64_MAX ?
		       INT64_MAX :
		       (int64_t)limit.rlim_cur;
}

uint32_t platform_thread(void)
{
	return (uint32_t)syscall(SYS_gettid);
}
