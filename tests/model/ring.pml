/*
 * SPDX-License-Identifier: MIT
 *
 * One ring and its two bells under x86-like store buffers: a producer, a consumer, the memory
 * between them, and a killer; with RINGS=2 both rings of a link, two threads a side. It follows
 * peal_publish, peal_advance, bell_sleep, wait_for and peal_close load by load and store by
 * store, and knows nothing of handshakes, batches, fragments, deadlines or hostile peers.
 *
 * Each fence, re-check and the like has a label, and can be taken out: -DGONE=ring_fence takes out
 * [ring-fence]. The script "run" does so with each and wants to see the model fail. A lost wake-up
 * is an invalid end state: an end that sleeps for ever.
 */

#ifndef RINGS
#define RINGS	1
#endif
#ifndef WORDS
#define WORDS	4	/* the ring, in words of 8 bytes; a record is a header and 0 or 1 more */
#endif
#ifndef DEPTH
#define DEPTH	10	/* of a store buffer; that it never fills is asserted */
#endif

#ifndef MESSAGES
#define MESSAGES 3
#endif
#ifndef PATIENT
#define PATIENT	1	/* the producer may wait until all is read before it goes on */
#endif
#ifndef LAZY
#define LAZY	1	/* times that the consumer stops reading until the producer is stuck */
#endif
#ifndef SPURIOUS
#define SPURIOUS 0	/* sleeps of each end that may end for no reason: early slice, signal */
#endif
#ifndef EARLY
#define EARLY	0	/* either may close before everything is sent or read */
#endif
#ifndef KILL
#define KILL	0	/* one of the two may be killed */
#endif
#ifndef SIZES
#define SIZES	0	/* of records, in words: 0 any, 1 all 1, 2 now 2 and now 1 */
#endif
#ifndef ANSWERS
#define ANSWERS	1	/* with RINGS=2: messages of side 1 */
#endif
#ifndef ECHO
#define ECHO	0	/* with RINGS=2 and SIZES=1: these are answers to what it has read */
#endif
#ifndef ANYTIME
#define ANYTIME	0	/* see memory, below */
#endif
#ifndef GONE
#define GONE	nothing
#endif

#define HAS(label) (gone != ID_##label)
#define STEP(label, what) if :: HAS(label) -> what :: else fi
#define INSTEAD(label, what) if :: !HAS(label) -> what :: else fi
#define ID_nothing 0
#define ID_zero_behind 1
#define ID_room_for_zero 2
#define ID_ring_fence 3
#define ID_ring_reload 4
#define ID_once_per_sleep 5
#define ID_must_fence 6
#define ID_data_wake 7
#define ID_data_snapshot 8
#define ID_data_epoch 9
#define ID_data_heavy 10
#define ID_data_recheck 11
#define ID_data_recheck_closed 12
#define ID_data_disarm 13
#define ID_room_snapshot 14
#define ID_room_heavy 15
#define ID_room_recheck 16
#define ID_room_recheck_closed 17
#define ID_room_epoch 18
#define ID_room_disarm 19
#define ID_room_slice 20
#define ID_room_look 21
#define ID_room_once 22
#define ID_room_wake 23
#define ID_wants_limit 24
#define ID_close_fence 25
#define ID_close_ring 26
#define ID_closed 27
#define ID_closed_after_hangup 28
#define ID_drain_after_closed 29
#define ID_publish 30
#define ID_head 31
#define ID_room_slice_greedy 32
#define ID(label)	ID_(label)
#define ID_(label)	ID_##label

/* With AT_RUN_TIME all these come from the environment: one compilation serves all cases. */
hidden byte messages = MESSAGES, patient = PATIENT, lazy_times = LAZY, spurious_times = SPURIOUS;
hidden byte early = EARLY, may_kill = KILL, gone = ID(GONE);
hidden byte answers = ANSWERS, echo = ECHO, sizes = SIZES, anytime = ANYTIME;
#ifdef AT_RUN_TIME
c_decl {
	static void parameter(unsigned char *at, const char *name)
	{
		if (getenv(name))
			*at = (unsigned char)atoi(getenv(name));
	}
};
#endif

