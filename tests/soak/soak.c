/*
 * SPDX-License-Identifier: MIT
 *
 * The soak: all ways of waiting, waking, sending and receiving at the same time, each link with
 * others, for as long as one likes, in search of lost wake-ups. A server and a client process,
 * which is killed and started anew, talk over several links; two lanes are pairs inside the server.
 *
 * A lane is a place for one link at a time; a session is such a link. Each side of a session notes
 * on a board, in memory that all processes share, how far it is. The first process uses no Peal: it
 * starts the others, kills, and watches the board. A side that is in a session and has not moved
 * for STUCK_NS has lost a wake-up: no pause is as long, and no session lasts as long. Then both
 * processes print the pages and positions of its lane. A later message would heal most lost
 * wake-ups, so senders now and then wait, by the board and not by Peal, until all that they sent
 * has arrived. Membarriers fail now and then, and some clients never sleep in the kernel
 * (PEAL_WAITER=spin).
 *
 * Usage: soak [SECONDS]. Without an argument a short run as a test. SOAK_SEED: to choose alike
 * again.
 *
 * It has to fail where lib/bell.c is wrong; how to see that is in CONTRIBUTING.md.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <peal.h>

#include "lib/link.h"

#define US 1000u
#define MS 1000000u
#define SECOND 1000000000u
#define STUCK_NS ((uint64_t)5 * SECOND)

/* Lanes: of two processes, each with threads of its own; of one set; and pairs. */
#define SINGLES 4
#define MEMBERS 4
#define PAIRS 2
#define LANES (SINGLES + MEMBERS + PAIRS)
#define FIRST_PAIR (SINGLES + MEMBERS)

#define LONGEST 200000u
#define LAST 0x80000000u /* of a tag: no more messages come in this direction */
#define BATCH 8
#define MAGIC 0x706561746f616b21u

enum { SERVER, CLIENT };
enum phase { IDLE, SENDS, RECEIVES, POLLS, IN_SET, PAUSES, SETTLES, MEETS, OVER };
static const char *const phases[] = { "idle",   "sends",   "receives", "polls", "in a set",
				      "pauses", "settles", "meets",    "over" };

/* What one side of a lane says. Written by that side; read by the other side and the watchdog. */
struct note {
	uint64_t open;               /* in a session: from meeting until closing */
	uint64_t speaks;             /* the seed of what it sends */
	uint64_t sent;               /* messages published */
	uint64_t hears;              /* the seed of what it receives, once known */
	uint64_t received;           /* messages */
	uint64_t over;               /* it receives no more of that */
	uint64_t steps;              /* all that it does (atomic: two threads) */
	uint64_t sending, receiving; /* enum phase */
};

static struct board {
	struct note notes[LANES][2];
	uint64_t messages, bytes, sleeps, sessions, kills, early, timeouts, barriers;
	uint64_t stop[2]; /* no more sessions */
	uint64_t dump;    /* 1 + the lane to be printed */
	uint64_t dumped[2];
	uint64_t wrong;
} * board;

static char folder[64];
static uint64_t first_seed;
static int process = SERVER; /* which one this is */

static uint64_t get(const uint64_t *word)
{
	/* Pairs with put: what was done before is seen. */
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void put(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static void add(uint64_t *word, uint64_t value)
{
	__atomic_fetch_add(word, value, __ATOMIC_RELAXED);
}

static void wrong(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void wrong(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "soak: %s: ", process == SERVER ? "server" : "client");
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n");
	va_end(arguments);
	put(&board->wrong, 1);
	_exit(1);
}

/*
 * Chance.
 */

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t draw(uint64_t *random, uint64_t below)
{
	*random = mix(*random);
	return *random % below;
}

static void sleep_ns(uint64_t ns)
{
	struct timespec time = { .tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND) };

	nanosleep(&time, NULL);
}

/* Of all lengths, so that the other side is met at each stage of its ladder: spinning, in its first
 * slices, on the way to its descriptors (at 10 ms), asleep there. */
static uint64_t pause_length(uint64_t *random, bool lazy)
{
	uint64_t kind = draw(random, 100);

	if (!lazy)
		return kind < 90 ? 0 : kind < 99 ? draw(random, 2 * US) : draw(random, 300 * US);
	if (kind < 40)
		return 0;
	if (kind < 60)
		return draw(random, 10 * US);
	if (kind < 80)
		return draw(random, 300 * US);
	if (kind < 90)
		return draw(random, 3 * MS);
	if (kind < 97)
		return 9900 * US + draw(random, 700 * US);
	return draw(random, 35 * MS);
}

static void pause_for(uint64_t ns)
{
	uint64_t end;

	if (ns > 5 * US) {
		sleep_ns(ns);
	} else if (ns) {
		end = platform_now() + ns;
		while (platform_now() < end)
			peal_relax();
	}
}

/* The linker puts this in the way of every membarrier. The first is that of registering. */
bool __real_platform_barrier(void);
bool __wrap_platform_barrier(void);
bool __wrap_platform_barrier(void)
{
	static uint64_t calls;
	uint64_t chance = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);

	if (chance > 1 && mix(chance ^ first_seed) % 256 == 0) {
		add(&board->barriers, 1);
		return false;
	}
	return __real_platform_barrier();
}

static int64_t draw_timeout(uint64_t *random)
{
	uint64_t kind = draw(random, 100);

	if (kind < 75)
		return PEAL_FOREVER;
	return kind < 80 ? 0 : (int64_t)draw(random, kind < 90 ? 100 * US : 20 * MS);
}

