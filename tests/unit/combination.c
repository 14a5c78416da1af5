/*
 * SPDX-License-Identifier: MIT
 *
 * Combinations of tables. See combination.h.
 */
#include "config.h"

#include "tests/unit/combination.h"

#include "lib/link.h"
#include "tests/runner.h"

static int rings(void)
{
	int count = 0;

	while (arch_ring_ops[count])
		count++;
	return count;
}

static int waiters(void)
{
	int count = 0;

	while (platform_waiter_ops[count])
		count++;
	return count;
}

int combination_count(void)
{
	return rings() * waiters() * 3;
}

bool combination_open(int number, struct peal_link *links[2], const struct peal_options *given)
{
	const struct peal_waiter_ops *waiter = platform_waiter_ops[number / 3 % waiters()];
	const struct peal_ring_ops *ring = arch_ring_ops[number / 3 / waiters()];
	struct peal_options options = *given;
	const char *why;
	int err;

	options.wait = (uint32_t)number % 3;
	if (!ring->usable(&why)) {
		skip("ring variant %s: %s", ring->name, why);
		return false;
	}
	if (!waiter->usable(&why)) {
		skip("waiter %s: %s", waiter->name, why);
		return false;
	}
	err = peal_pair(links, &options);
	if (err)
		ck_abort_msg("peal_pair: %d: %s", err, peal_error());
	for (int i = 0; i < 2; i++) {
		links[i]->ring = ring;
		links[i]->waiter = waiter;
	}
	return true;
}