/*
 * The threads: 0 and 1 are the producer and the consumer of ring 0, 2 and 3 those of ring 1. Side 0
 * of the link has the tx of ring 0 and the rx of ring 1, side 1 the others. One closes for
 * its side.
 */
#if RINGS == 2
#define P	(2 * ring)
#define C	(2 * ring + 1)
#define PARTNER	(3 - 2 * ring)	/* of a producer: the consumer of the same side */
#define SIDE(me) (((me) ^ (me) / 2) & 1)
#define CLOSER(side) (2 * (side))
#else
#define P	0
#define C	1
#define SIDE(me) (me)
#define CLOSER(side) (side)
#endif
#define PEER(me) ((me) ^ 1)

/*
 * Shared words. Of each ring: the data area, the producer's page, the consumer's. Of each side: the
 * closed word and, which is no word, its socket as the peer sees it.
 */
#if RINGS == 2
#define AREA	(ring * PER_RING)
#else
#define AREA	0
#endif
#define DATA_WAKE (AREA + WORDS)
#define TX_ASLEEP (AREA + WORDS + 1)
#define TX_WANTS (AREA + WORDS + 2)
#define HEAD	(AREA + WORDS + 3)
#define RX_ASLEEP (AREA + WORDS + 4)
#define ROOM_WAKE (AREA + WORDS + 5)
#define PER_RING (WORDS + 6)
#define CLOSED(side) (RINGS * PER_RING + 2 * (side))
#define HUP(side) (RINGS * PER_RING + 2 * (side) + 1)

#define IS_SIDES(word) ((word) >= RINGS * PER_RING)
#define SIDE_OF(word) (((word) - RINGS * PER_RING) / 2)
#define WRITER(word) (IS_SIDES(word) -> CLOSER(SIDE_OF(word)) : \
	(word) / PER_RING * 2 + ((word) % PER_RING >= WORDS + 3))

/* Asleep words. */
#define ASLEEP	1
#define MUST_FENCE 4
#define EPOCH	8
#define AT_REST	(MUST_FENCE * HAS(must_fence))

/* What the data area holds: 0; headers, each with the number and size of its message; payloads. */
#define HEADER(number, size) ((number) * 2 + (size) - 1)
#define IS_HEADER(v)	((v) != 0 && (v) < 128)
#define NUMBER(header)	((header) / 2)
#define SIZE(header)	((header) % 2 + 1)
#define PAYLOAD(number)	(128 + (number))

byte mem[RINGS * PER_RING + 4];
chan buffer[2 * RINGS] = [DEPTH] of { byte, byte };	/* stores that nobody else sees yet */
bit sleeping[2 * RINGS];	/* queued in the kernel on the futex that this end waits on */
bit dead[2 * RINGS];	/* killed, and its socket has hung up */
bit done[2 * RINGS];	/* through, and closed if it is the one that closes */

/* For assertions only; the protocol does not read these. */
byte sent[RINGS];	/* messages whose header was stored */
byte visible[RINGS];	/* messages whose header has reached memory */
byte consumed[RINGS];	/* the head that was stored */
byte need[RINGS];	/* of a producer that sleeps: the head it cannot do without, */
byte wanted[RINGS];	/* and the one that it asked for */
bit slipped[RINGS];	/* the last look at tx_asleep overtook the head stored before it */
bit resting[RINGS];	/* the producer waits until all is read, by choice */
bit awake[2 * RINGS] = 1;	/* not between arming and disarming */
bit quiet[2 * RINGS];	/* awake, and seen to be, since the peer began to publish or release */

#if RINGS == 2
byte heir[4];		/* who writes this thread's words: itself, or who closes after it */
#define HEIR(word) heir[WRITER(word)]
#else
#define HEIR(word) WRITER(word)
#endif

hidden byte word, value;

/*
 * Stores reach memory in order, at any time. When, matters only to who loads that very word, to a
 * fence, and to death; so it is there that buffers are drained: before each load of a word the
 * peer's buffer may be drained up to any store to that word. Draining anything earlier, or more,
 * would commute. (With ANYTIME they are drained at any time as well: slower, and must find the
 * same.)
 */
