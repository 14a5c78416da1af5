/*
 * SPDX-License-Identifier: MIT
 *
 * The handshake's messages: written, checked, refused. Who says what when is in listen.c and
 * connect.c.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/error.h"
#include "lib/handshake.h"
#include "lib/large.h"
#include "lib/options.h"

#define AT(field, offset) \
	_Static_assert(offsetof(struct wire_message, field) == (offset), "wire, version 1")
AT(magic, 0);
AT(type, 4);
AT(kind, 6);
AT(version_low, 8);
AT(version_high, 10);
AT(layout_low, 12);
AT(layout_high, 14);
AT(abi, 16);
AT(code, 20);
AT(features, 24);
AT(needed, 32);
AT(page, 40);
AT(capacity, 48);
AT(max_message, 56);
AT(wait, 64);
AT(descriptors, 68);
AT(descriptor, 72);
AT(start, 80);
AT(data_page, 88);
AT(stats_first, 96);
AT(stats_objects, 104);
AT(stats_started, 112);
AT(stats_now, 120);
AT(name, 128);
AT(text, 192);
AT(stats_size, 448);
AT(spare_end, 480);
_Static_assert(sizeof(struct wire_message) == 504, "wire, version 1");
_Static_assert(WIRE_MAGIC == 0x4c414550, "wire, version 1");
_Static_assert(WIRE_VERSION_LOW == 1, "wire, version 1");
_Static_assert(WIRE_VERSION_HIGH == 1, "wire, version 1");
_Static_assert(WIRE_LAYOUT_LOW == 1, "wire, version 1");
_Static_assert(WIRE_LAYOUT_HIGH == 1, "wire, version 1");
_Static_assert(WIRE_HELLO == 1, "wire, version 1");
_Static_assert(WIRE_WELCOME == 2, "wire, version 1");
_Static_assert(WIRE_REFUSE == 3, "wire, version 1");
_Static_assert(WIRE_LINK == 1, "wire, version 1");
_Static_assert(WIRE_MONITOR == 2, "wire, version 1");
_Static_assert(WIRE_NONE == 0, "wire, version 1");
_Static_assert(WIRE_SEGMENT == 1, "wire, version 1");
_Static_assert(WIRE_DATA == 2, "wire, version 1");
_Static_assert(WIRE_EVENTFD == 3, "wire, version 1");
_Static_assert(WIRE_STATS == 4, "wire, version 1");
_Static_assert(WIRE_TRUSTS_EVENTFD == 1, "wire, version 1");
_Static_assert(WIRE_UNSEALED == 2, "wire, version 1");
_Static_assert(WIRE_MEMBARRIER == 4, "wire, version 1");
_Static_assert(WIRE_FRAGMENTS == 8, "wire, version 1");
_Static_assert(WIRE_CALLS == 16, "wire, version 1");
_Static_assert(WIRE_SOCKET_BELL == 32, "wire, version 1");

bool wire_trusts(const struct peal_options *options, enum wire_type our)
{
	return our == WIRE_HELLO ? !(options->flags & PEAL_DISTRUST_PEER) :
				   (options->flags & PEAL_TRUST_PEER) != 0;
}

/* A client does not know yet whether its server would ring an eventfd; a server does. */
static bool gives_eventfd(const struct peal_options *options, enum wire_type our,
			  const struct link_plan *plan)
{
	return options->bell == PEAL_BELL_EVENTFD ||
	       (options->bell == PEAL_BELL_AUTO && our == WIRE_WELCOME && plan->peer_rings_eventfd);
}

/*
 * Where the first record goes: some line of the first page. Were it the first line for all, all
 * next records would be in the same few sets of a cache, and who looks at a thousand links would
 * find room there for a dozen.
 */
static uint64_t pick_start(const struct segment *segment)
{
	/* Where it is mapped is another place for each, and in each process. */
	uint64_t hash = (uint64_t)(uintptr_t)segment->at / segment->page * 0x9e3779b97f4a7c15u;

	return (hash >> 58) * 64;
}

