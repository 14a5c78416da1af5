/*
 * SPDX-License-Identifier: MIT
 *
 * Sets: the slow half of peal/set.h: who is in, and how all of them are waited for at once. All
 * that sleeps by a descriptor goes through one poller; what each bell needs for that is in bell.c.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <peal/set.h>

#include "lib/bell.h"
#include "lib/error.h"
#include "lib/set.h"

#define LOOKS 64u       /* at members, between two looks at the clock */
#define WATCH_NS 20000u /* between two looks at descriptors that are watched */
#define WAITS 16u       /* that find something at once, between two looks at the clock */

/* member->flags */
#define ENDED 1u
#define WANTS_ROOM 2u
#define MUTED 4u

/* Events taken at a time. A key is a member's index, with this for its eventfd; or a watch's number,
 * with that. */
#define KEYS 16
#define KEY_EVENTFD 0x80000000u
#define KEY_WATCH 0x40000000u

_Static_assert(sizeof(struct peal_set_member) == 32, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_member, rx) == 0, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_member, link) == 8, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_member, data) == 16, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_member, flags) == 24, "binary interface, version 1");
_Static_assert(sizeof(struct peal_set_head) == 48, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_head, members) == 0, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_head, at) == 8, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_head, ready) == 16, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_head, count) == 24, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_head, ready_count) == 28, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_head, next) == 32, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_head, ended) == 36, "binary interface, version 1");
_Static_assert(offsetof(struct peal_set_head, turn) == 40, "binary interface, version 1");

struct peal_set {
	struct peal_set_head head; /* first */
	struct handle handle;
	struct arming *fresh; /* those that are being armed, room for all */
	uint32_t room;
	uint32_t wanting; /* members that want room */
	uint32_t waits;   /* that have begun */
	int poller;
	bool stale;
	uint64_t look_at;    /* monotonic ns of the next look at the descriptors */
	uint64_t doubt_ends; /* and of the second look of a sleep that is in doubt; 0: none is */
	struct spin spin;
	uint64_t came;    /* waits that ended with news */
	uint32_t watches; /* a bit for each */
	uint32_t heard;   /* those that were readable in this wait */
	uint64_t wakeups; /* atomic: counted here, read by any thread */
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
				"no descriptor for a set (epoll_create1, errno %d): %s",
				-set->poller, error_mend(set->poller, "raise the limit (nofile)"));
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
	free(set->head.at);
	free(set->head.ready);
	free(set->fresh);
	free(set);
}

static int make_room(struct peal_set *set)
{
	uint32_t room = set->room ? 2 * set->room : 16;
	struct peal_set_member *members;
	struct arming *fresh;
	const void **at;
	uint32_t *ready;

	if (set->head.count < set->room)
		return 0;
	members = realloc(set->head.members, room * sizeof(*members));
	if (members)
		set->head.members = members;
	at = realloc(set->head.at, room * sizeof(*at));
	if (at)
		set->head.at = at;
	/* One more: peal_set_poll writes before it knows whether it will stay. */
	ready = realloc(set->head.ready, (room + 1) * sizeof(*ready));
	if (ready)
		set->head.ready = ready;
	fresh = realloc(set->fresh, room * sizeof(*fresh));
	if (fresh)
		set->fresh = fresh;
	if (!members || !at || !ready || !fresh)
		return error_set(-ENOMEM, "no memory for %u links in a set", room);
	set->room = room;
	return 0;
}

/* What was ready has to be found again; and something may have been received of it. */
static void forget_ready(struct peal_set_head *head)
{
	for (uint32_t k = 0; k < head->ready_count; k++)
		peal_set_look_up(head, head->ready[k]);
	head->ready_count = head->next = 0;
}