#define drain_one(who) \
	buffer[who]?word,value; \
	mem[word] = value; \
	if \
	:: !IS_SIDES(word) && word % PER_RING < WORDS && IS_HEADER(value) -> \
		visible[word / PER_RING]++ \
	:: else \
	fi
#define drain(who) \
	do \
	:: nempty(buffer[who]) -> drain_one(who) \
	:: empty(buffer[who]) -> break \
	od

/*
 * Each process is a row of atomic steps: at most one load, and what is made of it. ("true" behind a
 * label ends a step: one that jumps from atomic to atomic would go on.) Stores need no step
 * of their own, since nobody sees them go into the buffer. Asserted: each word has one thread that
 * stores it, and one, at the other end of the same ring, that loads it, but for those of a
 * side. So no load is ever forwarded from the own buffer, and two rings share nothing.
 */
#define LOAD(me, x, at) \
	assert(IS_SIDES(at) -> SIDE_OF(at) != SIDE(me) : WRITER(at) == PEER(me)); \
	do \
	:: buffer[HEIR(at)]??[eval(at),_] -> \
		do \
		:: drain_one(HEIR(at)); if :: word == at -> break :: else fi \
		od \
	:: break \
	od; \
	x = mem[at]
#define STORE(me, at, v) \
	assert(HEIR(at) == (me)); assert(nfull(buffer[me])); buffer[me]!at,v
#define FENCE(me, label) STEP(label, drain(me))

/*
 * The kernel compares and queues in one step. futex_wake is a full barrier before it looks who
 * sleeps, which is the kernel's promise; futex_wait is not relied on to be one.
 */
#define FUTEX_WAIT(me, at, seen) \
	atomic { LOAD(me, value, at); if :: value == seen -> sleeping[me] = 1 :: else fi }
#define FUTEX_WAKE(me, peer) \
	atomic { drain(me); sleeping[peer] = 0 }

/* Up to the system call. rung is what was rung for, last_rung what the protocol keeps of it. */
#define RING(me, at, asleep, label) \
	last_rung = asleep; rung = asleep; \
	wakes = wakes + HAS(label); STORE(me, at, wakes)

#if RINGS == 2
/* Side 1 may be a server: it sends nothing but answers, to what it has read. */
#define MAY_SEND (!echo || ring == 0 || sent[1] == LIMIT || sent[1] < consumed[0])
#define LIMIT	(ring -> answers : messages)
#else
#define MAY_SEND true
#define LIMIT	messages
#endif

