/*
 * SPDX-License-Identifier: MIT
 *
 * The watch. A signal that comes between a look at the flag and a system call that waits would
 * be lost; so once anything is to be given up, the alarm goes on ringing ten times a second until
 * the wait has noticed.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "complaint.h"
#include "watch.h"

#define INTERRUPTED_SECONDS 2 /* that a slice has to end after Ctrl-C */
#define RINGS 30              /* alarms after which a wait that gives up for nothing is broken */

/* Written by handlers of the main thread, or the partner's thread; read by both: atomic. They
 * order nothing. */
static int interrupted;
static int abandoned;
static int expired;
static int armed;
static int rings;
static pid_t partner_pid;

static void set(int *flag)
{
	__atomic_store_n(flag, 1, __ATOMIC_RELAXED);
}

static bool is_set(const int *flag)
{
	return __atomic_load_n(flag, __ATOMIC_RELAXED);
}

static void ring_in(long seconds, long microseconds)
{
	struct itimerval timer = {
		.it_value = { .tv_sec = seconds, .tv_usec = microseconds },
		.it_interval = { .tv_usec = 100000 },
	};

	setitimer(ITIMER_REAL, &timer, NULL);
}

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	set(&interrupted);
	if (is_set(&armed))
		ring_in(INTERRUPTED_SECONDS, 0);
}

static void on_child(int signal_number)
{
	(void)signal_number;
	set(&abandoned);
	ring_in(0, 100000);
}

static void on_alarm(int signal_number)
{
	static const char sentence[] =
		"\npeal-perf: a wait does not end although its peer is gone; giving up\n";

	(void)signal_number;
	if (!is_set(&abandoned))
		set(&expired);
	set(&abandoned);
	if (partner_pid)
		kill(partner_pid, SIGKILL);
	if (++rings < RINGS)
		return;
	if (write(STDERR_FILENO, sentence, sizeof(sentence) - 1) < 0)
		_exit(1);
	_exit(1);
}

static void handle(int signal_number, void (*handler)(int))
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = handler;
	action.sa_flags = SA_NOCLDSTOP; /* and no SA_RESTART: waits are to notice */
	sigemptyset(&action.sa_mask);
	sigaction(signal_number, &action, NULL);
}

void watch_begin(pid_t partner)
{
	partner_pid = partner;
	handle(SIGINT, on_interrupt);
	handle(SIGTERM, on_interrupt);
	handle(SIGHUP, on_interrupt);
	handle(SIGALRM, on_alarm);
	handle(SIGPIPE, SIG_IGN);
	if (partner)
		handle(SIGCHLD, on_child);
}

void watch_end(void)
{
	handle(SIGCHLD, SIG_DFL);
	handle(SIGPIPE, SIG_DFL);
	watch_disarm();
	partner_pid = 0;
}

void watch_arm(unsigned seconds)
{
	if (watch_abandoned())
		return;
	rings = 0;
	set(&armed);
	ring_in(watch_interrupted() ? INTERRUPTED_SECONDS : (long)seconds, 0);
}

void watch_disarm(void)
{
	struct itimerval timer;

	__atomic_store_n(&armed, 0, __ATOMIC_RELAXED);
	memset(&timer, 0, sizeof(timer));
	setitimer(ITIMER_REAL, &timer, NULL);
}

void watch_abandon(void)
{
	set(&abandoned);
}

bool watch_interrupted(void)
{
	return is_set(&interrupted);
}

bool watch_abandoned(void)
{
	return is_set(&abandoned);
}

int watch_retry(const char *call)
{
	if (errno != EAGAIN && errno != EINTR)
		return complain_errno("%s", call);
	return watch_abandoned() ? complain(-ECANCELED, "given up") : 0;
}

bool watch_expired(void)
{
	return is_set(&expired);
}
