/*
 * SPDX-License-Identifier: MIT
 *
 * System calls that are taken away from a thread, as a container's filter or an older kernel would.
 * Used by tests and by the programs that they start; knows nothing of libcheck.
 */
#ifndef TESTS_FILTER_H
#define TESTS_FILTER_H

#include <stdbool.h>
#include <stdint.h>

struct filter {
	long call;
	int err; /* what it fails with */

	/* Only if the argument of this index has all these bits; with 0, whatever it has. */
	unsigned argument;
	uint32_t bits;
};

/* For the calling thread, and those that it starts. False: no filter can be had here. */
bool filter_install(const struct filter *filter);

#endif
