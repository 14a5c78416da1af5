/*
 * SPDX-License-Identifier: MIT
 *
 * The verbs as a program sees them that has no C compiler: as symbols of the library, declared here
 * by hand, without peal/ring.h. They do what the inline ones do.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <peal/error.h>
#include <peal/link.h>

#include "tests/runner.h"

struct peal_message {
	const void *data;
	size_t length;
	uint32_t tag;
	uint32_t flags;
};

int peal_reserve(struct peal_tx *tx, size_t length, void **at, int64_t timeout);
int peal_commit(struct peal_tx *tx, size_t length, uint32_t tag);
int peal_commit_more(struct peal_tx *tx, size_t length, uint32_t tag);
void peal_flush(struct peal_tx *tx);
void peal_abort(struct peal_tx *tx);
int peal_send(struct peal_tx *tx, const void *data, size_t length, uint32_t tag, int64_t timeout);
int peal_send_more(struct peal_tx *tx, const void *data, size_t length, uint32_t tag,
		   int64_t timeout);
int peal_send_batch(struct peal_tx *tx, const struct peal_message *messages, int count,
		    int64_t timeout);
struct peal_sending {
	const void *data;
	size_t length;
	uint32_t tag, begun;
	size_t sent;
	uint64_t spare[4];
};
int peal_send_part(struct peal_tx *tx, struct peal_sending *sending, int64_t timeout);
int peal_sendv(struct peal_tx *tx, const struct iovec *pieces, int count, uint32_t tag,
	       int64_t timeout);
int peal_peek(struct peal_rx *rx, struct peal_message *message, int64_t timeout);
void peal_release(struct peal_rx *rx);
ssize_t peal_recv(struct peal_rx *rx, void *buffer, size_t size, struct peal_message *about,
		  int64_t timeout);
int peal_recv_batch(struct peal_rx *rx, void *buffer, size_t size, struct peal_message *messages,
		    int count, int64_t timeout);
int peal_drain(struct peal_rx *rx, int (*each)(void *each_data, const struct peal_message *message),
	       void *each_data, int limit, int64_t timeout);
struct peal_set;
int peal_set_create(struct peal_set **set);
void peal_set_free(struct peal_set *set);
int peal_set_add(struct peal_set *set, struct peal_link *link, void *data);
int peal_set_poll(struct peal_set *set);
struct peal_link *peal_set_next(struct peal_set *set, void **data);

static struct peal_link *links[2];
static struct peal_tx *tx;
static struct peal_rx *rx;
static char buffer[64];

static void set_up(void)
{
	ck_assert_int_eq(peal_pair(links, NULL), 0);
	tx = peal_link_tx(links[0]);
	rx = peal_link_rx(links[1]);
}

static void tear_down(void)
{
	peal_close(links[0]);
	peal_close(links[1]);
}

START_TEST(messages_are_sent_and_received)
	{
		struct peal_message about;

		for (uint32_t i = 0; i < 10000; i++) {
			ck_assert_int_eq(peal_send(tx, "ding dong", 9, i, 0), 0);
			ck_assert_int_eq(peal_recv(rx, buffer, sizeof(buffer), &about, 0), 9);
			ck_assert_mem_eq(buffer, "ding dong", 9);
			ck_assert_ptr_eq(about.data, buffer);
			ck_assert_uint_eq(about.length, 9);
			ck_assert_uint_eq(about.tag, i);
		}
	}
END_TEST

START_TEST(pieces_are_gathered)
	{
		char ding[] = "ding ", dong[] = "dong";
		struct iovec pieces[] = { { ding, 5 }, { NULL, 0 }, { dong, 4 } };

		ck_assert_int_eq(peal_sendv(tx, pieces, 3, 0, 0), 0);
		ck_assert_int_eq(peal_recv(rx, buffer, sizeof(buffer), NULL, 0), 9);
		ck_assert_mem_eq(buffer, "ding dong", 9);
	}
END_TEST

START_TEST(messages_are_written_and_read_in_place)
	{
		struct peal_message message;
		void *at = NULL;

		ck_assert_int_eq(peal_reserve(tx, 100, &at, 0), 0);
		peal_abort(tx);
		ck_assert_int_eq(peal_commit(tx, 0, 0), -EINVAL);
		ck_assert_int_eq(peal_reserve(tx, 100, &at, 0), 0);
		memcpy(at, "dong", 4);
		ck_assert_int_eq(peal_commit(tx, 101, 0), -EINVAL);
		ck_assert_int_eq(peal_commit(tx, 4, 77), 0);
		for (int i = 0; i < 2; i++) {
			ck_assert_int_eq(peal_peek(rx, &message, 0), 0);
			ck_assert_uint_eq(message.length, 4);
			ck_assert_uint_eq(message.tag, 77);
			ck_assert_uint_eq(message.flags, 0);
			ck_assert_mem_eq(message.data, "dong", 4);
		}
		peal_release(rx);
		ck_assert_int_eq(peal_peek(rx, &message, 0), -EAGAIN);
		peal_release(rx);
	}
END_TEST

static int add_tag(void *data, const struct peal_message *message)
{
	*(uint32_t *)data += message->tag;
	return 0;
}

START_TEST(messages_go_in_batches)
	{
		struct peal_message batch[2] = { { .data = "ding", .length = 4, .tag = 3 },
						 { .data = "dong", .length = 4, .tag = 4 } };
		struct peal_message got[4];
		uint32_t sum = 0;
		void *at;

		ck_assert_int_eq(peal_reserve(tx, 4, &at, 0), 0);
		memcpy(at, "ding", 4);
		ck_assert_int_eq(peal_commit_more(tx, 4, 1), 0);
		ck_assert_int_eq(peal_send_more(tx, "dong", 4, 2, 0), 0);
		ck_assert_int_eq(peal_recv_batch(rx, buffer, sizeof(buffer), got, 4, 0), -EAGAIN);
		peal_flush(tx);
		ck_assert_int_eq(peal_recv_batch(rx, buffer, sizeof(buffer), got, 4, 0), 2);
		ck_assert_mem_eq(buffer, "ding", 4);
		ck_assert_mem_eq(got[1].data, "dong", 4);
		ck_assert_int_eq(peal_send_batch(tx, batch, 2, 0), 2);
		ck_assert_int_eq(peal_drain(rx, add_tag, &sum, 0, 0), 2);
		ck_assert_uint_eq(sum, 7);
	}
END_TEST

START_TEST(long_messages_go_part_by_part)
	{
		static char text[300000], copy[sizeof(text)];
		struct peal_sending sending = { .data = text, .length = sizeof(text), .tag = 5 };
		struct peal_options options;
		struct peal_message about;
		struct peal_link *pair[2];
		ssize_t got;
		int err = -EAGAIN;

		peal_options_init(&options);
		options.max_message = sizeof(text);
		ck_assert_int_eq(peal_pair(pair, &options), 0);
		memset(text, 'x', sizeof(text));
		ck_assert_int_eq(peal_send(peal_link_tx(pair[0]), text, sizeof(text), 5, 0),
				 -EMSGSIZE);
		do {
			if (err)
				err = peal_send_part(peal_link_tx(pair[0]), &sending, 0);
			got = peal_recv(peal_link_rx(pair[1]), copy, sizeof(copy), &about, 0);
		} while (got == -EAGAIN);
		ck_assert_int_eq(err, 0);
		ck_assert_int_eq(got, sizeof(text));
		ck_assert_uint_eq(about.tag, 5);
		ck_assert_mem_eq(text, copy, sizeof(text));
		sending.begun = 0;
		ck_assert_int_eq(peal_send_part(peal_link_tx(pair[0]), &sending, 0), -EAGAIN);
		ck_assert_int_eq(peal_send(peal_link_tx(pair[0]), "x", 1, 0, 0), -EBUSY);
		peal_abort(peal_link_tx(pair[0]));
		ck_assert_int_eq(peal_recv(peal_link_rx(pair[1]), copy, sizeof(copy), NULL, 0),
				 -EAGAIN);
		ck_assert_int_eq(peal_send(peal_link_tx(pair[0]), "x", 1, 0, 0), 0);
		ck_assert_int_eq(peal_recv(peal_link_rx(pair[1]), copy, sizeof(copy), NULL, 0), 1);
		peal_close(pair[0]);
		peal_close(pair[1]);
	}
END_TEST

START_TEST(errors_are_the_same)
	{
		struct peal_message about;
		int err;

		ck_assert_int_eq(peal_recv(rx, buffer, sizeof(buffer), NULL, 0), -EAGAIN);
		ck_assert_int_eq(peal_recv(rx, buffer, sizeof(buffer), NULL, 1000), -ETIMEDOUT);
		ck_assert_int_eq(peal_send(tx, NULL, 65536 - 15, 0, 0), -EMSGSIZE);
		ck_assert_ptr_nonnull(strstr(peal_error(), "65521"));
		ck_assert_int_eq(peal_send(tx, "ding dong", 9, 3, 0), 0);
		ck_assert_int_eq(peal_recv(rx, buffer, 8, &about, 0), -ENOBUFS);
		ck_assert_uint_eq(about.length, 9);
		ck_assert_int_eq(peal_recv(rx, buffer, 9, NULL, 0), 9);
		do
			err = peal_send(tx, buffer, sizeof(buffer), 0, 0);
		while (!err);
		ck_assert_int_eq(err, -EAGAIN);
		peal_close(links[1]);
		links[1] = NULL;
		ck_assert_int_eq(peal_send(tx, buffer, sizeof(buffer), 0, PEAL_FOREVER), -EPIPE);
	}
END_TEST

static void *connect_to(void *address)
{
	struct peal_link *link = NULL;

	peal_connect(&link, address, NULL, PEAL_FOREVER);
	return link;
}

START_TEST(sets_are_polled_and_told)
	{
		char folder[] = "/tmp/peal-ffi-XXXXXX", address[64], lock[80];
		struct peal_listener *listener;
		struct peal_link *server;
		struct peal_set *set;
		pthread_t thread;
		void *client, *data;

		ck_assert_ptr_nonnull(mkdtemp(folder));
		snprintf(address, sizeof(address), "%s/socket", folder);
		snprintf(lock, sizeof(lock), "%s.lock", address);
		ck_assert_int_eq(peal_listen(&listener, address, NULL), 0);
		ck_assert_int_eq(pthread_create(&thread, NULL, connect_to, address), 0);
		ck_assert_int_eq(peal_accept(listener, &server, PEAL_FOREVER), 0);
		ck_assert_int_eq(pthread_join(thread, &client), 0);
		ck_assert_ptr_nonnull(client);

		ck_assert_int_eq(peal_set_create(&set), 0);
		ck_assert_int_eq(peal_set_add(set, server, address), 0);
		ck_assert_int_eq(peal_set_poll(set), 0);
		ck_assert_ptr_null(peal_set_next(set, &data));
		ck_assert_int_eq(peal_send(peal_link_tx(client), "ding", 4, 0, 0), 0);
		ck_assert_int_eq(peal_set_poll(set), 1);
		ck_assert_ptr_eq(peal_set_next(set, &data), server);
		ck_assert_ptr_eq(data, address);
		ck_assert_ptr_null(peal_set_next(set, NULL));

		peal_set_free(set);
		peal_close(client);
		peal_close(server);
		peal_listener_close(listener);
		remove(lock);
		ck_assert_int_eq(rmdir(folder), 0);
	}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ffi");
	TCase *all = tcase_create("symbols");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, messages_are_sent_and_received);
	tcase_add_test(all, pieces_are_gathered);
	tcase_add_test(all, messages_are_written_and_read_in_place);
	tcase_add_test(all, messages_go_in_batches);
	tcase_add_test(all, long_messages_go_part_by_part);
	tcase_add_test(all, errors_are_the_same);
	tcase_add_test(all, sets_are_polled_and_told);
	suite_add_tcase(s, all);
	return s;
}

int main(void)
{
	return runner_main((Suite *(*const[])(void)){ suite, NULL });
}
