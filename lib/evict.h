/*
 * SPDX-License-Identifier: MIT
 *
 * Eviction: what becomes of the lines that a reader has read. They stay in its caches, and when
 * the writer comes there again, a lap later, each has to be taken from them. Between cores that
 * share no cache that is most of what a stream of short messages costs: 50 ns a line, however many
 * are asked for ahead, where a line that is in no cache at all takes 5. So the reader may have
 * lines leave all caches behind itself. Between near cores that helps some streams, and makes
 * others half as quick. No CPU tells which it is, and cores move; so the reader finds out, by what
 * laps take. It is the reader's own affair: the writer is neither asked nor told.
 */
#ifndef LIB_EVICT_H
#define LIB_EVICT_H

#include "lib/link.h"

/* What a link begins with, as PEAL_EVICT (enum runtime_evict) says. */
void evict_begin(struct peal_link *link);

/* A lap is over, which took so many ticks. For peal_mark_reached, and for tests. */
void evict_learn(struct evict *evict, uint64_t took);

#endif
