/*
 * SPDX-License-Identifier: MIT
 *
 * "undo": puts back what the journal has, the last first. What cannot be put back stays in the
 * journal, so that it can be tried again.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/peal-tune/change.h"
#include "tools/peal-tune/finding.h"
#include "tools/peal-tune/journal.h"
#include "tools/peal-tune/outcome.h"
#include "tools/peal-tune/persist.h"

/* Some files take a value only while another has its own, such as the energy preference and the
 * governor: one that fails is tried again after the others, and told then. */
static int undo_entry(struct journal *journal, struct journal_entry *entry, bool force, bool last,
		      struct outcomes *outcomes)
{
	bool plan = outcomes->common->dry_run;
	struct outcome outcome;
	char *id = NULL, *path = NULL;
	int err = 0;

	/* The entry is gone with what is put back. The ids have a blank before and behind them. */
	text_set(&id, "%.*s", (int)strlen(entry->ids) - 2, entry->ids + 1);
	text_set(&path, "%s", entry->path);
	if (entry->whole && plan)
		persist_plan_undo(journal->tree, entry, force, &outcome);
	else if (entry->whole)
		err = persist_undo(journal, entry, force, &outcome);
	else if (plan)
		change_plan_undo(journal->tree, entry, force, &outcome);
	else
		err = change_undo(journal, entry, force, &outcome);
	if (outcome.result == RESULT_FAILED && !last) {
		entry->again = true;
		outcome_free(&outcome);
	} else {
		outcomes_add(outcomes, id, "", path, &outcome);
	}
	free(path);
	free(id);
	return err;
}

/* A journal that cannot be written stops nothing: its entries stay, and are found done. */
static int undo_all(struct journal *journal, bool force, struct outcomes *outcomes)
{
	const char *only = outcomes->common->only;
	int err = 0;

	for (unsigned i = journal->count; i--;) {
		struct journal_entry *entry = &journal->entries[i];

		if ((!only || journal_entry_is_of(entry, only)) &&
		    undo_entry(journal, entry, force, false, outcomes))
			err = -EIO;
	}
	for (unsigned i = journal->count; i--;) {
		struct journal_entry *entry = &journal->entries[i];

		if (entry->again && undo_entry(journal, entry, force, true, outcomes))
			err = -EIO;
	}
	return err;
}

static bool take_force(int *argc, char **argv)
{
	if (*argc < 2 || strcmp(argv[1], "--force") != 0)
		return false;
	for (int i = 1; i < *argc; i++)
		argv[i] = argv[i + 1];
	(*argc)--;
	return true;
}

int command_undo(const struct common *common, int argc, char **argv)
{
	struct machine machine;
	struct outcomes outcomes;
	struct journal journal;
	bool force = take_force(&argc, argv);
	char *nothing = NULL;
	int code = take_nothing(argc, argv), err;

	if (!code)
		code = take_machine(common, &machine);
	if (code)
		return code;
	journal_init(&journal, &machine.tree);
	outcomes_begin(&outcomes, "undo", common, &machine);
	err = journal_open(&journal, false);
	text_set(&nothing, "there is nothing to undo: %s%s%s",
		 err ? "there is no journal" : "the journal has nothing of ",
		 err          ? "" :
		 common->only ? common->only :
				"anything",
		 err && geteuid() && !tree_has(&machine.tree, "/run/peal/" JOURNAL_NAME) ?
			 " of yours, but one of root's: undo as root" :
			 "");
	if (!err)
		err = undo_all(&journal, force, &outcomes);
	outcomes.broken = err && err != -ENOENT;
	outcomes_close(&outcomes);
	journal_close(&journal);
	code = outcomes_end(&outcomes, nothing);
	free(nothing);
	return code;
}
