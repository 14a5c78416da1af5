/*
 * SPDX-License-Identifier: MIT
 *
 * One file of the kernel changed, and put back. It knows nothing of why.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/peal-tune/change.h"
#include "tools/peal-tune/finding.h"
#include "tools/peal-tune/shell.h"
#include "tools/peal-tune/value.h"

static bool is_denial(int err)
{
	return err == -EACCES || err == -EPERM || err == -EROFS;
}

static void tell_denial(struct outcome *outcome, int err, const char *capability)
{
	outcome->result = RESULT_DENIED;
	if (err == -EROFS)
		text_set(&outcome->why, "it is read-only here, as in a container: it is for who "
					"runs the host");
	else if (!geteuid())
		text_set(&outcome->why,
			 "root may not write it here, as in a container or a locked "
			 "kernel%s%s",
			 capability ? ": it takes the host's " : "", capability ? capability : "");
	else
		text_set(&outcome->why, "it takes %s: as root",
			 capability ? capability : "CAP_SYS_ADMIN");
}

static void tell_error(struct outcome *outcome, int err, const char *capability, bool reading)
{
	if (is_denial(err)) {
		tell_denial(outcome, err, capability);
		return;
	}
	outcome->result = err == -ENOENT ? RESULT_GONE : RESULT_FAILED;
	if (err == -ENOENT)
		text_set(&outcome->why, "there is no such file: its CPU is offline, or its module "
					"unloaded");
	else if (err == -EINVAL || err == -ERANGE)
		text_set(&outcome->why, "the kernel does not take \"%s\" there: %s",
			 outcome->wanted, strerror(-err));
	else
		text_set(&outcome->why, "it could not be %s: %s", reading ? "read" : "written",
			 strerror(-err));
}

int change_may_write(const struct tree *tree, const char *path)
{
	char *whole = NULL;
	int err = 0;

	text_set(&whole, "%s%s", tree->root, path);
	if (access(whole, W_OK))
		err = -errno;
	free(whole);
	return err;
}

static int write_line(const struct tree *tree, const char *path, const char *value)
{
	char *line = NULL;
	int err;

	text_set(&line, "%s\n", value);
	err = tree_write(tree, path, line);
	free(line);
	return err;
}

/* Writes, reads back, notes that and judges. An error of writing may still have changed something:
 * what counts is what is there now. */
static int write_and_judge(struct journal *journal, const char *path, const char *value,
			   const char *capability, struct outcome *outcome)
{
	int err = write_line(journal->tree, path, value), err_of_read, err_of_journal = 0;
	enum value_verdict verdict;

	err_of_read = (int)tree_read(journal->tree, path, &outcome->now);
	if (err_of_read < 0) {
		tell_error(outcome, err ? err : err_of_read, capability, !err);
		return 0;
	}
	err_of_journal = journal_done(journal, path, outcome->now);
	verdict = value_judge(path, outcome->was, value, outcome->now);
	if (verdict == VALUE_TAKEN) {
		outcome->result = RESULT_DONE;
	} else if (err) {
		tell_error(outcome, err, capability, false);
	} else if (verdict == VALUE_PARTLY) {
		outcome->result = RESULT_PARTLY;
		text_set(&outcome->why, "the kernel came to %s, and %s was wanted", outcome->now,
			 value);
	} else {
		outcome->result = RESULT_FAILED;
		text_set(&outcome->why, "it was written, but says \"%s\" and not \"%s\"",
			 outcome->now, value);
	}
	return err_of_journal;
}

/* Whether there is something to write; else it is told. */
static bool look(const struct tree *tree, const struct change *change, struct outcome *outcome)
{
	int64_t length;
	int err;

	*outcome = (struct outcome){ .result = RESULT_ALREADY };
	text_set(&outcome->wanted, "%s", change->value);
	length = tree_read(tree, change->path, &outcome->was);
	if (length < 0) {
		tell_error(outcome, (int)length, change->capability, true);
		return false;
	}
	if (value_same(outcome->was, change->value)) {
		text_set(&outcome->now, "%s", outcome->was);
		return false;
	}
	err = change_may_write(tree, change->path);
	if (!err)
		return true;
	tell_error(outcome, err, change->capability, false);
	if (outcome->result == RESULT_DENIED && err != -EROFS)
		shell_write(&outcome->command, tree, change->value, &change->path, 1);
	return false;
}