static void draw_options(struct peal_options *options, uint64_t *random)
{
	static const uint32_t barriers[] = { PEAL_BARRIER_AUTO, PEAL_BARRIER_FENCE,
					     PEAL_BARRIER_ASYMMETRIC };
	static const uint32_t bells[] = { PEAL_BELL_AUTO, PEAL_BELL_EVENTFD, PEAL_BELL_SOCKET };
	uint64_t kind = draw(random, 40);

	peal_options_init(options);
	options->wait = kind == 0 ? PEAL_WAIT_SPIN :
			kind < 20 ? PEAL_WAIT_SLEEP :
				    PEAL_WAIT_ADAPTIVE;
	options->spin_ns = draw(random, 2) ? 0 : 1 + draw(random, 100 * US);
	options->barrier = barriers[draw(random, 3)];
	options->bell = bells[draw(random, 3)];
	options->flags = draw(random, 4) ? PEAL_TRUST_PEER : PEAL_DISTRUST_PEER;
	options->ring = (uint64_t)4096 << (draw(random, 2) ? 0 : draw(random, 6));
	options->max_message = draw(random, 3) ? LONGEST : 0;
	options->handshake_ns = 20 * (uint64_t)SECOND;
}

/*
 * Messages: length and bytes follow from the sender's seed and their number. Number 0 says what the
 * receiver has to know for that.
 */

struct hello {
	uint64_t magic, lane, seed, record, longest;
};

static size_t length_of(const struct hello *hello, uint64_t number)
{
	uint64_t chance = mix(hello->seed + number), more = mix(chance);
	uint64_t record = hello->record;

	switch (chance % 32) {
	case 0:
	case 1:
	case 2:
		return 0;
	case 3:
	case 4:
		return more % (1 + (record < 4096 ? record : 4096));
	case 5:
		return more % 8 ? more % 2000 : more / 8 % (record + 1);
	case 6:
		return more % 8 ? more % 300 : more / 8 % (hello->longest + 1);
	default:
		return more % (chance % 32 < 24 ? 65 : 700);
	}
}

static void fill(uint8_t *at, uint64_t seed, uint64_t number, size_t length)
{
	uint64_t word = mix(seed ^ number << 20);
	size_t i;

	for (i = 0; i + 8 <= length; i += 8, word += 0x9e3779b97f4a7c15u)
		memcpy(at + i, &word, 8);
	if (i < length)
		memcpy(at + i, &word, length - i);
}

static bool is_filled(const uint8_t *at, uint64_t seed, uint64_t number, size_t length)
{
	uint64_t word = mix(seed ^ number << 20), seen;
	size_t i;

	for (i = 0; i + 8 <= length; i += 8, word += 0x9e3779b97f4a7c15u) {
		memcpy(&seen, at + i, 8);
		if (seen != word)
			return false;
	}
	return i == length || !memcmp(at + i, &word, length - i);
}

/*
 * One side of a session.
 */

struct side {
	int lane, which;
	struct peal_link *link;
	struct note *note, *other;
	uint64_t kills; /* at the beginning */
	bool spins;
	bool lazy;

	/* What it sends. */
	struct hello says;
	uint64_t out_random, out_number, out_limit, out_end, out_next;
	bool out_done, out_settles;
	bool out_over; /* its thread has ended (atomic) */
	struct peal_sending part;
	uint8_t out_buffer[LONGEST + 64];

	/* What it receives. */
	struct hello told;
	uint64_t in_random, in_number, in_quit;
	bool in_done, in_last;
	bool quits; /* closes in the midst of it (atomic) */
	uint8_t in_buffer[LONGEST + 64];
};

/* Links that the watchdog may want to be printed. */
static struct {
	pthread_mutex_t lock;
	const struct side *side;
} shown[LANES][2];

static void show(struct side *side, bool yes)
{
	pthread_mutex_lock(&shown[side->lane][side->which].lock);
	shown[side->lane][side->which].side = yes ? side : NULL;
	pthread_mutex_unlock(&shown[side->lane][side->which].lock);
}

static void step(struct side *side)
{
	add(&side->note->steps, 1);
}

/* A link has been made. */
static void begin(struct side *side, struct peal_link *link, uint64_t *random, bool brief)
{
	struct peal_tx *tx = peal_link_tx(link);
	struct note *note = side->note;

	side->link = link;
	side->spins = link->data.spin_ns == UINT64_MAX;
	side->lazy = draw(random, 2);
	side->says = (struct hello){ .magic = MAGIC,
				     .lane = (uint64_t)side->lane,
				     .seed = mix(*random) | 1,
				     .record = tx->largest < LONGEST ? tx->largest : LONGEST,
				     .longest = link->cut.longest < LONGEST ? link->cut.longest :
									      LONGEST };
	if (side->says.longest < side->says.record)
		side->says.longest = side->says.record;
	side->out_random = mix(*random + 1);
	side->in_random = mix(*random + 2);
	side->out_number = side->in_number = 0;
	side->out_limit = brief || draw(random, 3) == 0 ?
				  1 + draw(random, 4) :
				  1 + draw(random, draw(random, 2) ? 500 : 100000);
	side->in_quit = UINT64_MAX;
	if (draw(random, 6) == 0) { /* closes in the midst of it */
		side->in_quit = 1 + draw(random, 300);
		add(&board->early, 1);
	}
	side->out_end = platform_now() + draw(random, 1200) * MS;
	side->out_next = 0;
	side->out_done = side->out_settles = side->out_over = false;
	side->in_done = side->in_last = side->quits = false;
	memset(&side->part, 0, sizeof(side->part));
	memset(&side->told, 0, sizeof(side->told));
	put(&note->sent, 0);
	put(&note->received, 0);
	put(&note->hears, 0);
	put(&note->over, 0);
	put(&note->speaks, side->says.seed);
	step(side);
	put(&note->open, 1);
	show(side, true);
	*random = mix(*random + 3);
}

static void end(struct side *side)
{
	struct peal_stats stats = { .size = sizeof(stats) };

	if (!peal_link_stats(side->link, &stats))
		add(&board->sleeps, stats.tx.sleeps + stats.rx.sleeps);
	if (side->which == SERVER)
		add(&board->sessions, 1);
	put(&side->note->over, 1);
	show(side, false);
	peal_close(side->link);
	side->link = NULL;
	put(&side->note->open, 0);
	put(&side->note->sending, IDLE);
	put(&side->note->receiving, IDLE);
	step(side);
}

static bool was_killed(const struct side *side)
{
	return get(&board->kills) != side->kills;
}

