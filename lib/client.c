/*
 * SPDX-License-Identifier: MIT
 *
 * Clients: calls, whose table is in pending.c, and the link that they go by while there is one. How
 * a link is made is in connect.c.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peal/client.h>

#include "lib/bell.h"
#include "lib/connect.h"
#include "lib/error.h"
#include "lib/options.h"
#include "lib/pending.h"

#define OPTIONS(field, offset)                                                  \
	_Static_assert(offsetof(struct peal_client_options, field) == (offset), \
		       "binary interface, version 1")
OPTIONS(size, 0);
OPTIONS(abi, 4);
OPTIONS(link, 8);
OPTIONS(least_ns, 16);
OPTIONS(most_ns, 24);
OPTIONS(calls, 32);
OPTIONS(spare_word, 36);
OPTIONS(changed, 40);
OPTIONS(data, 48);
OPTIONS(spare, 56);
_Static_assert(sizeof(struct peal_client_options) == 152, "binary interface, version 1");
#define ANSWER(field, offset)                                           \
	_Static_assert(offsetof(struct peal_answer, field) == (offset), \
		       "binary interface, version 1")
ANSWER(call, 0);
ANSWER(user, 8);
ANSWER(verdict, 16);
ANSWER(last, 20);
ANSWER(err, 24);
ANSWER(spare, 28);
ANSWER(data, 32);
ANSWER(length, 40);
_Static_assert(sizeof(struct peal_answer) == 48, "binary interface, version 1");
_Static_assert(PEAL_REPLY == 0, "binary interface, version 1");
_Static_assert(PEAL_ERROR == 1, "binary interface, version 1");
_Static_assert(PEAL_NOT_SENT == 2, "binary interface, version 1");
_Static_assert(PEAL_UNKNOWN == 3, "binary interface, version 1");
_Static_assert(PEAL_TIMED_OUT == 4, "binary interface, version 1");
_Static_assert(PEAL_CANCELLED == 5, "binary interface, version 1");
_Static_assert(PEAL_IDEMPOTENT == 1, "binary interface, version 1");
_Static_assert(PEAL_NOW == 2, "binary interface, version 1");

#define LEAST_NS ((uint64_t)10000000)
#define MOST_NS ((uint64_t)1000000000)
#define CALLS 1024u
#define CALLS_MAX 1048576u

/* How long a handshake may go unanswered: who is stopped may have been replaced. */
#define HANDSHAKE_NS ((uint64_t)10000000000)

/* Answers between two looks at the clock. */
#define TURN 16u

/* Between two looks for room where that cannot be waited for. */
#define SLICE_NS 100000

/* Between two looks where there is no descriptor to wait by. */
#define SLICE_MISSED_NS 1000000

/* Bytes of replies to others that may be kept when one call goes on waiting: a server can send more
 * of them than there is memory for. */
#define KEPT_MOST ((size_t)16 << 20)

/* What a buffer for replies holds at first. */
#define REPLY_LEAST ((size_t)4096)

/* A reply that was taken out of the ring. */
struct reply {
	struct reply *next; /* of those that are kept */
	size_t room;
	struct peal_answer answer;
	uint8_t data[];
};

struct peal_client {
	struct handle handle;
	uint32_t owner; /* debug builds: the thread that is inside a verb */
	struct opening opening;
	struct peal_link *link; /* NULL: none */
	struct peal_agreed agreed;

	struct pending table;
	uint32_t open;  /* calls whose last answer has not been fetched */
	uint32_t taken; /* answers since the last look at the clock */

	struct peal_sending sending; /* the first one that waits, while part of it is sent */
	struct reply *buffer;        /* that is received into; NULL: none so far */
	struct reply *shown;         /* that was kept, and the last verb gave out; NULL: none */
	struct reply *kept, *kept_last;
	size_t kept_bytes;

	/* Connecting; monotonic ns. */
	uint64_t least_ns, most_ns;
	uint64_t again_at;   /* no try before this */
	uint64_t give_up_at; /* the handshake that goes unanswered */
	uint64_t linked_at;
	uint64_t look_at; /* the next look after the server's death, before something is sent */
	uint32_t tries;   /* in vain, one after the other */
	int why_err;      /* of the last one, or of the last link's end; 0: there was none */
	char why[512];    /* and its sentence */
	void (*changed)(void *data, int err);
	void *data;
	char name[64]; /* options.link->name */

	/* Waiting by descriptor. */
	int poller, timer; /* -1: not needed so far */
	int watched;       /* in the poller; -1: none */
	uint64_t timer_at; /* UINT64_MAX: never */

	bool stale;
};

