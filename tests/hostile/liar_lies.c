/*
 * SPDX-License-Identifier: MIT
 *
 * The lies of the liar. See liar_lies.h.
 */
#include "config.h"

#include "tests/hostile/liar_lies.h"

#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WORD 8
#define LONGEST 4096

uint64_t liar_chance(struct liar *liar, uint64_t below)
{
	uint64_t *x = &liar->random;

	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return (*x >> 11) % below;
}

bool liar_may_cut(const struct liar *liar)
{
	return (liar->wire.features & liar->wire.offered & FRAGMENTS) &&
	       liar->wire.their_max > liar->wire.own_capacity - 16;
}

static void fill(uint8_t *to, uint32_t tag, size_t length)
{
	for (size_t i = 0; i < length; i++)
		to[i] = message_byte(tag, i);
}

/* In two records; the total before the first part. */
static bool say_in_two(struct liar *liar, uint32_t flags, uint32_t tag, const uint8_t *bytes,
		       uint64_t length)
{
	uint8_t first[WORD + LONGEST];
	uint64_t cut = 1 + liar_chance(liar, length - 1);

	if (!wire_has_room(&liar->wire, length + 64))
		return false;
	memcpy(first, &length, WORD);
	memcpy(first + WORD, bytes, cut);
	return wire_say(&liar->wire, MORE, tag, first, WORD + cut) &&
	       wire_say(&liar->wire, flags, tag, bytes + cut, length - cut);
}

bool liar_say(struct liar *liar, uint32_t flags, uint32_t tag, size_t length)
{
	uint8_t bytes[LONGEST];

	if (liar->mute || length > LONGEST || length > liar->wire.their_max)
		return false;
	fill(bytes, tag, length);
	if (length > 1 && liar_may_cut(liar) && !liar_chance(liar, 4))
		return say_in_two(liar, flags, tag, bytes, length);
	return wire_say(&liar->wire, flags, tag, bytes, length);
}

/*
 * Headers. The next one is the lie, and stays it.
 */

#define TIMES_CAPACITY (UINT64_C(1) << 40) /* the argument's low half is added to it */

static bool show_header(struct liar *liar, uint64_t argument)
{
	uint64_t header = argument;

	if (argument >> 32 == TIMES_CAPACITY >> 32)
		header = (uint32_t)(liar->wire.own_capacity + (uint32_t)argument);
	wire_show(&liar->wire, header);
	wire_ring_data(&liar->wire);
	liar->mute = true;
	return true;
}

static bool show_over_max(struct liar *liar, uint64_t argument)
{
	if (liar->wire.their_max + 2 > liar->wire.own_capacity - 16)
		return false;
	return show_header(liar, liar->wire.their_max + argument);
}

/* A ring of messages of nothing, in which no header is ever 0. */
static bool fill_with_nothing(struct liar *liar, uint64_t header)
{
	if (liar->mute)
		return false;
	for (uint64_t at = 0; at < liar->wire.own_capacity; at += 8)
		__atomic_store_n((uint64_t *)(void *)(liar->wire.own + liar->wire.page + at),
				 header, __ATOMIC_RELEASE);
	return liar->mute = true;
}

/* A record with these flags whose payload begins with this word, and nothing behind it. */
static bool say_word(struct liar *liar, uint32_t flags, uint64_t word, uint64_t length)
{
	uint8_t bytes[LONGEST] = { 0 };

	memcpy(bytes, &word, WORD);
	if (liar->mute || !wire_say(&liar->wire, flags, liar->tag + 1, bytes, length))
		return false;
	liar->tag++;
	return true;
}

/* Control records: of a kind, a code, and a length. */
#define OF(kind, code, length) ((uint64_t)(length) << 48 | (uint64_t)(code) << 32 | (kind))

static bool say_control(struct liar *liar, uint64_t argument)
{
	uint64_t word = argument & (UINT64_MAX >> 16);

	liar->mute = say_word(liar, CONTROL, word, argument >> 48);
	return liar->mute;
}

