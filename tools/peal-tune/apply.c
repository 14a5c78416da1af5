/*
 * SPDX-License-Identifier: MIT
 *
 * "apply": writes what the checks found wrong and can be written, and says what is left to the
 * user. It decides nothing: that is the checks' work.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/peal-tune/change.h"
#include "tools/peal-tune/finding.h"
#include "tools/peal-tune/journal.h"
#include "tools/peal-tune/outcome.h"
#include "tools/peal-tune/persist.h"
#include "tools/peal-tune/proof.h"
#include "tools/peal-tune/report.h"

static bool is_wrong(const struct finding *finding)
{
	return finding->status == STATUS_WARN || finding->status == STATUS_FAIL;
}

static bool is_to_last(const struct outcome *outcome)
{
	return outcome->result == RESULT_DONE || outcome->result == RESULT_ALREADY ||
	       outcome->result == RESULT_PARTLY || outcome->result == RESULT_PLANNED;
}

/* All files of one finding. Those that say so already are no less to say so after the next boot. */
static int apply_finding(struct journal *journal, const struct finding *finding,
			 struct persist_lines *lines, struct outcomes *outcomes)
{
	const struct fix *fix = &finding->fix;
	int err = 0;

	for (unsigned i = 0; i < fix->count && !err; i++) {
		const struct change change = { finding->check->id, fix->paths[i], fix->value,
					       fix->persist, fix->capability };
		struct outcome outcome;

		if (outcomes->common->dry_run)
			change_plan(journal->tree, &change, &outcome);
		else
			err = change_make(journal, &change, &outcome);
		if (!err && is_to_last(&outcome))
			persist_add(lines, change.persist, change.path, change.value);
		/* Also what was written before the journal failed. */
		if (outcome.wanted)
			outcomes_add(outcomes, change.id, finding->scope, change.path, &outcome);
	}
	return err;
}

/* What was written before is made to last with what is written now. */
static int find_earlier(struct journal *journal, const struct common *common,
			struct persist_lines *lines)
{
	int err = journal_open(journal, false);

	for (unsigned i = 0; i < journal->count && !err; i++) {
		const struct journal_entry *entry = &journal->entries[i];

		if (!entry->whole && (!common->only || journal_entry_is_of(entry, common->only)))
			persist_add(lines, entry->persist, entry->path, entry->value);
	}
	return err == -ENOENT ? 0 : err;
}

/* What cannot be written, or cannot be made to last by a file of ours. */
static void tell_by_hand(const struct finding *finding, struct outcomes *outcomes)
{
	static const char *const kinds[] = {
		[PERSIST_BOOT] = "boot",
		[PERSIST_LIMITS] = "limits",
		[PERSIST_OTHER] = "setting",
	};
	const struct fix *fix = &finding->fix;
	const char *kind = fix->persist <= PERSIST_OTHER ? kinds[fix->persist] : NULL;

	if (!is_wrong(finding) && finding->status != STATUS_REBOOT)
		return;
	if (!fix->count && fix->command)
		outcomes_by_hand(outcomes, finding->check->id, finding->scope, "command",
				 fix->command);
	if (kind && fix->persist_line && (!fix->count || outcomes->common->persist))
		outcomes_by_hand(outcomes, finding->check->id, finding->scope, kind,
				 fix->persist_line);
}

int command_apply(const struct common *common, int argc, char **argv)
{
	struct machine machine;
	struct findings findings = { .all = NULL };
	struct outcomes outcomes;
	struct persist_lines lines = { NULL, NULL };
	struct journal journal;
	struct proof before, after;
	bool measured = false;
	int code = take_nothing(argc, argv), err = 0;

	if (!code)
		code = take_machine(common, &machine);
	if (code)
		return code;
	checks_run(&machine, common->only, &findings);
	if (common->measure && !common->dry_run)
		measured = proof_take(&machine, &before);
	journal_init(&journal, &machine.tree);
	outcomes_begin(&outcomes, "apply", common, &machine);
	if (common->persist)
		err = find_earlier(&journal, common, &lines);
	for (unsigned i = 0; i < findings.count && !err; i++)
		if (is_wrong(&findings.all[i]))
			err = apply_finding(&journal, &findings.all[i], &lines, &outcomes);
	if (!err && common->persist)
		err = persist_write(&journal, &lines, &outcomes);
	outcomes.broken = err != 0;
	outcomes_close(&outcomes);
	outcomes_begin_by_hand(&outcomes);
	for (unsigned i = 0; i < findings.count; i++)
		tell_by_hand(&findings.all[i], &outcomes);
	outcomes_close(&outcomes);
	if (measured && proof_take(&machine, &after))
		outcomes_measured(&outcomes, &before, &after);
	journal_close(&journal);
	persist_free(&lines);
	findings_free(&findings);
	return outcomes_end(&outcomes, "there is nothing to write");
}
