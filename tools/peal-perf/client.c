/*
 * SPDX-License-Identifier: MIT
 *
 * A process of clients: connects as many as it is told, and has them send requests, or come and go.
 * Times are from when something was due, so whatever keeps a client from doing it in time, its own
 * process or the server, counts; and nothing that is late is left out.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <peal/runtime.h>

#include "complaint.h"
#include "options.h"
#include "orders.h"
#include "pace.h"
#include "payload.h"
#include "process.h"
#include "watch.h"

#define THREADS_MOST 256   /* of visits at a time; more wait for one that is over */
#define STACK 262144       /* of each */
#define MOMENT_NS 10000000 /* between two looks at whether something has become hopeless */
#define LATE_NS 2000000000 /* that requests are late at a rate that may be hopeless */
#define HOPE_NS 1000000000 /* in which that gets less, if the rate can be had */

static uint64_t ticks_of(double ns)
{
	return (uint64_t)(ns * peal_ticks_per_ns());
}

/* --- Clients that stay --------------------------------------------------------------------- */

/* A client's requests that are under way, in a ring: when they were due. */
struct flight {
	uint64_t due[ORDERS_DEPTH];
	uint64_t asked, answered;
	bool gone;
};

struct group {
	struct order joined; /* of its clients; the service keeps its setup */
	const struct service *service;
	void *clients;
	struct flight *flights;
	unsigned count, gone;
	unsigned depth;
	uint64_t mask; /* of sequence numbers */
	void *request;
	/* Of what is done now. */
	struct answer *answer;
	struct histogram *histogram; /* NULL: times do not matter */
	uint64_t waiting;            /* requests under way */
	uint64_t again;              /* ticks: until then whoever is answered asks again */
	uint64_t last;               /* ticks: of the last answer */
};

static bool has_room(const struct group *group, const struct flight *flight)
{
	return !flight->gone && flight->asked - flight->answered < group->depth;
}

/* What a client's so-many-eth request bears. */
static uint64_t sequence_of(const struct group *group, unsigned client, uint64_t number)
{
	return (number * 1021 + client) & group->mask ? number * 1021 + client : 1;
}

static void lose(struct group *group, unsigned client, int err)
{
	struct flight *flight = &group->flights[client];
	uint64_t lost = flight->asked - flight->answered;

	/* What it was for is lost, too, if it was nothing yet. */
	failures_add(&group->answer->failures, err, complaint(), lost ? lost : 1);
	group->waiting -= lost;
	flight->gone = true;
	group->gone++;
}

/* -EAGAIN: there is no room now. A client that is lost is accounted for, and 0. */
static int ask(struct group *group, unsigned client, uint64_t due)
{
	struct flight *flight = &group->flights[client];
	int err;

	payload_write(group->request, group->joined.setup.size,
		      sequence_of(group, client, flight->asked));
	err = group->service->ask(group->clients, client, group->request);
	if (err == -EAGAIN)
		return err;
	flight->due[flight->asked++ % ORDERS_DEPTH] = due;
	group->waiting++;
	if (err)
		lose(group, client, err);
	return 0;
}

static void answered(void *data, unsigned client, const void *reply, ssize_t length)
{
	struct group *group = data;
	struct flight *flight = &group->flights[client];
	uint64_t now = peal_ticks();
	bool right = length == (ssize_t)group->joined.setup.size &&
		     flight->asked != flight->answered &&
		     payload_right(reply, (size_t)length,
				   sequence_of(group, client, flight->answered));

	if (!right) {
		if (!flight->gone)
			lose(group, client,
			     length < 0 ? (int)length :
					  complain(-EBADMSG,
						   "a reply of %zd bytes is not what was "
						   "asked for",
						   length));
		return;
	}
	if (group->histogram)
		histogram_add(group->histogram, now - flight->due[flight->answered % ORDERS_DEPTH]);
	flight->answered++;
	group->waiting--;
	group->answer->count++;
	group->last = now;
	if (now < group->again)
		ask(group, client, now); /* there is room, for there was for the one before */
}

/* Waits for what is under way still, until too much time has passed without an answer. */
static int drain(struct group *group)
{
	uint64_t patience = ticks_of(SERVICE_PATIENCE_NS), since = peal_ticks();
	int err = 0;

	while (group->waiting && !err) {
		uint64_t before = group->answer->count;

		err = group->service->answers(group->clients, MOMENT_NS, answered, group);
		if (group->answer->count != before)
			since = peal_ticks();
		if (peal_ticks() - since > patience)
			break;
	}
	if (!err && group->waiting)
		failures_add(&group->answer->failures, -ETIMEDOUT,
			     "a request was not answered in time", group->waiting);
	return err;
}

static void leave(struct group *group)
{
	if (group->clients)
		group->service->leave(group->clients);
	free(group->flights);
	free(group->request);
	memset(group, 0, sizeof(*group));
}

