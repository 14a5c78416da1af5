/*
 * SPDX-License-Identifier: MIT
 *
 * The journal of what was changed: where it is, who may have written it, its lines, and what they
 * come to. It knows nothing of the files that it tells of.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/peal-tune/finding.h"
#include "tools/peal-tune/journal.h"
#include "tools/peal-tune/value.h"

#define TITLE "peal-tune journal 1\n"
#define LARGEST (64 << 20)
#define FIELDS_MOST 6

static const char *const lasts[] = {
	[PERSIST_NONE] = "-",
	[PERSIST_SYSCTL] = "sysctl",
	[PERSIST_TMPFILES] = "tmpfiles",
};

static __attribute__((format(printf, 2, 3))) int refuse(int err, const char *format, ...)
{
	va_list arguments;

	fputs("peal-tune: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return err;
}

void journal_init(struct journal *journal, const struct tree *tree)
{
	*journal = (struct journal){ .tree = tree, .fd = -1 };
}

/* --- entries ---------------------------------------------------------------------------------- */

static char *copy(const char *text)
{
	char *copied = NULL;

	if (text)
		text_set(&copied, "%s", text);
	return copied;
}

struct journal_entry *journal_find(const struct journal *journal, const char *path)
{
	for (unsigned i = 0; i < journal->count; i++)
		if (!strcmp(journal->entries[i].path, path))
			return &journal->entries[i];
	return NULL;
}

bool journal_entry_is_of(const struct journal_entry *entry, const char *id)
{
	size_t length = strlen(id);

	for (const char *at = entry->ids; (at = strstr(at, id)); at += length)
		if (length && at[-1] == ' ' && at[length] == ' ')
			return true;
	return false;
}

static void entry_free(struct journal_entry *entry)
{
	free(entry->ids);
	free(entry->path);
	free(entry->old);
	free(entry->value);
	free(entry->seen);
}

static void entry_drop(struct journal *journal, struct journal_entry *entry)
{
	struct journal_entry *end = journal->entries + journal->count;

	entry_free(entry);
	memmove(entry, entry + 1, (size_t)(end - entry - 1) * sizeof(*entry));
	journal->count--;
}

static struct journal_entry *entry_add(struct journal *journal, const char *path, const char *old)
{
	size_t size = (journal->count + 1) * sizeof(*journal->entries);
	struct journal_entry *entries = realloc(journal->entries, size), *entry;

	if (!entries) {
		refuse(0, "there is no memory left");
		exit(70);
	}
	journal->entries = entries;
	entry = &entries[journal->count++];
	*entry = (struct journal_entry){ .ids = copy(" "), .path = copy(path), .old = copy(old) };
	return entry;
}

/* What others have put into a pool of huge pages since we wrote it, or taken, is not ours to take
 * back: as if that had been so before. */
static void move_base(struct journal_entry *entry, const char *old)
{
	static const char pool[] = "/nr_hugepages";
	size_t length = strlen(entry->path);
	int64_t base, seen, now;

	if (length < strlen(pool) || strcmp(entry->path + length - strlen(pool), pool) != 0 ||
	    !entry->known || !entry->seen || !entry->old || parse_number(entry->old, &base) ||
	    parse_number(entry->seen, &seen) || parse_number(old, &now) || now == seen)
		return;
	base += now - seen;
	text_set(&entry->old, "%" PRId64, base > 0 ? base : 0);
}

/* A file that was written before keeps the value that it had before the first. */
static struct journal_entry *take_write(struct journal *journal, const char *id, const char *path,
					const char *old, const char *value)
{
	struct journal_entry *entry = journal_find(journal, path);
	char *ids = NULL;

	if (!entry)
		entry = entry_add(journal, path, old);
	else if (old)
		move_base(entry, old);
	if (!journal_entry_is_of(entry, id)) {
		text_set(&ids, "%s%s ", entry->ids, id);
		free(entry->ids);
		entry->ids = ids;
	}
	free(entry->value);
	entry->value = copy(value);
	entry->known = false;
	return entry;
}

