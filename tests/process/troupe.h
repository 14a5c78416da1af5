/*
 * SPDX-License-Identifier: MIT
 *
 * What the tests of servers share: engines (processes that run engine.c), as servers and as
 * clients that always have calls in flight, and the ledger that accounts for these calls. A failure
 * in here fails the test that called.
 */
#ifndef TESTS_PROCESS_TROUPE_H
#define TESTS_PROCESS_TROUPE_H

#include "tests/process/ledger.h"
#include "tests/process/scene.h"

#define TROUPE_WINDOW 16 /* calls that a streaming client has in flight */

/* The test's, once it is open. */
extern struct ledger *ledger;
void open_ledger(void);

/* Nobody has objected to anything. */
void expect_right(void);

/* An engine that knows of the ledger; one that serves; one that streams, as clients of these
 * numbers. */
void start_engine(struct peer *engine);
void start_server(struct peer *server, unsigned workers);
void start_streams(struct peer *engine, uint32_t first, uint32_t count);

/* Tells all who stream to stop, and hears that these have; the same of a server. */
void end_streams(struct peer *engines, unsigned count);
void stop_server(struct peer *server);

/* Waits until so many more calls of these clients have come to their end; until all that they may
 * have are in flight, for a server that does not run. */
void await_more(uint32_t first, uint32_t count, uint64_t more);
void await_full(uint32_t first, uint32_t count);

/* A server's clients have gone, for no odd reasons, and its program was told of each. */
void expect_no_clients(struct peer *server);

/* What a server without clients holds that has had many, and sleeps: what stays is there, and what
 * it makes ahead is ready. */
struct holdings holdings_asleep(struct peer *server);

#endif
