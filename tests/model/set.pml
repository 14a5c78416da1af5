/*
 * SPDX-License-Identifier: MIT
 *
 * A set of two links: its owner S, who waits for both, and a peer at the other end of each. It
 * follows set_wait, set_arm and what they call in lib/set.c, and bell_arm in lib/bell.c, load by
 * load and store by store: who is awake and who sleeps, those in doubt, and the poller. Of a ring
 * there is but a count of messages, and of its room the read position, with which ring.pml deals;
 * all sleeping is by descriptor. Peers close or are killed; time is a choice.
 *
 * A lost wake-up is an invalid end state: a set that sleeps for ever, or a peer that waits for ever
 * for what was left pending.
 */

#ifndef MESSAGES
#define MESSAGES 1	/* of the peer of link 0 */
#endif
#ifndef OTHERS
#define OTHERS	1	/* of that of link 1 */
#endif
#ifndef MODE
#define MODE	0	/* who waits: 0 the set, 1 the program, by descriptor, 2 now this and now that */
#endif
#ifndef ASYMMETRIC
#define ASYMMETRIC 0	/* the words ask for fences: 0 always, 1 never, 2 now and then */
#endif
#ifndef FAIL
#define FAIL	0	/* from some moment on they do always, since membarrier has failed */
#endif
#ifndef EDGE
#define EDGE	0	/* rung by: 0 socket, 1 eventfd */
#endif
#ifndef CROSS
#define CROSS	0	/* messages of one peer are passed on to the other, which waits for them */
#endif
#ifndef RESERVE
#define RESERVE	0	/* with CROSS: by reservations that are open over a wait */
#endif
#ifndef STUBBORN
#define STUBBORN 0	/* the program leaves the messages of link 0 until link 1 has ended */
#endif
#ifndef ALONE
#define ALONE	0	/* times that a verb waits for a single link */
#endif
#ifndef ROOM
#define ROOM	0	/* times that link 0 is waited for to have room */
#endif
#ifndef EARLY
#define EARLY	0	/* peers may close before everything is sent */
#endif
#ifndef KILL
#define KILL	0	/* one of the peers may be killed */
#endif

#define ID_ring_fence 1
#define ID_epoch 2
#define ID_heavy 3
#define ID_recheck 4
#define ID_room_recheck 5
#define ID_disarm 6
#define ID_second_look 7
#define ID_second_look_set 8
#define ID_stores_out 9
#define ID_acknowledged_since 10
#define ID_drain 11
#define ID_drain_before_arm 12
#define ID_hear 13
#define ID_rouse 14
#define ID_rouse_rung 15
#define ID_rouse_sender 16
#define ID_rouse_reserved 17
#define ID_rouse_doubted 18
#define ID_ask_room_fence 19
#define ID_room_fence 20
#define ID_room_epoch 21
#define ID_once_per_sleep 23
#define ID_flush_before_arm 24
#include "labels.pml"

hidden byte messages = MESSAGES, others = OTHERS, mode = MODE, asymmetric = ASYMMETRIC, may_fail = FAIL;
hidden byte edge = EDGE, cross = CROSS, reserve = RESERVE, stubborn = STUBBORN;
hidden byte alone_times = ALONE, wishes = ROOM, early = EARLY, may_kill = KILL;

#define S	0
#define P(i)	(1 + (i))

/* Shared words of each link: the peer's, its socket among them, and the set's. */
#define PUBLISHED(i) (8 * (i))	/* how many messages: header after header */
#define HEAD(i)	(8 * (i) + 1)
#define DATA_ACKNOWLEDGED(i) (8 * (i) + 2)
#define ROOM_ACKNOWLEDGED(i) (8 * (i) + 3)
#define CLOSED(i) (8 * (i) + 4)
#define HUP(i)	(8 * (i) + 5)
#define RX_ASLEEP(i) (8 * (i) + 6)
#define TX_ASLEEP(i) (8 * (i) + 7)

#define THREADS	3
#define ALL_WORDS 16
#define DEPTH	24
#define HEIR(word) ((word) % 8 < 6 -> P((word) / 8) : S)
#define MAY_LOAD(me, at) (HEIR(at) == S -> (me) == P((at) / 8) : (me) == S)
#define REACHED	skip

