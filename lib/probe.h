/*
 * SPDX-License-Identifier: MIT
 *
 * Static probes (USDT) of the provider "peal", for perf, bpftrace, SystemTap and gdb: the rare
 * events of a link. One that nobody listens to is a nop, and its arguments are what is at hand
 * anyway. Without sys/sdt.h there are none. docs/probes.md says how they are used; names and
 * arguments stay as they are.
 */
#ifndef LIB_PROBE_H
#define LIB_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments" /* sys/sdt.h's */
#endif

#ifdef HAVE_USDT
#include <sys/sdt.h>
#else
#define DTRACE_PROBE2(provider, name, a, b) ((void)(a), (void)(b))
#define DTRACE_PROBE3(provider, name, a, b, c) ((void)(a), (void)(b), (void)(c))
#define DTRACE_PROBE4(provider, name, a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#endif

/* A link is made; role: an enum peal_role. */
static inline void probe_connect(const void *link, uint32_t role, int64_t pid, const char *name)
{
	DTRACE_PROBE4(peal, connect, link, role, pid, name);
}

/* Its program closes it, having published and released so many messages. */
static inline void probe_close(const void *link, int64_t pid, uint64_t sent, uint64_t received)
{
	DTRACE_PROBE4(peal, close, link, pid, sent, received);
}

/* A verb that sends finds no room for a record of so many bytes, and may wait for so many ns. */
static inline void probe_full(const void *link, uint64_t size, int64_t timeout)
{
	DTRACE_PROBE3(peal, full, link, size, timeout);
}

/* An end goes to sleep: for room, or for data; for so many ns at most (UINT64_MAX: without an end),
 * or as long as its set or its event loop does (0). A long wait sleeps several times. */
static inline void probe_sleep(const void *link, bool for_room, uint64_t ns)
{
	DTRACE_PROBE3(peal, sleep, link, for_room, ns);
}

/* The peer sleeps, and is woken: there is room, or data. */
static inline void probe_ring(const void *link, bool for_room)
{
	DTRACE_PROBE2(peal, ring, link, for_room);
}

/* A peer broke the protocol, by this sentence; link NULL: in the handshake; pid 0: a server there,
 * which has not said who it is. */
static inline void probe_violation(const void *link, int64_t pid, const char *sentence)
{
	DTRACE_PROBE3(peal, violation, link, pid, sentence);
}

#ifdef __clang__
#pragma clang diagnostic pop
#endif

#endif
