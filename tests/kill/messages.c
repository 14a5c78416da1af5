/*
 * SPDX-License-Identifier: MIT
 *
 * Senders and receivers that are killed at each step of each verb: what a sender says that it has
 * sent arrives, once, in order and whole; what a receiver had is a prefix; the survivor is told how
 * it ended, whatever it waits in, and nothing stays.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/kill/letters.h"

#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#define AHEAD 8 /* letters that are written before they are sent */

/* What both sides do before the first step: the rings have been lapped. */
static uint64_t lap(enum letters kind)
{
	return kind == LETTERS_LONG ? 9 : 120;
}

/*
 * The victim. These are its own.
 */

static struct victim_self {
	struct play *play;
	struct diary *diary;
	struct peal_link *link;
	struct peal_tx *tx;
	struct peal_rx *rx;
	enum letters kind;
	uint64_t next; /* letter to be sent, or received */
	uint8_t letters[AHEAD][LETTER_LONGEST];
} self;

static const void *letter(uint64_t number)
{
	return self.letters[number % AHEAD];
}

static size_t length_of(uint64_t number)
{
	return letter_length(self.kind, number);
}

static void require(int err, const char *what)
{
	if (err)
		diary_object(self.diary, "%s: %d %s", what, err, peal_error());
}

/* Around what publishes so many letters. */
static void begin(uint64_t count)
{
	journal_note(&self.diary->begun, self.next + count);
}

static void end(uint64_t count)
{
	self.next += count;
	journal_note(&self.diary->sent, self.next);
}

static void write_ahead(void)
{
	for (uint64_t i = self.next; i < self.next + AHEAD; i++)
		letter_write(self.letters[i % AHEAD], self.kind, i);
}

static int send_letter(int64_t timeout)
{
	int err;

	begin(1);
	err = peal_send(self.tx, letter(self.next), length_of(self.next), (uint32_t)self.next,
			timeout);
	if (!err)
		end(1);
	return err;
}

/* Compares with what was written ahead, in as few steps as can be. */
static void take(const struct peal_message *message)
{
	if (message->length != length_of(self.next) || message->tag != (uint32_t)self.next ||
	    memcmp(message->data, letter(self.next), message->length) != 0)
		diary_object(self.diary, "letter %" PRIu64 " is not as it was sent", self.next);
	journal_note(&self.diary->received, ++self.next);
}

static void receive_letter(int64_t timeout)
{
	static uint8_t buffer[LETTER_LONGEST];
	struct peal_message about;
	ssize_t length = peal_recv(self.rx, buffer, sizeof(buffer), &about, timeout);

	if (length < 0)
		diary_object(self.diary, "letter %" PRIu64 ": %zd %s", self.next, length,
			     peal_error());
	about.data = buffer;
	take(&about);
}

/* What a play's victim does between its marks, and what its survivor is told of it. */
struct part {
	enum letters kind;
	bool receives;
	void (*act)(void);
	uint64_t most; /* letters that the survivor sends; 0: the lap's and no more */
	bool whole;    /* what is published is published at once */
	bool flows;    /* it needs the room that the survivor makes meanwhile */
	bool full;     /* the survivor makes no room until the victim is dead */
};

static void send_a_lap(uint64_t count)
{
	static uint8_t text[LETTER_LONGEST];

	begin(count);
	for (uint64_t i = 0; i < count; i++) {
		letter_write(text, self.kind, i);
		require(peal_send_more(self.tx, text, length_of(i), (uint32_t)i, SCENE_PATIENCE),
			"a letter");
	}
	peal_flush(self.tx);
	end(count);
}

static void receive_a_lap(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		letter_write(self.letters[i % AHEAD], self.kind, i);
		receive_letter(SCENE_PATIENCE);
	}
}

static void victim(struct play *play)
{
	const struct part *part = play->cast->data;

	self = (struct victim_self){ .play = play, .diary = play->diary, .kind = part->kind };
	self.link = link_of_victim(play);
	self.tx = peal_link_tx(self.link);
	self.rx = peal_link_rx(self.link);
	(part->receives ? receive_a_lap : send_a_lap)(lap(part->kind));
	/* There is room for what is to come. */
	while (!part->receives && journal_read(&self.diary->caught) < lap(part->kind))
		sched_yield();
	write_ahead();
	victim_mark();
	part->act();
	victim_mark();
}