/* Asleep words. */
#define ASLEEP	1
#define BY_DESCRIPTOR 2
#define MUST_FENCE 4
#define EPOCH	8

/* For assertions only. */
byte sent[2];	/* messages that were stored */
byte unheard[2];	/* rings that S has not heard */
bit awake[2] = 1;	/* not between arming and disarming */
bit quiet[2];	/* awake, and seen to be, since the peer began to publish or release */
#include "memory.pml"

/* The kernel's: bytes in the socket that S polls, or an edge; and who is there. */
byte pending[2];
bit dead[2], done[2];
#define HUNG_UP(i) (mem[HUP(i)] || IN_FLIGHT(HUP(i)))
#define EVENT(i) (!ended[i] && (pending[i] || HUNG_UP(i)))

byte answered[2];	/* messages that were passed on to this peer, and published */
byte wished;	/* times that room was wished for and found */

/* The set's. */
bit listed[2] = 1;	/* looked at: awake; else it sleeps, and is armed */
bit ended[2];	/* that is known, and it is not polled any more */
bit left[2];	/* taken out */
bit armed[2], armed_room[2];
bit doubt[2];	/* on the list of those in doubt */
bit wish;	/* link 0 wants room */
bit fresh[2];	/* those that are being put to sleep */
bit dozing[2];	/* and those that were, with the set itself */
bit light[2], forgone[2];	/* the word for data carries no bit 2; it will for good */
byte epoch[2], room_epoch[2];
byte since[2], room_since[2];	/* the first sleep whose word carried bit 2 again */
byte got[2];
bit reserved[2];	/* a reservation is open */
byte held[2];	/* passed on, but left pending */
bit ready[2];

#define SOCKET_HOLDS 2
#define RING(i) \
	atomic { \
		drain(P(i)); \
		if \
		:: !edge && pending[i] < SOCKET_HOLDS -> pending[i]++; unheard[i]++ \
		:: edge -> pending[i] = 1; unheard[i] = 1 \
		:: else \
		fi \
	}

#define LIMIT	(i -> others : messages)
proctype peer(byte i)
{
	byte a, last_rung, last_room, head;

	{
	last_rung = 0;
next:	if
	:: sent[i] < LIMIT && (!cross || answered[i] >= sent[i] + i) -> goto publish
	:: i == 0 && head < wishes && head <= wished -> goto release
	/* Nothing else wakes S while this waits for all to be taken; and for room to be found. */
	:: sent[i] && (!cross || sent[i] == LIMIT) ->
		atomic { got[i] == sent[i] && (i || head == wished) };
		if
		:: sent[i] == LIMIT && (i || head == wishes) -> goto close
		:: else -> goto next
		fi
	:: sent[i] == LIMIT && (i || head == wishes) -> goto close
	:: early && sent[i] -> goto close
	:: cross && (early || may_kill) && (done[1 - i] || dead[1 - i]) -> goto close
	fi;

publish:
	atomic {
		quiet[i] = awake[i] && !IN_FLIGHT(RX_ASLEEP(i));
		sent[i]++;
		STORE(P(i), PUBLISHED(i), sent[i]);
		LOAD(P(i), a, RX_ASLEEP(i));
		if :: !(a & MUST_FENCE) -> goto bell :: else fi
	};
	atomic {
		FENCE(P(i), ring_fence);
		LOAD(P(i), a, RX_ASLEEP(i));
bell:		if
		:: !(a & ASLEEP) || (HAS(once_per_sleep) && a == last_rung) -> a = 0; goto next
		:: else
		fi;
		assert(!quiet[i]);	/* no system call while both are awake */
		assert(a != last_rung);	/* and one for each sleep */
		last_rung = a;
		STORE(P(i), DATA_ACKNOWLEDGED(i), a); a = 0
	};
	RING(i);
	goto next;

release:
	atomic {
		quiet[i] = awake[i] && !IN_FLIGHT(TX_ASLEEP(i));
		head++;
		STORE(P(i), HEAD(i), head);
		LOAD(P(i), a, TX_ASLEEP(i));
		if :: !(a & (ASLEEP + MUST_FENCE)) -> a = 0; goto next :: else fi
	};
	atomic {
		FENCE(P(i), room_fence);
		LOAD(P(i), a, TX_ASLEEP(i));
		if
		:: !(a & ASLEEP) || a == last_room -> a = 0; goto next
		:: else
		fi;
		assert(!quiet[i]);
		last_room = a;
		STORE(P(i), ROOM_ACKNOWLEDGED(i), a); a = 0
	};
	RING(i);
	goto next;

close:	true;
	/* Who sleeps hears of it from the socket, so whether it is rung for does not matter. */
	atomic {
		STORE(P(i), CLOSED(i), 1);
		STORE(P(i), HUP(i), 1);
		done[i] = 1; last_rung = 0; last_room = 0; head = 0
	}
	} unless { dead[i] }
}

