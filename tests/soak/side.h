/*
 * SPDX-License-Identifier: MIT
 *
 * One side of a session: a link, what it has sent and received, and what it does next.
 */
#ifndef SOAK_SIDE_H
#define SOAK_SIDE_H

#include <poll.h>

#include <peal.h>

#include "lib/link.h"
#include "tests/soak/board.h"
#include "tests/soak/message.h"

#define LAST 0x80000000u /* of a tag: no more messages come in this direction */
#define BATCH 8

/* A message is at most so many times as long as its ring: each lap is some sleeps on either side,
 * and for a message of thousands one would seem to be stuck. */
#define MOST_LAPS 64

struct side {
	int lane, which;
	struct peal_link *link;
	struct note *note, *other;
	uint64_t kills; /* at the beginning */
	bool spins;
	bool lazy;

	/* What it sends. */
	struct hello says;
	uint64_t out_random, out_number, out_limit, out_end, out_next;
	bool out_done, out_settles;
	bool out_over; /* its thread has ended (atomic) */
	struct peal_sending part;
	uint8_t out_buffer[LONGEST + 64];

	/* What it receives. */
	struct hello told;
	uint64_t in_random, in_number, in_quit;
	bool in_done, in_last;
	bool quits; /* closes in the midst of it (atomic) */
	uint8_t in_buffer[LONGEST + 64];
};

struct side *side_make(int lane, int which);
uint64_t seed_of(int lane, int which);

/* A link has been made; and it is closed. */
void side_begin(struct side *side, struct peal_link *link, uint64_t *random, bool brief);
void side_end(struct side *side);

/* Whether an error says that the other side has gone as it may. */
bool side_was_killed(const struct side *side);
bool is_end(const struct side *side, int err, const char *verb);

/* Whether it has more to say; whether the other side has all that was sent, or wants no more. */
bool sends_on(const struct side *side);
bool has_settled(const struct side *side);

/* Sends or receives some. 0, or what Peal said. */
int send_some(struct side *side, int64_t timeout);
int receive_some(struct side *side, int64_t timeout);

/* Sends if it is time for it. The nanoseconds until it may be; UINT64_MAX: not before something
 * happens to the link. *full: there was no room. */
uint64_t send_in_turn(struct side *side, bool *full);

/* A whole session. */
void side_talk(struct side *side, uint64_t *random);
void poll_for(struct pollfd *polled, nfds_t count, uint64_t ns);

/* What can be said of a side whose thread is stuck. */
void side_print(int lane, int which);

#endif