int peal_set_add(struct peal_set *set, struct peal_link *link, void *data)
{
	struct peal_set_head *head = &set->head;
	int err;

	if (set->stale || link->stale)
		return stale();
	if (link->set)
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
		return error_set(err, "a link cannot be polled (epoll_ctl, errno %d): %s", -err,
				 error_mend(err, "raise fs.epoll.max_user_watches"));
	forget_ready(head);
	head->members[head->count] = (struct peal_set_member){ .rx = &link->rx,
							       .link = link,
							       .data = data };
	peal_set_look_up(head, head->count++);
	link->set = set;
	link->in_set = head->count;
	link->idle_rings = 0; /* an eventfd says once more that it was rung */
	return 0;
}

static int not_in_here(void)
{
	return error_literal(-ENOENT, "the link is not in this set");
}

/* No longer, if it does. */
static void want_no_room(struct peal_set *set, struct peal_set_member *member)
{
	set->wanting -= (member->flags & WANTS_ROOM) != 0;
	member->flags &= ~(uint64_t)WANTS_ROOM;
}

int peal_set_remove(struct peal_set *set, struct peal_link *link)
{
	struct peal_set_head *head = &set->head;
	uint32_t i = link->in_set - 1;

	if (set->stale)
		return stale();
	if (link->set != set)
		return not_in_here();
	forget_ready(head);
	platform_poller_remove(set->poller, link->fd);
	if (link->own_eventfd >= 0)
		platform_poller_remove(set->poller, link->own_eventfd);
	bell_disarm(link, PEAL_DATA | PEAL_ROOM);
	link->set = NULL;
	head->ended -= (head->members[i].flags & ENDED) != 0;
	want_no_room(set, &head->members[i]);
	/* The last one takes its place, and has to be known by it. */
	head->members[i] = head->members[--head->count];
	if (i < head->count) {
		struct peal_link *moved = head->members[i].link;

		peal_set_look_up(head, i);
		moved->in_set = i + 1;
		moved->idle_rings = 0; /* as in peal_set_add */
		platform_poller_change(set->poller, moved->fd, i, false);
		if (moved->own_eventfd >= 0)
			platform_poller_change(set->poller, moved->own_eventfd, i | KEY_EVENTFD,
					       true);
	}
	return 0;
}

int peal_set_want_room(struct peal_set *set, struct peal_link *link)
{
	struct peal_set_member *member;

	if (set->stale)
		return stale();
	if (link->set != set)
		return not_in_here();
	member = &set->head.members[link->in_set - 1];
	set->wanting += !(member->flags & WANTS_ROOM);
	member->flags |= WANTS_ROOM;
	/* It may be armed for what was wanted before. */
	bell_disarm(link, PEAL_ROOM);
	return 0;
}

/* What a muted member is looked at for: nothing ever comes. */
static const uint64_t silence;
static const struct peal_rx silent = { .data = (const uint8_t *)&silence };

void set_mute(struct peal_set *set, struct peal_link *link, bool muted)
{
	struct peal_set_member *member;

	if (set->stale || link->set != set)
		return;
	member = &set->head.members[link->in_set - 1];
	member->rx = muted ? &silent : &link->rx;
	member->flags = (member->flags & ~(uint64_t)MUTED) | (muted ? MUTED : 0);
	peal_set_look_up(&set->head, link->in_set - 1);
	bell_disarm(link, PEAL_DATA);
}

/* What a member is waited for. */
static uint32_t wants(const struct peal_set_member *member)
{
	return (member->flags & MUTED ? 0 : PEAL_DATA) |
	       (member->flags & WANTS_ROOM ? PEAL_ROOM : 0);
}

/* Whether a member has the room that it wants. */
static bool has_room(const struct peal_set_member *member)
{
	return (member->flags & WANTS_ROOM) && bell_is_news(member->link, PEAL_ROOM);
}

void peal_set_tell(struct peal_set *set, struct peal_set_member *member)
{
	if (has_room(member))
		want_no_room(set, member);
}

int peal_set_fd(const struct peal_set *set)
{
	return set->stale ? stale() : set->poller;
}

