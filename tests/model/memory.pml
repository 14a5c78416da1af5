/*
 * SPDX-License-Identifier: MIT
 *
 * Memory as x86 has it: behind each thread a buffer of stores that nobody else sees yet, which
 * reach memory in order, at any time. Who includes this has said how many threads and words there
 * are (THREADS, ALL_WORDS), how deep a buffer is (DEPTH; that it never fills is asserted), in whose
 * buffer a word is stored (HEIR), who may load it (MAY_LOAD), and what is noted when a store has
 * reached memory (REACHED).
 */

byte mem[ALL_WORDS];
chan buffer[THREADS] = [DEPTH] of { byte, byte };	/* words and values */

hidden byte word, value;

/*
 * When a store reaches memory matters only to who loads that very word, to a fence, and to death; so
 * it is there that buffers are drained: before each load of a word the writer's buffer may be
 * drained up to any store to that word. Draining anything earlier, or more, would commute.
 */
#define drain_one(who) \
	buffer[who]?word,value; \
	mem[word] = value; \
	REACHED
#define drain(who) \
	do \
	:: nempty(buffer[who]) -> drain_one(who) \
	:: empty(buffer[who]) -> break \
	od
/* Some first part of it, and the rest never. */
#define drain_some(who) \
	do \
	:: nempty(buffer[who]) -> drain_one(who) \
	:: break \
	od; \
	do \
	:: nempty(buffer[who]) -> buffer[who]?_,_ \
	:: empty(buffer[who]) -> break \
	od
#define IN_FLIGHT(at) (buffer[HEIR(at)]??[eval(at),_])

#define LOAD(me, x, at) \
	assert(MAY_LOAD(me, at)); \
	do \
	:: IN_FLIGHT(at) -> \
		do \
		:: drain_one(HEIR(at)); if :: word == at -> break :: else fi \
		od \
	:: break \
	od; \
	x = mem[at]
#define STORE(me, at, v) \
	assert(HEIR(at) == (me)); assert(nfull(buffer[me])); buffer[me]!at,v
#define FENCE(me, label) STEP(label, drain(me))
