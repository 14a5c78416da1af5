/*
 * SPDX-License-Identifier: MIT
 *
 * Servers and clients as victims. To a server the liar sends requests, to a client replies.
 */
#include "config.h"

#include "tests/hostile/seeds.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/*
 * A server.
 */

static int on_connected(void *data, struct peal_link *link, void **client)
{
	struct victim *victim = data;

	(void)link;
	/* The first one is honest. */
	*client = victim->honest ? victim : NULL;
	victim->clients += victim->honest != NULL;
	return 0;
}

/* What a reply may come to. */
static void replied(struct victim *victim, int err)
{
	if (err && err != -EPIPE && err != -ECONNRESET && err != -EPROTO && err != -EAGAIN &&
	    err != -EMSGSIZE && err != -EOPNOTSUPP && err != -EBUSY)
		victim_fail(victim, "a reply: %d: %s", err, peal_error());
}

static void reply_somehow(struct victim *victim, struct peal_request *request)
{
	void *at;
	int err;

	switch (victim_chance(victim, 8)) {
	case 0:
		replied(victim, peal_reply_error(request, -EIO, "at random"));
		break;
	case 1:
		replied(victim, peal_reply(request, request->data, request->length, 1));
		break;
	case 2:
		replied(victim, peal_server_reply(victim->server, request->token, victim->buffer,
						  victim_chance(victim, 9000), 0));
		break;
	case 3:
		err = peal_reply_reserve(request, request->length, &at);
		if (!err)
			err = peal_reply_commit(request, request->length, 0);
		replied(victim, err);
		break;
	case 4:
		if (!victim_chance(victim, 20))
			peal_server_drop(victim->server, request->token);
		break;
	default:
		replied(victim, peal_reply(request, request->data, request->length, 0));
	}
}

static void on_message(void *data, struct peal_request *request)
{
	struct victim *victim = data;

	if (request->length > sizeof(victim->buffer))
		victim_fail(victim, "a request of %zu bytes", request->length);
	if (!request->client) {
		replied(victim, peal_reply(request, request->data, request->length, 0));
		return;
	}
	victim->token = request->token;
	if (request->token.tag == FINALE && !victim->finale) {
		victim->finale = true;
		/* It waits for room behind what there is. */
		replied(victim, peal_server_reply(victim->server, request->token, request->data,
						  request->length, 0));
	} else {
		victim->wrong += !message_is_whole(request->token.tag, request->data,
						   request->length);
		reply_somehow(victim, request);
	}
}

static void on_closed(void *data, struct peal_link *link, void *client, int reason)
{
	struct victim *victim = data;

	(void)link;
	if (!client)
		return;
	victim->clients--;
	victim->reason = reason;
}

static void step(struct victim *victim, int64_t timeout)
{
	uint64_t begun = victim_begins(victim, "server_step");
	int err = peal_server_step(victim->server, timeout);

	victim_ends(victim, begun, err);
	if (err < 0 && err != -EAGAIN && err != -ETIMEDOUT)
		victim_fail(victim, "server_step: %d: %s", err, peal_error());
}

void server_open(struct victim *victim)
{
	struct peal_server_options options;
	struct caller caller;
	char path[120];

	peal_server_options_init(&options);
	victim->options.max_message = 8192;
	options.link = &victim->options;
	options.slow = (uint32_t)(victim->seed % 2 ? PEAL_SLOW_QUEUE : PEAL_SLOW_DROP);
	options.flags = victim->seed % 4 < 2 ? PEAL_SERVER_IN_PLACE : 0;
	options.queue = 20000;
	options.ready = UINT32_MAX; /* they would be counted as left behind */
	options.handlers = (struct peal_handlers){ .connected = on_connected,
						   .message = on_message,
						   .closed = on_closed };
	options.data = victim;
	snprintf(path, sizeof(path), "%s/server", victim->folder.name);
	ck_assert_msg(!peal_server_open(&victim->server, path, &options), "%s", peal_error());
	caller_start(&caller, path, NULL, LONG);
	while (!caller_is_over(&caller))
		step(victim, MS);
	caller_end(&caller);
	ck_assert_msg(!caller.err, "%s", caller.sentence);
	victim->honest = caller.link;
}