/* Whether an error says that the other side has gone as it may. */
static bool is_end(const struct side *side, int err, const char *verb)
{
	if (err == -EPIPE)
		return true;
	if (err == -ECONNRESET && side->which == SERVER && was_killed(side))
		return true;
	if (err == -EAGAIN || err == -ETIMEDOUT)
		return false;
	wrong("lane %d: %s: %d, %s", side->lane, verb, err, peal_error());
}

/* The tag of the message that comes next. */
static uint32_t next_tag(const struct side *side)
{
	bool last = side->out_number + 1 >= side->out_limit ||
		    (side->out_number % 16 == 15 && platform_now() >= side->out_end) ||
		    (side->lazy && platform_now() >= side->out_end);

	return (uint32_t)side->out_number | (last ? LAST : 0);
}

static size_t next_length(const struct side *side)
{
	return side->out_number ? length_of(&side->says, side->out_number) : sizeof(side->says);
}

static void make(const struct side *side, void *at, size_t length)
{
	if (side->out_number)
		fill(at, side->says.seed, side->out_number, length);
	else
		memcpy(at, &side->says, sizeof(side->says));
}

static void went(struct side *side, uint32_t tag)
{
	side->out_number++;
	if ((tag & LAST) || __atomic_load_n(&side->quits, __ATOMIC_ACQUIRE))
		side->out_done = true;
}

static int send_part(struct side *side, int64_t timeout)
{
	int err;

	if (!side->part.data) {
		side->part.length = next_length(side);
		side->part.tag = next_tag(side);
		make(side, side->out_buffer, side->part.length);
		side->part.data = side->out_buffer;
	}
	err = peal_send_part(peal_link_tx(side->link), &side->part, timeout);
	if (!err)
		went(side, side->part.tag);
	if (!err || (err == -EAGAIN && side->part.begun && draw(&side->out_random, 200) == 0)) {
		if (err)
			peal_abort(peal_link_tx(side->link)); /* it is sent once more */
		memset(&side->part, 0, sizeof(side->part));
	}
	return err;
}

/* A few to be published together. */
static int send_batch(struct side *side, int64_t timeout)
{
	struct peal_message messages[BATCH];
	uint64_t number = side->out_number;
	size_t length, at = 0;
	int count = 0, sent;
	bool done = false;

	while (count < BATCH && !done) {
		length = next_length(side);
		if (length > side->says.record || at + length > LONGEST)
			break;
		messages[count] = (struct peal_message){ .data = side->out_buffer + at,
							 .length = length,
							 .tag = next_tag(side) };
		make(side, side->out_buffer + at, length);
		done = messages[count].tag & LAST;
		at += length;
		count++;
		side->out_number++;
	}
	side->out_number = number;
	if (!count)
		return send_part(side, timeout);
	sent = peal_send_batch(peal_link_tx(side->link), messages, count, timeout);
	for (int i = 0; i < sent; i++)
		went(side, messages[i].tag);
	return sent < 0 ? sent : 0;
}

static int send_more(struct side *side, int64_t timeout)
{
	struct peal_tx *tx = peal_link_tx(side->link);
	uint64_t count = 1 + draw(&side->out_random, 20);
	int err = 0;

	while (!err && count-- && !side->out_done) {
		size_t length = next_length(side);
		uint32_t tag = next_tag(side);
		void *at;

		if (length <= tx->largest && draw(&side->out_random, 2)) {
			err = peal_reserve(tx, length, &at, timeout);
			if (!err) {
				make(side, at, length);
				err = peal_commit_more(tx, length, tag);
			}
		} else {
			if (length > tx->largest && !timeout)
				break;
			make(side, side->out_buffer, length);
			err = peal_send_more(tx, side->out_buffer, length, tag, timeout);
		}
		if (!err)
			went(side, tag);
	}
	if (draw(&side->out_random, 8) == 0)
		pause_for(draw(&side->out_random, 20 * US));
	peal_flush(tx);
	return err;
}

/* Sends some. 0, or what Peal said. */
static int send_some(struct side *side, int64_t timeout)
{
	struct peal_tx *tx = peal_link_tx(side->link);
	uint64_t before = side->out_number;
	size_t length = next_length(side);
	uint32_t tag = next_tag(side);
	struct iovec pieces[2];
	void *at;
	int err;

	if (side->part.data || (length > tx->largest && !timeout)) {
		err = send_part(side, timeout);
		goto out;
	}
	switch (draw(&side->out_random, 8)) {
	case 0:
		err = send_part(side, timeout);
		goto out;
	case 1:
		err = send_batch(side, timeout);
		goto out;
	case 2:
		err = send_more(side, timeout);
		goto out;
	case 3:
		make(side, side->out_buffer, length);
		pieces[0] = (struct iovec){ .iov_base = side->out_buffer, .iov_len = length / 3 };
		pieces[1] = (struct iovec){ .iov_base = side->out_buffer + length / 3,
					    .iov_len = length - length / 3 };
		err = peal_sendv(tx, pieces, 2, tag, timeout);
		break;
	case 4:
		if (length <= tx->largest) {
			err = peal_reserve(tx, length, &at, timeout);
			if (!err) {
				make(side, at, length);
				err = peal_commit(tx, length, tag);
			}
			break;
		}
		/* fall through */
	default:
		make(side, side->out_buffer, length);
		err = peal_send(tx, side->out_buffer, length, tag, timeout);
	}
	if (!err)
		went(side, tag);
out:
	if (side->out_number != before) {
		put(&side->note->sent, side->out_number);
		step(side);
	}
	if (err && is_end(side, err, "sending"))
		side->out_done = true;
	else if (err == -ETIMEDOUT)
		add(&board->timeouts, 1);
	return err;
}

