/*
 * SPDX-License-Identifier: MIT
 *
 * Checks options, and fills in the defaults. It knows nothing of what they do.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <peal/ring.h>

#include "lib/error.h"
#include "lib/options.h"
#include "lib/segment.h"

/* What programs pass is binary interface. */
#define OPTION(field, offset)                                            \
	_Static_assert(offsetof(struct peal_options, field) == (offset), \
		       "binary interface, version 1")
OPTION(size, 0);
OPTION(abi, 4);
OPTION(ring, 8);
OPTION(max_peer_ring, 16);
OPTION(max_message, 24);
OPTION(wait, 32);
OPTION(flags, 36);
OPTION(spin_ns, 40);
OPTION(name, 48);
OPTION(allow, 56);
OPTION(group, 60);
OPTION(admit, 64);
OPTION(admit_data, 72);
OPTION(mode, 80);
OPTION(backlog, 84);
OPTION(handshake_ns, 88);
OPTION(barrier, 96);
OPTION(bell, 100);
OPTION(huge, 104);
OPTION(node, 108);
OPTION(huge_size, 112);
OPTION(socket_group, 120);
OPTION(sample, 128);
OPTION(spare, 136);
_Static_assert(sizeof(struct peal_options) == 224, "binary interface, version 1");
#define PEER(field, offset) \
	_Static_assert(offsetof(struct peal_peer, field) == (offset), "binary interface, version 1")
PEER(pid, 0);
PEER(uid, 8);
PEER(gid, 12);
PEER(name, 16);
_Static_assert(sizeof(struct peal_peer) == 80, "binary interface, version 1");
_Static_assert(PEAL_ABI == 1, "binary interface, version 1");
_Static_assert(PEAL_WAIT_ADAPTIVE == 0, "binary interface, version 1");
_Static_assert(PEAL_WAIT_SPIN == 1, "binary interface, version 1");
_Static_assert(PEAL_WAIT_SLEEP == 2, "binary interface, version 1");
_Static_assert(PEAL_ALLOW_USER == 0, "binary interface, version 1");
_Static_assert(PEAL_ALLOW_GROUP == 1, "binary interface, version 1");
_Static_assert(PEAL_ALLOW_ANYONE == 2, "binary interface, version 1");
_Static_assert(PEAL_PREFAULT == 1, "binary interface, version 1");
_Static_assert(PEAL_ONE_THREAD == 2, "binary interface, version 1");
_Static_assert(PEAL_TRUST_PEER == 4, "binary interface, version 1");
_Static_assert(PEAL_DISTRUST_PEER == 8, "binary interface, version 1");
_Static_assert(PEAL_LOCK == 16, "binary interface, version 1");
_Static_assert(PEAL_CALLS == 32, "binary interface, version 1");
_Static_assert(PEAL_BARRIER_AUTO == 0, "binary interface, version 1");
_Static_assert(PEAL_BARRIER_FENCE == 1, "binary interface, version 1");
_Static_assert(PEAL_BARRIER_ASYMMETRIC == 2, "binary interface, version 1");
_Static_assert(PEAL_HUGE_AUTO == 0, "binary interface, version 1");
_Static_assert(PEAL_HUGE_OFF == 1, "binary interface, version 1");
_Static_assert(PEAL_HUGE_TRY == 2, "binary interface, version 1");
_Static_assert(PEAL_HUGE_REQUIRE == 3, "binary interface, version 1");
_Static_assert(PEAL_BELL_AUTO == 0, "binary interface, version 1");
_Static_assert(PEAL_BELL_EVENTFD == 1, "binary interface, version 1");
_Static_assert(PEAL_BELL_SOCKET == 2, "binary interface, version 1");

#define DEFAULT_RING ((uint64_t)64 << 10)
#define DEFAULT_MAX_PEER_RING ((uint64_t)64 << 20)
#define DEFAULT_CLIENT_MESSAGE ((uint64_t)64 << 20)
#define DEFAULT_HANDSHAKE_NS 1000000000u
#define DEFAULT_BACKLOG 1024u
#define DEFAULT_MODE 0600u

