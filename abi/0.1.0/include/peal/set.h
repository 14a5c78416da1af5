/*
 * SPDX-License-Identifier: MIT
 *
 * Sets: many links that one thread looks at, waits for, and serves. Looking is inline and costs a
 * few nanoseconds a link, but for those that have been quiet for a while: they ring. A set that
 * sleeps is woken by a descriptor. Idle links cost nothing.
 *
 * Threads: a set, and both ends of the links in it, belong to one thread at a time. A link is in
 * one set at most. Closing it takes it out. After a fork a child's set answers -ESTALE.
 *
 * Timeouts are nanoseconds from now, as in peal/link.h.
 */
#ifndef PEAL_SET_H
#define PEAL_SET_H

#include <stdint.h>

#include <peal/error.h>
#include <peal/link.h>
#include <peal/ring.h>

#ifdef __cplusplus
extern "C" {
#endif

struct peal_set;

/* A link in a set. */
struct peal_set_member {
	const struct peal_rx *rx; /* of the link, which is */
	struct peal_link *link;
	void *data;     /* the caller's */
	uint32_t flags; /* for the library */
	uint32_t place; /* among those that peal_set_poll looks at; none: not below head.count */
};

/* Binary interface, version 1: the head of a set, for peal_set_poll. */
struct peal_set_head {
	struct peal_set_member *members; /* each stays where it is */
	const void **at; /* where the next record of each that is awake was, when last looked up */
	uint32_t *awake; /* indexes of members: those that are looked at */
	uint32_t *ready; /* indexes of members, room for all */
	uint32_t count;  /* of awake */
	uint32_t ready_count; /* of ready */
	uint32_t next;        /* of ready, to be handed out */
	uint32_t turn;        /* of awake: the one that is looked up next for no reason */
	uint32_t polls;       /* since the library looked at the descriptors, or at all */
	uint32_t owner;       /* debug builds: the thread that is inside a verb */
};

/* So many looks in a row may leave out those that sleep. */
#define PEAL_SET_POLLS 64u

/* Looks up where the next record of one that is awake is. */
static inline const void *peal_set_look_up(struct peal_set_head *head, uint32_t i)
{
	const struct peal_rx *rx = head->members[head->awake[i]].rx;

	return head->at[i] = rx->data + (rx->pos & rx->mask);
}

/*
 * Makes an empty set, which the caller frees. -EMFILE, -ENFILE, -ENOMEM. Any thread; enters the
 * kernel.
 */
PEAL_API int peal_set_create(struct peal_set **set);

/* Frees a set; its links stay open, and are in none. NULL is ignored. Enters the kernel. */
PEAL_API void peal_set_free(struct peal_set *set);

/*
 * Adds a link, with something of the caller's that peal_set_next gives back, and forgets what was
 * ready. As long as a link in it spins (PEAL_WAIT_SPIN), the set never sleeps. -EEXIST: it is in a
 * set; -EOPNOTSUPP: a pair; -EMFILE, -ENFILE, -ENOMEM, -ENOSPC; -ESTALE: after a fork. Enters the
 * kernel.
 */
PEAL_API int peal_set_add(struct peal_set *set, struct peal_link *link, void *data);

/* Takes a link out, of what is ready too; the others stay so. -ENOENT: it is not in there; -ESTALE:
 * after a fork. Enters the kernel. */
PEAL_API int peal_set_remove(struct peal_set *set, struct peal_link *link);

/*
 * Asks to be told when a link has the room that the last verb that answered -EAGAIN found none of:
 * peal_set_wait and peal_set_arm find the link ready then, and the program tries to send again. It
 * is told once: peal_set_next takes the wish back. Asking twice is as good as once. The peer
 * fences after each release from then on. -ENOENT: it is not in this set; -ESTALE: after a fork.
 * Never enters the kernel.
 */
PEAL_API int peal_set_want_room(struct peal_set *set, struct peal_link *link);

/*
 * Waits until a link has a message, has the room that was asked for, or has ended, and returns how
 * many do (1 or more): get them with peal_set_next. Spins first, as the links' options say, and
 * sleeps then. What peal_send_more and the like have left pending is published before it spins or
 * sleeps. A link that has ended is ready in each wait until it is removed or closed.
 *
 * Links that have been quiet for a millisecond or two are not looked at any more, but ring; so a
 * busy link is not slowed down by a thousand idle ones. While others are busy their bells are
 * listened to every 16 microseconds, if the program waits as often, and the ends of all links at
 * least every millisecond.
 *
 * -EAGAIN (timeout 0: after one look, at the descriptors too), -ETIMEDOUT; -ENOENT: the set is
 * empty; -ESTALE. Enters the kernel but for what is there at once, and then as often as said.
 */
PEAL_API int peal_set_wait(struct peal_set *set, int64_t timeout);

/* A descriptor that polls readable when there is something to do in an armed set; for event loops,
 * as peal_link_fd. It belongs to the set. -ESTALE: after a fork. Never enters the kernel. */
PEAL_API int peal_set_fd(const struct peal_set *set);

/*
 * To be called before each wait for the descriptor: arms all links, with one barrier for all, and
 * looks once more. 0: wait for the descriptor; 1: there is something now, see peal_set_next.
 * Publishes what is pending. Errors as peal_set_wait, and -EOPNOTSUPP: a link in it spins. Enters
 * the kernel; waits no longer than peal_link_arm.
 */
PEAL_API int peal_set_arm(struct peal_set *set);

/* The slow ways of peal_set_next and peal_set_poll; not to be called by programs. */
PEAL_API int peal_set_tell(struct peal_set *set, struct peal_set_member *member);
PEAL_API void peal_set_rouse(struct peal_set *set);

/*
 * Looks at the links once and returns how many have a message: get them with peal_set_next. Of
 * links that have ended, and of room, only peal_set_wait and peal_set_arm know. Never enters the
 * kernel.
 *
 * Left out are links that peal_set_wait or peal_set_arm has put to sleep, whose bells they listen
 * to; but not more than 64 times in a row: the next look is at all of them, and each is looked at
 * from then on until it has slept again. In a set that is never waited for none sleeps.
 *
 * A link that nothing is received from costs one look at one line: where its next record is was
 * looked up before. That is looked up again of those that were ready last time, and, since a
 * program may receive from others as well, of one more in each look: what such a place says is at
 * most some looks late, and a place that has something is looked up again anyway.
 */
PEAL_INLINE int peal_set_poll(struct peal_set *set)
{
	struct peal_set_head *head = (struct peal_set_head *)(void *)set;
	uint32_t count, found = 0, ready = 0;
	const void **at = head->at;

	PEAL_DEBUG_ENTER(head);
	if (PEAL_UNLIKELY(++head->polls > PEAL_SET_POLLS))
		peal_set_rouse(set);
	count = head->count;
	for (uint32_t k = 0; k < head->ready_count; k++) {
		uint32_t place = head->members[head->ready[k]].place;

		if (place < count)
			peal_set_look_up(head, place);
	}
	head->turn = head->turn + 1 < count ? head->turn + 1 : 0;
	if (count)
		peal_set_look_up(head, head->turn);
	for (uint32_t i = 0; i < count; i++) {
		/* No order is needed: whoever receives looks again. */
		head->ready[found] = i;
		found += __atomic_load_n((const uint64_t *)at[i], __ATOMIC_RELAXED) != 0;
	}
	for (uint32_t k = 0; k < found; k++) {
		uint32_t i = head->ready[k];
		const void *was = at[i];

		head->ready[ready] = head->awake[i];
		ready += was == peal_set_look_up(head, i) ||
			 __atomic_load_n((const uint64_t *)at[i], __ATOMIC_RELAXED) != 0;
	}
	head->ready_count = ready;
	head->next = 0;
	PEAL_DEBUG_LEAVE(head);
	return (int)ready;
}

/*
 * The next link of those that the last peal_set_poll, _wait or _arm found, and what was added with
 * it (data may be NULL). NULL: no more. Receive with timeout 0, until -EAGAIN or as long as is
 * fair. Never enters the kernel.
 */
PEAL_INLINE struct peal_link *peal_set_next(struct peal_set *set, void **data)
{
	struct peal_set_head *head = (struct peal_set_head *)(void *)set;
	struct peal_set_member *member;
	struct peal_link *link = NULL;

	PEAL_DEBUG_ENTER(head);
	while (head->next != head->ready_count) {
		member = &head->members[head->ready[head->next++]];
		if (PEAL_LIKELY(!member->flags) || peal_set_tell(set, member)) {
			if (data)
				*data = member->data;
			link = member->link;
			break;
		}
	}
	PEAL_DEBUG_LEAVE(head);
	return link;
}

#ifdef __cplusplus
}
#endif

#endif
