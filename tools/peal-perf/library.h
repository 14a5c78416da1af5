/*
 * SPDX-License-Identifier: MIT
 *
 * The library: what the transports that are Peal ask of it in the same way.
 */
#ifndef PEAL_PERF_LIBRARY_H
#define PEAL_PERF_LIBRARY_H

#include <peal.h>

#include "transport.h"

#define LIBRARY_MEETING_NS ((int64_t)5000000000) /* for the two sides to meet */

/* The options of a link that is to be as a setup says. */
void library_options(struct peal_options *options, const struct setup *setup);

/* Says to stderr what pages a link's rings have, if the setup says what they are to have. */
void library_tell_pages(const struct peal_link *link, const struct setup *setup);

/* Keeps the library's sentence for a call that failed, as a complaint; returns err. */
int library_refused(const char *verb, int err) __attribute__((cold));

#endif
