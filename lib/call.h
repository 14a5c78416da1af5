/*
 * SPDX-License-Identifier: MIT
 *
 * Calls: the form of their control records.
 */
#ifndef LIB_CALL_H
#define LIB_CALL_H

#include <stdint.h>

/* What a control record of calls lies about, by its first word and the length of all of it. NULL:
 * nothing. */
const char *call_lie(uint64_t word, uint64_t length);

#endif
