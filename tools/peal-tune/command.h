/*
 * SPDX-License-Identifier: MIT
 *
 * The commands of peal-tune: what main.c hands to each, and what each returns, an exit code.
 */
#ifndef PEAL_TUNE_COMMAND_H
#define PEAL_TUNE_COMMAND_H

#include <stdbool.h>

#include "tools/peal-tune/check.h"

enum exit_code {
	EXIT_FINE = 0,
	EXIT_WARNINGS = 1,
	EXIT_FAILURES = 2,
	EXIT_IN_PART = 3,   /* applied or restored in part */
	EXIT_PRIVILEGE = 4, /* not enough, for anything of it; run: nothing was started */
	EXIT_USAGE = 64,
	EXIT_INTERNAL = 70
};

/* Common options. */
struct common {
	const char *root; /* "" for the real one */
	bool json, quiet, colour;
	bool measure;
	bool dry_run, persist;
	const char *only; /* the id of a check, or NULL */
	struct wish wish;
};

/* Of use to each command; both tell what is wrong on stderr, and return 0 or an exit code. */
int take_nothing(int argc, char **argv); /* that nothing stands behind the command */
int take_machine(const struct common *common, struct machine *machine);

/* argv of each: from the name of the command on, without the options of struct common. Usage errors
 * are told on stderr. */
int command_check(const struct common *common, int argc, char **argv);    /* report.c */
int command_explain(const struct common *common, int argc, char **argv);  /* report.c */
int command_apply(const struct common *common, int argc, char **argv);    /* apply.c */
int command_undo(const struct common *common, int argc, char **argv);     /* undo.c */
int command_huge(const struct common *common, int argc, char **argv);     /* huge.c */
int command_run(const struct common *common, int argc, char **argv);      /* run.c */
int command_topology(const struct common *common, int argc, char **argv); /* topology.c */
int command_jitter(const struct common *common, int argc, char **argv);   /* jitter.c */

/* A blocking round trip between two threads of this process on the two CPUs, by futex, in
 * nanoseconds: the median of rounds; for `check --measure` and `apply` (measure.c). A negative
 * errno if it cannot be had. */
int64_t measure_blocking_round_trip(int cpu_a, int cpu_b, unsigned rounds);
/* A spinning one, of two cache lines. */
int64_t measure_spinning_round_trip(int cpu_a, int cpu_b, unsigned rounds);

#endif
