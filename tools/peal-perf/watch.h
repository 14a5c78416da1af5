/*
 * SPDX-License-Identifier: MIT
 *
 * The watch: what ends a measurement early. Ctrl-C asks for an orderly end; a partner that dies,
 * or a slice that does not end, makes every wait give up. It is signals inside, so that nothing
 * has to look at a clock or a descriptor while messages move.
 */
#ifndef PEAL_PERF_WATCH_H
#define PEAL_PERF_WATCH_H

#include <stdbool.h>
#include <sys/types.h>

/* Installs the handlers, and turns SIGPIPE into EPIPE. partner: the process to be watched, 0 if it
 * is a thread of this one. */
void watch_begin(pid_t partner);

/* Takes the watch off the partner, which may now end, and off SIGPIPE; Ctrl-C goes on being
 * noted. */
void watch_end(void);

/* Gives what follows so many seconds; then everything is given up, and the partner killed. */
void watch_arm(unsigned seconds);
void watch_disarm(void);

/* Makes every wait of this process give up. For the partner's thread, when it has failed. */
void watch_abandon(void);

/* Ctrl-C, SIGTERM or SIGHUP came. */
bool watch_interrupted(void);

/* Time is up, or the partner is dead. Waits that nobody else would end ask this now and then. */
bool watch_abandoned(void);

/*
 * Whether to make a system call again that has just failed: 0 if there was nothing yet (EAGAIN) or
 * a signal came, unless everything is given up; else -errno with a complaint that names the call.
 */
int watch_retry(const char *call);

/* Time was up, rather than the partner dead. */
bool watch_expired(void);

#endif
