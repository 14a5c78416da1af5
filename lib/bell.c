/*
 * SPDX-License-Identifier: MIT
 *
 * Bells: the slow half of waiting and waking. The fast half, which looks whether the peer sleeps,
 * is inline in peal/ring.h. Of records nothing is known here but that a header that is not zero is
 * news.
 *
 * To sleep: note the peer's wake counter, say that we sleep, fence, look again, sleep while the
 * counter has not moved. To ring: publish, (fence), look whether the peer sleeps, move the counter,
 * wake. Of the two fences one is needed on each side, or a publication and a falling asleep can
 * miss each other.
 */
#include "config.h"

#include <errno.h>

#include "lib/bell.h"
#include "lib/error.h"
#include "lib/probe.h"
#include "lib/ring.h"
#include "lib/set.h"

#define MS 1000000u
#define SPIN_SLICE ((uint64_t)MS) /* between two looks at `closed` */
#define SLICE_MAX ((uint64_t)100 * MS)
#define STREAM_MESSAGES 4u           /* since the last wait: less is request and reply; */
#define STREAM_BREATHS 16u           /* after each so many more the pause is as long again */
#define FUTEX_NS ((uint64_t)10 * MS) /* then by descriptor, where there is one */
#define FENCE_NS 16u                 /* what a fence costs a publication */
#define IDLE_RINGS_MAX 1000u         /* an honest peer rings once or twice in a wait */
#define OWED_MAX 1000000u            /* rings: more than any socket holds */
#define STORES_NS 20000u             /* longer than a store stays in a store buffer */

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What a wait is for: until *word is at least want. What was seen last is what the caller goes by:
 * the word is the peer's, and may be another one by the time it is looked at again. */
struct news {
	const uint64_t *word;
	uint64_t want;
	uint64_t seen;
};

static bool there(struct news *news)
{
	/* Pairs with [publish] and [head] of the peer. */
	news->seen = __atomic_load_n(news->word, __ATOMIC_ACQUIRE); /* [there] */
	return news->seen >= news->want;
}

/* The same after the ring variant's wait for a change. */
static bool await(struct peal_link *link, struct news *news, uint64_t ns)
{
	/* Pairs with [publish] and [head] of the peer: with acquire, as arch.h says. */
	news->seen = link->ring->await(news->word, news->seen, ns);
	return news->seen >= news->want;
}

static void weigh(uint64_t *mean, uint64_t value)
{
	*mean += value / 8 - *mean / 8;
}

/* From the next sleep on. Until then the ringer may go by a word that did not say so. */
static void ask_for_fences(struct bell *bell)
{
	bell->word |= PEAL_ASLEEP_FENCE;
	bell->unacknowledged = true;
	bell->fence_since = bell->word + PEAL_ASLEEP_EPOCH;
}

static void ask_for_good(struct bell *bell)
{
	bell->asymmetric = false;
	if (!(bell->word & PEAL_ASLEEP_FENCE))
		ask_for_fences(bell);
}

/*
 * Who pays for the barrier: a fence in every publication of the peer's, or a membarrier in every
 * sleep of ours. By what this ring has seen, with some reluctance to change.
 */
static void choose_barrier(struct bell *bell, uint64_t messages)
{
	bool fence = bell->word & PEAL_ASLEEP_FENCE;
	uint64_t fences = (messages > bell->per_sleep ? messages : bell->per_sleep) * FENCE_NS;

	if (!bell->asymmetric)
		return;
	if (fence && (bell->always || fences > 2 * bell->barrier_ns))
		bell->word &= ~PEAL_ASLEEP_FENCE;
	else if (!fence && !bell->always && fences < bell->barrier_ns / 2)
		ask_for_fences(bell);
}

/*
 * A pause before the first look of a wait in a stream: whoever looks at once at a ring that he has
 * just emptied (or filled) tears the line away from the other side, record by record, and both are
 * slower by half. A wait that comes after fewer messages than a stream has does not pause. The more
 * messages there were, the longer a reader may: the further the writer gets ahead, the more of them
 * the reader finds at a time, in lines that the writer is done with.
 */
