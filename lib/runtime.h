/*
 * SPDX-License-Identifier: MIT
 *
 * The runtime: what was detected at the first use of the library, and which table was picked for
 * each job. Set once, then read only; but memory is tried until there is some.
 */
#ifndef LIB_RUNTIME_H
#define LIB_RUNTIME_H

#include <peal/runtime.h>

#include "arch/arch.h"
#include "platform/platform.h"

/* Whether long payloads are written past the caches: PEAL_BULK_COPY. */
enum runtime_bulk {
	RUNTIME_BULK_AUTO,   /* as the reader finds it better */
	RUNTIME_BULK_CACHED, /* never */
	RUNTIME_BULK_AROUND, /* always */
};

/* Whether what was read leaves the caches: PEAL_EVICT. */
enum runtime_evict {
	RUNTIME_EVICT_AUTO,   /* where the writer is quicker so */
	RUNTIME_EVICT_NEVER,  /* also where the CPU cannot */
	RUNTIME_EVICT_ALWAYS, /* of every ring */
};

struct runtime {
	const struct peal_ring_ops *ring;
	const struct peal_waiter_ops *waiter;
	const char *ring_why, *waiter_why; /* why these were picked */
	uint64_t page_size;
	uint32_t huge; /* what PEAL_HUGE_AUTO is, an enum peal_huge */
	enum runtime_bulk bulk;
	enum runtime_evict evict;
	uint64_t spin_ns;
	uint64_t sample;                /* what options.sample of 0 is */
	uint32_t prefetch, inline_copy; /* of the ring variant, unless the environment said else */
	double ticks_per_ns;
};

const struct runtime *runtime_get(void);

/* What memory that can be shared is made of. NULL: none is usable, and *why is the reason (unless
 * why is NULL). It may pass, as when descriptors had run out: so it is tried again each time. */
const struct peal_memory_ops *runtime_memory(const char **why);

/*
 * Whether this process is registered for barriers of others (membarrier), so that they may sleep
 * without a fence in our publications. Registers it: whatever that costs, or only while it costs
 * next to nothing, which is as long as there is one thread.
 */
bool runtime_registered(bool whatever_it_costs);

/* In the child of a fork, which has to register itself. */
void runtime_forget(void);

/* The candidate nearest to a word by edits, for warnings. candidates is ended by NULL. */
const char *runtime_nearest(const char *word, const char *const *candidates);

#endif
