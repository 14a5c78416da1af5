/*
 * SPDX-License-Identifier: MIT
 *
 * Counters that are not of messages: how much was found in a ring, and waits by sets, servers and
 * event loops. White-box: what a monitor would read is read from a link's slot, and the test writes
 * into a peer's ring.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "lib/link.h"
#include "lib/worker.h"
#include "tests/unit/stage.h"

#define SECOND ((uint64_t)1000 * MS)

/* What is received into. */
static uint8_t buffer[1 << 16];
static struct peal_message messages[1000];

/* The clock, which the linker leads here, is put forward. */
static uint64_t ahead;

uint64_t __real_platform_now(void);
uint64_t __wrap_platform_now(void);
uint64_t __wrap_platform_now(void)
{
	return __real_platform_now() + ahead;
}

/* Sends messages of 56 bytes, which take 64 of the ring. */
static void send_some(struct peal_link *link, int count)
{
	for (int i = 0; i < count; i++)
		ck_assert_int_eq(peal_send(peal_link_tx(link), buffer, 56, 0, 0), 0);
}

/* As many as there is room for. Bytes of the ring that were taken. */
static uint64_t fill(struct peal_link *link)
{
	uint64_t before = link->tx.pos;
	int err;

	do
		err = peal_send(peal_link_tx(link), buffer, 56, 0, 0);
	while (!err);
	ck_assert_int_eq(err, -EAGAIN);
	return link->tx.pos - before;
}

static void receive(struct peal_link *link, int count)
{
	for (int i = 0; i < count; i++)
		ck_assert_int_eq(peal_recv(peal_link_rx(link), buffer, sizeof(buffer), NULL, 0),
				 56);
}

static void receive_all(struct peal_link *link)
{
	while (peal_recv(peal_link_rx(link), buffer, sizeof(buffer), NULL, 0) >= 0)
		;
}

static void expect_depth(const struct peal_counters *counters, uint64_t depth, uint64_t high)
{
	ck_assert_uint_eq(counters->depth, depth);
	ck_assert_uint_eq(counters->high_water, high);
}

START_TEST(a_producer_that_looks_for_room_counts_what_is_unread)
	{
		struct peal_link *links[2];
		const struct peal_counters *counted;
		uint64_t full;

		pair_open(links, PEAL_WAIT_SLEEP, 0);
		counted = &links[0]->slot->tx;
		send_some(links[0], 3);
		expect_depth(counted, 0, 0); /* it had no need to look */
		full = 3 * 64 + fill(links[0]);
		expect_depth(counted, full, full);
		receive(links[1], 5);
		send_some(links[0], 1);
		expect_depth(counted, full - 5 * 64, full);
		fill(links[0]);
		receive_all(links[1]);
		send_some(links[0], 1);
		expect_depth(counted, 0, full);
		pair_close(links);
	}
END_TEST

START_TEST(what_is_pending_is_not_in_the_ring_yet)
	{
		struct peal_link *links[2];
		struct peal_tx *tx;
		uint64_t held = 0;

		pair_open(links, PEAL_WAIT_SLEEP, 0);
		tx = peal_link_tx(links[0]);
		send_some(links[0], 2);
		while (tx->pos + 64 + PEAL_HEADER_SIZE <= tx->limit) {
			ck_assert_int_eq(peal_send_more(tx, buffer, 56, 0, 0), 0);
			held += 64;
		}
		receive(links[1], 1);
		ck_assert_int_eq(peal_send_more(tx, buffer, 56, 0, 0), 0);
		ck_assert_uint_gt(held, 0);
		expect_depth(&links[0]->slot->tx, 64, 64);
		pair_close(links);
	}
END_TEST

START_TEST(a_consumer_counts_a_batch_and_that_there_is_nothing)
	{
		struct peal_link *links[2];
		const struct peal_counters *counted;
		struct peal_rx *rx;

		pair_open(links, PEAL_WAIT_SLEEP, 0);
		counted = &links[1]->slot->rx;
		rx = peal_link_rx(links[1]);
		send_some(links[0], 7);
		ck_assert_int_eq(peal_recv_batch(rx, buffer, sizeof(buffer), messages, 5, 0), 5);
		expect_depth(counted, 5 * 64, 5 * 64);
		ck_assert_int_eq(peal_recv_batch(rx, buffer, sizeof(buffer), messages, 5, 0), 2);
		expect_depth(counted, 2 * 64, 5 * 64);
		for (int i = 0; i < 2; i++) {
			expect_error(peal_recv(rx, buffer, sizeof(buffer), NULL, i * MS),
				     i ? -ETIMEDOUT : -EAGAIN, NULL);
			expect_depth(counted, 0, 5 * 64);
			send_some(links[0], 1);
			ck_assert_int_eq(
				peal_recv_batch(rx, buffer, sizeof(buffer), messages, 5, 0), 1);
			expect_depth(counted, 64, 5 * 64);
		}
		pair_close(links);
	}
