/*
 * SPDX-License-Identifier: MIT
 *
 * Commands for a shell that do what peal-tune would: to be shown, and pasted. They work for the
 * user who sees them, by sudo where that is not root, and under a root without it.
 */
#ifndef PEAL_TUNE_SHELL_H
#define PEAL_TUNE_SHELL_H

#include "tools/peal-tune/tree.h"

/* A word, in quotes where it needs them; the caller frees it. */
char *shell_quote(const char *word);

/* Each sets *command to a text of its own, and frees what was there. paths are without the root. */
void shell_write(char **command, const struct tree *tree, const char *value,
		 const char *const paths[], unsigned count);
void shell_file(char **command, const struct tree *tree, const char *path, const char *text);
void shell_remove(char **command, const struct tree *tree, const char *path);

/* Puts words behind *command, with blanks between; NULL ends them. */
void shell_words(char **command, char *const words[]);

#endif
