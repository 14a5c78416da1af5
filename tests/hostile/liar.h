/*
 * SPDX-License-Identifier: MIT
 *
 * What the liar (liar.c, a process that speaks the wire by hand) and the tests that it lies to say
 * to each other: orders, on a socket that is the liar's standard input, and its answers.
 */
#ifndef TESTS_HOSTILE_LIAR_H
#define TESTS_HOSTILE_LIAR_H

#include <stddef.h>
#include <stdint.h>

enum order_verb {
	ORDER_OPEN = 1, /* link; as a server it first answers that it listens */
	ORDER_LIE = 2,  /* the lie of this name, number times */
	ORDER_SAY = 3,  /* a truthful message of number bytes; result: 1, or 0: no room */
	ORDER_HEAR = 4, /* consumes what has come; result: messages */
	ORDER_CALM = 5, /* no word flickers any more */
	ORDER_DROP = 6, /* lets go of the link, without a word */
	ORDER_PLAY = 7  /* all at random, of the seed number: see liar.c */
};

enum order_role { AS_CLIENT = 1, AS_SERVER = 2 };

/* What the victim is, and so what its messages and ours are. */
enum order_style {
	STYLE_STREAM = 0,   /* a link: each side numbers its own messages by their tags */
	STYLE_REQUESTS = 1, /* a server: ours are requests, and it replies */
	STYLE_REPLIES = 2   /* a client: its are requests, and we reply */
};

struct order {
	uint32_t verb, role, style, spare;
	uint64_t number;
	char name[64];
	char path[108];
};

/* Lies that were told, as far as anybody has to find them out. */
enum lied {
	LIED_IN_RING = 1,   /* who receives finds it */
	LIED_IN_HEAD = 2,   /* who sends until the ring is full finds it */
	LIED_BY_SOCKET = 4, /* who waits by descriptor may find it */
	LIED_CLOSED = 8,    /* it says that it has closed */
	LIED_GONE = 16,     /* its socket is shut, or closed */
	LIED_NOISE = 32     /* it may be found out or not */
};

struct told {
	int64_t result;
	uint32_t lied;         /* of enum lied; 0: nothing that does any harm */
	uint32_t over;         /* play: 0: it has lied its fill; 1: and has let go of the link */
	uint64_t said;         /* truthful messages, */
	uint64_t heard, wrong; /* those that came, and those that were not what they must be */
	uint64_t finale;       /* the victim's last message has come */
};

/* The tag of each side's last message. */
#define FINALE UINT32_C(0xf1a1e)

/* How long the message of a tag is, and its bytes. */
static inline size_t message_length(uint32_t tag)
{
	uint32_t mix = tag * UINT32_C(2654435761);

	return mix >> 24 < 200 ? (mix >> 8) % 200 : mix >> 24 < 250 ? (mix >> 8) % 2000 : 0;
}

static inline uint8_t message_byte(uint32_t tag, size_t i)
{
	return (uint8_t)(tag * 151 + (tag >> 8) + i * 7);
}

static inline int message_is_whole(uint32_t tag, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	unsigned differ = length != message_length(tag);

	for (size_t i = 0; i < length; i++)
		differ |= (unsigned)(bytes[i] ^ message_byte(tag, i));
	return !differ;
}

#endif
