/*
 * SPDX-License-Identifier: MIT
 *
 * Letters, and what becomes of their link, as letters.h says.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/kill/letters.h"

#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <unistd.h>

size_t letter_length(enum letters kind, uint64_t number)
{
	static const size_t some[] = { 8, 0, 61, 24, 200, 1, 16, 33 };

	if (kind == LETTERS_LONG && number % 3 == 1)
		return 3 * 4096 + some[number % 8];
	return some[number % 8];
}

static uint64_t letter_word(uint64_t number, size_t i)
{
	return number * 0x9e3779b97f4a7c15u + i;
}

void letter_write(void *to, enum letters kind, uint64_t number)
{
	size_t length = letter_length(kind, number);

	for (size_t i = 0; i < length; i += sizeof(uint64_t)) {
		uint64_t word = letter_word(number, i);

		memcpy((uint8_t *)to + i, &word, length - i < 8 ? length - i : 8);
	}
}

bool letter_is(const void *data, size_t length, uint32_t tag, enum letters kind, uint64_t number)
{
	static _Thread_local uint8_t wanted[LETTER_LONGEST];

	if (length != letter_length(kind, number) || tag != (uint32_t)number)
		return false;
	letter_write(wanted, kind, number);
	return !length || memcmp(data, wanted, length) == 0;
}

/*
 * The link.
 */

static bool victim_listens(const struct play *play)
{
	return play_chance(play, 5, 2);
}

static int listen_once(struct play *play, struct peal_link **link)
{
	struct peal_options options = play_options(play);
	struct peal_listener *listener;
	int err = peal_listen(&listener, play->address, &options);

	if (err)
		return err;
	journal_note(&play->diary->ready, 1);
	err = peal_accept(listener, link, SCENE_PATIENCE);
	peal_listener_close(listener);
	return err;
}

static int connect_once(struct play *play, struct peal_link **link)
{
	struct peal_options options = play_options(play);

	while (!journal_read(&play->diary->ready))
		sched_yield();
	return peal_connect(link, play->address, &options, SCENE_PATIENCE);
}

struct peal_link *link_of_victim(struct play *play)
{
	struct peal_link *link = NULL;
	int err = (victim_listens(play) ? listen_once : connect_once)(play, &link);

	if (err)
		diary_object(play->diary, "no link: %d %s", err, peal_error());
	return link;
}

struct peal_link *link_of_survivor(struct play *play)
{
	struct peal_link *link = NULL;
	int err = (victim_listens(play) ? connect_once : listen_once)(play, &link);

	if (!err)
		return link;
	play_object(play, "no link: %d %s", err, peal_error());
	return NULL;
}

/*
 * The survivor.
 */

enum way { WHOLE, SLICES, DESCRIPTOR, SET, SET_DESCRIPTOR, LATE, WAYS };

struct waiter {
	struct play *play;
	struct peal_link *link;
	struct exchange *exchange;
	enum way way;
	struct peal_set *set;
	bool sending;
	uint64_t end;
	uint8_t buffer[LETTER_LONGEST];
};

static void poll_for_it(struct waiter *waiter)
{
	struct pollfd look = { .fd = peal_link_fd(waiter->link), .events = POLLIN };
	int armed = peal_link_arm(waiter->link,
				  waiter->sending ? PEAL_DATA | PEAL_ROOM : PEAL_DATA);

	if (look.fd < 0 || armed < 0)
		play_object(waiter->play, "no descriptor: %s", peal_error());
	else if (!armed && poll(&look, 1, (int)(SCENE_PATIENCE / MS)) != 1)
		play_object(waiter->play, "the link's descriptor is silent");
}

static void epoll_for_it(struct waiter *waiter)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int armed = peal_set_arm(waiter->set), poller = epoll_create1(EPOLL_CLOEXEC);

	if (armed < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, peal_set_fd(waiter->set), &event))
		play_object(waiter->play, "the set is not armed: %s", peal_error());
	else if (!armed && epoll_wait(poller, &event, 1, (int)(SCENE_PATIENCE / MS)) != 1)
		play_object(waiter->play, "the set's descriptor is silent");
	close(poller);
}

/* Waits in its way, after a verb has found nothing. */
static void await(struct waiter *waiter)
{
	int ready = 1;

	if (scene_now() > waiter->end)
		play_object(waiter->play, "nothing comes of %s",
			    waiter->sending ? "sending" : "waiting");
	if (waiter->set && waiter->sending)
		peal_set_want_room(waiter->set, waiter->link);
	switch (waiter->way) {
	case DESCRIPTOR:
		poll_for_it(waiter);
		break;
	case SET:
		ready = peal_set_wait(waiter->set, SCENE_PATIENCE);
		break;
	case SET_DESCRIPTOR:
		epoll_for_it(waiter);
		break;
	default:
		sched_yield();
	}
	if (ready < 0)
		play_object(waiter->play, "the set waits in vain: %d %s", ready, peal_error());
	while (waiter->set && peal_set_next(waiter->set, NULL))
		;
}

static int64_t timeout_of(const struct waiter *waiter)
{
	return waiter->way == WHOLE ? SCENE_PATIENCE : waiter->way == SLICES ? MS : 0;
}

