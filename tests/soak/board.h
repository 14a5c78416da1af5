/*
 * SPDX-License-Identifier: MIT
 *
 * The board: memory that all processes of the soak share, on which each side of a session notes how
 * far it is, and where what was done is counted. It knows nothing of Peal.
 */
#ifndef SOAK_BOARD_H
#define SOAK_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#define US 1000u
#define MS 1000000u
#define SECOND 1000000000u

/* Lanes: of two processes, each with threads of its own; of one set; pairs; and of calls. */
#define SINGLES 4
#define MEMBERS 4
#define PAIRS 2
#define CALLERS 2
#define FIRST_PAIR (SINGLES + MEMBERS)
#define FIRST_CALLER (FIRST_PAIR + PAIRS)
#define LANES (FIRST_CALLER + CALLERS)

#define VARIANTS 8 /* ring variants that can be told apart */

enum { SERVER, CLIENT };
enum phase { IDLE, SENDS, RECEIVES, POLLS, IN_SET, PAUSES, SETTLES, MEETS, OVER };

/* What one side of a lane says. Written by that side; read by the other side and the watchdog. */
struct note {
	uint64_t open;               /* in a session: from meeting until closing */
	uint64_t speaks;             /* the seed of what it sends */
	uint64_t sent;               /* messages published */
	uint64_t hears;              /* the seed of what it receives, once known */
	uint64_t received;           /* messages */
	uint64_t over;               /* it receives no more of that */
	uint64_t steps;              /* all that it does (atomic: two threads) */
	uint64_t sending, receiving; /* enum phase */
};

/* What came of one thing, in all processes. */
enum count {
	MESSAGES,
	BYTES,
	SLEEPS, /* of links that were closed in order */
	LINKS,
	HUGE_LINKS, /* that send from huge pages of the pool */
	CUT_SHORT,
	DEADLINES,
	BARRIERS,
	BARRIERS_FAILED,
	CALLS,
	ANSWERED,
	ERRORS,
	UNKNOWN,
	NOT_SENT,
	TIMED_OUT,
	CANCELLED,
	COUNTS
};

/* What was done with one ring variant. */
struct variant {
	uint64_t messages, bytes, sleeps, links, processes;
};

extern struct board {
	struct note notes[LANES][2];
	uint64_t counts[COUNTS];
	struct variant variants[VARIANTS];
	/* Counted up before and again after: odd while it happens. */
	uint64_t kills[2]; /* of a process */
	uint64_t closings; /* of the server of the calls, in order */

	uint64_t spins[2]; /* whether the process never sleeps in the kernel */
	uint64_t stop[2];  /* no more sessions */
	uint64_t dump;     /* 1 + the lane to be printed */
	uint64_t dumped[2];
	uint64_t wrong;
} * board;

extern char folder[64];
extern uint64_t first_seed;
extern int process; /* which one this is */
extern int variant; /* the number of its ring variant */

uint64_t get(const uint64_t *word);
void put(uint64_t *word, uint64_t value);
void add(uint64_t *word, uint64_t value);
void tally(enum count what);

/* A message that came to this process, and a link that it closes. */
void tally_message(uint64_t bytes);
void tally_link(uint64_t sleeps);

/* Whether what such a word counts may have happened since it was `before`. */
bool since(const uint64_t *word, uint64_t before);

/* Grows with each process that is killed. */
uint64_t kills(void);

/* A step of a side, which is not stuck. */
void note_step(struct note *note);

/* Says what is wrong, and ends this process, and then the soak. */
void wrong(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
