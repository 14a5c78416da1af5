/*
 * SPDX-License-Identifier: MIT
 *
 * JSON for scripts: docs/peal-top.schema.json says what is in it.
 */
#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "format.h"
#include "output.h"
#include "tools/json.h"

static void begin(struct json *json, const char *report, bool line)
{
	*json = (struct json){ .file = stdout, .line = line };
	json_object(json, NULL);
	json_integer(json, "schema", 1);
	json_string(json, "tool", "peal-top");
	json_string(json, "report", report);
	json_string(json, "version", peal_runtime_version());
}

/* The kernel vouches for these, but for the name. */
static void print_peer(struct json *json, const struct peal_peer *peer)
{
	json_integer(json, "pid", peer->pid > 0 ? (uint64_t)peer->pid : 0);
	json_integer(json, "uid", peer->uid);
	json_string(json, "user", format_user(peer->uid));
	json_string(json, "name", peer->name);
}

static void print_flow(struct json *json, const char *name, const struct flow *flow, int decimals)
{
	json_object(json, name);
	json_number(json, "messages", flow->messages, decimals);
	json_number(json, "bytes", flow->bytes, decimals);
	json_number(json, "waits", flow->full, decimals);
	json_number(json, "sleeps", flow->sleeps, decimals);
	json_number(json, "rung", flow->rung, decimals);
	json_number(json, "spared", flow->spared, decimals);
	json_end_object(json);
}

static void print_classes(struct json *json, const char *name, const uint64_t *classes)
{
	json_array(json, name);
	for (unsigned i = 0; i < PEAL_OFFCPU_CLASSES; i++)
		json_integer(json, NULL, classes[i]);
	json_end_array(json);
}

static void print_side(struct json *json, const char *name, const struct peal_counters *counters,
		       uint64_t capacity, uint64_t stalled_ns, const struct flow *rate,
		       const struct peal_offcpu *offcpu)
{
	json_object(json, name);
	json_integer(json, "messages", counters->messages);
	json_integer(json, "bytes", counters->bytes);
	json_integer(json, "waits", counters->waits);
	json_integer(json, "sleeps", counters->sleeps);
	json_integer(json, "rung", counters->rung);
	json_integer(json, "spared", counters_spared(counters));
	json_integer(json, "batched", counters->batched);
	json_integer(json, "slices", counters->slices);
	json_integer(json, "idle_rings", counters->idle_rings);
	json_integer(json, "depth", counters->depth);
	json_integer(json, "high_water", counters->high_water);
	json_integer(json, "capacity", capacity);
	json_integer(json, "waits_since_ns", stalled_ns);
	print_flow(json, "rate", rate, 3);
	if (offcpu_count(offcpu)) {
		json_object(json, "offcpu");
		print_classes(json, "spun", offcpu->spun);
		print_classes(json, "slept", offcpu->slept);
		print_classes(json, "woken", offcpu->woken);
		json_integer(json, "spun_ns", offcpu->spun_ns);
		json_integer(json, "slept_ns", offcpu->slept_ns);
		json_integer(json, "woken_ns", offcpu->woken_ns);
		json_end_object(json);
	}
	json_end_object(json);
}

static void print_client(struct json *json, const struct client *client)
{
	const struct peal_monitored_link *link = client->link;

	json_object(json, NULL);
	json_integer(json, "id", link->id);
	json_string(json, "peer", role_name(link->role));
	json_string(json, "wait", wait_name(link->wait));
	print_peer(json, &link->peer);
	json_integer(json, "age_ns", client->age_ns);
	print_side(json, "in", &link->rx, link->rx_capacity, client->idle_ns, &client->in,
		   &link->rx_offcpu);
	print_side(json, "out", &link->tx, link->tx_capacity, client->stalled_ns, &client->out,
		   &link->tx_offcpu);
	json_end_object(json);
}

void json_sample(const struct target *target, const struct column *sort, bool reverse, bool line)
{
	const struct sample *now = &target->sampler.now;
	const struct client **order = calloc(now->count + 1u, sizeof(*order));
	struct json json;

	if (!order)
		return;
	column_sort(sort, reverse, now, order);
	begin(&json, "server", line);
	json_string(&json, "address", target->address);
	json_bool(&json, "answers", !target->silent_ns);
	json_number(&json, "seconds", now->seconds, 3);
	json_object(&json, "server");
	print_peer(&json, &now->about.who);
	json_integer(&json, "up_ns", now->up_ns);
	json_integer(&json, "links", now->about.links);
	json_integer(&json, "ended", now->about.ended);
	json_integer(&json, "restarts", target->restarts);
	json_end_object(&json);
	json_object(&json, "totals");
	print_flow(&json, "in", &now->in, 0);
	print_flow(&json, "out", &now->out, 0);
	json_end_object(&json);
	json_object(&json, "rates");
	print_flow(&json, "in", &now->in_rate, 3);
	print_flow(&json, "out", &now->out_rate, 3);
	json_end_object(&json);
	json_array(&json, "clients");
	for (unsigned i = 0; i < now->count; i++)
		print_client(&json, order[i]);
	json_end_array(&json);
	json_end_object(&json);
	free(order);
}

void json_servers(const struct server *servers, unsigned count, bool line)
{
	struct json json;

	begin(&json, "servers", line);
	json_array(&json, "servers");
	for (unsigned i = 0; i < count; i++) {
		const struct server *server = &servers[i];

		json_object(&json, NULL);
		json_string(&json, "address", server->address);
		json_string(&json, "state",
			    !server->err              ? "answers" :
			    server->err == -ETIMEDOUT ? "silent" :
							"old");
		if (!server->err) {
			print_peer(&json, &server->about.who);
			json_integer(&json, "links", server->about.links);
			json_integer(&json, "ended", server->about.ended);
		}
		json_end_object(&json);
	}
	json_end_array(&json);
	json_end_object(&json);
}
