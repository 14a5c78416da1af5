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
#include "lib/ring.h"
#include "lib/set.h"

#define LOOKS 64u /* at members, between two looks at the clock */

/* Between two times that a busy set hears its descriptors, if some of its members sleep or others
 * than members are watched. */
#define HEAR_NS 16000u
/* Who has been quiet for so long, and at most for twice as long, sleeps. */
#define QUIET_NS 1000000u

/* Between two looks at how much a link's peer has read, if it had read all. */
#define SAMPLE_NS 1000000000u
/* Ready ones that are asked in a row whether it is time to look how much they have. */
#define SAMPLE_ASKED 16u

/* Who sleeps for less might as well have looked round. */
#define DOZE_NS 16000u

/* member->flags */
#define ENDED 1u
#define WANTS_ROOM 2u
#define SPINS 4u /* nobody rings for it, so it never sleeps */
#define VACANT 8u
#define MUTED 16u

#define NOWHERE UINT32_MAX

/* Events taken at a time. A key is a member's index, with this for its eventfd; or a watch's
 * number, with that. */
#define KEYS 64
#define KEY_EVENTFD 0x80000000u
#define KEY_WATCH 0x40000000u

#define MEMBER(field, offset)                                               \
	_Static_assert(offsetof(struct peal_set_member, field) == (offset), \
		       "binary interface, version 1")
#define HEAD(field, offset)                                               \
	_Static_assert(offsetof(struct peal_set_head, field) == (offset), \
		       "binary interface, version 1")
MEMBER(rx, 0);
MEMBER(link, 8);
MEMBER(data, 16);
MEMBER(flags, 24);
MEMBER(place, 28);
_Static_assert(sizeof(struct peal_set_member) == 32, "binary interface, version 1");
HEAD(members, 0);
HEAD(at, 8);
HEAD(awake, 16);
HEAD(ready, 24);
HEAD(count, 32);
HEAD(ready_count, 36);
HEAD(next, 40);
HEAD(turn, 44);
HEAD(polls, 48);
HEAD(owner, 52);
_Static_assert(sizeof(struct peal_set_head) == 56, "binary interface, version 1");
_Static_assert(PEAL_SET_POLLS == 64, "binary interface, version 1");

/*
 * A member is awake, or it sleeps. Those that are awake are listed in head.awake, are looked at,
 * and are not armed. Those that sleep are armed, for all that is wanted of them, and looked at only
 * when they have rung. So arming one is putting it to sleep, whether the set goes on or sleeps
 * itself; and nothing that is done often goes over all members.
 */
struct peal_set {
	struct peal_set_head head; /* first */
	struct handle handle;
	const void **was;     /* beside head.at: what that was at the last muster; NULL: new */
	struct arming *fresh; /* those that are being armed, room for all */
	uint32_t room;
	uint32_t members;
	uint32_t used;     /* of head.members; those below it that are vacant are a list */
	uint32_t vacant;   /* the first one's index, whose data is the next one's; or NOWHERE */
	uint32_t dozing;   /* the first so many in fresh were put to sleep with the set itself */
	uint32_t special;  /* awake members that have ended or want room */
	uint32_t spinners; /* that have not ended */
	uint32_t longest;  /* members that let it spin for spin_ns; it is 0 if none does */
	uint64_t spin_ns;  /* the most that a member allows, but for those */
	struct peal_link *doubted, *doubted_last; /* asleep, but in doubt; the oldest first */
	int poller;
	bool stale;
	bool reserved;       /* one sleeps that has a reservation, which may be left pending */
	uint32_t watches;    /* a bit for each */
	uint32_t heard;      /* those that were readable in this wait */
	uint64_t hear_at;    /* monotonic ns of the next look at the descriptors */
	uint64_t hear_ticks; /* the same in ticks, beginning with the last one */
	uint64_t heard_ticks;
	uint64_t look_ticks; /* BELL_LOOK_NS */
	uint64_t muster_at;  /* monotonic ns of the next look at who is quiet, */
	uint64_t sample_at;  /* and at how much one that is ready has to be read, */
	uint32_t sampled;    /* so many of them have been asked for that */
	struct spin spin;
	uint64_t came;    /* waits that ended with news */
	uint64_t wakeups; /* atomic: counted by the set's thread, read by any */
};

