/*
 * SPDX-License-Identifier: MIT
 *
 * Numbers as the commands take them.
 */
#ifndef TOOLS_NUMBER_H
#define TOOLS_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* Reads "64", "1k", "2M", "1g". thousand: what a k is, 1000 or 1024. False: it is something else,
 * or too large. */
bool number_read(const char *text, unsigned thousand, uint64_t *value);

#endif
