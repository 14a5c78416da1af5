/*
 * SPDX-License-Identifier: MIT
 *
 * Spinning: how long a wait spins before it sleeps, by what waits have cost lately. Plain numbers:
 * it knows nothing of bells, links and clocks.
 */
#ifndef LIB_SPIN_H
#define LIB_SPIN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What was learnt; zeroed at first. Spinning pays while what is waited for comes, as a rule, before
 * the limit. Two things tell: how long it took to come, slept for or spun for (typical_ns); and
 * whether it came at all while somebody spun for it. On a CPU that both sides share it never does,
 * though it comes at once where one sleeps.
 */
struct spin {
	uint64_t typical_ns; /* a mean of some eight waits */
	uint64_t waited_ns;  /* by waits that timed out, since something came */
	uint64_t came;       /* what had come then */
	uint32_t vain;       /* spins in a row that ended in a sleep */
	uint32_t rest;       /* waits without spinning until the next try */
};

/* How long the wait that begins now is to spin: limit at most; 0: not at all. UINT64_MAX: never
 * sleep. came: a count that moves when something comes. */
uint64_t spin_budget(struct spin *spin, uint64_t limit, uint64_t came);

/*
 * What came of a wait that was not over at once: how long it spun at most, how long it lasted in
 * all (until the bell was rung; waking up is not what one waits for), whether it slept, and whether
 * it ended by itself (else its time was up).
 */
void spin_learn(struct spin *spin, uint64_t budget, uint64_t lasted, bool slept, bool over);

#endif
