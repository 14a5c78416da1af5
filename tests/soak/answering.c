/*
 * SPDX-License-Identifier: MIT
 *
 * The server of the lanes of calls: it answers as each request says, from its workers or from
 * another thread, and is closed and opened again now and then.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <peal/server.h>

#include "tests/soak/chance.h"
#include "tests/soak/lane.h"
#include "tests/soak/request.h"
#include "tests/soak/side.h"

#define DESK 256

/* What waits for the other thread. */
static struct {
	pthread_mutex_t lock;
	struct peal_request *kept[DESK];
	int count;
	struct peal_server *server;
	uint64_t until; /* then the server is stopped */
} desk = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool put_down(struct peal_request *kept)
{
	bool room;

	pthread_mutex_lock(&desk.lock);
	room = desk.count < DESK;
	if (room)
		desk.kept[desk.count++] = kept;
	pthread_mutex_unlock(&desk.lock);
	return room;
}

static struct peal_request *pick_up(void)
{
	struct peal_request *kept = NULL;

	pthread_mutex_lock(&desk.lock);
	if (desk.count)
		kept = desk.kept[--desk.count];
	pthread_mutex_unlock(&desk.lock);
	return kept;
}

/* What a reply came to may only be that the client has gone. */
static void check_reply(int err)
{
	if (err && err != -EPIPE && err != -ECONNRESET)
		wrong("a reply: %d, %s", err, peal_error());
}

static void leave_for_later(struct peal_request *request)
{
	struct peal_request *kept = peal_request_keep(request);

	if (!kept)
		wrong("a request is not kept: %s", peal_error());
	if (!put_down(kept)) {
		peal_request_free(kept);
		check_reply(peal_reply_error(request, -EBUSY, REFUSAL));
	}
}

static int reply_in_place(struct peal_request *request, const struct ask *ask)
{
	void *at;
	int err = peal_reply_reserve(request, ask->want, &at);

	if (err)
		return err;
	reply_make(at, ask, 0);
	return peal_reply_commit(request, ask->want, 0);
}

static void answer(void *data, struct peal_request *request)
{
	uint8_t buffer[PROMISED];
	struct ask ask;

	(void)data;
	if (request->length < sizeof(ask))
		wrong("a request of %zu bytes", request->length);
	memcpy(&ask, request->data, sizeof(ask));
	if (ask.magic != MAGIC || !is_filled((const uint8_t *)request->data + sizeof(ask), ask.seed,
					     ask.number, request->length - sizeof(ask)))
		wrong("a request of %zu bytes is not as it was sent", request->length);
	tally_message(request->length);
	if (ask.want <= sizeof(buffer))
		reply_make(buffer, &ask, 0);
	switch (ask.how) {
	case AT_ONCE:
		check_reply(peal_reply(request, buffer, ask.want, 0));
		break;
	case IN_PLACE:
		check_reply(reply_in_place(request, &ask));
		break;
	case REFUSED:
		check_reply(peal_reply_error(request, -EACCES, REFUSAL));
		break;
	case SEVERAL:
		check_reply(peal_reply(request, buffer, ask.want, PEAL_REPLY_MORE));
		/* fall through */
	case LATER:
		leave_for_later(request);
		break;
	}
}

static bool is_over(void)
{
	return platform_now() >= desk.until || get(&board->stop[SERVER]);
}

static void answer_later(struct peal_request *kept, uint8_t *buffer)
{
	struct ask ask;
	uint64_t part, parts;
	int err = 0;

	memcpy(&ask, kept->data, sizeof(ask));
	part = ask.how == SEVERAL ? 1 : 0;
	parts = ask.how == SEVERAL ? PARTS : 1;
	for (; part < parts && !err; part++) {
		reply_make(buffer, &ask, part);
		for (;;) {
			err = peal_server_reply(desk.server, kept->token, buffer, ask.want,
						part + 1 < parts ? PEAL_REPLY_MORE : 0);
			if (err != -EAGAIN || is_over())
				break;
			sleep_ns(100 * US);
		}
		if (err != -EAGAIN)
			check_reply(err);
	}
}

/* The other thread; it ends the server, too. */
static void *serve_desk(void *data)
{
	uint64_t random = seed_of(FIRST_CALLER, SERVER);
	uint8_t *buffer = malloc(LONGEST);
	struct peal_request *kept;

	(void)data;
	if (!buffer)
		wrong("no memory");
	while (!is_over()) {
		kept = pick_up();
		if (kept) {
			answer_later(kept, buffer);
			peal_request_free(kept);
		}
		pause_for(kept ? pause_length(&random, draw(&random, 16) == 0) : MS);
	}
	free(buffer);
	add(&board->closings, 1);
	peal_server_stop(desk.server);
	return NULL;
}

static int connected(void *data, struct peal_link *link, void **client)
{
	(void)data;
	(void)link;
	(void)client;
	tally(LINKS);
	return 0;
}

static void closed(void *data, struct peal_link *link, void *client, int reason)
{
	struct peal_stats stats = { .size = sizeof(stats) };

	(void)data;
	(void)client;
	if (reason != PEAL_END_CLOSED && reason != PEAL_END_DIED && reason != PEAL_END_STOPPED)
		wrong("a client's link was closed for reason %d", reason);
	if (!peal_link_stats(link, &stats))
		tally_link(stats.tx.sleeps + stats.rx.sleeps);
}

static void open_server(uint64_t *random, const char *address)
{
	struct peal_server_options options;
	struct peal_options link;

	draw_options(&link, random);
	if (link.ring < LEAST_RING)
		link.ring = LEAST_RING;
	peal_server_options_init(&options);
	options.link = &link;
	options.workers = 1 + (uint32_t)draw(random, 2);
	options.flags = draw(random, 2) ? PEAL_SERVER_IN_PLACE : 0;
	options.reply = PROMISED;
	options.turn = (uint32_t)draw(random, 4);
	options.queue = 4 * LONGEST;
	options.handlers = (struct peal_handlers){ .connected = connected,
						   .message = answer,
						   .closed = closed };
	if (peal_server_open(&desk.server, address, &options))
		wrong("a server: %s", peal_error());
	desk.until = platform_now() + 300 * MS + draw(random, 4000) * MS;
}

/* In steps, by a timeout or by the descriptor. */
static int step_through(uint64_t *random)
{
	struct pollfd polled = { .fd = peal_server_fd(desk.server), .events = POLLIN };
	bool polls = polled.fd >= 0 && draw(random, 2);
	int err;

	do {
		err = peal_server_step(desk.server, polls ? 0 : PEAL_FOREVER);
		if (err == -EAGAIN && polls)
			poll_for(&polled, 1, UINT64_MAX);
	} while (err >= 0 || err == -EAGAIN || err == -ETIMEDOUT);
	return err == -ECANCELED ? 0 : err;
}

void *serve_calls(void *data)
{
	uint64_t random = seed_of(FIRST_CALLER, SERVER);
	struct peal_request *kept;
	char address[100];
	pthread_t clerk;
	int err;

	(void)data;
	address_of(FIRST_CALLER, address, sizeof(address));
	while (!get(&board->stop[SERVER])) {
		open_server(&random, address);
		if (pthread_create(&clerk, NULL, serve_desk, NULL))
			wrong("no thread");
		err = draw(&random, 2) ? peal_server_run(desk.server) : step_through(&random);
		if (err)
			wrong("serving: %d, %s", err, peal_error());
		pthread_join(clerk, NULL);
		peal_server_close(desk.server);
		add(&board->closings, 1);
		while ((kept = pick_up()))
			peal_request_free(kept);
	}
	return NULL;
}
