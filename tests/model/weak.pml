/*
 * SPDX-License-Identifier: MIT
 *
 * One who sleeps and one who rings, in memory as weak as C allows (see stats.pml), for the orders that
 * x86 keeps by itself. It follows sleep_once, link_verdict, peal_look, peal_ring_room, ring
 * and peal_close. For data there is a header and a payload a message, no ring to go round; with ROOM=1
 * the news is how far the other has read, and a sleep says how much it wants. By futex, where the
 * counter is compared with the newest there is; by descriptor it is no different but for `wants`,
 * of which no slice makes up.
 *
 * Asserted: a payload is that of its header, `closed` is not seen before the last message is,
 * `wants` is not older than the sleep that it is taken for. A lost ring is an end state in which the
 * sleeper sleeps. Loads are not put behind later stores here,
 * but that of [snapshot] behind [arm], if nothing says that it must not be.
 */

#ifndef MESSAGES
#define MESSAGES 2	/* 3 at most */
#endif
#ifndef ROOM
#define ROOM	0
#endif
#ifndef CLOSES
#define CLOSES	1	/* the ringer, after the last message; else no other ring makes up for one */
#endif
#ifndef LIGHT
#define LIGHT	0	/* the sleeper asks for no fences, and membarrier does nothing */
#endif

#define ID_publish 1
#define ID_see 2
#define ID_there 3
#define ID_closed 4
#define ID_closed_seen 5
#define ID_arm 6
#define ID_arm_seen 7
#define ID_disarm 8
#define ID_wake 9
#define ID_snapshot 10
#define ID_unfence 11
#define ID_heavy 12
#define ID_ring_fence 13
#define ID_close_fence 14
#define ID_second_look 15
#define ID_all_four 16	/* [disarm], [wake], [snapshot] and [unfence] */
#define ID_snapshot_arm 17
#include "labels.pml"

#define BOTH(label) (HAS(label) && HAS(all_four))

hidden byte messages = MESSAGES, room = ROOM, closes = CLOSES, light = LIGHT;

/* Words, and who writes them. */
#define RINGER	0
#define SLEEPER	1
#define WAKE	0
#define CLOSED	1
#define HEAD	2	/* of room */
#define HEADER(i) (3 + 2 * (i))
#define PAYLOAD(i) (4 + 2 * (i))
#define ASLEEP	11	/* who has read all looks at one more header */
#define WANTS	12
#define ALL_WORDS 13
#define OTHER(me) (1 - (me))

#define IS_ASLEEP 1
#define FENCE_BIT 2
#define EPOCH	4

/* The stores of each, in their order. */
#define MOST	24
#define AT(who, n) (MOST * (who) + (n))
byte stores[2], fenced[2], barred[2];	/* all; before his last fence; before his last fence of seq_cst */
byte stored_word[2 * MOST], stored_value[2 * MOST];
byte shows[2 * MOST];	/* who reads it and acquires sees so many of them */
byte bound[ALL_WORDS];	/* how far the other's view of a word is at least */
byte behind[2];		/* what an acquire fence would show */
byte wakes, woken_at;	/* the newest of the wake counter */
byte wanted[12];	/* the store of `wants` that each sleep has made */

#define PUT(me, at, v, release) \
	assert(stores[me] < MOST); \
	stored_word[AT(me, stores[me])] = at; stored_value[AT(me, stores[me])] = v; \
	stores[me]++; \
	shows[AT(me, stores[me] - 1)] = (release -> stores[me] : fenced[me])

#define SEE(me, upto) \
	n = 0; \
	do \
	:: n < (upto) -> \
		if \
		:: bound[stored_word[AT(OTHER(me), n)]] <= n -> \
			bound[stored_word[AT(OTHER(me), n)]] = n + 1 \
		:: else \
		fi; \
		n++ \
	:: else -> n = 0; break \
	od

#define TAKE(me, acquire) \
	n = (n -> shows[AT(OTHER(me), n - 1)] : 0); \
	if :: n > behind[me] -> behind[me] = n :: else fi; \
	if :: acquire -> upto = n; SEE(me, upto); upto = 0 :: else fi; \
	n = 0
#define LOAD(me, x, at, acquire) \
	n = bound[at]; \
	do \
	:: n < stores[OTHER(me)] -> \
		if :: stored_word[AT(OTHER(me), n)] == at -> bound[at] = n + 1 :: else fi; n++ \
	:: break \
	od; \
	n = bound[at]; \
	x = (n -> stored_value[AT(OTHER(me), n - 1)] : (at == ASLEEP -> FENCE_BIT : 0)); \
	TAKE(me, acquire)

#define FENCE(me) \
	SEE(me, behind[me]); \
	fenced[me] = stores[me]; barred[me] = stores[me]; \
	SEE(me, barred[OTHER(me)])

#define RING(word) \
	atomic { \
		wakes++; PUT(RINGER, WAKE, wakes, BOTH(wake)); woken_at = stores[RINGER]; rung = word \
	}

