/*
 * SPDX-License-Identifier: MIT
 *
 * Single steps by the CPU's trap flag. See stepper.h.
 */
#include "config.h"

#include "tests/unit/stepper.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <ucontext.h>

#if defined(__x86_64__) && !defined(PEAL_SANITIZER)

#define TRAP_FLAG 0x100

static volatile struct {
	bool armed;
	uint64_t left;
	uint64_t (*act)(void *data);
	void *data;
	bool acted;
} stepping;

static void trap(int signal, siginfo_t *info, void *context)
{
	greg_t *flags = &((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];
	int err = errno;

	(void)signal;
	(void)info;
	if (stepping.armed && --stepping.left == 0) {
		stepping.acted = true;
		stepping.left = stepping.act(stepping.data);
		stepping.armed = stepping.left != 0;
	}
	if (stepping.armed)
		*flags |= TRAP_FLAG;
	else
		*flags &= ~(greg_t)TRAP_FLAG;
	errno = err;
}

bool stepper_usable(const char **why)
{
	*why = "";
	return true;
}

bool stepper_run(uint64_t n, void (*run)(void *data), uint64_t (*act)(void *data), void *data)
{
	struct sigaction action = { .sa_sigaction = trap, .sa_flags = SA_SIGINFO }, before;

	sigaction(SIGTRAP, &action, &before);
	stepping.left = n + 2; /* the one that is raised, and at least one to get out of there */
	stepping.act = act;
	stepping.data = data;
	stepping.acted = false;
	stepping.armed = true;
	raise(SIGTRAP);
	run(data);
	stepping.armed = false;
	sigaction(SIGTRAP, &before, NULL);
	return stepping.acted;
}

void stepper_stop(void)
{
	stepping.armed = false;
}

#else

bool stepper_usable(const char **why)
{
	*why = "single steps need an x86-64 CPU, and no sanitizer, whose code they would enter";
	return false;
}

bool stepper_run(uint64_t n, void (*run)(void *data), uint64_t (*act)(void *data), void *data)
{
	(void)n;
	(void)act;
	run(data);
	return false;
}

void stepper_stop(void)
{
}

#endif
