/*
 * SPDX-License-Identifier: MIT
 *
 * The latency that power management may cost, held down for as long as a process lives.
 */
#ifndef PEAL_TUNE_HOLD_H
#define PEAL_TUNE_HOLD_H

#define HOLD_FILE "/dev/cpu_dma_latency"

/*
 * Asks for 0 us for as long as this process lives, whatever it becomes with execve. 0, or a
 * negative errno of opening or writing the file; -ENOSYS: the kernel has no pidfd_open (before
 * 5.3); -EAGAIN: no process could be started.
 */
int hold_latency(void);

#endif