proctype producer(byte ring)
{
	byte tail, limit, size, h, seen, wants, epoch, a, last_rung, rung, wakes;
	byte spurious, self;
	bit c, modest;

	{
	limit = WORDS; spurious = spurious_times;
next:	if
	:: patient -> resting[ring] = 1;
		atomic { consumed[ring] == tail || done[C] || dead[C] -> resting[ring] = 0 }
	:: atomic { MAY_SEND -> goto pick }
	fi;
pick:	atomic {
		if
		:: sent[ring] == LIMIT || (early && sent[ring] > 0) -> goto close
		:: sent[ring] < LIMIT && (sizes < 2 || sent[ring] % 2) -> size = 1
		:: sent[ring] < LIMIT && sizes != 1 && (!sizes || sent[ring] % 2 == 0) -> size = 2
		fi;
		/* The zero header behind the record needs its place, too. */
		if
		:: tail + size + HAS(room_for_zero) <= limit -> goto publish
		:: else
		fi
	};
look:	true;
	atomic {
		LOAD(P, h, HEAD);
		assert(h + WORDS >= limit && h <= tail);
		limit = h + WORDS; h = 0;
		if
		:: tail + size + HAS(room_for_zero) <= limit -> modest = 0; goto publish
		:: else
		fi
	};
	atomic { LOAD(P, c, CLOSED(SIDE(C))); if :: c -> goto close :: else fi };

	/* Sleep for room: for more than it needs at first, never for more than there is. */
	atomic { STEP(room_snapshot, LOAD(P, seen, ROOM_WAKE)) };
	atomic {
		need[ring] = tail + size + 1 - WORDS;
		wants = (modest -> need[ring] : need[ring] + 2);
		if :: HAS(wants_limit) && wants > tail -> wants = tail :: else fi;
		wanted[ring] = wants;
		STORE(P, TX_WANTS, wants); wants = 0;
		epoch = epoch + (HAS(room_epoch) || !epoch);
		awake[P] = 0; quiet[P] = 0;
		STORE(P, TX_ASLEEP, epoch * EPOCH + ASLEEP);
		FENCE(P, room_heavy);
		if
		:: HAS(room_recheck) -> LOAD(P, h, HEAD);
			if :: h >= need[ring] -> goto disarm :: else -> h = 0 fi
		:: else
		fi
	};
	atomic {
		if
		:: HAS(room_recheck_closed) ->
			LOAD(P, c, CLOSED(SIDE(C))); if :: c -> c = 0; goto disarm :: else fi
		:: else
		fi
	};
	atomic { INSTEAD(room_snapshot, LOAD(P, seen, ROOM_WAKE)) };
	FUTEX_WAIT(P, ROOM_WAKE, seen);
	atomic {
		if
		:: !sleeping[P] -> goto disarm
		/* The slice, where there is something that it must make up for. */
		:: sleeping[P] && HAS(room_slice) && (slipped[ring] || dead[C]) ->
			drain(C); slipped[ring] = 0
		:: sleeping[P] && HAS(room_slice_greedy) && need[ring] <= consumed[ring] &&
			consumed[ring] < wanted[ring] && consumed[ring] < tail ->
			drain(C); slipped[ring] = 0
		:: sleeping[P] && spurious -> spurious--
		fi;
		sleeping[P] = 0; modest = 1
	};
	atomic { LOAD(P, c, CLOSED(SIDE(C))) };
	atomic {
		LOAD(P, h, HUP(SIDE(C)));
		if :: h -> goto hung_up :: else fi
	};
disarm:	atomic {
		awake[P] = 1; need[ring] = 0; wanted[ring] = 0; seen = 0; h = 0; c = 0;
		STEP(room_disarm, STORE(P, TX_ASLEEP, epoch * EPOCH));
		goto look
	};

publish:
	true;
	atomic {
		quiet[C] = (awake[C] && !buffer[C]??[eval(RX_ASLEEP),_]);
		sent[ring]++;
		if
		:: size == 2 && HAS(publish) ->
			STORE(P, AREA + (tail + 1) % WORDS, PAYLOAD(sent[ring]))
		:: else
		fi;
		STEP(zero_behind, STORE(P, AREA + (tail + size) % WORDS, 0));
		STORE(P, AREA + tail % WORDS, HEADER(sent[ring], size));
		if
		:: size == 2 && !HAS(publish) ->
			STORE(P, AREA + (tail + 1) % WORDS, PAYLOAD(sent[ring]))
		:: else
		fi;
		tail = tail + size; size = 0;
		LOAD(P, a, RX_ASLEEP);
		if :: !(a & MUST_FENCE) -> goto bell :: else fi
	};
	atomic {
		FENCE(P, ring_fence);
		STEP(ring_reload, LOAD(P, a, RX_ASLEEP));
bell:		if
		:: !(a & ASLEEP) || (HAS(once_per_sleep) && a == last_rung) ->
			a = 0; goto next
		:: else
		fi;
		assert(!quiet[C]);	/* no system call while both are awake */
		assert(a != rung);	/* and one for each sleep */
		RING(P, DATA_WAKE, a, data_wake); a = 0
	};
	FUTEX_WAKE(P, C);
	goto next;

hung_up:
	true;
	/* An orderly end is never taken for a death. */
	atomic {
		STEP(closed_after_hangup, LOAD(P, c, CLOSED(SIDE(C))));
		assert(c || dead[C])
	};
close:	true;
	atomic {
		awake[P] = 1; need[ring] = 0; wanted[ring] = 0; seen = 0; h = 0; c = 0; size = 0;
		limit = 0; modest = 0; epoch = 0; last_rung = 0; rung = 0; tail = 0;
		/* One closes for its side, and only when no other thread is at work there. */
#if RINGS == 2
		done[PARTNER]; drain(PARTNER); heir[PARTNER] = P;
#endif
		STEP(closed, STORE(P, CLOSED(SIDE(P)), 1));
		FENCE(P, close_fence);
		LOAD(P, a, RX_ASLEEP);
		a = (HAS(close_ring) -> a & ASLEEP : 0);
		if :: a -> wakes++; STORE(P, DATA_WAKE, wakes) :: else fi
	};
	if :: a -> FUTEX_WAKE(P, C) :: else fi;
#if RINGS == 2
	/* The other bell, in the name of the consumer of the other ring. */
	d_step { self = P; ring = 1 - ring; wakes = mem[ROOM_WAKE] };
	atomic {
		LOAD(C, a, TX_ASLEEP);
		a = (HAS(close_ring) -> a & ASLEEP : 0);
		if :: a -> wakes++; STORE(self, ROOM_WAKE, wakes) :: else fi
	};
	if :: a -> FUTEX_WAKE(self, P) :: else fi;
	ring = 1 - ring;
#endif
	atomic { STORE(P, HUP(SIDE(P)), 1); done[P] = 1; a = 0; wakes = 0 }
	} unless { dead[P] }
}