static void orphan(struct handle *handle)
{
	struct peal_set *set = (struct peal_set *)(void *)((char *)handle -
							   offsetof(struct peal_set, handle));

	platform_close(set->poller);
	set->poller = -1;
	set->stale = true;
	set->head.count = set->head.ready_count = set->head.next = 0;
	set->head.owner = 0; /* a thread that is no more */
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
	set->look_ticks = arch_ticks_of(BELL_LOOK_NS, runtime_get()->ticks_per_ns);
	set->handle.orphan = orphan;
	set->vacant = NOWHERE;
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
	PEAL_DEBUG_ENTER(&set->head);
	for (uint32_t i = 0; i < set->used && !set->stale; i++)
		if (!(set->head.members[i].flags & VACANT))
			peal_set_remove(set, set->head.members[i].link);
	registry_lock();
	registry_remove(&set->handle);
	platform_close(set->poller);
	registry_unlock();
	PEAL_DEBUG_LEAVE(&set->head);
	free(set->head.members);
	free(set->head.at);
	free(set->head.awake);
	free(set->head.ready);
	free(set->was);
	free(set->fresh);
	free(set);
}

/* Makes an array longer. */
static bool extend(void *array, uint32_t room, size_t size)
{
	void **old = array, *new = realloc(*old, room * size);

	if (new)
		*old = new;
	return new;
}

static int make_room(struct peal_set *set)
{
	uint32_t room = set->room ? 2 * set->room : 16;
	struct peal_set_head *head = &set->head;

	if (set->members < set->room)
		return 0;
	/* One more: peal_set_poll writes before it knows whether it will stay. */
	if (!extend(&head->members, room, sizeof(*head->members)) ||
	    !extend(&head->at, room, sizeof(*head->at)) ||
	    !extend(&head->awake, room, sizeof(*head->awake)) ||
	    !extend(&head->ready, room + 1, sizeof(*head->ready)) ||
	    !extend(&set->was, room, sizeof(*set->was)) ||
	    !extend(&set->fresh, room, sizeof(*set->fresh)))
		return error_set(-ENOMEM, "no memory for %u links in a set", room);
	set->room = room;
	return 0;
}

/* What was ready has to be found again; and something may have been received of it. */
static void forget_ready(struct peal_set_head *head)
{
	for (uint32_t k = 0; k < head->ready_count; k++) {
		uint32_t place = head->members[head->ready[k]].place;

		if (place < head->count)
			peal_set_look_up(head, place);
	}
	head->ready_count = head->next = 0;
}

static bool is_awake(const struct peal_set *set, const struct peal_set_member *member)
{
	return member->place < set->head.count;
}

static bool is_special(const struct peal_set_member *member)
{
	return member->flags & (ENDED | WANTS_ROOM);
}

/* Puts a member that is armed for nothing among those that are looked at. */
static void list(struct peal_set *set, struct peal_set_member *member)
{
	struct peal_set_head *head = &set->head;

	member->place = head->count;
	head->awake[head->count] = (uint32_t)(member - head->members);
	set->was[head->count++] = NULL;
	peal_set_look_up(head, member->place);
	set->special += is_special(member);
}

/* The last one takes its place. */
static void unlist(struct peal_set *set, struct peal_set_member *member)
{
	struct peal_set_head *head = &set->head;
	uint32_t last = --head->count, place = member->place;

	head->awake[place] = head->awake[last];
	head->at[place] = head->at[last];
	set->was[place] = set->was[last];
	head->members[head->awake[place]].place = place;
	member->place = NOWHERE;
	set->special -= is_special(member);
}

static void doubt(struct peal_set *set, struct peal_link *link, uint64_t ends)
{
	link->doubt_ends = ends;
	link->doubted_next = NULL;
	link->doubted_last = set->doubted_last;
	if (set->doubted_last)
		set->doubted_last->doubted_next = link;
	else
		set->doubted = link;
	set->doubted_last = link;
}

static void doubt_no_more(struct peal_set *set, struct peal_link *link)
{
	if (!link->doubt_ends)
		return;
	link->doubt_ends = 0;
	if (link->doubted_last)
		link->doubted_last->doubted_next = link->doubted_next;
	else
		set->doubted = link->doubted_next;
	if (link->doubted_next)
		link->doubted_next->doubted_last = link->doubted_last;
	else
		set->doubted_last = link->doubted_last;
}

/* While one sleeps each of its sends comes by set_rouse: there is no room, as far as the inline
 * verbs know. */
