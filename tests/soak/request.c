/*
 * SPDX-License-Identifier: MIT
 *
 * Requests and answers; see request.h.
 */
#include "config.h"

#include <string.h>

#include "tests/soak/board.h"
#include "tests/soak/message.h"
#include "tests/soak/request.h"

void reply_make(void *at, const struct ask *ask, uint64_t part)
{
	struct reply reply = {
		.magic = MAGIC, .seed = ask->seed, .number = ask->number, .part = part
	};

	memcpy(at, &reply, sizeof(reply));
	fill((uint8_t *)at + sizeof(reply), ~ask->seed, ask->number * PARTS + part,
	     ask->want - sizeof(reply));
}

void reply_check(const void *data, size_t length, const struct ask *ask, uint64_t part)
{
	struct reply reply;

	if (length != ask->want)
		wrong("an answer of %zu bytes, not %llu", length, (unsigned long long)ask->want);
	memcpy(&reply, data, sizeof(reply));
	if (reply.magic != MAGIC || reply.seed != ask->seed || reply.number != ask->number ||
	    reply.part != part)
		wrong("part %llu of the answer to call %llu in place of part %llu of that to %llu",
		      (unsigned long long)reply.part, (unsigned long long)reply.number,
		      (unsigned long long)part, (unsigned long long)ask->number);
	if (!is_filled((const uint8_t *)data + sizeof(reply), ~ask->seed,
		       ask->number * PARTS + part, length - sizeof(reply)))
		wrong("an answer of %zu bytes is not as it was sent", length);
}
