/*
 * SPDX-License-Identifier: MIT
 *
 * One ring and its two bells under x86-like store buffers: a producer, a consumer, the memory
 * between them, and a killer; with RINGS=2 both rings of a link, two threads a side. It follows
 * peal_publish, peal_hold, peal_publish_pending, peal_advance, sleep_once, peal_link_arm and
 * peal_close load by load and store by store, and knows nothing of handshakes, fragments, deadlines
 * or hostile peers.
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
#ifndef ASYMMETRIC
#define ASYMMETRIC 0	/* the word asks for fences: 0 always, 1 never, 2 now and then */
#endif
#ifndef FAIL
#define FAIL	0	/* from some moment on it does always, since membarrier has failed */
#endif
#ifndef DESCRIPTOR
#define DESCRIPTOR 0	/* the consumer goes on to sleep by: 1 socket, 2 eventfd, edge-triggered */
#endif
#ifndef DIRECT
#define DIRECT	0	/* with DESCRIPTOR: some waits are those of event loops */
#endif
#ifndef BATCH
#define BATCH	0	/* messages may be left to a later publication */
#endif
#ifndef ROOM_DESCRIPTOR
#define ROOM_DESCRIPTOR 0 /* the producer waits for room in an event loop */
#endif
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
#define ID_loaded_fence 33
#define ID_second_look 34
#define ID_room_fence 36
#define ID_acknowledged_since 37
#define ID_ask_room_fence 38
#define ID_drain 39
#define ID_drain_before_arm 40
#define ID_descriptor_epoch 41
#define ID_descriptor_heavy 42
#define ID_descriptor_recheck 43
#define ID_descriptor_ring 44
#define ID_zero_batch 45
#define ID_publish_batch 46
#define ID_hold 47
#define ID_flush_first 48
#define ID_room_stores_out 49
#define ID_stores_out 50
#define ID_room_descriptor_ring 51
#define ID_unfence 52
#include "labels.pml"

hidden byte messages = MESSAGES, patient = PATIENT, lazy_times = LAZY, spurious_times = SPURIOUS;
hidden byte early = EARLY, may_kill = KILL;
hidden byte answers = ANSWERS, echo = ECHO, sizes = SIZES, anytime = ANYTIME;
hidden byte asymmetric = ASYMMETRIC, may_fail = FAIL;
hidden byte descriptor = DESCRIPTOR, direct = DIRECT;
hidden byte batch = BATCH, by_room = ROOM_DESCRIPTOR;
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
#define DATA_ACKNOWLEDGED (AREA + WORDS + 3)
#define HEAD	(AREA + WORDS + 4)
#define RX_ASLEEP (AREA + WORDS + 5)
#define ROOM_WAKE (AREA + WORDS + 6)
#define PER_RING (WORDS + 7)
#define CLOSED(side) (RINGS * PER_RING + 2 * (side))
#define HUP(side) (RINGS * PER_RING + 2 * (side) + 1)

#define IS_SIDES(word) ((word) >= RINGS * PER_RING)
#define SIDE_OF(word) (((word) - RINGS * PER_RING) / 2)
#define WRITER(word) (IS_SIDES(word) -> CLOSER(SIDE_OF(word)) : \
	(word) / PER_RING * 2 + ((word) % PER_RING >= WORDS + 4))

/* Asleep words, but for PEAL_ASLEEP_TIMED, which nothing is decided by. */
#define ASLEEP	1
#define BY_DESCRIPTOR 2
#define MUST_FENCE 4
#define EPOCH	8	/* the last one that fits is asserted */
#define AT_REST	(MUST_FENCE * HAS(must_fence))

/* What the data area holds: 0; headers, each with the number and size of its message; payloads. */
#define HEADER(number, size) ((number) * 2 + (size) - 1)
#define IS_HEADER(v)	((v) != 0 && (v) < 128)
#define NUMBER(header)	((header) / 2)
#define SIZE(header)	((header) % 2 + 1)
#define PAYLOAD(number)	(128 + (number))

