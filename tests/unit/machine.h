/*
 * SPDX-License-Identifier: MIT
 *
 * A machine that is made up, for the ring variants of every CPU family, whatever CPU the tests
 * stand on: it has one clock, which only moves by what the variants do, one word that is waited
 * for, and one monitor. A test program puts functions that end here in the place of a family's
 * arch/FAMILY/machine.h, includes the family's sources, and runs the tests that all share.
 */
#ifndef TESTS_UNIT_MACHINE_H
#define TESTS_UNIT_MACHINE_H

#include "arch/arch.h"
#include "tests/runner.h"

struct machine {
	double ns;      /* the time */
	double rate;    /* ticks of its counter per nanosecond */
	double hint_ns; /* what PAUSE or the like takes */
	uint64_t word;  /* what is waited for */

	const uint64_t *armed; /* the monitor; NULL: it is not armed */
	bool written;          /* since it was armed */

	unsigned hints, arms, rests; /* how many there were */
	double first_ns, longest_ns; /* of the rests, as they were asked for */

	/* What happens right after arming, and in the midst of a rest, which says whether the rest
	 * ends by it; NULL: nothing. */
	void (*armed_now)(void);
	bool (*resting)(void);
};

extern struct machine machine;

/* What the instructions do. */
uint64_t machine_ticks(void);
void machine_hint(void);
void machine_arm(const uint64_t *word);
/* Rests until the counter is there, or the word is written, or resting() says so. */
void machine_rest(uint64_t until);

/* Somebody writes the word. */
void machine_write(uint64_t value);

/* A variant that a program has, with a monitor or without. */
struct variant {
	const struct peal_ring_ops *ops;
	bool watches;
	double least_ns, most_ns; /* of a rest */
};

/* Those of the program, ended by one of zeros; and what makes their CPU one that has all of them.
 */
extern const struct variant machine_variants[];
void machine_has_all(void);

/* What the program's family tells of its CPU. */
void machine_expect_facts(const char *vendor, const char *model, const char *features);

/* The tests that all families share. */
Suite *machine_suite(void);

#endif