static bool say_last_control(struct liar *liar, uint64_t argument)
{
	liar->mute = say_word(liar, CONTROL | LAST, argument, WORD);
	return liar->mute;
}

/* Harmless, where calls were agreed on. */
static bool say_of_calls(struct liar *liar, uint64_t argument)
{
	uint64_t word = argument & (UINT64_MAX >> 16);
	uint8_t bytes[LONGEST];

	if (!(liar->wire.features & CALLS) || liar->mute)
		return false;
	memset(bytes, (int)liar_chance(liar, 256), sizeof(bytes));
	memcpy(bytes, &word, WORD);
	return wire_say(&liar->wire, CONTROL, (uint32_t)liar_chance(liar, 64), bytes,
			argument >> 48);
}

static bool abandon(struct liar *liar, uint64_t times)
{
	if (!liar_may_cut(liar) || liar->mute || liar->abandons + times > 900)
		return false;
	while (times-- && wire_has_room(&liar->wire, WORD)) {
		liar->abandons++;
		liar->tag--;
		say_word(liar, CONTROL, 1, WORD);
	}
	return true;
}

/*
 * Fragments.
 */

#define FIRST 20

/* A first one with this total and so many bytes of it. */
static bool begin_long(struct liar *liar, uint64_t total, uint64_t bytes)
{
	return wire_has_room(&liar->wire, 512) && say_word(liar, MORE, total, WORD + bytes);
}

static bool lie_in_total(struct liar *liar, uint64_t total)
{
	liar->mute = begin_long(liar, total, FIRST);
	return liar->mute;
}

static bool lie_over_max(struct liar *liar, uint64_t more)
{
	return lie_in_total(liar, liar->wire.their_max + more);
}

/* The payload of a first one has so many bytes, its total's included. */
static bool begin_with_nothing(struct liar *liar, uint64_t bytes)
{
	liar->mute = say_word(liar, MORE, 100, bytes);
	return liar->mute;
}

/* Of 100 bytes 20; then a record with these flags, and of this length, for all the others. */
static bool go_on_with(struct liar *liar, uint64_t argument)
{
	if (!begin_long(liar, 100, FIRST))
		return false;
	liar->tag--;
	liar->mute = say_word(liar, (uint32_t)argument, 2, argument >> 32);
	return liar->mute;
}

static bool go_on_elsewhere(struct liar *liar, uint64_t flags)
{
	liar->mute = begin_long(liar, 100, FIRST) && say_word(liar, (uint32_t)flags, 2, 10);
	return liar->mute;
}

/* A part of one byte after the other, up to the total and beyond. */
static bool never_end(struct liar *liar, uint64_t total)
{
	uint32_t tag = liar->tag + 1;

	if (!wire_has_room(&liar->wire, 40 * total) || !begin_long(liar, total, 1))
		return false;
	while (total--)
		wire_say(&liar->wire, MORE, tag, "x", 1);
	return liar->mute = true;
}

/* One that is given up, and then one that is begun and left so. */
static bool give_up(struct liar *liar, uint64_t total)
{
	if (!liar_may_cut(liar) || !begin_long(liar, total, FIRST))
		return false;
	liar->tag -= 2;
	return say_word(liar, CONTROL, 1, WORD);
}

static bool leave_begun(struct liar *liar, uint64_t total)
{
	if (!liar_may_cut(liar) || liar->mute)
		return false;
	liar->mute = begin_long(liar, total, FIRST);
	return liar->mute;
}

/*
 * The head.
 */

/* Beside the true one by so much. */
static bool move_head(struct liar *liar, uint64_t by)
{
	if (liar->deaf)
		return false;
	wire_put64(&liar->wire, AT_HEAD, liar->wire.read + by);
	wire_ring_room(&liar->wire);
	return liar->deaf = true;
}

/* More than all that can have been sent. */
static bool head_ahead(struct liar *liar, uint64_t by)
{
	return move_head(liar, liar->wire.their_capacity + by);
}

