/*
 * SPDX-License-Identifier: MIT
 *
 * The library: options, and what it says of failures.
 */
#include "config.h"

#include <stdio.h>

#include "complaint.h"
#include "library.h"
#include "progress.h"

void library_tell_pages(const struct peal_link *link, const struct setup *setup)
{
	struct peal_memory memory = { .size = sizeof(memory) };
	const struct peal_ring_memory *rings[] = { &memory.tx, &memory.rx };

	if (setup->huge == HUGE_UNSAID || peal_link_memory(link, &memory))
		return;
	progress_clear();
	for (int i = 0; i < 2; i++)
		fprintf(stderr, "peal-perf: the ring %s has pages of %llu bytes%s%s\n",
			i ? "from the partner" : "to the partner",
			(unsigned long long)rings[i]->page, *rings[i]->why ? ": " : "",
			rings[i]->why);
}

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

	static const uint32_t huge[HUGE_MODES] = {
		[HUGE_UNSAID] = PEAL_HUGE_AUTO,     [HUGE_AUTO] = PEAL_HUGE_AUTO,
		[HUGE_OFF] = PEAL_HUGE_OFF,         [HUGE_TRY] = PEAL_HUGE_TRY,
		[HUGE_REQUIRE] = PEAL_HUGE_REQUIRE,
	};

	peal_options_init(options);
	options->huge = huge[setup->huge];
	options->ring = setup->ring;
	options->max_peer_ring = setup->ring;
	options->wait = waits[setup->wait];
	options->barrier = barriers[setup->barrier];
	options->bell = setup->one_descriptor ? PEAL_BELL_SOCKET : PEAL_BELL_AUTO;
	options->flags = setup->no_prefault ? 0 : PEAL_PREFAULT;
	options->name = "peal-perf";
}