static void came(struct side *side, const void *data, size_t length, uint32_t tag)
{
	uint64_t number = side->in_number;

	if (side->in_last)
		wrong("lane %d: a message after the last one, %llu", side->lane,
		      (unsigned long long)number);
	if ((tag & ~LAST) != (uint32_t)number)
		wrong("lane %d: message %u in place of %llu", side->lane, tag & ~LAST,
		      (unsigned long long)number);
	if (!number) {
		if (length != sizeof(side->told))
			wrong("lane %d: a first message of %zu bytes", side->lane, length);
		memcpy(&side->told, data, length);
		if (side->told.magic != MAGIC || side->told.lane != (uint64_t)side->lane)
			wrong("lane %d: a first message of lane %llu", side->lane,
			      (unsigned long long)side->told.lane);
	} else {
		size_t expected = length_of(&side->told, number);

		if (length != expected)
			wrong("lane %d: message %llu has %zu bytes, not %zu", side->lane,
			      (unsigned long long)number, length, expected);
		if (!is_filled(data, side->told.seed, number, length))
			wrong("lane %d: message %llu of %zu bytes is not as it was sent",
			      side->lane, (unsigned long long)number, length);
	}
	side->in_last = tag & LAST;
	side->in_number++;
	add(&board->messages, 1);
	add(&board->bytes, length);
}

static int came_in_place(void *data, const struct peal_message *message)
{
	struct side *side = data;

	came(side, message->data, message->length, message->tag);
	return side->in_last;
}

/* The other side is gone, and all that it had sent must have come. What it has noted is at most
 * what it did, and all of that if it closed. */
static void ended(struct side *side, int err)
{
	uint64_t seed = get(&side->other->speaks), sent = get(&side->other->sent);

	side->in_done = true;
	if (side->in_number && seed == side->told.seed && get(&side->other->speaks) == seed &&
	    (side->in_number < sent || (err == -EPIPE && side->in_number != sent)))
		wrong("lane %d: %llu messages were sent, %llu came", side->lane,
		      (unsigned long long)sent, (unsigned long long)side->in_number);
}

/* Receives some. 0, or what Peal said. */
static int receive_some(struct side *side, int64_t timeout)
{
	struct peal_rx *rx = peal_link_rx(side->link);
	struct peal_message messages[BATCH];
	uint64_t before = side->in_number;
	ssize_t length;
	int err = -EMSGSIZE, count;

	switch (draw(&side->in_random, 4)) {
	case 0:
		err = peal_peek(rx, messages, timeout);
		if (!err) {
			came(side, messages->data, messages->length, messages->tag);
			peal_release(rx);
		}
		break;
	case 1:
		count = peal_recv_batch(rx, side->in_buffer, sizeof(side->in_buffer), messages,
					1 + (int)draw(&side->in_random, BATCH), timeout);
		for (int i = 0; i < count; i++)
			came(side, messages[i].data, messages[i].length, messages[i].tag);
		err = count < 0 ? count : 0;
		break;
	case 2:
		count = peal_drain(rx, came_in_place, side, (int)draw(&side->in_random, 40),
				   timeout);
		err = count < 0 ? count : 0;
		break;
	}
	if (err == -EMSGSIZE) {
		length = peal_recv(rx, side->in_buffer, sizeof(side->in_buffer), messages, timeout);
		err = length < 0 ? (int)length : 0;
		if (!err)
			came(side, side->in_buffer, (size_t)length, messages->tag);
	}
	if (side->in_number != before) {
		put(&side->note->hears, side->told.seed);
		put(&side->note->received, side->in_number);
		step(side);
	}
	if (err && is_end(side, err, "receiving"))
		ended(side, err);
	else if (err == -ETIMEDOUT)
		add(&board->timeouts, 1);
	/* The client closes after the last message; the server when it has seen that. */
	if (side->in_last && side->which == CLIENT)
		side->in_done = true;
	if (side->in_number >= side->in_quit)
		__atomic_store_n(&side->quits, true, __ATOMIC_RELEASE);
	return err;
}

/* Whether the other side has all that was sent, or wants no more. */
static bool has_settled(const struct side *side)
{
	if (get(&side->other->hears) == side->says.seed)
		return get(&side->other->received) >= side->out_number || get(&side->other->over);
	return was_killed(side);
}

static bool sends_on(const struct side *side)
{
	return !side->out_done && !__atomic_load_n(&side->quits, __ATOMIC_ACQUIRE);
}

static void settle(const struct side *side)
{
	for (int i = 0; sends_on(side) && !has_settled(side); i++) {
		if (i < 1000)
			peal_relax();
		else if (i % 4)
			sched_yield();
		else
			sleep_ns(20 * US);
	}
}

/* Messages one by one, each as the receiver of the one before arms itself. */
static void duel(struct side *side)
{
	for (int i = 0; i < 100 && sends_on(side); i++) {
		send_some(side, PEAL_FOREVER);
		settle(side);
		pause_for(draw(&side->out_random, 5 * US));
	}
}

/* A message as the receiver, whose ring is empty, goes from one slice of sleep to another, or to
 * its descriptors. */
static void ambush(struct side *side)
{
	const uint32_t *asleep = &side->link->tx.peer->rx_asleep;
	uint64_t begun = platform_now(), least = draw(&side->out_random, 2) ? 7 * MS : 0, now;
	uint32_t word, before = 0;

	settle(side);
	do {
		now = platform_now();
		word = __atomic_load_n(asleep, __ATOMIC_RELAXED);
		if ((before & PEAL_ASLEEP) && !(word & PEAL_ASLEEP) && now - begun >= least)
			break;
		before = word;
	} while (now - begun < 20 * MS && sends_on(side));
	if (sends_on(side)) {
		pause_for(draw(&side->out_random, 2 * US));
		send_some(side, PEAL_FOREVER);
	}
	settle(side);
}

/* Two threads, one for each direction, with the blocking verbs. */
static void *send_all(void *data)
{
	struct side *side = data;

	while (sends_on(side)) {
		put(&side->note->sending, PAUSES);
		pause_for(pause_length(&side->out_random, side->lazy));
		put(&side->note->sending, SENDS);
		send_some(side, draw_timeout(&side->out_random));
		put(&side->note->sending, SETTLES);
		switch (draw(&side->out_random, 64)) {
		case 0:
			duel(side);
			break;
		case 1:
			if (side->lazy)
				ambush(side);
			break;
		default:
			if (draw(&side->out_random, 4) == 0)
				settle(side);
		}
	}
	put(&side->note->sending, OVER);
	__atomic_store_n(&side->out_over, true, __ATOMIC_RELEASE);
	return NULL;
}