static bool set_head(struct liar *liar, uint64_t head)
{
	return move_head(liar, head - liar->wire.read);
}

/*
 * Words of which any value is harmless, and the others.
 */

static uint64_t any(uint64_t x)
{
	return x % 3 ? x >> (x >> 58) : x & 31;
}

static void scribble(struct wire *wire, uint64_t x, bool wakes)
{
	static const enum wire_word words[] = { AT_RX_ASLEEP,         AT_TX_ASLEEP,
						AT_ROOM_ACKNOWLEDGED, AT_DATA_ACKNOWLEDGED,
						AT_RX_BULK,           AT_TX_BULK,
						AT_TX_BULK_AROUND };
	static const enum wire_word longs[] = { AT_TX_WANTS, AT_ROOM_RUNG_NS, AT_DATA_RUNG_NS };

	if (wakes)
		wire_put32(wire, x & 1 ? AT_ROOM_WAKE : AT_DATA_WAKE, (uint32_t)any(x * 5));
	else if (x & 4)
		wire_put32(wire, words[(x >> 3) % 7], (uint32_t)any(x * 3));
	else
		wire_put64(wire, longs[x % 3], any(x * 7));
}

static bool change_words(struct liar *liar, uint64_t times)
{
	while (times--)
		scribble(&liar->wire, liar_chance(liar, UINT64_MAX), false);
	return true;
}

static bool change_wakes(struct liar *liar, uint64_t times)
{
	while (times--)
		scribble(&liar->wire, liar_chance(liar, UINT64_MAX), true);
	return true;
}

static bool deface(struct liar *liar, uint64_t value)
{
	wire_put64(&liar->wire, 0, value);             /* magic and layout */
	wire_put64(&liar->wire, AT_CLOSED + 8, value); /* spare */
	wire_put64(&liar->wire, AT_HEAD + 8, value);
	return true;
}

static bool claim_close(struct liar *liar, uint64_t closed)
{
	if (!closed && (liar->lied & LIED_CLOSED))
		return false;
	wire_put64(&liar->wire, AT_CLOSED, closed);
	wire_ring_data(&liar->wire);
	wire_ring_room(&liar->wire);
	return true;
}

static bool take_back_close(struct liar *liar, uint64_t closed)
{
	claim_close(liar, closed);
	usleep((useconds_t)liar_chance(liar, 200));
	return claim_close(liar, 0);
}

/*
 * The socket and the bells.
 */

