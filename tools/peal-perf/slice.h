/*
 * SPDX-License-Identifier: MIT
 *
 * Slices: the loops that measure, written once. Every transport instantiates them with a const
 * table of its verbs, which the compiler inlines: so all are measured by the same source, and none
 * pays for a call through a pointer that a program of its own would not make. It knows nothing of
 * any transport.
 *
 * Every message is written in full and checked in full, or of each only the first word is, where
 * that is asked for. The sequence starts at 1 on both sides with each slice; the side that
 * initiates ends the slice with the payload of PAYLOAD_STOP.
 */
#ifndef PEAL_PERF_SLICE_H
#define PEAL_PERF_SLICE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <peal.h>

#include "histogram.h"
#include "pace.h"
#include "payload.h"

/* A slice is warmed up by this many messages or this part of its time, whatever is over first. */
#define SLICE_WARM_MESSAGES 256
#define SLICE_WARM_PART 20

/* A stream has at least this many messages, however large they are. */
#define SLICE_LEAST 8

/* TEST_RATE: the intended time of a message is the first word of it; the payload is what
 * follows. */
#define SLICE_STAMP sizeof(uint64_t)
#define SLICE_STAMPED_LEAST (2 * SLICE_STAMP)

/* A message is late if it leaves so much behind its time, and a slice is over when one is
 * hopelessly so, because the transport cannot do what is asked of it. */
#define SLICE_LATE_NS 10000
#define SLICE_HOPELESS_NS 2000000000

/* Instead of 0 or a negative errno: the message was the last. */
#define SLICE_STOP 1

struct slice {
	/* Given. */
	size_t size;                 /* of a message */
	size_t payload;              /* bytes of it that are written and checked */
	unsigned batch;              /* messages at a time, at most */
	uint64_t ticks;              /* to measure for */
	uint8_t *out, *in;           /* payload buffers (buffers.h), neither shared nor the same */
	uint64_t step;               /* TEST_RATE: from one message to the next, see pace.h */
	struct histogram *histogram; /* of what the initiator measures; empty */
	struct histogram *other;     /* of the floor's other polling style; empty */

	/* Found. */
	uint64_t messages; /* sent or received in all, warm-up and stop included */
	uint64_t count;    /* measured: round trips, or messages received */
	uint64_t elapsed;  /* ticks that these took */
	double empty_poll; /* of a set: ticks that a look at a link takes that has nothing; or 0 */
	uint64_t late;     /* TEST_RATE: messages of all that left late */
	double width;      /* TEST_FLOOR: additions that this core did in a cycle (width.h) */
	double partner_width; /* the driver's: the partner's */
};

/* What is expected of the messages of a stream that come in batches, and what has come. */
struct slice_check {
	const struct slice *slice;
	uint64_t mask;     /* payload_mask() of their size */
	uint64_t sequence; /* of the next one */
	uint64_t messages; /* that were right, or the stop */
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

	/* For batches. As send and commit, but the message may be left to the next one that is sent
	 * or committed without it; and takes the messages that are there, at least one and at most
	 * a batch, calls slice_check() for each until it does not return 0, and returns what that
	 * did. */
	int (*send_more)(void *end, const void *payload, size_t size);
	int (*commit_more)(void *end, size_t size);
	int (*take)(void *end, struct slice_check *check);
};

/* What a payload that is not the expected one means: SLICE_STOP or -EBADMSG. */
int slice_judge(const void *payload, size_t size, uint64_t sequence);

/* -EMSGSIZE with a complaint, for verbs that got another size than they were to. */
int slice_wrong_size(size_t expected, size_t found);

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* A message of a batch: 0, SLICE_STOP, or a negative errno with a complaint. */
ALWAYS_INLINE int slice_check(struct slice_check *check, const void *payload, size_t size)
{
	int verdict = 0;

	if (__builtin_expect(size != check->slice->size, 0))
		return slice_wrong_size(check->slice->size, size);
	if (__builtin_expect(!payload_right(payload, check->slice->payload, check->sequence), 0))
		verdict = slice_judge(payload, check->slice->payload, check->sequence);
	check->sequence = payload_next(check->sequence, check->mask);
	check->messages++;
	return verdict;
}