proctype ringer()
{
	byte sent, asleep, rung, wants, n, upto;

	do
	:: sent < messages ->
		if
		:: room -> atomic { sent++; PUT(RINGER, HEAD, sent, HAS(publish)) }
		:: else ->
			atomic { sent++; PUT(RINGER, PAYLOAD(sent - 1), 1, 0) };
			atomic { PUT(RINGER, HEADER(sent - 1), 1, HAS(publish)) }
		fi;
		/* peal_look, and peal_give_back with peal_ring_room */
		atomic { LOAD(RINGER, asleep, ASLEEP, 0) };
		if
		:: (asleep & FENCE_BIT) || (room && (asleep & IS_ASLEEP)) ->
			atomic { STEP(ring_fence, FENCE(RINGER)) };
			atomic { LOAD(RINGER, asleep, ASLEEP, room && HAS(arm_seen)) }
		:: else
		fi;
		if
		:: (asleep & IS_ASLEEP) && asleep != rung && room ->
			atomic {
				LOAD(RINGER, wants, WANTS, 0);
				/* the word's sleep, or a later one */
				assert(bound[WANTS] >= wanted[asleep / EPOCH])
			};
			if
			:: sent >= wants -> RING(asleep)
			:: else
			fi
		:: (asleep & IS_ASLEEP) && asleep != rung && !room -> RING(asleep)
		:: else
		fi;
		asleep = 0; wants = 0
	:: sent == messages && closes -> break
	:: sent == messages && !closes -> goto stays
	od;
	atomic { PUT(RINGER, CLOSED, 1, HAS(closed)) };
	atomic { STEP(close_fence, FENCE(RINGER)) };
	atomic { LOAD(RINGER, asleep, ASLEEP, 0) };
	if
	:: asleep & IS_ASLEEP -> RING(asleep)
	:: else
	fi;
stays:	skip
}

#define NEWS	(room -> HEAD : HEADER(got))
#define IS_NEWS	(room -> news >= got + more : news)

proctype sleeper()
{
	byte got, more = 1, news, closed, seen, word = FENCE_BIT, n, upto;
	byte spurious = 1;
	bool late;

	if
	:: light -> atomic { word = 0; PUT(SLEEPER, ASLEEP, word, BOTH(unfence)) }
	:: else
	fi;
	do
	:: got < messages && room ->
		/* what is wanted may be less than the last time */
		if :: got + 2 <= messages -> more = 2 :: more = 1 fi;
		goto look
	:: got == messages && !closes -> break
	:: (got < messages && !room) || (got == messages && closes) ->
look:		atomic { LOAD(SLEEPER, news, NEWS, HAS(see)) };
taken:		if
		:: IS_NEWS && room -> atomic { got = got + more; more = 1; news = 0 }
		:: IS_NEWS && !room ->
			atomic {
				LOAD(SLEEPER, news, PAYLOAD(got), 0);
				assert(news);	/* the payload is that of its header */
				got++; news = 0
			}
		:: else ->
			atomic { LOAD(SLEEPER, closed, CLOSED, HAS(closed_seen)) };
			if
			:: closed -> atomic {
				/* conclude */
				LOAD(SLEEPER, news, NEWS, HAS(there));
				if :: !IS_NEWS -> assert(got == messages || room) :: else fi
				};
				if :: IS_NEWS -> goto taken :: else -> break fi
			:: else
			fi;
			/* sleep_once */
			if
			:: atomic { LOAD(SLEEPER, seen, WAKE, BOTH(snapshot) && HAS(snapshot_arm)) }
			:: !HAS(snapshot_arm) -> late = true
			fi;
			if :: room -> atomic { PUT(SLEEPER, WANTS, got + more, 0) } :: else fi;
			atomic {
				word = word + EPOCH;
				wanted[word / EPOCH] = (room -> stores[SLEEPER] : 0);
				PUT(SLEEPER, ASLEEP, word | IS_ASLEEP, HAS(arm) && HAS(snapshot_arm))
			};
			/* without acquire there and release here it may come after this, but not after the fence */
			if
			:: late -> atomic { LOAD(SLEEPER, seen, WAKE, 0); late = false }
			:: else
			fi;
			atomic { STEP(heavy, FENCE(SLEEPER)) };
			atomic { LOAD(SLEEPER, news, NEWS, HAS(there)) };
			atomic { LOAD(SLEEPER, closed, CLOSED, HAS(closed_seen)) };
			if
			:: !IS_NEWS && !closed && light && HAS(second_look) ->
				/* after a time all that was stored before it has got about */
				atomic {
					SEE(SLEEPER, stores[RINGER]); SEE(RINGER, stores[SLEEPER]);
					LOAD(SLEEPER, news, NEWS, HAS(there))
				}
			:: else
			fi;
			if
			:: !IS_NEWS && !closed ->
				if
				:: atomic { wakes != seen ->
					bound[WAKE] = woken_at; n = woken_at; TAKE(SLEEPER, 0) }
				:: atomic { spurious -> spurious-- }
				fi
			:: else
			fi;
			atomic { PUT(SLEEPER, ASLEEP, word, BOTH(disarm)) };
			/* bell_wait: what was seen at last is what it goes by */
			closed = 0; seen = 0;
			if
			:: IS_NEWS -> goto taken
			:: else -> news = 0
			fi
		fi
	od
}

init
{
	atomic {
#ifdef AT_RUN_TIME
		c_code {
			parameter(&messages, "MESSAGES"); parameter(&room, "ROOM");
			parameter(&closes, "CLOSES"); parameter(&light, "LIGHT");
			parameter(&gone, "GONE");
		};
#endif
		run ringer(); run sleeper()
	}
}
