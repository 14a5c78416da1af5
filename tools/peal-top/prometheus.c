/*
 * SPDX-License-Identifier: MIT
 *
 * Metrics for Prometheus, in its text format: all of a metric in one place, behind its HELP and
 * TYPE. Counters, not rates, since whoever scrapes divides by itself. A link's id is among its
 * labels, as one process may have several links.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format.h"
#include "output.h"

static void escaped(FILE *file, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' || *text == '"')
			fprintf(file, "\\%c", *text);
		else if (*text == '\n')
			fputs("\\n", file);
		else if (*text >= ' ' && *text <= '~')
			fputc(*text, file);
		else
			fputs("\xef\xbf\xbd", file); /* U+FFFD: labels are UTF-8 */
	}
}

static void head(FILE *file, const char *metric, const char *type, const char *help)
{
	fprintf(file, "# HELP peal_%s %s\n# TYPE peal_%s %s\n", metric, help, metric, type);
}

/* As one pastes it into a shell: two addresses stay two, whatever bytes they have, or a stranger's
 * server could make a series that is there twice, for which the whole text is refused. */
static void server_labels(FILE *file, const struct target *target)
{
	char address[ADDRESS_SIZE];

	format_address(target->address, address, sizeof(address));
	fputs("address=\"", file);
	escaped(file, address);
	fputc('"', file);
}

static void link_labels(FILE *file, const struct target *target,
			const struct peal_monitored_link *link)
{
	server_labels(file, target);
	fprintf(file, ",link=\"%" PRIu64 "\",pid=\"%" PRId64 "\",uid=\"%" PRIu32 "\",name=\"",
		link->id, link->peer.pid, link->peer.uid);
	escaped(file, link->peer.name);
	fputc('"', file);
}

/* What a server has one of. */
struct about {
	const char *metric, *type, *help;
	double (*value)(const struct sample *sample);
};

static double links(const struct sample *sample)
{
	return sample->about.links;
}

static double ended(const struct sample *sample)
{
	return (double)sample->about.ended;
}

static double up(const struct sample *sample)
{
	return (double)sample->up_ns / 1e9;
}

static const struct about abouts[] = {
	{ "links", "gauge", "Links that are open.", links },
	{ "links_ended_total", "counter", "Links that have been closed.", ended },
	{ "uptime_seconds", "gauge",
	  "Since the server's first link, or since it was first looked at.", up },
};

/* What a server has of each direction: of all its links, those that have ended as well. */
static const struct sum {
	const char *metric, *type, *help;
	size_t at; /* in struct flow */
} sums[] = {
	{ "server_messages_total", "counter",
	  "Messages of all links, also of those that have ended.",
	  offsetof(struct flow, messages) },
	{ "server_bytes_total", "counter", "Bytes of these.", offsetof(struct flow, bytes) },
	{ "server_waits_total", "counter",
	  "Times that a ring of all links was full (out), or empty (in).",
	  offsetof(struct flow, full) },
	{ "server_sleeps_total", "counter", "Times that the server slept for a link, of all.",
	  offsetof(struct flow, sleeps) },
	{ "server_bells_rung_total", "counter", "Bells that the server rang, of all links.",
	  offsetof(struct flow, rung) },
	{ "server_bells_spared", "gauge",
	  "Messages that rang no bell, as the peer was awake, of all links.",
	  offsetof(struct flow, spared) },
};

/* One direction of a link. */
struct side {
	const char *direction;
	const struct peal_counters *counters;
	const struct peal_offcpu *offcpu;
	uint64_t capacity, waits_ns;
};

static double side_messages(const struct side *side)
{
	return (double)side->counters->messages;
}

static double side_bytes(const struct side *side)
{
	return (double)side->counters->bytes;
}

static double side_waits(const struct side *side)
{
	return (double)side->counters->waits;
}

static double side_sleeps(const struct side *side)
{
	return (double)side->counters->sleeps;
}

static double side_rung(const struct side *side)
{
	return (double)side->counters->rung;
}

static double side_spared(const struct side *side)
{
	return (double)counters_spared(side->counters);
}

static double side_batched(const struct side *side)
{
	return (double)side->counters->batched;
}

static double side_slices(const struct side *side)
{
	return (double)side->counters->slices;
}

