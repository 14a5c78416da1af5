/*
 * SPDX-License-Identifier: MIT
 *
 * Spinning: what a wait teaches the next ones. See spin.h.
 */
#include "config.h"

#include "lib/spin.h"

#define LONGEST 1000000u /* ns: a long silence must not be remembered for long */
#define REST_MAX 10u     /* doublings: one try in 1024 waits costs next to nothing */

uint64_t spin_budget(struct spin *spin, uint64_t limit, uint64_t came)
{
	if (limit == UINT64_MAX)
		return limit;
	if (spin->came != came) {
		spin->came = came;
		spin->waited_ns = 0;
	}
	/* Waits that time out one after the other are one wait, which spins once. */
	if (spin->rest || spin->typical_ns > limit || spin->waited_ns >= limit)
		return 0;
	return limit - spin->waited_ns;
}

void spin_learn(struct spin *spin, uint64_t budget, uint64_t lasted, bool slept, bool over)
{
	if (!budget) {
		spin->rest -= spin->rest != 0;
	} else if (slept) {
		/* Once is nothing: a message may be late. */
		spin->rest = ((uint32_t)1 << spin->vain) - 1;
		spin->vain += spin->vain < REST_MAX;
	} else if (over) {
		spin->vain = 0;
	}
	lasted = lasted < LONGEST - spin->waited_ns ? lasted : LONGEST - spin->waited_ns;
	spin->waited_ns += lasted;
	if (over) {
		spin->typical_ns += spin->waited_ns / 8 - spin->typical_ns / 8;
		spin->waited_ns = 0;
	}
}
