/*
 * SPDX-License-Identifier: MIT
 *
 * Clients and servers that are killed at each step of a call: a server goes on serving others, and
 * is told of the client's end; a client gets a verdict that is true, and its calls are answered by
 * the next server.
 */
#include "config.h"

#include "tests/runner.h"
#include "tests/kill/play.h"

#include <sched.h>
#include <stdio.h>

#include <peal/client.h>
#include <peal/server.h>

#define REQUEST 40 /* bytes: the first is the call's number */

static struct peal_client *open_client(const char *address)
{
	struct peal_client_options options;
	struct peal_client *client;

	peal_client_options_init(&options);
	options.least_ns = (uint64_t)MS;
	options.most_ns = (uint64_t)(4 * MS);
	return peal_client_open(&client, address, &options) ? NULL : client;
}

/* Each server answers by its name, and counts. */
struct desk {
	struct peal_server *server;
	char name;
	struct diary *diary; /* of a victim: which calls it has seen */
	bool marks;          /* of one that is stepped through call 1 only */
	bool marked;
	unsigned connected, closed;
};

static int on_connected(void *data, struct peal_link *link, void **client)
{
	struct desk *desk = data;

	(void)link;
	(void)client;
	desk->connected++;
	return 0;
}

static void on_closed(void *data, struct peal_link *link, void *client, int reason)
{
	struct desk *desk = data;

	(void)link;
	(void)client;
	if (reason == PEAL_END_DIED || reason == PEAL_END_CLOSED || reason == PEAL_END_STOPPED)
		desk->closed++;
}

static void on_message(void *data, struct peal_request *request)
{
	struct desk *desk = data;
	uint8_t number = *(const uint8_t *)request->data;
	bool marks = desk->marks && number == 1;

	if (marks)
		victim_mark();
	if (desk->diary)
		journal_note(&desk->diary->received, desk->diary->received | 1u << number);
	/* One is answered with an error. */
	if (number == 2)
		peal_reply_error(request, -EDOM, "no");
	else
		peal_reply(request, &desk->name, 1, 0);
	if (marks)
		victim_mark();
	desk->marked |= marks;
}

static int open_desk(struct desk *desk, const char *address)
{
	struct peal_server_options options;

	peal_server_options_init(&options);
	options.ready = UINT32_MAX;
	options.handlers.connected = on_connected;
	options.handlers.message = on_message;
	options.handlers.closed = on_closed;
	options.data = desk;
	return peal_server_open(&desk->server, address, &options);
}

static int call(struct peal_client *client, uint8_t number, struct peal_answer *answer)
{
	uint8_t request[REQUEST] = { number };

	return peal_client_call(client, request, sizeof(request), 0, answer, SCENE_PATIENCE);
}

/*
 * A client that is killed.
 */

static struct desk desk = { .name = 's' };
static struct peal_client *witness;

static void expect_answer(struct diary *diary, struct peal_client *client, uint8_t number)
{
	struct peal_answer answer;
	int err = call(client, number, &answer);
	uint32_t verdict = number == 2 ? PEAL_ERROR : PEAL_REPLY;

	if (err || answer.verdict != verdict)
		diary_object(diary, "call %u: %d, verdict %u, %s", number, err, answer.verdict,
			     peal_error());
}

/* Connects with its first call. */
static void caller(struct play *play)
{
	struct peal_client *client = open_client(play->address);

	if (!client)
		diary_object(play->diary, "no client: %s", peal_error());
	if (play->cast->data)
		expect_answer(play->diary, client, 0);
	victim_mark();
	for (uint8_t i = 1; i < 4; i++)
		expect_answer(play->diary, client, i);
	peal_client_close(client);
	victim_mark();
}

static uint64_t clients_of(const struct peal_server *server)
{
	struct peal_server_counters counters = { .size = sizeof(counters) };

	return peal_server_count(server, &counters) ? UINT64_MAX : counters.clients;
}

/* Until the victim is dead, and only the witness is left. */
static void serve(struct play *play)
{
	uint64_t end = scene_now() + (uint64_t)SCENE_PATIENCE;
	bool dead, quiet;

	do {
		int count;

		dead = play_is_dead(play);
		count = peal_server_step(desk.server, MS);
		quiet = count == -ETIMEDOUT || count == -EAGAIN;
		if (count < 0 && !quiet)
			play_object(play, "a step: %d %s", count, peal_error());
		if (scene_now() > end)
			play_object(play, "%u clients are still there",
				    (unsigned)clients_of(desk.server));
	} while (!play->wrong[0] && (!dead || !quiet || clients_of(desk.server) > 1));
	if (desk.connected - desk.closed != clients_of(desk.server))
		play_object(play, "%u came, %u went, %u are there", desk.connected, desk.closed,
			    (unsigned)clients_of(desk.server));
}

static void expect_served(struct play *play)
{
	struct peal_answer answer;
	int err = call(witness, 7, &answer);

	play_expect(play, !err && answer.verdict == PEAL_REPLY,
		    "another client is not served: %d, verdict %u, %s", err, answer.verdict,
		    peal_error());
}

/* By a first call. */
static void connect_witness(void)
{
	uint8_t request[REQUEST] = { 7 };
	struct peal_answer answer;

	ck_assert_int_eq(peal_client_begin(witness, request, sizeof(request), 0, SCENE_PATIENCE,
					   NULL, NULL),
			 0);
	while (peal_client_next(witness, &answer, 0))
		peal_server_step(desk.server, 0);
	ck_assert_uint_eq(answer.verdict, PEAL_REPLY);
}

/*
 * A server that is killed.
 */

static char all[] = "all", one_answer[] = "one answer";