static void talk_by_threads(struct side *side)
{
	pthread_t sender;

	if (pthread_create(&sender, NULL, send_all, side))
		wrong("no thread");
	while (!side->in_done) {
		put(&side->note->receiving, PAUSES);
		pause_for(pause_length(&side->in_random, side->lazy));
		put(&side->note->receiving, RECEIVES);
		/* One that quits receives until its sender has noticed: the other side may do the
		 * same. */
		if (side->quits && __atomic_load_n(&side->out_over, __ATOMIC_ACQUIRE))
			break;
		receive_some(side, side->quits ? MS : draw_timeout(&side->in_random));
	}
	put(&side->note->over, 1);
	put(&side->note->receiving, OVER);
	pthread_join(sender, NULL);
}

/* Sends if it is time for it. The nanoseconds until it may be; UINT64_MAX: not before something
 * happens to the link. *full: there was no room. */
static uint64_t send_in_turn(struct side *side, bool *full)
{
	uint64_t now;
	int err;

	*full = false;
	if (side->out_done)
		return UINT64_MAX;
	if (side->out_settles && !has_settled(side))
		return MS;
	side->out_settles = false;
	now = platform_now();
	if (now < side->out_next)
		return side->out_next - now;
	err = send_some(side, 0);
	if (side->out_done)
		return UINT64_MAX;
	if (err == -EAGAIN) {
		*full = true;
		return UINT64_MAX;
	}
	side->out_settles = draw(&side->out_random, 4) == 0;
	side->out_next = now + pause_length(&side->out_random, side->lazy);
	return 0;
}

static void poll_for(struct pollfd *polled, nfds_t count, uint64_t ns)
{
	struct timespec time = { .tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND) };

	if (ppoll(polled, count, ns == UINT64_MAX ? NULL : &time, NULL) < 0 && errno != EINTR)
		wrong("poll: %d", errno);
}

/* One thread for both directions, in an event loop. */
static void talk_by_descriptor(struct side *side)
{
	struct pollfd polled = { .fd = peal_link_fd(side->link), .events = POLLIN };
	uint32_t what;
	uint64_t ns;
	bool full;
	int err;

	if (polled.fd < 0)
		wrong("lane %d: no descriptor: %s", side->lane, peal_error());
	while (!side->quits && (!side->out_done || !side->in_done)) {
		ns = send_in_turn(side, &full);
		err = side->in_done ? -EAGAIN : receive_some(side, 0);
		if (!err || !ns || (side->in_done && side->out_done)) {
			if (draw(&side->in_random, 4) == 0)
				pause_for(pause_length(&side->in_random, side->lazy));
			continue;
		}
		what = (side->in_done ? 0 : PEAL_DATA) | (full ? PEAL_ROOM : 0);
		if (!what) {
			if (ns != UINT64_MAX)
				pause_for(ns);
			continue;
		}
		err = peal_link_arm(side->link, what);
		if (err < 0)
			wrong("lane %d: arming: %d, %s", side->lane, err, peal_error());
		put(&side->note->receiving, POLLS);
		if (!err)
			poll_for(&polled, 1, ns);
		put(&side->note->receiving, RECEIVES);
	}
	put(&side->note->over, 1);
}

static void talk(struct side *side, uint64_t *random)
{
	if (!side->link->pair && !side->spins && draw(random, 2)) {
		side->link->one_thread = draw(random, 2); /* as by PEAL_ONE_THREAD */
		talk_by_descriptor(side);
	} else {
		talk_by_threads(side);
	}
	end(side);
}

static struct side *make_side(int lane, int which)
{
	struct side *side = calloc(1, sizeof(*side));

	if (!side)
		wrong("no memory");
	side->lane = lane;
	side->which = which;
	side->note = &board->notes[lane][which];
	side->other = &board->notes[lane][!which];
	return side;
}

static uint64_t seed_of(int lane, int which)
{
	return mix(first_seed + (uint64_t)(lane * 2 + which)) ^ mix(get(&board->kills));
}

static void address_of(int lane, char *address, size_t size)
{
	if (lane < SINGLES)
		snprintf(address, size, "%s/%d", folder, lane);
	else
		snprintf(address, size, "%s/set", folder);
}

/*
 * Threads of lanes.
 */

static void *serve_lane(void *data)
{
	int lane = (int)(intptr_t)data, err;
	struct side *side = make_side(lane, SERVER);
	uint64_t random = seed_of(lane, SERVER);
	struct peal_listener *listener;
	struct peal_options options;
	struct peal_link *link;
	char address[100];

	address_of(lane, address, sizeof(address));
	while (!get(&board->stop[SERVER])) {
		draw_options(&options, &random);
		if (peal_listen(&listener, address, &options))
			wrong("listening: %s", peal_error());
		do {
			put(&side->note->receiving, MEETS);
			side->kills = get(&board->kills);
			err = peal_accept(listener, &link, 20 * MS);
		} while (err == -ETIMEDOUT && !get(&board->stop[SERVER]));
		peal_listener_close(listener);
		if (err == -ETIMEDOUT)
			break;
		if (err)
			wrong("accepting: %d, %s", err, peal_error());
		begin(side, link, &random, false);
		talk(side, &random);
	}
	free(side);
	return NULL;
}

static void *call_lane(void *data)
{
	int lane = (int)(intptr_t)data, err;
	struct side *side = make_side(lane, CLIENT);
	uint64_t random = seed_of(lane, CLIENT);
	struct peal_options options;
	struct peal_link *link;
	char address[100], name[8];

	address_of(lane, address, sizeof(address));
	snprintf(name, sizeof(name), "%d", lane);
	while (!get(&board->stop[CLIENT])) {
		put(&side->note->receiving, MEETS);
		side->kills = get(&board->kills);
		draw_options(&options, &random);
		options.name = name;
		err = peal_connect(&link, address, &options, SECOND);
		if (err) {
			/* Between two listeners, or at one that is being closed. */
			if (err != -ECONNREFUSED && err != -ENOENT && err != -ECONNRESET &&
			    err != -ETIMEDOUT)
				wrong("connecting: %d, %s", err, peal_error());
			sleep_ns(MS);
			continue;
		}
		begin(side, link, &random, false);
		talk(side, &random);
	}
	free(side);
	return NULL;
}

