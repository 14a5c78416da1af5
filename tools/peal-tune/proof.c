/*
 * SPDX-License-Identifier: MIT
 *
 * Round trips measured on behalf of a check. How is in measure.c.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/peal-tune/command.h"
#include "tools/peal-tune/proof.h"

/* A fifth of a second of those that take 50 us; measure.c stops after a second of any. */
#define ROUNDS 4000u

bool proof_take(const struct machine *machine, struct proof *proof)
{
	unsigned first = cpus_next(&machine->chosen, 0);
	unsigned second = cpus_next(&machine->chosen, first + 1);

	*proof = (struct proof){ .cpu = { first, second < CPUS_MAX ? second : first } };
	proof->blocking = measure_blocking_round_trip((int)proof->cpu[0], (int)proof->cpu[1],
						      ROUNDS);
	if (proof->blocking >= 0 && proof->cpu[0] != proof->cpu[1])
		proof->spinning = measure_spinning_round_trip((int)proof->cpu[0],
							      (int)proof->cpu[1], ROUNDS);
	if (proof->blocking >= 0 && proof->spinning >= 0)
		return true;
	fprintf(stderr, "peal-tune: no round trip could be measured between CPUs %u and %u: %s\n",
		proof->cpu[0], proof->cpu[1],
		strerror((int)-(proof->blocking < 0 ? proof->blocking : proof->spinning)));
	return false;
}

void proof_print(const struct proof *proof, char text[PROOF_TEXT])
{
	int used = snprintf(text, PROOF_TEXT, "a blocking round trip takes %.1f us",
			    (double)proof->blocking / 1000);

	if (proof->cpu[0] == proof->cpu[1])
		snprintf(text + used, PROOF_TEXT - (size_t)used, " (cpu %u)", proof->cpu[0]);
	else
		snprintf(text + used, PROOF_TEXT - (size_t)used,
			 ", a spinning one %.2f us (cpu %u and %u)", (double)proof->spinning / 1000,
			 proof->cpu[0], proof->cpu[1]);
}

void proof_tell(const struct machine *machine, struct findings *findings)
{
	char text[PROOF_TEXT];
	struct proof proof;

	for (unsigned i = 0; i < findings->count; i++) {
		struct finding *finding = &findings->all[i];

		if (strcmp(finding->check->id, "guest-halt-poll") != 0)
			continue;
		if (!proof_take(machine, &proof))
			return;
		proof_print(&proof, text);
		finding_current(finding, "%s%s%s", finding->current, *finding->current ? "; " : "",
				text);
	}
}
