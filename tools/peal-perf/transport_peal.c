/*
 * SPDX-License-Identifier: MIT
 *
 * Peal itself, through its public headers, used as a program would: connected by a path, and
 * waiting for ever in the library. Copying is send and recv; in place is reserve and commit, peek
 * and release. Batches are what send_more and commit_more leave to the next publication, and what
 * recv_batch and drain find.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include <peal.h>

#include "buffers.h"
#include "complaint.h"
#include "library.h"
#include "service.h"
#include "slice.h"
#include "transport.h"

struct connection {
	struct peal_tx *tx;
	struct peal_rx *rx;
	struct peal_link *link;
	struct peal_listener *listener; /* until the driver has come */
	struct peal_message *batch;     /* room for what is received at a time; NULL: one */
};

ALWAYS_INLINE int copy_send(void *end, const void *payload, size_t size)
{
	struct connection *connection = end;
	int err = peal_send(connection->tx, payload, size, 0, PEAL_FOREVER);

	return __builtin_expect(err, 0) ? library_refused("peal_send", err) : 0;
}

ALWAYS_INLINE int copy_recv(void *end, void *payload, size_t size)
{
	struct connection *connection = end;
	ssize_t length = peal_recv(connection->rx, payload, size, NULL, PEAL_FOREVER);

	if (__builtin_expect(length == (ssize_t)size, 1))
		return 0;
	return length < 0 ? library_refused("peal_recv", (int)length) :
			    slice_wrong_size(size, (size_t)length);
}

static const struct verbs copy_verbs = { .send = copy_send, .recv = copy_recv };

TRANSPORT_LOOPS(copy_loops, copy_verbs);

ALWAYS_INLINE int place_reserve(void *end, size_t size, void **at)
{
	struct connection *connection = end;
	int err = peal_reserve(connection->tx, size, at, PEAL_FOREVER);

	return __builtin_expect(err, 0) ? library_refused("peal_reserve", err) : 0;
}

ALWAYS_INLINE int place_commit(void *end, size_t size)
{
	struct connection *connection = end;
	int err = peal_commit(connection->tx, size, 0);

	return __builtin_expect(err, 0) ? library_refused("peal_commit", err) : 0;
}

ALWAYS_INLINE int place_peek(void *end, size_t size, const void **at)
{
	struct connection *connection = end;
	struct peal_message message;
	int err = peal_peek(connection->rx, &message, PEAL_FOREVER);

	if (__builtin_expect(err, 0))
		return library_refused("peal_peek", err);
	/* Analysers do not know that peal_peek gives 0 only with a message. */
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
	if (__builtin_expect(message.length != size, 0))
		return slice_wrong_size(size, message.length);
	*at = message.data;
	return 0;
}

ALWAYS_INLINE int place_release(void *end)
{
	struct connection *connection = end;

	peal_release(connection->rx);
	return 0;
}

static const struct verbs place_verbs = {
	.reserve = place_reserve,
	.commit = place_commit,
	.peek = place_peek,
	.release = place_release,
};

TRANSPORT_LOOPS(place_loops, place_verbs);

ALWAYS_INLINE int copy_send_more(void *end, const void *payload, size_t size)
{
	struct connection *connection = end;
	int err = peal_send_more(connection->tx, payload, size, 0, PEAL_FOREVER);

	return __builtin_expect(err, 0) ? library_refused("peal_send_more", err) : 0;
}

ALWAYS_INLINE int copy_take(void *end, struct slice_check *check)
{
	const struct connection *connection = end;
	const struct slice *slice = check->slice;
	const struct peal_message *batch = connection->batch;
	int count = peal_recv_batch(connection->rx, slice->in,
				    buffers_batch(slice->size, slice->batch), connection->batch,
				    (int)slice->batch, PEAL_FOREVER);
	int verdict = 0;

	if (__builtin_expect(count < 0, 0))
		return library_refused("peal_recv_batch", count);
	for (int i = 0; i < count && !verdict; i++)
		verdict = slice_check(check, batch[i].data, batch[i].length);
	return verdict;
}

static const struct verbs copy_batch_verbs = {
	.send = copy_send,
	.send_more = copy_send_more,
	.take = copy_take,
};

static int copy_produce_batches(void *end, struct slice *slice)
{
	return slice_produce_batches(&copy_batch_verbs, end, slice);
}

static int copy_consume_batches(void *end, struct slice *slice)
{
	return slice_consume_batches(&copy_batch_verbs, end, slice);
}

static const struct loops copy_batch_loops = {
	.run = { [TEST_STREAM] = { copy_produce_batches, copy_consume_batches } },
};

ALWAYS_INLINE int place_commit_more(void *end, size_t size)
{
	struct connection *connection = end;
	int err = peal_commit_more(connection->tx, size, 0);

	return __builtin_expect(err, 0) ? library_refused("peal_commit_more", err) : 0;
}

