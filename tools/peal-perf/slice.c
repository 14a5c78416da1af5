/*
 * SPDX-License-Identifier: MIT
 *
 * Slices: what is off the measured way, when a message was not the expected one.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "complaint.h"
#include "slice.h"

int slice_judge(const void *payload, size_t size, uint64_t sequence)
{
	const uint8_t *from = payload;
	uint64_t expected = sequence * PAYLOAD_STEP;
	size_t at = 0;

	if (!payload)
		return complain(-EBADMSG, "the answer to message %" PRIu64 " was a stop", sequence);
	if (payload_right(payload, size, PAYLOAD_STOP))
		return SLICE_STOP;
	/* The first word that is wrong, or what there is of it. */
	for (; at < size; at += 8, expected++) {
		size_t length = size - at < 8 ? size - at : 8;
		uint64_t found = 0;

		memcpy(&found, from + at, length);
		if (found != (expected & payload_mask(length)))
			return complain(-EBADMSG,
					"message %" PRIu64
					" is not what was sent: at byte %zu it has %#" PRIx64
					", not %#" PRIx64,
					sequence, at, found, expected & payload_mask(length));
	}
	return complain(-EBADMSG, "message %" PRIu64 " changed while it was checked", sequence);
}

int slice_wrong_size(size_t expected, size_t found)
{
	return complain(-EMSGSIZE, "a message of %zu bytes came, expected %zu", found, expected);
}