static void orphan(struct handle *handle)
{
	struct peal_client *client = (struct peal_client *)(void *)((char *)handle -
								    offsetof(struct peal_client,
									     handle));

	platform_close(client->poller);
	platform_close(client->timer);
	client->poller = client->timer = -1;
	client->stale = true;
	client->owner = 0; /* a thread that is no more */
}

static int stale(void)
{
	return error_literal(-ESTALE,
			     "this client is from before a fork: only the parent can use it");
}

/*
 * What becomes of a call.
 */

/* Takes it out of its list; what is half sent is given up. */
static void take_out(struct peal_client *client, struct call *call)
{
	if (call->state == CALL_WAITING) {
		if (client->sending.begun &&
		    pending_at(&client->table, client->table.waiting.first) == call) {
			peal_abort(peal_link_tx(client->link));
			client->sending.begun = 0;
		}
		pending_remove(&client->table, &client->table.waiting, call);
	} else {
		pending_remove(&client->table, &client->table.sent, call);
	}
}

/* Without a word of the server's. */
static void end(struct peal_client *client, struct call *call, uint32_t verdict, int err)
{
	take_out(client, call);
	pending_drop_copy(call);
	pending_untime(&client->table, call);
	call->state = CALL_ENDED;
	call->verdict = (uint8_t)verdict;
	call->err = err;
	pending_append(&client->table, &client->table.ended, call);
}

/* One that waits, and will not be sent: what is to be said of it. A part of a long message is
 * nothing that the server sees. */
static void end_unsent(struct peal_client *client, struct call *call, int err)
{
	end(client, call, call->seen ? PEAL_UNKNOWN : PEAL_NOT_SENT, err);
}

/* Tells the server. A courtesy: where there is no room for it, it is not told. */
static void tell(struct peal_client *client, const struct call *call)
{
	if (client->link && call->state == CALL_SENT)
		peal_send_cancel(peal_link_tx(client->link), (uint32_t)call->number, 0);
}

/* Ends the calls whose time is up. */
static void expire(struct peal_client *client, uint64_t now)
{
	struct call *call;

	while ((call = pending_next_due(&client->table)) && call->deadline <= now) {
		tell(client, call);
		if (call->state == CALL_SENT)
			end(client, call, PEAL_TIMED_OUT, -ETIMEDOUT);
		else
			end_unsent(client, call,
				   !client->link && client->why_err ? client->why_err : -ETIMEDOUT);
	}
}

static const char *sentence_of(const struct peal_client *client, const struct call *call)
{
	if (call->err == client->why_err && call->verdict != PEAL_TIMED_OUT)
		return client->why;
	switch (call->err) {
	case -ECANCELED:
		return "the call was given up, by peal_client_cancel";
	case -EMSGSIZE:
		return "the request is longer than this server accepts: raise "
		       "options.max_message there";
	case -ENOMEM:
		return "there was no memory for replies, or too many to other calls are kept: "
		       "fetch them with peal_client_next, or free some";
	case -ETIMEDOUT:
		return call->verdict == PEAL_TIMED_OUT ?
			       "no last reply came within the call's time" :
			       "the server took no requests within the call's time: it is not there, stopped, or slow";
	default:
		return call->verdict == PEAL_NOT_SENT ?
			       "there was no server to send the call to" :
			       "the server has gone, and nobody knows what became of the call";
	}
}

/* The last answer of a call that has ended without the server's. */
static void fetch(struct peal_client *client, struct call *call, struct peal_answer *answer)
{
	*answer = (struct peal_answer){ .call = call->number,
					.user = call->user,
					.verdict = call->verdict,
					.last = 1,
					.err = call->err };
	error_set(call->err, "%s", sentence_of(client, call));
	pending_remove(&client->table, &client->table.ended, call);
	pending_give_back(&client->table, call, !call->seen);
	client->open--;
}

/*
 * Connecting.
 */

/* Nothing that is not a link's may be in the poller when it is closed. */
static void unwatch(struct peal_client *client)
{
	if (client->watched >= 0)
		platform_poller_remove(client->poller, client->watched);
	client->watched = -1;
}

static void say_change(struct peal_client *client, int err)
{
	client->why_err = err;
	if (err)
		snprintf(client->why, sizeof(client->why), "%s", peal_error());
	if (client->changed)
		client->changed(client->data, err);
}

