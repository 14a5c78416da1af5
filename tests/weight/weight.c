/*
 * SPDX-License-Identifier: MIT
 *
 * The hot verbs, in bursts that tests/weight/run has counted: how many instructions a message takes
 * while nobody waits. Each burst is a function of its own, which calls one verb for each message,
 * or for all, as a program would: with a payload whose size the compiler knows.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <peal.h>

#define BURST 64 /* messages, far fewer than fill a ring */
#define ROUNDS 200

static struct peal_tx *tx;
static struct peal_rx *rx;
static int wrong;

static uint64_t buffer[BURST * 8];

/* A function that counts stand by the name of. */
#define WEIGHED static void __attribute__((noinline))

WEIGHED weigh_reserve_commit_8(void)
{
	for (uint64_t i = 0; i < BURST; i++) {
		void *at;

		if (peal_reserve(tx, 8, &at, -1))
			return;
		memcpy(at, &i, 8);
		wrong |= peal_commit(tx, 8, 0);
	}
}

WEIGHED weigh_reserve_commit_more_8(void)
{
	for (uint64_t i = 0; i < BURST; i++) {
		void *at;

		if (peal_reserve(tx, 8, &at, -1))
			return;
		memcpy(at, &i, 8);
		wrong |= peal_commit_more(tx, 8, 0);
	}
	peal_flush(tx);
}

WEIGHED weigh_send_8(void)
{
	for (uint64_t i = 0; i < BURST; i++)
		wrong |= peal_send(tx, &i, 8, 0, -1);
}

WEIGHED weigh_send_64(void)
{
	for (int i = 0; i < BURST; i++)
		wrong |= peal_send(tx, buffer, 64, 0, -1);
}

WEIGHED weigh_send_more_64(void)
{
	for (int i = 0; i < BURST; i++)
		wrong |= peal_send_more(tx, buffer, 64, 0, -1);
	peal_flush(tx);
}

WEIGHED weigh_peek_release_8(void)
{
	for (uint64_t i = 0; i < BURST; i++) {
		struct peal_message message;
		uint64_t found;

		if (peal_peek(rx, &message, -1))
			return;
		memcpy(&found, message.data, 8);
		wrong |= found != i;
		peal_release(rx);
	}
}

WEIGHED weigh_recv_8(void)
{
	for (uint64_t i = 0; i < BURST; i++) {
		uint64_t found = 0;

		wrong |= peal_recv(rx, &found, 8, NULL, -1) != 8;
		wrong |= found != i;
	}
}

WEIGHED weigh_recv_64(void)
{
	for (int i = 0; i < BURST; i++)
		wrong |= peal_recv(rx, buffer, 64, NULL, -1) != 64;
}

static int add(void *sum, const struct peal_message *message)
{
	uint64_t word;

	memcpy(&word, message->data, 8);
	*(uint64_t *)sum += word;
	return 0;
}

WEIGHED weigh_drain_8(void)
{
	uint64_t sum = 0;

	wrong |= peal_drain(rx, add, &sum, 0, -1) != BURST;
	wrong |= sum != BURST * (BURST - 1) / 2;
}

WEIGHED weigh_recv_batch_64(void)
{
	struct peal_message messages[BURST];

	wrong |= peal_recv_batch(rx, buffer, sizeof(buffer), messages, BURST, -1) != BURST;
}

int main(void)
{
	struct peal_link *links[2];

	if (peal_pair(links, NULL)) {
		fprintf(stderr, "weight: %s\n", peal_error());
		return 1;
	}
	tx = peal_link_tx(links[0]);
	rx = peal_link_rx(links[1]);
	for (int i = 0; i < ROUNDS; i++) {
		weigh_reserve_commit_8();
		weigh_peek_release_8();
		weigh_reserve_commit_more_8();
		weigh_drain_8();
		weigh_send_8();
		weigh_recv_8();
		weigh_send_64();
		weigh_recv_64();
		weigh_send_more_64();
		weigh_recv_batch_64();
	}
	peal_close(links[1]);
	peal_close(links[0]);
	if (wrong)
		fprintf(stderr, "weight: messages came otherwise than they were sent\n");
	return wrong != 0;
}