static int join(struct group *group, const struct order *order)
{
	struct failures *failures = &group->answer->failures;
	size_t size = order->setup.size;
	int err;

	group->joined = *order;
	group->service = transport_by_name(order->transport)->service;
	group->mask = payload_mask(size);
	/* So many that no socket is full, and a client never has to send half a request. */
	group->depth = size * ORDERS_DEPTH > 65536 ? 1 : ORDERS_DEPTH;
	group->flights = calloc(order->clients, sizeof(*group->flights));
	group->request = malloc(size);
	if (!group->flights || !group->request)
		return complain(-ENOMEM, "no memory for clients");
	err = group->service->gather(&group->joined.setup, order->clients, &group->clients);
	for (unsigned i = 0; i < order->clients && !err; i++) {
		int joined = group->service->join(group->clients);

		if (joined == -ECANCELED)
			return joined;
		if (joined)
			failures_add(failures, joined, complaint(), 1);
		else
			ask(group, group->count++, 0);
		/* Its answers are had meanwhile, so that a server which takes its time is not
		 * overrun. */
		if (group->waiting > ORDERS_DEPTH)
			err = group->service->answers(group->clients, 0, answered, group);
	}
	return err ? err : drain(group);
}

static int run_closed(struct group *group, const struct order *order)
{
	int err = 0;

	group->again = order->begin + order->ticks;
	for (unsigned i = 0; i < group->count; i++)
		if (has_room(group, &group->flights[i]))
			ask(group, i, peal_ticks());
	while (peal_ticks() < group->again && group->waiting && !err)
		err = group->service->answers(group->clients, MOMENT_NS, answered, group);
	return err ? err : drain(group);
}

/* The next client that is there still, behind this one. */
static unsigned next_client(const struct group *group, unsigned client)
{
	do
		client = client + 1 < group->count ? client + 1 : 0;
	while (group->flights[client].gone);
	return client;
}

/* When the i-th of this process is due. */
static uint64_t due_of(const struct order *order, uint64_t i)
{
	const uint64_t fraction = ((uint64_t)1 << PACE_FRACTION) - 1;
	uint64_t number = order->first + i * order->stride;

	/* In two parts, so that no product is too large. */
	return order->begin + number * (order->step >> PACE_FRACTION) +
	       (number * (order->step & fraction) >> PACE_FRACTION);
}

/* Requests that are late, and whether they become less so. */
struct lateness {
	uint64_t at, was; /* ticks: when it was looked at, and what it was */
};

static bool hopeless(struct lateness *lateness, uint64_t late, uint64_t now)
{
	bool worse = late >= lateness->was;

	if (late < ticks_of(LATE_NS) || now - lateness->at < ticks_of(HOPE_NS))
		return false;
	lateness->at = now;
	lateness->was = late;
	return worse;
}

static int run_paced(struct group *group, const struct order *order)
{
	struct lateness lateness = { .was = UINT64_MAX };
	unsigned client = group->count - 1;
	uint64_t issued = 0;
	int err = 0;

	if (group->gone < group->count)
		client = next_client(group, client);
	while (issued < order->count && group->gone < group->count && !err) {
		uint64_t due = due_of(order, issued), now = peal_ticks();
		int64_t ns = MOMENT_NS;

		if (group->flights[client].gone)
			client = next_client(group, client);
		if (now > due && hopeless(&lateness, now - due, now))
			break;
		if (now < due)
			ns = (int64_t)((double)(due - now) / peal_ticks_per_ns());
		else if (has_room(group, &group->flights[client]) && !ask(group, client, due)) {
			issued++;
			if (group->gone < group->count)
				client = next_client(group, client);
			if (due_of(order, issued) <= peal_ticks())
				continue;
			ns = 0;
		}
		err = group->service->answers(group->clients, ns, answered, group);
	}
	failures_add(&group->answer->failures, -ETIME,
		     "a request was not sent: the rate cannot be had, or all clients are gone",
		     order->count - issued);
	return err ? err : drain(group);
}

static int run_loop(struct group *group, const struct order *order)
{
	uint64_t now;
	struct pace pace = { .begun = 0 };
	int err = pace_wait(&pace, order->begin, &now);

	if (err || group->gone == group->count)
		return err;
	group->waiting = 0;
	group->again = 0;
	err = order->kind == ORDER_CLOSED ? run_closed(group, order) : run_paced(group, order);
	if (group->last > order->begin)
		group->answer->elapsed = group->last - order->begin;
	group->again = 0;
	return err;
}

/* --- Clients that come and go -------------------------------------------------------------- */

struct visits {
	const struct order *order;
	const struct service *service;
	uint64_t next; /* atomic: of the visits, which to make next; it orders nothing else */
	pthread_mutex_t lock;
	/* What the lock is for. */
	struct histogram *histogram;
	struct answer *answer;
	uint64_t last;
	int err;
};