/* So long until the next try: a random half to whole of what doubles with each. */
static uint64_t pause_of(const struct peal_client *client)
{
	uint64_t whole = client->least_ns, mix;

	for (uint32_t i = 1; i < client->tries && whole < client->most_ns; i++)
		whole *= 2;
	if (whole > client->most_ns)
		whole = client->most_ns;
	/* The clocks of many clients agree, and they may all lose their server at once. */
	mix = arch_ticks() ^ (uint64_t)platform_pid() << 40 ^ (uint64_t)(uintptr_t)client << 8;
	mix = (mix ^ mix >> 32) * 0x9e3779b97f4a7c15u;
	mix = (mix ^ mix >> 32) * 0x9e3779b97f4a7c15u;
	return whole - (mix >> 32) % (whole / 2 + 1);
}

static void pause_before_next(struct peal_client *client, uint64_t now)
{
	client->tries++;
	client->again_at = platform_later(now, pause_of(client));
}

/* The server will go on to refuse us, whoever asks. */
static bool is_for_good(int err)
{
	return err == -EPERM || err == -EACCES || err == -EPROTONOSUPPORT || err == -EPROTOTYPE ||
	       err == -E2BIG;
}

/* There is no server now: ends those calls that do not wait for one; or all. */
static void end_waiting(struct peal_client *client, bool all)
{
	struct call *call = pending_at(&client->table, client->table.waiting.first);

	while (call) {
		struct call *next = pending_at(&client->table, call->next);

		if (all || (call->flags & PEAL_NOW))
			end_unsent(client, call, client->why_err);
		call = next;
	}
}

/* The link has ended, and all that came by it has been taken. */
static void lose(struct peal_client *client, int err)
{
	struct call *call = pending_at(&client->table, client->table.sent.first), *before = NULL;
	uint64_t now = platform_now();

	client->sending.begun = 0;
	say_change(client, err);
	while (call) {
		struct call *next = pending_at(&client->table, call->next);

		if ((call->flags & PEAL_IDEMPOTENT) && !call->answered) {
			pending_remove(&client->table, &client->table.sent, call);
			call->state = CALL_WAITING;
			pending_insert(&client->table, &client->table.waiting, before, call);
			before = call;
		} else {
			end(client, call, PEAL_UNKNOWN, err);
		}
		call = next;
	}
	unwatch(client);
	peal_close(client->link);
	client->link = NULL;
	client->again_at = now;
	if (now - client->linked_at > client->most_ns)
		client->tries = 0;
	else
		pause_before_next(client, now);
}

static void fail_to_connect(struct peal_client *client, int err, uint64_t now)
{
	say_change(client, err);
	pause_before_next(client, now);
	end_waiting(client, is_for_good(err));
}

/* Takes the next steps towards a link, if any call waits for one. Never waits. */
static void connect_on(struct peal_client *client, uint64_t now)
{
	bool fresh = client->opening.stage == OPENING_NEW && !client->opening.pause;
	int err;

	if (!client->table.waiting.first && fresh)
		return;
	if (fresh && now < client->again_at) {
		end_waiting(client, false);
		return;
	}
	if (client->opening.pause && now < client->again_at)
		return;
	if (fresh)
		client->give_up_at = platform_later(now, HANDSHAKE_NS);
	unwatch(client); /* it may close its socket, or make a link of it */
	err = opening_step(&client->opening, &client->link);
	if (err > 0 && client->opening.pause)
		client->again_at = platform_later(now, client->opening.pause);
	if (err > 0 && now >= client->give_up_at) {
		opening_drop(&client->opening);
		client->opening.pause = 0;
		err = error_set(
			-ETIMEDOUT,
			"the server at %s has not answered for %llu s: see whether it is stopped",
			client->opening.address.shown,
			(unsigned long long)(HANDSHAKE_NS / 1000000000));
	}
	if (err > 0)
		return;
	if (err) {
		fail_to_connect(client, err, now);
		return;
	}
	client->agreed.size = sizeof(client->agreed);
	peal_link_agreed(client->link, &client->agreed);
	client->linked_at = now;
	client->look_at = now + BELL_LOOK_NS;
	say_change(client, 0);
}

/*
 * Sending.
 */

static void mark_sent(struct peal_client *client, struct call *call)
{
	call->state = CALL_SENT;
	call->seen = true;
	pending_append(&client->table, &client->table.sent, call);
	if (!(call->flags & PEAL_IDEMPOTENT))
		pending_drop_copy(call);
}

/* Whether the server has not gone, as far as can be seen: what is published after its death would
 * be read by nobody. A look at the socket enters the kernel, so there is one now and then. */
static bool lives(struct peal_client *client, uint64_t now)
{
	bool look = now >= client->look_at;
	int verdict = link_verdict(client->link, look);

	if (look)
		client->look_at = now + BELL_LOOK_NS;
	if (verdict == -ECONNRESET)
		link_note_end(client->link, false);
	return !verdict;
}

