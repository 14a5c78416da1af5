/*
 * SPDX-License-Identifier: MIT
 *
 * Many of Peal's links: the partner looks at all of them as one set, and serves whichever has
 * something. The driver sends on one after the other, so that each has a little. Messages are
 * copied.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include <peal.h>

#include "complaint.h"
#include "library.h"
#include "slice.h"
#include "transport.h"

#define FAIR 64 /* messages that are taken of a link before the others have their turn */

/* Empty looks at the set that are timed after each slice, and at least so many links in them. */
#define EMPTY_POLLS 16
#define EMPTY_LINKS 4096

struct member {
	struct peal_link *link;
	struct peal_tx *tx;
	struct peal_rx *rx;
	uint64_t sequence; /* of the next message of a stream here */
};

struct many {
	struct member *members;
	struct member *current; /* that was sent on, or received from, last */
	unsigned count;
	unsigned turn;                  /* the driver's next one */
	unsigned stopped;               /* the partner's, of a stream: those that have ended it */
	struct peal_set *set;           /* the partner's */
	struct peal_listener *listener; /* until the driver has come */
};

/* Both sides begin each slice at the first link. */
static void begin(struct many *many)
{
	many->turn = many->stopped = 0;
	for (unsigned i = 0; i < many->count; i++)
		many->members[i].sequence = i + 1;
}

ALWAYS_INLINE int receive(struct member *member, void *payload, size_t size, int64_t timeout)
{
	ssize_t length = peal_recv(member->rx, payload, size, NULL, timeout);

	if (__builtin_expect(length == (ssize_t)size, 1))
		return 0;
	return length < 0 ? library_refused("peal_recv", (int)length) :
			    slice_wrong_size(size, (size_t)length);
}

ALWAYS_INLINE int transmit(struct member *member, const void *payload, size_t size)
{
	int err = peal_send(member->tx, payload, size, 0, PEAL_FOREVER);

	return __builtin_expect(err, 0) ? library_refused("peal_send", err) : 0;
}

/* The next link that has something; NULL, and an error, if there is none to be had. */
ALWAYS_INLINE struct member *next(struct many *many, int *err)
{
	void *member;

	while (!peal_set_next(many->set, &member)) {
		int count = peal_set_wait(many->set, PEAL_FOREVER);

		if (__builtin_expect(count < 0, 0)) {
			*err = library_refused("peal_set_wait", count);
			return NULL;
		}
	}
	return member;
}

/* The driver's verbs: round robin. */

ALWAYS_INLINE int turn_send(void *end, const void *payload, size_t size)
{
	struct many *many = end;

	many->current = &many->members[many->turn];
	many->turn = many->turn + 1 == many->count ? 0 : many->turn + 1;
	return transmit(many->current, payload, size);
}

ALWAYS_INLINE int turn_recv(void *end, void *payload, size_t size)
{
	const struct many *many = end;

	return receive(many->current, payload, size, PEAL_FOREVER);
}

static const struct verbs turn_verbs = { .send = turn_send, .recv = turn_recv };

static int turn_ping(void *end, struct slice *slice)
{
	begin(end);
	return slice_ping(&turn_verbs, end, slice);
}

/* The stop goes to every link, so that none has anything behind it. */
static int turn_produce(void *end, struct slice *slice)
{
	const struct many *many = end;
	int err;

	begin(end);
	err = slice_produce(&turn_verbs, end, slice);
	for (unsigned i = 1; i < many->count && !err; i++) {
		err = slice_put(&turn_verbs, end, slice, PAYLOAD_STOP);
		slice->messages++;
	}
	return err;
}

/* The partner's verbs: whoever has something. */

ALWAYS_INLINE int set_send(void *end, const void *payload, size_t size)
{
	const struct many *many = end;

	return transmit(many->current, payload, size);
}

ALWAYS_INLINE int set_recv(void *end, void *payload, size_t size)
{
	struct many *many = end;
	int err = 0;

	many->current = next(many, &err);
	return many->current ? receive(many->current, payload, size, 0) : err;
}

/* Takes what one link has. Each link has every count-th message of the stream. */
ALWAYS_INLINE int serve(struct many *many, struct member *member, struct slice_check *check)
{
	const struct slice *slice = check->slice;
	int verdict = 0;

	for (int i = 0; i < FAIR && !verdict; i++) {
		ssize_t length = peal_recv(member->rx, slice->in, slice->size, NULL, 0);

		if (length == -EAGAIN)
			return 0;
		if (__builtin_expect(length < 0, 0))
			return library_refused("peal_recv", (int)length);
		check->sequence = member->sequence;
		verdict = slice_check(check, slice->in, (size_t)length);
		member->sequence += many->count;
	}
	if (verdict != SLICE_STOP)
		return verdict;
	return ++many->stopped == many->count ? SLICE_STOP : 0;
}