static bool send_bytes(struct liar *liar, uint64_t count)
{
	if (count < 100 && (liar->bytes += (uint32_t)count) > 40)
		return false;
	while (count-- && send(liar->wire.fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
		;
	return true;
}

/* A bell for nothing, by descriptor or else by futex. */
static bool ring_bells(struct liar *liar, uint64_t count)
{
	struct wire *wire = &liar->wire;

	if (count < 100 && (wire->their_bell < 0 || (liar->bells += (uint32_t)count) > 400))
		return false;
	while (count--)
		wire_ring_anyway(wire);
	return true;
}

static bool ring_once(struct liar *liar, uint64_t argument)
{
	(void)argument;
	wire_ring_anyway(&liar->wire);
	return true;
}

static bool wake_for_nothing(struct liar *liar, uint64_t count)
{
	uint32_t *wake = (uint32_t *)(void *)(liar->wire.own + AT_DATA_WAKE);

	if (count < 100 && (liar->bells += (uint32_t)count) > 400)
		return false;
	while (count--) {
		__atomic_fetch_add(wake, 1, __ATOMIC_RELEASE);
		syscall(SYS_futex, wake, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	}
	return true;
}

static bool send_descriptors(struct liar *liar, uint64_t count)
{
	return wire_datagram(liar->wire.fd, "", count ? 1 : 0, liar->spare_fd, (int)count);
}

static bool send_much(struct liar *liar, uint64_t size)
{
	static const uint8_t much[8192];

	return send(liar->wire.fd, much, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

static bool shut(struct liar *liar, uint64_t how)
{
	shutdown(liar->wire.fd, (int)how);
	return true;
}

static bool close_it(struct liar *liar, uint64_t argument)
{
	(void)argument;
	close(liar->wire.fd);
	liar->wire.fd = -1;
	return true;
}

/*
 * Flickering: a thread that changes words while the victim looks at them.
 */

enum { WORDS = 1, WAKES = 2, HEAD = 4, HEADER = 8, TOTAL = 16, CLOSE = 32 };

static void *flicker(void *data)
{
	struct liar *liar = data;
	struct wire *wire = &liar->as_it_was;
	uint64_t x = liar->thread_random | 1, head = wire->read, true_header = liar->header;

	while (!__atomic_load_n(&liar->calm, __ATOMIC_RELAXED)) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (liar->what & WORDS)
			scribble(wire, x, false);
		if (liar->what & WAKES)
			scribble(wire, x, true);
		if (liar->what & HEAD)
			wire_put64(wire, AT_HEAD, x & 3 ? head : x & 4 ? any(x) & ~UINT64_C(7) : x);
		if (liar->what & HEADER)
			wire_show(wire, x & 1 ? 0 :
					x & 6 ? true_header :
						any(x) << 32 | any(x * 3));
		if (liar->what & TOTAL)
			__atomic_store_n((uint64_t *)(void *)wire_payload(wire),
					 x & 1 ? 100 : any(x), __ATOMIC_RELAXED);
		if ((liar->what & CLOSE) && !(x & 0xffff))
			wire_put64(wire, AT_CLOSED, x & 0x10000 ? x : 0);
	}
	return NULL;
}

static bool start_flicker(struct liar *liar, uint64_t what)
{
	if (liar->flickers || (liar->mute && (what & (HEADER | TOTAL))) ||
	    (liar->deaf && (what & HEAD)))
		return false;
	liar->what = (uint32_t)what;
	liar->calm = false;
	liar->thread_random = liar_chance(liar, UINT64_MAX);
	liar->header = (uint64_t)77 << 32 | (1 + liar_chance(liar, 600));
	if (what & TOTAL)
		wire_show(&liar->wire, (uint64_t)++liar->tag << 32 | MORE | (1 + WORD + FIRST));
	liar->deaf |= (what & HEAD) != 0;
	liar->mute |= (what & (HEADER | TOTAL)) != 0;
	liar->as_it_was = liar->wire;
	liar->flickers = !pthread_create(&liar->thread, NULL, flicker, liar);
	return liar->flickers;
}

void liar_calm(struct liar *liar)
{
	if (liar->flickers) {
		__atomic_store_n(&liar->calm, true, __ATOMIC_RELAXED);
		pthread_join(liar->thread, NULL);
	}
	liar->flickers = false;
	if (!liar->wire.own)
		return;
	wire_put32(&liar->wire, AT_RX_ASLEEP, MUST_FENCE);
	wire_put32(&liar->wire, AT_TX_ASLEEP, 0);
}

#define PLUS(n) (TIMES_CAPACITY | (uint32_t)(n))
#define THEN(flags, length) ((uint64_t)(length) << 32 | (flags))

static const struct lie lies[] = {
	/* No harm comes of these. */
	{ "words at random", 0, change_words, 20 },
	{ "words that flicker", 0, start_flicker, WORDS },
	{ "magic, layout and spare words", 0, deface, UINT64_MAX },
	{ "closed, not", 0, claim_close, 0 },
	{ "a few bytes", 0, send_bytes, 8 },
	{ "bells for nothing", 0, ring_bells, 50 },
	{ "wakes for nothing", 0, wake_for_nothing, 50 },
	{ "a socket shut for reading", 0, shut, SHUT_RD },
	{ "a part given up", 0, give_up, 1000 },
	{ "nothing given up", 0, abandon, 30 },
	{ "a cancel of what was not asked", 0, say_of_calls, OF(2, 0, 8) },
	{ "an error for what was not asked", 0, say_of_calls, OF(3, 22, 8) },
	{ "an error with a sentence of noise", 0, say_of_calls, OF(3, 4095, 263) },
	/* Headers. */
	{ "a header over the record", LIED_IN_RING, show_header, PLUS(-16 + 1 + 1) },
	{ "a header just over the capacity", LIED_IN_RING, show_header, PLUS(1) },
	{ "a header over the capacity", LIED_IN_RING, show_header, PLUS(4096 + 1) },
	{ "a header over the longest message", LIED_IN_RING, show_over_max, 2 },
	{ "the longest header", LIED_IN_RING, show_header, LENGTH },
	{ "a header with a flag that is reserved", LIED_IN_RING, show_header, RESERVED | 9 },
	{ "a header of a tag", LIED_IN_RING, show_header, UINT64_C(1) << 32 },
	{ "a header of ones", LIED_IN_RING, show_header, UINT64_MAX >> 1 },
	{ "a header that is only the last", LIED_IN_RING, show_header, LAST },
	{ "more and the last", LIED_IN_RING, show_header, MORE | LAST | 29 },
	{ "more and control", LIED_IN_RING, show_header, MORE | CONTROL | 9 },
	/* Control records. */
	{ "control of no kind", LIED_IN_RING, say_control, OF(0, 0, 8) },
	{ "control of a kind not known", LIED_IN_RING, say_control, OF(4, 0, 8) },
	{ "control of a kind far away", LIED_IN_RING, say_control, OF(0xffffffff, 0xffff, 8) },
	{ "control of nothing", LIED_IN_RING, say_control, OF(0, 0, 0) },
	{ "an abandon that is too long", LIED_IN_RING, say_control, OF(1, 0, 9) },
	{ "an abandon with a code", LIED_IN_RING, say_control, OF(1, 1, 8) },
	{ "a cancel with a code", LIED_IN_RING, say_control, OF(2, 5, 8) },
	{ "a cancel that is too short", LIED_IN_RING, say_control, OF(2, 0, 7) },
	{ "a cancel that is too long", LIED_IN_RING, say_control, OF(2, 0, 16) },
	{ "an error without an errno", LIED_IN_RING, say_control, OF(3, 0, 8) },
	{ "an error beyond all errnos", LIED_IN_RING, say_control, OF(3, 4096, 8) },
	{ "an error that is too short", LIED_IN_RING, say_control, OF(3, 5, 7) },
	{ "an error with too long a sentence", LIED_IN_RING, say_control, OF(3, 5, 264) },
	{ "a last control", LIED_IN_RING, say_last_control, OF(2, 0, 0) },
	/* Fragments. */
	{ "a total of nothing", LIED_IN_RING, lie_in_total, 0 },
	{ "a total of less than there is", LIED_IN_RING, lie_in_total, FIRST - 1 },
	{ "a total of what there is", LIED_IN_RING, lie_in_total, FIRST },
	{ "a total of half of everything", LIED_IN_RING, lie_in_total, UINT64_C(1) << 63 },
	{ "a total of everything", LIED_IN_RING, lie_in_total, UINT64_MAX },
	{ "a total over the longest message", LIED_IN_RING, lie_over_max, 1 },
	{ "a first fragment of its total", LIED_IN_RING, begin_with_nothing, 8 },
	{ "a first fragment of less", LIED_IN_RING, begin_with_nothing, 4 },
	{ "a first fragment of nothing", LIED_IN_RING, begin_with_nothing, 0 },
	{ "a fragment of nothing", LIED_IN_RING, go_on_with, THEN(MORE, 0) },
	{ "a last fragment of nothing", LIED_IN_RING, go_on_with, THEN(0, 0) },
	{ "a last fragment that is too short", LIED_IN_RING, go_on_with, THEN(0, 79) },
	{ "a last fragment that is too long", LIED_IN_RING, go_on_with, THEN(LAST, 81) },
	{ "more after all of it", LIED_IN_RING, go_on_with, THEN(MORE, 80) },
	{ "a cancel in the midst", LIED_IN_RING, go_on_with, THEN(CONTROL, 8) },
	{ "a reserved flag in the midst", LIED_IN_RING, go_on_with, THEN(RESERVED, 8) },
	{ "a fragment of another", LIED_IN_RING, go_on_elsewhere, MORE },
	{ "a message in the midst", LIED_IN_RING, go_on_elsewhere, 0 },
	{ "fragments that never end", LIED_IN_RING, never_end, 40 },
	{ "a ring of nothing, without an end", LIED_NOISE, fill_with_nothing, 1 },
	{ "a message that does not go on", LIED_NOISE, leave_begun, 1000 },
	{ "a total that flickers", LIED_NOISE, start_flicker, TOTAL },
	{ "a header that flickers", LIED_NOISE, start_flicker, HEADER },
	/* Heads. */
	{ "a head ahead", LIED_IN_HEAD, head_ahead, 8 },
	{ "a head far ahead", LIED_IN_HEAD, head_ahead, 1 << 20 },
	{ "an odd head", LIED_IN_HEAD, move_head, 1 },
	{ "a head half a word away", LIED_IN_HEAD, move_head, 4 },
	{ "a head of half of everything", LIED_IN_HEAD, set_head, UINT64_C(1) << 63 },
	{ "the last head", LIED_IN_HEAD, set_head, UINT64_MAX - 7 },
	{ "a head backwards", LIED_NOISE, move_head, (uint64_t)-6000 },
	{ "a head far backwards", LIED_NOISE, set_head, 0 },
	{ "a head that flickers", LIED_NOISE, start_flicker, HEAD },
	/* Ends. */
	{ "closed", LIED_CLOSED, claim_close, 1 },
	{ "closed, and all unread", LIED_CLOSED, claim_close, UINT64_MAX },
	{ "closed, and taken back", LIED_NOISE, take_back_close, 5 },
	{ "closed, at times", LIED_NOISE, start_flicker, CLOSE },
	{ "a socket shut for writing", LIED_GONE, shut, SHUT_WR },
	{ "a socket shut", LIED_GONE, shut, SHUT_RDWR },
	{ "a socket closed", LIED_GONE, close_it, 0 },
	{ "an empty datagram", LIED_BY_SOCKET, send_descriptors, 0 },
	/* The socket and the bells. */
	{ "a socket full of bytes", LIED_BY_SOCKET, send_bytes, 5000 },
	{ "a long datagram", LIED_BY_SOCKET, send_much, 8192 },
	{ "a descriptor", LIED_BY_SOCKET, send_descriptors, 1 },
	{ "253 descriptors", LIED_BY_SOCKET, send_descriptors, 253 },
	{ "a bell", LIED_NOISE, ring_once, 0 },
	{ "thousands of bells", LIED_BY_SOCKET, ring_bells, 3000 },
	{ "thousands of wakes", LIED_NOISE, wake_for_nothing, 3000 },
	{ "wakes at random", LIED_NOISE, change_wakes, 200 },
	{ "wakes that flicker", LIED_NOISE, start_flicker, WAKES | WORDS },
};

uint64_t lie_count(void)
{
	return sizeof(lies) / sizeof(lies[0]);
}

const struct lie *lie_numbered(uint64_t number)
{
	return number < lie_count() ? &lies[number] : NULL;
}

const struct lie *lie_named(const char *name)
{
	for (uint64_t i = 0; i < lie_count(); i++)
		if (!strcmp(lies[i].name, name))
			return &lies[i];
	return NULL;
}

bool lie_tell(struct liar *liar, const struct lie *lie)
{
	bool in_ring = lie->lied & LIED_IN_RING;

	/* What stands in the ring or in the head already is to be found out. */
	if ((liar->mute && in_ring) || liar->wire.fd < 0 || !lie->tell(liar, lie->argument))
		return false;
	liar->lied |= lie->lied;
	return true;
}
