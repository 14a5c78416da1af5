/*
 * SPDX-License-Identifier: MIT
 *
 * Peers: peal-perf has none, so that it needs no library but Peal's. Those of bench/ stand in the
 * place of this file.
 */
#include "config.h"

#include "transport.h"

const struct transport *const transport_peers[] = { NULL };
