/*
 * SPDX-License-Identifier: MIT
 *
 * A link from the inside: the two ends, what each keeps for waiting, and what both share.
 */
#ifndef LIB_LINK_H
#define LIB_LINK_H

#include <stdbool.h>

#include <peal/link.h>
#include <peal/options.h>
#include <peal/ring.h>

#include "lib/registry.h"
#include "lib/runtime.h"
#include "lib/segment.h"
#include "lib/spin.h"
#include "lib/stats.h"

/*
 * What an end keeps for sleeping: private to the thread that uses the end. The data bell is the
 * rx's, the room bell the tx's.
 */
struct bell {
	uint32_t *asleep;     /* on our page: I sleep */
	uint64_t *wants;      /* on our page: until this much room; NULL at the data bell */
	const uint32_t *wake; /* on the peer's page: counts its rings */
	struct peal_counters *counters;
	const uint64_t *rung_ns;      /* beside it, when; hostile, and only for estimates */
	const uint32_t *acknowledged; /* and for which asleep value */
	uint32_t word;                /* what *asleep says while awake: epoch and modes */
	bool armed;           /* *asleep says that we sleep, while our descriptor is waited for */
	bool unacknowledged;  /* the ringer may not know yet that the word asks for fences */
	uint32_t fence_since; /* the first one that was armed so */
	uint64_t spin_ns; /* how long to spin before sleeping, at most; UINT64_MAX: never sleep */
	struct spin spin; /* and whether to */
	uint64_t first_slice; /* ns of the first sleep that goes unrung; doubles */
	uint64_t breath;      /* ticks of the pause before a wait in a stream, at least */
	uint64_t breath_most; /* and at most */
	uint64_t messages;    /* counted when the last wait began */
	uint64_t look_at;     /* monotonic ns of the next look at the socket */
	uint64_t end;         /* monotonic ns at which the last wait would have ended */
	uint64_t depth;       /* what the counters say was found in the ring */
	uint64_t depth_at;    /* monotonic ns from which on that may be looked at again */
	uint64_t stalled;     /* since then it waits for room, though not in a verb; 0: no */

	/* Of so many sleeps one is measured; 0: none is. */
	uint64_t sample;
	uint64_t sample_in; /* the next one is this many away, 1: the next; 0: none is measured */
	uint64_t since;     /* one by a set is being measured, from then on (monotonic ns); 0: no */
	struct peal_offcpu *offcpu;

	/* The data bell's barrier. */
	bool asymmetric;     /* may be: the peer's process is registered, and nobody forbade it */
	bool always;         /* asymmetric as long as it can be had */
	uint64_t slept_at;   /* messages counted at the last sleep */
	uint64_t per_sleep;  /* messages between two sleeps */
	uint64_t barrier_ns; /* what a membarrier costs */
};

/* What the tx keeps for messages longer than a record. */
struct cut {
	uint64_t longest;      /* message that the peer accepts */
	uint64_t length, sent; /* of the message of peal_send_part that is under way */
	uint32_t tag;
};

/* And the rx. */
struct join {
	uint8_t *at;          /* address space for parts, set aside; NULL: none */
	uint64_t size;        /* of it, in whole pages */
	uint64_t ready;       /* so much of it may be written */
	uint64_t most;        /* longest message accepted; 0: none longer than a record */
	uint64_t below;       /* what rx.below is while no message is under way */
	uint64_t total;       /* of the message under way; 0: none is */
	uint64_t have;        /* of it */
	uint64_t used;        /* bytes of it that were written; 0: it has no memory behind it */
	uint32_t tag;         /* of the message under way */
	uint32_t vain;        /* ABANDONs without a part */
	bool refused;         /* the last verb told that it cannot take a long message */
	bool unwanted;        /* the one under way was released so: the rest is dropped */
	uint64_t deadline;    /* monotonic ns, of the wait that found the record at */
	uint64_t deadline_at; /* this position; 0: none */
};

/* What the rx keeps for long payloads, and which way of writing them it would have. See bulk.h. */
#define BULK_BURST 7

enum bulk_phase {
	BULK_RESTS,  /* the way that was found */
	BULK_PROBES, /* a piece of a lap of the other one */
	BULK_TRIES   /* a lap of it, and a burst */
};

struct bulk {
	uint64_t rest;              /* bytes until payloads are timed again; UINT64_MAX: never */
	uint64_t known[2];          /* what a KiB cost in the last burst, by way; 0: unknown */
	uint64_t found[BULK_BURST]; /* and the rx so far in this one */
	uint32_t count;             /* of them */
	uint32_t way;               /* what was asked for: 0 or PEAL_BULK_AROUND */
	uint32_t bursts;            /* until the other way is tried again, */
	uint32_t patience;          /* of so many */
	uint32_t unusual;           /* bursts in a row that told that cores have moved apart */
	enum bulk_phase phase;
	uint64_t tried_at; /* position where the last try or probe began */
};

/* What the rx keeps about lines that it has read. See evict.h. */
#define EVICT_LAPS 3

struct evict {
	uint64_t done;             /* lines before this position have left, or stay */
	uint64_t end;              /* of the lap; UINT64_MAX: laps do not matter */
	uint64_t since;            /* ticks, when it began */
	uint64_t laps[EVICT_LAPS]; /* ticks, the last laps, the latest first */
	uint64_t usual;            /* ticks, the quickest of the laps before the last trial */
	uint64_t copied;           /* bytes of this lap that were long payloads */
	uint32_t rest;             /* laps until the next trial, */
	uint32_t patience;         /* of so many */
	uint32_t trial;            /* laps that are left of this one; 0: it is none */
	uint32_t unusual;          /* laps in a row that are not like the usual ones */
	bool steady;               /* the laps before the trial were */
	bool on;                   /* lines leave */
};

