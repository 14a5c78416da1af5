/*
 * SPDX-License-Identifier: MIT
 *
 * The options of peal_listen, peal_connect and peal_pair: one struct, in which zero always means
 * the default. It carries its size and the number of the header it was compiled against, so that
 * programs and libraries of different versions understand each other.
 */
#ifndef PEAL_OPTIONS_H
#define PEAL_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The number of these headers: of all that is inline in them, and of the shared layout. */
#define PEAL_ABI 1

/* How a thread waits on its ends of a link. */
enum peal_wait {
	PEAL_WAIT_ADAPTIVE = 0, /* spin for a while, then sleep */
	PEAL_WAIT_SPIN = 1,     /* never sleep: lowest latency, a CPU for each waiting thread */
	PEAL_WAIT_SLEEP = 2     /* sleep at once: least CPU */
};

/* Which side pays for the barrier that sleeping needs. */
enum peal_barrier {
	/* By what each ring has seen: fence, or asymmetric for streams. A process that had threads
	 * before its first link stays with the fence. */
	PEAL_BARRIER_AUTO = 0,
	/* The peer, with a fence in each message that it sends us; and this side likewise. */
	PEAL_BARRIER_FENCE = 1,
	/* This side, with a membarrier in each sleep, and a second look at the ring after 1 ms of
	 * it. Fence where the peer has not registered for it; and, here as with auto, for good once
	 * the program has waited for data by peal_link_arm or peal_set_arm, since it has no second
	 * look. Registering a process that has threads takes some 10 ms, once. */
	PEAL_BARRIER_ASYMMETRIC = 2
};

/* By which descriptor the peer rings this side when it waits by descriptor. */
enum peal_bell {
	/* Servers: an eventfd, if the client trusts them, as it does by default; clients: the
	 * socket. */
	PEAL_BELL_AUTO = 0,
	/* An eventfd, if the peer trusts us; else the socket. */
	PEAL_BELL_EVENTFD = 1,
	/* A byte on the socket: one descriptor less, and slower. */
	PEAL_BELL_SOCKET = 2
};

/* Whom a server admits, and whom a client accepts as its server. Root is always admitted. */
enum peal_allow {
	/* The same effective user; a user that has no number here is nobody's same. */
	PEAL_ALLOW_USER = 0,
	/* Also who has the group in options.group: a client as its own or a supplementary one, a
	 * server as its own. */
	PEAL_ALLOW_GROUP = 1,
	/* Also everybody else. */
	PEAL_ALLOW_ANYONE = 2
};

/* What pages the ring that this side sends into is to have. The peer's ring has what the peer asks
 * for. */
enum peal_huge {
	/* Plain ones; transparent huge ones in a ring of 2 MiB or more, where the system gives
	 * them to shared memory. PEAL_HUGEPAGES, in the environment, says something else. */
	PEAL_HUGE_AUTO = 0,
	/* Plain ones. */
	PEAL_HUGE_OFF = 1,
	/* Huge ones of the system's pool (hugetlb); where those are not to be had, or the ring is
	 * shorter than one, as PEAL_HUGE_AUTO: peal_link_memory tells. */
	PEAL_HUGE_TRY = 2,
	/* Huge ones of the system's pool, or no link (-ENOMEM). */
	PEAL_HUGE_REQUIRE = 3
};

/* Bits of peal_options.flags. */
enum peal_flag {
	/* Touch all memory of a link when it is made, not when it is first used. */
	PEAL_PREFAULT = 1,
	/* One thread uses both ends: a batch is published before it waits for the peer's
	 * messages. */
	PEAL_ONE_THREAD = 2,
	/* Ring the peer by an eventfd that it hands over, although a hostile one can make us wait
	 * in that. Clients do so in any case, unless they are told not to by the other one. */
	PEAL_TRUST_PEER = 4,
	PEAL_DISTRUST_PEER = 8,
	/* Lock the memory of both rings, so that it is never swapped out: -ENOMEM where the limit
	 * of locked memory (RLIMIT_MEMLOCK) is less than that needs, the size of each ring and a
	 * page. Huge pages of the pool do not count; what the peer's ring may take of the limit,
	 * max_peer_ring says. */
	PEAL_LOCK = 16,
	/* The program knows of calls: errors and cancels of the peer's are handed out to it, as
	 * peal/call.h says. */
	PEAL_CALLS = 32
};

