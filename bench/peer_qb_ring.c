/*
 * SPDX-License-Identifier: MIT
 *
 * libqb's ring buffer, used straight: one in each direction, in /dev/shm. The partner makes both,
 * the driver opens them, and the partner unlinks them then, so that nothing of them outlives a
 * kill. Between threads both sides have the same two (QB_RB_FLAG_SHARED_THREAD).
 *
 * Payloads are copied by qb_rb_chunk_write and qb_rb_chunk_read, or written and read where they
 * are (alloc and commit, peek and reclaim). Both ways of waiting are those of its semaphore: a
 * reader spins with a timeout of 0, and sleeps in its timed wait, for the other one takes no
 * notice of signals. There is no way to wait for room: a writer tries again, as the example in its
 * header does; one that may sleep yields before it does.
 *
 * It could do without the semaphore (QB_RB_FLAG_NO_SEMAPHORE). But then a reader only looks for a
 * magic number where the next chunk will be, and may find it in an old payload.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <qb/qbrb.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "complaint.h"
#include "meeting.h"
#include "slice.h"
#include "transport.h"
#include "watch.h"

/* Looks between two questions whether to give up. */
#define LOOKS 65536

/* A wait of a sleeper is over after so long at the latest, for that question. */
#define SLEEP_MS 100

/* What a ring adds to the size that is asked for, at most, before it rounds up to pages. */
#define MARGIN 16

/* Chunks begin where the last one ended, at multiples of 4: in place they are whole words, for that
 * is how payloads want to lie. */
#define WORDS(SIZE) (((SIZE) + 7) & ~(size_t)7)

/* A process's, or those that two threads share. */
struct rings {
	qb_ringbuffer_t *ring[2]; /* to the side that connects, and from it */
	unsigned ends;            /* that are open; atomic */
};

struct end {
	struct rings *rings;
	qb_ringbuffer_t *to, *from;
	int listener; /* -1: none, or closed */
	int timeout;  /* of a read, in ms */
	bool yields;
};

ALWAYS_INLINE int room_again(const struct end *end, unsigned *looks)
{
	if (!(++*looks % LOOKS) && watch_abandoned())
		return complain(-ECANCELED, "given up");
	if (end->yields)
		sched_yield();
	else
		peal_relax();
	return 0;
}

ALWAYS_INLINE int data_again(const struct end *end, unsigned *looks)
{
	if ((end->timeout || !(++*looks % LOOKS)) && watch_abandoned())
		return complain(-ECANCELED, "given up");
	if (!end->timeout)
		peal_relax();
	return 0;
}

static int refused(const char *call, ssize_t err)
{
	return complain((int)err, "%s: %s", call, strerror((int)-err));
}

ALWAYS_INLINE int copy_send(void *at, const void *payload, size_t size)
{
	const struct end *end = at;
	unsigned looks = 0;
	ssize_t sent;

	while ((sent = qb_rb_chunk_write(end->to, payload, size)) < 0) {
		int err = sent == -EAGAIN ? room_again(end, &looks) :
					    refused("qb_rb_chunk_write", sent);

		if (err)
			return err;
	}
	return 0;
}

ALWAYS_INLINE int copy_recv(void *at, void *payload, size_t size)
{
	const struct end *end = at;
	unsigned looks = 0;
	ssize_t came;

	while ((came = qb_rb_chunk_read(end->from, payload, size, end->timeout)) < 0) {
		int err = came == -ETIMEDOUT ? data_again(end, &looks) :
					       refused("qb_rb_chunk_read", came);

		if (err)
			return err;
	}
	return __builtin_expect((size_t)came != size, 0) ? slice_wrong_size(size, (size_t)came) : 0;
}

static const struct verbs copy_verbs = { .send = copy_send, .recv = copy_recv };

TRANSPORT_LOOPS(copy_loops, copy_verbs);

ALWAYS_INLINE int place_reserve(void *at, size_t size, void **payload)
{
	const struct end *end = at;
	unsigned looks = 0;

	while (!(*payload = qb_rb_chunk_alloc(end->to, WORDS(size)))) {
		int err = errno == EAGAIN ? room_again(end, &looks) :
					    complain_errno("qb_rb_chunk_alloc");

		if (err)
			return err;
	}
	return 0;
}

ALWAYS_INLINE int place_commit(void *at, size_t size)
{
	const struct end *end = at;
	int err = qb_rb_chunk_commit(end->to, WORDS(size));

	return __builtin_expect(err < 0, 0) ? refused("qb_rb_chunk_commit", err) : 0;
}

ALWAYS_INLINE int place_peek(void *at, size_t size, const void **payload)
{
	const struct end *end = at;
	void *found = NULL;
	unsigned looks = 0;
	ssize_t came;

	/* 0: there is nothing, for no message is empty. */
	while ((came = qb_rb_chunk_peek(end->from, &found, end->timeout)) <= 0) {
		int err = came ? refused("qb_rb_chunk_peek", came) : data_again(end, &looks);

		if (err)
			return err;
	}
	*payload = found;
	return __builtin_expect((size_t)came != WORDS(size), 0) ?
		       slice_wrong_size(size, (size_t)came) :
		       0;
}

ALWAYS_INLINE int place_release(void *at)
{
	const struct end *end = at;

	qb_rb_chunk_reclaim(end->from);
	return 0;
}

