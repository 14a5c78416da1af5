/*
 * SPDX-License-Identifier: MIT
 *
 * Processes: starting and beginning.
 */
#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "complaint.h"
#include "partner.h"
#include "process.h"

pid_t process_start(const char *command, int control, int cpu, bool pin_first)
{
	pid_t self = getpid();
	char control_text[16], cpu_text[16];
	pid_t pid;

	snprintf(control_text, sizeof(control_text), "%d", control);
	snprintf(cpu_text, sizeof(cpu_text), "%d", cpu);
	pid = fork();
	if (pid < 0)
		return complain_errno("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != self) /* it died before it could be noticed */
			_exit(1);
		fcntl(control, F_SETFD, 0);
		execl("/proc/self/exe", "peal-perf", command, control_text, cpu_text,
		      pin_first ? "1" : "0", (char *)NULL);
		_exit(127);
	}
	return pid;
}

int process_enter(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "peal-perf: \"%s\" is for peal-perf itself to call\n", argv[1]);
		return -1;
	}
	/* Ctrl-C on a terminal comes to all; the driver decides what to do about it. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (partner_settle(atoi(argv[3]), atoi(argv[4]))) {
		fprintf(stderr, "peal-perf: the %s: %s\n", argv[1], complaint());
		return -1;
	}
	return atoi(argv[2]);
}
