/*
 * SPDX-License-Identifier: MIT
 *
 * The family of CPUs that have no folder of their own: the generic variant, the monotonic clock as
 * the counter, nothing to tell.
 */
#include "config.h"

#include "arch/generic/generic.h"

const struct peal_ring_ops *const arch_ring_ops[] = { &arch_generic, NULL };

void (*const arch_copy_around)(void *to, const void *from, size_t length) = NULL;

bool arch_can_evict(void)
{
	return false;
}

void arch_evict(const void *from, size_t length)
{
	(void)from;
	(void)length;
}

uint64_t arch_ticks(void)
{
	return arch_generic_ticks();
}

uint64_t arch_ticks_behind(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return arch_ticks();
}

void arch_set_ticks(double ticks_per_ns)
{
	(void)ticks_per_ns; /* a tick is a nanosecond */
}

bool arch_fact(unsigned index, const char **name, char *buffer, size_t size)
{
	(void)index;
	(void)name;
	(void)buffer;
	(void)size;
	return false;
}
