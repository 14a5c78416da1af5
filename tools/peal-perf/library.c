/*
 * SPDX-License-Identifier: MIT
 *
 * The library: options, and what it says of failures.
 */
#include "config.h"

#include "complaint.h"
#include "library.h"

int library_refused(const char *verb, int err)
{
	return complain(err, "%s: %s", verb, peal_error());
}

void library_options(struct peal_options *options, const struct setup *setup)
{
	static const uint32_t waits[WAIT_MODES] = {
		[WAIT_SPIN] = PEAL_WAIT_SPIN,
		[WAIT_ADAPTIVE] = PEAL_WAIT_ADAPTIVE,
		[WAIT_SLEEP] = PEAL_WAIT_SLEEP,
	};
	static const uint32_t barriers[BARRIER_MODES] = {
		[BARRIER_AUTO] = PEAL_BARRIER_AUTO,
		[BARRIER_FENCE] = PEAL_BARRIER_FENCE,
		[BARRIER_ASYMMETRIC] = PEAL_BARRIER_ASYMMETRIC,
	};

	peal_options_init(options);
	options->ring = setup->ring;
	options->max_peer_ring = setup->ring;
	options->wait = waits[setup->wait];
	options->barrier = barriers[setup->barrier];
	options->flags = PEAL_PREFAULT;
	options->name = "peal-perf";
}