static double side_vain(const struct side *side)
{
	return (double)side->counters->idle_rings;
}

static double side_depth(const struct side *side)
{
	return (double)side->counters->depth;
}

static double side_high(const struct side *side)
{
	return (double)side->counters->high_water;
}

static double side_capacity(const struct side *side)
{
	return (double)side->capacity;
}

static double side_waiting(const struct side *side)
{
	return (double)side->waits_ns / 1e9;
}

/* What a link has of each direction. */
static const struct measure {
	const char *metric, *type, *help;
	double (*value)(const struct side *side);
} measures[] = {
	{ "messages_total", "counter", "Messages received (in) or sent (out).", side_messages },
	{ "bytes_total", "counter", "Bytes of these.", side_bytes },
	{ "waits_total", "counter",
	  "Times that the ring was full (out), or empty and a wait began (in).", side_waits },
	{ "sleeps_total", "counter", "Times that the server slept for it.", side_sleeps },
	{ "bells_rung_total", "counter", "Bells that the server rang.", side_rung },
	/* A difference of counters that are not read in one instant: it may fall by a few, which a
	 * counter must not, or it is taken to have begun anew. */
	{ "bells_spared", "gauge", "Messages that rang no bell, as the peer was awake.",
	  side_spared },
	{ "batched_total", "counter", "Messages that went together with the one before.",
	  side_batched },
	{ "slices_total", "counter", "Sleeps that no bell ended.", side_slices },
	{ "bells_idle_total", "counter", "Bells that came without news.", side_vain },
	{ "ring_depth_bytes", "gauge", "Bytes found in the ring when it was last looked at.",
	  side_depth },
	{ "ring_high_water_bytes", "gauge", "Most bytes ever found in the ring.", side_high },
	{ "ring_capacity_bytes", "gauge", "What the ring holds.", side_capacity },
	{ "waiting_seconds", "gauge",
	  "How long the present wait for room (out) or for data (in) has lasted.", side_waiting },
};

/* Times of waits. */
static const struct spread {
	const char *metric, *help;
	size_t classes, sum; /* in struct peal_offcpu */
} spreads[] = {
	{ "offcpu_spun_seconds", "How long sampled waits spun before they slept.",
	  offsetof(struct peal_offcpu, spun), offsetof(struct peal_offcpu, spun_ns) },
	{ "offcpu_slept_seconds", "How long sampled waits slept.",
	  offsetof(struct peal_offcpu, slept), offsetof(struct peal_offcpu, slept_ns) },
	{ "offcpu_woken_seconds", "From the bell to running again, of sampled waits.",
	  offsetof(struct peal_offcpu, woken), offsetof(struct peal_offcpu, woken_ns) },
};

/* n is 0 for in, 1 for out. */
static struct side side_of(const struct client *client, unsigned n)
{
	const struct peal_monitored_link *link = client->link;

	if (n)
		return (struct side){ "out", &link->tx, &link->tx_offcpu, link->tx_capacity,
				      client->stalled_ns };
	return (struct side){ "in", &link->rx, &link->rx_offcpu, link->rx_capacity,
			      client->idle_ns };
}

static void print_abouts(FILE *file, const struct target *targets, unsigned count)
{
	head(file, "up", "gauge", "Whether the server answers.");
	for (unsigned i = 0; i < count; i++) {
		fputs("peal_up{", file);
		server_labels(file, &targets[i]);
		fprintf(file, "} %d\n", targets[i].monitor && !targets[i].silent_ns);
	}
	head(file, "server_info", "gauge", "Who the server is.");
	for (unsigned i = 0; i < count; i++) {
		const struct peal_peer *who = &targets[i].sampler.now.about.who;

		if (!targets[i].monitor)
			continue;
		fputs("peal_server_info{", file);
		server_labels(file, &targets[i]);
		fprintf(file, ",pid=\"%" PRId64 "\",uid=\"%" PRIu32 "\",user=\"", who->pid,
			who->uid);
		escaped(file, format_user(who->uid));
		fputs("\",name=\"", file);
		escaped(file, who->name);
		fputs("\"} 1\n", file);
	}
	for (unsigned n = 0; n < sizeof(abouts) / sizeof(abouts[0]); n++) {
		head(file, abouts[n].metric, abouts[n].type, abouts[n].help);
		for (unsigned i = 0; i < count; i++) {
			if (!targets[i].monitor)
				continue;
			fprintf(file, "peal_%s{", abouts[n].metric);
			server_labels(file, &targets[i]);
			fprintf(file, "} %.15g\n", abouts[n].value(&targets[i].sampler.now));
		}
	}
}