static struct exchange exchange;

static void survivor(struct play *play)
{
	const struct part *part = play->cast->data;
	struct peal_link *link = link_of_survivor(play);

	exchange = (struct exchange){ .kind = part->kind };
	if (part->receives)
		exchange.send = lap(part->kind) + part->most;
	else
		exchange.hold = part->flows || play->cast->asleep_ns ? 0 : lap(part->kind);
	exchange.late = part->full;
	if (link)
		exchange_letters(play, link, &exchange);
}

static void after(struct play *play)
{
	const struct part *part = play->cast->data;

	exchange_check(play, &exchange, part->whole);
}

/*
 * What senders do.
 */

static void send_some(void)
{
	for (int i = 0; i < 3; i++)
		require(send_letter(SCENE_PATIENCE), "send");
}

static void reserve_and_commit(void)
{
	for (int i = 0; i < 3; i++) {
		void *at;

		begin(1);
		require(peal_reserve(self.tx, 256, &at, SCENE_PATIENCE), "reserve");
		memcpy(at, letter(self.next), length_of(self.next));
		require(peal_commit(self.tx, length_of(self.next), (uint32_t)self.next), "commit");
		end(1);
	}
}

static void gather(void)
{
	struct iovec pieces[2];
	size_t half = length_of(self.next) / 2;

	pieces[0] = (struct iovec){ .iov_base = self.letters[self.next % AHEAD], .iov_len = half };
	pieces[1] = (struct iovec){ .iov_base = self.letters[self.next % AHEAD] + half,
				    .iov_len = length_of(self.next) - half };
	begin(1);
	require(peal_sendv(self.tx, pieces, 2, (uint32_t)self.next, SCENE_PATIENCE), "sendv");
	end(1);
}

static void send_a_batch(void)
{
	struct peal_message messages[5];

	for (uint64_t i = 0; i < 5; i++)
		messages[i] = (struct peal_message){ .data = letter(self.next + i),
						     .length = length_of(self.next + i),
						     .tag = (uint32_t)(self.next + i) };
	begin(5);
	if (peal_send_batch(self.tx, messages, 5, SCENE_PATIENCE) != 5)
		diary_object(self.diary, "a batch: %s", peal_error());
	end(5);
}

/* A batch that its last message publishes, and one that is flushed. */
static void hold_and_publish(void)
{
	void *at;

	begin(3);
	for (uint64_t i = self.next; i < self.next + 2; i++) {
		require(peal_reserve(self.tx, length_of(i), &at, SCENE_PATIENCE), "reserve");
		memcpy(at, letter(i), length_of(i));
		require(peal_commit_more(self.tx, length_of(i), (uint32_t)i), "commit_more");
	}
	require(peal_send(self.tx, letter(self.next + 2), length_of(self.next + 2),
			  (uint32_t)self.next + 2, SCENE_PATIENCE),
		"send");
	end(3);
	begin(2);
	for (uint64_t i = self.next; i < self.next + 2; i++)
		require(peal_send_more(self.tx, letter(i), length_of(i), (uint32_t)i,
				       SCENE_PATIENCE),
			"send_more");
	peal_flush(self.tx);
	end(2);
}

static void abort_and_send(void)
{
	void *at;

	require(peal_reserve(self.tx, 512, &at, SCENE_PATIENCE), "reserve");
	memset(at, 0xff, 512);
	peal_abort(self.tx);
	require(send_letter(SCENE_PATIENCE), "send");
	require(peal_reserve(self.tx, 100, &at, SCENE_PATIENCE), "reserve");
	memset(at, 0xff, 100);
	peal_abort(self.tx);
}

static void send_long(void)
{
	for (int i = 0; i < 2; i++)
		require(send_letter(SCENE_PATIENCE), "send");
}

static void send_parts(void)
{
	for (int i = 0; i < 2; i++) {
		struct peal_sending sending = { .data = letter(self.next),
						.length = length_of(self.next),
						.tag = (uint32_t)self.next };
		int err;

		begin(1);
		do
			err = peal_send_part(self.tx, &sending, 0);
		while (err == -EAGAIN);
		require(err, "send_part");
		end(1);
	}
}