static void put(struct wire_message *message, struct platform_parcel *parcel,
		enum wire_descriptor kind, int fd)
{
	message->descriptor[message->descriptors++] = (uint8_t)kind;
	parcel->fd[parcel->count++] = fd;
}

void wire_begin(struct wire_message *message, enum wire_type type, enum wire_kind kind,
		const struct peal_options *options)
{
	memset(message, 0, sizeof(*message));
	message->magic = WIRE_MAGIC;
	message->type = (uint16_t)type;
	message->kind = (uint16_t)kind;
	message->version_low = WIRE_VERSION_LOW;
	message->version_high = WIRE_VERSION_HIGH;
	message->layout_low = WIRE_LAYOUT_LOW;
	message->layout_high = WIRE_LAYOUT_HIGH;
	message->abi = options->abi;
	options_copy_name(message->name, options->name);
}

void wire_fill(struct wire_message *message, enum wire_type type,
	       const struct peal_options *options, uint64_t rx_largest, struct link_plan *plan,
	       struct platform_parcel *parcel)
{
	wire_begin(message, type, WIRE_LINK, options);
	message->features = WIRE_FRAGMENTS | WIRE_SOCKET_BELL;
	if (options->flags & PEAL_CALLS)
		message->features |= WIRE_CALLS;
	if (wire_trusts(options, type))
		message->features |= WIRE_TRUSTS_EVENTFD;
	if (options->barrier != PEAL_BARRIER_FENCE &&
	    runtime_registered(options->barrier == PEAL_BARRIER_ASYMMETRIC))
		message->features |= WIRE_MEMBARRIER;
	plan->said_registered = (message->features & WIRE_MEMBARRIER) != 0;
	message->page = plan->own.page;
	message->capacity = plan->own.capacity;
	message->start = plan->own.start = pick_start(&plan->own);
	message->data_page = plan->own.unit;
	message->max_message = rx_largest;
	message->wait = options->wait;
	parcel->count = 0;
	put(message, parcel, WIRE_SEGMENT, plan->own.fd);
	if (plan->own.data_fd >= 0)
		put(message, parcel, WIRE_DATA, plan->own.data_fd);
	/* Without one we are rung by the socket. */
	if (options->wait != PEAL_WAIT_SPIN && gives_eventfd(options, type, plan))
		plan->own_eventfd = platform_eventfd();
	if (plan->own_eventfd >= 0)
		put(message, parcel, WIRE_EVENTFD, plan->own_eventfd);
}

void wire_refuse(int fd, int err, const char *sentence)
{
	struct wire_message message = {
		.magic = WIRE_MAGIC,
		.type = WIRE_REFUSE,
		.kind = WIRE_LINK,
		.version_low = WIRE_VERSION_LOW,
		.version_high = WIRE_VERSION_HIGH,
		.layout_low = WIRE_LAYOUT_LOW,
		.layout_high = WIRE_LAYOUT_HIGH,
		.code = (uint32_t)-err,
	};

	snprintf(message.text, sizeof(message.text), "%s", sentence);
	platform_send(fd, &message, sizeof(message), NULL);
}