static void print_sums(FILE *file, const struct target *targets, unsigned count)
{
	for (unsigned n = 0; n < sizeof(sums) / sizeof(sums[0]); n++) {
		head(file, sums[n].metric, sums[n].type, sums[n].help);
		for (unsigned i = 0; i < count * 2; i++) {
			const struct target *target = &targets[i / 2];
			const struct sample *now = &target->sampler.now;

			if (!target->monitor)
				continue;
			fprintf(file, "peal_%s{", sums[n].metric);
			server_labels(file, target);
			fprintf(file, ",direction=\"%s\"} %.15g\n", i % 2 ? "out" : "in",
				*(const double *)(const void *)((const char *)(i % 2 ? &now->out :
										       &now->in) +
								sums[n].at));
		}
	}
}

static void print_measure(FILE *file, const struct measure *measure, const struct target *target)
{
	const struct sample *now = &target->sampler.now;

	for (unsigned i = 0; i < now->count * 2; i++) {
		const struct client *client = &now->clients[i / 2];
		struct side side = side_of(client, i % 2);

		fprintf(file, "peal_%s{", measure->metric);
		link_labels(file, target, client->link);
		fprintf(file, ",direction=\"%s\"} %.15g\n", side.direction, measure->value(&side));
	}
}

static void print_bucket(FILE *file, const struct spread *spread, const struct target *target,
			 const struct client *client, const struct side *side, const char *suffix,
			 const char *bound, double value)
{
	fprintf(file, "peal_%s%s{", spread->metric, suffix);
	link_labels(file, target, client->link);
	fprintf(file, ",direction=\"%s\"", side->direction);
	if (bound)
		fprintf(file, ",le=\"%s\"", bound);
	fprintf(file, "} %.15g\n", value);
}

/* Only of those that have any: 20 classes of 6 kinds for each of thousands are many lines. */
static void print_spread(FILE *file, const struct spread *spread, const struct target *target)
{
	const struct sample *now = &target->sampler.now;

	for (unsigned i = 0; i < now->count * 2; i++) {
		const struct client *client = &now->clients[i / 2];
		struct side side = side_of(client, i % 2);
		const char *offcpu = (const char *)side.offcpu;
		const uint64_t *classes = (const uint64_t *)(const void *)(offcpu +
									   spread->classes);
		const uint64_t *sum = (const uint64_t *)(const void *)(offcpu + spread->sum);
		uint64_t below = 0;
		char bound[32];

		if (!offcpu_count(side.offcpu))
			continue;
		for (unsigned j = 0; j < PEAL_OFFCPU_CLASSES; j++) {
			below += classes[j];
			if (j + 1 < PEAL_OFFCPU_CLASSES)
				snprintf(bound, sizeof(bound), "%.9g", offcpu_bound(j) / 1e9);
			else
				snprintf(bound, sizeof(bound), "+Inf");
			print_bucket(file, spread, target, client, &side, "_bucket", bound,
				     (double)below);
		}
		print_bucket(file, spread, target, client, &side, "_sum", NULL, (double)*sum / 1e9);
		print_bucket(file, spread, target, client, &side, "_count", NULL, (double)below);
	}
}

void prometheus_print(FILE *file, const struct target *targets, unsigned count)
{
	print_abouts(file, targets, count);
	print_sums(file, targets, count);
	for (unsigned n = 0; n < sizeof(measures) / sizeof(measures[0]); n++) {
		head(file, measures[n].metric, measures[n].type, measures[n].help);
		for (unsigned i = 0; i < count; i++)
			if (targets[i].monitor)
				print_measure(file, &measures[n], &targets[i]);
	}
	for (unsigned n = 0; n < sizeof(spreads) / sizeof(spreads[0]); n++) {
		head(file, spreads[n].metric, "histogram", spreads[n].help);
		for (unsigned i = 0; i < count; i++)
			if (targets[i].monitor)
				print_spread(file, &spreads[n], &targets[i]);
	}
}
