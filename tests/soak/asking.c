/*
 * SPDX-License-Identifier: MIT
 *
 * A lane of calls: a client with many calls in flight, each of which ends once, with the answers
 * that it asked for or a verdict that there is a reason for.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <peal/client.h>

#include "tests/soak/chance.h"
#include "tests/soak/lane.h"
#include "tests/soak/request.h"
#include "tests/soak/side.h"

#define IN_FLIGHT 16

struct call {
	struct ask ask;
	uint64_t id, part;
	uint64_t kills, closings; /* of its client */
	uint32_t flags;
	bool open, timed, cancelled;
	bool alone; /* by peal_client_call */
};

struct asker {
	struct peal_client *client;
	struct note *note;
	struct call calls[IN_FLIGHT];
	int open;
	bool lazy;
	/* Of servers, when the client last knew that it had none: what it has now can have gone
	 * since then. A call that begins may still be sent to one that has just died. */
	uint64_t kills, closings;
	uint64_t random, number;
	uint8_t buffer[LONGEST];
};

static void changed(void *data, int err)
{
	struct asker *asker = data;

	if (err) {
		asker->kills = get(&board->kills[SERVER]);
		asker->closings = get(&board->closings);
	}
}

/* Draws a call and writes its request. Its length. */
static size_t draw_call(struct asker *asker, struct call *call)
{
	uint64_t *random = &asker->random;
	uint64_t more = draw(random, 16) ? draw(random, 1000) : draw(random, LONGEST + 1);
	struct ask *ask = &call->ask;

	memset(call, 0, sizeof(*call));
	call->kills = asker->kills;
	call->closings = asker->closings;
	ask->magic = MAGIC;
	ask->seed = mix(*random);
	ask->number = asker->number++;
	ask->how = draw(random, 8) ? draw(random, NEVER) : draw(random, HOWS);
	ask->want = sizeof(struct reply) + draw(random, PROMISED - sizeof(struct reply) + 1);
	if (ask->how == LATER && draw(random, 8) == 0)
		ask->want = sizeof(struct reply) + draw(random, LONGEST - sizeof(struct reply) + 1);
	call->flags = draw(random, 2) ? PEAL_IDEMPOTENT : 0;
	if (draw(random, 16) == 0)
		call->flags |= PEAL_NOW;
	call->timed = ask->how == NEVER || draw(random, 8) == 0;
	if (more < sizeof(*ask))
		more = sizeof(*ask);
	memcpy(asker->buffer, ask, sizeof(*ask));
	fill(asker->buffer + sizeof(*ask), ask->seed, ask->number, more - sizeof(*ask));
	return more;
}

static int64_t timeout_of(struct asker *asker, const struct call *call)
{
	return call->timed ? (int64_t)draw(&asker->random, 50 * MS) : PEAL_FOREVER;
}

static void unexpected(const struct call *call, const struct peal_answer *answer)
{
	wrong("call %llu (how %llu, flags %u, %s, %s, %llu answers): verdict %u, %d, %s",
	      (unsigned long long)call->ask.number, (unsigned long long)call->ask.how, call->flags,
	      call->timed ? "with a deadline" : "without one",
	      call->cancelled ? "cancelled" : "not cancelled", (unsigned long long)call->part,
	      answer->verdict, answer->err, peal_error());
}

static void take_reply(struct call *call, const struct peal_answer *answer)
{
	uint64_t parts = call->ask.how == SEVERAL ? PARTS : 1;

	if (call->ask.how == REFUSED || call->ask.how == NEVER || call->part >= parts)
		unexpected(call, answer);
	reply_check(answer->data, answer->length, &call->ask, call->part++);
	if (!call->alone && answer->last != (call->part == parts))
		unexpected(call, answer);
	tally_message(answer->length);
}

/* Whether there is a reason for a verdict. */
static bool may_be(const struct call *call, const struct peal_answer *answer)
{
	bool server_lost = since(&board->kills[SERVER], call->kills) ||
			   since(&board->closings, call->closings);
	bool too_long = answer->err == -EMSGSIZE;
	bool is_sent_again = (call->flags & PEAL_IDEMPOTENT) && !(call->flags & PEAL_NOW) &&
			     !call->timed && !call->part;

	switch (answer->verdict) {
	case PEAL_ERROR:
		return (call->ask.how == REFUSED && answer->err == -EACCES) ||
		       (call->ask.how >= LATER && answer->err == -EBUSY);
	case PEAL_NOT_SENT:
		return call->timed || call->cancelled || (call->flags & PEAL_NOW) || too_long ||
		       (server_lost && !is_sent_again);
	case PEAL_UNKNOWN:
		return server_lost && (!is_sent_again || too_long);
	case PEAL_TIMED_OUT:
		return call->timed;
	case PEAL_CANCELLED:
		/* Of one alone: too many answers to others were kept. */
		return call->cancelled || (call->alone && answer->err == -ENOMEM);
	default:
		return false;
	}
}

static void take(struct asker *asker, struct call *call, const struct peal_answer *answer)
{
	static const enum count counts[] = { ANSWERED, ERRORS,    UNKNOWN,
					     NOT_SENT, TIMED_OUT, CANCELLED };

	note_step(asker->note);
	if (!call->open || call->id != answer->call)
		wrong("an answer to call %llu, which is not open",
		      (unsigned long long)answer->call);
	if (answer->verdict == PEAL_REPLY)
		take_reply(call, answer);
	else if (!answer->last || !may_be(call, answer))
		unexpected(call, answer);
	if (answer->last || call->alone) {
		call->open = false;
		tally(counts[answer->verdict]);
	}
}

