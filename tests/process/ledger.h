/*
 * SPDX-License-Identifier: MIT
 *
 * The ledger: shared memory in which clients note each call that they begin and how it ends, and
 * servers each that they see, so that all of it can be accounted for after any of them has been
 * killed. A call is known by its client's number and its own. Used by the tests and by the engines
 * that they start; knows nothing of libcheck.
 */
#ifndef TESTS_PROCESS_LEDGER_H
#define TESTS_PROCESS_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#define LEDGER_CLIENTS 128
#define LEDGER_CALLS 4096 /* that are remembered of each client, at least */
#define LEDGER_VERDICTS 6

/* Written by the client of that number, one after the other. */
struct account {
	uint64_t begun; /* calls; the number of the next one */
	uint64_t ended;
	uint64_t verdicts[LEDGER_VERDICTS]; /* of these */
};

struct ledger {
	uint64_t stop;  /* not 0: clients begin nothing more */
	uint64_t wrong; /* things that must not be */
	char what[192]; /* the first of them */
	struct account accounts[LEDGER_CLIENTS];
	uint64_t calls[LEDGER_CLIENTS][LEDGER_CALLS];
};

/* What a request says, and a reply repeats. */
struct call {
	uint32_t client, id;
	uint64_t check[7]; /* follow from these */
};

void call_fill(struct call *call, uint32_t client, uint32_t id);
bool call_is_whole(const struct call *call);

/* Maps a ledger, made if it is not there. NULL if that fails. */
struct ledger *ledger_open(const char *path);
void ledger_close(struct ledger *ledger);

/* Something must not be. */
void ledger_object(struct ledger *ledger, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A client begins a call; its number. twice: it may be sent more than once. */
uint32_t ledger_begin(struct ledger *ledger, uint32_t client, bool twice);

/* A call of a client has ended, with an enum peal_verdict. */
void ledger_end(struct ledger *ledger, uint32_t client, uint32_t id, uint32_t verdict);

/* A server sees a call. */
void ledger_see(struct ledger *ledger, uint32_t client, uint32_t id);

/* Looks at all calls that are remembered of a client that is no more: whole, if it was not killed,
 * so each must have ended. */
void ledger_audit(struct ledger *ledger, uint32_t client, bool whole);

/* Calls in flight of so many clients from the first on; and such as have ended. */
uint64_t ledger_in_flight(const struct ledger *ledger, uint32_t first, uint32_t count);
uint64_t ledger_ended(const struct ledger *ledger, uint32_t first, uint32_t count);
uint64_t ledger_verdicts(const struct ledger *ledger, uint32_t first, uint32_t count,
			 uint32_t verdict);

bool ledger_stopped(const struct ledger *ledger);
void ledger_stop(struct ledger *ledger, bool stop);

#endif