static void breathe(struct peal_link *link, struct bell *bell)
{
	uint64_t messages = bell->counters->messages, since = messages - bell->messages;
	uint64_t pause = since * bell->breath / STREAM_BREATHS, begun;
	uint32_t word = bell->word;

	bell->messages = messages;
	if (since < STREAM_MESSAGES)
		return;
	/* Fences that are not needed any more are given up while awake, too. The other way needs a
	 * sleep. */
	if (bell->asymmetric && (word & PEAL_ASLEEP_FENCE) && !bell->armed) {
		choose_barrier(bell, messages - bell->slept_at);
		if (bell->word != word)
			__atomic_store_n(bell->asleep, bell->word,
					 __ATOMIC_RELEASE); /* [unfence] */
	}
	pause = pause < bell->breath ? bell->breath : least(pause, bell->breath_most);
	begun = arch_ticks();
	do
		link->ring->relax();
	while (arch_ticks() - begun < pause);
}

/* What to answer when the peer is gone: first all that it left. */
static int conclude(struct peal_link *link, const struct bell *bell, struct news *news, int verdict)
{
	if (!bell->wants && verdict != -EPROTO && there(news)) /* [drain-after-closed] */
		return 0;
	return link_say_verdict(link, verdict);
}

static int timed_out(const struct peal_link *link, const struct bell *bell, int64_t timeout)
{
	if (bell->wants)
		return error_set(
			-ETIMEDOUT,
			"the ring of %llu bytes stayed full until the timeout of %lld ns: the peer is slow; wait longer or use a larger ring",
			(unsigned long long)link->own.capacity, (long long)timeout);
	return error_set(-ETIMEDOUT, "no message came until the timeout of %lld ns: wait longer",
			 (long long)timeout);
}

static bool look_due(struct bell *bell, uint64_t now)
{
	if (now < bell->look_at)
		return false;
	bell->look_at = now + BELL_LOOK_NS;
	return true;
}

/* The verdict for who does not wait. A set that is in use looks after its links' peers, and what it
 * has found out is known. */
static int verdict_now(struct peal_link *link, struct bell *bell)
{
	if (link->set && set_hears(link->set))
		return link_known_verdict(link);
	return link_verdict(link, look_due(bell, platform_now()));
}

static void note(uint64_t *classes, uint64_t *sum, uint64_t ns)
{
	unsigned i = ns < 256 ? 0 : 64 - (unsigned)__builtin_clzll(ns >> 8);

	peal_count(&classes[i < PEAL_OFFCPU_CLASSES ? i : PEAL_OFFCPU_CLASSES - 1], 1);
	peal_count(sum, ns);
}

/* Whether a sleep is one that is measured. To be asked once of each. */
static bool is_sampled(struct bell *bell)
{
	if (PEAL_LIKELY(!bell->sample_in) || --bell->sample_in)
		return false;
	bell->sample_in = bell->sample;
	return true;
}

/* A sleep that is measured is over, which was armed then. */
static void note_sleep(const struct bell *bell, uint64_t begun, uint64_t armed, uint64_t now)
{
	struct peal_offcpu *offcpu = bell->offcpu;
	/* The peer's word, and without a partner: it can only be a wrong number. */
	uint64_t rung = __atomic_load_n(bell->rung_ns, __ATOMIC_RELAXED);

	note(offcpu->slept, &offcpu->slept_ns, now - begun);
	if (rung > armed && rung <= now)
		note(offcpu->woken, &offcpu->woken_ns, now - rung);
}

/* The peer can ring no more than once for a word; the next one is another sleep. */
static void arm(struct bell *bell, uint64_t wants, uint32_t how)
{
	if (bell->wants)
		__atomic_store_n(bell->wants, wants,
				 __ATOMIC_RELAXED); /* ordered by the next line */
	bell->word += PEAL_ASLEEP_EPOCH;            /* [epoch] */
	__atomic_store_n(bell->asleep, bell->word | PEAL_ASLEEP | how,
			 __ATOMIC_RELEASE); /* [arm] */
}

static void disarm(struct bell *bell)
{
	/* Pairs with the looks of peal_look and peal_give_back: no ring is wanted. */
	__atomic_store_n(bell->asleep, bell->word, __ATOMIC_RELEASE); /* [disarm] */
	bell->armed = false;
}