bit sleeping[2 * RINGS];	/* queued in the kernel on the futex that this end waits on */
byte pending[RINGS];	/* on the consumer's descriptor: bytes in a socket, or an edge not yet seen */
bit room_pending[RINGS]; /* on the producer's: a byte in its socket */
bit dead[2 * RINGS];	/* killed, and its socket has hung up */
bit done[2 * RINGS];	/* through, and closed if it is the one that closes */

/* For assertions only; the protocol does not read these. */
byte sent[RINGS];	/* messages whose header was stored */
byte visible[RINGS];	/* messages whose header has reached memory */
byte consumed[RINGS];	/* the head that was stored */
bit fresh[RINGS];	/* the descriptor was rung since it last woke the consumer */
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

/*
 * Each process is a row of atomic steps: at most one load, and what is made of it. ("true" behind a
 * label ends a step: one that jumps from atomic to atomic would go on.) Stores need no step
 * of their own, since nobody sees them go into the buffer. Asserted: each word has one thread that
 * stores it, and one, at the other end of the same ring, that loads it, but for those of a
 * side. So no load is ever forwarded from the own buffer, and two rings share nothing. (With ANYTIME
 * buffers are drained at any time as well: slower, and must find the same.)
 */
#define THREADS	(2 * RINGS)
#define ALL_WORDS (RINGS * PER_RING + 4)
#define MAY_LOAD(me, at) \
	(IS_SIDES(at) -> SIDE_OF(at) != SIDE(me) : WRITER(at) == PEER(me))
#define REACHED \
	if \
	:: !IS_SIDES(word) && word % PER_RING < WORDS && IS_HEADER(value) -> \
		visible[word / PER_RING]++ \
	:: else \
	fi
#include "memory.pml"

/*
 * The kernel compares and queues in one step. futex_wake is a full barrier before it looks who
 * sleeps, which is the kernel's promise; futex_wait is not relied on to be one.
 */
#define FUTEX_WAIT(me, at, seen) \
	LOAD(me, value, at); if :: value == seen -> sleeping[me] = 1 :: else fi
#define FUTEX_WAKE(me, peer) \
	atomic { drain(me); sleeping[peer] = 0 }

/*
 * The data bell is rung by what the asleep word names. A socket that is full is rung already. What
 * wakes by a descriptor sees all that was stored before it was rung: the kernel's locks see to that.
 */
#define SOCKET_HOLDS 2
#define RING_BY(asleep) \
	atomic { \
		drain(P); \
		if \
		:: !((asleep) & BY_DESCRIPTOR) || !HAS(descriptor_ring) -> sleeping[C] = 0 \
		:: else -> fresh[ring] = 1; \
			if \
			:: descriptor == 1 && pending[ring] < SOCKET_HOLDS -> pending[ring]++ \
			:: descriptor == 2 -> pending[ring] = 1 \
			:: else \
			fi \
		fi \
	}
/* The room bell, likewise. */
#define RING_ROOM_BY(asleep) \
	atomic { \
		drain(C); \
		if \
		:: !((asleep) & BY_DESCRIPTOR) || !HAS(room_descriptor_ring) -> sleeping[P] = 0 \
		:: else -> room_pending[ring] = 1 \
		fi \
	}
