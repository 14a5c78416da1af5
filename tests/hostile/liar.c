/*
 * SPDX-License-Identifier: MIT
 *
 * The liar: a process that speaks the wire by hand (wire.h), links with whom it is told to, as
 * client or as server, and lies in every word. It has nothing of the library. Takes orders as
 * liar.h says, and ends with them. liar [UID]: as that user.
 */
#include "config.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/hostile/liar_lies.h"

#define ORDERS STDIN_FILENO

static void tell(const struct told *told)
{
	if (send(ORDERS, told, sizeof(*told), MSG_NOSIGNAL) != (ssize_t)sizeof(*told))
		_exit(2);
}

static bool is_ordered(int ms)
{
	struct pollfd look = { .fd = ORDERS, .events = POLLIN };

	return poll(&look, 1, ms) != 0;
}

/* What it says of itself: within what the other side accepts. */
static struct wire_wish wish_of(struct liar *liar, const struct order *order)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct wire_wish wish = { .capacity = 2 * page,
				  .features = FRAGMENTS | SOCKET_BELL | CALLS,
				  .max_message = 1 << 20,
				  .wait = 2 };

	if (order->verb == ORDER_OPEN)
		return wish;
	wish.capacity = page << liar_chance(liar, 3);
	wish.start = liar_chance(liar, wish.capacity / 8) * 8;
	wish.wait = (uint32_t)liar_chance(liar, 3);
	wish.eventfd = liar_chance(liar, 2);
	wish.features = (liar_chance(liar, 8) ? FRAGMENTS : 0) | SOCKET_BELL |
			(liar_chance(liar, 4) ? CALLS : 0) |
			(liar_chance(liar, 2) ? TRUSTS_EVENTFD : 0) |
			(liar_chance(liar, 4) ? MEMBARRIER : 0);
	if (!liar_chance(liar, 4))
		wish.max_message = liar_chance(liar, 2) ? 4000 : UINT64_MAX;
	return wish;
}

static bool open_link(struct liar *liar, const struct order *order, struct told *told)
{
	struct wire_wish wish = wish_of(liar, order);
	int listening;
	bool linked;

	if (order->role == AS_CLIENT)
		return wire_connect(&liar->wire, order->path, &wish);
	listening = wire_listen(order->path);
	told->result = listening < 0 ? -1 : 0;
	tell(told);
	linked = listening >= 0 && wire_accept(&liar->wire, listening, &wish);
	/* Whoever connects again finds nobody. */
	unlink(order->path);
	if (listening >= 0)
		close(listening);
	return linked;
}

static void begin(struct liar *liar, uint64_t seed)
{
	wire_drop(&liar->wire);
	*liar = (struct liar){ .wire = liar->wire, .spare_fd = liar->spare_fd };
	liar->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (int i = 0; i < 4; i++)
		liar_chance(liar, 2);
}

/*
 * Truth.
 */

/* A reply to a request; of what kind, chance says, unless it is to be the right one. */
static void reply(struct liar *liar, uint32_t tag, bool right)
{
	switch (right ? 0 : liar_chance(liar, 12)) {
	case 1: /* in parts */
		liar_say(liar, 0, tag, message_length(tag));
		liar_say(liar, LAST, tag, message_length(tag));
		break;
	case 2: /* twice */
		liar_say(liar, LAST, tag, message_length(tag));
		liar_say(liar, LAST, tag, message_length(tag));
		break;
	case 3: /* late, to another, to nobody */
		liar_say(liar, LAST, tag - 1 - (uint32_t)liar_chance(liar, 3000), 10);
		liar_say(liar, LAST, tag ^ (uint32_t)liar_chance(liar, UINT32_MAX), 10);
		break;
	case 4: /* more after the last */
		liar_say(liar, LAST, tag, 5);
		liar_say(liar, 0, tag, 6);
		break;
	case 5:
		break;
	default:
		liar_say(liar, LAST, tag, message_length(tag));
	}
}

/* For a message, in one record or in two. */
static bool has_room_for(const struct liar *liar, uint32_t tag)
{
	return liar->mute || wire_has_room(&liar->wire, message_length(tag) + 64);
}

/* Takes what has come. right: from here on all is answered. */
static void hear(struct liar *liar, const struct order *order, struct told *told, bool right)
{
	struct wire_record record;

	while (!liar->deaf && (record = wire_hear(&liar->wire)).length >= 0) {
		/* Long ones count by their last part, and those that were given up not at all. */
		bool ends = !(record.flags & (MORE | CONTROL)), plain = ends && !liar->part;

		if (ends && order->style == STYLE_REPLIES) {
			if (right && !has_room_for(liar, record.tag))
				break;
			reply(liar, record.tag, right);
		} else if (ends && record.tag == FINALE) {
			told->finale = 1;
		} else if (ends && order->style == STYLE_STREAM) {
			told->wrong += record.tag != ++told->heard ||
				       (plain && !message_is_whole(record.tag, record.data,
								   (size_t)record.length));
		}
		liar->part = record.flags & MORE;
		wire_consume(&liar->wire, &record);
	}
}