/* Sends of what waits as much as there is room for. */
static void send_waiting(struct peal_client *client, uint64_t now)
{
	struct peal_tx *tx = peal_link_tx(client->link);
	struct peal_sending *sending = &client->sending;
	struct call *call;

	while ((call = pending_at(&client->table, client->table.waiting.first)) &&
	       lives(client, now)) {
		if (call->length > client->agreed.longest) {
			end_unsent(client, call, -EMSGSIZE);
			continue;
		}
		if (!sending->begun)
			*sending = (struct peal_sending){ .data = call->copy,
							  .length = call->length,
							  .tag = (uint32_t)call->number };
		if (peal_send_part(tx, sending, 0)) /* no room; or none any more: see receive */
			return;
		pending_remove(&client->table, &client->table.waiting, call);
		mark_sent(client, call);
	}
}

/* All that can be done at once but receiving. */
static void go_on(struct peal_client *client, uint64_t now)
{
	expire(client, now);
	if (!client->link)
		connect_on(client, now);
	if (client->link && client->table.waiting.first)
		send_waiting(client, now);
}

/* Whether it can be sent by the ring at once, if there is room. */
static bool is_ready(struct peal_client *client, size_t length, uint64_t now)
{
	return client->link && !client->table.waiting.first && length <= client->agreed.largest &&
	       lives(client, now);
}

static int copy_request(struct call *call, const void *request)
{
	call->copy = malloc(call->length ? call->length : 1);
	if (!call->copy)
		return error_set(-ENOMEM, "no memory to keep a request of %zu bytes: free some",
				 call->length);
	if (call->length)
		memcpy(call->copy, request, call->length);
	return 0;
}

static int refuse_to_begin(const struct peal_client *client, size_t length, uint32_t flags)
{
	if (flags & ~(uint32_t)(PEAL_IDEMPOTENT | PEAL_NOW))
		return error_set(
			-EINVAL,
			"the flags of a call are 0x%x: PEAL_IDEMPOTENT and PEAL_NOW are known",
			flags);
	if (client->open == client->table.most)
		return error_set(
			-EBUSY,
			"%u calls are in flight, which is the limit: call peal_client_next, or raise options.calls",
			client->table.most);
	if (client->link && length > client->agreed.longest)
		return error_set(
			-EMSGSIZE,
			"a request of %zu bytes is too long: the server accepts %llu; raise options.max_message there",
			length, (unsigned long long)client->agreed.longest);
	return 0;
}

static struct call *begin(struct peal_client *client, const void *request, size_t length,
			  uint32_t flags, int64_t timeout, void *user, int *why)
{
	struct call *call;
	uint64_t now;
	int err = -EAGAIN;

	if (PEAL_UNLIKELY((flags & ~(uint32_t)(PEAL_IDEMPOTENT | PEAL_NOW)) ||
			  client->open == client->table.most ||
			  (client->link && length > client->agreed.longest))) {
		*why = refuse_to_begin(client, length, flags);
		return NULL;
	}
	call = pending_take(&client->table);
	call->length = length;
	if ((flags & PEAL_IDEMPOTENT) && copy_request(call, request))
		goto fail;
	now = platform_now();
	if (PEAL_LIKELY(is_ready(client, length, now)))
		err = peal_send(peal_link_tx(client->link), request, length, (uint32_t)call->number,
				0);
	/* No room; or no server any more, which is found when all is received that it sent. */
	if (err && !call->copy && copy_request(call, request))
		goto fail;
	call->user = user;
	call->deadline = platform_deadline(now, timeout);
	call->flags = (uint8_t)flags;
	call->seen = call->answered = false;
	client->open++;
	if (call->deadline != UINT64_MAX)
		pending_time(&client->table, call);
	if (!err) {
		mark_sent(client, call);
		return call;
	}
	call->state = CALL_WAITING;
	pending_append(&client->table, &client->table.waiting, call);
	if (!client->link)
		connect_on(client, now);
	if (client->link)
		send_waiting(client, now);
	return call;
fail:
	pending_give_back(&client->table, call, true);
	*why = -ENOMEM;
	return NULL;
}

/*
 * Receiving.
 */

/* A buffer of at least so many bytes. */
static int make_buffer(struct peal_client *client, size_t room)
{
	struct reply *buffer;

	if (room < REPLY_LEAST)
		room = REPLY_LEAST;
	if (client->buffer && client->buffer->room >= room)
		return 0;
	buffer = malloc(sizeof(*buffer) + room);
	if (!buffer) {
		error_set(-ENOMEM, "no memory for a reply of %zu bytes: free some", room);
		return -ENOMEM;
	}
	buffer->room = room;
	free(client->buffer);
	client->buffer = buffer;
	return 0;
}

