/*
 * SPDX-License-Identifier: MIT
 *
 * Files of the system, under a root: "/", or a folder with a recorded or made-up /sys, /proc and so
 * on. All that peal-tune finds out about a machine, except what it measures, it reads from here, so
 * that a recording is judged as the machine would be. It knows nothing of what is in the files.
 */
#ifndef PEAL_TUNE_TREE_H
#define PEAL_TUNE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/peal-tune/parse.h"

/* "" for the real one, else a folder without a slash at its end. */
struct tree {
	const char *root;
};

static inline bool tree_is_live(const struct tree *tree)
{
	return !*tree->root;
}

/*
 * Reads a file whole, with a zero behind it and without the white space at its end. The caller
 * frees *text. Returns its length, or a negative errno: -ENOENT (and what amounts to it: -ENODEV,
 * -ENXIO, -EOPNOTSUPP of a driver that has no answer), -EACCES, -EPERM; -EFBIG: above 24 MiB.
 */
int64_t tree_read(const struct tree *tree, const char *path, char **text);

/* The same for one number; -EINVAL: it is none. Decimal, or with 0x. */
int tree_number(const struct tree *tree, const char *path, int64_t *value);

/* The same for a list of CPUs or nodes. */
int tree_cpus(const struct tree *tree, const char *path, struct cpus *cpus);

/* Where a file is of which there are many: pattern, with number in place of its star. */
#define TREE_PATH 128
void tree_path(char path[TREE_PATH], const char *pattern, unsigned number);

/* What is in a folder, sorted by name with numbers as numbers (cpu2 before cpu10), without "." and
 * ".."; NULL at the end. Names and array are one allocation, the caller's. Errors likewise. */
int tree_list(const struct tree *tree, const char *path, char ***names);

/* 0: there is such a file or folder; else a negative errno. */
int tree_has(const struct tree *tree, const char *path);

/* Writes a file that is there already, in one write, as the kernel wants it. 0 or a negative
 * errno. */
int tree_write(const struct tree *tree, const char *path, const char *text);

#endif
