/*
 * SPDX-License-Identifier: MIT
 *
 * Monitors: looking at the counters of another process's links, without disturbing it. Every
 * process keeps its counters in sealed shared memory that it alone can write (peal/stats.h); one
 * who listens hands that memory, to read, to its own user and to root, whoever else it admits. A
 * look costs the process nothing. It knows nothing of what is shown where.
 *
 * The trust model: everything that is read may be a lie, about the process that says it. What is
 * handed over was proved to be sealed memory of the right size, so that reading it cannot fail,
 * and every number here is one that was read once.
 *
 * Threads: a monitor may be used by one thread at a time. After a fork it is the parent's; the
 * child's copy answers -ESTALE and may be closed.
 */
#ifndef PEAL_MONITOR_H
#define PEAL_MONITOR_H

#include <stdint.h>

#include <peal/error.h>
#include <peal/options.h>
#include <peal/stats.h>

#ifdef __cplusplus
extern "C" {
#endif

struct peal_monitor;

/*
 * The process that is looked at, and what those of its links came to that have ended. All times are
 * of its monotonic clock, which is the reader's too, unless they are in different time namespaces:
 * now_ns is then as exact as its last answer was quick.
 */
struct peal_monitored {
	uint32_t size;        /* sizeof(struct peal_monitored); the caller sets it */
	uint32_t links;       /* open now, as far as they have counters of their own */
	struct peal_peer who; /* pid, uid and gid as the kernel vouches; its name as it says */
	uint64_t started_ns;  /* its first link, or the first look at it (monotonic) */
	uint64_t now_ns;      /* when this was read (likewise) */
	uint64_t ended;       /* links that have been closed since it started */
	/* Of those: sums, in high_water the most, and no depth. What is here and in the links
	 * together never becomes less. */
	struct peal_counters ended_tx;
	struct peal_counters ended_rx;
	uint64_t spare[8];
};

/* One link, from the side of the process that is looked at: tx is what it sends, rx what it
 * receives. */
struct peal_monitored_link {
	uint64_t id;           /* no other link that this process makes has it */
	uint32_t role;         /* of that process, an enum peal_role */
	uint32_t wait;         /* likewise, an enum peal_wait */
	struct peal_peer peer; /* the other side */
	uint64_t tx_capacity;  /* bytes of the rings */
	uint64_t rx_capacity;
	uint64_t since_ns;       /* made then (monotonic) */
	struct peal_counters tx; /* of both directions */
	struct peal_counters rx;
	struct peal_offcpu tx_offcpu; /* likewise, as far as it samples */
	struct peal_offcpu rx_offcpu;
	uint64_t spare[8];
};

/*
 * Attaches to the process that listens at an address of peal/link.h, as a client would connect (not
 * systemd:), and stores a monitor, which the caller closes. Who answers is not asked whether
 * `allow` accepts it: see who.uid.
 *
 * -EPERM: it is another user's, and we are not root; -EOPNOTSUPP: it has a library that knows no
 * monitors; -EPROTO: what it handed over is no memory of counters, or of an unknown layout; -E2BIG:
 * it is more than 1024 objects or 256 MiB; else as peal_connect. Any thread; enters the kernel, and
 * waits there.
 */
PEAL_API int peal_monitor_open(struct peal_monitor **monitor, const char *address, int64_t timeout);

/*
 * Asks the process again: whether it is still there, and for the counters of links for which it has
 * had to make more memory since. 0: it answered. Otherwise what is known stays readable:
 * -ETIMEDOUT, -EAGAIN: it does not answer, and the next call goes on waiting for the same answer;
 * -ECONNREFUSED: it is gone; -ESTALE: another process is there now, which takes a new monitor (or
 * after a fork); -ENOTCONN: the address was a descriptor, which was good for one answer; else as
 * peal_monitor_open. Once a second is often enough: it costs the process some 20 microseconds.
 * Enters the kernel, and waits there.
 */
PEAL_API int peal_monitor_refresh(struct peal_monitor *monitor, int64_t timeout);

/*
 * Copies what the process counts now: about itself, and about up to most of its links, by the order
 * in which they stand in its memory. Returns how many links there are, which may be more than most;
 * about and, if most is 0, links may be NULL. Each link is whole: none is made of two. -EINVAL:
 * about->size; -ESTALE: after a fork. Never enters the kernel.
 */
PEAL_API int peal_monitor_read(struct peal_monitor *monitor, struct peal_monitored *about,
			       struct peal_monitored_link *links, unsigned most);

/* Closes a monitor and frees it. NULL is ignored. Cannot fail. */
PEAL_API void peal_monitor_close(struct peal_monitor *monitor);

#ifdef __cplusplus
}
#endif

#endif
