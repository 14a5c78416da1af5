/*
 * SPDX-License-Identifier: MIT
 *
 * Receiving, by all verbs that receive: each message is the one that must come next.
 */
#include "config.h"

#include <string.h>

#include "tests/soak/chance.h"
#include "tests/soak/side.h"

static void came(struct side *side, const void *data, size_t length, uint32_t tag)
{
	uint64_t number = side->in_number;

	if (side->in_last)
		wrong("lane %d: a message after the last one, %llu", side->lane,
		      (unsigned long long)number);
	if ((tag & ~LAST) != (uint32_t)number)
		wrong("lane %d: message %u in place of %llu", side->lane, tag & ~LAST,
		      (unsigned long long)number);
	if (!number) {
		if (length != sizeof(side->told))
			wrong("lane %d: a first message of %zu bytes", side->lane, length);
		memcpy(&side->told, data, length);
		if (side->told.magic != MAGIC || side->told.lane != (uint64_t)side->lane)
			wrong("lane %d: a first message of lane %llu", side->lane,
			      (unsigned long long)side->told.lane);
	} else {
		size_t expected = length_of(&side->told, number);

		if (length != expected)
			wrong("lane %d: message %llu has %zu bytes, not %zu", side->lane,
			      (unsigned long long)number, length, expected);
		if (!is_filled(data, side->told.seed, number, length))
			wrong("lane %d: message %llu of %zu bytes is not as it was sent",
			      side->lane, (unsigned long long)number, length);
	}
	side->in_last = tag & LAST;
	side->in_number++;
	tally_message(length);
}

static int came_in_place(void *data, const struct peal_message *message)
{
	struct side *side = data;

	came(side, message->data, message->length, message->tag);
	return side->in_last;
}

/* The other side is gone, and all that it had sent must have come. What it has noted is at most
 * what it did, and all of that if it closed. */
static void ended(struct side *side, int err)
{
	uint64_t seed = get(&side->other->speaks), sent = get(&side->other->sent);

	side->in_done = true;
	if (side->in_number && seed == side->told.seed && get(&side->other->speaks) == seed &&
	    (side->in_number < sent || (err == -EPIPE && side->in_number != sent)))
		wrong("lane %d: %llu messages were sent, %llu came", side->lane,
		      (unsigned long long)sent, (unsigned long long)side->in_number);
}

int receive_some(struct side *side, int64_t timeout)
{
	struct peal_rx *rx = peal_link_rx(side->link);
	struct peal_message messages[BATCH];
	uint64_t before = side->in_number;
	ssize_t length;
	int err = -EMSGSIZE, count;

	switch (draw(&side->in_random, 4)) {
	case 0:
		err = peal_peek(rx, messages, timeout);
		if (!err) {
			came(side, messages->data, messages->length, messages->tag);
			peal_release(rx);
		}
		break;
	case 1:
		count = peal_recv_batch(rx, side->in_buffer, sizeof(side->in_buffer), messages,
					1 + (int)draw(&side->in_random, BATCH), timeout);
		for (int i = 0; i < count; i++)
			came(side, messages[i].data, messages[i].length, messages[i].tag);
		err = count < 0 ? count : 0;
		break;
	case 2:
		count = peal_drain(rx, came_in_place, side, (int)draw(&side->in_random, 40),
				   timeout);
		err = count < 0 ? count : 0;
		break;
	}
	if (err == -EMSGSIZE) {
		length = peal_recv(rx, side->in_buffer, sizeof(side->in_buffer), messages, timeout);
		err = length < 0 ? (int)length : 0;
		if (!err)
			came(side, side->in_buffer, (size_t)length, messages->tag);
	}
	if (side->in_number != before) {
		put(&side->note->hears, side->told.seed);
		put(&side->note->received, side->in_number);
		note_step(side->note);
	}
	if (err && is_end(side, err, "receiving"))
		ended(side, err);
	else if (err == -ETIMEDOUT)
		tally(DEADLINES);
	/* The client closes after the last message; the server when it has seen that. */
	if (side->in_last && side->which == CLIENT)
		side->in_done = true;
	if (side->in_number >= side->in_quit)
		__atomic_store_n(&side->quits, true, __ATOMIC_RELEASE);
	return err;
}
