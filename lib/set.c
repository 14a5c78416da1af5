/*
 * SPDX-License-Identifier: MIT
 *
 * Sets: the slow half of peal/set.h: who is in, and how all of them are waited for at once. All that
 * sleeps by a descriptor goes through one poller; what each bell needs for that is in bell.c.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <peal/set.h>

#include "lib/bell.h"
#include "lib/error.h"

#define LOOKS 64             /* at all members, between two looks at the clock */
#define LOOK_EVERY 10000000u /* ns between two looks at the descriptors while spinning */

/* member->flags */
#define ENDED 1u

/* Events taken at a time. A key is a member's index, with this for its eventfd. */
#define KEYS 16
#define KEY_EVENTFD 0x80000000u

_Static_assert(sizeof(struct peal_set_member) == 32, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_head, ready) == 8, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_head, count) == 16, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_head, next) == 24, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_head, members) == 0, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_head, ready_count) == 20, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_head, ended) == 28, "binary interface, version 1");
_Static_assert(sizeof(struct peal_set_head) == 32, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_member, rx) == 0, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_member, link) == 8, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_member, data) == 16, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_member, flags) == 24, "binary interface, version 1");

struct peal_set {
	struct peal_set_head head; /* first */
	struct handle handle;
	uint32_t room;
	int poller;
	bool stale;
	uint64_t look_at;  /* monotonic ns of the next look at the descriptors */
	uint64_t spin_ns;  /* the longest that its links, but those that never sleep, let it spin */
	uint32_t spinning; /* links that never sleep */
	uint64_t typical_ns; /* what waits have lasted lately */
};

static void orphan(struct handle *handle)
{
	struct peal_set *set = (struct peal_set *)(void *)((char *)handle -
							   offsetof(struct peal_set, handle));

	platform_close(set->poller);
	set->poller = -1;
	set->stale = true;
	set->head.count = set->head.ready_count = 0;
}

static int stale(void)
{
	return error_literal(-ESTALE, "this set is from before a fork: only the parent can use it");
}

int peal_set_create(struct peal_set **made)
{
	struct peal_set *set = calloc(1, sizeof(*set));
	int err = 0;

	*made = NULL;
	if (!set)
		return error_literal(-ENOMEM, "no memory for a set");
	runtime_get();
	set->handle.orphan = orphan;
	registry_lock();
	set->poller = platform_poller();
	if (set->poller >= 0)
		registry_add(&set->handle);
	else
		err = error_set(set->poller,
				"no descriptor for a set (errno %d): raise the limit (nofile)",
				-set->poller);
	registry_unlock();
	if (err)
		free(set);
	else
		*made = set;
	return err;
}

void peal_set_free(struct peal_set *set)
{
	if (!set)
		return;
	while (set->head.count)
		peal_set_remove(set, set->head.members[set->head.count - 1].link);
	registry_lock();
	registry_remove(&set->handle);
	platform_close(set->poller);
	registry_unlock();
	free(set->head.members);
	free(set->head.ready);
	free(set);
}

static int make_room(struct peal_set *set)
{
	uint32_t room = set->room ? 2 * set->room : 16;
	struct peal_set_member *members;
	uint32_t *ready;

	if (set->head.count < set->room)
		return 0;
	members = realloc(set->head.members, room * sizeof(*members));
	if (members)
		set->head.members = members;
	/* One more: peal_set_poll writes before it knows whether it will stay. */
	ready = realloc(set->head.ready, (room + 1) * sizeof(*ready));
	if (ready)
		set->head.ready = ready;
	if (!members || !ready)
		return error_set(-ENOMEM, "no memory for %u links in a set", room);
	set->room = room;
	return 0;
}