/* Pairs: two threads of the server's that meet here. */
static struct {
	pthread_barrier_t barrier;
	struct peal_link *links[2];
	bool stop;
} pairs[PAIRS];

static void *pair_lane(void *data)
{
	int lane = FIRST_PAIR + (int)((intptr_t)data >> 1), which = (int)((intptr_t)data & 1);
	struct side *side = make_side(lane, which);
	uint64_t random = seed_of(lane, which);
	struct peal_options options;

	for (;;) {
		put(&side->note->receiving, MEETS);
		pthread_barrier_wait(&pairs[lane - FIRST_PAIR].barrier);
		if (which == SERVER) {
			draw_options(&options, &random);
			pairs[lane - FIRST_PAIR].stop = get(&board->stop[CLIENT]);
			if (!pairs[lane - FIRST_PAIR].stop &&
			    peal_pair(pairs[lane - FIRST_PAIR].links, &options))
				wrong("a pair: %s", peal_error());
		}
		pthread_barrier_wait(&pairs[lane - FIRST_PAIR].barrier);
		if (pairs[lane - FIRST_PAIR].stop)
			break;
		begin(side, pairs[lane - FIRST_PAIR].links[which], &random, false);
		talk(side, &random);
	}
	free(side);
	return NULL;
}

/* The lanes of a set: one thread, which mostly listens to what comes. */
struct club {
	struct peal_set *set;
	struct side *members[MEMBERS];
	int count;
};

/* False: its lane has an older link, whose end has not been seen yet. */
static bool take_in(struct club *club, struct peal_link *link, uint64_t kills, uint64_t *random)
{
	int lane = atoi(peal_link_peer(link)->name);
	struct side *side;

	if (lane < SINGLES || lane >= FIRST_PAIR)
		wrong("a client that is called \"%s\"", peal_link_peer(link)->name);
	side = club->members[lane - SINGLES];
	if (side->link)
		return false;
	side->kills = kills;
	begin(side, link, random, true);
	link->one_thread = draw(random, 2); /* as by PEAL_ONE_THREAD */
	if (peal_set_add(club->set, link, side))
		wrong("adding to the set: %s", peal_error());
	club->count++;
	return true;
}

static void serve_member(struct club *club, struct side *side)
{
	int err = 0;

	put(&side->note->receiving, RECEIVES);
	for (int i = 0; i < 20 && !err && !side->in_done && !side->quits; i++)
		err = receive_some(side, 0);
	put(&side->note->receiving, IN_SET);
	if (side->in_done || side->quits) {
		put(&side->note->over, 1);
		if (peal_set_remove(club->set, side->link))
			wrong("taking out of the set: %s", peal_error());
		end(side);
		club->count--;
	}
}

/* Sends what the members have to say, which is little. The nanoseconds until more may be said. */
static uint64_t speak(struct club *club)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < MEMBERS; i++) {
		struct side *side = club->members[i];
		uint64_t ns;
		bool full;

		if (!side->link)
			continue;
		ns = send_in_turn(side, &full);
		if (full)
			ns = MS;
		least = ns < least ? ns : least;
	}
	return least;
}

static void *serve_set(void *data)
{
	struct club club = { .count = 0 };
	uint64_t random = seed_of(SINGLES, SERVER), kills = 0, ns;
	struct peal_listener *listener = NULL;
	struct peal_options options;
	struct peal_link *link, *next = NULL;
	struct side *side;
	char address[100];
	int err;

	(void)data;
	address_of(SINGLES, address, sizeof(address));
	for (int i = 0; i < MEMBERS; i++)
		club.members[i] = make_side(SINGLES + i, SERVER);
	if (peal_set_create(&club.set))
		wrong("a set: %s", peal_error());
	while (!get(&board->stop[SERVER]) || club.count) {
		if (!listener && club.count < MEMBERS) {
			draw_options(&options, &random);
			if (peal_listen(&listener, address, &options))
				wrong("listening: %s", peal_error());
		}
		if (!next) {
			kills = get(&board->kills);
			if (listener && peal_accept(listener, &next, 0))
				next = NULL;
		}
		if (next && take_in(&club, next, kills, &random))
			next = NULL;
		if (listener && (club.count == MEMBERS || draw(&random, 1000) == 0)) {
			peal_listener_close(listener);
			listener = NULL;
			continue;
		}
		ns = speak(&club);
		if (!club.count) {
			sleep_ns(MS);
			continue;
		}
		if (listener || draw(&random, 2)) {
			struct pollfd polled[2];

			err = peal_set_arm(club.set);
			if (err == -EOPNOTSUPP) { /* one spins */
				err = peal_set_wait(club.set, 0) > 0;
				ns = ns < MS ? ns : MS;
			} else if (err < 0) {
				wrong("arming the set: %d, %s", err, peal_error());
			}
			polled[0] = (struct pollfd){ .fd = peal_set_fd(club.set),
						     .events = POLLIN };
			polled[1] = (struct pollfd){ .fd = listener ? peal_listener_fd(listener) :
								      -1,
						     .events = POLLIN };
			if (!err) {
				poll_for(polled, 2, ns);
				err = peal_set_wait(club.set, 0);
			}
		} else {
			err = peal_set_wait(club.set,
					    ns == UINT64_MAX ? PEAL_FOREVER : (int64_t)ns);
		}
		if (err < 0 && err != -EAGAIN && err != -ETIMEDOUT)
			wrong("the set: %d, %s", err, peal_error());
		/* Taking one out forgets the others; they are found again. */
		for (int count = club.count;
		     count == club.count && (link = peal_set_next(club.set, (void **)&side));)
			serve_member(&club, side);
		if (draw(&random, 8) == 0)
			pause_for(pause_length(&random, true));
	}
	peal_close(next);
	peal_listener_close(listener);
	peal_set_free(club.set);
	for (int i = 0; i < MEMBERS; i++)
		free(club.members[i]);
	return NULL;
}

