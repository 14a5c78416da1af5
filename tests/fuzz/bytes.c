/*
 * SPDX-License-Identifier: MIT
 *
 * What a target says of what came out. See bytes.h.
 */
#include "config.h"

#include <stdio.h>
#include <unistd.h>

#include "tests/fuzz/bytes.h"

static int said_to = STDERR_FILENO;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	said_to = dup(STDERR_FILENO);
	return 0;
}

void must_be(bool is_true, const char *what, int64_t value)
{
	if (is_true)
		return;
	dprintf(said_to, "must be: %s (%lld)\n", what, (long long)value);
	abort();
}

void must(bool is_true, const char *what)
{
	must_be(is_true, what, 0);
}
