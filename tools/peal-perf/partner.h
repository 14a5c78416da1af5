/*
 * SPDX-License-Identifier: MIT
 *
 * The partner: the other side of every measurement, a process of its own that the driver starts
 * (or, with --threads, a thread). It does what it is asked over the control socket and knows
 * nothing of rounds, results or options.
 */
#ifndef PEAL_PERF_PARTNER_H
#define PEAL_PERF_PARTNER_H

#include <stdbool.h>

/* The hidden sub-command that starts it: "partner CONTROL-DESCRIPTOR CPU PIN-FIRST". */
#define PARTNER_COMMAND "partner"

int partner_main(int argc, char **argv);

/* Serves until the driver hangs up; 0, or a negative errno that has been replied. */
int partner_serve(int control, bool thread);

/* Pins the calling thread and lets the runtime find out what it can, in the order that
 * driver_start explains. */
int partner_settle(int cpu, bool pin_first);

#endif