/* Makes an answer of a message. False: it is of no call that waits for one. */
static bool understand(struct peal_client *client, const struct peal_message *message)
{
	struct call *call = pending_by_number(&client->table, message->tag);
	struct peal_answer *answer = &client->buffer->answer;
	struct peal_control control;

	if (!call || call->state != CALL_SENT || (uint32_t)call->number != message->tag)
		return false;
	*answer = (struct peal_answer){ .call = call->number,
					.user = call->user,
					.verdict = PEAL_REPLY,
					.last = (message->flags & PEAL_HEADER_LAST) != 0,
					.data = message->data,
					.length = message->length };
	if (PEAL_UNLIKELY(message->flags & PEAL_HEADER_CONTROL)) {
		if (peal_control_read(message, &control) || control.kind != PEAL_CONTROL_ERROR)
			return false;
		/* Its sentence, for peal_error. */
		snprintf((char *)client->buffer->data, client->buffer->room, "%s",
			 control.sentence);
		answer->verdict = PEAL_ERROR;
		answer->err = control.code;
		answer->last = 1;
		answer->data = NULL;
		answer->length = 0;
	}
	if (answer->last) {
		pending_remove(&client->table, &client->table.sent, call);
		pending_give_back(&client->table, call, true);
	} else {
		call->answered = true;
		if (call->copy)
			pending_drop_copy(call);
	}
	return true;
}

/* Waits for a message. 1: there is an answer in the buffer; 0: something else has come, or the link
 * has ended; -EAGAIN: nothing; -ENOMEM. */
static int receive(struct peal_client *client, int64_t wait)
{
	struct peal_rx *rx = peal_link_rx(client->link);
	struct peal_message message = { .length = 0 };
	ssize_t length;
	int err = client->buffer ? 0 : make_buffer(client, 0);

	if (err)
		return err;
	length = peal_recv(rx, client->buffer->data, client->buffer->room, &message, wait);
	if (PEAL_LIKELY(length >= 0))
		return understand(client, &message);
	if (length == -ENOBUFS)
		return make_buffer(client, message.length);
	if (length == -EAGAIN || length == -ETIMEDOUT)
		return -EAGAIN;
	if (length != -ENOMEM)
		lose(client, (int)length);
	return length == -ENOMEM ? -ENOMEM : 0;
}