/* Whether a fence of ours does not do for this sleep, since the ringer does not fence. */
static bool needs_membarrier(const struct bell *bell)
{
	/* For room none is made: what slips through is the slices' to mend, and where there are
	 * none the word asks for fences. */
	return !bell->wants && !(bell->word & PEAL_ASLEEP_FENCE);
}

/* The sleeper's half of the barrier, for whoever has been armed. *took: what a membarrier did.
 * False: it could not be had. */
static bool heavy(bool membarrier, uint64_t *took)
{
	uint64_t begun;

	/* Pairs with [ring-fence] in peal_look. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* [heavy] */
	*took = 0;
	if (!membarrier)
		return true;
	begun = platform_now();
	if (!platform_barrier()) /* [heavy-membarrier] */
		return false;
	*took = platform_now() - begun;
	return true;
}

/* What a membarrier for this bell came to. Where it failed the word asks for fences from now on,
 * and has to be armed again. */
static void account(struct bell *bell, bool had, uint64_t took)
{
	if (had)
		/* One that was preempted tells little. */
		weigh(&bell->barrier_ns, least(took, 2 * bell->barrier_ns));
	else
		ask_for_good(bell);
}

/* Arms a bell, with the barrier. */
static void arm_fully(struct bell *bell, uint64_t wants, uint32_t how)
{
	bool membarrier = needs_membarrier(bell);
	uint64_t took;
	bool had;

	arm(bell, wants, how);
	had = heavy(membarrier, &took);
	if (membarrier)
		account(bell, had, took);
	if (!had) {
		arm(bell, wants, how);
		heavy(false, &took);
	}
}

/*
 * Whether a publication may have slipped past this arming and our look after it: its ringer does
 * not fence, and Linux's membarrier leaves CPUs out at times (docs/design.md, "Who pays for the
 * barrier"); or it may not have seen yet that it has to. It has once it has rung for a word that
 * says so, or some time after such a word was armed.
 */
static bool in_doubt(struct bell *bell)
{
	uint32_t word;

	if (needs_membarrier(bell))
		return true;
	if (!bell->unacknowledged)
		return false;
	/* Pairs with the store in ring. */
	word = __atomic_load_n(bell->acknowledged, __ATOMIC_ACQUIRE);
	if ((word & PEAL_ASLEEP_FENCE) &&
	    (int32_t)(word - bell->fence_since) >= 0) /* [acknowledged-since] */
		bell->unacknowledged = false;
	return bell->unacknowledged;
}

/* By futex while the wake counter is what was seen, or by our descriptors. */
static int doze(struct peal_link *link, const struct bell *bell, uint32_t seen, bool by_descriptor,
		uint64_t ns)
{
	int64_t timeout = ns > INT64_MAX ? -1 : (int64_t)ns;

	return by_descriptor ? link_poll(link, timeout) :
			       link->waiter->wait(bell->wake, seen, timeout, link->shared);
}

/* It may be rung once more by its socket. */
static void owe(struct peal_link *link)
{
	link->owed += link->owed < OWED_MAX;
}

/*
 * Once to sleep and wake up: until the bell is rung, or for ns nanoseconds. Descriptors also tell
 * that the peer is gone, so that may last; they are for the data bell only, since two threads must
 * not share one.
 */
static int sleep_once(struct peal_link *link, struct bell *bell, struct news *news, uint64_t wants,
		      uint64_t ns, bool by_descriptor)
{
	uint64_t first = ns;
	uint32_t seen = 0, how = 0;
	int err = 0;

	if (by_descriptor) {
		link_drain(link, true); /* [drain] [drain-before-arm] */
		owe(link);
	} else {
		/* Pairs with [wake]. Before we say that we sleep: a ring that comes after
		 * that moves the counter away from what was seen. */
		seen = __atomic_load_n(bell->wake, __ATOMIC_ACQUIRE); /* [snapshot] */
	}
	if (by_descriptor)
		how = PEAL_ASLEEP_DESCRIPTOR | (bell->sample_in == 1 ? PEAL_ASLEEP_TIMED : 0);
	arm_fully(bell, wants, how);
	if (!bell->wants && in_doubt(bell))
		first = least(ns, BELL_DOUBT_NS);         /* [second-look] */
	if (!there(news) && !link_verdict(link, false)) { /* [recheck] */
		peal_count(&bell->counters->sleeps, 1);
		probe_sleep(link, bell->wants, ns);
		err = doze(link, bell, seen, by_descriptor, first);
		if (err == -ETIMEDOUT && first < ns && !there(news)) {
			bell->unacknowledged = false;
			err = doze(link, bell, seen, by_descriptor, ns - first);
		}
	}
	disarm(bell);
	return err;
}

