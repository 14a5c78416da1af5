/*
 * SPDX-License-Identifier: MIT
 *
 * The lanes of a set: one thread, which mostly listens to what comes.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/soak/chance.h"
#include "tests/soak/lane.h"
#include "tests/soak/side.h"

struct club {
	struct peal_set *set;
	struct side *members[MEMBERS];
	int count;
};

/* False: its lane has an older link, whose end has not been seen yet. */
static bool take_in(struct club *club, struct peal_link *link, uint64_t kills, uint64_t *random)
{
	int lane = atoi(peal_link_peer(link)->name);
	struct side *side;

	if (lane < SINGLES || lane >= FIRST_PAIR)
		wrong("a client that is called \"%s\"", peal_link_peer(link)->name);
	side = club->members[lane - SINGLES];
	if (side->link)
		return false;
	side->kills = kills;
	side_begin(side, link, random, true);
	link->one_thread = draw(random, 2); /* as by PEAL_ONE_THREAD */
	if (peal_set_add(club->set, link, side))
		wrong("adding to the set: %s", peal_error());
	club->count++;
	return true;
}

static void serve_member(struct club *club, struct side *side)
{
	int err = 0;

	put(&side->note->receiving, RECEIVES);
	for (int i = 0; i < 20 && !err && !side->in_done && !side->quits; i++)
		err = receive_some(side, 0);
	put(&side->note->receiving, IN_SET);
	if (side->in_done || side->quits) {
		put(&side->note->over, 1);
		if (peal_set_remove(club->set, side->link))
			wrong("taking out of the set: %s", peal_error());
		side_end(side);
		club->count--;
	}
}

/* Sends what the members have to say, which is little. The nanoseconds until more may be said. */
static uint64_t speak(struct club *club)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < MEMBERS; i++) {
		struct side *side = club->members[i];
		uint64_t ns;
		bool full;

		if (!side->link)
			continue;
		ns = send_in_turn(side, &full);
		if (full)
			ns = MS;
		least = ns < least ? ns : least;
	}
	return least;
}

void *serve_set(void *data)
{
	struct club club = { .count = 0 };
	uint64_t random = seed_of(SINGLES, SERVER), kills = 0, ns;
	struct peal_listener *listener = NULL;
	struct peal_options options;
	struct peal_link *link, *next = NULL;
	struct side *side;
	char address[100];
	int err;

	(void)data;
	address_of(SINGLES, address, sizeof(address));
	for (int i = 0; i < MEMBERS; i++)
		club.members[i] = side_make(SINGLES + i, SERVER);
	if (peal_set_create(&club.set))
		wrong("a set: %s", peal_error());
	while (!get(&board->stop[SERVER]) || club.count) {
		if (!listener && club.count < MEMBERS) {
			draw_options(&options, &random);
			if (peal_listen(&listener, address, &options))
				wrong("listening: %s", peal_error());
		}
		if (!next) {
			kills = get(&board->kills[CLIENT]);
			if (listener && peal_accept(listener, &next, 0))
				next = NULL;
		}
		if (next && take_in(&club, next, kills, &random))
			next = NULL;
		if (listener && (club.count == MEMBERS || draw(&random, 1000) == 0)) {
			peal_listener_close(listener);
			listener = NULL;
			continue;
		}
		ns = speak(&club);
		if (!club.count) {
			sleep_ns(MS);
			continue;
		}
		if (listener || draw(&random, 2)) {
			struct pollfd polled[2];

			err = peal_set_arm(club.set);
			if (err == -EOPNOTSUPP) { /* one spins */
				err = peal_set_wait(club.set, 0) > 0;
				ns = ns < MS ? ns : MS;
			} else if (err < 0) {
				wrong("arming the set: %d, %s", err, peal_error());
			}
			polled[0] = (struct pollfd){ .fd = peal_set_fd(club.set),
						     .events = POLLIN };
			polled[1] = (struct pollfd){ .fd = listener ? peal_listener_fd(listener) :
								      -1,
						     .events = POLLIN };
			if (!err) {
				poll_for(polled, 2, ns);
				err = peal_set_wait(club.set, 0);
			}
		} else {
			err = peal_set_wait(club.set,
					    ns == UINT64_MAX ? PEAL_FOREVER : (int64_t)ns);
		}
		if (err < 0 && err != -EAGAIN && err != -ETIMEDOUT)
			wrong("the set: %d, %s", err, peal_error());
		/* Taking one out forgets the others; they are found again. */
		for (int count = club.count;
		     count == club.count && (link = peal_set_next(club.set, (void **)&side));)
			serve_member(&club, side);
		if (draw(&random, 8) == 0)
			pause_for(pause_length(&random, true));
	}
	peal_close(next);
	peal_listener_close(listener);
	peal_set_free(club.set);
	for (int i = 0; i < MEMBERS; i++)
		free(club.members[i]);
	return NULL;
}
