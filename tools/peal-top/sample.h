/*
 * SPDX-License-Identifier: MIT
 *
 * A sample: what a server counts at one instant, and what that came to per second since the sample
 * before. It knows nothing of how either is shown.
 *
 * Directions are the server's: in is what it receives (rx), out what it sends (tx).
 */
#ifndef PEAL_TOP_SAMPLE_H
#define PEAL_TOP_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include <peal.h>

/* What is added up, or divided by a time, in one direction. */
struct flow {
	double messages, bytes, full, sleeps, rung, spared;
};

struct client {
	const struct peal_monitored_link *link; /* of the sample's links */
	struct flow in, out;                    /* per second */
	/* How long the present wait for room, and for data, has lasted; 0: none. */
	uint64_t stalled_ns, idle_ns;
	uint64_t age_ns;
};

struct sample {
	struct peal_monitored about;
	struct client *clients; /* by link->id */
	unsigned count;
	double seconds; /* since the sample before; 0: there was none, and nothing is per second */
	/* Of all links, those that have ended as well; and of all, per second. */
	struct flow in, out;
	struct flow in_rate, out_rate;
	uint64_t up_ns;

	struct peal_monitored_link *links;
	unsigned room; /* of links and clients */
};

/* The last two samples of one server; zero before the first. */
struct sampler {
	struct sample now, before;
};

/* Reads once, without entering the kernel (but for memory). 0, or a negative errno. */
int sampler_take(struct sampler *sampler, struct peal_monitor *monitor);

/* Frees what it holds; the next sample has none before. */
void sampler_reset(struct sampler *sampler);

/* Messages that rang no bell and could have: peal_link_stats reckons so, too. */
uint64_t counters_spared(const struct peal_counters *counters);

/* How many waits of one direction were measured. */
uint64_t offcpu_count(const struct peal_offcpu *offcpu);

/* Adds up classes. */
void offcpu_add(struct peal_offcpu *sum, const struct peal_offcpu *offcpu);

/* The bound, in nanoseconds, of the class in which such a part of all lies (0.5: the median); 0:
 * there are none; INFINITY: longer than the last bound. */
double offcpu_quantile(const uint64_t *classes, double part);

/* The upper bound of a class in nanoseconds, INFINITY for the last. */
double offcpu_bound(unsigned class);

/* What the peer of such a link is: "client", "server" or "pair". */
const char *role_name(uint32_t role);
const char *wait_name(uint32_t wait);

#endif