/* What was learnt from falling asleep once. */
static void count_sleep(struct bell *bell)
{
	weigh(&bell->per_sleep, bell->counters->messages - bell->slept_at);
	bell->slept_at = bell->counters->messages;
	choose_barrier(bell, 0);
}

/* What was learnt from a wait that was not over at once; when that was. */
static uint64_t learn(struct bell *bell, uint64_t budget, uint64_t begun, bool slept, int err)
{
	uint64_t now = platform_now(), end = now;

	if (slept) {
		uint64_t rung = __atomic_load_n(bell->rung_ns, __ATOMIC_RELAXED);

		/* Waking up is not what one waited for. */
		if (rung > begun && rung < now)
			end = rung;
		count_sleep(bell);
	}
	spin_learn(&bell->spin, budget, end - begun, slept, err != -ETIMEDOUT);
	return now;
}

/* How long a wait by this bell is to spin. Where it never is, the counters may be gone: after a
 * fork. */
static uint64_t budget(struct bell *bell)
{
	return bell->spin_ns ? spin_budget(&bell->spin, bell->spin_ns, bell->counters->messages) :
			       0;
}

uint64_t bell_first_look(struct peal_link *link, struct bell *bell, const uint64_t *word,
			 uint64_t old)
{
	uint64_t seen;

	if (!budget(bell))
		return old;
	breathe(link, bell);
	/* Pairs with [publish] and [head] of the peer: with acquire, as arch.h says. */
	seen = link->ring->await(word, old, 0);
	if (seen != old)
		bell->spin.vain = 0;
	return seen;
}

/*
 * To sleep until there is news: by futex in slices, and after a while by descriptor without a
 * limit, so that an idle link wakes for nothing. *armed: what the clock says, and said before the
 * last sleep.
 */
static int sleep_for(struct peal_link *link, struct bell *bell, struct news *news, uint64_t *armed,
		     uint64_t end, int64_t timeout)
{
	uint64_t now = *armed, slice = bell->first_slice, wants = news->want;
	uint64_t by_futex = platform_later(now, FUTEX_NS);
	bool timeless = !bell->wants && link->pair; /* nothing to look after but the bell */
	uint64_t rest;
	bool by_descriptor;
	unsigned idle = 0;
	int err;

	/* A producer first asks for a good part of the ring, so that a slow consumer does not cost
	 * a wake-up a record; after the first slice for just what it needs. */
	if (bell->wants)
		wants = least(wants + (link->own.capacity >> 2), link->tx.pos); /* [wants-limit] */
	/* Pairs with the loads of peal_link_stats and of monitors, as all counters do. */
	if (!bell->stalled)
		__atomic_store_n(&bell->counters->stalled_since, now, __ATOMIC_RELAXED);
	for (;;) {
		rest = end == UINT64_MAX ? end : end - now;
		by_descriptor = !bell->wants && now >= by_futex && link_can_poll(link);
		if (!by_descriptor && !(timeless && now >= by_futex))
			rest = least(slice, rest); /* [slice] */
		*armed = now;
		err = sleep_once(link, bell, news, wants, rest, by_descriptor);
		if (there(news)) {
			err = 0;
			break;
		}
		if (err == -ETIMEDOUT) {
			peal_count(&bell->counters->slices, 1);
			slice = least(slice * 2, SLICE_MAX);
			wants = news->want; /* [slice-greedy] */
		} else if (err == 0) {
			peal_count(&bell->counters->idle_rings, 1);
			if (++idle > IDLE_RINGS_MAX) {
				err = link_broken(link, "it rang %u times in one wait for nothing",
						  idle);
				break;
			}
		}
		now = platform_now();
		err = link_verdict(link, err == -ETIMEDOUT || look_due(bell, now));
		if (err) {
			err = conclude(link, bell, news, err);
			break;
		}
		if (now >= end) {
			err = timed_out(link, bell, timeout);
			break;
		}
	}
	/* Whoever waits for room by descriptor as well goes on doing so: ring_room knows better. */
	__atomic_store_n(&bell->counters->stalled_since, bell->stalled, __ATOMIC_RELAXED);
	return err;
}