/*
 * What is printed of a lane that is stuck.
 */

static void print_page(const char *whose, const struct peal_page *page)
{
#define WORD(field)                                   \
	fprintf(stderr, "    %-18s 0x%llx\n", #field, \
		(unsigned long long)__atomic_load_n(&page->field, __ATOMIC_RELAXED))
	fprintf(stderr, "  %s page:\n", whose);
	WORD(magic);
	WORD(layout);
	WORD(head);
	WORD(rx_asleep);
	WORD(room_wake);
	WORD(room_acknowledged);
	WORD(room_rung_ns);
	WORD(tx_asleep);
	WORD(tx_wants);
	WORD(data_wake);
	WORD(data_acknowledged);
	WORD(data_rung_ns);
	WORD(closed);
#undef WORD
}

static void print_bell(const char *name, const struct bell *bell)
{
	fprintf(stderr,
		"  %s bell: word 0x%x, armed %d, asymmetric %d, always %d, "
		"unacknowledged %d, sleeps %llu, slices %llu, rung %llu\n",
		name, bell->word, bell->armed, bell->asymmetric, bell->always, bell->unacknowledged,
		(unsigned long long)bell->counters->sleeps,
		(unsigned long long)bell->counters->slices,
		(unsigned long long)bell->counters->rung);
}

/* The thread that uses the link is stuck, or else what is printed is from several instants. */
static void print_side(int lane, int which)
{
	const struct side *side;
	const struct peal_link *link;

	pthread_mutex_lock(&shown[lane][which].lock);
	side = shown[lane][which].side;
	if (side) {
		link = side->link;
		fprintf(stderr, "lane %d, %s, process %d%s%s\n", lane,
			which == SERVER ? "server's side" : "client's side", (int)getpid(),
			link->in_set ? ", in a set" : "", link->pair ? ", a pair" : "");
		fprintf(stderr,
			"  tx: pos 0x%llx, limit 0x%llx, capacity 0x%llx, reserved %llu, pending "
			"0x%llx at 0x%llx, last rung 0x%x, room wanted 0x%llx, part %u\n",
			(unsigned long long)link->tx.pos, (unsigned long long)link->tx.limit,
			(unsigned long long)link->tx.mask + 1,
			(unsigned long long)link->tx.reserved,
			(unsigned long long)link->tx.pending_header,
			(unsigned long long)link->tx.pending_at, link->tx.last_rung,
			(unsigned long long)link->room_want, link->tx.part);
		fprintf(stderr,
			"  rx: pos 0x%llx, held %llu, last rung 0x%x, next header 0x%llx, joined "
			"%llu of %llu\n",
			(unsigned long long)link->rx.pos, (unsigned long long)link->rx.held,
			link->rx.last_rung,
			(unsigned long long)__atomic_load_n(
				(const uint64_t *)(const void *)peal_next(&link->rx, link->rx.pos),
				__ATOMIC_RELAXED),
			(unsigned long long)link->join.have, (unsigned long long)link->join.total);
		fprintf(stderr,
			"  verdicts %d %d, broken %d, hung up %d, own eventfd %d, peer's %d, poller "
			"%d, socket %d\n",
			link->tx_verdict, link->rx_verdict, link->broken, link->hung_up,
			link->own_eventfd, link->peer_eventfd, link->poller, link->fd);
		print_bell("data", &link->data);
		print_bell("room", &link->room);
		print_page("own", link->page);
		print_page("peer's", link->peer_page);
	}
	pthread_mutex_unlock(&shown[lane][which].lock);
}

static void *print_when_asked(void *data)
{
	uint64_t lane;

	(void)data;
	while (!(lane = get(&board->dump)))
		sleep_ns(50 * MS);
	while (process == CLIENT && !get(&board->dumped[SERVER]))
		sleep_ns(50 * MS);
	for (int which = 0; which < 2; which++)
		print_side((int)lane - 1, which);
	put(&board->dumped[process], 1);
	return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), int number)
{
	if (pthread_create(thread, NULL, run, (void *)(intptr_t)number))
		wrong("no thread");
}

static int be(int which)
{
	pthread_t threads[LANES * 2], printer;
	int count = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	process = which;
	for (int i = 0; i < LANES; i++)
		for (int k = 0; k < 2; k++)
			pthread_mutex_init(&shown[i][k].lock, NULL);
	start(&printer, print_when_asked, 0);
	if (which == SERVER) {
		for (int i = 0; i < SINGLES; i++)
			start(&threads[count++], serve_lane, i);
		start(&threads[count++], serve_set, 0);
		for (int i = 0; i < PAIRS; i++) {
			pthread_barrier_init(&pairs[i].barrier, NULL, 2);
			start(&threads[count++], pair_lane, 2 * i);
			start(&threads[count++], pair_lane, 2 * i + 1);
		}
	} else {
		for (int i = 0; i < FIRST_PAIR; i++)
			start(&threads[count++], call_lane, i);
	}
	while (count)
		pthread_join(threads[--count], NULL);
	return 0;
}

/*
 * The first process.
 */

static pid_t fork_off(int which)
{
	pid_t pid = fork();

	if (pid < 0) {
		perror("soak: fork");
		exit(1);
	}
	if (!pid) {
		if (which == CLIENT && mix(first_seed + get(&board->kills)) % 4 == 0)
			setenv("PEAL_WAITER", "spin", 1);
		_exit(be(which));
	}
	return pid;
}

static pid_t children[2];

static void end_all(void)
{
	for (int which = 0; which < 2; which++)
		if (children[which] > 0) {
			kill(children[which], SIGKILL);
			waitpid(children[which], NULL, 0);
		}
	for (int lane = 0; lane <= SINGLES; lane++) {
		char address[100], lock[120];

		address_of(lane, address, sizeof(address));
		snprintf(lock, sizeof(lock), "%s.lock", address);
		unlink(address);
		unlink(lock);
	}
	rmdir(folder);
}