END_TEST

static struct meeting meeting;
static struct peal_set *set;

static void meet(uint32_t wait)
{
	struct peal_options options = stage_options(wait, 0);

	meeting_open(&meeting, &options, &options);
	ck_assert_int_eq(peal_set_create(&set), 0);
	ck_assert_int_eq(peal_set_add(set, meeting.server, NULL), 0);
}

static void part(void)
{
	peal_set_free(set);
	meeting_close(&meeting);
}

static void wait_in_vain(void)
{
	expect_error(peal_set_wait(set, MS), -ETIMEDOUT, NULL);
}

START_TEST(a_consumer_that_wakes_its_producer_looks_what_there_is)
	{
		struct peal_page *page;
		uint64_t full;

		meet(PEAL_WAIT_SLEEP);
		full = fill(meeting.client);
		page = meeting.client->page;
		/* As if it slept until there is some room. */
		page->tx_wants = meeting.server->rx.pos + 128;
		page->tx_asleep = PEAL_ASLEEP_EPOCH | PEAL_ASLEEP;
		receive(meeting.server, 1);
		expect_depth(&meeting.server->slot->rx, 0, 0);
		receive(meeting.server, 1);
		expect_depth(&meeting.server->slot->rx, full - 128, full - 128);
		/* And not again within the second. */
		page->tx_asleep += PEAL_ASLEEP_EPOCH;
		receive(meeting.server, 1);
		expect_depth(&meeting.server->slot->rx, full - 128, full - 128);
		ahead += SECOND;
		page->tx_asleep += PEAL_ASLEEP_EPOCH;
		receive(meeting.server, 1);
		expect_depth(&meeting.server->slot->rx, full - 256, full - 128);
		part();
	}
END_TEST

/* Waits again and again until that much was found: a set that always finds something looks at the
 * clock once a millisecond. */
static void expect_found(uint64_t depth)
{
	const struct peal_counters *counted = &meeting.server->slot->rx;
	uint64_t end = __real_platform_now() + (uint64_t)LONG;

	do
		ck_assert_int_eq(peal_set_wait(set, LONG), 1);
	while (counted->depth != depth && __real_platform_now() < end);
	ck_assert_uint_eq(counted->depth, depth);
}

START_TEST(a_set_looks_once_a_second_how_much_there_is)
	{
		const struct peal_counters *counted;

		meet(PEAL_WAIT_SLEEP);
		counted = &meeting.server->slot->rx;
		send_some(meeting.client, 3);
		ck_assert_int_eq(peal_set_wait(set, LONG), 1);
		expect_depth(counted, 3 * 64, 3 * 64);
		send_some(meeting.client, 4);
		receive(meeting.server, 1);
		for (uint64_t end = __real_platform_now() + 3 * MS; __real_platform_now() < end;)
			ck_assert_int_eq(peal_set_wait(set, LONG), 1);
		expect_depth(counted, 3 * 64, 3 * 64);
		ahead += SECOND;
		expect_found(6 * 64);
		receive_all(meeting.server);
		send_some(meeting.client, 1);
		ahead += SECOND;
		expect_found(64);
		expect_depth(counted, 64, 6 * 64);
		receive(meeting.server, 1);
		wait_in_vain();
		expect_depth(counted, 0, 6 * 64);
		part();
	}
END_TEST

/* The header of the n-th of the records of 64 bytes that are there. */
static uint64_t *header(int n)
{
	struct peal_rx *rx = peal_link_rx(meeting.server);

	return (uint64_t *)(void *)(meeting.client->tx.data +
				    ((rx->pos + 64 * (uint64_t)n) & rx->mask));
}

START_TEST(a_look_ahead_believes_no_lie_and_goes_no_farther_than_a_lap)
	{
		uint64_t capacity;
		static const uint64_t lies[] = { PEAL_HEADER_LENGTH, PEAL_HEADER_LAST,
						 PEAL_HEADER_RESERVED, 100000,
						 PEAL_HEADER_CONTROL | 1000 };

		meet(PEAL_WAIT_SLEEP);
		capacity = meeting.server->theirs.capacity;
		send_some(meeting.client, 9);
		for (int i = 0; i < (int)(sizeof(lies) / sizeof(lies[0])); i++) {
			*header(i + 1) = lies[i];
			ahead += SECOND;
			expect_found(64 * (uint64_t)(i + 1));
			*header(i + 1) = 57;
		}
		/* No end: what is behind the last one is a record, too, and goes beyond a lap. */
		for (uint64_t at = 0; at < capacity; at += 64)
			*header((int)(at / 64)) = 57;
		ahead += SECOND;
		expect_found(capacity);
		*header(1) = capacity - 63;
		ahead += SECOND;
		expect_found(64);
		part();
	}
