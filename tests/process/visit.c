/*
 * SPDX-License-Identifier: MIT
 *
 * Visits, as visit.h says.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/process/visit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define MESSAGES 100
#define RING 16384 /* long messages come in fragments */

/* Longer than a wait is by futex: then it goes on by descriptor. */
#define LONG_WAIT (15 * MS)

/* Before anything of Peal's is there, but its options. */
static struct holdings holdings_of_peer(struct peer *peer)
{
	/* When it answers it has begun, and done what it was told so far. */
	peer_tell(peer, "begun");
	ck_assert_int_eq(peer_hear(peer, "what?"), -ENOSYS);
	return holdings_of(peer->pid);
}

static void note_all(struct visit *visits, unsigned count)
{
	for (struct visit *v = visits; v < visits + count; v++) {
		for (int side = 0; side < VISIT_SIDES; side++) {
			v->pid[side] = v->side[side].pid;
			if (v->counted)
				v->before[side] = holdings_of_peer(&v->side[side]);
		}
	}
}

/* A listener stays, though it cannot accept. */
static void give_up(struct visit *visit, int side, long result, bool listens)
{
	visit->refused = (int)result;
	snprintf(visit->sentence, sizeof(visit->sentence), "%s", visit->side[side].text);
	if (visit->counted && !listens)
		holdings_expect(visit->side[side].pid, &visit->before[side]);
	for (side = 0; side < VISIT_SIDES; side++)
		peer_kill(&visit->side[side]);
}

static void expect(const struct visit *visit, int side, const char *verb, long result, long wanted)
{
	ck_assert_msg(result == wanted, "%s: the %s's %s came to %ld instead of %ld: %s",
		      visit->what, side == VISIT_SERVER ? "server" : "client", verb, result, wanted,
		      visit->side[side].text);
}

static void listen_all(struct visit *visits, unsigned count)
{
	for (struct visit *v = visits; v < visits + count; v++)
		for (int side = 0; side < VISIT_SIDES; side++)
			peer_tell(&v->side[side], "ring %d", RING);
	for (struct visit *v = visits; v < visits + count; v++)
		peer_tell(&v->side[VISIT_SERVER], "listen %s", v->address[VISIT_SERVER]);
	for (struct visit *v = visits; v < visits + count; v++) {
		long result = peer_hear(&v->side[VISIT_SERVER], "listen");

		if (result)
			give_up(v, VISIT_SERVER, result, false);
	}
}

static bool one_has_answered(void *data)
{
	const struct visit *visit = data;

	return peer_has_answered(&visit->side[VISIT_SERVER]) ||
	       peer_has_answered(&visit->side[VISIT_CLIENT]);
}

static void note_peer(struct visit *visit, int side)
{
	struct told *told = &visit->told[side];

	ck_assert_msg(sscanf(visit->side[side].text, "pid %lld uid %u", &told->peer_pid,
			     &told->peer_uid) == 2,
		      "%s", visit->side[side].text);
}

static void meet(struct visit *visit)
{
	struct peer *server = &visit->side[VISIT_SERVER], *client = &visit->side[VISIT_CLIENT];
	long result;

	ck_assert_msg(scene_until(one_has_answered, visit), "%s: neither side says anything",
		      visit->what);
	/* A server that cannot accept leaves its client waiting. */
	if (peer_has_answered(server)) {
		result = peer_hear(server, "accept");
		if (result) {
			give_up(visit, VISIT_SERVER, result, true);
			return;
		}
		server = NULL;
	}
	result = peer_hear(client, "connect");
	if (result) {
		give_up(visit, VISIT_CLIENT, result, false);
		return;
	}
	if (server)
		expect(visit, VISIT_SERVER, "accept", peer_hear(server, "accept"), 0);
	note_peer(visit, VISIT_SERVER);
	note_peer(visit, VISIT_CLIENT);
}

static void meet_all(struct visit *visits, unsigned count)
{
	for (struct visit *v = visits; v < visits + count; v++) {
		if (v->refused)
			continue;
		peer_tell(&v->side[VISIT_SERVER], "accept forever");
		peer_tell(&v->side[VISIT_CLIENT], "connect %s %" PRId64, v->address[VISIT_CLIENT],
			  SCENE_PATIENCE);
	}
	for (struct visit *v = visits; v < visits + count; v++)
		if (!v->refused)
			meet(v);
}