/* For analysers: a transport copies or works in place, and has the verbs of one of the two. */
ALWAYS_INLINE void slice_knows(bool fact)
{
	if (!fact)
		__builtin_unreachable();
}

ALWAYS_INLINE int slice_put(const struct verbs *verbs, void *end, const struct slice *slice,
			    uint64_t sequence)
{
	void *at = NULL;
	int err;

	if (verbs->send) {
		payload_write(slice->out, slice->payload, sequence);
		return verbs->send(end, slice->out, slice->size);
	}
	slice_knows(verbs->reserve != NULL);
	err = verbs->reserve(end, slice->size, &at);
	if (err)
		return err;
	payload_write(at, slice->payload, sequence);
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
		if (__builtin_expect(!payload_right(slice->in, slice->payload, sequence), 0))
			verdict = slice_judge(slice->in, slice->payload, sequence);
		return verdict;
	}
	slice_knows(verbs->peek != NULL);
	err = verbs->peek(end, slice->size, &at);
	if (err)
		return err;
	if (__builtin_expect(!payload_right(at, slice->payload, sequence), 0))
		verdict = slice_judge(at, slice->payload, sequence);
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
	uint64_t sequence = 1, trips = 0, now, last, until;
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

ALWAYS_INLINE int slice_put_more(const struct verbs *verbs, void *end, const struct slice *slice,
				 uint64_t sequence)
{
	void *at = NULL;
	int err;

	if (verbs->send_more) {
		payload_write(slice->out, slice->payload, sequence);
		return verbs->send_more(end, slice->out, slice->size);
	}
	slice_knows(verbs->reserve != NULL);
	err = verbs->reserve(end, slice->size, &at);
	if (err)
		return err;
	payload_write(at, slice->payload, sequence);
	return verbs->commit_more(end, slice->size);
}

/* TEST_STREAM, INITIATOR, in batches. As slice_produce(), but the clock is looked at after whole
 * batches. */
ALWAYS_INLINE int slice_produce_batches(const struct verbs *verbs, void *end, struct slice *slice)
{
	const uint64_t mask = payload_mask(slice->size);
	const uint64_t looks = slice->size < 1024 ? 1024 / slice->size : 1;
	const uint64_t until = peal_ticks() + slice->ticks + slice->ticks / SLICE_WARM_PART;
	uint64_t sequence = 1, messages = 0;
	int err;

	do {
		for (uint64_t i = 0; i < looks; i += slice->batch) {
			for (unsigned j = 1; j < slice->batch; j++) {
				err = slice_put_more(verbs, end, slice, sequence);
				if (err)
					return err;
				sequence = payload_next(sequence, mask);
			}
			err = slice_put(verbs, end, slice, sequence);
			if (err)
				return err;
			sequence = payload_next(sequence, mask);
			messages += slice->batch;
		}
	} while (peal_ticks() < until || messages < SLICE_LEAST);

	slice->messages = messages + 1;
	return slice_put(verbs, end, slice, PAYLOAD_STOP);
}

/* TEST_STREAM, ANSWERER, in batches. The rate is as in slice_consume(), from one batch on. */
ALWAYS_INLINE int slice_consume_batches(const struct verbs *verbs, void *end, struct slice *slice)
{
	struct slice_check check = {
		.slice = slice,
		.mask = payload_mask(slice->size),
		.sequence = 1,
	};
	uint64_t begun = 0, warm, now;
	int err;

	do {
		err = verbs->take(end, &check);
		if (err < 0)
			return err;
		now = peal_ticks();
		if (!begun)
			begun = now;
	} while (!err && check.messages < SLICE_WARM_MESSAGES &&
		 now - begun < slice->ticks / SLICE_WARM_PART);

	warm = check.messages;
	begun = now;
	while (!err) {
		err = verbs->take(end, &check);
		if (err < 0)
			return err;
	}
	slice->count = check.messages - warm;
	slice->elapsed = peal_ticks() - begun;
	slice->messages = check.messages;
	return 0;
}

/* How many messages a slice of TEST_RATE has, and how many of them warm it up. */
ALWAYS_INLINE uint64_t slice_paced(const struct slice *slice, uint64_t *warm)
{
	uint64_t count = pace_count(slice->step, slice->ticks);

	*warm = count / SLICE_WARM_PART + 1;
	if (*warm > SLICE_WARM_MESSAGES)
		*warm = SLICE_WARM_MESSAGES;
	return *warm + (count ? count : 1);
}