static void hide_room(struct peal_link *link)
{
	link->set_limit = link->tx.limit;
	link->tx.limit = 0;
}

/* But what else has set the limit to 0, for the same reason, has to find it so. */
static void show_room(struct peal_link *link)
{
	if (!link->tx.limit && !link->tx_verdict && link->tx.part == PEAL_PART_NONE)
		link->tx.limit = link->set_limit;
}

/* One that sleeps is looked at again from now on. */
static void rouse(struct peal_set *set, struct peal_set_member *member)
{
	if (is_awake(set, member))
		return;
	if (PEAL_UNLIKELY(bell_is_sampled(member->link)))
		bell_woke(member->link, platform_now());
	bell_disarm(member->link, PEAL_DATA | PEAL_ROOM);
	doubt_no_more(set, member->link);
	show_room(member->link);
	/* As a rule by now it has read what it had not when it was last looked at. */
	if (member->link->room.depth)
		ring_sample_tx(member->link);
	list(set, member);
}

void set_rouse(struct peal_link *link)
{
	if (link->set)
		rouse(link->set, &link->set->head.members[link->in_set - 1]);
}

static void rouse_all(struct peal_set *set)
{
	for (uint32_t i = 0; i < set->used; i++)
		if (!(set->head.members[i].flags & VACANT))
			rouse(set, &set->head.members[i]);
}

void peal_set_rouse(struct peal_set *set)
{
	set->head.polls = 0;
	if (!set->stale && set->head.count < set->members)
		rouse_all(set);
}

static uint64_t spin_of(const struct peal_link *link)
{
	return link->data.spin_ns == UINT64_MAX ? 0 : link->data.spin_ns;
}

static void find_longest(struct peal_set *set)
{
	set->spin_ns = set->longest = 0;
	for (uint32_t i = 0; i < set->used; i++) {
		const struct peal_set_member *member = &set->head.members[i];

		if ((member->flags & VACANT) || spin_of(member->link) < set->spin_ns)
			continue;
		if (spin_of(member->link) > set->spin_ns)
			set->longest = 0;
		set->spin_ns = spin_of(member->link);
		set->longest++;
	}
}

static int add(struct peal_set *set, struct peal_link *link, void *data)
{
	struct peal_set_head *head = &set->head;
	struct peal_set_member *member;
	uint32_t i;
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
	i = set->vacant != NOWHERE ? set->vacant : set->used;
	err = platform_poller_add(set->poller, link->fd, i);
	if (!err && link->own_eventfd >= 0) {
		err = platform_poller_add_edge(set->poller, link->own_eventfd, i | KEY_EVENTFD);
		if (err)
			platform_poller_remove(set->poller, link->fd);
	}
	if (err)
		return error_set(err, "a link cannot be polled (epoll_ctl, errno %d): %s", -err,
				 error_mend(err, "raise fs.epoll.max_user_watches"));
	/* Of what was ready, one may have had this index. */
	forget_ready(head);
	member = &head->members[i];
	if (i == set->used)
		set->used++;
	else
		set->vacant = (uint32_t)(uintptr_t)member->data;
	*member = (struct peal_set_member){ .rx = &link->rx, .link = link, .data = data };
	set->members++;
	if (link->data.spin_ns == UINT64_MAX) {
		member->flags = SPINS;
		set->spinners++;
	}
	/* It was, as peal_link_arm saw it last; the set is not asked for room yet. */
	if (link->room.stalled)
		bell_stalled(&link->room, 0);
	link->set = set;
	link->in_set = i + 1;
	link->idle_rings = 0; /* an eventfd says once more that it was rung */
	list(set, member);
	if (spin_of(link) > set->spin_ns)
		set->longest = 0;
	if (spin_of(link) >= set->spin_ns) {
		set->spin_ns = spin_of(link);
		set->longest++;
	}
	return 0;
}

static int not_in_here(void)
{
	return error_literal(-ENOENT, "the link is not in this set");
}

/* Flags of a member that make it special, or not. */
static void change(struct peal_set *set, struct peal_set_member *member, uint32_t flags)
{
	bool awake = is_awake(set, member);

	set->special -= awake && is_special(member);
	member->flags = flags;
	set->special += awake && is_special(member);
}