/* A command to one side of all, and what it came to. */
static void tell_all(struct visit *visits, unsigned count, int side, const char *command)
{
	for (struct visit *v = visits; v < visits + count; v++)
		if (!v->refused)
			peer_tell(&v->side[side], "%s", command);
}

static void hear_all(struct visit *visits, unsigned count, int side, const char *verb, long wanted)
{
	for (struct visit *v = visits; v < visits + count; v++)
		if (!v->refused)
			expect(v, side, verb, peer_hear(&v->side[side], verb), wanted);
}

/* To be kept on a CPU, and on a node, goes wrong here and there; what is made of it is the
 * caller's. */
static void place_all(struct visit *visits, unsigned count, int side)
{
	tell_all(visits, count, side, "facts\npin\nmemory");
	for (struct visit *v = visits; v < visits + count; v++) {
		struct peer *peer = &v->side[side];
		struct told *told = &v->told[side];

		if (v->refused)
			continue;
		expect(v, side, "facts", peer_hear(peer, "facts"), 0);
		told->pin = (int)peer_hear(peer, "pin");
		snprintf(told->pin_sentence, sizeof(told->pin_sentence), "%s", peer->text);
		expect(v, side, "memory", peer_hear(peer, "memory"), 0);
		snprintf(told->memory, sizeof(told->memory), "%s", peer->text);
	}
}

static void exchange_all(struct visit *visits, unsigned count, int from)
{
	char produce[64], consume[64];

	snprintf(produce, sizeof(produce), "produce %d %d %" PRId64 " %d", from, MESSAGES,
		 SCENE_PATIENCE, TRAFFIC_LONGEST);
	snprintf(consume, sizeof(consume), "consume %d %d %" PRId64 " %d", from, MESSAGES,
		 SCENE_PATIENCE, TRAFFIC_LONGEST);
	tell_all(visits, count, !from, consume);
	tell_all(visits, count, from, produce);
	hear_all(visits, count, from, "produce", 0);
	hear_all(visits, count, !from, "consume", 0);
}

static void wait_long(void)
{
	const struct timespec time = { .tv_nsec = LONG_WAIT };

	nanosleep(&time, NULL);
}

/* With the longest of messages. */
static void wake_all(struct visit *visits, unsigned count, int from)
{
	char send[64];

	snprintf(send, sizeof(send), "send %d forever", TRAFFIC_LONGEST);
	tell_all(visits, count, !from, "recv forever");
	wait_long();
	tell_all(visits, count, from, send);
	hear_all(visits, count, from, "send", 0);
	hear_all(visits, count, !from, "recv", TRAFFIC_LONGEST);
}

static void kill_all(struct visit *visits, unsigned count)
{
	for (struct visit *v = visits; v < visits + count; v++)
		if (!v->refused)
			peer_tell(&v->side[v->survivor], "recv forever");
	wait_long();
	for (struct visit *v = visits; v < visits + count; v++) {
		struct peer *survivor = &v->side[v->survivor];

		if (v->refused)
			continue;
		peer_kill(&v->side[!v->survivor]);
		expect(v, v->survivor, "recv", peer_hear(survivor, "recv"), -ECONNRESET);
		peer_end(survivor);
	}
}

void visits_run(struct visit *visits, unsigned count)
{
	ck_assert_uint_le(count, VISITS_MAX);
	note_all(visits, count);
	listen_all(visits, count);
	meet_all(visits, count);
	for (int side = 0; side < VISIT_SIDES; side++)
		place_all(visits, count, side);
	for (int from = 0; from < VISIT_SIDES; from++) {
		exchange_all(visits, count, from);
		wake_all(visits, count, from);
	}
	tell_all(visits, count, VISIT_CLIENT, "close");
	hear_all(visits, count, VISIT_CLIENT, "close", 0);
	tell_all(visits, count, VISIT_SERVER, "recv forever\nclose");
	hear_all(visits, count, VISIT_SERVER, "recv", -EPIPE);
	hear_all(visits, count, VISIT_SERVER, "close", 0);
	meet_all(visits, count);
	kill_all(visits, count);
}
