/*
 * SPDX-License-Identifier: MIT
 *
 * Combinations of tables. See combination.h.
 */
#include "config.h"

#include "tests/unit/combination.h"

#include "lib/link.h"
#include "tests/runner.h"

/* The usable one with this number; NULL: there are fewer. */
static const struct peal_ring_ops *ring_at(int number)
{
	const char *why;

	for (int i = 0; arch_ring_ops[i]; i++)
		if (arch_ring_ops[i]->usable(&why) && !number--)
			return arch_ring_ops[i];
	return NULL;
}

static const struct peal_waiter_ops *waiter_at(int number)
{
	const char *why;

	for (int i = 0; platform_waiter_ops[i]; i++)
		if (platform_waiter_ops[i]->usable(&why) && !number--)
			return platform_waiter_ops[i];
	return NULL;
}

static int waiters(void)
{
	int count = 0;

	while (waiter_at(count))
		count++;
	return count;
}

int combination_count(void)
{
	int rings = 0;

	while (ring_at(rings))
		rings++;
	return rings * waiters() * 3;
}

void combination_open(int number, struct peal_link *links[2], const struct peal_options *given)
{
	const struct peal_waiter_ops *waiter = waiter_at(number / 3 % waiters());
	const struct peal_ring_ops *ring = ring_at(number / 3 / waiters());
	struct peal_options options = *given;
	int err;

	options.wait = (uint32_t)number % 3;
	err = peal_pair(links, &options);
	if (err)
		ck_abort_msg("peal_pair: %d: %s", err, peal_error());
	for (int i = 0; i < 2; i++) {
		links[i]->ring = ring;
		links[i]->waiter = waiter;
	}
}
