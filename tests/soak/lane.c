/*
 * SPDX-License-Identifier: MIT
 *
 * Lanes with threads of their own: of two processes, and pairs in one.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/soak/chance.h"
#include "tests/soak/lane.h"
#include "tests/soak/side.h"

void address_of(int lane, char *address, size_t size)
{
	if (lane < SINGLES)
		snprintf(address, size, "%s/%d", folder, lane);
	else
		snprintf(address, size, "%s/%s", folder, lane < FIRST_PAIR ? "set" : "calls");
}

void *serve_lane(void *data)
{
	int lane = (int)(intptr_t)data, err;
	struct side *side = side_make(lane, SERVER);
	uint64_t random = seed_of(lane, SERVER);
	struct peal_listener *listener;
	struct peal_options options;
	struct peal_link *link;
	char address[100];

	address_of(lane, address, sizeof(address));
	while (!get(&board->stop[SERVER])) {
		draw_options(&options, &random);
		if (peal_listen(&listener, address, &options))
			wrong("listening: %s", peal_error());
		do {
			put(&side->note->receiving, MEETS);
			side->kills = get(&board->kills[!side->which]);
			err = peal_accept(listener, &link, 20 * MS);
		} while (err == -ETIMEDOUT && !get(&board->stop[SERVER]));
		peal_listener_close(listener);
		if (err == -ETIMEDOUT)
			break;
		if (err)
			wrong("accepting: %d, %s", err, peal_error());
		side_begin(side, link, &random, false);
		side_talk(side, &random);
	}
	free(side);
	return NULL;
}

void *call_lane(void *data)
{
	int lane = (int)(intptr_t)data, err;
	struct side *side = side_make(lane, CLIENT);
	uint64_t random = seed_of(lane, CLIENT);
	struct peal_options options;
	struct peal_link *link;
	char address[100], name[8];

	address_of(lane, address, sizeof(address));
	snprintf(name, sizeof(name), "%d", lane);
	while (!get(&board->stop[CLIENT])) {
		put(&side->note->receiving, MEETS);
		side->kills = get(&board->kills[!side->which]);
		draw_options(&options, &random);
		options.name = name;
		err = peal_connect(&link, address, &options, SECOND);
		if (err) {
			/* Between two listeners, or at one that is being closed. */
			if (err != -ECONNREFUSED && err != -ENOENT && err != -ECONNRESET &&
			    err != -ETIMEDOUT)
				wrong("connecting: %d, %s", err, peal_error());
			sleep_ns(MS);
			continue;
		}
		side_begin(side, link, &random, false);
		side_talk(side, &random);
	}
	free(side);
	return NULL;
}

/* Pairs: two threads of the server's that meet here. */
static struct {
	pthread_barrier_t barrier;
	struct peal_link *links[2];
	bool stop;
} pairs[PAIRS];

void pairs_prepare(void)
{
	for (int i = 0; i < PAIRS; i++)
		pthread_barrier_init(&pairs[i].barrier, NULL, 2);
}

void *pair_lane(void *data)
{
	int lane = FIRST_PAIR + (int)((intptr_t)data >> 1), which = (int)((intptr_t)data & 1);
	struct side *side = side_make(lane, which);
	uint64_t random = seed_of(lane, which);
	struct peal_options options;

	for (;;) {
		put(&side->note->receiving, MEETS);
		pthread_barrier_wait(&pairs[lane - FIRST_PAIR].barrier);
		if (which == SERVER) {
			draw_options(&options, &random);
			pairs[lane - FIRST_PAIR].stop = get(&board->stop[CLIENT]);
			if (!pairs[lane - FIRST_PAIR].stop &&
			    peal_pair(pairs[lane - FIRST_PAIR].links, &options))
				wrong("a pair: %s", peal_error());
		}
		pthread_barrier_wait(&pairs[lane - FIRST_PAIR].barrier);
		if (pairs[lane - FIRST_PAIR].stop)
			break;
		side_begin(side, pairs[lane - FIRST_PAIR].links[which], &random, false);
		side_talk(side, &random);
	}
	free(side);
	return NULL;
}