static const struct verbs place_verbs = {
	.reserve = place_reserve,
	.commit = place_commit,
	.peek = place_peek,
	.release = place_release,
};

TRANSPORT_LOOPS(place_loops, place_verbs);

static void rings_close(struct rings *rings)
{
	for (int i = 0; i < 2; i++)
		if (rings->ring[i])
			qb_rb_close(rings->ring[i]);
	free(rings);
}

/* Their names are made from the path, which is there once. */
static int ring_open(const struct setup *setup, uint32_t flags, int which, qb_ringbuffer_t **ring)
{
	char name[sizeof(setup->path) + 8];

	snprintf(name, sizeof(name), "%s-%d", setup->path + 1, which);
	for (char *at = name; *at; at++)
		if (*at == '/')
			*at = '-';
	*ring = qb_rb_open(name, setup->ring - MARGIN, flags, 0);
	return *ring ? 0 : complain_errno("qb_rb_open of %s", name);
}

static struct rings *rings_open(const struct setup *setup, uint32_t flags)
{
	struct rings *rings = calloc(1, sizeof(*rings));

	if (!rings) {
		complain(-ENOMEM, "no memory for two rings");
		return NULL;
	}
	for (int i = 0; i < 2; i++) {
		if (ring_open(setup, flags, i, &rings->ring[i])) {
			rings_close(rings);
			return NULL;
		}
	}
	return rings;
}

static void rings_unlink(const struct rings *rings)
{
	static const char header[] = "-header", data[] = "-data";

	for (int i = 0; i < 2; i++) {
		const char *path = qb_rb_name_get(rings->ring[i]);
		size_t length = strlen(path) - strlen(header);
		char other[PATH_MAX + sizeof(data)];

		memcpy(other, path, length);
		memcpy(other + length, data, sizeof(data));
		unlink(path);
		unlink(other);
	}
}

/* side: 0 for the one that connects. */
static struct end *end_new(const struct setup *setup, struct rings *rings, int side)
{
	struct end *end = calloc(1, sizeof(*end));

	if (!end) {
		complain(-ENOMEM, "no memory for an end");
		return NULL;
	}
	end->rings = rings;
	end->from = rings->ring[side];
	end->to = rings->ring[!side];
	end->listener = -1;
	end->yields = setup->wait == WAIT_SLEEP;
	end->timeout = setup->wait == WAIT_SLEEP ? SLEEP_MS : 0;
	rings->ends++;
	return end;
}

/* An end with rings of its own. */
static struct end *end_alone(const struct setup *setup, uint32_t flags, int side)
{
	struct rings *rings = rings_open(setup, flags | QB_RB_FLAG_SHARED_PROCESS);
	struct end *end = rings ? end_new(setup, rings, side) : NULL;

	if (rings && !end)
		rings_close(rings);
	return end;
}

static void ring_close(void *at)
{
	struct end *end = at;
	struct rings *rings = end->rings;

	if (end->listener >= 0)
		close(end->listener);
	free(end);
	/* The last one has all that the others did before it. */
	if (!__atomic_sub_fetch(&rings->ends, 1, __ATOMIC_ACQ_REL))
		rings_close(rings);
}

static int ring_listen(const struct setup *setup, void **at)
{
	struct end *end = end_alone(setup, QB_RB_FLAG_CREATE, 1);
	int err;

	if (!end)
		return -ENOMEM;
	end->listener = meeting_listen(setup->path, SOCK_SEQPACKET, 1);
	if (end->listener < 0) {
		err = end->listener;
		ring_close(end);
		return err;
	}
	*at = end;
	return 0;
}

/* The other side hangs up when it has opened them. */
static int ring_accept(void *at)
{
	struct end *end = at;
	int socket = meeting_accept(end->listener);
	int err = 0;
	char none;

	if (socket < 0)
		return socket;
	while (!err && read(socket, &none, 1) < 0)
		err = watch_retry("waiting for the other side to open the rings");
	close(socket);
	close(end->listener);
	end->listener = -1;
	rings_unlink(end->rings);
	return err;
}

static int ring_connect(const struct setup *setup, void **at)
{
	int socket = meeting_connect(setup->path, SOCK_SEQPACKET);
	struct end *end;

	if (socket < 0)
		return socket;
	end = end_alone(setup, 0, 0);
	close(socket);
	if (!end)
		return -ENOMEM;
	*at = end;
	return 0;
}

static int ring_pair(const struct setup *setup, void *ends[2])
{
	struct rings *rings = rings_open(setup, QB_RB_FLAG_CREATE | QB_RB_FLAG_SHARED_THREAD);

	if (!rings)
		return -ENOMEM;
	rings_unlink(rings);
	for (int i = 0; i < 2; i++)
		ends[i] = end_new(setup, rings, i);
	if (ends[0] && ends[1])
		return 0;
	free(ends[0]);
	free(ends[1]);
	rings_close(rings);
	return -ENOMEM;
}

const struct transport transport_qb_ring = {
	.name = "qb-ring",
	.about = "libqb's ring buffer, in shared memory, used straight",
	.waits = 1 << WAIT_SPIN | 1 << WAIT_SLEEP,
	.rings = true,
	.listen = ring_listen,
	.accept = ring_accept,
	.connect = ring_connect,
	.pair = ring_pair,
	.close = ring_close,
	.loops = &copy_loops,
	.in_place = &place_loops,
};