static void begin_call(struct asker *asker)
{
	struct call *call = asker->calls;
	size_t length;
	int err;

	while (call->open)
		call++;
	length = draw_call(asker, call);
	err = peal_client_begin(asker->client, asker->buffer, length, call->flags,
				timeout_of(asker, call), call, &call->id);
	if (err == -EMSGSIZE)
		return;
	if (err)
		wrong("beginning a call: %d, %s", err, peal_error());
	call->open = true;
	asker->open++;
	tally(CALLS);
	note_step(asker->note);
}

static void call_alone(struct asker *asker)
{
	struct peal_answer answer;
	struct call call;
	size_t length = draw_call(asker, &call);
	int err;

	call.alone = call.open = true;
	put(&asker->note->sending, SENDS);
	err = peal_client_call(asker->client, asker->buffer, length, call.flags, &answer,
			       timeout_of(asker, &call));
	put(&asker->note->sending, IDLE);
	if (err == -EMSGSIZE || err == -EBUSY)
		return;
	if (err)
		wrong("a call: %d, %s", err, peal_error());
	tally(CALLS);
	take(asker, &call, &answer);
}

static void cancel_some(struct asker *asker)
{
	struct call *call = &asker->calls[draw(&asker->random, IN_FLIGHT)];
	int err;

	if (!call->open)
		return;
	call->cancelled = true;
	err = peal_client_cancel(asker->client, call->id);
	if (err && err != -ENOENT)
		wrong("cancelling: %d, %s", err, peal_error());
}

/* Waits for an answer, or, if there is something else to do, for a while. */
static void await_answer(struct asker *asker, bool polls)
{
	struct pollfd polled = { .events = POLLIN };
	int64_t timeout = draw_timeout(&asker->random);
	struct peal_answer answer;
	struct call *call;
	int err;

	put(&asker->note->receiving, polls ? POLLS : RECEIVES);
	err = peal_client_next(asker->client, &answer, polls ? 0 : timeout);
	if (err == -EAGAIN && polls) {
		polled.fd = peal_client_fd(asker->client);
		if (polled.fd < 0)
			wrong("no descriptor: %s", peal_error());
		/* The first call makes it, and what came meanwhile it has not told of. */
		err = peal_client_next(asker->client, &answer, 0);
		if (err == -EAGAIN)
			poll_for(&polled, 1, timeout < 0 ? UINT64_MAX : (uint64_t)timeout);
	}
	if (err && err != -EAGAIN && err != -ETIMEDOUT && err != -ENOENT)
		wrong("the next answer: %d, %s", err, peal_error());
	if (err)
		return;
	call = answer.user;
	take(asker, call, &answer);
	if (!call->open)
		asker->open--;
}

static void open_client(struct asker *asker, const char *address)
{
	struct peal_client_options options;
	struct peal_options link;

	draw_options(&link, &asker->random);
	if (link.ring < LEAST_RING)
		link.ring = LEAST_RING;
	peal_client_options_init(&options);
	options.link = &link;
	options.least_ns = MS;
	options.most_ns = 20 * MS;
	options.changed = changed;
	options.data = asker;
	changed(asker, -ENOTCONN);
	options.calls = draw(&asker->random, 2) ? IN_FLIGHT : 0;
	asker->lazy = draw(&asker->random, 2);
	asker->open = 0;
	memset(asker->calls, 0, sizeof(asker->calls));
	if (peal_client_open(&asker->client, address, &options))
		wrong("a client: %s", peal_error());
}

static void ask(struct asker *asker, const char *address)
{
	uint64_t until = platform_now() + draw(&asker->random, 3000) * MS, *random = &asker->random;
	bool polls, leaves = draw(random, 4) == 0;

	open_client(asker, address);
	polls = peal_client_fd(asker->client) >= 0 && draw(random, 2);
	put(&asker->note->open, 1);
	while (platform_now() < until && !get(&board->stop[CLIENT])) {
		if (asker->open < IN_FLIGHT && draw(random, 2))
			begin_call(asker);
		if (draw(random, 16) == 0)
			call_alone(asker);
		if (draw(random, 16) == 0)
			cancel_some(asker);
		if (asker->open == IN_FLIGHT || draw(random, 2))
			await_answer(asker, polls);
		pause_for(pause_length(random, asker->lazy));
	}
	while (asker->open && !leaves) /* else they are forgotten */
		await_answer(asker, polls);
	peal_client_close(asker->client);
	put(&asker->note->open, 0);
	put(&asker->note->receiving, IDLE);
}

void *ask_calls(void *data)
{
	int lane = (int)(intptr_t)data;
	struct asker *asker = calloc(1, sizeof(*asker));
	char address[100];

	if (!asker)
		wrong("no memory");
	address_of(lane, address, sizeof(address));
	asker->note = &board->notes[lane][CLIENT];
	asker->random = seed_of(lane, CLIENT);
	while (!get(&board->stop[CLIENT]))
		ask(asker, address);
	free(asker);
	return NULL;
}