/* Of a long message that is given up nothing comes. */
static void give_up(void)
{
	static const uint8_t other[3 * 4096];
	struct peal_sending sending = { .data = other, .length = sizeof(other), .tag = 77 };

	if (peal_send_part(self.tx, &sending, 0) != -EAGAIN)
		diary_object(self.diary, "a part: %s", peal_error());
	peal_abort(self.tx);
	require(send_letter(SCENE_PATIENCE), "send");
}

static void wait_for_room(void)
{
	int err = 0;

	while (!err) {
		letter_write(self.letters[self.next % AHEAD], self.kind, self.next);
		err = send_letter(3 * MS);
	}
	if (err != -ETIMEDOUT)
		diary_object(self.diary, "a full ring: %d %s", err, peal_error());
}

static void send_and_close(void)
{
	require(send_letter(SCENE_PATIENCE), "send");
	journal_note(&self.diary->closing, 1);
	peal_close(self.link);
	journal_note(&self.diary->closed, 1);
}

/* With one pending, which a close publishes. */
static void hold_and_close(void)
{
	begin(1);
	require(peal_send_more(self.tx, letter(self.next), length_of(self.next),
			       (uint32_t)self.next, SCENE_PATIENCE),
		"send_more");
	journal_note(&self.diary->closing, 1);
	peal_close(self.link);
	end(1);
	journal_note(&self.diary->closed, 1);
}

/* In the handlers of a fork; the child lives on, until the next run begins, and hides nothing. */
static void fork_and_send(void)
{
	pid_t child = fork();

	while (!child && journal_read(&self.diary->ready))
		sched_yield();
	if (!child)
		_exit(0);
	require(send_letter(SCENE_PATIENCE), "send");
}

/* To one who sleeps: each is rung for. */
static void ring(void)
{
	require(send_letter(SCENE_PATIENCE), "send");
}

/*
 * What receivers do.
 */

static void receive_some(void)
{
	for (int i = 0; i < 3; i++)
		receive_letter(SCENE_PATIENCE);
}

static void peek_and_release(void)
{
	struct peal_message message;

	for (int i = 0; i < 3; i++) {
		require(peal_peek(self.rx, &message, SCENE_PATIENCE), "peek");
		take(&message);
		peal_release(self.rx);
	}
}

static void receive_a_batch(void)
{
	static uint8_t buffer[4096];
	struct peal_message messages[6];
	int count = peal_recv_batch(self.rx, buffer, sizeof(buffer), messages, 6, SCENE_PATIENCE);

	if (count < 1)
		diary_object(self.diary, "a batch: %s", peal_error());
	for (int i = 0; i < count; i++)
		take(&messages[i]);
}

static int take_one(void *data, const struct peal_message *message)
{
	(void)data;
	take(message);
	return 0;
}

static void drain(void)
{
	if (peal_drain(self.rx, take_one, NULL, 6, SCENE_PATIENCE) < 1)
		diary_object(self.diary, "a drain: %s", peal_error());
}

static void receive_in_pieces(void)
{
	static uint8_t buffer[LETTER_LONGEST];
	struct peal_message about;

	for (int i = 0; i < 2; i++) {
		ssize_t length;

		do
			length = peal_recv(self.rx, buffer, sizeof(buffer), &about, 0);
		while (length == -EAGAIN);
		about.data = buffer;
		if (length < 0)
			diary_object(self.diary, "a piece: %zd %s", length, peal_error());
		take(&about);
	}
}

/* By futex, and from 10 ms on by descriptor. */
static void sleep_for_data(void)
{
	struct peal_message message;

	if (peal_peek(self.rx, &message, 14 * MS) != -ETIMEDOUT)
		diary_object(self.diary, "there is something, or: %s", peal_error());
}

static void sleep_in_a_set(void)
{
	struct peal_set *set;

	if (peal_set_create(&set) || peal_set_add(set, self.link, NULL) ||
	    peal_set_wait(set, 3 * MS) != -ETIMEDOUT)
		diary_object(self.diary, "a set: %s", peal_error());
	peal_set_free(set);
}

static void arm_and_poll(void)
{
	struct pollfd look = { .fd = peal_link_fd(self.link), .events = POLLIN };

	for (int i = 0; i < 2; i++)
		if (peal_link_arm(self.link, PEAL_DATA) || poll(&look, 1, 1) < 0)
			diary_object(self.diary, "arming: %s", peal_error());
}