struct peal_link {
	struct peal_tx tx __attribute__((aligned(PEAL_LINE)));
	struct bell room;
	uint64_t last_head; /* of the peer's, as last believed */
	int tx_verdict;     /* 0, or the errno that every further send gets */
	struct cut cut;
	uint64_t room_want; /* the head at which the last reservation that found no room has it */
	uint32_t call_tag;  /* of the last peal_call */
	uint32_t bulk_how;  /* enum runtime_bulk */
	uint32_t bulk_cost[2]; /* of writing a KiB of a long payload, in ticks, by way */
	uint32_t bulk_way;     /* of the last one that was timed */
	uint64_t bulk_untimed; /* bytes of long payloads since then */

	struct peal_rx rx __attribute__((aligned(PEAL_LINE)));
	struct bell data;
	int rx_verdict;
	struct join join;
	struct bulk bulk;
	struct evict evict;

	/* Set when the link is made. What a wait by descriptor and a ring need is side by side. */
	const struct peal_ring_ops *ring __attribute__((aligned(PEAL_LINE)));
	const struct peal_waiter_ops *waiter;
	struct peal_page *page;            /* our control page */
	const struct peal_page *peer_page; /* the peer's, hostile */
	int fd;                            /* the control socket; -1: none */
	int own_eventfd;                   /* that the peer rings, and we only poll; -1: none */
	int peer_eventfd;                  /* that we ring, since we trust the peer; -1: none */
	bool one_thread;                   /* one thread uses both ends */
	bool shared;                       /* the peer is another process */
	bool calls;                        /* the program takes control records of calls */
	struct pair *pair; /* what the two ends of peal_pair share; NULL for others */

	/* Either thread may find out (atomic). */
	bool hung_up;    /* the socket was seen at its end */
	bool shut_down;  /* on both sides, too; for its set's thread */
	int broken;      /* the peer lied */
	uint64_t closed; /* what the peer's `closed` was when it was first seen not to be 0 */

	/* Waiting by descriptor: of the one thread that does. */
	int poller;           /* the socket and own_eventfd; -1: not needed so far */
	struct peal_set *set; /* that it is in; NULL: none */
	uint32_t in_set;      /* 1 + its index there */
	struct peal_link *doubted_next, *doubted_last; /* of those that sleep there, in doubt */
	uint64_t doubt_ends; /* monotonic ns of its second look; 0: it is in no doubt */
	uint64_t set_limit;  /* tx.limit, which is 0 while it sleeps there */
	uint32_t owed;       /* times that it was armed since the socket was found empty */
	uint32_t idle_rings; /* bells without news since the last one with */
	uint64_t moved;      /* how far both rings had got then */

	/* Set when the link is made. */
	struct handle handle;
	struct segment own, theirs;
	struct stats_slot *slot;
	struct peal_peer peer;
	struct peal_agreed agreed;

	bool stale; /* a child of a fork has this copy */
};

struct pair {
	int ends; /* still open (atomic) */
};

/* What makes a link. */
struct link_plan {
	struct segment own, theirs;    /* the link's from here on */
	int fd;                        /* likewise */
	int own_eventfd, peer_eventfd; /* likewise; -1: none */
	bool registered;               /* the peer's process, for our barriers */
	bool peer_rings_eventfd;       /* if it is given one */
	uint32_t role;                 /* an enum peal_role */
	struct pair *pair;
	uint64_t tx_largest, rx_largest; /* of one record */
	uint64_t tx_longest; /* of messages in fragments; if not more than of one record: none */
	struct join join;    /* likewise; the link's from here on */
	struct peal_peer peer;
	/* What the peer said of itself, and whether we said that we are registered. */
	uint32_t protocol, layout, peer_abi, peer_wait;
	bool peer_fragments, peer_calls, said_registered;
};

/* Makes a link of a plan; -ENOMEM leaves the plan's things to the caller. */
int link_create(struct peal_link **link, const struct link_plan *plan,
		const struct peal_options *options);

/* Every further peek comes to the slow way. By the rx's thread. */
void link_end_receiving(struct peal_link *link);

/* The peer lied: ends the link for both sides and returns -EPROTO with its sentence. */
int link_broken(struct peal_link *link, const char *lie, ...) __attribute__((format(printf, 2, 3)));

/*
 * Whether the peer has gone: 0 while it lives, -EPIPE if it closed, -ECONNRESET if it died, -EPROTO
 * if it lied. look: ask the socket too, which enters the kernel.
 */
int link_verdict(struct peal_link *link, bool look);

/* The same by what is known of it already, without a look at the peer's memory. */
int link_known_verdict(struct peal_link *link);

/* What the peer says of having closed: 0 while it has not, then the first thing it said; see struct
 * peal_page. */
uint64_t link_closed(struct peal_link *link);

/* By descriptor (descriptor.c): whether that can be done, waiting, and taking note of a ring, or of
 * all so far. */
bool link_can_poll(struct peal_link *link);
int link_poll(struct peal_link *link, int64_t ns);
void link_drain(struct peal_link *link, bool all);

/* The socket is known to be at its end; shut_down: on both sides. */
void link_note_end(struct peal_link *link, bool shut_down);

/* The sentence of a verdict. */
int link_say_verdict(struct peal_link *link, int verdict);

#endif