ALWAYS_INLINE int set_take(void *end, struct slice_check *check)
{
	struct many *many = end;
	int err = 0;
	struct member *member = next(many, &err);

	return member ? serve(many, member, check) : err;
}

static const struct verbs set_verbs = { .send = set_send, .recv = set_recv, .take = set_take };

/* Ticks that a look at a link takes that has nothing, which is what all have after a slice. */
static double empty_poll(const struct many *many)
{
	unsigned polls = EMPTY_LINKS / many->count + EMPTY_POLLS;
	int ready = peal_set_poll(many->set);
	uint64_t begun = peal_ticks();

	for (unsigned i = 0; i < polls; i++)
		ready |= peal_set_poll(many->set);
	return ready ? 0 : (double)(peal_ticks() - begun) / polls / many->count;
}

static int set_pong(void *end, struct slice *slice)
{
	int err = slice_pong(&set_verbs, end, slice);

	slice->empty_poll = err ? 0 : empty_poll(end);
	return err;
}

static int set_consume(void *end, struct slice *slice)
{
	int err;

	begin(end);
	err = slice_consume_batches(&set_verbs, end, slice);
	slice->empty_poll = err ? 0 : empty_poll(end);
	return err;
}

static const struct loops loops = {
	.run = {
		[TEST_LATENCY] = { turn_ping, set_pong },
		[TEST_STREAM] = { turn_produce, set_consume },
	},
};

static struct many *many_new(const struct setup *setup)
{
	struct many *many = calloc(1, sizeof(*many));

	if (many)
		many->members = calloc(setup->links, sizeof(*many->members));
	if (!many || !many->members) {
		free(many);
		complain(-ENOMEM, "no memory for %u links", setup->links);
		return NULL;
	}
	many->count = setup->links;
	return many;
}

static void many_close(void *end)
{
	struct many *many = end;

	peal_set_free(many->set);
	for (unsigned i = 0; i < many->count; i++)
		peal_close(many->members[i].link);
	peal_listener_close(many->listener);
	free(many->members);
	free(many);
}

static void member_set(struct member *member, struct peal_link *link)
{
	member->link = link;
	member->tx = peal_link_tx(link);
	member->rx = peal_link_rx(link);
}

static int many_listen(const struct setup *setup, void **end)
{
	struct many *many = many_new(setup);
	struct peal_options options;
	int err;

	if (!many)
		return -ENOMEM;
	library_options(&options, setup);
	err = peal_listen(&many->listener, setup->path, &options);
	if (err) {
		library_refused("peal_listen", err);
		many_close(many);
		return err;
	}
	*end = many;
	return 0;
}

static int many_accept(void *end)
{
	struct many *many = end;
	int err = peal_set_create(&many->set);

	if (err)
		return library_refused("peal_set_create", err);
	/* The driver connects one after the other, so its links come in its order. */
	for (unsigned i = 0; i < many->count; i++) {
		struct member *member = &many->members[i];
		struct peal_link *link;

		err = peal_accept(many->listener, &link, LIBRARY_MEETING_NS);
		if (err)
			return library_refused("peal_accept", err);
		member_set(member, link);
		err = peal_set_add(many->set, link, member);
		if (err)
			return library_refused("peal_set_add", err);
	}
	peal_listener_close(many->listener);
	many->listener = NULL;
	return 0;
}

static int many_connect(const struct setup *setup, void **end)
{
	struct many *many = many_new(setup);
	struct peal_options options;

	if (!many)
		return -ENOMEM;
	library_options(&options, setup);
	for (unsigned i = 0; i < many->count; i++) {
		struct peal_link *link;
		int err = peal_connect(&link, setup->path, &options, LIBRARY_MEETING_NS);

		if (err) {
			library_refused("peal_connect", err);
			many_close(many);
			return err;
		}
		member_set(&many->members[i], link);
	}
	*end = many;
	return 0;
}

static int many_pair(const struct setup *setup, void *ends[2])
{
	(void)setup;
	(void)ends;
	return complain(-EOPNOTSUPP, "a set takes no pairs: leave out --threads");
}

static const char *many_refuse(const struct setup *setup)
{
	return setup->size < sizeof(uint64_t) ?
		       "messages of fewer than 8 bytes cannot tell what is missing on which of many "
		       "links: give a larger --size" :
		       NULL;
}

const struct transport transport_set = {
	.name = "peal-set",
	.about = "Peal, its receiver looking at a set of --links (latency and stream)",
	.waits = 1 << WAIT_SPIN | 1 << WAIT_ADAPTIVE | 1 << WAIT_SLEEP,
	.rings = true,
	.refuse = many_refuse,
	.listen = many_listen,
	.accept = many_accept,
	.connect = many_connect,
	.pair = many_pair,
	.close = many_close,
	.loops = &loops,
};
