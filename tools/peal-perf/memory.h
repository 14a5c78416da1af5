/*
 * SPDX-License-Identifier: MIT
 *
 * Memory: what the transports that are not Peal share, laid out and owned as Peal's is, so that
 * they are yardsticks for it. Each side makes a page and a data area, which it alone can write
 * (allocated in full, sealed, prefaulted), and hands their descriptors to the other side. The
 * data area is mapped twice, back to back, on both sides.
 *
 * It trusts the other side: that is a copy of this very program.
 */
#ifndef PEAL_PERF_MEMORY_H
#define PEAL_PERF_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct setup;

/* What the ends of these transports begin with. */
struct memory {
	uint8_t *page, *data;
	const uint8_t *peer_page, *peer_data;
	size_t page_size, data_size; /* data_size: what was asked for, in whole pages */
	int socket;                  /* listening, then -1 */
	int bell, peer_bell;         /* eventfds, -1: none; the owner of one waits for it */
};

/* How the ends of one transport are made. */
struct memory_kind {
	size_t end_size; /* of its struct, which begins with memory */
	bool bells;      /* each side also makes an eventfd, and hands it over */
	uint64_t (*data_size)(const struct setup *setup); /* of its data area; 0: the smallest */
	void (*begin)(void *end); /* sets the rest, which is zero, once all memory is there */
};

/* The functions of struct transport, for a kind. */
int memory_listen(const struct memory_kind *kind, const struct setup *setup, void **end);
int memory_accept(const struct memory_kind *kind, void *end);
int memory_connect(const struct memory_kind *kind, const struct setup *setup, void **end);
int memory_pair(const struct memory_kind *kind, const struct setup *setup, void *ends[2]);
void memory_close(void *end);

#endif
