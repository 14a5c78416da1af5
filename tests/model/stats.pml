/*
 * SPDX-License-Identifier: MIT
 *
 * A slot of counters: the process that owns it, whose links take it, count and end, and a monitor
 * in another process that copies it. It follows stats_take and stats_give in lib/stats.c and
 * copy_slot in lib/monitor.c, load by load and store by store, with a word each for the fields of
 * the same kind. What is asserted: a copy that is taken is in order: who has the slot and what he
 * has counted are of the same link, and what the links before came to is what they had counted.
 *
 * With WEAK memory shows no more than C says: a load may read any store that the monitor does not
 * know to be outdated, and it knows that by what it has acquired. Else as on x86: who has seen a
 * store has seen all before it.
 */

#ifndef LINKS
#define LINKS	3	/* that have the slot, one after the other; 6 at most */
#endif
#ifndef WEAK
#define WEAK	1
#endif

#define ID_turn_taken 1
#define ID_turn_given 2
#define ID_turn_fence 3
#define ID_turn_seen 4
#define ID_turn_after 5
#define ID_turn_again 6
#define ID_past_other 7
#define ID_cleared 8
#include "labels.pml"

hidden byte weak = WEAK, links = LINKS;

/* Words of the slot. */
#define TURN	0
#define WHO	1	/* role, peer, since: all that says whose it is */
#define COUNT	2	/* what the link has counted: the number of the link, or twice as much */
#define PAST(turn) (3 + ((turn) / 2) % 2)
#define ALL_WORDS 5

/* The owner's stores, in their order. */
#define MOST	(7 * 6)
byte stores, fenced;
byte stored_word[MOST], stored_value[MOST];
byte shows[MOST];	/* who reads it and acquires sees so many of them: a release, or a fence before it */

#define PUT(at, v, release) \
	stored_word[stores] = at; stored_value[stores] = v; \
	stores++; shows[stores - 1] = (release -> stores : fenced)

/* What a link comes to: it counts its number, and then as much again. */
#define COUNTED(n) (2 * (n))

proctype owner()
{
	byte link, past, turn;

	do
	:: atomic { link < links -> link++; STEP(turn_fence, fenced = stores) };
		/* stats_take */
		atomic { STEP(cleared, PUT(COUNT, 0, 0)) };
		atomic { PUT(WHO, link, 0); turn++ };
		atomic { PUT(TURN, turn, HAS(turn_taken)) };
		/* the link's ends */
		atomic { PUT(COUNT, link, 0) };
		atomic { PUT(COUNT, COUNTED(link), 0) };
		/* stats_give */
		atomic {
			past = past + COUNTED(link); turn++;
			if
			:: HAS(past_other) -> PUT(PAST(turn), past, 0)
			:: else -> PUT(PAST(turn - 1), past, 0)
			fi
		};
		atomic { PUT(TURN, turn, HAS(turn_given)) }
	:: link == links -> break
	od
}

/*
 * How far in that order the monitor's view of a word is at least: behind the store that it has seen,
 * or must see. A load reads that one or any later one of that word.
 */
byte bound[ALL_WORDS];

#define SEE(upto) \
	n = 0; \
	do \
	:: n < (upto) -> \
		if :: bound[stored_word[n]] <= n -> bound[stored_word[n]] = n + 1 :: else fi; n++ \
	:: else -> n = 0; break \
	od

#define LOAD(x, at, acquire) \
	n = bound[at]; \
	do \
	:: n < stores -> if :: stored_word[n] == at -> bound[at] = n + 1 :: else fi; n++ \
	:: break \
	od; \
	n = bound[at]; \
	x = (n -> stored_value[n - 1] : 0); \
	if \
	:: n && !weak -> SEE(bound[at]) \
	:: n && weak && shows[n - 1] > behind -> behind = shows[n - 1] \
	:: else \
	fi; \
	if :: acquire -> SEE(behind) :: else fi; \
	n = 0

proctype monitor()
{
	byte turn, again, who, count, past[2];
	byte n;
	byte behind;	/* what an acquire fence would show */

	/* copy_slot: one try, from whatever was known before */
	atomic { LOAD(turn, TURN, HAS(turn_seen)) };
	atomic { LOAD(who, WHO, 0) };
	atomic { LOAD(past[0], PAST(0), 0) };
	atomic { LOAD(past[1], PAST(2), 0) };
	atomic { LOAD(count, COUNT, 0) };
	atomic { STEP(turn_after, SEE(behind)) };
	atomic {
		if
		:: HAS(turn_again) -> LOAD(again, TURN, 0)
		:: else -> again = turn
		fi;
		if
		:: turn && again == turn ->
			n = turn / 2;	/* links that have ended */
			assert(past[n % 2] == n * (n + 1));
			assert(turn % 2 == 0 || who == n + 1);
			assert(turn % 2 == 0 || count == 0 || count == n + 1 || count == COUNTED(n + 1))
		:: else
		fi
	}
}

init
{
	atomic {
#ifdef AT_RUN_TIME
		c_code {
			parameter(&weak, "WEAK"); parameter(&links, "LINKS"); parameter(&gone, "GONE");
		};
#endif
		run owner(); run monitor()
	}
}