int peal_set_add(struct peal_set *set, struct peal_link *link, void *data)
{
	struct peal_set_head *head = &set->head;
	int err;

	if (set->stale || link->stale)
		return stale();
	if (link->in_set)
		return error_literal(-EEXIST, "the link is in a set: take it out there first");
	if (link->pair)
		return error_literal(
			-EOPNOTSUPP,
			"the ends of a pair have no descriptor, so a set cannot wait for "
			"them: use peal_listen and peal_connect");
	err = make_room(set);
	if (err)
		return err;
	err = platform_poller_add(set->poller, link->fd, head->count);
	if (!err && link->own_eventfd >= 0) {
		err = platform_poller_add_edge(set->poller, link->own_eventfd,
					       head->count | KEY_EVENTFD);
		if (err)
			platform_poller_remove(set->poller, link->fd);
	}
	if (err)
		return error_set(err,
				 "a link cannot be polled (errno %d): raise "
				 "fs.epoll.max_user_watches",
				 -err);
	head->members[head->count++] = (struct peal_set_member){ .rx = &link->rx,
								 .link = link,
								 .data = data };
	link->in_set = head->count;
	if (link->data.spin_ns == UINT64_MAX)
		set->spinning++;
	else if (link->data.spin_ns > set->spin_ns)
		set->spin_ns = link->data.spin_ns;
	head->ready_count = head->next = 0;
	return 0;
}

int peal_set_remove(struct peal_set *set, struct peal_link *link)
{
	struct peal_set_head *head = &set->head;
	uint32_t i = link->in_set - 1;

	if (!link->in_set || i >= head->count || head->members[i].link != link)
		return error_literal(-ENOENT, "the link is not in this set");
	platform_poller_remove(set->poller, link->fd);
	if (link->own_eventfd >= 0)
		platform_poller_remove(set->poller, link->own_eventfd);
	bell_disarm(link);
	link->in_set = 0;
	set->spinning -= link->data.spin_ns == UINT64_MAX;
	head->ended -= (head->members[i].flags & ENDED) != 0;
	/* The last one takes its place, and has to be known by it. */
	head->members[i] = head->members[--head->count];
	if (i < head->count) {
		struct peal_link *moved = head->members[i].link;

		moved->in_set = i + 1;
		platform_poller_change(set->poller, moved->fd, i, false);
		if (moved->own_eventfd >= 0)
			platform_poller_change(set->poller, moved->own_eventfd, i | KEY_EVENTFD,
					       true);
	}
	head->ready_count = head->next = 0;
	return 0;
}

int peal_set_fd(const struct peal_set *set)
{
	return set->stale ? stale() : set->poller;
}

/* Adds those that have ended, which no header tells of, to those that are ready. */
static int add_ended(struct peal_set *set)
{
	struct peal_set_head *head = &set->head;

	for (uint32_t i = 0; head->ended && i < head->count; i++) {
		const struct peal_set_member *member = &head->members[i];
		const void *at = peal_next(member->rx, member->rx->pos);

		if ((member->flags & ENDED) &&
		    !__atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED))
			head->ready[head->ready_count++] = i;
	}
	return (int)head->ready_count;
}

/* Takes note of a link that has ended. Its socket would poll readable for ever. */
static void look_after(struct peal_set *set, struct peal_set_member *member)
{
	if ((member->flags & ENDED) || !link_verdict(member->link, false))
		return;
	member->flags |= ENDED;
	set->head.ended++;
	platform_poller_remove(set->poller, member->link->fd);
}

/* Takes note of all that the descriptors have to say. Never waits. */
static void hear_all(struct peal_set *set)
{
	uint32_t keys[KEYS];
	int count;

	do {
		count = platform_poller_ready(set->poller, keys, KEYS);
		for (int i = 0; i < count; i++) {
			uint32_t key = keys[i] & ~KEY_EVENTFD;
			struct peal_set_member *member = &set->head.members[key];

			if (key >= set->head.count)
				continue;
			if (!(keys[i] & KEY_EVENTFD))
				link_drain(member->link); /* [drain] */
			bell_disarm(member->link);
			look_after(set, member);
		}
	} while (count == KEYS);
}