static int wait_for(struct peal_link *link, struct bell *bell, struct news *news, int64_t timeout)
{
	uint64_t now, begun, end, spin_end, spin, armed, over, sleeps;
	int err;

	if (!bell->wants)
		bell_found(bell, 0);
	if (timeout == 0) {
		if (bell->wants)
			peal_count(&bell->counters->waits, 1);
		err = verdict_now(link, bell);
		if (err)
			return conclude(link, bell, news, err);
		return error_literal(
			-EAGAIN,
			bell->wants ?
				"the ring is full, and the timeout is 0: try again when the peer has read, or pass a timeout" :
				"the ring is empty, and the timeout is 0: try again, or pass a timeout");
	}
	peal_count(&bell->counters->waits, 1);
	/* A set may have armed it, and has to know that it hears no bell any more. */
	if (link->set)
		set_rouse(link); /* [rouse] */
	if (bell->armed)
		disarm(bell);

	/* For data peal_peek_wait has done as much. */
	if (bell->wants) {
		news->seen = bell_first_look(link, bell, news->word, link->last_head);
		if (news->seen >= news->want)
			return 0;
	}
	spin = budget(bell);
	begun = now = platform_now();
	bell->end = end = platform_deadline(now, timeout);
	spin_end = platform_later(now, spin);

	while (now < spin_end) {
		if (there(news) ||
		    await(link, news, least(SPIN_SLICE, least(spin_end, end) - now))) {
			learn(bell, spin, begun, false, 0);
			return 0;
		}
		now = platform_now();
		err = link_verdict(link, look_due(bell, now));
		if (err)
			return conclude(link, bell, news, err);
		if (now >= end) {
			learn(bell, spin, begun, false, -ETIMEDOUT);
			return timed_out(link, bell, timeout);
		}
	}
	armed = now;
	sleeps = bell->counters->sleeps;
	err = sleep_for(link, bell, news, &armed, end, timeout);
	over = learn(bell, spin, begun, true, err);
	if (bell->counters->sleeps != sleeps && is_sampled(bell)) {
		note(bell->offcpu->spun, &bell->offcpu->spun_ns, now - begun);
		note_sleep(bell, now, armed, over);
	}
	return err;
}

int bell_wait(struct peal_link *link, struct bell *bell, const uint64_t *word, uint64_t want,
	      int64_t timeout, uint64_t *seen)
{
	struct news news = { .word = word, .want = want };
	int err = wait_for(link, bell, &news, timeout);

	*seen = news.seen;
	return err;
}

/* Moves a wake counter of ours and wakes the peer, which sleeps by the given asleep word. The word
 * that has been rung for, which is not this one if there was no memory for a bell. */
static uint32_t ring(struct peal_link *link, uint32_t *wake, uint32_t *acknowledged,
		     uint64_t *rung_ns, struct peal_counters *counters, uint32_t asleep)
{
	/* Pairs with the load in in_doubt: whoever rings for a word that asks for fences has just
	 * had one. The time has no partner, it is for estimates. */
	__atomic_store_n(acknowledged, asleep, __ATOMIC_RELAXED);
	/* Who waits by descriptor has waited for long, or in a set, and seldom wants to know. */
	if ((asleep & (PEAL_ASLEEP_DESCRIPTOR | PEAL_ASLEEP_TIMED)) != PEAL_ASLEEP_DESCRIPTOR)
		__atomic_store_n(rung_ns, platform_now(), __ATOMIC_RELAXED);
	/* Pairs with [snapshot] in sleep_once. */
	__atomic_fetch_add(wake, 1, __ATOMIC_RELEASE); /* [wake] */
	if (!(asleep & PEAL_ASLEEP_DESCRIPTOR))        /* [descriptor-ring] */
		link->waiter->wake(wake, link->shared);
	else if (link->peer_eventfd >= 0)
		platform_ring_eventfd(link->peer_eventfd);
	else if (link->fd < 0)
		link->waiter->wake(wake, link->shared);
	else if (!platform_ring(link->fd))
		return 0;
	peal_count(&counters->rung, 1);
	probe_ring(link, wake == &link->page->room_wake);
	return asleep;
}

