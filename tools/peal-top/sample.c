/*
 * SPDX-License-Identifier: MIT
 *
 * Samples: read, matched by the links' ids with the sample before, and divided by the time between.
 * Whatever the server says may be a lie, which may show as a wrong figure, and nothing else.
 */
#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sample.h"

#define FIRST_ROOM 64

uint64_t counters_spared(const struct peal_counters *counters)
{
	uint64_t rang = counters->batched + counters->rung;

	return counters->messages > rang ? counters->messages - rang : 0;
}

uint64_t offcpu_count(const struct peal_offcpu *offcpu)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < PEAL_OFFCPU_CLASSES; i++)
		count += offcpu->slept[i];
	return count;
}

void offcpu_add(struct peal_offcpu *sum, const struct peal_offcpu *offcpu)
{
	for (unsigned i = 0; i < PEAL_OFFCPU_CLASSES; i++) {
		sum->spun[i] += offcpu->spun[i];
		sum->slept[i] += offcpu->slept[i];
		sum->woken[i] += offcpu->woken[i];
	}
	sum->spun_ns += offcpu->spun_ns;
	sum->slept_ns += offcpu->slept_ns;
	sum->woken_ns += offcpu->woken_ns;
}

double offcpu_bound(unsigned class)
{
	return class < PEAL_OFFCPU_CLASSES - 1 ? (double)(UINT64_C(256) << class) : INFINITY;
}

double offcpu_quantile(const uint64_t *classes, double part)
{
	double count = 0, below = 0;

	for (unsigned i = 0; i < PEAL_OFFCPU_CLASSES; i++)
		count += (double)classes[i];
	if (count <= 0)
		return 0;
	for (unsigned i = 0; i < PEAL_OFFCPU_CLASSES; i++) {
		below += (double)classes[i];
		if (below >= count * part)
			return offcpu_bound(i);
	}
	return INFINITY;
}

const char *role_name(uint32_t role)
{
	static const char *const names[] = { "server", "client", "pair" };

	return role < sizeof(names) / sizeof(names[0]) ? names[role] : "?";
}

const char *wait_name(uint32_t wait)
{
	static const char *const names[] = { "adapt", "spin", "sleep" };

	return wait < sizeof(names) / sizeof(names[0]) ? names[wait] : "?";
}

static struct flow flow_of(const struct peal_counters *counters)
{
	return (struct flow){
		.messages = (double)counters->messages,
		.bytes = (double)counters->bytes,
		.full = (double)counters->waits,
		.sleeps = (double)counters->sleeps,
		.rung = (double)counters->rung,
		.spared = (double)counters_spared(counters),
	};
}

static void flow_add(struct flow *sum, const struct flow *flow)
{
	sum->messages += flow->messages;
	sum->bytes += flow->bytes;
	sum->full += flow->full;
	sum->sleeps += flow->sleeps;
	sum->rung += flow->rung;
	sum->spared += flow->spared;
}

static double per_second(double now, double before, double seconds)
{
	return now > before && seconds > 0 ? (now - before) / seconds : 0;
}

/* What has come since before, per second. Nothing counts backwards, but a peer that lies. */
static struct flow flow_rate(const struct flow *now, const struct flow *before, double seconds)
{
	return (struct flow){
		.messages = per_second(now->messages, before->messages, seconds),
		.bytes = per_second(now->bytes, before->bytes, seconds),
		.full = per_second(now->full, before->full, seconds),
		.sleeps = per_second(now->sleeps, before->sleeps, seconds),
		.rung = per_second(now->rung, before->rung, seconds),
		.spared = per_second(now->spared, before->spared, seconds),
	};
}

/* Sums do not fall, but a liar's, and what was spared: a difference, and of no link below 0. */
static void flow_no_less(struct flow *now, const struct flow *before)
{
	now->messages = fmax(now->messages, before->messages);
	now->bytes = fmax(now->bytes, before->bytes);
	now->full = fmax(now->full, before->full);
	now->sleeps = fmax(now->sleeps, before->sleeps);
	now->rung = fmax(now->rung, before->rung);
	now->spared = fmax(now->spared, before->spared);
}

static uint64_t since(uint64_t now, uint64_t then)
{
	return then && now > then ? now - then : 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t left = ((const struct client *)a)->link->id;
	uint64_t right = ((const struct client *)b)->link->id;

	return left < right ? -1 : left > right;
}

static int make_room(struct sample *sample, unsigned room)
{
	struct peal_monitored_link *links = calloc(room, sizeof(*links));
	struct client *clients = calloc(room, sizeof(*clients));

	if (!links || !clients) {
		free(links);
		free(clients);
		return -ENOMEM;
	}
	free(sample->links);
	free(sample->clients);
	sample->links = links;
	sample->clients = clients;
	sample->room = room;
	return 0;
}