/*
 * Arms all that are not, with one barrier, and looks at those once more. Those that are have not been
 * rung since, or the poller knows it. True: there is news.
 */
static bool arm_all(struct peal_set *set)
{
	struct peal_set_head *head = &set->head;
	uint32_t *fresh = head->ready, count = 0;
	bool membarrier = false, unsettled = false, had, news = false;
	uint64_t took;

	for (uint32_t i = 0; i < head->count; i++) {
		if (head->members[i].link->data.armed)
			continue;
		membarrier |= bell_arm(head->members[i].link, PEAL_DATA);
		unsettled |= bell_is_unsettled(head->members[i].link);
		fresh[count++] = i;
	}
	had = bell_barrier(membarrier, &took);
	if (had && unsettled)
		platform_sleep(BELL_SETTLE_NS);
	for (uint32_t k = 0; k < count; k++) {
		struct peal_set_member *member = &head->members[fresh[k]];

		if (membarrier)
			bell_settle(member->link, PEAL_DATA, had, took);
		if (!had)
			bell_disarm(member->link); /* to be armed again, with another word */
		else if (unsettled)
			bell_let_be_settled(member->link);
		if (bell_is_news(member->link, PEAL_DATA)) {
			look_after(set, member);
			news = true;
		}
	}
	head->ready_count = head->next = 0;
	return news || !had;
}

static int check(const struct peal_set *set)
{
	if (set->stale)
		return stale();
	if (!set->head.count)
		return error_literal(-ENOENT, "the set is empty: there is nothing to wait for");
	return 0;
}

int peal_set_arm(struct peal_set *set)
{
	int err = check(set);

	if (err)
		return err;
	if (set->spinning)
		return error_literal(
			-EOPNOTSUPP,
			"a link in the set spins (PEAL_WAIT_SPIN), so nobody rings for it");
	hear_all(set); /* [drain-before-arm] */
	if (!peal_set_poll(set) && !add_ended(set) && !arm_all(set))
		return 0;
	peal_set_poll(set);
	return add_ended(set) ? 1 : 0;
}

int peal_set_wait(struct peal_set *set, int64_t timeout)
{
	uint64_t now, begun, end, spin, spin_end;
	int count, err = check(set);

	if (err)
		return err;
	count = peal_set_poll(set);
	if (count)
		return count;
	now = begun = platform_now();
	end = timeout < 0 || (uint64_t)timeout > UINT64_MAX - now ? UINT64_MAX :
								    now + (uint64_t)timeout;
	spin = set->spinning ? UINT64_MAX : set->spin_ns;
	if (spin != UINT64_MAX && set->typical_ns > spin)
		spin = 0; /* it has lately been in vain */
	spin_end = spin > UINT64_MAX - now ? UINT64_MAX : now + spin;
	for (;;) {
		if (now >= set->look_at || timeout == 0 || now >= spin_end) {
			hear_all(set);
			set->look_at = now + LOOK_EVERY;
		}
		for (int i = 0; i < (now < spin_end && timeout ? LOOKS : 1); i++) {
			count = peal_set_poll(set);
			if (count || set->head.ended) {
				count = add_ended(set);
				goto out;
			}
			peal_relax();
		}
		if (timeout == 0)
			return error_literal(-EAGAIN, "no link has anything, and the timeout is 0");
		now = platform_now();
		if (now >= end)
			return error_literal(-ETIMEDOUT, "no link had anything until the timeout");
		if (now >= spin_end && !arm_all(set)) {
			platform_poll(set->poller, false,
				      end == UINT64_MAX ? -1 : (int64_t)(end - now));
			now = platform_now();
		}
	}
out:
	now = platform_now() - begun;
	now = now < 1000000 ? now : 1000000;
	set->typical_ns += now / 8 - set->typical_ns / 8;
	return count;
}
