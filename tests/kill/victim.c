/*
 * SPDX-License-Identifier: MIT
 *
 * Single steps by ptrace, as victim.h says. An instruction at a time works wherever the CPU can do
 * that; on arm64 not through loops of load-exclusive and store-exclusive, which are there for CPUs
 * without atomic instructions only: such a loop does not end, and is given up.
 */
#include "config.h"

#include "tests/kill/victim.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MARK SIGUSR1
#define STOPPED_BY_CALL (SIGTRAP | 0x80)

/* Waits until it stands still, and returns the signal, or -1: it has ended. */
static int await_stop(struct victim *victim)
{
	int status;
	pid_t pid;

	do
		pid = waitpid(victim->pid, &status, __WALL);
	while (pid < 0 && errno == EINTR);
	if (pid == victim->pid && WIFSTOPPED(status))
		return WSTOPSIG(status);
	victim->status = pid < 0 ? -1 : status;
	return -1;
}

/* By a constant each time: the C libraries differ in what type a request has. */
static bool go_on(struct victim *victim, int request, int signal)
{
	void *data = (void *)(uintptr_t)(unsigned)signal;

	switch (request) {
	case PTRACE_SYSCALL:
		return ptrace(PTRACE_SYSCALL, victim->pid, NULL, data) == 0;
	case PTRACE_SINGLESTEP:
		return ptrace(PTRACE_SINGLESTEP, victim->pid, NULL, data) == 0;
	case PTRACE_DETACH:
		return ptrace(PTRACE_DETACH, victim->pid, NULL, data) == 0;
	default:
		return ptrace(PTRACE_CONT, victim->pid, NULL, data) == 0;
	}
}

static pid_t self; /* a victim's own number, which is its thread's as well */

void victim_mark(void)
{
	syscall(SYS_tgkill, self, self, MARK);
}

void victim_start(struct victim *victim, void (*act)(void *data), void *data)
{
	*victim = (struct victim){ .pid = fork() };
	if (victim->pid)
		return;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(errno == EPERM || errno == EACCES ? 126 : 127);
	self = getpid();
	/* A tracer is told all the same; without one it is nothing. */
	signal(MARK, SIG_IGN);
	raise(SIGSTOP);
	act(data);
	_exit(1);
}

bool victim_reach(struct victim *victim)
{
	int signal;

	if (victim->pid < 0 || await_stop(victim) != SIGSTOP ||
	    ptrace(PTRACE_SETOPTIONS, victim->pid, NULL,
		   (void *)(uintptr_t)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD)))
		return false;
	victim->traced = true;
	for (signal = 0; signal != MARK; signal = await_stop(victim))
		if (signal < 0 || !go_on(victim, PTRACE_CONT, signal))
			return false;
	return true;
}

uint64_t victim_step(struct victim *victim, enum victim_step step, uint64_t count)
{
	int request = step == VICTIM_CALLS ? PTRACE_SYSCALL : PTRACE_SINGLESTEP;
	int wanted = step == VICTIM_CALLS ? STOPPED_BY_CALL : SIGTRAP;
	uint64_t made = 0;
	int signal = 0;

	while (made < count && !victim->ended && !victim->status) {
		if (!go_on(victim, request, signal))
			break;
		signal = await_stop(victim);
		if (signal == MARK)
			victim->ended = true;
		if (signal == wanted)
			made++;
		if (signal == wanted || signal == MARK)
			signal = 0;
	}
	return made;
}

void victim_release(struct victim *victim)
{
	victim->traced = !go_on(victim, PTRACE_DETACH, 0);
}

void victim_suspend(struct victim *victim)
{
	int status;

	victim->traced = !go_on(victim, PTRACE_DETACH, SIGSTOP);
	waitpid(victim->pid, &status, WUNTRACED);
}

void victim_resume(const struct victim *victim)
{
	kill(victim->pid, SIGCONT);
}

bool victim_kill(struct victim *victim)
{
	int status = victim->status;

	if (!status) {
		kill(victim->pid, SIGKILL);
		while (waitpid(victim->pid, &status, __WALL) < 0 && errno == EINTR)
			;
	}
	victim->status = status;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void do_nothing(void *data)
{
	(void)data;
	victim_mark();
	syscall(SYS_getppid);
	victim_mark();
	pause();
}

bool victim_possible(const char **why)
{
	struct victim victim;
	bool possible;

	victim_start(&victim, do_nothing, NULL);
	possible = victim_reach(&victim) && victim_step(&victim, VICTIM_CALLS, 1) == 1 &&
		   victim_step(&victim, VICTIM_INSTRUCTIONS, 2) == 2;
	*why = possible      ? "" :
	       victim.traced ? "no single steps on this CPU" :
			       "ptrace is not allowed";
	if (victim.pid > 0)
		victim_kill(&victim);
	return possible;
}