/* As peal_set_poll, and finds what no header tells of, too. */
static int look(struct peal_set *set)
{
	struct peal_set_head *head = &set->head;
	uint32_t ready = 0;

	if (!head->ended && !set->wanting)
		return peal_set_poll(set);
	for (uint32_t i = 0; i < head->count; i++) {
		const struct peal_set_member *member = &head->members[i];
		const void *at = peal_set_look_up(head, i);

		/* No order is needed: whoever receives looks again. */
		if ((member->flags & ENDED) || has_room(member) ||
		    __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED))
			head->ready[ready++] = i;
	}
	head->ready_count = ready;
	head->next = 0;
	return (int)ready;
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

/* Takes note of all that the descriptors have to say. Never waits, and goes no longer on than it
 * takes to hear each once, whoever rings meanwhile. */
static void hear_all(struct peal_set *set, uint64_t now)
{
	uint32_t keys[KEYS], rounds = 2 * set->head.count / KEYS + 1;
	int count;

	set->look_at = now + (set->watches ? WATCH_NS : BELL_LOOK_NS);
	do {
		count = platform_poller_ready(set->poller, keys, KEYS);
		for (int i = 0; i < count; i++) {
			uint32_t key = keys[i] & ~KEY_EVENTFD;
			struct peal_set_member *member = &set->head.members[key];

			if (key & KEY_WATCH) {
				set->heard |= (1u << (key & ~KEY_WATCH)) & set->watches;
				continue;
			}
			if (key >= set->head.count || (member->flags & ENDED))
				continue;
			if (!(keys[i] & KEY_EVENTFD))
				link_drain(member->link); /* [drain] */
			bell_heard(member->link);
			peal_set_look_up(&set->head, key);
			bell_disarm(member->link, PEAL_DATA | PEAL_ROOM);
			look_after(set, member);
		}
	} while (count == KEYS && --rounds);
}

/*
 * To be done before any waiting: publishes what is pending, since its receiver may be the one who
 * is waited for. Returns how long the links let the set spin; UINT64_MAX: it never sleeps.
 */
static uint64_t prepare(struct peal_set *set)
{
	uint64_t spin = 0;

	for (uint32_t i = 0; i < set->head.count; i++) {
		struct peal_link *link = set->head.members[i].link;

		if (link->tx.pending_header)
			peal_publish_pending(&link->tx);
		if (link->data.spin_ns > spin)
			spin = link->data.spin_ns;
	}
	return spin;
}

/*
 * Arms all that are not, with one barrier, and looks at those once more. Those that are have not
 * been rung since, or the poller knows it. True: there is news.
 */
static bool arm_all(struct peal_set *set, bool program_waits)
{
	struct peal_set_head *head = &set->head;
	uint32_t count = 0;
	bool news = false;

	for (uint32_t i = 0; i < head->count; i++) {
		struct peal_link *link = head->members[i].link;
		uint32_t what = wants(&head->members[i]);

		if (((what & PEAL_DATA) && !link->data.armed) ||
		    ((what & PEAL_ROOM) && !link->room.armed))
			set->fresh[count++] = (struct arming){ .link = link, .what = what };
	}
	if (bell_arm(set->fresh, count, program_waits))
		set->doubt_ends = platform_later(platform_now(), BELL_DOUBT_NS);
	for (uint32_t k = 0; k < count; k++) {
		struct peal_link *link = set->fresh[k].link;

		if (bell_is_news(link, set->fresh[k].what)) {
			peal_set_look_up(head, link->in_set - 1);
			look_after(set, &head->members[link->in_set - 1]);
			news = true;
		}
	}
	return news;
}

/* Until a descriptor says something; in doubt, only until all must have been seen that was there
 * before it. */
static void sleep_until(struct peal_set *set, uint64_t end)
{
	struct peal_set_head *head = &set->head;
	uint64_t now = platform_now();

	if (set->doubt_ends && set->doubt_ends < end)
		end = set->doubt_ends; /* [second-look] */
	platform_poll(set->poller, false,
		      end == UINT64_MAX ? -1 :
		      end > now         ? (int64_t)(end - now) :
					  0);
	/* Pairs with the load in set_wakeups. */
	__atomic_store_n(&set->wakeups, set->wakeups + 1, __ATOMIC_RELAXED);
	if (!set->doubt_ends || platform_now() < set->doubt_ends)
		return;
	set->doubt_ends = 0;
	for (uint32_t i = 0; i < head->count; i++) {
		peal_set_look_up(head, i);
		bell_settle(head->members[i].link);
	}
}

