/*
 * SPDX-License-Identifier: MIT
 *
 * Commands and their answers, as orders.h says.
 */
#include "config.h"

#include "tests/process/orders.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <peal.h>

#define LINE 1024

void say(const char *format, ...)
{
	char line[LINE];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line) - 1, format, arguments);
	va_end(arguments);
	if (length > LINE - 2)
		length = LINE - 2;
	line[length++] = '\n';
	/* One write: it comes whole, or the test is gone. */
	if (write(STDOUT_FILENO, line, (size_t)length) != length)
		_exit(3);
}

void answer(const char *verb, long result)
{
	say("%s %ld %s", verb, result, result < 0 ? peal_error() : "");
}

uint64_t number(const char *text)
{
	return text ? strtoull(text, NULL, 0) : 0;
}

int64_t timeout(const char *text)
{
	return text && strcmp(text, "forever") != 0 ? (int64_t)strtoll(text, NULL, 0) :
						      PEAL_FOREVER;
}

void order_user(char *words[])
{
	gid_t group = (gid_t)number(words[3]);

	if (setgroups(1, &group) || setgid((gid_t)number(words[2])) ||
	    setuid((uid_t)number(words[1])))
		_exit(4);
	/* Another user's process would not die with its parent. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void order_descriptors(char *words[])
{
	struct rlimit limit = { .rlim_cur = number(words[1]), .rlim_max = number(words[1]) };

	if (setrlimit(RLIMIT_NOFILE, &limit))
		_exit(4);
}

static void run(const struct order *orders, size_t count, char *line)
{
	char *words[ORDER_WORDS] = { NULL }, *rest = NULL;

	for (unsigned i = 0; i < ORDER_WORDS - 1; i++) {
		words[i] = strtok_r(i ? NULL : line, " ", &rest);
		if (!words[i])
			break;
	}
	for (size_t i = 0; words[0] && i < count; i++) {
		if (!strcmp(words[0], orders[i].verb)) {
			orders[i].run(words);
			return;
		}
	}
	say("what? %d", -ENOSYS);
}

/* Byte for byte: after a fork, what the parent has read the child must not read again. */
static bool read_line(char line[LINE])
{
	for (unsigned i = 0; i < LINE - 1; i++) {
		if (read(STDIN_FILENO, &line[i], 1) != 1)
			return false;
		if (line[i] == '\n') {
			line[i] = '\0';
			return true;
		}
	}
	return false;
}

void orders_follow(const struct order *orders, size_t count)
{
	char line[LINE];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read_line(line))
		run(orders, count, line);
}
