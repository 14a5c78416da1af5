/*
 * SPDX-License-Identifier: MIT
 *
 * Changes made to last. A file is replaced by renaming a new one over it, so that whoever reads it
 * sees the old or the new.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/peal-tune/finding.h"
#include "tools/peal-tune/persist.h"
#include "tools/peal-tune/shell.h"

#define MARK "# Made by \"peal-tune apply --persist\", which adds to it and replaces its lines.\n"
#define HEAD                                                                                     \
	MARK "# \"peal-tune undo\" takes them back until the machine is restarted; then remove " \
	     "this file.\n"
#define SYSCTL "/proc/sys/"
#define LARGEST (1 << 20)

/* --- lines ------------------------------------------------------------------------------------ */

/* "net.ipv4.conf.eth0/1.mtu": slashes become dots, and dots slashes. */
static void put_sysctl_name(char **line, const char *path)
{
	text_set(line, "%s", path + strlen(SYSCTL));
	for (char *c = *line; *c; c++)
		*c = *c == '/' ? '.' : *c == '.' ? '/' : *c;
}

/* % begins a specifier there. */
static void put_doubled(char **line, const char *value)
{
	for (; *value; value++)
		text_set(line, "%s%c%s", *line, *value, *value == '%' ? "%" : "");
}

void persist_add(struct persist_lines *lines, enum persist persist, const char *path,
		 const char *value)
{
	char *line = NULL, **to = &lines->tmpfiles;

	if (persist == PERSIST_SYSCTL && !strncmp(path, SYSCTL, strlen(SYSCTL))) {
		to = &lines->sysctl;
		put_sysctl_name(&line, path);
		text_set(&line, "%s = %s", line, value);
	} else if (persist == PERSIST_SYSCTL || persist == PERSIST_TMPFILES) {
		text_set(&line, "w %s - - - - ", path);
		put_doubled(&line, value);
	} else {
		return;
	}
	text_set(to, "%s%s\n", *to ? *to : "", line);
	free(line);
}

bool persist_has(const struct persist_lines *lines, const char *path)
{
	char *line = NULL;
	bool has;

	text_set(&line, "w %s ", path);
	has = lines->tmpfiles && strstr(lines->tmpfiles, line);
	free(line);
	return has;
}

void persist_free(struct persist_lines *lines)
{
	free(lines->sysctl);
	free(lines->tmpfiles);
	*lines = (struct persist_lines){ NULL, NULL };
}

/* What a line is about: its first two words of tmpfiles.d ("w PATH"), or those up to "=". */
static size_t key_length(const char *line)
{
	size_t length = strcspn(line, "=\n");

	if (line[length] == '=')
		while (length && line[length - 1] == ' ')
			length--;
	if (!strncmp(line, "w ", 2))
		length = 2 + strcspn(line + 2, " \n");
	return length;
}

/* Whether one of lines is about the same. */
static bool is_replaced(const char *line, const char *lines)
{
	size_t length = key_length(line);

	for (; *lines; lines += strcspn(lines, "\n"), lines += *lines == '\n')
		if (key_length(lines) == length && !memcmp(lines, line, length))
			return true;
	return false;
}

/* Puts those of lines behind text that no later one replaces. */
static void put_last(char **text, const char *lines, const char *later)
{
	while (*lines) {
		size_t length = strcspn(lines, "\n");
		const char *next = lines + length + (lines[length] == '\n');

		if (*lines == '#' || (!is_replaced(lines, later ? later : next)))
			text_set(text, "%s%.*s\n", *text, (int)length, lines);
		lines = next;
	}
}

static char *merge(const char *old, const char *lines)
{
	char *text = NULL;

	text_set(&text, "%s", old ? "" : HEAD);
	put_last(&text, old ? old : "", lines);
	put_last(&text, lines, NULL);
	return text;
}

/* --- files ------------------------------------------------------------------------------------ */

/* The file as it is; *text is NULL where there is none. 0 or a negative errno; -ELOOP: it is a
 * symbolic link, instead of which undo could only put back a file. */