static void report(uint64_t begun)
{
	printf("soak: %4llu s: %llu messages, %llu MB, %llu sleeps, %llu links, %llu cut short, "
	       "%llu deadlines, %llu kills, %llu membarriers failed\n",
	       (unsigned long long)((platform_now() - begun) / SECOND),
	       (unsigned long long)get(&board->messages),
	       (unsigned long long)get(&board->bytes) / 1000000,
	       (unsigned long long)get(&board->sleeps), (unsigned long long)get(&board->sessions),
	       (unsigned long long)get(&board->early), (unsigned long long)get(&board->timeouts),
	       (unsigned long long)get(&board->kills), (unsigned long long)get(&board->barriers));
	fflush(stdout);
}

static void stuck(int lane)
{
	fprintf(stderr, "soak: lane %d has not moved for %llu s: a wake-up was lost\n", lane,
		(unsigned long long)(STUCK_NS / SECOND));
	for (int which = 0; which < 2; which++) {
		const struct note *note = &board->notes[lane][which];

		fprintf(stderr,
			"  %s: open %llu, speaks %llx, sent %llu, hears %llx, received %llu, over "
			"%llu; %s, %s\n",
			which == SERVER ? "server" : "client", (unsigned long long)get(&note->open),
			(unsigned long long)get(&note->speaks),
			(unsigned long long)get(&note->sent), (unsigned long long)get(&note->hears),
			(unsigned long long)get(&note->received),
			(unsigned long long)get(&note->over), phases[get(&note->sending)],
			phases[get(&note->receiving)]);
	}
	put(&board->dump, 1 + (uint64_t)lane);
	for (int i = 0; i < 50 && !get(&board->dumped[CLIENT]); i++)
		sleep_ns(100 * MS);
}

/* Sides that are in a session and do not move. */
static int look_for_stuck(void)
{
	static uint64_t steps[LANES][2], since[LANES][2];
	uint64_t now = platform_now();

	for (int lane = 0; lane < LANES; lane++)
		for (int which = 0; which < 2; which++) {
			const struct note *note = &board->notes[lane][which];
			uint64_t now_at = get(&note->steps);

			if (!get(&note->open) || now_at != steps[lane][which] ||
			    !since[lane][which])
				since[lane][which] = now;
			else if (now - since[lane][which] > STUCK_NS)
				return lane;
			steps[lane][which] = now_at;
		}
	return -1;
}

/* Until a child has ended by itself, if any. 0: none has; 1: well; -1: badly. */
static int has_ended(int which)
{
	int status;

	if (waitpid(children[which], &status, WNOHANG) != children[which])
		return 0;
	children[which] = 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 1 : -1;
}

static int soak(uint64_t ns)
{
	uint64_t begun = platform_now(), now, report_at = begun + 10 * (uint64_t)SECOND;
	uint64_t random = first_seed, kill_at = begun + SECOND;
	int lane, state;

	children[SERVER] = fork_off(SERVER);
	children[CLIENT] = fork_off(CLIENT);
	for (;;) {
		sleep_ns(20 * MS);
		now = platform_now();
		if (get(&board->wrong))
			return 1;
		lane = look_for_stuck();
		if (lane >= 0) {
			stuck(lane);
			return 1;
		}
		if (now >= report_at) {
			report(begun);
			report_at += 10 * (uint64_t)SECOND;
		}
		if (!get(&board->stop[CLIENT]) && now >= kill_at) {
			/* Before it is: so that whoever sees it dead knows why. */
			add(&board->kills, 1);
			kill(children[CLIENT], SIGKILL);
			waitpid(children[CLIENT], NULL, 0);
			for (int i = 0; i < FIRST_PAIR; i++) {
				put(&board->notes[i][CLIENT].open, 0);
				put(&board->notes[i][CLIENT].over, 1);
			}
			children[CLIENT] = fork_off(CLIENT);
			kill_at = now + 200 * MS + draw(&random, 4000) * MS;
		}
		if (now - begun >= ns)
			put(&board->stop[CLIENT], 1);
		for (int which = SERVER; which <= CLIENT; which++) {
			state = children[which] ? has_ended(which) : 0;
			if (!state)
				continue;
			if (state < 0 || !get(&board->stop[which])) {
				fprintf(stderr, "soak: the %s has ended before its time\n",
					which == SERVER ? "server" : "client");
				return 1;
			}
			if (which == CLIENT)
				put(&board->stop[SERVER], 1);
		}
		if (!children[SERVER] && !children[CLIENT])
			break;
	}
	report(begun);
	if (!get(&board->messages) || !get(&board->sessions) || !get(&board->sleeps)) {
		fprintf(stderr, "soak: no message, no link or no sleep: nothing was tested\n");
		return 1;
	}
	printf("soak: %llu messages, 0 lost wake-ups\n", (unsigned long long)get(&board->messages));
	return 0;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 3;
	const char *seed = getenv("SOAK_SEED");
	int status;

	if (argc > 2 || !(seconds > 0 && seconds < 1e9)) {
		fprintf(stderr, "soak: usage: soak [SECONDS]\n");
		return 64;
	}
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	snprintf(folder, sizeof(folder), "/tmp/soak.XXXXXX");
	if (board == MAP_FAILED || !mkdtemp(folder)) {
		perror("soak");
		return 1;
	}
	first_seed = seed ? strtoull(seed, NULL, 0) :
			    mix(platform_now() ^ (uint64_t)getpid() << 32);
	printf("soak: SOAK_SEED=0x%llx\n", (unsigned long long)first_seed);
	fflush(stdout);
	status = soak((uint64_t)(seconds * 1e9));
	end_all();
	if (argc == 1) {
		printf("%s  all ways of waiting at once lose no wake-up and no message\n",
		       status ? "FAIL" : "pass");
		printf("%d passed, %d failed, 0 skipped\n", !status, !!status);
	}
	return status;
}
