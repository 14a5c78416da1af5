/*
 * SPDX-License-Identifier: MIT
 *
 * A session's talk: by two threads with the blocking verbs, or by one in an event loop.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "tests/soak/chance.h"
#include "tests/soak/side.h"

static void settle(const struct side *side)
{
	for (int i = 0; sends_on(side) && !has_settled(side); i++) {
		if (i < 1000)
			peal_relax();
		else if (i % 4)
			sched_yield();
		else
			sleep_ns(20 * US);
	}
}

/* Messages one by one, each as the receiver of the one before arms itself. */
static void duel(struct side *side)
{
	for (int i = 0; i < 100 && sends_on(side); i++) {
		send_some(side, PEAL_FOREVER);
		settle(side);
		pause_for(draw(&side->out_random, 5 * US));
	}
}

/* A message as the receiver, whose ring is empty, goes from one slice of sleep to another, or to
 * its descriptors. */
static void ambush(struct side *side)
{
	const uint32_t *asleep = &side->link->tx.peer->rx_asleep;
	uint64_t begun = platform_now(), least = draw(&side->out_random, 2) ? 7 * MS : 0, now;
	uint32_t word, before = 0;

	settle(side);
	do {
		now = platform_now();
		word = __atomic_load_n(asleep, __ATOMIC_RELAXED);
		if ((before & PEAL_ASLEEP) && !(word & PEAL_ASLEEP) && now - begun >= least)
			break;
		before = word;
	} while (now - begun < 20 * MS && sends_on(side));
	if (sends_on(side)) {
		pause_for(draw(&side->out_random, 2 * US));
		send_some(side, PEAL_FOREVER);
	}
	settle(side);
}

/* Two threads, one for each direction, with the blocking verbs. */
static void *send_all(void *data)
{
	struct side *side = data;

	while (sends_on(side)) {
		put(&side->note->sending, PAUSES);
		pause_for(pause_length(&side->out_random, side->lazy));
		put(&side->note->sending, SENDS);
		send_some(side, draw_timeout(&side->out_random));
		put(&side->note->sending, SETTLES);
		switch (draw(&side->out_random, 64)) {
		case 0:
			duel(side);
			break;
		case 1:
			if (side->lazy)
				ambush(side);
			break;
		default:
			if (draw(&side->out_random, 4) == 0)
				settle(side);
		}
	}
	put(&side->note->sending, OVER);
	__atomic_store_n(&side->out_over, true, __ATOMIC_RELEASE);
	return NULL;
}

static void talk_by_threads(struct side *side)
{
	pthread_t sender;

	if (pthread_create(&sender, NULL, send_all, side))
		wrong("no thread");
	while (!side->in_done) {
		put(&side->note->receiving, PAUSES);
		pause_for(pause_length(&side->in_random, side->lazy));
		put(&side->note->receiving, RECEIVES);
		/* One that quits receives until its sender has noticed: the other side may do the
		 * same. */
		if (side->quits && __atomic_load_n(&side->out_over, __ATOMIC_ACQUIRE))
			break;
		receive_some(side, side->quits ? MS : draw_timeout(&side->in_random));
	}
	put(&side->note->over, 1);
	put(&side->note->receiving, OVER);
	pthread_join(sender, NULL);
}

uint64_t send_in_turn(struct side *side, bool *full)
{
	uint64_t now;
	int err;

	*full = false;
	if (side->out_done)
		return UINT64_MAX;
	if (side->out_settles && !has_settled(side))
		return MS;
	side->out_settles = false;
	now = platform_now();
	if (now < side->out_next)
		return side->out_next - now;
	err = send_some(side, 0);
	if (side->out_done)
		return UINT64_MAX;
	if (err == -EAGAIN) {
		*full = true;
		return UINT64_MAX;
	}
	side->out_settles = draw(&side->out_random, 4) == 0;
	side->out_next = now + pause_length(&side->out_random, side->lazy);
	return 0;
}

void poll_for(struct pollfd *polled, nfds_t count, uint64_t ns)
{
	struct timespec time = { .tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND) };

	if (ppoll(polled, count, ns == UINT64_MAX ? NULL : &time, NULL) < 0 && errno != EINTR)
		wrong("poll: %d", errno);
}

/* One thread for both directions, in an event loop. */
static void talk_by_descriptor(struct side *side)
{
	struct pollfd polled = { .fd = peal_link_fd(side->link), .events = POLLIN };
	uint32_t what;
	uint64_t ns;
	bool full;
	int err;

	if (polled.fd < 0)
		wrong("lane %d: no descriptor: %s", side->lane, peal_error());
	while (!side->quits && (!side->out_done || !side->in_done)) {
		ns = send_in_turn(side, &full);
		err = side->in_done ? -EAGAIN : receive_some(side, 0);
		if (!err || !ns || (side->in_done && side->out_done)) {
			if (draw(&side->in_random, 4) == 0)
				pause_for(pause_length(&side->in_random, side->lazy));
			continue;
		}
		what = (side->in_done ? 0 : PEAL_DATA) | (full ? PEAL_ROOM : 0);
		if (!what) {
			if (ns != UINT64_MAX)
				pause_for(ns);
			continue;
		}
		err = peal_link_arm(side->link, what);
		if (err < 0)
			wrong("lane %d: arming: %d, %s", side->lane, err, peal_error());
		put(&side->note->receiving, POLLS);
		if (!err)
			poll_for(&polled, 1, ns);
		put(&side->note->receiving, RECEIVES);
	}
	put(&side->note->over, 1);
}

void side_talk(struct side *side, uint64_t *random)
{
	if (!side->link->pair && !side->spins && draw(random, 2)) {
		side->link->one_thread = draw(random, 2); /* as by PEAL_ONE_THREAD */
		talk_by_descriptor(side);
	} else {
		talk_by_threads(side);
	}
	side_end(side);
}