/* Reads the socket empty, or lets go by an edge that nobody waits for. */
#define DRAIN	pending[ring] = 0

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
	byte held, first;	/* of a batch: the header of the first message, and where it goes */
	bit c, modest, remembered;
	bit asked;	/* the word asks for fences, for good */

	{
	limit = WORDS; spurious = spurious_times; remembered = 1;
next:	if
	:: patient && !held -> resting[ring] = 1;
		atomic { consumed[ring] == tail || done[C] || dead[C] -> resting[ring] = 0 }
	:: atomic { MAY_SEND -> goto pick }
	fi;
pick:	atomic {
		if
		:: sent[ring] == LIMIT || (early && sent[ring] > 0) ->
			if :: held -> goto flush :: else -> goto close fi
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
		/* What is pending may be what it waits for. */
		:: else -> if :: held && HAS(flush_first) -> size = 0; goto flush :: else fi
		fi
	};
	atomic { LOAD(P, c, CLOSED(SIDE(C))); if :: c -> goto close :: else fi };

	/*
	 * Sleep for room: by futex for more than it needs at first, never for more than there is; by
	 * descriptor, where there are no slices, for just that.
	 */
	atomic {
		if
		:: by_room -> room_pending[ring] = 0
		:: else -> STEP(room_snapshot, LOAD(P, seen, ROOM_WAKE))
		fi
	};
	atomic {
		need[ring] = tail + size + 1 - WORDS;
		wants = (modest || by_room -> need[ring] : need[ring] + 2);
		if :: HAS(wants_limit) && wants > tail -> wants = tail :: else fi;
		wanted[ring] = wants;
		STORE(P, TX_WANTS, wants); wants = 0;
		epoch = epoch + (HAS(room_epoch) || !epoch);
		awake[P] = 0; quiet[P] = 0;
		STORE(P, TX_ASLEEP,
			epoch * EPOCH + (MUST_FENCE * HAS(ask_room_fence) + BY_DESCRIPTOR) * by_room + ASLEEP);
		FENCE(P, room_heavy)
	};
	/* The consumer may not have known yet that it has to fence. */
	atomic { if :: by_room && !asked -> asked = 1; STEP(room_stores_out, drain(C)) :: else fi };
	atomic {
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
	if
	:: by_room ->
		/* No slice; its own end of the socket tells of a death, and nothing is asked of it. */
		atomic {
			sleeping[P] = 1;
			if
			:: room_pending[ring] -> sleeping[P] = 0
			:: dead[C] || done[C] -> sleeping[P] = 0; drain(C)
			fi
		};
		goto woken
	:: else
	fi;
	atomic { INSTEAD(room_snapshot, LOAD(P, seen, ROOM_WAKE)) };
	atomic { FUTEX_WAIT(P, ROOM_WAKE, seen) };
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
woken:	atomic { LOAD(P, c, CLOSED(SIDE(C))) };
	atomic {
		LOAD(P, h, HUP(SIDE(C)));
		if :: h -> goto hung_up :: else fi
	};
disarm:	atomic {
		awake[P] = 1; need[ring] = 0; wanted[ring] = 0; seen = 0; h = 0; c = 0;
		STEP(room_disarm,
			STORE(P, TX_ASLEEP, epoch * EPOCH + MUST_FENCE * HAS(ask_room_fence) * by_room));
		goto look
	};

publish:
	if
	/*
	 * A batch: the header of its first message is kept, those of the others are stored as they come,
	 * and nothing is zeroed but what is behind the last, just before the first is published.
	 */
	:: batch -> atomic {
		sent[ring]++;
		if :: size == 2 -> STORE(P, AREA + (tail + 1) % WORDS, PAYLOAD(sent[ring])) :: else fi;
		if
		:: held -> STEP(hold, STORE(P, AREA + tail % WORDS, HEADER(sent[ring], size)))
		:: else ->
			held = HEADER(sent[ring], size); first = tail;
			INSTEAD(publish_batch, STORE(P, AREA + tail % WORDS, held))
		fi;
		tail = tail + size; size = 0
	};
		goto next
	:: held -> size = 0; goto flush
	:: !held -> goto publish_one
	fi;
flush:	true;
	atomic {
		quiet[C] = (awake[C] && !IN_FLIGHT(RX_ASLEEP));
		STEP(zero_batch, STORE(P, AREA + tail % WORDS, 0));
		STEP(publish_batch, STORE(P, AREA + first % WORDS, held));
		held = 0; first = 0;
		goto see
	};
publish_one:
	true;
	atomic {
		quiet[C] = (awake[C] && !IN_FLIGHT(RX_ASLEEP));
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
see:		LOAD(P, a, RX_ASLEEP);
		/* To fence or not goes by what was just loaded, not by what was loaded some time ago. */
		if
		:: HAS(loaded_fence) -> c = (a & MUST_FENCE) != 0
		:: else -> c = remembered; remembered = (a & MUST_FENCE) != 0
		fi;
		if :: !c -> goto bell :: else -> c = 0 fi
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
		if :: asymmetric -> STORE(P, DATA_ACKNOWLEDGED, a) :: else fi;
		RING(P, DATA_WAKE, a, data_wake); a = 0
	};
	RING_BY(rung);
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
		limit = 0; modest = 0; epoch = 0; last_rung = 0; rung = 0; tail = 0; held = 0; first = 0;
		asked = 0;
		/* One closes for its side, and only when no other thread is at work there. */
#if RINGS == 2
		done[PARTNER]; drain(PARTNER); heir[PARTNER] = P;
#endif
		STEP(closed, STORE(P, CLOSED(SIDE(P)), 1));
		FENCE(P, close_fence);
		LOAD(P, a, RX_ASLEEP);
		a = (HAS(close_ring) && (a & ASLEEP) -> a & (ASLEEP + BY_DESCRIPTOR) : 0);
		if :: a -> wakes++; STORE(P, DATA_WAKE, wakes) :: else fi
	};
	if :: a -> RING_BY(a) :: else fi;
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
	byte since;	/* the first sleep whose word carried bit 2 again, and the ringer may not know */
	bit c, hung_up;
	bit by;		/* descriptor, not futex, */
	bit loop;	/* and it is the program that waits: nobody looks again later */
	bit light;	/* the word carries no bit 2 */
	bit forgone;	/* it will for good */
	bit sure;	/* this sleep has had its second look */

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
	atomic {
		if
		:: !by -> STEP(data_snapshot, LOAD(C, seen, DATA_WAKE))
		:: by && HAS(drain_before_arm) -> STEP(drain, DRAIN)
		:: else
		fi
	};
arm:	atomic {
		epoch = epoch + ((by -> HAS(descriptor_epoch) : HAS(data_epoch)) || epoch == 0);
		assert(epoch < 256 / EPOCH);
		sure = 0;
		if :: loop -> forgone = 1 :: else fi;
		if
		:: asymmetric && !forgone -> light = 1; since = 0
		:: asymmetric != 1 || forgone -> if :: light -> light = 0; since = epoch :: else fi
		fi;
		awake[C] = 0; quiet[C] = 0;
		STORE(C, RX_ASLEEP,
			epoch * EPOCH + MUST_FENCE * (1 - light) + BY_DESCRIPTOR * by + ASLEEP);
		/*
		 * HEAVY: a fence; and a membarrier where the word carries no bit 2. That one only helps: Linux
		 * leaves CPUs out at times, so nothing is made of it here, but that it may fail. So a
		 * publication may slip by whose ringer did not fence, or could not know yet that it must. It
		 * knows once it has loaded a word that has bit 2 and is not of the times before: that shows
		 * when it rings for one.
		 */
		if :: (by -> HAS(descriptor_heavy) : HAS(data_heavy)) -> drain(C) :: else fi;
		if :: light && may_fail && !loop -> forgone = 1; goto arm :: true fi;
		if :: loop && since -> since = 0; STEP(stores_out, drain(P)) :: else fi
	};
	atomic {
		if
		:: (by -> HAS(descriptor_recheck) : HAS(data_recheck)) ->
			LOAD(C, h, AREA + pos % WORDS);
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
	atomic {
		if
		:: !by -> INSTEAD(data_snapshot, LOAD(C, seen, DATA_WAKE))
		:: else -> INSTEAD(drain_before_arm, DRAIN)
		fi;
		INSTEAD(unfence, STORE(C, RX_ASLEEP, epoch * EPOCH))
	};
sleep:	atomic { if :: !by -> FUTEX_WAIT(C, DATA_WAKE, seen) :: else fi };
	atomic {
		if
		:: !by && !sleeping[C] -> goto disarm
		/* The bytes stay, the edge is gone once it was seen. */
		:: by && pending[ring] ->
			assert(fresh[ring]);	/* no bell wakes twice */
			fresh[ring] = 0;
			if :: descriptor == 2 -> pending[ring] = 0 :: else fi;
			goto disarm
		:: by && (mem[HUP(SIDE(P))] || IN_FLIGHT(HUP(SIDE(P)))) ->
			drain(HEIR(HUP(SIDE(P))))
		/* The slice: nothing but a death may need it, */
		:: !by && sleeping[C] && dead[P] -> skip
		:: (by || sleeping[C]) && spurious -> spurious--
		/*
		 * and a publication that may have slipped by. By now all stores are out, and whoever looks sees
		 * us asleep; so one look is enough, and then the sleep goes on.
		 */
		:: (by || sleeping[C]) && (light || since) && !loop && !sure && HAS(second_look) ->
			drain(P); since = 0; sure = 1; sleeping[C] = 0;
			LOAD(C, h, AREA + pos % WORDS);
			if :: h -> h = 0 :: else -> goto sleep fi
		/* After the slice: by descriptor. */
		:: !by && sleeping[C] && descriptor -> by = 1
		fi;
		sleeping[C] = 0
	};
	atomic { LOAD(C, c, CLOSED(SIDE(P))) };
	atomic { LOAD(C, hung_up, HUP(SIDE(P))) };
disarm:	atomic {
		awake[C] = 1; seen = 0;
		STEP(data_disarm, STORE(C, RX_ASLEEP, epoch * EPOCH + AT_REST * (1 - light)));
		if
		:: !hung_up ->
			c = 0;
			if
			:: since -> LOAD(C, h, DATA_ACKNOWLEDGED);
				if
				:: (h & MUST_FENCE) && (h >= since * EPOCH || !HAS(acknowledged_since)) ->
					since = 0
				:: else
				fi;
				h = 0
			:: else
			fi;
			goto next
		:: else -> hung_up = 0
		fi;
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
		if :: by = 0; loop = 0 :: direct && descriptor -> by = 1; loop = 1 fi;
		/* Fences may be given up at any time, while awake as well. */
		if
		:: asymmetric == 2 && !light && !forgone ->
			light = 1; since = 0;
			STEP(unfence, STORE(C, RX_ASLEEP, epoch * EPOCH))
		:: true
		fi;
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
		quiet[P] = (awake[P] && !IN_FLIGHT(TX_ASLEEP));
		got++; pos = pos + size; consumed[ring] = pos; size = 0;
		STEP(head, STORE(C, HEAD, pos));
		if :: drain(C); slipped[ring] = 0 :: slipped[ring] = 1 fi;
		STEP(room_look, LOAD(C, a, TX_ASLEEP));
		if :: !(a & (ASLEEP + MUST_FENCE)) -> a = 0; goto next :: else fi
	};
	atomic {
		if :: HAS(room_fence) -> drain(C); slipped[ring] = 0 :: else fi;
		LOAD(C, a, TX_ASLEEP);
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
	RING_ROOM_BY(rung);
	goto next;

close:	true;
	atomic {
		pos = 0; epoch = 0; last_rung = 0; rung = 0; lazy = 0;
		by = 0; loop = 0; light = 0; forgone = 0; since = 0; sure = 0;
#if RINGS == 2
		done[C] = 1; goto through;
#endif
		STEP(closed, STORE(C, CLOSED(SIDE(C)), 1));
		FENCE(C, close_fence);
		LOAD(C, a, TX_ASLEEP);
		a = (HAS(close_ring) && (a & ASLEEP) -> a & (ASLEEP + BY_DESCRIPTOR) : 0);
		if :: a -> wakes++; STORE(C, ROOM_WAKE, wakes) :: else fi
	};
	if :: a -> RING_ROOM_BY(a) :: else fi;
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
	drain_some(me); \
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
			parameter(&asymmetric, "ASYMMETRIC"); parameter(&may_fail, "FAIL");
			parameter(&descriptor, "DESCRIPTOR"); parameter(&direct, "DIRECT");
			parameter(&batch, "BATCH"); parameter(&by_room, "ROOM_DESCRIPTOR");
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