END_TEST

START_TEST(a_set_that_puts_a_link_to_sleep_looks_what_the_peer_has_read)
	{
		const struct peal_counters *counted;
		struct peal_page *page;

		meet(PEAL_WAIT_SLEEP);
		counted = &meeting.server->slot->tx;
		send_some(meeting.server, 3);
		receive(meeting.client, 1);
		wait_in_vain();
		expect_depth(counted, 2 * 64, 2 * 64);
		/* It is looked at until all is read, also when it wakes up. */
		receive(meeting.client, 1);
		send_some(meeting.client, 1);
		ck_assert_int_eq(peal_set_wait(set, LONG), 1);
		expect_depth(counted, 64, 2 * 64);
		receive(meeting.client, 1);
		receive(meeting.server, 1);
		wait_in_vain();
		expect_depth(counted, 0, 2 * 64);
		/* From then on once a second. What cannot be true is not counted. */
		send_some(meeting.server, 5);
		wait_in_vain();
		expect_depth(counted, 0, 2 * 64);
		page = meeting.client->page;
		page->head += 6 * 64;
		for (int i = 0; i < 2; i++) {
			ahead += SECOND;
			peal_set_rouse(set);
			wait_in_vain();
			expect_depth(counted, i ? 4 * 64 : 0, i ? 4 * 64 : 2 * 64);
			page->head -= 5 * 64;
		}
		page->head += 4 * 64;
		part();
	}
END_TEST

START_TEST(a_set_counts_a_sleep_of_each_link_that_it_puts_to_sleep)
	{
		const struct peal_counters *tx, *rx;

		meet(PEAL_WAIT_SLEEP);
		tx = &meeting.server->slot->tx;
		rx = &meeting.server->slot->rx;
		expect_error(peal_set_wait(set, 0), -EAGAIN, NULL);
		ck_assert_uint_eq(rx->sleeps, 0);
		for (int i = 0; i < 3; i++) /* it stays asleep */
			wait_in_vain();
		ck_assert_uint_eq(rx->sleeps, 1);
		ck_assert_uint_eq(rx->waits, 1);
		send_some(meeting.client, 1);
		ck_assert_int_eq(peal_set_wait(set, LONG), 1);
		ck_assert_uint_eq(rx->sleeps, 1);
		receive(meeting.server, 1);
		wait_in_vain();
		ck_assert_uint_eq(rx->sleeps, 2);
		ck_assert_uint_eq(rx->waits, 2);
		ck_assert_uint_eq(rx->slices + rx->stalled_since, 0);
		ck_assert_uint_eq(tx->waits + tx->sleeps, 0);
		part();
	}
END_TEST

START_TEST(a_link_that_waits_for_room_in_a_set_is_stalled_until_it_is_told)
	{
		const struct peal_counters *tx;
		uint64_t since, before;

		meet(PEAL_WAIT_SLEEP);
		tx = &meeting.server->slot->tx;
		fill(meeting.server);
		ck_assert_uint_eq(tx->waits, 1);
		ck_assert_uint_eq(tx->stalled_since, 0);
		before = platform_now();
		ck_assert_int_eq(peal_set_want_room(set, meeting.server), 0);
		since = tx->stalled_since;
		ck_assert_uint_ge(since, before);
		ck_assert_uint_le(since, platform_now());
		wait_in_vain();
		ck_assert_uint_eq(tx->sleeps, 1);
		/* What is received meanwhile changes nothing. */
		send_some(meeting.client, 1);
		ck_assert_int_eq(peal_set_wait(set, LONG), 1);
		receive(meeting.server, 1);
		ck_assert_int_eq(peal_set_want_room(set, meeting.server), 0);
		wait_in_vain();
		ck_assert_uint_eq(tx->sleeps, 2);
		ck_assert_uint_eq(tx->stalled_since, since);
		receive(meeting.client, 3);
		ck_assert_int_eq(peal_set_wait(set, LONG), 1);
		ck_assert_ptr_eq(peal_set_next(set, NULL), meeting.server);
		ck_assert_uint_eq(tx->stalled_since, 0);
		/* A verb that waits in between, in vain, is a part of the wait. */
		fill(meeting.server);
		ck_assert_int_eq(peal_set_want_room(set, meeting.server), 0);
		since = tx->stalled_since;
		ck_assert_uint_ne(since, 0);
		expect_error(peal_send(peal_link_tx(meeting.server), buffer, 56, 0, MS), -ETIMEDOUT,
			     NULL);
		ck_assert_uint_eq(tx->stalled_since, since);
		receive(meeting.client, 1);
		send_some(meeting.server, 1);
		ck_assert_uint_eq(tx->stalled_since, 0);
		/* Who leaves, or has sent, does not wait either. */
		for (int i = 0; i < 2; i++) {
			fill(meeting.server);
			ck_assert_int_eq(peal_set_want_room(set, meeting.server), 0);
			ck_assert_uint_ne(tx->stalled_since, 0);
			receive(meeting.client, 1);
			if (i)
				ck_assert_int_eq(peal_set_remove(set, meeting.server), 0);
			else
				send_some(meeting.server, 1);
			ck_assert_uint_eq(tx->stalled_since, 0);
		}
		ck_assert_uint_eq(tx->waits, 5);
		part();
	}
