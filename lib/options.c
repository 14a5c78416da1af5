/*
 * SPDX-License-Identifier: MIT
 *
 * Checks options and addresses, and fills in the defaults. It knows nothing of what they do.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <peal/ring.h>

#include "lib/error.h"
#include "lib/options.h"
#include "lib/segment.h"

#define DEFAULT_RING ((uint64_t)64 << 10)
#define DEFAULT_MAX_PEER_RING ((uint64_t)64 << 20)
#define DEFAULT_HANDSHAKE_NS 1000000000u
#define DEFAULT_BACKLOG 1024u
#define DEFAULT_MODE 0600u

#define ADDRESS_MAX 107

#define FLAGS ((uint32_t)(PEAL_PREFAULT | PEAL_ONE_THREAD | PEAL_TRUST_PEER | PEAL_DISTRUST_PEER))

#define SIZE_VERSION_1 sizeof(struct peal_options)

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
		return error_literal(-EINVAL, "options->abi is 0: start with peal_options_init");
	if (given->abi > PEAL_ABI)
		return error_set(
			-EOPNOTSUPP,
			"the program was compiled against headers of number %u, this library knows 1 "
			"to %u: use a newer library",
			given->abi, PEAL_ABI);
	for (uint32_t i = SIZE_VERSION_1; i < given->size; i++)
		if (bytes[i])
			return error_set(
				-EOPNOTSUPP,
				"the option at offset %u is newer than this library: use a newer one",
				i);
	for (unsigned i = 0; i < sizeof(given->spare) / sizeof(given->spare[0]); i++)
		if (given->spare[i])
			return error_set(-EOPNOTSUPP,
					 "options->spare[%u] is not 0: no such option here", i);
	if (given->flags & ~FLAGS)
		return error_set(-EOPNOTSUPP, "options->flags has unknown bits: 0x%x",
				 given->flags & ~FLAGS);
	return 0;
}

static int check_values(const struct peal_options *options)
{
	uint64_t page = runtime_get()->page_size;

	if (options->ring < page || options->ring > CAPACITY_MAX)
		return error_set(-ERANGE,
				 "a ring of %llu bytes is out of range: %llu to %llu are possible",
				 (unsigned long long)options->ring, (unsigned long long)page,
				 (unsigned long long)CAPACITY_MAX);
	if (options->ring & (options->ring - 1))
		return error_set(
			-EINVAL,
			"a ring of %llu bytes is not a power of two: the next larger is %llu",
			(unsigned long long)options->ring,
			1ull << (64 - __builtin_clzll(options->ring)));
	if (options->wait > PEAL_WAIT_SLEEP)
		return error_set(-EINVAL, "options->wait is %u: 0 adaptive, 1 spin, 2 sleep",
				 options->wait);
	if (options->spin_ns > 1000000000u)
		return error_set(-EINVAL, "options->spin_ns is %llu: at most 1000000000",
				 (unsigned long long)options->spin_ns);
	if (options->barrier > PEAL_BARRIER_ASYMMETRIC)
		return error_set(-EINVAL, "options->barrier is %u: 0 auto, 1 fence, 2 asymmetric",
				 options->barrier);
	if (options->bell > PEAL_BELL_SOCKET)
		return error_set(-EINVAL, "options->bell is %u: 0 auto, 1 eventfd, 2 socket",
				 options->bell);
	if (options->allow > PEAL_ALLOW_ANYONE)
		return error_set(-EINVAL, "options->allow is %u: 0 user, 1 group, 2 anyone",
				 options->allow);
	if (options->mode > 0777)
		return error_set(-EINVAL, "options->mode is 0%o: permission bits up to 0777",
				 options->mode);
	if (options->backlog > INT32_MAX)
		return error_set(-EINVAL, "options->backlog is %u: at most %d", options->backlog,
				 INT32_MAX);
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
	if (!options->name)
		options->name = platform_program();
	return check_values(options);
}

uint64_t options_largest(const struct peal_options *options, uint64_t capacity)
{
	uint64_t fits = capacity - RECORD_OVERHEAD;

	return options->max_message && options->max_message < fits ? options->max_message : fits;
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

int address_check(const char *address)
{
	if (!address || !*address)
		return error_literal(-EINVAL, "the address is empty: pass the path of a socket");
	if (!strchr(address, '/'))
		return error_set(-EINVAL,
				 "the address \"%.64s\" has no slash: pass a path, like ./%.64s",
				 address, address);
	if (strlen(address) > ADDRESS_MAX)
		return error_set(
			-ENAMETOOLONG,
			"the address has %zu bytes, a socket's path at most %d: use a shorter folder",
			strlen(address), ADDRESS_MAX);
	return 0;
}
