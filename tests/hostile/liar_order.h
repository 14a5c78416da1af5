/*
 * SPDX-License-Identifier: MIT
 *
 * A liar of one's own: the process, orders for it, and what it answers. What fails here fails the
 * running test.
 */
#ifndef TESTS_HOSTILE_LIAR_ORDER_H
#define TESTS_HOSTILE_LIAR_ORDER_H

#include <stdbool.h>
#include <sys/types.h>

#include "tests/hostile/liar.h"

struct liar_process {
	pid_t pid;
	int fd;
	char path[108]; /* that it connects to, or listens at */
};

/* As which user: 0: as this one. */
void liar_start(struct liar_process *liar, unsigned user);
void liar_end(struct liar_process *liar);

/* Gives an order, and waits for the answer. What `liar_tell` has told is answered by liar_hear. */
void liar_tell(struct liar_process *liar, const struct order *order);
struct told liar_hear(struct liar_process *liar);

/* The lie of this name, so many times; it must be one that can be told now. */
void liar_lie(struct liar_process *liar, const char *name, uint64_t times);

/* One of the orders without a name; its result. */
int64_t liar_do(struct liar_process *liar, enum order_verb verb, uint64_t number);

/* Stops it for a while. */
void liar_stop(const struct liar_process *liar, bool stopped);

#endif