END_TEST

START_TEST(an_event_loops_waits_are_counted)
	{
		const struct peal_counters *tx, *rx;

		meet(PEAL_WAIT_SLEEP);
		ck_assert_int_eq(peal_set_remove(set, meeting.server), 0);
		tx = &meeting.server->slot->tx;
		rx = &meeting.server->slot->rx;
		ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_DATA), 0);
		ck_assert_uint_eq(rx->sleeps, 1);
		ck_assert_uint_eq(rx->waits, 1);
		send_some(meeting.client, 1);
		ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_DATA), 1);
		ck_assert_uint_eq(rx->sleeps, 1);
		receive(meeting.server, 1);
		fill(meeting.server);
		ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_DATA | PEAL_ROOM), 0);
		ck_assert_uint_eq(rx->sleeps, 2);
		ck_assert_uint_eq(tx->sleeps, 1);
		ck_assert_uint_ne(tx->stalled_since, 0);
		receive_all(meeting.client);
		send_some(meeting.server, 1);
		ck_assert_uint_eq(tx->stalled_since, 0);
		fill(meeting.server);
		ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_ROOM), 0);
		ck_assert_uint_ne(tx->stalled_since, 0);
		ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_DATA), 0);
		ck_assert_uint_eq(tx->stalled_since, 0);
		/* There is room, whether it is used or not. */
		ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_ROOM), 0);
		ck_assert_uint_ne(tx->stalled_since, 0);
		receive(meeting.client, 1);
		ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_ROOM), 1);
		ck_assert_uint_eq(tx->stalled_since, 0);
		/* Who waits in a set from now on says so there. */
		fill(meeting.server);
		ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_ROOM), 0);
		ck_assert_uint_ne(tx->stalled_since, 0);
		ck_assert_int_eq(peal_set_add(set, meeting.server, NULL), 0);
		ck_assert_uint_eq(tx->stalled_since, 0);
		ck_assert_int_eq(peal_set_remove(set, meeting.server), 0);
		/* No room comes where nobody reads. */
		ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_ROOM), 0);
		ck_assert_uint_ne(tx->stalled_since, 0);
		peal_close(meeting.client);
		meeting.client = NULL;
		ck_assert_int_eq(peal_send(peal_link_tx(meeting.server), buffer, 56, 0, LONG),
				 -EPIPE);
		ck_assert_uint_eq(tx->stalled_since, 0);
		part();
	}
END_TEST

START_TEST(who_makes_room_for_one_that_waits_by_descriptor_looks_once_a_second)
	{
		const struct peal_counters *counted;
		uint64_t full;

		meet(PEAL_WAIT_SLEEP);
		ck_assert_int_eq(peal_set_remove(set, meeting.server), 0);
		counted = &meeting.client->slot->rx;
		for (int i = 0; i < 3; i++) {
			full = fill(meeting.server);
			ck_assert_int_eq(peal_link_arm(meeting.server, PEAL_ROOM), 0);
			while (peal_link_arm(meeting.server, PEAL_ROOM) == 0) {
				receive(meeting.client, 1);
				full -= 64;
			}
			expect_depth(counted, full, full);
			receive_all(meeting.client);
			expect_depth(counted, 0, full);
			ahead += SECOND;
		}
		part();
	}
END_TEST

/* A server that takes 50 ms to echo a message, is stepped, and has one client. */
static struct peal_server *server;
static struct peal_link *client, *served;
static struct folder folder;

