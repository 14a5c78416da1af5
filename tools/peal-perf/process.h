/*
 * SPDX-License-Identifier: MIT
 *
 * Processes: this program once more, by exec, so that it shares nothing with whoever starts it but
 * a control socket and what is measured. It knows nothing of what they do.
 */
#ifndef PEAL_PERF_PROCESS_H
#define PEAL_PERF_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Starts a hidden command, "COMMAND CONTROL CPU PIN-FIRST", which has its end of the control
 * socket, and dies with this process. The pid, or a negative errno with a complaint.
 */
pid_t process_start(const char *command, int control, int cpu, bool pin_first);

/*
 * The first thing that such a command does: leaves signals to who has started it, and settles. The
 * control socket; -1 after a sentence on stderr.
 */
int process_enter(int argc, char **argv);

#endif
