/*
 * SPDX-License-Identifier: MIT
 *
 * A link as a victim: its verbs, at random, and what must have become of it.
 */
#include "config.h"

#include "tests/hostile/seeds.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

static struct peal_tx *tx_of(const struct victim *victim)
{
	return peal_link_tx(victim->link);
}

static struct peal_rx *rx_of(const struct victim *victim)
{
	return peal_link_rx(victim->link);
}

static bool is_end(int64_t result)
{
	return result == -EPROTO || result == -EPIPE || result == -ECONNRESET;
}

static void note_end(struct victim *victim, int64_t result)
{
	if (is_end(result))
		victim->ended = (int)result;
}

/*
 * What is received. Whatever the peer does, it is inside the ring or the buffer; and with one that
 * did no harm it is all that was sent, once, in order and whole.
 */

static void took(struct victim *victim, const struct peal_message *message, bool seen)
{
	if (message->length > (seen ? sizeof(victim->buffer) : 1 << 20) ||
	    (message->flags & ~(PEAL_HEADER_LAST | PEAL_HEADER_CONTROL)))
		victim_fail(victim, "a message of %zu bytes with flags 0x%x", message->length,
			    message->flags);
	if (message->flags & PEAL_HEADER_CONTROL) {
		struct peal_control control;

		if (seen)
			peal_control_read(message, &control);
	} else if (message->tag == FINALE) {
		victim->finale = true;
	} else if (seen) {
		victim->wrong += message->tag - victim->heard - 1 > victim->dropped ||
				 !message_is_whole(message->tag, message->data, message->length);
		victim->heard = message->tag;
		victim->dropped = 0;
	} else {
		victim->dropped++; /* or it was given up */
	}
}

/* One that was too long for the verb is received, or dropped. */
static void settle(struct victim *victim, const struct peal_message *about)
{
	struct peal_message message;
	ssize_t got;

	if (victim_chance(victim, 2)) {
		/* Of one that is not a whole one yet the rest may never come. */
		got = peal_recv(rx_of(victim), victim->buffer, sizeof(victim->buffer), &message, 0);
		if (got >= 0)
			took(victim, &message, true);
		note_end(victim, got);
	} else {
		took(victim, about, false);
		peal_release(rx_of(victim));
	}
}

static int64_t receive(struct victim *victim, int64_t timeout)
{
	size_t size = victim_chance(victim, 8) ? sizeof(victim->buffer) : 50;
	struct peal_message message;
	ssize_t got = peal_recv(rx_of(victim), victim->buffer, size, &message, timeout);

	if (got == -ENOBUFS)
		settle(victim, &message);
	else if (got >= 0)
		took(victim, &message, true);
	return got;
}

static int64_t receive_batch(struct victim *victim, int64_t timeout)
{
	struct peal_message messages[40];
	int got = peal_recv_batch(rx_of(victim), victim->buffer, sizeof(victim->buffer), messages,
				  1 + (int)victim_chance(victim, 40), timeout);

	for (int i = 0; i < got; i++) {
		const uint8_t *data = messages[i].data;

		if (data < victim->buffer ||
		    data + messages[i].length > victim->buffer + sizeof(victim->buffer))
			victim_fail(victim, "a message is outside of the buffer");
		took(victim, &messages[i], true);
	}
	return got;
}

static int64_t peek(struct victim *victim, int64_t timeout)
{
	struct peal_message message;
	int err = peal_peek(rx_of(victim), &message, timeout);

	if (err == -EMSGSIZE)
		settle(victim, &message);
	if (err)
		return err;
	if (victim_chance(victim, 4)) {
		took(victim, &message, true);
		peal_release(rx_of(victim));
	}
	return 0;
}

static int each(void *data, const struct peal_message *message)
{
	struct victim *victim = data;

	took(victim, message, true);
	return !victim_chance(victim, 30);
}

static int64_t drain(struct victim *victim, int64_t timeout)
{
	int got = peal_drain(rx_of(victim), each, victim, (int)victim_chance(victim, 60), timeout);

	/* Long ones it leaves. */
	return got == -EMSGSIZE ? receive(victim, 0) : got;
}