/* The other side of a link. */
struct peal_peer {
	int64_t pid;  /* 0: not visible from this process's namespace */
	uint32_t uid; /* as the kernel vouches for it */
	uint32_t gid;
	char name[64]; /* what the peer calls itself: printable, terminated, not to be trusted */
};

/* How a link is made, and whom with. */
struct peal_options {
	uint32_t size; /* sizeof(struct peal_options); set by peal_options_init */
	uint32_t abi;  /* PEAL_ABI; set by peal_options_init */

	/* Bytes of the ring that this side sends into. A power of two, from the page size to 1 GiB;
	 * 0: 64 KiB. One message is at most this less 16 (and 256 MiB less 16), unless the peer
	 * accepts longer ones. */
	uint64_t ring;

	/* The largest ring that this side accepts from its peer, in bytes; 0: 64 MiB. */
	uint64_t max_peer_ring;

	/* The largest message that this side accepts, in bytes, up to 64 GiB. What is longer than a
	 * record of the peer's ring (that ring less 16) comes in fragments; so much address space
	 * is set aside for them, and has memory behind it only while a part of a message is kept.
	 * 0: a client 64 MiB, or max_peer_ring (of which at most 256 MiB count) if that is more; a
	 * server and a pair whatever fits one record. */
	uint64_t max_message;

	/* An enum peal_wait. */
	uint32_t wait;

	/* Any of enum peal_flag. */
	uint32_t flags;

	/* Nanoseconds that PEAL_WAIT_ADAPTIVE spins before it sleeps, at most, up to 1 s; 0: what
	 * PEAL_SPIN_NS or the runtime says. A ring on which spinning has lately been in vain sleeps
	 * at once until that changes. */
	uint64_t spin_ns;

	/* What the peer is told that this side is called; NULL: the program's name. At most 63
	 * bytes are sent. Not kept after the call. */
	const char *name;

	/* An enum peal_allow, and its group. */
	uint32_t allow;
	uint32_t group;

	/* Servers: asked about everyone whom `allow` does not admit; 0 refuses, else admitted.
	 * Called inside peal_accept, before anything of the client has been received (its name is
	 * empty). */
	int (*admit)(void *admit_data, const struct peal_peer *peer);
	void *admit_data;

	/* Servers: permission bits of the socket; 0: 0600. Of addresses that have a lock file; see
	 * peal/link.h. */
	uint32_t mode;

	/* Servers: how many clients may queue unseen; 0: 1024. The system's somaxconn limits it. */
	uint32_t backlog;

	/* Servers: nanoseconds that a client has for its handshake; 0: 1 s. */
	uint64_t handshake_ns;

	/* An enum peal_barrier, and an enum peal_bell. */
	uint32_t barrier;
	uint32_t bell;

	/* An enum peal_huge; and for PEAL_HUGE_TRY and PEAL_HUGE_REQUIRE the bytes of a huge page,
	 * a power of two of which the system has a pool; 0: 2 MiB (where plain pages have 4 KiB;
	 * else the size of transparent ones). With PEAL_HUGE_REQUIRE a ring is one page or more;
	 * one of 1 GiB must be accepted by the peer, in max_peer_ring. */
	uint32_t huge;

	/* 1 + the number of the NUMA node that the ring which this side sends into is to be on, up
	 * to 1024; 0: that of the CPU on which it is made, mostly. Where that node has no memory
	 * left, or there is none, another is taken: peal_link_memory tells. */
	uint32_t node;

	/* See huge. */
	uint64_t huge_size;

	/* Servers: the group that the socket is given; 0: none, so it has what the system
	 * gives new files. A user must be in the group (-EPERM), root need not. Whether the members
	 * are admitted is up to `mode` and `allow`. */
	uint64_t socket_group;

	/* Of how many waits that sleep one is measured, for struct peal_offcpu, which a program
	 * (peal_link_offcpu) and monitors can read: 1: each; 0: what PEAL_SAMPLE says, or none. */
	uint64_t sample;

	uint64_t spare[11]; /* zero */
};

/* Sets all options to their defaults. Cannot fail. Any thread; never enters the kernel. */
static inline void peal_options_init(struct peal_options *options)
{
	memset(options, 0, sizeof(*options));
	options->size = (uint32_t)sizeof(*options);
	options->abi = PEAL_ABI;
}

#ifdef __cplusplus
}
#endif

#endif
