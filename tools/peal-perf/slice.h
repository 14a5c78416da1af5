/*
 * SPDX-License-Identifier: MIT
 *
 * Slices: the loops that measure, written once. Every transport instantiates them with a const
 * table of its verbs, which the compiler inlines: so all are measured by the same source, and none
 * pays for a call through a pointer that a program of its own would not make. It knows nothing of
 * any transport.
 *
 * Every message is written in full and checked in full. The sequence starts at 1 on both sides
 * with each slice; the side that initiates ends the slice with the payload of PAYLOAD_STOP.
 */
#ifndef PEAL_PERF_SLICE_H
#define PEAL_PERF_SLICE_H

#include <stddef.h>
#include <stdint.h>

#include <peal.h>

#include "histogram.h"
#include "payload.h"

/* A slice is warmed up by this many messages or this part of its time, whatever is over first. */
#define SLICE_WARM_MESSAGES 256
#define SLICE_WARM_PART 20

/* A stream has at least this many messages, however large they are. */
#define SLICE_LEAST 8

/* Instead of 0 or a negative errno: the message was the last. */
#define SLICE_STOP 1

struct slice {
	/* Given. */
	size_t size;                 /* of a message */
	uint64_t ticks;              /* to measure for */
	uint8_t *out, *in;           /* payload buffers of that size, neither shared nor the same */
	struct histogram *histogram; /* of the initiator's round trips; empty */
	struct histogram *other;     /* of the floor's other polling style; empty */

	/* Found. */
	uint64_t messages;    /* sent or received in all, warm-up and stop included */
	uint64_t count;       /* measured: round trips, or messages received */
	uint64_t elapsed;     /* ticks that these took */
	double width;         /* TEST_FLOOR: additions that this core did in a cycle (width.h) */
	double partner_width; /* the driver's: the partner's */
};

/*
 * A transport's verbs. Each returns 0 or a negative errno with a complaint. Either send and recv,
 * which copy, or the others, which show the memory of the transport itself. Sizes are those of
 * the slice: a message of another size is an error.
 */
struct verbs {
	int (*send)(void *end, const void *payload, size_t size);
	int (*recv)(void *end, void *payload, size_t size);

	int (*reserve)(void *end, size_t size, void **at);
	int (*commit)(void *end, size_t size);
	int (*peek)(void *end, size_t size, const void **at);
	int (*release)(void *end);
};

/* What a payload that is not the expected one means: SLICE_STOP or -EBADMSG. */
int slice_judge(const void *payload, size_t size, uint64_t sequence);

/* -EMSGSIZE with a complaint, for verbs that got another size than they were to. */
int slice_wrong_size(size_t expected, size_t found);

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE int slice_put(const struct verbs *verbs, void *end, const struct slice *slice,
			    uint64_t sequence)
{
	void *at = NULL;
	int err;

	if (verbs->send) {
		payload_write(slice->out, slice->size, sequence);
		return verbs->send(end, slice->out, slice->size);
	}
	err = verbs->reserve(end, slice->size, &at);
	if (err)
		return err;
	payload_write(at, slice->size, sequence);
	return verbs->commit(end, slice->size);
}

ALWAYS_INLINE int slice_get(const struct verbs *verbs, void *end, const struct slice *slice,
			    uint64_t sequence)
{
	const void *at = NULL;
	int err, verdict = 0;

	if (verbs->recv) {
		err = verbs->recv(end, slice->in, slice->size);
		if (err)
			return err;
		if (__builtin_expect(!payload_right(slice->in, slice->size, sequence), 0))
			verdict = slice_judge(slice->in, slice->size, sequence);
		return verdict;
	}
	err = verbs->peek(end, slice->size, &at);
	if (err)
		return err;
	if (__builtin_expect(!payload_right(at, slice->size, sequence), 0))
		verdict = slice_judge(at, slice->size, sequence);
	err = verbs->release(end);
	return err ? err : verdict;
}

/* One round trip, as the initiator sees it. */
ALWAYS_INLINE int slice_trip(const struct verbs *verbs, void *end, const struct slice *slice,
			     uint64_t sequence)
{
	int err = slice_put(verbs, end, slice, sequence);

	if (err)
		return err;
	err = slice_get(verbs, end, slice, sequence);
	return err == SLICE_STOP ? slice_judge(NULL, 0, sequence) : err;
}