int wire_check_version(const struct wire_message *message, int64_t length)
{
	if (length < (int64_t)offsetof(struct wire_message, layout_low) ||
	    message->magic != WIRE_MAGIC)
		return error_set(
			-EPROTOTYPE,
			"the other side does not speak Peal: it sent %lld bytes that are no handshake; check the address",
			(long long)length);
	if (message->version_low > WIRE_VERSION_HIGH || message->version_high < WIRE_VERSION_LOW)
		return error_set(
			-EPROTONOSUPPORT,
			"no common protocol version: this side speaks %d to %d, the other %u to %u; update the older one",
			WIRE_VERSION_LOW, WIRE_VERSION_HIGH, message->version_low,
			message->version_high);
	if (length != (int64_t)sizeof(*message))
		return error_set(
			-EPROTO,
			"a handshake of %lld bytes, where %zu are right: update the side that sent it",
			(long long)length, sizeof(*message));
	if (message->layout_low > WIRE_LAYOUT_HIGH || message->layout_high < WIRE_LAYOUT_LOW)
		return error_set(
			-EPROTONOSUPPORT,
			"no common memory layout: this side speaks %d to %d, the other %u to %u; update the older one",
			WIRE_LAYOUT_LOW, WIRE_LAYOUT_HIGH, message->layout_low,
			message->layout_high);
	return 0;
}

/* A power of two within our limits, of pages that it is a multiple of, behind a page of ours. */
static int check_geometry(const struct wire_message *message, const struct peal_options *options)
{
	uint64_t page = runtime_get()->page_size, capacity = message->capacity;

	if (message->page != page)
		return error_set(
			-EPROTO,
			"the peer's control page has %llu bytes, pages here have %llu: run both with the same",
			(unsigned long long)message->page, (unsigned long long)page);
	if (capacity < page || (capacity & (capacity - 1)))
		return error_set(
			-EPROTO,
			"the peer's ring of %llu bytes is no power of two from %llu on: update the peer",
			(unsigned long long)capacity, (unsigned long long)page);
	if (capacity > options->max_peer_ring || capacity > CAPACITY_MAX)
		return error_set(
			-E2BIG,
			"a ring of %llu bytes is more than the other side accepts, %llu: lower "
			"options.ring here or raise options.max_peer_ring there",
			(unsigned long long)capacity, (unsigned long long)options->max_peer_ring);
	if (message->data_page < page || (message->data_page & (message->data_page - 1)) ||
	    message->data_page > capacity)
		return error_set(
			-EPROTO,
			"the peer's ring of %llu bytes is said to be of pages of %llu, and must be of a power of two from %llu to itself: update the peer",
			(unsigned long long)capacity, (unsigned long long)message->data_page,
			(unsigned long long)page);
	if (message->start >= capacity || message->start % 8)
		return error_set(
			-EPROTO,
			"the peer's first record is at %llu of a ring of %llu bytes, and must be at a multiple of 8 in it: update the peer",
			(unsigned long long)message->start, (unsigned long long)capacity);
	return 0;
}

/* A segment, perhaps a data area, and perhaps an eventfd; how many of them are memory goes to
 * *memory. */
static int check_descriptors(const struct wire_message *message,
			     const struct platform_parcel *parcel, int *memory)
{
	const uint8_t *kinds = message->descriptor;
	int count = parcel->count;
	int right;

	*memory = count >= 2 && kinds[1] == WIRE_DATA ? 2 : 1;
	right = *memory + (count > *memory && kinds[*memory] == WIRE_EVENTFD);
	if (message->descriptors == (uint32_t)count && count == right && kinds[0] == WIRE_SEGMENT)
		return 0;
	return error_set(-EPROTO,
			 "the handshake came with %d descriptors: a segment, at most a data area, "
			 "and at most an eventfd, are right",
			 count);
}

