/*
 * SPDX-License-Identifier: MIT
 *
 * What a stranger may hand over instead of sealed memory of the right size. What fails here fails
 * the running test. Knows nothing of Peal but the sentences of its refusals.
 */
#ifndef TESTS_HOSTILE_DOORS_KINDS_H
#define TESTS_HOSTILE_DOORS_KINDS_H

#include <fcntl.h>
#include <sys/types.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define ALL_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

struct goods {
	const char *name;
	int (*make)(off_t size); /* of this size, if it has any; -1: there is none here */
	const char *said, *said_of_counters;
};

#define GOODS 35

extern const struct goods goods[];

/* Memory that is there, with these seals; sealed with all, through another descriptor that is
 * opened so; and a huge page's worth of which nothing is there. */
int goods_memory(off_t size, int seals);
int goods_sealed_and_opened(off_t size, int how);
int goods_huge_holes(off_t size);

#endif
