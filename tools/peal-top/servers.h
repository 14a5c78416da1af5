/*
 * SPDX-License-Identifier: MIT
 *
 * Which Peal servers there are on this machine, of this user or, for root, of any: every listening
 * socket that may be one is asked. It knows nothing of what is shown.
 */
#ifndef PEAL_TOP_SERVERS_H
#define PEAL_TOP_SERVERS_H

#include <stdint.h>

#include <peal.h>

struct server {
	char address[128]; /* one of peal/link.h */
	/* 0: it answered; else why nothing is known of it: -ETIMEDOUT: it does not answer;
	 * -EOPNOTSUPP: its library knows no monitors. */
	int err;
	struct peal_monitored about; /* if it answered; else who.pid as far as it is known */
};

/*
 * Finds them, and stores them by their addresses, to be freed by the caller. Asks one after the
 * other, and waits 200 ms for each that does not answer. Returns how many; or a negative errno: of
 * /proc/net/unix, or -ENOMEM. unix_table: another file like that; NULL: it.
 */
int servers_find(struct server **servers, const char *unix_table);

#endif