static int on_connected(void *data, struct peal_link *link, void **mine)
{
	(void)data;
	(void)mine;
	served = link;
	return 0;
}

static void on_message(void *data, struct peal_request *request)
{
	int err = peal_reply(request, request->data, request->length, 0);

	(void)data;
	ahead += SECOND / 20;
	/* Who has gone is heard to its end. */
	ck_assert_msg(!err || err == -EPIPE, "%s", peal_error());
}

static void step(void)
{
	int result = peal_server_step(server, MS);

	ck_assert_msg(result >= 0 || result == -ETIMEDOUT || result == -EAGAIN, "%s", peal_error());
}

static void serve(void)
{
	struct peal_options link = stage_options(PEAL_WAIT_SLEEP, 0);
	struct peal_server_options options;
	struct caller caller;

	peal_server_options_init(&options);
	options.handlers = (struct peal_handlers){ .connected = on_connected,
						   .message = on_message };
	options.link = &link;
	options.reply = 56;
	folder_make(&folder);
	ck_assert_int_eq(peal_server_open(&server, folder.path, &options), 0);
	link.ring *= 2;
	caller_start(&caller, folder.path, &link, LONG);
	while (!caller_is_over(&caller) || !served)
		step();
	caller_end(&caller);
	ck_assert_msg(!caller.err, "%s", caller.sentence);
	client = caller.link;
}

/* Until there is nothing more to do. */
static void settle(void)
{
	while (peal_server_step(server, MS) >= 0)
		;
}

static const char *close_the_copy(void *data)
{
	(void)data;
	peal_server_close(server);
	peal_close(client);
	return NULL;
}

START_TEST(a_slow_client_is_stalled_until_it_has_read)
	{
		const struct peal_counters *tx, *rx;
		uint64_t before, answered, since;

		serve();
		tx = &served->slot->tx;
		rx = &served->slot->rx;
		before = platform_now();
		answered = fill(client);
		settle();
		answered -= rx->depth;
		since = tx->stalled_since;
		ck_assert_uint_ge(since, before);
		ck_assert_uint_le(since, platform_now());
		ck_assert_uint_eq(since, server->workers[0].slow_since);
		ck_assert_uint_eq(tx->waits, 1);
		ck_assert_uint_eq(tx->sleeps, 1);
		expect_depth(tx, answered, answered);
		ck_assert_uint_eq(answered, stage_page() - 64);
		ck_assert_uint_ge(rx->depth, stage_page());
		child_run(close_the_copy, NULL);
		/* It has to have a quarter of the ring. */
		receive(client, 3);
		settle();
		ck_assert_uint_eq(tx->stalled_since, since);
		receive_all(client);
		settle();
		receive_all(client);
		settle();
		ck_assert_uint_eq(tx->stalled_since, 0);
		ck_assert_uint_eq(rx->depth, 0);
		/* And for another time, until it has gone. */
		fill(client);
		settle();
		ck_assert_uint_gt(tx->stalled_since, since);
		peal_close(client);
		settle();
		peal_server_close(server);
		folder_remove(&folder);
	}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("counters");
	TCase *depth = tcase_create("depth");
	TCase *sleeps = tcase_create("sleeps");

	tcase_add_test(depth, a_producer_that_looks_for_room_counts_what_is_unread);
	tcase_add_test(depth, what_is_pending_is_not_in_the_ring_yet);
	tcase_add_test(depth, a_consumer_counts_a_batch_and_that_there_is_nothing);
	tcase_add_test(depth, a_consumer_that_wakes_its_producer_looks_what_there_is);
	tcase_add_test(depth, a_set_looks_once_a_second_how_much_there_is);
	tcase_add_test(depth, a_look_ahead_believes_no_lie_and_goes_no_farther_than_a_lap);
	tcase_add_test(depth, a_set_that_puts_a_link_to_sleep_looks_what_the_peer_has_read);
	tcase_add_test(sleeps, a_set_counts_a_sleep_of_each_link_that_it_puts_to_sleep);
	tcase_add_test(sleeps, a_link_that_waits_for_room_in_a_set_is_stalled_until_it_is_told);
	tcase_add_test(sleeps, an_event_loops_waits_are_counted);
	tcase_add_test(sleeps, who_makes_room_for_one_that_waits_by_descriptor_looks_once_a_second);
	tcase_add_test(sleeps, a_slow_client_is_stalled_until_it_has_read);
	suite_add_tcase(suite, depth);
	suite_add_tcase(suite, sleeps);
	return suite;
}

int main(void)
{
	Suite *(*const suites[])(void) = { suite, NULL };

	return runner_main(suites);
}