void server_rest(struct victim *victim)
{
	uint64_t begun = victim_begins(victim, "a server's rest");

	while (peal_server_step(victim->server, 0) >= 0)
		victim_waits(victim, begun, "a server always has something to do");
}

void server_close(struct victim *victim)
{
	peal_close(victim->honest);
	victim->honest = NULL;
	peal_server_close(victim->server);
	victim->server = NULL;
}

/* The one who does not lie is served all the same. */
static void expect_honest_served(struct victim *victim)
{
	uint64_t begun = victim_begins(victim, "the honest client's call");
	char reply[8];
	ssize_t got;
	int err = peal_send(peal_link_tx(victim->honest), "well", 4, 5, 0);

	if (err)
		victim_fail(victim, "the honest client: %d: %s", err, peal_error());
	while ((got = peal_recv(peal_link_rx(victim->honest), reply, sizeof(reply), NULL, 0)) ==
	       -EAGAIN) {
		step(victim, 0);
		victim_waits(victim, begun, "the honest client gets no reply");
	}
	if (got != 4 || memcmp(reply, "well", 4) != 0)
		victim_fail(victim, "the honest client got %zd: %s", got, peal_error());
}

static void expect_closed(struct victim *victim)
{
	uint64_t begun = victim_begins(victim, "that the server closes the link");

	while (victim->clients) {
		step(victim, MS);
		victim_waits(victim, begun, "the server keeps a liar");
	}
}

/* Messages that were dropped since their client read no replies. */
static uint64_t count_dropped(const struct victim *victim)
{
	struct peal_server_counters counters = { .size = sizeof(counters) };

	ck_assert_int_eq(peal_server_count(victim->server, &counters), 0);
	return counters.dropped;
}

void server_play(struct victim *victim)
{
	uint64_t begun, dropped = count_dropped(victim);
	struct told told;
	char path[120];

	snprintf(path, sizeof(path), "%s/server", victim->folder.name);
	victim->reason = 0;
	liar_plays(victim, AS_CLIENT, STYLE_REQUESTS, path);
	begun = victim_begins(victim, "the liar as a client");
	while (!victim->clients && !victim->reason) {
		step(victim, MS);
		victim_waits(victim, begun, "the liar does not connect");
	}
	for (uint64_t n = victim_chance(victim, 40); n; n--)
		step(victim, victim_brief(victim));
	expect_honest_served(victim);
	told = liar_has_lied(victim);
	begun = victim_begins(victim, "the last request");
	while (!told.lied && !victim->finale && victim->clients &&
	       dropped == count_dropped(victim)) {
		step(victim, MS);
		victim_waits(victim, begun, "the liar's last request does not come");
	}
	for (unsigned n = 0; n < 20; n++)
		step(victim, 0);
	expect_honest_served(victim);
	told = liar_has_ended(victim);
	expect_closed(victim);
	if (!told.lied && victim->reason != PEAL_END_DROPPED &&
	    (victim->reason != PEAL_END_DIED || victim->wrong ||
	     (!victim->finale && dropped == count_dropped(victim))))
		victim_fail(victim, "ended by %d, %u requests wrong: %s", victim->reason,
			    victim->wrong, peal_error());
	if (told.lied == LIED_IN_RING && victim->reason != PEAL_END_LIED &&
	    victim->reason != PEAL_END_DROPPED)
		victim_fail(victim, "ended by %d where it lied", victim->reason);
}

/*
 * A client.
 */

static void on_changed(void *data, int err)
{
	struct victim *victim = data;

	victim->changed = err;
}

static void answered(struct victim *victim, const struct peal_answer *answer)
{
	victim->over += answer->last;
	if (answer->verdict > PEAL_CANCELLED || answer->length > 1 << 20 ||
	    (answer->verdict != PEAL_REPLY && (!answer->err || answer->err < -4095)))
		victim_fail(victim, "an answer of %zu bytes, verdict %u, err %d", answer->length,
			    answer->verdict, answer->err);
	for (size_t i = 0; i < answer->length; i++)
		victim->random ^= ((const uint8_t *)answer->data)[i]; /* all of it is there */
}