proctype consumer(byte ring)
{
	byte pos, got, size, h, seen, epoch, a, last_rung, rung, wakes;
	byte spurious, lazy;
	bit c, hung_up;

	{
	lazy = lazy_times; spurious = spurious_times;
next:
#if RINGS == 2
	/* One side must be the first to close; else both wait for that, as on sockets. */
	if :: ring == 1 && got == LIMIT -> goto close :: else fi;
#endif
	if
	:: early && got > 0 -> goto close
	:: atomic { lazy -> lazy-- };
		done[P] || dead[P] || resting[ring] || (sleeping[P] && pos < need[ring]);
		goto next
	:: atomic { LOAD(C, h, AREA + pos % WORDS); if :: h -> goto consume :: else fi }
	fi;
	atomic { LOAD(C, c, CLOSED(SIDE(P))); if :: c -> goto ended :: else fi };

	/* Sleep for data. */
	atomic { STEP(data_snapshot, LOAD(C, seen, DATA_WAKE)) };
	atomic {
		epoch = epoch + (HAS(data_epoch) || !epoch);
		awake[C] = 0; quiet[C] = 0;
		STORE(C, RX_ASLEEP, epoch * EPOCH + MUST_FENCE + ASLEEP);
		FENCE(C, data_heavy);
		if
		:: HAS(data_recheck) -> LOAD(C, h, AREA + pos % WORDS);
			if :: h -> h = 0; goto disarm :: else fi
		:: else
		fi
	};
	atomic {
		if
		:: HAS(data_recheck_closed) ->
			LOAD(C, c, CLOSED(SIDE(P))); if :: c -> c = 0; goto disarm :: else fi
		:: else
		fi
	};
	atomic { INSTEAD(data_snapshot, LOAD(C, seen, DATA_WAKE)) };
	FUTEX_WAIT(C, DATA_WAKE, seen);
	atomic {
		if
		:: !sleeping[C] -> goto disarm
		/* The slice: nothing but a death may need it. */
		:: sleeping[C] && dead[P] -> skip
		:: sleeping[C] && spurious -> spurious--
		fi;
		sleeping[C] = 0
	};
	atomic { LOAD(C, c, CLOSED(SIDE(P))) };
	atomic { LOAD(C, hung_up, HUP(SIDE(P))) };
disarm:	atomic {
		awake[C] = 1; seen = 0;
		STEP(data_disarm, STORE(C, RX_ASLEEP, epoch * EPOCH + AT_REST));
		if :: !hung_up -> c = 0; goto next :: else -> hung_up = 0 fi;
		STEP(closed_after_hangup, LOAD(C, c, CLOSED(SIDE(P))))
	};

ended:	/* The peer said so, or its socket has hung up. First all that it left. */
	true;
	atomic {
		STEP(drain_after_closed, LOAD(C, h, AREA + pos % WORDS));
		if :: h -> c = 0; goto consume :: else fi;
		if
		:: c -> assert(got == sent[ring])					/* -EPIPE */
		:: else ->							/* -ECONNRESET */
			assert(dead[P] && !mem[CLOSED(SIDE(P))] && got == visible[ring])
		fi;
		c = 0;
		goto close
	};

consume:
	atomic {
		assert(IS_HEADER(h)); assert(NUMBER(h) == got + 1);
		size = SIZE(h); h = 0;
		INSTEAD(head, STORE(C, HEAD, pos + size));
		if :: size == 1 -> goto release :: else fi
	};
	atomic {
		LOAD(C, h, AREA + (pos + 1) % WORDS);
		assert(h == PAYLOAD(got + 1)); h = 0
	};
release:
	true;
	atomic {
		quiet[P] = (awake[P] && !buffer[P]??[eval(TX_ASLEEP),_]);
		got++; pos = pos + size; consumed[ring] = pos; size = 0;
		STEP(head, STORE(C, HEAD, pos));
		if :: drain(C); slipped[ring] = 0 :: slipped[ring] = 1 fi;
		STEP(room_look, LOAD(C, a, TX_ASLEEP));
		if
		:: !(a & ASLEEP) || (HAS(room_once) && a == last_rung) ->
			a = 0; goto next
		:: else
		fi
	};
	atomic {
		LOAD(C, h, TX_WANTS);
		if :: pos < h -> a = 0; h = 0; goto next :: else -> h = 0 fi;
		assert(!quiet[P]);
		assert(a != rung);
		RING(C, ROOM_WAKE, a, room_wake); a = 0
	};
	FUTEX_WAKE(C, P);
	goto next;

close:	true;
	atomic {
		pos = 0; epoch = 0; last_rung = 0; rung = 0; lazy = 0;
#if RINGS == 2
		done[C] = 1; goto through;
#endif
		STEP(closed, STORE(C, CLOSED(SIDE(C)), 1));
		FENCE(C, close_fence);
		LOAD(C, a, TX_ASLEEP);
		a = (HAS(close_ring) -> a & ASLEEP : 0);
		if :: a -> wakes++; STORE(C, ROOM_WAKE, wakes) :: else fi
	};
	if :: a -> FUTEX_WAKE(C, P) :: else fi;
	atomic { STORE(C, HUP(SIDE(C)), 1); done[C] = 1; a = 0; wakes = 0 };
through:
	skip
	} unless { dead[C] }
}

