/*
 * SPDX-License-Identifier: MIT
 *
 * The wire by hand: the handshake, the shared page and the ring, written down anew from
 * docs/design.md, with no header of the library and nothing of its code. So a peer that is made of
 * this may say whatever it likes, and that it gets on with the library at all proves the layout
 * once more. What is here by itself is truthful.
 */
#ifndef TESTS_HOSTILE_WIRE_H
#define TESTS_HOSTILE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the words of a control page are. */
enum wire_word {
	AT_HEAD = 128, /* 64 bits */
	AT_RX_ASLEEP = 256,
	AT_RX_BULK = 260,
	AT_ROOM_WAKE = 384,
	AT_ROOM_ACKNOWLEDGED = 388,
	AT_ROOM_RUNG_NS = 392, /* 64 bits */
	AT_TX_ASLEEP = 512,
	AT_TX_WANTS = 520, /* 64 bits */
	AT_TX_BULK = 528,
	AT_TX_BULK_AROUND = 532,
	AT_DATA_WAKE = 640,
	AT_DATA_ACKNOWLEDGED = 644,
	AT_DATA_RUNG_NS = 648, /* 64 bits */
	AT_CLOSED = 768        /* 64 bits */
};

/* Of a header. */
#define LENGTH UINT32_C(0x0fffffff)
#define MORE UINT32_C(0x10000000)
#define CONTROL UINT32_C(0x20000000)
#define LAST UINT32_C(0x40000000)
#define RESERVED UINT32_C(0x80000000)

/* Of an asleep word. */
#define ASLEEP UINT32_C(1)
#define BY_DESCRIPTOR UINT32_C(2)
#define MUST_FENCE UINT32_C(4)

/* Features. */
#define TRUSTS_EVENTFD UINT64_C(1)
#define MEMBARRIER UINT64_C(4)
#define FRAGMENTS UINT64_C(8)
#define CALLS UINT64_C(16)
#define SOCKET_BELL UINT64_C(32)

/* What a side says of itself. */
struct wire_wish {
	uint64_t capacity, start, features, max_message;
	uint32_t wait;
	bool eventfd; /* hands one over */
};

struct wire {
	int fd;
	int own_bell, their_bell; /* eventfds: that the peer rings, and that we do; -1: none */
	uint8_t *own;             /* our page and data, mapped twice; NULL: not linked */
	uint8_t *theirs;          /* the peer's, read-only */
	uint64_t page, own_capacity, their_capacity;
	uint64_t start;     /* of our ring */
	uint64_t pos, read; /* where our next record goes, and where the peer's next one is */
	uint64_t offered;   /* by us: features; */
	uint64_t features;  /* and by the peer, */
	uint64_t their_max; /* with the longest message that it accepts */
	uint32_t rung_for, room_rung_for; /* asleep words: once for each */
};

/* Links with a server, or with the next client of a listening socket. False: it did not come
 * about. */
bool wire_connect(struct wire *wire, const char *path, const struct wire_wish *wish);
bool wire_accept(struct wire *wire, int listening, const struct wire_wish *wish);

/* A listening socket at a path, which anybody may connect to. */
int wire_listen(const char *path);

/* Lets go of everything, without a word. */
void wire_drop(struct wire *wire);

/* Whether the peer has hung up, or closed. */
bool wire_is_over(const struct wire *wire);

/* Words of our page. */
void wire_put32(struct wire *wire, enum wire_word at, uint32_t value);
void wire_put64(struct wire *wire, enum wire_word at, uint64_t value);

/* Our next header, without a look at anything. */
void wire_show(struct wire *wire, uint64_t header);

/* Where the payload of our next record goes. */
uint8_t *wire_payload(const struct wire *wire);

/* Whether there is room for a record; and one, if there is. Wakes the peer. */
bool wire_has_room(const struct wire *wire, uint64_t length);
bool wire_say(struct wire *wire, uint32_t flags, uint32_t tag, const void *data, uint64_t length);

/* Rings the peer's bells, if it sleeps; or in any case. */
void wire_ring_data(struct wire *wire);
void wire_ring_room(struct wire *wire);
void wire_ring_anyway(struct wire *wire);

/* The peer's next record, in place: its length is -1 if there is none. wire_consume gives it
 * back. */
struct wire_record {
	uint32_t flags, tag;
	int64_t length;
	const uint8_t *data;
};
struct wire_record wire_hear(const struct wire *wire);
void wire_consume(struct wire *wire, const struct wire_record *record);

/* One datagram, with so many copies of a descriptor. False: it does not fit. */
bool wire_datagram(int fd, const void *data, size_t size, int descriptor, int copies);

#endif
