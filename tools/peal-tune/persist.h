/*
 * SPDX-License-Identifier: MIT
 *
 * Changes made to last: peal-tune's two files, /etc/sysctl.d/90-peal.conf and
 * /etc/tmpfiles.d/peal.conf, written and taken back as a whole. It knows nothing of what the values
 * are for.
 */
#ifndef PEAL_TUNE_PERSIST_H
#define PEAL_TUNE_PERSIST_H

#include "tools/peal-tune/journal.h"
#include "tools/peal-tune/outcome.h"

/* By whom the journal says that they were written. */
#define PERSIST_ID "persist"

/* The file of tmpfiles.d. */
#define PERSIST_FILE "/etc/tmpfiles.d/peal.conf"

/* What is to last: lines of the two files. */
struct persist_lines {
	char *sysctl, *tmpfiles; /* NULL: none */
};

/* Adds the line for a value; of the same file again, the later one counts. Other kinds add none. */
void persist_add(struct persist_lines *lines, enum persist persist, const char *path,
		 const char *value);
/* Whether there is a line of tmpfiles.d for a file. */
bool persist_has(const struct persist_lines *lines, const char *path);
void persist_free(struct persist_lines *lines);

/* Writes them, merged with what is there, or tells what it would write: outcomes_add for each file
 * that there are lines for. 0 or a negative errno: the journal could not be written. */
int persist_write(struct journal *journal, const struct persist_lines *lines,
		  struct outcomes *outcomes);

/* Puts back a file, as change_undo does. */
int persist_undo(struct journal *journal, const struct journal_entry *entry, bool force,
		 struct outcome *outcome);
void persist_plan_undo(const struct tree *tree, const struct journal_entry *entry, bool force,
		       struct outcome *outcome);

#endif
