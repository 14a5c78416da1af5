/*
 * SPDX-License-Identifier: MIT
 *
 * Letters: messages whose length and content follow from their number, and the survivor's way with
 * a link of which the other side is killed: it receives, or sends, however it waits, until it is
 * told of the end.
 */
#ifndef TESTS_KILL_LETTERS_H
#define TESTS_KILL_LETTERS_H

#include "tests/kill/play.h"

#define LETTER_LONGEST 16384

/* The lengths of a play's letters: short ones of some words, or every third one of three pages. */
enum letters { LETTERS_SHORT, LETTERS_LONG };

size_t letter_length(enum letters kind, uint64_t number);
void letter_write(void *to, enum letters kind, uint64_t number);

/* Whether a message is the letter of a number. */
bool letter_is(const void *data, size_t length, uint32_t tag, enum letters kind, uint64_t number);

/* A link between the two, by either's call: which one listens is left to chance. NULL: there is
 * none, which was objected to. */
struct peal_link *link_of_victim(struct play *play);
struct peal_link *link_of_survivor(struct play *play);

/* What the survivor does with its link. */
struct exchange {
	enum letters kind;
	uint64_t send;   /* so many letters, or until it cannot */
	uint64_t hold;   /* if it waits so: so many are received before the victim is dead, and the
			  * rest then */
	bool late;       /* it does */
	uint64_t passed; /* how many it has sent, and received: what came of it */
	uint64_t received;
};

/* Does so until the victim is dead and all is read, sees that both ends say so, and closes the
 * link. */
void exchange_letters(struct play *play, struct peal_link *link, struct exchange *exchange);

/* Whether what the survivor has received is what the diary says. whole: of what was published at
 * once there is all or nothing. */
void exchange_check(const struct play *play, const struct exchange *exchange, bool whole);

/* Whether an end of a link is explained by what the diary says of closing. */
bool end_is_explained(const struct play *play, int err);

#endif
