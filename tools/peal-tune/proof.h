/*
 * SPDX-License-Identifier: MIT
 *
 * What a round trip takes on this machine now: the proof of what guest-halt-poll says, and of its
 * mend, before and after.
 */
#ifndef PEAL_TUNE_PROOF_H
#define PEAL_TUNE_PROOF_H

#include "tools/peal-tune/check.h"

struct proof {
	unsigned cpu[2];
	int64_t blocking; /* nanoseconds, the median */
	int64_t spinning; /* 0: both CPUs are one */
};

/* Measures between the first two of the chosen CPUs, for some tenths of a second. false: it could
 * not be had, which is told on stderr. */
bool proof_take(const struct machine *machine, struct proof *proof);

/* "a blocking round trip takes 48.1 us, a spinning one 0.2 us (cpu 2 and 3)" */
#define PROOF_TEXT 160
void proof_print(const struct proof *proof, char text[PROOF_TEXT]);

/* Measures, and adds that to what the finding of guest-halt-poll says is the case. */
void proof_tell(const struct machine *machine, struct findings *findings);

#endif
