/*
 * SPDX-License-Identifier: MIT
 *
 * Commands for a shell. It runs none.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/peal-tune/finding.h"
#include "tools/peal-tune/shell.h"

static const char *as_root(const struct tree *tree)
{
	return tree_is_live(tree) && geteuid() ? "sudo " : "";
}

char *shell_quote(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._-:,=+@%";
	char *copy = NULL, *quoted = NULL, *rest, *part;

	text_set(&copy, "%s", word);
	if (*copy && strspn(copy, plain) == strlen(copy))
		return copy;
	rest = copy;
	text_set(&quoted, "'%s", strsep(&rest, "'"));
	while ((part = strsep(&rest, "'")))
		text_set(&quoted, "%s'\\''%s", quoted, part);
	text_set(&quoted, "%s'", quoted);
	free(copy);
	return quoted;
}

/* Puts gap and a word behind. */
static void put_word(char **command, const char *gap, const char *root, const char *word)
{
	char *whole = NULL, *quoted;

	text_set(&whole, "%s%s", root, word);
	quoted = shell_quote(whole);
	text_set(command, "%s%s%s", *command, gap, quoted);
	free(quoted);
	free(whole);
}

void shell_write(char **command, const struct tree *tree, const char *value,
		 const char *const paths[], unsigned count)
{
	text_set(command, "%s", "echo");
	put_word(command, " ", "", value);
	text_set(command, "%s | %stee", *command, as_root(tree));
	for (unsigned i = 0; i < count; i++)
		put_word(command, " ", tree->root, paths[i]);
	text_set(command, "%s >/dev/null", *command);
}

/* A here-document could not have a last line without its end. */
void shell_file(char **command, const struct tree *tree, const char *path, const char *text)
{
	text_set(command, "%s", "printf %s");
	put_word(command, " ", "", text);
	text_set(command, "%s | %stee", *command, as_root(tree));
	put_word(command, " ", tree->root, path);
	text_set(command, "%s >/dev/null", *command);
}

void shell_remove(char **command, const struct tree *tree, const char *path)
{
	text_set(command, "%srm", as_root(tree));
	put_word(command, " ", tree->root, path);
}

void shell_words(char **command, char *const words[])
{
	for (unsigned i = 0; words[i]; i++)
		put_word(command, i ? " " : "", "", words[i]);
}
