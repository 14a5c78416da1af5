/*
 * SPDX-License-Identifier: MIT
 *
 * A liar of one's own. See liar_order.h.
 */
#include "config.h"

#include "tests/hostile/liar_order.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/runner.h"

#define PATIENCE_MS 100000

static void run(int fd, unsigned user)
{
	char number[16];
	char *arguments[] = { "liar", user ? number : NULL, NULL };

	snprintf(number, sizeof(number), "%u", user);
	dup2(fd, STDIN_FILENO);
	runner_exec(runner_built("tests/hostile/liar"), arguments);
	_exit(127);
}

void liar_start(struct liar_process *liar, unsigned user)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	fflush(NULL);
	liar->pid = fork();
	ck_assert_int_ge(liar->pid, 0);
	if (!liar->pid)
		run(ends[1], user);
	close(ends[1]);
	liar->fd = ends[0];
}

void liar_end(struct liar_process *liar)
{
	int status;

	close(liar->fd);
	ck_assert_int_eq(waitpid(liar->pid, &status, 0), liar->pid);
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "the liar ended with 0x%x",
		      (unsigned)status);
}

void liar_tell(struct liar_process *liar, const struct order *order)
{
	ck_assert_int_eq(send(liar->fd, order, sizeof(*order), MSG_NOSIGNAL), sizeof(*order));
}

struct told liar_hear(struct liar_process *liar)
{
	struct pollfd look = { .fd = liar->fd, .events = POLLIN };
	struct told told;
	int count;

	do
		count = poll(&look, 1, PATIENCE_MS);
	while (count < 0 && errno == EINTR);
	ck_assert_msg(count == 1, "the liar does not answer");
	ck_assert_msg(recv(liar->fd, &told, sizeof(told), 0) == (ssize_t)sizeof(told),
		      "the liar is gone");
	return told;
}

void liar_lie(struct liar_process *liar, const char *name, uint64_t times)
{
	struct order order = { .verb = ORDER_LIE, .number = times };

	snprintf(order.name, sizeof(order.name), "%s", name);
	liar_tell(liar, &order);
	ck_assert_msg(liar_hear(liar).result == 1, "the lie \"%s\" was not told", name);
}

int64_t liar_do(struct liar_process *liar, enum order_verb verb, uint64_t number)
{
	struct order order = { .verb = verb, .number = number };

	liar_tell(liar, &order);
	return liar_hear(liar).result;
}

void liar_stop(const struct liar_process *liar, bool stopped)
{
	ck_assert_int_eq(kill(liar->pid, stopped ? SIGSTOP : SIGCONT), 0);
}