/*
 * A process may be killed between any two of its steps: then some first part of its buffer has
 * reached memory, the rest never does (x86 would lose none of it), and the socket hangs up.
 */
#define DIE(me, hup) \
	do \
	:: nempty(buffer[me]) -> drain_one(me) \
	:: break \
	od; \
	do \
	:: nempty(buffer[me]) -> buffer[me]?_,_ \
	:: empty(buffer[me]) -> break \
	od; \
	mem[hup] = 1; dead[me] = 1; awake[me] = 0; quiet[me] = 0

#if RINGS == 1
proctype killer()
{
end:	if
	:: atomic { may_kill && !done[P] -> DIE(P, HUP(SIDE(P))) }
	:: atomic { may_kill && !done[C] -> DIE(C, HUP(SIDE(C))) }
	fi
}

proctype memory()
{
end:	do
	:: atomic { anytime && nempty(buffer[P]) -> drain_one(P) }
	:: atomic { anytime && nempty(buffer[C]) -> drain_one(C) }
	od
}
#endif

init
{
	byte ring;

	atomic {
#ifdef AT_RUN_TIME
		c_code {
			parameter(&messages, "MESSAGES"); parameter(&patient, "PATIENT");
			parameter(&lazy_times, "LAZY"); parameter(&spurious_times, "SPURIOUS");
			parameter(&early, "EARLY"); parameter(&may_kill, "KILL");
			parameter(&answers, "ANSWERS"); parameter(&echo, "ECHO");
			parameter(&sizes, "SIZES"); parameter(&anytime, "ANYTIME");
			parameter(&gone, "GONE");
		};
#endif
		do
		:: ring < RINGS ->
#if RINGS == 2
			heir[P] = P; heir[C] = C;
#endif
			mem[RX_ASLEEP] = AT_REST;
			run producer(ring); run consumer(ring);
			ring++
		:: else -> break
		od;
		ring = 0;
#if RINGS == 1
		run killer(); run memory()
#endif
	}
}
