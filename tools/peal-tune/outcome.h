/*
 * SPDX-License-Identifier: MIT
 *
 * What became of each file that apply, undo or huge had to change: a line each, or an object in
 * JSON, and the exit code that they come to. It changes nothing.
 */
#ifndef PEAL_TUNE_OUTCOME_H
#define PEAL_TUNE_OUTCOME_H

#include "tools/json.h"
#include "tools/peal-tune/command.h"
#include "tools/peal-tune/proof.h"

enum result {
	RESULT_DONE,    /* written, and read back */
	RESULT_ALREADY, /* it says so without */
	RESULT_PLANNED, /* a dry run would have it written */
	RESULT_PARTLY,  /* a pool, of which not all could be had */
	RESULT_FAILED,
	RESULT_DENIED,  /* by lack of privilege */
	RESULT_GONE,    /* there is no such file any more */
	RESULT_FOREIGN, /* somebody else has changed it since, so it is left */
	RESULT_COUNT
};

/* The texts are the outcome's; NULL: not known. */
struct outcome {
	enum result result;
	char *was, *wanted, *now;
	char *why;     /* a sentence */
	char *command; /* for a shell; what a dry run prints */
};

void outcome_free(struct outcome *outcome);

struct outcomes {
	const struct common *common;
	const char *command;
	struct json json;
	unsigned counts[RESULT_COUNT];
	bool broken; /* the journal failed: nothing more was begun */
};

/* Begins the report of a command. */
void outcomes_begin(struct outcomes *outcomes, const char *command, const struct common *common,
		    const struct machine *machine);
/* Tells one and frees it. */
void outcomes_add(struct outcomes *outcomes, const char *id, const char *scope, const char *path,
		  struct outcome *outcome);
/* Ends the list of writes. */
void outcomes_close(struct outcomes *outcomes);
/* What is left to the user, a list too: a command, words for the boot loader, and so on. */
void outcomes_begin_by_hand(struct outcomes *outcomes);
void outcomes_by_hand(struct outcomes *outcomes, const char *id, const char *scope,
		      const char *kind, const char *text);
/* What round trips took before all that, and take now. */
void outcomes_measured(struct outcomes *outcomes, const struct proof *before,
		       const struct proof *after);
/* Ends it and returns the exit code. nothing: the sentence if there was nothing to do. */
int outcomes_end(struct outcomes *outcomes, const char *nothing);

#endif