/* TEST_LATENCY, INITIATOR. One read of the counter ends one round trip and begins the next. */
ALWAYS_INLINE int slice_ping(const struct verbs *verbs, void *end, struct slice *slice)
{
	struct histogram *histogram = slice->histogram;
	const uint64_t mask = payload_mask(slice->size);
	const uint64_t begun = peal_ticks();
	uint64_t sequence = 1, trips = 0, now = begun, last, until;
	int err;

	do {
		err = slice_trip(verbs, end, slice, sequence);
		if (err)
			return err;
		sequence = payload_next(sequence, mask);
		trips++;
		now = peal_ticks();
	} while (trips < SLICE_WARM_MESSAGES && now - begun < slice->ticks / SLICE_WARM_PART);

	last = now;
	until = now + slice->ticks;
	do {
		err = slice_trip(verbs, end, slice, sequence);
		if (err)
			return err;
		sequence = payload_next(sequence, mask);
		now = peal_ticks();
		histogram_add(histogram, now - last);
		last = now;
	} while (now < until);

	slice->count = histogram->count;
	slice->messages = trips + slice->count + 1;
	slice->elapsed = now - until + slice->ticks;
	return slice_put(verbs, end, slice, PAYLOAD_STOP);
}

/* TEST_LATENCY, ANSWERER. */
ALWAYS_INLINE int slice_pong(const struct verbs *verbs, void *end, struct slice *slice)
{
	const uint64_t mask = payload_mask(slice->size);
	uint64_t sequence = 1, messages = 0;
	int err;

	for (;;) {
		err = slice_get(verbs, end, slice, sequence);
		if (err < 0)
			return err;
		messages++;
		if (err == SLICE_STOP)
			break;
		err = slice_put(verbs, end, slice, sequence);
		if (err)
			return err;
		sequence = payload_next(sequence, mask);
	}
	slice->messages = messages;
	return 0;
}

/* TEST_STREAM, INITIATOR. The clock is looked at after every KiB or message, what is more. */
ALWAYS_INLINE int slice_produce(const struct verbs *verbs, void *end, struct slice *slice)
{
	const uint64_t mask = payload_mask(slice->size);
	const uint64_t looks = slice->size < 1024 ? 1024 / slice->size : 1;
	const uint64_t until = peal_ticks() + slice->ticks + slice->ticks / SLICE_WARM_PART;
	uint64_t sequence = 1, messages = 0;
	int err;

	do {
		for (uint64_t i = 0; i < looks; i++) {
			err = slice_put(verbs, end, slice, sequence);
			if (err)
				return err;
			sequence = payload_next(sequence, mask);
		}
		messages += looks;
	} while (peal_ticks() < until || messages < SLICE_LEAST);

	slice->messages = messages + 1;
	return slice_put(verbs, end, slice, PAYLOAD_STOP);
}

/* TEST_STREAM, ANSWERER. The rate is the receiver's: what came between two looks at its clock. */
ALWAYS_INLINE int slice_consume(const struct verbs *verbs, void *end, struct slice *slice)
{
	const uint64_t mask = payload_mask(slice->size);
	uint64_t sequence = 1, messages = 0, begun = 0, now;
	int err;

	do {
		err = slice_get(verbs, end, slice, sequence);
		if (err < 0)
			return err;
		sequence = payload_next(sequence, mask);
		now = peal_ticks();
		if (!messages++)
			begun = now;
	} while (!err && messages < SLICE_WARM_MESSAGES &&
		 (messages < 2 || now - begun < slice->ticks / SLICE_WARM_PART));

	slice->messages = messages;
	begun = now;
	messages = 0;
	while (!err) {
		err = slice_get(verbs, end, slice, sequence);
		if (err < 0)
			return err;
		sequence = payload_next(sequence, mask);
		messages++;
	}
	slice->count = messages;
	slice->elapsed = peal_ticks() - begun;
	slice->messages += messages;
	return 0;
}

#endif
