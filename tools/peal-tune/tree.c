/*
 * SPDX-License-Identifier: MIT
 *
 * Files of the system, under a root. It knows nothing of what is in them.
 */
#define _GNU_SOURCE /* versionsort */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/peal-tune/parse.h"
#include "tools/peal-tune/tree.h"

/* The smaps of a server of 8000 clients, each with four mappings of some 700 bytes. */
#define LARGEST ((size_t)24 << 20)
#define FIRST 4096u

/* Errors that amount to "there is no such thing". */
static int tell_errno(int err)
{
	switch (err) {
	case ENOTDIR:
	case ENODEV:
	case ENXIO:
	case EOPNOTSUPP:
	case ENODATA:
	case ESRCH:
		return -ENOENT;
	default:
		return err > 0 ? -err : -EIO;
	}
}

static int locate(const struct tree *tree, const char *path, char *whole)
{
	int length = snprintf(whole, PATH_MAX, "%s%s", tree->root, path);

	return length < 0 || length >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* Reads up to LARGEST + 1 bytes. The caller frees *text also if it fails. */
static int64_t read_all(int fd, char **text)
{
	size_t size = 0, length = 0;

	for (;;) {
		ssize_t got;

		if (size - length < 2) {
			size_t more = size ? size * 2 : FIRST;
			char *grown = realloc(*text, more);

			if (!grown)
				return -ENOMEM;
			*text = grown;
			size = more;
		}
		got = read(fd, *text + length, size - length - 1);
		if (got < 0 && errno == EINTR)
			continue;
		/* Some switches can be read only while what they switch is in use. */
		if (got < 0 && (errno == EAGAIN || errno == EBUSY))
			return -ENOENT;
		if (got < 0)
			return tell_errno(errno);
		if (!got)
			return (int64_t)length;
		length += (size_t)got;
		if (length > LARGEST)
			return -EFBIG;
	}
}

int64_t tree_read(const struct tree *tree, const char *path, char **text)
{
	char whole[PATH_MAX];
	int64_t length;
	int fd;

	*text = NULL;
	length = locate(tree, path, whole);
	if (length < 0)
		return length;
	/* A fifo in a recording would wait for its writer. */
	fd = open(whole, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return tell_errno(errno);
	length = read_all(fd, text);
	close(fd);
	if (length < 0) {
		free(*text);
		*text = NULL;
		return length;
	}
	while (length && strchr(" \t\r\n", (*text)[length - 1]) && (*text)[length - 1])
		length--;
	(*text)[length] = '\0';
	return length;
}

int tree_number(const struct tree *tree, const char *path, int64_t *value)
{
	char *text;
	int64_t length = tree_read(tree, path, &text);
	int err;

	if (!text)
		return (int)length;
	err = strlen(text) == (size_t)length ? parse_number(text, value) : -EINVAL;
	free(text);
	return err;
}

int tree_cpus(const struct tree *tree, const char *path, struct cpus *cpus)
{
	char *text;
	int64_t length = tree_read(tree, path, &text);
	int err;

	if (!text)
		return (int)length;
	err = strlen(text) == (size_t)length ? parse_cpus(text, cpus) : -EINVAL;
	free(text);
	return err;
}

void tree_path(char path[TREE_PATH], const char *pattern, unsigned number)
{
	const char *star = strchr(pattern, '*');

	snprintf(path, TREE_PATH, "%.*s%u%s", (int)(star - pattern), pattern, number, star + 1);
}

static int is_listed(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

int tree_list(const struct tree *tree, const char *path, char ***names)
{
	char whole[PATH_MAX], *text;
	struct dirent **entries;
	size_t size = 0;
	int count, err;

	*names = NULL;
	err = locate(tree, path, whole);
	if (err)
		return err;
	count = scandir(whole, &entries, is_listed, versionsort);
	if (count < 0)
		return tell_errno(errno);
	for (int i = 0; i < count; i++)
		size += sizeof(char *) + strlen(entries[i]->d_name) + 1;
	*names = malloc(size + sizeof(char *));
	if (*names) {
		text = (char *)(*names + count + 1);
		for (int i = 0; i < count; i++) {
			(*names)[i] = text;
			text = stpcpy(text, entries[i]->d_name) + 1;
		}
		(*names)[count] = NULL;
	}
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	return *names ? 0 : -ENOMEM;
}

int tree_has(const struct tree *tree, const char *path)
{
	char whole[PATH_MAX];
	struct stat status;
	int err = locate(tree, path, whole);

	if (err)
		return err;
	return stat(whole, &status) ? tell_errno(errno) : 0;
}

int tree_write(const struct tree *tree, const char *path, const char *text)
{
	char whole[PATH_MAX];
	size_t length = strlen(text);
	ssize_t put;
	int fd, err = locate(tree, path, whole);

	if (err)
		return err;
	fd = open(whole, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return tell_errno(errno);
	put = write(fd, text, length);
	if (put < 0)
		err = tell_errno(errno);
	else if ((size_t)put != length)
		err = -EIO;
	if (close(fd) && !err)
		err = -errno;
	return err;
}