static int send_one(struct waiter *waiter)
{
	struct exchange *exchange = waiter->exchange;
	uint64_t number = exchange->passed;
	size_t length = letter_length(exchange->kind, number);
	int64_t timeout = timeout_of(waiter);
	int err;

	letter_write(waiter->buffer, exchange->kind, number);
	/* Those of some pages take as long as they take. */
	err = peal_send(peal_link_tx(waiter->link), waiter->buffer, length, (uint32_t)number,
			length > 4096 ? SCENE_PATIENCE : timeout);
	if (!err)
		exchange->passed++;
	return err;
}

static int receive_one(struct waiter *waiter)
{
	struct exchange *exchange = waiter->exchange;
	struct peal_message about;
	ssize_t length = peal_recv(peal_link_rx(waiter->link), waiter->buffer,
				   sizeof(waiter->buffer), &about, timeout_of(waiter));

	if (length < 0)
		return (int)length;
	if (!letter_is(waiter->buffer, (size_t)length, about.tag, exchange->kind,
		       exchange->received)) {
		play_object(waiter->play,
			    "letter %" PRIu64 " is not as it was sent, but tag %u, %zd bytes",
			    exchange->received, about.tag, length);
		return 1;
	}
	journal_note(&waiter->play->diary->caught, ++exchange->received);
	return 0;
}

/* One or the other until it has an end, which must be that of the link. */
static int go_through(struct waiter *waiter, int (*step)(struct waiter *waiter), uint64_t *count,
		      uint64_t most)
{
	int err = 0;

	waiter->end = scene_now() + (uint64_t)SCENE_PATIENCE;
	while (!err && *count < most && !waiter->play->wrong[0]) {
		err = step(waiter);
		if (err == -EAGAIN || (err == -ETIMEDOUT && waiter->way == SLICES)) {
			await(waiter);
			err = 0;
		}
	}
	return err;
}

bool end_is_explained(const struct play *play, int err)
{
	if (err == -EPIPE)
		return journal_read(&play->diary->closing);
	return err == -ECONNRESET && !journal_read(&play->diary->closed);
}

/* The end has been told of by one verb: all others say the same. */
static void expect_ended(struct waiter *waiter, int err)
{
	uint64_t most = waiter->exchange->passed + 4096;
	int again;

	if (!end_is_explained(waiter->play, err))
		play_object(waiter->play, "the end is %d: %s", err, peal_error());
	waiter->way = WHOLE;
	again = receive_one(waiter);
	if (again != err)
		play_object(waiter->play, "receiving ended with %d, then with %d", err, again);
	again = 0;
	while (!again && waiter->exchange->passed < most)
		again = send_one(waiter);
	if (again != err)
		play_object(waiter->play, "receiving ended with %d, sending with %d", err, again);
}

static void await_death(const struct play *play)
{
	while (!play_is_dead(play))
		sched_yield();
}

void exchange_letters(struct play *play, struct peal_link *link, struct exchange *exchange)
{
	struct waiter waiter = { .play = play, .link = link, .exchange = exchange };
	int err;

	waiter.way = exchange->late ? LATE :
				      (enum way)play_chance(play, 4, exchange->hold ? WAYS : LATE);
	/* Who is to sleep for longer than a slice does not wait in slices. */
	if (waiter.way == SLICES && play->cast->asleep_ns > (uint64_t)MS)
		waiter.way = WHOLE;
	if (waiter.way == SET || waiter.way == SET_DESCRIPTOR)
		if (peal_set_create(&waiter.set) || peal_set_add(waiter.set, link, NULL))
			play_object(play, "no set: %s", peal_error());
	waiter.sending = true;
	err = go_through(&waiter, send_one, &exchange->passed, exchange->send);
	waiter.sending = false;
	if (waiter.way == LATE) {
		err = go_through(&waiter, receive_one, &exchange->received, exchange->hold);
		await_death(play);
	}
	/* What ends sending is no end of what is to be read. */
	if (!err || err == -ECONNRESET || err == -EPIPE)
		err = go_through(&waiter, receive_one, &exchange->received, UINT64_MAX);
	if (!play->wrong[0])
		expect_ended(&waiter, err);
	peal_close(link);
	peal_set_free(waiter.set);
}

void exchange_check(const struct play *play, const struct exchange *exchange, bool whole)
{
	const struct diary *diary = play->diary;
	uint64_t begun = journal_read(&diary->begun), sent = journal_read(&diary->sent);

	play_expect(play, exchange->received >= sent && exchange->received <= begun,
		    "%" PRIu64 " letters were sent and %" PRIu64 " begun, %" PRIu64 " arrived",
		    sent, begun, exchange->received);
	play_expect(play, !whole || exchange->received == sent || exchange->received == begun,
		    "of %" PRIu64 " to %" PRIu64 ", published at once, %" PRIu64 " arrived", sent,
		    begun, exchange->received);
	play_expect(play, journal_read(&diary->received) <= exchange->passed,
		    "%" PRIu64 " letters were received, %" PRIu64 " sent",
		    journal_read(&diary->received), exchange->passed);
}