void peal_ring_data(struct peal_tx *tx, uint32_t asleep)
{
	struct peal_link *link = tx->link;
	struct peal_page *page = link->page;

	tx->last_rung = ring(link, &page->data_wake, &page->data_acknowledged, &page->data_rung_ns,
			     tx->counters, asleep);
	/* One that closes says that it sleeps, though not by descriptor, so that we come by here.
	 * It said so after `closed`, and we have read it without order. Pairs with the
	 * asleep word's last store in peal_close. */
	if (asleep & PEAL_ASLEEP_DESCRIPTOR)
		return;
	__atomic_load_n(&tx->peer->rx_asleep, __ATOMIC_ACQUIRE);
	if (link_verdict(link, false))
		tx->limit = link->set_limit = 0; /* also of one that sleeps in a set */
}

void peal_ring_room(struct peal_rx *rx)
{
	struct peal_link *link = rx->link;
	struct peal_page *page = link->page;
	uint32_t asleep;

	/* Pairs with [heavy], where the word asks for it. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* [room-fence] */
	/* Pairs with [arm], for tx_wants. */
	asleep = __atomic_load_n(&rx->peer->tx_asleep, __ATOMIC_ACQUIRE); /* [arm-seen] */
	/* tx_wants: ordered by the line above. */
	if (!(asleep & PEAL_ASLEEP) || asleep == rx->last_rung || /* [room-once] */
	    rx->pos < __atomic_load_n(&rx->peer->tx_wants, __ATOMIC_RELAXED))
		return;
	rx->last_rung = ring(link, &page->room_wake, &page->room_acknowledged, &page->room_rung_ns,
			     rx->counters, asleep);
	/* It slept since there was no room, so this is worth a look. Our own word: the time at
	 * which somebody was rung last, which is noted for who does not sleep by descriptor. */
	ring_sample_rx(link, asleep & PEAL_ASLEEP_DESCRIPTOR ? platform_now() : page->room_rung_ns);
}

static void arm_one_by_descriptor(const struct arming *arming, struct bell *bell, uint64_t want)
{
	uint32_t how = PEAL_ASLEEP_DESCRIPTOR;

	if (bell->sample_in == 1 && arming->sampled)
		how |= PEAL_ASLEEP_TIMED;
	owe(arming->link);
	arm(bell, want, how);
	bell->armed = true;
}

static void arm_by_descriptor(const struct arming *arming)
{
	struct peal_link *link = arming->link;

	if (arming->what & PEAL_DATA)
		arm_one_by_descriptor(arming, &link->data, 0);
	if (arming->what & PEAL_ROOM)
		arm_one_by_descriptor(arming, &link->room, link->room_want);
}

/* Chooses the barriers, arms, and has the sleepers' half. */
static void arm_all(const struct arming *all, uint32_t count, bool program_waits)
{
	bool membarrier = false, had;
	uint64_t took;

	for (uint32_t i = 0; i < count; i++) {
		struct bell *data = &all[i].link->data;

		/* Nobody looks again later, and there are no slices. */
		if ((all[i].what & PEAL_DATA) && program_waits)
			ask_for_good(data);
		if (all[i].what & PEAL_ROOM)
			ask_for_good(&all[i].link->room); /* [ask-room-fence] */
		if ((all[i].what & PEAL_DATA) && !data->armed)
			count_sleep(data);
		membarrier |= (all[i].what & PEAL_DATA) && needs_membarrier(data);
		arm_by_descriptor(&all[i]);
	}
	had = heavy(membarrier, &took);
	for (uint32_t i = 0; i < count; i++) {
		struct bell *data = &all[i].link->data;

		if ((all[i].what & PEAL_DATA) && needs_membarrier(data))
			account(data, had, took);
		if (!had)
			arm_by_descriptor(&all[i]);
	}
	if (!had)
		heavy(false, &took);
}

static void sleep_begins(const struct peal_link *link, struct bell *bell,
			 const struct falling *by_set)
{
	peal_count(&bell->counters->sleeps, 1);
	probe_sleep(link, bell->wants, 0);
	if (!by_set || !is_sampled(bell))
		return;
	note(bell->offcpu->spun, &bell->offcpu->spun_ns, by_set->spun);
	bell->since = by_set->now;
}