/* What was found in a batch that is shown in place. */
struct showing {
	struct slice_check *check;
	int verdict;
};

static int shown(void *data, const struct peal_message *message)
{
	struct showing *showing = data;

	showing->verdict = slice_check(showing->check, message->data, message->length);
	return showing->verdict;
}

ALWAYS_INLINE int place_take(void *end, struct slice_check *check)
{
	const struct connection *connection = end;
	struct showing showing = { .check = check };
	int count = peal_drain(connection->rx, shown, &showing, (int)check->slice->batch,
			       PEAL_FOREVER);

	return __builtin_expect(count < 0, 0) ? library_refused("peal_drain", count) :
						showing.verdict;
}

static const struct verbs place_batch_verbs = {
	.reserve = place_reserve,
	.commit = place_commit,
	.commit_more = place_commit_more,
	.take = place_take,
};

static int place_produce_batches(void *end, struct slice *slice)
{
	return slice_produce_batches(&place_batch_verbs, end, slice);
}

static int place_consume_batches(void *end, struct slice *slice)
{
	return slice_consume_batches(&place_batch_verbs, end, slice);
}

static const struct loops place_batch_loops = {
	.run = { [TEST_STREAM] = { place_produce_batches, place_consume_batches } },
};

static void connection_free(struct connection *connection)
{
	if (connection)
		free(connection->batch);
	free(connection);
}

static struct connection *connection_new(const struct setup *setup, struct peal_link *link)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (connection && setup->batch > 1)
		connection->batch = calloc(setup->batch, sizeof(*connection->batch));
	if (!connection || (setup->batch > 1 && !connection->batch)) {
		connection_free(connection);
		complain(-ENOMEM, "no memory for a connection");
		return NULL;
	}
	connection->link = link;
	if (link) {
		connection->tx = peal_link_tx(link);
		connection->rx = peal_link_rx(link);
	}
	return connection;
}

static void connection_close(void *end)
{
	struct connection *connection = end;

	peal_close(connection->link);
	peal_listener_close(connection->listener);
	connection_free(connection);
}

static int connection_listen(const struct setup *setup, void **end)
{
	struct connection *connection = connection_new(setup, NULL);
	struct peal_options options;
	int err;

	if (!connection)
		return -ENOMEM;
	library_options(&options, setup);
	err = peal_listen(&connection->listener, setup->path, &options);
	if (err) {
		library_refused("peal_listen", err);
		connection_free(connection);
		return err;
	}
	*end = connection;
	return 0;
}

static int connection_accept(void *end)
{
	struct connection *connection = end;
	int err = peal_accept(connection->listener, &connection->link, LIBRARY_MEETING_NS);

	if (err)
		return library_refused("peal_accept", err);
	peal_listener_close(connection->listener);
	connection->listener = NULL;
	connection->tx = peal_link_tx(connection->link);
	connection->rx = peal_link_rx(connection->link);
	return 0;
}

static int connection_connect(const struct setup *setup, void **end)
{
	struct connection *connection;
	struct peal_options options;
	struct peal_link *link;
	int err;

	library_options(&options, setup);
	err = peal_connect(&link, setup->path, &options, LIBRARY_MEETING_NS);
	if (err)
		return library_refused("peal_connect", err);
	library_tell_pages(link, setup);
	connection = connection_new(setup, link);
	if (!connection) {
		peal_close(link);
		return -ENOMEM;
	}
	*end = connection;
	return 0;
}

static int connection_pair(const struct setup *setup, void *ends[2])
{
	struct connection *one, *two;
	struct peal_options options;
	struct peal_link *links[2];
	int err;

	library_options(&options, setup);
	err = peal_pair(links, &options);
	if (err)
		return library_refused("peal_pair", err);
	library_tell_pages(links[0], setup);
	one = connection_new(setup, links[0]);
	two = connection_new(setup, links[1]);
	if (!one || !two) {
		connection_free(one);
		connection_free(two);
		peal_close(links[0]);
		peal_close(links[1]);
		return -ENOMEM;
	}
	ends[0] = one;
	ends[1] = two;
	return 0;
}

const struct transport transport_peal = {
	.name = "peal",
	.about = "Peal",
	.waits = 1 << WAIT_SPIN | 1 << WAIT_ADAPTIVE | 1 << WAIT_SLEEP,
	.rings = true,
	.listen = connection_listen,
	.accept = connection_accept,
	.connect = connection_connect,
	.pair = connection_pair,
	.close = connection_close,
	.loops = &copy_loops,
	.in_place = &place_loops,
	.batched = &copy_batch_loops,
	.batched_in_place = &place_batch_loops,
	.service = &service_peal,
};