#define NODES 1024u

#define FLAGS                                                                                \
	((uint32_t)(PEAL_PREFAULT | PEAL_ONE_THREAD | PEAL_TRUST_PEER | PEAL_DISTRUST_PEER | \
		    PEAL_LOCK | PEAL_CALLS))

/* Of the first header: it never changes. */
#define SIZE_VERSION_1 224u

static int check_head(const struct peal_options *given)
{
	const uint8_t *bytes = (const uint8_t *)given;

	if (given->size < SIZE_VERSION_1 || given->size > 4096)
		return error_set(
			-EINVAL,
			"options->size is %u, and sizeof(struct peal_options) %zu: start with "
			"peal_options_init",
			given->size, sizeof(*given));
	if (given->abi == 0)
		return error_literal(
			-EINVAL,
			"options->abi is 0, where 1 or more is right: start with peal_options_init");
	if (given->abi > PEAL_ABI)
		return error_set(
			-EOPNOTSUPP,
			"the program was compiled against headers of number %u, this library knows 1 "
			"to %u: use a newer library",
			given->abi, PEAL_ABI);
	for (uint32_t i = sizeof(*given); i < given->size; i++)
		if (bytes[i])
			return error_set(
				-EOPNOTSUPP,
				"the option at offset %u is newer than this library, which knows %zu bytes: use a newer one, or set it to 0",
				i, sizeof(*given));
	for (unsigned i = 0; i < sizeof(given->spare) / sizeof(given->spare[0]); i++)
		if (given->spare[i])
			return error_set(
				-EOPNOTSUPP,
				"options->spare[%u] is %llu and not 0: use a library that has that option, or peal_options_init",
				i, (unsigned long long)given->spare[i]);
	if (given->flags & ~FLAGS)
		return error_set(
			-EOPNOTSUPP,
			"options->flags has the bits 0x%x, and this library knows only 0x%x: clear them or use a newer one",
			given->flags & ~FLAGS, FLAGS);
	return 0;
}

static int check_huge(const struct peal_options *options)
{
	uint64_t size = options->huge_size;

	if (options->huge > PEAL_HUGE_REQUIRE)
		return error_set(-EINVAL,
				 "options->huge is %u: pass 0 auto, 1 off, 2 try or 3 require",
				 options->huge);
	if (options->node > NODES)
		return error_set(-EINVAL, "options->node is %u: pass 1 + a node's number, up to %u",
				 options->node, NODES);
	if (size <= runtime_get()->page_size || (size & (size - 1)))
		return error_set(
			-EINVAL,
			"options->huge_size is %llu: pass a power of two above %llu, or 0 for %llu",
			(unsigned long long)size, (unsigned long long)runtime_get()->page_size,
			(unsigned long long)platform_huge_size());
	if (options->huge == PEAL_HUGE_REQUIRE && options->ring < size)
		return error_set(
			-EINVAL,
			"a ring of %llu bytes is less than a huge page of %llu, which %s requires: "
			"pass options.ring of that size or more",
			(unsigned long long)options->ring, (unsigned long long)size,
			runtime_get()->huge == PEAL_HUGE_REQUIRE ? "PEAL_HUGEPAGES=require" :
								   "options.huge");
	return 0;
}

