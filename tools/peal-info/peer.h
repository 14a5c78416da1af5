/*
 * SPDX-License-Identifier: MIT
 *
 * What a handshake with a server would agree on.
 */
#ifndef PEAL_INFO_PEER_H
#define PEAL_INFO_PEER_H

#include <stdbool.h>
#include <stdint.h>

/* Connects to the server at an address as any client does, with default options and within
 * timeout nanoseconds, tells what was agreed on, and closes. False: no link came about, which the
 * report says. */
bool peer_check(const char *address, int64_t timeout, bool json);

#endif