static void callee(struct play *play)
{
	struct desk own = { .name = 'v', .diary = play->diary };
	bool open = play->cast->data == all;

	own.marks = play->cast->data == one_answer;

	if (open)
		victim_mark();
	if (open_desk(&own, play->address))
		diary_object(play->diary, "no server: %s", peal_error());
	journal_note(&play->diary->ready, 1);
	while (own.marks && !own.marked)
		peal_server_step(own.server, 2 * MS);
	if (own.marks)
		return;
	if (!open)
		victim_mark();
	for (int i = 0; i < 8; i++)
		if (peal_server_step(own.server, 2 * MS) < 0 && i > 1)
			break;
	if (open)
		peal_server_close(own.server);
	victim_mark();
}

/* The even ones are idempotent, and call 2 is answered with an error. Three are begun before the
 * server is dead, one right after that, perhaps unknowingly, and one when that has ended. */
#define CALLS 5

struct verdicts {
	struct peal_client *client;
	uint32_t verdict[CALLS];
	char by[CALLS];
	unsigned ended;
};

static void begin_call(struct play *play, struct verdicts *verdicts, uint8_t number)
{
	uint8_t request[REQUEST] = { number };
	int err = peal_client_begin(verdicts->client, request, sizeof(request),
				    number % 2 ? 0 : PEAL_IDEMPOTENT, SCENE_PATIENCE,
				    (void *)(uintptr_t)number, NULL);

	if (err)
		play_object(play, "call %u cannot be begun: %d %s", number, err, peal_error());
}

static void take_answer(struct verdicts *verdicts, int64_t timeout)
{
	static struct peal_answer answer;

	if (peal_client_next(verdicts->client, &answer, timeout))
		return;
	verdicts->verdict[(uintptr_t)answer.user] = answer.verdict;
	if (answer.verdict == PEAL_REPLY)
		memcpy(&verdicts->by[(uintptr_t)answer.user], answer.data, 1);
	verdicts->ended++;
}

static void judge(struct play *play, const struct verdicts *verdicts)
{
	uint64_t seen = journal_read(&play->diary->received);

	for (unsigned i = 0; i < CALLS; i++) {
		uint32_t verdict = verdicts->verdict[i], wanted = i == 2 ? PEAL_ERROR : PEAL_REPLY;
		bool known = seen >> i & 1;

		if (verdict != wanted && (i % 2 == 0 || verdict != PEAL_UNKNOWN))
			play_object(play, "call %u: verdict %u", i, verdict);
		if (verdicts->by[i] == 'v' && !known)
			play_object(play, "call %u is answered, and nobody has seen it", i);
		if (i % 2 && verdicts->by[i] == 'n' && known)
			play_object(play, "call %u was made twice", i);
	}
	if (verdicts->by[CALLS - 1] != 'n')
		play_object(play, "the last call is not answered by the next server");
}

/* Until so many calls have ended. */
static void await_verdicts(struct play *play, struct verdicts *verdicts, struct peal_server *next,
			   unsigned count)
{
	uint64_t end = scene_now() + (uint64_t)SCENE_PATIENCE;

	while (verdicts->ended < count && scene_now() < end) {
		take_answer(verdicts, 0);
		peal_server_step(next, 0);
	}
	if (verdicts->ended < count)
		play_object(play, "%u calls have ended of %u", verdicts->ended, count);
}

static void outlive(struct play *play)
{
	struct desk next = { .name = 'n' };
	struct verdicts verdicts = { .client = open_client(play->address) };
	int err;

	for (uint8_t i = 0; i < 3; i++)
		begin_call(play, &verdicts, i);
	while (!play_is_dead(play))
		take_answer(&verdicts, MS);
	err = open_desk(&next, play->address);
	if (err) {
		play_object(play, "the next server does not get the address: %d %s", err,
			    peal_error());
		return;
	}
	begin_call(play, &verdicts, 3);
	await_verdicts(play, &verdicts, next.server, 4);
	begin_call(play, &verdicts, 4);
	await_verdicts(play, &verdicts, next.server, CALLS);
	judge(play, &verdicts);
	peal_client_close(verdicts.client);
	peal_server_close(next.server);
}

static const struct cast callers[] = {
	{ .name = "call", .victim = caller, .data = "connected" },
	{ .name = "connect, call", .victim = caller },
};

static const struct cast callees[] = {
	{ .name = "serve", .victim = callee, .survivor = outlive },
	{ .name = "open, serve, close", .victim = callee, .survivor = outlive, .data = all },
	{ .name = "answer", .victim = callee, .survivor = outlive, .data = one_answer },
};

START_TEST(a_server_serves_others_whatever_step_of_a_call_its_client_is_killed_at)
	{
		struct cast cast = callers[_i];

		if (!play_possible())
			return;
		cast.survivor = serve;
		cast.held = expect_served;
		ck_assert_int_eq(open_desk(&desk, scene_path("server")), 0);
		witness = open_client(scene_path("server"));
		ck_assert_ptr_nonnull(witness);
		connect_witness();
		play_run(&cast);
		peal_client_close(witness);
		peal_server_close(desk.server);
	}
END_TEST

START_TEST(calls_are_answered_whatever_step_of_one_their_server_is_killed_at)
	{
		if (play_possible())
			play_run(&callees[_i]);
	}
END_TEST

static Suite *calls(void)
{
	Suite *suite = suite_create("calls");
	TCase *tcase = scene_case("calls");

	tcase_add_loop_test(tcase,
			    a_server_serves_others_whatever_step_of_a_call_its_client_is_killed_at,
			    0, 2);
	tcase_add_loop_test(tcase,
			    calls_are_answered_whatever_step_of_one_their_server_is_killed_at, 0,
			    (int)(sizeof(callees) / sizeof(callees[0])));
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	static Suite *(*const suites[])(void) = { calls, NULL };

	return play_main(suites);
}