ALWAYS_INLINE void slice_stamp(void *at, size_t size, uint64_t sequence, uint64_t intended)
{
	memcpy(at, &intended, SLICE_STAMP);
	payload_write((uint8_t *)at + SLICE_STAMP, size, sequence);
}

ALWAYS_INLINE int slice_put_stamped(const struct verbs *verbs, void *end, const struct slice *slice,
				    uint64_t sequence, uint64_t intended)
{
	void *at = NULL;
	int err;

	if (verbs->send) {
		slice_stamp(slice->out, slice->payload, sequence, intended);
		return verbs->send(end, slice->out, slice->size);
	}
	slice_knows(verbs->reserve != NULL);
	err = verbs->reserve(end, slice->size, &at);
	if (err)
		return err;
	slice_stamp(at, slice->payload, sequence, intended);
	return verbs->commit(end, slice->size);
}

/* Also tells when the message was there, and when it was to be sent. */
ALWAYS_INLINE int slice_get_stamped(const struct verbs *verbs, void *end, const struct slice *slice,
				    uint64_t sequence, uint64_t *now, uint64_t *intended)
{
	const void *at = slice->in;
	const uint8_t *payload;
	int err, verdict = 0;

	slice_knows(verbs->recv || verbs->peek);
	if (verbs->recv)
		err = verbs->recv(end, slice->in, slice->size);
	else
		err = verbs->peek(end, slice->size, &at);
	if (err)
		return err;
	*now = peal_ticks();
	memcpy(intended, at, SLICE_STAMP);
	payload = (const uint8_t *)at + SLICE_STAMP;
	if (__builtin_expect(!payload_right(payload, slice->payload, sequence), 0))
		verdict = slice_judge(payload, slice->payload, sequence);
	err = verbs->release ? verbs->release(end) : 0;
	return err ? err : verdict;
}

/*
 * TEST_RATE, ANSWERER: an open loop. Each message is sent at its intended time, or at once if that
 * is over: none is left out, and the sender never waits for the receiver but where the transport
 * makes it.
 */
ALWAYS_INLINE int slice_pace(const struct verbs *verbs, void *end, struct slice *slice)
{
	const uint64_t mask = payload_mask(slice->size - SLICE_STAMP);
	const uint64_t late = (uint64_t)(SLICE_LATE_NS * peal_ticks_per_ns());
	const uint64_t hopeless = (uint64_t)(SLICE_HOPELESS_NS * peal_ticks_per_ns());
	uint64_t sequence = 1, messages = 0, behind = 0, warm, now, intended;
	const uint64_t count = slice_paced(slice, &warm);
	struct pace pace;
	int err;

	pace_begin(&pace, slice->step);
	for (; messages < count && behind < hopeless; messages++) {
		intended = pace_next(&pace);
		err = pace_wait(&pace, intended, &now);
		if (err)
			return err;
		behind = now - intended;
		slice->late += behind > late;
		err = slice_put_stamped(verbs, end, slice, sequence, intended);
		if (err)
			return err;
		sequence = payload_next(sequence, mask);
	}

	slice->messages = messages + 1;
	return slice_put_stamped(verbs, end, slice, PAYLOAD_STOP, 0);
}

/* TEST_RATE, INITIATOR: times messages from when they were to be sent. */
ALWAYS_INLINE int slice_arrive(const struct verbs *verbs, void *end, struct slice *slice)
{
	const uint64_t mask = payload_mask(slice->size - SLICE_STAMP);
	uint64_t sequence = 1, messages = 0, begun = 0, last = 0, now = 0, intended = 0, warm;
	int err;

	slice_paced(slice, &warm);
	for (;;) {
		err = slice_get_stamped(verbs, end, slice, sequence, &now, &intended);
		if (err < 0)
			return err;
		messages++;
		if (err == SLICE_STOP)
			break;
		sequence = payload_next(sequence, mask);
		if (messages > warm)
			/* Counters of two cores may be a few ticks apart. */
			histogram_add(slice->histogram, now > intended ? now - intended : 0);
		else
			begun = now;
		last = now;
	}
	slice->messages = messages;
	slice->count = slice->histogram->count;
	slice->elapsed = last - begun;
	return 0;
}

#endif