static int check_values(const struct peal_options *options)
{
	uint64_t page = runtime_get()->page_size;
	int err;

	if (options->ring < page || options->ring > CAPACITY_MAX)
		return error_set(-ERANGE, "a ring of %llu bytes is out of range: pass %llu to %llu",
				 (unsigned long long)options->ring, (unsigned long long)page,
				 (unsigned long long)CAPACITY_MAX);
	if (options->ring & (options->ring - 1))
		return error_set(
			-EINVAL,
			"a ring of %llu bytes is not a power of two: pass %llu, the next larger",
			(unsigned long long)options->ring,
			1ull << (64 - __builtin_clzll(options->ring)));
	err = check_huge(options);
	if (err)
		return err;
	if (options->max_message > MESSAGE_MAX)
		return error_set(-ERANGE,
				 "options->max_message is %llu: at most %llu; 0 is the default",
				 (unsigned long long)options->max_message,
				 (unsigned long long)MESSAGE_MAX);
	if (options->wait > PEAL_WAIT_SLEEP)
		return error_set(-EINVAL, "options->wait is %u: pass 0 adaptive, 1 spin or 2 sleep",
				 options->wait);
	if (options->spin_ns > 1000000000u)
		return error_set(-EINVAL, "options->spin_ns is %llu: pass at most 1000000000",
				 (unsigned long long)options->spin_ns);
	if (options->barrier > PEAL_BARRIER_ASYMMETRIC)
		return error_set(-EINVAL, "options->barrier is %u: 0 auto, 1 fence, 2 asymmetric",
				 options->barrier);
	if (options->bell > PEAL_BELL_SOCKET)
		return error_set(-EINVAL, "options->bell is %u: 0 auto, 1 eventfd, 2 socket",
				 options->bell);
	if (options->allow > PEAL_ALLOW_ANYONE)
		return error_set(-EINVAL, "options->allow is %u: pass 0 user, 1 group or 2 anyone",
				 options->allow);
	if (options->mode > 0777)
		return error_set(-EINVAL, "options->mode is 0%o: pass permission bits up to 0777",
				 options->mode);
	if (options->socket_group >= UINT32_MAX)
		return error_set(-EINVAL, "options->socket_group is %llu: pass a group below %u",
				 (unsigned long long)options->socket_group, UINT32_MAX);
	if (options->backlog > INT32_MAX)
		return error_set(-EINVAL, "options->backlog is %u: pass at most %d",
				 options->backlog, INT32_MAX);
	return 0;
}

int options_take(struct peal_options *options, const struct peal_options *given)
{
	int err;

	peal_options_init(options);
	if (given) {
		err = check_head(given);
		if (err)
			return err;
		memcpy(options, given, sizeof(*options));
	}
	if (!options->ring)
		options->ring = DEFAULT_RING;
	if (!options->max_peer_ring)
		options->max_peer_ring = DEFAULT_MAX_PEER_RING;
	if (!options->handshake_ns)
		options->handshake_ns = DEFAULT_HANDSHAKE_NS;
	if (!options->backlog)
		options->backlog = DEFAULT_BACKLOG;
	if (!options->mode)
		options->mode = DEFAULT_MODE;
	if (!options->sample)
		options->sample = runtime_get()->sample;
	if (!options->huge)
		options->huge = runtime_get()->huge;
	if (!options->huge_size)
		options->huge_size = platform_huge_size();
	if (!options->name)
		options->name = platform_program();
	return check_values(options);
}

uint64_t options_largest(const struct peal_options *options, uint64_t capacity)
{
	uint64_t fits = segment_longest_record(capacity);

	return options->max_message && options->max_message < fits ? options->max_message : fits;
}

uint64_t options_client_message(const struct peal_options *options)
{
	const uint64_t most = RECORD_MAX + RECORD_OVERHEAD;
	uint64_t ring = options->max_peer_ring < most ? options->max_peer_ring : most;

	return ring > DEFAULT_CLIENT_MESSAGE ? ring : DEFAULT_CLIENT_MESSAGE;
}

uint32_t options_asleep_word(const struct peal_options *options)
{
	return options->wait == PEAL_WAIT_SPIN ? 0 : PEAL_ASLEEP_FENCE;
}

void options_copy_name(char to[64], const char *from)
{
	size_t i;

	for (i = 0; i < 63 && from[i]; i++)
		to[i] = (from[i] < ' ' || from[i] > '~') ? '?' : from[i];
	memset(to + i, 0, 64 - i);
}