static bool entry_says(const struct journal_entry *entry, const char *seen)
{
	if (!entry->old || !seen)
		return !entry->old && !seen;
	return entry->whole ? !strcmp(entry->old, seen) : value_same(entry->old, seen);
}

static void take_done(struct journal *journal, const char *path, const char *seen)
{
	struct journal_entry *entry = journal_find(journal, path);

	if (!entry)
		return;
	free(entry->seen);
	entry->seen = copy(seen);
	entry->known = true;
	if (entry_says(entry, seen))
		entry_drop(journal, entry);
}

/* --- lines ------------------------------------------------------------------------------------ */

/* Puts a field behind the others of a line. */
static void put_field(char **line, const char *text)
{
	size_t used = strlen(*line), length = text ? strlen(text) : 0;
	char *longer = NULL, *to;

	text_set(&longer, "%s%*s", *line, (int)(length * 3 + 2), "");
	to = longer + used;
	if (used)
		*to++ = '\t';
	if (!text)
		*to++ = '-';
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte < ' ' || byte == 0x7f || byte == '%' || (byte == '-' && length == 1))
			to += sprintf(to, "%%%02X", byte);
		else
			*to++ = (char)byte;
	}
	*to = '\0';
	free(*line);
	*line = longer;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In place. False: it is no field, or has a zero in it. */
static bool take_field(char *text)
{
	char *to = text;

	for (; *text; text++) {
		int high, low;

		if (*text != '%') {
			*to++ = *text;
			continue;
		}
		high = hex_digit(text[1]);
		low = high < 0 ? -1 : hex_digit(text[2]);
		if (low < 0 || !(high * 16 + low))
			return false;
		*to++ = (char)(high * 16 + low);
		text += 2;
	}
	*to = '\0';
	return true;
}

/* The paths of undo are written to by root: none may lead anywhere else. */
static bool is_path(const char *path)
{
	return *path == '/' && !strstr(path, "/../") && strlen(path) < PATH_MAX;
}

static bool take_lasts(const char *name, enum persist *persist)
{
	for (unsigned i = 0; i < sizeof(lasts) / sizeof(lasts[0]); i++) {
		if (!lasts[i] || (name ? strcmp(name, lasts[i]) != 0 : i != PERSIST_NONE))
			continue;
		*persist = (enum persist)i;
		return true;
	}
	return false;
}

/* Files of the kernel's begin anew when it does; others last. */
static void take_boot(struct journal *journal, const char *boot)
{
	bool other = journal->boot && strcmp(journal->boot, boot) != 0;

	for (unsigned i = journal->count; other && i--;) {
		if (journal->entries[i].whole)
			continue;
		entry_drop(journal, &journal->entries[i]);
		journal->outdated = true;
	}
	text_set(&journal->boot, "%s", boot);
}

/* What became of an entry. Only a file that is replaced as a whole can be missing. */
static bool take_note(struct journal *journal, char *const fields[], unsigned count)
{
	struct journal_entry *entry = journal_find(journal, fields[1]);

	if (!strcmp(fields[0], "done") && count == 3) {
		if (entry && !entry->whole && !fields[2])
			return false;
		take_done(journal, fields[1], fields[2]);
	} else if (!strcmp(fields[0], "undo") && count == 2) {
		if (entry)
			entry->known = false;
	} else if (!strcmp(fields[0], "forget") && count == 2) {
		if (entry)
			entry_drop(journal, entry);
	} else if (!strcmp(fields[0], "boot") && count == 2) {
		take_boot(journal, fields[1]);
	} else {
		return false;
	}
	return true;
}

static bool take_line(struct journal *journal, char *line)
{
	char *fields[FIELDS_MOST] = { NULL };
	unsigned count = 0;
	char *field;

	while ((field = strsep(&line, "\t"))) {
		if (count == FIELDS_MOST)
			return false;
		fields[count] = strcmp(field, "-") != 0 ? field : NULL;
		if (fields[count] && !take_field(field))
			return false;
		count++;
	}
	if (!fields[0] || !fields[1])
		return false;
	if (count < 4)
		return take_note(journal, fields, count);
	if (count < 5 || !fields[2] || !is_path(fields[2]))
		return false;
	if (!strcmp(fields[0], "file") && count == 5) {
		take_write(journal, fields[1], fields[2], fields[3], fields[4])->whole = true;
		return true;
	}
	if (strcmp(fields[0], "write") != 0 || count != 6 || !fields[3] || !fields[4])
		return false;
	return take_lasts(
		fields[5],
		&take_write(journal, fields[1], fields[2], fields[3], fields[4])->persist);
}

