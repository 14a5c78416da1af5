/*
 * SPDX-License-Identifier: MIT
 *
 * Two streams of bytes on a link, from standard input and to standard output.
 */
#ifndef PEAL_CAT_STREAM_H
#define PEAL_CAT_STREAM_H

struct peal_link;

/* Returns when both have ended and all of them has been written, here and there. Whatever comes
 * between ends the process, with a sentence. */
void stream_run(struct peal_link *link);

#endif
