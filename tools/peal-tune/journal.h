/*
 * SPDX-License-Identifier: MIT
 *
 * What peal-tune has changed, and what was there before: a text file in /run/peal, or in the user's
 * runtime folder, that only its owner may read or write. It is appended to, a line at a time, and
 * each line is on its way to the disk before what it tells of is done; so whatever kills peal-tune,
 * the journal knows of every file that may have been changed. It knows nothing of the files.
 *
 * The text: "peal-tune journal 1", then lines of fields between tabs,
 *
 *	write ID PATH OLD NEW LASTS	about to write NEW into PATH, where OLD was; a line in
 *					sysctl.d or tmpfiles.d would make it last, or "-"
 *	file ID PATH OLD NEW		about to replace the file PATH as a whole, likewise
 *	done PATH VALUE			this was read back
 *	undo PATH			about to write OLD into it again
 *	forget PATH			it is gone for good
 *	boot ID				what follows was written while the machine was running as
 *					that; another than before: what was written before is undone
 *
 * with control characters and % as %09, and "-" for a file that is not there. A last line without
 * its end was never finished, and what it tells of not begun.
 */
#ifndef PEAL_TUNE_JOURNAL_H
#define PEAL_TUNE_JOURNAL_H

#include <stdbool.h>

#include "tools/peal-tune/check.h"

/* In the folder "peal" of /run, or of the user's runtime folder. */
#define JOURNAL_NAME "tune.journal"

/* All that was written into one file, since the last undo. Each is never NULL but where it says so,
 * and the journal's. */
struct journal_entry {
	char *ids;            /* of what wrote, with blanks between and around */
	char *path;           /* without the root */
	char *old;            /* before the first; NULL: a file that was not there */
	char *value;          /* what was written last; NULL: taken away */
	char *seen;           /* what was read back then; NULL not come to, or no file */
	bool known;           /* it was come to */
	bool again;           /* undo: it is to be tried again */
	bool whole;           /* a "file": replaced as a whole */
	enum persist persist; /* NONE, SYSCTL or TMPFILES */
};

struct journal {
	const struct tree *tree;
	int fd;           /* below 0: not open */
	char *path;       /* with the root; NULL: not known */
	char *boot;       /* what it was written in, at least since now; NULL: unknown */
	bool boot_is_new; /* which it does not tell yet */
	bool outdated;    /* it tells of what that has undone */
	bool touched;     /* something was written into it */
	struct journal_entry *entries; /* in the order in which the files were first written */
	unsigned count;
};

/* Nothing is opened. */
void journal_init(struct journal *journal, const struct tree *tree);

/*
 * Opens the journal, and keeps others from it until it is closed. make: makes it if there is none.
 * 0, and also if it is open already; -ENOENT: there is none (and make was not wanted). Other errors
 * are told on stderr.
 */
int journal_open(struct journal *journal, bool make);

/* Before something is written. Errors are told on stderr; nothing may be written then. */
int journal_write(struct journal *journal, const char *id, const char *path, const char *old,
		  const char *value, enum persist persist);
int journal_file(struct journal *journal, const char *id, const char *path, const char *old,
		 const char *value);

/* Before an entry is restored: what is in the file is not known any more. */
int journal_undo(struct journal *journal, const char *path);

/* What was read back; an entry whose file is what it was at first is dropped. seen: NULL where
 * there is no file. */
int journal_done(struct journal *journal, const char *path, const char *seen);

/* Drops an entry that cannot be restored any more. */
int journal_forget(struct journal *journal, const char *path);

struct journal_entry *journal_find(const struct journal *journal, const char *path);
bool journal_entry_is_of(const struct journal_entry *entry, const char *id);

/* Takes the file away if it has no entries. */
void journal_close(struct journal *journal);

#endif