static int read_whole(const char *path, char **text)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	int err = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &status))
		err = -errno;
	else if (!S_ISREG(status.st_mode) || status.st_size > LARGEST)
		err = -EFBIG;
	if (!err) {
		text_set(text, "%*s", (int)status.st_size, "");
		if (read(fd, *text, (size_t)status.st_size) != status.st_size)
			err = -EIO;
		else if (strlen(*text) != (size_t)status.st_size)
			err = -EINVAL;
	}
	close(fd);
	return err;
}

static void sync_folder(const char *path)
{
	char *folder = NULL;
	int fd;

	text_set(&folder, "%.*s", (int)(strrchr(path, '/') - path), path);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(folder);
}

/* text: NULL takes the file away. What a kill left behind goes too. */
static int replace_whole(const char *path, const char *text)
{
	char *fresh = NULL;
	int fd, err = 0;
	ssize_t put;

	text_set(&fresh, "%s.new", path);
	if (unlink(fresh) && errno != ENOENT)
		err = -errno;
	if (!err && !text) {
		if (unlink(path) && errno != ENOENT)
			err = -errno;
		goto out;
	}
	fd = err ? -1 : open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0) {
		err = err ? err : -errno;
		goto out;
	}
	put = write(fd, text, strlen(text));
	if (put < 0 || fchmod(fd, 0644) || fsync(fd))
		err = -errno;
	else if ((size_t)put != strlen(text))
		err = -ENOSPC;
	close(fd);
	if (!err && rename(fresh, path))
		err = -errno;
	if (err)
		unlink(fresh);
out:
	if (!err)
		sync_folder(path);
	free(fresh);
	return err;
}

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* For a line of the report: the text itself is long. */
static void sum_up(char **sum, const char *text)
{
	unsigned lines = 0;

	for (; text && *text; text++)
		lines += *text == '\n';
	if (text)
		text_set(sum, "%u lines", lines);
	else
		text_set(sum, "%s", "no file");
}

static void tell_failure(struct outcome *outcome, int err)
{
	outcome->result = err == -EACCES || err == -EPERM || err == -EROFS ? RESULT_DENIED :
									     RESULT_FAILED;
	if (err == -ENOENT)
		text_set(&outcome->why, "there is no such folder: what would read it is not "
					"installed here, so have these lines written at start by "
					"other means");
	else
		text_set(&outcome->why, "it could not be written: %s%s", strerror(-err),
			 outcome->result == RESULT_DENIED && err != -EROFS && geteuid() ?
				 ": as root" :
				 "");
}

