/*
 * SPDX-License-Identifier: MIT
 *
 * What a Linux process knows of itself: its name, numbers and environment.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/auxv.h>
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

uint32_t platform_thread(void)
{
	return (uint32_t)syscall(SYS_gettid);
}
