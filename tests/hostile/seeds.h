/*
 * SPDX-License-Identifier: MIT
 *
 * The victims of the liar that seeds.c plays with. A seed is one link, on which the liar does at
 * random what it likes and the victim any verb at any time.
 */
#ifndef TESTS_HOSTILE_SEEDS_H
#define TESTS_HOSTILE_SEEDS_H

#include <peal.h>
#include <peal/client.h>
#include <peal/server.h>
#include <peal/set.h>

#include "tests/hostile/liar_order.h"
#include "tests/unit/stage.h"

struct victim {
	struct liar_process liar;
	struct folder folder;
	uint64_t seed, random;
	uint32_t lied;    /* as the liar told; UINT32_MAX: not yet */
	const char *verb; /* the last one, for who reads a failure */

	/* A link. */
	struct peal_listener *listener;
	struct peal_options options;
	struct peal_link *link;
	struct peal_set *set;
	bool in_set;
	struct peal_sending sending;
	uint8_t message[16384], buffer[16384];
	uint32_t said, heard; /* the tags of its messages, and of the liar's */
	uint32_t dropped;     /* of these, unseen, since the last one that was seen */
	unsigned wrong;       /* messages that were not what they must be */
	bool finale;
	int ended; /* how; 0: it has not */

	/* One that nobody lies to. */
	struct meeting others;

	/* A server, and a client of it that does not lie. */
	struct peal_server *server;
	struct peal_link *honest;
	unsigned clients; /* that are liars */
	int reason;       /* why the last one was closed */
	struct peal_token token;

	/* Calls of a client. */
	uint64_t begun, over;
	int changed;
};

/* Fails, with what repeats it. */
#define victim_fail(victim, ...) victim_says((victim), __FILE__, __LINE__, __VA_ARGS__)
void victim_says(const struct victim *victim, const char *file, int line, const char *format, ...)
	__attribute__((noreturn, format(printf, 4, 5)));

uint64_t victim_chance(struct victim *victim, uint64_t below);

/* A timeout: none, or a short one. */
int64_t victim_brief(struct victim *victim);

/* Notes that a verb begins, and how long ago one did that should have ended by then. */
uint64_t victim_begins(struct victim *victim, const char *verb);
void victim_ends(struct victim *victim, uint64_t begun, int64_t result);

/* Something is to be soon: fails if it is not. begun: when that began. */
void victim_waits(struct victim *victim, uint64_t begun, const char *what);

/* seeds_link.c: some verbs on the victim's link; and what becomes of it when the liar has told what
 * it did. */
void link_live(struct victim *victim, unsigned verbs);
void link_judge(struct victim *victim, const struct told *told);
void link_expect_end(struct victim *victim, const struct told *told);

/* seeds_calls.c: the same of a server, and of a client. */
void server_open(struct victim *victim);
void server_rest(struct victim *victim); /* does all that there is to do */
void server_close(struct victim *victim);
void server_play(struct victim *victim);
void client_play(struct victim *victim);

/* The liar is to play this seed; it has connected, or it listens. Then: what it has lied so far;
 * and what came of it in the end. */
void liar_plays(struct victim *victim, enum order_role role, enum order_style style,
		const char *path);
struct told liar_has_lied(struct victim *victim);
struct told liar_has_ended(struct victim *victim);

#endif