int peal_set_add(struct peal_set *set, struct peal_link *link, void *data)
{
	int err;

	PEAL_DEBUG_ENTER(&set->head);
	err = add(set, link, data);
	PEAL_DEBUG_LEAVE(&set->head);
	return err;
}

static int take_out(struct peal_set *set, struct peal_link *link)
{
	struct peal_set_member *member;
	uint32_t i = link->in_set - 1;

	if (set->stale)
		return stale();
	if (link->set != set)
		return not_in_here();
	member = &set->head.members[i];
	if (!(member->flags & ENDED)) /* as look_after has done */
		platform_poller_remove(set->poller, link->fd);
	if (link->own_eventfd >= 0)
		platform_poller_remove(set->poller, link->own_eventfd);
	rouse(set, member);
	unlist(set, member);
	link->set = NULL;
	if (link->room.stalled)
		bell_stalled(&link->room, 0);
	set->spinners -= (member->flags & (SPINS | ENDED)) == SPINS;
	*member = (struct peal_set_member){ .flags = VACANT,
					    .place = NOWHERE,
					    .data = (void *)(uintptr_t)set->vacant };
	set->vacant = i;
	set->members--;
	if (spin_of(link) == set->spin_ns && !--set->longest)
		find_longest(set);
	return 0;
}

int peal_set_remove(struct peal_set *set, struct peal_link *link)
{
	int err;

	PEAL_DEBUG_ENTER(&set->head);
	err = take_out(set, link);
	PEAL_DEBUG_LEAVE(&set->head);
	return err;
}

static int want_room(struct peal_set *set, struct peal_link *link)
{
	struct peal_set_member *member;

	if (set->stale)
		return stale();
	if (link->set != set)
		return not_in_here();
	member = &set->head.members[link->in_set - 1];
	if (!link->room.stalled)
		bell_stalled(&link->room, platform_now());
	/* It may be armed for what was wanted before, or not for room. */
	rouse(set, member);
	change(set, member, member->flags | WANTS_ROOM);
	return 0;
}

int peal_set_want_room(struct peal_set *set, struct peal_link *link)
{
	int err;

	PEAL_DEBUG_ENTER(&set->head);
	err = want_room(set, link);
	PEAL_DEBUG_LEAVE(&set->head);
	return err;
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
	if (muted == ((member->flags & MUTED) != 0))
		return;
	rouse(set, member);
	member->rx = muted ? &silent : &link->rx;
	member->flags ^= MUTED;
	peal_set_look_up(&set->head, member->place);
}

/* What a member is waited for. */
static uint32_t wants(const struct peal_set_member *member)
{
	return (member->flags & MUTED ? 0 : PEAL_DATA) |
	       (member->flags & WANTS_ROOM ? PEAL_ROOM : 0);
}

static struct arming arming_of(const struct peal_set *set, const struct peal_set_member *member)
{
	return (struct arming){ .link = member->link,
				.what = wants(member),
				.sampled = true,
				.was = set->was[member->place] };
}

/* Whether a member has the room that it wants. */
static bool has_room(const struct peal_set_member *member)
{
	return (member->flags & WANTS_ROOM) && bell_is_news(member->link, PEAL_ROOM);
}

int peal_set_tell(struct peal_set *set, struct peal_set_member *member)
{
	if (member->flags & VACANT)
		return 0;
	if (has_room(member)) {
		change(set, member, member->flags & ~WANTS_ROOM);
		bell_stalled(&member->link->room, 0);
	}
	return 1;
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

	head->polls = 0;
	if (!set->special)
		return peal_set_poll(set);
	for (uint32_t i = 0; i < head->count; i++) {
		const struct peal_set_member *member = &head->members[head->awake[i]];
		const void *at = peal_set_look_up(head, i);

		/* No order is needed: whoever receives looks again. */
		if ((member->flags & ENDED) || has_room(member) ||
		    __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED))
			head->ready[ready++] = head->awake[i];
	}
	head->ready_count = ready;
	head->next = 0;
	return (int)ready;
}

/* Looks now and then how much one of those that are ready has to be read; it is the next one's turn
 * then. Of very many it is asked for a few: most have been looked at lately. */
static void sample_ready(struct peal_set *set, uint64_t now)
{
	const struct peal_set_head *head = &set->head;

	if (now < set->sample_at)
		return;
	set->sample_at = now + QUIET_NS;
	for (uint32_t k = 0; k < head->ready_count && k < SAMPLE_ASKED; k++) {
		uint32_t next = set->sampled++ % head->ready_count;

		if (ring_sample_rx(head->members[head->ready[next]].link, now))
			break;
	}
}