/* --- the file --------------------------------------------------------------------------------- */

/* What a journal, or its folder, must be: another's could have this user's files, root's above all,
 * written full of anything. */
static int check_owner(int fd, const char *path, bool folder)
{
	struct stat status;

	if (fstat(fd, &status))
		return refuse(-errno, "%s: %s", path, strerror(errno));
	if (folder ? !S_ISDIR(status.st_mode) : !S_ISREG(status.st_mode))
		return refuse(-EPERM, "%s is no %s: remove it", path, folder ? "folder" : "file");
	if (status.st_uid != geteuid())
		return refuse(-EPERM,
			      "%s belongs to user %u, not to %u: run peal-tune as that user, "
			      "or remove it",
			      path, status.st_uid, geteuid());
	if (status.st_mode & 022)
		return refuse(-EPERM,
			      "others may write to %s (mode %04o), so what is in it may be "
			      "anything: look into it, then chmod go-w it",
			      path, status.st_mode & 07777);
	return 0;
}

/* Opens the folder of the journal: base + "/peal". -ENOENT: there is none. In /run it has the names
 * of root's servers, too, so all must get into it, whatever the umask is. */
static int open_folder(struct journal *journal, const char *base, bool make)
{
	bool made;
	int fd, err = 0;

	text_set(&journal->path, "%s/peal", base);
	made = make && !mkdir(journal->path, 0755);
	if (make && !made && errno != EEXIST)
		return -EACCES;
	fd = open(journal->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		err = errno == ENOENT ? -ENOENT :
					refuse(-EPERM, "%s: %s", journal->path,
					       errno == ENOTDIR || errno == ELOOP ?
						       "it is no folder: remove it" :
						       strerror(errno));
	else
		err = check_owner(fd, journal->path, true);
	if (!err && made && fchmod(fd, 0755))
		err = refuse(-EPERM, "%s: %s", journal->path, strerror(errno));
	if (err && fd >= 0)
		close(fd);
	text_set(&journal->path, "%s/peal/" JOURNAL_NAME, base);
	return err ? err : fd;
}

/* The folder of another user, as root may have it after su or sudo, is none of ours. */
static bool is_own(const char *path)
{
	struct stat status;

	return *path == '/' && !stat(path, &status) && status.st_uid == geteuid();
}

/* Who owns a root that is not the real one could have links in it that lead out of it. */
static int check_root(const char *root)
{
	struct stat status;

	if (stat(root, &status))
		return refuse(-EPERM, "%s: %s", root, strerror(errno));
	if (status.st_uid != geteuid())
		return refuse(-EPERM,
			      "%s belongs to user %u, not to %u, and may have links in it that "
			      "lead anywhere: run peal-tune as that user, or copy it",
			      root, status.st_uid, geteuid());
	return 0;
}

/* Root's is in /run/peal; another's, and root's where /run cannot be written, in the user's runtime
 * folder. A root that is not the real one has its own. */
static int find_folder(struct journal *journal, bool make)
{
	const char *own = getenv("XDG_RUNTIME_DIR");
	bool live = tree_is_live(journal->tree);
	char *base = NULL;
	int fd = -ENOENT, err = live || !make ? 0 : check_root(journal->tree->root);

	if (err)
		return err;
	if (!live || !geteuid()) {
		text_set(&base, "%s/run", journal->tree->root);
		if (make && !live)
			mkdir(base, 0755);
		fd = open_folder(journal, base, make);
		free(base);
	}
	if (live && fd < 0 && fd != -EPERM && own && is_own(own))
		fd = open_folder(journal, own, make);
	if (!live && fd >= 0 && check_root(journal->tree->root)) {
		close(fd);
		return -EPERM;
	}
	if (make && fd < 0 && fd != -EPERM)
		return refuse(-EPERM,
			      "there is no place for the journal, without which nothing is "
			      "changed: %s",
			      live ? "set XDG_RUNTIME_DIR to a folder of yours" :
				     "let /run in the root be written to");
	return fd;
}

/* Reads what is there; what was torn off by a kill is cut off. */
static int read_lines(struct journal *journal)
{
	char *text = NULL, *line, *rest;
	struct stat status;
	size_t length, title = strlen(TITLE);
	unsigned number = 1;
	int err = 0;

	if (fstat(journal->fd, &status))
		return refuse(-errno, "%s: %s", journal->path, strerror(errno));
	if (status.st_size > LARGEST)
		return refuse(-EFBIG, "%s has %lld bytes, and %d are the most: remove it",
			      journal->path, (long long)status.st_size, LARGEST);
	length = (size_t)status.st_size;
	text_set(&text, "%*s", (int)length, "");
	if (pread(journal->fd, text, length, 0) != (ssize_t)length) {
		err = refuse(-EIO, "%s could not be read: %s", journal->path, strerror(errno));
		goto out;
	}
	text[length] = '\0';
	if (strlen(text) != length) {
		err = refuse(-EINVAL, "%s has zeros in it: remove it", journal->path);
		goto out;
	}
	rest = strrchr(text, '\n');
	length = rest ? (size_t)(rest + 1 - text) : 0;
	text[length] = '\0';
	if (length && strncmp(text, TITLE, title) != 0) {
		err = refuse(-EINVAL,
			     "%s was not written by this version of peal-tune, which begins "
			     "with \"%.*s\": undo with that one",
			     journal->path, (int)title - 1, TITLE);
		goto out;
	}
	if (length != (size_t)status.st_size && ftruncate(journal->fd, (off_t)length)) {
		err = refuse(-errno, "%s: %s", journal->path, strerror(errno));
		goto out;
	}
	rest = text + (length ? title : 0);
	while (*rest) {
		line = strsep(&rest, "\n");
		number++;
		if (take_line(journal, line))
			continue;
		err = refuse(-EINVAL,
			     "line %u of %s cannot be understood: take it out, or put back "
			     "by hand what the journal tells and remove it",
			     number, journal->path);
		goto out;
	}
out:
	free(text);
	return err;
}

/* Appends in one write, and waits until it is there: all of it, or nothing. */
static int append(struct journal *journal, const char *text)
{
	off_t end = lseek(journal->fd, 0, SEEK_END);
	size_t length = strlen(text);
	ssize_t put = end < 0 ? -1 : write(journal->fd, text, length);

	journal->touched = true;
	if (put == (ssize_t)length && !fsync(journal->fd))
		return 0;
	if (put >= 0 && put != (ssize_t)length)
		errno = ENOSPC;
	refuse(0, "%s could not be written: %s", journal->path, strerror(errno));
	if (end >= 0 && ftruncate(journal->fd, end))
		refuse(0, "%s could not be cut back: %s", journal->path, strerror(errno));
	return -EIO;
}

/* The file may have been taken away by who had it locked; then it is opened anew. */
static int open_locked(struct journal *journal, int folder, bool make)
{
	int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (make ? O_CREAT : 0);
	struct stat status;
	int err;

	for (;;) {
		journal->fd = openat(folder, JOURNAL_NAME, flags, 0600);
		if (journal->fd < 0 && errno == ENOENT)
			return -ENOENT;
		if (journal->fd < 0)
			return refuse(-EPERM, "%s: %s", journal->path,
				      errno == ELOOP ? "it is a symbolic link, which peal-tune "
						       "never makes: remove it" :
						       strerror(errno));
		err = check_owner(journal->fd, journal->path, false);
		if (err)
			break;
		if (flock(journal->fd, LOCK_EX | LOCK_NB)) {
			err = errno == EWOULDBLOCK ?
				      refuse(-EBUSY,
					     "another peal-tune is changing things, and has "
					     "%s locked: try again when it is done",
					     journal->path) :
				      refuse(-errno, "%s: %s", journal->path, strerror(errno));
			break;
		}
		if (!fstat(journal->fd, &status) && status.st_nlink)
			return 0;
		close(journal->fd);
	}
	close(journal->fd);
	journal->fd = -1;
	return err;
}

static int put_line(struct journal *journal, unsigned count, const char *const fields[])
{
	char *line = NULL, *whole = NULL;
	int err;

	text_set(&line, "%s", "");
	for (unsigned i = 0; i < count; i++)
		put_field(&line, fields[i]);
	text_set(&whole, "%s\n", line);
	err = append(journal, whole);
	free(whole);
	free(line);
	return err;
}

/* Where /run outlives the machine's start, so does the journal. A system that does not tell its
 * starts apart is taken for the same. */
static void find_boot(struct journal *journal)
{
	char *boot = NULL;

	tree_read(journal->tree, "/proc/sys/kernel/random/boot_id", &boot);
	if (boot && *boot && (!journal->boot || strcmp(journal->boot, boot) != 0)) {
		take_boot(journal, boot);
		journal->boot_is_new = true;
	}
	free(boot);
}

/* Before the first thing that is written in it. */
static int note_boot(struct journal *journal)
{
	const char *fields[] = { "boot", journal->boot };
	int err = journal->boot_is_new ? put_line(journal, 2, fields) : 0;

	if (!err)
		journal->boot_is_new = false;
	return err;
}

int journal_open(struct journal *journal, bool make)
{
	int folder, err;

	if (journal->fd >= 0)
		return 0;
	folder = find_folder(journal, make);
	if (folder < 0)
		return folder;
	err = open_locked(journal, folder, make);
	if (!err)
		err = read_lines(journal);
	if (!err && !lseek(journal->fd, 0, SEEK_END)) {
		err = append(journal, TITLE);
		fsync(folder);
	}
	if (!err)
		find_boot(journal);
	close(folder);
	if (err && journal->fd >= 0) {
		close(journal->fd);
		journal->fd = -1;
	}
	return err;
}

int journal_write(struct journal *journal, const char *id, const char *path, const char *old,
		  const char *value, enum persist persist)
{
	bool made = persist == PERSIST_SYSCTL || persist == PERSIST_TMPFILES;
	const char *fields[] = { "write", id, path, old, value, made ? lasts[persist] : NULL };
	int err = note_boot(journal);

	if (!err)
		err = put_line(journal, 6, fields);
	if (!err)
		take_write(journal, id, path, old, value)->persist = made ? persist : PERSIST_NONE;
	return err;
}

int journal_file(struct journal *journal, const char *id, const char *path, const char *old,
		 const char *value)
{
	const char *fields[] = { "file", id, path, old, value };
	int err = note_boot(journal);

	if (!err)
		err = put_line(journal, 5, fields);
	if (!err)
		take_write(journal, id, path, old, value)->whole = true;
	return err;
}

int journal_undo(struct journal *journal, const char *path)
{
	const char *fields[] = { "undo", path };
	struct journal_entry *entry = journal_find(journal, path);
	int err = put_line(journal, 2, fields);

	if (!err && entry)
		entry->known = false;
	return err;
}

int journal_done(struct journal *journal, const char *path, const char *seen)
{
	const char *fields[] = { "done", path, seen };
	int err = put_line(journal, 3, fields);

	if (!err)
		take_done(journal, path, seen);
	return err;
}

int journal_forget(struct journal *journal, const char *path)
{
	const char *fields[] = { "forget", path };
	struct journal_entry *entry = journal_find(journal, path);
	int err = put_line(journal, 2, fields);

	if (!err && entry)
		entry_drop(journal, entry);
	return err;
}

void journal_close(struct journal *journal)
{
	if (journal->fd >= 0) {
		/* Who only looks leaves it. */
		if (!journal->count && (journal->touched || !journal->outdated) &&
		    unlink(journal->path))
			refuse(0, "%s could not be removed: %s", journal->path, strerror(errno));
		close(journal->fd);
	}
	for (unsigned i = 0; i < journal->count; i++)
		entry_free(&journal->entries[i]);
	free(journal->entries);
	free(journal->path);
	free(journal->boot);
	journal_init(journal, journal->tree);
}