void bell_slept(struct peal_link *link, const struct falling *by_set)
{
	if (link->data.armed) {
		peal_count(&link->data.counters->waits, 1);
		sleep_begins(link, &link->data, by_set);
	}
	/* That there was no room was counted by the verb that found none. */
	if (link->room.armed)
		sleep_begins(link, &link->room, by_set);
}

static void sleep_ends(struct bell *bell, uint64_t now)
{
	if (bell->since)
		note_sleep(bell, bell->since, bell->since, now);
	bell->since = 0;
}

void bell_woke(struct peal_link *link, uint64_t now)
{
	sleep_ends(&link->data, now);
	sleep_ends(&link->room, now);
}

void bell_settle(struct peal_link *link)
{
	/* The word of one that is not armed may ask for fences here, and not yet on its page. */
	if (link->data.armed)
		link->data.unacknowledged = false;
	if (link->room.armed)
		link->room.unacknowledged = false;
}

bool bell_arm(struct arming *all, uint32_t count, bool program_waits)
{
	bool doubt = false;
	uint64_t until;

	for (uint32_t i = 0; i < count; i++)
		/* Who waits by descriptor uses both ends. */
		if (all[i].link->tx.pending_header)
			peal_publish_pending(&all[i].link->tx); /* [flush-before-arm] */
	arm_all(all, count, program_waits);
	for (uint32_t i = 0; i < count; i++) {
		all[i].doubt = ((all[i].what & PEAL_DATA) && in_doubt(&all[i].link->data)) ||
			       ((all[i].what & PEAL_ROOM) && in_doubt(&all[i].link->room));
		doubt |= all[i].doubt;
	}
	if (!doubt || !program_waits)
		return doubt;
	until = platform_now() + STORES_NS; /* [stores-out] */
	while (platform_now() < until)
		peal_relax();
	for (uint32_t i = 0; i < count; i++)
		bell_settle(all[i].link);
	return false;
}

bool bell_has(struct peal_link *link, uint32_t what)
{
	const struct peal_rx *rx = &link->rx;
	struct news data = { .word = (const uint64_t *)(const void *)peal_next(rx, rx->pos),
			     .want = 1 };
	struct news room = { .word = &link->tx.peer->head, .want = link->room_want };

	return ((what & PEAL_DATA) && there(&data)) ||
	       ((what & PEAL_ROOM) && there(&room)); /* [recheck] */
}

bool bell_is_news(struct peal_link *link, uint32_t what)
{
	return bell_has(link, what) || link_verdict(link, false);
}

void bell_heard(struct peal_link *link, uint32_t what)
{
	uint64_t moved;

	if (bell_is_news(link, what)) {
		link->idle_rings = 0;
		return;
	}
	moved = link->rx.pos + link->last_head; /* both only grow */
	if (moved != link->moved) {
		link->moved = moved;
		link->idle_rings = 0;
		return;
	}
	peal_count(&link->data.counters->idle_rings, 1);
	if (++link->idle_rings > IDLE_RINGS_MAX)
		link_broken(link, "it rang %u times for nothing", link->idle_rings);
}

void bell_disarm(struct peal_link *link, uint32_t what)
{
	if ((what & PEAL_DATA) && link->data.armed)
		disarm(&link->data);
	if ((what & PEAL_ROOM) && link->room.armed)
		disarm(&link->room);
}

void bell_ring_out(struct peal_link *link)
{
	struct peal_page *page = link->page;
	uint32_t asleep;

	/* Pairs with [heavy]: either the sleeper sees `closed`, or we see it asleep. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);                                 /* [close-fence] */
	asleep = __atomic_load_n(&link->peer_page->rx_asleep, __ATOMIC_RELAXED); /* [close-ring] */
	if (asleep & PEAL_ASLEEP)
		ring(link, &page->data_wake, &page->data_acknowledged, &page->data_rung_ns,
		     link->tx.counters, asleep);
	/* Likewise. */
	asleep = __atomic_load_n(&link->peer_page->tx_asleep, __ATOMIC_RELAXED);
	if (asleep & PEAL_ASLEEP)
		ring(link, &page->room_wake, &page->room_acknowledged, &page->room_rung_ns,
		     link->rx.counters, asleep);
}