static void call(struct victim *victim, struct peal_client *client, uint64_t *last)
{
	struct peal_answer answer;
	uint64_t begun;
	int err;

	switch (victim_chance(victim, 8)) {
	case 0:
	case 1:
	case 2:
		begun = victim_begins(victim, "client_begin");
		err = peal_client_begin(client, victim->message, victim_chance(victim, 3000),
					(uint32_t)victim_chance(victim, 2),
					1 + (int64_t)victim_chance(victim, 4) * MS, victim, last);
		victim->begun += !err;
		break;
	case 3:
		begun = victim_begins(victim, "client_cancel");
		err = peal_client_cancel(client, *last);
		break;
	case 4:
		begun = victim_begins(victim, "client_call");
		err = peal_client_call(client, victim->message, victim_chance(victim, 3000), 0,
				       &answer, victim_brief(victim));
		if (!err) {
			victim->over--;
			answered(victim, &answer);
		}
		break;
	default:
		begun = victim_begins(victim, "client_next");
		err = peal_client_next(client, &answer, victim_brief(victim));
		if (!err)
			answered(victim, &answer);
	}
	victim_ends(victim, begun, err);
	if (err && err != -EAGAIN && err != -ETIMEDOUT && err != -ENOENT && err != -EBUSY &&
	    err != -EMSGSIZE)
		victim_fail(victim, "%s: %d: %s", victim->verb, err, peal_error());
}

static void end_calls(struct victim *victim, struct peal_client *client)
{
	uint64_t begun = victim_begins(victim, "the last answers");
	struct peal_answer answer;
	int err;

	while ((err = peal_client_next(client, &answer, MS)) != -ENOENT) {
		if (!err)
			answered(victim, &answer);
		victim_waits(victim, begun, "not all calls end");
	}
	if (victim->begun != victim->over)
		victim_fail(victim, "of %llu calls %llu had a last answer",
			    (unsigned long long)victim->begun, (unsigned long long)victim->over);
}

/* No harm was done: the next call is answered. */
static void expect_answer(struct victim *victim, struct peal_client *client)
{
	struct peal_answer answer;
	int err = peal_client_call(client, "well", 4, 0, &answer, LONG);

	if (err || answer.verdict != PEAL_REPLY || peal_client_connected(client) != 1)
		victim_fail(victim, "client_call: %d, verdict %u, err %d: %s", err, answer.verdict,
			    answer.err, peal_error());
}

static void expect_lost(struct victim *victim, struct peal_client *client)
{
	uint64_t begun = victim_begins(victim, "that the client finds out");
	struct peal_answer answer;

	while (peal_client_connected(client) == 1) {
		if (!peal_client_next(client, &answer, 0))
			answered(victim, &answer);
		victim_waits(victim, begun, "the client finds no lie");
	}
}

void client_play(struct victim *victim)
{
	struct peal_client_options options;
	struct peal_client *client;
	struct peal_answer answer;
	uint64_t first, last = 0, begun;
	struct told told;

	peal_client_options_init(&options);
	victim->options.max_message = victim_chance(victim, 2) ? 8192 : 0;
	options.link = &victim->options;
	options.calls = 1 + (uint32_t)victim_chance(victim, 100);
	options.changed = on_changed;
	options.data = victim;
	victim->changed = 1;
	victim->begun = victim->over = 0;
	liar_plays(victim, AS_SERVER, STYLE_REPLIES, NULL);
	ck_assert_int_eq(peal_client_open(&client, victim->liar.path, &options), 0);
	ck_assert_int_eq(peal_client_begin(client, "first", 5, 0, LONG, NULL, &first), 0);
	victim->begun = 1;
	begun = victim_begins(victim, "the liar as a server");
	while (victim->changed == 1) {
		if (!peal_client_next(client, &answer, MS))
			answered(victim, &answer);
		victim_waits(victim, begun, "the liar does not accept");
	}
	for (uint64_t n = victim_chance(victim, 60); n; n--)
		call(victim, client, &last);
	peal_client_cancel(client, first);
	told = liar_has_lied(victim);
	end_calls(victim, client);
	if (!told.lied)
		expect_answer(victim, client);
	else if (told.lied & LIED_IN_RING)
		expect_lost(victim, client);
	peal_client_close(client);
	liar_has_ended(victim);
}
