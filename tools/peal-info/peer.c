/*
 * SPDX-License-Identifier: MIT
 *
 * What a handshake with a server would agree on: it is one ordinary client, with default options,
 * that comes, asks what was agreed on, and goes.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <peal.h>

#include "peer.h"
#include "report.h"
#include "text.h"

static const char *wait_name(uint32_t wait)
{
	static const char *const names[] = { "adaptive", "spin", "sleep" };

	return wait < sizeof(names) / sizeof(names[0]) ? names[wait] : "unknown";
}

static const char *bell_name(uint32_t bell)
{
	static const char *const names[] = { "none", "eventfd", "socket" };

	return bell < sizeof(names) / sizeof(names[0]) ? names[bell] : "unknown";
}

static const char *or_no(uint32_t flag, const char *yes)
{
	return flag ? yes : "no";
}

/*
 * Text for people
 */

static void print_sizes(const char *group, uint64_t ring, uint64_t largest, uint64_t longest)
{
	char text[32], remark[64];

	snprintf(text, sizeof(text), "%" PRIu64 " bytes", ring);
	text_line(&(struct line){ group, "", "ring", text, "that it sends into" });
	snprintf(text, sizeof(text), "%" PRIu64 " bytes", longest);
	snprintf(remark, sizeof(remark), "up to %" PRIu64 " in one record", largest);
	text_line(&(struct line){ "", "", "longest message", text, remark });
}

static void print_agreed(const char *address, const struct peal_peer *peer,
			 const struct peal_agreed *a)
{
	char text[64];

	report_versions();
	puts("\nA client with default options and the server at");
	text_word(address);
	puts("\nThe server");
	snprintf(text, sizeof(text), "%" PRId64, peer->pid);
	text_line(&(struct line){ "process", "", "pid", text,
				  peer->pid ? "" : "not visible in this pid namespace" });
	snprintf(text, sizeof(text), "%" PRIu32, peer->uid);
	text_line(&(struct line){ "", "", "uid", text, "" });
	snprintf(text, sizeof(text), "%" PRIu32, peer->gid);
	text_line(&(struct line){ "", "", "gid", text, "" });
	text_line(&(struct line){ "", "", "name", peer->name, "as it says" });
	puts("\nAgreed on");
	snprintf(text, sizeof(text), "%" PRIu32, a->protocol);
	text_line(&(struct line){ "versions", "", "protocol", text, "" });
	snprintf(text, sizeof(text), "%" PRIu32, a->layout);
	text_line(&(struct line){ "", "", "layout", text, "" });
	snprintf(text, sizeof(text), "%" PRIu32 " here, %" PRIu32 " there", a->abi, a->peer_abi);
	text_line(&(struct line){ "", "", "abi", text, "" });
	snprintf(text, sizeof(text), "%" PRIu64 " bytes", a->page);
	text_line(&(struct line){ "memory", "", "control page", text, "" });
	text_line(&(struct line){ "messages", "", "fragments",
				  or_no(a->flags & PEAL_AGREED_FRAGMENTS, "yes"),
				  "messages longer than a record" });
	text_line(&(struct line){ "", "", "calls", or_no(a->flags & PEAL_AGREED_CALLS, "yes"),
				  "the server may be sent errors and cancels" });
	print_sizes("client", a->ring, a->largest, a->longest);
	text_line(&(struct line){ "", "", "waits", wait_name(a->wait), "" });
	text_line(&(struct line){ "", "", "is rung by", bell_name(a->bell),
				  "when it waits by descriptor" });
	text_line(&(struct line){ "", "", "membarrier",
				  or_no(a->flags & PEAL_AGREED_PEER_ASYMMETRIC, "registered"),
				  "then the server may sleep without fences in its messages" });
	print_sizes("server", a->peer_ring, a->peer_largest, a->peer_longest);
	text_line(&(struct line){ "", "", "waits", wait_name(a->peer_wait), "as it says" });
	text_line(&(struct line){ "", "", "is rung by", bell_name(a->peer_bell),
				  "when it waits by descriptor" });
	text_line(&(struct line){ "", "", "membarrier",
				  or_no(a->flags & PEAL_AGREED_ASYMMETRIC, "registered"),
				  "then the client may" });
}

/*
 * JSON for scripts
 */

static void put_side(struct json *json, const char *side, uint64_t ring, uint64_t largest,
		     uint64_t longest)
{
	json_object(json, side);
	json_integer(json, "ring", ring);
	json_integer(json, "largest_record", largest);
	json_integer(json, "longest_message", longest);
}

static void put_rest(struct json *json, uint32_t abi, uint32_t wait, uint32_t bell,
		     uint32_t registered)
{
	json_integer(json, "abi", abi);
	json_string(json, "wait", wait_name(wait));
	json_string(json, "bell", bell_name(bell));
	json_bool(json, "membarrier", registered != 0);
}

static void put_agreed(struct json *json, const struct peal_peer *peer, const struct peal_agreed *a)
{
	json_integer(json, "protocol", a->protocol);
	json_integer(json, "layout", a->layout);
	json_integer(json, "page", a->page);
	json_bool(json, "fragments", (a->flags & PEAL_AGREED_FRAGMENTS) != 0);
	json_bool(json, "calls", (a->flags & PEAL_AGREED_CALLS) != 0);
	put_side(json, "client", a->ring, a->largest, a->longest);
	put_rest(json, a->abi, a->wait, a->bell, a->flags & PEAL_AGREED_PEER_ASYMMETRIC);
	json_end_object(json);
	put_side(json, "server", a->peer_ring, a->peer_largest, a->peer_longest);
	put_rest(json, a->peer_abi, a->peer_wait, a->peer_bell, a->flags & PEAL_AGREED_ASYMMETRIC);
	json_integer(json, "pid", (uint64_t)peer->pid);
	json_integer(json, "uid", peer->uid);
	json_integer(json, "gid", peer->gid);
	json_string(json, "name", peer->name);
	json_end_object(json);
}

/* link is NULL if there is an error. */
static void print_json(const char *address, const struct peal_link *link,
		       const struct peal_agreed *agreed, int err)
{
	struct json json;

	report_begin_json(&json, "peer");
	json_string(&json, "address", address);
	json_bool(&json, "agreed", !err);
	if (err) {
		json_integer(&json, "errno", (uint64_t)-err);
		json_string(&json, "error", peal_error());
	} else {
		put_agreed(&json, peal_link_peer(link), agreed);
	}
	json_end_object(&json);
}

bool peer_check(const char *address, int64_t timeout, bool json)
{
	struct peal_agreed agreed = { .size = sizeof(agreed) };
	struct peal_link *link;
	int err = peal_connect(&link, address, NULL, timeout);

	if (!err)
		err = peal_link_agreed(link, &agreed);
	if (json)
		print_json(address, link, &agreed, err);
	else if (err)
		fprintf(stderr, "peal-info: %s\n", peal_error());
	else
		print_agreed(address, peal_link_peer(link), &agreed);
	peal_close(link);
	return !err;
}
