/*
 * SPDX-License-Identifier: MIT
 *
 * The handshake: one message each way over the control socket, and what both sides check in it.
 */
#ifndef LIB_HANDSHAKE_H
#define LIB_HANDSHAKE_H

#include <stddef.h>

#include "lib/link.h"

/* "PEAL" */
#define WIRE_MAGIC 0x4c414550u

/* Protocol versions and shared layouts that this library speaks. */
#define WIRE_VERSION_LOW 1
#define WIRE_VERSION_HIGH 1
#define WIRE_LAYOUT_LOW 1
#define WIRE_LAYOUT_HIGH 1

enum wire_type { WIRE_HELLO = 1, WIRE_WELCOME = 2, WIRE_REFUSE = 3 };

/* What a client wants to be. */
enum wire_kind { WIRE_LINK = 1, WIRE_MONITOR = 2 };

/* What each of the descriptors is that come along. */
enum wire_descriptor {
	WIRE_NONE = 0,
	WIRE_SEGMENT = 1, /* the control page, and the data area unless that is apart */
	WIRE_DATA = 2,    /* the data area, apart, after the segment */
	WIRE_EVENTFD = 3,
	WIRE_STATS = 4 /* to monitors */
};

/* Feature bits. Offered by one side they are in force only if the other side offers them too; what
 * is needed and not offered is a reason to refuse. */
#define WIRE_TRUSTS_EVENTFD ((uint64_t)1 << 0) /* the sender rings an eventfd, if given one */
#define WIRE_UNSEALED ((uint64_t)1 << 1)       /* unsealed memory will do */
#define WIRE_MEMBARRIER ((uint64_t)1 << 2)     /* the sender's process is registered */
#define WIRE_FRAGMENTS ((uint64_t)1 << 3)      /* messages longer than a record */
#define WIRE_CALLS ((uint64_t)1 << 4)          /* the sender takes control records of calls */
#define WIRE_SOCKET_BELL ((uint64_t)1 << 5)    /* the sender may be rung by a byte on the socket */

/* What the other side may need of us, besides what our options bring along. */
#define WIRE_OFFERED (WIRE_FRAGMENTS | WIRE_MEMBARRIER | WIRE_SOCKET_BELL)

/*
 * HELLO (client), then WELCOME or REFUSE (server). One struct for all. Written by: the sender.
 * Read by: the receiver, once, which must check every field that it uses. magic to version_high
 * never change their place in any version.
 */
struct wire_message {
	uint32_t magic;
	uint16_t type;         /* an enum wire_type */
	uint16_t kind;         /* an enum wire_kind */
	uint16_t version_low;  /* HELLO, REFUSE: the range that the sender speaks; */
	uint16_t version_high; /* WELCOME: both the version chosen */
	uint16_t layout_low;   /* likewise, of the shared layout */
	uint16_t layout_high;
	uint32_t abi;          /* PEAL_ABI of the sender's program */
	uint32_t code;         /* REFUSE: an errno value of Linux */
	uint64_t features;     /* offered */
	uint64_t needed;       /* of the other side's features */
	uint64_t page;         /* of the control page; the data area is behind it or apart */
	uint64_t capacity;     /* its bytes */
	uint64_t max_message;  /* longest message that the sender accepts */
	uint32_t wait;         /* an enum peal_wait */
	uint32_t descriptors;  /* how many follow */
	uint8_t descriptor[8]; /* what each is */
	uint64_t start;        /* position of the first record in its ring */
	uint64_t data_page;    /* the data area's pages: of the size of page, or huge ones */
	/* Of monitors; else zero. In HELLO with which object of counters, of which the oldest has
	 * 0, the ones that come along are to begin. In WELCOME with which they do, and how many
	 * there are in all, when the first was made (monotonic ns), the bytes of each that comes
	 * along, and what the sender's clock says as it answers; 0: not told. */
	uint64_t stats_first;
	uint64_t stats_objects;
	uint64_t stats_started;
	uint64_t stats_now;
	char name[64];  /* what the sender calls itself, terminated */
	char text[256]; /* REFUSE: a sentence, terminated */
	uint64_t stats_size[PLATFORM_DESCRIPTORS];
	uint8_t spare_end[24];
};

/* Of a message of this kind what is the same in all, with what the sender calls itself. */
void wire_begin(struct wire_message *message, enum wire_type type, enum wire_kind kind,
		const struct peal_options *options);

/* What we say of ourselves, in a message of this type, and the parcel that goes with it: the plan's
 * own segment, and an eventfd for the peer to ring, which goes into the plan too, if it is to have
 * one. They stay the plan's. */
void wire_fill(struct wire_message *message, enum wire_type type,
	       const struct peal_options *options, uint64_t rx_largest, struct link_plan *plan,
	       struct platform_parcel *parcel);

/* Whether these options let us ring a peer's eventfd. */
bool wire_trusts(const struct peal_options *options, enum wire_type our);

/* A refusal with its reason, an errno and a sentence. Sent as far as possible without waiting. */
void wire_refuse(int fd, int err, const char *sentence);

/*
 * Whether a message of so many bytes is Peal's and of a version that we speak: 0, -EPROTOTYPE or
 * -EPROTONOSUPPORT.
 */
int wire_check_version(const struct wire_message *message, int64_t length);

/* Checks what the other side says of its memory against our limits and adopts it; plan->theirs,
 * plan->join and the lengths are filled in. What was proved is closed, an eventfd that we shall
 * ring the plan's; other descriptors stay in the parcel. */
int wire_adopt(const struct wire_message *message, struct platform_parcel *parcel,
	       const struct peal_options *options, struct link_plan *plan);

/* Whether one with these credentials passes the options' allow and group; fd: its socket, asked
 * about supplementary groups; -1: those do not count. As wire_is_own. */
int wire_allows(const struct peal_options *options, const struct platform_credentials *who, int fd);

/* Whether they are those of our own effective user, or of root: 1, 0, or, with its sentence, the
 * errno that it cannot be told for: -EMFILE, -ENFILE or -ENOMEM, or else -EPERM. */
int wire_is_own(const struct platform_credentials *who);

/* Closes, aside, what a stranger sent. */
void wire_close_parcel(struct platform_parcel *parcel);

#endif