/*
 * What is sent: the next one, which counts if it has gone.
 */

static uint32_t next_message(struct victim *victim, size_t *length)
{
	uint32_t tag = victim->said + 1;

	*length = message_length(tag);
	for (size_t i = 0; i < *length; i++)
		victim->message[i] = message_byte(tag, i);
	return tag;
}

static int64_t sent(struct victim *victim, int64_t result)
{
	if (!result)
		victim->said++;
	return result;
}

static int64_t send_one(struct victim *victim, int64_t timeout)
{
	size_t length, half;
	uint32_t tag = next_message(victim, &length);
	const void *data = victim->message;
	struct iovec pieces[2];

	switch (victim_chance(victim, 4)) {
	case 0:
		half = victim_chance(victim, length + 1);
		pieces[0] = (struct iovec){ victim->message, half };
		pieces[1] = (struct iovec){ victim->message + half, length - half };
		return sent(victim, peal_sendv(tx_of(victim), pieces, 2, tag, timeout));
	case 1:
		return sent(victim, peal_send_last(tx_of(victim), data, length, tag, timeout));
	case 2:
		return sent(victim, peal_send_more(tx_of(victim), data, length, tag, timeout));
	default:
		return sent(victim, peal_send(tx_of(victim), data, length, tag, timeout));
	}
}

static int64_t send_some(struct victim *victim, int64_t timeout)
{
	int64_t err = 0;

	for (uint64_t n = 1 + victim_chance(victim, 30); n && !err; n--)
		err = send_one(victim, timeout);
	if (victim_chance(victim, 2))
		peal_flush(tx_of(victim));
	return err;
}

static int64_t send_in_place(struct victim *victim, int64_t timeout)
{
	size_t length;
	uint32_t tag = next_message(victim, &length);
	void *at;
	int err = peal_reserve(tx_of(victim), length, &at, timeout);

	if (err)
		return err;
	memcpy(at, victim->message, length);
	switch (victim_chance(victim, 4)) {
	case 0:
		peal_abort(tx_of(victim));
		return 0;
	case 1:
		return sent(victim, peal_commit_last(tx_of(victim), length, tag));
	case 2:
		return sent(victim, peal_commit_more(tx_of(victim), length, tag));
	default:
		return sent(victim, peal_commit(tx_of(victim), length, tag));
	}
}

static int64_t send_batch(struct victim *victim, int64_t timeout)
{
	struct peal_message messages[10];
	size_t used = 0, length;
	int count = 0, went;

	while (count < 10) {
		uint32_t tag = victim->said + 1 + (uint32_t)count;

		length = message_length(tag);
		if (used + length > sizeof(victim->message))
			break;
		for (size_t i = 0; i < length; i++)
			victim->message[used + i] = message_byte(tag, i);
		messages[count++] = (struct peal_message){ .data = victim->message + used,
							   .length = length,
							   .tag = tag };
		used += length;
	}
	went = peal_send_batch(tx_of(victim), messages, count, timeout);
	victim->said += went > 0 ? (uint32_t)went : 0;
	return went;
}

/* Some of a long message, which is given up at times. */
static int64_t send_part(struct victim *victim, int64_t timeout)
{
	struct peal_sending *sending = &victim->sending;
	int err;

	if (!sending->begun)
		*sending = (struct peal_sending){ .data = victim->buffer, /* whatever is in there */
						  .length = sizeof(victim->buffer),
						  .tag = victim->said + 1 };
	err = peal_send_part(tx_of(victim), sending, timeout);
	if (err && victim_chance(victim, 2)) {
		peal_abort(tx_of(victim));
		sending->begun = 0;
	}
	return sent(victim, err);
}

static int64_t send_control(struct victim *victim, int64_t timeout)
{
	if (victim_chance(victim, 2))
		return peal_send_cancel(tx_of(victim), 3, timeout);
	return peal_send_error(tx_of(victim), 3, -EIO, "of no use", timeout);
}

/*
 * Waiting, and asking.
 */