static void say_next(struct liar *liar, const struct order *order, struct told *told)
{
	uint32_t tag = liar->tag + 1, flags = liar_chance(liar, 8) ? 0 : LAST;

	if (order->style != STYLE_REPLIES && liar_say(liar, flags, tag, message_length(tag))) {
		liar->tag = tag;
		told->said++;
	}
}

/*
 * All at random. First truth and lies, then, if none was told that does any harm, only truth, until
 * the next order comes.
 */

static void step(struct liar *liar, const struct order *order, struct told *told, bool tame)
{
	const struct lie *lie;

	switch (liar_chance(liar, 8)) {
	case 0:
	case 1:
	case 2:
		for (uint64_t n = 1 + liar_chance(liar, 20); n; n--)
			say_next(liar, order, told);
		break;
	case 3:
	case 4:
		hear(liar, order, told, false);
		break;
	case 5:
		if (liar_chance(liar, 2))
			usleep((useconds_t)liar_chance(liar, 100));
		else
			sched_yield();
		break;
	default:
		lie = lie_numbered(liar_chance(liar, lie_count()));
		if (!tame || !lie->lied)
			lie_tell(liar, lie);
	}
}

static void finish(struct liar *liar, const struct order *order, struct told *told)
{
	bool said = liar->mute || order->style == STYLE_REPLIES;

	while (!is_ordered(liar->lied ? 1000 : 0)) {
		hear(liar, order, told, true);
		if (!said)
			said = liar_say(liar, LAST, FINALE, message_length(FINALE));
		sched_yield();
	}
	/* What it had sent before it closed. */
	hear(liar, order, told, true);
}

static void play(struct liar *liar, const struct order *order, struct told *told)
{
	uint64_t steps = liar_chance(liar, 30);
	bool tame = !liar_chance(liar, 3);

	while (steps-- && !wire_is_over(&liar->wire))
		step(liar, order, told, tame);
	liar_calm(liar);
	told->lied = liar->lied;
	tell(told);
	finish(liar, order, told);
}

/*
 * One thing at a time.
 */

static int64_t lie_times(struct liar *liar, const struct order *order)
{
	const struct lie *lie = lie_named(order->name);
	uint64_t times = order->number ? order->number : 1;

	if (!lie)
		return -1;
	while (times && lie_tell(liar, lie))
		times--;
	return !times;
}

static int64_t say_one(struct liar *liar, const struct order *order)
{
	uint8_t bytes[4096];
	uint32_t tag = liar->tag + 1;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = message_byte(tag, i);
	if (order->number > sizeof(bytes) || !wire_say(&liar->wire, 0, tag, bytes, order->number))
		return 0;
	liar->tag = tag;
	return 1;
}

static int64_t hear_all(struct liar *liar)
{
	struct wire_record record;
	int64_t count = 0;

	while ((record = wire_hear(&liar->wire)).length >= 0) {
		wire_consume(&liar->wire, &record);
		count++;
	}
	return count;
}

static void follow(struct liar *liar, const struct order *order)
{
	struct told told = { .result = 0 };

	switch (order->verb) {
	case ORDER_OPEN:
	case ORDER_PLAY:
		begin(liar, order->number);
		told.result = open_link(liar, order, &told) ? 0 : -1;
		if (order->verb == ORDER_PLAY) {
			if (!told.result)
				play(liar, order, &told);
			told.over = 1;
			wire_drop(&liar->wire);
		}
		break;
	case ORDER_LIE:
		told.result = lie_times(liar, order);
		break;
	case ORDER_SAY:
		told.result = say_one(liar, order);
		break;
	case ORDER_HEAR:
		told.result = hear_all(liar);
		break;
	case ORDER_CALM:
		liar_calm(liar);
		break;
	default:
		liar_calm(liar);
		wire_drop(&liar->wire);
	}
	told.lied = liar->lied;
	tell(&told);
}

int main(int argc, char *argv[])
{
	struct liar liar = { .wire = { .fd = -1, .own_bell = -1, .their_bell = -1 } };
	struct order order;

	if (argc > 1) {
		uid_t user = (uid_t)strtoul(argv[1], NULL, 10);

		if (setgroups(0, NULL) || setgid(user) || setuid(user))
			return 3;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	liar.spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (recv(ORDERS, &order, sizeof(order), 0) == (ssize_t)sizeof(order))
		follow(&liar, &order);
	liar_calm(&liar);
	wire_drop(&liar.wire);
	return 0;
}
