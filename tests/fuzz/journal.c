/*
 * SPDX-License-Identifier: MIT
 *
 * Fuzz target: peal-tune's journal, read from a file with anything in it, added to, and read again:
 * what is in it then is what the first one had in memory.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/bytes.h"
#include "tools/peal-tune/journal.h"

#define TITLE "peal-tune journal 1\n"

static char root[64], path[128];

int __wrap_fsync(int fd);

/* It is read by this process alone. */
int __wrap_fsync(int fd)
{
	(void)fd;
	return 0;
}

static void remove_root(void)
{
	char folder[128];

	unlink(path);
	snprintf(folder, sizeof(folder), "%s/run/peal", root);
	rmdir(folder);
	snprintf(folder, sizeof(folder), "%s/run", root);
	rmdir(folder);
	rmdir(root);
}

static void make_root(void)
{
	const char *base = getenv("TMPDIR");
	char folder[128];

	if (root[0])
		return;
	snprintf(root, sizeof(root), "%.32s/peal-fuzz-XXXXXX", base ? base : "/tmp");
	must(mkdtemp(root), "a folder");
	snprintf(folder, sizeof(folder), "%s/run", root);
	must(!mkdir(folder, 0700), "a folder in it");
	snprintf(folder, sizeof(folder), "%s/run/peal", root);
	must(!mkdir(folder, 0700), "a folder in that");
	snprintf(path, sizeof(path), "%s/run/peal/" JOURNAL_NAME, root);
	atexit(remove_root);
}

static void write_file(struct bytes *bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool titled = bytes_below(bytes, 8) != 0;

	must(fd >= 0, "a file");
	if (titled)
		must(write(fd, TITLE, strlen(TITLE)) > 0, "a title");
	if (bytes->left)
		must(write(fd, bytes->at, bytes->left) == (ssize_t)bytes->left, "lines");
	close(fd);
}

static void check_entries(const struct journal *journal)
{
	for (unsigned i = 0; i < journal->count; i++) {
		const struct journal_entry *entry = &journal->entries[i];

		must(entry->ids && entry->path && entry->path[0] == '/', "an entry");
		must(!strstr(entry->path, "/../"), "a path that leads nowhere else");
		must(entry->whole || (entry->old && entry->value), "what was there before");
		must(journal_find(journal, entry->path) == entry, "a path has one entry");
	}
}

static bool same(const char *one, const char *other)
{
	return one && other ? !strcmp(one, other) : !one && !other;
}

/* What is not known need not be the same. */
static void expect_same(const struct journal *before, const struct journal *after)
{
	must_be(before->count == after->count, "as many entries", after->count);
	for (unsigned i = 0; i < before->count; i++) {
		const struct journal_entry *one = &before->entries[i], *other = &after->entries[i];

		must(same(one->path, other->path) && same(one->old, other->old) &&
			     same(one->value, other->value) && same(one->ids, other->ids) &&
			     one->whole == other->whole && one->persist == other->persist &&
			     one->known == other->known,
		     "the same entry");
	}
}

static void add(struct bytes *bytes, struct journal *journal)
{
	char where[32] = "/proc/", old[32], value[32];

	bytes_text(bytes, where + 6, 8);
	bytes_text(bytes, old, sizeof(old));
	bytes_text(bytes, value, sizeof(value));
	if (strstr(where, "/../"))
		return;
	must(!journal_write(journal, "check", where, old, value, PERSIST_SYSCTL), "a line");
	if (bytes_below(bytes, 2))
		must(!journal_done(journal, where, value), "a line");
	if (bytes_below(bytes, 4) == 1)
		must(!journal_forget(journal, where), "a line");
	must(!journal_file(journal, "persist", "/etc/some", bytes_below(bytes, 2) ? old : NULL,
			   value),
	     "a line");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { .at = data, .left = size };
	struct tree tree = { .root = root };
	struct journal journal, again;

	make_root();
	write_file(&bytes);
	journal_init(&journal, &tree);
	if (!journal_open(&journal, true)) {
		check_entries(&journal);
		add(&bytes, &journal);
		check_entries(&journal);
		/* Whoever reads it next, now that nobody has it locked, finds the same. */
		must(!close(journal.fd), "the first one ends");
		journal.fd = -1;
		journal_init(&again, &tree);
		must(!journal_open(&again, false), "it can be read again");
		expect_same(&journal, &again);
		journal_close(&again);
	}
	journal_close(&journal);
	return 0;
}