static int64_t wait_in_set(struct victim *victim, int64_t timeout)
{
	const struct peal_link *ready;
	int count;

	if (!victim->in_set)
		ck_assert_int_eq(peal_set_add(victim->set, victim->link, victim), 0);
	victim->in_set = true;
	if (victim_chance(victim, 3) == 0)
		peal_set_want_room(victim->set, victim->link);
	if (victim_chance(victim, 3) == 0) {
		struct pollfd look = { .fd = peal_set_fd(victim->set), .events = POLLIN };

		count = peal_set_arm(victim->set);
		if (!count)
			poll(&look, 1, (int)victim_chance(victim, 2));
	}
	count = peal_set_wait(victim->set, timeout);
	while ((ready = peal_set_next(victim->set, NULL)))
		if (ready == victim->link)
			note_end(victim, receive(victim, 0));
	if (!victim_chance(victim, 3)) {
		ck_assert_int_eq(peal_set_remove(victim->set, victim->link), 0);
		victim->in_set = false;
	}
	return count;
}

static int64_t wait_armed(struct victim *victim, int64_t timeout)
{
	struct pollfd look = { .events = POLLIN };
	int armed;

	(void)timeout;
	if (victim->in_set)
		return 0;
	look.fd = peal_link_fd(victim->link);
	armed = peal_link_arm(victim->link, 1 + (uint32_t)victim_chance(victim, 3));
	if (!armed)
		poll(&look, 1, (int)victim_chance(victim, 2));
	return armed;
}

static int64_t ask(struct victim *victim, int64_t timeout)
{
	struct peal_stats stats = stats_of(victim->link);
	struct peal_agreed agreed = { .size = sizeof(agreed) };
	struct peal_offcpu offcpu;

	(void)timeout;
	ck_assert_int_eq(peal_link_agreed(victim->link, &agreed), 0);
	ck_assert_int_eq(peal_link_offcpu(victim->link, &offcpu, NULL), 0);
	if (stats.tx.high_water > agreed.ring || stats.rx.high_water > agreed.peer_ring)
		victim_fail(victim, "%llu and %llu bytes were found in rings of %llu and %llu",
			    (unsigned long long)stats.tx.high_water,
			    (unsigned long long)stats.rx.high_water,
			    (unsigned long long)agreed.ring, (unsigned long long)agreed.peer_ring);
	return 0;
}

typedef int64_t (*verb)(struct victim *victim, int64_t timeout);

static const struct {
	const char *name;
	verb run;
	unsigned weight;
} verbs[] = {
	{ "recv", receive, 6 },
	{ "recv_batch", receive_batch, 3 },
	{ "peek", peek, 3 },
	{ "drain", drain, 3 },
	{ "send", send_some, 6 },
	{ "reserve", send_in_place, 3 },
	{ "send_batch", send_batch, 2 },
	{ "send_part", send_part, 2 },
	{ "send_error, send_cancel", send_control, 1 },
	{ "a set", wait_in_set, 3 },
	{ "link_arm", wait_armed, 2 },
	{ "link_stats", ask, 1 },
};

#define WEIGHTS 35

static bool may_be(int64_t result)
{
	return result >= 0 || is_end(result) || result == -EAGAIN || result == -ETIMEDOUT ||
	       result == -ENOBUFS || result == -EMSGSIZE || result == -EBUSY ||
	       result == -EOPNOTSUPP;
}

static void live(struct victim *victim)
{
	uint64_t lot = victim_chance(victim, WEIGHTS), begun;
	int64_t timeout = victim_brief(victim), result;
	size_t i = 0;

	while (lot >= verbs[i].weight)
		lot -= verbs[i++].weight;
	begun = victim_begins(victim, verbs[i].name);
	result = verbs[i].run(victim, timeout);
	victim_ends(victim, begun, result);
	if (!may_be(result))
		victim_fail(victim, "%s: %lld: %s", verbs[i].name, (long long)result, peal_error());
	note_end(victim, result);
}