/* What is known of the rings of one that falls asleep. */
static void sample_sleeper(struct peal_link *link, uint64_t now)
{
	if (link->data.armed)
		bell_found(&link->data, 0);
	else
		ring_sample_rx(link, now);
	/* A line of the peer's: not with each sleep. */
	if (link->room.depth || now >= link->room.depth_at) {
		link->room.depth_at = now + SAMPLE_NS;
		ring_sample_tx(link);
	}
}

/* Takes note of a link that has ended; it stays awake. Its socket would poll readable for ever. */
static void look_after(struct peal_set *set, struct peal_set_member *member)
{
	if ((member->flags & ENDED) || !link_verdict(member->link, false))
		return;
	set->spinners -= (member->flags & SPINS) != 0;
	change(set, member, member->flags | ENDED);
	platform_poller_remove(set->poller, member->link->fd);
}

/* Takes note of all that the descriptors have to say, and waits so long for the first word. Goes no
 * longer on then than it takes to hear each once, whoever rings meanwhile. True: one had a word.
 * drain: all rings that are in a socket; else of one that sleeps one, which there is for each sleep
 * as a rule. */
static bool hear_all(struct peal_set *set, int64_t ns, bool drain)
{
	uint32_t keys[KEYS], rounds = 2 * set->members / KEYS + 1;
	bool some = false;
	int count;

	do {
		uint64_t now = 0;

		count = platform_poller_await(set->poller, keys, KEYS, ns);
		some |= count > 0;
		ns = 0;
		for (int i = 0; i < count; i++) {
			uint32_t key = keys[i] & ~(KEY_EVENTFD | PLATFORM_HUNG_UP);
			struct peal_set_member *member;
			bool all;

			if (key & KEY_WATCH) {
				set->heard |= (1u << (key & ~KEY_WATCH)) & set->watches;
				continue;
			}
			if (key >= set->used)
				continue;
			member = &set->head.members[key];
			if (member->flags & (ENDED | VACANT))
				continue;
			all = drain || is_awake(set, member);
			if (keys[i] & PLATFORM_HUNG_UP) /* which an eventfd does not */
				link_note_end(member->link, true);
			else if (!(keys[i] & KEY_EVENTFD))
				link_drain(member->link, all); /* [drain] */
			bell_heard(member->link, wants(member));
			if (PEAL_UNLIKELY(bell_is_sampled(member->link))) {
				now = now ? now : platform_now(); /* all were roused at once */
				bell_woke(member->link, now);
			}
			rouse(set, member); /* [rouse-rung] */
			peal_set_look_up(&set->head, member->place);
			look_after(set, member);
		}
	} while (count == KEYS && --rounds);
	return some;
}

/*
 * Puts those in fresh to sleep, with one barrier, and looks at them once more. From then on who
 * has something rings, or the poller knows that it has. True: there is news.
 */
static bool put_to_sleep(struct peal_set *set, uint32_t count, bool program_waits)
{
	struct peal_set_head *head = &set->head;
	bool news = false;
	uint64_t ends = 0;

	if (!count)
		return false;
	if (bell_arm(set->fresh, count, program_waits))
		ends = platform_later(platform_now(), BELL_DOUBT_NS);
	for (uint32_t k = 0; k < count; k++) {
		struct peal_link *link = set->fresh[k].link;
		struct peal_set_member *member = &head->members[link->in_set - 1];

		unlist(set, member);
		hide_room(link);
		set->reserved |= link->tx.reserved != 0;
		if (set->fresh[k].doubt && !program_waits)
			doubt(set, link, ends);
	}
	for (uint32_t k = 0; k < count; k++) {
		struct peal_link *link = set->fresh[k].link;

		/* Of an end that is not known yet the poller tells. */
		if (bell_has(link, set->fresh[k].what) || link_known_verdict(link)) {
			struct peal_set_member *member = &head->members[link->in_set - 1];

			rouse(set, member);
			look_after(set, member);
			news = true;
		}
	}
	return news;
}

/* It was hardly a sleep, and the next one will be none either: who was awake before is again, and
 * need not ring. */
