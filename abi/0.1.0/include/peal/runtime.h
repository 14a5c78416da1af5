/*
 * SPDX-License-Identifier: MIT
 *
 * The runtime: what was found on this machine, which table was picked for each job and why, and
 * the CPU's counter. For tools, bug reports and benchmarks; no program needs it to send messages.
 *
 * Everything here is set once, at the first use of the library, and read only from then on: any
 * thread may call it. That use takes about 0.1 ms and enters the kernel.
 */
#ifndef PEAL_RUNTIME_H
#define PEAL_RUNTIME_H

#include <stdint.h>

#include <peal/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The library's version, as PEAL_VERSION was when it was built. Cannot fail. Any thread; never
 * enters the kernel. */
PEAL_API const char *peal_runtime_version(void);

/* One table that could do a job. All strings belong to the library. */
struct peal_choice {
	const char *job;  /* "ring", "waiter", "memory", "barrier" */
	const char *name; /* "x86-pause", "futex", ... */
	int usable;       /* it can be used here */
	int picked;       /* it is used; a barrier: at first, and then each ring chooses */
	const char *why;  /* why it is, or is not */
};

/* The index-th table of all jobs, in order of preference within a job. -ENOENT past the last. Any
 * thread; enters the kernel, since it tries tables out. */
PEAL_API int peal_runtime_choice(unsigned index, struct peal_choice *choice);

/* One thing that was detected. All strings belong to the library. */
struct peal_fact {
	/* "build", "ring", "cpu", "kernel", "memory", "placement", "limits", "system", "power",
	 * "mitigations", "confinement" */
	const char *group;
	const char *name;  /* of the fact, in its group */
	const char *value; /* what is not there, or may not be read, says so */
	const char *note;  /* "" or a remark */
};

/* The index-th fact. -ENOENT past the last. Any thread; the first call tries everything out, which
 * enters the kernel and may take a few milliseconds. */
PEAL_API int peal_runtime_fact(unsigned index, struct peal_fact *fact);

/* Nanoseconds that adaptive waiting spins by default, 0 to 1 s; 0 where the thread that used the
 * library first might use only one CPU then. Cannot fail. Any thread; enters the kernel only if it
 * is the first use. */
PEAL_API uint64_t peal_runtime_spin_ns(void);

/*
 * The CPU's constant counter (TSC, CNTVCT, or the monotonic clock), and how many of its ticks make
 * a nanosecond, calibrated against the monotonic clock to about 0.1 %. Cannot fail. Any thread.
 * peal_ticks never enters the kernel, where the CPU has a counter that Peal knows (elsewhere it
 * asks the clock); peal_ticks_per_ns does only if it is the first use.
 */
PEAL_API uint64_t peal_ticks(void);
PEAL_API double peal_ticks_per_ns(void);

/* The picked ring variant's short pause, for loops that poll: tens of nanoseconds. Cannot fail. Any
 * thread; enters the kernel only if it is the first use. */
PEAL_API void peal_relax(void);

#ifdef __cplusplus
}
#endif

#endif
