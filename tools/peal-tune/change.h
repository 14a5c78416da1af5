/*
 * SPDX-License-Identifier: MIT
 *
 * One file of the kernel changed, and put back: read, noted in the journal, written, read back. It
 * knows nothing of why.
 */
#ifndef PEAL_TUNE_CHANGE_H
#define PEAL_TUNE_CHANGE_H

#include "tools/peal-tune/journal.h"
#include "tools/peal-tune/outcome.h"

struct change {
	const char *id;   /* who wants it */
	const char *path; /* without the root */
	const char *value;
	enum persist persist;
	const char *capability; /* that it takes, for the sentence; NULL: not known */
};

/* Writes a value into a file, and opens the journal first if it has to. 0, and what became of it;
 * or a negative errno: the journal could not be written, which is told on stderr. Then outcome has
 * no texts if that was so before the file was written. */
int change_make(struct journal *journal, const struct change *change, struct outcome *outcome);

/* Whether a file may be written, asked without writing: 0 or a negative errno. */
int change_may_write(const struct tree *tree, const char *path);

/* What change_make would do. */
void change_plan(const struct tree *tree, const struct change *change, struct outcome *outcome);

/* Puts back what an entry of the journal has; force: even if somebody else has changed it since. An
 * entry that has been put back, and its texts, are gone. Likewise, but for a journal that cannot be
 * written: that stops nothing. */
int change_undo(struct journal *journal, const struct journal_entry *entry, bool force,
		struct outcome *outcome);
void change_plan_undo(const struct tree *tree, const struct journal_entry *entry, bool force,
		      struct outcome *outcome);

#endif