static void rouse_dozing(struct peal_set *set)
{
	for (uint32_t k = 0; k < set->dozing; k++) {
		const struct peal_link *link = set->fresh[k].link;

		set_rouse(set->fresh[k].link);
		set->was[set->head.members[link->in_set - 1].place] = set->fresh[k].was;
	}
	set->dozing = 0;
}

/* Counts the sleeps of those in fresh that were put to sleep and had no news. */
static void count_sleeps(struct peal_set *set, uint32_t count, uint64_t now, uint64_t spun)
{
	const struct falling falling = { .now = now, .spun = spun };

	for (uint32_t k = 0; k < count; k++) {
		struct peal_link *link = set->fresh[k].link;

		bell_slept(link, &falling);
		sample_sleeper(link, now);
	}
}

/* All that are awake, before the set sleeps itself. */
static bool put_all_to_sleep(struct peal_set *set, uint64_t now, uint64_t spun, bool program_waits)
{
	struct peal_set_head *head = &set->head;

	for (uint32_t i = 0; i < head->count; i++)
		set->fresh[i] = arming_of(set, &head->members[head->awake[i]]);
	set->dozing = head->count;
	if (put_to_sleep(set, head->count, program_waits)) {
		rouse_dozing(set);
		return true;
	}
	count_sleeps(set, set->dozing, now, spun);
	return false;
}

/* Those that were quiet since the last time. */
static void muster(struct peal_set *set, uint64_t now)
{
	struct peal_set_head *head = &set->head;
	uint32_t count = 0;

	set->muster_at = now + QUIET_NS;
	for (uint32_t i = 0; i < head->count; i++) {
		const struct peal_set_member *member;
		const void *at = head->at[i];

		if (set->was[i] != at) {
			set->was[i] = at;
			continue;
		}
		member = &head->members[head->awake[i]];
		/* No order is needed: it is looked at once more. */
		if (!(member->flags & (ENDED | SPINS)) && !member->link->tx.reserved &&
		    !__atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED))
			set->fresh[count++] = arming_of(set, member);
	}
	put_to_sleep(set, count, false);
	count_sleeps(set, count, now, 0);
}

/* The second look at those whose sleep was in doubt: by now all is seen that was there before. */
static void look_again(struct peal_set *set, uint64_t now)
{
	struct peal_link *link;

	while ((link = set->doubted) && link->doubt_ends <= now) {
		struct peal_set_member *member = &set->head.members[link->in_set - 1];

		doubt_no_more(set, link);
		if (bell_is_news(link, wants(member))) { /* [second-look-set] */
			rouse(set, member);
			look_after(set, member);
		} else {
			bell_settle(link);
		}
	}
}

/* When the descriptors are to be heard again. */
static void have_heard(struct peal_set *set, uint64_t now)
{
	uint64_t ns = set->head.count < set->members || set->watches ? HEAR_NS : QUIET_NS;

	set->hear_at = now + ns;
	set->heard_ticks = arch_ticks();
	set->hear_ticks = (uint64_t)((double)ns * runtime_get()->ticks_per_ns);
}

/* What is to be done now and then, however busy the set is. */
static void attend(struct peal_set *set, uint64_t now, bool drain)
{
	hear_all(set, 0, drain);
	look_again(set, now);
	if (now >= set->muster_at)
		muster(set, now);
	have_heard(set, now);
}

/*
 * To be done before any waiting: publishes what is pending, since its receiver may be the one who
 * is waited for. Returns how long the links let the set spin; UINT64_MAX: it never sleeps.
 */
static uint64_t prepare(struct peal_set *set)
{
	struct peal_set_head *head = &set->head;

	if (set->reserved)
		rouse_all(set); /* [rouse-reserved] */
	set->reserved = false;
	for (uint32_t i = 0; i < head->count; i++) {
		struct peal_link *link = head->members[head->awake[i]].link;

		if (link->tx.pending_header)
			peal_publish_pending(&link->tx);
	}
	return set->spinners ? UINT64_MAX : head->count ? set->spin_ns : 0;
}

/* Until a descriptor says something; in doubt, only until all must have been seen that was there
 * before it. What the time is then. */
