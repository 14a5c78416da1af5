/*
 * SPDX-License-Identifier: MIT
 *
 * Traffic: messages whose length and every byte follow from a seed and their number, so that the
 * receiver knows what is lost, doubled, out of order or torn; and a journal, a file that a process
 * notes its progress in, for the time after it has been killed. Used by the tests and by the peer
 * that they start; knows nothing of libcheck.
 */
#ifndef TESTS_PROCESS_TRAFFIC_H
#define TESTS_PROCESS_TRAFFIC_H

#include <stdint.h>

#include <peal.h>

#define TRAFFIC_LONGEST 65520 /* of a ring of 64 KiB */

struct traffic {
	uint64_t seed;
	uint64_t next;  /* number of the next message */
	size_t longest; /* length of the longest ones: at first what fits one record */
	size_t record;  /* what does */
	uint8_t buffer[TRAFFIC_LONGEST];
};

/* What a process notes as it goes, each word with one writer. */
struct journal {
	uint64_t sent;     /* messages that were sent */
	uint64_t received; /* messages that were received, each as it must be */
	uint64_t wrong;    /* 1 + the number of a message that was not */
	uint64_t gun;      /* not 0: those who await it may go */
	uint64_t spare[4];
};

void traffic_begin(struct traffic *traffic, uint64_t seed, uint64_t ring);

/* The length of the message of a number. Most are short, some are longer than a page, a few as long
 * as the ring allows. */
size_t traffic_length(const struct traffic *traffic, uint64_t number);

/* Sends the next message, each in another way. 0 or what Peal answered. */
int traffic_send(struct traffic *traffic, struct peal_tx *tx, int64_t timeout);

/* Leaves the next message to a later publication, in place or copied. */
int traffic_send_more(struct traffic *traffic, struct peal_tx *tx, int64_t timeout);

/* Receives the next message and looks at all of it, in place or copied out. 0, what Peal answered,
 * or 1: it is not the one that it must be. */
int traffic_receive(struct traffic *traffic, struct peal_rx *rx, int64_t timeout);

/* Maps a journal, made if it is not there. NULL if that fails. */
struct journal *journal_open(const char *path);
void journal_close(struct journal *journal);

static inline void journal_note(uint64_t *word, uint64_t value)
{
	/* Pairs with the acquire in journal_read: what was done before is in the journal first. */
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline uint64_t journal_read(const uint64_t *word)
{
	/* Pairs with the release in journal_note. */
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* A well mixed 64-bit number that follows from another (splitmix64). */
uint64_t traffic_mix(uint64_t from);

#endif