#define EACH(what) \
	i = 0; \
	do \
	:: i < 2 -> what; i++ \
	:: else -> i = 0; break \
	od

/* bell_disarm */
#define DISARM(k) \
	awake[k] = 1; \
	if \
	:: armed[k] -> armed[k] = 0; \
		STEP(disarm, STORE(S, RX_ASLEEP(k), epoch[k] * EPOCH + MUST_FENCE * (1 - light[k]))) \
	:: else \
	fi; \
	if \
	:: armed_room[k] -> armed_room[k] = 0; \
		STORE(S, TX_ASLEEP(k), room_epoch[k] * EPOCH + MUST_FENCE * HAS(ask_room_fence)) \
	:: else \
	fi
#define ROUSE(k) \
	if \
	:: !listed[k] && !left[k] -> DISARM(k); doubt[k] = 0; listed[k] = 1 \
	:: else \
	fi

/* bell_arm and arm_one_by_descriptor, for all that is wanted. */
#define ARM(k) \
	STEP(flush_before_arm, answered[k] = answered[k] + held[k]; held[k] = 0); \
	awake[k] = 0; quiet[k] = 0; armed[k] = 1; \
	epoch[k] = epoch[k] + (HAS(epoch) || !epoch[k]); \
	assert(epoch[k] < 256 / EPOCH && room_epoch[k] < 256 / EPOCH); \
	STORE(S, RX_ASLEEP(k), \
		epoch[k] * EPOCH + MUST_FENCE * (1 - light[k]) + BY_DESCRIPTOR + ASLEEP); \
	if \
	:: k == 0 && wish -> armed_room[k] = 1; \
		if :: !room_epoch[k] -> room_since[k] = 1 :: else fi; \
		room_epoch[k] = room_epoch[k] + (HAS(room_epoch) || !room_epoch[k]); \
		STORE(S, TX_ASLEEP(k), room_epoch[k] * EPOCH + \
			MUST_FENCE * HAS(ask_room_fence) + BY_DESCRIPTOR + ASLEEP) \
	:: else \
	fi

/* in_doubt, after the word in `at` was loaded */
#define ACKNOWLEDGED(by, first) \
	if \
	:: (by & MUST_FENCE) && (by >= first * EPOCH || !HAS(acknowledged_since)) -> first = 0 \
	:: else \
	fi

/* look */
#define LOOK_AT(k) \
	atomic { \
		if \
		:: listed[k] -> LOAD(S, h, PUBLISHED(k)); ready[k] = ended[k] || h > got[k]; h = 0 \
		:: else \
		fi \
	}
#define LOOK \
	LOOK_AT(0); \
	if \
	:: listed[0] && wish && !ready[0] -> \
		atomic { LOAD(S, h, HEAD(0)); ready[0] = h > wished; h = 0 } \
	:: else \
	fi; \
	LOOK_AT(1)

/* look_after */
#define LOOK_AFTER(k) \
	atomic { \
		if \
		:: news || hung_up -> \
			LOAD(S, c, CLOSED(k)); if :: c || hung_up -> ended[k] = 1 :: else fi; \
			c = 0; news = 0; hung_up = 0 \
		:: else \
		fi \
	}

/* hear_all, without waiting: one has rung, or its socket has hung up. */
#define HEAR(k) \
	atomic { \
		if \
		:: EVENT(k) -> \
			news = 1; \
			if \
			:: HUNG_UP(k) -> hung_up = 1; drain(P(k)) \
			:: pending[k] -> \
				assert(unheard[k]);	/* no bell wakes twice */ \
				if \
				:: edge || program || listed[k] -> \
					unheard[k] = 0; \
					if :: edge || HAS(drain) -> pending[k] = 0 :: else fi \
				:: else -> \
					unheard[k]--; STEP(drain, pending[k]--) \
				fi \
			fi; \
			if \
			:: HAS(rouse_rung) -> ROUSE(k) \
			:: else -> if :: !listed[k] -> DISARM(k) :: else fi \
			fi \
		:: else \
		fi \
	}; \
	LOOK_AFTER(k)