static uint64_t sleep_until(struct peal_set *set, uint64_t begun, uint64_t end)
{
	uint64_t now = begun;
	bool rung;

	if (set->doubted) {
		now = platform_now(); /* arming takes a while */
		if (set->doubted->doubt_ends < end)
			end = set->doubted->doubt_ends; /* [second-look] */
	}
	rung = hear_all(set, end == UINT64_MAX ? -1 : end > now ? (int64_t)(end - now) : 0, false);
	/* Pairs with the load in set_wakeups. */
	__atomic_store_n(&set->wakeups, set->wakeups + 1, __ATOMIC_RELAXED);
	now = platform_now();
	if (rung && now - begun < DOZE_NS)
		rouse_dozing(set);
	look_again(set, now);
	if (now >= set->muster_at)
		muster(set, now);
	have_heard(set, now);
	return now;
}

int set_watch(struct peal_set *set, int fd, uint32_t which)
{
	int err = platform_poller_add(set->poller, fd, KEY_WATCH | which);

	if (err)
		return error_set(err, "a descriptor cannot be polled (epoll_ctl, errno %d): %s",
				 -err, error_mend(err, "raise fs.epoll.max_user_watches"));
	set->watches |= 1u << which;
	set->hear_at = set->hear_ticks = 0;
	return 0;
}

bool set_hears(const struct peal_set *set)
{
	return arch_ticks() - set->heard_ticks < set->look_ticks;
}

uint64_t set_wakeups(const struct peal_set *set)
{
	/* Pairs with the store in sleep_until; it is a count. */
	return __atomic_load_n(&set->wakeups, __ATOMIC_RELAXED);
}

/* What set_wait has armed looks again after a while; the program does not. */
static void rouse_doubted(struct peal_set *set)
{
	while (set->doubted)
		set_rouse(set->doubted);
}

int set_arm(struct peal_set *set, uint32_t *heard)
{
	bool news = false;
	uint64_t now;

	*heard = set->heard = 0;
	if (set->stale)
		return stale();
	if (prepare(set) == UINT64_MAX)
		return error_literal(
			-EOPNOTSUPP,
			"a link in the set spins (PEAL_WAIT_SPIN), so nobody rings for it");
	rouse_doubted(set); /* [rouse-doubted] */
	now = platform_now();
	attend(set, now, true); /* [drain-before-arm] */
	if (look(set)) {
		sample_ready(set, now);
	} else {
		/* Who was quiet when it attended. */
		rouse_doubted(set); /* [rouse-doubted] */
		news = put_all_to_sleep(set, now, 0, true);
	}
	if (news)
		look(set);
	*heard = set->heard;
	/* What was news may be taken back by a peer that lies, and nobody is armed then. */
	return news || set->head.ready_count || set->heard ? 1 : 0;
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
	count = look(set);
	/* Who always finds messages hears the others, too. Who finds none is about to. */
	if (count && arch_ticks() - set->heard_ticks >= set->hear_ticks) {
		now = platform_now();
		attend(set, now, false); /* [hear] */
		count = look(set);
		sample_ready(set, now);
	}
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
		if (timeout == 0 || (now >= set->hear_at && now < spin_end))
			attend(set, now, false);
		looks = timeout && now < spin_end && set->head.count ? LOOKS / set->head.count : 0;
		for (;;) {
			count = look(set);
			if (count || set->heard) {
				if (!slept) /* else it is what it was on waking up */
					now = platform_now();
				sample_ready(set, now);
				spin_learn(&set->spin, spin, now - begun, slept, true);
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
		if (now < spin_end)
			continue;
		if (!put_all_to_sleep(set, now, slept ? 0 : now - begun, false)) {
			slept = true;
			now = sleep_until(set, now, end);
		} else if (now >= set->hear_at) {
			attend(set, now, false); /* however often there is news just then */
		}
	}
}

static int check(const struct peal_set *set)
{
	if (set->stale)
		return stale();
	if (!set->members)
		return error_literal(-ENOENT, "the set is empty: there is nothing to wait for");
	return 0;
}

int peal_set_arm(struct peal_set *set)
{
	uint32_t heard;
	int result;

	PEAL_DEBUG_ENTER(&set->head);
	result = check(set);
	if (!result)
		result = set_arm(set, &heard);
	PEAL_DEBUG_LEAVE(&set->head);
	return result;
}

int peal_set_wait(struct peal_set *set, int64_t timeout)
{
	uint32_t heard;
	int result;

	PEAL_DEBUG_ENTER(&set->head);
	result = check(set);
	if (!result)
		result = set_wait(set, timeout, &heard);
	PEAL_DEBUG_LEAVE(&set->head);
	return result;
}
