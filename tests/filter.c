/*
 * SPDX-License-Identifier: MIT
 *
 * Filters, as filter.h says. By hand: one call is seven lines, and the same programs run built for
 * other CPUs and C libraries, for which there is no libseccomp.
 */
#include "config.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "tests/filter.h"

bool filter_install(const struct filter *filter)
{
	/* The lower half comes first on all that Peal runs on. */
	uint32_t argument = (uint32_t)(offsetof(struct seccomp_data, args) + 8u * filter->argument);
	struct sock_filter lines[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)filter->call, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, filter->bits),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, filter->bits, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)filter->err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(lines) / sizeof(lines[0]), .filter = lines };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