/* Replaces, reads back, notes. */
static int replace_and_judge(struct journal *journal, const char *whole, const char *path,
			     const char *text, struct outcome *outcome)
{
	char *now = NULL;
	int err = replace_whole(whole, text), err_of_journal = 0;

	if (read_whole(whole, &now)) {
		tell_failure(outcome, err ? err : -EIO);
	} else {
		err_of_journal = journal_done(journal, path, now);
		sum_up(&outcome->now, now);
		outcome->result = RESULT_DONE;
		if (!same(now, text))
			tell_failure(outcome, err ? err : -EIO);
	}
	free(now);
	return err_of_journal;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* Whether the file may be replaced. */
static int may_replace(const char *whole)
{
	char *folder = NULL;
	int err = 0;

	text_set(&folder, "%.*s", (int)(strrchr(whole, '/') - whole), whole);
	if (access(folder, W_OK | X_OK))
		err = -errno;
	free(folder);
	return err;
}

static int write_file(struct journal *journal, const char *path, const char *lines,
		      struct outcomes *outcomes)
{
	const struct tree *tree = journal->tree;
	struct outcome outcome = { .result = RESULT_ALREADY };
	char *whole = NULL, *old = NULL, *text = NULL;
	int err;

	text_set(&whole, "%s%s", tree->root, path);
	err = read_whole(whole, &old);
	if (err) {
		outcome.result = RESULT_FAILED;
		if (err == -ELOOP)
			text_set(&outcome.why, "it is a symbolic link, which peal-tune leaves "
					       "alone: put a file there");
		else
			text_set(&outcome.why, "it could not be read: %s", strerror(-err));
		err = 0;
		goto out;
	}
	if (old && strncmp(old, MARK, strlen(MARK)) != 0) {
		outcome.result = RESULT_FAILED;
		text_set(&outcome.why, "it was not made by peal-tune, which leaves it alone: give "
				       "it another name");
		goto out;
	}
	text = merge(old, lines);
	sum_up(&outcome.was, old);
	sum_up(&outcome.wanted, text);
	if (same(old, text)) {
		sum_up(&outcome.now, old);
		goto out;
	}
	if (outcomes->common->dry_run) {
		outcome.result = RESULT_PLANNED;
		shell_file(&outcome.command, tree, path, text);
		goto out;
	}
	err = may_replace(whole);
	if (err) {
		tell_failure(&outcome, err);
		shell_file(&outcome.command, tree, path, text);
		err = 0;
		goto out;
	}
	err = journal_open(journal, true);
	if (!err)
		err = journal_file(journal, PERSIST_ID, path, old, text);
	if (!err)
		err = replace_and_judge(journal, whole, path, text, &outcome);
	else
		outcome.result = RESULT_FAILED;
out:
	outcomes_add(outcomes, PERSIST_ID, "", path, &outcome);
	free(text);
	free(old);
	free(whole);
	return err;
}

int persist_write(struct journal *journal, const struct persist_lines *lines,
		  struct outcomes *outcomes)
{
	int err = 0;

	if (lines->sysctl)
		err = write_file(journal, "/etc/sysctl.d/90-peal.conf", lines->sysctl, outcomes);
	if (!err && lines->tmpfiles)
		err = write_file(journal, PERSIST_FILE, lines->tmpfiles, outcomes);
	return err;
}

/* --- taking back ------------------------------------------------------------------------------ */

/* Whether there is something to put back; else it is told. */
static bool look_back(const char *whole, const struct journal_entry *entry, bool force,
		      struct outcome *outcome)
{
	char *now = NULL;
	int err = read_whole(whole, &now);
	bool ours;

	*outcome = (struct outcome){ .result = RESULT_ALREADY };
	sum_up(&outcome->wanted, entry->old);
	if (err) {
		tell_failure(outcome, err);
		return false;
	}
	sum_up(&outcome->was, now);
	ours = same(now, entry->value) || (entry->known && same(now, entry->seen));
	if (same(now, entry->old)) {
		text_set(&outcome->now, "%s", outcome->was);
	} else if (!ours && !force) {
		outcome->result = RESULT_FOREIGN;
		text_set(&outcome->now, "%s", outcome->was);
		text_set(&outcome->why,
			 "somebody else has changed it since: --force puts back what "
			 "was there before all the same");
	}
	free(now);
	return outcome->result == RESULT_ALREADY && !outcome->now;
}

void persist_plan_undo(const struct tree *tree, const struct journal_entry *entry, bool force,
		       struct outcome *outcome)
{
	char *whole = NULL;

	text_set(&whole, "%s%s", tree->root, entry->path);
	if (look_back(whole, entry, force, outcome)) {
		outcome->result = RESULT_PLANNED;
		if (entry->old)
			shell_file(&outcome->command, tree, entry->path, entry->old);
		else
			shell_remove(&outcome->command, tree, entry->path);
	}
	free(whole);
}

int persist_undo(struct journal *journal, const struct journal_entry *entry, bool force,
		 struct outcome *outcome)
{
	char *whole = NULL, *path = NULL, *old = NULL;
	int err = 0;

	text_set(&whole, "%s%s", journal->tree->root, entry->path);
	if (look_back(whole, entry, force, outcome)) {
		text_set(&path, "%s", entry->path);
		if (entry->old)
			text_set(&old, "%s", entry->old);
		err = replace_and_judge(journal, whole, path, old, outcome);
		free(old);
		free(path);
	} else if (outcome->result == RESULT_ALREADY) {
		/* A kill may have left the new one beside it. */
		replace_whole(whole, entry->old);
		err = journal_done(journal, entry->path, entry->old);
	}
	free(whole);
	return err;
}
