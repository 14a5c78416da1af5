/*
 * SPDX-License-Identifier: MIT
 *
 * For ./dev coverage: processes that end by _exit, as children of tests do, write down which lines
 * they ran; by itself only exit does that. Linked with --wrap=_exit into every program. Knows
 * nothing of Peal, and of the tests only that those of tests/fault have system calls and
 * allocations fail that are not for this.
 */
void trap_exempt(void) __attribute__((weak));
void __gcov_dump(void);
_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);

_Noreturn void __wrap__exit(int status)
{
	if (!trap_exempt)
		__gcov_dump();
	__real__exit(status);
}