/* Reads into sample, with room for some more than there were. */
static int read_all(struct sample *sample, struct peal_monitor *monitor)
{
	int count, err;

	if (!sample->room && (err = make_room(sample, FIRST_ROOM)))
		return err;
	for (;;) {
		sample->about.size = sizeof(sample->about);
		count = peal_monitor_read(monitor, &sample->about, sample->links, sample->room);
		if (count < 0)
			return count;
		if ((unsigned)count <= sample->room)
			break;
		err = make_room(sample, (unsigned)count + (unsigned)count / 4);
		if (err)
			return err;
	}
	sample->count = (unsigned)count;
	return 0;
}

/*
 * What a link did since the sample before: all that it ever did, if it was not there then; it may
 * be older nonetheless, where its counters came to be seen only now.
 */
static void rate_client(struct client *client, const struct client *before,
			const struct sample *was, double seconds)
{
	static const struct flow none;
	const struct peal_monitored_link *link = client->link;
	struct flow in = flow_of(&link->rx), out = flow_of(&link->tx);
	struct flow in_before = none, out_before = none;

	if (before) {
		in_before = flow_of(&before->link->rx);
		out_before = flow_of(&before->link->tx);
	} else if (link->since_ns < was->about.now_ns) {
		seconds += (double)(was->about.now_ns - link->since_ns) / 1e9;
	}
	client->in = flow_rate(&in, &in_before, seconds);
	client->out = flow_rate(&out, &out_before, seconds);
}

/* Of the first sample. */
static struct flow flow_unknown(void)
{
	return (struct flow){ NAN, NAN, NAN, NAN, NAN, NAN };
}

/* Both are in the order of ids. gone_in and gone_out: what links that are no longer there had come
 * to when they were last seen. */
static void match(struct sample *now, const struct sample *was, struct flow *gone_in,
		  struct flow *gone_out)
{
	unsigned old = 0;

	for (unsigned i = 0; i <= now->count; i++) {
		uint64_t id = i < now->count ? now->clients[i].link->id : UINT64_MAX;
		const struct client *before = NULL;

		for (; old < was->count && was->clients[old].link->id < id; old++) {
			const struct peal_monitored_link *link = was->clients[old].link;
			struct flow in = flow_of(&link->rx), out = flow_of(&link->tx);

			flow_add(gone_in, &in);
			flow_add(gone_out, &out);
		}
		if (i == now->count)
			break;
		if (old < was->count && was->clients[old].link->id == id)
			before = &was->clients[old++];
		if (was->about.now_ns)
			rate_client(&now->clients[i], before, was, now->seconds);
		else
			now->clients[i].in = now->clients[i].out = flow_unknown();
	}
}

static void add_up(struct sample *now, const struct sample *was)
{
	struct flow gone_in, gone_out, then_in = { 0 }, then_out = { 0 };

	gone_in = flow_of(&was->about.ended_rx);
	gone_out = flow_of(&was->about.ended_tx);
	match(now, was, &gone_in, &gone_out);
	now->in = flow_of(&now->about.ended_rx);
	now->out = flow_of(&now->about.ended_tx);
	/* Those that ended since: what they did after they were last seen. */
	now->in_rate = flow_rate(&now->in, &gone_in, now->seconds);
	now->out_rate = flow_rate(&now->out, &gone_out, now->seconds);
	for (unsigned i = 0; i < now->count; i++) {
		then_in = flow_of(&now->clients[i].link->rx);
		then_out = flow_of(&now->clients[i].link->tx);
		flow_add(&now->in, &then_in);
		flow_add(&now->out, &then_out);
		flow_add(&now->in_rate, &now->clients[i].in);
		flow_add(&now->out_rate, &now->clients[i].out);
	}
	flow_no_less(&now->in, &was->in);
	flow_no_less(&now->out, &was->out);
}

int sampler_take(struct sampler *sampler, struct peal_monitor *monitor)
{
	struct sample spare = sampler->before, *now = &sampler->now;
	const struct sample *was = &sampler->before;
	int err = read_all(&spare, monitor);

	sampler->before = spare;
	if (err)
		return err;
	sampler->before = sampler->now;
	sampler->now = spare;
	now->seconds = was->about.now_ns ?
			       (double)since(now->about.now_ns, was->about.now_ns) / 1e9 :
			       0;
	now->up_ns = since(now->about.now_ns, now->about.started_ns);
	for (unsigned i = 0; i < now->count; i++) {
		const struct peal_monitored_link *link = &now->links[i];

		now->clients[i] = (struct client){
			.link = link,
			.stalled_ns = since(now->about.now_ns, link->tx.stalled_since),
			.idle_ns = since(now->about.now_ns, link->rx.stalled_since),
			.age_ns = since(now->about.now_ns, link->since_ns),
		};
	}
	if (now->count)
		qsort(now->clients, now->count, sizeof(now->clients[0]), compare_ids);
	add_up(now, was);
	return 0;
}

void sampler_reset(struct sampler *sampler)
{
	free(sampler->now.links);
	free(sampler->now.clients);
	free(sampler->before.links);
	free(sampler->before.clients);
	memset(sampler, 0, sizeof(*sampler));
}