void change_plan(const struct tree *tree, const struct change *change, struct outcome *outcome)
{
	if (!look(tree, change, outcome) && outcome->result != RESULT_DENIED)
		return;
	outcome->result = RESULT_PLANNED;
	shell_write(&outcome->command, tree, change->value, &change->path, 1);
}

int change_make(struct journal *journal, const struct change *change, struct outcome *outcome)
{
	bool alone = journal->fd >= 0;
	int err;

	if (!look(journal->tree, change, outcome))
		return 0;
	err = journal_open(journal, true);
	/* Until now another peal-tune could have written it. */
	if (!err && !alone) {
		outcome_free(outcome);
		if (!look(journal->tree, change, outcome))
			return 0;
	}
	if (!err)
		err = journal_write(journal, change->id, change->path, outcome->was, change->value,
				    change->persist);
	if (err) {
		outcome_free(outcome);
		return err;
	}
	return write_and_judge(journal, change->path, change->value, change->capability, outcome);
}

/* A recording gets its text back as it was; the kernel wants the choice alone. */
static char *text_back(const struct tree *tree, const char *old)
{
	char *text = NULL;

	if (tree_is_live(tree))
		text = value_of(old);
	if (!text)
		text_set(&text, "%s", old);
	return text;
}

/* Whether there is something to put back; else it is told. */
static bool look_back(const struct tree *tree, const struct journal_entry *entry, bool force,
		      struct outcome *outcome)
{
	int64_t length;

	*outcome = (struct outcome){ .result = RESULT_ALREADY };
	outcome->wanted = text_back(tree, entry->old);
	length = tree_read(tree, entry->path, &outcome->was);
	if (length < 0) {
		tell_error(outcome, (int)length, NULL, true);
		return false;
	}
	if (value_same(outcome->was, entry->old)) {
		text_set(&outcome->now, "%s", outcome->was);
		return false;
	}
	/* Of one that a kill left unknown nobody can tell who wrote it. */
	if (!force && entry->known && !value_same(outcome->was, entry->seen)) {
		outcome->result = RESULT_FOREIGN;
		text_set(&outcome->now, "%s", outcome->was);
		text_set(&outcome->why,
			 "peal-tune left \"%s\" there, and somebody else has changed "
			 "it since: --force puts back \"%s\" all the same",
			 entry->seen, outcome->wanted);
		return false;
	}
	return true;
}

void change_plan_undo(const struct tree *tree, const struct journal_entry *entry, bool force,
		      struct outcome *outcome)
{
	const char *path = entry->path;

	if (!look_back(tree, entry, force, outcome))
		return;
	outcome->result = RESULT_PLANNED;
	shell_write(&outcome->command, tree, outcome->wanted, &path, 1);
}

int change_undo(struct journal *journal, const struct journal_entry *entry, bool force,
		struct outcome *outcome)
{
	char *path = NULL, *wanted;
	int err = 0, err_of_done;

	if (look_back(journal->tree, entry, force, outcome)) {
		text_set(&path, "%s", entry->path);
		wanted = outcome->wanted;
		/* A full disk keeps nobody from having things as they were. */
		err = journal_undo(journal, path);
		err_of_done = write_and_judge(journal, path, wanted, NULL, outcome);
		err = err ? err : err_of_done;
		if (outcome->result == RESULT_DENIED)
			shell_write(&outcome->command, journal->tree, wanted,
				    (const char *const[]){ path }, 1);
		free(path);
	} else if (outcome->result == RESULT_ALREADY) {
		err = journal_done(journal, entry->path, outcome->now);
	} else if (outcome->result == RESULT_GONE && force) {
		outcome->result = RESULT_ALREADY;
		text_set(&outcome->why, "there is no such file any more: it is given up");
		err = journal_forget(journal, entry->path);
	}
	return err;
}