#define DOUBT(when, first, at) \
	atomic { \
		if :: when -> LOAD(S, h, at); ACKNOWLEDGED(h, first); h = 0 :: else fi \
	}
#define LOOK_ONCE_MORE(k, when, at, known) \
	atomic { \
		if \
		:: when -> LOAD(S, h, at); if :: h > known -> news = 1; ROUSE(k) :: else fi; h = 0 \
		:: else \
		fi \
	}

/*
 * The second look at one in doubt, whose time has come: all that was stored before it was armed is
 * out.
 */
#define LOOK_AGAIN(k) \
	doubt[k] = 0; drain(P(k)); \
	c = mem[PUBLISHED(k)] > got[k] || k == 0 && wish && mem[HEAD(0)] > wished; \
	if \
	:: c && HAS(second_look_set) -> ROUSE(k) \
	:: else -> since[k] = 0; if :: armed_room[k] -> room_since[k] = 0 :: else fi \
	fi; \
	c = 0

proctype set()
{
	byte i, h, alone;
	bit c, hung_up, program, news, reserved_one;
	bit whole;	/* the set itself goes to sleep */

	alone = alone_times;
round:	if
	:: left[0] && left[1] -> goto finish
	:: else
	fi;
	if
	:: atomic { mode != 1 -> goto wait }
	:: atomic { mode -> program = 1; goto prepare }
	:: atomic { alone && !left[0] && (sent[0] > got[0] || HUNG_UP(0)) -> alone--; i = 0; goto single }
	:: atomic { alone && !left[1] && (sent[1] > got[1] || HUNG_UP(1)) -> alone--; i = 1; goto single }
	/* once, for what link 1 waits for */
	:: atomic { reserve && listed[1] && !reserved[1] && !left[1] && !answered[1] && !held[1] ->
			reserved[1] = 1; goto round }
	fi;
wait:	LOOK;
	atomic {
		if
		:: !ready[0] && !ready[1] -> goto prepare
		/* Time goes by, and then the set hears those who sleep, and puts to sleep who is quiet. */
		:: (ready[0] || ready[1]) && HAS(hear) && (EVENT(0) || EVENT(1) || doubt[0] || doubt[1] ||
			listed[0] && !ready[0] || listed[1] && !ready[1]) ->
			goto attend
		:: (ready[0] || ready[1]) && !(stubborn && ready[0] && !ready[1] && !left[1]) -> goto told
		fi
	};

prepare:
	atomic {
		if
		:: reserved_one -> STEP(rouse_reserved, ROUSE(0); ROUSE(1)); reserved_one = 0
		:: else
		fi;
		EACH(if :: listed[i] -> answered[i] = answered[i] + held[i]; held[i] = 0 :: else fi);
		if
		:: program ->
			/* What set_wait has armed has nobody to look again. */
			STEP(rouse_doubted, EACH(if :: doubt[i] -> ROUSE(i) :: else fi));
			if
			:: HAS(drain_before_arm) -> goto attend
			:: else -> goto armed_by_program
			fi
		:: else
		fi
	};
	/* While it spins it hears them now and then, too; that is no other than to sleep and be rung. */
spin:	LOOK;
	atomic { if :: ready[0] || ready[1] -> goto told :: else -> goto fall fi };

armed_by_program:
	LOOK;
	atomic {
		if
		:: ready[0] || ready[1] -> goto told
		:: else
		fi;
		/* Who was quiet when it attended. */
		STEP(rouse_doubted, EACH(if :: doubt[i] -> ROUSE(i) :: else fi));
		goto fall
	};

fall:	atomic {
		EACH(fresh[i] = listed[i]; dozing[i] = listed[i]);
		whole = 1;
		goto put
	};

	/* put_to_sleep: all that are fresh, with one barrier. */
put:	atomic {
		EACH(
			if
			:: fresh[i] ->
				if :: program && whole -> forgone[i] = 1 :: else fi;
				if
				:: asymmetric && !forgone[i] -> light[i] = 1; since[i] = 0
				:: asymmetric != 1 || forgone[i] ->
					if :: light[i] -> light[i] = 0; since[i] = epoch[i] + 1 :: else fi
				fi;
				ARM(i)
			:: else
			fi);
		STEP(heavy, drain(S));
		/* A membarrier does nothing here, but may fail. */
		if
		:: may_fail && (fresh[0] && light[0] || fresh[1] && light[1]) ->
			EACH(
				if
				:: fresh[i] ->
					if
					:: light[i] -> forgone[i] = 1; light[i] = 0;
						since[i] = epoch[i] + 1
					:: else
					fi;
					ARM(i)
				:: else
				fi);
			STEP(heavy, drain(S))
		:: true
		fi
	};
	DOUBT(fresh[0] && since[0], since[0], DATA_ACKNOWLEDGED(0));
	DOUBT(fresh[0] && armed_room[0] && room_since[0], room_since[0], ROOM_ACKNOWLEDGED(0));
	DOUBT(fresh[1] && since[1], since[1], DATA_ACKNOWLEDGED(1));
	atomic {
		EACH(
			if
			:: fresh[i] ->
				doubt[i] = light[i] || since[i] || armed_room[i] && room_since[i];
				listed[i] = 0;
				reserved_one = reserved_one || reserved[i]
			:: else
			fi);
		/* Where the program waits, it waits for the stores of whoever may not know yet. */
		if
		:: program && whole ->
			if
			:: fresh[0] && doubt[0] || fresh[1] && doubt[1] ->
				STEP(stores_out, drain(P(0)); drain(P(1)))
			:: else
			fi;
			EACH(
				if
				:: fresh[i] && doubt[i] ->
					doubt[i] = 0; since[i] = 0;
					if :: armed_room[i] -> room_since[i] = 0 :: else fi
				:: else
				fi)
		:: else
		fi
	};
	LOOK_ONCE_MORE(0, fresh[0] && HAS(recheck), PUBLISHED(0), got[0]);
	LOOK_ONCE_MORE(0, fresh[0] && armed_room[0] && HAS(room_recheck), HEAD(0), wished);
	LOOK_AFTER(0);
	LOOK_ONCE_MORE(1, fresh[1] && HAS(recheck), PUBLISHED(1), got[1]);
	LOOK_AFTER(1);
	atomic {
		fresh[0] = 0; fresh[1] = 0;
		if :: !whole -> goto attended :: else fi;
		whole = 0;
		/* It was no sleep: who was awake before is again. */
		if
		:: dozing[0] && listed[0] || dozing[1] && listed[1] ->
			EACH(if :: dozing[i] -> ROUSE(i); dozing[i] = 0 :: else fi);
			program = 0;
			goto spin
		:: else
		fi;
		if
		:: program && !HAS(drain_before_arm) ->
			EACH(if :: !edge -> pending[i] = 0; unheard[i] = 0 :: else fi)
		:: else
		fi
	};

	/* The poller, or poll of its descriptor; in doubt, where it is the set that waits, not for ever. */
	atomic {
		if
		:: EVENT(0) || EVENT(1)
		:: (doubt[0] || doubt[1]) && !program && HAS(second_look) ->
			dozing[0] = 0; dozing[1] = 0;
			if
			:: doubt[0] -> LOOK_AGAIN(0)
			:: doubt[1] -> LOOK_AGAIN(1)
			fi;
			goto spin
		fi;
		if
		:: program -> program = 0; dozing[0] = 0; dozing[1] = 0; goto round
		:: else
		fi
	};
	HEAR(0); HEAR(1);
	atomic {
		if
		:: true -> EACH(if :: dozing[i] -> ROUSE(i) :: else fi)
		:: true
		fi;
		dozing[0] = 0; dozing[1] = 0;
		goto spin
	};

	/* attend: hears, looks again, and puts those to sleep who are quiet. */
attend:	atomic { ready[0] = 0; ready[1] = 0 };
	HEAR(0); HEAR(1);
	atomic {
		if
		:: doubt[0] -> LOOK_AGAIN(0)
		:: true
		fi;
		if
		:: doubt[1] -> LOOK_AGAIN(1)
		:: true
		fi
	};
	/* Who seems to be quiet; a look that counts comes later. */
	atomic {
		if
		:: listed[0] && !ended[0] && !reserved[0] && mem[PUBLISHED(0)] == got[0] -> fresh[0] = 1
		:: true
		fi;
		if
		:: listed[1] && !ended[1] && !reserved[1] && mem[PUBLISHED(1)] == got[1] -> fresh[1] = 1
		:: true
		fi;
		if :: fresh[0] || fresh[1] -> goto put :: else fi
	};
attended:
	atomic { if :: program -> goto armed_by_program :: else fi };
	LOOK;
	atomic {
		if
		:: (ready[0] || ready[1]) && !(stubborn && ready[0] && !ready[1] && !left[1]) -> goto told
		:: else -> ready[0] = 0; ready[1] = 0; goto round
		fi
	};

	/* peal_set_next, and a message is taken, or the link is. */
told:	atomic {
		program = 0;
		if
		:: ready[0] && !(stubborn && !left[1] && ready[1]) -> i = 0
		:: ready[1] -> i = 1
		fi;
		ready[0] = 0; ready[1] = 0
	};
	/* peal_set_tell; and then room may be wanted again. */
	atomic {
		if
		:: i == 0 && wish -> LOAD(S, h, HEAD(0));
			if :: h > wished -> wished++; wish = wished < wishes :: else fi; h = 0
		:: else
		fi
	};
	atomic { LOAD(S, h, PUBLISHED(i)); c = h > got[i]; h = 0; if :: c -> goto take :: else fi };
	if :: !ended[i] -> i = 0; goto round :: else fi;
	atomic { LOAD(S, hung_up, CLOSED(i)) };
	atomic {
		LOAD(S, h, PUBLISHED(i)); c = h > got[i]; h = 0;
		if
		:: c -> hung_up = 0; goto take
		:: !c && hung_up -> assert(got[i] == sent[i])
		:: !c && !hung_up -> assert(dead[i] && got[i] == mem[PUBLISHED(i)])
		fi;
		hung_up = 0; ROUSE(i); listed[i] = 0; left[i] = 1; pending[i] = 0; unheard[i] = 0;
		since[i] = 0; room_since[i] = 0; held[i] = 0; reserved[i] = 0;
		if :: i == 0 -> wish = 0 :: else fi;
		i = 0;
		goto round
	};
take:	atomic {
		c = 0; got[i]++;
		/* It is passed on, and left pending. */
		i = 1 - i;
		if
		:: cross && !left[i] ->
			if
			:: reserved[i] -> reserved[i] = 0
			:: else -> STEP(rouse_sender, ROUSE(i))
			fi;
			held[i]++
		:: else
		fi;
		i = 0;
		goto round
	};

	/* bell_wait of one link, as in peal_recv. */
single:	atomic {
		STEP(rouse, ROUSE(i));
		DISARM(i);
		if :: sent[i] > got[i] -> drain(P(i)); got[i]++ :: else fi;
		i = 0;
		goto round
	};

finish:	skip
}

proctype killer()
{
end:	if
	:: atomic { may_kill && !done[0] -> drain_some(P(0)); mem[HUP(0)] = 1; dead[0] = 1 }
	:: atomic { may_kill && !done[1] -> drain_some(P(1)); mem[HUP(1)] = 1; dead[1] = 1 }
	fi
}

init
{
	atomic {
#ifdef AT_RUN_TIME
		c_code {
			parameter(&messages, "MESSAGES"); parameter(&others, "OTHERS"); parameter(&mode, "MODE");
			parameter(&asymmetric, "ASYMMETRIC"); parameter(&may_fail, "FAIL");
			parameter(&edge, "EDGE"); parameter(&cross, "CROSS");
			parameter(&reserve, "RESERVE"); parameter(&stubborn, "STUBBORN");
			parameter(&alone_times, "ALONE"); parameter(&wishes, "ROOM");
			parameter(&early, "EARLY"); parameter(&may_kill, "KILL");
			parameter(&gone, "GONE");
		};
#endif
		wish = wishes > 0;
		mem[RX_ASLEEP(0)] = MUST_FENCE; mem[RX_ASLEEP(1)] = MUST_FENCE;
		run set(); run peer(0); run peer(1); run killer()
	}
}