/* Whether a message, or part of one, is there now. */
static bool is_there(const struct peal_client *client)
{
	const struct peal_rx *rx = &client->link->rx;

	/* Pairs with [publish] in peal_show; peal_recv looks again. */
	return __atomic_load_n((const uint64_t *)(const void *)peal_next(rx, rx->pos),
			       __ATOMIC_RELAXED) != 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When there is something to do that nobody else's doing tells of. */
static uint64_t next_event(const struct peal_client *client)
{
	const struct call *due = pending_next_due(&client->table);
	uint64_t at = due ? due->deadline : UINT64_MAX;

	if (client->link)
		return at;
	if (client->opening.stage == OPENING_ANSWER)
		return earlier(at, client->give_up_at);
	return client->table.waiting.first ? earlier(at, client->again_at) : at;
}

/* Waits for room and for messages. */
static int wait_for_room(struct peal_client *client, int64_t wait)
{
	int armed = peal_link_arm(client->link, PEAL_DATA | PEAL_ROOM);

	if (armed < 0) /* a link that spins, or no descriptor for it */
		return receive(client, wait < 0 || wait > SLICE_NS ? SLICE_NS : wait);
	if (!armed)
		platform_poll(peal_link_fd(client->link), false, wait);
	return receive(client, 0);
}

/* Until something happens. As receive. */
static int wait_until(struct peal_client *client, uint64_t at, uint64_t now)
{
	int64_t wait = at == UINT64_MAX ? -1 : at > now ? (int64_t)(at - now) : 0;

	if (client->link && client->table.waiting.first)
		return wait_for_room(client, wait);
	if (client->link)
		return receive(client, wait);
	if (client->opening.stage == OPENING_ANSWER)
		platform_poll(client->opening.fd, false, wait);
	else if (wait > 0)
		platform_sleep((uint64_t)wait);
	return -EAGAIN;
}

static size_t size_of(const struct reply *reply)
{
	return sizeof(*reply) + reply->room;
}

/* Keeps the answer that is in the buffer for peal_client_next, and no more of the buffer than it
 * takes. */
static void keep(struct peal_client *client)
{
	struct reply *reply = client->buffer, *shorter;

	client->buffer = NULL;
	if (reply->answer.verdict == PEAL_REPLY) {
		shorter = realloc(reply, sizeof(*reply) + reply->answer.length);
		if (shorter) {
			reply = shorter;
			reply->room = reply->answer.length;
			reply->answer.data = reply->data;
		}
	}
	client->kept_bytes += size_of(reply);
	reply->next = NULL;
	*(client->kept ? &client->kept_last->next : &client->kept) = reply;
	client->kept_last = reply;
}

/* Hands the answer of a reply out. */
static void show(struct peal_client *client, const struct reply *reply, struct peal_answer *answer)
{
	*answer = reply->answer;
	client->open -= answer->last;
	if (answer->verdict == PEAL_ERROR)
		error_set(answer->err, "%s", (const char *)reply->data);
}

/* Whether no more can be kept. */
static int refuse_to_keep(const struct peal_client *client)
{
	if (client->kept_bytes <= KEPT_MOST)
		return 0;
	return error_set(
		-ENOMEM,
		"%zu bytes of replies to other calls are kept, and no more than %zu: fetch them with peal_client_next",
		client->kept_bytes, KEPT_MOST);
}

static int say_nothing(int64_t timeout)
{
	return timeout ? error_literal(-ETIMEDOUT, "no answer came until the timeout") :
			 error_literal(-EAGAIN, "no answer has come, and the timeout is 0");
}

/*
 * Waits for an answer: of one call, while those of others are kept; or of any (NULL). 0; -EAGAIN,
 * -ETIMEDOUT; -ENOENT: there is nothing to wait for; -ENOMEM.
 */
static int await(struct peal_client *client, struct peal_answer *answer, struct call *wanted,
		 int64_t timeout)
{
	uint64_t number = wanted ? wanted->number : 0, now, until = 0;
	bool begun = false;
	int got;

	for (;;) {
		if (wanted ? wanted->state == CALL_ENDED : client->table.ended.first != 0) {
			fetch(client,
			      wanted ? wanted :
				       pending_at(&client->table, client->table.ended.first),
			      answer);
			return 0;
		}
		if (wanted && refuse_to_keep(client))
			return -ENOMEM;
		if (client->link && ++client->taken % TURN && is_there(client)) {
			got = receive(client, 0);
		} else {
			now = platform_now();
			if (!begun)
				until = platform_deadline(now, timeout);
			go_on(client, now);
			if (wanted ? wanted->state == CALL_ENDED : client->table.ended.first != 0)
				continue;
			if (client->link && (timeout == 0 || !client->open || now >= until))
				got = receive(client, 0);
			else if (now < until && client->open)
				got = wait_until(client, earlier(until, next_event(client)), now);
			else
				got = -EAGAIN;
			if (got <= 0 && !client->open && (got == -EAGAIN || begun))
				return error_literal(-ENOENT,
						     "no call is in flight: begin one first");
			if ((got == -EAGAIN && timeout == 0) ||
			    ((got == -EAGAIN || !got) && begun && now >= until))
				return say_nothing(timeout);
			begun = true;
		}
		if (got == -ENOMEM)
			return got;
		if (got <= 0)
			continue;
		if (!wanted || client->buffer->answer.call == number) {
			show(client, client->buffer, answer);
			return 0;
		}
		keep(client);
	}
}

/*
 * By descriptor.
 */

/* Before the program waits for the descriptor: there is nothing to do now. */
static void rest(struct peal_client *client)
{
	uint64_t now = platform_now(), at = next_event(client);
	int fd = client->opening.stage == OPENING_ANSWER ? client->opening.fd : -1;
	int err = 0;

	if (client->link) {
		fd = peal_link_fd(client->link);
		err = fd < 0 ? fd :
			       peal_link_arm(client->link,
					     PEAL_DATA |
						     (client->table.waiting.first ? PEAL_ROOM : 0));
	}
	if (fd != client->watched) {
		unwatch(client);
		if (fd >= 0 && !platform_poller_add(client->poller, fd, 0))
			client->watched = fd;
	}
	if (err > 0)
		at = now; /* something has come meanwhile */
	else if (fd != client->watched)
		at = earlier(at, now + SLICE_MISSED_NS);
	/* One that has fired stays readable until it is set again. */
	if (at != client->timer_at || at <= now)
		platform_timer_set(client->timer, at == UINT64_MAX ? 0 : at > now ? at - now : 1);
	client->timer_at = at;
}

static int make_poller(struct peal_client *client)
{
	int err = 0;

	registry_lock();
	client->poller = platform_poller();
	client->timer = platform_timer();
	if (client->poller < 0 || client->timer < 0)
		err = client->poller < 0 ? client->poller : client->timer;
	else
		err = platform_poller_add(client->poller, client->timer, 0);
	if (err) {
		platform_close(client->poller);
		platform_close(client->timer);
		client->poller = client->timer = -1;
	}
	registry_unlock();
	return err ? error_set(err, "no descriptor to wait by (epoll, timerfd, errno %d): %s", -err,
			       error_mend(err, "raise the limit of descriptors (nofile)")) :
		     0;
}

static int find_descriptor(struct peal_client *client)
{
	int err = 0;

	if (client->stale)
		return stale();
	if (client->opening.options.wait == PEAL_WAIT_SPIN)
		return error_literal(
			-EOPNOTSUPP,
			"the link spins (PEAL_WAIT_SPIN), so nobody rings for it: choose "
			"another way of waiting");
	if (client->poller < 0) {
		err = make_poller(client);
		if (!err)
			rest(client);
	}
	return err ? err : client->poller;
}

int peal_client_fd(struct peal_client *client)
{
	int fd;

	PEAL_DEBUG_ENTER(client);
	fd = find_descriptor(client);
	PEAL_DEBUG_LEAVE(client);
	return fd;
}

/*
 * The verbs.
 */

static int check_options(const struct peal_client_options *options)
{
	const uint8_t *bytes = (const uint8_t *)options;

	if (options->size < sizeof(*options) || options->size > 4096 || !options->abi)
		return error_set(
			-EINVAL,
			"options->size is %u and abi %u, where %zu and 1 or more are right: start "
			"with peal_client_options_init",
			options->size, options->abi, sizeof(*options));
	if (options->abi > PEAL_ABI)
		return error_set(
			-EOPNOTSUPP,
			"the program was compiled against headers of number %u, this library knows 1 "
			"to %u: use a newer library",
			options->abi, PEAL_ABI);
	for (size_t i = offsetof(struct peal_client_options, spare); i < options->size; i++)
		if (bytes[i] || options->spare_word)
			return error_set(
				-EOPNOTSUPP,
				"an option at offset %zu or in spare_word is newer than this library: use a newer one, or set it to 0",
				i);
	if (options->calls > CALLS_MAX)
		return error_set(-EINVAL, "options->calls is %u: pass at most %u, or 0 for %u",
				 options->calls, CALLS_MAX, CALLS);
	return 0;
}

static int take_options(struct peal_client *client, const struct peal_client_options *options)
{
	client->least_ns = options->least_ns ? options->least_ns : LEAST_NS;
	client->most_ns = options->most_ns ? options->most_ns : MOST_NS;
	if (client->most_ns > INT64_MAX || client->least_ns > client->most_ns)
		return error_set(
			-EINVAL,
			"pauses of options->least_ns %llu to most_ns %llu: the first may not be longer",
			(unsigned long long)client->least_ns, (unsigned long long)client->most_ns);
	client->changed = options->changed;
	client->data = options->data;
	return 0;
}

static int take_address(struct peal_client *client, const char *address,
			const struct peal_options *link)
{
	struct opening *opening = &client->opening;
	int err = opening_prepare(opening, address, link);

	if (err)
		return err;
	if (opening->address.form == ADDRESS_DESCRIPTOR)
		return error_set(-EINVAL,
				 "%s is good for one connection, and a client makes many: pass an "
				 "address of another form, or use peal_connect",
				 opening->address.shown);
	opening->options.flags |= PEAL_CALLS | PEAL_ONE_THREAD;
	options_copy_name(client->name, opening->options.name);
	opening->options.name = client->name;
	return 0;
}

int peal_client_open(struct peal_client **made, const char *address,
		     const struct peal_client_options *given)
{
	struct peal_client_options defaults;
	struct peal_client *client;
	int err;

	*made = NULL;
	peal_client_options_init(&defaults);
	if (!given)
		given = &defaults;
	err = check_options(given);
	if (err)
		return err;
	client = calloc(1, sizeof(*client));
	if (!client)
		return error_set(-ENOMEM, "no memory for a client of %zu bytes: free some",
				 sizeof(*client));
	client->poller = client->timer = client->watched = -1;
	client->timer_at = UINT64_MAX;
	err = take_options(client, given);
	if (!err)
		err = take_address(client, address, given->link);
	if (!err)
		err = pending_open(&client->table, given->calls ? given->calls : CALLS);
	if (err) {
		free(client);
		return err;
	}
	client->handle.orphan = orphan;
	registry_lock();
	registry_add(&client->handle);
	registry_unlock();
	*made = client;
	return 0;
}

void peal_client_close(struct peal_client *client)
{
	struct call *call;

	if (!client)
		return;
	PEAL_DEBUG_ENTER(client);
	call = client->stale || !client->link ?
		       NULL :
		       pending_at(&client->table, client->table.sent.first);
	for (; call; call = pending_at(&client->table, call->next))
		tell(client, call);
	opening_drop(&client->opening);
	peal_close(client->link);
	registry_lock();
	registry_remove(&client->handle);
	platform_close(client->poller);
	platform_close(client->timer);
	registry_unlock();
	PEAL_DEBUG_LEAVE(client);
	pending_close(&client->table);
	while (client->kept) {
		struct reply *reply = client->kept;

		client->kept = reply->next;
		free(reply);
	}
	free(client->shown);
	free(client->buffer);
	free(client);
}

int peal_client_begin(struct peal_client *client, const void *request, size_t length,
		      uint32_t flags, int64_t timeout, void *user, uint64_t *number)
{
	struct call *call;
	int err = 0;

	if (client->stale)
		return stale();
	PEAL_DEBUG_ENTER(client);
	call = begin(client, request, length, flags, timeout, user, &err);
	if (call && number)
		*number = call->number;
	PEAL_DEBUG_LEAVE(client);
	return err;
}

/* What the last verb gave out holds no longer. */
static void forget_shown(struct peal_client *client)
{
	free(client->shown);
	client->shown = NULL;
}

static int next(struct peal_client *client, struct peal_answer *answer, int64_t timeout)
{
	int err;

	if (client->shown)
		forget_shown(client);
	if (client->kept) {
		client->shown = client->kept;
		client->kept = client->shown->next;
		client->kept_bytes -= size_of(client->shown);
		show(client, client->shown, answer);
		return 0;
	}
	err = await(client, answer, NULL, timeout);
	if (client->poller >= 0 && (err == -EAGAIN || err == -ENOENT))
		rest(client);
	return err;
}

int peal_client_next(struct peal_client *client, struct peal_answer *answer, int64_t timeout)
{
	int err;

	if (client->stale)
		return stale();
	PEAL_DEBUG_ENTER(client);
	err = next(client, answer, timeout);
	PEAL_DEBUG_LEAVE(client);
	return err;
}

static int cancel(struct peal_client *client, uint64_t number)
{
	struct call *call = pending_by_number(&client->table, number);

	if (!call || call->number != number ||
	    (call->state != CALL_WAITING && call->state != CALL_SENT))
		return error_literal(-ENOENT, "the call has ended");
	tell(client, call);
	end(client, call, call->seen ? PEAL_CANCELLED : PEAL_NOT_SENT, -ECANCELED);
	return 0;
}

int peal_client_cancel(struct peal_client *client, uint64_t number)
{
	int err;

	if (client->stale)
		return stale();
	PEAL_DEBUG_ENTER(client);
	err = cancel(client, number);
	PEAL_DEBUG_LEAVE(client);
	return err;
}

static int call_once(struct peal_client *client, const void *request, size_t length, uint32_t flags,
		     struct peal_answer *answer, int64_t timeout)
{
	struct call *call;
	int err = 0;

	call = begin(client, request, length, flags, timeout, NULL, &err);
	if (!call)
		return err;
	forget_shown(client);
	err = await(client, answer, call, PEAL_FOREVER);
	if (err) { /* no memory for replies */
		tell(client, call);
		end(client, call, call->seen ? PEAL_CANCELLED : PEAL_NOT_SENT, err);
		fetch(client, call, answer);
	} else if (!answer->last) {
		pending_remove(&client->table, &client->table.sent, call);
		pending_give_back(&client->table, call, false);
		client->open--;
	}
	answer->call = 0;
	answer->last = 1;
	return 0;
}

int peal_client_call(struct peal_client *client, const void *request, size_t length, uint32_t flags,
		     struct peal_answer *answer, int64_t timeout)
{
	int err;

	if (client->stale)
		return stale();
	PEAL_DEBUG_ENTER(client);
	err = call_once(client, request, length, flags, answer, timeout);
	PEAL_DEBUG_LEAVE(client);
	return err;
}

int peal_client_connected(const struct peal_client *client)
{
	int connected;

	if (client->stale)
		return stale();
	PEAL_DEBUG_ENTER((struct peal_client *)(uintptr_t)client);
	connected = client->link != NULL;
	PEAL_DEBUG_LEAVE((struct peal_client *)(uintptr_t)client);
	return connected;
}