int set_watch(struct peal_set *set, int fd, uint32_t which)
{
	int err = platform_poller_add(set->poller, fd, KEY_WATCH | which);

	if (err)
		return error_set(err, "a descriptor cannot be polled (epoll_ctl, errno %d): %s",
				 -err, error_mend(err, "raise fs.epoll.max_user_watches"));
	set->watches |= 1u << which;
	return 0;
}

void set_unwatch(struct peal_set *set, int fd, uint32_t which)
{
	if (!set->stale)
		platform_poller_remove(set->poller, fd);
	set->watches &= ~(1u << which);
}

uint64_t set_wakeups(const struct peal_set *set)
{
	/* Pairs with the store in sleep_until; it is a count. */
	return __atomic_load_n(&set->wakeups, __ATOMIC_RELAXED);
}

int set_arm(struct peal_set *set, uint32_t *heard)
{
	*heard = set->heard = 0;
	if (set->stale)
		return stale();
	if (prepare(set) == UINT64_MAX)
		return error_literal(
			-EOPNOTSUPP,
			"a link in the set spins (PEAL_WAIT_SPIN), so nobody rings for it");
	hear_all(set, platform_now()); /* [drain-before-arm] */
	/* What set_wait has armed looks again after a while; the program does not. */
	for (uint32_t i = 0; set->doubt_ends && i < set->head.count; i++)
		bell_disarm(set->head.members[i].link, PEAL_DATA | PEAL_ROOM);
	set->doubt_ends = 0;
	if (!look(set) && arm_all(set, true))
		look(set);
	*heard = set->heard;
	return set->head.ready_count || set->heard ? 1 : 0;
}

int set_wait(struct peal_set *set, int64_t timeout, uint32_t *heard)
{
	uint64_t now, begun, end, spin, spin_end;
	uint32_t looks;
	bool slept = false;
	int count;

	*heard = set->heard = 0;
	if (set->stale)
		return stale();
	/* Who always finds messages is told who has ended, too. */
	if (++set->waits % WAITS == 0) {
		now = platform_now();
		if (now >= set->look_at)
			hear_all(set, now);
	}
	count = look(set);
	if (count || set->heard) {
		set->came++;
		*heard = set->heard;
		return count;
	}
	spin = prepare(set);
	now = begun = platform_now();
	end = platform_deadline(now, timeout);
	spin = spin_budget(&set->spin, spin, set->came);
	spin_end = platform_later(now, spin);
	for (;;) {
		if (now >= set->look_at || timeout == 0 || now >= spin_end)
			hear_all(set, now);
		looks = timeout && now < spin_end && set->head.count ? LOOKS / set->head.count : 0;
		for (;;) {
			count = look(set);
			if (count || set->heard) {
				spin_learn(&set->spin, spin, platform_now() - begun, slept, true);
				set->came++;
				*heard = set->heard;
				return count;
			}
			if (!looks--)
				break;
			peal_relax();
		}
		if (timeout == 0)
			return error_literal(-EAGAIN, "no link has anything, and the timeout is 0");
		now = platform_now();
		if (now >= end) {
			spin_learn(&set->spin, spin, now - begun, slept, false);
			return error_literal(-ETIMEDOUT, "no link had anything until the timeout");
		}
		if (now >= spin_end && !arm_all(set, false)) {
			slept = true;
			sleep_until(set, end);
			now = platform_now();
		}
	}
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
	uint32_t heard;
	int err = check(set);

	return err ? err : set_arm(set, &heard);
}

int peal_set_wait(struct peal_set *set, int64_t timeout)
{
	uint32_t heard;
	int err = check(set);

	return err ? err : set_wait(set, timeout, &heard);
}