static void close_with_unread(void)
{
	receive_letter(SCENE_PATIENCE);
	journal_note(&self.diary->closing, 1);
	peal_close(self.link);
	journal_note(&self.diary->closed, 1);
}

#define SENDER(title, ...)                                                               \
	{                                                                                \
		.name = (title), .victim = victim, .survivor = survivor, .after = after, \
		.data = &(struct part)                                                   \
		{                                                                        \
			__VA_ARGS__                                                      \
		}                                                                        \
	}
#define RECEIVER(title, ...) SENDER(title, .receives = true, __VA_ARGS__)

static const struct cast senders[] = {
	SENDER("send", .act = send_some, .whole = true),
	SENDER("reserve, commit", .act = reserve_and_commit, .whole = true),
	SENDER("sendv", .act = gather, .whole = true),
	SENDER("send_batch", .act = send_a_batch, .whole = true),
	SENDER("commit_more, send_more, flush", .act = hold_and_publish, .whole = true),
	SENDER("reserve, abort", .act = abort_and_send, .whole = true),
	SENDER("send, long", .act = send_long, .kind = LETTERS_LONG, .flows = true),
	SENDER("send_part", .act = send_parts, .kind = LETTERS_LONG, .flows = true),
	SENDER("send_part, abort", .act = give_up, .flows = true),
	SENDER("send, waiting for room", .act = wait_for_room, .full = true),
	SENDER("send, close", .act = send_and_close),
	SENDER("fork, send", .act = fork_and_send, .whole = true),
	SENDER("send_more, close", .act = hold_and_close, .whole = true),
};

static const struct cast ringers[] = {
	SENDER("send, ringing", .act = ring, .whole = true),
	SENDER("send, ringing by descriptor", .act = ring, .whole = true),
};

static const struct cast receivers[] = {
	RECEIVER("recv", .act = receive_some, .most = 8),
	RECEIVER("recv, making room", .act = receive_some, .most = UINT32_MAX),
	RECEIVER("peek, release", .act = peek_and_release, .most = UINT32_MAX),
	RECEIVER("recv_batch", .act = receive_a_batch, .most = UINT32_MAX),
	RECEIVER("drain", .act = drain, .most = UINT32_MAX),
	RECEIVER("recv, long", .act = receive_some, .most = 6, .kind = LETTERS_LONG),
	RECEIVER("recv, long, in pieces", .act = receive_in_pieces, .most = 6,
		 .kind = LETTERS_LONG),
	RECEIVER("recv, sleeping", .act = sleep_for_data),
	RECEIVER("set_wait, sleeping", .act = sleep_in_a_set),
	RECEIVER("arm, poll", .act = arm_and_poll),
	RECEIVER("recv, close", .act = close_with_unread, .most = UINT32_MAX),
};

START_TEST(what_a_sender_published_arrives_whatever_step_it_is_killed_at)
	{
		if (play_possible())
			play_run(&senders[_i]);
	}
END_TEST

START_TEST(who_is_rung_by_one_that_is_killed_meanwhile_misses_nothing)
	{
		struct cast cast = ringers[_i];

		/* By futex for 10 ms, by descriptor then. */
		cast.asleep_ns = _i ? 14 * MS : 1;
		if (play_possible())
			play_run(&cast);
	}
END_TEST

START_TEST(a_receiver_had_a_prefix_whatever_step_it_is_killed_at)
	{
		if (play_possible())
			play_run(&receivers[_i]);
	}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static Suite *messages(void)
{
	Suite *suite = suite_create("messages");
	TCase *tcase = scene_case("messages");

	tcase_add_loop_test(tcase, what_a_sender_published_arrives_whatever_step_it_is_killed_at, 0,
			    COUNT(senders));
	tcase_add_loop_test(tcase, who_is_rung_by_one_that_is_killed_meanwhile_misses_nothing, 0,
			    COUNT(ringers));
	tcase_add_loop_test(tcase, a_receiver_had_a_prefix_whatever_step_it_is_killed_at, 0,
			    COUNT(receivers));
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { messages, NULL };

	return play_main(suites);
}
