/*
 * SPDX-License-Identifier: MIT
 *
 * Sending, by all verbs that send.
 */
#include "config.h"

#include <string.h>

#include "tests/soak/chance.h"
#include "tests/soak/side.h"

/* The tag of the message that comes next. */
static uint32_t next_tag(const struct side *side)
{
	bool last = side->out_number + 1 >= side->out_limit ||
		    (side->out_number % 16 == 15 && platform_now() >= side->out_end) ||
		    (side->lazy && platform_now() >= side->out_end);

	return (uint32_t)side->out_number | (last ? LAST : 0);
}

static size_t next_length(const struct side *side)
{
	return side->out_number ? length_of(&side->says, side->out_number) : sizeof(side->says);
}

static void make(const struct side *side, void *at, size_t length)
{
	if (side->out_number)
		fill(at, side->says.seed, side->out_number, length);
	else
		memcpy(at, &side->says, sizeof(side->says));
}

static void went(struct side *side, uint32_t tag)
{
	side->out_number++;
	if ((tag & LAST) || __atomic_load_n(&side->quits, __ATOMIC_ACQUIRE))
		side->out_done = true;
}

static int send_part(struct side *side, int64_t timeout)
{
	int err;

	if (!side->part.data) {
		side->part.length = next_length(side);
		side->part.tag = next_tag(side);
		make(side, side->out_buffer, side->part.length);
		side->part.data = side->out_buffer;
	}
	err = peal_send_part(peal_link_tx(side->link), &side->part, timeout);
	if (!err)
		went(side, side->part.tag);
	if (!err || (err == -EAGAIN && side->part.begun && draw(&side->out_random, 200) == 0)) {
		if (err)
			peal_abort(peal_link_tx(side->link)); /* it is sent once more */
		memset(&side->part, 0, sizeof(side->part));
	}
	return err;
}

/* A few to be published together. */
static int send_batch(struct side *side, int64_t timeout)
{
	struct peal_message messages[BATCH];
	uint64_t number = side->out_number;
	size_t length, at = 0;
	int count = 0, sent;
	bool done = false;

	while (count < BATCH && !done) {
		length = next_length(side);
		if (length > side->says.record || at + length > LONGEST)
			break;
		messages[count] = (struct peal_message){ .data = side->out_buffer + at,
							 .length = length,
							 .tag = next_tag(side) };
		make(side, side->out_buffer + at, length);
		done = messages[count].tag & LAST;
		at += length;
		count++;
		side->out_number++;
	}
	side->out_number = number;
	if (!count)
		return send_part(side, timeout);
	sent = peal_send_batch(peal_link_tx(side->link), messages, count, timeout);
	for (int i = 0; i < sent; i++)
		went(side, messages[i].tag);
	return sent < 0 ? sent : 0;
}

static int send_more(struct side *side, int64_t timeout)
{
	struct peal_tx *tx = peal_link_tx(side->link);
	uint64_t count = 1 + draw(&side->out_random, 20);
	int err = 0;

	while (!err && count-- && !side->out_done) {
		size_t length = next_length(side);
		uint32_t tag = next_tag(side);
		void *at;

		if (length <= tx->largest && draw(&side->out_random, 2)) {
			err = peal_reserve(tx, length, &at, timeout);
			if (!err) {
				make(side, at, length);
				err = peal_commit_more(tx, length, tag);
			}
		} else {
			if (length > tx->largest && !timeout)
				break;
			make(side, side->out_buffer, length);
			err = peal_send_more(tx, side->out_buffer, length, tag, timeout);
		}
		if (!err)
			went(side, tag);
	}
	if (draw(&side->out_random, 8) == 0)
		pause_for(draw(&side->out_random, 20 * US));
	peal_flush(tx);
	return err;
}

int send_some(struct side *side, int64_t timeout)
{
	struct peal_tx *tx = peal_link_tx(side->link);
	uint64_t before = side->out_number;
	size_t length = next_length(side);
	uint32_t tag = next_tag(side);
	struct iovec pieces[2];
	void *at;
	int err;

	if (side->part.data || (length > tx->largest && !timeout)) {
		err = send_part(side, timeout);
		goto out;
	}
	switch (draw(&side->out_random, 8)) {
	case 0:
		err = send_part(side, timeout);
		goto out;
	case 1:
		err = send_batch(side, timeout);
		goto out;
	case 2:
		err = send_more(side, timeout);
		goto out;
	case 3:
		make(side, side->out_buffer, length);
		pieces[0] = (struct iovec){ .iov_base = side->out_buffer, .iov_len = length / 3 };
		pieces[1] = (struct iovec){ .iov_base = side->out_buffer + length / 3,
					    .iov_len = length - length / 3 };
		err = peal_sendv(tx, pieces, 2, tag, timeout);
		break;
	case 4:
		if (length <= tx->largest) {
			err = peal_reserve(tx, length, &at, timeout);
			if (!err) {
				make(side, at, length);
				err = peal_commit(tx, length, tag);
			}
			break;
		}
		/* fall through */
	default:
		make(side, side->out_buffer, length);
		err = peal_send(tx, side->out_buffer, length, tag, timeout);
	}
	if (!err)
		went(side, tag);
out:
	if (side->out_number != before) {
		put(&side->note->sent, side->out_number);
		note_step(side->note);
	}
	if (err && is_end(side, err, "sending"))
		side->out_done = true;
	else if (err == -ETIMEDOUT)
		tally(DEADLINES);
	return err;
}