void link_live(struct victim *victim, unsigned count)
{
	bool stops = !victim_chance(victim, 20);

	for (unsigned i = 0; i < count; i++) {
		if (stops && i == count / 2)
			liar_stop(&victim->liar, true);
		live(victim);
		if (stops && i == count / 2 + 3)
			liar_stop(&victim->liar, false);
	}
	if (stops)
		liar_stop(&victim->liar, false);
}

/*
 * In the end.
 */

/* The liar has done no harm: each side gets the other's last message, and all before it. */
static void expect_well(struct victim *victim)
{
	uint64_t begun = victim_begins(victim, "the last message");
	struct peal_message message;
	ssize_t got;
	int err;

	while (!victim->finale) {
		got = peal_recv(rx_of(victim), victim->buffer, sizeof(victim->buffer), &message,
				MS);
		if (got >= 0)
			took(victim, &message, true);
		else if (got != -ETIMEDOUT)
			victim_fail(victim, "recv: %zd: %s", got, peal_error());
		victim_waits(victim, begun, "the liar's last message does not come");
	}
	while ((err = peal_send(tx_of(victim), victim->message, message_length(FINALE), FINALE,
				MS)) == -ETIMEDOUT)
		victim_waits(victim, begun, "there is no room for the last message");
	if (err || victim->ended)
		victim_fail(victim, "send: %d, ended %d: %s", err, victim->ended, peal_error());
	if (victim->wrong)
		victim_fail(victim, "%u of %u messages were not what was sent", victim->wrong,
			    victim->heard);
}

/* Who goes on receiving finds out. */
static void expect_rx_end(struct victim *victim, const struct told *told)
{
	uint64_t begun = victim_begins(victim, "finding out by receiving");
	struct peal_message message;
	ssize_t got;

	do {
		got = peal_recv(rx_of(victim), victim->buffer, sizeof(victim->buffer), &message,
				MS);
		if (got >= 0)
			took(victim, &message, true);
		victim_waits(victim, begun, "receiving finds no lie");
	} while (!is_end(got));
	if (told->lied == LIED_IN_RING && got != -EPROTO)
		victim_fail(victim, "recv: %zd where it lied: %s", got, peal_error());
	if (told->lied == LIED_CLOSED && got != -EPIPE)
		victim_fail(victim, "recv: %zd where it closed: %s", got, peal_error());
	if (told->lied == LIED_GONE && got != -ECONNRESET)
		victim_fail(victim, "recv: %zd where it went: %s", got, peal_error());
}

/* Who goes on sending does. */
static void expect_tx_end(struct victim *victim, const struct told *told)
{
	uint64_t begun = victim_begins(victim, "finding out by sending");
	int err;

	do {
		err = peal_send(tx_of(victim), victim->message, 56, 0, 0);
		victim_waits(victim, begun, "sending finds no lie");
	} while (!err);
	if (!is_end(err) || (told->lied == LIED_IN_HEAD && err != -EPROTO))
		victim_fail(victim, "send: %d where it lied: %s", err, peal_error());
}

void link_judge(struct victim *victim, const struct told *told)
{
	if (victim->sending.begun)
		peal_abort(tx_of(victim));
	victim->sending.begun = 0;
	if (!told->lied) {
		expect_well(victim);
		return;
	}
	/* What changes all the time may be anything by now. */
	if (told->lied & LIED_IN_HEAD)
		expect_tx_end(victim, told);
	if ((told->lied & LIED_IN_RING) ||
	    ((told->lied & (LIED_CLOSED | LIED_GONE)) && !(told->lied & LIED_NOISE)))
		expect_rx_end(victim, told);
}

void link_expect_end(struct victim *victim, const struct told *told)
{
	if (told->lied)
		return;
	if (told->said - victim->heard > victim->dropped)
		victim_fail(victim, "%u of %llu messages came", victim->heard,
			    (unsigned long long)told->said);
	if (told->finale != 1 || told->wrong || told->heard != victim->said)
		victim_fail(victim, "the liar heard %llu messages of %u, %llu of them wrong, %s",
			    (unsigned long long)told->heard, victim->said,
			    (unsigned long long)told->wrong,
			    told->finale ? "and the last one" : "and not the last one");
}