static uint32_t lower(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

int wire_adopt(const struct wire_message *message, struct platform_parcel *parcel,
	       const struct peal_options *options, struct link_plan *plan)
{
	enum wire_type our = message->type == WIRE_HELLO ? WIRE_WELCOME : WIRE_HELLO;
	struct segment_offer offer = { .fd = parcel->fd[0],
				       .data_fd = -1,
				       .page = message->page,
				       .capacity = message->capacity,
				       .unit = message->data_page };
	uint64_t offered = WIRE_OFFERED | (options->flags & PEAL_CALLS ? WIRE_CALLS : 0);
	int memory, err;

	if (message->needed & ~offered)
		return error_set(
			-EPROTONOSUPPORT,
			"the peer needs features 0x%llx, and this side has 0x%llx: use a newer library here",
			(unsigned long long)message->needed, (unsigned long long)offered);
	err = check_descriptors(message, parcel, &memory);
	if (!err)
		err = check_geometry(message, options);
	if (err)
		return err;
	if (memory == 2)
		offer.data_fd = parcel->fd[1];
	else if (offer.unit != offer.page)
		return error_set(
			-EPROTO,
			"the peer's ring is said to be of pages of %llu bytes, and comes in an object of plain ones: update the peer",
			(unsigned long long)offer.unit);
	/* Writing to something else might wait for somebody, or raise SIGPIPE. */
	if (parcel->count > memory && wire_trusts(options, our) &&
	    !platform_may_be_eventfd(parcel->fd[memory]))
		return error_set(-EPROTO, "the peer's eventfd is none: update the peer");
	err = segment_adopt(&plan->theirs, &offer, options->flags);
	if (err)
		return err;
	platform_close(offer.fd);
	platform_close(offer.data_fd);
	parcel->count -= memory;
	parcel->fd[0] = parcel->fd[memory];
	plan->theirs.start = message->start;
	plan->rx_largest = options_largest(options, message->capacity);
	/* Of our own ring, as far as the peer accepts. */
	plan->tx_largest = segment_longest_record(options->ring);
	if (message->max_message < plan->tx_largest)
		plan->tx_largest = message->max_message;
	/* The highest that both speak; in a WELCOME it is what the server chose. */
	plan->protocol = lower(message->version_high, WIRE_VERSION_HIGH);
	plan->layout = lower(message->layout_high, WIRE_LAYOUT_HIGH);
	plan->peer_abi = message->abi;
	plan->peer_wait = message->wait;
	plan->peer_fragments = (message->features & WIRE_FRAGMENTS) != 0;
	plan->peer_calls = (message->features & WIRE_CALLS) != 0;
	plan->registered = (message->features & WIRE_MEMBARRIER) != 0;
	plan->peer_rings_eventfd = (message->features & WIRE_TRUSTS_EVENTFD) != 0;
	if (parcel->count && wire_trusts(options, our))
		plan->peer_eventfd = parcel->fd[--parcel->count];
	options_copy_name(plan->peer.name, message->name);
	plan->tx_longest = plan->tx_largest;
	if (!plan->peer_fragments)
		return 0;
	plan->tx_longest = message->max_message;
	return large_set_aside(&plan->join, options->max_message, plan->rx_largest);
}

int wire_is_own(const struct platform_credentials *who)
{
	bool passes;
	int mapped;

	if (who->uid == 0)
		return 1;
	if (who->uid != platform_uid())
		return 0;
	mapped = platform_uid_is_mapped(who->uid);
	if (mapped >= 0)
		return mapped;
	/* What may pass is not told as a refusal, which is for good. */
	passes = mapped == -EMFILE || mapped == -ENFILE || mapped == -ENOMEM;
	return error_set(
		passes ? mapped : -EPERM,
		"whether user %u is our own cannot be told, since others may be shown so, too (/proc/self/uid_map, errno %d): %s",
		who->uid, -mapped,
		passes ?
			"descriptors or memory are short: raise their limit (ulimit -n, fs.file-max)" :
			error_mend(mapped, "see that /proc can be read"));
}

int wire_allows(const struct peal_options *options, const struct platform_credentials *who, int fd)
{
	int own;

	if (options->allow == PEAL_ALLOW_ANYONE)
		return 1;
	own = wire_is_own(who);
	if (own <= 0 && options->allow == PEAL_ALLOW_GROUP &&
	    (who->gid == options->group || platform_peer_in_group(fd, options->group)))
		return 1;
	return own;
}

void wire_close_parcel(struct platform_parcel *parcel)
{
	platform_close_aside(parcel->fd, parcel->count);
	parcel->count = 0;
}
