/*
 * SPDX-License-Identifier: MIT
 *
 * Placement: which CPUs the calling thread may use, what two of them share, which to choose for
 * two sides of a link or for the threads of a server, and keeping a thread on one. It knows nothing
 * of links.
 *
 * "May use" is what the thread's affinity mask and its cpuset leave, of the CPUs that are online;
 * a thread inherits the mask of the one that started it, so choose before you pin. Numbers of CPUs
 * are the system's own, 0 or more: there may be holes between them, and no CPU is sure to be there.
 *
 * All of it may be called by any thread, enters the kernel, and keeps nothing from one call to the
 * next: CPUs come and go, so an answer is as old as the call. Reading what a CPU shares takes some
 * 0.1 ms. Where the system does not tell (no /sys), CPUs are taken to be alike.
 *
 * Errors of all functions: -EPERM, -EACCES, -ENOSYS: the system call is forbidden here, by a filter
 * such as a container's; -ENOMEM, -EMFILE, -ENFILE.
 */
#ifndef PEAL_PLACEMENT_H
#define PEAL_PLACEMENT_H

#include <stdint.h>

#include <peal/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A CPU and what it shares. Two CPUs of which a number is the same have that in common; -1: the
 * system does not tell. */
struct peal_cpu {
	int32_t number;      /* the system's own */
	int32_t allowed;     /* 1: the calling thread may use it; 0: it may not */
	int32_t core;        /* the lowest CPU of its core: those are SMT siblings */
	int32_t cache;       /* the lowest CPU of its last-level cache, in the same cache_level */
	int32_t node;        /* its NUMA node; 0 for all where there is no NUMA */
	int32_t package;     /* its package (socket) */
	int32_t capacity;    /* of work, where cores differ: 1024 the largest */
	int32_t cache_level; /* of its last-level cache: 3 is an L3; 0: the system does not tell */
	uint64_t cache_size; /* of that, in bytes; 0: the system does not tell */
};

/* The nearest that two CPUs have in common. */
enum peal_sharing {
	PEAL_SAME_CPU = 0,  /* they are one */
	PEAL_SAME_CORE = 1, /* SMT siblings */
	PEAL_SAME_LLC = 2,  /* another core; the same last-level cache, and node */
	PEAL_SAME_NODE = 3, /* another last-level cache, or none is told of; likewise the node */
	PEAL_OTHER_NODE = 4 /* nothing but the machine */
};

/* What two CPUs have in common. Cannot fail, and does not enter the kernel. */
PEAL_API enum peal_sharing peal_cpu_sharing(const struct peal_cpu *a, const struct peal_cpu *b);

/* The CPUs that the calling thread may use, by ascending number: how many there are; the first most
 * of them are written. cpus may be NULL if most is 0. -ENOENT: it may use none. */
PEAL_API int peal_cpu_list(struct peal_cpu *cpus, unsigned most);

/* One CPU, whether the calling thread may use it or not. -ENOENT: there is none of that number that
 * is online, or the thread may not use it and the system does not tell. */
PEAL_API int peal_cpu_find(int number, struct peal_cpu *cpu);

/*
 * Chooses a CPU for each of two threads by what the two are to have in common, and returns what
 * they have, an enum peal_sharing. Where there is no such pair it takes the next best:
 *
 *     PEAL_SAME_CORE    the same LLC, the same node, another node
 *     PEAL_SAME_LLC     the same node, the same core, another node
 *     PEAL_SAME_NODE    the same LLC, the same core, another node
 *     PEAL_OTHER_NODE   the same node, the same LLC, the same core
 *
 * and last, or for PEAL_SAME_CPU first, one CPU twice. Of several pairs, the one whose weaker CPU
 * has most capacity, then the one of the lowest numbers. -EINVAL: sharing is none of the enum;
 * -ENOENT: the calling thread may use no CPU.
 */
PEAL_API int peal_cpu_pair(enum peal_sharing sharing, int pair[2]);

/*
 * Chooses count CPUs for as many threads, and returns how many different ones these are. First
 * each gets a core of its own, then the SMT siblings are used, and when all CPUs are used they are
 * used again in the same order. Within that, those come first that have most in common with
 * near_cpu, which is taken to be busy and comes last itself, or are of near_node; -1 each: no
 * matter, and then they are near each other. near_cpu decides if both are given. Of those that are
 * as near, the ones with most capacity, then the lowest numbers. -EINVAL: near_cpu or near_node is
 * below -1, or count above INT_MAX; -ENOENT: there is no near_cpu online; the calling thread may
 * use no CPU.
 */
PEAL_API int peal_cpu_choose(int *cpus, unsigned count, int near_cpu, int near_node);

/* The CPUs that a thread could use before it was pinned. */
struct peal_affinity;

/*
 * Keeps the calling thread on a CPU, and gives back in *before which ones it could use until now;
 * before may be NULL. It may be one that the thread's mask leaves out, such as the one inherited
 * from a pinned thread, but not one that the cpuset leaves out. What is in *before is the caller's
 * only if this succeeds. -EINVAL: the cpuset does not have the CPU, or it is not online.
 */
PEAL_API int peal_cpu_pin(int number, struct peal_affinity **before);

/* Lets the calling thread use again what it could before, and frees that, also when it fails. NULL
 * is ignored. -EINVAL: none of those CPUs is there any more. */
PEAL_API int peal_cpu_unpin(struct peal_affinity *before);

#ifdef __cplusplus
}
#endif

#endif