static void account(struct visits *visits, int err, uint64_t due, uint64_t replied)
{
	pthread_mutex_lock(&visits->lock);
	if (err) {
		failures_add(&visits->answer->failures, err, complaint(), 1);
	} else {
		histogram_add(visits->histogram, replied - due);
		visits->answer->count++;
		if (replied > visits->last)
			visits->last = replied;
	}
	pthread_mutex_unlock(&visits->lock);
}

/* When a visit is due; for one that is, when it has come to it. */
static int await_visit(const struct order *order, uint64_t i, uint64_t *due)
{
	struct pace pace = { .margin = order->margin };
	uint64_t now;
	int err;

	*due = order->kind == ORDER_VISITS_PACED ? due_of(order, i) : order->begin;
	err = pace_wait(&pace, *due, &now);
	if (order->kind == ORDER_VISITS_IN_TURN)
		*due = now;
	return err;
}

static void *make_visits(void *data)
{
	struct visits *visits = data;
	const struct order *order = visits->order;
	size_t size = order->setup.size;
	void *request = malloc(size), *reply = malloc(size);
	int err = request && reply ? 0 : complain(-ENOMEM, "no memory for messages");

	/* Else the kernel lets timers be 50 us late. */
	prctl(PR_SET_TIMERSLACK, 1);
	while (!err) {
		uint64_t i = __atomic_fetch_add(&visits->next, 1, __ATOMIC_RELAXED);
		uint64_t sequence = order->first + i * order->stride + 1;
		uint64_t due, replied = 0;
		int made;

		if (i >= order->count)
			break;
		err = await_visit(order, i, &due);
		if (err)
			break;
		payload_write(request, size, sequence);
		made = visits->service->visit(&order->setup, request, reply, &replied);
		if (!made && !payload_right(reply, size, sequence))
			made = complain(-EBADMSG, "a reply is not what was asked for");
		account(visits, made, due, replied);
		if (watch_abandoned())
			err = complain(-ECANCELED, "given up");
	}
	if (err) {
		pthread_mutex_lock(&visits->lock);
		visits->err = err;
		pthread_mutex_unlock(&visits->lock);
	}
	free(request);
	free(reply);
	return NULL;
}

static int run_visits(const struct order *order, struct histogram *histogram, struct answer *answer)
{
	struct visits visits = {
		.order = order,
		.service = transport_by_name(order->transport)->service,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.histogram = histogram,
		.answer = answer,
	};
	unsigned threads = order->clients > THREADS_MOST ? THREADS_MOST : order->clients;
	pthread_t of[THREADS_MOST];
	pthread_attr_t attributes;
	unsigned started = 1;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK);
	/* This thread is the first of them. */
	while (started < threads &&
	       !pthread_create(&of[started], &attributes, make_visits, &visits))
		started++;
	pthread_attr_destroy(&attributes);
	make_visits(&visits);
	for (unsigned i = 1; i < started; i++)
		pthread_join(of[i], NULL);
	if (visits.last > order->begin)
		answer->elapsed = visits.last - order->begin;
	if (started < threads)
		return complain(-EAGAIN,
				"of %u threads only %u could be started: raise the limit of "
				"processes (ulimit -u, pids.max)",
				threads, started);
	return visits.err;
}

/* ------------------------------------------------------------------------------------------- */

static int obey(struct group *group, const struct order *order, struct histogram *histogram,
		struct answer *answer)
{
	int err = 0;

	group->answer = answer;
	group->histogram = histogram;
	switch (order->kind) {
	case ORDER_JOIN:
		leave(group);
		group->answer = answer;
		err = join(group, order);
		break;
	case ORDER_CLOSED:
	case ORDER_PACED:
		err = run_loop(group, order);
		break;
	case ORDER_LEAVE:
		leave(group);
		break;
	default:
		err = run_visits(order, histogram, answer);
	}
	return err;
}

static int obey_all(int control)
{
	static struct group group;
	static struct order order;
	struct answer answer;
	int err = 0;

	while (!err && !control_receive(control, &order, sizeof(order))) {
		bool timed = order.kind != ORDER_JOIN && order.kind != ORDER_LEAVE;
		struct histogram *histogram = timed ? calloc(1, sizeof(*histogram)) : NULL;
		struct usage before = usage_now(false);

		memset(&answer, 0, sizeof(answer));
		err = timed && !histogram ? complain(-ENOMEM, "no memory for a histogram") :
					    obey(&group, &order, histogram, &answer);
		answer.usage = usage_since(&before, false);
		answer.err = err;
		if (err)
			snprintf(answer.why, sizeof(answer.why), "%s", complaint());
		if (control_send(control, &answer, sizeof(answer)))
			err = -ECONNRESET;
		if (!err && timed)
			err = orders_send_histogram(control, histogram);
		free(histogram);
	}
	leave(&group);
	return err;
}

int client_main(int argc, char **argv)
{
	int control = process_enter(argc, argv);

	if (control < 0)
		return argc == 5 ? 1 : EXIT_USAGE;
	prctl(PR_SET_TIMERSLACK, 1);
	return obey_all(control) ? 1 : 0;
}
